"""Fits to levels of retention: equal to statsmodels, weights by overdispersion, held-out metrics, the whole tool."""

import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit
from scipy.stats import spearmanr, t

import explain
import explain_intron
import fit
import partition
import predict
from intronaut.interpret.permutation import refit
from intronaut.labels.differences import difference_columns
from intronaut.models import logistic
from intronaut.models.design_matrix import Matrix, Scale
from intronaut.models.folder import read_model
from intronaut.models.level import outcome_of_model, overdispersion, read_weights, rows_of_model
from intronaut.stats import level_metrics
from intronaut.stats.jackknife import t_interval
from intronaut.stats.within_folds import codes
from simulated_introns import FIT, introns, write_features, write_labels

LEVELS = (*FIT, "--target", "counts")
QUIET = tuple(word for at, word in enumerate(LEVELS) if word != "--bootstrap" and LEVELS[at - 1] != "--bootstrap")


def beta_binomial(rng, p, n, rho):
    size = (1 - rho) / rho
    return rng.binomial(n, rng.beta(np.maximum(p * size, 1e-9), np.maximum((1 - p) * size, 1e-9)))


def test_binomial_coefficients_equal_statsmodels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4)).astype(np.float32)
    n = rng.integers(1, 80, 500)
    k = rng.binomial(n, expit(x @ [0.5, -1, 0, 0.2] - 1))
    matrix = Matrix(extra=pd.DataFrame(x))
    found = logistic.fit(matrix, k / n, n[:, None].astype(float), 1e8, tolerance=1e-9)
    reference = sm.GLM(
        np.column_stack([k, n - k]), sm.add_constant(matrix.values().astype(float)), sm.families.Binomial()
    )
    expected = reference.fit(tol=1e-12).params
    np.testing.assert_allclose(np.append(found.intercept, found.weights), expected, atol=1e-6)


@pytest.mark.parametrize("rho", [0.02, 0.1, 0.3])
def test_overdispersion_is_found_again(rho):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(20):
        p = expit(rng.normal(-1, 1, 2000))
        n = rng.poisson(50, 2000) + 1
        found.append(overdispersion(beta_binomial(rng, p, n, rho) / n, n, p))
    # 20 data sets, each within 0.013
    assert np.mean(found) == pytest.approx(rho, abs=0.01)
    assert overdispersion(rng.binomial(n, p) / n, n, p) < 0.005


def test_no_intron_weighs_more_than_one_over_rho_reads():
    np.testing.assert_allclose(read_weights(np.array([1.0, 11.0, 1e9]), 0.1), [1, 5.5, 10], rtol=1e-6)


def test_level_metrics_and_what_is_left_out_spelled_out():
    rng = np.random.default_rng(2)
    n, groups = 120, np.repeat(np.arange(40), 3)
    y, logits, weights = rng.random(n).round(2), rng.normal(size=n), rng.random(n) + 0.1
    y[:5], y[5:8] = 0, 1
    folds, null = groups % 3, np.full(n, -0.2)
    rows = level_metrics.LevelRows(y, weights, codes(folds), codes(groups), null)
    values, left_out = level_metrics.level_metrics(rows, logits)

    def deviance(kept, p):
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.nan_to_num(y * np.log(y / p)) + np.nan_to_num((1 - y) * np.log((1 - y) / (1 - p)))
        return (2 * weights * parts)[kept].sum()

    def expected(kept):
        correlations = [
            (kept & (folds == f)).sum() * spearmanr(y[kept & (folds == f)], logits[kept & (folds == f)])[0]
            for f in range(3)
        ]
        return {
            "deviance_explained": 1 - deviance(kept, expit(logits)) / deviance(kept, expit(null)),
            "spearman": sum(correlations) / kept.sum(),
            "mean_absolute_error": np.abs(y - expit(logits))[kept].mean(),
        }

    for name, value in expected(np.ones(n, bool)).items():
        assert values[name] == pytest.approx(value, abs=1e-10), name
    for group in (0, 17, 39):
        for name, value in expected(groups != group).items():
            assert left_out[name][group] == pytest.approx(value, abs=1e-10), name
    reference = sm.GLM(y, sm.add_constant(logits), sm.families.Binomial(), freq_weights=weights).fit()
    assert values["calibration_slope"] == pytest.approx(reference.params[1], abs=1e-6)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Levels that a feature moves within the grey zone only, so that labels by thresholds hold nothing of it."""
    rng = np.random.default_rng(3)
    table, values = introns(700), rng.normal(size=(700, 8)).astype(np.float32)
    grey = rng.random(700) < 0.6
    level = np.where(grey, 0.06 + 0.24 * expit(2.5 * values[:, 0]), rng.choice([0.01, 0.7], 700, p=[0.7, 0.3]))
    n = rng.poisson(60, 700) + 10
    table["ir_reads"], table["ir_total"] = beta_binomial(rng, level, n, 0.02), n
    table["label"] = np.where(grey, np.nan, (level > 0.5).astype(float))
    table.loc[:19, "ir_total"], table.loc[:19, "ir_reads"] = 4, 1
    write_labels(tmp_path / "labels.tsv", table)
    write_features(tmp_path / "f.h5ad", list(table["name"]), values)
    monkeypatch.chdir(tmp_path)
    return table, values


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_levels_find_what_labels_cannot(study, tmp_path):
    table, values = study
    fit.main(QUIET)
    levels = metrics_of(tmp_path / "m")
    assert levels["gain"]["combined_minus_covariates"]["deviance_explained"]["low"] > 0
    assert levels["metrics"]["spearman"]["low"] > 0.15 and levels["n"] == 680
    assert levels["rows"]["low_reads"] == 20 and levels["rows"]["label_missing"] == 20
    predictions = pd.read_csv(tmp_path / "m/predictions.tsv", sep="\t")
    assert predictions["label"].isna().sum() > 300 and predictions["psi"].between(0, 1).all()
    notes = read_model(tmp_path / "m").notes
    assert notes["target"] == "counts" and set(notes["rho"]) == {"final", "1", "2", "3", "4", "5"}
    predict.main(("--model", "m", "--features", "f.h5ad", "-o", "p.tsv", "--threads", "1"))
    predicted = pd.read_csv(tmp_path / "p.tsv", sep="\t")
    assert "call" not in predicted and predicted["p_retained"].mean() == pytest.approx(levels["mean_level"], abs=0.03)
    fit.main(FIT)
    assert metrics_of(tmp_path / "m")["gain"]["combined_minus_covariates"]["auroc"]["low"] <= 0


def test_levels_are_explained_by_the_rows_and_weights_they_were_fitted_with(study, tmp_path):
    table, values = study
    fit.main([*QUIET, "--c-values", "0.1"])
    explain.main(("--model", "m", "--features", "f.h5ad", "--labels", "labels.tsv", "--pairs", "5", "--max-false", "2",
                  "-o", "e", "--threads", "1"))  # fmt: skip
    groups = pd.read_csv(tmp_path / "e/groups.tsv", sep="\t")
    assert groups["group"][0] == "f0" and groups["status"][0] == "selected" and groups["direction"][0] == "+"
    assert (groups["status"] == "selected").sum() == 1 and groups["shuffled_log_loss_low"][0] > 0
    model = read_model(tmp_path / "m")
    rows = outcome_of_model(rows_of_model(table, model.notes, "labels.tsv").dropna(subset=["label"]), model.notes, "")
    assert len(rows.y) == 680 and rows.above.mean() == pytest.approx(0.5, abs=0.02)
    # the same loss and weights give the same model again
    kept = (table["ir_total"] >= 10).to_numpy()
    matrix = Matrix(extra=pd.DataFrame((values[kept] - model.mean) / model.sd), scale=Scale.identity(8))
    weights, intercept = refit(model, matrix, rows.y, rows.weights[:, None])
    np.testing.assert_allclose(weights[:, 0], model.weights, atol=1e-3)
    assert intercept[0] == pytest.approx(model.intercept, abs=1e-3)


def test_cards_of_levels_tell_the_measured_level(study, tmp_path):
    table, _ = study
    psi = table["ir_reads"] / table["ir_total"]
    write_labels(tmp_path / "labels.tsv", table.assign(psi=psi, psi_n=table["ir_total"]))
    fit.main([*QUIET[:-1], "level", "--c-values", "0.1"])
    explain_intron.main(("--model", "m", "--features", "f.h5ad", "--labels", "labels.tsv", "--top", "2", "-o", "c"))
    cards, page = json.loads((tmp_path / "c/cards.json").read_text()), (tmp_path / "c/cards.html").read_text()
    assert len(cards) == 2
    for card in cards:
        assert card["psi"] == pytest.approx(psi[table["name"] == card["name"]].item(), abs=1e-5)
        told = f"Measured level: {card['psi']:.3f} of {card['psi_n']:g} fragments. Predicted level of retention (held-"
        assert told in page
    metrics = json.loads((tmp_path / "m/metrics.json").read_text())
    metrics["metrics"]["spearman"] |= {"low": -0.1}
    (tmp_path / "m/metrics.json").write_text(json.dumps(metrics))
    explain_intron.main(("--model", "m", "--features", "f.h5ad", "--top", "2", "-o", "c"))
    assert "the 95 % interval of the model&#39;s rank correlation, -0.100 to" in (tmp_path / "c/cards.html").read_text()


@pytest.mark.parametrize("model", ["elasticnet", "lightgbm"])
def test_other_kinds_of_model_fit_levels_too(study, tmp_path, model):
    fit.main([*QUIET, "--model", model])
    assert metrics_of(tmp_path / "m")["metrics"]["spearman"]["low"] > 0.1


def test_psi_with_its_weight_is_fitted_as_given(study, tmp_path):
    table, values = study
    psi = table["ir_reads"] / table["ir_total"]
    table = table.assign(
        psi=psi, psi_n=table["ir_total"], psi_weight=table["ir_total"] / (1 + 0.05 * table["ir_total"])
    )
    write_labels(tmp_path / "labels.tsv", table)
    fit.main([*QUIET[:-1], "level", "--c-values", "1e7", "--tolerance", "1e-8"])
    notes, kept = read_model(tmp_path / "m"), table["ir_total"] >= 10
    weights = table["psi_weight"][kept]
    x = sm.add_constant(values[kept].astype(float))
    reference = sm.GLM(psi[kept], x, sm.families.Binomial(), freq_weights=weights).fit(tol=1e-12)
    np.testing.assert_allclose(notes.per_unit()[0], reference.params[1:], atol=1e-4)
    assert notes.notes["rho"] is None


@pytest.mark.parametrize(
    ("args", "code", "expected"),
    [
        (["--calibrate", "platt"], 2, "--calibrate: without effect with --target counts"),
        (["--preset", "paper"], 2, "the paper fits labels, not levels"),
        (["--target", "level"], 65, "no column psi for --target level"),
        (["--target", "label", "--min-reads", "5"], 2, "--min-reads: without effect with --target label"),
    ],
)
def test_what_levels_do_not_take_is_refused(study, tool, args, code, expected):
    assert expected in tool("fit", *QUIET, *args, code=code).stderr


def test_levels_outside_their_range_are_refused(study, tool, tmp_path):
    write_labels(tmp_path / "labels.tsv", study[0].assign(ir_reads=500))
    assert "700 levels lie outside 0 to 1, first that of 'i0'" in tool("fit", *QUIET, code=65).stderr


@pytest.fixture
def compared(tmp_path, monkeypatch):
    """Differences between conditions that a feature moves, in tables of differential_retention and of labels."""
    rng = np.random.default_rng(9)
    table, values = introns(500), rng.normal(size=(500, 5)).astype(np.float32)
    error = rng.uniform(0.02, 0.2, 500)
    delta = np.clip(0.25 * np.tanh(values[:, 0]) + rng.normal(scale=error), -1, 1)
    calls = pd.DataFrame({"intron": range(500), "caller": "intronaut_differences", "sample": "b_vs_a", "value": delta})
    calls = calls.assign(delta_low=delta - 1.96 * error, delta_high=delta + 1.96 * error)
    table = table.assign(**difference_columns(calls, 500), label=np.where(delta > 0.1, 1.0, np.nan))
    table.loc[:9, ["delta_psi", "delta_weight"]] = np.nan
    write_labels(tmp_path / "labels.tsv", table)
    write_features(tmp_path / "f.h5ad", list(table["name"]), values)
    monkeypatch.chdir(tmp_path)
    return table, values, error


def test_exact_differences_weigh_more_but_not_without_bounds(compared):
    table, _, error = compared
    weight = table["delta_weight"][10:]
    assert spearmanr(weight, error[10:])[0] == pytest.approx(-1) and weight.between(0.3, 1).all()
    calls = pd.DataFrame({"intron": [0, 1], "caller": "intronaut_differences", "value": [0.1, -0.2]})
    calls = calls.assign(delta_low=np.nan, delta_high=np.nan)
    one = difference_columns(calls.assign(sample="b_vs_a"), 3)
    np.testing.assert_array_equal(one["delta_psi"], [0.1, -0.2, np.nan])
    np.testing.assert_array_equal(one["delta_weight"], [1, 1, np.nan])
    # which of two comparisons would be fitted nobody has said
    assert difference_columns(calls.assign(sample=["b_vs_a", "c_vs_a"]), 3) == {}


def test_differences_are_fitted_predicted_and_explained(compared, tmp_path):
    table, values, _ = compared
    fit.main([*QUIET[:-1], "difference", "--c-values", "1e7", "--tolerance", "1e-8"])
    model, known = read_model(tmp_path / "m"), table["delta_psi"].notna()
    x, y = sm.add_constant(values[known].astype(float)), (1 + table["delta_psi"][known]) / 2
    reference = sm.GLM(y, x, sm.families.Binomial(), freq_weights=table["delta_weight"][known]).fit(tol=1e-12)
    np.testing.assert_allclose(model.per_unit()[0], reference.params[1:], atol=1e-4)
    found = metrics_of(tmp_path / "m")
    assert found["metrics"]["spearman"]["low"] > 0.4 and found["n"] == 490
    assert found["gain"]["combined_minus_covariates"]["deviance_explained"]["low"] > 0
    explain_intron.main(("--model", "m", "--features", "f.h5ad", "--labels", "labels.tsv", "--top", "1", "-o", "c"))
    (card,), page = json.loads((tmp_path / "c/cards.json").read_text()), (tmp_path / "c/cards.html").read_text()
    delta = table["delta_psi"][table["name"] == card["name"]].item()
    assert f"Measured difference: {delta:+.3f}. Predicted difference of retention (held-out): " in page
    assert f"(held-out): {2 * card['p_retained'] - 1:+.3f}" in page
    partition.main(["--features", "f.h5ad", "--labels", "labels.tsv", "--target", "difference", "-o", "p", "--quiet"])
    parts = pd.read_table(tmp_path / "p/partition.tsv").set_index("block")
    assert set(parts["measure"]) == {"deviance"} and parts.loc["f", "last_in_low"] > 0.1


def test_differences_that_nobody_measured_are_refused(compared, tool):
    assert "no column psi for --target level" in tool("fit", *QUIET[:-1], "level", code=65).stderr
    write_labels("labels.tsv", compared[0].drop(columns=["delta_psi", "delta_weight"]))
    assert "no column delta_psi for --target difference" in tool("fit", *QUIET[:-1], "difference", code=65).stderr
    write_labels("labels.tsv", compared[0].assign(delta_psi=2))
    assert "500 differences lie outside −1 to 1" in tool("fit", *QUIET[:-1], "difference", code=65).stderr


@pytest.mark.parametrize(("value", "error", "df"), [(0.5, 0.1, 30), (-0.9, 0.2, 4), (0.0, 0.4, 2)])
def test_the_interval_of_a_correlation_is_that_of_fishers_z(value, error, df):
    interval = t_interval(value, error, df, "fisher")
    reach = t.ppf(0.975, df) * error / (1 - value**2)
    ends = np.tanh([np.arctanh(value) - reach, np.arctanh(value) + reach])
    assert [interval["low"], interval["high"]] == pytest.approx(ends, rel=1e-12)
    assert t_interval(1.0, error, df, "fisher") == {"low": None, "high": None}
