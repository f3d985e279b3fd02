"""Adjusted enrichment: numbers of statsmodels and scipy, and cases where the usual answer would be wrong."""

from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests

from intronaut.core.errors import BadData
from intronaut.stats.association import AdjustedTest, design_matrix, fisher, q_values, residual_ranks, spearman


@pytest.fixture(scope="module")
def cohort():
    """300 introns in 60 groups, one binary and one continuous variable, two covariates; the label follows them."""
    rng = np.random.default_rng(3)
    covariates = pd.DataFrame({"length": np.exp(rng.normal(7, 1, 300)), "gc": rng.uniform(0.3, 0.7, 300)})
    x = (rng.random(300) < covariates["gc"].to_numpy()).astype(float)
    logit = 0.8 * x + 4 * (covariates["gc"].to_numpy() - 0.5) - 0.7
    label = (rng.random(300) < 1 / (1 + np.exp(-logit))).astype(float)
    return label, x, covariates, np.arange(300) // 5


def test_effect_equals_statsmodels(cohort):
    label, x, covariates, _ = cohort
    design, _ = design_matrix(covariates)
    for variable in (x, np.sin(np.arange(300.0)) * 40):
        found = AdjustedTest(label, design).effect(variable)
        wanted = sm.Logit(label, np.column_stack([variable, design])).fit(disp=0)
        ours = [found.log_odds, found.se, found.low, found.high]
        np.testing.assert_allclose(ours, [wanted.params[0], wanted.bse[0], *wanted.conf_int()[0]], rtol=1e-6)


def greatest_penalised(terms, label, held):
    """Firth's penalised log-likelihood at its greatest, by Nelder-Mead, the first coefficient held at 0 or not."""

    def minus(free):
        logits = terms @ (np.r_[0.0, free] if held else free)
        p = 1 / (1 + np.exp(-logits))
        information = terms.T @ np.diag(p * (1 - p)) @ terms
        return -(stats.bernoulli.logpmf(label, p).sum() + np.linalg.slogdet(information)[1] / 2)

    how = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 20000, "maxfev": 20000}
    return -optimize.minimize(minus, np.zeros(terms.shape[1] - held), method="Nelder-Mead", options=how).fun


def test_p_of_independent_rows_is_the_penalised_likelihood_ratio(cohort):
    label, x, covariates, _ = cohort
    design, _ = design_matrix(covariates["gc"].to_frame())
    for rows in (slice(0, 25), slice(0, 300)):
        terms = np.column_stack([x, design])[rows]
        gain = greatest_penalised(terms, label[rows], False) - greatest_penalised(terms, label[rows], True)
        found = AdjustedTest(label[rows], design[rows]).effect(x[rows])
        assert found.p == pytest.approx(stats.chi2.sf(2 * gain, 1), rel=1e-6)


def test_p_of_many_rows_is_the_likelihood_ratio(cohort):
    rng = np.random.default_rng(0)
    gc, x = rng.normal(size=20000), (rng.random(20000) < 0.3).astype(float)
    label = (rng.random(20000) < 1 / (1 + np.exp(0.8 - 0.5 * gc - 0.08 * x))).astype(float)
    design = np.column_stack([np.ones(20000), gc])
    gain = sm.Logit(label, np.column_stack([x, design])).fit(disp=0).llf - sm.Logit(label, design).fit(disp=0).llf
    assert AdjustedTest(label, design).effect(x).p == pytest.approx(stats.chi2.sf(2 * gain, 1), rel=0.01)


def test_standard_error_of_grouped_rows_is_the_larger_of_statsmodels_two(cohort):
    label, x, covariates, groups = cohort
    design, _ = design_matrix(covariates)
    sandwich_is_larger = set()
    for variable in (x, groups % 7 < 3, np.arange(300) % 2):
        found = AdjustedTest(label, design, groups).effect(variable)
        model = sm.Logit(label, np.column_stack([variable, design]).astype(float))
        robust = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": groups})
        usual = model.fit(disp=0).bse[0]
        sandwich_is_larger.add(robust.bse[0] > usual)
        assert found.se == pytest.approx(max(robust.bse[0], usual), rel=1e-6)
        assert found.high == pytest.approx(robust.params[0] + stats.t.ppf(0.975, 59) * found.se, rel=1e-6)
    assert sandwich_is_larger == {True, False}


def test_p_of_grouped_rows_is_the_generalised_score_test(cohort):
    """Spelled out: residuals without x, times x less its weighted regression on the covariates, summed by group."""
    label, x, covariates, groups = cohort
    design, _ = design_matrix(covariates)
    fitted = sm.Logit(label, design).fit(disp=0).predict()
    own = x - sm.WLS(x, design, weights=fitted * (1 - fitted)).fit().fittedvalues
    sums = pd.Series(own * (label - fitted)).groupby(groups).sum()
    score = sums.sum() / np.sqrt((sums**2).sum() * 60 / 59 * 299 / (300 - design.shape[1]))
    test = AdjustedTest(label, design, groups)
    assert not test.few and test.effect(x).p == pytest.approx(2 * stats.t.sf(abs(score), 59), rel=1e-6)


def test_p_of_grouped_rows_with_few_retained_is_the_larger_of_two():
    """46 of 120 rows retained, 5 terms: below ten a term. In some draws the one p is larger, in some the other."""
    larger = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        label, x, groups = rng.permutation(np.arange(120) < 46) * 1.0, rng.random(120) < 0.1, np.arange(120) // 3
        design, _ = design_matrix(pd.DataFrame({"gc": rng.random(120), "cpg": rng.random(120)}))
        test, alone = AdjustedTest(label, design, groups), AdjustedTest(label, design)
        test.few = False
        both = test.effect(x).p, alone.effect(x).p
        assert AdjustedTest(label, design, groups).effect(x).p == max(both)
        larger.add(both[0] > both[1])
    assert larger == {True, False}


def null_p(n, retained, groups, seeds):
    """p-values of features that nothing depends on, adjusted for GC, length and their squares."""
    p = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        covariates = pd.DataFrame({"gc": rng.normal(0.5, 0.1, n), "length": np.exp(rng.normal(7, 1, n))})
        label = rng.permutation(np.arange(n) < retained) * 1.0
        design, group = design_matrix(covariates)[0], rng.integers(groups, size=n) if groups else None
        x = rng.random(n) < rng.choice([0.1, 0.2, 0.5])
        # a draw whose covariates alone part the classes is refused, and no test is made of it
        with suppress(BadData):
            p.append(AdjustedTest(label, design, group).effect(x).p if 3 <= x.sum() <= n - 3 else np.nan)
    return np.array(p)[np.isfinite(p)]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "retained", "groups"), [(24, 9, 0), (195, 9, 0), (60, 15, 0), (200, 15, 25)])
def test_few_retained_rows_do_not_find_too_much(n, retained, groups):
    """Nominal 5 %, 600 draws; the usual likelihood ratio finds 6 to 10 %, the score test of 25 groups alone 10 %."""
    p = null_p(n, retained, groups, 600)
    assert (p < 0.05).mean() < 0.065 and (p < 0.01).mean() < 0.02


def test_many_rows_keep_their_power():
    """2,000 rows, 500 retained, in 400 groups; log odds ratio 0.4 in one row of five: Wald's test finds 4 in 5."""
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        gc, x = rng.normal(size=2000), rng.random(2000) < 0.2
        label = rng.random(2000) < 1 / (1 + np.exp(1.2 - 0.4 * gc - 0.4 * x))
        design, _ = design_matrix(pd.DataFrame({"gc": gc}))
        wald = sm.Logit(label, np.column_stack([x, design]).astype(float)).fit(disp=0).pvalues[0]
        found.append([AdjustedTest(label, design, g).effect(x).p for g in (None, np.arange(2000) // 5)] + [wald])
    alone, grouped, wald = (np.array(found) < 0.05).mean(axis=0)
    assert wald > 0.75 and alone > wald - 0.03 and grouped > wald - 0.05


def test_p_of_what_few_rows_have_is_right():
    """Where the label nearly follows GC and 16 of 400 rows have x: 5 % of p below 0.05, 0.1 % below 0.001."""
    p = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        label = rng.random(400) < 0.35
        gc = np.where(label, rng.normal(0.56, 0.05, 400), rng.normal(0.44, 0.05, 400))
        design, _ = design_matrix(pd.DataFrame({"gc": gc}))
        test = AdjustedTest(label, design, np.arange(400) // 3)
        p += [test.effect(rng.random(400) < 0.04 * np.exp(k * (gc - 0.5))).p for k in rng.choice([-8, 0, 8], 20)]
    assert np.mean(np.array(p) < 0.05) < 0.065 and np.mean(np.array(p) < 0.001) < 0.004


def test_copies_in_a_group_do_not_make_a_finding_stronger(cohort):
    label, x, covariates, _ = cohort
    design, _ = design_matrix(covariates)
    once = AdjustedTest(label, design, np.arange(300)).effect(x)
    rows = np.repeat(np.arange(300), 10)
    copied = AdjustedTest(label[rows], design[rows], rows).effect(x[rows])
    naive = AdjustedTest(label[rows], design[rows]).effect(x[rows])
    assert copied.p == pytest.approx(once.p, rel=0.15)
    assert naive.p < once.p / 1e3


def test_too_few_groups_are_not_trusted(cohort):
    """The scores of one group add up to nothing, and so would the variance."""
    label, x, covariates, _ = cohort
    design, _ = design_matrix(covariates)
    for groups in (np.zeros(300), np.arange(300) % 19, None):
        test = AdjustedTest(label, design, groups)
        assert not test.grouped and test.effect(x) == AdjustedTest(label, design).effect(x)
    some = AdjustedTest(label, design, np.where(np.arange(300) % 3, np.arange(300), np.nan))
    assert some.grouped and np.isfinite(some.effect(x).p)


def test_separated_classes_have_an_infinite_odds_ratio_and_a_penalised_p():
    """Of a 2 × 2 table Firth's penalty is half a row in each cell; without an odds ratio one row of each class."""
    label = np.r_[np.ones(30), np.zeros(70)]
    x = np.r_[np.ones(5), np.zeros(95)]
    found = AdjustedTest(label, np.ones((100, 1))).effect(x)
    assert found.log_odds == np.inf and np.isnan([found.se, found.low, found.high]).all()

    def likelihood(p, retained, spliced):
        return (retained + 0.5) * np.log(p) + (spliced + 0.5) * np.log(1 - p)

    alone = likelihood(5.5 / 6, 5, 0) + likelihood(25.5 / 96, 25, 70)
    alike = likelihood(31 / 102, 5, 0) + likelihood(31 / 102, 25, 70)
    assert found.p == pytest.approx(stats.chi2.sf(2 * (alone - alike), 1), rel=1e-6)
    assert AdjustedTest(1 - label, np.ones((100, 1))).effect(x).log_odds == -np.inf


def test_one_row_that_completes_a_separation_proves_little():
    """GC parts all but two of 20 rows, and x marks one of these: the likelihood ratio's p is 0.007."""
    gc = np.r_[np.linspace(0.6, 0.8, 7), 0.42, np.linspace(0.2, 0.55, 11), 0.64]
    label, design = np.r_[np.ones(8), np.zeros(12)], np.column_stack([np.ones(20), (gc - 0.5) * 5])
    x = np.arange(20) == 7
    deviance = -2 * sm.Logit(label, design).fit(disp=0).llf
    rest = -2 * sm.Logit(label[~x], design[~x]).fit(disp=0).llf
    found = AdjustedTest(label, design).effect(x)
    assert found.log_odds == np.inf
    assert stats.chi2.sf(deviance - rest, 1) * 3 < found.p
    assert found.p > 0.02


def test_variable_that_cannot_be_tested_has_no_effect(cohort):
    label, _, covariates, groups = cohort
    design, _ = design_matrix(covariates)
    for x in (np.ones(300), 3 * design[:, 1] - 2):
        assert np.isnan(AdjustedTest(label, design, groups).effect(x).p)


def test_covariates_that_separate_are_refused():
    with pytest.raises(BadData, match="the covariates alone tell retained from spliced"):
        AdjustedTest(np.r_[np.ones(20), np.zeros(20)], np.column_stack([np.ones(40), np.arange(40)]))


def test_adjustment_removes_what_a_covariate_explains():
    """x and the label both follow GC and nothing else: over 200 draws, 5 % of adjusted p-values are below 0.05."""
    p, raw = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        gc = rng.normal(0.5, 0.1, 400)
        label = rng.random(400) < 1 / (1 + np.exp(-12 * (gc - 0.5)))
        x = rng.random(400) < 1 / (1 + np.exp(-8 * (gc - 0.5)))
        design, _ = design_matrix(pd.DataFrame({"gc": gc}))
        p.append(AdjustedTest(label, design, np.arange(400) // 2).effect(x).p)
        raw.append(AdjustedTest(label, np.ones((400, 1))).effect(x).p)
    assert np.mean(np.array(raw) < 0.05) > 0.9
    assert stats.binomtest(int((np.array(p) < 0.05).sum()), 200, 0.05).pvalue > 0.01


def test_design_is_constant_standardised_terms_and_squares():
    table = pd.DataFrame(
        {"length": [9.0, 99, 999, 9999], "gc": [0.1, 0.2, 0.2, 0.4], "same": 1.0, "twice": [2.0, 4, 4, 8]}
    )
    design, left_out = design_matrix(table)
    log = np.array([1, 2, 3, 4.0])
    np.testing.assert_allclose(design[:, 1], (log - 2.5) / log.std())
    np.testing.assert_allclose(design[:, 0], 1)
    assert left_out == ["same", "twice"]
    assert np.linalg.matrix_rank(design) == design.shape[1] == 4


def test_q_values_equal_statsmodels():
    p = np.random.default_rng(0).random(50) ** 3
    np.testing.assert_allclose(q_values(p), multipletests(p, method="fdr_bh")[1])
    some = np.r_[np.nan, p, np.nan]
    np.testing.assert_allclose(q_values(some)[1:-1], q_values(p))
    assert np.isnan(q_values(some)[[0, -1]]).all() and np.isnan(q_values([np.nan])).all()


def test_fisher_equals_scipy_and_a_hand_count():
    has, label = np.r_[np.ones(12), np.zeros(38)], np.r_[np.ones(8), np.zeros(4), np.ones(10), np.zeros(28)]
    ratio, low, high, p = fisher(has, label)
    assert p == stats.fisher_exact([[8, 10], [4, 28]]).pvalue
    wanted = stats.contingency.odds_ratio([[8, 10], [4, 28]])
    assert (ratio, low, high) == (wanted.statistic, *wanted.confidence_interval(0.95))
    assert low < 8 * 28 / (10 * 4) < high
    assert np.isnan(fisher(np.zeros(50), label)[0]) and fisher(np.zeros(50), label)[3] == 1


def test_residual_ranks_take_the_confounder_away():
    rng = np.random.default_rng(1)
    gc = rng.random(300)
    effect = 3 * gc + rng.normal(0, 0.3, 300)
    effect[7] += 3
    effect[9] = np.inf
    ranks = residual_ranks(effect, gc)
    assert np.isnan(ranks[9]) and ranks[7] == 1
    assert spearman(effect, gc) > 0.8 and abs(spearman(-ranks, gc)) < 0.05
    assert sorted(ranks[~np.isnan(ranks)]) == list(range(1, 300))
