"""Sites of motifs with exact p-values, in the manner of FIMO (Grant, Bailey & Noble 2011, Bioinformatics 27:1017).

Log-odds are rounded to whole steps of 1/128 bit. Of these the null distribution is computed exactly by dynamic
programming, and the windows are scanned with the very same numbers, so that a site's p-value is that of its score: the
chance that a site of background bases scores as high or higher. Bases are in the order A, C, G, T.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from intronaut.core.dna import OTHER
from intronaut.motifs.pwm import Motif, log_odds, one_hot, sites_as_columns, strand_rows

if TYPE_CHECKING:
    from intronaut.core.log import _Progress

STEPS_PER_BIT = 128
NEVER = np.float32(np.inf)


def strand_symmetric(background: np.ndarray | list[float]) -> np.ndarray:
    """Base frequencies in which A is as common as T and C as G: a motif and its other strand then have one null."""
    background = np.asarray(background, float)
    return (background + background[::-1]) / 2 / background.sum()


def base_frequencies(windows: list[np.ndarray], strands: int = 2) -> np.ndarray:
    """Frequencies of A, C, G, T among the known bases of code arrays, float64, strand-symmetric for both strands."""
    counts = np.sum([np.bincount(codes, minlength=OTHER + 1)[:OTHER] for codes in windows], axis=0)
    return strand_symmetric(counts) if strands == 2 else counts / counts.sum()


def score_steps(motif: Motif, pseudocount: float, background: np.ndarray) -> np.ndarray:
    """A motif's log-odds in whole steps of 1/128 bit, ``(width, 4)`` int64."""
    return np.rint(log_odds(motif, pseudocount, background) * STEPS_PER_BIT).astype(np.int64)


def survival(steps: np.ndarray, background: np.ndarray) -> tuple[int, np.ndarray]:
    """The null distribution of a matrix of whole numbers, by dynamic programming over its positions.

    Args:
        steps: ``(width, 4)`` int64; ``background``: ``(4,)`` base frequencies.

    Returns:
        ``(lowest, p)``: ``p[s - lowest]`` is the probability of a score of at least ``s``, float64.
    """
    lowest = int(steps.min(axis=1).sum())
    chance = np.ones(1)
    for row in steps - steps.min(axis=1, keepdims=True):
        longer = np.zeros(len(chance) + row.max())
        for more, share in zip(row, background, strict=True):
            longer[more : more + len(chance)] += share * chance
        chance = longer
    # from the highest score down, so that the smallest terms are added first
    return lowest, np.minimum(np.cumsum(chance[::-1])[::-1], 1.0)


@dataclass
class Sites:
    """Sites found, one element each: ``window`` and ``motif`` (row numbers), ``start`` (in the window, reading
    direction), ``minus`` (bool: on the other strand), ``bits`` (float64 log-odds), ``p`` (float64)."""

    window: np.ndarray
    motif: np.ndarray
    start: np.ndarray
    minus: np.ndarray
    bits: np.ndarray
    p: np.ndarray

    def of_motif(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield for each motif that has sites ``(motif, the places of its sites)``."""
        order = np.argsort(self.motif, kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(self.motif[order])) + 1):
            if len(places):
                yield int(self.motif[places[0]]), places


class SiteScanner:
    """Finds every site with a p-value of at most ``threshold``, on both strands or (``strands`` 1) as windows read.

    A site with a base other than A, C, G or T is none. ``reachable`` is bool, one value a motif: whether its best
    possible site has such a p-value at all; that of a short motif may not.
    """

    def __init__(
        self,
        motifs: list[Motif],
        pseudocount: float,
        background: np.ndarray | list[float],
        threshold: float,
        strands: int = 2,
    ) -> None:
        self.strands, background = strands, np.asarray(background, float)
        background = strand_symmetric(background) if strands == 2 else background / background.sum()
        self.background = background
        self.widths = np.array([len(motif.counts) for motif in motifs])
        steps = [score_steps(motif, pseudocount, background) for motif in motifs]
        self.tails = [_tail(one, background, threshold) for one in steps]
        self.reachable = np.array([len(p) > 0 for _, p in self.tails])
        self.groups = [self._group(width, steps) for width in map(int, np.unique(self.widths))]

    def _group(self, width, steps):
        places = np.flatnonzero(self.widths == width)
        least = np.array([lowest for lowest, _ in self.tails], np.float32)
        least[~self.reachable] = NEVER
        return (
            width,
            places,
            strand_rows([steps[k] for k in places], self.strands),
            np.tile(least[places], self.strands),
        )

    def scan(self, codes: np.ndarray, keep: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scan one window.

        Args:
            codes: ``(length,)`` uint8 base codes; ``keep``: bool of the same shape, or None for all. The middle of a
                site must be kept for the site to count.

        Returns:
            ``(found, best, tested)``: found ``(4, sites)`` int32 of motif, start, strand (1 is minus), score in steps;
            best ``(motifs,)`` float32, the highest score in bits, NaN without any site; tested ``(motifs,)`` int64,
            the number of sites looked at.
        """
        bases = one_hot(codes)
        unknown = np.r_[0, np.cumsum(codes == OTHER)]
        best, tested = np.full(len(self.widths), np.nan, np.float32), np.zeros(len(self.widths), np.int64)
        blocks = [np.empty((4, 0), np.int32)]
        for width, places, terms, least in self.groups:
            positions = len(codes) - width + 1
            if positions < 1:
                continue
            usable = unknown[width:] == unknown[:-width]
            if keep is not None:
                usable = usable & keep[(width - 1) // 2 :][:positions] & keep[width // 2 :][:positions]
            rows = np.flatnonzero(usable)
            if not len(rows):
                continue
            # (motifs on both strands, positions), whole numbers that float32 holds exactly
            scores = terms @ sites_as_columns(bases, positions, width)
            if len(rows) < positions:
                scores = scores[:, rows]
            tested[places] = self.strands * len(rows)
            highest = scores.max(axis=1)
            best[places] = highest.reshape(self.strands, -1).max(axis=0) / STEPS_PER_BIT
            # few motifs have a site at all; only those are looked through
            reached = np.flatnonzero(highest >= least)
            held = scores[reached]
            row, column = np.nonzero(held >= least[reached, None])
            strand, motif = np.divmod(reached[row], len(places))
            blocks.append(np.stack([places[motif], rows[column], strand, held[row, column]]).astype(np.int32))
        return np.concatenate(blocks, axis=1), best, tested

    def scan_all(
        self,
        windows: list[np.ndarray],
        keeps: list[np.ndarray] | None = None,
        *,
        threads: int = 1,
        progress: _Progress | None = None,
    ) -> tuple[Sites, np.ndarray, np.ndarray]:
        """Scan code arrays in order: ``(Sites, best (n, motifs) float32, tested (motifs,) int64)``.

        The sites are in order of window, motif, start and strand, and the same for any number of threads.
        """
        from concurrent.futures import ThreadPoolExecutor

        from threadpoolctl import threadpool_limits

        keeps = [None] * len(windows) if keeps is None else keeps
        best, tested = np.empty((len(windows), len(self.widths)), np.float32), np.zeros(len(self.widths), np.int64)
        blocks, sizes = [], []
        # one window a thread: the threads of BLAS itself have nothing to gain on products this small
        with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
            for row, (sites, scores, looked_at) in enumerate(pool.map(self.scan, windows, keeps)):
                sites = sites[:, np.lexsort((sites[2], sites[1], sites[0]))]
                best[row], tested = scores, tested + looked_at
                blocks.append(sites)
                sizes.append(sites.shape[1])
                if progress is not None:
                    progress.add(1)
        return self._sites(np.concatenate(blocks, axis=1), sizes), best, tested

    def _sites(self, columns, sizes):
        motif, start, strand, score = columns
        window = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        sites = Sites(window, motif, start, strand == 1, score / STEPS_PER_BIT, np.empty(len(motif)))
        for one, places in sites.of_motif():
            lowest, p = self.tails[one]
            sites.p[places] = p[score[places] - lowest]
        return sites


def _tail(steps, background, threshold):
    """``(lowest, p)`` of :func:`survival`, from the lowest score whose p-value is at most ``threshold``."""
    lowest, p = survival(steps, background)
    first = int(np.searchsorted(-p, -threshold))
    # scores that no site can have repeat the p-value of the next one that can: they do no harm
    return lowest + first, p[first:]


def site_q_values(sites: Sites, tested: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg q-values of each motif's sites among all that were looked at, float64.

    Only the sites at hand are ranked, those below the p-value threshold; a q-value can be too high by that, not too
    low.
    """
    q = np.empty(len(sites.p))
    for motif, places in sites.of_motif():
        order = places[np.argsort(sites.p[places], kind="stable")]
        ratio = sites.p[order] * tested[motif] / np.arange(1, len(order) + 1)
        q[order] = np.minimum(np.minimum.accumulate(ratio[::-1])[::-1], 1.0)
    return q
