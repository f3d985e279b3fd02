"""The table of a sample, what there is to say of its reads, its novel junctions and its track."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from intronaut.core.memory import give_back_memory
from intronaut.genome.annotation import chrom_order
from intronaut.io.fragments import REASONS
from intronaut.labels.fragment_counts import (
    ANY,
    MINUS,
    PLUS,
    ChromCounts,
    SparseCounts,
    read_keys,
    strands_of_classes,
)
from intronaut.labels.intron_bodies import STRANDS, Bodies, ChromIntrons
from intronaut.labels.other_counts import COVERAGE, match_count_table
from intronaut.labels.read_counts import OVERHANG, SHORT, Introns, ReadSample, SampleCounts
from intronaut.labels.retention import (
    COLUMNS,
    LIMITS,
    body_depth,
    counts_of_introns,
    depth_of_strand,
    finished_table,
    flags,
    retention,
    unmeasured,
)

NOVEL_COLUMNS = ("chrom", "start", "end", "name", "score", "strand", "sample", "fragments", "known_ends", "inside")
FEWEST_NOVEL = 5
# shares beyond which a sample is not what RNA-seq of mRNA looks like
FEWEST_SPLICED, MOST_DROPPED, MOST_UNSPLICED_DEPTH, MIXED = 0.05, 0.5, 0.3, (0.2, 0.8)
UNIQUE_OR_UNKNOWN = 255


def measured_table(introns: Introns, counts: SampleCounts, present: dict[str, int], sample: str) -> pd.DataFrame:
    """The table of one sample (``retention.COLUMNS``), in the order of the introns; ``counts`` lose their depth.

    Args:
        introns: Introns; ``counts``: SampleCounts.
        present: chromosomes of the annotation that the alignments have, reads or none.
    """
    tables = []
    for chrom, (row, about) in introns.chroms(counts.overhang).items():
        bodies = about.bodies(counts.library == "unstranded")
        if chrom in present:
            chrom_counts = counts.chroms.get(chrom) or ChromCounts(len(about.points))
            columns = counts_of_introns(about, chrom_counts, counts.library)
            if counts.kind == COVERAGE:
                columns |= dict.fromkeys(("ei_left", "ei_right"), np.full(len(row), np.nan))
            table = with_depth(about, bodies, columns, chrom_counts, counts.library)
            chrom_counts.depth = SparseCounts()
        else:
            table = unmeasured(about, bodies)
        tables.append(finished_table(introns.table.iloc[row], table, sample))
    give_back_memory()
    # column by column, so that never more than one is there twice
    columns = {name: pd.concat([table.pop(name) for table in tables], ignore_index=True) for name in COLUMNS}
    return pd.DataFrame(columns, copy=False)


def counted_table(introns: Introns, rows: pd.DataFrame, sample: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of a sample from a table of counts (as from ``read_count_table``), and the rows that it leaves out."""
    levels, lost = match_count_table(introns.table, rows)
    order, tables = [], []
    for row, about in introns.chroms(OVERHANG[SHORT]).values():
        order.append(row)
        table = levels.iloc[row].reset_index(drop=True)
        tables.append(table.assign(flags=flags(table, about)))
    return finished_table(introns.table.iloc[np.concatenate(order)], pd.concat(tables), sample), lost


def with_depth(
    about: ChromIntrons, bodies: Bodies, columns: dict[str, np.ndarray], counts: ChromCounts, library: str
) -> pd.DataFrame:
    """The columns of a chromosome from its counts: levels, body, balance and flags."""
    depths = np.full((3, len(about.start)), np.nan)
    for strand in (PLUS, MINUS):
        chosen = about.minus == (strand == MINUS)
        measured = body_depth(bodies, depth_of_strand(counts, library, strand), chosen)
        depths = np.where(chosen, measured, depths)
    table = retention(columns, bodies, depths)
    return table.assign(flags=flags(table, about))


def sample_counts(sample: ReadSample, counts: SampleCounts, table: pd.DataFrame) -> dict[str, Any]:
    """What goes to ``counts.json`` of a sample: reads left out by reason, fragments, library, calls."""
    reads, fragments = counts.reads, counts.fragments
    numbers = {f"dropped_{name}": reads.dropped[name] for name in REASONS if reads.dropped[name]}
    numbers |= {
        "records": reads.records, "kept": reads.kept, "introns": len(table), "fragments": fragments.fragments,
        "pairs": fragments.pairs, "spliced_fragments": fragments.spliced_fragments,
        "anchored_spliced_fragments": fragments.anchored_spliced_fragments,
    }  # fmt: skip
    return {
        "sample": sample.name, "library": counts.library, "strand_same": fragments.same,
        "strand_opposite": fragments.opposite, "strand_share": counts.share, "reads": counts.kind,
        "overhang": counts.overhang, "wobble": counts.wobble, **dict(sorted(numbers.items())), **count_calls(table),
        "condition": sample.condition, "kept_duplicates": reads.duplicates, "min_mapq": counts.rules.min_mapq,
        "keep_multimapped": counts.rules.keep_multimapped, "drop_duplicates": counts.rules.drop_duplicates,
    }  # fmt: skip


def other_counts(name: str, condition: str | None, kind: str, table: pd.DataFrame, **about: bool) -> dict[str, Any]:
    """What goes to ``counts.json`` of a sample without alignments; ``kind`` is ``coverage`` or ``counts``."""
    numbers = {"sample": name, "library": "NA", "reads": kind, **about, "introns": len(table)}
    return numbers | count_calls(table) | {"condition": condition, "warnings": []}


def count_calls(table: pd.DataFrame) -> dict[str, Any]:
    """How many introns have each call, each reason for none, and fragments enough; the median psi of these."""
    known = table.loc[table["n"] >= LIMITS["n"], "psi"]
    calls = table["call"].map({1: "1", 0: "0"}).fillna("NA")
    reasons = table.loc[table["reason"] != ".", "reason"]
    median = None if known.empty else float(known.median())
    return {
        "calls": dict(Counter(calls)), "reasons": dict(Counter(reasons)), "measured": len(known), "median_psi": median,
    }  # fmt: skip


def warnings(about: dict[str, Any], counts: SampleCounts, table: pd.DataFrame, strand_given: bool) -> list[str]:
    """What the user should look at in a sample, a list of texts.

    Args:
        about: as from :func:`sample_counts`; ``strand_given``: whether the user says how the library was made.
    """
    texts, share, n = [], about["strand_share"], about["strand_same"] + about["strand_opposite"]
    if not strand_given and n < 50:
        texts.append(f"only {n} fragments on genes of one strand: the library is taken as unstranded; see --strand")
    elif share is not None and (MIXED[0] < share < 0.4 or 0.6 < share < MIXED[1]):
        texts.append(f"strand_mixed: {share:.0%} of fragments show the gene's strand by read 1: two libraries, or DNA?")
    fragments, records = max(about["fragments"], 1), max(about["records"], 1)
    if about["spliced_fragments"] / fragments < FEWEST_SPLICED:
        texts.append(f"{about['spliced_fragments'] / fragments:.1%} of fragments are spliced: is it RNA-seq of mRNA?")
    for name, number in counts.reads.dropped.items():
        if number / records > MOST_DROPPED:
            texts.append(f"{number / records:.0%} of the records are left out as {name}")
    if counts.reads.shared_names:
        texts.append(
            f"{counts.reads.shared_names:,} names stand for more than two reads, which count as one fragment: were "
            "lanes merged whose reads have the same names? Give each lane as a file, with replicate_of"
        )
    share = unspliced_depth(table)
    if share > MOST_UNSPLICED_DEPTH:
        texts.append(f"{share:.0%} of the depth of introns is in genes without one junction: genomic DNA?")
    if about["kept"] and not counts.reads.has_nh and counts.reads.qualities <= {0, UNIQUE_OR_UNKNOWN}:
        texts.append("no record has NH and no mapping quality is known: multimapped reads cannot be left out")
    return texts


def unspliced_depth(table: pd.DataFrame) -> float:
    """The share of the introns' depth that lies in genes of which no intron has a junction."""
    depth = table["depth_mean"].fillna(0) * table["measured"]
    spliced = (table["sj_left"].fillna(0) + table["sj_right"].fillna(0)).astype(float)
    of_gene = spliced.groupby(table["gene_id"].fillna(".")).transform("sum")
    return float(depth[of_gene == 0].sum() / depth.sum()) if depth.sum() > 0 else 0.0


def novel_junctions(introns: Introns, counts: SampleCounts, sample: str) -> pd.DataFrame:
    """The junctions with at least five fragments at which no intron is annotated: DataFrame of NOVEL_COLUMNS.

    ``known_ends`` says which of the ends are those of annotated introns; ``inside`` is the shortest annotated intron of
    the strand that has the junction strictly inside, ``.`` for none.
    """
    parts = []
    for chrom, chrom_counts in [*counts.chroms.items(), *counts.others.items()]:
        about = introns.chroms(counts.overhang)[chrom][1] if chrom in counts.chroms else None
        start, end, kind = read_keys(chrom_counts.junctions.total()[0])
        strand = strands_of_classes(counts.library)[kind]
        table = pd.DataFrame({"start": start, "end": end, "strand": strand})
        table["fragments"] = chrom_counts.junctions.total()[1]
        table = table.groupby(["start", "end", "strand"], as_index=False)["fragments"].sum()
        table = table[table["fragments"] >= FEWEST_NOVEL]
        rows = [_novel(about, chrom, *row) for row in table.itertuples(index=False)]
        parts.append(
            pd.DataFrame([row for row in rows if row], columns=["chrom", *table.columns, "known_ends", "inside"])
        )
    table = pd.concat(parts) if parts else pd.DataFrame(columns=["chrom", "start", "end", "strand", "fragments"])
    table["strand"] = table["strand"].map({PLUS: "+", MINUS: "-", ANY: "."})
    table["name"] = (
        table["chrom"] + ":" + table["start"].astype(str) + "-" + table["end"].astype(str) + ":" + table["strand"]
    )
    table = table.assign(score=table["fragments"].clip(upper=1000), sample=sample, order=chrom_order(table["chrom"]))
    table = table.sort_values(["order", "start", "end", "strand"], kind="stable", ignore_index=True)
    return table.reindex(columns=NOVEL_COLUMNS)


def _novel(about, chrom, start, end, strand, fragments):
    """The row of a junction, or None when an intron is annotated there."""
    if about is None:
        return chrom, start, end, strand, fragments, "none", "."
    same = np.ones(len(about.start), bool) if strand == ANY else about.minus == (strand == MINUS)
    if np.any(same & (about.start == start) & (about.end == end)):
        return None
    left, right = np.any(same & (about.start == start)), np.any(same & (about.end == end))
    ends = "both" if left and right else "left" if left else "right" if right else "none"
    over = np.flatnonzero(same & (about.start < start) & (about.end > end))
    inside = "."
    if len(over):
        best = over[np.argmin((about.end - about.start)[over])]
        inside = f"{chrom}:{about.start[best]}-{about.end[best]}:{STRANDS[int(about.minus[best])]}"
    return chrom, start, end, strand, fragments, ends, inside


def retention_track(table: pd.DataFrame) -> Iterator[tuple[str, int, int, float]]:
    """psi along the genome, of introns with enough reads: ``(chrom, start, end, psi)``, sorted, without overlaps.

    Where introns overlap, a base has the psi of the shortest one: the most particular that is measured there.
    """
    known = table[table["n"] >= LIMITS["n"]]
    for chrom, rows in known.groupby("chrom", sort=False):
        rows = rows.assign(length=rows["end"] - rows["start"]).sort_values("length", ascending=False, kind="stable")
        cuts = np.unique(np.concatenate([rows["start"], rows["end"]]))
        level = np.full(len(cuts), np.nan)
        starts, ends = (np.searchsorted(cuts, rows[name]) for name in ("start", "end"))
        for start, end, psi in zip(starts, ends, rows["psi"], strict=True):
            level[start:end] = psi
        for place in np.flatnonzero(~np.isnan(level)):
            yield chrom, int(cuts[place]), int(cuts[place + 1]), float(level[place])


def multiqc_tables(samples: list[dict[str, Any]]) -> dict[str, str]:
    """The two MultiQC custom-content tables, texts: what was measured of each sample, and the records left out.

    ``samples``: a dict as from :func:`sample_counts` of each.
    """
    measured = ["sample\tfragments\tdropped_percent\tspliced_percent\tlibrary\tstrand_share\tintrons_measured\t"
                "median_psi\tretained\tspliced\tuncalled"]  # fmt: skip
    dropped = ["\t".join(["sample", "kept", *REASONS])]
    for about in samples:
        records = about.get("records", 0)
        left_out = sum(about.get(f"dropped_{name}", 0) for name in REASONS)
        fragments, spliced = about.get("fragments", 0), about.get("spliced_fragments", 0)
        calls = [about["calls"].get(name, 0) for name in ("1", "0", "NA")]
        shares = _percent(left_out, records), _percent(spliced, fragments)
        cells = [about["sample"], fragments, *shares, about["library"], _digits(about.get("strand_share"))]
        cells += [about["measured"], _digits(about["median_psi"]), *calls]
        measured.append("\t".join(map(str, cells)))
        if records:
            numbers = [about["kept"], *(about.get(f"dropped_{name}", 0) for name in REASONS)]
            dropped.append("\t".join(map(str, [about["sample"], *numbers])))
    return {
        "quantify_introns": _multiqc("quantify_introns", "table", "Retention measured from reads", measured),
        "quantify_introns_dropped": _multiqc("quantify_introns_dropped", "bargraph", "Records left out", dropped),
    }


def _multiqc(name, kind, title, lines):
    head = {"id": name, "section_name": f"Intron retention: {title}", "plot_type": kind}
    return "".join(f"{line}\n" for line in [*(f"# {key}: '{text}'" for key, text in head.items()), *lines])


def _percent(part, whole):
    return f"{100 * part / whole:.2f}" if whole else "NA"


def _digits(value):
    return "NA" if value is None or value != value else f"{value:.4f}"
