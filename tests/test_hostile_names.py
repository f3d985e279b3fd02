"""Genes, contigs, windows and paths with names that a shell, a parser or a spreadsheet would trip over."""

import csv
import json
import os

import pytest

import embed_kmers
import fetch_sequences
import label_introns
import merge_features
import split_introns
from intronaut.core.errors import CannotWrite, ToolError
from intronaut.io.h5ad import open_features
from small_study import write_study

# names that are single words, as contigs are
WORDS = [
    "it's", '"quoted"', "$(touch${IFS}canary)", "`touch${IFS}canary`", ";rm${IFS}canary;", "a|b", "a&b", "a>b", "-rf",
    "--help", "../up", "/etc/passwd", "*", "?", "[a]", "é", "内含子", "\N{DNA DOUBLE HELIX}", "a,b", "NA", "nan",
    "None", "=1+1", "@x", "+1", "%s%n", "%41", "{0}", "\\n", "\\", "<script>alert(1)</script>", "a=b", "a:1-2(+)",
    "HLA-A*01:01", "0", "1e5", "x" * 255,
]  # fmt: skip
PHRASES = ["two words", " lead", "$(touch canary)", "; rm canary;", "a; b", "touch canary\u2028", "\u202eright to left"]
FILES = [
    "it's",
    '"q"',
    "$(touch canary)",
    "; rm canary;",
    "-rf",
    "a b",
    "*",
    "é",
    "内含子",
    "\\n",
    "%s%n",
    "~",
    "x" * 200,
]


@pytest.fixture(autouse=True)
def canary(tmp_path, monkeypatch):
    """A file that must live on, in the folder where the tools run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "canary").write_text("alive")
    yield
    assert (tmp_path / "canary").read_text() == "alive"


def read_rows(path):
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_every_tool_keeps_hostile_genes_and_contigs(tool, tmp_path):
    # what a GTF cannot say between quotes is a gene name only without them
    genes = {name: name for name in WORDS if '"' not in name} | {name: "plain" for name in PHRASES}
    annotation, genome = write_study(tmp_path, genes)
    tool("label_introns", annotation, "--fasta", genome, "--folds", 3)
    rows = read_rows("labels.tsv")
    assert {(row["gene_id"], row["chrom"]) for row in rows} == set(genes.items())
    assert len(rows) == 2 * len(genes) and {row["label"] for row in rows} == {"0", "1"}
    tool("fetch_sequences", "labels.tsv", "--fasta", genome, "--length", 200, "-o", "w.fa.gz")
    tool("split_introns", "labels.tsv", "--windows", "w.fa.gz", "--scheme", "folds", "--folds", 3)
    tool("audit_split", "--labels", "split.tsv", "--windows", "w.fa.gz")
    tool("embed_kmers", "w.fa.gz", "--k", 2, "-o", "k.h5ad")
    tool("merge_features", "k.h5ad", "-o", "m.h5ad")
    obs = open_features("m.h5ad").obs
    assert list(zip(obs.index, obs["chrom"], strict=True)) == [(row["name"], row["chrom"]) for row in rows]
    tool("fit", "--features", "m.h5ad", "--labels", "split.tsv", "--bootstrap", 100, "-o", "model")
    assert {row["name"] for row in read_rows("model/predictions.tsv")} == {row["name"] for row in rows}
    assert json.loads((tmp_path / "model/metrics.json").read_text())


@pytest.mark.parametrize("name", FILES)
def test_files_and_folders_of_any_name(tmp_path, name):
    (tmp_path / "plain").mkdir()
    study = write_study(tmp_path / "plain", {f"g{i}": "chr1" for i in range(3)})
    folder = tmp_path / name
    folder.mkdir()
    annotation, genome = (path.rename(folder / f"{name}{path.suffix}") for path in study)
    labels, windows, features, merged = (
        str(folder / f"{name}{suffix}") for suffix in (".tsv", ".fa.gz", ".h5", ".m.h5")
    )
    outputs = ["--ledger", str(folder / "ledger"), "--counts", str(folder / "counts"), "-o", labels]
    label_introns.main([str(annotation), "--fasta", str(genome), "--folds", "2", *outputs])
    fetch_sequences.main([labels, "--fasta", str(genome), "--length", "100", "-o", windows])
    embed_kmers.main([windows, "--k", "1", "-o", features])
    merge_features.main([features, "-o", merged])
    split_introns.main([labels, "--scheme", "folds", "--folds", "2", "-o", str(folder / "split")])
    assert list(open_features(merged).obs.index) == [row["name"] for row in read_rows(labels)]
    assert sorted(os.listdir(tmp_path)) == sorted(["canary", "plain", name])


@pytest.mark.parametrize("name", ['say "hi"', "tab\there", "line\nend", "\0"])
def test_names_that_a_gtf_cannot_hold_are_refused_or_read_by_its_rules(tmp_path, name):
    annotation, genome = write_study(tmp_path, {name: "chr1", "other": "chr1"})
    try:
        label_introns.main([str(annotation), "--fasta", str(genome), "--folds", "2", "--allow-empty"])
    except ToolError as refusal:
        assert refusal.code == 65
        return
    for row in read_rows("labels.tsv"):
        assert None not in row and None not in row.values()


@pytest.mark.parametrize("name", ["-rf", "--output", "-"])
def test_a_path_that_starts_with_a_dash_is_no_option(tool, tmp_path, name):
    _, genome = write_study(tmp_path, {"g": "chr1"})
    (tmp_path / "rows.bed").write_text("chr1\t1000\t1100\n")
    tool("fetch_sequences", "rows.bed", "--fasta", genome, f"--output=./{name}")
    assert (tmp_path / name).read_text().startswith(">")


def test_an_output_name_too_long_for_its_unfinished_file_is_refused(tmp_path):
    _, genome = write_study(tmp_path, {"g": "chr1"})
    (tmp_path / "rows.bed").write_text("chr1\t1000\t1100\n")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(CannotWrite, match="File name too long"):
        fetch_sequences.main(["rows.bed", "--fasta", str(genome), "-o", "x" * 255])
    assert sorted(os.listdir(tmp_path)) == before
