"""The tables of an explanation: features, clusters and groups under a fitted model, and what holds on other introns."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from intronaut.interpret import stability_selection
from intronaut.interpret.contributions import membership, unit_effects
from intronaut.interpret.permutation import can_refit, refit, shuffle_groups
from intronaut.models.cross_validation import make_plan
from intronaut.models.design_matrix import Matrix, Scale, covariates, join
from intronaut.models.folder import LinearModel

# how often labels are dealt at random to see what a group's effect is by chance
DEALS = 20
SELECTED = ("selection_probability", "selected", "selected_positive", "refit", "refit_low", "refit_high", "p", "fdr")
# the same for every kind of model, so that tables of several models can be put together
GROUP_COLUMNS = (
    "model", "group", "n_features", "n_clusters", "coefficient_sum", "coefficient_mean", "share_positive", "low",
    "high", "sign_consistency", "gain", "split", "effect", "effect_by_chance", "effect_ratio", *SELECTED,
    *(f"adjusted_{name}" for name in SELECTED),
    "shuffled_log_loss", "shuffled_log_loss_low", "shuffled_log_loss_high", "shuffled_auroc",
)  # fmt: skip


@dataclass
class Explanation:
    """A model's features and their units, and a table of each, in the order of features and categories.

    ``cluster`` and ``group`` are Categoricals of the ``d`` features, ``sign`` ``(d,)`` whether a feature goes with its
    cluster (1) or against it (-1), ``sample`` ``(m, d)`` float32 standardised features of some introns.
    """

    model: object
    cluster: pd.Categorical
    group: pd.Categorical
    sign: np.ndarray
    sample: np.ndarray
    by_feature: pd.DataFrame
    by_cluster: pd.DataFrame
    by_group: pd.DataFrame


def describe(model, var, group, effects, sample, threshold):
    """What the model itself says.

    Args:
        var: feature table of the ``d`` features.
        effects: standard deviation of every feature's and every group's contribution over all introns.
        threshold: correlation from which on features are one cluster, called by the feature that leads it.
    """
    leader, sign = stability_selection.correlation_clusters(sample, threshold)
    names = var.index[leader]
    cluster = pd.Categorical(names, categories=pd.unique(names))
    by_feature = feature_table(model, var, group, cluster, effects[0])
    by_cluster = unit_table("cluster", cluster, by_feature, group, sign)
    by_group = unit_table("group", group, by_feature, cluster)
    by_cluster["effect"], by_group["effect"] = spread(sample, cluster, by_feature), effects[1]
    return Explanation(model, cluster, group, sign, sample, by_feature, by_cluster, by_group)


def feature_table(model, var, group, cluster, effects):
    """One line a feature."""
    table = var.rename_axis("feature").reset_index().assign(group=group.astype(str), cluster=cluster.astype(str))
    if isinstance(model, LinearModel):
        table = table.assign(coefficient=model.weights, coefficient_per_unit=model.per_unit()[0])
    else:
        table = table.assign(**{kind: model.booster.feature_importance(kind) for kind in ("gain", "split")})
    return table.assign(effect=effects)


def spread(sample, unit, by_feature):
    """The effect of every unit in the sample; of trees the sum of its features' effects, which it cannot pass."""
    if "coefficient" in by_feature:
        return unit_effects(sample, unit, by_feature["coefficient"].to_numpy()[:, None])[:, 0]
    return np.bincount(unit.codes, by_feature["effect"], len(unit.categories))


def unit_table(what, unit, by_feature, other, sign=1):
    """One line a group or cluster, in the order of the categories of ``unit``; ``other`` is the other kind of unit.

    Coefficients are added up with the ``sign`` that each feature has in its cluster.
    """
    u = len(unit.categories)
    size = np.bincount(unit.codes, minlength=u)
    table = pd.DataFrame({what: unit.categories.astype(str), "n_features": size})
    pairs = pd.DataFrame({"unit": unit.codes, "other": np.asarray(other, object)})
    if what == "group":
        table["n_clusters"] = pairs.groupby("unit")["other"].nunique().to_numpy()
    else:
        counted = pairs.value_counts(["unit", "other"], sort=False).reset_index()
        counted = counted.sort_values(["unit", "count"], ascending=[True, False], kind="stable")
        table["groups"] = counted.groupby("unit")["other"].agg(lambda names: "; ".join(names[:5])).to_numpy()
    if "coefficient" in by_feature:
        weights = by_feature["coefficient"].to_numpy() * sign
        total = np.bincount(unit.codes, weights, u)
        positive = np.bincount(unit.codes, weights > 0, u) / size
        table = table.assign(coefficient_sum=total, coefficient_mean=total / size, share_positive=positive)
    else:
        table = table.assign(**{name: np.bincount(unit.codes, by_feature[name], u) for name in ("gain", "split")})
    return table


def add_stability(found, features, columns, labels, *, pairs, threshold, most_false, memory, threads, seed):
    """Add what holds on other introns to the tables of an Explanation, in place.

    Args:
        features, columns: the features file and the columns of it that the model was fitted on.
        labels: those that it was fitted on.
        pairs, threshold, most_false: of :func:`intronaut.interpret.stability_selection.select_stably`.
        memory: bytes under which features are kept in memory.

    Returns:
        A dict of what was done, for people to read.
    """
    model = found.model
    table, rows, _ = join(features, labels)
    plan, label = make_plan(table, model.notes["folds"]), table["label"].to_numpy()
    known, how = plan.known, {"memory": memory, "threads": threads}
    scale = Scale(model.mean, model.sd) if isinstance(model, LinearModel) else None
    matrix = Matrix(features, rows, columns, known=known, scale=scale, **how)
    base = standardised_covariates(table, known)
    inside = stability_selection.halves(plan.groups[known], label[known], pairs, seed)
    told = {"adjusted_for": [name.removeprefix("covariate:") for name in base.columns]}
    for what, unit, into in (("clusters", found.cluster, found.by_cluster), ("groups", found.group, found.by_group)):
        units = stability_selection.make_units(matrix, unit, found.sample, known)
        for adjusted, beside in (("", np.empty((known.sum(), 0))), ("adjusted_", base.to_numpy())):
            selected, told[f"selection_of_{adjusted}{what}"] = stability_selection.select_stably(
                units, label[known], plan.groups[known], inside, beside, threshold, most_false, threads
            )
            into[[adjusted + name for name in selected]] = selected
    if can_refit(model):
        weights = np.zeros((len(label), len(inside)))
        # a half counted twice differs from the whole as a bootstrap sample does, and its penalty stays what it was
        weights[known] = 2 * inside.T
        add_refits(found, refit(model, matrix, label, weights)[0])
        add_effects_by_chance(found, matrix, label, known, seed)
    if not isinstance(model, LinearModel):
        matrix = Matrix(features, rows, columns, scale=Scale.identity(len(columns)), **how)
    if can_refit(model) or not isinstance(model, LinearModel) or not plan.nested:
        effects = found.by_group["effect"].to_numpy()
        shuffled = shuffle_groups(model, matrix, label, plan, found.group, membership(found.group), effects)
        found.by_group[list(shuffled)] = shuffled
    return told


def standardised_covariates(table, known):
    """Length, GC content and the other covariates of the rows that may train, as fit takes them, standardised."""
    own = covariates(table, known)[known]
    return ((own - own.mean()) / own.std(ddof=0)).loc[:, own.nunique() > 1]


def add_refits(found, refitted):
    """Intervals of coefficients from refits ``(d, k)`` on halves of the data."""
    add_interval(found.by_feature, "coefficient", refitted)
    aligned = refitted * found.sign[:, None]
    for table, unit, values in ((found.by_cluster, found.cluster, aligned), (found.by_group, found.group, refitted)):
        sums = [np.bincount(unit.codes, column, len(unit.categories)) for column in values.T]
        add_interval(table, "coefficient_sum", np.stack(sums, axis=1))


def add_effects_by_chance(found, matrix, label, known, seed):
    """The effect that every group has when labels are dealt at random: it grows with the number of features."""
    rng, dealt = np.random.default_rng(seed), np.repeat(label[:, None], DEALS, axis=1)
    for column in dealt.T:
        column[known] = rng.permutation(label[known])
    by_chance, _ = refit(found.model, matrix, dealt, np.repeat(known[:, None].astype(float), DEALS, axis=1))
    table = found.by_group
    table["effect_by_chance"] = unit_effects(found.sample, found.group, by_chance).mean(axis=1)
    table["effect_ratio"] = table["effect"] / table["effect_by_chance"]


def add_interval(table, column, refitted):
    """Columns low, high and sign_consistency of ``(n, k)`` refitted values of a column."""
    table["low"], table["high"] = np.quantile(refitted, [0.025, 0.975], axis=1)
    table["sign_consistency"] = (np.sign(refitted) == np.sign(table[column].to_numpy())[:, None]).mean(axis=1)
