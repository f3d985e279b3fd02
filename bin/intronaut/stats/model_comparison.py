"""Whether two models that scored the same rows differ: DeLong's test, with and without clusters, Holm, equivalence."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from intronaut.stats.bootstrap import LEVEL, interval


@dataclass
class Aurocs:
    """AUROC of ``k`` models ``(k,)`` and the covariance ``(k, k)`` of their estimates."""

    values: np.ndarray
    covariance: np.ndarray

    def difference(self, a, b):
        """``(difference, standard error)`` of models ``a`` and ``b``."""
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        return self.values[a] - self.values[b], np.sqrt(max(variance, 0.0))


def delong(labels, scores, groups=None):
    """AUROCs of paired models and their covariance.

    The placements come from midranks (Sun & Xu 2014, IEEE Signal Process. Lett. 21:1389). Without ``groups`` the
    covariance is that of DeLong et al. (1988, Biometrics 44:837); with them, rows of one group may depend on each
    other (Obuchowski 1997, Biometrics 53:567), which is the same when every row is its own group.

    Args:
        labels: ``(n,)`` 0 or 1.
        scores: ``(k, n)`` float; equal scores count half.
        groups: ``(n,)`` leakage group of each row.
    """
    positive = np.asarray(labels) == 1
    scores = np.atleast_2d(scores)
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores, axis=1)
    # the share of the other class that each row beats
    placed_positive = (ranks[:, positive] - rankdata(scores[:, positive], axis=1)) / n
    placed_negative = 1 - (ranks[:, ~positive] - rankdata(scores[:, ~positive], axis=1)) / m
    values = placed_positive.mean(axis=1)
    centred = np.empty_like(ranks)
    centred[:, positive] = (placed_positive - values[:, None]) / m
    centred[:, ~positive] = (placed_negative - values[:, None]) / n
    if groups is None:
        covariance = _spread(centred[:, positive], m) + _spread(centred[:, ~positive], n)
        return Aurocs(values, covariance)
    group, distinct = pd.factorize(np.asarray(groups))
    sums = [_group_sums(centred * side, group, len(distinct)) for side in (positive, ~positive)]
    sizes = [len(np.unique(group[side])) for side in (positive, ~positive)]
    cross = sums[0] @ sums[1].T * len(distinct) / max(len(distinct) - 1, 1)
    return Aurocs(values, sum(map(_spread, sums, sizes)) + cross + cross.T)


def _spread(centred, size):
    return centred @ centred.T * size / max(size - 1, 1)


def _group_sums(values, group, size):
    return np.stack([np.bincount(group, row, size) for row in values])


def two_sided_p(difference, error):
    """p of a difference under a normal null; 1 when both are 0, such as for a model against itself."""
    return 1.0 if error == 0 and difference == 0 else float(2 * norm.sf(abs(difference) / max(error, 1e-300)))


def equivalence_p(difference, error, margin):
    """p of two one-sided tests (Schuirmann 1987) that the difference lies within ``± margin``."""
    if error == 0:
        return float(abs(difference) >= margin)
    return float(max(norm.sf((difference + margin) / error), norm.cdf((difference - margin) / error)))


def bootstrap_p(differences):
    """Two-sided p of paired bootstrap differences: how rarely they fall on the other side of 0."""
    usable = differences[np.isfinite(differences)]
    tail = min((usable <= 0).sum(), (usable >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(usable) + 1)))


def holm(p):
    """Holm's (1979) step-down p-values."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p):
    """Benjamini & Hochberg's (1995) q-values."""
    p = np.asarray(p, float)
    order = np.argsort(-p, kind="stable")
    stepped = np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def compare_pairs(aurocs, independent, point, replicated, n_groups, margin):
    """Test every pair of models, the one of higher AUROC first.

    Args:
        aurocs: of :func:`delong` with groups; ``independent`` without, for the textbook DeLong p.
        point: the metrics of each model on the data; ``replicated`` in the paired bootstrap replicates.
        n_groups: how many leakage groups the replicates draw.
        margin: difference of AUROC that does not matter.

    Returns:
        DataFrame, one row a pair: model numbers ``a`` and ``b``; for AUROC difference, interval, p and Holm's p from
        the grouped DeLong test, and the p for equivalence; for average precision and Brier score difference, interval,
        p and Holm's p from the bootstrap.
    """
    quantile = norm.ppf((1 + LEVEL) / 2)
    rows = []
    for one, other in combinations(range(len(aurocs.values)), 2):
        a, b = (one, other) if aurocs.values[one] >= aurocs.values[other] else (other, one)
        difference, error = aurocs.difference(a, b)
        row = {
            "a": a,
            "b": b,
            "auroc_difference": difference,
            "auroc_low": difference - quantile * error,
            "auroc_high": difference + quantile * error,
            "auroc_p": two_sided_p(difference, error),
            "auroc_p_independent_rows": two_sided_p(*independent.difference(a, b)),
            "equivalence_p": equivalence_p(difference, error, margin),
        }
        for metric in ("average_precision", "brier"):
            differences = (replicated[a][metric] - replicated[b][metric]).to_numpy()
            found = interval(differences, n_groups, point[a][metric] - point[b][metric])
            row |= {f"{metric}_difference": found["value"], f"{metric}_low": found["low"]}
            row |= {f"{metric}_high": found["high"], f"{metric}_p": bootstrap_p(differences)}
        rows.append(row)
    table = pd.DataFrame(rows)
    for name in ("auroc_p", "equivalence_p", "average_precision_p", "brier_p"):
        table.insert(table.columns.get_loc(name) + 1, f"{name}_holm", holm(table[name]))
    return table
