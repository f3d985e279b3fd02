"""embed_dnabert2 as its user runs it: features, what it tells, refusals, and runs that are killed."""

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import anndata
import h5py
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

import embed_dnabert2
from conftest import ROOT
from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData, MissingInput
from intronaut.io.checkpoints import open_checkpoint
from intronaut.networks.dnabert2 import config_of, load
from random_checkpoints import write_dnabert2
from test_dnabert2 import padded_forward, relative_error


def dna(draw, length, letters="ACGT"):
    return "".join(draw.choices(letters, k=length))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_dnabert2(tmp_path_factory.mktemp("dnabert2"))


@pytest.fixture(scope="module")
def sequences():
    draw = random.Random(1)
    made = {f"w{i}": dna(draw, length) for i, length in enumerate([300, 51, 300, 7, 1500, 1])}
    return made | {"unknown": "ACGTNNRYACGT", "twin": made["w1"], "all_n": "N" * 40}


@pytest.fixture
def embed(checkpoint, tmp_path, capsys):
    """Run the tool in this process, which has torch already; returns the features and what it told."""

    def run(sequences, *options, weights="pytorch_model.bin", name="out.h5ad", tokenizer=None):
        path = tmp_path / "windows.fa"
        path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
        tokenizer = tokenizer or checkpoint / "tokenizer.json"
        words = [path, "--weights", checkpoint / weights, "--tokenizer", tokenizer, "--output", tmp_path / name,
                 "--threads", 1, *options]  # fmt: skip
        embed_dnabert2.main([str(word) for word in words])
        told = capsys.readouterr()
        return told.out if "--estimate" in options else (anndata.read_h5ad(tmp_path / name), told.err)

    return run


@torch.inference_mode()
def definition(checkpoint, sequences, max_tokens=None):
    """Hidden states of each sequence by the library's own tokenizer and the padded float64 forward pass."""
    reader = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    if max_tokens:
        reader.enable_truncation(max_tokens)
    opened = open_checkpoint(checkpoint / "pytorch_model.bin")
    model = load(opened, config_of(opened.tensors))
    return padded_forward(model, [torch.tensor(reader.encode(sequence).ids) for sequence in sequences.values()])


@pytest.fixture(scope="module")
def hidden_states(checkpoint, sequences):
    return definition(checkpoint, sequences)


POOLINGS = {
    "mean": lambda hidden: hidden.mean(0),
    "mean-no-special": lambda hidden: hidden[1:-1].mean(0),
    "first": lambda hidden: hidden[0],
    "max": lambda hidden: hidden.max(0).values,
}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_features_are_the_pooled_hidden_states(embed, sequences, hidden_states, pooling):
    found, _ = embed(sequences, "--pooling", pooling)
    expected = torch.stack([POOLINGS[pooling](hidden) for hidden in hidden_states])
    assert list(found.obs_names) == list(sequences)
    assert found.X.dtype == np.float32 and found.var_names[0] == "dnabert2_000"
    assert relative_error(found.X, expected) < 1e-6


def test_layers_end_with_the_last_and_begin_with_the_embedding(embed, checkpoint, sequences, hidden_states):
    found, _ = embed(sequences, "--pooling", "layers")
    expected = torch.stack([hidden.mean(0) for hidden in hidden_states])
    assert found.shape[1] == 3 * 128
    assert relative_error(found[:, found.var["layer"] == 2].X, expected) < 1e-6
    tensors = open_checkpoint(checkpoint / "pytorch_model.bin").tensors
    words = (
        tensors["bert.embeddings.word_embeddings.weight"] + tensors["bert.embeddings.token_type_embeddings.weight"][0]
    )
    norm = [tensors[f"bert.embeddings.LayerNorm.{part}"] for part in ("weight", "bias")]
    embedded = torch.nn.functional.layer_norm(words, (128,), *norm, eps=1e-12)
    # w5 is one base between the special tokens
    base = "ACGT".index(sequences["w5"]) + 5
    assert relative_error(found["w5", found.var["layer"] == 0].X[0], embedded[[1, base, 2]].mean(0)) < 1e-6


def test_strands_read_the_reverse_complement(embed, sequences):
    forward, _ = embed(sequences)
    backward, _ = embed({name: reverse_complement(sequence) for name, sequence in sequences.items()})
    mean, _ = embed(sequences, "--strands", "mean")
    both, _ = embed(sequences, "--strands", "both")
    assert relative_error(mean.X, (forward.X + backward.X) / 2) < 1e-6
    assert relative_error(both[:, both.var["strand"] == "forward"].X, forward.X) < 1e-6
    assert relative_error(both[:, both.var["strand"] == "reverse"].X, backward.X) < 1e-6
    assert both.var_names.is_unique and both.shape[1] == 2 * forward.shape[1]


def test_soft_masked_bases_are_read_as_bases(embed, sequences):
    plain, told = embed(sequences)
    masked, told_masked = embed({name: sequence.lower() for name, sequence in sequences.items()}, name="masked.h5ad")
    np.testing.assert_array_equal(masked.X, plain.X)
    assert told.splitlines()[-1] == told_masked.splitlines()[-1]


def test_batches_order_threads_and_shards_change_nothing(embed, sequences):
    plain, _ = embed(sequences)
    backwards = dict(reversed(sequences.items()))
    for found in (
        embed(sequences, "--batch-size", 1)[0],
        embed(sequences, "--batch-size", 700, "--threads", 2)[0],
        embed(backwards)[0][list(sequences)],
        anndata.concat([embed({name: sequence})[0] for name, sequence in sequences.items()]),
    ):
        for row, expected in zip(found.X, plain.X, strict=True):
            assert relative_error(row, expected) < 1e-6


def test_identical_sequences_have_identical_features(embed, sequences):
    found, told = embed(sequences)
    np.testing.assert_array_equal(found["twin"].X, found["w1"].X)
    assert "9 windows, 8 of them distinct" in told


def test_identical_sequences_are_computed_once(embed, sequences):
    once = embed({"a": sequences["w4"]})[1]
    many = embed({f"copy{i}": sequences["w4"] for i in range(50)})[1]
    tokens = [line.split()[1] for told in (once, many) for line in told.splitlines() if "tokens computed" in line]
    assert tokens[0] == tokens[1]


def test_unknown_letters_are_counted(embed):
    found, told = embed({"a": "ACGTNNRYACGT", "b": "TTTTTTTT"})
    reader = [6, 4]  # AC GT N N R Y AC GT and TT TT TT TT: 8 tokens with 4 unknown, 4 without; each with two ends
    assert f"{sum(reader) + 6} tokens computed, 25.00% of them unknown" in told and "warning" in told
    assert list(found.obs["n_unknown"]) == [4, 0]
    assert "0.00% of them unknown" in embed({"b": "TTTTTTTT"})[1]


def test_truncated_windows_are_counted_and_marked(embed, checkpoint, sequences, hidden_states):
    found, told = embed(sequences, "--max-tokens", 20)
    whole = {name: len(hidden) for name, hidden in zip(sequences, hidden_states, strict=True)}
    assert list(found.obs["truncated"]) == [int(whole[name] > 20) for name in sequences]
    assert f"{sum(length > 20 for length in whole.values())} windows were longer than 20 tokens" in told
    expected = torch.stack([hidden.mean(0) for hidden in definition(checkpoint, sequences, 20)])
    assert relative_error(found.X, expected) < 1e-6
    assert "truncated" not in embed(sequences)[0].obs


def test_half_precision_on_disk_and_in_computing(embed, sequences):
    plain, _ = embed(sequences)
    stored, _ = embed(sequences, "--store", "float16")
    assert stored.X.dtype == np.float16
    np.testing.assert_array_equal(stored.X, plain.X.astype(np.float16))
    rounded, _ = embed(sequences, "--dtype", "bfloat16")
    assert 1e-5 < relative_error(rounded.X, plain.X) < 2e-2


def test_bin_and_safetensors_agree_and_random_weights_are_named(embed, sequences):
    pickled, _ = embed(sequences)
    mapped, told = embed(sequences, weights="model.safetensors")
    np.testing.assert_array_equal(mapped.X, pickled.X)
    assert "random weights" in told
    assert json.loads(mapped.uns["intronaut"]["provenance"])["weights_note"] == "random weights"


def test_the_config_says_the_heads(embed, checkpoint, sequences, tmp_path):
    told = json.loads((checkpoint / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(told | {"num_attention_heads": 4}))
    same, _ = embed(sequences, "--config", checkpoint / "config.json")
    other, _ = embed(sequences, "--config", tmp_path / "config.json")
    np.testing.assert_array_equal(same.X, embed(sequences)[0].X)
    assert relative_error(other.X, same.X) > 1e-3


def test_estimate_writes_no_features(embed, sequences, tmp_path):
    lines = dict(line.split("\t") for line in embed(sequences, "--estimate").splitlines())
    assert lines["windows"] == "9" and lines["distinct_windows"] == "8"
    assert float(lines["hours"]) > 0 and not (tmp_path / "out.h5ad").exists()


class Canary:
    """A pickle that writes a file when it is loaded by a reader that runs what it finds."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def refused(embed, sequences, tmp_path, says, error=BadData, **files):
    with pytest.raises(error, match=says):
        embed(sequences, **files)
    assert not (tmp_path / "out.h5ad").exists()


@pytest.mark.parametrize("saver", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))])
def test_code_in_a_checkpoint_is_never_run(embed, sequences, tmp_path, saver):
    saver({"bert.embeddings.LayerNorm.weight": Canary(tmp_path / "canary")}, tmp_path / "evil.bin")
    refused(embed, sequences, tmp_path, "nothing in it was run", weights=tmp_path / "evil.bin")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_truncated_checkpoint_is_refused(embed, checkpoint, sequences, tmp_path, name, share):
    whole = (checkpoint / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    refused(embed, sequences, tmp_path, "truncated", weights=tmp_path / name)


def test_missing_extra_and_nan_tensors_are_all_named(embed, checkpoint, sequences, tmp_path):
    tensors = torch.load(checkpoint / "pytorch_model.bin", weights_only=True)
    del tensors["bert.encoder.layer.0.mlp.wo.bias"]
    tensors["bert.encoder.layer.0.stranger"] = torch.zeros(2)
    torch.save(tensors, tmp_path / "weights.bin")
    refused(embed, sequences, tmp_path, "2 problems", weights=tmp_path / "weights.bin")
    tensors = torch.load(checkpoint / "pytorch_model.bin", weights_only=True)
    tensors["bert.encoder.layer.1.mlp.wo.bias"][3] = torch.inf
    torch.save(tensors, tmp_path / "weights.bin")
    refused(embed, sequences, tmp_path, "layer.1.mlp.wo.bias holds values", weights=tmp_path / "weights.bin")


def test_other_files_in_the_place_of_weights_and_tokenizer(embed, checkpoint, sequences, real_data, tmp_path):
    page = tmp_path / "page.bin"
    page.write_text("<!DOCTYPE html><html>Sign in</html>")
    refused(embed, sequences, tmp_path, "web page", weights=page)
    refused(embed, sequences, tmp_path, "(?i)no such file", MissingInput, weights="nothing.bin")
    refused(embed, sequences, tmp_path, "not a tokenizer.json", tokenizer=checkpoint / "config.json")
    public = real_data / "dnabert2/tokenizer.json"
    refused(embed, sequences, tmp_path, "4,096 tokens, the weights have 41", tokenizer=public)


def test_a_fault_is_one_line_and_its_exit_code(tool, checkpoint, tmp_path):
    (tmp_path / "windows.fa").write_text(">a\nACGT\n")
    (tmp_path / "cut.bin").write_bytes((checkpoint / "pytorch_model.bin").read_bytes()[:5000])
    files = ["windows.fa", "--tokenizer", checkpoint / "tokenizer.json", "-o", "out.h5ad", "--weights"]
    told = tool("embed_dnabert2", *files, "cut.bin", code=65).stderr
    assert told.startswith("embed_dnabert2: error: cut.bin: truncated") and told.count("\n") == 1
    tool("embed_dnabert2", *files, "nothing.bin", code=66)
    tool("embed_dnabert2", *files, checkpoint / "pytorch_model.bin", "--max-tokens", 2, code=2)
    tool("embed_dnabert2", *files, checkpoint / "pytorch_model.bin", "--device", "cuda:99", code=2)


def test_a_killed_run_is_taken_up_to_the_same_bytes(checkpoint, tmp_path):
    draw = random.Random(2)
    windows = tmp_path / "windows.fa"
    windows.write_text("".join(f">w{i}\n{dna(draw, draw.randint(50, 1200))}\n" for i in range(200)))
    words = [str(windows), "--weights", str(checkpoint / "model.safetensors"), "--threads", "1", "--batch-size", "512",
             "--tokenizer", str(checkpoint / "tokenizer.json"), "--output"]  # fmt: skip
    unbroken, killed = tmp_path / "unbroken.h5ad", tmp_path / "killed.h5ad"
    embed_dnabert2.main([*words, str(unbroken)])
    command = [sys.executable, ROOT / "bin/embed_dnabert2.py", *words, killed]
    for rows in (1, 60):
        kill_when_done(command, tmp_path / ".killed.h5ad.part", rows)
        assert not killed.exists()
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert "of 200 windows were already done" in told
    assert killed.read_bytes() == unbroken.read_bytes()


def kill_when_done(command, part, rows):
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while running.poll() is None and done_rows(part) < rows:
        time.sleep(0.03)
    running.kill()
    assert running.wait() == -signal.SIGKILL


def done_rows(part):
    try:
        with h5py.File(part, "r", locking=False) as file:
            return file["uns/intronaut/done"][:].sum()
    except (OSError, KeyError):
        return 0
