"""The figures of explain. Only what is shown to hold on other introns has a colour and a name in a headline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from intronaut.plots.svg import AS_IS, NEUTRAL, RETAINED, SPLICED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

GREY = "#b3b3b3"
SELECTED, ALONE = "selected", "selected alone"
NOTHING_HOLDS = "No group is shown to hold"
GREY_MEANS = "grey: not shown to hold"
COVARIATES_EXPLAIN = "open, dashed: selected alone, not besides the covariates"


def colour_of(value: float, status: str | None) -> str:
    """Orange for retention and blue against, where a group is selected at all; else grey."""
    if status not in (SELECTED, ALONE):
        return GREY
    return RETAINED if value > 0 else SPLICED


def headline(table: pd.DataFrame, name: str = "group") -> str:
    """What the figure shows to hold, with its direction, most a handful by name."""
    if "status" not in table:
        return "What the model uses; whether it holds on other introns needs --labels"
    held = table[table["status"] == SELECTED]
    if held.empty:
        return NOTHING_HOLDS
    names = [f"{row[name]} ({row['direction']})" for row in held.head(4).to_dict("records")]
    return "Shown to hold: " + ", ".join(names) + (f" and {len(held) - 4} more" if len(held) > 4 else "")


def selection_forest(groups: pd.DataFrame, value: str, xlabel: str, threshold: float) -> Figure:
    """Effects of groups with intervals; beside them, where known, how often each is selected on halves of the data.

    Args:
        groups: rows of groups.tsv in the order to draw; ``value`` the column of the effects.
        threshold: the share of halves from which on a group counts as selected, dotted.
    """
    import matplotlib.pyplot as plt

    known = "selection_probability" in groups
    height = 1.3 + 0.22 * len(groups)
    if known:
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(8, height), sharey=True, width_ratios=[5, 2], layout="constrained"
        )
        _shares(right, groups, threshold)
    else:
        figure, left = plt.subplots(figsize=(6, height), layout="constrained")
    _intervals(left, groups["group"], groups[value], groups.get("low"), groups.get("high"), groups.get("status"))
    left.set_xlabel(xlabel)
    figure.suptitle(headline(groups), fontsize=9, **AS_IS)
    figure.legend(handles=_legend(known), loc="outside lower center", ncols=2, fontsize=7)
    return figure


def _shares(axes, groups, threshold):
    lines = range(len(groups))
    axes.axvline(threshold, color=NEUTRAL, linewidth=0.8, linestyle=":")
    axes.plot(groups["selection_probability"], lines, "o", color=GREY, markerfacecolor="white", markersize=4,
              clip_on=False)  # fmt: skip
    rows = zip(groups["adjusted_selection_probability"], groups["status"], groups["direction"], strict=True)
    for line, (share, status, sign) in enumerate(rows):
        colour = colour_of(1 if sign == "+" else -1, status) if status == SELECTED else GREY
        axes.plot(share, line, "o", color=colour, markersize=4, clip_on=False)
        if isinstance(sign, str):
            axes.annotate(sign.replace("-", "−"), (1.04, line), va="center", fontsize=7, annotation_clip=False)
    axes.set_xlim(0, 1)
    axes.set_xlabel("selected on this share\nof the halves, and direction")
    axes.tick_params(axis="y", length=0)


def _legend(known):
    handles = [Line2D([], [], color=GREY, marker="o", markersize=4, label=GREY_MEANS)]
    if not known:
        return handles
    handles.append(Line2D([], [], color=NEUTRAL, marker="o", markersize=4, markerfacecolor="white", linestyle="--",
                          label=COVARIATES_EXPLAIN))  # fmt: skip
    handles.append(Line2D([], [], color=NEUTRAL, marker="o", markersize=4, linestyle="none",
                          label="share of halves, besides the covariates"))  # fmt: skip
    handles.append(Line2D([], [], color=GREY, marker="o", markersize=4, markerfacecolor="white", linestyle="none",
                          label="share of halves, alone"))  # fmt: skip
    return handles


def _intervals(axes, labels, values, lows, highs, status):
    axes.axvline(0, color=NEUTRAL, linewidth=0.8, linestyle=":")
    lows, highs = (values if side is None else side for side in (lows, highs))
    status = [None] * len(values) if status is None else status
    for line, (value, low, high, what) in enumerate(zip(values, lows, highs, status, strict=True)):
        colour, alone = colour_of(value, what), what == ALONE
        axes.plot([low, high], [line, line], color=colour, linewidth=1.2, linestyle="--" if alone else "-")
        axes.plot(value, line, "o", color=colour, markerfacecolor="white" if alone else colour, markersize=4)
    axes.set_yticks(range(len(labels)), labels, **AS_IS)
    axes.set_ylim(len(labels) - 0.5, -0.5)


def coefficient_forest(features: pd.DataFrame, status: pd.Series | None, xlabel: str) -> Figure:
    """Coefficients of features with intervals; ``status`` that of the cluster of each, or None."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 1.0 + 0.24 * len(features)), layout="constrained")
    sides = features.get("low"), features.get("high")
    _intervals(axes, features["feature"], features["coefficient"], *sides, status)
    axes.set_xlabel(xlabel)
    figure.legend(handles=_legend(False), loc="outside lower center", fontsize=7)
    return figure


def selection_plot(groups: pd.DataFrame, value: str, xlabel: str) -> Figure:
    """Selection probability besides the covariates against effect, one point per group; only what holds is named."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.5, 4.4), layout="constrained")
    axes.axvline(0, color=NEUTRAL, linewidth=0.8)
    # grey points first, so that they hide none that holds
    points = groups.sort_values("status", key=lambda column: column == SELECTED)
    effects, shares = points[value], points["adjusted_selection_probability"]
    colours = [colour_of(effect, status) for effect, status in zip(effects, points["status"], strict=True)]
    fills = ["white" if status == ALONE else colour for status, colour in zip(points["status"], colours, strict=True)]
    axes.scatter(effects, shares, s=12, c=fills, edgecolors=colours, linewidths=0.8)
    held = points["status"] == SELECTED
    for name, *place in zip(points["group"][held], effects[held], shares[held], strict=True):
        axes.annotate(name, place, xytext=(3, 2), textcoords="offset points", fontsize=7, **AS_IS)
    axes.set_ylim(-0.02, 1.05)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("selected on this share of the halves,\nbesides the covariates")
    axes.set_title(headline(groups), fontsize=9, **AS_IS)
    return figure


def tissue_map(table: pd.DataFrame, held: Iterable[str], label: str) -> Figure:
    """Coefficients by factor and tissue, missing ones white; factors that are not in ``held`` in shades of grey."""
    import matplotlib.pyplot as plt

    values = table.to_numpy(float)
    largest = np.nanmax(np.abs(values), initial=0) or 1.0
    height, width = 1.6 + 0.19 * table.shape[0], 2.6 + 0.24 * table.shape[1]
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    coloured = np.isin(table.index, list(held))[:, None]
    how = {"vmin": -largest, "vmax": largest, "aspect": "auto", "interpolation": "nearest"}
    for shown, colours in ((~coloured, "Greys"), (coloured, "PuOr_r")):
        part = np.where(shown, values, np.nan)
        # grey has no sign to show
        drawn = axes.imshow(np.abs(part) if colours == "Greys" else part, cmap=colours, **how)
    axes.set_xticks(range(table.shape[1]), table.columns, rotation=60, ha="right", rotation_mode="anchor", **AS_IS)
    axes.set_yticks(range(table.shape[0]), table.index, **AS_IS)
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    axes.set_title(GREY_MEANS if coloured.any() else f"{NOTHING_HOLDS} ({GREY_MEANS})", fontsize=8)
    figure.colorbar(drawn, ax=axes, label=label, shrink=min(1, 3 / height), aspect=15)
    return figure
