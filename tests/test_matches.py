"""Matched introns: the AUROC within pairs by brute force, and folds that keep a match whole."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from intronaut.models.cross_validation import make_plan
from intronaut.models.held_out import evaluate_held_out, write_evaluations
from intronaut.stats.matches import auroc_within_matches, linked_groups
from simulated_introns import introns


@pytest.fixture
def matched():
    """A predictions table of 60 matches of one retained and two spliced rows, some in two folds, and 30 rows without;
    their matches and leakage groups."""
    rng = np.random.default_rng(5)
    match = np.concatenate([np.repeat(np.arange(60.0), 3), np.full(30, np.nan)])
    label = np.concatenate([np.tile([1, 0, 0], 60), rng.integers(0, 2, 30)])
    fold = np.concatenate([np.repeat(np.arange(60) % 5, 3), rng.integers(0, 5, 30)])
    fold[:9:3] = (fold[:9:3] + 1) % 5
    logit = np.round(rng.normal(size=len(match)) + 0.8 * label, 1)
    group = np.where(np.arange(len(match)) % 3, rng.integers(0, 150, len(match)), np.arange(len(match)) + 1000)
    predictions = pd.DataFrame({"label": label, "fold": fold, "logit": logit, "p_retained": 1 / (1 + np.exp(-logit))})
    return predictions, match, group


def share_of_pairs(predictions, match, kept):
    """Pairs of one match and fold in which the retained row scores higher, half for ties; pair by pair."""
    label, fold, logit = (predictions[name].to_numpy()[kept] for name in ("label", "fold", "logit"))
    found = [
        (logit[i] > logit[j]) + 0.5 * (logit[i] == logit[j])
        for i, j in product(np.flatnonzero(label == 1), np.flatnonzero(label == 0))
        if match[kept][i] == match[kept][j] and fold[i] == fold[j]
    ]
    return np.mean(found), len(found)


def test_auroc_within_matches_and_its_jackknife_by_brute_force(matched):
    predictions, match, group = matched
    found = auroc_within_matches(predictions, match, group, 1)
    value, pairs = share_of_pairs(predictions, match, np.ones(len(match), bool))
    assert found["value"] == pytest.approx(value, abs=1e-12) and found["pairs"] == pairs == 114
    known = ~np.isnan(match)
    linked = linked_groups(group[known], match[known])
    without = []
    for block in np.unique(linked):
        kept = known.copy()
        kept[known] = linked != block
        one, n = share_of_pairs(predictions, match, kept)
        # to first order: the plain jackknife's change, times the share of the pairs that remain
        without.append(value + (one - value) * n / pairs)
    b = len(without)
    variance = (b - 1) / b * np.sum((without - np.mean(without)) ** 2)
    assert found["blocks"] == b > 5 and found["se"] ** 2 == pytest.approx(variance, rel=1e-9)
    assert found["low"] < value < found["high"]


def test_linked_groups_are_the_connected_components_of_groups_and_matches():
    group = np.array(["a", "a", "b", "c", "d", "e"])
    match = np.array([np.nan, 1, 1, 2, 2, np.nan])
    found = linked_groups(group, match)
    assert pd.factorize(found)[0].tolist() == [0, 0, 0, 1, 1, 2]


def test_folds_dealt_anew_keep_matches_whole(tmp_path):
    rng = np.random.default_rng(2)
    table = introns(300)
    table["label"] = np.tile([1.0, 0.0], 150)
    table["group"] = [f"G{number // 2}" for number in rng.permutation(300)]
    table["match"] = np.where(np.arange(300) < 80, np.arange(300) // 2, np.nan)
    plan = make_plan(table, 5)
    assert (pd.Series(plan.fold).groupby(table["match"]).nunique() == 1).all() and not plan.torn_groups()
    without = make_plan(table.drop(columns="match"), 5)
    assert (pd.Series(without.fold).groupby(table["match"]).nunique() > 1).any()
    evaluation = evaluate_held_out(table, plan, rng.normal(size=300), None, replicates=2, seed=1)
    write_evaluations(tmp_path, table, plan, {"features": evaluation}, {})
    written = pd.read_json(tmp_path / "metrics.json", typ="series")["auroc_within_matches"]
    assert written["pairs"] == 40 and written["low"] < 0.5 < written["high"]
