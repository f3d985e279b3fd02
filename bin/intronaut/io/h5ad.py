"""The features file: an HDF5 file in the AnnData layout (.h5ad) that every embedder writes and every model reads.

``X`` is ``(n, d)`` float32 or float16, contiguous, uncompressed; ``obs`` has one row a window (index = its name);
``var`` one row a feature (index = its name) with group columns; ``uns["intronaut"]`` the provenance and, for the
tools that finish rows one batch at a time, which rows are done. The layout follows the AnnData on-disk
specification 0.1.0, so ``anndata.read_h5ad`` opens the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, CannotWrite
from intronaut.core.files import require_file
from intronaut.core.parts import Lock, Part
from intronaut.io.h5ad_layout import reserve_cost, row_checksums, tables_digest, write_layout
from intronaut.io.reserved import SparseBytes, write_reserved

if TYPE_CHECKING:
    from intronaut.io.fasta import Window

# what h5py and this module raise for a file whose bytes are not what they were
_BROKEN = (KeyError, OSError, ValueError, TypeError, RuntimeError, IndexError, AttributeError, OverflowError)
# what a run writes as it goes on; the part file of an earlier version may lack some of it
_WORKED_ON = ("X", "uns/intronaut/done", "uns/intronaut/row_crc32", "uns/intronaut/batch_size")
# bytes of a sparse matrix made dense
LARGEST_DENSE = 4 << 30
_AGAIN = "copy the file again, make the features again, or if you changed them yourself delete uns['intronaut']"
OBS_COLUMNS = ("chrom", "start", "end", "strand", "length", "n_unknown", "digest")


@dataclass
class Features:
    """A features file opened for reading. ``x`` is the ``(n, d)`` dataset on disk; read it by row blocks or rows.

    ``checksums`` are those of its rows, None where the file has none (a user's own, or of an earlier version).
    """

    path: Path
    x: h5py.Dataset | np.ndarray
    obs: pd.DataFrame
    var: pd.DataFrame
    provenance: dict
    checksums: np.ndarray | None = None

    def row_blocks(self, rows: int = 2048) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield ``(slice, (rows, d) float32)`` over all rows in order."""
        for first in range(0, len(self.obs), rows):
            block = slice(first, min(first + rows, len(self.obs)))
            yield block, self.read(block).astype(np.float32)

    def read(self, rows: slice | np.ndarray) -> np.ndarray:
        """The ``(rows, d)`` values, in their stored dtype, of a slice or of increasing row numbers.

        Raises BadData where their bytes are not the ones that were written.
        """
        try:
            values = self.x[rows]
        except OSError as problem:
            raise BadData(f"{self.path}: cannot be read ({problem}); make the features again") from problem
        if self.checksums is not None:
            changed = np.flatnonzero(row_checksums(values) != self.checksums[rows])
            if len(changed):
                name = self.obs.index[rows][changed[0]]
                what = f"the values of {len(changed)} rows, first {name!r}"
                raise BadData(f"{self.path}: {what}, are not those that were written; {_AGAIN}")
        return values

    def close(self) -> None:
        """Close the file; what was sparse in it lies in memory."""
        if isinstance(self.x, h5py.Dataset):
            self.x.file.close()


def window_obs(windows: Iterable[Window]) -> pd.DataFrame:
    """The ``obs`` table of a list of Windows: coordinates, length, unknown bases, and a digest of each sequence."""
    rows = [
        (w.name, w.chrom or "", -1 if w.start is None else w.start, -1 if w.end is None else w.end, w.strand,
         len(w.sequence), len(w.sequence) - sum(w.sequence.count(base) for base in "ACGT"), sequence_digest(w.sequence))
        for w in windows
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", *OBS_COLUMNS]).set_index("name")


def sequence_digest(sequence: str) -> str:
    """The first 16 hex digits of the sha256 of a sequence."""
    return hashlib.sha256(sequence.encode()).hexdigest()[:16]


def input_digest(obs: pd.DataFrame) -> str:
    """One sha256 over all names and sequence digests in row order: the same for any sharding of the same input.

    A user's own matrix has no digests; its names alone are distinguished.
    """
    digests = obs.get("digest", [""] * len(obs))
    pairs = "".join(f"{name}\t{digest}\n" for name, digest in zip(obs.index, digests, strict=True))
    return hashlib.sha256(pairs.encode()).hexdigest()


class FeatureWriter:
    """Fills a features file row by row in a part file beside it; ``finish`` gives it its name.

    The part file has its whole size from the start, so a full disk is met before any work is done, and its layout
    never changes, so the finished bytes do not depend on the order or the number of runs that filled it. A part file
    left by a killed run with the same rows, features and provenance is taken up where it stopped.

    Raises CannotWrite for a full or read-only disk and BadData for values that are not finite.
    """

    def __init__(
        self,
        path: Path | str,
        obs: pd.DataFrame,
        var: pd.DataFrame,
        dtype: np.dtype | type | str,
        provenance: dict[str, Any],
        *,
        resume: bool = False,
        records_cost: bool = False,
    ) -> None:
        self.path, self.resume, self.records_cost = Path(path), resume, records_cost
        self._private = Part(self.path)
        self.part = self.path.with_name(f".{self.path.name}.part") if resume else self._private.path
        self._lock: Lock | None = None
        self.file = None
        self._lowest = self._highest = None
        provenance = provenance | {"input_sha256": input_digest(obs)}
        wanted = _identity(obs, var, dtype, provenance | ({"records_cost": True} if records_cost else {}))
        try:
            self.file = self._taken_up(wanted) or self._begun(obs, var, dtype, provenance, wanted)
            self.x = self.file["X"]
            self.done, self.checksums = self.file["uns/intronaut/done"], self.file["uns/intronaut/row_crc32"]
            self._batch_size = self.file["uns/intronaut/batch_size"]
        except BaseException:
            self._close()
            raise

    def _taken_up(self, wanted):
        """The part file of a killed run, opened, if it is of this run and sound; else it is removed. Or None."""
        if not self.resume or not self.part.exists():
            return None
        try:
            self._lock = Lock(self.part)
            if not self._lock.is_on(self.part):  # finished by another run in this moment
                return None
            file = h5py.File(self.part, "r+", locking=False)
        except BlockingIOError as problem:
            raise self._of_another_run() from problem
        except OSError:
            self.part.unlink()  # killed before the layout was whole
            return None
        if _identity_of(file) == wanted and all(name in file for name in _WORKED_ON):
            return file
        file.close()
        self.part.unlink()
        return None

    def _begun(self, obs, var, dtype, provenance, wanted):
        """A new part file, opened, which has its final size and under its name is whole."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._private.create()
            layout = SparseBytes()
            with h5py.File(layout, "w") as file:
                write_layout(file, obs, var, dtype, provenance, wanted)
                if self.records_cost:
                    reserve_cost(file["uns/intronaut"])
            write_reserved(self._private.path, layout)
            self._lock = self._private.lock
            if self.resume:
                # under the name that other runs know it stands only when it is whole, and never in place of another's
                self._claim()
            return h5py.File(self.part, "r+", locking=False)
        except OSError as problem:
            raise CannotWrite(f"{self.path}: cannot write: {problem.strerror or problem}") from problem

    def _claim(self):
        """Give the whole file the name by which other runs know it, which no other may have."""
        try:
            try:
                os.link(self._private.path, self.part)
            except FileExistsError:
                raise
            except OSError:  # a file system without links
                self._claim_without_links()
        except FileExistsError as problem:
            raise self._of_another_run() from problem
        self._private.unlink()

    def _claim_without_links(self):
        """Take the name by an empty file, locked until the whole one replaces it: who finds it empty removes it."""
        lock = None
        while lock is None or not lock.is_on(self.part):
            os.close(os.open(self.part, os.O_CREAT | os.O_EXCL, 0o666))
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                lock = Lock(self.part)
        os.replace(self._private.path, self.part)
        lock.release()

    def _of_another_run(self):
        return CannotWrite(f"{self.path}: another run is writing it; wait for that, or choose another name")

    def _close(self):
        """Close the file and give back the lock; what cannot be taken up is removed."""
        if self.file:
            self.file.close()
        self._private.discard()
        if self._lock:
            self._lock.release()

    def __del__(self) -> None:
        # a signal may come before the with block that was to close it
        self._close()

    def pending(self) -> np.ndarray:
        """The rows still to do, int64, in order."""
        return np.flatnonzero(self.done[:] == 0)

    @property
    def batch_size(self) -> int:
        """The batch size the rows are computed with, 0 while it is not known: a run taken up must use the same."""
        return int(self._batch_size[()])

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self._batch_size[()] = size
        self.file.flush()

    def write(self, rows: Sequence[int] | np.ndarray, values: np.ndarray | Sequence[np.ndarray]) -> None:
        """Store ``(len(rows), d)`` values at increasing ``rows``, then mark them done; both are on disk on return."""
        with np.errstate(over="ignore"):
            values = np.asarray(values).astype(self.x.dtype)
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            raise BadData(f"{self.path}: feature values that are not finite for row {rows[np.argmin(finite)]}")
        rows = np.asarray(rows)
        where = slice(rows[0], rows[-1] + 1) if rows[-1] - rows[0] + 1 == len(rows) else rows
        lowest, highest = values.min(axis=0), values.max(axis=0)
        self._lowest = lowest if self._lowest is None else np.minimum(self._lowest, lowest)
        self._highest = highest if self._highest is None else np.maximum(self._highest, highest)
        self.x[where] = values
        self.checksums[where] = row_checksums(values)
        self.file.flush()
        self.done[where] = 1
        self.file.flush()

    @property
    def n_constant(self) -> int:
        """How many features had one value in all rows that this run has written."""
        return 0 if self._lowest is None else int((self._lowest == self._highest).sum())

    def batches(self, windows: Iterable[Window], size: int) -> Iterator[tuple[list[int], list[Window]]]:
        """Yield ``(rows, [Window…])`` of at most ``size`` of the input's windows, in order, that are still to do."""
        done = self.done[:]
        pending = ((row, window) for row, window in enumerate(windows) if not done[row])
        while batch := list(itertools.islice(pending, size)):
            yield [row for row, _ in batch], [window for _, window in batch]

    def finish(self, cost: dict[str, Any] | None = None) -> None:
        """Close, flush to disk and rename the part file to its final name.

        ``cost``, a JSON-able dict of what the features took to make, is kept beside the provenance where
        ``records_cost`` has reserved its space: no two runs have the same.
        """
        if len(left := self.pending()):
            raise BadData(f"{self.path}: {len(left)} rows were never written")
        if cost:
            self.file["uns/intronaut/cost"][()] = json.dumps(cost, sort_keys=True).encode()
        self.file.close()
        with open(self.part, "rb") as handle:
            os.fsync(handle.fileno())
        if not self._lock.is_on(self.part):
            raise self._of_another_run()
        self.part.replace(self.path)

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(self, kind: object, *raised: object) -> None:
        self._close()


def _identity_of(file):
    try:
        return file["uns/intronaut/identity"][()].decode()
    except (KeyError, OSError):
        return None


def _identity(obs, var, dtype, provenance):
    text = json.dumps([list(var.index), np.dtype(dtype).name, provenance, len(obs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def open_features(path: Path | str) -> Features:
    """Open a features file made by any embedder, or a user's own .h5ad with a dense ``X``.

    Raises BadData for a file that is not HDF5, is truncated, lacks X/obs/var, is sparse, names two rows or two columns
    the same, or is unfinished.
    """
    require_file(path)
    try:
        file = h5py.File(path, "r")
    except OSError as problem:
        raise BadData(f"{path}: not a whole HDF5 file ({problem}); make the features again") from problem
    try:
        x, obs, var = file["X"], _read_frame(file["obs"]), _read_frame(file["var"])
        x = x if isinstance(x, h5py.Dataset) else _dense(path, x, (len(obs), len(var)))
    except _BROKEN as problem:
        raise BadData(f"{path}: not a features file, or a broken one: {problem}") from problem
    if x.shape != (len(obs), len(var)):
        raise BadData(f"{path}: X must be a matrix with one row a window and one column a feature")
    for kind, index in (("row", obs.index), ("feature", var.index)):
        if not index.is_unique:
            raise BadData(f"{path}: more than one {kind} is named {index[index.duplicated()][0]!r}")
        if _cannot_be_tabled("".join(map(str, index))):
            broken = next(filter(_cannot_be_tabled, map(str, index)))
            raise BadData(f"{path}: the {kind} name {broken!r} holds a tab or line end, which no table can")
    notes = file.get("uns/intronaut", {})
    try:
        if "done" in notes and not notes["done"][:].all():
            raise BadData(f"{path}: {int((notes['done'][:] == 0).sum())} rows are unfinished; run the embedder again")
        provenance = json.loads(notes["provenance"][()]) if "provenance" in notes else {}
        checksums = notes["row_crc32"][:] if "row_crc32" in notes else None
        if checksums is not None:
            _check_tables(path, notes, obs, var, provenance)
        if "cost" in notes and notes["cost"][()]:
            provenance["cost"] = json.loads(notes["cost"][()])
    except _BROKEN as problem:
        raise BadData(f"{path}: broken: {problem}; copy the file again, or make the features again") from problem
    return Features(Path(path), x, obs, var, provenance, checksums)


def _cannot_be_tabled(text):
    return any(letter in text for letter in "\t\r\n")


def _check_tables(path, notes, obs, var, provenance):
    """Raise BadData where the names, tables or provenance are not the ones that were written."""
    if notes["tables_sha256"][()].decode() != tables_digest(obs, var, provenance):
        raise BadData(f"{path}: its names, tables or provenance are not those that were written; {_AGAIN}")


def _dense(path, group, wanted):
    """A sparse matrix of AnnData (CSR or CSC) of this shape as an array."""
    kind, shape = group.attrs.get("encoding-type"), tuple(int(n) for n in group.attrs.get("shape", ()))
    if kind not in ("csr_matrix", "csc_matrix") or shape != wanted:
        raise BadData(f"{path}: X must be a matrix with one row a window and one column a feature")
    data, minor, starts = group["data"][:], group["indices"][:], group["indptr"][:]
    if shape[0] * shape[1] * data.dtype.itemsize > LARGEST_DENSE:
        raise BadData(
            f"{path}: X is sparse, and too large to be made dense in memory; write it dense: "
            "adata.X = adata.X.toarray(), adata.write_h5ad(…)"
        )
    major = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, (major, minor) if kind == "csr_matrix" else (minor, major), data)
    return dense


def _read_frame(group):
    index = group.attrs["_index"]
    columns = {name: _read_column(group[name]) for name in group.attrs["column-order"]}
    return pd.DataFrame(columns, index=pd.Index(_read_column(group[index]), name="name"))


def _read_column(item):
    if isinstance(item, h5py.Group):  # a categorical column, which anndata makes of repeated strings
        if "categories" not in item:  # a nullable column
            return np.where(item["mask"][:], None, np.asarray(_read_column(item["values"]), object))
        categories, codes = _read_column(item["categories"]), item["codes"][:]
        return np.where(codes < 0, None, np.asarray(categories, object)[codes])
    if not h5py.check_string_dtype(item.dtype):
        return item[:]
    _check_lengths(item)
    return item.asstr()[:]


def _check_lengths(strings):
    """Raise ValueError where a string is longer than its file: HDF5 takes the memory before it sees that."""
    if strings.dtype.kind != "O" or strings.id.get_offset() is None:
        return
    # an element of HDF5 is 4 bytes of length, 8 of address, 4 of index
    with open(strings.file.filename, "rb") as file:
        file.seek(strings.id.get_offset())
        elements = np.frombuffer(file.read(strings.size * 16), [("length", "<u4"), ("place", "V12")])
    if (elements["length"] > os.path.getsize(strings.file.filename)).any():
        raise ValueError("a string longer than the file")
