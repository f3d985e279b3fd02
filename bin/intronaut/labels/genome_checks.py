"""Do an annotation, the calls and the peaks belong to the genome, and to each other?

Coordinates are 0-based, half-open, on the forward strand.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData
from intronaut.genome.chromosomes import resolve_chrom
from intronaut.genome.windows import MOST_OUTSIDE

if TYPE_CHECKING:
    from intronaut.genome.reference import Genome

# donor and acceptor dinucleotides of the introns that either spliceosome takes
SPLICE_SITES = frozenset(["GTAG", "GCAG", "ATAC"])
LOOKED_AT = 10_000
SHIFTS = [(0, 0), *((first, last) for first in (-1, 0, 1) for last in (-1, 0, 1) if (first, last) != (0, 0))]
# of the introns of an annotation, 99 % have these ends in human, 88 % in yeast
LEAST_OF_ANNOTATION, USUAL_OF_ANNOTATION = 0.5, 0.8
FEWEST_TO_JUDGE = 5
_AS_INTRONS_DO = "introns start and end as introns do (GT-AG, GC-AG or AT-AC)"


def check_splice_sites(
    path: Path | str, calls: pd.DataFrame, genome: Genome, least: float, shift: tuple[int, int]
) -> None:
    """Refuse calls whose introns do not start and end as introns do, and name the shift of one base that would mend it.

    Up to 10,000 introns spread over the file are looked at, on the chromosomes that the genome has.

    Args:
        path: the file, for the message.
        calls: rows of ``read_calls``.
        genome: a Genome.
        least: the least share of introns that must be GT-AG, GC-AG or AT-AC.
        shift: what their starts and ends have been shifted by; the shift named includes it.

    Raises:
        BadData: the share is lower.
    """
    places = calls[["chrom", "start", "end", "strand"]].drop_duplicates()
    names = {chrom: resolve_chrom(chrom, genome.lengths, genome.aliases) for chrom in places["chrom"].unique()}
    if ends := _ends(places.assign(chrom=places["chrom"].map(names)), genome):
        share = _shares(ends)
        what = f"of {len(ends):,} {_AS_INTRONS_DO}"
        _refuse_shifted(path, share, share[0, 0] < least, lambda best: share[best] >= least, what, shift)


def ends_text(sites: dict[str, Any]) -> str:
    """What :func:`check_annotated_introns` found, where it has a share."""
    return f"{sites['share']:.1%} of {sites['introns']:,} annotated introns are GT-AG, GC-AG or AT-AC"


def check_annotated_introns(
    path: Path | str, introns: pd.DataFrame, genome: Genome, chroms: dict[str, str], least: float
) -> dict[str, Any]:
    """Refuse an annotation whose introns do not start and end as introns do in the genome.

    Args:
        path: the annotation, for the message.
        introns: DataFrame chrom, start, end, strand.
        genome: a Genome; ``chroms`` maps the names of ``introns`` to its own.
        least: the least share of introns that must be GT-AG, GC-AG or AT-AC, but no more than LEAST_OF_ANNOTATION is
            asked, and of four introns or fewer none.

    Returns:
        dict: ``introns`` (how many were looked at: up to 10,000 spread over the file), how many are ``GT-AG``,
        ``GC-AG``, ``AT-AC`` and ``other``, and the ``share`` of the first three, None without introns.

    Raises:
        BadData: the share is lower; names the shift of one base that would mend it, if there is one.
    """
    least = min(least, LEAST_OF_ANNOTATION)
    ends = _ends(introns.assign(chrom=introns["chrom"].map(chroms)), genome)
    counted = Counter(_kind(left[1:3] + right[1:3], strand) for left, right, strand in ends)
    kinds = {f"{site[:2]}-{site[2:]}": counted[site] for site in ("GTAG", "GCAG", "ATAC")}
    counts = {"introns": len(ends), **kinds, "other": counted["other"], "share": None}
    if ends:
        share = _shares(ends)
        counts["share"] = round(share[0, 0], 4)
        wrong = share[0, 0] < least and len(ends) >= FEWEST_TO_JUDGE
        mended = max(least, USUAL_OF_ANNOTATION)
        what = f"of {len(ends):,} annotated {_AS_INTRONS_DO} in {genome.path}"
        _refuse_shifted(path, share, wrong, lambda best: share[best] >= mended, what, None)
    return counts


def _ends(places, genome):
    """The four bases around both ends of up to LOOKED_AT places, and their strand."""
    places = places.dropna(subset="chrom")
    places = places.iloc[:: max(1, -(-len(places) // LOOKED_AT))]
    lengths = places["chrom"].map(genome.lengths)
    places = places[(places["start"] > 0) & (places["end"] < lengths)]
    left = [genome.fetch(chrom, at - 1, at + 3) for chrom, at in zip(places["chrom"], places["start"], strict=True)]
    right = [genome.fetch(chrom, at - 3, at + 1) for chrom, at in zip(places["chrom"], places["end"], strict=True)]
    return list(zip(left, right, places["strand"], strict=True))


def _shares(ends):
    """For each of SHIFTS, the share of introns that would end as introns do."""
    return {
        (first, last): sum(
            _kind(left[1 + first : 3 + first] + right[1 + last : 3 + last], strand) != "other"
            for left, right, strand in ends
        ) / len(ends)
        for first, last in SHIFTS
    }  # fmt: skip


def _kind(ends, strand):
    """Which of SPLICE_SITES the donor and acceptor are, read on the strand or, where it is unknown, on either."""
    if strand != "-" and ends in SPLICE_SITES:
        return ends
    ends = reverse_complement(ends)
    return ends if strand != "+" and ends in SPLICE_SITES else "other"


def check_against_annotation(
    path: Path | str,
    calls: pd.DataFrame,
    introns: pd.DataFrame,
    chrom_names: dict[str, str | None],
    shift: tuple[int, int],
) -> None:
    """Refuse calls that match the annotated introns much better one base further; where there is no genome to look at.

    ``shift`` is that of :func:`check_splice_sites`.

    Raises:
        BadData: a shift of one base finds more than twice as many annotated introns.
    """
    places = calls[["chrom", "start", "end"]].drop_duplicates()
    places = places.assign(chrom=places["chrom"].map(chrom_names)).dropna(subset="chrom")
    known = pd.MultiIndex.from_frame(introns[["chrom", "start", "end"]])
    share = {}
    for first, last in SHIFTS:
        shifted = places.assign(start=places["start"] + first, end=places["end"] + last)
        share[first, last] = pd.MultiIndex.from_frame(shifted).isin(known).mean() if len(places) else 0
    best = max(share.values())
    what = f"of {len(places):,} introns are annotated"
    _refuse_shifted(path, share, best > 2 * share[0, 0], lambda best: True, what, shift)


def _refuse_shifted(path, share, wrong, mends, what, shift):
    """Raise BadData when ``wrong``; ``shift`` is that of the options, None for an annotation, which has none."""
    if not wrong:
        return
    best = max(SHIFTS, key=share.get)
    if not mends(best) or best == (0, 0):
        whose = "the calls" if shift else "annotation and genome"
        advice = f"no shift by one base mends it; are {whose} of {'another assembly' if shift else 'one assembly'}?"
    elif shift:
        advice = f"with --shift={shift[0] + best[0]},{shift[1] + best[1]} it would be {share[best]:.1%}"
    else:
        advice = f"with starts {best[0]:+d} and ends {best[1]:+d} it would be {share[best]:.1%}; correct the file"
    raise BadData(f"{path}: only {share[0, 0]:.1%} {what}; {advice}")


def ends_outside(table: pd.DataFrame, genome: Genome, chroms: dict[str, str]) -> pd.Series:
    """Whether each row ends beyond its chromosome in the genome: bool Series; not where the genome lacks it."""
    return table["end"] > table["chrom"].map(chroms).map(genome.lengths)


def refuse_many_outside(path: Path | str, outside: pd.Series, unit: str, genome: Genome) -> None:
    """Raise BadData when so many of the rows end beyond their chromosome that the genome must be another one."""
    if outside.mean() > MOST_OUTSIDE:
        raise BadData(
            f"{path}: {outside.sum():,} of {len(outside):,} {unit}s end beyond their chromosome in {genome.path}: "
            "is it the same assembly?"
        )


def require_some_chrom(path: Path | str, chroms: list[str], genome: Genome) -> None:
    """Raise BadData, with both sets of names, where the genome has none of a file's chromosomes."""
    if not any(resolve_chrom(chrom, genome.lengths, genome.aliases) for chrom in chroms):
        shown = ", ".join(map(str, chroms[:5]))
        raise BadData(f"{path}: chromosomes {shown}; {genome.path} has {', '.join(list(genome.lengths)[:5])}")
