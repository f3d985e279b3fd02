"""Measured tracks as features of introns: mean, maximum and coverage of a window, means from donor to acceptor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.features.sei_targets import annotate, target_kind

if TYPE_CHECKING:
    from intronaut.io.measured_tracks import Entry

STATISTICS = ("mean", "max", "covered")


def feature_table(entries: list[Entry], bins: int) -> pd.DataFrame:
    """The ``var`` table: STATISTICS of the window and the bins of every Entry, with the columns of Sei's targets.

    ``kind`` is that of the sheet, tf, histone or access as for Sei where it is one; ``source`` is the file.
    """
    rows = []
    for entry in entries:
        kind = entry.kind if entry.kind not in ("", ".") else target_kind(entry.target)
        for statistic in (*STATISTICS, *(f"bin{number:02d}" for number in range(1, bins + 1))):
            name = f"{entry.cell} | {entry.target} | {entry.path.name} | {statistic}"
            place = "intron" if statistic.startswith("bin") else "window"
            rows.append((name, entry.target, entry.cell, entry.path.name, kind, statistic, place))
    columns = ["name", "target", "cell_type", "source", "kind", "statistic", "place"]
    return annotate(pd.DataFrame(rows, columns=columns).set_index("name"))


def bin_edges(start: int, end: int, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """``(first, last)`` of each of ``bins`` parts of ``[start, end)``, ``(bins,)`` each, from left to right.

    Parts differ by at most one base; in an interval of fewer bases than bins, neighbours share a base.
    """
    length, number = end - start, np.arange(bins)
    first = number * length // bins
    return start + first, start + np.maximum((number + 1) * length // bins, first + 1)


class Stretch:
    """The values of one stretch of a chromosome, from which means and maxima of any part follow."""

    def __init__(self, values: np.ndarray, start: int) -> None:
        known = ~np.isnan(values)
        self.values, self.start = values, start
        self.sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
        self.counts = np.concatenate([[0], np.cumsum(known)])

    def means(self, first: np.ndarray | list[int], last: np.ndarray | list[int]) -> tuple[np.ndarray, np.ndarray]:
        """``(means, known bases)`` of ``[first, last)``, arrays of positions; NaN where nothing is known."""
        first, last = np.asarray(first) - self.start, np.asarray(last) - self.start
        counts = self.counts[last] - self.counts[first]
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self.sums[last] - self.sums[first]) / counts, counts

    def largest(self, first: int, last: int) -> float:
        """The largest value of ``[first, last)``; NaN where nothing is known."""
        part = self.values[first - self.start : last - self.start]
        return np.fmax.reduce(part) if len(part) else np.nan


def describe(stretch: Stretch, window: tuple[int, int], intron: tuple[int, int], minus: bool, bins: int) -> list[float]:
    """STATISTICS of a window ``(start, end)`` and the means of the bins of an intron, from donor to acceptor."""
    (mean,), (known,) = stretch.means([window[0]], [window[1]])
    values = stretch.means(*bin_edges(*intron, bins))[0] if bins else np.zeros(0)
    share = known / (window[1] - window[0])
    return [mean, stretch.largest(*window), share, *(values[::-1] if minus else values)]


def filled(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Missing values ``(n, d)`` replaced by the median of their column, 0 where a column has none; and how many.

    What was missing stays to be seen in ``covered``.
    """
    missing = np.isnan(values)
    with np.errstate(all="ignore"):
        known = ~missing.all(axis=0)
        medians = np.zeros(values.shape[1])
        medians[known] = np.nanmedian(values[:, known], axis=0)
    return np.where(missing, medians, values), int(missing.any(axis=1).sum())
