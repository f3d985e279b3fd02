"""Logistic regression on blocks of columns, each with a penalty of its own that is chosen on inner folds.

A block of 20,000 columns and one of ten are treated equally: the penalty of each is chosen by itself, and may be so
strong that the block is left out (van de Wiel, van Nee & Rauschenberger 2021, J Comput Graph Stat 30:835).
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from intronaut.models import logistic
from intronaut.models.cross_validation import PATIENCE, Plan, left_out_sets
from intronaut.models.design_matrix import Matrix, Scale
from intronaut.models.standardisation import Standardisation
from intronaut.stats.metrics import log_losses

OFF = np.inf
PENALTIES = (1e4, 3e2, 1e2, 30.0, 10.0, 3.0)
# with few columns nothing is gained by penalties, and little lost by their absence
NARROW, NARROW_PENALTIES = 10, (1.0,)
ROUNDS = 3
LEAST_GAIN = 1e-7
TOLERANCE = 1e-6
# a block is turned to its principal axes where it has this many times as many columns as rows
WIDE = 1.2
KEPT_MATRICES = 2
# columns up to which the matrix of their products is inverted, for fewer steps of each fit
MOST_INVERTED = 4096
# bytes of logits that are remembered; losses always are
KEPT_LOGITS = 2 << 30


@dataclass
class Block:
    """A named block: ``values`` ``(n, d)`` float32, standardised over all rows, of the columns ``names`` ``(d,)``;
    ``width`` how many columns it had before it was turned to its principal axes."""

    name: str
    values: np.ndarray
    names: list[str]
    width: int

    @property
    def turned(self) -> bool:
        """Whether the columns are principal axes of the block's own: their spreads are its penalties, to be kept."""
        return self.width != self.values.shape[1]

    @property
    def penalties(self) -> tuple[float, ...]:
        """The penalties to choose from, without OFF, from strong to weak."""
        return NARROW_PENALTIES if self.width <= NARROW else PENALTIES


def block_of(name: str, values: np.ndarray, names: list[str]) -> Block:
    """A Block of standardised columns ``(n, d)``; one far wider than it is long becomes its ``n`` principal axes.

    A ridge penalty does not see the rotation: coefficients lie in the span of the rows, so that logits are the same.
    """
    n, d = values.shape
    if d <= WIDE * n:
        return Block(name, values, names, d)
    gram = np.zeros((n, n))
    for first in range(0, d, 4096):
        part = values[:, first : first + 4096].astype(np.float64)
        gram += part @ part.T
    size, axes = np.linalg.eigh(gram)
    kept = size > size[-1] * 1e-12
    turned = (axes[:, kept] * np.sqrt(size[kept])).astype(np.float32)
    return Block(name, turned, [f"{name} axis {at}" for at in range(turned.shape[1])], d)


class Fits:
    """The logits ``(n, sets)`` of every row by models without each set of folds, for any penalties of the blocks.

    The sets are those of :func:`intronaut.models.cross_validation.left_out_sets`. A setting is a tuple with the penalty
    of each block, OFF where it is left out. What was fitted once is remembered, up to KEPT_LOGITS bytes of it.
    """

    def __init__(
        self,
        blocks: list[Block],
        labels: np.ndarray,
        plan: Plan,
        *,
        weights: np.ndarray | None = None,
        threads: int = 1,
    ) -> None:
        self.blocks, self.labels, self.plan, self.threads = blocks, labels, plan, threads
        self.sets = left_out_sets(plan)
        self.place = {folds: at for at, folds in enumerate(self.sets)}
        self.trains = np.stack([plan.trains(folds) for folds in self.sets], axis=1)
        self.row_weights = self.trains.astype(float)
        if weights is not None:
            self.row_weights *= weights[:, None]
        self.weights = np.ones(len(labels)) if weights is None else weights
        self._logits, self._losses, self._matrices, self._last = OrderedDict(), {}, OrderedDict(), {}

    def logits(self, setting: tuple[float, ...]) -> np.ndarray:
        """The logits ``(n, sets)`` at a setting."""
        if setting not in self._logits:
            logits = self._fit(setting)
            while self._logits and (len(self._logits) + 1) * logits.nbytes > KEPT_LOGITS:
                self._logits.popitem(last=False)
            self._logits[setting] = logits
            # of every fold at once, so that nobody asks for these logits again but for the setting that is chosen
            for outer in self.plan.outers:
                self._losses[setting, outer] = self._inner_loss(logits, outer)
        self._logits.move_to_end(setting)
        return self._logits[setting]

    def inner_loss(self, setting: tuple[float, ...], outer: int | None) -> float:
        """Mean log loss of the training rows of ``outer`` by models that saw neither their fold nor ``outer``."""
        if (setting, outer) not in self._losses:
            self.logits(setting)
        return self._losses[setting, outer]

    def _inner_loss(self, logits, outer):
        total = weight = 0.0
        for fold in self.plan.held_out:
            if fold != outer:
                rows = self.plan.fold == fold
                values = logits[rows, self.place[_without(outer, fold)]]
                total += float(self.weights[rows] @ log_losses(self.labels[rows], values))
                weight += float(self.weights[rows].sum())
        return total / weight

    def _fit(self, setting):
        active = tuple(at for at, penalty in enumerate(setting) if penalty < OFF)
        if not active:
            rates = logistic.base_rates(self.labels, self.row_weights)
            return np.tile(rates, (len(self.labels), 1)).astype(np.float32)
        matrix, standardisation, gram = self._matrix(active)
        ridge = np.concatenate([np.full(self.blocks[at].values.shape[1], setting[at]) for at in active])
        start = self._last.get(active)
        solution = logistic.fit(matrix, self.labels, self.row_weights, 1.0, ridge=ridge, start=start,
                                tolerance=TOLERANCE, gram=gram, standardisation=standardisation)  # fmt: skip
        # a trail of every set of blocks would fill the memory
        self._last[active] = replace(solution, trail=None)
        return logistic.logits(matrix, solution).astype(np.float32)

    def _matrix(self, active):
        """The Matrix of some blocks' columns, their medians and spreads in every training set, and the products of the
        columns where they are few enough."""
        if active not in self._matrices:
            while len(self._matrices) >= KEPT_MATRICES:
                self._matrices.popitem(last=False)
            blocks = [self.blocks[at] for at in active]
            names = [name for block in blocks for name in block.names]
            columns = pd.DataFrame(np.hstack([block.values for block in blocks]), columns=names, copy=False)
            matrix = Matrix(extra=columns, scale=Scale.identity(len(names)), threads=self.threads)
            standardisation = Standardisation.measure(matrix, self.trains)
            standardisation.sd[
                np.repeat([block.turned for block in blocks], [len(block.names) for block in blocks])
            ] = 1
            gram = logistic.gram(matrix) if matrix.d <= MOST_INVERTED else None
            self._matrices[active] = matrix, standardisation, gram
        self._matrices.move_to_end(active)
        return self._matrices[active]


def _without(*folds):
    return frozenset(fold for fold in folds if fold is not None)


def choose(fits: Fits, members: Iterable[int], outer: int | None) -> tuple[float, ...]:
    """The penalties of the blocks ``members`` (places) with the least inner log loss; OFF for all others.

    Coordinate descent from all OFF, in the blocks' order, until no block gains, ROUNDS rounds at most.
    """
    setting = (OFF,) * len(fits.blocks)
    loss = fits.inner_loss(setting, outer)
    for _ in range(ROUNDS):
        before = setting
        for at in sorted(members):
            setting, loss = _along_path(fits, setting, loss, at, outer)
        if setting == before:
            break
    return setting


def _along_path(fits, setting, loss, at, outer):
    """``(setting, loss)`` with the best penalty of block ``at``: from the present one to weaker and to stronger ones,
    each way until PATIENCE of them gain nothing, because weak penalties of wide blocks cost the most to fit."""
    path = (OFF, *fits.blocks[at].penalties)
    place = path.index(setting[at])
    for side in (path[place + 1 :], path[:place][::-1]):
        idle = 0
        for penalty in side:
            tried = (*setting[:at], penalty, *setting[at + 1 :])
            new_loss = fits.inner_loss(tried, outer)
            if new_loss < loss - LEAST_GAIN:
                setting, loss, idle = tried, new_loss, 0
            else:
                idle += 1
            if idle == PATIENCE:
                break
    return setting, loss


def held_out_logits(fits: Fits, members: Iterable[int]) -> tuple[np.ndarray, np.ndarray, dict[int, tuple[float, ...]]]:
    """What the blocks ``members`` (places) predict.

    Returns:
        ``(logits, refitted, settings)``: ``(n,)`` of the held-out rows, NaN elsewhere; ``(K, n)`` by models that were
        also trained without each held-out fold, at the same penalties; the setting of every outer fold.
    """
    plan, n = fits.plan, len(fits.labels)
    logits, refitted, settings = np.full(n, np.nan), np.full((len(plan.held_out), n), np.nan), {}
    for outer in plan.outers[1:] if plan.nested else plan.outers:
        settings[outer] = choose(fits, members, outer)
        rows, values = plan.judged_by(outer), fits.logits(settings[outer])
        logits[rows] = values[rows, fits.place[_without(outer)]]
        for line, fold in enumerate(plan.held_out):
            refitted[line, rows] = values[rows, fits.place[_without(outer, fold)]]
    return logits, refitted, settings
