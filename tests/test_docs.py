"""The pages show what the project does: every command of them is one, and the worked example of a new tool runs."""

import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_of(page):
    """Every command of a page's blocks as a list of words, pipes and loops taken apart."""
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    for block in blocks:
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            command = []
            for word in [*shlex.split(line, comments=True), ";"]:
                if word in ("|", "do", "&&", ";"):
                    yield command
                    command = []
                else:
                    command.append(word)


def tool_of(command):
    """``label_introns`` of a command of ``label_introns.py`` or ``bin/label_introns.py``; else None."""
    name = command[0].removeprefix("bin/").removesuffix(".py") if command else ""
    return name if command and command[0].endswith(".py") and (ROOT / "bin" / f"{name}.py").exists() else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_option_of_a_command_on_a_page_exists(page):
    schema = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    params = {name for group in schema for name in group["properties"]}
    for command in commands_of(page):
        if tool := tool_of(command):
            options = command[1 : command.index(">")] if ">" in command else command[1:]
            importlib.import_module(tool).make_parser().parse_args(options)
        elif command[:2] == ["nextflow", "run"]:
            unknown = {word[2:] for word in command if word.startswith("--")} - params
            assert not unknown, (command, unknown)


def test_commands_of_pages_are_found():
    """So that the test above cannot pass by finding none."""
    found = [tool_of(command) for page in PAGES for command in commands_of(page)]
    assert len(list(filter(None, found))) > 60 and {"fit", "check", "embed_kmers", "transfer"} <= set(found)


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


def test_readme_lists_every_tool():
    listed = re.findall(r"^\| (`.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    tools = {path.stem for path in (ROOT / "bin").glob("*.py")}
    assert {name for cell in listed for name in re.findall(r"`(\w+)`", cell)} == tools


def test_notice_and_weights_page_name_the_terms_of_every_model_that_can_be_fetched():
    import fetch_weights

    for page in (ROOT / "NOTICE", ROOT / "docs" / "weights.md"):
        text = re.sub(r"[^a-z0-9]", "", page.read_text().lower())
        assert [name for name in fetch_weights.RELEASES if name not in text] == [], page


def test_docs_made_from_help_and_schema_have_not_drifted():
    subprocess.run([sys.executable, ROOT / "docs" / "make.py", "--check"], check=True)


def test_the_benchmarks_page_holds_the_tables_of_today(monkeypatch):
    # scripts there are called as tools are
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import summary

    assert summary.PAGE.read_text(encoding="utf-8") == summary.page(), "run python benchmarks/summary.py"
