"""Which windows may not be parted between training and test, and how to part the rest.

Two windows leak into each other when a model that has seen one knows something of the other: they lie in one gene or
in overlapping genes, the DNA that the model reads around them overlaps, or their sequences are homologous.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd


def leakage_groups(
    windows: pd.DataFrame, genes: pd.DataFrame | None = None, context: int = 4096, links: Iterable[tuple[int, int]] = ()
) -> np.ndarray:
    """Number the groups of windows that must stay on one side of a split.

    A group is a connected component of these links: the same gene; genes whose spans overlap, on the same strand or on
    opposite ones, because both strands read the same DNA; contexts that share a base; and the given ``links``.

    Args:
        windows: DataFrame with ``chrom``, ``start``, ``end`` and ``gene_id`` (several joined by ``,``; may be missing).
        genes: DataFrame with ``gene_id``, ``chrom``, ``start``, ``end`` of every gene; None when only names count.
        context: bp that a model reads around a window's middle; the window itself always counts in full.
        links: pairs of row positions that belong together for another reason, such as homology.

    Returns:
        int64 array of one group number a window; groups are numbered from 1 in the order of their first window.
    """
    n = len(windows)
    start, end = context_span(windows["start"].to_numpy(), windows["end"].to_numpy(), context)
    if genes is None:
        genes = pd.DataFrame({"gene_id": [], "chrom": [], "start": [], "end": []})
    rows, names = gene_members(windows["gene_id"])
    name_of, _ = pd.factorize(np.concatenate([names, genes["gene_id"].to_numpy(object)]))
    # nodes of the graph: windows, runs of overlapping contexts, gene names, runs of overlapping genes
    context_at, name_at = n, n + n
    run_at = name_at + name_of.max(initial=-1) + 1
    pairs = np.asarray(links, np.int64).reshape(-1, 2)
    ends = [
        (np.arange(n), context_at + overlap_runs(windows["chrom"], start, end)),
        (rows, name_at + name_of[: len(rows)]),
        (name_at + name_of[len(rows) :], run_at + overlap_runs(genes["chrom"], genes["start"], genes["end"])),
        (pairs[:, 0], pairs[:, 1]),
    ]
    left, right = (np.concatenate(side) for side in zip(*ends, strict=True))
    return connected(run_at + len(genes), left, right)[:n]


def context_span(start: np.ndarray, end: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """The bases ``(start, end)`` that a model sees: ``context`` bp about the middle, never less than the window."""
    first = (start + end) // 2 - context // 2
    return np.minimum(start, first), np.maximum(end, first + context)


def gene_members(gene_ids: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Row position and gene name, two arrays, for every gene that the comma-joined ``gene_ids`` name."""
    members = [(row, name) for row, names in enumerate(gene_ids) if not pd.isna(names) for name in names.split(",")]
    rows, names = zip(*members, strict=True) if members else ((), ())
    return np.asarray(rows, np.int64), np.asarray(names, object)


def overlap_runs(chrom: pd.Series, start: np.ndarray | pd.Series, end: np.ndarray | pd.Series) -> np.ndarray:
    """Number the runs of intervals that hang together by shared bases; intervals that only touch do not.

    Returns an int64 array in input order, numbers from 0 to below the number of intervals.
    """
    table = pd.DataFrame({"chrom": np.asarray(chrom, object), "start": np.asarray(start, np.int64), "end": end})
    table = table.sort_values(["chrom", "start"], kind="stable")
    by_chrom = table.groupby("chrom", sort=False)["end"]
    reach = by_chrom.cummax().groupby(table["chrom"], sort=False).shift(fill_value=np.iinfo(np.int64).min)
    return (table["start"] >= reach).cumsum().sub(1).reindex(range(len(table))).to_numpy(np.int64)


def connected(n: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Connected components of ``n`` nodes under the links ``left[i]``–``right[i]``, numbered from 1 by first node."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(n, n))
    return pd.factorize(connected_components(graph, directed=False)[1])[0].astype(np.int64) + 1
