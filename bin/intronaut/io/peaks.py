"""Peaks of BED, narrowPeak and broadPeak files."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.io.delimited import LARGEST_POSITION, Lines, read_lines
from intronaut.io.kinds import refuse_other_kinds

_HEADERS = ("#", "track", "browser")


class _Columns(NamedTuple):
    """The number of the first base in a file, and where its names and summits stand, None where it has none.

    Summits count from the peak's start, from ``base`` on, or from the chromosome's where ``absolute`` (MACS 2 and 3).
    """

    base: int
    name: int | None
    summit: int | None
    absolute: bool = False


_BED = _Columns(0, 3, 9)
# tables that count from 1, by their first columns and any of the further ones: MACS's, and Bioconductor's ranges
_FROM_ONE = (["chr", "start", "end"], ["seqnames", "start", "end"])
_FURTHER = {"length", "width", "summit", "abs_summit", "fold_enrichment"}
# a cell in quotes, as R writes text
_QUOTED = re.compile(rb'(?<![^\t\n])"([^"\t\n]*)"(?![^\t\n])')
# whether the tenth of more columns is a summit: on this line it is none; it is one where other lines show it; it is
# one, by a fraction or a -1 among columns 7 to 9; it is one where these are 0 on every line (HMMRATAC, bdgpeakcall)
_TEN_COLUMNS, _NOT_NARROW, _MAY_BE_NARROW, _NARROW, _ZEROS = range(5)
# BED12, and gappedPeak that begins like it
_WITH_BLOCKS = (12, 15)
_NUMBER = re.compile(r"-?[0-9]*\.?[0-9]+(e[-+]?[0-9]+)?\Z", re.IGNORECASE)
# a name of the column of starts or ends: it begins with a letter, holds no digit, and is no word for a missing value
_POSITION_NAME = re.compile(r"(?!(na|n/a|nan|null|none|nil|inf|missing)\Z)[^\W\d_]\D*\Z", re.IGNORECASE)


def read_peaks(path: Path | str, unique_names: bool = True) -> pd.DataFrame:
    """Read a BED file (BED3 to BED12, narrowPeak, or a table whose first three columns are BED) into a DataFrame.

    Header lines (``#``, ``track``, ``browser``) and one first line of column names are skipped; order is kept. With
    ``unique_names`` False, column four is kept as it is: several peaks may be of one factor. The table
    ``*_peaks.xls`` of MACS and ranges of Bioconductor, whose starts count from 1, are known by their column names.

    Returns:
        DataFrame: chrom, start, end, name (None where column four is not a name of its own), strand (``.``), summit
        (from narrowPeak's tenth column, further ones behind it or not, or MACS's own, else the middle).

    Raises:
        BadData: lists every line that is no interval; or there is no line.
    """
    refuse_other_kinds(path)
    problems = Problems(path)
    blocks, known, columns = [], False, _BED
    for lines in map(_unquoted, read_lines(path)):
        if not known:
            columns = _columns(lines)
            _refuse_moved_columns(lines, path)
        peaks, rows = _sound_peaks(lines, columns)
        others = np.ones(len(lines.start), bool)
        others[rows] = False
        for row in np.flatnonzero(others).tolist():
            line = lines.line(row)
            if line.strip() and not line.startswith(_HEADERS):
                known = known or (len(rows) > 0 and rows[0] < row)
                columns = line.split("\t")
                if known or not _names_columns(columns):
                    problems.add(_fault(columns), lines.first + row)
                known = True
        if len(rows):
            blocks.append(peaks)
            known = True
    problems.raise_if_any()
    if not blocks:
        raise BadData(f"{path}: no peak in it")
    values = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if unique_names:
        values["name"] = _unique_names(values["name"].tolist())
    values["summit"] = _summits(values)
    peaks = pd.DataFrame({**values, "strand": "."})
    return peaks[["chrom", "start", "end", "name", "strand", "summit"]]


def _columns(lines):
    """The layout of a file by the line of column names before its first peak: BED's without one."""
    for row in np.flatnonzero((lines.n_columns >= 3) & (lines.initial != ord("#"))).tolist():
        names = lines.line(row).lower().split("\t")
        if names[:3] in _FROM_ONE and not _FURTHER.isdisjoint(names[3:]):
            place = {name: number for number, name in enumerate(names)}
            absolute = "abs_summit" in place
            return _Columns(1, place.get("name"), place.get("abs_summit", place.get("summit")), absolute)
        if names[1].isdecimal() and names[2].isdecimal():
            return _BED
    return _BED


def _sound_peaks(lines, columns):
    """A dict of columns of the lines that are peaks, and which rows these are."""
    rows = np.flatnonzero(lines.n_columns >= 3)
    chrom, start, end = (lines.column(number, rows) for number in range(3))
    start, end = start.numbers() - columns.base, end.numbers()
    sound = (start >= 0) & (start < end) & (end <= LARGEST_POSITION) & ~chrom.is_empty()
    doubtful = np.flatnonzero(sound & np.isin(lines.initial[rows], [ord(word[0]) for word in _HEADERS]))
    sound[doubtful] = [not word.startswith(_HEADERS) for word in chrom[doubtful].words()]
    rows, start, end = rows[sound], start[sound], end[sound]
    name, offset = np.full(len(rows), None, object), np.full(len(rows), -1)
    if columns.name is not None:
        named = lines.n_columns[rows] > columns.name
        name[named] = np.array(lines.column(columns.name, rows[named]).words(), object)
    if columns.base and columns.summit is not None:
        with_summit = lines.n_columns[rows] > columns.summit
        first = start[with_summit] if columns.absolute else 0
        offset[with_summit] = lines.column(columns.summit, rows[with_summit]).numbers() - 1 - first
    width = np.full(len(rows), _TEN_COLUMNS)
    if not columns.base:
        narrow = lines.n_columns[rows] == columns.summit + 1
        offset[narrow] = lines.column(columns.summit, rows[narrow]).numbers()
        wide = np.flatnonzero(lines.n_columns[rows] > columns.summit + 1)
        offset[wide], width[wide] = _of_wide_lines(lines, rows[wide], (end - start)[wide])
    chrom = np.array(chrom[sound].repeated_words(), object)
    return {"chrom": chrom, "start": start, "end": end, "name": name, "offset": offset, "width": width}, rows


def _of_wide_lines(lines, rows, length):
    """The tenth column of lines with more, -1 where it is no number; and its kind, _NOT_NARROW to _ZEROS."""
    cells = [lines.column(number, rows).words() for number in range(5, 9)]
    summit = lines.column(9, rows)
    offset, absent = summit.numbers(), summit.equals(b"-1")
    kinds = np.full(len(rows), _NOT_NARROW)
    for row in np.flatnonzero(((offset >= 0) & (offset < length)) | absent).tolist():
        strand, *scores = (column[row] for column in cells)
        if strand != "." or not all(map(_NUMBER.match, scores)):
            continue
        if any(float(score) == -1 or "." in score for score in scores):
            kinds[row] = _NARROW
        elif not any(map(float, scores)) and lines.n_columns[rows[row]] not in _WITH_BLOCKS:
            kinds[row] = _ZEROS
        else:
            kinds[row] = _MAY_BE_NARROW
    return offset, kinds


def _summits(peaks):
    """The summit of every peak, else its middle; removes ``offset`` and ``width`` from the dict of columns."""
    start, end, offset, width = peaks["start"], peaks["end"], peaks.pop("offset"), peaks.pop("width")
    kinds = width[width != _TEN_COLUMNS]
    if (kinds == _NOT_NARROW).any() or not ((kinds == _NARROW).any() or (kinds == _ZEROS).all()):
        offset[width != _TEN_COLUMNS] = -1
    return np.where((offset >= 0) & (offset < end - start), start + offset, (start + end) // 2)


def _unquoted(lines):
    """The Lines without the quotes around whole cells."""
    return Lines(lines.first, _QUOTED.sub(rb"\1", lines.text)) if b'"' in lines.text else lines


def _refuse_moved_columns(lines, path):
    """Raise BadData where the names of columns or R's names of rows move start and end out of columns 2 and 3.

    Chromosomes such as 1 and 2 are numbers too, so that the lines might pass for intervals.
    """
    names = []
    for row in np.flatnonzero((lines.n_columns >= 3) & (lines.initial != ord("#"))).tolist():
        cells = lines.line(row).split("\t")
        if not names and not cells[2].isdecimal():
            names = [name.lower().removeprefix("chrom") for name in cells]
            continue
        if "start" not in names[:3] or len(cells) < 4:
            return
        place = names.index("start") + (len(cells) == len(names) + 1)
        if place == 2 and all(cell.isdecimal() for cell in cells[:4]) and int(cells[2]) < int(cells[3]):
            raise BadData(
                f"{path}: line {lines.first + row}: start and end stand in columns 3 and 4, as behind row names of R; "
                "write it with row.names = FALSE"
            )
        return


def _names_columns(columns):
    """Whether a line before any peak is one of column names: no cell is a number, and start and end are named."""
    return len(columns) >= 3 and all(map(_POSITION_NAME.match, columns[1:3])) and not any(map(_NUMBER.match, columns))


def _fault(columns):
    """What keeps a line from being a peak."""
    if len(columns) < 3:
        blanks = "; these are separated by blanks: write tabs, sed -E 's/ +/\\t/g'" if _blanks_part(columns) else ""
        return f"{len(columns)} tab-separated columns; BED has at least 3{blanks}"
    chrom, start, end = columns[:3]
    if not all(text.isascii() and text.isdecimal() for text in (start, end)):
        if end.isdecimal() and columns[3:] and columns[3].isdecimal():
            return "start and end stand in columns 3 and 4, as in HOMER's peak files; convert them with pos2bed.pl"
        return f"start {start!r} or end {end!r} is not a whole number from 0"
    if chrom or not int(start) < int(end) <= LARGEST_POSITION:
        return f"the end {end} is not after the start {start}"
    return "no chromosome"


def _blanks_part(columns):
    """Whether a line would be an interval if blanks were tabs."""
    words = " ".join(columns).split()
    return len(words) > 2 and words[1].isdecimal() and words[2].isdecimal()


def _unique_names(names):
    """The names when each is a word of its own and occurs once, else None for all: windows need unique names.

    Scores in the column of names, as SEACR, SICER and epic2 write them, are none.
    """
    usable = len(set(names)) == len(names) and all(name and not any(c.isspace() for c in name) for name in names)
    scores = usable and all(_NUMBER.match(name) for name in names) and not all(name.isdecimal() for name in names)
    return names if usable and not scores else [None] * len(names)
