"""Several samples measured by quantify_introns as one: their counts summed, the call made again, and the level to fit.

Each row is one intron of one sample, with the columns EVIDENCE beside those of any caller's row.
"""

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.io.sample_sheet import check_condition, read_conditions
from intronaut.labels.caller_tables import numbers
from intronaut.labels.retention import COUNTS, LIMITS, add_levels, balance, decide

CALLER = "intronaut"
# what a row keeps of the table of quantify_introns; the counts of its psi are n_retained and n_spliced
NUMBERS = ("n_retained", "n_spliced", *COUNTS, "depth", "coverage", "measured")
EVIDENCE = (*NUMBERS, "method", "ends")
# overdispersion where one sample cannot show any: the weight of an intron is then at most 50 a sample
USUAL_RHO, LEAST_RHO, MOST_RHO = 0.02, 0.001, 0.5
# introns that show it: enough fragments in each sample, a level that can go either way
FEWEST, LOW, HIGH = 20, 0.05, 0.95
POOLED = "pooled"


def measured_rows(table: pd.DataFrame, limits: dict[str, float], problems: Problems) -> pd.DataFrame:
    """The rows of a caller, as ``callers`` describes them, from a table of quantify_introns: value = psi.

    ``why`` is the reason for no label where the evidence does not suffice.
    """
    columns = {name.removeprefix("n_"): name for name in NUMBERS}
    rows = pd.DataFrame({name: numbers(table[column], problems) for column, name in columns.items()})
    for name in ("psi", "psi_low", "psi_high", "n", "ir_ratio", "balance"):
        rows[name] = numbers(table[name], problems)
    rows = rows.assign(method=table["method"], ends=table["ends"])
    return rows.assign(**_evidence(rows, limits), value=rows["psi"], sample=table["sample"])


def _evidence(rows, limits):
    """can_retain, can_splice and why: what :func:`retention.decide` says of rows with levels."""
    # "spliced" is a threshold in a caller's row, and a count in a table of quantify_introns
    counts = rows.drop(columns="spliced", errors="ignore").rename(columns={"n_spliced": "spliced"})
    call, reason = decide(counts, limits)
    return {"can_retain": call == 1, "can_splice": call == 0, "why": reason}


def of_condition(calls: pd.DataFrame, sheet: str, condition: str) -> pd.DataFrame:
    """The calls of the samples of one condition of a sheet; other callers' calls stay.

    Raises:
        UsageError: the sheet has several conditions and none is chosen, or not this one.
        BadData: a sample is not in the sheet.
    """
    conditions = read_conditions(sheet)
    measured = (calls["caller"] == CALLER).to_numpy()
    samples = calls["sample"].str.rpartition(":")[2]
    unknown = sorted(set(samples[measured]) - set(conditions))
    if unknown:
        raise BadData(f"{sheet}: no sample {', '.join(unknown[:8])}; it has {', '.join(list(conditions)[:8])}")
    check_condition(sheet, {conditions[name] for name in samples[measured]} - {None}, condition)
    chosen = samples.map(conditions) == condition if condition is not None else True
    return calls[~measured | chosen]


def pool(calls: pd.DataFrame, limits: dict[str, float] = LIMITS) -> pd.DataFrame:
    """The calls with the samples of each intron that quantify_introns measured summed into one, sample ``pooled``.

    Depths are summed too (the trimmed mean of a sum is about the sum of the trimmed means); the covered share is the
    largest of any sample, so that it is never overstated.
    """
    measured = calls["caller"] == CALLER
    if not measured.any():
        return calls
    keys = ["intron", "caller", "chrom", "start", "end", "strand"]
    summed = ["n_retained", "n_spliced", *COUNTS, "depth"]
    by = calls[measured].groupby(keys, sort=True, dropna=False)
    rows = by[summed].sum(min_count=1)
    rows = rows.join(by[["coverage", "measured"]].max()).join(
        by[["method", "ends", "retained", "spliced", "line"]].first()
    )
    rows = rows.reset_index()
    with np.errstate(invalid="ignore"):
        levels = rows[["n_retained", "n_spliced"]].rename(columns=lambda name: name.removeprefix("n_"))
        add_levels(levels)
        most = np.maximum(rows["sj_left"], rows["sj_right"])
        rows["ir_ratio"] = rows["depth"] / (rows["depth"] + most)
    rows = rows.assign(**{name: levels[name] for name in ("n", "psi", "psi_low", "psi_high")})
    rows["balance"] = _balance(rows)
    rows = rows.assign(**_evidence(rows, limits), value=rows["psi"], sample=POOLED)
    return pd.concat([calls[~measured], rows[[name for name in calls if name in rows]]], ignore_index=True)


def _balance(rows):
    left, right = rows["ends"].isin(["both", "left"]), rows["ends"].isin(["both", "right"])
    body = rows["measured"] >= 40
    levels = [rows["ei_left"].where(left), rows["ei_right"].where(right), rows["depth"].where(body)]
    return balance([level.to_numpy(float) for level in levels])


def level_columns(calls: pd.DataFrame, n_introns: int) -> tuple[dict[str, np.ndarray], float]:
    """psi, psi_n and psi_weight of every intron, to fit levels to, and the overdispersion ρ that the weights know.

    psi is that of the summed counts, psi_n their number; the weight of a sample is n / (1 + (n - 1) ρ), that of a
    fragment count whose variance is p (1 - p) (1 + (n - 1) ρ) / n. Introns with psi_n below 10 have no psi.

    Args:
        calls: matched calls of the samples of one condition, before :func:`pool`.

    Returns:
        dict of float64 arrays, and ρ.
    """
    measured = calls[calls["caller"] == CALLER].drop_duplicates(["intron", "sample"])
    measured = measured.assign(n=measured["n_retained"] + measured["n_spliced"])
    rho = overdispersion(measured)
    measured = measured.assign(weight=measured["n"] / (1 + np.maximum(measured["n"] - 1, 0) * rho))
    sums = measured.groupby("intron")[["n_retained", "n", "weight"]].sum(min_count=1).reindex(range(n_introns))
    enough = (sums["n"] >= LIMITS["n"]).to_numpy()
    psi = np.where(enough, sums["n_retained"] / sums["n"].where(sums["n"] > 0), np.nan)
    weight = np.where(enough, sums["weight"], np.nan)
    return {"psi": psi, "psi_n": sums["n"].to_numpy(), "psi_weight": weight}, rho


def overdispersion(rows: pd.DataFrame) -> float:
    """ρ by moments from replicates: rows with intron, n_retained, n; USUAL_RHO where no intron has two samples.

    Over introns with at least 20 fragments in each of m samples, Σ n_j (p_j - p)² / (p (1 - p)) has the expectation
    m - 1 + ρ (N - Σ n_j² / N - m + 1).
    """
    rows = rows[rows["n"] >= FEWEST]
    by = rows.assign(square=rows["n"] ** 2).groupby("intron")
    sums = by.agg(n=("n", "sum"), retained=("n_retained", "sum"), square=("square", "sum"), m=("n", "size"))
    psi = sums["retained"] / sums["n"]
    sums = sums[(sums["m"] > 1) & (psi > LOW) & (psi < HIGH)]
    if sums.empty:
        return USUAL_RHO
    shown = rows[rows["intron"].isin(sums.index)]
    psi = (sums["retained"] / sums["n"]).loc[shown["intron"]].to_numpy()
    spread = shown["n"] * (shown["n_retained"] / shown["n"] - psi) ** 2 / (psi * (1 - psi))
    within = sums["m"] - 1
    rho = (spread.sum() - within.sum()) / (sums["n"] - sums["square"] / sums["n"] - within).sum()
    return float(np.clip(rho, LEAST_RHO, MOST_RHO))
