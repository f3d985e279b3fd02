#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.85", "h5py>=3.12", "numpy>=2.0", "pandas>=2.2", "pyjaspar>=4.0", "rich>=13",
#   "threadpoolctl>=3.5"]
# ///
"""Embed windows as the binding sites of transcription factors: two features a motif, no download.

  best       the highest log-odds of any site, in bits
  occupancy  the expected number of bound sites, by the TRAP model (Roider et al. 2007, Bioinformatics 23:134)

Both look at every position of both strands; motifs of RNA (MEME with ALPHABET= ACGU, as ATtRACT and CISBP-RNA give
them) at the strand that the windows read, which must be the transcript's (fetch_sequences --strand aware). N and other
ambiguity codes count as background (log-odds 0), and a window shorter than a motif is scored as if N followed. The
motifs are JASPAR CORE, the newest version of each, or --motifs.

Writes: the features file of --output (.h5ad), with motif_id, tf, family, class and measure of each feature.
"""

from intronaut import __version__
from intronaut.cli import (
    add_features_output,
    add_record_cost,
    add_run_options,
    add_windows,
    new_parser,
    positive_float,
    run,
)
from intronaut.core.errors import UsageError
from intronaut.core.files import digest_file, require_file
from intronaut.core.log import Log

PROG = "embed_motifs"
WRITTEN_ROWS = 64


def make_parser():
    parser = new_parser(__doc__, PROG)
    add_windows(parser)
    add_features_output(parser)
    motifs = parser.add_argument_group("motifs")
    motifs.add_argument(
        "--motifs", metavar="FILE", help="motifs in MEME, JASPAR, HOMER or TRANSFAC format instead of JASPAR CORE"
    )
    motifs.add_argument("--jaspar-release", default="JASPAR2024", metavar="NAME", help="release of JASPAR CORE")
    motifs.add_argument(
        "--tax-group", default="vertebrates", metavar="NAME", help="vertebrates, plants, fungi, insects, nematodes …"
    )
    motifs.add_argument("--strands", choices=("auto", "both", "one"), default="auto",
                        help="strands to look at; auto: one for motifs of RNA, else both")  # fmt: skip
    scoring = parser.add_argument_group("scoring")
    scoring.add_argument(
        "--pseudocount", type=positive_float, default=0.8, metavar="N",
        help="sites added to each matrix column, shared out by background (Nishida et al. 2009)",
    )  # fmt: skip
    scoring.add_argument(
        "--background", type=positive_float, nargs=4, default=[0.25] * 4, metavar=("A", "C", "G", "T"),
        help="base frequencies outside of motifs",
    )  # fmt: skip
    add_record_cost(parser)
    add_run_options(parser, threads=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    if abs(sum(args.background) - 1) > 1e-6:
        raise UsageError(f"--background adds up to {sum(args.background):g}, not 1")
    if args.motifs:
        require_file(args.motifs)
    from intronaut.io.text import rereadable

    with rereadable(args.windows) as path:
        embed(path, args)


def embed(path, args):
    """Score every window and write the features file; rows that a killed run has finished are kept."""
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_limits

    from intronaut.features.cost import Stopwatch
    from intronaut.io.fasta import read_windows
    from intronaut.io.h5ad import FeatureWriter
    from intronaut.io.window_cut import obs_and_cut
    from intronaut.motifs.motif_files import read_motifs
    from intronaut.motifs.pwm import jaspar_motifs, refuse_forward_windows, strands_of
    from intronaut.motifs.trap import Scanner, feature_table

    log, watch = Log(PROG, args), Stopwatch()
    obs, cut = obs_and_cut(read_windows(path))
    left_out = []
    motifs = read_motifs(args.motifs, left_out) if args.motifs else jaspar_motifs(args.jaspar_release, args.tax_group)
    if left_out:
        log.warn(f"{args.motifs}: {len(left_out)} motifs have no matrix and are left out, first {left_out[0]}")
    strands = strands_of(motifs, args.strands)
    refuse_forward_windows(strands, cut)
    # features of both strands say nothing of it, as those of earlier versions
    source = provenance(args) | cut | ({"strands": strands} if strands == 1 else {})
    scanner = Scanner(motifs, args.pseudocount, args.background, strands)
    # one window a thread: the threads of BLAS itself have nothing to gain on products this small
    with (
        FeatureWriter(
            args.output, obs, feature_table(motifs), "float32", source, resume=True, records_cost=args.record_cost
        ) as writer,
        threadpool_limits(1),
        ThreadPoolExecutor(args.threads) as pool,
        log.progress(len(obs), "windows") as progress,
    ):
        n_pending = len(writer.pending())
        for rows, windows in writer.batches(read_windows(path), WRITTEN_ROWS):
            scores = pool.map(scanner.scan, [window.sequence for window in windows])
            writer.write(rows, [score.T.ravel() for score in scores])
            progress.add(len(rows))
        writer.finish(watch.cost(len(obs), n_pending) if args.record_cost else None)
    log.note(f"{len(obs):,} windows, {len(motifs):,} motifs, {2 * len(motifs):,} features")


def provenance(args):
    """What the features depend on beside the windows; the same for every shard."""
    from intronaut.motifs.pwm import jaspar_name

    if args.motifs:
        source = {"motifs_sha256": digest_file(args.motifs)}
    else:
        source = {"motifs": jaspar_name(args.jaspar_release, args.tax_group)}
    options = {"pseudocount": args.pseudocount, "background": args.background}
    return {"tool": PROG, "version": __version__, **source, **options}


if __name__ == "__main__":
    run(main, PROG)
