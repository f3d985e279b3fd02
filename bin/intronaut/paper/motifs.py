"""The motif comparison of Daoud & Ben-Hur 2025 (PLoS Comput Biol 21:e1012755) as their code does it, faults included.

docs/motifs.md lists the faults. It is here so that its table can be set beside a test without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from intronaut.core.dna import OTHER
from intronaut.core.errors import BadData
from intronaut.motifs.pwm import Motif, one_hot, sites_as_columns
from intronaut.motifs.similarity import frequencies

if TYPE_CHECKING:
    from intronaut.core.log import _Progress

WIDTH = 32
CONFIDENT = 0.8
HOT = 0.7
APART = 2
SCORE_SHARE = 0.8
PSEUDO_PROBABILITY = 1e-20
BASELINE = 0.25
FAULTS = [
    "overlapping pieces of 32 bp, on both strands, count as independent observations",
    "one strand of each motif is scanned",
    "a hit is a score above 0.8 of the matrix's largest probability, at most 0.8 nat, so most windows can be hits",
    "any base that a matrix never saw rules a site out",
    "the spliced set holds the retained windows too",
    "nothing allows for GC content",
]


def compare_as_paper(
    windows: list[np.ndarray],
    label: np.ndarray,
    motifs: list[Motif],
    *,
    p_retained: list[float] | None = None,
    hypothetical: np.ndarray | None = None,
    progress: _Progress | None = None,
) -> pd.DataFrame:
    """Count the pieces of 32 bp with a hit of each motif, and compare the two classes as the paper did.

    Args:
        windows: list of n base-code arrays; ``label``: ``(n,)`` 1 retained, 0 spliced.
        motifs: those wider than 32 bp are left out.
        p_retained: ``(n,)`` predicted probabilities, or None to take all rows. Only rows predicted right with a
            probability above 0.8 count.
        hypothetical: ``(n, 4, length)`` contributions to the logit of retention, or None to cut windows into
            consecutive pieces.

    Returns:
        DataFrame, the largest difference first: motif_id, tf, hits_spliced, n_spliced, hits_retained, n_retained,
        difference (of proportions), z, p, p_bonferroni, motif_gc (of the consensus). The "spliced" are all rows: the
        paper's filter for them never ran.

    Raises BadData when no retained row counts.
    """
    motifs = [motif for motif in motifs if len(motif.counts) <= WIDTH]
    counts = np.sum([np.bincount(codes, minlength=OTHER + 1)[:OTHER] for codes in windows], axis=0)
    hits = _Hits(motifs, counts / counts.sum())
    label = np.asarray(label)
    right = np.ones(len(label), bool)
    if p_retained is not None:
        right = np.where(label == 1, p_retained, 1 - np.asarray(p_retained)) > CONFIDENT
    if not right[label == 1].any():
        raise BadData(f"no retained window is predicted right with a probability above {CONFIDENT}; nothing to compare")
    total, pieces = np.zeros((2, len(motifs)), np.int64), np.zeros(2, np.int64)
    for row in np.flatnonzero(right):
        for kind in (1, 0) if label[row] == 1 else (0,):
            toward = None if hypothetical is None else hypothetical[row] * (1 if kind else -1)
            for tiles in _pieces(windows[row], toward):
                total[kind] += hits.count(tiles)
                pieces[kind] += len(tiles)
        if progress is not None:
            progress.add(1)
    return _table(motifs, total, pieces)


def _pieces(codes, hypothetical):
    """The one-hot pieces ``(t, 32, 4)`` of a window, then those of its other strand, which the paper counts as a row
    of its own."""
    bases = one_hot(codes)
    for turned in (False, True):
        oriented = bases[::-1, ::-1] if turned else bases
        if hypothetical is None:
            starts = range(0, len(oriented) - WIDTH + 1, WIDTH)
        else:
            contributions = hypothetical[:, : len(oriented)].T
            contributions = contributions[::-1, ::-1] if turned else contributions
            starts = _hot_starts((oriented - BASELINE) * contributions)
        if len(starts):
            yield np.stack([oriented[start : start + WIDTH] for start in starts])


def _hot_starts(scores):
    """Starts of the pieces around each position where any channel is above 0.7 of the row's highest."""
    high = np.flatnonzero((scores > HOT * scores.max()).any(axis=1))
    starts, last = [], -APART
    for place in high:
        start = place - WIDTH // 2
        if place - last >= APART and 0 <= start <= len(scores) - WIDTH:
            starts.append(int(start))
            last = place
    return starts


class _Hits:
    """Counts pieces in which a site on the reverse-complement strand passes the paper's threshold."""

    def __init__(self, motifs, background):
        self.n = len(motifs)
        widths = np.array([len(motif.counts) for motif in motifs])
        self.groups = []
        for width in map(int, np.unique(widths)):
            places = np.flatnonzero(widths == width)
            shares = [frequencies(motifs[k]) for k in places]
            odds = [np.log((share + PSEUDO_PROBABILITY) / background)[::-1, ::-1].ravel() for share in shares]
            least = [SCORE_SHARE * share.max() for share in shares]
            self.groups.append((width, places, np.stack(odds).astype(np.float32), np.array(least, np.float32)))

    def count(self, tiles):
        counts = np.zeros(self.n, np.int64)
        end_to_end = np.concatenate([tiles.reshape(-1, 4), np.zeros((WIDTH, 4), np.float32)])
        for width, places, terms, least in self.groups:
            # every site of the tiles laid end to end, as one product; those that reach into the next tile are dropped
            scores = terms @ sites_as_columns(end_to_end, WIDTH * len(tiles), width)
            highest = scores.reshape(len(terms), len(tiles), WIDTH)[:, :, : WIDTH - width + 1].max(axis=2)
            counts[places] = (highest > least[:, None]).sum(axis=1)
        return counts


def _table(motifs, total, pieces):
    (spliced, retained), (n_spliced, n_retained) = total, pieces
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = spliced / n_spliced, retained / n_retained
        pooled = (spliced + retained) / (n_spliced + n_retained)
        z = (shares[1] - shares[0]) / np.sqrt(pooled * (1 - pooled) * (1 / n_spliced + 1 / n_retained))
    p = 2 * stats.norm.sf(np.abs(z))
    table = pd.DataFrame(
        {
            "motif_id": [motif.motif_id for motif in motifs],
            "tf": [motif.tf for motif in motifs],
            "hits_spliced": spliced,
            "n_spliced": n_spliced,
            "hits_retained": retained,
            "n_retained": n_retained,
            "difference": shares[1] - shares[0],
            "z": z,
            "p": p,
            "p_bonferroni": np.minimum(p * len(motifs), 1),
            "motif_gc": [consensus_gc(motif) for motif in motifs],
        }
    )
    return table.sort_values("difference", ascending=False, kind="stable", ignore_index=True)


def consensus_gc(motif: Motif) -> float:
    """The share of G and C in a motif's consensus."""
    return float(np.isin(motif.counts.argmax(axis=1), (1, 2)).mean())
