"""Models of one cell type, tested on the introns of the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from intronaut.core.errors import BadData
from intronaut.io.tables import read_table
from intronaut.report import numbers as n

if TYPE_CHECKING:
    from intronaut.report.study import Study

NUMBERS = ("introns", "auroc", "auroc_low", "auroc_high", "auroc_shared", "auroc_others")


def read_transfer(path: Path | str) -> pd.DataFrame:
    """The table of transfer, its numbers as floats. Raises BadData where a pair of cell types is there twice."""
    table = read_table(path, ("trained_in", "judged_in", *NUMBERS)).astype(dict.fromkeys(NUMBERS, float))
    if table.duplicated(["trained_in", "judged_in"]).any():
        raise BadData(f"{path}: a model is tested twice in one cell type; give each model's table by itself")
    return table


def section(study: Study) -> dict[str, Any] | None:
    """Values of the section's template; None for a study of one cell type."""
    if not study.transfers:
        return None
    return {"gist": gist(study.transfers), "models": [matrix(name, table) for name, table in study.transfers.items()]}


def gist(transfers: dict[str, pd.DataFrame]) -> str:
    """How well models rank introns at home and elsewhere, beside what a look at the other cell types tells."""
    rows = pd.concat(transfers.values())
    home = rows["trained_in"] == rows["judged_in"]
    other = rows[~home]
    known = [rows.loc[home, "auroc"], *(other[name] for name in ("auroc", "auroc_shared", "auroc_others"))]
    at_home, elsewhere, shared, others = (n.decimal(column.mean()) for column in known)
    return (
        f"Mean AUROC: {at_home} in the cell type that a model was fitted on, {elsewhere} in others. On the introns "
        f"that other cell types label too it is {shared} in others, where their mean label, without any model, has "
        f"{others}."
    )


def matrix(name: str, table: pd.DataFrame) -> dict[str, Any]:
    """One model: a row for each cell type it was fitted on, a column for each that it is tested in."""
    cells = list(dict.fromkeys(table["trained_in"]))
    by_pair = table.set_index(["trained_in", "judged_in"])
    return {
        "name": name,
        "cells": cells,
        "rows": [
            {"name": a, "values": [{"text": auroc(by_pair.loc[(a, b)]), "home": a == b} for b in cells]} for a in cells
        ],
        "others": [n.decimal(by_pair.loc[(b, b), "auroc_others"]) for b in cells],
        "introns": [n.count(by_pair.loc[(b, b), "introns"]) for b in cells],
    }


def auroc(row: pd.Series) -> str:
    """AUROC with its interval; a dash where a class is missing."""
    if n.lacks(row["auroc"]):
        return n.MISSING
    return n.estimate({"value": row["auroc"], "low": row["auroc_low"], "high": row["auroc_high"]})
