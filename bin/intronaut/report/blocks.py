"""What each kind of information adds: the partition's steps in a figure, a sentence and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intronaut.plots.contributions import contribution_steps
from intronaut.report import numbers as n

if TYPE_CHECKING:
    import pandas as pd

WORDS = {
    "architecture": "gene architecture", "composition": "base composition", "splice_sites": "splice sites",
    "other": "other covariates", "composition_of_window": "k-mers and GC of the window",
    "rbp": "RNA-binding motifs", "splice_network": "splice network",
    "chromatin": "predicted chromatin (Sei)", "measured": "measured tracks", "language_model": "DNABERT-2",
}  # fmt: skip
# measure: (name, its value of nothing)
MEASURES = {"auroc": ("AUROC", 0.5), "deviance": ("deviance explained", 0.0)}
QUANTITIES = ("alone", "last_in", "shapley")


def section(partition: pd.DataFrame | None) -> dict[str, Any] | None:
    """Values of the section's template; None without a partition of all sets of blocks."""
    rows = _rows(partition)
    if not rows:
        return None
    return {"gist": _gist(rows), "rows": rows, "measure": _measure(partition)[0]}


def draw(partition: pd.DataFrame | None) -> dict[str, str]:
    """``{"partition": svg}`` of the Shapley values as steps; empty without a partition."""
    rows = _rows(partition)
    if not rows:
        return {}
    name, start = _measure(partition)
    steps = [
        {"name": row["name"], "value": row["numbers"]["shapley"]["value"], "text": row["shapley"], "adds": row["adds"]}
        | {end: row["numbers"]["shapley"][end] for end in ("low", "high")}
        for row in rows
    ]
    *steps, total = steps
    total["text"] = n.estimate({key: None if total[key] is None else start + total[key] for key in
                                ("value", "low", "high")})  # fmt: skip
    title = "What each kind of information adds"
    return {"partition": contribution_steps(title, start, steps, total, f"held-out {name}")}


def _measure(partition):
    """``(name, value of nothing)`` of the first measure that the partition has."""
    return next(words for key, words in MEASURES.items() if (partition["measure"] == key).any())


def _rows(partition):
    """One dict per block, the total last; none where the partition lacks what is shown."""
    if partition is None or not {"block", "measure", *QUANTITIES} <= set(partition.columns):
        return []
    key = next((key for key in MEASURES if (partition["measure"] == key).any()), None)
    rows = []
    for row in partition[partition["measure"] == key].to_dict("records"):
        total = row["block"] == "(all)"
        numbers = {what: _metric(row, what) for what in QUANTITIES}
        written = {what: "" if total and what != "shapley" else _written(numbers[what]) for what in QUANTITIES}
        name = "all together" if total else WORDS.get(row["block"], row["block"].replace("_", " "))
        above_nothing = (numbers["shapley"]["low"] or 0) > 0
        adds = above_nothing if total else row.get("adds") == "yes"
        rows.append({"name": name, "numbers": numbers, "adds": adds, "total": total} | written)
    return sorted(rows, key=lambda row: row["total"])


def _metric(row, what):
    return {key: _number(row.get(column)) for key, column in
            (("value", what), ("low", f"{what}_low"), ("high", f"{what}_high"))}  # fmt: skip


def _written(number):
    """A gain; of a block that every model leaves out 0 alone, as an interval of no width would seem to be sure."""
    return "0" if set(number.values()) == {0.0} else n.gain(number)


def _number(value):
    return None if value is None or n.lacks(float(value)) else float(value)


def _gist(rows):
    """Which kinds add what no other kind tells."""
    adding = [row["name"] for row in rows if row["adds"] and not row["total"]]
    others = [row["name"] for row in rows if not row["adds"] and not row["total"]]
    if not adding:
        return f"No kind of information is shown to add anything to the others: {n.listed(others)}."
    verb = "tell" if len(adding) > 1 or adding[0].endswith("s") else "tells"
    text = f"{n.listed(adding)} {verb} something that no other kind of information does"
    if others:
        text += f"; {n.listed(others)} {'are' if len(others) > 1 or others[0].endswith('s') else 'is'} not shown to"
    return f"{text[:1].upper()}{text[1:]}."
