"""Prediction sets that hold the label of an intron of a new gene at a given rate, for each class by itself."""

from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, UsageError
from intronaut.io.tables import read_table, write_table

FILE = "conformal.tsv"
CLASSES = {0: "spliced", 1: "retained"}


def conformal_scores(labels: np.ndarray, logits: np.ndarray, groups: np.ndarray | list[str]) -> pd.DataFrame:
    """Out-of-fold nonconformity of the rows with finite logits, as write_scores writes them.

    Of a retained row minus its logit, of a spliced row its logit. Rows of one group and class share a weight of 1:
    groups are exchangeable, rows are not (Dunn, Wasserman & Ramdas 2023, J Am Stat Assoc 118:2491).

    Returns DataFrame ``label score weight``, sorted by label and score.
    """
    known = np.isfinite(logits)
    table = pd.DataFrame({"label": labels[known].astype(int), "group": np.asarray(groups)[known]})
    table["score"] = np.where(table["label"] == 1, -logits[known], logits[known])
    table["weight"] = 1 / table.groupby(["label", "group"])["score"].transform("size")
    return table[["label", "score", "weight"]].sort_values(["label", "score"], kind="stable")


def limits(scores: pd.DataFrame, level: float) -> dict[int, float]:
    """``{label: largest score that its set holds}`` of a table of :func:`conformal_scores` at a coverage ``level``.

    Class-wise (Mondrian: Vovk, Gammerman & Shafer 2005; Sadinle, Lei & Wasserman 2019, J Am Stat Assoc 114:223)
    cross-conformal (Vovk 2015, Ann Math Artif Intell 74:9): the smallest score at which the summed weight reaches
    level · (G + 1), with G the groups that hold the class.

    Raises UsageError where a class has too few groups for the level.
    """
    result = {}
    for label, name in CLASSES.items():
        of_label = scores[scores["label"] == label]
        n_groups = of_label["weight"].sum()
        if 1 - level < (1 - 1e-9) / (n_groups + 1):
            highest = int(n_groups / (n_groups + 1) * 1000) / 1000
            raise UsageError(
                f"--sets {level:g}: {n_groups:.0f} leakage groups hold {name} introns, which allow {highest:g} at most"
            )
        reached = np.cumsum(of_label["weight"].to_numpy()) >= level * (n_groups + 1) - 1e-9
        result[label] = float(of_label["score"].to_numpy()[np.argmax(reached)]) if reached.any() else np.inf
    return result


def sets(logits: np.ndarray, scores: pd.DataFrame, level: float) -> dict[str, np.ndarray]:
    """``{"set_spliced": (n,), "set_retained": (n,)}``, 1 where the class is in the set of a row."""
    limit = limits(scores, level)
    return {"set_spliced": (logits <= limit[0]).astype(int), "set_retained": (-logits <= limit[1]).astype(int)}


def write_scores(folder: Path, scores: pd.DataFrame) -> None:
    """Write the scores into a model folder."""
    write_table(folder / FILE, scores)


def read_scores(folder: Path) -> pd.DataFrame:
    """The scores of a model folder; raises MissingInput or BadData where there are none."""
    table = read_table(folder / FILE, ("label", "score", "weight"))
    try:
        return table.astype({"label": int, "score": float, "weight": float})
    except (TypeError, ValueError) as problem:
        raise BadData(f"{folder / FILE}: {problem}; fit the model again") from problem
