"""Features kept by sequence: the same bytes, computed once over runs and shards, whatever happens to files."""

import os
import threading

import numpy as np
import pandas as pd
import pytest
import torch

from intronaut.core.dna import base_codes
from intronaut.core.log import Log
from intronaut.features.embed import Embedder, by_equal_length, embed
from intronaut.features.row_cache import RowCache

VAR = pd.DataFrame(index=["length", "sum", "first"])
LOG = Log("test", type("Args", (), {"quiet": True}))
DRAW = np.random.default_rng(1)
SEQUENCES = ["".join(DRAW.choice(list("ACGT"), 30)) for _ in range(60)]


def cache_of(folder, limit_bytes=10**9, **how):
    return RowCache(folder, how, 3, "float32", limit_bytes)


def run(folder, name, sequences, cache=None):
    """Embed sequences; returns the bytes of the features file and how many sequences were computed."""
    computed = []

    def compute(batch):
        computed.extend(batch)
        return np.array([[len(codes), codes.sum() / 7, codes[0]] for codes in batch], np.float32)

    path = folder / f"{name}.fa"
    path.write_text("".join(f">w{number}\n{sequence}\n" for number, sequence in enumerate(sequences)))
    embedder = Embedder(encode=lambda window: base_codes(window.sequence), compute=compute, cut=by_equal_length,
                        size=lambda lengths: 8, most=64, device=torch.device("cpu"))  # fmt: skip
    output = folder / f"{name}.h5ad"
    embed(path, output, embedder, VAR, {"tool": "test"}, batch_size=8, cache=cache, log=LOG)
    return output.read_bytes(), len(computed)


def files_of(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_second_run_computes_nothing_and_writes_the_same_bytes(tmp_path):
    plain, _ = run(tmp_path, "plain", SEQUENCES)
    first, computed = run(tmp_path, "first", SEQUENCES, cache_of(tmp_path / "cache"))
    again, repeated = run(tmp_path, "again", SEQUENCES, cache_of(tmp_path / "cache"))
    assert plain == first == again
    assert (computed, repeated) == (60, 0)


def test_other_shards_compute_only_what_is_new(tmp_path):
    run(tmp_path, "first", SEQUENCES[:25], cache_of(tmp_path / "cache"))
    turned = SEQUENCES[::-1]
    wanted, _ = run(tmp_path, "plain", turned)
    found, computed = run(tmp_path, "second", turned, cache_of(tmp_path / "cache"))
    assert found == wanted and computed == 35


def test_another_model_shares_nothing(tmp_path):
    run(tmp_path, "first", SEQUENCES, cache_of(tmp_path / "cache", weights="one"))
    _, computed = run(tmp_path, "second", SEQUENCES, cache_of(tmp_path / "cache", weights="other"))
    assert computed == 60


@pytest.mark.parametrize("harm", [
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
    lambda path: path.unlink(),
])  # fmt: skip
def test_what_is_harmed_is_computed_again(tmp_path, harm):
    wanted, _ = run(tmp_path, "first", SEQUENCES, cache_of(tmp_path / "cache"))
    harm(sorted(files_of(tmp_path / "cache"))[7])
    found, computed = run(tmp_path, "second", SEQUENCES, cache_of(tmp_path / "cache"))
    assert found == wanted and computed == 1
    _, computed = run(tmp_path, "third", SEQUENCES, cache_of(tmp_path / "cache"))
    assert computed == 0


def test_the_least_recently_used_go_first(tmp_path):
    cache = cache_of(tmp_path, limit_bytes=5 * 16)
    cache.put([f"{number:016x}" for number in range(8)], np.arange(24).reshape(8, 3))
    for number, path in enumerate(sorted(files_of(tmp_path))):
        os.utime(path, (number, number))
    assert cache.get(f"{0:016x}").tolist() == [0, 1, 2]  # used now, though it is the oldest
    cache.shrink()
    assert [cache.get(f"{number:016x}") is not None for number in range(8)] == [True, *[False] * 3, *[True] * 4]


def test_runs_side_by_side_share_a_folder_that_is_shrunk_meanwhile(tmp_path):
    wanted, _ = run(tmp_path, "plain", SEQUENCES)
    found = {}

    def go(name):
        found[name] = run(tmp_path, name, SEQUENCES, cache_of(tmp_path / "cache", limit_bytes=400))[0]

    threads = [threading.Thread(target=go, args=(f"run{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found.values()) == {wanted} and len(found) == 4
    assert sum(path.stat().st_size for path in files_of(tmp_path / "cache")) <= 400
