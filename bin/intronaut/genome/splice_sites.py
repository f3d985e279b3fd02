"""Splice sites of introns: their bases, and how strong they are by models of the genome's own annotated sites.

The strength of a site is a log2 odds: how much more probable its bases are among the annotated sites than among decoys,
the GT (donor) and AG (acceptor) dinucleotides of gene bodies that no annotated intron uses. Donors have a maximum
entropy model of all pairs of bases, as Yeo & Burge 2004 (J Comput Biol 11:377) chose for them; acceptors the mean of a
first-order Markov model and of their maximum entropy models of nine overlapping windows, which tells sites from decoys
better than either. Genomes with few sites get simpler models.

Coordinates are 0-based, half-open, on the forward strand; bases are read in the direction of transcription.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from intronaut.core.dna import OTHER, base_codes
from intronaut.genome.maxentscan import WINDOWS

if TYPE_CHECKING:
    import pandas as pd

    from intronaut.genome.reference import Genome

# bases before and after the boundary of exon and intron, as in MaxEntScan
DONOR, ACCEPTOR = (3, 6), (20, 3)
DONOR_PAIR, ACCEPTOR_PAIR = 3, 18  # where GT and AG begin in these
# what no model can be estimated from; where the next one has overtaken the simpler one on chr19p
LEAST_SITES, MARKOV_SITES, ENTROPY_SITES = 30, 300, 1000
DECOY_DRAWS = 800_000
PSEUDO_COUNT = 1.0
IPF_PASSES, IPF_TOLERANCE = 60, 1e-6
BOTH = "markov and maximum entropy"
MODEL_OF_SITES = ((ENTROPY_SITES, "maximum entropy", BOTH), (MARKOV_SITES, "markov", "markov"))


@dataclass
class Bases:
    """The bases around the splice sites of introns and of decoys, uint8 codes, OTHER where unknown.

    ``donor`` ``(n, 9)``, ``acceptor`` ``(n, 23)`` and ``tail`` ``(n, reach)``, the last bases of every intron (OTHER
    before its start), one row an intron; ``head`` ``(n, 8)`` its first bases; ``place_donor`` and ``place_acceptor``
    ``(n,)`` a number for each distinct site. ``decoy_donors`` and ``decoy_acceptors`` are those of decoys, and
    ``pairs`` ``(16,)`` how often each dinucleotide was met in gene bodies.
    """

    donor: np.ndarray
    acceptor: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    place_donor: np.ndarray
    place_acceptor: np.ndarray
    decoy_donors: np.ndarray
    decoy_acceptors: np.ndarray
    pairs: np.ndarray


def boundaries(introns: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates of the donor's and the acceptor's boundary of exon and intron, ``(n,)`` each."""
    start, end, minus = introns["start"].to_numpy(), introns["end"].to_numpy(), is_minus(introns)
    return np.where(minus, end, start), np.where(minus, start, end)


def is_minus(table: pd.DataFrame) -> np.ndarray:
    """Whether each row lies on the minus strand, bool."""
    return (table["strand"] == "-").to_numpy()


def around(codes: np.ndarray, boundary: np.ndarray, minus: np.ndarray, before: int, after: int) -> np.ndarray:
    """The ``before`` bases before each boundary and the ``after`` behind it, in reading direction, ``(n, both)``.

    ``codes`` are the bases of the whole chromosome; beyond its ends they are OTHER.
    """
    step = np.where(minus, -1, 1)[:, None]
    first = np.where(minus, boundary - 1, boundary)[:, None]
    index = (first + step * np.arange(-before, after)).astype(np.int32)
    inside = (index >= 0) & (index < len(codes))
    bases = np.where(inside, codes[np.clip(index, 0, len(codes) - 1)], OTHER).astype(np.uint8)
    return np.where((minus[:, None]) & (bases < OTHER), 3 - bases, bases)


def read_bases(
    genome: Genome, chroms: dict[str, str], introns: pd.DataFrame, genes: pd.DataFrame, *, reach: int, seed: int
) -> Bases:
    """The Bases of ``introns``, and of decoys drawn from ``genes``.

    Args:
        genome: a Genome; ``chroms`` maps the tables' chromosome names to its own.
        introns, genes: DataFrames chrom, start, end, strand.
        reach: how many of the last bases of each intron ``tail`` holds.
    """
    introns = introns.reset_index(drop=True)
    rng, draws = np.random.default_rng(seed), draw_positions(genes[genes["chrom"].isin(chroms)], seed)
    n, (donor_at, acceptor_at), minus = len(introns), boundaries(introns), is_minus(introns)
    length = (introns["end"] - introns["start"]).to_numpy()
    parts = {"donor": (donor_at, DONOR), "acceptor": (acceptor_at, ACCEPTOR), "tail": (acceptor_at, (reach, 0)),
             "head": (donor_at, (0, 8))}  # fmt: skip
    bases = {name: np.full((n, sum(span)), OTHER, np.uint8) for name, (_, span) in parts.items()}
    decoys, pairs = {"donor": [], "acceptor": []}, np.zeros(16, np.int64)
    for chrom in introns["chrom"].unique():
        rows = np.flatnonzero((introns["chrom"] == chrom).to_numpy())
        codes = base_codes(genome.fetch(chroms[chrom], 0, genome.lengths[chroms[chrom]]))
        for name, (at, span) in parts.items():
            bases[name][rows] = around(codes, at[rows], minus[rows], *span)
        at, strand = draws.get(chrom, (np.zeros(0, np.int64), np.zeros(0, bool)))
        keys = {"donor": donor_at[rows] * 2 + minus[rows], "acceptor": acceptor_at[rows] * 2 + minus[rows]}
        pairs += np.bincount(_pair_codes(around(codes, at, strand, 0, 2)), minlength=17)[:16]
        for name, span, pair in (("donor", DONOR, (0, 2)), ("acceptor", ACCEPTOR, (2, 0))):
            wanted = 2 * 4 + 3 if name == "donor" else 2
            hits = _pair_codes(around(codes, at, strand, *pair)) == wanted
            hits[hits] = ~np.isin(at[hits] * 2 + strand[hits], keys[name])
            decoys[name].append(around(codes, at[hits], strand[hits], *span))
    distance = np.arange(reach - 1, -1, -1)
    bases["tail"][distance >= length[:, None]] = OTHER
    bases["head"][np.arange(8) >= length[:, None]] = OTHER
    chrom = introns["chrom"].factorize()[0].astype(np.int64) << 40
    decoy_donors, decoy_acceptors = (rng.permutation(np.concatenate(decoys[name])) for name in decoys)
    return Bases(**bases, place_donor=chrom + donor_at * 2 + minus, place_acceptor=chrom + acceptor_at * 2 + minus,
                 decoy_donors=decoy_donors, decoy_acceptors=decoy_acceptors, pairs=pairs)  # fmt: skip


def draw_positions(genes: pd.DataFrame, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Positions in gene bodies to look for decoys at: a dict from chromosome to ``(positions, whether minus)``.

    All of them where there are no more than DECOY_DRAWS, else so many drawn at random.
    """
    genes = genes[genes["strand"].isin(["+", "-"])].reset_index(drop=True)
    length = (genes["end"] - genes["start"]).to_numpy()
    total = int(length.sum())
    if total > DECOY_DRAWS:
        drawn = np.unique(np.random.default_rng(seed).integers(total, size=DECOY_DRAWS))
    else:
        drawn = np.arange(total)
    gene = np.searchsorted(np.cumsum(length), drawn, side="right")
    offset = drawn - (np.cumsum(length) - length)[gene] if total else drawn
    minus = is_minus(genes)[gene]
    # the boundary before a base: on the minus strand that lies right of it
    at = genes["start"].to_numpy()[gene] + offset + minus
    chrom = genes["chrom"].to_numpy()[gene]
    return {name: (at[chrom == name], minus[chrom == name]) for name in genes["chrom"].unique()}


def _pair_codes(bases):
    """``4 first + second`` of dinucleotides ``(n, 2)``; 16 where a base is unknown."""
    bases = bases.astype(np.int64)
    return np.where((bases < OTHER).all(axis=1), bases[:, 0] * 4 + bases[:, 1], 16)


def column_frequencies(codes: np.ndarray, pseudo_count: float = PSEUDO_COUNT) -> np.ndarray:
    """Base frequencies of each column of ``codes`` ``(n, w)``, ``(w, 4)``, with a quarter pseudo-count a base."""
    counts = np.stack([(codes == base).sum(axis=0) for base in range(4)], axis=1)
    return (counts + pseudo_count / 4) / (counts.sum(axis=1, keepdims=True) + pseudo_count)


def pair_frequencies(codes: np.ndarray, pseudo_count: float = PSEUDO_COUNT) -> dict[tuple[int, int], np.ndarray]:
    """Joint base frequencies of every two columns: a dict from ``(i, j)`` to ``(4, 4)``.

    Counts plus ``16 pseudo_count`` times the product of the two columns' frequencies, so that all pairs agree on the
    frequencies of a column that they share.
    """
    single, tables = column_frequencies(codes), {}
    for i, j in combinations(range(codes.shape[1]), 2):
        counts = np.bincount(codes[:, i].astype(np.int64) * 4 + codes[:, j], minlength=16).reshape(4, 4)
        counts = counts + 16 * pseudo_count * np.outer(single[i], single[j])
        tables[i, j] = counts / counts.sum()
    return tables


def maximum_entropy(targets: dict[tuple[int, int], np.ndarray], width: int) -> np.ndarray:
    """The distribution of most entropy over ``4 ** width`` words whose pairs have the frequencies ``targets``.

    By iterative proportional fitting (Deming & Stephan 1940, Ann Math Stat 11:427) from the uniform distribution, until
    no frequency is off by more than IPF_TOLERANCE, IPF_PASSES passes at most. Shape ``(4,) * width``.
    """
    words = np.full((4,) * width, 4.0**-width)
    for _ in range(IPF_PASSES):
        worst = 0.0
        for (i, j), target in targets.items():
            others = tuple(axis for axis in range(width) if axis not in (i, j))
            marginal = words.sum(axis=others, keepdims=True)
            shaped = target.reshape([4 if axis in (i, j) else 1 for axis in range(width)])
            worst = max(worst, float(np.abs(marginal - shaped).max()))
            words = words * (shaped / marginal)
        if worst < IPF_TOLERANCE:
            break
    return words


def entropy_log2(codes: np.ndarray, fitted_on: np.ndarray) -> np.ndarray:
    """log2 probability of each word of ``codes`` ``(n, w)`` by the maximum entropy model of ``fitted_on``."""
    words = maximum_entropy(pair_frequencies(fitted_on), fitted_on.shape[1])
    return np.log2(words[tuple(codes.T)])


def markov_log2(codes: np.ndarray, fitted_on: np.ndarray) -> np.ndarray:
    """The same by a first-order Markov model with transitions of its own at every column."""
    tables = pair_frequencies(fitted_on)
    first = np.log2(tables[0, 1].sum(axis=1))
    total = first[codes[:, 0]]
    for j in range(1, codes.shape[1]):
        table = tables[j - 1, j]
        total = total + np.log2(table / table.sum(axis=1, keepdims=True))[codes[:, j - 1], codes[:, j]]
    return total


def windows_log2(codes: np.ndarray, fitted_on: np.ndarray) -> np.ndarray:
    """The same of acceptors, twenty-one bases, by maximum entropy models of the nine WINDOWS."""
    return np.sum([sign * entropy_log2(codes[:, a:b], fitted_on[:, a:b]) for a, b, sign in WINDOWS], axis=0)


def both_log2(codes: np.ndarray, fitted_on: np.ndarray) -> np.ndarray:
    """The mean of :func:`markov_log2` and :func:`windows_log2`."""
    return (markov_log2(codes, fitted_on) + windows_log2(codes, fitted_on)) / 2


def matrix_log2(codes: np.ndarray, fitted_on: np.ndarray) -> np.ndarray:
    """The same by a matrix of base frequencies, each column on its own."""
    logs = np.log2(column_frequencies(fitted_on))
    return logs[np.arange(codes.shape[1]), codes].sum(axis=1)


LOG2_OF = {"maximum entropy": entropy_log2, BOTH: both_log2, "markov": markov_log2, "matrix": matrix_log2}


def models_for(n_sites: int) -> list[str] | None:
    """The models that ``n_sites`` distinct sites can bear: of the donor and of the acceptor; None for too few."""
    if n_sites < LEAST_SITES:
        return None
    return next((models for least, *models in MODEL_OF_SITES if n_sites >= least), ["markov", "matrix"])


def strengths(
    sites: np.ndarray, places: np.ndarray, decoys: np.ndarray, pair_at: int, pair: int, pairs: np.ndarray, model: str
) -> np.ndarray:
    """The log2 odds of every site, real over decoy, ``(n,)``; NaN where a base is unknown.

    Args:
        sites: codes ``(n, w)``; ``places`` tells which of them are one site of several introns, to be counted once.
        decoys: codes ``(m, w)``.
        pair_at: where the dinucleotide stands, ``pair`` its usual code; the model is of the other bases of sites that
            have it. ``pairs`` ``(16,)`` is how often each dinucleotide stands anywhere in gene bodies.
        model: a name of LOG2_OF.
    """
    known = (sites < OTHER).all(axis=1)
    others = np.delete(np.arange(sites.shape[1]), [pair_at, pair_at + 1])
    distinct = np.zeros(len(sites), bool)
    distinct[np.unique(places, return_index=True)[1]] = True
    of_pair = _pair_codes(sites[:, pair_at : pair_at + 2])
    real = sites[known & distinct & (of_pair == pair)][:, others]
    decoys = decoys[(decoys < OTHER).all(axis=1)][:, others]
    share = log2_shares(of_pair[known & distinct]) - log2_shares(np.repeat(np.arange(16), pairs))
    wanted, log2 = sites[known][:, others], LOG2_OF[model]
    result = np.full(len(sites), np.nan)
    result[known] = log2(wanted, real) - log2(wanted, decoys) + share[of_pair[known]]
    return result


def log2_shares(pairs: np.ndarray) -> np.ndarray:
    """log2 of the share of each dinucleotide code among ``pairs``, a sixteenth of a count added to each, ``(16,)``."""
    counts = np.bincount(pairs, minlength=16)[:16] + 1 / 16
    return np.log2(counts / counts.sum())


def site_strengths(bases: Bases) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    """``(donor, acceptor, models)``: log2 odds of every intron's sites, NaN with too few sites, and the models' names.

    ``models`` is a list of two names of LOG2_OF, or None.
    """
    usual = {"donor": 2 * 4 + 3, "acceptor": 2}
    n_sites = min(
        len(np.unique(places[_pair_codes(sites[:, at : at + 2]) == pair]))
        for sites, places, at, pair in (
            (bases.donor, bases.place_donor, DONOR_PAIR, usual["donor"]),
            (bases.acceptor, bases.place_acceptor, ACCEPTOR_PAIR, usual["acceptor"]),
        )
    )
    models = models_for(n_sites)
    decoys = min(len(bases.decoy_donors), len(bases.decoy_acceptors))
    if models is None or decoys < LEAST_SITES:
        return np.full(len(bases.donor), np.nan), np.full(len(bases.donor), np.nan), None
    donor = strengths(bases.donor, bases.place_donor, bases.decoy_donors, DONOR_PAIR, usual["donor"], bases.pairs,
                      models[0])  # fmt: skip
    acceptor = strengths(bases.acceptor, bases.place_acceptor, bases.decoy_acceptors, ACCEPTOR_PAIR, usual["acceptor"],
                         bases.pairs, models[1])  # fmt: skip
    return donor, acceptor, models
