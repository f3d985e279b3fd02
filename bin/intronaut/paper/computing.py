"""The claim C8: how much computing the linear model on Sei's outputs takes beside fine-tuning Sei."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intronaut.paper.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, Verdict, lacking

if TYPE_CHECKING:
    from intronaut.paper.claims import Evidence

AT_MOST = 0.5


def little_computing(evidence: Evidence) -> Verdict:
    """C8, by the ``cost`` that embed_sei, fit and finetune record in model.json.

    Device-seconds of embedding and fitting against those of fine-tuning; parameters never decide, since those of Sei
    itself are frozen in the one and trained in the other.
    """
    tuned, linear = evidence.of("fsei", "basset", "basenji", "attentionconv"), evidence.linear()
    if not tuned or not linear:
        return lacking("a logistic regression on embed_sei features and a fine-tuned network")
    embedding, fitting = (evidence.notes[linear[0]].get(key) or {} for key in ("features", "cost"))
    embedding = embedding.get("cost") or {}
    if "seconds" not in embedding or "seconds" not in fitting:
        return lacking("the measured cost of the linear model: features of embed_sei --record-cost, fitted by this "
                       "version of fit")  # fmt: skip
    costs = {at: evidence.notes[at].get("cost") or {} for at in tuned}
    comparable = [at for at, cost in costs.items() if _comparable(evidence, linear[0], at, embedding, cost)]
    if not comparable:
        kind = embedding.get("device", "an unknown device")
        return lacking(f"a network trained on the same windows and the same kind of device as embed_sei ({kind})")
    seconds = embedding["seconds"] + fitting["seconds"]
    against = {at: costs[at].get("seconds_of_all_trainings", costs[at]["seconds"]) for at in comparable}
    word = UNDECIDED
    if all(seconds <= AT_MOST * other for other in against.values()):
        word = SUPPORTED
    elif all(seconds >= other for other in against.values()):
        word = CONTRADICTED
    texts = [_text(evidence.names[linear[0]], seconds, embedding, fitting)]
    texts += [_text(evidence.names[at], other, costs[at], costs[at]) for at, other in against.items()]
    return Verdict(word, "; ".join(texts))


def _comparable(evidence, linear, tuned, embedding, cost):
    """Whether both were measured on one kind of device and trained on the same rows of the same labels."""
    ours, theirs = evidence.notes[linear], evidence.notes[tuned]
    # finetune sets some of its training rows apart to stop by
    rows = [one.get("rows_trained", 0) + one.get("rows_validating", 0) for one in (ours, theirs)]
    same = ours.get("labels_sha256") == theirs.get("labels_sha256") and rows[0] == rows[1]
    return "seconds" in cost and same and embedding.get("device") == cost.get("device")


def _text(name, seconds, cost, fitted):
    numbers = {kind: fitted.get(f"parameters_{kind}") for kind in ("fitted", "frozen", "total")}
    parameters = ", ".join(f"{number:,} {kind}" for kind, number in numbers.items() if number is not None)
    windows = cost.get("windows")
    rate = f", {1000 * cost['seconds'] / windows:.3g} s per 1,000 windows" if windows else ""
    memory = f", {cost['peak_bytes'] / 1e9:.2g} GB" if cost.get("peak_bytes") else ""
    return f"{name}: {seconds:,.3g} s on {cost.get('device')}{rate}{memory}; parameters: {parameters or 'not recorded'}"
