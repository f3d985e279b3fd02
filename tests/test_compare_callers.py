"""compare_callers against scikit-learn, statsmodels and sets."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as reference_kappa

import compare_callers
from intronaut.core.errors import BadData


@pytest.fixture
def compare(tmp_path, monkeypatch):
    def run(labels):
        monkeypatch.chdir(tmp_path)
        rows = labels.reset_index(names="name").melt("name", var_name="caller", value_name="label")
        rows = rows[rows["label"] != "absent"]
        rows.to_csv("calls.tsv", sep="\t", index=False, na_rep="NA", float_format="%.0f")
        compare_callers.main(["calls.tsv", "--quiet"])
        return pd.read_csv("agreement.tsv", sep="\t"), json.loads((tmp_path / "agreement.json").read_text())

    return run


@pytest.fixture
def labels():
    rng = np.random.default_rng(1)
    truth = rng.random(80) < 0.4
    flips = {name: rng.random(80) < rate for name, rate in (("a", 0.1), ("b", 0.3), ("c", 0.5))}
    names = [f"i{i}" for i in range(80)]
    return pd.DataFrame({name: (truth ^ flip).astype(float) for name, flip in flips.items()}, names)


def test_agreement_with_references(compare, labels):
    labels.iloc[:5, 0] = np.nan
    table, summary = compare(labels)
    assert len(table) == 3
    for row in table.itertuples():
        sets = [set(labels.index[labels[name] == 1]) for name in (row.caller_a, row.caller_b)]
        assert row.jaccard == pytest.approx(len(sets[0] & sets[1]) / len(sets[0] | sets[1]), rel=1e-5)
        both = labels[[row.caller_a, row.caller_b]].dropna()
        assert row.cohen_kappa == pytest.approx(cohen_kappa_score(*both.to_numpy().T), rel=1e-5)
        assert row.labelled_both == len(both)
    counts, _ = aggregate_raters(labels.dropna().to_numpy().astype(int))
    assert summary["fleiss_kappa"] == pytest.approx(reference_kappa(counts))
    assert sum(summary["introns_by_callers_that_call_them_retained"].values()) == 80


def test_caller_without_spliced_introns_has_no_kappa(compare, labels):
    labels["d"] = labels["a"].where(labels["a"] == 1)
    table, summary = compare(labels)
    with_d = table[table["caller_b"] == "d"]
    assert with_d["cohen_kappa"].isna().all() and with_d["jaccard"].iloc[0] == 1
    assert summary["callers_with_both_classes"] == ["a", "b", "c"]


def test_figure_shows_every_pair(compare, labels, tmp_path):
    table, _ = compare(labels)
    svg = (tmp_path / "agreement.svg").read_text()
    for row in table.itertuples():
        assert f"{row.jaccard:.2f}" in svg
    assert all(f"{name} (" in svg for name in labels)
    first = (tmp_path / "agreement.svg").read_bytes()
    compare(labels)
    assert (tmp_path / "agreement.svg").read_bytes() == first


@pytest.mark.slow
def test_eight_tools_agree_poorly(real_data, tmp_path, monkeypatch):
    import label_introns

    folder = real_data / "human_chr19p_GRCh38"
    calls = folder / "ir_calls.iPSC_8tools_all_introns.tsv.gz"
    options = ["--calls-base", "0", "--calls-value", "*_filtintron_lwm", "--calls-threshold", "1e-9"]
    monkeypatch.chdir(tmp_path)
    annotation = folder / "annotation.chr19p.ensembl91.gtf.gz"
    label_introns.main([str(annotation), "--calls", str(calls), *options, "--calls-table", "calls.tsv", "--quiet"])
    compare_callers.main(["calls.tsv", "--quiet"])
    raw = pd.read_csv(calls, sep="\t").query("chrom == 'chr19'").filter(like="_filtintron_") > 0
    table = pd.read_csv("agreement.tsv", sep="\t", keep_default_na=False).set_index(["caller_a", "caller_b"])
    assert len(table) == 28
    for a, b in itertools.combinations(sorted(raw.columns), 2):
        row = table.loc[a.removesuffix("_filtintron_lwm"), b.removesuffix("_filtintron_lwm")]
        assert abs(row["retained_both"] - (raw[a] & raw[b]).sum()) <= 4  # four introns are not annotated
    assert json.loads((tmp_path / "agreement.json").read_text())["fleiss_kappa"] < 0.2


def test_one_caller_cannot_be_compared(compare, labels):
    with pytest.raises(BadData, match="one caller only"):
        compare(labels[["a"]])
