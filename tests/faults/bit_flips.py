#!/usr/bin/env python3
"""Flip one bit of a stored file at a time, and count how many times verify sees it.

    python tests/faults/bit_flips.py [COUNT]

COUNT (1,000 by default) flips of each file of a folder of results: labels, windows, features, model, report, crate and
the crate's digest. Prints a line a file. Exits with 1 when a flip went unseen.
"""

import contextlib
import io
import os
import random
import shutil
import sys

import at_work

STORED = ("labels.tsv", "counts.json", "w.fa", "k.h5ad", "model/model.json", "model/weights.safetensors",
          "model/predictions.tsv", "model/metrics.json", "explained/summary.svg")  # fmt: skip


def make_results(folder):
    """A folder of results with its crate: the stored files of a small study."""
    results = folder / "results"
    for name in (name for name in STORED if (folder / name).exists()):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, results / name)
    at_work.call("make_report", "--labels", "labels.tsv", "--ledger", "ledger.tsv", "--counts", "counts.json", "--fit",
                 "model", "--explain", "explained", "-o", results / "report.html")  # fmt: skip
    at_work.call("record_run", results)
    return results


def seen(results):
    """Whether verify refuses the folder."""
    import verify
    from intronaut.core.errors import BadData

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            verify.main([str(results), "--quiet"])
    except BadData:
        return True
    return False


def unseen_flips(results, path, count, seed=1):
    """How many of ``count`` flips of one bit of a file verify does not see."""
    draw, size, unseen = random.Random(f"{path.name}{seed}"), path.stat().st_size, 0
    with open(path, "r+b") as handle:
        for _ in range(count):
            at, bit = draw.randrange(size), 1 << draw.randrange(8)
            byte = os.pread(handle.fileno(), 1, at)
            os.pwrite(handle.fileno(), bytes([byte[0] ^ bit]), at)
            unseen += not seen(results)
            os.pwrite(handle.fileno(), byte, at)
    return unseen


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    broken = 0
    with at_work.study() as folder:
        results = make_results(folder)
        assert not seen(results)
        for path in sorted(path for path in results.rglob("*") if path.is_file()):
            unseen = unseen_flips(results, path, count)
            print(f"{path.relative_to(results)}: {count - unseen} of {count} flips seen", flush=True)
            broken += unseen
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
