"""Motifs of transcription factors: read them, and score windows with them.

Bases are in the order A, C, G, T.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from intronaut.core.dna import OTHER
from intronaut.core.errors import BadData, UsageError


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


def jaspar_name(release: str, tax_group: str) -> str:
    """What provenance calls the motifs of :func:`jaspar_motifs`."""
    return f"{release} CORE {tax_group}, newest versions"


def motifs_of_name(name: str) -> list[Motif]:
    """The motifs of a :func:`jaspar_name`. Raises UsageError as :func:`jaspar_motifs`."""
    release, _, tax_group = name.partition(",")[0].split(" ", 2)
    return jaspar_motifs(release, tax_group)


def jaspar_motifs(release: str, tax_group: str) -> list[Motif]:
    """The newest version of every JASPAR CORE matrix of a release (``JASPAR2024``) and taxonomic group, by motif id.

    Raises UsageError for a release or group that pyjaspar does not hold.
    """
    from pyjaspar import jaspardb

    releases = jaspardb().get_releases()
    if release not in releases:
        raise UsageError(f"no JASPAR release {release!r}; there are {', '.join(releases)}")
    with warnings.catch_warnings(action="ignore"):
        records = jaspardb(release=release).fetch_motifs(collection="CORE", tax_group=[tax_group], all_versions=False)
    if not records:
        raise UsageError(f"{release} CORE has no motif of {tax_group!r}; try vertebrates, plants, fungi or insects")
    motifs = [
        Motif(one.matrix_id, one.name, counts_of(one), _one_text(one.tf_family), _one_text(one.tf_class))
        for one in records
    ]
    return sorted(motifs, key=lambda motif: motif.motif_id)


def counts_of(motif: Any) -> np.ndarray:
    """The ``(width, 4)`` counts of a motif of Biopython."""
    return np.array([motif.counts[base] for base in "ACGT"], float).T


def _one_text(names):
    return "; ".join(dict.fromkeys(names or ()))


def log_odds(motif: Motif, pseudocount: float, background: np.ndarray) -> np.ndarray:
    """log2 of probability over background, ``(width, 4)`` float64; the pseudocount is shared out by background."""
    smoothed = motif.counts + pseudocount * background
    return np.log2(smoothed / smoothed.sum(axis=1, keepdims=True) / background)


def one_hot(codes: np.ndarray, at_least: int = 0) -> np.ndarray:
    """Base codes as ``(length, 4)`` float32, a row of zeros for an unknown base and up to ``at_least`` rows."""
    bases = np.zeros((max(len(codes), at_least), 4), np.float32)
    known = np.flatnonzero(codes != OTHER)
    bases[known, codes[known]] = 1
    return bases


def sites_as_columns(bases: np.ndarray, positions: int, width: int) -> np.ndarray:
    """Every site of one-hot bases as a column: ``(4 · width, positions)``, contiguous as BLAS needs it."""
    step = bases.itemsize
    overlapping = np.lib.stride_tricks.as_strided(bases, (4 * width, positions), (step, 4 * step), writeable=False)
    return np.ascontiguousarray(overlapping)


def strand_rows(matrices: list[np.ndarray], strands: int = 2) -> np.ndarray:
    """Matrices of one width as the rows of ``(strands · m, 4 · width)`` float32: first all as they are, then, for both
    strands, all reversed and complemented."""
    rows = [matrix.ravel() for matrix in matrices]
    rows += [matrix[::-1, ::-1].ravel() for matrix in matrices] if strands == 2 else []
    return np.stack(rows).astype(np.float32)


def strands_of(motifs: list[Motif], wanted: str = "auto") -> int:
    """How many strands to look at: ``wanted`` both or one; auto takes one for motifs of RNA, else both."""
    return {"both": 2, "one": 1}.get(wanted, 1 if any(motif.rna for motif in motifs) else 2)


def refuse_forward_windows(strands: int, cut: dict[str, Any]) -> None:
    """Raise BadData where one strand is to be read of windows that do not run in the direction of transcription."""
    if strands == 1 and cut.get("window", {}).get("strand") == "forward":
        raise BadData(
            "windows cut with --strand forward do not run in the direction of transcription, which motifs of RNA need; "
            "cut them with --strand aware"
        )
