"""partition: Shapley values by all orders, penalised fits by Newton's method, planted blocks, and every refusal."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import explain
import fit
import partition
import predict
from intronaut.core.errors import BadData, UsageError
from intronaut.io.h5ad import open_features
from intronaut.io.joined_features import open_joined
from intronaut.models import block_penalties
from intronaut.models.blocks import covariate_blocks, feature_blocks, nested_baselines
from intronaut.models.cross_validation import make_plan
from intronaut.stats import shares
from simulated_introns import draw_labels, introns, write_features, write_labels

PLAYERS = ["a", "b", "c", "d"]


@pytest.fixture
def game():
    rng = np.random.default_rng(1)
    return {members: float(rng.normal()) if members else 0.2 for members in shares.every_set(PLAYERS)}


def test_shapley_is_the_mean_over_all_orders(game):
    for player in PLAYERS:
        steps = []
        for order in itertools.permutations(PLAYERS):
            before = frozenset(order[: order.index(player)])
            steps.append(game[before | {player}] - game[before])
        assert shares.shapley(player, PLAYERS).of(game) == pytest.approx(np.mean(steps), abs=1e-12)
    total = sum(shares.shapley(player, PLAYERS).of(game) for player in PLAYERS)
    assert total == pytest.approx(game[frozenset(PLAYERS)] - game[frozenset()], abs=1e-12)


def test_alone_last_and_shared_by_hand(game):
    everything = frozenset(PLAYERS)
    assert shares.alone("b").of(game) == pytest.approx(game[frozenset("b")] - 0.2)
    assert shares.last_in("b", PLAYERS).of(game) == pytest.approx(game[everything] - game[everything - {"b"}])
    both = game[frozenset("ab")] - 0.2
    assert shares.shared("a", "b").of(game) == pytest.approx(game[frozenset("a")] + game[frozenset("b")] - 0.4 - both)


def test_sampled_orders_come_with_their_reverse_and_add_up(game):
    orders = shares.antithetic_orders(PLAYERS, 6, seed=3)
    assert all(second == first[::-1] for first, second in zip(orders[::2], orders[1::2], strict=True))
    total = sum(shares.mean_over(orders, player).of(game) for player in PLAYERS)
    assert total == pytest.approx(game[frozenset(PLAYERS)] - 0.2, abs=1e-12)


def newton(x, y, ridge):
    """Ridge logistic regression in float64: coefficients and intercept."""
    x1, point = np.c_[x, np.ones(len(x))], np.zeros(x.shape[1] + 1)
    penalty = np.append(ridge, 0.0)
    for _ in range(60):
        p = expit(x1 @ point)
        gradient = x1.T @ (p - y) + penalty * point
        hessian = (x1 * (p * (1 - p))[:, None]).T @ x1 + np.diag(penalty + 1e-12)
        point = point - np.linalg.solve(hessian, gradient)
    return point[:-1], point[-1]


def logits_without(x, y, train, ridge, turned):
    """Logits of all rows by Newton's method on training rows, where columns not ``turned`` have spread 1."""
    scaled = x / np.where(turned, 1, x[train].std(axis=0))
    weights, intercept = newton(scaled[train], y[train], ridge)
    return scaled @ weights + intercept


def blocks_of(values):
    """The Blocks of standardised columns by name, ``(n, d)`` each."""
    return [block_penalties.block_of(name, own, [f"{name} {at}" for at in range(own.shape[1])])
            for name, own in values.items()]  # fmt: skip


@pytest.fixture(scope="module")
def blocks():
    """A plan of 150 introns with a block of 3 columns, one of 12 and one far wider than there are introns."""
    rng = np.random.default_rng(4)
    widths = {"few": 3, "more": 12, "many": 400}
    values = {name: rng.normal(size=(150, width)).astype(np.float32) for name, width in widths.items()}
    table = introns(150)
    table["label"] = draw_labels(values["few"][:, 0] + 0.8 * values["many"][:, :6].sum(axis=1))
    return values, table["label"].to_numpy(float), make_plan(table, None)


@pytest.mark.parametrize("most_inverted", [0, 4096])
def test_fits_equal_newtons_method(blocks, most_inverted, monkeypatch):
    """Of a block that was turned to its principal axes too, without any two folds, with and without a first guess."""
    monkeypatch.setattr(block_penalties, "MOST_INVERTED", most_inverted)
    values, labels, plan = blocks
    turned = blocks_of(values)
    assert [block.turned for block in turned] == [False, False, True]
    assert turned[2].values.shape[1] <= 150 and turned[2].width == 400
    fits = block_penalties.Fits(turned, labels, plan)
    setting = (1.0, block_penalties.OFF, 30.0)
    x = np.hstack([values["few"], values["many"]]).astype(float)
    ridge = np.r_[np.full(3, 1.0), np.full(400, 30.0)]
    for left_out in (frozenset(), frozenset([2]), frozenset([1, 4])):
        train = ~np.isin(plan.fold, list(left_out))
        found = fits.logits(setting)[:, fits.place[left_out]]
        assert np.abs(found - logits_without(x, labels, train, ridge, np.arange(403) >= 3)).max() < 2e-3


def test_penalties_are_those_of_coordinate_descent(blocks):
    values, labels, plan = blocks
    fits = block_penalties.Fits(blocks_of(values), labels, plan)
    grids = [(block_penalties.OFF, *block.penalties) for block in fits.blocks]
    assert [len(grid) for grid in grids] == [2, 7, 7]
    for outer in (None, 3):
        setting = [block_penalties.OFF] * 3
        for _ in range(block_penalties.ROUNDS):
            for at, grid in enumerate(grids):
                losses = [fits.inner_loss((*setting[:at], one, *setting[at + 1 :]), outer) for one in grid]
                setting[at] = grid[int(np.argmin(losses))]
        chosen = block_penalties.choose(fits, {0, 1, 2}, outer)
        assert fits.inner_loss(chosen, outer) == pytest.approx(fits.inner_loss(tuple(setting), outer), abs=1e-6)
    assert block_penalties.choose(fits, {1}, None)[0] == block_penalties.OFF


def test_forgotten_logits_change_nothing(blocks, monkeypatch):
    values, labels, plan = blocks
    found = []
    for kept in (block_penalties.KEPT_LOGITS, 1):
        monkeypatch.setattr(block_penalties, "KEPT_LOGITS", kept)
        fits = block_penalties.Fits(blocks_of(values), labels, plan)
        found.append(block_penalties.held_out_logits(fits, {0, 1}))
    assert len(fits._logits) == 1
    assert np.abs(found[0][0] - found[1][0]).max() < 2e-3 and found[0][2] == found[1][2]


def test_held_out_rows_never_trained_their_model(blocks):
    values, labels, plan = blocks
    fits = block_penalties.Fits(blocks_of(values), labels, plan)
    logits, refitted, settings = block_penalties.held_out_logits(fits, {0})
    for fold in plan.held_out:
        rows, penalty = plan.fold == fold, settings[fold][0]
        for line, other in enumerate(plan.held_out):
            train = ~np.isin(plan.fold, [fold, other])
            wanted = logits_without(values["few"].astype(float), labels, train, np.full(3, penalty), False)
            assert np.abs(refitted[line, rows] - wanted[rows]).max() < 2e-3
        assert (refitted[list(plan.held_out).index(fold), rows] == logits[rows]).all()


def test_values_of_held_out_rows_change_no_model(blocks):
    """Neither by their spread nor by the median that stands for a missing value."""
    values, labels, plan = blocks
    rng, held = np.random.default_rng(2), plan.fold == 2
    mark = np.where(rng.random(150) < 0.3, 1.0, -0.4).astype(np.float32)
    own = np.c_[np.where(mark > 0, 0.25, values["few"][:, 0]), mark].astype(np.float32)
    names, found = ["covariate:tpm", "covariate:tpm_missing"], []
    for factor in (1, 2):
        changed = np.where(held[:, None] & (np.arange(2) == 0) & (mark < 0)[:, None], factor * own, own)
        fits = block_penalties.Fits([block_penalties.block_of("expression", changed, names)], labels, plan)
        found.append(fits.logits((1.0,)))
    kept, seen = ([fits.place[frozenset(folds)] for folds in one] for one in ([[2], [2, 4]], [[4], []]))
    difference = np.abs(found[0] - found[1])[~held]
    assert difference[:, kept].max() < 1e-4 < 1e-3 < difference[:, seen].max()


COLUMNS = pd.DataFrame({f"covariate:{name}": [0.0, 1.0] for name in ("length", "gc", "gc_missing", "tpm", "map")})


def test_covariates_fall_into_their_blocks():
    found = {name: list(own) for name, own in covariate_blocks(COLUMNS).items()}
    assert found == {
        "architecture": ["covariate:length"], "composition": ["covariate:gc", "covariate:gc_missing"],
        "expression": ["covariate:tpm"], "other": ["covariate:map"],
    }  # fmt: skip
    found = {name: list(own) for name, own in covariate_blocks(COLUMNS, ["size=length,map", "composition="]).items()}
    assert found == {"expression": ["covariate:tpm"], "size": ["covariate:length", "covariate:map"]}
    rows = {name: own.shape[1] for name, own in nested_baselines(COLUMNS).items()}
    assert rows == {"architecture": 1, "+ composition": 3, "+ expression": 4, "+ other covariates": 5}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a=nothing"], "no column nothing"),
        (["a=gc", "b=gc"], "gc is in two blocks"),
        (["a"], "NAME=COLUMN"),
    ],
)
def test_blocks_that_cannot_be(words, message):
    with pytest.raises(UsageError, match=message):
        covariate_blocks(COLUMNS, words)


def test_features_fall_into_blocks_by_a_column():
    var = pd.DataFrame({"kind": ["tf", "", "tf", None]}, index=list("abcd"))
    assert {name: list(at) for name, at in feature_blocks(var, "kind").items()} == {"tf": [0, 2], "other": [1, 3]}
    with pytest.raises(BadData, match="--blocks nothing"):
        feature_blocks(var, "nothing")


def test_several_files_are_joined_by_intron(tmp_path):
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(6, 2)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    write_features(tmp_path / "one.h5ad", list("abcdef"), first)
    write_features(tmp_path / "two.h5ad", list("fxdba"), second)
    joined = open_joined([str(tmp_path / "one.h5ad"), f"chromatin={tmp_path / 'two.h5ad'}"])
    assert list(joined.obs.index) == list("abdf")
    assert list(joined.var.index) == ["one:f0", "one:f1", "chromatin:f0", "chromatin:f1", "chromatin:f2"]
    wanted = np.hstack([first[[0, 1, 3, 5]], second[[4, 3, 2, 0]]])
    assert np.array_equal(joined.x[:], wanted) and np.array_equal(joined.x[np.array([1, 3])], wanted[[1, 3]])
    assert joined.x.shape == (4, 5)
    write_features(tmp_path / "three.h5ad", list("uvw"), second[:3])
    with pytest.raises(BadData, match="no row is also one of"):
        open_joined([str(tmp_path / "one.h5ad"), str(tmp_path / "three.h5ad")])
    with pytest.raises(UsageError, match="two files of block a"):
        open_joined([f"a={tmp_path / 'one.h5ad'}", f"a={tmp_path / 'two.h5ad'}"])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Labels by length and by six of thirty features; gc and the features of block noise tell nothing."""
    folder, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(6)
    table, values = introns(600).drop(columns=["cpg", "rank", "dist_tss"]), rng.normal(size=(600, 40))
    z = (np.log(table["length"]) - 7) / 1.2
    table["label"] = draw_labels(-0.5 - 1.4 * z + 0.7 * values[:, :6].sum(axis=1))
    var = pd.DataFrame({"kind": ["chromatin"] * 30 + ["noise"] * 10}, index=[f"f{j}" for j in range(40)])
    write_labels(folder / "labels.tsv", table)
    write_features(folder / "f.h5ad", list(table["name"]), values.astype(np.float32), var.rename_axis("name"))
    return folder


def run(study, folder, *options):
    paths = ["--features", study / "f.h5ad", "--labels", study / "labels.tsv", "--blocks", "kind", "-o", folder]
    partition.main([str(word) for word in (*paths, *options, "--threads", 1, "--quiet")])
    return pd.read_csv(folder / "partition.tsv", sep="\t", keep_default_na=True)


def test_planted_blocks_are_found(study, tmp_path):
    table = run(study, tmp_path / "p")
    for _, rows in table.groupby("measure"):
        rows = rows.set_index("block")
        assert list(rows.index) == ["architecture", "composition", "chromatin", "noise", "(all)"]
        total = rows.loc["(all)", "shapley"]
        assert rows["shapley"].drop("(all)").sum() == pytest.approx(total, abs=1e-9)
        assert rows["share"].drop("(all)").sum() == pytest.approx(1)
        assert rows["adds"].to_dict() == dict(zip(rows.index, ["yes", "no", "yes", "no", "yes"], strict=True))
        assert (rows["last_in_low"] <= rows["last_in"]).all() and (rows["last_in"] <= rows["last_in_high"]).all()
    sets = pd.read_csv(tmp_path / "p" / "sets.tsv", sep="\t").set_index("blocks")
    assert len(sets) == 16 and sets.loc["(none)", "auroc"] == 0.5
    assert sets.loc["(none)", "deviance"] == pytest.approx(0, abs=1e-7)
    auroc = table[table["measure"] == "auroc"].set_index("block")
    alone = sets.loc["chromatin", "auroc"] - 0.5
    assert auroc.loc["chromatin", "alone"] == pytest.approx(alone, abs=1e-5)
    shared = pd.read_csv(tmp_path / "p" / "shared.tsv", sep="\t")
    assert len(shared) == 3 * 6 and (shared["low"] <= shared["shared"]).all()
    penalties = pd.read_csv(tmp_path / "p" / "penalties.tsv", sep="\t")
    assert len(penalties) == 15 * 5
    about = json.loads((tmp_path / "p" / "partition.json").read_text())
    assert about["blocks"] == {"architecture": 1, "composition": 1, "chromatin": 30, "noise": 10}
    assert "chromatin adds to all other blocks" in " ".join(about["sentences"])
    assert "noise is not shown to add" in " ".join(about["sentences"])
    figure = (tmp_path / "p" / "partition.svg").read_text()
    assert "chromatin" in figure and "beyond all others" in figure


def test_few_retained_introns_and_few_groups_are_said(tmp_path, capsys):
    """Fifteen retained introns in fifteen groups, each fold with three."""
    table = introns(300).assign(label=np.arange(300) % 20 == 0).astype({"label": int})
    write_labels(tmp_path / "labels.tsv", table)
    partition.main(["--labels", str(tmp_path / "labels.tsv"), "-o", str(tmp_path / "p"), "--threads", "1"])
    told = json.loads((tmp_path / "p/partition.json").read_text())["warnings"]
    few = ["15 retained introns are few: below 50", "15 leakage groups hold the rarer class: below 20"]
    assert [words in text for words, text in zip(few, told, strict=True)] == [True, True]
    assert all(words in " ".join(capsys.readouterr().err.split()) for words in few[:1])


def test_the_same_run_writes_the_same_bytes(study, tmp_path):
    for name in "ab":
        run(study, tmp_path / name, "--block", "composition=", "--sequential")
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1] and "partition.svg" in files[0]
    table = pd.read_csv(tmp_path / "a" / "partition.tsv", sep="\t")
    for _, rows in table.groupby("measure"):
        assert rows["sequential"].iloc[:-1].sum() == pytest.approx(rows["sequential"].iloc[-1], abs=1e-9)


def test_trees_and_sampled_orders(study, tmp_path):
    table = run(study, tmp_path / "p", "--model", "lightgbm", "--sampled", 2, "--block", "composition=", "--folds", 3)
    rows = table[table["measure"] == "auroc"].set_index("block")
    assert rows["shapley"].drop("(all)").sum() == pytest.approx(rows.loc["(all)", "shapley"], abs=1e-9)
    assert rows.loc["chromatin", "alone"] > 0.1 and not (tmp_path / "p" / "penalties.tsv").exists()
    assert not json.loads((tmp_path / "p" / "partition.json").read_text())["exact"]


def test_covariates_alone_need_no_features(study, tmp_path):
    options = ["--labels", study / "labels.tsv", "-o", tmp_path / "p", "--threads", 1, "--quiet"]
    partition.main([str(word) for word in options])
    table = pd.read_csv(tmp_path / "p" / "partition.tsv", sep="\t")
    assert set(table["block"]) == {"architecture", "composition", "(all)"}


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (["--block", "chromatin=gc"], UsageError, "block chromatin has covariates and features"),
        (["--blocks", "nothing"], BadData, "no such column; it has kind"),
        (["--sequential", "--sampled", "4"], UsageError, "--sampled: without effect with --sequential"),
    ],
)
def test_requests_that_cannot_be_met(study, tmp_path, options, kind, message):
    with pytest.raises(kind, match=message):
        run(study, tmp_path / "p", *options)
    assert not (tmp_path / "p").exists()


def test_too_many_blocks_are_refused(study, tmp_path):
    table = pd.read_csv(study / "labels.tsv", sep="\t", dtype=str, keep_default_na=False)
    rng = np.random.default_rng(7)
    for name in ("u", "v", "w", "x", "y"):
        table[name] = rng.normal(size=len(table)).round(4)
    table.to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    words = ["--labels", tmp_path / "labels.tsv", "--covariates", "u,v,w,x,y", "-o", tmp_path / "p", "--quiet"]
    words += [word for name in ("u", "v", "w", "x", "y") for word in ("--block", f"{name}={name}")]
    with pytest.raises(UsageError, match="7 blocks .* have 128 sets: merge blocks"):
        partition.main([str(word) for word in words])
    words = ["--labels", study / "labels.tsv", "-o", tmp_path / "p", "--quiet", "--block", "composition="]
    with pytest.raises(BadData, match="only one block"):
        partition.main([str(word) for word in words])


def test_baselines_take_in_covariates_block_by_block(study, tmp_path):
    """Each row of fit's baselines.tsv is the same model as that of fit on labels with these columns only."""
    table = pd.read_csv(study / "labels.tsv", sep="\t", dtype=str, keep_default_na=False)
    rng = np.random.default_rng(8)
    table["tpm"] = rng.gamma(1, 1, len(table)).round(4)
    table["donor_strength"] = rng.normal(size=len(table)).round(4)
    table.to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    common = ["--features", study / "f.h5ad", "--bootstrap", 100, "--threads", 1, "--quiet"]
    fit.main(
        [
            str(word)
            for word in (*common, "--labels", tmp_path / "labels.tsv", "--covariates", "tpm", "-o", tmp_path / "m")
        ]
    )
    rows = pd.read_csv(tmp_path / "m" / "baselines.tsv", sep="\t").set_index("row")
    assert list(rows.index) == ["architecture", "+ composition", "+ splice sites", "+ expression", "+ features"]
    assert rows["columns"].tolist()[:4] == [1, 2, 3, 4]
    metrics = json.loads((tmp_path / "m" / "metrics.json").read_text())
    for row, part in (("+ expression", "covariates"), ("+ features", "combined")):
        assert rows.loc[row, "auroc"] == pytest.approx(metrics["baseline"][part]["auroc"]["value"], rel=1e-5)
    gain = metrics["gain"]["combined_minus_covariates"]["auroc"]
    found = rows.loc["+ features", ["auroc_gain", "auroc_gain_low", "auroc_gain_high"]].astype(float).tolist()
    assert found == pytest.approx([gain["value"], gain["low"], gain["high"]], rel=1e-4)
    table.drop(columns=["tpm", "donor_strength"]).to_csv(tmp_path / "less.tsv", sep="\t", index=False)
    fit.main([str(word) for word in (*common, "--labels", tmp_path / "less.tsv", "-o", tmp_path / "less")])
    less = json.loads((tmp_path / "less" / "metrics.json").read_text())
    assert rows.loc["+ composition", "auroc"] == pytest.approx(
        less["baseline"]["covariates"]["auroc"]["value"], rel=1e-5
    )


def test_fit_predict_and_explain_take_several_files(study, tmp_path):
    features = open_features(study / "f.h5ad")
    names, values = list(features.obs.index), features.x[:]
    write_features(tmp_path / "one.h5ad", names, values[:, :20])
    write_features(tmp_path / "two.h5ad", names[::-1], values[::-1, 20:])
    files = [f"chromatin={tmp_path / 'one.h5ad'}", str(tmp_path / "two.h5ad")]
    common = ["--labels", str(study / "labels.tsv"), "--bootstrap", "100", "--threads", "1", "--quiet"]
    fit.main(["--features", *files, *common, "-o", str(tmp_path / "joined")])
    fit.main(["--features", str(study / "f.h5ad"), *common, "-o", str(tmp_path / "whole")])
    table = pd.read_csv(tmp_path / "joined" / "coefficients.tsv", sep="\t")
    whole = pd.read_csv(tmp_path / "whole" / "coefficients.tsv", sep="\t")
    assert table["feature"].iloc[[0, 20]].tolist() == ["chromatin:f0", "two:f0"]
    assert table["coefficient"].to_numpy() == pytest.approx(whole["coefficient"].to_numpy(), abs=1e-3)
    predict.main(["--model", str(tmp_path / "joined"), "--features", *files, "-o", str(tmp_path / "p.tsv"), "--quiet"])
    assert len(pd.read_csv(tmp_path / "p.tsv", sep="\t")) == 600
    words = [
        "--model",
        tmp_path / "joined",
        "--features",
        *files,
        "--group-by",
        "block",
        "-o",
        tmp_path / "e",
        "--quiet",
    ]
    explain.main([str(word) for word in words])
    groups = pd.read_csv(tmp_path / "e" / "groups.tsv", sep="\t")
    assert set(groups["group"]) == {"chromatin", "two"}


@pytest.mark.parametrize("columns", ["counts", "level"])
def test_levels_are_partitioned_by_deviance(study, tmp_path, columns):
    """Counts of reads whose share follows chromatin; the value of a set is fit's own D² where penalties agree."""
    table = pd.read_csv(study / "labels.tsv", sep="\t", dtype=str, keep_default_na=False)
    rng, values = np.random.default_rng(9), open_features(study / "f.h5ad").x[:]
    n = rng.integers(12, 200, len(table))
    p = expit(-1.5 + 0.8 * values[:, :4].sum(axis=1))
    reads = rng.binomial(n, p)
    if columns == "counts":
        table["ir_reads"], table["ir_total"] = reads.astype(str), n.astype(str)
    else:
        table["psi"] = (reads / n).round(5).astype(str)
    table.to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    words = ["--features", study / "f.h5ad", "--labels", tmp_path / "labels.tsv", "--blocks", "kind"]
    words += ["--target", columns]
    partition.main([str(word) for word in (*words, "-o", tmp_path / "p", "--threads", 1, "--quiet")])
    rows = pd.read_csv(tmp_path / "p" / "partition.tsv", sep="\t")
    assert set(rows["measure"]) == {"deviance"}
    rows = rows.set_index("block")
    total = rows.loc["(all)", "shapley"]
    assert rows["shapley"].drop("(all)").sum() == pytest.approx(total, abs=1e-9)
    assert rows.loc["chromatin", "adds"] == "yes" and rows.loc["chromatin", "last_in"] > 0.25
    assert (rows.loc[["noise", "composition"], "adds"] == "no").all()
    sets = pd.read_csv(tmp_path / "p" / "sets.tsv", sep="\t").set_index("blocks")
    assert sets.loc["(none)", "deviance"] == pytest.approx(0, abs=1e-6)
    assert "deviance explained" in json.loads((tmp_path / "p" / "partition.json").read_text())["sentences"][0]
