"""How much every feature moves the logit of every intron under a fitted model, and features gathered into groups.

Linear models: ``w_j (x_j - mean_j) / sd_j``. Trees: SHAP values of TreeSHAP (Lundberg et al. 2020, Nat. Mach. Intell.
2:56) as LightGBM itself computes them. Both add up: baseline + sum of contributions = logit, before calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from intronaut.core.errors import UsageError
from intronaut.io.tables import PREDICTION_COLUMNS, read_table
from intronaut.models.design_matrix import Matrix, Scale
from intronaut.models.folder import LinearModel, TreeModel

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from intronaut.io.h5ad import Features

NO_GROUP = "(none)"


class Contributions:
    """Contributions of the features of a file, in blocks of introns.

    Args:
        model: LinearModel or TreeModel.
        features, columns: the features file and the columns of it that the model was fitted on.
        rows: ``(n, 2)`` feature rows of each intron, as :func:`intronaut.models.design_matrix.every_locus` finds them.
    """

    def __init__(
        self,
        model: LinearModel | TreeModel,
        features: Features,
        rows: np.ndarray,
        columns: np.ndarray,
        threads: int = 1,
    ) -> None:
        self.model, self.linear = model, isinstance(model, LinearModel)
        scale = Scale(model.mean, model.sd) if isinstance(model, LinearModel) else Scale.identity(len(columns))
        self.matrix = Matrix(features, rows, columns, scale=scale, memory=0, threads=threads)
        if isinstance(model, LinearModel):
            self.weights, self.baseline = model.weights.astype(np.float32), model.intercept
        else:
            # the last column is the mean prediction, the same for every row
            mean = model.booster.predict(np.zeros((1, len(columns))), pred_contrib=True, num_threads=1)
            self.baseline = float(np.asarray(mean)[0, -1]) + model.offset

    def of(self, values: np.ndarray) -> np.ndarray:
        """``(m, d)`` rows of ``self.matrix`` → their contributions ``(m, d)`` float32."""
        if isinstance(self.model, LinearModel):
            return values * self.weights
        shares = self.model.booster.predict(values, pred_contrib=True, num_threads=1)
        return np.asarray(shares)[:, :-1].astype(np.float32)

    def logits(self, values: np.ndarray) -> np.ndarray:
        """``(m, d)`` rows of ``self.matrix`` → their logits ``(m,)`` float64, before calibration."""
        if self.linear:
            return (values @ self.weights).astype(float) + self.baseline
        return self.model.logits(values)

    def blocks(self, work: Callable) -> Iterator:
        """Yield ``work(rows, contributions)`` for every block of introns, in order."""
        return self.matrix.map(lambda rows, values: work(rows, self.of(values)))


def held_out_places(folder: Path | str) -> pd.DataFrame:
    """``held_out_rank`` and ``held_out_logit`` of every intron that a model of fit predicted held-out, by name.

    Rank 1 is the highest predicted retention. Models of different folds have no common scale, so that each intron
    counts by its place in its own fold: (midrank of its logit - 1/2) / rows of the fold. Ties go by the order of
    predictions.tsv.
    """
    judged = read_table(Path(folder) / "predictions.tsv", PREDICTION_COLUMNS)
    fold, logits = judged["fold"].fillna(""), judged["logit"].astype(float)
    place = (logits.groupby(fold).rank() - 0.5) / fold.map(fold.value_counts())
    ranks = place.rank(ascending=False, method="first").astype(int)
    columns = {"held_out_rank": ranks.to_numpy(), "held_out_logit": logits.to_numpy()}
    return pd.DataFrame(columns, index=judged["name"])


class Moments:
    """The standard deviation of ``d`` columns that come in blocks of rows."""

    def __init__(self, d: int) -> None:
        self.n, self.sums, self.squares = 0, np.zeros(d), np.zeros(d)

    def add(self, values: np.ndarray) -> None:
        """Count rows ``(m, d)`` in."""
        self.n += len(values)
        self.sums += values.sum(axis=0, dtype=float)
        self.squares += (values.astype(float) ** 2).sum(axis=0)

    def sd(self) -> np.ndarray:
        """``(d,)``, of all rows so far."""
        return np.sqrt(np.maximum(self.squares / self.n - (self.sums / self.n) ** 2, 0))


def group_of(var: pd.DataFrame, column: str | None, path: Path | str) -> pd.Categorical:
    """The group of each feature as a Categorical in order of first appearance; a missing value is its own group.

    Without a column every feature is its own group. Raises UsageError for a column that is not there.
    """
    if column is None:
        names = pd.Series(var.index, dtype=object)
    elif column in var:
        names = var[column].reset_index(drop=True).astype(object)
        names = names.where(names.notna() & (names != ""), NO_GROUP).astype(str)
    else:
        raise UsageError(f"--group-by {column}: {path} has no such column; it has {', '.join(var.columns) or 'none'}")
    return pd.Categorical(names, categories=pd.unique(names))


def membership(group: pd.Categorical) -> csr_array:
    """``(d, groups)`` float32 sparse matrix that sums features' contributions by group."""
    d, g = len(group), len(group.categories)
    return sparse.csr_array((np.ones(d, np.float32), (np.arange(d), group.codes)), shape=(d, g))


def members_of(unit: pd.Categorical) -> list[np.ndarray]:
    """The column numbers of every category of a Categorical, increasing."""
    return np.split(np.argsort(unit.codes, kind="stable"), np.cumsum(np.bincount(unit.codes))[:-1])


def unit_effects(sample: np.ndarray, unit: pd.Categorical, weights: np.ndarray) -> np.ndarray:
    """Standard deviation of every unit's contribution over a sample of introns.

    Args:
        sample: ``(m, d)`` standardised features.
        unit: Categorical of the ``d`` features.
        weights: ``(d, k)`` coefficients of ``k`` linear models.

    Returns:
        ``(units, k)``.
    """
    thin = weights.astype(np.float32)
    return np.stack([(sample[:, columns] @ thin[columns]).std(axis=0) for columns in members_of(unit)])


def strongest(parts: np.ndarray, count: int) -> np.ndarray:
    """Column numbers of the ``count`` largest absolute contributions of each row, largest first: ``(m, count)``."""
    count = min(count, parts.shape[1])
    size = np.abs(parts)
    strongest_columns = np.sort(np.argpartition(-size, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(size, strongest_columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(strongest_columns, order, axis=1)
