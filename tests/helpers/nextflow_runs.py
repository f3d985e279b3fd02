"""Nextflow as its user starts it, but with an end: a time limit, and a cap on what it and its tasks may use."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEXTFLOW = ROOT / "engine" / "nextflow"
# a whole demo takes two minutes on an idle machine with two processors, and every process of the machine may be busy
LIMIT = 1200
CAPS = ROOT / "tests" / "data" / "caps.config"


def need_engine():
    """Skip the test where there is no Nextflow."""
    if not (shutil.which("nextflow") or (ROOT / ".engine" / "nextflow").is_dir()):
        pytest.skip("no Nextflow; run 'make engine'")


def task_env():
    """The environment in which the tasks' scripts start with the Python that runs the tests."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # beside the tasks the head needs little: its default is a quarter of the machine, with threads to clean it
    return {**os.environ, "PATH": path, "NXF_OPTS": "-Xmx1g -XX:+UseSerialGC"}


def run_command(script, folder, *args, caps=True):
    """The command that runs a script, or a project's own, with its log and work in ``folder``."""
    limits = ["-c", CAPS] if caps else []
    command = [NEXTFLOW, "-log", folder / "nextflow.log", *limits, "run", script, "-ansi-log", "false"]
    return [*map(str, command), "-w", str(folder / "work"), *map(str, args)]


def run_nextflow(script, folder, *args, code=0, env=None, caps=True, limit=LIMIT):
    """Run a script, or a project's own, from ``folder``; returns all that it printed when it exits with ``code``.

    ``caps=False`` leaves out the cap on each task, where what a step asks for is what is tested. A run that does not
    end within ``limit`` seconds is killed with its tasks; the failure shows what each of its threads was waiting for.
    """
    run = subprocess.Popen(
        run_command(script, folder, *args, caps=caps),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=env or task_env(),
        start_new_session=True,
    )
    try:
        printed, _ = run.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        # Java answers with the stack of every thread
        os.kill(run.pid, signal.SIGQUIT)
        try:
            printed, _ = run.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            printed, _ = run.communicate()
        log = (folder / "nextflow.log").read_text()[-5000:]
        pytest.fail(f"no end after {limit} s; threads:\n{printed}\nlog:\n{log}")
    assert run.returncode == code, printed
    return printed


def config_of(folder, *args):
    """What Nextflow says about the project without running it, e.g. with ``config -flat``."""
    command = [NEXTFLOW, "-log", folder / "asked.log", *args]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=folder, env=task_env(), timeout=LIMIT
    ).stdout


def submitted(printed):
    """The tasks that a run submitted, sorted, e.g. ``STUDY:MODELS:FIT (motifs_logistic)``."""
    return sorted(line.split(" > ")[1] for line in printed.splitlines() if "Submitted process" in line)
