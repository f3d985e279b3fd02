#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=1.26", "pandas>=2.2", "pyranges>=0.1.7,<1", "pysam>=0.22", "biopython>=1.83", "scipy>=1.11",
#   "rich>=13"]
# ///
"""Label every intron of a gene annotation, or every peak, as retained (1), spliced (0) or unknown (NA).

Without --calls the annotation decides: an intron is retained when an exon of a transcript of biotype
retained_intron contains it. With --calls the tables of intron-retention callers decide, and an intron that no
caller measured is NA, never 0.

Writes three files:
  labels.tsv   BED6, label, evidence, covariates, leakage group and split; one row an intron (or peak), genome order
  ledger.tsv   every intron, call or peak that is not in labels.tsv, once, with the reason
  counts.json  how many of each; n_input = n_labels + n_ledger

All coordinates written are 0-based and half-open.
"""

import contextlib
import json
from dataclasses import replace

from intronaut.cli import (
    add_run_options,
    finite,
    fraction,
    new_parser,
    positive_float,
    positive_int,
    refuse_without_effect,
    run,
    two_numbers,
)
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import named_after, published_together, require_file, whole_file
from intronaut.core.log import Log

TOOL = "label_introns"
RULES = ("retained_intron", "strict", "any-exon")
# options that say something only of calls, of peaks by overlap, of peaks labelled as in the paper
OF_CALLS = ("calls_format", "calls_threshold", "calls_spliced", "calls_limits", "calls_base", "calls_value")
OF_CALLS += ("calls_columns", "calls_evidence", "calls_rows", "calls_table", "samples", "sample_sheet", "condition")
OF_CALLS += ("consensus", "shift", "exclude_flags", "calls_scale")
OF_OVERLAP, OF_PAPER = ("min_overlap", "summit", "keep_flanking"), ("negatives",)
# gaps of a few bases in gene models are no introns: the shortest that vertebrates are known to splice have about 40
MIN_LENGTH, MIN_LENGTH_OF_PAPER = 30, 1


def make_parser():
    parser = new_parser(__doc__, TOOL)
    parser.add_argument(
        "annotation", metavar="ANNOTATION", help="GTF or GFF3 of Ensembl, GENCODE, NCBI …, plain or gzip"
    )

    add = parser.add_argument_group("genome").add_argument
    add("--fasta", metavar="FILE", help="genome, for the covariates gc and cpg and for checks")
    add("--maxent-tables", metavar="FOLDER", help="tables of MaxEntScan, for its scores as splice-site strengths")
    add("--assembly", metavar="NAME", help="name of the assembly, recorded in counts.json")
    add("--chrom-aliases", metavar="TSV", help="table of chromosome names, one naming scheme a column")
    add("--skip-missing-chroms", action="store_true", help="leave out chromosomes not in the FASTA")
    add("--min-length", type=positive_int, metavar="BP", help="leave out shorter introns [30; with --paper 1]")
    add("--max-length", type=positive_int, default=2_000_000, metavar="BP", help="leave out longer gaps between exons")
    add(
        "--min-splice-sites", type=fraction, default=0.95, metavar="F",
        help="refuse calls when fewer of their introns are GT-AG, GC-AG or AT-AC in the FASTA; the annotation is "
        "refused below 0.5, or below F when that is less",
    )  # fmt: skip

    add = parser.add_argument_group("labels from the annotation (without --calls)").add_argument
    add(
        "--annotation-rule", choices=RULES, default=RULES[0],
        help="whose exons make an intron retained: those of retained_intron transcripts; the same, but introns in "
        "other exons are NA (strict); those of any transcript of the gene (any-exon)",
    )  # fmt: skip

    add = parser.add_argument_group("labels from callers' tables").add_argument
    add("--calls", nargs="+", default=[], metavar="FILE", help="tables of IRFinder, rMATS …, or your own")
    add("--calls-format", default="auto", metavar="NAME", help="auto, generic, or a caller of docs/labels.md")
    add("--calls-threshold", type=finite, metavar="X", help="retained from this value up; default: the caller's")
    add("--calls-spliced", type=finite, metavar="X", help="spliced from this value down; default: the caller's")
    add("--calls-limits", default="", metavar="CALLER.LIMIT=X,…", help="other thresholds, as rmats.reads=10")
    add("--calls-base", type=int, choices=(0, 1), help="first base of a chromosome in a table of your own")
    add("--calls-scale", default="auto", choices=("auto", "percent", "other"), help="of its values and thresholds")
    add("--calls-value", default="", metavar="COLS", help="its value columns; a * names the caller")
    add(
        "--calls-columns", default="", metavar="KEY=COL,…",
        help="its names for chrom, start, end, strand; or place=COL for chrom:start-end in one column",
    )  # fmt: skip
    add("--calls-evidence", default="", metavar="COL>=N,…", help="of its reads: fewer than N decide nothing")
    add("--calls-rows", default="", metavar="COL=VALUE,…", help="read only its rows of this kind, as Type=RI")
    add("--exclude-flags", action="store_true", help="leave out introns that IRFinder flags, as overlapping an exon")
    add(
        "--samples", type=sample_rule, metavar="RULE",
        help="pooled, mean, any or a fraction of them [pooled for tables of quantify_introns, mean for others]",
    )  # fmt: skip
    add("--sample-sheet", metavar="TSV", help="conditions of the samples that quantify_introns measured")
    add("--condition", metavar="NAME", help="label by the samples of this condition of the sheet")
    add("--consensus", type=positive_int, default=1, metavar="K", help="callers that must agree")
    add("--shift", type=two_numbers, default=(0, 0), metavar="S,E", help="add to the calls' starts and ends")

    add = parser.add_argument_group("peaks").add_argument
    add("--peaks", metavar="BED", help="label these peaks by the introns under them, not the introns")
    add("--min-overlap", type=fraction, default=0.5, metavar="F", help="part of the peak to be covered")
    add("--summit", action="store_true", help="the base at the peak's summit decides, not the overlap")
    add("--keep-flanking", action="store_true", help="keep spliced peaks on exons beside retained introns")
    add("--paper", action="store_true", help="label peaks as Daoud & Ben-Hur 2025 did, faults included")
    add("--negatives", type=positive_float, default=2, metavar="N", help="with --paper: negatives for each positive")

    add = parser.add_argument_group("splits").add_argument
    add("--window", type=positive_int, default=4096, metavar="BP", help="context no split may share")
    add("--folds", type=positive_int, default=5, metavar="N", help="number of folds")

    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", default="labels.tsv", metavar="FILE", help="labels")
    add("--ledger", metavar="FILE", help="what was left out and why [ledger.tsv beside --output, named after it]")
    add("--counts", metavar="FILE", help="how many of each [counts.json beside --output, named after it]")
    add("--calls-table", metavar="FILE", help="also what every caller says of every intron")
    add("--allow-empty", action="store_true", help="accept labels that lack a class, or are too few for --folds")
    add_run_options(parser, seed=True)
    return parser


def sample_rule(text):
    """argparse type: ``pooled``, ``mean``, ``any`` or a fraction."""
    return text if text in ("pooled", "mean", "any") else fraction(text)


def main(argv):
    parser = make_parser()
    args = parser.parse_args(argv)
    check_options(parser, args)
    complete_options(args)
    log = Log(TOOL, args)
    import pandas as pd

    from intronaut.genome.chromosomes import read_aliases
    from intronaut.genome.maxentscan import Tables
    from intronaut.genome.reference import Genome
    from intronaut.labels.consequence import consequence_columns
    from intronaut.labels.splice_sites import splice_site_columns
    from intronaut.splits.studies import TARGETS, why_no_study

    tables = Tables(args.maxent_tables) if args.maxent_tables else None
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(log.progress(5, "steps"))
        annotation, introns, genes, doubtful = read_introns(args)
        aliases = read_aliases(args.chrom_aliases) if args.chrom_aliases else None
        genome = stack.enter_context(Genome(args.fasta, args.chrom_aliases)) if args.fasta else None
        progress.add(1)
        chroms = genome_chroms(args, genome, introns)
        introns, ledger = set_apart(args, introns, doubtful, genome, chroms)
        ends = check_annotation(args, log, introns, genome, chroms)
        labels = labelled(args, annotation, introns, genes, genome, aliases, doubtful)
        introns, calls, rho = labels.introns, labels.table, labels.overdispersion
        progress.add(1)
        columns, sites = splice_site_columns(introns, annotation.genes, genome, chroms, tables, args.seed)
        progress.add(1)
        columns |= consequence_columns(introns, annotation, args.annotation, genome, chroms)
        progress.add(1)
        introns = introns.assign(**columns)
        if args.peaks:
            rows, ledger = labelled_peaks(args, annotation, introns, aliases, genome, chroms)
        else:
            rows, ledger = introns, pd.concat([ledger, labels.ledger], ignore_index=True)
        table = finished(args, rows, annotation.genes, genome, chroms)
        progress.add(1)
    counts = counted(args, table, ledger, introns, calls, annotation, genes)
    counts["no_study"] = {target: why_no_study(table, target, counts["unit"]) for target in TARGETS}
    counts |= {"intron_ends": ends, "splice_sites": sites} | ({} if rho is None else {"overdispersion": rho})
    require_classes(args, counts)
    write_outputs(args, table, ledger, counts, calls)
    log_counts(log, args, counts)


def complete_options(args):
    """Fill in the options whose defaults depend on others."""
    if args.min_length is None:
        args.min_length = MIN_LENGTH_OF_PAPER if args.paper else MIN_LENGTH
    args.ledger = args.ledger or named_after(args.output, "labels", "ledger.tsv")
    args.counts = args.counts or named_after(args.output, "labels", "counts.json")


def read_introns(args):
    """The Annotation, its distinct introns with identifier and length, their genes, and the gaps that may be none."""
    from intronaut.genome.annotation import distinct_introns, doubtful_introns, read_annotation
    from intronaut.labels.annotation import loci

    annotation = read_annotation(args.annotation, args.max_length)
    introns, genes = distinct_introns(annotation)
    introns["intron_id"] = loci(introns) + ":" + introns["strand"]
    introns["length"] = introns["end"] - introns["start"]
    return annotation, introns, genes, doubtful_introns(annotation)


def set_apart(args, introns, doubtful, genome, chroms):
    """The introns, with the ledger's reason where they cannot be labelled; and the gaps that may be no introns."""
    from intronaut.labels.annotation import why_unusable
    from intronaut.labels.genome_checks import ends_outside, refuse_many_outside

    outside = None
    if genome is not None:
        outside = ends_outside(introns, genome, chroms)
        refuse_many_outside(args.annotation, outside, "intron", genome)
    introns = introns.assign(ledger=why_unusable(introns, chroms, args.min_length, outside))
    return introns, doubtful.assign(source="annotation")


def check_annotation(args, log, introns, genome, chroms):
    """How many introns end as introns do in the genome; refuses when too few do. None without a genome."""
    from intronaut.labels import genome_checks

    if genome is None:
        return None
    sites = genome_checks.check_annotated_introns(
        args.annotation, introns[introns["ledger"].isna()], genome, chroms, args.min_splice_sites
    )
    if sites["share"] is not None and sites["share"] < genome_checks.USUAL_OF_ANNOTATION:
        log.warn(f"only {genome_checks.ends_text(sites)} in {args.fasta}; are both of one assembly?")
    return sites


def labelled(args, annotation, introns, genes, genome, aliases, doubtful):
    """The LabelledIntrons that can be labelled, with all rows of the ledger, of introns and of calls."""
    import pandas as pd

    from intronaut.labels.annotation import introns_by_annotation
    from intronaut.labels.call_labels import LabelledIntrons, label_by_calls

    if args.calls:
        labels = label_by_calls(args, annotation.genes, introns, genome, aliases, doubtful)
    else:
        labels = LabelledIntrons(introns_by_annotation(annotation, introns, genes, args.annotation_rule))
    unusable = labels.introns["ledger"].notna()
    left_out = labels.introns[unusable].rename(columns={"ledger": "reason"}).assign(source="annotation")
    ledger = pd.concat([left_out, labels.ledger], ignore_index=True)
    return replace(labels, introns=labels.introns[~unusable].reset_index(drop=True), ledger=ledger)


def counted(args, table, ledger, introns, calls, annotation, genes):
    """What counts.json holds."""
    from intronaut.labels.annotation import MEANING, count_labels
    from intronaut.labels.calls import count_by_caller

    counts = {
        "tool": TOOL, "assembly": args.assembly, "unit": "peak" if args.peaks else "intron",
        "n_input": len(table) + len(ledger), "n_labels": len(table), "n_ledger": len(ledger),
        **count_labels(table), "ledger": ledger["reason"].value_counts().to_dict(),
        "introns": count_labels(introns), "callers": {} if calls is None else count_by_caller(calls),
        "annotation": {
            "genes": len(annotation.genes), "transcripts": len(annotation.transcripts),
            "exons": len(annotation.exons), "introns_of_genes": len(genes), "left_out": annotation.left_out,
        },
    }  # fmt: skip
    counts["reasons"] = {reason: MEANING[reason] for reason in (*counts["unlabelled"], *counts["ledger"])}
    return counts


def write_outputs(args, table, ledger, counts, calls):
    """Write all files, or none of them."""
    from intronaut.io.tables import write_table
    from intronaut.labels.annotation import ledger_table

    with published_together():
        if args.calls_table:
            write_table(args.calls_table, calls)
        write_table(args.ledger, ledger_table(ledger, counts["unit"]), for_people=True)
        with whole_file(args.counts) as handle:
            handle.write(json.dumps(counts, indent=2) + "\n")
        write_table(args.output, table)


def log_counts(log, args, counts):
    """Note the labels, and what was left out by reason."""
    from intronaut.labels import annotation, genome_checks

    for what, n in counts["annotation"]["left_out"].items():
        log.warn(f"{args.annotation}: {n:,} {annotation.USED_OTHERWISE[what]}")
    if (sites := counts["intron_ends"]) and sites["share"] is not None:
        log.note(genome_checks.ends_text(sites))
    names = {"1": "retained", "0": "spliced", "NA": "without a label"}
    labels = ", ".join(f"{n:,} {names[key]}" for key, n in counts["labels"].items())
    log.note(f"{counts['n_labels']:,} {counts['unit']}s: {labels}")
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts["ledger"].items())
    log.note(f"{counts['n_ledger']:,} left out{': ' if reasons else ''}{reasons}; see {args.ledger}")


def check_options(parser, args):
    """Refuse options that do not fit together, and inputs that are not there, before any work."""
    if not args.fasta:
        refuse_without_effect(parser, args, ["maxent_tables"], "without --fasta")
    if args.calls:
        refuse_without_effect(parser, args, ["annotation_rule"], "with --calls")
    else:
        refuse_without_effect(parser, args, OF_CALLS, "without --calls")
    if not args.peaks:
        refuse_without_effect(parser, args, [*OF_OVERLAP, *OF_PAPER, "paper"], "without --peaks")
    elif args.paper:
        refuse_without_effect(parser, args, OF_OVERLAP, "with --paper, which has rules of its own")
    else:
        refuse_without_effect(parser, args, OF_PAPER, "without --paper")
    if None not in (args.calls_spliced, args.calls_threshold) and args.calls_spliced >= args.calls_threshold:
        raise UsageError("--calls-spliced must be below --calls-threshold")
    if not args.sample_sheet:
        refuse_without_effect(parser, args, ["condition"], "without --sample-sheet")
    for path in (args.fasta, args.sample_sheet, args.peaks, args.chrom_aliases, *args.calls):
        if path is not None:
            require_file(path)


def genome_chroms(args, genome, introns):
    """A dict from the annotation's chromosome names to the FASTA's; None without a FASTA."""
    if genome is None:
        return None
    names = introns["chrom"].unique()
    if not args.skip_missing_chroms:
        return genome.resolve_all(names, args.annotation)
    from intronaut.genome.chromosomes import known_chroms

    known = known_chroms(names, genome.lengths, genome.aliases, source=args.annotation, genome=genome.path)
    return {name: in_genome for name, in_genome in known.items() if in_genome is not None}


def labelled_peaks(args, annotation, introns, aliases, genome, chroms):
    """The peaks with label and covariates of the intron under them, and the ones that are left out."""
    from intronaut.genome.chromosomes import known_chroms
    from intronaut.io.peaks import read_peaks
    from intronaut.labels.genome_checks import refuse_many_outside
    from intronaut.labels.peaks import flanking_exons, label_peaks, peak_rows, touching, why_unusable
    from intronaut.paper.peaks import label_peaks_as_paper

    peaks = read_peaks(args.peaks)
    annotated = dict.fromkeys(introns["chrom"].unique())
    names = known_chroms(peaks["chrom"].unique(), annotated, aliases, source=args.peaks, genome=args.annotation)
    named = peaks.assign(chrom=peaks["chrom"].map(names))
    reason, outside = why_unusable(named, genome, chroms)
    refuse_many_outside(args.peaks, outside, "peak", genome)
    usable = named[reason.isna()]
    flanks = flanking_exons(annotation, introns[introns["label"] == 1])
    if args.paper:
        retained = (introns["label"] == 1).to_numpy()
        labels = label_peaks_as_paper(usable, introns, retained, flanks, annotation.genes, args.negatives, args.seed)
        usable = usable.assign(strand="+")
    else:
        labels = label_peaks(usable, introns, introns["label"].to_numpy(), args.min_overlap, args.summit)
        if not args.keep_flanking:
            labels.loc[(labels["label"] == 0) & touching(usable, flanks), "ledger"] = "on_flanking_exon"
    labels = labels.set_index(usable.index)
    reason[usable.index] = labels["ledger"]
    kept = labels["ledger"].isna()
    left_out = peaks[reason.notna()].assign(reason=reason.dropna(), source=args.peaks)
    return peak_rows(usable[kept], introns, labels[kept]), left_out


def finished(args, table, genes, genome, chroms):
    """The labels table: names, base content, leakage groups and folds, columns and rows in their order."""
    from intronaut.genome.annotation import chrom_order
    from intronaut.io.tables import CONSEQUENCES, COVARIATES, DIFFERENCES, LABEL_COLUMNS, LEVELS
    from intronaut.labels.annotation import base_content, loci
    from intronaut.labels.irfinder_flags import COLUMN_OF
    from intronaut.splits.folds import grouped_folds
    from intronaut.splits.leakage import leakage_groups

    table["name"] = table["name"].fillna(loci(table)) if args.peaks else table["intron_id"]
    table["unit"], table["score"] = "peak" if args.peaks else "intron", 0
    table["gc"], table["cpg"] = base_content(genome, chroms, table) if genome else (float("nan"), float("nan"))
    order = ["order", "start", "end", "strand"]
    table = table.assign(order=chrom_order(table["chrom"])).sort_values(order, kind="stable", ignore_index=True)
    # windows may be centred on a donor, an acceptor or the middle: half a window beyond the intron holds them all
    reach = 0 if args.peaks else args.window // 2
    spans = table.assign(start=table["start"] - reach, end=table["end"] + reach)
    table["group"] = leakage_groups(spans, genes, args.window)
    # what is accepted without one of the classes is accepted with few introns too
    n_folds = min(args.folds, table["group"].nunique()) if args.allow_empty else args.folds
    table["split"] = grouped_folds(table["group"], table["label"], n_folds) if len(table) else []
    table["label"] = table["label"].astype("Int64")
    measured = [name for name in (*LEVELS, *DIFFERENCES, *COLUMN_OF.values(), "label_reason") if name in table]
    return table[[*LABEL_COLUMNS, "evidence", *COVARIATES, *CONSEQUENCES, "ir_value", *measured, "group", "split"]]


def require_classes(args, counts):
    """Refuse labels that lack a class, unless --allow-empty."""
    lacking = [name for name, value in (("retained", "1"), ("spliced", "0")) if not counts["labels"][value]]
    if not lacking or args.allow_empty:
        return
    if args.calls:
        advice = "check the thresholds, and that annotation and calls are of one assembly"
    else:
        advice = "the annotation tells none; bring calls from RNA-seq (--calls, in the pipeline --ir_calls)"
        if args.annotation_rule != "any-exon":
            advice += ", or try --annotation-rule any-exon"
    label_counts = ", ".join(f"{n:,} {name}" for name, n in counts["labels"].items())
    missing = " and no ".join(f"{name} {counts['unit']}s" for name in lacking)
    raise BadData(f"no {missing} among {label_counts}: {advice}; --allow-empty goes on all the same")


if __name__ == "__main__":
    run(main, TOOL)
