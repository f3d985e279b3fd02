"""Who trains and who is held out: outer folds by leakage group, inner folds to choose by, out-of-fold logits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData
from intronaut.models import logistic
from intronaut.models.standardisation import Standardisation
from intronaut.splits.folds import grouped_folds
from intronaut.stats.matches import linked_groups
from intronaut.stats.metrics import log_losses, rank_auroc, require_both_classes

if TYPE_CHECKING:
    from intronaut.core.log import Log
    from intronaut.models.design_matrix import Matrix

DEFAULT_FOLDS, FEWEST_FOLDS = 5, 3
TEST, UNUSED = 0, -1
# weaker penalties cost most steps and, past the best one, only get worse
PATIENCE = 2
LEAST_RISE = 1e-6


@dataclass
class Plan:
    """Which rows train and which are evaluated.

    ``fold`` ``(n,)``: the fold of every row that may train, TEST for rows that are held out only, UNUSED for the rest.
    ``held_out``: the folds that are left out one at a time to choose settings. ``nested``: True when these folds are
    also held out, so that settings are chosen again without each of them; False when the test rows are held out.
    """

    fold: np.ndarray
    held_out: tuple
    nested: bool
    groups: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Rows that may train, bool."""
        return self.fold > TEST

    @property
    def outers(self) -> tuple[int | None, ...]:
        """What to fit for: None, the final model, then each held-out fold."""
        return (None, *self.held_out) if self.nested else (None,)

    @property
    def judged(self) -> np.ndarray:
        """Rows that predictions.tsv holds, bool."""
        return self.known if self.nested else self.fold == TEST

    def judged_by(self, outer: int | None) -> np.ndarray:
        """Held-out rows of the model trained without fold ``outer``; the final model (None) judges test rows only."""
        return self.fold == (TEST if outer is None else outer)

    def trains(self, left_out: Collection[int | None]) -> np.ndarray:
        """Rows that train when the folds ``left_out`` are left out, bool."""
        return self.known & ~np.isin(self.fold, list(left_out))

    def training_and_validation(self, outer: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Rows that train without fold ``outer``; those of the next held-out fold, whose loss ends training; bool."""
        following = [fold for fold in self.held_out if outer is None or fold > outer]
        valid = self.fold == (following or self.held_out)[0]
        return self.trains({outer}) & ~valid, valid

    def prevalence_logits(self, labels: np.ndarray) -> np.ndarray:
        """The log odds of retention (``labels`` may be shares) where the model of each row was trained, ``(n,)``."""
        logits = np.full(len(self.fold), np.nan)
        for outer in self.outers:
            share = labels[self.trains(() if outer is None else {outer})].mean()
            logits[self.judged_by(outer)] = np.log(share / (1 - share))
        return logits

    def torn_groups(self) -> int:
        """How many leakage groups lie in more than one fold."""
        used = self.fold > UNUSED
        return int((pd.Series(self.fold[used]).groupby(self.groups[used]).nunique() > 1).sum())

    def fold_names(self) -> float | np.ndarray:
        """The fold of each row as predictions.tsv shows it: a number, NA for test rows."""
        return pd.array(np.where(self.known, self.fold, 0), "Int64").astype(object) if self.nested else np.nan


def number_of_folds(wanted: int | None, log: Log) -> int | None:
    """The folds to make where ``--folds`` asks for so many: of two, neither leaves any to choose a penalty by."""
    if wanted != FEWEST_FOLDS - 1:
        return wanted
    log.warn("--folds 2: beside the fold held out, another one chooses settings and a third trains; 3 folds are made")
    return FEWEST_FOLDS


def make_plan(table: pd.DataFrame, n_folds: int | None, seed: int | None = None) -> Plan:
    """Decide who trains among the rows of a labels table.

    With ``n_folds``, or where column ``split`` is empty, whole groups are assigned to folds. Otherwise ``split`` holds
    fold numbers, or train, valid and test: valid is then the inner fold, and without it train is parted into folds.
    ``seed`` assigns groups of equal size in a random order, for repeated cross-validation.

    Raises BadData for a single class, a split that cannot be read, fewer than 3 folds, or fewer than 3 that hold both
    classes.
    """
    labels = table["label"].to_numpy()
    require_both_classes(labels, "the labelled windows that have features")
    # a row without a leakage group stands alone
    alone = "row " + table["name"]
    groups = (table["group"].fillna(alone) if "group" in table else alone).to_numpy(object)
    split = table["split"] if "split" in table else pd.Series(np.nan, index=table.index, dtype=object)
    values = set(split.dropna())
    if n_folds or not values:
        # introns that were matched to each other stay in a fold, and what shares genes with them
        together = linked_groups(groups, table["match"].to_numpy(float)) if "match" in table else groups
        fold = grouped_folds(together, labels, n_folds or DEFAULT_FOLDS, seed)
        plan = Plan(fold, _numbers(fold), True, groups)
    elif values <= {"train", "valid", "test"}:
        plan = _train_test_plan(split.to_numpy(object), values, groups, labels)
    elif all(value.isdigit() for value in values):
        number = {value: place for place, value in enumerate(sorted(values, key=int), 1)}
        fold = split.map(number).fillna(UNUSED).to_numpy(int)
        plan = Plan(fold, _numbers(fold), True, groups)
    else:
        raise BadData(f"column split holds {', '.join(sorted(values)[:5])}; use fold numbers, or train, valid and test")
    if plan.nested and len(plan.held_out) < FEWEST_FOLDS:
        raise BadData(
            f"{len(plan.held_out)} folds; at least 3 are needed to choose a penalty without the one held out: --folds "
            "makes others"
        )
    both = [fold for fold in plan.held_out if 0 < labels[plan.fold == fold].sum() < (plan.fold == fold).sum()]
    if plan.nested and len(both) < FEWEST_FOLDS:
        raise BadData(
            f"{len(both)} of {len(plan.held_out)} folds hold both retained and spliced introns; at least 3 are needed: "
            "ask for fewer folds, or add introns of other genes"
        )
    if len(plan.held_out) == 1:
        require_both_classes(labels[plan.fold == plan.held_out[0]], "the valid rows")
    require_both_classes(labels[plan.judged], "the rows to judge")
    return plan


def _numbers(fold):
    return tuple(int(number) for number in np.unique(fold[fold > TEST]))


def _train_test_plan(split, values, groups, labels):
    lacking = {"train", "test"} - values
    if lacking:
        raise BadData(f"column split has no {' and no '.join(sorted(lacking))} row")
    fold = np.full(len(split), UNUSED)
    fold[split == "test"] = TEST
    train = split == "train"
    if "valid" in values:
        fold[train], fold[split == "valid"] = 1, 2
        return Plan(fold, (2,), False, groups)
    fold[train] = grouped_folds(groups[train], labels[train], DEFAULT_FOLDS)
    return Plan(fold, _numbers(fold), False, groups)


@dataclass
class CrossFit:
    """The outcome of a cross-fit.

    ``logits`` ``(n,)``: of the held-out rows, each by a model that never saw it. ``inner``: for every held-out fold,
    and None for the final model, the logits ``(n,)`` of its training rows by models that saw neither the row's fold nor
    the held-out one (NaN elsewhere): what a calibration may learn from. ``final``: the model fitted on all known rows.
    ``setting`` of the final model and ``setting_of_fold``; ``path`` the table of what was tried. ``refitted`` ``(K,
    n)``: in line j the held-out rows by models of the same settings that were also trained without the j-th held-out
    fold, whose own rows keep their model; None where no such models exist. ``warnings``: what the fits show of
    themselves. ``models``: as ``final``, of every held-out fold and of None, the final model; empty where not kept.
    """

    logits: np.ndarray
    inner: dict
    final: object
    setting: object
    setting_of_fold: dict
    path: pd.DataFrame
    refitted: np.ndarray | None = None
    warnings: list = field(default_factory=list)
    models: dict = field(default_factory=dict)

    def out_of_fold(self, plan: Plan) -> np.ndarray:
        """The logits ``(n,)`` of training rows by models that have not seen their fold; NaN elsewhere."""
        return np.where(plan.judged, self.logits, np.nan) if plan.nested else self.inner[None]


def left_out_sets(plan: Plan) -> list[frozenset[int]]:
    """The sets of folds to train without: none, each held-out one, and pairs where a held-out one must not be seen."""
    sets = [frozenset()] + [frozenset([fold]) for fold in plan.held_out]
    return sets + [frozenset(pair) for pair in combinations(plan.held_out, 2)] if plan.nested else sets


def balanced(weights: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row weights ``(n, k)`` with which both classes count equally, and the logit offsets ``(k,)`` that this calls for.

    A model of balanced classes thinks half of all introns retained; the offset turns its logits back to the prevalence
    that it was trained at.
    """
    retained, total = labels @ weights, weights.sum(axis=0)
    share = np.where(labels[:, None] == 1, retained, total - retained)
    return weights * total / (2 * share), np.log(retained / (total - retained))


def cross_fit(
    matrix: Matrix,
    labels: np.ndarray,
    plan: Plan,
    c_values: Sequence[float],
    solve: Callable,
    *,
    balance: bool = False,
    weights: np.ndarray | None = None,
) -> CrossFit:
    """Fit a path of penalties on every set of folds that nested cross-validation needs, all side by side.

    The model that judges fold k is trained without k, at the C with the least log loss when each other fold j is
    predicted without j and k. The final model is trained on all known rows, at the C chosen by leaving out each fold.
    The path goes from strong to weak penalties and ends when no fold has gained for PATIENCE values of C.

    Args:
        labels: ``(n,)`` 0 or 1, or shares between.
        balance: weigh the classes equally in training, then shift the logits back to the training prevalence.
        solve: ``(row_weights, c, start, standardisation) -> logistic.Solution``; ``start`` is the solution of the C
            before, or None, ``standardisation`` the Standardisation of the training sets.
        weights: of the rows, ``(n,)`` or ``(n, sets)`` in the order of :func:`left_out_sets`; None for 1 each.
    """
    sets = left_out_sets(plan)
    at = {folds: place for place, folds in enumerate(sets)}
    trains = np.stack([plan.trains(folds) for folds in sets], axis=1)
    row_weights, offsets = _training_weights(trains, labels, weights, balance)
    standardisation = Standardisation.measure(matrix, trains)
    outers, loss_weights = plan.outers, None if weights is None else weights.reshape(len(labels), -1)[:, 0]
    solution, models, inner, held_out, refitted, path = None, {}, {}, {}, {}, []
    for c in sorted(c_values):
        solution = solve(row_weights, c, solution, standardisation)
        logits = logistic.logits(matrix, solution) + offsets
        for outer in outers:
            place = at[_left_out(outer)]
            models[c, outer] = solution.weights[:, place].copy(), solution.intercept[place] + offsets[place]
            inner[c, outer], held_out[c, outer] = _inner_logits(logits, plan, outer, at), logits[:, place]
            refitted[c, outer] = _refitted_logits(logits, plan, outer, at)
            path.append(
                {"c": c, "judged_fold": outer, **_inner_score(inner[c, outer], labels, plan, loss_weights)}
                | {"iterations": solution.iterations[place], "largest_gradient": solution.gradient[place]}
                | {"converged": bool(solution.converged[place])}
            )
        if _past_best(path, len(outers)):
            break
    path = pd.DataFrame(path)
    best = {outer: _best(path, outer) for outer in outers}
    path["chosen"] = path["c"] == path["judged_fold"].map(best).fillna(best[None])
    judged, again = np.full(len(plan.fold), np.nan), np.full((len(plan.held_out), len(plan.fold)), np.nan)
    for outer in outers:
        rows = plan.judged_by(outer)
        judged[rows], again[:, rows] = held_out[best[outer], outer][rows], refitted[best[outer], outer]
    chosen = {outer: inner[best[outer], outer] for outer in outers}
    settings = best[None], {str(k): best[k] for k in outers[1:]}
    return CrossFit(
        judged, chosen, models[best[None], None], *settings, path, again if len(again) > 1 else None,
        _path_warnings(path, c_values), {outer: models[best[outer], outer] for outer in outers},
    )  # fmt: skip


def _training_weights(trains, labels, weights, balance):
    """The weights ``(n, sets)`` of rows in training, and what balancing the classes shifts logits by, ``(sets,)``."""
    row_weights = trains.astype(float)
    if weights is not None:
        row_weights *= weights.reshape(len(labels), -1)
    return balanced(row_weights, labels) if balance else (row_weights, np.zeros(trains.shape[1]))


def _left_out(*folds):
    return frozenset(fold for fold in folds if fold is not None)


def _path_warnings(path, c_values):
    """A sentence where a fold chose the weakest of several penalties, beyond which a better one may lie."""
    ends = int((path["chosen"] & (path["c"] == max(c_values))).sum())
    if not ends or len(set(c_values)) < 2:
        return []
    return [
        f"{ends} of {path['chosen'].sum()} models chose the weakest penalty, C = {max(c_values):g}; give larger ones"
    ]


def _refitted_logits(logits, plan, outer, at):
    """Held-out rows without ``outer`` by the models that were also trained without each held-out fold, ``(K, m)``."""
    rows = plan.judged_by(outer)
    return np.stack([logits[rows, at[_left_out(outer, fold)]] for fold in plan.held_out])


def _inner_logits(logits, plan, outer, at):
    """The logits of each held-out fold's rows by the model that saw neither them nor ``outer``; NaN elsewhere."""
    inner = np.full(len(plan.fold), np.nan)
    for fold in plan.held_out:
        if fold != outer:
            rows = plan.fold == fold
            inner[rows] = logits[rows, at[_left_out(fold, outer)]]
    return inner


def _inner_score(logits, labels, plan, weights=None):
    """Log loss of all inner rows; AUROC averaged over folds, whose models never met and have no common scale."""
    known = np.isfinite(logits)
    losses = log_losses(labels[known], logits[known])
    return {
        "inner_log_loss": np.average(losses, weights=None if weights is None else weights[known]),
        "inner_auroc": mean_auroc(labels, logits, [plan.fold == fold for fold in np.unique(plan.fold[known])]),
    }


def mean_auroc(labels: np.ndarray, logits: np.ndarray, folds: list[np.ndarray]) -> float:
    """The mean AUROC over the ``folds`` (bool arrays) that hold both classes; NaN for labels that are shares."""
    if not np.isin(labels, (0, 1)).all():
        return np.nan
    aurocs = [rank_auroc(labels[rows], logits[rows]) for rows in folds]
    known = [auroc for auroc in aurocs if np.isfinite(auroc)]
    return float(np.mean(known)) if known else np.nan


def _past_best(path, per_c):
    """Whether every inner log loss has been above its least for the last PATIENCE values of C."""
    losses = np.array([row["inner_log_loss"] for row in path]).reshape(-1, per_c)
    # models that are still empty have equal losses: those must be left behind, not stopped at
    return len(losses) > PATIENCE and bool((losses[-PATIENCE:] > losses.min(axis=0) + LEAST_RISE).all())


def _best(path, outer):
    """The C of least inner log loss; the smallest of equals."""
    rows = path[path["judged_fold"].isna() if outer is None else path["judged_fold"] == outer]
    return rows["c"].iloc[int(np.argmin(rows["inner_log_loss"]))]
