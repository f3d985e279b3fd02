"""Callers' tables as text: header, types, places; every problem with its line number."""

import csv
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.io.delimited import LARGEST_POSITION
from intronaut.io.kinds import refuse_other_kinds
from intronaut.io.text import numbered_lines

SPAN = r"(?P<start>\d+)-(?P<end>\d+)"
TUPLE = r"\(?\s*(?P<start>\d+)\s*,\s*(?P<end>\d+)\s*\)?"
# chrom:start-end, as a genome browser takes it, with or without the strand behind it
PLACE = r"(?P<chrom>.+):(?P<start>[\d,]+)(?:-|\.\.)(?P<end>[\d,]+)(?:[:(/]?(?P<strand>[-+*.])\)?)?"
_DECIMAL_COMMA = re.compile(r"-?[0-9]*,[0-9]+(e-?[0-9]+)?\Z")
REPEATED = "repeated"
MISSING_WORDS = ("", "NA", "NAold", "NaN", "nan", "na", "None", "-nan")


def text_table(path: Path | str) -> pd.DataFrame:
    """Read a tab-separated table, or one by commas or quoted and by spaces as R writes it, as text.

    The index is the line number.

    Lines that start with ``##`` or ``# ``, lines above the header that start with ``#`` and have no tab, and BED's
    ``track`` and ``browser`` lines are skipped, a ``#`` before the header and quotes around cells are removed, words
    for a missing value become missing. A first line whose second and third cells are whole numbers is no header: the
    columns are then ``column_1``, ``column_2`` and so on. A header that is one cell short, or whose first cell is empty
    (as R and SUPPA2 write it), has ``row`` before it, unless the last cell of every row is empty.

    Names that several columns have are in ``attrs`` under REPEATED; the second is read as ``NAME.2``.

    Raises BadData for an empty file and for rows of another width.
    """
    refuse_other_kinds(path)
    lines = _without_remarks((number, line) for number, line in numbered_lines(path) if not _is_comment(line))
    head = list(itertools.islice(lines, 2))
    if not head:
        raise BadData(f"{path}: empty; a table was expected")
    split = _splitter(path, [line for _, line in head])
    first, second = (split(line) for _, line in (head * 2)[:2])
    if len(first) >= 3 and first[1].isdecimal() and first[2].isdecimal():
        header = [f"column_{i + 1}" for i in range(len(first))]
    else:
        head = head[1:]
        header = ["row"] * (len(second) == len(first) + 1) + [first[0].lstrip("#") or "row", *first[1:]]
    problems, numbers_, rows = Problems(path), [], []
    for number, line in itertools.chain(head, lines):
        cells = split(line)
        if len(cells) == len(header):
            numbers_.append(number)
            rows.append(cells)
        else:
            problems.add(f"{len(cells)} columns, the header has {len(header)}", number)
    problems.raise_if_any()
    if len(header) > len(first) and all(not cells[-1] for cells in rows):
        # rows that end in a tab and a header that does not, as Whippet writes them: no names of rows
        header, rows = header[1:], [cells[:-1] for cells in rows]
    columns: list[Any] = [np.array(column, object) for column in zip(*rows, strict=True)] or [[] for _ in header]
    table = pd.DataFrame(dict(zip(_unique(header), columns, strict=True)), index=numbers_, dtype=object)
    table = table.mask(table.isin(MISSING_WORDS))
    table.attrs[REPEATED] = {name for name in header if header.count(name) > 1}
    return table


def _is_comment(line):
    return not line.strip() or line.startswith(("##", "# ", "track", "browser"))


def _without_remarks(lines):
    """The lines without those at the top that start with ``#`` and have no tab, where the table below has tabs."""
    top = []
    for number, line in lines:
        top.append((number, line))
        if not line.startswith("#"):
            break
    table_has_tabs = bool(top) and "\t" in top[-1][1]
    yield from ((number, line) for number, line in top if "\t" in line or not table_has_tabs)
    yield from lines


def _splitter(path, lines):
    """How lines split into cells, by the first two of them: at tabs, else at commas or spaces outside quotes."""
    header = lines[0]
    if any("\t" in line for line in lines):
        return lambda line: [_bare(cell) for cell in line.split("\t")]
    if header.startswith('"') and '" "' in header:
        return lambda line: [_bare(cell) for cell in next(csv.reader([line], delimiter=" "))]
    if header.count(",") >= 3 or header.startswith('"') and '","' in header or _commas_part(lines):
        return lambda line: [_bare(cell) for cell in next(csv.reader([line]))]
    if all(line.count(";") >= 3 for line in lines):
        raise BadData(
            f"{path}: cells are parted by semicolons, as of write.csv2 and some spreadsheets; save it with tabs, and "
            "decimals with a point (R: write.table(x, sep = '\\t', row.names = FALSE))"
        )
    return lambda line: [_bare(line)]


def _commas_part(lines):
    """Whether a header and the row below, neither with tabs, are cells by commas: as many, or one more for its name."""
    header, row = (len(next(csv.reader([line]))) for line in (lines * 2)[:2])
    return header >= 2 and row - header in (0, 1)


def _bare(cell):
    return cell.strip().strip('"')


def _unique(names):
    """The names with ``.2``, ``.3`` … after the second, third … of the same name (rMATS writes ID twice)."""
    seen = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name}.{seen[name]}"


def whole_numbers(texts: pd.Series, problems: Problems) -> pd.Series:
    """A column of text as int64; what is no whole number goes to ``problems`` and becomes 0."""
    values = pd.to_numeric(texts, errors="coerce")
    bad = values.isna() | (values % 1 != 0) | (values.abs() > LARGEST_POSITION)
    for line, text in texts[bad].items():
        what = f"{text!r}, not a whole number" if isinstance(text, str) else "missing"
        problems.add(f"{texts.name} is {what}", line)
    return values.mask(bad, 0).astype("int64")


def numbers(texts: pd.Series, problems: Problems) -> pd.Series:
    """A column of text as float64, words for a missing value as missing; what is no number goes to ``problems``."""
    texts = texts.mask(texts.isin(MISSING_WORDS))
    values = pd.to_numeric(texts, errors="coerce").astype(float)
    for line, text in texts[(values.isna() & texts.notna()) | np.isinf(values)].items():
        hint = "; write decimals with a point" if _DECIMAL_COMMA.match(text) else ""
        problems.add(f"{texts.name} is {text!r}, not a number or NA{hint}", line)
    return values


def parts(texts: pd.Series, pattern: str, what: str, problems: Problems) -> pd.DataFrame:
    """The named groups of ``pattern`` in a column of text, as text columns; what does not fit goes to ``problems``."""
    columns = texts.str.extract(f"^{pattern}$", expand=True)
    for line, text in texts[columns.isna().all(axis=1)].items():
        problems.add(f"{texts.name} is {text!r}, not {what}", line)
    return columns


def places(texts: pd.Series, base: int, problems: Problems) -> tuple[pd.Series, pd.Series, pd.Series, pd.Series]:
    """The chrom, start (0-based), end and strand (``.`` where there is none) of a column of ``chrom:start-end``.

    ``base`` is the number of the first base of a chromosome, 0 or 1. What is no such place goes to ``problems``.
    """
    columns = parts(texts, PLACE, "chrom:start-end", problems)
    start, end = (whole_numbers(columns[name].fillna("0").str.replace(",", ""), problems) for name in ("start", "end"))
    return columns["chrom"].fillna("."), start - base, end, columns["strand"].fillna(".")


def column_of(table: pd.DataFrame, problems: Problems, *names: str) -> str:
    """The first of the ``names`` that is a column; raises BadData when the table lacks them all."""
    column = next((name for name in names if name in table), None)
    if column is None:
        raise BadData(f"{problems.where}: the table lacks the column {' or '.join(names)}")
    return column


def check_places(rows: pd.DataFrame, problems: Problems) -> None:
    """Add to ``problems`` every row whose chromosome, interval or strand cannot be."""
    for line, row in rows[(rows["start"] < 0) | (rows["start"] >= rows["end"])].iterrows():
        problems.add(f"{row['start']} to {row['end']} (0-based, half-open) is no interval", line)
    for line in rows.index[rows["chrom"].isna()]:
        problems.add("no chromosome", line)
    for line, strand in rows.loc[~rows["strand"].isin(["+", "-", "."]), "strand"].items():
        problems.add(f"strand {strand!r} is not + - or .", line)
