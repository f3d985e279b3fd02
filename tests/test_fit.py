import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fit
from intronaut.models.folder import read_model
from intronaut.stats import strata
from reference_aurocs import auroc_between_groups
from simulated_introns import FIT, draw_labels, introns, write_features, write_labels


@pytest.fixture
def study(tmp_path, monkeypatch):
    """labels.tsv and features of 600 introns whose first feature is a strong signal."""
    table, values = introns(600), np.random.default_rng(1).normal(size=(600, 12)).astype(np.float32)
    table["label"] = draw_labels(3.5 * values[:, 0] - 1)
    write_labels(tmp_path / "labels.tsv", table)
    write_features(tmp_path / "f.h5ad", list(table["name"]), values)
    monkeypatch.chdir(tmp_path)
    return table, values


def read(folder, name="metrics.json"):
    return json.loads((folder / name).read_text()) if name.endswith("json") else pd.read_csv(folder / name, sep="\t")


def without_cost(path):
    """The bytes of a file; of model.json without the seconds and memory that fitting took."""
    if path.name != "model.json":
        return path.read_bytes()
    return {name: value for name, value in json.loads(path.read_text()).items() if name != "cost"}


def test_a_planted_signal_is_found_and_written_as_documented(tmp_path, study):
    fit.main(FIT)
    predictions, metrics = read(tmp_path / "m", "predictions.tsv"), read(tmp_path / "m")
    assert list(predictions) == ["name", "label", "split", "fold", "p_retained", "logit"]
    assert len(predictions) == metrics["n"] == 600
    assert metrics["metrics"]["auroc"]["value"] > 0.9
    auroc = auroc_between_groups(predictions, np.arange(600) // 3, predictions["fold"])
    assert metrics["metrics"]["auroc"]["value"] == pytest.approx(auroc, abs=1e-12)
    share = predictions.groupby("fold")["logit"].rank() - 0.5
    share /= predictions.groupby("fold")["logit"].transform("size")
    ap = average_precision_score(predictions["label"], share)
    assert metrics["metrics"]["average_precision"]["value"] == pytest.approx(ap, abs=1e-12)
    assert metrics["gain"]["combined_minus_covariates"]["auroc"]["low"] > 0.2
    assert read(tmp_path / "m/covariates")["metrics"] == metrics["baseline"]["covariates"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "baselines.tsv", "coefficients.tsv", "combined", "conformal.tsv", "covariates", "domain.safetensors",
        "metrics.json", "model.json", "path.tsv", "predictions.tsv", "refits.tsv", "strata.tsv", "threshold.json",
        "weights.safetensors",
    ]  # fmt: skip


def test_each_fold_is_predicted_by_scikit_learn_trained_without_it(tmp_path, study):
    table, values = study
    fit.main([*FIT, "--c-values", "0.1", "--tolerance", "1e-7"])
    predictions = read(tmp_path / "m", "predictions.tsv")
    values = values.astype(float)
    for fold in "12345":
        out = (table["split"] == fold).to_numpy()
        reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-10, max_iter=1000))
        reference.fit(values[~out], table["label"][~out])
        np.testing.assert_allclose(predictions["logit"][out], reference.decision_function(values[out]), atol=2e-4)


def test_the_final_model_gives_w_x_plus_b(tmp_path, study):
    _, values = study
    fit.main(FIT)
    model = read_model(tmp_path / "m")
    written = read(tmp_path / "m", "coefficients.tsv")
    logits = values @ written["coefficient_per_unit"].to_numpy() + model.per_unit()[1]
    np.testing.assert_allclose(model.logits(values), logits, atol=1e-4)
    assert model.notes["rows_trained"] == 600


def test_test_rows_are_judged_by_a_model_of_train_and_valid(tmp_path, study):
    table, _ = study
    table["split"] = np.where(table["split"] == "1", "test", np.where(table["split"] == "2", "valid", "train"))
    write_labels(tmp_path / "labels.tsv", table)
    fit.main(FIT)
    predictions = read(tmp_path / "m", "predictions.tsv")
    assert set(predictions["split"]) == {"test"} and len(predictions) == (table["split"] == "test").sum()
    assert predictions["fold"].isna().all()
    assert read(tmp_path / "m", "model.json")["rows_trained"] == (table["split"] != "test").sum()


def test_the_same_bytes_for_any_number_of_threads_and_memory(tmp_path, study):
    fit.main(FIT)
    args = [*FIT, "--memory", "0"]
    args[args.index("m")], args[args.index("--threads") + 1] = "n", "3"
    fit.main(args)
    for path in (tmp_path / "m").rglob("*.*"):
        assert without_cost(path) == without_cost(tmp_path / "n" / path.relative_to(tmp_path / "m")), path.name


def test_rows_left_out_are_counted_and_add_up(tmp_path, study):
    table, values = study
    table["label"] = table["label"].astype(float).where(table.index % 10 != 0)
    write_labels(tmp_path / "labels.tsv", table.iloc[:590])
    write_features(tmp_path / "f.h5ad", list(table["name"])[5:], values[5:])
    fit.main(FIT)
    rows = read(tmp_path / "m")["rows"]
    assert rows["labels"] == rows["used"] + rows["label_missing"] + rows["labelled_without_features"] == 590
    left_out = rows["features_without_label_row"] + rows["features_with_missing_label"]
    assert rows["loci"] == rows["used"] + left_out == 595
    assert rows["labelled_without_features"] == 4 and rows["features_without_label_row"] == 10


def test_pure_gc_labels_give_no_gain_over_covariates(tmp_path, study):
    table, values = study
    table["label"] = draw_labels(12 * (table["gc"] - 0.5))
    values[:, 0] = table["gc"] + 0.05 * values[:, 1]
    write_labels(tmp_path / "labels.tsv", table)
    write_features(tmp_path / "f.h5ad", list(table["name"]), values)
    fit.main(FIT)
    metrics = read(tmp_path / "m")
    gain = metrics["gain"]["combined_minus_covariates"]["auroc"]
    assert metrics["metrics"]["auroc"]["low"] > 0.6
    assert gain["low"] <= 0 <= gain["high"]


@pytest.mark.parametrize("model", ["logistic", "elasticnet"])
def test_covariates_that_are_noise_do_not_keep_the_features_out(tmp_path, study, model):
    table, values = study
    table["label"] = draw_labels(2 * values[:, 0] - 1)
    write_labels(tmp_path / "labels.tsv", table.iloc[:300])
    fit.main([*FIT, "--model", model])
    metrics = read(tmp_path / "m")
    alone, combined = metrics["metrics"]["auroc"]["value"], metrics["baseline"]["combined"]["auroc"]["value"]
    assert alone > 0.8 and combined > alone - 0.03
    assert metrics["gain"]["combined_minus_covariates"]["auroc"]["low"] > 0.2


def test_features_of_one_group_alone_are_fitted(tmp_path, study):
    fit.main([*FIT, "--feature-groups", "family=fam0,fam2"])
    assert read(tmp_path / "m", "coefficients.tsv")["feature"].tolist() == ["f0", "f1", "f2", "f3", "f4", "f10", "f11"]


@pytest.mark.parametrize(
    "change, expected, code",
    [
        ({"label": 0}, "no retained intron", 65),
        ({"label": np.nan}, "no row is a labelled window", 65),
        ({"name": "x"}, "no row is a labelled window; features hold names like 'i0', labels like 'x0'", 65),
        ({"split": "left"}, "column split holds left", 65),
        ({"split": "train"}, "column split has no test row", 65),
    ],
)
def test_labels_that_cannot_be_fitted_give_one_line_and_no_folder(tool, tmp_path, study, change, expected, code):
    table = study[0].assign(**change)
    if change.get("name"):
        table["name"] = [f"x{k}" for k in range(len(table))]
    write_labels(tmp_path / "labels.tsv", table)
    done = tool("fit", *FIT, code=code)
    assert expected in done.stderr.splitlines()[-1]
    assert not (tmp_path / "m").exists() and not list(tmp_path.glob(".m*"))


def test_labels_of_standard_input_are_those_of_the_file(tool, tmp_path, study):
    features = ("--features", "f.h5ad", "--bootstrap", 50, "--threads", 1)
    text = (tmp_path / "labels.tsv").read_text(encoding="utf-8")
    tool("fit", *features, "--labels", "labels.tsv", "-o", "file")
    tool("fit", *features, "--labels", "-", "-o", "piped", stdin=text)
    for path in (tmp_path / "file").glob("*.*"):
        assert without_cost(path) == without_cost(tmp_path / "piped" / path.name), path.name
    for name, options in (("split_introns", ("--scheme", "folds")), ("match_introns", ("--match", "length"))):
        tool(name, "labels.tsv", *options, "-o", f"{name}.file")
        tool(name, "-", *options, "-o", f"{name}.piped", stdin=text)
        assert (tmp_path / f"{name}.file").read_bytes() == (tmp_path / f"{name}.piped").read_bytes()
    told = tool("split_introns", "-", code=65, stdin="chrom\tstart\n").stderr
    assert told.startswith("split_introns: error: -: no column ")


def test_another_kind_of_model_leaves_nothing_of_the_earlier_one(tmp_path, study):
    fit.main([*FIT, "--shuffle-control"])
    (tmp_path / "m/notes.txt").write_text("mine")
    fit.main([*FIT, "--model", "lightgbm"])
    left = {path.name for path in (tmp_path / "m").iterdir()}
    assert not left & {"coefficients.tsv", "weights.safetensors", "shuffled"}
    assert {"lightgbm.txt", "importance.tsv", "covariates", "notes.txt"} <= left


@pytest.mark.parametrize("option", ["--c-values", "--tolerance"])
@pytest.mark.parametrize("value", ["inf", "nan", "0", "-1"])
def test_penalties_and_tolerances_that_are_no_numbers_are_refused(tool, option, value):
    assert f"argument {option}: '{value}'" in tool("fit", option, value, code=2).stderr


def test_a_feature_that_is_not_finite_is_named(tool, tmp_path, study):
    import anndata

    table, values = study
    values[7, 3] = np.nan
    # a matrix of the user's own, which has no digests
    obs, var = (pd.DataFrame(index=list(names)) for names in (table["name"], [f"f{j}" for j in range(12)]))
    anndata.AnnData(values, obs, var).write_h5ad(tmp_path / "f.h5ad")
    assert "i7: f3 is not a finite number" in tool("fit", *FIT, code=65).stderr


def test_trees_find_what_no_line_can_separate(tmp_path, study):
    table, values = study
    table["label"] = draw_labels(np.where(np.abs(values[:, 0]) > 0.7, 2, -3))
    write_labels(tmp_path / "labels.tsv", table)
    fit.main([*FIT, "--model", "lightgbm"])
    assert read(tmp_path / "m")["metrics"]["auroc"]["low"] > 0.7
    importance = read(tmp_path / "m", "importance.tsv")
    assert importance["feature"][importance["gain"].idxmax()] == "f0"
    model = read_model(tmp_path / "m")
    written = model.logits(values)
    fit.main([*FIT, "--model", "lightgbm", "--threads", "2"])
    np.testing.assert_array_equal(read_model(tmp_path / "m").logits(values), written)


def test_the_elastic_net_keeps_the_signal_and_drops_noise(tmp_path, study):
    fit.main([*FIT, "--model", "elasticnet", "--c-values", "0.05"])
    coefficients = read(tmp_path / "m", "coefficients.tsv").set_index("feature")["coefficient"]
    assert coefficients["f0"] > 0.5 and (coefficients == 0).sum() >= 6
    z = (study[1] - study[1].mean(axis=0)) / study[1].std(axis=0)
    reference = LogisticRegression(C=0.05, l1_ratio=0.5, solver="saga", tol=1e-8, max_iter=10000)
    np.testing.assert_allclose(coefficients, reference.fit(z, study[0]["label"]).coef_[0], atol=1e-3)


def test_balanced_classes_are_turned_back_to_the_prevalence(tmp_path, study):
    table, values = study
    table["label"] = draw_labels(values[:, 0] - 2.5)
    write_labels(tmp_path / "labels.tsv", table)
    fit.main([*FIT, "--class-weight", "balanced"])
    predictions = read(tmp_path / "m", "predictions.tsv")
    assert predictions["p_retained"].mean() == pytest.approx(table["label"].mean(), abs=0.04)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_mends_what_an_overfitted_model_claims(tmp_path, study, method):
    table, values = study
    table["label"] = draw_labels(0.7 * values[:, 0])
    values = np.hstack([values, np.random.default_rng(3).normal(size=(600, 100)).astype(np.float32)])
    write_labels(tmp_path / "labels.tsv", table)
    write_features(tmp_path / "f.h5ad", list(table["name"]), values)
    errors = {}
    for how in ("none", method):
        fit.main([*FIT, "--c-values", "1", "--calibrate", how])
        errors[how] = read(tmp_path / "m")["metrics"]["log_loss"]["value"]
    assert errors[method] < errors["none"] - 0.05
    assert read(tmp_path / "m", "model.json")["calibration"]["method"] == method


def test_a_model_of_noise_is_calibrated_to_the_base_rate_and_never_turned_round(tool, tmp_path, study):
    table, values = study
    write_labels(tmp_path / "labels.tsv", table.assign(label=draw_labels(np.full(600, -1.0))))
    write_features(tmp_path / "f.h5ad", list(table["name"]), np.random.default_rng(7).normal(size=values.shape))
    done = tool("fit", *FIT, "--c-values", "1", "--calibrate", "platt")
    slope = read(tmp_path / "m", "model.json")["calibration"]["slope"]
    assert slope == 0 and "--calibrate platt has slope 0 for" in done.stderr
    predictions = read(tmp_path / "m", "predictions.tsv")
    tool("predict", "--model", "m", "--features", "f.h5ad", "-o", "p.tsv")
    found = read(tmp_path, "p.tsv")["p_retained"]
    assert found.nunique() == 1 and found[0] == pytest.approx(predictions["label"].mean(), abs=1e-6)


def test_metrics_are_those_of_the_written_numbers(tmp_path, study):
    """Balanced, calibrated in steps: many introns lie at p = 0.5, on one side or the other by what is rounded."""
    from sklearn.metrics import brier_score_loss, log_loss, matthews_corrcoef

    fit.main([*FIT, "--c-values", "0.01", "--class-weight", "balanced", "--calibrate", "isotonic"])
    for folder in (tmp_path / "m", tmp_path / "m/covariates"):
        table, metrics = read(folder, "predictions.tsv"), read(folder)["metrics"]
        label, p = table["label"], table["p_retained"]
        assert metrics["mcc"]["value"] == pytest.approx(matthews_corrcoef(label, p >= 0.5), abs=1e-9)
        assert metrics["brier"]["value"] == pytest.approx(brier_score_loss(label, p), abs=1e-12)
        assert metrics["log_loss"]["value"] == pytest.approx(log_loss(label, p), abs=1e-12)


@pytest.mark.parametrize(
    ("args", "option"),
    [
        (["--trials", "5"], "--trials"),
        (["--l1-ratio", "0.2"], "--l1-ratio"),
        (["--preset", "paper", "--c-values", "3"], "--c-values"),
        (["--preset", "paper", "--class-weight", "balanced"], "--class-weight"),
        (["--model", "lightgbm", "--tolerance", "1e-3"], "--tolerance"),
    ],
)
def test_options_that_would_do_nothing_are_refused(tool, study, args, option):
    last = tool("fit", *FIT, *args, code=2).stderr.splitlines()[-1]
    assert f"error: {option}: without effect with --model" in last


def test_refits_leave_out_a_second_fold_and_give_the_variance_of_training(tmp_path, study):
    """Each line of refits.tsv spelled out by scikit-learn; the variance of training by hand from their AUROCs."""

    table, values = study
    table["split"] = (np.arange(600) // 3 % 3 + 1).astype(str)
    write_labels(tmp_path / "labels.tsv", table)
    fit.main([*FIT, "--c-values", "0.1", "--tolerance", "1e-7"])
    values = values.astype(float)
    label, fold, refits = (
        table["label"].to_numpy(),
        table["split"].astype(int).to_numpy(),
        read(tmp_path / "m", "refits.tsv"),
    )
    expected = np.empty((3, 600))
    for without in (1, 2, 3):
        for judged in (1, 2, 3):
            train = (fold != without) & (fold != judged)
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-10, max_iter=1000))
            model.fit(values[train], label[train])
            expected[without - 1, fold == judged] = model.decision_function(values[fold == judged])
    np.testing.assert_allclose(refits[["without_1", "without_2", "without_3"]].to_numpy().T, expected, atol=3e-4)
    null = [np.log(label[fold != k].mean() / (1 - label[fold != k].mean())) for k in fold]
    np.testing.assert_allclose(refits["null_logit"], null, atol=1e-5)
    aurocs = [strata.auroc_within_folds(label, line, fold, np.arange(600) // 3, 1)["value"] for line in expected]
    found = read(tmp_path / "m")["metrics"]["auroc"]
    assert found["se_train"] ** 2 == pytest.approx(2 / 3 * np.sum((aurocs - np.mean(aurocs)) ** 2), rel=1e-3)
    assert found["se"] ** 2 == pytest.approx(found["se_train"] ** 2 + found["se_test"] ** 2)


def test_repeats_average_over_assignments_of_groups_to_folds(tmp_path, study):
    fit.main([*FIT, "--folds", "4", "--repeats", "3", "--c-values", "0.1"])
    metrics, repeats = read(tmp_path / "m"), read(tmp_path / "m", "repeats.tsv")
    first = read(tmp_path / "m", "predictions.tsv")
    assert list(repeats["repeat"].unique()) == [2, 3] and len(repeats) == 2 * len(first)
    second = repeats[repeats["repeat"] == 2].set_index("name")["fold"]
    assert (second[first["name"]].to_numpy() != first["fold"].to_numpy()).mean() > 0.5
    assert metrics["repeats"]["n"] == 3 and metrics["repeats"]["split_sd"]["brier"] > 0
    briers = [
        ((part["p_retained"] - part["label"]) ** 2).mean()
        for part in (first, *(p for _, p in repeats.groupby("repeat")))
    ]
    assert metrics["metrics"]["brier"]["value"] == pytest.approx(np.mean(briers), abs=1e-9)


def test_two_folds_are_three(tool, tmp_path, study):
    assert "3 folds are made" in tool("fit", *FIT, "--folds", "2").stderr
    two = {path.name: path.read_bytes() for path in (tmp_path / "m").glob("*.*") if path.name != "model.json"}
    tool("fit", *FIT, "--folds", "3")
    assert two == {path.name: path.read_bytes() for path in (tmp_path / "m").glob("*.*") if path.name != "model.json"}
    assert read(tmp_path / "m", "model.json")["folds"] == 3


def test_repeats_of_a_given_split_are_refused(tool, study):
    assert "--repeats: needs --folds" in tool("fit", *FIT, "--repeats", "2", code=2).stderr


def test_near_copies_are_left_out_of_a_second_evaluation(tool, tmp_path, study):
    rows = [f"twin\t1\ti{k}\t2\ti{k + 1}" for k in range(0, 60, 2)] + ["gene\t1\ti300\t2\ti301"]
    (tmp_path / "audit.tsv").write_text("leak\tsplit_1\tname_1\tsplit_2\tname_2\n" + "\n".join(rows) + "\n")
    done = tool("fit", *FIT, "--near-copies", "audit.tsv")
    found = read(tmp_path / "m")["without_near_copies"]
    assert found["left_out"] == 60 and found["of"] == 600
    assert "60 of 600 held-out windows have a near-copy in another part; without them AUROC 0.9" in done.stderr
    predictions = read(tmp_path / "m", "predictions.tsv")[60:]
    brier = ((predictions["p_retained"] - predictions["label"]) ** 2).mean()
    assert found["metrics"]["features"]["brier"]["value"] == pytest.approx(brier, abs=1e-9)
    assert found["gain"]["combined_minus_covariates"]["auroc"]["low"] > 0.2


def test_near_copies_of_other_windows_are_refused_or_none(tool, tmp_path, study):
    (tmp_path / "audit.tsv").write_text("leak\tname_1\tname_2\ntwin\tx\ty\n")
    refused = tool("fit", *FIT, "--near-copies", "audit.tsv", code=65).stderr
    assert "audit.tsv: none of its windows, such as 'x', is in this study" in refused
    # windows that train alone have copies of each other
    labels = pd.read_table(tmp_path / "labels.tsv")
    trains = labels["split"] != labels["split"].iloc[-1]
    labels.assign(split=np.where(trains, "train", "test")).to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    first, second = labels["name"][trains][:2]
    (tmp_path / "audit.tsv").write_text(f"leak\tname_1\tname_2\nhomology\t{first}\t{second}\n")
    tool("fit", *FIT, "--near-copies", "audit.tsv")
    assert read(tmp_path / "m")["without_near_copies"] == {"left_out": 0, "of": int((~trains).sum())}


def test_a_covariate_of_the_user_takes_the_gain_away(tool, tmp_path, study):
    table, values = study
    rows = [
        f"{name}\t{value:.4f}\tword{k}" for k, (name, value) in enumerate(zip(table["name"], values[:, 0], strict=True))
    ]
    (tmp_path / "expression.tsv").write_text("name\ttpm\tnote\n" + "\n".join(rows[30:]) + "\n")
    done = tool("fit", *FIT, "--covariates", "expression.tsv")
    gain = read(tmp_path / "m")["gain"]["combined_minus_covariates"]["auroc"]
    assert gain["low"] < 0.02 and read(tmp_path / "m/covariates")["metrics"]["auroc"]["value"] > 0.9
    assert read(tmp_path / "m", "model.json")["covariates"] == {"tpm": "x"}
    assert "covariate left out: expression.tsv: note (text of 570 kinds)" in done.stderr
    assert "--covariates tmp: no such column" in tool("fit", *FIT, "--covariates", "tmp", code=2).stderr


def test_trees_of_few_rows_still_split_and_those_that_cannot_are_reported(tool, tmp_path, study):
    table, values = study
    few = table.iloc[:60].assign(label=(values[:60, 0] > 0.3).astype(int))
    write_labels(tmp_path / "labels.tsv", few)
    fit.main([*FIT, "--model", "lightgbm"])
    assert read(tmp_path / "m")["metrics"]["auroc"]["value"] > 0.85
    assert read(tmp_path / "m", "model.json")["setting"]["min_child_samples"] == 3
    write_features(tmp_path / "f.h5ad", list(table["name"]), np.zeros_like(values))
    told = tool("fit", *FIT, "--model", "lightgbm").stderr
    assert "the trees of 6 of 6 models have no split" in told and "one probability: it knows nothing" in told


def test_a_fold_of_one_class_is_left_out_of_ranking_and_reported(tool, tmp_path, study):
    table, _ = study
    table.loc[table["split"] == "4", "label"] = 0
    write_labels(tmp_path / "labels.tsv", table)
    told = tool("fit", *FIT, "--c-values", "0.1").stderr
    assert "rows of fold 4 hold one class only" in told
    assert read(tmp_path / "m")["folds_without_pairs"] == ["4"]
    table.loc[table["split"].isin(["1", "4", "5"]), "label"] = 0
    write_labels(tmp_path / "labels.tsv", table)
    assert "2 of 5 folds hold both retained and spliced introns" in tool("fit", *FIT, code=65).stderr


@pytest.mark.parametrize("model", ["logistic", "lightgbm"])
def test_ambiguous_introns_are_predicted_by_models_that_have_not_seen_their_group(tmp_path, study, model):
    table, values = study
    known = table.assign(label=table["label"].astype(float), evidence="caller=0.1")
    held = known.index % 3 == 1
    known.loc[held, "label"] = np.nan
    known.loc[[1, 4], "evidence"] = np.nan
    known.loc[known.index >= 597, "label"] = np.nan
    write_labels(tmp_path / "labels.tsv", known)
    fit.main([*FIT, "--model", model, "--c-values", "0.1"] if model == "logistic" else [*FIT, "--model", model])
    found = read(tmp_path / "m", "ambiguous.tsv").set_index("name")
    # two were not measured; the last group has no labelled intron, so that the final model has not seen it
    assert len(found) == held.sum() - 2 + 2 and found.loc[["i597", "i598", "i599"], "fold"].isna().all()
    inside = found[found["fold"].notna()]
    assert (inside["fold"] == known.set_index("name").loc[inside.index, "split"].astype(int)).all()
    assert np.corrcoef(found["logit"], values[[int(name[1:]) for name in found.index], 0])[0, 1] > 0.6
    if model == "logistic":
        labelled = known["label"].notna().to_numpy()
        values = values.astype(float)
        train = labelled & (known["split"] != "2").to_numpy()
        reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-10, max_iter=1000))
        reference.fit(values[train], known["label"][train])
        names = inside.index[inside["fold"] == 2]
        expected = reference.decision_function(values[[int(name[1:]) for name in names]])
        np.testing.assert_allclose(inside.loc[names, "logit"], expected, atol=3e-4)


def test_what_fitting_cost_is_recorded(tmp_path, study):
    fit.main(FIT)
    cost = read(tmp_path / "m", "model.json")["cost"]
    assert cost["parameters_fitted"] == cost["parameters_total"] == 13 and cost["parameters_frozen"] == 0
    assert cost["windows"] == 600 and cost["seconds"] > 0 and cost["peak_bytes"] > 1e7 and cost["device"] == "cpu"


def test_strata_hold_every_judged_row_once(tmp_path, study):
    fit.main(FIT)
    strata, metrics = read(tmp_path / "m", "strata.tsv"), read(tmp_path / "m")
    assert strata["n"].sum() == 600 and len(strata) == 9
    assert strata["n_retained"].sum() == metrics["n_retained"]
    assert metrics["auroc_within_strata"]["low"] > 0.8


def test_random_labels_show_no_signal(tmp_path, study):
    fit.main([*FIT, "--shuffle-control"])
    metrics = read(tmp_path / "m")
    assert metrics["label_shuffle"]["auroc"]["low"] < 0.5 < metrics["label_shuffle"]["auroc"]["high"] + 0.03
    assert read(tmp_path / "m/shuffled")["n_retained"] == metrics["n_retained"]


def test_the_paper_recipe_reaches_the_signal_on_raw_features(tmp_path, study, monkeypatch):
    from intronaut.paper import logistic

    monkeypatch.setattr(logistic, "PEAK_RATE", 0.03)
    monkeypatch.setattr(logistic, "EPOCHS", 200)
    fit.main([*FIT, "--preset", "paper"])
    assert read(tmp_path / "m")["metrics"]["auroc"]["value"] > 0.9
    model = read_model(tmp_path / "m")
    assert (model.mean == 0).all() and (model.sd == 1).all()


def test_a_motif_planted_in_the_sequence_is_found(tool, tmp_path, study):
    rng, table = np.random.default_rng(5), study[0].iloc[:300]
    table = table.assign(label=np.resize([0, 0, 1], 300)[rng.permutation(300)])
    with open(tmp_path / "w.fa", "w") as out:
        for name, label in zip(table["name"], table["label"], strict=True):
            bases = rng.choice(list("ACGT"), 200)
            for start in rng.integers(0, 190, 2) if label else ():
                bases[start : start + 8] = list("TGACGTCA")
            out.write(f">{name}\n{''.join(bases)}\n")
    write_labels(tmp_path / "labels.tsv", table)
    tool("embed_kmers", "w.fa", "-o", "f.h5ad")
    fit.main([*FIT, "--model", "elasticnet"])
    assert read(tmp_path / "m")["metrics"]["auroc"]["value"] >= 0.9
    assert read(tmp_path / "m")["gain"]["features_minus_covariates"]["auroc"]["low"] > 0.2
    coefficients = read(tmp_path / "m", "coefficients.tsv")
    assert coefficients["feature"][coefficients["coefficient"].idxmax()] in {"GACGTC", "ACGTCA", "TGACGT"}
