"""The features that embed_sei makes of Sei: which outputs, in which context, on which strands.

``options`` are those of embed_sei: weights, targets, projection, class_names, context, strands, features, iupac, dtype
and store.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from intronaut import __version__
from intronaut.core.errors import Problems
from intronaut.core.files import digest_file
from intronaut.features.embed import Embedder, by_equal_length
from intronaut.features.sei_targets import KINDS, class_scores, read_class_names, read_class_vectors, read_targets
from intronaut.io.checkpoints import BackgroundDigest, Checkpoint
from intronaut.io.text import numbered_lines
from intronaut.networks.sei import SHORTEST, SPLINE_FUNCTIONS, WINDOW, encode, fit_to_window, open_sei
from intronaut.networks.sei_inference import Head, Runner

if TYPE_CHECKING:
    from intronaut.core.log import Log
    from intronaut.io.fasta import Window

TOOL = "embed_sei"
KEYWORDS = ("all", *KINDS, "logits", "seqclass", "spline", "trunk")
STRANDS = {"mean": ("+", "-"), "forward": ("+",), "both": ("+", "-")}
# windows in a batch on a CPU at most, and bases without a head, whose 3 GB of weights are read once for every batch; on
# a GPU windows are doubled while they fit
CPU_WINDOWS, CPU_BASES, GPU_WINDOWS, MOST_WINDOWS = 32, 2 * WINDOW, 32, 512
# bases that go through the trunk together on a CPU
TRUNK_BASES = 8 * WINDOW
# in npad, windows are first padded to a multiple of this, so that windows of similar length share a batch
PADDED_TO = 32


def open_embedder(options: Namespace, device: torch.device, log: Log) -> tuple[Embedder, pd.DataFrame, Callable]:
    """``(embedder, var, provenance)``: the Embedder, its feature table, and a function that gives its provenance.

    Raises MissingInput, and BadData for files that are not those of Sei.
    """
    checkpoint, tensors = open_sei(options.weights)
    digest = BackgroundDigest(checkpoint.path)
    var, rows, vectors = wanted_features(options, tensors)
    model = Model(options, checkpoint, tensors, rows, vectors, device, getattr(torch, options.dtype))
    if checkpoint.note:
        log.warn(f"{options.weights}: {checkpoint.note}")
    embedder = Embedder(
        encode=lambda window: codes_of(window, options),
        compute=model.features_of,
        cut=by_equal_length,
        size=lambda lengths: GPU_WINDOWS if device.type != "cpu" else cpu_windows(lengths, model.head is not None),
        most=MOST_WINDOWS,
        device=device,
        n_parameters=sum(tensor.numel() for tensor in tensors.values()),
        problem=lambda window: problem_with(window, options.context),
    )
    return embedder, var, lambda: provenance(options, digest, checkpoint.note)


def wanted_features(
    options: Namespace, tensors: dict[str, torch.Tensor]
) -> tuple[pd.DataFrame, np.ndarray | list[int] | None, np.ndarray | None]:
    """``(var, rows, vectors)``: the feature table, places of the wanted profiles (None: all), class vectors or None."""
    channels, outputs = len(tensors["dconv5.1.bias"]), len(tensors["classifier.2.bias"])
    rows = vectors = None
    if options.features == "trunk":
        var = pd.DataFrame({"channel": np.arange(channels)})
        var.index = [f"trunk_{channel:03}" for channel in var["channel"]]
    elif options.features == "spline":
        channel, function = np.divmod(np.arange(channels * SPLINE_FUNCTIONS), SPLINE_FUNCTIONS)
        var = pd.DataFrame({"channel": channel, "function": function})
        var.index = [f"spline_{c:03}_{f:02}" for c, f in zip(channel, function, strict=True)]
    elif options.features == "seqclass":
        vectors = read_class_vectors(options.projection, outputs)
        var = pd.DataFrame(index=read_class_names(options.class_names, len(vectors)))
    else:
        var = read_targets(options.targets, outputs)
        if options.features in KINDS:
            rows = np.flatnonzero(var["kind"] == options.features)
        elif options.features not in KEYWORDS:
            rows = named_rows(options.features, var.index, options.targets)
        var = var if rows is None else var.iloc[rows]
    if "kind" not in var:
        var["kind"] = options.features
    return read_on(var, options.strands), rows, vectors


def named_rows(path: Path | str, names: pd.Index, source: str) -> list[int]:
    """The places of the profiles that the lines of a file name, increasing. Raises BadData for unknown names."""
    problems, rows = Problems(path), set()
    for number, line in numbered_lines(path):
        if line.strip() in names:
            rows.add(names.get_loc(line.strip()))
        elif line.strip():
            problems.add(f"{line.strip()!r} is not in {source}", number)
    if not rows and not problems.count:
        problems.add("no names")
    problems.raise_if_any()
    return sorted(rows)


def read_on(var: pd.DataFrame, strands: str) -> pd.DataFrame:
    """``var`` with the strand each feature reads; with both, every feature twice."""
    if strands != "both":
        return var.assign(strand=strands)
    twice = [var.set_axis(var.index + f" ({strand})").assign(strand=strand) for strand in ("forward", "reverse")]
    return pd.concat(twice)


class Model:
    """Codes of windows in, the features asked for out."""

    def __init__(
        self,
        options: Namespace,
        checkpoint: Checkpoint,
        tensors: dict[str, torch.Tensor],
        rows: np.ndarray | list[int] | None,
        vectors: np.ndarray | None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.options, self.vectors, self.device = options, vectors, device
        checkpoint.require_finite({n: tensor for n, tensor in tensors.items() if not n.startswith("classifier")})
        self.runner = Runner(tensors, device, dtype)
        self.head = None
        if options.features not in ("trunk", "spline"):
            self.head = Head(tensors, rows, device)
            checkpoint.require_finite(self.head.tensors())

    def features_of(self, batch: list[np.ndarray]) -> np.ndarray:
        """``(n, d)`` float32 features of a list of ``n`` arrays of codes of one length."""
        codes = torch.from_numpy(np.stack(batch))
        padding = 0
        if self.options.context == "npad":
            codes, padding = pad_to_window(codes)
        if self.device.type == "cuda":
            codes = codes.pin_memory()
        strands = STRANDS[self.options.strands]
        features = self.on_strands(codes, strands, padding).unflatten(0, (len(strands), -1))
        features = torch.cat(list(features), 1) if self.options.strands == "both" else features.mean(0)
        return features.float().cpu().numpy()

    def on_strands(self, codes: torch.Tensor, strands: tuple[str, ...], padding: int) -> torch.Tensor:
        """``(strands · n, d)`` features."""
        at_once = len(codes) if self.device.type != "cpu" else max(1, TRUNK_BASES // codes.shape[1])
        parts = [self.without_head(part, strands, padding) for part in codes.split(at_once)]
        values = torch.cat([part.unflatten(0, (len(strands), -1)) for part in parts], 1).flatten(0, 1)
        if self.head is None:
            return values
        logits = self.head.logits(values)
        if self.options.features == "logits":
            return logits
        profiles = torch.sigmoid(logits)
        if self.options.features != "seqclass":
            return profiles
        return torch.from_numpy(class_scores(profiles.cpu().double().numpy(), self.vectors))

    def without_head(self, codes: torch.Tensor, strands: tuple[str, ...], padding: int) -> torch.Tensor:
        """``(strands · n, d)`` mean of the trunk, or spline features, which the head reads too."""
        trunk = self.runner.trunk(codes, strands, padding)
        return trunk.float().mean(1) if self.options.features == "trunk" else self.runner.spline(trunk)


def pad_to_window(codes: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Codes between N up to Sei's window, and how many N there are at least on either side."""
    padded = np.stack([fit_to_window(row) for row in codes.numpy()])
    return torch.from_numpy(padded), (WINDOW - codes.shape[1]) // 2


def codes_of(window: Window, options: Namespace) -> np.ndarray:
    """The codes of a window, uint8, cut or padded as --context says."""
    codes = encode(window.sequence, options.iupac == "expand")
    if options.context == "native":
        return codes
    return fit_to_window(codes, min(WINDOW, -(-len(codes) // PADDED_TO) * PADDED_TO))


def problem_with(window: Window, context: str) -> str | None:
    """Why a window cannot be embedded, or None."""
    n = len(window.sequence)
    if context == "genome" and n < WINDOW:
        return (
            f"has {n:,} bp, --context genome needs {WINDOW:,}: use fetch_sequences --length {WINDOW}, or --context npad"
        )
    if context == "native" and n < SHORTEST:
        return f"has {n} bp, --context native needs {SHORTEST}: use --context npad"
    return None


def cpu_windows(lengths: np.ndarray, with_head: bool) -> int:
    """Windows in a batch on a CPU."""
    return CPU_WINDOWS if with_head else max(1, min(CPU_WINDOWS, CPU_BASES // int(lengths.max())))


def provenance(options: Namespace, digest: BackgroundDigest, note: str) -> dict[str, str]:
    """What the features depend on; a run with other values of these starts from the beginning."""
    names = ("context", "strands", "iupac", "dtype", "store")
    files = {"weights_sha256": digest.hex()}
    if options.projection and options.features == "seqclass":
        files["projection_sha256"] = digest_file(options.projection)
    features = options.features if options.features in KEYWORDS else "chosen"
    record = {"tool": TOOL, "version": __version__, "weights_note": note, "features": features}
    return record | files | {name: vars(options)[name] for name in names}
