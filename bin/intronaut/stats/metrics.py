"""How well predicted probabilities of retention agree with labels, and how sure that is.

Introns of one gene are not independent, so every interval comes from a bootstrap that draws whole leakage groups. All
metrics of a replicate follow from the counts of its groups: threshold metrics are sums over groups, rank metrics one
cumulative sum over the rows in order of their score.
"""

import json

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import rankdata

from intronaut import __version__
from intronaut.core.errors import BadData
from intronaut.core.files import whole_file
from intronaut.io.tables import PREDICTION_COLUMNS, write_table
from intronaut.stats.bootstrap import LEVEL, interval, observed, resampler

METRICS = (
    "auroc", "average_precision", "prevalence", "lift", "brier", "log_loss", "ece", "mcc", "mcc_at_prevalence",
    "precision_at_recall_10", "precision_at_recall_50",
)  # fmt: skip
RECALLS = {"precision_at_recall_10": 0.1, "precision_at_recall_50": 0.5}
ECE_BINS = 10
SMALLEST_P = 1e-15


def replicate_metrics(labels, probabilities, scores, draws):
    """Every metric of METRICS in every replicate.

    Args:
        labels: ``(n,)`` 0 or 1.
        probabilities: ``(n,)`` for Brier score, log loss, ECE and MCC.
        scores: ``(n,)`` what ranks the rows: the logit, which keeps apart what a probability near 1 would not.
        draws: a Resampler.

    Returns:
        DataFrame ``(b, metrics)``; NaN where a replicate lacks a class.
    """
    labels = np.asarray(labels, float)
    ranking = _Ranking(labels, scores)
    sums = _GroupSums(labels, np.asarray(probabilities, float), draws.group)
    in_order = draws.group[ranking.order]
    with np.errstate(invalid="ignore", divide="ignore"):
        made = pd.DataFrame([ranking.metrics(counts.astype(np.float32)[in_order]) for counts in draws.counts])
        made = made.assign(**sums.metrics(draws.counts))
        return made.assign(lift=made["average_precision"] / made["prevalence"])[list(METRICS)]


class _Ranking:
    """AUROC, average precision and precision at recall of weighted rows, ties counted as one threshold."""

    def __init__(self, labels, scores):
        scores = np.asarray(scores, float)
        self.order = np.argsort(-scores, kind="stable")
        scores, positive = scores[self.order], labels[self.order] == 1
        first = np.r_[True, scores[1:] != scores[:-1]]
        block = np.cumsum(first) - 1
        starts = np.flatnonzero(first)
        ends = np.r_[starts[1:], len(scores)]
        self.positive = np.flatnonzero(positive)
        positives_before = np.r_[0, np.cumsum(positive)]
        self.row_start, self.row_end = starts[block[self.positive]], ends[block[self.positive]]
        self.positive_start, self.positive_end = positives_before[self.row_start], positives_before[self.row_end]

    def metrics(self, weights):
        """``weights`` ``(n,)`` of the rows in ranked order → one number a metric."""
        weight = weights[self.positive]
        rows, positives = _running(weights), _running(weight)
        true_positives, called = positives[self.positive_end], rows[self.row_end]
        false_after = called - true_positives
        false_before = rows[self.row_start] - positives[self.positive_start]
        total, negatives = positives[-1], rows[-1] - positives[-1]
        precision = true_positives / np.maximum(called, 1)
        made = {
            "auroc": 1 - weight @ (false_after + false_before) / (2 * total * negatives),
            "average_precision": weight @ precision / total,
        }
        for name, recall in RECALLS.items():
            made[name] = precision[np.argmax(true_positives >= recall * total)] if total else np.nan
        return made


def _running(weights):
    made = np.zeros(len(weights) + 1)
    np.cumsum(weights, out=made[1:])
    return made


class _GroupSums:
    """Metrics that are made of sums over rows: a replicate needs its groups' sums only."""

    def __init__(self, labels, probabilities, group):
        clipped = np.clip(probabilities, SMALLEST_P, 1 - SMALLEST_P)
        self.edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, ECE_BINS + 1)[1:-1]))
        bins = np.searchsorted(self.edges, probabilities, side="right")
        many = probabilities >= np.sort(probabilities)[::-1][max(int(labels.sum()), 1) - 1]
        columns = [
            np.ones_like(labels), labels, (probabilities - labels) ** 2,
            -np.log(np.where(labels == 1, clipped, 1 - clipped)),
            *_confusion(labels, probabilities >= 0.5), *_confusion(labels, many),
            *((bins == k) * (probabilities - labels) for k in range(len(self.edges) + 1)),
        ]  # fmt: skip
        self.sums = np.stack([np.bincount(group, column) for column in columns], axis=1)

    def metrics(self, counts):
        # whole-number matrices have no fast product, and all of them as floats at once would fill the memory
        parts = np.array_split(counts, 1 + len(counts) // 100)
        totals = np.concatenate([part.astype(float) @ self.sums for part in parts])
        n, positives, brier, log_loss, tp, called, tp_many, called_many, *gaps = totals.T
        return {
            "prevalence": positives / n,
            "brier": brier / n,
            "log_loss": log_loss / n,
            "ece": np.abs(gaps).sum(axis=0) / n,
            "mcc": _mcc(tp, called, positives, n),
            "mcc_at_prevalence": _mcc(tp_many, called_many, positives, n),
        }


def _confusion(labels, called):
    return labels * called, called.astype(float)


def _mcc(tp, called, positives, n):
    """Matthews correlation (1975); 0 when all rows are called alike."""
    spread = called * (n - called) * positives * (n - positives)
    return np.where(spread > 0, (tp * n - called * positives) / np.sqrt(np.maximum(spread, 1)), 0.0)


def log_losses(labels, logits):
    """The log loss of each row, from its logit, without overflow."""
    return np.logaddexp(0, logits) - labels * logits


def rank_auroc(labels, scores):
    """Area under the ROC curve from ranks (Mann & Whitney), ties counted half."""
    positive = np.asarray(labels) == 1
    m, n = positive.sum(), (~positive).sum()
    return (rankdata(scores)[positive].sum() - m * (m + 1) / 2) / (m * n)


def evaluate(predictions, groups, replicates, seed):
    """Score a predictions table.

    Args:
        predictions: DataFrame with PREDICTION_COLUMNS, one row a locus.
        groups: leakage group of each row.

    Returns:
        ``(summary, point, draws)``: what metrics.json holds; the metrics of the data ``(metrics,)`` and of the
        bootstrap replicates ``(replicates, metrics)``, for comparing models on the same rows.
    """
    labels, p, scores = (predictions[name].to_numpy(float) for name in ("label", "p_retained", "logit"))
    require_both_classes(labels, "the evaluated rows")
    draws = resampler(groups, replicates, seed)
    n_groups = draws.counts.shape[1]
    point = replicate_metrics(labels, p, scores, observed(len(labels))).iloc[0]
    replicated = replicate_metrics(labels, p, scores, draws)
    summary = {
        "version": __version__,
        "n": len(labels),
        "n_retained": int(labels.sum()),
        "prevalence": float(labels.mean()),
        "n_groups": n_groups,
        "bootstrap": {
            "replicates": replicates,
            "seed": seed,
            "drawn": "leakage groups",
            "level": LEVEL,
            "without_both_classes": int(replicated["auroc"].isna().sum()),
        },
        "metrics": {name: interval(replicated[name].to_numpy(), n_groups, point[name]) for name in METRICS},
        "calibration": calibration_bins(labels, p),
    }
    return summary, point, replicated


def gain(better, base, n_groups):
    """Paired difference of two ``(point, replicated)`` results of :func:`evaluate` on the same rows."""
    values, differences = better[0] - base[0], better[1] - base[1]
    return {name: interval(differences[name].to_numpy(), n_groups, values[name]) for name in METRICS}


def stratified_auroc(predictions, table, groups, replicates, seed, bins=3):
    """AUROC among introns of alike GC content and length, which no model can owe to either.

    Args:
        predictions: a predictions table; ``table`` the rows of the labels table in the same order.
        bins: how many bins of equal size of each of ``gc`` and ``length``; a column that is not there has one.

    Returns:
        ``(within, strata)``: the mean AUROC over strata, weighted by pairs, with its interval and how many replicates
        had no pair in any stratum; and DataFrame ``stratum n n_retained auroc low high``, NaN where a stratum lacks a
        class. A replicate weighs strata by its own pairs, so one that lacks a class in a stratum counts by the others.
    """
    labels, scores = predictions["label"].to_numpy(float), predictions["logit"].to_numpy(float)
    names = [name for name in ("gc", "length") if name in table and table[name].nunique() > 1]
    edges = [pd.qcut(table[name], bins, duplicates="drop").astype(str) for name in names]
    names = [name + " " + edge for name, edge in zip(names, edges, strict=True)]
    stratum = pd.Series("all", index=table.index) if not names else names[0].str.cat(names[1:], sep=", ")
    draws, rows = resampler(groups, replicates, seed), []
    weighted, total = np.zeros((2, replicates + 1))
    n_groups = draws.counts.shape[1]
    for name, members in stratum.groupby(stratum, sort=True).groups.items():
        own = np.asarray(members)
        retained = labels[own].sum()
        values = np.full(replicates + 1, np.nan)
        if 0 < retained < len(own):
            ranking = _Ranking(labels[own], scores[own])
            order = draws.group[own][ranking.order]
            weights = [np.ones(len(own)), *(counts.astype(np.float32)[order] for counts in draws.counts)]
            with np.errstate(invalid="ignore", divide="ignore"):
                values = np.array([ranking.metrics(one)["auroc"] for one in weights])
            positives = np.array([one[ranking.positive].sum() for one in weights], float)
            pairs = positives * (np.array([one.sum() for one in weights], float) - positives)
            weighted, total = weighted + np.where(pairs > 0, pairs * values, 0), total + pairs
        found = interval(values[1:], n_groups, values[0])
        rows.append({"stratum": name, "n": len(own), "n_retained": int(retained), "auroc": found["value"],
                     "low": found["low"], "high": found["high"]})  # fmt: skip
    with np.errstate(invalid="ignore"):
        mean = weighted / total
    within = interval(mean[1:], n_groups, mean[0]) | {"without_both_classes": int((total[1:] == 0).sum())}
    return within, pd.DataFrame(rows)


def require_both_classes(labels, what):
    """Raise BadData unless ``labels`` hold both 0 and 1."""
    retained = int(np.sum(np.asarray(labels) == 1))
    if retained in (0, len(labels)):
        kind = "spliced" if retained else "retained"
        raise BadData(f"no {kind} intron among {what} ({len(labels)} in all); both classes are needed")


def calibration_bins(labels, probabilities, bins=ECE_BINS):
    """Mean predicted and observed retention in bins of equal size, for a reliability plot."""
    order = np.argsort(probabilities, kind="stable")
    return [
        {"n": len(part), "predicted": float(probabilities[part].mean()), "observed": float(labels[part].mean())}
        for part in np.array_split(order, bins)
        if len(part)
    ]


def prediction_table(table, logits, fold, evaluated):
    """The predictions of the ``evaluated`` (bool) rows of a labels table, rounded as they will be written.

    Metrics are computed from the rounded numbers, so that anyone gets the same from the file.
    """
    rounded = _as_written(logits)
    made = pd.DataFrame(
        {
            "name": table["name"],
            "label": table["label"].astype(int),
            "split": table.get("split", np.nan),
            "fold": fold,
            "p_retained": _as_written(expit(rounded)),
            "logit": rounded,
        }
    )
    return made.loc[evaluated, list(PREDICTION_COLUMNS)].reset_index(drop=True)


def _as_written(values):
    """Numbers ``(n,)`` as they are read back from a table of :func:`intronaut.io.tables.write_table`."""
    return np.array([float(f"{value:.6g}") for value in values])


def write_evaluation(folder, predictions, summary):
    """Write predictions.tsv and metrics.json into a folder."""
    write_table(folder / "predictions.tsv", predictions)
    with whole_file(folder / "metrics.json") as out:
        json.dump(summary, out, indent=1, sort_keys=True, ensure_ascii=False)
        out.write("\n")
