"""GTF lines: the transcripts that they name in column nine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from intronaut.genome.feature_lines import ATTRIBUTES, CHROM, CODING, EXON, OTHER, STRAND, TRANSCRIPT, Features
from intronaut.genome.gene_models import SLIPPAGE, TRANS_SPLICED, GeneModels

RETAINED_INTRON = "retained_intron"
_RETAINED = RETAINED_INTRON.encode()
# the words of an exception, each with two letters of it that few files hold elsewhere
_EXCEPTIONS = [(b"trans-splicing", b"-s", TRANS_SPLICED), (b"ribosomal slippage", b" s", SLIPPAGE)]


def read(blocks: Iterable[Features], models: GeneModels, faults: list[tuple[int, str, Any]]) -> None:
    """Add the transcripts, exons and coding parts of the blocks of Features to ``models``.

    An exon without transcript_id is one of the ``faults``; any other line without it is counted.
    """
    transcripts = _Transcripts(models)
    names = _Names()
    for block in blocks:
        kinds = block.kinds()
        chosen = np.flatnonzero(kinds != OTHER)
        lines, kinds = block[chosen], kinds[chosen]
        starts, keys = _runs(lines, names)
        run = np.repeat(np.arange(len(keys)), np.diff(starts, append=len(lines)))
        named = np.array([bool(key[0]) for key in keys], bool)
        if not named.all():
            named = named[run]
            _add_nameless(lines[~named], kinds[~named], models, faults)
            lines, kinds, run = lines[named], kinds[named], run[named]
        transcripts.add(lines, kinds, run, keys)
    transcripts.finish()


def _runs(lines, names):
    """The rows where another transcript begins (int array), and its (transcript_id, gene_id, chrom, strand)."""
    starts, run_names = [], []
    text, attributes = lines.lines.text, lines.column(ATTRIBUTES)
    moves = lines.column(CHROM).changes() | lines.column(STRAND).changes()
    for row, (start, moved) in enumerate(zip(attributes.start.tolist(), moves.tolist(), strict=True)):
        if moved or not text.startswith(names.upto, start):
            starts.append(row)
            run_names.append(names.values(text, start, int(attributes.end[row])))
    starts = np.array(starts, np.int64)
    heads = lines[starts]
    chroms, strands = heads.column(CHROM).repeated_words(), heads.column(STRAND).repeated_words()
    return starts, [(*name, chrom, strand) for name, chrom, strand in zip(run_names, chroms, strands, strict=True)]


def _add_nameless(lines, kinds, models, faults):
    faults += [(int(number), "exon without transcript_id", None) for number in lines[kinds == EXON].numbers()]
    models.left_out["transcript_lines_without_id"] += int((kinds == TRANSCRIPT).sum())
    models.left_out["cds_and_utr_lines_without_transcript"] += int((kinds == CODING).sum())


class _Names:
    """transcript_id and gene_id of lines, quick where a line is like the one before up to the end of both, ``upto``."""

    def __init__(self):
        self.upto, self.last = b"\n", None

    def values(self, text, start, end):
        """(transcript_id or None, gene_id or ``""``) of the line whose column nine is ``text[start:end]``."""
        if not text.startswith(self.upto, start):
            transcript, stop = _quoted(text, b"transcript_id", start, end)
            gene, gene_stop = _quoted(text, b"gene_id", start, end)
            self.upto = text[start : max(stop, gene_stop)] if transcript and gene else b"\n"
            transcript = transcript or attribute(text, b"transcript_id", start, end)
            self.last = transcript, gene or attribute(text, b"gene_id", start, end) or ""
        return self.last


class _Transcripts:
    """What the lines of a file say of its transcripts: by the first exon and the own line of each."""

    def __init__(self, models):
        self.models, self.retained, self.symbols, self.with_line = models, set(), {}, set()

    def add(self, lines, kinds, run, keys):
        """Add lines of these kinds, of the transcripts ``keys[run]``."""
        first = np.flatnonzero(np.diff(run, prepend=-1))
        keys = [keys[i] for i in run[first].tolist()]
        n_known = len(self.models.about)
        numbers = np.array([self.models.number(key) for key in keys], np.int64)
        of = np.repeat(numbers, np.diff(first, append=len(lines)))
        # each number is new only once, and then the highest so far
        is_new = np.diff(np.maximum.accumulate(np.append(n_known - 1, numbers))) > 0
        self._describe(lines[first[is_new]], [key for key, new in zip(keys, is_new.tolist(), strict=True) if new])
        is_own = kinds == TRANSCRIPT
        self.models.add_spans(of[is_own], lines[is_own])
        self.with_line.update(of[is_own].tolist())
        is_own[first[is_new]] = True
        self._note_retained(lines[is_own], of[is_own])
        self._note_exceptions(lines, of)
        for kind in (EXON, CODING):
            rows = np.flatnonzero(kinds == kind)
            self.models.add(kind, of[rows], lines[rows], self._exon_numbers(lines[rows], of[rows]))

    def _describe(self, lines, keys):
        """Add new transcripts to ``models.about``, each by the first of its lines."""
        text, symbols = lines.lines.text, self.symbols
        _, starts, ends = lines.spans()
        for (name, gene, chrom, strand), start, end in zip(keys, starts, ends, strict=True):
            place = gene or name, chrom, strand
            if symbols.get(place) is None:
                symbol = attribute(text, b"gene_name", start, end)
                symbols[place] = symbol or attribute(text, b"gene", start, end)
            self.models.about.append((name, gene or name, symbols[place], False))

    def _note_retained(self, lines, of):
        """Note the transcripts whose first line, or one of their own, says that their biotype is retained_intron."""
        text = lines.lines.text
        for number, source, start, end in zip(of.tolist(), *lines.spans(), strict=True):
            if text.find(_RETAINED, source, end) >= 0 and _says_retained(text, source, start, end):
                self.retained.add(number)

    def _note_exceptions(self, lines, of):
        """Note the transcripts whose lines have an NCBI ``exception``."""
        text = lines.lines.text
        for word, letters, kind in _EXCEPTIONS:
            if lines.lines.holds_pair(letters) and word in text:
                _, start, end = lines.spans()
                for number, first, last in zip(of.tolist(), start, end, strict=True):
                    if text.find(word, first, last) >= 0:
                        self.models.exceptions[number] = kind

    def _exon_numbers(self, lines, of):
        """exon_number of the lines of transcripts without a line of their own, which it tells apart; else 0."""
        values = np.zeros(len(lines), np.int32)
        text = lines.lines.text
        rows = [row for row, number in enumerate(of.tolist()) if number not in self.with_line]
        if not rows or b"exon_number" not in text:
            return values
        _, starts, ends = lines[rows].spans()
        for row, start, end in zip(rows, starts, ends, strict=True):
            value = attribute(text, b"exon_number", start, end) or ""
            values[row] = int(value) if value.isdecimal() and len(value) < 9 else 0
        return values

    def finish(self):
        """Complete what a transcript's own line, which may come last, says of it."""
        about = self.models.about
        for number in self.retained:
            about[number] = (*about[number][:3], True)


def _says_retained(text, source, start, end):
    """Whether a GTF line that holds the word says that its transcript is of biotype retained_intron."""
    biotype = attribute(text, b"transcript_biotype", start, end)
    biotype = biotype or attribute(text, b"transcript_type", start, end)
    # Ensembl releases before 76 carry the transcript's biotype in the source column
    return biotype == RETAINED_INTRON or not biotype and text.startswith(_RETAINED + b"\t", source)


def attribute(text: bytes, name: bytes, start: int, end: int) -> str | None:
    """The value of one attribute, quoted or not, of the GTF line whose column nine is ``text[start:end]``.

    ``text`` and ``name`` are bytes, the value is a str; None when there is none.
    """
    value, _ = _quoted(text, name, start, end)
    if value is not None or text.find(name, start, end) < 0:
        return value
    match = re.search(rb"(?:^|[;\s])" + name + rb'\s+"?([^";]*)', text[start:end])
    return match[1].decode().strip() if match else None


def _quoted(text, name, start, end):
    """As :func:`attribute`, when it is in quotes where its name first comes; and where it ends."""
    at = text.find(name + b' "', start, end)
    if at < 0 or (at > start and text[at - 1] not in b" ;\t"):
        return None, start
    at += len(name) + 2
    stop = text.find(b'"', at, end)
    stop = stop if stop >= 0 else end
    return text[at:stop].decode(), stop + 1
