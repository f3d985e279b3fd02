"""Features of any sequence, computed as those that a model was fitted on: an embedder reopened from its provenance.

``files`` are what a provenance tells only the digest or the name of: weights, tokenizer, config, targets, projection,
class_names and motifs, each a path or None.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import digest_file
from intronaut.io.fasta import Window
from intronaut.io.h5ad import Features
from intronaut.models.folder import matching_columns
from intronaut.networks.device import compute_halving

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from intronaut.core.log import Log
    from intronaut.features.embed import Embedder
    from intronaut.networks.finetuned import FinetunedNetwork

NETWORK_WINDOWS = 16


def _as_they_are(values):
    return values.astype(float)


def _plain_change(reference, alternative):
    return alternative.astype(float) - reference


@dataclass
class Source:
    """Computes what a model reads of sequences.

    ``compute(sequences)`` gives ``(n, m)`` values; ``features(values)`` the ``(n, d)`` float64 features of the
    embedder's table ``var``, and ``change(reference, alternative)`` by how much they differ for pairs of values, which
    for sequence classes is not their plain difference. ``problem(sequence)`` says why it cannot be read, or None.
    """

    var: pd.DataFrame
    provenance: dict
    compute: Callable
    problem: Callable = lambda sequence: None
    features: Callable = _as_they_are
    change: Callable = _plain_change


def reopen(
    notes: dict[str, Any], files: Any, *, threads: int, device: torch.device, log: Log
) -> tuple[Source, np.ndarray]:
    """``(source, columns)``: the Source of the features that a model's ``notes`` record, and the columns it reads.

    Raises UsageError for files that are lacking, BadData for others than the features were made with and for features
    that no embedder of this package made.
    """
    provenance = notes["features"]
    tool = provenance.get("tool")
    if tool not in _OPEN:
        raise BadData(f"the model's features were made by {tool or 'another tool'}, not by an embed_ tool: "
                      "they cannot be computed from DNA here")  # fmt: skip
    source = _OPEN[tool](provenance, files, threads, device, log)
    given = files.weights or files.motifs or "the embedder"
    columns = matching_columns(notes, Features(Path(given), None, None, source.var, source.provenance))
    return source, columns


def _kmers(provenance, files, threads, device, log):
    from intronaut.features import kmers

    column_of, words = kmers.canonical_kmers(provenance["k"])

    def compute(sequences):
        rows = [kmers.features_of(sequence, provenance["k"], column_of, len(words)) for sequence in sequences]
        return np.array(rows, np.float32)

    return Source(kmers.feature_table(words), provenance, compute)


def _motifs(learnt, files, threads, device, log):
    from threadpoolctl import threadpool_limits

    from intronaut.motifs.motif_files import read_motifs
    from intronaut.motifs.pwm import motifs_of_name
    from intronaut.motifs.trap import Scanner, feature_table

    provenance = dict(learnt)
    if "motifs_sha256" in learnt:
        provenance["motifs_sha256"] = digest_file(_needed(files, "motifs", learnt))
        motifs = read_motifs(files.motifs, left_out=[])
    else:
        motifs = motifs_of_name(learnt["motifs"])
    scanner = Scanner(motifs, learnt["pseudocount"], learnt["background"], learnt.get("strands", 2))
    pool = ThreadPoolExecutor(threads)

    def compute(sequences):
        with threadpool_limits(1):  # as embed_motifs: a window a thread
            return np.array([scores.T.ravel() for scores in pool.map(scanner.scan, sequences)])

    return Source(feature_table(motifs), provenance, compute)


def _sei(provenance, files, threads, device, log):
    from intronaut.features.sei import open_embedder

    options = SimpleNamespace(**provenance | vars(files))
    _needed(files, "weights", provenance)
    if provenance["features"] == "chosen":
        raise BadData("the model reads Sei profiles that a file chose; embed all of them, and fit --feature-groups")
    if provenance["features"] not in ("spline", "trunk"):
        _needed(files, "targets", provenance)
    if provenance["features"] == "seqclass":
        return _sequence_classes(options, _needed(files, "projection", provenance), device, log)
    return _embedder(*open_embedder(options, device, log), log)


def _sequence_classes(options, projection, device, log):
    """Compares the profiles of two alleles as the authors of Sei do, nucleosomes adjusted."""
    from intronaut.features.sei import open_embedder, wanted_features
    from intronaut.features.sei_targets import class_scores, variant_class_scores
    from intronaut.networks.sei import open_sei

    _, tensors = open_sei(options.weights)
    var, _, vectors = wanted_features(options, tensors)
    embedder, profiles, provenance = open_embedder(SimpleNamespace(**vars(options) | {"features": "all"}), device, log)
    histone = (profiles["kind"] == "histone").to_numpy()[: vectors.shape[1]]

    def on_strands(work, *values):
        strands = [np.hsplit(part.astype(float), part.shape[1] // vectors.shape[1]) for part in values]
        return np.hstack([work(*one) for one in zip(*strands, strict=True)])

    source = _embedder(embedder, var, provenance, log)
    source.provenance |= {"features": "seqclass", "projection_sha256": digest_file(projection)}
    source.features = lambda values: on_strands(lambda one: class_scores(one, vectors), values)
    source.change = lambda reference, alternative: on_strands(
        lambda one, other: variant_class_scores(one, other, vectors, histone), reference, alternative
    )
    return source


def _dnabert2(provenance, files, threads, device, log):
    from intronaut.features.dnabert2 import Tally, open_embedder

    for name in ("weights", "tokenizer"):
        _needed(files, name, provenance)
    return _embedder(*open_embedder(SimpleNamespace(**provenance | vars(files)), device, log, Tally()), log)


def _embedder(embedder, var, provenance, log):
    return Source(var, provenance(), in_batches(embedder, log), lambda text: embedder.problem(Window("", text)))


def _needed(files, name, provenance):
    path = getattr(files, name)
    if path is None:
        raise UsageError(f"--{name} is needed: the model's features were made by {provenance['tool']} with one")
    return path


def in_batches(embedder: Embedder, log: Log) -> Callable:
    """The function ``compute(sequences)`` → ``(n, d)`` float32 of an Embedder."""

    def compute(sequences):
        encoded = [embedder.encode(Window("", sequence)) for sequence in sequences]
        size = embedder.size(np.array([len(sequence) for sequence in sequences]))
        values = None
        for batch in embedder.cut([len(item) for item in encoded], size):
            computed = compute_halving(embedder.compute, [encoded[place] for place in batch], log)
            values = np.empty((len(sequences), computed.shape[1]), np.float32) if values is None else values
            values[batch] = computed
        return values

    return compute


_OPEN = {"embed_kmers": _kmers, "embed_motifs": _motifs, "embed_sei": _sei, "embed_dnabert2": _dnabert2}


def source_of_network(model: FinetunedNetwork, log: Log) -> Source:
    """The Source of a FinetunedNetwork; the one value of a window is its logit of retention."""

    def compute(sequences):
        return model.logits(list(map(model.encode, sequences)), size=NETWORK_WINDOWS, log=log)[:, None]

    return Source(None, model.notes["features"], compute)
