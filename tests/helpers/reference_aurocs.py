"""AUROC over pairs of one fold and different groups, from scikit-learn's AUROCs of all and of group-mates."""

import numpy as np
from sklearn.metrics import roc_auc_score


def pairs_won(labels, logits):
    """``(won, all)`` pairs of a set of rows."""
    labels = np.asarray(labels)
    n_pairs = labels.sum() * (len(labels) - labels.sum())
    return (roc_auc_score(labels, logits) * n_pairs if n_pairs else 0.0), n_pairs


def auroc_between_groups(table, groups, folds=None):
    """The AUROC of a predictions table (label, logit), ``groups`` and ``folds`` in its order."""
    table = table.assign(group=np.asarray(groups), fold=0 if folds is None else np.asarray(folds))
    every = sum(np.array(pairs_won(part["label"], part["logit"])) for _, part in table.groupby("fold"))
    mates = sum(np.array(pairs_won(part["label"], part["logit"])) for _, part in table.groupby(["fold", "group"]))
    return (every - mates)[0] / (every - mates)[1]
