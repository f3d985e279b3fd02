"""The rules of the paper's claims, on hand-made evidence."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from intronaut.paper import claims
from intronaut.paper.claims_of_factors import NAMED_GROUPS, rank_p
from intronaut.paper.verdicts import Estimate, one_sided_limits
from intronaut.stats.model_comparison import Aurocs

SEI = {"kind": "logistic", "features": {"tool": "embed_sei"}, "labels_sha256": "x", "rows_trained": 9}
BASSET, FSEI = {"kind": "basset"}, {"kind": "fsei", "labels_sha256": "x", "rows_trained": 7, "rows_validating": 2}
DNABERT2 = {"kind": "logistic", "features": {"tool": "embed_dnabert2"}}


def decided(notes, values, error=0.004, rarer_groups=500, **more):
    """The claims of models with these notes and AUROCs, whose differences have the standard ``error``."""
    aurocs = Aurocs(np.array(values), error**2 / 2 * np.eye(len(values)))
    names = [f"m{at}" for at in range(len(values))]
    evidence = claims.Evidence(names, notes, aurocs, 0.01, 5000, rarer_groups, **more)
    return claims.decide(evidence).set_index("claim")


def verdict(claim, *args, **how):
    return decided(*args, **how).loc[claim, "verdict"]


@pytest.mark.parametrize(
    ("auroc", "gain", "expected"),
    [(0.807, 0.1, "supported"), (0.78, 0.1, "undecided"), (0.75, 0.1, "contradicted"), (0.807, 0.0, "contradicted"),
     (0.807, 0.006, "undecided")],
)  # fmt: skip
def test_c1_needs_the_auroc_and_a_gain_over_the_covariates(auroc, gain, expected):
    values = [auroc, 0.7, 0.7 + gain]
    baselines = {0: {"covariates": 1, "combined": 2}}
    assert verdict("C1", [SEI, {}, {}], values, baselines=baselines) == expected


def test_c1_without_covariates_is_at_most_undecided():
    assert verdict("C1", [SEI], [0.81]) == "undecided"
    assert verdict("C1", [SEI], [0.70]) == "contradicted"


@pytest.mark.parametrize(
    ("claim", "other", "difference", "expected"),
    [
        ("C2", BASSET, 0.02, "supported"), ("C2", BASSET, 0.005, "undecided"), ("C2", BASSET, -0.01, "contradicted"),
        ("C3", DNABERT2, 0.04, "supported"), ("C3", DNABERT2, 0.005, "contradicted"),
        ("C4", FSEI, -0.02, "supported"), ("C4", FSEI, 0.0, "undecided"), ("C4", FSEI, 0.01, "contradicted"),
    ],
)  # fmt: skip
def test_differences_support_or_contradict_by_half_of_what_was_published(claim, other, difference, expected):
    assert verdict(claim, [SEI, other], [0.8, 0.8 - difference]) == expected


def test_a_large_p_alone_contradicts_nothing_and_says_what_could_be_shown():
    row = decided([SEI, BASSET], [0.79, 0.79], error=0.05).loc["C2"]
    assert row["verdict"] == "undecided"
    wanted = NormalIndPower(ddof=0).solve_power(nobs1=1, alpha=0.05, power=0.8, ratio=0, alternative="two-sided")
    assert row["smallest_detectable"] == pytest.approx(0.05 * wanted, rel=1e-3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.807, 0.808, 0.808], "supported"),
        ([0.77, 0.808, 0.808], "contradicted"),
        ([0.797, 0.808, 0.808], "undecided"),
    ],
)
def test_c5_is_equivalence_and_its_contrary(values, expected):
    notes = [SEI | {"feature_group": group} for group in ("tf", "histone", "all")]
    assert verdict("C5", notes, values, error=0.003) == expected


def test_few_groups_of_the_rarer_class_leave_all_undecided():
    for values in ([0.8, 0.7], [0.7, 0.8]):
        row = decided([SEI, BASSET], values, rarer_groups=19).loc["C2"]
        assert row["verdict"] == "undecided" and row["numbers"].startswith("only 19 leakage groups")


def groups_table(p, refit, half_width=0.05, others=40, seed=0):
    """groups.tsv with the four signed groups and three others of the paper, and groups that the paper does not name."""
    named = ["ZNF274", "ZNF101", "Pol2(phosphoS2)", "H3K27me3", "MYC", "EZH2", "POLR2A"]
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"group": named, "adjusted_p": p, "adjusted_refit": refit})
    rest = pd.DataFrame({"group": [f"X{k}" for k in range(others)], "adjusted_p": rng.random(others)})
    table = pd.concat([table, rest.assign(adjusted_refit=0.0)], ignore_index=True).assign(n_features=6.0)
    sides = {"adjusted_refit_low": -half_width, "adjusted_refit_high": half_width}
    return table.assign(**{name: table["adjusted_refit"] + side for name, side in sides.items()})


@pytest.mark.parametrize(
    ("p", "refit", "expected"),
    [
        ([1e-4] * 2 + [1] * 5, [0.5] * 7, "supported"),
        ([1e-4] * 2 + [1] * 5, [-0.5] * 7, "contradicted"),
        # Holm over the seven: 0.01 is not enough
        ([0.01] * 2 + [1] * 5, [0.5] * 7, "undecided"),
        # one confirmed, one opposed
        ([1e-4] * 2 + [1] * 5, [0.5, -0.5] + [0.5] * 5, "undecided"),
        # a group without a stated sign is confirmed by either
        ([1e-4] + [1] * 3 + [1e-4] + [1] * 2, [0.5] * 4 + [-0.5] + [0.5] * 2, "supported"),
        # nothing found, and every interval within 0.1
        ([1] * 7, [0.02] * 7, "contradicted"),
        ([1] * 7, [0.02] * 6 + [np.nan], "undecided"),
    ],
)  # fmt: skip
def test_c6_goes_by_selection_and_sign(p, refit, expected):
    assert verdict("C6", [SEI], [0.8], explained=groups_table(p, refit)) == expected


def test_c6_needs_three_named_groups():
    table = groups_table([1] * 7, [0.0] * 7)
    assert verdict("C6", [SEI], [0.8], explained=table[table["group"] != "MYC"].iloc[:2]) == "not testable"
    assert set(NAMED_GROUPS.values()) == {1, None} and sum(sign == 1 for sign in NAMED_GROUPS.values()) == 4


def test_the_rank_of_named_groups_is_uniform_where_they_are_like_the_others():
    rng = np.random.default_rng(5)
    found = [rank_p(groups_table(rng.random(7), [0.0] * 7, seed=k), draws=400, seed=k) for k in range(200)]
    assert 0.4 < np.mean(found) < 0.6 and np.mean(np.array(found) < 0.1) < 0.17
    assert rank_p(groups_table([1e-9] * 7, [0.0] * 7), draws=1000) < 0.01


@pytest.mark.parametrize(
    ("seconds", "expected"), [(10, "contradicted"), (150, "undecided"), (400, "supported"), (None, "not testable")]
)
def test_c8_goes_by_measured_seconds_on_one_device(seconds, expected):
    # a tenth of the windows that were embedded had a label
    cost = {"seconds": 900.0, "device": "cpu", "windows": 5000, "peak_bytes": 2e9, "parameters_total": 890_000_000}
    linear = SEI | {
        "features": {"tool": "embed_sei", "cost": cost},
        "cost": {"seconds": 10.0, "windows": 500, "peak_bytes": 3e9, "parameters_fitted": 21_908},
    }
    measured = {"seconds": 1.0, "seconds_of_all_trainings": seconds, "device": "cpu", "seconds_per_1000_predicted": 190}
    tuned = FSEI | ({} if seconds is None else {"cost": measured})
    row = decided([linear, tuned], [0.8, 0.8]).loc["C8"]
    assert row["verdict"] == expected
    if seconds is not None:
        told = "m0: 100 s to train on cpu, 180 s per 1,000 windows to predict, 3 GB; parameters: 21,908 fitted; m1: "
        assert row["numbers"].startswith(f"{told}{seconds} s to train on cpu, 190 s per 1,000 windows to predict;")
    other = tuned | {"cost": {"seconds": 400.0, "device": "a GPU"}}
    assert verdict("C8", [linear, other], [0.8, 0.8]) == "not testable"
    assert verdict("C8", [SEI, tuned], [0.8, 0.8]) == "not testable"
    assert verdict("C8", [linear, tuned | {"rows_trained": 8}], [0.8, 0.8]) == "not testable"


def test_c8_is_about_fine_tuning_and_prints_networks_from_scratch_beside():
    linear = SEI | {
        "features": {"tool": "embed_sei", "cost": {"seconds": 90.0, "device": "cpu"}},
        "cost": {"seconds": 1},
    }
    cost = {"seconds": 5.0, "device": "cpu", "parameters_total": 7}
    basset = BASSET | {"labels_sha256": "x", "rows_trained": 9, "cost": cost}
    assert verdict("C8", [linear, basset], [0.8, 0.8]) == "not testable"
    row = decided([linear, FSEI | {"cost": cost | {"seconds": 400.0}}, basset], [0.8, 0.8, 0.7]).loc["C8"]
    assert row["verdict"] == "supported" and "m2: 5 s to train on cpu; parameters: 7 total" in row["numbers"]


def test_limits_and_p_equal_the_textbook():
    estimate = Estimate("d", 0.03, 0.01)
    assert estimate.interval == pytest.approx((0.03 - 0.0196, 0.03 + 0.0196), abs=1e-4)
    assert estimate.p == pytest.approx(2 * norm.sf(3))
    assert estimate.simultaneous(5)[0] == pytest.approx(0.03 - 0.01 * norm.ppf(0.995))
    assert Estimate("d", 0.03, 0.01, df=8).p > estimate.p
    low, high = one_sided_limits(0.8, 0.02)
    assert low < 0.8 - 1.6 * 0.02 < high and high - 0.8 < 0.8 - low
    p = [0.01, 0.04, 0.03]
    row = decided([SEI, BASSET, BASSET, BASSET], [0.8, *(0.8 - 0.004 * norm.isf(np.array(p) / 2))]).loc["C2"]
    for wanted in multipletests(p, method="holm")[1]:
        assert f"Holm p = {wanted:.2g}" in row["numbers"]
