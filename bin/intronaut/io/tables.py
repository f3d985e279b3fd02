"""The tab-separated tables that pass between tools: labels.tsv, predictions.tsv and the like."""

import math
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.core.files import digest_file, whole_file
from intronaut.io.text import are_quoted, numbered_lines, rereadable, unquoted

MISSING = "NA"
_WHOLE = re.compile(r"-?[0-9]+\Z")
_NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?\Z|-?inf\Z")
# what a spreadsheet takes for the start of a formula
_FORMULA = ("=", "+", "-", "@")
# of a table of half a million rows and thirty columns, all texts at once would take a gigabyte
_ROWS_AT_ONCE = 20_000
_BREAKS = re.compile(r"[\t\r\n]")
BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")
LABEL_COLUMNS = (*BED_COLUMNS, "label", "unit", "gene_id", "gene_name", "intron_id")
SPLICE_SITES = ("donor_strength", "acceptor_strength", "ppt_y", "bp_score", "bp_distance", "agez", "u12")
# what is known of an intron without any model of its chromatin; the baseline that every model must beat
COVARIATES = ("length", "gc", "cpg", "rank", "n_introns", "dist_tss", "dist_tes", "gene_length", *SPLICE_SITES)
# the same by what kind of knowledge they are, each beyond the ones before it
# what keeping an intron would do to the protein, see intronaut.labels.consequence
CONSEQUENCES = ("region", "frame", "premature_stop", "nmd")
COVARIATE_BLOCKS = {
    "architecture": ("length", "rank", "n_introns", "dist_tss", "dist_tes", "gene_length"),
    "composition": ("gc", "cpg"),
    "splice_sites": SPLICE_SITES,
}
# the level of retention, the counts behind it and its weight, where reads were measured
LEVELS = ("psi", "psi_n", "psi_weight")
# the difference of that level between two conditions and its weight, where they were compared
DIFFERENCES = ("delta_psi", "delta_weight")
PREDICTION_COLUMNS = ("name", "label", "split", "fold", "p_retained", "logit")


def read_table(path: Path | str, required: Iterable[str] = (), whole_numbers: Iterable[str] = ()) -> pd.DataFrame:
    """Read a TSV with one header line into a DataFrame of text; NA becomes missing.

    Lines without text, such as those of tabs alone that spreadsheets leave at the end, are skipped. Columns named in
    ``whole_numbers`` become int64. Raises BadData that names every line with the wrong number of fields or a bad
    number, and the columns that are lacking.
    """
    return read_numbered_table(path, required, whole_numbers)[0]


def read_numbered_table(
    path: Path | str, required: Iterable[str] = (), whole_numbers: Iterable[str] = (), *, unquote: bool = False
) -> tuple[pd.DataFrame, list[int]]:
    """As :func:`read_table`, with the number of each row's line in the file.

    With ``unquote``, or where every name of the header has them, cells lose the quotes around them that R and Excel
    write, and have one for each two inside.
    """
    rows, problems, header = [], Problems(path), None
    for number, line in numbered_lines(path):
        fields = line.split("\t")
        if header is None:
            unquote = unquote or are_quoted(fields)
        if unquote and '"' in line:
            fields = unquoted(fields)
        if header is None and line.strip("\t"):
            header = fields
        elif line.strip("\t"):
            if len(fields) != len(header):
                problems.add(f"{len(fields)} fields, the header has {len(header)}", number)
            rows.append((number, fields))
    if header is None:
        raise BadData(f"{path}: empty; a header line was expected")
    if len(set(header)) < len(header):
        raise BadData(
            f"{path}: two columns of one name: {', '.join(sorted({n for n in header if header.count(n) > 1}))}"
        )
    lacking = [name for name in required if name not in header]
    if lacking:
        raise BadData(f"{path}: no column {', '.join(lacking)}; it has {', '.join(header)}")
    for column in (header.index(name) for name in whole_numbers):
        for number, fields in rows:
            if column < len(fields) and not _WHOLE.match(fields[column]):
                problems.add(f"{header[column]} is {fields[column]!r}, not a whole number", number)
            elif column < len(fields) and not _fits_int64(fields[column]):
                problems.add(f"{header[column]} is {fields[column][:40]}, which is too large", number)
    problems.raise_if_any()
    table = pd.DataFrame([fields for _, fields in rows], columns=header, dtype=object)
    table = table.mask(table == MISSING).astype({name: "int64" for name in whole_numbers})
    return table, [number for number, _ in rows]


def _fits_int64(digits):
    return len(digits) <= 20 and -(2**63) <= int(digits) < 2**63


def with_numbers(path: Path | str, table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The table with those of the columns ``names`` that it has as float64; raises BadData for what is no number."""
    columns = {}
    for name in (name for name in names if name in table):
        columns[name] = pd.to_numeric(table[name], errors="coerce").astype(float)
        wrong = table[name][columns[name].isna() & table[name].notna()]
        if len(wrong):
            raise BadData(f"{path}: {name} is {wrong.iloc[0]!r} in {len(wrong):,} rows, not a number")
    return table.assign(**columns)


def read_labels(path: Path | str) -> pd.DataFrame:
    """Read labels.tsv: one row a window, ``label`` float64 (1, 0, NaN), covariates float64.

    As pandas and R write it again it is read as the same. Raises BadData for lacking columns, labels other than 0, 1
    and NA, covariates that are no numbers, names that occur twice, and chromosomes and names that are empty.
    """
    table, lines = read_numbered_table(path, LABEL_COLUMNS, ("start", "end"))
    problems = Problems(path)
    for name in ("chrom", "name"):
        for row in (table[name] == "").to_numpy().nonzero()[0]:
            problems.add(f"{name} is empty", lines[row])
    table = _before_pandas(table)
    for line, value in zip(lines, table["label"], strict=True):
        if not pd.isna(value) and value not in ("0", "1"):
            problems.add(f"label is {value!r}; it must be 1, 0 or NA", line)
    for row in table["name"].duplicated().to_numpy().nonzero()[0]:
        problems.add(f"name {table['name'].iloc[row]!r} occurs twice", lines[row])
    for name in table.columns.intersection(COVARIATES):
        numbers = pd.to_numeric(table[name], errors="coerce")
        for row in (numbers.isna() & table[name].notna()).to_numpy().nonzero()[0]:
            problems.add(f"{name} is {table[name].iloc[row]!r}, not a number", lines[row])
        table[name] = numbers.astype(float)
    problems.raise_if_any()
    # every row has a place and a name: there NA is what a contig is called
    table = table.fillna({"chrom": MISSING, "name": MISSING})
    table["label"] = table["label"].astype(float)
    return table


def _before_pandas(table):
    """A table as it was before pandas wrote it, which leaves missing cells empty and makes 1.0 of 1 beside them."""
    columns = {}
    for name in table.columns.difference(["chrom", "start", "end", "name"]):
        cells = table[name]
        if (empty := cells == "").any():
            cells = columns[name] = cells.mask(empty)
        # the first cell says of most columns that they hold no such numbers, without a look at the others
        first = next((cell for cell in cells if isinstance(cell, str)), "")
        if first.endswith(".0") and cells.dropna().str.fullmatch(r"-?\d+\.0").all():
            columns[name] = cells.str.removesuffix(".0")
    return table.assign(**columns)


def read_labels_and_digest(path: Path | str) -> tuple[pd.DataFrame, str]:
    """As :func:`read_labels`, with the sha256 of the file's bytes, which tells later whether it is the same."""
    with rereadable(path) as copy:
        return read_labels(copy), digest_file(copy)


def read_labels_and_text(path: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As :func:`read_labels`, with the same rows as text, to be written on as they were."""
    with rereadable(path) as copy:
        return read_labels(copy), read_table(copy)


def write_table(path: Path | str, table: pd.DataFrame, *, for_people: bool = False) -> None:
    """Write a DataFrame as TSV: one header line, NA for missing, six significant digits, whole or not at all.

    In a table ``for_people``, which no tool matches by name, text that a spreadsheet would run gets an apostrophe.
    """
    with whole_file(path) as out:
        out.write("\t".join(table.columns) + "\n")
        for first in range(0, len(table), _ROWS_AT_ONCE):
            rows = table.iloc[first : first + _ROWS_AT_ONCE]
            columns = [_texts(rows[name]) for name in table.columns]
            if for_people:
                columns = [[_inert(text) for text in column] for column in columns]
            out.writelines("\t".join(row) + "\n" for row in zip(*columns, strict=True))


def _inert(text):
    """The text, with an apostrophe before what spreadsheets take for a formula; numbers and strands are none."""
    if text[:1] not in _FORMULA or len(text) == 1 or _NUMBER.match(text):
        return text
    return f"'{text}"


def _texts(column):
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return list(map(str, column.tolist()))
    # most numbers of a table occur many times over: each is written out once
    if column.dtype == "float64":
        codes, bits = pd.factorize(column.to_numpy().view("int64"))  # by its bits, as 0 and -0 are written apart
        texts = np.array([_cell(value) for value in bits.view("float64").tolist()], object)
        return texts[codes].tolist()
    if isinstance(column.array, pd.arrays.IntegerArray):
        codes, values = pd.factorize(column)
        return np.array([*map(str, values.tolist()), MISSING], object)[codes].tolist()
    return [_cell(value) for value in column.tolist()]


def _cell(value):
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    if _BREAKS.search(text):
        raise BadData(f"{text!r} holds a tab or line end, which a table cannot")
    return text
