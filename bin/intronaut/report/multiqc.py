"""MultiQC custom content: three sections, every sample named after its run so that runs stand side by side."""

from collections.abc import Iterable
from typing import Any

from intronaut.report import numbers as n
from intronaut.report.study import AUROC, Study, headline
from intronaut.report.titles import titles

PARENT = {
    "parent_id": "intronaut",
    "parent_name": "Intronaut",
    "parent_description": "Intron retention: labels, held-out prediction, quality flags.",
}
VERSIONS = "intronaut_mqc_versions.yml"
# half of the last of three decimals
ROUNDED_TO_ZERO = 0.0005
COLOURS = {"retained": "#bd4b00", "spliced": "#0072b2", "unknown": "#848e9c"}
# key: (title, description, lowest, highest, colour scale), after the measure and its interval
COLUMNS = {
    "gain": ("gain", "over the covariates", -0.2, 0.2, False),
    "gain_low": ("gain low", "95% CI, lower end", -0.5, 0.5, False),
    "gain_high": ("gain high", "95% CI, upper end", -0.5, 0.5, False),
    "ap": ("AP", "average precision", 0, 1, False),
    "ap_low": ("AP low", "95% CI, lower end", 0, 1, False),
    "ap_high": ("AP high", "95% CI, upper end", 0, 1, False),
    "ap_chance": ("AP chance", "average precision of a random order", 0, 1, False),
    "ece": ("calibration error", "lower is better", 0, 0.2, False),
}
# the columns of the flags and their titles, whatever the state
FLAGS = {
    "leakage": "leakage",
    "near_copies": "near-copies",
    "retained": "retained introns",
    "balance": "class balance",
    "splice_sites": "splice sites",
    "short": "short introns",
    "labels": "measured labels",
    "matching": "balance after matching",
    "motif_gc": "motifs free of GC",
    "calibration": "calibration",
    "weights": "weights",
}


def contents(
    study: Study, flags: list[dict[str, str]], run: str, versions: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """``{file name: text}`` of the sections, and of the ``(software, version)`` that MultiQC lists at its end."""
    texts = {"intronaut_labels_mqc.tsv": labels(study, run), "intronaut_flags_mqc.tsv": flag_table(flags, run)}
    software = {name: _Raw(f"['{version}']") for name, version in versions}
    texts[VERSIONS] = "\n".join(_yaml({"Intronaut": software})) + "\n"
    if study.models:
        texts["intronaut_models_mqc.tsv"] = models(study, run)
    if study.quantified is not None:
        texts["intronaut_reads_mqc.tsv"] = reads(study.quantified["samples"])
    return texts


def labels(study: Study, run: str) -> str:
    """One stacked bar a run."""
    counted = study.counts["labels"]
    numbers = {"retained": counted.get("1", 0), "spliced": counted.get("0", 0), "unknown": counted.get("NA", 0)}
    head = {
        "id": "intronaut_labels",
        "section_name": "Labels",
        "description": "Introns of every run. Unknown introns take no part.",
        **PARENT,
        "plot_type": "bargraph",
        "pconfig": {"id": "intronaut_labels_plot", "title": "Intronaut: labelled introns", "ylab": "introns",
                    "cpswitch_counts_label": "introns"},
        "categories": {name: {"name": name, "color": colour} for name, colour in COLOURS.items()},
    }  # fmt: skip
    return text_of(head, [["Sample", *numbers], [run, *numbers.values()]])


def reads(samples: list[dict[str, Any]]) -> str:
    """A row a sample: what was read, how it was stranded, what was measured."""
    rows = []
    for about in samples:
        records, fragments, calls = about.get("records"), about.get("fragments"), about["calls"]
        rows.append([
            about["sample"], _cell(fragments), _cell(100 * (1 - about["kept"] / records) if records else None),
            _cell(100 * about["spliced_fragments"] / fragments if fragments else None), about["library"],
            about["measured"], _cell(about["median_psi"]), *(calls.get(key, 0) for key in ("1", "0", "NA")),
        ])  # fmt: skip
    titles = ("fragments", "left out, %", "spliced, %", "library", "introns measured", "median psi", "retained",
              "spliced", "uncalled")  # fmt: skip
    keys = (
        "fragments",
        "dropped",
        "spliced_share",
        "library",
        "measured",
        "median_psi",
        "retained",
        "spliced",
        "uncalled",
    )
    head = {
        "id": "intronaut_reads",
        "section_name": "Retention from reads",
        "description": "What quantify_introns measured in every sample.",
        **PARENT,
        "plot_type": "table",
        "pconfig": {"id": "intronaut_reads_table", "title": "Intronaut: retention from reads", "col1_header": "sample"},
        "headers": {key: {"title": title, "description": title} for key, title in zip(keys, titles, strict=True)},
    }
    return text_of(head, [["Sample", *keys], *rows])


def models(study: Study, run: str) -> str:
    """A row for the covariates of each kind of model, and for each feature set with and without them."""
    rows, seen, called, measure = [], [], titles(study.models), study.measure
    several = len({model.kind for model in study.models}) > 1
    for model in study.models:
        covariates = model.of("covariates")
        if covariates and covariates not in seen:
            seen.append(covariates)
            rows.append(_row(f"{run} | covariates{f' ({model.kind})' if several else ''}", covariates))
        if covariates:
            name = f"{run} | covariates + {called[model.name]}"
            rows.append(_row(name, model.of("combined"), model.gain().get(measure.key)))
        rows.append(_row(f"{run} | {called[model.name]}", model.of("alone"), model.gain("features").get(measure.key)))
    about = f"held-out; {measure.chance:g} is chance"
    columns = {
        measure.key: (measure.name, about, measure.chance, 1, "Blues"),
        f"{measure.key}_low": (f"{measure.name} low", "95% CI, lower end", -1 if measure is not AUROC else 0, 1, False),
        f"{measure.key}_high": (f"{measure.name} high", "95% CI, upper end", 0, 1, False),
    } | COLUMNS
    headers = {
        key: {"title": title, "description": about, "format": "{:.3f}", "min": low, "max": high, "scale": scale}
        for key, (title, about, low, high, scale) in columns.items()
    }
    head = {
        "id": "intronaut_models",
        "section_name": "Held-out prediction",
        "description": f"{measure.name[:1].upper()}{measure.name[1:]} of introns that the model had not seen, with "
        f"95% CI; gain over {n.listed(study.covariates)}.",
        **PARENT,
        "plot_type": "table",
        "pconfig": {"id": "intronaut_models_table", "title": "Intronaut: held-out prediction",
                    "col1_header": "run | model"},
        "headers": headers,
    }  # fmt: skip
    return text_of(head, [["Sample", *columns], *rows])


def _row(name, metrics, gain=None):
    cells = [*_estimate(headline(metrics)), *_estimate(gain)]
    cells += [
        *_estimate(metrics.get("average_precision")),
        _value(metrics.get("average_precision_by_chance")),
        _value(metrics.get("ece")),
    ]
    return [name, *cells]


def _estimate(metric):
    return [_cell((metric or {}).get(key)) for key in ("value", "low", "high")]


def _value(metric):
    return _cell((metric or {}).get("value"))


def _cell(value):
    if value is None or value != value:
        return ""
    # MultiQC would write what is rounded to zero with its sign
    return "0" if -ROUNDED_TO_ZERO < value < 0 else f"{value:.6g}"


def flag_table(flags: list[dict[str, str]], run: str) -> str:
    """A row a run, a column a flag; the worst state of flags of one kind."""
    rules = "{pass: [{s_eq: pass}], warn: [{s_eq: warning}], fail: [{s_eq: fail}]}"
    states = {}
    for flag in flags:
        # the flags are in order of severity
        states.setdefault(flag["key"], flag["word"])
    order = sorted(states, key=[*FLAGS, *states].index)
    headers = {
        key: {"title": FLAGS.get(key, key), "description": "see the report", "cond_formatting_rules": _Raw(rules)}
        for key in order
    }
    head = {
        "id": "intronaut_flags",
        "section_name": "Quality flags",
        "description": "The checks of the report.",
        **PARENT,
        "plot_type": "table",
        "pconfig": {"id": "intronaut_flags_table", "title": "Intronaut: quality flags", "col1_header": "run"},
        "headers": headers,
    }  # fmt: skip
    return text_of(head, [["Sample", *order], [run, *(states[key] for key in order)]])


class _Raw(str):
    """Text that is YAML already."""


def text_of(head: dict[str, Any], rows: list[list[int | str]]) -> str:
    """A commented YAML head, then tab-separated rows."""
    lines = [f"# {line}" for line in _yaml(head)]
    return "\n".join([*lines, *("\t".join(map(str, row)) for row in rows)]) + "\n"


def _yaml(values, indent=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _yaml(value, indent + "    ")
        elif isinstance(value, _Raw | int | float):
            yield f"{indent}{key}: {str(value).lower() if isinstance(value, bool) else value}"
        else:
            quoted = value.replace("'", "''")
            yield f"{indent}{key}: '{quoted}'"
