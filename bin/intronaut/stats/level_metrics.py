"""How well predicted levels of retention agree with measured ones, held out, with intervals as for labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import rankdata

from intronaut import __version__
from intronaut.stats import within_folds as ranks
from intronaut.stats.bootstrap import LEVEL
from intronaut.stats.jackknife import SCALE_OF, Resampled, leave_out_blocks
from intronaut.stats.metrics import log_losses
from intronaut.stats.reliability import calibration_line

LEVEL_METRICS = (
    "deviance_explained", "spearman", "calibration_intercept", "calibration_slope", "mean_absolute_error",
)  # fmt: skip


@dataclass
class LevelRows:
    """Measured levels ``y`` from 0 to 1 and their ``weights``; fold and jackknife block of each row as whole numbers
    from 0; ``null_logits`` the log odds of the mean level where each row's model was trained; ``(n,)`` each."""

    y: np.ndarray
    weights: np.ndarray
    folds: np.ndarray
    blocks: np.ndarray
    null_logits: np.ndarray


def level_metrics(
    rows: LevelRows, logits: np.ndarray, jackknife: bool = True
) -> tuple[dict[str, float], pd.DataFrame | None]:
    """The metrics LEVEL_METRICS of predicted logits ``(n,)``.

    ``deviance_explained`` is 1 - Σ w d(y, p) / Σ w d(y, null) with the binomial deviance d; ``spearman`` the mean of
    the folds' rank correlations, weighted by their rows; ``mean_absolute_error`` counts every row once.

    Returns:
        ``(values, left_out)``: a dict, and DataFrame ``(blocks, LEVEL_METRICS)``, None without jackknife.
    """
    blocks = rows.blocks if jackknife else None
    # d(y, p) = 2 (loss - loss of a perfect prediction)
    perfect = _entropy(rows.y)
    columns = [
        rows.weights * (log_losses(rows.y, logits) - perfect),
        rows.weights * (log_losses(rows.y, rows.null_logits) - perfect),
        np.abs(rows.y - expit(logits)),
        np.ones(len(rows.y)),
    ]
    intercept, slope, line = calibration_line(rows.y, logits, blocks, rows.weights)
    spearman, spearman_left_out = _spearman(rows, logits, jackknife)
    values = {"spearman": spearman, "calibration_intercept": intercept, "calibration_slope": slope}
    total = np.sum(columns, axis=1)
    values |= _of_sums(*total)
    if not jackknife:
        return values, None
    parts = np.stack([np.bincount(rows.blocks, column) for column in columns])
    left_out = pd.DataFrame(_of_sums(*(total[:, None] - parts))).assign(spearman=spearman_left_out)
    left_out[["calibration_intercept", "calibration_slope"]] = line
    return values, left_out[list(LEVEL_METRICS)]


def _entropy(y):
    inside = (y > 0) & (y < 1)
    p = np.where(inside, y, 0.5)
    return np.where(inside, -p * np.log(p) - (1 - p) * np.log(1 - p), 0.0)


def _of_sums(deviance, null_deviance, errors, n):
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"deviance_explained": 1 - deviance / null_deviance, "mean_absolute_error": errors / n}


def _spearman(rows, logits, jackknife):
    """The mean rank correlation within folds, and without each block; NaN where no fold varies."""
    members = [np.flatnonzero(rows.folds == fold) for fold in range(rows.folds.max() + 1)]
    by_fold = np.array([_rank_correlation(rows.y[rows_of_fold], logits[rows_of_fold]) for rows_of_fold in members])
    size = np.array([len(rows_of_fold) for rows_of_fold in members], float)
    value = _weighted_mean(by_fold, size)
    if not jackknife:
        return value, None
    left_out = np.empty(rows.blocks.max() + 1)
    for block in range(len(left_out)):
        correlations, sizes = by_fold.copy(), size.copy()
        for fold in np.unique(rows.folds[rows.blocks == block]):
            remaining = members[fold][rows.blocks[members[fold]] != block]
            correlations[fold], sizes[fold] = _rank_correlation(rows.y[remaining], logits[remaining]), len(remaining)
        left_out[block] = _weighted_mean(correlations, sizes)
    return value, left_out


def _rank_correlation(a, b):
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def _weighted_mean(values, weights):
    known = np.isfinite(values)
    return float(np.average(values[known], weights=weights[known])) if known.any() else np.nan


def evaluate_levels(
    predictions: pd.DataFrame,
    groups: np.ndarray,
    replicates: int,
    seed: int,
    *,
    refitted: np.ndarray | None = None,
    null_logits: np.ndarray | None = None,
) -> tuple[dict[str, Any], pd.Series, Resampled]:
    """Score a predictions table of levels, with its columns ``psi`` and ``weight``.

    As :func:`intronaut.stats.metrics.evaluate`: ``(summary, point, resampled)``; ``replicates`` is not needed, because
    no metric of levels jumps. Without ``null_logits`` the mean level of the other folds stands for where each row's
    model was trained.
    """
    y, logits = predictions["psi"].to_numpy(float), predictions["logit"].to_numpy(float)
    blocks = leave_out_blocks(groups, seed)
    weights, folds = predictions["weight"].to_numpy(float), ranks.codes(predictions["fold"])
    if null_logits is None:
        null_logits = _logits_of_other_folds(y, weights, folds)
    rows = LevelRows(y, weights, folds, blocks, null_logits)
    values, left_out = level_metrics(rows, logits)
    refits = ()
    if refitted is not None and len(refitted) > 1:
        refits = (pd.DataFrame([level_metrics(rows, one, jackknife=False)[0] for one in refitted]),)
    n_groups = len(np.unique(np.asarray(groups, object).astype(str)))
    point = pd.Series(values)[list(LEVEL_METRICS)]
    resampled = Resampled(left_out, refits, pd.DataFrame(), n_groups, n_groups)
    summary = {
        "version": __version__,
        "n": len(y),
        "n_groups": n_groups,
        "mean_level": float(np.average(y, weights=weights)),
        "intervals": {
            "level": LEVEL,
            "method": "jackknife over leakage groups, t",
            "training_variance": "included" if refits else "not included: for this model as trained",
        },
        "metrics": {
            name: resampled.interval(name, point[name], SCALE_OF.get(name, "identity")) for name in LEVEL_METRICS
        },
        "seed": seed,
        "warnings": _warnings(rows, logits),
    }
    return summary, point, resampled


def _logits_of_other_folds(y, weights, folds):
    """The log odds ``(n,)`` of the mean level of the rows of all other folds; of all rows where there is one fold."""
    sums, weight = np.bincount(folds, y * weights), np.bincount(folds, weights)
    if len(sums) > 1:
        sums, weight = sums.sum() - sums, weight.sum() - weight
    mean = (sums / weight)[folds]
    return np.log(mean / (1 - mean))


def _warnings(rows, logits):
    constant = sum(np.std(logits[rows.folds == fold]) < 1e-9 for fold in range(rows.folds.max() + 1))
    return [f"the models of {constant} folds predict one level for all introns: they know nothing"] if constant else []
