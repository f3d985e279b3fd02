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


def test_labels_of_an_annotation_count_their_steps(tmp_path):
    shown = on_a_terminal(tmp_path, "label_introns", READS / "annotation.chrZ.gtf.gz", "--allow-empty")
    assert re.search(r"label_introns .* 5/5 steps -?[0-9:-]+", shown)


def test_what_reads_models_counts_them_and_what_it_makes_of_them(fitted):
    folder, _ = fitted
    given = ("--model", "model", "--features", GIVEN / "windows.h5ad", "--introns", first_intron())
    shown = on_a_terminal(folder, "explain_intron", *given, "-o", "cards")
    for counted in (r"introns read", r"introns compared", r"1/1 cards"):
        assert re.search(rf"explain_intron .*{counted} -?[0-9:-]+", shown)
    shown = on_a_terminal(folder, "compare", "model", "--labels", GIVEN / "labels.tsv", "-o", "compared")
    assert re.search(r"compare .* 3/3 models", shown)
    both = [f"{name}={path}" for path in ("model", GIVEN / "labels.tsv") for name in "ab"]
    shown = on_a_terminal(folder, "transfer", "--models", *both[:2], "--labels", *both[2:])
    assert re.search(r"transfer .* 4/4 pairs of cell types", shown)


def first_intron():
    return (GIVEN / "labels.tsv").read_text().splitlines()[1].split("\t")[3]


def test_a_report_counts_its_steps(fitted):
    folder, _ = fitted
    given = ("--labels", GIVEN / "labels.tsv", "--ledger", GIVEN / "ledger.tsv", "--counts", GIVEN / "counts.json")
    assert re.search(r"make_report .* 3/3 steps", on_a_terminal(folder, "make_report", *given, "--fit", "model"))


def test_samples_and_comparisons_of_them_are_counted(tmp_path):
    given = (READS / "annotation.chrZ.gtf.gz", READS / "02H025.bam", READS / "02H043.bam")
    shown = on_a_terminal(tmp_path, "quantify_introns", *given, "-o", "quantified")
    assert re.search(r"quantify_introns .* 2/2 samples", shown)
    (tmp_path / "sheet.tsv").write_text("sample\tcondition\n02H025\tone\n02H043\tother\n")
    tables = sorted((tmp_path / "quantified").glob("*.introns.tsv.gz"))
    shown = on_a_terminal(tmp_path, "differential_retention", *tables, "--sample-sheet", "sheet.tsv")
    assert re.search(r"differential_retention .* 2/2 tables", shown)
    assert re.search(r"differential_retention .* 1/1 comparisons", shown)
