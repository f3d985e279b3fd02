"""Resampling of leakage groups, and the intervals from it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm, t

LEVEL = 0.95


@dataclass
class Resampler:
    """Bootstrap replicates of rows that are drawn by whole groups.

    ``group`` ``(n,)`` is the group number of each row, ``counts`` ``(b, g)`` uint16 how often each replicate drew each
    group. Two models scored with one Resampler are paired.
    """

    group: np.ndarray
    counts: np.ndarray


def resampler(groups: np.ndarray | list[str], replicates: int, seed: int) -> Resampler:
    """Draw ``replicates`` times as many groups as there are, with replacement."""
    group, distinct = pd.factorize(np.asarray(groups))
    generator, g = np.random.default_rng(seed), len(distinct)
    counts = np.empty((replicates, g), np.uint16)
    for row in counts:
        row[:] = np.bincount(generator.integers(g, size=g), minlength=g)
    return Resampler(group, counts)


def interval(replicates: np.ndarray, n_groups: int, value: float | None = None) -> dict[str, float]:
    """``{"value", "low", "high"}`` of one metric: its 95 % interval over the replicates that have one.

    Percentiles, moved outward by as much as a t interval of ``n_groups`` draws is wider than the bootstrap's (the
    expanded percentile interval of Hesterberg 2015, Am. Stat. 69:371), because few groups make percentiles too narrow.
    """
    usable = replicates[np.isfinite(replicates)]
    tail = norm.cdf(np.sqrt(n_groups / (n_groups - 1)) * t.ppf((1 - LEVEL) / 2, n_groups - 1)) if n_groups > 1 else 0.0
    low, high = np.quantile(usable, [tail, 1 - tail]) if len(usable) else (np.nan, np.nan)
    return {"value": _number(value), "low": _number(low), "high": _number(high)}


def _number(value):
    """A float that JSON can hold: NaN becomes null."""
    return None if value is None or not np.isfinite(value) else float(value)


def wilson(
    hits: np.ndarray | pd.Series, n: np.ndarray | pd.Series
) -> tuple[np.ndarray | pd.Series, np.ndarray | pd.Series]:
    """95 % Wilson 1927 intervals of proportions."""
    z, share = 1.959964, hits / n
    centre, reach = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (centre - reach) / (1 + z**2 / n), (centre + reach) / (1 + z**2 / n)
