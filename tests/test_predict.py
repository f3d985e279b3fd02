import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

import explain
import explain_intron
import fit
import partition
import predict
from intronaut.core.errors import BadData
from intronaut.io.h5ad import open_features
from intronaut.io.h5ad_layout import write_layout
from intronaut.models import folder
from simulated_introns import FIT, write_features

pytest_plugins = ["fitted_models"]

PREDICT = ("--model", "m", "--features", "f.h5ad", "-o", "p.tsv", "--threads", "1")


def predicted(tmp_path, *args):
    predict.main([*PREDICT, *args])
    return pd.read_csv(tmp_path / "p.tsv", sep="\t")


def test_predictions_are_w_x_plus_b(fitted, tmp_path):
    found = predicted(tmp_path)
    weights, intercept = folder.read_model(tmp_path / "m").per_unit()
    np.testing.assert_allclose(found["logit"], fitted @ weights + intercept, atol=1e-4)
    np.testing.assert_allclose(found["p_retained"], expit(found["logit"]), atol=1e-5)
    assert found["label"].isna().all()


def test_order_and_number_of_threads_change_nothing(fitted, tmp_path):
    straight = predicted(tmp_path).set_index("name")["logit"]
    order = np.random.default_rng(0).permutation(len(fitted))
    write_features(tmp_path / "f.h5ad", [f"i{k}" for k in order], fitted[order])
    shuffled = predicted(tmp_path, "--threads", "3").set_index("name")["logit"]
    assert (shuffled[straight.index] == straight).all()


def test_columns_in_another_order_are_found_by_name(fitted, tool, tmp_path):
    straight = predicted(tmp_path)["logit"]
    order = np.random.default_rng(0).permutation(fitted.shape[1])
    var = pd.DataFrame({"family": "a"}, index=pd.Index([f"f{j}" for j in order], name="name"))
    write_features(tmp_path / "f.h5ad", [f"i{k}" for k in range(len(fitted))], fitted[:, order], var)
    np.testing.assert_allclose(predicted(tmp_path)["logit"], straight, atol=1e-5)
    write_features(tmp_path / "f.h5ad", [f"i{k}" for k in range(len(fitted))], fitted, var.rename(index={"f3": "g3"}))
    assert "its 20 feature names are not the 20" in tool("predict", *PREDICT, code=65).stderr


def test_a_shift_of_prevalence_is_a_shift_of_log_odds(fitted, tmp_path):
    trained = folder.read_model(tmp_path / "m").notes["prevalence_trained"]
    shift = predicted(tmp_path, "--prevalence", "0.01")["logit"] - predicted(tmp_path)["logit"]
    np.testing.assert_allclose(shift, logit(0.01) - logit(trained), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lightgbm", "elasticnet"])
def test_every_kind_of_model_predicts_what_it_learnt(fitted, tmp_path, kind):
    fit.main([*FIT, "--model", kind, "--calibrate", "platt"])
    found = predicted(tmp_path)
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t")["label"]
    assert found["logit"][labels == 1].mean() > found["logit"][labels == 0].mean() + 1


def test_a_model_of_a_group_finds_its_columns_among_all(fitted, tmp_path):
    fit.main([*FIT, "--feature-groups", "family=fam1"])
    weights, intercept = folder.read_model(tmp_path / "m").per_unit()
    np.testing.assert_allclose(predicted(tmp_path)["logit"], fitted[:, 5:10] @ weights + intercept, atol=1e-4)


def test_features_made_otherwise_are_refused(fitted, tool, tmp_path):
    names = [f"i{k}" for k in range(len(fitted))]
    write_features(tmp_path / "f.h5ad", names, fitted, provenance={"tool": "simulated", "k": 7})
    done = tool("predict", *PREDICT, code=65)
    assert "not made as the features of the model: k was None, is 7" in done.stderr
    assert not (tmp_path / "p.tsv").exists()


@pytest.mark.slow
def test_cut_trees_are_refused(fitted, tool, tmp_path):
    fit.main([*FIT, "--model", "lightgbm"])
    whole = (tmp_path / "m/lightgbm.txt").read_text()
    (tmp_path / "m/lightgbm.txt").write_text(whole[: len(whole) // 2])
    assert "not a whole LightGBM model" in tool("predict", *PREDICT, code=65).stderr


@pytest.mark.parametrize(("rows", "columns", "lacks"), [(0, 20, "rows"), (60, 0, "columns")])
def test_features_without_rows_or_columns_are_refused_in_one_line(fitted, tmp_path, rows, columns, lacks):
    features = open_features(tmp_path / "f.h5ad")
    obs, var = features.obs[:rows], features.var[:columns]
    features.close()
    with h5py.File(tmp_path / "none.h5ad", "w") as file:
        write_layout(file, obs, var, "float32", {}, "")
        del file["uns"]  # as anndata writes a table that a user has cut
    for tool, options in {
        predict: ["--model", "m"], explain: ["--model", "m"], explain_intron: ["--model", "m", "--top", "1"],
        fit: ["--labels", "labels.tsv"], partition: ["--labels", "labels.tsv"],
    }.items():  # fmt: skip
        with pytest.raises(BadData) as refused:
            tool.main([*options, "--features", "none.h5ad", "-o", "out"])
        assert str(refused.value) == f"none.h5ad: a features file without {lacks}; make the features again"
