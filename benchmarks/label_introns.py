#!/usr/bin/env python3
"""Time label_introns on an annotation of the size of the whole human one, beside bedtools and bioframe.

The annotation is the real chromosome 19p of Ensembl 91 (--annotation), laid end to end until it has --lines lines; the
peaks are --peaks intervals of 150 to 600 bp in it. Every contender reads the same gzip GTF and BED, derives the
introns, finds those inside exons of retained_intron transcripts of the same gene, and the overlaps of all peaks with
all introns; their counts must agree. label_introns as its user runs it also checks every line, works out covariates,
leakage groups and folds and writes its three files. Seconds are wall clock, megabytes the resident set of the largest
process at its peak, both of the quickest of --rounds, in which the contenders take turns. bedtools is left out when not
installed. Prints a table and writes it to benchmarks/label_introns.tsv.
"""

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from machine import processor

TABLE = Path(__file__).with_suffix(".tsv")
BIN = Path(__file__).resolve().parent.parent / "bin"
COLUMNS = ["what", "seconds", "cpu_seconds", "peak_mb", "introns", "retained", "pairs"]
TILE = 27_000_000
TILES_PER_CHROM = 4
IDS = re.compile(r'(gene_id|transcript_id) "([^"]+)"')

BEDTOOLS = r"""
zcat annotation.gtf.gz | awk -F'\t' -v OFS='\t' '$3 == "exon" {
    match($9, /gene_id "[^"]+/); gene = substr($9, RSTART + 9, RLENGTH - 9)
    match($9, /transcript_id "[^"]+/); name = substr($9, RSTART + 15, RLENGTH - 15)
    retained = index($9, "transcript_biotype \"retained_intron\"") > 0
    print name, $4 - 1, $5, $1, $7, gene, retained }' | LC_ALL=C sort -k1,1 -k2,2n > exons.txt
awk -F'\t' -v OFS='\t' '$7 { print $4, $2, $3, $6, 0, $5 }' exons.txt > retained.bed
awk -F'\t' -v OFS='\t' '$1 == name && $2 > end { print $4, end, $2, $6, $7, $5 }
    { if ($1 != name || $3 > end) end = $3; name = $1 }' exons.txt | LC_ALL=C sort -u > introns.bed
bedtools intersect -s -f 1 -wa -wb -a introns.bed -b retained.bed |
    awk -F'\t' -v OFS='\t' '$4 == $10 && $8 < $2 && $3 < $9 && !$5 { print $1, $2, $3, $6 }' |
    LC_ALL=C sort -u > retained_introns.bed
cut -f1-3,6 introns.bed | LC_ALL=C sort -u > distinct.bed
zcat peaks.bed.gz | bedtools intersect -wo -a - -b distinct.bed > pairs.txt
wc -l < distinct.bed; wc -l < retained_introns.bed; wc -l < pairs.txt
"""

BIOFRAME = r"""
import bioframe, pandas as pd
gtf = bioframe.read_table("annotation.gtf.gz", schema="gtf", dtype={"chrom": str})
exons = gtf[gtf["feature"] == "exon"].copy()
for name in ("gene_id", "transcript_id", "transcript_biotype"):
    exons[name] = exons["attributes"].str.extract(f'{name} "([^"]*)"', expand=False)
exons = exons.drop(columns=["attributes"])
exons["start"] -= 1
exons = exons.sort_values(["transcript_id", "start"]).astype({"start": "int64", "end": "int64"})
same = exons["transcript_id"].eq(exons["transcript_id"].shift(-1))
introns = exons.assign(start=exons["end"], end=exons["start"].shift(-1))[same]
introns = introns[introns["end"] > introns["start"]].astype({"start": "int64", "end": "int64"})
columns = ["chrom", "start", "end", "strand", "gene_id", "transcript_biotype"]
introns = introns[columns].drop_duplicates()
retained = exons[exons["transcript_biotype"] == "retained_intron"][columns]
pairs = bioframe.overlap(introns, retained, on=["strand"], how="inner", suffixes=("", "_e"))
inside = (pairs["gene_id"] == pairs["gene_id_e"]) & (pairs["start_e"] < pairs["start"])
inside &= (pairs["end"] < pairs["end_e"]) & (pairs["transcript_biotype"] != "retained_intron")
place = ["chrom", "start", "end", "strand"]
found = pairs[inside][place].drop_duplicates()
distinct = introns[place].drop_duplicates()
peaks = bioframe.read_table("peaks.bed.gz", schema="bed3", dtype={"chrom": str})
print(len(distinct), len(found), len(bioframe.overlap(peaks, distinct, how="inner")), sep="\n")
"""

INTRONAUT = r"""
from intronaut.genome.annotation import distinct_introns, read_annotation
from intronaut.genome.intervals import overlapping_pairs
from intronaut.labels.annotation import label_by_annotation
from intronaut.io.peaks import read_peaks
annotation = read_annotation("annotation.gtf.gz")
introns, genes = distinct_introns(annotation)
label, _ = label_by_annotation(annotation, introns, genes, "retained_intron")
pairs = overlapping_pairs(read_peaks("peaks.bed.gz"), introns)
print(len(introns), int((label == 1).sum()), len(pairs), sep="\n")
"""


def tiled(annotation, lines_wanted, out):
    """Write the annotation over and over, each time further on and with names of its own; returns the chromosomes."""
    with gzip.open(annotation, "rt") as handle:
        lines = [line.split("\t") for line in handle if not line.startswith("#")]
    n_tiles = -(-lines_wanted // len(lines))
    with gzip.open(out, "wt", compresslevel=1) as gtf:
        for tile in range(n_tiles):
            chrom, shift = str(tile // TILES_PER_CHROM + 1), tile % TILES_PER_CHROM * TILE
            for fields in lines:
                start, end = int(fields[3]) + shift, int(fields[4]) + shift
                about = IDS.sub(rf'\1 "\2.{tile}"', fields[8])
                gtf.write("\t".join([chrom, *fields[1:3], str(start), str(end), *fields[5:8], about]))
    return n_tiles, n_tiles * len(lines)


def write_peaks(n_tiles, n, out):
    rng = np.random.default_rng(0)
    tile, start, width = rng.integers(n_tiles, size=n), rng.integers(0, 26_000_000, n), rng.integers(150, 600, n)
    with gzip.open(out, "wt", compresslevel=1) as bed:
        for t, s, w in sorted(zip(tile.tolist(), start.tolist(), width.tolist(), strict=True)):
            at = t % TILES_PER_CHROM * TILE + s
            bed.write(f"{t // TILES_PER_CHROM + 1}\t{at}\t{at + w}\n")


def measured(command, folder):
    """Wall clock seconds, processor seconds, peak megabytes and output of a command."""
    started = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(BIN)}
    done = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment)
    output = done.stdout.read()
    _, status, usage = os.wait4(done.pid, 0)
    done.returncode = os.waitstatus_to_exitcode(status)
    if done.returncode:
        sys.exit(f"{command[0]} failed")
    seconds = time.perf_counter() - started
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, output.split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotation", required=True, help="GTF of Ensembl, gzip")
    parser.add_argument("--lines", type=int, default=3_400_000)
    parser.add_argument("--peaks", type=int, default=1_000_000)
    parser.add_argument("--bioframe-python", help="a Python that has bioframe; default: this one, when it has")
    parser.add_argument("--rounds", type=int, default=2, help="how often each contender runs [2]")
    parser.add_argument("--notes", default="", help="what else to say of the machine")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        n_tiles, n_lines = tiled(args.annotation, args.lines, folder / "annotation.gtf.gz")
        write_peaks(n_tiles, args.peaks, folder / "peaks.bed.gz")
        machine = f"{processor()}; {n_lines:,} lines, {args.peaks:,} peaks"
        rows = [f"# {machine}" + (f"; {args.notes}" if args.notes else ""), "\t".join(COLUMNS)]
        print("\n".join(rows), flush=True)
        ours = [sys.executable, BIN / "label_introns.py", "annotation.gtf.gz", "--quiet"]
        bioframe = args.bioframe_python or (sys.executable if find_spec("bioframe") else None)
        contenders = {
            "label_introns, introns": ours,
            "label_introns, peaks": [*ours, "--peaks", "peaks.bed.gz"],
            "the same joins only: Intronaut": [sys.executable, "-c", INTRONAUT],
            "bedtools, awk, sort": ["bash", "-ec", BEDTOOLS] if shutil.which("bedtools") else None,
            "bioframe": bioframe and [bioframe, "-c", BIOFRAME],
        }
        contenders = {what: command for what, command in contenders.items() if command}
        rounds = [{what: measured(command, folder) for what, command in contenders.items()} for _ in range(args.rounds)]
    for what in contenders:
        seconds, cpu, megabytes, counts = min((one[what] for one in rounds), key=lambda one: one[0])
        cells = [what, f"{seconds:.1f}", f"{cpu:.1f}", f"{megabytes:.0f}", *(counts or ["NA"] * 3)]
        rows.append("\t".join(cells))
        print(rows[-1], flush=True)
    TABLE.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
