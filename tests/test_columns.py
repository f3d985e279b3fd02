"""Columns as bytes: the same as splitting every line, whatever the text and wherever its blocks end."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intronaut.core.errors import BadData
from intronaut.genome.annotation import read_annotation
from intronaut.io import text
from intronaut.io.delimited import Column, Lines, read_lines

CELLS = st.text(st.sampled_from("0129a+é\0 "), max_size=3) | st.integers(0, 2**70).map(str)
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=4), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_columns_are_those_of_split(rows):
    lines = Lines(1, "".join("\t".join(row) + "\n" for row in rows).encode())
    assert lines.n_columns.tolist() == [len(row) for row in rows]
    assert [lines.line(row) for row in range(len(rows))] == ["\t".join(row) for row in rows]
    chosen = np.arange(len(rows))[::-1]
    for number in range(3):
        wanted = [row[number] for row in rows][::-1]
        column = lines.column(number, chosen)
        assert column.words() == column.repeated_words() == wanted
        assert column.is_empty().tolist() == [word == "" for word in wanted]
        assert column.equals(b"10").tolist() == [word == "10" for word in wanted]
        assert column.is_letter("+a").tolist() == [word in ("+", "a") for word in wanted]
        assert column.changes().tolist() == [i == 0 or wanted[i] != wanted[i - 1] for i in range(len(wanted))]
        whole = [len(word) <= 18 and word.isascii() and word.isdecimal() for word in wanted]
        assert column.numbers().tolist() == [int(w) if ok else -1 for w, ok in zip(wanted, whole, strict=True)]


def test_a_column_without_rows():
    column = Column(b"x\n", np.array([], int), np.array([], int))
    assert column.words() == column.repeated_words() == column.numbers().tolist() == column.changes().tolist() == []


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("ab\t")))
def test_a_pair_of_letters_is_seen_at_any_place(content):
    assert Lines(1, f"{content}\n".encode()).holds_pair(b"ab") == ("ab" in content)


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("ab\r\n\té\ufeff")), st.integers(1, 9), st.booleans())
def test_lines_are_those_of_python_wherever_the_blocks_end(tmp_path_factory, content, size, packed):
    path = tmp_path_factory.mktemp("lines") / "lines"
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    with open(path, encoding="utf-8-sig") if not packed else gzip.open(path, "rt", encoding="utf-8-sig") as handle:
        wanted = [line.rstrip("\n") for line in handle]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_BLOCK", size)
        assert list(text.numbered_lines(path)) == list(enumerate(wanted, 1))
        blocks = list(read_lines(path))
    assert [(b.first + row, b.line(row)) for b in blocks for row in range(len(b.start))] == list(enumerate(wanted, 1))


def test_text_that_is_not_utf8_is_named_by_its_line(tmp_path, monkeypatch):
    (tmp_path / "lines").write_bytes(b"one\ntwo\nthree \xff\nfour\n")
    for size in (1, 1 << 20):
        monkeypatch.setattr(text, "_BLOCK", size)
        with pytest.raises(BadData, match="line 3: not UTF-8"):
            list(text.numbered_lines(tmp_path / "lines"))


def test_an_annotation_and_its_faults_are_the_same_in_blocks_of_any_size(tmp_path, monkeypatch):
    about = 'gene_id "G{0}"; transcript_id "T{0}"; gene_name "é{0}"; transcript_biotype "retained_intron";'
    good = [f"1\ts\texon\t{i * 10 + 1}\t{i * 10 + 5}\t.\t+\t.\t{about.format(i // 3)}\n" for i in range(12)]
    broken = [*good[:3], "# note\n", "\n", "x\n", *good[3:6], good[6].replace("61", "x"), good[7].replace("T2", "")]
    (tmp_path / "good.gtf").write_text("".join(good))
    (tmp_path / "broken.gtf").write_text("".join(broken))
    found, refused = [], []
    for size in (1, 200, 1 << 20):
        monkeypatch.setattr(text, "_BLOCK", size)
        annotation = read_annotation(tmp_path / "good.gtf")
        found.append([table.to_dict() for table in (annotation.genes, annotation.transcripts, annotation.exons)])
        with pytest.raises(BadData) as refusal:
            read_annotation(tmp_path / "broken.gtf")
        refused.append(str(refusal.value).splitlines())
    assert found[0] == found[1] == found[2] and annotation.genes["gene_name"].tolist() == ["é0", "é1", "é2", "é3"]
    assert refused[0] == refused[1] == refused[2]
    starts = [line.split(":")[0].strip() for line in refused[0][1:]]
    assert starts == ["line 6", "line 10", "line 11"] and "exon without transcript_id" in refused[0][-1]
