"""Measured values along the genome, base by base: bigWig, bedGraph, and peaks in BED or narrowPeak.

Where a bigWig or bedGraph has no value, nothing is known: NaN, never 0. Peaks are 1 inside and 0 outside. Coordinates
are 0-based, half-open.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.core.files import require_file
from intronaut.io.bedgraph import bedgraph_blocks
from intronaut.io.bigwig import broken_bigwig_refused, check_blocks, is_bigwig
from intronaut.io.peaks import read_peaks
from intronaut.io.tables import read_numbered_table

SUFFIXES = {
    "bigwig": (".bw", ".bigwig"), "bedgraph": (".bedgraph", ".bdg", ".bg"),
    "peaks": (".bed", ".narrowpeak", ".broadpeak"),
}  # fmt: skip
SHEET_COLUMNS = ("path", "target", "cell", "kind")


@dataclass
class Entry:
    """One row of a sheet: a file, and the target, cell type and kind that it is of."""

    path: Path
    target: str
    cell: str
    kind: str


def read_sheet(path: Path | str) -> list[Entry]:
    """The Entries of a table with the columns path, target, cell, kind; paths are relative to its folder.

    Raises BadData that lists empty cells, files that are not there and rows that say the same.
    """
    table, lines = read_numbered_table(path, SHEET_COLUMNS, unquote=True)
    problems, entries, seen = Problems(path), [], {}
    for line, row in zip(lines, table.itertuples(index=False), strict=True):
        values = {name: getattr(row, name) for name in SHEET_COLUMNS}
        lacking = [name for name, value in values.items() if pd.isna(value) or not str(value).strip()]
        if lacking:
            problems.add(f"no {' and no '.join(lacking)}", line)
            continue
        entry = Entry(Path(path).parent / values["path"], values["target"], values["cell"], values["kind"])
        if not entry.path.is_file():
            problems.add(f"no such file: {entry.path}", line)
        if (first := seen.setdefault((entry.target, entry.cell, str(entry.path)), line)) != line:
            problems.add(f"the same as line {first}", line)
        entries.append(entry)
    problems.raise_if_any()
    if not entries:
        raise BadData(f"{path}: no tracks; expected one row per file with path, target, cell, kind")
    return entries


def open_track(path: Path) -> BigWig | Intervals:
    """A track of ``path``, by its first bytes or its name: an object with ``chroms`` (name → length or None) and
    ``values(chrom, start, end)``, a float64 array."""
    require_file(path)
    if is_bigwig(path):
        return BigWig(path)
    name = str(path).lower().removesuffix(".gz")
    kind = next((kind for kind, suffixes in SUFFIXES.items() if name.endswith(suffixes)), None)
    if kind == "bedgraph":
        return Intervals(*read_bedgraph(path), outside=np.nan)
    if kind == "peaks":
        peaks = read_peaks(path, unique_names=False)
        return Intervals(peaks["chrom"], peaks["start"], peaks["end"], np.ones(len(peaks)), outside=0.0)
    what = "a bigWig" if kind == "bigwig" else "bigWig, bedGraph (.bedGraph, .bdg, .bg), BED or narrowPeak"
    raise BadData(f"{path}: not {what} by its first bytes or its name")


class BigWig:
    """A bigWig file, read by coordinates."""

    def __init__(self, path: Path) -> None:
        import pybigtools

        self.path = path
        check_blocks(path)
        with broken_bigwig_refused(path):
            self.file = pybigtools.open(str(path))
            self.chroms = dict(self.file.chroms())

    def values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """The values of ``[start, end)``; NaN without one and beyond the chromosome."""
        signal = np.full(end - start, np.nan)
        first, last = max(start, 0), min(end, self.chroms[chrom])
        if first < last:
            with broken_bigwig_refused(self.path, f" at {chrom}:{first}-{last}"):
                signal[first - start : last - start] = self.file.values(chrom, first, last, fillna=None)
        return signal


class Intervals:
    """Values of intervals in memory, ``outside`` elsewhere; where peaks overlap the largest value counts."""

    def __init__(
        self,
        chrom: np.ndarray | pd.Series,
        start: np.ndarray | pd.Series,
        end: np.ndarray | pd.Series,
        value: np.ndarray,
        outside: float,
    ) -> None:
        table = pd.DataFrame({"chrom": chrom, "start": start, "end": end, "value": value})
        table = table.sort_values(["chrom", "start"], kind="stable")
        self.outside, self.chroms, self.parts = outside, {}, {}
        for name, rows in table.groupby("chrom", sort=False):
            starts, ends, values = (rows[column].to_numpy() for column in ("start", "end", "value"))
            self.parts[name] = starts, ends, values, np.maximum.accumulate(ends)
            self.chroms[name] = None

    def values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """The values of ``[start, end)``."""
        signal = np.full(end - start, self.outside)
        starts, ends, values, reach = self.parts[chrom]
        first, last = np.searchsorted(reach, start, side="right"), np.searchsorted(starts, end, side="left")
        for at in range(first, last):
            stretch = signal[max(starts[at] - start, 0) : max(ends[at] - start, 0)]
            np.fmax(stretch, values[at], out=stretch)
        return signal


def read_bedgraph(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``(chrom, start, end, value)`` arrays of a bedGraph file, without the lines of NaN: these are not measured.

    Raises BadData that lists every broken line, or names the first line that overlaps one before it.
    """
    blocks = list(bedgraph_blocks(path))
    if not any(len(numbers) for *_, numbers in blocks):
        raise BadData(f"{path}: no values in it")
    chrom, start, end, value, numbers = map(np.concatenate, zip(*blocks, strict=True))
    _refuse_overlaps(path, chrom, start, end, numbers)
    return chrom, start, end, value


def _refuse_overlaps(path, chrom, start, end, numbers):
    """Raise BadData that names the first line with a base that a line before it has a value of."""
    codes = pd.factorize(chrom)[0]
    order = np.lexsort((start, codes))
    start_after, same = start[order][1:], codes[order][1:] == codes[order][:-1]
    if not np.any(same & (start_after < end[order][:-1])):
        return
    starts, lines = {}, {}
    for row, name in enumerate(chrom):
        before, line_of = starts.setdefault(name, []), lines.setdefault(name, {})
        place = bisect.bisect_left(before, end[row])
        # of those before, which do not overlap, the last one to start before its end reaches furthest
        if place and end[other := line_of[before[place - 1]]] > start[row]:
            raise BadData(
                f"{path}: line {numbers[row]}: {name}:{start[row]}-{end[row]} overlaps line {numbers[other]}, "
                f"{start[other]}-{end[other]}; a bedGraph has one value a base"
            )
        before.insert(place, start[row])
        line_of[start[row]] = row
