#!/usr/bin/env python3
"""Plant an effect of three motifs on real windows and see what explain's selection says of them.

Takes the motif features and labels of a real run, such as the demo's, keeps the windows and their leakage groups, and
deals labels by the scores of three transcription factors alone. Prints one line a run: the effect planted (log-odds per
standard deviation), how many of the three are selected, which others are and how their main axis correlates with the
nearest planted one, and the bound on false selections.

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
    print("effect", "planted_selected", "others_selected", "false_at_most", sep="\t")
    for effect in EFFECTS:
        rng = np.random.default_rng(1)
        labels = (rng.random(len(table)) < 1 / (1 + np.exp(-PREVALENCE_LOGIT - effect * signal))).astype(int)
        inside = stability_selection.halves(groups, labels, 25, seed=1)
        found, told = stability_selection.select_stably(
            units, labels, groups, inside, np.empty((len(table), 0)), 0.75, 1
        )
        chosen = np.flatnonzero(found["selected"])
        alike = pd.Series(np.abs(np.corrcoef(axes)[planted]).max(axis=0))
        others = [f"{group.categories[k]} ({alike[k]:.2f})" for k in chosen if k not in planted]
        told = f"{told['false_at_most']:.2g}"
        print(effect, sum(k in chosen for k in planted), ", ".join(others) or "none", told, sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
