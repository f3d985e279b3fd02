#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.85", "numpy>=2.0", "pandas>=2.2", "pyjaspar>=4.0", "pyranges>=0.1.7,<1", "pysam>=0.23",
#   "rich>=13", "scipy>=1.13", "threadpoolctl>=3.5"]
# ///
"""Look at all inputs of a study in one pass: every fault of every input at once, and what the run will take.

The options are those of the pipeline, so that a command that is checked can be run. Files, chromosome names, splice
sites, calls, sample sheets, peaks, variants, marks and weights are read as the tools read them. Without a fault,
--trials times a few introns of each step on this machine and estimates time, memory and disk of each.

Exit code: 0 without a fault, 66 where only files are missing, else 65. A doubt is no fault: it is shown as a warning.

Output:
  report.json   faults, warnings, numbers and estimates, for programs (--output)
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from intronaut.cli import add_run_options, finite, fraction, new_parser, positive_int, run
from intronaut.core.errors import BadData, MissingInput, ToolError
from intronaut.core.files import require_file, whole_file
from intronaut.core.log import Log

TOOL = "check"
RULES = ("retained_intron", "strict", "any-exon")
FEW_RETAINED, FEW_INTRONS = 50, 200
USUAL_ENDS = 0.97
EMBEDDERS = {
    "motifs": (),
    "rna": (),
    "kmers": (),
    "splice": ("splice_weights",),
    "tracks": ("tracks",),
    "sei": ("sei_weights", "sei_targets"),
    "dnabert2": ("dnabert2_weights", "dnabert2_tokenizer"),
}


NETWORKS = {
    "sei": ("sei_weights",),
    "dnabert2": ("dnabert2_weights", "dnabert2_tokenizer"),
    "basset": (),
    "basenji": (),
    "attentionconv": (),
}


@dataclass
class Findings:
    """What was found: faults and warnings as ``{"input", "text"}``, and numbers of the study by name."""

    faults: list = field(default_factory=list)
    warnings: list = field(default_factory=list)
    numbers: dict = field(default_factory=dict)

    def look(self, name, work, *args):
        """The result of ``work(*args)``; its expected failures become faults of the input ``name``, and None."""
        try:
            return work(*args)
        except (ToolError, OSError, UnicodeDecodeError) as problem:
            text = str(problem) or type(problem).__name__
            missing = isinstance(problem, MissingInput | FileNotFoundError)
            self.faults.append({"input": name, "text": text, "missing": missing})
            return None

    def warn(self, name, text):
        self.warnings.append({"input": name, "text": text})


def make_parser():
    parser = new_parser(__doc__, TOOL)
    data = parser.add_argument_group("input, as for the pipeline; several files joined by commas")
    data.add_argument("--gtf", metavar="FILE", help="gene annotation, GTF or GFF3")
    data.add_argument("--fasta", metavar="FILE", help="genome, FASTA or 2bit")
    data.add_argument("--chrom-aliases", "--chrom_aliases", metavar="FILE", help="table of chromosome names")
    data.add_argument("--ir-calls", "--ir_calls", type=files, default=[], metavar="FILES", help="calls of retention")
    data.add_argument("--ir-format", "--ir_format", default="auto", metavar="NAME", help="their format")
    data.add_argument("--ir-value", "--ir_value", default="", metavar="COLS", help="value columns of your own table")
    data.add_argument("--ir-base", "--ir_base", type=int, choices=(0, 1), help="first base of its chromosomes")
    scales = ("auto", "percent", "other")
    data.add_argument("--ir-scale", "--ir_scale", default="auto", choices=scales, help="of its values and threshold")
    data.add_argument("--ir-threshold", "--ir_threshold", type=finite, metavar="X", help="retained from this value up")
    data.add_argument("--ir-limits", "--ir_limits", default="", metavar="CALLER.LIMIT=X,…", help="other thresholds")
    data.add_argument(
        "--min-splice-sites", "--min_splice_sites", type=fraction, default=0.95, metavar="F",
        help="refuse calls when fewer of their introns are GT-AG, GC-AG or AT-AC",
    )  # fmt: skip
    data.add_argument(
        "--annotation-rule", "--annotation_rule", choices=RULES, default=RULES[0],
        help="whose exons make an intron retained, without calls",
    )  # fmt: skip
    data.add_argument("--alignments", metavar="TSV", help="sheet of samples, for quantify_introns")
    data.add_argument("--condition", metavar="NAME", help="the one of the sheet's conditions to label by")
    data.add_argument("--contrast", metavar="LEVEL_vs_REFERENCE", help="the two of them to compare")
    data.add_argument("--peaks", metavar="BED", help="peaks to label instead of introns")
    data.add_argument("--marks", type=files, default=[], metavar="FILES", help="measured peaks, for enrich")
    data.add_argument("--vcf", metavar="FILE", help="variants to score")
    data.add_argument("--covariates", metavar="TSV", help="table of further covariates by intron or gene")
    data.add_argument("--tracks", metavar="TSV", help="sheet of measured tracks, for embed_tracks")
    what = parser.add_argument_group("models, as for the pipeline")
    what.add_argument(
        "--embedders", default="motifs", metavar="NAMES", help="motifs, rna, kmers, sei, dnabert2, splice, tracks"
    )
    what.add_argument("--networks", default="", metavar="NAMES", help=f"{', '.join(NETWORKS)}")
    for name in ("sei_weights", "sei_targets", "dnabert2_weights", "dnabert2_tokenizer", "splice_weights"):
        what.add_argument(f"--{name.replace('_', '-')}", f"--{name}", metavar="FILE", help="as for its embedder")
    what.add_argument("--window", type=positive_int, default=600, metavar="BP", help="bases around an intron")
    how = parser.add_argument_group("checking")
    how.add_argument("--trials", action="store_true", help="time a few introns and estimate the whole run")
    how.add_argument("--cpus", type=positive_int, default=2, metavar="N", help="CPUs that the run may use")
    how.add_argument(
        "--params",
        metavar="JSON",
        help="list of what is wrong with the params, as the pipeline found it; listed with the rest",
    )
    how.add_argument("--outdir", default="results", metavar="FOLDER", help="where the results would go, for its space")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", metavar="FILE", help="report.json, for programs")
    add_run_options(parser)
    return parser


def files(text):
    """argparse type: file names joined by commas."""
    return [name for name in text.split(",") if name]


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log(TOOL, args)
    findings = Findings()
    if args.params:
        findings.look("params", check_params, args.params, findings)
    else:
        for name in ("gtf", "fasta"):
            findings.look(f"--{name}", required, getattr(args, name))
    check_inputs(args, findings)
    estimates = estimate(args, findings) if args.trials and not findings.faults else []
    check_space(args, findings, estimates)
    show(log, findings, estimates)
    if args.output:
        write_report(args.output, findings, estimates)
    if findings.faults:
        return MissingInput.code if all(fault["missing"] for fault in findings.faults) else BadData.code
    return 0


def check_params(path, findings):
    """Take up the faults of the params that the pipeline found before it started this."""
    from intronaut.core.json_files import read_json

    findings.faults += [{"input": "params", "text": text, "missing": False} for text in read_json(path)]


def required(path):
    """Raise MissingInput where an input that no study lacks is not given."""
    if path is None:
        raise MissingInput("not given; every study needs it")


def check_inputs(args, findings):
    """Look at every input, each as far as it can be read without the others that are broken."""
    from intronaut.genome.reference import Genome
    from intronaut.labels import input_checks, label_classes

    aliases = findings.look("--chrom-aliases", read_aliases, args.chrom_aliases) if args.chrom_aliases else None
    names = args.chrom_aliases if aliases is not None else None
    genome = findings.look("--fasta", Genome, args.fasta, names) if args.fasta else None
    try:
        read = (findings.look("--gtf", read_introns, args.gtf) if args.gtf else None) or (None,) * 4
        introns, genes, annotation, introns_of_genes = read
        if introns is not None:
            findings.numbers |= {"introns": len(introns), "genes": len(genes)}
            if len(introns) < FEW_INTRONS:
                findings.warn("--gtf", f"{len(introns):,} introns are few for a model")
            if genome is not None:
                findings.look("--gtf", check_annotation, args, findings, introns, genome)
            if not (args.ir_calls or args.alignments or args.peaks):
                findings.look(
                    "--gtf", label_classes.of_annotation, args.gtf, annotation, introns, introns_of_genes,
                    args.annotation_rule,
                )  # fmt: skip
        tables = [
            findings.look("--ir-calls", check_calls, path, args, findings, introns, genes, genome)
            for path in args.ir_calls
        ]
        # tables that have a fault may hold the class that the others lack
        if tables and None not in tables and not (args.alignments or args.peaks):
            findings.look("--ir-calls", label_classes.of_calls, tables)
        if args.alignments:
            findings.look("--alignments", check_sheet, args.alignments, args, findings, introns, genome)
        if args.covariates:
            findings.look("--covariates", input_checks.check_covariates, args.covariates, introns)
        for option, paths in (("--peaks", [args.peaks] if args.peaks else []), ("--marks", args.marks)):
            for path in paths:
                findings.look(option, input_checks.check_peaks, path, genome)
        if args.vcf:
            findings.look("--vcf", input_checks.check_variants, args.vcf, genome)
    finally:
        if genome is not None:
            genome.close()
    check_models(args, findings)


def read_aliases(path):
    from intronaut.genome import chromosomes

    return chromosomes.read_aliases(path)


def read_introns(path):
    """The distinct introns of an annotation, its genes, itself, and the introns of each gene."""
    from intronaut.genome.annotation import distinct_introns, read_annotation

    annotation = read_annotation(require_file(path))
    introns, introns_of_genes = distinct_introns(annotation)
    if introns.empty:
        raise BadData(f"{path}: no transcript has two exons, so there is no intron")
    return introns, annotation.genes, annotation, introns_of_genes


def check_annotation(args, findings, introns, genome):
    """Names, ends and splice sites of the annotation in the genome."""
    from intronaut.labels import genome_checks

    chroms = genome.resolve_all(list(introns["chrom"].unique()), args.gtf)
    outside = genome_checks.ends_outside(introns, genome, chroms)
    genome_checks.refuse_many_outside(args.gtf, outside, "intron", genome)
    sites = genome_checks.check_annotated_introns(args.gtf, introns[~outside], genome, chroms, args.min_splice_sites)
    findings.numbers["intron_ends"] = sites["share"]
    if sites["share"] is not None and sites["share"] < USUAL_ENDS:
        findings.warn("--gtf", f"{sites['share']:.1%} of its introns are GT-AG, GC-AG or AT-AC; usual is 97% and more")


def check_calls(path, args, findings, introns, genes, genome):
    """Format, places and splice sites of a table of calls, and how many of its introns the annotation has.

    Returns the labels that it can give, of ``retained`` and ``spliced``; None without an annotation to read it by.
    """
    from intronaut.labels import label_classes
    from intronaut.labels.call_options import CallOptions, limits
    from intronaut.labels.callers import FORMATS
    from intronaut.labels.calls import check_columns, read_calls
    from intronaut.labels.genome_checks import check_splice_sites

    if args.ir_format not in ("auto", "generic", *FORMATS):
        raise BadData(f"--ir-format {args.ir_format} is none of auto, generic, {', '.join(FORMATS)}")
    values = tuple(name for name in args.ir_value.split(",") if name)
    thresholds = {"limits": limits("--ir-limits", args.ir_limits), "retained": args.ir_threshold}
    options = CallOptions(format=args.ir_format, base=args.ir_base, values=values, scale=args.ir_scale, **thresholds)
    if genes is None:
        check_columns(require_file(path), options)
        return None
    calls = read_calls(require_file(path), options, genes)
    if genome is not None:
        check_splice_sites(path, calls, genome, args.min_splice_sites, (0, 0))
    without_prefix = {chrom: chrom.removeprefix("chr") for chrom in introns["chrom"].unique()}
    known = set(zip(introns["chrom"].map(without_prefix), introns["start"], introns["end"], strict=True))
    named = calls["chrom"].astype(str).str.removeprefix("chr")
    places = set(zip(named, calls["start"], calls["end"], strict=True))
    shared = len(places & known)
    if not shared:
        raise BadData(f"{path}: none of its {len(places):,} introns is one of {args.gtf}; are both of one annotation?")
    above = calls["can_retain"].astype(bool) & (calls["value"] >= calls["retained"])
    retained = calls.loc[above, ["chrom", "start", "end"]].drop_duplicates()
    findings.numbers.setdefault("calls", {})[Path(path).name] = {"introns": len(places), "annotated": shared}
    if len(retained) < FEW_RETAINED:
        findings.warn("--ir-calls", f"{path}: {len(retained):,} introns are retained, few for a model")
    return label_classes.possible_labels(calls)


def check_sheet(path, args, findings, introns, genome):
    """The sheet of samples, the condition to choose of it, and the files that it names, each by itself."""
    from intronaut.genome.alignment_checks import check_alignments
    from intronaut.io.sample_sheet import check_condition, check_contrast, read_sheet

    rows = read_sheet(require_file(path))
    known = {row.condition for row in rows} - {None}
    if args.contrast:
        findings.look("--contrast", check_contrast, path, known, args.contrast)
    else:
        findings.look("--condition", check_condition, path, known, args.condition)
    for row in rows:
        for name, file in row.files.items():
            if name == "reads":
                findings.look("--alignments", check_alignments, file, args.fasta, introns, args.gtf, genome)
            else:
                require_file(file)


def check_models(args, findings):
    """Names of embedders and networks, and the files that they need, each once."""
    from intronaut.io.checkpoints import refuse_broken_start
    from intronaut.labels import input_checks

    looked_into = {"weights": refuse_broken_start, "tracks": input_checks.check_tracks}
    needed = {}
    for option, known in (("--embedders", EMBEDDERS), ("--networks", NETWORKS)):
        names = getattr(args, option[2:]).split(",") if getattr(args, option[2:]) or option == "--embedders" else []
        for name in names:
            if name not in known:
                text = f"{name or 'an empty name'} is none of {', '.join(known)}"
                findings.faults.append({"input": option, "text": text, "missing": False})
            for file in known.get(name, ()):
                needed.setdefault(file, f"{option} {name}")
    if args.tracks:
        needed.setdefault("tracks", "the sheet")
    for file, who in needed.items():
        path = getattr(args, file)
        if path is not None:
            findings.look(f"--{file}", looked_into.get(file.split("_")[-1], input_checks.check_text), path)
        elif file != "sei_targets":
            source = "a sheet of path, target, cell and kind" if file == "tracks" else "fetch_weights gets it"
            findings.faults.append({"input": f"--{file}", "text": f"{who} needs --{file}; {source}", "missing": True})


def estimate(args, findings):
    """Time, memory and disk of each step, from trials on this machine."""
    from intronaut.features.run_estimates import estimates

    embedders = [name for name in args.embedders.split(",") if name in ("motifs", "kmers")]
    for name in set(args.embedders.split(",")) - set(embedders):
        elsewhere = f"; embed_{name} --estimate does that" if EMBEDDERS.get(name) else ""
        findings.warn("--embedders", f"{name} is not timed here{elsewhere}")
    # models are fitted on what calls can label
    annotated = [table["annotated"] for table in findings.numbers.get("calls", {}).values()]
    return estimates(findings.numbers["introns"], args.window, embedders, args.cpus, max(annotated, default=None))


def check_space(args, findings, estimates):
    """Whether the disk of the results has room for what the run writes: results and their copy in work/."""
    folder = Path(args.outdir).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    findings.numbers["disk_free_gb"] = round(free, 1)
    needed = 2 * sum(step["disk_gb"] for step in estimates)
    if needed > free:
        text = f"about {needed:.1f} GB are needed with the work folder, {free:.1f} GB are free"
        findings.faults.append({"input": "--outdir", "text": text, "missing": False})


def show(log, findings, estimates):
    """Say all of it, faults last."""
    import sys

    for step in estimates:
        log.note(
            f"{step['step']}: about {minutes(step['seconds'])}, {step['memory_gb']:.1f} GB of memory, "
            f"{step['disk_gb']:.2f} GB written"
        )
    if estimates:
        log.note(f"in all about {minutes(sum(step['seconds'] for step in estimates))} on an idle machine")
    for warning in findings.warnings:
        log.warn(f"{warning['input']}: {warning['text']}")
    for fault in findings.faults:
        # what is wrong with a param names it already
        where = "" if fault["input"] == "params" else f"{fault['input']}: "
        print(f"{TOOL}: {where}{fault['text']}", file=sys.stderr)
    number = len(findings.faults)
    if number:
        print(f"{TOOL}: {number} fault{'s' if number > 1 else ''}; the run would stop there", file=sys.stderr)
    else:
        introns = findings.numbers.get("introns", 0)
        log.note(f"no fault in any input: {introns:,} introns of {findings.numbers.get('genes', 0):,} genes")


def minutes(seconds):
    """``40 s`` or ``3 min``."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def write_report(path, findings, estimates):
    faults = [{key: fault[key] for key in ("input", "text")} for fault in findings.faults]
    report = {"faults": faults, "warnings": findings.warnings, "numbers": findings.numbers, "estimates": estimates}
    with whole_file(path) as out:
        out.write(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run(main, TOOL)
