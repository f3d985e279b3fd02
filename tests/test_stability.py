import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression

from intronaut.core.errors import BadData
from intronaut.interpret import stability_selection
from intronaut.interpret.correlation import correlation_clusters
from intronaut.models.design_matrix import Matrix

CAUSAL = 3


def tracks(seed, n=300, effect=1.5):
    """Simulated tracks of 30 factors whose first three decide: ``(values, labels, unit of each track)``.

    The three have 20 tracks each that are nearly copies of one another, so that each carries a twentieth of the
    effect; the others have 1 to 8. All share a component, as open chromatin is shared, and each track has its scale.
    """
    rng = np.random.default_rng(seed)
    sizes = np.r_[[20] * CAUSAL, rng.integers(1, 9, 27)]
    unit = np.repeat(np.arange(len(sizes)), sizes)
    factor = np.sqrt(0.7) * rng.normal(size=(n, len(sizes))) + np.sqrt(0.3) * rng.normal(size=(n, 1))
    values = np.sqrt(0.9) * factor[:, unit] + np.sqrt(0.1) * rng.normal(size=(n, len(unit)))
    logits = effect * (factor[:, 0] - factor[:, 1] + factor[:, 2])
    labels = (rng.random(n) < 1 / (1 + np.exp(-logits))).astype(int)
    return (values * np.exp(rng.normal(size=len(unit)))).astype(np.float32), labels, unit


def units_of(values, unit, most=stability_selection.MOST_AXES):
    matrix = Matrix(extra=pd.DataFrame(values))
    return stability_selection.make_units(
        matrix, pd.Categorical(unit), matrix.values(), np.ones(len(values), bool), most
    )


def selected(values, labels, unit, seed, pairs=4, threshold=0.75):
    """Which units are selected on at least ``threshold`` of the halves, and the bound on the false ones."""
    units, groups = units_of(values, unit), np.arange(len(labels)) // 2
    inside = stability_selection.halves(groups, labels, pairs, seed)
    q = stability_selection.number_to_select(len(units.size), threshold, most_false=1, events=60)
    picked, _ = stability_selection.select_forward(units, labels, groups, inside, np.empty((len(labels), 0)), q)
    often = np.bincount(picked.ravel(), minlength=len(units.size)) / len(inside)
    return often >= threshold, stability_selection.error_bound(q, len(units.size), threshold)


def test_causal_groups_are_found_and_false_ones_stay_under_the_bound_where_raw_weights_fail():
    found, false, found_by_weight = [], [], []
    for seed in range(200):
        values, labels, unit = tracks(seed)
        chosen, bound = selected(values, labels, unit, seed)
        found.append(chosen[:CAUSAL].all())
        false.append(chosen[CAUSAL:].sum())
        if seed < 20:
            weights = LogisticRegression(solver="newton-cholesky").fit(values, labels).coef_[0]
            found_by_weight.append(set(unit[np.argsort(-np.abs(weights))[:CAUSAL]]) == set(range(CAUSAL)))
    assert np.mean(found) > 0.95
    assert np.mean(false) <= bound < 1
    assert np.mean(found_by_weight) < 0.2


def test_labels_without_any_cause_select_no_more_than_the_bound():
    false = []
    for seed in range(40):
        values, labels, unit = tracks(seed, effect=0)
        chosen, bound = selected(values, labels, unit, seed)
        false.append(chosen.sum())
    assert np.mean(false) <= bound


def test_one_gene_with_many_introns_decides_nothing():
    rng = np.random.default_rng(3)
    n = 400
    groups = np.r_[np.zeros(60, int), 1 + np.arange(n - 60) // 2]
    values, labels = rng.normal(size=(n, 12)).astype(np.float32), (rng.random(n) < 0.4).astype(int)
    # feature 0 tells which introns the large gene has, and these are retained
    values[:60, 0] += 4
    labels[:60] = rng.random(60) < 0.95
    units = units_of(values, np.arange(12))
    inside = stability_selection.halves(groups, labels, 20, seed=1)
    table, _ = stability_selection.select_stably(units, labels, groups, inside, np.empty((n, 0)), 0.75, 1)
    assert table["selected"].sum() == 0 and table["selection_probability"][0] < 0.5
    alone, _ = stability_selection.select_stably(units, labels, np.arange(n), inside, np.empty((n, 0)), 0.75, 1)
    # taken for independent, its introns would have put the feature first wherever they are
    assert alone["selection_probability"][0] >= 0.5


def test_a_feature_that_only_stands_for_a_covariate_is_not_selected_besides_it():
    rng = np.random.default_rng(5)
    n = 600
    gc = rng.normal(size=n)
    values = np.column_stack([gc + 0.4 * rng.normal(size=n), rng.normal(size=(n, 15))]).astype(np.float32)
    values[:, 1] += 0.3 * rng.normal(size=n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-1.5 * gc - 1.5 * values[:, 1]))).astype(int)
    units, inside = units_of(values, np.arange(16)), stability_selection.halves(np.arange(n), labels, 15, seed=1)
    for base, expected in ((np.empty((n, 0)), [1, 1]), (gc[:, None], [0, 1])):
        table, _ = stability_selection.select_stably(units, labels, np.arange(n), inside, base, 0.75, 1)
        assert table["selected"][:2].tolist() == expected


def test_refits_on_held_out_halves_hold_the_true_effect_and_the_fdr_keeps_noise_out():
    values, labels, unit = tracks(11, n=1200)
    units, groups = units_of(values, unit), np.arange(1200) // 3
    inside = stability_selection.halves(groups, labels, 10, seed=2)
    table, told = stability_selection.select_stably(units, labels, groups, inside, np.empty((1200, 0)), 0.75, 1)
    causal, rest = table[:CAUSAL], table[CAUSAL:]
    assert causal["selected"].tolist() == [1] * CAUSAL and told["selected"] == table["selected"].sum()
    assert (causal["fdr"] < 0.05).all() and (rest["fdr"] > 0.05).all()
    assert causal["selected_positive"].tolist() == [1, 0, 1]
    assert ((causal["refit_low"] < [1.5, -1.5, 1.5]) & (causal["refit_high"] > [1.5, -1.5, 1.5])).all()
    assert rest["refit"].isna().sum() == (rest["selection_probability"] == 0).sum()


def test_held_out_fits_are_those_of_statsmodels_with_group_robust_errors(monkeypatch):
    monkeypatch.setattr(stability_selection, "RIDGE", 0.0)
    rng = np.random.default_rng(1)
    n, groups = 500, np.arange(500) // 5
    values = rng.normal(size=(n, 6)).astype(np.float32)
    labels = (rng.random(n) < 1 / (1 + np.exp(-values[:, 0] - 0.5 * np.repeat(rng.normal(size=100), 5)))).astype(int)
    units, inside = units_of(values, np.arange(6)), stability_selection.halves(groups, labels, 1, seed=1)
    base, picked = rng.normal(size=(n, 1)), np.array([[0, 3], [4, 0]])
    p, estimate, error = stability_selection.fit_held_out(units, labels, groups, inside, picked, base)
    for half in range(2):
        out, own = ~inside[half], picked[half]
        x = sm.add_constant(np.column_stack([base[out], units.z[own][:, out].T]))
        model = sm.GLM(labels[out], x, family=sm.families.Binomial())
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": groups[out]})
        np.testing.assert_allclose(estimate[half, own], fit.params[2:], atol=1e-4)
        np.testing.assert_allclose(error[half, own], fit.bse[2:], rtol=1e-3)
        assert (p[half, np.setdiff1d(range(6), own)] == 1).all() and (p[half, own] < 1).any()


def test_clusters_hold_what_correlates_with_their_leader_and_nothing_chained():
    rng = np.random.default_rng(0)
    n = 4000
    base = rng.normal(size=(n, 3))
    a = base[:, 0]
    # b is near a and near c, but a and c are not near each other
    b, c = a + 0.45 * base[:, 1], a + 0.9 * base[:, 1]
    sample = np.column_stack([a, b, c, -b, base[:, 2], np.ones(n)]).astype(np.float32)
    leader, sign = correlation_clusters(sample, 0.88)
    correlation = np.corrcoef(sample[:, :5].T)
    assert abs(correlation[0, 2]) < 0.88
    assert leader.tolist() == [1, 1, 1, 1, 4, 5]
    assert sign.tolist() == [1, 1, 1, -1, 1, 1]
    assert (np.abs([correlation[j, leader[j]] for j in range(5)]) > 0.88).all()
    tight, _ = correlation_clusters(sample, 0.96)
    assert tight.tolist() == [0, 1, 2, 1, 4, 5]


def test_axes_of_a_unit_are_its_principal_components():
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(4)
    values = (rng.normal(size=(300, 2)) @ rng.normal(size=(2, 7)) + 0.2 * rng.normal(size=(300, 7))).astype(np.float32)
    unit = np.array([0, 1, 0, 0, 0, 0, 1])
    units = units_of(values, unit)
    for number in range(2):
        own = values[:, unit == number]
        scores = PCA(units.size[number]).fit_transform((own - own.mean(0)) / own.std(0))
        found = units.values(number, np.ones(300, bool))
        # cut at three standard deviations, so nearly but not wholly the same
        assert (np.abs([np.corrcoef(scores[:, r], found[:, r])[0, 1] for r in range(units.size[number])]) > 0.98).all()
        assert np.corrcoef(own.sum(axis=1), found[:, 0])[0, 1] > 0
        np.testing.assert_allclose(found.std(axis=0), 1, rtol=1e-4)


def test_halves_split_whole_groups_and_complement_each_other():
    groups, labels = np.repeat(np.arange(20), 5), np.tile([0, 0, 1, 0, 1], 20)
    inside = stability_selection.halves(groups, labels, 7, seed=1)
    assert inside.shape == (14, 100) and (inside[::2] == ~inside[1::2]).all()
    assert all(len(set(groups[half]) & set(groups[~half])) == 0 for half in inside)
    assert (inside.sum(axis=1) == 50).all()
    with pytest.raises(BadData, match="cannot be split"):
        stability_selection.halves(np.zeros(10), np.tile([0, 1], 5), 3, seed=1)


def test_the_bound_and_the_combined_p_are_those_of_their_papers():
    # Shah & Samworth 2013, equation 7, worked by hand
    assert stability_selection.error_bound(10, 100, 0.75) == pytest.approx(2)
    assert stability_selection.number_to_select(100, 0.75, 2, events=500) == 10
    assert stability_selection.number_to_select(100, 0.75, 2, events=20) == 4
    assert stability_selection.number_to_select(100, 0.75, 2, events=3) == 1


@pytest.mark.parametrize(("p", "threshold", "most_false"), [(1, 0.75, 1), (5, 0.75, 0.1), (40, 0.9, 0.03)])
def test_where_one_unit_is_too_many_none_is_selected(p, threshold, most_false):
    """The first two cases: bounds of 1² / (1 · 0.5) = 2 and 1² / (5 · 0.5) = 0.4 with one unit of each half."""
    assert stability_selection.number_to_select(p, threshold, most_false, events=500) == 0
    rng = np.random.default_rng(0)
    z = rng.normal(size=(p, 60)).astype(np.float32)
    units = stability_selection.Units(z, np.arange(p), np.ones(p, int))
    labels = (z[0] > 0).astype(float)
    inside = stability_selection.halves(np.arange(60), labels, 5, seed=1)
    beside = rng.normal(size=(60, 1))
    table, told = stability_selection.select_stably(units, labels, np.arange(60), inside, beside, threshold, most_false)
    assert told["selected_on_each_half"] == told["selected"] == told["false_at_most"] == 0
    assert (table["selected"] == 0).all() and (table["p"] == 1).all() and table["refit"].isna().all()
    # Meinshausen, Meier & Bühlmann 2009: twice the median, 1 where most splits did not select
    p = np.array([[0.01, 1.0, 0.2], [0.03, 0.01, 0.3], [0.05, 1.0, 0.9]])
    assert stability_selection.combine_p(p).tolist() == pytest.approx([0.06, 1.0, 0.6])
