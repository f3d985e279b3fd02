#!/usr/bin/env python3
"""Mutate good inputs at random, run the reader on each, and print how many were refused, read, slow or broke it.

    PYTHONPATH=bin python tests/faults/mutated_inputs.py [COUNT]

COUNT (2,000 by default) mutated files of each format. A file may be refused by a ToolError, or read; any other
exception is a fault, and so is a file that takes more than 5 seconds. Exits with 1 after a fault.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from intronaut.core.errors import ToolError
from intronaut.genome.annotation import distinct_introns, doubtful_introns, read_annotation
from intronaut.genome.windows import read_rows
from intronaut.io.h5ad import open_features
from intronaut.io.peaks import read_peaks
from intronaut.io.tables import read_labels
from intronaut.io.vcf import read_header, read_records
from intronaut.labels.call_options import CallOptions
from intronaut.labels.calls import read_calls
from intronaut.motifs.motif_files import read_motifs

DATA = Path(__file__).resolve().parent.parent / "data"
CASES, CALLERS = DATA / "real_world", DATA / "callers"
SLOW_SECONDS = 5
MEME = "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF M1 FOX\nletter-probability matrix: alength= 4 w= 2 nsites= 9\n"
MEME += "0.5 0.5 0 0\n0 0 1 0\n\nMOTIF M2 JUN\nletter-probability matrix: alength= 4 w= 1\n0.1 0.2 0.3 0.4\n"
WORDS = [
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"\t",
    b"\n",
    b"\r\n",
    b"9" * 25,
    b"\xff",
    b'"',
    b";",
    b"=",
    b",",
    b"",
    b"%2C",
    b"*",
]
GENES = read_annotation(CALLERS / "annotation.gtf").genes


def annotation(path):
    found = read_annotation(path)
    distinct_introns(found)
    doubtful_introns(found)


def features(path):
    for _, block in open_features(path).row_blocks():
        block.sum()


def variants(path):
    read_header(path)
    list(read_records(path))


def calls(path):
    read_calls(path, CallOptions(base=1, values=("psi",), retained=0.1), GENES)


READERS = {
    "GTF": (annotation, [CALLERS / "annotation.gtf", CASES / "01-braker-gtf" / "braker.gtf"]),
    "GFF3": (annotation, [CASES / "05-gff3-escaped-comma-id" / "a.gff3", CASES / "36-gff-mixed-cds-only" / "mix.gff3"]),
    "calls": (calls, sorted(path for path in CALLERS.iterdir() if path.suffix not in (".fa", ".gtf"))),
    "peaks": (read_peaks, [CASES / "17-macs-xls-peaks" / "x_peaks.xls", CALLERS / "introns.bed"]),
    "windows": (read_rows, [CALLERS / "introns.bed", CASES / "base" / "labels.tsv"]),
    "labels": (read_labels, [CASES / "base" / "labels.tsv"]),
    "VCF": (variants, [CASES / "23-vcf-sv-ref-N" / "sv.vcf", CASES / "27-vcf-annotated-twice" / "in.vcf"]),
    "motifs": (read_motifs, None),
    "features": (features, [CASES / "base" / "k.h5ad", CASES / "29-h5ad-sparse-csr" / "f.h5ad"]),
}


def mutated(content, rng):
    """The bytes with one to three of: a flipped bit, a cut, a piece doubled, dropped, or replaced by a hostile word."""
    for _ in range(rng.randint(1, 3)):
        if not content:
            break
        at, length = rng.randrange(len(content)), rng.choice([1, 2, 5, 30, 400])
        head, piece, tail = content[:at], content[at : at + length], content[at + length :]
        content = rng.choice([
            head + bytes([piece[0] ^ 1 << rng.randrange(8)]) + piece[1:] + tail, head, head + piece + piece + tail,
            head + tail, head + rng.choice(WORDS) + tail,
        ])  # fmt: skip
    return content


def attack(name, count, folder, seed=1):
    """Counter of ``read``, ``refused``, ``slow`` and the types of other exceptions over ``count`` mutated files."""
    read, sources = READERS[name]
    contents = [MEME.encode()] if sources is None else [source.read_bytes() for source in sources]
    rng, outcomes = random.Random(f"{name}{seed}"), Counter()
    path = Path(folder) / f"mutated.{name}"
    for _ in range(count):
        path.write_bytes(mutated(rng.choice(contents), rng))
        started = time.monotonic()
        try:
            read(path)
            outcomes["read"] += 1
        except ToolError:
            outcomes["refused"] += 1
        except Exception as problem:
            outcomes[f"{type(problem).__name__}: {problem}"[:150]] += 1
        outcomes["slow"] += time.monotonic() - started > SLOW_SECONDS
    return outcomes


def faults(outcomes):
    """What of the outcomes should not be."""
    return {what: n for what, n in outcomes.items() if n and what not in ("read", "refused")}


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    broken = False
    with tempfile.TemporaryDirectory() as folder:
        for name in READERS:
            outcomes = attack(name, count, folder)
            wrong = faults(outcomes)
            print(
                f"{name}: {outcomes['read']} read, {outcomes['refused']} refused, faults {wrong or 'none'}", flush=True
            )
            broken |= bool(wrong)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
