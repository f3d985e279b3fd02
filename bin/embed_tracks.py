#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "h5py>=3.12", "biopython>=1.85", "pysam>=0.23", "pybigtools>=0.3,<0.4",
#   "rich>=13"]
# ///
"""Embed introns by measured tracks: ChIP-seq, ATAC-seq, CLIP, conservation or anything else along the genome.

Reads introns (labels.tsv or BED) and a sheet of tracks, a table with the columns path, target, cell, kind: bigWig,
bedGraph (.bedGraph, .bdg, .bg), or peaks in BED or narrowPeak. Of every track: mean, maximum and covered share of the
window, and the means of bins from the intron's donor to its acceptor, in the direction of its strand.

A base without a value in a bigWig or bedGraph is not measured, which is not 0: means and maxima are of the others, and
covered is their share. Where a whole window or bin is not measured, the median of the other introns stands in for it.
Peaks are 1 inside, 0 outside. --uncovered zero counts unmeasured bases as 0.

Columns carry target, cell_type and kind as Sei's do, so that explain, fit --feature-groups and partition treat measured
and predicted chromatin the same way.

Writes: the features file of --output (.h5ad).
"""

from intronaut import __version__
from intronaut.cli import (
    add_chrom_aliases,
    add_features_output,
    add_run_options,
    new_parser,
    positive_int,
    run,
    whole_number,
)
from intronaut.core.errors import BadData
from intronaut.core.log import Log

PROG = "embed_tracks"
# windows this close are read from a track at once
JOINED_GAP = 2000
MOST_AT_ONCE = 4_000_000


def make_parser():
    parser = new_parser(__doc__, PROG)
    data = parser.add_argument_group("input")
    data.add_argument("introns", metavar="INTRONS", help="labels.tsv or BED")
    data.add_argument("--tracks", required=True, metavar="TSV", help="sheet: path, target, cell, kind")
    add_chrom_aliases(data)
    windows = parser.add_argument_group("windows, as those of fetch_sequences")
    windows.add_argument(
        "--anchor", choices=("centre", "donor", "acceptor"), default="centre", help="middle of a window"
    )
    windows.add_argument("--length", type=positive_int, default=600, metavar="BP", help="bases in a window")
    features = parser.add_argument_group("features")
    features.add_argument("--bins", type=whole_number, default=10, metavar="N", help="bins from donor to acceptor")
    features.add_argument("--uncovered", choices=("missing", "zero"), default="missing",
                          help="what a base without a value is")  # fmt: skip
    add_features_output(parser)
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    import numpy as np

    from intronaut.features import tracks
    from intronaut.genome.chromosomes import read_aliases
    from intronaut.genome.windows import read_rows, window_start
    from intronaut.io.h5ad import FeatureWriter
    from intronaut.io.measured_tracks import read_sheet

    log = Log(PROG, args)
    entries, rows = read_sheet(args.tracks), read_rows(args.introns)
    aliases = read_aliases(args.chrom_aliases) if args.chrom_aliases else None
    starts = [window_start(row, args.anchor, args.length) for row in rows]
    windows = [(start, start + args.length) for start in starts]
    var = tracks.feature_table(entries, args.bins)
    width = len(var) // len(entries)
    values = np.empty((len(rows), len(var)), np.float32)
    with log.progress(len(entries), "tracks") as progress:
        for number, entry in enumerate(entries):
            measured = values_of(entry, rows, windows, aliases, args, log)
            covered = tracks.STATISTICS.index("covered")
            unmeasured = np.isnan(measured[:, covered])
            measured[unmeasured, covered] = 0
            measured, missing = tracks.filled(measured)
            if missing:
                log.note(f"{entry.path}: {missing:,} introns are not measured in full or part: medians stand in")
            values[:, number * width : (number + 1) * width] = measured
            progress.add(1)
    provenance = {
        "tool": PROG, "version": __version__, "bins": args.bins, "uncovered": args.uncovered,
        "tracks": [[entry.path.name, entry.target, entry.cell, entry.kind] for entry in entries],
        "window": {"anchor": args.anchor, "length": args.length},
    }  # fmt: skip
    with FeatureWriter(args.output, obs_of(rows, windows), var, "float32", provenance) as writer:
        writer.write(np.arange(len(rows)), values)
        writer.finish()
    log.note(f"{args.output}: {len(rows):,} introns, {len(entries):,} tracks, {len(var):,} features")


def obs_of(rows, windows):
    """The ``obs`` table: the windows' places; there is no sequence, so that digests are of the places."""
    import pandas as pd

    from intronaut.io.h5ad import OBS_COLUMNS, sequence_digest

    table = [
        (row.name, row.chrom, *window, row.strand, window[1] - window[0], 0,
         sequence_digest(f"{row.chrom}:{window[0]}-{window[1]}"))
        for row, window in zip(rows, windows, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(table, columns=["name", *OBS_COLUMNS]).set_index("name")


def values_of(entry, rows, windows, aliases, args, log):
    """The features ``(n, d)`` of one track, NaN where nothing is measured."""
    import numpy as np

    from intronaut.features import tracks
    from intronaut.io.measured_tracks import open_track

    track = open_track(entry.path)
    named = chrom_names(track, entry.path, rows, args.introns, aliases, log)
    described = np.full((len(rows), len(tracks.STATISTICS) + args.bins), np.nan)
    for chrom, numbers in by_chrom(rows).items():
        track_chrom = named[chrom]
        if track_chrom is None:
            if not np.isnan(getattr(track, "outside", np.nan)):
                described[numbers] = [track.outside, track.outside, 1.0, *[track.outside] * args.bins]
            continue
        for start, end, members in stretches(numbers, rows, windows):
            values = track.values(track_chrom, start, end)
            if args.uncovered == "zero":
                values = np.nan_to_num(values)
            stretch = tracks.Stretch(values, start)
            for number in members:
                row, intron = rows[number], (rows[number].start, rows[number].end)
                described[number] = tracks.describe(stretch, windows[number], intron, row.strand == "-", args.bins)
    return described


def chrom_names(track, path, rows, introns, aliases, log):
    """The track's name of every chromosome of the introns, None where it has none; refuses when it has none at all."""
    from intronaut.genome.chromosomes import resolve_chrom, resolve_chroms

    names = {row.chrom for row in rows}
    names_in_track = {name: resolve_chrom(name, track.chroms, aliases) for name in names}
    if not any(track_name is not None for track_name in names_in_track.values()):
        resolve_chroms(names, track.chroms, aliases, source=introns, genome=path)
        raise BadData(f"{path}: has none of the chromosomes of {introns}")
    if lacking := sorted(name for name, track_name in names_in_track.items() if track_name is None):
        log.note(f"{path}: nothing on {', '.join(lacking[:5])}{' …' if len(lacking) > 5 else ''}")
    return names_in_track


def by_chrom(rows):
    """Chromosome → numbers of its rows, by where they start."""
    groups = {}
    for number in sorted(range(len(rows)), key=lambda number: rows[number].start):
        groups.setdefault(rows[number].chrom, []).append(number)
    return groups


def stretches(numbers, rows, windows):
    """Yield ``(start, end, numbers)`` of neighbouring introns whose windows and introns lie in ``[start, end)``."""
    members, start, end = [], 0, 0
    for number in numbers:
        first = min(windows[number][0], rows[number].start)
        last = max(windows[number][1], rows[number].end)
        if members and (first > end + JOINED_GAP or max(end, last) - min(start, first) > MOST_AT_ONCE):
            yield start, end, members
            members = []
        start, end = (min(start, first), max(end, last)) if members else (first, last)
        members.append(number)
    if members:
        yield start, end, members


if __name__ == "__main__":
    run(main, PROG)
