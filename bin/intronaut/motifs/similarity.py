"""Which motifs are similar: families of matrices, and the known motifs that a new one resembles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from intronaut.motifs.pwm import Motif

# the pair of limits by which RSAT matrix-clustering (Castro-Mondragon et al. 2017, NAR 45:e119) calls matrices similar
LEAST_CORRELATION, LEAST_NORMALISED = 0.6, 0.4
SMALLEST = np.float32(1e-9)
NEUTRAL = 0.25


def frequencies(motif: Motif) -> np.ndarray:
    """A motif's base frequencies, ``(width, 4)`` float64."""
    return motif.counts / motif.counts.sum(axis=1, keepdims=True)


def normalised_correlations(motifs: list[Motif]) -> np.ndarray:
    """How similar every two motifs are, at their best alignment on either strand: ``(m, m)`` float32.

    Pearson's correlation of the aligned frequencies times the aligned share of all columns that the two cover (RSAT's
    Ncor); 0 where the correlation itself is below 0.6.
    """
    widths = np.array([len(motif.counts) for motif in motifs])
    # a row of frequencies has the mean 1/4 whatever it is, so taking that away centres any aligned part
    centred = np.zeros((len(motifs), widths.max(), 4), np.float32)
    reverse = np.zeros_like(centred)
    for row, (motif, width) in enumerate(zip(motifs, widths, strict=True)):
        centred[row, :width] = frequencies(motif) - NEUTRAL
        reverse[row, :width] = centred[row, :width][::-1, ::-1]
    best = np.maximum(_best_alignment(centred, centred, widths), _best_alignment(centred, reverse, widths))
    return np.maximum(best, best.T)


def _best_alignment(motifs, others, widths):
    """The highest normalised correlation of every two over all shifts, ``(m, m)`` float32.

    ``motifs`` and ``others`` are ``(m, widest, 4)``, zeros behind each motif's width.
    """
    columns = motifs.shape[1]
    inside = (np.arange(columns) < widths[:, None]).astype(np.float32)
    squares, other_squares = (motifs**2).sum(axis=2), (others**2).sum(axis=2)
    best = np.zeros((len(motifs), len(motifs)), np.float32)
    for shift in range(1 - columns, columns):
        # column ``shift + k`` of a motif lies on column ``k`` of the other
        one = slice(max(shift, 0), columns + min(shift, 0))
        other = slice(max(-shift, 0), columns + min(-shift, 0))
        product = motifs[:, one].reshape(len(motifs), -1) @ others[:, other].reshape(len(others), -1).T
        spread = (squares[:, one] @ inside[:, other].T) * (inside[:, one] @ other_squares[:, other].T)
        shared = inside[:, one] @ inside[:, other].T
        correlation = product / np.maximum(np.sqrt(spread), SMALLEST)
        correlation[correlation < LEAST_CORRELATION] = 0
        np.maximum(best, correlation * shared / (widths[:, None] + widths - shared), out=best, casting="same_kind")
    return best


def families(motifs: list[Motif]) -> np.ndarray:
    """The family of each motif, int64 from 0 in order of first appearance.

    Versions of one JASPAR matrix (``MA0139.1``, ``MA0139.2``) are one; so are matrices joined by average linkage at a
    normalised correlation of 0.4 or more.
    """
    import pandas as pd
    from scipy import sparse
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(motifs) == 1:
        return np.zeros(1, np.int64)
    apart = np.clip(1 - normalised_correlations(motifs).astype(float), 0, 1)
    np.fill_diagonal(apart, 0)
    joined = fcluster(linkage(squareform(apart, checks=False), "average"), 1 - LEAST_NORMALISED, "distance")
    base = pd.factorize(np.array([motif.motif_id.rsplit(".", 1)[0] for motif in motifs]))[0]
    links = sparse.coo_array((np.ones(len(motifs)), (joined - 1, base)), shape=(joined.max(), base.max() + 1))
    both = sparse.block_array([[None, links], [links.T, None]])
    return pd.factorize(sparse.csgraph.connected_components(both)[1][joined - 1])[0].astype(np.int64)


def nearest_known(motifs: list[Motif], known: list[Motif], n: int) -> pd.DataFrame:
    """The ``n`` known motifs most like each motif, by Tomtom (Gupta et al. 2007, Genome Biol 8:R24) as memelite has it.

    Returns:
        DataFrame: motif_id, rank, known_id, known_tf, p, e (p times the number of known motifs), overlap (columns),
        strand.
    """
    import pandas as pd
    from memelite import tomtom

    queries, targets = ([frequencies(motif).T for motif in set_of_motifs] for set_of_motifs in (motifs, known))
    p, _, _, overlap, strand = tomtom(queries, targets, n_jobs=1)
    rows = []
    for motif, *results in zip(motifs, p, overlap, strand, strict=True):
        for rank, k in enumerate(np.argsort(results[0], kind="stable")[:n], 1):
            chance, shared, minus = (values[k] for values in results)
            sign = "-" if minus else "+"
            rows.append(
                (motif.motif_id, rank, known[k].motif_id, known[k].tf, chance, chance * len(known), int(shared), sign)
            )
    return pd.DataFrame(rows, columns=["motif_id", "rank", "known_id", "known_tf", "p", "e", "overlap", "strand"])
