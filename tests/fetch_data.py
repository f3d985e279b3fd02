"""Fetch the real data of the tests that are too large to ship: the short arm of human chromosome 19 and its genes.

They come from the wheel of intronIC 3.0.0 on the Python package index, which carries chromosome 19 of Ensembl 91 as
test data; its checksum is pinned below, and that of each file. Nothing is done where all files are there.

    python tests/fetch_data.py FOLDER
"""

import gzip
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from Bio.bgzf import BgzfWriter

WHEEL = "intronIC==3.0.0 --hash=sha256:0b4bd600f96103c5c821f429e201f2b3086b23698d7b1b0e853b833be5b27a0d\n"
MEMBER = "intronIC/data/test_data/Homo_sapiens.Chr19.Ensembl_91."
# the arm ends within the gap of the centromere
ARM = 26_200_000
LINE = 60
# sha256 of what the files hold, not of their compressed bytes
CONTENTS = {
    "genome.chr19p.fa.gz": "02eac222367575d9f9613b9c333a03963649fc42e827d9060e4277d20dea0047",
    "annotation.chr19p.ensembl91.gff3.gz": "84600c0b61b15481649840e4cca3f8cdc2724f86fc539f0f94a0de9cacc04d74",
}


def main(folder):
    """Download the wheel into a temporary folder, write both files into ``folder``, and compare their contents."""
    folder = Path(folder) / "human_chr19p_GRCh38"
    if all((folder / name).exists() for name in CONTENTS):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, zipfile.ZipFile(download(Path(work))) as wheel:
        for name, parts in (
            ("genome.chr19p.fa.gz", genome(wheel)),
            ("annotation.chr19p.ensembl91.gff3.gz", genes(wheel)),
        ):
            write(folder / name, parts)


def download(folder):
    """The path of the wheel, whose checksum pip has compared."""
    (folder / "wheel.txt").write_text(WHEEL)
    how = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", *how, "-d", folder, "-r", folder / "wheel.txt"], check=True
    )
    (path,) = folder.glob("*.whl")
    return path


def lines_of(wheel, ending):
    """The lines of one file of the wheel, as text."""
    with wheel.open(MEMBER + ending) as member, gzip.open(member, "rt", encoding="utf-8") as lines:
        yield from lines


def genome(wheel):
    """FASTA of the first 26.2 million bases, in lines of 60."""
    lines = lines_of(wheel, "fa.gz")
    next(lines)
    yield f">19 dna:chromosome chromosome:GRCh38:19:1:{ARM}:1 (first {ARM} bp of Ensembl 91 chr19)\n"
    sequence = "".join(line.strip() for line in lines)[:ARM]
    yield from (sequence[first : first + LINE] + "\n" for first in range(0, ARM, LINE))


def genes(wheel):
    """GFF3 of all features that end within the arm."""
    yield "##gff-version 3\n"
    for line in lines_of(wheel, "gff3.gz"):
        kind, end = line.split("\t")[2:5:2]
        if kind != "chromosome" and int(end) <= ARM:
            yield line


def write(path, parts):
    """Write text as BGZF under another name, and give it its own once its contents are those expected."""
    digest, part = hashlib.sha256(), path.with_name(path.name + ".part")
    with BgzfWriter(part) as out:
        for text in parts:
            digest.update(text.encode())
            out.write(text)
    if digest.hexdigest() != CONTENTS[path.name]:
        raise SystemExit(f"{path}: sha256 of the contents is {digest.hexdigest()}, not {CONTENTS[path.name]}")
    part.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
