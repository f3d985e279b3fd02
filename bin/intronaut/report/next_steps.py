"""What to do next: sentences with the options of this pipeline, printed only where their condition holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from intronaut.report import associations, flags, verdict
from intronaut.report import numbers as n
from intronaut.report.study import headline

if TYPE_CHECKING:
    from intronaut.report.study import Study

FEW = 1000
WEIGHTS = {
    "sei": "--sei_weights sei.pth",
    "dnabert2": "--dnabert2_weights model.safetensors",
    "splice": "--splice_weights splice.safetensors",
}
# what to do about a flag that fails or warns, what to say after its reason, and the option that does it
BY_FLAG = {
    "leakage": ("Split the introns again.", "Every number here is too high. Let the pipeline assign whole groups:",
                "--split folds"),
    "near_copies": ("Keep near-copies in one fold.", "Assign them together:", "--homology 0.8"),
    "callers": ("Ask that several callers agree.", "Each calls other introns:", "--ir_consensus 2"),
    "splice_sites": ("Give annotation and genome of one assembly.", "Both must be of the same build:",
                     "--gtf genes.gtf.gz --fasta genome.fa.gz"),
    "short": ("Leave out gaps between exons that are too short to be spliced.", "", "--min_length 30"),
    "matching": ("Match on fewer covariates", "or give more introns to choose from."),
    "motif_gc": ("Read no motif family as a finding:", "their effects follow their GC content."),
    "calibration": ("Calibrate before you take a probability at its word.", "", "--calibration platt"),
}  # fmt: skip


class Step(NamedTuple):
    """What to do, why and how, and the option of the pipeline that does it, if one does."""

    what: str
    why: str
    option: str = ""

    @property
    def title(self) -> str:
        """What to do, without the sign that joins it to the why."""
        return self.what.rstrip(".,:")


# where no flag and no number calls for a step
REPEAT = Step("Repeat it in other data:", "no check of this run calls for anything before that.")


def steps(study: Study, quality: list[dict[str, str]]) -> list[Step]:
    """Each step that the flags ``quality`` and the numbers call for, the most urgent first; at least one."""
    return [Step(*step) for step in _every(study, quality) if step] or [REPEAT]


def _every(study, quality):
    key = study.measure.key
    gains = [model.gain()[key] for model in study.best_models if key in model.gain()]
    nothing_added = bool(gains) and all(n.lacks(gain.get("low")) or gain["low"] <= 0 for gain in gains)
    strength = _of_covariates(study)
    too_few = strength == verdict.UNDECIDED or any(
        (flag["key"], flag["state"]) == ("retained", "fail") for flag in quality
    )
    yield _too_little(study)
    yield _random_weights(study)
    yield from _of_flags(study, quality, "fail")
    if study.models and too_few:
        yield _more_introns(study, gains)
    if strength == verdict.STRENGTHS[0]:
        yield (
            "Look at the labels first.",
            "Not even length, GC content and position predict them better than chance. "
            + (
                "Are the calls of this assembly, deep enough, and of the right columns and thresholds?"
                if study.measured
                else "Is the annotation that of this assembly, with retained introns of its own?"
            ),
            "--check",
        )
    if not study.measured:
        yield (
            "Use measured retention.",
            "The labels come from the annotation alone. Give the output of IRFinder, rMATS or another caller:",
            "--ir_calls calls.tsv",
        )
    yield _matching(study)
    yield _other_features(study, nothing_added)
    yield from _of_flags(study, quality, "warn")
    if not too_few and len(study.of_class(1)) < FEW and nothing_added:
        yield _more_introns(study, gains)
    yield _follow_up(study, quality)


def _of_flags(study, quality, state):
    for flag in quality:
        # where near-copies are assigned together already, what is left lies below that identity
        done = flag["key"] == "near_copies" and study.settings.get("homology")
        if flag["state"] == state and flag["key"] in BY_FLAG and not done:
            what, why, *option = BY_FLAG[flag["key"]]
            reason = f"{flag['reason']} {why}" if what.endswith(".") else f"{why} {flag['reason']}"
            yield what, reason.strip(), *option


def _of_covariates(study):
    """How well the covariates alone predict, in the verdict's words; None without them."""
    model = study.baseline_model
    return verdict.strength(headline(model.of("covariates")), study.measure) if model else None


def _matching(study):
    differences = flags.standardised_differences(study)
    worst = max((abs(differences.get(name, 0)) for name in ("length", "gc")), default=0)
    if not study.models or study.is_matched or worst <= 0.1:
        return None
    return (
        "Compare introns of the same length and base content.",
        f"Retained introns differ by |SMD| {n.decimal(abs(differences.get('length', 0)), 2)} in log length and "
        f"{n.decimal(abs(differences.get('gc', 0)), 2)} in GC content. Match them:",
        "--match length,gc",
    )


def _more_introns(study, gains):
    open_gain = max((gain["high"] for gain in gains if not n.lacks(gain.get("high"))), default=None)
    left = f" leave a gain of up to {n.decimal(open_gain)} open." if open_gain and open_gain > 0 else " are few."
    return "Use more introns,", f"at best the whole genome. {n.plural(len(study.of_class(1)), 'retained intron')}{left}"


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
    return "Measure more introns:", "deeper samples, several of one condition, or more of the genome."


def _random_weights(study):
    random = [model for model in study.models if "random" in (model.weights_note or "")]
    options = list(dict.fromkeys(WEIGHTS[model.embedder] for model in random if model.embedder in WEIGHTS))
    if not random:
        return None
    return "Give real weights.", "These models ran with random ones:", " ".join(options)


def _other_features(study, nothing_added):
    embedders = {model.embedder for model in study.models}
    if nothing_added and "sei" not in embedders:
        names = ",".join(sorted(embedders - {""}) + ["sei"])
        return (
            "Try features that hold more.",
            "No gain over the covariates is shown here; chromatin profiles may add one (weights needed, GPU advised):",
            f"--embedders {names}",
        )
    return None


def _follow_up(study, quality):
    if not study.explanations and not study.motifs:
        return None
    chosen = [name for one in study.explanations.values() for name in associations.selected_groups(one)["group"]]
    follow_gc = any(flag["key"] == "motif_gc" and flag["state"] in ("warn", "fail") for flag in quality)
    for motifs in [] if follow_gc else study.motifs[:1]:
        families = motifs["families"]
        chosen += list(families.loc[families["q"] <= associations.FDR, "family"])
    if not chosen:
        return "Do not follow up single motifs or factors", "from this run: none holds."
    names, _ = n.cut(list(dict.fromkeys(chosen)), 5)
    return "Test these associations in other data", f"before following them up: {names}."
