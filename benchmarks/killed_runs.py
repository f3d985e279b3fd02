#!/usr/bin/env python3
"""Kill runs of the embedders at random moments, take them up with the same command, and compare the bytes.

Every run is a process of its own that SIGKILL ends; a resumed run may not differ in one byte from an unbroken one, and
nothing may stand under the final name before it is whole. Sei and DNABERT-2 have small random weights. Standard output
is a table: how many runs were killed before any row was done, with rows done, or had finished before; how many files
were equal; how many times an unfinished file had the final name. The exit code is 1 when a file differs.
"""

import argparse
import importlib
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from machine import processor

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]

COLUMNS = ("embedder", "runs", "killed_before_rows", "killed_with_rows", "finished", "equal", "early_files")


def commands(folder):
    """The embedders and their options, with windows and weights that they need; all but the output."""
    from random_checkpoints import write_dnabert2, write_sei

    sei, dnabert2 = write_sei(folder / "sei"), write_dnabert2(folder / "dnabert2")
    draw = random.Random(1)
    windows = {name: folder / f"{name}.fa" for name in ("few", "many")}
    for name, n, length in (("few", 160, 600), ("many", 4000, 300)):
        records = (f">w{i}\n{''.join(draw.choices('ACGT', k=length))}\n" for i in range(n))
        windows[name].write_text("".join(records))
    return {
        "embed_sei": [windows["few"], "--weights", sei / "model.safetensors", "--features", "spline", "--context",
                      "npad", "--batch-size", 2, "--threads", 1],
        "embed_dnabert2": [windows["few"], "--weights", dnabert2 / "model.safetensors", "--tokenizer",
                           dnabert2 / "tokenizer.json", "--batch-size", 512, "--threads", 1],
        "embed_motifs": [windows["few"], "--threads", 1],
        "embed_kmers": [windows["many"], "--k", 5],
    }  # fmt: skip


def start(tool, words):
    """Run a tool in a process of its own; returns its number."""
    if child := os.fork():
        return child
    code = 1
    try:
        tool.main([str(word) for word in words])
        code = 0
    finally:
        os._exit(code)


def done_rows(part):
    """Rows marked done in an unfinished features file; 0 when there is none to be read."""
    import h5py

    try:
        with h5py.File(part, "r", locking=False) as file:
            return int(file["uns/intronaut/done"][:].sum())
    except (OSError, KeyError):
        return 0


def kill_often(tool, words, folder, runs, draw):
    """One line of the table."""
    unbroken, killed = folder / "unbroken.h5ad", folder / "killed.h5ad"
    started = time.monotonic()
    os.waitpid(start(tool, [*words, "--quiet", "-o", unbroken]), 0)
    seconds, wanted = time.monotonic() - started, unbroken.read_bytes()
    counts = dict.fromkeys(COLUMNS[2:], 0)
    for _ in range(runs):
        child = start(tool, [*words, "--quiet", "-o", killed])
        time.sleep(draw.uniform(0, 1.05 * seconds))
        os.kill(child, signal.SIGKILL)
        finished = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        rows = done_rows(folder / ".killed.h5ad.part")
        counts["finished" if finished else "killed_with_rows" if rows else "killed_before_rows"] += 1
        counts["early_files"] += killed.exists() and killed.read_bytes() != wanted
        if not killed.exists():
            os.waitpid(start(tool, [*words, "--quiet", "-o", killed]), 0)
        counts["equal"] += killed.exists() and killed.read_bytes() == wanted
        killed.unlink(missing_ok=True)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50, help="of each embedder [50]")
    parser.add_argument("--seed", type=int, default=1, help="of the moments [1]")
    args = parser.parse_args()
    import torch  # noqa: F401 - once here, not in every run

    print(f"# {processor()}")
    print(*COLUMNS, sep="\t", flush=True)
    differing = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, words in commands(Path(folder)).items():
            counts = kill_often(importlib.import_module(name), words, Path(folder), args.runs, random.Random(args.seed))
            print(name, args.runs, *counts.values(), sep="\t", flush=True)
            differing += args.runs - counts["equal"]
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
