"""Clusters of features by the correlation of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    pass


CHUNK = 1024


def correlation_clusters(sample: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Cluster columns so that each correlates with its cluster's leader by more than ``threshold``, in either sign.

    The column with the most such neighbours leads the first cluster, and takes those of them that are still free; then
    the free one with the most, and so on. Nothing is chained: similar means similar to the leader.

    Args:
        sample: ``(n, d)`` float32 rows to measure correlations on.

    Returns:
        ``(leader, sign)``, ``(d,)`` int64 each: the column number of each column's leader, and whether it correlates
        with it positively (1) or negatively (-1).
    """
    n, d = sample.shape
    z = sample - sample.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->j", z, z))
    z /= np.where(length > 0, length, 1)
    near, count = np.empty((d, -(-d // 8)), np.uint8), np.empty(d, np.int64)
    for first in range(0, d, CHUNK):
        columns = slice(first, min(first + CHUNK, d))
        correlated = np.abs(z[:, columns].T @ z) > threshold
        near[columns], count[columns] = np.packbits(correlated, axis=1), correlated.sum(axis=1)
    leader = np.full(d, -1)
    for column in np.argsort(-count, kind="stable"):
        if leader[column] < 0:
            members = np.unpackbits(near[column], count=d).astype(bool) & (leader < 0)
            members[column] = True
            leader[members] = column
    sign = [
        np.einsum("ij,ij->j", z[:, columns], z[:, leader[columns]])
        for columns in np.array_split(np.arange(d), 1 + d // CHUNK)
    ]
    return leader, np.where(np.concatenate(sign) < 0, -1, 1)
