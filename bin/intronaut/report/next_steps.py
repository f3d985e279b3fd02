"""What to do next: sentences with the options of this pipeline, printed only where their condition holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intronaut.report import associations, flags
from intronaut.report import numbers as n

if TYPE_CHECKING:
    from intronaut.report.study import Study

FEW = 1000
WEIGHTS = {
    "sei": "--sei_weights sei.pth",
    "dnabert2": "--dnabert2_weights model.safetensors",
    "splice": "--splice_weights splice.safetensors",
}


def steps(study: Study) -> list[tuple[str, str, str]]:
    """``(what, why and how, option)`` of each step that the flags and numbers call for."""
    return [step for step in _every(study) if step]


def _every(study):
    retained = len(study.of_class(1))
    differences = flags.standardised_differences(study)
    key = study.measure.key
    gains = [model.gain()[key] for model in study.best_models if key in model.gain()]
    nothing_added = bool(gains) and all(n.lacks(gain.get("low")) or gain["low"] <= 0 for gain in gains)
    yield _too_little(study)
    yield _random_weights(study)
    yield _leakage(study)
    if not study.measured:
        yield (
            "Use measured retention.",
            "The labels come from the annotation alone. Give the output of IRFinder, rMATS or another caller:",
            "--ir_calls calls.tsv",
        )
    worst = max((abs(differences.get(name, 0)) for name in ("length", "gc")), default=0)
    if study.models and not study.is_matched and worst > 0.1:
        yield (
            "Compare introns of the same length and base content.",
            f"Retained introns differ by |SMD| {n.decimal(abs(differences.get('length', 0)), 2)} in log length and "
            f"{n.decimal(abs(differences.get('gc', 0)), 2)} in GC content. Match them:",
            "--match length,gc",
        )
    yield _other_features(study, nothing_added)
    copies = study.audit["leaks"]["homology"] if study.audit else {"share": 0}
    if copies["share"] >= 0.01 and not study.settings.get("homology"):
        yield (
            "Keep near-copies in one fold.",
            f"Of the windows, {n.count(copies['windows'])} ({n.share(copies['share'])}) have one in another fold:",
            "--homology 0.8",
        )
    if retained < FEW and nothing_added:
        open_gain = max((gain["high"] for gain in gains if not n.lacks(gain.get("high"))), default=None)
        left = f" leave a gain of up to {n.decimal(open_gain)} open." if open_gain and open_gain > 0 else " are few."
        yield "Use more introns,", f"at best the whole genome. {n.plural(retained, 'retained intron')}{left}", ""
    yield _follow_up(study)


def _too_little(study):
    """What lets models be fitted where they could not be."""
    if study.models:
        return None
    if (study.counts.get("no_study") or {}).get("level", "unknown") is None:
        return (
            "Fit levels instead of labels.",
            "Of enough introns the level is measured, though their class is not called:",
            "--target level",
        )
    return "Measure more introns:", "deeper samples, several of one condition, or more of the genome.", ""


def _random_weights(study):
    random = [model for model in study.models if "random" in (model.weights_note or "")]
    options = list(dict.fromkeys(WEIGHTS[model.embedder] for model in random if model.embedder in WEIGHTS))
    if not random:
        return None
    return "Give real weights.", "These models ran with random ones:", " ".join(options)


def _leakage(study):
    if any(flag["state"] == "fail" for flag in flags.leakage(study)):
        return (
            "Split the introns anew.",
            "Folds share genes or bases, so that every number here is too high. Let the pipeline deal whole groups:",
            "--split folds",
        )
    return None


def _other_features(study, nothing_added):
    embedders = {model.embedder for model in study.models}
    if nothing_added and "sei" not in embedders:
        names = ",".join(sorted(embedders - {""}) + ["sei"])
        return (
            "Try features that hold more.",
            "What was added here adds nothing measurable; chromatin profiles may (weights needed, GPU advised):",
            f"--embedders {names}",
        )
    return None


def _follow_up(study):
    if not study.explanations and not study.motifs:
        return None
    chosen = [name for one in study.explanations.values() for name in associations.selected_groups(one)["group"]]
    for motifs in study.motifs[:1]:
        families = motifs["families"]
        chosen += list(families.loc[families["q"] <= associations.FDR, "family"])
    if not chosen:
        return "Do not", "follow up single motifs or factors from this run: none is selected.", ""
    names, _ = n.cut(list(dict.fromkeys(chosen)), 5)
    return "Test what is selected in other data", f"before following it up: {names}.", ""
