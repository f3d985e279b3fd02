"""``SAMPLE.introns.tsv.gz`` of quantify_introns as numbers."""

import itertools
from pathlib import Path

import pandas as pd

from intronaut.core.errors import Problems
from intronaut.io.tables import read_numbered_table
from intronaut.io.text import numbered_lines

KNOWN_BY = frozenset(["psi", "ei_left", "sj_exact"])
_NUMBERS = ("psi", "n", "retained", "spliced")


def is_measured_table(path: Path | str) -> bool:
    """Whether the first line of a file is that of a table of quantify_introns."""
    first = next(itertools.islice(numbered_lines(path), 1), (1, ""))[1]
    return set(first.split("\t")) >= KNOWN_BY


def read_measured(path: Path | str) -> pd.DataFrame:
    """The places, gene_id, sample, psi, n, retained and spliced of a table; raises BadData."""
    wanted = ("chrom", "start", "end", "name", "strand", "sample", "gene_id", *_NUMBERS)
    (table, lines), problems = read_numbered_table(path, wanted, ("start", "end")), Problems(path)
    for name in _NUMBERS:
        values = pd.to_numeric(table[name], errors="coerce")
        for row in (values.isna() & table[name].notna()).to_numpy().nonzero()[0]:
            problems.add(f"{name} is {table[name].iloc[row]!r}, not a number", lines[row])
        table[name] = values
    problems.raise_if_any()
    return table[list(wanted)]
