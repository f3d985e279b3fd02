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
class _Nodes:
    """Transcripts while the file is read: what is known of each, and their exons as flat integer columns."""

    code_of: dict = field(default_factory=dict)
    about: list = field(default_factory=list)
    places: dict = field(default_factory=dict)
    exon_node: array = field(default_factory=lambda: array("i"))
    exon_place: array = field(default_factory=lambda: array("i"))
    exon_start: array = field(default_factory=lambda: array("i"))
    exon_end: array = field(default_factory=lambda: array("i"))

    def add_exon(self, node, fields):
        place = fields[0], fields[6]
        self.exon_node.append(node)
        self.exon_place.append(self.places.setdefault(place, len(self.places)))
        self.exon_start.append(int(fields[3]) - 1)
        self.exon_end.append(int(fields[4]))


def read_annotation(path):
    """Read a GTF or GFF3 file (plain, gzip, bgzf or ``-``) into an Annotation; the format shows in column nine.

    Raises BadData that lists every line with the wrong number of columns, impossible coordinates or strand, and every
    exon without a transcript; and for a file without any exon.
    """
    problems = Problems(path)
    features = _features(path, problems)
    first = next(features, None)
    nodes = _Nodes()
    if first is not None:
        features = itertools.chain([first], features)
        read = _read_gff3 if _GFF3_ATTRIBUTE.match(first[1][8]) else _read_gtf
        read(features, nodes, problems)
    problems.raise_if_any()
    if not nodes.exon_start:
        raise BadData(f"{path}: no exon in it; a GTF or GFF3 gene annotation was expected")
    return _annotation(nodes)


def _features(path, problems):
    """Yield ``(line number, nine fields)`` of every sound feature line."""
    for number, line in numbered_lines(path):
        if not line or line[0] == "#":
            if line.startswith("##FASTA"):
                return
            continue
        fields = line.split("\t")
        if len(fields) != 9:
            problems.add(f"{len(fields)} tab-separated columns; a GTF or GFF3 line has 9", number)
            continue
        start, end = fields[3], fields[4]
        if not (start.isdecimal() and end.isdecimal()):
            problems.add(f"coordinates {start!r} to {end!r} are not whole numbers from 1", number)
        elif not 0 < int(start) <= int(end) <= LARGEST_POSITION:
            problems.add(f"coordinates {start} to {end} are not 1-based, start before end", number)
        elif fields[6] not in _STRANDS:
            problems.add(f"strand {fields[6]!r} is not + - . or ?", number)
        elif not fields[0] or not fields[2]:
            problems.add("empty chromosome or feature type", number)
        else:
            yield number, fields


def _read_gtf(features, nodes, problems):
    for number, fields in features:
        kind, attributes = fields[2], fields[8]
        if kind not in ("exon", "transcript"):
            continue
        name = gtf_attribute(attributes, "transcript_id")
        if not name:
            problems.add(f"{kind} without transcript_id", number)
            continue
        key = name, fields[0], fields[6]
        node = nodes.code_of.get(key)
        if node is None:
            node = nodes.code_of[key] = len(nodes.about)
            gene = gtf_attribute(attributes, "gene_id") or name
            symbol = gtf_attribute(attributes, "gene_name") or gtf_attribute(attributes, "gene")
            nodes.about.append([name, gene, symbol, _gtf_biotype(fields)])
        elif kind == "transcript":
            nodes.about[node][3] = nodes.about[node][3] or _gtf_biotype(fields)
        if kind == "exon":
            nodes.add_exon(node, fields)


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


def _read_gff3(features, nodes, problems):
    """Exons may precede their transcripts and transcripts their genes, so parents are looked up at the end."""
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
            node = nodes.code_of.setdefault(parent, len(nodes.code_of))
            wanted_by.setdefault(parent, number)
            nodes.add_exon(node, fields)
    for parent, number in wanted_by.items():
        if parent and parent not in above:
            problems.add(f"Parent {parent!r} is nowhere in the file", number)
    if not problems.count:
        nodes.about = [_gff3_transcript(name, above) for name in nodes.code_of]


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


def _annotation(nodes):
    place = np.frombuffer(nodes.exon_place, np.int32).astype(np.int64)
    node = np.frombuffer(nodes.exon_node, np.int32)
    key, transcript = np.unique(node * np.int64(len(nodes.places)) + place, return_inverse=True)
    exons = pd.DataFrame(
        {
            "transcript": transcript,
            "start": np.frombuffer(nodes.exon_start, np.int32),
            "end": np.frombuffer(nodes.exon_end, np.int32),
        }
    ).sort_values(["transcript", "start", "end"], ignore_index=True)
    chroms, strands = (np.array(column, object) for column in zip(*nodes.places, strict=True))
    about = pd.DataFrame(nodes.about, columns=["transcript_id", "gene_id", "gene_name", "biotype"])
    transcripts = about.iloc[key // len(nodes.places)].reset_index(drop=True)
    transcripts["chrom"], transcripts["strand"] = chroms[key % len(nodes.places)], strands[key % len(nodes.places)]
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
    by_intron = names.sort_values(["intron", "gene_id"], kind="stable").groupby("intron")
    distinct["gene_length"] = by_intron["gene_length"].max()
    distinct["gene_id"], distinct["gene_name"] = by_intron["gene_id"].first(), by_intron["gene_name"].first()
    for intron, group in names[names["intron"].duplicated(keep=False)].groupby("intron"):
        distinct.loc[intron, ["gene_id", "gene_name"]] = [joined(group["gene_id"]), joined(group["gene_name"])]
    return distinct, genes


def joined(names):
    """The distinct names that are there, sorted and joined by ``,``; None when there is none."""
    return ",".join(sorted(set(names.dropna()))) or None


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
