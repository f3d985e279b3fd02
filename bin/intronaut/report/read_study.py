"""Read the folders of the other tools into one Study."""

from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from intronaut.core.errors import BadData
from intronaut.core.files import require_file
from intronaut.core.json_files import read_record
from intronaut.io import tables
from intronaut.plots.page import embedded
from intronaut.report.model_files import read_metrics, read_predictions
from intronaut.report.reads import read_quantified
from intronaut.report.study import PARAMETER_TABLES, Model, Study
from intronaut.report.transfers import read_transfer

PARTS = (("alone", "."), ("covariates", "covariates"), ("combined", "combined"))


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
