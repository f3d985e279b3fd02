#!/usr/bin/env python3
"""Compare quantify_introns with a slow program that looks at every fragment and intron, on random alignments.

Each alignment file has genes that overlap, nest and retain introns, and single or paired reads of either strand that
are spliced, clipped, deleted at borders, multimapped, duplicated, marked by tags or contradict their mates. Library,
options and order of the records go through all their values. --slow is the program: its ``main`` takes the options of
quantify_introns' specification, writes the same table to -o and the counts to --counts. Standard output is a table of
the options with the files, cells and differing cells of each; the exit status is 1 where a cell differs.
"""

import argparse
import contextlib
import csv
import gzip
import importlib.util
import io
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from machine import processor

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]

import quantify_introns as quantify  # noqa: E402
from random_reads import random_bam, random_genes, write_gtf  # noqa: E402

LIBRARIES = ("auto", "forward", "reverse", "unstranded")
# options of ours, and of the slow program
OPTIONS = {
    "": ([], []),
    "keep multimapped": (["--multimapped", "keep"], ["--multimapped"]),
    "drop duplicates": (["--duplicates", "drop"], ["--drop-duplicates"]),
    "overhang 8": (["--overhang", "8"], ["--overhang", "8"]),
}


def loaded(path):
    """The slow program as a module."""
    spec = importlib.util.spec_from_file_location("slow", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(path):
    with gzip.open(path, "rt") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def same(one, other):
    """Whether two cells are equal, numbers to 1e-5 of their size."""
    if one == other:
        return True
    with contextlib.suppress(ValueError):
        return abs(float(one) - float(other)) <= 1e-5 * max(abs(float(other)), 1e-9)
    return False


def compared(slow, seed):
    """``(what was varied, cells, differing cells)`` of one random file, in the current folder."""
    rng = np.random.default_rng([seed, 77])
    genes = random_genes(rng)
    library, (words, (ours, theirs)) = LIBRARIES[seed % 4], list(OPTIONS.items())[seed // 4 % 4]
    paired, order = seed % 3 > 0, ("coordinate", "queryname")[seed // 16 % 2]
    write_gtf("genes.gtf", genes)
    random_bam("r.bam", rng, genes, n_fragments=150, paired=paired, sort=order)
    kind = ["--strand", library]
    quantify.main(["genes.gtf", "r.bam", *kind, "--reads-kind", "short", *ours, "-o", "out", "--quiet"])
    sys.argv = ["slow", "genes.gtf", "r.bam", "--sample", "r", *kind, "--reads", "short", *theirs]
    sys.argv += ["-o", "slow.tsv.gz", "--counts", "slow.json"]
    with contextlib.redirect_stdout(io.StringIO()):
        slow.main()
    pairs = list(zip(rows("out/r.introns.tsv.gz"), rows("slow.tsv.gz"), strict=True))
    cells = [(row[name], other[name]) for row, other in pairs for name in other]
    found, wanted = (json.loads(Path(path).read_text()) for path in ("out/r.counts.json", "slow.json"))
    cells += [(str(found.get(name)), str(value)) for name, value in wanted.items()]
    about = f"{'paired' if paired else 'single'}, {order}, {library}{', ' if words else ''}{words}"
    return about, len(cells), sum(not same(*cell) for cell in cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow", required=True, metavar="PY")
    parser.add_argument("--files", type=int, default=200)
    args = parser.parse_args()
    slow, files, cells, odd = loaded(Path(args.slow).resolve()), Counter(), Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for seed in range(args.files):
            about, n, differing = compared(slow, seed)
            files[about], cells[about], odd[about] = files[about] + 1, cells[about] + n, odd[about] + differing
        os.chdir(ROOT)
    print(f"# {processor()}")
    print("reads", "files", "cells", "differing", sep="\t")
    for about in sorted(files):
        print(about, files[about], cells[about], odd[about], sep="\t")
    print("all", files.total(), cells.total(), odd.total(), sep="\t")
    sys.exit(1 if odd.total() else 0)


if __name__ == "__main__":
    main()
