"""Work in a process of its own: what it returns and raises arrives, what it takes does not stay."""

import os
import signal

import numpy as np
import pytest

from intronaut.core.errors import BadData, TryAgain
from intronaut.core.memory import give_back_memory, in_child


def resident():
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def texts(n):
    """Many small things, of which the last is returned."""
    return [f"transcript {number}" for number in range(n)][-1], os.getpid()


def faulty(name):
    raise BadData(f"{name}: truncated")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_result_comes_from_another_process_and_its_memory_does_not_stay():
    before = resident()
    text, number = in_child(texts, 1_000_000)
    assert text == "transcript 999999" and number != os.getpid()
    assert resident() - before < 20e6


def test_faults_arrive_as_they_are():
    with pytest.raises(BadData, match=r"^a.gtf: truncated$"):
        in_child(faulty, "a.gtf")
    with pytest.raises(TryAgain, match="memory"):
        in_child(killed)


def test_freed_memory_is_given_back():
    # every second of many small arrays: what is left keeps the C library from giving back the rest by itself
    arrays = [np.ones(2000) for _ in range(10_000)]
    arrays = arrays[::2]
    before = resident()
    give_back_memory()
    assert before - resident() > 30e6 and len(arrays) == 5000
