#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.85", "h5py>=3.12", "numpy>=2.0", "pandas>=2.2"]
# ///
"""Embed windows as the frequencies of canonical k-mers, with GC content and CpG observed/expected.

A k-mer and its reverse complement are one feature, named by the first of the two in the alphabet; k-mers that hold N or
another ambiguity code are not counted. GC_content is the share of G and C among A, C, G, T; CpG_oe is
CpG · bases / (C · G), after Gardiner-Garden and Frommer 1987 (J Mol Biol 196:261). A division by zero gives 0.

Writes: the features file of --output (.h5ad), with the kind of each feature and the GC content of each k-mer.
"""

import argparse

from intronaut import __version__
from intronaut.cli import (
    add_features_output,
    add_record_cost,
    add_run_options,
    add_windows,
    new_parser,
    positive_int,
    run,
)
from intronaut.core.log import Log

PROG = "embed_kmers"
LARGEST_K = 8
WRITTEN_ROWS = 1024


def make_parser():
    parser = new_parser(__doc__, PROG)
    add_windows(parser)
    add_features_output(parser)
    features = parser.add_argument_group("features")
    features.add_argument("--k", type=small_k, default=6, metavar="K", help=f"bases in a k-mer, 1 to {LARGEST_K}")
    add_record_cost(parser)
    add_run_options(parser)
    return parser


def small_k(text):
    """argparse type: a k whose k-mers make a table of bearable width."""
    k = positive_int(text)
    if k > LARGEST_K:
        raise argparse.ArgumentTypeError(f"{k} is more than {LARGEST_K}")
    return k


def main(argv):
    args = make_parser().parse_args(argv)
    from intronaut.io.text import rereadable

    with rereadable(args.windows) as path:
        embed(path, args)


def embed(path, args):
    """Count the k-mers of every window and write the features file."""
    from intronaut.features.cost import Stopwatch
    from intronaut.features.kmers import canonical_kmers, feature_table, features_of
    from intronaut.io.fasta import read_windows
    from intronaut.io.h5ad import FeatureWriter
    from intronaut.io.window_cut import obs_and_cut

    log, watch = Log(PROG, args), Stopwatch()
    obs, cut = obs_and_cut(read_windows(path))
    column_of, kmers = canonical_kmers(args.k)
    provenance = {"tool": PROG, "version": __version__, "k": args.k, **cut}
    with (
        FeatureWriter(
            args.output, obs, feature_table(kmers), "float32", provenance, resume=True, records_cost=args.record_cost
        ) as writer,
        log.progress(len(obs), "windows") as progress,
    ):
        n_pending = len(writer.pending())
        for rows, windows in writer.batches(read_windows(path), WRITTEN_ROWS):
            writer.write(rows, [features_of(window.sequence, args.k, column_of, len(kmers)) for window in windows])
            progress.add(len(rows))
        writer.finish(watch.cost(len(obs), n_pending) if args.record_cost else None)
    log.note(f"{len(obs):,} windows, {len(kmers) + 2:,} features")


if __name__ == "__main__":
    run(main, PROG)
