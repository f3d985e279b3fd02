#!/usr/bin/env python3
"""Cut the demo's genome and annotation out of the intronIC 3.0.0 wheel on PyPI.

Writes chr19_6Mb.fa.gz (bgzf: the first 6,000,000 bases of human chromosome 19, GRCh38), chr19_6Mb.gff3.gz (bgzf: the
Ensembl 91 genes that lie wholly within them) and SHA256SUMS into this folder. Needs pip, and biopython for bgzf.
"""

import gzip
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from Bio.bgzf import BgzfWriter

HERE = Path(__file__).resolve().parent
PACKAGE = "intronIC==3.0.0"
WHEEL_SHA256 = "0b4bd600f96103c5c821f429e201f2b3086b23698d7b1b0e853b833be5b27a0d"
INSIDE = "intronIC/data/test_data/Homo_sapiens.Chr19.Ensembl_91"
LENGTH = 6_000_000
LINE = 60


def download(folder):
    """The wheel's path, after its sha256 was checked."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE], check=True
    )
    (wheel,) = Path(folder).glob("*.whl")
    if (found := hashlib.sha256(wheel.read_bytes()).hexdigest()) != WHEEL_SHA256:
        sys.exit(f"{wheel.name}: sha256 {found}, expected {WHEEL_SHA256}")
    return zipfile.ZipFile(wheel)


def cut_genome(wheel):
    with wheel.open(INSIDE + ".fa.gz") as packed, gzip.open(packed, "rt") as lines:
        name = next(lines).split()[0].lstrip(">")
        bases = ""
        for line in lines:
            bases += line.strip()
            if len(bases) >= LENGTH:
                break
    bases = bases[:LENGTH]
    with BgzfWriter(HERE / "chr19_6Mb.fa.gz", "w") as out:
        out.write(f">{name}\n")
        for start in range(0, LENGTH, LINE):
            out.write(bases[start : start + LINE] + "\n")


def cut_annotation(wheel):
    """Keep each gene that ends within the slice, and every feature below it."""
    kept = set()
    with (
        wheel.open(INSIDE + ".gff3.gz") as packed,
        gzip.open(packed, "rt") as lines,
        BgzfWriter(HERE / "chr19_6Mb.gff3.gz", "w") as out,
    ):
        out.write(f"##gff-version 3\n##sequence-region 19 1 {LENGTH}\n")
        for line in lines:
            if line.startswith("#"):
                continue
            fields = line.rstrip("\n").split("\t")
            tags = dict(tag.split("=", 1) for tag in fields[8].split(";") if "=" in tag)
            inside = tags["Parent"] in kept if "Parent" in tags else is_gene(tags) and int(fields[4]) <= LENGTH
            if inside:
                kept.add(tags.get("ID"))
                out.write(line)


def is_gene(tags):
    return tags.get("ID", "").startswith("gene:")


def main():
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(folder)
        cut_genome(wheel)
        cut_annotation(wheel)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(HERE.glob("*.gz"))]
    (HERE / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    main()
