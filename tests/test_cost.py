"""What embedding took is recorded on request, joined over shards, and part of a model's features."""

import json
import subprocess
import sys

import pytest

import embed_kmers
import fit
import merge_features
from conftest import ROOT
from intronaut.features.cost import Stopwatch, joined_costs
from intronaut.io.h5ad import open_features
from simulated_introns import draw_labels, introns, write_labels

FASTA = "".join(f">i{k}\n{'ACGTTGCA' * 3}{'ACGT'[k % 4] * 6}\n" for k in range(60))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = FASTA.split(">")[1:]
    for name, part in (("a", records[:30]), ("b", records[30:]), ("whole", records)):
        (tmp_path / f"{name}.fa").write_text("".join(f">{record}" for record in part))
    return tmp_path


def embedded(name, *options):
    embed_kmers.main([f"{name}.fa", "--k", "1", "-o", f"{name}.h5ad", "--quiet", *options])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it of one process")
def test_memory_of_whoever_starts_a_tool_is_not_the_tools():
    held = bytearray(400_000_000)
    code = "from intronaut.core.log import peak_bytes; a = bytearray(50_000_000); print(peak_bytes())"
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "bin", capture_output=True, text=True, check=True
    ).stdout
    assert 50_000_000 < int(printed) < 200_000_000 < len(held)


def test_costs_of_shards_add_up_and_reach_the_model(here):
    for name in ("a", "b"):
        embedded(name, "--record-cost")
    merge_features.main(["a.h5ad", "b.h5ad", "-o", "merged.h5ad", "--quiet"])
    parts = [open_features(f"{name}.h5ad").provenance["cost"] for name in ("a", "b")]
    merged = open_features("merged.h5ad").provenance["cost"]
    assert merged["windows"] == 60 and merged["device"] == "cpu" and merged["parameters_total"] == 0
    assert merged["seconds"] == pytest.approx(sum(part["seconds"] for part in parts), abs=1e-3)
    assert merged["peak_bytes"] == max(part["peak_bytes"] for part in parts) > 10**7
    write_labels(here / "labels.tsv", introns(60).assign(label=draw_labels([0] * 60, 1)))
    fit.main(["--features", "merged.h5ad", "--labels", "labels.tsv", "-o", "m", "--bootstrap", "20", "--c-values", "1",
              "--threads", "1", "--quiet"])  # fmt: skip
    notes = json.loads((here / "m/model.json").read_text())
    assert notes["features"]["cost"] == merged and notes["cost"]["seconds"] > 0


def test_without_a_request_two_runs_are_the_same_bytes(here):
    embedded("a")
    first = (here / "a.h5ad").read_bytes()
    embedded("a")
    assert (here / "a.h5ad").read_bytes() == first and "cost" not in open_features("a.h5ad").provenance
    embedded("b", "--record-cost")
    merge_features.main(["a.h5ad", "b.h5ad", "-o", "merged.h5ad", "--quiet"])
    assert "cost" not in open_features("merged.h5ad").provenance


def test_what_a_killed_run_had_done_counts_at_the_same_rate(monkeypatch):
    now = iter([10.0, 16.0])
    monkeypatch.setattr("intronaut.features.cost.time.monotonic", lambda: next(now))
    cost = Stopwatch("a GPU", 7).cost(100, 25, peak=5)
    assert (cost["seconds"], cost["device"], cost["peak_bytes"], cost["parameters_frozen"]) == (24, "a GPU", 5, 7)
    assert joined_costs([cost, None]) is None
    assert joined_costs([cost, cost | {"device": "cpu"}])["device"] == "a GPU, cpu"
