"""Motifs of transcription factors: read them, and score windows with them.

Bases are in the order A, C, G, T.
"""

import io
import math
import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from intronaut.cli import BadData, UsageError
from intronaut.seqio import OTHER, base_codes, numbered_lines

# Roider et al. 2007 (Bioinformatics 23:134), with the fit of R0 to motif width in the authors' R package tRap
TRAP_LAMBDA = 0.7
TRAP_LOG_R0_PER_BASE, TRAP_LOG_R0_AT_0 = 0.584, -5.66
MEASURES = ("best", "occupancy")
MEME_SITES = 20
FLOAT32_BITS = 24


@dataclass(frozen=True)
class Motif:
    """One position frequency matrix: ``counts`` is ``(width, 4)`` float64, weighted by the number of sites."""

    motif_id: str
    tf: str
    counts: np.ndarray
    family: str = ""
    tf_class: str = ""


def jaspar_motifs(release, tax_group):
    """The newest version of every JASPAR CORE matrix of a release (``JASPAR2024``) and taxonomic group, by motif id.

    Raises UsageError for a release or group that pyjaspar does not hold.
    """
    from pyjaspar import jaspardb

    releases = jaspardb().get_releases()
    if release not in releases:
        raise UsageError(f"no JASPAR release {release!r}; there are {', '.join(releases)}")
    with warnings.catch_warnings(action="ignore"):
        found = jaspardb(release=release).fetch_motifs(collection="CORE", tax_group=[tax_group], all_versions=False)
    if not found:
        raise UsageError(f"{release} CORE has no motif of {tax_group!r}; try vertebrates, plants, fungi or insects")
    motifs = [
        Motif(one.matrix_id, one.name, _counts(one), _one_text(one.tf_family), _one_text(one.tf_class)) for one in found
    ]
    return sorted(motifs, key=lambda motif: motif.motif_id)


def _counts(motif):
    return np.array([motif.counts[base] for base in "ACGT"], float).T


def _one_text(names):
    return "; ".join(dict.fromkeys(names or ()))


def read_motifs(path):
    """Read motifs in MEME minimal or JASPAR format, in file order.

    Raises BadData with the line for a matrix that is not one, and for ids that occur twice.
    """
    lines = list(numbered_lines(path))
    first = next((line for _, line in lines if line.strip()), "")
    if first.startswith("MEME"):
        motifs = _read_meme(path, lines)
    elif first.startswith(">"):
        motifs = _read_jaspar(path, lines)
    else:
        raise BadData(f"{path}: neither MEME nor JASPAR motifs, it starts with {first[:40]!r}")
    if not motifs:
        raise BadData(f"{path}: no motif")
    seen = set()
    for motif in motifs:
        if motif.motif_id in seen:
            raise BadData(f"{path}: motif {motif.motif_id} occurs twice")
        if not np.isfinite(motif.counts).all() or (motif.counts < 0).any() or (motif.counts.sum(axis=1) <= 0).any():
            raise BadData(f"{path}: motif {motif.motif_id} has a position without a distribution over A, C, G, T")
        seen.add(motif.motif_id)
    return motifs


def _read_jaspar(path, lines):
    from Bio import motifs

    try:
        parsed = motifs.parse(io.StringIO("".join(f"{line}\n" for _, line in lines)), "jaspar")
        return [Motif(one.matrix_id, one.name or one.matrix_id, _counts(one)) for one in parsed]
    except (ValueError, KeyError, IndexError) as problem:
        raise BadData(f"{path}: not in JASPAR format: {problem}") from problem


def _read_meme(path, lines):
    # Bio.motifs keeps neither the second name nor, for few sites, the probabilities
    motifs, named, width, rows = [], None, 0, []
    for number, line in lines:
        words = line.split()
        if line.startswith("ALPHABET") and words[-1] != "ACGT":
            raise BadData(f"{path}: line {number}: alphabet {words[-1]}; only DNA motifs (ACGT) can be scanned for")
        if line.startswith("MOTIF") and len(words) > 1:
            named = words[1], words[-1].removeprefix(f"{words[1]}.")
        elif line.startswith("letter-probability matrix"):
            stated = dict(re.findall(r"(\w+)=\s*([\d.eE+-]+)", line))
            if named is None or not stated.get("w", "0").isdigit() or int(stated.get("w", 0)) < 1:
                raise BadData(f"{path}: line {number}: a matrix needs a MOTIF line before it and a width w=")
            width, sites, rows = int(stated["w"]), float(stated.get("nsites", MEME_SITES)), []
        elif len(rows) < width:
            try:
                rows.append([float(word) for word in words])
            except ValueError:
                rows.append([])
            if len(rows[-1]) != 4:
                raise BadData(f"{path}: line {number}: expected four probabilities, found {line[:40]!r}")
            if len(rows) == width:
                motifs.append(Motif(*named, np.array(rows) * max(sites, 1)))
                named = None
    if len(rows) < width:
        raise BadData(f"{path}: ends within motif {named[0]}; copy the file again")
    return motifs


def feature_table(motifs):
    """``var``: one row a motif and measure, indexed by name."""
    rows = [
        (f"{motif.motif_id}_{motif.tf}_{measure}", motif.motif_id, motif.tf, motif.family, motif.tf_class, measure)
        for motif in motifs
        for measure in MEASURES
    ]
    return pd.DataFrame(rows, columns=["name", "motif_id", "tf", "family", "class", "measure"]).set_index("name")


def log_odds(motif, pseudocount, background):
    """log2 of probability over background, ``(width, 4)`` float64; the pseudocount is shared out by background."""
    smoothed = motif.counts + pseudocount * background
    return np.log2(smoothed / smoothed.sum(axis=1, keepdims=True) / background)


class Scanner:
    """Scores windows with all motifs at once, on both strands.

    A site is scored in TRAP's log odds of being bound, x = ln R0 - (Smax - S)·ln2/λ for a log-odds of S bits. Each
    term is rounded to a power of two at which float32 sums of them are exact, so x is the same number in whatever
    order it is summed; and a window is scored alone, so that nothing depends on its neighbours or on threads.
    """

    def __init__(self, motifs, pseudocount, background):
        self.n = len(motifs)
        matrices = [log_odds(motif, pseudocount, np.asarray(background, float)) for motif in motifs]
        widths = np.array([len(matrix) for matrix in matrices])
        self.widest = int(widths.max())
        self.groups = [
            (width, torch.from_numpy(places), *_trap_terms([matrices[place] for place in places]))
            for width in map(int, np.unique(widths))
            for places in [np.flatnonzero(widths == width)]
        ]

    def scan(self, sequence):
        """``(2, motifs)`` float32: the best log-odds site in bits, and the expected number of bound sites.

        The occupancy is the sum of 1 / (1 + exp(-x)) over all sites of both strands. A base other than A, C, G and T
        is as likely in the motif as in the background (log-odds 0), and a window shorter than a motif is scored as if
        such bases followed.
        """
        codes = base_codes(sequence)
        bases = np.zeros((max(len(codes), self.widest), 4), np.float32)
        known = np.flatnonzero(codes != OTHER)
        bases[known, codes[known]] = 1
        bases = torch.from_numpy(bases)
        scores = torch.empty(2, self.n)
        for width, places, terms, constant in self.groups:
            positions = max(len(codes) - width + 1, 1)
            x = torch.addmm(constant, bases.as_strided((positions, 4 * width), (4, 1)), terms)
            best = (x.amax(dim=0) - constant).view(2, -1).amax(dim=0)
            scores[0, places] = best * (TRAP_LAMBDA / math.log(2))
            scores[1, places] = torch.sigmoid_(x).sum(dim=0).view(2, -1).sum(dim=0)
        return scores.numpy()


def _trap_terms(matrices):
    """For ``m`` matrices of one width: ``(4 · width, 2 · m)`` terms of x, plus strand first, and its constant."""
    energies = [matrix * (math.log(2) / TRAP_LAMBDA) for matrix in matrices]
    log_r0 = TRAP_LOG_R0_PER_BASE * len(matrices[0]) + TRAP_LOG_R0_AT_0
    rounded = [_in_exact_steps(energy, log_r0 - energy.max(axis=1).sum()) for energy in energies]
    both = [one.ravel() for one, _ in rounded] + [one[::-1, ::-1].ravel() for one, _ in rounded]
    constants = [constant for _, constant in rounded]
    return torch.from_numpy(np.stack(both, axis=1).astype(np.float32)), torch.tensor(constants * 2, dtype=torch.float32)


def _in_exact_steps(matrix, constant):
    """Round both so that the constant plus one entry of each row is exact in float32, in whatever order added."""
    largest_sum = np.abs(matrix).max(axis=1).sum() + abs(constant) + len(matrix)
    step = 2.0 ** (math.ceil(math.log2(largest_sum)) - FLOAT32_BITS)
    return np.round(matrix / step) * step, round(constant / step) * step
