"""The feature lines of GTF and GFF3 files: which of them say something of exons, and what is wrong with the others.

A line that is used (an exon; a CDS or UTR of a transcript without exons) must be right; what is wrong with any other
is counted. Positions in the files are 1-based, both ends included.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np

from intronaut.core.errors import BadData, Problems
from intronaut.genome import flat_gff3, gff3, gtf
from intronaut.genome.feature_lines import (
    ATTRIBUTES,
    CHROM,
    CODING_KINDS,
    EXON_KINDS,
    FIRST,
    KIND,
    LAST,
    STRAND,
    Features,
)
from intronaut.genome.gene_models import GeneModels
from intronaut.io.delimited import LARGEST_POSITION, LONGEST_NUMBER, read_lines
from intronaut.io.kinds import refuse_other_kinds

_STRANDS = "+-.?"
_N_COLUMNS = 9
_GFF3_ATTRIBUTE = re.compile(r"\s*[^\s=;\"]+=")
_GTF_ATTRIBUTE = re.compile(r"(?:.*[;\s])?(?:transcript_id|gene_id)\s")
# the blocks of 1 MB in which the first exon is looked for
_MOST_BLOCKS = 64
_FASTA = (">", "##FASTA")


def read_gene_models(path: Path | str) -> GeneModels:
    """Read the lines of a GTF or GFF3 file (plain, gzip, bgzf or ``-``); the format shows in column nine.

    Returns:
        GeneModels.

    Raises:
        BadData: lists every line that is used and has the wrong number of columns, impossible coordinates or strand,
            and every exon without a transcript; or names the first line whose column nine is in quotes.
    """
    refuse_other_kinds(path)
    problems, faults = Problems(path), []
    models = GeneModels()
    blocks = _features(path, faults, models.left_out)
    head, dialect = _begin(blocks)
    blocks = itertools.chain(head, blocks)
    if dialect is flat_gff3:
        gtf.read(flat_gff3.as_gtf(blocks, faults), models, faults)
    elif dialect:
        dialect.read(blocks, models, faults)
    _raise_faults(faults, models, problems)
    return models


def _raise_faults(faults, models, problems):
    """Raise BadData for the faults, ``(line, what, key of a transcript or None)``, in the order of the lines.

    A fault of a transcript's CDS or UTR counts only when the transcript has no exon, for else the line is not used.
    """
    with_exons = {key[0] for key in models.keys_with_exons()} if any(key for *_, key in faults) else set()
    for number, what, key in sorted(faults, key=lambda fault: fault[0]):
        if key in with_exons:
            models.left_out["lines_not_used_with_faults"] += 1
        else:
            problems.add(what, number)
    problems.raise_if_any()


def _begin(blocks):
    """The first blocks of a file, and the module that reads it: gtf, gff3 or flat_gff3; None where no line tells."""
    head, dialect = [], None
    for block in blocks:
        head.append(block)
        dialect = dialect or _dialect(block)
        if dialect is gtf:
            break
        if dialect is gff3 and ((flat := flat_gff3.is_flat(block)) is not None or len(head) == _MOST_BLOCKS):
            return head, flat_gff3 if flat else gff3
    return head, dialect


def _dialect(block):
    """The module that reads the file, known by the first line whose attributes are of one of the two ways; or None."""
    for text in block.column(ATTRIBUTES).words():
        if _GFF3_ATTRIBUTE.match(text):
            return gff3
        if _GTF_ATTRIBUTE.match(text):
            return gtf
    return None


def _features(path, faults, left_out):
    """Yield the Features of every block of lines; what is wrong with others is added to ``faults`` or counted."""
    any_feature = False
    for lines in read_lines(path):
        marks = np.flatnonzero((lines.initial == ord("#")) | (lines.initial == ord(">")))
        # sequence may follow a bare ">" as well; before any feature it is a FASTA file
        end = next((row for row in marks if lines.line(row).startswith(_FASTA)), len(lines.start))
        wanted = lines.start < lines.end
        wanted[marks[lines.initial[marks] == ord("#")]], wanted[end:] = False, False
        features = _sound_features(lines, np.flatnonzero(wanted & (lines.n_columns == _N_COLUMNS)))
        _refuse_quotes(features, path)
        wanted[features.rows] = False
        any_feature |= len(features) > 0 or bool(wanted.any())
        if end < len(lines.start) and not any_feature:
            raise BadData(f"{path}: starts with {lines.line(end)[:40]!r}: a FASTA file, not a GTF or GFF3 annotation")
        for row in np.flatnonzero(wanted):
            columns = lines.line(row).split("\t")
            if _is_needed(columns):
                faults.append((lines.first + row, _fault(columns), _transcript_of(columns)))
            else:
                features.without_place.append((columns[KIND], columns[ATTRIBUTES]))
                left_out["lines_not_used_with_faults"] += 1
        yield features
        if end < len(lines.start):
            return


def _refuse_quotes(features, path):
    """Raise BadData where column nine is in quotes: its names would not be known, on these lines or on all."""
    attributes = features.column(ATTRIBUTES)
    letters = np.frombuffer(attributes.text, np.uint8)
    rows = np.flatnonzero(letters.take(attributes.start) == ord('"'))
    for row, text in zip(rows.tolist(), attributes[rows].words(), strict=True):
        if text.endswith('"') and (_GFF3_ATTRIBUTE.match(text[1:]) or _GTF_ATTRIBUTE.match(text[1:])):
            raise BadData(
                f"{path}: line {features.numbers()[row]}: column nine is in quotes, as spreadsheets and pandas write "
                "it; save the file again without them (pandas: quoting=csv.QUOTE_NONE)"
            )


def _sound_features(lines, rows):
    """The Features of those of ``rows``, lines of nine columns, that are sound."""
    chrom, kind, first, last, strand = (lines.column(k, rows) for k in (CHROM, KIND, FIRST, LAST, STRAND))
    first, last = first.numbers(), last.numbers()
    sound = (first > 0) & (first <= last) & (last <= LARGEST_POSITION) & ~chrom.is_empty() & ~kind.is_empty()
    sound &= strand.is_letter(_STRANDS)
    if not sound.all():
        rows, first, last = rows[sound], first[sound], last[sound]
    return Features(lines, rows, first, last)


def _is_needed(columns):
    """Whether a line with a fault may be an exon or a part of one; any other is not used but for its attributes."""
    return len(columns) != _N_COLUMNS or columns[KIND] in ("", *EXON_KINDS, *CODING_KINDS)


def _transcript_of(columns):
    """The transcript of a CDS or UTR line, which matters only where the transcript has no exon; else None."""
    if len(columns) != _N_COLUMNS or columns[KIND] not in CODING_KINDS:
        return None
    if _GFF3_ATTRIBUTE.match(columns[ATTRIBUTES]):
        return next(iter(gff3.parents(columns[ATTRIBUTES])), None)
    text = columns[ATTRIBUTES].encode()
    return gtf.attribute(text, b"transcript_id", 0, len(text)) or None


def _fault(columns):
    """What keeps the columns of a line from being a feature."""
    if len(columns) != _N_COLUMNS:
        hint = "; convert BED12 and genePred with UCSC's bedToGenePred and genePredToGtf" if len(columns) > 9 else ""
        return f"{len(columns)} tab-separated columns; a GTF or GFF3 line has 9{hint}"
    first, last, strand = columns[FIRST], columns[LAST], columns[STRAND]
    if not all(text.isascii() and text.isdecimal() for text in (first, last)):
        return f"coordinates {first!r} to {last!r} are not whole numbers from 1"
    if max(len(first), len(last)) > LONGEST_NUMBER or not 0 < int(first) <= int(last) <= LARGEST_POSITION:
        return f"coordinates {first} to {last} are not 1-based, start before end"
    if len(strand) != 1 or strand not in _STRANDS:
        return f"strand {strand!r} is not + - . or ?"
    return "empty chromosome or feature type"
