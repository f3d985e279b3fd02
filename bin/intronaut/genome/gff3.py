"""GFF3 lines: the hierarchy of genes, transcripts and exons that they tell by ID and Parent in column nine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from intronaut.genome.feature_lines import (
    ATTRIBUTES,
    CHROM,
    CODING,
    CODING_KINDS,
    EXON,
    EXON_KINDS,
    KIND,
    STRAND,
    Features,
)
from intronaut.genome.gene_models import SLIPPAGE, TRANS_SPLICED, GeneModels
from intronaut.genome.gtf import RETAINED_INTRON

_PARTS = dict.fromkeys(EXON_KINDS, EXON) | dict.fromkeys(CODING_KINDS, CODING)
# features without children of interest: not read at all
_SKIPPED = frozenset(["intron"])
# named as a further parent of a CDS, as TAIR does; what is made of a transcript is none
_PRODUCTS = frozenset(["protein", "polypeptide"])
_PARENT = re.compile(r"(?:^|;)\s*Parent\s*=([^;]*)")
# on exon lines, which name the gene where a transcript's line does not; gffread and EviAnn write geneID
_GENE = re.compile(r"(?:^|;)\s*gene(?:_id|ID)\s*=([^;]*)")
# what groups transcripts where nothing else tells their gene: INSDC's identifier of a gene, then its symbol
_GROUPS = ("locus_tag", "gene", "gene_name")
_TRANSCRIPT = re.compile(r"RNA$|transcript$|^mRNA|_segment$")
_EXCEPTIONS = {"trans-splicing": TRANS_SPLICED, "ribosomal slippage": SLIPPAGE}


class _About(NamedTuple):
    """What the attributes of a feature say; None where they do not. ``group`` is the first of _GROUPS."""

    transcript: str | None
    gene: str | None
    group: str | None
    symbol: str | None
    name: str | None
    biotype: str | None


@dataclass
class _Feature:
    """One feature with an ID: the ID of its parent, kind, what its attributes say, and where its lines lie."""

    parent: str
    kind: str
    about: _About
    spans: list = field(default_factory=list)  # (chrom, strand, [line, start, end])
    exception: str | None = None


def read(blocks: Iterable[Features], models: GeneModels, faults: list[tuple[int, str, Any]]) -> None:
    """Add the transcripts, exons and coding parts of the blocks of Features to ``models``.

    Exons may precede their transcripts and those their genes, so parents are sought last. An exon without a parent in
    the file is one of the ``faults``; so is a CDS or UTR, when its transcript has no exon.
    """
    features, first_lines = {}, {}
    for lines in blocks:
        _read_block(lines, features, first_lines, models, faults)
    transcripts = {key[0] for key in models.transcripts}
    lacking = [parent for parent in transcripts if parent not in features]
    for parent in lacking:
        kind, number, _ = first_lines[parent]
        faults.append((number, f"Parent {parent!r} is nowhere in the file", parent if kind == CODING else None))
    if not lacking:
        _describe(features, models, first_lines)
    models.about += [(key[0], key[0], None, False) for key in list(models.transcripts)[len(models.about) :]]


def _read_block(lines, features, first_lines, models, faults):
    for kind, text in lines.without_place:
        _add_feature(features, kind, text)
    parts = {kind: ([], []) for kind in (EXON, CODING)}
    words = (lines.column(k).words() for k in (KIND, CHROM, STRAND, ATTRIBUTES))
    places = lines.numbers().tolist(), (lines.first - 1).tolist(), lines.last.tolist()
    for row, (*place, kind, chrom, strand, text) in enumerate(zip(*places, *words, strict=True)):
        part, number = _PARTS.get(kind), place[0]
        if part is None:
            if kind not in _SKIPPED:
                _add_feature(features, kind, text, (chrom, strand, place))
            continue
        above = parents(text)
        if not above and part == EXON:
            faults.append((number, "exon without Parent", None))
        elif not above:
            models.left_out["cds_and_utr_lines_without_transcript"] += 1
        for parent in above:
            # the first exon, or where there is none the first CDS or UTR
            if parent not in first_lines or part == EXON != first_lines[parent][0]:
                first_lines[parent] = part, number, _gene_of_part(text)
            transcript = models.number((parent, "", chrom, strand))
            parts[part][0].append(row)
            parts[part][1].append(transcript)
            if "exception=" in text and (exception := _EXCEPTIONS.get(attributes(text).get("exception"))):
                models.exceptions[transcript] = exception
    for kind, (chosen, transcripts) in parts.items():
        models.add(kind, transcripts, lines[chosen])


def _add_feature(features, kind, text, place=None):
    values = attributes(text)
    if "ID" not in values:
        return
    parent = next(iter(parents(text)), "")
    feature = features.setdefault(values["ID"], _Feature(parent, kind, _about(values)))
    if place:
        feature.spans.append(place)
    feature.exception = feature.exception or _EXCEPTIONS.get(values.get("exception"))


def parents(text: str) -> list[str]:
    """The identifiers after ``Parent`` in column nine, percent escapes undone, those of no letter left out."""
    match = _PARENT.search(text) if "Parent" in text else None
    names = (name.strip() for name in match[1].split(",")) if match else ()
    return [unquote(name) for name in names if name]


def attributes(text: str) -> dict[str, str]:
    """Column nine of a GFF3 line as a dict, percent escapes undone."""
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    values = {key.strip(): value.strip() for key, _, value in pairs}
    return {key: unquote(value) for key, value in values.items()} if "%" in text else values


def _gene_of_part(text):
    """The gene that an exon line names by gene_id or geneID, or None."""
    match = _GENE.search(text) if "gene" in text else None
    return bare(unquote(match[1].strip())) if match else None


def _about(values):
    gene = values.get("gene_id") or bare(values.get("geneID", ""))
    group = next(filter(None, map(values.get, _GROUPS)), None)
    biotype = values.get("transcript_type") or values.get("transcript_biotype") or values.get("biotype")
    symbol = values.get("gene_name") or values.get("gene")
    return _About(values.get("transcript_id"), gene or None, group, symbol, values.get("Name"), biotype)


def _describe(features, models, first_lines):
    """Complete ``models`` by the features that its transcripts are, and count the ones that have no exon."""
    used, with_children = set(), _above_exons(features, models)
    n_alone = 0
    for number, (identifier, _, *place) in enumerate(models.transcripts):
        chain = _chain(identifier, features)
        used.update(chain)
        described, top = features[identifier], features[chain[-1]]
        gene, symbol = _gene(chain, features, first_lines[identifier][-1])
        n_alone += gene is None
        about = described.about
        name = about.transcript or bare(identifier)
        models.about.append((name, gene or bare(chain[-1]), symbol, about.biotype == RETAINED_INTRON))
        exception = models.exceptions.get(number) or described.exception or top.exception
        if exception:
            models.exceptions[number] = exception
        # the parts of a trans-spliced gene stand on lines of the gene where its transcript has one line
        spans = top.spans if exception == TRANS_SPLICED and len(described.spans) <= 1 else described.spans
        for *where, span in spans:
            if where == place:
                models.add_span(number, *span)
        if identifier in with_children or described.kind in _PRODUCTS:
            models.with_children.add(number)
    unused = [feature.kind for identifier, feature in features.items() if identifier not in used]
    models.left_out["transcripts_without_exons"] += sum(_TRANSCRIPT.search(kind) is not None for kind in unused)
    models.left_out["genes_without_exons"] += sum("gene" in kind and not _TRANSCRIPT.search(kind) for kind in unused)
    if n_alone == len(models.transcripts):
        models.left_out["transcripts_without_gene"] = n_alone


def _gene(chain, features, of_exon):
    """``(identifier, symbol)`` of the gene of a transcript, None where nothing tells it.

    ``chain`` is that of :func:`_chain`; ``of_exon`` what the first exon says, or None.
    """
    described, top = features[chain[0]].about, features[chain[-1]]
    symbol = top.about.symbol or top.about.name
    if not _TRANSCRIPT.search(top.kind):
        return top.about.gene or bare(chain[-1]), symbol
    # the file has no line of the gene: the name of a transcript is not the gene's
    gene = top.about.gene or described.gene or of_exon
    if not gene and top.parent not in features:
        gene = bare(top.parent)
    gene = gene or top.about.group or described.group
    return (gene, top.about.symbol or described.symbol) if gene else (None, symbol)


def _above_exons(features, models):
    """The identifiers of the features above the transcripts that have an exon line."""
    with_exons = {key[0] for key in models.keys_with_exons()}
    return {above for identifier in with_exons for above in _chain(identifier, features)[1:]}


def _chain(identifier, features):
    """The identifiers from a transcript up to the feature at the top of its parents' chain."""
    chain = [identifier]
    while (parent := features[chain[-1]].parent) in features and parent not in chain:
        chain.append(parent)
    return chain


def bare(identifier: str) -> str:
    """An ID without the kind that Ensembl (``gene:``), NCBI (``gene-``, ``rna-``) and others put before it."""
    return re.sub(r"^(?:gene|transcript|rna)[:-]", "", identifier, flags=re.IGNORECASE)
