"""Peaks of open chromatin as examples: read from BED, labelled by the introns under them.

Coordinates are 0-based, half-open.
"""

import numpy as np
import pandas as pd

from intronaut.cli import BadData, Problems
from intronaut.intervals import overlapping_pairs
from intronaut.seqio import numbered_lines


def read_peaks(path):
    """Read a BED file (BED3 to BED12, narrowPeak, or a table whose first three columns are BED) into a DataFrame.

    Header lines (``#``, ``track``, ``browser``) and a first line of column names are skipped; order is kept.

    Returns:
        DataFrame: chrom, start, end, name (None where column four is not a name of its own), strand (``.``).

    Raises:
        BadData: lists every line that is no interval; or there is no line.
    """
    problems = Problems(path)
    chroms, starts, ends, names = [], [], [], []
    for number, line in numbered_lines(path):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split("\t")
        if len(fields) < 3:
            problems.add(f"{len(fields)} tab-separated columns; BED has at least 3", number)
        elif not (fields[1].isdecimal() and fields[2].isdecimal()):
            if chroms or problems.count or any(field.isdecimal() for field in fields):
                problems.add(f"start {fields[1]!r} or end {fields[2]!r} is not a whole number from 0", number)
        elif not int(fields[1]) < int(fields[2]) < 2**31:
            problems.add(f"the end {fields[2]} is not after the start {fields[1]}", number)
        elif not fields[0]:
            problems.add("no chromosome", number)
        else:
            chroms.append(fields[0])
            starts.append(int(fields[1]))
            ends.append(int(fields[2]))
            names.append(fields[3] if len(fields) > 3 else None)
    problems.raise_if_any()
    if not chroms:
        raise BadData(f"{path}: no peak in it")
    return pd.DataFrame({"chrom": chroms, "start": starts, "end": ends, "name": _own_names(names), "strand": "."})


def _own_names(names):
    """The names when each is a word of its own and occurs once, else None for all: windows need unique names."""
    usable = len(set(names)) == len(names) and all(name and not any(c.isspace() for c in name) for name in names)
    return names if usable else [None] * len(names)


def peak_rows(peaks, introns, found):
    """The labelled ``peaks`` with gene and covariates of the intron under them that overlaps most.

    ``length``, ``rank`` and so on describe that intron; ``dist_tss`` and ``dist_tes`` run from the peak's middle.
    """
    peaks, found = peaks.reset_index(drop=True), found.reset_index(drop=True)
    host = introns.iloc[[rows[0] for rows in found["introns"]]].reset_index(drop=True)
    into = (peaks["start"] + peaks["end"]) // 2 - host["start"]
    left = np.where(host["strand"] == "-", host["dist_tes"], host["dist_tss"]) + into
    right = np.where(host["strand"] == "-", host["dist_tss"], host["dist_tes"]) + host["end"] - host["start"] - into
    minus = host["strand"] == "-"
    under = found["introns"]
    return host.assign(
        chrom=peaks["chrom"], start=peaks["start"], end=peaks["end"], strand=peaks["strand"], name=peaks["name"],
        label=found["label"].astype(float), label_reason=found["reason"],
        intron_id=_joined_over(under, introns["intron_id"]), gene_id=_joined_over(under, introns["gene_id"]),
        gene_name=_joined_over(under, introns["gene_name"]),
        dist_tss=np.where(minus, right, left), dist_tes=np.where(minus, left, right),
    )  # fmt: skip


def _joined_over(under, column):
    """The distinct words of the column's comma-joined cells under each peak, in order of overlap, joined again."""
    cells = [[] if pd.isna(cell) else cell.split(",") for cell in column]
    return [",".join(dict.fromkeys(word for row in rows for word in cells[row])) or None for rows in under]


def label_peaks(peaks, introns, label, least):
    """Label peaks by the introns under them.

    1 when retained introns cover at least the fraction ``least`` of the peak; 0 when spliced ones do and no retained
    one is touched; NaN when only introns without a label cover it that far.

    Args:
        peaks: DataFrame chrom, start, end with ``introns``' chromosome names.
        introns: DataFrame chrom, start, end; ``label`` is one value an intron.

    Returns:
        DataFrame, one row a peak: label; reason; ledger (reason, where the peak is to be left out); introns (list of
        the introns' rows that decided, the one with the largest overlap first).
    """
    pairs = overlapping_pairs(peaks, introns)
    pairs["label"] = label[pairs["right"]]
    length = (peaks["end"] - peaks["start"]).to_numpy()
    kinds = {1.0: pairs["label"] == 1, 0.0: pairs["label"] == 0, np.nan: pairs["label"].isna()}
    covered = {kind: _covered(pairs[chosen], peaks, introns) for kind, chosen in kinds.items()}
    retained, spliced, unknown = (share / length for share in covered.values())
    result = pd.DataFrame({"label": np.full(len(peaks), np.nan), "reason": None, "ledger": None}, dtype=object)
    result["label"] = np.select([retained >= least, (spliced >= least) & (retained == 0)], [1.0, 0.0], np.nan)
    undecided = result["label"].isna()
    left_out = [
        (retained + spliced + unknown == 0, "outside_introns"),
        ((retained > 0) & (spliced >= least), "touches_retained"),
        (unknown < least, "overlap_below_minimum"),
    ]
    result["ledger"] = np.where(undecided, np.select(*zip(*left_out, strict=True), None), None)
    result["reason"] = np.where(undecided & result["ledger"].isna(), "introns_unlabelled", None)
    decided = result["label"].to_numpy()[pairs["left"]]
    chosen = pairs[(pairs["label"] == decided) | (pairs["label"].isna() & np.isnan(decided))]
    chosen = chosen.sort_values(["left", "overlap", "right"], ascending=[True, False, True])
    result["introns"] = chosen.groupby("left")["right"].agg(list).reindex(range(len(peaks)))
    return result


def _covered(pairs, peaks, introns):
    """Bases of each peak that lie under at least one of its paired introns."""
    start = np.maximum(peaks["start"].to_numpy()[pairs["left"]], introns["start"].to_numpy()[pairs["right"]])
    end = np.minimum(peaks["end"].to_numpy()[pairs["left"]], introns["end"].to_numpy()[pairs["right"]])
    order = np.lexsort((start, pairs["left"]))
    peak, start, end = pairs["left"].to_numpy()[order], start[order], end[order]
    reach = np.maximum.accumulate((peak << 32) + end)
    before = np.concatenate([[0], reach[:-1]])
    fresh = np.maximum((peak << 32) + end - np.maximum((peak << 32) + start, before), 0)
    return np.bincount(peak, fresh, minlength=len(peaks))
