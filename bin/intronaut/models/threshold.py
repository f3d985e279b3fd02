"""The probability from which an intron is called retained, chosen where the model was not evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import expit

from intronaut.core.errors import UsageError
from intronaut.stats.jackknife import Resampled, leave_out_blocks

if TYPE_CHECKING:
    from intronaut.models.cross_validation import CrossFit, Plan

MEASURES = ("sensitivity", "specificity", "precision", "f1")


@dataclass(frozen=True)
class Rule:
    """How a threshold is chosen: ``kind`` cost, f1, recall or precision, and its ``numbers``."""

    kind: str
    numbers: tuple = ()

    @classmethod
    def parse(cls, text: str) -> Rule:
        """``cost:FN,FP``, ``f1``, ``recall:R`` or ``precision:P``; UsageError for anything else."""
        kind, _, rest = text.partition(":")
        try:
            numbers = tuple(float(number) for number in rest.split(",")) if rest else ()
        except ValueError:
            numbers = None
        wanted = {"cost": 2, "f1": 0, "recall": 1, "precision": 1}.get(kind)
        positive = numbers is not None and all(0 < number < np.inf for number in numbers)
        share = kind not in ("recall", "precision") or not numbers or numbers[0] <= 1
        if wanted is None or not positive or len(numbers) != wanted or not share:
            raise UsageError(
                f"--threshold {text}: give cost:FN,FP (the costs of a missed and of a wrongly called intron), f1, "
                "recall:R or precision:P with a share above 0"
            )
        return cls(kind, numbers)

    def choose(self, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """The threshold on these rows; NaN where the rule cannot be met."""
        if self.kind == "cost":
            # calling costs less from this probability on (Elkan 2001, IJCAI 17:973)
            false_negative, false_positive = self.numbers
            return false_positive / (false_negative + false_positive)
        order = np.argsort(-probabilities, kind="stable")
        p, hits = probabilities[order], np.cumsum(labels[order])
        last = np.append(p[1:] != p[:-1], True)
        p, hits, called = p[last], hits[last], np.flatnonzero(last) + 1
        if self.kind == "f1":
            f1 = 2 * hits / (called + hits[-1])
            # rows go from the largest probability down, so that the first of equals is the largest threshold
            return float(p[np.argmax(f1)])
        if self.kind == "recall":
            return float(p[np.argmax(hits >= self.numbers[0] * hits[-1])])
        reached = np.flatnonzero(hits / called >= self.numbers[0])
        return float(p[reached[-1]]) if len(reached) else np.nan


def choose_thresholds(rule: Rule, result: CrossFit, labels: np.ndarray, plan: Plan) -> tuple[float, dict[int, float]]:
    """Thresholds of a calibrated CrossFit: ``(final, {judged fold: threshold})``.

    That of a held-out fold comes from the inner out-of-fold probabilities of its training rows; that of the final model
    from all out-of-fold probabilities, none of which its model has seen.
    """
    by_fold = {outer: _chosen(rule, result.inner[outer], labels) for outer in plan.outers}
    final = _chosen(rule, result.out_of_fold(plan), labels)
    return final, {outer: threshold for outer, threshold in by_fold.items() if outer is not None}


def _chosen(rule, logits, labels):
    known = np.isfinite(logits)
    return rule.choose(labels[known], expit(logits[known]))


def held_out_measures(
    labels: np.ndarray, called: np.ndarray, groups: np.ndarray, seed: int
) -> dict[str, dict[str, float | None]]:
    """Sensitivity, specificity, precision and F1 of held-out calls (bool), each with its jackknife interval."""
    blocks = leave_out_blocks(groups, seed)
    columns = [labels * called, (1 - labels) * called, labels, 1 - labels]
    parts = np.stack([np.bincount(blocks, column.astype(float)) for column in columns])
    total = parts.sum(axis=1)
    values, left_out = _measures(*total), pd.DataFrame(_measures(*(total[:, None] - parts)))
    group = pd.factorize(np.asarray(groups, object))[0]
    rarer = min(len(np.unique(group[labels == label])) for label in (0, 1))
    resampled = Resampled(left_out, (), pd.DataFrame(), rarer, len(np.unique(group)))
    return {name: resampled.interval(name, values[name], "logit") for name in MEASURES}


def _measures(hits, false_calls, retained, spliced):
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "sensitivity": hits / retained,
            "specificity": 1 - false_calls / spliced,
            "precision": hits / (hits + false_calls),
            "f1": 2 * hits / (hits + false_calls + retained),
        }


def summarise(rule_text: str, result: CrossFit, labels: np.ndarray, plan: Plan, seed: int) -> dict[str, Any]:
    """What threshold.json holds: the rule, its thresholds, the rows that chose them, and held-out measures."""
    rule = Rule.parse(rule_text)
    final, by_fold = choose_thresholds(rule, result, labels, plan)
    judged = plan.judged
    row_threshold = np.full(len(labels), final)
    for fold, threshold in by_fold.items():
        row_threshold[plan.judged_by(fold)] = threshold
    # a threshold that could not be reached calls nothing
    called = expit(result.logits[judged]) >= np.nan_to_num(row_threshold[judged], nan=np.inf)
    return {
        "rule": rule_text,
        "threshold": _json_number(final),
        "threshold_of_fold": {str(fold): _json_number(threshold) for fold, threshold in by_fold.items()},
        "chosen_on": "nothing but the costs" if rule.kind == "cost" else "out-of-fold probabilities of training rows",
        "not_reached": bool(np.isnan(final)),
        "held_out": held_out_measures(labels[judged], called, plan.groups[judged], seed),
    }


def _json_number(value):
    return float(value) if np.isfinite(value) else None
