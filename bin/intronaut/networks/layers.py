"""Layers that the trainable classifiers share, and low-rank adaptation."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.utils import parametrize

from intronaut.networks import sei

CLASSES = 2


LORA_SCALE = 2.0


class OneHot(nn.Module):
    """Base codes ``(n, length)`` → channels A, C, G, T ``(n, 4, length)``; channels pass, for attributions to reach."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", sei.channel_table(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.dim() == 3 else self.table[x.int()].transpose(1, 2)


class AttentionPool(nn.Module):
    """``(n, c, positions)`` → ``(n, c)``: each channel's mean, weighted by a softmax over positions of W·x.

    W starts as the identity, so that a channel first attends to where it is high.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * (self.weight @ x).softmax(2)).sum(2)


class DilatedResidual(nn.Module):
    """``x`` plus what a dilated convolution of width 3 and one of width 1 make of it, as in Basenji."""

    def __init__(self, channels: int, inner: int, dilation: int) -> None:
        super().__init__()
        wide = _conv(channels, inner, 3, activation=nn.GELU, dilation=dilation)
        self.change = nn.Sequential(*wide, nn.Conv1d(inner, channels, 1), nn.BatchNorm1d(channels), nn.Dropout(0.2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.change(x)


class PositionAttention(nn.Module):
    """Attention between the positions of one window: ``(n, c, positions)`` → the same, added and normalised."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        # batch_first: without it the windows of a batch would attend to each other
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2)
        attended, _ = self.attention(x, x, x, need_weights=False)
        return self.norm(x + attended).transpose(1, 2)


class LargestPosition(nn.Module):
    """``(n, c, positions)`` → ``(n, c)``: the largest value of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(2)


def _conv(inputs, outputs, width, *, activation=nn.ReLU, padded=True, dilation=1):
    conv = nn.Conv1d(inputs, outputs, width, padding=dilation * (width // 2) if padded else 0, dilation=dilation)
    return [conv, nn.BatchNorm1d(outputs), activation()]


def _dense(*widths, dropout):
    layers = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
    return [*layers, nn.Linear(widths[-1], CLASSES)]


class LowRank(nn.Module):
    """``W + s · up · down`` in place of a weight matrix W that stays (LoRA; Hu et al. 2022); at first W itself."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.down = nn.Parameter(torch.empty(rank, inputs))
        self.up = nn.Parameter(torch.zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + LORA_SCALE * (self.up @ self.down)


def add_lora(trunk: nn.Module, rank: int) -> None:
    """Freeze a DNABERT-2 trunk but for a low-rank change to the attention matrices of every layer."""
    trunk.requires_grad_(False)
    for layer in trunk.bert["encoder"]["layer"]:
        for linear in (layer.attention["self"]["Wqkv"], layer.attention["output"]["dense"]):
            parametrize.register_parametrization(linear, "weight", LowRank(linear.weight, rank))


def merge_lora(trunk: nn.Module) -> None:
    """Add the low-rank changes to the matrices, so that the trunk is again the plain network."""
    for module in list(trunk.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
