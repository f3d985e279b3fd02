"""Junctions of STAR and coverage tracks (bigWig, bedGraph) as arrays, for libraries of which no alignments are left.

Coordinates are 0-based, half-open, on the forward strand.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.core.files import require_file
from intronaut.io.bedgraph import bedgraph_blocks
from intronaut.io.bigwig import broken_bigwig_refused, check_blocks, is_bigwig
from intronaut.io.delimited import LARGEST_POSITION
from intronaut.io.text import numbered_lines

# column 4 of SJ.out.tab
_STRANDS = {"0": ".", "1": "+", "2": "-"}
_SAMPLED = 10_000
# how far from a whole multiple of the unit a value may be, in parts of itself but never more than a quarter of the unit
_SLACK, _MOST_SLACK, _SHARE_WHOLE = 0.01, 0.25, 0.99


def read_junctions(path: Path | str, overhang: int) -> pd.DataFrame:
    """Read STAR's ``SJ.out.tab`` into a DataFrame chrom, start, end, strand, count.

    Counted are uniquely mapped reads (column 7) of junctions with a longest overhang (column 9) of at least
    ``overhang``. Raises BadData that lists every line that is no junction.
    """
    problems, rows = Problems(path), []
    for number, line in numbered_lines(path):
        fields = line.split("\t")
        if not line:
            continue
        if len(fields) < 9 or not all(fields[i].isdecimal() for i in (1, 2, 6, 8)) or fields[3] not in _STRANDS:
            problems.add(f"{line[:40]!r} is no line of STAR's SJ.out.tab (9 columns)", number)
        elif not 0 < int(fields[1]) <= int(fields[2]) <= LARGEST_POSITION:
            problems.add(f"{fields[1]} to {fields[2]} is no intron", number)
        elif int(fields[6]) and int(fields[8]) >= overhang:
            rows.append((fields[0], int(fields[1]) - 1, int(fields[2]), _STRANDS[fields[3]], int(fields[6])))
    problems.raise_if_any()
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "strand", "count"])


def read_coverage(path: Path | str) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Read a bigWig or bedGraph (plain or gzip) file: dict from chromosome to (starts, ends, values) arrays.

    Values are absolute: tracks of the minus strand are often negative. NaN is no read, as a base without a line is.
    Raises BadData.
    """
    require_file(path)
    return _read_bigwig(path) if is_bigwig(path) else _read_bedgraph(path)


def _read_bigwig(path):
    import pybigtools

    check_blocks(path)
    with broken_bigwig_refused(path), pybigtools.open(str(path)) as file:
        rows = {chrom: list(file.records(chrom)) for chrom in file.chroms()}
    return {chrom: _columns(np.array(values, float).reshape(-1, 3)) for chrom, values in rows.items()}


def _columns(rows):
    rows = rows[~np.isnan(rows[:, 2])]
    return rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64), np.abs(rows[:, 2])


def _read_bedgraph(path):
    parts = {}
    for chroms, start, end, value, _ in bedgraph_blocks(path):
        for chrom in dict.fromkeys(chroms):
            here = chroms == chrom
            parts.setdefault(chrom, []).append((start[here], end[here], np.abs(value[here])))
    if not parts:
        raise BadData(f"{path}: no coverage in it; a bedGraph or bigWig was expected")
    return {chrom: tuple(map(np.concatenate, zip(*blocks, strict=True))) for chrom, blocks in parts.items()}


def coverage_unit(values: np.ndarray, source: str) -> float:
    """What one read adds to the values of a coverage track: 1, or the unit of a track scaled to reads per million.

    Raises BadData when the values are no whole multiples of their smallest positive one.
    """
    values = values[values > 0]
    values = values[:: max(1, len(values) // _SAMPLED)]
    if not len(values) or np.all(values == np.rint(values)):
        return 1.0
    unit = values.min()
    # the smallest value is rounded most; those of a few reads tell the unit better
    few = values[values <= 20 * unit]
    unit = float(np.mean(few / np.rint(few / unit)))
    reads = values / unit
    off = np.abs(reads - np.rint(reads))
    if np.mean(off <= np.minimum(_SLACK * np.maximum(reads, 1), _MOST_SLACK)) < _SHARE_WHOLE:
        raise BadData(f"{source}: its values are no whole multiples of one unit, so no counts of reads; "
                      "give what one read adds as --coverage-scale")  # fmt: skip
    return unit
