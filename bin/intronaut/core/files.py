"""Outputs that appear whole or not at all, and inputs that can be read."""

import contextlib
import ctypes
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from intronaut.core.errors import CannotWrite, MissingInput
from intronaut.core.parts import Part

# of linux/fcntl.h and linux/fs.h
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
# whole outputs that wait for the others of their published_together, the innermost last
_waiting: list[list[Part]] = []
# hidden folders in the making: their files wait for nothing, because the folder does
_folders: list[Path] = []


@contextlib.contextmanager
def published_together() -> Iterator[None]:
    """Give the outputs that are written inside their names only when all are whole: all of them appear, or none."""
    outputs: list[Part] = []
    _waiting.append(outputs)
    try:
        yield
        with _undisturbed():
            for part in outputs:
                with _writing(part.final):
                    part.publish()
    finally:
        _waiting.pop()
        for part in outputs:
            part.discard()


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let signals that would end the program wait until the block has ended."""
    held: list[int] = []
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                before[ending] = signal.getsignal(ending)
                signal.signal(ending, lambda sent, frame: held.append(sent))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for received in held:
            os.kill(os.getpid(), received)


@contextlib.contextmanager
def _writing(name: str | Path) -> Iterator[None]:
    """Raise CannotWrite that names the output for what the system refuses inside."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise CannotWrite(f"{name}: cannot write: {problem.strerror or problem}") from problem


def _publish(part: Part) -> None:
    """Give a whole output its name, now or with the others of its published_together."""
    if _waiting and not any(part.final.is_relative_to(folder) for folder in _folders):
        _waiting[-1].append(part)
    else:
        part.publish()


def require_file(path: Path | str) -> Path:
    """Return ``path`` as a Path when it is a readable file (or ``-``), else raise MissingInput."""
    path = Path(path)
    if str(path) == "-":
        if sys.stdin is None:
            raise MissingInput("-: standard input is closed")
        return path
    try:
        status = path.stat()
    except OSError as problem:
        raise MissingInput(f"{path}: {problem.strerror}") from problem
    if stat.S_ISDIR(status.st_mode):
        raise MissingInput(f"{path}: is a folder, not a file")
    if not os.access(path, os.R_OK):
        raise MissingInput(f"{path}: cannot be read; check its permissions")
    return path


def named_after(output: str | Path, kind: str, other: str) -> str:
    """Where a second output lies when it is not named: beside ``output``, with the same name but for its kind.

    ``a/labels.tsv`` of kind ``labels`` → ``a/ledger.tsv``, ``a/liver.labels.tsv.gz`` → ``a/liver.ledger.tsv``,
    ``a/liver.tsv`` → ``a/liver.ledger.tsv``, where ``other`` is ``ledger.tsv``.
    """
    if str(output) in ("-", "/dev/stdout"):
        return other
    path = Path(output)
    stem = path.name.removesuffix(".gz").removesuffix(".bgz").rpartition(".")[0] or path.name
    prefix = stem.removesuffix(kind) if stem.endswith(kind) else f"{stem}."
    return str(path.with_name(prefix + other))


def digest_file(path: str | Path) -> str:
    """The sha256 of a file's bytes, as hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextlib.contextmanager
def whole_file(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open an output that appears under ``path`` only when it is complete.

    ``-`` is standard output; what is no regular file, such as a named pipe, is written as it is. A name that ends in
    .gz or .bgz is written as bgzf. A link stays and its target is replaced. Raises CannotWrite.
    """
    if str(path) in ("-", "/dev/stdout"):
        if sys.stdout is None:
            raise CannotWrite("-: standard output is closed")
        yield sys.stdout if "b" not in mode else sys.stdout.buffer
        return
    special = Path(path).exists() and not Path(path).is_file()
    # a pipe of the shell, /dev/fd/N, is a link to what has no path
    final = Path(path) if special else Path(os.path.realpath(path))
    part = Part(final)
    try:
        with _writing(path):
            if special:
                with _open_part(final, final, mode) as handle:
                    yield handle
                return
            final.parent.mkdir(parents=True, exist_ok=True)
            part.create()
            with _open_part(part.path, final, mode) as handle:
                yield handle
                handle.flush()
            _sync(part.path)
            _publish(part)
    finally:
        if not _waits(part):
            part.discard()


def _waits(part: Part) -> bool:
    return bool(_waiting and part in _waiting[-1])


def write_json(path: str | Path, content: dict) -> None:
    """Write a dict as indented JSON with sorted keys, whole or not at all."""
    with whole_file(path) as out:
        json.dump(content, out, indent=1, sort_keys=True, ensure_ascii=False)
        out.write("\n")


def _open_part(part, path, mode):
    if path.suffix in (".gz", ".bgz"):
        from Bio.bgzf import BgzfWriter

        # on DNA, level 1 is seven times as fast as the usual 6 for a sixth more bytes
        raw = BgzfWriter(part, "wb", compresslevel=1)
        return raw if "b" in mode else _TextOver(raw)
    return open(part, mode, **({} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}))


class _TextOver(io.TextIOBase):
    """UTF-8 text over a BgzfWriter, whose own text mode is Latin-1."""

    def __init__(self, raw):
        self.raw = raw

    def write(self, text):
        self.raw.write(text.encode())
        return len(text)

    def flush(self):
        # BgzfWriter.flush ends the block; leave that to close, so that the bytes do not depend on when we flush
        pass

    def close(self):
        if not self.closed:
            self.raw.close()
        super().close()


class _FolderPart(Part):
    """A folder in the making; what matches ``stale`` of the folder that has its name is left behind."""

    def __init__(self, final: Path, stale: Sequence[str]):
        super().__init__(final)
        self.stale = stale

    def publish(self) -> None:
        if not self.final.is_dir():
            self.path.replace(self.final)
        elif self.final.resolve() == Path.cwd():
            _move_into(self.path, self.final, self.stale)
        else:
            _keep_others(self.path, self.final, self.stale)
            _exchange(self.path, self.final.resolve())
        self.discard()


@contextlib.contextmanager
def whole_folder(path: Path | str, stale: Sequence[str] = ()) -> Iterator[Path]:
    """Yield a hidden folder whose content appears in ``path`` only when the block ends well. Raises CannotWrite.

    A folder that is already there keeps what else it holds, except what matches the patterns ``stale``: all that the
    tool may write, so that no file of an earlier run stands beside those of this one.
    """
    part = _FolderPart(Path(path), stale)
    try:
        with _writing(path):
            part.final.parent.mkdir(parents=True, exist_ok=True)
            part.create(folder=True)
            _folders.append(part.path.resolve())
            try:
                yield part.path
            finally:
                _folders.pop()
            _publish(part)
    finally:
        if not _waits(part):
            part.discard()


def _keep_others(part: Path, folder: Path, stale: Sequence[str]) -> None:
    """Link into ``part`` what ``folder`` holds beside what is newly written."""
    old = {item for pattern in stale for item in folder.glob(pattern)}

    def outdated(parent: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(parent) / name in old]

    for item in folder.iterdir():
        target = part / item.name
        if item in old or os.path.lexists(target):
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.copytree(item, target, symlinks=True, ignore=outdated, copy_function=_link)
        else:
            _link(item, target)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copy2(source, target, follow_symlinks=False)


def _exchange(part: Path, folder: Path) -> None:
    """Give ``part`` the name of ``folder``, and ``folder`` that of ``part``; in one step where the system can."""
    with contextlib.suppress(AttributeError):
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        if renameat2(_AT_FDCWD, os.fsencode(part.resolve()), _AT_FDCWD, os.fsencode(folder), _RENAME_EXCHANGE) == 0:
            return
    old = part.with_suffix(".old")
    folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _move_into(part: Path, folder: Path, stale: Sequence[str]) -> None:
    for old in [item for pattern in stale for item in folder.glob(pattern)]:
        _remove(old)
    for item in part.iterdir():
        target = folder / item.name
        if target.is_dir():
            _remove(target)
        item.replace(target)


def _remove(item):
    if item.is_dir() and not item.is_symlink():
        shutil.rmtree(item)
    else:
        item.unlink(missing_ok=True)


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
