"""Interval arithmetic on tables with ``chrom``, ``start``, ``end``: 0-based, half-open; touching is not overlapping."""

import numpy as np
import pandas as pd


def overlapping_pairs(left, right):
    """Every pair of a ``left`` and a ``right`` interval that share at least one base, strands ignored.

    Returns:
        DataFrame: left, right (row positions), overlap (bp); sorted by left, then right.
    """
    from ncls import NCLS

    if left.empty or right.empty:
        return pd.DataFrame({"left": [], "right": [], "overlap": []}, dtype="int64")
    chrom = pd.factorize(np.concatenate([left["chrom"].to_numpy(object), right["chrom"].to_numpy(object)]))[0]
    start, end = _end_to_end(right, chrom[len(left) :])
    index = NCLS(start, end, np.arange(len(right)))
    start, end = _end_to_end(left, chrom[: len(left)])
    left_row, right_row = index.all_overlaps_both(start, end, np.arange(len(left)))
    order = np.lexsort((right_row, left_row))
    pairs = pd.DataFrame({"left": left_row[order], "right": right_row[order]})
    start, end = _shared(pairs, left, right)
    return pairs.assign(overlap=end - start)


def _shared(pairs, left, right):
    """Start and end of what the intervals of each pair share: two arrays."""
    start = np.maximum(left["start"].to_numpy()[pairs["left"]], right["start"].to_numpy()[pairs["right"]])
    end = np.minimum(left["end"].to_numpy()[pairs["left"]], right["end"].to_numpy()[pairs["right"]])
    return start, end


def _end_to_end(table, chrom):
    """Starts and ends where the chromosomes, numbered by ``chrom``, lie in one line, far from each other."""
    return tuple((chrom << 34) + table[name].to_numpy(np.int64) for name in ("start", "end"))


def covered(pairs, left, right):
    """Bases of each ``left`` interval that lie under at least one of the ``right`` ones it is paired with.

    ``pairs`` are those of :func:`overlapping_pairs`, or some of them.
    """
    start, end = _shared(pairs, left, right)
    order = np.lexsort((start, pairs["left"]))
    row, start, end = pairs["left"].to_numpy()[order], start[order], end[order]
    reach = np.maximum.accumulate((row << 32) + end)
    before = np.concatenate([[0], reach[:-1]])
    fresh = np.maximum((row << 32) + end - np.maximum((row << 32) + start, before), 0)
    return np.bincount(row, fresh, minlength=len(left))


def inside_any(inner, outer):
    """Whether each ``inner`` interval lies inside an ``outer`` one of its key, with a base to spare at both ends.

    Args:
        inner, outer: DataFrames with ``key`` (whole numbers: gene, chromosome …), ``start``, ``end``.

    Returns:
        bool array, one value an inner interval.
    """
    if outer.empty:
        return np.zeros(len(inner), bool)
    outer = outer.sort_values(["key", "start"], kind="stable")
    place = (outer["key"].to_numpy(np.int64) << 32) + outer["start"].to_numpy(np.int64)
    # the furthest end among the intervals of the key that start no later; the key in the high bits keeps keys apart
    reach = np.maximum.accumulate((outer["key"].to_numpy(np.int64) << 32) + outer["end"].to_numpy(np.int64))
    key = inner["key"].to_numpy(np.int64) << 32
    before = np.searchsorted(place, key + inner["start"].to_numpy(np.int64), side="left") - 1
    return (before >= 0) & (reach[np.maximum(before, 0)] > key + inner["end"].to_numpy(np.int64))
