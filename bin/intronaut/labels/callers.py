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

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from intronaut.labels.caller_tables import numbers, parts, whole_numbers
from intronaut.labels.pooled import CALLER, EVIDENCE, measured_rows
from intronaut.labels.retention import LIMITS

NEVER = float("nan")
# fmt: off
IRFINDER_COLUMNS = [
    "Chr", "Start", "End", "Name", "Null", "Strand", "ExcludedBases", "Coverage", "IntronDepth",
    "IntronDepth25Percentile", "IntronDepth50Percentile", "IntronDepth75Percentile", "ExonToIntronReadsLeft",
    "ExonToIntronReadsRight", "IntronDepthFirst50bp", "IntronDepthLast50bp", "SpliceLeft", "SpliceRight",
    "SpliceExact", "IRratio", "Warnings",
]
# fmt: on
SUPPA_EVENT = re.compile(r"[^;]+;[A-Z0-9]{2}:")
SPAN = r"(?P<start>\d+)-(?P<end>\d+)"
TUPLE = r"\(?\s*(?P<start>\d+)\s*,\s*(?P<end>\d+)\s*\)?"


@dataclass
class Format:
    """One kind of file: its reader, the columns by which it is known, its thresholds."""

    read: Callable
    columns: tuple
    limits: dict


def _intronaut(table, limits, genes, problems):
    """Intronaut's ``SAMPLE.introns.tsv.gz`` of quantify_introns: BED, value = psi, the call by its own thresholds."""
    start, end = whole_numbers(table["start"], problems), whole_numbers(table["end"], problems)
    rows = measured_rows(table, limits, problems)
    place = call_rows(
        table["chrom"], start, end, table["strand"], rows["value"], rows["can_retain"], rows["can_splice"]
    )
    return place.join(rows[["sample", "why", *EVIDENCE]])


def _irfinder(table, limits, genes, problems):
    """IRFinder and IRFinder-S ``IRFinder-IR-dir.txt``, ``-nondir.txt``, ``-val.txt``: BED, value = IRratio."""
    depth, coverage, exact = (numbers(table[name], problems) for name in ("IntronDepth", "Coverage", "SpliceExact"))
    trusted = table["Warnings"].fillna("-").isin(["-", "NonUniformIntronCover"])
    enough = (depth >= limits["depth"]) & (coverage >= limits["coverage"]) & (exact >= limits["splice_exact"])
    return call_rows(
        table["Chr"], whole_numbers(table["Start"], problems), whole_numbers(table["End"], problems), table["Strand"],
        numbers(table["IRratio"], problems), enough & trusted, exact >= limits["spliced_splice_exact"],
    )  # fmt: skip


def _iread(table, limits, genes, problems):
    """iREAD ``*.ir.txt``: intron_id = chrom-start-end-gene-length with BED coordinates; value = FPKM.

    It lists reads in introns only, so that an intron with few of them may be spliced or not expressed: never spliced.
    """
    pattern = rf"(?P<chrom>.+?)-{SPAN}-(?P<gene>.+)-(?P<length>\d+)"
    place = parts(table["intron_id"], pattern, "chrom-start-end-gene-length", problems)
    start, end, length = (place[name].fillna(0).astype("int64") for name in ("start", "end", "length"))
    for line in table.index[end - start != length]:
        problems.add(f"the length in {table['intron_id'][line]!r} is not end - start: are its starts 0-based?", line)
    counts = {name: numbers(table[name], problems) for name in ("fragments", "junction_reads", "entropy_score")}
    enough = counts["fragments"] >= limits["fragments"]
    enough &= (counts["junction_reads"] >= limits["junctions"]) & (counts["entropy_score"] >= limits["entropy"])
    return call_rows(place["chrom"], start, end, ".", numbers(table["fpkm"], problems), enough, False)


def _rmats(table, limits, genes, problems):
    """rMATS ``RI.MATS.JC.txt``, ``JCEC.txt``: the intron lies between upstreamEE and downstreamES; value = IncLevel.

    Every replicate of both groups is a sample. With the limits fdr and delta an intron is retained only where the
    groups differ.
    """
    place = _rmats_place(table, problems)
    differs = numbers(table["FDR"], problems).fillna(1) <= limits["fdr"]
    differs &= numbers(table["IncLevelDifference"], problems).abs().fillna(0) >= limits["delta"]
    # version 3 of rMATS calls IC_SAMPLE_1 what is IJC_SAMPLE_1 since
    letter = "J" if "IJC_SAMPLE_1" in table else ""
    rows = []
    for group in "12":
        names = f"IncLevel{group}", f"I{letter}C_SAMPLE_{group}", f"S{letter}C_SAMPLE_{group}"
        level, included, skipped = (table[name].str.split(",", expand=True) for name in names)
        n_levels = level.count(axis=1)
        for line in table.index[(included.count(axis=1) != n_levels) | (skipped.count(axis=1) != n_levels)]:
            problems.add(f"group {group} has not one inclusion and one skipping count for every inclusion level", line)
        for i in level.columns.intersection(included.columns).intersection(skipped.columns):
            enough = sum(numbers(lists[i], problems) for lists in (included, skipped)) >= limits["reads"]
            found = call_rows(*place, numbers(level[i], problems), enough & differs, enough)
            rows.append(found.assign(sample=f"{group}.{i + 1}"))
    return pd.concat(rows)


def _rmats_events(table, limits, genes, problems):
    """rMATS ``fromGTF.RI.txt``: introns that some annotated or novel transcript retains; no reads, so value = 1."""
    return call_rows(*_rmats_place(table, problems), 1.0, True, False)


def _rmats_place(table, problems):
    start, end = (whole_numbers(table[name], problems) for name in ("upstreamEE", "downstreamES"))
    return table["chr"], start, end, table["strand"]


def _suppa_psi(table, limits, genes, problems):
    """SUPPA2 ``.psi``: event ``gene;RI:chrom:s1:e1-s2:e2:strand``, 1-based closed exons; a column a sample."""
    events, place = _suppa_events(table["row"], problems)
    return pd.concat(
        call_rows(*place, numbers(events_of(table[name], events), problems), True, True).assign(sample=name)
        for name in table.columns.drop("row")
    )


def _suppa_ioe(table, limits, genes, problems):
    """SUPPA2 ``.ioe``: the annotated retention events; no expression, so value = 1."""
    _, place = _suppa_events(table["event_id"], problems)
    return call_rows(*place, 1.0, True, False)


def _suppa_dpsi(table, limits, genes, problems):
    """SUPPA2 ``.dpsi``: value = |ΔPSI|, trusted up to the limit p; the lack of a change shows nothing."""
    events, place = _suppa_events(table["row"], problems)
    rows = []
    for name in [name for name in table if name.endswith("_dPSI")]:
        change = numbers(events_of(table[name], events), problems).abs()
        p = numbers(events_of(table[name.removesuffix("_dPSI") + "_p-val"], events), problems)
        rows.append(call_rows(*place, change, p <= limits["p"], False).assign(sample=name))
    return pd.concat(rows)


def _suppa_events(texts, problems):
    events = texts[texts.str.contains(";RI:", regex=False, na=False)]
    pattern = r"(?P<gene>[^;]+);RI:(?P<chrom>.+):\d+:(?P<start>\d+)-(?P<end>\d+):\d+:(?P<strand>[+-])"
    place = parts(events, pattern, "gene;RI:chrom:s1:e1-s2:e2:strand", problems).fillna("0")
    return events, (place["chrom"], place["start"].astype("int64"), place["end"].astype("int64") - 1, place["strand"])


def events_of(column, events):
    """The cells of ``column`` on the lines of ``events``."""
    return column.loc[events.index]


def _majiq(table, limits, genes, problems):
    """MAJIQ/voila 2 tsv: ir_coords is the intron, 1-based closed; its PSI is the last of the junctions'."""
    return _majiq_rows(table, "ir_coords", "mean_psi_per_lsv_junction", 1, 0, genes, problems)


def _majiq_v1(table, limits, genes, problems):
    """MAJIQ/voila 1 tsv: IR coords are the last base of the exon before and the first base of the one after."""
    return _majiq_rows(table, "IR coords", "E(PSI) per LSV junction", 0, 1, genes, problems)


def _majiq_dpsi(table, limits, genes, problems):
    """MAJIQ/voila 2 deltapsi tsv: value = |ΔPSI|, trusted from the limit probability of a change up."""
    rows = _majiq_rows(table, "ir_coords", "mean_dpsi_per_lsv_junction", 1, 0, genes, problems)
    changing = _last_item(table.loc[rows.index, "probability_changing"], problems).to_numpy()
    return rows.assign(value=rows["value"].abs(), can_retain=changing >= limits["probability"], can_splice=False)


def _majiq_rows(table, coords, psi, first, last, genes, problems):
    table = table[table[coords].notna()]
    span = parts(table[coords], SPAN, "start-end", problems).fillna("0").astype("int64")
    start, end = span["start"] - first, span["end"] - last
    value = _last_item(table[psi], problems)
    chrom = next((name for name in ("seqid", "chr") if name in table), None)
    if chrom:
        return call_rows(table[chrom], start, end, table["strand"], value, True, True)
    gene = table["gene_id" if "gene_id" in table else "Gene ID"].str.removeprefix("gene:")
    return _placed_by_gene(gene, start, end, genes, value=value, can_retain=True, can_splice=True)


def _last_item(texts, problems):
    return numbers(texts.str.split(";").str[-1].rename(texts.name), problems)


def _vast(table, limits, genes, problems):
    """vast-tools ``INCLUSION_LEVELS_FULL-*.tab``: COORD is the intron, 1-based closed; value = PIR / 100.

    The quality column of a sample must say OK or SOK for its reads; its fifth score is the p of the test that reads at
    both ends of the intron are balanced, asked of retained introns.
    """
    table = table[table["EVENT"].str.contains(r"^[A-Za-z0-9]+INT\d+", regex=True, na=False)]
    span = parts(table["COORD"], rf"(?P<chrom>.+):{SPAN}", "chrom:start-end", problems).fillna("0")
    strand = parts(table["FullCO"], r".+:(?P<strand>[+-])", "chrom:exon=exon:strand", problems)["strand"].fillna(".")
    place = span["chrom"], span["start"].astype("int64") - 1, span["end"].astype("int64"), strand
    rows = []
    for name in [name for name in table if f"{name}-Q" in table]:
        scores = table[f"{name}-Q"].fillna("N").str.split("@").str[0].str.split(",")
        read = scores.str[0].isin(["SOK", "OK"])
        balanced = ~(pd.to_numeric(scores.str[4], errors="coerce") <= limits["balance"])
        rows.append(call_rows(*place, numbers(table[name], problems) / 100, read & balanced, read).assign(sample=name))
    return pd.concat(rows) if rows else call_rows(*place, NEVER, False, False)


def _idiffir(table, limits, genes, problems):
    """iDiffIR ``lists/allIntrons.txt``: (first base of the intron, first base after it), 1-based; place by gene.

    value = IRR ratio of each condition where it is told; else |log2 fold change|, trusted below the limit p.
    """
    span = parts(table["intronCoords"], TUPLE, "(start, end)", problems).fillna("0").astype("int64")
    place = table["geneID"], span["start"] - 1, span["end"] - 1, genes
    ratios = [name for name in ("IRRratio_1", "IRRratio_2") if name in table]
    if ratios:
        return pd.concat(
            _placed_by_gene(*place, value=numbers(table[name], problems), can_retain=True, can_splice=True, sample=name)
            for name in ratios
        )
    trusted = numbers(table["adjPValue"], problems) <= limits["p"]
    change = numbers(table["logFoldChange"], problems).abs()
    limits = {"retained": limits["fold"], "spliced": NEVER}
    return _placed_by_gene(*place, value=change, can_retain=trusted, can_splice=False, **limits)


def _splicegrapher(table, limits, genes, problems):
    """SpliceGrapher/chromir events: the intron between two 1-based closed exons; a catalogue, so value = 1."""
    spans = (parts(table[name], TUPLE, "(start, end)", problems).fillna("0") for name in ("Pre_Exon", "Post_Exon"))
    pre, post = (span.astype("int64") for span in spans)
    start, end = np.minimum(pre["end"], post["end"]), np.maximum(pre["start"], post["start"]) - 1
    return call_rows(table["Chromosome"], start, end, table["Strand"], 1.0, True, False)


def call_rows(chrom, start, end, strand, value, can_retain, can_splice):
    """The rows of a reader from its columns; single values count for every row."""
    columns = {"chrom": chrom, "start": start, "end": end, "strand": strand, "value": value}
    rows = pd.DataFrame(columns | {"can_retain": can_retain, "can_splice": can_splice}, index=start.index)
    rows["strand"] = rows["strand"].fillna(".")
    return rows


def _placed_by_gene(gene, start, end, genes, **columns):
    """Rows for a caller that names the gene but no chromosome: one for every place of the gene in the annotation."""
    names = genes["gene_id"]
    if not names.isin(gene).any():
        names, gene = names.str.split(".").str[0], gene.str.split(".").str[0]
    places = genes.assign(gene=names)[["gene", "chrom", "strand"]].drop_duplicates()
    rows = pd.DataFrame({"gene": gene, "start": start, "end": end, **columns}, index=start.index)
    rows = rows.reset_index(names="line").merge(places, how="left", on="gene").set_index("line")
    return rows.drop(columns="gene").fillna({"chrom": ".", "strand": "."})


def _bed(table, limits, genes, problems):
    """BED of retained introns: value = 1."""
    start, end = (whole_numbers(table[name], problems) for name in ("column_2", "column_3"))
    return call_rows(table["column_1"], start, end, table.get("column_6", "."), 1.0, True, False)


RATIO = {"retained": 0.1, "spliced": 0.05}
LISTED = {"retained": 1, "spliced": NEVER}
IRFINDER = {"depth": 3, "coverage": 0.7, "splice_exact": 5, "spliced_splice_exact": 20}
IREAD = {"retained": 3, "spliced": NEVER, "fragments": 20, "junctions": 1, "entropy": 0.9}
SUPPA_CHANGE = {"retained": 0.1, "spliced": NEVER, "p": 0.05}
MAJIQ_CHANGE = {"retained": 0.2, "spliced": NEVER, "probability": 0.95}
# in the order in which they are tried: a format before those whose columns it has too
FORMATS = {
    CALLER: Format(_intronaut, ("psi", "ei_left", "sj_exact"), LIMITS),
    "irfinder": Format(_irfinder, ("IRratio", "SpliceExact", "Warnings"), RATIO | {"spliced": 0.02} | IRFINDER),
    "iread": Format(_iread, ("intron_id", "junction_reads", "entropy_score"), IREAD),
    "rmats": Format(_rmats, ("riExonStart_0base", "IncLevel1"), RATIO | {"reads": 20, "fdr": 1, "delta": 0}),
    "rmats_events": Format(_rmats_events, ("riExonStart_0base",), LISTED),
    "suppa_ioe": Format(_suppa_ioe, ("event_id", "inclusion_transcripts"), LISTED),
    "suppa_dpsi": Format(_suppa_dpsi, ("row", "*_dPSI"), SUPPA_CHANGE),
    "suppa": Format(_suppa_psi, ("row",), RATIO),
    "majiq_dpsi": Format(_majiq_dpsi, ("ir_coords", "mean_dpsi_per_lsv_junction"), MAJIQ_CHANGE),
    "majiq": Format(_majiq, ("ir_coords", "mean_psi_per_lsv_junction"), RATIO),
    "majiq_v1": Format(_majiq_v1, ("IR coords", "E(PSI) per LSV junction"), RATIO),
    "vast": Format(_vast, ("EVENT", "COORD", "FullCO"), RATIO | {"balance": 0.05}),
    "idiffir": Format(_idiffir, ("geneID", "intronCoords"), RATIO | {"p": 0.05, "fold": 1}),
    "splicegrapher": Format(_splicegrapher, ("Pre_Exon", "Post_Exon"), LISTED),
    "bed": Format(_bed, ("column_1", "column_2", "column_3"), LISTED),
}  # fmt: skip


def recognised(table):
    """The name of the format that the columns tell, ``generic`` when they tell none."""
    for kind, known in FORMATS.items():
        if lacking_columns(kind, table):
            continue
        if "row" not in known.columns or table["row"].astype(str).str.match(SUPPA_EVENT).all():
            return kind
    return "generic"


def lacking_columns(kind, table):
    """The columns of the format that the table has not."""
    return [name for name in FORMATS[kind].columns if not fnmatch.filter(table.columns, name)]
