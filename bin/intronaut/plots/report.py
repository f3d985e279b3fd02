"""The figures of the report."""

import io

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from intronaut.plots.svg import NEUTRAL, RETAINED, SPLICED, forest, save_svg
from intronaut.stats.bootstrap import resampler, wilson

COLOUR_OF = {"features": SPLICED, "covariates": NEUTRAL, "combined": RETAINED}
WORDS_OF = {"features": "features", "covariates": "covariates only", "combined": "features + covariates"}
BAND_REPLICATES = 200
GRID = np.linspace(0, 1, 101)


def inline_svg(figure):
    """The figure as an ``<svg>`` element for a page."""
    buffer = io.StringIO()
    save_svg(figure, buffer)
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def panels(count, width=3.4, height=3.2):
    """A figure with ``count`` axes side by side."""
    figure = Figure(figsize=(width * count, height), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(1, count))


def covariates_by_label(labels):
    """Length and base content of retained against spliced introns: what any model can exploit without motifs."""
    known = labels[labels["label"].notna()]
    shown = [name for name in ("length", "gc") if name in known and known[name].notna().any()]
    figure, axes = panels(max(len(shown), 1))
    for axis, name in zip(axes, shown, strict=False):
        values = np.log10(known[name].clip(lower=1)) if name == "length" else known[name]
        edges = np.linspace(*values.quantile([0.001, 0.999]), 31)
        for label, colour, word in ((0, SPLICED, "spliced"), (1, RETAINED, "retained")):
            kind = {"histtype": "stepfilled", "color": colour, "alpha": 0.45, "label": word}
            axis.hist(values[known["label"] == label], edges, density=True, **kind)
        if name == "length":
            ticks = np.arange(np.ceil(edges[0]), np.floor(edges[-1]) + 1)
            axis.set_xticks(ticks, [f"{10 ** int(tick):,}" for tick in ticks])
        axis.set(xlabel={"length": "length (bp, log scale)", "gc": "GC fraction"}[name], ylabel="density", yticks=[])
    axes[0].legend()
    return figure


def roc_and_pr(predictions, groups):
    """ROC and precision–recall curves of the models on the same rows.

    ``predictions`` maps features/covariates/combined to tables with name, label and logit; ``groups`` (Series by name)
    are the leakage groups whose bootstrap gives the features' 95 % band; it must hold every name.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    figure, (roc, pr) = panels(2, width=3.8, height=3.7)
    for part, table in predictions.items():
        label, logit = table["label"].to_numpy(), table["logit"].to_numpy()
        curves = curves_on_grid(label, logit, np.ones(len(label)))
        roc.plot(GRID, curves[0], color=COLOUR_OF[part], label=f"{WORDS_OF[part]} ({roc_auc_score(label, logit):.3f})")
        precision = average_precision_score(label, logit)
        pr.plot(GRID, curves[1], color=COLOUR_OF[part], label=f"{WORDS_OF[part]} ({precision:.3f})")
        if part == "features":
            low, high = curve_band(label, logit, groups.loc[table["name"]].to_numpy())
            for axis, below, above in zip((roc, pr), low, high, strict=True):
                axis.fill_between(GRID, below, above, color=COLOUR_OF[part], alpha=0.15, linewidth=0)
    roc.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")
    roc.set(xlabel="false-positive rate", ylabel="true-positive rate", title="ROC (AUROC)")
    prevalence = next(iter(predictions.values()))["label"].mean()
    pr.axhline(prevalence, color="black", linewidth=0.8, linestyle=":", label=f"prevalence ({prevalence:.3f})")
    pr.set(xlabel="recall", ylabel="precision", title="Precision–recall (average precision)", ylim=(0, 1.02))
    roc.legend(loc="lower right", fontsize=8)
    pr.legend(loc="upper right", fontsize=8)
    return figure


def curves_on_grid(label, logit, weight):
    """``(2, 101)``: true-positive rate at each false-positive rate of GRID, precision at each recall of GRID."""
    order = np.argsort(-logit, kind="stable")
    label, weight, logit = label[order], weight[order], logit[order]
    last_of_tie = np.r_[logit[1:] != logit[:-1], True]
    true = np.cumsum(label * weight)[last_of_tie]
    false = np.cumsum((1 - label) * weight)[last_of_tie]
    recall, fall_out = true / true[-1], false / false[-1]
    # a replicate may draw none of the best-ranked rows; it has no precision there
    precision = true / np.maximum(true + false, 1e-12)
    return np.stack([np.interp(GRID, np.r_[0, fall_out], np.r_[0, recall]), np.interp(GRID, recall, precision)])


def curve_band(label, logit, groups):
    """The pointwise 2.5 % and 97.5 % quantiles of both curves over a bootstrap of whole groups, ``(2, 2, 101)``."""
    draws = resampler(groups, BAND_REPLICATES, seed=1)
    weights = draws.counts[:, draws.group].astype(float)
    curves = [curves_on_grid(label, logit, w) for w in weights if 0 < (w * label).sum() < w.sum()]
    return np.quantile(curves, [0.025, 0.975], axis=0)


def calibration(bins):
    """Observed retention, with its 95 % interval, against predicted in bins of equal size (of metrics.json)."""
    figure, (axis,) = panels(1, width=3.8, height=3.5)
    table = pd.DataFrame(bins)
    low, high = wilson(table["observed"] * table["n"], table["n"])
    top = 1.05 * max(table["predicted"].max(), high.max())
    axis.plot([0, top], [0, top], color="black", linewidth=0.8, linestyle=":")
    style = {"color": SPLICED, "marker": "o", "markersize": 4, "linewidth": 1, "capsize": 2}
    # rounding may put an end that lies on its point just beyond it
    reach = np.clip([table["observed"] - low, high - table["observed"]], 0, None)
    axis.errorbar(table["predicted"], table["observed"], reach, **style)
    axis.set(xlabel="predicted probability of retention", ylabel="observed fraction retained")
    axis.set(xlim=(0, top), ylim=(0, top))
    return figure


def metric_forest(rows, label, at):
    """One line a model: ``rows`` holds (name, {value, low, high})."""
    names, metrics = zip(*rows, strict=True)
    value, low, high = ([metric[key] for metric in metrics] for key in ("value", "low", "high"))
    return forest(names, value, low, high, f"{label} with its 95 % interval", at=at)


def group_effects(groups):
    """The strongest groups of groups.tsv: their summed coefficient with its interval; for trees the effect's size."""
    value = groups["coefficient_sum"].astype(float)
    if value.isna().all():
        value = groups["effect"].astype(float)
        return forest(groups["group"], value, value, value, "standard deviation of the contribution to the log-odds")
    low, high = (groups.get(side, value).astype(float) for side in ("low", "high"))
    return forest(groups["group"], value, low, high, "change of the log-odds of retention per standard deviation")
