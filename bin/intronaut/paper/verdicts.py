"""What a verdict on a claim rests on: an estimate, its limits, and the smallest difference that could be shown."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t

from intronaut.stats.model_comparison import equivalence_p, holm

ALPHA = 0.05
# the quantile of a power of 80 %
POWER_QUANTILE = float(norm.ppf(0.8))
SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNDECIDED, NOT_TESTABLE = "undecided", "not testable"


class Verdict(NamedTuple):
    """One of the four words, the numbers it rests on, and the smallest difference that these data could have shown."""

    word: str
    numbers: str
    detectable: float = np.nan


def lacking(what: str) -> Verdict:
    """Not testable, for lack of ``what``."""
    return Verdict(NOT_TESTABLE, f"needs {what}")


@dataclass
class Estimate:
    """An estimate with its standard error and degrees of freedom of t; normal where ``df`` is None."""

    name: str
    value: float
    error: float
    df: float | None = None

    def reach(self, tail: float) -> float:
        """How far the one-sided limit with this tail probability lies from the estimate."""
        df = np.inf if self.df is None else self.df
        return float(t.ppf(1 - tail, df)) * self.error

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return self.value - self.reach(ALPHA / 2), self.value + self.reach(ALPHA / 2)

    def simultaneous(self, m: int) -> tuple[float, float]:
        """The interval that holds with those of ``m - 1`` other estimates at 95 % (Bonferroni)."""
        return self.value - self.reach(ALPHA / (2 * m)), self.value + self.reach(ALPHA / (2 * m))

    @property
    def p(self) -> float:
        """Two-sided p of no difference; 1 where neither differs nor varies."""
        if self.error == 0:
            return float(self.value == 0)
        return float(2 * t.sf(abs(self.value) / self.error, np.inf if self.df is None else self.df))

    def equivalence_p(self, margin: float) -> float:
        """p of two one-sided tests that the estimate lies within ``± margin``."""
        more = () if self.df is None else (self.df,)
        return equivalence_p(self.value, self.error, margin, *more)

    def detectable(self, m: int = 1) -> float:
        """The smallest true value that would be shown with a power of 80 %, among ``m`` estimates."""
        return float(norm.ppf(1 - ALPHA / (2 * m)) + POWER_QUANTILE) * self.error

    def text(self, what: str = "", m: int = 1) -> str:
        """The estimate with its interval, ``what`` else is known, and what could have been shown."""
        low, high = self.interval
        known = f", {what}" if what else ""
        return (
            f"{self.name} = {self.value:+.3g} (95 % {low:+.3g} to {high:+.3g}{known}; "
            f"smallest detectable {self.detectable(m):.2g})"
        )


def holm_texts(estimates: list[Estimate]) -> tuple[np.ndarray, str]:
    """Holm's p of several estimates, and all of them in words."""
    adjusted, m = holm([one.p for one in estimates]), len(estimates)
    texts = [one.text(f"Holm p = {p:.2g}", m) for one, p in zip(estimates, adjusted, strict=True)]
    return adjusted, "; ".join(texts)


def one_sided_limits(value: float, error: float, df: float | None = None) -> tuple[float, float]:
    """The one-sided 95 % limits of a share such as AUROC, on the logit scale; the value itself at 0 and 1."""
    if not 0 < value < 1:
        return value, value
    centre = np.log(value / (1 - value))
    reach = Estimate("", centre, error / (value * (1 - value)), df).reach(ALPHA)
    low, high = 1 / (1 + np.exp(-(centre - reach))), 1 / (1 + np.exp(-(centre + reach)))
    return float(low), float(high)
