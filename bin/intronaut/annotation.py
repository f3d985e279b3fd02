"""Genes, transcripts, exons and introns from a GTF or GFF3 file: Ensembl, GENCODE, NCBI/RefSeq, UCSC, StringTie, SGD.

Coordinates are 0-based, half-open, on the forward strand.
"""

import itertools
import re
from array import array
from dataclasses import dataclass, field
from urllib.parse import unquote

import numpy as np
import pandas as pd

from intronaut.cli import BadData, Problems
from intronaut.seqio import numbered_lines

RETAINED_INTRON = "retained_intron"
LARGEST_POSITION = 2**31 - 1
# GFF3 features that lie under a transcript and never hold exons; skipped before their attributes are read
_NO_PARENTS = frozenset(["CDS", "five_prime_UTR", "three_prime_UTR", "UTR", "start_codon", "stop_codon", "intron"])
_STRANDS = frozenset("+-.?")
_GFF3_ATTRIBUTE = re.compile(r"\s*[^\s=;\"]+=")


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


@dataclass
class _Exons:
    """Exons while the file is read, as flat columns; ``transcripts`` numbers their (name, chrom, strand)."""

    transcripts: dict = field(default_factory=dict)
    transcript: array = field(default_factory=lambda: array("i"))
    start: array = field(default_factory=lambda: array("i"))
    end: array = field(default_factory=lambda: array("i"))

    def add(self, key, fields):
        """Add one exon; returns whether it is the first of its transcript."""
        known = len(self.transcripts)
        self.transcript.append(self.transcripts.setdefault(key, known))
        self.start.append(int(fields[3]) - 1)
        self.end.append(int(fields[4]))
        return len(self.transcripts) > known


def read_annotation(path):
    """Read a GTF or GFF3 file (plain, gzip, bgzf or ``-``) into an Annotation; the format shows in column nine.

    Raises BadData that lists every line with the wrong number of columns, impossible coordinates or strand, and every
    exon without a transcript; and for a file without any exon.
    """
    problems = Problems(path)
    features = _features(path, problems)
    first = next(features, None)
    exons, about = _Exons(), []
    if first is not None:
        read = _read_gff3 if _GFF3_ATTRIBUTE.match(first[1][8]) else _read_gtf
        about = read(itertools.chain([first], features), exons, problems)
    problems.raise_if_any()
    if not about:
        raise BadData(f"{path}: no exon in it; a GTF or GFF3 gene annotation was expected")
    return _annotation(exons, about)


def _features(path, problems):
    """Yield ``(line number, nine fields)`` of every sound feature line."""
    for number, line in numbered_lines(path):
        if not line or line[0] == "#":
            if line.startswith("##FASTA"):
                return
            continue
        fields = line.split("\t")
        if (
            len(fields) == 9
            and fields[3].isdecimal()
            and fields[4].isdecimal()
            and 0 < int(fields[3]) <= int(fields[4]) <= LARGEST_POSITION
            and fields[6] in _STRANDS
            and fields[0]
            and fields[2]
        ):
            yield number, fields
        else:
            problems.add(_fault(fields), number)


def _fault(fields):
    """What keeps the columns of a line from being a feature."""
    if len(fields) != 9:
        return f"{len(fields)} tab-separated columns; a GTF or GFF3 line has 9"
    start, end = fields[3], fields[4]
    if not (start.isdecimal() and end.isdecimal()):
        return f"coordinates {start!r} to {end!r} are not whole numbers from 1"
    if not 0 < int(start) <= int(end) <= LARGEST_POSITION:
        return f"coordinates {start} to {end} are not 1-based, start before end"
    if fields[6] not in _STRANDS:
        return f"strand {fields[6]!r} is not + - . or ?"
    return "empty chromosome or feature type"


def _read_gtf(features, exons, problems):
    """``[transcript_id, gene_id, gene_name, biotype]`` of every transcript, from its first exon and its own line."""
    about, biotypes = [], {}
    for number, fields in features:
        kind = fields[2]
        if kind not in ("exon", "transcript"):
            continue
        name = gtf_attribute(fields[8], "transcript_id")
        if not name:
            problems.add(f"{kind} without transcript_id", number)
        elif kind == "transcript":
            biotypes[name, fields[0], fields[6]] = _gtf_biotype(fields)
        elif exons.add((name, fields[0], fields[6]), fields):
            gene, symbol = gtf_attribute(fields[8], "gene_id"), gtf_attribute(fields[8], "gene_name")
            about.append([name, gene or name, symbol or gtf_attribute(fields[8], "gene"), _gtf_biotype(fields)])
    for row, key in zip(about, exons.transcripts, strict=True):
        row[3] = row[3] or biotypes.get(key)
    return about


def gtf_attribute(attributes, name):
    """The value of one attribute of a GTF line, quoted or not; None when it has none."""
    at = attributes.find(name + ' "')
    if at == 0 or (at > 0 and attributes[at - 1] in " ;\t"):
        at += len(name) + 2
        return attributes[at : attributes.find('"', at)]
    found = re.search(rf'(?:^|[;\s]){re.escape(name)}\s+"?([^";]*)', attributes)
    return found[1].strip() if found else None


def _gtf_biotype(fields):
    # Ensembl releases before 76 carry the transcript's biotype in the source column
    return (
        gtf_attribute(fields[8], "transcript_biotype")
        or gtf_attribute(fields[8], "transcript_type")
        or (RETAINED_INTRON if fields[1] == RETAINED_INTRON else None)
    )


def _read_gff3(features, exons, problems):
    """As :func:`_read_gtf`; exons may precede their transcripts and those their genes, so parents are sought last."""
    above, wanted_by = {}, {}
    for number, fields in features:
        kind = fields[2]
        if kind in _NO_PARENTS:
            continue
        attributes = gff3_attributes(fields[8])
        parents = attributes.get("Parent", "").split(",")
        if kind != "exon":
            if "ID" in attributes:
                above[attributes["ID"]] = parents[0], _gff3_about(attributes)
            continue
        if not parents[0]:
            problems.add("exon without Parent", number)
        for parent in parents:
            wanted_by.setdefault(parent, number)
            exons.add((parent, fields[0], fields[6]), fields)
    for parent, number in wanted_by.items():
        if parent and parent not in above:
            problems.add(f"Parent {parent!r} is nowhere in the file", number)
    return [] if problems.count else [_gff3_transcript(name, above) for name, _, _ in exons.transcripts]


def gff3_attributes(text):
    """Column nine of a GFF3 line as a dict, percent escapes undone."""
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    attributes = {key.strip(): value.strip() for key, _, value in pairs}
    if "%" in text:
        return {key: unquote(value) for key, value in attributes.items()}
    return attributes


def _gff3_about(attributes):
    biotype = attributes.get("transcript_type") or attributes.get("transcript_biotype") or attributes.get("biotype")
    name = attributes.get("gene_name") or attributes.get("gene") or attributes.get("Name")
    return attributes.get("transcript_id"), attributes.get("gene_id"), name, biotype


def _gff3_transcript(identifier, above):
    """``[transcript_id, gene_id, gene_name, biotype]``; the gene is the feature at the top of the parents' chain."""
    top, seen = identifier, set()
    while above[top][0] in above and top not in seen:
        seen.add(top)
        top = above[top][0]
    name, _, _, biotype = above[identifier][1]
    _, gene, symbol, _ = above[top][1]
    return [name or _bare(identifier), gene or _bare(top), symbol, biotype]


def _bare(identifier):
    """An ID without the kind that Ensembl (``gene:``) and NCBI (``gene-``, ``rna-``) put before it."""
    return re.sub(r"^(?:gene|transcript|rna)[:-]", "", identifier)


def _annotation(found, about):
    columns = {name: np.frombuffer(getattr(found, name), np.int32) for name in ("transcript", "start", "end")}
    exons = pd.DataFrame(columns).sort_values(["transcript", "start", "end"], ignore_index=True)
    transcripts = pd.DataFrame(about, columns=["transcript_id", "gene_id", "gene_name", "biotype"], dtype=object)
    _, transcripts["chrom"], transcripts["strand"] = zip(*found.transcripts, strict=True)
    by_transcript = exons.groupby("transcript")
    transcripts["start"], transcripts["end"] = by_transcript["start"].min(), by_transcript["end"].max()
    transcripts["retained"] = transcripts.pop("biotype") == RETAINED_INTRON
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
    introns = transcript_introns(annotation)
    about = annotation.transcripts.iloc[introns["transcript"]].reset_index(drop=True)
    introns = introns.join(about[["chrom", "strand", "gene", "retained", "transcript_id"]])
    introns["chrom_order"], introns["span"] = chrom_order(about["chrom"]), about["start"] - about["end"]
    place = ["chrom_order", "chrom", "start", "end", "strand"]
    introns["most"] = -introns["n_introns"]
    introns = introns.sort_values([*place, "most", "span", "transcript_id"], ignore_index=True)
    introns["intron"] = introns.groupby(place, sort=False).ngroup()
    genes = introns[["intron", "gene"]].drop_duplicates(ignore_index=True)
    distinct = introns.drop_duplicates("intron", ignore_index=True)
    distinct = distinct[["chrom", "start", "end", "strand", "rank", "n_introns", "dist_tss", "dist_tes"]].copy()
    distinct["spliced_by_others"] = ~introns.groupby("intron")["retained"].all()
    names = annotation.genes.iloc[genes["gene"]].assign(intron=genes["intron"].to_numpy())
    names["gene_length"] = names["end"] - names["start"]
    distinct["gene_length"] = names.groupby("intron")["gene_length"].max()
    for column in ("gene_id", "gene_name"):
        distinct[column] = _joined(names["intron"], names[column], len(distinct))
    return distinct, genes


def _joined(intron, names, n_introns):
    """The distinct names of each intron, sorted and joined by ``,``; None when there is none."""
    of = [None] * n_introns
    for row, name in zip(intron, names, strict=True):
        if not pd.isna(name):
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
    introns = pd.DataFrame({"transcript": transcript[gap], "start": reach[gap], "end": start[gap + 1]})
    by_transcript = introns.groupby("transcript")["start"]
    introns["n_introns"] = by_transcript.transform("size")
    from_left = by_transcript.cumcount() + 1
    about = annotation.transcripts.iloc[introns["transcript"]]
    minus = about["strand"].to_numpy() == "-"
    introns["rank"] = np.where(minus, introns["n_introns"] + 1 - from_left, from_left)
    left = introns["start"] - about["start"].to_numpy()
    right = about["end"].to_numpy() - introns["end"]
    introns["dist_tss"], introns["dist_tes"] = np.where(minus, right, left), np.where(minus, left, right)
    return introns
