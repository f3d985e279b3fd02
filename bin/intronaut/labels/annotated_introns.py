"""The introns of an annotation and what measuring them asks of it, in little memory; the rest of it is let go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData
from intronaut.core.memory import in_child
from intronaut.genome.annotation import distinct_introns, read_annotation
from intronaut.labels.annotation import why_unusable
from intronaut.labels.intron_bodies import distinct_exons, gene_spans
from intronaut.labels.read_counts import Introns

_COLUMNS = ["chrom", "start", "end", "strand", "gene_id", "length"]


def annotated_introns(path: Path | str, min_length: int) -> tuple[Introns, pd.DataFrame]:
    """The Introns of a GTF or GFF3 file, and a DataFrame of those that are not measured, with ``reason``.

    Raises BadData as ``read_annotation``, and where no intron is left.
    """
    # the lines of a whole annotation take most memory, which goes back to the system with the process that reads them
    annotation = in_child(read_annotation, path)
    exons, spans = _by_chrom(distinct_exons(annotation)), gene_spans(annotation)
    table, genes = distinct_introns(annotation)
    table = table.assign(length=table["end"] - table["start"])[_COLUMNS]
    reason = why_unusable(table, None, min_length)
    ledger = table[reason.notna()].assign(reason=reason.dropna(), source="annotation")
    kept = reason.isna().to_numpy()
    if not kept.any():
        raise BadData(f"{path}: no intron to measure; {len(table)} are annotated")
    place = kept.cumsum() - 1
    genes = genes[kept[genes["intron"]]]
    genes = genes.assign(intron=place[genes["intron"]]).astype(np.int32)
    return Introns(table[kept].reset_index(drop=True), genes, exons, spans), ledger


def _by_chrom(exons):
    small = {"start": np.int32, "end": np.int32, "gene": np.int32}
    by_chrom = exons.groupby("chrom", sort=False)
    return {chrom: rows.drop(columns="chrom").reset_index(drop=True).astype(small) for chrom, rows in by_chrom}
