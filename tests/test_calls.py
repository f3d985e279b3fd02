"""Readers of callers' tables, against introns written by hand into each documented layout."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import label_introns
from intronaut.core.errors import BadData, ToolError, UsageError
from intronaut.genome.annotation import read_annotation
from intronaut.io.tables import read_labels
from intronaut.labels.call_options import CallOptions
from intronaut.labels.calls import collapse, read_calls
from intronaut.labels.irfinder_flags import flags_of

FOLDER = Path(__file__).parent / "data" / "callers"
# 0-based, half-open; the third intron of the plus gene (1700-2000) has a missing value in every file
INTRONS = {(1100, 1300, "+"), (1400, 1600, "+"), (4100, 4300, "-"), (4400, 4700, "-")}
RETAINED = {(1100, 1300), (4100, 4300)}
GENERIC = ["--calls-base", "1", "--calls-value", "psi", "--calls-threshold", "0.1"]
FILES = {
    "irfinder.IRFinder-IR-dir.txt": ("irfinder", "labels"),
    "irfinder_headerless.IRFinder-IR-nondir.txt": ("irfinder", "labels"),
    "iread.ir.txt": ("iread", "retained only"),
    "rmats.RI.MATS.JC.txt": ("rmats", "labels"),
    "rmats.RI.MATS.JCEC.txt": ("rmats", "labels"),
    "rmats.fromGTF.RI.txt": ("rmats_events", "lists"),
    "suppa.psi": ("suppa", "labels"),
    "suppa_RI.ioe": ("suppa_ioe", "lists"),
    "suppa.dpsi": ("suppa_dpsi", "retained only"),
    "majiq_v2.psi.tsv": ("majiq", "labels"),
    "majiq_v2_quantifier.psi.tsv": ("majiq", "labels"),
    "majiq_v1.psi.tsv": ("majiq", "labels"),
    "majiq_v2.deltapsi.tsv": ("majiq_dpsi", "retained only"),
    "vast.INCLUSION_LEVELS_FULL-Hsa2.tab": ("vast", "labels"),
    "idiffir.allIntrons.txt": ("idiffir", "labels"),
    "idiffir_old.allIntrons.txt": ("idiffir", "retained only"),
    "splicegrapher.events.tsv": ("splicegrapher", "lists"),
    "introns.bed": ("bed", "lists"),
    "shiba.PSI_RI.txt": ("shiba", "labels"),
    "whippet.psi": ("whippet", "labels"),
    "majiq_v3.psi.tsv": ("majiq", "labels"),
    "fraser.results.tsv": ("fraser", "labels"),
    "sirfinder.SIRratio.txt": ("sirfinder", "labels"),
    "interest.tsv": ("interest", "retained only"),
    "kma.flat.tsv": ("kma", "labels"),
    "superintronic.parts.tsv": ("superintronic", "labels"),
    "star.SJ.out.tab": ("star", "spliced only"),
    "generic_1based.tsv": ("psi", "labels"),
}


@pytest.fixture(scope="module")
def genes():
    return read_annotation(FOLDER / "annotation.gtf").genes


def options_for(name):
    return CallOptions(base=1, values=("psi",), retained=0.1) if name.startswith("generic") else CallOptions()


def run(tmp_path, monkeypatch, *args):
    monkeypatch.chdir(tmp_path)
    label_introns.main([str(FOLDER / "annotation.gtf"), *map(str, args), "--folds", "1", "--allow-empty", "--quiet"])
    return read_labels(tmp_path / "labels.tsv")


@pytest.mark.parametrize("name", FILES)
def test_every_format_yields_the_same_introns(name, genes):
    calls = read_calls(FOLDER / name, options_for(name), genes)
    assert set(calls["caller"]) == {FILES[name][0]}
    assert set(calls["chrom"].str.removeprefix("chr")) == {"1"}
    assert set(zip(calls["start"], calls["end"], strict=True)) == {intron[:2] for intron in INTRONS}
    stranded = calls[calls["strand"] != "."]
    assert set(zip(stranded["start"], stranded["end"], stranded["strand"], strict=True)) <= INTRONS
    assert stranded.empty == (name.startswith(("iread", "generic", "kma")))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_labels_of_every_format(name, tmp_path, monkeypatch):
    extra = GENERIC if name.startswith("generic") else []
    table = run(tmp_path, monkeypatch, "--fasta", FOLDER / "genome.fa", "--calls", FOLDER / name, *extra)
    labels = {(row.start, row.end): row.label for row in table.itertuples() if not np.isnan(row.label)}
    spliced = {intron[:2] for intron in INTRONS} - RETAINED
    wanted = {
        "labels": dict.fromkeys(RETAINED, 1) | dict.fromkeys(spliced, 0),
        "retained only": dict.fromkeys(RETAINED, 1),
        "lists": dict.fromkeys(RETAINED | spliced, 1),
        "spliced only": dict.fromkeys(RETAINED | spliced, 0),
    }
    assert labels == wanted[FILES[name][1]]
    assert table.set_index("start").loc[1700, "label_reason"] == "unmeasured"


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_file_shifted_by_one_base_is_refused_and_the_shift_named(name, tmp_path, monkeypatch):
    moved = tmp_path / name
    moved.write_text(re.sub(r"\b[1-9]\d{3}\b", lambda found: str(int(found[0]) + 1), (FOLDER / name).read_text()))
    extra = ["--calls", moved, *(GENERIC if name.startswith("generic") else [])]
    with pytest.raises(BadData, match=r"only 0\.0% of \d introns .* --shift=-1,-1 it would be 100"):
        run(tmp_path, monkeypatch, "--fasta", FOLDER / "genome.fa", *extra)
    with pytest.raises(BadData, match=r"--shift=-1,-1 it would be 100"):
        run(tmp_path, monkeypatch, *extra)
    assert not (tmp_path / "labels.tsv").exists()
    table = run(tmp_path, monkeypatch, "--fasta", FOLDER / "genome.fa", *extra, "--shift=-1,-1")
    assert table["label"].notna().any()


def test_shift_of_one_end_is_named(tmp_path, monkeypatch):
    path = tmp_path / "calls.bed"
    path.write_text("1\t1101\t1300\n1\t1401\t1600\n1\t4101\t4300\n")
    with pytest.raises(BadData, match="--shift=-1,0 "):
        run(tmp_path, monkeypatch, "--fasta", FOLDER / "genome.fa", "--calls", path)


def test_shift_that_is_named_holds_the_one_that_was_given(tmp_path, monkeypatch):
    path = tmp_path / "calls.bed"
    path.write_text("1\t1100\t1300\n1\t1400\t1600\n1\t4100\t4300\n")
    for genome in (["--fasta", FOLDER / "genome.fa"], []):
        with pytest.raises(BadData, match="with --shift=0,0 it would be 100"):
            run(tmp_path, monkeypatch, *genome, "--calls", path, "--shift=1,1")


def test_calls_of_another_assembly_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "calls.bed"
    path.write_text("".join(f"1\t{start}\t{start + 90}\n" for start in range(1010, 5000, 137)))
    with pytest.raises(BadData, match="another assembly"):
        run(tmp_path, monkeypatch, "--fasta", FOLDER / "genome.fa", "--calls", path)


@pytest.mark.parametrize(
    ("name", "flags"),
    [("A/ENSGA/clean", ""), ("A/ENSGA/known-exon", "known-exon"), ("a/b/anti-near,known-exon", "known-exon+anti-near"),
     ("known-exon/G/anti-near+anti-over", "anti-over+anti-near"), ("A", ""), (None, "")],
)  # fmt: skip
def test_flags_of_irfinder_are_the_last_part_of_its_names(name, flags):
    assert flags_of(pd.Series([name], [7])).to_dict() == {7: flags}


def test_flagged_introns_are_kept_unlabelled_or_left_out(tmp_path, monkeypatch):
    irfinder = FOLDER / "irfinder.IRFinder-IR-dir.txt"
    table = run(tmp_path, monkeypatch, "--calls", irfinder).set_index("start")
    assert table.loc[1400, "evidence"] == "irfinder=0.004;irfinder_flags=known-exon" and table.loc[1400, "label"] == 0
    assert table.loc[[1100, 1400], "flag_known_exon"].astype(float).tolist() == [0, 1]
    assert table.loc[[1100, 1400], "flag_anti_over"].astype(float).tolist() == [0, 0]
    clean = run(tmp_path, monkeypatch, "--calls", irfinder, "--calls-limits", "irfinder.require_clean=1")
    clean = clean.set_index("start")
    assert pd.isna(clean.loc[1400, "label"]) and clean.loc[1400, "label_reason"] == "flagged"
    assert clean.loc[1100, "label"] == table.loc[1100, "label"]
    left = run(tmp_path, monkeypatch, "--calls", irfinder, "--exclude-flags")
    assert set(table.index) - set(left["start"]) == {1400, 4400}
    ledger = pd.read_csv(tmp_path / "ledger.tsv", sep="\t").set_index("start")
    assert ledger.loc[1400, "reason"] == "flagged"


def test_real_irfinder_table(real_data, genes):
    path = real_data / "formats" / "IRFinder_MCF10A_chr2.IRFinder-IR-dir.txt.gz"
    calls = read_calls(path, CallOptions(), genes)
    raw = pd.read_csv(path, sep="\t", keep_default_na=False)
    assert len(calls) == len(raw) == 18286
    wanted = (raw["IntronDepth"] >= 3) & (raw["Coverage"] >= 0.7) & (raw["SpliceExact"] >= 5)
    wanted &= raw["Warnings"].isin(["-", "NonUniformIntronCover"])
    assert (calls["can_retain"] == wanted).all() and (calls["can_splice"] == (raw["SpliceExact"] >= 20)).all()
    assert (calls["start"] == raw["Start"]).all() and (calls["value"] == raw["IRratio"]).all()


def test_real_rmats_table_matches_the_annotation(real_data):
    folder = real_data / "human_chr19p_GRCh38"
    annotation = read_annotation(folder / "annotation.chr19p.ensembl91.gtf.gz")
    calls = read_calls(folder / "ir_calls.rMATS_HCT116_hypoxia.RI.MATS.txt.gz", CallOptions(), annotation.genes)
    here = calls[calls["chrom"] == "chr19"]
    assert here.groupby(["start", "end"]).ngroups == 42
    assert set(here["sample"].str.split(":").str[-1]) == {"1.1", "1.2", "1.3", "2.1", "2.2", "2.3"}


@pytest.mark.slow
def test_real_rmats_table_passes_the_coordinate_check(chr19p, real_data, tmp_path, monkeypatch):
    folder = real_data / "human_chr19p_GRCh38"
    monkeypatch.chdir(tmp_path)
    args = [folder / "annotation.chr19p.ensembl91.gtf.gz", "--fasta", chr19p / "genome.chr19p.fa.gz", "--calls"]
    label_introns.main([str(arg) for arg in [*args, folder / "ir_calls.rMATS_HCT116_hypoxia.RI.MATS.txt.gz"]])
    assert read_labels(tmp_path / "labels.tsv")["label"].notna().sum() >= 30


def test_duplicate_introns_count_once_with_the_larger_value(genes):
    calls = read_calls(FOLDER / "majiq_v2.psi.tsv", CallOptions(), genes)
    twice = collapse(calls.assign(intron=calls["start"]), "mean")
    assert twice.loc[twice["intron"] == 1100, "value"].tolist() == [0.3]


def test_files_of_one_name_in_two_folders_are_two_samples(tmp_path, monkeypatch):
    table = (FOLDER / "irfinder.IRFinder-IR-dir.txt").read_text(encoding="utf-8")
    calls = [tmp_path / sample / "IRFinder-IR-dir.txt" for sample in ("first", "second")]
    for path, ratio in zip(calls, ("0.24", "0.06"), strict=True):
        path.parent.mkdir()
        path.write_text(table.replace("\t0.24\t", f"\t{ratio}\t"), encoding="utf-8")
    labels = run(tmp_path, monkeypatch, "--calls", *calls)
    assert labels.loc[labels["start"] == 1100, "evidence"].tolist() == ["irfinder=0.15"]


def samples(values):
    rows = pd.DataFrame({"value": values, "sample": [f"s{i}" for i in range(len(values))]})
    return rows.assign(intron=0, caller="x", can_retain=True, can_splice=True, retained=0.1, spliced=0.02)


@pytest.mark.parametrize(
    ("values", "rule", "label", "reason"),
    [
        ([0.2, 0.0, 0.0], "any", 1, None),
        ([0.05, 0.0, 0.0], "any", 0, None),
        ([0.05, 0.05], "any", None, "grey_zone"),
        ([0.2, 0.2, 0.0], 0.5, 1, None),
        ([0.2, 0.0, 0.0], 0.5, None, "samples_disagree"),
        ([0.0, 0.0, 0.05], 0.5, 0, None),
        ([0.33, 0.0, 0.0], "mean", 1, None),
        ([0.06, 0.0, 0.0], "mean", 0, None),
        ([0.2, 0.0, 0.0], "mean", None, "grey_zone"),
    ],
)
def test_samples_collapse_by_the_stated_rule(values, rule, label, reason):
    row = collapse(samples(values), rule).iloc[0]
    assert (None if pd.isna(row["label"]) else row["label"], row["reason"]) == (label, reason)


def test_mean_leaves_out_samples_without_evidence():
    calls = samples([0.9, 0.01]).assign(can_retain=[False, True], can_splice=[False, True])
    row = collapse(calls, "mean").iloc[0]
    assert (row["value"], row["label"]) == (0.01, 0)


def test_thresholds_are_options(tmp_path, monkeypatch):
    irfinder = FOLDER / "irfinder.IRFinder-IR-dir.txt"
    table = run(tmp_path, monkeypatch, "--calls", irfinder, "--calls-limits", "irfinder.depth=10")
    assert table.set_index("start")["label_reason"].to_dict()[4100] == "low_evidence"
    table = run(tmp_path, monkeypatch, "--calls", irfinder, "--calls-threshold", "0.25")
    assert table.set_index("start")["label_reason"].to_dict()[1100] == "grey_zone"
    with pytest.raises(UsageError, match="no limit irfinder.deep"):
        run(tmp_path, monkeypatch, "--calls", irfinder, "--calls-limits", "irfinder.deep=1")


def test_rmats_can_ask_for_a_difference(tmp_path, monkeypatch):
    limits = ["--calls-limits", "rmats.fdr=0.05,rmats.delta=0.1"]
    table = run(tmp_path, monkeypatch, "--calls", FOLDER / "rmats.RI.MATS.JC.txt", *limits)
    assert not (table["label"] == 1).any()


def test_quantities_stay_beside_the_label(tmp_path, monkeypatch):
    files = [FOLDER / name for name in ("irfinder.IRFinder-IR-dir.txt", "iread.ir.txt", "suppa.psi")]
    table = run(tmp_path, monkeypatch, "--calls", *files, "--calls-table", "calls.tsv").set_index("start")
    assert table.loc[1100, "evidence"] == "iread=7.5;irfinder=0.24;suppa=0.45"
    assert float(table.loc[1100, "ir_value"]) == pytest.approx((0.24 + 0.45) / 2)
    said = pd.read_csv(tmp_path / "calls.tsv", sep="\t")
    assert len(said) == 12 and list(said.columns[-3:]) == ["value", "label", "label_reason"]


def test_unknown_table_names_the_options_it_needs(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="--calls-base .* --calls-value .* --calls-threshold"):
        run(tmp_path, monkeypatch, "--calls", FOLDER / "generic_1based.tsv")


def percent_table(tmp_path, factor):
    table = pd.read_csv(FOLDER / "generic_1based.tsv", sep="\t")
    path = tmp_path / "percent.tsv"
    table.assign(psi=table["psi"] * factor).to_csv(path, sep="\t", index=False, na_rep="NA")
    return path


def test_levels_in_per_cent_are_not_taken_for_shares(tmp_path, monkeypatch):
    shares = run(tmp_path, monkeypatch, "--calls", FOLDER / "generic_1based.tsv", *GENERIC)
    percent = ["--calls", percent_table(tmp_path, 100), *GENERIC[:-1]]
    with pytest.raises(BadData, match=r"column psi: values up to .* a threshold of 0.1\. If they are per cent"):
        run(tmp_path, monkeypatch, *percent, "0.1")
    read = run(tmp_path, monkeypatch, *percent, "10", "--calls-scale", "percent")
    pd.testing.assert_frame_equal(read, shares)
    as_it_is = run(tmp_path, monkeypatch, *percent, "10")
    pd.testing.assert_series_equal(as_it_is["label"], shares["label"])
    assert run(tmp_path, monkeypatch, *percent, "0.1", "--calls-scale", "other")["label"].notna().any()
    # a threshold near 0 means whatever is measured, on any scale
    assert run(tmp_path, monkeypatch, *percent, "1e-9")["label"].notna().any()


def test_a_threshold_in_per_cent_is_refused_for_shares(tmp_path, monkeypatch):
    generic = ["--calls", FOLDER / "generic_1based.tsv", *GENERIC[:-1]]
    with pytest.raises(BadData, match="column psi: no value above .* but a threshold of 10"):
        run(tmp_path, monkeypatch, *generic, "10")
    with pytest.raises(BadData, match="irfinder has values from 0 to 1, but a threshold of 10"):
        run(tmp_path, monkeypatch, "--calls", FOLDER / "irfinder.IRFinder-IR-dir.txt", "--calls-threshold", "10")
    with pytest.raises(BadData, match="from 0 to 400 are no per cent"):
        run(tmp_path, monkeypatch, "--calls", percent_table(tmp_path, 1000), *GENERIC[:-1], "10", "--calls-scale",
            "percent")  # fmt: skip


def test_format_that_does_not_fit_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ToolError, match="not a table of rmats: it lacks riExonStart_0base"):
        run(tmp_path, monkeypatch, "--calls", FOLDER / "suppa.psi", "--calls-format", "rmats")


def headerless_irfinder_with_tabs():
    text = (FOLDER / "irfinder_headerless.IRFinder-IR-nondir.txt").read_text()
    return text.replace("\n", "\t\n")


def changes_with_other_names():
    header, rows = (FOLDER / "suppa.dpsi").read_text().split("\n", 1)
    return f"{header.upper()}\n{rows}"


@pytest.mark.parametrize(
    "text",
    [
        headerless_irfinder_with_tabs(),
        changes_with_other_names(),
        "chr1\t1100\t1300\t0.4\nchr1\t1400\t1600\t0.0\n",
        "chr1\t1100\t1300\t0.4\t+\nchr1\t1400\t1600\t0\t+\n",
        "chr1\t1100\t1300\t+\t0.4\nchr1\t1400\t1600\t+\t0\n",
    ],
    ids=["IRFinder without header, with tabs at line ends", "SUPPA2 changes", "bedGraph", "level", "strand"],
)
def test_levels_are_not_taken_for_a_list_of_retained_introns(text, tmp_path, monkeypatch):
    (tmp_path / "calls").write_text(text)
    with pytest.raises(UsageError, match="no caller's table that is known"):
        run(tmp_path, monkeypatch, "--calls", "calls")


def as_r_writes(text, sep, decimal="."):
    """The table as R's write.csv or write.csv2 gives it, with row names."""
    header, *lines = [line.split("\t") for line in text.rstrip("\n").split("\n")]
    rows = [['""', *(f'"{name}"' for name in header)]]
    for number, cells in enumerate(lines, 1):
        cells = [cell.strip('"') for cell in cells]
        numeric = [re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?", cell) for cell in cells]
        rows.append(
            [f'"{number}"', *(c.replace(".", decimal) if n else f'"{c}"' for c, n in zip(cells, numeric, strict=True))]
        )
    return "".join(sep.join(row) + "\n" for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rmats.RI.MATS.JC.txt", "irfinder.IRFinder-IR-dir.txt", "whippet.psi"])
def test_tables_through_r_are_read_or_refused_by_what_to_do(name, tmp_path, monkeypatch):
    text = (FOLDER / name).read_text()
    plain = run(tmp_path, monkeypatch, "--calls", FOLDER / name)
    (tmp_path / name).write_text(as_r_writes(text, ","))
    pd.testing.assert_frame_equal(
        run(tmp_path, monkeypatch, "--calls", name)[["start", "label"]], plain[["start", "label"]]
    )
    (tmp_path / name).write_text(as_r_writes(text, ";", ","))
    with pytest.raises(BadData, match="parted by semicolons.*write.table"):
        run(tmp_path, monkeypatch, "--calls", name)
    (tmp_path / name).write_text(as_r_writes(text, "\t", ","))
    with pytest.raises(BadData, match="write decimals with a point"):
        run(tmp_path, monkeypatch, "--calls", name)


def test_events_of_suppa_through_write_csv_are_read(tmp_path, monkeypatch):
    header, *lines = (FOLDER / "suppa.psi").read_text().rstrip("\n").split("\n")
    rows = [",".join(['""', *(f'"{name}"' for name in header.split("\t"))])]
    rows += [",".join([f'"{event}"', *levels]) for event, *levels in (line.split("\t") for line in lines)]
    (tmp_path / "psi.csv").write_text("\n".join(rows) + "\n")
    table = run(tmp_path, monkeypatch, "--calls", "psi.csv")
    assert table["label"].equals(run(tmp_path, monkeypatch, "--calls", FOLDER / "suppa.psi")["label"])
