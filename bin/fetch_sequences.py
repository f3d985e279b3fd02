#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.85", "numpy>=2.0", "pysam>=0.23"]
# ///
"""Fetch the DNA around introns or peaks as windows of one length.

INPUT is labels.tsv, or BED with 3 to 6 columns or more, or - for standard input. Every row becomes one FASTA record, in
the same order, or is listed with the reason in the table of --dropped:

  >NAME CHROM:START-END(STRAND) anchor= length= strand= edge= pad_left= pad_right= shift= row= genome=

CHROM:START-END is the window, 0-based and half-open on the forward strand, in the genome's own chromosome names; row=
is the row it was made from, genome= a digest of the genome's chromosome lengths. The embedders keep anchor, length,
strand, edge and genome with the features, so that no model reads windows that were cut another way. Letters are upper
case; N and the other IUPAC letters are kept.

Where a window lies, counted in the reading direction of the row's strand (. as +); both strands follow one rule:
  donor     the first intron base is base LENGTH // 2 (from 0): an even window is half exon, half intron
  acceptor  the last intron base is base LENGTH - 1 - LENGTH // 2
  centre    the middle of the row (an intron or a peak) is the middle of the window, or half a base after it

Writes: the FASTA of --output (bgzf when its name ends in .gz), and the same records in pieces of --shard-size as
SHARD_DIR/windows.00001.fa.gz …; their concatenation is the whole.
"""

import sys
from collections import Counter
from contextlib import ExitStack, nullcontext
from itertools import groupby

from intronaut.cli import add_chrom_aliases, add_run_options, add_window_options, new_parser, positive_int, run
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import published_together, whole_file, whole_folder
from intronaut.core.log import Log

PROG = "fetch_sequences"
SHARD_NAME, STALE = "windows.{:05d}.fa.gz", "windows.*.fa.gz"


def make_parser():
    parser = new_parser(__doc__, PROG)
    parser.add_argument("input", metavar="INPUT", help="labels.tsv or BED, plain or gzip, or -")
    parser.add_argument("--fasta", required=True, metavar="FILE", help="the genome: FASTA (plain, bgzf, gzip) or 2bit")
    add_chrom_aliases(parser)
    add_window_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="FILE", help="FASTA of all windows, or -")
    output.add_argument("--dropped", metavar="FILE", help="table of the rows without a window, and why")
    output.add_argument("--shard-dir", metavar="DIR", help="also, or only, write the windows in pieces here")
    output.add_argument("--shard-size", type=positive_int, metavar="N", help="windows in a piece")
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    check_outputs(args)
    from intronaut.genome.reference import Genome
    from intronaut.genome.windows import read_rows, refuse_rows_outside

    rows = read_rows(args.input)
    if args.anchor != "centre" and any(row.unit == "peak" for row in rows):
        raise UsageError(f"{args.input}: peaks have no {args.anchor}; use --anchor centre")
    with Genome(args.fasta, args.chrom_aliases) as genome:
        chroms = genome.resolve_all([row.chrom for row in rows], args.input)
        refuse_rows_outside(rows, chroms, genome, args.input)
        write(rows, chroms, genome, args)


def check_outputs(args):
    """Raise UsageError unless the options say where to write."""
    if not args.output and not args.shard_dir:
        raise UsageError("nothing to write: give --output or --shard-dir")
    if bool(args.shard_dir) != bool(args.shard_size):
        raise UsageError("--shard-dir and --shard-size go together")


def write(rows, chroms, genome, args):
    """Write windows, shards and dropped rows; all appear together or not at all."""
    log, dropped, counts = Log(PROG, args), [], Counter()
    with published_together(), ExitStack() as outputs, log.progress(len(rows), "rows") as progress:
        whole = outputs.enter_context(whole_file(args.output)) if args.output else None
        folder = outputs.enter_context(whole_folder(args.shard_dir, [STALE])) if args.shard_dir else None
        records = windows_of(rows, chroms, genome, args, dropped, counts, progress)
        for shard, members in groupby(enumerate(records), lambda record: record[0] // (args.shard_size or sys.maxsize)):
            with whole_file(folder / SHARD_NAME.format(shard + 1)) if folder else nullcontext() as piece:
                for _, record in members:
                    for out in filter(None, (whole, piece)):
                        out.write(record)
        summary_line = summary(rows, dropped, counts, args.length)
        if len(dropped) == len(rows):
            raise BadData(f"{args.input}: no window left: {summary_line}")
        if args.dropped:
            table = outputs.enter_context(whole_file(args.dropped))
            table.write("chrom\tstart\tend\tname\tscore\tstrand\treason\n")
            table.writelines(
                f"{row.chrom}\t{row.start}\t{row.end}\t{row.name}\t{row.score}\t{row.strand}\t{reason}\n"
                for row, reason in dropped
            )
    log.note(summary_line)


def windows_of(rows, chroms, genome, args, dropped, counts, progress):
    """Yield one FASTA record a row; rows without a window go to ``dropped``, padded and shifted ones to ``counts``."""
    from intronaut.genome.windows import NoWindow, cut_window

    how = {"anchor": args.anchor, "length": args.length, "edge": args.edge, "strand": args.strand}
    digest = genome.digest()
    for row in rows:
        try:
            window = cut_window(genome, row, chroms[row.chrom], **how)
        except NoWindow as reason:
            dropped.append((row, str(reason)))
        else:
            if window.fields["pad_left"] or window.fields["pad_right"]:
                counts["padded"] += 1
            if window.fields["shift"]:
                counts["shifted"] += 1
            window.fields["genome"] = digest
            yield f">{window.header()}\n{window.sequence}\n"
        progress.add(1)


def summary(rows, dropped, counts, length):
    """The counts in one line; they add up to the number of rows."""
    reasons = Counter(reason for _, reason in dropped)
    why = "".join(f"; {number:,} {reason}" for reason, number in sorted(reasons.items()))
    changed = "".join(f", {number:,} {what}" for what, number in sorted(counts.items()) if number)
    kept = len(rows) - len(dropped)
    return f"{len(rows):,} rows: {kept:,} windows of {length:,} bases{changed}; {len(dropped):,} dropped{why}"


if __name__ == "__main__":
    run(main, PROG)
