"""Files that are given where text was expected: what they are, and which program reads them."""

import contextlib
import gzip
import zlib
from pathlib import Path

from intronaut.core.errors import BadData
from intronaut.core.files import require_file
from intronaut.io.bigwig import ORDERS

_ALIGNMENTS = "alignments of reads (BAM or CRAM), not a table; quantify_introns counts them and writes one"
_TRACK = "a bigWig track of coverage, not a table; quantify_introns reads coverage with junctions and writes one"
_OTHER_KINDS = {
    b"CRAM": _ALIGNMENTS,
    **dict.fromkeys(ORDERS, _TRACK),
    b"\xeb\xf2\x89\x87": "a bigBed file, not text; bigBedToBed writes its BED",
    b"\x87\x89\xf2\xeb": "a bigBed file, not text; bigBedToBed writes its BED",
    b"PK\x03\x04": "a zip archive or Excel workbook, not text; save the sheet as tab-separated text",
    b"\xd0\xcf\x11\xe0": "an Excel workbook, not text; save the sheet as tab-separated text",
    b"\x89HDF": "an HDF5 file, not a table",
    b"PAR1": "a Parquet file, not text; write it as tab-separated text",
    b"\xff\xfe": "text in UTF-16, not UTF-8; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16, not UTF-8; save it as UTF-8",
}


def refuse_other_kinds(path: Path | str) -> None:
    """Raise BadData for a file that is no text, or a web page, and say what it is or which program reads it."""
    # what is read of standard input or of a pipe is gone
    if str(path) == "-" or not require_file(path).is_file():
        return
    with open(path, "rb") as handle:
        head = handle.read(64)
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise BadData(f"{path}: a web page, as servers send for a file that they do not have; download it again")
    for magic, what in _OTHER_KINDS.items():
        if head.startswith(magic):
            raise BadData(f"{path}: {what}")
    if head[:2] == b"\x1f\x8b":
        with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as packed:
            if packed.read(4) == b"BAM\x01":
                raise BadData(f"{path}: {_ALIGNMENTS}")
