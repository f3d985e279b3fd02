"""Held-out metrics and their intervals, against scikit-learn, brute force and known truths."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, rankdata
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression

from intronaut.stats import bootstrap, jackknife, metrics, reliability, strata, within_folds
from intronaut.stats.reliability import calibration_line


def scored(n=400, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.2).astype(int)
    logits = rng.normal(size=n) + labels - 0.5
    return labels, np.round(logits, 1) if ties else logits


def predictions(labels, logits, fold=np.nan):
    name = [f"i{k}" for k in range(len(labels))]
    p = 1 / (1 + np.exp(-logits))
    return pd.DataFrame({"name": name, "label": labels, "split": "1", "fold": fold, "p_retained": p, "logit": logits})


def precision_at_recall(labels, scores, recall):
    precision, recalls, _ = reference.precision_recall_curve(labels, scores)
    return precision[np.flatnonzero(recalls >= recall)[-1]]


@pytest.mark.parametrize("ties", [False, True])
def test_metrics_of_one_fold_equal_scikit_learn(ties):
    labels, logits = scored(ties=ties)
    p = 1 / (1 + np.exp(-logits))
    found = metrics.evaluate(predictions(labels, logits), np.arange(400), 20, 1)[1]
    expected = {
        "auroc": reference.roc_auc_score(labels, logits),
        "average_precision": reference.average_precision_score(labels, logits),
        "brier": reference.brier_score_loss(labels, p),
        "log_loss": reference.log_loss(labels, p),
        "mcc": reference.matthews_corrcoef(labels, p >= 0.5),
        "precision_at_recall_10": precision_at_recall(labels, logits, 0.1),
        "precision_at_recall_50": precision_at_recall(labels, logits, 0.5),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def won(a, b):
    return float(a > b) + 0.5 * (a == b)


def pairs_within(labels, logits, folds, groups):
    """(W, M) spelled out."""
    wins = [
        won(logits[i], logits[j])
        for i in np.flatnonzero(labels == 1)
        for j in np.flatnonzero(labels == 0)
        if folds[i] == folds[j] and groups[i] != groups[j]
    ]
    return sum(wins), len(wins)


def in_folds(seed=3, n=90):
    """Rows with ties in groups of unequal size; the last of four folds holds one class only."""
    rng = np.random.default_rng(seed)
    groups = np.sort(rng.integers(0, 25, n))
    folds = groups % 4
    labels = np.where(folds == 3, 0, rng.random(n) < 0.35).astype(int)
    return labels, np.round(rng.normal(size=n) + labels, 1), folds, groups


@pytest.mark.parametrize("n_blocks", [25, 9])
def test_auroc_and_its_jackknife_equal_brute_force(n_blocks):
    labels, logits, folds, groups = in_folds()
    blocks = groups % n_blocks
    auroc, left_out, pairs = within_folds.auroc_without_blocks(
        labels, logits, folds, within_folds.codes(groups), within_folds.codes(blocks)
    )
    all_w, all_m = pairs_within(labels, logits, folds, groups)
    assert pairs == all_m and auroc == pytest.approx(all_w / all_m, abs=1e-12)
    for number, block in enumerate(pd.unique(blocks)):
        kept = blocks != block
        w, m = pairs_within(labels[kept], logits[kept], folds[kept], groups[kept])
        # to first order: the plain jackknife's change, times the share of the pairs that remain
        assert left_out[number] - auroc == pytest.approx((w / m - auroc) * m / all_m, abs=1e-10)


def test_every_left_out_metric_is_that_of_the_remaining_rows():
    labels, logits, folds, groups = in_folds(seed=8, n=150)
    table = predictions(labels, logits, folds)
    rows = metrics.rows_of(table, groups, 1)
    p = table["p_retained"].to_numpy()
    _, left_out = metrics.smooth_metrics(rows, p, logits)
    inside = folds != 3
    r = np.empty(len(labels))
    for fold in np.unique(folds):
        r[folds == fold] = (rankdata(logits[folds == fold]) - 0.5) / (folds == fold).sum()
    for number, group in enumerate(pd.unique(groups)):
        kept = groups != group
        ranked = kept & inside
        precision = reference.average_precision_score(labels[ranked], r[ranked])
        assert left_out["average_precision"][number] == pytest.approx(precision, abs=1e-10)
        assert left_out["brier"][number] == pytest.approx(np.mean((p - labels)[kept] ** 2), abs=1e-12)
        assert left_out["mcc"][number] == pytest.approx(
            reference.matthews_corrcoef(labels[kept], p[kept] >= 0.5), abs=1e-10
        )
        # one Newton step from all rows
        slope = calibration_line(labels[kept], logits[kept])[1]
        assert left_out["calibration_slope"][number] == pytest.approx(slope, abs=0.03)


def test_a_fold_of_one_class_takes_no_part_in_ranking_but_in_brier():
    labels, logits, folds, groups = in_folds()
    summary, point, _ = metrics.evaluate(predictions(labels, logits, folds), groups, 20, 1)
    inside = folds != 3
    alone = metrics.evaluate(predictions(labels[inside], logits[inside], folds[inside]), groups[inside], 20, 1)[1]
    for name in ("auroc", "average_precision", "lift", "mcc_at_prevalence", "precision_at_recall_50"):
        assert point[name] == alone[name]
    assert point["brier"] != alone["brier"]
    assert summary["folds_without_pairs"] == ["3"]
    assert any("of fold 3 hold one class only" in sentence for sentence in summary["warnings"])


def test_shifting_the_logits_of_a_fold_changes_no_ranking_metric():
    labels, logits, folds, groups = in_folds(seed=5)
    shifted = logits + np.array([2.0, -3, 0.5, 9])[folds]
    before, after = (metrics.evaluate(predictions(labels, one, folds), groups, 20, 1)[1] for one in (logits, shifted))
    for name in ("auroc", "average_precision", "lift", "mcc_at_prevalence", "precision_at_recall_10"):
        assert before[name] == pytest.approx(after[name], abs=1e-12)


def test_average_precision_by_chance_is_that_of_random_orders():
    rng = np.random.default_rng(0)
    labels = np.arange(60) < 12
    drawn = [reference.average_precision_score(labels, rng.random(60)) for _ in range(2000)]
    expected = within_folds.average_precision_by_chance([60], [12])[0]
    assert abs(np.mean(drawn) - expected) < 3 * np.std(drawn) / np.sqrt(2000)
    # two rows, one retained: 1 or 1/2
    assert within_folds.average_precision_by_chance([2], [1])[0] == pytest.approx(0.75)


def test_deviance_explained_is_against_the_training_prevalence_of_each_fold():
    labels, logits, folds, groups = in_folds(seed=2)
    found = metrics.evaluate(predictions(labels, logits, folds), groups, 20, 1)[1]["deviance_explained"]
    null = np.array([labels[folds != fold].mean() for fold in folds])
    deviances = [reference.log_loss(labels, p, labels=[0, 1]) for p in (1 / (1 + np.exp(-logits)), null)]
    assert found == pytest.approx(1 - deviances[0] / deviances[1], abs=1e-12)


def test_calibration_line_equals_an_unpenalised_logistic_regression():
    labels, logits = scored(500, seed=4)
    intercept, slope, _ = calibration_line(labels, logits)
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(logits[:, None], labels)
    assert slope == pytest.approx(fitted.coef_[0, 0], abs=1e-5)
    # the intercept at slope 1 makes the probabilities sum to the labels
    assert (1 / (1 + np.exp(-logits - intercept))).sum() == pytest.approx(labels.sum(), abs=1e-8)
    assert np.isnan(calibration_line(labels, np.zeros(500))[1])


def test_called_at_prevalence_are_as_many_as_each_fold_has():
    labels, scores = np.array([1, 0, 0, 1, 1, 0]), np.array([3.0, 2, 1, -1, -2, -3])
    called = within_folds.called_at_prevalence(labels, scores, np.array([0, 0, 0, 1, 1, 1]))
    assert called.tolist() == [True, False, False, True, True, False]


def test_ece_of_a_hand_worked_case():
    # ten rows predicted 0.1 of which 2 are retained, ten predicted 0.8 of which 5 are: (1 + 3) / 20
    labels = np.array([1] * 2 + [0] * 8 + [1] * 5 + [0] * 5, float)
    assert metrics.expected_calibration_error(labels, np.repeat([0.1, 0.8], 10)) == pytest.approx(0.2)


def test_the_standard_error_holds_test_and_training_variance_worked_by_hand():
    left_out = pd.DataFrame({"auroc": [0.70, 0.72, 0.71, 0.69, 0.73]})
    refitted = pd.DataFrame({"auroc": [0.70, 0.74, 0.72]})
    resampled = jackknife.Resampled(left_out, (refitted,), pd.DataFrame(), 5, 5)
    # sums of squares .001 and .0008
    test, train = 4 / 5 * 0.001, 2 / 3 * 0.0008
    found = resampled.interval("auroc", 0.71, "logit")
    assert found["se_test"] == pytest.approx(test**0.5) and found["se_train"] == pytest.approx(train**0.5)
    assert found["df"] == pytest.approx((test + train) ** 2 / (test**2 / 4 + train**2 / 2))
    scale = found["se"] / (0.71 * 0.29)
    from scipy.stats import t

    assert np.log(found["low"] / (1 - found["low"])) == pytest.approx(
        np.log(0.71 / 0.29) - t.ppf(0.975, found["df"]) * scale
    )


def test_too_few_groups_have_no_interval_and_few_are_reported():
    labels, logits = np.tile([1, 0, 0, 0], 30), np.random.default_rng(1).normal(size=120)
    few = np.where(labels == 1, np.arange(120) % 4 // 4, np.arange(120) + 10)
    summary = metrics.evaluate(predictions(labels, logits), few, 20, 1)[0]
    assert summary["metrics"]["auroc"]["low"] is None and summary["n_groups_of_rarer_class"] == 1
    assert any("1 leakage groups hold the rarer class" in sentence for sentence in summary["warnings"])
    assert any("30 retained introns are few" in sentence for sentence in summary["warnings"])


def test_a_model_of_one_probability_is_reported_to_know_nothing():
    labels, _ = scored()
    summary = metrics.evaluate(predictions(labels, np.full(400, -1.2)), np.arange(400), 20, 1)[0]
    assert any("one probability: it knows nothing" in sentence for sentence in summary["warnings"])
    assert summary["metrics"]["auroc"]["value"] == 0.5 and summary["metrics"]["calibration_slope"]["value"] is None


def test_gains_are_paired_differences():
    labels, logits = scored(600, seed=1)
    rng = np.random.default_rng(2)
    better, same = (
        metrics.evaluate(predictions(labels, one), np.arange(600), 50, 1)[1:]
        for one in (logits, logits + 1e-9 * rng.normal(size=600))
    )
    gains = metrics.gain(better, better)
    assert gains["auroc"]["low"] == gains["auroc"]["high"] == 0 and gains["auroc"]["p"] == 1
    gains = metrics.gain(better, same)
    alone = jackknife.jackknife_covariance(better[1].left_out[["auroc"]].to_numpy())[0, 0] ** 0.5
    assert gains["auroc"]["se"] < 0.01 * alone


def test_more_groups_than_blocks_are_left_out_in_blocks_of_one_size():
    blocks = jackknife.leave_out_blocks(np.repeat(np.arange(2500), 2), seed=1)
    assert (blocks[::2] == blocks[1::2]).all()
    assert len(np.unique(blocks)) == jackknife.MOST_BLOCKS and set(np.bincount(blocks)) == {4, 6}


def clustered_scores(rng, n_groups=60, size=8):
    """Labels and scores that share a group effect; the true AUROC is that of two unit normals 1 apart, widened."""
    labels = np.repeat(rng.random(n_groups) < 0.4, size).astype(int)
    shared = np.repeat(rng.normal(size=n_groups), size)
    return np.repeat(np.arange(n_groups), size), labels, labels + shared + rng.normal(size=n_groups * size)


@pytest.mark.slow
def test_leaving_out_groups_covers_where_leaving_out_rows_does_not():
    truth = norm.cdf(1 / np.sqrt(2 * (1 + 1)))
    rng = np.random.default_rng(11)
    covered = {"groups": 0, "rows": 0}
    runs = 200
    for _ in range(runs):
        groups, labels, scores = clustered_scores(rng)
        for kind, left_out in (("groups", groups), ("rows", np.arange(len(groups)))):
            found = strata.auroc_within_folds(labels, scores, np.zeros(len(labels)), left_out, 1)
            covered[kind] += found["low"] <= truth <= found["high"]
    # 200 runs: a true 95 % gives 92 to 98 % in 19 of 20 seeds
    assert 0.92 <= covered["groups"] / runs <= 0.985
    assert covered["rows"] / runs < 0.80


def test_strata_are_compared_within_folds():
    """Spelled out: pairs of one fold, one bin of GC content and two groups."""
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"gc": rng.random(120)})
    groups = np.arange(120) // 2
    folds = groups % 3
    labels, logits = (rng.random(120) < 0.3).astype(int), rng.normal(size=120).round(1)
    found, by_bin = strata.stratified_auroc(predictions(labels, logits, folds), table, groups, seed=1)
    stratum = pd.qcut(table["gc"], 3, labels=False).to_numpy()
    w, m = pairs_within(labels, logits, folds * 10 + stratum, groups)
    assert found["value"] == pytest.approx(w / m, abs=1e-12) and found["pairs"] == m
    assert found["low"] < found["value"] < found["high"]
    for at in range(3):
        inside = stratum == at
        w, m = pairs_within(labels[inside], logits[inside], folds[inside], groups[inside])
        assert by_bin["auroc"][at] == pytest.approx(w / m, abs=1e-12) and by_bin["n"][at] == inside.sum()


def test_strata_without_any_pair_have_no_auroc():
    table = pd.DataFrame({"gc": [0.1, 0.2, 0.8, 0.9]})
    found, by_bin = strata.stratified_auroc(
        predictions(np.array([0, 0, 1, 1]), np.arange(4.0)), table, np.arange(4), seed=1, bins=2
    )
    assert found["value"] is None and found["low"] is None and found["pairs"] == 0
    assert by_bin["auroc"].isna().all()


def test_a_replicate_draws_as_many_groups_as_there_are():
    draws = bootstrap.resampler(["a", "b", "b", "c"], 50, seed=0)
    assert draws.group.tolist() == [0, 1, 1, 2]
    assert (draws.counts.sum(axis=1) == 3).all()


def test_replicates_of_precision_equal_scikit_learn_on_the_rows_they_drew():
    labels, logits = scored(120, ties=True)
    groups = np.arange(120) // 4
    table = predictions(labels, logits)
    draws = bootstrap.resampler(groups, 20, seed=3)
    found = metrics.jumping_metrics(metrics.rows_of(table, groups, 3), logits, draws)
    for replicate in range(20):
        rows = np.repeat(np.arange(120), draws.counts[replicate, groups])
        expected = precision_at_recall(labels[rows], logits[rows], 0.5)
        assert found["precision_at_recall_50"][replicate] == pytest.approx(expected, abs=1e-6)


def test_the_calibration_error_is_that_of_the_bins_beside_it():
    """Anyone gets the error from metrics.json, of 57 predictions in bins of 5 or 6 too."""
    rng = np.random.default_rng(3)
    p = rng.random(57)
    labels = (rng.random(57) < p).astype(float)
    bins = reliability.calibration_bins(labels, p)
    assert sum(one["n"] for one in bins) == 57 and [one["predicted"] for one in bins] == sorted(
        one["predicted"] for one in bins
    )
    by_hand = sum(one["n"] * abs(one["observed"] - one["predicted"]) for one in bins) / 57
    assert reliability.expected_calibration_error(labels, p) == pytest.approx(by_hand, rel=1e-12)
