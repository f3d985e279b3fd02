"""Features kept on disk by what they were computed from, so that no run computes a sequence that another has had.

One file a sequence, in a folder for each way of computing: the name is the digest of the sequence, the content its
features and a CRC-32 of them. Files appear by renaming, so any number of runs may use a folder at once; one that is cut
short, damaged or taken away meanwhile is computed again. The least recently used go when the folder is over its limit.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from intronaut.core.errors import CannotWrite

CRC_BYTES = 4


class RowCache:
    """The features ``(d,)`` of sequences by digest, under ``folder``.

    Args:
        folder: shared by runs and tools; made when it is not there.
        how: JSON-able, everything but the sequence that the features depend on.
        d: the number of features.
        dtype: that of the stored features.
        limit_bytes: of the whole folder, over all ways of computing.

    Raises:
        CannotWrite: the folder cannot be made.
    """

    def __init__(self, folder: Path | str, how: dict, d: int, dtype: str, limit_bytes: int) -> None:
        key = hashlib.sha256(json.dumps([how, d, dtype], sort_keys=True).encode()).hexdigest()
        self.root, self.d, self.dtype, self.limit_bytes = Path(folder), d, np.dtype(dtype), limit_bytes
        self.folder = self.root / key[:32]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise CannotWrite(f"{folder}: {problem.strerror}") from problem

    def get(self, digest: str) -> np.ndarray | None:
        """The features of a sequence, or None when they are not there whole."""
        path = self._path(digest)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        values, crc = content[:-CRC_BYTES], content[-CRC_BYTES:]
        if len(values) != self.d * self.dtype.itemsize or zlib.crc32(values).to_bytes(CRC_BYTES, "little") != crc:
            return None
        return np.frombuffer(values, self.dtype)

    def put(self, digests: Iterable[str], rows: np.ndarray) -> None:
        """Keep ``rows`` ``(n, d)``; what does not fit on the disk is left out, since it can be computed again."""
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(rows, self.dtype)
        for digest, row in zip(digests, rows, strict=True):
            values = row.tobytes()
            path = self._path(digest)
            with contextlib.suppress(OSError):
                path.parent.mkdir(exist_ok=True)
                _write_whole(path, values + zlib.crc32(values).to_bytes(CRC_BYTES, "little"))

    def shrink(self) -> None:
        """Delete the least recently used files of the whole cache until it is within its limit."""
        files = []
        for path in self.root.glob("*/*/*"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                files.append((stat.st_mtime_ns, stat.st_size, path))
        excess = sum(size for _, size, _ in files) - self.limit_bytes
        for _, size, path in sorted(files):
            if excess <= 0:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            excess -= size

    def _path(self, digest):
        return self.folder / digest[:2] / digest


def _write_whole(path, content):
    """Write a file that other processes see whole or not at all."""
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".part")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
