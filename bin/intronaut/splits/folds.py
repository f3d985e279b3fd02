"""Folds and parts that keep leakage groups together."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData

# the chromosomes that Sei's authors held out of its training (Chen et al. 2022), so that no feature has seen them
TEST_CHROMOSOMES = ("8", "9")


VALID_CHROMOSOMES = ("10",)


def grouped_folds(
    groups: np.ndarray | pd.Series, labels: np.ndarray | pd.Series, n_folds: int, seed: int | None = None
) -> np.ndarray:
    """Deal whole groups to folds so that the number of windows of each label comes out even.

    Deterministic: the largest groups go first, each to the fold whose labels it crowds least. scikit-learn's
    StratifiedGroupKFold does the same, but may leave a fold empty when groups are few. With ``seed``, groups of one
    size go in a random order, and folds that would be equally crowded are taken in a random order.

    Args:
        groups: one group a window, as from :func:`leakage_groups`.
        labels: one label a window; missing ones are balanced as a class of their own.
        n_folds: how many folds.

    Returns:
        int64 array of fold numbers from 1 to ``n_folds``; no fold is empty.

    Raises:
        BadData: there are fewer groups than folds.
    """
    groups, distinct = pd.factorize(np.asarray(groups))
    if len(distinct) < n_folds:
        raise BadData(f"{len(distinct)} leakage groups cannot fill {n_folds} folds; ask for fewer folds or add introns")
    members = pd.crosstab(groups, pd.factorize(np.asarray(labels, object))[0], margins=True).to_numpy()
    members, totals = members[:-1], members[-1]
    load = np.zeros((n_folds, len(totals)))
    fold_of = np.empty(len(members), np.int64)
    rng = None if seed is None else np.random.default_rng(seed)
    order = np.arange(len(members)) if rng is None else rng.permutation(len(members))
    for group in order[np.argsort(-members[order, -1], kind="stable")]:
        # the rise of the sum of squared relative loads; the margin column keeps an empty fold the cheapest
        rise = load @ (members[group] / totals**2)
        fold_of[group] = np.argmin(rise) if rng is None else rng.choice(np.flatnonzero(rise == rise.min()))
        load[fold_of[group]] += members[group]
    return fold_of[groups] + 1


def chromosome_split(
    chroms: pd.Series | Sequence[str], test: Sequence[str] = TEST_CHROMOSOMES, valid: Sequence[str] = VALID_CHROMOSOMES
) -> np.ndarray:
    """``test``, ``valid`` or ``train`` for every chromosome name in ``chroms``; ``chr8`` and ``8`` are the same.

    Raises BadData when a part that was asked for, or train, would be empty.
    """
    parts = dict.fromkeys(map(_bare, valid), "valid") | dict.fromkeys(map(_bare, test), "test")
    split = np.array([parts.get(_bare(name), "train") for name in chroms], object)
    for part, wanted in (("test", test), ("valid", valid), ("train", ["any other chromosome"])):
        if wanted and part not in split:
            have = ", ".join(sorted(set(chroms)))
            raise BadData(f"no window on {', '.join(wanted)} for {part}; the windows lie on {have}: name others")
    return split


def _bare(chrom):
    return chrom.removeprefix("chr")


def group_split(groups: np.ndarray | pd.Series, labels: np.ndarray | pd.Series) -> np.ndarray:
    """Whole groups to ``train``, ``valid`` and ``test``, 8:1:1, with even labels; raises BadData for < 10 groups."""
    folds = grouped_folds(groups, labels, 10)
    return np.select([folds == 1, folds == 2], ["test", "valid"], "train").astype(object)
