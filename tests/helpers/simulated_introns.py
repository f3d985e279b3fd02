"""Simulated introns for tests: labels.tsv and a features file whose truth is known."""

import numpy as np
import pandas as pd

from intronaut.io.h5ad import FeatureWriter
from intronaut.io.tables import write_table

# fit on the files that the tests write into their own folder
FIT = ("--features", "f.h5ad", "--labels", "labels.tsv", "-o", "m", "--bootstrap", "200", "--threads", "1")


def introns(n, seed=0, per_group=3, n_folds=5):
    """A labels table without labels: coordinates, covariates, groups of ``per_group`` introns, folds by group."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) // per_group
    length = np.exp(rng.normal(7, 1.2, n)).astype(int) + 30
    start = np.arange(n) * 100_000
    table = pd.DataFrame({"chrom": "1", "start": start, "end": start + length})
    table["name"] = [f"i{k}" for k in range(n)]
    return table.assign(
        score=0, strand="+", label=np.nan, unit="intron", gene_id=[f"g{g}" for g in group], gene_name="",
        intron_id=table["name"], length=length, gc=rng.uniform(0.3, 0.7, n).round(4), cpg=rng.uniform(0, 1, n).round(4),
        rank=rng.integers(1, 20, n), dist_tss=rng.integers(0, 50_000, n), group=[f"G{g}" for g in group],
        split=(group % n_folds + 1).astype(str),
    )  # fmt: skip


def draw_labels(logits, seed=0):
    """Labels 1 and 0 by coin toss at the given logits."""
    return (np.random.default_rng(seed + 1).random(len(logits)) < 1 / (1 + np.exp(-np.asarray(logits)))).astype(int)


def write_labels(path, table):
    columns = ["chrom", "start", "end", "name", "score", "strand", "label", "unit", "gene_id", "gene_name", "intron_id"]
    write_table(path, table[columns + [name for name in table.columns if name not in columns]])


def write_features(path, names, values, var=None, dtype=np.float32, provenance=None, length=1):
    """A features file of rows ``names``; ``var`` defaults to features f0, f1 … with a family each five.

    ``length`` is that of the windows, one or each row's.
    """
    if var is None:
        var = pd.DataFrame({"family": [f"fam{j // 5}" for j in range(values.shape[1])]})
        var.index = pd.Index([f"f{j}" for j in range(values.shape[1])], name="name")
    obs = pd.DataFrame({"chrom": "1", "start": 0, "end": 1, "strand": "+", "length": length, "n_unknown": 0,
                        "digest": "0"}, index=pd.Index(names, name="name"))  # fmt: skip
    with FeatureWriter(path, obs, var, dtype, {"tool": "simulated"} if provenance is None else provenance) as writer:
        writer.write(np.arange(len(names)), values)
        writer.finish()
