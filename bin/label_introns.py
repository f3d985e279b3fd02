#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=1.26", "pandas>=2.2", "pyranges>=0.1.7,<1", "pysam>=0.22", "biopython>=1.83", "scipy>=1.11"]
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

import json

from intronaut.cli import (
    BadData,
    Log,
    UsageError,
    add_run_options,
    fraction,
    parser,
    positive_int,
    require_file,
    run,
    whole_file,
)

TOOL = "label_introns"
RULES = ("retained_intron", "strict", "any-exon")


def make_parser():
    made = parser(__doc__, TOOL)
    made.add_argument("annotation", metavar="ANNOTATION", help="GTF or GFF3 (Ensembl, GENCODE, NCBI …), plain or gzip")

    group = made.add_argument_group("genome")
    group.add_argument("--fasta", metavar="FILE", help="genome, for the covariates gc and cpg and for checks")
    group.add_argument("--assembly", metavar="NAME", help="name of the assembly, recorded in counts.json")
    group.add_argument("--chrom-aliases", metavar="TSV", help="table of chromosome names, one naming scheme a column")
    group.add_argument("--skip-missing-chroms", action="store_true", help="leave out chromosomes not in the FASTA")

    group = made.add_argument_group("labels from the annotation (without --calls)")
    group.add_argument(
        "--annotation-rule", choices=RULES, default=RULES[0],
        help="whose exons make an intron retained: those of retained_intron transcripts; the same, but introns in "
        "other exons are NA (strict); those of any transcript of the gene (any-exon)",
    )  # fmt: skip
    group.add_argument("--min-length", type=positive_int, default=1, metavar="BP", help="leave out shorter introns")

    group = made.add_argument_group("labels from callers' tables")
    group.add_argument("--calls", nargs="+", default=[], metavar="FILE", help="tables of calls")
    group.add_argument("--calls-base", type=int, choices=(0, 1), help="first base of a chromosome in a generic table")
    group.add_argument("--calls-value", metavar="COLS", help="value columns of a generic table; a * names the caller")
    group.add_argument("--calls-columns", default="", metavar="KEY=COL,…", help="names for chrom, start, end, strand")
    group.add_argument("--calls-threshold", type=float, metavar="X", help="retained at this value or more")
    group.add_argument("--calls-spliced", type=float, metavar="X", help="spliced at this value or less; default: below")
    group.add_argument("--consensus", type=positive_int, default=1, metavar="K", help="callers that must agree")

    group = made.add_argument_group("peaks")
    group.add_argument("--peaks", metavar="BED", help="label these peaks by the introns under them, not the introns")
    group.add_argument("--min-overlap", type=fraction, default=0.5, metavar="F", help="part of the peak to cover")

    group = made.add_argument_group("splits")
    group.add_argument("--window", type=positive_int, default=4096, metavar="BP", help="context no split may share")
    group.add_argument("--folds", type=positive_int, default=5, metavar="N", help="number of folds")

    group = made.add_argument_group("output")
    group.add_argument("-o", "--output", default="labels.tsv", metavar="FILE", help="labels")
    group.add_argument("--ledger", default="ledger.tsv", metavar="FILE", help="what was left out and why")
    group.add_argument("--counts", default="counts.json", metavar="FILE", help="how many of each")
    group.add_argument("--allow-empty", action="store_true", help="accept labels that lack one of the two classes")
    add_run_options(made)
    return made


def main(argv):
    args = make_parser().parse_args(argv)
    check_options(args)
    log = Log(TOOL, args)
    import pandas as pd

    from intronaut.annotation import distinct_introns, read_annotation
    from intronaut.genome import Genome, read_aliases
    from intronaut.tables import write_table

    annotation = read_annotation(args.annotation)
    introns, genes = distinct_introns(annotation)
    introns["intron_id"] = loci(introns) + ":" + introns["strand"]
    introns["length"] = introns["end"] - introns["start"]
    aliases = read_aliases(args.chrom_aliases) if args.chrom_aliases else None
    genome = Genome(args.fasta, args.chrom_aliases) if args.fasta else None
    chroms = genome_chroms(genome, introns, args)
    counts = {
        "tool": TOOL,
        "assembly": args.assembly,
        "annotation": {"genes": len(annotation.genes), "transcripts": len(annotation.transcripts)}
        | {"exons": len(annotation.exons), "introns": len(introns), "introns_of_genes": len(genes)},
    }

    if args.calls:
        introns, lost, counts["callers"] = labelled_by_calls(args, introns, aliases)
    else:
        introns, lost = labelled_by_annotation(args, annotation, introns, genes), empty_ledger()
    unusable = why_unusable(introns, chroms, args.min_length)
    out = introns[unusable.notna()].assign(reason=unusable.dropna(), source="annotation")
    introns, unit = introns[unusable.isna()].reset_index(drop=True), "intron"
    if args.peaks:
        counts["introns"] = count_labels(introns)
        introns, lost = labelled_peaks(args, introns, aliases)
        out, unit = empty_ledger(), "peak"
    ledger = pd.concat([out, lost]).assign(unit=unit)

    table = finished(args, introns.assign(unit=unit), annotation.genes, genome, chroms)
    counts |= {"unit": unit, "n_input": len(table) + len(ledger), "n_labels": len(table), "n_ledger": len(ledger)}
    counts |= count_labels(table) | {"ledger": ledger["reason"].value_counts().to_dict()}
    require_classes(args, counts)
    write_table(args.ledger, ledger_table(ledger))
    with whole_file(args.counts) as handle:
        json.dump(counts, handle, indent=2)
        handle.write("\n")
    write_table(args.output, table)
    log.note("{n_labels:,} {unit}s: ".format(**counts) + ", ".join(f"{n:,} {k}" for k, n in counts["labels"].items()))
    log.note(f"{counts['n_ledger']:,} left out: see {args.ledger}")


def check_options(args):
    """Refuse options that do not fit together, and inputs that are not there, before any work."""
    if args.calls and args.calls_value is None:
        raise UsageError("--calls needs --calls-value, the column that holds the retention level")
    if args.calls and args.calls_base is None:
        raise UsageError("--calls needs --calls-base: 0 when starts count from 0 as in BED, 1 as in GTF")
    if args.calls and args.calls_threshold is None:
        raise UsageError("--calls needs --calls-threshold, the value from which an intron counts as retained")
    if args.calls_spliced is not None and args.calls_spliced >= args.calls_threshold:
        raise UsageError("--calls-spliced must be below --calls-threshold")
    for path in (args.fasta, args.peaks, args.chrom_aliases, *args.calls):
        if path is not None:
            require_file(path)


def genome_chroms(genome, introns, args):
    """A dict from the annotation's chromosome names to the FASTA's; None without a FASTA."""
    if genome is None:
        return None
    names = introns["chrom"].unique()
    if args.skip_missing_chroms:
        from intronaut.genome import resolve_chrom

        found = {name: resolve_chrom(name, genome.lengths, genome.aliases) for name in names}
        if any(found.values()):
            return {name: own for name, own in found.items() if own is not None}
    return genome.resolve_all(names, args.annotation)


def why_unusable(introns, chroms, min_length):
    """The ledger's reason for every intron, None for the ones that can be labelled."""
    import numpy as np
    import pandas as pd

    reasons = [
        (~introns["strand"].isin(["+", "-"]), "no_strand"),
        (introns["end"] - introns["start"] < min_length, "too_short"),
        (pd.Series(False, introns.index) if chroms is None else ~introns["chrom"].isin(chroms), "chrom_not_in_fasta"),
    ]
    return pd.Series(np.select(*zip(*reasons, strict=True), None), introns.index, dtype=object)


def labelled_by_annotation(args, annotation, introns, genes):
    """The introns with label, label_reason and evidence by the exons that contain them."""
    from intronaut.labels import label_by_annotation

    label, reason = label_by_annotation(annotation, introns, genes, args.annotation_rule)
    evidence = ["annotation=NA" if value != value else f"annotation={value:.0f}" for value in label]
    return introns.assign(label=label, label_reason=reason, evidence=evidence, ir_value=float("nan"))


def labelled_by_calls(args, introns, aliases):
    """The introns with label, label_reason, evidence and ir_value by the callers; the calls that match none; counts."""
    import numpy as np
    import pandas as pd

    from intronaut.callers import GenericColumns, read_generic
    from intronaut.labels import classify, consensus, evidence_text, match_calls

    names = dict(pair.split("=", 1) for pair in args.calls_columns.split(",") if "=" in pair)
    columns = GenericColumns(args.calls_base, tuple(args.calls_value.split(",")), names)
    calls = pd.concat([read_generic(path, columns) for path in args.calls])
    chrom_names = known_chroms(calls["chrom"], introns["chrom"], aliases, ", ".join(args.calls), args)
    calls, lost = match_calls(calls, introns, chrom_names)
    below = np.nextafter(args.calls_threshold, -np.inf) if args.calls_spliced is None else args.calls_spliced
    calls["label"], calls["reason"] = classify(calls, args.calls_threshold, below)
    calls = calls.sort_values(["intron", "caller", "value"]).drop_duplicates(["intron", "caller"], keep="last")
    label, reason = consensus(
        calls["label"].to_numpy(), calls["reason"].to_numpy(), calls["intron"].to_numpy(), len(introns), args.consensus
    )
    counts = {
        name: {"introns": len(rows), "1": int((rows["label"] == 1).sum()), "0": int((rows["label"] == 0).sum())}
        for name, rows in calls.groupby("caller")
    }
    values = calls.groupby("intron")["value"].mean() if calls["caller"].nunique() == 1 else pd.Series(dtype=float)
    introns = introns.assign(
        label=label, label_reason=reason, evidence=evidence_text(calls, len(introns)),
        ir_value=values.reindex(range(len(introns))),
    )  # fmt: skip
    return introns, lost.assign(source=lost["caller"]), counts


def known_chroms(chroms, own, aliases, source, args):
    """A dict from ``chroms`` to the annotation's names, None where it has none; refuses when it has none of them."""
    from intronaut.genome import resolve_chrom, resolve_chroms

    lengths = dict.fromkeys(own.unique())
    found = {chrom: resolve_chrom(chrom, lengths, aliases) for chrom in chroms.unique()}
    if not any(found.values()):
        resolve_chroms(found, lengths, aliases, source=source, genome=args.annotation)
    return found


def labelled_peaks(args, introns, aliases):
    """The peaks with label and covariates of the intron under them, and the ones that are left out."""
    from intronaut.peaks import label_peaks, peak_rows, read_peaks

    peaks = read_peaks(args.peaks)
    names = known_chroms(peaks["chrom"], introns["chrom"], aliases, args.peaks, args)
    own = peaks["chrom"].map(names)
    near = peaks[own.notna()].assign(chrom=own[own.notna()])
    found = label_peaks(near, introns, introns["label"].to_numpy(), args.min_overlap).set_index(near.index)
    reason = found["ledger"].reindex(peaks.index, fill_value="chrom_not_annotated")
    lost = peaks[reason.notna()].assign(reason=reason, source=args.peaks)
    stay = found["ledger"].isna()
    return peak_rows(near[stay], introns, found[stay]), lost


def loci(table):
    """``chrom:start-end`` of every row."""
    return table["chrom"] + ":" + table["start"].astype(str) + "-" + table["end"].astype(str)


def finished(args, table, genes, genome, chroms):
    """The labels table: names, base content, leakage groups and folds, columns and rows in their order."""
    from intronaut.annotation import chrom_order
    from intronaut.labels import base_content
    from intronaut.splits import grouped_folds, leakage_groups
    from intronaut.tables import COVARIATES, LABEL_COLUMNS

    if args.peaks:
        table["name"] = table["name"].fillna(loci(table))
    else:
        table["name"] = table["intron_id"]
    table["score"] = 0
    table["gc"], table["cpg"] = base_content(genome, chroms, table) if genome else (float("nan"), float("nan"))
    order = ["order", "start", "end", "strand"]
    table = table.assign(order=chrom_order(table["chrom"])).sort_values(order, kind="stable", ignore_index=True)
    # windows may be centred on a donor, an acceptor or the middle: half a window beyond the intron holds them all
    reach = 0 if args.peaks else args.window // 2
    spans = table.assign(start=table["start"] - reach, end=table["end"] + reach)
    table["group"] = leakage_groups(spans, genes, args.window)
    table["split"] = grouped_folds(table["group"], table["label"], args.folds)
    table["label"] = table["label"].astype("Int64")
    columns = [*LABEL_COLUMNS, "evidence", *COVARIATES, "ir_value", "label_reason", "group", "split"]
    return table[columns]


def empty_ledger():
    import pandas as pd

    return pd.DataFrame(columns=["chrom", "start", "end", "strand", "reason", "source"])


def ledger_table(ledger):
    """The ledger in its columns, in genome order."""
    from intronaut.annotation import chrom_order

    name = ledger["name"].fillna(loci(ledger)) if "name" in ledger else loci(ledger)
    ledger = ledger.assign(order=chrom_order(ledger["chrom"]), name=name, score=0)
    ledger = ledger.sort_values(["order", "start", "end", "strand"], kind="stable")
    return ledger[["chrom", "start", "end", "name", "score", "strand", "unit", "source", "reason"]]


def count_labels(table):
    """How many rows have each label, and why the others have none."""
    label = table["label"]
    labels = {"1": int((label == 1).sum()), "0": int((label == 0).sum()), "NA": int(label.isna().sum())}
    return {"labels": labels, "unlabelled": table["label_reason"].value_counts().to_dict()}


def require_classes(args, counts):
    """Refuse labels that lack a class, unless --allow-empty."""
    lacking = [name for name, value in (("retained", "1"), ("spliced", "0")) if not counts["labels"][value]]
    if not lacking or args.allow_empty:
        return
    if args.calls:
        advice = "check --calls-threshold and --calls-spliced, and that annotation and calls are of one assembly"
    else:
        advice = "the annotation tells none; bring --calls, or try --annotation-rule any-exon"
    found = ", ".join(f"{n:,} {name}" for name, n in counts["labels"].items())
    raise BadData(f"no {' and no '.join(lacking)} introns among {found}: {advice}; --allow-empty goes on all the same")


if __name__ == "__main__":
    run(main, TOOL)
