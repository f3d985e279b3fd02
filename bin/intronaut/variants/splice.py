"""What variants do to the acceptors and donors around them, by the rules of SpliceAI and CI-SpliceAI.

For every allele and gene the reference and the alternative sequence are read by the networks, the alternative's
probabilities are brought to the reference's positions, and the largest gains and losses of acceptors and donors at most
``distance`` bases away are reported (Jaganathan et al. 2019, Cell 176:535; Strauch et al. 2022, PLoS ONE 17(6):
e0269159). Unlike the original program, genes and known sites keep their coordinates at the ends of chromosomes, a
gene's last base belongs to it, and what a deletion takes away lies behind the base it is anchored at, not before it.

Positions are 0-based on the forward strand; those reported are relative to POS of the VCF.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from intronaut.features.splice import JOINED_GAP, ROWS, Tracks, joined
from intronaut.io.vcf import Record, left_out
from intronaut.networks.splice import ACCEPTOR, CONTEXT, DONOR

if TYPE_CHECKING:
    import torch

    from intronaut.core.log import Log
    from intronaut.genome.gene_spans import Gene, GeneSpans
    from intronaut.genome.reference import Genome
    from intronaut.genome.windows import Row
    from intronaut.variants.scoring import Survey

KINDS = ("acceptor_gain", "acceptor_loss", "donor_gain", "donor_loss")
# below this a position is the largest of noise
SMALLEST_EFFECT = 0.001
# alternatives of one length that are computed together
TOGETHER = 4


class Shape(NamedTuple):
    """An allele as bases to bring into line: REF starts at ``start``; REF and ALT share ``prefix`` first bases, and
    then differ in ``lost`` bases of REF and ``gained`` of ALT."""

    start: int
    ref: int
    alt: int
    prefix: int
    lost: int
    gained: int


def shape_of(start: int, ref: str, alt: str) -> Shape:
    """The Shape of REF at ``start`` and ALT: first bases that both share are set aside first, then last ones."""
    shorter, prefix, suffix = min(len(ref), len(alt)), 0, 0
    while prefix < shorter and ref[prefix] == alt[prefix]:
        prefix += 1
    while suffix < shorter - prefix and ref[len(ref) - 1 - suffix] == alt[len(alt) - 1 - suffix]:
        suffix += 1
    return Shape(start, len(ref), len(alt), prefix, len(ref) - prefix - suffix, len(alt) - prefix - suffix)


def in_line(alternative: np.ndarray, shape: Shape, distance: int, as_original: bool = False) -> np.ndarray:
    """The alternative's probabilities ``(2, 2 distance + alt)`` at the positions of the reference.

    More bases than the reference has become one, with the largest probability of each kind; bases that the alternative
    lacks have none. The original (``as_original``) counts from the base at POS, so that a deletion behind an unchanged
    splice site looks as if the site were lost and another won.
    """
    change = shape.alt - shape.ref
    if change > 0:
        at = distance if as_original else max(distance + shape.prefix + shape.lost - 1, distance)
        largest = alternative[:, at : at + 1 + change].max(axis=1, keepdims=True)
        return np.concatenate([alternative[:, :at], largest, alternative[:, at + 1 + change :]], axis=1)
    if change < 0:
        at = distance if as_original else distance + shape.prefix + shape.gained
        nothing = np.zeros((len(alternative), -change), alternative.dtype)
        return np.concatenate([alternative[:, :at], nothing, alternative[:, at:]], axis=1)
    return alternative


@dataclass
class Effect:
    """What an allele does within one gene: ``changes`` ``(2, n)`` from position ``start`` on, acceptors in row 0.

    ``largest`` maps each of KINDS to ``(size from 0 to 1, position relative to POS or None where there is no effect)``.
    """

    gene: Gene | None
    strand: str
    start: int
    changes: np.ndarray
    largest: dict

    def at_intron(self, intron: Row, distance: int) -> tuple[float, ...]:
        """``(donor_loss, acceptor_loss, donor_gain, acceptor_gain)`` of one intron: the losses of its own two sites,
        0 where they lie too far away, and the largest gains within the intron and ``distance`` bases of it."""
        minus = intron.strand == "-"
        sites = {DONOR: intron.end if minus else intron.start - 1, ACCEPTOR: intron.start - 1 if minus else intron.end}
        first = max(intron.start - distance - self.start, 0)
        around = self.changes[:, first : max(intron.end + distance - self.start, 0)]
        losses, gains = [], []
        for kind in (DONOR, ACCEPTOR):
            at = sites[kind] - self.start
            inside = 0 <= at < self.changes.shape[1]
            losses.append(max(-float(self.changes[ROWS[kind], at]), 0.0) if inside else 0.0)
            gains.append(max(float(around[ROWS[kind]].max(initial=0.0)), 0.0))
        return (*losses, *gains)


def effect_of(
    reference: np.ndarray,
    alternative: np.ndarray,
    shape: Shape,
    gene: Gene | None,
    strand: str,
    distance: int,
    *,
    known: tuple[np.ndarray, np.ndarray] | None = None,
    as_original: bool = False,
) -> Effect:
    """The Effect of an allele from tracks ``(2, n)`` of the reference and the alternative around it.

    Args:
        known: ``(acceptors, donors)`` positions of the gene's own sites: then only gains where none of its kind is and
            losses where one is count.
    """
    changes = in_line(alternative, shape, distance, as_original) - reference
    start = shape.start - distance
    counted = changes
    if known is not None:
        is_known = np.zeros(changes.shape, bool)
        for line, sites in enumerate(known):
            inside = sites[(sites >= start) & (sites < start + changes.shape[1])] - start
            is_known[line, inside] = True
        counted = np.where((changes < 0) == is_known, changes, 0.0)
    largest = {}
    for name, line in (("acceptor", ROWS[ACCEPTOR]), ("donor", ROWS[DONOR])):
        for what, sign in (("gain", 1), ("loss", -1)):
            place = int((sign * counted[line]).argmax())
            size = max(float(sign * counted[line, place]), 0.0)
            largest[f"{name}_{what}"] = size, place - distance if size >= SMALLEST_EFFECT else None
    return Effect(gene, strand, start, changes, largest)


class SpliceScorer:
    """Computes the Effects of alleles.

    Args:
        tracks: a :class:`intronaut.features.splice.Tracks`.
        genes: the GeneSpans of an annotation, or None: then both strands are read, with all bases.
        distance: how far from an allele sites may change.
        mask: count only gains of unknown and losses of known sites.
        outside: read the bases outside the gene too.
    """

    def __init__(
        self,
        tracks: Tracks,
        genes: GeneSpans | None = None,
        *,
        distance: int = 500,
        mask: bool = False,
        outside: bool = False,
        as_original: bool = False,
    ) -> None:
        self.tracks, self.genes, self.distance = tracks, genes, distance
        self.mask, self.outside, self.as_original = mask, outside, as_original

    def genes_at(self, chrom: str, shape: Shape) -> list[tuple[Gene | None, str]]:
        """``(gene or None, strand)`` of everything that an allele may change."""
        genes = [] if self.genes is None else self.genes.at(chrom, shape.start, shape.start + shape.ref)
        if self.as_original:
            # the original takes a gene's last base as outside, and looks at POS alone
            genes = [gene for gene in genes if gene.start <= shape.start < gene.end - 1]
        return [(gene, gene.strand) for gene in genes] or [(None, strand) for strand in "+-"]

    def effects(self, alleles: list[tuple[str, int, str, str]]) -> list[list[Effect]]:
        """The list of Effects of every ``(chrom, start, ref, alt)``, one per gene, upper-case bases.

        The reference is computed once for neighbouring alleles of a gene, alternatives of equal lengths together.
        """
        jobs = []
        for number, (chrom, start, ref, alt) in enumerate(alleles):
            shape = shape_of(start, ref, alt)
            jobs += [(number, chrom, shape, alt, gene, strand) for gene, strand in self.genes_at(chrom, shape)]
        references = self._references(jobs)
        by_allele = [[] for _ in alleles]
        for job, alternative in self._alternatives(jobs):
            number, chrom, shape, _, gene, strand = job
            start, end = self._around(shape)
            track = next(one for one in references[chrom, gene, strand] if one.start <= start and end <= one.end)
            reference = track.part(start, end).mean(axis=0)
            known = self._known(gene) if self.mask else None
            by_allele[number].append(
                effect_of(reference, alternative, shape, gene, strand, self.distance, known=known,
                          as_original=self.as_original)
            )  # fmt: skip
        return by_allele

    def _around(self, shape):
        """``[start, end)`` in which an allele may change sites; the original takes an even number of bases."""
        return shape.start - self.distance, shape.start + shape.ref + self.distance + self._extra(shape)

    def _extra(self, shape):
        return shape.ref % 2 if self.as_original else 0

    def _known(self, gene):
        """``(acceptors, donors)`` of a gene; without one none is known."""
        if gene is None:
            return np.zeros(0, int), np.zeros(0, int)
        return self.genes.acceptors[gene], self.genes.donors[gene]

    def _span(self, gene):
        """The gene that bounds what is read, one base shorter in the original; None for no bounds."""
        if gene is None or self.outside:
            return None
        return gene._replace(end=gene.end - 1) if self.as_original else gene

    def _references(self, jobs):
        """``{(chrom, gene, strand): tracks}`` around all alleles of each gene."""
        stretches = {}
        for _, chrom, shape, _, gene, strand in jobs:
            stretches.setdefault((chrom, gene, strand), []).append(self._around(shape))
        return {
            (chrom, gene, strand): [
                self.tracks.track(chrom, start, end, strand == "-", self._span(gene))
                for start, end in joined(places, JOINED_GAP)
            ]
            for (chrom, gene, strand), places in stretches.items()
        }

    def _alternatives(self, jobs):
        """Yield every job with the track ``(2, 2 distance + alt)`` of its alternative, those of a gene in order."""
        sized = {}
        for job in jobs:
            sized.setdefault((job[5], job[2].alt + self._extra(job[2])), []).append(job)
        by_job = {}
        for (strand, _), sized_alleles in sized.items():
            for first in range(0, len(sized_alleles), TOGETHER):
                part = sized_alleles[first : first + TOGETHER]
                tracks = self.tracks.compute([self._sequence(job) for job in part], strand == "-")
                by_job |= {id(job): track.mean(axis=0) for job, track in zip(part, tracks, strict=True)}
        for job in jobs:
            yield job, by_job[id(job)]

    def _sequence(self, job):
        """The bases around an allele with ALT in place of REF, and their flanks."""
        _, chrom, shape, alt, gene, _ = job
        reach, span = self.distance + CONTEXT, self._span(gene)
        before = self.tracks.bases(chrom, shape.start - reach, shape.start, span)
        end = shape.start + shape.ref
        return before + alt + self.tracks.bases(chrom, end, end + reach + self._extra(shape), span)


# columns beside an intron's change of retention, and those of the table with one row per allele and gene
INTRON_COLUMNS = ("donor_loss", "acceptor_loss", "donor_gain", "acceptor_gain")
GENE_COLUMNS = ("gene_id", "gene_strand", *(name for kind in KINDS for name in (kind, f"{kind}_at")))
RECORDS_TOGETHER = 64


def open_splice_scorer(
    genome: Genome, weights: str, annotation: str, *, device: torch.device, log: Log, **options: bool
) -> SpliceScorer:
    """The SpliceScorer of a weights file; ``annotation`` a GTF or GFF3 file or None; ``options`` as SpliceScorer's."""
    from intronaut.features.splice import Tracks
    from intronaut.genome.chromosomes import resolve_chrom
    from intronaut.genome.gene_spans import read_gene_spans
    from intronaut.networks.splice import open_networks

    networks = open_networks(weights, device=device)
    if annotation is None:
        log.note("splice variants without --annotation: both strands are read, with all bases and no known sites")
        return SpliceScorer(Tracks(networks, genome, log), None, **options)
    genes = read_gene_spans(annotation, lambda chrom: resolve_chrom(chrom, genome.lengths, genome.aliases))
    return SpliceScorer(Tracks(networks, genome, log), genes, **options)


def with_effects(
    records: Iterable[tuple[Record, list[Any]]], scorer: SpliceScorer, survey: Survey
) -> Iterator[tuple[Record, list[Any], list[list[Effect]]]]:
    """Yield ``(record, found, effects)`` of ``(record, found)`` pairs; ``effects`` is a list per ALT, empty where the
    allele cannot be scored. Records are read ahead, so that neighbours share what is computed of the reference."""
    waiting = []
    for record in records:
        waiting.append(record)
        if len(waiting) == RECORDS_TOGETHER:
            yield from _effects_of(waiting, scorer, survey)
            waiting = []
    yield from _effects_of(waiting, scorer, survey)


def _effects_of(records, scorer, survey):
    alleles = {}
    for record, _ in records:
        chrom = survey.chroms[record.fields[0]]
        if chrom is not None and record.line not in survey.mismatching:
            for alt in record.alts:
                if left_out(alt) is None:
                    alleles[record.line, alt] = chrom, record.start, record.ref, alt.upper()
    effects = dict(zip(alleles, scorer.effects(list(alleles.values())), strict=True))
    for record, alts in records:
        yield record, alts, [effects.get((record.line, alt), []) for alt in record.alts]


def of_intron(effects: list[Effect], intron: Row, distance: int) -> tuple[float | None, ...]:
    """INTRON_COLUMNS of one intron, by the longest gene that holds it; None where no effect is of its strand."""
    in_gene = [
        effect for effect in effects
        if effect.strand == intron.strand
        and (effect.gene is None or (effect.gene.start <= intron.start and intron.end <= effect.gene.end))
    ]  # fmt: skip
    if not in_gene:
        return (None,) * len(INTRON_COLUMNS)
    longest = max(in_gene, key=lambda effect: 0 if effect.gene is None else effect.gene.end - effect.gene.start)
    return longest.at_intron(intron, distance)


def gene_row(effect: Effect) -> tuple[float | str | None, ...]:
    """GENE_COLUMNS of one Effect."""
    gene_id = None if effect.gene is None else effect.gene.gene_id
    return (gene_id, effect.strand, *(value for kind in KINDS for value in effect.largest[kind]))
