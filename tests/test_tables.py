"""Tables: what is read is what was written; every broken line is named."""

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intronaut.core.errors import BadData
from intronaut.io.tables import LABEL_COLUMNS, read_labels, read_numbered_table, read_table, write_table


def labels_text(*rows):
    header = "\t".join([*LABEL_COLUMNS, "length", "gc"])
    return "\n".join([header, *("\t".join(row) for row in rows)]) + "\n"


def label_row(name="a", label="1", start="5", length="10", gc="0.5"):
    return ("chr1", start, "15", name, ".", "+", label, "intron", "g", "G", f"chr1:{start}-15:+", length, gc)


def test_labels_are_numbers_and_missing_stays_missing(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_bytes(
        b"\xef\xbb\xbf" + labels_text(label_row("a", "1"), label_row("b", "NA", gc="NA")).replace("\n", "\r\n").encode()
    )
    table = read_labels(path)
    assert table["start"].tolist() == [5, 5]
    np.testing.assert_array_equal(table["label"], [1.0, np.nan])
    np.testing.assert_array_equal(table["gc"], [0.5, np.nan])
    assert table["name"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "how", [{}, {"na_rep": "NA"}, {"quoting": csv.QUOTE_NONNUMERIC, "na_rep": "NA"}], ids=["pandas", "NA", "R"]
)
def test_labels_that_were_written_again_are_the_same(tmp_path, how):
    """pandas writes missing cells empty and makes fractions of whole numbers beside them; R quotes text."""
    path, again = tmp_path / "labels.tsv", tmp_path / "again.tsv"
    lines = labels_text(label_row("a", "1"), label_row("b", "0", gc="NA"), label_row("c", "NA")).splitlines()
    more = ("split\tnmd\tgene_type", "2\t1\tNA", "NA\tNA\tcoding", "10\t0\tNA")
    path.write_text("".join(f"{line}\t{cells}\n" for line, cells in zip(lines, more, strict=True)))
    pd.read_csv(path, sep="\t").to_csv(again, sep="\t", index=False, **how)
    assert again.read_text() != path.read_text()
    pd.testing.assert_frame_equal(read_labels(again), read_labels(path))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (label_row(""), "line 3: name is empty"),
        (label_row("b", label="0.5"), "line 3: label is '0.5'"),
        (label_row("b", label="2"), "line 3: label is '2'"),
        (label_row("b", label="yes"), "line 3: label is 'yes'"),
        (label_row("a"), "line 3: name 'a' occurs twice"),
        (label_row("b", start="1.5"), "line 3: start is '1.5'"),
        (label_row("b", start="²"), "line 3: start is '²'"),
        (label_row("b", start="--5"), "line 3: start is '--5'"),
        (label_row("b", start="NA"), "line 3: start is 'NA'"),
        (label_row("b", gc="half"), "line 3: gc is 'half', not a number"),
        (label_row("b")[:-1], "line 3: 12 fields, the header has 13"),
    ],
)
def test_broken_labels_are_named_by_line(tmp_path, row, says):
    path = tmp_path / "labels.tsv"
    path.write_text(labels_text(label_row("a"), row))
    with pytest.raises(BadData) as refused:
        read_labels(path)
    assert f"{path}: {says}" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty; a header line was expected"),
        ("name\tlabel\n", "no column chrom, start"),
        ("chrom\tchrom\n1\t2\n", "two columns of one name: chrom"),
    ],
)
def test_tables_without_the_wanted_columns_are_refused(tmp_path, text, says):
    path = tmp_path / "labels.tsv"
    path.write_text(text)
    with pytest.raises(BadData, match=says):
        read_labels(path)


def test_all_broken_lines_are_told_in_one_go(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\n" + "1\n" * 5 + "x\t2\n")
    with pytest.raises(BadData) as refused:
        read_table(path, whole_numbers=("a",))
    assert str(refused.value).splitlines()[0].endswith("6 problems")
    assert "line 7: a is 'x', not a whole number" in str(refused.value)


def test_lines_are_those_of_the_file(tmp_path):
    """After blank lines, and lines of tabs alone, which hold no row."""
    header, good, wrong = labels_text(label_row("a"), label_row("b", label="2", gc="x")).splitlines()
    (tmp_path / "l.tsv").write_text(f"{header}\n\n{good}\n\t\t\r\n{wrong}\n{good}\n")
    with pytest.raises(BadData) as refused:
        read_labels(tmp_path / "l.tsv")
    assert str(refused.value).splitlines()[1:] == [
        "  line 5: label is '2'; it must be 1, 0 or NA", "  line 6: name 'a' occurs twice",
    ]  # fmt: skip
    (tmp_path / "l.tsv").write_text(f"\n{header}\n{good}\n\n" + "\t" * header.count("\t") + "\n")
    assert read_labels(tmp_path / "l.tsv")["name"].tolist() == ["a"]
    (tmp_path / "t.tsv").write_text("a\tb\n\n1\t2\n\t\n3\n")
    with pytest.raises(BadData, match="line 5: 1 fields, the header has 2"):
        read_table(tmp_path / "t.tsv")


def test_quotes_are_kept_but_in_sheets(tmp_path):
    """write.table of R quotes text by default; of a table of introns, quotes may be part of a name."""
    (tmp_path / "t.tsv").write_text('"a"\tb\n"say ""x"""\t5"\n""\t"\n')
    assert read_table(tmp_path / "t.tsv").to_numpy().tolist() == [['"say ""x"""', '5"'], ['""', '"']]
    table, lines = read_numbered_table(tmp_path / "t.tsv", ("a", "b"), unquote=True)
    assert table.to_numpy().tolist() == [['say "x"', '5"'], ["", '"']] and lines == [2, 3]


def test_written_table_is_read_back(tmp_path):
    table = pd.DataFrame(
        {
            "n": [1, 2],
            "x": [0.1234567891, np.nan],
            "f": np.array([0.1, np.nan], np.float32),
            "s": ["a b", None],
            "o": [1.5, "t"],
        }
    )
    write_table(tmp_path / "t.tsv", table)
    assert (tmp_path / "t.tsv").read_text() == "n\tx\tf\ts\to\n1\t0.123457\t0.1\ta b\t1.5\n2\tNA\tNA\tNA\tt\n"
    back = read_table(tmp_path / "t.tsv", whole_numbers=("n",))
    assert back["n"].tolist() == [1, 2]
    assert back["x"].isna().tolist() == [False, True]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.text("abc é%;'\"#", min_size=1), st.integers(-(10**12), 10**12)), min_size=1))
def test_any_text_without_tabs_survives(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("t") / "t.tsv"
    write_table(path, pd.DataFrame(rows, columns=["s", "n"]))
    back = read_table(path, ("s",), ("n",))
    assert list(zip(back["s"], back["n"], strict=True)) == rows


def test_table_without_rows(tmp_path):
    write_table(tmp_path / "t.tsv", pd.DataFrame({"a": [], "b": []}))
    assert len(read_table(tmp_path / "t.tsv", ("a", "b"), ("a",))) == 0


@pytest.mark.parametrize("cell", ["a\tb", "a\nb", "a\rb"])
def test_text_that_would_break_the_table_is_refused(tmp_path, cell):
    with pytest.raises(BadData, match="tab or line end"):
        write_table(tmp_path / "t.tsv", pd.DataFrame({"s": [cell]}))
    assert list(tmp_path.iterdir()) == []


def test_a_contig_called_na_is_a_name(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_text("\t".join(LABEL_COLUMNS) + "\nNA\t1\t2\tNA\t0\t+\tNA\tintron\tNA\tg\tNA:1-2:+\n")
    row = read_labels(path).iloc[0]
    assert (row["chrom"], row["name"]) == ("NA", "NA")
    assert row[["label", "gene_id"]].isna().all()


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 25, "1" * 5000])
def test_a_number_that_int64_cannot_hold_is_refused(tmp_path, digits):
    (tmp_path / "t.tsv").write_text(f"n\n{digits}\n")
    with pytest.raises(BadData, match="line 2: n is 9*1*, which is too large"):
        read_table(tmp_path / "t.tsv", whole_numbers=("n",))


def test_tables_for_people_hold_no_formula(tmp_path):
    texts = ["=1+1", "+x", "-rf", "@sum", "-", "+", "-0.5", "+3", "-1e-05", "a=b", "-inf", "-1-2"]
    write_table(tmp_path / "t.tsv", pd.DataFrame({"s": texts, "n": -1.5}), for_people=True)
    written = [line.split("\t")[0] for line in (tmp_path / "t.tsv").read_text().splitlines()[1:]]
    assert written == ["'=1+1", "'+x", "'-rf", "'@sum", "-", "+", "-0.5", "+3", "-1e-05", "a=b", "-inf", "'-1-2"]
    write_table(tmp_path / "t.tsv", pd.DataFrame({"s": texts}))
    assert (tmp_path / "t.tsv").read_text().splitlines()[1:] == texts


def test_long_tables_are_written_as_one(tmp_path):
    n, path, rng = 45_001, tmp_path / "long.tsv", np.random.default_rng(0)
    table = pd.DataFrame({"number": np.arange(n), "level": rng.random(n), "text": np.arange(n) % 7})
    table["few"] = pd.array(np.where(rng.random(n) < 0.5, np.nan, 3), dtype="Int8")
    table.loc[::3, "level"] = np.nan
    write_table(path, table)
    few = ["NA" if value is pd.NA else str(value) for value in table["few"].tolist()]
    level = ["NA" if value != value else f"{value:.6g}" for value in table["level"].tolist()]
    rows = zip(table["number"].tolist(), level, table["text"].tolist(), few, strict=True)
    lines = ["\t".join(map(str, row)) for row in rows]
    assert path.read_text().splitlines() == ["number\tlevel\ttext\tfew", *lines]
