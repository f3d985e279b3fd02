"""AUROC within strata of confounders, and within folds, with intervals over leakage groups."""

import numpy as np
import pandas as pd

from intronaut.stats import within_folds as ranks
from intronaut.stats.jackknife import Resampled
from intronaut.stats.metrics import Rows, rows_of


def stratified_auroc(
    predictions: pd.DataFrame, table: pd.DataFrame, groups: np.ndarray, seed: int, bins: int = 3
) -> tuple[dict[str, float | None], pd.DataFrame]:
    """AUROC among introns of similar GC content and length of one fold, which no model can owe to either.

    Args:
        predictions: a predictions table; ``table`` the rows of the labels table in the same order.
        bins: how many bins of equal size of each of ``gc`` and ``length``; a column that is not there has one.

    Returns:
        ``(within, strata)``: the AUROC over pairs of one fold and stratum, with its interval; and DataFrame ``stratum n
        n_retained auroc low high``, NaN where a stratum has no pair.
    """
    rows, logits = rows_of(predictions, groups, seed), predictions["logit"].to_numpy(float)
    stratum = _strata(table, bins)
    within = _auroc_interval(rows, logits, ranks.codes(rows.folds, stratum))
    lines = []
    for name in sorted(stratum.unique()):
        inside = (stratum == name).to_numpy()
        part = Rows(*(getattr(rows, field)[inside] for field in Rows.__dataclass_fields__))
        part.folds, part.groups, part.blocks = map(ranks.codes, (part.folds, part.groups, part.blocks))
        auroc = _auroc_interval(part, logits[inside], part.folds)
        counts = {"stratum": name, "n": int(inside.sum()), "n_retained": int(part.labels.sum())}
        lines.append(counts | {"auroc": auroc["value"], "low": auroc["low"], "high": auroc["high"]})
    return within, pd.DataFrame(lines)


def _strata(table, bins):
    """The bin of GC content and length of every row, in words."""
    names = [name for name in ("gc", "length") if name in table and table[name].nunique() > 1]
    words = [name + " " + pd.qcut(table[name], bins, duplicates="drop").astype(str) for name in names]
    return pd.Series("all", index=table.index) if not words else words[0].str.cat(words[1:], sep=", ")


def _auroc_interval(rows, logits, folds):
    """The interval of the AUROC of pairs within ``folds``, without training variance."""
    if not 0 < rows.labels.sum() < len(rows.labels):
        return {"value": None, "low": None, "high": None, "pairs": 0}
    value, left_out, pairs = ranks.auroc_without_blocks(rows.labels, logits, folds, rows.groups, rows.blocks)
    n_groups = len(np.unique(rows.groups))
    resampled = Resampled(pd.DataFrame({"auroc": left_out}), (), pd.DataFrame(), rows.rarer_groups, n_groups)
    return resampled.interval("auroc", value, "logit") | {"pairs": int(pairs)}


def auroc_within_folds(
    labels: np.ndarray, logits: np.ndarray, folds: np.ndarray, groups: np.ndarray | pd.Series, seed: int
) -> dict[str, float | None]:
    """``{value, low, high …}`` of the AUROC over pairs of rows of one fold and different groups, for models as trained.

    Args:
        labels: ``(n,)`` 0 or 1; ``logits`` ``(n,)``.
        folds, groups: ``(n,)`` of any type.
    """
    rows = rows_of(pd.DataFrame({"label": labels, "fold": np.asarray(folds)}), groups, seed)
    return _auroc_interval(rows, np.asarray(logits, float), rows.folds)
