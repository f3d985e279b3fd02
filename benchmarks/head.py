#!/usr/bin/env python3
"""What Nextflow's head process spends on each shard: processor time, memory and wall time for 1 to 1,000 shards.

Runs the project's own EMBED_KMERS and MERGE_FEATURES with its Slurm profile, against a stand-in for the scheduler: its
sbatch finishes every task at once with an empty output, so that all that is measured is the head. A second run with
-resume shows what it costs to find that everything is done. Prints a table and writes it to benchmarks/head.tsv.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_suffix(".tsv")
SBATCH = f"""#!{sys.executable} -IS
import os, re, sys
script = os.path.abspath(sys.argv[1])
folders = re.findall(r"^###   - (/.*)$", open(script).read(), re.M) or [os.path.dirname(script)]
for folder in folders:
    made = open(folder + "/.command.sh").read().rsplit("touch ", 1)[1].split()
    for name in [*made, ".command.begin", ".command.out", ".command.err", ".command.log"]:
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
includeConfig '{ROOT}/conf/slurm.config'
process.ext.outdir = 'results'
process.publishDir = [enabled: false]
"""


def main():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--shards", type=int, nargs="+", default=[1, 100, 1000])
    args = made.parse_args()
    rows = ["shards\trun\twall_s\tcpu_s\tpeak_memory_mb"]
    for n in args.shards:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), n)
            rows += [
                f"{n}\t{run}\t" + measured(folder, options)
                for run, options in (("first", []), ("resumed", ["-resume"]))
            ]
        print("\n".join(rows[-2:]), flush=True)
    TABLE.write_text("\n".join(rows) + "\n")


def prepare(folder, n):
    (folder / "shards").mkdir()
    for i in range(1, n + 1):
        (folder / "shards" / f"windows.{i:05}.fa.gz").touch()
    (folder / "main.nf").write_text(MAIN)
    (folder / "nextflow.config").write_text(CONFIG)
    (folder / "bin").mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", "#!/bin/sh\n"), ("scancel", "#!/bin/sh\n")):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)


def measured(folder, options):
    """Wall seconds, processor seconds of the head and what it starts, and its peak memory, as columns."""
    env = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    command = [ROOT / "engine" / "nextflow", "-q", "run", folder, "-stub-run", "-ansi-log", "false", *options]
    started = time.monotonic()
    child = os.posix_spawnp("env", ["env", "-C", folder, *map(str, command)], env)
    _, status, used = os.wait4(child, 0)
    spent = time.monotonic() - started
    if status:
        sys.exit(f"the run failed; {keep_log(folder)} says why")
    return f"{spent:.1f}\t{used.ru_utime + used.ru_stime:.1f}\t{used.ru_maxrss / 1024:.0f}"


def keep_log(folder):
    return shutil.copy(Path(folder) / ".nextflow.log", Path(tempfile.gettempdir()) / "head.nextflow.log")


if __name__ == "__main__":
    main()
