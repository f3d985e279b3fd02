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
