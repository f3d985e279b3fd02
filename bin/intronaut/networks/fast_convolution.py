"""Convolutions over channel-last rows, for feature extraction only: nothing here can be differentiated.

A *frame* holds ``(segments, rows, channels)``: every segment's positions between rows that hold what its convolutions
see beyond it. A convolution maps a frame to a frame; ``surround`` sets the outer rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial.polynomial import polyfromroots
from torch.nn import functional as F

# rows on either side of a segment that hold what its convolutions see beyond it: half of the fused width 17
HALO = 8
# rows after the last segment that tiles may read and write
SLACK = 24
# tiles a chunk: its products stay in the cache; at least 16 rows go into every matrix product, because below that
# some BLAS take another path and a row's last bit would depend on its neighbours
TILES = 512
LEAST_ROWS = 16
# outputs of a layer whose filters are transformed together
OUTPUTS_AT_ONCE = 4
# outputs of one tile
TILE = 3
# positions that LayerConv computes are a multiple of this: at other lengths oneDNN can take a path that is four times
# slower, in bfloat16 on AMX
ALIGNED = 16


def minimal_filtering(*points: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The matrices of three outputs of a filter from one product a point: ``y = A ((G taps) * (B x))``.

    The minimal filtering algorithm F(3, taps) (Winograd 1980, Arithmetic Complexity of Computations), by evaluation at
    ``points`` and at infinity: ``p`` points give ``p + 1`` products and ``p - 1`` taps. Points are dyadic, so that the
    float32 ``B`` ``(p + 1, p + 1)`` and ``A`` ``(3, p + 1)`` are exact; ``G`` ``(p + 1, taps)`` is float64.
    """
    n = len(points) + 1
    taps = n + 1 - TILE
    reading, filtering, summing = np.zeros((n, n)), np.zeros((n, taps)), np.zeros((TILE, n))
    reading[-1] = polyfromroots(points)
    filtering[-1, -1] = summing[-1, -1] = 1
    for i, point in enumerate(points):
        others = [other for other in points if other != point]
        reading[i, :-1] = polyfromroots(others)
        filtering[i] = point ** np.arange(taps) / np.prod(np.subtract(point, others))
        summing[:, i] = point ** np.arange(TILE)
    return torch.from_numpy(reading).float(), torch.from_numpy(filtering), torch.from_numpy(summing).float()


# the points of either that lose the fewest digits
BY_THREE_TAPS = minimal_filtering(0.0, 1.0, -1.0, 2.0)
BY_FIVE_TAPS = minimal_filtering(0.0, 1.0, -1.0, 0.5, -0.5, 3.0)


@dataclass
class Region:
    """Positions ``[start, stop)`` of the ``n`` of one stage that have to be computed."""

    start: int
    stop: int
    n: int

    def __len__(self) -> int:
        return self.stop - self.start

    def framed(self, tiled: bool) -> tuple[int, int]:
        """Rows of a frame before the region, and in all, from which four convolutions of width 9 can be computed."""
        if tiled:
            # a position has the same place in its tile always, and there are whole tiles
            left = HALO + (self.start - HALO) % TILE
            return left, -(-(left + len(self) + HALO) // TILE) * TILE
        return HALO, -(-len(self) // ALIGNED) * ALIGNED + ALIGNED + HALO


@dataclass
class Frame:
    """``values`` ``(segments, rows, channels)``, of which ``left`` rows stand before the positions of a region."""

    values: torch.Tensor
    left: int

    def inner(self, region: Region) -> torch.Tensor:
        """The positions of the region."""
        return self.values[:, self.left : self.left + len(region)]

    def surround(self, region: Region, around: torch.Tensor | None = None) -> None:
        """Set the rows outside the region: ``around``, ``(n, c)``, is known there; zeros past the window's ends."""
        before, after = self.values[:, : self.left], self.values[:, self.left + len(region) :]
        before.zero_()
        after.zero_()
        if region.start:
            reach = min(HALO, self.left)
            before[:, self.left - reach :] = around[region.start - reach : region.start]
        if region.stop < region.n:
            reach = min(HALO, after.shape[1])
            after[:, :reach] = around[region.stop : region.stop + reach]


def new_frame(x: torch.Tensor, region: Region, tiled: bool) -> Frame:
    """A frame of ``(segments, len(region), channels)``; the rows outside the region are not set yet."""
    left, rows = region.framed(tiled)
    frame = Frame(empty_rows(len(x), rows, x.shape[2], x), left)
    frame.inner(region)[:] = x
    return frame


def empty_rows(segments: int, rows: int, channels: int, like: torch.Tensor) -> torch.Tensor:
    """Uninitialised ``(segments, rows, channels)``; SLACK zero rows follow it in memory."""
    flat = torch.empty(segments * rows + SLACK, channels, dtype=like.dtype, device=like.device)
    flat[segments * rows :] = 0
    return flat[: segments * rows].view(segments, rows, channels)


def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """``x @ weight.T + bias`` over the last axis, with at least LEAST_ROWS rows."""
    rows = x.reshape(-1, x.shape[-1])
    short = max(0, LEAST_ROWS - len(rows))
    product_rows = F.linear(F.pad(rows, (0, 0, 0, short)), weight, bias)[: len(rows)]
    return product_rows.view(*x.shape[:-1], len(weight))


class TiledConv:
    """A convolution over channel-last rows as matrix products, of which minimal filtering saves about half.

    Three outputs of width 9 take 15 products instead of 27, of width 5 take 7 instead of 15. Maps a frame to one of the
    same rows; the outermost ``width // 2`` rows are left to the caller. Exact but for rounding: Sei's features end
    within 7e-7 of those in double precision.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        outputs, inputs, self.width = weight.shape
        self.read, to_points, self.sum = BY_FIVE_TAPS if self.width == 5 else BY_THREE_TAPS
        self.points, taps = to_points.shape
        self.groups = -(-self.width // taps)
        self.weight = torch.empty(self.points, self.groups, outputs, inputs)
        # some outputs at a time: double-precision copies of a whole layer would be most of what loading takes
        for first in range(0, outputs, OUTPUTS_AT_ONCE):
            part = weight[first : first + OUTPUTS_AT_ONCE]
            padded = torch.zeros(taps * self.groups, *part.shape[:2], dtype=torch.float64)
            padded[: self.width] = part.permute(2, 0, 1)
            transformed = (to_points @ padded.view(self.groups, taps, -1)).view(
                self.groups, self.points, *part.shape[:2]
            )
            self.weight[:, :, first : first + OUTPUTS_AT_ONCE] = transformed.transpose(0, 1)
        self.bias = bias.float()

    def __call__(self, frame: Frame, relu: bool = False) -> Frame:
        x = frame.values
        segments, rows, channels = x.shape
        margin = self.width // 2
        y = empty_rows(segments, rows, len(self.bias), x)
        tiles = -(-(segments * rows - 2 * margin) // TILE)
        for first, last in _chunks(tiles):
            n = last - first
            seen = n + self.groups - 1
            start = x.storage_offset() + TILE * first * channels
            x_tiles = x.as_strided((seen, self.points, channels), (TILE * channels, channels, 1), start)
            factors = torch.bmm(self.read.expand(seen, -1, -1), x_tiles)
            products = torch.empty(n, self.points, len(self.bias))
            for point in range(self.points):
                out = products[:, point]
                torch.mm(factors[:n, point], self.weight[point, 0].T, out=out)
                for group in range(1, self.groups):
                    out.addmm_(factors[group : group + n, point], self.weight[point, group].T)
            start = y.storage_offset() + (margin + TILE * first) * len(self.bias)
            y_tiles = y.as_strided((n, TILE, len(self.bias)), (TILE * len(self.bias), len(self.bias), 1), start)
            torch.bmm(self.sum.expand(n, -1, -1), products, out=y_tiles)
            y_tiles.add_(self.bias)
            if relu:
                y_tiles.relu_()
        return Frame(y, frame.left)


def _chunks(tiles):
    """Cut ``tiles`` into equal chunks of at most TILES, so that no chunk is left with few rows."""
    edges = np.linspace(0, tiles, -(-tiles // TILES) + 1).astype(int)
    return zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)


class NarrowConv:
    """A convolution over few channels as one product: each row beside its neighbours. Frames as of TiledConv."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        self.width = weight.shape[2]
        self.weight = weight.permute(0, 2, 1).flatten(1).float()
        self.bias = bias.float()

    def __call__(self, frame: Frame, relu: bool = False) -> Frame:
        x = frame.values
        segments, rows, channels = x.shape
        margin = self.width // 2
        seen = x.as_strided((segments * rows - 2 * margin, self.width * channels), (channels, 1), x.storage_offset())
        y = empty_rows(segments, rows, len(self.bias), x)
        torch.addmm(self.bias, seen, self.weight.T, out=y.view(-1, len(self.bias))[margin:-margin])
        return Frame(y.relu_() if relu else y, frame.left)


class PhasedConv:
    """A dilated convolution of ``(s, n, c)``: positions that see each other become neighbours for a TiledConv."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dilation: int) -> None:
        self.conv = TiledConv(weight, bias)
        self.dilation = dilation

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        segments, n, channels = x.shape
        phases = [torch.arange(phase, n, self.dilation) for phase in range(min(self.dilation, n))]
        gap = torch.full((self.conv.width // 2,), n)
        order = torch.cat([gap] + [part for phase in phases for part in (phase, gap)])
        order = F.pad(order, (0, -len(order) % TILE), value=n)
        spread = empty_rows(segments, len(order), channels, x)
        spread.copy_(F.pad(x, (0, 0, 0, 1))[:, order])
        place = torch.empty(n, dtype=torch.int64)
        kept = order < n
        place[order[kept]] = torch.arange(len(order))[kept]
        return self.conv(Frame(spread, 0), relu=True).values[:, place]


class LayerConv:
    """A convolution over channel-last rows by the device's own library, for GPUs and for low precision.

    Maps a frame to one that has lost the outermost ``width // 2`` rows, and at its end what is no multiple of ALIGNED.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dilation: int = 1) -> None:
        self.weight = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self.bias = bias
        self.dilation = dilation
        self.margin = dilation * (weight.shape[2] // 2)

    def __call__(self, frame: Frame, relu: bool = False) -> Frame:
        outputs = (frame.values.shape[1] - 2 * self.margin) // ALIGNED * ALIGNED
        y = self.rows(frame.values[:, : outputs + 2 * self.margin])
        return Frame(y.relu_() if relu else y, frame.left - self.margin)

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """``(s, r, c)`` → the ``r`` less twice the margin rows whose neighbours are all there."""
        y = F.conv2d(x.transpose(1, 2).unsqueeze(2), self.weight, self.bias, dilation=(1, self.dilation))
        return y.squeeze(2).transpose(1, 2)


class DilatedLayerConv:
    """A dilated convolution of ``(s, n, c)``, followed by a rectifier, between zeros."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dilation: int) -> None:
        self.conv = LayerConv(weight, bias, dilation)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv.rows(F.pad(x, (0, 0, self.conv.margin, self.conv.margin))).relu_()


class FusedPair:
    """Two convolutions of width 9 with nothing between them as one of width 17, exact to the ends of the window.

    Zero padding of the inner map makes the first and last four outputs differ from the fused ones: those are computed
    by the pair.
    """

    def __init__(self, conv: type, weights: list[list[torch.Tensor]], dtype: torch.dtype) -> None:
        # on the CPU, because not every device has float64; tap by tap, because it is twice as large
        (first, first_bias), (second, second_bias) = [(w.cpu(), b.cpu().double()) for w, b in weights]
        fused = torch.zeros(second.shape[0], first.shape[1], 17, dtype=torch.float64)
        for late in range(9):
            after = second[:, :, late].double()
            for early in range(9):
                fused[:, :, late + early] += after @ first[:, :, early].double()
        fused_bias = second_bias + second.sum(2, dtype=torch.float64) @ first_bias
        self.fused = conv(*(part.to(weights[0][0].device, dtype) for part in (fused, fused_bias)))
        self.pair = [(w.permute(0, 2, 1).flatten(1).to(dtype), b.to(dtype)) for w, b in weights]

    def __call__(self, frame: Frame, region: Region, close: Callable) -> Frame:
        x, y = frame.inner(region), self.fused(frame, relu=False)
        if region.n < 16:
            y.inner(region)[:] = self._ends(x, 4, 4)
            return y
        if region.start == 0:
            y.inner(region)[:, :4] = self._ends(x[:, :12], 4, 0)
        if region.stop == region.n:
            y.inner(region)[:, -4:] = self._ends(x[:, -12:], 0, 4)
        return y

    def _ends(self, x, *padding):
        between = _narrow(F.pad(x, (0, 0, *padding)), *self.pair[0])
        return _narrow(F.pad(between, (0, 0, *padding)), *self.pair[1])


def _narrow(x, weight, bias):
    """A convolution of width 9 without padding, ``(s, r, c)`` → ``(s, r - 8, outputs)``, for few rows."""
    return product(x.unfold(1, 9, 1).transpose(2, 3).flatten(2), weight, bias)


class PlainPair:
    """Two convolutions of width 9 one after the other; ``close`` sets the rows around the map between them."""

    def __init__(self, conv: type, weights: list[list[torch.Tensor]], dtype: torch.dtype) -> None:
        self.convs = [conv(w.to(dtype), b.to(dtype)) for w, b in weights]

    def __call__(self, frame: Frame, region: Region, close: Callable) -> Frame:
        return self.convs[1](close(self.convs[0](frame), "between"))
