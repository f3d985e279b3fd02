"""Peaks: BED reading, and the labelling rules against a base-by-base brute force."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import label_introns
from intronaut.core.errors import BadData
from intronaut.genome.annotation import read_annotation
from intronaut.io.peaks import read_peaks
from intronaut.io.tables import read_labels
from intronaut.labels.peaks import flanking_exons, label_peaks
from intronaut.paper.peaks import label_peaks_as_paper


def spans(largest):
    return st.lists(st.tuples(st.integers(0, 60), st.integers(1, largest)), min_size=1, max_size=8)


def table(pairs):
    starts, widths = np.array(pairs).T
    return pd.DataFrame({"chrom": "1", "start": starts, "end": starts + widths})


def slow_label(start, end, introns, labels, least):
    """Label and ledger reason of one peak, by counting bases."""
    bases = range(start, end)
    share = {}
    for kind in (1, 0, None):
        under = [row for row, label in zip(introns, labels, strict=True) if label == kind]
        share[kind] = sum(any(a <= base < a + width for a, width in under) for base in bases) / len(bases)
    if share[1] >= least and share[1] > 0:
        return 1, None
    if share[0] >= least and share[0] > 0:
        return (0, None) if share[1] == 0 else (None, "touches_retained")
    if not any(share.values()):
        return None, "outside_introns"
    return (None, None) if share[None] >= least else (None, "overlap_below_minimum")


@pytest.mark.slow
@settings(max_examples=80, deadline=None, derandomize=True)
@given(spans(20), spans(30), st.data(), st.sampled_from([0.1, 0.5, 1.0]))
def test_labels_agree_with_counting_bases(peaks, introns, data, least):
    labels = data.draw(st.lists(st.sampled_from([1, 0, None]), min_size=len(introns), max_size=len(introns)))
    values = np.array([np.nan if label is None else label for label in labels], float)
    found = label_peaks(table(peaks), table(introns), values, least)
    for (start, width), row in zip(peaks, found.itertuples(), strict=True):
        label, ledger = slow_label(start, start + width, introns, labels, least)
        assert ((None if np.isnan(row.label) else row.label), row.ledger) == (label, ledger)


def test_summit_decides_alone():
    peaks = pd.DataFrame({"chrom": "1", "start": [0, 0], "end": [100, 100], "summit": [5, 60]})
    introns = pd.DataFrame({"chrom": "1", "start": [0, 50], "end": [10, 100]})
    found = label_peaks(peaks, introns, np.array([1.0, 0.0]), 0.5, summit=True)
    assert found["label"].tolist() == [1, 0]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """One plus gene with introns 200-300, 400-500 (retained), 600-700, and a function that labels peaks on it."""
    monkeypatch.chdir(tmp_path)
    exons = {"T1": [(101, 200), (301, 400), (501, 600), (701, 800)], "T2": [(301, 600)]}
    lines = [
        f'1\tx\texon\t{start}\t{end}\t.\t+\t.\tgene_id "G"; transcript_id "{name}"; transcript_biotype "{kind}";\n'
        for (name, rows), kind in zip(exons.items(), ("protein_coding", "retained_intron"), strict=True)
        for start, end in rows
    ]
    (tmp_path / "a.gtf").write_text("".join(lines))

    def run(bed, *options):
        (tmp_path / "peaks.bed").write_text(bed)
        label_introns.main(["a.gtf", "--peaks", "peaks.bed", "--folds", "1", "--allow-empty", "--quiet", *options])
        ledger = pd.read_csv("ledger.tsv", sep="\t").set_index("name")["reason"].to_dict()
        return read_labels("labels.tsv").set_index("name")["label"].to_dict(), ledger

    return run


def test_peaks_on_flanking_exons_are_left_out_unless_asked(small):
    bed = "1\t210\t310\ta\n1\t210\t290\tb\n1\t590\t690\tc\n"
    assert small(bed) == ({"b": 0}, {"a": "on_flanking_exon", "c": "on_flanking_exon"})
    assert small(bed, "--keep-flanking") == ({"a": 0, "b": 0, "c": 0}, {})


def test_narrow_peak_summit(small):
    line = "1\t150\t300\tp\t0\t.\t1\t1\t1\t{}\n"
    assert small(line.format(120), "--summit") == ({"p": 0}, {})
    assert small(line.format(20), "--summit") == ({}, {"p": "outside_introns"})
    assert small(line.format(-1), "--summit") == ({"p": 0}, {})


def test_equal_intervals_count_once_and_shared_names_are_replaced(small):
    labels, ledger = small("1\t210\t290\tsame\n1\t210\t290\tsame\n1\t220\t280\tsame\n")
    assert labels == {"1:210-290": 0, "1:220-280": 0} and ledger == {"1:210-290": "duplicate"}


def test_paper_rules_by_hand(small):
    """The intron 400-500 is 401-500 in the paper's terms; a BED start of 500 still touches it."""
    cases = {
        "touch": (500, 520), "before": (390, 400), "after": (501, 560), "edge": (600, 640), "far": (640, 690),
        "early": (100, 150), "inside": (102, 150), "out": (900, 950),
    }  # fmt: skip
    bed = "".join(f"1\t{start}\t{end}\t{name}\n" for name, (start, end) in cases.items())
    labels, ledger = small(bed, "--paper", "--negatives", "9")
    assert labels == {"touch": 1, "far": 0, "inside": 0}
    assert ledger == {
        "before": "on_flanking_exon", "after": "on_flanking_exon", "edge": "on_flanking_exon",
        "early": "outside_genes", "out": "outside_genes",
    }  # fmt: skip
    labels, ledger = small(bed, "--paper", "--negatives", "1")
    assert sum(label == 0 for label in labels.values()) == 1 and list(ledger.values()).count("not_drawn") == 1


def test_paper_rules_agree_with_a_loop_on_real_peaks(real_data):
    folder = real_data / "human_chr19p_GRCh38"
    annotation = read_annotation(folder / "annotation.chr19p.ensembl91.gtf.gz")
    peaks = read_peaks(folder / "peaks.ENCODE_cCRE_PLS_K562.chr19.bed.gz").assign(chrom="19")
    introns = label_introns_of(annotation)
    retained = introns["label"].to_numpy() == 1
    exons = flanking_exons(annotation, introns[retained])
    found = label_peaks_as_paper(peaks, introns, retained, exons, annotation.genes, 2, 1)
    events = introns[retained]
    for peak, row in zip(peaks.itertuples(), found.itertuples(), strict=True):
        genes = annotation.genes
        inside = ((genes["start"] + 1 < peak.start) & (genes["end"] > peak.end)).any()
        touched = ((events["start"] + 1 <= peak.end) & (peak.start <= events["end"])).any()
        flanked = ((exons["start"] + 1 <= peak.end) & (peak.start <= exons["end"])).any()
        assert (row.label == 1) == (inside and touched)
        assert (row.ledger == "outside_genes") == (not inside)
        assert (row.ledger == "on_flanking_exon") == (inside and not touched and flanked)
    assert (found["label"] == 0).sum() == min(2 * (found["label"] == 1).sum(), found["ledger"].ne("x").sum())


def label_introns_of(annotation):
    from intronaut.genome.annotation import distinct_introns
    from intronaut.labels.annotation import label_by_annotation

    introns, genes = distinct_introns(annotation)
    return introns.assign(label=label_by_annotation(annotation, introns, genes, "any-exon")[0])


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_bed_headers_and_line_ends(tmp_path, ending):
    lines = ["browser position chr1", "track name=x", "# note", "chrom\tstart\tend", "chr1\t5\t9", ""]
    path = tmp_path / "p.bed"
    path.write_bytes(("\ufeff" + ending.join(lines)).encode())
    assert read_peaks(path)[["chrom", "start", "end", "summit"]].to_numpy().tolist() == [["chr1", 5, 9, 7]]


MACS_1 = "# generated by MACS version 1.4.2\nchr\tstart\tend\tlength\tsummit\ttags\nchr1\t221\t380\t160\t31\t9\n"
RANGES = "seqnames\tstart\tend\twidth\tstrand\nchr1\t221\t380\t160\t*\n"
SEACR = "chr1\t220\t380\t1234.5\t90\tchr1:300-310\n"
EPIC_2 = "#Chromosome\tStart\tEnd\tPValue\tScore\tStrand\nchr1\t220\t380\t1e-5\t100.0\t.\n"
# as R writes MACS's table again; 0-based 220 and abs_summit 251 are the 1-based 221 and the base 250
QUOTED = '"chr"\t"start"\t"end"\t"length"\t"abs_summit"\t"pileup"\t"name"\n"chr1"\t221\t380\t160\t251\t5\t"p1"\n'
CAPITALS = "Chr\tStart\tEnd\tLength\nchr1\t221\t380\t160\n"
NARROW = "chr1\t220\t380\tp1\t100\t.\t13.7\t25.1\t22.4\t30"
# IDR's 20 columns; bedtools intersect -c; HMMRATAC's three zeros
IDR = "chr1\t220\t380\tp1\t100\t.\t-1\t52.7\t5.05\t30" + "\t5.04\t6.05\t220\t380\t52.7\t30\t220\t380\t27.5\t30\n"
ZEROS = "chr1\t220\t380\tp1\t100\t.\t0\t0\t0\t30\t4\n"
# no summits: BED12, its thick part left at 0, counts of five alignments, bedtools coverage with a count behind it
BED_12 = "chr1\t220\t380\tp1\t100\t.\t{}\t{}\t0\t2\t50,60\t0,100\n"
COUNTS = "chr1\t220\t380\tp1\t100\t.\t9\t8\t7\t30\t5\n"
COVERED = "chr1\t220\t380\tp1\t100\t.\t3\t80\t160\t0.5\t1\n"
STRANDED = "chr1\t220\t380\tp1\t100\t+\t1.5\t1.5\t1.5\t30\t9\n"
GAPPED = "chr1\t220\t380\tp1\t100\t.\t230\t370\t0\t2\t50,60\t0,100\t5\t7\t3\n"


@pytest.mark.parametrize(
    ("text", "name", "summit"),
    [(MACS_1, None, 250), (RANGES, None, 300), (SEACR, None, 300), (EPIC_2, None, 300), (GAPPED, "p1", 300)]
    + [(QUOTED, "p1", 250), (CAPITALS, None, 300), (IDR, "p1", 250), (NARROW + "\t4\n", "p1", 250), (ZEROS, "p1", 250)]
    + [(NARROW.replace("\t30", "\t-1") + "\t4\n", "p1", 300), (BED_12.format(230, 370), "p1", 300)]
    + [(BED_12.format(0, 0), "p1", 300), (COUNTS, "p1", 300), (COVERED, "p1", 300), (STRANDED, "p1", 300)],
)
def test_tables_of_peak_callers_give_one_place(text, name, summit, tmp_path):
    (tmp_path / "peaks").write_text(text)
    rows = read_peaks(tmp_path / "peaks")
    assert rows.to_dict("records") == [
        {"chrom": "chr1", "start": 220, "end": 380, "name": name, "strand": ".", "summit": summit}
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("#PeakID\tchr\tstart\tend\nchr1-1\tchr1\t221\t380\n", "pos2bed.pl"),
        ("chr1\t220.0\t380.0\n", "'220.0'"),
        ('"chr"\t"start"\t"end"\n"1"\t"2"\t221\t380\n', "line 2: .* row.names = FALSE"),
        ('""\t"chr"\t"start"\t"end"\n"1"\t"2"\t221\t380\n', "line 2: .* row.names = FALSE"),
    ],
)
def test_peaks_that_cannot_be_read_are_named(text, says, tmp_path):
    (tmp_path / "peaks").write_text(text)
    with pytest.raises(BadData, match=says):
        read_peaks(tmp_path / "peaks")


def test_the_tenth_column_is_a_summit_where_every_line_agrees(tmp_path):
    """One line of counts among wide ones, and no column of any is a summit; a line of whole numbers is no doubt."""
    whole = "chr1\t500\t600\tp2\t100\t.\t1\t2\t3\t70\t1\n"
    for other, summits in ((whole, [250, 570]), (whole.replace("\t70\t", "\t170\t"), [300, 550])):
        (tmp_path / "peaks").write_text(NARROW + "\t4\n" + other)
        assert read_peaks(tmp_path / "peaks")["summit"].tolist() == summits


def test_a_first_line_of_names_moves_no_column(tmp_path):
    (tmp_path / "peaks").write_text("chrom\tstart\tend\n1\t220\t380\tp1\n")
    assert read_peaks(tmp_path / "peaks")[["chrom", "start", "end"]].to_numpy().tolist() == [["1", 220, 380]]


PEAK = "chr1\t220\t380\n"


@pytest.mark.parametrize(
    ("first", "lines"),
    [
        ("chr1\t1,250\t1,300\n", [1]),
        ("chr1\t1,250\t1,300\nchr1\tNA\tNA\n", [1, 2]),
        ("# note\nchr1\tNA\tNA\n", [2]),
        ("chr1\t.\t.\n", [1]),
        ("chr1\tn/a\tNaN\n", [1]),
        ("chrom\tstart\tend\nchr1\t1,250\t1,300\n", [2]),
        ("chrom\tstart\tend\nchrom\tstart\tend\n", [2]),
        ('"Chr"\t"Start"\t"End"\n"chr1"\t"1,250"\t"1,300"\n', [2]),
    ],
)
def test_leading_lines_without_coordinates_are_refused_by_line(first, lines, tmp_path):
    (tmp_path / "peaks").write_text(first + PEAK)
    with pytest.raises(BadData) as refused:
        read_peaks(tmp_path / "peaks")
    assert [int(number) for number in re.findall(r"line (\d+): start", str(refused.value))] == lines


@pytest.mark.parametrize(
    "names",
    [
        "chrom\tstart\tend",
        "seqnames\tstart\tend\twidth\tstrand",
        "Chr\tStart\tEnd",
        '"chrom"\t"chromStart"\t"chromEnd"',
    ],
)
def test_one_line_of_names_before_the_peaks_is_no_peak(names, tmp_path):
    """Starts of a table with the width or the like count from 1, as Bioconductor writes them."""
    (tmp_path / "peaks").write_text(f"{names}\n{PEAK}")
    start = 219 if "width" in names else 220
    assert read_peaks(tmp_path / "peaks")[["chrom", "start", "end"]].to_numpy().tolist() == [["chr1", start, 380]]
