"""From alignment records to sequenced fragments: which records count, and which mates belong together.

A fragment is the kept paired records of one name on one chromosome; any other kept record is a fragment of its own.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from intronaut.core.errors import BadData
from intronaut.io.cigars import NO_ALIGNMENT, ShapeNumbers, Shapes

if TYPE_CHECKING:
    import pysam

# in the order in which they are asked; a record counts for the first that fits
FLAG_REASONS = {"unmapped": 0x4, "secondary": 0x100, "supplementary": 0x800, "qc_fail": 0x200, "duplicate": 0x400}
REASONS = (*FLAG_REASONS, "multimapped", "low_mapq", "no_alignment")
PAIRED, UNMAPPED, MATE_UNMAPPED, REVERSE, FIRST_OF_PAIR, DUPLICATE = 0x1, 0x4, 0x8, 0x10, 0x40, 0x400
NO_TAG, PLUS_TAG, MINUS_TAG = 0, 1, 2
# six numbers a record
_BATCH = 6 * 100_000
# beyond this many different CIGAR strings (long reads) they are forgotten after each batch
_MOST_SHAPES = 200_000
_ANYWHERE = 2**40


@dataclass
class ReadRules:
    """Which records count.

    ``overhang``: least aligned bases on either side of a junction or crossed position; ``tags``: whether to read the
    strand tags XS and ts, which only unstranded libraries need.
    """

    overhang: int
    min_mapq: int = 10
    keep_multimapped: bool = False
    drop_duplicates: bool = False
    tags: bool = True


@dataclass
class Fragments:
    """Some whole fragments of one chromosome.

    Args:
        start, shape: int64 arrays, one value a record: its first base, its row of ``shapes``.
        fragment: int64, one value a record, from 0, not decreasing.
        reverse: bool, one a fragment: whether read 1 shows the minus strand.
        tag: int8, one a fragment: NO_TAG, PLUS_TAG or MINUS_TAG, the transcript's strand by XS or ts of the first
            record that has one.
    """

    start: np.ndarray
    shape: np.ndarray
    fragment: np.ndarray
    reverse: np.ndarray
    tag: np.ndarray
    shapes: Shapes


@dataclass
class ReadTally:
    """How many records there were, why the others were left out, and what the tags and qualities were like.

    ``shared_names`` counts the names of more than two kept records, which are no pair of one fragment.
    """

    records: int = 0
    kept: int = 0
    duplicates: int = 0
    shared_names: int = 0
    dropped: Counter = field(default_factory=Counter)
    has_nh: bool = False
    qualities: set = field(default_factory=set)

    def add(self, other: ReadTally) -> None:
        """Add what another part of the same sample has."""
        self.records += other.records
        self.kept += other.kept
        self.duplicates += other.duplicates
        self.shared_names += other.shared_names
        self.dropped += other.dropped
        self.has_nh |= other.has_nh
        self.qualities |= other.qualities


def flag_reason(flag: int, drop_duplicates: bool) -> str:
    """The first of FLAG_REASONS that fits the flag, or None."""
    reasons = FLAG_REASONS.items()
    return next((name for name, bit in reasons if flag & bit and (bit != DUPLICATE or drop_duplicates)), None)


def strand_tag(record: pysam.AlignedSegment) -> int:
    """The transcript's strand by XS:A (absolute) or ts:A (relative to the read): one of the TAG codes."""
    if record.has_tag("XS"):
        value = record.get_tag("XS")
        if value == "+":
            return PLUS_TAG
        if value == "-":
            return MINUS_TAG
    if record.has_tag("ts"):
        value = record.get_tag("ts")
        if value in ("+", "-"):
            return PLUS_TAG if (value == "+") != record.is_reverse else MINUS_TAG
    return NO_TAG


def read_fragments(
    records: Iterable[pysam.AlignedSegment], rules: ReadRules, tally: ReadTally, source: str
) -> Iterator[tuple[int, Fragments]]:
    """Yield ``(number of the chromosome, Fragments)``, batch by batch, from records sorted by coordinate.

    Mates wait for each other until every place where one of them can be has been passed.

    Args:
        records: pysam.AlignedSegment, those of a chromosome in order of their start.
        rules: ReadRules.
        tally: ReadTally, to which the records are added.
        source: the file, for the message.

    Raises:
        BadData: the records are not sorted, or break the format: aligned to no chromosome of the header, NH that is
            no number, a name that is no text.
    """
    # one loop of about 1.5 µs a record, and therefore one function: what can wait is done for a batch at a time
    unusable = sum(bit for bit in FLAG_REASONS.values() if bit != DUPLICATE or rules.drop_duplicates)
    flags, n_records, n_multimapped, n_low, n_empty = Counter(), 0, 0, 0, 0
    keep_multimapped, min_mapq, read_tags = rules.keep_multimapped, rules.min_mapq, rules.tags
    pool = _Pool(rules.overhang)
    rows, shapes, number_of, next_number = pool.rows, pool.shapes, pool.numbers, pool.count.__next__
    chrom, last = None, 0
    for record in records:
        n_records += 1
        flag = record.flag
        if flag & unusable:
            flags[flag] += 1
            if flag & UNMAPPED and record.reference_id < 0 and record.cigarstring:
                raise BadData(f"{source}: read {record.query_name} is aligned to a place that its header (@SQ) does "
                              "not name; take the header that the aligner wrote")  # fmt: skip
            continue
        if record.has_tag("NH"):
            tally.has_nh = True
            copies = record.get_tag("NH")
            if type(copies) is not int:
                raise BadData(f"{source}: read {record.query_name} has NH {copies!r}, which is no whole number")
            if not keep_multimapped and copies > 1:
                n_multimapped += 1
                continue
        quality = record.mapping_quality
        tally.qualities.add(quality)
        if quality < min_mapq:
            n_low += 1
            continue
        shape = shapes[record.cigarstring]
        if shape == NO_ALIGNMENT:
            n_empty += 1
            continue
        start, reference = record.reference_start, record.reference_id
        if reference != chrom or start < last:
            if chrom is not None and reference <= chrom:
                raise BadData(f"{source}: not sorted by coordinate at read {record.query_name}; sort it by samtools")
            if chrom is not None:
                yield chrom, pool.fragments(None)
                rows, shapes, number_of, next_number = pool.rows, pool.shapes, pool.numbers, pool.count.__next__
                shape = shapes[record.cigarstring]
            chrom = reference
        last = start
        tag = strand_tag(record) if read_tags else NO_TAG
        if flag & PAIRED:
            mate = record.next_reference_id
            elsewhere = flag & MATE_UNMAPPED or (mate >= 0 and mate != reference)
            until = start if elsewhere else record.next_reference_start if mate >= 0 else _ANYWHERE
            try:
                number = number_of[record.query_name]
            except UnicodeDecodeError as problem:
                raise BadData(f"{source}: the name of a read is no text: {problem.object[:60]!r}") from problem
            rows.extend((start, shape, flag, tag, number, until))
        else:
            rows.extend((start, shape, flag, tag, next_number(), start))
        if len(rows) >= _BATCH:
            yield chrom, pool.fragments(start)
            rows, shapes, number_of, next_number = pool.rows, pool.shapes, pool.numbers, pool.count.__next__
    if chrom is not None:
        yield chrom, pool.fragments(None)
    for flag, n in flags.items():
        tally.dropped[flag_reason(flag, rules.drop_duplicates)] += n
    tally.dropped += Counter(multimapped=n_multimapped, low_mapq=n_low, no_alignment=n_empty)
    tally.records += n_records
    tally.kept += n_records - sum(flags.values()) - n_multimapped - n_low - n_empty
    tally.duplicates += pool.n_duplicates
    tally.shared_names += pool.n_shared_names


class _Pool:
    """Kept records of one chromosome that wait for their mates.

    ``rows`` takes start, shape, flag, tag, number of the fragment and the last place where a mate can start, one behind
    the other; ``numbers`` gives the number of a name, ``count`` that of an unpaired record; ``shapes`` that of a CIGAR.
    """

    def __init__(self, overhang):
        self.shapes = ShapeNumbers(overhang)
        self.n_duplicates = self.n_shared_names = 0
        self.waiting = np.empty((0, 6), np.int64)
        self._restart({}, 0)

    def _restart(self, numbers, n_waiting):
        self.rows = array("q")
        self.count = count(n_waiting)
        self.numbers = defaultdict(self.count.__next__, numbers)

    def fragments(self, place):
        """The Fragments that no record from ``place`` on belongs to, all for None; the others go on waiting."""
        rows = np.concatenate([self.waiting, np.array(self.rows).reshape(-1, 6)])
        self.n_duplicates += int(np.count_nonzero(rows[len(self.waiting) :, 2] & DUPLICATE))
        rows = rows[np.argsort(rows[:, 4], kind="stable")]
        first = np.flatnonzero(np.diff(rows[:, 4], prepend=-1))
        size = np.diff(first, append=len(rows))
        whole = np.ones(len(first), bool)
        if place is not None:
            whole = np.maximum.reduceat(np.maximum(rows[:, 0], rows[:, 5]), first) < place
        self.n_shared_names += np.count_nonzero(size[whole] > 2)
        finished = _fragments(rows[np.repeat(whole, size)], size[whole], self.shapes.table())
        self._keep(rows[np.repeat(~whole, size)], whole)
        return finished

    def _keep(self, rows, whole):
        number = np.cumsum(~whole) - 1
        self.waiting = rows
        rows[:, 4] = number[rows[:, 4]]
        numbers = list(self.numbers.items())
        is_kept = ~whole[np.fromiter((n for _, n in numbers), np.int64, len(numbers))]
        kept = [numbers[i] for i in np.flatnonzero(is_kept)]
        self._restart({name: int(number[n]) for name, n in kept}, np.count_nonzero(~whole))
        if len(self.shapes) > _MOST_SHAPES:
            cigars, old = {shape: cigar for cigar, shape in self.shapes.items()}, rows[:, 1].tolist()
            self.shapes = ShapeNumbers(self.shapes.overhang)
            rows[:, 1] = [self.shapes[cigars[shape]] for shape in old]


def _fragments(rows, size, shapes):
    """The Fragments of rows that lie fragment by fragment, ``size`` of them each."""
    start, shape, flag, tag = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
    first = np.cumsum(size) - size
    reverse = (flag & REVERSE) > 0
    is_read_1 = (flag & (PAIRED | FIRST_OF_PAIR)) != PAIRED
    if len(size) == len(rows):
        return Fragments(start, shape, np.arange(len(rows)), reverse == is_read_1, tag.astype(np.int8), shapes)
    place = np.arange(len(rows))
    at_read_1 = np.minimum.reduceat(np.where(is_read_1, place, len(rows)), first)
    has_read_1 = at_read_1 < len(rows)
    shown = np.where(has_read_1, at_read_1, first)
    at_tag = np.minimum.reduceat(np.where(tag != NO_TAG, place, len(rows)), first)
    first_tag = np.append(tag, NO_TAG)[at_tag].astype(np.int8)
    return Fragments(
        start, shape, np.repeat(np.arange(len(size)), size), reverse[shown] == has_read_1, first_tag, shapes
    )
