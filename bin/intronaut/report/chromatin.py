"""Predicted chromatin against measured: how well either predicts retention, and whether they agree factor by factor."""

from typing import Any

from intronaut.report import numbers as n
from intronaut.report.study import Study, headline

PREDICTED, MEASURED = "sei", "tracks"
SHOWN = 20


def section(study: Study) -> dict[str, Any] | None:
    """Values of the section's template; None where the study does not have both."""
    predicted, measured = (_best(study, embedder) for embedder in (PREDICTED, MEASURED))
    if predicted is None or measured is None:
        return None
    both = [
        _model(name, model, study.measure.key) for name, model in (("predicted", predicted), ("measured", measured))
    ]
    factors, shared = _factors(study, predicted, measured)
    agree = sum(row["agree"] == "yes" for row in factors)
    return {
        "models": both, "factors": factors[:SHOWN], "shared": shared, "measure": study.measure.name,
        "agree": f"{agree} of {n.plural(len(factors), 'factor')}" if factors else "",
    }  # fmt: skip


def _best(study, embedder):
    return next((model for model in study.best_models if model.embedder == embedder), None)


def _model(name, model, key):
    gain = model.gain().get(key)
    note = f", {model.weights_note}" if model.weights_note == "random weights" else ""
    return {"name": f"{name} ({model.short}{note})", "alone": n.estimate(headline(model.of("alone"))),
            "gain": n.gain(gain) if gain else n.MISSING}  # fmt: skip


def _factors(study, predicted, measured):
    """``(rows, how many factors both have)``: the effects of factors that both explanations refitted."""
    tables = [study.explanations.get(model.name) for model in (predicted, measured)]
    if None in tables:
        return [], 0
    by_group = [one["groups"].drop_duplicates("group").set_index("group") for one in tables]
    both = by_group[0].index.intersection(by_group[1].index)
    rows = []
    for factor in both:
        effects = [_effect(groups.loc[factor]) for groups in by_group]
        if None not in effects:
            one, other = effects
            agree = "yes" if one["value"] * other["value"] > 0 else "no"
            rows.append({"factor": factor, "predicted": n.gain(one, 2), "measured": n.gain(other, 2), "agree": agree})
    return rows, len(both)


def _effect(row):
    """The effect of a group beside the covariates, refitted on halves that did not select it; None where it was not."""
    for prefix in ("adjusted_", ""):
        effect = {key: row.get(f"{prefix}refit{end}") for key, end in
                 (("value", ""), ("low", "_low"), ("high", "_high"))}  # fmt: skip
        if not n.lacks(effect["value"]):
            return effect
    return None
