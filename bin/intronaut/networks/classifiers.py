"""The sequence classifiers that finetune trains: Sei and DNABERT-2 with new heads, and three networks from scratch.

Each is a trunk, which turns a batch of windows into features, and a head, which turns these into two outputs, spliced
and retained; their difference is the logit of retention. The layouts are those of Daoud & Ben-Hur (2025, PLoS Comput
Biol 21:e1012755). A *spec* is a dict that JSON can hold and that says which network it is: ``network``, ``head``, and
what else the shapes of its tensors depend on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn
from torch.nn.utils import parametrize

from intronaut.core.errors import BadData
from intronaut.core.files import whole_file
from intronaut.io.checkpoints import open_checkpoint
from intronaut.models import LAYOUT
from intronaut.models.folder import read_notes
from intronaut.networks import dnabert2, sei
from intronaut.networks.device import compute_halving
from intronaut.networks.layers import (
    CLASSES,
    AttentionPool,
    DilatedResidual,
    LargestPosition,
    OneHot,
    PositionAttention,
    _conv,
    _dense,
    add_lora,
)

if TYPE_CHECKING:
    from intronaut.core.log import Log
    from intronaut.networks.dnabert2 import Config, Tokenizer

PRETRAINED = ("sei", "dnabert2")
# bases that leave at least one position, for Sei two, after the last pool
SHORTEST = {"sei": sei.SHORTEST, "basset": 6, "basenji": 168, "attentionconv": 14}
HEAD_CHANNELS = 520


class Network(nn.Module):
    """A trunk and a head; ``forward`` gives the logits of retention, float32 ``(n,)``, of a batch."""

    def __init__(
        self,
        spec: dict[str, Any],
        trunk: Dnabert2Features
        | SeiFeatures
        | torch.nn.modules.container.Sequential
        | torch.nn.modules.linear.Identity,
        head: torch.nn.modules.container.Sequential,
    ) -> None:
        super().__init__()
        self.spec, self.trunk, self.head = spec, trunk, head

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        spliced, retained = self.head(self.trunk(batch)).float().unbind(1)
        return retained - spliced

    def on_features(self) -> Network:
        """The same head as a Network of its own, whose batches are features ``(n, …)`` that the trunk has made."""
        return Network(self.spec, nn.Identity(), self.head)


class SeiFeatures(sei.SeiTrunk):
    """Sei up to its spline, ``(n, c, 16)``; the dropout that the published network has between them is left out."""

    def __init__(self, channels: list[int] | tuple[int, int, int]) -> None:
        super().__init__(channels)
        self.one_hot = OneHot()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.spline(self.one_hot(x)).unflatten(1, (-1, sei.SPLINE_FUNCTIONS))


@dataclass
class Tokens:
    """Token ids of several sequences end to end, int64, shortest first; ``place`` is where each was in the batch."""

    ids: torch.Tensor
    lengths: list
    place: torch.Tensor

    def to(self, device: torch.device) -> Tokens:
        """The same on a device."""
        return Tokens(self.ids.to(device), self.lengths, self.place.to(device))


class Dnabert2Features(dnabert2.Dnabert2):
    """One pooled hidden state a sequence, ``(n, width)``: the first token's, or the mean of all tokens."""

    def __init__(self, config: Config, pooling: str) -> None:
        super().__init__(config)
        self.pooling = pooling

    def forward(self, tokens: Tokens) -> torch.Tensor:  # type: ignore[override]  # tokens and lengths in one
        hidden = super().forward(tokens.ids, tokens.lengths)
        return dnabert2.pool(hidden, tokens.lengths, self.pooling)[tokens.place.argsort()]


def _sei(spec):
    channels = spec["channels"][-1]
    if spec["head"] == "linear-probe":
        head = nn.Sequential(nn.Flatten(), nn.Linear(channels * sei.SPLINE_FUNCTIONS, CLASSES))
    else:
        conv = _conv(channels, HEAD_CHANNELS, 3, padded=False)
        head = nn.Sequential(*conv, AttentionPool(HEAD_CHANNELS), *_dense(HEAD_CHANNELS, HEAD_CHANNELS, dropout=0.2))
    return SeiFeatures(spec["channels"]), head


def _dnabert2(spec):
    config = dnabert2.Config(**spec["config"])
    width, probe = config.hidden_size, spec["head"] == "linear-probe"
    # a BERT classifier: the first token's state through one dense layer, weights drawn as BERT draws them
    dense = [] if probe else [nn.Linear(width, width), nn.Tanh(), nn.Dropout(config.hidden_dropout_prob)]
    head = nn.Sequential(*dense, nn.Linear(width, CLASSES))
    for layer in (layer for layer in head if isinstance(layer, nn.Linear)):
        nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
    return Dnabert2Features(config, "mean" if probe else "first"), head


def _basset(spec):
    trunk = nn.Sequential(
        OneHot(),
        *_conv(4, 200, 13), nn.MaxPool1d(6), nn.Dropout(0.2),
        *_conv(200, 100, 5), nn.Dropout(0.2),
        *_conv(100, 50, 8), nn.MaxPool1d(2), nn.Dropout(0.2),
    )  # fmt: skip
    # the convolution of even width makes one position more
    positions = (spec["length"] // 6 + 1) // 2
    return trunk, nn.Sequential(nn.Flatten(), *_dense(50 * positions, 800, 300, dropout=0.4))


def _basenji(spec):
    gelu = {"activation": nn.GELU}
    trunk = nn.Sequential(
        OneHot(),
        *_conv(4, 480, 11, **gelu), *_conv(480, 480, 7, **gelu), nn.MaxPool1d(16, 8), nn.Dropout(0.2),
        *_conv(480, 640, 5, **gelu), *_conv(640, 640, 7, **gelu), nn.MaxPool1d(8, 4), nn.Dropout(0.2),
        *_conv(640, 720, 5, **gelu), *_conv(720, 720, 7, **gelu), nn.MaxPool1d(4, 2), nn.Dropout(0.2),
        *_conv(720, 960, 5, **gelu), *(DilatedResidual(960, 1280, dilation) for dilation in (2, 4, 8)),
    )  # fmt: skip
    head = nn.Sequential(*_conv(960, 1280, 5, **gelu), AttentionPool(1280), *_dense(1280, 2048, dropout=0.2))
    return trunk, head


def _attentionconv(spec):
    trunk = nn.Sequential(
        OneHot(),
        *_conv(4, 480, 13), nn.MaxPool1d(7), nn.Dropout(0.2),
        *_conv(480, 640, 7), nn.Dropout(0.2),
        *_conv(640, 720, 5), nn.MaxPool1d(2), nn.Dropout(0.2),
        PositionAttention(720, 10), LargestPosition(),
    )  # fmt: skip
    return trunk, nn.Sequential(*_dense(720, 2048, 1024, dropout=0.2))


_PARTS = {"sei": _sei, "dnabert2": _dnabert2, "basset": _basset, "basenji": _basenji, "attentionconv": _attentionconv}


def build(spec: dict[str, Any]) -> Network:
    """The Network that ``spec`` says, its weights drawn from torch's current seed."""
    return Network(spec, *_PARTS[spec["network"]](spec))


def start(
    spec: dict[str, Any],
    pretrained: Pretrained | None,
    seed: list[int],
    *,
    frozen: bool = False,
    lora: int | None = None,
) -> Network:
    """A network before training: the trunk as published where there is one, the rest drawn from the seed.

    ``seed`` is a list of whole numbers; ``frozen`` leaves the trunk as it is, ``lora`` is the rank of its changes.
    """
    torch.manual_seed(int(np.random.default_rng(seed).integers(2**62)))
    network = build(spec)
    if pretrained:
        network.trunk.load_state_dict(pretrained.tensors)
    if frozen:
        network.trunk.requires_grad_(False)
    elif lora:
        add_lora(network.trunk, lora)
    return network


def n_parameters(module: Network) -> int:
    """How many numbers of a module training may change."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


@dataclass
class Pretrained:
    """A published trunk: what it adds to the spec, its tensors by name, and what its file says about itself."""

    spec: dict
    tensors: dict
    note: str


def open_pretrained(network: str, path: Path | str) -> Pretrained:
    """Open the checkpoint of Sei or DNABERT-2. Raises MissingInput, and BadData that names every tensor amiss."""
    if network == "sei":
        checkpoint, tensors = sei.open_sei(path)
        channels, _ = sei.widths(tensors)
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
        spec: dict[str, Any] = {"channels": list(channels)}
    else:
        checkpoint = open_checkpoint(path)
        config = dnabert2.config_of(checkpoint.tensors)
        tensors = checkpoint.match(dnabert2.tensor_shapes(config), unused=dnabert2.UNUSED)
        spec = {"config": asdict(config)}
    checkpoint.require_finite(tensors)
    return Pretrained(spec, tensors, checkpoint.note)


@dataclass
class Reader:
    """How a network reads: ``encode(sequence)`` gives an array, ``collate(arrays)`` what the network takes.

    ``tokenizer`` is that of a network that reads tokens.
    """

    encode: Callable
    collate: Callable
    tokenizer: dnabert2.Tokenizer | None = None


def base_reader(length: int) -> Reader:
    """Base codes, each sequence centred between N or cut to its centre: uint8 ``(length,)``, ``(n, length)``."""
    return Reader(
        lambda sequence: sei.fit_to_window(sei.encode(sequence), length), lambda rows: torch.from_numpy(np.stack(rows))
    )


def token_reader(tokenizer: Tokenizer | None, max_tokens: int | None = None) -> Reader:
    """Token ids, int32, and Tokens of several sequences; ``max_tokens`` cuts the right end of a long one."""

    def pack(rows):
        place = np.argsort([len(row) for row in rows], kind="stable")
        ids = torch.from_numpy(np.concatenate([rows[at] for at in place])).long()
        return Tokens(ids, [len(rows[at]) for at in place], torch.from_numpy(place))

    return Reader(lambda sequence: np.array(tokenizer(sequence, max_tokens)[0], np.int32), pack, tokenizer)


def reader_of(notes: dict[str, Any], folder: Path | str) -> Reader:
    """The Reader of a network as it was trained: what model.json says, and tokenizer.json of its folder."""
    if notes["spec"]["network"] != "dnabert2":
        return base_reader(notes["spec"]["length"])
    tokenizer = dnabert2.Tokenizer(Path(folder) / "tokenizer.json", notes["spec"]["config"]["vocab_size"])
    return token_reader(tokenizer, notes["max_tokens"])


def length_problem(notes: dict[str, Any], length: int) -> str | None:
    """Why a network cannot judge a window of so many bases, or None: it was trained on windows of other lengths."""
    shortest, longest = notes["window_lengths"]
    if notes["padded_or_cut_to"] or shortest <= length <= longest:
        return None
    trained = f"{shortest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    return f"has {length:,} bases; the network was trained on windows of {trained}"


def precision(device: torch.device, dtype: str) -> AbstractContextManager:
    """A context in which matrix products and convolutions run in ``dtype``, the rest in float32."""
    return nullcontext() if dtype == "float32" else torch.autocast(device.type, getattr(torch, dtype))


def predict(
    network: Network, collate: Callable, strands: list[list[np.ndarray]], *, size: int, dtype: str = "float32", log: Log
) -> np.ndarray:
    """Logits of retention, float64 ``(n,)``: of each window the mean over the strands that are read.

    ``strands`` holds a list of ``n`` encoded windows for each strand; ``size`` of them are computed at once, fewer
    where memory does not hold them. Raises TryAgain when it does not hold one.
    """
    device = next(network.parameters()).device
    network.eval()

    def compute(rows):
        with torch.inference_mode(), precision(device, dtype), parametrize.cached():
            return network(collate(rows).to(device)).double().cpu().numpy()

    def along(rows):
        batches = (rows[first : first + size] for first in range(0, len(rows), size))
        return np.concatenate([np.empty(0), *(compute_halving(compute, few, log) for few in batches)])

    return np.mean([along(rows) for rows in strands], axis=0)


def write_network(folder: Path, notes: dict[str, Any], network: Network) -> None:
    """Write model.json, which holds ``notes`` and the spec, and weights.safetensors into a folder."""
    notes = notes | {"layout": LAYOUT, "tool": "finetune", "classes": ["spliced", "retained"], "spec": network.spec}
    with whole_file(Path(folder) / "model.json") as out:
        json.dump(notes, out, indent=1, sort_keys=True, ensure_ascii=False)
        out.write("\n")
    with whole_file(Path(folder) / "weights.safetensors", "wb") as out:
        out.write(save({name: tensor.contiguous() for name, tensor in _trained(network).items()}))


def _trained(network):
    """All tensors of a network but BatchNorm's counters, which nothing reads."""
    return {name: tensor.cpu() for name, tensor in network.state_dict().items() if tensor.is_floating_point()}


def read_network(folder: Path | str) -> tuple[Network, dict[str, Any]]:
    """``(network, notes)`` of a model folder of finetune, ready to predict.

    Raises MissingInput, and BadData for a folder of another tool or weights that are not those of model.json.
    """
    notes = read_notes(folder)
    if notes.get("tool") != "finetune":
        raise BadData(f"{folder}: a model of {notes.get('tool', 'another tool')}, not of finetune")
    network = build(notes["spec"])
    checkpoint = open_checkpoint(Path(folder) / "weights.safetensors")
    tensors = checkpoint.match({name: tensor.shape for name, tensor in _trained(network).items()})
    network.load_state_dict(tensors, strict=False)
    return network.eval(), notes
