"""How well predicted probabilities of retention agree with labels, and how sure that is.

Introns of one gene are not independent, and every fold has a model of its own. Ranking metrics therefore compare rows
within folds (:mod:`intronaut.stats.within_folds`), and intervals leave out whole leakage groups and add the variance of
training (:mod:`intronaut.stats.jackknife`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import rankdata

from intronaut import __version__
from intronaut.core.errors import BadData
from intronaut.core.files import write_json
from intronaut.io.tables import PREDICTION_COLUMNS, write_table
from intronaut.stats import within_folds as ranks
from intronaut.stats.bootstrap import LEVEL, Resampler, resampler
from intronaut.stats.jackknife import SCALE_OF, Resampled, leave_out_blocks, two_sided_p
from intronaut.stats.reliability import calibration_bins, calibration_line, expected_calibration_error
from intronaut.stats.small_samples import groups_of_rarer_class, small_sample_sentences

# metrics whose intervals come from the jackknife, and those that jump and are bootstrapped
SMOOTH = (
    "auroc", "average_precision", "lift", "prevalence", "brier", "log_loss", "deviance_explained",
    "calibration_intercept", "calibration_slope", "mcc",
)  # fmt: skip
JUMPING = ("mcc_at_prevalence", "precision_at_recall_10", "precision_at_recall_50")
# without interval: the first lies above 0 by construction, the second is a constant of the labels
VALUE_ONLY = ("ece", "average_precision_by_chance")
METRICS = (*SMOOTH, *JUMPING, *VALUE_ONLY)
SMALLEST_P = 1e-15
# sd of the logits of a fold below which its model knows nothing
CONSTANT = 1e-9
# a fold whose prevalence is further from the training rows' than this factor is reported
PREVALENCE_FACTOR = 2
# least share of the rarer class in folds that hold both classes
ENOUGH_IN_PAIRS = 0.8


@dataclass
class Rows:
    """What all models of the same rows share: labels 0 and 1, and whole numbers from 0 for the fold, leakage group and
    jackknife block of each row, ``(n,)``; ``null_logits`` the log odds of retention among the rows that the fold's
    model was trained on, NaN where that is unknown."""

    labels: np.ndarray
    folds: np.ndarray
    groups: np.ndarray
    blocks: np.ndarray
    null_logits: np.ndarray

    @property
    def rarer_groups(self) -> int:
        """How many groups hold a row of the class that fewer groups hold."""
        return groups_of_rarer_class(self.labels, self.groups)


def rows_of(
    predictions: pd.DataFrame, groups: np.ndarray | pd.Series, seed: int, null_logits: np.ndarray | None = None
) -> Rows:
    """The Rows of a predictions table; without ``null_logits`` the labels of the other folds say what they are."""
    labels = predictions["label"].to_numpy(float)
    folds, group = ranks.codes(predictions["fold"]), ranks.codes(groups)
    if null_logits is None:
        retained, size = np.bincount(folds, labels), np.bincount(folds)
        with np.errstate(invalid="ignore", divide="ignore"):
            null_logits = logit((retained.sum() - retained) / (size.sum() - size))[folds]
    return Rows(labels, folds, group, leave_out_blocks(group, seed), np.asarray(null_logits, float))


def smooth_metrics(
    rows: Rows, probabilities: np.ndarray, logits: np.ndarray, jackknife: bool = True
) -> tuple[dict[str, float], pd.DataFrame | None]:
    """The metrics SMOOTH of one model.

    Args:
        rows: a Rows.
        probabilities: ``(n,)`` for Brier score, log loss and MCC.
        logits: ``(n,)`` what ranks the rows: it keeps apart what a probability near 1 would not.
        jackknife: whether to leave out blocks.

    Returns:
        ``(values, left_out)``: a dict, NaN where a metric cannot be had; DataFrame ``(b, SMOOTH)``, None without
        jackknife.
    """
    blocks = rows.blocks if jackknife else None
    auroc, auroc_left_out, _ = ranks.auroc_without_blocks(rows.labels, logits, rows.folds, rows.groups, blocks)
    intercept, slope, line_left_out = calibration_line(rows.labels, logits, blocks)
    values = {"auroc": auroc, "calibration_intercept": intercept, "calibration_slope": slope}
    precision, precision_left_out = _precision(rows, logits, jackknife)
    sums, sums_left_out = _sums(rows, probabilities, logits)
    values |= precision | sums
    if not jackknife:
        return values, None
    left_out = pd.DataFrame(precision_left_out).assign(**sums_left_out, auroc=auroc_left_out)
    left_out[["calibration_intercept", "calibration_slope"]] = line_left_out
    return values, left_out[list(SMOOTH)]


def _precision(rows, logits, jackknife):
    """Average precision and lift of the folds that hold both classes: a dict of values, and one of ``(b,)`` arrays."""
    inside = ranks.folds_with_pairs(rows.labels, rows.folds)
    labels, blocks = rows.labels[inside], rows.blocks[inside]
    ranking = ranks.Ranking(labels, ranks.percentile_scores(logits[inside], ranks.codes(rows.folds[inside])))
    everything = np.ones(len(labels))
    value = ranking.metrics(everything)["average_precision"] if inside.any() else np.nan
    chance = ranks.average_precision_by_chance([len(labels)], [labels.sum()])[0] if inside.any() else np.nan
    values = {"average_precision": value, "lift": value / chance}
    if not jackknife:
        return values, {}
    b = rows.blocks.max() + 1
    in_order, without = blocks[ranking.order], np.full(b, np.nan)
    for block in range(b) if inside.any() else ():
        without[block] = ranking.metrics((in_order != block).astype(float))["average_precision"]
    n, retained = (
        len(labels) - np.bincount(blocks, minlength=b),
        labels.sum() - np.bincount(blocks, labels, minlength=b),
    )
    chance = ranks.average_precision_by_chance(n, retained)
    return values, {"average_precision": without, "lift": without / chance}


def _sums(rows, probabilities, logits):
    """Metrics that are made of sums over rows: a dict of values, and one of ``(b,)`` arrays without each block."""
    labels = rows.labels
    clipped = np.clip(probabilities, SMALLEST_P, 1 - SMALLEST_P)
    columns = [
        np.ones_like(labels), labels, (probabilities - labels) ** 2,
        -np.log(np.where(labels == 1, clipped, 1 - clipped)),
        log_losses(labels, logits), log_losses(labels, rows.null_logits), labels * (probabilities >= 0.5),
        (probabilities >= 0.5).astype(float),
    ]  # fmt: skip
    parts = np.stack([np.bincount(rows.blocks, column) for column in columns])
    total = parts.sum(axis=1)
    return _of_sums(*total), _of_sums(*(total[:, None] - parts))


def _of_sums(n, retained, squares, losses, deviance, null_deviance, true_positives, called):
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "prevalence": retained / n,
            "brier": squares / n,
            "log_loss": losses / n,
            "deviance_explained": 1 - deviance / null_deviance,
            "mcc": matthews(true_positives, called, retained, n),
        }


def matthews(
    true_positives: float | np.ndarray, called: float | np.ndarray, retained: float | np.ndarray, n: float | np.ndarray
) -> np.ndarray:
    """Matthews correlation (1975); 0 when all rows are called the same."""
    spread = called * (n - called) * retained * (n - retained)
    return np.where(spread > 0, (true_positives * n - called * retained) / np.sqrt(np.maximum(spread, 1)), 0.0)


def jumping_metrics(rows: Rows, logits: np.ndarray, draws: Resampler | None = None) -> pd.DataFrame | dict[str, float]:
    """The metrics JUMPING of the data (a dict), or of every replicate of a Resampler (DataFrame)."""
    inside = ranks.folds_with_pairs(rows.labels, rows.folds)
    labels, logits, folds = rows.labels[inside], logits[inside], ranks.codes(rows.folds[inside])
    if not inside.any():
        empty = dict.fromkeys(JUMPING, np.nan)
        return empty if draws is None else pd.DataFrame([empty] * len(draws.counts))
    ranking = ranks.Ranking(labels, ranks.percentile_scores(logits, folds))
    called = ranks.called_at_prevalence(labels, logits, folds).astype(float)
    columns = np.stack([np.ones_like(labels), labels, labels * called, called], axis=1)

    def of(weights, sums):
        n, retained, true_positives, all_called = sums
        values = ranking.metrics(weights) | {"mcc_at_prevalence": matthews(true_positives, all_called, retained, n)}
        return {name: float(values[name]) for name in JUMPING}

    if draws is None:
        return of(np.ones(len(labels)), columns.sum(axis=0))
    group = draws.group[inside]
    in_order = group[ranking.order]
    sums = np.stack([np.bincount(group, column, minlength=draws.counts.shape[1]) for column in columns.T], axis=1)
    return pd.DataFrame([of(counts[in_order].astype(np.float32), counts @ sums) for counts in draws.counts])


def log_losses(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The log loss of each row, from its logit, without overflow; NaN where the logit is."""
    with np.errstate(invalid="ignore"):
        return np.logaddexp(0, logits) - labels * logits


def rank_auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve from ranks (Mann & Whitney), ties counted half; NaN where a class is lacking."""
    positive = np.asarray(labels) == 1
    m, n = positive.sum(), (~positive).sum()
    return (rankdata(scores)[positive].sum() - m * (m + 1) / 2) / (m * n) if m and n else np.nan


def evaluate(
    predictions: pd.DataFrame,
    groups: np.ndarray,
    replicates: int,
    seed: int,
    *,
    refitted: np.ndarray | None = None,
    null_logits: np.ndarray | None = None,
) -> tuple[dict[str, Any], pd.Series, Resampled]:
    """Score a predictions table.

    Args:
        predictions: DataFrame with PREDICTION_COLUMNS, one row per locus; rows of one ``fold`` had one model.
        groups: leakage group of each row.
        replicates: bootstrap replicates of the metrics JUMPING.
        refitted: ``(K, n)`` logits of the same rows by models that were also trained without the j-th fold, or None.
        null_logits: ``(n,)`` log odds of retention where each row's model was trained; None takes the other folds'.

    Returns:
        ``(summary, point, resampled)``: what metrics.json holds; the metrics of the data; the Resampled by which
        models of the same rows are compared.
    """
    labels, p, logits = (predictions[name].to_numpy(float) for name in ("label", "p_retained", "logit"))
    require_both_classes(labels, "the evaluated rows")
    rows = rows_of(predictions, groups, seed, null_logits)
    draws = resampler(groups, replicates, seed)
    values, left_out = smooth_metrics(rows, p, logits)
    values |= jumping_metrics(rows, logits) | {"ece": expected_calibration_error(labels, p)}
    inside = ranks.folds_with_pairs(labels, rows.folds)
    chance = ranks.average_precision_by_chance([inside.sum()], [labels[inside].sum()])[0] if inside.any() else np.nan
    point = pd.Series(values | {"average_precision_by_chance": chance})[list(METRICS)]
    refits = ()
    if refitted is not None and len(refitted) > 1:
        refits = (pd.DataFrame([smooth_metrics(rows, expit(one), one, jackknife=False)[0] for one in refitted]),)
    bootstrapped = jumping_metrics(rows, logits, draws)
    n_groups = draws.counts.shape[1]
    resampled = Resampled(left_out, refits, bootstrapped, rows.rarer_groups, n_groups)
    summary = {
        "version": __version__,
        "n": len(labels),
        "n_retained": int(labels.sum()),
        "prevalence": float(labels.mean()),
        "n_groups": n_groups,
        "n_groups_of_rarer_class": rows.rarer_groups,
        "intervals": {
            "level": LEVEL,
            "method": "jackknife over leakage groups, t",
            "bootstrapped": list(JUMPING),
            "training_variance": "included" if refits else "not included: for this model as trained",
        },
        "bootstrap": {"replicates": replicates, "seed": seed, "drawn": "leakage groups", "level": LEVEL},
        "metrics": summary_of_metrics(point, resampled),
        "calibration": calibration_bins(labels, p),
        **_pairs(predictions["fold"], rows, logits),
    }
    return summary, point, resampled


def summary_of_metrics(point: pd.Series, resampled: Resampled) -> dict[str, dict[str, float | None]]:
    """``{metric: {value, low, high, se, se_test, se_train, df}}`` of one model."""
    return {name: resampled.interval(name, point[name], SCALE_OF.get(name, "identity")) for name in METRICS}


def _pairs(fold, rows, logits):
    """How many pairs rank metrics rest on, the folds without any, and what a reader should know of the rows."""
    inside = ranks.folds_with_pairs(rows.labels, rows.folds)
    pairs = ranks.auroc_without_blocks(rows.labels, logits, rows.folds, rows.groups)[2]
    name_of = [str(fold[rows.folds == number].iloc[0]) for number in range(rows.folds.max() + 1)]
    without = [name for number, name in enumerate(name_of) if not inside[rows.folds == number].any()]
    sentences = [*_warnings_of_rows(rows, inside, without), *_warnings_of_folds(rows, logits, name_of)]
    return {"pairs": int(pairs), "folds_without_pairs": without, "warnings": sentences}


def _warnings_of_rows(rows, inside, without):
    """Sentences on rows that are few or take no part, each with its counts."""
    labels, n_retained = rows.labels, int(rows.labels.sum())
    if without:
        names = ", ".join(without[:10])
        yield f"{(~inside).sum():,} rows of fold {names} hold one class only and take no part in ranking metrics"
    rarer = labels == (1 if 2 * n_retained <= len(labels) else 0)
    if (share := inside[rarer].mean()) < ENOUGH_IN_PAIRS:
        yield f"ranking metrics rest on folds that hold {share:.0%} of the rarer class"
    yield from small_sample_sentences(n_retained, rows.rarer_groups)


def _warnings_of_folds(rows, logits, name_of):
    """Sentences on folds whose model knows nothing, or whose prevalence is not that of the training rows."""
    folds = [rows.folds == number for number in range(len(name_of))]
    constant = [name for name, inside in zip(name_of, folds, strict=True) if np.std(logits[inside]) < CONSTANT]
    if constant:
        yield f"the model gives all introns of fold {', '.join(constant[:10])} one probability: it knows nothing"
    ratios = [rows.labels[inside].mean() / expit(rows.null_logits[inside][0]) for inside in folds]
    apart = [
        f"{name} ({ratio:.2g} times)"
        for name, ratio in zip(name_of, ratios, strict=True)
        if np.isfinite(ratio) and not 1 / PREVALENCE_FACTOR <= ratio <= PREVALENCE_FACTOR
    ]
    if apart:
        yield f"retention is more or less common than among the training rows in fold {', '.join(apart[:10])}"


def gain(
    better: tuple[pd.Series, Resampled], base: tuple[pd.Series, Resampled], n_groups: int | None = None
) -> dict[str, dict[str, float | None]]:
    """Paired difference of two ``(point, resampled)`` results of :func:`evaluate` on the same rows.

    ``{metric: {value, low, high, se, se_test, se_train, df, p}}``; p of the t test that the difference is 0. The
    results know their own number of groups; ``n_groups`` is taken for callers who give it.
    """
    values, difference = better[0] - base[0], better[1] - base[1]
    result = {}
    for name in values.index:
        interval = difference.interval(name, values[name])
        known = name in difference.left_out and interval["se"] is not None
        result[name] = interval | {
            "p": two_sided_p(interval["value"], interval["se"], interval["df"]) if known else None
        }
    return result


def require_both_classes(labels: np.ndarray, what: str) -> None:
    """Raise BadData unless ``labels`` hold both 0 and 1."""
    retained = int(np.sum(np.asarray(labels) == 1))
    if retained in (0, len(labels)):
        kind = "spliced" if retained else "retained"
        raise BadData(f"no {kind} intron among {what} ({len(labels)} in all); both classes are needed")


def prediction_table(
    table: pd.DataFrame, logits: np.ndarray, fold: float | np.ndarray, evaluated: np.ndarray
) -> pd.DataFrame:
    """The predictions of the ``evaluated`` (bool) rows of a labels table, rounded as they will be written.

    Metrics are computed from the rounded numbers, so that anyone gets the same from the file.
    """
    rounded = as_written(logits)
    predictions = pd.DataFrame(
        {
            "name": table["name"],
            "label": table["label"].astype(int),
            "split": table.get("split", np.nan),
            "fold": fold,
            "p_retained": as_written(expit(rounded)),
            "logit": rounded,
        }
    )
    return predictions.loc[evaluated, list(PREDICTION_COLUMNS)].reset_index(drop=True)


def as_written(values: np.ndarray) -> np.ndarray:
    """Numbers ``(n,)`` as they are read back from a table of :func:`intronaut.io.tables.write_table`."""
    return np.array([float(f"{value:.6g}") for value in values])


def write_evaluation(folder: Path, predictions: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Write predictions.tsv and metrics.json into a folder."""
    write_table(folder / "predictions.tsv", predictions)
    write_json(folder / "metrics.json", summary)
