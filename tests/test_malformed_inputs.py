"""Hand-made broken inputs: each gives exit code 65, one line for each problem with its line number, and no output."""

from pathlib import Path

import pytest

import label_introns
from intronaut.core.errors import BadData

FOLDER = Path(__file__).parent / "data" / "callers"
GTF_ABOUT = 'gene_id "G"; transcript_id "T";'
GOOD_GTF = f"1\ts\texon\t1\t10\t.\t+\t.\t{GTF_ABOUT}\n"
GOOD_GFF = "1\ts\tmRNA\t1\t50\t.\t+\t.\tID=T;Parent=G\n"


def gtf(chrom="1", kind="exon", start="21", end="30", strand="+", about=GTF_ABOUT, source="s"):
    return "\t".join([chrom, source, kind, start, end, ".", strand, ".", about]) + "\n"


# every case: the text after one good line, what the message says, the number of the line at fault
GTF = {
    "word as start": (gtf(start="ten"), "'ten'", 2),
    "word as end": (gtf(end="thirty"), "'thirty'", 2),
    "empty start": (gtf(start=""), "not whole numbers", 2),
    "empty end": (gtf(end=""), "not whole numbers", 2),
    "fraction": (gtf(start="1.5"), "'1.5'", 2),
    "exponent": (gtf(end="1e9"), "'1e9'", 2),
    "negative start": (gtf(start="-4"), "'-4'", 2),
    "zero start": (gtf(start="0"), "not 1-based", 2),
    "end before start": (gtf(start="40", end="30"), "not 1-based, start before end", 2),
    "thousands comma": (gtf(start="1,000", end="2,000"), "'1,000'", 2),
    "too large": (gtf(end="99999999999"), "not 1-based", 2),
    "more digits than a number holds": (gtf(end="9" * 25), "not 1-based", 2),
    "hexadecimal": (gtf(end="0x1F"), "'0x1F'", 2),
    "not a number": (gtf(end="NaN"), "'NaN'", 2),
    "space in number": (gtf(start="2 1"), "'2 1'", 2),
    "plus sign": (gtf(start="+21"), "'\\+21'", 2),
    "bad strand": (gtf(strand="1"), "strand '1'", 2),
    "two strands": (gtf(strand="+-"), "strand '\\+-'", 2),
    "empty strand": (gtf(strand=""), "strand ''", 2),
    "word as strand": (gtf(strand="forward"), "strand 'forward'", 2),
    "eight columns": ("1\ts\texon\t21\t30\t.\t+\t.\n", "8 tab-separated columns", 2),
    "ten columns": (gtf().rstrip("\n") + "\textra\n", "10 tab-separated columns", 2),
    "one column": ("hello\n", "1 tab-separated columns", 2),
    "spaces for tabs": ("1 s exon 21 30 . + . gene_id\n", "1 tab-separated columns", 2),
    "commas for tabs": ("1,s,exon,21,30,.,+,.,x\n", "1 tab-separated columns", 2),
    "no transcript": (gtf(about='gene_id "G";'), "exon without transcript_id", 2),
    "empty transcript": (gtf(about='gene_id "G"; transcript_id "";'), "exon without transcript_id", 2),
    "empty attributes": (gtf(about=""), "exon without transcript_id", 2),
    "quotes around column nine": (
        gtf(about='"gene_id ""G""; transcript_id ""T"";"'),
        "column nine is in quotes, as spreadsheets",
        2,
    ),
    "quotes around that of a gene": (gtf(kind="gene", about='"gene_id ""G"";"'), "column nine is in quotes", 2),
    "empty chromosome": (gtf(chrom=""), "empty chromosome", 2),
    "empty feature": (gtf(kind=""), "empty chromosome or feature", 2),
    "broken CDS of a transcript without exons": (gtf(kind="CDS", start="x", about='transcript_id "U";'), "'x'", 2),
    "broken after good": (gtf() + gtf(start="a") + gtf(start="b"), "2 problems", 4),
}


def gff(about, kind="exon", **more):
    return gtf(kind=kind, about=about, **more)


GFF3 = {
    "no parent": (gff("ID=e1"), "exon without Parent", 2),
    "empty parent": (gff("Parent="), "exon without Parent", 2),
    "unknown parent": (gff("Parent=nobody"), "Parent 'nobody' is nowhere", 2),
    "one of two parents unknown": (gff("Parent=T,U"), "Parent 'U' is nowhere", 2),
    "parent in lower case": (gff("parent=T"), "exon without Parent", 2),
    "no attributes": (gff("."), "exon without Parent", 2),
    "quotes around attributes with commas": (gff('"ID=U;Dbxref=a,b"', kind="mRNA"), "column nine is in quotes", 2),
    "empty attributes": (gff(""), "exon without Parent", 2),
    "parent of another case": (gff("Parent=t"), "Parent 't' is nowhere", 2),
    "parent after a space": (gff("Parent=T T"), "Parent 'T T' is nowhere", 2),
    "GTF attributes in a GFF3": (gff(GTF_ABOUT), "exon without Parent", 2),
    "word as start": (gff("Parent=T", start="ten"), "'ten'", 2),
    "word as end": (gff("Parent=T", end="thirty"), "'thirty'", 2),
    "empty start": (gff("Parent=T", start=""), "not whole numbers", 2),
    "dot as start": (gff("Parent=T", start="."), "'.'", 2),
    "zero start": (gff("Parent=T", start="0"), "not 1-based", 2),
    "negative start": (gff("Parent=T", start="-1"), "'-1'", 2),
    "end before start": (gff("Parent=T", start="9", end="3"), "not 1-based", 2),
    "fraction": (gff("Parent=T", end="30.0"), "'30.0'", 2),
    "too large": (gff("Parent=T", end="3000000000"), "not 1-based", 2),
    "bad strand": (gff("Parent=T", strand="x"), "strand 'x'", 2),
    "empty strand": (gff("Parent=T", strand=""), "strand ''", 2),
    "strand as number": (gff("Parent=T", strand="-1"), "strand '-1'", 2),
    "empty chromosome": (gff("Parent=T", chrom=""), "empty chromosome", 2),
    "empty feature": (gff("Parent=T", kind=""), "feature type", 2),
    "eight columns": ("1\ts\texon\t21\t30\t.\t+\t.\n", "8 tab-separated", 2),
    "ten columns": (gff("Parent=T\tx"), "10 tab-separated", 2),
    "spaces for tabs": ("1 s exon 21 30 . + . Parent=T\n", "1 tab-separated", 2),
    "FASTA without its mark, and no exon": (">1\nACGT\n", "no exon or CDS", None),
    "HTML": ("<html>\n", "1 tab-separated", 2),
    "broken CDS of a transcript without exons": (gff("Parent=T", kind="CDS", end="x"), "'x'", 2),
    "broken after good": (gff("Parent=T") + gff("Parent=T", end="q"), "'q'", 3),
}
BED = {
    "two columns": ("1\t5\n", "2 tab-separated", 2),
    "one column": ("chr1:5-9\n", "1 tab-separated", 2),
    "spaces": ("1 5 9\n", "1 tab-separated .*separated by blanks: write tabs", 2),
    "commas": ("1,5,9\n", "1 tab-separated", 2),
    "word as start": ("1\tx\t9\n", "'x'", 2),
    "word as end": ("1\t5\ty\n", "'y'", 2),
    "header in the middle": ("chrom\tstart\tend\n", "'start'", 2),
    "negative start": ("1\t-5\t9\n", "'-5'", 2),
    "negative end": ("1\t5\t-9\n", "'-9'", 2),
    "end before start": ("1\t9\t5\n", "not after the start", 2),
    "empty interval": ("1\t5\t5\n", "not after the start", 2),
    "fraction": ("1\t5.0\t9\n", "'5.0'", 2),
    "exponent": ("1\t1e3\t2e3\n", "'1e3'", 2),
    "thousands": ("1\t1,000\t2,000\n", "'1,000'", 2),
    "empty start": ("1\t\t9\n", "''", 2),
    "empty end": ("1\t5\t\n", "''", 2),
    "empty chromosome": ("\t5\t9\n", "no chromosome", 2),
    "too large": ("1\t5\t99999999999\n", "not after the start", 2),
    "more digits than a number holds": ("1\t5\t" + "9" * 25 + "\n", "not after the start", 2),
    "missing value": ("1\tNA\t9\n", "'NA'", 2),
    "not a number": ("1\tnan\t9\n", "'nan'", 2),
    "infinite": ("1\t5\tinf\n", "'inf'", 2),
    "hexadecimal": ("1\t0x5\t9\n", "'0x5'", 2),
    "quoted": ('"1\t"5\t"9\n', "'\"5'", 2),
    "swapped columns": ("5\t9\tchr1\n", "'chr1'", 2),
    "strand as end": ("1\t5\t+\n", "'\\+'", 2),
    "GTF": (gtf(), "'s'", 2),
    "VCF": ("1\t5\t.\tA\tC\t.\t.\t.\n", "'.'", 2),
    "space in number": ("1\t5 \t9\n", "'5 '", 2),
    "HTML": ("<html><body>\n", "1 tab-separated", 2),
    "FASTA": (">1\nACGT\n", "1 tab-separated", 3),
    "second of two": ("1\t6\t9\n1\tq\t9\n", "'q'", 3),
}
SUPPA = "ENSGA;RI:chr1:1001:1100-1301:1400:+\t0.5\n"
CALLS = {
    "generic: word as start": ("chrom\tstart\tend\tpsi\n1\tx\t9\t0\n", "start is 'x'", 2),
    "generic: empty end": ("chrom\tstart\tend\tpsi\n1\t5\t\t0\n", "end is missing", 2),
    "generic: fraction": ("chrom\tstart\tend\tpsi\n1\t5.5\t9\t0\n", "'5.5'", 2),
    "generic: end before start": ("chrom\tstart\tend\tpsi\n1\t9\t5\t0\n", "9 to 5", 2),
    "generic: empty interval": ("chrom\tstart\tend\tpsi\n1\t9\t9\t0\n", "9 to 9", 2),
    "generic: negative": ("chrom\tstart\tend\tpsi\n1\t-9\t9\t0\n", "-9 to 9", 2),
    "generic: too large": ("chrom\tstart\tend\tpsi\n1\t1\t99999999999\t0\n", "'99999999999'", 2),
    "generic: no chromosome": ("chrom\tstart\tend\tpsi\n\t1\t9\t0\n", "no chromosome", 2),
    "generic: bad strand": ("chrom\tstart\tend\tstrand\tpsi\n1\t1\t9\tx\t0\n", "strand 'x'", 2),
    "generic: word as value": ("chrom\tstart\tend\tpsi\n1\t1\t9\thigh\n", "psi is 'high'", 2),
    "generic: per cent": ("chrom\tstart\tend\tpsi\n1\t1\t9\t50%\n", "psi is '50%'", 2),
    "generic: infinite": ("chrom\tstart\tend\tpsi\n1\t1\t9\tinf\n", "psi is 'inf'", 2),
    "generic: decimal comma": ("chrom\tstart\tend\tpsi\n1\t1\t9\t0,5\n", "psi is '0,5'", 2),
    "generic: short row": ("chrom\tstart\tend\tpsi\n1\t1\t9\t0\n1\t1\t9\n", "3 columns, the header has 4", 3),
    "generic: long row": ("chrom\tstart\tend\tpsi\n1\t1\t9\t0\n1\t1\t9\t0\t5\n", "5 columns, the header has 4", 3),
    "generic: no value column": ("chrom\tstart\tend\tscore\n1\t1\t9\t0\n", "no column psi", None),
    "generic: no start column": ("chrom\tfrom\tend\tpsi\n1\t1\t9\t0\n", "no column for start", None),
    "generic: no chromosome column": ("x\tstart\tend\tpsi\n1\t1\t9\t0\n", "no column for chrom", None),
    "empty file": ("", "empty", None),
    "only comments": ("## nothing\n", "empty", None),
    "BED: end before start": ("1\t9\t5\n", "9 to 5", 1),
    "BED: short row": ("1\t5\t9\n1\t5\n", "2 columns, the header has 3", 2),
    "BED: word": ("1\t5\t9\n1\tx\t9\n", "column_2 is 'x'", 2),
    "SUPPA2: broken event": (
        "s1\n" + SUPPA + "ENSGA;RI:chr1:1001:+\t0.5\n", "not gene;RI:chrom:s1:e1-s2:e2:strand", 3,
    ),
    "SUPPA2: word as PSI": ("s1\n" + SUPPA.replace("0.5", "high"), "s1 is 'high'", 2),
    "SUPPA2: exons swapped": ("s1\nENSGA;RI:chr1:1301:1400-1001:1100:+\t0.5\n", "1400 to 1000", 2),
    "iREAD: broken identifier": ("iread", "1-1100-1300-ENSGA", "1-1100-ENSGA", "not chrom-start-end-gene-length", 2),
    "iREAD: wrong length": ("iread", "ENSGA-200", "ENSGA-201", "is not end - start", 2),
    "IRFinder: word as ratio": ("irfinder", "0.24", "high", "IRratio is 'high'", 2),
    "IRFinder: word as start": ("irfinder", "1100\t1300", "x\t1300", "Start is 'x'", 2),
    "rMATS: counts lacking": ("rmats", "40,50\t60,50", "40\t60,50", "one inclusion and one skipping count", 2),
    "rMATS: word as level": ("rmats", "0.3,0.35", "0.3,x", "'x', not a number", 2),
    "MAJIQ: broken coordinates": ("majiq_v2.psi", "\t1101-1300\t", "\t1101:1300\t", "ir_coords is '1101:1300'", 2),
    "vast-tools: broken coordinates": ("vast", "chr1:1101-1300\t", "chr1:1101\t", "COORD is 'chr1:1101'", 2),
    "iDiffIR: broken span": ("idiffir.", "(1101, 1301)", "(1101)", "not \\(start, end\\)", 2),
    "SpliceGrapher: broken span": ("splicegrapher", "(1001, 1100)", "1001", "not \\(start, end\\)", 2),
}  # fmt: skip


def refusal(folder, monkeypatch, *args):
    monkeypatch.chdir(folder)
    with pytest.raises(BadData) as caught:
        label_introns.main([*map(str, args), "--quiet"])
    assert sorted(path.name for path in folder.iterdir()) == ["input"]
    return str(caught.value)


def check(message, expected, line):
    import re

    assert "input: " in message and re.search(expected, message), message
    assert line is None or f"line {line}: " in message, message


@pytest.mark.parametrize("case", GTF)
def test_gtf(case, tmp_path, monkeypatch):
    text, expected, line = GTF[case]
    (tmp_path / "input").write_text(GOOD_GTF + text)
    check(refusal(tmp_path, monkeypatch, "input"), expected, line)


@pytest.mark.parametrize("case", GFF3)
def test_gff3(case, tmp_path, monkeypatch):
    text, expected, line = GFF3[case]
    (tmp_path / "input").write_text(GOOD_GFF + text)
    check(refusal(tmp_path, monkeypatch, "input"), expected, line)


@pytest.mark.parametrize("case", BED)
def test_bed(case, tmp_path, monkeypatch):
    text, expected, line = BED[case]
    (tmp_path / "input").write_text("1\t5\t9\tpeak\n" + text)
    check(refusal(tmp_path, monkeypatch, FOLDER / "annotation.gtf", "--peaks", "input"), expected, line)


@pytest.mark.parametrize("case", CALLS)
def test_callers_tables(case, tmp_path, monkeypatch):
    *text, expected, line = CALLS[case]
    if len(text) == 1:
        broken = text[0]
    else:
        good = next(FOLDER.glob(f"{text[0]}*")).read_text()
        broken = good.replace(text[1], text[2], 1)
        assert broken != good
    (tmp_path / "input").write_text(broken)
    generic = ["--calls-base", 0, "--calls-value", "psi", "--calls-threshold", 0.1] if "generic" in case else []
    check(refusal(tmp_path, monkeypatch, FOLDER / "annotation.gtf", "--calls", "input", *generic), expected, line)


def test_there_are_thirty_of_every_family():
    assert min(map(len, (GTF, GFF3, BED, CALLS))) >= 30


def test_first_twenty_problems_are_listed_and_the_rest_counted(tmp_path, monkeypatch):
    (tmp_path / "input").write_text(GOOD_GTF + gtf(start="x") * 30)
    message = refusal(tmp_path, monkeypatch, "input")
    assert "30 problems" in message and "… and 10 more" in message and len(message.splitlines()) == 22


def test_the_program_ends_with_65_and_without_a_traceback(tool, tmp_path):
    (tmp_path / "input").write_text(GOOD_GTF + gtf(start="x"))
    done = tool("label_introns", "input", code=65)
    assert done.stderr == "label_introns: error: input: line 2: coordinates 'x' to '30' are not whole numbers from 1\n"
