"""The tables of an explanation: features, clusters and groups under a fitted model."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from intronaut.interpret.contributions import members_of, unit_effects
from intronaut.interpret.correlation import correlation_clusters
from intronaut.models.folder import LinearModel, TreeModel

SELECTED = ("selection_probability", "selected", "selected_positive", "refit", "refit_low", "refit_high", "p", "fdr")
# the same for every kind of model, so that tables of several models can be put together
GROUP_COLUMNS = (
    "model", "group", "status", "direction", "n_features", "n_clusters", "coefficient_sum", "coefficient_mean",
    "share_positive", "low", "high", "sign_consistency", "gain", "split", "effect", "effect_by_chance", "effect_ratio",
    "effect_p", *SELECTED,
    *(f"adjusted_{name}" for name in SELECTED),
    "shuffled_log_loss", "shuffled_log_loss_low", "shuffled_log_loss_high", "shuffled_auroc",
)  # fmt: skip


@dataclass
class Explanation:
    """A model's features and their units, and a table of each, in the order of features and categories.

    ``cluster`` and ``group`` are Categoricals of the ``d`` features, ``sign`` ``(d,)`` whether a feature goes with its
    cluster (1) or against it (-1), ``sample`` ``(m, d)`` float32 standardised features of some introns.
    """

    model: LinearModel | TreeModel
    cluster: pd.Categorical
    group: pd.Categorical
    sign: np.ndarray
    sample: np.ndarray
    by_feature: pd.DataFrame
    by_cluster: pd.DataFrame
    by_group: pd.DataFrame


def describe(
    model: LinearModel | TreeModel,
    var: pd.DataFrame,
    group: pd.Categorical,
    effects: list[np.ndarray],
    sample: np.ndarray,
    threshold: float,
) -> Explanation:
    """What the model itself says.

    Args:
        var: feature table of the ``d`` features.
        effects: standard deviation of every feature's and every group's contribution over all introns.
        threshold: correlation from which on features are one cluster, called by the feature that leads it.
    """
    leader, sign = correlation_clusters(sample, threshold)
    names = var.index[leader]
    cluster = pd.Categorical(names, categories=pd.unique(names))
    by_feature = feature_table(model, var, group, cluster, effects[0])
    by_cluster = unit_table("cluster", cluster, by_feature, group, sign)
    by_group = unit_table("group", group, by_feature, cluster)
    by_cluster["smallest_correlation"] = smallest_correlations(sample, leader, cluster)
    by_cluster["label"] = cluster_labels(cluster, group, leader)
    by_cluster["effect"], by_group["effect"] = spread(sample, cluster, by_feature), effects[1]
    return Explanation(model, cluster, group, sign, sample, by_feature, by_cluster, by_group)


def feature_table(
    model: LinearModel | TreeModel,
    var: pd.DataFrame,
    group: pd.Categorical,
    cluster: pd.Categorical,
    effects: np.ndarray,
) -> pd.DataFrame:
    """One row per feature."""
    table = var.rename_axis("feature").reset_index().assign(group=group.astype(str), cluster=cluster.astype(str))
    if isinstance(model, LinearModel):
        table = table.assign(coefficient=model.weights, coefficient_per_unit=model.per_unit()[0])
    else:
        table = table.assign(**{kind: model.booster.feature_importance(kind) for kind in ("gain", "split")})
    return table.assign(effect=effects)


def spread(sample: np.ndarray, unit: pd.Categorical, by_feature: pd.DataFrame) -> np.ndarray:
    """The effect of every unit in the sample; of trees the sum of its features' effects, which it cannot pass."""
    if "coefficient" in by_feature:
        return unit_effects(sample, unit, by_feature["coefficient"].to_numpy()[:, None])[:, 0]
    return np.bincount(unit.codes, by_feature["effect"], len(unit.categories))


def unit_table(
    what: str, unit: pd.Categorical, by_feature: pd.DataFrame, other: pd.Categorical, sign: int | np.ndarray = 1
) -> pd.DataFrame:
    """One row per group or cluster, in the order of the categories of ``unit``; ``other`` is the other kind of unit.

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


def smallest_correlations(sample: np.ndarray, leader: np.ndarray, cluster: pd.Categorical) -> np.ndarray:
    """The smallest absolute correlation of a member of each cluster with the feature that leads it; 1 for one alone."""
    z = sample - sample.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->j", z, z))
    smallest = np.ones(len(cluster.categories))
    for at, members in enumerate(members_of(cluster)):
        first = leader[members[0]]
        others = members[members != first]
        if len(others):
            scales = np.maximum(length[others] * length[first], np.finfo(float).tiny)
            smallest[at] = (np.abs(z[:, others].T @ z[:, first]) / scales).min()
    return smallest


def cluster_labels(cluster: pd.Categorical, group: pd.Categorical, leader: np.ndarray, most: int = 4) -> list[str]:
    """``A (with B, C: not distinguished)``: the group of each cluster's leader, and those of its other features."""
    names = np.asarray(group, object)
    labels = []
    for members in members_of(cluster):
        first = names[leader[members[0]]]
        others = [name for name in pd.unique(names[members]) if name != first]
        named = ", ".join(others[:most]) + (f" and {len(others) - most} more" if len(others) > most else "")
        labels.append(f"{first} (with {named}: not distinguished)" if others else first)
    return labels
