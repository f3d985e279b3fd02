"""Readers of callers whose rows are introns; each as :mod:`intronaut.labels.callers` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.labels.caller_tables import SPAN, TUPLE, column_of, numbers, parts, places, whole_numbers
from intronaut.labels.irfinder_flags import flags_of
from intronaut.labels.pooled import EVIDENCE, measured_rows
from intronaut.labels.rows import NEVER, call_rows, placed_by_gene

if TYPE_CHECKING:
    from intronaut.core.errors import Problems

# fmt: off
IRFINDER_COLUMNS = [
    "Chr", "Start", "End", "Name", "Null", "Strand", "ExcludedBases", "Coverage", "IntronDepth",
    "IntronDepth25Percentile", "IntronDepth50Percentile", "IntronDepth75Percentile", "ExonToIntronReadsLeft",
    "ExonToIntronReadsRight", "IntronDepthFirst50bp", "IntronDepthLast50bp", "SpliceLeft", "SpliceRight",
    "SpliceExact", "IRratio", "Warnings",
]
# fmt: on


def intronaut(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Intronaut's ``SAMPLE.introns.tsv.gz`` of quantify_introns: BED, value = psi, the call by its own thresholds."""
    start, end = whole_numbers(table["start"], problems), whole_numbers(table["end"], problems)
    rows = measured_rows(table, limits, problems)
    place = call_rows(
        table["chrom"], start, end, table["strand"], rows["value"], rows["can_retain"], rows["can_splice"]
    )
    return place.join(rows[["sample", "why", *EVIDENCE]])


def intronaut_differences(
    table: pd.DataFrame, limits: dict[str, int], genes: pd.DataFrame, problems: Problems
) -> pd.DataFrame:
    """``differences.tsv`` of differential_retention: BED, value = ΔPSI; ``more`` is retained, ``unchanged`` spliced."""
    start, end = whole_numbers(table["start"], problems), whole_numbers(table["end"], problems)
    change = table["change"]
    place = call_rows(table["chrom"], start, end, table["strand"], numbers(table["delta_psi"], problems),
                      change == "more", change == "unchanged")  # fmt: skip
    why = np.where(change == "less", "less_retained", table["reason"])
    bounds = {name: numbers(table[name], problems) for name in ("delta_low", "delta_high")}
    return place.assign(sample=table["comparison"], why=why, **bounds)


def irfinder(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """IRFinder and IRFinder-S ``IRFinder-IR-dir.txt``, ``-nondir.txt``, ``-val.txt``: BED, value = IRratio.

    With the limit require_clean, introns whose name has a flag (known-exon, anti-over, anti-near) have no label.
    """
    depth, coverage, exact = (numbers(table[name], problems) for name in ("IntronDepth", "Coverage", "SpliceExact"))
    trusted = table["Warnings"].fillna("-").isin(["-", "NonUniformIntronCover"])
    enough = (depth >= limits["depth"]) & (coverage >= limits["coverage"]) & (exact >= limits["splice_exact"])
    flags = flags_of(table.get("Name", pd.Series("", table.index)))
    clean = (flags == "") | (limits["require_clean"] == 0)
    rows = call_rows(
        table["Chr"], whole_numbers(table["Start"], problems), whole_numbers(table["End"], problems), table["Strand"],
        numbers(table["IRratio"], problems), enough & trusted & clean,
        (exact >= limits["spliced_splice_exact"]) & clean,
    )  # fmt: skip
    return rows.assign(flags=flags, why=np.where(clean, None, "flagged"))


def iread(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """iREAD ``*.ir.txt``: intron_id = chrom-start-end-gene-length with BED coordinates; value = FPKM.

    It lists reads in introns only, so that an intron with few of them may be spliced or not expressed: never spliced.
    """
    pattern = rf"(?P<chrom>.+?)-{SPAN}-(?P<gene>.+)-(?P<length>\d+)"
    place = parts(table["intron_id"], pattern, "chrom-start-end-gene-length", problems)
    start, end, length = (whole_numbers(place[name].fillna("0"), problems) for name in ("start", "end", "length"))
    for line in table.index[end - start != length]:
        problems.add(f"the length in {table['intron_id'][line]!r} is not end - start: are its starts 0-based?", line)
    counts = {name: numbers(table[name], problems) for name in ("fragments", "junction_reads", "entropy_score")}
    enough = counts["fragments"] >= limits["fragments"]
    enough &= (counts["junction_reads"] >= limits["junctions"]) & (counts["entropy_score"] >= limits["entropy"])
    return call_rows(place["chrom"], start, end, ".", numbers(table["fpkm"], problems), enough, False)


def idiffir(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """iDiffIR ``lists/allIntrons.txt``: (first base of the intron, first base after it), 1-based; place by gene.

    value = IRR ratio of each condition where it is given; else |log2 fold change|, trusted below the limit p.
    """
    span = parts(table["intronCoords"], TUPLE, "(start, end)", problems).fillna("0")
    span = span.apply(whole_numbers, problems=problems)
    place = table["geneID"], span["start"] - 1, span["end"] - 1, genes
    ratios = [name for name in ("IRRratio_1", "IRRratio_2") if name in table]
    if ratios:
        return pd.concat(
            placed_by_gene(*place, value=numbers(table[name], problems), can_retain=True, can_splice=True, sample=name)
            for name in ratios
        )
    trusted = numbers(table[column_of(table, problems, "adjPValue")], problems) <= limits["p"]
    change = numbers(table[column_of(table, problems, "logFoldChange")], problems).abs()
    limits = {"retained": limits["fold"], "spliced": NEVER}
    return placed_by_gene(*place, value=change, can_retain=trusted, can_splice=False, **limits)


def bed(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """BED of retained introns: value = 1."""
    start, end = (whole_numbers(table[name], problems) for name in ("column_2", "column_3"))
    return call_rows(table["column_1"], start, end, table.get("column_6", "."), 1.0, True, False)


def is_bed(table: pd.DataFrame) -> bool:
    """Whether a table without header is a BED of introns: at most 12 columns, the fourth a name, the fifth a score.

    A bedGraph has a level in the fourth, a table that somebody cut from a caller's may have one in either, junctions
    (leafcutter) have counts of no name, other tables a strand, and headerless tables of callers have more columns:
    read as a list of retained introns they would all be retained.
    """
    if len(table.columns) > 12 or "column_4" not in table:
        return len(table.columns) == 3
    early = table[table.columns.intersection(["column_4", "column_5"])]
    names, scores = early.iloc[:, 0], early.iloc[:, -1]
    values = early.apply(pd.to_numeric, errors="coerce")
    levels = (values % 1 > 0).any(axis=None) or (len(table.columns) == 4 and values["column_4"].notna().all())
    counts = (names == ".").all() and scores.nunique() > 1
    return not early.isin(["+", "-"]).any(axis=None) and not levels and not counts


def star(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """STAR ``SJ.out.tab``: junctions, 1-based closed; evidence that an intron is spliced, so value = 0.

    Strands are 0 (unknown), 1 (+) and 2 (-). Only reads that map to one place count.
    """
    start, end = (whole_numbers(table[name], problems) for name in ("column_2", "column_3"))
    strand = table["column_4"].map({"0": ".", "1": "+", "2": "-"})
    reads = numbers(table["column_7"], problems)
    return call_rows(table["column_1"], start - 1, end, strand, 0.0, False, reads >= limits["reads"])


def is_star(table: pd.DataFrame) -> bool:
    """Whether a table without header is a ``SJ.out.tab``: nine columns of which six can only be junctions'."""
    if len(table.columns) != 9 or table.empty:
        return False
    allowed = {"column_4": "012", "column_5": "0123456", "column_6": "01"}
    counts = table[["column_7", "column_8", "column_9"]]
    return all(table[name].isin(list(words)).all() for name, words in allowed.items()) and bool(
        counts.apply(lambda column: column.str.fullmatch(r"\d+").all()).all()
    )


def sirfinder(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """SIRFindeR ``SIRratio.txt``, ``ResultsByIntron.txt``: introns, 1-based closed; value = SIRratio.

    It writes 0 where no read was seen, so that reads over the junction or in the intron are asked for.
    """
    start, end = (whole_numbers(table[name], problems) for name in ("start", "end"))
    counts = (numbers(table[name], problems) for name in ("SpliceMax", "intronicCount"))
    enough = sum(counts) >= limits["reads"]
    value = numbers(table["SIRratio"], problems)
    return call_rows(table["seqnames"], start - 1, end, table["strand"], value, enough, enough)


def interest(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """IntEREst results of one sample: rows of ``intron``, 1-based closed; value = FPKM of the intron.

    It counts reads in introns only, so that an intron with few of them may be spliced or not expressed: never spliced.
    """
    table = table[table["int_ex"] == "intron"]
    start, end = (whole_numbers(table[name], problems) for name in ("begin", "end"))
    enough = numbers(table["IntRet_frequency"], problems) >= limits["fragments"]
    value = numbers(table["IntRet_genewide_scaled"], problems)
    return call_rows(table["chr"], start - 1, end, table["strand"], value, enough, False)


def kma(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Keep Me Around's table ``flat``: intron as chrom:start-end of BED; value = retention.

    ``denominator`` is the expression of the gene in TPM; ``unique_counts``, where the table has it, the reads that map
    into the intron only.
    """
    chrom, start, end, strand = places(table["intron"], 0, problems)
    expressed = numbers(table["denominator"], problems) >= limits["tpm"]
    seen = numbers(table["unique_counts"], problems) >= limits["unique"] if "unique_counts" in table else True
    rows = call_rows(chrom, start, end, strand, numbers(table["retention"], problems), expressed & seen, expressed)
    return rows.assign(sample=table["sample"])


def superintronic(
    table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems
) -> pd.DataFrame:
    """superintronic's coverage joined to the parts of genes: ranges of one depth, 1-based closed.

    The ranges of one gene, sample and intron (``feature_type``, ``feature_rank``) are put together; value = mean depth
    of the intron over the mean depth of the gene's exons in that sample, at most 1.
    """
    start, end = (whole_numbers(table[name], problems) for name in ("start", "end"))
    depth = numbers(table["score"], problems)
    sample = table[column_of(table, problems, "sample_id", "sample", "Sample", "sampleID")]
    ranges = pd.DataFrame({
        "chrom": table["seqnames"], "start": start - 1, "end": end, "width": end - start + 1, "sample": sample,
        "bases": depth * (end - start + 1), "gene": table["gene_id"], "strand": table["feature_strand"],
        "kind": table["feature_type"], "rank": table["feature_rank"], "line": table.index,
    })  # fmt: skip
    exons = ranges[ranges["kind"] == "exon"].groupby(["gene", "sample"])[["bases", "width"]].sum()
    by = ranges[ranges["kind"] == "intron"].groupby(["gene", "sample", "rank"], sort=False)
    introns = by.agg(
        chrom=("chrom", "first"), start=("start", "min"), end=("end", "max"), strand=("strand", "first"),
        bases=("bases", "sum"), width=("width", "sum"), line=("line", "first"),
    ).reset_index()  # fmt: skip
    exonic = (exons["bases"] / exons["width"]).rename("exonic")
    introns = introns.join(exonic, on=["gene", "sample"]).set_index("line")
    value = (introns["bases"] / introns["width"] / introns["exonic"]).clip(upper=1).where(introns["exonic"] > 0)
    enough = introns["exonic"] >= limits["depth"]
    rows = call_rows(introns["chrom"], introns["start"], introns["end"], introns["strand"], value, enough, enough)
    return rows.assign(sample=introns["sample"])
