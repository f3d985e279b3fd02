#!/usr/bin/env python3
"""How fast embed_tracks reads many bigWigs at many introns, beside pybigtools' own loops over the same places.

The tracks are links to one bigWig of simulated signal on a contig of 26 Mb, the introns lie at random on it. Prints a
table and writes it to benchmarks/embed_tracks.tsv.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import pybigtools
from machine import processor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bin"))
import embed_tracks  # noqa: E402
from intronaut.genome.windows import Row, window_start  # noqa: E402
from intronaut.io.h5ad import open_features  # noqa: E402

TABLE = Path(__file__).with_suffix(".tsv")
COLUMNS = ["what", "introns", "tracks", "cpu_s", "largest difference of means"]
LENGTH, WINDOW, BINS = 26_000_000, 600, 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--introns", type=int, default=10_000)
    parser.add_argument("--tracks", type=int, default=50)
    args = parser.parse_args()
    lines = [f"# {processor()}, 1 thread, processor seconds", "\t".join(COLUMNS)]
    with tempfile.TemporaryDirectory() as folder:
        introns = written(Path(folder), args)
        spent, ours = timed(embedded, Path(folder))
        ours = ours.reshape(args.introns, args.tracks, 3 + BINS)
        lines.append(f"embed_tracks\t{args.introns}\t{args.tracks}\t{spent:.1f}\t")
        loops = {"pybigtools, window and bins": (own_loop, ours),
                 "pybigtools, average_over_bed of the windows": (over_bed, ours[..., :1])}  # fmt: skip
        for name, (loop, values) in loops.items():
            spent, theirs = timed(loop, Path(folder), introns, args.tracks)
            means = np.concatenate([values[..., :1], values[..., 3:]], axis=2)
            lines.append(f"{name}\t{args.introns}\t{args.tracks}\t{spent:.1f}\t{np.nanmax(np.abs(means - theirs)):.2g}")
    TABLE.write_text("\n".join(lines) + "\n")
    print(TABLE.read_text(), end="")


def written(folder, args):
    """The files of embed_tracks; returns ``(start, end, strand)`` of the introns."""
    rng = np.random.default_rng(1)
    widths = rng.integers(5, 60, LENGTH // 30)
    ends = np.cumsum(widths)
    ends = ends[ends < LENGTH]
    starts = np.concatenate([[0], ends[:-1]])
    signal = rng.gamma(1.0, 2.0, len(ends)).astype(np.float32)
    rows = (("1", int(start), int(end), float(value)) for start, end, value in zip(starts, ends, signal, strict=True))
    pybigtools.open(str(folder / "0.bw"), "w").write({"1": LENGTH}, rows)
    names = [f"{number}.bw" for number in range(args.tracks)]
    for name in names[1:]:
        (folder / name).symlink_to(folder / "0.bw")
    sheet = "".join(f"{name}\tH3K36me3\tcell_{at}\thistone\n" for at, name in enumerate(names))
    (folder / "tracks.tsv").write_text("path\ttarget\tcell\tkind\n" + sheet)
    lengths = np.exp(rng.normal(7, 1.2, args.introns)).astype(int).clip(30, 50_000)
    places = np.sort(rng.integers(WINDOW, LENGTH - 100_000, args.introns))
    introns = [(int(start), int(start + length), "+-"[int(rng.integers(2))])
               for start, length in zip(places, lengths, strict=True)]  # fmt: skip
    lines = [f"1\t{start}\t{end}\ti{at}\t0\t{strand}\n" for at, (start, end, strand) in enumerate(introns)]
    (folder / "introns.bed").write_text("".join(lines))
    return introns


def timed(work, *args):
    """``(CPU seconds, result)``."""
    started = time.process_time()
    result = work(*args)
    return time.process_time() - started, result


def embedded(folder):
    words = [folder / "introns.bed", "--tracks", folder / "tracks.tsv", "--length", WINDOW, "--bins", BINS]
    embed_tracks.main([str(word) for word in (*words, "-o", folder / "f.h5ad", "--quiet")])
    return open_features(folder / "f.h5ad").x[:]


def window_of(start, end, strand):
    first = window_start(Row("1", start, end, "", "0", strand), "centre", WINDOW)
    return first, first + WINDOW


def own_loop(folder, introns, n_tracks):
    """Means ``(introns, tracks, 1 + BINS)`` of windows and bins, one request at a time."""
    signals = np.empty((len(introns), n_tracks, 1 + BINS))
    for track in range(n_tracks):
        signal = pybigtools.open(str(folder / f"{track}.bw"))
        for at, (start, end, strand) in enumerate(introns):
            signals[at, track, 0] = np.nanmean(signal.values("1", *window_of(start, end, strand), fillna=None))
            bins = signal.values("1", start, end, bins=BINS, summary="mean", exact=True, fillna=None)
            signals[at, track, 1:] = bins[::-1] if strand == "-" else bins
    return signals


def over_bed(folder, introns, n_tracks):
    """Means ``(introns, tracks, 1)`` of windows."""
    lines = ["1\t{}\t{}\ti{}\n".format(*window_of(*intron), at) for at, intron in enumerate(introns)]
    (folder / "windows.bed").write_text("".join(lines))
    signals = np.empty((len(introns), n_tracks, 1))
    for track in range(n_tracks):
        signal = pybigtools.open(str(folder / f"{track}.bw"))
        signals[:, track, 0] = list(signal.average_over_bed(str(folder / "windows.bed"), stats="mean0"))
    return signals


if __name__ == "__main__":
    main()
