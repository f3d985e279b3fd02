"""Figures of models compared: curves of them all, and the differences of every two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
from sklearn.metrics import precision_recall_curve, roc_curve

from intronaut.plots.svg import NEUTRAL, forest, save_svg

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from intronaut.stats.model_comparison import Compared


def draw_curves(
    folder: Path, names: list[str], labels: np.ndarray, scores: np.ndarray, metrics: list[dict[str, Any]]
) -> None:
    """All ROC and precision-recall curves in one figure.

    ``scores`` ``(k, n)`` rank the rows of all folds together: the share of its own fold that each row is above.
    """
    # None where no pair of windows can be ranked
    aurocs = [one["auroc"]["value"] for one in metrics]
    figure, (roc, pr) = plt.subplots(1, 2, figsize=(9, 4))
    for at in sorted(range(len(names)), key=lambda at: -(aurocs[at] or 0)):
        false, true, _ = roc_curve(labels, scores[at])
        precision, recall, _ = precision_recall_curve(labels, scores[at])
        auroc = "undefined" if aurocs[at] is None else f"{aurocs[at]:.3f}"
        style = {"linewidth": 1.2, "label": f"{names[at]} ({auroc})", "color": f"C{at % 10}"}
        roc.plot(false, true, **style)
        pr.step(recall, precision, where="pre", **style)
    roc.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":", linewidth=0.8)
    pr.axhline(labels.mean(), color=NEUTRAL, linestyle=":", linewidth=0.8)
    roc.set(xlabel="false positive rate", ylabel="true positive rate")
    pr.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    roc.legend(title="model (AUROC)", fontsize=8)
    save_svg(figure, folder / "curves.svg")


def draw_differences(folder: Path, comparison: pd.DataFrame, compared: Compared) -> None:
    """The differences of all pairs, with intervals."""
    lines = comparison["model_a"] + " − " + comparison["model_b"]
    value, low, high = (comparison[f"{compared.key}_{part}"].astype(float) for part in ("difference", "low", "high"))
    save_svg(
        forest(lines, value, low, high, f"difference of {compared.name}, 95 % interval"), folder / "differences.svg"
    )
