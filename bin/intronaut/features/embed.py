"""The loop every neural embedder runs: read ahead, find a batch size, compute, write rows as they finish.

The input is read twice: first for names, digests and problems, then for the bases, so that memory does not grow with
the number of windows. Identical sequences are computed once. Batches are a fixed partition of the input for a given
batch size, and a batch is what a killed run loses at most; the next run computes the same batches, to the bit.
"""

from __future__ import annotations

import importlib.metadata
import queue
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems, TryAgain, UsageError
from intronaut.core.log import peak_bytes
from intronaut.features.cost import Stopwatch
from intronaut.features.row_cache import RowCache
from intronaut.io.fasta import read_windows
from intronaut.io.h5ad import FeatureWriter
from intronaut.io.window_cut import obs_and_cut
from intronaut.networks.device import compute_halving, device_name, peak_memory_bytes, unless_out_of_memory

if TYPE_CHECKING:
    import torch

    from intronaut.core.log import Log

READ_AHEAD = 512
WRITTEN_ROWS = 256
TRIAL_SECONDS = 10


@dataclass
class Embedder:
    """What one model brings to the loop.

    ``encode(window)`` gives a 1-D array (uint8 codes, int32 tokens) on the reading thread; ``compute(list of
    encoded)`` the ``(n, d)`` float32 features of a batch; ``cut(lengths, size)`` splits a chunk of encoded lengths
    into batches, as lists of places in the chunk; ``size(lengths)`` is the batch size to start from for windows of
    these lengths, in the unit of ``cut``, and ``most`` the largest worth trying on a GPU. ``problem(window)`` says
    why a window cannot be embedded, else None; ``describe(window)`` gives further ``obs`` columns. ``n_parameters`` are
    those of the model.
    """

    encode: Callable
    compute: Callable
    cut: Callable
    size: Callable
    most: int
    device: torch.device
    n_parameters: int = 0
    problem: Callable = lambda window: None
    describe: Callable = lambda window: {}


def embed_or_estimate(
    path: Path,
    args: Namespace,
    embedder: Embedder,
    var: pd.DataFrame,
    provenance: Callable[[], dict[str, Any]],
    log: Log,
) -> pd.DataFrame | None:
    """What the options that all neural embedders share ask for: :func:`embed`, or with ``--estimate`` a printed table.

    ``provenance`` is called only to embed: it may wait for the digest of the weights. Returns the ``obs`` table, or
    None of an estimate.
    """
    if args.estimate:
        print(*estimate(path, embedder, len(var), store=args.store, batch_size=args.batch_size, log=log), sep="\n")
        return None
    source = provenance()
    how = {"store": args.store, "batch_size": args.batch_size, "record_cost": args.record_cost, "log": log}
    cache = open_cache(args, source, var, embedder.device)
    return embed(path, args.output, embedder, var, source, cache=cache, **how)


def embed(
    path: Path,
    output: str,
    embedder: Embedder,
    var: pd.DataFrame,
    provenance: dict[str, Any],
    *,
    store: str = "float32",
    batch_size: int | str = "auto",
    record_cost: bool = False,
    cache: RowCache | None = None,
    log: Log,
) -> pd.DataFrame:
    """Embed the windows of a FASTA file into a features file; take up a run that was killed.

    ``var`` is the feature table, ``provenance`` a JSON-able dict that identifies the model and its options, ``store``
    the dtype on disk; with ``record_cost`` the file also holds the time and memory that it took. What the RowCache
    ``cache`` holds is taken from there, and what is computed is kept there. Returns the ``obs`` table. Raises BadData
    for windows the model cannot take, CannotWrite, TryAgain when one window alone does not fit into memory.
    """
    watch = Stopwatch(device_name(embedder.device), embedder.n_parameters)
    obs, cut = survey(path, embedder)
    work = Work(obs)
    with FeatureWriter(output, obs, var, store, provenance | cut, resume=True, records_cost=record_cost) as writer:
        pending = writer.done[:] == 0
        if taken_up := int((~pending).sum()):
            log.note(f"{taken_up:,} of {len(obs):,} windows were already done")
        chunks = ahead(work.chunks(path, embedder.encode, pending), depth=2)
        with ThreadPoolExecutor(1) as pool, log.progress(len(obs), "windows") as progress:
            progress.add(taken_up)
            written = None
            size = writer.batch_size if batch_size == "auto" else batch_size
            for first, encoded in chunks:
                if not size:
                    size = _starting_size(embedder, obs, encoded, log)
                if not written:
                    writer.batch_size = size
                for batch in embedder.cut([len(item) for item in encoded], size):
                    rows, source = work.rows_of(first + np.asarray(batch))
                    if not pending[rows].any():
                        continue
                    digests = work.digests[first + np.asarray(batch)]
                    values = known_or_computed(
                        embedder.compute, [encoded[place] for place in batch], digests, cache, log
                    )
                    values = _storable(values, store, obs.index, rows, source)
                    if written:
                        progress.add(written.result())
                    written = pool.submit(_write, writer, rows, values, source, int(pending[rows].sum()))
            if written:
                progress.add(written.result())
        n_constant = writer.n_constant
        memory = peak_memory_bytes(embedder.device)
        writer.finish(watch.cost(len(obs), int(pending.sum()), memory) if record_cost else None)
    if cache:
        cache.shrink()
    if n_constant and len(obs) > 1:
        log.warn(
            f"{output}: {n_constant:,} of {len(var):,} features have one value for all windows; "
            "are these the weights of a trained model?"
        )
    distinct = "" if work.n == len(obs) else f", {work.n:,} of them distinct"
    log.note(f"{output}: {len(obs):,} windows{distinct}, {len(var):,} features")
    return obs


def known_or_computed(
    compute: Callable[[list[Any]], Any], batch: list[Any], digests: np.ndarray, cache: RowCache | None, log: Log
) -> np.ndarray:
    """``(n, d)`` features of a batch: from the cache those that it holds, the others by ``compute``, then kept."""
    if cache is None:
        return compute_halving(compute, batch, log)
    values = {digest: cache.get(digest) for digest in digests}
    missing = [place for place, digest in enumerate(digests) if values[digest] is None]
    if missing:
        computed = compute_halving(compute, [batch[place] for place in missing], log)
        cache.put(digests[missing], computed)
        values |= dict(zip(digests[missing], computed, strict=True))
    return np.stack([values[digest] for digest in digests])


def open_cache(args: Namespace, provenance: dict[str, Any], var: pd.DataFrame, device: torch.device) -> RowCache | None:
    """The RowCache of ``--cache``, or None. Raises CannotWrite."""
    if not args.cache:
        return None
    # rounding differs between devices, and between versions of torch
    how = {
        **provenance,
        "names": list(var.index),
        "torch": importlib.metadata.version("torch"),
        "device": device_name(device),
    }
    return RowCache(args.cache, how, len(var), args.store, int(args.cache_gb * 1e9))


def survey(path: Path, embedder: Embedder) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The ``obs`` table of every window in the input, and how they were cut, as provenance records it.

    Raises BadData that lists the windows the model cannot take.
    """
    if str(path) == "-":
        raise UsageError("the windows are read twice: give a file, not standard input")
    problems = Problems(path)
    further = []

    def checked():
        for window in read_windows(path):
            if what := embedder.problem(window):
                problems.add(f"record {window.name!r} {what}")
            further.append(embedder.describe(window))
            yield window

    obs, cut = obs_and_cut(checked())
    problems.raise_if_any()
    return (obs.join(pd.DataFrame(further, index=obs.index)) if further[0] else obs), cut


class Work:
    """Which rows hold the same sequence, and the input in chunks of distinct sequences."""

    def __init__(self, obs: pd.DataFrame) -> None:
        self.number, digests = pd.factorize(obs["digest"])
        self.digests, self.n = np.asarray(digests, object), len(digests)
        self._by_number = np.argsort(self.number, kind="stable")
        self._starts = np.searchsorted(self.number[self._by_number], np.arange(self.n + 1))

    def rows_of(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All rows that hold the sequences ``numbers``, increasing, and for each its place in ``numbers``."""
        rows = [self._by_number[self._starts[number] : self._starts[number + 1]] for number in numbers]
        source = np.repeat(np.arange(len(numbers)), [len(part) for part in rows])
        rows = np.concatenate(rows)
        order = np.argsort(rows)
        return rows[order], source[order]

    def chunks(self, path: Path, encode: Callable, pending: np.ndarray) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Yield ``(first number, encoded sequences)`` of every chunk in which a row is pending."""
        needed = np.zeros(self.n // READ_AHEAD + 1, bool)
        needed[np.unique(self.number[pending] // READ_AHEAD)] = True
        seen, encoded = 0, []
        for number, window in zip(self.number, read_windows(path), strict=True):
            if number < seen:
                continue
            seen += 1
            if needed[number // READ_AHEAD]:
                encoded.append(encode(window))
            if encoded and (seen % READ_AHEAD == 0 or seen == self.n):
                yield number - len(encoded) + 1, encoded
                encoded = []


def ahead(items: Iterator, depth: int) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Iterate over ``items`` as another thread makes them, at most ``depth`` ahead; its exceptions are raised here."""
    waiting = queue.Queue(depth)
    end = object()

    def fill():
        try:
            for item in items:
                waiting.put((item, None))
            waiting.put((end, None))
        except BaseException as problem:  # noqa: BLE001 - handed to the reader of the queue
            waiting.put((end, problem))

    threading.Thread(target=fill, daemon=True).start()
    while True:
        item, problem = waiting.get()
        if problem:
            raise problem
        if item is end:
            return
        yield item


def by_equal_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Batches of at most ``size`` places whose lengths are equal, short ones first."""
    order = np.argsort(lengths, kind="stable")
    edges = np.flatnonzero(np.diff(np.asarray(lengths)[order])) + 1
    return [list(group[i : i + size]) for group in np.split(order, edges) for i in range(0, len(group), size)]


def by_total_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Batches of neighbouring lengths that hold at most ``size`` elements together, or one place alone."""
    batches, total = [], 0
    for place in np.argsort(lengths, kind="stable"):
        if not batches or total + lengths[place] > size:
            batches.append([])
            total = 0
        batches[-1].append(place)
        total += lengths[place]
    return batches


def _starting_size(embedder, obs, encoded, log):
    size = embedder.size(obs["length"].to_numpy())
    if embedder.device.type == "cpu":
        return size
    fitting_size = largest_fitting(embedder, encoded, size)
    log.detail(f"batch size {fitting_size:,}")
    return fitting_size


def largest_fitting(embedder: Embedder, encoded: list[np.ndarray], size: int) -> int:
    """The largest of ``size``, 2·size, … up to ``embedder.most`` whose largest batch fits into memory.

    Halved from ``size`` when not even that fits.
    """
    lengths = [len(item) for item in encoded]

    def fits(tried):
        batch = max(embedder.cut(lengths, tried), key=lambda places: sum(lengths[place] for place in places))
        return unless_out_of_memory(embedder.compute, [encoded[place] for place in batch]) is not None

    while not fits(size):
        if size == 1:
            raise TryAgain("not even one window fits into memory; use a machine or GPU with more")
        size //= 2
    while size * 2 <= embedder.most and fits(size * 2):
        size *= 2
    return size


def _storable(values, store, names, rows, source):
    with np.errstate(over="ignore"):
        values = values.astype(store)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        name = names[rows[np.argmin(finite[source])]]
        raise BadData(f"record {name!r}: features that are not finite; a wider --dtype or --store may hold them")
    return values


def _write(writer, rows, values, source, new):
    for first in range(0, len(rows), WRITTEN_ROWS):
        block = slice(first, first + WRITTEN_ROWS)
        writer.write(rows[block], values[source[block]])
    return new


def estimate(
    path: Path, embedder: Embedder, d: int, *, store: str = "float32", batch_size: str = "auto", log: Log
) -> list[str]:
    """Time a few batches and return lines that say how long the whole input takes, its disk and memory."""
    obs, _ = survey(path, embedder)
    work = Work(obs)
    first, encoded = next(work.chunks(path, embedder.encode, np.ones(len(obs), bool)))
    size = _starting_size(embedder, obs, encoded, log) if batch_size == "auto" else batch_size
    batches = embedder.cut([len(item) for item in encoded], size)
    # the middle batches: lengths are sorted, so the ends would mislead
    tried = sorted(range(len(batches)), key=lambda place: abs(place - len(batches) // 2))
    rate = _rate(embedder, [[encoded[i] for i in batches[place]] for place in tried], log)
    seconds = work.n / rate
    return [
        f"windows\t{len(obs)}",
        f"distinct_windows\t{work.n}",
        f"batch_size\t{size}",
        f"windows_per_second\t{rate:.4g}",
        f"hours\t{seconds / 3600:.3g}",
        f"disk_GB\t{len(obs) * d * np.dtype(store).itemsize / 1e9:.3g}",
        f"memory_GB\t{peak_bytes() / 1e9:.3g}",
    ]


def _rate(embedder, batches, log):
    compute_halving(embedder.compute, batches[0], log)
    done, started = 0, time.monotonic()
    for batch in batches:
        compute_halving(embedder.compute, batch, log)
        done += len(batch)
        if time.monotonic() - started > TRIAL_SECONDS:
            break
    return done / (time.monotonic() - started)
