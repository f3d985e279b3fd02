"""What every tool must do before it does anything: help at once, version, one line for wrong use."""

import os
import subprocess
import sys

import pytest

from conftest import ROOT

TOOLS = sorted(path for path in (ROOT / "bin").glob("*.py") if os.access(path, os.X_OK))
HEAVY = ["torch", "pandas", "numpy", "scipy", "sklearn", "pysam", "Bio", "h5py", "anndata", "matplotlib", "rich"]


def start(tool, *args):
    return subprocess.run([sys.executable, "-X", "importtime", tool, *args], capture_output=True, text=True)


def test_there_are_tools():
    assert {"label_introns", "fetch_sequences", "embed_motifs", "fit"} <= {tool.stem for tool in TOOLS}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.stem)
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(tool, option):
    done = start(tool, option)
    assert done.returncode == 0
    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert not loaded & set(HEAVY)
    assert tool.stem in done.stdout


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.stem)
def test_unknown_option_is_one_line(tool):
    done = subprocess.run([sys.executable, tool, "--no-such-option"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"{tool.stem}: error: ") and len(done.stderr.splitlines()) == 1


SEEDED = [tool for tool in TOOLS if "seed=True" in tool.read_text(encoding="utf-8")]


@pytest.mark.parametrize("seed", ["-1", "99999999999", "x"])
@pytest.mark.parametrize("tool", SEEDED, ids=lambda tool: tool.stem)
def test_a_seed_that_no_library_takes_is_one_line(tool, seed):
    done = subprocess.run([sys.executable, tool, "--seed", seed], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith(f"{tool.stem}: error: argument --seed: '{seed}' is ")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.stem)
def test_tool_runs_as_a_program(tool):
    text = tool.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env python3\n# /// script\n# requires-python = ")
    assert 'if __name__ == "__main__":\n    run(main' in text
