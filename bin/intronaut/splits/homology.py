"""Homologous windows: pairs whose best local alignment, on either strand, is long and similar enough.

Candidates come from shared spaced seeds; every pair reported has been aligned. Identity is matches / alignment columns
and coverage is aligned bases / length of the shorter window, both of the best Smith-Waterman alignment under the
scores of BLASTN (match 2, mismatch -3, a gap of n bases -5 - 2n).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.core.dna import OTHER, base_codes, reverse_complement
from intronaut.splits.leakage import connected

if TYPE_CHECKING:
    from intronaut.core.log import Log

# the most sensitive spaced seed of weight 12 and span 18 (Choi, Zeng and Zhang 2004, Bioinformatics 20:1053)
SEED = np.flatnonzero(np.array(list("111010110100110111")) == "1")
SPAN = int(SEED[-1]) + 1
SEEDS = 4 ** len(SEED)
# windows that share one seed beyond this many are compared in random lots of this size, so that Alu costs no square
LOT = 40
# a candidate shows at least this part of the seeds that a pair just within the limits is expected to share
SEED_SLACK = 5
# of a window of this many bases every seed counts, of one n times as long one seed in n: it shares more than are needed
SHORT_WINDOW = 200
# a pair is aligned in full when its score is this part of what the limits ask of substitutions alone: half of the
# columns without a match may be gaps of one base
SCORE_SLACK = 0.6
ROWS_AT_ONCE = 256
# sequences whose seeds are held at once, some 30 KB each
BLOCK = 1 << 15
ALPHABET = "ACGTN"
MATCH, MISMATCH, GAP_OPEN, GAP_EXTEND = 2, -3, 5, 2
_NOT_BASE = re.compile("[^ACGT]")


def identical_clusters(sequences: Sequence[str]) -> np.ndarray:
    """Cluster sequences that are equal, or one the reverse complement of the other; one without ACGT stays alone.

    Returns:
        (n,) int64 from 1, numbered by first appearance.
    """
    seen: dict[str | int, int] = {}
    clusters = np.empty(len(sequences), np.int64)
    for at, text in enumerate(sequences):
        key = min(text, reverse_complement(text)) if set(text) & set("ACGT") else at
        clusters[at] = seen.setdefault(key, len(seen) + 1)
    return clusters


def homology_clusters(
    sequences: Sequence[str],
    identity: float = 0.8,
    coverage: float = 0.8,
    partners: int = 20,
    threads: int = 1,
    log: Log | None = None,
) -> np.ndarray:
    """Cluster sequences so that no two clusters hold a homologous pair.

    Clusters are the connected components of :func:`homologous_pairs`. A member of a large family has more relatives
    than ``partners``, so the search goes on between clusters until it finds no link.

    Returns:
        int64 array of one cluster number a sequence, from 1 in the order of their first sequence.
    """
    clusters = np.arange(len(sequences))
    index = _seed_index(sequences)
    searched = None
    while True:
        candidates = _candidates(index, clusters, identity, coverage, partners)
        if searched is not None:
            candidates = candidates[~candidates.index.isin(searched)]
        searched = candidates.index if searched is None else searched.append(candidates.index)
        pairs = _aligned(sequences, candidates, identity, coverage, threads, log)
        if pairs.empty:
            return pd.factorize(clusters)[0].astype(np.int64) + 1
        left, right = clusters[pairs["first"]], clusters[pairs["second"]]
        clusters = connected(clusters.max() + 1, left, right)[clusters]


def homologous_pairs(
    sequences: Sequence[str],
    sides: Sequence[int] | np.ndarray,
    identity: float = 0.8,
    coverage: float = 0.8,
    partners: int = 20,
    threads: int = 1,
    log: Log | None = None,
) -> pd.DataFrame:
    """Find homologous sequences on different sides.

    Args:
        sequences: upper-case DNA; letters other than A, C, G and T match nothing.
        sides: one number a sequence; only pairs with different numbers are looked for.
        identity: least share of matches among the columns of the alignment.
        coverage: least share of the shorter sequence inside the alignment.
        partners: align each sequence to at most this many others, those that share most seeds with it.
        threads: for the alignments; the result does not depend on it.
        log: a :class:`intronaut.core.log.Log` that shows progress, or None.

    Returns:
        DataFrame ``first``, ``second`` (positions, first < second), ``strand`` (of the second against the first),
        ``identity``, ``coverage``; one row a pair, sorted by position.
    """
    candidates = _candidates(_seed_index(sequences), np.asarray(sides), identity, coverage, partners)
    return _aligned(sequences, candidates, identity, coverage, threads, log)


@dataclass
class _SeedIndex:
    """Which seeds each sequence has, as sparse matrices of a block of sequences at a time.

    ``lots`` and ``first_lot`` ``(SEEDS,)`` int32: how many lots each seed has, 0 where no sequence has it, and the
    column of its first. One block is kept; of more, each is made again when it is needed, so that memory does not grow
    with the number of sequences beyond this table.
    """

    sequences: list
    lengths: np.ndarray
    every: int
    lots: np.ndarray
    first_lot: np.ndarray
    kept: dict

    @property
    def blocks(self):
        """Slices of sequences."""
        return [slice(at, min(at + BLOCK, len(self.lengths))) for at in range(0, len(self.lengths), BLOCK)]

    def forward(self, block):
        """Sequences of the block × lots."""
        return self._cached("+", block, lambda: self._matrix(self.sequences[block], block.start))

    def others(self, strand, block):
        """Lots × sequences of the block: ``forward(rows) @ others(strand, block)`` counts the seeds that two share."""

        def make():
            texts = self.sequences[block]
            return self._matrix(texts if strand == "+" else map(reverse_complement, texts), block.start).T.tocsr()

        return self._cached(strand + "others", block, make)

    def _cached(self, what, block, make):
        if len(self.lengths) > BLOCK:
            return make()
        if what not in self.kept:
            self.kept[what] = make()
        return self.kept[what]

    def _matrix(self, sequences, first):
        """Sparse matrix of ones, sequences × lots of the seeds; ``first`` is the position of the first sequence."""
        from scipy.sparse import csr_array

        sequences = list(sequences)
        keys = _seeds(sequences, self.every, first)
        keys = keys[self.lots[keys % SEEDS] > 0]
        row_starts = np.searchsorted(keys, (first + np.arange(len(sequences) + 1)) * SEEDS).astype(np.int32)
        seed = keys % SEEDS
        columns = self.first_lot[seed] + (_scatter(keys) % self.lots[seed]).astype(np.int32)
        shape = len(sequences), int(self.lots.sum(dtype=np.int64))
        return csr_array((np.ones(len(keys), np.int32), columns, row_starts), shape=shape)


def _seed_index(sequences):
    lengths = np.array([len(text) for text in sequences], np.int64)
    every = max(1, int(np.median(lengths)) // SHORT_WINDOW) if len(lengths) else 1
    index = _SeedIndex(sequences, lengths, every, np.zeros(SEEDS, np.int32), np.zeros(SEEDS, np.int32), {})
    for block in index.blocks:
        index.lots += np.bincount(_seeds(sequences[block], every, 0) % SEEDS, minlength=SEEDS).astype(np.int32)
    index.lots = -(-index.lots // LOT)
    np.cumsum(index.lots[:-1], out=index.first_lot[1:])
    return index


def _seeds(sequences, every, first):
    """Every distinct seed of every sequence as sorted int64 keys, position · SEEDS + seed; one seed in ``every``.

    Positions count from ``first``.
    """
    keys = [np.empty(0, np.int64)]
    for at in range(0, len(sequences), ROWS_AT_ONCE):
        texts = sequences[at : at + ROWS_AT_ONCE]
        # the gap between two sequences is no base, so that no seed spans it
        codes = base_codes("".join(text + "-" * SPAN for text in texts))
        rows = np.repeat(first + np.arange(at, at + len(texts)), [len(text) + SPAN for text in texts])
        n = len(codes) - SPAN + 1
        wide, gaps = codes.astype(np.int32), codes == OTHER
        seeds, broken = np.zeros(n, np.int32), np.zeros(n, bool)
        for place, spot in enumerate(SEED):
            seeds += wide[spot : spot + n] << (2 * place)
            broken |= gaps[spot : spot + n]
        rows, seeds = rows[:n][~broken], seeds[~broken].astype(np.int64)
        if every > 1:
            kept = _scatter(seeds) % every == 0
            rows, seeds = rows[kept], seeds[kept]
        seen = np.sort(rows * SEEDS + seeds)
        keys.append(seen[np.diff(seen, prepend=-1) > 0])
    return np.concatenate(keys)


def _candidates(index, sides, identity, coverage, partners):
    """Pairs on different sides that share enough seeds to be worth an alignment: first, second, strand."""
    tables = []
    for strand in "+-":
        best = pd.DataFrame({"first": [], "second": [], "n": []}, dtype=np.int64)
        for block in index.blocks:
            others = index.others(strand, block)
            parts = [_sharing(index, sides, rows, others, block.start, identity, coverage) for rows in index.blocks]
            best = _most_shared(pd.concat([best, *parts]), partners)
        tables.append(best.assign(strand=strand))
    pairs = pd.concat(tables)
    low, high = np.sort(pairs[["first", "second"]].to_numpy(np.int64), axis=1).T
    pairs = pd.MultiIndex.from_arrays([low, high, pairs["strand"]], names=["first", "second", "strand"])
    return pairs.unique().sort_values().to_frame()


def _sharing(index, sides, rows, others, start, identity, coverage):
    """Pairs ``first`` (of the block ``rows``), ``second`` (from position ``start``) and ``n``, the seeds they share."""
    forward, tables = index.forward(rows), []
    for at in range(0, forward.shape[0], ROWS_AT_ONCE):
        shared = (forward[at : at + ROWS_AT_ONCE] @ others).tocoo()
        pairs = pd.DataFrame({"first": shared.row + (rows.start + at), "second": shared.col + start, "n": shared.data})
        pairs = pairs[(shared.data > 1) & (sides[pairs["first"]] != sides[pairs["second"]])]
        shorter = np.minimum(index.lengths[pairs["first"]], index.lengths[pairs["second"]])
        tables.append(pairs[pairs["n"] * SEED_SLACK >= coverage * shorter * identity ** len(SEED) / index.every])
    return pd.concat(tables)


def _most_shared(pairs, partners):
    """Of each first sequence the ``partners`` pairs that share most seeds."""
    pairs = pairs.sort_values(["first", "n", "second"], ascending=[True, False, True])
    return pairs.groupby("first").head(partners)


def _aligned(sequences, candidates, identity, coverage, threads, log):
    """The candidates that reach the limits, as the table of :func:`homologous_pairs`."""
    forward = [_NOT_BASE.sub("N", text) for text in sequences]
    jobs = [(*key, rows.to_numpy()) for key, rows in candidates["second"].groupby(level=["first", "strand"])]

    def work(job):
        first, strand, seconds = job
        targets = [forward[row] if strand == "+" else reverse_complement(forward[row]) for row in seconds]
        least = [least_score(forward[first], target, identity, coverage) for target in targets]
        hits = local_alignments(forward[first], targets, least)
        return [(first, row, strand, *hit) for row, hit in zip(seconds, hits, strict=True)]

    rows, pool = [], ThreadPoolExecutor(threads)
    try:
        with log.progress(len(candidates), "alignments") if log else nullcontext() as progress:
            for hits in pool.map(work, jobs):
                rows += [hit for hit in hits if hit[3] >= identity and hit[4] >= coverage]
                if progress:
                    progress.add(len(hits))
    finally:
        # a user who stops the tool does not wait for the alignments still to come
        pool.shutdown(cancel_futures=True)
    pairs = pd.DataFrame(rows, columns=["first", "second", "strand", "identity", "coverage"])
    pairs = pairs.sort_values(["first", "second", "identity"], ascending=[True, True, False], kind="stable")
    return pairs.drop_duplicates(["first", "second"]).reset_index(drop=True)


def least_score(one: str, other: str, identity: float, coverage: float) -> float:
    """The score below which a pair of sequences is taken not to reach the limits, see ``SCORE_SLACK``."""
    columns = coverage * min(len(one), len(other))
    return SCORE_SLACK * columns * (identity * MATCH + (1 - identity) * MISMATCH)


def local_alignments(query: str, targets: list[str], least: list[float] | None = None) -> list[tuple[float, float]]:
    """``(identity, coverage)`` of the best local alignment of ``query`` with each target, on the strand given.

    ``(0.0, 0.0)`` for one whose score is below its number in ``least``: scores alone take a third of the time.
    """
    import pyopal
    from scoring_matrices import ScoringMatrix

    scores = np.where(np.diag([1, 1, 1, 1, 0]), MATCH, MISMATCH)
    # pyopal's opening penalty already holds the first base of the gap; its stub lacks the constructor
    aligner = pyopal.Aligner(ScoringMatrix(scores.tolist(), alphabet=ALPHABET), GAP_OPEN + GAP_EXTEND, GAP_EXTEND)  # type: ignore[call-arg]
    alphabet, chosen = pyopal.Alphabet(ALPHABET), list(range(len(targets)))
    if least is not None:
        database = pyopal.Database(targets, alphabet)
        hits = aligner.align(query, database, mode="score", algorithm="sw")
        chosen = [place for place, hit in enumerate(hits) if hit.score >= least[place]]
    limits = [(0.0, 0.0)] * len(targets)
    database = pyopal.Database([targets[place] for place in chosen], alphabet)
    for place, hit in zip(chosen, aligner.align(query, database, mode="full", algorithm="sw"), strict=True):
        spans = hit.query_end - hit.query_start + 1, hit.target_end - hit.target_start + 1
        columns = len(hit.alignment)
        covered = min(spans) / min(hit.query_length, hit.target_length)
        limits[place] = (hit.alignment.count("M") / columns, covered) if columns else (0.0, 0.0)
    return limits


def _scatter(values):
    """Mix the bits of int64 numbers (the finaliser of MurmurHash3) to int64 numbers of at least 0."""
    mixed = values.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return ((mixed ^ (mixed >> np.uint64(33))) >> np.uint64(1)).astype(np.int64)
