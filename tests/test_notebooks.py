"""The notebooks of docs/notebooks run from top to bottom, in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks_and_the_docs_link_them():
    index = (ROOT / "docs" / "index.md").read_text()
    assert NOTEBOOKS and all(f"notebooks/{path.name}" in index for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_holds_no_output(path, tmp_path):
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["nbformat"] == 4 and all(cell["outputs"] == [] for cell in cells)
    script = "\n".join("".join(cell["source"]) for cell in cells)
    env = {**os.environ, "INTRONAUT": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '<h2 id="v">' in (tmp_path / "report.html").read_text()
