"""Introns labelled by the tables of intron-retention callers: from the files to labels, evidence and levels."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from intronaut.genome.chromosomes import known_chroms
from intronaut.labels.call_options import CallOptions, call_options
from intronaut.labels.calls import (
    caller_limits,
    calls_table,
    collapse,
    consensus,
    evidence_text,
    match_calls,
    read_calls,
    retention_level,
)
from intronaut.labels.differences import difference_columns
from intronaut.labels.genome_checks import check_against_annotation, check_splice_sites
from intronaut.labels.irfinder_flags import flag_columns, with_flags
from intronaut.labels.pooled import CALLER, POOLED, level_columns, of_condition, pool

if TYPE_CHECKING:
    from intronaut.genome.chromosomes import Aliases
    from intronaut.genome.reference import Genome


@dataclass
class LabelledIntrons:
    """Introns with label, label_reason, evidence and ir_value, and what their labels came from.

    ``introns`` also have columns of levels and of IRFinder's flags where callers measure them; ``ledger`` are calls
    that match no annotated intron, with reason and source; ``table`` has one row per intron and caller;
    ``overdispersion`` is what the weights of levels assume. The last three are None where there is none of it.
    """

    introns: pd.DataFrame
    ledger: pd.DataFrame | None = None
    table: pd.DataFrame | None = None
    overdispersion: float | None = None


def label_by_calls(
    args: Namespace,
    genes: pd.DataFrame,
    introns: pd.DataFrame,
    genome: Genome | None,
    aliases: Aliases | None,
    doubtful: pd.DataFrame,
) -> LabelledIntrons:
    """Read the tables ``args.calls``, match them to the introns, and let their callers decide.

    Args:
        args: the parsed options of label_introns.
        genes: the annotation's genes, for callers that name no chromosome.
        introns: DataFrame chrom, start, end, strand, intron_id, ledger.
        genome: what splice sites of the calls are checked in; without it the annotation is.
        aliases: chromosome names.
        doubtful: gaps that may be no introns, as ``introns``.

    Raises:
        BadData, UsageError: as its parts do.
    """
    options = call_options(args)
    calls, unmatched = _matched_calls(args, options, genes, introns, genome, aliases, doubtful)
    calls, levels, overdispersion = _with_levels(args, options, calls, len(introns))
    votes = collapse(calls, "mean" if args.samples in (None, POOLED) else args.samples)
    label, reason = consensus(votes, len(introns), args.consensus)
    flags = flag_columns(calls, len(introns))
    introns = introns.assign(
        label=label, label_reason=reason, evidence=with_flags(evidence_text(votes, len(introns)), flags),
        ir_value=retention_level(votes, len(introns)), **levels, **flags,
    )  # fmt: skip
    if args.exclude_flags and flags:
        flagged = (introns[list(flags)] == 1).any(axis=1) & introns["ledger"].isna()
        introns.loc[flagged, "ledger"] = "flagged"
    return LabelledIntrons(introns, unmatched, calls_table(votes, introns), overdispersion)


def _matched_calls(args, options, genes, introns, genome, aliases, doubtful):
    """The calls of annotated introns, and the others with their caller as source; refuses calls of another genome."""
    tables = [read_calls(path, options, genes) for path in args.calls]
    calls = pd.concat(tables, ignore_index=True)
    annotated = dict.fromkeys(introns["chrom"].unique())
    source = ", ".join(args.calls)
    names = known_chroms(calls["chrom"].unique(), annotated, aliases, source=source, genome=args.annotation)
    for path, rows in zip(args.calls, tables, strict=True):
        if genome is not None:
            check_splice_sites(path, rows, genome, args.min_splice_sites, args.shift)
        else:
            check_against_annotation(path, rows, introns, names, args.shift)
    matched, unmatched = match_calls(calls, introns, names, doubtful)
    return matched, unmatched.assign(source=unmatched["caller"])


def _with_levels(args: Namespace, options: CallOptions, calls: pd.DataFrame, n_introns: int):
    """The calls, of one condition and pooled as asked for; columns of the levels that quantify_introns measured, or of
    differences between conditions; and ρ."""
    if not (calls["caller"] == CALLER).any():
        return calls, difference_columns(calls, n_introns), None
    if args.sample_sheet:
        calls = of_condition(calls, args.sample_sheet, args.condition)
    levels, overdispersion = level_columns(calls, n_introns)
    if args.samples in (None, POOLED):
        calls = pool(calls, caller_limits(CALLER, options))
    return calls, levels, overdispersion
