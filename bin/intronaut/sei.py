"""Sei (Chen et al. 2022, Nature Genetics 54:940): 21,907 chromatin profiles of a DNA window, and how to run it fast.

``Sei`` is the network as published, layer by layer, differentiable. ``Runner`` computes the same numbers for feature
extraction: the leading pair of convolutions is fused, both strands share one batch, convolutions run on channel-last
rows, bases that are only N padding are not computed again, and of the last layer only the wanted rows are.

Windows enter as uint8 codes that index a table of four channels (A, C, G, T), so that a base travels as one byte.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from intronaut.cli import BadData, Problems
from intronaut.seqio import OTHER, base_codes
from intronaut.weights import open_checkpoint

WINDOW = 4096
SHORTEST = 32
CHANNELS = (480, 640, 960)
OUTPUTS = 21907
SPLINE_FUNCTIONS = 16
POOL = 4
DILATIONS = (2, 4, 8, 16, 25)
CLASSES = 40
KINDS = ("tf", "histone", "access")

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


class Sei(nn.Module):
    """The published network; its state dict has the released names. ``forward`` gives probabilities."""

    def __init__(self, channels=CHANNELS, outputs=OUTPUTS):
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
        spline = third * SPLINE_FUNCTIONS
        self.classifier = nn.Sequential(nn.Linear(spline, outputs), nn.ReLU(), nn.Linear(outputs, outputs))

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


@dataclass
class Region:
    """Positions ``[start, stop)`` of the ``n`` of one stage that have to be computed."""

    start: int
    stop: int
    n: int

    def __len__(self):
        return self.stop - self.start

    def reached(self):
        """What a stage's four convolutions of width 9 can change of it, rounded out to whole pools.

        An end closer to the window's than HALO is moved there, so that the rows around a region are all padding or
        all outside the window.
        """
        start = max(0, self.start - 4 * (9 // 2)) // POOL * POOL
        stop = -(-(self.stop + 4 * (9 // 2)) // POOL) * POOL
        return Region(start if start >= HALO else 0, stop if stop <= self.n - HALO else self.n, self.n)

    def pooled(self):
        """The region of the next stage."""
        return Region(self.start // POOL, self.stop // POOL, self.n // POOL)


# rows on either side of a segment that hold what its convolutions see beyond it: half of the fused width 17
HALO = 8
# rows after the last segment that tiles may read and write
SLACK = 24
# tiles a chunk: its products stay in the cache; at least 16 rows go into every matrix product, because below that
# some BLAS take another path and a row's last bit would depend on its neighbours
TILES = 512
LEAST_ROWS = 16
# positions that go through the widest stage together on a CPU
ROWS_AT_ONCE = 16384

# the minimal filtering algorithm F(3, 3) (Winograd 1980, Arithmetic Complexity of Computations): three outputs of a
# three-tap filter from five products, y = A ((G taps) * (B x)), by evaluation at 0, 1, -1, 2 and infinity
FILTER_B = torch.tensor([[2, -1, -2, 1, 0], [0, 2, 1, -1, 0], [0, -2, 3, -1, 0], [0, -1, 0, 1, 0], [0, 2, -1, -2, 1.0]])
FILTER_G = torch.tensor([[3, 0, 0], [3, 3, 3], [1, -1, 1], [1, 2, 4], [0, 0, 6]], dtype=torch.float64) / 6
FILTER_A = torch.tensor([[1, 1, 1, 1, 0], [0, 1, -1, 2, 0], [0, 1, 1, 4, 1.0]])


def _frame(segments, rows, channels, like):
    """Uninitialised ``(segments, rows, channels)``; SLACK zero rows follow it in memory."""
    flat = torch.empty(segments * rows + SLACK, channels, dtype=like.dtype, device=like.device)
    flat[segments * rows :] = 0
    return flat[: segments * rows].view(segments, rows, channels)


def _inner(framed):
    return framed[:, HALO:-HALO]


def _product(x, weight, bias):
    """``x @ weight.T + bias`` over the last axis, with at least LEAST_ROWS rows."""
    rows = x.reshape(-1, x.shape[-1])
    short = max(0, LEAST_ROWS - len(rows))
    made = F.linear(F.pad(rows, (0, 0, 0, short)), weight, bias)[: len(rows)]
    return made.view(*x.shape[:-1], len(weight))


class TiledConv:
    """A convolution over channel-last rows as matrix products, with 5 products for 3 × 3 taps instead of 9.

    Maps a frame ``(s, r, c)`` to a frame of the same rows; the outermost ``width // 2`` rows are left to the caller.
    Exact but for rounding, which is below that of oneDNN's channel-last convolution.
    """

    def __init__(self, weight, bias):
        outputs, inputs, self.width = weight.shape
        self.groups = -(-self.width // 3)
        taps = F.pad(weight.double(), (0, 3 * self.groups - self.width)).view(outputs, inputs, self.groups, 3)
        self.weight = (taps @ FILTER_G.T).permute(3, 2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format)
        self.bias = bias.float()

    def __call__(self, x, relu=False):
        segments, rows, channels = x.shape
        margin = self.width // 2
        y = _frame(segments, rows, len(self.bias), x)
        tiles = -(-(segments * rows - 2 * margin) // 3)
        for first, last in _chunks(tiles):
            n = last - first
            seen = n + self.groups - 1
            start = x.storage_offset() + 3 * first * channels
            x_tiles = x.as_strided((seen, 5, channels), (3 * channels, channels, 1), start)
            factors = torch.bmm(FILTER_B.expand(seen, 5, 5), x_tiles)
            products = torch.empty(n, 5, len(self.bias))
            for point in range(5):
                out = products[:, point]
                torch.mm(factors[:n, point], self.weight[point, 0].T, out=out)
                for group in range(1, self.groups):
                    out.addmm_(factors[group : group + n, point], self.weight[point, group].T)
            start = y.storage_offset() + (margin + 3 * first) * len(self.bias)
            y_tiles = y.as_strided((n, 3, len(self.bias)), (3 * len(self.bias), len(self.bias), 1), start)
            torch.bmm(FILTER_A.expand(n, 3, 5), products, out=y_tiles)
            y_tiles.add_(self.bias)
            if relu:
                y_tiles.relu_()
        return y


def _chunks(tiles):
    """Cut ``tiles`` into equal chunks of at most TILES, so that no chunk is left with few rows."""
    edges = np.linspace(0, tiles, -(-tiles // TILES) + 1).astype(int)
    return zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)


class NarrowConv:
    """A convolution over few channels as one product: each row beside its neighbours. Frames as for TiledConv."""

    def __init__(self, weight, bias):
        self.width = weight.shape[2]
        self.weight = weight.permute(0, 2, 1).flatten(1).float()
        self.bias = bias.float()

    def __call__(self, x, relu=False):
        segments, rows, channels = x.shape
        margin = self.width // 2
        seen = x.as_strided((segments * rows - 2 * margin, self.width * channels), (channels, 1), x.storage_offset())
        y = _frame(segments, rows, len(self.bias), x)
        torch.addmm(self.bias, seen, self.weight.T, out=y.view(-1, len(self.bias))[margin:-margin])
        return y.relu_() if relu else y


class PhasedConv:
    """A dilated convolution of ``(s, n, c)``: positions that see each other become neighbours for a TiledConv."""

    def __init__(self, weight, bias, dilation):
        self.conv = TiledConv(weight, bias)
        self.dilation = dilation

    def __call__(self, x):
        segments, n, channels = x.shape
        phases = [torch.arange(phase, n, self.dilation) for phase in range(min(self.dilation, n))]
        gap = torch.full((self.conv.width // 2,), n)
        order = torch.cat([gap] + [part for phase in phases for part in (phase, gap)])
        spread = _frame(segments, len(order), channels, x)
        spread.copy_(F.pad(x, (0, 0, 0, 1))[:, order])
        place = torch.empty(n, dtype=torch.int64)
        kept = order < n
        place[order[kept]] = torch.arange(len(order))[kept]
        return self.conv(spread, relu=True)[:, place]


class LayerConv:
    """A convolution over channel-last rows by the device's own library, for GPUs and for low precision.

    Frames as for TiledConv; zeros are seen beyond their ends.
    """

    def __init__(self, weight, bias, dilation=1):
        self.weight = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self.bias = bias
        self.dilation = dilation
        self.padding = dilation * (weight.shape[2] // 2)

    def __call__(self, x, relu=True):
        image = x.transpose(1, 2).unsqueeze(2)
        y = F.conv2d(image, self.weight, self.bias, padding=(0, self.padding), dilation=(1, self.dilation))
        y = y.squeeze(2).transpose(1, 2)
        return y.relu_() if relu else y


class FusedPair:
    """Two convolutions of width 9 with nothing between them as one of width 17, exact to the ends of the window.

    Zero padding of the inner map makes the first and last four outputs differ from the fused ones: those are computed
    by the pair.
    """

    def __init__(self, conv, weights, dtype):
        (first, first_bias), (second, second_bias) = [(w.double(), b.double()) for w, b in weights]
        fused = torch.zeros(second.shape[0], first.shape[1], 17, dtype=torch.float64, device=first.device)
        for late in range(9):
            for early in range(9):
                fused[:, :, late + early] += second[:, :, late] @ first[:, :, early]
        self.fused = conv(fused.to(dtype), (second_bias + second.sum(2) @ first_bias).to(dtype))
        self.pair = [(w.permute(0, 2, 1).flatten(1).to(dtype), b.to(dtype)) for w, b in weights]

    def __call__(self, x, region, close):
        y = self.fused(x, relu=False)
        if region.n < 16:
            _inner(y)[:] = self._ends(_inner(x), 4, 4)
            return y
        if region.start == 0:
            _inner(y)[:, :4] = self._ends(_inner(x)[:, :12], 4, 0)
        if region.stop == region.n:
            _inner(y)[:, -4:] = self._ends(_inner(x)[:, -12:], 0, 4)
        return y

    def _ends(self, x, *padding):
        between = _narrow(F.pad(x, (0, 0, *padding)), *self.pair[0])
        return _narrow(F.pad(between, (0, 0, *padding)), *self.pair[1])


def _narrow(x, weight, bias):
    """A convolution of width 9 without padding, ``(s, r, c)`` → ``(s, r - 8, outputs)``, for few rows."""
    return _product(x.unfold(1, 9, 1).transpose(2, 3).flatten(2), weight, bias)


class PlainPair:
    """Two convolutions of width 9 one after the other; ``close`` sets the rows around the map between them."""

    def __init__(self, conv, weights, dtype):
        self.convs = [conv(w.to(dtype), b.to(dtype)) for w, b in weights]

    def __call__(self, x, region, close):
        return self.convs[1](close(self.convs[0](x, relu=False), "between"), relu=False)


class Runner:
    """Sei's trunk and spline, for feature extraction: codes in, features out, nothing to differentiate.

    On a CPU in float32 the convolutions are TiledConvs; elsewhere the device's own. ``dtype`` is that of the
    convolutions and their sums; the spline is float32.
    """

    def __init__(self, tensors, device="cpu", dtype=torch.float32, tiled=None):
        self.device, self.dtype = torch.device(device), dtype
        self.tiled = dtype == torch.float32 and self.device.type == "cpu" if tiled is None else tiled
        self.table = channel_table().to(self.device, dtype)
        conv, narrow = (TiledConv, NarrowConv) if self.tiled else (LayerConv, LayerConv)

        def weights(name):
            return [tensors[f"{name}.{part}"].to(self.device) for part in ("weight", "bias")]

        def made(name, kind, *more):
            return kind(*(part.to(dtype) for part in weights(name)), *more)

        # past the first pair, fusing saves little over tiles and would cost memory and time to load
        later = PlainPair if self.tiled else FusedPair
        self.pairs = [
            FusedPair(narrow, [weights("lconv1.0"), weights("lconv1.1")], dtype),
            later(conv, [weights("lconv2.2"), weights("lconv2.3")], dtype),
            later(conv, [weights("lconv3.2"), weights("lconv3.3")], dtype),
        ]
        names = (("conv1.0", "conv1.2"), ("conv2.1", "conv2.3"), ("conv3.1", "conv3.3"))
        self.convs = [[made(name, conv) for name in pair] for pair in names]
        self.dilated = [
            made(f"dconv{number}.1", PhasedConv if self.tiled else LayerConv, dilation)
            for number, dilation in enumerate(DILATIONS, 1)
        ]
        self._responses = {}
        self._bases = {}

    @torch.inference_mode()
    def trunk(self, codes, strands=("+", "-"), padding=0):
        """``(n, length)`` uint8 codes → ``(strands · n, length // 16, c)``, all windows on "+" first.

        The first and last ``padding`` codes of every window are N by the caller's word: what they alone determine is
        taken from the response to a window of N.
        """
        codes = torch.as_tensor(codes).to(self.device, non_blocking=True)
        complement = self.table.flip(1)
        read = {"+": lambda: self.table[codes.int()], "-": lambda: complement[codes.flip(1).int()]}
        x = torch.cat([read[strand]() for strand in strands])
        length = x.shape[1]
        if not padding:
            return self._dilate(*self._stages(x, Region(0, length, length), None))
        region = Region(padding, length - padding, length)
        return self._dilate(*self._stages(x[:, padding : length - padding], region, self._response(length)))

    def _response(self, length):
        """What every stage makes of a window of N, on one strand: the other strand's is the same."""
        if length not in self._responses:
            x = self.table[torch.full((1, length), OTHER, device=self.device)]
            response, region = [], Region(0, length, length)
            for stage in range(3):
                maps = self._stage(stage, x, region, None)
                response.append({key: y[0].clone() for key, y in maps.items()})
                x, region = _pool(maps), region.pooled()
            self._responses[length] = response
        return self._responses[length]

    def _stages(self, x, region, response):
        """The three stages: ``(linear path, convolved)``, both ``(s, n, c)``, of the last."""
        for stage in range(2):
            reached, quiet = self._reached(stage, region, response)
            parts = x.split(self._segments_at_once(len(reached), len(x)))
            x = torch.cat([
                _pool(self._stage(stage, _widened(part, region, reached, quiet), reached, quiet)) for part in parts
            ])  # fmt: skip
            region = reached.pooled()
        reached, quiet = self._reached(2, region, response)
        maps = self._stage(2, _widened(x, region, reached, quiet), reached, quiet)
        everywhere = Region(0, region.n, region.n)
        return [
            _widened(maps[key], reached, everywhere, quiet and {"in": quiet[key]}) for key in ("linear", "out")
        ]  # fmt: skip

    @staticmethod
    def _reached(stage, region, response):
        return (region, None) if response is None else (region.reached(), response[stage])

    def _segments_at_once(self, length, segments):
        return max(1, ROWS_AT_ONCE // length) if self.device.type == "cpu" else segments

    def _stage(self, stage, x, region, quiet):
        """All maps of one stage on a region: ``in``, ``between`` (unless fused), ``linear``, ``first``, ``out``."""
        maps = {"in": x}

        def close(framed, key):
            left, right = _beyond(quiet and quiet[key], region)
            framed[:, :HALO], framed[:, -HALO:] = left, right
            maps[key] = _inner(framed)
            return framed

        frame = _frame(x.shape[0], x.shape[1] + 2 * HALO, x.shape[2], x)
        _inner(frame)[:] = x
        linear = close(self.pairs[stage](close(frame, "in"), region, close), "linear")
        first, second = self.convs[stage]
        maps["out"] = _inner(second(close(first(linear, relu=True), "first"), relu=True))
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


def _pool(maps):
    """The largest of every four rows of the stage's sum; rows that fill no pool are left out."""
    y = maps["out"] + maps["linear"]
    segments, rows, channels = y.shape
    return y[:, : rows // POOL * POOL].reshape(segments, rows // POOL, POOL, channels).amax(2)


def _beyond(quiet, region):
    """Rows on either side of a region: the response to N, or zeros past the ends of the window."""
    left = quiet[region.start - HALO : region.start] if region.start else 0
    right = quiet[region.stop : region.stop + HALO] if region.stop < region.n else 0
    return left, right


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

    @torch.inference_mode()
    def logits(self, spline):
        """``(s, 16 c)`` spline features → ``(s, wanted)`` logits."""
        return _product(_product(spline, *self.layers[0]).relu_(), *self.layers[1])


def class_scores(profiles, vectors):
    """Sequence-class scores of profiles: ``(n, profiles)`` on ``(classes, profiles)`` → ``(n, classes)``.

    Projection on every vector, divided by the vector's length (sei-framework, raw sequence-class scores).
    """
    return profiles @ vectors.T / np.linalg.norm(vectors, axis=1)


def variant_class_scores(reference, alternative, vectors, histone):
    """How a variant changes the 40 sequence-class scores: ``(n, profiles)`` twice → ``(n, 40)``.

    The columns ``histone`` of either allele are first scaled so that both sum to the mean of the two sums
    (sei-framework, nucleosome-adjusted variant scores).
    """
    sums = [profiles[:, histone].sum(axis=1, keepdims=True) for profiles in (reference, alternative)]
    scores = []
    for profiles, own in zip((reference, alternative), sums, strict=True):
        adjusted = np.array(profiles)
        adjusted[:, histone] *= (sums[0] + sums[1]) / 2 / own
        scores.append(class_scores(adjusted, vectors[:CLASSES]))
    return scores[1] - scores[0]


def read_targets(path, outputs):
    """The feature table of a ``target.names`` file: index = its lines; columns target, cell_type, source, kind.

    Raises BadData unless there are ``outputs`` different lines ``cell type | target | source``.
    """
    import pandas as pd

    from intronaut.seqio import numbered_lines

    rows, seen, problems = [], set(), Problems(path)
    for number, line in numbered_lines(path):
        fields = [field.strip() for field in line.split("|", 2)]
        if len(fields) < 3:
            problems.add("not of the form 'cell type | target | source'", number)
        elif line.strip() in seen:
            problems.add(f"{line.strip()!r} occurs twice", number)
        seen.add(line.strip())
        rows.append((line.strip(), *fields))
    problems.raise_if_any()
    if len(rows) != outputs:
        raise BadData(f"{path}: {len(rows):,} names for the {outputs:,} outputs of the weights")
    names, cells, targets, sources = zip(*rows, strict=True)
    return pd.DataFrame(
        {"target": targets, "cell_type": cells, "source": sources, "kind": [target_kind(target) for target in targets]},
        index=pd.Index(names, name="name"),
    )


def target_kind(target):
    """tf, histone or access by the published grouping; DNase.hot and its like count as tf there."""
    if target.startswith(("CENPA", "H2A", "H2B", "H3", "H4")):
        return "histone"
    return "access" if target == "DNase" or target.startswith("ATAC") else "tf"
