"""Peaks of open chromatin as examples: read from BED, labelled by the introns under them.

Coordinates are 0-based, half-open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.genome.intervals import covered, overlapping_pairs
from intronaut.labels.genome_checks import ends_outside

if TYPE_CHECKING:
    from intronaut.genome.annotation import Annotation
    from intronaut.genome.reference import Genome


def why_unusable(
    peaks: pd.DataFrame, genome: Genome | None, chroms: dict[str, str] | None
) -> tuple[pd.Series, pd.Series]:
    """Why each peak cannot be labelled (None where it can), and whether it ends beyond its chromosome.

    Args:
        peaks: DataFrame chrom, start, end with the annotation's chromosome names, missing where it has none.
        genome: where chromosomes end; ``chroms`` maps the annotation's names to its own. None: they are not known.
    """
    reason = peaks["chrom"].isna().map({True: "chrom_not_annotated", False: None})
    reason[peaks["chrom"].notna() & peaks.duplicated(["chrom", "start", "end"])] = "duplicate"
    outside = pd.Series(False, peaks.index) if genome is None else ends_outside(peaks, genome, chroms)
    reason[outside & reason.isna()] = "outside_genome"
    return reason, outside


def peak_rows(peaks: pd.DataFrame, introns: pd.DataFrame, labelled: pd.DataFrame) -> pd.DataFrame:
    """The labelled ``peaks`` with gene and covariates of the intron under them that overlaps most, missing without one.

    ``length``, ``rank`` and so on describe that intron; ``dist_tss`` and ``dist_tes`` run from the peak's middle.
    """
    peaks, labelled = peaks.reset_index(drop=True), labelled.reset_index(drop=True)
    under = labelled["introns"].tolist()
    host = introns.reindex([rows[0] if rows else -1 for rows in under]).reset_index(drop=True)
    into = (peaks["start"] + peaks["end"]) // 2 - host["start"]
    minus = host["strand"] == "-"
    left = np.where(minus, host["dist_tes"], host["dist_tss"]) + into
    right = np.where(minus, host["dist_tss"], host["dist_tes"]) + host["length"] - into
    return host.assign(
        chrom=peaks["chrom"], start=peaks["start"], end=peaks["end"], strand=peaks["strand"], name=peaks["name"],
        label=labelled["label"].astype(float), label_reason=labelled["reason"],
        intron_id=_joined_over(under, introns["intron_id"]), gene_id=_joined_over(under, introns["gene_id"]),
        gene_name=_joined_over(under, introns["gene_name"]),
        dist_tss=np.where(minus, right, left), dist_tes=np.where(minus, left, right),
    )  # fmt: skip


def _joined_over(under, column):
    """The distinct words of the column's comma-joined cells under each peak, in order of overlap, joined again."""
    cells = [[] if pd.isna(cell) else cell.split(",") for cell in column]
    return [",".join(dict.fromkeys(word for row in rows for word in cells[row])) or None for rows in under]


def flanking_exons(annotation: Annotation, introns: pd.DataFrame) -> pd.DataFrame:
    """The exons next to the given introns in any transcript: DataFrame chrom, start, end."""
    exons = annotation.exons.join(annotation.transcripts[["chrom", "strand"]], on="transcript")
    before = exons.merge(introns[["chrom", "strand", "start"]].rename(columns={"start": "end"}).drop_duplicates())
    after = exons.merge(introns[["chrom", "strand", "end"]].rename(columns={"end": "start"}).drop_duplicates())
    return pd.concat([before, after])[["chrom", "start", "end"]].drop_duplicates(ignore_index=True)


def touching(peaks: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Whether each peak shares a base with one of ``others``: bool array."""
    touched = np.zeros(len(peaks), bool)
    touched[overlapping_pairs(peaks, others)["left"]] = True
    return touched


def label_peaks(
    peaks: pd.DataFrame, introns: pd.DataFrame, label: np.ndarray, least: float, summit: bool = False
) -> pd.DataFrame:
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


def _ranked(pairs, n_peaks):
    """The introns paired with each peak, a list by falling overlap; an empty one where there is none."""
    pairs = pairs.sort_values(["left", "overlap", "right"], ascending=[True, False, True])
    ends = np.cumsum(np.bincount(pairs["left"], minlength=n_peaks)).tolist()
    rows = pairs["right"].tolist()
    return pd.Series([rows[a:b] for a, b in zip([0, *ends], ends, strict=False)], dtype=object)
