"""What make_report reads: the folders of the other tools, in one Study that every section is written from."""

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from intronaut.core.errors import BadData
from intronaut.core.files import require_file
from intronaut.core.json_files import read_record
from intronaut.io import tables
from intronaut.plots.page import embedded
from intronaut.report.covariates import covariate_words
from intronaut.report.model_files import read_metrics, read_predictions
from intronaut.report.reads import read_quantified
from intronaut.report.transfers import read_transfer

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
PARTS = (("alone", "."), ("covariates", "covariates"), ("combined", "combined"))


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


def read_study(args: Namespace) -> Study:
    """The Study of make_report's options. Raises MissingInput, and BadData for files of other tools or introns."""
    labels = tables.read_labels(args.labels)
    audit = read_summary(args.audit, "audit_split", ("held_out", "leaks")) if args.audit else None
    settings = read_record(args.settings) if args.settings else {}
    folders = sorted(args.fit, key=lambda path: Path(path).name)
    return Study(
        labels=labels,
        counts=read_summary(args.counts, "label_introns", ("unit", "labels", "unlabelled", "n_input")),
        ledger=tables.read_table(args.ledger, ("reason",)),
        models=[read_model(folder, labels, args.labels) for folder in folders],
        audit=audit,
        near_copies=read_near_copies(args.audit_pairs) if args.audit_pairs else frozenset(),
        balance=read_records(args.balance, ("covariate", "smd_before", "smd_after")) if args.balance else [],
        matched=read_record(args.matched).get("covariates_auroc") if args.matched else None,
        agreement=read_agreement(args.agreement) if args.agreement else None,
        comparison=read_comparison(args.compare) if args.compare else None,
        partition=tables.read_table(Path(args.partition) / "partition.tsv") if args.partition else None,
        explanations={Path(folder).name: read_explanation(folder) for folder in args.explain},
        motifs=[read_motifs(folder) for folder in args.motifs],
        enrichments=[read_enrichment(folder) for folder in args.enrich],
        variants=[read_variants(folder) for folder in args.variants],
        transfers={Path(path).stem.removeprefix("transfer_"): read_transfer(path) for path in args.transfer},
        settings=settings,
        day=args.date,
        quantified=read_quantified(args.quantified, read_svg) if args.quantified else None,
    )


def read_model(folder: Path | str, labels: pd.DataFrame, labels_path: str) -> Model:
    """A Model of a folder of fit or finetune and of the baseline folders inside it.

    Raises MissingInput, and BadData for predictions of introns that the labels do not hold.
    """
    folder = Path(folder)
    metrics = read_metrics(folder / "metrics.json")
    predictions = {}
    for part, inside in PARTS:
        path = folder / inside / "predictions.tsv"
        if part == "alone" or path.exists():
            predictions[part] = read_predictions(path)
    names = predictions["alone"].index
    if strangers := int((~names.isin(labels["name"])).sum()):
        raise BadData(
            f"{folder}: {strangers:,} of its {len(names):,} predictions are of introns that {labels_path} does not "
            "hold; give --labels the table that this model was fitted on"
        )
    about = read_record(folder / "model.json") if (folder / "model.json").exists() else {}
    written = [name for name in PARAMETER_TABLES if (folder / name).exists()]
    return Model(folder.name, metrics, about, predictions, written)


def read_near_copies(path: Path | str) -> frozenset[str]:
    """The names of the windows that have a near-copy in another fold, of audit.tsv."""
    pairs = tables.read_table(path, ("leak", "name_1", "name_2"))
    pairs = pairs[pairs["leak"] == "homology"]
    return frozenset(pairs["name_1"]) | frozenset(pairs["name_2"])


def read_agreement(folder: Path | str) -> dict[str, Any]:
    """What compare_callers says of the callers, and its figure as an ``<svg>`` element."""
    folder = Path(folder)
    pairs = read_records(folder / "agreement.tsv", ("caller_a", "caller_b", "jaccard"))
    summary = read_record(folder / "agreement.json")
    return {"summary": summary, "pairs": pairs, "figure": read_svg(folder / "agreement.svg")}


def read_comparison(folder: Path | str) -> dict[str, Any]:
    """The sentences of compare on every two models, its verdicts on the paper's claims, and its margin."""
    folder = Path(folder)
    about = read_record(folder / "compare.json") if (folder / "compare.json").exists() else {}
    return {
        "pairs": read_records(folder / "comparison.tsv", ("sentence",)),
        "claims": read_records(folder / "claims.tsv", ("claim", "verdict")),
        "margin": about.get("margin", 0.01),
        "about": about,
    }


def read_explanation(folder: Path | str) -> dict[str, Any]:
    """The groups of one explain folder, numbers as floats, its summary, and where its contributions are."""
    folder = Path(folder)
    groups = tables.read_table(folder / "groups.tsv", ("group", "coefficient_sum"))
    numbers = groups.columns.difference(["model", "group", "status", "direction"])
    groups = groups.assign(**{name: pd.to_numeric(groups[name], errors="coerce") for name in numbers})
    about = read_record(folder / "explanation.json") if (folder / "explanation.json").exists() else {}
    return {"groups": groups, "about": about, "folder": folder}


def read_motifs(folder: Path | str) -> dict[str, Any]:
    """Families, positions and summary of a folder of find_motifs. Raises BadData for one of its preset of the paper."""
    folder = Path(folder)
    summary = read_record(folder / "summary.json")
    if summary.get("preset") == "paper":
        raise BadData(f"{folder}: made by find_motifs --preset paper, which tests no families; run it without --preset")
    if lacking := {"significant_families", "gc_correlation"} - summary.keys():
        raise BadData(f"{folder / 'summary.json'}: not a summary of find_motifs; no {', '.join(sorted(lacking))}")
    needed = ("family", "factors", "retained_hit", "spliced_hit", "odds_ratio", "low", "high", "q")
    families = numeric(
        tables.read_table(folder / "families.tsv", needed), but=("family", "factors", "status", "best_motif")
    )
    path = folder / "positions.tsv"
    positions = numeric(tables.read_table(path), but=("family", "landmark")) if path.exists() else None
    return {"name": folder.name, "summary": summary, "families": families, "positions": positions}


def read_enrichment(folder: Path | str) -> dict[str, Any]:
    """The table and summary of a folder of enrich."""
    folder = Path(folder)
    summary = read_summary(folder / "enrich.json", "enrich", ("n_retained", "n_spliced", "adjusted_for"))
    needed = ("mark", "odds_ratio", "low", "high", "q")
    marks = numeric(tables.read_table(folder / "enrich.tsv", needed), but=("mark",))
    return {"name": folder.name, "summary": summary, "marks": marks}


def read_variants(folder: Path | str) -> dict[str, Any]:
    """The scores, strongest change first, and summary of a folder of score_variants."""
    folder = Path(folder)
    summary = read_summary(folder / "summary.json", "score_variants", ("alleles", "scored", "left_out"))
    scores = tables.read_table(folder / "scores.tsv", ("chrom", "pos", "ref", "alt", "name", "delta_logit"))
    order = scores["delta_logit"].astype(float).abs().sort_values(ascending=False, kind="stable").index
    return {"name": folder.name, "summary": summary, "scores": scores.loc[order]}


def numeric(table: pd.DataFrame, but: tuple[str, ...]) -> pd.DataFrame:
    """The table with every column but those named as floats."""
    columns = table.columns.difference(but)
    return table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in columns})


def read_records(path: Path | str, required: Iterable[str]) -> list[dict[str, str]]:
    """The rows of a TSV as dicts."""
    return tables.read_table(path, required).to_dict("records")


def read_summary(path: Path | str, tool: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """The summary that a tool wrote as JSON. Raises MissingInput, and BadData where one of ``keys`` is not in it."""
    summary = read_record(path)
    if not summary.keys() >= set(keys):
        raise BadData(f"{path}: not the counts of {tool}, which hold {', '.join(keys)}")
    return summary


def read_svg(path: Path | str) -> str:
    """An SVG file as an ``<svg>`` element for a page. Raises MissingInput."""
    return embedded(require_file(path).read_text(encoding="utf-8"), Path(path).stem)
