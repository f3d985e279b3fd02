import h5py
import numpy as np
import pandas as pd

import explain
from intronaut import models
from simulated import write_features

pytest_plugins = ["fitted"]

EXPLAIN = ("--model", "m", "--features", "f.h5ad", "-o", "e", "--threads", "1")


def read(path):
    return pd.read_csv(path, sep="\t")


def test_contributions_add_up_to_the_logit(tmp_path, fitted):
    explain.main([*EXPLAIN, "--group-by", "family", "--full-matrix", "--per-intron", "20"])
    model = models.read_model(tmp_path / "m")
    expected = fitted.astype(float) @ model.per_unit()[0] + model.per_unit()[1]
    for name in ("contributions.h5ad", "group_contributions.h5ad"):
        with h5py.File(tmp_path / "e" / name) as file:
            np.testing.assert_allclose(file["X"][:].sum(axis=1, dtype=float) + model.intercept, expected, atol=1e-5)
    listed = read(tmp_path / "e/contributions.tsv")
    sums = listed.groupby("name", sort=False)["contribution"].sum().to_numpy() + model.intercept
    np.testing.assert_allclose(sums, expected, atol=1e-4)
    np.testing.assert_allclose(listed["logit"][::20], expected, atol=1e-4)


def test_planted_families_lead_with_their_signs_and_are_stable(tmp_path, fitted):
    explain.main([*EXPLAIN, "--group-by", "family", "--labels", "labels.tsv", "--resamples", "40", "--top", "2"])
    groups = read(tmp_path / "e/groups.tsv").set_index("group")
    assert list(groups.index[:2]) in (["fam0", "fam1"], ["fam1", "fam0"])
    assert groups.loc["fam0", "low"] > 0 > groups.loc["fam1", "high"]
    assert (groups.loc[["fam0", "fam1"], ["sign_consistency", "selected"]] == 1).all(axis=None)
    assert (groups["n_features"] == 5).all()
    features = read(tmp_path / "e/coefficients.tsv")
    assert set(features["feature"][:2]) == {"f0", "f5"}
    noise = features.set_index("feature").drop(["f0", "f5"])
    assert ((noise["low"] < 0) & (noise["high"] > 0)).mean() > 0.7


def test_stability_refits_are_scikit_learn_on_the_drawn_rows(tmp_path, fitted):
    from sklearn.linear_model import LogisticRegression

    from intronaut.evaluation import resampler

    explain.main([*EXPLAIN, "--labels", "labels.tsv", "--resamples", "3", "--seed", "4"])
    labels, model = read(tmp_path / "labels.tsv"), models.read_model(tmp_path / "m")
    draws = resampler(labels["group"], 3, seed=4)
    z = (fitted - model.mean) / model.sd
    refits = [
        LogisticRegression(C=model.notes["setting"], tol=1e-9, max_iter=1000)
        .fit(z, labels["label"], sample_weight=draws.counts[k, draws.group])
        .coef_[0]
        for k in range(3)
    ]
    found = read(tmp_path / "e/coefficients.tsv").set_index("feature").loc[[f"f{j}" for j in range(20)]]
    np.testing.assert_allclose(found["low"], np.quantile(refits, 0.025, axis=0), atol=1e-3)


def test_features_of_another_release_are_refused(tool, tmp_path, fitted):
    var = pd.DataFrame(index=pd.Index([f"g{j}" for j in range(20)], name="name"))
    write_features(tmp_path / "f.h5ad", ["a"], fitted[:1], var)
    assert "feature names are not the 20 the model was fitted on" in tool("explain", *EXPLAIN, code=65).stderr
    assert not (tmp_path / "e").exists()


def test_an_unknown_group_column_is_refused_with_those_there_are(tool, tmp_path, fitted):
    assert "it has family" in tool("explain", *EXPLAIN, "--group-by", "cell", code=2).stderr


def test_a_folder_that_is_no_model_is_refused(tool, tmp_path, fitted):
    (tmp_path / "m/weights.safetensors").write_bytes(b"short")
    assert "not the weights of a linear model" in tool("explain", *EXPLAIN, code=65).stderr


def test_the_figures_are_the_same_bytes_every_time(tmp_path, fitted):
    explain.main(EXPLAIN)
    first = (tmp_path / "e/features.svg").read_bytes()
    explain.main(EXPLAIN)
    assert first == (tmp_path / "e/features.svg").read_bytes() and b"<svg" in first
