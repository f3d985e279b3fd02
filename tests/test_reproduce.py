"""The paper's study and ours in one run, with the demo's genome and random weights standing in for the downloads."""

import gzip
import json
import re

import pandas as pd
import pytest

import random_checkpoints
from conftest import DEMO, ROOT
from nextflow_runs import config_of, need_engine, run_nextflow, submitted


@pytest.fixture(scope="module", autouse=True)
def engine():
    need_engine()


def write_peaks(path):
    """Peaks of 600 bp every 5,000 bp of the demo's chromosome: some on retained introns, most not."""
    path.write_text("".join(f"chr19\t{start}\t{start + 600}\n" for start in range(100_000, 5_900_000, 5000)))
    return path


def test_the_profile_runs_what_every_claim_needs(tmp_path):
    fake = tmp_path / "fake"
    fake.touch()
    files = ("fasta", "gtf", "peaks", "sei_weights", "sei_targets", "dnabert2_weights", "dnabert2_tokenizer")
    args = [text for name in files for text in (f"--{name}", fake)]
    out = ["--outdir", tmp_path / "out"]
    printed = run_nextflow(ROOT / "reproduce.nf", tmp_path, "-stub-run", "-profile", "paper", *args, *out)
    networks = {f"network_{name}" for name in ("sei", "dnabert2", "basset", "basenji", "attentionconv")}
    for way in ("THEIR_WAY", "OUR_WAY"):
        assert any(re.search(rf"{way}:.*FIND_MOTIFS \(motifs_network_sei\)", task) for task in submitted(printed))
        folder = tmp_path / "out" / way.lower()
        assert networks | {"sei_logistic", "dnabert2_logistic"} < {path.name for path in (folder / "fit").iterdir()}
        assert {path.name for path in (folder / "attribute").iterdir()} == networks
    flat = config_of(tmp_path, "config", "-flat", "-profile", "paper", ROOT)
    assert "params.split = 'chromosome'\n" in flat


def test_what_the_paper_did_not_fit_is_refused_at_once(tmp_path):
    fake = tmp_path / "fake"
    fake.touch()
    args = ["--fasta", fake, "--gtf", fake, "--sei_weights", fake, "--sei_targets", fake, "--networks", "basset"]
    args += ["--outdir", tmp_path / "out", "--embedders", "sei", "--models", "logistic,elasticnet"]
    printed = run_nextflow(ROOT / "reproduce.nf", tmp_path, "-profile", "paper", *args, code=1)
    assert "--preset paper does not go with --models elasticnet" in printed
    assert "--peaks is required" in printed


def test_the_demo_says_what_the_reproduction_needs(tmp_path):
    printed = run_nextflow(ROOT / "reproduce.nf", tmp_path, "-profile", "demo", code=1)
    assert "--peaks is required" in printed and "-profile paper" in printed and "docs/reproduce.md" in printed
    # nobody typed it
    assert "paper_labels" not in printed


def sequences(path):
    """The distinct sequences of a gzip FASTA file."""
    with gzip.open(path, "rt") as lines:
        return {record.partition("\n")[2].replace("\n", "") for record in lines.read().split(">")[1:]}


def test_both_ways_end_in_claims(tmp_path):
    random_checkpoints.write_sei(tmp_path)
    args = ["--gtf", DEMO / "chr19_6Mb.gff3.gz", "--fasta", DEMO / "chr19_6Mb.fa.gz", "--outdir", tmp_path / "out"]
    args += ["--peaks", write_peaks(tmp_path / "peaks.bed"), "--embedders", "sei", "--models", "logistic"]
    args += ["--networks", "sei", "--network_epochs", "1", "--attribute_method", "gradient"]
    args += ["--tax_group", "nematodes"]  # few motifs: which ones are found is not what is tried here
    args += ["--sei_weights", tmp_path / "model.safetensors", "--sei_targets", tmp_path / "target.names"]
    args += ["--embedding_cache", tmp_path / "embedded", "--bootstrap", "200", "--cards", "2", "--partition", "false"]
    printed = run_nextflow(ROOT / "reproduce.nf", tmp_path, "-profile", "paper", *args, "--split", "groups")
    # each way embeds by options of its own, and each sequence once
    windows = {
        way: sequences(tmp_path / "out" / way / "windows" / "centre_600.fa.gz") for way in ("their_way", "our_way")
    }
    kept = [sum(path.is_file() for path in folder.rglob("*")) for folder in (tmp_path / "embedded").iterdir()]
    assert sorted(kept) == sorted(map(len, windows.values()))
    assert any("THEIR_WAY:RECORD_RUN" in task for task in submitted(printed))
    found = {way: tmp_path / "out" / way for way in ("their_way", "our_way")}
    for folder in found.values():
        claims = pd.read_table(folder / "compare" / "claims.tsv")
        assert list(claims["claim"]) == [f"C{number}" for number in range(1, 9)]
        untested = set(claims["claim"][claims["verdict"] == "not testable"])
        # on a Basset-like network, DNABERT-2, three named factors and motifs of vertebrates, which take no part here
        assert untested == {"C2", "C3", "C6", "C7"}
        # what embedding, fitting and fine-tuning took has come all the way: parameters, seconds, memory
        cost = claims.set_index("claim").loc["C8", "numbers"]
        of_each = r"\S+: [\d.,e+]+ s to train on cpu, [\d.e-]+ s per 1,000 windows to predict, [\d.]+ GB; parameters: "
        of_each += r"([\d,]+) fitted, ([\d,]+) frozen, ([\d,]+) total"
        counts = [[int(one.replace(",", "")) for one in found] for found in re.findall(of_each, cost)]
        assert len(counts) == 2 and all(fitted + frozen == total for fitted, frozen, total in counts)
        (fitted, frozen, _), (tuned, untouched, _) = counts
        assert fitted < 100 < frozen and tuned > 10**5 and untouched == 0
        # there were attributed regions to look for them in
        assert "families with the named factors" in claims.set_index("claim").loc["C7", "numbers"]
        assert (folder / "report.html").exists()
    theirs, ours = (pd.read_table(folder / "labels" / "labels.tsv") for folder in found.values())
    assert set(theirs["split"].dropna()) == {"train", "valid", "test"}
    tenth = len(theirs) // 10
    assert (theirs["split"] == "valid").sum() == (theirs["split"] == "test").sum() == tenth
    assert not ours.groupby("group")["split"].nunique().gt(1).any()
    assert theirs.groupby("group")["split"].nunique().gt(1).any()
    settings = {
        way: json.loads((folder / "fit" / "sei_logistic" / "model.json").read_text()) for way, folder in found.items()
    }
    assert settings["their_way"]["preset"] == "paper" and settings["our_way"]["preset"] == "default"
    assert settings["their_way"]["features"]["context"] == "native"
