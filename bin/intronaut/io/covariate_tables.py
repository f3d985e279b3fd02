"""Tables of covariates as R, pandas and spreadsheets write them: cells, missing values, the key that joins them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.io.tables import MISSING
from intronaut.io.text import numbered_lines

KEYS = ("name", "intron_id", "gene_id", "gene_name")
ROW_NAMES = "row_names"
# R, pandas, spreadsheets and databases write these where a value is missing
MISSING_WORDS = (
    "", MISSING, "na", "N/A", "n/a", "n.a.", "N.A.", "NaN", "nan", "NAN", "-nan", "#N/A", "#NA", "<NA>", "NULL", r"\N",
)  # fmt: skip
# these may be kinds of a text (strand -, genotype null); beside numbers they are missing values
MISSING_AMONG_NUMBERS = ("null", "Null", "None", "none", "-", ".", "?")
# ENSG00000000003.15, not the names of WormBase like Y74C9A.3, in which the point parts two genes
_VERSION = re.compile(r"([A-Za-z_]+[0-9]{6,})\.[0-9]+")
# numbers in notations that are not read, and what to write in their place
_NOTATIONS = {
    re.compile(r"[-+]?[0-9.,]+\s*%"): "write numbers without the per cent sign",
    re.compile(r"[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?"): "write numbers without commas, decimals with a point",
    re.compile(r"[-+]?[0-9.]*,[0-9]+([eE][-+]?[0-9]+)?"): "write decimals with a point",
    re.compile(r"[-+]?[0-9]{1,3}([.'\s][0-9]{3})+([.,][0-9]+)?"): "write numbers without marks of thousands",
    re.compile(r"[<>~=]+\s*[-+]?[0-9.,]+"): "write a number or NA",
    re.compile(r"[\u2212\u2013][0-9.,]+"): "write the minus sign as -",
    re.compile(r"#[A-Z0-9/]+[!?]"): "write a number or NA",
}


@dataclass
class Join:
    """By which column the rows of a table fit those of the labels: ``of_rows`` and ``of_labels`` hold its values, NaN
    where missing; ``note`` says what was done to them, if anything."""

    key: str
    of_rows: pd.Series
    of_labels: pd.Series
    note: str = ""


def read_covariate_table(path: Path | str) -> pd.DataFrame:
    """Read a table with a header as text, its index the line numbers: by tabs, else by commas, or by spaces in quotes.

    Quotes and spaces around cells are removed, as are columns whose header is empty: row names, as R and pandas write
    them, the header of R one cell short. ``attrs[ROW_NAMES]`` says whether the first column was one. Missing values are
    left as they are written.

    Raises BadData for an empty file, rows of another width, two columns of one name.
    """
    lines = ((number, line) for number, line in numbered_lines(path) if line.strip())
    # featureCounts begins with the command that it ran
    number, head = next((one for one in lines if not one[1].startswith("# ") or "\t" in one[1]), (0, ""))
    if not number:
        raise BadData(f"{path}: empty; a header line was expected")
    split = _splitter(path, head)
    header, numbers, rows, problems = split(head), [], [], Problems(path)
    for number, line in lines:
        cells = split(line)
        if any(cells):
            numbers.append(number)
            rows.append(cells)
    if rows and all(len(cells) == len(header) + 1 for cells in rows):
        # rows that end in a tab, or the header of R without a cell above the row names
        header = [*header, ""] if not any(cells[-1] for cells in rows) else ["", *header]
    for number, cells in zip(numbers, rows, strict=True):
        if len(cells) != len(header):
            problems.add(f"{len(cells)} fields, the header has {len(header)}", number)
    problems.raise_if_any()
    names = [name for name in header if name]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadData(f"{path}: two columns of one name: {', '.join(twice)}")
    table = pd.DataFrame(rows, columns=range(len(header)), index=numbers, dtype=object)
    table = table[[place for place, name in enumerate(header) if name]]
    table.columns = names
    table.attrs[ROW_NAMES] = not header[0]
    return table


def _splitter(path, header):
    """How lines split into bare cells, by the header: at tabs, else at commas, or at spaces where cells are quoted."""
    if "\t" in header:
        return lambda line: [_bare(cell) for cell in line.split("\t")]
    by = " " if header.startswith('"') and '" "' in header else ","
    if by == "," and ";" in header:
        raise BadData(f"{path}: columns parted by semicolons; save it with tabs, decimals with a point")
    return lambda line: [cell.strip() for cell in (_quoted_cells(path, line, by) if '"' in line else line.split(by))]


def _quoted_cells(path, line, by):
    try:
        return next(csv.reader([line], delimiter=by))
    except csv.Error as problem:
        raise BadData(f"{path}: {problem}; is this a table?") from problem


def _bare(cell):
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def find_join(path: Path | str, rows: pd.DataFrame, table: pd.DataFrame) -> Join:
    """The first of KEYS of which any value of ``rows`` is one of the labels ``table``.

    Where no gene_id is, they are compared without the version behind them. Raises BadData where no key fits.
    """
    present = [key for key in KEYS if key in rows]
    keys = [key for key in present if key in table]
    if not keys:
        names = ", without its row names, which have no header" if rows.attrs[ROW_NAMES] else ""
        lacking = f"; the labels have no {present[0]}" if present else f"; it has {', '.join(rows.columns[:8])}{names}"
        raise BadData(f"{path}: no column {', '.join(KEYS[:-1])} or {KEYS[-1]}, by which to find an intron or gene"
                      + lacking)  # fmt: skip
    joins = {key: Join(key, rows[key].mask(rows[key].isin(["", MISSING])), _first_names(table[key])) for key in keys}
    for key, join in joins.items():
        passed = f"matched by {key}, as no {keys[0]} is one of the labels" if key != keys[0] else ""
        if _fits(join):
            return replace(join, note=passed)
        if key == "gene_id":
            bare = Join(key, _unversioned(join.of_rows), _unversioned(join.of_labels))
            if _fits(bare):
                return replace(
                    bare, note="matched by gene_id without its version, as none is one of the labels with it"
                )
    join = joins[keys[0]]
    first = [next(iter(values.dropna()), "") for values in (join.of_rows, table[join.key])]
    raise BadData(
        f"{path}: no {join.key} is one of the labels; it holds names like {first[0]!r}, labels like {first[1]!r}"
    )


def _fits(join):
    return join.of_labels.dropna().isin(join.of_rows.dropna()).any()


def _first_names(values):
    """The first of several names joined by a comma, as a peak over several introns has them."""
    return values.astype(object).where(values.notna()).map(lambda text: str(text).split(",")[0], na_action="ignore")


def _unversioned(keys):
    return keys.map(lambda key: match[1] if (match := _VERSION.fullmatch(key)) else key, na_action="ignore")


def joined_columns(path: Path | str, join: Join, columns: pd.DataFrame) -> pd.DataFrame:
    """The columns in the order of the labels, NaN where their key is not in the table.

    Raises BadData where the labels need a key that occurs more than once with different values.
    """
    needed = columns[join.of_rows.isin(join.of_labels.dropna())]
    keys = join.of_rows[needed.index]
    different = needed.assign(**{join.key: keys}).drop_duplicates()
    twice = different[join.key].duplicated()
    if twice.any():
        key = different[join.key][twice].iloc[0]
        lines = list(keys.index[keys == key])
        raise BadData(
            f"{path}: {join.key} {key!r} occurs {len(lines)} times, with different values (lines {lines[0]} and "
            f"{twice.index[twice][0]}); leave one of them"
        )
    first = needed[~keys.duplicated()]
    return first.set_axis(keys[first.index]).reindex(join.of_labels).set_axis(join.of_labels.index)


def without_missing_words(values: pd.Series) -> pd.Series:
    """A column of text with NaN for MISSING_WORDS, and for MISSING_AMONG_NUMBERS where all the others are numbers."""
    values = values.mask(values.isin(MISSING_WORDS))
    among = values.mask(values.isin(MISSING_AMONG_NUMBERS))
    is_number = pd.to_numeric(among, errors="coerce").notna()
    return among if is_number.any() and is_number.sum() == among.notna().sum() else values


def other_notation(values: pd.Series) -> tuple[int, str] | None:
    """The row of the first cell that is a number in a notation that is not read, and what to write in its place.

    None unless more than half of the known cells are numbers in any notation.
    """
    known = values.mask(values.isin(MISSING_WORDS + MISSING_AMONG_NUMBERS))
    text = known.notna() & pd.to_numeric(known, errors="coerce").isna()
    advice = known[text].map(_advice)
    odd = advice.notna()
    if not odd.any() or 2 * (text.sum() - odd.sum()) >= known.notna().sum():
        return None
    first = odd.to_numpy().nonzero()[0][0]
    return int(text.to_numpy().nonzero()[0][first]), advice.iloc[first]


def refuse_other_notation(path: Path | str, cells: pd.Series) -> None:
    """Raise BadData for a column of :func:`read_covariate_table` with numbers in a notation that is not read."""
    if odd := other_notation(cells):
        row, advice = odd
        raise BadData(f"{path}: line {cells.index[row]}: {cells.name} is {cells.iloc[row]!r}; {advice}")


def _advice(cell):
    return next((advice for pattern, advice in _NOTATIONS.items() if pattern.fullmatch(str(cell))), None)
