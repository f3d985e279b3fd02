"""Which gene an intron or a position lies in, and the splice sites that the gene's transcripts use.

Coordinates are 0-based, half-open, on the forward strand.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from intronaut.genome.annotation import read_annotation, transcript_introns


class Gene(NamedTuple):
    """A gene on one chromosome and strand."""

    chrom: str
    start: int
    end: int
    strand: str
    gene_id: str


@dataclass
class GeneSpans:
    """The genes of an annotation by chromosome, and the exon bases at their introns.

    ``donors`` and ``acceptors`` map a Gene to the sorted positions of the last exon bases before, and the first exon
    bases behind, its introns.
    """

    genes: dict = field(default_factory=dict)
    donors: dict = field(default_factory=dict)
    acceptors: dict = field(default_factory=dict)

    def at(self, chrom: str, start: int, end: int) -> list[Gene]:
        """The genes that hold a base of ``[start, end)``, or the gap at ``start`` where that is empty, by place."""
        return [gene for gene in self.genes.get(chrom, []) if gene.start < max(end, start + 1) and start < gene.end]

    def of_intron(self, chrom: str, start: int, end: int, strand: str) -> Gene | None:
        """The longest gene on the strand that holds ``[start, end)``, or None."""
        holding = [
            gene for gene in self.genes.get(chrom, [])
            if gene.strand == strand and gene.start <= start and end <= gene.end
        ]  # fmt: skip
        return max(holding, key=lambda gene: (gene.end - gene.start, gene.gene_id), default=None)


def exon_bases(
    start: int | np.ndarray, end: int | np.ndarray, minus: bool | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``(donor, acceptor)``: the exon bases before and behind an intron, in the direction of its strand."""
    return np.where(minus, end, start - 1), np.where(minus, start - 1, end)


def read_gene_spans(path: Path | str, chroms: Callable | None = None) -> GeneSpans:
    """The GeneSpans of a GTF or GFF3 file.

    Args:
        chroms: a function from the annotation's chromosome name to the one to use, or None to leave the gene out.
    """
    annotation = read_annotation(path)
    named = {name: chroms(name) if chroms else name for name in annotation.genes["chrom"].unique()}
    spans, rows = GeneSpans(), []
    for row in annotation.genes.itertuples(index=False):
        gene = Gene(named[row.chrom], row.start, row.end, row.strand, row.gene_id)
        rows.append(gene)
        if gene.chrom is not None and gene.strand in ("+", "-"):
            spans.genes.setdefault(gene.chrom, []).append(gene)
    for genes in spans.genes.values():
        genes.sort()
    introns = transcript_introns(annotation)
    of_gene = annotation.transcripts["gene"].to_numpy()[introns["transcript"]]
    minus = np.array([gene.strand == "-" for gene in rows])[of_gene] if rows else np.zeros(0, bool)
    donor, acceptor = exon_bases(introns["start"].to_numpy(), introns["end"].to_numpy(), minus)
    for number in np.unique(of_gene):
        of_this_gene = of_gene == number
        spans.donors[rows[number]] = np.unique(donor[of_this_gene])
        spans.acceptors[rows[number]] = np.unique(acceptor[of_this_gene])
    return spans
