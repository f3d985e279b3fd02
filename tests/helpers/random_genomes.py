"""Small genomes for tests: made of a seed, written as plain, gzip or bgzf FASTA."""

import gzip
import random

import pysam

LETTERS = "ACGTACGTACGTACGTACGTacgtNnRYSWKM"


def random_genome(seed, lengths):
    """A dict name → sequence, with soft-masked and IUPAC letters."""
    rng = random.Random(seed)
    return {name: "".join(rng.choices(LETTERS, k=length)) for name, length in lengths.items()}


def write_fasta(path, genome, line=60, end="\n"):
    """Write a FASTA; a path that ends in .gz is bgzf, in .gzip plain gzip."""
    records = []
    for name, sequence in genome.items():
        lines = [sequence[i : i + line] for i in range(0, len(sequence), line)]
        records.append(end.join([f">{name} a description", *lines, ""]))
    text = "".join(records).encode()
    if path.suffix == ".gzip":
        path.write_bytes(gzip.compress(text))
    elif path.suffix == ".gz":
        plain = path.with_suffix(".plain")
        plain.write_bytes(text)
        pysam.tabix_compress(str(plain), str(path), force=True)
        plain.unlink()
    else:
        path.write_bytes(text)
    return path


def block_offsets(path):
    """Where each bgzf block starts."""
    from Bio.bgzf import BgzfBlocks

    with open(path, "rb") as handle:
        return [start for start, *_ in BgzfBlocks(handle)]
