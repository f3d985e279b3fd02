#!/usr/bin/env python3
"""Kill the pipeline's head, and in another run its tasks, and compare the results with those of an unbroken run.

    python tests/faults/killed_pipeline.py [HEADS [TASKS]]

HEADS (10 by default) times Nextflow itself is killed as it runs the demo, each time after two more tasks were done, and
started again with -resume. In a run of its own TASKS (20 by default) tools are killed as they run, each once; Nextflow
tries their tasks again. Prints a line for each; exits with 1 when a result differs but for the times in it.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import at_work

from nextflow_runs import ROOT, run_command, task_env

# what tells of the run itself: its name, its day and where it wrote
OF_THE_RUN = re.compile(r"pipeline_info/|report\.html$|ro-crate-|settings\.json$")
SHARDS = ["--shard_size", "500"]
COMPLETED = re.compile(r"Task completed > TaskHandler\[.*?name: (.*?); status: COMPLETED; exit: 0;")
SUBMITTED = re.compile(r"ubmitted process > (.*)")


class Study:
    """The demo as it runs in ``folder``."""

    def __init__(self, folder):
        self.folder, self.log = folder, folder / "nextflow.log"
        folder.mkdir()

    def start(self):
        """Start or resume the run, the head of which has a session of its own."""
        command = run_command(
            ROOT, self.folder, "-profile", "demo", "--outdir", self.folder / "study", *SHARDS, "-resume"
        )
        with open(self.folder / "printed", "w") as printed:
            self.run = subprocess.Popen(
                command,
                cwd=self.folder,
                env=task_env(),
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill_head(self):
        """Kill Nextflow and its launcher, not the tools that they started."""
        for process, words in processes():
            if os.fsencode(self.log) in words:
                os.kill(process, signal.SIGKILL)

    def finish(self):
        """Wait for the end of the run; its exit code."""
        return self.run.wait(timeout=3600)

    def completed(self):
        """The names of the tasks that the present run has seen complete."""
        return set(COMPLETED.findall(self.log.read_text(errors="replace"))) if self.log.exists() else set()

    def submitted(self):
        """The names of the tasks that the present run has started."""
        return set(SUBMITTED.findall((self.folder / "printed").read_text(errors="replace")))

    def tools(self):
        """``{task folder: process number}`` of the tools of this study that run now."""
        running = {}
        for process, words in processes():
            with contextlib.suppress(OSError):  # it may have ended
                place = os.readlink(f"/proc/{process}/cwd")
                if place.startswith(f"{self.folder}/work/") and len(words) > 1 and words[1].endswith(b".py"):
                    running[place] = process
        return running

    def differing(self, wanted):
        """The results that are not those wanted."""
        found = results(self.folder)
        return sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))


def processes():
    """Yield the number and the words of the command of every process of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield int(path.parent.name), path.read_bytes().split(b"\0")


def results(folder):
    """``{path: digest}`` of the results but for what tells of the run itself."""
    return {path: sha for path, sha in at_work.digests(folder / "study").items() if not OF_THE_RUN.search(path)}


def kill_heads(study, count):
    """Kill the head ``count`` times as tasks complete, then let it end; how many tasks were done and run again."""
    done, again = set(), 0
    for _ in range(count):
        study.start()
        while len(study.completed()) < 2 and study.run.poll() is None:
            time.sleep(0.2)
        if study.run.poll() is not None:
            raise SystemExit(f"the run ended before it was killed:\n{(study.folder / 'printed').read_text()}")
        study.kill_head()
        study.finish()
        again += len(study.submitted() & done)
        done |= study.completed()
        study.log.unlink()
    study.start()
    if study.finish():
        raise SystemExit((study.folder / "printed").read_text())
    return len(done), again + len(study.submitted() & done)


def kill_tasks(study, count):
    """Kill tools as they run, each task once, until ``count`` were; how many Nextflow tried again."""
    study.start()
    killed = set()
    while study.run.poll() is None:
        for place, process in study.tools().items():
            task = (Path(place) / ".command.run").read_text().split("### name: '", 1)[-1].split("'", 1)[0]
            if task not in killed and len(killed) < count:
                os.kill(process, signal.SIGKILL)
                killed.add(task)
        time.sleep(0.1)
    printed = (study.folder / "printed").read_text()
    if study.finish():
        raise SystemExit(printed)
    tries = len(re.findall(r"terminated with an error exit status \(137\) -- Execution is retried", printed))
    return len(killed), tries


def main():
    heads, tasks = (int(words[0]) if (words := sys.argv[at:]) else standard for at, standard in ((1, 10), (2, 20)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        unbroken = Study(Path(place) / "unbroken")
        unbroken.start()
        if unbroken.finish():
            raise SystemExit((unbroken.folder / "printed").read_text())
        wanted = results(unbroken.folder)
        study = Study(Path(place) / "heads")
        done, again = kill_heads(study, heads)
        broken = study.differing(wanted)
        print(f"{heads} heads killed: {done} tasks done meanwhile, {again} of them run again; "
              f"{len(wanted)} results, differing {broken or 'none'}", flush=True)  # fmt: skip
        study = Study(Path(place) / "tasks")
        killed, tries = kill_tasks(study, tasks)
        differing = study.differing(wanted)
        print(f"{killed} tasks killed: {tries} tried again; {len(wanted)} results, differing {differing or 'none'}")
        broken += differing
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
