"""What of an explanation holds on other introns: selection on halves, refits, permuted labels, permuted features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from intronaut.interpret import stability_selection
from intronaut.interpret.contributions import unit_effects
from intronaut.interpret.permutation import can_refit, permutation_costs, refit
from intronaut.models.cross_validation import make_plan
from intronaut.models.design_matrix import Matrix, Scale, covariates, join
from intronaut.models.folder import LinearModel, TreeModel
from intronaut.models.level import outcome_of_model, rows_of_model
from intronaut.stats.label_permutation import permute_labels_by_group
from intronaut.stats.small_samples import groups_of_rarer_class, small_sample_sentences

if TYPE_CHECKING:
    from intronaut.core.log import Log, _Progress
    from intronaut.interpret.explanation import Explanation
    from intronaut.io.h5ad import Features

# of clusters and of groups, alone and besides the covariates
SELECTIONS = 4
# how often labels are permuted to see what a group's effect is by chance
PERMUTATIONS = 20
MOST_FDR = 0.05
# share of the picks of a unit that must agree in sign for it to have a direction
AGREEING = 0.9
SELECTED, ALONE, NOT_SELECTED = "selected", "selected alone", "not selected"


@dataclass
class Settings:
    """``pairs``, ``threshold`` and ``most_false`` are those of
    :func:`intronaut.interpret.stability_selection.select_stably`; ``memory`` the bytes under which features are kept in
    memory."""

    pairs: int
    threshold: float
    most_false: float
    memory: int
    threads: int
    seed: int


class Study:
    """The introns that a model was fitted on, as its explanation reads them.

    Args:
        model: LinearModel or TreeModel.
        features, columns: the features file and the columns of it that the model was fitted on.
        labels: the labels table that it was fitted on; ``path`` its file.
        more: gives the user's covariates of the rows of a labels table, DataFrame of float64; None for none.
    """

    def __init__(
        self,
        model: LinearModel | TreeModel,
        features: Features,
        columns: np.ndarray,
        labels: pd.DataFrame,
        path: Path | str,
        settings: Settings,
        more: Callable | None = None,
    ) -> None:
        self.model, self.settings = model, settings
        self.table, self.rows, _ = join(features, rows_of_model(labels, model.notes, path))
        self.plan = make_plan(self.table, model.notes["folds"])
        self.outcome = outcome_of_model(self.table, model.notes, path)
        self.features, self.columns = features, columns
        scale = Scale(model.mean, model.sd) if isinstance(model, LinearModel) else None
        self.matrix = self._matrix(known=self.plan.known, scale=scale)
        user = None if more is None else more(self.table)
        self.covariates = standardised_covariates(self.table, self.plan.known, user)
        known = self.plan.known
        self.groups = self.plan.groups[known]
        self.halves = stability_selection.halves(self.groups, self.outcome.above[known], settings.pairs, settings.seed)

    def _matrix(self, **how):
        more = {"memory": self.settings.memory, "threads": self.settings.threads}
        return Matrix(self.features, self.rows, self.columns, **how, **more)

    def fitted(self, names: pd.Index) -> np.ndarray:
        """Which of the loci ``names`` the model was fitted on, bool."""
        return pd.Index(names).isin(self.table["name"][self.plan.known])

    def warnings(self) -> list[str]:
        """Sentences where few introns are retained, or few leakage groups hold the rarer class; none of levels."""
        if self.model.notes.get("target", "label") != "label":
            return []
        label = self.table["label"].to_numpy()[self.plan.known]
        return list(small_sample_sentences(int(label.sum()), groups_of_rarer_class(label, self.groups)))

    def matrix_of_the_model(self) -> Matrix:
        """What the model reads: standardised features for a linear one, raw ones for trees."""
        linear = isinstance(self.model, LinearModel)
        return self.matrix if linear else self._matrix(scale=Scale.identity(len(self.columns)))


def standardised_covariates(table: pd.DataFrame, known: np.ndarray, more: pd.DataFrame | None = None) -> pd.DataFrame:
    """Length, GC content and the other covariates of the rows that may train, as fit takes them, standardised."""
    columns = covariates(table, known, more)[known]
    return ((columns - columns.mean()) / columns.std(ddof=0)).loc[:, columns.nunique() > 1]


def add_held_out_evidence(explanation: Explanation, study: Study, log: Log) -> dict[str, Any]:
    """Add columns to the tables of an Explanation, in place; returns a dict of what was done, for people to read."""
    summary: dict[str, Any] = {"adjusted_for": [name.removeprefix("covariate:") for name in study.covariates.columns]}
    steps = []
    if can_refit(study.model):
        steps += [add_refits, add_effects_by_chance]
    if can_refit(study.model) or not isinstance(study.model, LinearModel) or not study.plan.nested:
        steps.append(add_permutation_costs)
    with log.progress(SELECTIONS + len(steps), "steps of what holds on other introns") as progress:
        summary |= add_selection(explanation, study, progress)
        for step in steps:
            step(explanation, study)
            progress.add(1)
    for table in (explanation.by_cluster, explanation.by_group):
        table["status"], table["direction"] = status(table), direction(table)
    held = explanation.by_group["status"] == SELECTED
    summary["groups_shown_to_hold"] = explanation.by_group["group"][held].tolist()
    return summary


def add_selection(explanation: Explanation, study: Study, progress: _Progress) -> dict[str, dict[str, float]]:
    """Stability selection of clusters and groups, alone and besides the covariates: SELECTIONS of them."""
    summary, settings, known = {}, study.settings, study.plan.known
    tables = {
        "clusters": (explanation.cluster, explanation.by_cluster),
        "groups": (explanation.group, explanation.by_group),
    }
    for name, (unit, table) in tables.items():
        units = stability_selection.make_units(study.matrix, unit, explanation.sample, known)
        for prefix, beside in (("", np.empty((known.sum(), 0))), ("adjusted_", study.covariates.to_numpy())):
            selected, summary[f"selection_of_{prefix}{name}"] = stability_selection.select_stably(
                units, study.outcome.y[known], study.groups, study.halves, beside, settings.threshold,
                settings.most_false, settings.threads,
            )  # fmt: skip
            table[[prefix + column for column in selected]] = selected
            progress.add(1)
    return summary


def add_refits(explanation: Explanation, study: Study) -> None:
    """Intervals of coefficients from refits on halves of the data."""
    weights = np.zeros((len(study.table), len(study.halves)))
    # a half counted twice differs from the whole as a bootstrap sample does, and its penalty stays what it was
    weights[study.plan.known] = 2 * study.halves.T * study.outcome.weights[study.plan.known, None]
    refitted, _ = refit(study.model, study.matrix, study.outcome.y, weights)
    add_interval(explanation.by_feature, "coefficient", refitted)
    aligned = refitted * explanation.sign[:, None]
    units = (
        (explanation.by_cluster, explanation.cluster, aligned),
        (explanation.by_group, explanation.group, refitted),
    )
    for table, unit, values in units:
        sums = [np.bincount(unit.codes, column, len(unit.categories)) for column in values.T]
        add_interval(table, "coefficient_sum", np.stack(sums, axis=1))


def add_interval(table: pd.DataFrame, column: str, refitted: np.ndarray) -> None:
    """Columns low, high and sign_consistency of ``(n, k)`` refitted values of a column."""
    table["low"], table["high"] = np.quantile(refitted, [0.025, 0.975], axis=1)
    table["sign_consistency"] = (np.sign(refitted) == np.sign(table[column].to_numpy())[:, None]).mean(axis=1)


def add_effects_by_chance(explanation: Explanation, study: Study) -> None:
    """The effect that every group has when whole leakage groups exchange their labels, or levels, within folds."""
    rng, known = np.random.default_rng(study.settings.seed), np.flatnonzero(study.plan.known)
    taken_from = np.repeat(np.arange(len(study.table))[:, None], PERMUTATIONS, axis=1)
    for column in taken_from.T:
        column[known] = permute_labels_by_group(known, study.groups, study.plan.fold[known], rng)
    weights = study.outcome.weights[taken_from] * study.plan.known[:, None]
    by_chance, _ = refit(study.model, study.matrix, study.outcome.y[taken_from], weights)
    effects, table = unit_effects(explanation.sample, explanation.group, by_chance), explanation.by_group
    table["effect_by_chance"] = effects.mean(axis=1)
    table["effect_ratio"] = table["effect"] / table["effect_by_chance"]
    as_large = (effects >= table["effect"].to_numpy()[:, None]).sum(axis=1)
    table["effect_p"] = (1 + as_large) / (1 + PERMUTATIONS)


def add_permutation_costs(explanation: Explanation, study: Study) -> None:
    """What predictions of introns not seen lose when a group's features are permuted; selected groups come first."""
    table = explanation.by_group
    picked = table[["selection_probability", "adjusted_selection_probability"]].max(axis=1).to_numpy()
    order = np.lexsort([-table["effect"].to_numpy(), picked < study.settings.threshold])
    costs = permutation_costs(
        study.model, study.matrix_of_the_model(), study.outcome, study.plan, explanation.group, order
    )
    table[list(costs)] = costs


def status(table: pd.DataFrame) -> np.ndarray:
    """``selected``, ``selected alone`` or ``not selected`` of every group or cluster: what may be named and coloured.

    ``selected`` is what holds besides the covariates: on enough halves, at a false discovery rate below 5 %, and, for
    groups, with a cost when it is permuted. ``selected alone`` is what holds only without the covariates.
    """
    holds = (table["adjusted_selected"] == 1) & (table["adjusted_fdr"] < MOST_FDR)
    if "group" in table:
        holds &= table["shuffled_log_loss_low"] > 0 if "shuffled_log_loss_low" in table else False
    return np.select([holds, table["selected"] == 1], [SELECTED, ALONE], NOT_SELECTED)


def direction(table: pd.DataFrame) -> pd.Series:
    """``+``, ``-`` or ``mixed``: the sign of the association besides the covariates, else alone.

    Missing where a unit was never picked. Mixed is a unit whose sign differs between more than a tenth of its picks, or
    whose main axis goes another way than its coefficients in the model.
    """
    adjusted = table["adjusted_refit"].notna()
    value = table["adjusted_refit"].where(adjusted, table["refit"])
    share = table["adjusted_selected_positive"].where(adjusted, table["selected_positive"])
    mixed = share.between(1 - AGREEING, AGREEING, inclusive="neither")
    if "coefficient_sum" in table:
        mixed |= np.sign(value) == -np.sign(table["coefficient_sum"])
    signs = np.select([value.isna(), mixed, value > 0], ["", "mixed", "+"], "-").astype(object)
    return pd.Series(signs, table.index).replace("", None)
