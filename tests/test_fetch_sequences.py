"""fetch_sequences: right bases on both strands and at chromosome ends, nothing lost, nothing half-written."""

import contextlib
import gzip
import os
import random
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from Bio.Seq import Seq
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import DEMO, ROOT
from intronaut.core.errors import ToolError
from intronaut.genome.reference import Genome
from intronaut.genome.windows import ANCHORS, NoWindow, Row, cut_window, read_rows, window_start
from intronaut.io.fasta import parse_header, read_windows
from random_genomes import block_offsets, random_genome, write_fasta

FAR = 200


class Bases:
    """Stands in for a Genome: one chromosome held in memory."""

    def __init__(self, sequence):
        self.sequence, self.lengths = sequence, {"c": len(sequence)}

    def fetch(self, chrom, start, end):
        assert 0 <= start <= end <= len(self.sequence)
        return self.sequence[start:end].upper()


def read_by_hand(sequence, row, anchor, length):
    """The padded window by the stated rule, on the chromosome as its own strand reads it."""
    n = len(sequence)
    if row.strand == "-":
        sequence = str(Seq(sequence).reverse_complement())
        start, end = n - row.end, n - row.start
    else:
        start, end = row.start, row.end
    padded = "N" * FAR + sequence.upper() + "N" * FAR
    if anchor == "donor":
        first = start - length // 2
    elif anchor == "acceptor":
        first = (end - 1) - (length - 1 - length // 2)
    else:
        first = (start + end) / 2 - length / 2
        first = int(first) if first == int(first) else int(first - 0.5)
    return padded[FAR + first : FAR + first + length]


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("length", [1, 2, 7, 10])
@pytest.mark.parametrize("n", [1, 3, 9, 45])
def test_every_row_of_small_chromosomes_padded(anchor, length, n):
    bases = Bases(random_genome(n, {"c": n})["c"])
    for start in range(n):
        for end in range(start + 1, n + 1):
            for strand in "+-":
                row = Row("c", start, end, "x", ".", strand)
                window = cut_window(bases, row, "c", anchor=anchor, length=length, edge="pad", strand="aware")
                wanted = read_by_hand(bases.sequence, row, anchor, length)
                assert window.sequence == wanted, row
                inside = window.sequence[window.fields["pad_left"] : length - window.fields["pad_right"]]
                on_strand = bases.fetch("c", max(window.start, 0), min(window.end, n)) if inside else ""
                assert inside == (str(Seq(on_strand).reverse_complement()) if strand == "-" else on_strand)
                assert (window.end - window.start, window.strand, window.fields["shift"]) == (length, strand, 0)


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("strand", "+-")
def test_shift_and_drop_near_both_ends(anchor, strand):
    n, length = 45, 10
    bases = Bases(random_genome(1, {"c": n})["c"])
    how = {"anchor": anchor, "length": length, "strand": "forward"}
    for start in range(n):
        for end in range(start + 1, n + 1):
            row = Row("c", start, end, "x", ".", strand)
            padded = cut_window(bases, row, "c", edge="pad", **how)
            shifted = cut_window(bases, row, "c", edge="shift", **how)
            inside = min(max(padded.start, 0), n - length)
            assert (shifted.start, shifted.end, shifted.fields["shift"]) == (
                inside,
                inside + length,
                inside - padded.start,
            )
            assert shifted.sequence == bases.fetch("c", inside, inside + length)
            if inside == padded.start:
                assert cut_window(bases, row, "c", edge="drop", **how).sequence == padded.sequence == shifted.sequence
            else:
                with pytest.raises(NoWindow, match="leaves the chromosome"):
                    cut_window(bases, row, "c", edge="drop", **how)


def test_chromosome_shorter_than_the_window_cannot_be_shifted_into():
    row = Row("c", 2, 5, "x", ".", "+")
    with pytest.raises(NoWindow, match="shorter than the window"):
        cut_window(Bases("ACGTACG"), row, "c", anchor="centre", length=8, edge="shift", strand="aware")


def test_splice_sites_by_hand():
    #             exon| intron   |exon
    bases = Bases("CCAAGTAAGCTAGACC")
    plus = Row("c", 4, 14, "x", ".", "+")
    how = {"edge": "pad", "strand": "aware"}
    assert cut_window(bases, plus, "c", anchor="donor", length=4, **how).sequence == "AAGT"
    assert cut_window(bases, plus, "c", anchor="donor", length=5, **how).sequence == "AAGTA"
    assert cut_window(bases, plus, "c", anchor="acceptor", length=4, **how).sequence == "GACC"
    assert cut_window(bases, plus, "c", anchor="acceptor", length=5, **how).sequence == "AGACC"
    minus = Bases(str(Seq(bases.sequence).reverse_complement()))
    row = Row("c", 2, 12, "x", ".", "-")
    for anchor, length in [("donor", 4), ("donor", 5), ("acceptor", 4), ("acceptor", 5), ("centre", 3), ("centre", 6)]:
        one = cut_window(bases, plus, "c", anchor=anchor, length=length, **how)
        assert cut_window(minus, row, "c", anchor=anchor, length=length, **how).sequence == one.sequence


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 10**9), st.integers(1, 10**6), st.integers(1, 5000), st.sampled_from(ANCHORS))
def test_windows_mirror_under_strand(start, size, length, anchor):
    n = 2 * 10**9
    plus = window_start(Row("c", start, start + size, "x", ".", "+"), anchor, length)
    minus = window_start(Row("c", n - start - size, n - start, "x", ".", "-"), anchor, length)
    assert minus == n - plus - length


@pytest.mark.parametrize("anchor", ["donor", "acceptor"])
def test_row_without_strand_has_no_splice_site(anchor):
    with pytest.raises(NoWindow, match=f"no strand, so no {anchor}"):
        cut_window(
            Bases("ACGT"), Row("c", 1, 2, "x", ".", "."), "c", anchor=anchor, length=2, edge="pad", strand="aware"
        )


@pytest.fixture
def small(tmp_path):
    """A genome and rows all over it, near the ends most of all."""
    bases = random_genome(5, {"chr1": 3000, "chr2": 450, "tiny": 30})
    rng = random.Random(6)
    rows = []
    for chrom, sequence in bases.items():
        n = len(sequence)
        for number in range(60):
            near = rng.choice([0, n]) if number % 2 else rng.randrange(n)
            start, end = sorted(min(max(near + rng.randrange(-300, 300), 0), n) for _ in range(2))
            if start < end:
                rows.append((chrom, start, end, f"{chrom}_{number}", "0", rng.choice("+-.")))
    bed = tmp_path / "rows.bed"
    bed.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return bases, rows, write_fasta(tmp_path / "genome.fa", bases), bed


def windows_of(path):
    return list(read_windows(path))


@pytest.mark.skipif(not shutil.which("bedtools"), reason="bedtools is not installed")
@pytest.mark.parametrize("strand", ["aware", "forward"])
def test_same_bases_as_bedtools_getfasta(tool, tmp_path, small, strand):
    bases, rows, fasta, bed = small
    tool("fetch_sequences", bed, "--fasta", fasta, "--length", 100, "--strand", strand, "-o", "w.fa")
    windows = windows_of(tmp_path / "w.fa")
    assert len(windows) == len(rows)
    clipped = [(w, max(w.start, 0), min(w.end, len(bases[w.chrom]))) for w in windows]
    theirs = tmp_path / "theirs.bed"
    theirs.write_text("".join(f"{w.chrom}\t{a}\t{b}\t{w.name}\t0\t{w.strand}\n" for w, a, b in clipped))
    command = ["bedtools", "getfasta", "-s", "-tab", "-nameOnly", "-fi", fasta, "-bed", theirs]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for window, line in zip(windows, found, strict=True):
        left, right = window.fields["pad_left"], window.fields["pad_right"]
        wanted = "N" * int(left) + line.split("\t")[1].upper() + "N" * int(right)
        assert window.sequence == wanted, window.name


def test_same_bases_as_biopython_on_the_demo_genome(tool, tmp_path):
    from Bio import SeqIO

    path = next(DEMO.glob("*.fa.gz"))
    with gzip.open(path, "rt") as handle:
        record = next(SeqIO.parse(handle, "fasta"))
    rng = random.Random(7)
    ends = [*range(1, 1300, 61), *range(len(record) - 1300, len(record), 61), *rng.sample(range(len(record)), 100)]
    rows = [(max(end - rng.randrange(1, 900), 0), end, rng.choice("+-")) for end in ends]
    text = "".join(
        f"chr{record.id}\t{start}\t{end}\tr{i}\t0\t{strand}\n" for i, (start, end, strand) in enumerate(rows)
    )
    tool("fetch_sequences", "-", "--fasta", path, "--length", 600, "--anchor", "donor", "-o", "w.fa.gz", stdin=text)
    for window, (start, end, strand) in zip(windows_of(tmp_path / "w.fa.gz"), rows, strict=True):
        first = start - 300 if strand == "+" else end - 300
        inside = record.seq[max(first, 0) : min(first + 600, len(record))].upper()
        padded = "N" * max(-first, 0) + inside + "N" * max(first + 600 - len(record), 0)
        assert window.sequence == str(padded if strand == "+" else padded.reverse_complement())
        assert (window.chrom, window.start, window.end, window.strand) == (record.id, first, first + 600, strand)


def test_windows_hold_the_published_sequences_of_k562_peaks(tool, tmp_path, real_data, chr19p):
    folder = real_data / "human_chr19p_GRCh38"
    with gzip.open(folder / "peaks.DHS_index_K562_specific.200bp_sequences.chr19p.tsv.gz", "rt") as handle:
        published = dict(line.split() for line in handle)
    rows = {name: name.split("_") for name in published}
    assert len(rows) > 100
    bed = "".join(f"{chrom}\t{start}\t{end}\t{name}\n" for name, (chrom, start, end, _) in rows.items())
    fasta = chr19p / "genome.chr19p.fa.gz"
    tool("fetch_sequences", "-", "--fasta", fasta, "--length", 800, "-o", "w.fa", stdin=bed)
    for window in windows_of(tmp_path / "w.fa"):
        assert published[window.name].upper() in window.sequence


def test_every_row_is_a_window_or_in_the_table_of_dropped(tool, tmp_path, small):
    _, rows, fasta, bed = small
    options = ["--length", 100, "--anchor", "acceptor", "--edge", "drop", "-o", "w.fa", "--dropped", "d.tsv"]
    said = tool("fetch_sequences", bed, "--fasta", fasta, *options).stderr
    kept = [window.name for window in windows_of(tmp_path / "w.fa")]
    header, *lines = (tmp_path / "d.tsv").read_text().splitlines()
    assert header == "chrom\tstart\tend\tname\tscore\tstrand\treason"
    dropped = [line.split("\t") for line in lines]
    assert sorted(kept + [row[3] for row in dropped]) == sorted(row[3] for row in rows)
    assert {row[6] for row in dropped} == {"no strand, so no acceptor", "the window leaves the chromosome"}
    unstranded = sum(row[5] == "." for row in rows)
    assert f"{len(rows)} rows: {len(kept)} windows of 100 bases; {len(dropped)} dropped; {unstranded} no strand" in said


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_shards_together_are_the_whole(tool, tmp_path, small, size):
    _, rows, fasta, bed = small
    command = ("fetch_sequences", bed, "--fasta", fasta, "--length", 50)
    tool(*command, "-o", "w.fa.gz", "--shard-dir", "shards", "--shard-size", size)
    shards = sorted((tmp_path / "shards").iterdir())
    assert [shard.name for shard in shards] == [f"windows.{i:05d}.fa.gz" for i in range(1, -(-len(rows) // size) + 1)]
    assert b"".join(gzip.decompress(shard.read_bytes()) for shard in shards) == gzip.decompress(
        (tmp_path / "w.fa.gz").read_bytes()
    )


def test_same_bytes_every_time_and_old_shards_are_gone(tool, tmp_path, small):
    _, _, fasta, bed = small
    command = ("fetch_sequences", bed, "--fasta", fasta, "-o", "w.fa.gz", "--shard-dir", "shards", "--shard-size")
    tool(*command, 10)
    first = (tmp_path / "w.fa.gz").read_bytes()
    (tmp_path / "shards" / "notes.txt").write_text("mine")
    tool(*command, 100)
    assert (tmp_path / "w.fa.gz").read_bytes() == first
    assert sorted(os.listdir(tmp_path / "shards")) == ["notes.txt", "windows.00001.fa.gz", "windows.00002.fa.gz"]


def test_labels_table_and_bed_give_the_same_windows(tool, tmp_path, small):
    _, rows, fasta, bed = small
    header = "chrom\tstart\tend\tname\tscore\tstrand\tlabel\tunit\tgene_id\n"
    lines = ["\t".join(map(str, row)) + "\t1\tintron\tg\n" for row in rows]
    (tmp_path / "labels.tsv").write_text(header + "".join(lines))
    from_labels = tool("fetch_sequences", "labels.tsv", "--fasta", fasta, "--anchor", "donor", "-o", "-").stdout
    assert from_labels == tool("fetch_sequences", bed, "--fasta", fasta, "--anchor", "donor", "-o", "-").stdout
    (tmp_path / "labels.tsv").write_text(header + "".join(lines).replace("intron", "peak"))
    refused = tool("fetch_sequences", "labels.tsv", "--fasta", fasta, "--anchor", "donor", "-o", "-", code=2)
    assert "peaks have no donor; use --anchor centre" in refused.stderr


def cut_after(text, columns):
    """The text with its last line cut off behind so many columns."""
    *whole, last = text.splitlines(keepends=True)
    return "".join(whole) + "\t".join(last.split("\t")[:columns])


@pytest.mark.parametrize("columns", [3, 4, 5, 6])
@pytest.mark.parametrize("n_rows", [1, 3])
def test_labels_that_are_cut_off_in_their_last_row_are_refused(tmp_path, columns, n_rows):
    """Four columns of seven are an interval and a name, but no strand: minus introns would be read forward."""
    rows = [f"chr1\t{10 * i}\t{10 * i + 5}\tn{i}\t0\t-\tintron\n" for i in range(n_rows)]
    text = "chrom\tstart\tend\tname\tscore\tstrand\tunit\n" + "".join(rows)
    path = tmp_path / "labels.tsv"
    path.write_text(cut_after(text, columns))
    with pytest.raises(ToolError, match=f"line {n_rows + 1}: {columns} columns, the header has 7"):
        read_rows(path)
    path.write_text(text)
    assert len(read_rows(path)) == n_rows


def test_rows_wider_than_the_header_and_headers_that_come_twice_are_refused(tmp_path):
    path, header, row = tmp_path / "labels.tsv", "chrom\tstart\tend\tname\n", "chr1\t1\t5\ta\n"
    path.write_text(f"{header}{row.rstrip()}\t0\n")
    with pytest.raises(ToolError, match="line 2: 5 columns, the header has 4"):
        read_rows(path)
    path.write_text(header + header + row)
    with pytest.raises(ToolError, match="line 2: start 'start'"):
        read_rows(path)


def test_bed_whose_last_row_alone_is_shorter_is_refused(tmp_path):
    path, rows = tmp_path / "rows.bed", "chr1\t1\t5\ta\t0\t-\nchr1\t7\t9\tb\t0\t-\n"
    path.write_text(cut_after(rows, 4))
    with pytest.raises(ToolError, match="line 2: 4 columns, the lines before it have 6"):
        read_rows(path)
    path.write_text("chr1\t11\t15\n" + cut_after(rows, 4))
    assert [row.strand for row in read_rows(path)] == [".", "-", "."]


def test_crlf_byte_order_mark_comments_and_spaces_in_bed(tmp_path):
    path = tmp_path / "rows.bed"
    lines = [
        "browser position chr1",
        "track name=x",
        "# made by hand",
        "",
        "chr1\t1\t5\ta\t0\t+",
        "chr1 7 9",
        "track1\t3\t4",
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert read_rows(path) == [
        Row("chr1", 1, 5, "a", "0", "+"),
        Row("chr1", 7, 9, "chr1:7-9:.", ".", "."),
        Row("track1", 3, 4, "track1:3-4:.", ".", "."),
    ]


def test_a_table_that_r_wrote_has_no_quotes_in_its_names(tmp_path):
    """write.table quotes text, the header too; where the header has no quotes, those of a name are its own."""
    text = '"chrom"\t"start"\t"end"\t"name"\t"score"\t"strand"\t"unit"\n"chr1"\t1\t5\t"a""b"\t0\t"+"\t"intron"\n'
    (tmp_path / "labels.tsv").write_text(text)
    assert read_rows(tmp_path / "labels.tsv") == [Row("chr1", 1, 5, 'a"b', "0", "+", "intron")]
    (tmp_path / "rows.bed").write_text('chr1\t1\t5\t"a"\t0\t+\n')
    assert read_rows(tmp_path / "rows.bed") == [Row("chr1", 1, 5, '"a"', "0", "+")]


def test_the_index_that_pandas_writes_is_no_column(tmp_path):
    table = pd.DataFrame(
        {"chrom": "chr1", "start": [1, 7], "end": [5, 9], "name": ["a", "b"], "score": 0, "strand": "-"}
    )
    table.to_csv(tmp_path / "labels.tsv", sep="\t")
    assert read_rows(tmp_path / "labels.tsv") == [
        Row("chr1", 1, 5, "a", "0", "-"),
        Row("chr1", 7, 9, "b", "0", "-"),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("chr1\t5", "2 columns"),
        ("chr1\t-5\t9", "start '-5' and end '9' must be whole numbers"),
        ("chr1\t1e3\t2000", "start '1e3'"),
        ("chr1\t٣\t9", "must be whole numbers"),
        ("chr1\t5\t5", "start 5 is not before end 5"),
        ("chr1\t9\t5", "start 9 is not before end 5"),
        ("chr1\t1\t5\ta\t0\tplus", "strand is 'plus'"),
        ("chr1\t1\t5\ta b\t0\t+", "name 'a b' holds white space"),
        ("chr1\t1\t5\ta\0b\t0\t+", "control characters"),
        ("chr1\t1\t5\tfirst\t0\t+", "name 'first' occurs twice, first in line 1"),
        ("\t1\t5\ta\t0\t+", "chromosome '' is empty"),
    ],
)
def test_broken_rows_are_named_by_line(tmp_path, line, says):
    path = tmp_path / "rows.bed"
    path.write_text(f"chr1\t1\t5\tfirst\t0\t+\n{line}\n")
    with pytest.raises(ToolError) as refused:
        read_rows(path)
    assert str(refused.value).startswith(f"{path}: line 2: ")
    assert says in str(refused.value)


def test_all_broken_rows_are_told_in_one_go(tool, tmp_path, small):
    _, _, fasta, _ = small
    said = tool("fetch_sequences", "-", "--fasta", fasta, "-o", "w.fa", code=65, stdin="chr1\t5\t2\n" * 30).stderr
    assert "-: 30 problems" in said
    assert len(said.splitlines()) == 22
    assert not (tmp_path / "w.fa").exists()


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_as_bed_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bed") / "rows.bed"
    path.write_bytes(content)
    with contextlib.suppress(ToolError):
        assert all(row.start < row.end for row in read_rows(path))


def unchanged_folder(tmp_path, tool, *args, code):
    before = sorted(tmp_path.rglob("*"))
    said = tool(*args, code=code).stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert len(said.splitlines()) == 1
    return said


def test_failures_leave_nothing_behind(tool, tmp_path, small):
    _, _, fasta, bed = small
    outputs = ["-o", "out/w.fa.gz", "--shard-dir", "out/shards", "--shard-size", 5, "--dropped", "out/d.tsv"]
    (tmp_path / "out").mkdir()
    (tmp_path / "empty").write_text("")
    (tmp_path / "other.bed").write_text("chr1\t1\t5\nchr9\t1\t5\nchrX\t2\t4\n")
    (tmp_path / "far.bed").write_text("chr1\t1\t5\nchr2\t400\t451\n")
    (tmp_path / "edge.bed").write_text("chr1\t0\t5\n")

    def refused(*args, code):
        return unchanged_folder(tmp_path, tool, "fetch_sequences", *args, *outputs, code=code)

    assert "no rows" in refused("empty", "--fasta", fasta, code=65)
    said = refused("other.bed", "--fasta", fasta, code=65)
    assert "other.bed: 2 of 3 chromosomes are not in" in said
    assert "chr9, chrX" in said and "has chr1, chr2, tiny" in said
    assert "ends at 451, chr2 at 450: is it the same assembly?" in refused("far.bed", "--fasta", fasta, code=65)
    said = refused("edge.bed", "--fasta", fasta, "--edge", "drop", code=65)
    assert "no window left: 1 rows: 0 windows of 600 bases; 1 dropped; 1 the window leaves the chromosome" in said
    assert "No such file" in refused("missing.bed", "--fasta", fasta, code=66)
    assert "No such file" in refused(bed, "--fasta", "missing.fa", code=66)
    assert "no FASTA record" in refused(bed, "--fasta", "empty", code=65)
    assert "whole number of at least 1" in refused(bed, "--fasta", fasta, "--length", "0", code=2)


def test_where_to_write_must_be_said(tool, small):
    _, _, fasta, bed = small
    assert "give --output or --shard-dir" in tool("fetch_sequences", bed, "--fasta", fasta, code=2).stderr
    said = tool("fetch_sequences", bed, "--fasta", fasta, "-o", "-", "--shard-size", 5, code=2).stderr
    assert "go together" in said


def test_genome_that_breaks_half_way_leaves_nothing(tool, tmp_path):
    fasta = write_fasta(tmp_path / "g.fa.gz", random_genome(4, {"a": 300_000}))
    broken = bytearray(fasta.read_bytes())
    broken[block_offsets(fasta)[3] + 500] ^= 16
    subprocess.run([sys.executable, "-c", f"import pysam; pysam.faidx({str(fasta)!r})"], check=True)
    fasta.write_bytes(broken)
    for index in tmp_path.glob("*i"):
        os.utime(index, (2**32, 2**32))
    (tmp_path / "rows.bed").write_text("".join(f"a\t{i}\t{i + 100}\n" for i in range(0, 299_000, 500)))
    options = ["-o", "w.fa", "--shard-dir", "shards", "--shard-size", 10]
    said = unchanged_folder(tmp_path, tool, "fetch_sequences", "rows.bed", "--fasta", fasta, *options, code=65)
    assert "g.fa.gz: broken at a:" in said


def test_cut_bed_is_refused_also_from_a_pipe(tool, tmp_path, small):
    _, _, fasta, _ = small
    import pysam

    plain = tmp_path / "many.bed"
    plain.write_text("".join(f"chr1\t{i % 2900}\t{i % 2900 + 50}\tr{i}\n" for i in range(9000)))
    pysam.tabix_compress(str(plain), str(tmp_path / "many.bed.gz"))
    blocks = block_offsets(tmp_path / "many.bed.gz")
    (tmp_path / "cut.bed.gz").write_bytes((tmp_path / "many.bed.gz").read_bytes()[: blocks[-1]])
    said = tool("fetch_sequences", "cut.bed.gz", "--fasta", fasta, "-o", "w.fa", code=65).stderr
    assert "truncated bgzf" in said
    tools = [sys.executable, ROOT / "bin" / "fetch_sequences.py", "-", "--fasta", fasta, "-o", "w.fa"]
    for name, code in (("cut.bed.gz", 65), ("many.bed.gz", 0)):
        with open(tmp_path / name, "rb") as handle:
            done = subprocess.run(tools, stdin=handle, capture_output=True, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert (tmp_path / "w.fa").exists() == (code == 0)


def test_reader_that_leaves_early_is_no_error(tmp_path, small):
    _, _, fasta, _ = small
    rows = "".join(f"chr1\t{i % 2900}\t{i % 2900 + 50}\tr{i}\n" for i in range(3000))
    (tmp_path / "many.bed").write_text(rows)
    fetch = f"{sys.executable} {ROOT}/bin/fetch_sequences.py many.bed --fasta {fasta} -o -"
    done = subprocess.run(
        ["bash", "-c", f"{fetch} | head -n 1; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[1] == "0"
    assert "rror" not in done.stderr


def test_runs_through_a_symlink_from_another_folder(tmp_path, small):
    _, _, fasta, bed = small
    link = tmp_path / "elsewhere" / "fetch"
    link.parent.mkdir()
    link.symlink_to(ROOT / "bin" / "fetch_sequences.py")
    command = [sys.executable, link, bed, "--fasta", fasta, "-o", "w.fa"]
    subprocess.run(command, check=True, cwd=link.parent, capture_output=True)
    assert (link.parent / "w.fa").exists()


def test_aliases_are_used_and_headers_tell_the_genomes_own_names(tool, tmp_path, small):
    bases, _, fasta, _ = small
    (tmp_path / "aliases.tsv").write_text("chr2\tNC_2\n")
    options = ["--chrom-aliases", "aliases.tsv", "--length", 10, "-o", "-"]
    rows = "NC_2\t100\t110\tx\t0\t+\n1\t5\t15\t.\t0\t.\n"
    said = tool("fetch_sequences", "-", "--fasta", fasta, *options, stdin=rows).stdout
    header, sequence, other, _ = said.splitlines()
    window = parse_header(header[1:])
    assert (window.name, window.chrom, window.start, window.end) == ("x", "chr2", 100, 110)
    with Genome(fasta) as genome:
        digest = genome.digest()
    assert window.fields == {"anchor": "centre", "length": "10", "strand": "aware", "edge": "pad", "pad_left": "0",
                             "pad_right": "0", "shift": "0", "row": "100-110(+)", "genome": digest}  # fmt: skip
    assert sequence == bases["chr2"][100:110].upper()
    assert other.startswith(">1:5-15:. chr1:5-15(.) ")


def test_every_open_genome_fetches_the_same(tmp_path):
    bases = random_genome(9, {"a": 5000})
    row = Row("a", 2000, 2500, "x", ".", "-")
    found = set()
    for name in ("g.fa", "g.fa.gz", "g.fa.gzip"):
        with Genome(write_fasta(tmp_path / name, bases)) as genome:
            found.add(cut_window(genome, row, "a", anchor="donor", length=300, edge="pad", strand="aware").sequence)
    assert found == {read_by_hand(bases["a"], row, "donor", 300)}


@pytest.mark.parametrize("name", ["a;rm", "$(touch)", "`x`", "'\"", "../../x", "-rf", ">x", "=1", "é漢", "x" * 255])
def test_hostile_names_pass_through_every_tool_unchanged(tmp_path, monkeypatch, name):
    import embed_kmers
    import fetch_sequences
    from intronaut.io.h5ad import open_features

    monkeypatch.chdir(tmp_path)
    write_fasta(tmp_path / "g.fa", {"c": "ACGT" * 100})
    (tmp_path / "rows.bed").write_text(f"c\t100\t120\t{name}\t0\t+\n")
    fetch_sequences.main(["rows.bed", "--fasta", "g.fa", "-o", "w.fa", "--quiet"])
    embed_kmers.main(["w.fa", "--k", "2", "-o", "k.h5ad", "--quiet"])
    assert list(open_features("k.h5ad").obs.index) == [name]
    assert sorted(os.listdir(tmp_path)) == ["g.fa", "k.h5ad", "rows.bed", "w.fa"]
