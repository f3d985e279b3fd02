"""finetune as its user runs it: what it learns, what it must not see, runs that are killed, what compare reads."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import compare
import finetune
import fit
import predict
from conftest import ROOT
from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData, TryAgain, UsageError
from intronaut.core.log import Log
from intronaut.networks import classifiers, training
from random_checkpoints import write_dnabert2, write_sei
from reference_aurocs import auroc_between_groups
from simulated_introns import introns, write_features, write_labels

MOTIF = "TGACGTCAT"
QUIET = Log("finetune", None)
BASSET = ("--network", "basset")


def planted(n, length=60, seed=1):
    """A labels table of train, valid and test rows, and sequences: the retained hold the motif, on either strand."""
    rng, table = np.random.default_rng(seed), introns(n)
    table["split"] = table["split"].map({"1": "test", "2": "valid"}).fillna("train")
    table["label"] = (rng.random(n) < 0.4).astype(int)
    sequences = ["".join(row) for row in rng.choice(list("ACGT"), (n, length))]
    for row in np.flatnonzero(table["label"]):
        at, motif = rng.integers(length - len(MOTIF)), MOTIF if rng.random() < 0.5 else reverse_complement(MOTIF)
        sequences[row] = sequences[row][:at] + motif + sequences[row][at + len(MOTIF) :]
    return table, sequences


def write_study(folder, table, sequences):
    write_labels(folder / "labels.tsv", table)
    records = zip(table["name"], sequences, strict=True)
    (folder / "windows.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence in records))


def words(*options, output="m"):
    given = ("--windows", "windows.fa", "--labels", "labels.tsv", "-o", output, "--bootstrap", 50, "--threads", 1)
    return [str(word) for word in (*given, *options)]


def tuned(*options, output="m"):
    finetune.main([*words(*options, output=output), "--quiet"])


def table_of(path):
    return pd.read_csv(path, sep="\t")


def notes_of(folder, name="model.json"):
    return json.loads((Path(folder) / name).read_text())


def same_bytes(names, folder="m", other="unbroken"):
    return all((Path(folder) / name).read_bytes() == (Path(other) / name).read_bytes() for name in names)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A narrow Sei and a small DNABERT-2 of random weights."""
    folder = tmp_path_factory.mktemp("published")
    write_sei(folder / "sei")
    write_dnabert2(folder / "dnabert2")
    sei = ("--network", "sei", "--weights", folder / "sei/sei.pth")
    dnabert2 = ("--network", "dnabert2", "--weights", folder / "dnabert2/model.safetensors")
    return {"sei": sei, "dnabert2": (*dnabert2, "--tokenizer", folder / "dnabert2/tokenizer.json")}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """60 windows of 60 bases, written to the test's own folder."""
    monkeypatch.chdir(tmp_path)
    table, sequences = planted(60)
    write_study(tmp_path, table, sequences)
    return table, sequences


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A Basset-like network trained on 900 windows with a planted motif, and a fit on features of the same windows."""
    folder = tmp_path_factory.mktemp("learnt")
    table, sequences = planted(900)
    write_study(folder, table, sequences)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tuned(*BASSET, "--epochs", 12, "--warm-up", 1)
        features = np.random.default_rng(1).normal(size=(len(table), 3)).astype(np.float32)
        write_features(folder / "f.h5ad", list(table["name"]), features)
        given = ("--features", "f.h5ad", "--labels", "labels.tsv", "-o", "noise", "--bootstrap", "50", "--threads", "1")
        fit.main([*given, "--quiet"])
    return folder, sequences


def test_a_planted_motif_is_learnt_and_written_as_fit_writes(learnt):
    folder, _ = learnt
    predictions, metrics = table_of(folder / "m/predictions.tsv"), notes_of(folder / "m", "metrics.json")
    auroc = metrics["metrics"]["auroc"]["value"]
    assert auroc >= 0.9
    groups = table_of(folder / "labels.tsv").set_index("name")["group"].loc[predictions["name"]]
    assert auroc == pytest.approx(auroc_between_groups(predictions, groups), abs=1e-12)
    assert set(predictions["split"]) == {"test"} and len(predictions) == metrics["n"] == 180
    assert metrics["gain"]["combined_minus_covariates"]["auroc"]["low"] > 0.2
    assert metrics["rows"]["used"] == metrics["rows"]["labels"] == 900
    # networks are not trained without a second fold, predict decides by what fit alone writes, and so are baselines
    of_fit_alone = {"coefficients.tsv", "refits.tsv", "threshold.json", "conformal.tsv", "domain.safetensors"}
    of_fit_alone |= {"baselines.tsv"}
    written = {path.name for path in (folder / "noise").iterdir()} - of_fit_alone
    assert {path.name for path in (folder / "m").iterdir()} == written
    assert not (folder / ".m.part").exists()


def test_the_baseline_is_that_of_fit(learnt):
    folder, _ = learnt
    for name in ("predictions.tsv", "metrics.json"):
        assert (folder / "m/covariates" / name).read_bytes() == (folder / "noise/covariates" / name).read_bytes()


def test_compare_treats_a_network_as_it_treats_a_fit(learnt, monkeypatch):
    folder, _ = learnt
    monkeypatch.chdir(folder)
    compare.main(["noise", "m", "--labels", "labels.tsv", "-o", "compared", "--bootstrap", "50", "--quiet"])
    pairs = table_of(folder / "compared/comparison.tsv").set_index(["model_a", "model_b"])
    assert pairs.loc[("m", "noise"), "auroc_p_holm"] < 1e-6
    assert list(table_of(folder / "compared/models.tsv")["model"])[0] == "m"


def test_predict_gives_the_judged_logits_in_any_order_and_on_either_strand(learnt, tmp_path):
    folder, sequences = learnt
    judged = table_of(folder / "m/predictions.tsv").set_index("name")["logit"]
    names = [f"i{row}" for row in range(len(sequences))]
    order = np.random.default_rng(3).permutation(len(names))
    for turn in (str, reverse_complement):
        (tmp_path / "w.fa").write_text("".join(f">{names[row]}\n{turn(sequences[row])}\n" for row in order))
        found = ("--model", folder / "m", "--windows", tmp_path / "w.fa", "-o", tmp_path / "p.tsv", "--threads", 1)
        predict.main([str(word) for word in found])
        again = table_of(tmp_path / "p.tsv")
        assert list(again["name"]) == [names[row] for row in order]
        difference = (again.set_index("name")["logit"][judged.index] - judged).abs().max()
        # the table holds six digits
        assert difference <= 2e-5


@pytest.mark.parametrize("name", ["basset", "sei", "dnabert2"])
def test_a_prediction_does_not_depend_on_the_windows_computed_with_it(name, published, small):
    _, sequences = small
    tuned(*published.get(name, BASSET), "--epochs", 1)
    network, notes = classifiers.read_network("m")
    reader = classifiers.reader_of(notes, "m")
    rows = [reader.encode(sequence[: 60 - row % 3 * (name == "dnabert2")]) for row, sequence in enumerate(sequences)]
    whole = classifiers.predict(network, reader.collate, [rows], size=60, log=QUIET)
    for size in (1, 7):
        assert np.abs(classifiers.predict(network, reader.collate, [rows], size=size, log=QUIET) - whole).max() <= 1e-6
    order = np.random.default_rng(2).permutation(len(rows))
    turned = classifiers.predict(network, reader.collate, [[rows[row] for row in order]], size=60, log=QUIET)
    assert np.abs(turned - whole[order]).max() <= 1e-6


WAYS = {
    "sei": (),
    "sei --freeze": ("--dtype", "bfloat16", "--strands", "forward"),
    "sei --head linear-probe": ("--at-once", 7),
    "dnabert2": ("--optimiser", "sgd", "--max-tokens", 9),
    "dnabert2 --lora 4": ("--strands", "both"),
    "dnabert2 --head linear-probe": (),
}
HEADS = {"sei": 60 * 520 * 3 + 520 * 3 + 520**2 * 2 + 520 + 520 * 2 + 2, "dnabert2": 128 * 128 + 128 + 128 * 2 + 2}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_training_changes_what_it_should_and_is_read_back(way, published, small):
    name, *options = way.split()
    tuned(*published[name], *options, *WAYS[way], "--epochs", 1)
    notes, judged = notes_of("m"), table_of("m/predictions.tsv").set_index("name")["logit"]
    predict.main(["--model", "m", "--windows", "windows.fa", "-o", "new.tsv", "--threads", "1"])
    bound = 1e-2 if "bfloat16" in WAYS[way] else 1e-5
    assert (table_of("new.tsv").set_index("name")["logit"][judged.index] - judged).abs().max() < bound
    before = classifiers.open_pretrained(name, published[name][3]).tensors
    after = {
        tensor: value for tensor, value in load_file("m/weights.safetensors").items() if tensor.startswith("trunk.")
    }
    changed = {tensor for tensor, value in before.items() if not torch.equal(value, after[f"trunk.{tensor}"])}
    assert len(after) == len(before)
    trunk = sum(value.numel() for value in before.values())
    if "--lora" in options:
        assert changed == {key for key in before if key.endswith(("Wqkv.weight", "attention.output.dense.weight"))}
        assert notes["n_parameters"] == HEADS[name] + 2 * 4 * (128 + 3 * 128 + 128 + 128)
    elif "--freeze" in options:
        assert not changed and notes["n_parameters"] == HEADS[name]
    elif "linear-probe" in options:
        assert not changed and notes["n_parameters"] == {"sei": 60 * 16, "dnabert2": 128}[name] * 2 + 2
    else:
        # of the two token types only the first is ever read; weight decay shrinks all
        assert changed == before.keys() and notes["n_parameters"] == trunk + HEADS[name]
    # only a trained trunk is the fine-tuned Sei of the claims
    assert notes["kind"] == (f"{name} head" if not changed else {"sei": "fsei"}.get(name, name))


def test_levels_are_learnt_by_the_loss_of_labels_weighted_by_fragments(small, tmp_path):
    table, sequences = small
    tuned(*BASSET, "--epochs", 2)
    # levels of 0 and 1 that weigh alike are labels
    levels = table.assign(psi=table["label"].astype(float), psi_n=20, psi_weight=4.0, label=np.nan)
    write_study(tmp_path, levels, sequences)
    tuned(*BASSET, "--epochs", 2, "--target", "level", output="levels")
    assert same_bytes(["weights.safetensors"], other="levels")
    metrics, notes = notes_of("levels", "metrics.json"), notes_of("levels")
    assert notes["target"] == "level" and {"spearman", "deviance_explained"} <= metrics["metrics"].keys()
    assert set(metrics["baseline"]) == {"covariates", "combined"}
    rng = np.random.default_rng(0)
    write_study(tmp_path, levels.assign(psi_weight=rng.uniform(1, 9, len(table)).round(2)), sequences)
    tuned(*BASSET, "--epochs", 2, "--target", "level", output="weighted")
    assert not same_bytes(["weights.safetensors"], other="weighted")
    write_study(tmp_path, levels.assign(psi=(levels["psi"] * 0.6 + 0.2).round(3)), sequences)
    tuned(*BASSET, "--epochs", 2, "--target", "level", output="shares")
    mean = table_of("shares/predictions.tsv")["psi"].mean()
    assert not same_bytes(["weights.safetensors"], other="shares") and 0.2 < mean < 0.8


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--preset", "paper"], "the paper fits labels, not levels"),
        (["--seeds", "2"], "--seeds: without effect with --target level"),
        (["--target", "label", "--min-reads", "5"], "--min-reads: without effect with --target label"),
    ],
)
def test_what_levels_do_not_take_is_refused(options, expected, small):
    with pytest.raises(UsageError, match=expected):
        tuned(*BASSET, "--target", "level", *options)


def test_the_trunk_learns_at_its_share_of_the_rate(published, small):
    tuned(*published["sei"], "--epochs", 1, "--trunk-factor", 1e-6, "--weight-decay", 0)
    before = classifiers.open_pretrained("sei", published["sei"][3]).tensors
    after = load_file("m/weights.safetensors")
    # a step of AdamW is about as long as the learning rate, here at most 1e-3 for the head
    moved = max((after[f"trunk.{name}"] - value).abs().max() for name, value in before.items())
    assert moved < 1e-8 < 1e-5 < (after["head.3.weight"] - torch.eye(520)).abs().max()


def test_no_judged_row_has_a_part_in_training(small, tmp_path):
    table, sequences = small
    tuned(*BASSET, "--epochs", 2)
    rng, test = np.random.default_rng(5), (table["split"] == "test").to_numpy()
    turned = table.assign(label=np.where(test, 1 - table["label"], table["label"]))
    others = [s if not held else "".join(rng.choice(list("ACGT"), 60)) for s, held in zip(sequences, test, strict=True)]
    write_study(tmp_path, turned, others)
    tuned(*BASSET, "--epochs", 2, output="turned")
    assert same_bytes(["weights.safetensors", "path.tsv"], other="turned")
    # and a validation row has: the test would notice
    valid = (table["split"] == "valid").to_numpy()
    write_study(tmp_path, table.assign(label=np.where(valid, 1 - table["label"], table["label"])), sequences)
    tuned(*BASSET, "--epochs", 2, output="turned")
    assert (table_of("m/path.tsv")["inner_log_loss"] != table_of("turned/path.tsv")["inner_log_loss"]).all()


def test_no_fold_has_a_part_in_its_own_prediction(small, tmp_path):
    table, sequences = small
    table["split"] = (np.arange(60) // 3 % 4 + 1).astype(str)
    write_study(tmp_path, table, sequences)
    tuned(*BASSET, "--epochs", 1)
    first = (table["split"] == "1").to_numpy()
    write_study(tmp_path, table.assign(label=np.where(first, 1 - table["label"], table["label"])), sequences)
    tuned(*BASSET, "--epochs", 1, output="turned")
    was, now = (table_of(f"{folder}/predictions.tsv")["logit"].to_numpy() for folder in ("m", "turned"))
    assert (was[first] == now[first]).all()
    # folds 2 and 3 train on fold 1; fold 4 only stops by it, after the one epoch there is
    assert (was != now)[table["split"].isin(["2", "3"])].mean() > 0.9
    assert list(table_of("m/predictions.tsv")["fold"]) == list(table["split"].astype(int))


def test_a_killed_run_goes_on_to_the_same_bytes(small, tmp_path):
    options = (*BASSET, "--epochs", 4)
    tuned(*options, output="unbroken")
    command = [sys.executable, ROOT / "bin/finetune.py", *words(*options)]
    run, checkpoint = subprocess.Popen(command, stderr=subprocess.DEVNULL), tmp_path / ".m.part/seed1_fold0.safetensors"
    while not checkpoint.exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not (tmp_path / "m").exists()
    tuned(*options)
    assert same_bytes(("weights.safetensors", "predictions.tsv", "metrics.json", "path.tsv", "strata.tsv"))
    assert sorted(os.listdir(tmp_path)) == ["labels.tsv", "m", "unbroken", "windows.fa"]


@pytest.mark.parametrize(
    ("name", "options", "at"),
    [
        ("dnabert2", ("--lora", 4, "--optimiser", "sgd", "--folds", 3), 3),
        ("sei", ("--freeze", "--seeds", 2), 3),
        ("basset", ("--dtype", "float16", "--batch-size", 16, "--at-once", 8), 1),
    ],
)
def test_a_run_interrupted_at_any_checkpoint_goes_on_to_the_same_bytes(
    name, options, at, published, small, monkeypatch
):
    options = (*published.get(name, BASSET), *options, "--epochs", 2)
    tuned(*options, output="unbroken")
    saved, save = [], training.Training.save

    def broken(*given):
        save(*given)
        saved.append(given)
        if len(saved) == at:
            raise KeyboardInterrupt

    monkeypatch.setattr(training.Training, "save", broken)
    with pytest.raises(KeyboardInterrupt):
        tuned(*options)
    tuned(*options)
    assert same_bytes(("weights.safetensors", "predictions.tsv", "metrics.json", "path.tsv"))


def test_checkpoints_of_other_options_are_not_gone_on_from(small, monkeypatch, capsys):
    def interrupted(*given):
        raise KeyboardInterrupt

    tuned(*BASSET, "--epochs", 1, output="unbroken")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(finetune, "write_model", interrupted)
        tuned(*BASSET, "--epochs", 1, "--learning-rate", 0.1)
    finetune.main(words(*BASSET, "--epochs", 1))
    assert "checkpoints of other options or inputs; starting again" in capsys.readouterr().err
    assert same_bytes(["weights.safetensors"])


def test_pieces_of_a_batch_add_up_to_its_gradient(published, small):
    # one layer on a frozen trunk: no dropout, no BatchNorm
    options = (*published["sei"], "--head", "linear-probe", "--epochs", 2, "--batch-size", 16)
    tuned(*options)
    tuned(*options, "--at-once", 3, output="pieces")
    whole, pieces = (load_file(f"{folder}/weights.safetensors") for folder in ("m", "pieces"))
    assert max((whole[name] - pieces[name]).abs().max() for name in whole) < 1e-6


def crowded(limit):
    """A Network.forward that has memory for ``limit`` windows."""
    forward = classifiers.Network.forward

    def limited(self, batch):
        if len(batch) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, batch)

    return limited


def test_a_batch_that_memory_does_not_hold_is_halved(small, monkeypatch):
    monkeypatch.setattr(classifiers.Network, "forward", crowded(5))
    tuned(*BASSET, "--epochs", 1)
    assert notes_of("m")["cost"]["windows_at_once"] == 5


def test_a_window_that_memory_does_not_hold_is_worth_another_try(small, monkeypatch):
    monkeypatch.setattr(classifiers.Network, "forward", crowded(0))
    with pytest.raises(TryAgain, match="one window does not fit"):
        tuned(*BASSET, "--epochs", 1)
    assert TryAgain.code == 75


def test_several_seeds_are_told_apart_and_averaged(small):
    tuned(*BASSET, "--epochs", 1, "--seeds", 2, "--seed", 7)
    seeds = notes_of("m", "metrics.json")["seeds"]
    group_of = table_of("labels.tsv").set_index("name")["group"]
    tables = [table_of(path) for path in ("m/predictions.tsv", "m/seed8/predictions.tsv")]
    aurocs = [auroc_between_groups(table, group_of.loc[table["name"]]) for table in tables]
    assert [row["seed"] for row in seeds["each"]] == [7, 8]
    assert [row["auroc"] for row in seeds["each"]] == pytest.approx(aurocs)
    assert seeds["mean"]["auroc"] == pytest.approx(np.mean(aurocs)) and aurocs[0] != aurocs[1]
    assert seeds["sd"]["auroc"] == pytest.approx(np.std(aurocs, ddof=1))


def test_an_estimate_counts_all_trainings_and_writes_nothing(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "TRIAL_SECONDS", 0.0)
    tuned(*BASSET, "--estimate", "--folds", 4, "--seeds", 2, "--epochs", 10, "--strands", "both")
    told = {name: value for name, value in (line.split("\t") for line in capsys.readouterr().out.splitlines())}
    # a network for each of four folds and one to keep, then four from the second seed
    assert told["trainings"] == "9" and told["windows_trained"] == "45"
    assert float(told["hours_at_most"]) == pytest.approx(90 * float(told["hours_per_epoch"]), rel=0.02)
    assert float(told["hours_per_epoch"]) == pytest.approx(90 / float(told["windows_per_second"]) / 3600, rel=0.02)
    assert sorted(os.listdir(tmp_path)) == ["labels.tsv", "windows.fa"]


def test_published_settings():
    sei = training.settings_of("paper", "sei")
    assert (sei.optimiser, sei.batch, sei.epochs, sei.patience, sei.momentum, sei.decay) == (
        "sgd",
        512,
        50,
        10,
        0.95,
        0.01,
    )
    assert [sei.rate(epoch) for epoch in (0, 2.5, 5)] == pytest.approx([1e-4, 5.5e-4, 1e-3])
    assert [sei.rate(epoch) for epoch in (27.5, 50)] == pytest.approx([(1e-3 + 1e-5) / 2, 1e-5])
    dnabert2 = training.settings_of("paper", "dnabert2")
    assert (dnabert2.optimiser, dnabert2.rate(5), dnabert2.batch, dnabert2.epochs) == ("sgd", 5e-4, 128, 100)
    peaks = {name: training.settings_of("paper", name).rate(5) for name in ("basset", "basenji")}
    assert peaks == {"basset": 1e-3, "basenji": 5e-4}
    assert training.settings_of("paper", "basset").optimiser == "adamw"


def test_training_ends_after_patience_and_remembers_the_best_epoch():
    settings = training.settings_of("default", "basset", patience=2)
    state, losses = training.State(1), iter([0.7, 0.6, 0.65, 0.6, 0.5])
    better = []
    while not state.finished:
        better.append(state.judge(next(losses), settings))
    assert better == [True, True, False, False] and state.best_epoch == 2 and state.epoch == 4


@pytest.mark.parametrize(("strands", "per_row"), [("both", 2), ("random", 1), ("forward", 1)])
def test_what_an_epoch_reads(strands, per_row):
    rows = np.arange(10, 60)
    places = training._reading(rows, strands, np.random.default_rng(1))
    assert sorted(places[:, 0]) == sorted(np.repeat(rows, per_row))
    assert len({tuple(place) for place in places}) == len(places)
    assert set(places[:, 1]) == ({0} if strands == "forward" else {0, 1})
    assert list(places[:, 0]) != sorted(places[:, 0])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--network", "sei"), "--network sei needs --weights, the published file"),
        ((*BASSET, "--weights", "x"), "--network basset is trained from scratch and takes no --weights"),
        ((*BASSET, "--freeze"), "has no trained trunk to freeze"),
        ((*BASSET, "--lora", "2"), "--lora is for --network dnabert2"),
        ((*BASSET, "--max-tokens", "20"), "--max-tokens goes with --network dnabert2"),
        (("--network", "dnabert2", "--weights", "x"), "--tokenizer goes with --network dnabert2, which needs it"),
        (("--network", "sei", "--weights", "x", "--head", "linear-probe", "--preset", "paper"), "nor a linear probe"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options, told):
    with pytest.raises(UsageError, match=told):
        tuned(*options)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace(">i3\n", ">i3\nACGT"), "windows of 60 to 64 bases; give --length to pad or cut"),
        (lambda text: text.replace(">i", ">peak"), "no row is a labelled window"),
        (lambda text: text.replace(">i3\n", ">i2\n"), "record 'i2' occurs twice"),
        (lambda text: "".join(line if line[0] == ">" else line[:5] + "\n" for line in text.splitlines(True)),
         "windows of 5 bases; basset reads 6 or more"),
    ],
)  # fmt: skip
def test_windows_that_cannot_be_trained_on_are_refused(change, told, small, tmp_path):
    path = tmp_path / "windows.fa"
    path.write_text(change(path.read_text()))
    with pytest.raises(BadData, match=told):
        tuned(*BASSET)
    assert sorted(os.listdir(tmp_path)) == ["labels.tsv", "windows.fa"]


def test_a_checkpoint_of_another_model_is_refused(published, small):
    with pytest.raises(BadData, match="problems\n.*tensor .* is missing"):
        tuned("--network", "sei", "--weights", published["dnabert2"][3])


def test_a_loss_that_is_no_number_ends_the_run(small):
    with pytest.raises(UsageError, match="lower --learning-rate"):
        tuned(*BASSET, "--epochs", 3, "--optimiser", "sgd", "--learning-rate", 1e30, "--warm-up", 0)


def test_predict_refuses_windows_of_another_length_and_features(learnt, tmp_path):
    folder, sequences = learnt
    (tmp_path / "w.fa").write_text("".join(f">w{row}\n{sequences[row]}A\n" for row in range(3)))
    with pytest.raises(
        BadData, match="3 problems\n  record 'w0' has 61 bases; the network was trained on windows of 60"
    ):
        predict.main(["--model", str(folder / "m"), "--windows", str(tmp_path / "w.fa")])
    with pytest.raises(UsageError, match="is a model of finetune: give --windows"):
        predict.main(["--model", str(folder / "m"), "--features", str(folder / "f.h5ad")])
    with pytest.raises(UsageError, match="is a model of fit: give --features"):
        predict.main(["--model", str(folder / "noise"), "--windows", str(folder / "windows.fa")])
