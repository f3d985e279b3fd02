"""Introns: the loci that rank highest among held-out predictions, and the data of the searchable table of all."""

import bisect
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from intronaut.report import browsers, flags, verdict
from intronaut.report import numbers as n
from intronaut.report.study import Study, headline

TOP, STATIC, MOST_ROWS = 10, 25, 25_000
SHORTEST = flags.SHORTEST
OUTER = 0.2
CLASSES = {1.0: ("r", "retained"), 0.0: ("s", "spliced")}


@dataclass
class View:
    """A ranking of introns: ``key`` in the data, its title, held-out probabilities by name, the folds that these are
    of, their place in their fold between 0 and 1, by which introns are ranked because fold models have no common scale,
    their AUROC and file."""

    key: str
    title: str
    short: str
    probability: pd.Series
    fold: pd.Series
    place: pd.Series
    auroc: dict
    path: str


def views(study: Study) -> list[View]:
    """The rankings, the best held-out AUROC first: covariates, each feature set with and without them."""
    intron_views = []
    baseline = study.baseline_model
    if baseline:
        title = n.capital(n.listed(study.covariates))
        intron_views.append(
            _view("cov", title, "covariates", baseline, "covariates", f"fit/{baseline.name}/covariates")
        )
    for place, model in enumerate(study.best_models):
        if "combined" in model.predictions:
            title = n.capital(n.listed([*study.covariates, model.short]))
            intron_views.append(
                _view(f"both{place}", title, f"+ {model.short}", model, "combined", f"fit/{model.name}/combined")
            )
        title = model.short[:1].upper() + model.short[1:] + " alone"
        intron_views.append(_view(f"alone{place}", title, f"{model.short} alone", model, "alone", f"fit/{model.name}"))
    return sorted(intron_views, key=lambda view: -(view.auroc["value"] if not n.lacks(view.auroc["value"]) else 0))


def _view(key, title, short, model, part, folder):
    p, fold = model.predictions[part]["p_retained"], model.predictions[part]["fold"].fillna("test")
    in_fold = p.groupby(fold)
    place = (in_fold.rank() - 0.5) / in_fold.transform("size")
    return View(key, title, short, p, fold.astype(str), place, headline(model.of(part)), f"{folder}/predictions.tsv")


def ranked_by(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows of a view's ranking, best first; those without a held-out probability come last."""
    return rows.sort_values([f"{key}_place", key], ascending=False, kind="stable")


def section(study: Study, assembly: str | None) -> dict[str, Any]:
    """Values of the section's template."""
    rows = intron_rows(study)
    ranked = views(study)
    panels = [panel(study, rows, view, assembly) for view in ranked]
    best = next((one for one in panels if one["loci"]), None)
    return {
        "gist": ranking_sentence(best, study.unit),
        "panels": panels,
        "views": [{"key": view.key, "short": view.short} for view in ranked],
        "sorted": "the place in the fold"
        if ranking_key(study, ranked)
        else "locus, because no model is better than chance",
        "static": static_rows(study, rows, ranked, assembly),
        "data": as_json(data(study, rows, ranked, assembly)),
        "embedded": min(len(rows), MOST_ROWS),
        "total": len(rows),
        "linked": browsers.find_assembly(assembly) is not None,
        "shortest": SHORTEST,
        "has_short": bool((rows["length"] < SHORTEST).any()) and study.unit == "intron",
        "path": ranked[0].path if ranked else "",
    }


def intron_rows(study: Study) -> pd.DataFrame:
    """The labels with gene, length, held-out probability and place in the fold of each view, in genome order."""
    rows = study.labels.copy()
    rows["gene"] = study.name_of_gene
    rows["length"] = (
        rows["end"] - rows["start"] if "length" not in rows else rows["length"].fillna(rows["end"] - rows["start"])
    )
    ranked = views(study)
    # the folds of the predictions, which need not be those that the labels hold
    rows["fold"] = rows["name"].map(ranked[0].fold) if ranked else np.nan
    for view in ranked:
        rows[view.key], rows[f"{view.key}_place"] = (rows["name"].map(one) for one in (view.probability, view.place))
    return rows


def loci(rows: pd.DataFrame, key: str) -> list[dict[str, Any]]:
    """Overlapping introns of one strand behind the best of them: dicts of row, others, others_retained, best first.

    Introns without a held-out probability, and those too short to be introns, lead no locus.
    """
    ranked = ranked_by(rows[rows[key].notna() & (rows["length"] >= SHORTEST)], key)
    taken, rows_by_locus = {}, []
    for row in ranked.itertuples():
        # (start, end, number of the locus) of the leading introns so far, none of which overlap, in genome order
        places = taken.setdefault((row.chrom, row.strand), [])
        at = bisect.bisect_left(places, (row.end,))
        overlapping = []
        while at and places[at - 1][1] > row.start:
            at -= 1
            overlapping.append(places[at][2])
        if overlapping:
            behind = rows_by_locus[min(overlapping)]
            behind["others"] += 1
            behind["others_retained"] += row.label == 1
        else:
            bisect.insort(places, (row.start, row.end, len(rows_by_locus)))
            rows_by_locus.append({"row": row, "others": 0, "others_retained": 0})
    return rows_by_locus


def panel(study: Study, rows: pd.DataFrame, view: View, assembly: str | None) -> dict[str, Any]:
    """The first loci of a ranking, with how many of them are retained; none where the model is not above chance."""
    shown = {"key": view.key, "title": view.title, "loci": [], "path": view.path, "why_not": ""}
    if verdict.covers_chance(view.auroc, study.measure):
        about = f"{study.measure.name} {n.estimate(view.auroc)}"
        return shown | {"why_not": f"Not shown: this model is not better than chance ({about})."}
    every = loci(rows, view.key)
    retained = [locus["row"].label == 1 for locus in every]
    outer = outer_limits(study)
    first = min(50, len(every))
    return shown | {
        "loci": [locus_row(study, locus, view, outer, assembly) for locus in every[:TOP]],
        "auroc": n.decimal(view.auroc["value"]),
        "hits": sum(retained[:TOP]),
        "hits_50": sum(retained[:50]),
        "first": first,
        "share": sum(retained) / max(len(every), 1),
        "total": len(every),
        "caption": (
            f"Held-out {study.measure.name} {n.decimal(view.auroc['value'])}. {sum(retained[:TOP])} of these "
            f"{min(TOP, len(every))} loci and {sum(retained[:50])} of the first {first} are "
            f"{'called' if study.measured else 'annotated as'} retained; "
            f"{n.share(sum(retained) / max(len(every), 1))} of all {n.count(len(every))} loci are."
        ),
    }


def locus_row(
    study: Study, locus: dict[str, Any], view: View, outer: dict[str, np.ndarray], assembly: str | None
) -> dict[str, str]:
    row = locus["row"]
    others = ""
    if locus["others"]:
        others = f"and {locus['others']} overlapping"
        others += f", {locus['others_retained']} retained" if locus["others_retained"] else ""
    return {
        "gene": row.gene,
        "place": n.position(row.chrom, row.start, row.end, row.strand),
        "others": others,
        "length": n.count(row.length),
        "p": n.decimal(getattr(row, view.key)),
        "css": label_class(row.label)[0],
        "label": label_class(row.label)[1],
        "why": what_stands_out(row, outer),
        "links": list(browsers.links(assembly, row.chrom, row.start, row.end)),
    }


def label_class(label: float) -> tuple[str, str]:
    return CLASSES.get(label, ("u", "unknown"))


def outer_limits(study: Study) -> dict[str, np.ndarray]:
    """Sorted values of the covariates by which an intron may stand out."""
    known = study.known
    return {
        name: np.sort(known[name].dropna().to_numpy(float)) for name in ("length", "gc", "dist_tes") if name in known
    }


def what_stands_out(row: Any, outer: dict[str, np.ndarray]) -> str:
    """The covariates of an intron that are in the outer fifth, in words."""
    place = {
        name: np.searchsorted(values, getattr(row, name), side="right") / len(values)
        for name, values in outer.items()
        if len(values) and not n.lacks(getattr(row, name))
    }
    words = []
    if place.get("length", 0.5) < OUTER:
        words.append(f"short ({n.count(row.length)} nt, shorter than {n.share(min(0.99, 1 - place['length']), 0)})")
    elif place.get("length", 0.5) > 1 - OUTER:
        words.append(f"long ({n.count(row.length)} nt, longer than {n.share(min(0.99, place['length']), 0)})")
    if place.get("gc", 0.5) > 1 - OUTER:
        words.append(f"GC-rich ({n.share(row.gc, 0)}, above {n.share(min(0.99, place['gc']), 0)})")
    elif place.get("gc", 0.5) < OUTER:
        words.append(f"GC-poor ({n.share(row.gc, 0)}, below {n.share(min(0.99, 1 - place['gc']), 0)})")
    if place.get("dist_tes", 0.5) < OUTER:
        words.append(f"near the gene's end ({n.count(row.dist_tes)} nt)")
    return "; ".join(words) or "no single covariate stands out"


def ranking_sentence(best: dict[str, Any] | None, unit: str) -> str:
    """How much of the top of the best ranking is retained."""
    if best is None:
        return "No model ranks introns better than chance, so no ranking is shown; all introns are in the table below."
    share = best["hits_50"] / max(best["first"], 1)
    start = "The top of the ranking is no candidate list: of" if share < 0.5 else "Of"
    return (
        f"{start} the first {best['first']} loci, {best['hits_50']} are retained ({n.share(share, 0)}, against "
        f"{n.share(best['share'])} of all {n.count(best['total'])} loci)."
    )


def ranking_key(study: Study, ranked: list[View]) -> str:
    """The view that the table is sorted by: the best one above chance, else none."""
    return next((view.key for view in ranked if not verdict.covers_chance(view.auroc, study.measure)), None)


def static_rows(study: Study, rows: pd.DataFrame, ranked: list[View], assembly: str | None) -> list[dict[str, Any]]:
    """What the table of all introns holds without script."""
    key = ranking_key(study, ranked)
    first = ranked_by(rows, key) if key else rows
    if study.unit == "intron":
        first = first[first["length"] >= SHORTEST]
    return [
        {
            "gene": row.gene,
            "place": n.position(row.chrom, row.start, row.end, row.strand),
            "length": n.count(row.length),
            "gc": n.decimal(100 * row.gc, 1) if hasattr(row, "gc") else n.MISSING,
            "css": label_class(row.label)[0],
            "label": label_class(row.label)[1],
            "p": [n.decimal(getattr(row, view.key)) for view in ranked],
            "fold": row.fold if isinstance(row.fold, str) else n.MISSING,
            "links": list(browsers.links(assembly, row.chrom, row.start, row.end)),
        }
        for row in first.head(STATIC).itertuples()
    ]


def data(study: Study, rows: pd.DataFrame, ranked: list[View], assembly: str | None) -> dict[str, Any]:
    """The introns as columns for the page's script: starts as differences, genes by number, probabilities × 1000.

    What a view ranks by is too fine for thousandths, so that ranks stand beside them. Of more than MOST_ROWS, all
    retained ones and those that rank highest are kept.
    """
    key = ranking_key(study, ranked)
    if len(rows) > MOST_ROWS:
        rank = rows[f"{key}_place"].fillna(-1) if key else pd.Series(0.0, index=rows.index)
        first = (rank + 2 * (rows["label"] == 1)).sort_values(ascending=False, kind="stable").index[:MOST_ROWS]
        rows = rows.loc[np.sort(first)]
    chrom, chroms = pd.factorize(rows["chrom"])
    gene, genes = pd.factorize(rows["gene"], sort=True)
    start = rows["start"].to_numpy(np.int64)
    fold, folds = pd.factorize(rows["fold"].fillna(""))
    return browsers.for_script(assembly) | {
        "unit": study.unit,
        "chroms": list(chroms),
        "chrom": chrom.tolist() if len(chroms) > 1 else 0,
        "genes": list(genes),
        "gene": gene.tolist(),
        "start": np.diff(start, prepend=0).tolist(),
        "length": (rows["end"] - rows["start"]).tolist(),
        "gc": thousandths(rows["gc"]) if "gc" in rows else 0,
        "strand": "".join(strand if strand in "+-" else "." for strand in rows["strand"].astype(str)),
        "label": "".join(label_class(label)[0] for label in rows["label"]),
        "folds": list(folds),
        "fold": fold.tolist(),
        "sort": key,
        "views": [
            {"key": view.key, "short": view.short, "p": thousandths(rows[view.key]), "rank": ranks(rows, view.key)}
            for view in ranked
        ],
    }


def thousandths(values: pd.Series) -> list[int]:
    """Shares as whole thousandths, None for a missing one."""
    return [None if value != value else round(value * 1000) for value in values.tolist()]


def ranks(rows: pd.DataFrame, key: str) -> list[int]:
    """How many rows a view ranks lower than each, None for one without a held-out probability."""
    lower = pd.Series(np.arange(len(rows))[::-1], index=ranked_by(rows, key).index)[rows.index]
    return [None if lacks else rank for rank, lacks in zip(lower.tolist(), rows[key].isna(), strict=True)]


def as_json(data: dict[str, Any]) -> str:
    """Data as JSON that can neither end nor open an element of the page it stands in."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
