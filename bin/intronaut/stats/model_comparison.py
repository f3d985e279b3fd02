"""Whether two models that scored the same rows differ: paired jackknife, DeLong's test, Holm, equivalence."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t

from intronaut.stats.jackknife import Resampled, jackknife_covariance, two_sided_p
from intronaut.stats.metrics import gain


@dataclass(frozen=True)
class Compared:
    """What models of one target are compared by: the metric ``key`` that they are ranked by, its name in a sentence,
    all ``metrics`` that are tested, and when the first is ``undefined``."""

    key: str
    name: str
    metrics: tuple
    undefined: str


LABELS = Compared(
    "auroc",
    "AUROC",
    ("auroc", "average_precision", "deviance_explained", "brier"),
    "no retained and spliced window of different leakage groups share a fold",
)
LEVELS = Compared(
    "spearman",
    "rank correlation",
    ("spearman", "deviance_explained", "mean_absolute_error"),
    "levels or predictions are the same in every window of a fold",
)


@dataclass
class Aurocs:
    """AUROC of ``k`` models ``(k,)``, the covariance ``(k, k)`` of their estimates, and the degrees of freedom of tests
    between them; None where the estimates are taken as normal."""

    values: np.ndarray
    covariance: np.ndarray
    df: float | None = None

    def difference(self, a: int, b: int) -> tuple[float, float]:
        """``(difference, standard error)`` of models ``a`` and ``b``."""
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        return self.values[a] - self.values[b], np.sqrt(max(variance, 0.0))


def jackknife_aurocs(scores: list[tuple[pd.Series, Resampled]]) -> Aurocs:
    """The Aurocs of models of the same rows, from the results ``(point, resampled)`` of each."""
    left_out = np.column_stack([resampled.left_out["auroc"] for _, resampled in scores])
    values = np.array([point["auroc"] for point, _ in scores])
    return Aurocs(values, jackknife_covariance(left_out), max(scores[0][1].rarer_groups - 1, 1))


def delong_within_folds(labels: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> Aurocs:
    """As :func:`delong` for rows that are independent, over pairs of rows of one fold: folds weigh by their pairs."""
    parts, weights = [], []
    for fold in np.unique(folds):
        rows = folds == fold
        retained = int(np.sum(np.asarray(labels)[rows] == 1))
        if 0 < retained < rows.sum():
            parts.append(delong(np.asarray(labels)[rows], np.atleast_2d(scores)[:, rows]))
            weights.append(retained * (rows.sum() - retained))
    weights = np.array(weights) / np.sum(weights)
    values = sum(weight * part.values for weight, part in zip(weights, parts, strict=True))
    return Aurocs(values, sum(weight**2 * part.covariance for weight, part in zip(weights, parts, strict=True)))


def delong(labels: np.ndarray, scores: np.ndarray) -> Aurocs:
    """AUROCs of paired models and their covariance for independent rows (DeLong et al. 1988, Biometrics 44:837).

    The placements come from midranks (Sun & Xu 2014, IEEE Signal Process. Lett. 21:1389).

    Args:
        labels: ``(n,)`` 0 or 1.
        scores: ``(k, n)`` float; equal scores count half.
    """
    positive = np.asarray(labels) == 1
    scores = np.atleast_2d(scores)
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores, axis=1)
    # the share of the other class that each row beats
    placed_positive = (ranks[:, positive] - rankdata(scores[:, positive], axis=1)) / n
    placed_negative = 1 - (ranks[:, ~positive] - rankdata(scores[:, ~positive], axis=1)) / m
    values = placed_positive.mean(axis=1)
    covariance = _spread((placed_positive - values[:, None]) / m) + _spread((placed_negative - values[:, None]) / n)
    return Aurocs(values, covariance)


def _spread(centred):
    size = centred.shape[1]
    return centred @ centred.T * size / max(size - 1, 1)


def equivalence_p(difference: float, error: float, margin: float, df: float | None = None) -> float:
    """p of two one-sided tests (Schuirmann 1987) that a difference lies within ``± margin``; normal without ``df``."""
    if error == 0:
        return float(abs(difference) >= margin)
    df = np.inf if df is None else df
    return float(max(t.sf((difference + margin) / error, df), t.cdf((difference - margin) / error, df)))


def holm(p: np.ndarray | pd.Series | list[float]) -> np.ndarray:
    """Holm's (1979) step-down p-values."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Benjamini & Hochberg's (1995) q-values."""
    p = np.asarray(p, float)
    order = np.argsort(-p, kind="stable")
    stepped = np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def compare_pairs(
    scores: list[tuple[pd.Series, Resampled]], independent: Aurocs, margin: float, compared: Compared = LABELS
) -> pd.DataFrame:
    """Test every pair of models, the better one by ``compared.key`` first.

    Args:
        scores: the ``(point, resampled)`` of every model on the same rows.
        independent: the Aurocs of :func:`delong_within_folds`, for the p of rows that are independent; None for levels.
        margin: difference of ``compared.key`` that does not matter.

    Returns:
        DataFrame, one row per pair: model numbers ``a`` and ``b``; for each of ``compared.metrics`` difference, 95 %
        interval, p and Holm's p by the paired jackknife over leakage groups; the p for equivalence by the key.
    """
    key, rows = compared.key, []
    for one, other in combinations(range(len(scores)), 2):
        a, b = (one, other) if scores[one][0][key] >= scores[other][0][key] else (other, one)
        differences = gain(scores[a], scores[b])
        row: dict[str, float | None] = {"a": a, "b": b}
        for metric in compared.metrics:
            difference = differences[metric]
            row |= {f"{metric}_difference": difference["value"], f"{metric}_low": difference["low"]}
            row |= {f"{metric}_high": difference["high"], f"{metric}_p": difference["p"]}
            if metric == key:
                if independent is not None:
                    row["auroc_p_independent_rows"] = two_sided_p(*independent.difference(a, b))
                known = difference["se"] is not None
                p = equivalence_p(difference["value"], difference["se"], margin, difference["df"]) if known else None
                row |= {"equivalence_p": p}
        rows.append(row)
    tested = [f"{metric}_p" for metric in compared.metrics] + ["equivalence_p"]
    table = pd.DataFrame(rows).astype(dict.fromkeys(tested, float))
    for name in tested:
        # a pair that cannot be tested counts as one test and decides nothing
        table.insert(table.columns.get_loc(name) + 1, f"{name}_holm", holm(table[name].fillna(1.0)))
    return table
