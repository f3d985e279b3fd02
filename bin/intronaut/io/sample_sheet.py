"""The sheet of samples: the files with the reads of each sample, its condition, and how its library was made."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from intronaut.core.errors import BadData, Problems, UsageError
from intronaut.io.tables import read_numbered_table

NAME = re.compile(r"[A-Za-z0-9._-]+\Z")
# columns of files: a row has one of these sets
SOURCES = (("reads",), ("junctions", "coverage"), ("junctions", "coverage_plus", "coverage_minus"), ("counts",))
FILES = ("reads", "junctions", "coverage", "coverage_plus", "coverage_minus", "counts")
SYNONYMS = {"path": "reads", "strandedness": "strand"}
STRANDS = ("auto", "forward", "reverse", "unstranded")
KINDS = ("auto", "short", "long")


@dataclass
class SheetRow:
    """One row: the ``sample`` that its reads count for, its files by column, and what it says of the library.

    ``condition``, ``strand`` and ``kind`` are None where the sheet says nothing.
    """

    sample: str
    files: dict
    condition: str | None = None
    strand: str | None = None
    kind: str | None = None


def read_sheet(path: Path | str) -> list[SheetRow]:
    """Read a sheet of samples into a list of SheetRow; rows with ``replicate_of`` count for the sample that it names.

    Relative paths are relative to the sheet. Raises BadData that lists every fault: names that occur twice or hold
    other signs than letters, digits, ``. _ -``; rows without files or with those of two kinds; files that are not
    there; words that mean no strand or kind of reads; a sample with two conditions.
    """
    table, lines = read_numbered_table(path, ("sample",), unquote=True)
    table = table.rename(columns=SYNONYMS)
    if not set(FILES) & set(table.columns):
        raise BadData(f"{path}: no column of files; it has {', '.join(table.columns)}, and needs reads, counts, or "
                      "junctions and coverage")  # fmt: skip
    if table.empty:
        raise BadData(f"{path}: no sample in it")
    problems, rows = Problems(path), []
    twice = table["sample"].duplicated(keep=False) & table["sample"].notna()
    for line, row, repeated in zip(lines, table.to_dict("records"), twice, strict=True):
        cells = {name: value for name, value in row.items() if not pd.isna(value) and value != ""}
        if repeated:
            problems.add(f"sample {cells['sample']} is named twice; name lanes apart and give replicate_of", line)
        _check_row(cells, Path(path).parent, problems, line)
        files = {name: str(Path(path).parent / cells[name]) for name in FILES if name in cells}
        sample = cells.get("replicate_of", cells.get("sample", ""))
        rows.append(SheetRow(sample, files, cells.get("condition"), cells.get("strand"), cells.get("reads_kind")))
    conditions, of_sample = {}, {}
    for row in rows:
        if row.condition is not None and conditions.setdefault(row.sample, row.condition) != row.condition:
            problems.add(f"sample {row.sample} has two conditions, {conditions[row.sample]} and {row.condition}")
        if of_sample.setdefault(row.sample, row) is not row and "reads" not in of_sample[row.sample].files | row.files:
            problems.add(f"sample {row.sample}: only reads can be summed by replicate_of")
    problems.raise_if_any()
    return rows


def read_conditions(path: Path | str) -> dict[str, str | None]:
    """Sample → condition (None where there is none) of a sheet; its files need not be there.

    Raises BadData for a sheet without samples, and for a sample with two conditions.
    """
    table, _ = read_numbered_table(path, ("sample",), unquote=True)
    sample = table["sample"] if "replicate_of" not in table else table["replicate_of"].fillna(table["sample"])
    condition = table["condition"] if "condition" in table else pd.Series(None, table.index, object)
    conditions, problems = {}, Problems(path)
    for name, value in zip(sample, condition, strict=True):
        value = None if pd.isna(value) or value == "" else value
        if conditions.setdefault(name, value) != value:
            problems.add(f"sample {name} has two conditions, {conditions[name]} and {value}")
    problems.raise_if_any()
    return conditions


def check_condition(path: Path | str, known: Collection[str], condition: str | None) -> None:
    """Raise UsageError where a sheet has several conditions and none is chosen, or not this one.

    Args:
        path: the sheet, for the message.
        known: the conditions that its samples have.
    """
    names = sorted(known)
    if condition is None and len(names) > 1:
        raise UsageError(f"{path}: several conditions, {', '.join(names)}; choose one by --condition")
    if condition is not None and condition not in known:
        raise UsageError(f"--condition {condition}: {path} has {', '.join(names) or 'no condition'}")


def check_contrast(path: Path | str, known: Collection[str], contrast: str) -> None:
    """Raise UsageError where a sheet lacks a condition of a contrast, ``LEVEL_vs_REFERENCE``."""
    absent = [name for name in contrast.split("_vs_", 1) if name not in known]
    if absent:
        has = ", ".join(sorted(known)) or "no condition"
        raise UsageError(f"{contrast}: no condition {', '.join(absent)} in {path}, which has {has}")


def _check_row(cells, folder, problems, line):
    for name in ("sample", "replicate_of", "condition"):
        if name in cells and not NAME.match(cells[name]):
            problems.add(f"{name} is {cells[name]!r}; use letters, digits and . _ -", line)
    if "sample" not in cells:
        problems.add("no sample", line)
    named = tuple(name for name in FILES if name in cells)
    if named not in SOURCES:
        has = " and ".join(named) or "no file"
        problems.add(f"{has}; a row has reads, or counts, or junctions and coverage (or coverage_plus, _minus)", line)
    for name in named:
        if not (folder / cells[name]).is_file():
            problems.add(f"{name} is {cells[name]!r}, and there is no such file", line)
    for name, words in (("strand", STRANDS), ("reads_kind", KINDS)):
        if cells.get(name, words[0]) not in words:
            problems.add(f"{name} is {cells[name]!r}, not one of {', '.join(words)}", line)
