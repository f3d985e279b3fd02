#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "lightgbm>=4.5", "h5py>=3.11",
#   "safetensors>=0.4", "threadpoolctl>=3.5", "biopython>=1.84", "rich>=13", "torch>=2.4", "tokenizers>=0.20"]
# ///
"""Predict with a fitted model or a trained network which new windows are retained.

Reads a model folder of fit and a features file made as those it was fitted on; features of other names, weights or
options are refused. Both strands of a locus are averaged, and the model's calibration is applied.

Or reads a model folder of finetune and a FASTA file of windows as long as those it was trained on; others are refused.
The strands are read as in training, both averaged unless it read one only.

Output: predictions.tsv, one line a locus in the order of the features, or a window in the order of the FASTA file:
  name label split fold p_retained logit     (label, split and fold are NA: nothing is known of these windows)

A model learns how common retention is among its training windows. Where it is as common as --prevalence instead, the
logits are shifted by the difference of the log odds.
"""

import itertools

from intronaut.cli import add_run_options, fraction, new_parser, run
from intronaut.core.errors import UsageError
from intronaut.core.log import Log

# what a model of each tool predicts from
READS = {"fit": "features", "finetune": "windows"}


def make_parser():
    parser = new_parser(__doc__, "predict")
    data = parser.add_argument_group("input")
    data.add_argument("--model", required=True, metavar="FOLDER", help="model folder of fit or finetune")
    given = data.add_mutually_exclusive_group(required=True)
    given.add_argument("--features", metavar="H5AD", help="features of the new windows, for a model of fit")
    given.add_argument("--windows", metavar="FASTA", help="the new windows, plain, gzip or -, for a model of finetune")
    how = parser.add_argument_group("prediction")
    how.add_argument("--prevalence", type=fraction, metavar="P", help="share of retained introns where these come from")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", default="-", metavar="TSV", help="predictions to write")
    add_run_options(parser, threads=True, device=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    if args.prevalence in (0.0, 1.0):
        raise UsageError("--prevalence: must lie between 0 and 1")
    log = Log("predict", args)
    import pandas as pd
    from scipy.special import expit, logit

    from intronaut.features.open_model import open_on_features
    from intronaut.io import tables
    from intronaut.models.folder import read_notes

    tool, given = read_notes(args.model).get("tool"), "windows" if args.windows else "features"
    if tool in READS and given != READS[tool]:
        raise UsageError(f"{args.model} is a model of {tool}: give --{READS[tool]}")
    if args.sets is not None and read_notes(args.model).get("target", "label") != "label":
        raise UsageError("--sets: for models of labels, not of levels")
    if args.features:
        names, logits, notes = from_features(*open_on_features(args.model, args.features, log), args.threads)
    else:
        names, logits, notes = from_windows(args, log)
    if args.prevalence is not None:
        logits = logits + logit(args.prevalence) - logit(notes["prevalence_trained"])
    table = pd.DataFrame({"name": names, "p_retained": expit(logits), "logit": logits})
    tables.write_table(args.output, table.reindex(columns=list(tables.PREDICTION_COLUMNS)))
    log.note(f"{len(table):,} windows, mean probability of retention {table['p_retained'].mean():.3f}")


def from_features(model, features, columns, threads):
    """Names of all loci, their calibrated logits float64, and the notes of the model."""
    import numpy as np

    from intronaut.models.calibration import apply_calibration
    from intronaut.models.design_matrix import Matrix, Scale, every_locus

    rows, names = every_locus(features)
    matrix = Matrix(features, rows, columns, scale=Scale.identity(len(columns)), memory=0, threads=threads)
    logits = np.concatenate(list(matrix.map(lambda block, values: model.logits(values.astype(float)))))
    return names, apply_calibration(model.notes["calibration"], logits), model.notes


def from_windows(args, log):
    """Names of all windows, their logits float64, and the notes of the network. Raises BadData for other lengths."""
    import numpy as np

    from intronaut.core.errors import Problems
    from intronaut.features.embed import ahead
    from intronaut.features.open_model import open_model
    from intronaut.io.fasta import read_windows
    from intronaut.io.window_cut import CutRecord, refuse_different_cut
    from intronaut.networks.device import prepare_torch

    prepare_torch(args.threads)
    model = open_model(args.model, args.device)
    size, dtype = model.notes["cost"]["windows_at_once"], model.notes["settings"]["dtype"]
    names, logits, problems, cut = [], [], Problems(args.windows), CutRecord()

    def encoded():
        for window in cut.watch(read_windows(args.windows)):
            if problem := model.problem(window.sequence):
                problems.add(f"record {window.name!r} {problem}")
            yield window.name, model.encode(window.sequence)

    for batch in ahead(batched(encoded(), size), depth=2):
        names += [name for name, _ in batch]
        if not problems.count:
            logits.append(model.logits([window for _, window in batch], size=size, dtype=dtype, log=log))
    problems.raise_if_any()
    for text in refuse_different_cut(model.notes.get("features", {}), cut.provenance(), args.windows):
        log.warn(text)
    return names, np.concatenate(logits), model.notes


def batched(items, size):
    """Lists of ``size`` items; the last may be shorter."""
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch


if __name__ == "__main__":
    run(main, "predict")
