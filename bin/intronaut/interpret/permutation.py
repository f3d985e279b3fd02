"""Models fitted again on other rows, and what permuting a group of features costs predictions of introns not seen.

Permutation importance (Breiman 2001, Mach. Learn. 45:5) of groups: all features of a group are permuted among the
introns of a fold, together, so that what they share is lost too; the other features stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from intronaut.interpret.contributions import membership
from intronaut.models import elastic_net, logistic
from intronaut.models.cross_validation import Plan, balanced
from intronaut.models.folder import LinearModel, TreeModel
from intronaut.models.standardisation import Standardisation
from intronaut.stats.metrics import log_losses, rank_auroc

if TYPE_CHECKING:
    from intronaut.models.design_matrix import Matrix
    from intronaut.models.level import Outcome

SHUFFLES = 5
# a linear model's groups are permuted at no cost, for each one of trees all of them must be asked again
MOST_GROUPS = {"linear": 500, "trees": 30}
ROWS_AT_ONCE = 512


def can_refit(model: LinearModel | TreeModel) -> bool:
    """Whether a linear model can be fitted again as it was: by the published recipe it cannot, its path is not kept."""
    return isinstance(model, LinearModel) and model.notes["preset"] != "paper"


def refit(
    model: Any,
    matrix: Matrix,
    labels: np.ndarray,
    row_weights: np.ndarray,
    c: float | None = None,
    standardisation: Standardisation | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Refit a linear model: standardised coefficients ``(d, k)`` and intercepts ``(k,)`` of ``k`` problems.

    Args:
        model: a LinearModel.
        matrix: standardised by the model's own mean and spread.
        labels: ``(n,)``, or ``(n, k)`` where every problem has its own.
        row_weights: ``(n, k)``, 0 for rows that a problem must not see.
        c: inverse penalty; the final model's where none is given.
        standardisation: of the problems, as fit has it for its fold models; None for the spreads of ``matrix``.
    """
    notes, k = model.notes, row_weights.shape[1]
    c, offset = notes["setting"] if c is None else c, np.zeros(k)
    labels = np.asarray(labels, float)
    if notes["class_weight"] == "balanced":
        for problem in range(k):
            problem_labels = labels if labels.ndim == 1 else labels[:, problem]
            row_weights[:, [problem]], offset[[problem]] = balanced(row_weights[:, [problem]], problem_labels)
    start = logistic.repeated(model.weights, model.intercept, k)
    if notes["kind"] != "elasticnet":
        how = {"start": start, "tolerance": notes["tolerance"], "spectrum": logistic.spectrum(matrix)}
        solution = logistic.fit(matrix, labels, row_weights, c, standardisation=standardisation, **how)
        return solution.weights, solution.intercept + offset
    how = {"l1_ratio": notes["l1_ratio"], "tolerance": notes["tolerance"]}
    if labels.ndim == 1:
        how |= {"start": start, "standardisation": standardisation}
        solution = elastic_net.fit(matrix, labels, row_weights, c, **how)
        return solution.weights, solution.intercept + offset
    alone = [
        elastic_net.fit(matrix, problem_labels, w[:, None], c, **how)
        for problem_labels, w in zip(labels.T, row_weights.T, strict=True)
    ]
    return np.hstack([one.weights for one in alone]), np.hstack([one.intercept for one in alone]) + offset


class _FoldCosts(NamedTuple):
    """Of the rows that one model judges: ``rise`` ``(rows, groups)`` of log loss when a group is permuted, ``change``
    ``(groups,)`` of AUROC, and the pairs of a retained and a spliced row that this counts."""

    rows: np.ndarray
    rise: np.ndarray
    change: np.ndarray
    n_pairs: int


def permutation_costs(
    model: LinearModel | TreeModel,
    matrix: Matrix,
    outcome: Outcome,
    plan: Plan,
    group: pd.Categorical,
    order: np.ndarray,
) -> pd.DataFrame:
    """Permute groups of features among introns that the predicting model has not seen.

    With folds, each is predicted by a model fitted without it at its own settings; with test rows, these by the model
    itself. Whole rows change places within a fold.

    Args:
        matrix: what the model reads: standardised for a linear one, raw for trees.
        outcome: the Outcome of its rows; AUROC is that of the rows ``above``.
        group: Categorical of the features' groups.
        order: the groups' numbers, those to be tried first; MOST_GROUPS of them are tried.

    Returns:
        DataFrame of one row per group: ``shuffled_log_loss``, the mean rise of log loss over introns and permutations,
        with its 95 % interval by a jackknife over leakage groups; ``shuffled_auroc``, the change of AUROC within folds,
        weighted by pairs. NaN where a group was not tried.
    """
    most = MOST_GROUPS["linear" if isinstance(model, LinearModel) else "trees"]
    tried, rng = np.sort(order[:most]), np.random.default_rng(model.notes["seed"])
    shufflers = _shufflers(model, matrix, outcome, plan, group, tried)
    folds = [_fold_costs(outcome, rows, logits, shuffled, len(tried), rng) for rows, logits, shuffled in shufflers]
    rise, rows = (np.concatenate([getattr(fold, part) for fold in folds]) for part in ("rise", "rows"))
    low, high = _jackknife_interval(rise, outcome.above[rows], plan.groups[rows])
    pairs = np.array([fold.n_pairs for fold in folds], float)
    change = pairs @ np.stack([fold.change for fold in folds]) / max(pairs.sum(), 1)
    names = ("shuffled_log_loss", "shuffled_log_loss_low", "shuffled_log_loss_high", "shuffled_auroc")
    costs = pd.DataFrame(dict(zip(names, (rise.mean(axis=0), low, high, change), strict=True)), tried)
    return costs.reindex(range(len(order)))


def _shufflers(model, matrix, outcome, plan, group, tried):
    """``(rows, logits, shuffled)`` per model that judges rows; ``shuffled(place in tried, order)`` gives logits."""
    linear_model = isinstance(model, LinearModel)
    member = membership(group)
    columns = [np.flatnonzero(group.codes == at) for at in tried]
    for rows, *fitted in _judges(model, matrix, outcome, plan):
        if linear_model:
            yield rows, *_shuffled_linear(matrix, rows, *fitted, member, tried)
        else:
            yield rows, *_shuffled_trees(matrix, rows, *fitted, columns)


def _fold_costs(outcome, rows, logits, shuffled, n_groups, rng):
    y, above = outcome.y[rows], outcome.above[rows].astype(int)
    n_pairs = int(above.sum()) * int((1 - above).sum())
    losses, auroc = log_losses(y, logits), rank_auroc(above, logits) if n_pairs else 0.0
    orders = [rng.permutation(len(rows)) for _ in range(SHUFFLES)]
    rise, change = np.zeros((len(rows), n_groups)), np.zeros(n_groups)
    for at in range(n_groups):
        for order in orders:
            moved = shuffled(at, order)
            rise[:, at] += (log_losses(y, moved) - losses) / SHUFFLES
            change[at] += (rank_auroc(above, moved) - auroc) / SHUFFLES if n_pairs else 0.0
    return _FoldCosts(rows, rise, change, n_pairs)


def _jackknife_interval(values, labels, groups):
    """95 % intervals ``(2, columns)`` of the means of ``(n, columns)`` values, each leakage group left out in turn.

    t with one degree of freedom less than there are groups of the rarer class.
    """
    group, distinct = pd.factorize(np.asarray(groups))
    sums = np.stack([np.bincount(group, column) for column in values.T], axis=1)
    size = np.bincount(group)[:, None]
    left_out = (values.sum(axis=0) - sums) / np.maximum(len(values) - size, 1)
    error = np.sqrt((len(distinct) - 1) / len(distinct) * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    rarer = min(len(np.unique(group[labels == label])) for label in (0, 1))
    reach = t.ppf(0.975, max(rarer - 1, 1)) * error
    return values.mean(axis=0) - reach, values.mean(axis=0) + reach


def _judges(model, matrix, outcome, plan):
    """``(rows judged, coefficients or booster, intercept or offset)`` of every model that judges rows it never saw."""
    linear_model = isinstance(model, LinearModel)
    if not plan.nested:
        fitted = (model.weights, model.intercept) if linear_model else (model.booster, model.offset)
        yield np.flatnonzero(plan.judged), *fitted
        return
    setting_of = {fold: model.notes["setting_of_fold"][str(fold)] for fold in plan.held_out}
    if not linear_model:
        for fold, setting in setting_of.items():
            train = np.flatnonzero(plan.trains({fold}))
            yield np.flatnonzero(plan.fold == fold), *_fit_trees(matrix, outcome, train, dict(setting))
        return
    for c in sorted(set(setting_of.values())):
        folds = [fold for fold, setting in setting_of.items() if setting == c]
        trains = np.stack([plan.trains({fold}) for fold in folds], axis=1)
        of_each = Standardisation.measure(matrix, trains)
        weights, intercept = refit(model, matrix, outcome.y, trains * outcome.weights[:, None], c, of_each)
        for at, fold in enumerate(folds):
            yield np.flatnonzero(plan.fold == fold), weights[:, at], intercept[at]


def _fit_trees(matrix, outcome, train, settings):
    import lightgbm

    from intronaut.models.lightgbm import balance_offset

    rounds = settings.pop("num_iterations")
    y, weights = outcome.y[train], outcome.weights[train]
    data = lightgbm.Dataset(matrix.rows_at(train), y, weight=weights, params=settings)
    offset = balance_offset(y, settings)
    return lightgbm.train(settings, data, rounds), offset


def _shuffled_linear(matrix, rows, weights, intercept, member, tried):
    """Logits of the rows, and a function ``(place in tried, order)`` → logits with that group in another order."""
    weights = weights.astype(np.float32)
    chunks = np.array_split(rows, 1 + len(rows) // ROWS_AT_ONCE)
    parts = np.concatenate([(matrix.rows_at(chunk) * weights) @ member for chunk in chunks]).astype(float)
    logits = parts.sum(axis=1) + intercept
    parts = np.asfortranarray(parts[:, tried])
    return logits, lambda at, order: logits + parts[order, at] - parts[:, at]


def _shuffled_trees(matrix, rows, booster, offset, columns):
    values = np.array(matrix.rows_at(rows))

    def predict():
        return booster.predict(values, raw_score=True, num_threads=matrix.threads) + offset

    def shuffled(at, order):
        kept = values[:, columns[at]]
        values[:, columns[at]] = kept[order]
        moved = predict()
        values[:, columns[at]] = kept
        return moved

    return predict(), shuffled
