"""What the protein would be if an intron stayed: its frame, a premature stop, whether the messenger would decay.

An intron is put into the coding transcript that splices it, the one with most introns, then the longest, then the first
by name. Coordinates are 0-based, half-open, on the forward strand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from intronaut.core.dna import reverse_complement
from intronaut.genome import gff3
from intronaut.io.tables import CONSEQUENCES
from intronaut.io.text import numbered_lines

if TYPE_CHECKING:
    from intronaut.genome.annotation import Annotation
    from intronaut.genome.reference import Genome

REGIONS = ("utr5", "cds", "utr3", "noncoding")
# a stop this far before the last junction of exons marks the messenger for decay (Nagy & Maquat 1998, Trends Biochem
# Sci 23:198)
DECAY_DISTANCE = 50
_STOP = re.compile(r"(?:[A-Z]{3})*?(?:TAA|TAG|TGA)")
_GTF_TRANSCRIPT = re.compile(r'transcript_id\s+"?([^";]+)')


@dataclass
class Coding:
    """A transcript with its coding part: ``exons`` (start, end) sorted, ``start``, ``end`` of the coding bases."""

    chrom: str
    minus: bool
    exons: list
    start: int
    end: int


def read_coding_spans(path: Path | str) -> dict[str, tuple[int, int]]:
    """``{transcript_id: (start, end)}``, from the first to the last base of the CDS lines of a GTF or GFF3 file."""
    parts, names = [], {}
    for _, line in numbered_lines(path):
        if line.startswith("#"):
            continue
        if "\tCDS\t" not in line:
            if "transcript_id=" in line and "ID=" in line and "\texon\t" not in line:
                attributes = gff3.attributes(line.rpartition("\t")[2])
                names[attributes.get("ID")] = attributes.get("transcript_id")
            continue
        fields = line.split("\t")
        if len(fields) == 9 and fields[2] == "CDS":
            parts += [(name, int(fields[3]) - 1, int(fields[4])) for name in _transcripts_of(fields[8])]
    # a transcript at two loci has two IDs, of which one name would make one span
    n_named = Counter(names.values())
    spans = {}
    for identifier, start, end in parts:
        name = names.get(identifier)
        name = name if name and n_named[name] == 1 else gff3.bare(identifier)
        known = spans.get(name, (start, end))
        spans[name] = min(known[0], start), max(known[1], end)
    return spans


def _transcripts_of(attributes):
    """The transcripts of a CDS line: as a GTF names it, by Parent, or where there is none by GFF3's transcript_id."""
    match = _GTF_TRANSCRIPT.search(attributes)
    if match:
        return [match[1]]
    name = gff3.attributes(attributes).get("transcript_id") if "Parent" not in attributes else None
    return [name] if name else gff3.parents(attributes)


def coding_transcripts(
    annotation: Annotation, spans: dict[str, tuple[int, int]]
) -> dict[tuple[str, int, int, str], Coding | None]:
    """``{(chrom, start, end, strand): Coding or None}`` of every intron; None where no coding transcript splices it."""
    about, exons = annotation.transcripts, annotation.exons
    members = exons.groupby("transcript").indices
    names = about["transcript_id"].tolist()
    order = sorted(
        members, key=lambda at: (-len(members[at]), about["start"].iat[at] - about["end"].iat[at], names[at])
    )
    starts, ends = exons["start"].to_numpy(), exons["end"].to_numpy()
    by_transcript = {}
    for at in order:
        chrom, strand = about["chrom"].iat[at], about["strand"].iat[at]
        merged = _merged(zip(starts[members[at]].tolist(), ends[members[at]].tolist(), strict=True))
        span = spans.get(names[at])
        coding = None if span is None else Coding(chrom, strand == "-", merged, *span)
        for (_, left), (right, _) in zip(merged, merged[1:], strict=False):
            key = chrom, left, right, strand
            if by_transcript.get(key) is None:
                by_transcript[key] = coding
    return by_transcript


def _merged(exons):
    """Exons that overlap or touch as one."""
    merged = []
    for start, end in sorted(exons):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def consequence(
    coding: Coding, start: int, end: int, bases: Callable | None
) -> tuple[str, int | None, int | None, int | None]:
    """``(region, frame, premature_stop, nmd)`` of keeping the intron ``[start, end)`` in a Coding transcript.

    Args:
        bases: a function ``(start, end) -> str`` of the chromosome's forward strand, upper case.

    Returns:
        region: utr5, cds or utr3, where the intron lies; frame: the bases by which it moves the frame, 0, 1 or 2;
        premature_stop: 1 where translation ends before the transcript's own stop; nmd: 1 where that stop lies more than
        DECAY_DISTANCE bases before the last junction of exons. None for the last three outside of the coding part.
    """
    before_coding, behind_coding = end <= coding.start, start >= coding.end
    if before_coding or behind_coding:
        return ("utr3" if before_coding == coding.minus else "utr5"), None, None, None
    # the transcript with the intron in it, in the direction of translation
    parts = [_forward(coding, exon) for exon in coding.exons]
    kept = _forward(coding, (start, end))
    first_coding = _forward(coding, (coding.start, coding.end))[0]
    normal_stop = _forward(coding, (coding.start, coding.end))[1]
    parts.sort()
    spliced, junctions, upstream, normal, length = [], [], 0, 0, 0
    for number, (left, right) in enumerate(parts):
        spliced.append((left, right))
        length += right - left
        if right <= kept[0]:
            upstream += max(right - max(left, first_coding), 0)
        normal += max(min(right, normal_stop) - max(left, first_coding), 0)
        if right == kept[0]:
            spliced.append(kept)
            length += kept[1] - kept[0]
        elif number + 1 < len(parts):
            junctions.append(length)
    text = "".join(_read(coding, part, bases) for part in spliced)
    offset = sum(max(min(right, first_coding) - left, 0) for left, right in spliced if left < first_coding)
    stop = _STOP.match(text, offset)
    # GTF leaves the stop codon out of the CDS, GFF3 counts it in
    retained_end = offset + normal + (kept[1] - kept[0])
    premature = stop is not None and stop.end() < retained_end
    decays = premature and bool(junctions) and junctions[-1] - stop.end() > DECAY_DISTANCE
    return "cds", (end - start) % 3, int(premature), int(decays)


def _forward(coding, part):
    """A stretch in coordinates that rise in the direction of translation."""
    return (-part[1], -part[0]) if coding.minus else part


def _read(coding, part, bases):
    return reverse_complement(bases(-part[1], -part[0])) if coding.minus else bases(*part)


def consequence_columns(
    introns: pd.DataFrame,
    annotation: Annotation,
    path: Path | str,
    genome: Genome | None,
    chroms: dict[str, str] | None,
) -> dict[str, Any]:
    """The columns CONSEQUENCES of every intron, as a dict of ``(n,)`` arrays; missing where they cannot be known.

    Without a genome, or with an annotation from standard input, which cannot be read again, all are missing.
    """
    columns = {name: np.full(len(introns), None, object) for name in CONSEQUENCES}
    if genome is None or str(path) == "-" or introns.empty:
        return columns
    transcripts = coding_transcripts(annotation, read_coding_spans(path))
    for chrom, rows in introns.reset_index(drop=True).groupby("chrom", sort=False):
        text = genome.fetch(chroms[chrom], 0, genome.lengths[chroms[chrom]])
        for row in rows.itertuples():
            coding = transcripts.get((chrom, row.start, row.end, row.strand))
            values = (
                ("noncoding", None, None, None)
                if coding is None
                else consequence(coding, row.start, row.end, lambda start, end, text=text: text[start:end])
            )
            for name, value in zip(CONSEQUENCES, values, strict=True):
                columns[name][row.Index] = value
    return {name: pd.array(values, "Int64") if name != "region" else values for name, values in columns.items()}


def in_words(region: Any, frame: Any, premature_stop: Any, nmd: Any) -> str | None:
    """What happens if the intron stays, as a clause; None where that is not known.

    Args:
        region, frame, premature_stop, nmd: the columns CONSEQUENCES of one intron, numbers as such or as text.
    """
    if pd.isna(region):
        return None
    if region != "cds":
        place = {"utr5": "it lies in the 5′ UTR", "utr3": "it lies in the 3′ UTR"}.get(region)
        return f"{place}, the coding part stays as it is" if place else "no coding transcript splices it"
    if pd.isna(premature_stop):
        return None
    if int(premature_stop):
        decay = "so that the messenger is expected to decay" if int(nmd) else "too late for decay"
        return f"the protein ends early, {decay} (rule of {DECAY_DISTANCE} nt before the last exon junction)"
    return "the protein is longer, in the same frame" if int(frame) == 0 else "the frame moves, without an early stop"
