"""The study that every section of the report is written from: labels, models, and the tables of the other tools."""

from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from intronaut.io import tables
from intronaut.report.covariates import covariate_words

# the name of a set of features in a sentence, and alone in a table
PLAIN_NAMES = {
    "motifs": "transcription-factor motifs",
    "kmers": "k-mer frequencies",
    "sei": "Sei chromatin profiles",
    "dnabert2": "DNABERT-2 features",
    "splice": "splice-network scores",
    "tracks": "measured chromatin",
    "rna": "motifs of RNA-binding proteins",
    "joined": "all features side by side",
}
SHORT_NAMES = {"motifs": "motifs", "kmers": "k-mers", "sei": "Sei profiles", "dnabert2": "DNABERT-2"}
# a run's model tables: linear models write the first, trees the second, networks none
PARAMETER_TABLES = {
    "coefficients.tsv": "weight of every feature",
    "importance.tsv": "gain and number of splits of every feature",
}
# where windows lie that are not around the intron's centre
PLACES = {"donor": " at donors", "acceptor": " at acceptors"}


@dataclass(frozen=True)
class Measure:
    """What says how well retention is predicted: ``limits`` of the lower end of its CI, below which it is not, weakly
    and moderately predictable; ``axis`` is what a plot shows at least."""

    key: str
    name: str
    chance: float
    limits: tuple
    axis: tuple


AUROC = Measure("auroc", "AUROC", 0.5, (0.5, 0.65, 0.8), (0.4, 0.9))
# of levels: Spearman's correlation within folds
RANK_CORRELATION = Measure("spearman", "rank correlation", 0.0, (0.0, 0.3, 0.6), (0.0, 0.9))


@dataclass
class Model:
    """One folder of fit or finetune.

    ``metrics`` is metrics.json; ``predictions`` maps ``alone``, ``covariates`` and ``combined`` to held-out
    predictions, indexed by name.
    """

    name: str
    metrics: dict
    about: dict
    predictions: dict
    tables: list

    @property
    def kind(self) -> str:
        return self.metrics["model"]

    @property
    def preset(self) -> str:
        return self.about.get("preset", "default")

    @property
    def embedder(self) -> str:
        """The embedder that computed the features; empty for a network, which has none, and for a user's matrix."""
        provenance = self.about.get("features", {})
        tool = provenance.get("tool") or ""
        if tool == "embed_motifs" and provenance.get("strands") == 1:
            return "rna"
        return "" if tool == "finetune" else tool.removeprefix("embed_")

    @property
    def feature_set(self) -> str:
        """What the model reads, as an identifier: models of several kinds on the same features share it."""
        if not self.embedder:
            return self.name
        group = self.about.get("feature_group")
        anchor = (self.about["features"].get("window") or {}).get("anchor")
        return self.embedder + (f" ({group})" if group not in (None, "all") else "") + PLACES.get(anchor, "")

    @property
    def plain(self) -> str:
        """The feature set in a sentence."""
        return self._named(PLAIN_NAMES)

    @property
    def short(self) -> str:
        """The feature set in a table or a figure's key."""
        return self._named({**PLAIN_NAMES, **SHORT_NAMES})

    def _named(self, names):
        plain = names.get(self.embedder)
        if not plain:
            return f"the network {self.name}" if self.about.get("features", {}).get("tool") == "finetune" else self.name
        return plain + self.feature_set.removeprefix(self.embedder)

    @property
    def weights_note(self) -> str | None:
        return self.about.get("features", {}).get("weights_note")

    def of(self, part: str) -> dict[str, dict[str, float | None]]:
        """The metrics of ``alone``, ``covariates`` or ``combined``; None where the model has no baseline."""
        return self.metrics["metrics"] if part == "alone" else (self.metrics.get("baseline") or {}).get(part)

    def gain(self, part: str = "combined") -> dict[str, dict[str, float | None]]:
        """The gain over the covariates of ``combined`` or ``features`` (alone), by metric; empty without a baseline."""
        return (self.metrics.get("gain") or {}).get(f"{part}_minus_covariates") or {}


@dataclass
class Study:
    """Everything that the page is written from; what a study has not is empty or None."""

    labels: pd.DataFrame
    counts: dict
    ledger: pd.DataFrame
    models: list
    audit: dict | None = None
    near_copies: frozenset = frozenset()
    balance: list = field(default_factory=list)
    matched: dict | None = None
    agreement: dict | None = None
    comparison: dict | None = None
    partition: pd.DataFrame | None = None
    explanations: dict = field(default_factory=dict)
    motifs: list = field(default_factory=list)
    enrichments: list = field(default_factory=list)
    variants: list = field(default_factory=list)
    transfers: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    day: date | None = None
    quantified: dict | None = None

    @property
    def unit(self) -> str:
        return self.counts["unit"]

    @property
    def measure(self) -> Measure:
        """AUROC for labels, the rank correlation for levels and their differences."""
        if not self.models:
            return AUROC
        return AUROC if any("auroc" in model.of("alone") for model in self.models) else RANK_CORRELATION

    @property
    def target(self) -> str:
        """What the models learnt: ``label``, ``level`` or ``difference``."""
        if self.measure is AUROC:
            return "label"
        return "difference" if self.models[0].about.get("target") == "difference" else "level"

    @property
    def known(self) -> pd.DataFrame:
        """The rows of the labels that are retained or spliced."""
        return self.labels[self.labels["label"].notna()]

    def of_class(self, label: int) -> pd.DataFrame:
        return self.labels[self.labels["label"] == label]

    @property
    def measured(self) -> bool:
        """Whether the labels come from RNA-seq, by a caller, rather than from the annotation alone."""
        return bool(self.settings.get("ir_calls") or self.counts.get("callers"))

    @property
    def callers(self) -> list[str]:
        """Who called retention, for a sentence; the tables of quantify_introns are of no other program."""
        return [{"intronaut": "quantify_introns"}.get(name, name) for name in self.counts.get("callers") or {}]

    @property
    def why_no_models(self) -> str | None:
        """Why no model was fitted, by label_introns; None where there are models."""
        if self.models:
            return None
        target = self.settings.get("target") or "label"
        return (self.counts.get("no_study") or {}).get(target) or "no folder of fit was given"

    @property
    def is_matched(self) -> bool:
        return "match" in self.labels

    @property
    def name_of_gene(self) -> pd.Series:
        """The gene of every row, by name or else by id; a dash where it has none."""
        name = self.labels["gene_name"].where(self.labels["gene_name"].astype(object) != "")
        return name.fillna(self.labels["gene_id"]).fillna("–")

    @property
    def group_of(self) -> pd.Series | None:
        """The leakage group of every row by its name; None where the labels have none."""
        return self.labels.set_index("name")["group"] if "group" in self.labels else None

    @property
    def covariates(self) -> list[str]:
        """What the covariates-only models know, in words."""
        given = self.labels.columns.intersection(tables.COVARIATES)
        users = [name for model in self.models for name in model.about.get("covariates") or {}]
        return covariate_words([*given[self.labels[given].notna().any()], *users])

    @property
    def best_models(self) -> list[Model]:
        """For each feature set the kind of model with the highest held-out AUROC, in order of the given models."""
        best = {}
        for model in self.models:
            value = headline(model.of("combined") or model.of("alone"))["value"]
            known = best.get(model.feature_set)
            if known is None or value > known[0]:
                best[model.feature_set] = value, model
        return [model for _, model in best.values()]

    @property
    def baseline_model(self) -> Model:
        """The model whose covariates-only baseline ranks best; None where no model has one."""
        with_one = [model for model in self.models if model.of("covariates")]
        return max(with_one, key=lambda model: headline(model.of("covariates"))["value"], default=None)


def headline(metrics: dict[str, dict[str, float | None]]) -> dict[str, float]:
    """The metric by which a model is described: AUROC, or for levels the rank correlation."""
    for key in (AUROC.key, RANK_CORRELATION.key):
        if key in metrics and metrics[key].get("value") is not None:
            return metrics[key]
    return {"value": float("nan"), "low": None, "high": None}
