"""Motif files: MEME, JASPAR and HOMER. Motifs of RNA (ACGU) are read as the DNA of the transcript's strand."""

import io
import re
import string
from pathlib import Path

import numpy as np

from intronaut.core.errors import BadData
from intronaut.io.text import numbered_lines
from intronaut.motifs.pwm import Motif, counts_of

# sites of a matrix of probabilities that does not say how many it was made from
USUAL_SITES = 20
_CONSENSUS = set(string.ascii_letters)


def read_motifs(path: Path | str, left_out: list[str] | None = None) -> list[Motif]:
    """Read motifs in MEME minimal, JASPAR or HOMER format, in file order.

    Args:
        path: the file.
        left_out: a list that gets the names of motifs without a matrix; None refuses these.

    Raises:
        BadData: with the line for a matrix that is not one, and for ids that occur twice.
    """
    lines = list(numbered_lines(path))
    first = next((line for _, line in lines if line.strip()), "")
    without_matrix = []
    if first.startswith("MEME"):
        motifs = _read_meme(path, lines, without_matrix)
    elif _is_homer(first):
        motifs = _read_homer(path, lines, without_matrix)
    elif first.startswith(">"):
        motifs = _read_jaspar(path, lines)
    else:
        raise BadData(f"{path}: neither MEME nor JASPAR nor HOMER motifs, it starts with {first[:40]!r}")
    if without_matrix and left_out is None:
        raise BadData(f"{path}: motif {without_matrix[0]} has no matrix ({len(without_matrix)} such)")
    if not motifs:
        raise BadData(f"{path}: no motif")
    _check(path, motifs)
    if left_out is not None:
        left_out += without_matrix
    return motifs


def _check(path, motifs):
    seen = set()
    for motif in motifs:
        if motif.motif_id in seen:
            raise BadData(f"{path}: motif {motif.motif_id} occurs twice")
        if not np.isfinite(motif.counts).all() or (motif.counts < 0).any() or (motif.counts.sum(axis=1) <= 0).any():
            raise BadData(f"{path}: motif {motif.motif_id} has a position without a distribution over A, C, G, T")
        seen.add(motif.motif_id)


def _read_jaspar(path, lines):
    from Bio import motifs

    try:
        text = "".join(f"{line}\n" for _, line in lines)
        return [
            Motif(one.matrix_id, one.name or one.matrix_id, counts_of(one))
            for one in motifs.parse(io.StringIO(text), "jaspar")
        ]
    except Exception as problem:  # Biopython raises bare Exceptions for rows of other lengths
        raise BadData(f"{path}: not in JASPAR format: {problem}") from problem


def _is_homer(header):
    """Whether a header is ``>consensus, name, threshold …`` by tabs; JASPAR's has no number in its third place."""
    fields = header[1:].split("\t")
    return header.startswith(">") and len(fields) >= 3 and set(fields[0]) <= _CONSENSUS and _is_number(fields[2])


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_homer(path, lines, without_matrix):
    motifs, name, rows = [], None, []

    def close():
        if name is not None and not rows:
            without_matrix.append(name)
        elif name is not None:
            motifs.append(Motif(name, re.split(r"[(/]", name)[0], np.array(rows) * USUAL_SITES))

    for number, line in lines:
        if line.startswith(">"):
            close()
            fields = line[1:].split("\t")
            if len(fields) < 2 or not fields[1].strip():
                raise BadData(f"{path}: line {number}: a HOMER motif starts with >consensus, name, threshold by tabs")
            name, rows = fields[1].strip(), []
        elif line.strip():
            rows.append(_four(path, number, line))
    close()
    return motifs


def _read_meme(path, lines, without_matrix):
    # Bio.motifs keeps neither the second name nor, for few sites, the probabilities
    motifs, named, width, rows, sites, rna = [], None, None, None, USUAL_SITES, False

    def close(number):
        if rows is None:
            if named is not None:
                without_matrix.append(named[0])
        elif not rows or (width is not None and len(rows) < width):
            where = "" if number is None else f" before line {number}"
            raise BadData(f"{path}: ends within motif {named[0]}{where}; copy the file again")
        else:
            motifs.append(Motif(*named, np.array(rows) * max(sites, 1), rna=rna))

    for number, line in lines:
        words = line.split()
        if line.startswith("ALPHABET") and words[-1] not in ("ACGT", "ACGU"):
            raise BadData(f"{path}: line {number}: alphabet {words[-1]}; only DNA and RNA can be scanned for")
        rna = words[-1] == "ACGU" if line.startswith("ALPHABET") else rna
        if line.startswith("MOTIF") and len(words) > 1:
            close(number)
            named, width, rows = (words[1], words[-1].removeprefix(f"{words[1]}.")), None, None
        elif line.startswith("letter-probability matrix"):
            stated = dict(re.findall(r"(\w+)=\s*([\d.eE+-]+)", line))
            if named is None or rows is not None or not stated.get("w", "1").isdigit() or stated.get("w") == "0":
                raise BadData(f"{path}: line {number}: a matrix needs a MOTIF line before it and a width w= above 0")
            width, rows = int(stated["w"]) if "w" in stated else None, []
            sites = float(stated["nsites"]) if _is_number(stated.get("nsites", "")) else USUAL_SITES
        elif rows is not None and (len(rows) < width if width is not None else _is_row(words)):
            rows.append(_four(path, number, line))
    close(None)
    return motifs


def _is_row(words):
    return len(words) == 4 and all(map(_is_number, words))


def _four(path, number, line):
    words = line.split()
    if not _is_row(words):
        raise BadData(f"{path}: line {number}: expected four probabilities, found {line[:40]!r}")
    return [float(word) for word in words]
