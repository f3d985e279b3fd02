#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["torch>=2.6", "numpy>=2.0", "pandas>=2.2", "pysam>=0.23", "biopython>=1.85", "h5py>=3.12",
#   "safetensors>=0.4.5", "scipy>=1.13", "rich>=13"]
# ///
"""Embed introns as donor and acceptor probabilities of a pretrained splicing network (CI-SpliceAI).

Reads introns (labels.tsv or BED), the genome and the weights of fetch_weights cispliceai. A base's probability depends
on 5,000 bases on each side, so genes are read from the genome, not from windows. With --annotation bases outside the
intron's gene are taken as unknown, as the network's authors do; --outside keeps them.

For donor and acceptor each: the logit at the splice site, its spread over the networks, the logit of the best other
site inside the intron and of the best within 50 bases of the site, and how many inside have a probability of 0.1 or
more; with --layer last also the 32 values of every network before its last layer.

The networks were trained on all human chromosomes: at annotated human sites their values are fitted, not held out.

Writes: the features file of --output (.h5ad).
"""

from intronaut import __version__
from intronaut.cli import (
    add_chrom_aliases,
    add_features_output,
    add_run_options,
    new_parser,
    positive_int,
    refuse_without_effect,
    run,
)
from intronaut.core.errors import BadData
from intronaut.core.log import Log

PROG = "embed_splice"
MOST_NETS = 5


def make_parser():
    parser = new_parser(__doc__, PROG)
    data = parser.add_argument_group("input")
    data.add_argument("introns", metavar="INTRONS", help="labels.tsv or BED with strands")
    data.add_argument("--fasta", required=True, metavar="FILE", help="the genome: FASTA (plain, bgzf, gzip) or 2bit")
    data.add_argument("--weights", required=True, metavar="FILE", help="model.safetensors of fetch_weights cispliceai")
    data.add_argument("--annotation", metavar="FILE", help="GTF or GFF3, for where genes begin and end")
    add_chrom_aliases(data)
    features = parser.add_argument_group("features")
    features.add_argument("--outside", action="store_true", help="read the bases outside the gene too")
    features.add_argument("--reach", type=positive_int, default=5000, metavar="BP", help="how far from its ends to "
                          "look for other sites inside an intron")  # fmt: skip
    features.add_argument("--nets", type=net_number, default=MOST_NETS, metavar="N", help="networks to use, 1 to 5")
    features.add_argument("--layer", choices=("none", "last"), default="none", help="add the values before this layer")
    speed = parser.add_argument_group("precision and speed")
    speed.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="to compute in; bfloat16 "
                       "moves probabilities by up to 0.03")  # fmt: skip
    speed.add_argument("--cache", metavar="FOLDER", help="keep the probabilities of genes for later runs")
    add_features_output(parser)
    add_run_options(parser, threads=True, device=True)
    return parser


def net_number(text):
    """argparse type: how many of the networks."""
    number = positive_int(text)
    if number > MOST_NETS:
        raise ValueError(text)
    return number


def main(argv):
    parser = make_parser()
    args = parser.parse_args(argv)
    if not args.annotation:
        refuse_without_effect(parser, args, ["outside"], "without --annotation: all bases are read anyway")
    from intronaut.features import splice
    from intronaut.genome.reference import Genome
    from intronaut.io.h5ad import FeatureWriter
    from intronaut.networks.device import pick_device, prepare_torch
    from intronaut.networks.splice import open_networks

    log = Log(PROG, args)
    prepare_torch(args.threads)
    networks = open_networks(args.weights, nets=args.nets, dtype=args.dtype, device=pick_device(args.device))
    with Genome(args.fasta, args.chrom_aliases) as genome:
        rows = read_introns(args.introns, genome)
        genes = genes_of(rows, genome, args, log)
        layer = args.layer == "last"
        var = splice.feature_table(len(networks.nets), layer)
        provenance = {
            "tool": PROG, "version": __version__, "weights_sha256": networks.sha256, "nets": len(networks.nets),
            "reach": args.reach, "dtype": args.dtype, "layer": args.layer,
            "outside": args.outside or not args.annotation,
            "attribution": "CI-SpliceAI, Strauch et al. 2022, PLoS ONE 17(6): e0269159, CC BY 4.0",
        }  # fmt: skip
        tracks = splice.Tracks(networks, genome, log, args.cache)
        obs = obs_of(rows, genome)
        with (
            FeatureWriter(args.output, obs, var, "float32", provenance, resume=True) as writer,
            log.progress(len(rows), "introns") as progress,
        ):
            done = writer.done[:]
            for numbers in groups_of(rows, genes):
                pending = [number for number in numbers if not done[number]]
                if pending:
                    of_group = [(rows[number], genes[number]) for number in pending]
                    writer.write(pending, embed(of_group, tracks, args.reach, layer))
                progress.add(len(numbers))
            writer.finish()
    log.note(f"{args.output}: {len(rows):,} introns, {len(var):,} features")


def read_introns(path, genome):
    """The rows of labels.tsv or BED with the genome's chromosome names. Raises BadData for rows without strand."""
    from intronaut.core.errors import Problems
    from intronaut.genome.windows import read_rows, refuse_rows_outside

    rows, problems = read_rows(path), Problems(path)
    for row in rows:
        if row.strand == ".":
            problems.add(f"{row.name} has no strand, so neither donor nor acceptor")
    problems.raise_if_any()
    chroms = genome.resolve_all({row.chrom for row in rows}, path)
    refuse_rows_outside(rows, chroms, genome, path)
    return [row._replace(chrom=chroms[row.chrom]) for row in rows]


def genes_of(rows, genome, args, log):
    """The gene of every row, outside of which bases are unknown; None where all bases are read."""
    if not args.annotation or args.outside:
        return [None] * len(rows)
    from intronaut.genome.chromosomes import resolve_chrom
    from intronaut.genome.gene_spans import read_gene_spans

    spans = read_gene_spans(args.annotation, lambda chrom: resolve_chrom(chrom, genome.lengths, genome.aliases))
    genes = [spans.of_intron(row.chrom, row.start, row.end, row.strand) for row in rows]
    if not any(genes):
        raise BadData(f"{args.annotation}: no gene holds any of the introns of {args.introns}; same assembly?")
    if lacking := sum(gene is None for gene in genes):
        log.note(f"{lacking:,} introns lie in no gene of {args.annotation}: read with the bases around them")
    return genes


def obs_of(rows, genome):
    """The ``obs`` table of the introns."""
    from intronaut.io.fasta import Window
    from intronaut.io.h5ad import window_obs

    windows = (
        Window(row.name, genome.fetch(row.chrom, row.start, row.end), row.chrom, row.start, row.end, row.strand, {})
        for row in rows
    )
    return window_obs(windows)


def groups_of(rows, genes):
    """Lists of numbers of rows whose probabilities are computed together: one gene, or neighbours on a strand."""
    groups = {}
    for number, (row, gene) in enumerate(zip(rows, genes, strict=True)):
        # without genes, stretches of the chromosome, so that a killed run loses little
        groups.setdefault(gene or (row.chrom, row.strand, row.start // 500_000), []).append(number)
    return list(groups.values())


def embed(introns, tracks, reach, layer):
    """The features ``(n, d)`` of ``(row, gene)`` pairs of one gene or stretch."""
    import numpy as np

    from intronaut.features import splice
    from intronaut.genome.gene_spans import exon_bases

    first, gene = introns[0]
    minus = first.strand == "-"
    wanted = splice.joined([stretch for row, _ in introns for stretch in splice.stretches_of(row, reach)])
    computed = [tracks.track(first.chrom, *stretch, minus, gene) for stretch in wanted]
    values = [splice.intron_features(row, computed, reach) for row, _ in introns]
    if layer:
        sites = [[int(site) for site in exon_bases(row.start, row.end, minus)] for row, _ in introns]
        hidden = tracks.hidden(first.chrom, sorted({site for pair in sites for site in pair}), minus, gene)
        for pair, line in zip(sites, values, strict=True):
            line.extend(np.concatenate([hidden[site] for site in pair]))
    return np.array(values, np.float32)


if __name__ == "__main__":
    run(main, PROG)
