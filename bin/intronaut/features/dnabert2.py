"""The features that embed_dnabert2 makes of DNABERT-2: which tokens are pooled, on which strands.

``options`` are those of embed_dnabert2: weights, tokenizer, config, pooling, strands, max_tokens, dtype and store.
"""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from intronaut import __version__
from intronaut.core.dna import reverse_complement
from intronaut.core.files import digest_file
from intronaut.features.embed import Embedder, by_total_length
from intronaut.io.checkpoints import BackgroundDigest, open_checkpoint
from intronaut.networks.dnabert2 import Config, Dnabert2, Tokenizer, config_of, load, pack, pool, read_config

if TYPE_CHECKING:
    from intronaut.core.log import Log
    from intronaut.io.fasta import Window

TOOL = "embed_dnabert2"
# on a CPU larger batches are slower; on a GPU they are doubled from the second to the third while they fit
CPU_TOKENS, GPU_TOKENS, MOST_TOKENS = 4096, 16_384, 131_072
# matrix products with fewer rows than this are rounded in another way, so that batch mates would matter
LEAST_TOKENS = 16
MUCH_UNKNOWN = 0.05


def open_embedder(
    options: Namespace, device: torch.device, log: Log, tally: Tally
) -> tuple[Embedder, pd.DataFrame, Callable]:
    """``(embedder, var, provenance)``: the Embedder, its feature table, and a function that gives its provenance.

    ``tally`` counts the tokens computed. Raises MissingInput, and BadData for files that are not those of DNABERT-2.
    """
    checkpoint = open_checkpoint(options.weights)
    digest = BackgroundDigest(checkpoint.path)
    config = read_config(options.config) if options.config else config_of(checkpoint.tensors)
    tokenizer = Tokenizer(options.tokenizer, config.vocab_size)
    model = load(checkpoint, config).compute_in(getattr(torch, options.dtype)).to(device)
    if device.type == "cpu":
        model = pack(model)
    if checkpoint.note:
        log.warn(f"{options.weights}: {checkpoint.note}")
    embedder = Embedder(
        encode=lambda window: tokens_of(window, tokenizer, options.strands, options.max_tokens, tally),
        compute=lambda batch: features_of(batch, model, tokenizer.first, options.pooling, options.strands),
        cut=by_total_length,
        size=lambda lengths: CPU_TOKENS if device.type == "cpu" else GPU_TOKENS,
        most=MOST_TOKENS,
        device=device,
        n_parameters=sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        describe=lambda window: truncation(window, tokenizer, options.strands, options.max_tokens),
    )
    var = feature_table(config, options.pooling, options.strands)
    return embedder, var, lambda: provenance(options, digest, checkpoint.note)


def provenance(options: Namespace, digest: BackgroundDigest, note: str) -> dict[str, Any]:
    """What the features depend on; a run with other values of these starts from the beginning."""
    names = ("pooling", "strands", "max_tokens", "dtype", "store")
    files = {"weights_sha256": digest.hex(), "tokenizer_sha256": digest_file(options.tokenizer)}
    return {"tool": TOOL, "version": __version__, "weights_note": note} | files | {n: vars(options)[n] for n in names}


def tokens_of(window: Window, tokenizer: Tokenizer, strands: str, max_tokens: int | None, tally: Tally) -> np.ndarray:
    """The token ids of a window, int32; of both strands, one after the other, unless only forward is read."""
    read = [tokenizer(sequence, max_tokens) for sequence in sequences_of(window, strands)]
    ids = np.array([token for tokens, _ in read for token in tokens], np.int32)
    tally.tokens += len(ids)
    tally.unknown += int((ids == tokenizer.unknown).sum())
    return ids


def sequences_of(window: Window, strands: str) -> list[str]:
    """What is read of a window: its sequence, and for all but ``forward`` the reverse complement too."""
    return [window.sequence] if strands == "forward" else [window.sequence, reverse_complement(window.sequence)]


def truncation(window: Window, tokenizer: Tokenizer, strands: str, max_tokens: int | None) -> dict[str, Any]:
    """A column of ``obs`` that says whether ``max_tokens`` cuts the window, on either strand that is read."""
    if max_tokens is None:
        return {}
    return {"truncated": int(any(tokenizer(sequence, max_tokens)[1] for sequence in sequences_of(window, strands)))}


@dataclass
class Tally:
    """How many tokens this run computed, and how many of those are unknown."""

    tokens: int = 0
    unknown: int = 0

    def tell(self, log: Log) -> None:
        """Say the share of unknown tokens; as a warning when it is large."""
        if self.tokens:
            share = self.unknown / self.tokens
            say = log.warn if share > MUCH_UNKNOWN else log.note
            say(f"{self.tokens:,} tokens computed, {share:.2%} of them unknown (letters other than A, C, G, T)")


def features_of(batch: list[np.ndarray], model: Dnabert2, first: int, pooling: str, strands: str) -> np.ndarray:
    """``(n, d)`` float32 features of ``n`` windows' token ids, in which each sequence begins with ``first``."""
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


def pool_states(model: Dnabert2, ids: torch.Tensor, lengths: list[int], pooling: str) -> torch.Tensor:
    """One row a sequence of the packed ``ids``: the pooled last state, or the means of all states side by side."""
    if pooling != "layers":
        return pool(model(ids, lengths), lengths, pooling)
    embedded = model.embed(ids)
    means = [pool(state, lengths, "mean") for state in (embedded, *model.states(embedded, lengths))]
    return torch.cat(means, dim=1)


def feature_table(config: Config, pooling: str, strands: str) -> pd.DataFrame:
    """``var``: one row a feature, with its layer (0 is the embedding), its dimension, and the strand it reads."""
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
