"""The claims of Daoud & Ben-Hur (2025, PLoS Comput Biol 21:e1012755) as rules that a comparison decides.

Each rule finds the models it speaks of by what their model.json says, and answers ``supported``, ``contradicted``,
``undecided`` or ``not testable``. Contradicted means that at least half of the published difference is excluded; a
large p alone contradicts nothing. docs/compare.md has the rules as a table.
"""

import numpy as np
import pandas as pd

from intronaut.paper.claims_of_factors import NAMED_GROUPS, motifs_enriched, named_groups_involved
from intronaut.paper.computing import little_computing
from intronaut.paper.evidence import Evidence
from intronaut.paper.verdicts import (
    ALPHA,
    CONTRADICTED,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
    Verdict,
    holm_texts,
    lacking,
    one_sided_limits,
)  # fmt: skip
from intronaut.stats import model_comparison

__all__ = ["NAMED_GROUPS", "NOT_TESTABLE", "RULES", "STATEMENTS", "Evidence", "decide"]

# AUROC on the authors' test set of logistic regression on Sei's outputs; further below than TOLERANCE is no agreement
PUBLISHED_AUROC, TOLERANCE = 0.807, 0.03
# half of what the authors' test AUROCs differ by: FSei 0.815, logistic regression 0.807, Basset-like 0.795, DNABERT-2
# 0.762
HALF_OVER_BASSET = {"sei": 0.006, "fsei": 0.010}
HALF_OVER_DNABERT2, HALF_BY_FINE_TUNING, A_LITTLE = 0.0225, 0.004, 0.05
# a gain over the covariates that is not worth having
NO_GAIN = 0.01
FEW_GROUPS = 20
COLUMNS = ["claim", "statement", "verdict", "numbers", "rule", "smallest_detectable", "n", "rarer_groups"]
STATEMENTS = {
    "C1": "Sei's outputs and a linear model predict retention accurately (AUROC about 0.807)",
    "C2": "They are better than a convolutional network trained from scratch (Basset-like)",
    "C3": "Sei is better than DNABERT-2",
    "C4": "Fine-tuning Sei adds a little to the linear model",
    "C5": "Transcription factors alone, histone marks alone and all profiles do equally well",
    "C6": "The factors and marks named by the authors are involved",
    "C7": "Attributed regions carry motifs specific to retained introns",
    "C8": "The linear model needs little computing",
}
RULES = {
    "C1": "supported: one-sided 95 % lower limit of AUROC above 0.777, and a gain over the covariates whose 95 % "
          "interval lies above 0; contradicted: upper limit below 0.777, or gain below 0.01",
    "C2": "supported: every difference above 0 at Holm p < 0.05; contradicted: the simultaneous upper limit of one "
          "below 0.006 (linear) or 0.010 (fine-tuned)",
    "C3": "supported: every difference above 0 at Holm p < 0.05; contradicted: the simultaneous upper limit of one "
          "below 0.0225",
    "C4": "supported: difference above 0 at Holm p < 0.05; contradicted: upper limit below 0.004",
    "C5": "supported: every pair equal within the margin at Holm p < 0.05; contradicted: the simultaneous interval of "
          "a pair wholly outside the margin",
    "C6": "besides the covariates, on held-out halves; supported: at least 2 groups at Holm p < 0.05 with the stated "
          "sign, and more than twice those of the other sign; contradicted: at least 2 of the other sign and more than "
          "of the stated one, or every interval within 0.1 log-odds",
    "C7": "supported: at least half of 3 or more families at q < 0.05 with an odds ratio above 1, adjusted for GC "
          "content and length; contradicted: at least half with an upper limit below 1.1",
    "C8": "supported: embedding and fitting take at most half the seconds of fine-tuning Sei, on one kind of device "
          "and the same windows; contradicted: as many or more",
}  # fmt: skip


def decide(evidence: Evidence) -> pd.DataFrame:
    """The verdict on every claim: ``claim statement verdict numbers rule smallest_detectable n rarer_groups``.

    With fewer than 20 leakage groups of the rarer class no comparison is more than undecided; where no two windows can
    be ranked, none is testable.
    """
    by_auroc = {
        "C1": _accurate, "C2": _beats_basset, "C3": _beats_dnabert2, "C4": _fine_tuning_adds, "C5": _groups_equal,
    }  # fmt: skip
    if np.isnan(evidence.aurocs.values).any():
        by_auroc = dict.fromkeys(by_auroc, lambda _: lacking(f"an AUROC, and {model_comparison.LABELS.undefined}"))
    deciders = by_auroc | {
        "C6": lambda one: named_groups_involved(one.explained),
        "C7": lambda one: motifs_enriched(one.motifs, one.motif_summary),
    }
    verdicts = {claim: _unless_few(decider(evidence), evidence) for claim, decider in deciders.items()}
    verdicts["C8"] = little_computing(evidence)
    rows = [
        (
            claim,
            STATEMENTS[claim],
            one.word,
            one.numbers,
            RULES[claim],
            one.detectable,
            evidence.n,
            evidence.rarer_groups,
        )
        for claim, one in verdicts.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def of_levels(n: int, n_groups: int) -> pd.DataFrame:
    """The table of :func:`decide` for models of levels, of which no claim speaks; ``n`` windows in ``n_groups``."""
    lack = lacking("models of labels: the paper has none of levels")
    rows = [(claim, STATEMENTS[claim], lack.word, lack.numbers, RULES[claim], lack.detectable, n, n_groups)
            for claim in STATEMENTS]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _unless_few(verdict, evidence):
    if evidence.rarer_groups >= FEW_GROUPS or verdict.word not in (SUPPORTED, CONTRADICTED):
        return verdict
    why = f"only {evidence.rarer_groups} leakage groups hold the rarer class, fewer than {FEW_GROUPS}"
    return Verdict(UNDECIDED, f"{why}; {verdict.numbers}", verdict.detectable)


def _accurate(evidence):
    if not (linear := evidence.linear()):
        return lacking("a logistic regression on embed_sei features")
    at = linear[0]
    value, error = float(evidence.aurocs.values[at]), float(evidence.aurocs.covariance[at, at]) ** 0.5
    low, high = one_sided_limits(value, error, getattr(evidence.aurocs, "df", None))
    least = PUBLISHED_AUROC - TOLERANCE
    numbers = f"AUROC {value:.3f} (one-sided 95 % limits {low:.3f} and {high:.3f}); published {PUBLISHED_AUROC}"
    beside = evidence.baselines.get(at, {})
    if "covariates" not in beside:
        word = CONTRADICTED if high < least else UNDECIDED
        return Verdict(word, f"{numbers}; no covariates-only model beside it, so its gain over them is not known")
    gain = evidence.difference(beside.get("combined", at), beside["covariates"])
    word = UNDECIDED
    if low > least and gain.interval[0] > 0:
        word = SUPPORTED
    elif high < least or gain.interval[1] < NO_GAIN:
        word = CONTRADICTED
    return Verdict(word, f"{numbers}; {gain.text()}", gain.detectable())


def _better(evidence, pairs, least):
    """Whether the first model of every pair is better; ``least`` is half of the published difference of each pair."""
    estimates = [evidence.difference(a, b) for a, b in pairs]
    adjusted, numbers = holm_texts(estimates)
    m, word = len(pairs), UNDECIDED
    if all(one.value > 0 and p < ALPHA for one, p in zip(estimates, adjusted, strict=True)):
        word = SUPPORTED
    elif any(one.simultaneous(m)[1] < half for one, half in zip(estimates, least, strict=True)):
        word = CONTRADICTED
    return Verdict(word, numbers, max(one.detectable(m) for one in estimates))


def _beats_basset(evidence):
    linear, tuned, basset = evidence.linear(), evidence.of("fsei"), evidence.of("basset")
    if not (linear or tuned) or not basset:
        return lacking("a model on embed_sei features or fine-tuned Sei, and a Basset-like network")
    pairs = [(a, b) for a in linear + tuned for b in basset]
    return _better(evidence, pairs, [HALF_OVER_BASSET["sei" if a in linear else "fsei"] for a, _ in pairs])


def _beats_dnabert2(evidence):
    sei, dnabert2 = evidence.linear(), evidence.of("dnabert2")
    if not sei or not dnabert2:
        return lacking("a logistic regression on embed_sei features and a DNABERT-2 model")
    pairs = [(a, b) for a in sei for b in dnabert2]
    return _better(evidence, pairs, [HALF_OVER_DNABERT2] * len(pairs))


def _fine_tuning_adds(evidence):
    tuned, linear = evidence.of("fsei"), evidence.linear()
    if not tuned or not linear:
        return lacking("fine-tuned Sei and a logistic regression on embed_sei features")
    pairs = [(a, b) for a in tuned for b in linear]
    verdict = _better(evidence, pairs, [HALF_BY_FINE_TUNING] * len(pairs))
    more = verdict.word == SUPPORTED and any(
        evidence.difference(a, b).simultaneous(len(pairs))[1] >= A_LITTLE for a, b in pairs
    )
    return verdict._replace(numbers=f"more than a little is possible: {verdict.numbers}") if more else verdict


def _groups_equal(evidence):
    models = [at for group in ("tf", "histone", "all") for at in evidence.of(f"sei logistic {group}")[:1]]
    if len(models) < 3:
        return lacking("logistic regressions on the groups tf, histone and all of embed_sei features")
    pairs = [(a, b) for place, a in enumerate(models) for b in models[place + 1 :]]
    estimates, m, margin = [evidence.difference(a, b) for a, b in pairs], len(pairs), evidence.margin
    adjusted = model_comparison.holm([one.equivalence_p(margin) for one in estimates])
    texts = [
        one.text(f"equal within {margin:g}: Holm p = {p:.2g}", m) for one, p in zip(estimates, adjusted, strict=True)
    ]
    limits = [one.simultaneous(m) for one in estimates]
    word = UNDECIDED
    if (adjusted < ALPHA).all():
        word = SUPPORTED
    elif any(low > margin or high < -margin for low, high in limits):
        word = CONTRADICTED
    return Verdict(word, "; ".join(texts), max(one.detectable(m) for one in estimates))
