#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "torch>=2.4", "safetensors>=0.4.5",
#   "tokenizers>=0.20", "h5py>=3.12", "threadpoolctl>=3.5", "biopython>=1.84", "rich>=13"]
# ///
"""Train a network on windows of DNA and evaluate it on held-out introns, as fit does for features.

Networks, those of Daoud & Ben-Hur (2025):
  sei             Sei's convolutions and splines, from --weights, with a convolutional attention head
  dnabert2        DNABERT-2, from --weights and --tokenizer, with a classification head
  basset, basenji, attentionconv   three convolutional networks trained from scratch

Windows and labels are joined by name. Rows train and test by whole leakage groups, as in fit: with fold numbers in the
column split, or --folds, one network is trained for every fold without it, and a last one that is kept; with
train/valid/test, one network is. Every training ends when the log loss of validation rows (valid, or the next fold) has
not fallen for --patience epochs. Predictions are the mean of both strands.

A killed run is taken up by the same command, from its last whole epoch.

Output, a folder with the files of fit:
  model.json           network, settings, provenance, parameters trained, seconds and memory that it took
  weights.safetensors  all tensors of the network; tokenizer.json beside them for dnabert2
  path.tsv             every epoch: log loss of training and validation rows, AUROC of these
  predictions.tsv      name label split fold p_retained logit of every held-out intron
  metrics.json         metrics with 95 % intervals, the baseline, the gain over it, row counts
  strata.tsv           AUROC within bins of GC content and length
  covariates/ combined/    predictions.tsv and metrics.json of a linear model on the covariates, and of both together
  seed2/ seed3/ …      the same of the trainings from further seeds
With --estimate only a table on standard output.
"""

import os
import shutil
from dataclasses import asdict
from types import SimpleNamespace

from intronaut.cli import (
    add_covariates_option,
    add_evaluation_options,
    add_run_options,
    new_parser,
    not_negative,
    positive_float,
    positive_int,
    run,
    whole_number,
)
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import whole_folder
from intronaut.core.log import Log

PROG = "finetune"
NETWORKS = ("sei", "dnabert2", "basset", "basenji", "attentionconv")
PRETRAINED = ("sei", "dnabert2")
PAPER_TOKENS = 150
DEFAULT_MIN_READS = 10


def make_parser():
    parser = new_parser(__doc__, PROG)
    data = parser.add_argument_group("input")
    data.add_argument("--windows", required=True, metavar="FASTA", help="windows of fetch_sequences, plain or gzip")
    data.add_argument("--labels", required=True, metavar="TSV", help="labels.tsv of label_introns")
    data.add_argument(
        "--target",
        default="label",
        choices=("label", "level", "difference"),
        help="label; the level of retention: psi, weighted by psi_weight; or its difference between conditions: "
        "delta_psi, weighted by delta_weight",
    )
    data.add_argument(
        "--min-reads",
        type=positive_int,
        default=DEFAULT_MIN_READS,
        metavar="N",
        help="introns of fewer reads have no level",
    )
    data.add_argument("--length", type=positive_int, metavar="BP",
                      help="pad windows with N to this, or cut them to their centre")  # fmt: skip
    data.add_argument("--max-tokens", type=positive_int, metavar="N", help="dnabert2: cut longer windows to N tokens")
    add_covariates_option(data)
    model = parser.add_argument_group("network")
    model.add_argument("--network", required=True, choices=NETWORKS, help="what to train")
    model.add_argument("--weights", metavar="FILE", help="sei.pth, or DNABERT-2's pytorch_model.bin, or safetensors")
    model.add_argument("--tokenizer", metavar="FILE", help="tokenizer.json of DNABERT-2")
    model.add_argument("--head", choices=("classification", "linear-probe"), default="classification",
                       help="on top of the trunk; linear-probe is one layer on a frozen trunk")  # fmt: skip
    model.add_argument("--freeze", action="store_true", help="leave the trunk as it is: its features are computed once")
    model.add_argument("--lora", type=positive_int, metavar="RANK", help="dnabert2: only train attention, at low rank")
    how = parser.add_argument_group("training", "The preset decides what is not given; docs/finetune.md lists both.")
    how.add_argument("--preset", choices=("default", "paper"), default="default",
                     help="settings of Daoud & Ben-Hur 2025 if paper")  # fmt: skip
    how.add_argument("--optimiser", choices=("adamw", "sgd"), help="how weights follow gradients")
    how.add_argument("--learning-rate", type=positive_float, metavar="R", help="its peak; start and end scale with it")
    how.add_argument(
        "--trunk-factor", type=positive_float, metavar="F", help="learning rate of the trunk, over the head's"
    )
    how.add_argument("--weight-decay", type=not_negative, metavar="W", help="pull of all weights towards 0")
    how.add_argument(
        "--warm-up", type=whole_number, metavar="N", help="epochs of rising learning rate; then half a cosine"
    )
    how.add_argument("--epochs", type=positive_int, metavar="N", help="at most")
    how.add_argument("--patience", type=positive_int, metavar="N", help="epochs without gain before training ends")
    how.add_argument("--batch-size", type=positive_int, metavar="N", help="windows in a step")
    how.add_argument("--strands", choices=("random", "both", "forward"),
                     help="what an epoch reads of a window: one at random, both, or its own only")  # fmt: skip
    evaluation = add_evaluation_options(parser)
    evaluation.add_argument(
        "--seeds", type=positive_int, default=1, metavar="N", help="train from N seeds, --seed and up"
    )
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", metavar="FOLDER", help="model folder to write")
    speed = parser.add_argument_group("precision and speed")
    speed.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="to compute in")
    speed.add_argument("--at-once", type=positive_int, metavar="N",
                       help="windows to compute together; gradients add up [a batch, halved if need be]")  # fmt: skip
    speed.add_argument("--estimate", action="store_true",
                       help="only say, after a few steps, how long the run takes and its memory")  # fmt: skip
    speed.add_argument("--deterministic", action="store_true", help="on a GPU: the same weights every time, but slower")
    add_run_options(parser, threads=True, device=True, seed=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    check_options(args)
    log = Log(PROG, args)
    import torch

    from intronaut.networks.device import pick_device, prepare_torch

    prepare_torch(args.threads)
    device = pick_device(args.device)
    if args.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        work(args, device, log)
    except RuntimeError as problem:
        if "deterministic" not in str(problem):
            raise
        raise UsageError(f"--deterministic: {str(problem).split(' You can')[0]}") from problem


def check_options(args):
    """Raise UsageError for options that do not fit together."""
    if args.target != "label":
        if args.preset == "paper":
            raise UsageError("--preset paper: the paper fits labels, not levels")
        if args.seeds > 1:
            raise UsageError(f"--seeds: without effect with --target {args.target}, whose intervals know no seeds")
    elif args.min_reads != DEFAULT_MIN_READS:
        raise UsageError("--min-reads: without effect with --target label, whose reads label_introns has counted")
    if not (args.output or args.estimate):
        raise UsageError("nothing to write: give --output, or --estimate")
    if args.estimate and frozen(args):
        raise UsageError(f"--estimate: a frozen trunk costs as much as embed_{args.network} --estimate says")
    pretrained = args.network in PRETRAINED
    if pretrained != bool(args.weights):
        what = "needs --weights, the published file" if pretrained else "is trained from scratch and takes no --weights"
        raise UsageError(f"--network {args.network} {what}")
    if (args.network == "dnabert2") != bool(args.tokenizer):
        raise UsageError("--tokenizer goes with --network dnabert2, which needs it")
    if not pretrained and (args.freeze or args.head == "linear-probe"):
        raise UsageError(f"--network {args.network} has no trained trunk to freeze")
    if args.lora and (args.network != "dnabert2" or frozen(args)):
        raise UsageError("--lora is for --network dnabert2 with a trunk that is not frozen")
    if args.preset == "paper" and (args.lora or args.head == "linear-probe"):
        raise UsageError("--preset paper: the paper trains neither --lora nor a linear probe")
    if args.network == "dnabert2" and args.length:
        raise UsageError("--length: dnabert2 reads windows of any length; --max-tokens cuts them")
    if args.network != "dnabert2" and args.max_tokens:
        raise UsageError("--max-tokens goes with --network dnabert2")
    if args.max_tokens is not None and args.max_tokens < 3:
        raise UsageError("--max-tokens: at least 3, two of which are special")


def frozen(args):
    """Whether the trunk stays as it is."""
    return args.freeze or args.head == "linear-probe"


def work(args, device, log):
    """Read, train, judge and write."""
    from intronaut.io import tables
    from intronaut.io.covariates import read_covariates
    from intronaut.io.fasta import read_windows
    from intronaut.io.window_cut import obs_and_cut
    from intronaut.models import held_out
    from intronaut.models.cross_validation import make_plan, number_of_folds
    from intronaut.models.design_matrix import join
    from intronaut.models.folder import MODEL_FILES
    from intronaut.models.level import read_levels, rows_of_model
    from intronaut.networks import classifiers, cross_training, training
    from intronaut.networks.frozen_trunk import trunk_features

    args.folds = number_of_folds(args.folds, log)
    windows = list(read_windows(args.windows))
    obs, cut = obs_and_cut(windows)
    read = SimpleNamespace(path=args.windows, obs=obs)
    labels, labels_sha256 = tables.read_labels_and_digest(args.labels)
    target = {"target": args.target, "min_reads": args.min_reads}
    table, rows, counts = join(read, rows_of_model(labels, target, args.labels))
    levels = None if args.target == "label" else read_levels(table, args.target, args.labels)
    plan = make_plan(table, args.folds)
    counts |= held_out.report_rows(table, plan, counts, log, unit="sequence")
    user = read_covariates(table, args.covariates, args.allow_missing, log)
    sequences = [windows[row].sequence for row in rows[:, 0]]
    pretrained = classifiers.open_pretrained(args.network, args.weights) if args.weights else None
    if pretrained and pretrained.note:
        log.warn(f"{args.weights}: {pretrained.note}")
    spec = spec_of(args, pretrained, sequences)
    settings = settings_of(args)
    provenance = provenance_of(args, obs, cut, pretrained, sequences) | {"labels_sha256": labels_sha256}
    provenance |= {"covariates": user.transforms, **target}

    def new_network(seed):
        return classifiers.start(spec, pretrained, seed, frozen=frozen(args), lora=args.lora)

    study = cross_training.Study(
        args.network, table, plan, read_examples(sequences, table, levels, spec, settings, args), new_network,
        frozen(args), settings, args.at_once, device, args.bootstrap, args.seed, log, covariates=user.values,
        levels=levels,
    )  # fmt: skip
    if args.estimate:
        print(*cross_training.estimate(study, args.seeds), sep="\n")
        return
    identity = provenance | {"settings": asdict(settings), "at_once": args.at_once}
    study.folder = training.checkpoint_folder(args.output, identity, log)
    if study.frozen:
        network, size = new_network([args.seed]).to(device), args.at_once or settings.batch
        study.examples = trunk_features(network, study.examples, study.folder, size=size, dtype=args.dtype, log=log)
    results = [cross_training.train_all(study, args.seed + more, keep=more == 0) for more in range(args.seeds)]
    beside = cross_training.linear_models(study, results[0], args.threads)
    with whole_folder(args.output, MODEL_FILES) as folder:
        cross_training.write_evaluations(folder, study, results, beside, counts)
        write_model(folder, args, study, results, provenance)
    shutil.rmtree(study.folder)


def settings_of(args):
    """The training.Settings of the preset and of the options that change it."""
    from intronaut.networks.training import settings_of

    changes = {
        "optimiser": args.optimiser, "trunk_factor": args.trunk_factor, "decay": args.weight_decay,
        "warm_up": args.warm_up, "epochs": args.epochs, "patience": args.patience, "batch": args.batch_size,
        "strands": args.strands, "dtype": args.dtype,
    }  # fmt: skip
    return settings_of(args.preset, args.network, frozen=frozen(args), peak=args.learning_rate, **changes)


def spec_of(args, pretrained, sequences):
    """What networks.build makes the network of. Raises BadData for windows of several lengths or too short."""
    from intronaut.networks.classifiers import SHORTEST

    spec = {"network": args.network, "head": args.head} | (pretrained.spec if pretrained else {})
    if args.network == "dnabert2":
        return spec
    lengths = [len(sequence) for sequence in sequences]
    if not args.length and min(lengths) < max(lengths):
        lengths_text = f"{min(lengths):,} to {max(lengths):,} bases; give --length to pad or cut them"
        raise BadData(f"{args.windows}: windows of {lengths_text}")
    length = args.length or lengths[0]
    if length < SHORTEST[args.network]:
        raise BadData(
            f"{args.windows}: windows of {length} bases; {args.network} reads {SHORTEST[args.network]} or more"
        )
    return spec | {"length": length}


def read_examples(sequences, table, levels, spec, settings, args):
    """The windows as the network reads them, on each strand that is used."""
    import numpy as np

    from intronaut.core.dna import reverse_complement
    from intronaut.models.level import row_weights
    from intronaut.networks import classifiers
    from intronaut.networks.dnabert2 import Tokenizer
    from intronaut.networks.training import Examples

    if args.network == "dnabert2":
        reader = classifiers.token_reader(Tokenizer(args.tokenizer, spec["config"]["vocab_size"]), max_tokens(args))
    else:
        reader = classifiers.base_reader(spec["length"])
    strands = [[reader.encode(sequence) for sequence in sequences]]
    if settings.strands != "forward":
        strands.append([reader.encode(reverse_complement(sequence)) for sequence in sequences])
    if levels is None:
        return Examples(strands, table["label"].to_numpy(np.float32), reader.collate, np.ones(len(table), np.float32))
    weights = row_weights(levels)
    return Examples(strands, levels.y.astype(np.float32), reader.collate, (weights / weights.mean()).astype(np.float32))


def max_tokens(args):
    """Tokens at most in a window, None for all."""
    published = PAPER_TOKENS if args.network == "dnabert2" and args.preset == "paper" else None
    return args.max_tokens or published


def provenance_of(args, obs, cut, pretrained, sequences):
    """What a training depends on besides its settings and labels."""
    from intronaut import __version__
    from intronaut.core.files import digest_file
    from intronaut.io.h5ad import input_digest

    lengths = [len(sequence) for sequence in sequences]
    return {
        "version": __version__,
        "head": args.head,
        "trunk": "frozen" if frozen(args) else f"LoRA of rank {args.lora}" if args.lora else "trained",
        "preset": args.preset,
        "folds": args.folds,
        "seed": args.seed,
        "max_tokens": max_tokens(args),
        "window_lengths": [min(lengths), max(lengths)],
        "padded_or_cut_to": args.length,
        "tokenizer_sha256": digest_file(args.tokenizer) if args.tokenizer else None,
        "features": {
            "tool": PROG,
            "network": args.network,
            "windows_sha256": input_digest(obs),
            "weights_sha256": digest_file(args.weights) if args.weights else None,
            "weights_note": pretrained.note if pretrained else "",
            **cut,
        },
    }


def write_model(folder, args, study, results, provenance):
    """model.json and the tensors of the network that is kept, and its tokenizer."""
    from intronaut.networks import classifiers, layers
    from intronaut.networks.training import peak_memory

    network, states = results[0].network, results[0].states
    n_parameters = classifiers.n_parameters(network)
    n_frozen = sum(parameter.numel() for parameter in network.parameters()) - n_parameters
    if args.lora:
        layers.merge_lora(network.trunk)
    train, valid = study.plan.training_and_validation(None)
    every_state = [state for result in results for state in result.states.values()]
    predicted = sum(state.predicted for state in every_state)
    all_trainings = sum(state.seconds for state in every_state)
    memory = peak_memory(study.device)
    cost = {
        "seconds": states[None].seconds,
        "seconds_of_all_trainings": all_trainings,
        "seconds_per_1000_predicted": 1000 * sum(state.seconds_to_predict for state in every_state) / predicted,
        "windows": len(study.table),
        "windows_at_once": states[None].at_once,
        "peak_bytes": int(memory["memory_GB"] * 1e9),
        "parameters_fitted": n_parameters,
        "parameters_frozen": n_frozen,
        "parameters_total": n_parameters + n_frozen,
    }
    notes = provenance | {
        # a head on a frozen trunk is not the published fine-tuned Sei
        "kind": f"{args.network} head" if study.frozen else {"sei": "fsei"}.get(args.network, args.network),
        "settings": asdict(study.settings),
        "setting": {"epochs": states[None].best_epoch},
        "setting_of_fold": {str(fold): {"epochs": state.best_epoch} for fold, state in states.items() if fold},
        "n_parameters": n_parameters,
        "rows_trained": int(train.sum()),
        "rows_validating": int(valid.sum()),
        "prevalence_trained": float(study.labels[train].mean()),
        "cost": cost | memory,
    }
    classifiers.write_network(folder, notes, network)
    if args.tokenizer:
        shutil.copyfile(args.tokenizer, folder / "tokenizer.json")


if __name__ == "__main__":
    run(main, PROG)
