#!/usr/bin/env python3
"""Time and peak memory of explain on the features of Sei: 10,000 introns × 21,907 profiles, gathered by factor.

Simulates correlated sigmoid features (float16 on disk) that have the target table of Sei, with the published numbers of
each kind of profile, and labels by a few latent directions; fits one logistic regression on them, and then measures the
whole of `explain --group-by factor` with the default 50 pairs. Prints seconds of clock and processor, and peak memory.

  benchmarks/explain_scale.py > benchmarks/explain_scale.tsv
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]
from machine import processor  # noqa: E402

from intronaut.features.sei_targets import annotate, read_targets  # noqa: E402
from intronaut.io.h5ad import FeatureWriter  # noqa: E402
from simulated_introns import draw_labels, introns, write_labels  # noqa: E402
from target_names import write_target_names  # noqa: E402

PROFILES, RANK, BLOCK = 21_907, 200, 2048


def simulate(folder, n, seed=0):
    """Write features.h5ad and labels.tsv; profiles of one factor share half of the variance of their loadings."""
    rng = np.random.default_rng(seed)
    var = read_targets(write_target_names(folder / "target.names"), PROFILES)
    factor = pd.factorize(annotate(var)["factor"])[0]
    falling = np.geomspace(1, 0.05, RANK, dtype=np.float32)[:, None]
    shared = rng.standard_normal((RANK, factor.max() + 1), np.float32)[:, factor]
    loadings = np.sqrt(0.5) * falling * (shared + rng.standard_normal((RANK, PROFILES), np.float32))
    bias = rng.normal(-3, 1.5, PROFILES).astype(np.float32)
    table, latent = introns(n), rng.standard_normal((n, RANK), np.float32)
    obs = pd.DataFrame({"chrom": "1", "start": 0, "end": 1, "strand": "+", "length": 4096, "n_unknown": 0,
                        "digest": "0"}, index=pd.Index(table["name"], name="name"))  # fmt: skip
    with FeatureWriter(folder / "features.h5ad", obs, var, np.float16, {"tool": "benchmark"}) as writer:
        for first in range(0, n, BLOCK):
            rows = np.arange(first, min(first + BLOCK, n))
            noise = 0.5 * rng.standard_normal((len(rows), PROFILES), np.float32)
            writer.write(rows, 1 / (1 + np.exp(-(0.5 * latent[rows] @ loadings + bias + noise))))
        writer.finish()
    logit = latent @ (rng.normal(size=RANK) * np.geomspace(0.4, 0.1, RANK))
    write_labels(folder / "labels.tsv", table.assign(label=draw_labels(logit - np.quantile(logit, 0.73))))


def measured(command):
    """``(seconds of clock, of processor, peak GB)`` of a command."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([str(word) for word in command], check=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = sum(getattr(after, kind) - getattr(before, kind) for kind in ("ru_utime", "ru_stime"))
    return seconds, busy, after.ru_maxrss * 1024 / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--introns", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(args.threads), "OPENBLAS_NUM_THREADS": str(args.threads)}
    print(f"# {processor()}")
    print("tool", "introns", "profiles", "threads", "seconds", "processor_seconds", "peak_gb", sep="\t", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        simulate(folder, args.introns)
        read = ["--features", folder / "features.h5ad", "--labels", folder / "labels.tsv", "--threads", args.threads]
        steps = {
            "fit": [*read, "--c-values", 1e-3, "--bootstrap", 50, "-o", folder / "model"],
            "explain": ["--model", folder / "model", *read, "--group-by", "factor", "-o", folder / "explained"],
        }
        for tool, options in steps.items():
            seconds, busy, peak = measured([sys.executable, ROOT / f"bin/{tool}.py", *options])
            figures = (f"{seconds:.0f}", f"{busy:.0f}", f"{peak:.2f}")
            print(tool, args.introns, PROFILES, args.threads, *figures, sep="\t", flush=True)


if __name__ == "__main__":
    main()
