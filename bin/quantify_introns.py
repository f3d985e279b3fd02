#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy>=1.26", "pandas>=2.2", "pyranges>=0.1.7,<1", "pysam>=0.22", "biopython>=1.83", "scipy>=1.11",
#   "pybigtools>=0.2", "matplotlib>=3.8",
# ]
# ///
"""Measure from RNA-seq reads how much of every annotated intron is retained, in every sample.

Reads are alignments (BAM, CRAM or SAM, sorted or not, of short or long reads), or, by the sheet, STAR's junctions with
coverage, or a table of counts. Every annotated intron is a row of every sample; what cannot be measured is NA with a
reason, never absent and never 0. psi is retained / (retained + spliced) by the fragments at the two ends of the intron.

Writes into the folder of --output:
  SAMPLE.introns.tsv.gz   BED6, psi with its interval, the counts it comes from, depth and coverage, call, flags
  SAMPLE.counts.json      records left out by reason, fragments, library, calls
  ledger.tsv              every intron, or row of a table of counts, that is in no table, with the reason
  counts.json             all samples, and how many introns were annotated, measured and left out
  quantify_introns_mqc.tsv, quantify_introns_dropped_mqc.tsv   for MultiQC

docs/quantify.md says what every column is. All coordinates written are 0-based and half-open.
"""

import contextlib
import json

from intronaut.cli import (
    add_chrom_aliases,
    add_run_options,
    new_parser,
    positive_float,
    positive_int,
    refuse_without_effect,
    run,
    whole_number,
)
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import published_together, require_file, whole_file, whole_folder
from intronaut.core.log import Log

TOOL = "quantify_introns"
STRANDS = ("auto", "forward", "reverse", "unstranded")
OUTPUTS = ("*.introns.tsv.gz", "*.counts.json", "counts.json", "ledger.tsv", "quantify_introns*_mqc.tsv", "*.psi.bw")
OUTPUTS += ("sashimi",)


def make_parser():
    parser = new_parser(__doc__, TOOL)
    parser.add_argument("annotation", metavar="ANNOTATION", help="GTF or GFF3, plain or gzip")
    parser.add_argument("reads", nargs="*", metavar="READS", help="BAM, CRAM or SAM files, each a sample; - is stdin")

    group = parser.add_argument_group("samples and genome")
    add = group.add_argument
    add("--samples", metavar="TSV", help="sheet: sample, reads, and as wanted condition, strand, replicate_of …")
    add("--fasta", metavar="FILE", help="genome; needed for CRAM, else its lengths are compared")
    add_chrom_aliases(group)

    add = parser.add_argument_group("which reads count, and where").add_argument
    add("--strand", choices=STRANDS, default="auto", help="how read 1 lies to the transcript; auto asks the reads")
    add("--reads-kind", choices=("auto", "short", "long"), default="auto", help="auto asks header and read lengths")
    add("--overhang", type=positive_int, metavar="BP", help="least aligned bases on both sides of an end [5; long 20]")
    add("--wobble", type=whole_number, metavar="BP", help="how far a junction may be from its intron [0; long 5]")
    add("--min-mapq", type=whole_number, default=10, metavar="N", help="least mapping quality; 255 passes")
    add("--multimapped", choices=("drop", "keep"), default="drop", help="records with NH above 1; keep: primary ones")
    add("--duplicates", choices=("keep", "drop"), default="keep", help="marked duplicates; in RNA most are real copies")
    add("--exclude", nargs="+", default=[], metavar="BED", help="regions not to measure, as of low mappability")

    add = parser.add_argument_group("samples of the sheet without alignments").add_argument
    add("--coverage-scale", type=positive_float, metavar="X", help="what one read adds to the coverage [inferred]")
    add("--counts-base", type=int, choices=(0, 1), help="first base of a chromosome in a table of counts")
    add("--counts-columns", default="", metavar="KEY=COL,…", help="its names; retained=A+B takes the mean of two")

    add = parser.add_argument_group("introns").add_argument
    add("--min-length", type=positive_int, default=1, metavar="BP", help="leave out shorter introns")

    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", default="quantified", metavar="DIR", help="folder for all files")
    add("--novel-junctions", metavar="FILE", help="also the junctions at no annotated intron: BED6+, a header")
    add("--sashimi", nargs="+", default=[], metavar="INTRON", help="also sashimi/INTRON.svg; as chr1:200-300:+")
    add(
        "--sashimi-top",
        type=positive_int,
        metavar="N",
        help="also of the N introns of each sample that are surely retained most",
    )
    add("--tracks", action="store_true", help="also SAMPLE.psi.bw: psi along the genome, for a browser")
    add_run_options(parser, threads=True)
    return parser


def main(argv):
    parser = make_parser()
    args = parser.parse_args(argv)
    check_options(parser, args)
    log = Log(TOOL, args)
    import pandas as pd

    from intronaut.genome.chromosomes import read_aliases
    from intronaut.genome.reference import Genome
    from intronaut.io.tables import write_table
    from intronaut.labels.sample_tables import NOVEL_COLUMNS, novel_junctions
    from intronaut.labels.sashimi_data import CountedSample, most_retained

    introns, ledger = read_introns(args)
    aliases = read_aliases(args.chrom_aliases) if args.chrom_aliases else None
    with published_together(), contextlib.ExitStack() as stack:
        genome = stack.enter_context(Genome(args.fasta, args.chrom_aliases)) if args.fasta else None
        samples = opened_samples(args, introns, aliases, genome, stack)
        folder = stack.enter_context(whole_folder(args.output, OUTPUTS))
        reports, novel, counted = [], [], []
        named = named_introns(args, introns)
        progress = stack.enter_context(log.progress(len(samples), "samples"))
        for about, table, counts, sizes, lost in measured(args, introns, samples, aliases):
            progress.add(1)
            write_sample(args, folder, about, table, sizes)
            reports.append(about)
            if lost is not None:
                ledger = pd.concat([ledger, lost])
            if args.novel_junctions and counts:
                novel.append(novel_junctions(introns, counts, about["sample"]))
            if counts and about["reads"] != "coverage" and (named or args.sashimi_top):
                counted.append(CountedSample(samples[about["sample"]], counts.rules, counts.library, table))
        if chosen := list(dict.fromkeys([*named, *most_retained(counted, args.sashimi_top)])):
            draw(folder, introns, chosen, counted)
        write_summaries(folder, introns, ledger, reports)
        if args.novel_junctions:
            write_table(args.novel_junctions, pd.concat(novel) if novel else pd.DataFrame(columns=NOVEL_COLUMNS))
    for about in reports:
        for text in about["warnings"]:
            log.warn(f"{about['sample']}: {text}")
        calls = [about["calls"].get(name, 0) for name in ("1", "0", "NA")]
        log.note("{}: {:,} introns retained, {:,} spliced, {:,} without a call".format(about["sample"], *calls))


def draw(folder, introns, names, counted):
    """The sashimi plots of introns of these names."""
    import pandas as pd

    # takes matplotlib, and so 15 MB of memory
    from intronaut.plots.sashimi import draw_introns

    chroms = {name.rsplit(":", 2)[0] for name in names}
    exons = pd.concat([introns.exons[chrom].assign(chrom=chrom) for chrom in sorted(chroms)])
    draw_introns(folder / "sashimi", exons, names, counted)


def check_options(parser, args):
    """Refuse options that do not fit together, and inputs that are not there, before any work."""
    if bool(args.reads) == bool(args.samples):
        parser.error("give the files with reads, or the sheet of samples (--samples): one of the two")
    if not args.samples:
        refuse_without_effect(parser, args, ["coverage_scale", "counts_base", "counts_columns"], "without --samples")
    if args.reads.count("-") > 1 or "-" in args.reads and args.annotation == "-":
        raise UsageError("standard input can be one file only")
    for path in (args.annotation, *args.reads, args.samples, args.fasta, args.chrom_aliases, *args.exclude):
        if path is not None:
            require_file(path)


def read_introns(args):
    """The Introns that will be measured, and the ledger of those that will not."""
    import pandas as pd

    from intronaut.core.memory import in_child
    from intronaut.io.peaks import read_peaks
    from intronaut.labels.annotated_introns import annotated_introns

    # the memory that the annotation takes on its way to the introns goes back to the system
    introns, ledger = in_child(annotated_introns, args.annotation, args.min_length)
    if args.exclude:
        introns.excluded = pd.concat([read_peaks(path)[["chrom", "start", "end"]] for path in args.exclude])
    return introns, ledger


def opened_samples(args, introns, aliases, genome, stack):
    """The samples in order: ReadSample with files opened and chromosomes named, or SheetRow; faults before any work."""
    from intronaut.genome.alignment_checks import alignment_chroms, check_cram_reference
    from intronaut.io.alignments import Alignments
    from intronaut.io.sample_sheet import NAME, SheetRow, read_sheet
    from intronaut.labels.read_counts import ReadSample

    rows = read_sheet(args.samples) if args.samples else [SheetRow("", {"reads": path}) for path in args.reads]
    if args.counts_base is None and any("counts" in row.files for row in rows):
        raise UsageError(
            f"{args.samples}: has a table of counts; give its first base of a chromosome, --counts-base 0 or 1"
        )
    samples = {}
    for row in rows:
        if "reads" not in row.files:
            samples[row.sample] = row
            continue
        file = stack.enter_context(Alignments(row.files["reads"], args.fasta))
        name = row.sample or file.sample()
        if not NAME.match(name):
            raise BadData(
                f"{file.source}: its sample is {name!r}; name it by a sheet (--samples): letters, digits, . _ -"
            )
        if not args.samples and name in samples:
            other = samples[name].files[0][0].source
            raise BadData(f"{file.source} and {other} are both of sample {name}; name them by a sheet (--samples)")
        if file.is_cram:
            check_cram_reference(file, genome)
        names = alignment_chroms(file, introns.table, aliases, args.annotation, genome)
        sample = samples.setdefault(name, ReadSample(name, [], row.strand, row.kind, row.condition))
        sample.files.append((file, {reference: chrom for chrom, reference in names.items() if reference is not None}))
    return samples


def measured(args, introns, samples, aliases):
    """Count every sample; yields (counts, table, junctions, chromosome lengths, rows of a table of counts left out)."""
    from intronaut.labels import sample_tables
    from intronaut.labels.read_counts import CountOptions, ReadSample, count_samples

    options = CountOptions(args.strand, args.reads_kind, args.overhang, args.wobble, args.min_mapq)
    options.keep_multimapped, options.drop_duplicates = args.multimapped == "keep", args.duplicates == "drop"
    aligned = [sample for sample in samples.values() if isinstance(sample, ReadSample)]
    counted = count_samples(aligned, introns, options, args.threads)
    for name, sample in samples.items():
        if isinstance(sample, ReadSample):
            sample, counts = next(counted)
            sizes = {
                chrom: file.lengths[reference] for file, names in sample.files for reference, chrom in names.items()
            }
            table = sample_tables.measured_table(introns, counts, sizes, name)
            about = sample_tables.sample_counts(sample, counts, table)
            about["warnings"] = sample_tables.warnings(about, counts, table, (sample.strand or args.strand) != "auto")
            yield about, table, counts, sizes, None
        elif "counts" in sample.files:
            yield from_count_table(args, introns, sample, aliases)
        else:
            yield from_coverage(args, introns, sample, aliases)


def from_coverage(args, introns, row, aliases):
    """As :func:`measured` yields, of a sample of junctions and coverage."""
    from intronaut.labels import sample_tables
    from intronaut.labels.other_counts import COVERAGE, coverage_counts

    names_of = chrom_names(introns, aliases, args.annotation)
    counts, unit = coverage_counts(row.files, introns, args.overhang, args.coverage_scale, names_of)
    table = sample_tables.measured_table(introns, counts, set(introns.table["chrom"]), row.sample)
    about = sample_tables.other_counts(
        row.sample, row.condition, COVERAGE, table, unit=unit, stranded=counts.library != "unstranded"
    )
    if row.strand in ("forward", "reverse") and counts.library == "unstranded":
        about["warnings"].append(
            "coverage of both strands together: taken as unstranded; give coverage_plus and _minus"
        )
    return about, table, counts, None, None


def from_count_table(args, introns, row, aliases):
    """As :func:`measured` yields, of a sample of a table of counts."""
    from intronaut.labels import sample_tables
    from intronaut.labels.other_counts import read_count_table

    columns = dict(pair.split("=", 1) for pair in args.counts_columns.split(",") if pair)
    rows = read_count_table(row.files["counts"], row.sample, args.counts_base, columns)
    names = chrom_names(introns, aliases, args.annotation)(list(rows["chrom"].unique()), row.files["counts"])
    rows["chrom"] = rows["chrom"].map({chrom: known or chrom for chrom, known in names.items()})
    table, lost = sample_tables.counted_table(introns, rows, row.sample)
    about = sample_tables.other_counts(row.sample, row.condition, "counts", table)
    return about, table, None, None, lost.assign(source=row.files["counts"])


def chrom_names(introns, aliases, annotation):
    """A function from a file's chromosome names, and the file, to a dict to the annotation's names, None for others."""
    from intronaut.genome.chromosomes import resolve_chrom, resolve_chroms

    lengths = dict.fromkeys(introns.table["chrom"].unique())

    def names_of(chroms, source):
        names = {chrom: resolve_chrom(chrom, lengths, aliases) for chrom in chroms}
        if names and not any(names.values()):
            resolve_chroms(names, lengths, aliases, source=source, genome=annotation)
        return names

    return names_of


def named_introns(args, introns):
    """The names of the introns of --sashimi. Raises BadData for those that are not annotated."""
    table = introns.table
    spans = table["start"].astype(str) + "-" + table["end"].astype(str)
    known = set(table["chrom"] + ":" + spans + ":" + table["strand"])
    unknown = [name for name in args.sashimi if name not in known]
    if unknown:
        raise BadData(f"{args.annotation}: no intron {', '.join(unknown[:8])} (--sashimi), as its tables name them")
    return args.sashimi


def write_sample(args, folder, about, table, sizes):
    """The files of one sample."""
    from intronaut.io.bedgraph import write_bigwig
    from intronaut.io.tables import write_table
    from intronaut.labels.sample_tables import retention_track

    write_table(folder / f"{about['sample']}.introns.tsv.gz", table)
    write_json(folder / f"{about['sample']}.counts.json", about)
    if args.tracks:
        rows = list(retention_track(table))
        if rows:
            sizes = sizes or table.groupby("chrom", sort=False)["end"].max().to_dict()
            write_bigwig(folder / f"{about['sample']}.psi.bw", rows, sizes)


def write_summaries(folder, introns, ledger, abouts):
    """The ledger, the counts of all samples and the tables for MultiQC."""
    from intronaut.io.tables import write_table
    from intronaut.labels.annotation import MEANING, ledger_table
    from intronaut.labels.sample_tables import multiqc_tables

    write_table(folder / "ledger.tsv", ledger_table(ledger, "intron"), for_people=True)
    reasons = {reason for about in abouts for reason in about["reasons"]} | set(ledger["reason"])
    counts = {
        "tool": TOOL, "n_introns": len(introns.table) + int((ledger["source"] == "annotation").sum()),
        "n_rows": len(introns.table),
        "n_ledger": len(ledger), "ledger": ledger["reason"].value_counts().to_dict(),
        "samples": {about["sample"]: about for about in abouts},
        "disagreeing_libraries": len({about["library"] for about in abouts}) > 1,
        "meaning": {reason: MEANING[reason] for reason in sorted(reasons)},
    }  # fmt: skip
    write_json(folder / "counts.json", counts)
    for name, text in multiqc_tables(abouts).items():
        with whole_file(folder / f"{name}_mqc.tsv") as out:
            out.write(text)


def write_json(path, content):
    with whole_file(path) as out:
        json.dump(content, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    run(main, TOOL)
