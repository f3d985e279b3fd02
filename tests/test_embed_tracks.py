"""embed_tracks: every value against base-by-base counting, on both strands, at contig ends, in gaps."""

import struct

import numpy as np
import pandas as pd
import pybigtools
import pytest

import embed_tracks
from intronaut.core.errors import BadData
from intronaut.features.tracks import bin_edges
from intronaut.io.h5ad import open_features
from intronaut.io.measured_tracks import open_track

LENGTHS = {"chr1": 3000, "chr2": 500}
BED = """\
1	100	400	plus	0	+
1	100	400	minus	0	-
1	2900	2990	end	0	+
1	0	40	begin	0	-
1	1500	1503	short	0	+
2	50	300	other	0	-
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bigWig with gaps, the same as bedGraph, peaks, introns and a sheet of the three."""
    folder, rng = tmp_path_factory.mktemp("tracks"), np.random.default_rng(1)
    rows, at = [], 20
    while at < 2980:
        end = min(at + int(rng.integers(1, 40)), 2990)
        if rng.random() < 0.7:
            rows.append(("chr1", at, end, float(np.float32(rng.normal()))))
        at = end
    pybigtools.open(str(folder / "signal.bw"), "w").write(LENGTHS, iter(rows))
    text = "track type=bedGraph\n" + "".join(
        f"{chrom}\t{start}\t{end}\t{value!r}\n" for chrom, start, end, value in rows
    )
    (folder / "signal.bedGraph").write_text(text)
    peaks = [("chr1", 120, 180), ("chr1", 150, 160), ("chr1", 350, 900), ("chr2", 0, 60)]
    (folder / "peaks.narrowPeak").write_text(
        "".join(f"{chrom}\t{start}\t{end}\tp\t0\t.\t5\t-1\t-1\t3\n" for chrom, start, end in peaks)
    )
    (folder / "introns.bed").write_text(BED)
    (folder / "sheet.tsv").write_text(
        "path\ttarget\tcell\tkind\nsignal.bw\tH3K36me3\tK562\thistone\nsignal.bedGraph\tCTCF\tHepG2\ttf\n"
        "peaks.narrowPeak\tATAC\tK562\t.\n"
    )
    bases = {chrom: np.full(n, np.nan) for chrom, n in LENGTHS.items()}
    for chrom, start, end, value in rows:
        bases[chrom][start:end] = value
    inside = {chrom: np.zeros(n) for chrom, n in LENGTHS.items()}
    for chrom, start, end in peaks:
        inside[chrom][start:end] = 1
    return folder, bases, inside


def run(folder, output, *options, sheet="sheet.tsv"):
    words = [folder / "introns.bed", "--tracks", folder / sheet, "-o", output, *options, "--quiet"]
    embed_tracks.main([str(word) for word in words])
    features = open_features(output)
    return pd.DataFrame(features.x[:], index=features.obs.index, columns=features.var.index), features


def brute(bases, chrom, start, end):
    """The values of ``[start, end)`` one by one, NaN beyond the chromosome."""
    values = bases[f"chr{chrom}"]
    return np.array([values[at] if 0 <= at < len(values) else np.nan for at in range(start, end)])


def mean(values):
    values = values[~np.isnan(values)]
    return values.mean() if len(values) else np.nan


@pytest.mark.parametrize(("anchor", "length"), [("centre", 100), ("donor", 61)])
def test_values_are_those_of_counting(folder, tmp_path, anchor, length):
    folder, bases, inside = folder
    table, features = run(folder, tmp_path / "f.h5ad", "--anchor", anchor, "--length", length, "--bins", 5)
    for line in BED.splitlines():
        chrom, start, end, name, _, strand = line.split("\t")
        start, end, minus = int(start), int(end), strand == "-"
        middle = {"centre": (start + end - length) // 2,
                  "donor": end - length + length // 2 if minus else start - length // 2}[anchor]  # fmt: skip
        for source, values in (("signal.bw", bases), ("signal.bedGraph", bases), ("peaks.narrowPeak", inside)):
            if source == "peaks.narrowPeak" or chrom == "1":
                window = brute(values, chrom, middle, middle + length)
            else:
                window = np.full(length, np.nan)
            if source == "peaks.narrowPeak":
                window = np.nan_to_num(window)
            wanted = [mean(window), np.nanmax(window, initial=-np.inf), 1 - np.isnan(window).mean()]
            parts = np.array_split(brute(values, chrom, start, end), 5)
            if end - start >= 5 and (end - start) % 5 == 0:
                bins = [mean(part) for part in parts][:: -1 if minus else 1]
                found = [table.loc[name, column] for column in table if source in column and "bin" in column]
                for one, two in zip(found, bins, strict=True):
                    assert np.isnan(two) or one == pytest.approx(two, rel=1e-5, abs=1e-6)
            found = [table.loc[name, column] for column in table if source in column and "bin" not in column]
            assert found[2] == pytest.approx(wanted[2], abs=1e-6)
            if wanted[2] > 0:
                assert found[:2] == pytest.approx(wanted[:2], rel=1e-5, abs=1e-6)
    assert np.isfinite(table.to_numpy()).all()


def test_bins_divide_an_interval():
    for start, end, bins in ((0, 10, 5), (7, 100, 10), (5, 8, 10), (0, 1, 3)):
        first, last = bin_edges(start, end, bins)
        assert first[0] == start and last[-1] == end and (last > first).all() and (first < end).all()
        if end - start >= bins:
            assert (first[1:] == last[:-1]).all() and np.ptp(last - first) <= 1


def test_columns_are_called_as_those_of_sei(folder, tmp_path):
    _, features = run(folder[0], tmp_path / "f.h5ad", "--bins", 2)
    var = features.var
    assert len(var) == 3 * 5 and list(var.index[:2]) == [
        "K562 | H3K36me3 | signal.bw | mean", "K562 | H3K36me3 | signal.bw | max"
    ]  # fmt: skip
    assert var.groupby("source")["kind"].first().to_dict() == {
        "signal.bw": "histone", "signal.bedGraph": "tf", "peaks.narrowPeak": "access"
    }  # fmt: skip
    assert {"target", "cell_type", "factor", "class", "tissue"} <= set(var.columns)
    assert features.provenance["window"] == {"anchor": "centre", "length": 600}


def test_missing_is_not_zero(folder, tmp_path):
    """Chromosome 2 of the bigWig has no value: its rows have the others' median, and say so."""
    table, _ = run(folder[0], tmp_path / "f.h5ad", "--length", 100, "--bins", 0)
    signal = [column for column in table if "signal.bw" in column]
    values = table[signal]
    assert values.loc["other", signal[2]] == 0
    others = values.drop("other")
    assert values.loc["other", signal[0]] == pytest.approx(others[others[signal[2]] > 0][signal[0]].median(), rel=1e-5)
    zero, _ = run(folder[0], tmp_path / "z.h5ad", "--length", 100, "--bins", 0, "--uncovered", "zero")
    window = np.nan_to_num(brute(folder[1], "1", 200, 300))
    assert zero.loc["plus", signal[0]] == pytest.approx(window.mean(), rel=1e-5)
    assert zero.loc["plus", signal[2]] == 1


def test_sheets_and_files_that_cannot_be(folder, tmp_path, capfd):
    folder = folder[0]
    header = "path\ttarget\tcell\tkind\n"
    (folder / "bad.tsv").write_text(header + "nowhere.bw\tA\tB\ttf\nsignal.bw\tNA\tB\ttf\nsignal.bw\tA\tB\ttf\n" * 2)
    with pytest.raises(BadData, match=r"problems[\s\S]*no such file[\s\S]*line 3: no target"):
        run(folder, tmp_path / "f.h5ad", sheet="bad.tsv")
    (folder / "half.bw").write_bytes((folder / "signal.bw").read_bytes()[:200])
    with pytest.raises(BadData, match="half.bw: not a whole bigWig"):
        open_track(folder / "half.bw")
    whole = bytearray((folder / "signal.bw").read_bytes())
    (index,) = struct.unpack_from("<Q", whole, 24)
    for offset in (index + 1, index + 48 + 4 + 29):  # its first bytes; the size of the first block, made 2^45
        broken = whole.copy()
        broken[offset] ^= 0x20
        (folder / "broken.bw").write_bytes(broken)
        with pytest.raises(BadData, match="broken.bw: not a whole bigWig .*its index|no index"):
            open_track(folder / "broken.bw")
    whole[int.from_bytes(whole[16:24], "little") + 20] ^= 0xFF  # within the first block, which is compressed
    (folder / "flip.bw").write_bytes(whole)
    capfd.readouterr()
    track = open_track(folder / "flip.bw")
    with pytest.raises(BadData, match="flip.bw: not a whole bigWig at chr1:0-50"):
        track.values("chr1", 0, 50)
    assert capfd.readouterr().err == ""
    (folder / "text.txt").write_text("1 2 3\n")
    with pytest.raises(BadData, match="not bigWig, bedGraph"):
        open_track(folder / "text.txt")
    (folder / "bad.bdg").write_text("chr1\t5\t2\t1\nchr1\t5\t20\tx\n")
    with pytest.raises(BadData, match="2 problems"):
        open_track(folder / "bad.bdg")
    (folder / "elsewhere.bed").write_text("scaffold9\t1\t5\n")
    (folder / "else.tsv").write_text(header + "elsewhere.bed\tA\tB\ttf\n")
    with pytest.raises(BadData, match="chromosomes are not in"):
        run(folder, tmp_path / "f.h5ad", sheet="else.tsv")
    assert not (tmp_path / "f.h5ad").exists()


def test_means_are_those_of_pybigtools(folder, tmp_path):
    """Its own loop over a BED file of the windows."""
    table, features = run(folder[0], tmp_path / "f.h5ad", "--length", 100, "--bins", 0)
    obs = features.obs[(features.obs["chrom"] == "1") & (features.obs["start"] >= 0) & (features.obs["end"] <= 3000)]
    (tmp_path / "w.bed").write_text("".join(f"chr1\t{row.start}\t{row.end}\t{name}\n" for name, row in obs.iterrows()))
    found = pybigtools.open(str(folder[0] / "signal.bw")).average_over_bed(
        str(tmp_path / "w.bed"), names=4, stats="mean"
    )
    column = next(column for column in table if "signal.bw" in column)
    compared = 0
    for name, value in found:
        if np.isfinite(value) and value != 0:
            assert table.loc[name, column] == pytest.approx(value, rel=1e-5)
            compared += 1
    assert compared >= 3


def test_nan_in_a_bedgraph_is_not_measured(tmp_path):
    """As a base without a line."""
    path = tmp_path / "x.bedGraph"
    path.write_text("chr1\t100\t103\tNaN\nchr1\t103\t105\t2\nchr2\t0\t9\t-nan\n")
    track = open_track(path)
    assert list(track.chroms) == ["chr1"]
    np.testing.assert_array_equal(track.values("chr1", 101, 107), [np.nan, np.nan, 2, 2, np.nan, np.nan])
    path.write_text("chr1\t100\t110\tnan\n")
    with pytest.raises(BadData, match="no values in it"):
        open_track(path)
    path.write_text("chr1\t9\t5\tnan\nchr1\t5\t9\tinf\nchr1\t5\t9\tNA\n")
    with pytest.raises(BadData, match="3 problems"):
        open_track(path)


OVERLAPS = {
    "a base": ("1 0 5 1", "2 4 9 1", "1 4 9 1", "1 8 9 1"), "the same twice": ("1 0 5 1", "1 9 12 1", "1 0 5 1"),
    "behind": ("1 50 60 1", "1 80 90 1", "1 40 51 1"), "around": ("1 50 60 1", "1 20 30 1", "1 0 100 1"),
    "within": ("1 0 100 1", "1 200 300 1", "1 50 60 1", "1 10 20 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", OVERLAPS)
def test_a_bedgraph_that_overlaps_is_refused_by_its_first_such_line(case, tmp_path):
    lines = OVERLAPS[case]
    path = tmp_path / "x.bedGraph"
    path.write_text("# x\n\n" + "".join("\t".join(line.split()) + "\n" for line in lines))
    bases, line_of = {}, None
    for number, line in enumerate(lines, 3):  # base by base
        chrom, start, end, _ = line.split()
        covered = {(chrom, base) for base in range(int(start), int(end))}
        if partners := {bases[base] for base in covered if base in bases}:
            line_of = number
            break
        bases |= dict.fromkeys(covered, number)
    with pytest.raises(BadData) as refused:
        open_track(path)
    assert f"line {line_of}: 1:" in str(refused.value)
    assert any(f"overlaps line {number}, " in str(refused.value) for number in partners)
    # neighbours in any order, NaN over a value, and peaks, which may overlap
    path.write_text("1\t5\t9\t2\n1\t0\t5\t1\n2\t0\t9\t3\n1\t0\t9\tNaN\n")
    assert open_track(path).values("1", 3, 7).tolist() == [1, 1, 2, 2]
    (tmp_path / "x.bed").write_text("1\t0\t5\n1\t4\t9\n")
    assert open_track(tmp_path / "x.bed").values("1", 3, 10).tolist() == [1] * 6 + [0]
