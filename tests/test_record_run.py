"""The record of a run, and the check of results against it, seen through rocrate and through spoiled files."""

import hashlib
import json
import random
import shutil

import pytest
from rocrate.rocrate import ROCrate

from conftest import ROOT

PROFILES = {"process/0.5", "workflow/0.5"}


@pytest.fixture
def results(tmp_path, tool):
    """A recorded folder of results: one plain file, one of a hostile name, and what Nextflow leaves."""
    folder = tmp_path / "results"
    for name, text in (("labels/labels.tsv", "chrom\n19\n"), ("fit/a b;$(x)'\"é/m.json", "{}"), ("report.html", "<p>")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "pipeline_info").mkdir()
    (folder / "pipeline_info" / "trace.tsv").write_text("still growing")
    (tmp_path / "genome.fa").write_text(">19\nACGT\n")
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "requirements.txt").write_text(
        "numpy==2.4.6 \\\n    --hash=sha256:00\nscipy==1.17.1 ; python_version < '3.12'\n"
    )
    settings = {"window": 600, "peaks": None, "gtf": "it's", "nextflow": "24.10.0"}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    options = ["--settings", "settings.json", "--inputs", "genome.fa", "--locks", "core/requirements.txt"]
    tool("record_run", folder, *options, "--workflow", ROOT / "main.nf")
    return folder


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
    paths.remove(results / "ro-crate-metadata.json")
    assert digests == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_versions_of_the_run_the_environment_and_each_image(results):
    rows = [line.split("\t") for line in (results / "pipeline_info" / "versions.tsv").read_text().splitlines()]
    assert rows[0] == ["where", "software", "version"]
    for row in (["run", "nextflow", "24.10.0"], ["image core", "numpy", "2.4.6"], ["image core", "scipy", "1.17.1"]):
        assert row in rows
    assert ["environment", "pytest", pytest.__version__] in rows


def test_unspoiled_results_are_verified(results, tool):
    done = tool("verify", results, "--inputs", "genome.fa")
    assert done.stdout == "" and "6 files are as recorded" in done.stderr


def test_every_flipped_bit_is_found(results, tool, tmp_path):
    import verify

    files = [path for path in results.rglob("*") if path.is_file() and path.name not in ("trace.tsv",)]
    files.remove(results / "ro-crate-metadata.json")
    recorded, rng = verify.recorded(results / "ro-crate-metadata.json"), random.Random(1)
    for _ in range(1000):
        path = rng.choice(files)
        whole = path.read_bytes()
        spoiled = bytearray(whole)
        spoiled[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(spoiled)
        assert verify.state(path, recorded[path.relative_to(results).as_posix()]) == "changed"
        path.write_bytes(whole)


def test_missing_changed_and_new_files_are_named(results, tool):
    (results / "report.html").unlink()
    (results / "labels" / "labels.tsv").write_text("chrom\n18\n")
    (results / "notes.txt").write_text("mine")
    done = tool("verify", results, code=65)
    assert done.stdout == "labels/labels.tsv\tchanged\nnotes.txt\tnot recorded\nreport.html\tmissing\n"
    assert len(done.stderr.splitlines()) == 1 and "2 of 5 files" in done.stderr


def test_results_may_move(results, tool, tmp_path):
    shutil.move(results, tmp_path / "elsewhere")
    tool("verify", tmp_path / "elsewhere")


def test_another_input_of_the_same_name_is_found(results, tool, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "genome.fa").write_text(">19\nACGA\n")
    assert "other/genome.fa\tchanged" in tool("verify", results, "--inputs", "other/genome.fa", code=65).stdout


@pytest.mark.parametrize("text", ["", "{", "[]", '{"@graph": 3}', '{"@graph": [{"sha256": 1}]}'])
def test_what_is_no_crate_is_one_line(results, tool, text):
    (results / "ro-crate-metadata.json").write_text(text)
    done = tool("verify", results, code=65)
    assert len(done.stderr.splitlines()) == 1 and "ro-crate-metadata.json" in done.stderr


def test_wrong_settings_and_folders_are_one_line(tool, tmp_path):
    (tmp_path / "settings.json").write_text("[1]")
    assert "settings.json" in tool("record_run", tmp_path, "--settings", "settings.json", code=65).stderr
    assert "nowhere" in tool("record_run", "nowhere", code=66).stderr
