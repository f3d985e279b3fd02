"""Differences of retention between two conditions: a beta-binomial score test over replicates.

All arrays are introns × samples, or one value an intron. The variance of a share of n fragments is
p (1 - p) (1 + (n - 1) ρ) / n. One ρ is common to all introns; how much more or less an intron varies is a factor of its
own, moderated towards that of all (Smyth 2004, Stat Appl Genet Mol Biol 3:3), by which the statistic is divided, as in
quasi-likelihood tests of counts (Lund et al. 2012, Stat Appl Genet Mol Biol 11:5).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import digamma, polygamma
from scipy.stats import f as f_distribution
from scipy.stats import norm
from scipy.stats import t as t_distribution

LEVEL = 0.95
# overdispersion taken where no condition has replicates that could show it
USUAL_RHO, LEAST_RHO, MOST_RHO = 0.02, 0.001, 0.5
# introns that show overdispersion: enough fragments in each sample, a level that can go either way
FEWEST, LOW, HIGH = 20, 0.05, 0.95
# the most that all introns can say of the variation of one: replicates are too few to show that all vary equally
MOST_PRIOR_DF = 10.0
# fragments of either kind below which no difference can show
LEAST_EITHER = 5
_STEPS = 50
_MIXTURE = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


@dataclass
class Moderation:
    """What all introns say of the variation between replicates: ρ, and the prior of the introns' own factors.

    A factor has ``prior_df`` degrees of freedom (at most MOST_PRIOR_DF) and the mean ``prior``.
    """

    rho: float
    prior: float
    prior_df: float


def levels_of(retained: np.ndarray, n: np.ndarray, groups: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """The level of each group, weighted so that the overdispersion ρ is allowed for, and its weight: 2 × introns.

    ``groups`` is a bool array, one value a sample.
    """
    weights = sample_weights(n, rho)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(n > 0, retained / n, 0)
        total = np.array([weights[:, groups == group].sum(axis=1) for group in (False, True)])
        sums = np.array([(weights * share)[:, groups == group].sum(axis=1) for group in (False, True)])
        return sums / total, total


def sample_weights(n: np.ndarray, rho: float) -> np.ndarray:
    """n / (1 + (n - 1) ρ), 0 where there is no fragment."""
    return n / (1 + np.maximum(n - 1, 0) * rho)


def overdispersion(retained: np.ndarray, n: np.ndarray, groups: np.ndarray) -> float:
    """ρ by moments within the groups over introns that can show it; USUAL_RHO where there is no replicate.

    Over the m samples of a group, Σ n_j (p_j - p)² / (p (1 - p)) has the mean m - 1 + ρ (N - Σ n_j² / N - m + 1).
    """
    excess = expected = 0.0
    for group in (False, True):
        total_n, kept = n[:, groups == group], retained[:, groups == group]
        total = total_n.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            p = kept.sum(axis=1) / total
            fits = (total_n >= FEWEST).all(axis=1) & (p > LOW) & (p < HIGH)
        if total_n.shape[1] < 2 or not fits.any():
            continue
        total_n, kept, total, p = total_n[fits], kept[fits], total[fits], p[fits, None]
        spread = (total_n * (kept / total_n - p) ** 2 / (p * (1 - p))).sum(axis=1)
        within = total_n.shape[1] - 1
        excess += (spread - within).sum()
        expected += (total - (total_n**2).sum(axis=1) / total - within).sum()
    return float(np.clip(excess / expected, LEAST_RHO, MOST_RHO)) if expected else USUAL_RHO


def variation(retained: np.ndarray, n: np.ndarray, groups: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """How much the replicates of each intron vary, as a factor of what ρ expects, and its degrees of freedom."""
    levels, _ = levels_of(retained, n, groups, rho)
    # half a fragment on either side keeps a level of 0 or 1 from having no variance
    smooth = (levels * n.sum(axis=1) + 0.5) / (n.sum(axis=1) + 1)
    seen = n > 0
    spread = np.zeros(len(n))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(seen, retained / n, 0)
    for row, group in enumerate((False, True)):
        members = groups == group
        centre, level = levels[row][:, None], smooth[row][:, None]
        parts = sample_weights(n[:, members], rho) * (share[:, members] - centre) ** 2 / (level * (1 - level))
        spread += np.where(seen[:, members], parts, 0).sum(axis=1)
    df = sum(np.maximum(seen[:, groups == group].sum(axis=1) - 1, 0) for group in (False, True))
    return np.where(df > 0, spread / np.maximum(df, 1), 1.0), df


def moderation(retained: np.ndarray, n: np.ndarray, groups: np.ndarray) -> Moderation:
    """The Moderation that all introns together show."""
    rho = overdispersion(retained, n, groups)
    factor, df = variation(retained, n, groups, rho)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = retained.sum(axis=1) / n.sum(axis=1)
    fits = (n >= FEWEST).all(axis=1) & (p > LOW) & (p < HIGH) & (df > 0)
    if fits.sum() < FEWEST:
        return Moderation(rho, 1.0, MOST_PRIOR_DF)
    prior, prior_df = _scaled_f(factor[fits], df[fits])
    return Moderation(rho, prior, min(prior_df, MOST_PRIOR_DF))


def _scaled_f(factor, df):
    """Mean and degrees of freedom of the prior of scaled F-distributed ``factor``, by moments of their logarithms."""
    z = np.log(np.maximum(factor, 1e-5))
    centred = z - digamma(df / 2) + np.log(df / 2)
    excess = np.var(centred, ddof=1) - np.mean(polygamma(1, df / 2))
    if excess <= 0:
        return float(np.mean(factor)), np.inf
    prior_df = 2 * _inverse_trigamma(excess)
    return float(np.exp(centred.mean() + digamma(prior_df / 2) - np.log(prior_df / 2))), float(prior_df)


def _inverse_trigamma(value):
    """x with trigamma(x) = ``value``, by Newton's method on its reciprocal, which is nearly straight."""
    x = 0.5 + 1 / value
    for _ in range(_STEPS):
        trigamma = polygamma(1, x)
        x += trigamma * (1 - trigamma / value) / polygamma(2, x)
    return float(x)


def compare_groups(
    retained: np.ndarray, n: np.ndarray, groups: np.ndarray, shared: Moderation | None = None
) -> dict[str, Any]:
    """Test each intron for a difference between the groups.

    Args:
        retained, n: float64 arrays, introns × samples; counts need not be whole. n 0 where nothing was measured.
        groups: bool array, one value a sample: whether it is of the second group.
        shared: a Moderation; that of these introns where None.

    Returns:
        dict of float64 arrays: reference, level (of the two groups), delta (their difference), low, high (its 95 %
        interval), se, p (NaN where neither kind of fragment has 5), and the Moderation as ``shared``.
    """
    shared = shared or moderation(retained, n, groups)
    (reference, level), totals = levels_of(retained, n, groups, shared.rho)
    factor, df = variation(retained, n, groups, shared.rho)
    freedom = shared.prior_df + df
    factor = (shared.prior_df * shared.prior + df * factor) / freedom
    p = f_distribution.sf(_score(reference, level, totals) / factor, 1, freedom)
    either = np.minimum(retained.sum(axis=1), (n - retained).sum(axis=1)) >= LEAST_EITHER
    known = (totals > 0).all(axis=0)
    smooth = (np.array([reference, level]) * totals + 0.5) / (totals + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(factor * (smooth * (1 - smooth) / totals).sum(axis=0))
    reach = se * t_distribution.ppf(0.5 + LEVEL / 2, freedom)
    delta = level - reference
    return {
        "reference": reference, "level": level, "delta": delta, "low": np.maximum(delta - reach, -1),
        "high": np.minimum(delta + reach, 1), "se": se, "p": np.where(either & known, p, np.nan), "shared": shared,
    }  # fmt: skip


def _score(reference, level, totals):
    """The squared difference of two weighted levels over its variance where both are one, as a score test has it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        both = (np.array([reference, level]) * totals).sum(axis=0) / totals.sum(axis=0)
        return np.nan_to_num((level - reference) ** 2 / (both * (1 - both) * (1 / totals).sum(axis=0)))


def shrunken(delta: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Posterior means of differences whose true values are a mixture of normals about 0, fitted to all of them.

    As adaptive shrinkage does (Stephens 2017, Biostatistics 18:275), with few widths. NaN where there is no difference.
    """
    known = np.isfinite(delta) & (se > 0)
    d, s = delta[known], se[known]
    result = np.full(len(delta), np.nan)
    if not len(d):
        return result
    widths = np.array(_MIXTURE)
    density = norm.pdf(d[:, None], 0, np.hypot(s[:, None], widths))
    share = np.full(len(widths), 1 / len(widths))
    for _ in range(200):
        posterior = density * share
        posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), 1e-300)
        share = posterior.mean(axis=0)
    means = d[:, None] * widths**2 / (widths**2 + s[:, None] ** 2)
    result[known] = (posterior * means).sum(axis=1)
    return result
