#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["anndata", "h5py", "numpy", "pandas", "safetensors", "scipy", "tokenizers", "torch"]
# ///
"""What one GPU does with Sei, DNABERT-2, the splice networks and in-silico mutagenesis, at full size, random weights.

Standard output is a table, one line a network and precision: windows a second, share of the rate of matrix products
that the same process measures beside it, and how far the numbers are from the CPU's in float32 (relative L2). TF32 is
what the published code computes in on such cards. Then embed_sei as its user runs it: the share of time in which the
card had nothing to do, and the same features with most of the card's memory held by another program. On a CPU the same
lines are printed for a small form of each network, so that the script is known to run.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]
from machine import processor  # noqa: E402

import random_checkpoints  # noqa: E402
from intronaut.features import dnabert2 as dnabert2_features  # noqa: E402
from intronaut.interpret.ism import base_changes  # noqa: E402
from intronaut.io.checkpoints import Checkpoint  # noqa: E402
from intronaut.networks import dnabert2, sei, splice  # noqa: E402
from intronaut.networks.device import prepare_torch  # noqa: E402
from intronaut.networks.sei_inference import Head, Runner  # noqa: E402
from networks_by_hand import SPECS, drawn  # noqa: E402

PRECISIONS = ("float32", "tf32", "bfloat16")
# billions of operations: Sei's for both strands of 4,096 bp; DNABERT-2's a token, and a pair of tokens
SEI_GFLOP, TOKEN_GFLOP, PAIR_GFLOP = 216.9, 0.2265, 36_864e-9
TOKENS = 300
LEFT_GB = 6


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", metavar="NAME", help="cuda or cpu [cuda]")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="of each measurement, at least [10]")
    return parser


def main():
    args = make_parser().parse_args()
    prepare_torch(torch.get_num_threads())
    small = args.device == "cpu"
    device = torch.device(args.device)
    print(f"# {processor() if small else torch.cuda.get_device_name()}, torch {torch.__version__}")
    print("what", "precision", "windows_per_second", "share_of_matrix_rate", "difference_from_cpu", sep="\t")
    for what, network in networks(small).items():
        expected = network.compute(torch.device("cpu"), "float32", network.few)
        for precision in PRECISIONS if not small else ("float32", "bfloat16"):
            print(what, precision, *row(network, device, precision, expected, args.seconds), sep="\t", flush=True)
    print("mutagenesis, basset", "float32", *mutants(device, args.seconds), sep="\t", flush=True)
    as_users_run(args, small)
    if small:
        print("# not run on a GPU")


class Network:
    """A network of random weights: ``compute`` gives features; ``many`` windows are timed, ``few`` are compared."""

    def __init__(self, open_on, many, few, gflop):
        self.open_on, self.many, self.few, self.gflop = open_on, many, few, gflop

    def compute(self, device, precision, windows):
        return self.open_on(device, "float32" if precision == "tf32" else precision)(windows)


def networks(small):
    """The networks by name; in their narrow form when ``small``."""
    draw = np.random.default_rng(1)
    channels, outputs = random_checkpoints.NARROW_SEI if small else (sei.CHANNELS, sei.OUTPUTS)
    config = dnabert2.Config(num_hidden_layers=2) if small else dnabert2.Config()
    sei_tensors = random_checkpoints.sei_tensors(channels, outputs)
    bert_tensors = random_checkpoints.dnabert2_tensors(config)
    splice_tensors = {name: splice_tensor(name, shape) for name, shape in splice.shapes(1).items()}

    def open_sei(device, precision):
        # a Runner lets go of what it has taken
        tensors = {name: tensor.clone() for name, tensor in sei_tensors.items()}
        runner, head = Runner(tensors, device, getattr(torch, precision)), Head(tensors, None, device)

        def run(codes):
            logits = head.logits(runner.spline(runner.trunk(torch.from_numpy(codes))))
            return torch.sigmoid(logits).unflatten(0, (2, -1)).mean(0).cpu().numpy()

        return run

    def open_dnabert2(device, precision):
        model = dnabert2.load(Checkpoint("random", dict(bert_tensors)), config).to(device)
        model = dnabert2.pack(model.compute_in(getattr(torch, precision)))
        return lambda tokens: dnabert2_features.features_of(list(tokens), model, 1, "mean", "forward")

    def open_splice(device, precision):
        model = splice.SpliceNetworks(splice_tensors, 1, precision, device)
        return lambda bases: model.probabilities(torch.from_numpy(bases)).numpy()

    many = 2 if small else 64
    codes = draw.integers(0, 4, (many, 4096)).astype(np.uint8)
    tokens = draw.integers(5, config.vocab_size, (8 * many, TOKENS)).astype(np.int32)
    tokens[:, 0] = 1
    bases = np.eye(4, dtype=np.float32)[draw.integers(0, 4, (many, 15_000))].transpose(0, 2, 1).copy()
    bert_gflop = TOKEN_GFLOP * TOKENS + PAIR_GFLOP * TOKENS**2
    return {
        "Sei, 4,096 bp, all profiles": Network(open_sei, codes, codes[:2], None if small else SEI_GFLOP),
        "DNABERT-2, 300 tokens": Network(open_dnabert2, tokens, tokens[:4], None if small else bert_gflop),
        "CI-SpliceAI, one network, 5,000 bp": Network(open_splice, bases, bases[:2], None),
    }


def splice_tensor(name, shape):
    """Numbers that keep activations near 1, as training does."""
    if name.endswith(("var", "gamma")):
        values = random_checkpoints.fill(name, shape, seed=1, bound=0.1, offset=1.0)
    else:
        values = random_checkpoints.fill(name, shape, seed=1, bound=(3 / np.prod(shape[1:], initial=1)) ** 0.5 / 2)
    return torch.from_numpy(values)


def row(network, device, precision, expected, seconds):
    """Windows a second, share of the matrix rate measured before and after, and distance from ``expected``."""
    allow_tf32(precision == "tf32")
    run = network.open_on(device, "float32" if precision == "tf32" else precision)
    computed = run(network.few)
    run(network.many)
    before = matrix_rate(device, precision)
    rate = len(network.many) * repeats_a_second(lambda: run(network.many), seconds, device)
    best = max(before, matrix_rate(device, precision))
    allow_tf32(False)
    share = f"{rate * network.gflop / best:.0%}" if network.gflop else ""
    return f"{rate:.3g}", share, f"{np.linalg.norm(computed - expected) / np.linalg.norm(expected):.1e}"


def allow_tf32(allowed):
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def repeats_a_second(run, seconds, device):
    """How often ``run`` ends in a second."""
    done, started = 0, time.perf_counter()
    while not done or time.perf_counter() - started < seconds:
        run()
        done += 1
    wait(device)
    return done / (time.perf_counter() - started)


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def matrix_rate(device, precision):
    """Billions of operations a second of a square matrix product in this precision."""
    size = 8192 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    left @ right
    wait(device)
    return 2 * size**3 / 1e9 * repeats_a_second(lambda: (left @ right, wait(device)), 0.5, device)


def mutants(device, seconds):
    """Mutants a second of one window of 600 bp, and the largest difference from the CPU's changes, as a share."""
    network = drawn(SPECS["basset"] | {"length": 600})
    window = torch.eye(4)[np.random.default_rng(1).integers(0, 4, 600)].T.contiguous()
    places = np.arange(0, 600, 10)
    expected = base_changes(network, window, places, 96)
    network, window = network.to(device), window.to(device)
    computed = base_changes(network, window, places, 96)
    rate = 3 * len(places) * repeats_a_second(lambda: base_changes(network, window, places, 96), seconds, device)
    return f"{rate:.3g}", "", f"{np.linalg.norm(computed - expected) / np.linalg.norm(expected):.1e}"


def as_users_run(args, small):
    """Two lines on embed_sei from FASTA to file: how idle the card was, and whether held memory changes features."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write = random_checkpoints.write_sei if small else random_checkpoints.write_full_sei
        write(folder / "weights")
        draw = np.random.default_rng(2)
        letters = np.array(list("ACGT"))
        windows = (f">w{n}\n{''.join(letters[draw.integers(0, 4, 4096)])}\n" for n in range(8 if small else 2000))
        (folder / "windows.fa").write_text("".join(windows))
        with IdleShare(args.device) as idle:
            embed(folder, "alone.h5ad", args.device)
        print("embed_sei, share of time in which the card was idle", "float32", "", idle.share, "", sep="\t")
        held = hold_memory(args.device)
        embed(folder, "crowded.h5ad", args.device)
        del held
        print("embed_sei beside a program that holds the card", "float32", "", "", apart(folder), sep="\t")


def embed(folder, output, device):
    command = [sys.executable, ROOT / "bin/embed_sei.py", folder / "windows.fa", "--targets",
               folder / "weights/target.names", "--weights", folder / "weights/sei.pth", "--device", device,
               "-o", folder / output, "--quiet"]  # fmt: skip
    subprocess.run(list(map(str, command)), check=True)


def hold_memory(device):
    """All of the card's free memory but LEFT_GB, as a tensor; nothing on a CPU."""
    if device == "cpu":
        return None
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    return torch.empty(max(0, free - LEFT_GB * 2**30), dtype=torch.uint8, device=device)


def apart(folder):
    """Relative L2 distance of the features of the two runs."""
    import anndata

    alone, crowded = (np.asarray(anndata.read_h5ad(folder / f"{name}.h5ad").X) for name in ("alone", "crowded"))
    return f"{np.linalg.norm(alone - crowded) / np.linalg.norm(alone):.1e}"


class IdleShare:
    """The share of samples, ten a second, in which nvidia-smi calls the card idle; ``share`` is empty on a CPU."""

    def __init__(self, device):
        self.measures, self.samples, self.share, self.stopped = device != "cpu", [], "", threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._sample, daemon=True)
        if self.measures:
            self.thread.start()
        return self

    def __exit__(self, *problem):
        self.stopped.set()
        if self.measures:
            self.thread.join()
            self.share = f"{np.mean(np.array(self.samples) == 0):.0%}"

    def _sample(self):
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self.stopped.wait(0.1):
            done = subprocess.run(query, capture_output=True, text=True)
            self.samples.append(float(done.stdout.split()[0]))


if __name__ == "__main__":
    main()
