"""Labels and windows with planted leaks: overlapping neighbours, paralogs of known identity, both strands, one gene."""

import random

from intronaut.core.dna import reverse_complement

HEADER = ["chrom", "start", "end", "name", "score", "strand", "label", "unit", "gene_id", "gene_name", "intron_id"]
LENGTH = 600


def random_dna(rng, length):
    return "".join(rng.choices("ACGT", k=length))


def mutated(rng, sequence, identity, indels=False):
    """A copy in which a share ``1 - identity`` of the bases is changed; a fifth of the changes are indels if asked."""
    copy = list(sequence)
    for spot in rng.sample(range(len(copy)), round(len(copy) * (1 - identity))):
        kind = rng.choice(("delete", "insert", *8 * ("change",))) if indels else "change"
        other = rng.choice([base for base in "ACGT" if base != sequence[spot]])
        copy[spot] = {"delete": "", "insert": sequence[spot] + other, "change": other}[kind]
    return "".join(copy)


def planted_leaks(seed, n_chroms=10, n_unrelated=100, identities=(1.0, 0.95, 0.9, 0.8), copies=3):
    """Windows as dicts of labels.tsv columns plus ``sequence``, and the planted pairs as sets of names, by leak.

    Paralogs lie on one chromosome, in different genes, far apart.
    """
    rng = random.Random(seed)
    windows, pairs = [], {"bases": set(), "homology": set(), "gene": set(), "twin": set()}

    def add(chrom, start, sequence, gene):
        name = f"w{len(windows)}"
        place = {"chrom": str(chrom), "start": start, "end": start + len(sequence), "name": name, "score": 0}
        about = {"strand": "+", "label": rng.randrange(2), "unit": "intron", "gene_id": gene, "gene_name": gene}
        windows.append(place | about | {"intron_id": name, "sequence": sequence})
        return name

    for chrom in range(1, n_chroms + 1):
        spots = iter(range(10_000, 10**8, 20_000))
        for number in range(n_unrelated // n_chroms):
            add(chrom, next(spots), random_dna(rng, LENGTH), f"lone{chrom}_{number}")
        for number in range(copies):
            start, both = next(spots), random_dna(rng, LENGTH + 100)
            first = add(chrom, start, both[:LENGTH], f"left{chrom}_{number}")
            second = add(chrom, start + 100, both[100:], f"right{chrom}_{number}")
            pairs["bases"].add(frozenset((first, second)))
            first = add(chrom, next(spots), random_dna(rng, LENGTH), f"gene{chrom}_{number}")
            second = add(chrom, next(spots), random_dna(rng, LENGTH), f"gene{chrom}_{number}")
            pairs["gene"].add(frozenset((first, second)))
        for identity in identities:
            for turned in (False, True):
                one = random_dna(rng, LENGTH)
                two = mutated(rng, one, identity, indels=identity < 1)
                two = reverse_complement(two) if turned else two
                genes = f"one{identity}{turned}{chrom}", f"two{identity}{turned}{chrom}"
                names = [add(chrom, next(spots), text, gene) for text, gene in zip((one, two), genes, strict=True)]
                pairs["homology"].add(frozenset(names))
                if identity == 1:
                    pairs["twin"].add(frozenset(names))
    return windows, pairs


def write_planted(folder, windows):
    """Write labels.tsv and windows.fa in ``folder``; returns their paths."""
    labels, fasta = folder / "labels.tsv", folder / "windows.fa"
    lines = ["\t".join(HEADER)] + ["\t".join(str(window[name]) for name in HEADER) for window in windows]
    labels.write_text("\n".join(lines) + "\n")
    fasta.write_text(
        "".join("{name} {chrom}:{start}-{end}(+)\n{sequence}\n".format(**w).join((">", "")) for w in windows)
    )
    return labels, fasta


def read_column(path, column):
    header, *lines = (line.split("\t") for line in path.read_text().splitlines())
    return {row[header.index("name")]: row[header.index(column)] for row in lines}
