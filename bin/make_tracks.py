#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.84", "numpy>=2.0", "pandas>=2.2", "pybigtools>=0.2", "pysam>=0.23", "rich>=13"]
# ///
"""Write what a study found as tracks of a genome browser, and an IGV session that opens them.

Probabilities are held-out: each intron's is by a model that had not seen it. A bigWig holds one number a base, the
highest of the introns that lie there. Chromosomes are named as the genome names them.

Output, a folder:
  introns.bed, .bb     every intron, orange retained, blue spliced, grey unknown (BED9 and bigBed)
  MODEL.bed, .bb, .bw  held-out probability of retention by the model with the covariates, or by features alone where it
                       has none; score is 1000 times the probability, darker is higher
  levels.bw            measured retention levels (column psi of the labels), where there are any
  NAME.attributions.bw what each base adds to the logit of a network, of each folder of --attributions
  igv_session.xml      opens the tracks in IGV; its paths are relative to itself
"""

from pathlib import Path

from intronaut.cli import add_chrom_aliases, add_output_folder, add_run_options, new_parser, run
from intronaut.core.errors import BadData
from intronaut.core.files import require_file, whole_folder
from intronaut.core.log import Log

TOOL = "make_tracks"
COLOURS = {1.0: "189,75,0", 0.0: "0,114,178"}
UNKNOWN = "132,142,156"
PALEST, DARKEST = (230, 236, 242), (23, 32, 43)
WRITTEN = ("*.bed", "*.bb", "*.bw", "igv_session.xml")
# IGV's names of genomes
GENOMES = {"grch38": "hg38", "grch37": "hg19", "grcm39": "mm39", "grcm38": "mm10", "bdgp6": "dm6", "wbcel235": "ce11",
           "r64-1-1": "sacCer3", "grcz11": "danRer11"}  # fmt: skip


def make_parser():
    parser = new_parser(__doc__, TOOL)
    data = parser.add_argument_group("input")
    data.add_argument("--labels", required=True, metavar="TSV", help="labels.tsv")
    data.add_argument("--fasta", required=True, metavar="FILE", help="the genome, for lengths and names of chromosomes")
    add_chrom_aliases(data)
    data.add_argument("--fit", default=[], nargs="+", metavar="FOLDER", help="folders of fit or finetune")
    data.add_argument("--attributions", default=[], nargs="+", metavar="FOLDER", help="folders of attribute")
    data.add_argument("--assembly", metavar="NAME", help="the genome that IGV shall open, such as GRCh38")
    add_output_folder(parser)
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    for folder in args.fit:
        require_file(Path(folder) / "predictions.tsv")
    for folder in args.attributions:
        require_file(Path(folder) / "attributions.bedgraph")
    log = Log(TOOL, args)
    from intronaut.genome.reference import Genome
    from intronaut.io.tables import read_labels
    from intronaut.io.tracks import write_session

    labels = read_labels(args.labels)
    with Genome(args.fasta, args.chrom_aliases) as genome:
        names = genome.resolve_all(list(labels["chrom"].unique()), args.labels)
        sizes, place = dict(genome.lengths), labels.assign(chrom=labels["chrom"].map(names))
        refuse_outside(place, sizes, args.labels, args.fasta)
        with whole_folder(args.output, WRITTEN) as folder:
            tracks = [
                *write_introns(folder, place, sizes),
                *write_levels(folder, place, sizes),
                *(track for fit in args.fit for track in write_predictions(folder, fit, place, sizes)),
                *(track for one in args.attributions for track in write_attributions(folder, one, genome, sizes)),
            ]
            write_session(folder / "igv_session.xml", tracks, genome_name(args.assembly), first_locus(place))
    log.note(f"{args.output}: {len(tracks)} tracks of {len(place):,} introns")


def refuse_outside(place, sizes, labels, fasta):
    """Raise BadData for rows that reach past the end of their chromosome."""
    ends = place["chrom"].map(sizes)
    outside = place[place["end"] > ends]
    if len(outside):
        row = outside.iloc[0]
        raise BadData(
            f"{labels}: {len(outside):,} introns reach past the end of their chromosome in {fasta}, the first "
            f"{row['name']} ({row['chrom']} has {sizes[row['chrom']]:,} bases); give the genome of these labels"
        )


def write_introns(folder, place, sizes):
    """All introns by label: yields the track for the session."""
    from intronaut.io.tracks import write_bed, write_bigbed

    gene = place["gene_name"].fillna(place["gene_id"]).fillna("")
    word = place["label"].map({1.0: "retained", 0.0: "spliced"}).fillna("unknown")
    table = place.assign(
        name=[f"{one}_{label}".strip("_") for one, label in zip(gene, word, strict=True)],
        score=place["label"].map({1.0: 1000, 0.0: 0}).fillna(0).astype(int),
        colour=place["label"].map(COLOURS).fillna(UNKNOWN),
    )
    write_bed(folder / "introns.bed", table, "Introns: retained, spliced, unknown")
    write_bigbed(folder / "introns.bb", table, sizes)
    yield "introns.bed", "Introns: retained, spliced, unknown", COLOURS[0.0]


def write_levels(folder, place, sizes):
    """Measured retention levels, where the labels have any."""
    import pandas as pd

    from intronaut.io.tracks import write_highest

    if "psi" not in place:
        return
    table = place.assign(psi=pd.to_numeric(place["psi"], errors="coerce"))
    if table["psi"].notna().any():
        write_highest(folder / "levels.bw", table, "psi", sizes)
        yield "levels.bw", "Measured retention level", COLOURS[1.0]


def write_predictions(folder, fit, place, sizes):
    """Held-out probabilities of one model: yields its tracks."""
    from intronaut.io.tables import PREDICTION_COLUMNS, read_table
    from intronaut.io.tracks import write_bed, write_bigbed, write_highest

    combined = Path(fit) / "combined" / "predictions.tsv"
    path = combined if combined.exists() else Path(fit) / "predictions.tsv"
    probability = read_table(path, PREDICTION_COLUMNS).set_index("name")["p_retained"].astype(float)
    table = place.assign(p=place["name"].map(probability))
    table = table[table["p"].notna()]
    if not len(table):
        raise BadData(f"{path}: predicts none of the introns of the labels; give the labels that it was fitted on")
    table = table.assign(score=(1000 * table["p"]).round().astype(int), colour=table["p"].map(shade))
    name = Path(fit).name
    title = f"Held-out probability of retention, {name}{' with covariates' if path == combined else ''}"
    write_bed(folder / f"{name}.bed", table, title)
    write_bigbed(folder / f"{name}.bb", table, sizes)
    write_highest(folder / f"{name}.bw", table, "p", sizes)
    yield f"{name}.bw", title, ",".join(map(str, DARKEST))


def write_attributions(folder, source, genome, sizes):
    """The attributions of one network as bigWig: yields its track."""
    from intronaut.io.bedgraph import write_bigwig

    rows = rows_of(Path(source) / "attributions.bedgraph", genome)
    if rows:
        name = f"{Path(source).name}.attributions.bw"
        write_bigwig(folder / name, rows, {chrom: sizes[chrom] for chrom in sorted(sizes)})
        yield name, f"Attributions, {Path(source).name}", ",".join(map(str, DARKEST))


def rows_of(path, genome):
    """Sorted ``(chrom, start, end, value)`` of a bedGraph, chromosomes named as in the genome."""
    from intronaut.io.bedgraph import bedgraph_blocks

    blocks = ((column.tolist() for column in columns) for *columns, _ in bedgraph_blocks(path))
    rows = [row for columns in blocks for row in zip(*columns, strict=True)]
    named = genome.resolve_all({chrom for chrom, *_ in rows}, path)
    return sorted((named[chrom], *place) for chrom, *place in rows)


def shade(p):
    """The colour of a probability, ``r,g,b``, from pale to dark."""
    return ",".join(str(round(low + (high - low) * p)) for low, high in zip(PALEST, DARKEST, strict=True))


def genome_name(assembly):
    """IGV's name of an assembly; None for none."""
    return GENOMES.get(assembly.lower().split(".p")[0], assembly) if assembly else None


def first_locus(place):
    """Where the session looks first: the first retained intron with as much around it on either side."""
    retained = place[place["label"] == 1]
    row = (retained if len(retained) else place).iloc[0]
    around = max(int(row["end"] - row["start"]), 500)
    return f"{row['chrom']}:{max(int(row['start']) - around, 0) + 1}-{int(row['end']) + around}"


if __name__ == "__main__":
    run(main, TOOL)
