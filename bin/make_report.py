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

from pathlib import Path

from intronaut.cli import Log, add_run_options, parser, run, whole_file, whole_folder

SECTIONS = ("motifs", "enrich", "variants")
METRICS = (
    ("auroc", "AUROC"),
    ("average_precision", "average precision"),
    ("lift", "lift"),
    ("brier", "Brier score"),
    ("ece", "calibration error"),
)


def make_parser():
    made = parser(__doc__, "make_report")
    data = made.add_argument_group("input")
    data.add_argument("--labels", required=True, metavar="TSV", help="labels.tsv of label_introns")
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
    out = made.add_argument_group("output")
    out.add_argument("-o", "--output", default="report.html", metavar="FILE", help="the page")
    out.add_argument("--figures", default="figures", metavar="FOLDER", help="the figures as SVG")
    out.add_argument("--multiqc", metavar="FOLDER", help="the tables for MultiQC")
    add_run_options(made)
    return made


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log("make_report", args)
    from intronaut import tables
    from intronaut.report_sections import read_explanation, read_json, read_section

    labels = tables.read_labels(args.labels)
    counts = read_json(args.counts)
    ledger = tables.read_table(args.ledger, ("reason",))
    models = [read_model(folder) for folder in sorted(args.fit, key=lambda folder: Path(folder).name)]
    explanations = {Path(folder).name: read_explanation(folder, labels) for folder in args.explain}
    drawn = draw_figures(labels, models, explanations)
    agreement = read_agreement(args.agreement) if args.agreement else None
    if agreement:
        drawn["agreement"] = agreement["figure"]
    sections = [read_section(kind, folder) for kind in SECTIONS for folder in getattr(args, kind)]
    page = {
        "findings": [
            label_sentence(counts),
            *(line for model in models for line in model_sentences(model)),
            *(section["sentences"][0] for section in sections),
        ],
        "counts": counts,
        "ledger": ledger["reason"].value_counts().to_dict(),
        "metrics": METRICS,
        "models": model_rows(models),
        "gains": [gain_row(model) for model in models if model["metrics"].get("gain")],
        "judged": models[0]["metrics"],
        "audit": read_json(args.audit) if args.audit else None,
        "balance": records(args.balance, ("covariate", "smd_before", "smd_after")) if args.balance else [],
        "matched": read_json(args.matched).get("covariates_auroc") if args.matched else None,
        "agreement": agreement,
        "comparison": read_comparison(args.compare) if args.compare else None,
        "explanations": explanations,
        "sections": sections,
        "figures": drawn,
        "settings": read_json(args.settings) if args.settings else {},
        "weights_notes": {model["name"]: model["weights_note"] for model in models if model["weights_note"]},
        "links": links(models, explanations),
    }
    with whole_file(args.output) as out:
        out.write(render(page))
    with whole_folder(args.figures) as folder:
        for name, svg in drawn.items():
            (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    if args.multiqc:
        with whole_folder(args.multiqc, ["intronaut_*_mqc.tsv"]) as folder:
            write_multiqc(folder, page)
    log.note(f"{args.output}: {len(models)} models, {len(drawn)} figures")


def read_model(folder):
    """Metrics and predictions of one fit folder and of the baseline folders inside it."""
    from intronaut import tables
    from intronaut.report_sections import read_json

    folder = Path(folder)
    model = {"name": folder.name, "metrics": read_json(folder / "metrics.json"), "predictions": {}}
    for part, inside in (("features", "."), ("covariates", "covariates"), ("combined", "combined")):
        path = folder / inside / "predictions.tsv"
        if part == "features" or path.exists():
            table = tables.read_table(path, tables.PREDICTION_COLUMNS)
            model["predictions"][part] = table.astype({"label": int, "p_retained": float, "logit": float})
    about = read_json(folder / "model.json") if (folder / "model.json").exists() else {}
    model["weights_note"] = about.get("features", {}).get("weights_note")
    model["embedder"] = about.get("features", {}).get("tool", "").removeprefix("embed_")
    return model


def records(path, required):
    """The rows of a TSV as dicts."""
    from intronaut import tables

    return tables.read_table(path, required).to_dict("records")


def read_agreement(folder):
    """What compare_callers says of the callers, and its figure as an ``<svg>`` element."""
    from intronaut.report_sections import read_json, read_svg

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
    from intronaut import report_figures as figures

    drawn = {"confounds": figures.covariates_by_label(labels)}
    for model in models:
        groups = labels.set_index("name").get("group")
        drawn[f"curves_{model['name']}"] = figures.roc_and_pr(model["predictions"], groups)
        drawn[f"calibration_{model['name']}"] = figures.calibration(model["metrics"]["calibration"])
    aurocs = [(row["model"], row["metrics"]["auroc"]) for row in model_rows(models)]
    drawn["auroc"] = figures.metric_forest(aurocs, "AUROC", at=0.5)
    for name, explanation in explanations.items():
        drawn[f"groups_{name}"] = figures.group_effects(explanation["groups"])
    return {name: figures.inline_svg(figure) for name, figure in drawn.items()}


def label_sentence(counts):
    retained, spliced, unknown = (counts["labels"].get(key, 0) for key in ("1", "0", "NA"))
    known, unit = retained + spliced, counts["unit"]
    text = f"{retained:,} of {known:,} labelled {unit}s are retained ({retained / known:.1%})."
    return text + (f" {unknown:,} more could not be judged and take no part." if unknown else "")


def model_sentences(model):
    """What one fitted model shows, in words that its intervals allow."""
    name, metrics = model["name"], model["metrics"]
    auroc = metrics["metrics"]["auroc"]
    yield (
        f"From {name} alone, a retained intron is ranked above a spliced one in "
        f"{auroc['value']:.0%} of all pairs (AUROC {with_interval(auroc)}; 50 % is chance)."
    )
    if metrics.get("baseline"):
        base = metrics["baseline"]["covariates"]["auroc"]
        gain = metrics["gain"]["combined_minus_covariates"]["auroc"]
        yield f"Length, GC content and position alone, without {name}, reach {with_interval(base)}."
        verdict = (
            "an improvement that chance does not explain"
            if gain["low"] > 0
            else "a loss that chance does not explain"
            if gain["high"] < 0
            else "no difference that can be told from chance"
        )
        yield f"Added to them, {name} features change AUROC by {with_interval(gain, sign='+')}: {verdict}."


def with_interval(metric, sign=""):
    return f"{metric['value']:{sign}.3f} (95 % interval {metric['low']:{sign}.3f} to {metric['high']:{sign}.3f})"


def model_rows(models):
    """One row a model: the covariates once, then each embedding alone and with the covariates."""
    rows = []
    baseline = models[0]["metrics"].get("baseline")
    if baseline:
        rows.append({"model": "covariates only", "metrics": baseline["covariates"], "baseline": True})
    for model in models:
        rows.append({"model": model["name"], "metrics": model["metrics"]["metrics"], "baseline": False})
        if model["metrics"].get("baseline"):
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
            (f"fit/{name}/coefficients.tsv", f"weight of every feature of {name}"),
        ]
    for name in explanations:
        listed += [
            (f"explain/{name}/groups.tsv", f"features of {name} rolled up to groups"),
            (f"explain/{name}/contributions.tsv", f"what speaks for and against each intron, by {name}"),
            (f"cards/{name}/cards.html", f"cards of the introns of highest predicted retention, by {name}"),
        ]
    return listed + [("pipeline_info/execution_report.html", "time and memory of every task")]


def render(page):
    import jinja2

    from intronaut import __version__
    from intronaut.report_sections import TOP_INTRONS

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent / "intronaut"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = with_interval
    return environment.get_template("report.html").render(page | {"version": __version__, "top_introns": TOP_INTRONS})


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
