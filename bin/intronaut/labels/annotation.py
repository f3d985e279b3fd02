"""Which introns are retained: by the annotation or by the tables of callers.

A label is 1.0 (retained), 0.0 (spliced) or NaN; every NaN has a reason, one of MEANING.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.core.dna import base_codes
from intronaut.genome.annotation import Annotation, chrom_order
from intronaut.genome.intervals import inside_any

if TYPE_CHECKING:
    from intronaut.genome.reference import Genome

# why an intron or peak has no label, or is not in labels.tsv at all
MEANING = {
    "unmeasured": "no caller has a value for it, or no read tells",
    "low_evidence": "beyond a threshold, but with too few reads",
    "grey_zone": "between the thresholds for spliced and retained",
    "uneven": "retained by its ends, but its middle or one end has too few reads",
    "less_retained": "differs between the conditions, but is less retained",
    "body_covered": "spliced by its ends, but reads cover its middle",
    "flagged": "IRFinder flags it: known-exon, anti-over or anti-near",
    "samples_disagree": "some samples of the caller say retained, but too few",
    "callers_disagree": "fewer callers than asked for say the same",
    "only_retained_intron_transcripts": "no transcript splices it but those of biotype retained_intron",
    "inside_exon": "an exon of a transcript of another biotype contains it",
    "introns_unlabelled": "only introns without a label cover enough of the peak",
    "no_strand": "annotated without a strand, so without donor and acceptor",
    "too_short": "shorter than --min-length",
    "too_long": "a gap between exons longer than --max-length: two loci under one name, more likely",
    "trans_spliced": "the transcript is joined from several RNAs, so that its gaps may be no introns",
    "ribosomal_slippage": "a gap where the ribosome changes its frame",
    "repeated_exon_numbers": "its transcript has several exons of one number, as several copies have",
    "outside_genome": "ends beyond its chromosome, as over the origin of a circular one",
    "chrom_not_in_fasta": "its chromosome is not in the FASTA",
    "chrom_not_annotated": "its chromosome has no annotated intron",
    "gene_not_annotated": "called by gene, and the annotation has no such gene",
    "not_annotated": "called, but no annotated intron has these coordinates",
    "other_strand": "called on one strand, annotated on the other",
    "duplicate": "the same peak came earlier in the file",
    "outside_introns": "the peak overlaps no intron",
    "overlap_below_minimum": "no introns of one label cover enough of the peak",
    "touches_retained": "the peak lies on a spliced intron but touches a retained one",
    "on_flanking_exon": "the peak touches an exon beside a retained intron",
    "outside_genes": "the peak does not lie inside a gene (--paper)",
    "not_drawn": "a possible negative that the draw left out (--paper)",
}

# what was left out of the annotation, or read in another way than as exons
USED_OTHERWISE = {
    "transcripts_read_from_cds_and_utr": "transcripts have no exon line: their CDS and UTR were taken",
    "transcripts_without_exons": "transcripts have neither exon nor CDS and are left out",
    "genes_without_exons": "genes have neither exon nor CDS and are left out",
    "transcript_lines_without_id": "transcript lines have no transcript_id; the exons have, and are read",
    "cds_and_utr_lines_without_transcript": "CDS or UTR lines name no transcript and are left out",
    "transcripts_without_gene": "transcripts, all of the file, name no gene by Parent, gene_id or geneID: each stands "
    "for a gene of its own, so that the annotation cannot tell which introns another transcript retains",
    "lines_not_used_with_faults": "lines with faults are of no exon, so that nothing of them is used",
}


def label_by_annotation(
    annotation: Annotation, introns: pd.DataFrame, genes: pd.DataFrame, rule: str
) -> tuple[np.ndarray, np.ndarray]:
    """Label introns by the exons that contain them, of the same gene and strand, longer than the intron at both ends.

    ``retained_intron``: 1 when such an exon belongs to a transcript of biotype retained_intron and another transcript
    splices the intron, else 0. ``strict``: the same, but NaN when an exon of any other transcript contains the intron.
    ``any-exon``: 1 when any exon contains it (as SpliceGrapher's gene models), else 0.

    Args:
        introns, genes: as from ``annotation.distinct_introns``.

    Returns:
        label (float64) and reason (object, None where labelled), one value an intron.
    """
    places = introns.loc[genes["intron"], ["start", "end"]].assign(key=genes["gene"].to_numpy())
    transcript = annotation.exons["transcript"].to_numpy()
    gene, retained = (annotation.transcripts[name].to_numpy()[transcript] for name in ("gene", "retained"))
    exons = annotation.exons.assign(key=gene)

    def contained(exons):
        return np.bincount(genes["intron"], inside_any(places, exons), minlength=len(introns)) > 0

    if rule == "any-exon":
        return contained(exons).astype(float), np.full(len(introns), None, object)
    in_retained = contained(exons[retained])
    others = introns["spliced_by_others"].to_numpy()
    label = (in_retained & others).astype(float)
    reason = np.full(len(introns), None, object)
    reason[~others] = "only_retained_intron_transcripts"
    if rule == "strict":
        reason[others & contained(exons) & ~in_retained] = "inside_exon"
    label[reason != None] = np.nan  # noqa: E711 - elementwise
    return label, reason


def introns_by_annotation(
    annotation: Annotation, introns: pd.DataFrame, genes: pd.DataFrame, rule: str
) -> pd.DataFrame:
    """The introns with label, label_reason and evidence of :func:`label_by_annotation`, and ir_value, which is none."""
    label, reason = label_by_annotation(annotation, introns, genes, rule)
    evidence = ["annotation=NA" if np.isnan(value) else f"annotation={value:.0f}" for value in label]
    return introns.assign(label=label, label_reason=reason, evidence=evidence, ir_value=np.nan)


def base_content(genome: Genome, chroms: dict[str, str], table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """GC fraction and observed/expected CpG of every interval, both NaN where it holds no A, C, G or T.

    CpG o/e = n(CG) · n(ACGT) / (n(C) · n(G)), as Gardiner-Garden & Frommer 1987, J Mol Biol 196:261.

    Args:
        genome: a Genome; ``chroms`` maps the table's chromosome names to its own.
        table: DataFrame chrom, start, end.
    """
    gc, cpg = np.full(len(table), np.nan), np.full(len(table), np.nan)
    for chrom, rows in table.reset_index(drop=True).groupby("chrom", sort=False):
        start, end = rows["start"].to_numpy(), rows["end"].to_numpy()
        first, last = start.min(), end.max()
        codes = base_codes(genome.fetch(chroms[chrom], int(first), int(last)))
        count = [_counts(codes == code, start - first, end - first) for code in range(4)]
        pair = np.zeros(len(codes), bool)
        pair[:-1] = (codes[:-1] == 1) & (codes[1:] == 2)
        # a CG that starts on the last base of an interval reaches out of it
        pairs = _counts(pair, start - first, end - first) - pair[end - first - 1]
        known = sum(count)
        with np.errstate(divide="ignore", invalid="ignore"):
            gc[rows.index] = (count[1] + count[2]) / known
            cpg[rows.index] = pairs * known / (count[1] * count[2])
    cpg[~np.isnan(gc) & ~np.isfinite(cpg)] = 0
    return gc, cpg


def _counts(flags, start, end):
    """How many of the ``flags`` are set in every ``[start, end)``."""
    cuts = np.unique(np.concatenate([[0], start, end]))
    inner = cuts[cuts < len(flags)]
    upto = np.concatenate([[0], np.cumsum(np.add.reduceat(flags, inner, dtype=np.int64))])
    return upto[np.searchsorted(cuts, end)] - upto[np.searchsorted(cuts, start)]


def why_unusable(
    introns: pd.DataFrame, chroms: dict[str, str] | None, min_length: int, outside: pd.Series | None = None
) -> pd.Series:
    """The ledger's reason for every intron, None for the ones that can be labelled.

    ``chroms`` holds the chromosomes that the FASTA has, ``outside`` whether an intron ends beyond its own; None
    without a FASTA.
    """
    reasons = [
        (~introns["strand"].isin(["+", "-"]), "no_strand"),
        (introns["length"] < min_length, "too_short"),
        (np.full(len(introns), chroms is not None) & ~introns["chrom"].isin(chroms or ()), "chrom_not_in_fasta"),
        (np.zeros(len(introns), bool) if outside is None else outside, "outside_genome"),
    ]
    return pd.Series(np.select(*zip(*reasons, strict=True), None), introns.index, dtype=object)


def count_labels(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """How many rows have each label, and why the others have none."""
    label = table["label"]
    labels = {"1": int((label == 1).sum()), "0": int((label == 0).sum()), "NA": int(label.isna().sum())}
    return {"labels": labels, "unlabelled": table["label_reason"].value_counts().to_dict()}


def loci(table: pd.DataFrame) -> pd.Series:
    """``chrom:start-end`` of every row."""
    return table["chrom"] + ":" + table["start"].astype(str) + "-" + table["end"].astype(str)


def ledger_table(ledger: pd.DataFrame, unit: str) -> pd.DataFrame:
    """The ledger in its columns and in genome order: BED6, unit, source and reason."""
    name = ledger["name"].fillna(loci(ledger)) if "name" in ledger else loci(ledger)
    ledger = ledger.assign(order=chrom_order(ledger["chrom"]), name=name, score=0, unit=unit)
    ledger = ledger.sort_values(["order", "start", "end", "strand"], kind="stable")
    return ledger[["chrom", "start", "end", "name", "score", "strand", "unit", "source", "reason"]]
