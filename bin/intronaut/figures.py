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


def save_svg(figure, path):
    """Write a figure without the date that would change its bytes, and close it."""
    import matplotlib.pyplot as plt

    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def forest(labels, values, lows, highs, xlabel, *, at=0.0):
    """A figure of one point with its interval a line, read from the top; lines that exclude ``at`` are coloured."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 0.6 + 0.24 * len(labels)))
    axes.axvline(at, color=NEUTRAL, linewidth=0.8, linestyle=":")
    for line, (value, low, high) in enumerate(zip(values, lows, highs, strict=True)):
        colour = RETAINED if low > at else SPLICED if high < at else NEUTRAL
        axes.plot([low, high], [line, line], color=colour, linewidth=1.2)
        axes.plot(value, line, "o", color=colour, markersize=4)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(xlabel)
    return figure
