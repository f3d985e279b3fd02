"""The features file: opened by anndata, the same bytes however it was filled, refused when cut or unfinished."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from intronaut.core.errors import BadData, CannotWrite, MissingInput
from intronaut.io import h5ad
from intronaut.io.fasta import Window
from intronaut.io.h5ad import FeatureWriter, input_digest, open_features, window_obs

N, D = 40, 7
WINDOWS = [Window(f"w{i}", "ACGTN"[i % 5] * (i + 1), "chr1", i, 2 * i + 1, "+") for i in range(N)]
VAR = pd.DataFrame({"tf": ["é", "", *"cdefg"], "gc": np.arange(D) / 2}, index=[f"f{i}" for i in range(D)])
X = np.random.default_rng(1).normal(size=(N, D))


def writer(path, *, windows=WINDOWS, var=VAR, dtype="float32", provenance=None, resume=True):
    provenance = {"tool": "t", "k": 6} if provenance is None else provenance
    return FeatureWriter(path, window_obs(windows), var, dtype, provenance, resume=resume)


def fill(path, batch=N, x=X, **how):
    with writer(path, **how) as out:
        pending = out.pending()
        for first in range(0, len(pending), batch):
            rows = pending[first : first + batch]
            out.write(rows, x[rows])
        out.finish()
    return path.read_bytes()


def fill_here():
    return fill(Path("f.h5ad"))


def names(folder):
    return sorted(os.listdir(folder))


def in_another_process(work):
    """Start ``work`` in a forked process; returns its id."""
    if child := os.fork():
        return child
    try:
        work()
        os._exit(0)
    except BaseException as problem:
        os._exit(getattr(problem, "code", 1))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_anndata_opens_what_was_written(tmp_path, dtype):
    fill(tmp_path / "f.h5ad", dtype=dtype)
    found = anndata.read_h5ad(tmp_path / "f.h5ad")
    np.testing.assert_array_equal(found.X, X.astype(dtype))
    assert found.X.dtype == dtype
    assert list(found.obs_names) == [window.name for window in WINDOWS]
    assert list(found.obs["n_unknown"]) == [i + 1 if i % 5 == 4 else 0 for i in range(N)]
    pd.testing.assert_frame_equal(found.var, VAR, check_names=False, check_dtype=False)


def test_features_are_read_back(tmp_path):
    fill(tmp_path / "f.h5ad")
    found = open_features(tmp_path / "f.h5ad")
    pd.testing.assert_frame_equal(found.obs, window_obs(WINDOWS), check_dtype=False)
    pd.testing.assert_frame_equal(found.var, VAR, check_names=False, check_dtype=False)
    assert found.provenance == {"tool": "t", "k": 6, "input_sha256": input_digest(window_obs(WINDOWS))}
    blocks = list(found.row_blocks(16))
    assert [(block.start, block.stop) for block, _ in blocks] == [(0, 16), (16, 32), (32, 40)]
    np.testing.assert_array_equal(np.concatenate([values for _, values in blocks]), X.astype(np.float32))


def test_bytes_do_not_depend_on_the_batches_or_their_order(tmp_path):
    whole = fill(tmp_path / "f.h5ad")
    assert fill(tmp_path / "g.h5ad", batch=3) == whole
    with writer(tmp_path / "h.h5ad") as out:
        for rows in np.random.default_rng(2).permutation(N).reshape(-1, 4):
            rows = np.sort(rows)
            out.write(rows, X[rows])
        out.finish()
    assert (tmp_path / "h.h5ad").read_bytes() == whole
    assert names(tmp_path) == ["f.h5ad", "g.h5ad", "h.h5ad"]


@pytest.mark.parametrize("killed_after", [0, 1, 5, 9, 10])
def test_killed_run_is_taken_up_and_ends_in_the_same_bytes(tmp_path, killed_after):
    whole = fill(tmp_path / "whole.h5ad")
    path = tmp_path / "f.h5ad"

    def killed():
        out = writer(path)
        for first in range(0, 4 * killed_after, 4):
            rows = np.arange(first, first + 4)
            out.write(rows, X[rows])
        os.kill(os.getpid(), signal.SIGKILL)

    child = in_another_process(killed)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert names(tmp_path) == [".f.h5ad.part", "whole.h5ad"]
    with writer(path) as out:
        assert len(out.pending()) == N - 4 * killed_after
    assert fill(path) == whole
    assert names(tmp_path) == ["f.h5ad", "whole.h5ad"]


@pytest.mark.parametrize("milliseconds", range(1, 120, 13))
def test_kill_at_any_moment_leaves_a_part_that_can_be_taken_up(tmp_path, milliseconds):
    wanted = fill(tmp_path / "wanted.h5ad")

    def again_and_again():
        while True:
            fill(tmp_path / "f.h5ad", batch=1)
            (tmp_path / "f.h5ad").rename(tmp_path / "done.h5ad")

    child = in_another_process(again_and_again)
    time.sleep(milliseconds / 1000)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert fill(tmp_path / "f.h5ad") == wanted


@pytest.mark.parametrize("change", ["windows", "var", "provenance", "dtype"])
def test_part_of_another_run_is_not_taken_up(tmp_path, change):
    with writer(tmp_path / "f.h5ad") as out:
        out.write(np.arange(N), X)
    other = {
        "windows": [*WINDOWS[:-1], Window("w39", "ACGTACGT")],
        "var": VAR.rename(index={"f0": "other"}),
        "provenance": {"tool": "t", "k": 5},
        "dtype": "float16",
    }
    with writer(tmp_path / "f.h5ad", **{change: other[change]}) as out:
        assert len(out.pending()) == N


@pytest.mark.parametrize("rubbish", [b"", b"not HDF5", bytes(4000)])
def test_rubbish_part_is_begun_anew(tmp_path, rubbish):
    wanted = fill(tmp_path / "wanted.h5ad")
    (tmp_path / ".f.h5ad.part").write_bytes(rubbish)
    assert fill(tmp_path / "f.h5ad") == wanted


def test_two_runs_on_one_output_are_refused(tmp_path):
    with writer(tmp_path / "f.h5ad") as out:
        out.write(np.arange(4), X[:4])
        # not a forked process: HDF5 would know the file as its own
        script = f"import sys; sys.path[:0] = {sys.path!r}; import test_store; test_store.fill_here()"
        other = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
        assert "another run is writing it" in other.stderr
        out.write(np.arange(4, N), X[4:])
        out.finish()
    assert names(tmp_path) == ["f.h5ad"]


def test_unfinished_rows_are_refused(tmp_path):
    with pytest.raises(BadData, match="37 rows were never written"), writer(tmp_path / "f.h5ad") as out:
        out.write(np.arange(3), X[:3])
        out.finish()
    (tmp_path / ".f.h5ad.part").rename(tmp_path / "f.h5ad")
    with pytest.raises(BadData, match="37 rows are unfinished"):
        open_features(tmp_path / "f.h5ad")


@pytest.mark.parametrize("resume", [True, False])
def test_failed_run_leaves_only_a_part_that_can_be_taken_up(tmp_path, resume):
    with pytest.raises(ZeroDivisionError), writer(tmp_path / "f.h5ad", resume=resume) as out:
        out.write(np.arange(3), X[:3])
        raise ZeroDivisionError
    assert names(tmp_path) == ([".f.h5ad.part"] if resume else [])


@pytest.mark.parametrize(("dtype", "value"), [("float32", np.nan), ("float16", 70_000), ("float32", 1e39)])
def test_values_that_cannot_be_stored_are_refused(tmp_path, dtype, value):
    x = X.copy()
    x[5, 2] = value
    with pytest.raises(BadData, match="not finite for row 5"):
        fill(tmp_path / "f.h5ad", x=x, dtype=dtype)
    assert not (tmp_path / "f.h5ad").exists()


def test_cut_file_is_refused_anywhere(tmp_path):
    whole = fill(tmp_path / "f.h5ad")
    for cut in [0, 1, 8, 100, *range(500, len(whole), 997), len(whole) - 1]:
        (tmp_path / "f.h5ad").write_bytes(whole[:cut])
        with pytest.raises(BadData, match="not a whole HDF5 file"):
            open_features(tmp_path / "f.h5ad")


def test_files_of_another_layout_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "own.h5ad"
    with h5py.File(path, "w") as file:
        file["X"] = X
    with pytest.raises(BadData, match="not a features file"):
        open_features(path)
    obs, var = pd.DataFrame(index=["a", "b"]), pd.DataFrame(index=["f", "g", "h"])
    anndata.AnnData(sparse.csr_matrix(np.eye(2, 3)), obs, var).write_h5ad(path)
    monkeypatch.setattr(h5ad, "LARGEST_DENSE", 8)
    with pytest.raises(BadData, match="write it dense: adata.X = adata.X.toarray"):
        open_features(path)
    with pytest.raises(MissingInput):
        open_features(tmp_path / "none.h5ad")


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix])
def test_a_sparse_matrix_is_read(tmp_path, kind):
    values = np.where(np.random.default_rng(2).random((5, 4)) < 0.4, 1.5, 0)
    obs, var = pd.DataFrame(index=list("abcde")), pd.DataFrame(index=list("fghi"))
    anndata.AnnData(kind(values), obs, var).write_h5ad(tmp_path / "s.h5ad")
    blocks = [block for _, block in open_features(tmp_path / "s.h5ad").row_blocks(2)]
    np.testing.assert_array_equal(np.concatenate(blocks), values)


@pytest.mark.slow
def test_a_changed_bit_is_found_when_it_is_read(tmp_path):
    """Any bit of the values, names and columns; what is left are bytes that no reader looks at."""
    whole = fill(tmp_path / "f.h5ad")
    with h5py.File(tmp_path / "f.h5ad") as file:
        start, size = file["X"].id.get_offset(), file["X"].id.get_storage_size()
    rng = np.random.default_rng(3)
    expected = open_features(tmp_path / "f.h5ad")
    for at in rng.integers(start, start + size, 40).tolist():
        (tmp_path / "x.h5ad").write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(BadData, match="are not those that were written"):
            list(open_features(tmp_path / "x.h5ad").row_blocks())
    for at in rng.integers(0, len(whole), 300).tolist():
        (tmp_path / "x.h5ad").write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            found = open_features(tmp_path / "x.h5ad")
            values = np.concatenate([block for _, block in found.row_blocks()])
        except BadData:
            continue
        np.testing.assert_array_equal(values, X.astype(np.float32))
        pd.testing.assert_frame_equal(found.obs, expected.obs)
        pd.testing.assert_frame_equal(found.var, expected.var)
        assert found.provenance == expected.provenance


def test_a_users_own_matrix_is_read(tmp_path):
    obs = pd.DataFrame({"tissue": ["liver", "liver", None]}, index=["a", "b", "c"])
    obs["n"] = pd.array([1, None, 3], dtype="Int64")
    obs["kept"] = pd.array([True, None, False], dtype="boolean")
    own = anndata.AnnData(np.eye(3, 2), obs, pd.DataFrame({"tf": ["x", "y"]}, index=["f", "g"]))
    own.write_h5ad(tmp_path / "own.h5ad")
    found = open_features(tmp_path / "own.h5ad")
    assert list(found.obs.index) == ["a", "b", "c"]
    assert list(found.obs["tissue"][:2]) == ["liver", "liver"] and found.obs["tissue"].isna()["c"]
    assert found.obs["n"]["c"] == 3 and pd.isna(found.obs["n"]["b"])
    assert found.provenance == {}
    np.testing.assert_array_equal(found.x[:], np.eye(3, 2))


def test_a_string_longer_than_the_file_is_refused_before_its_memory_is_taken(tmp_path, monkeypatch):
    path = tmp_path / "own.h5ad"
    anndata.AnnData(np.eye(3, 2, dtype=np.float32)).write_h5ad(path)
    with h5py.File(path) as file:
        at = file["obs/_index"].id.get_offset()
    with open(path, "r+b") as file:
        file.seek(at + 3)  # the highest byte of the length of the first name
        file.write(b"\x10")
    monkeypatch.setattr(h5py.Dataset, "asstr", lambda strings: pytest.fail("read"))
    with pytest.raises(BadData, match="a string longer than the file"):
        open_features(path)


@pytest.mark.parametrize(("rows", "columns", "what"), [("aba", "fg", "row is named 'a'"), ("abc", "ff", "'f'")])
def test_two_rows_or_features_of_one_name_are_refused(tmp_path, rows, columns, what):
    with h5py.File(tmp_path / "own.h5ad", "w") as file:
        anndata.io.write_elem(file, "X", np.eye(3, 2))
        anndata.io.write_elem(file, "obs", pd.DataFrame(index=list(rows)))
        anndata.io.write_elem(file, "var", pd.DataFrame(index=list(columns)))
    with pytest.raises(BadData, match=what):
        open_features(tmp_path / "own.h5ad")


def test_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="file/f.h5ad: cannot write"):
        writer(tmp_path / "file" / "f.h5ad")


def test_digest_of_the_input_knows_names_sequences_and_order():
    digests = {
        input_digest(window_obs(windows))
        for windows in (WINDOWS, WINDOWS[::-1], WINDOWS[1:], [Window("x", WINDOWS[0].sequence), *WINDOWS[1:]])
    }
    assert len(digests) == 4
