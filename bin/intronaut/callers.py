"""Tables of intron-retention callers, each read into the same rows: one intron of one sample, as BED.

A reader returns a DataFrame whose index is the line number in the file: chrom, start, end (0-based, half-open), strand
(``.`` when the caller tells none), caller, sample, value, can_retain and can_splice (whether the evidence suffices to
call the intron retained, or spliced).
"""

import fnmatch
from dataclasses import dataclass

import numpy as np
import pandas as pd

from intronaut.cli import BadData, Problems
from intronaut.seqio import numbered_lines
from intronaut.tables import MISSING

PLACE_NAMES = {
    "chrom": ("chrom", "chr", "chromosome", "seqname", "seqnames", "seqid", "#chrom", "#chr"),
    "start": ("start", "chromstart", "left"),
    "end": ("end", "chromend", "stop", "right"),
    "strand": ("strand",),
}
CALL_COLUMNS = ("chrom", "start", "end", "strand", "caller", "sample", "value", "can_retain", "can_splice")


@dataclass
class GenericColumns:
    """How to read a table of no known caller: base of its starts (0 or 1), value columns, names of the place columns.

    ``values`` may hold patterns with ``*``; then what the star stands for names the caller.
    """

    base: int
    values: tuple
    names: dict


def read_generic(path, columns):
    """Rows of a table with a header line; every value column is a caller. A missing value is no measurement."""
    table = text_table(path)
    place = {role: _column(path, table, role, columns.names) for role in PLACE_NAMES}
    problems = Problems(path)
    rows = pd.DataFrame(
        {
            "chrom": table[place["chrom"]],
            "start": whole_numbers(table[place["start"]], problems) - columns.base,
            "end": whole_numbers(table[place["end"]], problems),
            "strand": table[place["strand"]].fillna(".") if place["strand"] else ".",
        }
    )
    check_places(rows, problems)
    found = {caller: name for pattern in columns.values for caller, name in _matching(path, table, pattern)}
    each = [rows.assign(caller=caller, value=numbers(table[name], problems)) for caller, name in found.items()]
    problems.raise_if_any()
    calls = pd.concat(each).dropna(subset="value")
    return calls.assign(sample=str(path), can_retain=True, can_splice=True)[list(CALL_COLUMNS)]


def _column(path, table, role, names):
    asked = names.get(role)
    if asked is not None and asked not in table:
        raise BadData(f"{path}: no column {asked}; it has {', '.join(table.columns)}")
    found = asked or next((name for name in table.columns if name.lower() in PLACE_NAMES[role]), None)
    if found is None and role != "strand":
        raise BadData(f"{path}: no column for {role} among {', '.join(table.columns)}; name it by --calls-columns")
    return found


def _matching(path, table, pattern):
    names = [name for name in table.columns if fnmatch.fnmatchcase(name, pattern)]
    if not names:
        raise BadData(f"{path}: no column {pattern}; it has {', '.join(table.columns)}")
    before, star, after = pattern.partition("*")
    return [(name[len(before) : len(name) - len(after)] if star else name, name) for name in names]


def text_table(path):
    """A tab-separated table with one header line as text, NA and empty as missing; its index is the line number.

    Lines that start with ``##`` are skipped. Raises BadData for an empty file and for rows of another width.
    """
    problems, header, rows, numbers_ = Problems(path), None, [], []
    for number, line in numbered_lines(path):
        if not line or line.startswith("##"):
            continue
        fields = line.split("\t")
        if header is None:
            header = fields
        elif len(fields) == len(header):
            rows.append(fields)
            numbers_.append(number)
        else:
            problems.add(f"{len(fields)} columns, the header has {len(header)}", number)
    if header is None:
        raise BadData(f"{path}: empty; a header line was expected")
    problems.raise_if_any()
    table = pd.DataFrame(rows, columns=header, index=numbers_, dtype=object)
    return table.mask(table.isin([MISSING, ""]))


def whole_numbers(texts, problems):
    """A column of text as int64; what is no whole number goes to ``problems`` and becomes 0."""
    values = pd.to_numeric(texts, errors="coerce")
    bad = values.isna() | (values % 1 != 0) | (values.abs() >= 2**31)
    for line, text in texts[bad].items():
        problems.add(f"{texts.name} is {text!r}, not a whole number", line)
    return values.mask(bad, 0).astype("int64")


def numbers(texts, problems):
    """A column of text as float64, missing where it is; what is no number goes to ``problems``."""
    values = pd.to_numeric(texts, errors="coerce").astype(float)
    for line, text in texts[(values.isna() & texts.notna()) | np.isinf(values)].items():
        problems.add(f"{texts.name} is {text!r}, not a number or NA", line)
    return values


def check_places(rows, problems):
    """Add to ``problems`` every row whose chromosome, interval or strand cannot be."""
    for line, row in rows[(rows["start"] < 0) | (rows["start"] >= rows["end"])].iterrows():
        problems.add(f"{row['start']} to {row['end']} (0-based, half-open) is no interval", line)
    for line in rows.index[rows["chrom"].isna()]:
        problems.add("no chromosome", line)
    for line, strand in rows.loc[~rows["strand"].isin(["+", "-", "."]), "strand"].items():
        problems.add(f"strand {strand!r} is not + - or .", line)
