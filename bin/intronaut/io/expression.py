"""The expression of introns: one column of a table by intron or gene, as quantifiers, R and pandas write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData
from intronaut.io.covariate_tables import (
    KEYS,
    find_join,
    joined_columns,
    read_covariate_table,
    refuse_other_notation,
    without_missing_words,
)

# what quantifiers call a column of expression, in lower case, the best first; RSEM has lengths, counts, TPM and FPKM
NAMES = ("expression", "tpm", "fpkm", "rpkm", "cpm", "expected_count", "numreads", "counts", "count")


def read_expression(path: Path | str, table: pd.DataFrame, column: str | None = None) -> tuple[str, pd.Series]:
    """``(column, log2(1 + x))``: the column that was taken, and a float64 for each row of the labels ``table``.

    NaN where the table does not hold the intron or its gene, the first of several. Without ``column`` it is the one
    with a name of NAMES, or the only one of numbers.

    Raises BadData for a table that :func:`find_join` refuses, no such column or several, cells that are no number,
    numbers below 0, and a gene that occurs twice with different numbers.
    """
    rows = read_covariate_table(path)
    join = find_join(path, rows, table)
    column = column or _column_of(path, rows.drop(columns=[key for key in KEYS if key in rows]))
    if column not in rows:
        raise BadData(f"{path}: no column {column}; it has {', '.join(rows.columns)}")
    numbers = _numbers_of(path, rows[column])
    return column, np.log2(1 + joined_columns(path, join, numbers.to_frame())[column])


def _column_of(path, rows):
    """The name of the column of expression."""
    called = {name.lower(): name for name in reversed(rows.columns)}
    if known := next((called[name] for name in NAMES if name in called), None):
        return known
    numeric = [name for name in rows if pd.to_numeric(rows[name], errors="coerce").notna().any()]
    if len(numeric) == 1:
        return numeric[0]
    if numeric:
        raise BadData(f"{path}: numbers in {', '.join(numeric)}; name the one with --expression-column")
    raise BadData(f"{path}: no numbers in any column; it has {', '.join(rows.columns)}")


def _numbers_of(path, cells):
    """The cells as float64, NaN where they are missing."""
    refuse_other_notation(path, cells)
    known = without_missing_words(cells)
    numbers = pd.to_numeric(known, errors="coerce").astype(float)
    if not numbers.notna().any():
        raise BadData(f"{path}: no numbers in column {cells.name}")
    wrong = (known.notna() & numbers.isna()) | np.isinf(numbers)
    if wrong.any():
        raise BadData(
            f"{path}: line {cells.index[wrong][0]}: {cells.name} is {cells[wrong].iloc[0]!r}; write a number or NA"
        )
    if (numbers < 0).any():
        raise BadData(f"{path}: {cells.name} below 0; give TPM, FPKM or counts, not their logarithm")
    return numbers
