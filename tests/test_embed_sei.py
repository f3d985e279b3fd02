"""embed_sei as its user runs it: features, contexts, strands, refusals, and runs that are killed."""

import gzip
import os
import random
import resource
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import anndata
import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import embed_sei
import fetch_sequences
from conftest import ROOT
from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData, UsageError
from intronaut.features import sei
from intronaut.features.sei import codes_of, problem_with
from intronaut.features.sei_targets import class_scores
from intronaut.io.fasta import read_windows
from random_checkpoints import write_sei
from test_sei import FEATURE_BOUND, PROBABILITY_BOUND, PUBLISHED, TINY_BOUNDS, filled, relative_error
from test_weights import Canary


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights, names and vectors of the published numbers, and a random checkpoint as fetch_weights would leave one."""
    made = write_sei(tmp_path_factory.mktemp("sei"), outputs=50)
    save_file(filled((30, 40, 60), 50, TINY_BOUNDS), made / "published.safetensors")
    np.save(made / "vectors.npy", PUBLISHED["projection_projvec"])
    return made


@pytest.fixture
def embed(folder, tmp_path, capsys):
    """Run the tool in this process, which has torch already; returns the features and what it told."""

    def run(sequences, *options, weights="published.safetensors", name="out.h5ad"):
        path = tmp_path / "windows.fa"
        path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
        words = [path, "--weights", folder / weights, "--targets", folder / "target.names", "--threads", 1,
                 "--projection", folder / "vectors.npy", "--output", tmp_path / name, *options]  # fmt: skip
        embed_sei.main([str(word) for word in words])
        told = capsys.readouterr()
        return told.out if "--estimate" in options else (anndata.read_h5ad(tmp_path / name), told.err)

    return run


def published(length):
    return {f"w{i}": bytes(sequence).decode() for i, sequence in enumerate(PUBLISHED[f"tiny_{length}_seqs"])}


def random_dna(seed, *lengths, letters="ACGT"):
    draw = random.Random(seed)
    return {f"w{i}": "".join(draw.choices(letters, k=length)) for i, length in enumerate(lengths)}


@pytest.mark.parametrize(("length", "context"), [(600, "native"), (1001, "native"), (4096, "genome"), (4096, "npad")])
def test_profiles_are_the_published_ones(embed, length, context):
    found, _ = embed(published(length), "--context", context)
    assert np.abs(found.X - PUBLISHED[f"tiny_{length}_pred_mean"]).max() < PROBABILITY_BOUND


@pytest.mark.parametrize(("features", "name"), [("all", "pred"), ("logits", "logits"), ("spline", "spline")])
def test_strands_are_the_published_ones(embed, features, name):
    options = ["--context", "native", "--features", features, "--strands"]
    forward, reverse = (PUBLISHED[f"tiny_600_{name}_{strand}"] for strand in ("fwd", "rc"))
    both, _ = embed(published(600), *options, "both", name="both.h5ad")
    assert relative_error(both.X, np.hstack([forward, reverse])) < FEATURE_BOUND
    assert relative_error(embed(published(600), *options, "forward", name="fwd.h5ad")[0].X, forward) < FEATURE_BOUND
    assert relative_error(embed(published(600), *options, "mean")[0].X, (forward + reverse) / 2) < FEATURE_BOUND
    assert both.var["strand"].tolist() == ["forward"] * forward.shape[1] + ["reverse"] * forward.shape[1]


def test_sequence_classes_are_projections_of_the_profiles(embed, folder):
    names = ["--class-names", folder / "seqclass.names"]
    found, _ = embed(published(600), "--context", "native", "--features", "seqclass", *names)
    wanted = class_scores(PUBLISHED["tiny_600_pred_mean"], PUBLISHED["projection_projvec"])[:, :40]
    assert np.abs(found.X - wanted).max() < 1e-5 and found.var_names[3] == "C3 class 3"


def test_trunk_is_the_mean_over_positions(embed):
    found, _ = embed({"w0": published(600)["w0"]}, "--context", "native", "--features", "trunk", "--strands", "forward")
    assert found.shape == (1, 60)


@pytest.mark.parametrize("kind", ["tf", "histone", "access"])
def test_a_kind_of_profiles_is_those_columns_of_all(embed, kind):
    whole, _ = embed(published(600), "--context", "native", name="whole.h5ad")
    part, _ = embed(published(600), "--context", "native", "--features", kind)
    columns = whole[:, whole.var["kind"] == kind]
    assert list(part.var_names) == list(columns.var_names) and part.n_vars > 10
    assert np.abs(part.X - columns.X).max() < 1e-6


def test_chosen_profiles_come_in_the_order_of_the_targets(embed, tmp_path):
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("Cell_5 | ATAC-seq | ID:5\n\nCell_2 | DNase | ID:2\n")
    found, _ = embed(published(600), "--context", "native", "--features", chosen)
    assert np.abs(found.X - PUBLISHED["tiny_600_pred_mean"][:, [2, 5]]).max() < PROBABILITY_BOUND
    columns = list(found.var.columns)
    assert columns[:4] == ["target", "cell_type", "source", "kind"] and columns[-1] == "strand"
    chosen.write_text("CTCF\nH3K4me3\n")
    with pytest.raises(BadData, match="(?s)line 1: 'CTCF' is not in .*line 2"):
        embed(published(600), "--context", "native", "--features", chosen)


def test_npad_centres_windows_between_n(embed):
    sequences = random_dna(1, 600, 601, 33, 1, 4095, 4100, 617)
    by_hand = {}
    for name, sequence in sequences.items():
        missing = max(0, 4096 - len(sequence))
        cut = (len(sequence) - 4096) // 2 if len(sequence) > 4096 else 0
        by_hand[name] = "N" * (missing // 2) + sequence[cut : cut + 4096] + "N" * (missing - missing // 2)
    found, told = embed(sequences, "--context", "npad", "--features", "spline")
    wanted, _ = embed(by_hand, "--features", "spline", name="by_hand.h5ad")
    assert relative_error(found.X, wanted.X) < 1e-6
    assert "1 windows are longer than 4,096 bp" in told


def test_letters_case_and_strand_do_not_matter_where_they_should_not(embed):
    sequence = random_dna(2, 200)["w0"]
    twins = {"plain": sequence, "soft_masked": sequence.lower(), "reversed": reverse_complement(sequence)}
    found, _ = embed(twins, "--context", "native")
    assert np.array_equal(found.X[0], found.X[1]) and np.abs(found.X[0] - found.X[2]).max() < 1e-6


def test_ambiguity_codes_are_expanded_only_on_demand(embed):
    sequence = random_dna(3, 200)["w0"]
    windows = {"r": sequence[:99] + "R" + sequence[100:], "n": sequence[:99] + "N" + sequence[100:], "plain": sequence}
    quarter, told = embed(windows, "--context", "native", "--features", "logits", name="quarter.h5ad")
    expanded, _ = embed(windows, "--context", "native", "--features", "logits", "--iupac", "expand")
    assert np.array_equal(quarter.X[0], quarter.X[1]) and "0.33% of the bases" in told
    assert np.abs(expanded.X[0] - quarter.X[0]).max() > 1e-4
    assert np.abs(expanded.X[1:] - quarter.X[1:]).max() < 1e-6


def test_batches_order_threads_and_shards_change_nothing(embed):
    sequences = random_dna(4, *[300] * 5, *[450] * 4, 300)
    shuffled = dict(reversed(sequences.items()))
    wanted, _ = embed(sequences, "--context", "native", "--features", "spline", name="wanted.h5ad")
    options = ["--context", "native", "--features", "spline"]
    ways = {
        "batch": embed(sequences, *options, "--batch-size", 3, name="batch.h5ad"),
        "order": embed(shuffled, *options, name="order.h5ad"),
        "threads": embed(sequences, *options, "--threads", 2, name="threads.h5ad"),
        "shard": embed(dict(list(sequences.items())[3:6]), *options, name="shard.h5ad"),
    }
    for way, (found, _) in ways.items():
        assert relative_error(found.X, wanted[found.obs_names].X) < 1e-6, way


@pytest.mark.parametrize("strands", ["mean", "both", "forward"])
def test_windows_that_share_the_head_need_not_share_the_trunk(embed, monkeypatch, strands):
    sequences, options = random_dna(8, *[600] * 5), ["--context", "native", "--strands", strands]
    together, _ = embed(sequences, *options, name="together.h5ad")
    monkeypatch.setattr(sei, "TRUNK_BASES", 1200)
    apart, _ = embed(sequences, *options)
    assert np.abs(apart.X - together.X).max() < 1e-6


def test_half_precision_on_disk_and_in_computing(embed):
    wanted, _ = embed(published(600), "--context", "native", name="wanted.h5ad")
    stored, _ = embed(published(600), "--context", "native", "--store", "float16", name="stored.h5ad")
    assert stored.X.dtype == np.float16 and np.array_equal(stored.X, wanted.X.astype(np.float16))
    computed, _ = embed(published(600), "--context", "native", "--dtype", "bfloat16")
    assert 0 < np.abs(computed.X - wanted.X).max() < 5e-3


def test_released_file_and_safetensors_agree_and_random_weights_are_named(embed):
    released, _ = embed(published(600), "--context", "native", weights="sei.pth", name="pth.h5ad")
    converted, told = embed(published(600), "--context", "native", weights="model.safetensors")
    assert np.array_equal(released.X, converted.X)
    assert "random weights" in told and '"weights_note": "random weights"' in converted.uns["intronaut"]["provenance"]


def test_a_cache_gives_the_same_bytes_and_knows_its_settings(embed, tmp_path):
    windows = random_dna(3, 600, 700, 600)
    for name, options in (("plain", []), ("first", ["--cache", tmp_path / "cache"])):
        embed(windows, "--context", "native", *options, name=f"{name}.h5ad")
    # the rows that are kept, not computed ones, are what a second run writes
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(kept) == 3
    embed(windows, "--context", "native", "--cache", tmp_path / "cache", name="second.h5ad")
    assert len({(tmp_path / f"{name}.h5ad").read_bytes() for name in ("plain", "first", "second")}) == 1
    forward, _ = embed(windows, "--context", "native", "--strands", "forward", "--cache", tmp_path / "cache")
    alone, _ = embed(windows, "--context", "native", "--strands", "forward", name="alone.h5ad")
    assert (forward.X == alone.X).all()


def test_estimate_writes_no_features(embed, tmp_path):
    lines = dict(
        line.split("\t") for line in embed(random_dna(5, *[64] * 9), "--context", "native", "--estimate").splitlines()
    )
    assert lines["windows"] == "9" and float(lines["hours"]) > 0 and not (tmp_path / "out.h5ad").exists()


def test_windows_of_the_wrong_length_are_listed(embed):
    with pytest.raises(BadData, match="(?s)2 problems.*'w0' has 600 bp.*fetch_sequences --length 4096.*'w2'"):
        embed(random_dna(6, 600, 4096, 20))
    with pytest.raises(BadData, match="'w2' has 20 bp, --context native needs 32"):
        embed(random_dna(6, 600, 4096, 20), "--context", "native")


def test_sei_reads_the_bases_of_chr19p_on_both_strands_and_at_its_ends(chr19p, tmp_path):
    """200 windows, with the start of the chromosome, the edge of its first gap, and its cut end."""
    from Bio import SeqIO

    path = chr19p / "genome.chr19p.fa.gz"
    with gzip.open(path, "rt") as handle:
        chromosome = next(SeqIO.parse(handle, "fasta")).seq
    draw, size = random.Random(9), len(chromosome)
    middles = [0, 1, 2047, 2048, 2049, size - 2049, size - 2048, size - 2047, size - 1]
    # the gap of N at the telomere ends at 60,000
    middles += [draw.randrange(58_000, 62_100) for _ in range(20)]
    middles += [draw.randrange(size) for _ in range(200 - len(middles))]
    rows = [(middle, middle + 1, draw.choice("+-")) for middle in middles]
    (tmp_path / "rows.bed").write_text("".join(f"chr19\t{a}\t{b}\tr{a}\t0\t{s}\n" for a, b, s in rows))
    words = [tmp_path / "rows.bed", "--fasta", path, "--length", 4096, "-o", tmp_path / "windows.fa", "--quiet"]
    fetch_sequences.main([str(word) for word in words])
    letters = np.array(list("ACGTN"))
    options = SimpleNamespace(context="genome", iupac="quarter")
    for window, (middle, _, strand) in zip(read_windows(tmp_path / "windows.fa"), rows, strict=True):
        # the base in the middle is the 2,049th of its own strand
        start = middle - 2048 if strand == "+" else middle - 2047
        end = start + 4096
        expected = "N" * max(-start, 0) + chromosome[max(start, 0) : min(end, size)] + "N" * max(end - size, 0)
        expected = str(expected if strand == "+" else expected.reverse_complement()).upper()
        assert problem_with(window, "genome") is None
        assert "".join(letters[codes_of(window, options)]) == expected, window.name


def test_options_that_lack_a_file_are_wrong_use(folder, tmp_path):
    words = [str(tmp_path / "windows.fa"), "--weights", str(folder / "sei.pth"), "-o", str(tmp_path / "out.h5ad")]
    for more, says in ((["--features", "tf"], "--targets"), (["--features", "seqclass"], "--projection")):
        with pytest.raises(UsageError, match=says):
            embed_sei.main([*words, *more])
    with pytest.raises(UsageError, match="--output"):
        embed_sei.main([*words[:3], "--features", "spline"])


def spoiled(folder, change):
    """The random checkpoint after ``change``."""
    tensors = torch.load(folder / "sei.pth", weights_only=True)
    change({name.removeprefix("module.model."): (tensors, name) for name in list(tensors)})
    return tensors


def lose(named):
    tensors, name = named["conv2.1.bias"]
    del tensors[name]


def swap(named):
    (tensors, one), (_, other) = named["lconv2.2.weight"], named["lconv3.3.weight"]
    tensors[one], tensors[other] = tensors[other], tensors[one]


def poison(named):
    tensors, name = named["dconv3.1.weight"]
    tensors[name][1, 2, 3] = torch.nan


FAULTS = {"conv2.1.bias is missing": lose, "2 problems": swap, "dconv3.1.weight holds values": poison}


@pytest.mark.parametrize("says", FAULTS)
def test_spoiled_weights_are_refused_and_the_tensors_named(embed, folder, tmp_path, says):
    torch.save(spoiled(folder, FAULTS[says]), tmp_path / "weights.pth")
    with pytest.raises(BadData, match=says):
        embed(published(600), "--context", "native", weights=tmp_path / "weights.pth")
    assert not list(tmp_path.glob("*.h5ad"))


def test_a_fault_is_one_line_and_its_exit_code(tool, tmp_path):
    (tmp_path / "windows.fa").write_text(">a\nACGT\n")
    torch.save(Canary(tmp_path / "canary"), tmp_path / "evil.pth")
    words = ["windows.fa", "--features", "spline", "-o", "out.h5ad", "--weights"]
    for weights, code, says in (("evil.pth", 65, "nothing in it was run"), ("nothing.pth", 66, "No such file")):
        told = tool("embed_sei", *words, weights, code=code).stderr
        assert told.startswith(f"embed_sei: error: {weights}: ") and says in told and told.count("\n") == 1
    assert not (tmp_path / "canary").exists()


@pytest.fixture
def kill_test(folder, tmp_path):
    """A run of 60 windows, unbroken, and the command of one to be killed."""
    windows = tmp_path / "windows.fa"
    sequences = random_dna(7, *[600] * 50, *[1000] * 10)
    windows.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
    words = [str(windows), "--weights", str(folder / "model.safetensors"), "--features", "spline", "--context", "npad",
             "--threads", "1", "--batch-size", "2", "--quiet", "-o"]  # fmt: skip
    embed_sei.main([*words, str(tmp_path / "unbroken.h5ad")])
    return [sys.executable, ROOT / "bin/embed_sei.py", *words, tmp_path / "killed.h5ad"]


def test_a_run_killed_at_random_moments_ends_in_the_same_bytes(kill_test, tmp_path):
    draw = random.Random(8)
    killed = tmp_path / "killed.h5ad"
    for _ in range(int(os.environ.get("KILLS", 2))):
        running = subprocess.Popen(kill_test, stderr=subprocess.DEVNULL)
        rows = draw.choice([0, draw.randrange(60)])
        while running.poll() is None and done_rows(tmp_path / ".killed.h5ad.part") < rows:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.03) if rows else draw.uniform(0, 3))
        running.kill()
        if running.wait() == -signal.SIGKILL and not killed.exists():
            subprocess.run(kill_test, check=True)
        assert killed.read_bytes() == (tmp_path / "unbroken.h5ad").read_bytes()
        killed.unlink()


def done_rows(part):
    try:
        with h5py.File(part, "r", locking=False) as file:
            return file["uns/intronaut/done"][:].sum()
    except (OSError, KeyError):
        return 0


def test_a_file_that_may_not_grow_is_one_line_and_its_exit_code(kill_test, tmp_path):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(kill_test, preexec_fn=small_files, capture_output=True, text=True)
    assert done.returncode == 73 and done.stderr.count("\n") == 1
    assert not (tmp_path / "killed.h5ad").exists()
