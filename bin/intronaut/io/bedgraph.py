"""bedGraph: its lines as arrays, and base-level values of windows as the lines of one.

Written is one value a base of the genome, on the forward strand, sorted; where windows overlap, a base has the mean of
their values. Coordinates are 0-based, half-open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.core.errors import Problems
from intronaut.io.delimited import LARGEST_POSITION, cut_at_spaces, read_lines
from intronaut.io.text import numbered_lines

if TYPE_CHECKING:
    from intronaut.io.fasta import Window

_HEADERS = ("#", "track", "browser")
# first letters of lines that may hold no interval
_DOUBTFUL = list(b"#tb\t")
# how programs write a value that is not known
_NOT_MEASURED = ("nan", "+nan", "-nan")


def bedgraph_blocks(path: Path | str) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield ``(chrom, start, end, value, line number)`` arrays of the lines of a bedGraph file, some at a time.

    Lines of NaN are left out: their bases are not measured. Raises BadData that lists every broken line, at the end.
    """
    problems = Problems(path)
    for lines in map(cut_at_spaces, read_lines(path)):
        rows = np.flatnonzero(lines.start < lines.end)
        doubtful = rows[np.isin(lines.initial[rows], _DOUBTFUL)]
        rows = np.setdiff1d(rows, [row for row in doubtful if _holds_none(lines.line(row))])
        whole = rows[lines.n_columns[rows] >= 4]
        start, end = (lines.column(k, whole).numbers() for k in (1, 2))
        words = pd.Series(lines.column(3, whole).words(), dtype=object)
        value = pd.to_numeric(words, errors="coerce").to_numpy(float)
        unmeasured = np.isnan(value)
        unmeasured[unmeasured] = words[unmeasured].str.lower().isin(_NOT_MEASURED)
        sound = (start >= 0) & (start < end) & (end <= LARGEST_POSITION) & (np.isfinite(value) | unmeasured)
        for row in np.setdiff1d(rows, whole[sound]):
            problems.add(f"{lines.line(row)[:60]!r} is not chrom, start, end and a number", lines.first + int(row))
        measured = sound & ~unmeasured
        chrom = np.array(lines.column(0, whole[measured]).repeated_words(), object)
        yield chrom, start[measured], end[measured], value[measured], lines.first + whole[measured]
    problems.raise_if_any()


def _holds_none(line):
    return line.isspace() or line.startswith(_HEADERS)


def forward_values(window: Window, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(places, values)`` of the bases A, C, G, T of a window on the forward strand of the genome, increasing.

    ``values`` ``(length,)`` run as the window reads: a window of the minus strand is reversed.
    """
    known = np.isin(np.frombuffer(window.sequence.encode(), "S1"), [b"A", b"C", b"G", b"T"])
    values = np.asarray(values)[: len(known)]
    if window.strand == "-":
        known, values = known[::-1], values[::-1]
    offsets = np.flatnonzero(known & (window.start + np.arange(len(known)) >= 0))
    return window.start + offsets, values[offsets]


def merged_blocks(
    windows: list[Window], values_of: Callable[[int], np.ndarray]
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield ``(chrom, start, values)`` of runs of neighbouring bases, sorted by chromosome name and start.

    ``windows`` have coordinates; ``values_of(number)`` gives the values of a window, as it reads.
    """
    order = sorted(range(len(windows)), key=lambda number: (windows[number].chrom, windows[number].start, number))
    together, chrom, end = [], None, 0
    for number in order:
        window = windows[number]
        if together and (window.chrom != chrom or window.start >= end):
            yield from _blocks(chrom, together)
            together = []
        end = window.end if not together else max(end, window.end)
        chrom = window.chrom
        together.append(forward_values(window, values_of(number)))
    if together:
        yield from _blocks(chrom, together)


def _blocks(chrom, together):
    places = np.concatenate([places for places, _ in together])
    if not len(places):
        return
    first = places.min()
    sums, counts = (
        np.bincount(places - first, weights) for weights in (np.concatenate([values for _, values in together]), None)
    )
    covered = np.flatnonzero(counts)
    for run in np.split(covered, np.flatnonzero(np.diff(covered) > 1) + 1):
        yield chrom, int(first + run[0]), sums[run] / counts[run]


def bedgraph_rows(blocks: Iterable[tuple[str, int, np.ndarray]]) -> Iterator[tuple[str, int, int, str]]:
    """Yield ``(chrom, start, end, text of the value)``; neighbours of one value, to six digits, share a line."""
    for chrom, start, values in blocks:
        texts = [f"{value:.6g}" for value in values]
        first = 0
        for place in range(1, len(texts) + 1):
            if place == len(texts) or texts[place] != texts[first]:
                yield chrom, start + first, start + place, texts[first]
                first = place


def read_chrom_sizes(path: Path | str) -> dict[str, int]:
    """Name → length from the first two columns of a chrom.sizes or .fai file. Raises BadData."""
    sizes, problems = {}, Problems(path)
    for number, line in numbered_lines(path):
        fields = line.split("\t")
        if len(fields) < 2 or not fields[1].isdecimal():
            problems.add(f"{line[:40]!r} is not 'name<tab>length'", number)
        elif line:
            sizes[fields[0]] = int(fields[1])
    problems.raise_if_any()
    return sizes


def check_places(windows: list[Window], sizes: dict[str, int], path: Path | str) -> None:
    """Raise BadData that lists the windows with bases beyond the chromosome ``sizes`` of the file ``path``."""
    problems = Problems(path)
    for window in windows:
        if window.chrom is None:
            continue
        places, _ = forward_values(window, np.zeros(len(window.sequence)))
        if len(places) and places[-1] >= sizes.get(window.chrom, 0):
            known = f"ends at {sizes[window.chrom]:,}" if window.chrom in sizes else "is not in it"
            problems.add(f"window {window.name!r} reaches {window.chrom}:{places[-1] + 1:,}; {window.chrom} {known}")
    problems.raise_if_any()


def write_bigwig(path: Path, rows: Iterable[tuple[str, int, int, float]], sizes: dict[str, int]) -> None:
    """Write sorted ``(chrom, start, end, value)`` rows, at least one, as bigWig."""
    import pybigtools

    out = pybigtools.open(str(path), "w")
    out.write(sizes, ((chrom, start, end, float(value)) for chrom, start, end, value in rows))
    out.close()
