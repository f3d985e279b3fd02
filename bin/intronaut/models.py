"""The model folder: model.json, coefficients.tsv and weights.safetensors (or lightgbm.txt). Never a pickle."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from intronaut.cli import BadData, require_file, whole_file
from intronaut.matrix import names_digest
from intronaut.tables import write_table

LAYOUT = 1


@dataclass
class LinearModel:
    """A logistic regression: ``logit = intercept + sum_j weights_j (x_j - mean_j) / sd_j``, arrays ``(d,)`` float64."""

    notes: dict
    weights: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    intercept: float

    def per_unit(self):
        """``(weights (d,), intercept)`` on the raw scale: ``logit = intercept + w·x``."""
        weights = self.weights / self.sd
        return weights, self.intercept - weights @ self.mean

    def logits(self, values):
        """``(n, d)`` raw feature values → ``(n,)`` float64 logits."""
        weights, intercept = self.per_unit()
        return values @ weights + intercept


def write_linear(folder, model, var):
    """Write a fitted LinearModel; ``var`` is the features' table of names and group columns, in column order."""
    folder = Path(folder)
    notes = model.notes | {
        "layout": LAYOUT,
        "classes": ["spliced", "retained"],
        "n_features": len(var),
        "intercept": model.intercept,
        "names_sha256": names_digest(var.index),
    }
    with whole_file(folder / "model.json") as out:
        json.dump(notes, out, indent=1, sort_keys=True, ensure_ascii=False)
        out.write("\n")
    per_unit, _ = model.per_unit()
    fitted = {"coefficient": model.weights, "coefficient_per_unit": per_unit, "mean": model.mean, "sd": model.sd}
    write_table(folder / "coefficients.tsv", var.rename_axis("feature").reset_index().assign(**fitted))
    arrays = {"weights": model.weights, "mean": model.mean, "sd": model.sd, "intercept": np.array([model.intercept])}
    arrays = {name: np.ascontiguousarray(values, np.float64) for name, values in arrays.items()}
    save_file(arrays, folder / "weights.safetensors")


def read_linear(folder):
    """Read a model folder back. Raises MissingInput or BadData for one that is not there, broken or of another kind."""
    folder = Path(folder)
    notes = read_notes(folder)
    path = require_file(folder / "weights.safetensors")
    try:
        arrays = load_file(path)
        model = LinearModel(notes, arrays["weights"], arrays["mean"], arrays["sd"], float(arrays["intercept"][0]))
    except (SafetensorError, KeyError) as problem:
        raise BadData(f"{path}: not the weights of a linear model ({problem}); fit it again") from problem
    if len(model.weights) != notes["n_features"]:
        raise BadData(f"{path}: {len(model.weights)} weights, model.json says {notes['n_features']}")
    return model


def read_notes(folder):
    """The contents of a folder's model.json."""
    path = require_file(Path(folder) / "model.json")
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise BadData(f"{path}: not JSON ({problem})") from problem
    if not isinstance(notes, dict) or notes.get("layout") != LAYOUT:
        raise BadData(f"{path}: not a model of this version of Intronaut; fit it again")
    return notes


def matching_columns(notes, features):
    """The columns of a features file that a model was fitted on. Raises BadData when the file lacks them.

    A model of a feature group finds its columns in the file that holds all groups.
    """
    wanted = pd.Index(features.var.index)
    if names_digest(wanted) == notes["names_sha256"]:
        return np.arange(len(wanted))
    if notes.get("feature_group", "all") != "all":
        columns = group_columns(features, notes["feature_group"])
        if names_digest(wanted[columns]) == notes["names_sha256"]:
            return columns
    raise BadData(
        f"{features.path}: its {len(wanted)} feature names are not the {notes['n_features']} the model was fitted on; "
        "make the features with the same tool, release and options"
    )


def group_columns(features, group):
    """Column numbers of a feature group of the features' ``var`` table.

    ``all``, ``COLUMN=VALUE[,VALUE…]``, or ``VALUE[,VALUE…]`` of the column ``kind``, such as tf, histone or access.
    """
    if group == "all":
        return np.arange(len(features.var))
    column, _, values = group.partition("=") if "=" in group else ("kind", "=", group)
    if column not in features.var or not values:
        known = ", ".join(features.var.columns) or "none"
        raise BadData(f"{features.path}: feature group {group!r}: give COLUMN=VALUE; its columns are {known}")
    chosen = np.flatnonzero(features.var[column].isin(values.split(",")))
    if not len(chosen):
        some = ", ".join(map(str, features.var[column].value_counts().index[:10]))
        raise BadData(f"{features.path}: no feature has {column} {values}; it holds {some} …")
    return chosen
