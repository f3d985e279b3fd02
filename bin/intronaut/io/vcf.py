"""The lines of a VCF file, as text: what is not read is kept to the letter.

Coordinates are 0-based, half-open, on the forward strand; POS of a VCF is 1-based.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from intronaut.core.errors import BadData, Problems
from intronaut.io.text import numbered_lines

FIXED = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_CONTIG = re.compile(r"##contig=<(?:.*,)?ID=([^,>]+)(?=[,>])")
_LENGTH = re.compile(r"##contig=<(?:.*,)?length=(\d+)(?=[,>])")
_REF = re.compile(r"[ACGTUNRYSWKMBDHV]+\Z", re.IGNORECASE)
_BASES = re.compile(r"[ACGTN]+\Z", re.IGNORECASE)
# what VCF 4.3 (section 1.2) wants written as % and two hex digits within INFO
_ENCODED = {ord(letter): f"%{ord(letter):02X}" for letter in "%:;=, \t\r\n"}


class Record(NamedTuple):
    """One line of a VCF: its number, and its tab-separated columns as text."""

    line: int
    fields: list

    @property
    def start(self) -> int:
        """Where REF starts."""
        return int(self.fields[1]) - 1

    @property
    def ref(self) -> str:
        """The reference allele, upper case."""
        return self.fields[3].upper()

    @property
    def alts(self) -> list[str]:
        """The alternative alleles as written."""
        return self.fields[4].split(",")


def read_header(path: Path) -> list[str]:
    """The header lines of a VCF, through the one of column names. Raises BadData for what is no VCF."""
    lines = []
    for number, line in numbered_lines(path):
        if not lines and not line.startswith("##fileformat=VCF"):
            raise BadData(
                f"{path}: line 1: a VCF starts with ##fileformat=VCF…, found {line[:40]!r}; BCF: bcftools view"
            )
        lines.append(line)
        if line.startswith("#CHROM"):
            if tuple(line.split("\t")[: len(FIXED)]) != FIXED:
                raise BadData(f"{path}: line {number}: the columns of a VCF are {' '.join(FIXED)}, by tabs")
            return lines
        if not line.startswith("##"):
            raise BadData(f"{path}: line {number}: expected ##… or the column names #CHROM POS …, found {line[:40]!r}")
    raise BadData(f"{path}: no line of column names (#CHROM POS …); is it whole?")


def contig_lengths(header: list[str]) -> dict[str, tuple[int, int]]:
    """A dict from each contig that the header names with its length to ``(number of the line, length)``."""
    matches = [(number, _CONTIG.match(line), _LENGTH.match(line)) for number, line in enumerate(header, 1)]
    return {name[1]: (number, int(length[1])) for number, name, length in matches if name and length}


def read_records(path: Path | str) -> Iterator[Record]:
    """Yield the Records of a VCF in file order. Raises BadData that lists every broken line, after the last."""
    problems, columns = Problems(path), 0
    for number, line in numbered_lines(path):
        if line.startswith("#CHROM"):
            columns = line.count("\t") + 1
        elif line.startswith("##"):
            continue  # files put one behind the other have their headers in the middle
        elif line.startswith("#"):
            problems.add(f"a comment, which VCF has none of among its records: {line[:40]!r}; remove it", number)
        elif line:
            fields = line.split("\t")
            if fault := _fault(fields, columns):
                problems.add(fault, number)
            else:
                yield Record(number, fields)
    problems.raise_if_any()


def _fault(fields, columns):
    if len(fields) != columns:
        return f"{len(fields)} columns, the header has {columns}"
    chrom, position, _, ref, alt = fields[:5]
    if len(chrom.split()) != 1:
        return f"CHROM {chrom!r} is empty or holds white space"
    if not (position.isascii() and position.isdigit()):
        return f"POS is {position!r}, not a whole number"
    if not _REF.match(ref):
        return f"REF is {ref[:40]!r}, not bases"
    return None if all(alt.split(",")) else f"ALT is {alt[:40]!r}, with an empty allele"


def left_out(alt: str) -> str | None:
    """Why an alternative allele cannot be scored, or None."""
    if alt == ".":
        return "no alternative allele"
    if alt == "*":
        return "deleted by another variant (*)"
    if alt.startswith("<"):
        return "symbolic allele"
    if "[" in alt or "]" in alt or alt.startswith(".") or alt.endswith("."):
        return "breakend"
    return None if _BASES.match(alt) else "letters other than A, C, G, T and N"


def encoded(text: str) -> str:
    """Text as a value within INFO."""
    return text.translate(_ENCODED)
