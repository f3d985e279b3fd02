#!/usr/bin/env python3
"""Time the logistic path of fit at the size of the published study against scikit-learn and the published recipe.

Simulates 60,794 windows × 21,907 correlated sigmoid features of low rank (float16 on disk), as Sei's outputs are, and
fits ten values of C in five grouped, nested folds: 16 training sets, 160 models. Beside it, on the same data:

  scikit-learn   LogisticRegression(lbfgs), warm-started along the same path on the same standardised matrix, to the
                 same largest gradient; one training set is timed, and 16 are what the folds take
  AdamW          the published recipe (batches of 512, warm-up, cosine, early stop), one training

and compares the penalised loss that each reaches at the chosen C, and how soon ours is as low as the recipe's, from a
cold start. Goals: peak memory at most 12 GB on 2 cores; at least as low a loss as the recipe in at most 1/10 of its
time, and the whole path in at most 1/2 of scikit-learn's.
"""

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from machine import clock, processor
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bin"))
from intronaut.core.log import peak_bytes  # noqa: E402
from intronaut.io.h5ad import FeatureWriter, open_features  # noqa: E402
from intronaut.models import logistic  # noqa: E402
from intronaut.models.cross_validation import cross_fit, make_plan  # noqa: E402
from intronaut.models.design_matrix import Matrix, Scale  # noqa: E402
from intronaut.paper import logistic as paper_logistic  # noqa: E402
from intronaut.stats.metrics import log_losses  # noqa: E402

ROWS, COLUMNS, RANK = 60_794, 21_907, 200
C_VALUES = np.geomspace(1e-6, 1e-2, 10)


def simulate(path, n, d, seed=0):
    """Write sigmoid features of rank RANK plus noise; returns a labels table at 27 % retained."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(RANK, d)).astype(np.float32) * np.geomspace(1, 0.05, RANK, dtype=np.float32)[:, None]
    bias = rng.normal(-3, 1.5, d).astype(np.float32)
    effect = rng.normal(size=RANK).astype(np.float32) * np.geomspace(0.4, 0.1, RANK, dtype=np.float32)
    obs = pd.DataFrame({"digest": "0"}, index=pd.Index([f"w{k}" for k in range(n)], name="name"))
    var = pd.DataFrame({"kind": "tf"}, index=pd.Index([f"f{k}" for k in range(d)], name="name"))
    latent = np.empty((n, RANK), np.float32)
    with FeatureWriter(path, obs, var, np.float16, {"tool": "benchmark"}) as writer:
        for first in range(0, n, 2048):
            rows = np.arange(first, min(first + 2048, n))
            latent[rows] = rng.standard_normal((len(rows), RANK), np.float32)
            noise = 0.5 * rng.standard_normal((len(rows), d), np.float32)
            writer.write(rows, 1 / (1 + np.exp(-(0.5 * latent[rows] @ loadings + bias + noise))))
        writer.finish()
    logit = latent @ effect
    logit -= np.quantile(logit, 0.73)
    label = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return pd.DataFrame({"name": obs.index, "label": label, "group": np.arange(n) // 3})


def penalised(matrix, labels, model, c, sd=1.0):
    """The mean penalised loss, in float64, of ``(weights, intercept)`` on a matrix.

    ``sd`` turns the weights of raw columns into those of standardised ones, which the penalty is about.
    """
    logits, weights = paper_logistic.predict(matrix, *model), model[0] * sd
    return log_losses(labels, logits).mean() + weights @ weights / (2 * c * len(labels))


def timed(work):
    started = now()
    result = work()
    return result, now() - started


def peak_gb():
    """In GB of 2^30 bytes, as --memory is."""
    return peak_bytes() / 2**30


def bandwidth(matrix):
    """Bytes per second that sums over the matrix read, the bound of a single pass; on as many threads as that."""

    def read():
        return sum(matrix.map(lambda rows, values: values.sum()))

    return 4 * matrix.n * matrix.d / min(timed(read)[1] for _ in range(3))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows and of the columns")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", type=float, default=8, help="GB of features kept in memory")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest gradient of the mean loss")
    parser.add_argument("--epochs", type=int, default=paper_logistic.EPOCHS, help="most epochs of the recipe")
    parser.add_argument("--table", help="write what was measured here too, as TSV")
    parser.add_argument("--notes", default="", help="what else to say of the machine")
    parser.add_argument("--folder", help="where to put the features [a temporary folder]")
    parser.add_argument("--skip", nargs="*", default=[], choices=["scikit-learn", "adamw"])
    args = parser.parse_args()
    global now
    now = clock(args.threads)
    print(f"# {processor()}, {args.threads} threads")
    n, d = int(ROWS * args.scale), int(COLUMNS * args.scale)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        table = simulate(Path(folder) / "features.h5ad", n, d)
        # scikit-learn's products of matrices take all processors that they are not forbidden
        with threadpool_limits(args.threads):
            compare(open_features(Path(folder) / "features.h5ad"), table, args)


def compare(features, table, args):
    rows = np.repeat(np.arange(len(table))[:, None], 2, axis=1)
    measured, sd = path(features, rows, table, args)
    if "adamw" not in args.skip:
        labels = table["label"].to_numpy()
        measured |= recipe(features, rows, labels, sd, measured["chosen_c"], args)
        measured |= as_low_as(measured["recipe_loss"], features, rows, labels, measured["chosen_c"], args)
        measured["share_of_recipe"] = measured["as_low_as_recipe_seconds"] / measured["recipe_seconds"]
    for name, value in measured.items():
        print(f"{name:32} {value:.6g}")
    print(json.dumps(measured))
    if args.table:
        machine = f"# {processor()}, {args.threads} threads" + (f"; {args.notes}" if args.notes else "")
        rows = [f"{name}\t{value:.6g}" for name, value in measured.items()]
        Path(args.table).write_text("\n".join([machine, "what\tvalue", *rows]) + "\n")


def path(features, rows, table, args):
    """Our path over all folds, and scikit-learn's; returns what was measured and the columns' deviations."""
    labels = table["label"].to_numpy()
    size = {"memory": args.memory * 2**30, "threads": args.threads}
    matrix, read = timed(lambda: Matrix(features, rows, **size))
    measured = {"rows": matrix.n, "columns": matrix.d, "threads": args.threads, "read_seconds": read}
    everyone = np.ones((matrix.n, 1))
    loss = logistic.Objective(matrix, labels, everyone, 1.0, None)
    _, measured["one_pass_seconds"] = timed(lambda: loss(np.zeros((matrix.d + 1, 1)), [0]))
    measured["pass_share_of_bandwidth"] = 4 * matrix.n * matrix.d / measured["one_pass_seconds"] / bandwidth(matrix)

    spectrum, measured["spectrum_seconds"] = timed(lambda: logistic.spectrum(matrix))

    def solve(weights, c, start, standardisation=None):
        how = {"tolerance": args.tolerance, "spectrum": spectrum, "standardisation": standardisation}
        return logistic.fit(matrix, labels, weights, c, start=start, **how)

    fitted, measured["path_seconds"] = timed(lambda: cross_fit(matrix, labels, make_plan(table, 5), C_VALUES, solve))
    c_values = fitted.path["c"].unique()
    measured |= {"path_models": 16 * len(c_values), "chosen_c": fitted.setting, "peak_gb": peak_gb()}
    measured["path_seconds"] += measured["spectrum_seconds"]
    measured["single_path_seconds"] = (
        measured["spectrum_seconds"] + timed(lambda: along_path(solve, everyone, c_values))[1]
    )
    measured["loss"] = penalised(matrix, labels, fitted.final, fitted.setting)
    if "scikit-learn" not in args.skip:
        measured |= scikit_learn(matrix, labels, c_values, fitted.setting, args.tolerance)
        measured["path_share_of_sklearn"] = measured["path_seconds"] / (16 * measured["sklearn_single_path_seconds"])
    return measured, matrix.scale.sd


def along_path(solve, weights, c_values):
    solution = None
    for c in c_values:
        solution = solve(weights, c, solution)
    return solution


def scikit_learn(matrix, labels, c_values, chosen, tolerance):
    """One training set along the same path."""
    from sklearn.linear_model import LogisticRegression

    values = matrix.values()
    model = LogisticRegression(tol=tolerance, max_iter=10_000, warm_start=True)
    measured = {"sklearn_single_path_seconds": 0.0}
    for c in c_values:
        measured["sklearn_single_path_seconds"] += timed(lambda c=c: model.set_params(C=c).fit(values, labels))[1]
        if c == chosen:
            solution = model.coef_[0].astype(float), float(model.intercept_[0])
            measured["sklearn_loss"] = penalised(matrix, labels, solution, c)
    return measured


def recipe(features, rows, labels, sd, c, args):
    """One training by the published recipe, the last tenth of the rows being its validation set."""
    scale, memory = Scale.identity(len(sd)), args.memory * 2**30
    raw = Matrix(features, rows, scale=scale, memory=memory, threads=args.threads)
    valid = np.arange(raw.n) >= 0.9 * raw.n
    (model, history), seconds = timed(lambda: paper_logistic.fit(raw, labels, ~valid, valid, 1, epochs=args.epochs))
    measured = {"recipe_seconds": seconds, "recipe_epochs": history[-1]["epoch"]}
    return measured | {"recipe_loss": penalised(raw, labels, model, c, sd)}


def as_low_as(wanted, features, rows, labels, c, args):
    """Seconds of the shortest of our fits, each from a cold start and one step longer, whose loss is as low.

    The spectrum that leads them counts too.
    """
    matrix = Matrix(features, rows, memory=args.memory * 2**30, threads=args.threads)
    everyone, steps, loss = np.ones((matrix.n, 1)), 0, np.inf
    spectrum, led = timed(lambda: logistic.spectrum(matrix))
    while loss > wanted:
        steps += 1
        how = {"tolerance": args.tolerance, "max_iterations": steps, "spectrum": spectrum}
        solution, seconds = timed(partial(logistic.fit, matrix, labels, everyone, c, **how))
        loss = penalised(matrix, labels, (solution.weights[:, 0], solution.intercept[0]), c)
    return {
        "as_low_as_recipe_seconds": led + seconds,
        "as_low_as_recipe_steps": steps,
        "as_low_as_recipe_loss": loss,
    }


if __name__ == "__main__":
    main()
