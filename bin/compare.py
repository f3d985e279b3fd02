#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2.0", "pandas>=2.2", "scipy>=1.13", "scikit-learn>=1.5", "matplotlib>=3.9",
#   "safetensors>=0.4", "biopython>=1.84", "rich>=13"]
# ///
"""Say which of several models predict intron retention better, and which cannot be distinguished.

Reads the folders of fit or finetune: predictions.tsv, and model.json where there is one. Models are compared on the
windows that all of them predicted; the covariates-only baseline of the first folder is one of them. Every pair is
tested on pairs of windows of one fold: AUROC, average precision, deviance explained and Brier score by a paired
jackknife over leakage groups, p-values by Holm over all pairs, and equivalence of AUROC by two one-sided tests.

Output, a folder:
  models.tsv       one line a model: every metric with its 95 % interval, on the common windows
  comparison.tsv   one line a pair: differences, intervals, p-values, and a sentence that says what they mean
  claims.tsv       the claims C1 to C8 of Daoud & Ben-Hur 2025: supported, contradicted, undecided, not testable; why
  compare.json     windows, groups, what was left out, settings
  curves.svg       ROC and precision-recall curves        differences.svg   differences of AUROC with intervals
"""

import json
from pathlib import Path

from intronaut.cli import add_output_folder, add_run_options, new_parser, positive_float, positive_int, run
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import whole_folder
from intronaut.core.json_files import read_record
from intronaut.core.log import Log

# models that fit writes into the folder of the model that they are to be compared with
BESIDE = ("covariates", "combined")


def make_parser():
    parser = new_parser(__doc__, "compare")
    data = parser.add_argument_group("input")
    data.add_argument("folders", nargs="+", metavar="FOLDER", help="folders with predictions.tsv, two or more models")
    data.add_argument("--labels", metavar="TSV", help="labels.tsv, for the leakage groups")
    data.add_argument("--explain", metavar="FOLDER", help="folder of explain on Sei features by target, for claim C6")
    data.add_argument("--motifs", metavar="FOLDER", help="folder of find_motifs --attributions, for claim C7")
    how = parser.add_argument_group("tests")
    how.add_argument(
        "--margin", type=positive_float, default=0.01, metavar="D", help="AUROC difference that does not matter"
    )
    how.add_argument(
        "--bootstrap", type=positive_int, default=2000, metavar="N", help="replicates, for metrics that jump"
    )
    add_output_folder(parser)
    add_run_options(parser, seed=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log("compare", args)
    import numpy as np

    from intronaut.io import tables
    from intronaut.paper import claims
    from intronaut.stats import model_comparison, within_folds

    everything, baselines = read_models(args.folders)
    table, left_out = common_rows(everything, log)
    groups = groups_of(table["name"], args.labels, log)
    scores = score(everything, groups, args, log)
    models = [model for model in everything if model["compared"]]
    labels, folds = table["label"].to_numpy(), table["fold"].to_numpy()
    logits = np.stack([model["predictions"]["logit"].to_numpy() for model in models])
    of_models = [one[1:] for one in scores[: len(models)]]
    aurocs = model_comparison.jackknife_aurocs([one[1:] for one in scores])
    independent = model_comparison.delong_within_folds(labels, logits, folds)
    comparison = model_comparison.compare_pairs(of_models, independent, args.margin)
    names = [model["name"] for model in models]
    comparison = with_sentences(comparison, names, aurocs.values, len(table), args.margin)
    table_of_models = model_table(names, [summary["metrics"] for summary, _, _ in scores[: len(models)]])
    evidence = claims.Evidence(
        [model["name"] for model in everything], [model["notes"] for model in everything], aurocs, args.margin,
        len(table), rarer_groups(labels, groups), baselines, read_groups(args.explain), *read_motifs(args.motifs),
    )  # fmt: skip
    with whole_folder(args.output) as folder:
        tables.write_table(folder / "models.tsv", table_of_models)
        tables.write_table(folder / "comparison.tsv", comparison)
        tables.write_table(folder / "claims.tsv", claims.decide(evidence))
        write_settings(folder / "compare.json", table, groups, left_out, args)
        draw(folder, names, labels, within_folds.percentiles(logits, folds), aurocs.values, comparison)
    for sentence in comparison["sentence"]:
        log.note(sentence)


def read_models(folders):
    """The models to compare, and where the models beside each of them stand.

    Returns:
        ``(models, baselines)``: one dict a model, with name, path, notes (model.json or empty), predictions, and
        whether it is ``compared``: the folders given and the first covariates-only baseline are, the other models
        beside them serve the claims alone and come last. ``baselines`` maps the position of a model to those of its
        ``covariates`` and ``combined``.
    """
    folders = [Path(folder) for folder in folders]
    beside = [{kind: folder / kind for kind in BESIDE if is_model(folder / kind)} for folder in folders]
    baseline = next((paths["covariates"] for paths in beside if "covariates" in paths), None)
    if baseline and not any(folder.name == "covariates" for folder in folders):
        folders.append(baseline)
    if len(folders) < 2:
        raise UsageError(f"{folders[0]}: nothing to compare it with; give two or more folders")
    names = [folder.name for folder in folders]
    # folders of the same name are told apart by where they lie
    names = [str(folder) if names.count(folder.name) > 1 else folder.name for folder in folders]
    if len(set(names)) < len(names):
        raise UsageError("a folder is given twice")
    models = [read_model(name, folder) | {"compared": True} for name, folder in zip(names, folders, strict=True)]
    place = {folder.resolve(): at for at, folder in enumerate(folders)}
    for path in (path for paths in beside for path in paths.values()):
        if place.setdefault(path.resolve(), len(models)) == len(models):
            models.append(read_model(str(path), path) | {"compared": False})
    return models, {
        at: {kind: place[path.resolve()] for kind, path in paths.items()} for at, paths in enumerate(beside)
    }


def is_model(folder):
    """Whether there are predictions in a folder."""
    return (folder / "predictions.tsv").exists()


def read_model(name, folder):
    from intronaut.io import tables
    from intronaut.models.folder import read_notes

    path = folder / "predictions.tsv"
    table = tables.read_table(path, tables.PREDICTION_COLUMNS)
    try:
        table = table.astype({"label": float, "p_retained": float, "logit": float})
    except (TypeError, ValueError) as problem:
        raise BadData(f"{path}: {problem}") from problem
    if table["name"].duplicated().any():
        raise BadData(f"{path}: name {table['name'][table['name'].duplicated()].iloc[0]!r} occurs twice")
    if table[["label", "p_retained", "logit"]].isna().any(axis=None) or not table["label"].isin([0, 1]).all():
        raise BadData(f"{path}: label must be 0 or 1, p_retained and logit must be numbers, in every line")
    notes = read_notes(folder) if (folder / "model.json").exists() else {}
    predictions, refits = table.set_index("name"), folder / "refits.tsv"
    model = {"name": name, "path": path, "notes": notes, "predictions": predictions, "refits": None}
    return model | ({"refits": read_refits(refits, predictions.index)} if refits.exists() else {})


def read_refits(path, names):
    """What fit wrote beside the predictions ``names``: DataFrame of null_logit and the logits without_1, without_2 …"""
    from intronaut.io import tables

    table = tables.read_table(path, ("name", "null_logit")).set_index("name")
    try:
        return table.astype(float).loc[names]
    except (KeyError, TypeError, ValueError) as problem:
        raise BadData(f"{path}: not of the predictions beside it ({problem}); fit the model again") from problem


def common_rows(models, log):
    """The windows that every model predicted, in the first one's order: DataFrame name label fold, and left-out counts.

    Every model gets these rows, the ``fold`` of :func:`common_folds`, ``refitted`` and ``null_logits``.
    """
    from intronaut.stats.metrics import require_both_classes

    first = models[0]
    common = set.intersection(*(set(model["predictions"].index) for model in models))
    names = first["predictions"].index[first["predictions"].index.isin(common)]
    if names.empty:
        raise BadData(disjoint(models))
    labels = first["predictions"].loc[names, "label"]
    for model in models:
        model["predictions"], had = model["predictions"].loc[names], len(model["predictions"])
        differing = model["predictions"]["label"] != labels
        if differing.any():
            raise BadData(
                f"{model['path']}: {differing.sum()} labels differ from {first['path']}, first {names[differing][0]}; "
                "compare models of the same labels"
            )
        model["left_out"] = had - len(names)
        if model["left_out"]:
            log.warn(f"{model['name']}: {model['left_out']:,} of {had:,} windows left out: not predicted by all models")
    require_both_classes(labels.to_numpy(), "the windows that all models predicted")
    fold = common_folds(models, labels, log)
    for model in models:
        refits = None if model["refits"] is None else model["refits"].loc[names].to_numpy().T
        # null_logit is the first column
        model["null_logits"], model["refitted"] = (None, None) if refits is None else (refits[0], refits[1:])
        model["predictions"] = model["predictions"].reset_index().assign(fold=fold.to_numpy())
    left_out = {model["name"]: model["left_out"] for model in models if model.get("compared", True)}
    return labels.reset_index().assign(fold=fold.to_numpy()), left_out


def common_folds(models, labels, log):
    """The fold of each window, as all models have it: rows that differ in the fold of any model are never compared."""
    import numpy as np
    import pandas as pd

    from intronaut.stats.within_folds import codes, wins

    columns = [model["predictions"]["fold"].fillna("") for model in models]
    fold = (
        columns[0] if all(column.equals(columns[0]) for column in columns) else columns[0].str.cat(columns[1:], sep="|")
    )
    n_pairs = [wins(labels, np.zeros(len(labels)), codes(column))[1].sum() for column in (fold, *columns)]
    if not n_pairs[0]:
        raise BadData("no retained and spliced window lie in one fold of every model; compare models of the same folds")
    for model, own in zip(models, n_pairs[1:], strict=True):
        if n_pairs[0] < 0.5 * own:
            log.warn(
                f"{model['name']}: its folds differ from the others': {n_pairs[0] / own:.0%} of its pairs are compared"
            )
        if n_pairs[0] < own:
            model["refits"] = None
    return pd.Series(fold, index=labels.index)


def disjoint(models):
    """Which of the models, that have no window in common, is the odd one."""
    from itertools import combinations

    windows = [set(model["predictions"].index) for model in models]
    apart = [(a, b) for a, b in combinations(range(len(models)), 2) if not windows[a] & windows[b]]
    for at in reversed(range(len(models))):
        if len(models) > 2 and sum(at in pair for pair in apart) == len(models) - 1:
            return f"{models[at]['path']}: shares no window with any other folder"
    if apart:
        a, b = apart[0]
        return f"{models[b]['path']}: shares no window with {models[a]['path']}"
    return f"{models[0]['path']}: none of its windows is in all the other folders"


def groups_of(names, labels, log):
    """The leakage group of each window; its own name where nothing is known."""
    from intronaut.io import tables

    if labels is None:
        log.warn("without --labels every window counts as independent: intervals are too narrow if genes hold several")
        return names.to_numpy(object)
    known = tables.read_table(labels, ("name", "group")).drop_duplicates("name").set_index("name")["group"]
    missing = ~names.isin(known.index)
    if missing.any():
        raise BadData(f"{labels}: no line for {missing.sum()} of the windows, first {names[missing].iloc[0]}")
    found = known.reindex(names).reset_index(drop=True)
    return found.fillna("row " + names).to_numpy(object)


def score(models, groups, args, log):
    """The ``(summary, point, resampled)`` of each model, by the same pairs and the same groups left out."""
    from intronaut.stats.metrics import evaluate

    scores = []
    for model in models:
        more = {"refitted": model["refitted"], "null_logits": model["null_logits"]}
        scores.append(evaluate(model["predictions"], groups, args.bootstrap, args.seed, **more))
        for sentence in scores[-1][0]["warnings"]:
            log.warn(f"{model['name']}: {sentence}")
    without = [model["name"] for model in models if model["refitted"] is None]
    if without:
        log.note(
            f"intervals of {', '.join(without)} are for the models as trained: training on other introns is not in"
        )
    return scores


def rarer_groups(labels, groups):
    """How many leakage groups hold a window of the class that fewer groups hold."""
    return min(len(set(groups[labels == label])) for label in (0, 1))


def read_groups(folder):
    """groups.tsv of an explain folder; None without one. Raises BadData where nothing is known of other introns."""
    from intronaut.io import tables

    if folder is None:
        return None
    path = Path(folder) / "groups.tsv"
    table = tables.read_table(path, ("group", "n_features"))
    columns = [f"adjusted_{name}" for name in ("p", "refit", "refit_low", "refit_high")]
    if lacking := [name for name in columns if name not in table]:
        told = ", ".join(lacking)
        raise BadData(f"{path}: no column {told}: explained without --labels, so nothing is known of other introns")
    return table.astype(dict.fromkeys(["n_features", *columns], float))


def read_motifs(folder):
    """The families of a find_motifs folder and its summary; None and an empty dict without one."""
    from intronaut.io import tables

    if folder is None:
        return None, {}
    families = tables.read_table(Path(folder) / "families.tsv", ("factors", "odds_ratio", "low", "high", "q"))
    told = read_record(Path(folder) / "summary.json")
    return families.astype(dict.fromkeys(["odds_ratio", "low", "high", "q"], float)), told


def model_table(names, metrics_of_models):
    """models.tsv: metrics as columns, each followed by its interval; the best AUROC first."""
    import pandas as pd

    rows = []
    for name, metrics in zip(names, metrics_of_models, strict=True):
        row = {"model": name}
        for metric, found in metrics.items():
            row |= {metric: found["value"], f"{metric}_low": found["low"], f"{metric}_high": found["high"]}
        rows.append(row)
    return pd.DataFrame(rows).sort_values("auroc", ascending=False, kind="stable")


def with_sentences(pairs, names, aurocs, n, margin):
    """The pairs with names instead of numbers, the better model first, and what each means in words."""
    made = pairs.assign(model_a=[names[a] for a in pairs["a"]], model_b=[names[b] for b in pairs["b"]])
    made["sentence"] = [sentence(row, aurocs[row["a"]], aurocs[row["b"]], n, margin) for row in made.to_dict("records")]
    return made[["model_a", "model_b", *pairs.columns.drop(["a", "b"]), "sentence"]]


def sentence(row, auroc_a, auroc_b, n, margin):
    """What one pair's tests mean, weak results included."""
    a, b = row["model_a"], row["model_b"]
    told = f"AUROC {auroc_a:.3f} against {auroc_b:.3f}, difference {row['auroc_difference']:+.3f}"
    if row["auroc_low"] is None or row["auroc_low"] != row["auroc_low"]:
        return f"{a} and {b} cannot be told apart: too few groups for an interval; {told}."
    told += f" (95 % {row['auroc_low']:+.3f} to {row['auroc_high']:+.3f})"
    equal = row["equivalence_p_holm"] < 0.05
    if row["auroc_p_holm"] < 0.05:
        small = f", by less than {margin:g}" if equal else ""
        return f"{a} ranks introns better than {b}{small}: {told}, Holm p = {row['auroc_p_holm']:.2g}."
    if equal:
        p = row["equivalence_p_holm"]
        return f"{a} and {b} are equally good within {margin:g}: {told}, Holm p of equivalence = {p:.2g}."
    return f"{a} and {b} cannot be told apart on these {n:,} windows, nor shown to be equal within {margin:g}: {told}."


def write_settings(path, table, groups, left_out, args):
    from intronaut import __version__

    told = {
        "version": __version__,
        "n": len(table),
        "n_retained": int(table["label"].sum()),
        "n_groups": len(set(groups)),
        "groups_from_labels": args.labels is not None,
        "left_out": left_out,
        "margin": args.margin,
        "bootstrap": args.bootstrap,
        "seed": args.seed,
    }
    path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def draw(folder, names, labels, scores, aurocs, comparison):
    """All ROC and precision-recall curves in one figure, all differences of AUROC in another.

    ``scores`` ``(k, n)`` rank the rows of all folds together: the share of its own fold that each row is above.
    """
    import matplotlib.pyplot as plt
    from sklearn.metrics import precision_recall_curve, roc_curve

    from intronaut.plots.svg import NEUTRAL, forest, save_svg

    figure, (roc, pr) = plt.subplots(1, 2, figsize=(9, 4))
    for at in sorted(range(len(names)), key=lambda at: -aurocs[at]):
        false, true, _ = roc_curve(labels, scores[at])
        precision, recall, _ = precision_recall_curve(labels, scores[at])
        style = {"linewidth": 1.2, "label": f"{names[at]} ({aurocs[at]:.3f})", "color": f"C{at % 10}"}
        roc.plot(false, true, **style)
        pr.step(recall, precision, where="pre", **style)
    roc.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":", linewidth=0.8)
    pr.axhline(labels.mean(), color=NEUTRAL, linestyle=":", linewidth=0.8)
    roc.set(xlabel="false positive rate", ylabel="true positive rate")
    pr.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    roc.legend(title="model (AUROC)", fontsize=8)
    save_svg(figure, folder / "curves.svg")
    lines = comparison["model_a"] + " − " + comparison["model_b"]
    values = (comparison[f"auroc_{part}"].astype(float) for part in ("difference", "low", "high"))
    save_svg(forest(lines, *values, "difference of AUROC, 95 % interval"), folder / "differences.svg")


if __name__ == "__main__":
    run(main, "compare")
