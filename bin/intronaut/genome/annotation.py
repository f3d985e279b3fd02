"""Genes, transcripts, exons and introns from a GTF or GFF3 file: Ensembl, GENCODE, NCBI/RefSeq, UCSC, StringTie, SGD.

Coordinates are 0-based, half-open, on the forward strand.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData
from intronaut.genome.gene_lines import read_gene_models
from intronaut.genome.gene_models import LONGEST_SLIPPAGE, SLIPPAGE, TRANS_SPLICED, exons_of

# the longest introns known of humans have 1.2 million bases; lungfish, axolotl and the Y of flies have longer ones
LONGEST_INTRON = 2_000_000


@dataclass
class Annotation:
    """What a gene annotation says, as DataFrames whose rows refer to each other by position.

    ``genes``: gene_id, gene_name, chrom, strand, start, end.
    ``transcripts``: transcript_id, gene (row of genes), chrom, strand, start, end, retained (True for a transcript of
    biotype ``retained_intron``).
    ``exons``: transcript (row of transcripts), start, end; sorted by transcript, then start.
    A gene or transcript that is annotated on two chromosomes or strands (PAR genes, trans-splicing) has a row on each;
    so has a transcript that stands twice on one (RefSeq).
    ``exceptions``: why the gaps of a transcript may be no introns, one value a transcript, None where they are.
    ``longest_intron``: bp; longer gaps are no introns.
    ``left_out``: dict from what was not used, or used otherwise than as an exon, to how many lines or transcripts.
    """

    genes: pd.DataFrame
    transcripts: pd.DataFrame
    exons: pd.DataFrame
    exceptions: np.ndarray
    longest_intron: int
    left_out: dict


def read_annotation(path: Path | str, longest_intron: int = LONGEST_INTRON) -> Annotation:
    """Read a GTF or GFF3 file (plain, gzip, bgzf or ``-``) into an Annotation.

    Raises BadData as :func:`gene_lines.read_gene_models`, and for a file without any exon or CDS.
    """
    models = read_gene_models(path)
    if not models.transcripts:
        unread = models.left_out["cds_and_utr_lines_without_transcript"]
        genes = f" but {unread:,} without Parent, as of bacteria, whose genes have no introns" if unread else ""
        raise BadData(
            f"{path}: no exon or CDS line of a transcript in it{genes}; a GTF or GFF3 gene annotation was expected"
        )
    exons = exons_of(models)
    if not exons.keys:
        raise BadData(f"{path}: no transcript has an exon or CDS; a GTF or GFF3 gene annotation was expected")
    left_out = {what: n for what, n in sorted(models.left_out.items()) if n}
    return _annotation(exons, longest_intron, left_out)


def _annotation(lines, longest_intron, left_out):
    place = (lines.transcript.astype(np.int64) << 32) + lines.start
    order = np.lexsort((lines.end, place))
    exons = pd.DataFrame({name: getattr(lines, name)[order] for name in ("transcript", "start", "end")})
    columns = ["transcript_id", "gene_id", "gene_name", "retained"]
    transcripts = pd.DataFrame(lines.about, columns=columns, dtype=object)
    _, _, transcripts["chrom"], transcripts["strand"] = zip(*lines.keys, strict=True)
    by_transcript = exons.groupby("transcript")
    transcripts["start"], transcripts["end"] = by_transcript["start"].min(), by_transcript["end"].max()
    transcripts["retained"] = transcripts["retained"].astype(bool)
    by_gene = transcripts.groupby(["gene_id", "chrom", "strand"], sort=False)
    genes = by_gene.agg(gene_name=("gene_name", "first"), start=("start", "min"), end=("end", "max")).reset_index()
    transcripts["gene"] = by_gene.ngroup()
    genes = genes[["gene_id", "gene_name", "chrom", "strand", "start", "end"]]
    order = ["transcript_id", "gene", "chrom", "strand", "start", "end", "retained"]
    exceptions = np.array(lines.exceptions, object)
    return Annotation(genes, transcripts[order], exons, exceptions, longest_intron, left_out)


def distinct_introns(annotation: Annotation) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row for each distinct (chrom, start, end, strand) intron, in genome order.

    Its rank and distances come from one transcript that stands for all that splice it: the one with the most introns,
    then the longest, then the first by name, so that fragments of transcripts do not shift the ranks.

    Returns:
        DataFrame: chrom, start, end, strand; gene_id and gene_name (several joined by ``,``, by name); the columns
        rank, n_introns, dist_tss, dist_tes of :func:`transcript_introns`; gene_length (bp, of the longest gene);
        spliced_by_others (True when a transcript that is not itself of biotype retained_intron splices it).
        And a DataFrame of its genes: intron (row), gene (row of genes).
    """
    introns, of = transcript_introns(annotation), annotation.transcripts
    transcript = introns["transcript"].to_numpy()
    strand = np.unique(of["strand"].to_numpy(str), return_inverse=True)[1]
    # two numbers that sort as chromosome, start, end, strand and the transcript that stands for the others
    left = (chrom_order(of["chrom"])[transcript] << 31) + introns["start"].to_numpy()
    right = (introns["end"].to_numpy() << 2) + strand[transcript]
    order = np.lexsort(((right << 30) + _precedence(introns, of)[transcript], left))
    left, right, transcript = left[order], right[order], transcript[order]
    is_first = (np.diff(left, prepend=-1) != 0) | (np.diff(right, prepend=-1) != 0)
    first = np.flatnonzero(is_first)
    genes = pd.DataFrame({"intron": np.cumsum(is_first) - 1, "gene": of["gene"].to_numpy()[transcript]})
    genes = genes[~(genes["intron"] * 2**32 + genes["gene"]).duplicated()].reset_index(drop=True)
    place = of[["chrom", "strand"]].iloc[transcript[first]].reset_index(drop=True)
    distinct = introns.iloc[order[first]].reset_index(drop=True).join(place)
    distinct = distinct[["chrom", "start", "end", "strand", "rank", "n_introns", "dist_tss", "dist_tes"]]
    distinct["spliced_by_others"] = np.logical_or.reduceat(~of["retained"].to_numpy()[transcript], first)
    names = annotation.genes.iloc[genes["gene"]]
    length = (names["end"] - names["start"]).to_numpy()
    distinct["gene_length"] = np.maximum.reduceat(length, np.flatnonzero(genes["intron"].diff() != 0))
    for column in ("gene_id", "gene_name"):
        distinct[column] = _joined(genes["intron"], names[column].to_numpy(object), len(distinct))
    return distinct, genes


def _precedence(introns, transcripts):
    """The place of every transcript when those with most introns come first, then the longest, then by name."""
    n_introns = np.bincount(introns["transcript"], minlength=len(transcripts))
    names = transcripts["transcript_id"].tolist()
    by_name = np.array(sorted(range(len(names)), key=names.__getitem__))
    span = (transcripts["start"] - transcripts["end"]).to_numpy()
    order = by_name[np.lexsort((span[by_name], -n_introns[by_name]))]
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    return place


def _joined(intron, names, n_introns):
    """The distinct names of each intron, sorted and joined by ``,``; None when there is none."""
    known = ~pd.isna(names)
    intron, names = intron[known], names[known]
    shared = intron.duplicated(keep=False).to_numpy()
    of = np.full(n_introns, None, object)
    of[intron[~shared]] = names[~shared]
    for row, name in zip(intron[shared], names[shared], strict=True):
        of[row] = name if of[row] is None else ",".join(sorted({name, *of[row].split(",")}))
    return of


def chrom_order(chroms: np.ndarray | pd.Series) -> np.ndarray:
    """Rank of each chromosome name with the numbers in it read as numbers: 1, 2, 10, X; chr2 before chr10."""
    codes, names = pd.factorize(chroms)
    keys = [[(not part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name) if part]
            for name in names]  # fmt: skip
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(len(names))
    return ranks[codes]


def transcript_introns(annotation: Annotation) -> pd.DataFrame:
    """The introns of every transcript, one row for each transcript that splices it.

    Exons of one transcript that overlap or touch leave no intron between them; nor do gaps that may be something else,
    see :func:`doubtful_introns`.

    Returns:
        DataFrame: transcript (row of transcripts), start, end, rank (1-based, 5'→3'), n_introns of the transcript;
        dist_tss, dist_tes (bp of genome from the transcript's start to the donor, from the acceptor to its end).
    """
    transcript, start, end, doubt = _gaps(annotation)
    sound = doubt == None  # noqa: E711 - elementwise
    transcript, start, end = transcript[sound], start[sound], end[sound]
    of = annotation.transcripts
    n_introns = np.bincount(transcript, minlength=len(of))
    from_left = np.arange(len(transcript)) - (np.cumsum(n_introns) - n_introns)[transcript] + 1
    minus = (of["strand"] == "-").to_numpy()[transcript]
    left, right = start - of["start"].to_numpy()[transcript], of["end"].to_numpy()[transcript] - end
    n_introns = n_introns[transcript]
    columns = {
        "transcript": transcript, "start": start, "end": end, "n_introns": n_introns,
        "rank": np.where(minus, n_introns + 1 - from_left, from_left),
        "dist_tss": np.where(minus, right, left), "dist_tes": np.where(minus, left, right),
    }  # fmt: skip
    return pd.DataFrame(columns, copy=False)


def _gaps(annotation):
    """The gaps between the exons of each transcript: arrays transcript, start, end and doubt (None or a reason)."""
    transcript = annotation.exons["transcript"].to_numpy(np.int64)
    start = annotation.exons["start"].to_numpy(np.int64)
    # the transcript in the high bits makes one running maximum start afresh with every transcript
    reach = np.maximum.accumulate((transcript << 32) + annotation.exons["end"].to_numpy(np.int64)) & (2**32 - 1)
    gap = np.flatnonzero((transcript[1:] == transcript[:-1]) & (start[1:] > reach[:-1]))
    transcript, start, end = transcript[gap], reach[gap], start[gap + 1]
    doubt = annotation.exceptions[transcript]
    # a frameshift leaves introns elsewhere in the transcript what they are
    doubt[(doubt == SLIPPAGE) & (end - start > LONGEST_SLIPPAGE)] = None
    doubt[(doubt == None) & (end - start > annotation.longest_intron)] = "too_long"  # noqa: E711 - elementwise
    doubt[_with_antisense_exon(annotation, transcript, start, end)] = TRANS_SPLICED
    return transcript, start, end, doubt


def _with_antisense_exon(annotation, transcript, start, end):
    """The gaps in which the same transcript has an exon on the other strand, as when it is spliced in trans."""
    of, exons = annotation.transcripts, annotation.exons
    several = np.flatnonzero(of["transcript_id"].duplicated(keep=False))
    names = of[["transcript_id", "chrom", "strand"]].iloc[several].assign(row=several)
    names["gene_id"] = annotation.genes["gene_id"].to_numpy()[of["gene"].to_numpy()[several]]
    pairs = names.merge(names, on=["transcript_id", "gene_id", "chrom"], suffixes=("", "_other"))
    held = []
    for row, other in pairs.loc[pairs["strand"] != pairs["strand_other"], ["row", "row_other"]].to_numpy():
        gaps = np.flatnonzero(transcript == row)
        for place, last in exons.loc[exons["transcript"] == other, ["start", "end"]].to_numpy():
            held.append(gaps[(start[gaps] <= place) & (last <= end[gaps])])
    return np.concatenate([np.empty(0, int), *held])


def doubtful_introns(annotation: Annotation) -> pd.DataFrame:
    """The gaps between exons that no transcript shows to be an intron.

    Returns:
        DataFrame: chrom, start, end, strand; reason: ``trans_spliced``, ``ribosomal_slippage``,
        ``repeated_exon_numbers`` (exons of one transcript share one number, as those of several copies do) or
        ``too_long``.
    """
    transcript, start, end, doubt = _gaps(annotation)
    place = annotation.transcripts[["chrom", "strand"]].iloc[transcript].reset_index(drop=True)
    gaps = place.assign(start=start, end=end, reason=doubt)
    keys = ["chrom", "start", "end", "strand"]
    # where any transcript splices the gap without doubt, it is an intron
    sure = gaps.loc[gaps["reason"].isna(), keys].drop_duplicates()
    doubtful = gaps[gaps["reason"].notna()].drop_duplicates(keys).merge(sure, how="left", on=keys, indicator=True)
    return doubtful.loc[doubtful["_merge"] == "left_only", [*keys, "reason"]].reset_index(drop=True)
