#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=1.26", "pandas>=2.2", "scipy>=1.11", "scikit-learn>=1.5", "rich>=13"]
# ///
"""Ask how far a model of one cell type tells what is retained in another.

Reads, of each cell type (or condition, or tissue), the labels that label_introns made and the folder that fit made of
them. Every model is evaluated by the labels of every cell type, on introns whose leakage group it has not seen: its
held-out predictions of labelled introns and of the ambiguous ones that it was not trained on.

Writes transfer.tsv, a row for each two cell types (and each with itself):
  trained_in judged_in introns retained auroc auroc_low auroc_high
  shared            of these, introns that some other cell type labels too
  auroc_shared      of the model, on those
  auroc_others      of the mean label of all other cell types on those: what measuring others tells without any model
"""

import itertools

from intronaut.cli import add_run_options, new_parser, run
from intronaut.core.errors import BadData, UsageError
from intronaut.core.log import Log

TOOL = "transfer"


def make_parser():
    parser = new_parser(__doc__, TOOL)
    add = parser.add_argument_group("cell types").add_argument
    add("--models", nargs="+", required=True, metavar="NAME=FOLDER", help="what fit made of the labels of each")
    add("--labels", nargs="+", required=True, metavar="NAME=TSV", help="labels of each, of one annotation")
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", default="transfer.tsv", metavar="FILE", help="every two cell types")
    add_run_options(parser, seed=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log(TOOL, args)
    folders, paths = named("--models", args.models), named("--labels", args.labels)
    if set(folders) != set(paths):
        raise UsageError(f"--models names {', '.join(folders)}, and --labels {', '.join(paths)}; the same are needed")
    if len(folders) < 2:
        raise UsageError("one cell type only; two are needed")
    import pandas as pd

    from intronaut.io.tables import read_labels, write_table

    labels = {name: read_labels(path).set_index("name") for name, path in paths.items()}
    scores = {name: held_out(folder) for name, folder in folders.items()}
    pairs = list(itertools.product(folders, repeat=2))
    rows = [judged(a, b, scores[a], labels, args.seed) for a, b in log.each(pairs, "pairs of cell types")]
    table = pd.DataFrame(rows)
    write_table(args.output, table, for_people=True)
    same, other = table["trained_in"] == table["judged_in"], table["trained_in"] != table["judged_in"]
    means = table.loc[same, "auroc"].mean(), table.loc[other, "auroc"].mean()
    log.note(f"mean AUROC {means[0]:.3f} in the cell type of the model, {means[1]:.3f} in others")


def named(option, words):
    """A dict from ``NAME=PATH`` words."""
    pairs = [word.partition("=") for word in words]
    names = [name for name, _, _ in pairs]
    if not all(name and equals and path for name, equals, path in pairs) or len(set(names)) < len(names):
        raise UsageError(f"{option} {' '.join(words)}: expected NAME=PATH, each name once")
    return {name: path for name, _, path in pairs}


def held_out(folder):
    """Logit and fold of every intron that a model predicts without having seen its group, by name."""
    from pathlib import Path

    import pandas as pd

    from intronaut.core.files import require_file
    from intronaut.io.tables import read_table

    paths = [Path(folder) / name for name in ("predictions.tsv", "ambiguous.tsv")]
    require_file(paths[0])
    parts = [read_table(path, ("name", "fold", "logit")) for path in paths if path.exists()]
    table = pd.concat([part[["name", "fold", "logit"]] for part in parts], ignore_index=True)
    table["logit"] = pd.to_numeric(table["logit"], errors="coerce")
    table = table.dropna(subset="logit").fillna({"fold": "none"})
    if table["name"].duplicated().any():
        raise BadData(f"{folder}: intron {table.loc[table['name'].duplicated(), 'name'].iloc[0]} is predicted twice")
    return table.set_index("name")


def judged(trained_in, judged_in, scores, labels, seed):
    """The row of a model of one cell type tested on the labels of another, as a dict."""
    import numpy as np
    import pandas as pd

    from intronaut.stats.strata import auroc_within_folds

    target = labels[judged_in]
    rows = scores.join(target[["label", "group"]].dropna(subset="label"), how="inner")
    others = [table["label"] for name, table in labels.items() if name != judged_in]
    rows["others"] = pd.concat(others, axis=1).mean(axis=1).reindex(rows.index)
    shared = rows[rows["others"].notna()]

    def auroc(table, column):
        if table["label"].nunique() < 2:
            return {"value": np.nan, "low": np.nan, "high": np.nan}
        how = table["fold"].to_numpy(), table["group"].to_numpy(), seed
        return auroc_within_folds(table["label"].to_numpy(), table[column].to_numpy(), *how)

    whole = auroc(rows, "logit")
    return {
        "trained_in": trained_in, "judged_in": judged_in, "introns": len(rows),
        "retained": int((rows["label"] == 1).sum()), "auroc": whole["value"], "auroc_low": whole["low"],
        "auroc_high": whole["high"], "shared": len(shared), "auroc_shared": auroc(shared, "logit")["value"],
        "auroc_others": auroc(shared, "others")["value"],
    }  # fmt: skip


if __name__ == "__main__":
    run(main, TOOL)
