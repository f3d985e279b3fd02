"""Counts of introns without alignments: from junctions and coverage, or from a table of counts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.io.coverage import coverage_unit, read_coverage, read_junctions
from intronaut.labels.caller_tables import check_places, numbers, text_table, whole_numbers
from intronaut.labels.fragment_counts import CLASS_BITS, ChromCounts, junction_keys, next_measurable
from intronaut.labels.read_counts import OVERHANG, SHORT, Introns, SampleCounts
from intronaut.labels.retention import BODY, COUNTS, LEVELS, add_levels

COVERAGE = "coverage"
# the columns of a table of counts; ``sample`` may be lacking
COUNT_COLUMNS = ("chrom", "start", "end", "strand", "sample", "retained", "spliced")
# classes of fragment_counts: of a forward library where coverage has a strand, else by the strand of the junction
_STRANDED = {"+": (0,), "-": (3,), ".": (0, 3)}
_UNSTRANDED = {"+": (1,), "-": (2,), ".": (0,)}


def coverage_counts(
    files: dict[str, str], introns: Introns, overhang: int | None, scale: float | None, names_of: Callable
) -> tuple[SampleCounts, float]:
    """The SampleCounts of junctions and coverage, and the unit of the coverage.

    Args:
        files: dict with ``junctions`` and ``coverage``, or ``coverage_plus`` and ``coverage_minus``.
        introns: Introns; ``overhang``: least longest overhang of a junction, None for that of short reads.
        scale: what one read adds to the coverage, None to infer it.
        names_of: function from a list of chromosome names and their file to a dict to the annotation's names or None.
    """
    overhang = overhang or OVERHANG[SHORT]
    tracks = {sign: files[name] for sign, name in ((".", "coverage"), ("+", "coverage_plus"), ("-", "coverage_minus"))
              if name in files}  # fmt: skip
    library, classes = ("unstranded", _UNSTRANDED) if "." in tracks else ("forward", _STRANDED)
    chroms = introns.chroms(overhang)
    counts = {}
    junctions = read_junctions(files["junctions"], overhang)
    names = names_of(list(junctions["chrom"].unique()), files["junctions"])
    for (chrom, strand), rows in junctions.groupby(["chrom", "strand"]):
        if names[chrom] in chroms:
            about = chroms[names[chrom]][1]
            chrom_counts = counts.setdefault(names[chrom], ChromCounts(len(about.points)))
            _add_junctions(chrom_counts, about, rows, classes[strand])
    coverage = {sign: read_coverage(path) for sign, path in tracks.items()}
    every = [values for track in coverage.values() for _, _, values in track.values()]
    unit = scale or coverage_unit(np.concatenate(every), ", ".join(tracks.values()))
    for sign, track in coverage.items():
        names = names_of(list(track), tracks[sign])
        for chrom, (start, end, values) in track.items():
            if names[chrom] in chroms:
                about = chroms[names[chrom]][1]
                chrom_counts = counts.setdefault(names[chrom], ChromCounts(len(about.points)))
                _add_coverage(
                    chrom_counts, about, start, end, np.rint(values / unit).astype(np.int64), classes[sign][0]
                )
    return SampleCounts(COVERAGE, overhang, 0, library, None, chroms=counts), unit


def _add_junctions(counts, about, rows, kinds):
    start, end, n = (rows[name].to_numpy(np.int64) for name in ("start", "end", "count"))
    for kind in kinds:
        counts.junctions.add(junction_keys(start, end, kind), n)
        for table, place in ((counts.spliced_left, start), (counts.spliced_right, end)):
            point = np.searchsorted(about.points, place)
            known = np.append(about.points, -1)[point] == place
            table.add(counts.cells(kind, point[known]), n[known])


def _add_coverage(counts, about, start, end, depth, kind):
    measurable = about.measurable()
    for place, change in ((start, depth), (end, -depth)):
        counts.depth.add((next_measurable(measurable, place) << CLASS_BITS) + kind, change)


def read_count_table(path: Path | str, sample: str, base: int, columns: dict[str, str]) -> pd.DataFrame:
    """The rows of a sample in a table of counts: chrom, start, end, strand, retained, spliced.

    Args:
        sample: taken are its rows, where there is a column of samples.
        base: the first base of a chromosome, 0 or 1.
        columns: dict from COUNT_COLUMNS to the table's names; of names joined by ``+`` the mean is taken.

    Raises:
        BadData: lists every line that cannot be; or no row is of the sample.
    """
    table, problems = text_table(path), Problems(path)
    named = {name: columns.get(name, name).split("+") for name in COUNT_COLUMNS}
    lacking = [part for name, parts in named.items() if name != "sample" or name in columns
               for part in parts if part not in table]  # fmt: skip
    if lacking:
        raise BadData(
            f"{path}: no column {', '.join(lacking)}; it has {', '.join(table.columns)}; see --counts-columns"
        )
    column = named["sample"][0]
    if column in table:
        if not (table[column] == sample).any():
            raise BadData(
                f"{path}: no row of sample {sample}; it has {', '.join(map(str, table[column].unique()[:8]))}"
            )
        table = table[table[column] == sample]
    rows = pd.DataFrame({"chrom": table[named["chrom"][0]], "strand": table[named["strand"][0]].fillna(".")})
    rows["start"] = whole_numbers(table[named["start"][0]], problems) - base
    rows["end"] = whole_numbers(table[named["end"][0]], problems)
    for name in ("retained", "spliced"):
        rows[name] = sum(numbers(table[part], problems) for part in named[name]) / len(named[name])
        for line in rows.index[rows[name] < 0]:
            problems.add(f"{name} is {rows[name][line]:g}; counts are not negative", line)
    check_places(rows, problems)
    for line in rows.index[rows.duplicated(["chrom", "start", "end", "strand"])]:
        problems.add("the same intron of the same sample again", line)
    problems.raise_if_any()
    return rows


def match_count_table(introns: pd.DataFrame, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Retained, spliced and levels of every intron from a table of counts, and the rows that are no annotated intron.

    Args:
        introns: DataFrame chrom, start, end, strand; ``rows``: as from :func:`read_count_table`, in the same names.

    Returns:
        DataFrame with method, LEVELS, COUNTS, BODY, measured, balance, ends, one row an intron; the rows left out with
        their ``reason``.
    """
    known = introns[["chrom", "start", "end", "strand"]].assign(intron=np.arange(len(introns)))
    rows = rows.assign(row=np.arange(len(rows)))
    pairs = rows.merge(known, how="left", on=["chrom", "start", "end"], suffixes=("", "_known"))
    fits = pairs["intron"].notna() & ((pairs["strand"] == pairs["strand_known"]) | (pairs["strand"] == "."))
    matched = pairs[fits].drop_duplicates("intron").set_index("intron")
    lost = pairs[~pairs["row"].isin(pairs.loc[fits, "row"])].drop_duplicates("row")
    reason = np.where(lost["intron"].notna(), "other_strand", "not_annotated")
    lost = lost.assign(reason=np.where(lost["chrom"].isin(known["chrom"]), reason, "chrom_not_annotated"))
    table = pd.DataFrame(np.nan, index=range(len(known)), columns=[*LEVELS, *COUNTS, *BODY, "measured", "balance"])
    for name in ("retained", "spliced"):
        table[name] = matched[name].reindex(table.index)
    add_levels(table)
    table["method"] = np.where(table["n"].notna(), "counts", "none")
    return table.assign(ends="none", enough_body=False), lost[["chrom", "start", "end", "strand", "reason"]]
