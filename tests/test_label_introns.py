"""label_introns as a user runs it, against a brute force over the annotation and hand-worked cases."""

import gzip
import json
from types import SimpleNamespace

import pandas as pd
import pytest

import brute_annotation
import label_introns
from conftest import DATA, DEMO
from intronaut.core.errors import ToolError
from intronaut.io.tables import COVARIATES, read_labels


@pytest.fixture
def tool(tmp_path, monkeypatch, capsys):
    """Run ``tool("label_introns", arg, …, code=0)`` inside this process, in tmp_path: many short runs, one start-up."""

    def run_tool(name, *args, code=0):
        monkeypatch.chdir(tmp_path)
        try:
            label_introns.main([str(arg) for arg in args])
            problem = None
        except ToolError as raised:
            problem = raised
        assert (problem.code if problem else 0) == code, problem
        return SimpleNamespace(stderr=f"{problem or ''}{capsys.readouterr().err}")

    return run_tool


def ledger_of(folder):
    return pd.read_csv(folder / "ledger.tsv", sep="\t", dtype={"chrom": str}, keep_default_na=False)


def counts_of(folder):
    return json.loads((folder / "counts.json").read_text())


def exon(chrom, start, end, strand, gene, transcript, biotype="protein_coding"):
    attributes = f'gene_id "{gene}"; transcript_id "{transcript}"; transcript_biotype "{biotype}";'
    return f"{chrom}\ttest\texon\t{start}\t{end}\t.\t{strand}\t.\t{attributes}\n"


@pytest.fixture
def small_gtf(tmp_path):
    """Two genes: plus with a retained second intron of three, minus with two introns and none retained."""
    lines = [exon("1", *span, "+", "A", "A1") for span in ((101, 200), (301, 400), (501, 600), (701, 800))]
    lines += [exon("1", 301, 600, "+", "A", "A2", "retained_intron")]
    lines += [exon("1", *span, "-", "B", "B1") for span in ((20001, 20100), (20201, 20300), (20401, 20500))]
    path = tmp_path / "small.gtf"
    path.write_text("".join(lines))
    return path


def compare_with_brute_force(tool, tmp_path, annotation, *options):
    tool("label_introns", annotation, "--allow-empty", "--min-length", 1, *options)
    table = read_labels(tmp_path / "labels.tsv")
    expected = brute_annotation.label_introns(brute_annotation.read_exons(annotation))
    found = {(row.chrom, row.start, row.end, row.strand): row for row in table.itertuples()}
    assert found.keys() == expected.keys()
    for key, wanted in expected.items():
        label = None if pd.isna(found[key].label) else int(found[key].label)
        assert label == wanted["label"], key
        most = min(wanted["ranks"])[0]
        assert -found[key].n_introns == most
        assert (most, found[key].rank) in wanted["ranks"]
    counts = counts_of(tmp_path)
    assert counts["n_input"] == len(expected) == counts["n_labels"] + counts["n_ledger"]
    assert sum(counts["labels"].values()) == counts["n_labels"] == len(table)
    return table, expected


def test_demo_labels_agree_with_brute_force(tool, tmp_path):
    table, _ = compare_with_brute_force(tool, tmp_path, DEMO / "chr19_6Mb.gff3.gz", "--folds", 5)
    assert 2500 < len(table) < 2700 and 220 < (table["label"] == 1).sum() < 260


@pytest.mark.parametrize("ending", ["gtf", "gff3"])
def test_chr19p_labels_agree_with_brute_force_in_both_formats(tool, tmp_path, real_data, chr19p, ending):
    folder = real_data / "human_chr19p_GRCh38" if ending == "gtf" else chr19p
    table, expected = compare_with_brute_force(tool, tmp_path, folder / f"annotation.chr19p.ensembl91.{ending}.gz")
    assert (table["label"] == 1).sum() == 693
    pairs = sum(len(intron["genes"]) for intron in expected.values())
    assert counts_of(tmp_path)["annotation"]["introns_of_genes"] == pairs


def test_yeast_introns_agree_with_brute_force(tool, tmp_path, real_data):
    yeast, _ = compare_with_brute_force(tool, tmp_path, real_data / "yeast_R64" / "annotation.R64.gff3.gz")
    assert len(yeast) == 340 and not (yeast["label"] == 1).any()


def test_chr9_introns_agree_with_brute_force(tool, tmp_path):
    path = DATA / "quantify" / "annotation.ensembl91.chr9_1_1000000.gtf.gz"
    chr9, _ = compare_with_brute_force(tool, tmp_path, path)
    assert len(chr9) == 195 and (chr9["label"] == 1).sum() == 9


def test_any_exon_rule_agrees_with_brute_force(tool, tmp_path):
    tool("label_introns", DEMO / "chr19_6Mb.gff3.gz", "--annotation-rule", "any-exon", "--min-length", 1)
    table = read_labels(tmp_path / "labels.tsv")
    expected = brute_annotation.label_introns(brute_annotation.read_exons(DEMO / "chr19_6Mb.gff3.gz"))
    assert {row.name: row.label for row in table.itertuples(index=False)} == {
        f"{chrom}:{start}-{end}:{strand}": float(found["any"])
        for (chrom, start, end, strand), found in expected.items()
    }


def test_small_annotation_by_hand(tool, tmp_path, small_gtf):
    tool("label_introns", small_gtf, "--folds", 2, "--window", 600)
    table = read_labels(tmp_path / "labels.tsv").set_index("name")
    assert table["label"].to_dict() == {
        "1:200-300:+": 0, "1:400-500:+": 1, "1:600-700:+": 0, "1:20100-20200:-": 0, "1:20300-20400:-": 0
    }  # fmt: skip
    plus, minus = table.loc["1:400-500:+"], table.loc["1:20100-20200:-"]
    columns = ["rank", "n_introns", "dist_tss", "dist_tes", "length"]
    assert plus[columns].tolist() == [2, 3, 300, 300, 100]
    assert minus[columns].tolist() == [2, 2, 300, 100, 100]
    assert table["gene_length"].tolist() == [700, 700, 700, 500, 500]
    assert table["group"].tolist() == ["1", "1", "1", "2", "2"]
    assert table["split"].nunique() == 2 and table["gc"].isna().all()


def test_gaps_shorter_than_30_bases_are_no_introns(tool, tmp_path):
    spans = (101, 200), (230, 300), (331, 400), (501, 600)
    (tmp_path / "a.gtf").write_text("".join(exon("1", *span, "+", "A", "A1") for span in spans))
    for options, gone in (((), ["1:200-229"]), (("--min-length", 31), ["1:200-229", "1:300-330"])):
        tool("label_introns", "a.gtf", "--allow-empty", "--window", 100, "--folds", 1, *options)
        ledger = ledger_of(tmp_path)
        assert (ledger["name"].str.removesuffix(":+").tolist(), set(ledger["reason"])) == (gone, {"too_short"})
    assert counts_of(tmp_path)["n_input"] == 3


def test_columns_stand_in_their_order(tool, tmp_path, small_gtf):
    tool("label_introns", small_gtf, "--folds", 2, "--window", 600)
    header = (tmp_path / "labels.tsv").read_text().split("\n")[0].split("\t")
    bed = ["chrom", "start", "end", "name", "score", "strand"]
    start = [*bed, "label", "unit", "gene_id", "gene_name", "intron_id", "evidence", *COVARIATES]
    assert header[: len(start)] == start and header[-2:] == ["group", "split"]


def test_base_content_agrees_with_counting(tool, tmp_path):
    from Bio import SeqIO

    tool("label_introns", DEMO / "chr19_6Mb.gff3.gz", "--fasta", DEMO / "chr19_6Mb.fa.gz")
    with gzip.open(DEMO / "chr19_6Mb.fa.gz", "rt") as handle:
        genome = {record.id: str(record.seq).upper() for record in SeqIO.parse(handle, "fasta")}
    for row in read_labels(tmp_path / "labels.tsv").iloc[::40].itertuples():
        bases = genome[row.chrom][row.start : row.end]
        known = sum(bases.count(base) for base in "ACGT")
        assert row.gc == pytest.approx((bases.count("G") + bases.count("C")) / known, rel=1e-5)
        both = bases.count("C") * bases.count("G")
        assert row.cpg == pytest.approx(bases.count("CG") * known / both if both else 0, rel=1e-5)


def test_eight_tool_table_matches_the_annotation(tool, tmp_path, real_data):
    folder = real_data / "human_chr19p_GRCh38"
    calls = folder / "ir_calls.iPSC_8tools_all_introns.tsv.gz"
    tool(
        "label_introns", folder / "annotation.chr19p.ensembl91.gtf.gz", "--calls", calls, "--calls-base", 0,
        "--calls-value", "*_filtintron_lwm", "--calls-threshold", 1e-9, "--min-length", 1,
    )  # fmt: skip
    table, counts = read_labels(tmp_path / "labels.tsv"), counts_of(tmp_path)
    measured = table["label"].notna()
    assert measured.sum() >= 744
    assert (table.loc[~measured, "label_reason"] == "unmeasured").all()
    raw = pd.read_csv(calls, sep="\t").set_index(["chrom", "start", "end"]).filter(like="_filtintron_")
    for row in table[measured].itertuples():
        assert row.label == (raw.loc[(f"chr{row.chrom}", row.start, row.end)] > 0).any()
    assert len(counts["callers"]) == 8
    lost = ledger_of(tmp_path)
    assert len(lost) == counts["n_ledger"] == len(raw) - measured.sum()
    assert set(lost["reason"]) == {"chrom_not_annotated", "not_annotated"}


def test_consensus_needs_as_many_callers_as_asked(tool, tmp_path, small_gtf):
    calls = tmp_path / "calls.tsv"
    calls.write_text(
        "chrom\tstart\tend\tx\ty\tz\n"
        "chr1\t201\t300\t.9\t.8\t.7\nchr1\t401\t500\t.9\t.8\t.0\nchr1\t601\t700\t0\t0\tNA\n1\t20101\t20200\t.9\t0\t0\n"
    )
    options = ["--calls", calls, "--calls-base", 1, "--calls-value", "x,y,z", "--calls-threshold", 0.5, "--folds", 2]
    wanted = {1: [1, 1, 0, 1, None], 2: [1, 1, 0, None, None], 3: [1, None, None, None, None]}
    for k, labels in wanted.items():
        tool("label_introns", small_gtf, *options, "--consensus", k, "--allow-empty", "--window", 600)
        table = read_labels(tmp_path / "labels.tsv")
        assert [None if pd.isna(x) else x for x in table["label"]] == labels
    assert table["evidence"].tolist()[2] == "x=0;y=0"
    assert table["label_reason"].iloc[4] == "unmeasured"


def test_calls_of_no_annotated_intron_go_to_the_ledger(tool, tmp_path, small_gtf):
    calls = tmp_path / "calls.tsv"
    rows = ["1\t200\t300\t+\t1", "1\t400\t500\t-\t1", "1\t200\t299\t+\t1", "2\t200\t300\t+\t1", "1\t600\t700\t.\t0"]
    calls.write_text("\n".join(["chrom\tstart\tend\tstrand\tpsi", *rows]) + "\n")
    options = ["--calls-base", 0, "--calls-value", "psi", "--calls-threshold", 0.5, "--folds", 2, "--window", 600]
    tool("label_introns", small_gtf, "--calls", calls, *options)
    lost = ledger_of(tmp_path)
    assert dict(zip(lost["name"], lost["reason"], strict=True)) == {
        "1:200-299": "not_annotated", "1:400-500": "other_strand", "2:200-300": "chrom_not_annotated"
    }  # fmt: skip
    table = read_labels(tmp_path / "labels.tsv").set_index("name")
    assert table["label"].dropna().to_dict() == {"1:200-300:+": 1, "1:600-700:+": 0}
    assert table["ir_value"].dropna().tolist() == ["1", "0"]


def test_peaks_are_labelled_by_what_covers_them(tool, tmp_path, small_gtf):
    bed = tmp_path / "peaks.bed"
    cases = {
        "retained": (380, 500), "spliced": (210, 290), "exonic": (310, 390), "edge": (190, 202), "touches": (480, 720),
        "minus": (20310, 20390), "split": (340, 460),
    }  # fmt: skip
    bed.write_text("track name=x\n" + "".join(f"chr1\t{a}\t{b}\t{name}\n" for name, (a, b) in cases.items()))
    tool("label_introns", small_gtf, "--peaks", bed, "--min-overlap", 0.5, "--folds", 2, "--window", 600)
    table = read_labels(tmp_path / "labels.tsv").set_index("name")
    assert table["label"].to_dict() == {"spliced": 0, "split": 1, "retained": 1, "minus": 0}
    assert table.loc["minus", ["dist_tss", "dist_tes", "rank", "strand"]].tolist() == [150, 350, 1, "."]
    lost = ledger_of(tmp_path)
    assert dict(zip(lost["name"], lost["reason"], strict=True)) == {
        "exonic": "outside_introns", "edge": "overlap_below_minimum", "touches": "overlap_below_minimum"
    }  # fmt: skip


def test_peak_on_a_spliced_intron_that_touches_a_retained_one_is_left_out(tool, tmp_path, small_gtf):
    bed = tmp_path / "peaks.bed"
    bed.write_text("1\t210\t410\n1\t405\t495\n1\t205\t295\n")
    tool("label_introns", small_gtf, "--peaks", bed, "--min-overlap", 0.4, "--folds", 1, "--window", 600)
    assert ledger_of(tmp_path)["reason"].tolist() == ["touches_retained"]


def test_regulatory_build_peaks_add_up(tool, tmp_path, real_data):
    folder = real_data / "human_chr19p_GRCh38"
    peaks = folder / "peaks.ensembl_regulatory_build_r100.chr19.bed.gz"
    tool("label_introns", folder / "annotation.chr19p.ensembl91.gtf.gz", "--peaks", peaks)
    counts, table, lost = counts_of(tmp_path), read_labels(tmp_path / "labels.tsv"), ledger_of(tmp_path)
    with gzip.open(peaks, "rt") as lines:
        places = sorted(tuple(line.split()[:3]) for line in lines)
    assert counts["n_input"] == len(places) == len(table) + len(lost)
    kept = zip("chr" + table["chrom"], table["start"].astype(str), table["end"].astype(str), strict=True)
    left = zip(lost["chrom"], lost["start"].astype(str), lost["end"].astype(str), strict=True)
    assert sorted([*kept, *left]) == places


def test_no_retained_intron_is_an_error_that_says_what_to_do(tool, tmp_path, real_data):
    done = tool("label_introns", real_data / "yeast_R64" / "annotation.R64.gff3.gz", code=65)
    assert "no retained" in done.stderr and "--calls" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "labels.tsv").exists()


def test_fasta_without_the_chromosome_is_refused(tool, tmp_path, small_gtf):
    fasta = tmp_path / "g.fa"
    fasta.write_text(">chr7\nACGT\n")
    done = tool("label_introns", small_gtf, "--fasta", fasta, code=65)
    assert "chr7" in done.stderr and "not in" in done.stderr


def test_annotation_that_ends_past_the_chromosome_is_refused(tool, tmp_path, small_gtf):
    fasta = tmp_path / "g.fa"
    fasta.write_text(">chr1\n" + "ACGT" * 100 + "\n")
    done = tool("label_introns", small_gtf, "--fasta", fasta, code=65)
    assert len(done.stderr.splitlines()) == 1


def test_broken_line_is_named(tool, tmp_path, small_gtf):
    small_gtf.write_text(small_gtf.read_text().replace("\t501\t", "\tfive\t"))
    done = tool("label_introns", small_gtf, code=65)
    assert "small.gtf: line 3:" in done.stderr and "five" in done.stderr


def test_every_reason_and_threshold_stands_in_the_docs():
    from intronaut.labels.annotation import MEANING
    from intronaut.labels.callers import FORMATS

    docs = (DEMO.parent.parent / "docs" / "labels.md").read_text()
    limits = {name for known in FORMATS.values() for name in known.limits} - {"retained", "spliced"}
    formats = {name for name in FORMATS if name != "majiq_v1"}
    assert [word for word in (*MEANING, *limits, *formats) if f"`{word}`" not in docs] == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--consensus", 3, "--samples", "any"], "--samples, --consensus: without effect without --calls"),
        (["--calls", "c.tsv", "--annotation-rule", "strict"], "--annotation-rule: without effect with --calls"),
        (["--paper", "--summit"], "--summit, --paper: without effect without --peaks"),
        (["--peaks", "p.bed", "--negatives", 7], "--negatives: without effect without --paper"),
        (["--peaks", "p.bed", "--paper", "--min-overlap", 0.1], "--min-overlap: without effect with --paper"),
    ],
)
def test_options_that_would_do_nothing_are_refused(tool, given, told):
    assert told in tool("label_introns", "a.gtf", *given, code=2).stderr
