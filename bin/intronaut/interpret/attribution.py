"""What each base of a window adds to a network's logit of retention: three methods, on one strand or both.

A *hypothetical* attribution ``(4, length)`` says what each base (A, C, G, T) would add at each position; its difference
between two bases of a position is the effect of the substitution. The *observed* attribution ``(length,)`` is that of
the base that is there. Both are in logits and in the coordinates of the window as its sequence reads.

``ig`` integrates gradients (Sundararajan et al. 2017, ICML 70:3319) from baselines: the observed attributions add up to
the logit minus the mean logit of the baselines. ``ism`` changes every base and predicts again. ``gradient`` is gradient
× input. The last two are centred on the mean of the four bases; for gradients that takes away the part that no
sequence can have (Majdandzic et al. 2023, Genome Biol 24:109).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from intronaut.core.dna import reverse_complement
from intronaut.genome.shuffle import dinucleotide_shuffle
from intronaut.interpret.ism import BASES, base_changes, sequence_changes
from intronaut.networks import dnabert2, sei

if TYPE_CHECKING:
    from intronaut.networks.classifiers import Network, Reader

METHODS = ("ig", "ism", "gradient")
# bases that go through a network at once, unless the user says how many windows do
AT_ONCE = {"cpu": 2**14, "cuda": 2**18}

# of mutants of a window, which share most of their activations, this many always go together
LEAST_MUTANTS = 32


@dataclass
class Settings:
    """How to attribute: ``baseline`` is shuffled or flat; ``centre`` limits ism to the bases amid a window."""

    method: str
    baseline: str = "shuffled"
    baselines: int = 20
    steps: int = 32
    most_steps: int = 512
    gap: float = 0.01
    centre: int | None = None
    batch: int | None = None
    seed: int = 1


@dataclass
class Attribution:
    """The attributions of one window, float32, and how they came about; ``hypothetical`` is None for tokens by ig.

    ``logit`` is the mean of ``logits``, one a strand that is read. For ig, ``attributed`` is the sum of the observed
    attributions, ``baseline_logit`` what they are measured from, and ``gap`` the difference between ``attributed`` and
    ``logit - baseline_logit`` over the mean absolute difference of the logit from the baselines'.
    """

    observed: np.ndarray
    hypothetical: np.ndarray | None
    logits: dict
    agreement: float
    attributed: float = np.nan
    baseline_logit: float = np.nan
    gap: float = np.nan
    steps: int = 0

    @property
    def logit(self) -> float:
        return float(np.mean(list(self.logits.values())))


@dataclass
class _Strand:
    """What one strand's reading gives, in the coordinates of the window; ``distances`` is logit minus baselines'."""

    observed: np.ndarray
    hypothetical: np.ndarray | None
    logit: float
    distances: np.ndarray | None = None


def attribute(model: BaseModel | TokenModel, sequence: str, name: str, settings: Settings) -> Attribution:
    """The Attribution of one window by a BaseModel or a TokenModel; ``name`` and the seed draw its baselines."""
    if settings.method != "ig":
        return _joined({strand: model.read(sequence, strand, settings) for strand in model.strands})
    rng = np.random.default_rng([settings.seed, zlib.crc32(name.encode())])
    baselines, steps = model.baselines(sequence, settings, rng), settings.steps
    while True:
        integrated = {strand: model.integrate(sequence, strand, baselines, steps, settings) for strand in model.strands}
        attribution = _joined(integrated)
        distances = np.array([part.distances for part in integrated.values()])
        attribution.attributed = float(attribution.observed.sum(dtype=float))
        attribution.baseline_logit = float(attribution.logit - distances.mean())
        missing = abs(attribution.attributed - distances.mean())
        attribution.gap, attribution.steps = float(missing / max(np.abs(distances).mean(), 1e-12)), steps
        if attribution.gap <= settings.gap or 2 * steps > settings.most_steps:
            return attribution
        steps *= 2


def _joined(strands):
    """The mean of the strands."""
    parts = list(strands.values())
    observed = np.mean([part.observed for part in parts], axis=0, dtype=float).astype(np.float32)
    hypothetical = None
    if parts[0].hypothetical is not None:
        hypothetical = np.mean([part.hypothetical for part in parts], axis=0, dtype=float).astype(np.float32)
    agreement = np.nan
    if len(parts) == 2 and all(part.observed.std() for part in parts):
        agreement = float(np.corrcoef(parts[0].observed, parts[1].observed)[0, 1])
    return Attribution(observed, hypothetical, {strand: part.logit for strand, part in strands.items()}, agreement)


def _at_once(length, device, settings):
    """How many windows of ``length`` bases go through the network together."""
    return settings.batch or max(1, AT_ONCE.get(device.type, AT_ONCE["cpu"]) // length)


def read_strand(sequence: str, strand: str) -> str:
    """The sequence as a strand reads it."""
    return sequence if strand == "+" else reverse_complement(sequence)


def central(length: int, centre: int | None) -> tuple[int, int]:
    """The places ``(first, end)`` amid a window of ``length`` that ``centre`` bases take; all when it is None."""
    kept = length if centre is None else min(centre, length)
    first = (length - kept) // 2
    return first, first + kept


class BaseModel:
    """A model that reads channels of bases: for each strand a network, the logit being their mean.

    ``networks`` is strand → module from ``(n, 4, length)`` to ``(n,)``; ``encode(sequence)`` gives codes of
    sei.channel_table, centred between N or cut where the network reads another length.
    """

    def __init__(self, networks: dict[str, Any], encode: Callable, device: torch.device) -> None:
        self.networks, self.encode, self.device = networks, encode, device
        self.strands = tuple(networks)
        self.table = sei.channel_table().to(device)
        for network in networks.values():
            network.to(device).eval().requires_grad_(False)

    def baselines(self, sequence: str, settings: Settings, rng: np.random.Generator) -> list[str]:
        """The baselines of ig as sequences. Flat is all N; in shuffles, letters but A, C, G and T stay in place."""
        if settings.baseline == "flat":
            return ["N" * len(sequence)]
        return [
            re.sub("[ACGT]+", lambda run: str(dinucleotide_shuffle(run[0], rng)), sequence)
            for _ in range(settings.baselines)
        ]

    def integrate(self, sequence: str, strand: str, baselines: list[Any], steps: int, settings: Settings) -> _Strand:
        """One strand's integrated gradients."""
        from captum.attr import IntegratedGradients

        network, channels = self.networks[strand], self._channels([sequence], strand)
        others = self._channels(baselines, strand)
        method = IntegratedGradients(network, multiply_by_inputs=False)
        size = _at_once(channels.shape[2], self.device, settings)
        gradients = torch.cat([
            method.attribute(channels.expand_as(part), part, n_steps=steps, internal_batch_size=size)
            for part in others.split(size)
        ])  # fmt: skip
        hypothetical = (gradients - (others * gradients).sum(1, keepdim=True)).double().mean(0)
        with torch.no_grad():
            logit = network(channels).item()
            from_baselines = torch.cat([network(part) for part in others.split(size)]).double().cpu().numpy()
        return self._placed(sequence, strand, channels[0], hypothetical, logit, logit - from_baselines)

    def read(self, sequence: str, strand: str, settings: Settings) -> _Strand:
        """One strand's mutagenesis, or gradient × input."""
        network, channels = self.networks[strand], self._channels([sequence], strand)
        if settings.method == "ism":
            places = self._places(sequence, strand, channels.shape[2], settings)
            size = settings.batch or max(LEAST_MUTANTS, _at_once(channels.shape[2], self.device, settings))
            changes = base_changes(network, channels[0], places, size)
            hypothetical = torch.zeros(channels.shape[1:], dtype=torch.float64, device=self.device)
            hypothetical[:, places] = torch.from_numpy(changes.T).to(hypothetical)
        else:
            hypothetical = torch.autograd.grad(network(channels.requires_grad_()).sum(), channels)[0][0].double()
            channels = channels.detach()
        with torch.no_grad():
            logit = network(channels).item()
        return self._placed(sequence, strand, channels[0], hypothetical - hypothetical.mean(0), logit)

    def _channels(self, sequences, strand):
        codes = np.stack([self.encode(read_strand(sequence, strand)) for sequence in sequences])
        return self.table[torch.from_numpy(codes).to(self.device).int()].transpose(1, 2).contiguous()

    def _places(self, sequence, strand, length, settings):
        """Where the network reads the bases that ism changes, as the strand reads."""
        first, end = central(len(sequence), settings.centre)
        if strand == "-":
            first, end = len(sequence) - end, len(sequence) - first
        text, shift = read_strand(sequence, strand), _shift(len(sequence), length)
        return [at + shift for at in range(first, end) if text[at] in "ACGT" and 0 <= at + shift < length]

    def _placed(self, sequence, strand, channels, hypothetical, logit, distances=None):
        """From the network's positions and strand to the window's; bases that the network does not read get 0."""
        observed = (channels.double() * hypothetical).sum(0)
        both = torch.cat([hypothetical, observed[None]]).cpu().numpy()
        shift, n = _shift(len(sequence), both.shape[1]), len(sequence)
        both = np.pad(both, ((0, 0), (max(0, -shift), max(0, n - both.shape[1] + shift))))
        both = both[:, max(0, shift) :][:, :n]
        if strand == "-":
            both = np.concatenate([both[BASES - 1 :: -1], both[BASES:]])[:, ::-1]
        return _Strand(both[BASES], both[:BASES], logit, distances)


def _shift(bases, length):
    """What to add to a place in a sequence of ``bases`` for its place in the ``length`` positions that are read."""
    return (length - bases) // 2 if length >= bases else -((bases - length) // 2)


class TokenModel:
    """A trained DNABERT-2: integrated gradients of its token embeddings, each token's share spread over its bases.

    Its baselines are the window's tokens in random order, or [MASK] in place of each.
    """

    def __init__(self, network: Network, reader: Reader, strands: tuple[str, ...], device: torch.device) -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.reader, self.tokenizer, self.strands, self.device = reader, reader.tokenizer, strands, device
        self.mask = self.tokenizer.reader.token_to_id("[MASK]")

    def baselines(self, sequence: str, settings: Settings, rng: np.random.Generator) -> list[int]:
        """A seed for each baseline: a strand has tokens of its own to shuffle."""
        return [None] if settings.baseline == "flat" else rng.integers(2**62, size=settings.baselines).tolist()

    def integrate(self, sequence: str, strand: str, baselines: list[Any], steps: int, settings: Settings) -> _Strand:
        """One strand's integrated gradients of the embedded tokens."""
        from captum.attr import IntegratedGradients

        text = read_strand(sequence, strand)
        ids = self.reader.encode(text).astype(np.int64)
        embedded = self._embedded([ids])
        others = self._embedded([self._baseline(ids, seed) for seed in baselines])
        size = _at_once(len(sequence), self.device, settings)
        method = IntegratedGradients(self._logits)
        shares = torch.cat([
            method.attribute(embedded.expand_as(part), part, n_steps=steps, internal_batch_size=size).sum(2)
            for part in others.split(size)
        ])  # fmt: skip
        with torch.no_grad():
            logit = self._logits(embedded).item()
            from_baselines = torch.cat([self._logits(part) for part in others.split(size)]).double().cpu().numpy()
        observed = self._spread(text, shares.double().mean(0).cpu().numpy())
        return _Strand(observed if strand == "+" else observed[::-1], None, logit, logit - from_baselines)

    def read(self, sequence: str, strand: str, settings: Settings) -> _Strand:
        """One strand's mutagenesis: every mutant is cut into tokens again."""
        text, (first, end) = read_strand(sequence, strand), central(len(sequence), settings.centre)
        if strand == "-":
            first, end = len(sequence) - end, len(sequence) - first
        places = [place for place in range(first, end) if text[place] in "ACGT"]
        size = _at_once(len(sequence), self.device, settings)
        hypothetical = np.zeros((BASES, len(text)))
        hypothetical[:, places] = sequence_changes(self._logits_of, text, places, size).T
        hypothetical -= hypothetical.mean(0)
        one_hot = np.array([[letter == base for letter in text] for base in "ACGT"])
        if strand == "-":
            hypothetical, one_hot = hypothetical[::-1, ::-1], one_hot[::-1, ::-1]
        return _Strand((hypothetical * one_hot).sum(0), hypothetical, float(self._logits_of([text])[0]))

    def _baseline(self, ids, seed):
        inner = np.full(len(ids) - 2, self.mask) if seed is None else np.random.default_rng(seed).permutation(ids[1:-1])
        return np.concatenate([ids[:1], inner, ids[-1:]])

    def _embedded(self, rows):
        with torch.no_grad():
            ids = torch.from_numpy(np.concatenate(rows)).to(self.device)
            return self.network.trunk.embed(ids).unflatten(0, (len(rows), -1))

    def _logits(self, embedded):
        """Embedded tokens ``(n, tokens, width)`` → logits ``(n,)``."""
        lengths = [embedded.shape[1]] * len(embedded)
        *_, hidden = self.network.trunk.states(embedded.flatten(0, 1), lengths)
        pooled = dnabert2.pool(hidden, lengths, self.network.trunk.pooling)
        return self.network.on_features()(pooled)

    @torch.no_grad()
    def _logits_of(self, texts):
        tokens = self.reader.collate([self.reader.encode(text) for text in texts])
        return self.network(tokens.to(self.device)).cpu().numpy()

    def _spread(self, text, shares):
        """Each token's share over its bases, float64 ``(length,)``; tokens that were cut off leave 0."""
        spread = np.zeros(len(text))
        spans = self.tokenizer.reader.encode(text).offsets[1:-1]
        for (first, end), share in zip(spans, shares[1:-1], strict=False):
            spread[first:end] = share / (end - first)
        return spread
