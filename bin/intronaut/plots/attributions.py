"""A figure of one window: attributions along it, gene models and peaks there, and a logo where they are strongest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from intronaut.plots.svg import AS_IS, NEUTRAL, RETAINED, SPLICED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODELS_SHOWN, PEAKS_SHOWN = 5, 5
PEAK = "#00785a"


def window_figure(
    window: Any,
    observed: np.ndarray,
    models: list[tuple[str, list[tuple[int, int]]]],
    peaks: list[tuple[str, list[tuple[int, int]]]],
    logo_bases: int,
    title: str,
) -> Figure:
    """The figure of a Window with its observed attributions ``(length,)``, which read 5'→3' from left to right.

    ``models`` and ``peaks`` are lists of ``(name, stretches)`` in places of the window, as of :func:`gene_models` and
    :func:`peaks_near`.
    """
    import matplotlib.pyplot as plt

    rows = [spans_shown for spans_shown in (models, peaks) if spans_shown]
    heights = [1.6, *(0.22 * len(spans_shown) for spans_shown in rows), 1.3]
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(8, 0.9 + sum(heights)), height_ratios=heights, layout="constrained"
    )
    figure.suptitle(title, fontsize=9, **AS_IS)
    first = strongest(observed, logo_bases)
    end = min(first + logo_bases, len(observed))
    _track(axes[0], observed, first, end)
    for below, spans in zip(axes[1:-1], rows, strict=True):
        _stretches(below, spans, len(observed), of_models=spans is models)
        below.sharex(axes[0])
    _logo(axes[-1], window.sequence, observed, first, end)
    return figure


def strongest(observed: np.ndarray, bases: int) -> int:
    """Where the ``bases`` neighbours whose attributions are largest in size together begin."""
    sums = np.concatenate([[0], np.abs(observed).cumsum(dtype=float)])
    return int(np.argmax(sums[bases:] - sums[:-bases])) if len(observed) > bases else 0


def gene_models(annotation: Any, chrom: str, window: Any) -> list[tuple[str, list[tuple[int, int]]]]:
    """``(name, exons)`` of the transcripts that reach into a window, longest first, at most MODELS_SHOWN.

    Of transcripts of a gene that look the same there, the longest is shown. ``exons`` are ``(start, end)`` in places of
    the window as it reads; ``chrom`` is the annotation's own name.
    """
    transcripts = annotation.transcripts
    near = transcripts[
        (transcripts["chrom"] == chrom) & (transcripts["start"] < window.end) & (transcripts["end"] > window.start)
    ]
    by_length = near.assign(bases=near["end"] - near["start"]).sort_values("bases", ascending=False, kind="stable")
    models = {}
    for row, transcript in by_length.iterrows():
        exons = annotation.exons[annotation.exons["transcript"] == row][["start", "end"]].to_numpy() - window.start
        if window.strand == "-":
            exons = (window.end - window.start) - exons[::-1, ::-1]
        gene = annotation.genes["gene_name"].iloc[transcript["gene"]]
        seen = tuple((start, end) for start, end in exons.tolist() if start < window.end - window.start and end > 0)
        models.setdefault((gene, seen), (f"{gene} {transcript['transcript_id']}", exons.tolist()))
    return list(models.values())[:MODELS_SHOWN]


def peaks_near(peaks: pd.DataFrame, chrom: str, window: Any) -> list[tuple[str, list[tuple[int, int]]]]:
    """``(name, stretches)`` of the peaks that reach into a window, those of one name together, in order along it.

    Of more than five names, the fifth and all after it are one: ``N others``. ``stretches`` are ``(start, end)`` in
    places of the window as it reads; ``peaks`` is a DataFrame of :func:`intronaut.io.peaks.read_peaks`, ``chrom`` its
    own name.
    """
    near = peaks[(peaks["chrom"] == chrom) & (peaks["start"] < window.end) & (peaks["end"] > window.start)]
    places = near[["start", "end"]].to_numpy() - window.start
    if window.strand == "-":
        places = (window.end - window.start) - places[:, ::-1]
    named = {}
    for name, place in sorted(zip(near["name"].fillna("peak"), places.tolist(), strict=True), key=lambda one: one[1]):
        named.setdefault(name, []).append(place)
    rows = list(named.items())
    if len(rows) <= PEAKS_SHOWN:
        return rows
    others = rows[PEAKS_SHOWN - 1 :]
    return [*rows[: PEAKS_SHOWN - 1], (f"{len(others)} others", [place for _, places in others for place in places])]


def _track(axes, observed, first, end):
    axes.axvspan(first, end, color="0.93", linewidth=0)
    places = np.arange(len(observed)) + 0.5
    for colour, values in ((RETAINED, observed.clip(min=0)), (SPLICED, observed.clip(max=0))):
        axes.vlines(places, 0, values, color=colour, linewidth=max(0.3, 400 / len(observed) / 2))
    axes.set_xlim(0, len(observed))
    axes.set_ylabel("logit per base")
    axes.set_xlabel("base of the window, 5'→3'")


def _stretches(axes, rows, length, of_models):
    colour = NEUTRAL if of_models else PEAK
    for line, (_, stretches) in enumerate(rows):
        shown = [(max(0, start), min(length, end)) for start, end in stretches]
        if of_models:
            low, high = (one(place for stretch in stretches for place in stretch) for one in (min, max))
            axes.plot([max(0, low), min(length, high)], [line, line], color=colour, linewidth=0.8)
        boxes = [(start, end - start) for start, end in shown if start < end]
        axes.broken_barh(boxes, (line - 0.3, 0.6), color=colour)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=7, **AS_IS)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(labelbottom=False, bottom=False, left=False)
    axes.spines[["left", "bottom"]].set_visible(False)


def _logo(axes, sequence, observed, first, end):
    import logomaker

    shown = (
        np.array([[letter == base for base in "ACGT"] for letter in sequence[first:end]]) * observed[first:end, None]
    )
    logomaker.Logo(
        pd.DataFrame(shown, columns=list("ACGT"), index=range(first, end)), ax=axes, color_scheme="colorblind_safe"
    )
    axes.set_ylabel("logit per base")
    axes.set_xlabel(f"bases {first:,} to {end:,}, where attributions are strongest")
