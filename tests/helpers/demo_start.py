"""The first bases of the demo's chromosome: enough introns for a study whose steps are tried, not its findings."""

import gzip

from conftest import DEMO


def write_demo_start(folder, length):
    """Write the first ``length`` bases and the genes that lie within; returns the params that name both files."""
    fasta, annotation = folder / "start.fa", folder / "start.gff3"
    with gzip.open(DEMO / "chr19_6Mb.fa.gz", "rt") as lines:
        name = next(lines)
        fasta.write_text(f"{name}{''.join(line.rstrip() for line in lines)[:length]}\n")
    with gzip.open(DEMO / "chr19_6Mb.gff3.gz", "rt") as lines, open(annotation, "w") as kept:
        within = True
        for line in lines:
            if "\tID=gene:" in line:  # what follows are its transcripts and exons
                within = int(line.split("\t")[4]) <= length
            if within and not line.startswith("##sequence-region"):
                kept.write(line)
    return ["--fasta", fasta, "--gtf", annotation]
