"""The whole page: every section's values, the figures, and the methods, settings and files at its end."""

import re
from importlib import metadata
from typing import Any

from intronaut import __version__
from intronaut.plots import page as figures
from intronaut.report import (
    associations,
    blocks,
    browsers,
    chromatin,
    consequences,
    flags,
    introns,
    labelled,
    next_steps,
    prediction,
    reads,
    text,
    transfers,
    verdict,
)
from intronaut.report import numbers as n
from intronaut.report.render import render
from intronaut.report.study import PARAMETER_TABLES, Study, headline

PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "lightgbm", "statsmodels", "pysam", "biopython", "pyjaspar",
            "torch", "jinja2")  # fmt: skip
# settings that say where the run ran, not what it did
NOT_SHOWN = ("help", "outdir", "run", "version", "nextflow", "revision", "profile", "command")


def build(study: Study, assembly: str | None) -> tuple[str, dict[str, str]]:
    """``(HTML, {name: svg})``: the page and its figures."""
    quality = flags.all_flags(study)
    drawn = labelled.histograms(study)
    values: dict[str, Any] = {
        "header": header(study, assembly),
        "flags": quality,
        "tally": flags.tally(quality),
        "unit": study.unit,
        "labels": labelled.section(study),
        "consequences": consequences.section(study),
        "reads": reads.section(study),
        "steps": next_steps.steps(study, quality),
        "settings": settings_rows(study.settings),
        # no paths
        "command": re.sub(r"[^\s,='\"]*/", "", study.settings.get("command") or ""),
        "versions": versions(study.settings),
        "files": files(study) if study.settings else [],
    }
    if study.models:
        drawn |= prediction.draw(study) | blocks.draw(study.partition) | associations.draw(study)
        values |= of_models(study, assembly, quality, drawn)
    else:
        values |= {"heading": f"No model can be fitted here: {study.why_no_models}."}
        values |= {"as_far": "", "sure": "", "evidence": [], "cautions": [], "methods": methods(study)}
        values |= dict.fromkeys(("ladder", "interval_words", "prediction", "blocks", "associations", "introns"))
    values["figures"] = drawn
    return render("page.html", **values), {name: figures.standalone(svg) for name, svg in drawn.items()}


def of_models(
    study: Study, assembly: str | None, quality: list[dict[str, Any]], drawn: dict[str, str]
) -> dict[str, Any]:
    """The values that only a study with models has."""
    heading, as_far = verdict.lead(study, flags.against_the_verdict(quality))
    return {
        "heading": heading,
        "as_far": as_far,
        "sure": verdict.sure(study),
        "cautions": flags.cautions(study),
        "evidence": verdict.evidence(study, associations.selection_sentences(study)),
        "ladder": verdict.ladder(study),
        "interval_words": interval_words(study),
        "prediction": prediction.section(study),
        "blocks": blocks.section(study.partition),
        "associations": associations.section(study, drawn),
        "chromatin": chromatin.section(study),
        "transfers": transfers.section(study),
        "introns": introns.section(study, assembly),
        "methods": methods(study),
    }


def header(study: Study, assembly: str | None) -> dict[str, Any]:
    """Title and facts of the run: ``{title, facts}``, no paths."""
    settings, known = study.settings, browsers.find_assembly(assembly)
    species = settings.get("species") or (known.species if known else "")
    facts = []
    if species or assembly:
        facts.append(("Species and assembly", ", ".join(filter(None, [species, assembly]))))
    annotation = study.counts.get("annotation") or {}
    if settings.get("gtf"):
        about = text.file_names(settings["gtf"])
        if annotation:
            about += f": {n.plural(annotation['genes'], 'gene')}, {n.plural(annotation['transcripts'], 'transcript')}"
        facts.append(("Annotation", about))
    facts.append(("Labels from", label_source(study)))
    if study.models:
        facts.append(("Features", feature_words(study)))
    when = [f"{study.day.day} {study.day:%B %Y}"] if study.day else []
    facts.append(("Run", " · ".join([*when, f"Intronaut {__version__}"])))
    where = re.sub(r"(\.(fa|fasta|fna|2bit))?(\.b?gz)?$", "", text.file_names(settings.get("fasta") or ""))
    return {"species": species, "where": where, "facts": facts}


def label_source(study: Study) -> str:
    if study.measured:
        files = text.file_names(study.settings["ir_calls"]) if study.settings.get("ir_calls") else ""
        callers, _ = n.cut(study.callers or ["RNA-seq calls"], 3)
        return f"{files} ({callers})" if files else callers
    rule = study.settings.get("annotation_rule")
    return "annotation" + (f", rule {rule}" if rule else "")


def feature_words(study: Study) -> str:
    kinds = {}
    for model in study.models:
        kinds.setdefault(model.plain, []).append(model.kind)
    parts = [f"{name} ({', '.join(dict.fromkeys(of))})" for name, of in kinds.items()]
    if len(parts) > n.MOST_LISTED:
        parts = [f"{len(parts)} kinds, each named below"]
    window = study.settings.get("window")
    return "; ".join(parts) + (f", windows of {window} nt" if window else "")


def interval_words(study: Study) -> str:
    """What the intervals come from."""
    metrics = study.models[0].metrics
    groups = n.plural(metrics.get("n_groups", 0), "leakage group")
    if "se" in headline(study.models[0].of("alone")):
        return f"95% CI by leaving out whole leakage groups ({groups}), with the variance of training where it is known"
    replicates = (metrics.get("bootstrap") or {}).get("replicates")
    draws = f"from {n.count(replicates)} bootstrap draws of" if replicates else "over"
    return f"95% CI {draws} whole leakage groups ({groups})"


def methods(study: Study) -> dict[str, Any]:
    """The text that can be pasted into a paper."""
    sentences = []
    if study.models:
        sentences += [
            *text.methods_words(study.models, study.counts, study.settings, study.covariates),
            f"{interval_words(study)}.",
        ]
    if study.quantified is not None:
        sentences.append(
            "Retention of every annotated intron was measured from alignments: fragments that cross its ends unspliced "
            "over these and those that splice it (quantify_introns)."
        )
    if any(model.metrics.get("auroc_within_strata") for model in study.models):
        sentences.append(
            "AUROC among introns of similar length and GC content compares only introns of one stratum, a third of the "
            "lengths and a third of the GC contents; differences within it remain."
        )
    if study.motifs:
        sentences.append(
            "Motif families were tested by logistic regression on whether a window has a site, adjusted for GC content "
            "and length; q-values are Benjamini–Hochberg."
        )
    if study.explanations:
        sentences.append("Groups of features were selected by stability selection on random halves of the introns.")
    return {
        "sentences": sentences,
        "added": text.added_words(study.models, "group" in study.labels, study.audit),
        "motifs": any(model.embedder == "motifs" for model in study.models) or bool(study.motifs),
    }


def settings_rows(settings: dict[str, Any]) -> list[tuple[str, float | str]]:
    """``(option, value)`` of every setting that is set, paths cut to file names."""
    return [
        (name, text.file_names(value) if isinstance(value, str) else value)
        for name, value in settings.items()
        if value is not None and name not in NOT_SHOWN
    ]


def versions(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """``(software, version)`` of what this page was made with, and of the engine."""
    rows = [("intronaut", __version__)]
    if settings.get("nextflow"):
        rows.append(("nextflow", settings["nextflow"]))
    for name in PACKAGES:
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return rows


def files(study: Study) -> list[tuple[str, str]]:
    """``(path beside the report, what it holds)`` of every table."""
    rows = [
        ("labels/labels.tsv", "every labelled intron with covariates, leakage group and fold"),
        ("labels/ledger.tsv", "everything left out, with the reason"),
    ]
    for about in study.quantified["samples"] if study.quantified else ():
        rows.append((f"quantified/{about['sample']}.introns.tsv.gz", f"retention of every intron in {about['sample']}"))
    if study.quantified and study.quantified["comparisons"]:
        rows.append(("quantified/differences.tsv", "differences of retention between conditions"))
    if study.audit:
        rows.append(("labels/audit.tsv", "every pair of windows that two folds share, near-copies too"))
    for model in study.models:
        features = (f"features/{model.embedder}.h5ad", f"{model.short} of every window (AnnData)")
        if model.embedder and features not in rows:
            rows.append(features)
        folder = f"fit/{model.name}"
        if "combined" in model.predictions:
            rows.append((f"{folder}/combined/predictions.tsv", f"held-out probability: covariates and {model.short}"))
            rows.append((f"{folder}/covariates/predictions.tsv", "held-out probability: covariates alone"))
        rows.append((f"{folder}/predictions.tsv", f"held-out probability: {model.short} alone"))
        rows.append((f"{folder}/metrics.json", f"every metric of {model.name} with its 95% CI, gains, strata"))
        rows += [(f"{folder}/{table}", f"{PARAMETER_TABLES[table]} of {model.name}") for table in model.tables]
    rows += [
        (f"cell_types/transfer_{name}.tsv", f"{name} of every condition, tested in every other")
        for name in study.transfers
    ]
    if study.comparison:
        rows.append(("compare/comparison.tsv", "paired tests between models"))
    for name in study.explanations:
        rows += [
            (f"explain/{name}/groups.tsv", f"all groups of {name}: effect, interval, selection"),
            (f"explain/{name}/contributions.tsv", f"the features that move each intron's prediction most, by {name}"),
            (f"cards/{name}/cards.html", f"one card an intron: what moves its prediction, by {name}"),
        ]
    rows += [
        (f"{motifs['name']}/families.tsv", "all motif families: shares, odds ratios, q") for motifs in study.motifs
    ]
    rows += [(f"{one['name']}/enrich.tsv", "all marks: odds ratios, q") for one in study.enrichments]
    rows += [(f"variants/{one['name']}/scores.tsv", "all alleles") for one in study.variants]
    return [
        *rows,
        ("tracks/igv_session.xml", "opens introns, held-out probabilities, levels and attributions in IGV"),
        ("tracks/", "the same as BED, bigBed and bigWig, for any genome browser"),
        ("pipeline_info/versions.tsv", "versions of all software"),
        ("pipeline_info/", "time and memory of every task, of each run"),
        ("ro-crate-metadata.json", "provenance (RO-Crate)"),
    ]
