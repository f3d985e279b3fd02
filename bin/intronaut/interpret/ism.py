"""In-silico mutagenesis: what every single-base change does to a network's logit, computed only where it can differ.

One changed base changes few positions of a convolution's output. ``Changed`` takes the place of a batch of mutants of
one window in the forward pass of any network: it holds the window's own activations once and, for each mutant, the span
of positions that may differ. Convolutions, pools and what acts on each position alone compute the span; whatever else a
network does (attention, flattening, dense layers) is given the mutants' whole activations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils._pytree import tree_map

if TYPE_CHECKING:
    from intronaut.networks.classifiers import Network

BASES = 4


class Memo:
    """What layers make of the window itself, kept from one batch of its mutants to the next."""

    def __init__(self) -> None:
        self.made, self.at = [], 0

    def of(self, make: Callable) -> torch.Tensor:
        """The next thing a pass needs: made by ``make()`` in the first pass, the same in every later one."""
        if self.at == len(self.made):
            self.made.append(make())
        self.at += 1
        return self.made[self.at - 1]


class Changed:
    """Activations ``(m, c, n)`` of ``m`` mutants of one window, known by where they may differ from the window's.

    ``reference`` is the window's own, ``(1, c, 1, n)``; mutant i holds ``values[i]``, ``(c, 1, span)``, at the
    positions from ``starts[i]`` on. Both lie in memory position by position, which is how spans are cut and joined.
    It passes through torch's functions and modules in place of a tensor.
    """

    def __init__(self, reference: torch.Tensor, values: torch.Tensor, starts: torch.Tensor, memo: Memo) -> None:
        self.reference, self.values, self.starts, self.memo = reference, values, starts, memo
        self.n, self.span = reference.shape[3], values.shape[3]

    @classmethod
    def __torch_function__(
        cls, function: Callable, types: tuple[type, ...], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Changed | torch.Tensor:
        handler = _HANDLERS.get(function)
        if handler and isinstance(args[0], Changed):
            answer = handler(*args, **kwargs or {})
            if answer is not NotImplemented:
                return answer
        return function(*tree_map(_whole, args), **tree_map(_whole, kwargs or {}))

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.whole, name)

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.values), self.reference.shape[1], self.n))

    def dim(self) -> int:
        return 3

    @functools.cached_property
    def whole(self) -> torch.Tensor:
        """The activations as a tensor ``(m, c, n)``."""
        return self.read(torch.zeros_like(self.starts), self.n).squeeze(2)

    def read(self, first: torch.Tensor, width: int, beyond: float = 0.0) -> torch.Tensor:
        """``(m, c, 1, width)`` activations from the positions ``first`` ``(m,)`` on; outside the window ``beyond``."""
        place = first[:, None] + torch.arange(width, device=first.device)
        offset, mutant = place - self.starts[:, None], torch.arange(len(first), device=first.device)[:, None]
        # rows to choose from: the window's, one that is beyond it, and those of every mutant's span
        index = torch.where((place < 0) | (place >= self.n), self.n, place)
        index = torch.where(
            (offset >= 0) & (offset < self.span),
            self.n + 1 + mutant * self.span + offset,
            index,
        )
        outside = self.reference.new_full((1, self.reference.shape[1]), beyond)
        table = torch.cat([_rows(self.reference), outside, _rows(self.values)])
        return table.index_select(0, index.flatten()).unflatten(0, (-1, 1, width)).permute(0, 3, 1, 2)

    def each(self, function: Callable) -> Changed:
        """What a function of every position alone makes of it."""
        reference = self.memo.of(lambda: function(self.reference))
        return Changed(reference, function(self.values), self.starts, self.memo)

    def slide(self, function: Callable, width: int, stride: int, padding: int, dilation: int, beyond: float) -> Changed:
        """What a function of ``width`` positions at once makes of it; ``function(tensor)`` is that without padding."""
        ends = (padding, padding)
        reference = self.memo.of(lambda: function(F.pad(self.reference, ends, value=beyond)))
        reach = (width - 1) * dilation
        # outputs that read the span: those at multiples of the stride, in number at most what any start can give
        span = min(reference.shape[3], (self.span - 1 + reach) // stride + 1)
        first = -((reach - padding - self.starts) // stride)
        first = first.clamp(0, reference.shape[3] - span)
        values = function(self.read(first * stride - padding, (span - 1) * stride + reach + 1, beyond))
        return Changed(reference, values, first, self.memo)

    def __add__(self, other: Changed) -> Changed:
        if not isinstance(other, Changed):
            return self.whole + other
        reference = self.memo.of(lambda: self.reference + other.reference)
        first = torch.minimum(self.starts, other.starts)
        span = int((torch.maximum(self.starts + self.span, other.starts + other.span) - first).max())
        first = first.clamp(max=self.n - span)
        return Changed(reference, self.read(first, span) + other.read(first, span), first, self.memo)

    def __mul__(self, other: torch.Tensor) -> torch.Tensor:
        return self.whole * _whole(other)

    def __matmul__(self, other: torch.Tensor) -> torch.Tensor:
        return self.whole @ other


def _whole(x):
    return x.whole if isinstance(x, Changed) else x


def _rows(x):
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _convolution(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if isinstance(padding, str):
        return NotImplemented
    stride, padding, dilation = map(_single, (stride, padding, dilation))
    if groups == 1:
        # as one matrix product: spans are too short for the library's convolutions to be at their fastest
        matrix = x.memo.of(lambda: weight.permute(2, 1, 0).reshape(-1, weight.shape[0]))
        apply = functools.partial(
            _product, matrix=matrix, bias=bias, taps=weight.shape[2], stride=stride, apart=dilation
        )
    else:
        how = {"stride": (1, stride), "dilation": (1, dilation), "groups": groups}
        apply = functools.partial(F.conv2d, weight=weight[:, :, None], bias=bias, **how)
    return x.slide(apply, weight.shape[2], stride, padding, dilation, 0.0)


def _product(values, matrix, bias, taps, stride, apart):
    """A convolution of ``(m, c, 1, n)`` by ``matrix``, ``(taps · c, outputs)``; taps are ``apart`` positions apart."""
    rows = values.squeeze(2).transpose(1, 2)
    mutants, positions, channels = rows.shape
    outputs = (positions - (taps - 1) * apart - 1) // stride + 1
    along = rows.stride(1)
    read = rows.as_strided(
        (mutants, outputs, taps, channels), (rows.stride(0), stride * along, apart * along, rows.stride(2))
    )
    flat = read.reshape(mutants * outputs, taps * channels)
    product = flat @ matrix if bias is None else torch.addmm(bias, flat, matrix)
    return product.unflatten(0, (mutants, 1, outputs)).permute(0, 3, 1, 2)


def _max_pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    if ceil_mode or return_indices:
        return NotImplemented
    width, padding, dilation = map(_single, (kernel_size, padding, dilation))
    stride = _single(stride or width)
    return x.slide(
        lambda values: F.max_pool2d(values, (1, width), (1, stride), dilation=(1, dilation)),
        width, stride, padding, dilation, -torch.inf,
    )  # fmt: skip


def _single(value):
    return value[0] if isinstance(value, tuple) else value


def _normalise(x, mean, variance, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    if training:
        return NotImplemented
    return x.each(lambda values: F.batch_norm(values, mean, variance, weight, bias, False, momentum, eps))


def _drop_out(x, p=0.5, training=True, inplace=False):
    return NotImplemented if training else x


def _alone(function):
    return lambda x, *args, **kwargs: x.each(lambda values: function(values, *args, **kwargs))


_HANDLERS: dict = {
    F.conv1d: _convolution,
    F.max_pool1d: _max_pool,
    F.batch_norm: _normalise,
    F.dropout: _drop_out,
    **{function: _alone(function) for function in (F.relu, F.gelu, torch.relu, torch.sigmoid, torch.tanh)},
}


@torch.no_grad()
def base_changes(
    network: Network | torch.nn.modules.container.Sequential, channels: torch.Tensor, places: list[int], batch: int
) -> np.ndarray:
    """How each base at each of ``places`` changes the logit of one window: float32 ``(len(places), 4)``, 0 for its own.

    ``network`` turns channels ``(n, 4, length)`` into logits ``(n,)``, and is in eval mode. ``channels`` is the window,
    ``(4, length)``, one-hot at ``places``. ``batch`` mutants are computed at once.
    """
    places = torch.as_tensor(places, dtype=torch.int64, device=channels.device)
    base_at = channels[:, places].argmax(0).tolist()
    mutants = [(row, base) for row in range(len(places)) for base in range(BASES) if base != base_at[row]]
    rows, bases = torch.tensor(mutants, dtype=torch.int64, device=channels.device).reshape(-1, 2).T
    starts, one_hot = places[rows], torch.eye(BASES).to(channels)
    memo, logits = Memo(), []
    for first in range(0, len(rows), batch):
        memo.at = 0
        batch_rows = slice(first, first + batch)
        mutated = Changed(channels[None, :, None], one_hot[bases[batch_rows], :, None, None], starts[batch_rows], memo)
        logits.append(network(mutated))
    changes = torch.zeros(len(places), BASES)
    if logits:
        changes[rows.cpu(), bases.cpu()] = (torch.cat(logits) - network(channels[None])).float().cpu()
    return changes.numpy()


def sequence_changes(logits_of: Callable, sequence: str, places: list[int], batch: int) -> np.ndarray:
    """The same of a network that reads text: ``logits_of(list of sequences)`` gives an array ``(n,)``."""
    base_at = [sequence[place] for place in places]
    mutants = [(row, base) for row in range(len(places)) for base in range(BASES) if "ACGT"[base] != base_at[row]]
    changes = np.zeros((len(places), BASES), np.float32)
    reference = logits_of([sequence])
    for first in range(0, len(mutants), batch):
        batch_mutants = mutants[first : first + batch]
        texts = [sequence[: places[row]] + "ACGT"[base] + sequence[places[row] + 1 :] for row, base in batch_mutants]
        changes[tuple(zip(*batch_mutants, strict=True))] = logits_of(texts) - reference
    return changes
