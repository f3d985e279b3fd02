"""HDF5 files whose whole space is reserved before HDF5 writes them: a full disk is met as an OSError, and at once.

HDF5 cannot be trusted with a full disk: it raises RuntimeError, leaves files that it can no longer close, or ends the
process.
"""

import io
import os
from pathlib import Path
from typing import Any

_PAGE = 1 << 16


class SparseBytes(io.RawIOBase):
    """A file in memory that holds only the pages that were written; the others read as zeros."""

    def __init__(self) -> None:
        self.pages, self.size, self.at = {}, 0, 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def truncate(self, size: int | None = None) -> int:
        self.size = self.at if size is None else size
        return self.size

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(self.size - self.at, 0))
        for where, page, inside, length in self._pieces(wanted):
            stored = self.pages.get(page)
            buffer[where : where + length] = stored[inside : inside + length] if stored else bytes(length)
        self.at += wanted
        return wanted

    def write(self, data: Any) -> int:
        data = memoryview(data).cast("B")
        for where, page, inside, length in self._pieces(len(data)):
            stored = self.pages.setdefault(page, bytearray(_PAGE))
            stored[inside : inside + length] = data[where : where + length]
        self.at += len(data)
        self.size = max(self.size, self.at)
        return len(data)

    def _pieces(self, length):
        """The pieces of ``length`` bytes from here: (offset among them, page, offset in the page, bytes)."""
        done = 0
        while done < length:
            page, inside = divmod(self.at + done, _PAGE)
            piece = min(_PAGE - inside, length - done)
            yield done, page, inside, piece
            done += piece


def write_reserved(path: Path, sparse: SparseBytes) -> None:
    """Write a SparseBytes to ``path``, all of whose space is claimed first. Raises OSError when there is no room."""
    with open(path, "wb") as handle:
        # where the system cannot claim space, a full disk is met later
        if sparse.size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle.fileno(), 0, sparse.size)
        for page, stored in sorted(sparse.pages.items()):
            start = page * _PAGE
            os.pwrite(handle.fileno(), stored[: max(0, min(_PAGE, sparse.size - start))], start)
        handle.truncate(sparse.size)
