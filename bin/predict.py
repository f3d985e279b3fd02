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

Output: predictions.tsv, one line per locus in the order of the features, or per window in the order of the FASTA file:
  name label split fold p_retained logit     (label, split and fold are NA: nothing is known of these windows)
  call                         1 where p_retained reaches the model's threshold (fit --threshold), else 0
  out_of_domain                1 where a window is unlike those the model was trained on, by either distance: domain_t2
                               along the main axes of the training features and domain_q across them, as ratios to the
                               limits within which 99 % of training windows lie
  set_spliced set_retained     with --sets: 1 where the class is in the prediction set of the window
The last seven are of models of fit only. A set holds the true label of introns of new genes at the given rate, for
each class by itself, on average over data sets: not given the features of one intron, and not after --prevalence.

A model learns how common retention is among its training windows. Where it is as common as --prevalence instead, the
logits are shifted by the difference of the log odds.
"""

import itertools

from intronaut.cli import add_run_options, fraction, new_parser, run
from intronaut.core.errors import UsageError
from intronaut.core.log import Log

# what a model of each tool predicts from
READS = {"fit": "features", "finetune": "windows"}
# share of windows outside the domain of the training windows above which there is a warning
MOST_OUTSIDE = 0.2


def make_parser():
    parser = new_parser(__doc__, "predict")
    data = parser.add_argument_group("input")
    data.add_argument("--model", required=True, metavar="FOLDER", help="model folder of fit or finetune")
    given = data.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--features", nargs="+", metavar="[BLOCK=]H5AD", help="features of the new windows, for a model of fit"
    )
    given.add_argument("--windows", metavar="FASTA", help="the new windows, plain, gzip or -, for a model of finetune")
    how = parser.add_argument_group("prediction")
    how.add_argument("--prevalence", type=fraction, metavar="P", help="share of retained introns where these come from")
    how.add_argument(
        "--sets", type=fraction, metavar="RATE", help="write sets that hold the label at this rate, as 0.9"
    )
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", default="-", metavar="TSV", help="predictions to write")
    add_run_options(parser, threads=True, device=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    check_options(args)
    log = Log("predict", args)
    from pathlib import Path

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
        names, logits, notes, more = from_features(*open_on_features(args.model, args.features, log), args)
    else:
        (names, logits, notes), more = from_windows(args, log), {}
    if args.prevalence is not None:
        logits = logits + logit(args.prevalence) - logit(notes["prevalence_trained"])
    table = pd.DataFrame({"name": names, "p_retained": expit(logits), "logit": logits})
    table = table.reindex(columns=list(tables.PREDICTION_COLUMNS))
    table = table.assign(**called(Path(args.model), table["p_retained"].to_numpy()), **more)
    tables.write_table(args.output, table)
    log.note(f"{len(table):,} windows, mean probability of retention {table['p_retained'].mean():.3f}")
    if (share := table["out_of_domain"].mean() if "out_of_domain" in table else 0) > MOST_OUTSIDE:
        log.warn(f"{share:.0%} of the windows are unlike those that the model was trained on: see out_of_domain")


def check_options(args):
    """Raise UsageError for rates that are none, and for sets that would promise what they cannot keep."""
    for name in ("prevalence", "sets"):
        if getattr(args, name) in (0.0, 1.0):
            raise UsageError(f"--{name}: must lie between 0 and 1")
    if args.sets is not None and args.prevalence is not None:
        raise UsageError(
            "--sets with --prevalence: sets hold their rate only at the prevalence of the training windows"
        )
    if args.sets is not None and args.windows:
        raise UsageError("--sets: for models of fit")


def called(folder, probabilities):
    """``{"call": …}`` by the threshold of the model folder: NA where its rule was not reached; empty without one."""
    import numpy as np

    from intronaut.core.json_files import read_record

    path = folder / "threshold.json"
    if not path.exists():
        return {}
    threshold = read_record(path)["threshold"]
    return {"call": np.nan if threshold is None else (probabilities >= threshold).astype(int)}


def from_features(model, features, columns, args):
    """Names of all loci, their calibrated logits float64, the notes of the model, and columns on domain and sets."""
    from pathlib import Path

    import numpy as np

    from intronaut.models import conformal, domain
    from intronaut.models.calibration import apply_calibration
    from intronaut.models.design_matrix import Matrix, Scale, every_locus

    folder = Path(args.model)
    rows, names = every_locus(features)
    matrix = Matrix(features, rows, columns, scale=Scale.identity(len(columns)), memory=0, threads=args.threads)
    scores = conformal.read_scores(folder) if args.sets is not None else None
    # models of earlier versions do not record their domain
    trained = domain.read_domain(folder) if (folder / domain.FILE).exists() else None

    def work(block, values):
        values = values.astype(float)
        return np.stack([model.logits(values), *(trained.ratios(values) if trained else ())])

    logits, *ratios = np.concatenate(list(matrix.map(work)), axis=1)
    logits, more = apply_calibration(model.notes["calibration"], logits), {}
    if trained:
        outside = np.maximum(*ratios) > 1
        more = {"out_of_domain": outside.astype(int), "domain_t2": ratios[0], "domain_q": ratios[1]}
    return names, logits, model.notes, more | ({} if scores is None else conformal.sets(logits, scores, args.sets))


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
