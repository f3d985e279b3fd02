#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "lightgbm>=4.5", "h5py>=3.11",
#   "safetensors>=0.4", "threadpoolctl>=3.5", "matplotlib>=3.9", "jinja2>=3.1", "biopython>=1.84", "rich>=13",
#   "logomaker>=0.8.7", "pyjaspar>=4.0"]
# ///
"""Make a card for each of some introns: what speaks for and against its retention, and which introns are like it.

Reads a model folder of fit and the features it was fitted on, or new ones made by the same options. Contributions of
groups are exact: baseline + for + against + all other groups = the logit of the final model, which learnt from the
intron itself. The probability on a card is that of a model that had not seen it; --top ranks by these alone, each
intron by its place in its own fold, one card per locus. Where the model's AUROC is not shown to exceed 0.5, or for
levels the rank correlation 0, nothing is ranked and no card is made. Neighbours are the introns whose standardised
features differ least.

With --sample-sheet each card shows the reads of its intron in every sample, as a sashimi plot; with --explain the page
shows the logos of the motifs that hold on other introns.

Output, a folder:
  cards.html   the cards with a waterfall of contributions each; one file that needs no other
  cards.tsv    the same as a table: name kind rank item value; kind is for, against, other or neighbour
  cards.json   the same for programs, with coordinates, label, p_retained and prediction: held-out; new intron, which no
               model was trained on; or seen in training, which has no p_retained
"""

import json
from pathlib import Path

from intronaut.cli import (
    add_output_folder,
    add_run_options,
    new_parser,
    positive_int,
    refuse_without_effect,
    run,
)
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import require_file, whole_folder
from intronaut.core.json_files import read_record
from intronaut.core.log import Log

WORDS = {1.0: "retained", 0.0: "spliced"}
# what shows that a model ranks introns better than chance: metric, its name, chance
RANKED_BY = (("auroc", "AUROC", 0.5), ("spearman", "rank correlation", 0))
MEASURED = {"psi", "psi_n", "delta_psi"}
# where an intron lies when neither features nor labels tell
NOWHERE = {"chrom": "", "start": -1, "end": -1, "strand": "."}


def make_parser():
    parser = new_parser(__doc__, "explain_intron")
    data = parser.add_argument_group("input")
    data.add_argument("--model", required=True, metavar="FOLDER", help="model folder of fit")
    data.add_argument("--features", required=True, nargs="+", metavar="H5AD", help="features files of the model")
    data.add_argument("--labels", metavar="TSV", help="labels.tsv, for genes, labels and the introns' own coordinates")
    which = parser.add_argument_group("introns").add_mutually_exclusive_group(required=True)
    which.add_argument("--introns", nargs="+", metavar="NAME", help="introns by their names in the features file")
    which.add_argument("--top", type=positive_int, metavar="N", help="the N introns that rank highest held-out")
    what = parser.add_argument_group("cards")
    what.add_argument("--group-by", metavar="COLUMN", help="column of the feature table to gather by [each feature]")
    what.add_argument("--grouping", default="curated", choices=["curated", "paper"],
                      help="factor and class of Sei: curated, or the paper's names and three kinds")  # fmt: skip
    what.add_argument("--groups", type=positive_int, default=8, metavar="N", help="groups shown on either side")
    what.add_argument("--neighbours", type=positive_int, default=5, metavar="N", help="nearest introns shown")
    what.add_argument("--explain", metavar="FOLDER", help="folder of explain: logos of the motifs that it selects")
    what.add_argument("--motifs", metavar="FILE", help="the file that embed_motifs read, where it read one")
    reads = parser.add_argument_group("reads", "The first three together: coverage and junctions on each card.")
    reads.add_argument("--sample-sheet", metavar="TSV", help="sheet of samples that quantify_introns measured")
    reads.add_argument("--quantified", metavar="FOLDER", help="what it made of them")
    reads.add_argument("--annotation", metavar="FILE", help="GTF or GFF3 that it read")
    reads.add_argument("--fasta", metavar="FILE", help="genome, for CRAM")
    add_output_folder(parser)
    add_run_options(parser, threads=True)
    return parser


def main(argv):
    parser = make_parser()
    args = parser.parse_args(argv)
    check_reads(parser, args)
    log = Log("explain_intron", args)

    from intronaut.features.open_model import open_on_features
    from intronaut.features.sei_targets import annotate
    from intronaut.interpret.contributions import Contributions, group_of, membership
    from intronaut.models.design_matrix import every_locus

    model, features, columns = open_on_features(args.model, args.features, log)
    var = features.var.iloc[columns]
    if {"target", "cell_type"} <= set(var.columns):
        var = annotate(var, args.grouping)
    group = group_of(var, args.group_by, features.path)
    rows, names = every_locus(features)
    contributions = Contributions(model, features, rows, columns, args.threads)
    progress = log.progress(len(rows), "introns read")
    logits = by_blocks(contributions.matrix, lambda _, values: contributions.logits(values), progress)
    table = predictions(with_places(features.obs.iloc[rows[:, 0]], names, args), logits, model, args.model)
    chosen, unranked = chosen_introns(args, table, features.path)
    warnings = [unranked] * bool(unranked) + few_introns(args.model)
    for sentence in warnings:
        log.warn(sentence)
    if not len(chosen):
        write(args, [], warnings, log)
        return
    parts = contributions.of(contributions.matrix.rows_at(chosen)).astype(float) @ membership(group)
    near, distance = neighbours(model, features, rows, columns, chosen, args, log)
    logos = selected_logos(args, features, var, group, log)
    about = [describe(row) for row in table.to_dict("records")]
    cards = [
        make_card(about[at], contributions.baseline, dict(zip(group.categories, row_parts, strict=True)), args)
        | {"neighbours": [about[k] | {"distance": d} for k, d in zip(near[place], distance[place], strict=True)]}
        for place, (at, row_parts) in enumerate(zip(chosen, parts, strict=True))
    ]
    write(args, cards, warnings, log, logos)
    log.note(f"{args.output}: {len(cards)} cards")


def selected_logos(args, features, var, group, log):
    """SVG of the logos of motifs whose groups ``--explain`` says are selected; empty where none is."""
    import numpy as np

    from intronaut.motifs.selected import known_motifs, selected_motifs
    from intronaut.plots.motifs import logos_for_page

    wanted = selected_motifs(args.explain, var, np.asarray(group, str)) if args.explain else []
    matrices = known_motifs(args.motifs, features.provenance) if wanted else {}
    if lacking := [name for name in wanted if name not in matrices]:
        log.warn(f"no logo of {', '.join(lacking)}: give the file that embed_motifs read with --motifs")
    return logos_for_page([matrices[name] for name in wanted if name in matrices])


def check_reads(parser, args):
    """Refuse a part of what drawing reads needs, and files that are not there."""
    needed = ("sample_sheet", "quantified", "annotation")
    lacking = [f"--{name.replace('_', '-')}" for name in needed if not getattr(args, name)]
    if lacking and len(lacking) < len(needed):
        raise UsageError(f"to draw reads give {' and '.join(lacking)}, too")
    if lacking:
        refuse_without_effect(parser, args, ["fasta"], "without --sample-sheet")
    if not args.explain:
        refuse_without_effect(parser, args, ["motifs"], "without --explain")
    for path in (args.sample_sheet, args.annotation, args.fasta, args.motifs):
        if path is not None:
            require_file(path)


def chosen_introns(args, table, path):
    """Places of the introns to make cards of, in order, and why none are ranked, or None.

    Raises BadData for names that are not there.
    """
    import numpy as np

    if args.top:
        if why := why_unranked(args.model):
            return np.array([], int), why
        ranked = table["held_out_rank"].dropna().sort_values()
        if args.labels:
            # a locus may have several names; without labels the windows' places are known, not those of the introns
            ranked = ranked[~table.loc[ranked.index, ["chrom", "start", "end"]].duplicated()]
        return ranked.index[: args.top].to_numpy(), None
    place = {name: at for at, name in enumerate(table["name"])}
    lacking = [name for name in args.introns if name not in place]
    if lacking:
        raise BadData(f"{path}: no intron {', '.join(map(repr, lacking[:20]))}; names are like {table['name'][0]!r}")
    return np.array([place[name] for name in dict.fromkeys(args.introns)]), None


def why_unranked(folder):
    """Why the held-out predictions of a model rank no intron, or None where they are shown to be better than chance."""
    path = Path(folder) / "metrics.json"
    metrics = read_record(path)["metrics"]
    known = [(metrics[key], name, chance) for key, name, chance in RANKED_BY if metrics.get(key) is not None]
    if not known:
        raise BadData(f"{path}: no AUROC or rank correlation in it; fit the model again")
    interval_of, name, chance = known[0]
    if interval_of.get("low") is None:
        return "no intron is ranked: too few leakage groups to show that the model tells retained from spliced introns"
    if interval_of["low"] <= chance:
        interval = f"{interval_of['low']:.3f} to {interval_of['high']:.3f}"
        return f"no intron is ranked: the 95 % interval of the model's {name}, {interval}, does not lie above {chance}"
    return None


def few_introns(folder):
    """Sentences where few introns, or few leakage groups, stand behind the model's held-out predictions."""
    from intronaut.stats.small_samples import sentences_of_summary

    return sentences_of_summary(read_record(Path(folder) / "metrics.json"))


def with_places(obs, names, args):
    """DataFrame ``name chrom start end strand gene label psi psi_n delta_psi if_retained`` of every intron, by labels
    where given."""
    import pandas as pd

    from intronaut.io import tables
    from intronaut.labels.consequence import in_words

    table = pd.DataFrame({column: obs.get(column, nowhere) for column, nowhere in NOWHERE.items()}, index=obs.index)
    table = table.set_axis(names).assign(gene=None, label="unknown", psi=None, psi_n=None)
    table = table.assign(delta_psi=None, if_retained=None)
    if args.labels:
        labels = tables.read_labels(args.labels).set_index("name").reindex(names)
        known = labels["chrom"].notna()
        if not known.any():
            raise BadData(f"{args.labels}: names no intron of {args.features[0]}; its introns are like {names[0]!r}")
        places = labels.loc[known, list(NOWHERE)]
        table.loc[known, list(NOWHERE)] = places.astype({"start": int, "end": int})
        table["gene"] = labels["gene_name"].fillna(labels["gene_id"])
        table["label"] = labels["label"].map(WORDS).fillna("unknown")
        consequences = labels.reindex(columns=list(tables.CONSEQUENCES)).itertuples(index=False)
        table["if_retained"] = [in_words(*values) for values in consequences]
        for name in MEASURED & set(labels.columns):
            table[name] = pd.to_numeric(labels[name], errors="coerce")
    return table.rename_axis("name").reset_index()


def predictions(table, logits, model, folder):
    """The table with ``logit_in_sample``, ``held_out_rank``, ``p_retained`` by a model that had not seen the intron,
    and ``prediction``: what that is."""
    import numpy as np
    from scipy.special import expit

    from intronaut.interpret.contributions import held_out_places
    from intronaut.io.tables import PREDICTION_COLUMNS, read_table
    from intronaut.models.calibration import apply_calibration

    judged = read_table(Path(folder) / "predictions.tsv", PREDICTION_COLUMNS).set_index("name")["p_retained"]
    held_out = table["name"].map(judged.astype(float))
    # where every training row was held out once, an intron without a held-out prediction trained nothing
    rest = "new intron" if model.notes["rows_trained"] <= len(judged) else "seen in training"
    prediction = np.where(held_out.notna(), "held-out", rest)
    p_new = expit(apply_calibration(model.notes["calibration"], logits))
    p = held_out.where(prediction != "new intron", p_new)
    return table.assign(
        logit_in_sample=logits, held_out_rank=table["name"].map(held_out_places(folder)["held_out_rank"]), p_retained=p,
        prediction=prediction,
    )  # fmt: skip


def describe(row):
    """What is known of an intron, as JSON can hold it."""
    import pandas as pd

    def number(value, kind):
        return None if pd.isna(value) else kind(value)

    return {
        "name": row["name"],
        "gene": None if pd.isna(row["gene"]) else row["gene"],
        # browsers count from 1 and include the last base
        "region": f"{row['chrom']}:{row['start'] + 1:,}-{row['end']:,}" if row["chrom"] else None,
        "strand": row["strand"],
        "label": row["label"],
        "if_retained": row["if_retained"],
        "psi": number(row["psi"], float),
        "psi_n": number(row["psi_n"], float),
        "delta_psi": number(row["delta_psi"], float),
        "p_retained": number(row["p_retained"], float),
        "prediction": row["prediction"],
        "held_out_rank": number(row["held_out_rank"], int),
        "logit_in_sample": float(row["logit_in_sample"]),
    }


def write(args, cards, warnings, log, logos=""):
    """The three files."""
    from intronaut.io.tables import write_table
    from intronaut.models.folder import read_notes

    target = read_notes(args.model).get("target", "label")
    with whole_folder(args.output) as folder:
        (folder / "cards.json").write_text(json.dumps(cards, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write_table(folder / "cards.tsv", card_table(cards), for_people=True)
        figures = drawn_reads(args, [card["name"] for card in cards]) if args.sample_sheet else {}
        page = cards_page(log.each(cards, "cards"), Path(args.model).name, warnings, target, figures, logos)
        (folder / "cards.html").write_text(page, encoding="utf-8")


def drawn_reads(args, names):
    """``{name: svg}`` of the introns that the samples were measured in, with their coverage and junctions."""
    import contextlib
    import io

    from intronaut.genome.annotation import read_annotation
    from intronaut.labels.counted_samples import open_counted
    from intronaut.labels.intron_bodies import distinct_exons
    from intronaut.plots.page import embedded
    from intronaut.plots.sashimi import draw_intron

    figures, exons = {}, distinct_exons(read_annotation(args.annotation))
    with contextlib.ExitStack() as stack:
        counted = open_counted(args.sample_sheet, args.quantified, args.annotation, stack, args.fasta)
        known = set(counted[0].table["name"]) if counted else set()
        for name in names:
            if name in known:
                buffer = io.StringIO()
                draw_intron(buffer, exons, name, counted)
                figures[name] = embedded(buffer.getvalue(), f"reads-{name}")
    return figures


def by_blocks(matrix, work, progress):
    """What ``work(rows, values)`` makes of the matrix's blocks of rows, joined; ``progress`` counts the rows."""
    import numpy as np

    with progress:
        parts = []
        for part in matrix.map(work):
            parts.append(part)
            progress.add(len(part))
    return np.concatenate(parts)


def neighbours(model, features, rows, columns, chosen, args, log):
    """Places of the nearest introns of each chosen one, ``(c, k)``, and how far off: the root mean square of the
    differences of their standardised features."""
    import numpy as np

    from intronaut.models.design_matrix import Matrix, Scale
    from intronaut.models.folder import LinearModel

    scale = Scale(model.mean, model.sd) if isinstance(model, LinearModel) else None
    matrix = Matrix(features, rows, columns, scale=scale, memory=0, threads=args.threads)
    chosen_values = matrix.rows_at(chosen)
    ends = np.einsum("ij,ij->i", chosen_values, chosen_values)

    def work(block, values):
        return np.einsum("ij,ij->i", values, values)[:, None] + ends - 2 * values @ chosen_values.T

    squared = by_blocks(matrix, work, log.progress(matrix.n, "introns compared")).T.astype(float)
    squared[np.arange(len(chosen)), chosen] = np.inf
    near = np.argsort(squared, axis=1, kind="stable")[:, : min(args.neighbours, matrix.n - 1)]
    return near, np.sqrt(np.maximum(np.take_along_axis(squared, near, axis=1), 0) / matrix.d)


def make_card(about, baseline, parts, args):
    """One intron: what is known of it, and its contributions by group, largest first on either side."""
    ranked = sorted(parts.items(), key=lambda part: -abs(part[1]))
    sides = {
        side: [{"group": name, "contribution": move} for name, move in ranked if sign * move > 0][: args.groups]
        for side, sign in (("for", 1), ("against", -1))
    }
    shown = sum(part["contribution"] for side in sides.values() for part in side)
    rest = {"other": sum(parts.values()) - shown, "n_other": len(parts) - sum(map(len, sides.values()))}
    return about | {"baseline": baseline} | sides | rest


def card_table(cards):
    """cards.tsv: contributions, and distances of neighbours."""
    import pandas as pd

    rows = []
    for card in cards:
        for kind in ("for", "against"):
            rows += [(card["name"], kind, k, p["group"], p["contribution"]) for k, p in enumerate(card[kind], 1)]
        rows.append((card["name"], "other", None, f"{card['n_other']} more", card["other"]))
        near = enumerate(card["neighbours"], 1)
        rows += [(card["name"], "neighbour", k, other["name"], other["distance"]) for k, other in near]
    table = pd.DataFrame(rows, columns=["name", "kind", "rank", "item", "value"])
    return table.astype({"rank": "Int64"}).astype({"rank": object})


def cards_page(cards, model, warnings, target, figures, logos):
    """The page of all cards, or why there are none, which is among the ``warnings``; ``target``: what the model
    predicts, as fit names it; ``figures``: by name, the reads of introns as SVG; ``logos``: SVG of selected motifs, or
    empty."""
    import io

    from intronaut.plots.page import embedded
    from intronaut.plots.svg import save_svg, waterfall
    from intronaut.report.render import render

    def drawing(card):
        steps = [(part["group"], part["contribution"]) for part in card["for"] + card["against"]]
        steps.append((f"{card['n_other']} more", card["other"]))
        buffer = io.StringIO()
        save_svg(waterfall(*zip(*steps, strict=True), card["baseline"], "logit of retention"), buffer)
        return embedded(buffer.getvalue(), card["name"])

    drawn = [card | {"figure": drawing(card), "reads": figures.get(card["name"])} for card in cards]
    return render("cards.html", cards=drawn, model=model, warnings=warnings, target=target, logos=logos)


if __name__ == "__main__":
    run(main, "explain_intron")
