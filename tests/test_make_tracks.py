"""Tracks for genome browsers: read back by pybigtools, and against a base-by-base maximum."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pybigtools
import pytest

import simulated_introns as simulated
from intronaut.io.tracks import highest


@pytest.fixture
def study(tool, tmp_path):
    """Labels of ten introns on two chromosomes with two models' predictions, one of them with covariates."""
    table = simulated.introns(10).assign(label=[1, 0] * 5)
    table["chrom"] = ["2"] * 5 + ["10"] * 5
    table["start"] = [100, 120, 140, 400, 900] * 2
    table["end"] = table["start"] + [100, 50, 200, 100, 90] * 2
    table.loc[3, "label"] = np.nan
    table["gene_name"] = "A B"
    table["psi"] = [0.1, "NA", 0.5, 0, 1] * 2
    simulated.write_labels(tmp_path / "labels.tsv", table.astype({"label": "Int64"}).astype({"label": object}))
    (tmp_path / "genome.fa").write_text(f">chr10\n{'ACGT' * 300}\n>chr2\n{'ACGT' * 300}\n>chr3\nAC\n")
    (tmp_path / "names.tsv").write_text("chr2\t2\nchr10\t10\n")
    for folder, shift in (("net", 0), ("motifs", 0), ("motifs/combined", 0.05)):
        (tmp_path / "fit" / folder).mkdir(parents=True)
        rows = [f"i{k}\t0\t1\t1\t{0.05 * k + shift:.2f}\t0" for k in range(9)]
        text = "\n".join(["name\tlabel\tsplit\tfold\tp_retained\tlogit", *rows]) + "\n"
        (tmp_path / "fit" / folder / "predictions.tsv").write_text(text)
    return table


def make(tool, *args, code=0):
    given = ("--labels", "labels.tsv", "--fasta", "genome.fa", "--chrom-aliases", "names.tsv", "-o", "tracks")
    return tool("make_tracks", *given, *args, code=code)


def test_tracks_hold_labels_and_held_out_probabilities(tool, tmp_path, study):
    make(tool, "--fit", "fit/net", "fit/motifs", "--assembly", "GRCh38")
    bed = pd.read_csv(tmp_path / "tracks/introns.bed", sep="\t", header=None, skiprows=1)
    assert len(bed) == 10 and set(bed[0]) == {"chr2", "chr10"} and bed[3].tolist().count("A_B_retained") == 5
    assert (bed[8] == "132,142,156").sum() == 1
    with pybigtools.open(str(tmp_path / "tracks/introns.bb")) as found:
        assert found.chroms("chr2") == 1200
        assert [row[:2] for row in found.records("chr2")] == sorted(
            zip(study["start"][:5], study["end"][:5], strict=True)
        )
    with pybigtools.open(str(tmp_path / "tracks/motifs.bb")) as found:
        # of the model with the covariates, 1000 times the probability; i9 has no prediction
        scores = {row[2]: int(row[3]) for row in found.records("chr10")}
    assert scores == {"i5": 300, "i6": 350, "i7": 400, "i8": 450}
    with pybigtools.open(str(tmp_path / "tracks/net.bw")) as found:
        values = found.values("chr2", 0, 1200)
    wanted = np.full(1200, np.nan)
    for k in range(5):
        start, end = study["start"][k], study["end"][k]
        wanted[start:end] = np.fmax(wanted[start:end], 0.05 * k)
    np.testing.assert_allclose(values, wanted, atol=1e-6)
    with pybigtools.open(str(tmp_path / "tracks/levels.bw")) as found:
        assert found.values("chr2", 130, 131)[0] == pytest.approx(0.1) and found.values("chr2", 200, 201)[0] == 0.5


def test_session_names_files_beside_it(tool, tmp_path, study):
    (tmp_path / "attributed").mkdir()
    (tmp_path / "attributed/attributions.bedgraph").write_text("2\t100\t110\t0.5\n2\t110\t111\t-0.25\n10\t5\t6\t1\n")
    make(tool, "--fit", "fit/net", "--attributions", "attributed", "--assembly", "GRCh38.p14")
    session = ElementTree.parse(tmp_path / "tracks/igv_session.xml").getroot()
    assert session.tag == "Session" and session.attrib == {"version": "8", "genome": "hg38", "locus": "chr2:1-700"}
    names = [resource.attrib["path"] for resource in session.iter("Resource")]
    assert names == ["introns.bed", "levels.bw", "net.bw", "attributed.attributions.bw"]
    assert names == [track.attrib["id"] for track in session.iter("Track")]
    assert all((tmp_path / "tracks" / name).stat().st_size for name in names)
    with pybigtools.open(str(tmp_path / "tracks/attributed.attributions.bw")) as found:
        np.testing.assert_allclose(found.values("chr2", 109, 111), [0.5, -0.25])


def test_highest_is_the_maximum_of_every_base():
    rng = np.random.default_rng(1)
    start = rng.integers(0, 300, 60)
    table = pd.DataFrame(
        {"chrom": "1", "start": start, "end": start + rng.integers(1, 60, 60), "p": rng.random(60).round(1)}
    )
    wanted, found = np.full(400, np.nan), np.full(400, np.nan)
    for row in table.itertuples():
        wanted[row.start : row.end] = np.fmax(wanted[row.start : row.end], row.p)
    stretches = list(highest(table, "p"))
    for _, left, right, value in stretches:
        assert np.isnan(found[left:right]).all()
        found[left:right] = value
    np.testing.assert_array_equal(found, wanted)
    # stretches of one value are not cut
    assert all(one[2] != other[1] or one[3] != other[3] for one, other in zip(stretches, stretches[1:], strict=False))


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda folder: (folder / "genome.fa").write_text(">chr2\nACGT\n>chr10\nACGT\n"), 65, "past the end of their"),
        (lambda folder: (folder / "fit/net/predictions.tsv").unlink(), 66, "predictions.tsv"),
        (lambda folder: (folder / "genome.fa").write_text(f">chr2\n{'A' * 1200}\n"), 65, "10"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_one_line(tool, tmp_path, study, change, code, words):
    change(tmp_path)
    done = make(tool, "--fit", "fit/net", code=code)
    assert words in done.stderr and not (tmp_path / "tracks").exists()


def test_levels_without_a_number_give_no_track(tool, tmp_path, study):
    study["psi"] = "NA"
    simulated.write_labels(tmp_path / "labels.tsv", study.astype({"label": "Int64"}).astype({"label": object}))
    make(tool)
    assert sorted(path.name for path in (tmp_path / "tracks").iterdir()) == [
        "igv_session.xml",
        "introns.bb",
        "introns.bed",
    ]
