"""What of every annotated intron reads can measure: its body without other exons, its two ends, and what is beside it.

Coordinates are 0-based, half-open, on the forward strand; ``left`` is the end with the lower coordinate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.genome.intervals import overlapping_pairs

if TYPE_CHECKING:
    from intronaut.genome.annotation import Annotation

# bases beside an exon that are not measured
PADDING = 5
STRANDS = "+-"


@dataclass
class Bodies:
    """What can be measured of the introns of a chromosome.

    ``intron, start, end``: the parts of the bodies, sorted by intron (row) and start. One value an intron: ``measured``
    (bases of the body), ``left``, ``right`` (whether an exon masks that end).
    """

    intron: np.ndarray
    start: np.ndarray
    end: np.ndarray
    measured: np.ndarray
    left: np.ndarray
    right: np.ndarray


class ChromIntrons:
    """The introns of one chromosome, their genes' spans, and the exons and excluded regions over them.

    Args:
        introns: rows of ``annotation.distinct_introns`` of one chromosome, each with a strand.
        genes: DataFrame intron (row of ``introns``), gene (row of ``annotation.genes``).
        exons: rows of :func:`distinct_exons` of the chromosome.
        spans: dict from strand to the (starts, ends) of its genes, merged and sorted.
        excluded: DataFrame start, end of the regions not to measure.
        overhang: least aligned bases on either side of a crossed position.
    """

    def __init__(
        self,
        introns: pd.DataFrame,
        genes: pd.DataFrame,
        exons: pd.DataFrame,
        spans: dict[str, tuple[np.ndarray, np.ndarray]],
        excluded: pd.DataFrame,
        overhang: int,
    ) -> None:
        self.start, self.end = introns["start"].to_numpy(np.int64), introns["end"].to_numpy(np.int64)
        self.minus = (introns["strand"] == "-").to_numpy()
        self.points = np.unique(np.concatenate([self.start, self.end]))
        self.left, self.right = (np.searchsorted(self.points, ends) for ends in (self.start, self.end))
        self.spans = spans
        reach = max(PADDING, overhang)
        wide = pd.DataFrame({"chrom": "", "start": self.start - reach, "end": self.end + reach})
        pairs = overlapping_pairs(wide, exons.assign(chrom=""))
        self._overhang = overhang
        self._exon_pairs(pairs["left"].to_numpy(), exons.iloc[pairs["right"]], genes)
        pairs = overlapping_pairs(wide, excluded.assign(chrom=""))
        excluded = excluded.iloc[pairs["right"]]
        self._excluded = pairs["left"].to_numpy(), *(excluded[name].to_numpy(np.int64) for name in ("start", "end"))

    def _exon_pairs(self, intron, exons, genes):
        """Keep the exons that can mask an intron, and set the flags that tell which exons lie about it."""
        n = len(self.start)
        a, b = exons["start"].to_numpy(np.int64), exons["end"].to_numpy(np.int64)
        start, end = self.start[intron], self.end[intron]
        strand, minus = exons["strand"].to_numpy(object), self.minus[intron]
        same = np.where(minus, strand == "-", strand == "+")
        other = np.where(minus, strand == "+", strand == "-")
        of_gene = (genes["intron"].to_numpy(np.int64) << 32) + genes["gene"].to_numpy(np.int64)
        same_gene = np.isin((intron << 32) + exons["gene"].to_numpy(np.int64), of_gene)
        # a model of the retention itself: it reaches over the intron, or a loose end of it lies inside
        over_left = (a < start) | (exons["loose_left"].to_numpy(bool) & (a < end))
        over_right = (b > end) | (exons["loose_right"].to_numpy(bool) & (b > start))
        shows = same_gene & over_left & over_right
        beside = (a < end + self._overhang) & (b > start - self._overhang) & ~shows
        self.inside_exon = np.bincount(intron[shows], minlength=n) > 0
        self.antisense = np.bincount(intron[beside & other], minlength=n) > 0
        self.other_gene = np.bincount(intron[beside & same & ~same_gene], minlength=n) > 0
        # kept for every chromosome at once: of a whole genome these are the most
        self._masking = tuple(column[~shows].astype(np.int32) for column in (intron, a, b)) + (same[~shows],)

    def bodies(self, unstranded: bool) -> Bodies:
        """The Bodies where exons of the intron's own strand mask, or where those of all strands do."""
        *columns, same = self._masking
        intron, a, b = (column[same | unstranded].astype(np.int64) for column in columns)
        masked = []
        for ends in (self.start, self.end):
            at = ends[intron]
            covered = (a <= at - self._overhang) & (at + self._overhang <= b)
            masked.append(np.bincount(intron[covered], minlength=len(self.start)) > 0)
        hidden = zip((intron, a - PADDING, b + PADDING), self._excluded, strict=True)
        row, start, end = _gaps(self.start, self.end, *(np.concatenate(columns) for columns in hidden))
        measured = np.bincount(row, end - start, minlength=len(self.start)).astype(np.int64)
        return Bodies(row, start, end, measured, *masked)

    def measurable(self) -> tuple[np.ndarray, np.ndarray]:
        """The (starts, ends) of all bases that are in the body of some intron, whatever the library: merged, sorted."""
        bodies = self.bodies(unstranded=False)
        return merged_spans(bodies.start, bodies.end)


def _gaps(start, end, row, a, b):
    """The parts of each ``[start, end)`` that no interval ``[a, b)`` of its ``row`` covers: row, start, end arrays."""
    a, b = np.clip(a, start[row], end[row]), np.clip(b, start[row], end[row])
    every = np.arange(len(start))
    row, a, b = np.concatenate([every, row, every]), np.concatenate([start, a, end]), np.concatenate([start, b, end])
    order = np.argsort((row << 32) + a, kind="stable")
    row, a, b = row[order], a[order], b[order]
    # the row in the high bits makes one running maximum start afresh with every intron
    reach = np.maximum.accumulate((row << 32) + b)
    before = np.concatenate([[-1], reach[:-1]])
    is_gap = (before >> 32 == row) & ((row << 32) + a > before)
    return row[is_gap], before[is_gap] & (2**32 - 1), a[is_gap]


def merged_spans(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The (starts, ends) of the union of intervals, sorted; intervals that touch become one."""
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    first = np.flatnonzero(np.concatenate([[True], start[1:] > reach[:-1]])[: len(start)])
    return start[first], reach[np.append(first[1:], len(start))[: len(first)] - 1]


def distinct_exons(annotation: Annotation) -> pd.DataFrame:
    """The distinct exons of every gene: chrom, start, end, strand, gene (row), and whether either edge is loose.

    An edge is loose where a ``retained_intron`` transcript begins or ends: its model is a fragment, and its edge no
    splice site.
    """
    of, transcript = annotation.transcripts, annotation.exons["transcript"].to_numpy()
    exons = annotation.exons[["start", "end"]].reset_index(drop=True)
    exons["gene"], retained = of["gene"].to_numpy()[transcript], of["retained"].to_numpy()[transcript]
    for edge, name in (("start", "loose_left"), ("end", "loose_right")):
        exons[name] = retained & (exons[edge].to_numpy() == of[edge].to_numpy()[transcript])
    # a gene is on one strand of one chromosome, so that these need not be compared
    exons = exons.drop_duplicates(ignore_index=True)
    for name in ("chrom", "strand"):
        exons[name] = annotation.genes[name].to_numpy(object)[exons["gene"]]
    return exons.sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)


def gene_spans(annotation: Annotation) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Per chromosome, a dict from strand (``+``, ``-``, and ``.`` for any other) to merged (starts, ends) of genes."""
    genes = annotation.genes.assign(
        strand=annotation.genes["strand"].where(annotation.genes["strand"].isin([*STRANDS]), ".")
    )
    spans = {}
    for (chrom, strand), rows in genes.groupby(["chrom", "strand"]):
        merged = merged_spans(rows["start"].to_numpy(np.int64), rows["end"].to_numpy(np.int64))
        spans.setdefault(chrom, {})[strand] = merged
    return spans


def chrom_introns(
    introns: pd.DataFrame,
    genes: pd.DataFrame,
    exons: dict[str, pd.DataFrame],
    spans: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]],
    excluded: pd.DataFrame,
    overhang: int,
) -> Iterator[tuple[str, np.ndarray, ChromIntrons]]:
    """Yield ``(chrom, rows of introns, ChromIntrons)`` for every chromosome, in the order of ``introns``.

    Args:
        introns, genes: those of ``distinct_introns``; ``exons``: those of :func:`distinct_exons`, by chromosome.
        spans: as from :func:`gene_spans`.
        excluded: DataFrame chrom, start, end, in the annotation's names.
    """
    excluded = dict(list(excluded.groupby("chrom")))
    nothing = pd.DataFrame({"start": [], "end": []}, dtype="int64")
    stranded = introns["strand"].isin([*STRANDS]).to_numpy()
    chrom_of = introns["chrom"].to_numpy(object)
    for chrom in introns["chrom"].unique():
        rows = np.flatnonzero(stranded & (chrom_of == chrom))
        if not len(rows):
            continue
        chrom_genes = genes[genes["intron"].isin(rows)]
        chrom_genes = chrom_genes.assign(intron=np.searchsorted(rows, chrom_genes["intron"]))
        about = exons[chrom], spans[chrom], excluded.get(chrom, nothing)
        yield chrom, rows, ChromIntrons(introns.iloc[rows], chrom_genes, *about, overhang)
