"""Figures as SVG, the same bytes every time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import matplotlib

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

matplotlib.use("Agg")
matplotlib.rcParams |= {
    "svg.hashsalt": "intronaut",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}

RETAINED, SPLICED, NEUTRAL = "#c1440e", "#1f5c99", "#555555"
# names of genes and features are what they are, dollar signs included
AS_IS = {"parse_math": False}


def save_svg(figure: Figure, path: Path | str | TextIO) -> None:
    """Write a figure without the date that would change its bytes, and close it."""
    import matplotlib.pyplot as plt

    _fix_layout(figure)
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def _fix_layout(figure: Figure) -> None:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # constrained_layout solves for the places of axes, and the last digits of what it finds differ from run to run; a
    # clip path is named by all digits
    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for axes in figure.axes:
            left, bottom, width, height = (round(share, 4) for share in axes.get_position().bounds)
            axes.set_position((left, bottom, width, height))


def forest(
    labels: pd.Series, values: pd.Series, lows: pd.Series, highs: pd.Series, xlabel: str, *, at: float = 0.0
) -> Figure:
    """A figure of one point with its interval a line, read from the top; lines that exclude ``at`` are coloured."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 0.6 + 0.24 * len(labels)))
    _forest_on(axes, values, lows, highs, at)
    axes.set_yticks(range(len(labels)), labels, **AS_IS)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(xlabel)
    return figure


def _forest_on(axes, values, lows, highs, at):
    axes.axvline(at, color=NEUTRAL, linewidth=0.8, linestyle=":")
    for line, (value, low, high) in enumerate(zip(values, lows, highs, strict=True)):
        colour = RETAINED if low > at else SPLICED if high < at else NEUTRAL
        axes.plot([low, high], [line, line], color=colour, linewidth=1.2)
        axes.plot(value, line, "o", color=colour, markersize=4)


def save_both(figure: Figure, path: Path) -> None:
    """Write a figure as ``path``.svg and as ``path``.png, the same bytes every time, and close it."""
    path = str(path)
    _fix_layout(figure)
    figure.savefig(f"{path}.png", format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    save_svg(figure, f"{path}.svg")


def waterfall(names: tuple[str, ...], moves: tuple[float, ...], start: float, xlabel: str) -> Figure:
    """How a sum comes about: one bar a line, each beginning where the one above ends, from ``start`` to the sum."""
    import matplotlib.pyplot as plt
    import numpy as np

    begins = start + np.cumsum([0.0, *moves[:-1]])
    end = start + float(np.sum(moves))
    figure, axes = plt.subplots(figsize=(6.5, 1.2 + 0.24 * (len(names) + 2)))
    for line, (begin, move) in enumerate(zip(begins, moves, strict=True), 1):
        axes.barh(line, move, left=begin, height=0.7, color=RETAINED if move > 0 else SPLICED)
        axes.plot([begin + move] * 2, [line - 0.35, line + 1.35], color=NEUTRAL, linewidth=0.6)
        side = ("left", 3) if move > 0 else ("right", -3)
        place = {"xytext": (side[1], 0), "textcoords": "offset points", "ha": side[0], "va": "center", "fontsize": 7}
        axes.annotate(f"{move:+.2f}", (begin + move, line), **place)
    last = len(names) + 1
    axes.plot([start, end], [0, last], "D", color="black", markersize=4, linestyle="none")
    for value, line in ((start, 0), (end, last)):
        axes.annotate(f"{value:.2f}", (value, line), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(range(last + 1), ["baseline", *names, "prediction"], **AS_IS)
    axes.set_ylim(last + 0.6, -0.6)
    axes.use_sticky_edges = False
    axes.margins(x=0.12)
    axes.set_xlabel(xlabel)
    return figure
