"""Sequences in and out: every letter, every line, and cut or broken files refused."""

import gzip
import io
import random

import numpy as np
import pytest
from Bio.Seq import Seq
from hypothesis import given, settings
from hypothesis import strategies as st

from intronaut.core.dna import base_codes, reverse_complement
from intronaut.core.errors import BadData, MissingInput, ToolError
from intronaut.genome.reference import Genome
from intronaut.io.fasta import Window, parse_header, read_windows
from intronaut.io.text import numbered_lines, rereadable
from random_genomes import block_offsets, random_genome, write_fasta

IUPAC = "ACGTNRYSWKMBDHVacgtnryswkmbdhv"


@given(st.text(IUPAC))
def test_reverse_complement_agrees_with_biopython(sequence):
    assert reverse_complement(sequence) == str(Seq(sequence).reverse_complement())


@given(st.text(IUPAC + "UuXx*-"))
def test_base_codes_know_four_letters_in_both_cases(sequence):
    wanted = ["ACGT".find(letter) if letter in "ACGT" else 4 for letter in sequence.upper()]
    assert base_codes(sequence).tolist() == wanted
    assert base_codes(sequence).dtype == np.uint8


words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1)
keys = words.filter(lambda word: "=" not in word)


loci = st.tuples(words, st.integers(-999, 10**9), st.integers(0, 10**9), st.sampled_from("+-."))


@settings(deadline=None)
@given(words, st.none() | loci, st.dictionaries(keys, words, max_size=3))
def test_header_is_read_back(name, locus, fields):
    window = Window(name, "", *(locus or ()), fields=fields)
    assert parse_header(window.header()) == window


@pytest.mark.parametrize("ending", [".fa", ".fa.gz", ".gzip"])
def test_windows_of_any_compression(tmp_path, ending):
    genome = random_genome(1, {"a": 200, "b": 1, "c": 130_000})
    path = write_fasta(tmp_path / f"w{ending}", genome, end="\r\n")
    assert {window.name: window.sequence for window in read_windows(path)} == {k: s.upper() for k, s in genome.items()}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no FASTA record"),
        ("\n\n", "no FASTA record"),
        ("@read\nACGT\n", "line 1: a FASTA file starts with '>'"),
        (">a\nACGT\n>a\nACGT\n", "line 3: record 'a' occurs twice"),
        (">a\n>b\nACGT\n", "line 1: record 'a' is empty"),
        (">a\nACGT\n>b", "line 3: record 'b' is empty"),
        (">\nACGT\n", "line 1: a record without a name"),
        (">a\nAC1T\n", "line 2: letters that no nucleotide code has: 'AC1T'"),
        (">a\nAC T\n", "letters that no nucleotide code has"),
        (">a\nMKLVE\n", "letters that no nucleotide code has"),
        (">a\0b\nACGT\n", "line 1: record name 'a\\x00b' holds control characters"),
        (">a\nACGT\x00\n", "letters that no nucleotide code has"),
        (">a\nACGÉ\n", "letters that no nucleotide code has"),
    ],
)
def test_broken_fasta_is_named_by_line(tmp_path, text, says):
    path = tmp_path / "w.fa"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadData) as refused:
        list(read_windows(path))
    assert f"{path}: {says}" in str(refused.value) or says in str(refused.value)


def test_letters_of_no_base_are_n_in_genomes_and_windows(tmp_path):
    """A gap of an alignment, X and * keep their place: what lies behind them does not move."""
    (tmp_path / "g.fa").write_text(">chr1\nCR-GcatX\n*ACg-\n")
    (window,) = read_windows(tmp_path / "g.fa")
    assert window.sequence == "CRNGCATNNACGN"
    with Genome(tmp_path / "g.fa") as genome:
        assert genome.lengths == {"chr1": 13}
        assert genome.fetch("chr1", 0, 13) == "CRNGCATNNACGN" and genome.fetch("chr1", 9, 12) == "ACG"


def test_byte_order_mark_and_missing_last_newline(tmp_path):
    path = tmp_path / "w.fa"
    path.write_bytes(b"\xef\xbb\xbf>a chr1:-5-10(-) x=1=2 odd\nacg\n\nt")
    (window,) = read_windows(path)
    assert window == Window("a", "ACGT", "chr1", -5, 10, "-", {"x": "1=2"})


def stdin_of(monkeypatch, content):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_bgzf_cut_anywhere_is_refused(tmp_path, monkeypatch, source):
    path = write_fasta(tmp_path / "w.fa.gz", random_genome(2, {"a": 200_000, "b": 50}))
    whole = path.read_bytes()
    cuts = [*block_offsets(path)[1:], len(whole) - 1, *random.Random(1).sample(range(20, len(whole)), 30)]
    for cut in cuts:
        path.write_bytes(whole[:cut])
        stdin_of(monkeypatch, whole[:cut])
        with pytest.raises(BadData, match="truncated bgzf|broken after line|no FASTA record"):
            list(read_windows(path if source == "file" else "-"))
    path.write_bytes(whole)
    stdin_of(monkeypatch, whole)
    assert len(list(read_windows(path if source == "file" else "-"))) == 2


def test_cut_gzip_and_flipped_bits_are_refused(tmp_path):
    path = tmp_path / "lines.gz"
    whole = gzip.compress("".join(f"line {i}\n" for i in range(5000)).encode(), mtime=0)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for broken in (whole[: len(whole) // 2], whole[:-4], bytes(flipped)):
        path.write_bytes(broken)
        with pytest.raises(BadData, match="broken after line"):
            list(numbered_lines(path))


def test_text_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo \xff\n")
    with pytest.raises(BadData, match="not UTF-8"):
        list(numbered_lines(path))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\x1f\x8b", b"\x1f\x8b\x08\x04", b">a\n"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, head):
    path = tmp_path_factory.mktemp("any") / "w.fa"
    path.write_bytes(head + content)
    try:
        assert all(window.sequence for window in read_windows(path))
    except ToolError as refused:
        assert str(path) in str(refused)


def test_standard_input_can_be_read_twice_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stdin_of(monkeypatch, b">a\nACGT\n")
    with rereadable("-") as path:
        assert (
            [window.sequence for window in read_windows(path)] == ["ACGT"] == [w.sequence for w in read_windows(path)]
        )
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MissingInput), rereadable(tmp_path / "none"):
        pass
