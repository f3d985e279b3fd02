#!/usr/bin/env python3
"""Mutate good inputs at random, run the reader on each, and print how many were refused, read, slow or broke it.

    python tests/faults/mutated_inputs.py [COUNT [FORMAT …]]

COUNT (2,000 by default) mutated files of each format, or of those named. A file may be refused by a ToolError, or
read; any other exception is a fault, and so is a file that takes more than 5 seconds of a processor, and a row that was
read though an independent, plain reading of the same bytes does not find it. Exits with 1 after a fault.
"""

import csv
import itertools
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import unquote

import h5py
import numpy as np
import pandas as pd
import pysam

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "bin"))

from intronaut.core.errors import ToolError
from intronaut.genome.annotation import distinct_introns, doubtful_introns, read_annotation
from intronaut.genome.windows import read_rows
from intronaut.io import measured_tracks, sample_sheet
from intronaut.io.alignments import Alignments
from intronaut.io.coverage import read_junctions
from intronaut.io.fasta import read_windows
from intronaut.io.fragments import ReadRules, ReadTally, read_fragments
from intronaut.io.h5ad import open_features
from intronaut.io.peaks import read_peaks
from intronaut.io.tables import read_labels
from intronaut.io.vcf import read_header, read_records
from intronaut.labels.call_options import CallOptions
from intronaut.labels.calls import read_calls
from intronaut.motifs.motif_files import read_motifs

DATA = Path(__file__).resolve().parent.parent / "data"
CASES, CALLERS, READS = DATA / "real_world", DATA / "callers", DATA / "quantify"
SLOW_SECONDS = 5  # of a processor: on a machine that others use, the clock says nothing
MEME = "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF M1 FOX\nletter-probability matrix: alength= 4 w= 2 nsites= 9\n"
MEME += "0.5 0.5 0 0\n0 0 1 0\n\nMOTIF M2 JUN\nletter-probability matrix: alength= 4 w= 1\n0.1 0.2 0.3 0.4\n"
JASPAR = ">M1 FOX\nA [ 4 19 0 0 0 ]\nC [16 0 20 0 0 ]\nG [ 0 1 0 20 0 ]\nT [ 0 0 0 0 20 ]\n>M2\n1 7\n0 2\n9 3\n0 8\n"
POSITIONS = (
    "# counts\n>M1\n4 16 0 0\n19 0 1 0\n0 20 0 0\n0 0 20 0\n0 0 0 20\n>M2\n0.1 0.2 0.3 0.4\n1 0 0 0\n0 0 0 1\n0 1 0 0\n"
)
TRANSFAC = "AC M1\nXX\nID FOX\nP0 A C G T\n01 1 2 2 0 S\n02 2 1 2 0 R\n03 3 0 1 1 A\nXX\n//\n"
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
FASTA = b">w1 chr1:10-22(+)\nACGTACGT\nNNAC\n>w2 chr1:30-38(-) length=8\nacgtacgt\n"
BEDGRAPH = b"track type=bedGraph name=x\nchr1\t0\t10\t0.5\nchr1\t10\t25\t3\n# end\nchr2\t5\t9\t1e-3\n"
JUNCTIONS = b"".join(b"chr1\t%d\t%d\t%d\t1\t1\t%d\t2\t%d\n" % (101 + i, 201 + i, i % 3, i, 30 + i) for i in range(9))
SHEET = b"sample\treads\tcondition\tstrand\na\ta.bam\tone\tauto\nb\ta.bam\ttwo\treverse\nc\ta.bam\t\t\n"
TRACKS = b"path\ttarget\tcell\tkind\na.bam\tCTCF\tK562\ttf\na.bam\tH3K4me3\tK562\thistone\n"
GENES = read_annotation(CALLERS / "annotation.gtf").genes


# each reader returns rows; the finder of its format says which of them are nowhere in the file
def annotation(path):
    found = read_annotation(path)
    doubtful_introns(found)
    introns, _ = distinct_introns(found)
    return set(introns[["chrom", "start", "end", "strand"]].itertuples(index=False, name=None))


def features(path):
    return np.concatenate([block for _, block in open_features(path).row_blocks()])


def variants(path):
    read_header(path)
    return {(*record.fields[:5],) for record in read_records(path)}


def calls(path):
    found = read_calls(path, CallOptions(base=1, values=("psi",), retained=0.1), GENES)
    table = found[0] if isinstance(found, tuple) else found
    return set(table[["start", "end"]].itertuples(index=False, name=None))


def peaks(path):
    return set(read_peaks(path)[["chrom", "start", "end"]].itertuples(index=False, name=None))


def windows(path):
    return {(row.chrom, row.start, row.end) for row in read_rows(path)}


def labels(path):
    return set(read_labels(path)[["chrom", "start", "end", "name"]].itertuples(index=False, name=None))


def motifs(path):
    return {shares(row) for motif in read_motifs(path) for row in motif.counts}


def sequences(path):
    return {window.sequence for window in read_windows(path)}


def track(path):
    return set(zip(*measured_tracks.read_bedgraph(path), strict=True))


def signal(path):
    opened = measured_tracks.open_track(path)
    return [opened.values(chrom, 0, min(n, 10_000)) for chrom, n in opened.chroms.items()]


def junctions(path):
    return set(read_junctions(path, 8)[["chrom", "start", "end", "count"]].itertuples(index=False, name=None))


def samples(path):
    return {(row.sample, Path(file).name) for row in sample_sheet.read_sheet(path) for file in row.files.values()}


def tracks(path):
    return {(entry.path.name, entry.target, entry.cell, entry.kind) for entry in measured_tracks.read_sheet(path)}


def reads(path):
    """Places and alignments of the reads of which fragments are made."""
    with Alignments(path) as alignments:
        records, tally = list(alignments.records()), ReadTally()
        for _ in read_fragments(records, ReadRules(overhang=8, keep_multimapped=True, min_mapq=0), tally, str(path)):
            pass
        kept = [record for record in records if not record.flag & 0xB04]
        assert sum(record.cigarstring is not None for record in kept) >= tally.kept
        return {(record.reference_name, record.reference_start + 1, tuple(record.cigartuples or ())) for record in kept}


def lines_of(path):
    """The lines of a file as fields between tabs, by plain Python."""
    return [
        line.split("\t")
        for line in path.read_bytes()
        .decode("utf-8-sig", "replace")
        .replace("\r\n", "\n")
        .replace("\r", "\n")
        .split("\n")
    ]


def alien_introns(path, rows):
    """Introns whose ends are not those of two parts of one transcript, on the chromosome and strand named."""
    ends, starts = defaultdict(set), defaultdict(set)
    for fields in lines_of(path):
        if len(fields) == 9 and fields[3].isdigit() and fields[4].isdigit():
            names = re.findall(r"transcript_id[ =]+\"?([^\";]+)", fields[8])
            names += [
                unquote(name) for text in re.findall(r"(?:Parent|ID)=([^;]*)", fields[8]) for name in text.split(",")
            ]
            for name in names:
                ends[fields[0], fields[6], int(fields[4])].add(name.strip())
                starts[fields[0], fields[6], int(fields[3]) - 1].add(name.strip())
    return {row for row in rows if not ends[row[0], row[3], row[1]] & starts[row[0], row[3], row[2]]}


def alien_places(path, rows):
    """Intervals that no line holds, counted from 0 or, in the tables of MACS, from 1."""
    lines = [[re.sub(r'^"([^"]*)"$', r"\1", field) for field in fields] for fields in lines_of(path)]
    names = [fields for fields in ([field.lower() for field in line] for line in lines)
             if fields[:3] == ["chr", "start", "end"]]  # fmt: skip
    base = 1 if any({"length", "abs_summit", "fold_enrichment"} & set(fields) for fields in names) else 0
    whole = re.compile(r"[0-9]+\Z")
    present = {(f[0], int(f[1]) - base, int(f[2])) for f in lines
            if len(f) > 2 and whole.match(f[1]) and whole.match(f[2])}  # fmt: skip
    return {row for row in rows if row[:3] not in present}


def alien_labels(path, rows):
    """Rows that pandas does not read."""
    table = pd.read_csv(path, sep="\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False, encoding="utf-8-sig")
    columns = (table[name] for name in ("chrom", "start", "end", "name"))
    present = {(chrom, int(start), int(end), name) for chrom, start, end, name in zip(*columns, strict=True)
            if re.match(r"-?[0-9]+\Z", start) and re.match(r"-?[0-9]+\Z", end)}  # fmt: skip
    return rows - present


def alien_variants(path, rows):
    """Records whose first five columns no line holds."""
    return rows - {tuple(fields[:5]) for fields in lines_of(path)}


def shares(row):
    """Four numbers as parts of their sum; MEME's are shares, ours counts of sites."""
    return tuple(round(float(number) / sum(map(float, row)), 4) for number in row)


def alien_numbers(path, rows):
    """Positions of motifs of which no line holds the shares, nor four lines of bases in one place."""
    words = [" ".join(fields).split() for fields in lines_of(path)]
    numbers = words + [row[1:5] for row in words]  # TRANSFAC counts its positions
    rows = rows - {shares(column) for lines in four_bases(words) for column in zip(*lines, strict=False)
                   if sum(map(float, column))}  # fmt: skip
    present = {shares(row) for row in numbers if len(row) == 4 and all(map(is_number, row)) and sum(map(float, row))}
    return rows - present


def four_bases(words):
    """Four lines of numbers, one after the other but for other lines, in the order of letters before them."""
    numbered = []
    for line in words:
        letter, _, rest = re.fullmatch(
            r"(?:([ACGT])(?=[\s|:\[])\s*([|:]?))?(.*)", " ".join(line), re.IGNORECASE
        ).groups("")
        row = rest.strip().removeprefix("[").removesuffix("]").split()
        if row and all(map(is_number, row)):
            numbered.append((letter.upper(), row))
    for first in range(len(numbered) - 3):
        yield [row for _, row in sorted(numbered[first : first + 4], key=lambda pair: pair[0])]


def is_number(word):
    try:
        return float(word) < float("inf")
    except ValueError:
        return False


def alien_ends(path, rows):
    """Called introns with an end that is no number of the file, give or take the base that formats count from."""
    present = {int(float(word)) for word in re.findall(r"[0-9][0-9.]*(?:e\+?[0-9]+)?", path.read_text("utf-8-sig"))
            if is_number(word) and float(word) < 1e18}  # fmt: skip
    near = {number + step for number in present for step in (-1, 0, 1)}
    return {row for row in rows if not set(map(int, row)) <= near}


def alien_sequences(path, rows):
    """Sequences that are not those of a record, its lines put together; X, * and - are N."""
    records = re.split(r"^>.*$", "\n".join("\t".join(line) for line in lines_of(path)), flags=re.MULTILINE)
    return rows - {re.sub(r"[X*-]", "N", "".join(record.split()).upper()) for record in records}


def alien_scores(path, rows):
    """Intervals with a value that no line holds."""
    words = [" ".join(fields).split() for fields in lines_of(path)]
    return rows - {(f[0], int(f[1]), int(f[2]), float(f[3])) for f in words
                   if len(f) > 3 and f[1].isdigit() and f[2].isdigit() and is_number(f[3])}  # fmt: skip


def alien_junctions(path, rows):
    """Junctions with a count that no line holds."""
    return rows - {(f[0], int(f[1]) - 1, int(f[2]), int(f[6])) for f in lines_of(path)
                   if len(f) > 6 and f[1].isdigit() and f[2].isdigit() and f[6].isdigit()}  # fmt: skip


def alien_cells(path, rows):
    """Rows of which a cell is in no line together with the others, in quotes or not."""
    lines = lines_of(path)
    lines += [[re.sub(r'^"(.*)"$', r"\1", field).replace('""', '"') for field in fields] for fields in lines]
    return {row for row in rows if not any({*map(str.strip, row)} <= {*map(str.strip, cells)} for cells in lines)}


def alien_reads(path, rows):
    """Reads with a place and an alignment that no line holds."""
    return rows - {(f[2], int(f[3]), cigar(f[5])) for f in lines_of(path) if len(f) > 10 and f[3].isdigit()}


def cigar(text):
    """The pairs of operation and length of a CIGAR text, as in the SAM specification."""
    return tuple(("MIDNSHP=X".index(kind), int(n)) for n, kind in re.findall(r"([0-9]+)([MIDNSHP=X])", text))


def no_oracle(path, rows):
    """Nothing: the format has checksums of its own, and no second reader."""
    return set()


def alien_values(path, rows):
    """Whether the matrix differs from what h5py holds."""
    with h5py.File(path) as file:
        x = file["X"]
        if isinstance(x, h5py.Group):
            dense = np.zeros(rows.shape, np.float32)
            for row, (first, last) in enumerate(itertools.pairwise(x["indptr"][:])):
                np.add.at(dense[row], x["indices"][first:last], x["data"][first:last])
            return not np.array_equal(dense, rows, equal_nan=True)
        return not np.array_equal(x[:].astype(np.float32), rows, equal_nan=True)


def bigwig():
    """The bytes of a bigWig of two chromosomes."""
    import pybigtools

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bw"
        values = [(chrom, first, first + 7, first / 3) for chrom in ("chr1", "chr2") for first in range(0, 3000, 9)]
        pybigtools.open(str(path), "w").write({"chr1": 4000, "chr2": 5000}, values)
        return path.read_bytes()


def bam(path):
    """The bytes of the BAM file of a SAM file."""
    return pysam.view("-b", str(path))


SAMS = sorted(READS.glob("*.sam"))
ANNOTATIONS = {
    "GTF": [CALLERS / "annotation.gtf", CASES / "01-braker-gtf" / "braker.gtf"],
    "GFF3": [CASES / "05-gff3-escaped-comma-id" / "a.gff3", CASES / "36-gff-mixed-cds-only" / "mix.gff3"],
}
TABLES = sorted(path for path in CALLERS.iterdir() if path.suffix not in (".fa", ".gtf"))
# format: its reader, what finds rows that are not in the file, and the files that are mutated
READERS = {
    **{name: (annotation, alien_introns, sources) for name, sources in ANNOTATIONS.items()},
    "calls": (calls, alien_ends, TABLES),
    "peaks": (peaks, alien_places, [CASES / "17-macs-xls-peaks" / "x_peaks.xls", CALLERS / "introns.bed"]),
    "windows": (windows, alien_places, [CALLERS / "introns.bed", CASES / "base" / "labels.tsv"]),
    "labels": (labels, alien_labels, [CASES / "base" / "labels.tsv"]),
    "VCF": (
        variants,
        alien_variants,
        [CASES / "23-vcf-sv-ref-N" / "sv.vcf", CASES / "27-vcf-annotated-twice" / "in.vcf"],
    ),
    "motifs": (motifs, alien_numbers, [text.encode() for text in (MEME, JASPAR, POSITIONS, TRANSFAC)]),
    "features": (features, alien_values, [CASES / "base" / "k.h5ad", CASES / "29-h5ad-sparse-csr" / "f.h5ad"]),
    "FASTA": (sequences, alien_sequences, [FASTA]),
    "bedGraph": (track, alien_scores, [BEDGRAPH, BEDGRAPH.replace(b"\t", b" ")]),
    "bigWig": (signal, no_oracle, [bigwig()]),
    "junctions": (junctions, alien_junctions, [JUNCTIONS]),
    "samples": (samples, alien_cells, [SHEET]),
    "tracks": (tracks, alien_cells, [TRACKS]),
    "SAM": (reads, alien_reads, SAMS),
    "BAM": (reads, no_oracle, [bam(path) for path in SAMS]),
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
    """Counter of what ``count`` mutated files came to: read, refused, slow, exceptions, rows that are not there."""
    read, alien, sources = READERS[name]
    contents = [source if isinstance(source, bytes) else source.read_bytes() for source in sources]
    (Path(folder) / "a.bam").touch()  # which the sheets name
    rng, outcomes = random.Random(f"{name}{seed}"), Counter()
    path = Path(folder) / f"mutated.{name}"
    for _ in range(count):
        path.write_bytes(mutated(rng.choice(contents), rng))
        started, rows = time.process_time(), None
        try:
            rows = read(path)
            outcomes["read"] += 1
        except ToolError:
            outcomes["refused"] += 1
        except Exception as problem:
            outcomes[f"{type(problem).__name__}: {problem}"[:150]] += 1
        outcomes["slow"] += time.process_time() - started > SLOW_SECONDS
        if rows is not None and (found := alien(path, rows)):
            outcomes[f"not in the file: {found}"[:150]] += 1
    return outcomes


def faults(outcomes):
    """What of the outcomes should not be."""
    return {what: n for what, n in outcomes.items() if n and what not in ("read", "refused")}


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    broken = False
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[2:] or READERS:
            outcomes = attack(name, count, folder)
            wrong = faults(outcomes)
            print(
                f"{name}: {outcomes['read']} read, {outcomes['refused']} refused, faults {wrong or 'none'}", flush=True
            )
            broken |= bool(wrong)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
