"""The lines of GTF and GFF3 files: which are exons, of which transcripts, and every line that cannot be right.

Positions in the files are 1-based, both ends included; those of the exons read are 0-based, half-open.
"""

import itertools
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

import numpy as np

from intronaut.core.errors import Problems
from intronaut.io.delimited import LARGEST_POSITION, LONGEST_NUMBER, Lines, read_lines

RETAINED_INTRON = "retained_intron"
_RETAINED = RETAINED_INTRON.encode()
# GFF3 features that lie under a transcript and never hold exons; skipped before their attributes are read
_NO_PARENTS = frozenset(["CDS", "five_prime_UTR", "three_prime_UTR", "UTR", "start_codon", "stop_codon", "intron"])
_STRANDS = "+-.?"
_N_COLUMNS = 9
_CHROM, _SOURCE, _KIND, _FIRST, _LAST, _STRAND, _ATTRIBUTES = 0, 1, 2, 3, 4, 6, 8
_GFF3_ATTRIBUTE = re.compile(r"\s*[^\s=;\"]+=")


@dataclass
class Exons:
    """The exons of a file, in its order: ``columns`` holds lists of int32 arrays transcript, start, end.

    ``transcripts`` numbers the (identifier, chrom, strand) of the transcripts.
    """

    transcripts: dict = field(default_factory=dict)
    columns: dict = field(default_factory=lambda: {"transcript": [], "start": [], "end": []})

    def number(self, key):
        """The number of a transcript; a new one gets the next."""
        return self.transcripts.setdefault(key, len(self.transcripts))

    def add(self, transcript, features):
        """Add an exon for each of the ``features``, of the transcripts of these numbers."""
        for name, values in (("transcript", transcript), ("start", features.first - 1), ("end", features.last)):
            self.columns[name].append(np.asarray(values, np.int32))


@dataclass
class _Features:
    """The sound feature lines of a block: which rows of it they are, their first and last base (1-based), int arrays.

    ``faults`` holds what is wrong with lines of the block, by their number.
    """

    lines: Lines
    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray
    faults: dict

    def __getitem__(self, chosen):
        return _Features(self.lines, self.rows[chosen], self.first[chosen], self.last[chosen], self.faults)

    def __len__(self):
        return len(self.rows)

    def column(self, number):
        return self.lines.column(number, self.rows)

    def spans(self):
        """Where the source and the attributes begin and the line ends, in the bytes of the block: three lists."""
        attributes = self.column(_ATTRIBUTES)
        return self.column(_SOURCE).start.tolist(), attributes.start.tolist(), attributes.end.tolist()

    def numbers(self):
        """The number of every line in the file, as a list."""
        return (self.lines.first + self.rows).tolist()


def read_exons(path):
    """Read the exons of a GTF or GFF3 file (plain, gzip, bgzf or ``-``); the format shows in column nine.

    Returns:
        Exons, and of each of their transcripts (transcript_id, gene_id, gene_name or None, whether its biotype is
        retained_intron).

    Raises:
        BadData: lists every line with the wrong number of columns, impossible coordinates or strand, and every exon
            without a transcript.
    """
    problems = Problems(path)
    blocks = _features(path, problems)
    first = next((block for block in blocks if len(block)), None)
    exons, about = Exons(), []
    if first is not None:
        read = _read_gff3 if _GFF3_ATTRIBUTE.match(first[:1].column(_ATTRIBUTES).words()[0]) else _read_gtf
        about = read(itertools.chain([first], blocks), exons, problems)
    problems.raise_if_any()
    return exons, about


def _features(path, problems):
    """Yield the _Features of every block of lines; afterwards its faults, in the order of lines, are problems."""
    for lines in read_lines(path):
        remarks = np.flatnonzero(lines.initial == ord("#"))
        end = next((row for row in remarks if lines.line(row).startswith("##FASTA")), len(lines.start))
        wanted = lines.start < lines.end
        wanted[remarks], wanted[end:] = False, False
        features = _sound_features(lines, np.flatnonzero(wanted & (lines.n_columns == _N_COLUMNS)))
        wanted[features.rows] = False
        for row in np.flatnonzero(wanted):
            features.faults[lines.first + row] = _fault(lines.line(row).split("\t"))
        yield features
        for number in sorted(features.faults):
            problems.add(features.faults[number], number)
        if end < len(lines.start):
            return


def _sound_features(lines, rows):
    """The _Features of those of ``rows``, lines of nine columns, that are sound."""
    chrom, kind, first, last, strand = (lines.column(k, rows) for k in (_CHROM, _KIND, _FIRST, _LAST, _STRAND))
    first, last = first.numbers(), last.numbers()
    sound = (first > 0) & (first <= last) & (last <= LARGEST_POSITION) & ~chrom.is_empty() & ~kind.is_empty()
    sound &= strand.is_letter(_STRANDS)
    features = _Features(lines, rows, first, last, {})
    return features if sound.all() else features[sound]


def _fault(columns):
    """What keeps the columns of a line from being a feature."""
    if len(columns) != _N_COLUMNS:
        return f"{len(columns)} tab-separated columns; a GTF or GFF3 line has 9"
    first, last, strand = columns[_FIRST], columns[_LAST], columns[_STRAND]
    if not all(text.isascii() and text.isdecimal() for text in (first, last)):
        return f"coordinates {first!r} to {last!r} are not whole numbers from 1"
    if max(len(first), len(last)) > LONGEST_NUMBER or not 0 < int(first) <= int(last) <= LARGEST_POSITION:
        return f"coordinates {first} to {last} are not 1-based, start before end"
    if len(strand) != 1 or strand not in _STRANDS:
        return f"strand {strand!r} is not + - . or ?"
    return "empty chromosome or feature type"


def _read_gtf(blocks, exons, problems):
    """``(transcript_id, gene_id, gene_name, whether retained)`` of every transcript, by its first exon and own line."""
    about, retained, symbols = [], set(), {}
    transcript_id, gene_id = _Repeated(b"transcript_id"), _Repeated(b"gene_id")
    for block in blocks:
        kind = block.column(_KIND)
        is_exon = kind.equals(b"exon")
        wanted = np.flatnonzero(is_exon | kind.equals(b"transcript"))
        lines, is_exon = block[wanted], is_exon[wanted]
        starts, keys = _transcripts(lines, transcript_id)
        run = np.repeat(np.arange(len(keys)), np.diff(starts, append=len(lines)))
        text, own = block.lines.text, np.flatnonzero(~is_exon)
        for i, *span in zip(run[own].tolist(), *lines[own].spans(), strict=True):
            if _says_retained(text, *span):
                retained.add(keys[i])
        lines, run = lines[is_exon], run[is_exon]
        first = np.flatnonzero(np.diff(run, prepend=-1))
        numbers = []
        for i, source, start, end in zip(run[first].tolist(), *lines[first].spans(), strict=True):
            key = keys[i]
            numbers.append(exons.number(key))
            if numbers[-1] < len(about):
                continue
            gene = gene_id.value(text, start, end) or key[0]
            place = gene, *key[1:]
            if symbols.get(place) is None:
                symbol = gtf_attribute(text, b"gene_name", start, end)
                symbols[place] = symbol or gtf_attribute(text, b"gene", start, end)
            about.append((key[0], gene, symbols[place], _says_retained(text, source, start, end)))
        exons.add(np.repeat(numbers, np.diff(first, append=len(lines))), lines)
    return [(*row[:3], row[3] or key in retained) for row, key in zip(about, exons.transcripts, strict=True)]


def _transcripts(lines, transcript_id):
    """The rows where another transcript begins (int array), and its (transcript_id, chrom, strand).

    The lines without transcript_id are faults.
    """
    starts, names = [], []
    text, attributes = lines.lines.text, lines.column(_ATTRIBUTES)
    moves = (lines.column(_CHROM).changes() | lines.column(_STRAND).changes()).tolist()
    spans = zip(attributes.start.tolist(), attributes.end.tolist(), moves, strict=True)
    for row, (start, end, moved) in enumerate(spans):
        if moved or not text.startswith(transcript_id.upto, start):
            starts.append(row)
            names.append(transcript_id.value(text, start, end))
    starts = np.array(starts, np.int64)
    heads = lines[starts]
    nameless = heads[np.array([not name for name in names], bool)]
    for number, kind in zip(nameless.numbers(), nameless.column(_KIND).words(), strict=True):
        lines.faults[number] = f"{kind} without transcript_id"
    chroms, strands = heads.column(_CHROM).repeated_words(), heads.column(_STRAND).repeated_words()
    return starts, list(zip(names, chroms, strands, strict=True))


def _says_retained(text, source, start, end):
    """Whether a GTF line says that its transcript is of biotype retained_intron."""
    if text.find(_RETAINED, source, end) < 0:
        return False
    biotype = gtf_attribute(text, b"transcript_biotype", start, end)
    biotype = biotype or gtf_attribute(text, b"transcript_type", start, end)
    # Ensembl releases before 76 carry the transcript's biotype in the source column
    return biotype == RETAINED_INTRON or not biotype and text.startswith(_RETAINED + b"\t", source)


class _Repeated:
    """One attribute of GTF lines, quick where a line is like the one before up to the attribute's end, ``upto``."""

    def __init__(self, name):
        self.name, self.upto, self.last = name, b"\n", None

    def value(self, text, start, end):
        """As :func:`gtf_attribute`."""
        if not text.startswith(self.upto, start):
            self.last, stop = _quoted(text, self.name, start, end)
            self.upto = text[start:stop] if self.last else b"\n"
            self.last = self.last or gtf_attribute(text, self.name, start, end)
        return self.last


def gtf_attribute(text, name, start, end):
    """The value of one attribute, quoted or not, of the GTF line whose column nine is ``text[start:end]``.

    ``text`` and ``name`` are bytes, the value is a str; None when there is none.
    """
    value, _ = _quoted(text, name, start, end)
    if value is not None or text.find(name, start, end) < 0:
        return value
    found = re.search(rb"(?:^|[;\s])" + name + rb'\s+"?([^";]*)', text[start:end])
    return found[1].decode().strip() if found else None


def _quoted(text, name, start, end):
    """As :func:`gtf_attribute`, when it is in quotes where its name first comes; and where it ends."""
    at = text.find(name + b' "', start, end)
    if at < 0 or (at > start and text[at - 1] not in b" ;\t"):
        return None, start
    at += len(name) + 2
    stop = text.find(b'"', at, end)
    stop = stop if stop >= 0 else end
    return text[at:stop].decode(), stop + 1


def _read_gff3(blocks, exons, problems):
    """As :func:`_read_gtf`; exons may precede their transcripts and those their genes, so parents are sought last."""
    above, wanted_by = {}, {}
    for lines in blocks:
        rows, numbers = [], []
        words = (lines.column(k).words() for k in (_KIND, _CHROM, _STRAND, _ATTRIBUTES))
        for row, (number, kind, chrom, strand, text) in enumerate(zip(lines.numbers(), *words, strict=True)):
            if kind in _NO_PARENTS:
                continue
            attributes = gff3_attributes(text)
            parents = attributes.get("Parent", "").split(",")
            if kind != "exon":
                if "ID" in attributes:
                    above[attributes["ID"]] = parents[0], _gff3_about(attributes)
                continue
            if not parents[0]:
                lines.faults[number] = "exon without Parent"
            for parent in parents:
                wanted_by.setdefault(parent, number)
                rows.append(row)
                numbers.append(exons.number((parent, chrom, strand)))
        exons.add(numbers, lines[rows])
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
    """As one of :func:`_read_gtf`; the gene is the feature at the top of the parents' chain."""
    top, seen = identifier, set()
    while above[top][0] in above and top not in seen:
        seen.add(top)
        top = above[top][0]
    name, _, _, biotype = above[identifier][1]
    _, gene, symbol, _ = above[top][1]
    return name or _bare(identifier), gene or _bare(top), symbol, biotype == RETAINED_INTRON


def _bare(identifier):
    """An ID without the kind that Ensembl (``gene:``) and NCBI (``gene-``, ``rna-``) put before it."""
    return re.sub(r"^(?:gene|transcript|rna)[:-]", "", identifier)
