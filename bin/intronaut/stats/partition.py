"""Intervals of what blocks add: sums of values of sets, with the jackknife and training variance that they share."""

from functools import reduce
from typing import Any

import numpy as np

from intronaut.stats.jackknife import Resampled
from intronaut.stats.shares import Quantity, in_order

METRIC_OF = {"auroc": "auroc", "average_precision": "average_precision", "deviance": "deviance_explained"}


def measures_of(target: str) -> tuple[str, ...]:
    """The keys of METRIC_OF that a partition of labels, or of levels of retention, is given in."""
    return tuple(METRIC_OF) if target == "label" else ("deviance",)


def combined(quantity: Quantity, values: dict[frozenset[str], Any]) -> Resampled:
    """The Resampled of a quantity: that of each set times its coefficient, summed.

    Args:
        values: dict from set to :class:`intronaut.models.held_out.Evaluation`, all of the same rows and seed.
    """
    scaled = [
        Resampled(one.left_out * number, tuple(refits * number for refits in one.refitted), one.bootstrapped,
                  one.rarer_groups, one.n_groups)
        for members, number in quantity.coefficients.items() for one in [values[members].resampled]
    ]  # fmt: skip
    return reduce(_sum, scaled)


def _sum(one, other):
    refitted = tuple(a + b for a, b in zip(one.refitted, other.refitted, strict=True))
    return Resampled(one.left_out + other.left_out, refitted, one.bootstrapped, one.rarer_groups, one.n_groups)


def interval(quantity: Quantity, values: dict[frozenset[str], Any], measure: str) -> dict[str, float | None]:
    """``{value, low, high, se …}`` of a quantity in one of the measures METRIC_OF."""
    metric = METRIC_OF[measure]
    value = quantity.of({members: float(one.point[metric]) for members, one in values.items()})
    return combined(quantity, values).interval(metric, value)


def monte_carlo_error(player: str, orders: list[list[str]], values: dict[frozenset[str], Any], measure: str) -> float:
    """Standard error of a Shapley value from the draw of orders alone; an order and its reverse are one draw."""
    points = {members: float(one.point[METRIC_OF[measure]]) for members, one in values.items()}
    increments = np.array([in_order(player, order).of(points) for order in orders])
    draws = [increments[first : first + 2].mean() for first in range(0, len(increments), 2)]
    return float(np.std(draws, ddof=1) / np.sqrt(len(draws))) if len(draws) > 1 else float("nan")
