"""Feature rows joined to labels and read in row blocks, so that a matrix larger than memory can be fitted.

Every model of Intronaut reads its inputs through :class:`Matrix`: standardised float32 row blocks, from memory when the
matrix fits under the caller's cap and from disk when it does not.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData
from intronaut.io.tables import COVARIATES

if TYPE_CHECKING:
    from intronaut.io.h5ad import Features

# a row whose name is another row's name and one of these holds the reverse complement of the same locus
REVERSE_SUFFIXES = ("_rc", "_r")
LOG_COVARIATES = ("length", "rank", "n_introns", "dist_tss", "dist_tes", "gene_length")
BLOCK_BYTES = 32 << 20
# rows that stay in a processor's cache while several products read them
CHUNK_BYTES = 4 << 20
# what trees take for a missing value: below all others, so that a split tells it from them without knowing any
BELOW_ALL = float(np.finfo(np.float32).min)


def chunks(rows: slice, values: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The rows of a block a few at a time, ``(rows, values)``, so that the second product on them reads no memory."""
    step = max(16, CHUNK_BYTES // max(values[:1].nbytes, 1))
    for first in range(0, len(values), step):
        part = values[first : first + step]
        yield slice(rows.start + first, rows.start + first + len(part)), part


def names_digest(names: pd.Index) -> str:
    """One sha256 over feature names in their order: what tells whether a model fits a features file."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def locus_rows(names: pd.Index) -> dict[str, list[int]]:
    """Find the rows of each locus among feature row names.

    Returns a dict from locus name to its row numbers: one, or two where the reverse complement is a row of its own.
    """
    row_of = {name: row for row, name in enumerate(names)}
    stems = {name: stem for name in names for stem in [_forward_name(name)] if stem in row_of}
    loci = {name: [row] for name, row in row_of.items() if name not in stems}
    for name, stem in stems.items():
        loci[stem].append(row_of[name])
    return loci


def _forward_name(name):
    return next((name.removesuffix(end) for end in REVERSE_SUFFIXES if name.endswith(end)), None)


def every_locus(features: Features) -> tuple[np.ndarray, list[str]]:
    """The ``(n, 2)`` feature rows of every locus of a features file, in its order, and the loci's names."""
    loci = locus_rows(features.obs.index)
    return np.array([[rows[0], rows[-1]] for rows in loci.values()], np.int64).reshape(-1, 2), list(loci)


def join(features: Features, labels: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, dict[str, int]]:
    """Match labelled windows to feature rows by name.

    Returns:
        ``(table, rows, counts)``: the labelled rows that have features, in the order of ``labels``; their ``(n, 2)``
        feature rows, twice the same where a locus has one row; and how many windows fell out by reason, which add up
        with ``used`` to the windows on either side.
    """
    loci = locus_rows(features.obs.index)
    with_features = labels["name"].isin(loci.keys()).to_numpy()
    labelled = labels["label"].notna().to_numpy()
    table = labels[with_features & labelled].reset_index(drop=True)
    counts = {
        "labels": len(labels),
        "features": len(features.obs),
        "loci": len(loci),
        "used": len(table),
        "label_missing": int((~labelled).sum()),
        "labelled_without_features": int((labelled & ~with_features).sum()),
        "features_without_label_row": len(loci) - int(with_features.sum()),
        "features_with_missing_label": int((with_features & ~labelled).sum()),
    }
    if table.empty:
        raise BadData(
            f"{features.path}: no row is a labelled window; features hold names like {features.obs.index[0]!r}, "
            f"labels like {labels['name'].iloc[0]!r}" if len(labels) and len(features.obs) else
            f"{features.path}: no row is a labelled window"
        )  # fmt: skip
    rows = np.array([[loci[name][0], loci[name][-1]] for name in table["name"]], np.int64)
    return table, rows, counts


def covariates(
    table: pd.DataFrame, known: np.ndarray, more: pd.DataFrame | None = None, fill: float | None = None
) -> pd.DataFrame:
    """What a window's place and base content tell without any model, and covariates of the user, as numbers to fit.

    Lengths, distances and ranks are taken as log(1 + x). A missing value becomes the median of the ``known`` rows
    (bool, those that may train), or ``fill``, and a column ``covariate:NAME_missing`` marks it. ``length`` falls back
    on ``end - start``.

    Args:
        more: DataFrame of float64, one row per row of ``table``, such as the values of a
            :class:`intronaut.io.covariates.UserCovariates`; taken as they are.

    Returns a float32 DataFrame of one row a window; columns that never vary are left out.
    """
    table = table.assign(length=table.get("length", table["end"] - table["start"]))
    values = {name: table[name].to_numpy(float) for name in COVARIATES if name in table}
    values |= {name: np.log1p(np.abs(values[name])) for name in LOG_COVARIATES if name in values}
    values |= {} if more is None else {name: more[name].to_numpy(float) for name in more}
    columns = {}
    for name, column in values.items():
        missing = np.isnan(column)
        if missing[known].all():
            continue
        filled = np.median(column[known & ~missing]) if fill is None else fill
        columns[f"covariate:{name}"] = np.where(missing, filled, column)
        if missing.any():
            columns[f"covariate:{name}_missing"] = missing
    columns = pd.DataFrame(columns, dtype=np.float32)
    return columns.loc[:, columns.nunique() > 1]


@dataclass
class Scale:
    """Mean and standard deviation of each column, float64, over the rows that may train; a constant column has sd 1."""

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def identity(cls, d: int) -> Scale:
        """The scale that leaves ``d`` columns as they are."""
        return cls(np.zeros(d), np.ones(d))


class Matrix:
    """``n`` loci × ``d`` columns, read as standardised float32 row blocks of a fixed size.

    The columns are those of a features file (both strands of a locus averaged), then those of ``extra``. The blocks,
    and so every sum over them, are the same for any number of threads. Columns are standardised by ``scale``, or by
    the mean and spread of the ``known`` rows. Rows are kept in memory when they fit under
    ``memory`` bytes, else every pass reads them from disk.
    """

    def __init__(
        self,
        features: Features | None = None,
        rows: np.ndarray | None = None,
        columns: np.ndarray | None = None,
        extra: pd.DataFrame | None = None,
        *,
        known: np.ndarray | None = None,
        scale: Scale | None = None,
        memory: int = 8 << 30,
        threads: int = 1,
    ) -> None:
        self.features, self.rows, self.extra = features, rows, extra
        self.columns = columns if columns is not None or features is None else np.arange(len(features.var))
        self.names = [] if features is None else list(features.var.index[self.columns])
        self.names += [] if extra is None else list(extra.columns)
        self.n = len(rows) if rows is not None else len(extra)
        self.d = len(self.names)
        self.threads, self.pool = threads, ThreadPoolExecutor(threads)
        step = int(np.clip(BLOCK_BYTES // (4 * max(self.d, 1)), 16, 4096))
        self.blocks = [slice(first, min(first + step, self.n)) for first in range(0, self.n, step)]
        self.kept = np.empty((self.n, self.d), np.float32) if 4 * self.n * self.d <= memory else None
        self._fill()
        self.scale = scale or self._measure(np.ones(self.n, bool) if known is None else known)
        self.shift, self.shrink = self.scale.mean.astype(np.float32), (1 / self.scale.sd).astype(np.float32)
        if self.kept is not None:
            for block in self.blocks:
                self._standardise(self.kept[block])

    def _fill(self):
        for block in self.blocks:
            values = self._stored(block)
            if not np.isfinite(values).all():
                row, column = np.argwhere(~np.isfinite(values))[0]
                raise BadData(f"{self._name(block.start + row)}: {self.names[column]} is not a finite number")
            if self.kept is not None:
                self.kept[block] = values

    def _name(self, row):
        if self.features is None:
            return f"covariates of row {row + 1}"
        return f"{self.features.path}: {self.features.obs.index[self.rows[row, 0]]}"

    def _measure(self, known):
        """Two passes, the second about the first's mean, so that a large offset costs no digits."""
        total, squares = np.zeros(self.d), np.zeros(self.d)
        for block in self.blocks:
            total += self._raw(block)[known[block]].sum(axis=0, dtype=np.float64)
        mean = total / known.sum()
        for block in self.blocks:
            centred = self._raw(block)[known[block]] - mean.astype(np.float32)
            squares += np.einsum("ij,ij->j", centred, centred, dtype=np.float64)
        sd = np.sqrt(squares / known.sum())
        return Scale(mean, np.where(sd > 1e-6 * np.maximum(np.abs(mean), 1e-6), sd, 1.0))

    def _raw(self, block):
        return self.kept[block] if self.kept is not None else self._stored(block)

    def _stored(self, block):
        parts = []
        if self.features is not None:
            forward, reverse = self.rows[block].T
            values = self._from_disk(forward)
            parts.append(values if np.array_equal(forward, reverse) else (values + self._from_disk(reverse)) / 2)
        if self.extra is not None:
            # row by row in memory, as rows that are kept: products of matrices round by how these lie
            parts.append(np.array(self.extra.iloc[block], np.float32, order="C"))
        return parts[0] if len(parts) == 1 else np.hstack(parts)

    def _from_disk(self, rows):
        # HDF5 reads increasing row numbers only, and contiguous ones far faster
        distinct, place = np.unique(rows, return_inverse=True)
        span = distinct[-1] - distinct[0] + 1
        if span <= 2 * len(distinct):
            values = self.features.read(slice(distinct[0], distinct[-1] + 1))[distinct - distinct[0]]
        else:
            values = self.features.read(distinct)
        as_they_lie = np.array_equal(self.columns, np.arange(values.shape[1]))
        values = values if as_they_lie else values[:, self.columns]
        return values[place].astype(np.float32)

    def _standardise(self, values):
        values -= self.shift
        values *= self.shrink
        return values

    def block(self, rows: slice) -> np.ndarray:
        """The standardised float32 rows of one of ``self.blocks``; not to be written to."""
        return self.rows_at(rows)

    def rows_at(self, rows: np.ndarray | slice) -> np.ndarray:
        """The standardised float32 rows of any row numbers."""
        values = self.kept[rows] if self.kept is not None else self._standardise(self._stored(rows))
        return values[:, : self.d]

    def map(self, work: Callable[..., Any], blocks: Sequence[slice] | None = None) -> Iterator[Any]:
        """Yield ``work(rows, values)`` for every block, or some ``blocks``, in order, by ``self.threads`` threads."""
        blocks = self.blocks if blocks is None else blocks
        # a bounded window of blocks, so that a slow reader never fills the memory
        for first in range(0, len(blocks), 4 * self.threads):
            ahead = blocks[first : first + 4 * self.threads]
            yield from self.pool.map(lambda rows: work(rows, self.block(rows)), ahead)

    def leading(self, d: int) -> Matrix:
        """The first ``d`` columns as a Matrix over the same memory."""
        view = copy.copy(self)
        view.d, view.names = d, self.names[:d]
        view.scale = Scale(self.scale.mean[:d], self.scale.sd[:d])
        return view

    def values(self) -> np.ndarray:
        """All rows at once, standardised, ``(n, d)`` float32."""
        return np.vstack([self.block(rows) for rows in self.blocks])
