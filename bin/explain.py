#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "lightgbm>=4.5", "h5py>=3.11",
#   "safetensors>=0.4", "threadpoolctl>=3.5", "matplotlib>=3.9", "biopython>=1.84", "rich>=13"]
# ///
"""Say which features, and which groups of them, move a fitted model's prediction of intron retention.

Reads a model folder of fit and the features it was fitted on. Features are gathered by a column of the feature table
(a transcription factor, a mark, a tissue, a motif family), and features that correlate by more than --cluster are one
cluster. Contributions are exact: baseline + sum of contributions = logit. With --labels, the files also say what holds
on other introns: selection on halves of the data with a bound on false selections, refits, and held-out permutation.
Only groups that are selected besides the covariates, at a false discovery rate below 5 % and with a cost when permuted,
are shown to hold: they alone are named and coloured, all others are grey.

Output, a folder; docs/explain.md explains every column and figure:
  groups.tsv               one row per group: status, direction, coefficients or gain, effect, stability
  clusters.tsv             one row per cluster of correlated features: members, groups, smallest correlation, stability
  coefficients.tsv         one row per feature (importance.tsv for trees): coefficient or gain, cluster, interval
  contributions.tsv        the features that move each intron's logit most: name held_out_rank held_out_logit
                           logit_in_sample rank feature group contribution; held_out_rank is 1 for the intron that
                           ranks highest in its fold by a model that had not seen it, NA where there is none
  group_contributions.h5ad contribution of every group to every intron's logit
  contributions.h5ad       contribution of every feature to every intron's logit (with --full-matrix)
  tissues.tsv              for Sei: mean coefficient of every factor or mark in every tissue
  explanation.json         what was done: numbers selected, thresholds, bounds on false selections
  groups, volcano, features, tissues: .svg and .png
"""

import json
from pathlib import Path

from intronaut.cli import (
    add_covariates_option,
    add_output_folder,
    add_run_options,
    fraction,
    new_parser,
    not_negative,
    positive_float,
    positive_int,
    run,
)
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import whole_file, whole_folder
from intronaut.core.log import Log

SHOWN = 30
CHANGE = "change of the logit of retention\nper standard deviation"
SAMPLE_ROWS = 4096
# introns below which correlations are too uncertain to cluster by
FEW_INTRONS = 300
# everything that may be written
FILES = ("groups.tsv", "clusters.tsv", "coefficients.tsv", "importance.tsv", "contributions.tsv", "tissues.tsv")
FILES += ("contributions.h5ad", "group_contributions.h5ad", "explanation.json")
FILES += tuple(f"{name}.{end}" for name in ("groups", "volcano", "features", "tissues") for end in ("svg", "png"))


def make_parser():
    parser = new_parser(__doc__, "explain")
    data = parser.add_argument_group("input")
    data.add_argument("--model", required=True, metavar="FOLDER", help="model folder of fit")
    data.add_argument(
        "--features", nargs="+", required=True, metavar="[BLOCK=]H5AD", help="features, same columns as the model"
    )
    data.add_argument("--labels", metavar="TSV", help="labels the model was fitted on, for everything about stability")
    add_covariates_option(data)
    what = parser.add_argument_group("groups")
    what.add_argument("--group-by", metavar="COLUMN", help="column of the feature table to gather by [each feature]; "
                      "for Sei also factor, class and tissue")  # fmt: skip
    what.add_argument("--grouping", default="curated", choices=["curated", "paper"],
                      help="factor and class of Sei: curated, or the paper's names and three kinds")  # fmt: skip
    what.add_argument("--cluster", type=fraction, default=0.7, metavar="R", help="correlation of a cluster's features")
    stable = parser.add_argument_group("stability (with --labels)")
    stable.add_argument("--pairs", type=positive_int, default=50, metavar="N", help="splits into two halves")
    stable.add_argument(
        "--threshold", type=fraction, default=0.75, metavar="P", help="selected on this share of halves"
    )
    stable.add_argument("--max-false", type=positive_float, default=1.0, metavar="N", help="false selections to expect")
    out = add_output_folder(parser)
    out.add_argument("--per-intron", type=positive_int, default=10, metavar="N", help="features listed an intron")
    out.add_argument("--full-matrix", action="store_true", help="write contributions.h5ad too")
    out.add_argument(
        "--memory", type=not_negative, default=8, metavar="GB", help="keep features in memory up to this size"
    )
    add_run_options(parser, threads=True, seed=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    if not 0.5 < args.threshold <= 1:
        raise UsageError("--threshold: must lie above 0.5 for its bound to hold")
    if (Path(args.output) / "model.json").exists():
        raise UsageError(f"--output {args.output}: a model folder, whose coefficients would be lost; name another")
    log = Log("explain", args)
    import numpy as np

    from intronaut.features.open_model import open_on_features
    from intronaut.features.sei_targets import annotate
    from intronaut.interpret.contributions import Contributions, group_of
    from intronaut.interpret.explanation import describe
    from intronaut.interpret.held_out_evidence import add_held_out_evidence
    from intronaut.models.design_matrix import every_locus

    model, features, columns = open_on_features(args.model, args.features, log)
    study = study_of(args, model, features, columns, log) if args.labels else None
    var = features.var.iloc[columns]
    if {"target", "cell_type"} <= set(var.columns):
        var = annotate(var, args.grouping)
    group = group_of(var, args.group_by, features.path)
    rows, names = every_locus(features)
    # of introns that are far from all that the model was fitted on, a single one may outdo all others
    fitted = study.fitted(names) if study else np.ones(len(rows), bool)
    sample = sample_of(features, rows[fitted], columns, args)
    if len(sample) < FEW_INTRONS:
        log.warn(f"clusters rest on correlations of {len(sample):,} introns, fewer than {FEW_INTRONS}")
    with whole_folder(args.output, FILES) as folder:
        contributions = Contributions(model, features, rows, columns, args.threads)
        effects = write_contributions(folder, contributions, model, group, fitted, args)
        explanation = describe(model, var, group, effects, sample, args.cluster)
        explanation.by_group.insert(0, "model", Path(args.model).name)
        sizes = {
            "features": len(var),
            "clusters": len(explanation.by_cluster),
            "groups": len(explanation.by_group),
        }
        summary = sizes | {"introns": len(rows), "cluster_correlation": args.cluster}
        if study:
            summary["warnings"] = study.warnings()
            for sentence in summary["warnings"]:
                log.warn(sentence)
            summary |= add_held_out_evidence(explanation, study, log)
        write_tables(folder, explanation)
        draw(folder, explanation.by_feature, explanation.by_cluster, explanation.by_group, args.threshold)
        (folder / "explanation.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    log.note(f"{sizes['features']:,} features in {sizes['clusters']:,} clusters and {sizes['groups']:,} groups")
    log_selected(log, summary, explanation.by_group)


def study_of(args, model, features, columns, log):
    """The introns that the model was fitted on, for what holds on other introns."""
    from intronaut.interpret.held_out_evidence import Settings, Study

    labels = read_labels_of_model(args, model)
    settings = Settings(args.pairs, args.threshold, args.max_false, args.memory * 2**30, args.threads, args.seed)
    return Study(
        model, features, columns, labels, args.labels, settings,
        lambda table: covariates_of(args, table, model, log),
    )  # fmt: skip


def read_labels_of_model(args, model):
    """The labels, when they are those that the model was fitted on: only then is it known what it has not seen."""
    from intronaut.io import tables

    labels, digest = tables.read_labels_and_digest(args.labels)
    if digest != model.notes["labels_sha256"]:
        raise BadData(f"{args.labels}: not the labels that {args.model} was fitted on, as its model.json says")
    return labels


def covariates_of(args, table, model, log):
    """The user's covariates of the labelled rows, DataFrame of float64, when they are those of the model's baseline."""
    from intronaut.io.covariates import read_covariates

    user = read_covariates(table, args.covariates, args.allow_missing, log)
    of_model = model.notes.get("covariates") or {}
    if user.transforms != of_model:
        raise UsageError(
            f"--covariates: the model was compared with {', '.join(of_model) or 'no covariates of a user'}, these are "
            f"{', '.join(user.transforms) or 'none'}; give the same as to fit"
        )
    return user.values


def sample_of(features, rows, columns, args):
    """Standardised features ``(m, d)`` of up to SAMPLE_ROWS introns: enough to measure correlations by."""
    import numpy as np

    from intronaut.models.design_matrix import Matrix

    drawn = np.random.default_rng(args.seed).permutation(len(rows))[:SAMPLE_ROWS]
    return Matrix(features, rows[np.sort(drawn)], columns, threads=args.threads).values()


def write_contributions(folder, contributions, model, group, fitted, args):
    """Write the contributions to every intron's logit.

    Returns the standard deviations of every feature's and every group's, over the introns ``fitted`` (bool).
    """
    import numpy as np
    import pandas as pd

    from intronaut.interpret.contributions import Moments, held_out_places, membership, strongest
    from intronaut.io.h5ad import FeatureWriter

    features, rows, columns = (getattr(contributions.matrix, name) for name in ("features", "rows", "columns"))
    obs, names = features.obs.iloc[rows[:, 0]], np.array(features.var.index[columns], object)
    member, labels = membership(group), np.asarray(group, object)
    group_var = pd.DataFrame({"n_features": np.bincount(group.codes)}, index=pd.Index(group.categories, name="name"))
    notes = {"tool": "explain", "model": model.notes["names_sha256"], "baseline": contributions.baseline}
    judged = held_out_places(args.model)
    place_of = {row.Index: f"{row.held_out_rank}\t{row.held_out_logit:.6g}" for row in judged.itertuples()}
    moments = [Moments(len(names)), Moments(len(group_var))]

    def work(block, parts):
        return block, parts, parts @ member, strongest(parts, args.per_intron)

    with (
        whole_file(folder / "contributions.tsv") as out,
        FeatureWriter(folder / "group_contributions.h5ad", obs, group_var, np.float32, notes) as grouped,
        full_writer(args.full_matrix, folder / "contributions.h5ad", obs, features.var.iloc[columns], notes) as full,
    ):
        out.write("name\theld_out_rank\theld_out_logit\tlogit_in_sample\trank\tfeature\tgroup\tcontribution\n")
        for block, parts, group_parts, top in contributions.blocks(work):
            place = np.arange(block.start, block.stop)
            grouped.write(place, group_parts)
            if full:
                full.write(place, parts)
            for moment, values in zip(moments, (parts, group_parts), strict=True):
                moment.add(values[fitted[block]])
            logits = parts.sum(axis=1, dtype=float) + contributions.baseline
            for name, logit, row_parts, order in zip(obs.index[block], logits, parts, top, strict=True):
                held_out = place_of.get(name, "NA\tNA")
                out.writelines(
                    f"{name}\t{held_out}\t{logit:.6g}\t{rank}\t{names[j]}\t{labels[j]}\t{row_parts[j]:.6g}\n"
                    for rank, j in enumerate(order, 1)
                )
        grouped.finish()
        if full:
            full.finish()
    return [moment.sd() for moment in moments]


def full_writer(wanted, path, obs, var, notes):
    """A FeatureWriter of every contribution, or nothing."""
    import contextlib

    import numpy as np

    from intronaut.io.h5ad import FeatureWriter

    return FeatureWriter(path, obs, var, np.float32, notes) if wanted else contextlib.nullcontext()


def write_tables(folder, explanation):
    """All tables, what moves predictions most first."""
    from intronaut.interpret.explanation import GROUP_COLUMNS
    from intronaut.io.tables import write_table

    by_feature, by_group = explanation.by_feature, explanation.by_group
    if "selected" in by_group:
        by_group = by_group.reindex(columns=GROUP_COLUMNS)
    linear = "coefficient" in by_feature
    by_feature = by_feature.sort_values("coefficient" if linear else "gain", key=abs, ascending=False, kind="stable")
    write_table(folder / ("coefficients.tsv" if linear else "importance.tsv"), by_feature)
    for name, table in (("clusters", explanation.by_cluster), ("groups", by_group)):
        write_table(folder / f"{name}.tsv", table.sort_values("effect", ascending=False, kind="stable"))


def draw(folder, by_feature, by_cluster, by_group, threshold):
    """The figures that there is something for, and the table behind the heat map."""
    from intronaut.io.tables import write_table
    from intronaut.plots.explanation import coefficient_forest, selection_forest, selection_plot, tissue_map
    from intronaut.plots.svg import save_both

    value = "coefficient_sum" if "coefficient_sum" in by_group else "effect"
    xlabel = (
        CHANGE if value == "coefficient_sum" else "standard deviation of the contribution to the logit of retention"
    )
    top = by_group.sort_values("effect", ascending=False, kind="stable")
    if "status" in top:
        # what holds is shown whatever its size
        top = top.sort_values("status", key=lambda column: column != "selected", kind="stable")
        save_both(selection_plot(by_group, value, xlabel), folder / "volcano")
    save_both(selection_forest(top.head(SHOWN), value, xlabel, threshold), folder / "groups")
    if "coefficient" not in by_feature:
        return
    top = by_feature.sort_values("coefficient", key=abs, ascending=False, kind="stable").head(SHOWN)
    status = by_cluster.set_index("cluster").get("status")
    save_both(coefficient_forest(top, top["cluster"].map(status) if status is not None else None, CHANGE),
              folder / "features")  # fmt: skip
    if "tissue" in by_feature:
        table = tissue_table(by_feature)
        write_table(folder / "tissues.tsv", table)
        wide = table.pivot(index="factor", columns="tissue", values="coefficient_mean")
        strongest = table.groupby("factor")["coefficient_sum"].sum().abs().nlargest(SHOWN).index
        held = by_group["group"][by_group["status"] == "selected"] if "status" in by_group else []
        figure = tissue_map(wide.loc[strongest], set(held), "mean coefficient per standard deviation")
        save_both(figure, folder / "tissues")


def tissue_table(by_feature):
    """Coefficients of every factor or mark in every tissue that has tracks of it."""
    table = by_feature.groupby(["factor", "tissue"], sort=True)["coefficient"].agg(["size", "sum", "mean"])
    table.columns = ["n_features", "coefficient_sum", "coefficient_mean"]
    return table.reset_index()


def log_selected(log, summary, by_group):
    """Say which groups are shown to hold, and how many groups and clusters were selected by chance."""
    from intronaut.interpret.stability_selection import error_bound

    for unit in ("groups", "clusters"):
        for adjusted in ("", "adjusted_"):
            if selection := summary.get(f"selection_of_{adjusted}{unit}"):
                beside = " besides the covariates" if adjusted else ""
                if not selection["selected_on_each_half"]:
                    bound = error_bound(1, selection["units"], selection["threshold"])
                    log.warn(
                        f"whether {unit} hold up{beside} cannot be answered: of {selection['units']:,}, even one "
                        f"picked on each half may let through {bound:.2g} false ones, more than --max-false"
                    )
                    continue
                log.note(
                    f"{selection['selected']} of {selection['units']:,} {unit} are selected{beside}, of which at most "
                    f"{selection['false_at_most']:.2g} are expected to be false"
                )
    if "status" in by_group:
        held = by_group[by_group["status"] == "selected"]
        names = ", ".join(f"{row.group} ({row.direction})" for row in held.itertuples())
        log.note(f"shown to hold besides the covariates: {names}" if names else "no group is shown to hold")


if __name__ == "__main__":
    run(main, "explain")
