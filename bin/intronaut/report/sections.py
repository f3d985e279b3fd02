"""What explain and the tools after it show in the report: sentences, the first rows of a table, figures, cards."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from intronaut.core.errors import BadData
from intronaut.core.files import require_file
from intronaut.io.tables import read_table

SHOWN_ROWS, SHOWN_NAMES = 15, 5
TOP_GROUPS = 25
TOP_INTRONS = 10


@dataclass(frozen=True)
class Section:
    """How to show a tool's folder: ``columns`` maps a table's columns to headings, ``figures`` SVGs to captions."""

    title: str
    table: str
    columns: dict
    figures: dict
    words: Callable
    order: str = ""


def _motif_words(summary):
    found = summary["significant_families"]
    rho = summary["gc_correlation"]
    where = "Where a network's attributions stand out, motif" if summary["attributions"] else "Motif"
    yield (
        f"{where} families that differ between retained and spliced windows, at a false-discovery rate of 5 %: "
        f"{found['adjusted']:,} once the windows' GC content and the introns' length are allowed for, "
        f"{found['unadjusted']:,} before."
    )
    if None not in (rho["unadjusted"], rho["adjusted"]):
        yield (
            "How GC-rich a motif is goes with how enriched it looks: rank correlation "
            f"{rho['unadjusted']:.2f} before, {rho['adjusted']:.2f} after."
        )
    yield "A difference that is there before and gone after is one of base content, not of a factor."


def _enrich_words(summary):
    adjusted = " and ".join(summary["adjusted_for"]) or "nothing"
    yield (
        f"Measured peaks over {summary['n_retained']:,} retained and {summary['n_spliced']:,} spliced introns. "
        f"Odds ratios are adjusted for {adjusted}; Fisher's exact test beside them is not."
    )


def _variant_words(summary):
    left_out = sum(summary["left_out"].values())
    yield (
        f"{summary['scored']:,} of {summary['alleles']:,} alleles lie in the window of an intron"
        + (f"; {left_out:,} were left out, by reason in summary.json." if left_out else ".")
    )
    yield "The change is that of the model's prediction; that a base change acts in a cell is another matter."


_ODDS = {"odds_ratio": "odds ratio", "low": "from", "high": "to", "q": "q"}
SECTIONS = {
    "motifs": Section(
        "Motifs in retained introns",
        "families.tsv",
        {"family": "family", "factors": "factors", "retained_hit": "retained with a site", "spliced_hit": "spliced"}
        | _ODDS
        | {"odds_ratio_unadjusted": "unadjusted", "q_unadjusted": "q"},
        {
            "volcano": "Effect and evidence of every motif, adjusted and not.",
            "gc": "If a motif's GC content alone tells its effect, the effect is one of base content.",
            "positions": "Where the strongest families have their sites, seen from the splice sites.",
        },
        _motif_words,
    ),
    "enrich": Section(
        "Measured peaks on retained introns",
        "enrich.tsv",
        {"mark": "mark", "retained_with": "retained with it", "spliced_with": "spliced"}
        | _ODDS
        | {"fisher_odds_ratio": "unadjusted", "fisher_q": "q"},
        {"forest": "Odds ratios with their 95 % intervals."},
        _enrich_words,
    ),
    "variants": Section(
        "Variants that change the prediction most",
        "scores.tsv",
        {"chrom": "chrom", "pos": "position (from 1)", "ref": "from", "alt": "to", "name": "intron",
         "delta_logit": "Δ logit", "p_ref": "probability", "p_alt": "with the variant",
         "null_p": "p against random changes"},
        {},
        _variant_words,
        order="delta_logit",
    ),
}  # fmt: skip


def read_section(kind, folder):
    """One tool's folder for the page: a dict of kind, title, name, sentences, headings, rows, total and figures.

    A cell of a row is ``(text, all of it)``; figures map names to ``(SVG, caption)``.

    Raises MissingInput, and BadData for a folder that another tool made, or find_motifs --preset paper.
    """
    section, folder = SECTIONS[kind], Path(folder)
    summary_file = next(iter(sorted(folder.glob("*.json"))), folder / "summary.json")
    summary = read_json(summary_file)
    try:
        if kind == "motifs" and summary.get("preset") == "paper":
            raise BadData(
                f"{folder}: made by find_motifs --preset paper, which the report does not show; give a folder made "
                "without --preset"
            )
        sentences = list(section.words(summary))
    except (KeyError, TypeError, AttributeError) as problem:
        raise BadData(f"{summary_file}: not a summary of {kind} ({problem!r})") from problem
    table = read_table(folder / section.table, tuple(section.columns))
    if section.order:
        table = table.loc[table[section.order].astype(float).abs().sort_values(ascending=False, kind="stable").index]
    shown = table.head(SHOWN_ROWS)[list(section.columns)]
    return {
        "kind": kind,
        "title": section.title,
        "name": folder.name,
        "sentences": sentences,
        "headings": list(section.columns.values()),
        "rows": [[_cell(*cell) for cell in row.items()] for _, row in shown.iterrows()],
        "total": len(table),
        "figures": {f"{folder.name}_{name}": (read_svg(folder / f"{name}.svg"), caption)
                    for name, caption in section.figures.items() if (folder / f"{name}.svg").exists()},
    }  # fmt: skip


def section_findings(sections):
    """The first sentence of every section, once, after the names of those that say it where a kind has several."""
    told = {}
    for section in sections:
        told.setdefault((section["kind"], section["sentences"][0]), []).append(section["name"])
    kinds = [section["kind"] for section in sections]
    return [f"{', '.join(names)}: {words}" if kinds.count(kind) > 1 else words for (kind, words), names in told.items()]


def _cell(column, value):
    """``(text, all of it)`` of a cell; the second is empty where the first leaves nothing out."""
    if column != "factors" or not isinstance(value, str):
        return _short(value), ""
    names = value.split(";")
    if len(names) <= SHOWN_NAMES:
        return ", ".join(names), ""
    return f"{', '.join(names[:SHOWN_NAMES])} and {len(names) - SHOWN_NAMES} more", ", ".join(names)


def _short(value):
    """A cell for reading: three significant digits of a fraction, a dash for what is missing, the rest as it is."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "–" if value is None or value != value else str(value)
    if math.isnan(number):
        return "–"
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    return f"{number:,.0f}" if number == int(number) and abs(number) < 1e12 else f"{number:.3g}"


def read_svg(path):
    """An SVG file as an ``<svg>`` element for a page. Raises MissingInput."""
    text = require_file(path).read_text(encoding="utf-8")
    return text[text.index("<svg") :]


def read_explanation(folder, labels):
    """The strongest groups, and a card for each intron with the highest predicted retention, of one explain folder."""
    folder = Path(folder)
    parts = read_table(folder / "contributions.tsv", ("name", "logit", "group", "contribution"))
    parts = parts.astype({"logit": float, "contribution": float})
    told = read_json(folder / "explanation.json") if (folder / "explanation.json").exists() else {}
    of_locus = labels.set_index("name")
    # matching leaves introns out of the labels that still have features
    parts = parts[parts["name"].isin(of_locus.index)]
    best = parts.drop_duplicates("name").nlargest(TOP_INTRONS, "logit")["name"]
    groups = read_table(folder / "groups.tsv", ("group", "coefficient_sum")).head(TOP_GROUPS)
    return {
        "groups": groups,
        "signed": groups["coefficient_sum"].notna().any(),
        "refitted": "low" in groups and groups["low"].notna().any(),
        "stability": stability_sentence(told),
        "cards": [card(of_locus.loc[name], parts[parts["name"] == name]) for name in best],
    }


def stability_sentence(told):
    """How many groups hold up on random halves of the introns; empty for an explanation made without labels."""
    found, adjusted = told.get("selection_of_groups"), told.get("selection_of_adjusted_groups")
    if not found:
        return ""
    if not found["selected_on_each_half"]:
        return f"Which of {found['units']:,} groups hold up on random halves cannot be said: there are too few of them."
    text = (
        f"On at least {found['threshold']:.0%} of random halves of the introns, {found['selected']:,} of "
        f"{found['units']:,} groups are among the few that say most (at most {found['false_at_most']:.2g} by chance)"
    )
    return text + (f"; {adjusted['selected']:,} say something that the covariates do not." if adjusted else ".")


def card(locus, parts):
    """One intron: what it is, what is predicted, and the features that move its logit most either way."""
    words = {1.0: "retained", 0.0: "spliced"}
    named = [locus[column] for column in ("gene_name", "gene_id") if isinstance(locus[column], str)]
    return {
        "for": moves(parts[parts["contribution"] > 0]),
        "against": moves(parts[parts["contribution"] < 0]),
        "name": locus.name,
        "gene": next(filter(None, named), "–"),
        "label": words.get(locus["label"], "unknown"),
        "p": 1 / (1 + math.exp(-parts["logit"].iloc[0])),
    }


def moves(parts):
    """Contributions added up by group, the largest first: ``CTCF (+0.12, 7 features), MAZ (+0.05)``."""
    sums = parts.groupby("group", sort=False)["contribution"].agg(["sum", "size"])
    sums = sums.sort_values("sum", key=abs, ascending=False, kind="stable")
    return ", ".join(
        f"{group} ({total:+.2f}" + (f", {n} features)" if n > 1 else ")") for group, total, n in sums.itertuples()
    )


def read_json(path):
    """The content of a JSON file. Raises MissingInput and BadData."""
    try:
        return json.loads(Path(require_file(path)).read_text(encoding="utf-8"))
    except ValueError as problem:
        raise BadData(f"{path}: not JSON: {problem}") from problem
