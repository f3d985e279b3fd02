"""Sei for inference only: windows in, chromatin profiles out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from intronaut.core.dna import OTHER
from intronaut.io.checkpoints import let_go
from intronaut.networks.fast_convolution import (
    HALO,
    LEAST_ROWS,
    TILE,
    DilatedLayerConv,
    FusedPair,
    LayerConv,
    NarrowConv,
    PhasedConv,
    PlainPair,
    Region,
    TiledConv,
    new_frame,
    product,
)
from intronaut.networks.sei import DILATIONS, POOL, channel_table, spline_basis

if TYPE_CHECKING:
    import numpy as np

# of each stage, the two convolutions with nothing between them and the two with rectifiers
STAGES = (
    (("lconv1.0", "lconv1.1"), ("conv1.0", "conv1.2")),
    (("lconv2.2", "lconv2.3"), ("conv2.1", "conv2.3")),
    (("lconv3.2", "lconv3.3"), ("conv3.1", "conv3.3")),
)


# channels from which tiles are faster than the library's convolution
TILED_FROM = 128


# positions that go through the widest stage together on a CPU
ROWS_AT_ONCE = 4096


class Runner:
    """Sei's trunk and spline, for feature extraction: codes in, features out, nothing to differentiate.

    On a CPU in float32 the convolutions are TiledConvs (unless they are narrow); elsewhere the device's own.
    ``dtype`` is that of the convolutions and their sums; the spline is float32.
    """

    def __init__(
        self,
        tensors: dict[str, torch.Tensor],
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        tiled: bool | None = None,
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        if tiled is None:
            wide = len(tensors["conv1.0.bias"]) >= TILED_FROM
            tiled = dtype == torch.float32 and self.device.type == "cpu" and wide
        self.tiled = tiled
        self.table = channel_table().to(self.device, dtype)
        conv, narrow = (TiledConv, NarrowConv) if tiled else (LayerConv, LayerConv)

        def weights(name):
            return [tensors[f"{name}.{part}"].to(self.device) for part in ("weight", "bias")]

        def converted(name, kind, *more):
            conv = kind(*(part.to(dtype) for part in weights(name)), *more)
            let_go(tensors[f"{name}.weight"])
            return conv

        def paired(kind, conv, *names):
            pair = kind(conv, [weights(name) for name in names], dtype)
            for name in names:
                let_go(tensors[f"{name}.weight"])
            return pair

        def stage(number):
            pair, convs = STAGES[number]
            # past the first pair, fusing saves little over tiles and would cost memory and time to load
            kind = PlainPair if number and tiled else FusedPair
            return paired(kind, conv if number else narrow, *pair), [converted(name, conv) for name in convs]

        # the widest layers first: once most filters are in memory, little is mapped beside them
        self.dilated = [
            converted(f"dconv{number}.1", PhasedConv if tiled else DilatedLayerConv, dilation)
            for number, dilation in enumerate(DILATIONS, 1)
        ]
        self.stages = [stage(number) for number in (2, 1, 0)][::-1]
        self._responses = {}
        self._bases = {}

    @torch.inference_mode()
    def trunk(
        self, codes: np.ndarray | torch.Tensor, strands: Sequence[str] = ("+", "-"), padding: int = 0
    ) -> torch.Tensor:
        """``(n, length)`` uint8 codes → ``(strands · n, length // 16, c)``, all windows on "+" first.

        The first and last ``padding`` codes of every window are N by the caller's word: what they alone determine is
        taken from the response to a window of N.
        """
        codes = torch.as_tensor(codes)
        windows = len(codes)
        codes = F.pad(codes, (0, 0, 0, self._too_few(codes, strands))).to(self.device, non_blocking=True)
        complement = self.table.flip(1)
        read = {"+": lambda: self.table[codes.int()], "-": lambda: complement[codes.flip(1).int()]}
        x = torch.cat([read[strand]() for strand in strands])
        length = x.shape[1]
        region = Region(padding, length - padding, length)
        maps = self._stages(x[:, padding : length - padding], region, self._response(length) if padding else None)
        return self._dilate(*maps).unflatten(0, (len(strands), -1))[:, :windows].flatten(0, 1)

    @staticmethod
    def _too_few(codes, strands):
        """Windows to add so that every matrix product has LEAST_ROWS rows."""
        positions = len(strands) * max(1, codes.shape[1] // POOL**2)
        return max(0, -(-TILE * LEAST_ROWS // positions) - len(codes))

    def _response(self, length):
        """What every stage makes of a window of N, on one strand: the other strand's is the same."""
        if length not in self._responses:
            x = self.table[torch.full((1, length), OTHER, device=self.device)]
            response, region = [], Region(0, length, length)
            for stage in range(3):
                maps = self._stage(stage, x, region, None)
                response.append({key: y[0].clone() for key, y in maps.items()})
                x, region = _pool(maps), _pooled(region)
            self._responses[length] = response
        return self._responses[length]

    def _stages(self, x, region, response):
        """The three stages: ``(linear path, convolved)``, both ``(s, n, c)``, of the last."""
        for stage in range(2):
            reached, quiet = (_reached(region), response[stage]) if response else (region, None)
            parts = x.split(self._segments_at_once(len(reached), len(x)))
            x = torch.cat([
                _pool(self._stage(stage, _widened(part, region, reached, quiet), reached, quiet)) for part in parts
            ])  # fmt: skip
            region = _pooled(reached)
        reached, quiet = (_reached(region), response[2]) if response else (region, None)
        maps = self._stage(2, _widened(x, region, reached, quiet), reached, quiet)
        everywhere = Region(0, region.n, region.n)
        return [
            _widened(maps[key], reached, everywhere, quiet and {"in": quiet[key]}) for key in ("linear", "out")
        ]  # fmt: skip

    def _segments_at_once(self, length, segments):
        if self.device.type != "cpu":
            return segments
        parts = -(-segments * length // ROWS_AT_ONCE)
        return -(-segments // parts)

    def _stage(self, stage, x, region, quiet):
        """All maps of one stage on a region: ``in``, ``between`` (unless fused), ``linear``, ``first``, ``out``."""
        maps = {}

        def close(frame, key):
            frame.surround(region, quiet and quiet[key])
            maps[key] = frame.inner(region)
            return frame

        pair, (first, second) = self.stages[stage]
        linear = pair(close(new_frame(x, region, self.tiled), "in"), region, close)
        if not self.tiled:
            linear = new_frame(linear.inner(region), region, self.tiled)
        first_map = close(first(close(linear, "linear"), relu=True), "first")
        maps["out"] = second(first_map, relu=True).inner(region)
        return maps

    def _dilate(self, linear, out):
        out = out + self.dilated[0](out + linear)
        for conv in self.dilated[1:]:
            out = out + conv(out)
        return out

    @torch.inference_mode()
    def spline(self, trunk: torch.Tensor) -> torch.Tensor:
        """``(s, n, c)`` → float32 ``(s, 16 c)`` spline features, channel-major."""
        n = trunk.shape[1]
        if n not in self._bases:
            self._bases[n] = spline_basis(n).to(self.device)
        return (trunk.float().transpose(1, 2) @ self._bases[n]).flatten(1)


def _reached(region):
    """What a stage's four convolutions of width 9 can change of a region, rounded out to whole pools.

    An end closer to the window's than HALO is moved there, so that the rows around a region are all padding or all
    outside the window.
    """
    start = max(0, region.start - 4 * (9 // 2)) // POOL * POOL
    stop = -(-(region.stop + 4 * (9 // 2)) // POOL) * POOL
    return Region(start if start >= HALO else 0, stop if stop <= region.n - HALO else region.n, region.n)


def _pooled(region):
    """The region of the next stage."""
    return Region(region.start // POOL, region.stop // POOL, region.n // POOL)


def _pool(maps):
    """The largest of every four rows of the stage's sum; rows that fill no pool are left out."""
    y = maps["out"] + maps["linear"]
    segments, rows, channels = y.shape
    return y[:, : rows // POOL * POOL].reshape(segments, rows // POOL, POOL, channels).amax(2)


def _widened(x, region, wider, quiet):
    """``(s, len(region), c)`` with the response to N around it, up to ``(s, len(wider), c)``."""
    if len(wider) == len(region):
        return x
    widened = quiet["in"][wider.start : wider.stop].repeat(len(x), 1, 1)
    widened[:, region.start - wider.start : region.stop - wider.start] = x
    return widened


class Head:
    """The two dense layers, float32, for the wanted outputs only."""

    def __init__(
        self,
        tensors: dict[str, torch.Tensor],
        rows: np.ndarray | list[int] | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        """``rows`` are the places of the wanted outputs, increasing; None is all."""
        second, bias = tensors["classifier.2.weight"], tensors["classifier.2.bias"]
        if rows is not None:
            second, bias = second[rows], bias[rows]
        self.layers = [
            [part.to(device, torch.float32) for part in layer]
            for layer in ((tensors["classifier.0.weight"], tensors["classifier.0.bias"]), (second, bias))
        ]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Name → tensor of what is in use."""
        return {
            f"classifier.{place}.{part}": tensor
            for place, layer in zip((0, 2), self.layers, strict=True)
            for part, tensor in zip(("weight", "bias"), layer, strict=True)
        }

    @torch.inference_mode()
    def logits(self, spline: torch.Tensor) -> torch.Tensor:
        """``(s, 16 c)`` spline features → ``(s, wanted)`` logits."""
        return product(product(spline, *self.layers[0]).relu_(), *self.layers[1])
