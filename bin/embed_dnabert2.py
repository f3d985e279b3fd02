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
from dataclasses import dataclass

from intronaut.cli import (
    Log,
    UsageError,
    __version__,
    add_embedding_options,
    add_run_options,
    parser,
    positive_int,
    run,
)

PROG = "embed_dnabert2"
POOLINGS = ("mean", "mean-no-special", "first", "max", "layers")
# on a CPU larger batches are slower; on a GPU they are doubled from the second to the third while they fit
CPU_TOKENS, GPU_TOKENS, MOST_TOKENS = 4096, 16_384, 131_072
# matrix products with fewer rows than this are rounded in another way, so that batch mates would matter
LEAST_TOKENS = 16
MUCH_UNKNOWN = 0.05


def make_parser():
    made = parser(__doc__, PROG)
    made.add_argument("windows", metavar="FASTA", help="windows, plain or gzip, or -")
    made.add_argument("-o", "--output", metavar="FILE", help="features file to write, .h5ad")
    model = made.add_argument_group("model")
    model.add_argument("--weights", required=True, metavar="FILE", help="pytorch_model.bin or model.safetensors")
    model.add_argument("--tokenizer", required=True, metavar="FILE", help="tokenizer.json")
    model.add_argument("--config", metavar="FILE", help="config.json [what the weights' shapes say, heads 64 wide]")
    features = made.add_argument_group("features")
    features.add_argument("--pooling", choices=POOLINGS, default="mean", help="how tokens become one vector")
    features.add_argument("--strands", choices=("forward", "mean", "both"), default="forward", help="what is read")
    features.add_argument("--max-tokens", type=enough_tokens, metavar="N", help="cut longer windows to N tokens")
    add_embedding_options(made, "tokens")
    add_run_options(made, threads=True, device=True)
    return made


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
    from intronaut.seqio import rereadable

    with rereadable(args.windows) as path:
        work(path, args)


def work(path, args):
    """Load the model, embed every window of ``path`` and say what the tokenizer could not read."""
    import torch

    from intronaut.dnabert2 import Tokenizer, config_of, load, read_config
    from intronaut.embedding import Embedder, by_total_length, embed, estimate, pick_device, prepare_torch
    from intronaut.weights import BackgroundDigest, open_checkpoint

    log = Log(PROG, args)
    prepare_torch(args.threads)
    device = pick_device(args.device)
    checkpoint = open_checkpoint(args.weights)
    digest = BackgroundDigest(checkpoint.path)
    config = read_config(args.config) if args.config else config_of(checkpoint.tensors)
    tokenizer = Tokenizer(args.tokenizer, config.vocab_size)
    model = load(checkpoint, config).compute_in(getattr(torch, args.dtype)).to(device)
    if checkpoint.note:
        log.warn(f"{args.weights}: {checkpoint.note}")

    tally = Tally()
    embedder = Embedder(
        encode=lambda window: tokens_of(window, tokenizer, args.strands, args.max_tokens, tally),
        compute=lambda batch: features_of(batch, model, tokenizer.first, args.pooling, args.strands),
        cut=by_total_length,
        size=lambda lengths: CPU_TOKENS if device.type == "cpu" else GPU_TOKENS,
        most=MOST_TOKENS,
        device=device,
        describe=lambda window: truncation(window, tokenizer, args.strands, args.max_tokens),
    )
    var = feature_table(config, args.pooling, args.strands)
    if args.estimate:
        print(*estimate(path, embedder, len(var), store=args.store, batch_size=args.batch_size, log=log), sep="\n")
        return
    how = {"store": args.store, "batch_size": args.batch_size, "log": log}
    obs = embed(path, args.output, embedder, var, provenance(args, digest, checkpoint.note), **how)
    if args.max_tokens and (cut := obs["truncated"].sum()):
        log.note(f"{cut:,} windows were longer than {args.max_tokens:,} tokens and were cut")
    tally.tell(log)


def provenance(args, digest, note):
    """What the features depend on; a run with other values of these starts anew."""
    from intronaut.cli import digest_file

    names = ("pooling", "strands", "max_tokens", "dtype", "store")
    files = {"weights_sha256": digest.hex(), "tokenizer_sha256": digest_file(args.tokenizer)}
    return {"tool": PROG, "version": __version__, "weights_note": note} | files | {n: vars(args)[n] for n in names}


def tokens_of(window, tokenizer, strands, max_tokens, tally):
    """The token ids of a window, int32; of both strands, one after the other, unless only forward is read."""
    import numpy as np

    read = [tokenizer(sequence, max_tokens) for sequence in sequences_of(window, strands)]
    ids = np.array([token for tokens, _ in read for token in tokens], np.int32)
    tally.tokens += len(ids)
    tally.unknown += int((ids == tokenizer.unknown).sum())
    return ids


def sequences_of(window, strands):
    """What is read of a window: its sequence, and for all but ``forward`` the reverse complement too."""
    from intronaut.seqio import reverse_complement

    return [window.sequence] if strands == "forward" else [window.sequence, reverse_complement(window.sequence)]


def truncation(window, tokenizer, strands, max_tokens):
    """A column of ``obs`` that says whether ``max_tokens`` cuts the window, on either strand that is read."""
    if max_tokens is None:
        return {}
    return {"truncated": int(any(tokenizer(sequence, max_tokens)[1] for sequence in sequences_of(window, strands)))}


@dataclass
class Tally:
    """How many tokens this run computed, and how many of those are unknown."""

    tokens: int = 0
    unknown: int = 0

    def tell(self, log):
        """Say the share of unknown tokens; as a warning when it is large."""
        if self.tokens:
            share = self.unknown / self.tokens
            say = log.warn if share > MUCH_UNKNOWN else log.note
            say(f"{self.tokens:,} tokens computed, {share:.2%} of them unknown (letters other than A, C, G, T)")


def features_of(batch, model, first, pooling, strands):
    """``(n, d)`` float32 features of ``n`` windows' token ids, in which each sequence begins with ``first``."""
    import numpy as np
    import torch

    ids = np.concatenate(batch)
    sequences = np.split(ids, np.flatnonzero(ids == first)[1:])
    order = np.argsort([len(sequence) for sequence in sequences], kind="stable")
    lengths = [len(sequences[place]) for place in order]
    packed = np.concatenate([sequences[place] for place in order])
    if (lacking := LEAST_TOKENS - len(packed)) > 0:
        packed, lengths = np.pad(packed, (0, lacking), constant_values=first), [*lengths, lacking]
    with torch.inference_mode():
        pooled = pool_states(model, torch.from_numpy(packed).to(model.device).long(), lengths, pooling).cpu().numpy()
    features = np.empty((len(order), pooled.shape[1]), np.float32)
    features[order] = pooled[: len(order)]
    if strands == "mean":
        return features.reshape(len(batch), 2, -1).mean(axis=1)
    return features.reshape(len(batch), -1)


def pool_states(model, ids, lengths, pooling):
    """One row a sequence of the packed ``ids``: the pooled last state, or the means of all states side by side."""
    import torch

    from intronaut.dnabert2 import pool

    if pooling != "layers":
        return pool(model(ids, lengths), lengths, pooling)
    embedded = model.embed(ids)
    means = [pool(state, lengths, "mean") for state in (embedded, *model.states(embedded, lengths))]
    return torch.cat(means, dim=1)


def feature_table(config, pooling, strands):
    """``var``: one row a feature, with its layer (0 is the embedding), its dimension, and the strand it reads."""
    import itertools

    import pandas as pd

    layers = range(config.num_hidden_layers + 1) if pooling == "layers" else [config.num_hidden_layers]
    read = ("forward", "reverse") if strands == "both" else (strands,)
    columns = itertools.product(read, layers, range(config.hidden_size))
    var = pd.DataFrame(columns, columns=["strand", "layer", "dimension"])[["layer", "dimension", "strand"]]
    names = "dnabert2_" + var["dimension"].map("{:03}".format)
    if pooling == "layers":
        names += "_layer" + var["layer"].map("{:02}".format)
    if strands == "both":
        names += " (" + var["strand"] + ")"
    return var.set_index(names.rename("name"))


if __name__ == "__main__":
    run(main, PROG)
