#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "h5py>=3.11", "safetensors>=0.4", "threadpoolctl>=3.5",
#   "biopython>=1.84", "rich>=13"]
# ///
"""Fit a model of intron retention on features and judge it on introns it has not seen.

Reads a features file of any embed_* tool and labels.tsv, joined by window name. Rows train and test by whole leakage
groups (column group): with fold numbers in the column split, or --folds, every row is predicted by the model that has
not seen its fold; with train/valid/test, the test rows are predicted. The penalty is chosen inside the training rows.
A model of the covariates alone (length, GC, CpG, rank …) and one of features and covariates together are always fitted
beside it, on the same rows.

Output, a folder:
  model.json           kind, settings, digest of the feature names, provenance
  coefficients.tsv     one line a feature: its groups, coefficient per standard deviation and per unit, mean, sd
  weights.safetensors  the same numbers in full precision
  path.tsv             every C tried: log loss and AUROC on inner folds, steps, convergence
  predictions.tsv      name label split fold p_retained logit of every intron judged
  metrics.json         metrics with 95 % intervals, the baseline, the gain over it, row counts
  covariates/ combined/   predictions.tsv and metrics.json of the two models beside it
"""

from intronaut.cli import Log, UsageError, add_run_options, parser, positive_int, run, whole_folder

# from models that only know the base rate to models that fit what noise they like
C_VALUES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0, 10.0)
# covariates enter the combined model nearly unpenalised, so that it is never worse than they are for want of freedom
COVARIATE_RIDGE = 1e-3


def make_parser():
    made = parser(__doc__, "fit")
    data = made.add_argument_group("input")
    data.add_argument("--features", required=True, metavar="H5AD", help="features file of any embed_* tool")
    data.add_argument("--labels", required=True, metavar="TSV", help="labels.tsv of label_introns")
    data.add_argument(
        "--feature-groups",
        default="all",
        metavar="GROUP",
        help="all; tf, histone, access or another kind; or COLUMN=VALUE[,VALUE] of the feature table",
    )
    model = made.add_argument_group("model")
    model.add_argument("--model", default="logistic", choices=["logistic"], help="kind of model")
    model.add_argument(
        "--c-values", type=float, nargs="+", default=C_VALUES, metavar="C", help="inverse penalties to choose from"
    )
    model.add_argument("--tolerance", type=float, default=1e-5, metavar="G", help="largest gradient of a converged fit")
    judging = made.add_argument_group("judging")
    judging.add_argument("--folds", type=positive_int, metavar="N", help="deal groups to N folds; ignore column split")
    judging.add_argument("--bootstrap", type=positive_int, default=2000, metavar="N", help="replicates")
    out = made.add_argument_group("output")
    out.add_argument("-o", "--output", required=True, metavar="FOLDER", help="model folder to write")
    out.add_argument("--memory", type=float, default=8, metavar="GB", help="keep features in memory up to this size")
    add_run_options(made, threads=True, seed=True)
    return made


def main(argv):
    args = make_parser().parse_args(argv)
    if not all(c > 0 for c in args.c_values):
        raise UsageError("--c-values: every C must be above 0")
    log = Log("fit", args)
    from intronaut import models, store, tables
    from intronaut.matrix import Matrix, covariates, join
    from intronaut.validation import make_plan

    features = store.open_features(args.features)
    columns = models.group_columns(features, args.feature_groups)
    table, rows, counts = join(features, tables.read_labels(args.labels))
    plan = make_plan(table, args.folds)
    counts |= tell_rows(table, plan, counts, log)
    extra = covariates(table, plan.known)
    size = {"known": plan.known, "memory": args.memory * 2**30, "threads": args.threads}
    both = Matrix(features, rows, columns, extra, **size)
    matrices = {"features": both.leading(len(columns))}
    if extra.shape[1]:
        matrices |= {"covariates": Matrix(extra=extra, **size), "combined": both}
    else:
        log.warn("no covariate column varies: there is no baseline to compare with")
    fits = {name: fit_one(name, matrix, table, plan, args, log) for name, matrix in matrices.items()}
    results = {name: judge(found, table, plan, args) for name, found in fits.items()}
    with whole_folder(args.output) as folder:
        write_all(folder, args, features, columns, matrices["features"], fits, results, plan, counts)
    tell_results(results, log)


def tell_rows(table, plan, counts, log):
    """Say which rows are left out and why; returns the counts that the plan adds."""
    from intronaut.validation import TEST, UNUSED

    found = {
        "rows_trained": int(plan.known.sum()),
        "rows_judged": int(plan.judged.sum()),
        "rows_without_split": int((plan.fold == UNUSED).sum()),
        "groups_in_several_folds": plan.torn_groups(),
    }
    for name in ("label_missing", "labelled_without_features", "features_without_label_row"):
        if counts[name]:
            log.note(f"{counts[name]:,} windows left out: {name.replace('_', ' ')}")
    if found["rows_without_split"]:
        log.note(f"{found['rows_without_split']:,} windows left out: split missing")
    if found["groups_in_several_folds"]:
        torn = found["groups_in_several_folds"]
        log.warn(f"{torn:,} leakage groups lie in several folds: the metrics flatter the model")
    if "group" not in table:
        log.warn("labels have no column group: every row is taken as independent")
    log.note(f"{len(table) - (plan.fold == UNUSED).sum():,} windows, {int((plan.fold == TEST).sum()):,} of them test")
    return found


def fit_one(name, matrix, table, plan, args, log):
    """The cross-fitted path of one set of columns."""
    import numpy as np

    from intronaut.validation import cross_fit

    ridge = np.ones(matrix.d)
    if name == "combined":
        ridge[[column.startswith("covariate:") for column in matrix.names]] = COVARIATE_RIDGE
    found = cross_fit(matrix, table["label"].to_numpy(), plan, args.c_values, ridge=ridge, tolerance=args.tolerance)
    log.detail(f"{name}: {matrix.d:,} columns, C = {found.c:g}")
    if len(args.c_values) > 1 and found.c in (min(args.c_values), max(args.c_values)):
        log.note(f"{name}: the chosen C = {found.c:g} is at the end of --c-values")
    if not found.path["converged"].all():
        log.warn(f"{name}: {(~found.path['converged']).sum()} fits stopped before --tolerance; see path.tsv")
    return found


def judge(found, table, plan, args):
    """Predictions of the judged rows and their evaluation."""
    from intronaut import evaluation

    predictions = evaluation.prediction_table(table, found.logits, plan.fold_names(), plan.judged)
    return predictions, evaluation.evaluate(predictions, plan.groups[plan.judged], args.bootstrap, args.seed)


def write_all(folder, args, features, columns, matrix, fits, results, plan, counts):
    """Write the model folder and the folders of the two models beside it."""
    from intronaut import evaluation, models, tables

    for name in results.keys() - {"features"}:
        (folder / name).mkdir()
        predictions, (summary, *_) = results[name]
        evaluation.write_evaluation(folder / name, predictions, summary | {"model": "logistic", "columns": name})
    predictions, (summary, *scores) = results["features"]
    about = {"model": "logistic", "columns": "features", "rows": counts, "judged": judged_as(plan)}
    evaluation.write_evaluation(folder, predictions, summary | about | compare_with_baseline(results))
    found = fits["features"]
    tables.write_table(folder / "path.tsv", found.path)
    notes = notes_of(args, features, found, counts)
    model = models.LinearModel(notes, found.weights, matrix.scale.mean, matrix.scale.sd, found.intercept)
    models.write_linear(folder, model, features.var.iloc[columns])


def judged_as(plan):
    return "out-of-fold" if plan.nested else "test rows"


def compare_with_baseline(results):
    """The metrics of the models beside, and what the features add to the covariates, on the same bootstrap draws."""
    from intronaut import evaluation

    if "covariates" not in results:
        return {"baseline": None, "gain": None}
    summaries = {name: result[1][0] for name, result in results.items()}
    scores = {name: result[1][1:] for name, result in results.items()}
    return {
        "baseline": {name: summaries[name]["metrics"] for name in ("covariates", "combined")},
        "gain": {
            f"{name}_minus_covariates": evaluation.gain(scores[name], scores["covariates"])
            for name in ("combined", "features")
        },
    }


def notes_of(args, features, found, counts):
    """What model.json says besides what every linear model says."""
    from intronaut import __version__
    from intronaut.cli import digest_file

    return {
        "kind": "logistic",
        "tool": "fit",
        "version": __version__,
        "c": found.c,
        "c_of_fold": found.fold_c,
        "c_values": sorted(set(found.path["c"])),
        "tolerance": args.tolerance,
        "feature_group": args.feature_groups,
        "folds": args.folds,
        "calibration": None,
        "n_parameters": len(found.weights) + 1,
        "rows_trained": counts["rows_trained"],
        "seed": args.seed,
        "labels_sha256": digest_file(args.labels),
        "features": features.provenance,
    }


def tell_results(results, log):
    """One line a model: AUROC and average precision with their intervals."""
    for name, (_, (summary, *_)) in results.items():
        auroc, ap = summary["metrics"]["auroc"], summary["metrics"]["average_precision"]
        log.note(
            f"{name}: AUROC {auroc['value']:.3f} ({auroc['low']:.3f}–{auroc['high']:.3f}), average precision "
            f"{ap['value']:.3f} ({ap['low']:.3f}–{ap['high']:.3f}) at prevalence {summary['prevalence']:.3f}"
        )


if __name__ == "__main__":
    run(main, "fit")
