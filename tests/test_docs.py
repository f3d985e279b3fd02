"""The pages show what the project does: the worked example of a new tool runs as it stands there."""

import re
import shutil
import subprocess
import sys

from conftest import ROOT


def test_worked_example_of_a_new_tool_runs(tmp_path):
    page = (ROOT / "docs" / "development.md").read_text()
    script, test = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shutil.copytree(ROOT / "bin" / "intronaut", tmp_path / "bin" / "intronaut")
    for path, text in (("bin/count_genes.py", script), ("tests/test_count_genes.py", test)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "bin" / "count_genes.py").chmod(0o755)
    for name in ("tests/conftest.py", "tests/test_manners.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    chosen = [sys.executable, "-m", "pytest", "-q", "-k", "count_genes"]
    done = subprocess.run(chosen, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]
    assert links and [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_pre_commit_checks_with_the_same_ruff():
    version = re.search(r"^ruff==(\S+)", (ROOT / "requirements.txt").read_text(), re.M)[1]
    assert f"rev: v{version}\n" in (ROOT / ".pre-commit-config.yaml").read_text()
