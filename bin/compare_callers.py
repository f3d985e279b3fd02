#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["matplotlib>=3.8", "numpy>=1.26", "pandas>=2.2"]
# ///
"""Compare what the callers of intron retention say of the same introns.

Reads the table that label_introns writes with --calls-table. Writes:
  agreement.tsv    for every two callers: introns both call retained, Jaccard index, Cohen's kappa
  agreement.json   Fleiss' kappa over all callers, and the introns by how many callers call them retained
  agreement.svg    the Jaccard indices as a matrix

The Jaccard index is that of the two sets of retained introns. The kappas are over the introns that the callers
concerned all label: they measure agreement beyond chance (Fleiss 1971, Psychol Bull 76:378). A caller that never
calls an intron spliced has no kappa.
"""

import itertools
import json

from intronaut.cli import add_run_options, new_parser, run
from intronaut.core.errors import BadData
from intronaut.core.files import named_after, published_together, whole_file
from intronaut.core.log import Log

TOOL = "compare_callers"


def make_parser():
    parser = new_parser(__doc__, TOOL)
    parser.add_argument("calls", metavar="CALLS", help="what label_introns writes with --calls-table")
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", default="agreement.tsv", metavar="FILE", help="every two callers")
    add("--summary", metavar="FILE", help="all callers together [agreement.json beside --output, named after it]")
    add("--figure", metavar="FILE", help="the matrix drawn [agreement.svg beside --output, named after it]")
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    args.summary = args.summary or named_after(args.output, "agreement", "agreement.json")
    args.figure = args.figure or named_after(args.output, "agreement", "agreement.svg")
    log = Log(TOOL, args)
    from intronaut.io.tables import write_table

    labels = read_calls_table(args.calls)
    table = agreement(labels)
    judges = [name for name in labels if (labels[name] == 0).any()]
    complete = labels[judges].dropna()
    n_retained = (labels == 1).sum(axis=1)
    summary = {
        "callers": list(labels),
        "callers_with_both_classes": judges,
        "introns_labelled_by_all": len(complete),
        "fleiss_kappa": fleiss_kappa(complete.to_numpy()),
        "introns_by_callers_that_call_them_retained": n_retained.value_counts().sort_index().to_dict(),
    }
    with published_together():
        draw(labels.columns, table, args.figure)
        with whole_file(args.summary) as handle:
            json.dump(summary, handle, indent=2)
            handle.write("\n")
        write_table(args.output, table, for_people=True)
    kappa = "NA" if summary["fleiss_kappa"] is None else f"{summary['fleiss_kappa']:.3f}"
    log.note(f"{labels.shape[1]} callers, Fleiss' kappa {kappa} over {len(complete):,} introns that all label")


def read_calls_table(path):
    """One row an intron, one column a caller: 1, 0 or NaN."""
    import pandas as pd

    from intronaut.io.tables import read_table

    table = read_table(path, ("name", "caller", "label"))
    labels = pd.to_numeric(table["label"], errors="coerce")
    wrong = table["label"][table["label"].notna() & ~labels.isin([0, 1])]
    if len(wrong):
        raise BadData(f"{path}: {len(wrong):,} labels that are not 1, 0 or NA, first {wrong.iloc[0]!r}")
    table["label"] = labels
    if table.duplicated(["name", "caller"]).any():
        raise BadData(f"{path}: a caller has more than one row for an intron")
    labels = table.pivot(index="name", columns="caller", values="label")
    if labels.shape[1] < 2:
        raise BadData(f"{path}: one caller only; give label_introns the tables of two or more")
    return labels


def agreement(labels):
    """Every two callers, in the order of the columns."""
    import pandas as pd

    rows = []
    for a, b in itertools.combinations(labels, 2):
        in_a, in_b, shared = labels[a] == 1, labels[b] == 1, labels[[a, b]].dropna()
        both, either = int((in_a & in_b).sum()), int((in_a | in_b).sum())
        kappa = cohen_kappa(shared[a], shared[b]) if (labels[[a, b]] == 0).any().all() else None
        rows.append([a, b, in_a.sum(), in_b.sum(), both, both / either if either else None, len(shared), kappa])
    names = ["retained_a", "retained_b", "retained_both", "jaccard", "labelled_both", "cohen_kappa"]
    return pd.DataFrame(rows, columns=["caller_a", "caller_b", *names])


def cohen_kappa(a, b):
    """Cohen's kappa of two columns of 0 and 1; None when chance alone would agree always."""
    expected = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    return ((a == b).mean() - expected) / (1 - expected) if len(a) and expected < 1 else None


def fleiss_kappa(labels):
    """Fleiss' kappa of an array of 0 and 1, introns × callers; None without two callers or when all say the same."""
    n_introns, n_callers = labels.shape
    if n_introns == 0 or n_callers < 2:
        return None
    ones = labels.sum(axis=1)
    agreeing = (ones * (ones - 1) + (n_callers - ones) * (n_callers - ones - 1)) / (n_callers * (n_callers - 1))
    share = ones.sum() / labels.size
    expected = share**2 + (1 - share) ** 2
    return float((agreeing.mean() - expected) / (1 - expected)) if expected < 1 else None


def draw(callers, table, path):
    """The matrix of Jaccard indices, with the number of retained introns of each caller beside its name."""
    import matplotlib.pyplot as plt
    import numpy as np
    import pandas as pd

    from intronaut.plots.svg import save_svg

    n = len(callers)
    matrix = pd.DataFrame(np.eye(n), index=callers, columns=callers)
    size = {}
    for row in table.itertuples():
        matrix.loc[row.caller_a, row.caller_b] = matrix.loc[row.caller_b, row.caller_a] = row.jaccard
        size[row.caller_a], size[row.caller_b] = row.retained_a, row.retained_b
    figure, axes = plt.subplots(figsize=(2 + 0.55 * n, 1.2 + 0.55 * n))
    # the darkest blue, of 1, is one on which black can still be read
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1.6)
    for (i, j), value in np.ndenumerate(matrix.to_numpy(float)):
        axes.text(j, i, "–" if np.isnan(value) else f"{value:.2f}", ha="center", va="center")
    axes.set_yticks(range(n), [f"{name} ({size[name]:,})" for name in callers])
    axes.set_xticks(range(n), callers, rotation=45, ha="right")
    axes.set_title("Jaccard index of the retained introns")
    with whole_file(path, "wb") as out:
        save_svg(figure, out)


if __name__ == "__main__":
    run(main, TOOL)
