"""Covariates of the user in match_introns, enrich and explain: what they explain is no longer found."""

import json

import numpy as np
import pandas as pd
import pytest

import enrich
import explain
import fit
import match_introns
from intronaut.core.errors import BadData, UsageError
from intronaut.io.covariates import with_missing_marks
from simulated_introns import FIT, draw_labels, introns, write_features, write_labels

N = 600


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Introns of which expression alone decides retention; a mark lies on those of expressed genes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    expression = rng.normal(size=N)
    table = introns(N, per_group=2).assign(label=draw_labels(2 * expression, 2))
    write_labels(tmp_path / "labels.tsv", table)
    (tmp_path / "tpm.tsv").write_text(
        "name\ttpm\ttext\n" + "".join(f"i{k}\t{value:.4f}\tx{k}\n" for k, value in enumerate(expression))
    )
    marked = expression + 0.5 * rng.normal(size=N) > 0
    peaks = table[marked][["chrom", "start", "end"]]
    peaks.to_csv(tmp_path / "mark.bed", sep="\t", header=False, index=False)
    return table, expression


def read(path):
    return pd.read_csv(path, sep="\t")


def test_introns_are_matched_in_the_users_covariates(study, tmp_path, capsys):
    match_introns.main(["labels.tsv", "--match", "length", "--covariates", "tpm.tsv"])
    balance = read(tmp_path / "balance.tsv").set_index("covariate")
    assert balance.loc["tpm", "matched"] == "yes" and balance.loc["tpm", "smd_before"] > 0.8
    assert abs(balance.loc["tpm", "smd_after"]) < 0.1
    assert json.loads((tmp_path / "matched.json").read_text())["match"] == ["length", "tpm"]
    # what is ignored is said
    assert "covariate left out: tpm.tsv: text (text of 600 kinds)" in capsys.readouterr().err


def test_a_mark_that_follows_expression_is_not_enriched_beside_it(study, tmp_path):
    args = ["labels.tsv", "--peaks", "mark.bed", "--adjust", "length", "-o", "e", "--quiet"]
    enrich.main(args)
    alone = read(tmp_path / "e/enrich.tsv").loc[0]
    enrich.main([*args, "--covariates", "tpm.tsv"])
    beside = read(tmp_path / "e/enrich.tsv").loc[0]
    assert alone["p"] < 1e-6 < 0.001 < beside["p"] and beside["odds_ratio"] < alone["odds_ratio"]
    assert json.loads((tmp_path / "e/enrich.json").read_text())["adjusted_for"] == ["length", "tpm"]


@pytest.mark.slow
def test_what_follows_expression_is_selected_alone(study, tmp_path):
    table, expression = study
    rng = np.random.default_rng(1)
    values = np.column_stack([expression + 0.2 * rng.normal(size=N), rng.normal(size=(N, 9))])
    write_features(tmp_path / "f.h5ad", list(table["name"]), values)
    fit.main([*FIT, "--c-values", "1", "--covariates", "tpm.tsv", "tpm", "--quiet"])
    args = ["--model", "m", "--features", "f.h5ad", "--labels", "labels.tsv", "-o", "x", "--pairs", "8", "--quiet"]
    with pytest.raises(UsageError, match="the model was compared with tpm, these are none"):
        explain.main([*args, "--threads", "1"])
    explain.main([*args, "--covariates", "tpm.tsv", "tpm", "--max-false", "2", "--threads", "1"])
    groups = read(tmp_path / "x/groups.tsv").set_index("group")
    assert groups.loc["f0", "status"] == "selected alone"
    assert "tpm" in json.loads((tmp_path / "x/explanation.json").read_text())["adjusted_for"]


def test_a_covariate_with_missing_values_is_matched_as_the_numbers_that_it_holds(study, tmp_path, capsys):
    table, _ = study
    pd.DataFrame({"name": table["name"], "essential": [None, 0, 1, 1] * (N // 4)}).to_csv(
        "p.tsv", sep="\t", index=False
    )
    match_introns.main(["labels.tsv", "--match", "length", "--covariates", "p.tsv", "--allow-missing"])
    balance = read(tmp_path / "balance.tsv").set_index("covariate")
    assert set(balance.index[balance["matched"] == "yes"]) == {"length", "essential"}
    reasons = read(tmp_path / "unmatched.tsv")["reason"]
    assert (reasons == "no_covariate").sum() == N // 4
    rows = "".join(f"{name}\t0,{k % 4}\n" for k, name in enumerate(table["name"]))
    (tmp_path / "comma.tsv").write_text("name\ttpm\n" + rows)
    with pytest.raises(BadData, match=r"comma.tsv: line 2: tpm is '0,0'; write decimals with a point"):
        match_introns.main(["labels.tsv", "--covariates", "comma.tsv"])


def test_an_unknown_name_is_refused(study):
    with pytest.raises(UsageError, match="--covariates depth: no such column"):
        match_introns.main(["labels.tsv", "--covariates", "tpm.tsv", "depth"])


def test_missing_values_become_the_median_with_a_mark():
    values = pd.DataFrame({"a": [1.0, np.nan, 3.0, 8.0], "b": [1.0, 2.0, 3.0, 4.0]})
    wanted = {"a": [1, 3, 3, 8], "a_missing": [0, 1, 0, 0], "b": [1, 2, 3, 4]}
    pd.testing.assert_frame_equal(with_missing_marks(values), pd.DataFrame(wanted, dtype=float))
