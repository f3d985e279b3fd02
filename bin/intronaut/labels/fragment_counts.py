"""From fragments to the counts of a chromosome: crossed and spliced ends, junctions, depth, and the library's strand.

No read is compared with any intron. Every fragment leaves a few events (a junction, the first and last end of introns
that a block crosses, the first and last measured base that it covers), and the counts of introns are read off their
sums. The events of the classes (strand of read 1, strand tag) stay apart until the library is known.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from intronaut.io.cigars import take

if TYPE_CHECKING:
    from intronaut.io.fragments import Fragments
    from intronaut.labels.intron_bodies import ChromIntrons

# 3 · (read 1 shows the minus strand) + the code of the strand tag
N_CLASSES = 6
CLASS_BITS, LENGTH_BITS = 3, 28
_COMPACT_FROM = 1 << 19
LIBRARIES = ("forward", "reverse", "unstranded")
PLUS, MINUS, ANY = 0, 1, 2
# the counts of a chromosome: by class and end of introns, and by place
AT_ENDS = ("crossed", "spliced_left", "spliced_right", "kept_left", "kept_right")
ALONG = ("junctions", "inside", "skip", "depth")


def strands_of_classes(library: str) -> np.ndarray:
    """The strand of the fragments of each class in a library: PLUS, MINUS or ANY (compatible with both)."""
    if library == "unstranded":
        return np.array([ANY, PLUS, MINUS] * 2)
    return np.repeat([PLUS, MINUS] if library == "forward" else [MINUS, PLUS], 3)


class SparseCounts:
    """Whole numbers summed by key (int64), held as sorted runs that are merged when two are of a size."""

    def __init__(self) -> None:
        self._runs, self._pending, self._n_pending = [], [], 0

    def add(self, keys: np.ndarray, counts: int) -> None:
        """Add the counts (int64 array, or one number for all) to their keys."""
        if not len(keys):
            return
        self._pending.append((keys, np.broadcast_to(np.asarray(counts, np.int32), len(keys))))
        self._n_pending += len(keys)
        if self._n_pending >= _COMPACT_FROM:
            self._compact()

    def _compact(self):
        if self._pending:
            self._runs.append(_summed(self._pending))
            self._pending, self._n_pending = [], 0
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            self._runs.append(_summed([self._runs.pop(), self._runs.pop()]))

    def merge(self, other: SparseCounts) -> None:
        """Add the counts of another SparseCounts."""
        for keys, counts in [*other._runs, *other._pending]:
            self.add(keys, counts)

    def total(self) -> tuple[np.ndarray, np.ndarray]:
        """The keys, sorted, and their counts other than 0: two arrays, int64 and int32."""
        self._compact()
        if len(self._runs) > 1:
            self._runs = [_summed(self._runs)]
        return self._runs[0] if self._runs else (np.empty(0, np.int64), np.empty(0, np.int32))


def _summed(runs):
    keys, counts = (np.concatenate(columns) for columns in zip(*runs, strict=True))
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    sums = np.add.reduceat(counts, first)
    return keys[first][sums != 0], sums[sums != 0]


@dataclass
class FragmentTally:
    """How many fragments there are, of two records or more, spliced (an N; one with enough bases on either side).

    ``same``, ``opposite``: of those that overlap genes of one strand only, how many have read 1 on that strand or not.
    """

    fragments: int = 0
    pairs: int = 0
    spliced_fragments: int = 0
    anchored_spliced_fragments: int = 0
    same: int = 0
    opposite: int = 0

    def add(self, other: FragmentTally) -> None:
        """Add what another part of the same sample has."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class ChromCounts:
    """The events of one chromosome of one sample, all of them SparseCounts: most ends have no read of most classes.

    ``crossed`` holds, by :meth:`cells`, differences along the ends of introns; ``spliced_left``, ``spliced_right`` the
    fragments with a junction that starts, ends there; ``kept_left``, ``kept_right`` what is to be taken off ``crossed``
    for fragments that have such a junction as well.
    ``junctions``, ``inside``, ``skip`` have keys of :func:`junction_keys`: the last two are what to add to the first to
    count each fragment once among the junctions inside, or over, an interval. ``depth`` has differences of the depth of
    measurable bases by ``position << 3 | class``.
    """

    def __init__(self, n_points: int) -> None:
        self.n_points = n_points
        self.crossed, self.spliced_left, self.spliced_right, self.kept_left, self.kept_right = (
            SparseCounts() for _ in AT_ENDS
        )
        self.junctions, self.inside, self.skip, self.depth = (SparseCounts() for _ in ALONG)
        self.tally = FragmentTally()

    def cells(self, kind: np.ndarray | int, point: np.ndarray) -> np.ndarray:
        """The keys of the points of a class in the counts AT_ENDS; there is one point more than ends."""
        return kind * (self.n_points + 1) + point

    def along(self, name: str, kinds: np.ndarray) -> np.ndarray:
        """The sums over these classes of one of the counts AT_ENDS: int64, one value a point and one more."""
        keys, counts = getattr(self, name).total()
        kind, point = np.divmod(keys, self.n_points + 1)
        wanted = np.isin(kind, kinds)
        return np.bincount(point[wanted], counts[wanted], minlength=self.n_points + 1).astype(np.int64)

    def settle(self) -> None:
        """Bring all counts into the form that takes the least memory."""
        for name in (*AT_ENDS, *ALONG):
            getattr(self, name).total()

    def merge(self, other: ChromCounts) -> None:
        """Add the events of another file of the same sample and chromosome."""
        for name in (*AT_ENDS, *ALONG):
            getattr(self, name).merge(getattr(other, name))
        self.tally.add(other.tally)


def junction_keys(start: np.ndarray, end: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """One number for a junction of a class, which sorts by start, then end."""
    return (start << (LENGTH_BITS + CLASS_BITS)) + ((end - start) << CLASS_BITS) + kind


def read_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ``start, end, class`` of :func:`junction_keys`."""
    start, length = keys >> (LENGTH_BITS + CLASS_BITS), (keys >> CLASS_BITS) & ((1 << LENGTH_BITS) - 1)
    return start, start + length, keys & ((1 << CLASS_BITS) - 1)


class ChromCounter:
    """Adds fragments to the ChromCounts of a chromosome.

    Args:
        introns: its ChromIntrons, or None where no intron is annotated: then only fragments and junctions are counted.
        wobble: bases by which the ends of a junction may differ from those of an annotated intron to be taken for it.
        library: one of LIBRARIES; needed with ``wobble``, which asks for the strand of a fragment.
    """

    def __init__(self, introns: ChromIntrons, wobble: int = 0, library: str | None = None) -> None:
        self.introns, self.wobble = introns, wobble
        self.points = introns.points if introns else np.empty(0, np.int64)
        self.measurable = introns.measurable() if introns else (np.empty(0, np.int64),) * 2
        self.strand_of = strands_of_classes(library) if wobble else None
        self.counts = ChromCounts(len(self.points))
        self.at_ends = {name: np.zeros((N_CLASSES, len(self.points) + 1), np.int64) for name in AT_ENDS}

    def finished(self) -> ChromCounts:
        """The ChromCounts, once no fragment is added any more."""
        for name, table in self.at_ends.items():
            cells = np.flatnonzero(table)
            getattr(self.counts, name).add(cells, table.ravel()[cells])
        self.at_ends = {}
        self.counts.settle()
        return self.counts

    def add(self, fragments: Fragments) -> None:
        """Count some Fragments."""
        n, tally = len(fragments.reverse), self.counts.tally
        kind = 3 * fragments.reverse.astype(np.int64) + fragments.tag
        several = np.bincount(fragments.fragment, minlength=n) > 1
        tally.fragments += n
        tally.pairs += int(several.sum())
        has_cut = fragments.shapes.spliced[fragments.shape]
        tally.spliced_fragments += len(np.unique(fragments.fragment[has_cut]))
        self._add_blocks(fragments, kind, several)
        crossed = self._add_crossings(fragments, kind, several)
        self._add_junctions(fragments, kind, several, crossed)

    def _rows(self, fragments, part):
        alignment, first, second = take(part, fragments.shape, fragments.start)
        return fragments.fragment[alignment], first, second

    def _add_blocks(self, fragments, kind, several):
        fragment, start, end = self._rows(fragments, fragments.shapes.blocks)
        if self.introns is None:
            return
        self._add_orientation(fragments.reverse, fragment, start, end)
        first, last = (next_measurable(self.measurable, place) for place in (start, end))
        covers = first < last
        fragment, first, last = union_of_fragments(fragment[covers], first[covers], last[covers], several)
        for place, change in ((first, 1), (last, -1)):
            self.counts.depth.add((place << CLASS_BITS) + kind[fragment], change)

    def _add_orientation(self, reverse, fragment, start, end):
        touched = {}
        for strand, (starts, ends) in self.introns.spans.items():
            after = np.searchsorted(ends, start, "right")
            hit = np.append(starts, np.iinfo(np.int64).max)[after] < end
            touched[strand] = np.bincount(fragment[hit], minlength=len(reverse)) > 0
        none = np.zeros(len(reverse), bool)
        plus, minus, other = (touched.get(strand, none) for strand in "+-.")
        decided = (plus ^ minus) & ~other
        same = int(np.count_nonzero(decided & (reverse == minus)))
        self.counts.tally.same += same
        self.counts.tally.opposite += int(np.count_nonzero(decided)) - same

    def _add_crossings(self, fragments, kind, several):
        """Count them; returns fragment, first and last + 1 of the crossed points, sorted."""
        fragment, first, last = self._rows(fragments, fragments.shapes.crossings)
        first, last = np.searchsorted(self.points, first, "left"), np.searchsorted(self.points, last, "right")
        hits = first < last
        fragment, first, last = union_of_fragments(fragment[hits], first[hits], last[hits], several)
        crossed, size = self.at_ends["crossed"], len(self.points) + 1
        change = np.bincount(kind[fragment] * size + first, minlength=crossed.size)
        change -= np.bincount(kind[fragment] * size + last, minlength=crossed.size)
        crossed += change.reshape(crossed.shape)
        return fragment, first, last

    def _add_junctions(self, fragments, kind, several, crossed):
        fragment, start, end = self._rows(fragments, fragments.shapes.junctions)
        self.counts.tally.anchored_spliced_fragments += len(np.unique(fragment))
        if not len(fragment):
            return
        if self.wobble and self.introns:
            start, end = self._snapped(start, end, self.strand_of[kind[fragment]])
        if self.wobble or several.any():
            order = np.lexsort((end, start, fragment))
            fragment, start, end = fragment[order], start[order], end[order]
            fresh = np.ones(len(order), bool)
            fresh[1:] = (np.diff(fragment) != 0) | (np.diff(start) != 0) | (np.diff(end) != 0)
            fragment, start, end = fragment[fresh], start[fresh], end[fresh]
        self.counts.junctions.add(junction_keys(start, end, kind[fragment]), 1)
        self._add_chains(fragment, start, end, kind)
        if self.introns:
            # without wobble, a single read cannot cross an end at which it has a junction
            doubtful = np.ones(len(fragment), bool) if self.wobble else several[fragment]
            for side, place in (("left", start), ("right", end)):
                self._add_ends(side, fragment, place, kind, doubtful, crossed)

    def _add_ends(self, side, fragment, place, kind, doubtful, crossed):
        """Count the fragments with a junction at each point, once each, and those of them that also cross it."""
        point = np.searchsorted(self.points, place)
        known = np.append(self.points, -1)[point] == place
        pairs = (fragment[known] << 32) + point[known]
        pairs, doubtful = (pairs, doubtful[known]) if not doubtful.any() else _unique_pairs(pairs, doubtful[known])
        spliced, kept = self.at_ends[f"spliced_{side}"], self.at_ends[f"kept_{side}"]
        _count_pairs(spliced, pairs, kind)
        pairs = pairs[doubtful]
        if len(pairs) and len(crossed[0]):
            range_of = np.searchsorted((crossed[0] << 32) + crossed[1], pairs, "right") - 1
            at = np.maximum(range_of, 0)
            crosses = (range_of >= 0) & ((crossed[0][at] << 32) + crossed[2][at] > pairs)
            _count_pairs(kept, pairs[crosses], kind)

    def _add_chains(self, fragment, start, end, kind):
        """What keeps a fragment of several junctions from counting more than once inside or over an interval.

        Sorted by both start and end, the junctions of a fragment inside an interval are neighbours, so that those less
        the neighbouring pairs inside it are 1. Of two nested ones the outer one never adds to the inside, nor the
        inner one to what lies over an interval, so they are taken off first.
        """
        followed = np.flatnonzero(fragment[1:] == fragment[:-1])
        if not len(followed):
            return
        nested = end[followed + 1] <= end[followed]
        tangled = (
            np.isin(fragment, np.unique(fragment[followed[nested]])) if nested.any() else np.zeros(len(fragment), bool)
        )
        plain = followed[~tangled[followed]]
        self._add_links(fragment, start, end, kind, plain, plain + 1)
        rows = np.flatnonzero(tangled)
        for tangle in np.split(rows, np.flatnonzero(np.diff(fragment[rows])) + 1) if len(rows) else ():
            spans = [(int(start[row]), int(end[row]), row) for row in tangle]
            for counts, drop in ((self.counts.inside, _outer), (self.counts.skip, _inner)):
                kept = np.array([row for span in spans if not drop(span, spans) for row in span[2:]])
                gone = np.setdiff1d(tangle, kept)
                counts.add(junction_keys(start[gone], end[gone], kind[fragment[gone]]), -1)
                self._add_links(fragment, start, end, kind, kept[:-1], kept[1:], counts)

    def _add_links(self, fragment, start, end, kind, left, right, only=None):
        """Take off one for every neighbouring pair of junctions, rows ``left`` and ``right``."""
        kinds = kind[fragment[left]]
        if only in (None, self.counts.inside):
            self.counts.inside.add(junction_keys(start[left], end[right], kinds), -1)
        shared = start[right] < end[left]
        if only in (None, self.counts.skip) and shared.any():
            left, right = left[shared], right[shared]
            self.counts.skip.add(junction_keys(start[right], end[left], kinds[shared]), -1)

    def _snapped(self, start, end, strand):
        """The junctions moved to the nearest annotated intron of their strand within ``wobble`` at both ends."""
        introns = self.introns
        order = np.lexsort((introns.end, introns.start))
        known_start, known_end, minus = introns.start[order], introns.end[order], introns.minus[order]
        low = np.searchsorted(known_start, start - self.wobble, "left")
        size = np.searchsorted(known_start, start + self.wobble, "right") - low
        row = np.repeat(np.arange(len(start)), size)
        at = np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size) + low[row]
        off = np.abs(known_end[at] - end[row])
        fits = (off <= self.wobble) & ((strand[row] == ANY) | ((strand[row] == MINUS) == minus[at]))
        row, at = row[fits], at[fits]
        distance = off[fits] + np.abs(known_start[at] - start[row])
        best = np.lexsort((known_end[at], known_start[at], distance, row))
        row, at = row[best], at[best]
        first = np.flatnonzero(np.diff(row, prepend=-1))
        start, end = start.copy(), end.copy()
        start[row[first]], end[row[first]] = known_start[at[first]], known_end[at[first]]
        return start, end


def next_measurable(measurable: tuple[np.ndarray, np.ndarray], place: np.ndarray) -> np.ndarray:
    """The first base from each place on that is in one of the ``measurable`` (starts, ends), merged and sorted.

    Depth is kept where it is measured only: a change of it counts from the next such base on.
    """
    starts, ends = measurable
    after = np.searchsorted(ends, place, "right")
    return np.maximum(place, np.append(starts, np.iinfo(np.int32).max)[after])


def _outer(span, spans):
    """Whether the junction contains another one of the fragment."""
    return any(span[0] <= a and b <= span[1] and row != span[2] for a, b, row in spans)


def _inner(span, spans):
    """Whether another junction of the fragment contains this one."""
    return any(a <= span[0] and span[1] <= b and row != span[2] for a, b, row in spans)


def union_of_fragments(
    fragment: np.ndarray, start: np.ndarray, end: np.ndarray, several: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The intervals with those of one fragment merged where they touch; only ``several`` have more than one record.

    Returns fragment, start, end, sorted by fragment, then start.
    """
    if not len(fragment):
        return fragment, start, end
    key = (fragment << 32) + start
    reach = (fragment << 32) + end
    if several[fragment].any():
        order = np.argsort(key, kind="stable")
        fragment, key = fragment[order], key[order]
        reach = np.maximum.accumulate(reach[order])
        first = np.flatnonzero(np.concatenate([[True], key[1:] > reach[:-1]]))
        key, fragment = key[first], fragment[first]
        reach = reach[np.append(first[1:], len(reach)) - 1]
    return fragment, key & (2**32 - 1), reach & (2**32 - 1)


def _unique_pairs(pairs, doubtful):
    pairs, first = np.unique(pairs, return_index=True)
    return pairs, doubtful[first]


def _count_pairs(table, pairs, kind):
    """Add to ``table`` (classes × points + 1) one for each ``fragment << 32 | point``."""
    cells = kind[pairs >> 32] * table.shape[1] + (pairs & (2**32 - 1))
    table += np.bincount(cells, minlength=table.size).reshape(table.shape)
