"""Introns that match_introns matched to each other: how often the retained one ranks above its spliced partners."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from intronaut.stats import within_folds as ranks
from intronaut.stats.jackknife import Resampled, leave_out_blocks


def linked_groups(groups: np.ndarray, matches: np.ndarray) -> np.ndarray:
    """A number ``(n,)`` for each row, the same for rows that leakage groups and matches link, directly or not.

    Args:
        groups: ``(n,)`` leakage group of each row.
        matches: ``(n,)`` number of the match of each row, NaN for rows without one.
    """
    group, known = ranks.codes(groups), ~pd.isna(matches)
    match = pd.factorize(np.asarray(matches)[known])[0]
    size = group.max() + 1
    links = coo_array((np.ones(len(match)), (group[known], size + match)), shape=(size + len(match),) * 2)
    return connected_components(links, directed=False)[1][group]


def auroc_within_matches(
    predictions: pd.DataFrame, matches: np.ndarray, groups: np.ndarray, seed: int
) -> dict[str, float | int | None]:
    """The share of pairs of a retained row and a spliced one matched to it in which the retained one scores higher.

    Ties count half. A match whose rows lie in different folds has no pair, because fold models have no common scale.
    The interval leaves out what :func:`linked_groups` links, and has no training variance.

    Args:
        predictions: a predictions table; ``matches`` and ``groups`` ``(n,)`` of its rows, as in linked_groups.

    Returns:
        ``{value, low, high, se, se_test, se_train, df, pairs, blocks}``; ``blocks`` how many linked sets of groups.
    """
    kept = ~pd.isna(matches)
    labels, logits = (predictions[name].to_numpy(float)[kept] for name in ("label", "logit"))
    together = ranks.codes(predictions["fold"].to_numpy()[kept], np.asarray(matches)[kept])
    linked = ranks.codes(linked_groups(np.asarray(groups)[kept], np.asarray(matches)[kept]))
    # partners of one leakage group are a pair all the same: each row is a group of its own here
    value, left_out, pairs = ranks.auroc_without_blocks(
        labels, logits, together, np.arange(len(labels)), leave_out_blocks(linked, seed)
    )
    n_linked = int(linked.max()) + 1
    resampled = Resampled(pd.DataFrame({"auroc": left_out}), (), pd.DataFrame(), n_linked, n_linked)
    return resampled.interval("auroc", value, "logit") | {"pairs": int(pairs), "blocks": n_linked}
