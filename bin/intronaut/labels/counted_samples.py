"""Samples that quantify_introns has counted, opened again to draw single introns with their reads."""

from contextlib import ExitStack
from pathlib import Path

from intronaut.core.json_files import read_record
from intronaut.genome.alignment_checks import alignment_chroms
from intronaut.io.alignments import Alignments
from intronaut.io.fragments import ReadRules
from intronaut.io.sample_sheet import read_sheet
from intronaut.labels.measured_tables import read_measured
from intronaut.labels.read_counts import ReadSample
from intronaut.labels.sashimi_data import CountedSample


def open_counted(
    sheet: Path | str, folder: Path | str, annotation: Path | str, stack: ExitStack, fasta: Path | str | None = None
) -> list[CountedSample]:
    """The CountedSample of each sample of a sheet that has alignments, in its order.

    Args:
        sheet: the sheet of samples; ``folder``: what quantify_introns made of it.
        annotation: path of the annotation, for messages; ``fasta``: genome of CRAM files.
        stack: ExitStack that closes the alignments.
    """
    rows_of = {}
    for row in read_sheet(sheet):
        if "reads" in row.files:
            rows_of.setdefault(row.sample, []).append(row)
    counted = []
    for name, rows in rows_of.items():
        about = read_record(Path(folder) / f"{name}.counts.json")
        table = read_measured(Path(folder) / f"{name}.introns.tsv.gz")
        sample = ReadSample(name, [], condition=about["condition"])
        for row in rows:
            file = stack.enter_context(Alignments(row.files["reads"], fasta))
            names = alignment_chroms(file, table, None, annotation)
            sample.files.append(
                (file, {file_chrom: chrom for chrom, file_chrom in names.items() if file_chrom is not None})
            )
        rules = ReadRules(about["overhang"], about["min_mapq"], about["keep_multimapped"], about["drop_duplicates"])
        counted.append(CountedSample(sample, rules, about["library"], table))
    return counted
