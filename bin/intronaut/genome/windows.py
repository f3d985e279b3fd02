"""Windows of fixed length around introns and peaks: where they lie, and their sequence.

Coordinates are 0-based, half-open, on the forward strand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData, Problems
from intronaut.io.fasta import Window
from intronaut.io.text import are_quoted, numbered_lines, unquoted

if TYPE_CHECKING:
    from intronaut.genome.reference import Genome

ANCHORS = ("centre", "donor", "acceptor")
EDGES = ("pad", "shift", "drop")
# one feature over the origin of a circular chromosome is usual, a fifth of all are another assembly
MOST_OUTSIDE = 0.2
_NOT_DATA = re.compile(r"#|(track|browser)(\s|$)")


class Bases(Protocol):
    """What windows are cut from: a Genome, or one in which an allele is replaced."""

    lengths: dict[str, int]

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """The bases of ``[start, end)`` of a chromosome."""


class NoWindow(Exception):
    """Why a row has no window; counted and listed, not an error."""


class Row(NamedTuple):
    """One BED6 row. ``unit`` is ``intron`` or ``peak`` when labels.tsv says so, else empty."""

    chrom: str
    start: int
    end: int
    name: str
    score: str
    strand: str
    unit: str = ""


def read_rows(path: Path | str) -> list[Row]:
    """Read labels.tsv, or BED with three columns or more, into a list of Rows; ``-`` is standard input.

    A row without a name gets ``chrom:start-end:strand``. Where R has put the header in quotes, they are removed, and
    the index that pandas writes before the header is skipped. Raises BadData that lists every broken line,
    rows of another width than the header, a last row that is shorter than all others, names that occur twice or hold
    white space, and a file without rows.
    """
    rows, problems, lines, unit_column, quoted = [], Problems(path), {}, None, None
    header, first_column, widths = None, 0, {}
    for number, line in numbered_lines(path):
        if not line.strip() or _NOT_DATA.match(line):
            continue
        fields = line.split("\t") if "\t" in line else line.split()
        quoted = are_quoted(fields) if quoted is None else quoted
        fields = unquoted(fields) if quoted else fields
        if header is None and not widths and (place := _place_of_chrom(fields)) is not None:
            header, first_column = fields[place:], place
            unit_column = header.index("unit") if "unit" in header else None
            continue
        fields = fields[first_column:]
        widths[number] = len(fields)
        if header and len(fields) != len(header):
            problems.add(
                f"{len(fields)} columns, the header has {len(header)}; copy the file again if it is cut", number
            )
            continue
        try:
            row = _row(fields, unit_column)
        except ValueError as problem:
            problems.add(problem, number)
            continue
        if (first := lines.setdefault(row.name, number)) != number:
            problems.add(
                f"name {row.name!r} occurs twice, first in line {first}; names must tell windows apart", number
            )
        rows.append(row)
    _refuse_cut_end(widths, problems)
    problems.raise_if_any()
    if not rows:
        raise BadData(f"{path}: no rows; expected labels.tsv or BED (chrom, start, end, name, score, strand)")
    return rows


def _place_of_chrom(fields):
    """Where the column of chromosomes stands in a header, behind the index that pandas writes; None for a row."""
    place = int(fields[0] == "")
    return place if [text.lower() for text in fields[place + 1 : place + 3]] == ["start", "end"] else None


def _refuse_cut_end(widths, problems):
    """Add to ``problems`` the last of the lines (number to columns) where it alone is shorter than all before it."""
    *before, last = widths or [None]
    if before and widths[last] < (least := min(widths[number] for number in before)):
        problems.add(
            f"{widths[last]} columns, the lines before it have {least} or more; copy the file again if it is cut", last
        )


def refuse_rows_outside(rows: list[Row], chroms: dict[str, str], genome: Genome, source: Path | str) -> None:
    """Many rows past their chromosomes' ends mean another assembly: raise BadData that lists them.

    A few do not: annotations write features over the origin of a circular chromosome with an end beyond it.
    """
    problems = Problems(source)
    for row in rows:
        bases = genome.lengths[chroms[row.chrom]]
        if row.end > bases:
            problems.add(f"{row.name} ends at {row.end:,}, {row.chrom} at {bases:,}: is it the same assembly?")
    if problems.count > MOST_OUTSIDE * len(rows):
        problems.raise_if_any()


def _row(fields, unit_column):
    if len(fields) < 3:
        raise ValueError(f"{len(fields)} columns; BED has at least chrom, start and end, by tabs")
    chrom, start, end, name, score, strand = (fields + [".", ".", "."])[:6] if len(fields) < 6 else fields[:6]
    if len(chrom.split()) != 1:
        raise ValueError(f"chromosome {chrom!r} is empty or holds white space")
    if not (f"{start}{end}".isascii() and start.isdigit() and end.isdigit()):
        raise ValueError(f"start {start!r} and end {end!r} must be whole numbers of at least 0")
    start, end = int(start), int(end)
    if start >= end:
        raise ValueError(f"start {start} is not before end {end}")
    if strand not in ("+", "-", "."):
        raise ValueError(f"strand is {strand!r}; it must be +, - or .")
    if len(name.split()) > 1 or not name.isprintable():
        raise ValueError(f"name {name!r} holds white space or control characters, which a FASTA name cannot")
    if name in ("", "."):
        name = f"{chrom}:{start}-{end}:{strand}"
    unit = fields[unit_column] if unit_column is not None and unit_column < len(fields) else ""
    return Row(chrom, start, end, name, score, strand, unit)


def window_start(row: Row, anchor: str, length: int) -> int:
    """Where the window of ``length`` bases around a row's anchor starts on the forward strand; may be negative.

    With ``half = length // 2`` and positions counted in the reading direction of the row's strand (``.`` as ``+``):
    ``donor`` has the first intron base at ``half``, ``acceptor`` the last intron base at ``length - 1 - half`` (so an
    even window holds as much exon as intron), ``centre`` the row's middle at the window's, half a base 5' of it when
    the two lengths are not both even or both odd. The rule is the same read from either strand.
    """
    if row.strand == "-":
        return -_forward_start(-row.end, -row.start, anchor, length) - length
    return _forward_start(row.start, row.end, anchor, length)


def _forward_start(start, end, anchor, length):
    if anchor == "centre":
        return (start + end - length) // 2
    return start - length // 2 if anchor == "donor" else end - length + length // 2


def cut_window(genome: Bases, row: Row, chrom: str, *, anchor: str, length: int, edge: str, strand: str) -> Window:
    """The Window around ``row``, whose chromosome the genome calls ``chrom``.

    ``edge`` says what happens where it would leave the chromosome: ``pad`` fills with N and keeps the coordinates,
    ``shift`` moves it inside, ``drop`` gives none. With ``strand`` "aware" a row on the minus strand is read as its
    reverse complement, with "forward" never. ``pad_left`` and ``pad_right`` count the N in reading direction.
    Raises NoWindow with the reason.
    """
    if anchor != "centre" and row.strand == ".":
        raise NoWindow(f"no strand, so no {anchor}")
    bases = genome.lengths[chrom]
    if row.end > bases:
        raise NoWindow("the row ends beyond its chromosome")
    wanted = window_start(row, anchor, length)
    start = _kept_inside(wanted, length, bases, edge)
    first, last = max(start, 0), min(start + length, bases)
    before, after = first - start, start + length - last
    sequence = "N" * before + genome.fetch(chrom, first, last) + "N" * after
    reverse = strand == "aware" and row.strand == "-"
    if reverse:
        sequence, before, after = reverse_complement(sequence), after, before
    fields = {
        "anchor": anchor,
        "length": length,
        "strand": strand,
        "edge": edge,
        "pad_left": before,
        "pad_right": after,
        "shift": start - wanted,
        "row": f"{row.start}-{row.end}({row.strand})",
    }
    read = "." if row.strand == "." else "-" if reverse else "+"
    return Window(row.name, sequence, chrom, start, start + length, read, fields)


def _kept_inside(start, length, bases, edge):
    if 0 <= start <= bases - length or edge == "pad":
        return start
    if edge == "drop":
        raise NoWindow("the window leaves the chromosome")
    if bases < length:
        raise NoWindow("the chromosome is shorter than the window")
    return min(max(start, 0), bases - length)
