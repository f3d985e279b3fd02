"""Ranking metrics of held-out predictions, whose folds each have a model of their own.

Logits of two fold models have no common scale: a fold rich in retained introns leaves a lower base rate to train on, so
that ranking all rows together orders folds against their labels. AUROC therefore counts pairs of rows of one fold, and
average precision calls the same share of every fold.
"""

import numpy as np
import pandas as pd

RECALLS = {"precision_at_recall_10": 0.1, "precision_at_recall_50": 0.5}


def codes(*columns: np.ndarray | pd.Series) -> np.ndarray:
    """Rows with equal values in all ``columns`` get one number from 0; missing values count as equal."""
    table = pd.DataFrame(
        {at: pd.factorize(np.asarray(column), use_na_sentinel=False)[0] for at, column in enumerate(columns)}
    )
    return table.groupby(list(table), sort=False).ngroup().to_numpy()


def midranks(scores: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Rank of each score within its stratum from 1, ties sharing the mean of their ranks."""
    return pd.Series(scores).groupby(np.asarray(stratum)).rank(method="average").to_numpy()


def wins(labels: np.ndarray | pd.Series, scores: np.ndarray, stratum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each row is on the right side of the rows of the other class in its stratum, ties counting half.

    Args:
        labels: ``(n,)`` 0 or 1.
        scores: ``(n,)``; a retained row should score higher than a spliced one.
        stratum: ``(n,)`` whole numbers from 0.

    Returns:
        ``(won, opponents)``, ``(n,)`` each.
    """
    retained = np.asarray(labels) == 1
    size = int(np.max(stratum, initial=-1)) + 1
    n_of = {label: np.bincount(stratum[retained == label], minlength=size) for label in (True, False)}
    overall, within_label = midranks(scores, stratum), np.empty(len(retained))
    for label in (True, False):
        within_label[retained == label] = midranks(np.asarray(scores)[retained == label], stratum[retained == label])
    # of the rows that rank lower, those of the other class
    lower = overall - within_label
    opponents = np.where(retained, n_of[False][stratum], n_of[True][stratum])
    return np.where(retained, lower, opponents - lower), opponents


def auroc_without_blocks(
    labels: np.ndarray, scores: np.ndarray, folds: np.ndarray, groups: np.ndarray, blocks: np.ndarray | None = None
) -> tuple[float, np.ndarray, int]:
    """AUROC from pairs of rows of one fold and different groups, of all rows and without each block of groups.

    W / M, with W the pairs in which the retained row scores higher (half for ties) and M all pairs: the sum over folds
    of van Elteren (1960) with pairs as weights. Leaving out a block takes its pairs from both sums, so that all blocks
    cost as much as one. The values without a block are to first order in its share of the pairs, the infinitesimal
    jackknife (Jaeckel 1972, Bell Labs memorandum 72-1215-11): the plain one divides by the pairs that remain, so that
    few large groups make it too wide.

    Args:
        folds, groups, blocks: ``(n,)`` whole numbers from 0; a group lies in one block. None leaves nothing out.

    Returns:
        ``(auroc, left_out, pairs)``: the value, NaN without any pair; ``(b,)`` without each block; M.
    """
    retained = np.asarray(labels) == 1
    won, pairs = wins(labels, scores, folds)
    won_in_group, pairs_in_group = wins(labels, scores, codes(folds, groups))
    won, pairs = won - won_in_group, pairs - pairs_in_group
    total_won, total = won[retained].sum(), pairs[retained].sum()
    auroc = total_won / total if total else np.nan
    if blocks is None:
        return auroc, np.empty(0), total
    touched = np.stack([np.bincount(blocks, won), np.bincount(blocks, pairs)])
    # a pair whose two rows lie in one block was counted from both sides
    won_in_block, pairs_in_block = wins(labels, scores, codes(folds, blocks))
    twice = np.stack([won_in_block - won_in_group, pairs_in_block - pairs_in_group])[:, retained]
    touched -= np.stack([np.bincount(blocks[retained], row, minlength=touched.shape[1]) for row in twice])
    if not total:
        return auroc, np.full(touched.shape[1], np.nan), total
    without = auroc - (touched[0] - auroc * touched[1]) / total
    return auroc, np.where(touched[1] < total, without, np.nan), total


def folds_with_pairs(labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Whether the fold of each row holds both classes, bool ``(n,)``."""
    retained = np.bincount(folds, labels)
    size = np.bincount(folds)
    return ((retained > 0) & (retained < size))[folds]


def percentile_scores(scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The rank of each row in its fold as a share, (midrank - 1/2) / n: what folds can be compared by."""
    return (midranks(scores, folds) - 0.5) / np.bincount(folds)[folds]


def percentiles(scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """:func:`percentile_scores` of several models ``(k, n)`` in folds of any name."""
    number = codes(folds)
    return np.stack([percentile_scores(one, number) for one in scores])


def called_at_prevalence(labels: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The rows that are called when as many are called in every fold as it has retained, bool ``(n,)``.

    Rows that tie with the last one are called too.
    """
    order = np.lexsort([-np.asarray(scores), folds])
    first = np.searchsorted(folds[order], np.arange(folds.max() + 1))
    n_retained = np.bincount(folds, labels).astype(int)
    last = scores[order][np.maximum(first + n_retained - 1, 0)]
    return (scores >= last[folds]) & (n_retained[folds] > 0)


def average_precision_by_chance(n: np.ndarray | list[int], positives: np.ndarray | list[float]) -> np.ndarray:
    """The mean average precision of all orders of ``n`` rows of which ``positives`` are retained.

    (H_n + (P - 1)(n - H_n) / (n - 1)) / n with H_n the harmonic number (Bestgen 2015, Prague Bull Math Linguist
    103:131). Arrays are taken element by element.
    """
    n, positives = np.asarray(n, float), np.asarray(positives, float)
    harmonic = np.append(0, np.cumsum(1 / np.arange(1, int(np.max(n)) + 1)))[n.astype(int)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 1, (harmonic + (positives - 1) * (n - harmonic) / (n - 1)) / n, positives)


class Ranking:
    """Average precision and precision at recall of weighted rows, ties counted as one threshold."""

    def __init__(self, labels: np.ndarray, scores: np.ndarray) -> None:
        scores = np.asarray(scores, float)
        self.order = np.argsort(-scores, kind="stable")
        scores, positive = scores[self.order], np.asarray(labels)[self.order] == 1
        first = np.r_[True, scores[1:] != scores[:-1]]
        block = np.cumsum(first) - 1
        ends = np.r_[np.flatnonzero(first)[1:], len(scores)]
        self.positive = np.flatnonzero(positive)
        self.row_end = ends[block[self.positive]]
        self.positive_end = np.r_[0, np.cumsum(positive)][self.row_end]

    def metrics(self, weights: np.ndarray) -> dict[str, float]:
        """``weights`` ``(n,)`` of the rows in ranked order → a dict of metrics, NaN without a retained row."""
        weight = weights[self.positive]
        rows, positives = _running_sum(weights), _running_sum(weight)
        true_positives, called = positives[self.positive_end], rows[self.row_end]
        total = positives[-1]
        precision = true_positives / np.maximum(called, 1)
        average = weight @ precision / total if total else np.nan
        at_recall = {
            name: precision[np.argmax(true_positives >= recall * total)] if total else np.nan
            for name, recall in RECALLS.items()
        }
        return {"average_precision": average, **at_recall}


def _running_sum(weights):
    running = np.zeros(len(weights) + 1)
    np.cumsum(weights, out=running[1:])
    return running
