#!/usr/bin/env python3
"""Peak memory of the embedders for 1,000 and for 10,000 windows of 200 bp; Sei and DNABERT-2 with small random weights.

Standard output is a table; the ratio should be at most 1.05, as no embedder may hold its windows or features.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]
from machine import processor  # noqa: E402

MEASURED = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def embedders(folder):
    """Every embedder with the options it needs."""
    from random_checkpoints import write_dnabert2, write_sei

    sei, dnabert2 = write_sei(folder / "sei"), write_dnabert2(folder / "dnabert2")
    return {
        "embed_sei": ["--weights", sei / "model.safetensors", "--features", "spline", "--context", "native"],
        "embed_dnabert2": ["--weights", dnabert2 / "model.safetensors", "--tokenizer", dnabert2 / "tokenizer.json"],
        "embed_motifs": [],
        "embed_kmers": ["--k", 6],
    }


def write_windows(path, n):
    draw = random.Random(1)
    path.write_text("".join(f">w{i}\n{''.join(draw.choices('ACGT', k=200))}\n" for i in range(n)))
    return path


def peak(tool, options, windows, output):
    """Peak resident memory of a run in MB."""
    command = [sys.executable, ROOT / f"bin/{tool}.py", windows, *options, "-o", output, "--quiet"]
    command = [sys.executable, "-c", MEASURED, *map(str, command)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1024 / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    print(f"# {processor()}")
    print("embedder", "mb_1000_windows", "mb_10000_windows", "ratio", sep="\t", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        windows = [write_windows(folder / f"{n}.fa", n) for n in (1000, 10_000)]
        for tool, options in embedders(folder).items():
            few, many = (peak(tool, options, path, folder / f"{path.stem}.{tool}.h5ad") for path in windows)
            print(tool, f"{few:.0f}", f"{many:.0f}", f"{many / few:.3f}", sep="\t", flush=True)


if __name__ == "__main__":
    main()
