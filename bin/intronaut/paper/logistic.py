"""The training recipe of the logistic regression of Daoud & Ben-Hur (2025), to compare with and to reproduce.

One linear layer on raw features, cross-entropy, AdamW (Loshchilov & Hutter 2019) in batches of 512, learning rate
1e-4 to 1e-3 over 10 epochs and then by a cosine to 1e-5, at most 1,000 epochs, weight decay 0.01, betas 0.9 and 0.99;
the validation loss is looked at every second epoch and training ends after 25 looks without gain; the best is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import expit

from intronaut.models.cross_validation import CrossFit, Plan
from intronaut.stats.metrics import log_losses, rank_auroc

if TYPE_CHECKING:
    from intronaut.models.design_matrix import Matrix

BATCH, EPOCHS, WARM_UP = 512, 1000, 10
FIRST_RATE, PEAK_RATE, LAST_RATE = 1e-4, 1e-3, 1e-5
DECAY, BETA1, BETA2, EPSILON = 0.01, 0.9, 0.99, 1e-8
LOOK_EVERY, PATIENCE = 2, 25


def cross_fit(matrix: Matrix, labels: np.ndarray, plan: Plan, seed: int) -> CrossFit:
    """Train by the recipe for each held-out fold, the next fold being its validation set, and once more for the final
    model. ``matrix`` must hold raw values. Returns a CrossFit whose final model is ``(weights (d,), intercept)``.
    """
    judged, inner, fitted, epochs, path = np.full(len(labels), np.nan), {}, {}, {}, []
    for outer in plan.outers:
        train, valid = plan.training_and_validation(outer)
        fitted[outer], history = fit(matrix, labels, train, valid, seed)
        logits = predict(matrix, *fitted[outer])
        judged[plan.judged_by(outer)] = logits[plan.judged_by(outer)]
        inner[outer] = np.where(valid, logits, np.nan)
        best = min(history, key=lambda row: row["inner_log_loss"])
        epochs[outer] = {"epochs": best["epoch"]}
        auroc = rank_auroc(labels[valid], logits[valid])
        path += [{"judged_fold": outer, **row, "chosen": row is best, "inner_auroc": auroc} for row in history]
    of_fold = {str(fold): epochs[fold] for fold in plan.outers[1:]}
    return CrossFit(judged, inner, fitted[None], epochs[None], of_fold, pd.DataFrame(path))


def predict(matrix: Matrix, weights: np.ndarray, intercept: float) -> np.ndarray:
    """Logits ``(n,)`` of every row."""
    products = list(matrix.map(lambda rows, values: values @ weights.astype(np.float32)))
    return np.concatenate(products).astype(float) + intercept


def learning_rate(epoch: int) -> float:
    """The rate of an epoch, counted from 0."""
    if epoch < WARM_UP:
        return FIRST_RATE + (PEAK_RATE - FIRST_RATE) * epoch / WARM_UP
    share = (epoch - WARM_UP) / (EPOCHS - WARM_UP)
    return LAST_RATE + (PEAK_RATE - LAST_RATE) * (1 + np.cos(np.pi * share)) / 2


def fit(
    matrix: Matrix, labels: np.ndarray, train: np.ndarray, valid: np.ndarray, seed: int, *, epochs: int = EPOCHS
) -> tuple[tuple[np.ndarray, float], list[dict[str, float]]]:
    """Train on the rows ``train`` (bool) until the rows ``valid`` no longer improve.

    Returns ``((weights (d,), intercept), history)``; history has one dict a look: epoch, train and valid log loss.
    """
    rng = np.random.default_rng(seed)
    bound = 1 / np.sqrt(matrix.d)
    point = rng.uniform(-bound, bound, matrix.d + 1).astype(np.float32)
    first, second, steps = np.zeros_like(point), np.zeros_like(point), 0
    rows, labels = np.flatnonzero(train), np.asarray(labels, np.float32)
    best, best_loss, since, history = point.copy(), np.inf, 0, []
    for epoch in range(epochs):
        rate, losses = learning_rate(epoch), 0.0
        for batch in np.array_split(rng.permutation(rows), -(-len(rows) // BATCH)):
            values = matrix.rows_at(batch)
            logit = values @ point[:-1] + point[-1]
            residual = (expit(logit) - labels[batch]) / len(batch)
            losses += log_losses(labels[batch], logit.astype(float)).sum()
            gradient = np.append(values.T @ residual, residual.sum())
            steps += 1
            point *= 1 - rate * DECAY
            first += (1 - BETA1) * (gradient - first)
            second += (1 - BETA2) * (gradient**2 - second)
            scale = np.sqrt(second / (1 - BETA2**steps)) + EPSILON
            point -= rate * (first / (1 - BETA1**steps)) / scale
        if epoch % LOOK_EVERY:
            continue
        logits = np.concatenate([matrix.rows_at(rows) @ point[:-1] for rows in _split(valid)]) + point[-1]
        loss = log_losses(labels[valid], logits.astype(float)).mean()
        history.append({"epoch": epoch + 1, "train_log_loss": losses / len(rows), "inner_log_loss": loss})
        since += 1
        if loss < best_loss:
            best, best_loss, since = point.copy(), loss, 0
        if since >= PATIENCE:
            break
    return (best[:-1].astype(float), float(best[-1])), history


def _split(mask):
    rows = np.flatnonzero(mask)
    return np.array_split(rows, -(-len(rows) // 4096))
