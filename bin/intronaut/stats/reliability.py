"""Whether predicted probabilities are those observed: Cox's calibration intercept and slope, and bins."""

import numpy as np
from scipy.special import expit

ECE_BINS = 10
NEWTON_STEPS = 50
# a slope beyond this is that of a model that ranks perfectly, or of one without any spread
STEEPEST = 50


def calibration_line(
    labels: np.ndarray, logits: np.ndarray, blocks: np.ndarray | None = None, weights: np.ndarray | None = None
) -> tuple[float, float, np.ndarray]:
    """Cox's (1958, Biometrika 45:562) intercept, with the slope held at 1, and slope of labels on logits.

    Args:
        labels: ``(n,)`` 0 or 1, or shares between.
        logits: ``(n,)`` float64.
        blocks: ``(n,)`` block of each row for the jackknife, or None.
        weights: ``(n,)`` of the rows; None for 1 each.

    Returns:
        ``(intercept, slope, left_out)``: NaN where there is none; ``left_out`` ``(b, 2)`` without each block, by one
        Newton step from the estimates of all rows, which errs by the square of what one block moves them.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    designs = (np.ones((len(labels), 1)), np.column_stack([np.ones(len(labels)), logits]))
    estimates, left_out = [], []
    for design, offset in zip(designs, (logits, 0.0), strict=True):
        point = _logistic(design, labels, offset, weights)
        estimates.append(point[-1])
        if blocks is not None:
            left_out.append(_without_blocks(design, labels, offset, weights, point, blocks))
    return *estimates, np.column_stack(left_out) if left_out else np.empty((0, 2))


def _logistic(design, labels, offset, weights):
    """The unpenalised logistic regression by Newton's method; NaN where it has no finite solution."""
    point, d = np.zeros(design.shape[1]), design.shape[1]
    point[-1] = float(d == 2)
    for _ in range(NEWTON_STEPS):
        p = expit(design @ point + offset)
        gradient = design.T @ (weights * (labels - p))
        hessian = (design * (weights * p * (1 - p))[:, None]).T @ design
        if not np.isfinite(hessian).all() or np.linalg.cond(hessian) > 1e12:
            return np.full(d, np.nan)
        step = np.linalg.solve(hessian, gradient)
        point = point + step * min(1.0, 5 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-10:
            return point if np.abs(point[-1]) < STEEPEST or d == 1 else np.full(d, np.nan)
    return np.full(d, np.nan)


def _without_blocks(design, labels, offset, weights, point, blocks):
    """The last coefficient without each block, ``(b,)``."""
    if not np.isfinite(point).all():
        return np.full(blocks.max() + 1, np.nan)
    p = expit(design @ point + offset)
    scores = design * (weights * (labels - p))[:, None]
    curvatures = np.einsum("ij,ik,i->ijk", design, design, weights * p * (1 - p)).reshape(len(labels), -1)
    d = design.shape[1]
    score = np.stack([np.bincount(blocks, column) for column in scores.T], axis=1)
    hessian = np.stack([np.bincount(blocks, column) for column in curvatures.T], axis=1).reshape(-1, d, d)
    remaining = curvatures.sum(axis=0).reshape(d, d) - hessian
    try:
        return point[-1] - np.linalg.solve(remaining, score[:, :, None])[:, -1, 0]
    except np.linalg.LinAlgError:
        return np.full(len(score), np.nan)


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = ECE_BINS) -> float:
    """Mean distance between predicted and observed retention over the bins of :func:`calibration_bins`."""
    return float(np.abs(np.bincount(_bin_of(probabilities, bins), probabilities - labels)).sum() / len(labels))


def calibration_bins(labels: np.ndarray, probabilities: np.ndarray, bins: int = ECE_BINS) -> list[dict[str, float]]:
    """Mean predicted and observed retention in bins of equally many probabilities, ties together."""
    bin_of = _bin_of(probabilities, bins)
    parts = [bin_of == number for number in np.unique(bin_of)]
    return [
        {"n": int(part.sum()), "predicted": float(probabilities[part].mean()), "observed": float(labels[part].mean())}
        for part in parts
    ]


def _bin_of(probabilities, bins):
    """The number of each probability's bin, lowest first."""
    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, probabilities, side="right")
