"""Whether a window is like those that a model was trained on: distances along and across their principal axes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.utils.extmath import randomized_svd

from intronaut.core.errors import BadData
from intronaut.core.files import require_file

if TYPE_CHECKING:
    from intronaut.models.design_matrix import Matrix

FILE = "domain.safetensors"
# axes hold this share of the variance, but are never more than MOST_AXES or one for ROWS_PER_AXIS training rows
VARIANCE, MOST_AXES, ROWS_PER_AXIS = 0.9, 50, 10
QUANTILE = 0.99
# rows that show the axes as well as all do; more of them only cost memory
MOST_ROWS = 4000
EXACT = 400
SMALLEST_VARIANCE = 1e-9


@dataclass
class Domain:
    """``mean`` and ``sd`` ``(d,)`` of the raw features, ``axes`` ``(d, r)``, ``variances`` ``(r,)`` along them, and the
    limits of both distances."""

    mean: np.ndarray
    sd: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    limit_t2: float
    limit_q: float

    def ratios(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(t2, q)`` of raw feature rows ``(n, d)``, as ratios to the limits; above 1 is outside."""
        t2, q = distances((values - self.mean) / self.sd, self.axes, self.variances)
        return t2 / self.limit_t2, q / self.limit_q


def learn_domain(matrix: Matrix, fold: np.ndarray) -> Domain:
    """The Domain of the training rows of a Matrix.

    T² = Σ z²/λ along the axes and Q, the squared distance from them (Jackson & Mudholkar 1979, Technometrics 21:341).
    Their limits are the 99 % quantiles of rows by the axes of the other folds, because rows lie nearer to axes that
    they have shaped.

    Args:
        fold: ``(n,)`` fold of every row, above 0 for those that train.
    """
    rows = np.flatnonzero(fold > 0)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)]
    values, fold = matrix.rows_at(rows).astype(np.float64), fold[rows]
    mean, sd = values.mean(axis=0), values.std(axis=0)
    sd = np.where(sd > 1e-9 * np.maximum(np.abs(mean), 1), sd, 1.0)
    values -= mean
    values /= sd
    # as many axes everywhere, because distances grow with their number
    axes, variances = principal_axes(values, (len(rows) - np.bincount(fold).max()) // ROWS_PER_AXIS)
    t2, q = np.empty(len(rows)), np.empty(len(rows))
    for number in np.unique(fold):
        held = fold == number
        kept_axes, kept_variances = principal_axes(values[~held], axes.shape[1], share=1)
        t2[held], q[held] = distances(values[held], kept_axes, kept_variances)
        # of many columns, the variances along axes of fewer rows are larger by chance
        t2[held] *= kept_variances.sum() / variances.sum()
    # axes that hold everything leave a distance of rounding errors only
    limits = (max(float(np.quantile(one, QUANTILE)), 1e-6) for one in (t2, q))
    scale = matrix.scale
    return Domain(mean * scale.sd + scale.mean, sd * scale.sd, axes, variances, *limits)


def principal_axes(values: np.ndarray, most: int, share: int = VARIANCE) -> tuple[np.ndarray, np.ndarray]:
    """The axes ``(d, r)`` that hold a ``share`` of the variance of standardised rows ``(n, d)``, ``most`` at most, and
    the variances ``(r,)`` along them."""
    n, d = values.shape
    most = max(1, min(MOST_AXES, most, n, d))
    if min(n, d) <= EXACT:
        singular, axes = np.linalg.svd(values, full_matrices=False)[1:]
    else:
        singular, axes = randomized_svd(values, most, n_iter=4, random_state=0)[1:]
    variances = singular**2 / n
    held = np.cumsum(variances) / max((values**2).sum() / n, 1e-300)
    r = min(most, int(np.searchsorted(held, share)) + 1, len(variances))
    return axes[:r].T, np.maximum(variances[:r], SMALLEST_VARIANCE)


def distances(values: np.ndarray, axes: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(T², Q)`` of standardised rows, ``(n,)`` each."""
    along = values @ axes
    return (along**2 / variances).sum(axis=1), np.maximum((values**2).sum(axis=1) - (along**2).sum(axis=1), 0)


def write_domain(folder: Path, domain: Domain) -> None:
    """Write domain.safetensors into a model folder."""
    arrays = {"mean": domain.mean, "sd": domain.sd, "variances": domain.variances}
    arrays |= {"limits": np.array([domain.limit_t2, domain.limit_q])}
    arrays = {name: np.ascontiguousarray(array, np.float64) for name, array in arrays.items()}
    save_file(arrays | {"axes": np.ascontiguousarray(domain.axes, np.float32)}, folder / FILE)


def read_domain(folder: Path) -> Domain:
    """The Domain of a model folder; raises MissingInput or BadData."""
    path = require_file(folder / FILE)
    try:
        arrays = load_file(path)
        axes = arrays["axes"].astype(np.float64)
        return Domain(arrays["mean"], arrays["sd"], axes, arrays["variances"], *map(float, arrays["limits"]))
    except (SafetensorError, KeyError, TypeError) as problem:
        raise BadData(f"{path}: not the domain of a model ({problem}); fit the model again") from problem
