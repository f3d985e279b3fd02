"""A genome of a few genes, small enough to run every tool on: annotation, FASTA, and the steps that follow."""

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
    lines = [line for gene, contig in genes.items() for line in gtf_lines(gene, contig, next(places[contig]))]
    bases = 6000 * (1 + max(list(genes.values()).count(contig) for contig in contigs))
    genome = {contig: "".join(rng.choices("ACGT", k=bases)) for contig in contigs}
    annotation = folder / "annotation.gtf"
    annotation.write_text("".join(lines), encoding="utf-8")
    return annotation, write_fasta(folder / f"genome.fa{suffix}", genome)
