"""The difference of retention between two conditions as something to fit: its size, and how much it can tell."""

import numpy as np
import pandas as pd

CALLER = "intronaut_differences"
# half of a 95 % interval in standard errors
REACH = 1.96


def difference_columns(calls: pd.DataFrame, n_introns: int) -> dict[str, np.ndarray]:
    """delta_psi and delta_weight of every intron, to fit differences to; empty where not one comparison was made.

    The weight is the share of a difference's variance that is not error, σ² / (σ² + s²): s is the standard error that
    its interval tells, σ² the variance of all differences less their mean s², at least the median s², so that the most
    exact differences do not outweigh all others. Differences without an interval count equally.

    Args:
        calls: matched calls with ``delta_low`` and ``delta_high``.

    Returns:
        dict of float64 arrays, NaN where an intron was not compared.
    """
    rows = calls[calls["caller"] == CALLER]
    if rows["sample"].nunique() != 1 or rows["intron"].duplicated().any():
        return {}
    rows = rows.dropna(subset="value").set_index("intron")
    error = ((rows["delta_high"] - rows["delta_low"]) / (2 * REACH)) ** 2
    weight = pd.Series(1.0, rows.index)
    if (known := error.notna()).any():
        real = max(rows["value"].var() - error[known].mean(), error[known].median())
        weight = weight.where(~known, real / (real + error))
    columns = {"delta_psi": rows["value"], "delta_weight": weight}
    return {name: column.reindex(range(n_introns)).to_numpy(float) for name, column in columns.items()}
