#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.85", "matplotlib>=3.9", "numpy>=2.0", "pandas>=2.2", "pyranges==0.1.7", "pysam>=0.22",
#   "rich>=13", "scipy>=1.13"]
# ///
"""Say which measured peaks (ChIP-seq, ATAC-seq, DNase-seq) lie more often on retained than on spliced introns.

This is the orthogonal check of what a model says: peaks of real cells instead of profiles predicted from sequence.
A mark is tested by logistic regression with one observation an intron, adjusted for length, GC content and their
squares, and for --expression where given: long introns meet more peaks whatever they are, and highly expressed genes
carry more marks. Introns of one leakage group (column group), which share peaks, do not count as independent. Fisher's
exact test, adjusted for nothing, stands beside it for comparison.

Each BED file is one mark, named after the file or by --names; with --by-name every distinct name in column four is one,
as in files of many factors. Peaks are counted on chromosomes of the labels only; the others are listed in enrich.json.

Writes a folder:
  enrich.tsv     one row per mark: introns with it, bases under it; odds ratio of retention, 95 % interval, p and q,
                 adjusted (odds_ratio …) and by Fisher's exact test (fisher_odds_ratio …)
  overlaps.tsv   one line an intron that was tested: bases of it under each mark
  enrich.json    settings, and what was left out and why
  forest.svg, forest.png   adjusted odds ratios with intervals, Fisher's beside them
"""

import json

from intronaut import __version__
from intronaut.cli import (
    add_chrom_aliases,
    add_covariates_option,
    add_output_folder,
    add_run_options,
    fraction,
    new_parser,
    positive_int,
    run,
    whole_number,
)
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import require_file, whole_folder
from intronaut.core.log import Log

TOOL = "enrich"
ENDINGS = (".gz", ".bgz", ".bed", ".narrowPeak", ".broadPeak", ".txt", ".tsv")
DRAWN = 40


def make_parser():
    parser = new_parser(__doc__, TOOL)
    inputs = parser.add_argument_group("input")
    data = inputs.add_argument
    data("labels", metavar="LABELS", help="labels.tsv")
    data("--peaks", required=True, nargs="+", metavar="BED", help="peaks of a mark: BED, narrowPeak, plain or gzip")
    data("--names", metavar="A,B,…", help="names of the marks, one a file [file names]")
    data("--by-name", action="store_true", help="column four tells the marks apart, not the file")
    add_chrom_aliases(inputs)
    over = parser.add_argument_group("overlap").add_argument
    over("--min-bases", type=positive_int, default=1, metavar="BP", help="of the intron under peaks of the mark")
    over("--min-fraction", type=fraction, default=0.0, metavar="F", help="of the intron under peaks of the mark")
    over("--flank", type=whole_number, default=0, metavar="BP", help="bases on either side of an intron that count too")
    tests = parser.add_argument_group("test")
    test = tests.add_argument
    test("--adjust", default="length,gc", metavar="COLS", help="columns of the labels to adjust for")
    test(
        "--expression", metavar="TSV", help="adjust for expression: a table with name, intron_id, gene_id or gene_name"
    )
    test(
        "--expression-column", metavar="NAME", help="its column of expression [tpm, fpkm …, or the only one of numbers]"
    )
    add_covariates_option(tests)
    test("--min-introns", type=positive_int, default=10, metavar="N", help="introns with and without the mark")
    add_output_folder(parser)
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    check_options(args)
    log = Log(TOOL, args)
    import numpy as np
    import pandas as pd

    from intronaut.io.tables import write_table
    from intronaut.stats.association import AdjustedTest, design_matrix

    table, covariates, expression, left_out = read_introns(args, log)
    marks, peaks_left_out = read_marks(args, table)
    covered = covered_bases(table, marks, args.flank)
    length = (table["end"] - table["start"] + 2 * args.flank).to_numpy()
    has = (covered >= args.min_bases) & (covered >= args.min_fraction * length[:, None])
    label = table["label"].to_numpy()
    design, constant = design_matrix(covariates)
    for name in constant:
        log.warn(f"not adjusted for {name}: it is constant or follows from the others")
    groups = table.get("group")
    test = AdjustedTest(label, design, groups)
    if not test.grouped:
        log.warn(f"{args.labels} has no column group, or few groups in it: all introns count as independent")
    results = mark_table(marks, covered, has, label, length, test, args.min_introns)
    names = ["chrom", "start", "end", "name", "score", "strand", "label"]
    by_intron = table[names].assign(label=label.astype(int)).reset_index(drop=True)
    by_intron = pd.concat([by_intron, pd.DataFrame(covered, columns=list(marks))], axis=1)
    n_retained = int(label.sum())
    summary = {
        "tool": TOOL, "version": __version__, "n_retained": n_retained, "n_spliced": len(label) - n_retained,
        "left_out": left_out, "peaks_left_out": peaks_left_out, "min_bases": args.min_bases,
        "min_fraction": args.min_fraction, "flank": args.flank, "adjusted_for": list(covariates.columns),
        "expression_column": expression,
        "groups": int(groups.nunique()) if test.grouped else None,
    }  # fmt: skip
    with whole_folder(args.output) as folder:
        write_table(folder / "enrich.tsv", results)
        write_table(folder / "overlaps.tsv", by_intron, for_people=True)
        text = json.dumps(summary, indent=1, ensure_ascii=False)
        (folder / "enrich.json").write_text(text + "\n", encoding="utf-8")
        draw(folder, results)
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in left_out.items() if n) or "none"
    log.note(f"{n_retained:,} retained and {len(label) - n_retained:,} spliced introns; left out: {reasons}")
    for row in results[np.isfinite(results["p"])].head(5).itertuples():
        log.note(
            f"{row.mark}: {row.share_retained:.1%} of retained, {row.share_spliced:.1%} of spliced introns; odds ratio "
            f"{row.odds_ratio:.2f} adjusted (q {row.q:.2g}), {row.fisher_odds_ratio:.2f} not"
        )


def check_options(args):
    """Refuse options that do not fit together, and inputs that are not there, before any work."""
    if args.expression_column and not args.expression:
        raise UsageError("--expression-column needs --expression")
    if args.names and args.by_name:
        raise UsageError("--names and --by-name both name the marks; give one of them")
    for path in (args.labels, *args.peaks, args.chrom_aliases, args.expression):
        if path is not None:
            require_file(path)


def read_introns(args, log):
    """The introns with a label and all covariates, these, the column of expression, and how many others by reason."""
    import numpy as np
    import pandas as pd

    from intronaut.io.covariates import read_covariates, with_missing_marks
    from intronaut.io.expression import read_expression
    from intronaut.io.tables import read_labels

    table = read_labels(args.labels)
    names = [name for name in args.adjust.split(",") if name]
    unknown = [name for name in names if name not in table]
    if unknown:
        raise UsageError(f"--adjust {args.adjust}: {args.labels} has no column {', '.join(unknown)}")
    covariates = pd.DataFrame({name: pd.to_numeric(table[name], errors="coerce") for name in names}, index=table.index)
    if len(table) and covariates.get("gc", pd.Series([0.0])).isna().all():
        raise BadData(f"{args.labels}: column gc is empty; give label_introns the --fasta, or --adjust length")
    column = None
    if args.expression:
        column, covariates["expression"] = read_expression(args.expression, table, args.expression_column)
        share = covariates["expression"].notna().mean()
        log.note(f"{args.expression}: column {column} has the expression of {share:.1%} of the introns")
    user = with_missing_marks(read_covariates(table, args.covariates, args.allow_missing, log).values)
    covariates = covariates.join(user)
    reason = np.select([table["label"].isna(), covariates.isna().any(axis=1)], ["no_label", "no_covariate"], "")
    left_out = {name: int((reason == name).sum()) for name in ("no_label", "no_covariate")}
    kept = reason == ""
    n_retained, n_spliced = (int((table["label"][kept] == value).sum()) for value in (1, 0))
    if not n_retained or not n_spliced:
        counts = f"{n_retained} retained and {n_spliced} spliced introns with {', '.join(covariates.columns)}"
        raise BadData(f"{args.labels}: {counts}; both kinds are needed")
    return table[kept].reset_index(drop=True), covariates[kept].reset_index(drop=True), column, left_out


def read_marks(args, table):
    """A dict from the mark's name to its peaks in the labels' chromosome names; peaks left out, by file."""
    from intronaut.genome.chromosomes import read_aliases, resolve_chrom, resolve_chroms
    from intronaut.io.peaks import read_peaks

    aliases = read_aliases(args.chrom_aliases) if args.chrom_aliases else None
    lengths = dict.fromkeys(table["chrom"].unique())
    names = args.names.split(",") if args.names else [mark_name(path) for path in args.peaks]
    if len(names) != len(args.peaks):
        raise UsageError(f"--names: {len(names)} names for {len(args.peaks)} files")
    marks, left_out = {}, {}
    for path, name in zip(args.peaks, names, strict=True):
        peaks = read_peaks(path, unique_names=False)
        names_here = {chrom: resolve_chrom(chrom, lengths, aliases) for chrom in peaks["chrom"].unique()}
        if not any(names_here.values()):
            resolve_chroms(names_here, lengths, aliases, source=path, genome=args.labels)
        placed = peaks.assign(chrom=peaks["chrom"].map(names_here)).dropna(subset="chrom")
        left_out[str(path)] = {"peaks": len(peaks), "other_chromosomes": len(peaks) - len(placed)}
        if args.by_name and placed["name"].isna().any():
            raise BadData(f"{path}: --by-name needs a name in column four of every line")
        for mark, part in placed.groupby("name", sort=True) if args.by_name else [(name, placed)]:
            if mark in marks:
                raise UsageError(f"two marks are called {mark}; tell them apart with --names")
            marks[mark] = part.reset_index(drop=True)
    return marks, left_out


def mark_name(path):
    """The file's name without folders and the usual endings."""
    from pathlib import Path

    name = Path(path).name
    while (ending := next((end for end in ENDINGS if name.lower().endswith(end.lower())), None)) and name != ending:
        name = name[: -len(ending)]
    return name


def covered_bases(table, marks, flank):
    """Bases of each intron, with ``flank`` on either side, under at least one peak: ``(introns, marks)`` int64."""
    import numpy as np

    from intronaut.genome.intervals import covered, overlapping_pairs

    introns = table[["chrom"]].assign(start=(table["start"] - flank).clip(lower=0), end=table["end"] + flank)
    columns = [covered(overlapping_pairs(introns, peaks), introns, peaks) for peaks in marks.values()]
    return np.column_stack(columns).astype(np.int64)


def mark_table(marks, covered, has, label, length, test, least):
    """enrich.tsv: the smallest p first."""
    import numpy as np
    import pandas as pd

    from intronaut.stats.association import effect_columns, fisher, q_values

    retained, spliced = label == 1, label == 0
    few = (has.sum(axis=0) < least) | ((~has).sum(axis=0) < least)
    columns = np.where(few, 0, has)
    exact = pd.DataFrame([fisher(column, label) for column in has.T], columns=["odds_ratio", "low", "high", "p"])
    table = pd.DataFrame(
        {
            "mark": list(marks),
            "peaks": [len(peaks) for peaks in marks.values()],
            "status": np.where(few, "too_few", "tested"),
            "retained_with": has[retained].sum(axis=0),
            "spliced_with": has[spliced].sum(axis=0),
            "share_retained": has[retained].mean(axis=0),
            "share_spliced": has[spliced].mean(axis=0),
            "bases_retained": covered[retained].sum(axis=0) / length[retained].sum(),
            "bases_spliced": covered[spliced].sum(axis=0) / length[spliced].sum(),
            **effect_columns([test.effect(column) for column in columns.T]),
            **{f"fisher_{name}": values for name, values in exact.items()},
            "fisher_q": q_values(exact["p"]),
        }
    )
    return table.sort_values(["p", "fisher_p"], kind="stable", ignore_index=True)


def draw(folder, results):
    """The adjusted odds ratios with their intervals, and Fisher's as open circles."""
    import matplotlib.pyplot as plt
    import numpy as np

    from intronaut.plots.svg import AS_IS, NEUTRAL, RETAINED, SPLICED, save_both

    shown = results[np.isfinite(results["low"])].head(DRAWN)
    figure, axes = plt.subplots(figsize=(6, 0.9 + 0.28 * max(len(shown), 1)))
    axes.axvline(1, color=NEUTRAL, linewidth=0.8, linestyle=":")
    for line, row in enumerate(shown.itertuples()):
        colour = NEUTRAL if not row.q <= 0.05 else RETAINED if row.odds_ratio > 1 else SPLICED
        axes.plot([row.low, row.high], [line, line], color=colour, linewidth=1.4)
        axes.plot(row.odds_ratio, line, "o", color=colour, markersize=5)
        if np.isfinite(row.fisher_odds_ratio) and row.fisher_odds_ratio > 0:
            axes.plot(row.fisher_odds_ratio, line, "o", markerfacecolor="none", color="#999999", markersize=5)
    axes.plot([], [], "o", color=NEUTRAL, markersize=5, label="adjusted, 95 % interval (coloured: q ≤ 0.05)")
    axes.plot([], [], "o", markerfacecolor="none", color="#999999", markersize=5, label="unadjusted")
    axes.set_yticks(range(len(shown)), shown["mark"], **AS_IS)
    axes.set_ylim(max(len(shown), 1) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(plt.NullFormatter())
    axes.set_xlabel("odds ratio of retention, introns with the mark against those without")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.3 if len(shown) < 8 else -0.12), ncols=2)
    save_both(figure, folder / "forest")


if __name__ == "__main__":
    run(main, TOOL)
