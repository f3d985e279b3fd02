"""The held-out predictions and metrics of a model folder, refused where a report could only show nonsense."""

from pathlib import Path
from typing import Any

import pandas as pd

from intronaut.core.errors import BadData
from intronaut.core.json_files import read_record
from intronaut.io import tables


def read_predictions(path: Path) -> pd.DataFrame:
    """Held-out predictions by name: label, fold, p_retained, logit."""
    table = tables.read_table(path, ("name", "label", "fold", "p_retained"))
    table = tables.with_numbers(path, table, ("label", "p_retained", "logit", "psi"))
    if not table["p_retained"].dropna().between(0, 1).all():
        raise BadData(f"{path}: p_retained is no probability in every row")
    return table.set_index("name")


def read_metrics(path: Path) -> dict[str, Any]:
    """What metrics.json holds; raises BadData for a metric without a value, and a baseline without its models."""
    record = read_record(path)
    baselines = record["baseline"]
    for metrics in (
        record["metrics"],
        *((baselines[name] for name in ("covariates", "combined")) if baselines else ()),
    ):
        for name, metric in metrics.items():
            if not isinstance(metric, dict) or not isinstance(metric["value"], int | float | None):
                raise BadData(f"{path}: {name} is no metric with a value; make the file again")
    return record
