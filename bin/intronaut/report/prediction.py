"""How well retention can be predicted, and what adds what: performance, curves, leakage, comparisons of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intronaut.plots import page as figures
from intronaut.report import flags, text, verdict
from intronaut.report import numbers as n
from intronaut.report.study import AUROC, Model, Study, headline
from intronaut.report.titles import titles
from intronaut.stats.reliability import calibration_bins

if TYPE_CHECKING:
    import pandas as pd

METRICS = (
    ("auroc", "AUROC"),
    ("average_precision", "average precision"),
    ("brier", "Brier score"),
    ("ece", "calibration error"),
    ("spearman", "rank correlation"),
    ("deviance_explained", "deviance explained"),
    ("mean_absolute_error", "mean absolute error"),
)
# above 0 by construction, so that it has no interval
VALUE_ONLY = ("ece",)
LEAKS = (
    ("gene", "a gene"),
    ("bases", "bases of the genome"),
    ("twin", "an identical or reverse-complemented window"),
    ("homology", "a near-copy"),
)
LEVELS_DRAWN = 1500
CURVE_CLASSES = ("l1", "l2", "l3")


def section(study: Study) -> dict[str, Any]:
    """Values of the section's template."""
    shown = metrics_of(study)
    rows = performance_rows(study, shown)
    by_chance = precision_by_chance(study)
    return {
        "gist": gist(study),
        "judged": text.evaluation_words(study.models, study.unit, "group" in study.labels, study.audit),
        "alone": [sentence for model in study.best_models if (sentence := alone_sentence(model))],
        "metrics": [name for _, name in shown],
        "rows": rows,
        "folds": any(row["folds"] for row in rows),
        "precision_by_chance": None if by_chance is None else n.decimal(by_chance),
        "leaks": leak_rows(study.audit),
        "closest": closest_sentence(study.audit),
        "comparison": [n.in_prose(pair["sentence"]) for pair in study.comparison["pairs"]] if study.comparison else [],
        "claims": claim_rows(study.comparison),
        "levels": study.measure is not AUROC,
        "several_kinds": len(study.best_models) < len(study.models),
    }


def precision_by_chance(study: Study) -> float | None:
    """The average precision of a random order of the held-out rows, of metrics.json; None where models differ."""
    chances = {(model.of("alone").get("average_precision_by_chance") or {}).get("value") for model in study.models}
    return chances.pop() if len(chances) == 1 else None


def metrics_of(study: Study) -> list[tuple[str, str]]:
    """The metrics that some model has, in the order of the table."""
    keys = set().union(*(model.of("alone") for model in study.models))
    return [(key, name) for key, name in METRICS if key in keys]


def gist(study: Study) -> str:
    baseline, key, name = study.baseline_model, study.measure.key, study.measure.name
    sentences = []
    if baseline:
        value = headline(baseline.of("covariates"))["value"]
        if n.lacks(value):
            return verdict.why_undefined(study)
        sentences.append(f"Covariates alone reach {name} {n.decimal(value)}")
    for model in study.best_models:
        gain = model.gain()
        if key in gain:
            more = (
                f" and average precision by {n.gain(gain['average_precision'])}" if "average_precision" in gain else ""
            )
            sentences.append(f"{model.short} {_changes(model.short)} {name} by {n.gain(gain[key])}{more}")
        elif not baseline:
            sentences.append(f"{model.short} {_reach(model.short)} {n.estimate(headline(model.of('alone')))}")
    joined = "; ".join(sentences)
    return f"{joined[:1].upper()}{joined[1:]}." if joined else ""


def _changes(name):
    return "change" if name.endswith("s") else "changes"


def _reach(name):
    return "reach" if name.endswith("s") else "reaches"


def alone_sentence(model: Model) -> str:
    """How the features alone rank introns beside the covariates, and within strata of length and GC."""
    difference = model.gain("features").get("auroc")
    alone = model.of("alone").get("auroc")
    if not difference or not alone or n.lacks(difference["value"]):
        return ""
    name = model.short[:1].upper() + model.short[1:]
    plural = model.short.endswith("s")
    low, high = difference.get("low"), difference.get("high")
    if n.lacks(low):
        return f"{name} alone {'differ' if plural else 'differs'} from the covariates by {n.gain(difference)}."
    verb = "rank" if plural else "ranks"
    if low <= 0 <= high:
        start = f"{name} alone {'are' if plural else 'is'} not shown to rank introns differently from the covariates "
    else:
        start = f"{name} alone {verb} introns {'worse' if high < 0 else 'better'} than the covariates "
    start += f"(paired difference {n.gain(difference)})"
    within = model.metrics.get("auroc_within_strata") or {}
    if verdict.covers_chance(alone):
        return f"{start}; {'they are' if plural else 'it is'} not shown to be better than chance ({n.estimate(alone)})."
    if not n.lacks(within.get("low")) and within["low"] <= 0.5 <= within["high"]:
        return (
            f"{start}; among introns of similar length and GC content {'they are' if plural else 'it is'} not shown "
            f"to be better than chance ({n.estimate(within)})."
        )
    return f"{start}."


def performance_rows(study: Study, shown: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """One row a model: the covariates once for all models that share them, each feature set with and without them."""
    rows, seen, called, known = [], [], titles(study.models), ", ".join(study.covariates)
    several = len({model.kind for model in study.models}) > 1
    for model in study.models:
        covariates = model.of("covariates")
        if covariates and covariates not in seen:
            seen.append(covariates)
            about = f" ({model.kind})" if several else ""
            rows.append(_performance(f"{known}{about}", model, "covariates", shown, study.group_of))
        if covariates:
            name = f"{known} + {called[model.name]}"
            rows.append(_performance(name, model, "combined", shown, study.group_of))
        rows.append(_performance(f"{called[model.name]} alone", model, "alone", shown, study.group_of))
    return rows


def _performance(name, model, part, shown, group_of):
    metrics = model.of(part)
    cells = []
    for key, title in shown:
        metric = metrics.get(key)
        value, about = (n.decimal(metric["value"]), n.interval(metric)) if metric else (n.MISSING, "")
        if key in VALUE_ONLY and metric and n.lacks(metric.get("low")):
            about = ""
        cells.append({"title": title, "value": value, "interval": about})
    return {"name": name, "cells": cells, "folds": fold_range(model.predictions.get(part), group_of)}


def fold_range(predictions: pd.DataFrame, group_of: pd.Series | None) -> str:
    """``0.745–0.851``: the lowest and highest AUROC of one fold; empty for fewer than two folds with both classes."""
    if predictions is None or "fold" not in predictions or "psi" in predictions:
        return ""
    aurocs = [verdict.auroc_within_folds(part, group_of) for _, part in predictions.groupby("fold")]
    aurocs = [auroc for auroc in aurocs if auroc is not None]
    return f"{n.decimal(min(aurocs))}–{n.decimal(max(aurocs))}" if len(aurocs) > 1 else ""


def leak_rows(audit: dict[str, Any] | None) -> list[dict[str, str]]:
    if not audit:
        return []
    rows = []
    for key, words in LEAKS:
        leak = audit["leaks"][key]
        if key == "homology" and audit.get("identity"):
            words += f": ≥ {n.share(audit['identity'], 0)} identity"
            words += f" over ≥ {n.share(audit['coverage'], 0)} of the window" if audit.get("coverage") else ""
        rows.append({"words": words, "windows": n.count(leak["windows"]), "share": n.share(leak["share"])})
    return rows


def closest_sentence(audit: dict[str, Any] | None) -> str:
    if not audit or audit.get("best_identity") is None:
        return ""
    return f" The closest pair is {n.share(audit['best_identity'])} identical."


def claim_rows(comparison: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The paper's claims with verdicts; none where no claim is testable."""
    claims = (comparison or {}).get("claims", [])
    testable = [row for row in claims if "not testable" not in row["verdict"]]
    return claims if testable else []


def draw(study: Study) -> dict[str, str]:
    """``{name: svg}`` of the ROC, precision-recall and calibration figures; scatter plots for levels."""
    drawn = {}
    if study.measure is not AUROC:
        return {f"levels_{one.name}": _level_figure(one, study.target) for one in study.best_models if _has_levels(one)}
    for model in study.best_models:
        curves = list(_curves(model))
        suffix = "" if len(study.best_models) == 1 else f"_{model.name}"
        aurocs = "; ".join(
            f"{name}: {n.decimal(verdict.auroc_within_folds(table, study.group_of))}" for name, _, table in curves
        )
        lines = [(name, css, *_ranked(table)) for name, css, table in curves]
        drawn[f"roc{suffix}"] = figures.roc_curves(lines, f"Held-out AUROC: {aurocs}.")
        drawn[f"precision{suffix}"] = figures.precision_recall_curves(lines, "Precision of held-out predictions.")
    model = study.baseline_model or study.best_models[0]
    part = "covariates" if study.baseline_model else "alone"
    table = model.predictions[part]
    bins = calibration_bins((table["label"] == 1).to_numpy(float), table["p_retained"].to_numpy(float))
    slope = flags.calibration_slope(model, part)
    words = "covariates" if part == "covariates" else model.short
    drawn["calibration"] = figures.calibration_bins(
        f"Calibration ({words})", bins, f"{len(bins)} bins of equal size; slope {n.decimal(slope, 2)}."
    )
    return drawn


def _has_levels(model):
    return "psi" in model.predictions.get("combined", model.predictions["alone"])


def _level_figure(model, target):
    """Held-out against measured levels, or differences, with the covariates where the model has them, of at most
    LEVELS_DRAWN introns."""
    table = model.predictions.get("combined", model.predictions["alone"])
    drawn = table.iloc[:: max(1, len(table) // LEVELS_DRAWN)]
    words = f"One dot an intron, {len(drawn):,} of {len(table):,}; on the dashed line the prediction is right."
    title = f"{target.capitalize()}s ({'covariates + ' if 'combined' in model.predictions else ''}{model.short})"
    measured, predicted = (drawn[name].to_numpy(float) for name in ("psi", "p_retained"))
    if target == "difference":
        # models of differences predict (1 + difference) / 2
        measured, predicted = 2 * measured - 1, 2 * predicted - 1
    return figures.level_scatter(title, target, measured, predicted, words)


def _curves(model):
    names = (
        ("covariates", "covariates"),
        ("combined", f"covariates + {model.short}"),
        ("alone", f"{model.short} alone"),
    )
    for (part, name), css in zip(names, CURVE_CLASSES, strict=True):
        if part in model.predictions:
            yield name, css, model.predictions[part]


def _ranked(table):
    """Labels, and the rank of each prediction within its fold, from 0 to 1: folds' models are not comparable."""
    rank = table.groupby("fold", dropna=False)["p_retained"].rank(pct=True)
    return (table["label"] == 1).to_numpy(float), rank.to_numpy(float)
