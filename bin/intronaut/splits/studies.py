"""Whether models can be fitted to what was labelled, or measured, at all: known before anything is computed."""

import numpy as np
import pandas as pd

# a penalty is chosen, and its models tested, without the fold that is held out
FEWEST_FOLDS = 3
FEWEST_READS = 10


# what models learn: the label, the level of retention, or its difference between two conditions
TARGETS = ("label", "level", "difference")


def above_median(labels: pd.DataFrame, target: str = "level") -> np.ndarray:
    """1.0 for rows of more than the median measured level, or difference, 0.0 for others; NaN without one, and without
    10 fragments where they were counted."""
    psi = _numbers(labels, {"level": "psi", "difference": "delta_psi"}[target])
    known = np.isfinite(psi)
    if target == "level" and "psi_n" in labels:
        known &= _numbers(labels, "psi_n") >= FEWEST_READS
    middle = np.median(psi[known]) if known.any() else np.nan
    return np.where(known, (psi > middle).astype(float), np.nan)


def _numbers(labels, name):
    if name not in labels:
        return np.full(len(labels), np.nan)
    return pd.to_numeric(labels[name], errors="coerce").to_numpy(float)


def why_no_study(labels: pd.DataFrame, target: str, unit: str) -> str | None:
    """Why no model can be fitted to a labels table with column ``split``; None where it can.

    Args:
        target: ``label``, ``level`` for its column psi, or ``difference`` for its column delta_psi.
        unit: what a row is, for the sentence.
    """
    value = _numbers(labels, "label") if target == "label" else above_median(labels, target)
    high, low = value == 1, value == 0
    words = ("retained", "spliced") if target == "label" else ("above", f"at or below the median {target}")
    counts = f"{high.sum():,} {unit}s are {words[0]} and {low.sum():,} {words[1]}"
    if target == "level" and not (high | low).any():
        return f"no {unit} has a level of {FEWEST_READS} fragments or more"
    if target == "difference" and not (high | low).any():
        return f"of no {unit} a difference between two conditions is known"
    if not (high.any() and low.any()):
        return f"{counts}: both are needed"
    folds = labels["split"].to_numpy()
    n_folds = len(set(folds[high]) & set(folds[low]))
    if n_folds < FEWEST_FOLDS:
        groups = labels["group"][high | low].nunique()
        where = f"in {groups:,} leakage group{'' if groups == 1 else 's'}"
        return f"{counts}, {where}: {n_folds} of the folds hold both, and {FEWEST_FOLDS} are needed"
    return None
