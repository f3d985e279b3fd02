"""Outputs in the making: hidden beside their final names, and locked, so that nobody takes another run's for litter."""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import zlib
from pathlib import Path

# locks of another host are not seen on every file system: only parts of this one are taken for abandoned
_HOST = f"{zlib.crc32(os.uname().nodename.encode()):08x}"


class Lock:
    """A lock of this run on a file or folder, which ends with the run; on a file system without locks nothing.

    Raises BlockingIOError where another run has it, and OSError where the file cannot be opened.
    """

    def __init__(self, path: Path, *, needed: bool = False) -> None:
        self.descriptor: int | None = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            # NFS locks no folders, some systems lock nothing
            if needed or isinstance(problem, BlockingIOError):
                self.release()
                raise

    def is_on(self, path: Path) -> bool:
        """Whether the locked file still has this name: it may have been finished or removed by another run."""
        if self.descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(path))
        except OSError:
            return False

    def release(self) -> None:
        """Give it back; once is enough."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class Part:
    """An unfinished file or folder, at ``path`` beside ``final``: ``create`` it, then ``publish`` or ``discard`` it.

    Parts that killed runs left of the same output are removed when a new one is created.
    """

    def __init__(self, final: Path) -> None:
        self.final, self.path = final, _hidden(final)
        self.lock: Lock | None = None

    def create(self, *, folder: bool = False) -> None:
        """Make it, empty, and lock it. Raises OSError."""
        remove_abandoned(self.final)
        while self.lock is None or not self.lock.is_on(self.path):
            if folder:
                self.path.mkdir()
            else:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            # another run may have found it before the lock, and removed it
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                self.lock = Lock(self.path)

    def publish(self) -> None:
        """Give it its final name. Raises OSError."""
        self.path.replace(self.final)
        self.release()

    def unlink(self) -> None:
        """Take its hidden name away; the lock stays, as may other names."""
        with contextlib.suppress(OSError):
            _remove(self.path)

    def release(self) -> None:
        """Give the lock back."""
        if self.lock:
            self.lock.release()

    def discard(self) -> None:
        """Remove it, if it is still there."""
        self.unlink()
        self.release()


def remove_abandoned(final: Path) -> None:
    """Remove the parts of an output that runs on this host left when they were killed."""
    ours = re.compile(rf"\.{re.escape(final.name)}\.{_HOST}-[0-9a-f]{{8}}\.part")
    with contextlib.suppress(OSError):
        for name in filter(ours.fullmatch, os.listdir(final.parent)):
            part = final.parent / name
            with contextlib.suppress(OSError):
                lock = Lock(part, needed=True)
                _remove(part)
                lock.release()


def _hidden(final):
    # within the current folder where that is what is written, ``.``, which has no name
    return final.parent / f".{final.name}.{_HOST}-{secrets.token_hex(4)}.part"


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
