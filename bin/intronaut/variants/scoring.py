"""How a model's logit changes with the DNA of a window, and which windows the alleles of a VCF change.

Linear models: ``sum_j w_j (alternative_j - reference_j)``, which splits exactly by groups of features. Trees and
networks: the difference of two predictions.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import expit, logit

from intronaut.core.errors import BadData, Problems
from intronaut.features.from_model import Source, reopen, source_of_network
from intronaut.features.open_model import open_model
from intronaut.genome.chromosomes import resolve_chrom
from intronaut.interpret.contributions import group_of
from intronaut.io.vcf import Record, contig_lengths, left_out, read_header, read_records
from intronaut.models.calibration import apply_calibration
from intronaut.models.folder import LinearModel, TreeModel
from intronaut.networks.device import pick_device, prepare_torch
from intronaut.networks.sei import WINDOW
from intronaut.variants.alleles import Allele, Context, Introns, context_of, is_reference, random_alleles, trimmed

if TYPE_CHECKING:
    import pandas as pd

    from intronaut.core.log import Log

DEFAULT_LENGTH = 600
# pairs of windows whose features are held at once
PAIRS = 256


class Change(NamedTuple):
    """The logit of the reference, the change by the alternative, and each group's part ``(groups,)`` or None."""

    logit: float
    delta: float
    parts: np.ndarray | None


class Scorer:
    """A model, and what computes its features; reference windows are computed once while they fit into memory."""

    def __init__(
        self,
        model: LinearModel | TreeModel,
        source: Source,
        columns: np.ndarray,
        group: pd.Categorical | None,
        length: int,
        kept_bytes: int,
    ) -> None:
        self.model, self.source, self.columns, self.group = model, source, columns, group
        self.length, self.kept_bytes = length, kept_bytes
        self.kept, self.computed = OrderedDict(), 0

    def changes(self, pairs: list[tuple[str, str]]) -> list[Change]:
        """The Change of each of at most PAIRS ``(reference, alternative)`` sequences."""
        if not pairs:
            return []
        value_of = self._values(pairs)
        reference, alternative = (np.stack([value_of[pair[side]] for pair in pairs]) for side in (0, 1))
        before = self.source.features(reference)[:, self.columns]
        change = self.source.change(reference, alternative)[:, self.columns]
        if not isinstance(self.model, LinearModel):
            first = self.model.logits(before)
            # rounded as the features are, so that none lands on the other side of a threshold
            deltas = self.model.logits((before + change).astype(np.float32).astype(float)) - first
            return [Change(*row, None) for row in zip(first.tolist(), deltas.tolist(), strict=True)]
        weights, intercept = self.model.per_unit()
        # not a matrix product, whose rounding depends on how many rows there are
        first, parts = (before * weights).sum(axis=1) + intercept, change * weights
        if self.group is None:
            return [Change(*row, None) for row in zip(first.tolist(), parts.sum(axis=1).tolist(), strict=True)]
        sums = [np.bincount(self.group.codes, row, len(self.group.categories)) for row in parts]
        return [
            Change(float(one), float(by_feature.sum()), by_feature) for one, by_feature in zip(first, sums, strict=True)
        ]

    def _values(self, pairs):
        """Sequence → values of the embedder, for all sequences of the pairs."""
        references = dict.fromkeys(reference for reference, _ in pairs)
        value_of = {sequence: self.kept[sequence] for sequence in references if sequence in self.kept}
        new = [
            sequence for sequence in dict.fromkeys(text for pair in pairs for text in pair) if sequence not in value_of
        ]
        if new:
            value_of |= zip(new, self.source.compute(new), strict=True)
            self.computed += len(new)
        for sequence in references:
            self.kept[sequence] = np.array(value_of[sequence])
            self.kept.move_to_end(sequence)
        room = self.kept_bytes // max(value_of[pairs[0][0]].nbytes + len(pairs[0][0]), 1)
        while len(self.kept) > max(room, 1):
            self.kept.popitem(last=False)
        return value_of

    def probability(self, logit_of_model: float, prevalence: float | None = None) -> float:
        """The calibrated probability of retention; ``prevalence`` as in predict."""
        notes = self.model.notes
        calibrated = apply_calibration(notes.get("calibration"), logit_of_model)
        if prevalence is not None:
            calibrated = calibrated + logit(prevalence) - logit(notes["prevalence_trained"])
        return float(expit(calibrated))

    @property
    def learnt_from(self) -> str:
        """The digest of the windows that the model learnt from, or None."""
        provenance = self.model.notes["features"]
        return provenance.get("input_sha256") or provenance.get("windows_sha256")


def open_scorer(
    folder: Path | str, files: Any, group_by: str | None, *, threads: int, device: str, kept_bytes: int, log: Log
) -> Scorer:
    """The Scorer of a model folder of fit or finetune; ``files`` as for :func:`intronaut.features.from_model.reopen`.

    Raises MissingInput, UsageError and BadData as reopen and open_model do.
    """
    prepare_torch(threads)
    model = open_model(folder, device)
    if not isinstance(model, LinearModel | TreeModel):
        source, notes = source_of_network(model, log), model.notes
        # the one value of a network is its logit already
        model = LinearModel(notes, np.ones(1), 0.0, np.zeros(1), np.ones(1))
        shortest, longest = notes["window_lengths"]
        length = longest if shortest == longest else notes["spec"].get("length", DEFAULT_LENGTH)
        return Scorer(model, source, np.arange(1), None, length, kept_bytes)
    source, columns = reopen(model.notes, files, threads=threads, device=pick_device(device), log=log)
    linear = isinstance(model, LinearModel)
    group = group_of(source.var.iloc[columns], group_by, folder) if linear else None
    length = WINDOW if model.notes["features"].get("context") == "genome" else DEFAULT_LENGTH
    return Scorer(model, source, columns, group, length, kept_bytes)


class Survey:
    """What a first reading of a VCF tells: every problem of it, its chromosomes, what it touches of the introns.

    ``touched`` are the numbers of the introns whose window holds an allele, ``contexts`` the Contexts of these alleles.
    ``other_lengths`` says which ``##contig`` line gives a chromosome of the records another length than it has, or is
    empty. That alone is no fault: programs write the last position, or any large number. Raises BadData for broken
    lines, for chromosomes none of which is the genome's, and for a REF that the genome does not hold, unless
    ``skip_mismatches``; then too where most REFs of chromosomes of other lengths are not the genome's.
    """

    def __init__(self, path: Path, introns: Introns, skip_mismatches: bool) -> None:
        self.header = read_header(path)
        if any(line.startswith("##INFO=<ID=INTRONAUT_") for line in self.header):
            raise BadData(f"{path}: has INTRONAUT_ scores already; give the VCF without them")
        self.introns, self.genome = introns, introns.genome
        self.records, self.chroms, self.mismatching, self.touched, self.contexts = 0, {}, set(), set(), set()
        by_chrom, wrong_by_chrom = Counter(), Counter()
        wrong = Problems(
            f"{path}: REF is not what {self.genome.path} holds; another assembly? --ref-mismatch skip leaves these out"
        )
        for record in read_records(path):
            self.records += 1
            chrom = record.fields[0]
            if chrom not in self.chroms:
                self.chroms[chrom] = resolve_chrom(chrom, self.genome.lengths, self.genome.aliases)
            by_chrom[chrom] += 1
            if fault := self._mismatch(record):
                wrong_by_chrom[chrom] += 1
                wrong.add(fault, record.line)
                self.mismatching.add(record.line)
            for allele, numbers, _ in self.alleles(record):
                if numbers:
                    self.touched.update(numbers)
                    self.contexts.add(context_of(self.genome, allele))
        self.contexts.discard(None)
        if self.records and not any(self.chroms.values()):
            self.genome.resolve_all(self.chroms, path)  # raises, and shows both sets of names
        others = self._chroms_of_other_length()
        self.other_lengths = next(iter(others.values()), "")
        if len(others) > 1:
            self.other_lengths += f"; {len(others) - 1} more differ"
        if others:
            wrong.where = f"{wrong.where} ({self.other_lengths})"
        # of the genome itself most REFs fit; of another assembly a quarter, by chance
        if not skip_mismatches or sum(wrong_by_chrom[one] for one in others) * 2 > sum(by_chrom[one] for one in others):
            wrong.raise_if_any()

    def _chroms_of_other_length(self):
        """Chromosome of the records → what its ##contig line says, where that is not the genome's length."""
        others = {}
        for chrom, (line, length) in contig_lengths(self.header).items():
            name = self.chroms.get(chrom)
            if name is not None and length != (bases := self.genome.lengths[name]):
                what = f"line {line}: ##contig gives {chrom} {length:,} bases"
                others[chrom] = f"{what}, but {name} of {self.genome.path} has {bases:,}"
        return others

    def _mismatch(self, record):
        chrom = self.chroms[record.fields[0]]
        if chrom is None or all(map(left_out, record.alts)):
            return None
        where, bases = ":".join(record.fields[:2]), self.genome.lengths[chrom]
        start, end = record.start, record.start + len(record.ref)
        if start < 0 or end > bases:
            return f"{where}: REF lies outside of {chrom}, which has {bases:,} bases"
        held = self.genome.fetch(chrom, start, end)
        return None if is_reference(record.ref, held) else f"{where}: {held[:20]}, not REF {record.ref[:20]}"

    def alleles(self, record: Record) -> Iterator[tuple[Allele | None, list[int], str | None]]:
        """Of each ALT ``(Allele or None, the introns whose window holds it, why it is left out or None)``."""
        chrom = self.chroms[record.fields[0]]
        for alt in record.alts:
            reason = left_out(alt)
            if reason or chrom is None or record.line in self.mismatching:
                yield None, [], reason or ("REF is not in the genome" if chrom else "chromosome is not in the genome")
            else:
                allele = trimmed(chrom, record.start, record.ref, alt.upper())
                numbers = self.introns.index.holding(allele)
                yield allele, numbers, None if numbers else "in no window of an intron"


def null_changes(
    context: Context, number: int, touched: list[int], introns: Introns, scorer: Scorer, seed: int
) -> np.ndarray:
    """Sorted absolute changes of the logit by up to ``number`` random alleles of a Context in windows ``touched``."""
    drawn = random_alleles(introns.genome, context, [introns.places[one] for one in touched], number, seed)
    windows = [(touched[place], introns.alternative(touched[place], allele)) for place, allele in drawn]
    pairs = [(introns.reference(one), alternative) for one, alternative in windows if alternative]
    changes = [
        change for first in range(0, len(pairs), PAIRS) for change in scorer.changes(pairs[first : first + PAIRS])
    ]
    return np.sort([abs(change.delta) for change in changes])


def null_p(delta: float, null: np.ndarray) -> float:
    """The share of changes at least as strong as ``delta``, itself counted with the null: at least 1 / (1 + n)."""
    stronger = len(null) - np.searchsorted(null, abs(delta), side="left")
    return float((1 + stronger) / (1 + len(null)))
