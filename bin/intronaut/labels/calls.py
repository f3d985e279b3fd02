"""From the tables of callers to labels: read, check against the genome, match to introns, classify, agree.

A label is 1.0 (retained), 0.0 (spliced) or NaN; coordinates are 0-based, half-open, on the forward strand.
"""

import fnmatch
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData, Problems, UsageError
from intronaut.genome.chromosomes import resolve_chrom
from intronaut.labels.caller_tables import check_places, numbers, text_table, whole_numbers
from intronaut.labels.callers import FORMATS, IRFINDER_COLUMNS, call_rows, lacking_columns, recognised
from intronaut.labels.pooled import EVIDENCE

CALL_COLUMNS = ("chrom", "start", "end", "strand", "caller", "sample", "value", "can_retain", "can_splice")
CALL_COLUMNS += ("retained", "spliced", "line")
OPTIONAL_COLUMNS = pd.Index(["why", *EVIDENCE])
PLACE_NAMES = {
    "chrom": ("chrom", "chr", "chromosome", "seqname", "seqnames", "seqid"),
    "start": ("start", "chromstart", "left"),
    "end": ("end", "chromend", "stop", "right"),
    "strand": ("strand",),
}
# donor and acceptor dinucleotides of the introns that either spliceosome takes
SPLICE_SITES = frozenset(["GTAG", "GCAG", "ATAC"])
LOOKED_AT = 10_000
SHIFTS = [(0, 0), *((first, last) for first in (-1, 0, 1) for last in (-1, 0, 1) if (first, last) != (0, 0))]


@dataclass
class CallOptions:
    """What the user says of the calls.

    ``format`` is ``auto``, ``generic`` or one of FORMATS. ``base`` (0 or 1), ``values`` (columns; ``*`` names the
    caller) and ``names`` (role → column) describe a generic table. ``retained`` and ``spliced`` replace every caller's
    thresholds; ``limits`` holds others as ``caller.limit`` → number. ``shift`` is added to starts and ends.
    """

    format: str = "auto"
    base: int | None = None
    values: tuple = ()
    names: dict = field(default_factory=dict)
    retained: float | None = None
    spliced: float | None = None
    limits: dict = field(default_factory=dict)
    shift: tuple = (0, 0)


def read_calls(path, options, genes):
    """Read one file of calls.

    Args:
        path: the file.
        options: CallOptions.
        genes: the annotation's genes, for callers that name no chromosome.

    Returns:
        DataFrame with CALL_COLUMNS; rows without a value are left out.

    Raises:
        BadData: a format that is not known, or every line that cannot be.
        UsageError: a generic table without its options.
    """
    table = text_table(path)
    if len(table.columns) == len(IRFINDER_COLUMNS) and "column_1" in table:
        table.columns = IRFINDER_COLUMNS  # its oldest versions write no header
    kind = recognised(table) if options.format == "auto" else options.format
    problems = Problems(path)
    if kind == "generic":
        rows = _generic(path, table, options, problems)
    else:
        if lacking_columns(kind, table):
            raise BadData(f"{path}: not a table of {kind}: it lacks {', '.join(lacking_columns(kind, table))}")
        limits = caller_limits(kind, options)
        rows = FORMATS[kind].read(table, limits, genes, problems)
        for name in ("retained", "spliced"):
            rows[name] = limits[name] if name not in rows else rows[name]
        rows["caller"] = kind.removesuffix("_v1")
    rows["start"], rows["end"] = rows["start"] + options.shift[0], rows["end"] + options.shift[1]
    check_places(rows[rows["chrom"] != "."], problems)
    problems.raise_if_any()
    # the whole path, since IRFinder and rMATS name the files of all samples alike
    rows["sample"] = f"{path}:" + rows["sample"] if "sample" in rows else str(path)
    rows = rows.dropna(subset="value").reset_index(names="line")
    return rows[[*CALL_COLUMNS, *OPTIONAL_COLUMNS.intersection(rows.columns, sort=False)]]


def caller_limits(kind, options):
    """The thresholds of one format, the user's before the defaults."""
    limits = dict(FORMATS[kind].limits)
    limits |= {name: getattr(options, name) for name in ("retained", "spliced") if getattr(options, name) is not None}
    return limits | {name: options.limits[f"{kind}.{name}"] for name in limits if f"{kind}.{name}" in options.limits}


def _generic(path, table, options, problems):
    """A table of no known caller: every value column is a caller; a missing value is no measurement."""
    lacking = [
        f"--calls-{name} ({what})"
        for name, value, what in (
            ("base", options.base, "0 when starts count from 0 as in BED, 1 as in GTF"),
            ("value", options.values or None, "the column with the retention level"),
            ("threshold", options.retained, "the level from which an intron is retained"),
        )
        if value is None
    ]
    if lacking:
        raise UsageError(
            f"{path}: no caller's table that is known ({', '.join(table.columns[:6])} …); for a table of your own give "
            + ", ".join(lacking)
        )
    place = {role: _column(path, table, role, options.names) for role in PLACE_NAMES}
    start = whole_numbers(table[place["start"]], problems) - options.base
    end = whole_numbers(table[place["end"]], problems)
    strand = table[place["strand"]] if place["strand"] else "."
    # without a threshold of its own, whatever is measured and not retained is spliced
    spliced = np.nextafter(options.retained, -np.inf) if options.spliced is None else options.spliced
    found = {caller: name for pattern in options.values for caller, name in _matching(path, table, pattern)}
    return pd.concat(
        call_rows(table[place["chrom"]], start, end, strand, numbers(table[name], problems), True, True).assign(
            caller=caller, retained=options.retained, spliced=spliced
        )
        for caller, name in found.items()
    )


def _column(path, table, role, names):
    asked = names.get(role)
    if asked is not None and asked not in table:
        raise BadData(f"{path}: no column {asked}; it has {', '.join(table.columns)}")
    found = asked or next((name for name in table.columns if name.lower() in PLACE_NAMES[role]), None)
    if found is None and role != "strand":
        raise BadData(f"{path}: no column for {role} among {', '.join(table.columns)}; name it by --calls-columns")
    return found


def _matching(path, table, pattern):
    names = [name for name in table.columns if fnmatch.fnmatchcase(name, pattern)]
    if not names:
        raise BadData(f"{path}: no column {pattern}; it has {', '.join(table.columns)}")
    before, star, after = pattern.partition("*")
    return [(name[len(before) : len(name) - len(after)] if star else name, name) for name in names]


def check_splice_sites(path, calls, genome, least, shift):
    """Refuse calls whose introns do not start and end as introns do, and name the shift of one base that would mend it.

    Up to 10,000 introns spread over the file are looked at, on the chromosomes that the genome has.

    Args:
        path: the file, for the message.
        calls: rows of ``read_calls``.
        genome: a Genome.
        least: the least share of introns that must be GT-AG, GC-AG or AT-AC.
        shift: what their starts and ends have been shifted by; the shift named includes it.

    Raises:
        BadData: the share is lower.
    """
    places = calls[["chrom", "start", "end", "strand"]].drop_duplicates()
    own = {chrom: resolve_chrom(chrom, genome.lengths, genome.aliases) for chrom in places["chrom"].unique()}
    places = places.assign(chrom=places["chrom"].map(own)).dropna(subset="chrom")
    places = places.iloc[:: max(1, -(-len(places) // LOOKED_AT))]
    lengths = places["chrom"].map(genome.lengths)
    places = places[(places["start"] > 0) & (places["end"] < lengths)]
    if places.empty:
        return
    left = [genome.fetch(chrom, at - 1, at + 3) for chrom, at in zip(places["chrom"], places["start"], strict=True)]
    right = [genome.fetch(chrom, at - 3, at + 1) for chrom, at in zip(places["chrom"], places["end"], strict=True)]
    found = list(zip(left, right, places["strand"], strict=True))
    share = {further: sum(_is_intron(*ends, *further) for ends in found) / len(found) for further in SHIFTS}
    what = f"of {len(found):,} introns start and end as introns do (GT-AG, GC-AG or AT-AC)"
    _refuse_shifted(path, share, share[0, 0] < least, lambda best: share[best] >= least, what, shift)


def _is_intron(left, right, strand, first, last):
    ends = left[1 + first : 3 + first] + right[1 + last : 3 + last]
    return (strand != "-" and ends in SPLICE_SITES) or (strand != "+" and reverse_complement(ends) in SPLICE_SITES)


def check_against_annotation(path, calls, introns, chrom_names, shift):
    """Refuse calls that match the annotated introns much better one base further; for want of a genome to look at.

    ``shift`` is that of :func:`check_splice_sites`.

    Raises:
        BadData: a shift of one base finds more than twice as many annotated introns.
    """
    places = calls[["chrom", "start", "end"]].drop_duplicates()
    places = places.assign(chrom=places["chrom"].map(chrom_names)).dropna(subset="chrom")
    known = pd.MultiIndex.from_frame(introns[["chrom", "start", "end"]])
    share = {}
    for first, last in SHIFTS:
        shifted = places.assign(start=places["start"] + first, end=places["end"] + last)
        share[first, last] = pd.MultiIndex.from_frame(shifted).isin(known).mean() if len(places) else 0
    best = max(share.values())
    what = f"of {len(places):,} introns are annotated"
    _refuse_shifted(path, share, best > 2 * share[0, 0], lambda best: True, what, shift)


def _refuse_shifted(path, share, wrong, mends, what, shift):
    if not wrong:
        return
    best = max(SHIFTS, key=share.get)
    advice = "no shift by one base mends it; are the calls of another assembly?"
    if mends(best) and best != (0, 0):
        advice = f"with --shift={shift[0] + best[0]},{shift[1] + best[1]} it would be {share[best]:.1%}"
    raise BadData(f"{path}: only {share[0, 0]:.1%} {what}; {advice}")


def match_calls(calls, introns, chrom_names):
    """Find the annotated intron of every call by its coordinates, and by its strand where the caller tells one.

    Args:
        calls: rows of a caller's reader.
        introns: DataFrame chrom, start, end, strand.
        chrom_names: dict from the calls' chromosome names to those of ``introns``, None where there is none.

    Returns:
        the calls that match, with their ``intron`` (row of introns; a call without a strand may match on both), and
        the ones that do not, one row for each distinct place, with the ``reason``.
    """
    calls = calls.assign(own=calls["chrom"].map(chrom_names), call=np.arange(len(calls)))
    places = introns[["chrom", "start", "end"]].assign(intron=np.arange(len(introns)), other=introns["strand"])
    found = calls.merge(places.rename(columns={"chrom": "own"}), how="left", on=["own", "start", "end"])
    right_strand = (found["strand"] == ".") | (found["strand"] == found["other"])
    matched = found[found["intron"].notna() & right_strand].astype({"intron": "int64"})
    lost = found[~found["call"].isin(matched["call"])].drop_duplicates("call")
    reason = np.where(lost["intron"].notna(), "other_strand", "not_annotated")
    lost = lost.assign(reason=np.where(lost["own"].isna(), "chrom_not_annotated", reason))
    lost.loc[lost["chrom"] == ".", "reason"] = "gene_not_annotated"
    lost = lost.assign(own=lost["own"].fillna(lost["chrom"])).drop_duplicates(["own", "start", "end", "strand"])
    return matched[["intron", *CALL_COLUMNS, *OPTIONAL_COLUMNS.intersection(matched.columns, sort=False)]], lost[
        ["chrom", "start", "end", "strand", "caller", "reason"]
    ]


def classify(calls):
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


def collapse(calls, rule):
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


def consensus(said, n_introns, at_least):
    """One label an intron: retained when ``at_least`` callers say so, spliced when that many do and none says retained.

    With ``at_least`` 1, one caller that calls the intron retained is enough and outvotes any number that do not: most
    callers miss most retained introns (David et al. 2022, Genome Biol 23:240).

    Args:
        said: as from :func:`collapse`.

    Returns:
        label (float64) and reason (object), one value an intron; introns without any call are ``unmeasured``.
    """
    label, reason, intron = (said[name].to_numpy() for name in ("label", "reason", "intron"))
    n_retained = np.bincount(intron, label == 1, minlength=n_introns)
    n_spliced = np.bincount(intron, label == 0, minlength=n_introns)
    result = np.full(n_introns, np.nan)
    result[(n_spliced >= at_least) & (n_retained == 0)] = 0
    result[n_retained >= at_least] = 1
    why = np.full(n_introns, "unmeasured", object)
    for name in ("grey_zone", "low_evidence", "uneven", "body_covered", "samples_disagree"):
        why[intron[reason == name]] = name
    why[(n_retained + n_spliced) > 0] = "callers_disagree"
    why[~np.isnan(result)] = None
    return result, why


def calls_table(said, introns):
    """What every caller says of every intron: the intron's BED columns, caller, value, label, label_reason."""
    about = introns.iloc[said["intron"]].reset_index(drop=True)
    about = about.assign(name=about["intron_id"], score=0).drop(columns=["label", "label_reason"])
    about = about.join(said[["caller", "value", "label", "reason"]].rename(columns={"reason": "label_reason"}))
    bed = ["chrom", "start", "end", "name", "score", "strand"]
    return about.astype({"label": "Int64"})[[*bed, "gene_id", "caller", "value", "label", "label_reason"]]


def evidence_text(calls, n_introns):
    """``caller=value`` of every caller that has a row for the intron, joined by ``;``; None where none has."""
    texts = calls["caller"] + "=" + calls["value"].map("{:.6g}".format)
    return texts.groupby(calls["intron"]).agg(";".join).reindex(range(n_introns)).replace(np.nan, None)


def retention_level(calls, n_introns):
    """The level of retention from 0 to 1: the mean over the callers that measure a ratio; a lone caller's own value.

    A caller measures a ratio when all its values lie from 0 to 1 and it can tell spliced from unmeasured.
    """
    by_caller = calls.groupby("caller")
    ratio = (by_caller["value"].min() >= 0) & (by_caller["value"].max() <= 1) & by_caller["spliced"].first().notna()
    if len(ratio) > 1:
        calls = calls[calls["caller"].map(ratio)]
    return calls.groupby("intron")["value"].mean().reindex(range(n_introns))
