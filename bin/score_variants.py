#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "pysam>=0.23", "biopython>=1.85", "h5py>=3.12",
#   "lightgbm>=4.5", "pyjaspar>=4.0", "safetensors>=0.4.5", "threadpoolctl>=3.5", "tokenizers>=0.20", "torch>=2.6"]
# ///
"""Say how variants change a model's prediction that introns are retained.

Reads a VCF (plain, gzip, bgzf, or -), a genome, introns (labels.tsv or BED) and a model folder of fit or finetune. For
every alternative allele and every intron whose window holds it, the window is read with the reference and with the
alternative allele, features are computed from both as those the model was fitted on, and the logits are compared.
Covariates (length, GC …) have no part in this. Give the labels.tsv and the window options that fetch_sequences was
given for the model: then the windows are checked against those that it learnt from, base by base. Window options that
differ from what the model's features record of theirs are refused.

A window keeps its length and its anchor: insertions and deletions move its end on their own side of the anchor. An
allele that spans the anchor moves as docs/variants.md says. REF must be what the genome holds.

Left out and counted by reason: alleles that are missing, symbolic, * or breakends, and those in no intron's window.

The null: as many random changes as --null says, of the same bases between the same neighbours on either strand, in the
windows that hold variants; for changes of one base. null_p = (1 + number at least as strong) / (1 + null_n), two-sided;
it is never below 1 / (1 + null_n).

With --splice the same alleles are also read by CI-SpliceAI, for the splice sites that they make and break.

Writes:
  --output   one line an allele and intron: chrom start pos id ref alt kind name from_anchor logit_ref delta_logit p_ref
             p_alt delta_p null_p null_n; start is 0-based, pos that of the VCF, from_anchor the bases 3' of the anchor;
             logits are the model's own, probabilities are calibrated as in predict; with --splice also
             donor_loss acceptor_loss of the intron's own sites, and the best donor_gain acceptor_gain around it
  --groups   linear models: the contributions of feature groups, which add up to delta_logit
  --vcf      the VCF with INTRONAUT_… in INFO (bgzf if named .gz), every other column and the order as they were
  --genes    with --splice, one row per allele and gene: gains and losses of acceptor and donor, each with its position
             relative to pos
  --summary  counts, as JSON; alleles = scored + the sum of left_out
"""

from intronaut import __version__
from intronaut.cli import (
    add_chrom_aliases,
    add_run_options,
    add_window_options,
    fraction,
    new_parser,
    positive_int,
    refuse_without_effect,
    run,
    whole_number,
)
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import published_together, whole_file
from intronaut.core.log import Log

PROG = "score_variants"
SCORE_COLUMNS = (
    "chrom", "start", "pos", "id", "ref", "alt", "kind", "name", "from_anchor", "logit_ref", "delta_logit", "p_ref",
    "p_alt", "delta_p", "null_p", "null_n",
)  # fmt: skip
ALLELE_COLUMNS = SCORE_COLUMNS[:6]
GROUP_COLUMNS = (*ALLELE_COLUMNS, "name", "group", "contribution")
FILES = ("weights", "targets", "projection", "class_names", "tokenizer", "config", "motifs")
OF_SPLICE = ("annotation", "distance", "mask", "outside", "as_original", "genes")
OTHER_GROUPS, MISSING = "(other groups)", "NA"
INFO = (
    ("INTRONAUT_N", "Integer", "introns whose window holds the allele"),
    ("INTRONAUT_INTRON", "String", "the intron whose logit of retention the allele changes most"),
    ("INTRONAUT_DLOGIT", "Float", "change of the logit of retention of that intron"),
    ("INTRONAUT_DP", "Float", "change of its probability of retention"),
    ("INTRONAUT_NULLP", "Float", "share of matched random changes at least as strong, two-sided"),
)
# lines of the VCF that are held at once; bytes of values of reference windows that are kept for reuse
RECORDS, KEPT_BYTES = 4096, 256 << 20


def make_parser():
    parser = new_parser(__doc__, PROG)
    data = parser.add_argument_group("input")
    data.add_argument("variants", metavar="VCF", help="variants, plain or gzip, or -")
    data.add_argument("--fasta", required=True, metavar="FILE", help="the genome: FASTA (plain, bgzf, gzip) or 2bit")
    data.add_argument("--introns", required=True, metavar="FILE", help="labels.tsv or BED")
    data.add_argument("--model", required=True, metavar="FOLDER", help="model folder of fit or finetune")
    add_chrom_aliases(data)
    data.add_argument(
        "--ref-mismatch", choices=("refuse", "skip"), default="refuse", help="what to do when REF is not in the genome"
    )
    add_window_options(
        parser, "windows, cut as fetch_sequences cut those of the model", length=None,
        length_help="bases in a window [the model's; 4096 for Sei in its own context; else 600]",
    )  # fmt: skip
    files = parser.add_argument_group("what the model's features were made with")
    files.add_argument("--weights", metavar="FILE", help="of Sei or DNABERT-2")
    files.add_argument("--targets", metavar="FILE", help="target.names of Sei")
    files.add_argument("--projection", metavar="FILE", help="projvec_targets.npy, for Sei's sequence classes")
    files.add_argument("--class-names", metavar="FILE", help="seqclass.names, for Sei's sequence classes")
    files.add_argument("--tokenizer", metavar="FILE", help="tokenizer.json of DNABERT-2")
    files.add_argument("--config", metavar="FILE", help="config.json of DNABERT-2, where embed_dnabert2 was given it")
    files.add_argument("--motifs", metavar="FILE", help="motifs, where embed_motifs was given a file")
    scores = parser.add_argument_group("scores")
    scores.add_argument(
        "--null", type=whole_number, default=99, metavar="N", help="random changes a context; 0 for none"
    )
    scores.add_argument("--prevalence", type=fraction, metavar="P", help="share of retained introns, as in predict")
    scores.add_argument("--group-by", metavar="COLUMN", help="column of the features to sum by [each feature]")
    scores.add_argument("--top-groups", type=positive_int, default=10, metavar="N", help="groups named an allele and "
                        "intron; the others are one line")  # fmt: skip
    splicing = parser.add_argument_group("splice sites")
    splicing.add_argument("--splice", metavar="FILE", help="model.safetensors of fetch_weights cispliceai")
    splicing.add_argument("--annotation", metavar="FILE", help="GTF or GFF3: genes and their known sites")
    splicing.add_argument("--distance", type=positive_int, default=500, metavar="BP", help="how far sites may change")
    splicing.add_argument("--mask", action="store_true", help="only gains of unknown and losses of known sites")
    splicing.add_argument("--outside", action="store_true", help="read the bases outside genes too")
    splicing.add_argument("--as-original", action="store_true", help="count as CI-SpliceAI 1.2.2 does, faults included")
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", required=True, metavar="TSV", help="scores")
    output.add_argument("--groups", metavar="TSV", help="contributions of feature groups")
    output.add_argument("--genes", metavar="TSV", help="gains and losses of splice sites by gene")
    output.add_argument("--vcf", metavar="VCF", help="annotated VCF")
    output.add_argument("--summary", metavar="JSON", help="counts")
    add_run_options(parser, threads=True, device=True, seed=True)
    return parser


def main(argv):
    parser = make_parser()
    args = parser.parse_args(argv)
    if not args.splice:
        refuse_without_effect(parser, args, OF_SPLICE, "without --splice")
    if args.prevalence in (0.0, 1.0):
        raise UsageError("--prevalence: must lie between 0 and 1")
    from intronaut.genome.reference import Genome
    from intronaut.io.text import rereadable
    from intronaut.variants.scoring import Survey

    log = Log(PROG, args)
    with rereadable(args.variants) as path, Genome(args.fasta, args.chrom_aliases) as genome:
        scorer = scorer_of(args, log)
        introns = introns_of(genome, scorer, args, log)
        survey = Survey(path, introns, skip_mismatches=args.ref_mismatch == "skip")
        if survey.other_lengths:
            log.warn(
                f"{args.variants}: {survey.other_lengths}; is it of this assembly? Each REF scored is the genome's"
            )
        null = null_of(survey, introns, scorer, args, log)
        counts = write(path, survey, introns, scorer, null, args, log)
    reasons = "".join(f"; {number:,} {reason}" for reason, number in sorted(counts["left_out"].items()))
    log.note(f"{counts['alleles']:,} alleles of {counts['records']:,} lines: {counts['scored']:,} scored, against "
             f"{counts['introns_with_alleles']:,} introns{reasons}")  # fmt: skip


def scorer_of(args, log):
    """The model, ready to compute on DNA."""
    from types import SimpleNamespace

    from intronaut.variants.scoring import open_scorer

    files = SimpleNamespace(**{name: getattr(args, name) for name in FILES})
    how = {"threads": args.threads, "device": args.device, "kept_bytes": KEPT_BYTES, "log": log}
    scorer = open_scorer(args.model, files, args.group_by, **how)
    if args.groups and scorer.group is None:
        raise UsageError("--groups: only linear models are split by feature group")
    return scorer


def introns_of(genome, scorer, args, log):
    """The introns and their windows; says so when these are not those that the model learnt from."""
    from intronaut.io.window_cut import refuse_different_options
    from intronaut.variants.alleles import Introns

    features = scorer.model.notes["features"]
    recorded = features.get("window", {}).get("length")
    length = args.length or (recorded if isinstance(recorded, int) else scorer.length)
    how = {"anchor": args.anchor, "length": length, "edge": args.edge, "strand": args.strand}
    refuse_different_options(features, how)
    introns = Introns(args.introns, genome, how)
    if problem := scorer.source.problem(introns.reference(0)):
        raise BadData(f"{args.introns}: a window {problem}")
    if introns.sha256 != scorer.learnt_from:
        log.warn(
            f"{args.introns}: not the windows that the model learnt from. Other introns are fine; but then make sure "
            "that --fasta, --anchor, --length, --strand and --edge are as they were for the model"
        )
    return introns


def null_of(survey, introns, scorer, args, log):
    """Context → sorted absolute changes of the logit by random alleles in it."""
    from intronaut.variants.scoring import null_changes

    contexts = sorted(survey.contexts) if args.null else []
    touched, null = sorted(survey.touched), {}
    with log.progress(len(contexts), "contexts of the null") as progress:
        for context in contexts:
            null[context] = null_changes(context, args.null, touched, introns, scorer, args.seed)
            progress.add(1)
    return null


def scored_records(path, survey, scorer, counts):
    """Yield every ``(record, [[(allele, intron number, Change)] of each ALT])`` in order; reasons go to ``counts``."""
    from intronaut.io.vcf import read_records
    from intronaut.variants.scoring import PAIRS

    introns, waiting, pairs = survey.introns, [], []

    def scored():
        parts = (scorer.changes(pairs[first : first + PAIRS]) for first in range(0, len(pairs), PAIRS))
        changes = (change for part in parts for change in part)
        for record, alts in waiting:
            yield record, [[(allele, number, next(changes)) for number in numbers] for allele, numbers in alts]
        waiting.clear()
        pairs.clear()

    for record in read_records(path):
        alts = []
        for allele, numbers, reason in survey.alleles(record):
            windows = {number: introns.alternative(number, allele) for number in numbers}
            kept = [number for number in numbers if windows[number]]
            pairs += [(introns.reference(number), windows[number]) for number in kept]
            alts.append((allele, kept))
            counts["pairs_without_window"] += len(numbers) - len(kept)
            counts["scored" if kept else reason or "the window with it leaves the chromosome"] += 1
        waiting.append((record, alts))
        if len(pairs) >= PAIRS or len(waiting) >= RECORDS:
            yield from scored()
    yield from scored()


def write(path, survey, introns, scorer, null, args, log):
    """Write scores, groups, VCF and summary, all or none; returns the summary."""
    import json
    from collections import Counter
    from contextlib import ExitStack

    from intronaut.variants.splice import GENE_COLUMNS, INTRON_COLUMNS, gene_row

    counts = Counter()
    with published_together(), ExitStack() as outputs, log.progress(survey.records, "lines") as progress:
        scores, groups, genes, vcf, summary = (
            outputs.enter_context(whole_file(name)) if name else None
            for name in (args.output, args.groups, args.genes, args.vcf, args.summary)
        )
        splice = splice_scorer(survey.genome, args, log)
        scores.write("\t".join([*SCORE_COLUMNS, *(INTRON_COLUMNS if splice else ())]) + "\n")
        if genes:
            genes.write("\t".join([*ALLELE_COLUMNS, *GENE_COLUMNS]) + "\n")
        if groups:
            groups.write("\t".join(GROUP_COLUMNS) + "\n")
        if vcf:
            vcf.writelines(f"{line}\n" for line in annotated_header(survey.header))
        for record, alts, effects in with_splice(scored_records(path, survey, scorer, counts), splice, survey):
            rows = [[score_row(record, alt, *one, introns, scorer, null, args)
                     | (intron_columns(introns.rows[one[1]], of_alt, survey, args) if splice else {}) for one in scored]
                    for alt, scored, of_alt in zip(record.alts, alts, effects, strict=True)]  # fmt: skip
            if genes:
                effects_of = [
                    (alt, effect) for alt, of_alt in zip(record.alts, effects, strict=True) for effect in of_alt
                ]
                genes.writelines(line([*where(record, alt), *gene_row(effect)]) for alt, effect in effects_of)
            scores.writelines(line(row.values()) for of_alt in rows for row in of_alt)
            counts["pairs"] += sum(map(len, rows))
            if groups:
                groups.writelines(
                    line([*where(record, alt), introns.rows[number].name, *part])
                    for alt, scored in zip(record.alts, alts, strict=True)
                    for _, number, change in scored
                    for part in group_parts(change, scorer.group, args.top_groups)
                )
            if vcf:
                vcf.write("\t".join(annotated(record, rows)) + "\n")
            progress.add(1)
        summary_written = summary_of(counts, survey, introns, scorer, null, args)
        if summary:
            json.dump(summary_written, summary, indent=1, ensure_ascii=False)
            summary.write("\n")
    return summary_written


def splice_scorer(genome, args, log):
    """The SpliceScorer of --splice, or None."""
    if not args.splice:
        return None
    from intronaut.networks.device import pick_device
    from intronaut.variants.splice import open_splice_scorer

    options = {name: getattr(args, name) for name in ("distance", "mask", "outside", "as_original")}
    return open_splice_scorer(genome, args.splice, args.annotation, device=pick_device(args.device), log=log, **options)


def with_splice(records, splice, survey):
    """Add to every ``(record, changes)`` the Effects of each ALT; none without --splice."""
    from intronaut.variants.splice import with_effects

    if splice:
        return with_effects(records, splice, survey)
    return ((record, alts, [[] for _ in record.alts]) for record, alts in records)


def intron_columns(row, effects, survey, args):
    """What an allele does to the splice sites of one intron, by column."""
    from intronaut.variants.splice import INTRON_COLUMNS, of_intron

    row = row._replace(chrom=survey.genome.resolve(row.chrom))
    return dict(zip(INTRON_COLUMNS, of_intron(effects, row, args.distance), strict=True))


def where(record, alt):
    """The columns that say which allele a line is about."""
    return [record.fields[0], record.start, record.fields[1], record.fields[2], record.fields[3], alt]


def score_row(record, alt, allele, number, change, introns, scorer, null, args):
    """One line of the scores, by column."""
    from intronaut.variants.alleles import context_of, from_anchor
    from intronaut.variants.scoring import null_p

    row = introns.rows[number]
    p_ref, p_alt = (scorer.probability(logit, args.prevalence) for logit in (change.logit, change.logit + change.delta))
    drawn = null.get(context_of(introns.genome, allele), ())
    values = [*where(record, alt), allele.kind, row.name, from_anchor(row, args.anchor, allele), change.logit,
              change.delta, p_ref, p_alt, p_alt - p_ref, null_p(change.delta, drawn) if len(drawn) else None,
              len(drawn)]  # fmt: skip
    return dict(zip(SCORE_COLUMNS, values, strict=True))


def group_parts(change, group, top):
    """``(group, contribution)`` of the ``top`` strongest, then the sum of the others; zeros are not listed."""
    import numpy as np

    order = np.argsort(-np.abs(change.parts), kind="stable")
    order = order[change.parts[order] != 0]
    named = [(group.categories[place], change.parts[place]) for place in order[:top]]
    return [*named, (OTHER_GROUPS, change.parts[order[top:]].sum())] if len(order) > top else named


def annotated_header(header):
    """The header with our INFO fields before the column names."""
    ours = [f'##INFO=<ID={name},Number=A,Type={kind},Description="{what}">' for name, kind, what in INFO]
    return [*header[:-1], *ours, header[-1]]


def annotated(record, rows):
    """The columns of a VCF line, with the strongest change by each ALT in INFO; unchanged where none is scored."""
    from intronaut.io.vcf import encoded

    if not any(rows):
        return record.fields
    values = []
    for of_alt in rows:
        if of_alt:
            top = max(of_alt, key=lambda row: abs(row["delta_logit"]))
            texts = [text(top[name]) for name in ("delta_logit", "delta_p", "null_p")]
            values.append([str(len(of_alt)), encoded(top["name"]), *("." if one == MISSING else one for one in texts)])
        else:
            values.append(["0", ".", ".", ".", "."])
    ours = [f"{name}={','.join(column)}" for (name, *_), column in zip(INFO, zip(*values, strict=True), strict=True)]
    fields = list(record.fields)
    theirs = fields[7].strip(";")
    fields[7] = ";".join([*([] if theirs in (".", "") else [theirs]), *ours])
    return fields


def line(values):
    """One line of a table."""
    return "\t".join(map(text, values)) + "\n"


def text(value):
    """A cell: six significant digits, NA for nothing."""
    return MISSING if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def summary_of(counts, survey, introns, scorer, null, args):
    """What was read, scored and left out."""
    counted = {"scored", "pairs", "pairs_without_window"}
    left_out = {reason: counts[reason] for reason in sorted(counts.keys() - counted)}
    return {
        "tool": PROG,
        "version": __version__,
        "records": survey.records,
        "alleles": counts["scored"] + sum(left_out.values()),
        "scored": counts["scored"],
        "left_out": left_out,
        "pairs": counts["pairs"],
        "pairs_without_window": counts["pairs_without_window"],
        "introns": len(introns.rows),
        "introns_without_window": introns.without_window,
        "introns_with_alleles": len(survey.touched),
        "windows": introns.how,
        "windows_of_the_model": introns.sha256 == scorer.learnt_from,
        "windows_computed": scorer.computed,
        "null": {"contexts": len(null), "drawn": args.null, "lowest_p": 1 / (1 + args.null), "seed": args.seed},
    }


if __name__ == "__main__":
    run(main, PROG)
