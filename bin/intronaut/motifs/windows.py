"""Labelled windows in which motifs are looked for, and where they lie in the genome and around the splice sites."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.dna import OTHER, base_codes
from intronaut.core.errors import BadData, UsageError
from intronaut.io.fasta import Window, read_windows
from intronaut.io.tables import read_labels

GC = "gc"
LANDMARKS = ("donor", "acceptor", "centre")


@dataclass
class Study:
    """Windows that have a label and all covariates, in the order of the FASTA.

    ``windows`` (Window), ``codes`` (uint8 base codes of each), ``rows`` (their lines of labels.tsv), ``label`` ``(n,)``
    float64, ``covariates`` (DataFrame of float64; the last are ``of_the_user``), ``left_out`` (reason → count).
    """

    windows: list
    codes: list
    rows: pd.DataFrame
    label: np.ndarray
    covariates: pd.DataFrame
    left_out: dict
    of_the_user: tuple = ()


def read_study(fasta: Path, labels: Path | str, names: list[str], more: Callable | None = None) -> Study:
    """Read windows and labels; ``names`` are the covariates: ``gc`` is the window's own, others are columns of labels.

    ``more`` gives further covariates of the labels table, a DataFrame of float64 without missing values.

    Raises UsageError for a covariate that is no column, BadData when only one class is left.
    """
    table = read_labels(labels).set_index("name", drop=False)
    unknown = [name for name in names if name != GC and name not in table]
    if unknown:
        raise UsageError(f"--adjust: {labels} has no column {', '.join(unknown)}")
    of_the_user = pd.DataFrame(index=table.index) if more is None else more(table)
    windows = list(read_windows(fasta))
    row = table.index.get_indexer([window.name for window in windows])
    codes = [base_codes(window.sequence) for window in windows]
    rows = table.iloc[row]
    numbers = {name: pd.to_numeric(rows[name], errors="coerce").to_numpy(float) for name in names if name != GC}
    covariates = pd.DataFrame(
        {name: [gc_content(one) for one in codes] if name == GC else numbers[name] for name in names},
        index=range(len(windows)),
    )
    covariates = covariates.join(of_the_user.iloc[row].reset_index(drop=True))
    unlabelled, incomplete = rows["label"].isna().to_numpy(), covariates.isna().any(axis=1).to_numpy()
    reason = np.select([row < 0, unlabelled, incomplete], ["not_in_labels", "no_label", "no_covariate"], "")
    left_out = {name: int((reason == name).sum()) for name in ("not_in_labels", "no_label", "no_covariate")}
    left_out["no_window"] = len(table) - len(set(row[row >= 0]))
    kept = np.flatnonzero(reason == "")
    label = rows["label"].to_numpy()[kept]
    if len(set(label)) < 2:
        counts = f"{int((label == 1).sum())} retained and {int((label == 0).sum())} spliced"
        raise BadData(f"{fasta}: {counts} windows with label and covariates in {labels}; both kinds are needed")
    covariates = covariates.iloc[kept].reset_index(drop=True)
    return Study(
        [windows[k] for k in kept], [codes[k] for k in kept], rows.iloc[kept], label, covariates, left_out,
        tuple(of_the_user),
    )  # fmt: skip


def gc_content(codes: np.ndarray) -> float:
    """The share of G and C among the known bases of base codes; NaN without any."""
    counts = np.bincount(codes, minlength=OTHER)[:OTHER]
    return (counts[1] + counts[2]) / counts.sum() if counts.any() else np.nan


def on_genome(window: Window, start: int, end: int, minus: bool) -> tuple[str, int, int, str]:
    """``(chrom, start, end, strand)`` of a stretch of a window; in the window itself when its header has no place."""
    if window.chrom is None:
        return window.name, start, end, "-" if minus else "+"
    if window.strand == "-":
        return window.chrom, window.end - end, window.end - start, "+" if minus else "-"
    return window.chrom, window.start + start, window.start + end, "-" if minus else "+"


def landmarks(study: Study) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Where the first base of each intron (donor), its last (acceptor) and the window's middle (centre) lie.

    Returns:
        ``(places, direction)``: places is a dict from the name to ``(n,)`` float64 in the window, NaN outside of it;
        direction ``(n,)`` is 1 where the window reads as the intron is transcribed, else -1.
    """
    n = len(study.windows)
    places, direction = {name: np.full(n, np.nan) for name in LANDMARKS}, np.ones(n)
    columns = (study.rows[name] for name in ("start", "end", "strand", "unit"))
    for k, (window, start, end, strand, unit) in enumerate(zip(study.windows, *columns, strict=True)):
        places["centre"][k] = (len(window.sequence) - 1) / 2
        if window.chrom is None or unit != "intron" or strand not in ("+", "-"):
            continue
        read_minus = window.strand == "-"
        direction[k] = 1 if read_minus == (strand == "-") else -1
        first, last = (start, end - 1) if strand == "+" else (end - 1, start)
        for name, base in (("donor", first), ("acceptor", last)):
            place = window.end - 1 - base if read_minus else base - window.start
            if 0 <= place < len(window.sequence):
                places[name][k] = place
    return places, direction
