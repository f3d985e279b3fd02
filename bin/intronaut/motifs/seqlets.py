"""Seqlets: short stretches of a window that a model's attributions single out, and motifs made of them.

Attributions are an HDF5 file: ``name`` (or ``names``, n), ``observed`` (n, length) float32, what each base adds to the
logit of retention, ``hypothetical`` (n, 4, length) float32, what each of A, C, G, T would. A window shorter than
``length`` is followed by zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from intronaut.core.errors import BadData
from intronaut.core.files import require_file
from intronaut.motifs.pwm import Motif, one_hot

if TYPE_CHECKING:
    from intronaut.io.fasta import Window

WIDTH = 21
BLOCK = 256
CORE = 0.3


@dataclass
class Attributions:
    """An attributions file opened for reading: datasets on disk, and ``row_of`` from window name to row."""

    path: object
    observed: h5py.Dataset
    hypothetical: h5py.Dataset | None
    row_of: dict


def open_attributions(path: Path | str) -> Attributions:
    """Open an attributions file. Raises BadData for one that is cut, lacks a dataset or does not fit together."""
    require_file(path)
    try:
        file = h5py.File(path, "r")
    except OSError as problem:
        raise BadData(f"{path}: not a whole HDF5 file ({problem}); run attribute again") from problem
    key = "names" if "names" in file else "name"
    lacking = [name for name in (key, "observed") if not isinstance(file.get(name), h5py.Dataset)]
    if lacking:
        raise BadData(f"{path}: no dataset {', '.join(lacking)}; it has {', '.join(file) or 'none'}")
    names, observed, hypothetical = file[key], file["observed"], file.get("hypothetical")
    if not h5py.check_string_dtype(names.dtype):
        raise BadData(f"{path}: {key} is no dataset of text")
    n, shape = len(names), observed.shape
    if len(shape) != 2 or shape[0] != n or (hypothetical is not None and hypothetical.shape != (n, 4, shape[-1])):
        hypothetical_shape = "" if hypothetical is None else f", hypothetical {hypothetical.shape}"
        raise BadData(f"{path}: shapes that do not fit together: {key} ({n},), observed {shape}{hypothetical_shape}")
    row_of = {name: row for row, name in enumerate(names.asstr()[:])}
    if len(row_of) < n:
        raise BadData(f"{path}: a name occurs twice in {key}")
    return Attributions(path, observed, hypothetical, row_of)


def read_rows(attributions: Attributions, windows: list[Window]) -> np.ndarray:
    """The rows of the windows (name, sequence): int64. Raises BadData for windows without one, and longer ones."""
    names = [window.name for window in windows]
    lacking = [name for name in names if name not in attributions.row_of]
    if lacking:
        raise BadData(
            f"{attributions.path}: no attributions of {len(lacking):,} of {len(names):,} windows, as {lacking[0]}"
        )
    length = attributions.observed.shape[1]
    other = next((window for window in windows if len(window.sequence) > length), None)
    if other is not None:
        raise BadData(
            f"{attributions.path}: {length} bases a window at most, but {other.name} has {len(other.sequence)}; "
            "give the windows that were attributed"
        )
    return np.array([attributions.row_of[name] for name in names], np.int64)


def find_seqlets(observed: np.ndarray, lengths: np.ndarray, fdr: float, rng: np.random.Generator) -> pd.DataFrame:
    """Stretches of 21 bases whose attributions add up to more than chance would have it.

    The null are the same attributions, shuffled within each window; a threshold for each sign is the least sum at which
    the null has no more than ``fdr`` times as many stretches as the windows have. Of overlapping stretches the
    strongest stays.

    Args:
        observed: ``(n, length)`` float32, finite; ``lengths``: ``(n,)`` bases of each window.

    Returns:
        DataFrame in order of window and start: window, start, end (in the window), attribution (the sum).
    """
    sums, null = _sums(observed), _sums(rng.permuted(observed, axis=1))
    high, low = _threshold(sums, null, fdr), -_threshold(-sums, -null, fdr)
    rows = []
    for window, window_sums in enumerate(sums):
        inside = np.arange(len(window_sums)) <= lengths[window] - WIDTH
        for start in _strongest(window_sums, inside & ((window_sums >= high) | (window_sums <= low))):
            rows.append((window, start, start + WIDTH, window_sums[start]))
    return pd.DataFrame(rows, columns=["window", "start", "end", "attribution"])


def _sums(observed):
    if observed.shape[1] < WIDTH:
        return np.zeros((len(observed), 0))
    return np.lib.stride_tricks.sliding_window_view(observed.astype(float), WIDTH, axis=1).sum(axis=2)


def _threshold(sums, null, fdr):
    """The least positive sum with at most ``fdr`` null sums as high for each observed one; infinity where none is."""
    ours, theirs = np.sort(sums[sums > 0]), np.sort(null[null > 0])
    expected = len(theirs) - np.searchsorted(theirs, ours)
    enough = expected <= fdr * np.arange(len(ours), 0, -1)
    return ours[np.argmax(enough)] if enough.any() else np.inf


def _strongest(sums, passing):
    taken, free = [], passing.copy()
    for start in np.flatnonzero(passing)[np.argsort(-np.abs(sums[passing]), kind="stable")]:
        if free[start]:
            taken.append(int(start))
            free[max(start - WIDTH + 1, 0) : start + WIDTH] = False
    return sorted(taken)


def masks_of(seqlets: pd.DataFrame, n: int, length: int, sign: int = 0) -> np.ndarray:
    """``(n, length)`` bool: which bases lie in a seqlet; with ``sign`` 1 or -1 only in one of that sign."""
    masks = np.zeros((n, length), bool)
    for row in seqlets.itertuples():
        if not sign or np.sign(row.attribution) == sign:
            masks[row.window, row.start : row.end] = True
    return masks


class WindowAttributions:
    """The attributions of given windows, in their order, and the rows they have in the file."""

    def __init__(self, path: Path | str, windows: list[Window]) -> None:
        self.file = open_attributions(path)
        self.rows = read_rows(self.file, windows)

    def observed(self) -> np.ndarray:
        """``(n, length)`` float32. Raises BadData for numbers that are not finite."""
        rows_read = np.empty((len(self.rows), self.file.observed.shape[1]), np.float32)
        for block, rows in self._blocks():
            rows_read[block] = self.file.observed[rows]
        if not np.isfinite(rows_read).all():
            raise BadData(f"{self.file.path}: attributions that are not finite")
        return rows_read

    def hypothetical(self) -> np.ndarray:
        """``(n, 4, length)`` float32. Raises BadData when the file has none."""
        if self.file.hypothetical is None:
            raise BadData(f"{self.file.path}: no dataset hypothetical; run attribute again")
        rows_read = np.empty((len(self.rows), *self.file.hypothetical.shape[1:]), np.float32)
        for block, rows in self._blocks():
            rows_read[block] = self.file.hypothetical[rows]
        return rows_read

    def _blocks(self):
        # HDF5 reads chosen rows in rising order only
        order = np.argsort(self.rows)
        for first in range(0, len(order), BLOCK):
            block = order[first : first + BLOCK]
            yield block, self.rows[block]


def discover(windows: list[np.ndarray], hypothetical: np.ndarray, path: Path) -> list[Motif]:
    """Motifs made of the seqlets by TF-MoDISco (Shrikumar et al. 2018, arXiv:1811.00416), written to ``path`` as well.

    Those returned lack the flanks that contribute little, as TF-MoDISco trims them before it compares motifs itself.

    Args:
        windows: base-code arrays; ``hypothetical``: ``(n, 4, length)``.

    Raises BadData for windows of several lengths.
    """
    from modiscolite.io import save_hdf5
    from modiscolite.tfmodisco import TFMoDISco

    lengths = {len(codes) for codes in windows}
    if lengths != {hypothetical.shape[2]}:
        raise BadData(f"--modisco needs windows of one length; these have {min(lengths)} to {max(lengths)} bases")
    bases = np.stack([one_hot(codes) for codes in windows])
    patterns = TFMoDISco(one_hot=bases, hypothetical_contribs=hypothetical.transpose(0, 2, 1))
    save_hdf5(str(path), *patterns, WIDTH)
    return [
        Motif(f"{outcome}_{number}", f"{outcome} {number}", _core(pattern) * len(pattern.seqlets))
        for outcome, of_outcome in zip(("retained", "spliced"), patterns, strict=True)
        for number, pattern in enumerate(of_outcome or (), 1)
    ]


def _core(pattern):
    """Base frequencies from the first to the last base whose contribution is at least CORE of the largest."""
    size = np.abs(pattern.contrib_scores).sum(axis=1)
    kept = np.flatnonzero(size >= CORE * size.max())
    return np.asarray(pattern.sequence, float)[kept[0] : kept[-1] + 1]
