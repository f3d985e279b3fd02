"""Is something more common in retained than in spliced introns, once length, GC and the like are allowed for?

One observation is one intron (or peak). Introns of one leakage group are near each other, share genes, peaks and
bases, and are not counted as independent.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg, sparse, stats

from intronaut.core.errors import BadData

LEVEL = 0.95
# with fewer groups the sandwich is far too narrow (with one it is nothing)
LEAST_GROUPS = 20
ITERATIONS = 60
# a standard error beyond this, per standard deviation of the variable, means that the classes are separated: the
# likelihood is flat, on the way to an infinite odds ratio
SEPARATED = 20
DEVIANCE_STEP = 1e-10
# events (rows of the rarer class) a term, below which large-sample tests are off (Peduzzi et al. 1996, J Clin Epidemiol
# 49:1373)
EVENTS_PER_TERM = 10
# the longest step of a penalised fit in any coefficient: the variables have variance 1, so this is a wide one
LONGEST_STEP = 5.0
LOGGED = ("length", "dist_tss", "dist_tes", "gene_length", "scanned")


@dataclass
class Effect:
    """What one test found: the log odds ratio of retention for ``x`` one higher, its 95 % interval, and p.

    Where ``x``, with the covariates, parts the classes, the log odds ratio is infinite and the interval NaN; p does
    not rest on either.
    """

    log_odds: float
    se: float
    low: float
    high: float
    p: float


class AdjustedTest:
    """Logistic regression of the label on one variable beside covariates.

    Without groups, or with fewer than 20, p is that of the penalised likelihood-ratio test (Heinze & Schemper 2002,
    Stat Med 21:2409, on Firth 1993, Biometrika 80:27): twice the gain of log-likelihood + ½ log |information| over the
    same with the coefficient of ``x`` held at 0, against chi-square of one degree of freedom. It keeps its size where
    few rows are retained or few have ``x``, where the usual likelihood-ratio test finds too much, and equals that test
    in large samples. The standard error is the usual one, and ``grouped`` False.

    With ``groups``, p is that of the generalised score test (Boos 1992, Am Stat 46:327), whose variance is the one
    between the sums of groups, so that rows of one group may be correlated; it holds for variables that few rows have,
    where Wald's test with such a variance finds far too much. With fewer than 10 rows of the rarer class a term
    (Peduzzi et al. 1996) that variance is too small, and p is the larger of this test's and the penalised one's. The
    standard error is the larger of the usual one and the sandwich (Liang & Zeger 1986, Biometrika 73:13). Variances get
    the factor G / (G - 1) · (n - 1) / (n - k), and statistics are held against Student's t with G - 1 degrees of
    freedom.

    Args:
        label: ``(n,)`` 0 or 1; ``design``: ``(n, k)`` covariates of full rank, the constant among them;
        groups: ``(n,)`` of anything, or None.

    Raises BadData when the covariates alone separate the classes.
    """

    def __init__(self, label: np.ndarray, design: np.ndarray, groups: np.ndarray | pd.Series | None = None) -> None:
        self.label, self.design = np.asarray(label, float), np.asarray(design, float)
        self.group_sums, self.df = None, np.inf
        number, distinct = pd.factorize(np.zeros(1) if groups is None else np.asarray(groups), use_na_sentinel=False)
        self.grouped = len(distinct) >= LEAST_GROUPS
        if self.grouped:
            shape = len(distinct), len(number)
            self.group_sums = sparse.csr_array((np.ones(len(number)), (number, np.arange(len(number)))), shape=shape)
            self.df = len(distinct) - 1
        self.null, _, fitted = _maximise(self.design, self.label, np.zeros(self.design.shape[1]))
        if not fitted:
            raise BadData("the covariates alone tell retained from spliced without an error; adjust for fewer")
        self.null_p = _probability(self.design @ self.null)
        self.penalised_null, _ = _maximise_penalised(self.design, self.label, np.zeros(len(self.null)), slice(None))
        events = min(self.label.sum(), (1 - self.label).sum())
        self.few = events < EVENTS_PER_TERM * (self.design.shape[1] + 1)

    def effect(self, x: np.ndarray) -> Effect:
        """The Effect of ``x`` ``(n,)``; all NaN when it is the same for all or follows from the covariates."""
        x = np.asarray(x, float)
        spread = x.std()
        if not spread or _follows(x - x.mean(), self.design):
            return Effect(*[np.nan] * 5)
        terms = np.column_stack([x / spread, self.design])
        weights, _, fitted = _maximise(terms, self.label, np.r_[0.0, self.null])
        inverse = _inverse_information(terms, weights)
        p = self._p(x, terms)
        if not fitted or np.sqrt(inverse[0, 0]) > SEPARATED:
            return Effect(np.copysign(np.inf, weights[0]), np.nan, np.nan, np.nan, p)
        variance = inverse[0, 0]
        if self.grouped:
            sums = self._sums(terms, self.label - _probability(terms @ weights))
            variance = max(variance, (inverse @ (sums.T @ sums) @ inverse)[0, 0] * self._factor(terms.shape[1]))
        log_odds, se = weights[0] / spread, np.sqrt(variance) / spread
        reach = stats.t.ppf((1 + LEVEL) / 2, self.df) * se
        return Effect(log_odds, se, log_odds - reach, log_odds + reach, p)

    def _p(self, x, terms):
        if not self.grouped:
            return self._penalised_p(terms)
        return max(self._score_p(x), self._penalised_p(terms)) if self.few else self._score_p(x)

    def _penalised_p(self, terms):
        """The penalised likelihood-ratio test of the first of ``terms`` (n, k + 1)."""
        weights, without = _maximise_penalised(terms, self.label, np.r_[0.0, self.penalised_null], slice(1, None))
        _, with_x = _maximise_penalised(terms, self.label, weights, slice(None))
        return stats.chi2.sf(max(2 * (with_x - without), 0), 1)

    def _score_p(self, x):
        """The score of x once the covariates' part is taken out of it, against how it scatters between groups."""
        weight = self.null_p * (1 - self.null_p)
        weighted = self.design * weight[:, None]
        residual = x - self.design @ np.linalg.solve(weighted.T @ self.design, weighted.T @ x)
        sums = self._sums(residual[:, None], self.label - self.null_p)[:, 0]
        score = sums.sum() / np.sqrt(sums @ sums * self._factor(self.design.shape[1]))
        return 2 * stats.t.sf(abs(score), self.df)

    def _sums(self, terms, residual):
        return self.group_sums @ (terms * residual[:, None])

    def _factor(self, k):
        g, n = self.group_sums.shape
        return g / (g - 1) * (n - 1) / (n - k)


def _probability(logits):
    return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))


def _inverse_information(terms, weights):
    p = _probability(terms @ weights)
    return linalg.pinvh((terms * (p * (1 - p))[:, None]).T @ terms, rtol=0)


def _deviance(logits, label):
    return 2 * (np.logaddexp(0, logits) - label * logits).sum()


def _maximise(terms, label, weights):
    """Newton's method with halved steps: ``(weights, deviance, whether it came to rest)``."""
    deviance = _deviance(terms @ weights, label)
    for _ in range(ITERATIONS):
        p = _probability(terms @ weights)
        information = (terms * (p * (1 - p))[:, None]).T @ terms
        step = np.linalg.lstsq(information, terms.T @ (label - p), rcond=None)[0]
        for _ in range(30):
            better = _deviance(terms @ (weights + step), label)
            if better <= deviance + DEVIANCE_STEP:
                break
            step /= 2
        weights, gained, deviance = weights + step, deviance - better, better
        if gained < DEVIANCE_STEP:
            return weights, deviance, deviance > 1e-6
    return weights, deviance, False


def _maximise_penalised(terms, label, weights, free):
    """``(weights, log-likelihood + ½ log |information|)`` at its greatest over the weights ``free`` (slice).

    Newton's method on the modified score, terms' (label - p + h (½ - p)) with h the diagonal of the hat matrix (Heinze
    & Schemper 2002, section 2), with shortened steps, from ``weights``. The information is that of all terms, held or
    not.
    """
    value, p, information = _penalised(terms, label, weights)
    for _ in range(ITERATIONS):
        inverse = linalg.inv(information)
        hat = np.einsum("ij,ij->i", terms @ inverse, terms) * p * (1 - p)
        score = terms.T @ (label - p + hat * (0.5 - p))
        step = np.zeros(len(weights))
        step[free] = np.linalg.solve(information[free, free], score[free])
        step *= min(1, LONGEST_STEP / max(np.abs(step).max(), 1e-300))
        for _ in range(30):
            better, *at = _penalised(terms, label, weights + step)
            if better >= value - DEVIANCE_STEP:
                break
            step /= 2
        gained, weights, value, (p, information) = better - value, weights + step, better, at
        if gained < DEVIANCE_STEP:
            break
    return weights, value


def _penalised(terms, label, weights):
    """``(log-likelihood + ½ log |information|, probabilities, information)``; -inf where that is singular."""
    logits = terms @ weights
    p = _probability(logits)
    information = (terms * (p * (1 - p))[:, None]).T @ terms
    sign, size = np.linalg.slogdet(information)
    return (size if sign > 0 else -np.inf) / 2 - _deviance(logits, label) / 2, p, information


def _follows(x, design):
    left = x - design @ np.linalg.lstsq(design, x, rcond=None)[0]
    return np.linalg.norm(left) < 1e-8 * np.linalg.norm(x)


def design_matrix(covariates: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Covariates as terms of a regression: a constant, then each standardised, then each's square.

    ``covariates`` is a DataFrame of numbers; lengths and distances (LOGGED) count as log10(1 + x).

    Returns:
        ``((n, k) float64 of full rank, names left out because they are constant or follow from others)``.
    """
    terms = {"": np.ones(len(covariates))}
    for name, values in covariates.items():
        values = values.to_numpy(float)
        values = np.log10(1 + values.clip(min=0)) if name in LOGGED else values
        if np.ptp(values) > 0:
            terms[name] = (values - values.mean()) / values.std()
    squares = {f"{name}²": term**2 for name, term in terms.items() if name}
    kept, left_out = [], [name for name in covariates if name not in terms]
    for name, term in (terms | squares).items():
        if kept and _follows(term, np.column_stack(kept)):
            left_out += [name] if not name.endswith("²") else []
            continue
        kept.append(term)
    return np.column_stack(kept), left_out


def q_values(p: np.ndarray | pd.Series | list[float]) -> np.ndarray:
    """Benjamini & Hochberg 1995 q-values; NaN stays NaN and is no test."""
    p = np.asarray(p, float)
    q, known = np.full(len(p), np.nan), ~np.isnan(p)
    if known.any():
        q[known] = stats.false_discovery_control(p[known])
    return q


def effect_columns(effects: list[Effect], suffix: str = "") -> dict[str, np.ndarray]:
    """Columns of a table: odds_ratio, low, high, p, q of a list of Effects."""
    p = np.array([effect.p for effect in effects])
    with np.errstate(over="ignore"):
        columns = {
            "odds_ratio": np.exp([effect.log_odds for effect in effects]),
            "low": np.exp([effect.low for effect in effects]),
            "high": np.exp([effect.high for effect in effects]),
            "p": p,
            "q": q_values(p),
        }
    return {f"{name}{suffix}": values for name, values in columns.items()}


def fisher(has: np.ndarray, label: np.ndarray) -> tuple[float, float, float, float]:
    """Fisher's exact test of a 2 × 2 table: ``(odds ratio, low, high, p)``, the conditional estimate and its 95 %."""
    has, label = np.asarray(has, bool), np.asarray(label) == 1
    table = [[(has & label).sum(), (~has & label).sum()], [(has & ~label).sum(), (~has & ~label).sum()]]
    p = stats.fisher_exact(table).pvalue
    if not has.any() or has.all():
        return np.nan, np.nan, np.nan, p
    ratio = stats.contingency.odds_ratio(table)
    return ratio.statistic, *ratio.confidence_interval(LEVEL), p


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of the finite pairs; NaN for fewer than three."""
    known = np.isfinite(a) & np.isfinite(b)
    return float(stats.spearmanr(a[known], b[known]).statistic) if known.sum() > 2 else np.nan


def residual_ranks(effect: np.ndarray, confounder: np.ndarray) -> np.ndarray:
    """Ranks of ``effect``, 1 the highest, after the part that the ranks of ``confounder`` foretell is taken away.

    Both are ``(n,)``; NaN where the effect is not finite.
    """
    ranks, known = np.full(len(effect), np.nan), np.isfinite(effect) & np.isfinite(confounder)
    if known.sum() > 2:
        y, x = stats.rankdata(effect[known]), stats.rankdata(confounder[known])
        x = x - x.mean()
        slope = x @ y / (x @ x) if x.any() else 0.0
        ranks[known] = stats.rankdata(-(y - slope * x), method="ordinal")
    return ranks
