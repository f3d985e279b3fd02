#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "lightgbm>=4.5", "optuna>=4.0",
#   "h5py>=3.11", "safetensors>=0.4", "threadpoolctl>=3.5", "matplotlib>=3.9", "biopython>=1.84", "rich>=13"]
# ///
"""Say what each kind of information adds to the prediction of intron retention, block by block.

Columns are taken in blocks: the architecture of the gene (length, rank, distances …), composition (gc, cpg), splice
sites, expression, and those of the features files. Every set of blocks is fitted on the same folds, each block with a
penalty of its own that is chosen inside the training rows, so that blocks of ten and of 20,000 columns are treated
equally. What a block adds is given alone (over nothing), last in (over all others) and as its Shapley value (the mean
over all orders), in AUROC, average precision and deviance explained, all held out; with --target level or counts, of
measured levels of retention, in deviance explained.

A block adds something where last_in's interval lies above 0. Shapley values divide the total among blocks that share
what they know; they are no effects.

Output, a folder:
  partition.tsv    one row per measure and block: alone, last_in, shapley with 95 % intervals; (all) is the total
  shared.tsv       one row per pair of blocks: what they share, alone + alone - together
  sets.tsv         one row per set of blocks: the measures of its model
  penalties.tsv    the penalty of every block in every set and fold; off where it is left out
  partition.svg    what each kind of information adds
  partition.json   rows, blocks, settings, the findings in sentences, and warnings where few introns stand behind them
"""

import json

from intronaut.cli import (
    add_covariates_option,
    add_output_folder,
    add_run_options,
    new_parser,
    positive_int,
    refuse_without_effect,
    run,
)
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import whole_folder
from intronaut.core.log import Log

TOOL = "partition"
MOST_BLOCKS = 6
WORDS = {"auroc": "AUROC", "deviance": "deviance explained"}
OUTPUTS = ("partition.tsv", "shared.tsv", "sets.tsv", "penalties.tsv", "partition.svg", "partition.json")


def make_parser():
    options = new_parser(__doc__, TOOL)
    data = options.add_argument_group("input")
    data.add_argument("--features", nargs="+", default=[], metavar="[BLOCK=]H5AD", help="features files of embed_*")
    data.add_argument("--labels", required=True, metavar="TSV", help="labels.tsv of label_introns")
    data.add_argument("--target", default="label", choices=("label", "level", "counts", "difference"),
                      help="label; the level of retention: psi with psi_n and psi_weight, or counts ir_reads of "
                      "ir_total; or the difference of that level between conditions: delta_psi with "
                      "delta_weight")  # fmt: skip
    data.add_argument("--min-reads", type=positive_int, default=10, metavar="N", help="introns of fewer reads have no "
                      "level")  # fmt: skip
    add_covariates_option(data)
    blocks = options.add_argument_group("blocks")
    blocks.add_argument("--blocks", default="block", metavar="COLUMN", help="column of the feature tables with a "
                        "feature's block; without it a file is one block")  # fmt: skip
    blocks.add_argument("--block", action="append", default=[], metavar="NAME=COL,…", help="block of covariates, in "
                        "place of the usual block of this name; several times for several; NAME= for none")  # fmt: skip
    how = options.add_argument_group("partition")
    how.add_argument("--model", default="logistic", choices=("logistic", "lightgbm"), help="linear model or trees")
    how.add_argument("--folds", type=positive_int, metavar="N", help="assign groups to N folds; ignore column split")
    how.add_argument("--sampled", type=positive_int, metavar="M", help=f"M random orders; for more than {MOST_BLOCKS} "
                     "blocks, whose sets are too many")  # fmt: skip
    how.add_argument("--sequential", action="store_true", help="only what each block adds to those before it")
    add_output_folder(options)
    add_run_options(options, threads=True, seed=True)
    return options


def main(argv):
    options = make_parser()
    args = options.parse_args(argv)
    log = Log(TOOL, args)
    if args.target == "label":
        refuse_without_effect(options, args, ["min_reads"], "with --target label")
    if args.sequential:
        refuse_without_effect(options, args, ["sampled"], "with --sequential")
    from intronaut.models import held_out
    from intronaut.models.cross_validation import make_plan, number_of_folds

    args.folds = number_of_folds(args.folds, log)
    features, table, rows, counts = read_inputs(args)
    plan = make_plan(table, args.folds)
    counts |= held_out.report_rows(table, plan, counts, log)
    columns = columns_of_blocks(args, table, features, plan, log)
    names = list(columns)
    check_number(names, args)
    # covariates are a DataFrame, features the places of their columns
    widths = {name: values.shape[-1] for name, values in columns.items()}
    log.note(f"{len(names)} blocks: " + ", ".join(f"{name} ({n})" for name, n in widths.items()))
    quantities, orders = wanted_quantities(names, args)
    values, penalties = values_of_sets(columns, features, rows, table, plan, quantities, args, log)
    report = Report(args, names, widths, quantities, orders, values)
    with whole_folder(args.output, OUTPUTS) as folder:
        report.write(folder, counts, penalties, log)


def read_inputs(args):
    """``(features or None, table, feature rows, counts)`` of the labelled windows."""
    from intronaut.io.joined_features import open_joined
    from intronaut.io.tables import read_labels
    from intronaut.models.design_matrix import join
    from intronaut.models.level import level_rows, read_levels

    labels = read_labels(args.labels)
    if args.target != "label":
        labels, _ = level_rows(labels, read_levels(labels, args.target, args.labels), args.min_reads)
    if args.features:
        features = open_joined(args.features)
        return features, *join(features, labels)
    table = labels[labels["label"].notna()].reset_index(drop=True)
    counts = {"labels": len(labels), "used": len(table), "label_missing": len(labels) - len(table),
              "labelled_without_features": 0, "features_without_label_row": 0}  # fmt: skip
    return None, table, None, counts


def columns_of_blocks(args, table, features, plan, log):
    """The columns of every block in their order: ``{block: DataFrame of covariates, or places of feature columns}``."""
    from intronaut.io.covariates import read_covariates
    from intronaut.models.blocks import covariate_blocks, feature_blocks
    from intronaut.models.design_matrix import covariates

    user = read_covariates(table, args.covariates, args.allow_missing, log)
    values = covariates(table, plan.known, user.values)
    columns = covariate_blocks(values, args.block)
    of_features = {} if features is None else feature_blocks(with_block(features, args), args.blocks)
    if both := columns.keys() & of_features.keys():
        raise UsageError(f"block {', '.join(sorted(both))} has covariates and features; rename one by --block or FILE")
    if not columns and not of_features:
        raise BadData(f"{args.labels}: no covariate varies, and there are no --features: there are no blocks")
    return columns | of_features


def with_block(features, args):
    """The feature table with a column block; a lone file is one block, unless its table says otherwise."""
    from intronaut.io.joined_features import block_name, features_files

    if "block" in features.var:
        return features.var
    ((name, _),) = features_files(args.features)
    return features.var.assign(block=name or block_name(features))


def check_number(names, args):
    """Refuse one block, which has nothing to be compared with, and more than every set of can be fitted."""
    if len(names) < 2:
        raise BadData(f"only one block, {names[0]}; a partition needs two or more")
    if len(names) > MOST_BLOCKS and not (args.sampled or args.sequential):
        raise UsageError(
            f"{len(names)} blocks ({', '.join(names)}) have {2 ** len(names):,} sets: merge blocks by --block or "
            f"--blocks, or give --sampled M for M random orders, or --sequential"
        )


def wanted_quantities(names, args):
    """``({what: {block: Quantity}}, orders or None)``."""
    from intronaut.stats import shares

    if args.sequential:
        return {"sequential": {name: shares.in_order(name, names) for name in names}}, None
    orders = shares.antithetic_orders(names, args.sampled, args.seed) if args.sampled else None
    shapley = {
        name: shares.mean_over(orders, name) if orders else shares.shapley(name, names) for name in names
    }  # fmt: skip
    what = {
        "alone": {name: shares.alone(name) for name in names},
        "last_in": {name: shares.last_in(name, names) for name in names},
        "shapley": shapley,
    }
    return what, orders


def values_of_sets(columns, features, rows, table, plan, quantities, args, log):
    """``({set: Evaluation}, penalties)``: the held-out evaluation of every set of blocks that is needed."""
    from functools import partial

    import numpy as np
    import pandas as pd

    from intronaut.models.block_penalties import OFF
    from intronaut.models.block_targets import predictor, target_of
    from intronaut.stats import shares

    names = list(columns)
    needed = {shares.EMPTY, frozenset(names)}
    needed |= set(shares.sets_of([one for kind in quantities.values() for one in kind.values()]))
    if not args.sequential:
        needed |= {frozenset(pair) for pair in pairs_of(names)}
    target = target_of(args, table, plan, partial(predictor, columns, features, rows, plan, args))
    predict = target.predict
    values, penalties = {}, []
    with log.progress(len(needed), "sets of blocks") as progress:
        for members in shares.sets_of([shares.Quantity(dict.fromkeys(needed, 1.0))]):
            if members:
                logits, refitted, settings = predict(sorted(names.index(name) for name in members))
            else:
                logits, settings = target.null_logits(), {}
                refitted = np.tile(logits, (len(plan.held_out), 1))
            refitted = refitted if len(plan.held_out) > 1 else None
            values[members] = target.evaluate(logits, refitted)
            for outer, setting in settings.items():
                chosen = {name: "off" if penalty == OFF else f"{penalty:g}" for name, penalty in
                          zip(names, setting, strict=True) if name in members}  # fmt: skip
                penalties.append({"blocks": words(members, names), "fold": outer, **chosen})
            progress.add(1)
    return values, pd.DataFrame(penalties).reindex(columns=["blocks", "fold", *names])


def pairs_of(names):
    from itertools import combinations

    return list(combinations(names, 2))


def words(members, names):
    """The blocks of a set in their order, joined by +; nothing for the empty one."""
    return "+".join(name for name in names if name in members) or "(none)"


def with_ten_digits(value):
    """A number as text of ten digits, so that parts add up to their total in the file too; all else as it is."""
    return f"{value:.10g}" if isinstance(value, float) and value == value else value


class Report:
    """The tables, the figure and the sentences of a partition."""

    def __init__(self, args, names, widths, quantities, orders, values):
        self.args, self.names, self.widths, self.values = args, names, widths, values
        self.quantities, self.orders = quantities, orders
        self.whole = frozenset(names)

    def write(self, folder, counts, penalties, log):
        """Write every file into ``folder``."""
        from intronaut import __version__
        from intronaut.io.tables import write_table
        from intronaut.plots.partition import partition_figure
        from intronaut.plots.svg import save_svg

        table, sentences = self.table(), []
        write_table(folder / "partition.tsv", table.map(with_ten_digits))
        write_table(folder / "sets.tsv", self.sets())
        if not penalties.empty:
            write_table(folder / "penalties.tsv", penalties)
        if not self.args.sequential:
            write_table(folder / "shared.tsv", self.shared())
            sentences = self.sentences(table)
        save_svg(partition_figure(table, list(self.quantities)), folder / "partition.svg")
        about = {
            "version": __version__, "model": self.args.model, "rows": counts, "blocks": self.widths,
            "sets": len(self.values), "orders": self.args.sampled, "exact": self.orders is None,
            "seed": self.args.seed, "sentences": sentences, "warnings": self.warnings(),
        }  # fmt: skip
        (folder / "partition.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for sentence in sentences:
            log.note(sentence)
        for sentence in about["warnings"]:
            log.warn(sentence)

    def warnings(self):
        """Where few introns are retained, or few leakage groups hold the rarer class."""
        from intronaut.stats.small_samples import sentences_of_summary

        return sentences_of_summary(self.values[self.whole].summary)

    def table(self):
        """partition.tsv: what every block adds, and in the row (all) what all add together."""
        import pandas as pd

        from intronaut.stats import shares
        from intronaut.stats.partition import measures_of, monte_carlo_error

        total, lines = shares.difference(self.whole, shares.EMPTY), []
        for measure in measures_of(self.args.target):
            whole = self.interval(total, measure)
            for name in [*self.names, "(all)"]:
                line = {"measure": measure, "block": name, "columns": self.widths.get(name, sum(self.widths.values()))}
                for what, kind in self.quantities.items():
                    interval = whole if name == "(all)" else self.interval(kind[name], measure)
                    line |= {what: interval["value"], f"{what}_low": interval["low"], f"{what}_high": interval["high"]}
                if "shapley" in self.quantities:
                    positive = whole["low"] is not None and whole["low"] > 0
                    line["share"] = line["shapley"] / whole["value"] if positive else None
                    adds = line["last_in_low"] is not None and line["last_in_low"] > 0
                    line["adds"] = "yes" if adds else "no"
                if self.orders and name != "(all)":
                    line["monte_carlo_error"] = monte_carlo_error(name, self.orders, self.values, measure)
                lines.append(line)
        return pd.DataFrame(lines)

    def interval(self, quantity, measure):
        from intronaut.stats.partition import interval

        return interval(quantity, self.values, measure)

    def shared(self):
        """shared.tsv: what every two blocks share."""
        import pandas as pd

        from intronaut.stats import shares
        from intronaut.stats.partition import measures_of

        lines = []
        for measure in measures_of(self.args.target):
            for first, second in pairs_of(self.names):
                interval = self.interval(shares.shared(first, second), measure)
                lines.append({"measure": measure, "block_1": first, "block_2": second, "shared": interval["value"],
                              "low": interval["low"], "high": interval["high"]})  # fmt: skip
        return pd.DataFrame(lines)

    def sets(self):
        """sets.tsv: the measures of the model of every set of blocks."""
        import pandas as pd

        from intronaut.stats.partition import METRIC_OF, measures_of

        lines = []
        for members, evaluation in self.values.items():
            line = {"blocks": words(members, self.names)}
            for measure in measures_of(self.args.target):
                interval = evaluation.summary["metrics"][METRIC_OF[measure]]
                line |= {
                    measure: interval["value"],
                    f"{measure}_low": interval["low"],
                    f"{measure}_high": interval["high"],
                }
            lines.append(line)
        return pd.DataFrame(lines)

    def sentences(self, table):
        """The findings in AUROC, of levels in deviance explained, one sentence per block."""
        measure = table["measure"].iloc[0]
        rows, word = table[table["measure"] == measure].set_index("block"), WORDS[measure]
        total = (0.5 if measure == "auroc" else 0.0) + rows.loc["(all)", "shapley"]
        lines = [f"All {len(self.names)} blocks together: {word} {total:.3f}."]
        for name in self.names:
            row = rows.loc[name]
            verb = "adds to" if row["adds"] == "yes" else "is not shown to add to"
            low, high = row["last_in_low"], row["last_in_high"]
            range_words = "no interval" if low is None or low != low else f"95 % {low:+z.3f} to {high:+z.3f}"
            lines.append(
                f"{name} {verb} all other blocks: {row['last_in']:+z.3f} {word} last in ({range_words}), "
                f"{row['alone']:+z.3f} alone."
            )
        return lines


if __name__ == "__main__":
    run(main, TOOL)
