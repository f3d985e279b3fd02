#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["einops", "safetensors", "tokenizers", "torch", "transformers==4.29.2"]
# ///
"""How fast DNABERT-2 runs here, against its published code, on windows of a real genome, with random weights.

The reference is the folder with bert_layers.py and bert_padding.py of the published model (they need transformers
4.29.2 and einops); each side has a process of its own, and they take turns. Times are the best of --repeats, on one
thread those of the process, so that other work on the machine does not count. Shares are of a matrix product of the
model's size, run in the same process before every layer, because the rates of shared machines change within seconds:
the median of the repeats. Standard output is a table: how it was run, seconds a window, how many times faster ours is,
and relative L2 errors.
"""

import argparse
import copy
import hashlib
import importlib.util
import math
import multiprocessing
import random
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]
from machine import clock, cpu_flags, processor  # noqa: E402

PUBLISHED = {
    "bert_layers.py": "317ad7e9667980ac724c07f0174ba265c8446ca5230f6b473068ff1b911edcf9",
    "bert_padding.py": "44d1c68afb1f585fdc66c150d4c60f1ed44a89c006abc57d50531d71940d7421",
}
BATCH, PADDED = 16, 512
# the matrix product whose rate shares are of: tokens of a batch, inputs and outputs of the gated layer
PRODUCT = (4096, 768, 6144)
PAD = 3
# floor and target of the speed-up in float32, by how the published code is run
GOALS = {"one at a time": (1.2, 1.35), "padded batches of 16": (1.45, 1.75), "padded to 512": (1.8, 2.2)}
BFLOAT16_GOAL = (3.5, 5.0)
# least share of the bfloat16 matrix rate, on processors with matrix units
SHARE_GOAL = "70%"


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, metavar="FOLDER", help="the published code")
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="FILE", help="tokenizer.json")
    parser.add_argument("--genome", type=Path, required=True, metavar="FASTA", help="where windows are taken from")
    parser.add_argument("--length", type=int, nargs=2, default=[1000, 2000], metavar="BP", help="shortest and longest")
    parser.add_argument("--windows", type=int, default=32, metavar="N", help="how many [32]")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="best of [3]")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads [2]")
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    for name, digest in PUBLISHED.items():
        if hashlib.sha256((args.reference / name).read_bytes()).hexdigest() != digest:
            sys.exit(f"{args.reference / name}: not the published file (sha256 {digest})")
    tokens = tokens_of_windows(args)
    count = sum(map(len, tokens))
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, spawn, start_reference, (args.reference, args.threads)) as reference,
        ProcessPoolExecutor(1, spawn, start_ours, (args.threads,)) as ours,
    ):
        best, features, rates, shares = {}, {}, {}, {}
        for _ in range(args.repeats):
            for name in GOALS:
                take(best, features, name, reference.submit(run_reference, name, tokens).result())
            for dtype in ours.submit(dtypes).result():
                take(best, features, dtype, ours.submit(run_ours, dtype, tokens).result())
                seconds, at_rate = ours.submit(run_beside_rate, dtype, tokens).result()
                rates.setdefault(dtype, []).append(operations(tokens) / at_rate)
                shares.setdefault(dtype, []).append(at_rate / seconds)
        memory = {"published": reference.submit(peak_memory).result(), "ours": ours.submit(peak_memory).result()}
    report(args, best, features, memory, count)
    for dtype in shares:
        rate, share = (statistics.median(values) for values in (rates[dtype], shares[dtype]))
        print(f"# {dtype} matrix products here: {rate / 1e9:.0f} GFLOP/s; share reached by ours: {share:.0%}", end="")
        print(f", wanted with matrix units: {SHARE_GOAL}" if dtype == "bfloat16" else "")


def operations(tokens):
    """Floating-point operations of all windows of the linear layers and of attention."""
    return sum(226.5e6 * len(ids) + 36_864 * len(ids) ** 2 for ids in tokens)


def take(best, features, name, run):
    seconds, features[name] = run
    best[name] = min(seconds, best.get(name, seconds))


def tokens_of_windows(args):
    """Token ids of random places without N, lengths uniform between the two of ``--length``."""
    from intronaut.io.text import numbered_lines
    from intronaut.networks.dnabert2 import Tokenizer

    genome = "".join(line for _, line in numbered_lines(args.genome) if not line.startswith(">")).upper()
    tokenizer = Tokenizer(args.tokenizer, 4096)
    draw = random.Random(1)
    tokens = []
    while len(tokens) < args.windows:
        start, length = draw.randrange(len(genome) - args.length[1]), draw.randint(*args.length)
        if set(window := genome[start : start + length]) <= set("ACGT"):
            tokens.append(tokenizer(window)[0])
    return tokens


def random_weights():
    from intronaut.networks.dnabert2 import Config
    from random_checkpoints import dnabert2_tensors

    return dnabert2_tensors(Config())


def start_reference(folder, threads):
    """Load the published code from its folder, without Triton, whose kernel refuses to run on a CPU."""
    global model, now
    import torch

    now = clock(threads)
    torch.set_num_threads(threads)
    package = importlib.util.module_from_spec(importlib.util.spec_from_loader("published", None, is_package=True))
    package.__path__ = [str(folder)]
    sys.modules["published"] = package
    sys.modules["published.flash_attn_triton"] = None
    published = importlib.import_module("published.bert_layers")
    from transformers.models.bert.configuration_bert import BertConfig

    config = BertConfig(
        vocab_size=4096, attention_probs_dropout_prob=0.0, layer_norm_eps=1e-12, alibi_starting_size=512
    )
    model = published.BertModel(config, add_pooling_layer=False).eval()
    tensors = random_weights()
    model.load_state_dict({name.removeprefix("bert."): tensors[name] for name in tensors if name.startswith("bert.")})


def run_reference(how, tokens):
    """Seconds, and the mean of all tokens of each window, ``(n, 768)``."""
    import torch

    size = {"one at a time": 1}.get(how, BATCH)
    started = now()
    rows = []
    with torch.no_grad():
        for first in range(0, len(tokens), size):
            batch = tokens[first : first + size]
            length = max(map(len, batch)) if how != "padded to 512" else max(PADDED, max(map(len, batch)))
            ids = torch.tensor([ids + [PAD] * (length - len(ids)) for ids in batch])
            mask = torch.tensor([[1] * len(ids) + [0] * (length - len(ids)) for ids in batch])
            hidden = model(ids, attention_mask=mask)[0]
            rows.append((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
    return now() - started, torch.cat(rows).numpy()


def start_ours(threads):
    global models, now
    import torch

    from intronaut.io.checkpoints import Checkpoint
    from intronaut.networks.device import prepare_torch
    from intronaut.networks.dnabert2 import Config, load, pack

    now = clock(threads)
    prepare_torch(threads)
    whole = load(Checkpoint("random", random_weights()), Config())
    models = {dtype: pack(copy.deepcopy(whole).compute_in(getattr(torch, dtype))) for dtype in dtypes()}


def dtypes():
    """The precisions this CPU computes in hardware."""
    return ["float32", *(["bfloat16"] if {"amx_bf16", "avx512_bf16"} & cpu_flags() else [])]


def run_ours(dtype, tokens):
    """Seconds, and the features that embed_dnabert2 computes, ``(n, 768)``."""
    import numpy as np

    from intronaut.features.dnabert2 import CPU_TOKENS, features_of
    from intronaut.features.embed import by_total_length

    encoded = [np.array(ids, np.int32) for ids in tokens]
    features = np.empty((len(tokens), 768), np.float32)
    started = now()
    for places in by_total_length([len(ids) for ids in encoded], CPU_TOKENS):
        features[places] = features_of([encoded[place] for place in places], models[dtype], 1, "mean", "forward")
    return now() - started, features


def run_beside_rate(dtype, tokens):
    """Seconds of a run, and those that its operations take at the rate of the matrix product before every layer."""
    import torch

    left, right = [torch.randn(shape, dtype=getattr(torch, dtype)) for shape in (PRODUCT[:2], PRODUCT[1:])]
    products = []

    def time_product(layer, inputs):
        started = now()
        left @ right
        products.append((len(inputs[0]), now() - started))

    layers = models[dtype].bert["encoder"]["layer"]
    hooks = [layer.register_forward_pre_hook(time_product) for layer in layers]
    seconds, _ = run_ours(dtype, tokens)
    for hook in hooks:
        hook.remove()
    rows = sum(rows for rows, _ in products)
    mean = sum(rows * product for rows, product in products) / rows
    return seconds - sum(product for _, product in products), operations(tokens) * mean / (2 * math.prod(PRODUCT))


def peak_memory():
    from intronaut.core.log import peak_bytes

    return peak_bytes()


def report(args, best, features, memory, count):
    import numpy as np

    n = args.windows
    print(f"# {processor()}, {args.threads} threads; {n} windows, {count / n:.0f} tokens each")
    print("run", "seconds_per_window", "ours_times_faster", "floor", "target", "relative_error", sep="\t")
    ours = best["float32"]
    for name, goal in GOALS.items():
        error = np.linalg.norm(features["float32"] - features[name]) / np.linalg.norm(features[name])
        print(
            f"published, {name}", f"{best[name] / n:.4f}", f"{best[name] / ours:.2f}", *goal, f"{error:.1e}", sep="\t"
        )
    print("ours, float32", f"{ours / n:.4f}", "1.00", "", "", "", sep="\t")
    if "bfloat16" in best:
        error = np.linalg.norm(features["bfloat16"] - features["float32"]) / np.linalg.norm(features["float32"])
        times = best["one at a time"] / best["bfloat16"]
        print("ours, bfloat16", f"{best['bfloat16'] / n:.4f}", f"{times:.2f}", *BFLOAT16_GOAL, f"{error:.1e}", sep="\t")
    else:
        print("# bfloat16 skipped: this CPU has neither amx_bf16 nor avx512_bf16")
    print("# peak memory: " + ", ".join(f"{side} {size / 1e9:.2f} GB" for side, size in memory.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
