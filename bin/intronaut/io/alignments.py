"""SAM, BAM and CRAM files: opened with every fault as one line, sorted where they are not, read by chromosome.

Nothing is written beside the input, and no reference sequence is fetched: counting needs places, not bases.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pysam

from intronaut.core.errors import BadData, CannotWrite, UsageError
from intronaut.core.files import require_file
from intronaut.io.text import refuse_truncated_bgzf, rereadable

_LONG_ALIGNERS = re.compile(r"minimap2|pbmm2|uLTRA|deSALT|GMAP|winnowmap", re.IGNORECASE)
_LONG_PLATFORMS = ("ONT", "PACBIO")
# minimap2's presets for short reads: -ax sr, -x splice:sr
_SHORT_PRESET = re.compile(r"-a?x *(?:splice:)?sr\b")
# median length above which reads are long ones, with an aligner of long reads and without, over this many records
_LONG_BY_ALIGNER, LONG_READ = 200, 400
_LOOKED_AT = 10_000
_NOT_PRIMARY = 0x904
# all of a CRAM record but bases, qualities and what compares them with the reference, by their bits in htslib
_CRAM_FIELDS = 0x1FF | 0x800 | 0x1000
_NO_PLACE = "*"


class Alignments:
    """An alignment file that is read by records, all of them or those of one chromosome.

    ``lengths`` is a dict from the names of its header to bases, ``source`` the path that the user gave. Use as a
    context manager: what is not sorted by coordinate is sorted into a temporary folder, and ``-`` is copied there.

    ``sort=False`` leaves the order as it is: to look at a file, not to count it.

    Raises MissingInput, UsageError for CRAM without ``fasta``, CannotWrite when the temporary folder is full, and
    BadData for what is no alignment file, a truncated one, one without header, or a CRAM of another reference.
    """

    def __init__(self, path: Path | str, fasta: Path | str | None = None, *, sort: bool = True) -> None:
        self.source, self.fasta = str(path), fasta
        self._stack = contextlib.ExitStack()
        pysam.set_verbosity(0)  # what htslib says of a broken file, we say in one line
        # htslib would look for the reference of a CRAM on the net
        os.environ["REF_PATH"] = os.environ["REF_CACHE"] = os.devnull
        try:
            require_file(path)
            self.path = Path(self._stack.enter_context(rereadable(path)))
            refuse_truncated_bgzf(self.path)
            with self._faults(), self._open() as file:
                self.header, self.is_cram = file.header.to_dict(), file.is_cram
                self.lengths = dict(zip(file.references, file.lengths, strict=True))
            self._check()
            self.index = self._index()
            if sort and self.index is None and self.header.get("HD", {}).get("SO") != "coordinate":
                self.path = self._sorted()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Alignments:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def _open(self):
        options = [f"required_fields={_CRAM_FIELDS}", "decode_md=0"]
        index = {"index_filename": str(self.index)} if getattr(self, "index", None) else {}
        # pysam prints, with a traceback, that it cannot close what it could not open
        with self._faults(), contextlib.redirect_stderr(io.StringIO()):
            return pysam.AlignmentFile(str(self.path), check_sq=False, format_options=_bytes(options), **index)

    @contextlib.contextmanager
    def _faults(self):
        try:
            yield
        except (ValueError, NotImplementedError) as problem:
            raise BadData(f"{self.source}: not a SAM, BAM or CRAM file that can be read: {problem}") from problem
        except OSError as problem:
            raise BadData(f"{self.source}: truncated or broken: {problem}; copy the file again") from problem

    def _check(self):
        if not self.lengths:
            raise BadData(f"{self.source}: its header names no chromosome (@SQ); align the reads, or keep the header")
        if self.is_cram and self.fasta is None:
            raise UsageError(f"{self.source}: a CRAM needs the FASTA that it was made with; give --fasta")

    def _index(self):
        """The index beside the file when it is no older than the file, else None."""
        if str(self.path) != self.source:
            return None
        stem = self.path.with_suffix("")
        names = [f"{self.path}{suffix}" for suffix in (".bai", ".csi", ".crai")] + [f"{stem}.bai", f"{stem}.crai"]
        for name in map(Path, names):
            with contextlib.suppress(OSError):
                if name.is_file() and os.access(name, os.R_OK) and name.stat().st_mtime >= self.path.stat().st_mtime:
                    return name
        return None

    def _sorted(self):
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="intronaut-"))
        target = Path(folder) / "sorted.bam"
        reference = ["--reference", str(self.fasta)] if self.is_cram else []
        try:
            pysam.sort("-l", "1", "-m", "256M", "-T", f"{folder}/part", *reference, "-o", str(target), str(self.path))
        except pysam.SamtoolsError as problem:
            reason = str(problem).strip().splitlines()[-1][:200]
            if "space" in reason or "write" in reason:
                raise CannotWrite(f"{folder}: cannot sort {self.source}: {reason}; set TMPDIR") from problem
            raise BadData(f"{self.source}: cannot be sorted by coordinate: {reason}") from problem
        return target

    def records(self, chrom: str | None = None) -> Iterator[pysam.AlignedSegment]:
        """Yield the pysam.AlignedSegment of a chromosome, of ``*`` for those without a place, of all for None.

        Raises BadData for a file that breaks off.
        """
        with self._faults(), self._open() as file:
            yield from file.fetch(until_eof=True) if chrom is None else file.fetch(chrom)

    def region(self, chrom: str, start: int, end: int) -> Iterator[pysam.AlignedSegment]:
        """Yield the pysam.AlignedSegment that overlap ``[start, end)``; without an index the whole file is read."""
        if self.index is not None:
            with self._faults(), self._open() as file:
                yield from file.fetch(chrom, start, end)
            return
        for record in self.records():
            if record.reference_name == chrom and record.reference_start < end and (record.reference_end or 0) > start:
                yield record

    def parts(self) -> list[str | None]:
        """What to ask :meth:`records` for: each chromosome, largest first, when there is an index; else None alone."""
        if self.index is None:
            return [None]
        return sorted(self.lengths, key=self.lengths.get, reverse=True) + [_NO_PLACE]

    def check_count(self, chrom: str | None, n_records: int) -> None:
        """Raise BadData when the index lists another number of records than there are in a chromosome."""
        if chrom in (None, _NO_PLACE) or self.index.suffix == ".crai":
            return
        with self._faults(), self._open() as file:
            indexed = next(row.total for row in file.get_index_statistics() if row.contig == chrom)
        if indexed != n_records:
            contents = f"{indexed:,} records of {chrom}, but {self.source} has {n_records:,}"
            raise BadData(f"{self.index}: lists {contents}; index it again")

    def sample(self) -> str:
        """The sample of the read groups when they name exactly one, else the file's name without its suffix."""
        names = {group["SM"] for group in self.header.get("RG", []) if group.get("SM")}
        if len(names) == 1:
            return names.pop()
        return "reads" if self.source == "-" else Path(self.source).name.removesuffix(Path(self.source).suffix)

    def has_long_reads(self) -> bool:
        """Whether the platform of the header says that these are long reads, or their lengths do.

        An aligner of long reads takes short ones too.
        """
        if any(group.get("PL", "").upper() in _LONG_PLATFORMS for group in self.header.get("RG", [])):
            return True
        by_aligner = any(
            _LONG_ALIGNERS.match(program.get("PN", program.get("ID", "")))
            and not _SHORT_PRESET.search(program.get("CL", ""))
            for program in self.header.get("PG", [])
        )
        mapped = (record.infer_query_length() for record in self.records() if not record.flag & _NOT_PRIMARY)
        lengths = sorted(islice((length for length in mapped if length), _LOOKED_AT))
        if not lengths:
            return by_aligner
        return lengths[len(lengths) // 2] > (_LONG_BY_ALIGNER if by_aligner else LONG_READ)


def _bytes(options):
    return [option.encode() for option in options]
