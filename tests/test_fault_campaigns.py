"""The campaigns of tests/faults/ on a few tools each: full disks, kills, signals, closed pipes, flipped bits."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The module at_work, in the folder of its study."""
    sys.path.insert(0, str(ROOT / "tests" / "faults"))
    import at_work

    before, folder = os.getcwd(), tmp_path_factory.mktemp("study")
    at_work.make_study(folder)
    yield at_work
    os.chdir(before)


@pytest.fixture
def folder(work, tmp_path):
    os.makedirs(tmp_path / "killed")
    return tmp_path


def test_every_tool_that_writes_is_broken(work):
    tools = {path.stem for path in (ROOT / "bin").glob("*.py")}
    # verify writes nothing
    assert {name.split()[0] for name in work.commands()} == tools - {"verify"}


@pytest.mark.parametrize("name", ["embed_kmers with costs", "label_introns", "make_report"])
def test_a_full_disk_leaves_nothing(work, folder, name):
    import full_disk

    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    (folder / "disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder / "disk"], capture_output=True).returncode:
        pytest.skip("this system does not allow a mount")
    subprocess.run(["umount", folder / "disk"], check=True)
    words = work.commands()[name]
    wanted = full_disk.unbroken(name, words, folder)
    found = [full_disk.attack(name, words, kibibytes, folder, wanted) for kibibytes in (8, 2048)]
    assert found == ["full", "room"]


@pytest.mark.parametrize("name", ["embed_kmers", "fetch_sequences"])
def test_a_killed_run_is_started_again(work, folder, name):
    import killed_tools

    _, faults = killed_tools.attack(name, work.commands()[name], folder, 3, random.Random(2))
    assert faults == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_run_leaves_nothing(work, folder, sent):
    import stopped_tools

    words = work.commands()["match_introns"]
    assert [stopped_tools.stopped("match_introns", words, sent, folder, random.Random(i), 0.3) for i in range(3)] == [
        None,
        None,
        None,
    ]


def test_a_reader_that_leaves_early_is_no_fault(work, folder):
    import stopped_tools

    for name, words in stopped_tools.TO_STDOUT.items():
        assert stopped_tools.unread(name, words.split(), folder, random.Random(1)) is None


def test_flipped_bits_are_seen(work, folder):
    from pathlib import Path

    import bit_flips

    results = shutil.copytree(bit_flips.make_results(Path.cwd()), folder / "results")
    assert not bit_flips.seen(results)
    for path in sorted(path for path in results.rglob("*") if path.is_file()):
        assert bit_flips.unseen_flips(results, path, 10) == 0


def test_embedders_with_too_little_memory_write_the_same_bytes():
    command = [sys.executable, ROOT / "tests" / "faults" / "capped_memory.py", "1", "embed_splice", "embed_kmers"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    line = r"(\w+): needs .* with (\d+)% of that (\d) backed off, (\d) ended with code 75, faults none"
    found = [(name, int(share), *map(int, counts)) for name, share, *counts in re.findall(line, done.stdout)]
    assert len(found) == 8
    assert not any(ended for _, share, _, ended in found if share >= 40)
    # which share is too little for a whole chunk depends on the heap that the libraries left
    assert any(backed_off for name, _, backed_off, _ in found if name == "embed_splice")
