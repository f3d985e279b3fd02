#!/usr/bin/env python3
"""Give embedders less memory than they want; they must back off to the same bytes, or end with code 75 and one line.

    python tests/faults/capped_memory.py [COUNT [EMBEDDER …]]

What a run takes beyond the imported libraries is measured; COUNT (10 by default) runs of each then get 60, 50, 40 and
30 % of it as RLIMIT_AS. Prints a line for each share. Exits with 1 after a fault.
"""

import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import at_work

SHARES, TRY_AGAIN = (0.6, 0.5, 0.4, 0.3), 75
SEI = "--weights sei/model.safetensors --features spline --context genome --threads 1 --batch-size 120"
DNABERT2 = "--weights dnabert2/model.safetensors --tokenizer dnabert2/tokenizer.json --threads 1 --batch-size 100000"
SPLICE = "--fasta genome.fa --weights splice.safetensors --nets 1 --reach 20000 --threads 1"
COMMANDS = {
    "embed_sei": f"longest.fa {SEI} -o OUT/s.h5ad",
    "embed_dnabert2": f"long.fa {DNABERT2} -o OUT/d.h5ad",
    "embed_splice": f"wide.bed {SPLICE} -o OUT/p.h5ad",
    "embed_motifs": "long.fa --motifs tiny.jaspar --threads 1 -o OUT/m.h5ad",
    "embed_kmers": "long.fa --k 6 -o OUT/k.h5ad",
}


def address_space(process, field):
    """Bytes of ``VmSize``, what a process has mapped, or ``VmPeak``, the most that it had."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def needed(child):
    """The most bytes that a process maps until it ends, beyond what it starts with."""
    most = 0
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        most = max(most, address_space(child, "VmPeak"))
        time.sleep(0.005)
    return most - address_space(os.getpid(), "VmSize")


def uncapped(name, words, folder):
    """The bytes that a run needs, and the digests of what it writes."""
    child = at_work.start(name, words, empty(folder), folder / "stderr")
    wants = needed(child)
    assert at_work.finish(child) == 0, (folder / "stderr").read_text()
    return wants, at_work.digests(folder / "out")


def attack(name, words, folder, count, room, wanted):
    """How many runs with ``room`` bytes backed off, how many ended for lack of memory, and the faults."""
    stderr, limits = folder / "stderr", resource.getrlimit(resource.RLIMIT_AS)
    cap = address_space(os.getpid(), "VmSize") + room

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (cap, limits[1]))

    backed_off, refused, faults = 0, 0, []
    for _ in range(count):
        child = at_work.start(name, words, empty(folder), stderr, quiet=False, before=limit)
        code, text, left = at_work.finish(child), stderr.read_text(), at_work.digests(folder / "out")
        backed_off += code == 0 and "halving" in text
        refused += code == TRY_AGAIN
        if code not in (0, TRY_AGAIN) or "Traceback" in text or (code == 0 and left != wanted):
            faults.append(f"code {code}, left {sorted(left)}, standard error {text[-300:]!r}")
    return backed_off, refused, faults


def empty(folder):
    """The folder that runs write into, without what the last one left."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    return folder / "out"


def make(folder):
    at_work.make_study(folder)
    (folder / "wide.bed").write_text("chr0\t1000\t41000\twide\t0\t+\n")
    for length, windows in ((900, "long.fa"), (4096, "longest.fa")):
        at_work.call("fetch_sequences", "labels.tsv", "--fasta", "genome.fa", "--length", length, "-o", windows)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    broken = 0
    at_work.load_libraries()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # in a process of its own: the runs shall not find heap that this one has freed
        maker = multiprocessing.get_context("fork").Process(target=make, args=(folder,))
        maker.start()
        maker.join()
        os.chdir(folder)
        for name in sys.argv[2:] or COMMANDS:
            words = COMMANDS[name].split()
            wants, wanted = uncapped(name, words, folder)
            for share in SHARES:
                backed_off, refused, faults = attack(name, words, folder, count, int(share * wants), wanted)
                print(
                    f"{name}: needs {wants / 1e6:.0f} MB; of {count} runs with {share:.0%} of that {backed_off} backed "
                    f"off, {refused} ended with code {TRY_AGAIN}, faults {faults or 'none'}",
                    flush=True,
                )
                broken += len(faults)
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
