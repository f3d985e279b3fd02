#!/usr/bin/env python3
"""Plant an effect of three motifs on real windows and see what explain's selection says of them.

Takes the motif features and labels of a real run, such as the demo's, keeps the windows and their leakage groups, and
draws labels by the scores of three transcription factors alone, in 20 data sets for each effect. Prints one line an
effect (log-odds per standard deviation): how many of the planted factors are selected, how many others, the mean bound
on false selections in a data set, and which others, with the correlation of their main axis with the nearest planted
one.

  benchmarks/explain.py motifs.h5ad labels.tsv > benchmarks/explain.tsv
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from machine import processor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bin"))

PLANTED = ("CTCF", "REST", "NFIC")
EFFECTS = (0.0, 0.3, 0.5, 0.8)
PREVALENCE_LOGIT = -2.3
DATA_SETS = 20


def main(argv):
    from intronaut.interpret import stability_selection
    from intronaut.interpret.contributions import group_of
    from intronaut.io import h5ad, tables
    from intronaut.models.design_matrix import Matrix, join

    features = h5ad.open_features(argv[0])
    table, rows, _ = join(features, tables.read_labels(argv[1]))
    group, groups = group_of(features.var, "tf", features.path), table["group"].to_numpy()
    matrix = Matrix(features, rows)
    units = stability_selection.make_units(matrix, group, matrix.values(), np.ones(len(table), bool))
    axes = units.z[units.first]
    planted = [group.categories.get_loc(name) for name in PLANTED]
    signal = axes[planted].astype(float).T @ [1, -1, 1]
    print(f"# {processor()}")
    correlation = pd.Series(np.abs(np.corrcoef(axes)[planted]).max(axis=0))
    print("effect", "data_sets", "planted_selected", "others_selected", "false_at_most", "others", sep="\t")
    for effect in EFFECTS:
        chosen, bounds = [], []
        for seed in range(DATA_SETS):
            rng = np.random.default_rng(seed)
            labels = (rng.random(len(table)) < 1 / (1 + np.exp(-PREVALENCE_LOGIT - effect * signal))).astype(int)
            inside = stability_selection.halves(groups, labels, 25, seed=seed)
            found, summary = stability_selection.select_stably(
                units, labels, groups, inside, np.empty((len(table), 0)), 0.75, 1
            )
            chosen.extend(np.flatnonzero(found["selected"]))
            bounds.append(summary["false_at_most"])
        others = [k for k in chosen if k not in planted]
        names = ", ".join(f"{group.categories[k]} ({correlation[k]:.2f})" for k in sorted(set(others))) or "none"
        counts = DATA_SETS, len(chosen) - len(others), len(others)
        print(effect, *counts, f"{np.mean(bounds):.2g}", names, sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
