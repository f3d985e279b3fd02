"""Motifs of transcription factors: read them, and score windows with them.

Bases are in the order A, C, G, T.
"""

import io
import re
import warnings
from dataclasses import dataclass

import numpy as np

from intronaut.core.dna import OTHER
from intronaut.core.errors import BadData, UsageError
from intronaut.io.text import numbered_lines

MEME_SITES = 20


@dataclass(frozen=True)
class Motif:
    """One position frequency matrix: ``counts`` is ``(width, 4)`` float64, weighted by the number of sites.

    ``rna``: of a protein that binds RNA, read in the direction of transcription only.
    """

    motif_id: str
    tf: str
    counts: np.ndarray
    family: str = ""
    tf_class: str = ""
    rna: bool = False


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
    motifs, named, width, rows, rna = [], None, 0, [], False
    for number, line in lines:
        words = line.split()
        if line.startswith("ALPHABET"):
            rna = words[-1] == "ACGU"
            if words[-1] not in ("ACGT", "ACGU"):
                raise BadData(f"{path}: line {number}: alphabet {words[-1]}; only DNA and RNA can be scanned for")
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
                motifs.append(Motif(*named, np.array(rows) * max(sites, 1), rna=rna))
                named = None
    if len(rows) < width:
        raise BadData(f"{path}: ends within motif {named[0]}; copy the file again")
    return motifs


def log_odds(motif, pseudocount, background):
    """log2 of probability over background, ``(width, 4)`` float64; the pseudocount is shared out by background."""
    smoothed = motif.counts + pseudocount * background
    return np.log2(smoothed / smoothed.sum(axis=1, keepdims=True) / background)


def one_hot(codes, at_least=0):
    """Base codes as ``(length, 4)`` float32, a row of zeros for an unknown base and up to ``at_least`` rows."""
    bases = np.zeros((max(len(codes), at_least), 4), np.float32)
    known = np.flatnonzero(codes != OTHER)
    bases[known, codes[known]] = 1
    return bases


def sites_as_columns(bases, positions, width):
    """Every site of one-hot bases as a column: ``(4 · width, positions)``, contiguous as BLAS needs it."""
    step = bases.itemsize
    overlapping = np.lib.stride_tricks.as_strided(bases, (4 * width, positions), (step, 4 * step), writeable=False)
    return np.ascontiguousarray(overlapping)


def strand_rows(matrices, strands=2):
    """Matrices of one width as the rows of ``(strands · m, 4 · width)`` float32: first all as they are, then, for both
    strands, all reversed and complemented."""
    rows = [matrix.ravel() for matrix in matrices]
    rows += [matrix[::-1, ::-1].ravel() for matrix in matrices] if strands == 2 else []
    return np.stack(rows).astype(np.float32)


def strands_of(motifs, wanted="auto"):
    """How many strands to look at: ``wanted`` both or one; auto takes one for motifs of RNA, else both."""
    return {"both": 2, "one": 1}.get(wanted, 1 if any(motif.rna for motif in motifs) else 2)


def refuse_forward_windows(strands, cut):
    """Raise BadData where one strand is to be read of windows that do not run in the direction of transcription."""
    if strands == 1 and cut.get("window", {}).get("strand") == "forward":
        raise BadData(
            "windows cut with --strand forward do not run in the direction of transcription, which motifs of RNA need; "
            "cut them with --strand aware"
        )
