"""Models fitted again on other rows, and what shuffling a group of features costs predictions of introns not seen.

Permutation importance (Breiman 2001, Mach. Learn. 45:5) of groups: all features of a group are dealt anew among the
introns of a fold, together, so that what they share is lost too; the other features stay as they are.
"""

import numpy as np
import pandas as pd

from intronaut.models import elastic_net, logistic
from intronaut.models.cross_validation import balanced
from intronaut.models.folder import LinearModel
from intronaut.stats import bootstrap
from intronaut.stats.metrics import log_losses, rank_auroc

SHUFFLES = 5
REPLICATES = 1000
# a linear model's groups are shuffled at no cost, for each one of trees all of them must be asked again
MOST_GROUPS = {"linear": 500, "trees": 30}
ROWS_AT_ONCE = 512


def can_refit(model):
    """Whether a linear model can be fitted again as it was: by the published recipe it cannot, its path is not kept."""
    return isinstance(model, LinearModel) and model.notes["preset"] != "paper"


def refit(model, matrix, labels, row_weights, c=None):
    """Fit a linear model anew: standardised coefficients ``(d, k)`` and intercepts ``(k,)`` of ``k`` problems.

    Args:
        matrix: standardised by the model's own mean and spread.
        labels: ``(n,)``, or ``(n, k)`` where every problem has its own.
        row_weights: ``(n, k)``, 0 for rows that a problem must not see.
        c: inverse penalty; the final model's where none is given.
    """
    notes, k = model.notes, row_weights.shape[1]
    c, offset = notes["setting"] if c is None else c, np.zeros(k)
    labels = np.asarray(labels, float)
    if notes["class_weight"] == "balanced":
        for problem in range(k):
            own = labels if labels.ndim == 1 else labels[:, problem]
            row_weights[:, [problem]], offset[[problem]] = balanced(row_weights[:, [problem]], own)
    start = logistic.repeated(model.weights, model.intercept, k)
    if notes["kind"] != "elasticnet":
        how = {"start": start, "tolerance": notes["tolerance"], "spectrum": logistic.spectrum(matrix)}
        found = logistic.fit(matrix, labels, row_weights, c, **how)
        return found.weights, found.intercept + offset
    how = {"l1_ratio": notes["l1_ratio"], "tolerance": notes["tolerance"]}
    if labels.ndim == 1:
        found = elastic_net.fit(matrix, labels, row_weights, c, start=start, **how)
        return found.weights, found.intercept + offset
    alone = [elastic_net.fit(matrix, own, w[:, None], c, **how) for own, w in zip(labels.T, row_weights.T, strict=True)]
    return np.hstack([one.weights for one in alone]), np.hstack([one.intercept for one in alone]) + offset


def shuffle_groups(model, matrix, labels, plan, group, member, effects):
    """Shuffle groups among introns that the predicting model has not seen.

    With folds, each is predicted by a model fitted without it at its own settings; with test rows, these by the model
    itself. Only the groups of largest ``effects`` are tried (MOST_GROUPS).

    Args:
        matrix: what the model reads: standardised for a linear one, raw for trees.
        group, member: Categorical of the features' groups, and its
            :func:`intronaut.interpret.contributions.membership`.

    Returns:
        DataFrame of one row a group: ``shuffled_log_loss``, the mean rise of log loss over introns and shuffles, with
        its 95 % interval over a bootstrap of leakage groups; ``shuffled_auroc``, the change of AUROC within a fold. NaN
        where a group was not tried.
    """
    linear_model = isinstance(model, LinearModel)
    most = MOST_GROUPS["linear" if linear_model else "trees"]
    tried = np.sort(np.argsort(-effects, kind="stable")[:most])
    rng = np.random.default_rng(model.notes["seed"])
    columns = [np.flatnonzero(group.codes == g) for g in tried] if not linear_model else None
    rises, changes, judged = [], [], []
    for rows, *fitted in _judges(model, matrix, labels, plan):
        how = _shuffled_linear(matrix, rows, *fitted, member, tried) if linear_model else None
        logits, shuffled = how or _shuffled_trees(matrix, rows, *fitted, columns)
        orders = [rng.permutation(len(rows)) for _ in range(SHUFFLES)]
        own = labels[rows]
        before, auroc = log_losses(own, logits), rank_auroc(own, logits)
        rise, change = np.zeros((len(rows), len(tried))), np.zeros(len(tried))
        for at in range(len(tried)):
            for order in orders:
                moved = shuffled(at, order)
                rise[:, at] += (log_losses(own, moved) - before) / SHUFFLES
                change[at] += (rank_auroc(own, moved) - auroc) / SHUFFLES
        rises.append(rise)
        changes.append(change)
        judged.append(rows)
    rise, groups = np.concatenate(rises), plan.groups[np.concatenate(judged)]
    low, high = _interval(rise, groups, model.notes["seed"])
    names = ("shuffled_log_loss", "shuffled_log_loss_low", "shuffled_log_loss_high", "shuffled_auroc")
    found = pd.DataFrame(dict(zip(names, (rise.mean(axis=0), low, high, np.mean(changes, axis=0)), strict=True)), tried)
    return found.reindex(range(len(effects)))


def _interval(rise, groups, seed):
    draws = bootstrap.resampler(groups, REPLICATES, seed)
    sums = np.stack([np.bincount(draws.group, column) for column in rise.T], axis=1)
    counts = draws.counts.astype(float)
    return np.quantile(counts @ sums / (counts @ np.bincount(draws.group))[:, None], [0.025, 0.975], axis=0)


def _judges(model, matrix, labels, plan):
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
            yield np.flatnonzero(plan.fold == fold), *_fit_trees(matrix, labels, train, dict(setting))
        return
    for c in sorted(set(setting_of.values())):
        folds = [fold for fold, setting in setting_of.items() if setting == c]
        train = np.stack([plan.trains({fold}) for fold in folds], axis=1).astype(float)
        weights, intercept = refit(model, matrix, labels, train, c)
        for at, fold in enumerate(folds):
            yield np.flatnonzero(plan.fold == fold), weights[:, at], intercept[at]


def _fit_trees(matrix, labels, train, settings):
    import lightgbm

    from intronaut.models.lightgbm import balance_offset

    rounds = settings.pop("num_iterations")
    data = lightgbm.Dataset(matrix.rows_at(train), labels[train], params=settings)
    offset = balance_offset(labels[train], settings)
    return lightgbm.train(settings, data, rounds), offset


def _shuffled_linear(matrix, rows, weights, intercept, member, tried):
    """Logits of the rows, and a function ``(place in tried, order)`` → logits with that group in another order."""
    weights = weights.astype(np.float32)
    some = np.array_split(rows, 1 + len(rows) // ROWS_AT_ONCE)
    parts = np.concatenate([(matrix.rows_at(own) * weights) @ member for own in some]).astype(float)
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
