"""The claims of Daoud & Ben-Hur (2025, PLoS Comput Biol 21:e1012755) as rules that a comparison decides.

Each rule finds the models it speaks of by what their model.json says, and answers supported, not supported, or not
testable here with the reason. A difference counts when its Holm-adjusted p is below 0.05 within the claim.
"""

from dataclasses import dataclass, field

import pandas as pd

from intronaut.stats import model_comparison

ALPHA = 0.05
SUPPORTED, NOT_SUPPORTED, NOT_TESTABLE = "supported", "not supported", "not testable here"
# AUROC of logistic regression on Sei's outputs in the authors' result files, and how far from it still agrees
PUBLISHED_AUROC = 0.807
NAMED_GROUPS = (
    "POLR2A", "Pol2", "Pol2(phosphoS2)", "MYC", "ZNF274", "ZNF101", "EZH1", "EZH2", "KMT2D", "H3K27me3",
)  # fmt: skip
# how the names of the factors begin whose motifs lead the authors' table
NAMED_MOTIFS = ("TFAP2", "TCF", "KLF", "ZBTB", "EGR", "MXI1", "MYC")
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


@dataclass
class Judged:
    """What the rules look at: models by name, their notes (model.json), and paired AUROCs in the order of names,
    the table of metrics with intervals (models.tsv), the stability of the groups of explain, and the families and
    summary of find_motifs.
    """

    names: list
    notes: list
    aurocs: model_comparison.Aurocs
    metrics: pd.DataFrame
    margin: float
    stability: dict = field(default_factory=dict)
    motifs: pd.DataFrame | None = None
    motif_summary: dict = field(default_factory=dict)

    def of(self, *roles):
        """Positions of the models that play one of the roles."""
        return [at for at, notes in enumerate(self.notes) if role(notes) in roles]

    def better(self, pairs):
        """Verdict and numbers on whether the first of every pair has the higher AUROC."""
        found = [self.aurocs.difference(a, b) for a, b in pairs]
        adjusted = model_comparison.holm([model_comparison.two_sided_p(*one) for one in found])
        told = [
            f"{self.names[a]} − {self.names[b]} = {difference:+.3f} (95 % {difference - 1.96 * error:+.3f} to "
            f"{difference + 1.96 * error:+.3f}, Holm p = {p:.2g})"
            for (a, b), (difference, error), p in zip(pairs, found, adjusted, strict=True)
        ]
        won = all(one[0] > 0 and p < ALPHA for one, p in zip(found, adjusted, strict=True))
        return SUPPORTED if won else NOT_SUPPORTED, "; ".join(told)


def role(notes):
    """What a model is in the claims: ``sei logistic all``, ``dnabert2``, ``basset`` …; ``""`` for none of them."""
    if not notes:
        return ""
    kind, tool = notes.get("kind", ""), notes.get("features", {}).get("tool", "")
    if tool == "embed_sei":
        group = notes.get("feature_group", "all").removeprefix("kind=")
        return f"sei {kind} {group}"
    if tool == "embed_dnabert2":
        return "dnabert2"
    return next((name for name in ("fsei", "dnabert2", "basset", "basenji", "attentionconv") if name in kind), "")


def decide(judged):
    """The verdict on every claim: DataFrame ``claim statement verdict numbers``."""
    rules = {"C1": _accurate, "C2": _beats_basset, "C3": _beats_dnabert2, "C4": _fine_tuning_adds, "C5": _groups_equal,
             "C6": _named_groups, "C7": _motifs, "C8": _little_computing}  # fmt: skip
    rows = [(claim, STATEMENTS[claim], *rule(judged)) for claim, rule in rules.items()]
    return pd.DataFrame(rows, columns=["claim", "statement", "verdict", "numbers"])


def _lacking(what):
    return NOT_TESTABLE, f"needs {what}"


def _linear(judged):
    """The linear model on Sei's outputs that has most of them."""
    found = judged.of("sei logistic all") or judged.of("sei logistic tf")
    return found[:1]


def _accurate(judged):
    if not (linear := _linear(judged)):
        return _lacking("a logistic regression on embed_sei features")
    metrics = judged.metrics.set_index("model").loc[judged.names[linear[0]]]
    value, low, high = metrics[["auroc", "auroc_low", "auroc_high"]]
    told = f"AUROC {value:.3f} (95 % {low:.3f} to {high:.3f}); published {PUBLISHED_AUROC}"
    if "covariates" not in judged.names:
        return (SUPPORTED if high >= PUBLISHED_AUROC else NOT_SUPPORTED), told
    verdict, against = judged.better([(linear[0], judged.names.index("covariates"))])
    return (verdict if high >= PUBLISHED_AUROC else NOT_SUPPORTED), f"{told}; {against}"


def _beats_basset(judged):
    sei, basset = _linear(judged) + judged.of("fsei"), judged.of("basset")
    if not sei or not basset:
        return _lacking("a model on embed_sei features or fine-tuned Sei, and a Basset-like network")
    return judged.better([(a, b) for a in sei for b in basset])


def _beats_dnabert2(judged):
    sei, dnabert2 = _linear(judged), judged.of("dnabert2")
    if not sei or not dnabert2:
        return _lacking("a logistic regression on embed_sei features and a DNABERT-2 model")
    return judged.better([(a, b) for a in sei for b in dnabert2])


def _fine_tuning_adds(judged):
    tuned, linear = judged.of("fsei"), _linear(judged)
    if not tuned or not linear:
        return _lacking("fine-tuned Sei and a logistic regression on embed_sei features")
    return judged.better([(a, b) for a in tuned for b in linear])


def _groups_equal(judged):
    found = [at for group in ("tf", "histone", "all") for at in judged.of(f"sei logistic {group}")[:1]]
    if len(found) < 3:
        return _lacking("logistic regressions on the groups tf, histone and all of embed_sei features")
    pairs = [(a, b) for place, a in enumerate(found) for b in found[place + 1 :]]
    differences = [judged.aurocs.difference(a, b) for a, b in pairs]
    adjusted = model_comparison.holm([model_comparison.equivalence_p(*one, judged.margin) for one in differences])
    told = [
        f"{judged.names[a]} − {judged.names[b]} = {difference:+.3f} (equal within {judged.margin}: Holm p = {p:.2g})"
        for (a, b), (difference, _), p in zip(pairs, differences, adjusted, strict=True)
    ]
    return (SUPPORTED if (adjusted < ALPHA).all() else NOT_SUPPORTED), "; ".join(told)


def _named_groups(judged):
    found = {name: row for name, row in judged.stability.items() if name in NAMED_GROUPS}
    if not found:
        return _lacking("an explain folder (--explain) of embed_sei features grouped by target, with --labels")
    stable = [name for name, row in found.items() if row["low"] > 0 or row["high"] < 0]
    told = [
        f"{name} {row['coefficient_sum']:+.2g} ({row['low']:+.2g} to {row['high']:+.2g})" for name, row in found.items()
    ]
    verdict = SUPPORTED if len(stable) > len(found) / 2 else NOT_SUPPORTED
    return verdict, f"{len(stable)} of {len(found)} groups have intervals that exclude 0: {'; '.join(told)}"


def _motifs(judged):
    if judged.motifs is None:
        return _lacking("a folder of find_motifs (--motifs)")
    if not judged.motif_summary.get("attributions"):
        return _lacking("sites in attributed regions: the folder (--motifs) was made without --attributions")
    factors = judged.motifs["factors"].str.upper().str.split(";")
    named = factors.map(lambda names: any(name.startswith(NAMED_MOTIFS) for name in names))
    tested = judged.motifs[named & judged.motifs["q"].notna()]
    if tested.empty:
        return _lacking("families with the named factors that could be tested: there are none in the folder (--motifs)")
    enriched = tested[(tested["q"] < ALPHA) & (tested["odds_ratio"] > 1)]
    verdict = SUPPORTED if len(enriched) > len(tested) / 2 else NOT_SUPPORTED
    told = (
        f"{len(enriched)} of {len(tested)} families with the named factors are more common in retained windows at q < "
        f"{ALPHA}, adjusted for {judged.motif_summary.get('adjust')}; sites in attributed regions"
    )
    rho = judged.motif_summary.get("gc_correlation", {}).get("unadjusted")
    return verdict, told + ("" if rho is None else f"; motif GC and effect correlate by {rho:.2f} unadjusted")


def _little_computing(judged):
    tuned, linear = judged.of("fsei", "basset", "basenji", "attentionconv"), _linear(judged)
    sizes = {at: judged.notes[at].get("n_parameters") for at in linear + tuned}
    if not tuned or not linear or None in sizes.values():
        return _lacking("a logistic regression on embed_sei features and a fine-tuned network")
    told = "; ".join(f"{judged.names[at]}: {size:,} fitted parameters" for at, size in sizes.items())
    smaller = all(sizes[linear[0]] * 10 <= sizes[at] for at in tuned)
    return (SUPPORTED if smaller else NOT_SUPPORTED), f"{told}; time and memory are in the trace of the run"
