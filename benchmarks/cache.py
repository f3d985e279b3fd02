#!/usr/bin/env python3
"""What embed_sei saves by --cache, the folder of windows embedded before, and whether its bytes stay the same.

Full-size Sei with random weights embeds --windows windows of 600 bp between N: with an empty cache; the same sequences
again, under other names; as many of which half are known; and two runs at once, with an empty cache of their own. The
features of every run are compared with those of a run without a cache. Processor seconds, loading included; prints a
table and writes it to benchmarks/cache.tsv.
"""

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import processor

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]
import embed_sei  # noqa: E402
from intronaut.io.h5ad import open_features  # noqa: E402
from random_checkpoints import write_full_sei  # noqa: E402

TABLE = Path(__file__).with_suffix(".tsv")
COLUMNS = ["run", "windows", "known", "cpu_seconds", "differing_values"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=40)
    args = parser.parse_args()
    n, rows = args.windows, ["# " + processor() + ", 1 thread", "\t".join(COLUMNS)]
    draw = random.Random(1)
    sequences = ["".join(draw.choices("ACGT", k=600)) for _ in range(n + n // 2)]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_full_sei(Path("sei"))
        for name, chosen in {"first": sequences[:n], "again": sequences[:n], "half": sequences[n // 2 :]}.items():
            Path(f"{name}.fa").write_text("".join(f">{name}{i}\n{text}\n" for i, text in enumerate(chosen)))
        for name, windows, caches, known in (
            ("without a cache", "first", [None], 0),
            ("empty cache", "first", ["cache"], 0),
            ("the same again, other names", "again", ["cache"], n),
            ("two at once, empty cache", "first", ["other", "other"], 0),
            ("without a cache, half of them new", "half", [None], 0),
            ("half of them new", "half", ["cache"], n - n // 2),
        ):
            seconds = embed(windows, caches)
            if caches == [None]:
                wanted = values(f"{windows}0")
            differing = sum(int((values(f"{windows}{i}") != wanted).sum()) for i in range(len(caches)))
            rows.append(f"{name}\t{n * len(caches)}\t{known}\t{seconds:.1f}\t{differing}")
            print(rows[-1], flush=True)
    TABLE.write_text("\n".join(rows) + "\n")


def embed(windows, caches):
    """Processor seconds of embedding a file once for each of the caches, side by side."""
    before, children = os.times(), []
    for number, cache in enumerate(caches):
        words = [f"{windows}.fa", "--weights", "sei/model.safetensors", "--features", "spline", "--context", "npad",
                 "--threads", "1", "--quiet", "-o", f"{windows}{number}.h5ad"]  # fmt: skip
        children.append(os.fork())
        if not children[-1]:
            embed_sei.main(words + (["--cache", cache] if cache else []))
            os._exit(0)
    if any(os.waitpid(child, 0)[1] for child in children):
        sys.exit("a run failed")
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def values(name):
    return np.concatenate([block for _, block in open_features(f"{name}.h5ad").row_blocks()])


if __name__ == "__main__":
    main()
