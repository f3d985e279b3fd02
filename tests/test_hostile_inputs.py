"""Inputs that once gave wrong rows without a word, or a refusal for a wrong reason: each stands for its kind."""

import os
import subprocess
import sys
from pathlib import Path

import anndata
import pandas as pd
import pytest

import compare_callers
import embed_kmers
import fetch_sequences
import label_introns
from conftest import ROOT
from intronaut.core.errors import BadData, UsageError
from intronaut.io.h5ad import open_features

CALLERS = ROOT / "tests" / "data" / "callers"
GENERIC = (CALLERS / "generic_1based.tsv").read_text()
OPTIONS = ["--calls-base", "1", "--calls-value", "psi", "--calls-threshold", "0.1"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def label(annotation, *args):
    genome = ["--fasta", str(CALLERS / "genome.fa"), "--folds", "1", "--allow-empty", "--quiet"]
    label_introns.main([str(annotation), *genome, *map(str, args)])
    return pd.read_csv("labels.tsv", sep="\t")


def by_calls(text, *args):
    Path("calls.tsv").write_text(text)
    return label(CALLERS / "annotation.gtf", "--calls", "calls.tsv", *OPTIONS, *args)


def test_an_exon_on_the_other_strand_breaks_its_transcript():
    """Of the exons 1001-1100, 1301-1400, 1601-1700 … the second lies on the other strand: no intron spans it."""
    text = (CALLERS / "annotation.gtf").read_text().replace("1301\t1400\t.\t+", "1301\t1400\t.\t-", 1)
    Path("a.gtf").write_text(text)
    table = label("a.gtf", "--annotation-rule", "any-exon")
    assert list(zip(table["start"], table["end"], strict=True)) == [(1700, 2000), (4100, 4300), (4400, 4700)]
    ledger = pd.read_csv("ledger.tsv", sep="\t")
    assert ledger[["start", "end", "reason"]].to_numpy().tolist() == [[1100, 1600, "trans_spliced"]]


def test_a_transcript_at_two_places_of_both_strands_keeps_its_introns():
    """As RefSeq places those of palindromes: the copy on the other strand lies elsewhere."""
    one = (CALLERS / "annotation.gtf").read_text().replace("ENSGB", "ENSGA").replace("ENSTB1", "ENSTA1")
    Path("a.gtf").write_text(one)
    assert len(label("a.gtf", "--annotation-rule", "any-exon")) == 5


def test_differences_are_no_levels():
    with pytest.raises(BadData, match="column psi: values down to -0.4, but no level of retention is below 0"):
        by_calls(GENERIC.replace("0.4", "-0.4"))
    assert len(by_calls(GENERIC.replace("0.4", "-0.4"), "--calls-scale", "other")) == 5


def test_a_column_that_stands_twice_is_no_choice():
    rows = [line.split("\t") for line in GENERIC.splitlines()]
    twice = "".join("\t".join([*row, row[-1]]) + "\n" for row in rows)
    with pytest.raises(BadData, match="several columns psi"):
        by_calls(twice)
    other = twice.replace("psi\tpsi", "psi\tother")
    assert by_calls(other)["label"].notna().any()


@pytest.mark.parametrize("option", ["--calls-threshold", "--calls-spliced"])
@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_a_threshold_is_a_finite_number(option, word, capsys):
    with pytest.raises(SystemExit):
        by_calls(GENERIC, f"{option}={word}")
    assert f"'{word}' is not a finite number" in capsys.readouterr().err


def test_reads_that_are_asked_for_are_a_number():
    with pytest.raises(UsageError, match="psi>=nan is not a number"):
        by_calls(GENERIC, "--calls-evidence", "psi>=nan")


def fetch(genome):
    Path("g.fa").write_text(genome, newline="")
    Path("rows.bed").write_text("c\t10\t20\ta\t0\t+\nc\t10\t20\tb\t0\t-\n")
    words = ["rows.bed", "--fasta", "g.fa", "--length", "6", "-o", "w.fa", "--quiet"]
    fetch_sequences.main(words)
    return Path("w.fa").read_text().splitlines()[1::2]


def test_rna_is_read_as_dna_on_both_strands():
    assert fetch(">c\nAAAAAAAAAAAAUUGCAAAAAAAA\n") == ["TTGCAA", "TTGCAA"]


@pytest.mark.parametrize(
    ("genome", "match"),
    [
        (">c\rACGT\r" * 9, "carriage returns alone"),
        ("@c\nACGTACGTACGTACGTACGTAC\n+\n" + "I" * 22 + "\n", "reads, as FASTQ"),
    ],
)
def test_what_is_no_genome_is_named(genome, match):
    with pytest.raises(BadData, match=f"g.fa: .*{match}"):
        fetch(genome)


def test_labels_of_callers_are_labels():
    by_calls(GENERIC, "--calls-table", "calls_of_introns.tsv")
    table = pd.read_csv("calls_of_introns.tsv", sep="\t")
    both = pd.concat([table, table.assign(caller="other")])
    both.assign(label=2).to_csv("two.tsv", sep="\t", index=False)
    with pytest.raises(BadData, match="two.tsv: 8 labels that are not 1, 0 or NA, first"):
        compare_callers.main(["two.tsv", "--quiet"])


def test_features_that_their_owner_changed_are_read_without_our_notes():
    Path("w.fa").write_text("".join(f">w{i}\nACGTACGTTTGACA\n" for i in range(5)))
    embed_kmers.main(["w.fa", "--k", "1", "-o", "k.h5ad", "--quiet"])
    features = anndata.read_h5ad("k.h5ad")[:3].copy()
    features.write_h5ad("own.h5ad")
    with pytest.raises(BadData, match=r"delete uns\['intronaut'\]"):
        open_features("own.h5ad").read(slice(0, 3))
    del features.uns["intronaut"]
    features.write_h5ad("own.h5ad")
    assert open_features("own.h5ad").read(slice(0, 3)).shape == features.shape


@pytest.mark.parametrize("page", ["<!DOCTYPE html>\n<html></html>\n", "\n<HTML><body>404</body></HTML>\n"])
def test_a_web_page_is_named(page):
    Path("page.gtf").write_text(page)
    with pytest.raises(BadData, match="page.gtf: a web page"):
        label("page.gtf")
    with pytest.raises(BadData, match="calls.tsv: a web page"):
        by_calls(page)


def in_shell(command):
    """Standard output and error of a bash command line with the tools' folder as $BIN; it must succeed."""
    done = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | {"BIN": f"{sys.executable} {ROOT}/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_pipes_of_the_shell_are_read_as_files_are():
    """What is read twice is copied: calls are looked at before they are read, windows are counted first."""
    calls, annotation = CALLERS / "generic_1based.tsv", CALLERS / "annotation.gtf"
    by_file = f"--fasta {CALLERS}/genome.fa --folds 1 --allow-empty --quiet {' '.join(OPTIONS)}"
    in_shell(f"$BIN/label_introns.py {annotation} --calls {calls} {by_file} -o file.tsv")
    in_shell(f"$BIN/label_introns.py <(cat {annotation}) --calls <(cat {calls}) {by_file} -o pipe.tsv")
    assert Path("pipe.tsv").read_bytes() == Path("file.tsv").read_bytes()
    Path("w.fa").write_text(">a\nACGTACGTTTGACA\n>b\nACGTACGTTTGACC\n")
    in_shell("$BIN/embed_kmers.py <(cat w.fa) --k 1 --quiet -o pipe.h5ad")
    assert list(open_features("pipe.h5ad").obs.index) == ["a", "b"]


def test_a_pipe_is_named_as_it_was_given():
    command = "$BIN/embed_kmers.py <(echo nothing) --quiet -o k.h5ad; test $? = 65"
    assert "/dev/fd/" in (said := in_shell(command).stderr) and "/tmp" not in said


def test_a_pipe_that_is_written_to_is_an_output():
    words = f"{CALLERS}/annotation.gtf --fasta {CALLERS}/genome.fa --folds 1 --allow-empty --quiet"
    output = "-o >(cat > out.part; mv out.part out.tsv) --ledger l.tsv --counts c.json"
    in_shell(f"$BIN/label_introns.py {words} {output} && until [ -e out.tsv ]; do sleep 0.1; done")
    assert len(pd.read_csv("out.tsv", sep="\t")) == 5
