#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "h5py>=3.11", "safetensors>=0.4", "threadpoolctl>=3.5",
#   "matplotlib>=3.9", "biopython>=1.84", "rich>=13"]
# ///
"""Say which features, and which groups of them, move a fitted model's prediction of intron retention.

Reads a model folder of fit and the features it was fitted on. Features are rolled up by a column of the feature table
(a transcription factor, a mark, a cell type, a motif family). With --labels the model is refitted on resampled leakage
groups, which shows what is stable. Contributions are exact: intercept + sum of contributions = logit.

Output, a folder:
  coefficients.tsv         one line a feature: coefficient per standard deviation and per unit, and its stability
  groups.tsv               one line a group: the model's name, number of features, sum and mean of coefficients, effect
                           (the standard deviation over introns of its contribution to the logit), and its stability
  contributions.tsv        the features that move each intron's logit most: name logit rank feature group contribution
  group_contributions.h5ad contribution of every group to every intron's logit
  contributions.h5ad       contribution of every feature to every intron's logit (with --full-matrix)
  groups.svg, features.svg the strongest groups and features

Stability columns: low, high (95 % of the resamples), sign_consistency (share of resamples with the same sign) and
selected (share of resamples that rank it among the --top by absolute coefficient).
"""

from pathlib import Path

from intronaut.cli import Log, UsageError, add_run_options, parser, positive_int, run, whole_folder

SHOWN = 30


def make_parser():
    made = parser(__doc__, "explain")
    data = made.add_argument_group("input")
    data.add_argument("--model", required=True, metavar="FOLDER", help="model folder of fit")
    data.add_argument("--features", required=True, metavar="H5AD", help="features file, same columns as the model")
    data.add_argument("--labels", metavar="TSV", help="labels the model was fitted on, for stability")
    what = made.add_argument_group("explanation")
    what.add_argument("--group-by", metavar="COLUMN", help="column of the feature table to roll up by [each feature]")
    what.add_argument("--resamples", type=positive_int, default=100, metavar="N", help="refits that show stability")
    what.add_argument("--top", type=positive_int, default=20, metavar="N", help="rank that counts as selected")
    what.add_argument("--per-intron", type=positive_int, default=10, metavar="N", help="features listed an intron")
    out = made.add_argument_group("output")
    out.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder to write")
    out.add_argument("--full-matrix", action="store_true", help="write contributions.h5ad too")
    out.add_argument("--memory", type=float, default=8, metavar="GB", help="keep features in memory up to this size")
    add_run_options(made, threads=True, seed=True)
    return made


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log("explain", args)
    from intronaut import models, store, tables

    model = models.read_model(args.model)
    if not isinstance(model, models.LinearModel):
        raise UsageError(f"{args.model}: only linear models are explained; see its importance.tsv")
    features = store.open_features(args.features)
    columns = models.matching_columns(model.notes, features)
    var = features.var.iloc[columns]
    group = group_of(var, args.group_by, features.path)
    resampled = None
    if args.labels:
        resampled = refit(model, features, columns, tables.read_labels(args.labels), args)
        log.note(f"refitted on {args.resamples} resamples of the leakage groups")
    with whole_folder(args.output) as folder:
        effects, n = write_contributions(folder, model, features, columns, group, args)
        by_feature = feature_table(model, var, group, resampled, args.top)
        by_group = group_table(model.weights, group, effects, resampled, args.top)
        by_group.insert(0, "model", Path(args.model).name)
        tables.write_table(folder / "coefficients.tsv", by_feature)
        tables.write_table(folder / "groups.tsv", by_group)
        draw(folder, by_feature, by_group)
    log.note(f"{len(var):,} features in {len(by_group):,} groups, {n:,} introns")


def group_of(var, column, path):
    """The group of each feature as a Categorical in order of first appearance; a missing value is its own group."""
    import pandas as pd

    if column is None:
        names = pd.Series(var.index, dtype=object)
    elif column in var:
        names = var[column].reset_index(drop=True).astype(object)
        names = names.where(names.notna() & (names != ""), "(none)").astype(str)
    else:
        raise UsageError(f"--group-by {column}: {path} has no such column; it has {', '.join(var.columns) or 'none'}")
    return pd.Categorical(names, categories=pd.unique(names))


def refit(model, features, columns, labels, args):
    """Standardised coefficients ``(d, resamples)`` of the model refitted on bootstrap draws of the leakage groups."""
    from intronaut import evaluation, linear, sparse
    from intronaut.matrix import Matrix, Scale, join
    from intronaut.validation import balanced, make_plan

    table, rows, _ = join(features, labels)
    plan = make_plan(table, model.notes["folds"])
    table, rows, groups = table[plan.known], rows[plan.known], plan.groups[plan.known]
    scale = Scale(model.mean, model.sd)
    matrix = Matrix(features, rows, columns, scale=scale, memory=args.memory * 2**30, threads=args.threads)
    draws = evaluation.resampler(groups, args.resamples, args.seed)
    row_weights = draws.counts[:, draws.group].T.astype(float)
    if model.notes["class_weight"] == "balanced":
        row_weights = balanced(row_weights, table["label"].to_numpy())[0]
    start = linear.repeated(model.weights, model.intercept, args.resamples)
    how = {"start": start, "tolerance": model.notes["tolerance"]}
    labels, c = table["label"].to_numpy(), model.notes["setting"]
    if model.notes["kind"] == "elasticnet":
        return sparse.fit(matrix, labels, row_weights, c, model.notes["l1_ratio"], **how).weights
    return linear.fit(matrix, labels, row_weights, c, spectrum=linear.spectrum(matrix), **how).weights


def stability(value, resampled, top):
    """Stability columns of ``(d,)`` values from their ``(d, resamples)`` refits; none without refits."""
    import numpy as np

    if resampled is None:
        return {}
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    ranks = np.argsort(np.argsort(-np.abs(resampled), axis=0, kind="stable"), axis=0)
    same_sign = np.sign(resampled) == np.sign(value)[:, None]
    return {
        "low": low,
        "high": high,
        "sign_consistency": same_sign.mean(axis=1),
        "selected": (ranks < top).mean(axis=1),
    }


def feature_table(model, var, group, resampled, top):
    """coefficients.tsv: strongest first."""
    per_unit, _ = model.per_unit()
    table = var.rename_axis("feature").reset_index().assign(group=group.astype(str))
    table = table.assign(coefficient=model.weights, coefficient_per_unit=per_unit)
    table = table.assign(**stability(model.weights, resampled, top))
    return table.sort_values("coefficient", key=abs, ascending=False, kind="stable")


def group_table(weights, group, effects, resampled, top):
    """groups.tsv: the groups that move predictions most first."""
    import numpy as np
    import pandas as pd

    g = len(group.categories)
    size = np.bincount(group.codes, minlength=g)
    total = np.bincount(group.codes, weights, g)
    table = pd.DataFrame(
        {
            "group": group.categories,
            "n_features": size,
            "coefficient_sum": total,
            "coefficient_mean": total / size,
            "share_positive": np.bincount(group.codes, weights > 0, g) / size,
            "effect": effects,
        }
    )
    if resampled is not None:
        sums = np.stack([np.bincount(group.codes, refitted, g) for refitted in resampled.T], axis=1)
        table = table.assign(**stability(total, sums, top))
    return table.sort_values("effect", ascending=False, kind="stable")


def write_contributions(folder, model, features, columns, group, args):
    """Write the contributions; returns each group's effect (standard deviation of its contribution) and the rows."""
    import numpy as np
    import pandas as pd
    from scipy import sparse

    from intronaut.cli import whole_file
    from intronaut.matrix import Matrix, Scale, every_locus
    from intronaut.store import FeatureWriter

    rows, _ = every_locus(features)
    matrix = Matrix(features, rows, columns, scale=Scale(model.mean, model.sd), memory=0, threads=args.threads)
    obs = features.obs.iloc[rows[:, 0]]
    d, g = matrix.d, len(group.categories)
    by_group = sparse.csr_array((np.ones(d, np.float32), (np.arange(d), group.codes)), shape=(d, g))
    notes = {"tool": "explain", "model": model.notes["names_sha256"], "intercept": model.intercept}
    group_var = pd.DataFrame({"n_features": np.bincount(group.codes)}, index=pd.Index(group.categories, name="name"))
    feature_var = features.var.iloc[columns]
    weights, names = model.weights.astype(np.float32), np.array(matrix.names, object)
    sums, squares = np.zeros(g), np.zeros(g)

    def work(block, values):
        parts = values * weights
        top = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, : args.per_intron]
        return block, parts, parts @ by_group, top

    with (
        whole_file(folder / "contributions.tsv") as out,
        FeatureWriter(folder / "group_contributions.h5ad", obs, group_var, np.float32, notes) as grouped,
        full_writer(args.full_matrix, folder / "contributions.h5ad", obs, feature_var, notes) as full,
    ):
        out.write("name\tlogit\trank\tfeature\tgroup\tcontribution\n")
        for block, parts, group_parts, top in matrix.map(work):
            place = np.arange(block.start, block.stop)
            grouped.write(place, group_parts)
            if full:
                full.write(place, parts)
            sums += group_parts.sum(axis=0, dtype=float)
            squares += (group_parts.astype(float) ** 2).sum(axis=0)
            logits = parts.sum(axis=1, dtype=float) + model.intercept
            for name, logit, own, order in zip(obs.index[block], logits, parts, top, strict=True):
                out.writelines(
                    f"{name}\t{logit:.6g}\t{rank}\t{names[j]}\t{group[j]}\t{own[j]:.6g}\n"
                    for rank, j in enumerate(order, 1)
                )
        grouped.finish()
        if full:
            full.finish()
    return np.sqrt(np.maximum(squares / matrix.n - (sums / matrix.n) ** 2, 0)), matrix.n


def full_writer(wanted, path, obs, var, notes):
    """A FeatureWriter of every contribution, or nothing."""
    import contextlib

    import numpy as np

    from intronaut.store import FeatureWriter

    return FeatureWriter(path, obs, var, np.float32, notes) if wanted else contextlib.nullcontext()


def draw(folder, by_feature, by_group):
    """The strongest groups and features with their intervals."""
    from intronaut.figures import forest, save_svg

    for name, table, label, value in (
        ("groups", by_group, "group", "coefficient_sum"),
        ("features", by_feature, "feature", "coefficient"),
    ):
        top = table.head(SHOWN)
        low, high = (top.get(side, top[value]) for side in ("low", "high"))
        xlabel = "change of the logit of retention per standard deviation"
        save_svg(forest(top[label], top[value], low, high, xlabel), folder / f"{name}.svg")


if __name__ == "__main__":
    run(main, "explain")
