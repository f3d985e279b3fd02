"""Figures as SVG, the same bytes every time."""

import matplotlib

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


def save_svg(figure, path):
    """Write a figure without the date that would change its bytes, and close it."""
    import matplotlib.pyplot as plt

    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def forest(labels, values, lows, highs, xlabel, *, at=0.0):
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


def save_both(figure, path):
    """Write a figure as ``path``.svg and as ``path``.png, the same bytes every time, and close it."""
    path = str(path)
    figure.savefig(f"{path}.png", format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    save_svg(figure, f"{path}.svg")


def stability_forest(labels, values, lows, highs, xlabel, probabilities, threshold):
    """A forest beside how often each line is selected on halves of the data, with the threshold dotted.

    ``probabilities`` maps what a column of points is called to its values; the first is drawn filled, the rest open.
    """
    import matplotlib.pyplot as plt

    lines = range(len(labels))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8, 1.1 + 0.22 * len(labels)), sharey=True, width_ratios=[5, 2], layout="constrained"
    )
    _forest_on(left, values, lows, highs, at=0.0)
    left.set_yticks(lines, labels, **AS_IS)
    left.set_ylim(len(labels) - 0.5, -0.5)
    left.set_xlabel(xlabel)
    right.axvline(threshold, color=NEUTRAL, linewidth=0.8, linestyle=":")
    for (name, share), fill in zip(probabilities.items(), (NEUTRAL, "white"), strict=False):
        right.plot(share, lines, "o", color=NEUTRAL, markerfacecolor=fill, markersize=4, label=name, clip_on=False)
    right.set_xlim(0, 1)
    right.set_xlabel("selected on this share\nof the halves")
    right.tick_params(axis="y", length=0)
    if probabilities:
        figure.legend(loc="outside upper center", ncols=len(probabilities))
    return figure


def volcano(values, probabilities, names, threshold, xlabel):
    """Selection probability against effect, one point a group; those selected, or else the highest few, are named."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.5, 4.2))
    colours = [RETAINED if value > 0 else SPLICED for value in values]
    axes.scatter(values, probabilities, s=12, c=colours, linewidths=0)
    axes.axhline(threshold, color=NEUTRAL, linewidth=0.8, linestyle=":")
    axes.axvline(0, color=NEUTRAL, linewidth=0.8)
    ranked = sorted(range(len(names)), key=lambda place: (-probabilities[place], -abs(values[place])))
    for place in ranked[: max(8, min(25, sum(share >= threshold for share in probabilities)))]:
        axes.annotate(
            names[place], (values[place], probabilities[place]), xytext=(3, 2), textcoords="offset points", fontsize=7,
            **AS_IS,
        )  # fmt: skip
    axes.set_ylim(-0.02, 1.05)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("selected on this share of the halves")
    return figure


def heat_map(table, label):
    """Numbers of either sign as colours, rows and columns named by the DataFrame; missing ones stay white."""
    import matplotlib.pyplot as plt
    import numpy as np

    values = table.to_numpy(float)
    largest = np.nanmax(np.abs(values), initial=0) or 1.0
    height, width = 1.6 + 0.19 * table.shape[0], 2.6 + 0.24 * table.shape[1]
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    drawn = axes.imshow(values, cmap="PuOr_r", vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(table.shape[1]), table.columns, rotation=60, ha="right", rotation_mode="anchor", **AS_IS)
    axes.set_yticks(range(table.shape[0]), table.index, **AS_IS)
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    figure.colorbar(drawn, ax=axes, label=label, shrink=min(1, 3 / height), aspect=15)
    return figure


def waterfall(names, moves, start, xlabel):
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
