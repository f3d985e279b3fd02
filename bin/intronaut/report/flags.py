"""The quality flags: can these data carry the verdict? Each is pass, warning, fail or not measured, with a reason."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from intronaut.io import tables
from intronaut.report import numbers as n
from intronaut.report import verdict
from intronaut.report.study import Model, Study, headline
from intronaut.stats.jackknife import FEW_GROUPS
from intronaut.stats.small_samples import sentences_of_summary

ORDER = ("fail", "warn", "na", "pass")
WORDS = {"fail": "fail", "warn": "warning", "na": "not measured", "pass": "pass"}
# the verdict is on ranking, which calibration leaves as it is
NOT_OF_THE_VERDICT = ("calibration",)
SHORTEST = 30
# rank correlation of motif effects with GC content that is a warning, and that fails
GC_SLOPE = (0.2, 0.4)
# moderate agreement begins above 0.4 (Landis and Koch 1977, Biometrics 33:159)
MODERATE = 0.4
MEASURED = {"length": "log length", "gc": "GC content"}
LOGGED = ("length", "dist_tss", "dist_tes", "gene_length")


def all_flags(study: Study) -> list[dict[str, str]]:
    """Every flag as a dict of state, title, reason, summary (for the verdict) and section, the failed ones first."""
    checks = (weights, leakage, near_copies, retained, balance_of_classes, splice_sites, short_introns, labels, callers,
              matching, motif_gc, calibration)  # fmt: skip
    flags = [flag for check in checks for flag in check(study)]
    return sorted(flags, key=lambda flag: ORDER.index(flag["state"]))


def against_the_verdict(flags: list[dict[str, str]]) -> list[dict[str, str]]:
    """The failed flags without which the verdict would be firm."""
    return [flag for flag in flags if flag["state"] == "fail" and flag["key"] not in NOT_OF_THE_VERDICT]


def cautions(study: Study) -> list[str]:
    """What a reader must know where few introns, or few leakage groups, stand behind the sentences on models."""
    sizes = [model.metrics for model in study.models] + [(study.comparison or {}).get("about", {})]
    sentences = [sentence for size in sizes for sentence in sentences_of_summary(size)]
    sentences += [
        sentence for explanation in study.explanations.values() for sentence in explanation["about"].get("warnings", [])
    ]
    return list(dict.fromkeys(sentences))


def tally(flags: list[dict[str, str]]) -> str:
    """``0 fail, 3 warnings, 6 pass``."""
    parts = []
    for state in ORDER:
        number = sum(flag["state"] == state for flag in flags)
        if number or state == "fail":
            parts.append(f"{number} {WORDS[state]}{'s' if state == 'warn' and number != 1 else ''}")
    return ", ".join(parts)


def graded(value: float, passes: float, warns: float) -> str:
    """``pass`` below the first limit, ``warn`` below the second, else ``fail``; ``na`` for what is missing."""
    if n.lacks(value):
        return "na"
    return "pass" if value < passes else "warn" if value < warns else "fail"


def _flag(key, state, title, reason, section, summary=""):
    return {"key": key, "state": state, "word": WORDS[state], "title": title, "reason": reason, "section": section,
            "summary": summary or title[:1].lower() + title[1:]}  # fmt: skip


def weights(study: Study) -> Iterator[dict[str, Any]]:
    # models of several kinds on the same features share the weights
    notes = {model.feature_set: (model, model.weights_note) for model in study.models if model.weights_note}
    for model, note in notes.values():
        random = "random" in note
        were = "were" if model.plain.endswith("s") else "was"
        ran = f"{model.plain[:1].upper()}{model.plain[1:]} {were} computed with {note}"
        more = " Their numbers show that the pipeline works; they do not describe biology." if random else ""
        yield _flag(
            "weights", "fail" if random else "warn", f"Weights of {model.short}", f"{ran}.{more}", "predict", ran
        )


def leakage(study: Study) -> Iterator[dict[str, str]]:
    torn = max((model.metrics.get("rows", {}).get("groups_in_several_folds", 0) for model in study.models), default=0)
    title = "Leakage between folds" if torn else "No leakage between folds"
    if not study.audit:
        if "group" not in study.labels:
            reason = "The labels have no column group, so whether folds share genes or bases is unknown."
            yield _flag("leakage", "na", title, reason, "predict")
        elif torn:
            yield _flag("leakage", "fail", title, f"{n.plural(torn, 'leakage group')} lie in several folds.", "predict",
                        "folds share genes, bases or identical windows")  # fmt: skip
        return
    leaks = study.audit["leaks"]
    windows = sum(leaks[key]["windows"] for key in ("gene", "bases", "twin"))
    reason = (
        f"{n.count(windows)} of {n.count(study.audit['held_out'])} windows share a gene, a base or an identical (or "
        "reverse-complemented) sequence with another fold."
    )
    if torn:
        reason += f" {n.plural(torn, 'leakage group')} in several folds."
    state = "fail" if windows or torn else "pass"
    title = "Leakage between folds" if state == "fail" else title
    yield _flag("leakage", state, title, reason, "predict", "folds share genes, bases or identical windows")


def near_copies(study: Study) -> Iterator[dict[str, str]]:
    if not study.audit:
        return
    copies = study.audit["leaks"]["homology"]
    reason = f"{n.plural(copies['windows'], 'window')} ({n.share(copies['share'])})"
    identity = f" at ≥ {n.share(study.audit['identity'], 0)} identity" if study.audit.get("identity") else ""
    reason += f" {'aligns' if copies['windows'] == 1 else 'align'}{identity} to one in another fold."
    without = verdict.without_near_copies(study) if copies["windows"] else None
    if without is not None:
        reason += f" Without them AUROC is {n.decimal(without)}."
    state = graded(copies["share"], 0.01, 0.05)
    yield _flag("near_copies", state, "Near-copies across folds", reason, "predict")


def retained(study: Study) -> Iterator[dict[str, str]]:
    """How many introns, and how many leakage groups that hold one, everything rests on."""
    rows = study.of_class(1)
    groups = rows["group"].nunique() if "group" in rows else len(rows)
    state = "pass" if len(rows) >= 200 else "warn" if len(rows) >= 50 else "fail"
    state = "fail" if groups < FEW_GROUPS else state
    summary = f"{n.plural(len(rows), f'retained {study.unit}')} in {n.plural(rows['gene_id'].nunique(), 'gene')}"
    if groups < FEW_GROUPS:
        summary += f" and {n.plural(groups, 'leakage group')}, fewer than {FEW_GROUPS}"
    reason = f"{summary}."
    title = f"{'Enough' if state == 'pass' else 'Few'} retained {study.unit}s"
    yield _flag("retained", state, title, reason, "labels", summary)


def balance_of_classes(study: Study) -> Iterator[dict[str, str]]:
    known = study.known
    share = float((known["label"] == 1).mean()) if len(known) else float("nan")
    state = "pass" if 0.05 <= share <= 0.5 else "warn"
    reason = f"{n.share(share)} of the labelled {study.unit}s are retained."
    yield _flag("balance", state, "Class balance", reason, "labels")


def splice_sites(study: Study) -> Iterator[dict[str, Any]]:
    """The share of GT–AG, GC–AG and AT–AC ends, where a genome was given."""
    ends = study.counts.get("intron_ends") or {}
    share = ends.get("share")
    if share is None:
        return
    state = "pass" if share >= 0.97 else "warn" if share >= 0.95 else "fail"
    title = "Annotation fits the genome" if state == "pass" else "Annotation and genome do not fit each other"
    reason = f"{n.share(share)} of introns have GT–AG, GC–AG or AT–AC ends."
    yield _flag("splice_sites", state, title, reason, "labels", "annotation and genome do not fit each other")


def short_introns(study: Study) -> Iterator[dict[str, str]]:
    if study.unit != "intron" or "length" not in study.labels:
        return
    known = study.known
    short = known[known["length"] < SHORTEST]
    share = len(short) / max(len(known), 1)
    left_out = int((study.ledger["reason"] == "too_short").sum())
    if len(short):
        reason = (
            f"{n.plural(len(short), 'labelled intron')} {'is' if len(short) == 1 else 'are'} shorter than {SHORTEST} "
            f"nt ({n.count((short['label'] == 1).sum())} retained): gaps in the annotation rather than introns."
        )
    else:
        reason = f"No labelled intron is shorter than {SHORTEST} nt"
        reason += f"; {n.plural(left_out, 'shorter one was', 'shorter ones were')} left out." if left_out else "."
    state = "pass" if not len(short) else "warn" if share < 0.05 else "fail"
    yield _flag("short", state, "Implausibly short introns", reason, "labels")


def labels(study: Study) -> Iterator[dict[str, str]]:
    if study.measured:
        by = f" by {n.listed(study.callers)}" if study.callers else ""
        yield _flag("labels", "pass", "Labels are measured", f"Retention was called{by} from RNA-seq.", "labels")
    else:
        yield _flag("labels", "warn", "Labels are annotated, not measured", "Retention is read off the annotation. No "
                    "RNA-seq was given.", "labels")  # fmt: skip


def callers(study: Study) -> Iterator[dict[str, str]]:
    if not study.agreement:
        return
    summary = study.agreement["summary"]
    kappa, several = summary["fleiss_kappa"], len(summary["callers_with_both_classes"])
    if kappa is None:
        yield _flag("callers", "na", "Agreement of the callers", "No two callers labelled the same introns.", "labels")
        return
    agree = kappa >= MODERATE
    title = "Callers agree" if agree else "Callers hardly agree"
    least = f"at least {n.decimal(MODERATE, 1)} is moderate agreement, 0 is chance"
    reason = f"Fleiss' kappa of {several} callers is {n.decimal(kappa, 2)}; {least}."
    yield _flag("callers", "pass" if agree else "warn", title, reason, "labels")


def standardised_differences(study: Study) -> dict[str, float]:
    """The SMD of each numeric covariate between retained and spliced rows, lengths and distances as log(1 + x)."""
    differences = {}
    for name in study.labels.columns.intersection(tables.COVARIATES):
        values = [study.of_class(label)[name].dropna().to_numpy(float) for label in (1, 0)]
        if min(map(len, values)) < 2:
            continue
        one, other = (np.log1p(part) if name in LOGGED else part for part in values)
        spread = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2)
        differences[name] = float((one.mean() - other.mean()) / spread) if spread else 0.0
    return differences


def matching(study: Study) -> Iterator[dict[str, str]]:
    title = "Covariate balance after matching"
    if study.balance:
        used = [row for row in study.balance if row.get("matched") == "yes"] or study.balance
        after = {row["covariate"]: abs(float(row["smd_after"])) for row in used}
        worst = max(after, key=after.get)
        others = [row for row in study.balance if row not in used and abs(float(row["smd_after"])) > 0.25]
        reason = f"Largest |SMD| of the matched covariates is {n.decimal(after[worst], 2)} ({worst})."
        if others:
            reason += f" Not matched and still unbalanced: {n.listed([row['covariate'] for row in others])}."
        yield _flag(
            "matching", graded(after[worst], 0.1, 0.25 + 1e-9), title, reason, "labels", "matching left imbalance"
        )
        return
    differences = standardised_differences(study)
    shown = [f"{abs(differences[key]):.2f} for {word}" for key, word in MEASURED.items() if key in differences]
    reason = "Matching was off." + (f" Unmatched |SMD|: {n.listed(shown)}." if shown else "")
    yield _flag("matching", "na", title, reason, "labels")


def motif_gc(study: Study) -> Iterator[dict[str, str]]:
    for motifs in study.motifs[:1]:
        rho = motifs["summary"]["gc_correlation"]
        if rho["adjusted"] is None:
            return
        state = graded(abs(rho["adjusted"]), *GC_SLOPE)
        reason = (
            f"Rank correlation of effect with the motif's GC content: {n.decimal(rho['unadjusted'], 2)} unadjusted, "
            f"{n.decimal(rho['adjusted'], 2)} adjusted."
        )
        title = f"Motif effects {'free of' if state == 'pass' else 'follow'} GC"
        yield _flag("motif_gc", state, title, reason, "assoc", "motif effects follow GC content")


def calibration(study: Study) -> Iterator[dict[str, str]]:
    model = study.baseline_model or (study.best_models or [None])[0]
    part = "covariates" if study.baseline_model else "alone"
    if model is None or "ece" not in (model.of(part) or {}):
        return
    error, slope = model.of(part)["ece"], calibration_slope(model, part)
    words = "covariates" if part == "covariates" else model.short
    if verdict.covers_chance(headline(model.of(part)), study.measure):
        reason = f"The probabilities of a model that is not above chance ({words}) have no calibration to speak of."
        yield _flag("calibration", "na", "Calibration", reason, "predict")
        return
    upper = error["value"] if n.lacks(error.get("high")) else error["high"]
    fits = n.lacks(slope) or 0.8 <= slope <= 1.25
    state = "pass" if upper < 0.05 and fits else "warn" if upper < 0.1 else "fail"
    written = n.decimal(error["value"]) if n.lacks(error.get("high")) else n.estimate(error)
    reason = f"Calibration error {written}, slope {n.decimal(slope, 2)} (ideal 1), {words}."
    yield _flag("calibration", state, "Calibration", reason, "predict", "probabilities are not calibrated")


def calibration_slope(model: Model, part: str) -> float:
    """The slope of a logistic regression of the label on the held-out logit: 1 where probabilities are neither too
    extreme nor too close to the mean. From metrics.json where it is there; NaN where it cannot be fitted."""
    metrics = model.of(part)
    for key in ("calibration_slope", "slope"):
        if key in metrics and metrics[key].get("value") is not None:
            return metrics[key]["value"]
    table = model.predictions[part]
    p = np.clip(table["p_retained"].to_numpy(float), 1e-12, 1 - 1e-12)
    return logistic_slope(np.log(p / (1 - p)), (table["label"] == 1).to_numpy(float))


def logistic_slope(x: np.ndarray, y: np.ndarray, steps: int = 50) -> float:
    """The slope of a logistic regression of 0/1 ``y`` on ``x`` by Newton's method; NaN where there is none."""
    if len(set(y)) < 2 or pd.Series(x).nunique() < 2:
        return float("nan")
    design, beta = np.column_stack([np.ones_like(x), x]), np.zeros(2)
    for _ in range(steps):
        fitted = 1 / (1 + np.exp(-design @ beta))
        weights = fitted * (1 - fitted)
        try:
            step = np.linalg.solve(design.T * weights @ design, design.T @ (y - fitted))
        except np.linalg.LinAlgError:
            return float("nan")
        beta += step
        if np.abs(step).max() < 1e-9:
            return float(beta[1])
    return float("nan")
