"""Transcripts as the lines of an annotation tell them, and their exons.

An exon belongs to a transcript of one gene, chromosome and strand. Where an annotation has two transcripts under one
name there (RefSeq places a transcript at two loci, StringTie writes one twice), every transcript line starts a copy of
its own. A transcript without an exon line has the union of its CDS, UTR and codons for exons.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from intronaut.genome.feature_lines import CODING, EXON, Features

# why the gaps between the exons of a transcript may be no introns
TRANS_SPLICED, SLIPPAGE, REPEATED_NUMBERS = "trans_spliced", "ribosomal_slippage", "repeated_exon_numbers"
# a programmed frameshift skips or repeats fewer bases than any intron has
LONGEST_SLIPPAGE = 9
_COLUMNS = ("transcript", "start", "end", "line", "exon_number")


@dataclass
class GeneModels:
    """What the lines of a file say, in its order.

    ``transcripts`` numbers the transcripts by key: (identifier, gene identifier or ``""``, chrom, strand). ``parts``
    holds under EXON and CODING lists of int32 arrays for each of ``_COLUMNS`` (start 0-based; exon_number 0 where it
    is not read). ``spans`` holds transcript, line, start and end of the lines of transcripts themselves, one behind the
    other; ``exceptions`` why the gaps of a transcript may be no introns (TRANS_SPLICED, SLIPPAGE). ``about`` is, for
    each transcript, (transcript_id, gene_id, gene_name or None, whether its biotype is retained_intron).
    ``with_children`` holds the numbers of genes whose transcripts have exons, and of proteins, so that a CDS of these
    is not another transcript. ``left_out`` counts what was not used.
    """

    transcripts: dict = field(default_factory=dict)
    parts: dict = field(default_factory=lambda: {kind: {name: [] for name in _COLUMNS} for kind in (EXON, CODING)})
    spans: array = field(default_factory=lambda: array("q"))
    exceptions: dict = field(default_factory=dict)
    about: list = field(default_factory=list)
    with_children: set = field(default_factory=set)
    left_out: Counter = field(default_factory=Counter)

    def number(self, key: tuple[str, str, str, str]) -> int:
        """The number of a transcript; a new one gets the next."""
        return self.transcripts.setdefault(key, len(self.transcripts))

    def add(
        self, kind: int, transcript: np.ndarray | list[int], features: Features, exon_number: np.ndarray | None = None
    ) -> None:
        """Add an exon or coding part (``kind``) for each of the ``features``, of the transcripts of these numbers."""
        exon_number = np.zeros(len(features), np.int32) if exon_number is None else exon_number
        values = transcript, features.first - 1, features.last, features.numbers(), exon_number
        for name, column in zip(_COLUMNS, values, strict=True):
            self.parts[kind][name].append(np.asarray(column, np.int32))

    def add_span(self, transcript: int, line: int, start: int, end: int) -> None:
        """Add a line of the transcript itself."""
        self.spans.extend((transcript, line, start, end))

    def add_spans(self, transcripts: np.ndarray, features: Features) -> None:
        """Add the lines of the transcripts of these numbers themselves."""
        columns = transcripts, features.numbers(), features.first - 1, features.last
        self.spans.frombytes(np.column_stack(columns).astype(np.int64).tobytes())

    def keys_with_exons(self) -> list[tuple[str, str, str, str]]:
        """The keys of the transcripts that have an exon line."""
        keys = list(self.transcripts)
        return [keys[number] for number in np.unique(_joined(self.parts[EXON])["transcript"])]


@dataclass
class Exons:
    """Exons with their transcripts: int32 arrays ``transcript``, ``start``, ``end``; and for each transcript its key,
    its ``about`` and ``exceptions`` as in GeneModels."""

    transcript: np.ndarray
    start: np.ndarray
    end: np.ndarray
    keys: list
    about: list
    exceptions: list


def exons_of(models: GeneModels) -> Exons:
    """The Exons of GeneModels; transcripts without any are counted in ``models.left_out``."""
    exons, coding = _joined(models.parts[EXON]), _joined(models.parts[CODING])
    n_transcripts = len(models.transcripts)
    has_exon = np.bincount(exons["transcript"], minlength=n_transcripts) > 0
    used = ~has_exon[coding["transcript"]] & ~np.isin(coding["transcript"], list(models.with_children))
    models.left_out["transcripts_read_from_cds_and_utr"] = len(np.unique(coding["transcript"][used]))
    exons = {name: np.concatenate([exons[name], coding[name][used]]) for name in _COLUMNS}
    original = list(range(n_transcripts))
    for transcript, rows in _rows_of_copies(exons, models).items():
        for copy in range(1, max(rows.values()) + 1):
            chosen = [row for row, which in rows.items() if which == copy]
            if chosen:
                exons["transcript"][chosen] = len(original)
                original.append(transcript)
    present, number = np.unique(exons["transcript"], return_inverse=True)
    models.left_out["transcripts_without_exons"] += n_transcripts - len({original[row] for row in present.tolist()})
    keys, names = list(models.transcripts), [original[row] for row in present.tolist()]
    exceptions = [models.exceptions.get(row) if original[row] == row else None for row in present.tolist()]
    return Exons(
        number.astype(np.int32), exons["start"], exons["end"], [keys[name] for name in names],
        [models.about[name] for name in names], exceptions,
    )  # fmt: skip


def _joined(columns):
    return {name: np.concatenate([np.empty(0, np.int32), *blocks]) for name, blocks in columns.items()}


def _rows_of_copies(exons, models):
    """For each transcript that stands in the file several times, a dict from its rows in ``exons`` to the copy."""
    spans, with_span = _several_spans(models)
    repeated = _with_repeated_numbers(exons, with_span)
    wanted = np.isin(exons["transcript"], np.fromiter({*spans, *repeated}, np.int32))
    rows_of = {}
    for row in np.flatnonzero(wanted).tolist():
        rows_of.setdefault(int(exons["transcript"][row]), []).append(row)
    copies = {}
    for transcript, rows in rows_of.items():
        if transcript in spans:
            copies[transcript] = _by_transcript_line(exons, rows, spans[transcript])
            # each copy is one transcript by its own line: nothing is left to be spliced in trans
            models.exceptions.pop(transcript, None)
        elif (separate_rows := _by_exon_number(exons, rows)) is not None:
            copies[transcript] = separate_rows
        else:
            models.exceptions[transcript] = REPEATED_NUMBERS
    return copies


def _several_spans(models):
    """``(line, start, end)``, sorted, of the transcripts with lines of several places, and which have a line at all."""
    rows = np.array(models.spans, np.int64).reshape(-1, 4)
    n_lines = np.bincount(rows[:, 0], minlength=len(models.transcripts))
    spans = {}
    for number, *span in rows[n_lines[rows[:, 0]] > 1].tolist():
        spans.setdefault(number, set()).add(tuple(span))
    several = {number: sorted(places) for number, places in spans.items() if len({span[1:] for span in places}) > 1}
    return several, set(np.flatnonzero(n_lines).tolist())


def _by_transcript_line(exons, rows, spans):
    """Every exon to the transcript line that holds it; where none or several do, to the last one before it."""
    places = list(dict.fromkeys(span[1:] for span in spans))
    copies = {}
    for row in rows:
        start, end, line = (int(exons[name][row]) for name in ("start", "end", "line"))
        holding = [(where, span) for where, *span in spans if span[0] <= start and end <= span[1]]
        candidates = holding or [(where, span) for where, *span in spans]
        before = [(where, span) for where, span in candidates if where < line]
        _, span = max(before) if before else min(candidates)
        copies[row] = places.index(tuple(span))
    return copies


def _with_repeated_numbers(exons, with_span):
    """The transcripts without a line of their own of whose exons several, at different places, have one number.

    Where all exons have the same number it is none: some programs write 1 or 0 always.
    """
    numbered = np.flatnonzero(exons["exon_number"] > 0)
    transcript, number, start = (exons[name][numbered] for name in ("transcript", "exon_number", "start"))
    order = np.lexsort((start, number, transcript))
    transcript, number, start = transcript[order], number[order], start[order]
    same = (transcript[1:] == transcript[:-1]) & (number[1:] == number[:-1]) & (start[1:] != start[:-1])
    varied = transcript[1:][(transcript[1:] == transcript[:-1]) & (number[1:] != number[:-1])]
    return set(transcript[1:][same].tolist()) & set(varied.tolist()) - with_span


def _by_exon_number(exons, rows):
    """The first exon of a number to the first copy, the second at another place to the second, and so on.

    None when the copies would not have the same numbers.
    """
    seen, copies = {}, {}
    for row in rows:
        places = seen.setdefault(int(exons["exon_number"][row]), [])
        place = int(exons["start"][row]), int(exons["end"][row])
        if place not in places:
            places.append(place)
        copies[row] = places.index(place)
    return copies if len({len(places) for places in seen.values()}) == 1 else None
