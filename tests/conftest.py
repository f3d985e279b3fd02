"""What the tests share: running tools as a user does, and data that lies outside the repository."""

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# started in the background, a shell has interrupts ignored, and so would have every tool that is started from here
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
DATA = ROOT / "tests" / "data"
DEMO = ROOT / "assets" / "demo"


def run_tool(name, *args, code=0, stdin=None, cwd=None, env=None):
    """Run a tool of bin/ in the folder ``cwd``; returns the CompletedProcess (text) when it exits with ``code``."""
    command = [sys.executable, ROOT / "bin" / f"{name}.py", *map(str, args)]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})}
    )
    assert done.returncode == code, f"{name} exited {done.returncode}:\n{done.stderr}"
    return done


@pytest.fixture
def tool(tmp_path):
    """``tool("fetch_sequences", arg, …, code=0)``: run_tool in the test's own folder."""
    return functools.partial(run_tool, cwd=tmp_path)


@pytest.fixture(scope="session")
def real_data():
    """Real annotations, calls and motifs that are small enough to ship."""
    return DATA / "real"


@pytest.fixture(scope="session")
def golden():
    """Numbers that the original code of Sei, DNABERT-2 and the splice networks returned."""
    return DATA / "golden"


@pytest.fixture(scope="session")
def shared_data():
    """Real genomes, annotations and peaks that are too large to ship, or may not be."""
    path = SHARED / "data"
    if not path.is_dir():
        pytest.skip("real data too large to ship are not beside the repository (../shared/data)")
    return path
