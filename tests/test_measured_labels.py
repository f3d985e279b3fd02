"""label_introns on tables of quantify_introns: its calls, samples summed, conditions, levels and their weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, betabinom

import compare_callers
import label_introns
import quantify_introns
from conftest import ROOT
from intronaut.core.errors import BadData, UsageError
from intronaut.labels.pooled import overdispersion

DATA = ROOT / "tests" / "data" / "quantify"
ANNOTATION, GENOME = DATA / "annotation.chrZ.gtf.gz", DATA / "genome.chrZ.fa"
OURS = DATA / "02H025.introns.tsv.gz"


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    quantify_introns.main([str(ANNOTATION), str(DATA / "02H043.bam"), "-o", str(folder / "out"), "--quiet"])
    return folder / "out" / "02H043.introns.tsv.gz"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def label(*calls, options=()):
    args = [ANNOTATION, "--fasta", GENOME, "--calls", *calls, "--folds", "2", "--window", "10", "--min-length", "1"]
    label_introns.main([*map(str, [*args, *options]), "--quiet"])
    return pd.read_csv("labels.tsv", sep="\t").set_index("intron_id")


def table(path):
    return pd.read_csv(path, sep="\t", na_values="NA").set_index("name")


def test_one_sample_has_the_calls_and_reasons_of_its_table():
    labels, measured = label(OURS), table(OURS)
    assert labels.index.tolist() == measured.index.tolist()
    pd.testing.assert_series_equal(labels["label"], measured["call"], check_names=False, check_dtype=False)
    expected = measured["reason"].where(measured["reason"] != ".")
    assert labels["label_reason"].fillna("").tolist() == expected.fillna("").tolist()
    assert {"uneven", "low_evidence", "grey_zone", "unmeasured"} <= set(labels["label_reason"].dropna())
    known = measured["n"] >= 10
    np.testing.assert_allclose(labels.loc[known, "psi"], measured.loc[known, "psi"], rtol=1e-5)
    assert labels.loc[~known, ["psi", "psi_weight"]].isna().all(axis=None)
    n = measured["n"][known]
    np.testing.assert_allclose(labels.loc[known, "psi_weight"], n / (1 + 0.02 * (n - 1)), rtol=1e-4)
    assert json.loads(Path("counts.json").read_text())["overdispersion"] == 0.02


def test_samples_are_summed_before_the_call(other):
    labels, a, b = label(OURS, other), table(OURS), table(other)
    kept, gone = a["retained"] + b["retained"], a["spliced"] + b["spliced"]
    known = kept + gone >= 10
    np.testing.assert_allclose(labels["psi"][known], (kept / (kept + gone))[known], rtol=1e-5)
    np.testing.assert_allclose(labels["psi_n"], kept + gone, rtol=1e-5)
    # more reads: nothing that both call is lost, and the summed evidence calls more
    both = (a["call"] == b["call"]) & a["call"].notna()
    assert (labels["label"][both] == a["call"][both]).all()
    assert labels["label"].notna().sum() > max(a["call"].notna().sum(), b["call"].notna().sum())
    for name in labels.index[labels["label"] == 1]:
        assert kept[name] / (kept + gone)[name] >= 0.1
        assert beta.ppf(0.025, kept[name] + 0.5, gone[name] + 0.5) >= 0.05
    for name in labels.index[labels["label"] == 0]:
        assert (a["sj_exact"] + b["sj_exact"])[name] >= 10
        assert beta.ppf(0.975, kept[name] + 0.5, gone[name] + 0.5) <= 0.1
    mean = label(OURS, other, options=["--samples", "mean"])
    assert (mean["label"].fillna(-1) != labels["label"].fillna(-1)).any()


def test_conditions_come_from_the_sheet(other):
    sheet = "sample\treads\tcondition\n02H025\tgone.bam\tblast\n02H043\tgone.bam\tnormal\n"
    Path("sheet.tsv").write_text(sheet)
    with pytest.raises(UsageError, match="blast, normal"):
        label(OURS, other, options=["--sample-sheet", "sheet.tsv"])
    chosen = label(OURS, other, options=["--sample-sheet", "sheet.tsv", "--condition", "normal"])
    pd.testing.assert_frame_equal(chosen, label(other))
    with pytest.raises(UsageError, match="--condition liver"):
        label(OURS, other, options=["--sample-sheet", "sheet.tsv", "--condition", "liver"])
    Path("sheet.tsv").write_text(sheet.replace("02H043", "02H044"))
    with pytest.raises(BadData, match="no sample 02H043"):
        label(OURS, other, options=["--sample-sheet", "sheet.tsv", "--condition", "blast"])


def test_limits_can_be_set():
    strict = label(OURS, options=["--calls-limits", "intronaut.n=200,intronaut.spliced_exact=100"])
    measured = table(OURS)
    assert (measured.loc[strict["label"].dropna().index, "n"] >= 200).all()
    assert strict["label"].notna().sum() < measured["call"].notna().sum()


def test_callers_are_compared():
    measured = table(OURS)
    called = measured[measured["call"] == 1].reset_index()
    called[["chrom", "start", "end", "name", "score", "strand"]].iloc[2:].to_csv(
        "other.bed", sep="\t", header=False, index=False
    )
    label(OURS, "other.bed", options=["--calls-table", "calls.tsv"])
    compare_callers.main(["calls.tsv", "--quiet"])
    row = pd.read_csv("agreement.tsv", sep="\t").iloc[0]
    assert {row["caller_a"], row["caller_b"]} == {"bed", "intronaut"}
    assert row["retained_both"] == len(called) - 2 and row["jaccard"] == pytest.approx((len(called) - 2) / len(called))


@pytest.mark.parametrize("rho", [0.01, 0.1])
def test_overdispersion_of_replicates_is_recovered(rho):
    rng = np.random.default_rng(3)
    psi, n = rng.uniform(0.1, 0.9, 2000), rng.integers(20, 200, (2000, 3))
    retained = betabinom.rvs(n, (psi * (1 / rho - 1))[:, None], ((1 - psi) * (1 / rho - 1))[:, None], random_state=rng)
    rows = pd.DataFrame({"intron": np.repeat(np.arange(2000), 3), "n": n.ravel(), "n_retained": retained.ravel()})
    assert overdispersion(rows) == pytest.approx(rho, rel=0.15)
    assert overdispersion(rows.iloc[::3]) == 0.02


def test_a_table_cut_short_is_refused():
    shutil.copy(OURS, "cut.introns.tsv.gz")
    data = Path("cut.introns.tsv.gz").read_bytes()
    Path("cut.introns.tsv.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadData, match="cut.introns.tsv.gz"):
        label("cut.introns.tsv.gz")
