#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "lightgbm>=4.5", "optuna>=4.0",
#   "h5py>=3.11", "safetensors>=0.4", "threadpoolctl>=3.5", "biopython>=1.84", "rich>=13"]
# ///
"""Fit a model of intron retention on features and judge it on introns it has not seen.

Reads a features file of any embed_* tool and labels.tsv, joined by window name. Rows train and test by whole leakage
groups (column group): with fold numbers in the column split, or --folds, every row is predicted by the model that has
not seen its fold; with train/valid/test, the test rows are predicted. Penalties, trees and calibration are chosen
inside the training rows. The same kind of model on the covariates alone (length, GC, CpG, rank …) and on features and
covariates together are always fitted beside it, on the same rows.

Output, a folder:
  model.json           kind, settings, calibration, digest of the feature names, provenance
  coefficients.tsv     one line a feature: its groups, coefficient per standard deviation and per unit, mean, sd
  weights.safetensors  the same numbers in full precision
  lightgbm.txt, importance.tsv   instead of these two for --model lightgbm: the trees; gain and splits of each feature
  path.tsv             every setting tried: log loss and AUROC on inner folds, steps, convergence
  predictions.tsv      name label split fold p_retained logit of every intron judged
  metrics.json         metrics with 95 % intervals, the baseline, the gain over it, row counts
  strata.tsv           AUROC within bins of GC content and length
  covariates/ combined/ shuffled/   predictions.tsv and metrics.json of the two models beside it, and of
                       --shuffle-control: the same model on labels dealt at random
"""

from intronaut.cli import (
    add_run_options,
    fraction,
    new_parser,
    not_negative,
    positive_float,
    positive_int,
    refuse_without_effect,
    run,
    whole_number,
)
from intronaut.core.errors import UsageError
from intronaut.core.files import whole_folder
from intronaut.core.log import Log

# from models that know little more than the base rate to models that fit what noise they like
C_VALUES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0, 10.0)
# covariates enter the combined model with this C whatever the features' C: nearly unpenalised, so that it is never
# worse than they are for want of freedom, and alike along the path, so that only the features' gain and loss end it
COVARIATE_C = 1.0


def make_parser():
    parser = new_parser(__doc__, "fit")
    data = parser.add_argument_group("input")
    data.add_argument("--features", required=True, metavar="H5AD", help="features file of any embed_* tool")
    data.add_argument("--labels", required=True, metavar="TSV", help="labels.tsv of label_introns")
    data.add_argument(
        "--feature-groups",
        default="all",
        metavar="GROUP",
        help="all; tf, histone, access or another kind; or COLUMN=VALUE[,VALUE] of the feature table",
    )
    model = parser.add_argument_group("model")
    kinds = ["logistic", "elasticnet", "lightgbm"]
    model.add_argument("--model", default="logistic", choices=kinds, help="logistic (L2), elastic net or trees")
    model.add_argument(
        "--preset", default="default", choices=["default", "paper"], help="settings of Daoud & Ben-Hur 2025 if paper"
    )
    model.add_argument(
        "--c-values", type=positive_float, nargs="+", default=C_VALUES, metavar="C", help="inverse penalties"
    )
    model.add_argument("--l1-ratio", type=fraction, default=0.5, metavar="R", help="share of L1 in the elastic net")
    model.add_argument(
        "--tolerance", type=positive_float, default=1e-5, metavar="G", help="largest gradient of a converged fit"
    )
    model.add_argument(
        "--trials", type=whole_number, default=0, metavar="N", help="settings of trees to try on inner folds"
    )
    model.add_argument("--class-weight", default="none", choices=["none", "balanced"], help="weights of the classes")
    model.add_argument(
        "--calibrate", default="none", choices=["none", "platt", "isotonic"], help="calibration, learnt on inner folds"
    )
    judging = parser.add_argument_group("judging")
    judging.add_argument("--folds", type=positive_int, metavar="N", help="deal groups to N folds; ignore column split")
    judging.add_argument("--bootstrap", type=positive_int, default=2000, metavar="N", help="replicates")
    judging.add_argument("--shuffle-control", action="store_true", help="fit random labels too: AUROC must be 0.5")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", required=True, metavar="FOLDER", help="model folder to write")
    out.add_argument(
        "--memory", type=not_negative, default=8, metavar="GB", help="keep features in memory up to this size"
    )
    add_run_options(parser, threads=True, seed=True)
    return parser


def main(argv):
    parser = make_parser()
    args = parser.parse_args(argv)
    check_options(parser, args)
    log = Log("fit", args)
    from intronaut.io import h5ad, tables
    from intronaut.models.cross_validation import make_plan
    from intronaut.models.design_matrix import Matrix, Scale, covariates, join
    from intronaut.models.folder import MODEL_FILES, group_columns

    features = h5ad.open_features(args.features)
    columns = group_columns(features, args.feature_groups)
    labels, labels_sha256 = tables.read_labels_and_digest(args.labels)
    table, rows, counts = join(features, labels)
    plan = make_plan(table, args.folds)
    counts |= tell_rows(table, plan, counts, log)
    extra = covariates(table, plan.known)

    def matrix_of(*parts, d):
        scale = Scale.identity(d) if reads_raw(args) else None
        memory = args.memory * 2**30
        return Matrix(*parts, known=plan.known, scale=scale, memory=memory, threads=args.threads)

    both = matrix_of(features, rows, columns, extra, d=len(columns) + extra.shape[1])
    matrices = {"features": both.leading(len(columns))}
    if extra.shape[1]:
        matrices |= {"covariates": matrix_of(None, None, None, extra, d=extra.shape[1]), "combined": both}
    else:
        log.warn("no covariate column varies: there is no baseline to compare with")
    results = {name: fit_one(name, matrix, table, plan, args, log) for name, matrix in matrices.items()}
    if args.shuffle_control:
        shuffled = table.assign(label=shuffle(table["label"].to_numpy(), plan.fold, args.seed))
        results["shuffled"] = fit_one("shuffled", matrices["features"], shuffled, plan, args, log)
    with whole_folder(args.output, MODEL_FILES) as folder:
        write_evaluations(folder, table, plan, results, counts)
        trained = table["label"][plan.known]
        scale = matrices["features"].scale
        write_model(folder, args, features, columns, scale, results["features"], trained, labels_sha256)


def check_options(parser, args):
    """Refuse a model that the paper has not, and options of which the model that was asked for would take no notice."""
    paper = args.preset == "paper"
    if paper and args.model == "elasticnet":
        raise UsageError("--preset paper: the paper fits no elastic net")
    penalised = args.model != "lightgbm" and not paper
    heeded = {
        "c_values": penalised,
        "l1_ratio": args.model == "elasticnet",
        "tolerance": penalised,
        "trials": args.model == "lightgbm",
        # the paper weighs the classes alike for trees, and not for its logistic regression
        "class_weight": not paper,
    }
    model = f"--model {args.model}{' --preset paper' if paper else ''}"
    refuse_without_effect(parser, args, [name for name, heeds in heeded.items() if not heeds], f"with {model}")


def reads_raw(args):
    """Whether the model takes features as they are: trees do not care, and the paper did not standardise."""
    return args.model == "lightgbm" or args.preset == "paper"


def tell_rows(table, plan, counts, log):
    """Say which rows are left out and why; returns the counts that the plan adds."""
    from intronaut.models.cross_validation import UNUSED

    found = {
        "rows_trained": int(plan.known.sum()),
        "rows_judged": int(plan.judged.sum()),
        "rows_without_split": int((plan.fold == UNUSED).sum()),
        "groups_in_several_folds": plan.torn_groups(),
    }
    for name, count in (counts | found).items():
        if count and name in ("label_missing", "labelled_without_features", "features_without_label_row"):
            log.note(f"{count:,} windows left out: {name.replace('_', ' ')}")
    if found["rows_without_split"]:
        log.note(f"{found['rows_without_split']:,} windows left out: split missing")
    if torn := found["groups_in_several_folds"]:
        log.warn(f"{torn:,} leakage groups lie in several folds: the metrics flatter the model")
    if "group" not in table:
        log.warn("labels have no column group: every row is taken as independent")
    log.note(f"{found['rows_trained']:,} windows train, {found['rows_judged']:,} are judged")
    return found


def fit_one(name, matrix, table, plan, args, log):
    """Fit, calibrate and judge one set of columns; returns a dict of all that was found."""
    from intronaut.models.calibration import calibrate, is_flat
    from intronaut.stats.metrics import evaluate, prediction_table

    labels = table["label"].to_numpy()
    found = learn(name, matrix, labels, plan, args)
    if "converged" in found.path and not found.path["converged"].all():
        log.warn(f"{name}: {(~found.path['converged']).sum()} fits stopped before --tolerance; see path.tsv")
    logits, maps = calibrate(found, labels, plan, args.calibrate)
    if flat := sum(map(is_flat, maps.values())):
        log.warn(
            f"{name}: --calibrate {args.calibrate} has slope 0 for {flat} of {len(maps)} models, which give every "
            "intron the base rate: on inner folds retention does not rise with their logit"
        )
    predictions = prediction_table(table, logits, plan.fold_names(), plan.judged)
    summary, point, replicated = evaluate(predictions, plan.groups[plan.judged], args.bootstrap, args.seed)
    summary |= {"model": args.model, "columns": name, "judged": "out-of-fold" if plan.nested else "test rows"}
    auroc, ap = summary["metrics"]["auroc"], summary["metrics"]["average_precision"]
    log.note(
        f"{name}: AUROC {auroc['value']:.3f} ({auroc['low']:.3f}–{auroc['high']:.3f}), average precision "
        f"{ap['value']:.3f} ({ap['low']:.3f}–{ap['high']:.3f}) at prevalence {summary['prevalence']:.3f}"
    )
    return {"found": found, "calibration": maps[None], "predictions": predictions, "summary": summary,
            "scores": (point, replicated)}  # fmt: skip


def learn(name, matrix, labels, plan, args):
    """The CrossFit of the kind of model that was asked for."""
    from functools import partial

    import numpy as np

    from intronaut.models import elastic_net, logistic
    from intronaut.models.cross_validation import cross_fit

    balance = args.class_weight == "balanced"
    if args.model == "lightgbm":
        from intronaut.models import lightgbm

        how = {"preset": args.preset, "trials": args.trials, "threads": args.threads, "seed": args.seed}
        return lightgbm.cross_fit(matrix, labels, plan, balance=balance, **how)
    if args.preset == "paper":
        from intronaut.paper.logistic import cross_fit as cross_fit_as_paper

        return cross_fit_as_paper(matrix, labels, plan, args.seed)
    covariate = np.array([name == "combined" and column.startswith("covariate:") for column in matrix.names])
    if args.model == "logistic":
        solver = partial(logistic.fit, spectrum=logistic.spectrum(matrix))
    else:
        solver = partial(elastic_net.fit, l1_ratio=args.l1_ratio)

    def solve(row_weights, c, start):
        ridge = np.where(covariate, c / COVARIATE_C, 1.0)
        return solver(matrix, labels, row_weights, c, ridge=ridge, start=start, tolerance=args.tolerance)

    return cross_fit(matrix, labels, plan, args.c_values, solve, balance=balance)


def shuffle(labels, fold, seed):
    """The labels dealt at random within each fold, so that every fold keeps its prevalence."""
    import numpy as np

    rng, made = np.random.default_rng(seed), labels.copy()
    for number in np.unique(fold):
        made[fold == number] = rng.permutation(labels[fold == number])
    return made


def write_evaluations(folder, table, plan, results, counts):
    """predictions.tsv and metrics.json of every model, path.tsv and strata.tsv of the main one."""
    from intronaut.io import tables
    from intronaut.stats.metrics import gain, stratified_auroc, write_evaluation

    main_one = results["features"]
    for name in results.keys() - {"features"}:
        (folder / name).mkdir()
        write_evaluation(folder / name, results[name]["predictions"], results[name]["summary"])
    beside = {"baseline": None, "gain": None}
    if "covariates" in results:
        metrics = {name: results[name]["summary"]["metrics"] for name in ("covariates", "combined")}
        base, n_groups = results["covariates"]["scores"], main_one["summary"]["n_groups"]
        gains = {
            f"{name}_minus_covariates": gain(results[name]["scores"], base, n_groups)
            for name in ("combined", "features")
        }
        beside = {"baseline": metrics, "gain": gains}
    if "shuffled" in results:
        beside["label_shuffle"] = results["shuffled"]["summary"]["metrics"]
    judged = table[plan.judged].reset_index(drop=True)
    draws = main_one["summary"]["bootstrap"]
    within, strata = stratified_auroc(
        main_one["predictions"], judged, plan.groups[plan.judged], draws["replicates"], draws["seed"]
    )
    tables.write_table(folder / "strata.tsv", strata)
    summary = main_one["summary"] | beside | {"rows": counts, "auroc_within_strata": within}
    write_evaluation(folder, main_one["predictions"], summary)
    tables.write_table(folder / "path.tsv", main_one["found"].path)


def window_lengths(features):
    """Bases in the shortest and the longest window, or None where the features do not say."""
    lengths = features.obs.get("length")
    return None if lengths is None else [int(lengths.min()), int(lengths.max())]


def write_model(folder, args, features, columns, scale, result, trained, labels_sha256):
    """model.json and the numbers of the final model, fitted on all rows that are not test rows."""
    from intronaut import __version__
    from intronaut.models.folder import LinearModel, write_linear, write_trees

    found = result["found"]
    notes = {
        "kind": args.model,
        "preset": args.preset,
        "tool": "fit",
        "version": __version__,
        "setting": found.setting,
        "setting_of_fold": found.setting_of_fold,
        "class_weight": args.class_weight,
        "calibration": result["calibration"],
        "feature_group": args.feature_groups,
        "folds": args.folds,
        "rows_trained": len(trained),
        "prevalence_trained": float(trained.mean()),
        "seed": args.seed,
        "labels_sha256": labels_sha256,
        "features": features.provenance,
        "window_lengths": window_lengths(features),
    }
    var = features.var.iloc[columns]
    if args.model == "lightgbm":
        write_trees(folder, notes, *found.final, var)
        return
    notes |= {"tolerance": args.tolerance, "l1_ratio": args.l1_ratio if args.model == "elasticnet" else 0.0}
    write_linear(folder, LinearModel(notes, *found.final, scale.mean, scale.sd), var)


if __name__ == "__main__":
    run(main, "fit")
