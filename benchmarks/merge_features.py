#!/usr/bin/env python3
"""How fast merge_features joins shards, beside `cat` of the same bytes, and how its memory grows with their number.

The shards have the shape of Sei's: 21,907 profiles in float32. Prints a table and writes it to
benchmarks/merge_features.tsv.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import processor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bin"))
from intronaut.genome.windows import Window  # noqa: E402
from intronaut.io.h5ad import FeatureWriter, window_obs  # noqa: E402

TABLE = Path(__file__).with_suffix(".tsv")
COLUMNS = ["shards", "windows", "gb", "wall_s", "cpu_s", "mb_per_s", "cat_mb_per_s", "peak_memory_mb"]


def main():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--cases", nargs="+", default=["2x1000", "20x1000", "500x1000", "2x6000"], metavar="NxWINDOWS",
                      help="shards, and windows of all of them together")  # fmt: skip
    made.add_argument("--features", type=int, default=21907)
    args = made.parse_args()
    rows = [f"# {processor()}", "\t".join(COLUMNS)]
    for case in args.cases:
        n, windows = map(int, case.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            paths = [write_shard(folder, i, windows // n, args.features) for i in range(n)]
            rows.append("\t".join(map(str, measured(folder, paths, windows))))
        print(rows[-1], flush=True)
    TABLE.write_text("\n".join(rows) + "\n")


def write_shard(folder, number, rows, features):
    names = [f"w{number:05}_{row:05}" for row in range(rows)]
    obs = window_obs([Window(name, "ACGT", "chr1", 0, 4, "+") for name in names])
    var = pd.DataFrame({"target": [f"target {i}" for i in range(features)]}, index=[f"f{i}" for i in range(features)])
    path = f"{folder}/windows.{number:05}.h5ad"
    with FeatureWriter(path, obs, var, np.float32, {"tool": "benchmark"}) as writer:
        writer.write(range(rows), np.random.default_rng(number).random((rows, features), dtype=np.float32))
        writer.finish()
    return path


def measured(folder, paths, windows):
    size = sum(os.path.getsize(path) for path in paths)
    command = [sys.executable, ROOT / "bin" / "merge_features.py", "--quiet", *paths, "-o", f"{folder}/merged.h5ad"]
    started = time.monotonic()
    _, status, used = os.wait4(os.posix_spawn(sys.executable, [str(part) for part in command], os.environ), 0)
    spent = time.monotonic() - started
    if status:
        sys.exit("merge_features failed")
    os.remove(f"{folder}/merged.h5ad")
    started = time.monotonic()
    with open(f"{folder}/cat", "wb") as joined:
        subprocess.run(["cat", *paths], stdout=joined, check=True)
        os.fsync(joined.fileno())
    cat = time.monotonic() - started
    cpu, mb = used.ru_utime + used.ru_stime, size / 1e6
    times = [f"{mb / 1000:.2f}", f"{spent:.1f}", f"{cpu:.1f}", f"{mb / spent:.0f}", f"{mb / cat:.0f}"]
    return [len(paths), windows, *times, f"{used.ru_maxrss / 1024:.0f}"]


if __name__ == "__main__":
    main()
