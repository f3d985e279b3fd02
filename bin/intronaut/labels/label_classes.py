"""Whether an annotation or calls can give introns of both labels, known before anything is labelled."""

from __future__ import annotations

from collections.abc import Collection, Set
from pathlib import Path

import pandas as pd

from intronaut.core.errors import BadData
from intronaut.genome.annotation import Annotation
from intronaut.labels.annotation import label_by_annotation
from intronaut.labels.pooled import CALLER

CLASSES = ("retained", "spliced")


def of_annotation(
    path: Path | str, annotation: Annotation, introns: pd.DataFrame, genes: pd.DataFrame, rule: str
) -> None:
    """Raise BadData where the rule labels no intron of an annotation retained, or none spliced.

    Args:
        path: the annotation, for the message.
        introns, genes: as from ``annotation.distinct_introns``.
    """
    label, _ = label_by_annotation(annotation, introns, genes, rule)
    lacking = [name for name, value in zip(CLASSES, (1, 0), strict=True) if not (label == value).any()]
    if lacking:
        cure = "" if rule == "any-exon" else ", or try --annotation_rule any-exon"
        text = f"by rule {rule} it has no {' and no '.join(lacking)} introns; bring calls by --ir_calls"
        raise BadData(f"{path}: {text}{cure}")


def possible_labels(calls: pd.DataFrame) -> set[str]:
    """The labels that a table of ``read_calls`` can give: a row has evidence for it, and a row has its level.

    Levels of samples are averaged before they are called, so that both need not be of one row; counts of reads are
    summed, which can give any.
    """
    if (calls["caller"] == CALLER).any():
        return set(CLASSES)
    high, low = calls["value"] >= calls["retained"], calls["value"] <= calls["spliced"]
    known = (high.any() and calls["can_retain"].any(), low.any() and calls["can_splice"].any())
    return {name for name, can in zip(CLASSES, known, strict=True) if can}


def of_calls(tables: Collection[Set[str]]) -> None:
    """Raise BadData where no table, of each its ``possible_labels``, can give one of the labels."""
    lacking = [name for name in CLASSES if not any(name in labels for labels in tables)]
    if lacking:
        raise BadData(f"no intron is {' and none '.join(lacking)} by its calls; look at --ir_threshold and --ir_limits")
