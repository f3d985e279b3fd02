"""Motif files: MEME, JASPAR, HOMER, TRANSFAC and rows of positions. Motifs of RNA (ACGU) are read as the DNA of the
transcript's strand."""

import re
import string
from pathlib import Path

import numpy as np

from intronaut.core.errors import BadData
from intronaut.io.text import numbered_lines
from intronaut.motifs.matrix_files import USUAL_SITES, is_number, is_transfac, read_transfac, read_under_headers
from intronaut.motifs.pwm import Motif

_CONSENSUS = set(string.ascii_letters)
_QUOTED = re.compile(r'"[^"]*"')


def read_motifs(path: Path | str, left_out: list[str] | None = None) -> list[Motif]:
    """Read motifs in MEME, JASPAR, HOMER or TRANSFAC format, or as rows of positions under headers, in file order.

    Lines that start with ``#`` are comments.

    Args:
        path: the file.
        left_out: a list that gets the names of motifs without a matrix; None refuses these.

    Raises:
        BadData: with the line for a matrix that is not one, for ids that occur twice, and where rows may be bases or
            positions.
    """
    lines = [(number, line) for number, line in numbered_lines(path) if not line.lstrip().startswith("#")]
    first = next((line for _, line in lines if line.strip()), "")
    without_matrix: list[str] = []
    if _is_meme(first, lines):
        motifs = _read_meme(path, lines, without_matrix)
    elif _is_homer(first):
        motifs = _read_homer(path, lines, without_matrix)
    elif first.startswith(">"):
        motifs = read_under_headers(path, lines, without_matrix)
    elif is_transfac(lines):
        motifs = read_transfac(path, lines, without_matrix)
    else:
        raise BadData(f"{path}: neither MEME nor JASPAR, HOMER or TRANSFAC motifs, {_start(first)}")
    if without_matrix and left_out is None:
        raise BadData(f"{path}: motif {without_matrix[0]} has no matrix ({len(without_matrix)} such)")
    if not motifs:
        raise BadData(f"{path}: no motif")
    _check(path, motifs)
    if left_out is not None:
        left_out += without_matrix
    return motifs


def _start(first):
    """How a file that is none of motifs starts, and what to do about it."""
    if not first:
        return "the file is empty"
    if first.startswith("<"):
        return f"it starts with {first[:40]!r}; of the files of MEME give the one in text (meme.txt, streme.txt)"
    words = first.replace("[", " ").replace("|", " ").split()
    if words and all(map(is_number, words[1:])) and (is_number(words[0]) or words[0] in "ACGT"):
        return f"it starts with {first[:40]!r}; put a line >NAME before each matrix"
    return f"it starts with {first[:40]!r}"


def _check(path, motifs):
    seen = set()
    for motif in motifs:
        if motif.motif_id in seen:
            raise BadData(f"{path}: motif {motif.motif_id} occurs twice")
        if not np.isfinite(motif.counts).all() or (motif.counts < 0).any() or (motif.counts.sum(axis=1) <= 0).any():
            raise BadData(f"{path}: motif {motif.motif_id} has a position without a distribution over A, C, G, T")
        seen.add(motif.motif_id)


def _is_meme(first, lines):
    """Whether the first line is MEME's, or the frame of asterisks round the version in the output of MEME itself."""
    return first.startswith("MEME") or (
        first.startswith("***") and any(line.startswith("MEME version") for _, line in lines)
    )


def _is_homer(header):
    """Whether a header is ``>consensus, name, threshold …`` by tabs; JASPAR's has no number in its third place."""
    fields = header[1:].split("\t")
    return header.startswith(">") and len(fields) >= 3 and set(fields[0]) <= _CONSENSUS and is_number(fields[2])


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
    motifs, named, width, rows, sites, of_rna, last = [], None, None, None, USUAL_SITES, False, 0

    def close(number):
        if rows is None:
            if named is not None:
                without_matrix.append(named[0])
        elif not rows or (width is not None and len(rows) < width):
            where = "" if number is None else f" before line {number}"
            raise BadData(f"{path}: ends within motif {named[0]}{where}; copy the file again")
        else:
            motifs.append(Motif(*named, np.array(rows) * max(sites, 1), rna=of_rna))

    for number, line, rna in _with_alphabet(path, lines):
        words = line.split()
        if line.startswith("MOTIF") and len(words) > 1:
            close(number)
            named, width, rows, of_rna = _names(line), None, None, rna
        elif line.startswith("letter-probability matrix"):
            stated = dict(re.findall(r"(\w+)=\s*([\d.eE+-]+)", line))
            if named is None or rows is not None or not stated.get("w", "1").isdigit() or stated.get("w") == "0":
                raise BadData(f"{path}: line {number}: a matrix needs a MOTIF line before it and a width w= above 0")
            width, rows = int(stated["w"]) if "w" in stated else None, []
            sites = float(stated["nsites"]) if is_number(stated.get("nsites", "")) else USUAL_SITES
        elif rows is not None and (len(rows) < width if width is not None else _is_row(words)):
            rows.append(_four(path, number, line))
            last = number
        elif rows and number == last + 1 and words and all(map(is_number, words)):
            raise BadData(
                f"{path}: line {number}: motif {named[0]} has more rows than its w= {width}; mend one of them"
            )
    close(None)
    return motifs


def _names(line):
    """Id and name of a MOTIF line; a name may have spaces, and MEME's own output goes on with ``width =``."""
    _, motif_id, *words = re.sub(r"\swidth\s*=.*", "", line).split()
    return motif_id, " ".join(words).removeprefix(f"{motif_id}.") or motif_id


def _with_alphabet(path, lines):
    """Yield (line number, line, whether the alphabet is that of RNA) without the lines of alphabets."""
    rna, start, core = False, None, ""
    for number, line in lines:
        if start is not None and re.match(r"\s*END\s+ALPHABET", line, re.IGNORECASE):
            rna, start = _is_rna(path, start, core), None
        elif start is not None:
            core += _core_symbols(line)
        elif plain := re.fullmatch(r"ALPHABET(?:\s*=\s*|\s+)([A-Z]+)\s*", line, re.IGNORECASE):
            symbols = plain[1].upper()
            rna = _is_rna(path, number, symbols)
            if symbols not in ("ACGT", "ACGU"):
                raise BadData(
                    f"{path}: line {number}: alphabet {symbols}; put the columns in the order ACGT and write that"
                )
        elif re.match(r"ALPHABET\b", line, re.IGNORECASE):
            start, core = number, ""
        else:
            yield number, line, rna
    if start is not None:
        raise BadData(f"{path}: line {start}: ALPHABET neither names its letters nor ends with END ALPHABET")


def _core_symbols(line):
    """Symbols that a line of a block ALPHABET defines, two of a pair ``A ~ T``; none of one that stands for others."""
    bare = _QUOTED.sub(" ", line)
    return "" if "=" in bare else "".join(part.split()[0] for part in bare.split("~") if part.strip())


def _is_rna(path, number, symbols):
    """Whether an alphabet is RNA's; columns are in alphabetical order, in whichever a block defines the letters."""
    if "".join(sorted(symbols)) not in ("ACGT", "ACGU"):
        raise BadData(f"{path}: line {number}: alphabet {symbols[:40]}; only DNA and RNA can be scanned for")
    return "U" in symbols


def _is_row(words):
    return len(words) == 4 and all(map(is_number, words))


def _four(path, number, line):
    words = line.split()
    if not _is_row(words):
        raise BadData(f"{path}: line {number}: expected four probabilities, found {line[:40]!r}")
    return [float(word) for word in words]
