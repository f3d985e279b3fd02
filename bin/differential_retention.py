#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=1.26", "pandas>=2.2", "pysam>=0.22", "pyranges>=0.1.7,<1", "biopython>=1.83", "scipy>=1.11",
#   "rich>=13"]
# ///
"""Find introns whose retention differs between conditions, from replicates measured by quantify_introns.

Each condition of the sheet is compared with the reference by a beta-binomial score test over its replicates; how much
an intron varies between replicates is moderated by how much all do. Tables of differences of rMATS (RI.MATS), SUPPA2
(.dpsi) and MAJIQ (deltapsi) are brought into the same form.

Writes:
  differences.tsv    a row for each intron and comparison: BED6, the two levels, their difference with its interval,
                     shrunken difference, p, FDR, and change: more, less, unchanged, or NA with a reason
  differences.json   how many of each, and how much replicates vary

label_introns reads differences.tsv as calls: more is 1, unchanged is 0. Coordinates are 0-based and half-open.
"""

import json

from intronaut.cli import add_run_options, fraction, new_parser, refuse_without_effect, run
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import named_after, published_together, require_file, whole_file
from intronaut.core.log import Log

TOOL = "differential_retention"
FEWEST = 10
COLUMNS = ("comparison", "caller", "gene_id", "reference", "level", "n_reference", "n_level", "delta_psi", "delta_low",
           "delta_high", "shrunken_delta", "p", "fdr", "change", "reason")  # fmt: skip


def make_parser():
    parser = new_parser(__doc__, TOOL)
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="SAMPLE.introns.tsv.gz, or differences of a program")
    add = parser.add_argument_group("conditions").add_argument
    add("--sample-sheet", metavar="TSV", help="sheet of quantify_introns: sample and condition")
    add("--reference", metavar="NAME", help="condition that the others are compared with [the first of the sheet]")
    add("--condition", metavar="NAME", help="compare only this condition with the reference [every other]")
    add("--annotation", metavar="FILE", help="GTF or GFF3, to place MAJIQ's introns by their genes")
    add = parser.add_argument_group("what counts as a change").add_argument
    add("--fdr", type=fraction, default=0.05, metavar="F", help="largest false discovery rate of a change")
    add("--delta", type=fraction, default=0.1, metavar="D", help="least difference of psi of a change")
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", default="differences.tsv", metavar="FILE", help="introns and comparisons")
    add("--summary", metavar="FILE", help="how many of each [differences.json, named after --output]")
    add_run_options(parser)
    return parser


def main(argv):
    parser = make_parser()
    args = parser.parse_args(argv)
    args.summary = args.summary or named_after(args.output, "differences", "differences.json")
    for path in (*args.tables, args.sample_sheet, args.annotation):
        if path is not None:
            require_file(path)
    log = Log(TOOL, args)
    import pandas as pd

    from intronaut.genome.annotation import chrom_order
    from intronaut.io.tables import BED_COLUMNS, write_table

    measured, others = read_tables(args, log)
    if measured is None:
        refuse_without_effect(
            parser, args, ["sample_sheet", "reference", "condition"], "without tables of quantify_introns"
        )
    elif args.sample_sheet is None:
        raise UsageError("tables of quantify_introns need the conditions of their samples; give --sample-sheet")
    comparisons = [] if measured is None else list(compared(args, measured, log))
    rows = pd.concat([*(table for table, _ in comparisons), *(judged(table, args) for table in others)])
    spans = rows["start"].astype(str) + "-" + rows["end"].astype(str)
    rows["name"] = rows["chrom"] + ":" + spans + ":" + rows["strand"]
    rows = rows.assign(score=0, order=chrom_order(rows["chrom"]))
    rows = rows.sort_values(["comparison", "caller", "order", "start", "end", "strand"], kind="stable")
    summary = {"tool": TOOL, "fdr": args.fdr, "delta": args.delta, "comparisons": count_changes(rows)}
    for (_, shared), name in zip(comparisons, (table["comparison"].iloc[0] for table, _ in comparisons), strict=True):
        summary["comparisons"][f"{name} intronaut"] |= shared
    with published_together():
        with whole_file(args.summary) as out:
            json.dump(summary, out, indent=1)
            out.write("\n")
        write_table(args.output, rows[[*BED_COLUMNS, *COLUMNS]])
    for name, counts in summary["comparisons"].items():
        log.note(
            f"{name}: {counts['more']:,} introns more retained, {counts['less']:,} less, {counts['unchanged']:,} not"
        )


def read_tables(args, log):
    """All samples measured by quantify_introns in one DataFrame, None for none; the other programs' tables, a list."""
    import pandas as pd

    from intronaut.genome.annotation import read_annotation
    from intronaut.labels.difference_tables import read_differences
    from intronaut.labels.measured_tables import is_measured_table, read_measured

    ours = [path for path in args.tables if is_measured_table(path)]
    measured = (
        pd.concat([read_measured(path) for path in log.each(ours, "tables")], ignore_index=True) if ours else None
    )
    if measured is not None and measured.duplicated(["sample", "name"]).any():
        twice = measured.loc[measured.duplicated(["sample", "name"]), "sample"].iloc[0]
        raise BadData(f"sample {twice} is in two of the tables; give each sample once")
    genes = (
        read_annotation(args.annotation).genes
        if args.annotation
        else pd.DataFrame(columns=["gene_id", "chrom", "strand"])
    )
    others = []
    for path in args.tables:
        if path not in ours:
            table, caller = read_differences(path, genes)
            if (table["chrom"] == ".").any():
                raise BadData(
                    f"{path}: it names genes and no chromosomes, and not all are found; give their --annotation"
                )
            others.append(table.assign(caller=caller))
    return measured, others


def compared(args, measured, log):
    """Yield, for each condition but the reference, the rows of its comparison and what replicates share."""
    from intronaut.io.sample_sheet import read_conditions

    conditions = read_conditions(args.sample_sheet)
    unknown = sorted(set(measured["sample"]) - set(conditions))
    if unknown:
        raise BadData(f"{args.sample_sheet}: no sample {', '.join(unknown)}")
    samples = {}
    for sample, condition in conditions.items():
        if sample in set(measured["sample"]) and condition is not None:
            samples.setdefault(condition, []).append(sample)
    reference = args.reference or next(iter(samples), None)
    if reference not in samples or len(samples) < 2:
        raise UsageError(f"{args.sample_sheet}: conditions of the tables: {', '.join(samples) or 'none'}; "
                         "two are needed, one of them the reference (--reference)")  # fmt: skip
    if args.condition is not None and args.condition not in set(samples) - {reference}:
        raise UsageError(f"--condition {args.condition}: give one of the tables' that is not the reference {reference}")
    others = [args.condition] if args.condition else [name for name in samples if name != reference]
    for condition in log.each(others, "comparisons"):
        if max(len(samples[reference]), len(samples[condition])) < 2:
            log.warn(f"{condition}: no replicates; how much introns vary is assumed, not measured")
        yield comparison_rows(args, measured, condition, reference, samples)


def comparison_rows(args, measured, condition, reference, samples):
    """The rows of one comparison, and the overdispersion and prior that its introns share."""
    import numpy as np

    from intronaut.stats.differences import compare_groups, shrunken
    from intronaut.stats.model_comparison import benjamini_hochberg

    names = [*samples[reference], *samples[condition]]
    groups = np.repeat([False, True], [len(samples[reference]), len(samples[condition])])
    wide = measured.pivot(index="name", columns="sample", values=["retained", "spliced"])
    retained, spliced = (np.nan_to_num(wide[name][names].to_numpy(float)) for name in ("retained", "spliced"))
    places = measured.drop_duplicates("name").set_index("name").loc[wide.index]
    n = retained + spliced
    result = compare_groups(retained, n, groups)
    rows = places[["chrom", "start", "end", "strand", "gene_id"]].reset_index(drop=True)
    rows = rows.assign(comparison=f"{condition}_vs_{reference}", caller="intronaut")
    rows["reference"], rows["level"] = result["reference"], result["level"]
    rows["n_reference"], rows["n_level"] = n[:, ~groups].sum(axis=1), n[:, groups].sum(axis=1)
    for name in ("delta", "low", "high"):
        rows["delta_psi" if name == "delta" else f"delta_{name}"] = result[name]
    rows["shrunken_delta"] = shrunken(result["delta"], result["se"])
    enough = (rows[["n_reference", "n_level"]] >= FEWEST).all(axis=1).to_numpy()
    rows["p"] = np.where(enough, result["p"], np.nan)
    tested = rows["p"].notna().to_numpy()
    rows.loc[tested, "fdr"] = benjamini_hochberg(rows.loc[tested, "p"].to_numpy())
    rows["change"], rows["reason"] = changes(rows, enough, args)
    shared = result["shared"]
    about = {"samples": {name: samples[name] for name in (reference, condition)}, "tested": int(tested.sum()),
             "overdispersion": shared.rho, "prior": shared.prior, "prior_df": shared.prior_df}  # fmt: skip
    return rows, about


def changes(rows, enough, args):
    """``more``, ``less``, ``unchanged`` or None, and the reason for None."""
    import numpy as np

    delta, fdr = rows["delta_psi"].to_numpy(float), rows["fdr"].to_numpy(float)
    low, high = rows["delta_low"].to_numpy(float), rows["delta_high"].to_numpy(float)
    tests = [
        (~enough, None, "low_evidence"),
        ((fdr <= args.fdr) & (delta >= args.delta), "more", None),
        ((fdr <= args.fdr) & (delta <= -args.delta), "less", None),
        ((low > -args.delta) & (high < args.delta), "unchanged", None),
    ]
    fits, words, reasons = zip(*tests, strict=True)
    as_objects = [[np.full(len(rows), word, object) for word in column] for column in (words, reasons)]
    return np.select(fits, as_objects[0], None), np.select(fits, as_objects[1], "grey_zone")


def judged(table, args):
    """The rows of another program with ``change``: its FDR (where it has none, p) and difference decide."""
    import numpy as np

    table = table.rename(columns={"delta": "delta_psi"})
    rate = table["fdr"].fillna(table["p"])
    table["delta_low"] = table["delta_high"] = table["shrunken_delta"] = np.nan
    table["n_reference"] = table["n_level"] = np.nan
    table["gene_id"] = None
    table["fdr"] = rate
    table["change"], table["reason"] = changes(table, np.full(len(table), True), args)
    return table


def count_changes(rows):
    """For each comparison of each caller: introns with each change, and the reasons for none."""
    counts = {}
    for (comparison, caller), group in rows.groupby(["comparison", "caller"]):
        words = group["change"].value_counts()
        counts[f"{comparison} {caller}"] = {
            "introns": len(group), **{word: int(words.get(word, 0)) for word in ("more", "less", "unchanged")},
            "reasons": group["reason"].value_counts().to_dict(),
        }  # fmt: skip
    return counts


if __name__ == "__main__":
    run(main, TOOL)
