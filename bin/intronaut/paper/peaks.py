"""Labels of peaks as the study of 2025 made them."""

import numpy as np
import pandas as pd

from intronaut.genome.intervals import inside_any, overlapping_pairs
from intronaut.labels.peaks import _ranked, touching


def label_peaks_as_paper(
    peaks: pd.DataFrame,
    introns: pd.DataFrame,
    retained: np.ndarray,
    exons: pd.DataFrame,
    genes: pd.DataFrame,
    negatives: float,
    seed: int,
) -> pd.DataFrame:
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
