"""The figures of find_motifs."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from intronaut.motifs.similarity import frequencies
from intronaut.plots.page import embedded
from intronaut.plots.svg import AS_IS, NEUTRAL, RETAINED, SPLICED, save_both, save_svg
from intronaut.stats.bootstrap import wilson

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from intronaut.motifs.pwm import Motif
    from intronaut.motifs.windows import Study

ALPHA = 0.05
NAMED = 8
LOGOS = 12
# bins that few windows cover would set the scale for all others
LEAST_COVERED = 0.2
EFFECT = "log₂ odds ratio of retention"


def volcano(panels: list[tuple[str, pd.DataFrame, str, str]], xlabel: str, named: str = "tf") -> Figure:
    """Effects against significance, a panel each; what is significant is coloured, the strongest are named.

    Args:
        panels: list of ``(title, table, column of the effect, column of q)``.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 3.6), squeeze=False, sharex=True, sharey=True
    )
    for ax, (title, table, effect, q) in zip(axes[0], panels, strict=True):
        known = table[table[q].notna()]
        x, y = known[effect].to_numpy(float), -np.log10(np.maximum(known[q].to_numpy(float), 1e-300))
        ax.scatter(x, y, s=9, c=colours(x, known[q].to_numpy(float)), linewidths=0)
        ax.axhline(-np.log10(ALPHA), color=NEUTRAL, linewidth=0.8, linestyle=":")
        for k in strongest(known, y):
            side = "left" if x[k] > 0 else "right"
            ax.annotate(known[named].iloc[k], (x[k], y[k]), fontsize=6, ha=side, va="bottom", **AS_IS)
        ax.axvline(0, color=NEUTRAL, linewidth=0.8, linestyle=":")
        ax.set(title=title, xlabel=xlabel)
    axes[0, 0].set_ylabel("$-\\log_{10}$ q")
    return figure


def strongest(table: pd.DataFrame, significance: np.ndarray) -> list[int]:
    """The lines to be named: the significant ones with the largest ``significance``, one a family."""
    order = [k for k in np.argsort(-significance, kind="stable") if significance[k] >= -np.log10(ALPHA)]
    family, named = table["family"].tolist() if "family" in table else list(range(len(table))), {}
    for k in order:
        named.setdefault(family[k], k)
    return list(named.values())[:NAMED]


def colours(effect: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Vermilion for significantly retained, blue for spliced, grey for neither."""
    return np.select([(q <= ALPHA) & (effect > 0), (q <= ALPHA) & (effect < 0)], [RETAINED, SPLICED], "#bbbbbb")


def gc_scatter(panels: list[tuple[str, pd.DataFrame, str, str]], ylabel: str) -> Figure:
    """Effect against the GC content of the motif, a panel each: a cloud that rises is composition, not motifs.

    Args:
        panels: list of ``(title, table, column of the effect, column of q)``.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 3.2), squeeze=False, sharey=True)
    for ax, (title, table, effect, q) in zip(axes[0], panels, strict=True):
        known = table[np.isfinite(table[effect].to_numpy(float))]
        y = known[effect].to_numpy(float)
        ax.scatter(known["motif_gc"], y, s=8, c=colours(y, known[q].to_numpy(float)), linewidths=0)
        ax.axhline(0, color=NEUTRAL, linewidth=0.8, linestyle=":")
        ax.set(title=title, xlabel="GC content of the motif")
    axes[0, 0].set_ylabel(ylabel)
    return figure


def positions_figure(table: pd.DataFrame, families: list[str], n_labels: dict[int, int]) -> Figure:
    """The share of windows with a site, by distance from the splice sites: a line of panels a family.

    ``n_labels`` is ``{1: retained, 0: spliced}`` windows in all; bands are 95 % Wilson intervals.
    """
    import matplotlib.pyplot as plt

    landmarks = list(dict.fromkeys(table["landmark"]))
    size = (3.6 * len(landmarks) + 0.6, 1.5 * len(families) + 0.6)
    figure, axes = plt.subplots(len(families), len(landmarks), figsize=size, squeeze=False, sharex="col", sharey="row")
    named = {1: ("retained", RETAINED), 0: ("spliced", SPLICED)}
    for line, family in zip(axes, families, strict=True):
        for ax, landmark in zip(line, landmarks, strict=True):
            rows = table[(table["family"] == family) & (table["landmark"] == landmark)]
            for label, part in rows.groupby("label"):
                part = part[part["windows"] >= LEAST_COVERED * n_labels[label]]
                name, colour = named[label]
                middle, (low, high) = (part["start"] + part["end"]) / 2, wilson(part["hit"], part["windows"])
                ax.plot(middle, 100 * part["share"], color=colour, linewidth=1.2, label=f"{name} ({n_labels[label]:,})")
                ax.fill_between(middle, 100 * low, 100 * high, color=colour, alpha=0.15, linewidth=0)
            ax.axvline(0, color=NEUTRAL, linewidth=0.8, linestyle=":")
        line[0].set_ylabel(f"{family}\n% of windows", fontsize=7, **AS_IS)
    for ax, landmark in zip(axes[-1], landmarks, strict=True):
        ax.set_xlabel(f"bp from the {landmark}" + ("" if landmark == "centre" else ", 5′ to 3′"))
    axes[0, 0].legend(fontsize=7, loc="upper right")
    return figure


def logos(motifs: list[Motif], titles: list[str]) -> Figure:
    """Logos in bits of information, three a line, each with its title."""
    with warnings.catch_warnings(action="ignore"):  # of matplotlib's own coming changes
        import logomaker
        import matplotlib.pyplot as plt
        import pandas as pd

        lines = -(-len(motifs) // 3)
        figure, axes = plt.subplots(lines, 3, figsize=(9, 1.6 * lines), squeeze=False, sharey=True)
        for ax, motif, title in zip(axes.flat, motifs, titles, strict=False):
            share = frequencies(motif)
            bits = share * (2 + (share * np.log2(np.maximum(share, 1e-12))).sum(axis=1, keepdims=True))
            # the colours of Okabe & Ito 2008, which the colour-blind can tell apart
            scheme = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00"}
            logomaker.Logo(pd.DataFrame(bits, columns=list("ACGT")), ax=ax, color_scheme=scheme)
            ax.set_title(title, fontsize=7, **AS_IS)
            ax.set(ylim=(0, 2), xticks=[])
        for ax in axes.flat[len(motifs) :]:
            ax.set_axis_off()
        for line in axes:
            line[0].set_ylabel("bits")
        figure.tight_layout()
    return figure


def logos_for_page(motifs: list[Motif]) -> str:
    """The logos of motifs, each with its factor and id, as an ``<svg>`` element; empty without a motif."""
    if not motifs:
        return ""
    buffer = io.StringIO()
    save_svg(logos(motifs, [f"{motif.tf} ({motif.motif_id})" for motif in motifs]), buffer)
    return embedded(buffer.getvalue(), "logos")


def draw_tests(
    folder: Path, study: Study, motifs: list[Motif], table: pd.DataFrame, positions: pd.DataFrame, families: list[str]
) -> None:
    """The figures of the test: volcano, gc, positions (of the named families) and logos (the best of each family)."""
    kinds = {"unadjusted": "_unadjusted", "adjusted": "", "adjusted, windows shuffled": "_shuffled"}
    kinds = {title: suffix for title, suffix in kinds.items() if f"odds_ratio{suffix}" in table}
    with np.errstate(divide="ignore"):
        logs = {f"log2{suffix}": np.log2(table[f"odds_ratio{suffix}"].to_numpy(float)) for suffix in kinds.values()}
    logged = table.assign(**logs)
    panels = [(title, logged, f"log2{suffix}", f"q{suffix}") for title, suffix in kinds.items()]
    save_both(volcano(panels, EFFECT), folder / "volcano")
    save_both(gc_scatter(panels, EFFECT), folder / "gc")
    if families:
        n_labels = {label: int((study.label == label).sum()) for label in (1, 0)}
        save_both(positions_figure(positions, families, n_labels), folder / "positions")
    by_id = {motif.motif_id: motif for motif in motifs}
    top = table[table["p"].notna()].drop_duplicates("family").head(LOGOS)
    if len(top):
        titles = [
            f"{row.tf} ({row.motif_id})\nodds ratio {row.odds_ratio:.2f}, q {row.q:.2g}" for row in top.itertuples()
        ]
        save_both(logos([by_id[name] for name in top["motif_id"]], titles), folder / "logos")
