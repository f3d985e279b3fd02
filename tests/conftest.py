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
def shared_data():
    """Real genomes, annotations and calls that are too large to ship."""
    return _folder(SHARED / "data")


@pytest.fixture(scope="session")
def golden():
    """Numbers that the original Sei and DNABERT-2 code returned for random weights."""
    return _folder(SHARED / "golden")


def _folder(path):
    if not path.is_dir():
        pytest.skip(f"{path.parent.name}/{path.name} is not beside the repository")
    return path
