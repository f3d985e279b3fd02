"""The record of a run, read by rocrate."""

import hashlib
import json
import subprocess

import pytest
from rocrate.rocrate import ROCrate

from recorded_results import record_results

PROFILES = {"process/0.5", "workflow/0.5"}


@pytest.fixture
def results(tmp_path, tool):
    return record_results(tmp_path, tool)


def test_rocrate_reads_a_workflow_run_crate(results):
    found = ROCrate(results)
    assert found.mainEntity["programmingLanguage"]["name"] == "Nextflow"
    profiles = {str(profile.id) for profile in found.root_dataset["conformsTo"]}
    assert {f"https://w3id.org/ro/wfrun/{profile}" for profile in PROFILES} < profiles
    (run,) = found.root_dataset["mentions"] if isinstance(found.root_dataset["mentions"], list) else [found.get("#run")]
    assert run["instrument"].id == found.mainEntity.id
    assert {item["name"]: item.get("value") for item in run["object"]} == {
        "window": "600", "gtf": "it's", "nextflow": "24.10.0", "genome.fa": None,
    }  # fmt: skip


def test_every_result_stands_with_its_digest_but_nothing_that_still_grows(results):
    found = ROCrate(results)
    (run,) = [entity for entity in found.get_entities() if entity.type == "CreateAction"]
    digests = {entity["name"]: entity["sha256"] for entity in run["result"]}
    paths = [path for path in results.rglob("*") if path.is_file() and "pipeline_info" not in path.parts]
    paths = [path for path in paths if not path.name.startswith("ro-crate-metadata.json")]
    assert digests == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_versions_of_the_run_the_environment_and_each_image(results):
    rows = [line.split("\t") for line in (results / "pipeline_info" / "versions.tsv").read_text().splitlines()]
    assert rows[0] == ["where", "software", "version"]
    for row in (["run", "nextflow", "24.10.0"], ["image core", "numpy", "2.4.6"], ["image core", "scipy", "1.17.1"]):
        assert row in rows
    assert ["environment", "pytest", pytest.__version__] in rows


def test_wrong_settings_and_folders_are_one_line(tool, tmp_path):
    (tmp_path / "settings.json").write_text("[1]")
    assert "settings.json" in tool("record_run", tmp_path, "--settings", "settings.json", code=65).stderr
    assert "nowhere" in tool("record_run", "nowhere", code=66).stderr


def test_the_crates_digest_is_one_that_sha256sum_checks(results):
    subprocess.run(["sha256sum", "--check", "--strict", "ro-crate-metadata.json.sha256"], cwd=results, check=True)


def test_links_are_followed_once(tool, tmp_path):
    (tmp_path / "results" / "fit").mkdir(parents=True)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "m.json").write_text("{}")
    (tmp_path / "results" / "fit" / "linked").symlink_to(tmp_path / "model")
    (tmp_path / "results" / "fit" / "loop").symlink_to(tmp_path / "results")
    tool("record_run", "results")
    graph = json.loads((tmp_path / "results" / "ro-crate-metadata.json").read_text())["@graph"]
    names = {entity["@id"] for entity in graph if "sha256" in entity}
    assert names == {"fit/linked/m.json", "pipeline_info/versions.tsv"}
    assert tool("verify", "results").stdout == ""
