#!/usr/bin/env python3
"""What partition makes of simulated introns whose truth is known.

  share   a planted block of 30 columns beside length and GC: its share of the deviance explained, against that of
          unpenalised models of a million introns
  null    the same block without any effect: how often an interval lies above 0, and covers 0
  width   two blocks that know the same amount, one in 10 columns, one spread over 20,000: their Shapley values

Prints a table and writes it to benchmarks/partition.tsv.
"""

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]
from machine import processor  # noqa: E402

import partition  # noqa: E402
from intronaut.stats import shares  # noqa: E402
from simulated_introns import draw_labels, introns, write_features, write_labels  # noqa: E402

TABLE = Path(__file__).with_suffix(".tsv")
COLUMNS = ["what", "introns", "data_sets", "measure", "found", "truth"]
# columns of the block of chromatin, how many of them act, and the logits of retention per standard deviation
WIDTH, ACTING, EFFECT = 30, 8, 0.3
LATENT, WIDE = 10, 20_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--introns", type=int, nargs="+", default=[900, 5000, 30_000], help="of the planted shares")
    parser.add_argument("--planted", type=int, default=4, help="data sets of each")
    parser.add_argument("--null", type=int, default=60, help="data sets of 480 introns")
    parser.add_argument("--wide", type=int, default=2, help="data sets of 600 introns")
    args = parser.parse_args()
    lines = []

    def add(*values):
        lines.append("\t".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in values))
        print(lines[-1], flush=True)

    print("\t".join(COLUMNS), flush=True)
    truth = true_share()
    for n in args.introns:
        found = [planted_share(seed, n) for seed in range(args.planted)]
        add("planted share", n, args.planted, "mean", float(np.mean(found)), truth)
    of_null(args.null, add)
    of_widths(args.wide, add)
    TABLE.write_text("\n".join([f"# {processor()}, 1 thread", "\t".join(COLUMNS), *lines]) + "\n")


def drawn(n, seed, effect, per_group=4):
    """A labels table and the chromatin ``(n, WIDTH)`` of one data set."""
    table = introns(n, seed, per_group=per_group)
    chromatin = np.random.default_rng([seed, 1]).normal(size=(n, WIDTH)).astype(np.float32)
    length = (np.log(table["length"]) - 7) / 1.2
    logits = -1.2 - 0.8 * length + 0.6 * (table["gc"] - 0.5) / 0.115 + effect * chromatin[:, :ACTING].sum(axis=1)
    return table.assign(label=draw_labels(logits, seed)), chromatin


def partitioned(table, features, *options):
    """partition.tsv of features ``{block: (n, d)}`` and the usual blocks of length and GC."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_labels("labels.tsv", table)
        words = []
        for block, values in features.items():
            write_features(f"{block}.h5ad", table["name"], values)
            words.append(f"{block}={block}.h5ad")
        given = ["--features", *words, "--labels", "labels.tsv", "--threads", "1", "--quiet", "-o", "out", *options]
        partition.main(given)
        return pd.read_table("out/partition.tsv").set_index(["measure", "block"])


LENGTH_AND_GC = ("--block", "architecture=length", "--block", "composition=gc")


def planted_share(seed, n):
    table, chromatin = drawn(n, seed, EFFECT)
    found = partitioned(table, {"chromatin": chromatin}, *LENGTH_AND_GC)
    return found.loc[("deviance", "chromatin"), "share"]


def true_share(n=1_000_000):
    """The share of the block in deviance explained by models that cannot overfit."""
    from sklearn.linear_model import LogisticRegression

    table, chromatin = drawn(n, 99, EFFECT)
    blocks = {"architecture": np.log(table[["length"]].to_numpy()), "composition": table[["gc"]].to_numpy(),
              "chromatin": chromatin[:, :ACTING]}  # fmt: skip
    label, value = table["label"].to_numpy(), {shares.EMPTY: 0.0}
    null = np.log(np.where(label == 1, label.mean(), 1 - label.mean())).sum()
    for size in (1, 2, 3):
        for members in itertools.combinations(blocks, size):
            columns = np.hstack([blocks[name] for name in members])
            columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
            p = LogisticRegression(C=1e6).fit(columns, label).predict_proba(columns)[:, 1]
            value[frozenset(members)] = 1 - np.log(np.where(label == 1, p, 1 - p)).sum() / null
    return float(shares.shapley("chromatin", list(blocks)).of(value) / value[frozenset(blocks)])


def of_null(n_sets, add):
    """How often what a block of noise adds lies above 0, and covers 0; and how exactly the values add up."""
    found = []
    for seed in range(n_sets):
        table, chromatin = drawn(480, 1000 + seed, 0.0)
        found.append(partitioned(table, {"chromatin": chromatin}, *LENGTH_AND_GC))
    for measure in ("auroc", "deviance"):
        rows = pd.DataFrame([one.loc[(measure, "chromatin")] for one in found])
        for what in ("last_in", "shapley"):
            above = float((rows[f"{what}_low"] > 1e-9).mean())
            add("null block", 480, n_sets, f"{measure} {what} above 0", above, "≤ 0.04")
        if measure == "auroc":
            covered = float(((rows["last_in_low"] <= 1e-9) & (rows["last_in_high"] >= -1e-9)).mean())
            add("null block", 480, n_sets, "auroc last_in covers 0", covered, "≥ 0.94")
    sums = [abs(own.drop("(all)", level=1)["shapley"].groupby("measure").sum() - own.xs("(all)", level=1)["shapley"])
            for own in found]  # fmt: skip
    add("null block", 480, n_sets, "largest error of the sum", float(max(one.max() for one in sums)), "0")


def of_widths(n_sets, add):
    """Two blocks of the same knowledge, in 10 columns and spread over 20,000."""
    found = {"narrow": [], "wide": []}
    for seed in range(n_sets):
        rng = np.random.default_rng([seed, 2])
        table = introns(600, seed)
        narrow, hidden = rng.normal(size=(2, 600, LATENT))
        # columns that are mixtures of what acts: rotated, the block is the narrow one again
        wide = hidden @ rng.normal(size=(LATENT, WIDE)) / np.sqrt(LATENT)
        logits = 0.5 * (narrow.sum(axis=1) + hidden.sum(axis=1))
        table["label"] = draw_labels(logits, seed)
        rows = partitioned(table, {"narrow": narrow.astype(np.float32), "wide": wide.astype(np.float32)},
                           "--block", "architecture=", "--block", "composition=")  # fmt: skip
        for block, values in found.items():
            values.append(rows.loc[("auroc", block), "shapley"])
    for block, width in (("narrow", LATENT), ("wide", WIDE)):
        other = "wide" if block == "narrow" else "narrow"
        add(
            f"{width:,} columns",
            600,
            n_sets,
            "auroc shapley",
            float(np.mean(found[block])),
            float(np.mean(found[other])),
        )


if __name__ == "__main__":
    main()
