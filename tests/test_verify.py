"""The check of results against the record of their run: every kind of spoiled file, and a spoiled record."""

import hashlib
import json
import random
import shutil

import pytest

import verify
from intronaut.core.errors import BadData
from recorded_results import record_results


@pytest.fixture
def results(tmp_path, tool):
    return record_results(tmp_path, tool)


def test_unspoiled_results_are_verified(results, tool):
    done = tool("verify", results, "--inputs", "genome.fa")
    assert done.stdout == "" and "6 files are as recorded" in done.stderr


def test_every_flipped_bit_is_found(results, tool, tmp_path):
    files = [path for path in results.rglob("*") if path.is_file() and path.name not in ("trace.tsv",)]
    files = [path for path in files if not path.name.startswith("ro-crate-metadata.json")]
    recorded, rng = verify.recorded(results / "ro-crate-metadata.json")[0], random.Random(1)
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


@pytest.mark.parametrize("name", ["ro-crate-metadata.json", "ro-crate-metadata.json.sha256"])
def test_every_flipped_bit_of_the_crate_and_of_its_digest_is_found(results, name):
    path, rng = results / name, random.Random(1)
    whole = path.read_bytes()
    verify.check_crate(results)
    for _ in range(1000):
        spoiled = bytearray(whole)
        spoiled[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(spoiled)
        with pytest.raises(BadData, match="is not what"):
            verify.check_crate(results)


def test_a_flipped_crate_is_one_line(results, tool):
    path = results / "ro-crate-metadata.json"
    path.write_text(path.read_text().replace("Results of Intronaut", "Results of intronaut"))
    done = tool("verify", results, code=65)
    assert len(done.stderr.splitlines()) == 1 and "is not what ro-crate-metadata.json.sha256 says" in done.stderr


def test_a_crate_without_its_digest_is_refused(results, tool):
    (results / "ro-crate-metadata.json.sha256").unlink()
    assert "ro-crate-metadata.json.sha256 is missing" in tool("verify", results, code=65).stderr


def rewrite(results, change):
    """Apply ``change`` to the crate's graph, and give the crate the digest that it then has."""
    path = results / "ro-crate-metadata.json"
    crate = json.loads(path.read_text())
    crate["@graph"] = change(crate["@graph"])
    path.write_text(json.dumps(crate))
    seal(path)


def seal(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")


def test_a_file_without_a_digest_is_refused_though_the_crate_is_whole(results, tool):
    rewrite(results, lambda graph: [{k: v for k, v in entity.items() if k != "sha256"} for entity in graph])
    (results / "report.html").write_text("")
    assert "files without sha256" in tool("verify", results, code=65).stderr


@pytest.mark.parametrize("kept", ["nothing", "pipeline_info/versions.tsv"])
def test_a_crate_of_no_results_is_refused(results, tool, kept):
    rewrite(results, lambda graph: [entity for entity in graph if "sha256" not in entity or entity["@id"] == kept])
    assert "a crate of no results" in tool("verify", results, code=65).stderr


@pytest.mark.parametrize("place", ["../genome.fa", "/etc/hostname", "labels/../../genome.fa"])
def test_a_file_outside_of_the_folder_is_refused(results, tool, place):
    def point_outside(graph):
        return [entity | {"@id": place} if entity["@id"] == "report.html" else entity for entity in graph]

    rewrite(results, point_outside)
    assert f"{place} is not in the crate's folder" in tool("verify", results, code=65).stderr


def test_a_link_in_place_of_a_file_is_as_good_as_its_bytes(results, tool, tmp_path):
    shutil.move(results / "report.html", tmp_path / "elsewhere.html")
    (results / "report.html").symlink_to(tmp_path / "elsewhere.html")
    assert tool("verify", results).stdout == ""
    (tmp_path / "elsewhere.html").write_text("<q>")
    assert tool("verify", results, code=65).stdout == "report.html\tchanged\n"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"@graph": 3}', '{"@graph": [{"sha256": 1}]}'])
def test_what_is_no_crate_is_one_line(results, tool, text):
    (results / "ro-crate-metadata.json").write_text(text)
    seal(results / "ro-crate-metadata.json")
    done = tool("verify", results, code=65)
    assert len(done.stderr.splitlines()) == 1 and "ro-crate-metadata.json" in done.stderr
