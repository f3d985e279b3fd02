"""Memory given back to the system: by work in a process of its own, and by the C library that hoards it."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from intronaut.core.errors import TryAgain
from intronaut.core.processes import forked_pool


def in_child(work: Callable, *args: Any) -> Any:
    """What ``work(*args)`` returns, or the exception that it raises, from a forked process.

    Raises TryAgain where the process was killed, as it is for lack of memory.
    """
    with forked_pool(1) as pool:
        try:
            return pool.submit(work, *args).result()
        except BrokenProcessPool as problem:
            raise TryAgain("a process was killed, as the system does when memory runs out") from problem


def give_back_memory() -> None:
    """Give memory that is free back to the system, where the C library keeps it (glibc; others do so by themselves)."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
