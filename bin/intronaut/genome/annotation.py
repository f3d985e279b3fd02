"""Genes, transcripts, exons and introns from a GTF or GFF3 file: Ensembl, GENCODE, NCBI/RefSeq, UCSC, StringTie, SGD.

Coordinates are 0-based, half-open, on the forward strand.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData
from intronaut.genome.gtf import read_exons


@dataclass
class Annotation:
    """What a gene annotation says, as DataFrames whose rows refer to each other by position.

    ``genes``: gene_id, gene_name, chrom, strand, start, end.
    ``transcripts``: transcript_id, gene (row of genes), chrom, strand, start, end, retained (True for a transcript of
    biotype ``retained_intron``).
    ``exons``: transcript (row of transcripts), start, end; sorted by transcript, then start.
    A gene or transcript that is annotated on two chromosomes or strands (PAR genes, trans-splicing) has a row on each.
    """

    genes: pd.DataFrame
    transcripts: pd.DataFrame
    exons: pd.DataFrame


def read_annotation(path):
    """Read a GTF or GFF3 file (plain, gzip, bgzf or ``-``) into an Annotation.

    Raises BadData as :func:`annotation_lines.read_exons`, and for a file without any exon.
    """
    exons, about = read_exons(path)
    if not about:
        raise BadData(f"{path}: no exon in it; a GTF or GFF3 gene annotation was expected")
    return _annotation(exons, about)


def _annotation(found, about):
    exons = {name: np.concatenate(parts) for name, parts in found.columns.items()}
    place = (exons["transcript"].astype(np.int64) << 32) + exons["start"]
    order = np.lexsort((exons["end"], place))
    exons = pd.DataFrame({name: column[order] for name, column in exons.items()})
    transcripts = pd.DataFrame(about, columns=["transcript_id", "gene_id", "gene_name", "retained"], dtype=object)
    _, transcripts["chrom"], transcripts["strand"] = zip(*found.transcripts, strict=True)
    by_transcript = exons.groupby("transcript")
    transcripts["start"], transcripts["end"] = by_transcript["start"].min(), by_transcript["end"].max()
    transcripts["retained"] = transcripts["retained"].astype(bool)
    by_gene = transcripts.groupby(["gene_id", "chrom", "strand"], sort=False)
    genes = by_gene.agg(gene_name=("gene_name", "first"), start=("start", "min"), end=("end", "max")).reset_index()
    transcripts["gene"] = by_gene.ngroup()
    genes = genes[["gene_id", "gene_name", "chrom", "strand", "start", "end"]]
    order = ["transcript_id", "gene", "chrom", "strand", "start", "end", "retained"]
    return Annotation(genes, transcripts[order], exons)


def distinct_introns(annotation):
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


def chrom_order(chroms):
    """Rank of each chromosome name with the numbers in it read as numbers: 1, 2, 10, X; chr2 before chr10."""
    codes, names = pd.factorize(chroms)
    keys = [[(not part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name) if part]
            for name in names]  # fmt: skip
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(len(names))
    return ranks[codes]


def transcript_introns(annotation):
    """The introns of every transcript, one row for each transcript that splices it.

    Exons of one transcript that overlap or touch leave no intron between them.

    Returns:
        DataFrame: transcript (row of transcripts), start, end, rank (1-based, 5'→3'), n_introns of the transcript;
        dist_tss, dist_tes (bp of genome from the transcript's start to the donor, from the acceptor to its end).
    """
    transcript = annotation.exons["transcript"].to_numpy(np.int64)
    start = annotation.exons["start"].to_numpy(np.int64)
    # the transcript in the high bits makes one running maximum start afresh with every transcript
    reach = np.maximum.accumulate((transcript << 32) + annotation.exons["end"].to_numpy(np.int64)) & (2**32 - 1)
    gap = np.flatnonzero((transcript[1:] == transcript[:-1]) & (start[1:] > reach[:-1]))
    transcript, start, end = transcript[gap], reach[gap], start[gap + 1]
    of = annotation.transcripts
    n_introns = np.bincount(transcript, minlength=len(of))
    from_left = np.arange(len(gap)) - (np.cumsum(n_introns) - n_introns)[transcript] + 1
    minus = (of["strand"] == "-").to_numpy()[transcript]
    left, right = start - of["start"].to_numpy()[transcript], of["end"].to_numpy()[transcript] - end
    n_introns = n_introns[transcript]
    columns = {
        "transcript": transcript, "start": start, "end": end, "n_introns": n_introns,
        "rank": np.where(minus, n_introns + 1 - from_left, from_left),
        "dist_tss": np.where(minus, right, left), "dist_tes": np.where(minus, left, right),
    }  # fmt: skip
    return pd.DataFrame(columns)
