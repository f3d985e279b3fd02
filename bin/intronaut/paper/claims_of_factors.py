"""The claims C6 and C7: the named factors and marks, and the motifs of attributed regions."""

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from intronaut.paper.verdicts import ALPHA, CONTRADICTED, SUPPORTED, UNDECIDED, Estimate, Verdict, lacking
from intronaut.stats.model_comparison import holm

# the groups that the paper names, with the sign that it states; None where it states none, or both
NAMED_GROUPS = {
    "POLR2A": None, "Pol2": None, "Pol2(phosphoS2)": 1, "MYC": None, "ZNF274": 1, "ZNF101": 1, "EZH1": None,
    "EZH2": None, "KMT2D": None, "H3K27me3": 1,
}  # fmt: skip
# how the names of the factors begin whose motifs lead the authors' table
NAMED_MOTIFS = ("TFAP2", "TCF", "KLF", "ZBTB", "EGR", "MXI1", "MYC")
FEWEST_GROUPS, FEWEST_FAMILIES, FEWEST_CONFIRMED = 3, 3, 2
# log-odds per standard deviation within which a group is shown not to matter
NO_EFFECT = 0.1
# an odds ratio below which a motif is shown not to be enriched
NO_ENRICHMENT = 1.1
DRAWS = 10_000
WIDTH_OF_95 = 2 * float(norm.ppf(0.975))


def named_groups_involved(groups: pd.DataFrame | None) -> Verdict:
    """C6, by the selection of groups besides the covariates on halves of the data, evaluated on the other halves.

    Args:
        groups: groups.tsv of explain: ``group n_features adjusted_p adjusted_refit adjusted_refit_low`` and ``_high``;
            None without one.
    """
    if groups is None or groups["group"].isin(NAMED_GROUPS).sum() < FEWEST_GROUPS:
        return lacking("an explain folder (--explain) of embed_sei features grouped by target, made with --labels, "
                       f"with at least {FEWEST_GROUPS} of the named groups")  # fmt: skip
    present = groups[groups["group"].isin(NAMED_GROUPS)]
    shown = holm(present["adjusted_p"]) < ALPHA
    sign, stated = np.sign(present["adjusted_refit"].to_numpy()), present["group"].map(NAMED_GROUPS).to_numpy(float)
    confirmed = shown & (np.isnan(stated) | (sign == stated))
    opposed = shown & (sign == -stated)
    limits = present[["adjusted_refit_low", "adjusted_refit_high"]].abs().max(axis=1, skipna=False)
    n_confirmed, n_opposed = int(confirmed.sum()), int(opposed.sum())
    word = UNDECIDED
    if n_confirmed >= FEWEST_CONFIRMED and n_confirmed > 2 * n_opposed:
        word = SUPPORTED
    elif (n_opposed >= FEWEST_CONFIRMED and n_opposed > n_confirmed) or (limits < NO_EFFECT).all():
        word = CONTRADICTED
    texts, detectable = _of_groups(present, confirmed, opposed)
    p = rank_p(groups)
    others = "not more than other factors" if p >= ALPHA else "more than other factors"
    numbers = (
        f"{n_confirmed} of {len(present)} groups confirmed, {n_opposed} of the other sign; "
        f"rank among all {len(groups):,} groups: p = {p:.2g}, {others}; {texts}"
    )
    return Verdict(word, numbers, detectable)


def _of_groups(present, confirmed, opposed):
    """Every named group in words, and the largest of their smallest detectable effects."""
    m, texts, detectable = len(present), [], []
    adjusted = holm(present["adjusted_p"])
    for row, p, yes, no in zip(present.itertuples(), adjusted, confirmed, opposed, strict=True):
        outcome = "confirmed" if yes else "opposed" if no else "not shown"
        if np.isnan(row.adjusted_refit):
            texts.append(f"{row.group} never picked")
            continue
        error = (row.adjusted_refit_high - row.adjusted_refit_low) / WIDTH_OF_95
        estimate = Estimate(row.group, row.adjusted_refit, error)
        detectable.append(estimate.detectable(m))
        texts.append(estimate.text(f"Holm p = {p:.2g}, {outcome}", m))
    return "; ".join(texts), max(detectable, default=np.nan)


def rank_p(groups: pd.DataFrame, draws: int = DRAWS, seed: int = 1) -> float:
    """How rarely as many groups, drawn at random with as many features each, rank as high by adjusted_p as the named.

    Sizes agree within a factor of two. The rank sum of the named groups is compared with those of the draws.
    """
    rng = np.random.default_rng(seed)
    ranks = rankdata(groups["adjusted_p"])
    size = np.floor(np.log2(groups["n_features"].to_numpy(float)))
    named = groups["group"].isin(NAMED_GROUPS).to_numpy()
    sums = np.zeros(draws)
    for one in np.unique(size[named]):
        alike, count = ranks[size == one], int(named[size == one].sum())
        order = np.argsort(rng.random((draws, len(alike))), axis=1)[:, :count]
        sums += alike[order].sum(axis=1)
    return float((1 + (sums <= ranks[named].sum()).sum()) / (1 + draws))


def motifs_enriched(families: pd.DataFrame | None, summary: dict) -> Verdict:
    """C7, by families.tsv (``factors odds_ratio low high q``) and summary.json of find_motifs; None without them."""
    if families is None:
        return lacking("a folder of find_motifs (--motifs)")
    if not summary.get("attributions"):
        return lacking("sites in attributed regions: the folder (--motifs) was made without --attributions")
    adjusted_for = str(summary.get("adjust") or "")
    if not {"gc", "length"} <= set(adjusted_for.split(",")):
        return lacking("odds ratios adjusted for GC content and length: find_motifs --adjust gc,length")
    factors = families["factors"].str.upper().str.split(";")
    named = factors.map(lambda names: any(name.startswith(NAMED_MOTIFS) for name in names))
    tested = families[named & families["q"].notna()]
    if tested.empty:
        return lacking("families with the named factors that could be tested: there are none in the folder (--motifs)")
    enriched = int(((tested["q"] < ALPHA) & (tested["odds_ratio"] > 1)).sum())
    excluded = int((tested["high"] < NO_ENRICHMENT).sum())
    word = UNDECIDED
    if len(tested) >= FEWEST_FAMILIES and 2 * enriched >= len(tested):
        word = SUPPORTED
    elif 2 * excluded >= len(tested):
        word = CONTRADICTED
    numbers = (
        f"{enriched} of {len(tested)} families with the named factors are more common in retained windows at q < "
        f"{ALPHA}, adjusted for {adjusted_for}; sites in attributed regions; {_of_families(tested)}"
    )
    rho = summary.get("gc_correlation", {}).get("unadjusted")
    numbers += "" if rho is None else f"; motif GC and effect correlate by {rho:.2f} unadjusted"
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = (np.log(tested["high"]) - np.log(tested["low"])).replace(np.inf, np.nan) / WIDTH_OF_95
    return Verdict(word, numbers, float(np.exp(Estimate("", 0, errors.median()).detectable(len(tested)))))


def _of_families(tested):
    return "; ".join(
        f"{row.factors.split(';')[0]} odds ratio {row.odds_ratio:.2f} (95 % {row.low:.2f} to {row.high:.2f}, "
        f"q = {row.q:.2g})"
        for row in tested.itertuples()
    )
