"""The 3' part of introns: branch point, pyrimidine tract, AG exclusion zone; and introns of the minor spliceosome.

Bases are the ``tail`` of :class:`intronaut.genome.splice_sites.Bases`: the last bases of each intron in the direction
of transcription, uint8 codes, OTHER where unknown or before the intron. The distance of a base is that to the last base
of the intron, which has distance 0.
"""

from collections.abc import Sequence

import numpy as np

from intronaut.core.dna import OTHER, base_codes

# where the branch point lies in vertebrates (Gao et al. 2008, NAR 36:2257: 83 % at 21–34; Mercer et al. 2015: 18–45)
DISTANCES = range(15, 51)
WIDTH, A_COLUMN = 7, 5
# A, C, G, T at and around the branch point as Gao et al. report them, yUnAy; where the search begins
A_FREQUENCIES = np.array([0.923, 0.033, 0.017, 0.027])
START = {2: (0.12, 0.47, 0.09, 0.32), 3: (0.1, 0.1, 0.054, 0.746), 6: (0.13, 0.331, 0.119, 0.42)}
ROUNDS, EM_INTRONS, PSEUDO_COUNT = 60, 4_000, 1.0
SMOOTHING = np.array([1, 2, 3, 2, 1]) / 9
TRACT = (6, 25)  # distances from the exon's first base, 1 the last base of the intron
EXCLUSION_FROM, EXCLUSION_UP_TO = 13, 150
# Hall & Padgett 1994 (J Mol Biol 239:357), Levine & Durbin 2001 (NAR 29:4006), Sheth et al. 2006 (NAR 34:3955)
U12_DONOR, U12_DONOR_MISMATCHES = "RTATCCTT", 1
U12_BRANCH, U12_BRANCH_MISMATCHES, U12_DISTANCES = "TTCCTTRAY", 2, range(7, 38)
_LETTERS = {"R": "AG", "Y": "CT"}


def reach(distances: Sequence[int] = DISTANCES) -> int:
    """How many bases of each intron's end the descriptions of this module look at."""
    return max(EXCLUSION_UP_TO + 2, distances[-1] + A_COLUMN + 1, U12_DISTANCES[-1] + len(U12_BRANCH))


def describe(
    tail: np.ndarray, head: np.ndarray, *, distances: Sequence[int] = DISTANCES, seed: int = 1
) -> dict[str, np.ndarray]:
    """The columns ppt_y, bp_score, bp_distance, agez and u12 of every intron, a dict of ``(n,)`` arrays.

    ``ppt_y``: share of C and T among the bases 6 to 25 before the exon. ``bp_score``, ``bp_distance``: of the best
    branch point by the model of :func:`learn`. ``agez``: distance of the nearest AG that is at least 13 bases upstream
    of the acceptor's, at most EXCLUSION_UP_TO (Gooding et al. 2006, Genome Biol 7:R1). ``u12``: 1 where the intron
    begins and ends as those of the minor spliceosome, else 0. NaN where the bases are unknown.
    """
    score, distance = best_branch_points(tail, *learn(tail, distances, seed), distances)
    return {
        "ppt_y": pyrimidine_share(tail), "bp_score": score, "bp_distance": distance, "agez": exclusion_zone(tail),
        "u12": is_u12(head, tail),
    }  # fmt: skip


def pyrimidine_share(tail: np.ndarray) -> np.ndarray:
    """The share of C and T at the distances of TRACT."""
    window = tail[:, tail.shape[1] - TRACT[1] : tail.shape[1] - TRACT[0] + 1]
    known = (window < OTHER).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return ((window == 1) | (window == 3)).sum(axis=1) / known


def exclusion_zone(tail: np.ndarray) -> np.ndarray:
    """Distance from the acceptor's AG to the nearest AG upstream of EXCLUSION_FROM.

    Where none is within EXCLUSION_UP_TO, that many, or the whole of a shorter intron; NaN for introns shorter than
    EXCLUSION_FROM.
    """
    n, width = tail.shape
    is_ag = np.zeros(tail.shape, bool)
    is_ag[:, 1:] = (tail[:, :-1] == 0) & (tail[:, 1:] == 2)
    by_distance = is_ag[:, ::-1][:, EXCLUSION_FROM : EXCLUSION_UP_TO + 1]
    distance = by_distance.argmax(axis=1) + EXCLUSION_FROM
    inside = (tail[:, ::-1] < OTHER).cumprod(axis=1).sum(axis=1)
    none = np.minimum(inside, EXCLUSION_UP_TO)
    return np.where(inside < EXCLUSION_FROM, np.nan, np.where(by_distance.any(axis=1), distance, none))


def _columns(tail, column, distances):
    """The bases of one column of the motif when its A lies at each of ``distances``, ``(n, distances)``."""
    first = tail.shape[1] - 1 - np.asarray(distances) + column - A_COLUMN
    return tail[:, first]


def _log_odds(tail, motif, background, distances):
    """Natural log odds of the motif at each distance, ``(n, distances)``; -inf where a base is unknown."""
    logs = np.full((WIDTH, OTHER + 1), -np.inf)
    logs[:, :OTHER] = np.log(motif / background)
    return sum(logs[column][_columns(tail, column, distances)] for column in range(WIDTH))


def learn(
    tail: np.ndarray, distances: Sequence[int] = DISTANCES, seed: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A branch-point motif and where it lies, by expectation maximisation from the introns themselves.

    One motif of 7 bases in every intron, whose sixth is the branch point with the base frequencies of Gao et al.; its
    distance has a smoothed prior. EM_INTRONS introns drawn at random are looked at.

    Returns:
        ``(motif (7, 4), prior (distances,), background (4,))``.
    """
    rng = np.random.default_rng(seed)
    tail = tail[np.sort(rng.permutation(len(tail))[:EM_INTRONS])]
    # the bases that the motif may cover
    window = tail[:, tail.shape[1] - 1 - distances[-1] - A_COLUMN : tail.shape[1] - distances[0] + 1]
    counts = np.bincount(window.ravel(), minlength=OTHER + 1)[:OTHER] + PSEUDO_COUNT
    background = counts / counts.sum()
    motif = np.tile(background, (WIDTH, 1))
    motif[A_COLUMN] = A_FREQUENCIES
    for column, frequencies in START.items():
        motif[column] = frequencies
    prior = np.full(len(distances), 1 / len(distances))
    columns = [_columns(tail, column, distances) for column in range(WIDTH)]
    for _ in range(ROUNDS):
        joint = _log_odds(tail, motif, background, distances) + np.log(prior)
        usable = np.isfinite(joint).any(axis=1)
        if not usable.any():
            break
        weight = np.exp(joint[usable] - joint[usable].max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        smooth = np.convolve(np.pad(weight.sum(axis=0), 2, mode="edge"), SMOOTHING, mode="valid") + PSEUDO_COUNT
        prior = smooth / smooth.sum()
        for column in range(WIDTH):
            if column != A_COLUMN:
                bases = np.bincount(columns[column][usable].ravel(), weight.ravel(), minlength=OTHER + 1)[:OTHER]
                bases = bases + PSEUDO_COUNT * background
                motif[column] = bases / bases.sum()
    return motif, prior, background


def best_branch_points(
    tail: np.ndarray, motif: np.ndarray, prior: np.ndarray, background: np.ndarray, distances: Sequence[int] = DISTANCES
) -> tuple[np.ndarray, np.ndarray]:
    """``(score, distance)`` of every intron's best place: log2 odds of the motif plus log2 prior; NaN without one."""
    score = np.full(len(tail), np.nan)
    distance = np.full(len(tail), np.nan)
    for first in range(0, len(tail), EM_INTRONS):
        rows = slice(first, first + EM_INTRONS)
        total = (_log_odds(tail[rows], motif, background, distances) + np.log(prior)) / np.log(2)
        best = total.argmax(axis=1)
        value = total[np.arange(len(total)), best]
        score[rows] = np.where(np.isfinite(value), value, np.nan)
        distance[rows] = np.where(np.isfinite(value), np.asarray(distances)[best], np.nan)
    return score, distance


def _mismatches(bases, consensus):
    """How many bases of ``(n, w)`` are none that the consensus allows; unknown bases count as mismatches."""
    allowed = [base_codes(_LETTERS.get(letter, letter)) for letter in consensus]
    return sum(~np.isin(bases[:, column], letters) for column, letters in enumerate(allowed))


def is_u12(head: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """1.0 where an intron has donor and branch point of the minor spliceosome, else 0.0."""
    width, donor = len(U12_BRANCH), _mismatches(head, U12_DONOR) <= U12_DONOR_MISMATCHES
    result = np.zeros(len(tail))
    rows = np.flatnonzero(donor)
    for distance in U12_DISTANCES:
        last = tail.shape[1] - distance
        hit = _mismatches(tail[rows, last - width : last], U12_BRANCH) <= U12_BRANCH_MISMATCHES
        result[rows[hit]] = 1.0
    return result
