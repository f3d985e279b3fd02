"""Thresholds, prediction sets and the domain of a model, by hand and against brute force."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

import fit
import predict
from intronaut.core.errors import UsageError
from intronaut.models import conformal, domain
from intronaut.models.design_matrix import Matrix
from intronaut.models.threshold import Rule, held_out_measures
from simulated_introns import FIT, write_features

pytest_plugins = ["fitted_models"]

PREDICT = ("--model", "m", "--features", "f.h5ad", "-o", "p.tsv", "--threads", "1")
LABELS = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0])
P = np.array([0.9, 0.8, 0.8, 0.6, 0.5, 0.4, 0.4, 0.3, 0.2, 0.1])


def test_costs_decide_without_looking_at_the_rows():
    # a missed intron costs three times a wrong call: call from one in four
    assert Rule.parse("cost:3,1").choose(LABELS, P) == 0.25


@pytest.mark.parametrize("seed", range(4))
def test_thresholds_equal_a_search_over_all(seed):
    rng = np.random.default_rng(seed)
    labels, p = (rng.random(60) < 0.4).astype(int), rng.random(60).round(1)
    tried = np.unique(p)
    f1 = [f1_score(labels, p >= one) for one in tried]
    assert Rule.parse("f1").choose(labels, p) == tried[np.flatnonzero(f1 == np.max(f1))[-1]]
    reaching = [one for one in tried if recall_score(labels, p >= one) >= 0.7]
    assert Rule.parse("recall:0.7").choose(labels, p) == max(reaching)
    precise = [one for one in tried if precision_score(labels, p >= one) >= 0.45]
    found = Rule.parse("precision:0.45").choose(labels, p)
    assert np.isnan(found) if not precise else found == min(precise)


def test_a_precision_that_is_never_reached_has_no_threshold():
    assert np.isnan(Rule.parse("precision:0.99").choose(np.array([0, 1, 0]), np.array([0.9, 0.9, 0.1])))


@pytest.mark.parametrize("text", ["cost", "cost:1", "f1:2", "recall:2", "recall:x", "best", "precision:0"])
def test_rules_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match=f"--threshold {text}: give cost:FN,FP"):
        Rule.parse(text)


def test_held_out_measures_equal_scikit_learn():
    rng = np.random.default_rng(1)
    labels, called = (rng.random(300) < 0.4).astype(int), rng.random(300) < 0.5
    found = held_out_measures(labels, called, np.arange(300) // 2, 1)
    assert found["sensitivity"]["value"] == pytest.approx(recall_score(labels, called))
    assert found["specificity"]["value"] == pytest.approx(recall_score(1 - labels, ~called))
    assert found["precision"]["value"] == pytest.approx(precision_score(labels, called))
    assert found["f1"]["value"] == pytest.approx(f1_score(labels, called))
    # of independent rows the standard error is about that of a binomial share
    expected = np.sqrt(found["sensitivity"]["value"] * (1 - found["sensitivity"]["value"]) / labels.sum())
    assert found["sensitivity"]["se"] == pytest.approx(expected, rel=0.15)


def test_limits_of_five_groups_worked_by_hand():
    # retained rows in groups a (two rows), b, c, d, e; scores are minus the logits
    logits = np.array([3.0, 1.0, 2.0, 0.5, -1.0, -2.0])
    scores = conformal.conformal_scores(np.ones(6), logits, list("aabcde"))
    assert scores["weight"].tolist() == [0.5, 1, 0.5, 1, 1, 1]
    table = pd.concat([scores, scores.assign(label=0)])
    # 0.6 of 5 + 1 groups are 3.6: weights 0.5 1.5 2 3 4 reach it at the score 1.0
    assert conformal.limits(table, 0.6)[1] == 1.0
    # 0.5 of 6 is 3, which is reached at -0.5
    assert conformal.limits(table, 0.5)[1] == -0.5
    with pytest.raises(UsageError, match="5 leakage groups hold spliced introns, which allow 0.833 at most"):
        conformal.limits(table, 0.9)


def test_sets_of_new_groups_hold_both_classes_at_their_rate():
    rng, held = np.random.default_rng(3), {0: [], 1: []}
    for _ in range(100):
        group = np.repeat(np.arange(160), 4)
        labels = (rng.random(640) < 0.3).astype(int)
        logits = 2 * labels + np.repeat(rng.normal(size=160), 4) + rng.normal(size=640)
        known = group < 80
        scores = conformal.conformal_scores(labels[known], logits[known], group[known])
        found = conformal.sets(logits[~known], scores, 0.9)
        for label, name in ((0, "set_spliced"), (1, "set_retained")):
            held[label].append(found[name][labels[~known] == label].mean())
    # 100 data sets: the mean of the shares scatters by about 0.004
    assert all(0.885 <= np.mean(shares) <= 0.945 for shares in held.values())


def test_the_distances_equal_those_of_a_full_decomposition():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8))
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    axes, variances = domain.principal_axes(values, 30)
    full, vectors = np.linalg.eigh(values.T @ values / 300)
    r = axes.shape[1]
    assert full[::-1][: r - 1].sum() < 0.9 * 8 <= full[::-1][:r].sum() + 1e-9
    np.testing.assert_allclose(variances, full[::-1][:r])
    t2, q = domain.distances(values, axes, variances)
    rest = vectors[:, ::-1][:, r:]
    np.testing.assert_allclose(q, ((values @ rest) ** 2).sum(axis=1), atol=1e-9)
    inverse = vectors[:, ::-1][:, :r] / full[::-1][:r] @ vectors[:, ::-1][:, :r].T
    np.testing.assert_allclose(t2, np.einsum("ij,jk,ik->i", values, inverse, values), atol=1e-8)


@pytest.mark.parametrize("d", [12, 600])
def test_alike_rows_are_inside_and_rows_moved_by_six_sd_outside(tmp_path, d):
    rng = np.random.default_rng(d)
    table = pd.DataFrame(rng.normal(3, 2, size=(500, d)).astype(np.float32))
    learnt = domain.learn_domain(Matrix(extra=table), np.arange(500) % 5 + 1)
    domain.write_domain(tmp_path, learnt)
    read = domain.read_domain(tmp_path)
    new = rng.normal(3, 2, size=(400, d))
    flagged = [np.mean(np.maximum(*read.ratios(values)) > 1) for values in (new, new + 12)]
    assert flagged[0] <= 0.06 and flagged[1] >= 0.95


def predicted(tmp_path, *args):
    predict.main([*PREDICT, *args])
    return pd.read_csv(tmp_path / "p.tsv", sep="\t")


@pytest.mark.slow
def test_predict_calls_by_the_threshold_of_the_model(fitted, tool, tmp_path):
    fit.main([*FIT, "--threshold", "recall:0.9"])
    written = json.loads((tmp_path / "m/threshold.json").read_text())
    out = pd.read_csv(tmp_path / "m/predictions.tsv", sep="\t")
    reaching = [p for p in out["p_retained"] if (out["p_retained"][out["label"] == 1] >= p).mean() >= 0.9]
    assert written["threshold"] == pytest.approx(max(reaching), abs=1e-5)
    assert 0.8 < written["held_out"]["sensitivity"]["value"] < 1 and len(written["threshold_of_fold"]) == 5
    table = predicted(tmp_path)
    assert (table["call"] == (table["p_retained"] >= written["threshold"])).mean() > 0.99
    assert table["out_of_domain"].mean() < 0.1
    shifted = predicted(tmp_path, "--prevalence", "0.01")
    assert shifted["call"].sum() < table["call"].sum()


def test_sets_are_refused_where_they_could_not_keep_their_rate(fitted, tool, tmp_path):
    table = predicted(tmp_path, "--sets", "0.9")
    assert {"set_spliced", "set_retained"} <= set(table) and (table["set_spliced"] | table["set_retained"]).any()
    assert "leakage groups hold" in tool("predict", *PREDICT, "--sets", "0.999", code=2).stderr
    assert (
        "--sets with --prevalence" in tool("predict", *PREDICT, "--sets", "0.9", "--prevalence", "0.1", code=2).stderr
    )


def test_windows_unlike_the_training_windows_are_reported(fitted, tool, tmp_path):
    write_features(tmp_path / "f.h5ad", [f"z{k}" for k in range(len(fitted))], fitted + 6)
    told = tool("predict", *PREDICT).stderr
    assert "100% of the windows are unlike those that the model was trained on" in told
