#!/usr/bin/env python3
"""What Nextflow's head process spends on each shard: processor time, memory and wall time for 1 to 10,000 shards.

Runs the project's own EMBED_KMERS and MERGE_FEATURES in three ways:

  slurm   with its Slurm profile, against a stand-in for the scheduler: its sbatch finishes every task at once with an
          empty output, so that all that is measured is the head
  local   with the local executor, 2 tasks at a time that only touch their outputs: the head and Nextflow's wrappers
  tools   with the local executor, 2 at a time, --windows really embedded in every shard and all merged; beside it the
          same commands 2 at a time without Nextflow, with a copy of the result as the run publishes one: the sum of
          the tools that the run is held against

A second run with -resume shows what it costs to find that everything is done. Prints a table and writes it to
benchmarks/head.tsv; rows of ways that are not run stay. Processor seconds are those of the head and of all it starts.
"""

import argparse
import gzip
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from machine import processor

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_suffix(".tsv")
SBATCH = f"""#!{sys.executable} -IS
import os, re, sys
script = os.path.abspath(sys.argv[1])
folders = re.findall(r"^###   - (/.*)$", open(script).read(), re.M) or [os.path.dirname(script)]
for folder in folders:
    outputs = open(folder + "/.command.sh").read().rsplit("touch ", 1)[1].split()
    for name in [*outputs, ".command.begin", ".command.out", ".command.err", ".command.log"]:
        open(os.path.join(folder, name), "w").close()
    with open(folder + "/.exitcode", "w") as handle:
        handle.write("0")
print("Submitted batch job", os.getpid())
"""
MAIN = f"""
include {{ EMBED_KMERS }} from '{ROOT}/modules/embed_kmers'
include {{ MERGE_FEATURES }} from '{ROOT}/modules/merge_features'

workflow {{
    EMBED_KMERS(channel.fromPath('shards/*.fa.gz').map {{ shard -> ['kmers', shard] }})
    MERGE_FEATURES(EMBED_KMERS.out.features.groupTuple(sort: {{ one, other -> one.name <=> other.name }}))
}}
"""
CONFIG = f"""
manifest.version = '0'
includeConfig '{ROOT}/conf/base.config'
process.ext.outdir = 'results'
"""

PLACES = {
    "slurm": f"includeConfig '{ROOT}/conf/slurm.config'",
    "local": "process.executor = 'local'\nexecutor.cpus = 2",
    "tools": "process.executor = 'local'\nexecutor.cpus = 2",
}
COLUMNS = ["place", "shards", "run", "wall_s", "cpu_s", "peak_memory_mb"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slurm", type=int, nargs="*", default=[1, 100, 1000, 10_000], metavar="SHARDS")
    parser.add_argument("--local", type=int, nargs="*", default=[1, 100, 1000], metavar="SHARDS")
    parser.add_argument("--tools", type=int, nargs="*", default=[100], metavar="SHARDS")
    parser.add_argument("--windows", type=int, default=6000, help="windows of 600 bp in each shard of --tools [6000]")
    parser.add_argument("--notes", default="", help="what else to say of the machine")
    args = parser.parse_args()
    note = f"# {processor()}; {args.windows:,} windows of 600 bp in each shard of place tools"
    rows = [note + (f"; {args.notes}" if args.notes else ""), "\t".join(COLUMNS)]
    again = [place for place in PLACES if getattr(args, place)]
    kept = [line for line in TABLE.read_text().splitlines() if line.split("\t")[0] in PLACES.keys() - again]
    for place in PLACES:
        for n in getattr(args, place):
            with tempfile.TemporaryDirectory() as folder:
                prepare(Path(folder), n, place, args.windows)
                figures_of = {"alone": alone(folder, n)} if place == "tools" else {}
                for run, options in {"first": [], "resumed": ["-resume"]}.items():
                    figures_of[run] = headed(folder, [*options, *([] if place == "tools" else ["-stub-run"])])
            rows += [f"{place}\t{n}\t{run}\t{figures}" for run, figures in figures_of.items()]
            print("\n".join(rows[-len(figures_of) :]), flush=True)
    rows[2:] = sorted([*kept, *rows[2:]], key=lambda line: list(PLACES).index(line.split("\t")[0]))
    TABLE.write_text("\n".join(rows) + "\n")


def prepare(folder, n, place, windows):
    (folder / "shards").mkdir()
    rng = random.Random(0)
    records = [f">w\n{''.join(rng.choices('ACGT', k=600))}\n" for _ in range(windows if place == "tools" else 0)]
    for i in range(1, n + 1):
        text = "".join(record.replace(">w", f">w{i}.{at}", 1) for at, record in enumerate(records))
        (folder / "shards" / f"windows.{i:05}.fa.gz").write_bytes(gzip.compress(text.encode(), 1) if text else b"")
    (folder / "main.nf").write_text(MAIN)
    (folder / "nextflow.config").write_text(CONFIG + PLACES[place] + "\n")
    (folder / "bin").mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", "#!/bin/sh\n"), ("scancel", "#!/bin/sh\n")):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)


def environment(folder):
    path = f"{folder}/bin:{ROOT / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONNOUSERSITE": "1"}


def alone(folder, n):
    """The columns of the tools alone: every shard embedded, two at a time, then all merged and the result copied."""
    out = Path(folder, "alone")
    out.mkdir()
    started, before = time.monotonic(), os.times()

    def run(*words):
        subprocess.run(
            [str(word) for word in words], cwd=folder, env=environment(folder), check=True, stderr=subprocess.DEVNULL
        )

    parts = [out / f"windows.{i:05}.h5ad" for i in range(1, n + 1)]
    with ThreadPoolExecutor(2) as two:
        list(two.map(lambda part: run("embed_kmers.py", f"shards/{part.stem}.fa.gz", "--output", part), parts))
    run("merge_features.py", *parts, "--output", out / "kmers.h5ad")
    run("cp", out / "kmers.h5ad", out / "published.h5ad")
    spent, after = time.monotonic() - started, os.times()
    shutil.rmtree(out)
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return f"{spent:.1f}\t{cpu:.1f}\t"


def headed(folder, options):
    """Wall seconds, processor seconds of the head and what it starts, and its peak memory, as columns."""
    command = [ROOT / "engine" / "nextflow", "-q", "run", folder, "-ansi-log", "false", *options]
    started = time.monotonic()
    child = os.posix_spawnp("env", ["env", "-C", folder, *map(str, command)], environment(folder))
    _, status, used = os.wait4(child, 0)
    spent = time.monotonic() - started
    if status:
        sys.exit(f"the run failed; {keep_log(folder)} says why")
    return f"{spent:.1f}\t{used.ru_utime + used.ru_stime:.1f}\t{used.ru_maxrss / 1024:.0f}"


def keep_log(folder):
    return shutil.copy(Path(folder) / ".nextflow.log", Path(tempfile.gettempdir()) / "head.nextflow.log")


if __name__ == "__main__":
    main()
