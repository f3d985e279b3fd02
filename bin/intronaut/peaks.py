"""Peaks of open chromatin as examples: read from BED, labelled by the introns under them.

Coordinates are 0-based, half-open.
"""

import numpy as np
import pandas as pd

from intronaut.cli import BadData, Problems
from intronaut.columns import LARGEST_POSITION, read_lines
from intronaut.intervals import covered, inside_any, overlapping_pairs

_HEADERS = ("#", "track", "browser")


def read_peaks(path, own_names=True):
    """Read a BED file (BED3 to BED12, narrowPeak, or a table whose first three columns are BED) into a DataFrame.

    Header lines (``#``, ``track``, ``browser``) and a first line of column names are skipped; order is kept. With
    ``own_names`` False, column four is kept as it is: several peaks may be of one factor.

    Returns:
        DataFrame: chrom, start, end, name (None where column four is not a name of its own), strand (``.``), summit
        (from narrowPeak's tenth column, else the middle).

    Raises:
        BadData: lists every line that is no interval; or there is no line.
    """
    problems = Problems(path)
    blocks, known = [], False
    for lines in read_lines(path):
        peaks, rows = _sound_peaks(lines)
        others = np.ones(len(lines.start), bool)
        others[rows] = False
        for row in np.flatnonzero(others).tolist():
            line = lines.line(row)
            if line.strip() and not line.startswith(_HEADERS):
                known = known or problems.count > 0 or (len(rows) > 0 and rows[0] < row)
                if fault := _fault(line.split("\t"), known):
                    problems.add(fault, lines.first + row)
        if len(rows):
            blocks.append(peaks)
            known = True
    problems.raise_if_any()
    if not blocks:
        raise BadData(f"{path}: no peak in it")
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if own_names:
        columns["name"] = _own_names(columns["name"].tolist())
    peaks = pd.DataFrame({**columns, "strand": "."})
    return peaks[["chrom", "start", "end", "name", "strand", "summit"]]


def _sound_peaks(lines):
    """A dict of columns of the lines that are peaks, and which rows these are."""
    rows = np.flatnonzero(lines.n_columns >= 3)
    chrom, start, end = (lines.column(number, rows) for number in range(3))
    start, end = start.numbers(), end.numbers()
    sound = (start >= 0) & (start < end) & (end <= LARGEST_POSITION) & ~chrom.is_empty()
    doubtful = np.flatnonzero(sound & np.isin(lines.initial[rows], [ord(word[0]) for word in _HEADERS]))
    sound[doubtful] = [not word.startswith(_HEADERS) for word in chrom[doubtful].words()]
    rows, start, end = rows[sound], start[sound], end[sound]
    name, offset = np.full(len(rows), None, object), np.full(len(rows), -1)
    named, narrow = lines.n_columns[rows] > 3, lines.n_columns[rows] == 10
    name[named] = np.array(lines.column(3, rows[named]).words(), object)
    offset[narrow] = lines.column(9, rows[narrow]).numbers()
    summit = np.where((offset >= 0) & (offset < end - start), start + offset, (start + end) // 2)
    chrom = np.array(chrom[sound].repeated_words(), object)
    return {"chrom": chrom, "start": start, "end": end, "name": name, "summit": summit}, rows


def _fault(columns, known):
    """What keeps a line from being a peak; None for the names of the columns, before any peak is ``known``."""
    if len(columns) < 3:
        return f"{len(columns)} tab-separated columns; BED has at least 3"
    chrom, start, end = columns[:3]
    if not all(text.isascii() and text.isdecimal() for text in (start, end)):
        if not known and not any(text.isdecimal() for text in columns):
            return None
        return f"start {start!r} or end {end!r} is not a whole number from 0"
    if chrom or not int(start) < int(end) <= LARGEST_POSITION:
        return f"the end {end} is not after the start {start}"
    return "no chromosome"


def _own_names(names):
    """The names when each is a word of its own and occurs once, else None for all: windows need unique names."""
    usable = len(set(names)) == len(names) and all(name and not any(c.isspace() for c in name) for name in names)
    return names if usable else [None] * len(names)


def peak_rows(peaks, introns, found):
    """The labelled ``peaks`` with gene and covariates of the intron under them that overlaps most, missing without one.

    ``length``, ``rank`` and so on describe that intron; ``dist_tss`` and ``dist_tes`` run from the peak's middle.
    """
    peaks, found = peaks.reset_index(drop=True), found.reset_index(drop=True)
    under = found["introns"].tolist()
    host = introns.reindex([rows[0] if rows else -1 for rows in under]).reset_index(drop=True)
    into = (peaks["start"] + peaks["end"]) // 2 - host["start"]
    minus = host["strand"] == "-"
    left = np.where(minus, host["dist_tes"], host["dist_tss"]) + into
    right = np.where(minus, host["dist_tss"], host["dist_tes"]) + host["length"] - into
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


def flanking_exons(annotation, introns):
    """The exons next to the given introns in any transcript: DataFrame chrom, start, end."""
    exons = annotation.exons.join(annotation.transcripts[["chrom", "strand"]], on="transcript")
    before = exons.merge(introns[["chrom", "strand", "start"]].rename(columns={"start": "end"}).drop_duplicates())
    after = exons.merge(introns[["chrom", "strand", "end"]].rename(columns={"end": "start"}).drop_duplicates())
    return pd.concat([before, after])[["chrom", "start", "end"]].drop_duplicates(ignore_index=True)


def touching(peaks, others):
    """Whether each peak shares a base with one of ``others``: bool array."""
    touched = np.zeros(len(peaks), bool)
    touched[overlapping_pairs(peaks, others)["left"]] = True
    return touched


def label_peaks(peaks, introns, label, least, summit=False):
    """Label peaks by the introns under them, or with ``summit`` by those under the base at their summit.

    1 when retained introns cover at least the fraction ``least`` of the peak; 0 when spliced ones do and no retained
    one is touched; NaN when only introns without a label cover it that far.

    Args:
        peaks: DataFrame chrom, start, end with ``introns``' chromosome names.
        introns: DataFrame chrom, start, end; ``label`` is one value an intron.

    Returns:
        DataFrame, one row a peak: label; reason; ledger (reason, where the peak is to be left out); introns (list of
        the introns' rows that decided, the one with the largest overlap first).
    """
    if summit:
        peaks = peaks.assign(start=peaks["summit"], end=peaks["summit"] + 1)
    pairs = overlapping_pairs(peaks, introns)
    pairs["label"] = label[pairs["right"]]
    length = (peaks["end"] - peaks["start"]).to_numpy()
    kinds = {1.0: pairs["label"] == 1, 0.0: pairs["label"] == 0, np.nan: pairs["label"].isna()}
    shares = {kind: covered(pairs[chosen], peaks, introns) for kind, chosen in kinds.items()}
    retained, spliced, unknown = (share / length for share in shares.values())
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
    result["introns"] = _ranked(chosen, len(peaks))
    return result


def label_peaks_as_paper(peaks, introns, retained, exons, genes, negatives, seed):
    """Label peaks as Daoud & Ben-Hur 2025 did, faults included; docs/labels.md lists them.

    Only peaks strictly inside a gene count, with the 1-based start of the gene and the 0-based one of the peak compared
    as they are. 1 when a retained intron of any gene and strand is touched, tested as closed intervals in the same
    mixture; peaks that do not but touch one of ``exons`` are left out; of the rest ``negatives`` for every positive are
    drawn at random as 0.

    Args:
        introns, exons, genes: DataFrames chrom, start, end (0-based); ``retained``: bool, one value an intron;
            ``exons``: those next to the retained introns.
        negatives: negatives for each positive; ``seed``: of the draw, which in the paper has none.

    Returns:
        as :func:`label_peaks`.
    """
    codes = pd.factorize(np.concatenate([peaks["chrom"], genes["chrom"]]))[0]
    spans = genes.assign(start=genes["start"] + 1, key=codes[len(peaks) :])
    inside = inside_any(peaks.assign(key=codes[: len(peaks)]), spans)
    # a 0-based start against a 1-based closed end: one base more
    positive = inside & touching(peaks, introns[retained].assign(end=lambda table: table["end"] + 1))
    flanking = inside & ~positive & touching(peaks, exons.assign(end=exons["end"] + 1))
    pool = np.flatnonzero(inside & ~positive & ~flanking)
    wanted = min(len(pool), round(negatives * positive.sum()))
    drawn = np.random.default_rng(seed).choice(pool, wanted, replace=False)
    result = pd.DataFrame({"label": np.where(positive, 1.0, np.nan), "reason": None}, index=range(len(peaks)))
    result.loc[drawn, "label"] = 0.0
    reasons = [(~inside, "outside_genes"), (flanking, "on_flanking_exon"), (result["label"].isna(), "not_drawn")]
    result["ledger"] = np.select(*zip(*reasons, strict=True), None)
    result["introns"] = _ranked(overlapping_pairs(peaks, introns), len(peaks))
    return result


def _ranked(pairs, n_peaks):
    """The introns paired with each peak, a list by falling overlap; an empty one where there is none."""
    pairs = pairs.sort_values(["left", "overlap", "right"], ascending=[True, False, True])
    ends = np.cumsum(np.bincount(pairs["left"], minlength=n_peaks)).tolist()
    rows = pairs["right"].tolist()
    return pd.Series([rows[a:b] for a, b in zip([0, *ends], ends, strict=False)], dtype=object)
