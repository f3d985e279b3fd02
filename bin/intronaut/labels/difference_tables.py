"""Differences between conditions as rMATS, SUPPA2 and MAJIQ write them, in the form of ``differences.tsv``.

Rows have chrom, start, end, strand (0-based, half-open), comparison (``level_vs_reference``), reference, level, delta
(level - reference), p, fdr; what a program does not say is NaN.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.labels.caller_tables import check_places, column_of, numbers, text_table
from intronaut.labels.callers import recognised, with_caller_names
from intronaut.labels.event_callers import last_item, majiq_rows, rmats_place, suppa_events
from intronaut.labels.rows import events_of

COLUMNS = ("chrom", "start", "end", "strand", "comparison", "reference", "level", "delta", "p", "fdr")


def read_differences(path: Path | str, genes: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Read one table of differences: its rows (see the module), and the program's name.

    Args:
        path: rMATS ``RI.MATS``, SUPPA2 ``.dpsi``, MAJIQ/voila 2 deltapsi tsv.
        genes: the annotation's genes, for MAJIQ tables that name no chromosome.

    Raises:
        BadData: another table, or every line that cannot be right.
    """
    table = with_caller_names(text_table(path))
    kind, problems = recognised(table), Problems(path)
    if kind not in READERS:
        raise BadData(f"{path}: no table of differences of {', '.join(READERS)}; it looks like one of {kind}")
    rows = READERS[kind](table, genes, problems)
    check_places(rows[rows["chrom"] != "."], problems)
    problems.raise_if_any()
    return rows.dropna(subset="delta")[list(COLUMNS)].reset_index(drop=True), kind.removesuffix("_dpsi")


def _rmats(table, genes, problems):
    """IncLevelDifference is the mean of group 1 less that of group 2, which is the reference here."""
    start = rmats_place(table, problems)
    rows = pd.DataFrame(dict(zip(("chrom", "start", "end", "strand"), start, strict=True)))
    for name, group in (("level", "1"), ("reference", "2")):
        levels = table[f"IncLevel{group}"].str.split(",", expand=True)
        rows[name] = levels.apply(pd.to_numeric, errors="coerce").mean(axis=1)
    rows["delta"] = numbers(table["IncLevelDifference"], problems)
    return rows.assign(comparison="1_vs_2", p=numbers(table["PValue"], problems), fdr=numbers(table["FDR"], problems))


def _suppa(table, genes, problems):
    """``A-B_dPSI`` is the level of B less that of A; its p is that of the program, adjusted or not as it was run."""
    events, place = suppa_events(table["row"], problems)
    parts = []
    for name in [name for name in table if name.endswith("_dPSI")]:
        pair = name.removesuffix("_dPSI")
        first, _, second = pair.partition("-")
        p = numbers(events_of(table[column_of(table, problems, f"{pair}_p-val", f"{pair}_p.val")], events), problems)
        rows = pd.DataFrame(dict(zip(("chrom", "start", "end", "strand"), place, strict=True)))
        delta = numbers(events_of(table[name], events), problems)
        parts.append(rows.assign(delta=delta, p=p, comparison=f"{second}_vs_{first}", reference=np.nan, level=np.nan))
    rows = pd.concat(parts)
    return rows.assign(fdr=np.nan)


def _majiq(table, genes, problems):
    """The sign is that of the two columns of mean psi; fdr is one less the probability of a change."""
    rows = majiq_rows(table, "ir_coords", "mean_dpsi_per_lsv_junction", 1, 0, genes, problems)
    rows = rows.rename(columns={"value": "delta"})
    names = [name.removesuffix("_mean_psi") for name in table if name.endswith("_mean_psi")]
    if len(names) != 2:
        raise BadData(f"{problems.where}: {len(names)} columns of mean psi (…_mean_psi); a comparison has two")
    means = [last_item(table.loc[rows.index, f"{name}_mean_psi"], problems).to_numpy() for name in names]
    agrees = np.nansum(np.sign(means[1] - means[0]) * np.sign(rows["delta"].to_numpy()))
    first, second = (0, 1) if agrees >= 0 else (1, 0)
    changing = last_item(table.loc[rows.index, "probability_changing"], problems).to_numpy()
    comparison = f"{names[second]}_vs_{names[first]}"
    return rows.assign(comparison=comparison, reference=means[first], level=means[second], p=np.nan, fdr=1 - changing)


READERS = {"rmats": _rmats, "suppa_dpsi": _suppa, "majiq_dpsi": _majiq}
