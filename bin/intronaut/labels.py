"""Which introns are retained: by the annotation or by the tables of callers.

A label is 1.0 (retained), 0.0 (spliced) or NaN; every NaN has one of REASONS.
"""

import numpy as np

from intronaut.callers import CALL_COLUMNS
from intronaut.intervals import inside_any
from intronaut.seqio import base_codes

# why an intron or peak of labels.tsv has no label
REASONS = {
    "unmeasured": "no caller has a row with a value for it",
    "low_evidence": "measured, but too few reads for a call",
    "grey_zone": "measured, between the thresholds for spliced and retained",
    "callers_disagree": "fewer callers than asked for say the same",
    "only_retained_intron_transcripts": "no transcript splices it but those of biotype retained_intron",
    "inside_exon": "an exon of a transcript of another biotype contains it",
    "introns_unlabelled": "only introns without a label cover enough of the peak",
}
# why an intron or peak of the input is not in labels.tsv
LEDGER_REASONS = {
    "no_strand": "annotated without a strand, so that it has no donor and acceptor",
    "too_short": "shorter than --min-length",
    "chrom_not_in_fasta": "its chromosome is not in the FASTA",
    "chrom_not_annotated": "its chromosome has no annotated intron",
    "not_annotated": "called, but no annotated intron has these coordinates",
    "other_strand": "called on one strand, annotated on the other",
    "outside_introns": "the peak overlaps no intron",
    "duplicate": "the same interval came earlier in the file",
    "overlap_below_minimum": "no retained and no spliced intron covers enough of the peak",
    "touches_retained": "the peak lies on a spliced intron but touches a retained one",
}
RULES = ("retained_intron", "strict", "any-exon")


def label_by_annotation(annotation, introns, genes, rule):
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
    about = annotation.transcripts.iloc[annotation.exons["transcript"]]
    exons = annotation.exons.assign(key=about["gene"].to_numpy())
    in_any = _any_per_intron(introns, genes, inside_any(places, exons))
    if rule == "any-exon":
        return in_any.astype(float), np.full(len(introns), None, object)
    in_retained = _any_per_intron(introns, genes, inside_any(places, exons[about["retained"].to_numpy()]))
    others = introns["spliced_by_others"].to_numpy()
    label = (in_retained & others).astype(float)
    reason = np.full(len(introns), None, object)
    reason[~others] = "only_retained_intron_transcripts"
    if rule == "strict":
        reason[others & in_any & ~in_retained] = "inside_exon"
    label[reason != None] = np.nan  # noqa: E711 - elementwise
    return label, reason


def _any_per_intron(introns, genes, found):
    return np.bincount(genes["intron"], found, minlength=len(introns)) > 0


def match_calls(calls, introns, chrom_names):
    """Find the annotated intron of every call by its coordinates, and by its strand where the caller tells one.

    Args:
        calls: rows of a caller's reader.
        introns: DataFrame chrom, start, end, strand.
        chrom_names: dict from the calls' chromosome names to those of ``introns``, None where there is none.

    Returns:
        the calls that match, with their ``intron`` (row of introns; a call without a strand may match on both), and
        the ones that do not, one row for each distinct place, with the ``reason``.
    """
    calls = calls.assign(own=calls["chrom"].map(chrom_names), call=np.arange(len(calls)))
    places = introns[["chrom", "start", "end"]].assign(intron=np.arange(len(introns)), other=introns["strand"])
    found = calls.merge(places.rename(columns={"chrom": "own"}), how="left", on=["own", "start", "end"])
    right_strand = (found["strand"] == ".") | (found["strand"] == found["other"])
    matched = found[found["intron"].notna() & right_strand].astype({"intron": "int64"})
    lost = found[~found["call"].isin(matched["call"])].drop_duplicates("call")
    reason = np.where(lost["intron"].notna(), "other_strand", "not_annotated")
    lost = lost.assign(reason=np.where(lost["own"].isna(), "chrom_not_annotated", reason))
    lost = lost.drop_duplicates(["chrom", "start", "end", "strand"])
    return matched[["intron", *CALL_COLUMNS]], lost[["chrom", "start", "end", "strand", "caller", "reason"]]


def classify(calls, retained, spliced):
    """Label (float64) and reason of every call: 1 from ``retained`` up, 0 from ``spliced`` down, each with evidence.

    ``retained`` and ``spliced`` are arrays of thresholds, one value a call.
    """
    value = calls["value"].to_numpy()
    high, low = value >= retained, value <= spliced
    enough = np.where(high, calls["can_retain"], np.where(low, calls["can_splice"], True))
    label = np.where(high & enough, 1.0, np.where(low & enough, 0.0, np.nan))
    reason = np.where(~np.isnan(label), None, np.where(high | low, "low_evidence", "grey_zone"))
    return label, reason


def consensus(label, reason, intron, n_introns, at_least):
    """One label an intron: retained when ``at_least`` callers say so, spliced when that many do and none says retained.

    With ``at_least`` 1, one caller that calls the intron retained is enough and outvotes any number that do not: most
    callers miss most retained introns (David et al. 2022, Genome Biol 23:240).

    Args:
        label, reason, intron: one value for each intron of each caller; intron is the row.

    Returns:
        label (float64) and reason (object), one value an intron; introns without any call are ``unmeasured``.
    """
    n_retained = np.bincount(intron, label == 1, minlength=n_introns)
    n_spliced = np.bincount(intron, label == 0, minlength=n_introns)
    result = np.full(n_introns, np.nan)
    result[(n_spliced >= at_least) & (n_retained == 0)] = 0
    result[n_retained >= at_least] = 1
    why = np.full(n_introns, "unmeasured", object)
    for name in ("grey_zone", "low_evidence"):
        why[intron[reason == name]] = name
    why[(n_retained + n_spliced) > 0] = "callers_disagree"
    why[~np.isnan(result)] = None
    return result, why


def evidence_text(calls, n_introns):
    """``caller=value`` of every caller that has a row for the intron, joined by ``;``; None where none has."""
    texts = calls["caller"] + "=" + calls["value"].map("{:.6g}".format)
    return texts.groupby(calls["intron"]).agg(";".join).reindex(range(n_introns)).replace(np.nan, None)


def base_content(genome, chroms, table):
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
