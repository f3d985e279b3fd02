"""Alignments of molecules whose introns are retained with known levels, on the genes of small_study."""

import numpy as np
import pysam

from small_study import EXONS

READ = 80


def write_reads(path, genome, places, levels, rng, molecules=200):
    """Write a sorted BAM of single reads of both strands, one of each molecule, from where an aligner would lay it.

    Args:
        genome: ``{contig: length}``.
        places: ``[(contig, start)]`` of each gene.
        levels: ``(genes, 2)``, how often each of the two introns of a gene is retained.
    """
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": name, "LN": n} for name, n in genome.items()]}
    header = pysam.AlignmentHeader.from_dict(header)
    records = []
    for (contig, start), level in zip(places, levels, strict=True):
        for retained in rng.random((molecules, len(level))) < level:
            blocks = molecule(start, retained)
            at = int(rng.integers(sum(last - first for first, last in blocks) - READ))
            records.append(alignment(header, f"r{len(records)}", contig, part(blocks, at, at + READ), rng))
    records.sort(key=lambda record: (record.reference_id, record.reference_start))
    with pysam.AlignmentFile(str(path), "wb", header=header) as out:
        for record in records:
            out.write(record)


def molecule(start, retained):
    """The blocks ``[(first, last)]`` of a gene's RNA; ``retained`` says it of each intron."""
    blocks = [(start + EXONS[0][0], start + EXONS[0][1])]
    for kept, (first, last) in zip(retained, EXONS[1:], strict=True):
        if kept:
            blocks[-1] = blocks[-1][0], start + last
        else:
            blocks.append((start + first, start + last))
    return blocks


def part(blocks, first, last):
    """The blocks of the bases [first, last) of a molecule."""
    found, done = [], 0
    for start, end in blocks:
        a, b = max(first, done), min(last, done + end - start)
        if a < b:
            found.append((start + a - done, start + b - done))
        done += end - start
    return found


def alignment(header, name, contig, blocks, rng):
    """One uniquely mapped read of these blocks, on either strand."""
    record = pysam.AlignedSegment(header)
    record.query_name, record.reference_name, record.reference_start = name, contig, blocks[0][0]
    cigar = [(0, blocks[0][1] - blocks[0][0])]
    for (_, end), (start, last) in zip(blocks, blocks[1:], strict=False):
        cigar += [(3, start - end), (0, last - start)]
    record.cigartuples, record.mapping_quality = cigar, 255
    record.flag = 16 * int(rng.integers(2))
    record.set_tag("NH", 1)
    return record


def simulated_levels(rng, genes):
    """Levels ``(genes, 2)`` of a reference and of cells in which a third of the introns are retained more."""
    reference = np.where(rng.random((genes, 2)) < 0.4, rng.uniform(0.2, 0.5, (genes, 2)), 0.01)
    changed = rng.random((genes, 2)) < 1 / 3
    return reference, np.where(changed, reference + 0.4, reference)
