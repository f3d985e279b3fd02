"""Peaks of BED, narrowPeak and broadPeak files."""

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.io.delimited import LARGEST_POSITION, read_lines

_HEADERS = ("#", "track", "browser")


def read_peaks(path, own_names=True):
    """Read a BED file (BED3 to BED12, narrowPeak, or a table whose first three columns are BED) into a DataFrame.

    Header lines (``#``, ``track``, ``browser``) and a first line of column names are skipped; order is kept. With
    ``own_names`` False, column four is kept as it is: several peaks may be of one factor.

    Returns:
        DataFrame: chrom, start, end, name (None where column four is not a name of its own), strand (``.``), summit
        (from narrowPeak's tenth column, else the middle).

    Raises:
        BadData: lists every line that is no interval; or there is no line.
    """
    problems = Problems(path)
    blocks, known = [], False
    for lines in read_lines(path):
        peaks, rows = _sound_peaks(lines)
        others = np.ones(len(lines.start), bool)
        others[rows] = False
        for row in np.flatnonzero(others).tolist():
            line = lines.line(row)
            if line.strip() and not line.startswith(_HEADERS):
                known = known or problems.count > 0 or (len(rows) > 0 and rows[0] < row)
                if fault := _fault(line.split("\t"), known):
                    problems.add(fault, lines.first + row)
        if len(rows):
            blocks.append(peaks)
            known = True
    problems.raise_if_any()
    if not blocks:
        raise BadData(f"{path}: no peak in it")
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if own_names:
        columns["name"] = _own_names(columns["name"].tolist())
    peaks = pd.DataFrame({**columns, "strand": "."})
    return peaks[["chrom", "start", "end", "name", "strand", "summit"]]


def _sound_peaks(lines):
    """A dict of columns of the lines that are peaks, and which rows these are."""
    rows = np.flatnonzero(lines.n_columns >= 3)
    chrom, start, end = (lines.column(number, rows) for number in range(3))
    start, end = start.numbers(), end.numbers()
    sound = (start >= 0) & (start < end) & (end <= LARGEST_POSITION) & ~chrom.is_empty()
    doubtful = np.flatnonzero(sound & np.isin(lines.initial[rows], [ord(word[0]) for word in _HEADERS]))
    sound[doubtful] = [not word.startswith(_HEADERS) for word in chrom[doubtful].words()]
    rows, start, end = rows[sound], start[sound], end[sound]
    name, offset = np.full(len(rows), None, object), np.full(len(rows), -1)
    named, narrow = lines.n_columns[rows] > 3, lines.n_columns[rows] == 10
    name[named] = np.array(lines.column(3, rows[named]).words(), object)
    offset[narrow] = lines.column(9, rows[narrow]).numbers()
    summit = np.where((offset >= 0) & (offset < end - start), start + offset, (start + end) // 2)
    chrom = np.array(chrom[sound].repeated_words(), object)
    return {"chrom": chrom, "start": start, "end": end, "name": name, "summit": summit}, rows


def _fault(columns, known):
    """What keeps a line from being a peak; None for the names of the columns, before any peak is ``known``."""
    if len(columns) < 3:
        return f"{len(columns)} tab-separated columns; BED has at least 3"
    chrom, start, end = columns[:3]
    if not all(text.isascii() and text.isdecimal() for text in (start, end)):
        if not known and not any(text.isdecimal() for text in columns):
            return None
        return f"start {start!r} or end {end!r} is not a whole number from 0"
    if chrom or not int(start) < int(end) <= LARGEST_POSITION:
        return f"the end {end} is not after the start {start}"
    return "no chromosome"


def _own_names(names):
    """The names when each is a word of its own and occurs once, else None for all: windows need unique names."""
    usable = len(set(names)) == len(names) and all(name and not any(c.isspace() for c in name) for name in names)
    return names if usable else [None] * len(names)
