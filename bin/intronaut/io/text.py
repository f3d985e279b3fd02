"""Text and sequences in and out: compressed lines, FASTA windows, base codes.

Coordinates are 0-based, half-open, on the forward strand.
"""

import codecs
import contextlib
import gzip
import io
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from intronaut.core.errors import BadData, CannotWrite, ToolError
from intronaut.core.files import require_file

# the empty block that ends every complete bgzf file (SAM specification, section 4.1.2)
BGZF_EOF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BLOCK = 1 << 20
# what gzip raises for a file that is cut or spoilt
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile)
_QUOTED = re.compile(r'\A"((?:[^"]|"")*)"\Z')


def numbered_lines(path: Path | str) -> Iterator[tuple[int, str]]:
    """Yield ``(line number, line)`` of a text file: plain, gzip or bgzf by its first bytes, ``-`` is stdin.

    Line ends and a byte-order mark are removed. Raises MissingInput, and BadData for truncated or broken
    compression and for text that is not UTF-8.
    """
    for number, block in numbered_blocks(path):
        yield from enumerate(block[:-1].decode().split("\n"), number)


def numbered_blocks(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """Yield ``(number of the first line, lines)``: as :func:`numbered_lines`, in blocks of about 1 MB.

    The lines are bytes of UTF-8, and every one, the last of the file too, ends with a newline.
    """
    require_file(path)
    number, block = 1, b""
    with contextlib.ExitStack() as stack:
        raw: Any = sys.stdin.buffer if str(path) == "-" else stack.enter_context(open(path, "rb"))
        try:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            if packed:
                refuse_truncated_bgzf(path)
            end = _End(raw)
            for block in _whole_lines(gzip.GzipFile(fileobj=end) if packed else io.BufferedReader(end, 1 << 16)):
                if not block.isascii():
                    block.decode()
                yield number, block
                number += np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n"))
            if end.is_cut_bgzf():
                last = number - 1
                raise BadData(f"{path}: truncated bgzf after line {last}, no end-of-file block; copy the file again")
        except _BROKEN as problem:
            raise BadData(f"{path}: broken after line {number - 1}: {problem}; copy the file again") from problem
        except UnicodeDecodeError as problem:
            number += block.count(b"\n", 0, problem.start)
            raise BadData(f"{path}: line {number}: not UTF-8 text; is this the right file?") from problem


def _whole_lines(stream):
    """Yield the bytes of a stream in blocks of whole lines; of a broken one, what there is before it raises."""
    # glibc keeps up to twice the largest block ever freed; the memory of ours would else come again from the system
    with contextlib.suppress(MemoryError):
        bytearray(16 * _BLOCK)
    parts, size, mark = [], 0, codecs.BOM_UTF8
    try:
        while chunk := stream.read1(_BLOCK):
            size += len(chunk)
            cut = chunk.rfind(b"\n") + 1 if size >= _BLOCK else 0
            if cut:
                yield _with_newlines(b"".join([*parts, chunk[:cut]]).removeprefix(mark))
                parts, size, mark = [], len(chunk) - cut, b""
            parts.append(chunk[cut:])
    except _BROKEN:
        whole, end, _ = _with_newlines(b"".join(parts).removeprefix(mark)).rpartition(b"\n")
        if end:
            yield whole + end
        raise
    if rest := b"".join(parts).removeprefix(mark):
        yield _with_newlines(rest if rest.endswith(b"\n") else rest + b"\n")


def _with_newlines(lines):
    r"""The lines with ``\n`` where they had ``\r\n`` or ``\r``."""
    return lines.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in lines else lines


class _End(io.RawIOBase):
    """A binary stream that remembers how it began and ended, to tell of a pipe too that its bgzf was cut."""

    def __init__(self, stream):
        self.stream, self.head, self.tail = stream, b"", b""

    def readable(self):
        return True

    def readinto(self, buffer):
        chunk = self.stream.read1(len(buffer))
        buffer[: len(chunk)] = chunk
        self.head = (self.head + chunk)[:16]
        self.tail = (self.tail + chunk)[-len(BGZF_EOF) :]
        return len(chunk)

    def is_cut_bgzf(self):
        return is_bgzf(self.head) and self.tail != BGZF_EOF


@contextlib.contextmanager
def rereadable(path: Path | str) -> Iterator[Path]:
    """Yield a path that can be read more than once: ``path`` itself, or for ``-`` a copy of standard input."""
    if str(path) != "-":
        yield require_file(path)
        return
    with tempfile.TemporaryDirectory(prefix="intronaut-") as folder:
        copy = Path(folder) / "standard_input"
        try:
            with open(copy, "wb") as out:
                shutil.copyfileobj(sys.stdin.buffer, out)
        except OSError as problem:
            raise CannotWrite(f"{copy}: {problem.strerror}; set TMPDIR to a folder with room") from problem
        try:
            yield copy
        except ToolError as problem:
            # the copy is gone when the user reads this
            raise type(problem)(str(problem).replace(str(copy), "-")) from problem


def refuse_truncated_bgzf(path: Path | str) -> None:
    """Raise BadData when a bgzf file lacks its closing empty block: gzip readers would not notice the cut."""
    if str(path) == "-":
        return
    with open(path, "rb") as handle:
        if not is_bgzf(handle.read(16)):
            return
        size = handle.seek(0, io.SEEK_END)
        handle.seek(max(0, size - len(BGZF_EOF)))
        if handle.read() != BGZF_EOF:
            raise BadData(f"{path}: truncated bgzf ({size:,} bytes, no end-of-file block); copy the file again")


def is_bgzf(head: bytes) -> bool:
    """Whether the first 16 bytes are those of a bgzf block."""
    return head[:4] == b"\x1f\x8b\x08\x04" and head[12:14] == b"BC"


def are_quoted(cells: list[str]) -> bool:
    """Whether every cell has quotes around it, as R writes those of a header."""
    return all(map(_QUOTED.match, cells))


def unquoted(cells: list[str]) -> list[str]:
    """Cells without the quotes around them that R and Excel write, and with one for each two inside."""
    return [_QUOTED.sub(lambda cell: cell[1].replace('""', '"'), cell) for cell in cells]
