"""transfer on cell types whose labels share some of their causes: AUROC by scikit-learn, the mean of others, faults."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import transfer
from intronaut.core.errors import BadData, MissingInput, UsageError
from intronaut.io.tables import LABEL_COLUMNS

N = 400


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """Three cell types: a and b alike, c by a cause of its own; each model predicts by the cause of its own cell."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    common, lone = rng.normal(size=N), rng.normal(size=N)
    logits, labels = {"a": common, "b": common + 0.3 * rng.normal(size=N), "c": lone}, {}
    for name, logit in logits.items():
        label = (logit + rng.normal(size=N) > 0).astype(float)
        label[rng.random(N) < 0.2] = np.nan
        labels[name] = label
        table = pd.DataFrame(dict.fromkeys(LABEL_COLUMNS, "x"), index=range(N))
        table = table.assign(name=[f"i{i}" for i in range(N)], start=np.arange(N), end=np.arange(N) + 5, label=label)
        table = table.assign(group=np.arange(N), label=table["label"].astype("Int64"))
        table.to_csv(f"{name}.tsv", sep="\t", index=False, na_rep="NA")
        Path(name).mkdir()
        rows = pd.DataFrame({"name": table["name"], "fold": 1, "logit": logit})
        known = ~np.isnan(label)
        rows[known].to_csv(f"{name}/predictions.tsv", sep="\t", index=False)
        rows[~known].to_csv(f"{name}/ambiguous.tsv", sep="\t", index=False)
    return logits, labels


def run(names="abc", folders="abc"):
    models = [f"{name}={folder}" for name, folder in zip(names, folders, strict=True)]
    transfer.main(["--models", *models, "--labels", *(f"{name}={name}.tsv" for name in names), "--quiet"])
    return pd.read_csv("transfer.tsv", sep="\t").set_index(["trained_in", "judged_in"])


def test_every_two_cell_types_as_scikit_learn_has_it(cells):
    logits, labels = cells
    table = run()
    assert len(table) == 9
    for (trained, judged), row in table.iterrows():
        known = ~np.isnan(labels[judged])
        assert row["introns"] == known.sum() and row["retained"] == (labels[judged] == 1).sum()
        assert row["auroc"] == pytest.approx(roc_auc_score(labels[judged][known], logits[trained][known]), abs=1e-5)
        assert row["auroc_low"] < row["auroc"] < row["auroc_high"]
        others = pd.DataFrame({name: labels[name] for name in labels if name != judged}).mean(axis=1).to_numpy()
        both = known & ~np.isnan(others)
        assert row["shared"] == both.sum()
        assert row["auroc_shared"] == pytest.approx(
            roc_auc_score(labels[judged][both], logits[trained][both]), abs=1e-5
        )
        assert row["auroc_others"] == pytest.approx(roc_auc_score(labels[judged][both], others[both]), abs=1e-5)
    assert table.loc[("a", "b"), "auroc"] > 0.7 > 0.6 > table.loc[("a", "c"), "auroc"]


def test_what_does_not_fit_is_refused(cells):
    with pytest.raises(UsageError, match="the same are needed"):
        transfer.main(["--models", "a=a", "b=b", "--labels", "a=a.tsv", "c=c.tsv"])
    with pytest.raises(UsageError, match="two are needed"):
        run("a", "a")
    with pytest.raises(UsageError, match="each name once"):
        run("aa", "ab")
    Path("c/predictions.tsv").unlink()
    with pytest.raises(MissingInput, match="predictions.tsv"):
        run()
    Path("b/ambiguous.tsv").write_text(Path("b/predictions.tsv").read_text())
    with pytest.raises(BadData, match="predicted twice"):
        run("ab", "ab")
