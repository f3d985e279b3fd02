"""The claim C8: how much computing the linear model on Sei's outputs takes beside fine-tuning Sei."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intronaut.paper.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, Verdict, lacking

if TYPE_CHECKING:
    from intronaut.paper.evidence import Evidence

AT_MOST = 0.5


def little_computing(evidence: Evidence) -> Verdict:
    """C8, by the ``cost`` that embed_sei, fit and finetune record in model.json.

    Device-seconds of embedding and fitting against those of fine-tuning Sei; networks that are trained from scratch are
    printed beside. Parameters never decide, since those of Sei itself are frozen in the one and trained in the other.
    """
    tuned, linear = evidence.of("fsei"), evidence.linear()
    if not tuned or not linear:
        return lacking("a logistic regression on embed_sei features and fine-tuned Sei (finetune --network sei)")
    embedding, fitting = (evidence.notes[linear[0]].get(key) or {} for key in ("features", "cost"))
    embedding = embedding.get("cost") or {}
    if "seconds" not in embedding or "seconds" not in fitting:
        return lacking("the measured cost of the linear model: features of embed_sei --record-cost, fitted by this "
                       "version of fit")  # fmt: skip
    comparable = [at for at in tuned if _comparable(evidence, linear[0], at, embedding)]
    if not comparable:
        kind = embedding.get("device", "an unknown device")
        return lacking(f"Sei fine-tuned on the same windows and the same kind of device as embed_sei ({kind})")
    seconds, against = _linear_seconds(embedding, fitting), [_tuned_seconds(evidence, at) for at in comparable]
    word = UNDECIDED
    if all(seconds <= AT_MOST * other for other in against):
        word = SUPPORTED
    elif all(seconds >= other for other in against):
        word = CONTRADICTED
    return Verdict(word, "; ".join(_texts(evidence, linear[0], seconds, embedding, fitting)))


def _linear_seconds(embedding, fitting):
    """Those of fitting, and of embedding the windows that were fitted: a file may hold more of them."""
    embedded, fitted = (cost.get("windows") for cost in (embedding, fitting))
    share = min(1, fitted / embedded) if embedded and fitted else 1
    return share * embedding["seconds"] + fitting["seconds"]


def _tuned_seconds(evidence, at):
    cost = evidence.notes[at]["cost"]
    return cost.get("seconds_of_all_trainings", cost["seconds"])


def _comparable(evidence, linear, tuned, embedding):
    """Whether both were measured on one kind of device and trained on the same rows of the same labels."""
    ours, theirs = evidence.notes[linear], evidence.notes[tuned]
    # finetune sets some of its training rows apart to stop by
    rows = [one.get("rows_trained", 0) + one.get("rows_validating", 0) for one in (ours, theirs)]
    same = ours.get("labels_sha256") == theirs.get("labels_sha256") and rows[0] == rows[1]
    cost = theirs.get("cost") or {}
    return "seconds" in cost and same and embedding.get("device") == cost.get("device")


def _texts(evidence, linear, seconds, embedding, fitting):
    """One text a model: seconds to train, seconds to predict, memory and parameters."""
    rate = 1000 * embedding["seconds"] / embedding["windows"] if embedding.get("windows") else None
    peak = max(cost.get("peak_bytes", 0) for cost in (embedding, fitting))
    yield _text(evidence.names[linear], seconds, embedding.get("device"), rate, peak, fitting)
    for at in evidence.of("fsei", "basset", "basenji", "attentionconv"):
        cost = evidence.notes[at].get("cost") or {}
        if "seconds" in cost:
            rate, peak = cost.get("seconds_per_1000_predicted"), cost.get("peak_bytes")
            yield _text(evidence.names[at], _tuned_seconds(evidence, at), cost.get("device"), rate, peak, cost)


def _text(name, seconds, device, rate, peak, parameters):
    numbers = {kind: parameters.get(f"parameters_{kind}") for kind in ("fitted", "frozen", "total")}
    known = ", ".join(f"{number:,} {kind}" for kind, number in numbers.items() if number is not None)
    predicted = f", {rate:.3g} s per 1,000 windows to predict" if rate is not None else ""
    memory = f", {peak / 1e9:.2g} GB" if peak else ""
    return f"{name}: {seconds:,.3g} s to train on {device}{predicted}{memory}; parameters: {known or 'not recorded'}"
