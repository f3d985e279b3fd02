"""Inputs that are pipes of the shell, ``<(…)``: copied once, because what a tool reads twice would be empty then."""

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from intronaut.core.errors import CannotWrite

_PIPE = re.compile(r"(?:(?<=[=,])|^)/(?:dev|proc/self)/fd/([0-9]+)(?=,|$)")


@contextlib.contextmanager
def copied_pipes(argv: Sequence[str], names: dict[str, str]) -> Iterator[list[str]]:
    """The words of a command, with copies in place of pipes that can be read; ``names`` gets each copy's own name."""
    pipes = {match[0]: int(match[1]) for word in argv for match in _PIPE.finditer(word) if _is_readable(int(match[1]))}
    with contextlib.ExitStack() as stack:
        if pipes:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="intronaut-")))
        copies = {name: str(_copied(descriptor, folder / f"pipe{descriptor}")) for name, descriptor in pipes.items()}
        names |= {copy: name for name, copy in copies.items()}
        yield [_PIPE.sub(lambda match: copies.get(match[0], match[0]), word) for word in argv]


def _is_readable(descriptor):
    """Whether a file descriptor is a pipe to read from; that of ``>(…)`` is one to write to."""
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        return is_pipe and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    except OSError:
        return False


def _copied(descriptor, copy):
    try:
        with open(descriptor, "rb", closefd=False) as pipe, open(copy, "wb") as out:
            shutil.copyfileobj(pipe, out)
    except OSError as problem:
        raise CannotWrite(f"{copy}: {problem.strerror}; set TMPDIR to a folder with room") from problem
    return copy
