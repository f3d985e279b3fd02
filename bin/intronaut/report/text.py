"""Sentences of the report that depend on what was done: how introns were labelled, models fitted and evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from intronaut.report import numbers as n
from intronaut.report.titles import titles

if TYPE_CHECKING:
    from intronaut.report.study import Model

RETAINED_TRANSCRIPT = "when it lies inside an exon of a transcript that the annotation calls retained_intron"
RULES = {
    "retained_intron": RETAINED_TRANSCRIPT,
    "strict": f"{RETAINED_TRANSCRIPT} (one inside an exon of any other transcript is left out)",
    "any-exon": "when it lies inside an exon of any transcript of its gene",
}
INSIDE = "is chosen by cross-validation inside the training rows"
# what kind of model was fitted with what preset; any other kind is a network
FITTED = {
    ("logistic", "default"): f"an L2-penalised logistic regression on standardised features, whose penalty {INSIDE}",
    ("logistic", "paper"): "a logistic regression on features as they are, trained by the recipe of Daoud and Ben-Hur",
    ("elasticnet", "default"): "a logistic regression with L1 and L2 penalties (elastic net) on standardised features, "
    f"whose penalty {INSIDE}",
    ("lightgbm", "default"): f"gradient-boosted trees (LightGBM), whose number {INSIDE}",
    ("lightgbm", "paper"): "gradient-boosted trees (LightGBM) with the settings of Daoud and Ben-Hur, whose number "
    f"{INSIDE}",
}  # fmt: skip
NETWORK = "a network that reads the DNA itself, trained for as many epochs as its validation rows gain by"


def file_names(paths: str) -> str:
    """The names, without their folders, of paths joined by commas, for reading."""
    return ", ".join(path.split("/")[-1] for path in paths.split(","))


def label_words(counts: dict[str, Any], settings: dict[str, Any]) -> str:
    """When an intron (or peak) counts as retained, by counts.json and, where a pipeline gave them, its settings."""
    unknown = " Unknown ones are never used." if counts["labels"].get("NA") else ""
    intron = (
        f"an intron is retained {_retained_words(counts, settings)}; it is spliced when there is evidence that it is "
        f"removed.{unknown}"
    )
    if counts["unit"] == "intron":
        return f"Here {intron}"
    if settings.get("paper_labels"):
        return f"Here peaks are labelled by introns as Daoud and Ben-Hur 2025 did, faults included: {intron}"
    share = f"at least {settings['min_overlap']:.0%} of it" if settings.get("min_overlap") else "enough of it"
    return f"Here a peak is retained when {share} lies in retained introns, spliced when in spliced ones: {intron}"


def _retained_words(counts, settings):
    callers = counts.get("callers", {})
    if not (settings.get("ir_calls") or callers):
        return RULES.get(settings.get("annotation_rule"), "when an exon of the annotation says so")
    names = file_names(settings["ir_calls"]) if settings.get("ir_calls") else ", ".join(callers)
    least = int(settings.get("ir_consensus") or 1)
    who = "a caller of intron retention says" if least == 1 else f"at least {least} callers of intron retention say"
    return f"when {who} so ({names})"


def leaks(metrics: dict[str, Any], audit: dict[str, Any] | None) -> bool:
    """Whether the held-out rows share genes or bases with the training rows, by metrics.json and the audit, if any."""
    torn = metrics.get("rows", {}).get("groups_in_several_folds", 0)
    return torn > 0 or bool(audit) and any(audit["leaks"][leak]["windows"] for leak in ("gene", "bases"))


def evaluation_words(
    models: list[Model], unit: str, grouped: bool, audit: dict[str, Any] | None
) -> list[tuple[str, str]]:
    """On what the models were evaluated: (names, sentences) of models that share them, without names where all do.

    Args:
        models: list of :class:`intronaut.report.study.Model`.
        grouped: whether the labels have leakage groups.
        audit: the counts of audit_split, or None.
    """
    names, called = {}, titles(models)
    for model in models:
        names.setdefault(_evaluation_words(model.metrics, unit, grouped, audit), []).append(called[model.name])
    return [(", ".join(of) if len(names) > 1 else "", words) for words, of in names.items()]


def _evaluation_words(metrics, unit, grouped, audit):
    groups = f" in {n.plural(metrics['n_groups'], 'leakage group')}" if grouped else ""
    if leaks(metrics, audit):
        seen = f"that had not seen it, but had seen {unit}s that share a gene or bases with some of them"
        but = ": these numbers are too high"
    elif grouped:
        seen, but = f"that saw neither it nor any {unit} that shares a gene or bases with it", ""
    else:
        seen = "that had not seen it"
        but = (
            f"; the labels have no column group, so whether it had seen {unit}s that share a gene or bases with it is "
            "unknown"
        )
    retained = f"; {n.share(metrics['prevalence'])} are retained" if metrics.get("prevalence") is not None else ""
    judged = f" ({metrics['judged']})" if metrics.get("judged") else ""
    return f"{n.plural(metrics['n'], unit)}{groups}{retained}. Each was predicted by a model {seen}{judged}{but}."


def methods_words(
    models: list[Model], counts: dict[str, Any], settings: dict[str, Any], covariates: list[str]
) -> Iterator[str]:
    """Sentences on where introns come from, what was fitted, and what the covariates-only model is."""
    if counts["unit"] == "intron":
        yield "Introns come from the annotation."
    else:
        source = f" of {file_names(settings['peaks'])}" if settings.get("peaks") else ""
        yield f"Peaks{source} are labelled by the introns under them, which come from the annotation."
    fitted, called = {}, titles(models)
    for model in models:
        fitted.setdefault(FITTED.get((model.kind, model.preset), NETWORK), []).append(called[model.name])
    if fitted.keys() != {NETWORK}:
        yield "Windows of DNA around them are turned into features."
    for words, names in fitted.items():
        yield f"Model of {n.listed(names)}: {words}."
    if any(model.metrics.get("baseline") for model in models):
        where = "; position is the place of the intron in its gene" if "position" in covariates else ""
        kind = " (beside a network, a logistic regression)" if NETWORK in fitted else ""
        yield (f"The covariates-only model is of the same kind{kind} and uses {n.listed(covariates)}{where}.")


def added_words(models: list[Model], grouped: bool, audit: dict[str, Any] | None) -> str:
    """What was added to the published method."""
    added = ["intervals"]
    if any(model.metrics.get("baseline") for model in models):
        added.append("a baseline")
    if grouped and not any(leaks(model.metrics, audit) for model in models):
        added.append("a split that puts no gene and no base on both sides")
    return " and ".join([", ".join(added[:-1]), added[-1]] if added[:-1] else added)
