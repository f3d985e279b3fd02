"""Sashimi plots: what they show against counts base by base, and the figures themselves."""

import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import quantify_introns
from brute_retention import junctions, kept_fragments, strand_of, walk
from conftest import ROOT
from intronaut.core.errors import BadData
from intronaut.io.alignments import Alignments
from intronaut.io.fragments import ReadRules
from intronaut.labels.sashimi_data import region_reads
from random_reads import CHROM, random_bam, random_genes

DATA = ROOT / "tests" / "data" / "quantify"
INTRON = "chrZ:51040-51320:-"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_coverage_and_junctions_as_brute_force_counts_them(seed):
    rng = np.random.default_rng(seed)
    random_bam("r.bam", rng, random_genes(rng))
    library, strand, start, end = ["forward", "reverse", "unstranded"][seed % 3], "+-"[seed % 2], 500, 2500
    depth, cut = np.zeros(end - start, int), Counter()
    for every, _ in kept_fragments("r.bam", library):
        # mates outside the region are not read
        records = [record for record in every if record.reference_start < end and record.reference_end > start]
        if records and strand_of(records, library) in (".", strand):
            bases = {base for record in records for block in walk(record)[0] for base, _ in block}
            depth[[base - start for base in bases if start <= base < end]] += 1
            spliced = set().union(*(junctions(record, 5) for record in records))
            cut.update({(a, b) for a, b in spliced if b > start and a < end})
    with Alignments("r.bam") as file:
        place = (CHROM, start, end, strand)
        ours = region_reads([(file, {CHROM: CHROM})], ReadRules(5), library, place)
    assert ours.coverage.tolist() == depth.tolist()
    assert ours.junctions == cut and len(cut) > 3


@pytest.mark.slow
def test_figure_says_what_was_counted():
    reads = [str(DATA / f"{name}.bam") for name in ("02H025", "02H043")]
    for folder in ("a", "b"):
        args = [str(DATA / "annotation.chrZ.gtf.gz"), *reads, "-o", folder, "--quiet", "--sashimi", INTRON]
        quantify_introns.main(args)
    figure = Path("a/sashimi/chrZ_51040-51320_-.svg")
    texts = [
        "".join(element.itertext()) for element in ElementTree.parse(figure).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert INTRON in texts and any(text.startswith("02H025: psi 0.31") for text in texts)
    assert "17" in texts and "14" in texts  # of its own junction and the one with the other acceptor, in 02H025
    assert figure.read_bytes() == (Path("b/sashimi") / figure.name).read_bytes()
    assert json.loads(Path("a/counts.json").read_text())["n_rows"] == 100


def test_introns_that_are_not_annotated_cannot_be_drawn():
    with pytest.raises(BadData, match="chrZ:1-2:-"):
        quantify_introns.main(
            [str(DATA / "annotation.chrZ.gtf.gz"), str(DATA / "02H025.bam"), "--sashimi", "chrZ:1-2:-"]
        )
    assert not Path("quantified").exists()
