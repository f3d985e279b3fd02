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
jackknife over leakage groups, p-values by Holm over all pairs, and equivalence of AUROC by two one-sided tests. Models
of levels (fit --target level) are compared by rank correlation within folds instead, deviance explained and error.

Output, a folder:
  models.tsv       one line a model: every metric with its 95 % interval, on the common windows
  comparison.tsv   one line a pair: differences, intervals, p-values, and a sentence that says what they mean
  claims.tsv       the claims C1 to C8 of Daoud & Ben-Hur 2025: supported, contradicted, undecided, not testable; why
  compare.json     windows, groups, what was left out, settings
  differences.svg  differences of AUROC, or rank correlation, with intervals
  curves.svg       ROC and precision-recall curves; of labels only
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
        "--margin",
        type=positive_float,
        default=0.01,
        metavar="D",
        help="difference of AUROC, or rank correlation, that does not matter",
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
    from intronaut.plots.comparison import draw_curves, draw_differences
    from intronaut.stats import model_comparison, within_folds
    from intronaut.stats.small_samples import groups_of_rarer_class

    everything, baselines = read_models(args.folders)
    table, left_out = common_rows(everything, log)
    compared = model_comparison.LEVELS if "psi" in table else model_comparison.LABELS
    groups = groups_of(table["name"], args.labels, log)
    scores = score(everything, groups, args, log)
    models = [model for model in everything if model["compared"]]
    of_models, names = [one[1:] for one in scores[: len(models)]], [model["name"] for model in models]
    metrics = [summary["metrics"] for summary, _, _ in scores[: len(models)]]
    folds, logits = table["fold"].to_numpy(), np.stack([model["predictions"]["logit"].to_numpy() for model in models])
    if compared is model_comparison.LEVELS:
        independent, verdicts = None, claims.of_levels(len(table), len(set(groups)))
    else:
        labels = table["label"].to_numpy()
        independent = model_comparison.delong_within_folds(labels, logits, folds)
        evidence = claims.Evidence(
            [model["name"] for model in everything], [model["notes"] for model in everything],
            model_comparison.jackknife_aurocs([one[1:] for one in scores]), args.margin, len(table),
            groups_of_rarer_class(labels, groups), baselines, read_groups(args.explain), *read_motifs(args.motifs),
        )  # fmt: skip
        verdicts = claims.decide(evidence)
    pairs = model_comparison.compare_pairs(of_models, independent, args.margin, compared)
    comparison = with_sentences(pairs, names, [point[compared.key] for point, _ in of_models], compared, args, table)
    with whole_folder(args.output) as folder:
        tables.write_table(folder / "models.tsv", model_table(names, metrics, compared.key))
        tables.write_table(folder / "comparison.tsv", comparison)
        tables.write_table(folder / "claims.tsv", verdicts)
        write_settings(folder / "compare.json", table, groups, left_out, compared, args)
        draw_differences(folder, comparison, compared)
        if compared is model_comparison.LABELS:
            draw_curves(folder, names, labels, within_folds.percentiles(logits, folds), metrics)
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
    # folders of the same name are distinguished by where they lie
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
    levels = has_levels(table)
    needed = ["p_retained", "logit", *(("psi", "weight") if levels else ("label",))]
    try:
        table = table.astype(dict.fromkeys(needed, float))
    except (TypeError, ValueError) as problem:
        raise BadData(f"{path}: {problem}") from problem
    if table["name"].duplicated().any():
        raise BadData(f"{path}: name {table['name'][table['name'].duplicated()].iloc[0]!r} occurs twice")
    if table[needed].isna().any(axis=None) or not (levels or table["label"].isin([0, 1]).all()):
        what = "psi and weight" if levels else "label must be 0 or 1,"
        raise BadData(f"{path}: {what} p_retained and logit must be numbers, in every line")
    notes = read_notes(folder) if (folder / "model.json").exists() else {}
    predictions, refits = table.set_index("name"), folder / "refits.tsv"
    model = {"name": name, "path": path, "notes": notes, "predictions": predictions, "refits": None}
    return model | ({"refits": read_refits(refits, predictions.index)} if refits.exists() else {})


def has_levels(predictions):
    """Whether predictions are of a model of levels."""
    return {"psi", "weight"} <= set(predictions.columns)


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

    In place of the label it has psi where the models are of levels, and then they all get the weights of the first.

    Every model gets these rows, the ``fold`` of :func:`common_folds`, ``refitted`` and ``null_logits``.
    """
    from intronaut.stats.metrics import require_both_classes

    first = models[0]
    levels = has_levels(first["predictions"])
    if odd := [model for model in models if has_levels(model["predictions"]) != levels]:
        of = ("levels", "labels") if levels else ("labels", "levels")
        mismatch = f"a model of {of[1]}, but {first['path']} one of {of[0]}"
        raise BadData(f"{odd[0]['path']}: {mismatch}; compare models of one target")
    column = "psi" if levels else "label"
    common = set.intersection(*(set(model["predictions"].index) for model in models))
    names = first["predictions"].index[first["predictions"].index.isin(common)]
    if names.empty:
        raise BadData(disjoint(models))
    truth, weights = (first["predictions"].loc[names].get(name) for name in (column, "weight"))
    for model in models:
        model["predictions"], had = model["predictions"].loc[names], len(model["predictions"])
        differing = model["predictions"][column] != truth
        if differing.any():
            raise BadData(
                f"{model['path']}: {differing.sum()} {column}s differ from {first['path']}, first "
                f"{names[differing][0]}; compare models of the same labels"
            )
        if levels:
            model["predictions"] = model["predictions"].assign(weight=weights)
        model["left_out"] = had - len(names)
        if model["left_out"]:
            log.warn(f"{model['name']}: {model['left_out']:,} of {had:,} windows left out: not predicted by all models")
    # levels are parted in the middle, so that what can be compared within a fold is counted in pairs as for labels
    labels = (truth > truth.median()).astype(float) if levels else truth
    require_both_classes(labels.to_numpy(), "the windows that all models predicted")
    fold = common_folds(models, labels, log)
    for model in models:
        refits = None if model["refits"] is None else model["refits"].loc[names].to_numpy().T
        # null_logit is the first column
        model["null_logits"], model["refitted"] = (None, None) if refits is None else (refits[0], refits[1:])
        model["predictions"] = model["predictions"].reset_index().assign(fold=fold.to_numpy())
    left_out = {model["name"]: model["left_out"] for model in models if model.get("compared", True)}
    return truth.reset_index().assign(fold=fold.to_numpy()), left_out


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
    for model, model_pairs in zip(models, n_pairs[1:], strict=True):
        if n_pairs[0] < 0.5 * model_pairs:
            share = n_pairs[0] / model_pairs
            log.warn(f"{model['name']}: its folds differ from the others': {share:.0%} of its pairs are compared")
        if n_pairs[0] < model_pairs:
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
    groups = known.reindex(names).reset_index(drop=True)
    return groups.fillna("row " + names).to_numpy(object)


def score(models, groups, args, log):
    """The ``(summary, point, resampled)`` of each model, by the same pairs and the same groups left out."""
    from intronaut.stats.level_metrics import evaluate_levels
    from intronaut.stats.metrics import evaluate

    scores, judge = [], evaluate_levels if has_levels(models[0]["predictions"]) else evaluate
    for model in log.each(models, "models"):
        more = {"refitted": model["refitted"], "null_logits": model["null_logits"]}
        scores.append(judge(model["predictions"], groups, args.bootstrap, args.seed, **more))
        for sentence in scores[-1][0]["warnings"]:
            log.warn(f"{model['name']}: {sentence}")
    without = [model["name"] for model in models if model["refitted"] is None]
    if without:
        log.note(
            f"intervals of {', '.join(without)} are for the models as trained: training on other introns is not in"
        )
    return scores


def read_groups(folder):
    """groups.tsv of an explain folder; None without one. Raises BadData where nothing is known of other introns."""
    from intronaut.io import tables

    if folder is None:
        return None
    path = Path(folder) / "groups.tsv"
    table = tables.read_table(path, ("group", "n_features"))
    columns = [f"adjusted_{name}" for name in ("p", "refit", "refit_low", "refit_high")]
    if lacking := [name for name in columns if name not in table]:
        missing = ", ".join(lacking)
        raise BadData(f"{path}: no column {missing}: explained without --labels, so nothing is known of other introns")
    return table.astype(dict.fromkeys(["n_features", *columns], float))


def read_motifs(folder):
    """The families of a find_motifs folder and its summary; None and an empty dict without one."""
    from intronaut.io import tables

    if folder is None:
        return None, {}
    families = tables.read_table(Path(folder) / "families.tsv", ("factors", "odds_ratio", "low", "high", "q"))
    summary = read_record(Path(folder) / "summary.json")
    return families.astype(dict.fromkeys(["odds_ratio", "low", "high", "q"], float)), summary


def model_table(names, metrics_of_models, key):
    """models.tsv: metrics as columns, each followed by its interval; the best by ``key`` first."""
    import pandas as pd

    rows = []
    for name, metrics in zip(names, metrics_of_models, strict=True):
        row = {"model": name}
        for metric, interval in metrics.items():
            row |= {metric: interval["value"], f"{metric}_low": interval["low"], f"{metric}_high": interval["high"]}
        rows.append(row)
    return pd.DataFrame(rows).sort_values(key, ascending=False, kind="stable")


def with_sentences(pairs, names, values, compared, args, table):
    """The pairs with names instead of numbers, the better model first, and what each means in words."""
    named_pairs = pairs.assign(model_a=[names[a] for a in pairs["a"]], model_b=[names[b] for b in pairs["b"]])
    named_pairs["sentence"] = [
        sentence(row, values[row["a"]], values[row["b"]], compared, len(table), args.margin)
        for row in named_pairs.to_dict("records")
    ]
    return named_pairs[["model_a", "model_b", *pairs.columns.drop(["a", "b"]), "sentence"]]


def sentence(row, value_a, value_b, compared, n, margin):
    """What one pair's tests mean, weak results included."""
    a, b, low, high = row["model_a"], row["model_b"], row[f"{compared.key}_low"], row[f"{compared.key}_high"]
    if row[f"{compared.key}_difference"] is None:
        return f"{a} and {b} cannot be compared: {compared.undefined}."
    name = compared.name[0].upper() + compared.name[1:]
    difference = f"{name} {value_a:.3f} against {value_b:.3f}, difference {row[f'{compared.key}_difference']:+z.3f}"
    if low is None or low != low:
        return f"{a} and {b} cannot be distinguished: too few groups for an interval; {difference}."
    difference += f" (95 % {low:+z.3f} to {high:+z.3f})"
    equal, p_holm = row["equivalence_p_holm"] < 0.05, row[f"{compared.key}_p_holm"]
    if p_holm < 0.05:
        small = f", by less than {margin:g}" if equal else ""
        return f"{a} ranks introns better than {b}{small}: {difference}, Holm p = {p_holm:.2g}."
    if equal:
        p = row["equivalence_p_holm"]
        return f"{a} and {b} are equally good within {margin:g}: {difference}, Holm p of equivalence = {p:.2g}."
    text = f"cannot be distinguished on these {n:,} windows, nor shown to be equal within {margin:g}"
    return f"{a} and {b} {text}: {difference}."


def size_of_classes(table, groups):
    """What the sentences on models rest on."""
    from intronaut.stats.small_samples import groups_of_rarer_class, sentences_of_summary

    label = table["label"].to_numpy()
    sizes = {"n_retained": int(label.sum()), "n_groups_of_rarer_class": groups_of_rarer_class(label, groups)}
    return sizes | {"warnings": sentences_of_summary(sizes)}


def write_settings(path, table, groups, left_out, compared, args):
    from intronaut import __version__

    settings = {
        "version": __version__,
        "n": len(table),
        **(size_of_classes(table, groups) if "label" in table else {}),
        "compared_by": compared.key,
        "n_groups": len(set(groups)),
        "groups_from_labels": args.labels is not None,
        "left_out": left_out,
        "margin": args.margin,
        "bootstrap": args.bootstrap,
        "seed": args.seed,
    }
    path.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main, "compare")
