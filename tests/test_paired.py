import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import kstest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from intronaut.stats import metrics, model_comparison


def kernel(labels, scores):
    """The U statistic's kernel, pair by pair: 1 when the retained row scores higher, ½ for a tie."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    return np.array([[float(x > y) + 0.5 * (x == y) for y in negative] for x in positive])


def brute_force(labels, scores):
    kernels = [kernel(labels, row) for row in scores]
    values = np.array([k.mean() for k in kernels])
    covariance = np.cov([k.mean(axis=1) for k in kernels]) / len(kernels[0])
    return values, covariance + np.cov([k.mean(axis=0) for k in kernels]) / kernels[0].shape[1]


@pytest.mark.parametrize("digits", [8, 1], ids=["distinct", "ties"])
def test_delong_equals_the_brute_force_u_statistic(digits):
    rng = np.random.default_rng(0)
    labels = (rng.random(90) < 0.3).astype(int)
    scores = np.round(rng.normal(size=(3, 90)) + labels, digits)
    values, covariance = brute_force(labels, scores)
    found = model_comparison.delong(labels, scores)
    np.testing.assert_allclose(found.values, values, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.covariance, covariance, rtol=0, atol=1e-10)


def jackknifed(labels, scores, groups, folds):
    """The Aurocs of scores ``(k, n)`` by the jackknife over groups."""
    results = []
    for logits in scores:
        table = pd.DataFrame({"label": labels, "fold": folds, "p_retained": expit(logits), "logit": logits})
        results.append(metrics.evaluate(table, groups, 10, 1)[1:])
    return model_comparison.jackknife_aurocs(results)


def obuchowski(labels, scores, groups):
    """The covariance of Obuchowski (1997, Biometrics 53:567), group by group, of one fold."""
    placed = [kernel(labels, row) for row in scores]
    names = np.unique(groups)
    sums = {}
    for label, axis in ((1, 1), (0, 0)):
        own = groups[labels == label]
        parts = [k.mean(axis=axis) - k.mean() for k in placed]
        sums[label] = np.array([[part[own == name].sum() for name in names] for part in parts]) / len(own)
    holding = {label: len(np.unique(groups[labels == label])) for label in (0, 1)}
    within = sum(sums[label] @ sums[label].T * holding[label] / (holding[label] - 1) for label in (0, 1))
    cross = sums[1] @ sums[0].T * len(names) / (len(names) - 1)
    return within + cross + cross.T


def test_the_jackknife_of_single_rows_is_within_two_percent_of_delong():
    rng = np.random.default_rng(5)
    labels = (rng.random(400) < 0.3).astype(int)
    scores = labels + rng.normal(size=400) + rng.normal(size=(2, 400))
    found = jackknifed(labels, scores, np.arange(400), np.zeros(400))
    reference = model_comparison.delong(labels, scores)
    np.testing.assert_allclose(found.values, reference.values, atol=1e-12)
    for pair in ((0, 1), (1, 0)):
        assert found.difference(*pair)[1] == pytest.approx(reference.difference(*pair)[1], rel=0.02)
    np.testing.assert_allclose(np.diag(found.covariance) ** 0.5, np.diag(reference.covariance) ** 0.5, rtol=0.02)


def test_the_jackknife_over_groups_is_within_three_percent_of_obuchowski():
    rng = np.random.default_rng(6)
    n_groups, size = 150, 4
    groups = np.repeat(np.arange(n_groups), size)
    folds = groups % 3
    labels = (rng.random(n_groups * size) < np.repeat(rng.uniform(0.05, 0.6, n_groups), size)).astype(int)
    shared = np.repeat(rng.normal(size=(2, n_groups)), size, axis=1)
    scores = labels + 0.7 * shared + rng.normal(size=(2, n_groups * size))
    found = jackknifed(labels, scores, groups, folds)
    n_pairs, covariance = 0, np.zeros((2, 2))
    for fold in range(3):
        inside = folds == fold
        pairs = labels[inside].sum() * (1 - labels[inside]).sum()
        covariance += pairs**2 * obuchowski(labels[inside], scores[:, inside], groups[inside])
        n_pairs += pairs
    expected = model_comparison.Aurocs(found.values, covariance / n_pairs**2)
    np.testing.assert_allclose(np.diag(found.covariance) ** 0.5, np.diag(expected.covariance) ** 0.5, rtol=0.03)
    assert found.difference(0, 1)[1] == pytest.approx(expected.difference(0, 1)[1], rel=0.03)


def test_delong_within_folds_weighs_folds_by_their_pairs():
    rng = np.random.default_rng(7)
    folds = np.repeat([0, 1, 2], [50, 30, 20])
    labels = np.where(folds == 2, 1, rng.random(100) < 0.4).astype(int)
    scores = rng.normal(size=(2, 100)) + 5 * folds
    found = model_comparison.delong_within_folds(labels, scores, folds)
    kernels = [[kernel(labels[folds == fold], row[folds == fold]) for fold in (0, 1)] for row in scores]
    np.testing.assert_allclose(found.values, [sum(k.sum() for k in ks) / sum(k.size for k in ks) for ks in kernels])


def test_p_values_are_uniform_when_models_are_equally_good():
    rng = np.random.default_rng(1)
    p = []
    for _ in range(400):
        labels = (rng.random(300) < 0.3).astype(int)
        scores = labels + rng.normal(size=300) + rng.normal(size=(2, 300))
        p.append(model_comparison.two_sided_p(*model_comparison.delong(labels, scores).difference(0, 1)))
    assert kstest(p, "uniform").pvalue > 0.01


@pytest.mark.slow
def test_groups_keep_the_error_rate_where_independent_rows_do_not():
    rng = np.random.default_rng(2)
    rejected = np.zeros(2)
    for _ in range(150):
        group = np.repeat(np.arange(60), 8)
        labels = np.repeat(rng.random(60) < 0.4, 8).astype(int)
        own = np.repeat(rng.normal(size=(2, 60)), 8, axis=1)
        scores = labels + own + 0.5 * rng.normal(size=(2, 480))
        grouped = jackknifed(labels, scores, group, np.zeros(480))
        for kind, aurocs in enumerate((grouped, model_comparison.delong(labels, scores))):
            rejected[kind] += model_comparison.two_sided_p(*aurocs.difference(0, 1), aurocs.df) < 0.05
    assert rejected[0] / 150 < 0.09
    assert rejected[1] / 150 > 0.2


def test_a_model_does_not_differ_from_itself():
    labels, score = np.array([1, 0, 1, 0, 0]), np.array([3.0, 1, 2, 2, 0])
    found = model_comparison.delong(labels, np.stack([score, 2 * score]))
    assert model_comparison.two_sided_p(*found.difference(0, 1)) == 1.0
    assert model_comparison.equivalence_p(*found.difference(0, 1), 0.01) == 0.0


def test_holm_and_benjamini_hochberg_equal_statsmodels():
    p = np.random.default_rng(3).random(25) ** 3
    np.testing.assert_allclose(model_comparison.holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(model_comparison.benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])


def test_equivalence_equals_statsmodels():
    x = np.random.default_rng(4).normal(0.1, 1, size=5000)
    expected = ttost_paired(x, np.zeros(5000), -0.15, 0.15)[0]
    found = model_comparison.equivalence_p(x.mean(), x.std(ddof=1) / np.sqrt(5000), 0.15)
    assert found == pytest.approx(expected, rel=0.05)
