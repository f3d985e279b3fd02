"""The sentences of the report's first screen, where models are many: one for all that say the same."""

from types import SimpleNamespace

import pytest

from intronaut.report import page, verdict
from intronaut.report.study import AUROC


def gains(*intervals):
    keys = ("value", "low", "high")
    return [
        (SimpleNamespace(plain=f"set {number}"), dict(zip(keys, of, strict=True)))
        for number, of in enumerate(intervals)
    ]


def test_few_models_have_a_sentence_each():
    texts = verdict._gain_sentences(gains((0.001, -0.01, 0.02), (0.002, -0.01, 0.03), (-0.03, -0.05, -0.01)), AUROC)
    assert len(texts) == 3 and texts[1].startswith(
        "With set 1 added, AUROC changes by +0.002 (−0.010 to +0.030): a gain"
    )


def test_many_that_add_nothing_measurable_have_one_and_the_others_their_own():
    none = [(-0.012, -0.031, 0.007), (0.002, -0.01, 0.014), (-0.001, -0.02, 0.018), (0.0, -0.009, 0.009)]
    (only,) = verdict._gain_sentences(gains(*none), AUROC)
    assert only == (
        "With any one of 4 kinds of features added, AUROC changes by −0.012 to +0.002, each 95% CI holds 0, and a gain "
        "above 0.018 lies outside all of them."
    )
    texts = verdict._gain_sentences(gains(*none, (0.05, 0.01, 0.09)), AUROC)
    assert texts[0] == "With set 4 added, AUROC changes by +0.050 (+0.010 to +0.090)." and "4 other kinds" in texts[1]
    assert len(texts) == 2


@pytest.mark.parametrize(("n", "words"), [(2, "a (logistic); b (logistic)"), (4, "4 kinds, each named below")])
def test_the_header_names_few_kinds_of_features(n, words):
    models = [SimpleNamespace(plain=name, kind="logistic") for name in "abcd"[:n]]
    assert page.feature_words(SimpleNamespace(models=models, settings={"window": 600})) == f"{words}, windows of 600 nt"
