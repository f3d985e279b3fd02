import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

import compare
from intronaut.core.errors import BadData
from intronaut.io.tables import write_table
from reference_aurocs import auroc_between_groups
from simulated_introns import introns, write_labels

LOGISTIC = {"kind": "logistic", "features": {"tool": "embed_sei"}, "n_parameters": 21908}


def write_model(folder, labels, logits, notes=None):
    folder.mkdir(parents=True)
    table = pd.DataFrame({"name": [f"i{k}" for k in range(len(labels))], "label": labels, "split": "1", "fold": "1"})
    write_table(folder / "predictions.tsv", table.assign(p_retained=1 / (1 + np.exp(-logits)), logit=logits))
    if notes:
        (folder / "model.json").write_text(json.dumps({"layout": 1, **notes}))


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A good model, its twin with a little noise, a poor one and a covariates baseline, on 3,000 introns."""
    rng = np.random.default_rng(0)
    labels = (rng.random(3000) < 0.2).astype(int)
    signal = labels + rng.normal(size=3000)
    write_model(tmp_path / "good", labels, signal, LOGISTIC)
    write_model(tmp_path / "twin", labels, signal + 0.02 * rng.normal(size=3000))
    write_model(tmp_path / "poor", labels, signal + 2 * rng.normal(size=3000), {"kind": "dnabert2_finetuned"})
    write_model(tmp_path / "good/covariates", labels, signal + 3 * rng.normal(size=3000))
    write_labels(tmp_path / "labels.tsv", introns(3000).assign(label=labels))
    monkeypatch.chdir(tmp_path)
    return labels, signal


COMPARE = ("good", "twin", "poor", "--labels", "labels.tsv", "-o", "c", "--bootstrap", "300")


def read(path):
    return pd.read_csv(path, sep="\t")


def test_better_equal_and_worse_models_are_told_apart_in_words(models, tmp_path):
    compare.main(COMPARE)
    pairs = read(tmp_path / "c/comparison.tsv").set_index(["model_a", "model_b"])["sentence"]
    assert len(pairs) == 6
    twins = next(text for (a, b), text in pairs.items() if {a, b} == {"good", "twin"})
    assert "equally good within 0.01" in twins
    assert "good ranks introns better than poor: AUROC" in pairs["good", "poor"]


def test_the_table_of_models_equals_scikit_learn(models, tmp_path):
    labels, signal = models
    compare.main(COMPARE)
    found = read(tmp_path / "c/models.tsv").set_index("model").loc["good"]
    assert found["auroc"] == pytest.approx(
        auroc_between_groups(pd.DataFrame({"label": labels, "logit": signal}), np.arange(3000) // 3), abs=1e-5
    )
    assert found["average_precision"] == pytest.approx(average_precision_score(labels, signal), abs=1e-5)
    assert found["auroc_low"] < found["auroc"] < found["auroc_high"]


def test_claims_are_decided_from_what_the_models_are(models, tmp_path):
    compare.main(COMPARE)
    found = read(tmp_path / "c/claims.tsv").set_index("claim")
    assert found.loc["C3", "verdict"] == "supported" and "good − poor = +0." in found.loc["C3", "numbers"]
    # AUROC 0.76 is clearly above the baseline, but neither above nor below the published 0.807 less 0.03
    assert found.loc["C1", "verdict"] == "undecided" and "good − covariates = +0." in found.loc["C1", "numbers"]
    assert found.loc["C4", "verdict"] == "not testable" and "needs fine-tuned Sei" in found.loc["C4", "numbers"]
    assert (found["n"] == 3000).all() and found["rule"].str.contains("supported: ").all()
    assert list(found.index) == [f"C{k}" for k in range(1, 9)]


def test_the_models_beside_one_serve_its_claims_alone(models, tmp_path):
    labels, signal = models
    write_model(tmp_path / "good/combined", labels, signal)
    compare.main(COMPARE)
    told = read(tmp_path / "c/claims.tsv").set_index("claim").loc["C1", "numbers"]
    assert "good/combined − covariates = +0." in told
    assert set(read(tmp_path / "c/models.tsv")["model"]) == {"good", "twin", "poor", "covariates"}


def test_only_windows_of_all_models_are_compared_and_the_rest_counted(models, tmp_path):
    table = read(tmp_path / "poor/predictions.tsv")
    write_table(tmp_path / "poor/predictions.tsv", table.iloc[100:].sample(frac=1, random_state=0))
    compare.main(COMPARE)
    told = json.loads((tmp_path / "c/compare.json").read_text())
    assert told["n"] == 2900 and told["left_out"] == {"good": 100, "twin": 100, "poor": 0, "covariates": 100}
    kept = read(tmp_path / "good/predictions.tsv").iloc[100:]
    found = read(tmp_path / "c/models.tsv").set_index("model").loc["good", "auroc"]
    expected = auroc_between_groups(kept, np.arange(100, 3000) // 3)
    assert found == pytest.approx(expected, abs=1e-5)


def test_few_retained_introns_and_few_groups_are_said(tool, tmp_path, monkeypatch):
    rng, labels = np.random.default_rng(1), (np.arange(120) % 10 == 0).astype(int)
    for name in ("one", "other"):
        write_model(tmp_path / name, labels, labels + rng.normal(size=120))
    told = tool("compare", "one", "other", "-o", "c", "--bootstrap", "20").stderr
    about = json.loads((tmp_path / "c/compare.json").read_text())
    few = ["12 retained introns are few: below 50", "12 leakage groups hold the rarer class: below 20"]
    assert [words in told and words in text for words, text in zip(few, about["warnings"], strict=True)] == [True, True]
    write_model(tmp_path / "many", np.tile(labels, 5), rng.normal(size=600))
    write_model(tmp_path / "more", np.tile(labels, 5), rng.normal(size=600))
    tool("compare", "many", "more", "-o", "d", "--bootstrap", "20")
    assert json.loads((tmp_path / "d/compare.json").read_text())["warnings"] == []


def test_models_whose_windows_form_one_group_are_not_compared(models, tmp_path):
    write_labels(tmp_path / "one.tsv", introns(3000).assign(label=models[0], group="G0"))
    compare.main(["good", "poor", "--labels", "one.tsv", "-o", "c", "--bootstrap", "100"])
    sentences = read(tmp_path / "c/comparison.tsv")["sentence"]
    why = "no retained and spliced window of different leakage groups share a fold"
    assert len(sentences) == 3 and sentences.str.endswith(f" cannot be compared: {why}.").all()
    claims = read(tmp_path / "c/claims.tsv").set_index("claim").loc[["C1", "C2", "C3", "C4", "C5"]]
    assert set(claims["verdict"]) == {"not testable"} and set(claims["numbers"]) == {f"needs an AUROC, and {why}"}
    assert read(tmp_path / "c/models.tsv")["auroc"].isna().all() and (tmp_path / "c/curves.svg").exists()


def test_models_of_other_labels_are_refused(tool, models, tmp_path):
    table = read(tmp_path / "poor/predictions.tsv")
    write_table(tmp_path / "poor/predictions.tsv", table.assign(label=1 - table["label"]))
    done = tool("compare", *COMPARE, code=65)
    assert "3000 labels differ from good/predictions.tsv, first i0" in done.stderr and not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    "args, expected, code",
    [
        (["poor", "-o", "c"], "nothing to compare it with", 2),
        (["good", "gone", "-o", "c"], "error: gone/predictions.tsv: ", 66),
        (["good", "poor", "-o", "c", "--labels", "good/predictions.tsv"], "no column group", 65),
    ],
)
def test_wrong_use_is_one_line(tool, models, args, expected, code):
    assert expected in tool("compare", *args, code=code).stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"a": "x", "b": "y"}, "b/predictions.tsv: shares no window with a/predictions.tsv"),
        ({"a": "xy", "b": "x", "c": "z"}, "c/predictions.tsv: shares no window with any other folder"),
        ({"a": "z", "b": "xy", "c": "x"}, "a/predictions.tsv: shares no window with any other folder"),
        ({"a": "xy", "b": "yz", "c": "xw"}, "c/predictions.tsv: shares no window with b/predictions.tsv"),
        ({"a": "xy", "b": "yz", "c": "xz"}, "a/predictions.tsv: none of its windows is in all the other folders"),
    ],
)
def test_the_folder_named_is_the_one_apart(names, expected):
    models = [
        {"name": name, "path": f"{name}/predictions.tsv"}
        | {"predictions": pd.DataFrame({"label": [k % 2 for k in range(len(own))]}, index=list(own))}
        for name, own in names.items()
    ]
    with pytest.raises(BadData, match=f"^{expected}$"):
        compare.common_rows(models, None)


def families(folder, odds, q, attributions=True):
    """A folder of find_motifs: three families of named factors, one of others."""
    folder.mkdir(exist_ok=True)
    rows = [("TFAP2A;TFAP2C", odds, q), ("KLF4", odds, q), ("EGR1", odds, q), ("FOXA1", 9, 1e-9)]
    text = "".join(f"{factors}\t{ratio}\t{ratio / 1.2}\t{ratio * 1.2}\t{value}\n" for factors, ratio, value in rows)
    (folder / "families.tsv").write_text("factors\todds_ratio\tlow\thigh\tq\n" + text)
    summary = {"adjust": "gc,length", "attributions": attributions, "gc_correlation": {"unadjusted": 0.8}}
    (folder / "summary.json").write_text(json.dumps(summary))


@pytest.mark.parametrize(
    ("odds", "q", "verdict"),
    [(2, 0.01, "supported"), (2, 0.2, "undecided"), (0.5, 0.01, "contradicted"), (0.95, 0.5, "undecided")],
)
def test_claim_on_motifs_follows_the_adjusted_odds(models, tmp_path, monkeypatch, odds, q, verdict):
    monkeypatch.chdir(tmp_path)
    families(tmp_path / "motifs", odds, q)
    compare.main([*COMPARE, "--motifs", "motifs"])
    told = read(tmp_path / "c/claims.tsv").set_index("claim").loc["C7"]
    assert told["verdict"] == verdict
    assert "of 3 families" in told["numbers"] and "sites in attributed regions" in told["numbers"]


@pytest.mark.parametrize(
    ("q", "attributions", "reason"),
    [
        (0.01, False, "needs sites in attributed regions: the folder (--motifs) was made without --attributions"),
        ("NA", True, "needs families with the named factors that could be tested"),
    ],
)
def test_claim_on_motifs_needs_tested_families_in_attributed_regions(models, tmp_path, q, attributions, reason):
    families(tmp_path / "motifs", 2, q, attributions)
    compare.main([*COMPARE, "--motifs", "motifs"])
    told = read(tmp_path / "c/claims.tsv").set_index("claim").loc["C7"]
    assert told["verdict"] == "not testable" and told["numbers"].startswith(reason)


def write_model_of_levels(folder, psi, logits, weight):
    """Held-out levels in two folds, most of them without a label."""
    folder.mkdir(parents=True)
    table = pd.DataFrame({"name": [f"i{k}" for k in range(len(psi))], "label": np.where(psi > 0.5, 1, np.nan)})
    table = table.assign(split="1", fold=np.arange(len(psi)) // 3 % 2 + 1, psi=psi, weight=weight, logit=logits)
    write_table(folder / "predictions.tsv", table.assign(p_retained=1 / (1 + np.exp(-logits))))


@pytest.fixture
def models_of_levels(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    signal = rng.normal(-2, 1, 900)
    psi, weight = rng.binomial(40, 1 / (1 + np.exp(-signal))) / 40, rng.uniform(5, 40, 900).round(3)
    write_model_of_levels(tmp_path / "good", psi, signal + 0.3 * rng.normal(size=900), weight)
    write_model_of_levels(tmp_path / "poor", psi, signal + 3 * rng.normal(size=900), weight)
    write_labels(tmp_path / "labels.tsv", introns(900))
    monkeypatch.chdir(tmp_path)
    return psi


def test_models_of_levels_are_compared_by_rank_correlation(models_of_levels, tmp_path):
    compare.main(("poor", "good", "--labels", "labels.tsv", "-o", "c"))
    (pair,) = read(tmp_path / "c/comparison.tsv").to_dict("records")
    assert pair["sentence"].startswith("good ranks introns better than poor: Rank correlation")
    assert 0 < pair["spearman_low"] < pair["spearman_difference"] < pair["spearman_high"]
    assert pair["deviance_explained_low"] > 0 and pair["mean_absolute_error_high"] < 0
    found = read(tmp_path / "c/models.tsv").set_index("model")
    for name in ("good", "poor"):
        table = read(tmp_path / name / "predictions.tsv")
        of_folds = [spearmanr(own["psi"], own["logit"])[0] for _, own in table.groupby("fold")]
        assert found["spearman"][name] == pytest.approx(np.mean(of_folds), abs=1e-5)
    assert set(read(tmp_path / "c/claims.tsv")["verdict"]) == {"not testable"}
    assert sorted(path.name for path in (tmp_path / "c").iterdir() if path.suffix == ".svg") == ["differences.svg"]


def test_levels_are_not_compared_with_labels(tool, models_of_levels, tmp_path):
    write_model(tmp_path / "classes", (models_of_levels > 0.3).astype(int), np.zeros(900))
    done = tool("compare", "good", "classes", "-o", "c", code=65)
    assert "classes/predictions.tsv: a model of labels, but good/predictions.tsv one of levels" in done.stderr
