"""CIGAR strings as arrays: the blocks, junctions and crossed positions of an alignment, relative to its first base.

A block is a run of M, =, X, D and I between two N: the molecule goes through a deletion. Aligned bases are M, = and X.
"""

import re
from array import array
from dataclasses import dataclass

import numpy as np

_OPERATION = re.compile(r"(\d+)([MIDNSHP=X])")
_ALIGNED = frozenset("M=X")
NO_ALIGNMENT = -1
_PARTS = ("blocks", "crossings", "junctions")


@dataclass
class Shapes:
    """The shapes of alignments as ragged arrays: row i of a part is ``values[offsets[i]:offsets[i + 1]]``.

    Args:
        blocks: (offsets, starts, ends), half-open.
        crossings: (offsets, first, last) of the positions that a block crosses with enough aligned bases on either
            side; position b lies before base b; both included.
        junctions: (offsets, starts, ends) of the N with enough aligned bases on either side, half-open.
        spliced: bool, one a shape: whether it has an N at all.
    """

    blocks: tuple
    crossings: tuple
    junctions: tuple
    spliced: np.ndarray


class ShapeNumbers(dict):
    """CIGAR string → number of its shape, NO_ALIGNMENT without an aligned base; every string is parsed once.

    ``overhang`` is the least number of aligned bases on either side of a junction or of a crossed position.
    """

    def __init__(self, overhang: int) -> None:
        super().__init__()
        self.overhang = overhang
        # offsets, first and second column of each part; 64-bit arrays grow in place and copy at once
        self._parts = {name: (array("q", [0]), array("q"), array("q")) for name in _PARTS}
        self._spliced = array("b")

    def __missing__(self, cigar: str) -> int:
        number = self[cigar] = self._parsed(cigar)
        return number

    def _parsed(self, cigar):
        parts = read_cigar(cigar, self.overhang)
        if parts is None:
            return NO_ALIGNMENT
        for name, rows in zip(_PARTS, parts, strict=True):
            offsets, first, second = self._parts[name]
            offsets.append(offsets[-1] + len(rows))
            for start, end in rows:
                first.append(start)
                second.append(end)
        self._spliced.append("N" in cigar)
        return len(self._spliced) - 1

    def table(self) -> Shapes:
        """The Shapes of all numbers so far."""
        parts = {name: tuple(map(np.array, columns)) for name, columns in self._parts.items()}
        return Shapes(**parts, spliced=np.array(self._spliced, bool))


def read_cigar(cigar: str, overhang: int) -> tuple[list[tuple[int, int]], ...] | None:
    """``(blocks, crossings, junctions)`` of one CIGAR string, lists of pairs; None without an aligned base."""
    runs, blocks, cuts = [[]], [], []
    place = start = n_aligned = 0
    for size, operation in _OPERATION.findall(cigar or ""):
        size = int(size)
        if operation in _ALIGNED:
            runs[-1].append((place, place + size))
            place += size
            n_aligned += size
        elif operation == "D":
            place += size
        elif operation == "N":
            blocks.append((start, place))
            cuts.append((place, place + size, n_aligned))
            place += size
            start = place
            runs.append([])
    if not n_aligned:
        return None
    blocks.append((start, place))
    crossings = [_crossed(run, overhang) for run in runs if sum(end - start for start, end in run) >= 2 * overhang]
    junctions = [(start, end) for start, end, n in cuts if n >= overhang and n_aligned - n >= overhang]
    return [block for block in blocks if block[0] < block[1]], crossings, junctions


def _crossed(run, overhang):
    """The first and last position with ``overhang`` aligned bases of the block on either side."""
    return _after(run, overhang), -_after([(-end, -start) for start, end in reversed(run)], overhang)


def _after(run, n):
    """The position behind the n-th aligned base of a block."""
    for start, end in run:
        if end - start >= n:
            return start + n
        n -= end - start
    raise AssertionError("the block has fewer aligned bases than asked for")


def take(
    part: tuple[np.ndarray, np.ndarray, np.ndarray], shapes: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows of a part of Shapes for alignments of these ``shapes`` that start at ``places``.

    Returns:
        alignment (row of ``shapes``, not decreasing), first and second column in genome coordinates: int64 arrays.
    """
    offsets, first, second = part
    size = offsets[shapes + 1] - offsets[shapes]
    alignment = np.repeat(np.arange(len(shapes)), size)
    within = np.arange(len(alignment)) - np.repeat(np.cumsum(size) - size, size)
    rows = offsets[shapes][alignment] + within
    place = places[alignment]
    return alignment, first[rows] + place, second[rows] + place
