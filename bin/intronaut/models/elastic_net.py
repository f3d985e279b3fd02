"""Elastic-net logistic regression of many weighted problems on one matrix read in row blocks.

Few coefficients differ from 0, so only the columns that may are held in memory: a pass over the rows finds the columns
whose gradient exceeds the penalty, proximal Newton steps solve the problems on these, and a further pass checks the
rest (working sets as in Massias, Gramfort & Salmon 2018, celer).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit
from threadpoolctl import threadpool_limits

from intronaut.models.logistic import Objective, Solution, base_rates

if TYPE_CHECKING:
    from intronaut.models.design_matrix import Matrix
    from intronaut.models.standardisation import Standardisation

NEWTON_STEPS = 50
INNER_STEPS = 2000
PASSES = 50


def fit(
    matrix: Matrix,
    labels: np.ndarray,
    row_weights: np.ndarray,
    c: float,
    l1_ratio: float,
    *,
    ridge: np.ndarray | None = None,
    start: Solution | None = None,
    tolerance: float = 1e-5,
    standardisation: Standardisation | None = None,
) -> Solution:
    """Minimise ``sum_i s_i log-loss_i / sum(s) + sum_j ridge_j (r |w_j| + (1 - r) w_j^2 / 2) / (c sum(s))``.

    r is ``l1_ratio``. The conventions are those of :func:`intronaut.models.logistic.fit` and of scikit-learn. A problem
    is done when no subgradient exceeds ``tolerance``.
    """
    k = row_weights.shape[1]
    ridge = np.ones(matrix.d) if ridge is None else ridge
    loss_of = Objective(matrix, labels, row_weights, np.inf, None, standardisation)
    penalty = ridge[:, None] / (c * loss_of.total)
    point = np.vstack([np.zeros((matrix.d, k)), base_rates(labels, row_weights)])
    if start is not None:
        weights = start.weights if standardisation is None else standardisation.from_matrix(start.weights)
        point = np.vstack([weights, start.intercept])
    inside = point[:-1] != 0
    steps = np.zeros(k, int)
    with threadpool_limits(1):
        for _ in range(PASSES):
            loss, gradient = loss_of(point, np.arange(k))
            excess = _subgradient(gradient[:-1], point[:-1], penalty, l1_ratio)
            worst = np.maximum(excess.max(axis=0), np.abs(gradient[-1]))
            unfinished = np.flatnonzero(worst > tolerance)
            if not len(unfinished):
                break
            for problem in unfinished:
                room = max(50, 2 * int(inside[:, problem].sum()))
                new = np.argsort(-excess[:, problem], kind="stable")[:room]
                inside[new[excess[new, problem] > tolerance / 2], problem] = True
            columns = np.flatnonzero(inside[:, unfinished].any(axis=1))
            if standardisation is not None:
                columns = standardisation.with_marks(columns)
            held = np.concatenate(list(matrix.map(lambda rows, values, held=columns: values[:, held])))

            def solve(problem, columns=columns, held=held):
                selected = inside[columns, problem]
                at = np.append(columns[selected], matrix.d)
                share = row_weights[:, problem] / loss_of.total[problem]
                values = held[:, selected]
                if standardisation is not None:
                    values = standardisation.values(held, columns, columns[selected], problem)
                one = _Problem(values, labels, share, penalty[columns[selected], problem], l1_ratio)
                return at, *one.minimise(point[at, problem], tolerance / 4)

            for problem, (at, solution, taken) in zip(unfinished, matrix.pool.map(solve, unfinished), strict=True):
                point[at, problem] = solution
                steps[problem] += taken
    size = l1_ratio * np.abs(point[:-1]) + (1 - l1_ratio) * point[:-1] ** 2 / 2
    weights = point[:-1] if standardisation is None else standardisation.to_matrix(point[:-1])
    return Solution(weights, point[-1], loss + (penalty * size).sum(axis=0), worst, steps, worst <= tolerance)


def _subgradient(gradient, weights, penalty, l1_ratio):
    """The least absolute subgradient of the penalised loss by each weight."""
    smooth = gradient + penalty * (1 - l1_ratio) * weights
    at_zero = np.maximum(np.abs(smooth) - penalty * l1_ratio, 0)
    return np.where(weights == 0, at_zero, np.abs(smooth + penalty * l1_ratio * np.sign(weights)))


class _Problem:
    """One problem on the columns held in memory; the last entry of a point is the intercept."""

    def __init__(self, values, labels, share, penalty, l1_ratio):
        rows = share > 0
        self.x = np.column_stack([values[rows].astype(float), np.ones(rows.sum())])
        self.labels, self.share = np.asarray(labels, float)[rows], share[rows]
        self.l1 = np.append(penalty * l1_ratio, 0)
        self.l2 = np.append(penalty * (1 - l1_ratio), 0)

    def minimise(self, point, tolerance):
        """Proximal Newton (Lee, Sun & Saunders 2014) with backtracking → ``(point, steps)``."""
        value = self._value(point)
        for step in range(NEWTON_STEPS):
            p = expit(self.x @ point)
            gradient = self.x.T @ (self.share * (p - self.labels))
            if _subgradient(gradient, point, self.l1 + self.l2, self._ratio()).max() <= tolerance:
                return point, step
            hessian = (self.x * (self.share * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ self.x
            direction = self._quadratic(point, gradient, hessian, tolerance) - point
            size = 1.0
            while (new := self._value(point + size * direction)) > value + 1e-12 and size > 1e-6:
                size /= 2
            point, value = point + size * direction, new
        return point, NEWTON_STEPS

    def _ratio(self):
        return np.divide(self.l1, self.l1 + self.l2, out=np.zeros_like(self.l1), where=self.l1 + self.l2 > 0)

    def _value(self, point):
        logit = self.x @ point
        loss = self.share @ (np.logaddexp(0, logit) - self.labels * logit)
        return loss + self.l1 @ np.abs(point) + self.l2 @ point**2 / 2

    def _quadratic(self, point, gradient, hessian, tolerance):
        """Minimise the quadratic model plus penalty by accelerated proximal gradient with restarts (FISTA)."""
        bound = np.linalg.norm(hessian, 2) + self.l2.max(initial=0)
        at = ahead = point
        momentum = 1.0
        for _ in range(INNER_STEPS):
            slope = gradient + hessian @ (ahead - point) + self.l2 * ahead
            moved = ahead - slope / bound
            new = np.sign(moved) * np.maximum(np.abs(moved) - self.l1 / bound, 0)
            change = np.abs(new - ahead).max() * bound
            if (ahead - new) @ (new - at) > 0:
                momentum = 1.0
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = new + (momentum - 1) / following * (new - at)
            at, momentum = new, following
            if change <= tolerance / 10:
                break
        return at
