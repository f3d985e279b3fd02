"""Sound feature lines of a GTF or GFF3 file, whichever of the two it is: their kinds, places and columns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from intronaut.io.delimited import Column, Lines

CHROM, SOURCE, KIND, FIRST, LAST, STRAND, ATTRIBUTES = 0, 1, 2, 3, 4, 6, 8
EXON, CODING, TRANSCRIPT, OTHER = range(4)
EXON_KINDS = frozenset(["exon"])
# what makes up the exons of a transcript that has no line "exon": subtypes of the Sequence Ontology's exon
# (SO:0000147), and the coding and untranslated parts of exons
CODING_KINDS = (
    "pseudogenic_exon", "noncoding_exon", "coding_exon", "interior_exon", "decayed_exon", "single_exon",
    "five_prime_coding_exon", "interior_coding_exon", "three_prime_coding_exon", "five_prime_noncoding_exon",
    "three_prime_noncoding_exon", "exon_of_single_exon_gene",
    "CDS", "UTR", "five_prime_UTR", "three_prime_UTR", "five_prime_utr", "three_prime_utr", "5UTR", "3UTR", "5'-UTR",
    "3'-UTR", "start_codon", "stop_codon",
)  # fmt: skip


@dataclass
class Features:
    """The sound feature lines of a block: which rows of it they are, their first and last base (1-based), int arrays.

    ``without_place`` holds the (kind, attributes) of lines whose coordinates or strand cannot be, and are not needed.
    """

    lines: Lines
    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray
    without_place: list = field(default_factory=list)

    def __getitem__(self, chosen: np.ndarray | list[int]) -> Features:
        return Features(self.lines, self.rows[chosen], self.first[chosen], self.last[chosen])

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, number: int) -> Column:
        """One column of the lines, see :class:`intronaut.io.delimited.Column`."""
        return self.lines.column(number, self.rows)

    def spans(self) -> tuple[list[int], list[int], list[int]]:
        """Where the source and the attributes begin and the line ends, in the bytes of the block: three lists."""
        attributes = self.column(ATTRIBUTES)
        return self.column(SOURCE).start.tolist(), attributes.start.tolist(), attributes.end.tolist()

    def numbers(self) -> np.ndarray:
        """The number of every line in the file: int array."""
        return self.lines.first + self.rows

    def kinds(self) -> np.ndarray:
        """EXON, CODING, TRANSCRIPT (of GTF) or OTHER of every line: int8 array."""
        column = self.column(KIND)
        kinds = np.full(len(self), OTHER, np.int8)
        words = [(b"exon", EXON), (b"transcript", TRANSCRIPT), *((kind.encode(), CODING) for kind in CODING_KINDS)]
        # a file holds few of the kinds: each is looked for only where its length occurs, among the rows still unknown
        length, unknown = column.end - column.start, np.arange(len(self))
        for word, kind in words:
            candidates = unknown[length[unknown] == len(word)]
            if len(candidates):
                kinds[candidates[column[candidates].equals(word)]] = kind
                unknown = unknown[kinds[unknown] == OTHER]
        return kinds
