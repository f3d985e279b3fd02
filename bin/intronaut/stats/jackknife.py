"""Intervals of metrics: a jackknife over leakage groups, and the variance of training on other introns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import t

from intronaut.stats.bootstrap import LEVEL, interval

MOST_BLOCKS = 1000
# groups of the rarer class below which no interval is given, and below which there is a warning
FEWEST_GROUPS, FEW_GROUPS = 5, 20
# the scale of the t interval of a metric; differences of metrics and all others are taken as they are
SCALE_OF = {"auroc": "logit", "average_precision": "logit", "prevalence": "logit", "spearman": "fisher"}
# the least value of what has an interval on a scale; the largest is 1
LEAST = {"identity": None, "logit": 0.0, "fisher": -1.0}
NO_INTERVAL = {"low": None, "high": None, "se": None, "se_test": None, "se_train": None, "df": None}


def leave_out_blocks(groups: np.ndarray, seed: int) -> np.ndarray:
    """The block ``(n,)`` of each row, of which one is left out at a time: its group, or one of MOST_BLOCKS.

    More groups than MOST_BLOCKS are assigned at random to blocks of equally many groups.
    """
    group, distinct = pd.factorize(np.asarray(groups))
    if len(distinct) <= MOST_BLOCKS:
        return group
    block_of = np.random.default_rng([seed, len(distinct)]).permutation(len(distinct)) % MOST_BLOCKS
    return block_of[group]


def jackknife_covariance(left_out: np.ndarray) -> np.ndarray:
    """``(k, k)`` covariance of k estimates from their values ``(b, k)`` without each of b blocks."""
    b = len(left_out)
    centred = left_out - left_out.mean(axis=0)
    return (b - 1) / b * centred.T @ centred if b > 1 else np.full((left_out.shape[1],) * 2, np.nan)


@dataclass
class Resampled:
    """What the intervals of one model's metrics follow from; models of the same rows and seed are paired.

    ``left_out`` ``(blocks, smooth metrics)``: without each block of leakage groups. ``refitted``: for each repeat of
    the cross-validation ``(K, smooth metrics)`` with models that were also trained without the j-th fold; empty where
    there are no such models. ``bootstrapped`` ``(replicates, other metrics)``: of whole groups drawn with replacement.
    ``rarer_groups``: how many groups hold a row of the class that fewer groups hold.
    """

    left_out: pd.DataFrame
    refitted: tuple
    bootstrapped: pd.DataFrame
    rarer_groups: int
    n_groups: int

    def __sub__(self, other: Resampled) -> Resampled:
        """The paired difference of two models."""
        paired = [one.shape for one in self.refitted] == [one.shape for one in other.refitted]
        refitted = tuple(a - b for a, b in zip(self.refitted, other.refitted, strict=True)) if paired else ()
        return Resampled(
            self.left_out - other.left_out, refitted, self.bootstrapped - other.bootstrapped,
            min(self.rarer_groups, other.rarer_groups), self.n_groups,
        )  # fmt: skip

    def error(self, name: str) -> dict[str, float | None]:
        """``{"se", "se_test", "se_train", "df"}`` of a smooth metric, None where it cannot be had.

        The two variances add up; df by Satterthwaite (1946, Biometrics Bull 2:110).
        """
        test = float(jackknife_covariance(self.left_out[[name]].to_numpy())[0, 0])
        if self.rarer_groups < FEWEST_GROUPS or not np.isfinite(test):
            return {key: None for key in ("se", "se_test", "se_train", "df")}
        train, df = 0.0, self.rarer_groups - 1.0
        known = bool(self.refitted) and all(name in one and one[name].notna().all() for one in self.refitted)
        if known:
            train = float(np.mean([jackknife_covariance(one[[name]].to_numpy())[0, 0] for one in self.refitted]))
            if test + train > 0:
                df = (test + train) ** 2 / (test**2 / df + train**2 / (len(self.refitted[0]) - 1))
        return {
            "se": float(np.sqrt(test + train)),
            "se_test": float(np.sqrt(test)),
            "se_train": float(np.sqrt(train)) if known else None,
            "df": float(df),
        }

    def interval(self, name: str, value: float | np.ndarray, scale: str = "identity") -> dict[str, float | None]:
        """``{value, low, high, se, se_test, se_train, df}`` of a metric; None where it has no interval."""
        number = float(value) if value is not None and np.isfinite(value) else None
        if name in self.bootstrapped:
            return NO_INTERVAL | self._percentiles(name, number)
        if number is None or name not in self.left_out:
            return {"value": number} | NO_INTERVAL
        error = self.error(name)
        return {"value": number, **t_interval(number, error["se"], error["df"], scale), **error}

    def _percentiles(self, name, value):
        replicates = self.bootstrapped[name].to_numpy()
        usable = replicates[np.isfinite(replicates)]
        if value is None or self.rarer_groups < FEWEST_GROUPS or len(usable) < 2:
            return {"value": value}
        error = float(usable.std(ddof=1))
        return interval(replicates, self.n_groups, value) | {"se": error, "se_test": error}


def mean_of(repeats: list[Resampled]) -> Resampled:
    """The Resampled of the mean over repeats of the cross-validation of one model."""
    first, n = repeats[0], len(repeats)
    refitted = tuple(one for repeat in repeats for one in repeat.refitted)
    return Resampled(
        sum(repeat.left_out for repeat in repeats) / n, refitted,
        sum(repeat.bootstrapped for repeat in repeats) / n, first.rarer_groups, first.n_groups,
    )  # fmt: skip


def over_seeds(points: pd.DataFrame) -> pd.DataFrame:
    """Metrics of trainings from several seeds ``(s, metrics)`` as refits whose jackknife variance is their variance."""
    s = len(points)
    return points.mean() + (points - points.mean()) * np.sqrt(s) / (s - 1)


def t_interval(value: float, error: float | None, df: float | None, scale: str = "identity") -> dict[str, float | None]:
    """``{"low", "high"}`` of the 95 % t interval of a value.

    On the scale ``logit`` it stays between 0 and 1, on ``fisher``, that of a correlation's z (Fisher 1921), between -1
    and 1: twice z is the logit of the share of the way from -1 to 1.
    """
    least = LEAST[scale]
    if error is None or (least is not None and not least < value < 1):
        return {"low": None, "high": None}
    reach = float(t.ppf((1 + LEVEL) / 2, df)) * error
    if least is None:
        return {"low": value - reach, "high": value + reach}
    width = 1 - least
    share = (value - least) / width
    centre, reach = logit(share), reach / width / (share * (1 - share))
    return {"low": float(least + width * expit(centre - reach)), "high": float(least + width * expit(centre + reach))}


def two_sided_p(difference: float, error: float, df: float | None = None) -> float:
    """p of a difference under t with ``df`` degrees of freedom, normal where None; 1 when both are 0."""
    if error == 0 and difference == 0:
        return 1.0
    return float(2 * t.sf(abs(difference) / max(error, 1e-300), np.inf if df is None else df))
