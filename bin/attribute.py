#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "torch>=2.4", "safetensors>=0.4.5",
#   "tokenizers>=0.20", "captum>=0.8", "h5py>=3.12", "matplotlib>=3.9", "logomaker>=0.8", "pybigtools>=0.2",
#   "biopython>=1.84", "rich>=13"]
# ///
"""Say what each base of a window adds to a model's logit of intron retention.

Reads windows and a model folder: a network of finetune, or a linear model of fit on features of Sei (which needs
--weights, and --targets unless the features lie beneath the profiles). The logit explained is the one before
calibration. Strands are read as the model reads them; their attributions are averaged.

Methods:
  ig        integrated gradients from baselines: the window with its dinucleotides shuffled, or flat (a quarter of each
            base). Steps are doubled until the attributions add up to the logit minus that of the baselines, to within
            --max-gap. For DNABERT-2 the gradients are of token embeddings, from shuffled or masked tokens; the share of
            a token is spread over its bases
  ism       in-silico mutagenesis: every base changed to every other, and the window predicted again
  gradient  gradient x input, with the gradient's mean over the four bases subtracted; not for DNABERT-2

Output, a folder:
  attributions.h5        hypothetical (n, 4, length) and observed (n, length), float32, as windows read; base codes,
                         names and places of the windows, and how they were made
  windows.tsv            one line a window: logit, completeness gap, agreement of the strands
  attributions.bedgraph  observed attributions on the forward strand; the mean where windows overlap
  attributions.bw        the same as bigWig (with --chrom-sizes)
  NAME.svg, NAME.png     figures of the windows of --figure, or of the --figures that rank highest held-out:
                         attributions along the window, gene models, peaks, and a logo where attributions are strongest
"""

import json
from pathlib import Path
from types import SimpleNamespace

from intronaut import __version__
from intronaut.cli import (
    add_output_folder,
    add_run_options,
    add_windows,
    new_parser,
    positive_float,
    positive_int,
    run,
    whole_number,
)
from intronaut.core.errors import BadData, Problems, TryAgain, UsageError
from intronaut.core.files import digest_file, require_file, whole_folder
from intronaut.core.log import Log

PROG = "attribute"
FILES = ("weights", "targets", "projection", "class_names")


def make_parser():
    parser = new_parser(__doc__, PROG)
    add_windows(parser)
    model = parser.add_argument_group("model")
    model.add_argument("--model", required=True, metavar="FOLDER", help="model folder of finetune, or of fit on Sei")
    model.add_argument("--weights", metavar="FILE", help="sei.pth or model.safetensors, for a model of fit")
    model.add_argument("--targets", metavar="FILE", help="target.names of Sei, for a model of fit")
    model.add_argument("--projection", metavar="FILE", help="projvec_targets.npy, for sequence classes")
    model.add_argument("--class-names", metavar="FILE", help="seqclass.names, for sequence classes")
    how = parser.add_argument_group("method")
    how.add_argument("--method", choices=("ig", "ism", "gradient"), default="ig", help="how to attribute")
    how.add_argument("--baseline", choices=("shuffled", "flat"), default="shuffled", help="what ig starts from")
    how.add_argument("--baselines", type=positive_int, default=20, metavar="N", help="shuffles of each window")
    how.add_argument("--steps", type=positive_int, default=32, metavar="N", help="steps of ig from each baseline")
    how.add_argument("--max-steps", type=positive_int, default=512, metavar="N", help="double the steps up to this")
    how.add_argument("--max-gap", type=positive_float, default=0.01, metavar="F",
                     help="larger completeness gaps are reported; their windows stay out of the tracks")  # fmt: skip
    how.add_argument("--centre", type=positive_int, metavar="BP", help="ism changes so many bases amid a window [all]")
    out = add_output_folder(parser)
    out.add_argument("--chrom-sizes", metavar="FILE", help="chrom.sizes or .fai: write a bigWig too")
    out.add_argument("--figure", action="append", default=[], metavar="NAME", help="draw this window; may be repeated")
    out.add_argument(
        "--figures",
        type=whole_number,
        default=3,
        metavar="N",
        help="without --figure, the N that rank highest held-out",
    )
    out.add_argument("--annotation", metavar="FILE", help="GTF or GFF3: gene models in the figures")
    out.add_argument("--peaks", metavar="BED", help="BED or narrowPeak: peaks in the figures")
    out.add_argument("--logo", type=positive_int, default=60, metavar="BP", help="bases in a figure's logo")
    speed = parser.add_argument_group("speed")
    speed.add_argument("--batch-size", type=positive_int, metavar="N",
                       help="windows or mutants to compute at once [by their length]")  # fmt: skip
    add_run_options(parser, threads=True, device=True, seed=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    if args.max_steps < args.steps:
        raise UsageError("--max-steps must not be below --steps")
    log = Log(PROG, args)
    for path in filter(None, (args.annotation, args.peaks, args.chrom_sizes)):
        require_file(path)
    from intronaut.features.open_model import open_model
    from intronaut.interpret.sequence_models import differentiable
    from intronaut.io.bedgraph import check_places
    from intronaut.networks.device import pick_device, prepare_torch

    prepare_torch(args.threads)
    files = SimpleNamespace(**{name: getattr(args, name) for name in FILES})
    fitted = open_model(args.model, args.device)
    model, problem = differentiable(fitted, args.model, files, pick_device(args.device), log)
    if args.method == "gradient" and not hasattr(model, "networks"):
        raise UsageError("--method gradient reads bases; DNABERT-2 reads tokens: use ig or ism")
    windows = read_all(args, problem, fitted.notes.get("features", {}), log)
    shown = read_shown(args)
    if shown.chrom_sizes:
        check_places(windows, shown.chrom_sizes, args.chrom_sizes)
    with whole_folder(args.output, ["attributions.bw"]) as folder:
        table = attribute_all(folder, windows, model, args, log)
        write_all(folder, windows, table, provenance(args, fitted.notes), shown, args, log)


def read_all(args, problem, features, log):
    """All windows. Raises BadData for those the model cannot read, for windows that were cut otherwise than those it
    learnt from, as the provenance of its ``features`` says, and for figures of none of them."""
    from intronaut.io.fasta import read_windows
    from intronaut.io.window_cut import CutRecord, refuse_different_cut

    windows, problems, cut = [], Problems(args.windows), CutRecord()
    for window in cut.watch(read_windows(args.windows)):
        if problem_text := problem(window.sequence):
            problems.add(f"record {window.name!r} {problem_text}")
        windows.append(window)
    problems.raise_if_any()
    for text in refuse_different_cut(features, cut.provenance(), args.windows):
        log.warn(text)
    names = {window.name for window in windows}
    if unknown := [name for name in args.figure if name not in names]:
        raise BadData(f"{args.windows}: --figure {unknown[0]!r}: no such window")
    return windows


def read_shown(args):
    """What tracks and figures need: ``chrom_sizes``, ``annotation`` and ``peaks``, each None without a file."""
    from intronaut.genome.annotation import read_annotation
    from intronaut.io.bedgraph import read_chrom_sizes
    from intronaut.io.peaks import read_peaks

    return SimpleNamespace(
        chrom_sizes=read_chrom_sizes(args.chrom_sizes) if args.chrom_sizes else None,
        annotation=read_annotation(args.annotation) if args.annotation else None,
        peaks=read_peaks(args.peaks, unique_names=False) if args.peaks else None,
    )


def provenance(args, notes):
    """What the attributions depend on."""
    names = ("method", "baseline", "baselines", "steps", "max_steps", "max_gap", "centre", "seed")
    weights = [Path(args.model) / "weights.safetensors", *filter(None, [args.weights])]
    return {
        "tool": PROG,
        "version": __version__,
        "options": {name: getattr(args, name) for name in names},
        "model_kind": notes["kind"],
        "weights_sha256": [digest_file(path) for path in weights],
    }


def attribute_all(folder, windows, model, args, log):
    """Write the attributions of every window to attributions.h5; returns the table of windows."""
    import numpy as np
    import pandas as pd
    import torch

    from intronaut.core.dna import base_codes
    from intronaut.interpret.attribution import Settings, attribute
    from intronaut.io.hdf5 import writable

    settings = Settings(
        args.method, args.baseline, args.baselines, args.steps, args.max_steps, args.max_gap, args.centre,
        args.batch_size, args.seed,
    )  # fmt: skip
    longest, rows = max(len(window.sequence) for window in windows), []
    counted = log.progress(len(windows), "windows")
    with writable(folder / "attributions.h5") as (file, refuse_full), counted as progress:
        for number, window in enumerate(windows):
            try:
                attribution = attribute(model, window.sequence, window.name, settings)
            except torch.OutOfMemoryError as problem:
                raise TryAgain(f"record {window.name!r}: out of memory; lower --batch-size") from problem
            if not np.isfinite(attribution.observed).all():
                raise BadData(f"record {window.name!r}: attributions that are not finite; are the weights sound?")
            if number == 0:
                create(file, len(windows), longest, attribution.hypothetical is not None)
            length = len(window.sequence)
            file["observed"][number, :length] = attribution.observed
            file["codes"][number, :length] = base_codes(window.sequence)
            if attribution.hypothetical is not None:
                file["hypothetical"][number, :, :length] = attribution.hypothetical
            refuse_full()
            rows.append(row_of(window, attribution, args))
            progress.add(1)
    return pd.DataFrame(rows)


def create(file, n, longest, hypothetical):
    """The datasets of attributions.h5; a window shorter than the longest is followed by zeros, in codes by 4."""
    how = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    if hypothetical:
        file.create_dataset("hypothetical", (n, 4, longest), "f4", chunks=(1, 4, longest), **how)
    file.create_dataset("observed", (n, longest), "f4", chunks=(1, longest), **how)
    file.create_dataset("codes", (n, longest), "u1", chunks=(1, longest), fillvalue=4, **how)


def row_of(window, attribution, args):
    """A line of windows.tsv."""
    nothing = float("nan")
    passed = "yes" if args.method != "ig" or attribution.gap <= args.max_gap else "no"
    return {
        "name": window.name, "chrom": window.chrom, "start": window.start, "end": window.end, "strand": window.strand,
        "length": len(window.sequence), "logit": attribution.logit, "logit_forward": attribution.logits["+"],
        "logit_reverse": attribution.logits.get("-", nothing), "strand_agreement": attribution.agreement,
        "attributed": float(attribution.observed.sum(dtype=float)), "baseline_logit": attribution.baseline_logit,
        "completeness_gap": attribution.gap, "steps": attribution.steps or None, "passed": passed,
    }  # fmt: skip


def write_all(folder, windows, table, record, shown, args, log):
    """Everything that is written from finished attributions."""
    from intronaut.io.hdf5 import writable
    from intronaut.io.tables import write_table

    write_table(folder / "windows.tsv", table)
    with writable(folder / "attributions.h5", "r+") as (file, _):
        for column in ("name", "chrom", "strand"):
            file[column] = [text or "" for text in table[column]]
        for column in ("start", "end", "length"):
            file[column] = table[column].fillna(-1).astype("int64").to_numpy()
        file.attrs["provenance"] = json.dumps(record, sort_keys=True)
        observed = file["observed"]
        kept = (table["passed"] == "yes").to_numpy()
        if left := int((~kept).sum()):
            log.warn(f"{left:,} of {len(table):,} windows have a completeness gap above --max-gap {args.max_gap:g}: "
                     "not in the tracks; more --max-steps may mend it")  # fmt: skip
        write_tracks(folder, windows, kept, observed, shown.chrom_sizes, log)
        draw(folder, windows, table, observed, shown, args)
    log.note(f"{args.output}: {len(table):,} windows by {args.method}{agreement(table)}")


def agreement(table):
    """How well the strands agree, in words."""
    known = table["strand_agreement"].dropna()
    return f"; the two strands' attributions correlate at {known.median():.2f} (median)" if len(known) else ""


def write_tracks(folder, windows, kept, observed, sizes, log):
    """attributions.bedgraph, and attributions.bw where chromosome sizes are given."""
    from intronaut.core.files import whole_file
    from intronaut.io import bedgraph

    placed = [number for number, window in enumerate(windows) if window.chrom is not None and kept[number]]
    if lacking := sum(window.chrom is None for window in windows):
        log.warn(f"{lacking:,} windows have no coordinates in their headers: not in the tracks")

    def rows():
        blocks = bedgraph.merged_blocks([windows[number] for number in placed], lambda at: observed[placed[at]])
        return bedgraph.bedgraph_rows(blocks)

    with whole_file(folder / "attributions.bedgraph") as out:
        out.writelines(f"{chrom}\t{start}\t{end}\t{value}\n" for chrom, start, end, value in rows())
    if sizes is not None and placed:
        bedgraph.write_bigwig(folder / "attributions.bw", rows(), sizes)


def ranked_first(table, args):
    """The --figures windows that rank highest held-out; by their logits where the model saw none of them.

    A logit of the model itself ranks high what it learnt by heart.
    """
    from intronaut.interpret.contributions import held_out_places

    if (Path(args.model) / "predictions.tsv").exists():
        ranks = table["name"].map(held_out_places(args.model)["held_out_rank"])
        if ranks.notna().any():
            return table["name"][ranks.nsmallest(args.figures).index].tolist()
    return table.nlargest(args.figures, "logit")["name"].tolist()


def draw(folder, windows, table, observed, shown, args):
    """Figures of the chosen windows."""
    chosen = args.figure or ranked_first(table, args)
    if not chosen:
        return
    import re

    from intronaut.genome.chromosomes import resolve_chrom
    from intronaut.plots.attributions import gene_models, peaks_near, window_figure
    from intronaut.plots.svg import save_both

    places = {window.name: number for number, window in enumerate(windows)}
    chroms_of_models = {} if shown.annotation is None else dict.fromkeys(shown.annotation.transcripts["chrom"])
    chroms_of_peaks = {} if shown.peaks is None else dict.fromkeys(shown.peaks["chrom"])
    for name in dict.fromkeys(chosen):
        window, models, peaks, where = windows[places[name]], [], [], ""
        if window.chrom is not None:
            where = f" · {window.chrom}:{window.start}-{window.end}({window.strand})"
            if chroms_of_models:
                models = gene_models(shown.annotation, resolve_chrom(window.chrom, chroms_of_models), window)
            if chroms_of_peaks:
                peaks = peaks_near(shown.peaks, resolve_chrom(window.chrom, chroms_of_peaks), window)
        title = f"{name}{where} · {args.method} · logit {table['logit'].iloc[places[name]]:.3g}"
        values = observed[places[name], : len(window.sequence)]
        figure = window_figure(window, values, models, peaks, args.logo, title)
        save_both(figure, folder / re.sub(r"[^\w.+-]", "_", name))  # a name may hold what a file name must not


if __name__ == "__main__":
    run(main, PROG)
