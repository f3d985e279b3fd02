"""Interval arithmetic on tables with ``chrom``, ``start``, ``end``: 0-based, half-open; touching is not overlapping."""

import numpy as np
import pandas as pd


def overlapping_pairs(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Every pair of a ``left`` and a ``right`` interval that share at least one base, strands ignored.

    Returns:
        DataFrame: left, right (row positions), overlap (bp); sorted by left, then right.
    """
    if left.empty or right.empty:
        return pd.DataFrame({"left": [], "right": [], "overlap": []}, dtype="int64")
    pairs = _ranges(left).join(_ranges(right), suffix="_right", nb_cpu=1).df
    if pairs.empty:
        return pd.DataFrame({"left": [], "right": [], "overlap": []}, dtype="int64")
    columns = ["row", "row_right", "Start", "Start_right", "End", "End_right"]
    row, row_right, start, start_right, end, end_right = (pairs[name].to_numpy(np.int64) for name in columns)
    # one number that sorts as the two rows
    order = np.argsort((row << 32) + row_right)
    overlap = np.minimum(end, end_right) - np.maximum(start, start_right)
    return pd.DataFrame({"left": row[order], "right": row_right[order], "overlap": overlap[order]})


def covered(pairs: pd.DataFrame, left: pd.DataFrame, right: pd.DataFrame) -> np.ndarray:
    """Bases of each ``left`` interval that lie under at least one of the ``right`` ones it is paired with.

    ``pairs`` are those of :func:`overlapping_pairs`, or some of them.
    """
    start = np.maximum(left["start"].to_numpy()[pairs["left"]], right["start"].to_numpy()[pairs["right"]])
    end = np.minimum(left["end"].to_numpy()[pairs["left"]], right["end"].to_numpy()[pairs["right"]])
    order = np.lexsort((start, pairs["left"]))
    row, start, end = pairs["left"].to_numpy()[order], start[order], end[order]
    reach = np.maximum.accumulate((row << 32) + end)
    before = np.concatenate([[0], reach[:-1]])
    fresh = np.maximum((row << 32) + end - np.maximum((row << 32) + start, before), 0)
    return np.bincount(row, fresh, minlength=len(left))


def _ranges(table):
    # without a Strand column: pyranges refuses the strand "." that IR tables and peaks carry
    import pyranges

    columns = {"Chromosome": table["chrom"], "Start": table["start"], "End": table["end"], "row": np.arange(len(table))}
    return pyranges.PyRanges(pd.DataFrame({name: np.asarray(column) for name, column in columns.items()}))


def inside_any(inner: pd.DataFrame, outer: pd.DataFrame) -> np.ndarray:
    """Whether each ``inner`` interval lies inside an ``outer`` one of its key, with a base to spare at both ends.

    Args:
        inner, outer: DataFrames with ``key`` (whole numbers: gene, chromosome …), ``start``, ``end``.

    Returns:
        bool array, one value an inner interval.
    """
    if outer.empty:
        return np.zeros(len(inner), bool)
    # the key in the high bits keeps keys apart
    key, start, end = (outer[name].to_numpy(np.int64) for name in ("key", "start", "end"))
    place = (key << 32) + start
    order = np.argsort(place)
    place = place[order]
    # the furthest end among the intervals of the key that start no later
    reach = np.maximum.accumulate(((key << 32) + end)[order])
    key = inner["key"].to_numpy(np.int64) << 32
    before = np.searchsorted(place, key + inner["start"].to_numpy(np.int64), side="left") - 1
    return (before >= 0) & (reach[np.maximum(before, 0)] > key + inner["end"].to_numpy(np.int64))
