"""From the tables of callers to labels: read, match to introns, classify, agree.

A label is 1.0 (retained), 0.0 (spliced) or NaN; coordinates are 0-based, half-open, on the forward strand.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.labels.caller_tables import check_places, text_table
from intronaut.labels.callers import FORMATS, lacking_columns, recognised, with_caller_names
from intronaut.labels.generic_calls import read_generic
from intronaut.labels.intron_callers import IRFINDER_COLUMNS
from intronaut.labels.pooled import EVIDENCE

if TYPE_CHECKING:
    from intronaut.labels.call_options import CallOptions

CALL_COLUMNS = (
    "chrom", "start", "end", "strand", "caller", "sample", "value", "can_retain", "can_splice", "retained", "spliced",
    "line",
)  # fmt: skip
# why a caller's value gives no label; where callers differ, the last of these counts
REASONS_OF_CALLERS = ("grey_zone", "low_evidence", "flagged", "uneven", "body_covered", "less_retained",
                      "samples_disagree")  # fmt: skip
# columns that say whose a row is, in tables of several samples under each other
SAMPLE_NAMES = ("sample", "sample_id", "sampleid", "sample_name", "samplename")
# how far beyond 0 or 1 the sums of a caller may put a level
ROUNDING = 1e-6
OPTIONAL_COLUMNS = pd.Index(["why", "flags", "delta_low", "delta_high", *EVIDENCE])


def read_calls(path: Path | str, options: CallOptions, genes: pd.DataFrame) -> pd.DataFrame:
    """Read one file of calls.

    Args:
        path: the file.
        options: a call_options.CallOptions.
        genes: the annotation's genes, for callers that name no chromosome.

    Returns:
        DataFrame with CALL_COLUMNS; rows without a value are left out.

    Raises:
        BadData: a format that is not known, or every line that cannot be.
        UsageError: a generic table without its options.
    """
    table, kind = _table_and_format(path, options)
    problems = Problems(path)
    if kind == "generic":
        rows = read_generic(path, table, options, problems)
    else:
        rows = _read_known(path, kind, table, options, genes, problems)
    rows["start"], rows["end"] = rows["start"] + options.shift[0], rows["end"] + options.shift[1]
    check_places(rows[rows["chrom"] != "."], problems)
    problems.raise_if_any()
    if "sample" not in rows and (column := next((name for name in table if name.lower() in SAMPLE_NAMES), None)):
        rows["sample"] = table[column].fillna("").reindex(rows.index)
    if kind == "generic" or FORMATS[kind].rows_are_introns:
        _refuse_unnamed_samples(path, rows)
    # the whole path, since IRFinder and rMATS name the files of all samples by one name
    rows["sample"] = f"{path}:" + rows["sample"] if "sample" in rows else str(path)
    rows = rows.dropna(subset="value").reset_index(names="line")
    if rows.empty:
        raise BadData(f"{path}: no retention level in any of {len(table):,} rows (read as {kind}); is the table whole?")
    return rows[[*CALL_COLUMNS, *OPTIONAL_COLUMNS.intersection(rows.columns, sort=False)]]


def check_columns(path: Path | str, options: CallOptions) -> None:
    """Raise what :func:`read_calls` would of the columns of a file, for which no genes are needed."""
    table, kind = _table_and_format(path, options)
    if kind == "generic":
        problems = Problems(path)
        read_generic(path, table, options, problems)
        problems.raise_if_any()
    else:
        _refuse_lacking(path, kind, table, options)


def _table_and_format(path, options):
    table = text_table(path)
    if len(table.columns) == len(IRFINDER_COLUMNS) and "column_1" in table:
        table.columns = IRFINDER_COLUMNS  # its oldest versions write no header
    table = with_caller_names(table)
    return table, recognised(table) if options.format == "auto" else options.format


def _refuse_lacking(path, kind, table, options):
    if lacking := lacking_columns(kind, table):
        # what a caller's table is recognised by is there, unless the user has named the format
        what = "not a table" if options.format != "auto" else "looks like a table"
        raise BadData(f"{path}: {what} of {kind}: it lacks {', '.join(lacking)}")


def _read_known(path, kind, table, options, genes, problems):
    """The rows of a table of the format ``kind``, with caller and thresholds."""
    _refuse_lacking(path, kind, table, options)
    limits = caller_limits(kind, options)
    rows = FORMATS[kind].read(table, limits, genes, problems)
    threshold = 0 if options.retained is None else options.retained
    if FORMATS[kind].limits["retained"] <= 1 < threshold and rows["value"].max() <= 1:
        raise BadData(f"{path}: {kind} has values from 0 to 1, but a threshold of {threshold:g}; give a part of 1")
    for name in ("retained", "spliced"):
        rows[name] = limits[name] if name not in rows else rows[name]
    rows["value"] = _whole_ratios(kind, rows, problems)
    return rows.assign(caller=kind.removesuffix("_v1").removesuffix("_v3"))


def _refuse_unnamed_samples(path, rows):
    """Raise BadData where most introns have several values in one sample: several tables under each other."""
    keys = ["chrom", "start", "end", "strand", "caller", *(["sample"] if "sample" in rows else [])]
    several = rows.groupby(keys)["value"].nunique() > 1
    if several.mean() > 0.5:
        raise BadData(
            f"{path}: {several.sum():,} of {len(several):,} introns have several rows with different values; where "
            "these are of several samples, name the column that says of which `sample`, else keep one row"
        )


def _whole_ratios(kind, rows, problems):
    """The values; where they are levels, low ones for spliced, those that rounding puts beyond 0 or 1 become that."""
    defaults = FORMATS[kind].limits
    level, is_ratio = rows["value"], rows["spliced"].notna() & (defaults["spliced"] < defaults["retained"])
    for line, value in level[is_ratio & ((level < -ROUNDING) | (level > 1 + ROUNDING))].items():
        problems.add(f"a level of {value:g}; levels of retention lie from 0 to 1, or are NA", line)
    return level.mask(is_ratio, level.clip(0, 1))


def caller_limits(kind: str, options: CallOptions) -> dict[str, float]:
    """The thresholds of one format, the user's before the defaults."""
    limits = dict(FORMATS[kind].limits)
    limits |= {name: getattr(options, name) for name in ("retained", "spliced") if getattr(options, name) is not None}
    return limits | {name: options.limits[f"{kind}.{name}"] for name in limits if f"{kind}.{name}" in options.limits}


def match_calls(
    calls: pd.DataFrame, introns: pd.DataFrame, chrom_names: dict[str, str | None], doubtful: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the annotated intron of every call by its coordinates, and by its strand where the caller tells one.

    Args:
        calls: rows of a caller's reader.
        introns: DataFrame chrom, start, end, strand.
        chrom_names: dict from the calls' chromosome names to those of ``introns``, None where there is none.
        doubtful: gaps that may be no introns, as ``introns``; they stand in the ledger already.

    Returns:
        the calls that match, with their ``intron`` (row of introns; a call without a strand may match on both), and
        the ones that do not, one row for each distinct place, with the ``reason``.
    """
    calls = calls.assign(own=calls["chrom"].map(chrom_names), call=np.arange(len(calls)))
    places = introns[["chrom", "start", "end"]].assign(intron=np.arange(len(introns)), other=introns["strand"])
    joined = calls.merge(places.rename(columns={"chrom": "own"}), how="left", on=["own", "start", "end"])
    right_strand = (joined["strand"] == ".") | (joined["strand"] == joined["other"])
    matched = joined[joined["intron"].notna() & right_strand].astype({"intron": "int64"})
    lost = joined[~joined["call"].isin(matched["call"])].drop_duplicates("call")
    reason = np.where(lost["intron"].notna(), "other_strand", "not_annotated")
    lost = lost.assign(reason=np.where(lost["own"].isna(), "chrom_not_annotated", reason))
    lost.loc[lost["chrom"] == ".", "reason"] = "gene_not_annotated"
    lost = lost.assign(own=lost["own"].fillna(lost["chrom"])).drop_duplicates(["own", "start", "end", "strand"])
    if doubtful is not None:
        known = {
            (row.chrom, row.start, row.end, strand) for row in doubtful.itertuples() for strand in (row.strand, ".")
        }
        places = zip(lost["own"], lost["start"], lost["end"], lost["strand"], strict=True)
        lost = lost[np.array([place not in known for place in places], bool)]
    columns = [*CALL_COLUMNS, *OPTIONAL_COLUMNS.intersection(matched.columns, sort=False)]
    return matched[["intron", *columns]], lost[["chrom", "start", "end", "strand", "caller", "reason"]]


def classify(calls: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Label (float64) and reason of every call: 1 from its threshold ``retained`` up, 0 from ``spliced`` down.

    Either needs its evidence, ``can_retain`` or ``can_splice``; the reason is None where there is a label.
    """
    high, low = calls["value"] >= calls["retained"], calls["value"] <= calls["spliced"]
    label = np.select([high & calls["can_retain"], low & calls["can_splice"]], [1.0, 0.0], np.nan)
    reason = np.where(high | low, "low_evidence", "grey_zone").astype(object)
    if "why" in calls:
        reason = np.where(calls["why"].isna(), reason, calls["why"])
    reason[~np.isnan(label)] = None
    return label, reason


def collapse(calls: pd.DataFrame, rule: str) -> pd.DataFrame:
    """One row for each intron of each caller from its samples.

    Args:
        calls: matched calls. A caller that lists an intron twice in a sample (MAJIQ by its two events) counts once,
            with the larger value.
        rule: ``any``: retained when a sample is, else spliced when a sample is. A fraction: retained when at least
            that part of the labelled samples is, spliced when none is retained. ``mean``: the mean value over the
            samples with evidence is classified as a sample would be.

    Returns:
        DataFrame: intron, caller, value (the largest for ``any``, else the mean), label, reason, retained, spliced.
    """
    keys = ["intron", "caller"]
    calls = calls.sort_values([*keys, "sample", "value"]).drop_duplicates([*keys, "sample"], keep="last")
    if rule == "mean":
        seen = calls["can_retain"] | calls["can_splice"]
        calls = calls[seen | ~seen.groupby([calls[key] for key in keys]).transform("any")]
    calls["label"], calls["reason"] = classify(calls)
    calls["is_retained"], calls["is_spliced"] = calls["label"] == 1, calls["label"] == 0
    by = calls.groupby(keys, sort=True)
    merged = by.agg(
        value=("value", "max" if rule == "any" else "mean"), reason=("reason", "first"),
        retained=("retained", "first"), spliced=("spliced", "first"),
        can_retain=("can_retain", "any"), can_splice=("can_splice", "any"),
        n_retained=("is_retained", "sum"), n_spliced=("is_spliced", "sum"),
    ).reset_index()  # fmt: skip
    if rule == "mean":
        if "why" in calls:  # the caller's own reason stands for one sample, not for a mean
            merged["why"] = by["why"].first().where(by.size() == 1, None).to_numpy()
        merged["label"], merged["reason"] = classify(merged)
        return merged
    n_retained, n_spliced = merged["n_retained"], merged["n_spliced"]
    with np.errstate(invalid="ignore"):
        enough = n_retained >= 1 if rule == "any" else n_retained / (n_retained + n_spliced) >= rule
    merged["label"] = np.select([enough, (n_retained == 0) & (n_spliced > 0)], [1.0, 0.0], np.nan)
    merged.loc[n_retained + n_spliced > 0, "reason"] = "samples_disagree"
    merged.loc[merged["label"].notna(), "reason"] = None
    return merged


def consensus(calls: pd.DataFrame, n_introns: int, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """One label an intron: retained when ``at_least`` callers say so, spliced when that many do and none says retained.

    With ``at_least`` 1, one caller that calls the intron retained is enough and outvotes any number that do not: most
    callers miss most retained introns (David et al. 2022, Genome Biol 23:240).

    Args:
        calls: as from :func:`collapse`.

    Returns:
        label (float64) and reason (object), one value an intron; introns without any call are ``unmeasured``.
    """
    label, reason, intron = (calls[name].to_numpy() for name in ("label", "reason", "intron"))
    n_retained = np.bincount(intron, label == 1, minlength=n_introns)
    n_spliced = np.bincount(intron, label == 0, minlength=n_introns)
    result = np.full(n_introns, np.nan)
    result[(n_spliced >= at_least) & (n_retained == 0)] = 0
    result[n_retained >= at_least] = 1
    why = np.full(n_introns, "unmeasured", object)
    for name in REASONS_OF_CALLERS:
        why[intron[reason == name]] = name
    why[(n_retained + n_spliced) > 0] = "callers_disagree"
    why[~np.isnan(result)] = None
    return result, why


def calls_table(calls: pd.DataFrame, introns: pd.DataFrame) -> pd.DataFrame:
    """What every caller says of every intron: the intron's BED columns, caller, value, label, label_reason."""
    about = introns.iloc[calls["intron"]].reset_index(drop=True)
    about = about.assign(name=about["intron_id"], score=0).drop(columns=["label", "label_reason"])
    about = about.join(calls[["caller", "value", "label", "reason"]].rename(columns={"reason": "label_reason"}))
    bed = ["chrom", "start", "end", "name", "score", "strand"]
    return about.astype({"label": "Int64"})[[*bed, "gene_id", "caller", "value", "label", "label_reason"]]


def count_by_caller(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """For every caller of a :func:`calls_table`: how many introns it lists, and calls retained and spliced."""
    return {
        name: {"introns": len(rows), "1": int((rows["label"] == 1).sum()), "0": int((rows["label"] == 0).sum())}
        for name, rows in table.groupby("caller")
    }


def evidence_text(calls: pd.DataFrame, n_introns: int) -> pd.Series:
    """``caller=value`` of every caller that has a row for the intron, joined by ``;``; None where none has."""
    texts = calls["caller"] + "=" + calls["value"].map("{:.6g}".format)
    return texts.groupby(calls["intron"]).agg(";".join).reindex(range(n_introns)).replace(np.nan, None)


def retention_level(calls: pd.DataFrame, n_introns: int) -> pd.Series:
    """The level of retention from 0 to 1: the mean over the callers that measure a ratio; a lone caller's own value.

    A caller measures a ratio when all its values lie from 0 to 1 and it has thresholds for retained and for spliced.
    """
    by_caller = calls.groupby("caller")
    ratio = (by_caller["value"].min() >= 0) & (by_caller["value"].max() <= 1)
    ratio &= by_caller["spliced"].first().notna() & by_caller["retained"].first().notna()
    if len(ratio) > 1:
        calls = calls[calls["caller"].map(ratio)]
    return calls.groupby("intron")["value"].mean().reindex(range(n_introns))
