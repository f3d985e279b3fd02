"""Sashimi plots: coverage of the bases about an intron, with arcs for the junctions that splice it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from intronaut.plots.svg import AS_IS, NEUTRAL, RETAINED, SPLICED, save_svg

if TYPE_CHECKING:
    import pandas as pd

# junctions with fewer fragments than this share of the largest count are not drawn
LEAST_SHARE = 0.02
_ROW_HEIGHT, _WIDTH = 1.5, 7.0


def draw_introns(folder: Path, exons: pd.DataFrame, names: list[str], counted: list[Any]) -> None:
    """A sashimi plot, ``chrom_start-end_strand.svg``, of each intron in every CountedSample; none without samples."""
    folder.mkdir()
    for name in names if counted else ():
        with open(folder / figure_name(name), "w", encoding="utf-8") as out:
            draw_intron(out, exons, name, counted)


def figure_name(intron: str) -> str:
    """The file name of an intron's figure: no file system minds it."""
    return intron.replace(":", "_") + ".svg"


def draw_intron(out: TextIO, exons: pd.DataFrame, name: str, counted: list[Any]) -> None:
    """Draw an intron, named ``chrom:start-end:strand``, in every CountedSample; ``exons``: DataFrame of chrom, start,
    end, strand."""
    chrom, span, strand = name.rsplit(":", 2)
    start, end = map(int, span.split("-"))
    drawn = exons[(exons["chrom"] == chrom) & (exons["strand"] == strand)]
    # models of the retention itself would hide where the exons are
    drawn = drawn[(drawn["end"] <= start) | (drawn["start"] >= end)]
    tracks = [one.track(name) for one in counted]
    draw_sashimi(out, (name, start, end), tracks, list(zip(drawn["start"], drawn["end"], strict=True)))


def draw_sashimi(
    path: Path,
    intron: tuple[str, int, int],
    tracks: list[tuple[str, int, np.ndarray, Counter]],
    exons: list[tuple[int, int]],
) -> None:
    """Draw one intron in each sample as SVG: the same bytes every time.

    Args:
        path: the file, or an open one.
        intron: (name, start, end).
        tracks: list of (title, start, coverage, junctions): first base drawn, fragments at each base from there on, and
            a dict from (start, end) of a junction to its fragments.
        exons: list of (start, end) of the gene's exons, drawn below.
    """
    import matplotlib.pyplot as plt

    name, start, end = intron
    height = _ROW_HEIGHT * len(tracks) + 0.7
    ratios = [_ROW_HEIGHT] * len(tracks) + [0.25]
    figure, axes = plt.subplots(
        len(tracks) + 1, 1, figsize=(_WIDTH, height), sharex=True, height_ratios=ratios, layout="constrained"
    )
    for axis, (title, first, coverage, junctions) in zip(axes, tracks, strict=False):
        _draw_coverage(axis, first, coverage, (start, end))
        _draw_junctions(axis, first, coverage, junctions, (start, end))
        axis.set_title(title, loc="left", fontsize=8, **AS_IS)
        axis.set_ylabel("fragments", fontsize=8)
    first, coverage = tracks[0][1], tracks[0][2]
    _draw_exons(axes[-1], exons, first, first + len(coverage))
    axes[-1].set_xlabel(name, fontsize=8, **AS_IS)
    save_svg(figure, path)


def _draw_coverage(axis, first, coverage, intron):
    # only where the depth changes: a long intron has few such places, and the figure stays small
    places = np.flatnonzero(np.diff(coverage, prepend=-1))
    x, y = np.append(first + places, first + len(coverage)), np.append(coverage[places], 0)
    axis.fill_between(x, y, step="post", color=NEUTRAL, alpha=0.35, linewidth=0)
    inside = (x >= intron[0]) & (x < intron[1])
    axis.fill_between(x, np.where(inside, y, np.nan), step="post", color=RETAINED, alpha=0.6, linewidth=0)


def _draw_junctions(axis, first, coverage, junctions, intron):
    top, last = max(int(coverage.max(initial=0)), 1), first + len(coverage)
    least = LEAST_SHARE * max(junctions.values(), default=0)
    shown = {(a, b): n for (a, b), n in junctions.items() if n >= least and first <= a < b <= last}
    x = np.linspace(0, 1, 40)
    for rank, ((a, b), n) in enumerate(sorted(shown.items(), key=lambda item: (item[0][1] - item[0][0], item[0]))):
        colour = SPLICED if (a, b) == intron else NEUTRAL
        left, right = (coverage[min(max(place - first, 0), len(coverage) - 1)] for place in (a - 1, b))
        peak = max(left, right) + top * (0.15 + 0.15 * (rank % 4))
        y = left + (right - left) * x + 4 * (peak - (left + right) / 2) * x * (1 - x)
        axis.plot(a + (b - a) * x, y, color=colour, linewidth=0.8 + 1.5 * n / max(shown.values()))
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        place = (a + b) / 2, y[len(y) // 2]
        axis.annotate(f"{n:,}", place, ha="center", va="center", fontsize=7, color=colour, bbox=box)
    axis.set_ylim(0, top * 1.7)


def _draw_exons(axis, exons, first, last):
    shown = [(max(a, first), min(b, last)) for a, b in exons if a < last and b > first]
    axis.plot([first, last], [0, 0], color=NEUTRAL, linewidth=0.8)
    axis.broken_barh([(a, b - a) for a, b in shown], (-0.4, 0.8), color=NEUTRAL, linewidth=0)
    axis.set_ylim(-1, 1)
    axis.set_xlim(first, last)
    axis.set_yticks([])
    axis.spines[["left"]].set_visible(False)
    axis.ticklabel_format(axis="x", style="plain", useOffset=False)
    axis.tick_params(labelsize=7)
