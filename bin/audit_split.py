#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.85", "numpy>=2.0", "pandas>=2.2", "pyopal>=0.7", "pyranges>=0.1.7,<1", "scipy>=1.11"]
# ///
"""Look for leakage from test into training: shared bases, homology, reverse-complement twins and genes on both sides.

Every two parts of column split are compared; rows whose label or split is NA are left out and counted. Four leaks:
  bases     two windows share bases of the genome
  twin      two windows have the same sequence, or one is the reverse complement of the other (strand -)
  homology  a local alignment on either strand of at least --identity over at least --coverage of the shorter window;
            each window is compared with the --partners others that share most seeds with it
  gene      a gene has windows in both parts

Writes two files, also when the split fails:
  OUTPUT    one row per pair of windows (for a gene, and for many equal windows: the first window of each part)
  --json    counts, best identity, and for each leak the share of held-out windows touched by it and its limit

Held-out windows are those outside train, or all when split holds fold numbers. Exit code 65 when a share is above its
limit.
"""

import json

from intronaut.cli import add_run_options, fraction, new_parser, positive_int, run
from intronaut.core.errors import BadData
from intronaut.core.files import published_together, require_file, whole_file
from intronaut.core.log import Log

TOOL = "audit_split"
LEAKS = ("bases", "twin", "homology", "gene")
COLUMNS = (
    "leak", "split_1", "name_1", "split_2", "name_2", "strand", "identity", "coverage", "shared_bp", "gene_id",
)  # fmt: skip


def make_parser():
    parser = new_parser(__doc__, TOOL)
    add = parser.add_argument_group("input").add_argument
    add("--labels", required=True, metavar="LABELS", help="labels.tsv with the split to judge")
    add("--windows", required=True, metavar="FASTA", help="the sequences that the model reads, by fetch_sequences")
    add = parser.add_argument_group("homology").add_argument
    add("--identity", type=fraction, default=0.8, metavar="X", help="least identity")
    add("--coverage", type=fraction, default=0.8, metavar="X", help="least aligned share of the shorter window")
    add("--partners", type=positive_int, default=20, metavar="N", help="others that a window is aligned to, at most")
    add = parser.add_argument_group("limits: share of held-out windows that may be touched").add_argument
    add("--max-bases", type=fraction, default=0, metavar="X", help="by shared bases [0]")
    add("--max-twin", type=fraction, default=0, metavar="X", help="by equal sequences [0]")
    add("--max-homology", type=fraction, default=0, metavar="X", help="by homologous sequences [0]")
    add("--max-gene", type=fraction, default=0, metavar="X", help="by genes on both sides [0]")
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", default="audit.tsv", metavar="FILE", help="every pair")
    add("--json", metavar="FILE", help="the counts")
    add_run_options(parser, threads=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    require_file(args.labels)
    require_file(args.windows)
    log = Log(TOOL, args)
    import pandas as pd

    from intronaut.io.tables import write_table

    windows, counts = read_input(args)
    leaks = {
        "bases": shared_bases(windows),
        "twin": twins(windows),
        "homology": homologs(args, windows, log),
        "gene": shared_genes(windows),
    }
    pairs = pd.concat([described(windows, pairs_of_leak).assign(leak=leak) for leak, pairs_of_leak in leaks.items()])
    summary = counts | judged(args, windows, leaks)
    with published_together():
        write_table(args.output, pairs.reindex(columns=list(COLUMNS)))
        if args.json:
            with whole_file(args.json) as out:
                out.write(json.dumps(summary, indent=2) + "\n")
    for leak, of_leak in summary["leaks"].items():
        shares = f"{of_leak['windows']:,} of {summary['held_out']:,} held-out windows"
        log.note(f"{leak}: {of_leak['pairs']:,} pairs, {shares}")
    refuse_leaks(args, summary)


def read_input(args):
    """The windows with a label and a split, as a table, and how many of the rows are left out and why."""
    import pandas as pd

    from intronaut.io.fasta import read_windows
    from intronaut.io.tables import read_labels

    labels = read_labels(args.labels)
    if "split" not in labels:
        raise BadData(f"{args.labels}: no column split; run split_introns first")
    records = {window.name: window for window in read_windows(args.windows)}
    strangers = len(records.keys() - set(labels["name"]))
    no_label, no_split = labels["label"].isna(), labels["split"].isna()
    no_window = ~labels["name"].isin(records.keys())
    left_out = {
        "no_label": int(no_label.sum()),
        "no_split": int((no_split & ~no_label).sum()),
        "no_window": int((no_window & ~no_split & ~no_label).sum()),
    }
    table = labels[~(no_label | no_split | no_window)].reset_index(drop=True)
    if table["split"].nunique() < 2:
        raise BadData(f"{args.labels}: fewer than two parts in column split have labelled rows with a sequence")
    table["sequence"] = [records[name].sequence for name in table["name"]]
    # a record of another program than fetch_sequences may lack coordinates: then the row's own count
    for column in ("start", "end"):
        read = [getattr(records[name], column) for name in table["name"]]
        table[column] = pd.Series(read, dtype="Int64").fillna(table[column]).astype("int64")
    table["side"] = pd.factorize(table["split"], sort=True)[0]
    counts = {"rows": len(labels), "audited": len(table), "left_out": left_out, "windows_without_row": strangers}
    return table, counts


def shared_bases(windows):
    """Pairs ``first``, ``second``, ``shared_bp`` of windows in different parts that share bases of the genome."""
    import pandas as pd

    from intronaut.genome.intervals import overlapping_pairs

    tables = []
    for side in range(windows["side"].max()):
        ours, theirs = windows[windows["side"] == side], windows[windows["side"] > side]
        pairs = overlapping_pairs(ours, theirs)
        first, second = ours.index[pairs["left"]], theirs.index[pairs["right"]]
        tables.append(pd.DataFrame({"first": first, "second": second, "shared_bp": pairs["overlap"].to_numpy()}))
    return pd.concat(tables, ignore_index=True)


def twins(windows):
    """Pairs ``first``, ``second``, ``strand`` with one sequence: each with the first of the other parts."""
    import pandas as pd

    from intronaut.splits.homology import identical_clusters

    sequences = windows["sequence"]
    rows = []
    for _, family in windows.groupby(identical_clusters(sequences.tolist()), sort=False):
        if family["side"].nunique() < 2:
            continue
        heads = family.groupby("side").head(1)
        for row, side in family["side"].items():
            others = heads.index[heads["side"] != side]
            rows += [(*sorted((row, other)), "+" if sequences[row] == sequences[other] else "-") for other in others]
    pairs = pd.DataFrame(rows, columns=["first", "second", "strand"]).drop_duplicates()
    return pairs.sort_values(["first", "second"], ignore_index=True)


def homologs(args, windows, log):
    """Pairs ``first``, ``second``, ``strand``, ``identity``, ``coverage`` of homologous windows."""
    from intronaut.splits.homology import homologous_pairs

    limits = args.identity, args.coverage, args.partners, args.threads, log
    return homologous_pairs(windows["sequence"].tolist(), windows["side"].to_numpy(), *limits)


def shared_genes(windows):
    """Pairs ``first``, ``second``, ``gene_id``: the first window of a gene in each of its parts."""
    from itertools import combinations

    import pandas as pd

    from intronaut.splits.leakage import gene_members

    rows, names = gene_members(windows["gene_id"])
    members = pd.DataFrame({"row": rows, "gene_id": names, "side": windows["side"].to_numpy()[rows]})
    heads = members.drop_duplicates(["gene_id", "side"])
    pairs = [(*pair, gene) for gene, part in heads.groupby("gene_id") for pair in combinations(part["row"], 2)]
    return pd.DataFrame(pairs, columns=["first", "second", "gene_id"]).sort_values(["first", "second", "gene_id"])


def described(windows, pairs):
    """The pairs with names and parts in place of row positions."""
    named = pairs.drop(columns=["first", "second"])
    for number, column in (("1", "first"), ("2", "second")):
        about = windows.loc[pairs[column], ["name", "split"]]
        named["name_" + number], named["split_" + number] = (
            about["name"].to_numpy(),
            about["split"].to_numpy(),
        )
    return named


def judged(args, windows, leaks):
    """Summary: parts, best identity, and for each leak the held-out windows that it touches against the limit."""
    from intronaut.splits.leakage import gene_members

    parts = windows["split"].value_counts().sort_index()
    held_out = windows["split"] != "train"
    best = leaks["homology"]["identity"].max()
    summary = {"held_out": int(held_out.sum()), "parts": {name: int(n) for name, n in parts.items()}}
    summary["best_identity"] = 1.0 if len(leaks["twin"]) else None if best != best else round(float(best), 6)
    summary |= {"identity": args.identity, "coverage": args.coverage, "leaks": {}}
    for leak in LEAKS:
        touched = {*leaks[leak]["first"], *leaks[leak]["second"]}
        if leak == "gene":
            rows, names = gene_members(windows["gene_id"])
            torn = set(leaks[leak]["gene_id"])
            touched = {row for row, name in zip(rows, names, strict=True) if name in torn}
        n = sum(bool(held_out[row]) for row in touched)
        counts = {"pairs": len(leaks[leak]), "windows": n, "share": round(n / max(1, summary["held_out"]), 6)}
        limit = getattr(args, "max_" + leak)
        summary["leaks"][leak] = counts | {"limit": limit, "passed": n <= limit * summary["held_out"]}
    return summary


def refuse_leaks(args, summary):
    """Raise BadData that names every leak above its limit."""
    above = [
        f"{leak} {counts['share']:.3g} of held-out windows (limit {counts['limit']:g})"
        for leak, counts in summary["leaks"].items()
        if not counts["passed"]
    ]
    if above:
        raise BadData(f"{args.labels}: the split leaks: {', '.join(above)}; the pairs are in {args.output}")


if __name__ == "__main__":
    run(main, TOOL)
