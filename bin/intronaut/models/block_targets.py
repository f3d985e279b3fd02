"""What a partition predicts, labels or measured levels, and the models of sets of blocks that predict it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from intronaut.models import block_penalties, held_out, lightgbm
from intronaut.models.design_matrix import Matrix, Scale
from intronaut.models.level import FIRST_RHO, Levels, overdispersion, read_levels, read_weights

if TYPE_CHECKING:
    from intronaut.io.h5ad import Features
    from intronaut.models.cross_validation import Plan
    from intronaut.models.held_out import Evaluation


def target_of(args: Namespace, table: pd.DataFrame, plan: Plan, predictor_of: Callable) -> Target:
    """The Target of --target: labels, or levels with the weights that their reads call for."""
    if args.target == "label":
        labels = table["label"].to_numpy()
        return Target(args, table, plan, labels, None, predictor_of(labels, None))
    levels = read_levels(table, args.target, args.labels)
    weights = np.ones(len(levels.y)) if levels.weights is None else levels.weights
    if levels.weights is None and levels.counted:
        # around the held-out predictions of all blocks; the same for all sets, so that their values compare
        predict = predictor_of(levels.y, read_weights(levels.n, FIRST_RHO))
        logits = predict(list(range(predict.n_blocks)))[0]
        rows = np.isfinite(logits)
        rho = overdispersion(levels.y[rows], levels.n[rows], 1 / (1 + np.exp(-logits[rows])))
        weights = read_weights(levels.n, rho)
    return Target(args, table, plan, levels.y, (levels, weights), predictor_of(levels.y, weights))


class Target:
    """What is predicted: ``y`` ``(n,)``, labels or levels; how sets of blocks predict it and are evaluated."""

    def __init__(
        self,
        args: Namespace,
        table: pd.DataFrame,
        plan: Plan,
        y: np.ndarray,
        levels: tuple[Levels, np.ndarray] | None,
        predict: Predictor,
    ) -> None:
        self.args, self.table, self.plan, self.y, self.levels, self.predict = args, table, plan, y, levels, predict

    def null_logits(self) -> np.ndarray:
        """The log odds of the mean where each held-out row's model was trained; NaN elsewhere."""
        if self.levels is None:
            return np.where(self.plan.judged, self.plan.prevalence_logits(self.y), np.nan)
        logits = np.full(len(self.y), np.nan)
        for outer in self.plan.outers:
            rows = self.plan.trains(() if outer is None else {outer})
            mean = np.average(self.y[rows], weights=self.levels[1][rows])
            logits[self.plan.judged_by(outer)] = np.log(mean / (1 - mean))
        return logits

    def evaluate(self, logits: np.ndarray, refitted: np.ndarray) -> Evaluation:
        """The Evaluation of held-out logits ``(n,)`` and refits ``(K, n)`` or None."""
        if self.levels is None:
            how = {"replicates": 2, "seed": self.args.seed}
            return held_out.evaluate_held_out(self.table, self.plan, logits, refitted, **how)
        result: Any = SimpleNamespace(logits=logits, refitted=refitted)
        return held_out.evaluate_held_out_levels(self.table, self.plan, result, *self.levels, self.args.seed)


class Predictor:
    """A function from places of blocks to ``(logits, refitted, penalties of each fold)``."""

    def __init__(self, work: Callable, n_blocks: int) -> None:
        self.work, self.n_blocks = work, n_blocks

    def __call__(self, members: list[int]) -> tuple[np.ndarray, np.ndarray, dict[int, tuple[float, ...]]]:
        return self.work(members)


def predictor(
    columns: dict[str, Any],
    features: Features | None,
    rows: np.ndarray | None,
    plan: Plan,
    args: Namespace,
    y: np.ndarray,
    weights: np.ndarray | None,
) -> Predictor:
    """The Predictor of ``y`` with the weights of rows, or None for 1 each."""

    def values_and_names(block):
        of_features = not hasattr(block, "columns")
        parts = (features, rows, block) if of_features else (None, None, None, block)
        matrix = Matrix(*parts, known=plan.known, threads=args.threads)
        return matrix.values(), matrix.names

    values = {name: values_and_names(block) for name, block in columns.items()}
    if args.model == "lightgbm":
        standardised = [block_values for block_values, _ in values.values()]
        return Predictor(partial(predict_by_trees, standardised, y, weights, plan, args), len(values))
    blocks = [block_penalties.block_of(name, *values_and_columns) for name, values_and_columns in values.items()]
    fits = block_penalties.Fits(blocks, y, plan, weights=weights, threads=args.threads)
    return Predictor(partial(block_penalties.held_out_logits, fits), len(values))


def predict_by_trees(
    values: list[np.ndarray], y: np.ndarray, weights: np.ndarray | None, plan: Plan, args: Namespace, members: list[int]
) -> tuple[np.ndarray, np.ndarray, dict[int | None, Any]]:
    """As :func:`predictor`, by boosted trees, which need no penalties."""
    together = pd.DataFrame(np.hstack([values[at] for at in members]), copy=False)
    matrix = Matrix(extra=together, scale=Scale.identity(together.shape[1]), threads=args.threads)
    result = lightgbm.cross_fit(matrix, y, plan, weights=weights, threads=args.threads, seed=args.seed)
    refitted = np.full((len(plan.held_out), len(y)), np.nan) if result.refitted is None else result.refitted
    return result.logits, refitted, {}
