"""Introns between the labels, measured but neither high nor low in retention: scored held-out, a third set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import expit

from intronaut.core.log import Log
from intronaut.io.tables import write_table
from intronaut.models import lightgbm
from intronaut.models.calibration import apply_calibration
from intronaut.models.design_matrix import Matrix, Scale, locus_rows

if TYPE_CHECKING:
    from intronaut.io.h5ad import Features
    from intronaut.models.cross_validation import CrossFit, Plan

FILE = "ambiguous.tsv"


def ambiguous_rows(labels: pd.DataFrame) -> np.ndarray:
    """The rows of a labels table without a label that a caller has measured, bool ``(n,)``.

    Without a column ``evidence`` nobody knows which those are, and all rows without a label are.
    """
    measured = labels["evidence"].notna() if "evidence" in labels else True
    return (labels["label"].isna() & measured).to_numpy()


def score_ambiguous(
    features: Features,
    labels: pd.DataFrame,
    plan: Plan,
    result: CrossFit,
    maps: dict[int | None, dict[str, Any] | None],
    *,
    columns: np.ndarray,
    scale: Scale,
    threads: int,
) -> tuple[pd.DataFrame, int]:
    """Predictions of the ambiguous introns that have features, each by a model that has not seen its leakage group.

    An intron whose group lies in a held-out fold is predicted by the model of that fold; one whose group no training
    row has, by the final model. Where training rows of a test design share its group, no such model is kept, and it is
    left out.

    Args:
        plan: whose ``groups`` and ``fold`` say where each leakage group trains.
        result: the CrossFit of ``columns`` of the features; ``maps`` the calibration of each held-out fold and of None.
        scale: the Scale by which the models read the columns.

    Returns:
        ``(table, left_out)``: DataFrame ``name group fold p_retained logit``, and how many have no such model.
    """
    loci = locus_rows(features.obs.index)
    table = labels[ambiguous_rows(labels) & labels["name"].isin(loci.keys()).to_numpy()].reset_index(drop=True)
    group = table["group"].to_numpy(object) if "group" in table else np.full(len(table), None)
    fold_of = dict(zip(plan.groups, plan.fold, strict=True))
    outer = np.array([fold_of.get(name, 0) for name in group], int)
    unseen = outer <= 0 if not plan.nested else np.ones(len(table), bool)
    outer = np.where(outer > 0, outer, 0)
    table, group, outer, left_out = table[unseen], group[unseen], outer[unseen], int((~unseen).sum())
    if table.empty or not result.models:
        return pd.DataFrame(columns=["name", "group", "fold", "p_retained", "logit"]), left_out
    rows = np.array([[loci[name][0], loci[name][-1]] for name in table["name"]], np.int64)
    matrix = Matrix(features, rows, columns, scale=scale, memory=0, threads=threads)
    logits = np.empty(len(table))
    for number in np.unique(outer):
        model, inside = number or None, outer == number
        logits[inside] = apply_calibration(maps[model], _logits(matrix, result.models[model])[inside])
    fold = pd.array(np.where(outer > 0, outer, 0), "Int64").astype(object)
    fold[outer == 0] = pd.NA
    scored = {"name": table["name"], "group": group, "fold": fold, "p_retained": expit(logits), "logit": logits}
    return pd.DataFrame(scored).reset_index(drop=True), left_out


def write_ambiguous(folder: Path, table: pd.DataFrame, left_out: int, log: Log) -> None:
    """Write FILE from the results of :func:`score_ambiguous`; nothing where the table is empty."""
    if left_out:
        log.note(f"{left_out:,} ambiguous introns left out: introns of their groups train")
    if len(table):
        write_table(folder / FILE, table)
        mean = table["p_retained"].mean()
        log.note(f"{len(table):,} ambiguous introns, which no label calls: mean probability of retention {mean:.3f}")


def _logits(matrix, model):
    """Logits ``(n,)`` of a fold's model: coefficients and intercept, or booster and offset."""
    fitted, offset = model
    if isinstance(fitted, np.ndarray):
        return np.concatenate(list(matrix.map(lambda rows, values: values.astype(float) @ fitted))) + offset
    return lightgbm.predict(fitted, matrix) + offset
