#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["h5py", "numpy", "pandas", "safetensors", "scikit-learn", "scipy", "threadpoolctl", "tokenizers",
#   "torch"]
# ///
"""What an epoch of fine-tuning costs here, in float32 and in mixed precision: time and memory, from a few steps.

Random windows and random weights at the published sizes; every number comes from finetune --estimate in a process of
its own, the two precisions of a network one after the other. Standard output is a table with one line a network, window
length and precision; hours are for one epoch of 10,000 windows. --cpu-time counts the seconds that a single thread
computed, not those that it waited for others: for a machine that is busy with other work.
"""

import argparse
import contextlib
import io
import multiprocessing
import random
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from machine import processor

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]

EPOCH = 10_000
WINDOWS = 320
# network, bases of a window, windows in a step on a CPU and on a GPU
CASES = (
    ("sei", 600, 4, 128),
    ("sei", 4096, 1, 32),
    ("dnabert2", 600, 4, 128),
    ("basset", 600, 64, 512),
    ("basenji", 600, 8, 256),
    ("attentionconv", 600, 16, 512),
)


def make_parser():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--tokenizer", type=Path, required=True, metavar="FILE", help="tokenizer.json of DNABERT-2")
    made.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda [cpu]")
    made.add_argument("--dtype", default="bfloat16", metavar="NAME", help="beside float32 [bfloat16]")
    made.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads [2]")
    made.add_argument("--seconds", type=float, default=10, metavar="S", help="of steps after the first, at least [10]")
    made.add_argument("--cpu-time", action="store_true", help="seconds of computing, with --threads 1")
    return made


def main(argv):
    args = make_parser().parse_args(argv)
    clock = "CPU time" if args.cpu_time else "wall time"
    print(f"# {processor()}, {args.threads} threads, device {args.device}, {clock}")
    columns = ("network", "bp", "parameters", "batch", "dtype", "windows_per_second", "hours_per_epoch", "memory_GB")
    print(*columns, f"{args.dtype}_times_faster", sep="\t")
    with tempfile.TemporaryDirectory() as folder:
        weights = write_weights(Path(folder), args.tokenizer)
        for network, length, *batches in CASES:
            write_windows(Path(folder), length)
            batch = batches[args.device != "cpu"]
            options = ["--network", network, "--batch-size", batch, *weights.get(network, ())]
            told = {dtype: estimate(folder, options, dtype, args) for dtype in ("float32", args.dtype)}
            for dtype, one in told.items():
                ratio = one["rate"] / told["float32"]["rate"]
                hours = EPOCH / one["rate"] / 3600
                row = (network, length, f"{one['parameters']:.0f}", batch, dtype, f"{one['rate']:.3g}", f"{hours:.3g}")
                print(*row, f"{one['memory_GB']:.2f}", f"{ratio:.2f}", sep="\t", flush=True)
    if args.device == "cpu":
        print("# not run on a GPU")


def write_weights(folder, tokenizer):
    """Random checkpoints of the published sizes, but for Sei's head, which is not read; the options by network."""
    from safetensors.torch import save_file

    from intronaut.networks.dnabert2 import Config
    from intronaut.networks.sei import CHANNELS
    from random_checkpoints import dnabert2_tensors, sei_tensors

    save_file(sei_tensors(CHANNELS, 1), folder / "sei.safetensors")
    tensors = dnabert2_tensors(Config())
    del tensors["cls.predictions.decoder.weight"]
    save_file(tensors, folder / "dnabert2.safetensors")
    return {
        "sei": ["--weights", folder / "sei.safetensors"],
        "dnabert2": ["--weights", folder / "dnabert2.safetensors", "--tokenizer", tokenizer.absolute()],
    }


def write_windows(folder, length):
    """Random windows, four fifths of which train, and labels of them."""
    from simulated_introns import draw_labels, introns, write_labels

    table = introns(WINDOWS)
    table["label"] = draw_labels([0.0] * WINDOWS)
    table["split"] = table["split"].map({"1": "test", "2": "valid"}).fillna("train")
    write_labels(folder / "labels.tsv", table)
    draw = random.Random(1)
    records = (f">{name}\n{''.join(draw.choices('ACGT', k=length))}\n" for name in table["name"])
    (folder / "windows.fa").write_text("".join(records))


def estimate(folder, options, dtype, args):
    """Parameters, windows a second and memory of a few training steps, in a process of their own."""
    given = ["--windows", f"{folder}/windows.fa", "--labels", f"{folder}/labels.tsv", *options, "--estimate"]
    given += ["--dtype", dtype, "--device", args.device, "--threads", args.threads, "--quiet"]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        told = process.submit(lines_of_estimate, list(map(str, given)), args.seconds, args.cpu_time).result()
    numbers = dict(line.split("\t") for line in told.splitlines())
    named = {"parameters": "parameters", "rate": "windows_per_second", "memory_GB": "memory_GB"}
    return {name: float(numbers[line]) for name, line in named.items()}


def lines_of_estimate(given, seconds, cpu_time):
    """What finetune prints."""
    import finetune
    from intronaut.networks import training

    training.TRIAL_SECONDS = seconds
    if cpu_time:
        training.monotonic = time.process_time
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        finetune.main(given)
    return printed.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
