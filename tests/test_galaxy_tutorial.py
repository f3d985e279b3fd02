"""The Galaxy tutorial without a server: its fields are those of the forms, and its commands run one after another."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from conftest import DEMO, ROOT
from test_galaxy import command_of, params, words_of

PAGE = (ROOT / "docs" / "galaxy-tutorial.md").read_text()
STEPS = re.findall(
    r"^## \d+\. (.+?)\n\n\| field.*?\n\|---\|---\|\n(.*?)\n\n```bash\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE
)


def test_the_tutorial_states_species_origin_and_format_of_labels():
    assert len(STEPS) == 6 == len(re.findall(r"^## \d", PAGE, re.MULTILINE))
    for word in ("*Homo sapiens*", "GRCh38", "Ensembl release 91", "`label` (1 retained, 0 spliced, NA unknown)"):
        assert word in PAGE


@pytest.mark.parametrize(("title", "table", "command"), STEPS, ids=[step[0] for step in STEPS])
def test_fields_are_those_of_the_form(title, table, command):
    tool = command.split(".py")[0]
    wrapper = (ROOT / "galaxy" / f"{tool}.xml").read_text()
    assert f'name="{title}"' in wrapper
    labels = {param.get("label") for param in params(tool)} | {"Name of the model"}
    fields = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
    assert fields and set(fields) <= labels, set(fields) - labels
    options = set(re.findall(r"--[a-z-]+", command))
    # what Galaxy takes from the folder of the job has the tool's default name there
    assert options <= set(re.findall(r"--[a-z-]+", words_of(command_of(tool)))) | {"--fasta", "--output"}


def test_its_commands_run_and_its_numbers_are_theirs(tmp_path):
    for path in DEMO.glob("chr19_6Mb.*"):
        (tmp_path / path.name).symlink_to(path)
    script = "\n".join(["set -e", *(command for _, _, command in STEPS)])
    path = f"{ROOT / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t", keep_default_na=False)
    counts = labels["label"].value_counts()
    text = f"{len(labels):,} introns: {counts['1']} retained, {counts['0']:,} spliced, {counts['NA']} unknown"
    assert text in PAGE
    medians = [f"{labels.loc[labels['label'] == label, 'length'].median():,.0f}" for label in "10"]
    assert f"median {medians[0]} against {medians[1]} bases" in re.sub(r"\n> ", " ", PAGE)
    gain = json.loads((tmp_path / "models/kmers/metrics.json").read_text())["gain"]["combined_minus_covariates"][
        "auroc"
    ]
    assert gain["low"] < 0 < gain["high"]
    assert len(json.loads((tmp_path / "cards/cards.json").read_text())) == 5
    # with a hyphen at which no line breaks
    assert "K\u2011mer frequencies add nothing measurable" in (tmp_path / "report.html").read_text()
