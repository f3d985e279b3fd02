"""Progress and notes on stderr."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

LOG_EVERY_SECONDS = 60
Item = TypeVar("Item")


class Log:
    """What a tool reports on stderr: notes, warnings, progress with rate and ETA."""

    def __init__(self, prog: str, args: Namespace | None) -> None:
        self.prog = prog
        self.quiet = getattr(args, "quiet", False)
        self.verbose = getattr(args, "verbose", False)

    def note(self, text: str) -> None:
        """Report what was done."""
        if not self.quiet:
            print(f"{self.prog}: {text}", file=sys.stderr)

    def detail(self, text: str) -> None:
        """Report it only with --verbose."""
        if self.verbose:
            self.note(text)

    def warn(self, text: str) -> None:
        """Report what the user should look at."""
        self.note(f"warning: {text}")

    def progress(self, total: int, unit: str) -> _Progress:
        """A context manager whose ``.add(n)`` counts finished units."""
        return _Progress(self, total, unit)

    def each(self, items: Sequence[Item], unit: str) -> Iterator[Item]:
        """Yield the items in order; each counts as finished when the next is asked for."""
        with self.progress(len(items), unit) as progress:
            for item in items:
                yield item
                progress.add(1)


class _Progress:
    """A live bar on a terminal, one line a minute in a log."""

    def __init__(self, log, total, unit):
        self.log, self.total, self.unit = log, total, unit
        self.done = 0

    def __enter__(self):
        self.started = self.reported = time.monotonic()
        self.bar = None
        if sys.stderr.isatty() and not self.log.quiet:
            self.bar = _rich_bar(self.unit)
            self.task = self.bar.add_task(self.log.prog, total=self.total)
            self.bar.start()
        return self

    def __exit__(self, *raised):
        if self.bar:
            self.bar.stop()

    def add(self, n):
        self.done += n
        now = time.monotonic()
        if self.bar:
            self.bar.update(self.task, completed=self.done)
        elif now - self.reported >= LOG_EVERY_SECONDS:
            self.reported = now
            rate = self.done / (now - self.started)
            left = (self.total - self.done) / rate if rate else float("inf")
            self.log.note(f"{self.done:,} of {self.total:,} {self.unit}, {rate:.3g}/s, {left / 60:.0f} min left")


def _rich_bar(unit):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit)
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def peak_bytes() -> int:
    """The largest resident memory that this process has had."""
    import re
    import resource

    # what getrusage says begins with the memory of the process that started this one
    status = Path("/proc/self/status")
    peak = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.M) if status.exists() else None
    if peak:
        return int(peak[1]) * 1024
    # kilobytes on Linux, bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
