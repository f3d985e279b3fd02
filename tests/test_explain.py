import json

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import explain
import fit
from intronaut.interpret.correlation import correlation_clusters
from intronaut.interpret.explanation import GROUP_COLUMNS, cluster_labels, smallest_correlations
from intronaut.interpret.held_out_evidence import Settings, Study, status
from intronaut.interpret.permutation import _jackknife_interval, _judges
from intronaut.interpret.stability_selection import halves
from intronaut.io.h5ad import open_features
from intronaut.io.tables import read_labels
from intronaut.models import folder
from intronaut.plots.svg import RETAINED, SPLICED
from simulated_introns import FIT, write_features, write_labels

pytest_plugins = ["fitted_models"]

EXPLAIN = ("--model", "m", "--features", "f.h5ad", "-o", "e", "--threads", "1")


def read(path):
    return pd.read_csv(path, sep="\t")


def test_contributions_add_up_to_the_logit(tmp_path, fitted):
    explain.main([*EXPLAIN, "--group-by", "family", "--full-matrix", "--per-intron", "20"])
    model = folder.read_model(tmp_path / "m")
    expected = fitted.astype(float) @ model.per_unit()[0] + model.per_unit()[1]
    for name in ("contributions.h5ad", "group_contributions.h5ad"):
        with h5py.File(tmp_path / "e" / name) as file:
            np.testing.assert_allclose(file["X"][:].sum(axis=1, dtype=float) + model.intercept, expected, atol=1e-5)
    listed = read(tmp_path / "e/contributions.tsv")
    sums = listed.groupby("name", sort=False)["contribution"].sum().to_numpy() + model.intercept
    np.testing.assert_allclose(sums, expected, atol=1e-4)
    np.testing.assert_allclose(listed["logit_in_sample"][::20], expected, atol=1e-4)


def test_introns_rank_by_their_place_in_the_fold_that_had_not_seen_them(tmp_path, fitted):
    explain.main([*EXPLAIN, "--per-intron", "1"])
    judged = read(tmp_path / "m/predictions.tsv")
    place = {}
    for _, rows in judged.groupby("fold"):
        for row in rows.itertuples():
            below, equal = (rows["logit"] < row.logit).sum(), (rows["logit"] == row.logit).sum()
            place[row.name] = (below + equal / 2) / len(rows)
    found = read(tmp_path / "e/contributions.tsv").set_index("name")["held_out_rank"]
    assert sorted(found) == list(range(1, len(judged) + 1))
    assert list(found.sort_values().index) == sorted(judged["name"], key=lambda name: -place[name])


def test_planted_families_lead_with_their_signs_and_are_selected(tmp_path, fitted):
    explain.main([*EXPLAIN, "--group-by", "family", "--labels", "labels.tsv", "--pairs", "10", "--max-false", "2"])
    groups = read(tmp_path / "e/groups.tsv").set_index("group")
    assert ["model", "group", *groups.columns[1:]] == list(GROUP_COLUMNS)
    assert list(groups.index[:2]) in (["fam0", "fam1"], ["fam1", "fam0"])
    assert groups.loc["fam0", "low"] > 0 > groups.loc["fam1", "high"]
    planted = groups.loc[["fam0", "fam1"]]
    assert (planted[["sign_consistency", "selected", "adjusted_selected"]] == 1).all(axis=None)
    assert (planted["effect_ratio"] > 6).all() and (groups["effect_ratio"][2:] < 3).all()
    assert (planted["shuffled_log_loss_low"] > 0).all() and (planted["shuffled_auroc"] < -0.05).all()
    assert groups["selected"].sum() == 2 and (groups["n_features"] == 5).all()
    assert groups["status"].to_dict() == {"fam0": "selected", "fam1": "selected"} | dict.fromkeys(
        ["fam2", "fam3"], "not selected"
    )
    # the features of a family are independent here, so that its main axis need not go the way of the planted one
    for row in planted.itertuples():
        agree = np.sign(row.adjusted_refit) == np.sign(row.coefficient_sum)
        assert row.direction == ("+-"[row.adjusted_refit < 0] if agree else "mixed")
    assert planted["effect_p"].to_numpy() == pytest.approx(1 / 21, rel=1e-5)
    features = read(tmp_path / "e/coefficients.tsv")
    assert set(features["feature"][:2]) == {"f0", "f5"}
    noise = features.set_index("feature").drop(["f0", "f5"])
    assert ((noise["low"] < 0) & (noise["high"] > 0)).mean() > 0.7
    clusters = read(tmp_path / "e/clusters.tsv").set_index("cluster")
    assert set(clusters.index[clusters["selected"] == 1]) == {"f0", "f5"}
    told = json.loads((tmp_path / "e/explanation.json").read_text())
    assert told["selection_of_groups"]["selected"] == 2 and "gc" in told["adjusted_for"]
    assert sorted(told["groups_shown_to_hold"]) == ["fam0", "fam1"] and told["cluster_correlation"] == 0.7
    for figure in ("groups.svg", "volcano.svg"):
        drawn = (tmp_path / "e" / figure).read_text()
        assert "Shown to hold: fam" in drawn and RETAINED in drawn and SPLICED in drawn


@pytest.mark.parametrize("options", [["--labels", "labels.tsv", "--pairs", "3", "--max-false", "2"], []])
def test_what_is_not_shown_to_hold_is_grey_and_unnamed(tmp_path, fitted, options):
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t")
    noise = np.random.default_rng(8).normal(size=fitted.shape)
    write_features(tmp_path / "f.h5ad", list(labels["name"]), noise)
    fit.main(FIT)
    explain.main([*EXPLAIN, "--group-by", "family", *options])
    for figure in ("groups", "volcano", "features")[:: 2 if not options else 1]:
        drawn = (tmp_path / "e" / f"{figure}.svg").read_text()
        assert RETAINED not in drawn and SPLICED not in drawn
        assert figure == "volcano" or "grey: not shown to hold" in drawn
    if options:
        assert "No group is shown to hold" in (tmp_path / "e/groups.svg").read_text()
        assert "fam0" not in (tmp_path / "e/volcano.svg").read_text()


def test_what_the_covariates_explain_is_selected_alone():
    columns = ["selected", "adjusted_selected", "adjusted_fdr", "shuffled_log_loss_low"]
    rows = [(1, 1, 0.01, 0.1), (1, 1, 0.06, 0.1), (1, 1, 0.01, -0.1), (1, 0, 1, 0.1), (0, 0, 1, 0.1), (0, 1, 0.01, 0.1)]
    table = pd.DataFrame(rows, columns=columns).assign(group="g")
    expected = ["selected", *["selected alone"] * 3, "not selected", "selected"]
    assert list(status(table)) == expected
    assert list(status(table.drop(columns="shuffled_log_loss_low")))[0] == "selected alone"


def test_clusters_say_how_alike_their_features_are_and_whom_they_hide():
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(400, 1))
    alike = np.sqrt(0.85) * shared + np.sqrt(0.15) * rng.normal(size=(400, 4))
    values = np.hstack([alike * [1, 1, -1, 1], rng.normal(size=(400, 1))]).astype(np.float32)
    leader, _ = correlation_clusters(values, 0.7)
    cluster = pd.Categorical([f"f{at}" for at in leader])
    first = int(leader[0])
    expected = min(abs(np.corrcoef(values.T)[first, at]) for at in range(4))
    found = dict(zip(cluster.categories, smallest_correlations(values, leader, cluster), strict=True))
    assert found == {f"f{first}": pytest.approx(expected, abs=1e-5), "f4": 1}
    group = pd.Categorical(["A", "B", "C", "A", "D"])
    told = set(cluster_labels(cluster, group, leader))
    others = [name for name in dict.fromkeys("ABCA") if name != group[first]]
    assert told == {f"{group[first]} (with {', '.join(others)}: not distinguished)", "D"}
    assert len(set(correlation_clusters(values, 0.9)[0])) == 5


def test_intervals_of_permutation_costs_are_those_of_leaving_groups_out():
    rng = np.random.default_rng(3)
    groups, labels = rng.integers(0, 12, 90), np.arange(90) % 2
    values = rng.normal(size=(90, 2)) + groups[:, None] / 10
    low, high = _jackknife_interval(values, labels, groups)
    left_out = np.array([values[groups != one].mean(axis=0) for one in np.unique(groups)])
    error = np.sqrt(11 / 12 * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose((high - low) / 2, t.ppf(0.975, 11) * error, rtol=1e-10)
    np.testing.assert_allclose((high + low) / 2, values.mean(axis=0), rtol=1e-10)


def test_intervals_come_from_scikit_learn_refits_on_halves(tmp_path, fitted):
    explain.main([*EXPLAIN, "--labels", "labels.tsv", "--pairs", "2", "--seed", "4"])
    labels, model = read(tmp_path / "labels.tsv"), folder.read_model(tmp_path / "m")
    inside = halves(labels["group"], labels["label"], 2, seed=4)
    z = (fitted - model.mean) / model.sd
    refits = [
        LogisticRegression(C=model.notes["setting"], tol=1e-9, max_iter=1000)
        .fit(z, labels["label"], sample_weight=2 * half)
        .coef_[0]
        for half in inside
    ]
    found = read(tmp_path / "e/coefficients.tsv").set_index("feature").loc[[f"f{j}" for j in range(20)]]
    np.testing.assert_allclose(found["low"], np.quantile(refits, 0.025, axis=0), atol=1e-3)
    np.testing.assert_allclose(found["high"], np.quantile(refits, 0.975, axis=0), atol=1e-3)


def test_shuffling_costs_what_scikit_learn_finds_on_the_same_folds(tmp_path, fitted):
    explain.main([*EXPLAIN, "--group-by", "family", "--labels", "labels.tsv", "--pairs", "2"])
    labels, model = read(tmp_path / "labels.tsv"), folder.read_model(tmp_path / "m")
    z, y = (fitted - model.mean) / model.sd, labels["label"].to_numpy()
    rises, rng = [], np.random.default_rng(0)
    for fold, c in model.notes["setting_of_fold"].items():
        out = (labels["split"].astype(str) == fold).to_numpy()
        fit = LogisticRegression(C=c, tol=1e-9, max_iter=1000).fit(z[~out], y[~out])
        before = log_loss(y[out], fit.predict_proba(z[out]))
        for _ in range(40):
            shuffled = z[out].copy()
            shuffled[:, :5] = shuffled[rng.permutation(out.sum()), :5]
            rises.append(out.mean() * (log_loss(y[out], fit.predict_proba(shuffled)) - before))
    expected = 5 * np.mean(rises)
    found = read(tmp_path / "e/groups.tsv").set_index("group").loc["fam0"]
    assert found["shuffled_log_loss"] == pytest.approx(expected, rel=0.15)
    assert found["shuffled_log_loss_low"] < expected < found["shuffled_log_loss_high"]


def test_groups_are_permuted_in_the_fold_models_of_fit(fitted):
    """Which standardise by their own training rows."""
    model, settings = folder.read_model("m"), Settings(2, 0.75, 1.0, 8 << 30, 1, 1)
    study = Study(model, open_features("f.h5ad"), np.arange(20), read_labels("labels.tsv"), "labels.tsv", settings)
    matrix, found = study.matrix_of_the_model(), np.full(500, np.nan)
    for rows, weights, intercept in _judges(model, matrix, study.outcome, study.plan):
        found[rows] = matrix.rows_at(rows) @ weights + intercept
    np.testing.assert_allclose(found, read("m/predictions.tsv")["logit"], atol=2e-3)


@pytest.fixture
def trees(fitted, tmp_path):
    """The same introns, and trees fitted on them."""
    fit.main([*FIT, "--model", "lightgbm"])
    return fitted


def test_contributions_of_trees_add_up_to_the_margin(tmp_path, trees):
    explain.main([*EXPLAIN, "--group-by", "family", "--full-matrix"])
    model = folder.read_model(tmp_path / "m")
    margin = model.booster.predict(trees, raw_score=True) + model.offset
    for name in ("contributions.h5ad", "group_contributions.h5ad"):
        with h5py.File(tmp_path / "e" / name) as file:
            baseline = json.loads(file["uns/intronaut/provenance"][()])["baseline"]
            np.testing.assert_allclose(file["X"][:].sum(axis=1, dtype=float) + baseline, margin, atol=1e-5)
    gain = pd.Series(model.booster.feature_importance("gain")).groupby(np.arange(20) // 5).sum()
    groups = read(tmp_path / "e/groups.tsv").set_index("group").loc[[f"fam{k}" for k in range(4)]]
    np.testing.assert_allclose(groups["gain"], gain, rtol=1e-5)
    assert set(groups["effect"].nlargest(2).index) == {"fam0", "fam1"}


def test_planted_families_stand_out_in_trees_too(tmp_path, trees):
    explain.main([*EXPLAIN, "--group-by", "family", "--labels", "labels.tsv", "--pairs", "5", "--max-false", "2"])
    groups = read(tmp_path / "e/groups.tsv").set_index("group")
    # tables of linear models and of trees are put together by their columns
    assert ["model", "group", *groups.columns[1:]] == list(GROUP_COLUMNS) and groups["coefficient_sum"].isna().all()
    assert set(groups.index[groups["selected"] == 1]) == {"fam0", "fam1"}
    assert (groups.loc[["fam0", "fam1"], "shuffled_log_loss_low"] > 0).all()
    assert (groups.loc[["fam2", "fam3"], "shuffled_auroc"].abs() < 0.03).all()
    assert (tmp_path / "e/importance.tsv").exists() and not (tmp_path / "e/coefficients.tsv").exists()


def test_sei_features_are_gathered_by_curated_factor_and_drawn_by_tissue(tmp_path, fitted):
    names = ["K562_Leukemia | POLR2A | ID:1", "HepG2 | Pol2 | ENCODE", "HepG2 | c-Fos | ENCODE", "Lung | FOS | ID:2"]
    targets = pd.DataFrame([name.split(" | ") for name in names * 5], columns=["cell_type", "target", "source"])
    targets.index = pd.Index([f"{name} {k}" for k, name in enumerate(names * 5)], name="name")
    table = pd.read_csv(tmp_path / "labels.tsv", sep="\t")
    write_features(tmp_path / "f.h5ad", list(table["name"]), fitted, targets)
    fit.main(FIT)
    explain.main([*EXPLAIN, "--group-by", "factor"])
    assert set(read(tmp_path / "e/groups.tsv")["group"]) == {"POLR2A", "FOS"}
    tissues = read(tmp_path / "e/tissues.tsv").set_index(["factor", "tissue"])
    assert tissues.loc[("POLR2A", "liver"), "n_features"] == 5
    assert (tmp_path / "e/tissues.svg").exists() and (tmp_path / "e/tissues.png").exists()
    explain.main([*EXPLAIN, "--group-by", "class", "--grouping", "paper"])
    assert set(read(tmp_path / "e/groups.tsv")["group"]) == {"tf"}


def test_introns_that_were_not_fitted_have_no_part_in_effects(tmp_path, fitted):
    """One intron without a label, a million standard deviations away, as a motif's score in a repeat may be."""
    explain.main([*EXPLAIN, "--labels", "labels.tsv", "--group-by", "family", "--pairs", "3", "-o", "before"])
    table, values = pd.read_csv(tmp_path / "labels.tsv", sep="\t"), fitted
    far = np.vstack([values, np.full((1, values.shape[1]), 1e6, values.dtype)])
    write_features(tmp_path / "f.h5ad", [*table["name"], "far"], far)
    explain.main([*EXPLAIN, "--labels", "labels.tsv", "--group-by", "family", "--pairs", "3", "-o", "after"])
    before, after = (read(tmp_path / f"{name}/groups.tsv") for name in ("before", "after"))
    pd.testing.assert_frame_equal(before, after)


def test_few_retained_introns_and_few_groups_are_said(tool, tmp_path, fitted):
    """Twelve retained introns in twelve groups: enough for folds, too few for a sentence on factors."""
    table = pd.read_csv(tmp_path / "labels.tsv", sep="\t")
    table["label"] = (np.arange(len(table)) % (len(table) // 12) == 0).astype(int)
    write_labels(tmp_path / "labels.tsv", table)
    fit.main(FIT)
    told = tool("explain", *EXPLAIN, "--labels", "labels.tsv", "--pairs", "3").stderr
    retained = int(table["label"].sum())
    few = [f"{retained} retained introns are few", f"{retained} leakage groups hold the rarer class: below 20"]
    assert all(words in told for words in few)
    about = json.loads((tmp_path / "e/explanation.json").read_text())
    assert [words in sentence for words, sentence in zip(few, about["warnings"], strict=True)] == [True, True]


def test_labels_that_the_model_was_not_fitted_on_are_refused(tool, tmp_path, fitted):
    (tmp_path / "other.tsv").write_text((tmp_path / "labels.tsv").read_text().replace("\tG1\t", "\tG0\t"))
    told = tool("explain", *EXPLAIN, "--labels", "other.tsv", code=65).stderr
    assert "other.tsv: not the labels that m was fitted on" in told and not (tmp_path / "e").exists()


def test_features_of_another_release_are_refused(tool, tmp_path, fitted):
    var = pd.DataFrame(index=pd.Index([f"g{j}" for j in range(20)], name="name"))
    write_features(tmp_path / "f.h5ad", ["a"], fitted[:1], var)
    assert "feature names are not the 20 the model was fitted on" in tool("explain", *EXPLAIN, code=65).stderr
    assert not (tmp_path / "e").exists()


def test_an_unknown_group_column_is_refused_with_those_there_are(tool, tmp_path, fitted):
    assert "it has family" in tool("explain", *EXPLAIN, "--group-by", "cell", code=2).stderr


def test_the_model_is_not_written_over(tool, tmp_path, fitted):
    before = (tmp_path / "m/coefficients.tsv").read_bytes()
    told = tool("explain", "--model", "m", "--features", "f.h5ad", "-o", "m/", code=2).stderr
    assert "--output m/: a model folder" in told
    assert (tmp_path / "m/coefficients.tsv").read_bytes() == before


def test_what_is_not_asked_for_again_is_gone(tmp_path, fitted):
    arguments = ["--model", "m", "--features", "f.h5ad", "-o", "e", "--threads", "1"]
    explain.main([*arguments, "--full-matrix"])
    (tmp_path / "e/features.h5ad").write_text("the user's own")
    explain.main(arguments)
    assert not (tmp_path / "e/contributions.h5ad").exists()
    assert (tmp_path / "e/features.h5ad").read_text() == "the user's own"


def test_a_folder_that_is_no_model_is_refused(tool, tmp_path, fitted):
    (tmp_path / "m/weights.safetensors").write_bytes(b"short")
    assert "not the weights of a linear model" in tool("explain", *EXPLAIN, code=65).stderr


def test_the_figures_are_the_same_bytes_every_time(tmp_path, fitted):
    explain.main(EXPLAIN)
    names = ("features.svg", "features.png", "groups.svg", "groups.png")
    first = [(tmp_path / "e" / name).read_bytes() for name in names]
    explain.main([*EXPLAIN[:-1], "2"])
    assert first == [(tmp_path / "e" / name).read_bytes() for name in names]
    assert b"<svg" in first[0] and first[1].startswith(b"\x89PNG")
