#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "matplotlib>=3.9", "jinja2>=3.1", "scikit-learn>=1.5",
#   "biopython>=1.84", "rich>=13"]
# ///
"""Write one HTML page that a biologist can read: what was labelled, how well it is predicted, and what says so.

Reads the files of label_introns, fit and, where given, the tools around them. The page needs no network and no other
file; its links to the tables are relative and work where the pipeline puts them.

Output:
  report.html   the page (--output)
  figures/      every figure of the page as SVG (--figures)
  multiqc/      the tables as MultiQC custom content (--multiqc)
"""

import json
from pathlib import Path

from intronaut.cli import add_run_options, new_parser, run
from intronaut.core.errors import BadData
from intronaut.core.files import whole_file, whole_folder
from intronaut.core.log import Log

SECTIONS = ("motifs", "enrich", "variants")
METRICS = (
    ("auroc", "AUROC"),
    ("average_precision", "average precision"),
    ("lift", "lift"),
    ("brier", "Brier score"),
    ("ece", "calibration error"),
)
# what a model writes of its features: linear models the first, trees the second, networks none
PARAMETERS = {
    "coefficients.tsv": "weight of every feature of {0}",
    "importance.tsv": "gain and number of splits of every feature of {0}",
}
COVARIATES = "covariates only"


def make_parser():
    parser = new_parser(__doc__, "make_report")
    data = parser.add_argument_group("input")
    data.add_argument("--labels", required=True, metavar="TSV", help="labels.tsv that the models were fitted on")
    data.add_argument("--ledger", required=True, metavar="TSV", help="ledger.tsv of label_introns")
    data.add_argument("--counts", required=True, metavar="JSON", help="counts.json of label_introns")
    data.add_argument("--fit", required=True, nargs="+", metavar="FOLDER", help="folders of fit, one a model")
    data.add_argument("--explain", default=[], nargs="+", metavar="FOLDER", help="folders of explain, named alike")
    data.add_argument("--audit", metavar="JSON", help="counts of audit_split")
    data.add_argument("--balance", metavar="TSV", help="balance.tsv of match_introns")
    data.add_argument("--matched", metavar="JSON", help="matched.json of match_introns")
    data.add_argument("--agreement", metavar="FOLDER", help="agreement.tsv, .json and .svg of compare_callers")
    data.add_argument("--compare", metavar="FOLDER", help="folder of compare")
    data.add_argument("--motifs", default=[], nargs="+", metavar="FOLDER", help="folders of find_motifs")
    data.add_argument("--enrich", default=[], nargs="+", metavar="FOLDER", help="folders of enrich")
    data.add_argument("--variants", default=[], nargs="+", metavar="FOLDER", help="folders of score_variants")
    data.add_argument("--settings", metavar="JSON", help="params of a pipeline, to be shown, with links to its files")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", default="report.html", metavar="FILE", help="the page")
    out.add_argument("--figures", default="figures", metavar="FOLDER", help="the figures as SVG")
    out.add_argument("--multiqc", metavar="FOLDER", help="the tables for MultiQC")
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log("make_report", args)
    from intronaut.io import tables
    from intronaut.report.sections import read_explanation, read_json, read_section, section_findings
    from intronaut.report.text import added_words, judged_words, label_words, leak_findings, methods_words

    labels = tables.read_labels(args.labels)
    counts = read_told(args.counts, "label_introns", ("unit", "labels", "unlabelled", "n_input"))
    ledger = tables.read_table(args.ledger, ("reason",))
    models = [read_model(folder, labels, args.labels) for folder in sorted(args.fit, key=lambda path: Path(path).name)]
    explanations = {Path(folder).name: read_explanation(folder, labels) for folder in args.explain}
    drawn = draw_figures(labels, models, explanations)
    agreement = read_agreement(args.agreement) if args.agreement else None
    if agreement:
        drawn["agreement"] = agreement["figure"]
    sections = [read_section(kind, folder) for kind in SECTIONS for folder in getattr(args, kind)]
    settings = read_json(args.settings) if args.settings else {}
    audit = read_told(args.audit, "audit_split", ("held_out", "leaks")) if args.audit else None
    grouped = "group" in labels
    matched_numbers = count_matched(labels)
    shares = {model["metrics"]["prevalence"] for model in models}
    page = {
        "findings": [
            *leak_findings(models, counts["unit"], audit),
            label_sentence(counts, matched_numbers),
            *model_sentences(models),
            *section_findings(sections),
        ],
        "counts": counts,
        "label_words": label_words(counts, settings),
        "matched_numbers": matched_numbers,
        "ledger": ledger["reason"].value_counts().to_dict(),
        "metrics": METRICS,
        "models": model_rows(models),
        "gains": [gain_row(model) for model in models if model["metrics"].get("gain")],
        "judged": judged_words(models, counts["unit"], grouped, audit),
        "prevalence": shares.pop() if len(shares) == 1 else None,
        "methods": list(methods_words(models, counts, settings)),
        "added": added_words(models, grouped, audit),
        "audit": audit,
        "balance": records(args.balance, ("covariate", "smd_before", "smd_after")) if args.balance else [],
        "matched": read_json(args.matched).get("covariates_auroc") if args.matched else None,
        "agreement": agreement,
        "comparison": read_comparison(args.compare) if args.compare else None,
        "explanations": explanations,
        "sections": sections,
        "figures": drawn,
        "settings": settings,
        "weights_notes": {model["name"]: model["weights_note"] for model in models if model["weights_note"]},
        "links": links(models, explanations),
    }
    written = drawn | {name: svg for section in sections for name, (svg, _) in section["figures"].items()}
    with whole_file(args.output) as out:
        out.write(render_page(page))
    with whole_folder(args.figures) as folder:
        for name, svg in written.items():
            (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    if args.multiqc:
        with whole_folder(args.multiqc, ["intronaut_*_mqc.tsv"]) as folder:
            write_multiqc(folder, page)
    log.note(f"{args.output}: {len(models)} models, {len(written)} figures")


def read_told(path, tool, keys):
    """The numbers that a tool wrote as JSON. Raises MissingInput, and BadData where one of ``keys`` is not in it."""
    from intronaut.report.sections import read_json

    told = read_json(path)
    if not (isinstance(told, dict) and told.keys() >= set(keys)):
        raise BadData(f"{path}: not the counts of {tool}, which hold {', '.join(keys)}")
    return told


def read_model(folder, labels, labels_path):
    """Metrics and predictions of one fit folder and of the baseline folders inside it.

    Raises MissingInput, and BadData for predictions of introns that the labels do not hold.
    """
    from intronaut.io import tables
    from intronaut.report.sections import read_json

    folder = Path(folder)
    metrics = read_json(folder / "metrics.json")
    model = {"name": folder.name, "metrics": metrics, "kind": metrics["model"], "predictions": {}}
    for part, inside in (("features", "."), ("covariates", "covariates"), ("combined", "combined")):
        path = folder / inside / "predictions.tsv"
        if part == "features" or path.exists():
            table = tables.read_table(path, tables.PREDICTION_COLUMNS)
            model["predictions"][part] = table.astype({"label": int, "p_retained": float, "logit": float})
    judged = model["predictions"]["features"]["name"]
    if strangers := int((~judged.isin(labels["name"])).sum()):
        raise BadData(
            f"{folder}: {strangers:,} of its {len(judged):,} predictions are of introns that {labels_path} does not "
            "hold; give --labels the table that this model was fitted on"
        )
    about = read_json(folder / "model.json") if (folder / "model.json").exists() else {}
    made = about.get("features", {})
    model["preset"] = about.get("preset", "default")
    model["weights_note"] = made.get("weights_note")
    # a network has no features of its own
    model["embedder"] = made.get("tool", "").removeprefix("embed_") if made.get("tool") != "finetune" else ""
    model["tables"] = [name for name in PARAMETERS if (folder / name).exists()]
    return model


def records(path, required):
    """The rows of a TSV as dicts."""
    from intronaut.io import tables

    return tables.read_table(path, required).to_dict("records")


def read_agreement(folder):
    """What compare_callers says of the callers, and its figure as an ``<svg>`` element."""
    from intronaut.report.sections import read_json, read_svg

    folder = Path(folder)
    pairs = records(folder / "agreement.tsv", ("caller_a", "caller_b", "jaccard"))
    return {
        "summary": read_json(folder / "agreement.json"),
        "pairs": pairs,
        "figure": read_svg(folder / "agreement.svg"),
    }


def read_comparison(folder):
    """The sentences of compare on every two models, and its verdicts on the paper's claims."""
    folder = Path(folder)
    return {
        "pairs": records(folder / "comparison.tsv", ("sentence",)),
        "claims": records(folder / "claims.tsv", ("claim", "verdict")),
    }


def draw_figures(labels, models, explanations):
    """Every figure of the page as SVG by name, in reading order."""
    from intronaut.plots import report

    drawn = {"confounds": report.covariates_by_label(labels)}
    # without leakage groups every row is its own
    groups = labels.get("group", labels["name"]).set_axis(labels["name"])
    for model in models:
        drawn[f"curves_{model['name']}"] = report.roc_and_pr(model["predictions"], groups)
        drawn[f"calibration_{model['name']}"] = report.calibration(model["metrics"]["calibration"])
    aurocs = [(row["model"], row["metrics"]["auroc"]) for row in model_rows(models)]
    drawn["auroc"] = report.metric_forest(aurocs, "AUROC", at=0.5)
    for name, explanation in explanations.items():
        drawn[f"groups_{name}"] = report.group_effects(explanation["groups"])
    return {name: report.inline_svg(figure) for name, figure in drawn.items()}


def count_matched(labels):
    """How many retained and spliced introns match_introns left to the models; None for labels that are not matched."""
    if "match" not in labels:
        return None
    return {"retained": int((labels["label"] == 1).sum()), "spliced": int((labels["label"] == 0).sum())}


def label_sentence(counts, matched_numbers):
    retained, spliced, unknown = (counts["labels"].get(key, 0) for key in ("1", "0", "NA"))
    known, unit = retained + spliced, counts["unit"]
    text = f"{retained:,} of {known:,} labelled {unit}s are retained ({retained / known:.1%})."
    if unknown:
        text += f" {unknown:,} more could not be judged and take no part."
    if matched_numbers:
        text += (
            " {retained:,} retained and {spliced:,} spliced ones were matched; the models see these and no others."
        ).format(**matched_numbers)
    return text


def model_sentences(models):
    """What the fitted models show, in words that their intervals allow."""
    for name, covariates, members in by_baseline(models):
        for model in members:
            auroc = model["metrics"]["metrics"]["auroc"]
            yield (
                f"From {model['name']} alone, a retained intron is ranked above a spliced one in "
                f"{auroc['value']:.0%} of all pairs (AUROC {with_interval(auroc)}; 50 % is chance)."
            )
        if covariates:
            which = name.removeprefix(COVARIATES)
            yield f"Length, GC content and position alone{which} reach AUROC {with_interval(covariates['auroc'])}."
            for model in members:
                yield gain_sentence(model)


def gain_sentence(model):
    gain = model["metrics"]["gain"]["combined_minus_covariates"]["auroc"]
    verdict = (
        "an improvement that chance does not explain"
        if gain["low"] > 0
        else "a loss that chance does not explain"
        if gain["high"] < 0
        else "no difference that can be told from chance"
    )
    return f"Added to them, {model['name']} features change AUROC by {with_interval(gain, sign='+')}: {verdict}."


def by_baseline(models):
    """Models that share a covariates-only model: (what that is called, its metrics or None, the models)."""
    parts = {}
    for model in models:
        covariates = (model["metrics"].get("baseline") or {}).get("covariates")
        parts.setdefault(json.dumps(covariates, sort_keys=True), (covariates, []))[1].append(model)
    kinds = [sorted({model["kind"] for model in members}) for _, members in parts.values()]
    told_by_kind = len(set().union(*kinds)) == sum(map(len, kinds))
    for own, (covariates, members) in zip(kinds, parts.values(), strict=True):
        told = own if told_by_kind else [model["name"] for model in members]
        yield COVARIATES + (f" ({', '.join(told)})" if len(parts) > 1 else ""), covariates, members


def with_interval(metric, sign=""):
    return f"{metric['value']:{sign}.3f} (95 % interval {metric['low']:{sign}.3f} to {metric['high']:{sign}.3f})"


def model_rows(models):
    """One row a model: the covariates once for all models that share them, each embedding alone and with them."""
    rows = []
    for name, covariates, members in by_baseline(models):
        if covariates:
            rows.append({"model": name, "metrics": covariates, "baseline": True})
        for model in members:
            rows.append({"model": model["name"], "metrics": model["metrics"]["metrics"], "baseline": False})
            if covariates:
                combined = model["metrics"]["baseline"]["combined"]
                rows.append({"model": f"{model['name']} + covariates", "metrics": combined, "baseline": False})
    return rows


def gain_row(model):
    return {"model": model["name"], "gain": model["metrics"]["gain"]["combined_minus_covariates"]}


def links(models, explanations):
    """(path beside the report, what it holds) of every table."""
    listed = [
        ("labels/labels.tsv", "every labelled intron, with covariates, leakage group and fold"),
        ("labels/ledger.tsv", "everything left out, with the reason"),
    ]
    for model in models:
        name, embedder = model["name"], model["embedder"]
        if (
            embedder
            and (features := (f"features/{embedder}.h5ad", f"{embedder} features of every window (AnnData)"))
            not in listed
        ):
            listed.append(features)
        listed += [
            (f"fit/{name}/predictions.tsv", f"predicted retention by {name}"),
            (f"fit/{name}/metrics.json", f"every metric of {name} with its interval"),
            *((f"fit/{name}/{table}", PARAMETERS[table].format(name)) for table in model["tables"]),
        ]
    for name in explanations:
        listed += [
            (f"explain/{name}/groups.tsv", f"features of {name} rolled up to groups"),
            (f"explain/{name}/contributions.tsv", f"what speaks for and against each intron, by {name}"),
            (f"cards/{name}/cards.html", f"cards of the introns of highest predicted retention, by {name}"),
        ]
    return listed + [("pipeline_info/", "time and memory of every task, of each run")]


def render_page(page):
    from intronaut.report.render import render
    from intronaut.report.sections import TOP_INTRONS
    from intronaut.report.text import file_names

    filters = {"interval": with_interval, "file_names": file_names}
    return render("report.html", filters=filters, **page, top_introns=TOP_INTRONS)


def write_multiqc(folder, page):
    """Tables as MultiQC custom content: a comment header, then TSV."""
    models = [["model", *(word for _, word in METRICS)]]
    models += [[row["model"], *(f"{row['metrics'][key]['value']:.6g}" for key, _ in METRICS)] for row in page["models"]]
    names = {"1": "retained", "0": "spliced", "NA": "unknown"}
    labels = [["label", "number"], *([names[key], str(n)] for key, n in page["counts"]["labels"].items())]
    for name, kind, rows in (("models", "table", models), ("labels", "bargraph", labels)):
        head = f"# id: intronaut_{name}\n# section_name: Intronaut {name}\n# plot_type: {kind}\n"
        text = head + "".join("\t".join(row) + "\n" for row in rows)
        (folder / f"intronaut_{name}_mqc.tsv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main, "make_report")
