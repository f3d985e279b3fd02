"""Sei (Chen et al. 2022, Nature Genetics 54:940): 21,907 chromatin profiles of a DNA window, and how to run it fast.

``Sei`` is the network as published, layer by layer, differentiable; ``SeiTrunk`` its convolutions alone. ``Runner``
computes the same numbers for feature extraction: the leading pair of convolutions is fused, both strands share one
batch, convolutions run on channel-last rows, bases that are only N padding are not computed again, and of the last
layer only the wanted rows are.

Windows enter as uint8 codes that index a table of four channels (A, C, G, T), so that a base travels as one byte.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from intronaut.convolution import (
    HALO,
    LEAST_ROWS,
    TILE,
    FusedPair,
    LayerConv,
    NarrowConv,
    PhasedConv,
    PlainPair,
    Region,
    TiledConv,
    inner,
    new_frame,
    product,
    surround,
)
from intronaut.seqio import OTHER, base_codes
from intronaut.weights import let_go, open_checkpoint

WINDOW = 4096
SHORTEST = 32
CHANNELS = (480, 640, 960)
OUTPUTS = 21907
SPLINE_FUNCTIONS = 16
POOL = 4
DILATIONS = (2, 4, 8, 16, 25)
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

# International Union of Pure and Applied Chemistry codes for more than one base; U is T
AMBIGUOUS = {"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
             "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG"}  # fmt: skip
_EXPANDED = np.full(256, OTHER, np.uint8)
for _place, _base in enumerate("ACGT"):
    _EXPANDED[ord(_base)] = _place
_EXPANDED[ord("U")] = 3
for _place, _letter in enumerate(AMBIGUOUS, OTHER + 1):
    _EXPANDED[ord(_letter)] = _place


def encode(sequence, expand=False):
    """The codes of an upper-case sequence, uint8 ``(length,)``, for ``channel_table``.

    Every letter but A, C, G, T is a quarter of each base, as in Sei's own encoder; with ``expand``, the letters of
    ``AMBIGUOUS`` are equal parts of the bases they stand for and U is T.
    """
    return _EXPANDED[np.frombuffer(sequence.encode("ascii", "replace"), np.uint8)] if expand else base_codes(sequence)


def channel_table():
    """What each code is in the channels A, C, G, T: float32 ``(15, 4)``, rows that sum to 1."""
    rows = [*np.eye(4), np.full(4, 0.25)]
    rows += [[(base in bases) / len(bases) for base in "ACGT"] for bases in AMBIGUOUS.values()]
    return torch.tensor(np.array(rows), dtype=torch.float32)


def fit_to_window(codes, length=WINDOW):
    """Centre codes between N (the odd one on the right) or cut their centre, as Selene does; uint8 ``(length,)``."""
    if len(codes) >= length:
        start = (len(codes) - length) // 2
        return codes[start : start + length]
    fitted = np.full(length, OTHER, np.uint8)
    start = (length - len(codes)) // 2
    fitted[start : start + len(codes)] = codes
    return fitted


def tensor_shapes(channels=CHANNELS, outputs=OUTPUTS):
    """Name → shape of the 38 tensors of a Sei with these widths."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Sei(channels, outputs).state_dict().items()}


def widths(tensors):
    """The channels of the three stages and the number of outputs that a checkpoint's shapes say."""
    try:
        channels = tuple(tensors[f"{name}.bias"].shape[0] for name in ("conv1.0", "conv2.1", "conv3.1"))
        return channels, tensors["classifier.2.bias"].shape[0]
    except (KeyError, IndexError):
        return CHANNELS, OUTPUTS  # so that the missing tensors are named against the released layout


def open_sei(path):
    """Open a Sei checkpoint and check its 38 tensors: ``(Checkpoint, name → tensor)``, nothing read but shapes.

    Raises MissingInput and BadData.
    """
    checkpoint = open_checkpoint(path)
    return checkpoint, checkpoint.match(tensor_shapes(*widths(checkpoint.tensors)))


class SeiTrunk(nn.Module):
    """The 17 convolutions of the published network, 34 tensors with the released names."""

    def __init__(self, channels=CHANNELS):
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

    def trunk(self, x):
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

    def spline(self, x):
        """``(n, 4, length)`` → ``(n, 16 c)`` spline features, channel-major."""
        trunk = self.trunk(x)
        return (trunk @ spline_basis(trunk.shape[-1]).to(trunk)).flatten(1)


class Sei(SeiTrunk):
    """The published network; its state dict has the released names. ``forward`` gives probabilities."""

    def __init__(self, channels=CHANNELS, outputs=OUTPUTS):
        super().__init__(channels)
        spline = channels[-1] * SPLINE_FUNCTIONS
        self.classifier = nn.Sequential(nn.Linear(spline, outputs), nn.ReLU(), nn.Linear(outputs, outputs))

    def forward(self, x):
        """``(n, 4, length)`` → ``(n, outputs)`` probabilities on the strand given."""
        return torch.sigmoid(self.classifier(self.spline(x)))


def _conv(inputs, outputs, width=9, dilation=1):
    return nn.Conv1d(inputs, outputs, width, padding=dilation * (width // 2), dilation=dilation)


def spline_basis(n):
    """Sei's cubic B-spline basis over ``n`` positions: float32 ``(n, 16)``, rows sum to 1, for ``n`` of at least 2.

    12 interior knots at equally spaced percentiles of the positions, end knots four-fold.
    """
    from scipy.interpolate import BSpline

    x = np.arange(n, dtype=float)
    inner = np.percentile(x, np.linspace(0, 100, SPLINE_FUNCTIONS - 2)[1:-1])
    knots = np.concatenate([[x[0]] * 4, inner, [x[-1]] * 4])
    return torch.from_numpy(BSpline.design_matrix(x, knots, 3).toarray()).float()


class Runner:
    """Sei's trunk and spline, for feature extraction: codes in, features out, nothing to differentiate.

    On a CPU in float32 the convolutions are TiledConvs (unless they are narrow); elsewhere the device's own.
    ``dtype`` is that of the convolutions and their sums; the spline is float32.
    """

    def __init__(self, tensors, device="cpu", dtype=torch.float32, tiled=None):
        self.device, self.dtype = torch.device(device), dtype
        if tiled is None:
            wide = len(tensors["conv1.0.bias"]) >= TILED_FROM
            tiled = dtype == torch.float32 and self.device.type == "cpu" and wide
        self.table = channel_table().to(self.device, dtype)
        conv, narrow = (TiledConv, NarrowConv) if tiled else (LayerConv, LayerConv)

        def weights(name):
            return [tensors[f"{name}.{part}"].to(self.device) for part in ("weight", "bias")]

        def made(name, kind, *more):
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
            return paired(kind, conv if number else narrow, *pair), [made(name, conv) for name in convs]

        # the widest layers first: once most filters are in memory, little is mapped beside them
        self.dilated = [
            made(f"dconv{number}.1", PhasedConv if tiled else LayerConv, dilation)
            for number, dilation in enumerate(DILATIONS, 1)
        ]
        self.stages = [stage(number) for number in (2, 1, 0)][::-1]
        self._responses = {}
        self._bases = {}

    @torch.inference_mode()
    def trunk(self, codes, strands=("+", "-"), padding=0):
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

        def close(framed, key):
            surround(framed, region, quiet and quiet[key])
            maps[key] = inner(framed, region)
            return framed

        frame = new_frame(len(x), region.rows, x.shape[2], x)
        inner(frame, region)[:] = x
        pair, (first, second) = self.stages[stage]
        linear = close(pair(close(frame, "in"), region, close), "linear")
        maps["out"] = inner(second(close(first(linear, relu=True), "first"), relu=True), region)
        return maps

    def _dilate(self, linear, out):
        out = out + self.dilated[0](out + linear)
        for conv in self.dilated[1:]:
            out = out + conv(out)
        return out

    @torch.inference_mode()
    def spline(self, trunk):
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
    made = quiet["in"][wider.start : wider.stop].repeat(len(x), 1, 1)
    made[:, region.start - wider.start : region.stop - wider.start] = x
    return made


class Head:
    """The two dense layers, float32, for the wanted outputs only."""

    def __init__(self, tensors, rows=None, device="cpu"):
        """``rows`` are the places of the wanted outputs, increasing; None is all."""
        second, bias = tensors["classifier.2.weight"], tensors["classifier.2.bias"]
        if rows is not None:
            second, bias = second[rows], bias[rows]
        self.layers = [
            [part.to(device, torch.float32) for part in layer]
            for layer in ((tensors["classifier.0.weight"], tensors["classifier.0.bias"]), (second, bias))
        ]

    def tensors(self):
        """Name → tensor of what is in use."""
        return {
            f"classifier.{place}.{part}": tensor
            for place, layer in zip((0, 2), self.layers, strict=True)
            for part, tensor in zip(("weight", "bias"), layer, strict=True)
        }

    @torch.inference_mode()
    def logits(self, spline):
        """``(s, 16 c)`` spline features → ``(s, wanted)`` logits."""
        return product(product(spline, *self.layers[0]).relu_(), *self.layers[1])
