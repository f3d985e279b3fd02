import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from intronaut.stats import bootstrap, metrics


def scored(n=400, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.2).astype(float)
    scores = rng.normal(size=n) + labels
    scores = np.round(scores, 1) if ties else scores
    return labels, 1 / (1 + np.exp(-scores)), scores


def precision_at_recall(labels, scores, recall):
    precision, recalls, _ = reference.precision_recall_curve(labels, scores)
    return precision[np.flatnonzero(recalls >= recall)[-1]]


@pytest.mark.parametrize("ties", [False, True])
def test_metrics_equal_scikit_learn(ties):
    labels, p, scores = scored(ties=ties)
    found = metrics.replicate_metrics(labels, p, scores, bootstrap.observed(len(labels))).iloc[0]
    expected = {
        "auroc": reference.roc_auc_score(labels, scores),
        "average_precision": reference.average_precision_score(labels, scores),
        "lift": reference.average_precision_score(labels, scores) / labels.mean(),
        "brier": reference.brier_score_loss(labels, p),
        "log_loss": reference.log_loss(labels, p),
        "mcc": reference.matthews_corrcoef(labels, p >= 0.5),
        "precision_at_recall_10": precision_at_recall(labels, scores, 0.1),
        "precision_at_recall_50": precision_at_recall(labels, scores, 0.5),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_replicates_equal_scikit_learn_on_the_rows_they_drew():
    labels, p, scores = scored(120, ties=True)
    groups = np.arange(120) // 4
    draws = bootstrap.resampler(groups, 20, seed=3)
    found = metrics.replicate_metrics(labels, p, scores, draws)
    for replicate in range(20):
        rows = np.repeat(np.arange(120), draws.counts[replicate, groups])
        assert found["auroc"][replicate] == pytest.approx(reference.roc_auc_score(labels[rows], scores[rows]))
        expected = reference.average_precision_score(labels[rows], scores[rows])
        assert found["average_precision"][replicate] == pytest.approx(expected)
        assert found["brier"][replicate] == pytest.approx(reference.brier_score_loss(labels[rows], p[rows]))


def test_a_replicate_draws_as_many_groups_as_there_are():
    draws = bootstrap.resampler(["a", "b", "b", "c"], 50, seed=0)
    assert draws.group.tolist() == [0, 1, 1, 2]
    assert (draws.counts.sum(axis=1) == 3).all()


def test_ece_of_a_hand_worked_case():
    # ten rows predicted 0.1 of which 2 are retained, ten predicted 0.8 of which 5 are: (1 + 3) / 20
    labels = np.array([1] * 2 + [0] * 8 + [1] * 5 + [0] * 5, float)
    p = np.repeat([0.1, 0.8], 10)
    found = metrics.replicate_metrics(labels, p, p, bootstrap.observed(20)).iloc[0]
    assert found["ece"] == pytest.approx(0.2)


def test_one_class_gives_no_auroc_rather_than_a_number():
    found = metrics.replicate_metrics(np.zeros(5), np.full(5, 0.5), np.zeros(5), bootstrap.observed(5)).iloc[0]
    assert np.isnan(found["auroc"]) and np.isnan(found["average_precision"])


def clustered_scores(rng, n_groups=60, size=8, between=1.0):
    """Labels and scores that share a group effect; the true AUROC is that of two unit normals 1 apart, widened."""
    labels = np.repeat(rng.random(n_groups) < 0.4, size).astype(float)
    shared = np.repeat(rng.normal(size=n_groups) * between, size)
    return np.repeat(np.arange(n_groups), size), labels, labels + shared + rng.normal(size=n_groups * size)


def test_strata_of_a_replicate_count_by_the_pairs_it_drew():
    """Spelled out on the rows of each replicate, of which one in six lacks a class in a stratum; none is dropped."""
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"gc": rng.random(60)})
    label, logit = (rng.random(60) < 0.15).astype(int), rng.normal(size=60).round(1)
    predictions, groups = pd.DataFrame({"label": label, "logit": logit}), np.arange(60) // 2
    found, strata = metrics.stratified_auroc(predictions, table, groups, 300, seed=1)
    stratum = pd.qcut(table["gc"], 3, labels=False).to_numpy()

    def within(rows):
        won = pairs = 0
        for one in range(3):
            own = rows[stratum[rows] == one]
            a, b = logit[own][label[own] == 1], logit[own][label[own] == 0]
            won, pairs = won + (np.sign(a[:, None] - b).sum() + a.size * b.size) / 2, pairs + a.size * b.size
        return won / pairs if pairs else np.nan

    drawn = [np.repeat(np.arange(60), counts[groups]) for counts in bootstrap.resampler(groups, 300, 1).counts]
    assert np.mean([len(set(stratum[rows][label[rows] == 1])) < 3 for rows in drawn]) > 0.15
    replicates = np.array([within(rows) for rows in drawn])
    wanted = bootstrap.interval(replicates, 30, within(np.arange(60)))
    assert found.pop("without_both_classes") == np.isnan(replicates).sum()
    assert found == pytest.approx(wanted, abs=1e-6) and len(strata) == 3


def test_strata_without_any_pair_have_no_auroc():
    table = pd.DataFrame({"gc": [0.1, 0.2, 0.8, 0.9]})
    predictions = pd.DataFrame({"label": [0, 0, 1, 1], "logit": [0.0, 1, 2, 3]})
    found, _ = metrics.stratified_auroc(predictions, table, np.arange(4), 50, seed=1, bins=2)
    assert found == {"value": None, "low": None, "high": None, "without_both_classes": 50}


def test_group_bootstrap_covers_where_the_row_bootstrap_does_not():
    from scipy.stats import norm

    truth = norm.cdf(1 / np.sqrt(2 * (1 + 1)))
    rng = np.random.default_rng(11)
    covered = {"groups": 0, "rows": 0}
    runs = 200
    for run in range(runs):
        groups, labels, scores = clustered_scores(rng)
        for kind, drawn in (("groups", groups), ("rows", np.arange(len(groups)))):
            draws = bootstrap.resampler(drawn, 200, seed=run)
            aurocs = metrics.replicate_metrics(labels, labels, scores, draws)["auroc"]
            found = bootstrap.interval(aurocs.to_numpy(), len(set(drawn)))
            covered[kind] += found["low"] <= truth <= found["high"]
    # 200 runs: a true 95 % gives 92 to 98 % in 19 of 20 seeds
    assert 0.92 <= covered["groups"] / runs <= 0.98
    assert covered["rows"] / runs < 0.80
