"""Probabilities from logits: Platt and isotonic calibration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    from intronaut.models.cross_validation import CrossFit, Plan


def calibrate(
    result: CrossFit, labels: np.ndarray, plan: Plan, method: str
) -> tuple[CrossFit, dict[int | None, dict[str, Any] | None]]:
    """Calibrate held-out logits by what their own inner folds teach.

    Returns ``(found, maps)``: the CrossFit with calibrated ``logits``, ``inner`` and ``refitted``, and a dict from
    every held-out fold, and None for the final model, to what :func:`learn_calibration` learnt, or None.
    """
    if method == "none":
        return result, dict.fromkeys(result.inner)
    maps = {outer: learn_calibration(inner, labels, method) for outer, inner in result.inner.items()}
    logits, refitted = result.logits.copy(), None if result.refitted is None else result.refitted.copy()
    for outer in result.inner:
        rows = plan.judged_by(outer)
        logits[rows] = apply_calibration(maps[outer], logits[rows])
        if refitted is not None:
            refitted[:, rows] = apply_calibration(maps[outer], refitted[:, rows])
    inner = {outer: apply_calibration(maps[outer], values) for outer, values in result.inner.items()}
    return replace(result, logits=logits, inner=inner, refitted=refitted), maps


def learn_calibration(logits: np.ndarray, labels: np.ndarray, method: str) -> dict[str, Any]:
    """A map from logits to calibrated logits as a dict that JSON can hold, learnt on rows with finite logits.

    No map falls: where the labels fall with the logits, which they do by chance when a model knows nothing, all logits
    become that of the base rate. A falling map would turn the model round.
    """
    known = np.isfinite(logits)
    x, y = logits[known], labels[known]
    if method == "platt":
        fitted = LogisticRegression(C=np.inf).fit(x[:, None], y)
        if fitted.coef_[0, 0] <= 0:
            # the likelihood is concave, so that the best slope that does not fall is 0
            return {"method": "platt", "slope": 0.0, "intercept": float(logit(y.mean()))}
        return {"method": "platt", "slope": float(fitted.coef_[0, 0]), "intercept": float(fitted.intercept_[0])}
    fitted = IsotonicRegression(out_of_bounds="clip").fit(x, y)
    # a step of 0 or 1 would have an infinite logit; half a row's worth of doubt keeps it finite
    p = np.clip(fitted.y_thresholds_, 0.5 / len(y), 1 - 0.5 / len(y))
    return {"method": "isotonic", "logit": fitted.X_thresholds_.tolist(), "calibrated": logit(p).tolist()}


def is_flat(learnt: dict[str, Any] | None) -> bool:
    """Whether a map of :func:`learn_calibration` gives every logit the same calibrated one."""
    return learnt is not None and bool(np.ptp(apply_calibration(learnt, np.array([-1e9, 1e9]))) == 0)


def apply_calibration(learnt: dict[str, Any] | None, logits: float | np.ndarray) -> float | np.ndarray:
    """Calibrated logits; unchanged where nothing was learnt."""
    if learnt is None:
        return logits
    if learnt["method"] == "platt":
        return learnt["slope"] * logits + learnt["intercept"]
    return np.interp(logits, learnt["logit"], learnt["calibrated"])
