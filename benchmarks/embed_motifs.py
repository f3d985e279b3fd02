#!/usr/bin/env python3
"""Windows a second of embed_motifs beside Biopython's position-specific scoring matrices.

With all of JASPAR CORE vertebrates, both find the best site of every motif on both strands of the same random windows,
on one processor; embed_motifs also gives the occupancy. The table, benchmarks/embed_motifs.tsv, ends with the largest
difference between the two.
"""

import argparse
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from Bio import motifs as bio_motifs
from machine import processor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bin"))
from intronaut.motifs.pwm import jaspar_motifs  # noqa: E402
from intronaut.motifs.trap import Scanner  # noqa: E402

PSEUDOCOUNT, BACKGROUND = 0.8, [0.25] * 4


def main():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--windows", type=int, default=200)
    made.add_argument("--biopython-windows", type=int, default=10, help="how many of them Biopython scores")
    made.add_argument("--length", type=int, default=600)
    made.add_argument("--rounds", type=int, default=3)
    args = made.parse_args()
    torch.set_num_threads(1)
    motifs = jaspar_motifs("JASPAR2024", "vertebrates")
    rng = random.Random(1)
    windows = ["".join(rng.choices("ACGT", k=args.length)) for _ in range(args.windows)]
    scanner, pssms = Scanner(motifs, PSEUDOCOUNT, BACKGROUND), [pssm_of(motif) for motif in motifs]
    ours = theirs = float("inf")
    for _ in range(args.rounds):
        spent, found = timed(lambda: [scanner.scan(window)[0] for window in windows])
        ours = min(ours, spent / len(windows))
        few = windows[: args.biopython_windows]
        spent, wanted = timed(lambda few=few: [biopython_best(pssms, window) for window in few])
        theirs = min(theirs, spent / len(few))
    apart = np.abs(np.array(found[: len(few)]) - wanted).max()
    print(f"# {processor()}, 1 thread, processor seconds")
    print("motifs", "length", "windows_per_s", "biopython_windows_per_s", "ratio", "largest_difference_bits", sep="\t")
    rates = f"{1 / ours:.1f}", f"{1 / theirs:.1f}", f"{theirs / ours:.1f}"
    print(len(motifs), args.length, *rates, f"{apart:.1e}", sep="\t")


def timed(work):
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def pssm_of(motif):
    counts = {base: list(motif.counts[:, i]) for i, base in enumerate("ACGT")}
    pseudocounts = {base: PSEUDOCOUNT * share for base, share in zip("ACGT", BACKGROUND, strict=True)}
    pssm = bio_motifs.Motif(counts=counts).counts.normalize(pseudocounts).log_odds()
    return pssm, pssm.reverse_complement()


def biopython_best(pssms, window):
    return [max(pssm.calculate(window).max() for pssm in both) for both in pssms]


if __name__ == "__main__":
    main()
