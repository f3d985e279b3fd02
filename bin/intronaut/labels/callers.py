"""The tables of intron-retention callers, one reader a format, into the same rows: one intron of one sample.

A reader takes the text table of a file, the caller's thresholds, the genes of the annotation and a Problems list, and
returns a DataFrame on the table's index (the line number):

    chrom, start, end    0-based, half-open; chrom is ``.`` when the caller names a gene that the annotation lacks
    strand               ``.`` when the caller tells none
    value                the retention level, in the caller's own unit
    can_retain           whether the evidence suffices to call the intron retained
    can_splice           whether it suffices to call it spliced
    sample               optional, when one file holds several
    why                  optional, the reason for no label where the evidence does not suffice, else ``low_evidence``
    retained, spliced    optional, the thresholds when they are not those of the caller

Thresholds are the ones that the callers' authors and users recommend; docs/labels.md says where each comes from.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intronaut.labels import event_callers, intron_callers
from intronaut.labels.pooled import CALLER
from intronaut.labels.retention import LIMITS
from intronaut.labels.rows import NEVER

if TYPE_CHECKING:
    import pandas as pd

_SUPPA_EVENT = re.compile(r"[^;]+;[A-Z0-9]{2}:")


@dataclass
class Format:
    """One kind of file.

    ``known_by`` are the columns by which it is recognised, ``needs`` what its reader uses beside them; in both ``A|B``
    means any of the two, ``*`` any letters. ``limits`` are its thresholds. ``fits`` is asked of a table that has the
    columns, where these alone do not tell the format.
    """

    read: Callable
    known_by: tuple
    limits: dict
    needs: tuple = ()
    fits: Callable = lambda table: True

    @property
    def rows_are_introns(self) -> bool:
        """Whether an intron has one row in a sample, and not one for each event that it is part of."""
        return self.read.__module__ == intron_callers.__name__


def _holds_suppa_events(table):
    return table["row"].astype(str).str.match(_SUPPA_EVENT).all()


def _holds_suppa_levels(table):
    # a table of changes whose columns somebody has renamed is none of levels
    changes = [name for name in table if re.search(r"dpsi$|p.val", name, re.IGNORECASE)]
    return not changes and _holds_suppa_events(table)


RATIO = {"retained": 0.1, "spliced": 0.05}
LISTED = {"retained": 1, "spliced": NEVER}
IRFINDER = {"depth": 3, "coverage": 0.7, "splice_exact": 5, "spliced_splice_exact": 20, "require_clean": 0}
IREAD = {"retained": 3, "spliced": NEVER, "fragments": 20, "junctions": 1, "entropy": 0.9}
# change itself has been decided: between retained and spliced by the value there is nothing
CHANGE = {"retained": 0, "spliced": 1}
SUPPA_CHANGE = {"retained": 0.1, "spliced": NEVER, "p": 0.05}
MAJIQ_CHANGE = {"retained": 0.2, "spliced": NEVER, "probability": 0.95}
# fmt: off
RMATS_PLACE = ("chr", "strand", "upstreamEE", "downstreamES")
RMATS = (
    *RMATS_PLACE, "FDR", "IncLevelDifference", "IncLevel1", "IncLevel2", "IJC_SAMPLE_1|IC_SAMPLE_1",
    "SJC_SAMPLE_1|SC_SAMPLE_1", "IJC_SAMPLE_2|IC_SAMPLE_2", "SJC_SAMPLE_2|SC_SAMPLE_2",
)
# in the order in which they are tried: a format before those whose columns it has too
FORMATS = {
    CALLER: Format(
        intron_callers.intronaut, ("psi", "ei_left", "sj_exact"), LIMITS,
        ("chrom", "start", "end", "strand", "sample", "method", "ends"),
    ),
    "intronaut_differences": Format(
        intron_callers.intronaut_differences, ("delta_psi", "shrunken_delta", "change"), CHANGE,
        ("chrom", "start", "end", "strand", "comparison", "reason"),
    ),
    "irfinder": Format(
        intron_callers.irfinder, ("IRratio", "SpliceExact", "Warnings"), RATIO | {"spliced": 0.02} | IRFINDER,
        ("Chr", "Start", "End", "Strand", "IntronDepth", "Coverage"),
    ),
    "iread": Format(
        intron_callers.iread, ("intron_id", "junction_reads", "entropy_score"), IREAD, ("fragments", "fpkm")
    ),
    "rmats": Format(
        event_callers.rmats, ("riExonStart_0base", "IncLevel*|*C_SAMPLE_*|FDR"),
        RATIO | {"reads": 20, "fdr": 1, "delta": 0}, RMATS,
    ),
    "rmats_events": Format(event_callers.rmats_events, ("riExonStart_0base",), LISTED, RMATS_PLACE),
    "suppa_ioe": Format(
        event_callers.suppa_ioe, ("event_id", "alternative_transcripts|inclusion_transcripts"), LISTED
    ),
    "suppa_dpsi": Format(event_callers.suppa_dpsi, ("row", "*_dPSI"), SUPPA_CHANGE, fits=_holds_suppa_events),
    "suppa": Format(event_callers.suppa_psi, ("row",), RATIO, fits=_holds_suppa_levels),
    "majiq_dpsi": Format(
        event_callers.majiq_dpsi, ("ir_coords", "mean_dpsi_per_lsv_junction"), MAJIQ_CHANGE,
        ("probability_changing", "strand|gene_id"),
    ),
    "majiq": Format(event_callers.majiq, ("ir_coords", "mean_psi_per_lsv_junction"), RATIO, ("seqid|chr|gene_id",)),
    "majiq_v1": Format(
        event_callers.majiq_v1, ("IR coords", "E(PSI) per LSV junction"), RATIO, ("chr|seqid|Gene ID|gene_id",)
    ),
    "vast": Format(event_callers.vast, ("EVENT", "COORD", "FullCO"), RATIO | {"balance": 0.05}),
    "idiffir": Format(intron_callers.idiffir, ("geneID", "intronCoords"), RATIO | {"p": 0.05, "fold": 1}),
    "splicegrapher": Format(
        event_callers.splicegrapher, ("Pre_Exon", "Post_Exon"), LISTED, ("Chromosome", "Strand")
    ),
    "shiba": Format(
        event_callers.shiba, ("pos_id", "intron_a", "exon_c", "ref_PSI|alt_PSI"), RATIO | {"reads": 10},
        ("strand", "ref_PSI", "alt_PSI"),
    ),
    "whippet": Format(
        event_callers.whippet, ("Node", "Coord", "Type", "Psi"), RATIO | {"reads": 10},
        ("Strand", "Total_Reads|Total Reads"),
    ),
    "majiq_v3": Format(
        event_callers.majiq_v3, ("is_intron", "event_type|event_id"), RATIO,
        ("seqid", "start", "end", "strand", "*psi_mean"),
    ),
    "fraser": Format(
        event_callers.fraser, ("sampleID", "psiValue", "deltaPsi"), RATIO | {"reads": 20},
        ("type", "seqnames", "start", "end", "strand", "totalCounts", "nonsplitProportion"),
    ),
    "sirfinder": Format(
        intron_callers.sirfinder, ("SIRratio", "intronicCount"), RATIO | {"reads": 10},
        ("seqnames", "start", "end", "strand", "SpliceMax"),
    ),
    "interest": Format(
        intron_callers.interest, ("int_ex", "IntRet_frequency"), {"retained": 3, "spliced": NEVER, "fragments": 20},
        ("chr", "begin", "end", "strand", "IntRet_genewide_scaled"),
    ),
    "kma": Format(
        intron_callers.kma, ("intron", "numerator", "denominator", "retention"), RATIO | {"tpm": 1, "unique": 3},
        ("sample",),
    ),
    "superintronic": Format(
        intron_callers.superintronic, ("feature_type", "feature_rank", "score"), RATIO | {"depth": 3},
        ("seqnames", "start", "end", "gene_id", "feature_strand", "sample_id|sample|Sample|sampleID"),
    ),
    "star": Format(
        intron_callers.star, ("column_1", "column_9"), {"retained": NEVER, "spliced": 0, "reads": 20},
        fits=intron_callers.is_star,
    ),
    "bed": Format(intron_callers.bed, ("column_1", "column_2", "column_3"), LISTED, fits=intron_callers.is_bed),
}
# fmt: on


def recognised(table: pd.DataFrame) -> str:
    """The name of the format that the columns tell, ``generic`` when they tell none."""
    for kind, known in FORMATS.items():
        if not _lacking(known.known_by, table) and known.fits(table):
            return kind
    return "generic"


def lacking_columns(kind: str, table: pd.DataFrame) -> list[str]:
    """The columns of the format that the table has not."""
    return _lacking((*FORMATS[kind].known_by, *FORMATS[kind].needs), table)


def _lacking(wanted, table):
    return [
        names.replace("|", " or ") for names in wanted
        if not any(fnmatch.filter(table.columns, name) for name in names.split("|"))
    ]  # fmt: skip


def with_caller_names(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the callers' names of columns that R has changed: ``IR.coords`` for ``IR coords`` and so on."""
    expected = {
        name for known in FORMATS.values() for names in (*known.known_by, *known.needs) for name in names.split("|")
    }
    changed = {_r_name(name): name for name in expected if "*" not in name and _r_name(name) != name}
    first = table.columns[0]
    if len(table) and "row" not in table and table[first].astype(str).str.match(_SUPPA_EVENT).all():
        changed[first] = "row"  # SUPPA's first column, which has no name, after R or pandas
    return table.rename(columns={old: new for old, new in changed.items() if old in table and new not in table})


def _r_name(name):
    """What R's make.names writes for a column name."""
    name = re.sub(r"[^A-Za-z0-9._]", ".", name)
    return f"X{name}" if re.match(r"[0-9_]|\.[0-9]", name) else name
