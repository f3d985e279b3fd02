"""Whether few introns, or few leakage groups, stand behind a number."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from intronaut.stats.jackknife import FEW_GROUPS, FEWEST_GROUPS

FEW_RETAINED = 50


def groups_of_rarer_class(labels: np.ndarray, groups: np.ndarray) -> int:
    """How many leakage groups hold a row of the class that fewer groups hold; ``(n,)`` labels 0 and 1, and groups."""
    return min(pd.Series(groups[labels == label]).nunique() for label in (0, 1))


def small_sample_sentences(n_retained: int, rarer_groups: int) -> Iterator[str]:
    """What a reader must know where few introns are retained, or few leakage groups hold the rarer class."""
    if n_retained < FEW_RETAINED:
        yield f"{n_retained} retained introns are few: below {FEW_RETAINED} no number here is firm"
    if rarer_groups < FEW_GROUPS:
        yield (
            f"{rarer_groups} leakage groups hold the rarer class: below {FEW_GROUPS} intervals are rough, below "
            f"{FEWEST_GROUPS} there are none"
        )


def sentences_of_summary(summary: dict[str, Any]) -> list[str]:
    """The sentences for a metrics.json, or any summary of ``n_retained`` and ``n_groups_of_rarer_class``; none of
    levels, which have neither."""
    if "n_groups_of_rarer_class" not in summary or "n_retained" not in summary:
        return []
    return list(small_sample_sentences(summary["n_retained"], summary["n_groups_of_rarer_class"]))
