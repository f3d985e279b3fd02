"""The counts of whole samples: files opened, library inferred, chromosomes counted side by side, parts summed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, TryAgain
from intronaut.core.memory import give_back_memory
from intronaut.core.processes import forked_pool
from intronaut.io.fragments import ReadRules, ReadTally, read_fragments
from intronaut.labels.fragment_counts import ChromCounter, ChromCounts, FragmentTally
from intronaut.labels.intron_bodies import chrom_introns

SHORT, LONG = "short", "long"
OVERHANG, WOBBLE = {SHORT: 5, LONG: 20}, {SHORT: 0, LONG: 5}
# share of fragments with the orientation of read 1 above which a library is forward; below 1 - this, reverse
STRANDED_SHARE = 0.8
FEWEST_FRAGMENTS = 50
# what the tasks of a pool read; forked workers inherit it
_SHARED = {}


@dataclass
class CountOptions:
    """How to count: None and ``auto`` stand for what the reads say."""

    strand: str = "auto"
    kind: str = "auto"
    overhang: int | None = None
    wobble: int | None = None
    min_mapq: int = 10
    keep_multimapped: bool = False
    drop_duplicates: bool = False


@dataclass
class ReadSample:
    """A sample and its alignment files: (Alignments, dict from its chromosomes to the annotation's)."""

    name: str
    files: list
    strand: str | None = None
    kind: str | None = None
    condition: str | None = None


@dataclass
class SampleCounts:
    """What was counted of a sample, and how.

    ``chroms`` has the ChromCounts of the annotation's chromosomes, ``other_junctions`` those of others by their name.
    ``share`` is the part of the fragments on genes of one strand whose read 1 shows that strand, None without any.
    """

    kind: str
    overhang: int
    wobble: int
    library: str
    share: float | None
    reads: ReadTally = field(default_factory=ReadTally)
    fragments: FragmentTally = field(default_factory=FragmentTally)
    chroms: dict = field(default_factory=dict)
    others: dict = field(default_factory=dict)
    rules: ReadRules | None = None


class Introns:
    """The introns of an annotation with what can be measured of them; made once for each overhang.

    Args:
        table, genes: those of ``annotation.distinct_introns``.
        exons: those of ``intron_bodies.distinct_exons``, a dict by chromosome.
        spans: as from ``intron_bodies.gene_spans``.
        excluded: DataFrame chrom, start, end of the regions not to measure; None for none.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        genes: pd.DataFrame,
        exons: dict[str, pd.DataFrame],
        spans: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]],
        excluded: pd.DataFrame | None = None,
    ) -> None:
        self.table, self.genes, self.exons, self.spans = table, genes, exons, spans
        self.excluded = pd.DataFrame({"chrom": [], "start": [], "end": []}) if excluded is None else excluded
        self._by_overhang = {}

    def chroms(self, overhang: int) -> dict[str, Any]:
        """A dict from chromosome to (rows of ``table``, ChromIntrons), in the order of the table."""
        if overhang not in self._by_overhang:
            about = chrom_introns(self.table, self.genes, self.exons, self.spans, self.excluded, overhang)
            self._by_overhang[overhang] = {chrom: (rows, introns) for chrom, rows, introns in about}
        return self._by_overhang[overhang]


def count_samples(
    samples: list[ReadSample], introns: Introns, options: CountOptions, threads: int = 1
) -> Iterator[tuple[ReadSample, SampleCounts]]:
    """Yield ``(ReadSample, SampleCounts)`` in order; the counts are the same for any number of threads.

    Args:
        samples: list of ReadSample; ``introns``: Introns; ``options``: CountOptions.
        threads: processes; with more than one, a file with an index is counted by chromosome.

    Raises:
        BadData: files that break off or are not sorted, and short and long reads in one sample.
        TryAgain: a process was killed, as it is for lack of memory.
    """
    plans = [_plan(sample, introns, options) for sample in samples]
    give_back_memory()
    with _Pool(plans, threads) as pool:
        for plan in plans:
            counts = pool.counts(plan, library=None)
            if plan.wobble:
                # which intron a junction of a long read stands for depends on the strand, known only now
                counts = pool.counts(plan, library=counts.library)
            yield plan.sample, counts


@dataclass
class _Plan:
    sample: ReadSample
    chroms: dict
    kind: str
    overhang: int
    wobble: int
    rules: ReadRules
    strand: str


def _plan(sample, introns, options):
    kind = sample.kind or options.kind
    if kind == "auto":
        kinds = {LONG if file.has_long_reads() else SHORT: file.source for file, _ in sample.files}
        if len(kinds) > 1:
            raise BadData(
                f"{sample.name}: {kinds[LONG]} has long reads and {kinds[SHORT]} short ones; count them as two samples"
            )
        (kind,) = kinds
    overhang = options.overhang or OVERHANG[kind]
    wobble = WOBBLE[kind] if options.wobble is None else options.wobble
    strand = sample.strand or options.strand
    tags = strand in ("auto", "unstranded")
    rules = ReadRules(overhang, options.min_mapq, options.keep_multimapped, options.drop_duplicates, tags)
    return _Plan(sample, introns.chroms(overhang), kind, overhang, wobble, rules, strand)


class _Pool:
    """Counts the parts of files, in this process or in several."""

    def __init__(self, plans, threads):
        self.plans, self.threads, self.executor, self.first = plans, threads, None, {}

    def __enter__(self):
        if self.threads > 1:
            _SHARED["plans"] = self.plans
            self.executor = forked_pool(self.threads)
            self._look_ahead(0)
        return self

    def __exit__(self, *raised):
        if self.executor:
            self.executor.shutdown(wait=True, cancel_futures=True)
            _SHARED.clear()

    def _look_ahead(self, number):
        """Submit a sample, and of those after it only what keeps the processes at work, since counts take memory."""
        n_ahead = 0
        for later in range(number, len(self.plans)):
            if later not in self.first:
                self.first[later] = self._submitted(later, None)
            n_ahead += len(self.first[later]) if later > number else 0
            if n_ahead >= self.threads:
                return

    def _submitted(self, number, library):
        files = enumerate(self.plans[number].sample.files)
        tasks = [(number, place, part, library) for place, (file, _) in files for part in file.parts()]
        return [self.executor.submit(_counted_task, task) for task in tasks]

    def counts(self, plan, library):
        """The SampleCounts of a plan; ``library`` is known in the second pass only."""
        if self.executor is None:
            parts = (count_part(plan, place, None, library) for place in range(len(plan.sample.files)))
        else:
            number = self.plans.index(plan)
            if library is None:
                self._look_ahead(number)
            parts = _results(self.first.pop(number) if library is None else self._submitted(number, library))
        try:
            return _summed(plan, parts, library)
        except BrokenProcessPool as problem:
            advice = "a process was killed, as the system does when memory runs out; use fewer --threads"
            raise TryAgain(f"{plan.sample.name}: {advice}") from problem


def _results(futures):
    """The results in order, none of which is held here once it is given."""
    futures.reverse()
    while futures:
        yield futures.pop().result()


def _counted_task(task):
    number, *part = task
    return count_part(_SHARED["plans"][number], *part)


def count_part(
    plan: _Plan, place: int, part: str | None, library: str | None
) -> tuple[ReadTally, dict[tuple[bool, str], ChromCounts]]:
    """Count one file of a plan, or one chromosome of it: the ReadTally and a dict from (known, name) to ChromCounts.

    ``known`` is whether the annotation has the chromosome; the name is then the annotation's.
    """
    file, names = plan.sample.files[place]
    wobble = plan.wobble if library else 0
    references, counters, tally = list(file.lengths), {}, ReadTally()
    for number, fragments in read_fragments(file.records(part), plan.rules, tally, file.source):
        if number not in counters:
            name = names.get(references[number])
            introns = plan.chroms[name][1] if name in plan.chroms else None
            counters[number] = ChromCounter(introns, wobble, library)
        counters[number].add(fragments)
    file.check_count(part, tally.records)
    counts = {}
    for number, counter in counters.items():
        name = names.get(references[number])
        known = name in plan.chroms
        counts[known, name if known else references[number]] = counter.finished()
    return tally, counts


def _summed(plan, parts, library):
    reads, chroms = ReadTally(), {True: {}, False: {}}
    for tally, counts in parts:
        reads.add(tally)
        for (known, name), part in counts.items():
            if name in chroms[known]:
                chroms[known][name].merge(part)
            else:
                chroms[known][name] = part
    reads.dropped = Counter({name: n for name, n in reads.dropped.items() if n})
    fragments = FragmentTally()
    for counts in (*chroms[True].values(), *chroms[False].values()):
        fragments.add(counts.tally)
    decided, share = library_of(fragments, plan.strand)
    numbers = plan.kind, plan.overhang, plan.wobble, library or decided, share
    return SampleCounts(*numbers, reads, fragments, chroms[True], chroms[False], plan.rules)


def library_of(fragments: FragmentTally, strand: str = "auto") -> tuple[str, float | None]:
    """``(library, share)`` of a FragmentTally: by the share of fragments whose read 1 shows the gene's strand."""
    n = fragments.same + fragments.opposite
    share = fragments.same / n if n else None
    if strand != "auto":
        return strand, share
    if n < FEWEST_FRAGMENTS:
        return "unstranded", share
    if share >= STRANDED_SHARE:
        return "forward", share
    # 1 - 0.8 is a little less than 0.2 in binary
    return ("reverse" if share <= 0.2 else "unstranded"), share
