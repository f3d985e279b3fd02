"""Processes forked from this one, which end when it ends."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor

# of Linux's prctl: the signal that a process gets when its parent ends
PR_SET_PDEATHSIG = 1


def forked_pool(processes: int) -> ProcessPoolExecutor:
    """A pool of forked ``processes``. On Linux they also end when this process is killed outright; without that they
    would wait for work for ever, their memory with them."""
    context = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(processes, context, initializer=_end_with, initargs=(os.getpid(),))


def _end_with(parent):
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the signal was asked for
            os.kill(os.getpid(), signal.SIGKILL)
