"""differential_retention on simulated replicates: false discoveries, power, levels; other programs' tables; faults."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests

import differential_retention
import label_introns
from conftest import ROOT
from intronaut.core.errors import BadData, UsageError
from intronaut.stats.differences import compare_groups, overdispersion, shrunken
from intronaut.stats.model_comparison import benjamini_hochberg

CALLERS = ROOT / "tests" / "data" / "callers"
DATA = ROOT / "tests" / "data" / "quantify"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def simulated(seed, n_introns=1000, replicates=3, changed=0, effect=0.25):
    """Fragments of two groups whose introns vary between replicates, each by a ρ of its own about 0.04.

    Returns retained, n (introns × samples), groups, and the introns whose level differs.
    """
    rng = np.random.default_rng(seed)
    groups = np.repeat([False, True], replicates)
    psi = np.where(rng.random(n_introns) < 0.4, rng.beta(0.9, 1.6, n_introns), rng.beta(0.5, 20, n_introns))
    mean = rng.lognormal(3.3, 1, (n_introns, 1))
    n = rng.negative_binomial(1.5, 1.5 / (1.5 + mean), (n_introns, 2 * replicates))
    rho = np.clip(0.03 * np.exp(0.7 * rng.normal(size=n_introns)), 0.001, 0.5)[:, None]
    level = np.repeat(psi[:, None], 2 * replicates, axis=1)
    level[:changed, replicates:] += np.where(psi < 0.5, effect, -effect)[:changed, None]
    level = np.clip(level, 1e-4, 1 - 1e-4)
    retained = rng.binomial(n, rng.beta(level * (1 / rho - 1), (1 - level) * (1 / rho - 1)))
    return retained.astype(float), n.astype(float), groups, np.arange(n_introns) < changed


def discoveries(retained, n, groups):
    p = compare_groups(retained, n, groups)["p"]
    found = np.zeros(len(p), bool)
    found[~np.isnan(p)] = benjamini_hochberg(p[~np.isnan(p)]) <= 0.05
    return found


@pytest.mark.parametrize("replicates", [2, 3, 5])
def test_without_differences_few_studies_have_a_discovery(replicates):
    """At an FDR of 5 % at most 5 in 100 studies; 10 or more of 100 would happen to such a test once in 35 times."""
    studies = [discoveries(*simulated(seed, replicates=replicates)[:3]).any() for seed in range(100)]
    assert sum(studies) < 10


def quasi_binomial(retained, n, groups):
    """p of each intron by statsmodels: a binomial GLM whose dispersion comes from its own replicates."""
    p = np.full(len(n), np.nan)
    design = sm.add_constant(groups.astype(float))
    for row in range(len(n)):
        seen = n[row] > 0
        total = min(retained[row].sum(), (n - retained)[row].sum())
        if seen[groups].sum() > 1 and seen[~groups].sum() > 1 and total >= 5:
            counts = np.column_stack([retained[row], n[row] - retained[row]])[seen]
            with np.errstate(all="ignore"):
                fit = sm.GLM(counts, design[seen], family=sm.families.Binomial()).fit(scale="X2", use_t=True)
            p[row] = fit.pvalues[1]
    return p


def test_power_beside_a_quasi_binomial_model_of_each_intron():
    retained, n, groups, changed = simulated(3, n_introns=600, replicates=4, changed=100)
    found = discoveries(retained, n, groups)
    with warnings.catch_warnings():
        # introns of which all fragments of a group are of one kind have no finite fit
        warnings.simplefilter("ignore")
        p = quasi_binomial(retained, n, groups)
    peer = np.zeros(len(p), bool)
    peer[~np.isnan(p)] = multipletests(p[~np.isnan(p)], method="fdr_bh")[1] <= 0.05
    assert (found & ~changed).sum() / max(found.sum(), 1) <= 0.1
    assert (found & changed).sum() > max((peer & changed).sum(), 40)


def test_levels_intervals_and_overdispersion():
    retained, n, groups, changed = simulated(5, n_introns=4000, replicates=4, changed=400)
    result = compare_groups(retained, n, groups)
    assert 0.02 < overdispersion(retained, n, groups) < 0.06
    known = ~np.isnan(result["p"]) & ~changed
    assert 0.93 <= ((result["low"] <= 0) & (result["high"] >= 0))[known].mean() <= 0.98
    # with equal and large numbers of fragments the level is their share
    n = np.full((50, 6), 400.0)
    retained = np.random.default_rng(1).binomial(400, 0.3, n.shape).astype(float)
    result = compare_groups(retained, n, np.repeat([False, True], 3))
    np.testing.assert_allclose(result["reference"], retained[:, :3].mean(axis=1) / 400)
    np.testing.assert_allclose(result["delta"], (retained[:, 3:] - retained[:, :3]).mean(axis=1) / 400)


def test_shrunken_differences_are_nearer_to_the_truth():
    rng = np.random.default_rng(2)
    truth = np.where(rng.random(3000) < 0.1, rng.normal(0, 0.3, 3000), 0)
    se = rng.uniform(0.02, 0.2, 3000)
    delta = truth + se * rng.normal(size=3000)
    estimate = shrunken(delta, se)
    assert np.mean((estimate - truth) ** 2) < 0.4 * np.mean((delta - truth) ** 2)
    assert (np.abs(estimate) <= np.abs(delta)).all() and np.isnan(shrunken(np.array([np.nan]), np.array([1.0]))).all()


def write_samples(retained, n, groups, names=None):
    """Tables as of quantify_introns, with the columns that are read, and the sheet."""
    names = names or [f"s{number}" for number in range(n.shape[1])]
    start = 1000 * np.arange(len(n)) + 100
    for column, name in enumerate(names):
        table = pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 500})
        table["name"] = "chr1:" + table["start"].astype(str) + "-" + table["end"].astype(str) + ":+"
        table = table.assign(strand="+", sample=name, gene_id="g", psi=0.5, ei_left=1, sj_exact=1, n=n[:, column])
        table = table.assign(retained=retained[:, column], spliced=n[:, column] - retained[:, column])
        table.to_csv(f"{name}.introns.tsv.gz", sep="\t", index=False, na_rep="NA")
    sheet = "".join(
        f"{name}\tx.bam\t{'treated' if group else 'control'}\n" for name, group in zip(names, groups, strict=True)
    )
    Path("sheet.tsv").write_text("sample\treads\tcondition\n" + sheet)
    return [f"{name}.introns.tsv.gz" for name in names]


def differ(*args):
    differential_retention.main([*map(str, args), "--quiet"])
    return pd.read_csv("differences.tsv", sep="\t", keep_default_na=False, na_values="NA")


def test_planted_changes_are_found_and_named():
    retained, n, groups, changed = simulated(7, n_introns=500, replicates=4, changed=50, effect=0.4)
    table = differ(*write_samples(retained, n, groups), "--sample-sheet", "sheet.tsv")
    assert len(table) == 500 and (table["comparison"] == "treated_vs_control").all()
    expected = compare_groups(retained, n, groups)
    np.testing.assert_allclose(table["delta_psi"], expected["delta"], rtol=1e-4, atol=1e-6)
    tested = table["p"].notna()
    np.testing.assert_allclose(table["fdr"][tested], multipletests(table["p"][tested], method="fdr_bh")[1], rtol=1e-4)
    found = table["change"].isin(["more", "less"])
    assert (found & changed).sum() >= 25 and (found & ~changed).sum() <= 3
    assert (table.loc[table["change"] == "more", "delta_psi"] >= 0.1).all()
    assert (table.loc[table["change"] == "less", "delta_psi"] <= -0.1).all()
    unchanged = table[table["change"] == "unchanged"]
    assert len(unchanged) > 50 and (unchanged["delta_low"] > -0.1).all() and (unchanged["delta_high"] < 0.1).all()
    # every intron has a change or a reason
    assert (table["change"].isna() == table["reason"].notna()).all()
    assert {"low_evidence", "grey_zone"} == set(table["reason"].dropna())
    counts = json.loads(Path("differences.json").read_text())["comparisons"]["treated_vs_control intronaut"]
    assert counts["more"] == (table["change"] == "more").sum() and 0.01 < counts["overdispersion"] < 0.1


def test_turning_the_conditions_round_turns_the_signs():
    retained, n, groups, _ = simulated(9, n_introns=200, changed=40, effect=0.4)
    tables = write_samples(retained, n, groups)
    forward = differ(*tables, "--sample-sheet", "sheet.tsv")
    back = differ(*tables, "--sample-sheet", "sheet.tsv", "--reference", "treated")
    np.testing.assert_allclose(forward["delta_psi"], -back["delta_psi"])
    np.testing.assert_allclose(forward["p"], back["p"], rtol=1e-5)
    assert (forward["change"] == "more").equals(back["change"] == "less")


def test_each_condition_is_compared_with_the_reference():
    retained, n, groups, _ = simulated(9, n_introns=100, replicates=4)
    tables = write_samples(retained, n, groups)
    conditions = ["a", "a", "b", "b", "c", "c", "c", ""]
    lines = [f"s{number}\tx\t{condition}\n" for number, condition in enumerate(conditions)]
    Path("sheet.tsv").write_text("sample\treads\tcondition\n" + "".join(lines))
    table = differ(*tables, "--sample-sheet", "sheet.tsv", "--reference", "b")
    assert table["comparison"].value_counts().to_dict() == {"a_vs_b": 100, "c_vs_b": 100}
    options = ["--sample-sheet", "sheet.tsv", "--reference", "b", "--condition"]
    alone = differ(*tables, *options, "c")
    rows = table[table["comparison"] == "c_vs_b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, rows)
    for wrong in ("b", "d"):
        with pytest.raises(
            UsageError, match=f"--condition {wrong}: give one of the tables' that is not the reference b"
        ):
            differ(*tables, *options, wrong)


def test_differences_of_other_programs():
    table = differ(CALLERS / "suppa.dpsi", CALLERS / "rmats.RI.MATS.JC.txt", CALLERS / "majiq_v2.deltapsi.tsv")
    first = {caller: rows.iloc[0] for caller, rows in table.groupby("caller")}
    assert set(first) == {"suppa", "rmats", "majiq"}
    suppa, rmats, majiq = (first[name] for name in ("suppa", "rmats", "majiq"))
    assert (suppa["start"], suppa["end"], suppa["delta_psi"], suppa["p"]) == (1100, 1300, 0.3, 0.001)
    assert suppa["comparison"] == "b_vs_a" and suppa["change"] == "more"
    assert (rmats["start"], rmats["end"], rmats["comparison"]) == (1100, 1300, "1_vs_2")
    assert rmats["level"] == pytest.approx(0.325) and rmats["reference"] == pytest.approx(0.31)
    assert rmats["delta_psi"] == -0.01 and pd.isna(rmats["change"])
    assert (majiq["start"], majiq["end"], majiq["fdr"]) == (1100, 1300, pytest.approx(0.01))
    assert majiq["change"] == "more"


def test_labels_from_differences():
    retained, n, groups, changed = simulated(11, n_introns=300, replicates=5, changed=80, effect=0.4)
    table = differ(*write_samples(retained, n, groups), "--sample-sheet", "sheet.tsv")
    exons = [f'chr1\tx\texon\t{1000 * i + 1}\t{1000 * i + 100}\t.\t+\t.\tgene_id "g{i}"; transcript_id "t{i}";\n'
             f'chr1\tx\texon\t{1000 * i + 601}\t{1000 * i + 700}\t.\t+\t.\tgene_id "g{i}"; transcript_id "t{i}";\n'
             for i in range(300)]  # fmt: skip
    Path("genes.gtf").write_text("".join(exons))
    label_introns.main(["genes.gtf", "--calls", "differences.tsv", "--window", "10", "--quiet"])
    labels = pd.read_csv("labels.tsv", sep="\t").set_index("name")
    table = table.set_index("name")
    assert (labels["label"] == 1).sum() == (table["change"] == "more").sum() > 0
    assert (labels["label"] == 0).sum() == (table["change"] == "unchanged").sum() > 0
    assert (labels["label_reason"] == "less_retained").sum() == (table["change"] == "less").sum() > 0


def test_what_cannot_be_compared_is_refused():
    retained, n, groups, _ = simulated(9, n_introns=20)
    tables = write_samples(retained, n, groups)
    with pytest.raises(UsageError, match="--sample-sheet"):
        differ(*tables)
    with pytest.raises(UsageError, match="control, treated"):
        differ(*tables, "--sample-sheet", "sheet.tsv", "--reference", "liver")
    with pytest.raises(UsageError, match="two are needed"):
        differ(*tables[:3], "--sample-sheet", "sheet.tsv")
    with pytest.raises(BadData, match="sample s0 is in two"):
        differ(*tables, tables[0], "--sample-sheet", "sheet.tsv")
    with pytest.raises(BadData, match="no table of differences"):
        differ(CALLERS / "suppa.psi")
    with pytest.raises(UsageError, match="--reference"):
        differ(CALLERS / "suppa.dpsi", "--reference", "a")
