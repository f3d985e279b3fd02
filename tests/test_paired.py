import numpy as np
import pytest
from scipy.stats import kstest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from intronaut.stats import model_comparison


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
    singletons = model_comparison.delong(labels, scores, np.arange(90))
    np.testing.assert_allclose(singletons.covariance, covariance, rtol=0, atol=1e-10)


def test_p_values_are_uniform_when_models_are_equally_good():
    rng = np.random.default_rng(1)
    p = []
    for _ in range(400):
        labels = (rng.random(300) < 0.3).astype(int)
        scores = labels + rng.normal(size=300) + rng.normal(size=(2, 300))
        p.append(model_comparison.two_sided_p(*model_comparison.delong(labels, scores).difference(0, 1)))
    assert kstest(p, "uniform").pvalue > 0.01


def test_groups_keep_the_error_rate_where_independent_rows_do_not():
    rng = np.random.default_rng(2)
    rejected = np.zeros(2)
    for _ in range(300):
        group = np.repeat(np.arange(60), 8)
        labels = np.repeat(rng.random(60) < 0.4, 8).astype(int)
        own = np.repeat(rng.normal(size=(2, 60)), 8, axis=1)
        scores = labels + own + 0.5 * rng.normal(size=(2, 480))
        for kind, groups in enumerate((group, None)):
            rejected[kind] += (
                model_comparison.two_sided_p(*model_comparison.delong(labels, scores, groups).difference(0, 1)) < 0.05
            )
    assert rejected[0] / 300 < 0.09
    assert rejected[1] / 300 > 0.2


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


def test_bootstrap_p_of_a_worked_case():
    assert model_comparison.bootstrap_p(np.array([0.1] * 98 + [-0.1] * 1)) == pytest.approx(2 * 2 / 100)
    assert model_comparison.bootstrap_p(np.zeros(50)) == 1.0
