"""The worked example of docs/quantify.md, line by line: real reads to a report by one command, and by single tools."""

import os
import re
import subprocess
import sys

import pandas as pd
import pytest

from conftest import ROOT
from nextflow_runs import need_engine, run_nextflow, submitted

SAMPLES = ("02H025", "02H043")


def blocks():
    """The two blocks of commands of the example, and the lines of the first that need no Nextflow."""
    text = (ROOT / "docs" / "quantify.md").read_text(encoding="utf-8")
    one_command, by_tools = re.findall(r"```bash\n(.*?)```", text[text.index("## A worked example") :], re.S)
    *setup, run = one_command.strip().split("\n")
    return setup, run, by_tools


def shell(folder, script):
    """Run a script as a user with nothing but the tools on PATH, in a folder that looks like the repository."""
    (folder / "tests").symlink_to(ROOT / "tests")
    path = f"{ROOT / 'bin'}:{os.path.dirname(sys.executable)}:/usr/bin:/bin"
    env = {"PATH": path, "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-ec", script], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_tools_one_at_a_time_end_with_the_report(tmp_path):
    setup, _, by_tools = blocks()
    shell(tmp_path, "\n".join([*setup, by_tools]))
    page = (tmp_path / "report.html").read_text()
    measured = {name: pd.read_table(tmp_path / "quantified" / f"{name}.introns.tsv.gz") for name in SAMPLES}
    labels = pd.read_table(tmp_path / "labels.tsv")
    for table in measured.values():
        calls = table["call"].value_counts()
        assert len(table) == 100
        assert f'<td class="n" data-h="calls">{calls[1]} / {calls[0]} / {table["call"].isna().sum()}</td>' in page
    # levels of both samples together, by their fragments
    both = pd.concat(measured.values()).groupby("name")[["retained", "n"]].sum()
    psi = (both["retained"] / both["n"])[both["n"] >= 10].reindex(labels["name"])
    assert psi.notna().sum() == labels["psi"].notna().sum() == 96
    assert (psi.to_numpy() - labels["psi"]).abs().max() < 1e-5
    assert "measured level of retention" in page and '<figure class="light-figure"' in page


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder and printed lines of the one command, and of the same again with -resume."""
    need_engine()
    folder = tmp_path_factory.mktemp("reads")
    setup, run, _ = blocks()
    shell(folder, "\n".join(setup))
    command, data = run.split(" ", 3), "tests/data/quantify"
    assert command[:3] == ["nextflow", "run", "."]
    words = command[3].replace("$data", data).split()
    return folder, [run_nextflow(ROOT, folder, *words, *more) for more in ([], ["-resume"])]


def test_one_command_goes_from_alignments_to_the_report(results):
    folder, (first, _) = results
    assert sum("QUANTIFY_INTRONS" in task for task in submitted(first)) == 2
    page = (folder / "results" / "report.html").read_text()
    counts = pd.read_table(folder / "results" / "labels" / "labels.tsv")["label"].value_counts()
    assert counts.sum() == 55 and all(name in page for name in SAMPLES)
    assert (folder / "results" / "cards").is_dir() and (folder / "results" / "quantified" / "02H025.psi.bw").exists()


def test_resumed_it_repeats_nothing(results):
    folder, (_, again) = results
    assert submitted(again) == [] and "Report: " in again
