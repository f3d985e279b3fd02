"""Medians and spreads of each training set, so that held-out rows do not enter what their model was trained on."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from intronaut.io.covariates import MISSING_MARK, PREFIX
from intronaut.models.design_matrix import Matrix, chunks

# The least spread of a column in a training set, as a share of that in all sets. Without it a column of rare, large
# values, such as the occupancy of a motif, is all but constant in a set that lacks them, and one held-out window lies a
# million spreads away: on the demo AUROC fell from 0.711 to 0.691, and fits took twenty times as long.
LEAST_SPREAD = 0.1


@dataclass
class Standardisation:
    """How the columns of a Matrix are standardised within each of ``k`` training sets.

    Penalised coefficients are those of columns whose missing values are the median of the training set and whose spread
    in it is 1. Columns are not changed for that, which would take a copy for each set: the coefficients are. A mean
    needs nothing, because intercepts are not penalised.

    ``sd`` ``(d, k)``: spread of each column of the Matrix, LEAST_SPREAD at least. ``columns`` and ``marks`` ``(p,)``:
    places of the columns that lack values, and of those that mark them; ``shift`` ``(p, k)``: what a unit of the mark
    adds to the column.
    """

    sd: np.ndarray
    columns: np.ndarray
    marks: np.ndarray
    shift: np.ndarray

    @classmethod
    def measure(cls, matrix: Matrix, trains: np.ndarray) -> Self:
        """The Standardisation of the training sets ``trains``, bool ``(n, k)``, by one pass over the rows."""
        place = {str(name): at for at, name in enumerate(matrix.names)}
        lacking = [name for name in place if name.startswith(PREFIX) and name + MISSING_MARK in place]
        columns, marks = (np.array([place[name + end] for name in lacking], int) for end in ("", MISSING_MARK))
        # rows that the same sets hold are summed once: as many sums as folds, not as pairs of them
        patterns, pattern_of = np.unique(trains, axis=0, return_inverse=True)
        member = np.equal.outer(np.arange(len(patterns)), pattern_of).astype(float)

        def moments(rows, values):
            sums = np.zeros((2, len(patterns), matrix.d))
            for at, part in chunks(rows, values):
                # in float32 the rounding of a constant column would pass for a spread
                part = part.astype(float)
                sums[0] += member[:, at] @ part
                sums[1] += member[:, at] @ np.square(part, out=part)
            return sums, values[:, columns].astype(float), values[:, marks].astype(float)

        sums, pairs = np.zeros((2, len(patterns), matrix.d)), []
        for block_sums, *pair in matrix.map(moments):
            sums += block_sums
            pairs.append(np.stack(pair))
        mean, square = sums.transpose(0, 2, 1) @ (patterns / trains.sum(axis=0))
        shift = np.zeros((len(columns), trains.shape[1]))
        for at, (column, mark) in enumerate(np.concatenate(pairs, axis=1).transpose(2, 0, 1)):
            missing, filled = mark == mark.max(), column.astype(float)
            for problem, rows in enumerate(trains.T):
                if (rows & ~missing).any():
                    filled[missing] = np.median(filled[rows & ~missing])
                # a mark of standard units is as far from 0 to 1 as from its smallest to its largest value
                shift[at, problem] = (filled[missing][0] - column[missing][0]) / np.ptp(mark)
                mean[columns[at], problem] = filled[rows].mean()
                square[columns[at], problem] = (filled[rows] ** 2).mean()
        variance = square - mean**2
        return cls(np.sqrt(np.maximum(variance, LEAST_SPREAD**2)), columns, marks, shift)

    def to_matrix(self, weights: np.ndarray, which: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Coefficients ``(d, m)`` of the columns as the Matrix has them, from those of the problems ``which``."""
        weights = weights / self.sd[:, which]
        weights[self.marks] += self.shift[:, which] * weights[self.columns]
        return weights

    def from_matrix(self, weights: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`to_matrix`, of all problems."""
        weights = weights.copy()
        weights[self.marks] -= self.shift * weights[self.columns]
        return weights * self.sd

    def gradient(self, gradient: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Derivatives ``(d, m)`` by the coefficients, from those by the coefficients of the Matrix's columns."""
        gradient = gradient.copy()
        gradient[self.columns] += self.shift[:, which] * gradient[self.marks]
        return gradient / self.sd[:, which]

    def with_marks(self, columns: np.ndarray) -> np.ndarray:
        """The places ``columns``, and those of the columns that mark their missing values, sorted."""
        return np.union1d(columns, self.marks[np.isin(self.columns, columns)])

    def values(self, held: np.ndarray, places: np.ndarray, wanted: np.ndarray, problem: int) -> np.ndarray:
        """The columns ``wanted`` ``(n, w)`` float64 as one problem sees them.

        Args:
            held: ``(n, m)`` columns of the Matrix, whose sorted places are ``places``.
        """
        values = held[:, np.searchsorted(places, wanted)].astype(float)
        for column, mark, shift in zip(self.columns, self.marks, self.shift[:, problem], strict=True):
            if column in wanted:
                values[:, wanted == column] += shift * held[:, places == mark]
        return values / self.sd[wanted, problem]
