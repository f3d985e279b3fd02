"""Donor and acceptor probabilities along genes, and what they say of introns.

A value depends on 5,000 bases on each side, so that genes are read from the genome once, in chunks with their flanks;
the value of a window that was cut out would be off by up to 0.98. Bases outside the gene are taken as unknown unless
they are asked for. Positions are 0-based, on the forward strand, whatever the strand of the gene.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.core.dna import reverse_complement
from intronaut.core.errors import TryAgain
from intronaut.core.files import whole_file
from intronaut.genome.gene_spans import Gene, exon_bases
from intronaut.networks.device import unless_out_of_memory
from intronaut.networks.splice import ACCEPTOR, CHANNELS, CONTEXT, DONOR, SpliceNetworks, one_hot

if TYPE_CHECKING:
    from intronaut.core.log import Log
    from intronaut.genome.reference import Genome
    from intronaut.genome.windows import Row

CHUNK = 50_000
# bases computed at once are a multiple of this: a value is rounded in one way then, in a chunk or in half of it
ALIGNED = 64
# bases between two stretches that cost no more to compute than to start a new one
JOINED_GAP = 7_000
NEAR = 50
USED = 0.1
SMALLEST = 1e-4
# of the tracks: the row of acceptors and of donors
ROWS = {ACCEPTOR: 0, DONOR: 1}


@dataclass
class Track:
    """Probabilities ``(nets, 2, n)`` float32 of the bases from ``start`` on: acceptors in row 0, donors in row 1."""

    start: int
    values: np.ndarray

    @property
    def end(self) -> int:
        """The position behind the last."""
        return self.start + self.values.shape[2]

    def part(self, start: int, end: int) -> np.ndarray:
        """The values of ``[start, end)``, which must lie inside."""
        return self.values[:, :, start - self.start : end - self.start]


class Tracks:
    """Computes tracks of a genome.

    Args:
        networks: a :class:`intronaut.networks.splice.SpliceNetworks`.
        genome: a Genome.
        log: takes the warning that memory ran out; halves are computed then.
        cache: folder in which chunks are kept for later runs, or None.
    """

    def __init__(self, networks: SpliceNetworks, genome: Genome, log: Log, cache: str | None = None) -> None:
        self.networks, self.genome, self.log = networks, genome, log
        self.cache = None if cache is None else Path(cache)

    def bases(self, chrom: str, start: int, end: int, gene: Gene | None) -> str:
        """The bases of ``[start, end)`` on the forward strand; N beyond the chromosome and outside a given ``gene``."""
        first, last = max(start, 0), min(end, self.genome.lengths[chrom])
        if gene is not None:
            first, last = max(first, gene.start), min(last, gene.end)
        if first >= last:
            return "N" * (end - start)
        return "N" * (first - start) + self.genome.fetch(chrom, first, last) + "N" * (end - last)

    def compute(self, sequences: list[str], minus: bool) -> np.ndarray:
        """Tracks ``(b, nets, 2, n)`` of forward sequences of equal length with their flanks of 5,000 bases."""
        read = [reverse_complement(sequence) for sequence in sequences] if minus else sequences
        (probabilities,) = self._networks_on(read)
        probabilities = probabilities[:, :, [ACCEPTOR, DONOR]].swapaxes(0, 1)
        return probabilities[..., ::-1] if minus else probabilities

    def _networks_on(self, sequences, layer=False):
        """Probabilities ``(nets, b, 3, n)`` of sequences as they are read; with ``layer`` also ``(nets, b, 32, n)``."""

        def values_of(x):
            values = self.networks.probabilities(x, layer)
            return [part.numpy() for part in (values if layer else (values,))]

        n = len(sequences[0]) - 2 * CONTEXT
        added = "N" * (-n % ALIGNED)
        x = one_hot([bases + added for bases in sequences])
        return [values[..., :n] for values in self._halving(values_of, x)]

    def _halving(self, values_of, x):
        """``values_of(x)``; out of memory, of the halves of its sequences, or of its one sequence's bases."""
        if (values := unless_out_of_memory(values_of, x)) is not None:
            return values
        several, n = len(x), x.shape[2] - 2 * CONTEXT
        if several == 1 and n == ALIGNED:
            raise TryAgain(f"{n + 2 * CONTEXT:,} bases do not fit into memory; use a machine or GPU with more")
        self.log.warn(f"out of memory with {several * n:,} bases at once; halving")
        if several > 1:
            halves, axis = (x[: several // 2], x[several // 2 :]), 1
        else:
            middle = n // (2 * ALIGNED) * ALIGNED
            halves, axis = (x[..., : middle + 2 * CONTEXT], x[..., middle:]), -1
        values = [self._halving(values_of, half) for half in halves]
        return [np.concatenate(both, axis) for both in zip(*values, strict=True)]

    def track(self, chrom: str, start: int, end: int, minus: bool, gene: Gene | None = None) -> Track:
        """The Track of ``[start, end)``, in chunks of CHUNK."""
        parts = []
        for first in range(start, end, CHUNK):
            last = min(first + CHUNK, end)
            parts.append(self._chunk(self.bases(chrom, first - CONTEXT, last + CONTEXT, gene), minus))
        return Track(start, np.concatenate(parts, axis=2))

    def _chunk(self, sequence, minus):
        if self.cache is None:
            return self.compute([sequence], minus)[0]
        key = (self.networks.sha256, str(self.networks.dtype), len(self.networks.nets), "-" if minus else "+", sequence)
        path = self.cache / f"{hashlib.sha256('|'.join(map(str, key)).encode()).hexdigest()}.npy"
        with suppress(OSError, ValueError, EOFError):  # not there, or not whole
            return np.load(path).astype(np.float32)
        values = self.compute([sequence], minus)[0]
        with whole_file(path, "wb") as out:
            np.save(out, values.astype(np.float16))
        # what a later run will read, so that both write the same
        return values.astype(np.float16).astype(np.float32)

    def hidden(self, chrom: str, positions: list[int], minus: bool, gene: Gene | None = None) -> dict[int, np.ndarray]:
        """The sums before the last layer at some bases: a dict from position to ``(nets * 32,)``."""
        hidden_at = {}
        for start, end in joined([(position, position + 1) for position in positions]):
            for first in range(start, end, CHUNK):
                last = min(first + CHUNK, end)
                sequence = self.bases(chrom, first - CONTEXT, last + CONTEXT, gene)
                sequence = reverse_complement(sequence) if minus else sequence
                _, sums = self._networks_on([sequence], layer=True)
                for position in positions:
                    if first <= position < last:
                        place = last - 1 - position if minus else position - first
                        hidden_at[position] = sums[:, 0, :, place].reshape(-1)
        return hidden_at


def joined(stretches: Iterable[tuple[int, int]], gap: int = JOINED_GAP) -> list[tuple[int, int]]:
    """Sorted ``(start, end)`` stretches, those less than ``gap`` apart joined."""
    merged = []
    for start, end in sorted(stretches):
        if merged and start - merged[-1][1] < gap:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def stretches_of(row: Row, reach: int) -> list[tuple[int, int]]:
    """What is needed of an intron: its two exon bases with NEAR bases around, and ``reach`` bases from each end."""
    donor, acceptor = map(int, exon_bases(row.start, row.end, row.strand == "-"))
    near = [(site - NEAR, site + NEAR + 1) for site in (donor, acceptor)]
    return [*near, (row.start, min(row.start + reach, row.end)), (max(row.end - reach, row.start), row.end)]


def feature_table(nets: int, layer: bool) -> pd.DataFrame:
    """The ``var`` table of what :func:`intron_features` gives, and with ``layer`` of the hidden sums."""
    rows = []
    for site in ("donor", "acceptor"):
        rows += [
            (site, site, "strength"), (f"{site}_sd", site, "spread"), (f"{site}_inside", site, "cryptic"),
            (f"{site}_near", site, "cryptic"), (f"{site}s_inside", site, "count"),
        ]  # fmt: skip
    if layer:
        rows += [
            (f"{site}_net{net}_{channel:02d}", site, "hidden")
            for site in ("donor", "acceptor") for net in range(nets) for channel in range(CHANNELS)
        ]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "site", "kind"]).set_index("name")


def log_odds(p: float) -> float:
    """Logits of probabilities, which are kept SMALLEST away from 0 and 1."""
    p = np.clip(p, SMALLEST, 1 - SMALLEST)
    return np.log(p / (1 - p))


def intron_features(row: Row, tracks: list[Track], reach: int) -> list[float]:
    """The features of one intron, in the order of :func:`feature_table`.

    For donor, then acceptor: the logit of the mean probability at its exon base, the standard deviation of the
    networks' probabilities, the logit of the best other site of the kind within ``reach`` of the intron's ends, that of
    the best within NEAR bases of the site, and how many inside have a probability of at least USED.
    """
    sites, values = exon_bases(row.start, row.end, row.strand == "-"), []
    for kind, site in zip((DONOR, ACCEPTOR), map(int, sites), strict=True):
        line = ROWS[kind]
        at_site = _part(tracks, site, site + 1)[:, line, 0]
        ends = {(row.start, min(row.start + reach, row.end)), (max(row.end - reach, row.start), row.end)}
        inside = np.concatenate([_part(tracks, *end)[:, line].mean(axis=0) for end in joined(ends, gap=1)])
        near = _part(tracks, site - NEAR, site + NEAR + 1)[:, line].mean(axis=0)
        near[NEAR] = 0
        values += [log_odds(at_site.mean()), at_site.std(), log_odds(inside.max()), log_odds(near.max()),
                   float((inside >= USED).sum())]  # fmt: skip
    return values


def _part(tracks, start, end):
    return next(track.part(start, end) for track in tracks if track.start <= start and end <= track.end)
