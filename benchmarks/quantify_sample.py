#!/usr/bin/env python3
"""Time quantify_introns on one whole sample: millions of reads over the 24 chromosomes of a human genome.

The annotation is --annotation laid end to end until it has --lines lines, on chromosomes whose shares of it are those
of human ones, so that the largest task is as large a part of the work as in a human sample. The reads are copies of
--reads in every tile; fragments without a junction are moved by up to --jitter bases, each copy by other ones, since
memory grows with the places at which depth changes. Processor and wall seconds; the resident set of the largest
process at its peak, and of all processes together, pages that they share counted once (both sampled ten times a
second, the first as the kernel counts it too). load is the mean of the five minutes up to the end of a run, with the
processes of the run. Standard output is a table.
"""

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pysam
from machine import processor

from quantify_introns import BIN

# lengths of human chromosomes 1 to 22, X and Y in megabases (GRCh38)
MEGABASES = (
    *(248, 242, 198, 190, 182, 171, 159, 145, 138, 134, 135, 133, 114, 107, 102, 90, 83, 80, 59, 64, 47, 51),
    *(156, 57),
)
TILE = 27_000_000
IDS = re.compile(r'(gene_id|transcript_id) "([^"]+)"')


def tiles_of_chroms(n):
    """How many of ``n`` tiles each chromosome gets, at least one, in proportion to its length."""
    ends = np.rint(np.cumsum(MEGABASES) / sum(MEGABASES) * n).astype(int)
    return np.maximum(np.diff(ends, prepend=0), 1)


def write_annotation(path, n_lines, out):
    """The lines of a GTF once for each tile, with genes of their own; returns the tiles of each chromosome."""
    with gzip.open(path, "rt") as lines:
        lines = [line.split("\t") for line in lines if not line.startswith("#")]
    tiles = tiles_of_chroms(n_lines / len(lines))
    with gzip.open(out, "wt", compresslevel=1) as gtf:
        for chrom, n in enumerate(tiles, 1):
            for tile in range(n):
                for line in lines:
                    place = (str(int(text) + tile * TILE) for text in line[3:5])
                    about = IDS.sub(rf'\1 "\2.{chrom}.{tile}"', line[8])
                    gtf.write("\t".join([f"chr{chrom}", *line[1:3], *place, *line[5:8], about]))
    return tiles


def templates(path, header):
    """The mapped records of a BAM, and for each the number of its fragment and whether that has no junction."""
    with pysam.AlignmentFile(path) as reads:
        lines = [record.to_dict() for record in reads.fetch(until_eof=True) if not record.is_unmapped]
    mate = {"*": "*"}
    places = ({"ref_name": "chr1", "next_ref_name": mate.get(line["next_ref_name"], "=")} for line in lines)
    records = [pysam.AlignedSegment.from_dict(line | place, header) for line, place in zip(lines, places, strict=True)]
    _, fragment = np.unique([record.query_name for record in records], return_inverse=True)
    spliced = np.bincount(fragment, ["N" in record.cigarstring for record in records]) > 0
    return records, fragment, ~spliced[fragment]


def write_sample(path, million, tiles, jitter, out):
    """A sorted and indexed BAM of about so many million reads; returns how many there are."""
    chroms = [{"SN": f"chr{number}", "LN": int(n) * TILE} for number, n in enumerate(tiles, 1)]
    header = pysam.AlignmentHeader.from_dict({"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": chroms})
    records, fragment, movable = templates(path, header)
    start, mate_start = (
        np.array([getattr(record, name) for record in records]) for name in ("reference_start", "next_reference_start")
    )
    names = [record.query_name for record in records]
    times = max(1, round(million * 1e6 / len(records) / sum(tiles)))
    rng, copies = np.random.default_rng(0), np.arange(times)
    with pysam.AlignmentFile(str(out), "wb", header=header, format_options=[b"level=1"]) as bam:
        for chrom, n in enumerate(tiles):
            for tile in range(n):
                moved = rng.integers(-jitter, jitter + 1, (fragment.max() + 1, times))[fragment]
                shift = (moved * movable[:, None]).ravel()
                row, copy = np.repeat(np.arange(len(records)), times), np.tile(copies, len(records))
                place = np.maximum(start[row] + shift, 0) + tile * TILE
                mate = np.where(mate_start[row] < 0, -1, np.maximum(mate_start[row] + shift, 0) + tile * TILE)
                order = np.argsort(place, kind="stable")
                columns = (column[order].tolist() for column in (row, copy, place, mate))
                for row_of, copy_of, here, there in zip(*columns, strict=True):
                    record = records[row_of]
                    record.query_name = f"{names[row_of]}:{tile}:{copy_of}"
                    record.reference_id, record.reference_start = chrom, here
                    record.next_reference_id, record.next_reference_start = (chrom, there) if there >= 0 else (-1, -1)
                    bam.write(record)
    pysam.index(str(out))
    return times * int(sum(tiles)) * len(records)


def children_of(process):
    """The numbers of a process and of those that it started, and these."""
    numbers, more = [], [process]
    while more:
        numbers += more
        more = [
            int(child)
            for parent in more
            for path in Path(f"/proc/{parent}/task").glob("*/children")
            for child in path.read_text().split()
        ]
    return numbers


class Memory(threading.Thread):
    """Watches the memory of a process and its children: megabytes of the largest, and of all together, at the peak."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.largest, self.together = process, 0, 0

    def run(self):
        while self.process.returncode is None:
            sizes = []
            for number in children_of(self.process.pid):
                try:
                    text = Path(f"/proc/{number}/smaps_rollup").read_text()
                except OSError:
                    continue
                sizes.append([int(re.search(rf"^{name}: +(\d+)", text, re.M)[1]) for name in ("Rss", "Pss")])
            if sizes:
                rss, pss = zip(*sizes, strict=True)
                self.largest, self.together = max(self.largest, *rss), max(self.together, sum(pss))
            time.sleep(0.1)


def measured(command, folder):
    """Processor seconds, wall seconds, megabytes of the largest process and of all together, of a command."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(list(map(str, command)), cwd=folder, env=environment, stdout=log, stderr=log)
        memory = Memory(process)
        memory.start()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit((folder / "log").read_text())
    wall = time.monotonic() - began
    largest = max(usage.ru_maxrss, memory.largest) * 1024 / 1e6
    return usage.ru_utime + usage.ru_stime, wall, largest, memory.together * 1024 / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotation", required=True, metavar="GTF")
    parser.add_argument("--reads", required=True, metavar="BAM")
    parser.add_argument("--lines", type=float, default=3_000_000)
    parser.add_argument("--million", type=float, nargs="+", default=[50])
    parser.add_argument("--jitter", type=int, default=100, metavar="BP")
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--keep", metavar="DIR", help="keep annotation and reads there, and take what is there")
    args = parser.parse_args()
    print(f"# {processor()}, shared with other work where load is above the number of threads")
    head = "million_reads", "million_fragments", "lines", "introns", "threads", "cpu_seconds", "wall_seconds"
    print(*head, "largest_mb", "together_mb", "load", sep="\t", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.keep or temporary)
        for million in args.million:
            gtf, bam = folder / f"{args.lines:.0f}.gtf.gz", folder / f"{args.lines:.0f}.{million}.bam"
            if not bam.exists():
                tiles = write_annotation(args.annotation, args.lines, gtf)
                write_sample(args.reads, million, tiles, args.jitter, bam)
            for threads in args.threads:
                tool = [BIN / "quantify_introns.py", gtf, bam, "-o", f"out{threads}", "--quiet", "--threads", threads]
                numbers = measured([sys.executable, *tool], folder)
                load = os.getloadavg()[1]
                print(*sizes(gtf, folder / f"out{threads}"), threads, *(f"{number:.0f}" for number in numbers),
                      f"{load:.1f}", sep="\t", flush=True)  # fmt: skip
            if not args.keep:
                bam.unlink()


def sizes(gtf, out):
    """Millions of reads and of fragments, lines of the annotation and its introns."""
    about = json.loads((out / "counts.json").read_text())
    (sample,) = about["samples"].values()
    with gzip.open(gtf, "rt") as lines:
        n_lines = sum(1 for _ in lines)
    return f"{sample['records'] / 1e6:.1f}", f"{sample['fragments'] / 1e6:.1f}", n_lines, about["n_introns"]


if __name__ == "__main__":
    main()
