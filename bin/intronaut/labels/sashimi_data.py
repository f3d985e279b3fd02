"""Coverage and junctions about one intron, as a sashimi plot shows them, by the rules by which introns are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.io.cigars import take
from intronaut.io.fragments import ReadRules, ReadTally, read_fragments
from intronaut.labels.fragment_counts import ANY, MINUS, PLUS, strands_of_classes, union_of_fragments
from intronaut.labels.retention import LIMITS

if TYPE_CHECKING:
    from intronaut.io.alignments import Alignments
    from intronaut.labels.read_counts import ReadSample

FLANK_SHARE, LEAST_FLANK, MOST_FLANK = 0.5, 100, 2000


@dataclass
class RegionReads:
    """What one sample shows of a region: ``coverage`` (fragments a base, from ``start`` on) and ``junctions``.

    ``junctions`` counts fragments by (start, end); those that reach out of the region are among them.
    """

    start: int
    coverage: np.ndarray
    junctions: Counter = field(default_factory=Counter)


@dataclass
class CountedSample:
    """A ReadSample and how it was counted: its ReadRules and library, and its table of introns."""

    sample: ReadSample
    rules: ReadRules
    library: str
    table: pd.DataFrame

    def track(self, name: str) -> tuple[str, int, np.ndarray, Counter]:
        """What a sashimi plot shows of an intron: a title, the first base, coverage and junctions."""
        row = self.table[self.table["name"] == name].iloc[0]
        place = (row["chrom"], *region_of(row["start"], row["end"]), row["strand"])
        reads = region_reads(self.sample.files, self.rules, self.library, place)
        psi = "not measured" if row["psi"] != row["psi"] else f"psi {row['psi']:.2f}, n {row['n']:g}"
        condition = f", {self.sample.condition}" if self.sample.condition else ""
        return f"{self.sample.name}{condition}: {psi}", reads.start, reads.coverage, reads.junctions


def most_retained(counted: list[CountedSample], n: int) -> list[str]:
    """Names of the ``n`` introns of each CountedSample that are retained most for sure: called so, then by psi_low."""
    names = []
    for one in counted if n else ():
        known = one.table[(one.table["n"] >= LIMITS["n"]) & (one.table["psi_low"] > 0)]
        known = known.assign(called=known["call"] == 1)
        names += known.sort_values(["called", "psi_low"], ascending=False, kind="stable")["name"].head(n).tolist()
    return names


def region_of(start: int, end: int) -> tuple[int, int]:
    """The region to draw of an intron: half its length on both sides, at least 100 and at most 2,000 bases."""
    flank = int(min(max((end - start) * FLANK_SHARE, LEAST_FLANK), MOST_FLANK))
    return max(0, start - flank), end + flank


def region_reads(
    files: list[tuple[Alignments, dict[str, str]]], rules: ReadRules, library: str, place: tuple[str, int, int, str]
) -> RegionReads:
    """The RegionReads of a sample.

    Args:
        files: (Alignments, dict from its chromosomes to the annotation's) of the sample.
        rules: ReadRules, library: one of LIBRARIES, as the sample was counted.
        place: (chrom, start, end, strand), chrom in the annotation's names: fragments of that strand are shown.
    """
    chrom, start, end, strand = place
    wanted = np.isin(strands_of_classes(library), [ANY, MINUS if strand == "-" else PLUS])
    changes, junctions = np.zeros(end - start + 1, np.int64), Counter()
    for file, names in files:
        reference = next((name for name, known in names.items() if known == chrom), None)
        if reference is None:
            continue
        for _, fragments in read_fragments(file.region(reference, start, end), rules, ReadTally(), file.source):
            shown = wanted[3 * fragments.reverse.astype(np.int64) + fragments.tag]
            several = np.bincount(fragments.fragment, minlength=len(shown)) > 1
            alignment, first, last = take(fragments.shapes.blocks, fragments.shape, fragments.start)
            fragment, first, last = union_of_fragments(fragments.fragment[alignment], first, last, several)
            inside = shown[fragment] & (last > start) & (first < end)
            np.add.at(changes, np.clip(first[inside], start, end) - start, 1)
            np.add.at(changes, np.clip(last[inside], start, end) - start, -1)
            alignment, first, last = take(fragments.shapes.junctions, fragments.shape, fragments.start)
            rows = np.unique(np.column_stack([fragments.fragment[alignment], first, last]), axis=0)
            rows = rows[shown[rows[:, 0]] & (rows[:, 2] > start) & (rows[:, 1] < end)]
            junctions.update(map(tuple, rows[:, 1:].tolist()))
    return RegionReads(start, np.cumsum(changes)[:-1], junctions)
