"""A table of no known caller, described by the user: which columns are places, values and reads."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems, UsageError
from intronaut.labels.caller_tables import PLACE, REPEATED, numbers, places, whole_numbers
from intronaut.labels.rows import call_rows

if TYPE_CHECKING:
    from intronaut.labels.call_options import CallOptions

PLACE_NAMES = {
    "chrom": ("chrom", "chr", "chromosome", "seqname", "seqnames", "seqid"),
    "start": ("start", "chromstart", "left", "begin"),
    "end": ("end", "chromend", "stop", "right"),
    "strand": ("strand",),
}
_ROLES = (*PLACE_NAMES, "place")
# a threshold below says: whatever is measured, on any scale
_LEAST_SHARE = 0.001


def read_generic(path: Path | str, table: pd.DataFrame, options: CallOptions, problems: Problems) -> pd.DataFrame:
    """The rows of the table, see :mod:`intronaut.labels.callers`: every value column is a caller.

    A missing value is no measurement. Where the columns of ``options.evidence`` hold fewer reads than asked for, the
    value decides nothing. With the scale ``percent`` values and thresholds become parts of 1.

    Raises:
        UsageError: an option is lacking that the table needs.
        BadData: a column is lacking, or the threshold is of another scale than the values.
    """
    _require_options(path, table, options)
    table = _chosen_rows(path, table, options.rows)
    chrom, start, end, strand = _places(path, table, options, problems)
    enough = pd.Series(True, table.index)
    for name, least in options.evidence.items():
        enough &= numbers(table[_present(path, table, name)], problems) >= least
    # without a threshold of its own, whatever is measured and not retained is spliced
    spliced = np.nextafter(options.retained, -np.inf) if options.spliced is None else options.spliced
    names = {caller: name for pattern in options.values for caller, name in _matching(path, table, pattern)}
    whole = 100 if options.scale == "percent" else 1
    tables = []
    for caller, name in names.items():
        values = numbers(table[name], problems)
        _check_scale(f"{path}: column {name}", values.min(), values.max(), options)
        rows = call_rows(chrom, start, end, strand, values / whole, enough, enough)
        tables.append(rows.assign(caller=caller, retained=options.retained / whole, spliced=spliced / whole))
    return pd.concat(tables)


def _check_scale(column, least, most, options):
    """Refuse values that are no per cent where they should be, and a threshold of another scale than the values."""
    threshold = options.retained
    if options.scale == "percent" and (least < 0 or most > 100):
        raise BadData(f"{column}: values from {least:g} to {most:g} are no per cent; leave out --calls-scale percent")
    if options.scale != "auto":
        return
    if least < 0:
        raise BadData(
            f"{column}: values down to {least:g}, but no level of retention is below 0; are they differences? "
            "--calls-scale other takes them as they are"
        )
    if _LEAST_SHARE <= threshold < 1 < most <= 100:
        raise BadData(
            f"{column}: values up to {most:g}, but a threshold of {threshold:g}. If they are per cent, give the "
            f"threshold in per cent, as {100 * threshold:g}, and --calls-scale percent; if not, --calls-scale other"
        )
    if most <= 1 < threshold:
        raise BadData(
            f"{column}: no value above {most:g}, but a threshold of {threshold:g}; give it as a part of 1, or "
            "--calls-scale percent where values are per cent"
        )


def _require_options(path, table, options):
    lacking = [
        f"--calls-{name} ({what}; in the pipeline --ir_{name})"
        for name, value, what in (
            ("base", options.base, "0 when starts count from 0 as in BED, 1 as in GTF"),
            ("value", options.values or None, "the column with the retention level"),
            ("threshold", options.retained, "the level from which an intron is retained"),
        )
        if value is None
    ]
    if lacking:
        raise UsageError(
            f"{path}: no caller's table that is known ({', '.join(table.columns[:6])} …); for a table of your own give "
            + ", ".join(lacking)
            + (", and a first line of column names" if "column_1" in table else "")
        )
    for role in options.names:
        if role not in _ROLES:
            raise UsageError(f"--calls-columns {role}=…: {role} is none of {', '.join(_ROLES)}")


def _chosen_rows(path, table, rows):
    for name, values in rows.items():
        table = table[table[_present(path, table, name)].isin(values)]
        if table.empty:
            raise BadData(f"{path}: no row with {name} {' or '.join(values)}")
    return table


def _places(path, table, options, problems):
    """The chrom, start, end and strand of every row: from three columns, or from one that holds chrom:start-end."""
    one = _place_column(path, table, options.names)
    if one is None:
        columns = {role: _column(path, table, role, options.names) for role in PLACE_NAMES}
        start = whole_numbers(table[columns["start"]], problems) - options.base
        end = whole_numbers(table[columns["end"]], problems)
        return table[columns["chrom"]], start, end, table[columns["strand"]] if columns["strand"] else "."
    chrom, start, end, strand = places(table[one], options.base, problems)
    column = _column(path, table, "strand", options.names)
    if column not in (None, one):
        strand = strand.where(strand != ".", table[column])
    return chrom, start, end, strand


def _place_column(path, table, names):
    """The column that holds whole places: the one that is named, or where no column is a chromosome, the first."""
    if "place" in names or len({names.get(role) for role in ("chrom", "start", "end")} - {None}) == 1:
        return _present(path, table, names.get("place") or names.get("chrom") or names.get("start") or names.get("end"))
    if "chrom" in names or any(name.lower() in PLACE_NAMES["chrom"] for name in table.columns):
        return None
    return next((name for name in table.columns if table[name].dropna().str.fullmatch(PLACE).all()
                 and table[name].notna().any()), None)  # fmt: skip


def _present(path, table, name):
    if name not in table:
        raise BadData(f"{path}: no column {name}; it has {', '.join(table.columns)}")
    if name in table.attrs[REPEATED]:
        raise BadData(f"{path}: several columns {name}; give each a name of its own")
    return name


def _column(path, table, role, names):
    if role in names:
        return _present(path, table, names[role])
    column = next((name for name in table.columns if name.lower() in PLACE_NAMES[role]), None)
    if column is None and role != "strand":
        raise BadData(f"{path}: no column for {role} among {', '.join(table.columns)}; name it by --calls-columns")
    return column and _present(path, table, column)


def _matching(path, table, pattern):
    names = [_present(path, table, name) for name in table.columns if fnmatch.fnmatchcase(name, pattern)]
    if not names:
        raise BadData(f"{path}: no column {pattern}; it has {', '.join(table.columns)}")
    before, star, after = pattern.partition("*")
    return [(name[len(before) : len(name) - len(after)] if star else name, name) for name in names]
