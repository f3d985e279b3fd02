"""Columns by what kind of information they are: the blocks of covariates and of features."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, UsageError
from intronaut.io.covariates import covariate_of
from intronaut.io.tables import COVARIATE_BLOCKS

EXPRESSION, OTHER = "expression", "other"
_EXPRESSED = re.compile(r"tpm|[fr]pkm|cpm|express|abundance", re.IGNORECASE)
# the blocks that a baseline takes in one after another, as they are called in tables
BASELINE_ORDER = {"architecture": "architecture", "composition": "+ composition", "splice_sites": "+ splice sites",
                  EXPRESSION: "+ expression", OTHER: "+ other covariates"}  # fmt: skip


def covariate_blocks(values: pd.DataFrame, further: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """The columns of a covariates table in blocks, in the order of BASELINE_ORDER, then the further ones.

    Args:
        values: DataFrame of :func:`intronaut.models.design_matrix.covariates`.
        further: words ``NAME=COLUMN,COLUMN``; a block of that name takes these columns, which leave the usual blocks;
            ``NAME=`` leaves the block out.

    Returns:
        ``{block: DataFrame}``; blocks without a column are left out.

    Raises:
        UsageError: a word of another form, a column that does not exist or does not vary, or is in two blocks.
    """
    given = dict(_block_words(word) for word in further)
    known = {covariate_of(column) for column in values}
    claimed = [name for names in given.values() for name in names]
    for name in claimed:
        if name not in known:
            raise UsageError(f"--block: no column {name} that varies; there are {', '.join(sorted(known)) or 'none'}")
        if claimed.count(name) > 1:
            raise UsageError(f"--block: {name} is in two blocks; a column belongs to one")
    blocks = {name: [] for name in (*BASELINE_ORDER, *given)}
    for column in values:
        name = covariate_of(column)
        block = next((block for block, names in given.items() if name in names), None)
        if block is None:
            block = usual_block(name)
            if block in given:
                continue
        blocks[block].append(column)
    return {block: values[columns] for block, columns in blocks.items() if columns}


def _block_words(word):
    name, equals, columns = word.partition("=")
    if not (name and equals):
        raise UsageError(f"--block {word}: expected NAME=COLUMN,COLUMN")
    return name, [column for column in columns.split(",") if column]


def usual_block(covariate: str) -> str:
    """The block that a covariate belongs to unless stated otherwise."""
    for block, names in COVARIATE_BLOCKS.items():
        if covariate in names:
            return block
    return EXPRESSION if _EXPRESSED.search(covariate) else OTHER


def feature_blocks(var: pd.DataFrame, column: str) -> dict[str, np.ndarray]:
    """``{block: places of its features}`` of a feature table, by one of its columns; ``other`` where that is empty."""
    if column not in var:
        raise BadData(f"--blocks {column}: the feature table has no such column; it has {', '.join(var) or 'none'}")
    block = pd.Series(var[column]).where(pd.notna(var[column]), OTHER).astype(str).replace("", OTHER)
    return {name: np.flatnonzero((block == name).to_numpy()) for name in block.unique()}


def nested_baselines(values: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The covariates taken in block by block: ``{name of the row: DataFrame of all columns so far}``."""
    rows, columns = {}, []
    for block, block_columns in covariate_blocks(values).items():
        columns += list(block_columns)
        rows[BASELINE_ORDER[block] if rows else block] = values[columns]
    return rows
