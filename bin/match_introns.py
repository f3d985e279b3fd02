#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=1.26", "pandas>=2.2", "scikit-learn>=1.4", "scipy>=1.11"]
# ///
"""Match spliced introns (or peaks) to retained ones, so that length, GC and the like cannot tell them apart.

Coarsened exact matching (cem) cuts every covariate into bins of equal numbers of retained introns and pairs within a
cell of all bins; propensity does the same with the one score that a logistic regression of the covariates gives. In a
cell the pairs are those with the least total distance; pairs further apart than --caliper are undone. Pairs never cross
the folds or sets of the column split: a model that has seen one of two look-alikes would guess the other wrong.

Covariates of the user (--covariates) are matched beside those of --match; introns without a value of a covariate have
no match.

Writes four files:
  matched.tsv   the labels of the matched introns, with a column match: the same number means matched to each other
  balance.tsv   standardised mean difference of every covariate before and after
  matched.json  how many were matched, and how well the matched covariates alone tell retained from spliced: AUROC with
                its 95 % interval before and after
  unmatched.tsv every intron that is not in matched.tsv, once, with the reason

The AUROC is that of a logistic regression on the covariates, their squares and products, each fold or set of the
column split predicted by the model of the others, over pairs of one fold, with a jackknife over leakage groups. After
matching it should cover 0.5.

SMD = (mean retained - mean spliced) / sqrt((variance retained + variance spliced) / 2), variances before matching;
lengths and distances as log10(1 + x). Aim at |SMD| up to 0.1 (Austin 2009, Stat Med 28:3083).
"""

import json

from intronaut.cli import add_covariates_option, add_run_options, new_parser, positive_float, positive_int, run
from intronaut.core.errors import BadData, UsageError
from intronaut.core.files import named_after, published_together, whole_file
from intronaut.core.log import Log

TOOL = "match_introns"
LOGGED = ("length", "dist_tss", "dist_tes", "gene_length")
AIM = 0.1
# below so many, intervals are too wide for the lack of a difference to mean anything
FEW_RETAINED = 50
# candidates that are looked at for each retained intron of a cell; more cost time and hardly bring pairs closer
CANDIDATES = 20


def make_parser():
    parser = new_parser(__doc__, TOOL)
    parser.add_argument("labels", metavar="LABELS", help="labels.tsv")
    matching = parser.add_argument_group("matching")
    add = matching.add_argument
    add("--match", default="length,gc", metavar="COLS", help="covariates to balance, joined by commas")
    add("--method", choices=("cem", "propensity"), default="cem", help="cells of all covariates, or of one score")
    add("--bins", type=positive_int, default=3, metavar="N", help="bins of each covariate")
    add("--ratio", type=positive_int, default=1, metavar="N", help="spliced introns for each retained one")
    add("--caliper", type=positive_float, default=0.25, metavar="SD", help="furthest apart, in any covariate")
    add_covariates_option(matching)
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", default="matched.tsv", metavar="FILE", help="matched labels")
    add("--balance", metavar="FILE", help="differences before and after [balance.tsv, named after --output]")
    add("--json", metavar="FILE", help="numbers, AUROC of the covariates [matched.json, named after --output]")
    add("--ledger", metavar="FILE", help="what was left out and why [unmatched.tsv, named after --output]")
    add_run_options(parser, seed=True)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    name_outputs(args)
    log = Log(TOOL, args)
    import numpy as np

    from intronaut.io.covariates import read_covariates
    from intronaut.io.tables import read_labels_and_text, write_table

    table, text = read_labels_and_text(args.labels)
    user = read_covariates(table, args.covariates, args.allow_missing, log).values
    names = [*(name for name in args.match.split(",") if name), *user]
    numeric = numeric_covariates(table, user, names, args)
    space = np.column_stack([numeric[name] for name in names])
    label = table["label"].to_numpy()
    lacking = np.isnan(label), np.isnan(space).any(axis=1), label == 1
    reason = np.select(lacking, ["no_label", "no_covariate", "no_partner"], "not_drawn").astype(object)
    usable = np.flatnonzero(np.isin(reason, ["no_partner", "not_drawn"]))
    if len(set(label[usable])) < 2:
        raise BadData(f"{args.labels}: no retained or no spliced intron with {', '.join(names)}; nothing to match")
    match = np.zeros(len(table), np.int64)
    retained = label[usable] == 1
    match[usable] = matched(standardised(space[usable], retained), retained, table["split"].to_numpy()[usable], args)
    kept = match > 0
    if not kept.any():
        raise BadData(f"{args.labels}: no retained intron has a spliced one within --caliper {args.caliper}")

    balance = balance_table(numeric, label, kept, names)
    aurocs = {name: auroc_of(space, table, rows, args.seed) for name, rows in (("before", usable), ("after", kept))}
    about = ["chrom", "start", "end", "name", "score", "strand", "label", "unit"]
    n_retained, n_spliced = int((label[kept] == 1).sum()), int((label[kept] == 0).sum())
    summary = {"tool": TOOL, "match": names, "method": args.method, "retained": int((label == 1).sum()),
               "matched_retained": n_retained, "matched_spliced": n_spliced, "covariates_auroc": aurocs}  # fmt: skip
    with published_together():
        write_table(args.ledger, text.loc[~kept, about].assign(reason=reason[~kept]), for_people=True)
        write_table(args.balance, balance)
        with whole_file(args.json) as handle:
            json.dump(summary, handle, indent=2)
            handle.write("\n")
        write_table(args.output, text[kept].assign(match=match[kept]))
    log.note(f"{n_retained:,} of {(label == 1).sum():,} retained matched to {n_spliced:,} spliced")
    if n_retained < FEW_RETAINED:
        log.warn(
            f"only {n_retained} retained introns are matched: an AUROC of the covariates that covers 0.5 shows little"
        )
    if n_retained < 0.5 * (label == 1).sum():
        log.warn("more than half of the retained have no partner; --method propensity or fewer covariates keep more")
    for row in balance[balance["matched"] == "yes"].itertuples():
        log.note(f"{row.covariate}: SMD {row.smd_before:.3f} before, {row.smd_after:.3f} after")
        if abs(row.smd_after) > AIM:
            log.warn(f"{row.covariate} is not balanced; lower --caliper, or raise --bins")
    if aurocs["after"]:
        words = ("{value:.3f} ({low:.3f}–{high:.3f})".format_map(aurocs[side]) for side in ("before", "after"))
        log.note(f"AUROC of {', '.join(names)} alone: {{}} before, {{}} after".format(*words))
        if not aurocs["after"]["low"] <= 0.5 <= aurocs["after"]["high"]:
            log.warn("the matched covariates still tell retained from spliced; lower --caliper, or raise --bins")


def numeric_covariates(table, user, names, args):
    """Name → values ``(n,)`` float64 of the covariates of the labels and of the user's; refuses names of others."""
    from intronaut.io.tables import COVARIATES

    if "split" not in table:
        raise BadData(f"{args.labels}: no column split; split_introns and label_introns --folds write it")
    numeric = {name: on_its_scale(table[name], name) for name in COVARIATES if name in table}
    numeric |= {name: user[name].to_numpy(float) for name in user}
    if not names or set(names) - set(numeric):
        raise UsageError(f"--match {args.match}: covariates of {args.labels} are {', '.join(numeric)}")
    return numeric


def name_outputs(args):
    """Name the outputs that are not named after --output, beside it."""
    args.balance = args.balance or named_after(args.output, "matched", "balance.tsv")
    args.json = args.json or named_after(args.output, "matched", "matched.json")
    args.ledger = args.ledger or named_after(args.output, "matched", "unmatched.tsv")


def on_its_scale(values, name):
    """A covariate as float64, lengths and distances as log10(1 + x)."""
    import numpy as np

    values = values.to_numpy(float)
    return np.log10(1 + values.clip(min=0)) if name in LOGGED else values


def standardised(space, retained):
    """Every column with mean 0 and standard deviation 1 among the retained."""
    spread = space[retained].std(axis=0)
    spread[spread == 0] = 1
    return (space - space[retained].mean(axis=0)) / spread


def matched(space, retained, split, args):
    """The number of the match of every row, from 1; 0 where it has none.

    Args:
        space: standardised covariates, shape (rows, covariates).
        retained: bool, one value a row; ``split``: the fold or set of every row.
        args: the options of matching.
    """
    import numpy as np
    import pandas as pd

    if args.method == "propensity":
        space = propensity(space, retained)
    edges = [np.unique(np.quantile(column, np.linspace(0, 1, args.bins + 1)[1:-1])) for column in space[retained].T]
    bins = [np.searchsorted(edge, column) for edge, column in zip(edges, space.T, strict=True)]
    cell = pd.DataFrame(np.column_stack([pd.factorize(split)[0], *bins]))
    cell = cell.groupby(list(cell.columns)).ngroup().to_numpy()
    rng = np.random.default_rng(args.seed)
    match, number = np.zeros(len(space), np.int64), 0
    order = np.argsort(cell, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        for one, partners in pairs(space, rows[retained[rows]], rows[~retained[rows]], args.ratio, rng):
            if np.abs(space[partners] - space[one]).max() <= args.caliper:
                number += 1
                match[one] = match[partners] = number
    return match


def propensity(space, retained):
    """The standardised logit of being retained by a logistic regression of the covariates, shape (rows, 1)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(class_weight="balanced", max_iter=1000).fit(space, retained)
    return standardised(model.decision_function(space)[:, None], retained)


def pairs(space, ones, others, ratio, rng):
    """Yield a retained row and its spliced partners, ``ratio`` of them: the least total distance within one cell."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    ones = np.sort(rng.permutation(ones)[: len(others) // ratio])
    others = np.sort(rng.permutation(others)[: CANDIDATES * ratio * len(ones)])
    if not len(ones):
        return
    taken = linear_sum_assignment(cdist(np.repeat(space[ones], ratio, axis=0), space[others]))[1]
    yield from zip(ones, others[taken.reshape(len(ones), ratio)], strict=True)


def balance_table(numeric, label, kept, names):
    """Means and standardised mean differences of every covariate, before and after."""
    import numpy as np
    import pandas as pd

    rows = []
    for name, values in numeric.items():
        before = [values[(label == value) & ~np.isnan(values)] for value in (1, 0)]
        after = [values[kept & (label == value) & ~np.isnan(values)] for value in (1, 0)]
        if not all(map(len, before + after)):
            continue
        spread = np.sqrt(sum(part.var(ddof=1) if len(part) > 1 else 0 for part in before) / 2) or 1
        means = [part.mean() for part in before + after]
        row = [name, "yes" if name in names else "no", "log10(1+x)" if name in LOGGED else "x", *means]
        rows.append([*row, (means[0] - means[1]) / spread, (means[2] - means[3]) / spread])
    sides = ("retained_before", "spliced_before", "retained_after", "spliced_after")
    columns = ["covariate", "matched", "scale", *(f"mean_{side}" for side in sides), "smd_before", "smd_after"]
    return pd.DataFrame(rows, columns=columns)


def auroc_of(space, table, rows, seed):
    """``{"value", "low", "high"}`` of the AUROC of the covariates ``space`` alone on ``rows``; None for one fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    from intronaut.stats.strata import auroc_within_folds

    space, table = space[rows], table[rows] if rows.dtype == bool else table.iloc[rows]
    label, split = table["label"].to_numpy(), table["split"].fillna("NA").to_numpy()
    if any(len(set(label[split != part])) < 2 for part in set(split)):
        return None
    model = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=1000))
    how = {"groups": split, "cv": LeaveOneGroupOut(), "method": "decision_function"}
    logits = cross_val_predict(model, space, label, **how)
    groups = table["group"] if "group" in table else range(len(table))
    auroc = auroc_within_folds(label, logits, split, groups, seed)
    return auroc if auroc["low"] is not None else None


if __name__ == "__main__":
    run(main, TOOL)
