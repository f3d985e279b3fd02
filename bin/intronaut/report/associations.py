"""What is associated with retention: only what was selected is coloured and named; the rest is grey and folded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from intronaut.plots import page as figures
from intronaut.report import flags, verdict
from intronaut.report import numbers as n
from intronaut.report.covariates import covariate_words

if TYPE_CHECKING:
    import pandas as pd

    from intronaut.report.study import Study

FDR = 0.05
SHOWN_FAMILIES, SHOWN_GROUPS, SHOWN_NAMES, SHOWN_BOXES = 10, 8, 4, 5
FEWEST_FOR_PROFILE = 10
# of fewer windows that cover a bin, one with a site is a peak of its profile
FEWEST_IN_BIN = 20
POSITION_COLUMNS = {"family", "landmark", "start", "end", "label", "windows", "share"}
SHOWN_VARIANTS = 15
# what models of each target predict, in a table of variants
PREDICTED = {"label": "probability", "level": "level", "difference": "(1 + difference) / 2"}


def section(study: Study, drawn: dict[str, str]) -> dict[str, Any]:
    """Values of the section's template; ``drawn`` are the figures of the page by name."""
    of_profiles = {"fewest_in_bin": FEWEST_IN_BIN}
    motifs = [motif_part(study, one) | figure_names(one["name"], drawn) | of_profiles for one in study.motifs]
    groups = [group_part(name, one, study) for name, one in study.explanations.items()]
    return {
        "gist": gist(motifs, groups),
        "motifs": motifs,
        "groups": groups,
        "enrichments": [enrichment_part(one) for one in study.enrichments],
        "variants": [variant_part(one) for one in study.variants],
        "predicted": PREDICTED[study.target],
    }


def figure_names(name: str, drawn: dict[str, str]) -> dict[str, Any]:
    """The names of a motif folder's figures: scatters of effects by GC content, and position profiles."""
    suffix = suffix_of(name)
    scatters = [f"motifs_gc_{key}{suffix}" for key in ("unadjusted", "adjusted")]
    profiles = [key for key in drawn if key.startswith("position_") and key.endswith(suffix or ("donor", "acceptor"))]
    scatters = [key for key in scatters if key in drawn]
    return {"scatters": scatters, "profiles": profiles}


def suffix_of(name: str) -> str:
    """What ends the names of a motif folder's figures; empty for the folder of all sites."""
    return "" if name == "motifs" else f"_{name.removeprefix('motifs_')}"


def gist(motifs: list[dict[str, Any]], groups: list[dict[str, Any]]) -> str:
    """One sentence with the numbers of groups and families that were selected."""
    parts = []
    for part in groups:
        parts.append(part["count"])
    for part in motifs[:1]:
        parts.append(part["count"])
    # models of several kinds on the same features may select the same, mostly nothing
    text = "; ".join(dict.fromkeys(parts))
    return f"{text[:1].upper()}{text[1:]}." if text else "No explanation was made in this run."


def selection_sentences(study: Study) -> list[str]:
    """What was selected, for the verdict's evidence."""
    parts, sentences = [group_part(name, explanation, study) for name, explanation in study.explanations.items()], []
    units = [part["units"] for part in parts if part["units"] and not part["selected"]]
    if len(units) > n.MOST_LISTED:
        models = f"any of {len(units)}" if len(units) == len(parts) else f"{len(units)} of {len(parts)}"
        sentences = [f"No group of features is selected in {models} models (0 of {sum(units):,})."]
        parts = [part for part in parts if part["selected"] or not part["units"]]
    sentences += [n.capital(part["count"]) + "." for part in parts]
    for motifs in study.motifs[:1]:
        part = motif_part(study, motifs)
        sentences.append(part["finding"])
    return list(dict.fromkeys(sentences))


def plain_name(study: Study, name: str) -> str:
    """A model's feature set in words."""
    return next((model.short for model in study.models if model.name == name), name)


def selected_groups(explanation: dict[str, Any]) -> pd.DataFrame:
    """The rows that hold on other introns: ``status`` selected, or without that column the adjusted selection."""
    groups = explanation["groups"]
    if "status" in groups:
        return groups[groups["status"] == "selected"]
    column = "adjusted_selected" if selected_adjusted(explanation) else "selected"
    return groups[groups[column] == 1] if column in groups else groups.iloc[:0]


def selected_adjusted(explanation: dict[str, Any]) -> bool:
    """Whether an adjusted selection was made."""
    return bool(explanation["about"].get("selection_of_adjusted_groups"))


def group_part(name: str, explanation: dict[str, Any], study: Study) -> dict[str, Any]:
    """How many groups of one model's features were selected, which, and how often the best ones were picked."""
    groups, about = explanation["groups"], explanation["about"]
    adjusted = selected_adjusted(explanation)
    prefix = "adjusted_" if adjusted else ""
    selection = about.get(f"selection_of_{prefix}groups") or {}
    chosen = selected_groups(explanation)
    what = plain_name(study, name)
    units = selection.get("units", len(groups))
    frequency = f"{prefix}selection_probability"
    tested = frequency in groups and selection.get("selected_on_each_half")
    others = groups[~groups["group"].isin(chosen["group"])]
    ranked = others.nlargest(SHOWN_GROUPS, frequency).to_dict("records") if tested else []
    return {
        "name": name,
        "what": what,
        "count": _count_sentence(what, len(chosen), units, list(chosen["group"]), selection),
        "units": units if selection.get("selected_on_each_half") else None,
        "rule": selection_rule(selection, about.get("adjusted_for") if adjusted else None, "status" in groups),
        "selected": [selected_row(row, prefix) for row in chosen.to_dict("records")],
        "threshold": 100 * selection["threshold"] if selection.get("threshold") else None,
        "frequency": [
            {"group": row["group"], "width": round(100 * row[frequency], 1), "text": n.share(row[frequency], 0)}
            for row in ranked
        ],
        "total": len(groups),
    }


def _count_sentence(what, chosen, units, names, selection):
    if not selection:
        return f"which {what} features are selected was not tested"
    if not selection.get("selected_on_each_half"):
        return f"which of {units:,} {what} groups hold up on random halves cannot be tested: there are too few of them"
    if not chosen:
        return f"no group of {what} is selected (0 of {units:,})"
    shown, _ = n.cut(names, SHOWN_NAMES)
    return f"{chosen:,} of {units:,} groups of {what} {'is' if chosen == 1 else 'are'} selected: {shown}"


def selection_rule(selection: dict[str, float], adjusted_for: list[str] | None, evidence: bool = False) -> str:
    """When a group counts as selected; empty where selection was not made.

    With ``evidence`` it also takes a false discovery rate and a cost when permuted.
    """
    if not selection or not selection.get("selected_on_each_half"):
        return ""
    picks = selection["selected_on_each_half"]
    rank = "the strongest" if picks == 1 else f"among the {picks} strongest"
    known = covariate_words(adjusted_for or [])
    adjusted = f" once {n.listed(known)} {'are' if len(known) > 1 else 'is'} adjusted for" if known else ""
    return (
        f"A group is selected if it is {rank} on at least {n.share(selection['threshold'], 0)} of "
        f"{selection['halves']} random halves of the introns{adjusted} (at most {selection['false_at_most']:.2g} of "
        f"{selection['units']:,} by chance)"
        + (", its false discovery rate is below 5% and permuting it costs." if evidence else ".")
    )


def selected_row(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    """A selected group: how often, its direction and its effect refitted on the other half."""
    positive = row.get(f"{prefix}selected_positive")
    columns = {"value": "refit", "low": "refit_low", "high": "refit_high"}
    refit = {key: row.get(prefix + column) for key, column in columns.items()}
    up = positive == 1 if not n.lacks(positive) else (not n.lacks(refit["value"]) and refit["value"] > 0)
    known = not (n.lacks(positive) and n.lacks(refit["value"]))
    return {
        "group": row["group"],
        "share": n.share(row.get(f"{prefix}selection_probability"), 0),
        "direction": ("with retention" if up else "with splicing") if known else "either way",
        "css": ("r" if up else "s") if known else "u",
        "refit": n.gain(refit, 2) if not n.lacks(refit["value"]) else n.MISSING,
        "fdr": n.p_value(row.get(f"{prefix}fdr")),
    }


def motif_part(study: Study, motifs: dict[str, Any]) -> dict[str, Any]:
    """Motif families: which differ after adjusting, beside what they were before."""
    families, summary = motifs["families"], motifs["summary"]
    hits = families[families["q"] <= FDR].sort_values("q", kind="stable")
    tested = families[families["p"].notna()] if "p" in families else families
    order = "p" if "p" in families else "q"
    rows = families.sort_values(order, kind="stable").head(max(SHOWN_FAMILIES, min(len(hits), 30)))
    return {
        "name": motifs["name"],
        "title": title(motifs["name"]),
        "count": motif_count(len(tested), hits, summary),
        "finding": motif_finding(hits),
        "gc": gc_sentence(summary, len(hits)),
        "boxes": [family_box(row, study, summary) for row in hits.head(SHOWN_BOXES).to_dict("records")],
        "rows": [family_row(row) for row in rows.to_dict("records")],
        "total": len(tested),
    }


def title(folder: str) -> str:
    """What a folder of find_motifs is about."""
    of_all = {"motifs": "Motifs", "motifs_rna": "Motifs of RNA-binding proteins"}
    return of_all.get(folder) or f"Motifs where {folder.removeprefix('motifs_')} looks"


def motif_count(total: int, hits: pd.DataFrame, summary: dict[str, Any]) -> str:
    before = summary["significant_families"]["unadjusted"]
    names, _ = n.cut(list(hits["family"]), SHOWN_NAMES)
    families = n.plural(total, "motif family", "motif families")
    verb = "differs" if len(hits) == 1 else "differ"
    start = f"{len(hits):,} of {families}, {names}, {verb}" if len(hits) else f"none of {families} differs"
    start += " after adjusting for GC and length"
    return f"{start}; {n.count(before) if before else 'none'} {'do' if before > 1 else 'does'} before"


def motif_finding(hits: pd.DataFrame) -> str:
    if not len(hits):
        return "No motif family differs after adjusting for GC and length."
    if len(hits) == 1:
        row = hits.iloc[0]
        return (
            f"One motif family, {row['family']}, still differs after adjusting for GC and length; it rests on "
            f"{n.plural(int(row['retained_hit']), 'retained intron')}."
        )
    names, _ = n.cut(list(hits["family"]), SHOWN_NAMES)
    return f"{len(hits):,} motif families differ after adjusting for GC and length: {names}."


def gc_sentence(summary: dict[str, Any], n_adjusted: int) -> str:
    before, after = summary["gc_correlation"]["unadjusted"], summary["gc_correlation"]["adjusted"]
    if before is None or after is None:
        return ""
    if abs(before) >= flags.GC_SLOPE[1] and abs(after) < flags.GC_SLOPE[0]:
        rich = "rich" if before > 0 else "poor"
        nearly = n_adjusted < 0.1 * summary["significant_families"]["unadjusted"]
        return (
            f"Before adjusting, GC-{rich} motifs look enriched because retained introns are GC-{rich}. Adjusted for "
            "the window's GC content and the intron's length, that slope is gone"
            + (", and with it nearly all differences." if nearly else ".")
        )
    how = "follows" if abs(after) >= flags.GC_SLOPE[0] else "does not follow"
    return (
        f"A motif's adjusted effect {how} its GC content (rank correlation {n.decimal(before, 2)} unadjusted, "
        f"{n.decimal(after, 2)} adjusted)."
    )


def family_box(row: Any, study: Study, summary: dict[str, Any]) -> dict[str, Any]:
    """What is known of a family with q ≤ FDR, in words."""
    known = [len(study.of_class(label)) for label in (1, 0)]
    retained, spliced = int(row["retained_hit"]), int(row["spliced_hit"])
    shares = (
        row.get("share_retained", retained / max(known[0], 1)),
        row.get("share_spliced", spliced / max(known[1], 1)),
    )
    single = (summary.get("significant_motifs") or {}).get("adjusted")
    few = (
        f" {n.plural(retained, 'retained window')} {'is' if retained == 1 else 'are'} too few for a position profile "
        f"(drawn from {FEWEST_FOR_PROFILE})."
        if retained < FEWEST_FOR_PROFILE
        else ""
    )
    return {
        "family": row["family"],
        "text": (
            f" has a site in {n.count(retained)} retained ({n.share(shares[0])}) and {n.count(spliced)} spliced "
            f"windows ({n.share(shares[1])}); adjusted odds ratio {n.odds_ratio(row['odds_ratio'])} "
            f"({n.odds_interval(row['low'], row['high'])}), q = "
        ),
        "q": n.p_value(row["q"]),
        "more": few
        + ("" if single is None else f" {n.count(single) if single else 'No'} single motif{'s' if single > 1 else ''} "
           f"{'reach' if single > 1 else 'reaches'} q ≤ {FDR:g}.")
        + " An association does not show that the factor acts.",
    }  # fmt: skip


def family_row(row: dict[str, Any]) -> dict[str, Any]:
    hit = row["q"] <= FDR
    text, whole = n.cut(row["factors"].split(";") if isinstance(row["factors"], str) else [row["family"]], SHOWN_NAMES)
    logs = {key: _log2(row[column]) for key, column in (("value", "odds_ratio"), ("low", "low"), ("high", "high"))}
    return {
        "hit": hit,
        "factors": text,
        "whole": whole,
        "retained": n.share(row.get("share_retained")) if "share_retained" in row else n.count(row["retained_hit"]),
        "spliced": n.share(row.get("share_spliced")) if "share_spliced" in row else n.count(row["spliced_hit"]),
        "track": verdict.track(logs, -5, 5, 0) if logs["value"] is not None else None,
        "css": "grey" if not hit else "up" if row["odds_ratio"] > 1 else "down",
        "odds": n.odds_ratio(row["odds_ratio"]),
        "interval": n.odds_interval(row["low"], row["high"]),
        "q": n.p_value(row["q"]),
        "odds_unadjusted": n.odds_ratio(row.get("odds_ratio_unadjusted")),
        "q_unadjusted": n.p_value(row.get("q_unadjusted")),
    }


def _log2(value):
    return None if n.lacks(value) or value <= 0 else math.log2(value)


def enrichment_part(enrichment: dict[str, Any]) -> dict[str, Any]:
    """Measured peaks: those that differ are named, the others counted and folded."""
    marks, summary = enrichment["marks"], enrichment["summary"]
    hits = int((marks["q"] <= FDR).sum())
    adjusted = n.listed([{"gc": "GC content"}.get(name, name) for name in summary["adjusted_for"]] or ["nothing"])
    rows = marks.sort_values("q", kind="stable").head(max(SHOWN_FAMILIES, min(hits, 30)))
    return {
        "name": enrichment["name"],
        "sentence": (
            f"Measured peaks over {n.count(summary['n_retained'])} retained and {n.count(summary['n_spliced'])} "
            f"spliced introns: {hits:,} of {n.plural(len(marks), 'mark')} {'differs' if hits == 1 else 'differ'} "
            f"(q ≤ {FDR:g}, adjusted for {adjusted})."
        ),
        "rows": [
            {
                "hit": row["q"] <= FDR,
                "mark": row["mark"],
                "odds": n.odds_ratio(row["odds_ratio"]),
                "interval": n.odds_interval(row["low"], row["high"]),
                "q": n.p_value(row["q"]),
                "fisher": n.odds_ratio(row.get("fisher_odds_ratio")),
                "fisher_q": n.p_value(row.get("fisher_q")),
            }
            for row in rows.to_dict("records")
        ],
        "total": len(marks),
    }


def variant_part(variants: dict[str, Any]) -> dict[str, Any]:
    """The variants that change a model's prediction most."""
    summary, scores = variants["summary"], variants["scores"]
    left_out = sum(summary["left_out"].values())
    return {
        "name": variants["name"],
        "sentence": (
            f"{n.count(summary['scored'])} of {n.count(summary['alleles'])} alleles lie in the window of an intron"
            + (f"; {n.count(left_out)} were left out, by reason in summary.json." if left_out else ".")
            + " The change is that of the model's prediction; that a base change acts in a cell is another matter."
        ),
        "rows": [variant_row(row) for row in scores.head(SHOWN_VARIANTS).to_dict("records")],
        "total": len(scores),
    }


def variant_row(row: dict[str, str]) -> dict[str, Any]:
    def number(key, write):
        try:
            return write(float(row[key]))
        except (KeyError, TypeError, ValueError):
            return n.MISSING

    return {
        "place": f"{row['chrom']}:{number('pos', n.count)}",
        "change": f"{row['ref']}>{row['alt']}",
        "intron": row["name"],
        "delta": number("delta_logit", lambda value: n.signed(value, 3)),
        "p_ref": number("p_ref", n.decimal),
        "p_alt": number("p_alt", n.decimal),
        "null_p": number("null_p", n.p_value),
    }


def draw(study: Study) -> dict[str, str]:
    """``{name: svg}``: effects of motif families by GC content, before and after adjusting, and position profiles of
    the families with q ≤ FDR and enough windows."""
    drawn = {}
    for motifs in study.motifs:
        families = motifs["families"]
        if "motif_gc" not in families:
            continue
        suffix = suffix_of(motifs["name"])
        rho = motifs["summary"]["gc_correlation"]
        hits = list(families.loc[families["q"] <= FDR, "family"])
        for key, column in (("unadjusted", "odds_ratio_unadjusted"), ("adjusted", "odds_ratio")):
            if column not in families or rho[key] is None:
                continue
            rows = families[["family", "motif_gc", column, "q"]].set_axis(["family", "gc", "odds_ratio", "q"], axis=1)
            points = [row | {"hit": row["q"] <= FDR} for row in rows.to_dict("records")]
            note = f"rank correlation with GC {n.decimal(rho[key], 2)}"
            words = (
                f"Odds ratio of motif families against their GC content; {note}; coloured: {', '.join(hits) or 'none'}."
            )
            drawn[f"motifs_gc_{key}{suffix}"] = figures.effects_by_gc(key.capitalize(), points, note, words)
        drawn |= dict(_profiles(motifs, families, suffix))
    return drawn


def _profiles(motifs, families, suffix):
    positions = motifs["positions"]
    hits = families[(families["q"] <= FDR) & (families["retained_hit"] >= FEWEST_FOR_PROFILE)]
    if positions is None or not set(positions.columns) >= POSITION_COLUMNS:
        return
    for number, family in enumerate(hits["family"].head(SHOWN_BOXES), 1):
        rows = positions[positions["family"] == family]
        for landmark, part in rows.groupby("landmark"):
            bins = part[part["share"].notna() & (part["windows"] >= FEWEST_IN_BIN)].to_dict("records")
            if bins:
                words = "Share of retained and spliced windows with a site."
                yield f"position_{number}_{landmark}{suffix}", figures.position_profile(family, landmark, bins, words)
