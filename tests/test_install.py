"""What `pip install` brings: every tool under one command, templates and tables, and what the tools need."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser

import pytest
from packaging.requirements import Requirement

from conftest import DEMO, ROOT, run_tool

TOOLS = sorted(path.stem for path in (ROOT / "bin").glob("*.py"))
PACKED = ("bin", "pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE")
COMMAND = "from intronaut.cli import main; main()"
# conda-forge's names of what PyPI calls otherwise
OF_CONDA = {"matplotlib-base": "matplotlib", "pytorch": "torch"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder that holds the wheel, built from the sdist, as pip would unpack it."""
    folder = tmp_path_factory.mktemp("package")
    for name in PACKED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    building = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder]
    done = subprocess.run(building, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def command(site, tmp_path):
    """``command("label-introns", …)``: the installed command, run in another folder."""

    def start(*args, code=0):
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *map(str, args)],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(site)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    return start


def metadata(site):
    (path,) = site.glob("*.dist-info/METADATA")
    return Parser().parsestr(path.read_text(encoding="utf-8"))


def test_help_lists_every_tool(command):
    listed = re.findall(r"^  (\w+)  ", command("--help").stdout, re.M)
    assert listed == TOOLS and "fit" in listed


def test_hyphens_are_underscores_and_errors_name_the_tool(command):
    assert command("label-introns", "--version").stdout.startswith("label_introns ")
    assert command("fit", "--no-such-option", code=2).stderr.startswith("fit: error: ")
    assert "no tool 'fitt'" in command("fitt", code=2).stderr


def test_installed_tools_write_what_the_scripts_write(command, tmp_path):
    (fasta,), (annotation,) = DEMO.glob("*.fa.gz"), DEMO.glob("*.gff3.gz")
    options = (annotation, "--fasta", fasta, "--ledger", "ledger.tsv", "--counts", "counts.json", "--quiet")
    command("label-introns", *options, "-o", "installed.tsv")
    run_tool("label_introns", *options, "-o", "script.tsv", cwd=tmp_path)
    assert (tmp_path / "installed.tsv").read_bytes() == (tmp_path / "script.tsv").read_bytes()


def test_templates_and_tables_are_in_the_wheel(site):
    kept = {path.relative_to(ROOT / "bin") for path in (ROOT / "bin" / "intronaut").rglob("*")}
    data = {path for path in kept if path.suffix in (".html", ".tsv")}
    assert data and not [path for path in data if not (site / path).is_file()]


def test_a_script_runs_through_a_link(tmp_path):
    (tmp_path / "label").symlink_to(ROOT / "bin" / "label_introns.py")
    done = subprocess.run([sys.executable, tmp_path / "label", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("label_introns ")


def test_what_a_script_declares_is_installed_with_the_package(site):
    needs = [Requirement(text) for text in metadata(site).get_all("Requires-Dist")]
    plain = {need.name: need.specifier for need in needs if need.marker is None}
    extra = {need.name: need.specifier for need in needs if need.marker and need.marker.evaluate({"extra": "torch"})}
    assert "torch" in extra and not plain.keys() & extra.keys()
    for script in (ROOT / "bin").glob("*.py"):
        header = script.read_text(encoding="utf-8").partition("# ///\n")[0].partition("dependencies = [")[2]
        declared = [Requirement(text) for text in re.findall(r'"([^"]+)"', header)]
        neural = any(need.name == "torch" for need in declared)
        installed = plain | extra if neural else plain
        lacking = [str(need) for need in declared if not set(need.specifier) <= set(installed.get(need.name, ()))]
        assert not lacking, script.name


def test_the_recipe_asks_for_what_the_package_asks_for(site):
    recipe = (ROOT / "recipe" / "meta.yaml").read_text(encoding="utf-8")
    assert f'set version = "{metadata(site)["Version"]}"' in recipe
    run, extra = (re.search(rf"  {name}:\n((?:    .*\n)+)", recipe)[1] for name in ("run", "run_constrained"))
    named = [
        {OF_CONDA.get(name, name) for name in re.findall(r"^    - ([\w-]+)", part, re.M)} - {"python"}
        for part in (run, extra)
    ]
    needs = [Requirement(text) for text in metadata(site).get_all("Requires-Dist")]
    plain = {need.name for need in needs if need.marker is None}
    torch = {need.name for need in needs if need.marker and need.marker.evaluate({"extra": "torch"})}
    assert named == [plain, torch]
