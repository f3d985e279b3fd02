#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "lightgbm>=4.5", "h5py>=3.11",
#   "safetensors>=0.4", "threadpoolctl>=3.5", "biopython>=1.84", "rich>=13"]
# ///
"""Predict with a fitted model which new windows are retained.

Reads a model folder of fit and a features file made as those it was fitted on; features of other names, weights or
options are refused. Both strands of a locus are averaged, and the model's calibration is applied.

Output: predictions.tsv, one line a locus in the order of the features:
  name label split fold p_retained logit     (label, split and fold are NA: nothing is known of these windows)

A model learns how common retention is among its training windows. Where it is as common as --prevalence instead, the
logits are shifted by the difference of the log odds.
"""

from intronaut.cli import Log, UsageError, add_run_options, fraction, parser, run


def make_parser():
    made = parser(__doc__, "predict")
    data = made.add_argument_group("input")
    data.add_argument("--model", required=True, metavar="FOLDER", help="model folder of fit")
    data.add_argument("--features", required=True, metavar="H5AD", help="features of the new windows")
    how = made.add_argument_group("prediction")
    how.add_argument("--prevalence", type=fraction, metavar="P", help="share of retained introns where these come from")
    out = made.add_argument_group("output")
    out.add_argument("-o", "--output", default="-", metavar="TSV", help="predictions to write")
    add_run_options(made, threads=True)
    return made


def main(argv):
    args = make_parser().parse_args(argv)
    if args.prevalence in (0.0, 1.0):
        raise UsageError("--prevalence: must lie between 0 and 1")
    log = Log("predict", args)
    import numpy as np
    import pandas as pd
    from scipy.special import expit, logit

    from intronaut import models, store, tables
    from intronaut.matrix import Matrix, Scale, every_locus
    from intronaut.validation import apply_calibration

    model = models.read_model(args.model)
    features = store.open_features(args.features)
    columns = models.matching_columns(model.notes, features)
    rows, names = every_locus(features)
    matrix = Matrix(features, rows, columns, scale=Scale.identity(len(columns)), memory=0, threads=args.threads)
    logits = np.concatenate(list(matrix.map(lambda block, values: model.logits(values.astype(float)))))
    logits = apply_calibration(model.notes["calibration"], logits)
    if args.prevalence is not None:
        logits = logits + logit(args.prevalence) - logit(model.notes["prevalence_trained"])
    table = pd.DataFrame({"name": names, "p_retained": expit(logits), "logit": logits})
    tables.write_table(args.output, table.reindex(columns=list(tables.PREDICTION_COLUMNS)))
    log.note(f"{len(table):,} windows, mean probability of retention {table['p_retained'].mean():.3f}")


if __name__ == "__main__":
    run(main, "predict")
