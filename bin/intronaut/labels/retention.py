"""From counts to the retention of every intron: columns of ``<sample>.introns.tsv.gz``, and the call.

psi is retained / (retained + spliced) by the fragments at the two ends of an intron: each end goes on or is spliced
off, a fair trial with a binomial error. The depth of the body is a witness: it says whether the whole intron is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import betainc, betaincinv

from intronaut.io.tables import BED_COLUMNS
from intronaut.labels.fragment_counts import ANY, CLASS_BITS, MINUS, PLUS, ChromCounts, read_keys, strands_of_classes

if TYPE_CHECKING:
    from intronaut.labels.intron_bodies import Bodies, ChromIntrons

COUNTS = ("ei_left", "ei_right", "sj_left", "sj_right", "sj_exact", "sj_skip", "sj_inside")
BODY = ("depth", "depth_mean", "coverage", "ir_ratio")
LEVELS = ("psi", "psi_low", "psi_high", "n", "retained", "spliced")
COLUMNS = (
    *BED_COLUMNS, "sample", "gene_id", "length", "method", *LEVELS, *COUNTS, "ends", *BODY[:3], "measured", "ir_ratio",
    "balance", "call", "reason", "flags",
)  # fmt: skip
# measured bases from which a body counts as evidence
ENOUGH_BODY = 40
# share of reads that the lower of two ends of an even intron has, as vast-tools tests it: a third and a little more
BALANCE_SHARE = 1 / 3.5
# the thresholds of the call; docs/quantify.md says where each comes from
LIMITS = {
    "retained": 0.10, "spliced": 0.05, "n": 10, "low": 0.05, "high": 0.10, "exact": 1, "spliced_exact": 10,
    "balance": 0.05, "coverage": 0.7, "ratio": 0.05, "spliced_ratio": 0.10,
}  # fmt: skip
_RUNS_AT_ONCE = 2_000_000


@dataclass
class SparseDepth:
    """Depth along a chromosome: from ``place[i]`` on it is ``depth[i]``; places do not decrease."""

    place: np.ndarray
    depth: np.ndarray


def counts_of_introns(introns: ChromIntrons, counts: ChromCounts, library: str) -> dict[str, np.ndarray]:
    """The COUNTS of every intron of a chromosome, as a dict of int64 arrays.

    Args:
        introns: ChromIntrons; ``counts``: its ChromCounts; ``library``: one of LIBRARIES.
    """
    columns = {name: np.zeros(len(introns.start), np.int64) for name in COUNTS}
    strands = strands_of_classes(library)
    for strand in (PLUS, MINUS):
        rows = np.flatnonzero(introns.minus == (strand == MINUS))
        if not len(rows):
            continue
        kinds = np.flatnonzero((strands == strand) | (strands == ANY))
        crossed = np.cumsum(counts.along("crossed", kinds))
        for side, point in (("left", introns.left[rows]), ("right", introns.right[rows])):
            kept, spliced = (counts.along(f"{what}_{side}", kinds) for what in ("kept", "spliced"))
            columns[f"ei_{side}"][rows] = (crossed - kept)[point]
            columns[f"sj_{side}"][rows] = spliced[point]
        start, end = introns.start[rows], introns.end[rows]
        junctions = _junctions([counts.junctions], kinds)
        columns["sj_exact"][rows] = _exact(junctions, start, end)
        inside = _junctions([counts.junctions, counts.inside], kinds)
        columns["sj_inside"][rows] = _contained(inside, start + 1, end - 1)
        over = _junctions([counts.junctions, counts.skip], kinds)
        columns["sj_skip"][rows] = _over(over, start, end)
    return columns


def _junctions(tables, kinds):
    """Start, end and count of the junctions of these classes, sorted by start."""
    keys, counts = (np.concatenate(columns) for columns in zip(*(table.total() for table in tables), strict=True))
    start, end, kind = read_keys(keys)
    wanted = np.isin(kind, kinds)
    start, end, counts = start[wanted], end[wanted], counts[wanted].astype(np.int64)
    order = np.argsort(start, kind="stable")
    return start[order], end[order], counts[order]


def _exact(junctions, start, end):
    left, right, counts = junctions
    known = (start << 32) + end
    place = np.searchsorted(known, (left << 32) + right)
    same = np.append(known, -1)[place] == (left << 32) + right
    return np.bincount(place[same], counts[same], minlength=len(start)).astype(np.int64)


def _contained(junctions, start, end):
    """The sum of the counts of the junctions inside each ``[start, end]``, both ends allowed."""
    left, right, counts = junctions
    low, high = np.searchsorted(left, start, "left"), np.searchsorted(left, end, "right")
    size = np.maximum(high - low, 0)
    sums = np.zeros(len(start), np.int64)
    for rows in _portions(size):
        row = np.repeat(rows, size[rows])
        at = np.arange(len(row)) - np.repeat(np.cumsum(size[rows]) - size[rows], size[rows]) + low[row]
        fits = right[at] <= end[row]
        sums += np.bincount(row[fits], counts[at[fits]], minlength=len(start)).astype(np.int64)
    return sums


def _over(junctions, start, end):
    """The sum of the counts of the junctions that reach beyond both ends of each ``[start, end)``.

    Those that start before, less those of them that end no later than the end: all that do, but the ones inside.
    """
    left, right, counts = junctions
    by_end = np.argsort(right, kind="stable")
    starts, ends = (np.concatenate([[0], np.cumsum(column)]) for column in (counts, counts[by_end]))
    before = starts[np.searchsorted(left, start, "left")]
    ended = ends[np.searchsorted(right[by_end], end, "right")]
    return before - ended + _contained(junctions, start, end)


def _portions(size):
    """Rows in portions of about two million: arrays of row numbers, rows of size 0 left out."""
    rows = np.flatnonzero(size)
    portion = np.cumsum(size[rows]) // _RUNS_AT_ONCE
    return np.split(rows, np.flatnonzero(np.diff(portion)) + 1) if len(rows) else []


def depth_of_strand(counts: ChromCounts, library: str, strand: int) -> SparseDepth:
    """The SparseDepth of the measurable bases for introns of a strand, from ChromCounts."""
    strands = strands_of_classes(library)
    keys, change = counts.depth.total()
    kind = keys & ((1 << CLASS_BITS) - 1)
    wanted = np.isin(kind, np.flatnonzero((strands == strand) | (strands == ANY)))
    return SparseDepth(keys[wanted] >> CLASS_BITS, np.cumsum(change[wanted], dtype=np.int64))


def body_depth(bodies: Bodies, depth: SparseDepth, chosen: np.ndarray) -> np.ndarray:
    """Depth over the bodies of introns: trimmed mean, mean and share of covered bases; NaN without a body.

    The trimmed mean is that of the central 40 % of the bases: 30 % of them, rounded down, are left out at either end.

    Args:
        bodies: Bodies; ``chosen``: bool, the introns wanted; ``depth``: SparseDepth of their strand.

    Returns:
        three float64 arrays, one value an intron, NaN for the others.
    """
    columns = np.full((3, len(bodies.measured)), np.nan)
    wanted = chosen[bodies.intron]
    intron, start, end = bodies.intron[wanted], bodies.start[wanted], bodies.end[wanted]
    # a run of one depth begins with the part, and with every change inside it
    first = np.searchsorted(depth.place, start, "right") - 1
    size = np.searchsorted(depth.place, end, "left") - first
    runs_of = np.bincount(intron, size, minlength=len(bodies.measured)).astype(np.int64)
    bounds = np.searchsorted(intron, np.arange(len(bodies.measured) + 1))
    level = np.append(depth.depth, 0)
    for rows in _portions(runs_of):
        parts = np.arange(bounds[rows[0]], bounds[rows[-1] + 1])
        part = np.repeat(parts, size[parts])
        within = np.arange(len(part)) - np.repeat(np.cumsum(size[parts]) - size[parts], size[parts])
        at = first[part] + within
        begin = np.where(
            within == 0, start[part], depth.place[np.minimum(at, len(depth.place) - 1)] if len(depth.place) else 0
        )
        stop = np.append(begin[1:], 0)
        last = within == size[part] - 1
        stop[last] = end[part[last]]
        columns[:, rows] = _summary(intron[part], level[at], stop - begin, rows, bodies.measured[rows])
    return columns


def _summary(intron, depth, length, rows, measured):
    """Trimmed mean, mean and covered share of runs of depth, sorted by intron; ``rows`` are the introns."""
    row = np.searchsorted(rows, intron)
    order = np.lexsort((depth, row))
    row, depth, length = row[order], depth[order], length[order]
    skip = measured * 30 // 100
    offset = np.cumsum(measured) - measured
    upto = np.cumsum(length) - offset[row]
    inner = np.minimum(upto, (measured - skip)[row]) - np.maximum(upto - length, skip[row])
    total = np.bincount(row, depth * np.maximum(inner, 0), minlength=len(rows))
    mean = np.bincount(row, depth * length, minlength=len(rows)) / measured
    covered = np.bincount(row, length * (depth > 0), minlength=len(rows)) / measured
    return total / (measured - 2 * skip), mean, covered


def retention(counts: dict[str, np.ndarray], bodies: Bodies, depths: np.ndarray) -> pd.DataFrame:
    """The columns from ``method`` to ``balance`` of the introns of a chromosome.

    Args:
        counts: dict of COUNTS, float64 or int64 arrays; ei_ may be NaN where only depth is known.
        bodies: Bodies.
        depths: (depth, depth_mean, coverage) arrays.

    Returns:
        DataFrame, one row an intron, with ``enough_body`` and, for :func:`flags`, numbers as floats.
    """
    table = pd.DataFrame({**counts, "measured": bodies.measured}).astype({"measured": "int64"})
    table["depth"], table["depth_mean"], table["coverage"] = depths
    left, right = ~bodies.left, ~bodies.right
    if np.isnan(np.asarray(counts["ei_left"], float)).any():
        left = right = np.zeros(len(table), bool)
    table["ends"] = _words([left & right, left, right], ["both", "left", "right"])
    table["enough_body"] = table["measured"] >= ENOUGH_BODY
    most = np.maximum(table["sj_left"], table["sj_right"])
    n_ends = left.astype(int) + right
    table["method"] = _words([n_ends > 0, table["enough_body"]], ["boundary", "depth"])
    with np.errstate(invalid="ignore", divide="ignore"):
        table["ir_ratio"] = table["depth"] / (table["depth"] + most)
        for name, side, instead in (("retained", "ei", table["depth"]), ("spliced", "sj", most)):
            ends = [np.where(used, table[f"{side}_{end}"], 0) for end, used in (("left", left), ("right", right))]
            table[name] = np.select([n_ends > 0, table["enough_body"]], [sum(ends) / n_ends, instead], np.nan)
    add_levels(table)
    used = [np.where(use, table[f"ei_{end}"], np.nan) for end, use in (("left", left), ("right", right))]
    table["balance"] = balance([*used, np.where(table["enough_body"], table["depth"], np.nan)])
    return table


def _words(fits, words):
    """The word of the first array that fits each row, else ``none``: few texts, each in memory once."""
    return np.array([*words, "none"], object)[np.select(fits, range(len(words)), len(words))]


def add_levels(table: pd.DataFrame) -> None:
    """Add n, psi and its Jeffreys interval to a table with ``retained`` and ``spliced``."""
    table["n"] = table["retained"] + table["spliced"]
    with np.errstate(invalid="ignore", divide="ignore"):
        table["psi"] = table["retained"] / table["n"]
    table["psi_low"], table["psi_high"] = jeffreys(table["retained"].to_numpy(float), table["spliced"].to_numpy(float))


def jeffreys(retained: np.ndarray, spliced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Jeffreys' 95 % interval, quantiles of Beta(r + ½, s + ½): low is 0 when r is, high is 1 when s is 0; NaN for 0/0.

    Brown, Cai & DasGupta 2001, Stat Sci 16:101.
    """
    pairs, inverse = np.unique(np.column_stack([retained, spliced]), axis=0, return_inverse=True)
    r, s = pairs.T
    low = np.where(r == 0, 0.0, betaincinv(r + 0.5, s + 0.5, 0.025))
    high = np.where(s == 0, 1.0, betaincinv(r + 0.5, s + 0.5, 0.975))
    unknown = ~(r + s > 0)
    low[unknown] = high[unknown] = np.nan
    inverse = inverse.reshape(-1)
    return low[inverse], high[inverse]


def balance(levels: list[np.ndarray]) -> np.ndarray:
    """P(X ≤ min) with X ~ Bin(min + max, 1/3.5) of each row's least and largest level, rounded half to even.

    vast-tools tests so whether both ends and the middle of an intron are read evenly. 1 where both are 0, NaN where
    there is no level. ``levels``: arrays with NaN where a level is not used.
    """
    rows = np.vstack(levels)
    known = ~np.isnan(rows).all(axis=0)
    low = np.rint(np.where(np.isnan(rows), np.inf, rows).min(axis=0, initial=np.inf))[known]
    high = np.rint(np.where(np.isnan(rows), -np.inf, rows).max(axis=0, initial=-np.inf))[known]
    result = np.full(len(known), np.nan)
    pairs, inverse = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
    result[known] = _binomial_upto(*pairs.T)[inverse.reshape(-1)]
    return result


def _binomial_upto(low, high):
    """P(X ≤ low), X ~ Bin(low + high, BALANCE_SHARE); scipy.stats has it too, and takes 50 MB of memory to load."""
    return np.where(high == 0, 1.0, betainc(np.maximum(high, 1), low + 1, 1 - BALANCE_SHARE))


def decide(table: pd.DataFrame, limits: dict[str, float] = LIMITS) -> tuple[np.ndarray, np.ndarray]:
    """The call (1.0 retained, 0.0 spliced, NaN) and its reason (None where there is a call), one an intron.

    Args:
        table: DataFrame with method, n, psi, psi_low, psi_high, sj_exact, balance, coverage, ir_ratio, measured; what
            is missing is not asked.
        limits: the thresholds, as LIMITS.
    """
    psi, exact = table["psi"].to_numpy(float), exact_junctions(table)
    body = (table["measured"].to_numpy(float) >= ENOUGH_BODY) & table["coverage"].notna().to_numpy()
    ratio, coverage = table["ir_ratio"].to_numpy(float), table["coverage"].to_numpy(float)
    n = np.nan_to_num(table["n"].to_numpy(float))
    high, low = psi >= limits["retained"], psi <= limits["spliced"]
    thin_high = (table["psi_low"].to_numpy(float) < limits["low"]) | (exact < limits["exact"])
    thin_low = (table["psi_high"].to_numpy(float) > limits["high"]) | (exact < limits["spliced_exact"])
    uneven = table["balance"].to_numpy(float) < limits["balance"]
    uneven |= body & ((coverage < limits["coverage"]) | (ratio < limits["ratio"]))
    tests = [
        ((table["method"] == "none").to_numpy() | (n == 0), np.nan, "unmeasured"),
        (n < limits["n"], np.nan, "low_evidence"),
        (high & thin_high, np.nan, "low_evidence"),
        (high & uneven, np.nan, "uneven"),
        (high, 1.0, None),
        (low & thin_low, np.nan, "low_evidence"),
        (low & body & (ratio > limits["spliced_ratio"]), np.nan, "body_covered"),
        (low, 0.0, None),
    ]
    fits, calls, reasons = zip(*tests, strict=True)
    reason = np.select(fits, [np.full(len(psi), text, object) for text in reasons], "grey_zone")
    return np.select(fits, calls, np.nan), reason


def exact_junctions(table: pd.DataFrame) -> np.ndarray:
    """sj_exact as float64; what a table of counts calls spliced stands for it."""
    return np.where(table["method"] == "counts", table["spliced"].astype(float), table["sj_exact"].astype(float))


def flags(table: pd.DataFrame, introns: ChromIntrons) -> np.ndarray:
    """What to look at in every intron: names, sorted and joined by ``,``, or ``.``.

    Args:
        table: as from :func:`retention`; ``introns``: object with inside_exon, other_gene, antisense (bool arrays).
    """
    n, exact = np.nan_to_num(table["n"]), exact_junctions(table)
    most = np.maximum(table["sj_left"], table["sj_right"])
    body = table["enough_body"].to_numpy(bool)
    # by name, so that they come sorted
    marks = {
        "antisense": introns.antisense,
        "body_masked": ~body & table["measured"].notna(),
        "inside_exon": introns.inside_exon,
        "low_reads": n < LIMITS["n"],
        "low_splicing": (exact > 0) & (exact < 4),
        "minor_isoform": exact * 1.33 < most,
        "never_spliced": (n > 0) & (exact == 0),
        "other_gene": introns.other_gene,
        "patchy": body & (table["coverage"] < LIMITS["coverage"]) & (table["psi"] > LIMITS["spliced"]),
        "uneven": table["balance"] < LIMITS["balance"],
    }
    return joined_flags(marks, len(table))


def joined_flags(marks: dict[str, Any], n: int) -> np.ndarray:
    """The names of the ``marks`` (dict of bool arrays, in the order of names) that each of ``n`` rows has."""
    code = sum(np.asarray(mark, np.int64) << place for place, mark in enumerate(marks.values()))
    codes, inverse = np.unique(np.broadcast_to(code, n), return_inverse=True)
    texts = [
        ",".join(name for place, name in enumerate(marks) if value >> place & 1) or "." for value in codes.tolist()
    ]
    return np.array(texts, object)[inverse]


def unmeasured(introns: ChromIntrons, bodies: Bodies) -> pd.DataFrame:
    """The columns of a chromosome that the alignments do not have: nothing is measured, and nothing is 0."""
    table = pd.DataFrame({"measured": bodies.measured, "method": "none"})
    left, right = ~bodies.left, ~bodies.right
    table["ends"] = _words([left & right, left, right], ["both", "left", "right"])
    numbers = [name for name in (*LEVELS, *COUNTS, *BODY, "balance") if name != "measured"]
    table = table.join(pd.DataFrame(np.nan, index=table.index, columns=numbers))
    missing = np.ones(len(table), bool)
    marks = {"antisense": introns.antisense, "chrom_missing": missing, "inside_exon": introns.inside_exon}
    marks["other_gene"] = introns.other_gene
    return table.assign(flags=joined_flags(marks, len(table)))


def finished_table(introns: pd.DataFrame, table: pd.DataFrame, sample: str) -> pd.DataFrame:
    """The whole table of a sample in COLUMNS: ``introns`` (distinct_introns with a strand) beside ``table``.

    ``table`` has the columns of :func:`retention` and ``flags``, in the same order. The call is made here. A whole
    annotation has half a million introns: whole numbers are of the least size that holds them.
    """
    table = table.reset_index(drop=True)
    place = introns.reset_index(drop=True)[["chrom", "start", "end", "strand", "gene_id"]]
    table = table.assign(**{name: place[name] for name in place})
    spans = place["start"].astype(str) + "-" + place["end"].astype(str)
    table["name"] = place["chrom"] + ":" + spans + ":" + place["strand"]
    table["score"] = np.floor(1000 * table["psi"].fillna(0) + 0.5).astype("int32")
    table["sample"], table["length"] = sample, place["end"] - place["start"]
    call, reason = decide(table)
    table["call"] = pd.array(call, dtype="Int8")
    table["reason"] = pd.Series(reason, dtype=object).fillna(".")
    for name in (*COUNTS, "measured"):
        table[name] = table[name].astype("Int32")
    places = ("start", "end", "length")
    return table[list(COLUMNS)].astype(dict.fromkeys(places, "int32"))
