#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["h5py", "numpy", "pandas", "safetensors", "scipy", "torch"]
# ///
"""How fast Sei runs here, against its published code, with random weights at full size.

REFERENCE is the folder with sei-framework's model/sei.py; SELENE that with selene's non_strand_specific_module.py. Each
side has a process of its own, and they take turns; times are the best of --repeats. The published side runs as its
scripts do: both strands one after the other, averaged, in float32; ours takes four such batches, since the head's
weights are read once for all. Shares are of the fastest of two convolutions and a matrix product of the library, run in
the same process between the batches, because the rates of shared machines change within seconds: the median of the
repeats. On one thread of a CPU the time is that of the process, so that other work on the machine does not count.
Standard output is a Markdown table.
"""

import argparse
import importlib.util
import math
import multiprocessing
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import types
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]
from machine import clock, cpu_flags, processor  # noqa: E402

WINDOW = 4096
# billions of floating-point operations the published trunk and head take for both strands of one window
TRUNK_GFLOP, HEAD_GFLOP = 213.6, 3.3
# what is run: published and ours, with the floor and target of their ratio
CASES = {
    "all 21,907 profiles": ("profiles", "profiles", WINDOW, 1.30, 1.6),
    "spline features (published: all)": ("profiles", "spline", WINDOW, 1.45, 1.75),
    "600 bp between N, trunk": ("trunk", "padded", 600, 2.5, 3.8),
    "1,500 bp between N, trunk": ("trunk", "padded", 1500, 1.8, 2.5),
    "600 bp alone, all profiles": ("profiles", "profiles", 600, "", ""),
}
BFLOAT16_GOAL = (5.0, 9.0)
# bfloat16: the least share of the library's rate, and how many times as fast as our own float32
SHARE_GOAL, OWN_GOAL = "≥ 85 %", 4
# windows of ours for each of the published code's
MORE = 4
LOAD_GOAL, MEMORY_GOAL = 10.0, (0.5, 1.5)


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, metavar="FOLDER", help="holds the published sei.py")
    parser.add_argument("--selene", type=Path, required=True, metavar="FOLDER", help="holds selene's strand wrapper")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FOLDER", help="made by random_checkpoints.py sei-full [made]"
    )
    parser.add_argument(
        "--batch", type=int, default=8, metavar="N", help="windows in a batch, of ours four times as many [8]"
    )
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="best of [3]")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads [2]")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda [cpu]")
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        if not args.checkpoint:
            from random_checkpoints import write_full_sei

            args.checkpoint = write_full_sei(Path(folder) / "checkpoint")
        print(
            f"{processor()}, {args.threads} threads, device {args.device}, batch {args.batch}, {platform.platform()}\n"
        )
        print("| what | published | ours | ratio | floor | target | error |", "|---|---|---|---|---|---|---|", sep="\n")
        compare_speed(args)
        compare_loading(args)
        memory_of_features(args, Path(folder))
        share_around_the_model(args, Path(folder))
    if args.device == "cpu":
        print("\nNot run on a GPU.")


def row(what, published="", ours="", ratio="", floor="", target="", error=""):
    print("|", " | ".join(str(cell) for cell in (what, published, ours, ratio, floor, target, error)), "|", flush=True)


def worker(start=None, *args):
    """A fresh process that has run ``start``."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), start, args)


def compare_speed(args):
    """One row a case: seconds a window on either side, best of the repeats, taking turns."""
    with worker(start_reference, args) as reference, worker(start_ours, args) as ours:
        for what, (published, mine, length, floor, target) in CASES.items():
            jobs = {
                "published": (reference, run_reference, published, "trunk" in what),
                "ours": (ours, run_ours, mine, "float32"),
            }
            whole = what == "all 21,907 profiles"
            if whole and computes_bfloat16(args):
                jobs["bfloat16"] = ours, run_ours, mine, "bfloat16"
            of_windows = taking_turns(
                args, jobs, random_codes(args.batch if length == WINDOW else 2 * args.batch, length)
            )
            published, mine = of_windows["published"], of_windows["ours"]
            row(what, *seconds_a_window(published, mine), floor, target, error_of(published, mine))
            if whole:
                row_of_share("float32", mine)
                low_precision(args, published, mine, of_windows.get("bfloat16"))


class Taken(NamedTuple):
    """What one side took: seconds a window, the library's rate beside it, its share of that, and what it returned."""

    seconds: float
    rate: float
    share: float
    values: object


def taking_turns(args, jobs, codes):
    """``{side: Taken}``: the best seconds and the median rate and share of the repeats."""
    import numpy as np

    many = np.concatenate([codes, *(random_codes(len(codes), codes.shape[1], seed) for seed in range(2, MORE + 1))])
    taken = {side: [] for side in jobs}
    for _ in range(args.repeats):
        for side, (process, function, *job) in jobs.items():
            given = codes if side == "published" else many
            seconds, at_rate, values = process.submit(function, given, args.batch, *job).result()
            rate = (TRUNK_GFLOP + HEAD_GFLOP) * len(given) / at_rate if at_rate else 0
            taken[side].append(Taken(seconds / len(given), rate, at_rate / seconds, values[: len(codes)]))
    return {
        side: Taken(
            min(one.seconds for one in runs),
            *(statistics.median(column) for column in list(zip(*runs, strict=True))[1:3]),
            runs[0].values,
        )
        for side, runs in taken.items()
    }


def seconds_a_window(published, mine):
    return f"{published.seconds:.3f} s", f"{mine.seconds:.3f} s", f"{published.seconds / mine.seconds:.2f}"


def row_of_share(dtype, mine, goal=""):
    """The published operations a second as a share of the library's own rate in the same minute."""
    what = f"the same as a share of the {dtype} rate here ({mine.rate:.0f} GFLOP/s), published operations"
    row(what, "", f"{mine.share:.0%}", "", goal)


def computes_bfloat16(args):
    return args.device != "cpu" or {"amx_bf16", "avx512_bf16"} & cpu_flags()


def low_precision(args, published, float32, mine):
    if mine is None:
        row("all 21,907 profiles, bfloat16", "", "skipped: this CPU does not compute bfloat16")
        return
    has_matrix_units = args.device != "cpu" or "amx_bf16" in cpu_flags()
    goal = BFLOAT16_GOAL if has_matrix_units else ("for AMX", "for AMX")
    row("all 21,907 profiles, bfloat16", *seconds_a_window(published, mine), *goal, error_of(published, mine))
    row_of_share("bfloat16", mine, SHARE_GOAL if has_matrix_units else "for AMX")
    times = f"{float32.seconds / mine.seconds:.2f}"
    rates = f"{float32.rate:.0f} and {mine.rate:.0f} GFLOP/s"
    what = f"all 21,907 profiles, our float32 beside our bfloat16; the library's rates: {rates}"
    row(what, f"{float32.seconds:.3f} s", f"{mine.seconds:.3f} s", times, "", f"{OWN_GOAL} where rates allow")


def random_codes(n, length, seed=1):
    import numpy as np

    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def error_of(published, mine):
    import numpy as np

    published, mine = published.values, mine.values
    if published.shape != mine.shape:
        return ""
    if mine.max() <= 1 and mine.min() >= 0:
        return f"{np.abs(published - mine).max():.1e} absolute"
    return f"{np.linalg.norm(published - mine) / np.linalg.norm(published):.1e} relative"


def published_classes(reference, selene):
    """The published network and strand wrapper, from the user's own checkouts."""
    package = types.ModuleType("selene_utils")
    package.__path__, package._is_lua_trained_model = [], lambda model: False
    sys.modules["selene_utils"] = package
    found = []
    for name, path, wanted in (
        ("sei_model", reference / "sei.py", "Sei"),
        ("selene_utils.non_strand_specific_module", selene / "non_strand_specific_module.py", "NonStrandSpecific"),
    ):
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.append(getattr(module, wanted))
    return found


def load_reference(args):
    """Load as selene does: the whole file into memory, tensors by their order."""
    import torch

    network, wrapper = published_classes(args.reference, args.selene)
    model = network(sequence_length=WINDOW)
    read = torch.load(args.checkpoint / "sei.pth", map_location=lambda storage, location: storage)
    model.load_state_dict(dict(zip(model.state_dict(), read.values(), strict=True)))
    return wrapper(model, mode="mean").eval()


def start_reference(args):
    global side, device, now
    import torch

    now = clock(args.threads, args.device)

    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    side = load_reference(args).to(device)


def run_reference(codes, batch, what, padded):
    """Seconds, no rate, and profiles, or spline features of both strands one after the other, which end the trunk."""
    import torch

    from intronaut.networks.sei import channel_table, fit_to_window

    codes = torch.stack([torch.from_numpy(fit_to_window(row)) for row in codes]) if padded else torch.from_numpy(codes)
    side.model.spline_tr[1]._spline_tr = None  # it keeps the basis of the first length it sees
    classifier = side.model.classifier
    if what == "trunk":
        side.model.classifier = torch.nn.Identity()

    def run(codes):
        x = channel_table()[codes.int()].transpose(1, 2).to(device)
        batches = x.split(batch)
        if what == "trunk":
            strands = (batches, [batch.flip(1).flip(2) for batch in batches])
            values = torch.cat([side.model(batch) for strand in strands for batch in strand])
            return values.unflatten(0, (2, -1)).transpose(0, 1).cpu().numpy()
        return torch.cat([side(batch) for batch in batches]).cpu().numpy()

    with torch.no_grad():
        seconds, values = once_warm(run, codes)
    side.model.classifier = classifier
    return seconds, 0, values


def start_ours(args):
    global side, device, now
    import torch

    from intronaut.networks.device import prepare_torch
    from intronaut.networks.sei import open_sei
    from intronaut.networks.sei_inference import Head, Runner

    prepare_torch(args.threads)
    now = clock(args.threads, args.device)
    device = torch.device(args.device)
    _, tensors = open_sei(args.checkpoint / "sei.pth")
    side = {"tensors": tensors, "float32": Runner(tensors, device), "head": Head(tensors, None, device)}


def run_ours(codes, batch, what, dtype):
    """Seconds, those that the published operations take at the library's rate, and what embed_sei computes."""
    import torch

    from intronaut.networks.sei_inference import Runner

    if dtype not in side:
        side[dtype] = Runner(side["tensors"], device, getattr(torch, dtype))
    runner = side[dtype]
    padding = 0
    if what == "padded":
        from intronaut.features.sei import pad_to_window

        codes, padding = pad_to_window(torch.from_numpy(codes))

    def features(part):
        return runner.spline(runner.trunk(part, padding=padding)).unflatten(0, (2, -1))

    def profiles(parts):
        values = torch.cat(parts, 1)
        if what == "profiles":
            values = torch.sigmoid(side["head"].logits(values.flatten(0, 1))).unflatten(0, (2, -1)).mean(0)
        return (values if what == "profiles" else values.transpose(0, 1)).cpu().numpy()

    codes = torch.as_tensor(codes)
    # as in once_warm
    profiles([features(codes[:1])])
    # rows of other work print no share
    rate = partial(library_rate, dtype) if what == "profiles" else lambda: math.inf
    work = [(TRUNK_GFLOP * len(part), lambda part=part: features(part)) for part in codes.split(batch)]
    seconds, at_rate, parts = between_rates(work, rate)
    last, last_at_rate, (values,) = between_rates([(HEAD_GFLOP * len(codes), lambda: profiles(parts))], rate)
    return seconds + last, at_rate + last_at_rate, values


def between_rates(work, rate):
    """Run pairs of (billions of operations, function) in turn with ``rate``, billions of operations a second.

    Returns the seconds of the functions, those that their operations take at the rate beside them, and what they
    returned.
    """
    seconds, at_rate, returned = 0, 0, []
    before = rate()
    for operations, function in work:
        started = now()
        returned.append(function())
        seconds += now() - started
        after = rate()
        at_rate += operations / ((before + after) / 2)
        before = after
    return seconds, at_rate, returned


def once_warm(run, codes):
    """Seconds, and what ``run`` makes of the codes; one window goes first, since memory cools while sides wait."""
    run(codes[:1])
    started = now()
    found = run(codes)
    return now() - started, found


def library_rate(dtype):
    """Billions of operations a second of the fastest of the library's own convolutions and matrix products."""
    import torch

    like = {"device": device, "dtype": getattr(torch, dtype)}
    image, weight = [
        torch.randn(shape, **like).contiguous(memory_format=torch.channels_last)
        for shape in ((4, 480, 1, WINDOW), (480, 480, 1, 9))
    ]
    left, right = torch.randn(WINDOW, WINDOW, **like), torch.randn(WINDOW, 2048, **like)
    convolved = 4 * WINDOW * 480 * 480 * 9
    ways = [
        (convolved, lambda: torch.conv2d(image, weight, padding=(0, 4))),
        (convolved, lambda: torch.conv2d(image, weight)),
        (left.numel() * right.shape[1], lambda: left @ right),
    ]
    rates = []
    for products, work in ways:
        for _ in range(2):
            started = now()
            work().sum().item()
            rates.append(2 * products / (now() - started) / 1e9)
    return max(rates)


def compare_loading(args):
    """Time and memory, over those of importing torch, to load all weights, each in a fresh process."""
    best = {}
    for _ in range(args.repeats):
        for load in (load_and_measure_reference, load_and_measure_ours):
            with worker() as fresh:
                best[load] = min(best.get(load, (1e9, 1e9)), fresh.submit(load, args).result())
    (slow, large), (fast, small) = best.values()
    row("loading", f"{slow:.1f} s", f"{fast:.2f} s", f"{slow / fast:.1f}", LOAD_GOAL)
    row("loading, peak memory over torch's own", f"{large:.2f} GB", f"{small:.2f} GB", "", f"≤ {MEMORY_GOAL[0]}")


def load_and_measure_reference(args):
    import torch  # noqa: F401

    return measured(lambda: load_reference(args), args)


def load_and_measure_ours(args):
    from intronaut.networks.sei import open_sei
    from intronaut.networks.sei_inference import Head, Runner

    def load():
        _, tensors = open_sei(args.checkpoint / "sei.pth")
        return Runner(tensors), Head(tensors)

    return measured(load, args)


def measured(load, args):
    now = clock(args.threads)
    before, started = peak_memory(), now()
    load()
    return now() - started, peak_memory() - before


def peak_memory():
    """Peak resident memory of this process so far, in GB."""
    from intronaut.core.log import peak_bytes

    return peak_bytes() / 1e9


def embed(args, folder, weights, windows, *options):
    """Run the tool; returns its peak memory in GB."""
    command = [sys.executable, ROOT / "bin/embed_sei.py", windows, "--weights", weights, "-o", folder / "out.h5ad",
               "--threads", str(args.threads), "--device", args.device, "--quiet", *options]  # fmt: skip
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); " \
           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, *map(str, command)], check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024 / 1e9


def write_windows(path, n, length):
    draw = random.Random(1)
    path.write_text("".join(f">w{i}\n{''.join(draw.choices('ACGT', k=length))}\n" for i in range(n)))
    return path


def memory_of_features(args, folder):
    """Peak memory of the whole tool for features that need no head."""
    windows = write_windows(folder / "windows.fa", 2 * args.batch, WINDOW)
    for batch in ("1", "auto"):
        peak = embed(args, folder, args.checkpoint / "sei.pth", windows, "--features", "spline", "--batch-size", batch)
        row(
            f"peak memory of embed_sei, spline features, batch {batch}", "", f"{peak:.2f} GB", "", f"≤ {MEMORY_GOAL[1]}"
        )


def share_around_the_model(args, folder):
    """The share of the time between FASTA and features file that is not spent in the model."""
    windows = write_windows(folder / "windows.fa", 4 * args.batch, WINDOW)
    with worker() as fresh:
        share = fresh.submit(share_outside, args, windows, folder / "out.h5ad").result()
    row("time around the model, all profiles", "", f"{share:.1%}", "", "≤ 5 %", "≤ 2 %")


def share_outside(args, windows, output):
    import embed_sei
    from intronaut.features import embed
    from intronaut.features.sei import Model

    spent = {}

    def timed(name, function):
        def run(*given, **more):
            started = time.perf_counter()
            try:
                return function(*given, **more)
            finally:
                spent[name] = spent.get(name, 0) + time.perf_counter() - started

        return run

    Model.features_of = timed("model", Model.features_of)
    embed.embed = timed("all", embed.embed)
    words = [windows, "--weights", args.checkpoint / "sei.pth", "--targets", args.checkpoint / "target.names",
             "--quiet", "--threads", args.threads, "--device", args.device, "-o", output]  # fmt: skip
    embed_sei.main([str(word) for word in words])
    return 1 - spent["model"] / spent["all"]


if __name__ == "__main__":
    main(sys.argv[1:])
