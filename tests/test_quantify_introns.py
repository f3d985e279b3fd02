"""quantify_introns against brute force, hand-worked alignments, and tables that a slow program made of real reads."""

import csv
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
from scipy.stats import spearmanr

import quantify_introns
from brute_retention import brute_introns
from conftest import ROOT
from intronaut.core.errors import BadData, MissingInput, UsageError
from intronaut.io.alignments import Alignments
from intronaut.io.coverage import read_coverage
from intronaut.io.measured_tracks import read_bedgraph
from random_reads import random_bam, random_genes, write_gtf
from simulated_reads import write_reads
from small_study import write_study

DATA = ROOT / "tests" / "data" / "quantify"
CHRZ = DATA / "annotation.chrZ.gtf.gz"


def text_rows(path):
    return list(csv.DictReader(Path(path).read_text().splitlines(), delimiter="\t"))


OPTIONS = {row["case"]: row["options"].split() for row in text_rows(DATA / "options.tsv")}


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def quantify(*args, out="out", threads=1):
    quantify_introns.main([*map(str, args), "-o", out, "--quiet", "--threads", str(threads)])


def rows(path):
    with gzip.open(path, "rt") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def column(table, name):
    return np.array([float(row[name].replace("NA", "nan")) for row in table])


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def same(ours, theirs):
    if ours == theirs:
        return True
    try:
        return float(ours) == pytest.approx(float(theirs), rel=1e-5)
    except ValueError:
        return False


@pytest.mark.parametrize("case", OPTIONS)
def test_hand_worked_alignments(case):
    strand, kind = OPTIONS[case][1], OPTIONS[case][3]
    quantify(DATA / "genes.gtf", DATA / f"{case}.sam", "--strand", strand, "--reads-kind", kind)
    ours = {row["name"]: row for row in rows(f"out/{case}.introns.tsv.gz")}
    expected = [row for row in text_rows(DATA / "expected.tsv") if row.pop("case") == case]
    assert expected
    for row in expected:
        assert {name: ours[row["name"]][name] for name in row} == row


REAL = {
    "02H025": [CHRZ, DATA / "02H025.bam"],
    "02H025.unstranded": [CHRZ, DATA / "02H025.bam", "--strand", "unstranded"],
    "02H025.exclude": [CHRZ, DATA / "02H025.bam", "--exclude", DATA / "exclude.bed"],
    "A549_longread": [
        DATA / "annotation.ensembl91.chr9_1_1000000.gtf.gz", DATA / "A549_directRNA.chr9_1_1000000.bam",
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", REAL)
def test_real_reads_as_the_slow_program_counts_them(case):
    sample = "A549" if case.startswith("A549") else "02H025"
    annotation, path, *options = REAL[case]
    shutil.copy(path, f"{sample}.bam")
    quantify(annotation, f"{sample}.bam", *options)
    assert_equal_tables(f"out/{sample}.introns.tsv.gz", DATA / f"{case}.introns.tsv.gz")
    assert_equal_counts(f"out/{sample}.counts.json", DATA / f"{case}.counts.json")


@pytest.mark.parametrize("case", ["paired_reverse", "single_unstranded"])
def test_simulated_reads_as_the_slow_program_counts_them(real_data, case):
    annotation = real_data / "human_chr19p_GRCh38" / "annotation.chr19p.ensembl91.gtf.gz"
    # the index, where one is lacking, is made beside the copy
    golden, bam = DATA / "sim" / case, shutil.copy(DATA / "sim" / f"{case}.bam", ".")
    quantify(annotation, bam)
    assert_equal_tables(f"out/{case}.introns.tsv.gz", f"{golden}.introns.tsv.gz")
    assert_equal_counts(f"out/{case}.counts.json", f"{golden}.counts.json")


def assert_equal_tables(ours, theirs):
    ours, theirs = rows(ours), rows(theirs)
    assert len(ours) == len(theirs)
    for row, golden in zip(ours, theirs, strict=True):
        assert list(row) == list(golden)
        assert [name for name in golden if not same(row[name], golden[name])] == [], row["name"]


def assert_equal_counts(ours, theirs):
    ours, theirs = (json.loads(Path(path).read_text()) for path in (ours, theirs))
    assert {name: ours[name] for name in theirs} == theirs
    assert ours["records"] == ours["kept"] + sum(n for name, n in ours.items() if name.startswith("dropped_"))


@pytest.mark.parametrize("seed", range(24))
def test_random_alignments_as_brute_force_counts_them(seed):
    rng = np.random.default_rng(seed)
    genes = random_genes(rng)
    write_gtf("genes.gtf", genes)
    random_bam("r.bam", rng, genes, n_fragments=100, paired=seed % 4 > 0, sort=["coordinate", "queryname"][seed % 2])
    library = ["forward", "reverse", "unstranded"][seed % 3]
    quantify("genes.gtf", "r.bam", "--strand", library, "--reads-kind", "short")
    expected = brute_introns(genes, "r.bam", library)
    ours = {(int(row["start"]), int(row["end"]), row["strand"]): row for row in rows("out/r.introns.tsv.gz")}
    assert ours.keys() == expected.keys()
    for place, row in expected.items():
        for name, value in row.items():
            assert same(ours[place][name], "NA" if value is None else str(value)), (place, name, value)


def test_same_bytes_however_the_reads_are_stored():
    shutil.copy(DATA / "02H025.bam", "02H025.bam")
    quantify(CHRZ, "02H025.bam", "--tracks", "--novel-junctions", "novel.tsv", out="plain")
    expected, novel = content(Path("plain")), Path("novel.tsv").read_text()
    assert len(novel.splitlines()) > 1 and len(expected["02H025.psi.bw"]) > 1000
    pysam.index("02H025.bam")
    for threads in (2, 8):
        quantify(CHRZ, "02H025.bam", "--tracks", "--novel-junctions", "again.tsv", out="threads", threads=threads)
        assert content(Path("threads")) == expected and Path("again.tsv").read_text() == novel
    Path("stored").mkdir()
    shutil.copy(DATA / "genome.chrZ.fa", "genome.fa")
    pysam.view("-C", "-T", "genome.fa", "-o", "stored/02H025.cram", "02H025.bam", catch_stdout=False)
    pysam.sort("-n", "-o", "stored/02H025.bam", "02H025.bam")
    for path in ("stored/02H025.cram", "stored/02H025.bam"):
        quantify(CHRZ, path, "--fasta", "genome.fa", "--tracks", out="other")
        assert content(Path("other")) == expected


def test_same_bytes_however_many_chromosomes_are_counted_side_by_side():
    genes = {f"gene{at}": f"contig{at % 5}" for at in range(15)}
    write_study(Path(), genes)
    rng, places = np.random.default_rng(3), [(f"contig{at % 5}", 1000 + 6000 * (at // 5)) for at in range(15)]
    # chromosomes of unlike weight, one without reads
    for contig, keep in enumerate((1, 3, 2, 0, 3)):
        places = [place for place in places if place[0] != f"contig{contig}" or place[1] < 1000 + 6000 * keep]
    genome = {f"contig{at}": 24_000 for at in range(5)}
    write_reads("a.bam", genome, places, rng.uniform(0, 0.6, (len(places), 2)), rng)
    pysam.index("a.bam")
    expected = None
    for threads in (1, 2, 3, 8):
        quantify("annotation.gtf", "a.bam", "--tracks", "--novel-junctions", "n.tsv", out="out", threads=threads)
        found = content(Path("out")) | {"novel": Path("n.tsv").read_bytes()}
        expected = expected or found
        assert found == expected
    table = pd.read_csv("out/a.introns.tsv.gz", sep="\t")
    assert len(table) == 30 and table.groupby("chrom")["n"].sum().to_dict()["contig3"] == 0


def test_lanes_count_as_one_sample():
    with pysam.AlignmentFile(DATA / "02H025.bam") as file:
        parts = [pysam.AlignmentFile(f"lane{i}.bam", "wb", template=file) for i in range(2)]
        for number, record in enumerate(file.fetch(until_eof=True)):
            parts[number % 2].write(record)
        for part in parts:
            part.close()
    with open("sheet.tsv", "w") as sheet:
        sheet.write("sample\tpath\tcondition\treplicate_of\n02H025\tlane0.bam\tblood\t\nb\tlane1.bam\tblood\t02H025\n")
    quantify(CHRZ, "--samples", "sheet.tsv")
    assert_equal_tables("out/02H025.introns.tsv.gz", DATA / "02H025.introns.tsv.gz")
    assert_equal_counts("out/02H025.counts.json", DATA / "02H025.counts.json")
    assert json.loads(Path("out/counts.json").read_text())["samples"].keys() == {"02H025"}


def test_another_sample_changes_nothing(tmp_path):
    quantify(CHRZ, DATA / "02H025.bam", out="one")
    quantify(CHRZ, DATA / "02H043.bam", DATA / "02H025.bam", out="two", threads=2)
    for name in ("02H025.introns.tsv.gz", "02H025.counts.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_every_fragment_twice_doubles_counts_and_keeps_psi():
    rng = np.random.default_rng(5)
    genes = random_genes(rng)
    write_gtf("genes.gtf", genes)
    random_bam("once.bam", rng, genes)
    with pysam.AlignmentFile("once.bam") as file, pysam.AlignmentFile("twice.bam", "wb", template=file) as out:
        for record in file.fetch(until_eof=True):
            out.write(record)
            record.query_name += "again"
            out.write(record)
    quantify("genes.gtf", "once.bam", "twice.bam", "--reads-kind", "short", "--strand", "forward")
    once, twice = (pd.read_csv(f"out/{name}.introns.tsv.gz", sep="\t") for name in ("once", "twice"))
    counts = ["ei_left", "ei_right", "sj_left", "sj_right", "sj_exact", "sj_skip", "sj_inside", "retained", "spliced"]
    assert once[counts].sum().gt(0).all()
    pd.testing.assert_frame_equal(once[counts] * 2, twice[counts], check_dtype=False)
    pd.testing.assert_frame_equal(once[["psi", "coverage", "measured"]], twice[["psi", "coverage", "measured"]])


def test_mirror_image_swaps_left_and_right():
    rng = np.random.default_rng(8)
    genes = random_genes(rng)
    write_gtf("genes.gtf", genes)
    random_bam("reads.bam", rng, genes)
    length = 4500
    turned = []
    for gene, strand, transcripts, retained in genes:
        exons = {name: [(length - b, length - a) for a, b in reversed(parts)] for name, parts in transcripts.items()}
        turned.append((gene, "+-"["-+".index(strand)], exons, retained))
    write_gtf("mirror.gtf", turned)
    with pysam.AlignmentFile("reads.bam") as file, pysam.AlignmentFile("mirror.sam", "w", template=file) as out:
        for record in file.fetch(until_eof=True):
            end = record.reference_end
            record.reference_start, record.cigartuples = length - end, record.cigartuples[::-1]
            record.flag ^= 16
            record.next_reference_id = -1
            if record.has_tag("XS") and record.get_tag("XS") in ("+", "-"):
                record.set_tag("XS", "+-"["-+".index(record.get_tag("XS"))], "A")
            out.write(record)
    pysam.sort("-o", "mirror.bam", "mirror.sam")
    quantify("genes.gtf", "reads.bam", "--strand", "reverse", "--reads-kind", "short", out="a")
    quantify("mirror.gtf", "mirror.bam", "--strand", "reverse", "--reads-kind", "short", out="b")
    ours = {(int(row["start"]), int(row["end"])): row for row in rows("a/reads.introns.tsv.gz")}
    theirs = {(length - int(row["end"]), length - int(row["start"])): row for row in rows("b/mirror.introns.tsv.gz")}
    swap = {"ei_left": "ei_right", "ei_right": "ei_left", "sj_left": "sj_right", "sj_right": "sj_left"}
    ends = {"left": "right", "right": "left"}
    assert ours.keys() == theirs.keys() and any(int(row["ei_left"]) for row in ours.values())
    for place, row in ours.items():
        for name in set(row) - {"chrom", "start", "end", "name", "strand", "sample"}:
            value = theirs[place][swap.get(name, name)]
            assert row[name] == (ends.get(value, value) if name == "ends" else value), name


def test_ranks_of_a_published_program():
    """SpliceWiz on a paired version of the same reads, 45 introns: depth, junction reads, covered share, ratio."""
    quantify(CHRZ, DATA / "02H025.bam")
    ours = {(int(row["start"]), int(row["end"]), row["strand"]): row for row in rows("out/02H025.introns.tsv.gz")}
    peer = text_rows(DATA / "peer_values.SpliceWiz.02H025.tsv")
    spans = [row["region_1based"].split(":")[1].replace("/", "-", 1).split("-", 2) for row in peer]
    found = [ours[int(start) - 1, int(end), strand] for start, end, strand in spans]
    assert len(found) == 45
    depth, spliced, coverage = (column(peer, f"02H025_{name}") for name in ("intron_depth", "spliced", "coverage"))

    def rank(ours, theirs):
        known = ~np.isnan(ours) & ~np.isnan(theirs)
        return spearmanr(ours[known], theirs[known])[0]

    assert rank(column(found, "depth"), depth) >= 0.97
    assert rank(np.maximum(column(found, "sj_left"), column(found, "sj_right")), spliced) >= 0.95
    assert rank(column(found, "coverage"), coverage) >= 0.9
    assert rank(column(found, "ir_ratio"), depth / (depth + spliced)) >= 0.97


def test_introns_out_are_introns_in():
    with gzip.open(CHRZ, "rt") as lines, open("genes.gtf", "w") as out:
        out.writelines(lines)
        for start in (100, 400):
            out.write(f'chrZ\tx\texon\t{start}\t{start + 50}\t.\t.\t.\tgene_id "none"; transcript_id "none";\n')
    quantify("genes.gtf", DATA / "02H025.bam", "--min-length", "90")
    counts = json.loads(Path("out/counts.json").read_text())
    assert counts["n_introns"] == 101 == counts["n_rows"] + counts["n_ledger"]
    assert counts["ledger"]["no_strand"] == 1 and counts["ledger"]["too_short"] >= 1
    assert len(rows("out/02H025.introns.tsv.gz")) == counts["n_rows"]
    assert len(pd.read_csv("out/ledger.tsv", sep="\t")) == counts["n_ledger"]


def test_chromosome_without_alignments_is_na_and_one_without_reads_is_0():
    with open(DATA / "genes.gtf") as lines, open("genes.gtf", "w") as out:
        for line in lines:
            out.write(line)
            out.write(line.replace("chrT", "chrU"))
            out.write(line.replace("chrT", "chrV"))
    text = (DATA / "7_alternative_acceptor.sam").read_text()
    Path("s.sam").write_text(text.replace("@SQ\tSN:chrT", "@SQ\tSN:chrV\tLN:3000\n@SQ\tSN:chrT"))
    quantify("genes.gtf", "s.sam", "--strand", "forward", "--reads-kind", "short")
    table = pd.read_csv("out/s.introns.tsv.gz", sep="\t", keep_default_na=False)
    missing, silent = table[table["chrom"] == "chrU"], table[table["chrom"] == "chrV"]
    assert len(missing) == len(silent) > 0
    assert (missing["sj_exact"] == "NA").all() and missing["flags"].str.contains("chrom_missing").all()
    assert (missing["reason"] == "unmeasured").all() and (missing["call"] == "NA").all()
    assert (silent["sj_exact"].astype(int) == 0).all() and (silent["psi"] == "NA").all()


@pytest.fixture
def bam():
    shutil.copy(DATA / "02H025.bam", "a.bam")
    return "a.bam"


def refused(error, words, *args):
    with pytest.raises(error) as caught:
        quantify(*args)
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text
    assert not Path("out").exists()


def test_truncated_files_are_refused(bam):
    data = Path(bam).read_bytes()
    for cut in (len(data) - 28, len(data) // 2, 40):
        Path("cut.bam").write_bytes(data[:cut])
        refused(BadData, ["cut.bam", "truncated"], CHRZ, "cut.bam")


def test_what_is_no_alignment_is_refused(bam):
    Path("text.bam").write_text("hello\n")
    refused(BadData, ["text.bam"], CHRZ, "text.bam")
    refused(BadData, ["genome.chrZ.fa"], CHRZ, DATA / "genome.chrZ.fa")
    refused(MissingInput, ["none.bam"], CHRZ, "none.bam")
    Path("headless.sam").write_text("r\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*\n")
    refused(BadData, ["headless.sam", "@SQ"], CHRZ, "headless.sam")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"r2\t16\tchrT", b"r2\t16\tchrQ", ["r2 is aligned to a place that its header"]),
        (b"40M\t*\t0\t0\t*\t*\n", b"40M\t*\t0\t0\t*\t*\tNH:Z:1\n", ["NH '1'", "whole number"]),
        (b"r2\t16", b"r\xb22\t73", ["name of a read"]),
    ],
)
def test_records_that_break_the_format_are_refused(before, after, words):
    content = (DATA / "1_both_strands.sam").read_bytes()
    assert before in content
    Path("s.sam").write_bytes(content.replace(before, after))
    refused(BadData, ["s.sam", *words], DATA / "genes.gtf", "s.sam")


def write_pairs(path, read_length, header, names):
    """Two reads over the intron 600-900 for each of the names, and its annotation."""
    lines, half = [f"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chrT\tLN:3000\n{header}"], read_length // 2
    start, cigar = 601 - half, f"{half}M300N{half}M"
    for name in names:
        lines += [f"{name}\t{flag}\tchrT\t{start}\t60\t{cigar}\t=\t{start}\t0\t*\t*\tNH:i:1\n" for flag in (99, 147)]
    path.write_text("".join(lines))
    exons = (f'chrT\tx\texon\t{a}\t{b}\t.\t+\t.\tgene_id "g"; transcript_id "t";\n' for a, b in ((1, 600), (901, 1500)))
    Path("one.gtf").write_text("".join(exons))


@pytest.mark.parametrize(
    ("header", "read_length", "kind"),
    [
        ("@PG\tID:minimap2\tPN:minimap2\tCL:minimap2 -ax splice:sr g.fa r.fq\n", 250, "short"),
        ("@PG\tID:minimap2\tPN:minimap2\tCL:minimap2 -ax splice g.fa r.fq\n", 76, "short"),
        ("@PG\tID:minimap2\tPN:minimap2\tCL:minimap2 -ax splice g.fa r.fq\n", 300, "long"),
        ("@RG\tID:a\tPL:ONT\n", 76, "long"),
        ("", 300, "short"),
        ("", 402, "long"),
    ],
)
def test_long_reads_are_told_by_platform_or_length_and_not_by_an_aligner_alone(header, read_length, kind):
    write_pairs(Path("a.sam"), read_length, header, map(str, range(20)))
    with Alignments("a.sam") as alignments:
        assert alignments.has_long_reads() == (kind == "long")


def test_lanes_that_share_names_of_reads_are_warned_of():
    for names, warned in ([*map(str, range(20))], False), ([*map(str, range(20))] * 2, True):
        write_pairs(Path("a.sam"), 76, "", names)
        command = [sys.executable, ROOT / "bin" / "quantify_introns.py", "one.gtf", "a.sam", "-o", "out"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ("20 names stand for more than two reads" in done.stderr) == warned


def test_a_broken_header_is_one_line(bam):
    data = bytearray(Path(bam).read_bytes())
    data[100] ^= 4
    Path("flip.bam").write_bytes(data)
    command = [sys.executable, ROOT / "bin" / "quantify_introns.py", CHRZ, "flip.bam", "-o", "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 65 and len(done.stderr.splitlines()) == 1 and "flip.bam" in done.stderr, done.stderr


def test_cram_without_its_reference_is_refused(bam):
    genome = (DATA / "genome.chrZ.fa").read_text()
    Path("genome.fa").write_text(genome)
    pysam.view("-C", "-T", "genome.fa", "-o", "a.cram", bam, catch_stdout=False)
    refused(UsageError, ["a.cram", "--fasta"], CHRZ, "a.cram")
    head, _, bases = genome.partition("\n")
    Path("other.fa").write_text(head + "\n" + bases[:5000].translate(str.maketrans("ACGT", "CGTA")) + bases[5000:])
    refused(BadData, ["a.cram", "chrZ", "other.fa"], CHRZ, "a.cram", "--fasta", "other.fa")


def test_header_of_another_assembly_is_refused(bam):
    Path("other.fa").write_text(">chrZ\n" + "ACGT" * 30_000 + "\n")
    refused(BadData, ["101,511", "120,000", "assembly"], CHRZ, bam, "--fasta", "other.fa")
    gtf = DATA / "annotation.ensembl91.chr9_1_1000000.gtf.gz"
    refused(BadData, ["9", "chrZ"], gtf, bam)
    exons = (f'chrZ\tx\texon\t{a}\t{a + 50}\t.\t+\t.\tgene_id "g"; transcript_id "t";\n' for a in (100, 200_000))
    Path("long.gtf").write_text("".join(exons))
    refused(BadData, ["101,511", "199,999", "assembly"], "long.gtf", bam)


def test_many_chromosomes_of_another_assembly_are_one_line(bam):
    lengths = {"chrZ": 101_510, "chrY": 300, "chrX": 400}
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": name, "LN": n} for name, n in lengths.items()]}
    pysam.AlignmentFile("three.bam", "wb", header=header).close()
    genome = (DATA / "genome.chrZ.fa").read_text()
    Path("other.fa").write_text(f"{genome}>chrY\n{'A' * 301}\n>chrX\n{'A' * 400}\n")
    exons = (f'{chrom}\tx\texon\t{a}\t{a + 50}\t.\t+\t.\tgene_id "{chrom}"; transcript_id "{chrom}";\n'
             for chrom in lengths for a in (100, 200))  # fmt: skip
    Path("three.gtf").write_text("".join(exons))
    refused(BadData, ["chrY has 300 bases", "301, and 1 more"], "three.gtf", "three.bam", "--fasta", "other.fa")


def test_order_that_the_header_promises_is_checked(bam):
    with pysam.AlignmentFile(bam) as file, pysam.AlignmentFile("lie.bam", "wb", template=file) as out:
        records = list(file.fetch(until_eof=True))[:200]
        for record in [*records[100:], *records[:100]]:
            out.write(record)
    refused(BadData, ["lie.bam", "not sorted"], CHRZ, "lie.bam")


def test_index_of_another_file_is_refused(bam):
    with pysam.AlignmentFile(bam) as file, pysam.AlignmentFile("part.bam", "wb", template=file) as out:
        for number, record in enumerate(file.fetch(until_eof=True)):
            if number % 3:
                out.write(record)
    pysam.index(bam)
    shutil.copy(f"{bam}.bai", "part.bam.bai")
    with pytest.raises(BadData):
        quantify(CHRZ, "part.bam", threads=2)


def test_no_reads_at_all_are_no_fault():
    with pysam.AlignmentFile(DATA / "02H025.bam") as file, pysam.AlignmentFile("e.bam", "wb", template=file):
        pass
    quantify(CHRZ, "e.bam", "--novel-junctions", "novel.tsv", "--tracks")
    assert len(Path("novel.tsv").read_text().splitlines()) == 1
    table = pd.read_csv("out/e.introns.tsv.gz", sep="\t")
    assert table["psi"].isna().all() and (table["ei_left"] == 0).all()
    assert json.loads(Path("out/e.counts.json").read_text())["records"] == 0


def test_faults_of_a_sheet_come_all_at_once(bam):
    Path("sheet.tsv").write_text(
        "sample\treads\tstrand\tcounts\na\ta.bam\t\t\na\ta.bam\t\t\nb b\ta.bam\t\t\n"
        "c\tnone.bam\t\t\nd\ta.bam\tsideways\t\n"
        "e\t\t\t\nf\ta.bam\t\ta.bam\n"
    )
    with pytest.raises(BadData) as caught:
        quantify(CHRZ, "--samples", "sheet.tsv")
    text = str(caught.value)
    words = ["line 2", "named twice", "'b b'", "none.bam", "sideways", "no file", "reads and counts"]
    assert all(word in text for word in words), text


def test_two_files_of_one_sample_need_a_sheet(bam):
    shutil.copytree(".", "twin", ignore=shutil.ignore_patterns("twin"))
    refused(BadData, ["a.bam", "twin/a.bam", "--samples"], CHRZ, bam, "twin/a.bam")
    with pytest.raises(SystemExit):
        quantify(CHRZ)


def test_library_is_inferred_and_disagreement_reported():
    with pysam.AlignmentFile(DATA / "02H025.bam") as file, pysam.AlignmentFile("f.bam", "wb", template=file) as out:
        for number, record in enumerate(file.fetch(until_eof=True)):
            if number % 5 == 0:
                record.flag ^= 16
                out.write(record)
    with pysam.AlignmentFile("f.bam") as file, pysam.AlignmentFile("m.bam", "wb", template=file) as out:
        for number, record in enumerate(file.fetch(until_eof=True)):
            record.flag ^= 16 * (number % 3 == 0)
            out.write(record)
    quantify(CHRZ, "f.bam", "m.bam")
    counts = json.loads(Path("out/counts.json").read_text())
    assert counts["disagreeing_libraries"]
    assert counts["samples"]["f"]["library"] == "forward" and counts["samples"]["f"]["warnings"] == []
    assert counts["samples"]["m"]["library"] == "unstranded"
    assert any("strand_mixed" in text for text in counts["samples"]["m"]["warnings"])


def test_multiqc_tables_have_the_counts():
    quantify(CHRZ, DATA / "02H025.bam", DATA / "02H043.bam")
    lines = Path("out/quantify_introns_mqc.tsv").read_text().splitlines()
    assert lines[0] == "# id: 'quantify_introns'" and "# plot_type: 'table'" in lines
    table = [dict(zip(lines[-3].split("\t"), line.split("\t"), strict=True)) for line in lines[-2:]]
    assert table[0]["sample"] == "02H025" and table[0]["fragments"] == "84783" and table[0]["library"] == "reverse"
    assert [int(table[0][name]) for name in ("retained", "spliced", "uncalled")] == [16, 38, 46]
    dropped = Path("out/quantify_introns_dropped_mqc.tsv").read_text().splitlines()
    assert dropped[-1].split("\t")[:2] == ["02H043", "80191"]


def covered_bases(record):
    """The bases of an alignment, those of deletions too."""
    place = record.reference_start
    for operation, size in record.cigartuples:
        if operation in (0, 2, 7, 8):
            yield from range(place, place + size)
        place += size * (operation in (0, 2, 3, 7, 8))


def star_output(scale=1):
    """SJ.out.tab and the coverage of both strands as STAR would write them of 02H025, a library of reversed reads."""
    depth, junctions = {sign: np.zeros(101_511, int) for sign in "+-"}, {}
    with pysam.AlignmentFile(DATA / "02H025.bam") as file:
        for record in file.fetch(until_eof=True):
            sign = "+" if record.is_reverse else "-"
            np.add.at(depth[sign], list(covered_bases(record)), 1)
            blocks = record.get_blocks()
            for start, end in {(a, b) for (_, a), (b, _) in zip(blocks, blocks[1:], strict=False) if b - a > 20}:
                sides = sum(y - x for x, y in blocks if y <= start), sum(y - x for x, y in blocks if x >= end)
                if min(sides) >= 5:
                    junctions[start, end, sign] = junctions.get((start, end, sign), 0) + 1
    with open("SJ.out.tab", "w") as out:
        for (start, end, sign), n in sorted(junctions.items()):
            out.write(f"chrZ\t{start + 1}\t{end}\t{'.+-'.index(sign)}\t1\t1\t{n}\t0\t40\n")
        out.write("chrZ\t5000\t5100\t1\t1\t1\t9\t0\t4\n")
    for name, sign, factor in (("plus", "+", scale), ("minus", "-", -scale)):
        cuts = np.flatnonzero(np.diff(depth[sign], prepend=0, append=0))
        with open(f"{name}.bedgraph", "w") as out:
            for start, end in zip(cuts, cuts[1:], strict=False):
                out.write(f"chrZ\t{start}\t{end}\t{depth[sign][start] * factor:.6g}\n")


@pytest.mark.parametrize("scale", [1, 11.7949], ids=["counts", "per_million"])
def test_junctions_and_coverage_give_what_the_reads_give(scale):
    star_output(scale)
    Path("sheet.tsv").write_text(
        "sample\tjunctions\tcoverage_plus\tcoverage_minus\tcondition\n02H025\tSJ.out.tab\tplus.bedgraph\tminus.bedgraph\tx\n"
    )
    quantify(CHRZ, "--samples", "sheet.tsv", "--novel-junctions", "novel.tsv")
    ours, golden = rows("out/02H025.introns.tsv.gz"), rows(DATA / "02H025.introns.tsv.gz")
    names = ["sj_left", "sj_right", "sj_exact", "depth", "depth_mean", "coverage", "measured", "ir_ratio", "length"]
    for row, expected in zip(ours, golden, strict=True):
        assert [name for name in names if not same(row[name], expected[name])] == [], row["name"]
        assert row["ei_left"] == "NA" and row["ends"] == "none"
        assert row["method"] == ("depth" if int(row["measured"]) >= 40 else "none")
    about = json.loads(Path("out/02H025.counts.json").read_text())
    assert about["unit"] == pytest.approx(scale, rel=1e-4) and about["stranded"]


def test_bigwig_coverage_is_read_as_bedgraph():
    import pybigtools

    star_output()
    for name in ("plus", "minus"):
        values = [line.split("\t") for line in Path(f"{name}.bedgraph").read_text().splitlines()]
        track = pybigtools.open(f"{name}.bw", "w")
        track.write({"chrZ": 101_511}, [(c, int(a), int(b), float(v)) for c, a, b, v in values if float(v)])
        track.close()
    head = "sample\tjunctions\tcoverage_plus\tcoverage_minus\n"
    Path("a.tsv").write_text(head + "s\tSJ.out.tab\tplus.bedgraph\tminus.bedgraph\n")
    Path("b.tsv").write_text(head + "s\tSJ.out.tab\tplus.bw\tminus.bw\n")
    quantify(CHRZ, "--samples", "a.tsv", out="a")
    quantify(CHRZ, "--samples", "b.tsv", out="b")
    assert content(Path("a")) == content(Path("b"))


SPACED = "track type=bedGraph name=x\nchr1 100 200 40\nchr1  200\t300   0 \n\nchr2 5 9 -1.5\n"


def test_bedgraph_by_spaces_is_read_as_by_tabs(tmp_path):
    """UCSC lets spaces stand for tabs; embed_tracks and quantify_introns read the same."""
    path = tmp_path / "x.bedGraph"
    for text in (SPACED, "chr1\t100\t200\t40\nchr1\t200\t300\t0\nchr2\t5\t9\t-1.5\n"):
        path.write_text(text)
        coverage = {chrom: [part.tolist() for part in parts] for chrom, parts in read_coverage(path).items()}
        assert coverage == {"chr1": [[100, 200], [200, 300], [40, 0]], "chr2": [[5], [9], [1.5]]}
        assert [part.tolist() for part in read_bedgraph(path)] == [
            ["chr1", "chr1", "chr2"], [100, 200, 5], [200, 300, 9], [40, 0, -1.5],
        ]  # fmt: skip
    path.write_text("chr1 100 200\n")
    with pytest.raises(BadData, match="line 1: 'chr1\\\\t100\\\\t200' is not chrom, start, end and a number"):
        read_coverage(path)


def test_nan_is_no_coverage(tmp_path):
    path = tmp_path / "x.bedGraph"
    path.write_text("chr1\t0\t9\tNaN\nchr1\t9\t12\t4\nchr1\t12\t15\t-nan\nchr2\t0\t9\tnan\n")
    assert {chrom: [part.tolist() for part in parts] for chrom, parts in read_coverage(path).items()} == {
        "chr1": [[9], [12], [4]]
    }
    path.write_text("chr1\t0\t9\tNaN\nchr1\t9\t12\tNA\nchr1\t12\t9\tNaN\nchr1\t20\t29\tinf\n")
    with pytest.raises(BadData, match=r"3 problems\n  line 2: .*\n  line 3: .*\n  line 4: "):
        read_coverage(path)
    path.write_text("chr1\t0\t9\tNaN\n")
    with pytest.raises(BadData, match="no coverage in it"):
        read_coverage(path)


def test_coverage_that_is_no_count_is_refused():
    star_output()
    rng = np.random.default_rng(1)
    lines = [f"chrZ\t{i * 10}\t{i * 10 + 10}\t{value:.5f}\n" for i, value in enumerate(rng.random(5000) + 0.01)]
    Path("smooth.bedgraph").write_text("".join(lines))
    Path("sheet.tsv").write_text("sample\tjunctions\tcoverage\ns\tSJ.out.tab\tsmooth.bedgraph\n")
    refused(BadData, ["smooth.bedgraph", "--coverage-scale"], CHRZ, "--samples", "sheet.tsv")
    quantify(CHRZ, "--samples", "sheet.tsv", "--coverage-scale", "0.5")
    assert json.loads(Path("out/s.counts.json").read_text())["unit"] == 0.5


def test_table_of_counts():
    golden = {row["name"]: row for row in rows(DATA / "02H025.introns.tsv.gz")}
    known = [row for row in golden.values() if row["retained"] != "NA"]
    cells = [
        ("Z", int(row["start"]) + 1, row["end"], row["strand"], "s", row["retained"], row["spliced"]) for row in known
    ]
    lines = ["\t".join(map(str, row)) + "\n" for row in cells]
    wrong = "Z\t7\t99\t+\ts\t4\t5\nq\t7\t99\t+\ts\t4\t5\n" + lines[0].replace("\t-\t", "\t+\t")
    head = "chr\tleft\tright\tstrand\tsample\tretained\tspliced\n"
    Path("counts.tsv").write_text(head + "".join(lines) + wrong + lines[0].replace("\ts\t", "\tother\t"))
    Path("sheet.tsv").write_text("sample\tcounts\tcondition\ns\tcounts.tsv\tblood\n")
    columns = ["--counts-columns", "chrom=chr,start=left,end=right"]
    refused(UsageError, ["--counts-base"], CHRZ, "--samples", "sheet.tsv", *columns)
    quantify(CHRZ, "--samples", "sheet.tsv", "--counts-base", "1", *columns, "--novel-junctions", "novel.tsv")
    assert len(Path("novel.tsv").read_text().splitlines()) == 1
    for row in rows("out/s.introns.tsv.gz"):
        expected = golden[row["name"]]
        assert row["method"] == ("counts" if expected["retained"] != "NA" else "none")
        levels = ("psi", "psi_low", "psi_high", "n", "retained", "spliced")
        assert all(same(row[name], expected[name]) for name in levels)
        assert row["depth"] == row["measured"] == row["ei_left"] == row["balance"] == "NA"
        if expected["call"] == "1":
            assert row["call"] == "1"
    ledger = pd.read_csv("out/ledger.tsv", sep="\t")
    assert sorted(ledger["reason"]) == ["chrom_not_annotated", "not_annotated", "other_strand"]
    counts = json.loads(Path("out/counts.json").read_text())
    assert counts["n_introns"] == counts["n_rows"] == 100
