from collections import Counter

import numpy as np

from intronaut.stats.label_permutation import permute_labels_by_group


def vectors(labels, groups, folds):
    """How often each fold holds each label vector of a group."""
    return Counter((folds[groups == group][0], tuple(labels[groups == group])) for group in np.unique(groups))


def test_groups_of_one_size_exchange_whole_label_vectors():
    groups, folds = np.repeat(np.arange(60), 4), np.repeat(np.arange(60) % 3, 4)
    labels = (np.random.default_rng(1).random(240) < 0.4).astype(int)
    permuted = permute_labels_by_group(labels, groups, folds, np.random.default_rng(0))
    assert vectors(permuted, groups, folds) == vectors(labels, groups, folds)
    assert (permuted != labels).mean() > 0.2


def test_groups_of_many_sizes_keep_the_prevalence_of_each_fold_and_their_likeness():
    rng = np.random.default_rng(2)
    sizes = rng.integers(2, 12, 90)
    groups = np.repeat(np.arange(90), sizes)
    folds = np.repeat(np.arange(90) % 5, sizes)
    labels = np.repeat((rng.random(90) < 0.3).astype(float), sizes)
    alike = []
    for seed in range(20):
        permuted = permute_labels_by_group(labels, groups, folds, np.random.default_rng(seed))
        for fold in range(5):
            assert permuted[folds == fold].sum() == labels[folds == fold].sum()
        alike.append(np.mean([np.ptp(permuted[groups == group]) == 0 for group in range(90)]))
    # labels that are alike within every group stay so but where two groups meet; by rows hardly any group would
    assert np.mean(alike) > 0.6


def test_one_seed_is_one_permutation_and_rows_alone_are_permuted_freely():
    labels, groups, folds = np.arange(30) % 2, np.arange(30), np.ones(30)
    first, second, other = (permute_labels_by_group(labels, groups, folds, np.random.default_rng(s)) for s in (5, 5, 6))
    assert (first == second).all() and (first != other).any() and first.sum() == 15
