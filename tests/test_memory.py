"""Work in a process of its own: what it returns and raises arrives, what it takes does not stay."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
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


def test_the_other_process_ends_when_this_one_is_killed(tmp_path):
    script = (
        "import os, sys, time; from pathlib import Path; from intronaut.core.memory import in_child\n"
        "def work():\n    Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)\n"
        "in_child(work)"
    )
    number = tmp_path / "number"
    tool = subprocess.Popen([sys.executable, "-c", script, number], env={**os.environ, "PYTHONPATH": str(ROOT / "bin")})
    limit = time.monotonic() + 60
    while not (number.exists() and number.read_text()) and time.monotonic() < limit:
        time.sleep(0.05)
    child = Path(f"/proc/{number.read_text()}")
    assert child.exists()
    tool.kill()
    tool.wait()
    while child.exists() and "Z" not in (child / "stat").read_text() and time.monotonic() < limit:
        time.sleep(0.05)
    assert not child.exists() or "Z" in (child / "stat").read_text()


def test_freed_memory_is_given_back():
    # every second of many small arrays: what is left keeps the C library from giving back the rest by itself
    arrays = [np.ones(2000) for _ in range(10_000)]
    arrays = arrays[::2]
    before = resident()
    give_back_memory()
    assert before - resident() > 30e6 and len(arrays) == 5000
