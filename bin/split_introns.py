#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.85", "numpy>=2.0", "pandas>=2.2", "pyopal>=0.7", "scipy>=1.11"]
# ///
"""Split labelled introns (or peaks) into training and test without leakage.

Schemes:
  chromosome  whole chromosomes to test and valid; the default ones are those that Sei was not trained on
  groups      whole leakage groups to train, valid and test, 8:1:1, labels even
  folds       whole leakage groups to --folds folds, labels even, for cross-validation
  paper       random rows as in Daoud & Ben-Hur 2025 (seed 100); leaks, for comparison only

A leakage group hangs together by the genes of column gene_id, by the groups that LABELS already has (overlapping
genes), by contexts of --context bp that share a base and, with --windows, by sequence: windows that are equal or
reverse-complemented, and homologs, which a local alignment on either strand joins, of at least --identity over at least
--coverage of the shorter window. With both at 1 no homologs are searched for.

Writes one file:
  OUTPUT   LABELS with the columns group and split assigned again; every row, in the same order
"""

from intronaut.cli import add_run_options, fraction, new_parser, positive_int, run
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import require_file
from intronaut.core.log import Log

TOOL = "split_introns"
WORDS = {
    "label": ("retained", "spliced"),
    "level": ("above the median level", "at or below the median level"),
    "difference": ("above the median difference", "at or below the median difference"),
}


def make_parser():
    parser = new_parser(__doc__, TOOL)
    parser.add_argument("labels", metavar="LABELS", help="labels.tsv")
    add = parser.add_argument_group("split").add_argument
    add("--scheme", choices=("chromosome", "groups", "folds", "paper"), default="chromosome", help="how to split")
    add("--test-chromosomes", default="8,9", metavar="NAMES", help="joined by commas, with or without chr")
    add("--valid-chromosomes", default="10", metavar="NAMES", help="the same; '' for none")
    add("--folds", type=positive_int, default=5, metavar="N", help="number of folds")
    add("--target", choices=tuple(WORDS), default="label", help="what is even in all parts, and lacks in none")
    add = parser.add_argument_group("leakage groups").add_argument
    add("--context", type=positive_int, default=4096, metavar="BP", help="bases a model reads around the middle")
    add("--windows", metavar="FASTA", help="sequences of the introns, to keep equal and homologous ones together")
    add("--identity", type=fraction, default=0.8, metavar="X", help="least identity of homologous windows")
    add("--coverage", type=fraction, default=0.8, metavar="X", help="least aligned share of the shorter window")
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", default="split.tsv", metavar="FILE", help="labels with the new split")
    add_run_options(parser, threads=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    if args.scheme == "folds" and args.folds < 2:
        raise UsageError("--folds must be at least 2")
    if args.windows:
        require_file(args.windows)
    log = Log(TOOL, args)
    from intronaut.io.tables import read_labels_and_text, write_table
    from intronaut.splits.leakage import leakage_groups
    from intronaut.splits.studies import above_median

    labels, text = read_labels_and_text(args.labels)
    if labels.empty:
        raise BadData(f"{args.labels}: no rows to split")
    links = earlier_groups(labels) + (sequence_links(args, labels, log) if args.windows else [])
    labels["group"] = leakage_groups(labels, context=args.context, links=links)
    # of levels those above their median take the place of the retained ones
    classes = labels["label"] if args.target == "label" else above_median(labels, args.target)
    labels = labels.assign(**{"class": classes})
    split = part(args, labels)
    sizes = labels["group"].value_counts()
    log.note(f"{len(labels):,} windows in {len(sizes):,} groups, the largest {sizes.max():,}")
    refuse_one_sided(args, labels, split, log)
    for name, rows in labels.groupby(split):
        log.note(f"{name}: {len(rows):,} windows, {int((rows['class'] == 1).sum()):,} {WORDS[args.target][0]}")
    write_table(args.output, text.assign(group=labels["group"], split=split))


def earlier_groups(labels):
    """Links from each window to the first one of the group that the labels came with."""
    if "group" not in labels:
        return []
    known = labels["group"].dropna()
    first = known.index.to_series().groupby(known.to_numpy()).transform("first")
    return list(zip(known.index, first, strict=True))


def sequence_links(args, labels, log):
    """Links from each window to the first one with its sequence, and to the first one of its homology cluster."""
    import numpy as np

    from intronaut.io.fasta import read_windows
    from intronaut.splits.homology import homology_clusters, identical_clusters

    row_of = {name: row for row, name in enumerate(labels["name"])}
    windows = [window for window in read_windows(args.windows) if window.name in row_of]
    if lacking := len(labels) - len(windows):
        log.warn(f"{lacking:,} of {len(labels):,} rows have no sequence in {args.windows}, to be compared by")
    sequences = [window.sequence for window in windows]
    clusterings = {"clusters of equal sequences": identical_clusters(sequences)}
    if min(args.identity, args.coverage) < 1:
        limits = args.identity, args.coverage
        clusterings["homology clusters"] = homology_clusters(sequences, *limits, threads=args.threads, log=log)
    rows = np.array([row_of[window.name] for window in windows], int)
    links = []
    for kind, clusters in clusterings.items():
        _, first = np.unique(clusters, return_index=True)
        sizes = np.bincount(clusters, minlength=1)[1:]
        several = f"{int((sizes > 1).sum()):,} of several windows, the largest {sizes.max(initial=0):,}"
        log.note(f"{len(sizes):,} {kind}, {several}")
        links += zip(rows, rows[first[clusters - 1]], strict=True)
    return links


def part(args, labels):
    """The new column split."""
    from intronaut.splits import folds

    if args.scheme == "paper":
        from intronaut.paper.split import paper_split

        return paper_split(len(labels))
    if args.scheme == "groups":
        return folds.group_split(labels["group"], labels["class"])
    if args.scheme == "folds":
        return folds.grouped_folds(labels["group"], labels["class"], args.folds)
    return folds.chromosome_split(labels["chrom"], names(args.test_chromosomes), names(args.valid_chromosomes))


def refuse_one_sided(args, labels, split, log):
    """Raise BadData for a part that lacks a class, retained or spliced, where there are such rows: no model can be
    tested on it, which is better known now than after embedding. Of many folds three that hold both suffice."""
    from intronaut.splits.studies import FEWEST_FOLDS

    parts, lacks = set(split), set()
    for value, word in zip((1.0, 0.0), WORDS[args.target], strict=True):
        rows = labels[labels["class"] == value]
        lacking = parts - set(split[rows.index])
        if len(rows) and lacking:
            which = ", ".join(sorted(map(str, lacking)))
            text = (
                f"no {word} window in {which} of the split: the {len(rows):,} {word} lie in "
                f"{rows['group'].nunique():,} leakage groups on {rows['chrom'].nunique():,} chromosomes"
            )
            lacks |= lacking
            if args.scheme != "folds" or len(parts - lacks) < FEWEST_FOLDS:
                raise BadData(f"{args.labels}: {text}; choose fewer folds, another --scheme, or more of the genome")
            log.warn(f"{text}; nothing is evaluated there")


def names(text):
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    run(main, TOOL)
