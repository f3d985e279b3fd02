#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["h5py>=3.12", "numpy>=2.0", "pandas>=2.2", "safetensors>=0.4.5", "tokenizers>=0.20", "torch>=2.4"]
# ///
"""Embed windows with DNABERT-2 (Zhou et al. 2024): the pooled hidden states of its last layer, or of every layer.

Reads the published pytorch_model.bin (or safetensors) and tokenizer.json as they are; fetch_weights gets them. Windows
are upper-cased. N and every other letter but A, C, G, T becomes one unknown token each, as in the published tokenizer.
The whole window is read, however long, unless --max-tokens cuts its right end, which a column of obs then tells.

Pooling: mean and max over all tokens, the special first and last included, as DNABERT-2's own example does;
mean-no-special without those two; first is the first token; layers is the mean after the embedding and every layer.
Strands: forward reads the window as it is; mean is the mean of both strands' features; both keeps them side by side.

A killed run is taken up by the same command. --batch-size counts tokens.

Writes: the features file of --output (.h5ad); with --estimate only a table on standard output.
"""

import argparse

from intronaut.cli import (
    add_cache_options,
    add_embedding_options,
    add_features_output,
    add_run_options,
    add_windows,
    new_parser,
    positive_int,
    run,
)
from intronaut.core.errors import UsageError
from intronaut.core.log import Log

PROG = "embed_dnabert2"
POOLINGS = ("mean", "mean-no-special", "first", "max", "layers")


def make_parser():
    parser = new_parser(__doc__, PROG)
    add_windows(parser)
    add_features_output(parser, required=False)
    model = parser.add_argument_group("model")
    model.add_argument("--weights", required=True, metavar="FILE", help="pytorch_model.bin or model.safetensors")
    model.add_argument("--tokenizer", required=True, metavar="FILE", help="tokenizer.json")
    model.add_argument("--config", metavar="FILE", help="config.json [what the weights' shapes say, heads 64 wide]")
    features = parser.add_argument_group("features")
    features.add_argument("--pooling", choices=POOLINGS, default="mean", help="how tokens become one vector")
    features.add_argument("--strands", choices=("forward", "mean", "both"), default="forward", help="what is read")
    features.add_argument("--max-tokens", type=enough_tokens, metavar="N", help="cut longer windows to N tokens")
    add_embedding_options(parser, "tokens")
    add_cache_options(parser)
    add_run_options(parser, threads=True, device=True)
    return parser


def enough_tokens(text):
    """argparse type: room for at least one token between the special ones."""
    tokens = positive_int(text)
    if tokens < 3:
        raise argparse.ArgumentTypeError(f"{text} leaves no room between the two special tokens")
    return tokens


def main(argv):
    args = make_parser().parse_args(argv)
    if not (args.output or args.estimate):
        raise UsageError("nothing to write: give --output, or --estimate")
    from intronaut.io.text import rereadable

    with rereadable(args.windows) as path:
        work(path, args)


def work(path, args):
    """Load the model, embed every window of ``path`` and say what the tokenizer could not read."""
    from intronaut.features.dnabert2 import Tally, open_embedder
    from intronaut.features.embed import embed_or_estimate
    from intronaut.networks.device import pick_device, prepare_torch

    log, tally = Log(PROG, args), Tally()
    prepare_torch(args.threads)
    embedder, var, provenance = open_embedder(args, pick_device(args.device), log, tally)
    obs = embed_or_estimate(path, args, embedder, var, provenance, log)
    if obs is None:
        return
    if args.max_tokens and (cut := obs["truncated"].sum()):
        log.note(f"{cut:,} windows were longer than {args.max_tokens:,} tokens and were cut")
    tally.tell(log)


if __name__ == "__main__":
    run(main, PROG)
