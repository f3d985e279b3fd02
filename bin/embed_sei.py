#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["h5py>=3.12", "numpy>=2.0", "pandas>=2.2", "safetensors>=0.4.5", "scipy>=1.13", "torch>=2.4"]
# ///
"""Embed windows with Sei (Chen et al. 2022): chromatin profiles, sequence classes, or the features beneath them.

Reads the published sei.pth (or safetensors) and target.names as they are; fetch_weights gets them. Lower case is read
as upper case. Every letter but A, C, G, T is a quarter of each base, as in Sei's own encoder; with --iupac expand,
ambiguity codes are equal parts of the bases they stand for.

Context:
  genome   4,096 bp of the genome, what Sei was trained on: fetch_sequences --length 4096. Longer windows are cut to
           their centre, shorter ones refused.
  npad     any window, centred between N up to 4,096 bp.
  native   the window alone, of 32 bp or more; Sei's last step is fitted to its length.

Features:
  all, tf, histone, access   the profiles of --targets as probabilities: all, or those of one kind
  FILE                       the profiles that the lines of FILE name
  logits                     all profiles before the sigmoid
  seqclass                   the 40 sequence classes: projections of all profiles on --projection
  spline, trunk              what the profiles are made of: 15,360 spline features, or the mean of 960 channels

Strands: mean is the mean of both strands' features, as Sei is used; forward reads the window as it is; both keeps
them side by side.

A killed run is taken up by the same command.

Writes: the features file of --output (.h5ad); with --estimate only a table on standard output.
"""

from intronaut.cli import Log, UsageError, __version__, add_embedding_options, add_run_options, parser, run

PROG = "embed_sei"
KEYWORDS = ("all", "tf", "histone", "access", "logits", "seqclass", "spline", "trunk")
STRANDS = {"mean": ("+", "-"), "forward": ("+",), "both": ("+", "-")}
# bases in a batch and windows at most, on a CPU; on a GPU windows are doubled while they fit
CPU_BASES, CPU_WINDOWS, GPU_WINDOWS, MOST_WINDOWS = 8 * 4096, 32, 32, 512
# in npad, windows are first padded to a multiple of this, so that windows of similar length share a batch
PADDED_TO = 32


def make_parser():
    made = parser(__doc__, PROG)
    made.add_argument("windows", metavar="FASTA", help="windows, plain or gzip, or -")
    made.add_argument("-o", "--output", metavar="FILE", help="features file to write, .h5ad")
    model = made.add_argument_group("model")
    model.add_argument("--weights", required=True, metavar="FILE", help="sei.pth or model.safetensors")
    model.add_argument("--targets", metavar="FILE", help="target.names, for profiles")
    model.add_argument("--projection", metavar="FILE", help="projvec_targets.npy, for seqclass")
    model.add_argument("--class-names", metavar="FILE", help="seqclass.names, for seqclass [class_01 …]")
    features = made.add_argument_group("features")
    features.add_argument("--context", choices=("genome", "npad", "native"), default="genome", help="around the window")
    features.add_argument("--strands", choices=STRANDS, default="mean", help="what is read")
    features.add_argument(
        "--features", default="all", metavar="WHAT", help=f"{', '.join(KEYWORDS)}, or a FILE of names"
    )
    features.add_argument("--iupac", choices=("quarter", "expand"), default="quarter", help="what R, Y, … are")
    add_embedding_options(made)
    add_run_options(made, threads=True, device=True)
    return made


def main(argv):
    args = make_parser().parse_args(argv)
    check_options(args)
    from intronaut.seqio import rereadable

    with rereadable(args.windows) as path:
        work(path, args)


def check_options(args):
    """Raise UsageError for options that are missing for what is asked."""
    if not (args.output or args.estimate):
        raise UsageError("nothing to write: give --output, or --estimate")
    if args.features not in ("spline", "trunk", "seqclass") and not args.targets:
        raise UsageError(f"--features {args.features} needs --targets, the names of the profiles")
    if args.features == "seqclass" and not args.projection:
        raise UsageError("--features seqclass needs --projection, the vectors of the sequence classes")


def work(path, args):
    """Load the model and embed every window of ``path``."""
    import torch

    from intronaut.embedding import Embedder, by_equal_length, embed, estimate, pick_device, prepare_torch
    from intronaut.sei import WINDOW, open_sei
    from intronaut.weights import BackgroundDigest

    log = Log(PROG, args)
    prepare_torch(args.threads)
    device = pick_device(args.device)
    checkpoint, tensors = open_sei(args.weights)
    digest = BackgroundDigest(checkpoint.path)
    var, rows, vectors = wanted_features(args, tensors)
    model = Model(args, checkpoint, tensors, rows, vectors, device, getattr(torch, args.dtype))
    if checkpoint.note:
        log.warn(f"{args.weights}: {checkpoint.note}")
    embedder = Embedder(
        encode=lambda window: codes_of(window, args),
        compute=model.features_of,
        cut=by_equal_length,
        size=lambda lengths: GPU_WINDOWS if device.type != "cpu" else cpu_windows(lengths),
        most=MOST_WINDOWS,
        device=device,
        problem=lambda window: problem_with(window, args.context),
    )
    if args.estimate:
        print(*estimate(path, embedder, len(var), store=args.store, batch_size=args.batch_size, log=log), sep="\n")
        return
    how = {"store": args.store, "batch_size": args.batch_size, "log": log}
    obs = embed(path, args.output, embedder, var, provenance(args, digest, checkpoint.note), **how)
    cut, unknown = (obs["length"] > WINDOW).sum(), obs["n_unknown"].sum() / obs["length"].sum()
    if cut and args.context != "native":
        log.note(f"{cut:,} windows are longer than {WINDOW:,} bp: only their centre was read")
    log.note(f"{unknown:.2%} of the bases are not A, C, G or T")


def wanted_features(args, tensors):
    """``(var, rows, vectors)``: the feature table, places of the wanted profiles (None: all), class vectors or None."""
    import numpy as np
    import pandas as pd

    from intronaut.sei import SPLINE_FUNCTIONS
    from intronaut.sei_targets import KINDS, read_class_names, read_class_vectors, read_targets

    channels, outputs = len(tensors["dconv5.1.bias"]), len(tensors["classifier.2.bias"])
    rows = vectors = None
    if args.features == "trunk":
        var = pd.DataFrame({"channel": np.arange(channels)})
        var.index = [f"trunk_{channel:03}" for channel in var["channel"]]
    elif args.features == "spline":
        channel, function = np.divmod(np.arange(channels * SPLINE_FUNCTIONS), SPLINE_FUNCTIONS)
        var = pd.DataFrame({"channel": channel, "function": function})
        var.index = [f"spline_{c:03}_{f:02}" for c, f in zip(channel, function, strict=True)]
    elif args.features == "seqclass":
        vectors = read_class_vectors(args.projection, outputs)
        var = pd.DataFrame(index=read_class_names(args.class_names, len(vectors)))
    else:
        var = read_targets(args.targets, outputs)
        if args.features in KINDS:
            rows = np.flatnonzero(var["kind"] == args.features)
        elif args.features not in KEYWORDS:
            rows = named_rows(args.features, var.index, args.targets)
        var = var if rows is None else var.iloc[rows]
    if "kind" not in var:
        var["kind"] = args.features
    return read_on(var, args.strands), rows, vectors


def named_rows(path, names, source):
    """The places of the profiles that the lines of a file name, increasing. Raises BadData for unknown names."""
    from intronaut.cli import Problems
    from intronaut.seqio import numbered_lines

    problems, rows = Problems(path), set()
    for number, line in numbered_lines(path):
        if line.strip() in names:
            rows.add(names.get_loc(line.strip()))
        elif line.strip():
            problems.add(f"{line.strip()!r} is not in {source}", number)
    if not rows and not problems.count:
        problems.add("no names")
    problems.raise_if_any()
    return sorted(rows)


def read_on(var, strands):
    """``var`` with the strand each feature reads; with both, every feature twice."""
    import pandas as pd

    if strands != "both":
        return var.assign(strand=strands)
    twice = [var.set_axis(var.index + f" ({strand})").assign(strand=strand) for strand in ("forward", "reverse")]
    return pd.concat(twice)


class Model:
    """Codes of windows in, the features asked for out."""

    def __init__(self, args, checkpoint, tensors, rows, vectors, device, dtype):
        from intronaut.sei import Head, Runner

        self.args, self.vectors, self.device = args, vectors, device
        checkpoint.require_finite({n: tensor for n, tensor in tensors.items() if not n.startswith("classifier")})
        self.runner = Runner(tensors, device, dtype)
        self.head = None
        if args.features not in ("trunk", "spline"):
            self.head = Head(tensors, rows, device)
            checkpoint.require_finite(self.head.tensors())

    def features_of(self, batch):
        """``(n, d)`` float32 features of a list of ``n`` arrays of codes of one length."""
        import numpy as np
        import torch

        codes = torch.from_numpy(np.stack(batch))
        padding = 0
        if self.args.context == "npad":
            codes, padding = pad_to_window(codes)
        if self.device.type == "cuda":
            codes = codes.pin_memory()
        strands = STRANDS[self.args.strands]
        features = self.on_strands(codes, strands, padding).unflatten(0, (len(strands), -1))
        features = torch.cat(list(features), 1) if self.args.strands == "both" else features.mean(0)
        return features.float().cpu().numpy()

    def on_strands(self, codes, strands, padding):
        """``(strands · n, d)`` features."""
        import torch

        from intronaut.sei_targets import class_scores

        trunk = self.runner.trunk(codes, strands, padding)
        if self.args.features == "trunk":
            return trunk.float().mean(1)
        spline = self.runner.spline(trunk)
        if self.args.features == "spline":
            return spline
        logits = self.head.logits(spline)
        if self.args.features == "logits":
            return logits
        profiles = torch.sigmoid(logits)
        if self.args.features != "seqclass":
            return profiles
        return torch.from_numpy(class_scores(profiles.cpu().double().numpy(), self.vectors))


def pad_to_window(codes):
    """Codes between N up to Sei's window, and how many N there are at least on either side."""
    import numpy as np
    import torch

    from intronaut.sei import WINDOW, fit_to_window

    padded = np.stack([fit_to_window(row) for row in codes.numpy()])
    return torch.from_numpy(padded), (WINDOW - codes.shape[1]) // 2


def codes_of(window, args):
    """The codes of a window, uint8, cut or padded as --context says."""
    from intronaut.sei import WINDOW, encode, fit_to_window

    codes = encode(window.sequence, args.iupac == "expand")
    if args.context == "native":
        return codes
    return fit_to_window(codes, min(WINDOW, -(-len(codes) // PADDED_TO) * PADDED_TO))


def problem_with(window, context):
    """Why a window cannot be embedded, or None."""
    from intronaut.sei import SHORTEST, WINDOW

    n = len(window.sequence)
    if context == "genome" and n < WINDOW:
        return (
            f"has {n:,} bp, --context genome needs {WINDOW:,}: use fetch_sequences --length {WINDOW}, or --context npad"
        )
    if context == "native" and n < SHORTEST:
        return f"has {n} bp, --context native needs {SHORTEST}: use --context npad"
    return None


def cpu_windows(lengths):
    """Windows in a batch on a CPU."""
    return max(1, min(CPU_WINDOWS, CPU_BASES // int(lengths.max())))


def provenance(args, digest, note):
    """What the features depend on; a run with other values of these starts anew."""
    from intronaut.cli import digest_file

    names = ("context", "strands", "iupac", "dtype", "store")
    files = {"weights_sha256": digest.hex()}
    if args.projection and args.features == "seqclass":
        files["projection_sha256"] = digest_file(args.projection)
    features = args.features if args.features in KEYWORDS else "chosen"
    made = {"tool": PROG, "version": __version__, "weights_note": note, "features": features}
    return made | files | {name: vars(args)[name] for name in names}


if __name__ == "__main__":
    run(main, PROG)
