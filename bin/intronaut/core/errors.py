"""Expected failures, their exit codes, and the list of all problems of one input."""

import signal
from pathlib import Path

SHOWN_PROBLEMS = 20


class ToolError(Exception):
    """An expected failure: its text is the one line the user sees, ``code`` the exit code."""

    code = 1


class UsageError(ToolError):
    """Options that do not fit together."""

    code = 2


class BadData(ToolError):
    """An input that is there but cannot be right."""

    code = 65


class MissingInput(ToolError):
    """An input that is not there or cannot be opened."""

    code = 66


class CannotWrite(ToolError):
    """An output that cannot be written: full disk, read-only folder."""

    code = 73


class TryAgain(ToolError):
    """A failure that may pass: out of memory on the device, network down."""

    code = 75


class Terminated(BaseException):
    """SIGTERM or SIGHUP, raised as an exception so that half-written outputs are removed; ``signum`` is its number."""

    def __init__(self, signum: int = signal.SIGTERM) -> None:
        super().__init__(signum)
        self.signum = signum


# what oneDNN says where it lacks the memory for a kernel
NO_KERNEL = "could not create a primitive"
# what torch says of memory, and oneDNN below it, which says no more
_OUT_OF_MEMORY = (
    NO_KERNEL,
    "can't allocate memory",
    "out of memory",
    "could not execute a primitive",
    "unable to mmap",
    "can't start new thread",
)


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether an exception of Python or torch says that memory did not suffice."""
    if isinstance(problem, RuntimeError):
        return any(words in str(problem) for words in _OUT_OF_MEMORY)
    return isinstance(problem, MemoryError)


class Problems:
    """Collects every problem of one input, so that the user mends them in one go: of each line the first one."""

    def __init__(self, where: Path | str) -> None:
        self.where = where
        self.lines = []
        self.count = 0
        self._faulty = set()

    def add(self, what: object, line: int | None = None) -> None:
        """Record one problem; ``line`` is the 1-based line number in the input."""
        if line in self._faulty:
            return
        if line is not None:
            self._faulty.add(line)
        self.count += 1
        if len(self.lines) < SHOWN_PROBLEMS:
            self.lines.append(f"line {line}: {what}" if line is not None else what)

    def raise_if_any(self) -> None:
        """Raise BadData with the first 20 problems and the count."""
        if not self.count:
            return
        if self.count == 1:
            raise BadData(f"{self.where}: {self.lines[0]}")
        rest = f"\n  … and {self.count - len(self.lines)} more" if self.count > len(self.lines) else ""
        raise BadData(f"{self.where}: {self.count} problems\n  " + "\n  ".join(self.lines) + rest)
