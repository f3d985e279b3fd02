#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["biopython>=1.84", "jinja2>=3.1", "markupsafe>=2.1", "numpy>=2.0", "pandas>=2.2", "rich>=13"]
# ///
"""Write one HTML page that a biologist can read: what was found, how sure it is, and what to do next.

Reads the files of label_introns, fit and, where given, the tools around them. The verdict and the quality flags are
chosen by rules from the numbers; every ranking is by held-out predictions; only what was selected is coloured and
named. The page needs no network, no script and no other file; its links to the tables are relative and work where the
pipeline puts them.

Output:
  report.html   the page (--output)
  figures/      every figure of the page as SVG (--figures)
  multiqc/      tables as MultiQC custom content, samples named after --run, and versions (--multiqc)
"""

from datetime import date

from intronaut.cli import add_run_options, new_parser, run
from intronaut.core.files import published_together, whole_file, whole_folder
from intronaut.core.log import Log

TOOL = "make_report"


def make_parser():
    parser = new_parser(__doc__, TOOL)
    data = parser.add_argument_group("input")
    data.add_argument("--labels", required=True, metavar="TSV", help="labels.tsv that the models were fitted on")
    data.add_argument("--ledger", required=True, metavar="TSV", help="ledger.tsv of label_introns")
    data.add_argument("--counts", required=True, metavar="JSON", help="counts.json of label_introns")
    data.add_argument(
        "--fit",
        default=[],
        nargs="+",
        metavar="FOLDER",
        help="folders of fit, finetune; without any the page says what was measured, and why no model was fitted",
    )
    data.add_argument("--explain", default=[], nargs="+", metavar="FOLDER", help="folders of explain")
    data.add_argument("--audit", metavar="JSON", help="audit.json of audit_split")
    data.add_argument("--audit-pairs", metavar="TSV", help="audit.tsv of audit_split, for AUROC without near-copies")
    data.add_argument("--balance", metavar="TSV", help="balance.tsv of match_introns")
    data.add_argument("--matched", metavar="JSON", help="matched.json of match_introns")
    data.add_argument("--agreement", metavar="FOLDER", help="agreement.tsv, .json and .svg of compare_callers")
    data.add_argument("--compare", metavar="FOLDER", help="folder of compare")
    data.add_argument("--partition", metavar="FOLDER", help="folder of partition")
    data.add_argument("--motifs", default=[], nargs="+", metavar="FOLDER", help="folders of find_motifs")
    data.add_argument("--enrich", default=[], nargs="+", metavar="FOLDER", help="folders of enrich")
    data.add_argument("--variants", default=[], nargs="+", metavar="FOLDER", help="folders of score_variants")
    data.add_argument("--transfer", default=[], nargs="+", metavar="TSV", help="tables of transfer, each of one model")
    data.add_argument("--quantified", metavar="FOLDER", help="folder of quantify_introns, differences.json in it")
    data.add_argument("--settings", metavar="JSON", help="params of a pipeline, to be shown, with links to its files")
    data.add_argument("--date", type=date.fromisoformat, metavar="DAY", help="when the study ran, as 2026-11-28")
    data.add_argument("--assembly", metavar="NAME", help="the genome, such as GRCh38: links to genome browsers")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", default="report.html", metavar="FILE", help="the page")
    out.add_argument("--figures", default="figures", metavar="FOLDER", help="the figures as SVG")
    out.add_argument("--multiqc", metavar="FOLDER", help="the tables for MultiQC")
    out.add_argument("--run", metavar="NAME", help="what MultiQC calls this run [as --settings say]")
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log(TOOL, args)
    from intronaut.report import flags, multiqc, page
    from intronaut.report.read_study import read_study

    with log.progress(3, "steps") as progress:
        study = read_study(args)
        progress.add(1)
        assembly = args.assembly or study.settings.get("assembly") or study.counts.get("assembly")
        html, figures = page.build(study, assembly)
        progress.add(1)
        with published_together():
            if args.multiqc:
                run_name = args.run or study.settings.get("run") or "intronaut"
                texts = multiqc.contents(study, flags.all_flags(study), run_name, page.versions(study.settings))
                write_texts(args.multiqc, texts, ["intronaut_*_mqc.tsv", multiqc.VERSIONS])
            write_texts(args.figures, {f"{name}.svg": svg for name, svg in figures.items()}, ["*.svg"])
            with whole_file(args.output) as out:
                out.write(html)
        progress.add(1)
    log.note(f"{args.output}: {len(study.models)} models, {len(figures)} figures")


def write_texts(path, texts, stale):
    """A folder of text files; those of an earlier run that match ``stale`` are replaced."""
    with whole_folder(path, stale) as folder:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main, TOOL)
