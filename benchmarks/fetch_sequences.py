#!/usr/bin/env python3
"""Windows a second of fetch_sequences beside bedtools getfasta, pyfaidx and bare pysam, on a random genome.

Every tool cuts the same windows from the same FASTA, minus rows as reverse complement, into a plain FASTA; the rounds
take turns, and the best round of each counts. bedtools and pyfaidx are left out where they are not installed.
The start of each program is included. Standard output is benchmarks/fetch_sequences.tsv.
"""

import argparse
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pysam
from machine import processor

BIN = Path(__file__).resolve().parent.parent / "bin"
LOOP = """
import sys
fasta, bed, out = sys.argv[1:]
{open}
with open(out, "w") as write:
    for line in open(bed):
        chrom, start, end, name, _, strand = line.rstrip().split("\\t")
        bases = {fetch}.upper()
        if strand == "-":
            bases = bases.translate(str.maketrans("ACGTN", "TGCAN"))[::-1]
        write.write(f">{{name}}\\n{{bases}}\\n")
"""
PYFAIDX = LOOP.format(
    open="from pyfaidx import Fasta; genome = Fasta(fasta, as_raw=True)", fetch="genome[chrom][int(start):int(end)]"
)
PYSAM = LOOP.format(
    open="import pysam; genome = pysam.FastaFile(fasta)", fetch="genome.fetch(chrom, int(start), int(end))"
)


def main():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--windows", type=int, default=50_000)
    made.add_argument("--length", type=int, default=600)
    made.add_argument("--megabases", type=int, default=50)
    made.add_argument("--rounds", type=int, default=3)
    args = made.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print_table(measure(Path(folder), args), args)


def measure(folder, args):
    """The best wall and processor seconds of every tool, over all rounds."""
    fasta, bed = make_input(folder, args)
    best = {}
    for _ in range(args.rounds):
        for name, command in commands(folder, fasta, bed, args).items():
            spent = seconds(command)
            best[name] = min(best.get(name, spent), spent)
    return best


def make_input(folder, args):
    rng = np.random.default_rng(1)
    fasta, bed = folder / "genome.fa", folder / "rows.bed"
    lines = rng.choice(np.frombuffer(b"ACGTacgt", np.uint8), (args.megabases * 1_000_000 // 60, 60))
    with open(fasta, "wb") as out:
        out.write(b">chr1\n")
        np.concatenate([lines, np.full((len(lines), 1), ord("\n"), np.uint8)], axis=1).tofile(out)
    pysam.faidx(str(fasta))
    starts = sorted(random.Random(1).sample(range(lines.size - args.length), args.windows))
    rows = (f"chr1\t{start}\t{start + args.length}\tr{i}\t0\t{'+-'[i % 2]}\n" for i, start in enumerate(starts))
    bed.write_text("".join(rows))
    return fasta, bed


def commands(folder, fasta, bed, args):
    ours = [sys.executable, BIN / "fetch_sequences.py", bed, "--fasta", fasta, "--length", str(args.length), "--quiet"]
    found = {
        "fetch_sequences": [*ours, "-o", folder / "ours.fa"],
        "fetch_sequences, bgzf": [*ours, "-o", folder / "ours.fa.gz"],
    }
    if shutil.which("bedtools"):
        options = ["-s", "-nameOnly", "-fi", fasta, "-bed", bed, "-fo", folder / "bedtools.fa"]
        found["bedtools getfasta"] = ["bedtools", "getfasta", *options]
    if importlib.util.find_spec("pyfaidx"):
        found["pyfaidx"] = [sys.executable, "-c", PYFAIDX, fasta, bed, folder / "pyfaidx.fa"]
    found["pysam, no checks"] = [sys.executable, "-c", PYSAM, fasta, bed, folder / "pysam.fa"]
    return found


def seconds(command):
    """Wall and processor seconds."""
    before, started = os.times(), time.monotonic()
    subprocess.run(command, check=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started, used


def print_table(best, args):
    print(f"# {processor()}; a genome of {args.megabases} Mb")
    print("tool", "windows", "length", "wall_s", "cpu_s", "windows_per_cpu_s", sep="\t")
    for name, (wall, cpu) in best.items():
        figures = f"{wall:.2f}", f"{cpu:.2f}", f"{args.windows / cpu:.0f}"
        print(name, args.windows, args.length, *figures, sep="\t")


if __name__ == "__main__":
    main()
