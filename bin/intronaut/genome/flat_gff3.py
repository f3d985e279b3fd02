"""GFF3 without Parent: exons name their transcript and gene by transcript_id and gene_id, as lines of a GTF do.

rtracklayer writes a GTF so when it is exported as GFF3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from intronaut.genome.feature_lines import ATTRIBUTES, EXON, Features
from intronaut.io.delimited import Lines

_PARENT = re.compile(rb"[\t;][ ]*Parent[ ]*=")
_TRANSCRIPT = re.compile(r"(?:^|;)\s*transcript_id\s*=\s*[^\s;]")
_ATTRIBUTE = re.compile(
    rb"(?:^|;)\s*(transcript_id|gene_id|gene_name|gene|transcript_biotype|transcript_type|exon_number|exception)\s*="
    rb"\s*([^;]*)"
)
# what would end a quoted value, or a column or line of the file
_MARKS = re.compile(rb'["\t\r\n]')


def is_flat(block: Features) -> bool | None:
    """Whether a GFF3 file is of this kind, by the first of its blocks that has a Parent or an exon; None before it."""
    if _PARENT.search(block.lines.text):
        return False
    exons = block[block.kinds() == EXON]
    if not len(exons):
        return None
    return all(_TRANSCRIPT.search(text) for text in exons.column(ATTRIBUTES).words())


def as_gtf(blocks: Iterable[Features], faults: list[tuple[int, str, Any]]) -> Iterator[Features]:
    """Yield the blocks with the attributes of their lines as a GTF has them.

    A line with Parent is one of the ``faults``: where a file has it, no exon may lack it.
    """
    for block in blocks:
        lines = block.lines
        pieces, at = [], 0
        _, starts, ends = block.spans()
        for number, start, end in zip(block.numbers().tolist(), starts, ends, strict=True):
            if _PARENT.search(lines.text, start - 1, end):
                faults.append((number, "has Parent, but the exons before it have transcript_id instead", None))
            pieces += lines.text[at:start], _rewritten(lines.text[start:end])
            at = end
        pieces.append(lines.text[at:])
        rewritten = Lines(lines.first, b"".join(pieces))
        yield Features(rewritten, block.rows, block.first, block.last, block.without_place)


def _rewritten(attributes):
    """Column nine with the attributes that the GTF reader looks for."""
    return b" ".join(b'%b "%b";' % (name, _value(value)) for name, value in _ATTRIBUTE.findall(attributes))


def _value(value):
    """A value without quotes and percent escapes; these stay where they hold a mark of the format."""
    value = value.strip().strip(b'"')
    plain = unquote_to_bytes(value)
    if _MARKS.search(plain):
        return _MARKS.sub(b"", value)
    try:
        plain.decode()
    except UnicodeDecodeError:
        return value
    return plain
