"""What each kind of information adds, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intronaut.plots.svg import AS_IS, NEUTRAL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLOURS = ("#c1440e", "#1f5c99", "#3a7d44", "#8a5a9e", "#b8860b", "#4c9a9a", "#7a7a7a", "#d77a9b")
WORDS = {"auroc": "AUROC", "average_precision": "average precision", "deviance": "deviance explained"}
TITLES = {
    "alone": "alone",
    "shapley": "Shapley value",
    "last_in": "beyond all others",
    "sequential": "beyond those above",
}
SHOWN = ("auroc", "deviance")


def partition_figure(table: pd.DataFrame, quantities: list[str]) -> Figure:
    """A figure with one row of panels per measure: the total as a stacked bar, and each block's contributions.

    Args:
        table: partition.tsv as a DataFrame.
        quantities: the columns to show, such as alone, last_in, shapley.
    """
    import matplotlib.pyplot as plt

    stacked = "shapley" if "shapley" in quantities else "sequential"
    order = [name for name in ("alone", "shapley", "last_in", "sequential") if name in quantities]
    shown = [measure for measure in SHOWN if (table["measure"] == measure).any()]
    blocks = [name for name in table["block"].unique() if name != "(all)"]
    figure, axes = plt.subplots(
        len(shown), 1 + len(order), figsize=(3.0 + 2.2 * len(order), len(shown) * (1.1 + 0.28 * len(blocks))),
        squeeze=False, layout="constrained", width_ratios=[1.1, *[1.4] * len(order)],
    )  # fmt: skip
    for line, measure in zip(axes, shown, strict=True):
        rows = table[table["measure"] == measure].set_index("block")
        _stack(line[0], rows, blocks, stacked, WORDS[measure])
        for panel, what in zip(line[1:], order, strict=True):
            _points(panel, rows.loc[blocks], what, first=panel is line[1])
            panel.set_title(TITLES[what], fontsize=9)
        for panel in line[2:]:
            panel.sharey(line[1])
    figure.suptitle("What each kind of information adds (held out, 95 % intervals)", fontsize=10)
    return figure


def _stack(axes, rows, blocks, what, word):
    """The total as a bar of the blocks' parts, gains above 0 and losses below, with the interval of the total."""
    above = below = 0.0
    for place, block in enumerate(blocks):
        value = rows.loc[block, what]
        bottom = above if value >= 0 else below
        axes.bar(0, value, 0.6, bottom=bottom, color=COLOURS[place % len(COLOURS)])
        above, below = above + max(value, 0), below + min(value, 0)
    total = rows.loc["(all)"]
    low, high = total[f"{what}_low"], total[f"{what}_high"]
    if low is not None and np.isfinite(low):
        axes.plot([0.42, 0.42], [low, high], color="black", linewidth=1.2)
    axes.plot(0.42, total[what], "o", color="black", markersize=4)
    axes.axhline(0, color=NEUTRAL, linewidth=0.8)
    axes.set_xlim(-0.5, 0.7)
    axes.set_xticks([])
    axes.set_ylabel(f"gain in {word}")


def _points(axes, rows, what, first):
    for line, (_, row) in enumerate(rows.iterrows()):
        colour = COLOURS[line % len(COLOURS)]
        low, high = row[f"{what}_low"], row[f"{what}_high"]
        if low is not None and np.isfinite(low):
            axes.plot([low, high], [line, line], color=colour, linewidth=1.4)
        axes.plot(row[what], line, "o", color=colour, markersize=5)
    axes.axvline(0, color=NEUTRAL, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(rows)), rows.index if first else [""] * len(rows), **AS_IS)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
