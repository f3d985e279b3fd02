#!/usr/bin/env python3
"""In-silico mutagenesis as attribute does it beside predicting every mutant as a whole window.

Networks at their published widths with random weights; every base of one random window is changed to the three others.
Processor seconds on one thread, both ways in one run and in turns, the best of --rounds. The largest difference between
the two ways' changes of the logit is printed, and the largest change.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

for folder in ("bin", "tests/helpers"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / folder))
from machine import processor  # noqa: E402

from intronaut.interpret.ism import base_changes  # noqa: E402
from networks_by_hand import SPECS, drawn  # noqa: E402


def main():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--networks", nargs="+", default=["basset", "attentionconv", "basenji"])
    made.add_argument("--lengths", type=int, nargs="+", default=[600, 2000])
    made.add_argument("--places", type=int, help="change only so many bases, evenly spread [all]")
    made.add_argument("--batch", type=int, default=96)
    made.add_argument("--rounds", type=int, default=2)
    args = made.parse_args()
    torch.set_num_threads(1)
    print(f"# {processor()}, 1 thread")
    print(
        "network",
        "length",
        "mutants",
        "whole_s",
        "attribute_s",
        "ratio",
        "largest_difference",
        "largest_change",
        sep="\t",
    )
    for name in args.networks:
        for length in args.lengths:
            print(*row(name, length, args), sep="\t", flush=True)


def row(name, length, args):
    """A line of the table."""
    network = drawn(SPECS[name] | {"length": length})
    bases = np.random.default_rng(1).integers(0, 4, length)
    window = torch.eye(4)[bases].T.contiguous()
    places = np.unique(np.linspace(0, length - 1, args.places or length).astype(int))
    ours = theirs = float("inf")
    for _ in range(args.rounds):
        spent, found = timed(lambda: base_changes(network, window, places, args.batch))
        ours = min(ours, spent)
        spent, wanted = timed(lambda: whole_windows(network, window, bases, places, args.batch))
        theirs = min(theirs, spent)
    largest = np.abs(found - wanted).max()
    return (name, length, 3 * len(places), f"{theirs:.1f}", f"{ours:.1f}", f"{theirs / ours:.2f}", f"{largest:.1e}",
            f"{np.abs(wanted).max():.1e}")  # fmt: skip


@torch.no_grad()
def whole_windows(network, window, bases, places, batch):
    """The changes of the logit by predictions of whole windows, ``(places, 4)``."""
    mutants = [(at, place, base) for at, place in enumerate(places) for base in range(4) if base != bases[place]]
    changes, own = np.zeros((len(places), 4), np.float32), network(window[None])
    for first in range(0, len(mutants), batch):
        some = mutants[first : first + batch]
        windows = window.repeat(len(some), 1, 1)
        for row, (_, place, base) in enumerate(some):
            windows[row, :, place] = torch.eye(4)[base]
        for (at, _, base), change in zip(some, (network(windows) - own).tolist(), strict=True):
            changes[at, base] = change
    return changes


def timed(work):
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


if __name__ == "__main__":
    main()
