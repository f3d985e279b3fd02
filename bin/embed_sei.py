#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["h5py>=3.12", "numpy>=2.0", "pandas>=2.2", "safetensors>=0.4.5", "scipy>=1.13", "torch>=2.4"]
# ///
"""Embed windows with Sei (Chen et al. 2022): chromatin profiles, sequence classes, or the features beneath them.

Reads the published sei.pth (or safetensors) and target.names as they are; fetch_weights gets them. Lower case is read
as upper case. Every letter but A, C, G, T is a quarter of each base, as in Sei's own encoder; with --iupac expand,
ambiguity codes are equal parts of the bases they stand for.

Context:
  genome   4,096 bp of the genome, what Sei was trained on: fetch_sequences --length 4096. Longer windows are cut to
           their centre, shorter ones refused.
  npad     any window, centred between N up to 4,096 bp.
  native   the window alone, of 32 bp or more; Sei's last step is fitted to its length.

Features:
  all, tf, histone, access   the profiles of --targets as probabilities: all, or those of one kind
  FILE                       the profiles that the lines of FILE name
  logits                     all profiles before the sigmoid
  seqclass                   the 40 sequence classes: projections of all profiles on --projection
  spline, trunk              what the profiles are made of: 15,360 spline features, or the mean of 960 channels

Strands: mean is the mean of both strands' features, as Sei is used; forward reads the window as it is; both keeps
them side by side.

A killed run is taken up by the same command.

Writes: the features file of --output (.h5ad); with --estimate only a table on standard output.
"""

from intronaut.cli import (
    add_cache_options,
    add_embedding_options,
    add_features_output,
    add_run_options,
    add_windows,
    new_parser,
    run,
)
from intronaut.core.errors import UsageError
from intronaut.core.log import Log

PROG = "embed_sei"


def make_parser():
    parser = new_parser(__doc__, PROG)
    add_windows(parser)
    add_features_output(parser, required=False)
    model = parser.add_argument_group("model")
    model.add_argument("--weights", required=True, metavar="FILE", help="sei.pth or model.safetensors")
    model.add_argument("--targets", metavar="FILE", help="target.names, for profiles")
    model.add_argument("--projection", metavar="FILE", help="projvec_targets.npy, for seqclass")
    model.add_argument("--class-names", metavar="FILE", help="seqclass.names, for seqclass [class_01 …]")
    features = parser.add_argument_group("features")
    features.add_argument("--context", choices=("genome", "npad", "native"), default="genome", help="around the window")
    features.add_argument("--strands", choices=("mean", "forward", "both"), default="mean", help="what is read")
    features.add_argument(
        "--features", default="all", metavar="WHAT",
        help="all, tf, histone, access, logits, seqclass, spline, trunk, or a FILE of names",
    )  # fmt: skip
    features.add_argument("--iupac", choices=("quarter", "expand"), default="quarter", help="what R, Y, … are")
    add_embedding_options(parser)
    add_cache_options(parser)
    add_run_options(parser, threads=True, device=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    check_options(args)
    from intronaut.io.text import rereadable

    with rereadable(args.windows) as path:
        work(path, args)


def check_options(args):
    """Raise UsageError for options that are missing for what is asked."""
    if not (args.output or args.estimate):
        raise UsageError("nothing to write: give --output, or --estimate")
    if args.features not in ("spline", "trunk", "seqclass") and not args.targets:
        raise UsageError(f"--features {args.features} needs --targets, the names of the profiles")
    if args.features == "seqclass" and not args.projection:
        raise UsageError("--features seqclass needs --projection, the vectors of the sequence classes")


def work(path, args):
    """Load the model and embed every window of ``path``."""
    from intronaut.features.embed import embed_or_estimate
    from intronaut.features.sei import open_embedder
    from intronaut.networks.device import pick_device, prepare_torch
    from intronaut.networks.sei import WINDOW

    log = Log(PROG, args)
    prepare_torch(args.threads)
    embedder, var, provenance = open_embedder(args, pick_device(args.device), log)
    obs = embed_or_estimate(path, args, embedder, var, provenance, log)
    if obs is None:
        return
    cut, unknown = (obs["length"] > WINDOW).sum(), obs["n_unknown"].sum() / obs["length"].sum()
    if cut and args.context != "native":
        log.note(f"{cut:,} windows are longer than {WINDOW:,} bp: only their centre was read")
    log.note(f"{unknown:.2%} of the bases are not A, C, G or T")


if __name__ == "__main__":
    run(main, PROG)
