import re

import numpy as np
import pandas as pd
import pytest

from intronaut.core.errors import BadData, UsageError
from intronaut.io.covariates import missing_by_label, user_covariates


@pytest.fixture
def labels():
    return pd.DataFrame({
        "chrom": "1", "name": ["a", "b", "c", "d"], "intron_id": ["i1", "i2,i9", "i3", "i4"],
        "gene_id": ["g1", "g1", "g2", None], "gene_name": "x", "label": [1.0, 0, 0, 1], "length": [5.0, 6, 7, 8],
        "tpm": ["3", None, "0", "7"], "ir_value": ["0.1"] * 4, "cell": ["k", "h", "k", None],
        "note": ["u", "v", "w", "x"],
    })  # fmt: skip


def test_columns_of_the_labels_by_name_with_logarithm_and_levels(labels):
    found = user_covariates(labels, ["log:tpm,cell"])
    np.testing.assert_allclose(found.values["tpm"], [np.log(4), np.nan, 0, np.log(8)])
    np.testing.assert_allclose(found.values["cell=k"], [1, 0, 1, np.nan])
    assert found.transforms == {"tpm": "log(1 + x)", "cell=k": "1 where cell is k"}


def test_a_table_by_gene_and_one_by_intron(tmp_path, labels):
    (tmp_path / "genes.tsv").write_text("gene_id\texpression\tgene_name\tpsi\ng1\t2.5\tAB\t1\ng3\t9\tCD\t1\n")
    (tmp_path / "introns.tsv").write_text("intron_id\tmappability\ni2\t0.5\ni4\tNA\ni1\t1\n")
    with pytest.raises(BadData, match="mappability: unknown for 50|expression: unknown for"):
        user_covariates(labels.assign(gene_id=["g1", "g2", "g2", "g2"]), [str(tmp_path / "genes.tsv")])
    found = user_covariates(labels, [str(tmp_path / "genes.tsv"), str(tmp_path / "introns.tsv")], allow_missing=True)
    np.testing.assert_allclose(found.values["expression"], [2.5, 2.5, np.nan, np.nan])
    np.testing.assert_allclose(found.values["mappability"], [1, 0.5, np.nan, np.nan])
    assert [text.rpartition(": ")[2] for text in found.ignored] == [
        "gene_name (already a column of the labels)", "psi (made from the reads of the label)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sources", "error", "expected"),
    [
        (["expression"], UsageError, "--covariates expression: no such column; there are cell, note, tpm"),
        (["ir_value"], UsageError, "made from the reads of the label"),
        (["length"], UsageError, "always a covariate"),
        (["gone.tsv"], Exception, "gone.tsv"),
    ],
)
def test_names_that_cannot_be_covariates_are_refused(labels, sources, error, expected):
    with pytest.raises(error, match=expected):
        user_covariates(labels, sources)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("region\ttpm2\nx\t1\n", "no column name, intron_id, gene_id or gene_name"),
        ("gene_id\ttpm2\ng1\t1\ng1\t2\n", "'g1' occurs 2 times"),
        ("gene_id\ttpm2\nENSG1\t1\n", "names like 'ENSG1', labels like 'g1'"),
        ("name\ttpm2\na\tinf\nb\t1\nc\t1\n", "infinite"),
    ],
)
def test_tables_that_cannot_be_joined_are_refused(tmp_path, labels, text, expected):
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(BadData, match=expected):
        user_covariates(labels, [str(tmp_path / "t.tsv")])


def test_text_of_many_kinds_is_ignored_and_reported_or_refused_when_asked_for(tmp_path, labels):
    rows = [f"n{k}\t{k}\tword{k}" for k in range(12)]
    (tmp_path / "t.tsv").write_text("name\tx\ty\n" + "\n".join(rows))
    many = pd.DataFrame({"name": [f"n{k}" for k in range(12)], "label": [0.0, 1] * 6})
    found = user_covariates(many, [str(tmp_path / "t.tsv")])
    assert list(found.values) == ["x"] and found.ignored == [f"{tmp_path}/t.tsv: y (text of 12 kinds)"]
    with pytest.raises(BadData, match="y holds text of 12 kinds, first 'word0'"):
        user_covariates(many, [str(tmp_path / "t.tsv"), "y"])


def test_a_negative_number_has_no_logarithm(labels):
    with pytest.raises(BadData, match="tpm is -1"):
        user_covariates(labels.assign(tpm=["-1", "2", "3", "4"]), ["log:tpm"])


def test_missingness_that_differs_by_label_is_measured_by_hand():
    values = pd.DataFrame({"x": [np.nan, np.nan, 1, 1, 1, 1, 1, 1], "y": 1.0})
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    # half of the retained, none of the spliced: 0.5 / sqrt(0.25 / 2)
    assert missing_by_label(values, labels) == {"x": pytest.approx(0.5 / np.sqrt(0.125))}


def read(tmp_path, labels, text, *names, name="t.tsv", allow_missing=True):
    """The covariates of a file of this text."""
    (tmp_path / name).write_text(text)
    return user_covariates(labels, [str(tmp_path / name), *names], allow_missing)


@pytest.mark.parametrize(
    "word", ["", "NaN", "nan", "#N/A", "N/A", "n.a.", "NULL", "null", "None", "-", ".", "?", "<NA>", "NA", r"\N"]
)
def test_words_for_a_missing_value_leave_a_column_of_numbers(tmp_path, labels, word):
    found = read(tmp_path, labels, f"name\tessential\na\t0\nb\t{word}\nc\t1\nd\t1\n", allow_missing=False)
    np.testing.assert_array_equal(found.values["essential"], [0, np.nan, 1, 1])
    assert found.transforms == {"essential": "x"} and not found.ignored
    of_labels = user_covariates(labels.assign(essential=["0", word, "1", "1"]), ["essential"])
    np.testing.assert_array_equal(of_labels.values["essential"], [0, np.nan, 1, 1])
    with pytest.raises(BadData, match="essential: unknown for 75 % of|essential: unknown for 75%"):
        read(tmp_path, labels, f"name\tessential\na\t0\nb\t{word}\n", allow_missing=False)


def test_words_that_may_be_kinds_of_a_text_remain_so(tmp_path, labels):
    found = read(tmp_path, labels, "name\tsense\tgenotype\na\t+\tnull\nb\t-\twild\nc\tNA\tNaN\nd\t-\t\n")
    np.testing.assert_array_equal(found.values["sense=-"], [0, 1, np.nan, 1])
    np.testing.assert_array_equal(found.values["genotype=wild"], [0, 1, np.nan, np.nan])
    assert found.notes == [
        f"{tmp_path}/t.tsv: sense is text, taken as 0/1 columns of - beside +",
        f"{tmp_path}/t.tsv: genotype is text, taken as 0/1 columns of wild beside null",
    ]


def test_a_gene_whose_name_is_a_word_for_a_missing_value_is_matched(tmp_path, labels):
    named = labels.assign(gene_name=["nan", "null", "AB", "-"])
    found = read(tmp_path, named, "gene_name\ttpm2\nnan\t1\nnull\t2\nAB\t3\n-\t4\n")
    np.testing.assert_array_equal(found.values["tpm2"], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("0,5", "write decimals with a point"),
        ("1,250", "write numbers without commas, decimals with a point"),
        ("1,250.5", "write numbers without commas, decimals with a point"),
        ("1.250,5", "write decimals with a point"),
        ("1 250", "write numbers without marks of thousands"),
        ("1.250.000", "write numbers without marks of thousands"),
        ("7%", "write numbers without the per cent sign"),
        ("7 %", "write numbers without the per cent sign"),
        ("<0.1", "write a number or NA"),
        ("#DIV/0!", "write a number or NA"),
        ("\u22120.5", "write the minus sign as -"),
    ],
)
def test_numbers_in_another_notation_are_refused_with_their_line(tmp_path, labels, cell, advice):
    where = re.escape(f"t.tsv: line 3: x is {cell!r}; {advice}")
    for rest in ("2", "NA", cell):
        with pytest.raises(BadData, match=where):
            read(tmp_path, labels, f"name\tx\na\t1\nb\t{cell}\nc\t{rest}\nd\t{rest}\n")
    with pytest.raises(BadData, match=re.escape(f"labels: x of b is {cell!r}; {advice}")):
        user_covariates(labels.assign(x=["1", cell, "2", None]), ["x"])


def test_lists_of_names_with_a_number_among_them_are_text(tmp_path, labels):
    found = read(tmp_path, labels, "name\tx\ty\na\t1,2\t1\nb\tone\t2\nc\ttwo\t3\nd\ttwo\t4\n")
    assert list(found.values) == ["x=one", "x=two", "y"]


def test_a_file_without_any_covariate_is_refused_with_why(tmp_path, labels):
    many = pd.DataFrame({"name": [f"n{k}" for k in range(12)], "label": [0.0, 1] * 6, "tpm": "1"})
    rows = "\n".join(f"n{k}\t{k if k else 'ND'}\t{k}\tx" for k in range(12))
    expected = (
        "t.tsv: no column can be taken as a covariate: score (the name is reserved for labels.tsv; rename the column "
        "to take it), tpm2 (text of 12 kinds, the first that is no number 'ND'), cell ('x' wherever it is known)"
    )
    with pytest.raises(BadData, match=re.escape(expected)):
        read(tmp_path, many, f"name\ttpm2\tscore\tcell\n{rows}\n")
    with pytest.raises(BadData, match="as a covariate: x .not asked for."):
        read(tmp_path, labels, "name\tx\na\t1\n", "tpm")
    with pytest.raises(BadData, match="as a covariate: it has none"):
        read(tmp_path, labels, "name\na\n")


@pytest.mark.parametrize("name", ["score", "start", "group", "unit", "match", "split"])
def test_a_reserved_name_asked_for_is_to_be_renamed(tmp_path, labels, name):
    with pytest.raises(UsageError, match=f"--covariates {name}: the name is reserved for labels.tsv; rename"):
        read(tmp_path, labels, f"name\t{name}\na\t1\n", name)


def test_one_column_of_two_files_is_refused(tmp_path, labels):
    (tmp_path / "s.tsv").write_text("name\tx\na\t1\n")
    with pytest.raises(BadData, match="/s.tsv: x is a column of .*/t.tsv, too; rename one"):
        read(tmp_path, labels, "name\tx\na\t2\n", str(tmp_path / "s.tsv"))


def test_the_first_key_of_which_values_fit_is_taken(tmp_path, labels):
    found = read(tmp_path, labels, "gene_id\tname\ttpm2\ng1\tAB\t3\ng2\tCD\t4\n")
    np.testing.assert_array_equal(found.values["tpm2"], [3, 3, 4, np.nan])
    assert found.notes == [f"{tmp_path}/t.tsv: matched by gene_id, as no name is one of the labels"]


def test_only_keys_that_the_labels_need_may_not_differ(tmp_path, labels):
    rows = "gene_name\ttpm2\tlength\nY_RNA\t1\t8\nY_RNA\t2\t9\nx\t5\t1\n"
    np.testing.assert_array_equal(read(tmp_path, labels, rows + "x\t5\t2\n").values["tpm2"], [5, 5, 5, 5])
    with pytest.raises(BadData, match=r"gene_name 'x' occurs 2 times, with different values \(lines 4 and 5\)"):
        read(tmp_path, labels, rows + "x\t6\t1\n")


@pytest.mark.parametrize(
    "text",
    [
        '"gene_id"\t"tpm2"\n"g1"\t3\n"g2"\t4\n',  # write.table(sep = "\t", row.names = FALSE)
        '"gene_id"\t"tpm2"\n"1"\t"g1"\t3\n"2"\t"g2"\t4\n',  # write.table(sep = "\t")
        '"gene_id" "tpm2"\n"1" "g1" 3\n"2" "g2" 4\n',  # write.table
        '"","gene_id","tpm2"\n"1","g1",3\n"2","g2",4\n',  # write.csv
        "\tgene_id\ttpm2\n0\tg1\t3\n1\tg2\t4\n",  # DataFrame.to_csv(sep="\t")
        "gene_id,tpm2\ng1,3\ng2,4\n",
        "gene_id\ttpm2\t\ng1 \t 3\t\ng2 \t 4\t\n\t\t\n",
        "gene_id\ttpm2\ng1\t3\t\ng2\t4\t\n",
    ],
)
def test_tables_as_r_pandas_and_spreadsheets_write_them(tmp_path, labels, text):
    found = read(tmp_path, labels, text, name="t.csv")
    assert list(found.values) == ["tpm2"] and not found.ignored
    np.testing.assert_array_equal(found.values["tpm2"], [3, 3, 4, np.nan])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gene_id;tpm2\ng1;0,5\n", "parted by semicolons; save it with tabs"),
        ("gene_id,tpm2\ng1,0,5\ng2,1\n", "line 2: 3 fields, the header has 2"),
        ("baseMean\tpadj\ng1\t3\t1\n", "it has baseMean, padj, without its row names, which have no header"),
        ("Name\tLiver\ng1\t3\n", "or gene_name, by which to find an intron or gene; it has Name, Liver"),
        ("name\tx\tx\na\t1\t2\n", "two columns of one name: x"),
        ("", "empty; a header line was expected"),
        ('"' + "A" * 200_000 + "\n", "is this a table"),
        (">chr1\n" + "A" * 200_000 + "\n", "no column name, intron_id"),
    ],
)
def test_tables_that_cannot_be_read_are_refused_in_one_line(tmp_path, labels, text, expected):
    with pytest.raises(BadData, match=expected):
        read(tmp_path, labels, text)


@pytest.mark.parametrize("of_table", [".5", ""])
def test_versions_of_genes_are_left_out_where_none_matches(tmp_path, labels, of_table):
    genes = ["ENSG00000000003", "ENSG00000000005", "ENSG00000182378", "ENSG00000182378.15_PAR_Y"]
    named = labels.assign(gene_id=[f"{gene}{'' if of_table or '.' in gene else '.9'}" for gene in genes])
    rows = "".join(f"{gene}{of_table}\t{place}\n" for place, gene in enumerate(genes[:3]))
    found = read(tmp_path, named, f"gene_id\ttpm2\n{rows}")
    np.testing.assert_array_equal(found.values["tpm2"], [0, 1, 2, np.nan])
    assert [note.rpartition(": ")[2] for note in found.notes] == [
        "matched by gene_id without its version, as none is one of the labels with it"
    ]
    # two genes of WormBase, whose names hold a point
    with pytest.raises(BadData, match="no gene_id is one of the labels"):
        read(tmp_path, labels.assign(gene_id="Y74C9A.3"), "gene_id\ttpm2\nY74C9A.2\t1\n")
