"""A network for every fold, trained without it and evaluated on it, beside linear models of the same rows.

Written as fit writes its own: the same files, with the same names in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from intronaut.core.log import Log
from intronaut.io import tables
from intronaut.models import held_out, logistic
from intronaut.models.cross_validation import Plan, cross_fit
from intronaut.models.design_matrix import Matrix, covariates
from intronaut.models.level import Levels, row_weights
from intronaut.networks import classifiers, training
from intronaut.stats import metrics
from intronaut.stats.jackknife import over_seeds

if TYPE_CHECKING:
    import torch

# trainings from fewer seeds say nothing firm of their variance
ENOUGH_SEEDS = 3
# penalties of the linear models, those of fit
C_VALUES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0, 10.0)


@dataclass
class Study:
    """What all trainings of a run share.

    ``table`` is the labels table and ``examples`` the windows of its rows; ``new_network(seed)`` gives the network
    before training; with ``frozen``, the examples are what its trunk has made of the windows. ``folder`` holds the
    checkpoints, ``bootstrap`` and ``seed`` are of the intervals; ``covariates`` are the user's, one row per window.
    """

    name: str
    table: pd.DataFrame
    plan: Plan
    examples: training.Examples
    new_network: Callable
    frozen: bool
    settings: training.Settings
    at_once: int | None
    device: torch.device
    bootstrap: int
    seed: int
    log: Log
    folder: Path | None = None
    covariates: pd.DataFrame | None = None
    levels: Levels | None = None

    @property
    def labels(self) -> np.ndarray:
        """0 and 1 of every row, or its level."""
        return self.table["label"].to_numpy() if self.levels is None else self.levels.y

    @property
    def weights(self) -> np.ndarray | None:
        """The weight of every row by its fragments; None for labels."""
        return None if self.levels is None else row_weights(self.levels)


@dataclass
class Result:
    """What the trainings from one seed, or one linear model beside them, came to.

    ``logits`` ``(n,)`` are the held-out rows', NaN elsewhere, and ``evaluation`` says what they are worth. Of networks
    also: ``valid``, by held-out fold, the logits ``(n,)`` of the validation rows of its training; its ``states``; the
    ``path`` of all epochs; and the ``network`` that is kept, as trained (None if none is).
    """

    logits: np.ndarray
    evaluation: held_out.Evaluation
    valid: dict | None = None
    states: dict | None = None
    path: pd.DataFrame | None = None
    network: classifiers.Network | None = None


def train_all(study: Study, seed: int, keep: bool) -> Result:
    """Train a network for every held-out fold, and with ``keep`` the one that is kept; returns their Result."""
    logits, valid, states, path, kept = np.full(len(study.table), np.nan), {}, {}, [], None
    for outer in study.plan.outers:
        if outer is None and study.plan.nested and not keep:
            continue
        network, state, all_logits = _train_without(study, outer, seed)
        if outer is None:
            kept = network
        judged = study.plan.judged_by(outer)
        logits[judged], valid[outer], states[outer] = all_logits[judged], np.where(judged, np.nan, all_logits), state
        about = {"seed": seed, "judged_fold": outer}
        path += [about | row | {"chosen": row["epoch"] == state.best_epoch} for row in state.history]
    result = evaluated(study, logits, None, "features")
    result.evaluation.summary["seed"] = seed
    result.valid, result.states, result.path, result.network = valid, states, pd.DataFrame(path), kept
    return result


def estimate(study: Study, seeds: int) -> list[str]:
    """Train for a few seconds; returns lines that say how long the whole run takes, and its memory."""
    network, (train, _) = study.new_network([study.seed]).to(study.device), study.plan.training_and_validation(None)
    rows, outers, settings = np.flatnonzero(train), study.plan.outers, study.settings
    parameters = classifiers.n_parameters(network)
    rate = training.Training(network, study.examples, settings, log=study.log, at_once=study.at_once).speed(rows)
    trainings = len(outers) + (seeds - 1) * (len(outers) - study.plan.nested)
    hours = len(rows) * (2 if settings.strands == "both" else 1) / rate / 3600
    memory = training.peak_memory(study.device)
    return [
        f"parameters\t{parameters}",
        f"windows_trained\t{len(rows)}",
        f"trainings\t{trainings}",
        f"windows_per_second\t{rate:.4g}",
        f"hours_per_epoch\t{hours:.3g}",
        f"hours_at_most\t{hours * settings.epochs * trainings:.3g}",
        f"device\t{memory['device']}",
        f"memory_GB\t{memory['memory_GB']:.3g}",
    ]


def _train_without(study, outer, seed):
    """Train without fold ``outer``: the network, its State, its logits ``(n,)`` of validation and held-out rows."""
    plan, settings, log = study.plan, study.settings, study.log
    train, valid = plan.training_and_validation(outer)
    seed = [seed, outer or 0]
    network = study.new_network(seed)
    trained = (network.on_features() if study.frozen else network).to(study.device)
    name = "the final network" if outer is None else f"the network for fold {outer}"
    log.detail(f"training {name}: {classifiers.n_parameters(trained):,} parameters, {train.sum():,} windows")
    path = study.folder / f"seed{seed[0]}_fold{seed[1]}.safetensors"
    state = training.Training(trained, study.examples, settings, log=log, at_once=study.at_once).run(
        np.flatnonzero(train), np.flatnonzero(valid), seed=seed, path=path
    )
    best = state.history[state.best_epoch - 1]
    log.note(
        f"{name}: best of {state.epoch} epochs {state.best_epoch}, validation log loss {best['inner_log_loss']:.3f}, "
        f"AUROC {best['inner_auroc']:.3f}; {state.seconds:.0f} s"
    )
    asked = np.flatnonzero(valid | plan.judged_by(outer))
    logits, strands, started = np.full(len(study.table), np.nan), study.examples.rows(asked), monotonic()
    logits[asked] = classifiers.predict(
        trained, study.examples.collate, strands, size=state.at_once, dtype=settings.dtype, log=log
    )
    state.predicted, state.seconds_to_predict = len(asked), monotonic() - started
    return network, state, logits


def evaluated(study: Study, logits: np.ndarray, refitted: np.ndarray | None, columns: str) -> Result:
    """The Result of logits ``(n,)``; ``columns`` says what the model read: features, covariates or combined."""
    of_network = columns == "features"
    if study.levels is None:
        evaluation = held_out.evaluate_held_out(
            study.table, study.plan, logits, refitted, replicates=study.bootstrap, seed=study.seed
        )
    else:
        result_of: Any = SimpleNamespace(logits=logits, refitted=refitted)
        evaluation = held_out.evaluate_held_out_levels(
            study.table, study.plan, result_of, study.levels, study.weights, study.seed
        )
    evaluation.summary |= {"model": study.name if of_network else "logistic", "columns": columns}
    held_out.log_evaluation(study.name if of_network else columns, evaluation, study.log)
    return Result(logits, evaluation)


def linear_models(study: Study, result: Result, threads: int) -> dict[str, Result]:
    """Beside the network: a linear model of the covariates alone, and one of that model's logit and the network's.

    The second is learnt on the validation rows, on which neither was trained. Empty where no covariate varies.
    """
    plan, labels, weights = study.plan, study.labels, study.weights
    extra = covariates(study.table, plan.known, study.covariates)
    if not extra.shape[1]:
        study.log.warn("no covariate column varies: there is no baseline to compare with")
        return {}
    matrix = Matrix(None, None, None, extra, known=plan.known, threads=threads)

    def solve(row_weights, c, start, standardisation):
        return logistic.fit(matrix, labels, row_weights, c, start=start, standardisation=standardisation)

    baseline = cross_fit(matrix, labels, plan, C_VALUES, solve, weights=weights)
    combined, judged_logits = np.full(len(labels), np.nan), np.stack([result.logits, baseline.logits], axis=1)
    for outer in plan.outers:
        judged, (_, valid) = plan.judged_by(outer), plan.training_and_validation(outer)
        if judged.any():
            unseen = np.stack([result.valid[outer], baseline.inner[outer]], axis=1)
            learnt = fitted_to_shares(unseen[valid], labels[valid], None if weights is None else weights[valid])
            combined[judged] = learnt.decision_function(judged_logits[judged])
    return {
        "covariates": evaluated(study, baseline.logits, baseline.refitted, "covariates"),
        "combined": evaluated(study, combined, None, "combined"),
    }


def fitted_to_shares(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> LogisticRegression:
    """A logistic regression without penalty of shares ``y`` (0 to 1): a row is retained by its share, else spliced."""
    weights = np.ones(len(y)) if weights is None else weights
    twice = np.concatenate([np.ones(len(y)), np.zeros(len(y))]), np.concatenate([weights * y, weights * (1 - y)])
    kept = twice[1] > 0
    return LogisticRegression(C=np.inf).fit(np.concatenate([x, x])[kept], twice[0][kept], sample_weight=twice[1][kept])


def write_evaluations(
    folder: Path, study: Study, results: list[Result], beside: dict[str, Result], counts: dict[str, int]
) -> None:
    """The tables and metrics.json of the first seed; folders of the other seeds and of the models ``beside``."""
    evaluations = {name: result.evaluation for name, result in beside.items()}
    first = results[0].evaluation
    more = {"rows": counts}
    if len(results) > 1:
        more["seeds"] = _over_seeds(results)
        evaluations |= {f"seed{result.evaluation.summary['seed']}": result.evaluation for result in results[1:]}
    if len(results) >= ENOUGH_SEEDS:
        first = _with_seed_variance(first, results)
    held_out.write_evaluations(folder, study.table, study.plan, evaluations | {"features": first}, more)
    tables.write_table(folder / "path.tsv", pd.concat([result.path for result in results]))


def _with_seed_variance(first, results):
    """The Evaluation of the first seed with the variance over seeds, only a part of training's, in its intervals."""
    points = pd.DataFrame([result.evaluation.point for result in results])[list(metrics.SMOOTH)]
    resampled = replace(first.resampled, refitted=(over_seeds(points),))
    intervals = first.summary["intervals"] | {
        "training_variance": f"of {len(results)} seeds only, not of other introns"
    }
    summary = {"intervals": intervals, "metrics": metrics.summary_of_metrics(first.point, resampled)}
    return replace(first, summary=first.summary | summary, resampled=resampled)


def _over_seeds(results):
    """Every metric of each seed, their mean and standard deviation; None where a metric cannot be had."""
    points = pd.DataFrame([result.evaluation.point for result in results]).astype(float)
    each = [
        {"seed": result.evaluation.summary["seed"]} | _json_numbers(point)
        for result, (_, point) in zip(results, points.iterrows(), strict=True)
    ]
    return {"each": each, "mean": _json_numbers(points.mean()), "sd": _json_numbers(points.std())}


def _json_numbers(values):
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}
