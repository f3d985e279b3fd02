#!/usr/bin/env python3
"""How the search for homologous windows grows with their number, and how many planted pairs it finds.

Windows of 600 bp tile the demo's 6 Mb of chromosome 19, whose repeats are what costs; more of them are copies of these
with 25 % of their bases replaced, which are homologs of nothing but keep the repeats. 400 pairs are planted: copies of
at least 85 % of a window with 10, 15, 18 or 20 % of the bases replaced, half of them reverse-complemented (at 20 % half
of the pairs lie below the limit of 80 %). With --mmseqs PROGRAM, MMseqs2 searches the same windows up to --most
windows: `easy-search` for nucleotides, both strands, the same limits. Processor seconds of one thread; prints a table
and writes it to benchmarks/homology.tsv.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pysam
from machine import processor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bin"))
from intronaut.core.dna import reverse_complement  # noqa: E402
from intronaut.core.log import peak_bytes  # noqa: E402
from intronaut.splits import homology  # noqa: E402

TABLE = Path(__file__).with_suffix(".tsv")
BASES = np.frombuffer(b"ACGT", np.uint8)
LENGTH, PLANTED = 600, 400
REPLACED = (0.1, 0.15, 0.18, 0.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, nargs="+", default=[10_000, 40_000, 120_000, 270_000])
    parser.add_argument("--mmseqs", metavar="PROGRAM", help="the executable of MMseqs2")
    parser.add_argument("--most", type=int, default=10_000, help="windows that MMseqs2 searches at most [10000]")
    args = parser.parse_args()
    shares = "\t".join(f"found_at_{1 - share:.2f}" for share in REPLACED)
    rows = [f"# {processor()}, 1 thread, processor seconds", f"windows\twhat\tseconds\tpairs\tpeak_gb\t{shares}"]
    for n in args.windows:
        sequences, planted = windows(n, np.random.default_rng(1))
        contenders = {"Intronaut": search}
        if args.mmseqs and n <= args.most:
            contenders["MMseqs2"] = partial(by_mmseqs, program=args.mmseqs)
        for what, contender in contenders.items():
            seconds, pairs, peak = contender(sequences)
            hits = [np.mean([pair in pairs for pair, share in planted if share == wanted]) for wanted in REPLACED]
            cells = [n, what, f"{seconds:.0f}", len(pairs), f"{peak:.2f}", *(f"{hit:.3f}" for hit in hits)]
            rows.append("\t".join(map(str, cells)))
            print(rows[-1], flush=True)
            TABLE.write_text("\n".join(rows) + "\n")


def search(sequences):
    """Processor seconds, the pairs of positions found, and GB at the peak, by the search of split_introns."""
    started = time.process_time()
    candidates = homology._candidates(homology._seed_index(sequences), np.arange(len(sequences)), 0.8, 0.8, 20)
    pairs = homology._aligned(sequences, candidates, 0.8, 0.8, 1, None)
    seconds = time.process_time() - started
    return seconds, set(zip(pairs["first"], pairs["second"], strict=True)), peak_bytes() / 1e9


def by_mmseqs(sequences, program):
    """The same by MMseqs2, whose coverage is that of both sequences; ours are of one length."""
    limits = ["--search-type", "3", "--strand", "2", "--min-seq-id", "0.8", "-c", "0.8", "--cov-mode", "0"]
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder, "windows.fa")
        fasta.write_text("".join(f">{row}\n{sequence}\n" for row, sequence in enumerate(sequences)))
        how = [*limits, "--threads", "1", "-v", "1", "--format-output", "query,target"]
        command = [program, "easy-search", fasta, fasta, Path(folder, "pairs"), Path(folder, "work"), *how]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = [tuple(sorted(map(int, line.split()))) for line in Path(folder, "pairs").read_text().splitlines()]
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, {pair for pair in rows if pair[0] != pair[1]}, after.ru_maxrss / 1e6


def windows(n, rng):
    """``n`` windows and the planted ones behind them; the planted pairs as ``((first, second), share replaced)``."""
    with pysam.FastaFile(str(ROOT / "assets" / "demo" / "chr19_6Mb.fa.gz")) as fasta:
        genome = fasta.fetch(fasta.references[0]).upper()
    tiles = [genome[at : at + LENGTH] for at in range(0, len(genome) - LENGTH, LENGTH)]
    tiles = [tile for tile in tiles if "N" not in tile]
    sequences = list(tiles)
    while len(sequences) < n:
        sequences += [replaced(tile, 0.25, rng) for tile in tiles]
    sequences = sequences[:n]
    planted = []
    for k, row in enumerate(rng.choice(n, PLANTED, replace=False)):
        share, cut = REPLACED[k % len(REPLACED)], int(rng.integers(LENGTH * 0.15))
        copy = replaced(sequences[row], share, rng)[cut:] + BASES[rng.integers(0, 4, cut)].tobytes().decode()
        planted.append(((int(row), len(sequences)), share))
        sequences.append(reverse_complement(copy) if k % 2 else copy)
    return sequences, planted


def replaced(sequence, share, rng):
    """The sequence with a share of its bases replaced by others."""
    codes = np.searchsorted(BASES, np.frombuffer(sequence.encode(), np.uint8))
    chosen = rng.random(len(codes)) < share
    codes[chosen] = (codes[chosen] + rng.integers(1, 4, chosen.sum())) % 4
    return BASES[codes].tobytes().decode()


if __name__ == "__main__":
    main()
