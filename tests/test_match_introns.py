"""match_introns: balance that is measured here anew, and every intron in one output."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import label_introns
import match_introns
from conftest import DEMO
from intronaut.core.errors import BadData, UsageError
from intronaut.io.tables import COVARIATE_BLOCKS, COVARIATES, read_labels


def label(folder, annotation, fasta):
    files = ["-o", folder / "labels.tsv", "--ledger", folder / "ledger.tsv", "--counts", folder / "counts.json"]
    label_introns.main([str(arg) for arg in (annotation, "--fasta", fasta, *files, "--quiet")])
    return folder / "labels.tsv"


@pytest.fixture(scope="module")
def demo_labels(tmp_path_factory):
    return label(tmp_path_factory.mktemp("labels"), DEMO / "chr19_6Mb.gff3.gz", DEMO / "chr19_6Mb.fa.gz")


@pytest.fixture(scope="module")
def chr19p_labels(chr19p, tmp_path_factory):
    files = chr19p / "annotation.chr19p.ensembl91.gff3.gz", chr19p / "genome.chr19p.fa.gz"
    return label(tmp_path_factory.mktemp("chr19p"), *files)


@pytest.fixture
def match(tmp_path, monkeypatch):
    def run(labels, *args):
        monkeypatch.chdir(tmp_path)
        match_introns.main([str(labels), *map(str, args), "--quiet"])
        return read_labels("matched.tsv").astype({"match": int}), pd.read_csv("balance.tsv", sep="\t", index_col=0)

    return run


def smd(table, values):
    retained, spliced = values[table["label"] == 1], values[table["label"] == 0]
    return (retained.mean() - spliced.mean()) / np.sqrt((retained.var() + spliced.var()) / 2)


@pytest.mark.parametrize(("method", "found"), [("cem", 209), ("propensity", 232)])
def test_matched_covariates_are_balanced(demo_labels, match, method, found):
    before = read_labels(demo_labels)
    # of the demo's 241 retained introns 9 are shorter than 30 bases
    assert (before["label"] == 1).sum() == 232
    table, balance = match(demo_labels, "--match", "length,gc", "--method", method)
    for name in ("length", "gc"):
        assert abs(smd(before, before[name])) > 0.5
        values = np.log10(1 + table[name]) if name == "length" else table[name]
        assert abs(smd(table, values)) <= 0.1
        assert abs(balance.loc[name, "smd_after"]) <= 0.1
    retained = table[table["label"] == 1]
    assert len(retained) == found and sorted(table["match"]) == sorted([*range(1, len(retained) + 1)] * 2)
    pairs = table.groupby("match")["label"].agg(sorted)
    assert (pairs.map(tuple) == (0.0, 1.0)).all()


def test_balance_before_is_the_smd_of_the_labels(demo_labels, match):
    table = read_labels(demo_labels)
    _, balance = match(demo_labels)
    assert balance.loc["gc", "smd_before"] == pytest.approx(smd(table, table["gc"]), rel=1e-4)
    assert balance.loc["rank", "smd_before"] == pytest.approx(smd(table, table["rank"]), rel=1e-4)
    assert list(balance.index) == list(COVARIATES)


def test_pairs_lie_within_the_caliper(demo_labels, match):
    table, _ = match(demo_labels, "--caliper", 0.1)
    retained = read_labels(demo_labels).query("label == 1")
    log = np.log10(1 + retained["length"])
    pairs = table.sort_values(["match", "label"])
    for values, spread in ((np.log10(1 + pairs["length"]), log.std(ddof=0)), (pairs["gc"], retained["gc"].std(ddof=0))):
        assert np.abs(np.diff(values.to_numpy().reshape(-1, 2))).max() <= 0.1 * spread + 1e-6


def test_ratio_gives_each_retained_intron_as_many(demo_labels, match):
    table, _ = match(demo_labels, "--ratio", 2)
    assert (table.groupby("match")["label"].agg(list).map(sorted).map(tuple) == (0.0, 0.0, 1.0)).all()


def test_every_intron_is_matched_or_in_the_ledger(demo_labels, match, tmp_path):
    before = read_labels(demo_labels)
    table, _ = match(demo_labels)
    ledger = pd.read_csv(tmp_path / "unmatched.tsv", sep="\t")
    assert sorted([*table["name"], *ledger["name"]]) == sorted(before["name"])
    counts = ledger["reason"].value_counts()
    assert counts["no_label"] == before["label"].isna().sum()
    assert counts["no_partner"] == (before["label"] == 1).sum() - (table["label"] == 1).sum()
    unchanged = before.set_index("name").loc[table["name"]].reset_index()
    pd.testing.assert_frame_equal(table.drop(columns="match")[unchanged.columns], unchanged)


def test_same_seed_same_bytes(demo_labels, match, tmp_path):
    match(demo_labels)
    first = (tmp_path / "matched.tsv").read_bytes()
    match(demo_labels)
    assert (tmp_path / "matched.tsv").read_bytes() == first


def test_covariates_cannot_tell_matched_introns_apart(demo_labels, match, tmp_path):
    """Fitted on four folds and scored on the fifth; the curvature terms leave no simple dependence unseen."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    def auroc(table):
        values = np.column_stack([np.log10(1 + table["length"]), table["gc"]])
        model = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=500))
        folds = {"groups": table["split"], "cv": LeaveOneGroupOut()}
        predicted = cross_val_predict(model, values, table["label"], method="predict_proba", **folds)[:, 1]
        rng = np.random.default_rng(0)
        rows = (rng.integers(0, len(table), len(table)) for _ in range(300))
        return np.quantile([roc_auc_score(table["label"].iloc[row], predicted[row]) for row in rows], [0.025, 0.975])

    after, before = auroc(match(demo_labels)[0]), auroc(read_labels(demo_labels).dropna(subset="label"))
    assert after[0] < 0.5 < after[1] and before[0] > 0.7
    told = json.loads((tmp_path / "matched.json").read_text())["covariates_auroc"]
    for side, expected in (("before", before), ("after", after)):
        # the program draws genes, this test rows
        assert [told[side]["low"], told[side]["high"]] == pytest.approx(expected, abs=0.04)


PLACE_AND_BASES = (*COVARIATE_BLOCKS["architecture"], *COVARIATE_BLOCKS["composition"])


def matched_on_chr19p(labels, match, found, *options):
    """The interval of the AUROC of the covariates after matching, all of which must be balanced."""
    table, balance = match(labels, *options)
    wanted = balance[balance["matched"] == "yes"]
    assert (wanted["smd_after"].abs() <= 0.1).all() and (table["label"] == 1).sum() == found
    auroc = json.loads(Path("matched.json").read_text())["covariates_auroc"]
    assert auroc["before"]["low"] > 0.78
    return auroc["after"]["low"], auroc["after"]["high"]


@pytest.mark.parametrize(
    ("found", "options"), [(668, []), (677, ["--method", "propensity", "--match", ",".join(PLACE_AND_BASES)])]
)
def test_matching_on_chr19p_leaves_the_covariates_nothing_to_tell(chr19p_labels, match, found, options):
    low, high = matched_on_chr19p(chr19p_labels, match, found, *options)
    assert low < 0.5 < high


def test_balanced_means_of_many_covariates_may_still_tell_and_are_said_to(chr19p_labels, match, capsys):
    """One score for fifteen covariates evens out their means, not how they go together."""
    options = ["--method", "propensity", "--match", ",".join(COVARIATES)]
    low, _ = matched_on_chr19p(chr19p_labels, match, 677, *options)
    match_introns.main([str(chr19p_labels), *options])
    assert low > 0.5 and "still tell retained from spliced" in capsys.readouterr().err


def test_pairs_do_not_cross_the_split(demo_labels, match):
    table, _ = match(demo_labels)
    assert (table.groupby("match")["split"].nunique() == 1).all()


def test_bad_requests_are_refused(demo_labels, match, tmp_path):
    with pytest.raises(UsageError, match="covariates of .* are length, gc"):
        match(demo_labels, "--match", "length,expression")
    with pytest.raises(BadData, match="nothing to match"):
        table = pd.read_csv(demo_labels, sep="\t", keep_default_na=False, dtype=str)
        table[table["label"] == "0"].to_csv(tmp_path / "one.tsv", sep="\t", index=False)
        match(tmp_path / "one.tsv")
    with pytest.raises(BadData, match="no column split"):
        table.drop(columns="split").to_csv(tmp_path / "whole.tsv", sep="\t", index=False)
        match(tmp_path / "whole.tsv")
