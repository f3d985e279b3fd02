#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "lightgbm>=4.5", "optuna>=4.0",
#   "h5py>=3.11", "safetensors>=0.4", "threadpoolctl>=3.5", "biopython>=1.84", "rich>=13"]
# ///
"""Fit a model of intron retention on features and evaluate it on introns it has not seen.

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
  predictions.tsv      name label split fold p_retained logit of every held-out intron
  metrics.json         metrics with 95 % intervals, the baseline, the gain over it, row counts
  baselines.tsv        covariates taken in block by block (architecture, + composition, + splice sites, + expression),
                       then the features: metrics of each row and its gain over the row above
  strata.tsv           AUROC within bins of GC content and length
  refits.tsv           logits of the same introns by models trained without a second fold: the variance of training
  repeats.tsv          with --repeats: predictions by the further assignments of groups to folds
  ambiguous.tsv        name group fold p_retained logit of measured introns without a label, held-out too
  threshold.json, conformal.tsv, domain.safetensors   what predict decides by
  covariates/ combined/ shuffled/   predictions.tsv and metrics.json of the two models beside it, and of
                       --shuffle-control: the same model on permuted labels
"""

import argparse
import time
from functools import partial

from intronaut.cli import (
    add_covariates_option,
    add_evaluation_options,
    add_output_folder,
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
# worse than they are by lack of freedom, and equally along the path, so that only the features' gain and loss end it
COVARIATE_C = 1.0


def make_parser():
    parser = new_parser(__doc__, "fit")
    data = parser.add_argument_group("input")
    data.add_argument(
        "--features",
        nargs="+",
        required=True,
        metavar="[BLOCK=]H5AD",
        help="features of any embed_* tool; several files are joined by window, their columns prefixed by the block",
    )
    data.add_argument("--labels", required=True, metavar="TSV", help="labels.tsv of label_introns")
    data.add_argument(
        "--feature-groups",
        default="all",
        metavar="GROUP",
        help="all; tf, histone, access or another kind; or COLUMN=VALUE[,VALUE] of the feature table",
    )
    data.add_argument(
        "--target",
        default="label",
        choices=["label", "level", "counts", "difference"],
        help="label; the level of retention: psi with psi_n and psi_weight, or counts ir_reads of ir_total; or the "
        "difference of that level between conditions: delta_psi with delta_weight",
    )
    data.add_argument(
        "--min-reads", type=positive_int, default=10, metavar="N", help="introns of fewer reads have no level"
    )
    add_covariates_option(data)
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
    held_out = add_evaluation_options(parser)
    held_out.add_argument(
        "--repeats", type=positive_int, default=1, metavar="R", help="assign groups to --folds R times and average"
    )
    held_out.add_argument(
        "--shuffle-control", action="store_true", help="fit labels permuted by whole groups too: AUROC must be 0.5"
    )
    held_out.add_argument(
        "--threshold",
        default="cost:1,1",
        metavar="RULE",
        help="from which probability predict calls an intron retained: cost:FN,FP, f1, recall:R or precision:P",
    )
    held_out.add_argument(
        "--near-copies", metavar="TSV", help="pairs of audit_split: give metrics without windows that have a copy, too"
    )
    out = add_output_folder(parser, "model folder to write")
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
    from intronaut.io import tables
    from intronaut.io.covariates import read_covariates
    from intronaut.io.joined_features import open_joined
    from intronaut.models import held_out
    from intronaut.models.ambiguous import score_ambiguous, write_ambiguous
    from intronaut.models.cross_validation import make_plan, number_of_folds
    from intronaut.models.design_matrix import BELOW_ALL, Matrix, Scale, covariates, join
    from intronaut.models.folder import MODEL_FILES, group_columns, write_model

    started = time.monotonic()
    args.folds = number_of_folds(args.folds, log)
    features = open_joined(args.features)
    columns = group_columns(features, args.feature_groups)
    labels, labels_sha256 = tables.read_labels_and_digest(args.labels)
    labels, low_reads = with_levels(labels, args)
    table, rows, counts = join(features, labels)
    copies = held_out.read_copies(args.near_copies, table["name"]) if args.near_copies else None
    plans = [make_plan(table, args.folds, seed) for seed in (None, *range(args.seed, args.seed + args.repeats - 1))]
    counts |= low_reads | held_out.report_rows(table, plans[0], counts, log)
    known = plans[0].known
    user = read_covariates(table, args.covariates, args.allow_missing, log)
    extra = covariates(table, known, user.values, BELOW_ALL if args.model == "lightgbm" else None)

    def matrix_of(*parts, d):
        scale = Scale.identity(d) if reads_raw(args) else None
        return Matrix(*parts, known=known, scale=scale, memory=args.memory * 2**30, threads=args.threads)

    both = matrix_of(features, rows, columns, extra, d=len(columns) + extra.shape[1])
    matrices = {"features": both.leading(len(columns))}
    if extra.shape[1]:
        matrices |= {"covariates": matrix_of(None, None, None, extra, d=extra.shape[1]), "combined": both}
    else:
        log.warn("no covariate column varies: there is no baseline to compare with")
    fitted = fit_all(matrices, table, plans, args, log)
    evaluations = {name: one.evaluation for name, one in fitted.items()}
    more = {"rows": counts}
    if copies is not None:
        more["without_near_copies"] = held_out.without_copies(evaluations, copies, log)
    main_one = fitted["features"]
    with whole_folder(args.output, MODEL_FILES) as folder:
        held_out.write_evaluations(folder, table, plans[0], evaluations, more)
        if "covariates" in evaluations and args.target == "label":
            steps = baselines(extra, evaluations, table, plans, matrix_of, args, log)
            tables.write_table(folder / "baselines.tsv", steps)
        tables.write_table(folder / "path.tsv", main_one.result.path)
        notes = notes_of(args, features, main_one, table[known], user)
        notes |= {"labels_sha256": labels_sha256, "cost": cost_of(started, rows, features)}
        write_model(folder, notes, features.var.iloc[columns], matrices["features"].scale, main_one.result.final)
        write_decisions(folder, args, main_one.result, table, plans[0], matrices["features"])
        if args.target == "label":
            how = {"columns": columns, "scale": matrices["features"].scale, "threads": args.threads}
            ambiguous = score_ambiguous(features, labels, plans[0], main_one.result, main_one.maps, **how)
            write_ambiguous(folder, *ambiguous, log)


def with_levels(labels, args):
    """The labels of the rows to fit, and what is counted of rows with too few reads; unchanged for --target label."""
    from intronaut.models.level import level_rows, read_levels

    if args.target == "label":
        return labels, {}
    labels, low = level_rows(labels, read_levels(labels, args.target, args.labels), args.min_reads)
    return labels, {"low_reads": low}


def fit_all(matrices, table, plans, args, log):
    """The Fitted of every set of columns, and of permuted labels where they are asked for."""
    from intronaut.models.fitting import fit_labels, fit_to_levels
    from intronaut.models.level import read_levels

    kind = partial(learn, args=args, log=log)
    if args.target != "label":
        levels = read_levels(table, args.target, args.labels)
        return {
            name: fit_to_levels(name, matrix, table, plans[0], levels, kind, args, log)
            for name, matrix in matrices.items()
        }
    fitted = {name: fit_labels(name, matrix, table, plans, kind, args, log) for name, matrix in matrices.items()}
    if args.shuffle_control:
        shuffled = permuted(table, plans[0], args)
        fitted["shuffled"] = fit_labels("shuffled", matrices["features"], shuffled, plans, kind, args, log)
    return fitted


def baselines(extra, evaluations, table, plans, matrix_of, args, log):
    """baselines.tsv: the same kind of model on covariates taken in block by block, and on all of them and features."""
    from intronaut.models.blocks import nested_baselines
    from intronaut.models.held_out import baseline_table

    rows = nested_baselines(extra)
    *partial, last = rows
    matrices = {name: matrix_of(None, None, None, rows[name], d=rows[name].shape[1]) for name in partial}
    plain = argparse.Namespace(**vars(args) | {"shuffle_control": False})
    evaluated = {name: one.evaluation for name, one in fit_all(matrices, table, plans, plain, log).items()}
    columns = {name: values.shape[1] for name, values in rows.items()}
    return baseline_table(evaluated | {last: evaluations["covariates"], "+ features": evaluations["combined"]}, columns)


def permuted(table, plan, args):
    """The table with labels exchanged between whole groups of each fold."""
    import numpy as np

    from intronaut.stats.label_permutation import permute_labels_by_group

    rng = np.random.default_rng(args.seed)
    return table.assign(label=permute_labels_by_group(table["label"].to_numpy(), plan.groups, plan.fold, rng))


def check_options(parser, args):
    """Refuse a model that the paper has not, and options of which the model that was asked for would take no notice."""
    from intronaut.models.threshold import Rule

    paper = args.preset == "paper"
    if paper and args.model == "elasticnet":
        raise UsageError("--preset paper: the paper fits no elastic net")
    penalised = args.model != "lightgbm" and not paper
    heeded = {
        "c_values": penalised,
        "l1_ratio": args.model == "elasticnet",
        "tolerance": penalised,
        "trials": args.model == "lightgbm",
        # the paper weighs the classes equally for trees, and not for its logistic regression
        "class_weight": not paper,
    }
    model = f"--model {args.model}{' --preset paper' if paper else ''}"
    refuse_without_effect(parser, args, [name for name, heeds in heeded.items() if not heeds], f"with {model}")
    if args.target != "label":
        if paper:
            raise UsageError("--preset paper: the paper fits labels, not levels")
        binary = ["class_weight", "calibrate", "shuffle_control", "threshold", "near_copies", "repeats", "bootstrap"]
        refuse_without_effect(parser, args, binary, f"with --target {args.target}")
    elif args.min_reads != parser.get_default("min_reads"):
        raise UsageError("--min-reads: without effect with --target label, whose reads label_introns has counted")
    Rule.parse(args.threshold)
    if args.repeats > 1 and not args.folds:
        raise UsageError("--repeats: needs --folds, because a given split is only one")


def reads_raw(args):
    """Whether the model takes features as they are: trees do not care, and the paper did not standardise."""
    return args.model == "lightgbm" or args.preset == "paper"


def learn(name, matrix, labels, plan, weights, *, args, log):
    """The CrossFit of the kind of model that was asked for; ``weights`` are those of cross_fit, or None."""
    import numpy as np

    from intronaut.models import elastic_net, logistic
    from intronaut.models.cross_validation import cross_fit

    balance = args.class_weight == "balanced"
    if args.model == "lightgbm":
        from intronaut.models import lightgbm

        how = {"preset": args.preset, "trials": args.trials, "threads": args.threads, "seed": args.seed}
        # trees take one weight per row: by the overdispersion among all training rows
        weights = None if weights is None else weights[:, 0]
        with log.progress(len(plan.outers), f"folds of trees on {name}") as progress:
            return lightgbm.cross_fit(matrix, labels, plan, balance=balance, weights=weights, progress=progress, **how)
    if args.preset == "paper":
        from intronaut.paper.logistic import cross_fit as cross_fit_as_paper

        return cross_fit_as_paper(matrix, labels, plan, args.seed)
    covariate = np.array([name == "combined" and column.startswith("covariate:") for column in matrix.names])
    if args.model == "logistic":
        solver = partial(logistic.fit, spectrum=logistic.spectrum(matrix))
    else:
        solver = partial(elastic_net.fit, l1_ratio=args.l1_ratio)

    def solve(row_weights, c, start, standardisation):
        ridge, how = np.where(covariate, c / COVARIATE_C, 1.0), {"tolerance": args.tolerance}
        how |= {"start": start, "standardisation": standardisation}
        solution = solver(matrix, labels, row_weights, c, ridge=ridge, **how)
        progress.add(1)
        return solution

    # the path ends once it has passed the best penalty
    with log.progress(len(args.c_values), f"penalties at most of {name}") as progress:
        return cross_fit(matrix, labels, plan, args.c_values, solve, balance=balance, weights=weights)


def window_lengths(features):
    """Bases in the shortest and the longest window, or None where the features do not say."""
    lengths = features.obs.get("length")
    return None if lengths is None else [int(lengths.min()), int(lengths.max())]


def notes_of(args, features, fitted, trained, user):
    """What model.json says of how the final model was fitted; ``trained`` are the rows that it learnt from."""
    from intronaut import __version__

    prevalence = trained["label"].mean() if args.target == "label" else fitted.evaluation.summary["mean_level"]
    notes = {
        "target": args.target,
        "min_reads": args.min_reads,
        "rho": fitted.rho,
        "kind": args.model,
        "preset": args.preset,
        "tool": "fit",
        "version": __version__,
        "setting": fitted.result.setting,
        "setting_of_fold": fitted.result.setting_of_fold,
        "class_weight": args.class_weight,
        "calibration": fitted.maps[None],
        "feature_group": args.feature_groups,
        "folds": args.folds,
        "repeats": args.repeats,
        "rows_trained": len(trained),
        "prevalence_trained": float(prevalence),
        "seed": args.seed,
        "features": features.provenance,
        "window_lengths": window_lengths(features),
        "covariates": user.transforms,
        "standardisation": "none" if reads_raw(args) else "of each training set",
    }
    if args.model == "lightgbm":
        return notes
    return notes | {"tolerance": args.tolerance, "l1_ratio": args.l1_ratio if args.model == "elasticnet" else 0.0}


def cost_of(started, rows, features):
    """What fitting on these rows of the features took; the parameters are added when the model is written."""
    from intronaut.core.log import peak_bytes

    frozen = (features.provenance.get("cost") or {}).get("parameters_total")
    if frozen is None and not features.provenance.get("weights_sha256"):
        frozen = 0
    return {
        "seconds": round(time.monotonic() - started, 3),
        "device": "cpu",
        "windows": len(set(rows.ravel().tolist())),
        "peak_bytes": peak_bytes(),
        "parameters_frozen": frozen,
    }


def write_decisions(folder, args, result, table, plan, matrix):
    """What predict decides by: domain.safetensors; of labels threshold.json and conformal.tsv too."""
    from intronaut.core.files import write_json
    from intronaut.models import conformal, domain, threshold

    domain.write_domain(folder, domain.learn_domain(matrix, plan.fold))
    if args.target != "label":
        return
    labels = table["label"].to_numpy()
    write_json(folder / "threshold.json", threshold.summarise(args.threshold, result, labels, plan, args.seed))
    conformal.write_scores(folder, conformal.conformal_scores(labels, result.out_of_fold(plan), plan.groups))


if __name__ == "__main__":
    run(main, "fit")
