"""Outputs appear whole or not at all, alone and together, and a folder is replaced in one step."""

import errno
import importlib
import os
import random
import signal
import time

import numpy as np
import pytest

from conftest import ROOT
from intronaut import cli
from intronaut.core.errors import CannotWrite, Terminated
from intronaut.core.files import named_after, published_together, whole_file, whole_folder
from intronaut.core.parts import Part
from intronaut.io.h5ad import FeatureWriter, open_features
from test_store import VAR, WINDOWS, window_obs


@pytest.mark.parametrize(
    ("output", "other", "expected"),
    [
        ("labels.tsv", "ledger.tsv", "ledger.tsv"),
        ("a/labels.tsv.gz", "counts.json", "a/counts.json"),
        ("a/liver.labels.tsv", "ledger.tsv", "a/liver.ledger.tsv"),
        ("a/liver.tsv", "ledger.tsv", "a/liver.ledger.tsv"),
        ("liver", "ledger.tsv", "liver.ledger.tsv"),
        ("-", "ledger.tsv", "ledger.tsv"),
    ],
)
def test_second_outputs_are_named_after_the_first(output, other, expected):
    assert named_after(output, "labels", other) == expected


def file_outputs(name):
    """``(tool, option)`` of the outputs of a tool that are files."""
    parser = importlib.import_module(name).make_parser()
    outputs = [a for a in parser._actions if a.dest == "output" or getattr(a.container, "title", "") == "output"]
    return [(name, a.option_strings[-1]) for a in outputs if a.metavar in ("FILE", "TSV", "JSON", "VCF")]


TOOLS = sorted(path.stem for path in (ROOT / "bin").glob("*.py"))


@pytest.mark.parametrize(("tool", "option"), [pair for name in TOOLS for pair in file_outputs(name)])
@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.xlsx"])
def test_a_name_of_a_format_that_no_tool_writes_is_refused_first(tool, option, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    parser = importlib.import_module(tool).make_parser()
    # what the tool needs beside it, which it does not come to read
    for action in parser._actions:
        action.required = False
        action.nargs = "*" if not action.option_strings else action.nargs
    for group in parser._mutually_exclusive_groups:
        group.required = False
    with pytest.raises(SystemExit) as left:
        parser.parse_args([option, name])
    assert left.value.code == 2 and f"{name}: no tool writes that format" in capsys.readouterr().err


def test_outputs_of_one_run_appear_together_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(CannotWrite), published_together():
        with whole_file(tmp_path / "a") as out:
            out.write("new")
        with whole_file(tmp_path / "b") as out:
            out.write("new")
        with whole_file(tmp_path / "a" / "c") as out:
            out.write("new")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"
    with published_together():
        for name in "ab":
            with whole_file(tmp_path / name) as out:
                out.write("new")
        assert (tmp_path / "a").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"] and (tmp_path / "a").read_text() == "new"


def write_folder(path, word):
    with whole_folder(path, ["part*", "inner/part*"]) as folder:
        (folder / "inner").mkdir()
        for name in ("part1", "part2", "inner/part3"):
            (folder / name).write_text(word * 1000)


def test_a_folder_keeps_what_else_it_holds(tmp_path):
    write_folder(tmp_path / "f", "a")
    (tmp_path / "f" / "notes").write_text("mine")
    (tmp_path / "f" / "part9").write_text("stale")
    (tmp_path / "f" / "link").symlink_to("notes")
    write_folder(tmp_path / "f", "b")
    assert sorted(os.listdir(tmp_path / "f")) == ["inner", "link", "notes", "part1", "part2"]
    assert (tmp_path / "f" / "notes").read_text() == "mine" and (tmp_path / "f" / "link").is_symlink()
    assert (tmp_path / "f" / "part1").read_text() == "b" * 1000 and os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("path", [".", "./", "inside/.."])
def test_the_current_folder_is_written_into(tmp_path, monkeypatch, path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "notes").write_text("mine")
    monkeypatch.chdir(tmp_path)
    for word in "ab":
        write_folder(path, word)
    assert sorted(os.listdir()) == ["inner", "inside", "notes", "part1", "part2"]
    assert (tmp_path / "part1").read_text() == "b" * 1000 and (tmp_path / "notes").read_text() == "mine"


def test_a_run_killed_while_it_replaces_a_folder_leaves_the_old_or_the_new(tmp_path):
    folder = tmp_path / "f"
    write_folder(folder, "a")
    rng = random.Random(1)
    for _ in range(25):
        if not (child := os.fork()):
            try:
                while True:
                    write_folder(folder, rng.choice("ab"))
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.001, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        texts = {(folder / name).read_text() for name in ("part1", "part2", "inner/part3")}
        assert texts in ({"a" * 1000}, {"b" * 1000})


def test_a_second_run_into_one_features_file_is_refused_and_harms_nothing(tmp_path):
    if not (child := os.fork()):
        try:
            first = FeatureWriter(tmp_path / "f.h5ad", window_obs(WINDOWS), VAR, "float32", {"tool": "t"}, resume=True)
            (tmp_path / "ready").touch()
            while not (tmp_path / "go").exists():
                time.sleep(0.01)
            first.write(np.arange(len(WINDOWS)), np.ones((len(WINDOWS), len(VAR))))
            first.finish()
            os._exit(0)
        finally:
            os._exit(1)
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    with pytest.raises(CannotWrite, match="another run"):
        FeatureWriter(tmp_path / "f.h5ad", window_obs(WINDOWS), VAR, "float32", {"tool": "u"}, resume=True)
    (tmp_path / "go").touch()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sorted(os.listdir(tmp_path)) == ["f.h5ad", "go", "ready"]


def slow(function, folder):
    """The function, which begins a moment after it was called and says by a file that it was."""

    def delayed(*args, **named):
        (folder / "claiming").touch()
        time.sleep(0.3)
        return function(*args, **named)

    return delayed


def refuse_links(*args, **named):
    raise PermissionError(errno.EPERM, "no links here")


@pytest.mark.parametrize("links", [True, False])
def test_a_second_run_never_harms_one_whose_claim_is_slow(tmp_path, links):
    """Several runs begin while the first gives its file the name that others know it by: one of all ends, whole."""
    if not (child := os.fork()):
        try:
            if links:
                os.link = slow(os.link, tmp_path)
            else:
                os.link, os.replace = refuse_links, slow(os.replace, tmp_path)
            os._exit(0 if run_into(tmp_path / "f.h5ad", 1.0, "first") else 9)
        finally:
            os._exit(1)
    while not (tmp_path / "claiming").exists():
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        time.sleep(0.005)
    if not links:
        os_link, os.link = os.link, refuse_links
    ended = [run_into(tmp_path / "f.h5ad", float(number), f"number {number}") for number in range(2, 9)]
    if not links:
        os.link = os_link
    first = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # where files are linked, a claim is one step: until it, the name is free, and the first is refused without harm
    assert first in (0, 9) and (first == 0 or any(ended))
    assert first == 0 or links
    assert len(set(open_features(tmp_path / "f.h5ad").x[:].ravel())) == 1
    assert sorted(os.listdir(tmp_path)) == ["claiming", "f.h5ad"]


def run_into(path, value, tool):
    """Whether a run that writes one value everywhere ended; False where it was refused for another run."""
    try:
        writer = FeatureWriter(path, window_obs(WINDOWS), VAR, "float32", {"tool": tool}, resume=True)
        with writer:
            writer.write(np.arange(len(WINDOWS)), np.full((len(WINDOWS), len(VAR)), value))
            writer.finish()
    except CannotWrite as refusal:
        assert "another run" in str(refusal)
        return False
    return True


def test_a_signal_while_outputs_get_their_names_waits_for_the_last(tmp_path, monkeypatch):
    publish = Part.publish

    def disturbed(part):
        publish(part)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Part, "publish", disturbed)
    before = signal.signal(signal.SIGTERM, cli._raise_terminated)
    try:
        with pytest.raises(Terminated), published_together():
            for name in "abc":
                with whole_file(tmp_path / name) as out:
                    out.write("new")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def test_parts_of_killed_runs_are_cleared_away_and_those_of_living_ones_are_not(tmp_path):
    if not (child := os.fork()):
        part = Part(tmp_path / "a")
        part.create()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(os.listdir(tmp_path)) == 1
    living = Part(tmp_path / "a")
    living.create()
    assert os.listdir(tmp_path) == [living.path.name]
    with whole_file(tmp_path / "a") as out:
        out.write("new")
    assert sorted(os.listdir(tmp_path)) == [living.path.name, "a"]
    living.discard()
