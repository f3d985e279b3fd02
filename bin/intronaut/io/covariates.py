"""Covariates that users bring: columns of labels.tsv by name, or tables with one row per intron or gene."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems, UsageError
from intronaut.io.covariate_tables import (
    KEYS,
    find_join,
    joined_columns,
    other_notation,
    read_covariate_table,
    refuse_other_notation,
    without_missing_words,
)
from intronaut.io.tables import COVARIATES, LABEL_COLUMNS

if TYPE_CHECKING:
    from intronaut.core.log import Log

# columns that are made from the reads that the label is made from: with them a model predicts the label from itself
LABEL_SOURCES = (
    "label", "evidence", "ir_value", "ir_reads", "ir_total", "ir_ratio", "psi", "psi_n", "psi_weight", "psi_low",
    "psi_high",
)  # fmt: skip
# columns of labels.tsv that say where a window lies and how it is split
ADMINISTRATIVE = (*LABEL_COLUMNS, "group", "split", "match")
LOG = "log:"
# how columns of a model that are no features begin, and how those end that mark a missing value
PREFIX, MISSING_MARK = "covariate:", "_missing"
MOST_LEVELS = 10
MOST_MISSING = 0.5


@dataclass
class UserCovariates:
    """``values`` float64, one row per row of the labels, NaN where unknown, one column per covariate on its scale;
    ``transforms`` says of each column what was done to it, ``ignored`` lists ``FILE: COLUMN (reason)``, ``notes`` what
    else the user should know of how the columns were read."""

    values: pd.DataFrame
    transforms: dict = field(default_factory=dict)
    ignored: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def covariate_of(column: str) -> str:
    """The covariate of a column like ``covariate:gc``, ``covariate:gc_missing`` or ``covariate:sex=male``."""
    name = column.removeprefix(PREFIX)
    name = name.removesuffix(MISSING_MARK)
    return name.partition("=")[0]


def user_covariates(table: pd.DataFrame, sources: list[str], allow_missing: bool = False) -> UserCovariates:
    """The covariates that ``--covariates`` names, for the rows of a labels table.

    Args:
        table: DataFrame of labels.tsv, text or numbers.
        sources: files and names. A file holds the column ``name``, ``intron_id``, ``gene_id`` or ``gene_name``, the
            first of these with a value of the labels, and columns of numbers. A name is a column of the files or of
            ``table``; ``log:NAME`` takes log(1 + x). Without names all columns of the files are taken.
        allow_missing: take columns of which more than half is missing.

    Raises:
        UsageError: an unknown name, one of the eight covariates that are always there, or a column that is made from
            the reads of the label (LABEL_SOURCES).
        BadData: a table without key or of which no column can be taken, a text column with many levels that was asked
            for, numbers in another notation (``0,5``), log of a negative number, a column that most windows lack.
    """
    files = list(dict.fromkeys(source for source in sources if _is_file(source)))
    names = _names(source for source in sources if not _is_file(source))
    result = UserCovariates(pd.DataFrame(index=table.index))
    columns = {}
    for path in files:
        more = _joined(path, table, set(names) if names else None, result)
        for name in more.keys() & columns.keys():
            raise BadData(f"{path}: {name} is a column of {columns[name][0]}, too; rename one of them")
        columns |= more
    known = sorted({*columns, *table.columns} - {*ADMINISTRATIVE, *COVARIATES, *LABEL_SOURCES})
    for name in names:
        _refuse(name, [*columns, *table.columns], known)
    chosen = {name: columns[name] if name in columns else (None, _of_labels(table, name)) for name in names or columns}
    used = set()
    for name, (path, values) in chosen.items():
        for column, numbers, transform in _numbers(name, values, names.get(name, False), path, bool(names), result):
            _check_missing(column, numbers, allow_missing)
            result.values[column] = numbers
            result.transforms[column] = transform
            used.add(path)
    for path in (path for path in files if path not in used):
        reasons = [text.removeprefix(f"{path}: ") for text in result.ignored if text.startswith(f"{path}: ")]
        raise BadData(f"{path}: no column can be taken as a covariate: {', '.join(reasons) or 'it has none'}")
    return result


def read_covariates(table: pd.DataFrame, sources: list[str], allow_missing: bool, log: Log) -> UserCovariates:
    """As :func:`user_covariates` for labelled rows; logs what is ignored, and what is missing more for one label."""
    user = user_covariates(table, sources, allow_missing)
    for column in user.ignored:
        log.note(f"covariate left out: {column}")
    for note in user.notes:
        log.note(note)
    for name, difference in missing_by_label(user.values, table["label"].to_numpy()).items():
        log.warn(f"covariate {name} is missing more often for one label than for the other (SMD {difference:+.2f})")
    return user


def with_missing_marks(values: pd.DataFrame) -> pd.DataFrame:
    """The covariates with the median for what is missing, and a column NAME_missing (0 or 1) where anything is."""
    columns = {}
    for name, column in values.items():
        columns[name] = column.fillna(column.median())
        if column.isna().any():
            columns[f"{name}_missing"] = column.isna().astype(float)
    return pd.DataFrame(columns, index=values.index)


def missing_by_label(values: pd.DataFrame, labels: np.ndarray) -> dict[str, float]:
    """Columns whose missingness differs between retained and spliced rows: ``{column: SMD}`` where it exceeds 0.2.

    The standardised mean difference of a share is (p1 - p0) / sqrt((p1 q1 + p0 q0) / 2).
    """
    retained, spliced = (values[labels == label].isna().mean() for label in (1, 0))
    spread = np.sqrt((retained * (1 - retained) + spliced * (1 - spliced)) / 2)
    difference = (retained - spliced) / spread.where(spread > 0, 1.0)
    return difference[difference.abs() > 0.2].to_dict()


def _is_file(source):
    return Path(source).is_file() or "/" in source or bool(re.search(r"\.(tsv|csv|txt|tab)(\.gz)?$", source))


def _names(sources):
    """``{name: whether its logarithm is asked for}``."""
    words = [word for source in sources for word in source.split(",") if word]
    return {word.removeprefix(LOG): word.startswith(LOG) for word in words}


def _refuse(name, present, known):
    if name in LABEL_SOURCES:
        raise UsageError(f"--covariates {name}: made from the reads of the label, so that it would predict itself")
    if name in COVARIATES:
        raise UsageError(
            f"--covariates {name}: always a covariate where the labels have it; leave it out, or rename the column of "
            "your table"
        )
    if name in ADMINISTRATIVE:
        raise UsageError(f"--covariates {name}: the name is reserved for labels.tsv; rename the column of your table")
    if name not in present:
        raise UsageError(f"--covariates {name}: no such column; there are {', '.join(known) or 'none'}")


def _joined(path, table, wanted, result):
    """The columns of a file in the order of the labels: ``{name: (path, values)}``; others go to ``ignored``."""
    rows = read_covariate_table(path)
    join = find_join(path, rows, table)
    if join.note:
        result.notes.append(f"{path}: {join.note}")
    names = []
    for name in rows.columns.drop(join.key):
        if reason := _why_not(name, wanted):
            result.ignored.append(f"{path}: {name} ({reason})")
        else:
            names.append(name)
    for name in names:
        refuse_other_notation(path, rows[name])
    return {name: (path, values) for name, values in joined_columns(path, join, rows[names]).items()}


def _why_not(name, wanted):
    """Why a column of a file is no covariate; None where it is one."""
    if name in LABEL_SOURCES:
        return "made from the reads of the label"
    if name in KEYS:
        return "already a column of the labels"
    if name in COVARIATES or name in ADMINISTRATIVE:
        return "the name is reserved for labels.tsv; rename the column to take it"
    return "not asked for" if wanted is not None and name not in wanted else None


def _of_labels(table, name):
    """A column of the labels, its cells without spaces around them; raises BadData for numbers in another notation."""
    values = table[name].map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    if odd := other_notation(values):
        row, advice = odd
        where = f" of {table['name'].iloc[row]}" if "name" in table else ""
        raise BadData(f"labels: {name}{where} is {values.iloc[row]!r}; {advice}")
    return values


def _numbers(name, values, logarithm, path, asked, result):
    """``(column, float64 values, transform)`` of one covariate: itself, or an indicator per level of a text."""
    values = without_missing_words(values)
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    where = path or "labels"
    text = values[numbers.isna() & values.notna()]
    if len(text):
        levels = sorted(map(str, values.dropna().unique()))
        if len(levels) > MOST_LEVELS or logarithm:
            if asked:
                raise BadData(
                    f"{where}: {name} holds text of {len(levels)} kinds, first {text.iloc[0]!r}; give numbers"
                )
            such = f", the first that is no number {text.iloc[0]!r}" if numbers.notna().any() else ""
            result.ignored.append(f"{where}: {name} (text of {len(levels)} kinds{such})")
            return
        if len(levels) == 1:
            result.ignored.append(f"{where}: {name} ({levels[0]!r} wherever it is known)")
        else:
            result.notes.append(
                f"{where}: {name} is text, taken as 0/1 columns of {', '.join(levels[1:])} beside {levels[0]}"
            )
        for level in levels[1:]:
            indicator = (values.astype(str) == level).astype(float).where(values.notna())
            yield f"{name}={level}", indicator, f"1 where {name} is {level}"
        return
    problems = Problems(where)
    if logarithm:
        for row in np.flatnonzero(numbers < 0)[:20]:
            problems.add(f"{name} is {numbers.iloc[row]:g}; log(1 + x) needs 0 or more", None)
        problems.raise_if_any()
        numbers = np.log1p(numbers)
    if np.isinf(numbers).any():
        raise BadData(f"{where}: {name} holds an infinite number")
    yield name, numbers, "log(1 + x)" if logarithm else "x"


def _check_missing(name, numbers, allow_missing):
    share = numbers.isna().mean()
    if share > MOST_MISSING and not allow_missing:
        raise BadData(
            f"--covariates {name}: unknown for {share:.0%} of the windows; --allow-missing takes it all the same"
        )
