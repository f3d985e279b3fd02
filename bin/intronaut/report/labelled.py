"""What was labelled: numbers, how retained and spliced introns differ, matching, agreement of callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from intronaut.plots import page as figures
from intronaut.report import flags, text
from intronaut.report import numbers as n

if TYPE_CHECKING:
    from intronaut.report.study import Study

# column: (name, how it is written)
# standardised mean difference below which the classes count as balanced
BALANCED = 0.1
COVARIATES = {
    "length": ("length, nt", n.count),
    "gc": ("GC content", lambda value: n.share(value, 0)),
    "cpg": ("CpG observed / expected", lambda value: n.decimal(value, 2)),
    "rank": ("rank in the transcript", n.count),
    "n_introns": ("introns of the transcript", n.count),
    "dist_tss": ("distance to gene start, nt", n.count),
    "dist_tes": ("distance to gene end, nt", n.count),
    "gene_length": ("gene length, nt", n.count),
    "donor_strength": ("donor score", lambda value: n.decimal(value, 1)),
    "acceptor_strength": ("acceptor score", lambda value: n.decimal(value, 1)),
    "ppt_y": ("pyrimidines before the acceptor", lambda value: n.share(value, 0)),
    "bp_score": ("branch point score", lambda value: n.decimal(value, 1)),
    "bp_distance": ("branch point to acceptor, nt", n.count),
    "agez": ("AG exclusion zone, nt", n.count),
    "u12": ("minor (U12) type", n.share),
}
LENGTH_TICKS = [(1, "≤10"), (2, "100"), (3, "1 kb"), (4, "10 kb"), (5, "100 kb")]


def section(study: Study) -> dict[str, Any]:
    """Values of the section's template."""
    retained, spliced = study.of_class(1), study.of_class(0)
    counted = study.counts["labels"]
    return {
        "gist": gist(study, retained, spliced),
        "rule": text.label_words(study.counts, study.settings),
        "bar": bar(len(retained), len(spliced), len(study.labels) - len(study.known)),
        "numbers": number_rows(study, counted),
        "covariates": covariate_rows(study),
        "matching": matching(study),
        "agreement": agreement(study.agreement),
    }


def gist(study: Study, retained: pd.DataFrame, spliced: pd.DataFrame) -> str:
    known = len(retained) + len(spliced)
    verb = "are retained" if study.measured else "are annotated as retained"
    share = n.share(len(retained) / max(known, 1))
    sentence = f"{n.count(len(retained))} of {n.count(known)} labelled {study.unit}s {verb} ({share})."
    if study.is_matched:
        sentence = (
            f"{n.count(len(retained))} retained and {n.count(len(spliced))} spliced {study.unit}s were matched; the "
            "models see these and no others."
        )
    if min(len(retained), len(spliced)) and {"length", "gc"} <= set(study.labels.columns):
        sentence += f" {differences(study)}"
    return sentence


def differences(study: Study) -> str:
    """Medians of length and GC content; they differ where the SMD reaches BALANCED."""
    (length, other_length), (gc, other_gc) = (
        [study.of_class(label)[name].median() for label in (1, 0)] for name in ("length", "gc")
    )
    smd = flags.standardised_differences(study)
    longer, richer = (
        words[0] if abs(smd.get(name, 0)) < BALANCED else words[1] if smd[name] > 0 else words[2]
        for name, words in (("length", ("as long", "longer", "shorter")), ("gc", ("as", "more", "less")))
    )
    return (
        f"They are {longer} (median {n.count(length)} against {n.count(other_length)} nt) and {richer} GC-rich "
        f"({n.share(gc, 0)} against {n.share(other_gc, 0)})."
    )


def bar(retained: int, spliced: int, unknown: int) -> list[dict[str, Any]]:
    """The parts of the stacked bar; a class without introns is left out."""
    total = max(retained + spliced + unknown, 1)
    parts = (("r", "retained", retained), ("s", "spliced", spliced), ("u", "unknown", unknown))
    return [
        {"css": css, "word": word, "number": number, "text": f"{n.count(number)} ({n.share(number / total)})"}
        for css, word, number in parts
        if number
    ]


def number_rows(study: Study, counted: dict[str, int]) -> list[tuple[str, int, str]]:
    """Every intron of the input, by what became of it: ``(words, number, css class)``."""
    rows = [
        ("retained", counted.get("1", 0), ""),
        ("spliced", counted.get("0", 0), ""),
        ("unknown, left out of every model", counted.get("NA", 0), ""),
    ]
    rows += [
        (f"of these: {reason.replace('_', ' ')}", number, "soft")
        for reason, number in study.counts["unlabelled"].items()
    ]
    if study.is_matched:
        left = counted.get("1", 0) + counted.get("0", 0) - len(study.known)
        rows.append(("matched, seen by the models: retained", len(study.of_class(1)), ""))
        rows.append(("matched, seen by the models: spliced", len(study.of_class(0)), ""))
        rows.append(("without a match, left out of every model", left, ""))
    reasons = study.ledger["reason"].value_counts()
    rows += [(f"not labelled: {reason.replace('_', ' ')}", int(number), "") for reason, number in reasons.items()]
    return [*rows, ("all that the input held", study.counts["n_input"], "total")]


def covariate_rows(study: Study) -> list[dict[str, Any]]:
    """Median and quartiles of each covariate in both classes, SMD, and the AUROC of the covariate alone."""
    retained, spliced = study.of_class(1), study.of_class(0)
    smd = flags.standardised_differences(study)
    return [
        {
            "name": name,
            "retained": _quartiles(retained[column], write),
            "spliced": _quartiles(spliced[column], write),
            "smd": n.signed(smd[column], 2),
            "auroc": n.decimal(auroc_alone(retained[column], spliced[column]), 2),
        }
        for column, (name, write) in COVARIATES.items()
        if column in smd
    ]


def _quartiles(values, write):
    if values.isin([0, 1]).all():  # a class has no quartiles
        return {"middle": write(values.mean()), "range": ""}
    low, middle, high = (write(values.quantile(q)) for q in (0.25, 0.5, 0.75))
    return {"middle": middle, "range": f"{low} to {high}" if low.startswith(n.minus("-")) else f"{low}–{high}"}


def auroc_alone(retained: pd.Series, spliced: pd.Series) -> float:
    """How well one covariate ranks the classes, in its better direction: from 0.5."""
    retained, spliced = retained.dropna(), spliced.dropna()
    ranks = pd.concat([retained, spliced], ignore_index=True).rank()
    wins = ranks[: len(retained)].sum() - len(retained) * (len(retained) + 1) / 2
    auroc = wins / (len(retained) * len(spliced))
    return max(auroc, 1 - auroc)


def histograms(study: Study) -> dict[str, str]:
    """``{name: svg}`` of length and GC content of both classes; empty where a class or a column is missing."""
    retained, spliced = study.of_class(1), study.of_class(0)
    drawn = {}
    if not min(len(retained), len(spliced)):
        return drawn
    if "length" in study.labels:
        logs = [np.log10(rows["length"].dropna().clip(lower=10)) for rows in (retained, spliced)]
        drawn["length"] = figures.two_histograms(
            f"{study.unit.capitalize()} length", "length (nt, log scale)", logs[0], logs[1],
            np.linspace(1, 5, 25), LENGTH_TICKS,
            f"Median {n.count(retained['length'].median())} nt of retained, "
            f"{n.count(spliced['length'].median())} nt of spliced ones.",
        )  # fmt: skip
    if "gc" in study.labels and study.known["gc"].notna().any():
        gc = study.known["gc"]
        low, high = np.floor(gc.quantile(0.004) * 20) / 20, np.ceil(gc.quantile(0.996) * 20) / 20
        edges = np.arange(low, max(high, low + 0.1) + 0.001, 0.025)
        ticks = [(value, f"{value:.0%}") for value in np.arange(low, edges[-1] + 0.001, 0.1)]
        drawn["gc"] = figures.two_histograms(
            "GC content", f"GC content of the {study.unit}", retained["gc"].dropna(), spliced["gc"].dropna(),
            edges, ticks, f"Median {n.share(retained['gc'].median(), 0)} of retained, "
            f"{n.share(spliced['gc'].median(), 0)} of spliced ones.",
        )  # fmt: skip
    return drawn


def matching(study: Study) -> dict[str, Any] | None:
    """Balance of match_introns before and after, and what the matched covariates still predict; None without."""
    if not study.balance:
        return None
    rows = [
        {
            "name": row["covariate"],
            "matched": row.get("matched", ""),
            "before": n.signed(float(row["smd_before"]), 2),
            "after": n.signed(float(row["smd_after"]), 2),
        }
        for row in study.balance
    ]
    matched = study.matched if study.matched and study.matched.get("after") else None
    return {"rows": rows, "sentence": matched_sentence(matched, len(study.of_class(1))) if matched else ""}


def matched_sentence(matched: dict[str, dict[str, float]], retained: int) -> str:
    """What the covariates still predict after matching, as far as the interval and the number of introns allow."""
    before, after = matched["before"], matched["after"]
    start = (
        f"The matched covariates alone reach AUROC {n.estimate(before)} before matching and {n.estimate(after)} after"
    )
    if n.lacks(after.get("low")) or n.lacks(after.get("high")):
        return f"{start}: without an interval nothing follows."
    if after["low"] > 0.5:
        return f"{start}: they still tell retained from spliced introns."
    few = f" (with {n.plural(retained, 'retained intron')}, a small sample)" if retained < 50 else ""
    return f"{start}: any AUROC up to {n.decimal(after['high'])} is compatible with these data{few}."


def agreement(table: dict[str, Any] | None) -> dict[str, Any] | None:
    """Fleiss' kappa and the figure of compare_callers; None for one caller."""
    if not table:
        return None
    kappa = table["summary"]["fleiss_kappa"]
    return {
        "kappa": "not defined" if kappa is None else n.decimal(kappa, 2),
        "introns": n.count(table["summary"]["introns_labelled_by_all"]),
        "figure": table["figure"],
    }
