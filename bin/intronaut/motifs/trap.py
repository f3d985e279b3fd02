"""Motif scores of windows: TRAP occupancy and best site."""

import math

import numpy as np
import pandas as pd

from intronaut.core.dna import base_codes
from intronaut.motifs.pwm import Motif, log_odds, one_hot, sites_as_columns, strand_rows

# Roider et al. 2007 (Bioinformatics 23:134), with the fit of R0 to motif width in the authors' R package tRap
TRAP_LAMBDA = 0.7


TRAP_LOG_R0_PER_BASE, TRAP_LOG_R0_AT_0 = 0.584, -5.66


MEASURES = ("best", "occupancy")


FLOAT32_BITS = 24


def feature_table(motifs: list[Motif]) -> pd.DataFrame:
    """``var``: one row a motif and measure, indexed by name."""
    rows = [
        (f"{motif.motif_id}_{motif.tf}_{measure}", motif.motif_id, motif.tf, motif.family, motif.tf_class, measure)
        for motif in motifs
        for measure in MEASURES
    ]
    return pd.DataFrame(rows, columns=["name", "motif_id", "tf", "family", "class", "measure"]).set_index("name")


class Scanner:
    """Scores windows with all motifs at once, on both strands or (``strands`` 1) only as the windows read.

    A site is scored in TRAP's log odds of being bound, x = ln R0 - (Smax - S)·ln2/λ for a log-odds of S bits. Each
    term is rounded to a power of two at which float32 sums of them are exact, so x is the same number in whatever
    order it is summed; and a window is scored alone, so that nothing depends on its neighbours or on threads.
    """

    def __init__(self, motifs: list[Motif], pseudocount: float, background: list[float], strands: int = 2) -> None:
        self.n, self.strands = len(motifs), strands
        matrices = [log_odds(motif, pseudocount, np.asarray(background, float)) for motif in motifs]
        widths = np.array([len(matrix) for matrix in matrices])
        self.widest = int(widths.max())
        self.groups = [
            (width, places, *_trap_terms([matrices[place] for place in places], strands))
            for width in map(int, np.unique(widths))
            for places in [np.flatnonzero(widths == width)]
        ]

    def scan(self, sequence: str) -> np.ndarray:
        """``(2, motifs)`` float32: the best log-odds site in bits, and the expected number of bound sites.

        The occupancy is the sum of 1 / (1 + exp(-x)) over all sites of both strands. A base other than A, C, G and T
        is as likely in the motif as in the background (log-odds 0), and a window shorter than a motif is scored as if
        such bases followed.
        """
        bases = one_hot(base_codes(sequence), at_least=self.widest)
        scores = np.empty((2, self.n), np.float32)
        for width, places, terms, constant in self.groups:
            x = terms @ sites_as_columns(bases, max(len(sequence) - width + 1, 1), width)
            best = x.max(axis=1).reshape(self.strands, -1).max(axis=0)
            scores[0, places] = best * np.float32(TRAP_LAMBDA / math.log(2))
            x += constant
            scores[1, places] = _sigmoid(x).sum(axis=1).reshape(self.strands, -1).sum(axis=0)
        return scores


def _sigmoid(x):
    """1 / (1 + exp(-x)), written over ``x``; where exp(-x) is beyond float32 the site is not bound."""
    with np.errstate(over="ignore"):
        np.exp(np.negative(x, out=x), out=x)
    x += 1
    return np.reciprocal(x, out=x)


def _trap_terms(matrices, strands):
    """For ``m`` matrices of one width: ``(strands · m, 4 · width)`` terms of x, plus strand first, and as many rows of
    constants."""
    energies = [matrix * (math.log(2) / TRAP_LAMBDA) for matrix in matrices]
    log_r0 = TRAP_LOG_R0_PER_BASE * len(matrices[0]) + TRAP_LOG_R0_AT_0
    rounded = [_in_exact_steps(energy, log_r0 - energy.max(axis=1).sum()) for energy in energies]
    constants = np.array([constant for _, constant in rounded] * strands, np.float32)[:, None]
    return strand_rows([one for one, _ in rounded], strands), constants


def _in_exact_steps(matrix, constant):
    """Round both so that the constant plus one entry of each row is exact in float32, in whatever order added."""
    largest_sum = np.abs(matrix).max(axis=1).sum() + abs(constant) + len(matrix)
    step = 2.0 ** (math.ceil(math.log2(largest_sum)) - FLOAT32_BITS)
    return np.round(matrix / step) * step, round(constant / step) * step
