"""Who trains and who is judged: outer folds by leakage group, inner folds to choose by, out-of-fold logits."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from intronaut import linear
from intronaut.cli import BadData
from intronaut.evaluation import log_losses, rank_auroc, require_both_classes
from intronaut.splits import grouped_folds

DEFAULT_FOLDS = 5
TEST, UNUSED = 0, -1
# weaker penalties cost most steps and, past the best one, only get worse
PATIENCE = 2


@dataclass
class Plan:
    """Which rows train and which are judged.

    ``fold`` ``(n,)``: the fold of every row that may train, TEST for rows that are only judged, UNUSED for the rest.
    ``held_out``: the folds that are left out one at a time to choose settings. ``nested``: True when these folds are
    also judged, so that settings are chosen anew without each of them; False when the test rows are judged.
    """

    fold: np.ndarray
    held_out: tuple
    nested: bool
    groups: np.ndarray

    @property
    def known(self):
        """Rows that may train, bool."""
        return self.fold > TEST

    @property
    def judged(self):
        """Rows that predictions.tsv holds, bool."""
        return self.known if self.nested else self.fold == TEST

    def trains(self, left_out):
        """Rows that train when the folds ``left_out`` are left out, bool."""
        return self.known & ~np.isin(self.fold, list(left_out))

    def torn_groups(self):
        """How many leakage groups lie in more than one fold."""
        used = self.fold > UNUSED
        return int((pd.Series(self.fold[used]).groupby(self.groups[used]).nunique() > 1).sum())

    def fold_names(self):
        """The fold of each row as predictions.tsv shows it: a number, NA for test rows."""
        return pd.array(np.where(self.known, self.fold, 0), "Int64").astype(object) if self.nested else np.nan


def make_plan(table, n_folds):
    """Decide who trains among the rows of a labels table.

    With ``n_folds``, or where column ``split`` is empty, whole groups are dealt to folds. Otherwise ``split`` holds
    fold numbers, or train, valid and test: valid is then the inner fold, and without it train is dealt to folds.
    """
    labels = table["label"].to_numpy()
    require_both_classes(labels, "the labelled windows that have features")
    # a row without a leakage group stands alone
    alone = "row " + table["name"]
    groups = (table["group"].fillna(alone) if "group" in table else alone).to_numpy(object)
    split = table["split"] if "split" in table else pd.Series(np.nan, index=table.index, dtype=object)
    values = set(split.dropna())
    if n_folds or not values:
        fold = grouped_folds(groups, labels, n_folds or DEFAULT_FOLDS)
        plan = Plan(fold, _numbers(fold), True, groups)
    elif values <= {"train", "valid", "test"}:
        plan = _train_test_plan(split.to_numpy(object), values, groups, labels)
    elif all(value.isdigit() for value in values):
        number = {value: place for place, value in enumerate(sorted(values, key=int), 1)}
        fold = split.map(number).fillna(UNUSED).to_numpy(int)
        plan = Plan(fold, _numbers(fold), True, groups)
    else:
        raise BadData(f"column split holds {', '.join(sorted(values)[:5])}; use fold numbers, or train, valid and test")
    if plan.nested and len(plan.held_out) < 3:
        raise BadData(f"{len(plan.held_out)} folds; at least 3 are needed to choose a penalty without the judged fold")
    for fold in plan.held_out:
        require_both_classes(labels[plan.fold == fold], f"the rows of fold {fold}")
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
    """What :func:`cross_fit` found: logits ``(n,)`` of the judged rows, the final model's standardised coefficients
    ``(d,)`` and intercept, its C, the C of each judged fold, and the path as a table.
    """

    logits: np.ndarray
    weights: np.ndarray
    intercept: float
    c: float
    fold_c: dict
    path: pd.DataFrame


def cross_fit(matrix, labels, plan, c_values, *, ridge=None, tolerance=1e-5, log=None):
    """Fit the logistic path on every set of folds that nested cross-validation needs, all side by side.

    The model that judges fold k is trained without k, at the C with the least log loss when each other fold j is
    predicted without j and k. The final model is trained on all known rows, at the C chosen by leaving out each fold.
    The path goes from strong to weak penalties and ends when no fold has gained for PATIENCE values of C.
    """
    left_out = [frozenset()] + [frozenset([fold]) for fold in plan.held_out]
    if plan.nested and len(c_values) > 1:
        left_out += [frozenset(pair) for pair in combinations(plan.held_out, 2)]
    at = {folds: place for place, folds in enumerate(left_out)}
    row_weights = np.stack([plan.trains(folds) for folds in left_out], axis=1).astype(float)
    judged = plan.held_out if plan.nested else ()
    solution, final, logits, path = None, [], [], []
    for c in sorted(c_values):
        solution = linear.fit(matrix, labels, row_weights, c, ridge=ridge, start=solution, tolerance=tolerance)
        logits.append(linear.logits(matrix, solution))
        final.append((solution.weights[:, 0].copy(), solution.intercept[0]))
        for outer in (None, *judged):
            place = at[frozenset() if outer is None else frozenset([outer])]
            path.append(
                {"c": c, "judged_fold": outer, **_inner_score(logits[-1], labels, plan, outer, at)}
                | {"iterations": solution.iterations[place], "largest_gradient": solution.gradient[place]}
                | {"converged": solution.gradient[place] <= tolerance}
            )
        if _past_best(path, len(judged) + 1):
            break
    path = pd.DataFrame(path)
    best = {outer: _best(path, outer) for outer in (None, *judged)}
    path["chosen"] = path["c"] == path["judged_fold"].map(best).fillna(best[None])
    return _assemble(path, best, sorted(c_values), logits, final, plan, at)


def _inner_score(logits, labels, plan, outer, at):
    """Log loss and AUROC of the inner folds when ``outer`` is never seen; NaN when one C leaves nothing to choose."""
    wanted = {fold: frozenset(filter(None, (fold, outer))) for fold in plan.held_out if fold != outer}
    if not all(folds in at for folds in wanted.values()):
        return {"inner_log_loss": np.nan, "inner_auroc": np.nan}
    rows = {fold: plan.fold == fold for fold in wanted}
    losses = np.concatenate([log_losses(labels[rows[fold]], logits[rows[fold], at[wanted[fold]]]) for fold in wanted])
    # scores of models that never met are not on one scale: AUROC is averaged over folds, not pooled
    auroc = np.mean([rank_auroc(labels[rows[fold]], logits[rows[fold], at[wanted[fold]]]) for fold in wanted])
    return {"inner_log_loss": losses.mean(), "inner_auroc": auroc}


def _past_best(path, per_c):
    """Whether every inner log loss has been above its least for the last PATIENCE values of C."""
    losses = np.array([row["inner_log_loss"] for row in path]).reshape(-1, per_c)
    return len(losses) > PATIENCE and bool((np.argmin(losses, axis=0) < len(losses) - PATIENCE).all())


def _best(path, outer):
    """The C of least inner log loss; the smallest of equals."""
    own = path[path["judged_fold"].isna() if outer is None else path["judged_fold"] == outer]
    return own["c"].iloc[int(np.argmin(own["inner_log_loss"].fillna(0)))]


def _assemble(path, best, c_values, logits, final, plan, at):
    place = {c: i for i, c in enumerate(c_values)}
    if plan.nested:
        judged = np.full(len(plan.fold), np.nan)
        for fold in plan.held_out:
            rows = plan.fold == fold
            judged[rows] = logits[place[best[fold]]][rows, at[frozenset([fold])]]
    else:
        judged = logits[place[best[None]]][:, at[frozenset()]]
    weights, intercept = final[place[best[None]]]
    fold_c = {str(fold): best[fold] for fold in plan.held_out} if plan.nested else {}
    return CrossFit(judged, weights, float(intercept), best[None], fold_c, path)
