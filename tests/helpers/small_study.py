"""A genome of a few genes, small enough to run every tool on: annotation, FASTA, and the steps that follow."""

import itertools
import random

from random_genomes import write_fasta

EXONS = ((0, 100), (300, 400), (700, 800))


def gtf_lines(gene, contig, start):
    """A gene of two introns, the first one retained by a transcript of biotype retained_intron."""
    plain = [(start + first, start + last) for first, last in EXONS]
    kept = [(start, start + 400), plain[2]]
    lines = []
    for biotype, exons in (("protein_coding", plain), ("retained_intron", kept)):
        about = f'gene_id "{gene}"; transcript_id "{gene}.{biotype}"; transcript_biotype "{biotype}";'
        for first, last in exons:
            lines.append(f"{contig}\ttest\texon\t{first + 1}\t{last}\t.\t+\t.\t{about}\n")
    return lines


def write_study(folder, genes, suffix=""):
    """Write ``annotation.gtf`` and ``genome.fa`` with the name ending ``suffix``; ``genes`` maps gene to contig."""
    rng = random.Random(1)
    contigs = list(dict.fromkeys(genes.values()))
    places = {contig: iter(range(1000, 10**6, 6000)) for contig in contigs}
    starts = {gene: next(places[contig]) for gene, contig in genes.items()}
    lines = [line for gene, contig in genes.items() for line in gtf_lines(gene, contig, starts[gene])]
    bases = 6000 * (1 + max(list(genes.values()).count(contig) for contig in contigs))
    genome = {contig: rng.choices("ACGT", k=bases) for contig in contigs}
    for gene, contig in genes.items():
        start = starts[gene]
        for (_, donor), (acceptor, _) in itertools.pairwise(EXONS):
            genome[contig][start + donor : start + donor + 2] = "GT"
            genome[contig][start + acceptor - 2 : start + acceptor] = "AG"
    genome = {contig: "".join(letters) for contig, letters in genome.items()}
    annotation = folder / "annotation.gtf"
    annotation.write_text("".join(lines), encoding="utf-8")
    return annotation, write_fasta(folder / f"genome.fa{suffix}", genome)
