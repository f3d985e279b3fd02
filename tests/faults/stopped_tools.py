#!/usr/bin/env python3
"""Send SIGINT, SIGTERM and SIGHUP to tools at random moments, and close the pipe that others write to.

    python tests/faults/stopped_tools.py [COUNT]

COUNT (20 by default) runs of each. A stopped tool must exit with 128 + the signal, without a traceback, and leave
nothing but what the same command takes up (.NAME.part, the cache of downloads); a tool whose reader has gone must exit
with 0 and say nothing. Prints a line a signal. Exits with 1 after a fault.
"""

import itertools
import os
import random
import signal
import sys
import tempfile
import time

import at_work

# what is resumed, and what fetch_weights locks and keeps
KEPT = tuple(f".{name}.h5ad.part" for name in ("k", "m", "s", "d", "sites")) + (".network.part/", "cache/")
TO_STDOUT = {
    "predict": "--model model --features k.h5ad -o -",
    "fetch_sequences": "labels.tsv --fasta genome.fa --length 900 -o -",
    "split_introns": "labels.tsv --scheme folds --folds 3 -o -",
    "label_introns": "annotation.gtf --fasta genome.fa --folds 3 -o - --ledger OUT/ledger.tsv --counts OUT/counts.json",
}


def stopped(name, words, sent, folder, draw, longest=1.0):
    """None, or what was wrong when ``sent`` ended the tool after up to ``longest`` seconds."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        stderr = folder / "stderr"
        child = at_work.start(
            name, words, out, stderr, before=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
        )
        time.sleep(draw.uniform(0.02, longest))
        os.kill(child, sent)
        code = at_work.finish(child)
        left = [path for path in at_work.digests(out) if not path.startswith(KEPT)]
        # so early that no handler stood yet, or so late that the tool had ended
        if code in (0, -sent):
            return None if code == 0 or not left else f"{name}: killed by its signal, left {left}"
        if code != 128 + sent or left or "Traceback" in stderr.read_text():
            return f"{name}: code {code}, left {left}, standard error {stderr.read_text()[-300:]!r}"
    return None


def unread(name, words, folder, draw):
    """None, or what was wrong when nobody read the tool's output to its end."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        reader, writer = os.pipe()
        child = at_work.start(
            name, words, out, folder / "stderr", before=lambda: (os.dup2(writer, 1), os.close(reader))
        )
        os.close(writer)
        os.read(reader, draw.choice([1, 100, 5000]))
        os.close(reader)
        code, text = at_work.finish(child), (folder / "stderr").read_text()
    return f"{name}: code {code}, standard error {text[-300:]!r}" if code or text else None


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    broken = 0
    with at_work.study() as folder:
        draw = random.Random(1)
        tools = itertools.cycle(at_work.commands().items())
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            found = [stopped(*next(tools), sent, folder, draw) for _ in range(count)]
            faults = [one for one in found if one]
            print(f"{sent.name}: {count} runs, faults {faults or 'none'}", flush=True)
            broken += len(faults)
        writers = itertools.cycle((name, words.split()) for name, words in TO_STDOUT.items())
        faults = [one for one in (unread(*next(writers), folder, draw) for _ in range(count)) if one]
        print(f"SIGPIPE: {count} runs, faults {faults or 'none'}", flush=True)
    sys.exit(broken + len(faults) > 0)


if __name__ == "__main__":
    main()
