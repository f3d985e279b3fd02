"""Gradient-boosted trees (LightGBM) under the same plan of folds as the linear models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import optuna
import pandas as pd

from intronaut.models.cross_validation import CrossFit, Plan, mean_auroc
from intronaut.stats.metrics import log_losses

if TYPE_CHECKING:
    from intronaut.core.log import _Progress
    from intronaut.models.design_matrix import Matrix

# one thread a booster: folds are trained side by side, which scales better and gives the same trees for any number
COMMON = {
    "objective": "binary", "verbosity": -1, "deterministic": True, "force_row_wise": True, "bagging_freq": 1,
    "num_threads": 1, "histogram_pool_size": 1024,
}  # fmt: skip
DEFAULTS = {
    "learning_rate": 0.1, "num_leaves": 15, "max_depth": -1, "min_child_samples": 20, "feature_fraction": 0.2,
    "bagging_fraction": 0.75, "lambda_l1": 0.0, "lambda_l2": 1.0,
}  # fmt: skip
# the settings of Daoud & Ben-Hur's LGBM.json that LightGBM reads; its key for min_split_gain has a stray space
PAPER = {
    "learning_rate": 0.01, "num_leaves": 28, "max_depth": 15, "feature_fraction": 0.85, "bagging_fraction": 0.75,
    "lambda_l1": 0.5, "lambda_l2": 0.3, "is_unbalance": True,
}  # fmt: skip
NARROW = 100
# leaves hold one training row in twenty at least, and never more rows than LightGBM's own default
LEAF_SHARE, SMALLEST_LEAF, LARGEST_LEAF = 20, 2, 20
MOST_TREES = {"default": 1000, "paper": 1000}
PATIENCE = {"default": 20, "paper": 10}


class _Rows(lightgbm.Sequence):
    """Some rows (numbers) of a Matrix as LightGBM reads them: by row or run of rows, so that only the binned values are
    ever held whole."""

    batch_size = 4096

    def __init__(self, matrix, rows):
        self.matrix, self.rows = matrix, rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        if isinstance(place, slice):
            return self.matrix.rows_at(self.rows[place]).astype(float)
        return self.matrix.rows_at(self.rows[[place]])[0].astype(float)


def cross_fit(
    matrix: Matrix,
    labels: np.ndarray,
    plan: Plan,
    *,
    preset: str = "default",
    balance: bool = False,
    weights: np.ndarray | None = None,
    trials: int = 0,
    threads: int = 1,
    seed: int = 1,
    progress: _Progress | None = None,
) -> CrossFit:
    """Fit trees for every held-out fold and on all known rows; the number of trees is found on inner folds.

    Values are binned for every held-out fold, by the rows without it. Without ``trials`` the settings are fixed.
    With them, optuna's tree-structured Parzen estimator (Bergstra et al. 2011) searches the published ranges, for each
    held-out fold by itself, by the mean log loss of its inner folds.

    Args:
        labels: ``(n,)`` 0 or 1, or shares between, which are fitted by cross-entropy.
        weights: ``(n,)`` of the rows; None for 1 each.
        progress: what counts the held-out folds as they are done, or None.
    """
    fixed = COMMON | (PAPER if preset == "paper" else DEFAULTS) | {"seed": seed}
    if not np.isin(labels, (0, 1)).all():
        fixed["objective"] = "cross_entropy"
    if preset == "default" and matrix.d <= NARROW:
        # a tree that draws one column in five of a few often draws none that matters
        fixed["feature_fraction"] = 1.0
    if balance:
        fixed |= {"is_unbalance": True}
    # leaf sizes differ between training sets, so that no column may be dropped by one of them beforehand
    of_data = fixed if preset == "paper" else fixed | {"feature_pre_filter": False}
    judged, refitted = np.full(len(labels), np.nan), np.full((len(plan.held_out), len(labels)), np.nan)
    inner, settings, fitted, tried = {}, {}, {}, []
    for outer in plan.outers:
        known = plan.trains({outer})
        folds = [fold for fold in plan.held_out if fold != outer]
        if preset == "default":
            fixed["min_child_samples"] = leaf_size(known.sum())
        task = _Task(matrix, labels, weights, plan, folds, known, of_data, preset, threads)
        settings[outer], trial_rows = task.search(fixed, trials, seed)
        tried += [{"judged_fold": outer, **row} for row in trial_rows]
        inner[outer] = task.inner
        fitted[outer] = task.train(known, settings[outer]), balance_offset(labels[known], settings[outer])
        rows = plan.judged_by(outer)
        if rows.any():
            judged[rows] = predict(fitted[outer][0], matrix, rows) + fitted[outer][1]
            refitted[:, rows] = task.refitted(rows, settings[outer]["num_iterations"], judged[rows])
        if progress is not None:
            progress.add(1)
    of_fold = {str(fold): settings[fold] for fold in plan.outers[1:]}
    empty = sum(not booster.feature_importance("split").any() for booster, _ in fitted.values())
    warning = [f"the trees of {empty} of {len(fitted)} models have no split: they give every intron the base rate"]
    return CrossFit(
        judged, inner, fitted[None], settings[None], of_fold, pd.DataFrame(tried),
        refitted if len(refitted) > 1 else None, warning if empty else [], fitted,
    )  # fmt: skip


def leaf_size(n_train: int) -> int:
    """The least rows of a leaf for ``n_train`` training rows."""
    return int(max(SMALLEST_LEAF, min(LARGEST_LEAF, n_train // LEAF_SHARE)))


def predict(
    booster: lightgbm.Booster, matrix: Matrix, rows: np.ndarray | None = None, trees: int | None = None
) -> np.ndarray:
    """Raw scores (logits) ``(n,)`` of a booster's first ``trees``, or its best ones, on the rows (bool) of a matrix."""
    parts = []
    for block in matrix.blocks:
        if rows is None or rows[block].any():
            values = matrix.block(block) if rows is None else matrix.block(block)[rows[block]]
            parts.append(booster.predict(values, raw_score=True, num_threads=1, num_iteration=trees))
    return np.concatenate(parts)


def balance_offset(labels: np.ndarray, settings: dict[str, Any]) -> float:
    """What turns a logit of balanced training back to the training prevalence."""
    return np.log(labels.mean() / (1 - labels.mean())) if settings.get("is_unbalance") else 0.0


class _Task:
    """Settings for one held-out fold from its inner folds; ``inner`` holds the inner logits of the best settings."""

    def __init__(self, matrix, labels, weights, plan, folds, known, of_data, preset, threads):
        self.matrix, self.labels, self.weights = matrix, labels, weights
        rows = np.flatnonzero(known)
        more = {"weight": None if weights is None else weights[rows], "params": of_data}
        self.data = lightgbm.Dataset(_Rows(matrix, rows), labels[rows], free_raw_data=False, **more).construct()
        self.plan, self.fold, self.folds = plan, plan.fold, folds
        self.known, self.threads = known, threads
        self.most, self.patience = MOST_TREES[preset], PATIENCE[preset]
        self.preset = preset
        self.best, self.inner, self.boosters = np.inf, None, {}

    def search(self, fixed, trials, seed):
        """``(settings with their number of trees, what was tried)``."""
        tried = []

        def attempt(settings):
            row, trees, logits, boosters = self._inner_folds(settings)
            tried.append(row)
            if row["inner_log_loss"] < self.best:
                self.best, self.inner, self.boosters = row["inner_log_loss"], logits, boosters
                self.chosen = settings | {"num_iterations": trees}
            return row["inner_log_loss"]

        attempt(fixed)
        if trials:
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
            study.optimize(lambda trial: attempt(fixed | _suggest(trial)), n_trials=trials)
        for row in tried:
            row["chosen"] = row["inner_log_loss"] == self.best
        return self.chosen, tried

    def refitted(self, rows, trees, judged):
        """``(K, m)`` logits of the ``rows`` (bool) by the chosen settings without each held-out fold too.

        Where that is the fold of the rows themselves, their own logits ``judged``.
        """
        by_fold = {
            fold: predict(booster, self.matrix, rows, trees) + offset
            for fold, (booster, offset) in self.boosters.items()
        }
        return np.stack([by_fold.get(fold, judged) for fold in self.plan.held_out])

    def _inner_folds(self, settings):
        """Train without each inner fold, stop early on it, and score all of them together."""
        logits, trees, boosters = np.full(len(self.labels), np.nan), [], {}

        def without(fold):
            held = self.fold == fold
            train = self.known & ~held
            booster = self.train(train, settings | {"num_iterations": self.most}, held)
            offset = balance_offset(self.labels[train], settings)
            return fold, held, booster, offset, predict(booster, self.matrix, held) + offset

        with ThreadPoolExecutor(self.threads) as pool:
            for fold, held, booster, offset, fold_logits in pool.map(without, self.folds):
                trees.append(booster.best_iteration)
                boosters[fold] = booster, offset
                logits[held] = fold_logits
        rows = np.isfinite(logits)
        shown = {name: settings[name] for name in DEFAULTS if name in settings}
        auroc = mean_auroc(self.labels, logits, [self.fold == fold for fold in self.folds])
        row = shown | {"trees": int(np.mean(trees)), "inner_auroc": auroc}
        weights = None if self.weights is None else self.weights[rows]
        row["inner_log_loss"] = np.average(log_losses(self.labels[rows], logits[rows]), weights=weights)
        return row, max(1, int(np.mean(trees))), logits, boosters

    def _data_of(self, rows):
        """The Dataset of some of the known rows (bool of all)."""
        return self.data.subset(np.flatnonzero(rows[self.known]))

    def train(self, rows, settings, stop_on=None):
        """A booster of the rows (bool), stopped early when the rows ``stop_on`` no longer improve."""
        train = self._data_of(rows)
        settings = dict(settings)
        rounds = settings.pop("num_iterations")
        if stop_on is None:
            return lightgbm.train(settings, train, rounds)
        held = self._data_of(stop_on)
        stop = lightgbm.early_stopping(self.patience, verbose=False)
        metric = (
            "auc"
            if self.preset == "paper"
            else {"binary": "binary_logloss"}.get(settings["objective"], "cross_entropy")
        )
        return lightgbm.train(settings | {"metric": metric}, train, rounds, valid_sets=[held], callbacks=[stop])


def _suggest(trial):
    """The ranges that Daoud & Ben-Hur searched; the number of trees comes from early stopping."""
    return {
        "num_leaves": trial.suggest_int("num_leaves", 20, 50),
        "max_depth": trial.suggest_int("max_depth", 5, 25),
        "learning_rate": trial.suggest_float("learning_rate", 0.001, 0.1, log=True),
        "lambda_l1": trial.suggest_float("lambda_l1", 0, 1),
        "lambda_l2": trial.suggest_float("lambda_l2", 0, 1),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.5, 1),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1),
    }
