"""Readers of callers whose rows are introns; each as :mod:`intronaut.labels.callers` says."""

import pandas as pd

from intronaut.labels.caller_tables import SPAN, TUPLE, column_of, numbers, parts, whole_numbers
from intronaut.labels.pooled import EVIDENCE, measured_rows
from intronaut.labels.rows import NEVER, call_rows, placed_by_gene

# fmt: off
IRFINDER_COLUMNS = [
    "Chr", "Start", "End", "Name", "Null", "Strand", "ExcludedBases", "Coverage", "IntronDepth",
    "IntronDepth25Percentile", "IntronDepth50Percentile", "IntronDepth75Percentile", "ExonToIntronReadsLeft",
    "ExonToIntronReadsRight", "IntronDepthFirst50bp", "IntronDepthLast50bp", "SpliceLeft", "SpliceRight",
    "SpliceExact", "IRratio", "Warnings",
]
# fmt: on


def intronaut(table, limits, genes, problems):
    """Intronaut's ``SAMPLE.introns.tsv.gz`` of quantify_introns: BED, value = psi, the call by its own thresholds."""
    start, end = whole_numbers(table["start"], problems), whole_numbers(table["end"], problems)
    rows = measured_rows(table, limits, problems)
    place = call_rows(
        table["chrom"], start, end, table["strand"], rows["value"], rows["can_retain"], rows["can_splice"]
    )
    return place.join(rows[["sample", "why", *EVIDENCE]])


def irfinder(table, limits, genes, problems):
    """IRFinder and IRFinder-S ``IRFinder-IR-dir.txt``, ``-nondir.txt``, ``-val.txt``: BED, value = IRratio."""
    depth, coverage, exact = (numbers(table[name], problems) for name in ("IntronDepth", "Coverage", "SpliceExact"))
    trusted = table["Warnings"].fillna("-").isin(["-", "NonUniformIntronCover"])
    enough = (depth >= limits["depth"]) & (coverage >= limits["coverage"]) & (exact >= limits["splice_exact"])
    return call_rows(
        table["Chr"], whole_numbers(table["Start"], problems), whole_numbers(table["End"], problems), table["Strand"],
        numbers(table["IRratio"], problems), enough & trusted, exact >= limits["spliced_splice_exact"],
    )  # fmt: skip


def iread(table, limits, genes, problems):
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


def idiffir(table, limits, genes, problems):
    """iDiffIR ``lists/allIntrons.txt``: (first base of the intron, first base after it), 1-based; place by gene.

    value = IRR ratio of each condition where it is told; else |log2 fold change|, trusted below the limit p.
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


def bed(table, limits, genes, problems):
    """BED of retained introns: value = 1."""
    start, end = (whole_numbers(table[name], problems) for name in ("column_2", "column_3"))
    return call_rows(table["column_1"], start, end, table.get("column_6", "."), 1.0, True, False)
