#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.85", "h5py>=3.12", "logomaker>=0.8.7", "matplotlib>=3.9", "memelite>=0.5",
#   "numpy>=2.0", "pandas>=2.2", "pyjaspar>=4.0", "rich>=13", "scipy>=1.13", "threadpoolctl>=3.5"]
# ///
"""Find the sites of motifs, and which motifs are more common in retained than in spliced introns.

Every site on either strand (motifs of RNA: on that of the transcript) with a FIMO p-value up to --p-value is found.
With --attributions only sites whose middle lies in a seqlet count: a stretch of 21 bases that moves the model's
prediction more than chance would. A motif is then tested by logistic regression with one observation a window, adjusted
for the window's own GC content, the length of the intron and their squares; windows of one leakage group (column group)
do not count as independent.

GC-rich motifs look enriched wherever introns are GC-rich. So beside each adjusted odds ratio stand the unadjusted one
and that of a control, the same windows with their dinucleotides shuffled; the correlation of motif GC with the odds
ratio is always reported, and the rank of each motif once its GC is allowed for.

Writes a folder:
  motifs.tsv      one row per motif: windows with a site; odds ratio, interval, p and q: adjusted, unadjusted, shuffled
  families.tsv    the same for families of similar matrices; a window counts when any of them has a site
  sites.tsv.gz    one row per site: BED6 on the genome (score in bits), window, factor, p, q (of all sites of the motif)
  seqlets.tsv     one row per seqlet (with --attributions)
  positions.tsv   how often the strongest families have sites how far from donor and acceptor
  tomtom.tsv      known motifs that --motifs, or those of --modisco, resemble (with --tomtom, --modisco)
  modisco.h5      what TF-MoDISco made of the attributions (with --modisco)
  summary.json    counts, background, settings, correlations with motif GC
  volcano, gc, positions, logos, each as .svg and .png
or with --preset paper: paper.tsv, summary.json, volcano and gc, as Daoud & Ben-Hur 2025 made them, faults included.
"""

import json
from importlib.util import find_spec
from math import isfinite

from intronaut.cli import (
    __version__,
    add_covariates_option,
    add_output_folder,
    add_run_options,
    add_windows,
    fraction,
    new_parser,
    positive_float,
    positive_int,
    refuse_without_effect,
    run,
)
from intronaut.core.errors import ToolError, UsageError
from intronaut.core.files import require_file, whole_folder
from intronaut.core.log import Log

TOOL = "find_motifs"
DRAWN_FAMILIES, KNOWN = 6, 3
# options of the test that the paper's procedure does not have
NOT_OF_PAPER = (
    "strands",
    "p_value",
    "pseudocount",
    "background",
    "seqlet_fdr",
    "seqlets",
    "measure",
    "adjust",
    "min_windows",
)
NOT_OF_PAPER += ("min_windows", "no_shuffle", "tomtom", "modisco", "covariates", "allow_missing")
# everything that may be written
FILES = ("motifs.tsv", "families.tsv", "sites.tsv.gz", "seqlets.tsv", "positions.tsv", "tomtom.tsv", "modisco.h5")
FILES += ("summary.json", "paper.tsv")
FILES += tuple(f"{name}.{end}" for name in ("volcano", "gc", "positions", "logos") for end in ("svg", "png"))


def make_parser():
    parser = new_parser(__doc__, TOOL)
    inputs = parser.add_argument_group("input")
    add_windows(inputs)
    data = inputs.add_argument
    data("--labels", required=True, metavar="TSV", help="labels.tsv: label, covariates, leakage groups")
    data("--attributions", metavar="H5", help="attributions of the windows, to look in seqlets only")
    motifs = parser.add_argument_group("motifs").add_argument
    motifs("--motifs", metavar="FILE", help="motifs in MEME, JASPAR, HOMER or TRANSFAC format instead of JASPAR CORE")
    motifs("--jaspar-release", default="JASPAR2024", metavar="NAME", help="release of JASPAR CORE")
    motifs("--tax-group", default="vertebrates", metavar="NAME", help="vertebrates, plants, fungi, insects …")
    motifs("--strands", choices=("auto", "both", "one"), default="auto", help="to look at; auto: one for motifs of RNA")
    motifs("--tomtom", action="store_true", help="name the known motifs that --motifs resemble")
    motifs("--modisco", action="store_true", help="make motifs of the attributions with TF-MoDISco, if installed")
    sites = parser.add_argument_group("sites").add_argument
    sites("--p-value", type=positive_float, default=1e-4, metavar="P", help="largest p-value of a site")
    sites("--pseudocount", type=positive_float, default=0.8, metavar="N", help="sites added to each matrix column")
    sites(
        "--background", type=positive_float, nargs=4, metavar=("A", "C", "G", "T"),
        help="base frequencies outside of motifs; default: those of the spliced windows",
    )  # fmt: skip
    sites("--seqlet-fdr", type=fraction, default=0.05, metavar="F", help="share of seqlets that chance may make")
    sites("--seqlets", choices=("both", "retained", "spliced"), default="both", help="that speak for which outcome")
    tests = parser.add_argument_group("test")
    test = tests.add_argument
    test("--measure", choices=("hit", "best"), default="hit", help="of a window: has a site, or its best score")
    test("--adjust", default="gc,length", metavar="COLS", help="gc (of the window) and columns of labels.tsv")
    add_covariates_option(tests)
    test("--min-windows", type=positive_int, default=10, metavar="N", help="windows with and without a site")
    test("--no-shuffle", action="store_true", help="leave the shuffled control out; half the time")
    test("--preset", choices=("paper",), help="do as Daoud & Ben-Hur 2025 did, faults included")
    test("--predictions", metavar="TSV", help="with --preset paper: take confident right predictions only")
    add_output_folder(parser)
    add_run_options(parser, threads=True, seed=True)
    return parser


def main(argv):
    parser = make_parser()
    args = parser.parse_args(argv)
    check_options(parser, args)
    from intronaut.io.text import rereadable

    with rereadable(args.windows) as path:
        find(path, args, Log(TOOL, args))


def check_options(parser, args):
    """Refuse options that do not fit together, and inputs that are not there, before any work."""
    if args.background and abs(sum(args.background) - 1) > 1e-6:
        raise UsageError(f"--background adds up to {sum(args.background):g}, not 1")
    if args.p_value > 0.05:
        raise UsageError(f"--p-value {args.p_value:g}: nearly everything would be a site; use 1e-3 or less")
    for option, needed in (("tomtom", "motifs"), ("modisco", "attributions"), ("predictions", "preset")):
        if getattr(args, option) and not getattr(args, needed):
            raise UsageError(f"--{option} needs --{needed}")
    if args.preset:
        refuse_without_effect(parser, args, NOT_OF_PAPER, "with --preset paper, which has settings of its own")
    for path in (args.labels, args.attributions, args.motifs, args.predictions):
        if path is not None:
            require_file(path)
    if args.modisco and not find_spec("modiscolite"):
        raise ToolError("--modisco needs TF-MoDISco, and Python package modiscolite is not here: pip install modisco")


def find(path, args, log):
    """Read the windows, scan and test them, and write the folder."""
    from intronaut.io.covariates import read_covariates, with_missing_marks
    from intronaut.motifs.motif_files import read_motifs
    from intronaut.motifs.pwm import jaspar_motifs
    from intronaut.motifs.seqlets import WindowAttributions
    from intronaut.motifs.windows import read_study

    def of_the_user(table):
        return with_missing_marks(read_covariates(table, args.covariates, args.allow_missing, log).values)

    study = read_study(path, args.labels, [name for name in args.adjust.split(",") if name], of_the_user)
    n_retained = int(study.label.sum())
    counts = {"n_retained": n_retained, "n_spliced": len(study.label) - n_retained, "left_out": study.left_out,
              "covariates": list(study.of_the_user)}  # fmt: skip
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in study.left_out.items() if n) or "none"
    log.note(f"{n_retained:,} retained and {counts['n_spliced']:,} spliced windows; left out: {reasons}")
    left_out = []
    motifs = read_motifs(args.motifs, left_out) if args.motifs else jaspar_motifs(args.jaspar_release, args.tax_group)
    if left_out:
        log.warn(f"{args.motifs}: {len(left_out)} motifs have no matrix and are left out, first {left_out[0]}")
    attributions = WindowAttributions(args.attributions, study.windows) if args.attributions else None
    with whole_folder(args.output, FILES) as folder:
        work = as_paper if args.preset else tested
        findings = work(folder, study, motifs, attributions, args, log)
        summary = {"tool": TOOL, "version": __version__, "n_motifs": len(motifs), **counts, **findings}
        text = json.dumps(summary, indent=1, ensure_ascii=False)
        (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def as_paper(folder, study, motifs, attributions, args, log):
    """paper.tsv and its figures; returns what summary.json is to tell."""
    from intronaut.io.tables import PREDICTION_COLUMNS, read_table, write_table
    from intronaut.paper.motifs import FAULTS, compare_as_paper
    from intronaut.plots.motifs import gc_scatter, volcano
    from intronaut.plots.svg import save_both
    from intronaut.stats.association import spearman

    confident = {}
    if args.predictions:
        predictions = read_table(args.predictions, PREDICTION_COLUMNS).set_index("name")["p_retained"].astype(float)
        confident["p_retained"] = predictions.reindex(study.rows["name"]).to_numpy()
    if attributions:
        confident["hypothetical"] = attributions.hypothetical()
    with log.progress(len(study.label), "windows") as progress:
        table = compare_as_paper(study.codes, study.label, motifs, progress=progress, **confident)
    write_table(folder / "paper.tsv", table)
    rho = spearman(table["motif_gc"].to_numpy(), table["difference"].to_numpy())
    n = int((table["p_bonferroni"] <= 0.05).sum())
    log.note(f"the paper's procedure calls {n:,} of {len(table):,} motifs significant (Bonferroni)")
    log.note(f"Spearman's correlation of motif GC with its difference of proportions: {rho:.2f}")
    log.warn(f"faults of the procedure: {'; '.join(FAULTS)}. The test without --preset has none of them")
    panel = [("paper's procedure", table, "difference", "p_bonferroni")]
    for name, figure in (("volcano", volcano), ("gc", gc_scatter)):
        save_both(figure(panel, "difference of proportions"), folder / name)
    return {"preset": "paper", "faults": FAULTS, "significant": n, "gc_correlation": round(rho, 6)}


def tested(folder, study, motifs, attributions, args, log):
    """Scan, test and write all but summary.json; returns what that is to tell."""
    from intronaut.io.tables import write_table
    from intronaut.motifs import tables
    from intronaut.motifs.pwm import refuse_forward_windows, strands_of
    from intronaut.motifs.similarity import families
    from intronaut.motifs.sites import SiteScanner, base_frequencies
    from intronaut.plots.motifs import draw_tests

    spliced = [codes for codes, label in zip(study.codes, study.label, strict=True) if label == 0]
    strands = strands_of(motifs, args.strands)
    if any(window.fields.get("strand") == "forward" for window in study.windows):
        refuse_forward_windows(strands, {"window": {"strand": "forward"}})
    background = args.background or base_frequencies(spliced, strands)
    scanner = SiteScanner(motifs, args.pseudocount, background, args.p_value, strands)
    observed = masks = None
    if attributions:
        observed = attributions.observed()
        masks = seqlet_masks(folder, study, observed, args)
    scanned, control = scan(scanner, study, masks, args, log)
    sites, _, looked_at = scanned
    family = families(motifs)
    by_motif, by_family = test_all(study, motifs, family, scanner, scanned, control, args, log)
    attribution = tables.write_sites(folder / "sites.tsv.gz", study, motifs, sites, looked_at, observed)
    if attribution is not None:
        ids = [motif.motif_id for motif in motifs]
        by_motif["attribution"] = by_motif["motif_id"].map(dict(zip(ids, attribution, strict=True)))
    write_table(folder / "motifs.tsv", by_motif)
    write_table(folder / "families.tsv", by_family)
    drawn = by_family["family"][by_family["p"].notna()].head(DRAWN_FAMILIES)
    members = {name: (tables.family_names(motifs, family)[family] == name).nonzero()[0] for name in drawn}
    positions = tables.position_table(study, sites, scanner.widths, members) if members else None
    if members:
        write_table(folder / "positions.tsv", positions)
    draw_tests(folder, study, motifs, by_motif, positions, list(members))
    name_motifs(folder, study, motifs, attributions, args)
    return tell(log, by_motif, by_family, sites, scanner.background, args)


def seqlet_masks(folder, study, observed, args):
    """Write seqlets.tsv and return which bases of each window lie in the seqlets asked for; adjust for their number."""
    import numpy as np

    from intronaut.io.tables import write_table
    from intronaut.motifs.seqlets import find_seqlets, masks_of
    from intronaut.motifs.tables import seqlet_table

    lengths = np.array([len(codes) for codes in study.codes])
    seqlets = find_seqlets(observed, lengths, args.seqlet_fdr, np.random.default_rng(args.seed))
    write_table(folder / "seqlets.tsv", seqlet_table(study, seqlets))
    masks = masks_of(seqlets, *observed.shape, {"both": 0, "retained": 1, "spliced": -1}[args.seqlets])
    study.covariates["scanned"] = masks.sum(axis=1)
    return list(masks)


def scan(scanner, study, masks, args, log):
    """What the scanner finds in the windows, and in the same windows with their dinucleotides shuffled (or None)."""
    import numpy as np

    from intronaut.genome.shuffle import dinucleotide_shuffle

    n = len(study.codes)
    with log.progress(n if args.no_shuffle else 2 * n, "windows") as progress:
        scanned = scanner.scan_all(study.codes, masks, threads=args.threads, progress=progress)
        if args.no_shuffle:
            return scanned, None
        rng = np.random.default_rng(args.seed)
        shuffled = [dinucleotide_shuffle(codes, rng) for codes in study.codes]
        return scanned, scanner.scan_all(shuffled, masks, threads=args.threads, progress=progress)


def test_all(study, motifs, family, scanner, scanned, control, args, log):
    """motifs.tsv and families.tsv."""
    import numpy as np

    from intronaut.motifs import tables
    from intronaut.stats.association import AdjustedTest, design_matrix

    design, left_out = design_matrix(study.covariates)
    for name in left_out:
        log.warn(f"not adjusted for {name}: it is constant or follows from the others")
    groups = study.rows.get("group")
    tests = AdjustedTest(study.label, design, groups), AdjustedTest(study.label, np.ones((len(design), 1)), groups)
    if not tests[0].grouped:
        log.warn(f"{args.labels} has no column group, or few groups in it: all windows count as independent")
    hit, shuffled = (None if one is None else tables.windows_hit(one[0], *one[1].shape) for one in (scanned, control))
    about = tables.describe_motifs(motifs, family)
    if args.measure == "best":
        best = scanned[1], None if control is None else control[1]
        by_motif = tables.best_score_table(about, tests, study, hit, *best)
    else:
        by_motif = tables.motif_table(about, tests, study, hit, shuffled, scanner.reachable, args.min_windows)
    any_hit, any_shuffled = (None if one is None else tables.any_of_family(one, family) for one in (hit, shuffled))
    about = tables.describe_families(motifs, family, by_motif)
    reachable = tables.any_of_family(scanner.reachable, family)[0]
    return by_motif, tables.motif_table(about, tests, study, any_hit, any_shuffled, reachable, args.min_windows)


def name_motifs(folder, study, motifs, attributions, args):
    """modisco.h5, and tomtom.tsv of its motifs and of --motifs, where asked for."""
    from intronaut.io.tables import write_table
    from intronaut.motifs.pwm import jaspar_motifs
    from intronaut.motifs.seqlets import discover
    from intronaut.motifs.similarity import nearest_known

    unknown = list(motifs) if args.tomtom else []
    if args.modisco:
        unknown += discover(study.codes, attributions.hypothetical(), folder / "modisco.h5")
    if unknown:
        known = jaspar_motifs(args.jaspar_release, args.tax_group)
        write_table(folder / "tomtom.tsv", nearest_known(unknown, known, KNOWN))


def tell(log, motif_table, family_table, sites, background, args):
    """Say what was found, the part of GC in it first; returns the same for summary.json."""
    from intronaut.motifs import tables

    rho, n, of_families = (
        tables.gc_correlations(motif_table),
        tables.significant(motif_table),
        tables.significant(family_table),
    )
    status = motif_table["status"].value_counts().to_dict()
    log.note(f"{len(sites.p):,} sites; motifs: " + ", ".join(f"{n:,} {why}" for why, n in status.items()))
    log.note(
        "Spearman's correlation of motif GC with its odds ratio: " + ", ".join(f"{v:.2f} {k}" for k, v in rho.items())
    )
    log.note("motifs with q up to 0.05: " + ", ".join(f"{v:,} {k}" for k, v in n.items()))
    log.note("families with q up to 0.05: " + ", ".join(f"{v:,} {k}" for k, v in of_families.items()))
    return {
        "background": dict(zip("ACGT", map(float, background.round(6)), strict=True)),
        "p_value": args.p_value, "pseudocount": args.pseudocount, "measure": args.measure, "adjust": args.adjust,
        "attributions": args.attributions is not None, "seed": args.seed, "n_sites": len(sites.p), "status": status,
        "gc_correlation": {name: round(value, 6) if isfinite(value) else None for name, value in rho.items()},
        "significant_motifs": n, "significant_families": of_families,
    }  # fmt: skip


if __name__ == "__main__":
    run(main, TOOL)
