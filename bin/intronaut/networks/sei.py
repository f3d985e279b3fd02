"""Sei (Chen et al. 2022, Nature Genetics 54:940): 21,907 chromatin profiles of a DNA window, and how to run it fast.

``Sei`` is the network as published, layer by layer, differentiable; ``SeiTrunk`` its convolutions alone. ``Runner``
computes the same numbers for feature extraction: the leading pair of convolutions is fused, both strands share one
batch, convolutions run on channel-last rows, bases that are only N padding are not computed again, and of the last
layer only the wanted rows are.

Windows enter as uint8 codes that index a table of four channels (A, C, G, T), so that a base travels as one byte.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from intronaut.core.dna import OTHER, base_codes
from intronaut.io.checkpoints import Checkpoint, open_checkpoint

WINDOW = 4096
SHORTEST = 32
CHANNELS = (480, 640, 960)
OUTPUTS = 21907
SPLINE_FUNCTIONS = 16
POOL = 4
DILATIONS = (2, 4, 8, 16, 25)

# International Union of Pure and Applied Chemistry codes for more than one base; U is T
AMBIGUOUS = {"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
             "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG"}  # fmt: skip
_EXPANDED = np.full(256, OTHER, np.uint8)
for _place, _base in enumerate("ACGT"):
    _EXPANDED[ord(_base)] = _place
_EXPANDED[ord("U")] = 3
for _place, _letter in enumerate(AMBIGUOUS, OTHER + 1):
    _EXPANDED[ord(_letter)] = _place


def encode(sequence: str, expand: bool = False) -> np.ndarray:
    """The codes of an upper-case sequence, uint8 ``(length,)``, for ``channel_table``.

    Every letter but A, C, G, T is a quarter of each base, as in Sei's own encoder; with ``expand``, the letters of
    ``AMBIGUOUS`` are equal parts of the bases they stand for and U is T.
    """
    return _EXPANDED[np.frombuffer(sequence.encode("ascii", "replace"), np.uint8)] if expand else base_codes(sequence)


def channel_table() -> torch.Tensor:
    """What each code is in the channels A, C, G, T: float32 ``(15, 4)``, rows that sum to 1."""
    rows = [*np.eye(4), np.full(4, 0.25)]
    rows += [[(base in bases) / len(bases) for base in "ACGT"] for bases in AMBIGUOUS.values()]
    return torch.tensor(np.array(rows), dtype=torch.float32)


def fit_to_window(codes: np.ndarray, length: int = WINDOW) -> np.ndarray:
    """Centre codes between N (the odd one on the right) or cut their centre, as Selene does; uint8 ``(length,)``."""
    if len(codes) >= length:
        start = (len(codes) - length) // 2
        return codes[start : start + length]
    fitted = np.full(length, OTHER, np.uint8)
    start = (length - len(codes)) // 2
    fitted[start : start + len(codes)] = codes
    return fitted


def tensor_shapes(channels: Sequence[int] = CHANNELS, outputs: int = OUTPUTS) -> dict[str, tuple[int, ...]]:
    """Name → shape of the 38 tensors of a Sei with these widths."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Sei(channels, outputs).state_dict().items()}


def widths(tensors: dict[str, torch.Tensor]) -> tuple[tuple[int, ...], int]:
    """The channels of the three stages and the number of outputs that a checkpoint's shapes say."""
    try:
        channels = tuple(tensors[f"{name}.bias"].shape[0] for name in ("conv1.0", "conv2.1", "conv3.1"))
        return channels, tensors["classifier.2.bias"].shape[0]
    except (KeyError, IndexError):
        return CHANNELS, OUTPUTS  # so that the missing tensors are named against the released layout


def open_sei(path: Path | str) -> tuple[Checkpoint, dict[str, torch.Tensor]]:
    """Open a Sei checkpoint and check its 38 tensors: ``(Checkpoint, name → tensor)``, nothing read but shapes.

    Raises MissingInput and BadData.
    """
    checkpoint = open_checkpoint(path)
    return checkpoint, checkpoint.match(tensor_shapes(*widths(checkpoint.tensors)))


class SeiTrunk(nn.Module):
    """The 17 convolutions of the published network, 34 tensors with the released names."""

    def __init__(self, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        first, second, third = channels
        self.lconv1 = nn.Sequential(_conv(4, first), _conv(first, first))
        self.conv1 = nn.Sequential(_conv(first, first), nn.ReLU(), _conv(first, first), nn.ReLU())
        self.lconv2 = nn.Sequential(nn.MaxPool1d(POOL), nn.Dropout(0.2), _conv(first, second), _conv(second, second))
        self.conv2 = nn.Sequential(nn.Dropout(0.2), _conv(second, second), nn.ReLU(), _conv(second, second), nn.ReLU())
        self.lconv3 = nn.Sequential(nn.MaxPool1d(POOL), nn.Dropout(0.2), _conv(second, third), _conv(third, third))
        self.conv3 = nn.Sequential(nn.Dropout(0.2), _conv(third, third), nn.ReLU(), _conv(third, third), nn.ReLU())
        for number, dilation in enumerate(DILATIONS, 1):
            block = nn.Sequential(nn.Dropout(0.1), _conv(third, third, 5, dilation), nn.ReLU())
            self.add_module(f"dconv{number}", block)

    def trunk(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, 4, length)`` channels → ``(n, c, length // 16)``, what the spline reads."""
        linear = self.lconv1(x)
        linear = self.lconv2(self.conv1(linear) + linear)
        linear = self.lconv3(self.conv2(linear) + linear)
        out = self.conv3(linear)
        # the running sum starts without the linear path that the first dilated block reads
        out = out + self.dconv1(out + linear)
        for block in (self.dconv2, self.dconv3, self.dconv4, self.dconv5):
            out = out + block(out)
        return out

    def spline(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, 4, length)`` → ``(n, 16 c)`` spline features, channel-major."""
        trunk = self.trunk(x)
        return (trunk @ spline_basis(trunk.shape[-1]).to(trunk)).flatten(1)


class Sei(SeiTrunk):
    """The published network; its state dict has the released names. ``forward`` gives probabilities."""

    def __init__(self, channels: Sequence[int] = CHANNELS, outputs: int = OUTPUTS) -> None:
        super().__init__(channels)
        spline = channels[-1] * SPLINE_FUNCTIONS
        self.classifier = nn.Sequential(nn.Linear(spline, outputs), nn.ReLU(), nn.Linear(outputs, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, 4, length)`` → ``(n, outputs)`` probabilities on the strand given."""
        return torch.sigmoid(self.classifier(self.spline(x)))


def _conv(inputs, outputs, width=9, dilation=1):
    return nn.Conv1d(inputs, outputs, width, padding=dilation * (width // 2), dilation=dilation)


def spline_basis(n: int) -> torch.Tensor:
    """Sei's cubic B-spline basis over ``n`` positions: float32 ``(n, 16)``, rows sum to 1, for ``n`` of at least 2.

    12 interior knots at equally spaced percentiles of the positions, end knots four-fold.
    """
    return torch.from_numpy(_spline_basis(n))


# training asks for that of one length at every step
@functools.cache
def _spline_basis(n):
    from scipy.interpolate import BSpline

    x = np.arange(n, dtype=float)
    inner = np.percentile(x, np.linspace(0, 100, SPLINE_FUNCTIONS - 2)[1:-1])
    knots = np.concatenate([[x[0]] * 4, inner, [x[-1]] * 4])
    return BSpline.design_matrix(x, knots, 3).toarray().astype(np.float32)
