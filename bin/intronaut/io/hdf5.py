"""HDF5 files of our own layout, written where the disk may be full."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from intronaut.core.errors import CannotWrite


class _Disk(io.FileIO):
    """A file whose writes seem never to fail: HDF5 prints and may crash where one does. ``full`` says that one has."""

    full = False

    def write(self, data: Any) -> int:
        """Write all of the bytes, or note that the disk is full."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while len(rest):
                rest = rest[super().write(rest) :]
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.full = True
        return size

    def readinto(self, buffer: Any) -> int:
        """Fill all of the buffer, with zeros for what could not be written."""
        room = memoryview(buffer).cast("B")
        n = super().readinto(room) or 0
        room[n:] = bytes(len(room) - n)
        return len(room)


@contextmanager
def writable(path: Path, mode: str = "w") -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Yield an open HDF5 file, ``mode`` ``w`` or ``r+``, and a function that raises once the disk is full.

    Raises CannotWrite for a full disk, at the latest when the file is closed.
    """
    with _Disk(path, "w+b" if mode == "w" else "r+b") as disk:

        def refuse_full() -> None:
            if disk.full:
                raise CannotWrite(f"{path.name}: cannot write: {os.strerror(errno.ENOSPC)}")

        with h5py.File(disk, mode) as file:
            yield file, refuse_full
        refuse_full()
