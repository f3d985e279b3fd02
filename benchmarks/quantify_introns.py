#!/usr/bin/env python3
"""Time quantify_introns beside featureCounts, and samtools depth with bedtools coverage, on the same alignments.

The alignments are those of --single and --paired, every record --times times under names of its own, so that their
distribution over genes and CIGARs is that of the given files. Every contender runs on one thread. Counted is processor
time, which other work on the machine does not slow much; megabytes are the resident set of the largest process at its
peak. featureCounts counts exons of genes and junctions (-J), which is less than what quantify_introns does; samtools
and bedtools give depth and the coverage of introns, but no crossed ends. With --memory, quantify_introns also runs on
that many million copied reads of --single. Standard output is a table.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pysam
from machine import processor

BIN = Path(__file__).resolve().parent.parent / "bin"
ANNOTATION_OF_BED = r"""
import sys
from intronaut.genome.annotation import distinct_introns, read_annotation
introns, _ = distinct_introns(read_annotation(sys.argv[1]))
introns.assign(name=".", score=0)[["chrom", "start", "end", "name", "score", "strand"]].to_csv(
    "introns.bed", sep="\t", header=False, index=False)
"""


def copied(path, times, out):
    """Write every record ``times`` times; returns how many records there are."""
    n = 0
    with pysam.AlignmentFile(path) as reads, pysam.AlignmentFile(out, "wb", template=reads) as copies:
        for record in reads.fetch(until_eof=True):
            name = record.query_name
            for number in range(times):
                record.query_name = f"{name}.{number}"
                copies.write(record)
                n += 1
    pysam.index(str(out))
    return n


def measured(command, folder):
    """Processor seconds and peak megabytes of a command and its children."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(BIN)}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(list(map(str, command)), cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit((folder / "log").read_text())
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def contenders(annotation, bam, paired):
    """Name and command of each, to be run beside the alignments."""
    pairs = ["-p", "--countReadPairs"] if paired else []
    coverage = (
        f"samtools depth -aa {bam} > depth.txt && bedtools coverage -split -a introns.bed -b {bam} > coverage.txt"
    )
    ours = [sys.executable, BIN / "quantify_introns.py", annotation, bam, "-o", "out", "--quiet", "--threads", "1"]
    return {
        "quantify_introns": ours,
        "featureCounts -J": ["featureCounts", "-J", "-T", "1", *pairs, "-a", annotation, "-o", "counts.txt", bam],
        "samtools depth + bedtools coverage": ["bash", "-ec", coverage],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("single", "paired"):
        parser.add_argument(f"--{name}", nargs=2, metavar=("GTF", "BAM"), required=True)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--memory", type=int, default=0, metavar="MILLION")
    args = parser.parse_args()
    print(f"# {processor()}")
    print("reads", "million", "program", "cpu_seconds", "million_a_minute", "peak_mb", sep="\t", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for kind in ("single", "paired"):
            annotation, bam = (Path(path).resolve() for path in getattr(args, kind))
            n = copied(bam, args.times, folder / f"{kind}.bam")
            subprocess.run(
                [sys.executable, "-c", ANNOTATION_OF_BED, annotation],
                cwd=folder, env={**os.environ, "PYTHONPATH": str(BIN)}, check=True,
            )  # fmt: skip
            for program, command in contenders(annotation, f"{kind}.bam", kind == "paired").items():
                seconds, megabytes = measured(command, folder)
                cells = f"{n / 1e6:.2f}", program, f"{seconds:.1f}", f"{n / 1e6 / seconds * 60:.1f}", f"{megabytes:.0f}"
                print(kind, *cells, sep="\t", flush=True)
        if args.memory:
            annotation, bam = (Path(path).resolve() for path in args.single)
            n = copied(
                bam, round(args.memory * 1e6 / pysam.AlignmentFile(bam).count(until_eof=True)), folder / "many.bam"
            )
            seconds, megabytes = measured(contenders(annotation, "many.bam", False)["quantify_introns"], folder)
            cells = f"{n / 1e6:.2f}", "quantify_introns", f"{seconds:.1f}", f"{n / 1e6 / seconds * 60:.1f}"
            print("single", *cells, f"{megabytes:.0f}", sep="\t", flush=True)


if __name__ == "__main__":
    main()
