#!/usr/bin/env python3
"""Kill tools with SIGKILL at random moments, start the same command again, and compare every byte.

    python tests/faults/killed_tools.py [COUNT [TOOL …]]

COUNT (50 by default) kills of each, at moments drawn from the whole of its run. After a kill nothing may stand under a
final name but what an unbroken run writes; after the second start the folder must hold exactly the files of an
unbroken run, hidden ones too. Prints a line a tool. Exits with 1 after a fault.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import at_work

TOOLS = ("embed_kmers", "embed_motifs", "embed_sei", "embed_dnabert2", "merge_features", "fetch_sequences", "fit",
         "make_report", "fetch_weights")  # fmt: skip


def attack(name, words, folder, count, draw):
    """The moments of ``count`` kills of one tool, in shares of an unbroken run, and the faults."""
    out, stderr = folder / "killed", folder / "stderr"
    for _ in range(2):  # the second run finds all that it reads in memory, as those that are killed do
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        started = time.monotonic()
        assert at_work.finish(at_work.start(name, words, out, stderr)) == 0, stderr.read_text()
        seconds = time.monotonic() - started
    wanted, moments, faults = at_work.digests(out), [], []
    while len(moments) < count:
        shutil.rmtree(out)
        out.mkdir()
        child, moment = at_work.start(name, words, out, stderr), draw.random()
        time.sleep(moment * seconds)
        os.kill(child, signal.SIGKILL)
        if at_work.finish(child) != -signal.SIGKILL:
            continue  # it had ended
        moments.append(moment)
        early = [
            path for path, digest in at_work.digests(out).items() if not hidden(path) and digest != wanted.get(path)
        ]
        code = at_work.finish(at_work.start(name, words, out, stderr))
        found = at_work.digests(out)
        if early or code or found != wanted:
            other = sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))
            faults.append(f"early {early}, code {code}, other {other}, standard error {stderr.read_text()[-200:]!r}")
    return moments, faults


def hidden(path):
    """Whether a path lies in a hidden folder, or is a hidden file."""
    return any(part.startswith(".") for part in Path(path).parts)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    broken = 0
    with at_work.study() as folder:
        draw = random.Random(1)
        commands = at_work.commands()
        for name in sys.argv[2:] or TOOLS:
            moments, faults = attack(name, commands[name], folder, count, draw)
            print(
                f"{name}: {len(moments)} kills at {min(moments):.0%} to {max(moments):.0%} of its run, "
                f"faults {faults or 'none'}",
                flush=True,
            )
            broken += len(faults)
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
