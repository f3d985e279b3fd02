"""Variants, the windows they make of the genome, and random variants like them.

Coordinates are 0-based, half-open, on the forward strand.
"""

from __future__ import annotations

import bisect
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from Bio.Data.IUPACData import ambiguous_dna_values

from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData, UsageError
from intronaut.genome.windows import NoWindow, Row, cut_window, read_rows, refuse_rows_outside
from intronaut.io.h5ad import input_digest, sequence_digest

if TYPE_CHECKING:
    from intronaut.genome.reference import Genome
    from intronaut.io.fasta import Window


class Allele(NamedTuple):
    """``[start, end)`` of a chromosome replaced by ``alt``, less the bases that REF and ALT share at the ends."""

    chrom: str
    start: int
    end: int
    alt: str

    @property
    def kind(self) -> str:
        """snv, mnv, insertion, deletion, indel, or same where ALT is REF."""
        lost, gained = self.end - self.start, len(self.alt)
        if lost == gained:
            return ("same", "snv")[lost] if lost < 2 else "mnv"
        return "insertion" if not lost else "indel" if gained else "deletion"


def trimmed(chrom: str, start: int, ref: str, alt: str) -> Allele:
    """The Allele of REF and ALT, both upper case: equal last bases are taken off first, then equal first ones."""
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        ref, alt, start = ref[1:], alt[1:], start + 1
    return Allele(chrom, start, start + len(ref), alt)


def is_reference(ref: str, bases: str) -> bool:
    """Whether REF fits the genome's bases.

    VCF has no ambiguity code but N: another one in the genome fits N, and the bases that it stands for.
    """
    return len(ref) == len(bases) and all(
        one == other or (other not in "ACGTN" and one in ambiguous_dna_values.get(other, "") + "N")
        for one, other in zip(ref, bases, strict=True)
    )


class Haplotype:
    """A genome in which one allele is replaced: what cut_window needs of a Genome, in the coordinates after it."""

    def __init__(self, genome: Genome, allele: Allele) -> None:
        self.genome, self.allele = genome, allele
        self.change = len(allele.alt) - (allele.end - allele.start)
        self.lengths = {allele.chrom: genome.lengths[allele.chrom] + self.change}

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """The bases of ``[start, end)`` of the changed chromosome."""
        at, past = self.allele.start, self.allele.start + len(self.allele.alt)
        before = self.genome.fetch(chrom, start, min(end, at)) if start < at else ""
        within = self.allele.alt[max(start - at, 0) : max(end - at, 0)]
        first = max(start, past) - self.change
        return before + within + (self.genome.fetch(chrom, first, end - self.change) if end > past else "")


def anchor_place(row: Row, anchor: str) -> int:
    """The place between two bases that the window of a row is built around, and which a variant leaves where it is.

    ``donor`` and ``acceptor``: the splice site; ``centre``: the middle, half a base 5' of it where that is a base.
    """
    if anchor == "centre":
        return -((-row.start - row.end) // 2) if row.strand == "-" else (row.start + row.end) // 2
    return row.start if (anchor == "donor") != (row.strand == "-") else row.end


def from_anchor(row: Row, anchor: str, allele: Allele) -> int:
    """How many bases 3' of the anchor an allele starts, in the reading direction of the row; negative if 5' of it."""
    place = anchor_place(row, anchor)
    return place - allele.end if row.strand == "-" else allele.start - place


def cut_alternative(genome: Genome, row: Row, allele: Allele, *, anchor: str, **how: Any) -> Window:
    """The Window around ``row`` on the haplotype with ``allele``, of the length of the reference's.

    The anchor keeps its place in the window: an insertion or deletion 5' of it moves the window's 5' end, one 3' of it
    the 3' end. In an allele that spans the anchor, the anchor keeps its distance from the allele's 5' end, at most the
    alternative's length. Raises NoWindow as cut_window does.
    """
    lost, gained = allele.end - allele.start, len(allele.alt)
    before = max(-from_anchor(row, anchor, allele), 0)
    # counted in reading direction; of an allele that spans the anchor, ``before`` bases lie 5' of it
    moved = gained - lost if before >= lost and before else min(before, gained) - before
    if row.strand == "-":
        moved = gained - lost - moved
    moved_row = row._replace(start=row.start + moved, end=row.end + moved)
    return cut_window(Haplotype(genome, allele), moved_row, allele.chrom, anchor=anchor, **how)


class WindowIndex:
    """Finds the windows that hold an allele; all windows are of one length, so the sorted starts are enough."""

    def __init__(self, windows: list[tuple[str, int]], length: int) -> None:
        """``windows``: ``(chrom, start)`` of each."""
        self.length, self.starts, self.numbers = length, {}, {}
        for number in sorted(range(len(windows)), key=lambda number: windows[number][1]):
            chrom, start = windows[number]
            self.starts.setdefault(chrom, []).append(start)
            self.numbers.setdefault(chrom, []).append(number)

    def holding(self, allele: Allele) -> list[int]:
        """The numbers of the windows with a base that the allele replaces, or the gap in which it inserts, by start."""
        starts = self.starts.get(allele.chrom, [])
        # a base of [start, end) is inside; of an empty one the two bases around the gap are
        first = bisect.bisect_right(starts, allele.start - self.length)
        last = bisect.bisect_left(starts, allele.end)
        return self.numbers.get(allele.chrom, [])[first:last]


class Context(NamedTuple):
    """A change of at most one base, ``ref`` to ``alt``, and its two neighbours; read on the strand that sorts first."""

    left: str
    ref: str
    alt: str
    right: str

    def reversed(self) -> Context:
        """The same change read on the other strand."""
        return Context(*(reverse_complement(part) for part in (self.right, self.ref, self.alt, self.left)))


def context_of(genome: Genome, allele: Allele) -> Context | None:
    """The Context of an allele, or None where there is none: longer ones, N, and the ends of chromosomes."""
    if allele.end - allele.start > 1 or len(allele.alt) > 1 or allele.kind == "same":
        return None
    if allele.start < 1 or allele.end >= genome.lengths[allele.chrom]:
        return None
    bases = genome.fetch(allele.chrom, allele.start - 1, allele.end + 1)
    context = Context(bases[0], bases[1:-1], allele.alt, bases[-1])
    return min(context, context.reversed()) if set("".join(context)) <= set("ACGT") else None


def random_alleles(
    genome: Genome, context: Context, windows: list[tuple[str, int, int]], number: int, seed: int
) -> list[tuple[int, Allele]]:
    """Up to ``number`` different ``(place in windows, Allele)`` of one Context, drawn from the windows in turn.

    ``windows`` are ``(chrom, start, end)``. The draw depends on the seed, the context and the windows alone.
    """
    rng = np.random.default_rng([seed, zlib.crc32("\t".join(context).encode())])
    order = rng.permutation(len(windows))
    drawn, left = [], {}
    while len(drawn) < number and len(order):
        for place in order:
            if place not in left:
                places = _places(genome, context, windows[place])
                left[place] = [places[i] for i in rng.permutation(len(places))]
            if left[place]:
                drawn.append((int(place), left[place].pop()))
            if len(drawn) == number:
                break
        order = [place for place in order if left[place]] if len(drawn) < number else order
    return drawn


def _places(genome, context, window):
    chrom, start, end = window
    start, end = max(start, 0), min(end, genome.lengths[chrom])
    bases = genome.fetch(chrom, start, end)
    alleles = set()
    for read in {context, context.reversed()}:
        for hit in re.finditer(f"(?={read.left}{read.ref}{read.right})", bases):
            at = start + hit.start() + 1
            alleles.add(Allele(chrom, at, at + len(read.ref), read.alt))
    return sorted(alleles)


class Introns:
    """Introns or peaks with a window: where they are, and which of them hold an allele.

    ``rows`` and ``places`` (``(chrom, start, end)`` of the window) are in the order of the file. ``how`` has the
    ``anchor``, ``length``, ``edge`` and ``strand`` of fetch_sequences.
    """

    def __init__(self, path: Path | str, genome: Genome, how: dict[str, Any]) -> None:
        rows = read_rows(path)
        if how["anchor"] != "centre" and any(row.unit == "peak" for row in rows):
            raise UsageError(f"{path}: peaks have no {how['anchor']}; use --anchor centre")
        chroms = genome.resolve_all([row.chrom for row in rows], path)
        refuse_rows_outside(rows, chroms, genome, path)
        self.genome, self.how = genome, how
        self.rows, self.places, digests = [], [], []
        for row in rows:
            try:
                window = cut_window(genome, row, chroms[row.chrom], **how)
            except NoWindow:
                continue
            self.rows.append(row)
            self.places.append((window.chrom, window.start, window.end))
            digests.append(sequence_digest(window.sequence))
        if not self.rows:
            raise BadData(f"{path}: none of its {len(rows):,} rows has a window")
        self.without_window = len(rows) - len(self.rows)
        self.sha256 = input_digest(pd.DataFrame({"digest": digests}, index=[row.name for row in self.rows]))
        self.index = WindowIndex([place[:2] for place in self.places], how["length"])

    def reference(self, number: int) -> str:
        """The window of an intron."""
        return cut_window(self.genome, self.rows[number], self.places[number][0], **self.how).sequence

    def alternative(self, number: int, allele: Allele) -> str:
        """The window of an intron on the haplotype with an allele, or None where there is none."""
        try:
            return cut_alternative(self.genome, self.rows[number], allele, **self.how).sequence
        except NoWindow:
            return None
