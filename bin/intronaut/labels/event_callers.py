"""Readers of callers whose rows are splicing events; each as :mod:`intronaut.labels.callers` says."""

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.labels.caller_tables import SPAN, TUPLE, column_of, numbers, parts, places, whole_numbers
from intronaut.labels.rows import call_rows, events_of, placed_by_gene, stacked

# SUPPA2's event identifiers with the outer ends of the exons, and without them (generateEvents --boundary V)
_SUPPA_EVENTS = (
    rf"(?P<gene>[^;]+);RI:(?P<chrom>.+):\d+:{SPAN}:\d+:(?P<strand>[+-])",
    rf"(?P<gene>[^;]+);RI:(?P<chrom>.+):{SPAN}:(?P<strand>[+-])",
)


def rmats(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """rMATS ``RI.MATS.JC.txt``, ``JCEC.txt``: the intron lies between upstreamEE and downstreamES; value = IncLevel.

    Every replicate of both groups is a sample. With the limits fdr and delta an intron is retained only where the
    groups differ.
    """
    place = rmats_place(table, problems)
    differs = numbers(table["FDR"], problems).fillna(1) <= limits["fdr"]
    differs &= numbers(table["IncLevelDifference"], problems).abs().fillna(0) >= limits["delta"]
    # version 3 of rMATS calls IC_SAMPLE_1 what is IJC_SAMPLE_1 since
    rows = []
    for group in "12":
        counts = (column_of(table, problems, f"{kind}JC_SAMPLE_{group}", f"{kind}C_SAMPLE_{group}") for kind in "IS")
        names = f"IncLevel{group}", *counts
        # a group of one sample has a lone NA where an event has no reads, one of several a list of them
        level, included, skipped = (table[name].fillna("NA").str.split(",", expand=True) for name in names)
        n_levels = level.count(axis=1)
        for line in table.index[(included.count(axis=1) != n_levels) | (skipped.count(axis=1) != n_levels)]:
            problems.add(f"group {group} has not one inclusion and one skipping count for every inclusion level", line)
        for i in level.columns.intersection(included.columns).intersection(skipped.columns):
            enough = sum(numbers(lists[i], problems) for lists in (included, skipped)) >= limits["reads"]
            replicate = call_rows(*place, numbers(level[i], problems), enough & differs, enough)
            rows.append(replicate.assign(sample=f"{group}.{i + 1}"))
    return stacked(rows, problems)


def rmats_events(
    table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems
) -> pd.DataFrame:
    """rMATS ``fromGTF.RI.txt``: introns that some annotated or novel transcript retains; no reads, so value = 1."""
    return call_rows(*rmats_place(table, problems), 1.0, True, False)


def rmats_place(table: pd.DataFrame, problems: Problems) -> tuple[pd.Series, pd.Series, pd.Series, pd.Series]:
    start, end = (whole_numbers(table[name], problems) for name in ("upstreamEE", "downstreamES"))
    return table["chr"], start, end, table["strand"]


def suppa_psi(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """SUPPA2 ``.psi``: event ``gene;RI:chrom:s1:e1-s2:e2:strand``, 1-based closed exons; a column a sample.

    -1 is its word for a missing value, beside NA. Raises BadData where a column of values has no name.
    """
    if "" in table and table[""].notna().any():
        # spreadsheets fill the header, one cell short, up at its end: every sample would have the values of the next
        raise BadData(f"{problems.where}: the header ends in an empty cell above values; move that cell to the front")
    events, place = suppa_events(table["row"], problems)
    levels = {name: numbers(events_of(table[name], events), problems) for name in table.columns.drop("row")}
    return stacked(
        (call_rows(*place, level.mask(level == -1), True, True).assign(sample=name) for name, level in levels.items()),
        problems,
    )


def suppa_ioe(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """SUPPA2 ``.ioe``: the annotated retention events; no expression, so value = 1."""
    _, place = suppa_events(table["event_id"], problems)
    return call_rows(*place, 1.0, True, False)


def suppa_dpsi(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """SUPPA2 ``.dpsi``: value = |ΔPSI|, trusted up to the limit p; the lack of a change shows nothing."""
    events, place = suppa_events(table["row"], problems)
    rows = []
    for name in [name for name in table if name.endswith("_dPSI")]:
        change = numbers(events_of(table[name], events), problems).abs()
        pair = name.removesuffix("_dPSI")
        p = numbers(events_of(table[column_of(table, problems, f"{pair}_p-val", f"{pair}_p.val")], events), problems)
        rows.append(call_rows(*place, change, p <= limits["p"], False).assign(sample=name))
    return stacked(rows, problems)


def suppa_events(
    texts: pd.Series, problems: Problems
) -> tuple[pd.Series, tuple[pd.Series, pd.Series, pd.Series, pd.Series]]:
    """The identifiers of the retention events among ``texts``, and their places."""
    events = texts[texts.str.contains(";RI:", regex=False, na=False)]
    if events.empty:
        raise BadData(f"{problems.where}: no retained-intron event (gene;RI:…) in it; is it the file of another event?")
    long, short = (events.str.extract(f"^{pattern}$", expand=True) for pattern in _SUPPA_EVENTS)
    place = long.where(long["start"].notna(), short)
    layout = "gene;RI:chrom:s1:e1-s2:e2:strand or gene;RI:chrom:e1-s2:strand"
    for line, text in events[place["start"].isna()].items():
        problems.add(f"{texts.name} is {text!r}, not {layout}", line)
    place = place.fillna("0")
    return events, (place["chrom"], whole_numbers(place["start"], problems), whole_numbers(place["end"], problems) - 1,
                    place["strand"])  # fmt: skip


def majiq(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """MAJIQ/voila 2 tsv: ir_coords is the intron, 1-based closed; its PSI is the last of the junctions'."""
    return majiq_rows(table, "ir_coords", "mean_psi_per_lsv_junction", 1, 0, genes, problems)


def majiq_v1(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """MAJIQ/voila 1 tsv: IR coords are the last base of the exon before and the first base of the one after."""
    return majiq_rows(table, "IR coords", "E(PSI) per LSV junction", 0, 1, genes, problems)


def majiq_dpsi(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """MAJIQ/voila 2 deltapsi tsv: value = |ΔPSI|, trusted from the limit probability of a change up."""
    rows = majiq_rows(table, "ir_coords", "mean_dpsi_per_lsv_junction", 1, 0, genes, problems)
    changing = last_item(table.loc[rows.index, "probability_changing"], problems).to_numpy()
    return rows.assign(value=rows["value"].abs(), can_retain=changing >= limits["probability"], can_splice=False)


def majiq_rows(
    table: pd.DataFrame, coords: str, psi: str, first: int, last: int, genes: pd.DataFrame, problems: Problems
) -> pd.DataFrame:
    table = table[table[coords].notna()]
    span = parts(table[coords], SPAN, "start-end", problems).fillna("0")
    start, end = (whole_numbers(span[name], problems) for name in ("start", "end"))
    start, end = start - first, end - last
    value = last_item(table[psi], problems)
    chrom = next((name for name in ("seqid", "chr") if name in table), None)
    if chrom:
        return call_rows(table[chrom], start, end, table[column_of(table, problems, "strand")], value, True, True)
    gene = table[column_of(table, problems, "gene_id", "Gene ID")].str.removeprefix("gene:")
    return placed_by_gene(gene, start, end, genes, value=value, can_retain=True, can_splice=True)


def last_item(texts: pd.Series, problems: Problems) -> pd.Series:
    return numbers(texts.str.split(";").str[-1].rename(texts.name), problems)


def vast(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """vast-tools ``INCLUSION_LEVELS_FULL-*.tab``: COORD is the intron, 1-based closed; value = PIR / 100.

    The quality column of a sample must say OK or SOK for its reads; its fifth score is the p of the test that reads at
    both ends of the intron are balanced, asked of retained introns.
    """
    table = table[table["EVENT"].str.contains(r"^[A-Za-z0-9]+INT\d+", regex=True, na=False)]
    strand = parts(table["FullCO"], r".+:(?P<strand>[+-])", "chrom:exon=exon:strand", problems)["strand"].fillna(".")
    place = *places(table["COORD"], 1, problems)[:3], strand
    samples = {name: f"{name}{mark}Q" for mark in "-." for name in table if f"{name}{mark}Q" in table}
    if not samples:
        raise BadData(f"{problems.where}: a table of vast-tools that lacks SAMPLE-Q, the quality of any sample")
    rows = []
    for name, quality in samples.items():
        scores = table[quality].fillna("N").str.split("@").str[0].str.split(",")
        read = scores.str[0].isin(["SOK", "OK"])
        balanced = ~(pd.to_numeric(scores.str[4], errors="coerce") <= limits["balance"])
        rows.append(call_rows(*place, numbers(table[name], problems) / 100, read & balanced, read).assign(sample=name))
    return stacked(rows, problems)


def splicegrapher(
    table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems
) -> pd.DataFrame:
    """SpliceGrapher/chromir events: the intron between two 1-based closed exons; a catalogue, so value = 1."""
    spans = (parts(table[name], TUPLE, "(start, end)", problems).fillna("0") for name in ("Pre_Exon", "Post_Exon"))
    pre, post = (span.apply(whole_numbers, problems=problems) for span in spans)
    start, end = np.minimum(pre["end"], post["end"]), np.maximum(pre["start"], post["start"]) - 1
    return call_rows(table["Chromosome"], start, end, table["Strand"], 1.0, True, False)


def shiba(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Shiba ``PSI_RI.txt``: intron_a names the last base of the exon before and the first of the one after, 1-based.

    value = PSI of each group; its reads, where the table has them, are those over the junction and over both ends of
    the intron.
    """
    chrom, start, end, _ = places(table["intron_a"], 1, problems)
    rows = []
    for group in ("ref", "alt"):
        names = [f"{group}_junction_a{end_}" for end_ in ("", "_start", "_end")]
        counts = [numbers(table[name], problems) for name in names if name in table]
        enough = sum(counts) >= limits["reads"] if counts else True
        value = numbers(table[f"{group}_PSI"], problems)
        rows.append(call_rows(chrom, start + 1, end - 1, table["strand"], value, enough, enough).assign(sample=group))
    return stacked(rows, problems)


def whippet(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Whippet ``.psi``: the nodes of type RI are introns, 1-based closed; value = Psi."""
    table = table[table["Type"] == "RI"]
    if table.empty:
        raise BadData(f"{problems.where}: no node of type RI in it")
    enough = numbers(table[column_of(table, problems, "Total_Reads", "Total Reads")], problems) >= limits["reads"]
    chrom, start, end, _ = places(table["Coord"], 1, problems)
    return call_rows(chrom, start, end, table["Strand"], numbers(table["Psi"], problems), enough, enough)


def majiq_v3(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """MAJIQ 3 tsv: the connections that are introns, 1-based closed; value = the mean PSI of every experiment or group.

    An intron is a connection of the event before and of the one after it, which count once, see ``collapse``.
    """
    table = table[table["is_intron"].str.lower().isin(["true", "1"])]
    if table.empty:
        raise BadData(f"{problems.where}: no connection that is an intron in it")
    start, end = (whole_numbers(table[name], problems) for name in ("start", "end"))
    for ending in ("raw_psi_mean", "bootstrap_psi_mean", "psi_mean"):
        names = [name for name in table if name.endswith(ending)]
        if names:
            break
    return stacked(
        (
            call_rows(
                table["seqid"], start - 1, end, table["strand"], numbers(table[name], problems), True, True
            ).assign(sample=name.removesuffix(ending).rstrip("_") or "1")
            for name in names
        ),
        problems,
    )


def fraser(table: pd.DataFrame, limits: dict[str, float], genes: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """FRASER 2 results: introns of type jaccard, 1-based closed; value = the share of reads that are not split."""
    table = table[table["type"] == "jaccard"]
    if table.empty:
        raise BadData(f"{problems.where}: no row of type jaccard in it; FRASER 1 does not tell retention apart")
    start, end = (whole_numbers(table[name], problems) for name in ("start", "end"))
    enough = numbers(table["totalCounts"], problems) >= limits["reads"]
    value = numbers(table["nonsplitProportion"], problems)
    rows = call_rows(table["seqnames"], start - 1, end, table["strand"], value, enough, enough)
    return rows.assign(sample=table["sampleID"])
