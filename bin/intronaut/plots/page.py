"""Figures of the report's page: SVG drawn by hand, coloured by the classes of the page's style sheet.

Every figure is 340 units wide, the width of a phone and of a column of the desk page, so that its text has the same
size on both. Each has a title and a description for those who do not see it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from intronaut.stats.bootstrap import wilson

if TYPE_CHECKING:
    import pandas as pd

WIDTH, HEIGHT = 340, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 28, 42
# of a histogram: what the key takes of its width, and what it leaves of its height to the bars below
KEY_WIDTH, BELOW_KEY = 110, 0.85
# what a figure needs to be looked at outside of the page
STYLE = (
    "text{font:12px sans-serif}.t{font-size:11px;fill:#566273}.ti{font-weight:600}.g{stroke:#e4e8ee}"
    ".x,.dash{stroke:#848e9c;fill:none}.dash{stroke-dasharray:4 4}.fr{fill:#bd4b00}.fs{fill:#0072b2}.fn{fill:#848e9c}"
    ".o{fill-opacity:.42}.sr{stroke:#bd4b00}.ss{stroke:#0072b2}.sr,.ss,.ln{fill:none;stroke-width:2}"
    ".l1,.l2{stroke:#17202b}.l2{stroke-dasharray:7 3}.l3{stroke:#848e9c}.fi{fill:#17202b}"
)
QUARTERS = [(v, f"{v:g}") for v in (0, 0.25, 0.5, 0.75, 1)]
CURVE_POINTS = np.linspace(0, 1, 101)


def embedded(text: str, prefix: str) -> str:
    """The ``<svg>`` element of an SVG file for a page of several: its identifiers begin with ``prefix``."""
    prefix = re.sub(r"\W", "_", prefix)
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text[text.index("<svg") :])


class Axes:
    """A plot of two linear axes: ``x`` and ``y`` turn data into SVG units, ``draw`` adds elements."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[int, float],
        x_label: str,
        y_label: str,
        x_ticks: Sequence[tuple[float, str]],
        y_ticks: list[tuple[float, str]],
        height: int = HEIGHT,
    ) -> None:
        (self.x0, self.x1), (self.y0, self.y1), self.title, self.height = x, y, title, height
        self.elements = [f'<text class="ti" x="{LEFT}" y="15">{escape(title)}</text>']
        bottom = height - BOTTOM
        for value, text in y_ticks:
            at = self.y(value)
            self.draw(f'<path class="g" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
            self.text(LEFT - 6, at + 4, text, "end")
        for value, text in x_ticks:
            at = self.x(value)
            self.draw(f'<path class="x" d="M{at:.1f} {bottom}v4"/>')
            self.text(at, bottom + 17, text, "middle" if at < WIDTH - 24 or len(text) < 6 else "end")
        self.draw(f'<path class="x" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>')
        self.text((LEFT + WIDTH - RIGHT) / 2, height - 6, x_label, "middle")
        turned = f"translate(11 {(TOP + bottom) / 2:.0f}) rotate(-90)"
        self.draw(f'<text class="t" transform="{turned}" text-anchor="middle">{escape(y_label)}</text>')

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return self.height - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (self.height - BOTTOM - TOP)

    def draw(self, element: str) -> None:
        self.elements.append(element)

    def text(self, x: float, y: float, text: str, anchor: str = "start") -> None:
        self.draw(f'<text class="t" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def line(self, xs: np.ndarray | list[float], ys: np.ndarray | list[float], css: str) -> None:
        points = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in zip(xs, ys, strict=True))
        self.draw(f'<path class="{css}" d="M{points}"/>')

    def svg(self, description: str) -> str:
        """The figure as one element."""
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img"><title>{escape(self.title)}</title>'
            f"<desc>{escape(description)}</desc>{''.join(self.elements)}</svg>"
        )


def standalone(svg: str) -> str:
    """A figure of the page as a file of its own."""
    return svg.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" ', 1).replace(
        "</desc>", f"</desc><style>{STYLE}</style>", 1
    )


def two_histograms(
    title: str,
    x_label: str,
    retained: pd.Series,
    spliced: pd.Series,
    edges: np.ndarray,
    ticks: Sequence[tuple[float, str]],
    description: str,
) -> str:
    """Shares of both classes in each bin; what lies beyond the axis counts in the outermost bins."""
    shares = [np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / max(len(v), 1) for v in (retained, spliced)]
    key_from = (WIDTH - RIGHT - KEY_WIDTH - LEFT) / (WIDTH - LEFT - RIGHT)
    below_key = np.max(shares, axis=0)[edges[1:] > edges[0] + key_from * (edges[-1] - edges[0])]
    highest = max(np.max(shares), below_key.max(initial=0) / BELOW_KEY)
    top = max(math.ceil(highest * 20) / 20, 0.05)
    step = 0.1 if top > 0.2 else 0.05
    y_ticks = [(v, f"{v:.0%}") for v in np.arange(0, top + 1e-9, step)]
    axes = Axes(title, (edges[0], edges[-1]), (0, top), x_label, "share of introns", ticks, y_ticks, 250)
    for heights, css in ((shares[1], "s"), (shares[0], "r")):
        xs, ys = np.repeat(edges, 2), np.concatenate([[0], np.repeat(heights, 2), [0]])
        axes.line(xs, ys, f"f{css} o")
        axes.line(xs, ys, f"s{css}")
    left = WIDTH - RIGHT - KEY_WIDTH
    axes.draw(f'<rect class="fr" x="{left}" y="25" width="10" height="10"/>')
    axes.draw(f'<circle class="ss" cx="{left + 5}" cy="45" r="4.5"/>')
    axes.text(left + 16, 34, f"retained ({len(retained):,})")
    axes.text(left + 16, 49, f"spliced ({len(spliced):,})")
    return axes.svg(description)


def roc_curves(curves: list[tuple[str, str, np.ndarray, np.ndarray]], description: str) -> str:
    """ROC curves: ``curves`` are ``(name, class, label, score)``, drawn in that order."""
    axes = Axes("ROC", (0, 1), (0, 1), "false-positive rate", "true-positive rate", QUARTERS, QUARTERS)
    axes.line([0, 1], [0, 1], "dash")
    for row, (name, css, label, score) in enumerate(curves):
        false, true = roc_points(label, score)
        axes.line(CURVE_POINTS, np.interp(CURVE_POINTS, false, true), f"ln {css}")
        _key(axes, 168, 172 + 15 * row, css, name)
    return axes.svg(description)


def precision_recall_curves(curves: list[tuple[str, str, np.ndarray, np.ndarray]], description: str) -> str:
    """Precision over recall: ``curves`` as for :func:`roc_curves`; the dashed line is the share of retained introns."""
    drawn = [(name, css, precision_at(label, score, CURVE_POINTS[2:])) for name, css, label, score in curves]
    chance = float(np.mean(curves[0][2]))
    highest = max([chance, *(values[5:].max() for _, _, values in drawn)])
    top = min(1.0, max(0.2, math.ceil(highest * 5 + 0.5) / 5))
    ticks = [(v, f"{v:g}") for v in np.arange(0, top + 1e-9, 0.2).round(1)]
    axes = Axes("Precision and recall", (0, 1), (0, top), "recall", "precision", QUARTERS, ticks)
    axes.line([0, 1], [chance, chance], "dash")
    for row, (name, css, values) in enumerate(drawn):
        axes.line(CURVE_POINTS[2:], np.minimum(values, top), f"ln {css}")
        _key(axes, 176, 42 + 15 * row, css, name)
    return axes.svg(description)


def roc_points(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(false-positive rates, true-positive rates)`` of every threshold, from 0 to 1."""
    order = np.argsort(-score, kind="stable")
    label, score = label[order], score[order]
    last = np.flatnonzero(np.append(np.diff(score) != 0, True))
    true, false = np.cumsum(label)[last], np.cumsum(1 - label)[last]
    return np.append(0, false / false[-1]), np.append(0, true / true[-1])


def precision_at(label: np.ndarray, score: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """The precision at each recall, linear between the recalls that are reached."""
    order = np.argsort(-score, kind="stable")
    label, score = label[order], score[order]
    last = np.flatnonzero(np.append(np.diff(score) != 0, True))
    true = np.cumsum(label)[last]
    kept = np.append(True, np.diff(true) > 0)
    return np.interp(recalls, true[kept] / true[-1], (true / (last + 1))[kept])


def calibration_bins(title: str, bins: list[dict[str, float]], description: str) -> str:
    """Observed shares of bins of equal size, with 95 % Wilson intervals; ``bins`` as metrics.json has them."""
    low, high = wilson(*np.array([[bin_["observed"] * bin_["n"], bin_["n"]] for bin_ in bins]).T)
    highest = max(*(bin_["predicted"] for bin_ in bins), *high)
    step = 0.1 if highest <= 0.5 else 0.25
    top = min(1, math.ceil(highest / step) * step)
    ticks = [(v, f"{v:g}") for v in np.arange(0, top + 1e-9, step).round(2)]
    axes = Axes(title, (0, top), (0, top), "held-out probability", "share retained", ticks, ticks)
    axes.line([0, top], [0, top], "dash")
    for bin_, bottom, upper in zip(bins, low, high, strict=True):
        axes.line([bin_["predicted"]] * 2, [bottom, upper], "ln l1")
        x, y = axes.x(bin_["predicted"]), axes.y(bin_["observed"])
        axes.draw(f'<circle class="fi" cx="{x:.1f}" cy="{y:.1f}" r="4.2"/>')
    return axes.svg(description)


def level_scatter(title: str, target: str, observed: np.ndarray, predicted: np.ndarray, description: str) -> str:
    """Held-out against measured levels from 0 to 1, or differences from -1 to 1, one dot an intron."""
    low = -1 if target == "difference" else 0
    ticks = [(v, f"{v:+g}".replace("-", "−") if v else "0") for v in (-1, -0.5, 0, 0.5, 1)] if low else QUARTERS
    axes = Axes(title, (low, 1), (low, 1), "held-out prediction", f"measured {target}", ticks, ticks)
    axes.line([low, 1], [low, 1], "dash")
    for x, y in zip(np.clip(predicted, low, 1), np.clip(observed, low, 1), strict=True):
        axes.draw(f'<circle class="fn" fill-opacity=".5" cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="2"/>')
    return axes.svg(description)


def effects_by_gc(title: str, families: list[dict[str, Any]], note: str, description: str) -> str:
    """Odds ratios of motif families against their GC content; those with ``hit`` are coloured and named.

    ``families``: dicts of family, gc, odds_ratio, hit; odds ratios of 0 or without a number are left out.
    """
    ticks = [(v, f"{v:.0%}") for v in (0.2, 0.4, 0.6, 0.8)]
    y_ticks = [(v, f"{v:+d}".replace("-", "−") if v else "0") for v in range(-3, 4)]
    axes = Axes(title, (0.2, 0.9), (-3.5, 3.5), "GC content of the motif family", "log2 odds ratio", ticks, y_ticks)
    axes.line([0.2, 0.9], [0, 0], "dash")
    axes.text(WIDTH - RIGHT, 15, note, "end")
    for family in sorted(families, key=lambda one: one["hit"]):
        if not 0 < family["odds_ratio"] < math.inf:
            continue
        x = axes.x(min(max(family["gc"], 0.2), 0.9))
        y = axes.y(min(max(math.log2(family["odds_ratio"]), -3.5), 3.5))
        css = ("fr" if family["odds_ratio"] > 1 else "fs") if family["hit"] else "fn"
        size = 'r="5.2"' if family["hit"] else 'fill-opacity=".65" r="3.2"'
        name = escape(family["family"])
        axes.draw(f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" {size}><title>{name}</title></circle>')
        if family["hit"]:
            side = ("end", x - 9) if x > WIDTH * 0.6 else ("start", x + 9)
            axes.draw(f'<text x="{side[1]:.1f}" y="{y + 4:.1f}" text-anchor="{side[0]}">{name}</text>')
    return axes.svg(description)


def position_profile(family: str, landmark: str, bins: list[dict[str, Any]], description: str) -> str:
    """The share of windows with a site of a family in bins around a landmark: dicts of start, end, label, share."""
    edges = sorted({bin_["start"] for bin_ in bins} | {bin_["end"] for bin_ in bins})
    top = max(0.01, *(bin_["share"] for bin_ in bins))
    ticks = [(v, f"{v:g}".replace("-", "−")) for v in np.linspace(edges[0], edges[-1], 5).round()]
    y_ticks = [(v, f"{v:.1%}") for v in np.linspace(0, top, 4)]
    title = f"{family}, from the {landmark}"
    axes = Axes(
        title, (edges[0], edges[-1]), (0, top), f"bases from the {landmark}", "windows with a site", ticks, y_ticks, 220
    )
    for label, css in ((0, "ss"), (1, "sr")):
        shown = sorted((bin_ for bin_ in bins if bin_["label"] == label), key=lambda bin_: bin_["start"])
        if shown:
            axes.line(
                [(bin_["start"] + bin_["end"]) / 2 for bin_ in shown],
                [bin_["share"] for bin_ in shown],
                css,
            )
    return axes.svg(description)


def _key(axes, x, y, css, name):
    axes.draw(f'<path class="ln {css}" d="M{x} {y - 4}h22"/>')
    axes.text(x + 27, y, name)
