#!/usr/bin/env python3
"""Time quantify_introns on one whole sample: millions of reads of pairs over the 24 chromosomes of a human genome.

The annotation is that of --annotation on each chromosome, the reads are copies of --reads, which are of one chromosome:
chromosomes get numbers of copies in proportion to their lengths, so that the largest task is as large a share of the
work as it is in a human sample. Processor and wall seconds, and the resident set of the largest process at its peak, of
--threads processes that count chromosomes side by side. Standard output is a table.
"""

import argparse
import gzip
import sys
import tempfile
import time
from pathlib import Path

import pysam
from machine import processor

from quantify_introns import BIN, measured

# lengths of human chromosomes 1 to 22, X and Y in megabases (GRCh38)
MEGABASES = (
    248,
    242,
    198,
    190,
    182,
    171,
    159,
    145,
    138,
    134,
    135,
    133,
    114,
    107,
    102,
    90,
    83,
    80,
    59,
    64,
    47,
    51,
    156,
    57,
)


def write_annotation(path, out):
    """The lines of a GTF once for each chromosome, with genes of their own."""
    with gzip.open(path, "rt") as lines:
        lines = [line.split("\t") for line in lines if not line.startswith("#")]
    with open(out, "w") as gtf:
        for number in range(len(MEGABASES)):
            for line in lines:
                about = line[8].replace('_id "', f'_id "{number}.')
                gtf.write("\t".join([f"chr{number + 1}", *line[1:8], about]))


def write_sample(path, million, out):
    """A sorted and indexed BAM of about so many million reads; returns how many there are."""
    with pysam.AlignmentFile(path) as reads:
        lines = [record.to_dict() for record in reads.fetch(until_eof=True) if not record.is_unmapped]
        length = reads.lengths[0]
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}}
    header["SQ"] = [{"SN": f"chr{number + 1}", "LN": length} for number in range(len(MEGABASES))]
    header = pysam.AlignmentHeader.from_dict(header)
    mate = {"*": "*"}
    records = [
        pysam.AlignedSegment.from_dict(
            line | {"ref_name": "chr1", "next_ref_name": mate.get(line["next_ref_name"], "=")}, header
        )
        for line in lines
    ]
    wanted, n = million * 1e6 / len(records), 0
    with pysam.AlignmentFile(str(out), "wb", header=header, format_options=[b"level=1"]) as copies:
        for chrom, size in enumerate(MEGABASES):
            times = max(1, round(wanted * size / sum(MEGABASES)))
            for record in records:
                name, mate = record.query_name.split("|")[0], record.next_reference_id
                record.reference_id = chrom
                record.next_reference_id = chrom if mate >= 0 else mate
                for number in range(times):
                    record.query_name = f"{name}|{number}"
                    copies.write(record)
                n += times
    pysam.index(str(out))
    return n


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotation", required=True, metavar="GTF")
    parser.add_argument("--reads", required=True, metavar="BAM")
    parser.add_argument("--million", type=float, default=50)
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    args = parser.parse_args()
    print(f"# {processor()}")
    print("million_reads", "threads", "cpu_seconds", "wall_seconds", "peak_mb", sep="\t", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_annotation(args.annotation, folder / "genes.gtf")
        n = write_sample(args.reads, args.million, folder / "sample.bam")
        for threads in args.threads:
            tool = [BIN / "quantify_introns.py", "genes.gtf", "sample.bam", "-o", f"out{threads}", "--quiet"]
            began = time.monotonic()
            seconds, megabytes = measured([sys.executable, *tool, "--threads", threads], folder)
            wall = time.monotonic() - began
            print(f"{n / 1e6:.1f}", threads, f"{seconds:.0f}", f"{wall:.0f}", f"{megabytes:.0f}", sep="\t", flush=True)


if __name__ == "__main__":
    main()
