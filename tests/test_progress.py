"""What takes long shows on a terminal what is done, of how much, and how long the rest takes."""

import os
import pty
import re
import subprocess
import sys

import pytest

from conftest import DATA, ROOT

GIVEN = ROOT / "galaxy" / "test-data"
READS = DATA / "quantify"
FEATURES = ("--features", GIVEN / "windows.h5ad", "--labels", GIVEN / "labels.tsv")


def on_a_terminal(folder, tool, *args):
    """What a tool shows where standard error is a terminal, without the codes that move the cursor."""
    seen, shown = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, ROOT / "bin" / f"{tool}.py", *map(str, args)]
    with subprocess.Popen(command, cwd=folder, env=env, stderr=shown) as run:
        os.close(shown)
        parts = []
        while part := read(seen):
            parts.append(part)
    os.close(seen)
    assert run.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(parts).decode())


def read(terminal):
    """Some bytes of a terminal; empty at its end, where Linux reports an error."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    return folder, on_a_terminal(folder, "fit", *FEATURES, "--bootstrap", 50, "-o", "model")


def test_fit_counts_penalties_of_every_set_of_columns(fitted):
    _, shown = fitted
    for columns in ("features", "covariates", "combined"):
        assert re.search(rf"fit .* [1-9]\d*/\d+ penalties at most of {columns} -?[0-9:-]+", shown)


def test_explain_counts_its_steps(fitted):
    folder, _ = fitted
    shown = on_a_terminal(folder, "explain", "--model", "model", *FEATURES, "--pairs", 5, "-o", "explained")
    assert re.search(r"explain .* 7/7 steps of what holds on other introns", shown)


def test_quantify_introns_counts_samples(tmp_path):
    given = (READS / "annotation.chrZ.gtf.gz", READS / "02H025.bam", READS / "02H043.bam")
    shown = on_a_terminal(tmp_path, "quantify_introns", *given, "-o", "quantified")
    assert re.search(r"quantify_introns .* 2/2 samples", shown)
