"""The manners every tool keeps: exit codes, one-line errors, whole outputs or none."""

import argparse
import errno
import gzip
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from conftest import ROOT
from intronaut import cli
from intronaut.core import errors, files, log
from intronaut.core.log import Log


@pytest.fixture(autouse=True)
def same_signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def exit_code(main, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tool.py"])
    with pytest.raises(SystemExit) as left:
        cli.run(main, "tool")
    return left.value.code


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (errors.UsageError("both"), 2, "tool: error: both"),
        (errors.BadData("line 3"), 65, "tool: error: line 3"),
        (errors.MissingInput("gone"), 66, "tool: error: gone"),
        (errors.CannotWrite("full"), 73, "tool: error: full"),
        (errors.TryAgain("later"), 75, "tool: error: later"),
        (MemoryError(), 75, "out of memory"),
        (KeyboardInterrupt(), 130, "tool: interrupted"),
        (errors.Terminated(), 143, ""),
        (OSError(errno.ENOSPC, "No space left on device", "x.tsv"), 73, "tool: error: x.tsv: No space left"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "y"), 66, "tool: error: y: No such file"),
    ],
)
def test_expected_failures_are_one_line_and_a_code(monkeypatch, capsys, raised, code, says):
    def main(argv):
        raise raised

    monkeypatch.setattr(cli, "_forget_stdout", lambda: None)
    assert exit_code(main, monkeypatch) == code
    said = capsys.readouterr().err
    assert says in said and len(said.splitlines()) <= 1


def test_a_fault_of_ours_shows_its_traceback(monkeypatch):
    monkeypatch.setattr("sys.argv", ["tool.py"])
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda argv: 1 / 0, "tool")


@pytest.mark.parametrize(("count", "lines"), [(1, 1), (2, 3), (20, 21), (45, 22)])
def test_problems_are_told_in_one_go(count, lines):
    problems = errors.Problems("a.bed")
    for number in range(count):
        problems.add("is broken", number + 1)
    with pytest.raises(errors.BadData) as refused:
        problems.raise_if_any()
    said = str(refused.value).splitlines()
    assert len(said) == lines
    assert said[0].startswith("a.bed: ")
    assert (count <= 20) or said[-1] == f"  … and {count - 20} more"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (cli.positive_int, "3", 3),
        (cli.positive_int, "0", None),
        (cli.positive_int, "-1", None),
        (cli.positive_int, "1.5", None),
        (cli.positive_int, "²", None),
        (cli.positive_float, "0.5", 0.5),
        (cli.positive_float, "0", None),
        (cli.positive_float, "inf", None),
        (cli.positive_float, "nan", None),
        (cli.positive_float, "x", None),
        (cli.fraction, "1", 1.0),
        (cli.fraction, "1.01", None),
        (cli.fraction, "nan", None),
        (cli.fraction, "x", None),
    ],
)
def test_number_options(kind, text, value):
    if value is None:
        with pytest.raises(argparse.ArgumentTypeError, match=text):
            kind(text)
    else:
        assert kind(text) == value


def test_wrong_use_is_one_line(capsys):
    parser = cli.new_parser("Does it.", "tool")
    cli.add_run_options(parser, threads=True, device=True, seed=True)
    for argv in (["--no-such"], ["--threads", "0"], ["--quiet", "--verbose"], ["--thread", "1"]):
        with pytest.raises(SystemExit) as left:
            parser.parse_args(argv)
        assert left.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("tool: error: ") and len(said.splitlines()) == 1


def test_file_appears_only_when_whole(tmp_path):
    path = tmp_path / "new" / "out.tsv"
    with files.whole_file(path) as out:
        out.write("é\n")
        assert not path.exists()
    assert path.read_bytes() == "é\n".encode()
    with pytest.raises(ZeroDivisionError), files.whole_file(path) as out:
        out.write("other")
        raise ZeroDivisionError
    assert path.read_bytes() == "é\n".encode()
    assert [item.name for item in path.parent.iterdir()] == ["out.tsv"]


@pytest.mark.parametrize("name", ["out.gz", "out.bgz"])
def test_bgzf_is_whole_and_the_same_every_time(tmp_path, name):
    written = []
    for _ in range(2):
        with files.whole_file(tmp_path / name) as out:
            for number in range(30_000):
                out.write(f"línea {number}\n")
                out.flush()
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert written[0].endswith(bytes.fromhex("1b0003000000000000000000"))
    assert gzip.decompress(written[0]).decode().splitlines()[-1] == "línea 29999"


def test_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real.tsv").write_text("old")
    (tmp_path / "link.tsv").symlink_to("real.tsv")
    with files.whole_file(tmp_path / "link.tsv") as out:
        out.write("new")
    assert (tmp_path / "link.tsv").is_symlink()
    assert (tmp_path / "real.tsv").read_text() == "new"


def test_named_pipe_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    with files.whole_file(pipe) as out:
        out.write("through")
    reader.join()
    assert got == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("path", ["there/out.tsv", "folder"])
def test_what_cannot_be_written_is_refused(tmp_path, path):
    (tmp_path / "there").write_text("a file, not a folder")
    (tmp_path / "folder").mkdir()
    with pytest.raises(errors.CannotWrite, match=path), files.whole_file(tmp_path / path) as out:
        out.write("x")
    with pytest.raises(errors.CannotWrite), files.whole_folder(tmp_path / "there"):
        pass


@pytest.mark.parametrize(
    ("given", "clash"),
    [
        (["in.fa", "-o", "in.fa"], "--output in.fa is also windows"),
        (["in.fa", "-o", "link.fa"], "--output link.fa is also windows"),
        (["in.fa", "-o", "new", "--log", "./new"], "--log ./new is also --output"),
        (["x", "--more", "y", "in.fa", "-o", "in.fa"], "--output in.fa is also --more"),
        (["in.fa", "-o", "out.fa", "--log", "log"], None),
        (["-", "-o", "-", "--log", "-"], None),
        (["folder", "-o", "folder"], None),
        (["absent", "-o", "absent"], None),
    ],
)
def test_an_output_that_is_an_input_or_another_output_is_refused(tmp_path, monkeypatch, capsys, given, clash):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.fa").touch()
    (tmp_path / "link.fa").symlink_to("in.fa")
    (tmp_path / "folder").mkdir()
    parser = cli.new_parser("", "t")
    parser.add_argument("windows")
    parser.add_argument("--more", nargs="+")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output")
    out.add_argument("--log")
    if clash is None:
        parser.parse_args(given)
        return
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(given)
    assert stopped.value.code == 2 and clash in capsys.readouterr().err


def test_folder_appears_only_when_whole(tmp_path):
    path = tmp_path / "deep" / "model"
    with pytest.raises(ZeroDivisionError), files.whole_folder(path) as folder:
        (folder / "a").write_text("x")
        raise ZeroDivisionError
    assert list(path.parent.iterdir()) == []
    with files.whole_folder(path) as folder:
        (folder / "a").write_text("1")
        assert not path.exists()
    assert (path / "a").read_text() == "1"
    assert path.stat().st_mode & 0o777 == 0o777 & ~current_umask()


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_folder_that_is_there_keeps_what_is_not_ours(tmp_path):
    path = tmp_path / "shards"
    for name in ("sub", "seed2"):
        (path / name).mkdir(parents=True)
    for name in ("w.1.fa", "w.9.fa", "thesis.doc", "sub/old", "seed2/old"):
        (path / name).write_text("old")
    with files.whole_folder(path, stale=["w.*.fa", "seed*"]) as folder:
        (folder / "w.1.fa").write_text("new")
        (folder / "sub").mkdir()
        (folder / "sub" / "new").write_text("new")
    found = {str(item.relative_to(path)): item.read_text() for item in path.rglob("*") if item.is_file()}
    assert found == {"w.1.fa": "new", "thesis.doc": "old", "sub/new": "new"}
    assert [item.name for item in tmp_path.iterdir()] == ["shards"]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_leave_nothing_behind(tmp_path, sent, code):
    script = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "bin")!r})
from intronaut.cli import run
from intronaut.core.files import whole_file, whole_folder
def main(argv):
    with whole_file("out.tsv") as out, whole_folder("folder") as folder:
        out.write("half")
        (folder / "a").write_text("half")
        print("ready", flush=True)
        time.sleep(60)
run(main, "tool")
"""
    started = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "ready\n"
    assert list(tmp_path.iterdir())
    started.send_signal(sent)
    assert started.wait() == code
    started.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_full_standard_output_is_an_error_of_writing():
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "bin")!r})
from intronaut.cli import run
run(lambda argv: print("x" * 100), "tool")
"""
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 73
    assert done.stderr == "tool: error: standard output: No space left on device\n"


def test_inputs_that_are_not_files(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for path, says in [("none", "No such file"), (".", "is a folder"), ("loop", "symbolic links")]:
        with pytest.raises(errors.MissingInput, match=says):
            files.require_file(tmp_path / path)
    assert files.require_file("-") == Path("-")


def test_progress_is_one_line_a_minute_in_a_log(monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(log.time, "monotonic", lambda: clock.now)
    with Log("tool", SimpleNamespace(quiet=False, verbose=False)).progress(1000, "windows") as progress:
        for _ in range(100):
            clock.now += 3
            progress.add(5)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 5
    assert said[0] == "tool: 100 of 1,000 windows, 1.67/s, 9 min left"


def test_quiet_says_nothing(capsys):
    log = Log("tool", SimpleNamespace(quiet=True, verbose=False))
    log.note("a")
    log.warn("b")
    log.detail("c")
    assert capsys.readouterr().err == ""
