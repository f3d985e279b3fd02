"""Windows of DNA: FASTA records whose headers say where they lie."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from intronaut.core.dna import is_nucleotides, with_n
from intronaut.core.errors import BadData, Problems
from intronaut.io.text import numbered_lines

_LOCUS = re.compile(r"^(?P<chrom>.+):(?P<start>-?\d+)-(?P<end>\d+)\((?P<strand>[+\-.])\)$")


@dataclass
class Window:
    """One sequence of a FASTA file and where it lies in the genome.

    ``sequence`` is upper case and reads 5'→3' on ``strand``. ``chrom`` is None for a record whose header
    holds no coordinates; ``start``/``end`` may reach past the chromosome where the window was padded with N.
    """

    name: str
    sequence: str
    chrom: str | None = None
    start: int | None = None
    end: int | None = None
    strand: str = "."
    fields: dict = field(default_factory=dict)

    def header(self) -> str:
        """The FASTA header: ``name chrom:start-end(strand) key=value…``."""
        locus = [] if self.chrom is None else [f"{self.chrom}:{self.start}-{self.end}({self.strand})"]
        return " ".join([self.name, *locus, *(f"{key}={value}" for key, value in self.fields.items())])


def read_windows(path: Path | str) -> Iterator[Window]:
    """Yield the Windows of a FASTA file one by one, in file order, upper-cased, with N for X, * and -.

    Raises BadData that lists duplicate names, empty records and letters no nucleotide code has, and for a file
    without any record.
    """
    problems = Problems(path)
    seen = set()
    header, parts, header_line = None, [], 0
    for number, line in numbered_lines(path):
        if line.startswith(">"):
            if header is not None:
                yield from _finished(header, parts, header_line, seen, problems)
            header, parts, header_line = line[1:], [], number
        elif header is None and line.strip():
            raise BadData(f"{path}: line {number}: a FASTA file starts with '>', found {line[:40]!r}")
        elif line:
            parts.append(line.strip())
            if not is_nucleotides(parts[-1]):
                problems.add(f"letters that no nucleotide code has: {line[:40]!r}", number)
    if header is None:
        raise BadData(f"{path}: no FASTA record")
    yield from _finished(header, parts, header_line, seen, problems)
    problems.raise_if_any()


def _finished(header, parts, line, seen, problems):
    window = parse_header(header)
    window.sequence = with_n("".join(parts))
    if not window.name:
        problems.add("a record without a name", line)
    elif not window.name.isprintable():
        problems.add(f"record name {window.name!r} holds control characters", line)
    elif window.name in seen:
        problems.add(f"record {window.name!r} occurs twice", line)
    elif not window.sequence:
        problems.add(f"record {window.name!r} is empty", line)
    else:
        seen.add(window.name)
        yield window


def parse_header(text: str) -> Window:
    """A Window without sequence from the text after '>'; words that are neither locus nor key=value are ignored."""
    words = text.split()
    window = Window(words[0] if words else "", "")
    for word in words[1:]:
        locus = _LOCUS.match(word)
        if locus and window.chrom is None:
            window.chrom, window.strand = locus["chrom"], locus["strand"]
            window.start, window.end = int(locus["start"]), int(locus["end"])
        elif "=" in word:
            key, value = word.split("=", 1)
            window.fields[key] = value
    return window
