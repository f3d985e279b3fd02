"""The model folder of fit: model.json, and weights.safetensors or lightgbm.txt. Never a pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from intronaut.core.errors import BadData
from intronaut.core.files import require_file, whole_file, write_json
from intronaut.core.json_files import read_record
from intronaut.io.tables import read_table, write_table
from intronaut.io.window_cut import refuse_different_cut
from intronaut.models import LAYOUT
from intronaut.models.design_matrix import Scale, names_digest

if TYPE_CHECKING:
    import lightgbm

    from intronaut.core.log import Log
    from intronaut.io.h5ad import Features

# everything that fit or finetune may write, as patterns
MODEL_FILES = (
    "model.json", "coefficients.tsv", "weights.safetensors", "lightgbm.txt", "importance.tsv", "tokenizer.json",
    "path.tsv", "predictions.tsv", "metrics.json", "strata.tsv", "baselines.tsv", "repeats.tsv", "refits.tsv",
    "threshold.json", "conformal.tsv", "domain.safetensors", "ambiguous.tsv",
    "covariates", "combined", "shuffled", "seed[0-9]*",
)  # fmt: skip


@dataclass
class LinearModel:
    """A logistic regression: ``logit = intercept + sum_j weights_j (x_j - mean_j) / sd_j``, arrays ``(d,)`` float64."""

    notes: dict
    weights: np.ndarray
    intercept: float
    mean: np.ndarray
    sd: np.ndarray

    def per_unit(self) -> tuple[np.ndarray, float]:
        """``(weights (d,), intercept)`` on the raw scale: ``logit = intercept + w·x``."""
        weights = self.weights / self.sd
        return weights, self.intercept - weights @ self.mean

    def logits(self, values: np.ndarray) -> np.ndarray:
        """``(n, d)`` raw feature values → ``(n,)`` float64 logits, before calibration."""
        weights, intercept = self.per_unit()
        return values @ weights + intercept


@dataclass
class TreeModel:
    """Boosted trees: the logit is the booster's raw score plus ``offset``."""

    notes: dict
    booster: lightgbm.Booster
    offset: float

    def logits(self, values: np.ndarray) -> np.ndarray:
        """``(n, d)`` raw feature values → ``(n,)`` float64 logits, before calibration."""
        return np.asarray(self.booster.predict(values, raw_score=True, num_threads=1)) + self.offset


def write_linear(folder: Path | str, model: LinearModel, var: pd.DataFrame) -> None:
    """Write a fitted LinearModel; ``var`` is the features' table of names and group columns, in column order."""
    folder = Path(folder)
    more = {"intercept": float(model.intercept), "n_parameters": len(var) + 1}
    _write_notes(folder, model.notes | more, var)
    per_unit, _ = model.per_unit()
    fitted = {"coefficient": model.weights, "coefficient_per_unit": per_unit, "mean": model.mean, "sd": model.sd}
    write_table(folder / "coefficients.tsv", var.rename_axis("feature").reset_index().assign(**fitted))
    arrays = {"weights": model.weights, "mean": model.mean, "sd": model.sd, "intercept": np.array([model.intercept])}
    arrays = {name: np.ascontiguousarray(values, np.float64) for name, values in arrays.items()}
    save_file(arrays, folder / "weights.safetensors")


def write_trees(
    folder: Path | str, notes: dict[str, Any], booster: lightgbm.Booster, offset: float, var: pd.DataFrame
) -> None:
    """Write fitted trees, in LightGBM's own text format."""
    folder = Path(folder)
    leaves = int(sum(tree["num_leaves"] for tree in booster.dump_model()["tree_info"]))
    # a tree of k leaves has k values and k - 1 thresholds
    _write_notes(folder, notes | {"offset": float(offset), "n_parameters": 2 * leaves - booster.num_trees()}, var)
    gain, splits = (booster.feature_importance(kind) for kind in ("gain", "split"))
    table = var.rename_axis("feature").reset_index().assign(gain=gain, splits=splits)
    write_table(folder / "importance.tsv", table)
    with whole_file(folder / "lightgbm.txt") as out:
        out.write(booster.model_to_string())


def write_model(
    folder: Path | str, notes: dict[str, Any], var: pd.DataFrame, scale: Scale, fitted: tuple[Any, float]
) -> None:
    """Write ``fitted``, what a CrossFit has as ``final``: a booster and its offset, or weights and intercept."""
    if notes["kind"] == "lightgbm":
        write_trees(folder, notes, *fitted, var)
    else:
        write_linear(folder, LinearModel(notes, *fitted, scale.mean, scale.sd), var)


def _write_notes(folder, notes, var):
    if "cost" in notes:
        fitted, frozen = notes["n_parameters"], notes["cost"]["parameters_frozen"]
        total = None if frozen is None else fitted + frozen
        notes = notes | {"cost": notes["cost"] | {"parameters_fitted": fitted, "parameters_total": total}}
    notes = notes | {
        "layout": LAYOUT,
        "classes": ["spliced", "retained"],
        "n_features": len(var),
        "names_sha256": names_digest(var.index),
    }
    write_json(folder / "model.json", notes)


def read_model(folder: Path | str) -> LinearModel | TreeModel:
    """Read a model folder of fit back: a LinearModel or a TreeModel.

    Raises MissingInput or BadData for one that is not there, broken or made by another tool.
    """
    folder = Path(folder)
    notes = read_notes(folder)
    if notes.get("tool") != "fit":
        raise BadData(f"{folder}: a model of {notes.get('tool', 'another tool')}, not of fit")
    return _read_trees(folder, notes) if notes["kind"] == "lightgbm" else _read_linear(folder, notes)


def _read_linear(folder, notes):
    path = require_file(folder / "weights.safetensors")
    try:
        arrays = load_file(path)
        intercept = float(arrays["intercept"][0])
        model = LinearModel(notes, arrays["weights"], intercept, arrays["mean"], arrays["sd"])
    except (SafetensorError, KeyError) as problem:
        raise BadData(f"{path}: not the weights of a linear model ({problem}); fit it again") from problem
    if len(model.weights) != notes["n_features"]:
        raise BadData(f"{path}: {len(model.weights)} weights, model.json says {notes['n_features']}")
    return model


def _read_trees(folder, notes):
    import lightgbm

    path = require_file(folder / "lightgbm.txt")
    text = path.read_text(encoding="utf-8", errors="replace")
    # LightGBM aborts the process on some broken texts; a whole one ends with its parameters
    if not text.startswith("tree\n") or "end of parameters" not in text:
        raise BadData(f"{path}: not a whole LightGBM model; fit it again")
    booster = lightgbm.Booster(model_str=text)
    if booster.num_feature() != notes["n_features"]:
        raise BadData(f"{path}: trees of {booster.num_feature()} features, model.json says {notes['n_features']}")
    return TreeModel(notes, booster, notes["offset"])


def read_notes(folder: Path | str) -> dict[str, Any]:
    """The contents of a folder's model.json."""
    path = Path(folder) / "model.json"
    notes = read_record(path)
    if notes.get("layout") != LAYOUT:
        raise BadData(f"{path}: not a model of this version of Intronaut; fit it again")
    return notes


# what a features file says of its input and of its making, not of what its columns mean
NOT_MEANING = ("input_sha256", "version", "store", "dtype", "window", "genome", "cost")


def matching_columns(
    notes: dict[str, Any], features: Features, log: Log | None = None, folder: Path | str | None = None
) -> np.ndarray:
    """The columns of a features file that a model was fitted on, in the model's order.

    A model of a feature group finds its columns in the file that holds all groups. Columns in another order are found
    by name where the ``folder`` of the model is given. Where the features or the model do not record how their windows
    were cut, ``log`` warns.

    Raises:
        BadData: columns that are not there, or were made with other weights or options, or of windows that were cut
            otherwise than the model's or have another length than all of those that it learnt from.
    """
    warnings = refuse_other_making(notes["features"], features)
    refuse_other_lengths(notes, features)
    for text in warnings if log and features.obs is not None else ():
        log.warn(text)
    wanted = pd.Index(features.var.index)
    if names_digest(wanted) == notes["names_sha256"]:
        return np.arange(len(wanted))
    if notes.get("feature_group", "all") != "all":
        columns = group_columns(features, notes["feature_group"])
        if names_digest(wanted[columns]) == notes["names_sha256"]:
            return columns
    if folder is not None and wanted.is_unique:
        columns = wanted.get_indexer(fitted_names(folder))
        if (columns >= 0).all() and names_digest(wanted[columns]) == notes["names_sha256"]:
            return columns
    raise BadData(
        f"{features.path}: its {len(wanted)} feature names are not the {notes['n_features']} the model was fitted on; "
        "make the features with the same tool, release and options"
    )


def refuse_other_making(model: dict[str, Any], features: Features) -> list[str]:
    """Raise BadData for features made otherwise than the model's, or of windows that were cut otherwise.

    Features of several files are compared block by block. Returns warnings, as
    :func:`intronaut.io.window_cut.refuse_different_cut` does.
    """
    was, now = (_by_block(provenance) for provenance in (model, features.provenance))
    meaning_was, meaning_now = ({key: value for block in blocks.values() for key, value in block["meaning"].items()}
                                for blocks in (was, now))  # fmt: skip
    keys = sorted(meaning_was.keys() | meaning_now.keys())
    differing = [key for key in keys if meaning_was.get(key) != meaning_now.get(key)]
    if meaning_was and meaning_now and differing:
        differences = "; ".join(f"{key} was {meaning_was.get(key)!r}, is {meaning_now.get(key)!r}" for key in differing)
        raise BadData(f"{features.path}: not made as the features of the model: {differences}")
    warnings = []
    for block, recorded in was.items():
        warnings += refuse_different_cut(recorded["provenance"], now.get(block, {"provenance": {}})["provenance"],
                                         features.path)  # fmt: skip
    return list(dict.fromkeys(warnings))


def _by_block(provenance):
    """The provenance of each features file, and what it says of its columns, under keys that begin with the block."""
    blocks = provenance.get("blocks") or {"": provenance}
    return {
        block: {
            "provenance": one,
            "meaning": {f"{block} {key}".strip(): value for key, value in one.items() if key not in NOT_MEANING},
        }
        for block, one in blocks.items()
    }


def fitted_names(folder: Path | str) -> np.ndarray:
    """The names of the features of a model folder of fit, in their order."""
    paths = [Path(folder) / name for name in ("coefficients.tsv", "importance.tsv")]
    path = next((path for path in paths if path.exists()), paths[0])
    return read_table(path, ("feature",))["feature"].to_numpy(object)


def refuse_other_lengths(notes: dict[str, Any], features: Features) -> None:
    """Raise BadData for a window of another length than all that the model learnt from had, where these had one."""
    shortest, longest = notes.get("window_lengths") or (None, None)
    if shortest is None or shortest != longest or features.obs is None or "length" not in features.obs:
        return
    other = features.obs["length"] != longest
    if other.any():
        name, length = other.idxmax(), features.obs["length"][other].iloc[0]
        raise BadData(
            f"{features.path}: {other.sum():,} windows are not {longest:,} bases long as all of the model's were: "
            f"{name!r} has {length:,}"
        )


def group_columns(features: Features, group: str) -> np.ndarray:
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
        examples = ", ".join(map(str, features.var[column].value_counts().index[:10]))
        raise BadData(f"{features.path}: no feature has {column} {values}; it holds {examples} …")
    return chosen
