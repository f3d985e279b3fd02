"""L2-penalised logistic regression of many weighted problems on one matrix at once.

The folds of a cross-validation and the resamples of a bootstrap differ only in the weights of their rows. Fitting them
side by side turns their matrix-vector products into one matrix-matrix product, so that a single pass over the rows
serves all of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack
from scipy.special import expit
from threadpoolctl import threadpool_limits

from intronaut.models.design_matrix import chunks

if TYPE_CHECKING:
    from intronaut.models.design_matrix import Matrix
    from intronaut.models.standardisation import Standardisation

HISTORY = 20
ARMIJO = 1e-4
# float32 products leave the loss uncertain in its seventh digit
LOSS_NOISE = 1e-7
SHORTEST_STEP = 1e-8
NARROW, RANK, SUBSPACE_PASSES = 1024, 128, 3
# from here on a product waits for arithmetic more than for memory, and few large ones are faster
MANY_PROBLEMS = 8
# rows that tell the leading directions as well as all do
SPECTRUM_ROWS = 12_000


@dataclass
class Solution:
    """Coefficients of ``k`` problems on the standardised columns, and how well each converged.

    ``weights`` ``(d, k)`` and ``intercept`` ``(k,)`` float64; ``loss`` the penalised mean loss, ``gradient`` its
    largest absolute derivative, ``iterations`` the steps taken, ``converged`` bool, ``(k,)`` each. ``trail`` leads the
    first steps of the next C.
    """

    weights: np.ndarray
    intercept: np.ndarray
    loss: np.ndarray
    gradient: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray
    trail: Trail | None = None


@dataclass
class Trail:
    """What the fits along a path of penalties have learnt of their loss, in the columns of ``standardisation``.

    ``pairs``: of each problem its last steps and the changes of the gradient they made, without the penalty's; ``c``
    and ``point`` ``(d + 1, k)``: where they ended; ``pace``: how ``point`` moved as log C rose by 1, 0 at first.
    """

    standardisation: Standardisation | None
    pairs: list
    c: float
    point: np.ndarray
    pace: np.ndarray | float = 0.0

    def ahead(self, c: float) -> np.ndarray:
        """Where the solutions at ``c`` are looked for: on the line through the last two, at most a factor 4 on."""
        return self.point + np.clip(np.log(c / self.c), 0, np.log(4)) * self.pace


def spectrum(matrix: Matrix) -> tuple[np.ndarray, np.ndarray] | None:
    """The leading eigenvectors ``(d, r)`` float32 and eigenvalues ``(r,)`` of the columns' correlation matrix.

    By randomised subspace iteration (Halko, Martinsson & Tropp 2011, SIAM Rev. 53:217): three passes over the rows, or
    over evenly spaced blocks of them where they are many. None for matrices too narrow to gain from it.
    """
    if matrix.d < NARROW:
        return None
    blocks = matrix.blocks[:: max(1, matrix.n // SPECTRUM_ROWS)]
    with threadpool_limits(1):
        basis = np.linalg.qr(np.random.default_rng(0).normal(size=(matrix.d, RANK)))[0]
        for _ in range(SUBSPACE_PASSES):
            thin, product = basis.astype(np.float32), np.zeros((matrix.d, RANK))
            for part in matrix.map(lambda rows, values, thin=thin: values.T @ (values @ thin), blocks):
                product += part
            last, basis = basis, np.linalg.qr(product)[0]
        values, vectors = np.linalg.eigh(last.T @ product / sum(rows.stop - rows.start for rows in blocks))
        return (last @ vectors).astype(np.float32), np.maximum(values, 0)


def gram(matrix: Matrix) -> np.ndarray:
    """The mean product ``(d, d)`` float32 of every two columns of a matrix."""
    with threadpool_limits(1):
        return sum(matrix.map(lambda rows, values: values.T @ values)) / np.float32(matrix.n)


def fit(
    matrix: Matrix,
    labels: np.ndarray,
    row_weights: np.ndarray,
    c: float,
    *,
    ridge: np.ndarray | None = None,
    start: Solution | None = None,
    tolerance: float = 1e-5,
    max_iterations: int = 500,
    spectrum: tuple[np.ndarray, np.ndarray] | None = None,
    gram: np.ndarray | None = None,
    standardisation: Standardisation | None = None,
) -> Solution:
    """Minimise ``sum_i s_i log-loss_i / sum(s) + sum_j ridge_j w_j^2 / (2 c sum(s))`` for each column of row weights.

    ``c`` is scikit-learn's C. L-BFGS (Nocedal & Wright, Numerical Optimization 2006, algorithm 7.4) with backtracking,
    every problem with its own step; a problem is done when no derivative exceeds ``tolerance``. Sums over rows run
    in a fixed order, so the result does not depend on the number of threads.

    Args:
        matrix: a :class:`intronaut.models.design_matrix.Matrix`.
        labels: ``(n,)``, 1 or 0; or ``(n, k)``, where every problem has its own.
        row_weights: ``(n, k)``, 0 for rows that a problem must not see.
        ridge: ``(d,)`` relative penalty of each column; all 1 when None.
        start: a Solution to begin from, such as the one of the smaller C.
        spectrum: of :func:`spectrum`, which saves most steps on wide correlated columns: the first guess of the inverse
            Hessian is then that of the leading directions (Frangella, Tropp & Udell 2023, SIMAX 44:718).
        gram: of :func:`gram`, which does the same for as many columns as one can invert a matrix of; the first guess
            is then the inverse Hessian of rows that all have the same probability.
        standardisation: a :class:`intronaut.models.standardisation.Standardisation` of the problems, in whose columns
            the coefficients are penalised and their derivatives taken; None for the columns as they are. The Solution
            is of the columns as they are.
    """
    objective = Objective(matrix, labels, row_weights, c, ridge, standardisation)
    k = row_weights.shape[1]
    trail = start and start.trail
    trail = trail if trail and trail.standardisation is standardisation else None
    if start is None:
        point = np.vstack([np.zeros((matrix.d, k)), base_rates(labels, row_weights)])
    elif trail:
        point = trail.ahead(c)
    else:
        weights = start.weights if standardisation is None else standardisation.from_matrix(start.weights)
        point = np.vstack([weights, start.intercept])
    pairs = objective.with_penalty(trail.pairs) if trail else [[]] * k
    with threadpool_limits(1):
        guess = _inverse_hessian(objective, labels, spectrum) if gram is None else _inverse(objective, labels, gram)
        point, loss, gradient, iterations, pairs = _minimise(objective, guess, point, pairs, tolerance, max_iterations)
    largest = np.abs(gradient).max(axis=0)
    weights = point[:-1] if standardisation is None else standardisation.to_matrix(point[:-1])
    pace = (point - trail.point) / np.log(c / trail.c) if trail and trail.c < c else 0.0
    trail = Trail(standardisation, objective.with_penalty(pairs, -1), c, point, pace)
    return Solution(weights, point[-1], loss, largest, iterations, largest <= tolerance, trail)


def base_rates(labels: np.ndarray, row_weights: np.ndarray) -> np.ndarray:
    """The intercept ``(k,)`` of each problem when every coefficient is 0."""
    share = np.clip(_retained(labels, row_weights) / row_weights.sum(axis=0), 1e-6, 1 - 1e-6)
    return np.log(share / (1 - share))


def _retained(labels, row_weights):
    """The weight of retained rows in every problem, ``(k,)``."""
    labels = np.asarray(labels, float)
    return labels @ row_weights if labels.ndim == 1 else (labels * row_weights).sum(axis=0)


def repeated(weights: np.ndarray, intercept: float, k: int) -> Solution:
    """One fitted model ``(d,)`` as the starting point of ``k`` problems."""
    nan = np.full(k, np.nan)
    return Solution(np.repeat(weights[:, None], k, axis=1), np.full(k, float(intercept)), nan, nan, nan, nan)


def logits(matrix: Matrix, solution: Solution) -> np.ndarray:
    """Predicted logits of every row by every problem's solution, ``(n, k)`` float64."""
    slope = solution.weights.astype(np.float32)
    with threadpool_limits(1):
        products = list(matrix.map(lambda rows, values: values @ slope))
    return np.concatenate(products).astype(float) + solution.intercept


class Objective:
    """Penalised mean loss and gradient of ``k`` problems; the last row of a point is the intercept."""

    def __init__(
        self,
        matrix: Matrix,
        labels: np.ndarray,
        row_weights: np.ndarray,
        c: float,
        ridge: np.ndarray | None,
        standardisation: Standardisation | None = None,
    ) -> None:
        self.matrix, self.standardisation = matrix, standardisation
        self.labels = np.asarray(labels, float).reshape(len(row_weights), -1)
        self.row_weights = row_weights
        self.total = row_weights.sum(axis=0)
        ridge = np.ones(matrix.d) if ridge is None else ridge
        self.ridge = np.append(ridge, 0.0)[:, None] / (c * self.total)

    def __call__(self, point: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(loss (k,), gradient (d + 1, k))`` of the problems ``which`` at ``point`` ``(d + 1, k)``."""
        standardisation = self.standardisation
        slope = point[:-1] if standardisation is None else standardisation.to_matrix(point[:-1], which)
        slope, intercept = slope.astype(np.float32), point[-1]
        row_weights = self.row_weights[:, which]
        labels = self.labels if self.labels.shape[1] == 1 else self.labels[:, which]

        def work(rows, values):
            parts = chunks(rows, values) if len(which) < MANY_PROBLEMS else [(rows, values)]
            block_loss, block_intercept = np.zeros(len(which)), np.zeros(len(which))
            block_slope = np.zeros((len(which), values.shape[1]), np.float32)
            for at, part in parts:
                logit, label, weight = (part @ slope).astype(float) + intercept, labels[at], row_weights[at]
                block_loss += (weight * (np.logaddexp(0, logit) - label * logit)).sum(axis=0)
                residual = weight * (expit(logit) - label)
                block_slope += np.ascontiguousarray(residual.T, np.float32) @ part
                block_intercept += residual.sum(axis=0)
            return block_loss, block_slope, block_intercept

        loss, slopes, gradient = np.zeros(len(which)), np.zeros((len(which), len(slope))), np.empty_like(point)
        gradient[-1] = 0
        for block_loss, block_slope, block_intercept in self.matrix.map(work):
            loss += block_loss
            slopes += block_slope
            gradient[-1] += block_intercept
        gradient[:-1] = slopes.T
        if standardisation is not None:
            gradient[:-1] = standardisation.gradient(gradient[:-1], which)
        ridge = self.ridge[:, which]
        loss = loss / self.total[which] + (ridge * point**2).sum(axis=0) / 2
        return loss, gradient / self.total[which] + ridge * point

    def with_penalty(self, pairs: list, sign: float = 1.0) -> list:
        """Steps and changes of gradient of every problem, the penalty's change added, or with ``sign`` -1 left out."""
        return [
            [(step, change + sign * ridge * step) for step, change in of_problem]
            for of_problem, ridge in zip(pairs, self.ridge.T, strict=True)
        ]


def _inverse_hessian(objective, labels, spectrum):
    """A function ``(problems, vectors (d + 1, m))`` that applies a guess of the inverse Hessian, or None."""
    if spectrum is None:
        return None
    directions, values = spectrum[0].astype(float), spectrum[1]
    curvature = _curvature(objective, labels)

    def apply(problems, vectors):
        ridge, curvatures = objective.ridge[:-1, problems], curvature[problems]
        highest, along = ridge.max(axis=0), curvatures * values[:, None]
        # the directions that are not kept are taken to be as steep as the flattest of those that are
        gain = 1 / (along + highest) - 1 / (along[0] + highest)
        slope = vectors[:-1] / (along[0] + ridge) + directions @ (gain * (directions.T @ vectors[:-1]))
        return np.vstack([slope, vectors[-1] / curvatures])

    return apply


def _inverse(objective, labels, gram):
    """As :func:`_inverse_hessian`, of the mean problem; None where float32 cannot invert it."""
    curvature = _curvature(objective, labels)
    ridge = (objective.ridge[:-1] / curvature).mean(axis=1)
    factor, failed = lapack.spotrf(gram + np.diag(ridge).astype(np.float32), lower=True)
    inverse, failed = (None, failed) if failed else lapack.spotri(factor, lower=True)
    if failed:
        return None
    inverse = np.tril(inverse) + np.tril(inverse, -1).T

    def apply(problems, vectors):
        curvatures = curvature[problems]
        return np.vstack([inverse @ vectors[:-1].astype(np.float32), vectors[-1:]]) / curvatures

    return apply


def _curvature(objective, labels):
    """The second derivative of the log loss at each problem's base rate, ``(k,)``."""
    share = _retained(labels, objective.row_weights) / objective.total
    return share * (1 - share)


def _minimise(objective, guess, point, pairs, tolerance, max_iterations):
    """Batched L-BFGS: one call of the objective a round, at the trial point of every problem not yet done."""
    k = point.shape[1]
    loss, gradient = objective(point, np.arange(k))
    pairs = [deque(of_problem, maxlen=HISTORY) for of_problem in pairs]
    direction = _directions(gradient, pairs, guess, np.arange(k))
    iterations, step = np.zeros(k, int), np.ones(k)
    while True:
        unfinished = (np.abs(gradient).max(axis=0) > tolerance) & (iterations < max_iterations) & (step > SHORTEST_STEP)
        if not unfinished.any():
            return point, loss, gradient, iterations, pairs
        active = np.flatnonzero(unfinished)
        trial = point[:, active] + step[active] * direction[:, active]
        trial_loss, trial_gradient = objective(trial, active)
        slope = (gradient[:, active] * direction[:, active]).sum(axis=0)
        enough = trial_loss <= loss[active] + ARMIJO * step[active] * slope + LOSS_NOISE * np.abs(loss[active])
        step[active[~enough]] *= 0.3
        better = active[enough]
        for at, problem in zip(np.flatnonzero(enough), better, strict=True):
            pairs[problem].append((trial[:, at] - point[:, problem], trial_gradient[:, at] - gradient[:, problem]))
            point[:, problem], gradient[:, problem], loss[problem] = trial[:, at], trial_gradient[:, at], trial_loss[at]
        if len(better):
            direction[:, better] = _directions(gradient, pairs, guess, better)
        iterations[better] += 1
        step[better] = 1.0


def _directions(gradient, pairs, guess, problems):
    """Minus the inverse Hessian, as the guess and the last steps and gradient changes imply it, times the gradient.

    Args:
        gradient: ``(d + 1, k)`` of all problems.
        pairs: the last steps and gradient changes of each.
        problems: those whose directions ``(d + 1, m)`` are wanted.
    """
    # column by column in memory, as they are worked on
    result, usable, shares = np.asfortranarray(-gradient[:, problems]), [], []
    for at, problem in enumerate(problems):
        usable.append([(step, change, 1 / curve) for step, change in pairs[problem] if (curve := step @ change) > 0])
        shares.append([])
        for step, change, inverse in reversed(usable[at]):
            shares[at].append(inverse * (step @ result[:, at]))
            result[:, at] -= shares[at][-1] * change
    if guess is None:
        for at, kept in enumerate(usable):
            scale = kept[-1][2] * (kept[-1][1] @ kept[-1][1]) if kept else max(np.linalg.norm(result[:, at]), 1.0)
            result[:, at] /= scale
    else:
        result = np.asfortranarray(guess(problems, result))
    for at, kept in enumerate(usable):
        for (step, change, inverse), share in zip(kept, reversed(shares[at]), strict=True):
            result[:, at] += (share - inverse * (change @ result[:, at])) * step
    return result
