"""Fits to the level of retention itself: shares of reads, weighted by how much their counts can tell."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from intronaut.core.errors import BadData
from intronaut.models.cross_validation import CrossFit, Plan, left_out_sets

FIRST_RHO = 0.1
SMALLEST_RHO, LARGEST_RHO = 1e-4, 0.9
# fitted probabilities nearer to 0 or 1 than this would give single rows any weight in the moments
SMALLEST_P = 1e-6


@dataclass
class Levels:
    """Measured levels ``y`` and the reads ``n`` behind them, ``(n,)`` float64, NaN where not measured; ``weights``
    where they are known beforehand; ``counted`` whether ``n`` are reads, so that overdispersion can be estimated."""

    y: np.ndarray
    n: np.ndarray
    weights: np.ndarray | None
    counted: bool


def read_levels(labels: pd.DataFrame, target: str, path: Path | str) -> Levels:
    """The Levels of a labels table.

    ``counts`` reads ``ir_reads`` of ``ir_total``; ``level`` reads ``psi`` with ``psi_n`` and ``psi_weight``, or ``psi``
    alone, whose rows then count equally (Papke & Wooldridge 1996, J Appl Econom 11:619). ``difference`` reads
    ``delta_psi`` with ``delta_weight``: the level is (1 + ΔPSI) / 2, whose log odds are twice Fisher's z of ΔPSI. Rows
    without reads are NaN.

    Raises BadData for lacking columns, and for levels outside 0 to 1.
    """
    if target == "difference":
        return _read_differences(labels, path)
    wanted = ("ir_reads", "ir_total") if target == "counts" else ("psi",)
    lacking = [name for name in wanted if name not in labels]
    if lacking:
        raise BadData(
            f"{path}: no column {', '.join(lacking)} for --target {target}; label_introns writes them for reads"
        )
    number = {name: pd.to_numeric(labels[name], errors="coerce").to_numpy(float) for name in labels.columns
              if name in (*wanted, "psi_n", "psi_weight")}  # fmt: skip
    if target == "counts":
        n = np.where(number["ir_total"] > 0, number["ir_total"], np.nan)
        levels = Levels(number["ir_reads"] / n, n, None, True)
    else:
        n = number.get("psi_n", np.where(np.isnan(number["psi"]), np.nan, 1.0))
        levels = Levels(number["psi"], n, number.get("psi_weight"), "psi_n" in number)
    _refuse_outside(levels, labels, path, "levels lie outside 0 to 1")
    return levels


def _read_differences(labels, path):
    if "delta_psi" not in labels:
        raise BadData(
            f"{path}: no column delta_psi for --target difference; label_introns writes it for differences of two "
            "conditions (--calls of differential_retention)"
        )
    delta = pd.to_numeric(labels["delta_psi"], errors="coerce").to_numpy(float)
    weights = None
    if "delta_weight" in labels:
        weights = pd.to_numeric(labels["delta_weight"], errors="coerce").to_numpy(float)
    levels = Levels((1 + delta) / 2, np.where(np.isnan(delta), np.nan, 1.0), weights, False)
    _refuse_outside(levels, labels, path, "differences lie outside −1 to 1")
    return levels


def _refuse_outside(levels, labels, path, what):
    outside = (levels.y < 0) | (levels.y > 1)
    if outside.any():
        name = labels["name"].to_numpy()[outside][0]
        raise BadData(f"{path}: {outside.sum()} {what}, first that of {name!r}")


def row_weights(levels: Levels) -> np.ndarray:
    """The weights ``(n,)`` of rows whose overdispersion is not estimated: those given, else 1."""
    return np.ones(len(levels.y)) if levels.weights is None else levels.weights


@dataclass
class Outcome:
    """What a fitted model had learnt of each row: ``y`` ``(n,)`` its label (1 or 0) or level, its ``weights`` ``(n,)``,
    and whether it lies ``above`` ``(n,)``: is retained, or has more than the median level."""

    y: np.ndarray
    weights: np.ndarray
    above: np.ndarray


def rows_of_model(labels: pd.DataFrame, notes: dict[str, Any], path: Path | str) -> pd.DataFrame:
    """The labels table as a model of fit read it: unchanged, or for a model of levels parted by them."""
    if notes.get("target", "label") == "label":
        return labels
    return level_rows(labels, read_levels(labels, notes["target"], path), notes["min_reads"])[0]


def outcome_of_model(table: pd.DataFrame, notes: dict[str, Any], path: Path | str) -> Outcome:
    """The Outcome of rows of :func:`rows_of_model`, with the weights that the final model gave them."""
    label = table["label"].to_numpy()
    if notes.get("target", "label") == "label":
        return Outcome(label, np.ones(len(label)), label == 1)
    levels, weights = read_levels(table, notes["target"], path), np.ones(len(label))
    if levels.weights is not None:
        weights = levels.weights
    elif notes["rho"]:
        weights = read_weights(levels.n, notes["rho"]["final"])
    return Outcome(levels.y, weights, label == 1)


def level_rows(labels: pd.DataFrame, levels: Levels, min_reads: int) -> tuple[pd.DataFrame, int]:
    """A labels table whose ``label`` parts introns by their level, so that folds come out even; for fits to levels.

    ``label`` is 1 above the median level, else 0, and NaN without a level or with fewer than ``min_reads`` reads;
    ``class`` is the label by thresholds.

    Returns ``(labels, number of rows with too few reads)``.
    """
    # a level without counts behind it has one read for all it is known
    counted = levels.counted
    low = np.isfinite(levels.y) & counted & (levels.n < min_reads)
    known = np.isfinite(levels.y) & ~low
    above = (levels.y > np.median(levels.y[known])) if known.any() else known
    label = np.where(known, above.astype(float), np.nan)
    return labels.assign(label=label, **{"class": labels["label"]}), int(low.sum())


def overdispersion(y: np.ndarray, n: np.ndarray, p: np.ndarray) -> float:
    """Williams's (1982, Appl Stat 31:144) ρ by moments: the excess variance of read shares around ``p``.

    Solves Σ v (z - 1) = ρ Σ v (n - 1) with z = (k - n p)² / (n p (1 - p)) and v = 1 / (1 + ρ (n - 1)), k = n y; clipped
    to 0.0001 to 0.9.
    """
    p = np.clip(p, SMALLEST_P, 1 - SMALLEST_P)
    z = n * (y - p) ** 2 / (p * (1 - p))

    def excess(rho):
        return np.sum((z - 1 - rho * (n - 1)) / (1 + rho * (n - 1)))

    if excess(SMALLEST_RHO) <= 0:
        return SMALLEST_RHO
    return float(brentq(excess, SMALLEST_RHO, LARGEST_RHO)) if excess(LARGEST_RHO) < 0 else LARGEST_RHO


def read_weights(n: np.ndarray, rho: float) -> np.ndarray:
    """n / (1 + ρ (n - 1)): no intron counts for more than 1/ρ reads."""
    return n / (1 + rho * (n - 1))


def fit_levels(levels: Levels, plan: Plan, learn: Callable) -> tuple[CrossFit, np.ndarray, dict[int | None, float]]:
    """Fit levels with weights that know their overdispersion, estimated where each model is trained.

    Args:
        levels: the Levels of the rows of the plan.
        learn: ``(y, weights) -> CrossFit`` with weights ``(n, sets)`` in the order of left_out_sets.

    Returns:
        ``(result, weights, rho)``: the CrossFit; the weight ``(n,)`` of each held-out row; ``{held-out fold, or None
        for the final model: ρ}``, empty where the weights were known or no reads were counted.
    """
    sets = left_out_sets(plan)
    if levels.weights is not None or not levels.counted:
        weights = np.ones(len(levels.y)) if levels.weights is None else levels.weights
        return learn(levels.y, np.repeat(weights[:, None], len(sets), axis=1)), weights, {}
    first = read_weights(levels.n, FIRST_RHO)
    result = learn(levels.y, np.repeat(first[:, None], len(sets), axis=1))
    rho_of_set = {}
    for folds in sets:
        # inner predictions of one of the folds left out; rows of the other take no part
        outer = min(folds) if folds and plan.nested else None
        inner = result.inner[outer]
        rows = np.isfinite(inner) & ~np.isin(plan.fold, list(folds))
        rho_of_set[folds] = overdispersion(levels.y[rows], levels.n[rows], expit(inner[rows]))
    weights = np.stack([read_weights(levels.n, rho_of_set[folds]) for folds in sets], axis=1)
    result = learn(levels.y, weights)
    rho = {outer: rho_of_set[frozenset() if outer is None else frozenset([outer])] for outer in plan.outers}
    held_out_weights = np.full(len(levels.y), np.nan)
    for outer in plan.outers:
        rows = plan.judged_by(outer)
        held_out_weights[rows] = read_weights(levels.n[rows], rho[outer])
    return result, held_out_weights, rho
