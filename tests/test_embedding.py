"""The loop of the neural embedders: what is computed, how often, in which batches, and when memory runs out."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch

from intronaut.core.dna import base_codes
from intronaut.core.errors import BadData, TryAgain, UsageError
from intronaut.core.log import Log
from intronaut.features.embed import (
    READ_AHEAD,
    Embedder,
    ahead,
    by_equal_length,
    by_total_length,
    embed,
    estimate,
    largest_fitting,
)
from intronaut.io.h5ad import open_features
from intronaut.networks.device import compute_halving, pick_device

VAR = pd.DataFrame(index=["length", "sum", "first"])
LOG = Log("test", type("Args", (), {"quiet": True}))


@pytest.fixture
def sequences():
    draw = np.random.default_rng(1)
    made = ["".join(draw.choice(list("ACGT"), draw.integers(12, 30))) for _ in range(1300)]
    made[700] = made[1200] = made[3]
    return made


@pytest.fixture
def fasta(tmp_path, sequences):
    path = tmp_path / "windows.fa"
    path.write_text("".join(f">w{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
    return path


def features_of(codes):
    return [len(codes), codes.sum(), codes[0]]


def embedder(compute=None, cut=by_total_length, size=100, **more):
    compute = compute or (lambda batch: np.array([features_of(codes) for codes in batch], np.float32))
    return Embedder(encode=lambda window: base_codes(window.sequence), compute=compute, cut=cut,
                    size=lambda lengths: size, most=size * 8, device=torch.device("cpu"), **more)  # fmt: skip


def counting(batches):
    def compute(batch):
        batches.append(batch)
        return np.array([features_of(codes) for codes in batch], np.float32)

    return compute


@pytest.mark.parametrize("cut", [by_total_length, by_equal_length])
def test_every_row_has_its_own_features_and_twins_are_computed_once(tmp_path, fasta, sequences, cut):
    batches = []
    obs = embed(fasta, tmp_path / "out.h5ad", embedder(counting(batches), cut), VAR, {}, log=LOG)
    found = open_features(tmp_path / "out.h5ad")
    assert np.array_equal(found.x[:], [features_of(base_codes(sequence)) for sequence in sequences])
    assert sum(map(len, batches)) == len(set(sequences)) < len(sequences) == len(obs)


def test_a_run_taken_up_computes_the_batches_that_are_left(tmp_path, fasta):
    whole, batches = [], []
    embed(fasta, tmp_path / "whole.h5ad", embedder(counting(whole)), VAR, {}, log=LOG)

    def breaking(batch):
        if len(batches) == 30:
            raise RuntimeError("power cut")
        return counting(batches)(batch)

    with pytest.raises(RuntimeError, match="power cut"):
        embed(fasta, tmp_path / "out.h5ad", embedder(breaking), VAR, {}, log=LOG)
    # another default by now: the run goes on with the batches it began with
    embed(fasta, tmp_path / "out.h5ad", embedder(counting(batches), size=50), VAR, {}, log=LOG)
    assert (tmp_path / "out.h5ad").read_bytes() == (tmp_path / "whole.h5ad").read_bytes()
    assert [tuple(map(bytes, batch)) for batch in batches] == [tuple(map(bytes, batch)) for batch in whole]


def test_what_is_read_ahead_is_bounded(tmp_path, fasta):
    read, most = [], []

    def compute(batch):
        most.append(len(read))
        return counting([])(batch)

    worker = embedder(compute)
    worker.encode = lambda window: read.append(window.name) or base_codes(window.sequence)
    embed(fasta, tmp_path / "out.h5ad", worker, VAR, {}, log=LOG)
    assert most[0] <= 4 * READ_AHEAD and len(read) == 1298


def test_reading_happens_on_another_thread(tmp_path, fasta):
    threads = set()
    worker = embedder()
    worker.encode = lambda window: threads.add(threading.get_ident()) or base_codes(window.sequence)
    embed(fasta, tmp_path / "out.h5ad", worker, VAR, {}, log=LOG)
    assert threads and threading.get_ident() not in threads


def test_a_failure_while_reading_ahead_is_raised_where_it_is_waited_for():
    def items():
        yield 1
        raise BadData("line 7")

    found = ahead(items(), 2)
    assert next(found) == 1
    with pytest.raises(BadData, match="line 7"):
        next(found)


def fitting(most):
    def compute(batch):
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return counting([])(batch)

    return compute


def test_a_batch_that_does_not_fit_is_halved(sequences):
    batch = [base_codes(sequence) for sequence in sequences[:37]]
    assert np.array_equal(compute_halving(fitting(5), batch, LOG), [features_of(codes) for codes in batch])
    with pytest.raises(TryAgain, match="one window"):
        compute_halving(fitting(0), batch, LOG)


def test_memory_that_runs_out_below_torch_halves_the_batch_too(sequences):
    """oneDNN, which computes convolutions on CPUs, only says that it could not create what it computes with.

    The thread in which that happened creates nothing more afterwards.
    """
    spoilt = set()

    def compute(batch):
        if len(batch) > 5:
            spoilt.add(threading.current_thread())
        if threading.current_thread() in spoilt:
            raise RuntimeError("could not create a primitive")
        return counting([])(batch)

    batch = [base_codes(sequence) for sequence in sequences[:9]]
    assert np.array_equal(compute_halving(compute, batch, LOG), [features_of(codes) for codes in batch])


def test_other_failures_are_not_taken_for_a_lack_of_memory(sequences):
    def compute(batch):
        raise RuntimeError("no such kernel")

    with pytest.raises(RuntimeError, match="no such kernel"):
        compute_halving(compute, [base_codes(sequences[0])], LOG)


@pytest.mark.parametrize(("fits", "found"), [(3, 2), (9, 8), (40, 32), (1000, 64), (1, 1)])
def test_batch_size_is_found_by_trying(fits, found):
    worker = embedder(fitting(fits), by_equal_length, size=8)
    assert largest_fitting(worker, [np.zeros(10, np.uint8)] * 512, 8) == found
    with pytest.raises(TryAgain):
        largest_fitting(embedder(fitting(0), by_equal_length), [np.zeros(10, np.uint8)], 8)


def test_values_that_cannot_be_stored_name_their_record(tmp_path, fasta):
    def compute(batch):
        return np.array([[1, 2, 1e6 if len(codes) == 12 else 0] for codes in batch], np.float32)

    with pytest.raises(BadData, match=r"record 'w\d+': features that are not finite"):
        embed(fasta, tmp_path / "out.h5ad", embedder(compute), VAR, {}, store="float16", log=LOG)
    assert not (tmp_path / "out.h5ad").exists()


def test_all_windows_the_model_cannot_take_are_listed(tmp_path, fasta):
    worker = embedder(problem=lambda window: "is too short" if len(window.sequence) < 13 else None)
    with pytest.raises(BadData, match=r"(?s)problems.*record 'w\d+' is too short.*and \d+ more"):
        embed(fasta, tmp_path / "out.h5ad", worker, VAR, {}, log=LOG)


def test_further_columns_are_written(tmp_path, fasta, sequences):
    worker = embedder(describe=lambda window: {"n_a": window.sequence.count("A")})
    embed(fasta, tmp_path / "out.h5ad", worker, VAR, {}, log=LOG)
    assert open_features(tmp_path / "out.h5ad").obs["n_a"].tolist() == [sequence.count("A") for sequence in sequences]


def test_estimate_counts_and_scales(fasta, monkeypatch):
    monkeypatch.setattr("intronaut.features.embed.TRIAL_SECONDS", 0)
    lines = dict(line.split("\t") for line in estimate(fasta, embedder(), 3, log=LOG))
    assert lines["windows"] == "1300" and lines["distinct_windows"] == "1298" and lines["batch_size"] == "100"
    assert float(lines["disk_GB"]) == pytest.approx(1300 * 3 * 4 / 1e9, rel=1e-2)
    assert float(lines["hours"]) == pytest.approx(1298 / float(lines["windows_per_second"]) / 3600, rel=1e-2)


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_cuts_hold_every_place_once_and_keep_to_the_size(size):
    lengths = np.random.default_rng(3).integers(1, 40, 200)
    equal, total = by_equal_length(lengths, size), by_total_length(lengths, size)
    for batches in (equal, total):
        assert sorted(place for batch in batches for place in batch) == list(range(200))
    assert all(len(batch) <= size and len({lengths[place] for place in batch}) == 1 for batch in equal)
    assert all(sum(lengths[place] for place in batch) <= size or len(batch) == 1 for batch in total)


def test_a_device_that_is_not_there_is_wrong_use():
    assert pick_device("cpu").type == "cpu"
    for name in ("cuda:99", "abacus"):
        with pytest.raises(UsageError, match=name):
            pick_device(name)
