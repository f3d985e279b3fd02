"""What fit and finetune both do with held-out predictions: count rows, evaluate, compare with the baseline, write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData
from intronaut.io.tables import read_table, write_table
from intronaut.models.cross_validation import UNUSED, CrossFit, Plan
from intronaut.stats.jackknife import Resampled, mean_of
from intronaut.stats.level_metrics import evaluate_levels
from intronaut.stats.matches import auroc_within_matches
from intronaut.stats.metrics import (
    as_written,
    evaluate,
    gain,
    prediction_table,
    summary_of_metrics,
    write_evaluation,
)
from intronaut.stats.strata import stratified_auroc

if TYPE_CHECKING:
    from intronaut.core.log import Log
    from intronaut.models.level import Levels

# leaks of audit_split by which a held-out window is a copy, or nearly one, of a window elsewhere
COPIES = ("twin", "homology")
SPLIT_SD = ("auroc", "average_precision", "deviance_explained", "brier", "log_loss")


@dataclass
class Evaluation:
    """One model's held-out ``predictions``, their ``summary`` for metrics.json, and the ``point`` and ``resampled``
    that compare it with another model of the same rows. ``inputs`` is what else
    :func:`intronaut.stats.metrics.evaluate` was given, ``repeats`` the Evaluations of further assignments of groups to
    folds."""

    predictions: pd.DataFrame
    summary: dict
    point: pd.Series
    resampled: Resampled
    inputs: dict
    repeats: tuple = ()

    @property
    def scores(self) -> tuple[pd.Series, Resampled]:
        """What :func:`intronaut.stats.metrics.gain` takes."""
        return self.point, self.resampled

    def only(self, kept: np.ndarray) -> Evaluation:
        """The Evaluation of some of the rows (bool), by the same models."""
        if self.repeats:
            return average([one.only(kept) for one in (replace(self, repeats=()), *self.repeats)])
        inputs = self.inputs | {
            "groups": self.inputs["groups"][kept],
            "null_logits": self.inputs["null_logits"][kept],
            "refitted": None if self.inputs["refitted"] is None else self.inputs["refitted"][:, kept],
        }
        predictions = self.predictions[kept].reset_index(drop=True)
        return Evaluation(predictions, *evaluate(predictions, **inputs), inputs)


def report_rows(
    table: pd.DataFrame, plan: Plan, counts: dict[str, int], log: Log, unit: str = "features"
) -> dict[str, int]:
    """Log which rows are left out and why; returns the counts that the plan adds. ``unit`` is what a row lacks."""
    added = {
        "rows_trained": int(plan.known.sum()),
        "rows_judged": int(plan.judged.sum()),
        "rows_without_split": int((plan.fold == UNUSED).sum()),
        "groups_in_several_folds": plan.torn_groups(),
    }
    reasons = {
        "label missing": counts["label_missing"],
        f"labelled without {unit}": counts["labelled_without_features"],
        f"{unit} without a line in the labels": counts["features_without_label_row"],
        "split missing": added["rows_without_split"],
    }
    for reason, count in reasons.items():
        if count:
            log.note(f"{count:,} windows left out: {reason}")
    if torn := added["groups_in_several_folds"]:
        log.warn(f"{torn:,} leakage groups lie in several folds: the metrics flatter the model")
    if "group" not in table:
        log.warn("labels have no column group: every row is taken as independent")
    log.note(f"{added['rows_trained']:,} windows train, {added['rows_judged']:,} are held out")
    return added


def evaluate_held_out(
    table: pd.DataFrame,
    plan: Plan,
    logits: np.ndarray,
    refitted: np.ndarray | None,
    *,
    labels: np.ndarray | None = None,
    replicates: int,
    seed: int,
) -> Evaluation:
    """The Evaluation of the held-out rows of a labels table.

    Args:
        logits: ``(n,)`` of all rows, ``refitted`` ``(K, n)`` or None, as in a CrossFit.
        labels: ``(n,)`` in place of the table's.
    """
    table = table if labels is None else table.assign(label=labels)
    predictions = prediction_table(table, logits, plan.fold_names(), plan.judged)
    inputs = {
        "groups": plan.groups[plan.judged],
        "replicates": replicates,
        "seed": seed,
        "refitted": None if refitted is None else np.stack([as_written(line[plan.judged]) for line in refitted]),
        "null_logits": plan.prevalence_logits(table["label"].to_numpy())[plan.judged],
    }
    evaluation = Evaluation(predictions, *evaluate(predictions, **inputs), inputs)
    evaluation.summary["judged"] = "out-of-fold" if plan.nested else "test rows"
    return evaluation


def evaluate_held_out_levels(
    table: pd.DataFrame, plan: Plan, result: CrossFit, levels: Levels, weights: np.ndarray, seed: int
) -> Evaluation:
    """The Evaluation of the held-out rows by their measured levels, whose predictions also hold psi and weight.

    Args:
        table: the rows, with ``class``, the label by thresholds (1, 0, NaN), which the fit has not seen.
        result: the CrossFit; ``levels`` the Levels of all rows, ``weights`` ``(n,)`` of the held-out ones.
    """
    predictions = prediction_table(table.assign(label=0), result.logits, plan.fold_names(), plan.judged)
    held_out = table[plan.judged].reset_index(drop=True)
    measured = {"psi": as_written(levels.y[plan.judged]), "weight": as_written(weights[plan.judged])}
    predictions = predictions.assign(label=held_out["class"].astype("Int64"), **measured)
    null = np.full(len(levels.y), np.nan)
    for outer in plan.outers:
        training = plan.trains(() if outer is None else {outer})
        # the weights of these rows are those of their own models, which differ from this model's by ρ only
        mean = np.average(levels.y[training], weights=_known(weights, levels)[training])
        null[plan.judged_by(outer)] = np.log(mean / (1 - mean))
    inputs = {
        "groups": plan.groups[plan.judged],
        "replicates": 0,
        "seed": seed,
        "refitted": None
        if result.refitted is None
        else np.stack([as_written(r[plan.judged]) for r in result.refitted]),
        "null_logits": null[plan.judged],
    }
    evaluation = Evaluation(predictions, *evaluate_levels(predictions, **inputs), inputs)
    evaluation.summary["judged"] = "out-of-fold" if plan.nested else "test rows"
    return evaluation


def _known(weights, levels):
    """The weights, of training rows that are not held out by their reads or equally."""
    reads = levels.n if levels.weights is None else levels.weights
    return np.where(np.isfinite(weights), weights, reads)


def average(evaluations: list[Evaluation]) -> Evaluation:
    """The Evaluation of repeated cross-validation: metrics and what is left out averaged over the repeats.

    The predictions are those of the first; the variance of training is the mean over repeats, not divided by them,
    because all repeats train on the same introns.
    """
    if len(evaluations) == 1:
        return evaluations[0]
    first, points = evaluations[0], pd.DataFrame([one.point for one in evaluations])
    point, resampled = points.mean(), mean_of([one.resampled for one in evaluations])
    split_sd = {name: _json_number(points[name].std()) for name in SPLIT_SD}
    summary = first.summary | {
        "metrics": summary_of_metrics(point, resampled),
        "repeats": {"n": len(evaluations), "split_sd": split_sd},
    }
    return Evaluation(first.predictions, summary, point, resampled, first.inputs, tuple(evaluations[1:]))


def log_evaluation(name: str, evaluation: Evaluation, log: Log) -> None:
    """One line with AUROC and average precision, and the warnings of the evaluation."""
    metrics = evaluation.summary["metrics"]
    if "auroc" not in metrics:
        explained, correlation = (interval_words(metrics[metric]) for metric in ("deviance_explained", "spearman"))
        log.note(f"{name}: deviance explained {explained}, Spearman correlation within folds {correlation}")
        for sentence in evaluation.summary["warnings"]:
            log.warn(f"{name}: {sentence}")
        return
    auroc, precision = (interval_words(metrics[metric]) for metric in ("auroc", "average_precision"))
    chance = metrics["average_precision_by_chance"]["value"]
    log.note(f"{name}: AUROC {auroc}, average precision {precision}, by chance {chance:.3f}")
    for sentence in evaluation.summary["warnings"]:
        log.warn(f"{name}: {sentence}")


def interval_words(metric: dict[str, float | None], sign: str = "") -> str:
    """``0.712 (0.690–0.733)``, or the value alone where a metric has no interval."""
    if metric["value"] is None:
        return "undefined"
    if metric["low"] is None:
        return f"{metric['value']:{sign}.3f} (no interval)"
    return f"{metric['value']:{sign}.3f} ({metric['low']:{sign}.3f}–{metric['high']:{sign}.3f})"


def gains(
    evaluations: dict[str, Evaluation], base: str = "covariates"
) -> dict[str, dict[str, dict[str, float | None]]]:
    """``{NAME_minus_BASE: differences}`` of the models combined and features over the ``base``."""
    base_scores = evaluations[base].scores
    return {f"{name}_minus_{base}": gain(evaluations[name].scores, base_scores) for name in ("combined", "features")}


def baseline_table(evaluations: dict[str, Evaluation], columns: dict[str, int]) -> pd.DataFrame:
    """A row per Evaluation: its columns, metrics with intervals, and their gain over the row above.

    Args:
        evaluations: dict in the order of the rows, each model with all columns of the one before.
        columns: how many columns each has, where known.
    """
    rows, before = [], None
    for name, evaluation in evaluations.items():
        row = {"row": name, "columns": columns.get(name)}
        steps = {} if before is None else gain(evaluation.scores, before.scores)
        for metric in ("auroc", "average_precision", "deviance_explained"):
            interval, step = evaluation.summary["metrics"][metric], steps.get(metric, {})
            row |= {metric: interval["value"], f"{metric}_low": interval["low"], f"{metric}_high": interval["high"]}
            row |= {
                f"{metric}_gain{end}": step.get(key) for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))
            }
        rows.append(row)
        before = evaluation
    return pd.DataFrame(rows)


def read_copies(path: Path | str, names: pd.Series) -> pd.Index:
    """The windows that audit_split found a copy or homolog of in another part.

    Raises BadData when there are some and none of them is among the ``names`` of the study.
    """
    pairs = read_table(path, ("leak", "name_1", "name_2"))
    pairs = pairs[pairs["leak"].isin(COPIES)]
    copied = pd.Index(pairs[["name_1", "name_2"]].to_numpy().ravel()).unique()
    if len(copied) and not copied.isin(names).any():
        raise BadData(f"{path}: none of its windows, such as {copied[0]!r}, is in this study")
    return copied


def without_copies(evaluations: dict[str, Evaluation], copies: pd.Index, log: Log) -> dict[str, Any]:
    """Metrics and gains of the held-out windows that have no near-copy elsewhere, for metrics.json; logs them."""
    copied = evaluations["features"].predictions["name"].isin(copies).to_numpy()
    result: dict[str, Any] = {"left_out": int(copied.sum()), "of": len(copied)}
    without = ""
    if 0 < copied.sum() < len(copied):
        names = [name for name in ("features", "covariates", "combined") if name in evaluations]
        kept: dict[str, Evaluation] = {name: evaluations[name].only(~copied) for name in names}
        result["metrics"] = {name: one.summary["metrics"] for name, one in kept.items()}
        without = f"; without them AUROC {interval_words(result['metrics']['features']['auroc'])}"
        if "covariates" in kept:
            result["gain"] = gains(kept)
            without += f", gain {interval_words(result['gain']['combined_minus_covariates']['auroc'], '+')}"
    log.note(f"{result['left_out']:,} of {result['of']:,} held-out windows have a near-copy in another part{without}")
    return result


def write_evaluations(
    folder: Path, table: pd.DataFrame, plan: Plan, evaluations: dict[str, Evaluation], more: dict[str, dict[str, Any]]
) -> None:
    """predictions.tsv, metrics.json, strata.tsv and repeats.tsv of ``features``; a folder for each other evaluation.

    Args:
        evaluations: dict of Evaluations; ``covariates`` and ``combined`` are the baseline where they are.
        more: what else metrics.json of ``features`` holds.
    """
    main = evaluations["features"]
    for name, evaluation in evaluations.items():
        if name != "features":
            (folder / name).mkdir()
            write_evaluation(folder / name, evaluation.predictions, evaluation.summary)
            write_refits(folder / name, evaluation)
    write_refits(folder, main)
    summary = main.summary | {"baseline": None, "gain": None}
    if "covariates" in evaluations:
        summary["baseline"] = {name: evaluations[name].summary["metrics"] for name in ("covariates", "combined")}
        summary["gain"] = gains(evaluations)
    if "shuffled" in evaluations:
        summary["label_shuffle"] = evaluations["shuffled"].summary["metrics"]
    if "auroc" in main.point:
        held_out = table[plan.judged].reset_index(drop=True)
        within, strata = stratified_auroc(main.predictions, held_out, main.inputs["groups"], main.inputs["seed"])
        write_table(folder / "strata.tsv", strata)
        more = more | {"auroc_within_strata": within}
        if "match" in held_out:
            within_matches = auroc_within_matches(
                main.predictions, held_out["match"].to_numpy(float), main.inputs["groups"], main.inputs["seed"]
            )
            more = more | {"auroc_within_matches": within_matches}
    if main.repeats:
        repeats = [one.predictions.assign(repeat=number) for number, one in enumerate(main.repeats, 2)]
        write_table(folder / "repeats.tsv", pd.concat(repeats))
    write_evaluation(folder, main.predictions, summary | more)


def write_refits(folder: Path, evaluation: Evaluation) -> None:
    """refits.tsv: of each held-out row the log odds of retention where its model was trained, and its logits by the
    models without_1, without_2 … that were also trained without that fold. Nothing where there are none."""
    refitted = evaluation.inputs["refitted"]
    if refitted is None:
        return
    columns = {"name": evaluation.predictions["name"], "null_logit": evaluation.inputs["null_logits"]}
    columns |= {f"without_{number}": line for number, line in enumerate(refitted, 1)}
    write_table(folder / "refits.tsv", pd.DataFrame(columns))


def _json_number(value):
    return float(value) if np.isfinite(value) else None
