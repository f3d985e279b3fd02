"""One set of columns fitted under every plan of folds and evaluated held out: to labels, or to measured levels."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intronaut.models import held_out
from intronaut.models.calibration import calibrate, is_flat
from intronaut.models.cross_validation import CrossFit, Plan
from intronaut.models.level import Levels, fit_levels

if TYPE_CHECKING:
    import pandas as pd

    from intronaut.core.log import Log
    from intronaut.models.design_matrix import Matrix


@dataclass
class Fitted:
    """The CrossFit of the first plan, its calibration ``maps`` by held-out fold and of None, the final model, and the
    Evaluation. Of fits to levels ``rho`` maps each held-out fold, and ``final``, to its overdispersion."""

    result: CrossFit
    maps: dict
    evaluation: held_out.Evaluation
    rho: dict[str, float] | None = None


def fit_labels(
    name: str, matrix: Matrix, table: pd.DataFrame, plans: list[Plan], learn: Callable, args: Namespace, log: Log
) -> Fitted:
    """Fit, calibrate and evaluate one set of columns by every plan; returns a Fitted.

    Args:
        learn: ``(name, matrix, labels, plan, weights) -> CrossFit``.
        args: ``calibrate``, ``model``, ``bootstrap`` and ``seed``.
    """
    labels, evaluations, first = table["label"].to_numpy(), [], None
    for plan in plans:
        result = learn(name, matrix, labels, plan, None)
        report_fit(name, result, log)
        result, maps = calibrate(result, labels, plan, args.calibrate)
        if flat := sum(map(is_flat, maps.values())):
            log.warn(
                f"{name}: --calibrate {args.calibrate} has slope 0 for {flat} of {len(maps)} models, which give every "
                "intron the base rate: on inner folds retention does not rise with their logit"
            )
        first = first or (result, maps)
        evaluation = held_out.evaluate_held_out(
            table, plan, result.logits, result.refitted, replicates=args.bootstrap, seed=args.seed
        )
        evaluation.summary |= {"model": args.model, "columns": name}
        evaluations.append(evaluation)
    evaluation = held_out.average(evaluations)
    held_out.log_evaluation(name, evaluation, log)
    return Fitted(*first, evaluation)


def fit_to_levels(
    name: str,
    matrix: Matrix,
    table: pd.DataFrame,
    plan: Plan,
    levels: Levels,
    learn: Callable,
    args: Namespace,
    log: Log,
) -> Fitted:
    """Fit one set of columns to the Levels of its rows and evaluate it by them; returns a Fitted."""
    result, weights, rho = fit_levels(levels, plan, lambda y, weights: learn(name, matrix, y, plan, weights))
    report_fit(name, result, log)
    evaluation = held_out.evaluate_held_out_levels(table, plan, result, levels, weights, args.seed)
    rho_of = {"final" if outer is None else str(outer): value for outer, value in rho.items()}
    evaluation.summary |= {"model": args.model, "columns": name, "target": args.target, "rho": rho_of or None}
    held_out.log_evaluation(name, evaluation, log)
    return Fitted(result, dict.fromkeys(plan.outers), evaluation, rho_of or None)


def report_fit(name: str, result: CrossFit, log: Log) -> None:
    """Log what the fits show of themselves."""
    if "converged" in result.path and not result.path["converged"].all():
        log.warn(f"{name}: {(~result.path['converged']).sum()} fits stopped before --tolerance; see path.tsv")
    for sentence in result.warnings:
        log.warn(f"{name}: {sentence}")
