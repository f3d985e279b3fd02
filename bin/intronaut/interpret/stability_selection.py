"""Which features, or groups of them, are associated with retention whatever half of the data one looks at.

Complementary-pairs stability selection (Shah & Samworth 2013, JRSS-B 75:55): leakage groups are split into two halves
many times, equally many units are selected on every half, and a unit counts when it is selected on most of them; how
many false units that lets through is bounded. What was selected on one half is fitted again on the other, which had no
say in it (multi-split p-values of Meinshausen, Meier & Bühlmann 2009, JASA 104:1671).

A unit is a set of features: a cluster of correlated ones, or a group such as all tracks of one factor. It stands for
itself by few axes, and is selected by a test that knows how many, so that a factor with many tracks has no advantage.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import expit
from scipy.stats import chi2, f, false_discovery_control, norm
from threadpoolctl import threadpool_limits

from intronaut.core.errors import BadData
from intronaut.interpret.contributions import members_of

if TYPE_CHECKING:
    from intronaut.models.design_matrix import Matrix

# a group's tracks are mostly similar: their first axes hold what they share
MOST_AXES, SHARE = 3, 0.9
EXACT_AXES = 256
# what keeps a coefficient finite where a half separates the classes, in rows' worth of evidence
RIDGE = 1.0
NEWTON_STEPS, LONGEST_STEP = 10, 4.0
EVENTS_PER_UNIT = 5
MOST_SELECTED = 50
# standard deviations at which an axis is cut, so that no single intron decides, and units looked at closely in a step
LARGEST, CANDIDATES = 3.0, 20


@dataclass
class Units:
    """Units of features and the axes that stand for them.

    ``z`` ``(axes, n)`` float32: the axes' values, in the order of their units, of variance 1 and cut at LARGEST
    standard deviations; the first axis of a unit points the way in which its features rise together. ``first``
    ``(u,)``: where each unit's axes begin; ``size`` ``(u,)``: how many it has.
    """

    z: np.ndarray
    first: np.ndarray
    size: np.ndarray

    def axes_of(self, unit: int) -> np.ndarray:
        """The axes of a unit, as numbers of rows of ``z``."""
        return np.arange(self.first[unit], self.first[unit] + self.size[unit])

    def values(self, unit: int, rows: np.ndarray) -> np.ndarray:
        """What represents a unit among some rows, ``(rows, axes of the unit)``."""
        return self.z[self.axes_of(unit)][:, rows].T


def make_units(
    matrix: Matrix, unit: pd.Categorical, sample: np.ndarray, rows: np.ndarray, most: int = MOST_AXES
) -> Units:
    """Represent units of a matrix's columns by their first principal axes: those that hold 90 % of the variance.

    Args:
        matrix: a :class:`intronaut.models.design_matrix.Matrix`, standardised.
        unit: Categorical of its columns.
        sample: ``(m, d)`` float32, standardised rows to find the axes on.
        rows: ``(n,)`` bool, the rows of the matrix to represent.
        most: axes of a unit at most.
    """
    columns = members_of(unit)
    loadings = [_axes(sample[:, unit_columns], most) for unit_columns in columns]
    size = np.array([part.shape[1] for part in loadings])
    first = np.cumsum(size) - size
    entries = [
        (np.repeat(unit_columns, count), np.tile(np.arange(count) + start, len(unit_columns)), part.ravel())
        for unit_columns, part, start, count in zip(columns, loadings, first, size, strict=True)
    ]
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    all_loadings = sparse.csr_array((value.astype(np.float32), (row, column)), shape=(len(unit), int(size.sum())))
    z = np.concatenate(list(matrix.map(lambda rows, values: values @ all_loadings)))[rows].astype(float)
    z -= z.mean(axis=0)
    for start, count in zip(first[size > 1], size[size > 1], strict=True):
        basis, triangle = np.linalg.qr(z[:, start : start + count])
        z[:, start : start + count] = basis * np.sign(triangle.diagonal())
    z = _standardised(np.clip(_standardised(z), -LARGEST, LARGEST))
    return Units(np.ascontiguousarray(z.T, np.float32), first, size)


def _standardised(z):
    z = z - z.mean(axis=0)
    spread = z.std(axis=0)
    return z / np.where(spread > 0, spread, 1)


def _axes(values, most):
    """Loadings ``(p, r)`` of the first principal axes of standardised columns ``(m, p)``."""
    p = values.shape[1]
    if p == 1:
        return np.ones((1, 1))
    if p > EXACT_AXES:
        from sklearn.utils.extmath import randomized_svd

        _, length, vectors = randomized_svd(values, most, random_state=0)
        variance, vectors = length**2, vectors.T
    else:
        variance, vectors = np.linalg.eigh(values.T.astype(float) @ values)
        variance, vectors = np.maximum(variance[::-1], 0), vectors[:, ::-1]
    total = max(np.einsum("ij,ij->", values, values, dtype=float), 1e-12)
    enough = 1 + int(np.searchsorted(np.cumsum(variance) / total, SHARE - 1e-9))
    vectors = vectors[:, : min(enough, most, p)]
    rising = np.where(vectors.sum(axis=0) < 0, -1, 1)
    return vectors * rising


def halves(groups: np.ndarray | pd.Series, labels: np.ndarray | pd.Series, pairs: int, seed: int) -> np.ndarray:
    """Split whole groups at random into two halves, ``pairs`` times: ``(2 · pairs, n)`` bool, complements side by side.

    Raises BadData where no split leaves both classes on either side.
    """
    group, distinct = pd.factorize(np.asarray(groups))
    g, labels, rng = len(distinct), np.asarray(labels), np.random.default_rng(seed)
    masks, tries = [], 0
    while len(masks) < 2 * pairs:
        chosen = np.zeros(g, bool)
        chosen[rng.permutation(g)[: g // 2]] = True
        half = chosen[group]
        if all(0 < labels[side].sum() < side.sum() for side in (half, ~half)):
            masks += [half, ~half]
        tries += 1
        if tries > 20 * pairs:
            raise BadData(f"{g} leakage groups cannot be split into halves that hold retained and spliced introns both")
    return np.array(masks)


def error_bound(q: int, p: int, threshold: float) -> float:
    """Expected number of falsely selected units, at most: q² / (p (2 threshold - 1)).

    ``q`` of ``p`` units are selected on every half. Holds without assumptions for units that are selected no more often
    than one drawn at random would be (Shah & Samworth 2013, theorem 1 and equation 7).
    """
    return q**2 / (p * (2 * threshold - 1))


def number_to_select(p: int, threshold: float, most_false: float, events: int) -> int:
    """The largest q whose bound is ``most_false``, and that ``events``, rows of the rarer class in a half, can bear.

    0 where even one unit of each half may let through more; else at least 1, however few the events.
    """
    q = int(np.sqrt(most_false * p * (2 * threshold - 1)))
    return min(q, max(1, events // EVENTS_PER_UNIT), MOST_SELECTED, p)


def select_forward(
    units: Units, labels: np.ndarray, groups: np.ndarray, inside: np.ndarray, base: np.ndarray, q: int, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """On each half, the ``q`` units that a forward logistic regression takes in first.

    Every step takes the unit whose axes go best with what is left unexplained, then fits all that were taken again
    (orthogonal matching pursuit for groups: Lozano, Swirszcz & Abe 2011, AISTATS 15:452). Units are ranked by the tail
    probability of chi-square with as many degrees of freedom as they have axes; the best CANDIDATES of a step once more
    by a score test that is robust to whole leakage groups, so that no single gene decides.

    Args:
        labels, groups: ``(n,)`` 0 or 1, and the leakage group of each row.
        inside: ``(k, n)`` bool, the rows of each half.
        base: ``(n, b)`` columns that are in every model from the start, standardised.

    Returns:
        ``(picked, sign)``: ``(k, q)`` int64 units in the order taken, and ``(k, q)`` the sign of the coefficient of
        each one's first axis in the last model.
    """
    if not q:
        return np.empty((len(inside), 0), np.int64), np.empty((len(inside), 0), np.int64)
    labels, group = np.asarray(labels, float), pd.factorize(np.asarray(groups))[0]
    fits = [_HalfFit(units, labels, group, rows, base) for rows in inside]
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1):
        for _ in range(q):
            residual = np.stack(list(pool.map(_HalfFit.refit, fits)), axis=1)
            scores = np.add.reduceat((units.z @ residual).astype(float) ** 2, units.first, axis=0)
            list(pool.map(_HalfFit.take_best, fits, scores.T))
        list(pool.map(_HalfFit.refit, fits))
    return np.array([fit.picked for fit in fits]), np.stack([fit.signs() for fit in fits])


class _HalfFit:
    """The forward model of one half."""

    def __init__(self, units, labels, group, rows, base):
        self.units, self.rows, self.labels = units, rows, labels[rows]
        self.groups = _sums_by(group[rows])
        self.x = np.column_stack([np.ones(rows.sum()), base[rows]])
        self.n_base, self.point, self.picked = self.x.shape[1], np.zeros(self.x.shape[1]), []

    def refit(self):
        """Fit again; returns the residual of all rows, 0 outside the half."""
        self.point, p, _ = logistic(self.x, self.labels, self.point)
        self.information, self.residual = max((p * (1 - p)).sum(), 1e-9), self.labels - p
        residual = np.zeros(len(self.rows), np.float32)
        residual[self.rows] = self.residual
        return residual

    def take_best(self, scores):
        """Take the best unit by squared scores ``(u,)`` of all of them."""
        surprise = _surprise(scores / self.information, self.units.size)
        surprise[self.picked] = -np.inf
        few = min(CANDIDATES, len(surprise) - len(self.picked))
        close = np.argpartition(-surprise, few - 1)[:few]
        tests = [self._robust(close[self.units.size[close] == size]) for size in np.unique(self.units.size[close])]
        close, robust = (np.concatenate(part) for part in zip(*tests, strict=True))
        best = int(close[np.argmax(_surprise(robust, self.units.size[close]))])
        columns = self.units.values(best, self.rows)
        self.x = np.hstack([self.x, columns])
        self.point = np.append(self.point, np.zeros(columns.shape[1]))
        self.picked.append(best)

    def _robust(self, units):
        """``(some, statistics)``: score tests of units of one size by the scatter of their scores over groups."""
        axes = np.stack([self.units.axes_of(unit) for unit in units])
        scores = self.units.z[axes.ravel()][:, self.rows] * self.residual.astype(np.float32)
        sums = (self.groups @ scores.T.astype(float)).reshape(-1, *axes.shape)
        total, scatter = sums.sum(axis=0), np.einsum("gur,gus->urs", sums, sums)
        return units, np.einsum("ur,urs,us->u", total, np.linalg.pinv(scatter, hermitian=True), total)

    def signs(self):
        sizes = self.units.size[self.picked]
        return np.sign(self.point[self.n_base + np.cumsum(sizes) - sizes])


def _surprise(statistics, size):
    """Minus the log tail probability of chi-square statistics, or what gives the same order where all have one axis."""
    return -chi2.logsf(statistics, size) if (size > 1).any() else np.array(statistics)


def _sums_by(group):
    """The sparse matrix that adds up rows by whole groups."""
    member = pd.factorize(group)[0]
    return sparse.csr_array((np.ones(len(member)), (member, np.arange(len(member)))))


def logistic(x: np.ndarray, labels: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logistic regression by Newton's method with a ridge of RIDGE on all but the first column.

    Returns ``(coefficients (c,), probabilities (n,), Hessian (c, c))``.
    """
    ridge = np.full(x.shape[1], RIDGE)
    ridge[0] = 1e-6
    for _ in range(NEWTON_STEPS):
        p = expit(x @ point)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(hessian, x.T @ (labels - p) - ridge * point)
        longest = np.abs(step).max()
        point = point + step * min(1, LONGEST_STEP / max(longest, 1e-12))
        if longest < 1e-6:
            break
    return point, p, hessian


def fit_held_out(
    units: Units,
    labels: np.ndarray,
    groups: np.ndarray,
    inside: np.ndarray,
    picked: np.ndarray,
    base: np.ndarray,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit the units picked on each half on the other half, which had no say in picking them.

    The covariance is robust to whole leakage groups (Liang & Zeger 1986, Biometrika 73:13) with the usual correction
    for few of them, g / (g - 1) · (n - 1) / (n - columns), and a unit is tested with all its axes by Wald's F with
    g - 1 denominator degrees of freedom.

    Returns:
        ``(p, estimate, error)``, each ``(k, u)``: p-values multiplied by the number picked, 1 for units not picked;
        coefficient of the first axis and its standard error, NaN for units not picked.
    """
    k, u = len(inside), len(units.size)
    p, estimate, error = np.ones((k, u)), np.full((k, u), np.nan), np.full((k, u), np.nan)
    group, labels = pd.factorize(np.asarray(groups))[0], np.asarray(labels, float)

    def one(half):
        rows, picked_units = ~inside[half], picked[half]
        parts = [units.values(unit, rows) for unit in picked_units]
        x = np.column_stack([np.ones(rows.sum()), base[rows], *parts]).astype(float)
        point, fitted, hessian = logistic(x, labels[rows], np.zeros(x.shape[1]))
        scores = _sums_by(group[rows]) @ (x * (labels[rows] - fitted)[:, None])
        g = len(scores)
        inverse = np.linalg.inv(hessian)
        few = g / (g - 1) * (len(x) - 1) / max(len(x) - x.shape[1], 1)
        covariance = few * inverse @ (scores.T @ scores) @ inverse
        at = 1 + base.shape[1]
        for unit in picked_units:
            axes = slice(at, at + units.size[unit])
            wald = point[axes] @ np.linalg.pinv(covariance[axes, axes]) @ point[axes]
            p[half, unit] = min(1, f.sf(wald / units.size[unit], units.size[unit], g - 1) * len(picked_units))
            estimate[half, unit], error[half, unit] = point[at], np.sqrt(covariance[at, at])
            at = axes.stop

    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1):
        list(pool.map(one, range(k)))
    return p, estimate, error


def combine_p(p: np.ndarray) -> np.ndarray:
    """One p-value a unit from those ``(k, u)`` of ``k`` splits: twice the median (Meinshausen et al. 2009, eq. 2.2)."""
    return np.minimum(1, 2 * np.median(p, axis=0))


def select_stably(
    units: Units,
    labels: np.ndarray,
    groups: np.ndarray,
    inside: np.ndarray,
    base: np.ndarray,
    threshold: float,
    most_false: float,
    threads: int = 1,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Stability selection of units.

    Args:
        labels, groups: ``(n,)`` 0 or 1, or levels between, and the leakage group of each row.
        inside: ``(k, n)`` of :func:`halves`.
        base: ``(n, b)`` columns that every model holds, such as covariates to adjust for.
        threshold: share of halves from which on a unit counts as selected.
        most_false: what the bound on falsely selected units may be.

    Returns:
        ``(table, summary)``: a DataFrame of one row a unit with ``selection_probability``, ``selected`` (1 or 0),
        ``selected_positive`` (share of its selections with a positive coefficient of its first axis), ``refit``,
        ``refit_low``, ``refit_high`` (log-odds per standard deviation of the first axis: medians over the held-out
        halves of the estimate and of its 95 % interval), ``p`` and ``fdr``; and a dict of what was done and its bound.
        Where no number of units keeps the bound, ``selected_on_each_half`` is 0, nothing is selected and every p is 1.
    """
    labels, u = np.asarray(labels), len(units.size)
    events = min(min(labels[half].sum(), (1 - labels[half]).sum()) for half in inside)
    q = number_to_select(u, threshold, most_false, int(events))
    picked, sign = select_forward(units, labels, groups, inside, base, q, threads)
    often = np.bincount(picked.ravel(), minlength=u)
    rising = np.bincount(picked.ravel(), sign.ravel() > 0, minlength=u)
    p, estimate, error = fit_held_out(units, labels, groups, inside, picked, base, threads)
    combined = combine_p(p)
    ever, wide = often > 0, norm.ppf(0.975)
    refit, low, high = (np.full(u, np.nan) for _ in range(3))
    for into, values in ((refit, estimate), (low, estimate - wide * error), (high, estimate + wide * error)):
        into[ever] = np.nanmedian(values[:, ever], axis=0)
    table = pd.DataFrame(
        {
            "selection_probability": often / len(inside),
            "selected": (often / len(inside) >= threshold).astype(int),
            "selected_positive": np.where(ever, rising / np.maximum(often, 1), np.nan),
            "refit": refit,
            "refit_low": low,
            "refit_high": high,
            "p": combined,
            "fdr": false_discovery_control(combined),
        }
    )
    summary = {"units": u, "selected_on_each_half": q, "halves": len(inside), "threshold": threshold,
               "false_at_most": error_bound(q, u, threshold), "selected": int(table["selected"].sum())}  # fmt: skip
    return table, summary
