"""The verdict: what was found, in one or two sentences chosen by the numbers, its evidence, and a ladder of AUROCs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from intronaut.report import numbers as n
from intronaut.report.study import AUROC, Measure, Model, Study, headline
from intronaut.stats.model_comparison import LABELS, LEVELS
from intronaut.stats.within_folds import auroc_without_blocks, codes

if TYPE_CHECKING:
    import pandas as pd

# by the lower end of the 95 % CI
STRENGTHS = ("not predictable", "weakly predictable", "moderately predictable", "well predictable")
# of a CI that holds chance and more than weak prediction, which says neither, or of none
UNDECIDED = "not shown to be predictable"
MARGIN = 0.01


def strength(metric: dict[str, float | None], measure: Measure = AUROC) -> str:
    """How well retention is predictable, by the lower end of the CI; undecided without a CI."""
    low = metric.get("low")
    if n.lacks(low):
        return UNDECIDED
    nothing, weak, moderate = measure.limits
    if low <= nothing and metric["high"] >= weak:
        return UNDECIDED
    return STRENGTHS[0 if low <= nothing else 1 if low < weak else 2 if low < moderate else 3]


def what_is_added(gain: dict[str, float], margin: float) -> str:
    """Whether features add information, by the CI of the gain of AUROC."""
    low, high = gain.get("low"), gain.get("high")
    if n.lacks(low) or n.lacks(high):
        return "add nothing that can be measured without an interval"
    if low > 0:
        return "add information"
    if high < 0:
        return "make the predictions worse"
    return "add nothing" if -margin < low and high < margin else "add nothing measurable"


def covers_chance(metric: dict[str, float | None], measure: Measure = AUROC) -> bool:
    """Whether the CI includes chance, or is missing."""
    low = metric.get("low")
    return n.lacks(low) or low <= measure.chance


def retention(study: Study) -> str:
    """The subject of the verdict."""
    if study.measure is not AUROC:
        return f"the measured {study.target} of retention of {study.unit}s"
    what = "intron retention" if study.unit == "intron" else f"retention of {study.unit}s"
    return what if study.measured else f"annotated {what}"


def matched_words(study: Study) -> str:
    """``Among introns matched by length and GC content, ``; empty for introns that were not matched."""
    if not study.is_matched:
        return ""
    names = [row["covariate"] for row in study.balance if row.get("matched") == "yes"]
    by = f" by {n.listed([{'gc': 'GC content'}.get(name, name) for name in names])}" if names else ""
    return f"among {study.unit}s matched{by}, "


def lead(study: Study, failed: list[dict[str, str]]) -> tuple[str, str]:
    """The verdict: ``(heading, as far as it goes)``, one or two sentences, the second only where checks ``failed``."""
    text = n.capital(" ".join(_sentences(study)))
    if not failed:
        return text, ""
    first = failed[0]
    reason = first["summary"] if len(failed) == 1 else f"{len(failed)} checks failed, the first: {first['summary']}"
    return f"These data cannot carry a firm verdict: {reason}.", f"As far as they go: {text[0].lower()}{text[1:]}"


def _sentences(study):
    baseline, best = study.baseline_model, study.best_models
    margin = (study.comparison or {}).get("margin", MARGIN)
    key = study.measure.key
    adding = [model for model in best if ((model.gain().get(key) or {}).get("low") or 0) > 0]
    if not baseline:
        for model in best:
            yield f"{retention(study)} is {strength(headline(model.of('alone')), study.measure)} from {model.plain}."
        return
    words = strength(headline(baseline.of("covariates")), study.measure)
    covariates = n.listed([f"intron {word}" if word == "length" else word for word in study.covariates])
    if adding:
        gains = [
            f"{model.plain} ({n.signed(model.gain()[key]['value'])}, 95% CI {n.gain_interval(model.gain()[key])})"
            for model in adding
        ]
        yield (
            f"{matched_words(study)}{retention(study)} is {words} from {covariates}, and {n.listed(gains)} "
            f"{'add' if len(adding) > 1 or adding[0].plain.endswith('s') else 'adds'} information."
        )
    else:
        yield f"{matched_words(study)}{retention(study)} is {words} here from {covariates}."
    others = {}
    for model in best:
        if model not in adding and key in model.gain():
            others.setdefault(what_is_added(model.gain()[key], margin), []).append(model.plain)
    for verb, names in others.items():
        listed = (
            n.listed(names)
            if len(names) <= n.MOST_LISTED
            else f"{len(names)} {'other ' * bool(adding)}kinds of features"
        )
        yield n.capital(f"{listed} {_agree(verb, names)}.")


def _agree(verb, names):
    if len(names) > 1 or names[0].endswith("s"):
        return verb
    return verb.replace("add ", "adds ", 1).replace("make ", "makes ", 1)


def evidence(study: Study, selection: list[str]) -> list[str]:
    """Sentences that the verdict rests on: ``selection`` are those on what was selected."""
    model = study.baseline_model or (study.best_models or [None])[0]
    if model is None:
        return []
    part = "covariates" if study.baseline_model else "alone"
    auroc = headline(model.of(part))
    gains = [(other, other.gain().get(study.measure.key)) for other in study.best_models]
    gains = [(other, gain) for other, gain in gains if gain and not n.lacks(gain["value"])]
    paragraphs = [
        [_pairs_sentence(study, auroc), *_gain_sentences(gains, study.measure)],
        [*selection, *leak_sentences(study)],
    ]
    return [" ".join(sentences) for sentences in paragraphs if any(sentences)]


def sure(study: Study) -> str:
    """The headline's number with its interval and chance, in few words; empty without one."""
    model = study.baseline_model or (study.best_models or [None])[0]
    if model is None:
        return ""
    metric = headline(model.of("covariates" if study.baseline_model else "alone"))
    if n.lacks(metric["value"]):
        return ""
    within = "no interval" if n.lacks(metric.get("low")) else f"95% CI {n.interval(metric)}"
    name = study.measure.name
    return f"Held-out {name} {n.decimal(metric['value'])} ({within}; chance is {study.measure.chance:g})."


def _pairs_sentence(study, auroc):
    value = auroc["value"]
    if n.lacks(value):
        return why_undefined(study)
    if study.measure is not AUROC:
        return (
            f"Held-out predictions and measured {study.target}s have a rank correlation of {n.decimal(value)} within "
            "folds; 1 would be the same order."
        )
    return (
        f"Of a retained and a spliced {study.unit} that the model has not seen, the retained one gets the higher "
        f"probability in {round(100 * value)} of 100 pairs (chance is 50)."
    )


def why_undefined(study: Study) -> str:
    """What stands in place of the AUROC, or of the rank correlation of levels, where there is none."""
    compared = LABELS if study.measure is AUROC else LEVELS
    return f"There is no {compared.name}: {compared.undefined}."


def _gain_sentences(gains, measure):
    """A sentence for each model and gain; one for all whose 95 % CI holds 0, where these are many."""
    neutral = [(model, gain) for model, gain in gains if _holds_none(gain)]
    if len(neutral) <= n.MOST_LISTED:
        return [_gain_sentence(model, gain, measure) for model, gain in gains]
    changes = sorted(gain["value"] for _, gain in neutral)
    most = n.decimal(max(gain["high"] for _, gain in neutral))
    others = "other " if len(neutral) < len(gains) else ""
    together = (
        f"With any one of {len(neutral)} {others}kinds of features added, {measure.name} changes by "
        f"{n.signed(changes[0])} to {n.signed(changes[-1])}, each 95% CI holds 0, and a gain above {most} lies outside "
        "all of them."
    )
    rest = [_gain_sentence(model, gain, measure) for model, gain in gains if not _holds_none(gain)]
    return [*rest, together]


def _holds_none(gain):
    low, high = gain.get("low"), gain.get("high")
    return not n.lacks(low) and not n.lacks(high) and low <= 0 <= high


def _gain_sentence(model, gain, measure):
    low, high = gain.get("low"), gain.get("high")
    start = f"With {model.plain} added, {measure.name} changes by {n.gain(gain)}"
    if n.lacks(low) or n.lacks(high) or low > 0:
        return f"{start}."
    if high < 0:
        return f"{start}: a loss that the 95% CI does not explain by chance."
    return f"{start}: a gain above {n.decimal(high)} lies outside the 95% CI."


def leak_sentences(study: Study) -> Iterator[str]:
    """What is shared between folds, near-copies with the AUROC without them."""
    audit = study.audit
    if not audit:
        return
    leaks = audit["leaks"]
    torn = {
        word: leaks[key]["windows"] for key, word in (("gene", "a gene"), ("bases", "bases")) if leaks[key]["windows"]
    }
    if torn:
        shared = n.listed([f"{n.count(windows)} share {word}" for word, windows in torn.items()])
        windows = n.count(audit["held_out"])
        yield f"Of the {windows} held-out windows, {shared} with another fold: the numbers are too high."
    else:
        yield "No gene and no base is shared between folds."
    copies = leaks["homology"]
    if copies["windows"]:
        without = without_near_copies(study)
        yield (
            f"{n.plural(copies['windows'], 'window')} ({n.share(copies['share'])}) "
            f"{'has' if copies['windows'] == 1 else 'have'} a near-copy in another fold"
            + (f"; without them AUROC is {n.decimal(without)}." if without is not None else ".")
        )


def without_near_copies(study: Study) -> float:
    """The AUROC of the headline's model on introns without a near-copy in another fold; None where it is unknown."""
    model = study.baseline_model or (study.best_models or [None])[0]
    part = "covariates" if study.baseline_model else "alone"
    if model is None or part not in model.predictions or study.measure is not AUROC:
        return None
    kept = (model.metrics.get("without_near_copies") or {}).get("metrics") or {}
    if known := kept.get("features" if part == "alone" else part, {}).get("auroc"):
        return known["value"]
    if not study.near_copies:
        return None
    table = model.predictions[part]
    return auroc_within_folds(table[~table.index.isin(study.near_copies)], study.group_of)


def auroc_within_folds(table: pd.DataFrame, group_of: pd.Series | None = None) -> float:
    """The AUROC over pairs of introns of one fold, of predictions with label, fold and p_retained; None without pairs.

    Predictions of different folds are by different models, so that only those of one fold are compared. Pairs within a
    leakage group are left out, as fit does; ``group_of`` has the groups by name. Without it every row is one.
    """
    groups = table.index if group_of is None else group_of.reindex(table.index)
    folds = codes(table["fold"])
    auroc, _, pairs = auroc_without_blocks(table["label"], table["p_retained"], folds, codes(groups))
    return auroc if pairs else None


def ladder(study: Study) -> dict[str, Any]:
    """The rows of the ladder and its axis: ``{rows, low, high, ticks, groups, replicates}``; None without an AUROC."""
    rows = [row for row in _ladder_rows(study) if not n.lacks(row["metric"]["value"])]
    if not rows:
        return None
    ends = [
        end for row in rows for end in (row["metric"].get("low"), row["metric"].get("high"), row["metric"]["value"])
    ]
    ends = [end for end in ends if not n.lacks(end)]
    low = min(study.measure.axis[0], math.floor(min(ends) * 10) / 10)
    high = max(study.measure.axis[1], math.ceil(max(ends) * 10) / 10)
    for row in rows:
        row["track"] = track(row["metric"], low, high, study.measure.chance)
        row["value"], row["interval"] = n.decimal(row["metric"]["value"]), n.interval(row["metric"])
    step = 0.1 if high - low < 0.65 else 0.2
    first = math.ceil(round(low / step, 6)) * step
    ticks = [(n.decimal(value, 1), at(value, low, high)) for value in np.arange(first, high + 0.01, step)]
    for row in rows:
        row["grey"] = covers_chance(row["metric"], study.measure)
    return {"rows": rows, "ticks": ticks, "name": study.measure.name, "chance": f"{study.measure.chance:g}"}


def _ladder_rows(study):
    baseline, key = study.baseline_model, study.measure.key
    kinds: dict[str, Model] = {}
    if baseline:
        # a gain is over the covariates in a model of the same kind: each kind that is shown has its row of them
        for model in (baseline, *study.best_models):
            if model.of("covariates"):
                kinds.setdefault(model.kind, model)
    for kind, model in kinds.items():
        note = f"covariates, {kind}" if len(kinds) > 1 else "covariates"
        yield _row(n.capital(", ".join(study.covariates)), headline(model.of("covariates")), note=note, strong=True)
    for model in study.best_models:
        if model.of("combined") and key in model.of("combined"):
            gain, kind = model.gain().get(key), model.kind if len(kinds) > 1 else ""
            yield _row(
                f"+ {model.short}", model.of("combined")[key], n.gain(gain) if gain else "", note=kind, strong=True
            )
    for model in study.best_models:
        if key not in model.of("alone"):
            continue
        gain = model.gain("features").get(key)
        yield _row(f"{n.capital(model.short)} alone", model.of("alone")[key], n.gain(gain) if gain else "")
        within = model.metrics.get("auroc_within_strata")
        if within and within.get("value") is not None:
            note = "not shown to differ from chance" if covers_chance(within) else ""
            yield _row(f"{n.capital(model.short)} alone, among {study.unit}s of similar length and GC", within, note)
        pairs = model.metrics.get("auroc_within_matches")
        if pairs and pairs.get("value") is not None:
            note = "not shown to differ from chance" if covers_chance(pairs) else ""
            yield _row(
                f"{n.capital(model.short)} alone, within {n.plural(pairs['pairs'], 'matched pair')}", pairs, note
            )


def _row(name, metric, gain="", note="", strong=False):
    return {"name": name, "metric": metric, "gain": gain, "note": note, "strong": strong}


def track(metric: dict[str, float | None], low: float, high: float, chance: float) -> dict[str, float]:
    """Places of a dot, its interval and chance on an axis, in per cent: ``{dot, left, width, chance}``."""
    value = metric["value"]
    ends = [value if n.lacks(end) else end for end in (metric.get("low"), metric.get("high"))]
    left, right = (at(end, low, high) for end in ends)
    return {"dot": at(value, low, high), "left": left, "width": round(right - left, 2), "chance": at(chance, low, high)}


def at(value: float, low: float, high: float) -> float:
    """The place of a number on an axis in per cent of its length."""
    return round(100 * (min(max(value, low), high) - low) / (high - low), 2)
