from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from intronaut.core.errors import BadData
from intronaut.models import elastic_net, lightgbm, logistic
from intronaut.models.calibration import apply_calibration, is_flat, learn_calibration
from intronaut.models.cross_validation import TEST, UNUSED, cross_fit, make_plan
from intronaut.models.design_matrix import Matrix, Scale, covariates
from intronaut.stats import metrics
from simulated_introns import draw_labels, introns


def studied(n=400, d=8, seed=0, signal=1.0):
    """A labels table and a Matrix of noise but for one column."""
    rng = np.random.default_rng(seed)
    table, values = introns(n), rng.normal(size=(n, d)).astype(np.float32)
    table["label"] = draw_labels(signal * values[:, 0] - 1, seed).astype(float)
    return table, values


def solver(matrix, labels, tolerance=1e-4, fit=logistic.fit):
    def solve(weights, c, start, standardisation):
        how = {"start": start, "tolerance": tolerance, "standardisation": standardisation}
        return fit(matrix, labels, weights, c, **how)

    return solve


def test_folds_dealt_anew_keep_groups_whole():
    table, _ = studied()
    plan = make_plan(table, 4)
    assert plan.torn_groups() == 0 and set(plan.fold) == {1, 2, 3, 4} and plan.judged.all()


def test_a_group_on_both_sides_of_a_given_split_is_counted():
    table, _ = studied()
    table.loc[0, "split"] = "5"
    assert make_plan(table, None).torn_groups() == 1


def test_rows_without_a_split_neither_train_nor_are_judged():
    table, _ = studied()
    table.loc[:9, "split"] = None
    plan = make_plan(table, None)
    assert (plan.fold[:10] == UNUSED).all() and not plan.known[:10].any() and not plan.judged[:10].any()


def test_train_alone_is_dealt_to_inner_folds():
    table, _ = studied()
    table["split"] = np.where(table["split"] == "1", "test", "train")
    plan = make_plan(table, None)
    assert (plan.fold[(table["split"] == "test").to_numpy()] == TEST).all() and plan.held_out == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("split, told", [(["1", "2"], "2 folds; at least 3"), (["a", "1"], "column split holds 1, a")])
def test_splits_that_cannot_be_nested_are_refused(split, told):
    table, _ = studied()
    table["split"] = np.resize(split, len(table))
    with pytest.raises(BadData, match=told):
        make_plan(table, None)


def test_the_penalty_is_chosen_without_the_judged_fold():
    """Nested choice, done the slow way with scikit-learn for one judged fold."""
    table, values = studied()
    labels, plan = table["label"].to_numpy(), make_plan(table, None)
    matrix = Matrix(extra=pd.DataFrame(values))
    found = cross_fit(matrix, labels, plan, [1e-3, 1e-2, 1e-1], solver(matrix, labels, 1e-7))
    values, losses = values.astype(float), {}
    for c in (1e-3, 1e-2, 1e-1):
        rows = []
        for inner in (2, 3, 4, 5):
            train, held = plan.trains({1, inner}), plan.fold == inner
            logistic_model = LogisticRegression(C=c, tol=1e-9, max_iter=1000)
            model = make_pipeline(StandardScaler(), logistic_model).fit(values[train], labels[train])
            rows.append(metrics.log_losses(labels[held], model.decision_function(values[held])))
        losses[c] = np.concatenate(rows).mean()
    assert found.setting_of_fold["1"] == min(losses, key=losses.get)
    path = found.path[found.path["judged_fold"] == 1].set_index("c")["inner_log_loss"]
    np.testing.assert_allclose(path, pd.Series(losses), atol=1e-5)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=found.setting_of_fold["1"], tol=1e-9))
    judged = plan.fold == 1
    model.fit(values[~judged], labels[~judged])
    np.testing.assert_allclose(found.logits[judged], model.decision_function(values[judged]), atol=1e-4)


def lacking(seed=0):
    """A labels table and a DataFrame of a skewed column, a fifth of which is missing, and of a whole one."""
    table, values = studied(seed=seed)
    skewed = np.where(np.random.default_rng(seed).random(len(table)) < 0.2, np.nan, np.exp(values[:, 0]))
    return table[["name", "label", "split", "group"]].assign(start=0, end=1), pd.DataFrame(
        {"a": skewed, "b": values[:, 1]}
    )


ELASTIC_NET = partial(elastic_net.fit, l1_ratio=0.5)
# what scikit-learn calls the penalties of the two kinds of model
PENALTIES = {
    logistic.fit: {"l1_ratio": 0, "solver": "newton-cholesky"},
    ELASTIC_NET: {"l1_ratio": 0.5, "solver": "saga", "max_iter": 100_000},
}


@pytest.mark.parametrize("fit", PENALTIES, ids=["logistic", "elastic net"])
def test_medians_and_spreads_are_those_of_each_training_set(fit):
    """Of every judged fold, against scikit-learn's imputation and standardisation of its training rows."""
    table, columns = lacking()
    labels, plan = table["label"].to_numpy(), make_plan(table, None)
    extra = covariates(table, plan.known, columns)
    assert [name for name in extra if name.endswith("_missing")] == ["covariate:a_missing"]
    matrix = Matrix(extra=extra, known=plan.known)
    found = cross_fit(matrix, labels, plan, [0.05], solver(matrix, labels, 1e-7, fit))
    for fold in plan.held_out:
        judged = plan.fold == fold
        imputed = SimpleImputer(strategy="median", add_indicator=True)
        penalised = LogisticRegression(C=0.05, tol=1e-7, random_state=0, **PENALTIES[fit])
        model = make_pipeline(imputed, StandardScaler(), penalised).fit(columns[~judged], labels[~judged])
        np.testing.assert_allclose(found.logits[judged], model.decision_function(columns[judged]), atol=2e-5)


@pytest.mark.parametrize("fit", PENALTIES, ids=["logistic", "elastic net"])
def test_held_out_values_change_nothing_of_a_model_that_has_not_seen_them(fit):
    table, columns = lacking(1)
    labels, plan = table["label"].to_numpy(), make_plan(table, None)
    turned = columns.copy()
    turned[plan.fold == 2] = 3 + 2 * turned[plan.fold == 2].fillna(1)

    def logits(values):
        matrix = Matrix(extra=covariates(table, plan.known, values), known=plan.known)
        weights, intercept = cross_fit(matrix, labels, plan, [0.05], solver(matrix, labels, 1e-7, fit)).models[2]
        return matrix.values().astype(float) @ weights + intercept

    training = plan.fold != 2
    np.testing.assert_allclose(logits(columns)[training], logits(turned)[training], atol=2e-5)


def test_trees_bin_values_by_the_rows_of_each_training_set_alone():
    """What fold 2 holds changes nothing of the trees that judge it, and something of those that judge fold 3."""
    table, values = studied(600)
    labels, plan = table["label"].to_numpy(), make_plan(table, None)
    turned = np.where((plan.fold == 2)[:, None], 3 + 2 * values, values)
    raw = [Matrix(extra=pd.DataFrame(own), scale=Scale.identity(8)) for own in (values, turned)]
    before, after = (lightgbm.cross_fit(matrix, labels, plan, seed=1).models for matrix in raw)
    assert before[2][0].model_to_string() == after[2][0].model_to_string()
    assert before[3][0].model_to_string() != after[3][0].model_to_string()


@pytest.mark.parametrize("fit", PENALTIES, ids=["logistic", "elastic net"])
def test_a_column_all_but_constant_in_training_decides_no_held_out_row(fit):
    """One rare, large value, as the occupancy of a motif has: its row is within reach of the others."""
    table, values = studied()
    labels, plan = table["label"].to_numpy(), make_plan(table, None)
    rare = np.random.default_rng(1).normal(size=len(table)) * 1e-6
    rare[np.flatnonzero(plan.fold == 2)[0]] = 1
    matrix = Matrix(extra=pd.DataFrame(values).assign(rare=rare).rename(columns=str), known=plan.known)
    logits = cross_fit(matrix, labels, plan, [0.05], solver(matrix, labels, 1e-7, fit)).logits
    assert np.abs(logits).max() < 20


def test_the_labels_of_a_judged_fold_change_nothing_of_its_predictions():
    table, values = studied()
    labels, plan = table["label"].to_numpy(), make_plan(table, None)
    matrix, judged = Matrix(extra=pd.DataFrame(values)), plan.fold == 3
    turned = np.where(judged, 1 - labels, labels)
    before, after = (cross_fit(matrix, y, plan, [1e-3, 1e-1], solver(matrix, y)).logits for y in (labels, turned))
    # the problems share products, so that rounding may differ
    np.testing.assert_allclose(before[judged], after[judged], atol=1e-5)


@pytest.mark.slow
def test_permuted_labels_give_intervals_that_cover_one_half():
    covered = []
    for run in range(200):
        table, values = studied(300, 6, seed=run, signal=0)
        side = {"1": "test", "2": "test", "3": "valid", "4": "train", "5": "train"}
        table["split"] = table["split"].map(side)
        labels, plan = table["label"].to_numpy(), make_plan(table, None)
        matrix = Matrix(extra=pd.DataFrame(values), known=plan.known)
        logits = cross_fit(matrix, labels, plan, [1e-2], solver(matrix, labels)).logits
        predictions = metrics.prediction_table(table, logits, plan.fold_names(), plan.judged)
        summary, _, _ = metrics.evaluate(predictions, plan.groups[plan.judged], 10, run)
        found = summary["metrics"]["auroc"]
        covered.append(found["low"] <= 0.5 <= found["high"])
    assert np.mean(covered) >= 0.93


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_no_calibration_turns_a_model_round(method):
    """Labels that fall with the logits: of all maps that do not fall, the base rate has the least log loss."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=400)
    labels = (rng.random(400) < 1 / (1 + np.exp(2 + logits))).astype(float)
    learnt = learn_calibration(logits, labels, method)
    np.testing.assert_allclose(apply_calibration(learnt, logits), np.log(labels.mean() / (1 - labels.mean())))
    assert is_flat(learnt) and not is_flat(learn_calibration(-logits, labels, method)) and not is_flat(None)


def test_platt_and_isotonic_equal_scikit_learn():
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(0)
    logits = rng.normal(size=500) * 3
    labels = (rng.random(500) < 1 / (1 + np.exp(-logits / 2 + 1))).astype(float)
    platt = apply_calibration(learn_calibration(logits, labels, "platt"), logits)
    line = np.polyfit(logits, platt, 1)
    assert line == pytest.approx([0.5, -1], abs=0.25)
    isotonic = apply_calibration(learn_calibration(logits, labels, "isotonic"), logits)
    expected = IsotonicRegression(out_of_bounds="clip").fit(logits, labels).predict(logits)
    np.testing.assert_allclose(1 / (1 + np.exp(-isotonic)), np.clip(expected, 0.001, 0.999), atol=1e-9)
