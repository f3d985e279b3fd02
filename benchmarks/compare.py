#!/usr/bin/env python3
"""Time the statistics of compare: all metrics and intervals of 8 models on 15,198 rows, DeLong's test on 100,000 rows.

Goals: jackknife of 1,000 blocks and 2,000 bootstrap replicates for 8 models in at most 20 s; DeLong in at most 1 s.
Beside each stands the plain way on the same data: scikit-learn's metrics without each block (a few, scaled up), and
the DeLong covariance from pair-by-pair kernels (a subset, scaled up). Standard output is benchmarks/compare.tsv.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import processor
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bin"))
from intronaut.stats import metrics, model_comparison  # noqa: E402


def simulated(n, models, seed=0):
    """Labels (27 % retained), groups of about three rows, and scores of models that share a signal."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.27).astype(float)
    scores = labels + rng.normal(size=n) + 0.5 * rng.normal(size=(models, n))
    return labels, rng.integers(n // 3, size=n), scores


def timed(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def evaluate_all(labels, groups, scores, replicates):
    for row in scores:
        table = pd.DataFrame({"label": labels, "fold": groups % 5, "p_retained": 1 / (1 + np.exp(-row)), "logit": row})
        metrics.evaluate(table, groups, replicates, 1)


def leave_out_plainly(labels, groups, scores, blocks):
    """Three of the metrics only, by scikit-learn, without each of some blocks."""
    for block in range(blocks):
        rows = groups % 1000 != block
        for row in scores:
            roc_auc_score(labels[rows], row[rows])
            average_precision_score(labels[rows], row[rows])
            brier_score_loss(labels[rows], 1 / (1 + np.exp(-row[rows])))


def kernel_delong(labels, scores):
    positive, negative = scores[:, labels == 1], scores[:, labels == 0]
    for row_positive, row_negative in zip(positive, negative, strict=True):
        kernel = (row_positive[:, None] > row_negative) + 0.5 * (row_positive[:, None] == row_negative)
        kernel.mean(axis=0), kernel.mean(axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many is shown")
    repeats = parser.parse_args().repeats
    print(f"# {processor()}")
    print("what", "seconds", "plain_seconds", "ratio", sep="\t")
    labels, groups, scores = simulated(15_198, 8)
    ours = min(timed(lambda: evaluate_all(labels, groups, scores, 2000)) for _ in range(repeats))
    plain = timed(lambda: leave_out_plainly(labels, groups, scores, 4)) * 250
    show("all metrics and intervals, 15,198 rows × 8 models, beside scikit-learn", ours, plain)
    labels, groups, scores = simulated(100_000, 2)
    ours = min(timed(lambda: model_comparison.delong(labels, scores)) for _ in range(repeats))
    # the kernel grows with the square of the rows
    plain = timed(lambda: kernel_delong(labels[:10_000], scores[:, :10_000])) * 100
    show("DeLong, 100,000 rows × 2 models, beside pair by pair", ours, plain)


def show(what, ours, plain):
    print(what, f"{ours:.2f}", f"{plain:.0f}", f"{plain / ours:.0f}", sep="\t", flush=True)


if __name__ == "__main__":
    main()
