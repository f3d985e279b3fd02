"""Random labels that keep what real ones have: the prevalence of every fold and the likeness within leakage groups."""

import numpy as np
import pandas as pd

# groups of one size exchange their labels where there are so many that the exchange is nearly always a change
ENOUGH_GROUPS = 10


def permute_labels_by_group(
    labels: np.ndarray, groups: np.ndarray, folds: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Labels exchanged between whole groups within each fold.

    Groups of one size, of which a fold has at least ENOUGH_GROUPS, exchange their label vectors as they are. The labels
    of all other groups of the fold are joined in a random order of the groups and laid out over the same groups in
    another random order, which keeps neighbours together but where a group ends.

    Args:
        labels: ``(n,)`` of any type.
        groups: ``(n,)`` leakage group of each row; a row without one should have a name of its own.
        folds: ``(n,)`` the fold of each row; labels never leave their fold.
        rng: a numpy Generator.

    Returns:
        ``(n,)`` of the type of ``labels``; every fold holds the same labels as before.
    """
    labels = np.asarray(labels)
    permuted = labels.copy()
    groups = pd.factorize(np.asarray(groups, object))[0]
    for fold in pd.unique(np.asarray(folds)):
        rows = np.flatnonzero(np.asarray(folds) == fold)
        members = [rows[places] for places in pd.Series(groups[rows]).groupby(groups[rows]).indices.values()]
        sizes = np.array([len(member) for member in members])
        counts = np.bincount(sizes)
        for size in np.unique(sizes[counts[sizes] >= ENOUGH_GROUPS]):
            exchanging = [members[at] for at in np.flatnonzero(sizes == size)]
            for target, source in zip(exchanging, rng.permutation(len(exchanging)), strict=True):
                permuted[target] = labels[exchanging[source]]
        others = [members[at] for at in np.flatnonzero(counts[sizes] < ENOUGH_GROUPS)]
        if others:
            source, target = (np.concatenate([others[at] for at in rng.permutation(len(others))]) for _ in range(2))
            permuted[target] = labels[source]
    return permuted
