"""A reference genome: sequence by coordinates, and which of its names a chromosome goes by.

Coordinates are 0-based, half-open, on the forward strand.
"""

from __future__ import annotations

import bisect
import codecs
import contextlib
import gzip
import hashlib
import mmap
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pysam
from Bio import bgzf

from intronaut.core.dna import is_nucleotides, with_n
from intronaut.core.errors import BadData, CannotWrite, UsageError
from intronaut.core.files import require_file
from intronaut.genome.chromosomes import read_aliases, resolve_chrom, resolve_chroms
from intronaut.io.text import is_bgzf, numbered_lines, refuse_truncated_bgzf

if TYPE_CHECKING:
    pass


class Genome:
    """A FASTA (plain, bgzf, gzip) or 2bit file, read by coordinates.

    ``lengths`` is a dict from chromosome name to bases, in file order. A ``.fai`` beside the file is used when it
    is no older than the file and agrees with its bytes; else an index is built in a temporary folder of this process:
    nothing is written beside the input. Use as a context manager.

    Raises MissingInput, BadData for a broken or truncated file and for names that occur twice, CannotWrite when the
    temporary folder is full.
    """

    def __init__(self, path: Path | str, aliases: str | None = None) -> None:
        self.path = Path(require_file(path))
        if str(path) == "-":
            raise UsageError("the genome is read by coordinates and cannot come from standard input; give a file")
        self.aliases = None if aliases is None else read_aliases(aliases)
        self._temporary, self._close = None, lambda: None
        self._process = os.getpid()
        pysam.set_verbosity(0)  # what htslib says of a broken file, we say in one line
        try:
            self._open = self._open_two_bit if _is_two_bit(self.path) else self._fasta()
            self.lengths, self._read, self._close = self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and remove the temporary index, if there is one."""
        self._close()
        if self._temporary:
            self._temporary.cleanup()

    def digest(self) -> str:
        """12 hex digits that tell this genome from another: a sha256 over the sorted lengths of its chromosomes.

        Names have no part in it, which differ between sources of one assembly.
        """
        lengths = ",".join(map(str, sorted(self.lengths.values())))
        return hashlib.sha256(lengths.encode()).hexdigest()[:12]

    def resolve(self, chrom: str, length: int | None = None) -> str:
        """This genome's name for ``chrom``; raises BadData that shows both names when there is none."""
        resolved = resolve_chrom(chrom, self.lengths, self.aliases, length)
        return resolved if resolved is not None else self.resolve_all([chrom], "input")[chrom]

    def resolve_all(self, chroms: Iterable[str], source: Path | str) -> dict[str, str]:
        """A dict from each of the names of ``source`` to this genome's; raises BadData that shows both sets."""
        return resolve_chroms(chroms, self.lengths, self.aliases, source=source, genome=self.path)

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """The bases of ``[start, end)`` on the forward strand, upper case; of other letters than IUPAC's, X * - are N.

        ``chrom`` is this genome's own name. Raises BadData outside the chromosome and for letters of no sequence.
        """
        if chrom not in self.lengths or not 0 <= start <= end <= self.lengths[chrom]:
            raise BadData(f"{self.path}: {chrom}:{start}-{end} is outside the genome")
        if os.getpid() != self._process:  # a file position shared with the parent process gives wrong bases
            self._process = os.getpid()
            _, self._read, self._close = self._open()
        try:
            bases = self._read(chrom, start, end) if start < end else ""
        except (ValueError, OSError, RuntimeError) as problem:
            raise BadData(f"{self.path}: broken at {chrom}:{start}-{end}: {problem}; copy the file again") from problem
        if len(bases) != end - start or not is_nucleotides(bases):
            raise BadData(f"{self.path}: no sequence at {chrom}:{start}-{end} but {bases[:20]!r}; is it whole?")
        return with_n(bases).replace("U", "T")

    def _folder(self):
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="intronaut-")
        return Path(self._temporary.name)

    def _fasta(self):
        kind = _compression(self.path)
        path = self._unpacked() if kind == "gzip" else self.path
        blocks = _bgzf_blocks(path) if kind == "bgzf" else None
        gzi = self._written("genome.gzi", _gzi_bytes(blocks)) if blocks else None
        beside = Path(f"{path}.fai")
        fai = beside if _is_trusted(beside, path, blocks) else self._built(path, blocks)

        def open_fasta():
            file = pysam.FastaFile(str(path), filepath_index=str(fai), filepath_index_compressed=gzi and str(gzi))
            return dict(zip(file.references, file.lengths, strict=True)), file.fetch, file.close

        return open_fasta

    def _written(self, name, content):
        path = self._folder() / name
        try:
            path.write_bytes(content)
        except OSError as problem:
            raise CannotWrite(f"{path}: {problem.strerror}; set TMPDIR to a folder with room") from problem
        return path

    def _unpacked(self):
        plain = self._folder() / "genome.fa"
        try:
            with gzip.open(self.path) as packed, open(plain, "wb") as out:
                shutil.copyfileobj(packed, out, 1 << 20)
        except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
            raise BadData(f"{self.path}: broken gzip: {problem}; copy the file again") from problem
        except OSError as problem:
            raise CannotWrite(f"{plain.parent}: cannot unpack {self.path}: {problem.strerror}; set TMPDIR") from problem
        return plain

    def _built(self, path, blocks):
        _refuse_other_text(path, self.path)
        fai, gzi = self._folder() / "genome.fai", self._folder() / "rebuilt.gzi"
        try:
            pysam.faidx(str(path), "--fai-idx", str(fai), *(["--gzi-idx", str(gzi)] if blocks else []))
        except pysam.SamtoolsError as problem:
            _explain_format(path, self.path)
            raise CannotWrite(f"{fai.parent}: cannot index {self.path}; is it full? set TMPDIR") from problem
        fault = _index_fault(fai, path, blocks)
        if fault:
            raise BadData(f"{self.path}: {fault}")
        return fai

    def _open_two_bit(self):
        from Bio import SeqIO  # a third of the start of a program that rarely needs it

        handle = open(self.path, "rb")  # noqa: SIM115 - its sequences are read from it until close
        try:
            sequences = {record.id: record.seq for record in SeqIO.parse(handle, "twobit")}
            whole = sequences and all(str(sequence[-1:]) for sequence in sequences.values())
        except (ValueError, RuntimeError) as problem:
            handle.close()
            raise BadData(f"{self.path}: not a whole 2bit file: {problem}; copy the file again") from problem
        if not whole:
            handle.close()
            raise BadData(f"{self.path}: a 2bit file without sequence; copy the file again")
        lengths = {name: len(sequence) for name, sequence in sequences.items()}
        return lengths, lambda chrom, start, end: str(sequences[chrom][start:end]), handle.close


def _is_two_bit(path):
    with open(path, "rb") as handle:
        return handle.read(4) in (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43")


def _compression(path):
    with open(path, "rb") as handle:
        head = handle.read(16)
    if head[:2] != b"\x1f\x8b":
        return "none"
    return "bgzf" if is_bgzf(head) else "gzip"


def _bgzf_blocks(path):
    """The ``(offset in the file, offset in the text)`` of every bgzf block and of the end; BadData when broken."""
    refuse_truncated_bgzf(path)
    blocks, start, text = [], 0, 0
    with open(path, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as packed:
        while start < len(packed):
            blocks.append((start, text))
            size = struct.unpack_from("<H", packed, start + 16)[0] + 1 if start + 18 <= len(packed) else 0
            if not is_bgzf(packed[start : start + 16]) or size < 26 or start + size > len(packed):
                raise BadData(f"{path}: broken bgzf block at byte {start:,}; copy the file again")
            text += struct.unpack_from("<I", packed, start + size - 4)[0]
            start += size
    return [*blocks, (start, text)]


def _gzi_bytes(blocks):
    """What bgzip writes as .gzi: the number of blocks after the first, then their two offsets, little-endian."""
    inner = blocks[1:-1]
    return struct.pack("<Q", len(inner)) + b"".join(struct.pack("<QQ", *block) for block in inner)


def _is_trusted(fai, path, blocks):
    readable = fai.is_file() and os.access(fai, os.R_OK)
    return readable and fai.stat().st_mtime_ns >= path.stat().st_mtime_ns and not _index_fault(fai, path, blocks)


def _index_fault(fai, path, blocks):
    """What keeps a .fai from describing the bytes of its FASTA, or None.

    Its records must lie one behind the other with nothing but their own header between them, to the end of the file.
    """
    try:
        rows = [line.split("\t") for line in fai.read_text().splitlines()]
        entries = [(name, int(bases), int(offset), int(line), int(width)) for name, bases, offset, line, width in rows]
    except ValueError:
        return "its index is broken"
    names, end = {entry[0] for entry in entries}, 0
    with _text_reader(path, blocks) as (read, total):
        for name, bases, offset, line_bases, line_width in entries:
            fault = _gap_fault(read(end, offset), name, names)
            if fault := fault or _line_fault(read, bases, offset, line_bases, line_width):
                return fault
            end = offset + (bases - 1) // line_bases * line_width + (bases - 1) % line_bases + 1 if bases else offset
        return _gap_fault(read(end, total), None, names)


def _gap_fault(gap, name, names):
    lines = [line.strip() for line in gap.split(b"\n")]
    headers = [(line[1:].split() or [b""])[0].decode(errors="replace") for line in lines if line.startswith(b">")]
    for extra in [header for header in headers if header != name] + headers[1:]:
        return f"sequence {extra!r} occurs twice" if extra in names else f"sequence {extra!r} is empty"
    if len(headers) != (name is not None) or any(line and not line.startswith(b">") for line in lines):
        return "its index does not fit"
    return None


def _line_fault(read, bases, offset, line_bases, line_width):
    if bases and not 0 < line_bases < line_width and bases > line_bases:
        return "its index does not fit"
    breaks = {0, (bases - 1) // line_bases - 1} if bases > line_bases else ()
    for line in breaks:
        start = offset + line * line_width
        if b"\n" in read(start, start + line_bases) or read(start + line_bases, start + line_width).strip():
            return "its index does not fit"
    return None


@contextlib.contextmanager
def _text_reader(path, blocks):
    """Yield ``read(start, end)`` over the uncompressed bytes (at most 64 KiB at once) and their number."""
    if blocks is None:
        with open(path, "rb") as handle:
            yield (lambda start, end: os.pread(handle.fileno(), _byte_count(start, end), start)), path.stat().st_size
        return
    with bgzf.BgzfReader(str(path), "rb") as reader:
        texts = [text for _, text in blocks[:-1]]

        def read(start, end):
            block, text = blocks[bisect.bisect_right(texts, start) - 1]
            try:
                reader.seek(bgzf.make_virtual_offset(block, start - text))
                return reader.read(_byte_count(start, end))
            except (ValueError, zlib.error, AssertionError) as problem:
                raise BadData(f"{path}: broken bgzf block at byte {block:,}; copy the file again") from problem

        yield read, blocks[-1][1]


def _byte_count(start, end):
    return min(max(end - start, 0), 1 << 16)


def _refuse_other_text(path, shown):
    """Raise BadData for reads, which can be indexed but are no genome, and for lines that nothing here parts."""
    with (gzip.open if _compression(path) != "none" else open)(path, "rb") as handle:
        head = handle.read(1 << 16)
    if head.startswith(b"@"):
        raise BadData(f"{shown}: starts with '@': reads, as FASTQ has them, not a genome in FASTA")
    if b"\r" in head and b"\n" not in head:
        raise BadData(f"{shown}: its lines end with carriage returns alone; replace them: tr '\\r' '\\n'")


def _explain_format(path, shown):
    """Raise BadData that names the first line which keeps a FASTA from being indexed."""
    with (gzip.open if _compression(path) != "none" else open)(path, "rb") as handle:
        if handle.read(3) == codecs.BOM_UTF8:
            raise BadData(f"{shown}: starts with a byte-order mark; save it as plain text")
    width, ended, records, header = None, False, 0, ""
    for number, line in numbered_lines(path):
        if line.startswith(">"):
            _refuse_empty(shown, header, width)
            width, ended, records, header = None, False, records + 1, line[1:]
        elif not line:
            ended = True
        elif not records:
            raise BadData(f"{shown}: line {number}: a FASTA file starts with '>', found {line[:40]!r}")
        elif ended or len(line) > (width or len(line)):
            raise BadData(f"{shown}: line {number}: the lines of one record differ in length; run seqtk seq -l 60")
        else:
            ended, width = width is not None and len(line) < width, width or len(line)
    if not records:
        raise BadData(f"{shown}: no FASTA record")
    _refuse_empty(shown, header, width)


def _refuse_empty(shown, header, width):
    """Raise BadData for a record without a line of bases."""
    if header and not width:
        raise BadData(f"{shown}: sequence {header.split()[0]!r} is empty")
