"""Matrices under ``>`` headers and in TRANSFAC format: with a row a base, as JASPAR's, or a row a position."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from intronaut.core.errors import BadData
from intronaut.motifs.pwm import Motif

# sites of a matrix of probabilities that does not say how many it was made from
USUAL_SITES = 20
# probabilities printed with few decimals
_ROUNDING = 0.05
_HEADER = re.compile(r">\s*(\S+)(?:\t([^\t]+)|\s+(\S+))?")
_ROW = re.compile(r"(?:([ACGTacgt])(?=[\s|:\[])\s*[|:]?\s*)?(.*)")
_TRANSFAC_KEY = re.compile(r"(?:AC|ID|VV|DE|NA|XX|P[0O])(?:\s|$)")
_TRANSFAC_BASES = re.compile(r"P[0O]\s")


@dataclass
class _Record:
    """What stands under one header; ``bases`` has the letter of each row, or of a matrix without letters none."""

    number: int
    motif_id: str
    tf: str
    bases: list[str] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)


def is_number(text: str) -> bool:
    """Whether a word is a number as motif files have them; Python alone takes ``1_0`` for one too."""
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


def weighted(matrix: np.ndarray) -> np.ndarray:
    """A ``(width, 4)`` matrix as counts of sites: counts as they are, probabilities times :data:`USUAL_SITES`."""
    return matrix * USUAL_SITES if np.allclose(matrix.sum(axis=1), 1, atol=_ROUNDING) else matrix


def read_under_headers(path: Path | str, lines: list[tuple[int, str]], without_matrix: list[str]) -> list[Motif]:
    """Motifs under headers ``>id name``: rows that start with A, C, G and T, four rows in that order, or rows of four.

    Of rows of four each is a position. Four rows of four numbers are taken as the other matrices of the file are.

    Args:
        path: what errors name.
        lines: the numbered lines of the file.
        without_matrix: a list that gets the ids of headers without rows.

    Raises:
        BadData: with the line for rows that are no matrix, and where the whole file leaves open what a row is.
    """
    records = list(_records(path, lines))
    without_matrix += [record.motif_id for record in records if not record.rows]
    records = [record for record in records if record.rows]
    by_position = _rows_are_positions(path, [record for record in records if not record.bases])
    return [Motif(one.motif_id, one.tf, weighted(_positions(one, by_position))) for one in records]


def _records(path, lines):
    record = None
    for number, line in lines:
        if line.startswith(">"):
            if record is not None:
                yield _checked(path, record)
            record = _Record(number, *_names(path, number, line))
        elif line.strip():
            base, numbers = _row(path, number, line)
            record.rows.append(numbers)
            record.bases += base
    if record is not None:
        yield _checked(path, record)


def _names(path, number, header):
    """Id and name of a header: its first two words; after a tab a name may have spaces."""
    parts = _HEADER.match(header)
    if parts is None:
        raise BadData(f"{path}: line {number}: a header without a name; write >NAME")
    motif_id, name = parts[1], (parts[2] or parts[3] or "").strip()
    # the threshold of a motif of HOMER is no name
    return motif_id, motif_id if is_number(name) or not name else name


def _row(path, number, line):
    """Base, or an empty text, and numbers of ``A [ 1 2 ]``, ``A | 1 2``, ``A 1 2`` or ``1 2``."""
    base, rest = _ROW.fullmatch(line.strip()).groups("")
    words = (rest[1:-1] if base and rest[:1] == "[" and rest[-1:] == "]" else rest).split()
    if not words or not all(map(is_number, words)):
        raise BadData(f"{path}: line {number}: not in JASPAR format, nor a row of numbers: {line[:40]!r}")
    return base.upper(), [float(word) for word in words]


def _checked(path, record):
    """The record, whose rows are of one length and have all a letter or none."""
    where = f"{path}: line {record.number}: motif {record.motif_id} is not in JASPAR format"
    if record.bases and (len(record.bases) < len(record.rows) or sorted(record.bases) != list("ACGT")):
        raise BadData(f"{where}: {len(record.rows)} rows for {' '.join(record.bases)}; give A, C, G and T one each")
    widths = [len(row) for row in record.rows]
    if len(set(widths)) > 1:
        raise BadData(f"{where}: rows of {min(widths)} to {max(widths)} numbers; copy the file again")
    return record


def _rows_are_positions(path, records):
    """Whether rows without letters are positions of four bases, by all of them together; else four bases."""
    shapes = [(len(record.rows), len(record.rows[0])) for record in records]
    named = [f"motif {record.motif_id} (line {record.number})" for record in records]
    for name, (rows, width) in zip(named, shapes, strict=True):
        if 4 not in (rows, width):
            raise BadData(f"{path}: {name} has {rows} rows of {width} numbers; give 4 rows, A C G T, or rows of 4")
    of_bases = [place for place, (_, width) in enumerate(shapes) if width != 4]
    of_positions = [place for place, (rows, _) in enumerate(shapes) if rows != 4]
    if of_bases and of_positions:
        raise BadData(
            f"{path}: {named[of_bases[0]]} has 4 rows, one a base, {named[of_positions[0]]} one a position; "
            "put them in two files"
        )
    if records and not of_bases and not of_positions:
        raise BadData(
            f"{path}: {named[0]} and all others have 4 rows of 4 numbers: rows may be bases or positions; "
            "start rows of bases with A, C, G and T, as in A [ 1 2 3 4 ], or give the motifs in MEME format"
        )
    if of_bases and all(_is_numbered(records[place].rows) for place in of_bases):
        raise BadData(
            f"{path}: {named[of_bases[0]]} has rows of 5 that start with 1 to 4: counts, or numbers of positions? "
            "Start rows of bases with A, C, G and T, or leave the first column out"
        )
    return bool(of_positions)


def _is_numbered(rows):
    return len(rows[0]) == 5 and [row[0] for row in rows] in ([0, 1, 2, 3], [1, 2, 3, 4])


def _positions(record, by_position):
    """The matrix of a record as ``(width, 4)``, columns A, C, G, T."""
    if record.bases:
        return np.array([record.rows[record.bases.index(base)] for base in "ACGT"]).T
    return np.array(record.rows) if by_position else np.array(record.rows).T


def is_transfac(lines: list[tuple[int, str]]) -> bool:
    """Whether lines are of TRANSFAC format: a key of two letters first, and somewhere a line P0 of bases."""
    first = next((line for _, line in lines if line.strip()), "")
    return bool(_TRANSFAC_KEY.match(first)) and any(_TRANSFAC_BASES.match(line) for _, line in lines)


def read_transfac(path: Path | str, lines: list[tuple[int, str]], without_matrix: list[str]) -> list[Motif]:
    """Motifs in TRANSFAC format: id of AC or else ID, name of NA or else ID, rows by the bases of line P0.

    Args:
        path: what errors name.
        lines: the numbered lines of the file.
        without_matrix: a list that gets the ids of entries without rows.

    Raises:
        BadData: with the line for rows that are no matrix, and for an entry that does not end with ``//``.
    """
    motifs = []
    for entry in _entries(path, lines):
        names, matrix = _read_entry(path, entry)
        motif_id = names.get("AC") or names.get("ID")
        if matrix is not None and not motif_id:
            raise BadData(f"{path}: line {entry[0][0]}: a matrix without AC or ID; give it a line ID NAME")
        if matrix is not None:
            motifs.append(Motif(motif_id, names.get("NA") or names.get("ID") or motif_id, weighted(matrix)))
        elif motif_id:
            without_matrix.append(motif_id)
    return motifs


def _entries(path, lines) -> Iterator[list[tuple[int, str]]]:
    entry = []
    for number, line in lines:
        if line.strip() == "//":
            if entry:
                yield entry
            entry = []
        elif line.strip():
            entry.append((number, line.strip()))
    if entry:
        raise BadData(f"{path}: the entry from line {entry[0][0]} does not end with //; copy the file again")


def _read_entry(path, entry):
    """Names by their keys, and the ``(width, 4)`` matrix or None, of one entry."""
    names, order, rows, inside, first = {}, None, [], False, 0
    for number, line in entry:
        key, *words = line.split()
        if key in ("P0", "PO"):
            order = [base.upper() for base in words[:4]]
            if rows or inside or sorted(order) != list("ACGT"):
                raise BadData(f"{path}: line {number}: expected one line P0 A C G T an entry, found {line[:40]!r}")
            inside = True
        elif key.isdecimal():
            first = first if rows else min(int(key), 1)  # rows count from 00 or 01
            counted = inside and int(key) == first + len(rows)
            if not counted or len(words) not in (4, 5) or not all(map(is_number, words[:4])):
                raise BadData(f"{path}: line {number}: expected position {len(rows) + 1} and four numbers after P0, "
                              f"found {line[:40]!r}")  # fmt: skip
            rows.append([float(word) for word in words[:4]])
        else:
            inside = False
            names.setdefault(key, " ".join(words))
    matrix = np.array(rows)[:, [order.index(base) for base in "ACGT"]] if rows else None
    return names, matrix
