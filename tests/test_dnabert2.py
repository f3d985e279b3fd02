"""The DNABERT-2 forward pass against the published code's numbers, its tokenizer, and its loading."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from intronaut.core.errors import BadData
from intronaut.io.checkpoints import Checkpoint, open_checkpoint
from intronaut.networks.dnabert2 import (
    PARAMETERS,
    Config,
    Dnabert2,
    Tokenizer,
    alibi_slopes,
    load,
    pool,
    read_config,
    tensor_shapes,
)
from random_checkpoints import dnabert2_tensors, fill, write_dnabert2

# the 59 bases of the published example
README_SEQUENCE = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"


def relative_error(found, true):
    true = np.asarray(true, float)
    return np.linalg.norm(np.asarray(found, float) - true) / np.linalg.norm(true)


def reference(golden, name):
    """The arrays the published code returned, the packed token ids and the lengths."""
    arrays = np.load(golden / f"dnabert2_{name}.npz")
    real = arrays["attention_mask"].astype(bool)
    return arrays, torch.from_numpy(arrays["input_ids"][real]), real.sum(1).tolist(), real


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    config = Config(vocab_size=64, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96)
    return load(Checkpoint("tiny", dnabert2_tensors(config)), config)


def random_tokens(lengths, vocabulary=64):
    draw = np.random.default_rng(1)
    return [torch.from_numpy(draw.integers(5, vocabulary, length)) for length in lengths]


@pytest.mark.parametrize("name", ["tiny_h4", "tiny_h12"])
@torch.inference_mode()
def test_tiny_models_equal_the_published_code(golden, name):
    arrays, ids, lengths, real = reference(golden, name)
    checkpoint = open_checkpoint(golden / f"dnabert2_{name}.safetensors")
    model = load(checkpoint, read_config(golden / f"dnabert2_{name}_config.json"))
    first, last = model.states(model.embed(ids), lengths)
    assert relative_error(first, arrays["layer0_packed_f64"]) < 2e-6
    assert relative_error(last, arrays["last_hidden_f64"][real]) < 2e-6
    for how, key in (("mean", "mean_masked"), ("max", "max_masked"), ("first", "cls")):
        assert relative_error(pool(last, lengths, how), arrays[f"{key}_f64"]) < 2e-6
    assert relative_error(pool(last, lengths, "mean"), arrays["readme_mean_f64"]) < 2e-6


@pytest.mark.slow
@torch.inference_mode()
def test_full_size_equals_the_published_code(golden):
    table = json.loads((golden / "dnabert2_full_weights.json").read_text())
    tensors = {
        name: torch.from_numpy(fill(name, t["shape"], seed=table["seed"], bound=t["bound"], offset=t["offset"]))
        for name, t in table["tensors"].items()
    }
    tied = tensors | {"cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"]}
    assert len(tied) == 142
    assert sum(tensor.numel() for tensor in tensors.values()) == PARAMETERS == 117_074_176
    model = load(Checkpoint("full", tied), Config())
    arrays, ids, lengths, _ = reference(golden, "full")
    last = model(ids, lengths)
    for how, key in (("mean", "mean_masked"), ("max", "max_masked"), ("first", "cls"), ("mean", "readme_mean")):
        assert relative_error(pool(last, lengths, how), arrays[f"{key}_f64"]) < 1e-5
    heads = torch.stack([tokens[:4] for tokens in last.split(lengths)])
    assert relative_error(heads, arrays["last_hidden_f64"]) < 1e-5


def test_alibi_slopes_for_any_number_of_heads(golden):
    slopes = np.load(golden / "alibi_slopes.npz")
    for heads in (1, 2, 4, 6, 8, 12, 16):
        np.testing.assert_array_equal(alibi_slopes(heads).float(), slopes[f"heads{heads}"])


def test_alibi_slopes_of_12_heads_keep_their_unsorted_order():
    powers = [*range(1, 9), 0.5, 1.5, 2.5, 3.5]
    np.testing.assert_allclose(alibi_slopes(12), [2.0**-power for power in powers], rtol=1e-15)


def test_embedding_needs_136_of_the_142_published_tensors():
    shapes = tensor_shapes(Config())
    assert len(shapes) == 136
    assert shapes["bert.encoder.layer.11.mlp.gated_layers.weight"] == (6144, 768)
    assert "bert.encoder.layer.0.mlp.gated_layers.bias" not in shapes


@torch.inference_mode()
def test_packed_sequences_equal_padded_ones(tiny):
    """The definition: pads masked by −10,000 in every score, written out without packing or fused attention."""
    lengths = [9, 30, 9, 17]
    sequences = random_tokens(lengths)
    packed = tiny(torch.cat(sequences), lengths).split(lengths)
    for sequence, found in zip(padded_forward(tiny, sequences), packed, strict=True):
        assert relative_error(found, sequence) < 1e-6


def padded_forward(model, sequences):
    state = {name.removeprefix("bert."): tensor.double() for name, tensor in model.state_dict().items()}
    config = model.config
    size, heads = max(map(len, sequences)), config.num_attention_heads
    real = torch.tensor([[place < len(sequence) for place in range(size)] for sequence in sequences])
    ids = torch.stack([torch.nn.functional.pad(sequence, (0, size - len(sequence)), value=3) for sequence in sequences])

    def norm(x, name):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-12).sqrt() * weight + bias

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)

    place = torch.arange(size, dtype=torch.float64)
    bias = -alibi_slopes(heads)[:, None, None] * (place - place[:, None]).abs() - 10_000.0 * ~real[:, None, None]
    x = state["embeddings.word_embeddings.weight"][ids] + state["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(config.num_hidden_layers):
        at = f"encoder.layer.{layer}"
        q, k, v = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in linear(x, f"{at}.attention.self.Wqkv").chunk(3, -1)
        )
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5 + bias
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = norm(linear(mixed, f"{at}.attention.output.dense") + x, f"{at}.attention.output.LayerNorm")
        gate, value = linear(x, f"{at}.mlp.gated_layers").chunk(2, -1)
        gelu = gate * (1 + torch.erf(gate / 2**0.5)) / 2
        x = norm(linear(gelu * value, f"{at}.mlp.wo") + x, f"{at}.mlp.layernorm")
    return [hidden[mask] for hidden, mask in zip(x, real, strict=True)]


@pytest.mark.slow
@torch.inference_mode()
def test_a_sequence_longer_than_one_block_of_rows_equals_the_padded_definition(tiny):
    lengths = [1100, 40]
    sequences = random_tokens(lengths)
    packed = tiny(torch.cat(sequences), lengths).split(lengths)
    for expected, found in zip(padded_forward(tiny, sequences), packed, strict=True):
        assert relative_error(found, expected) < 1e-6


@torch.inference_mode()
def test_batch_mates_order_and_threads_change_nothing(tiny):
    lengths = [33, 12, 70, 12, 5]
    sequences = random_tokens(lengths)
    together = tiny(torch.cat(sequences), lengths).split(lengths)
    backwards = tiny(torch.cat(sequences[::-1]), lengths[::-1]).split(lengths[::-1])[::-1]
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if threads == 1 else 1)
    try:
        alone = [tiny(sequence, [len(sequence)]) for sequence in sequences]
    finally:
        torch.set_num_threads(threads)
    for found, other, single in zip(together, backwards, alone, strict=True):
        assert relative_error(other, found) < 1e-6
        assert relative_error(single, found) < 1e-6


def test_pooling_by_hand():
    hidden = torch.tensor([[1.0, 9], [2, 5], [6, 4], [7, 0], [3, 3], [5, 1]])
    assert pool(hidden, [4, 2], "mean").tolist() == [[4, 4.5], [4, 2]]
    assert pool(hidden, [4, 2], "first").tolist() == [[1, 9], [3, 3]]
    assert pool(hidden, [4, 2], "max").tolist() == [[7, 9], [5, 3]]
    assert pool(hidden[:4], [4], "mean-no-special").tolist() == [[4, 4.5]]


def test_gradients_reach_every_weight_in_training(tiny):
    model = Dnabert2(tiny.config)
    model.load_state_dict(tiny.state_dict())
    lengths = [8, 8, 11]
    pool(model(torch.cat(random_tokens(lengths)), lengths), lengths, "mean").square().sum().backward()
    # the second token type is never used, so its row has a gradient of zero, not none
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize("lengths", [[40, 40], [9, 64, 520]])
@torch.inference_mode()
def test_bfloat16_keeps_a_float32_residual(tiny, lengths):
    ids = torch.cat(random_tokens(lengths))
    exact = pool(tiny(ids, lengths), lengths, "mean")
    rounded = load(Checkpoint("tiny", tiny.state_dict()), tiny.config).compute_in(torch.bfloat16)
    found = pool(rounded(ids, lengths), lengths, "mean")
    assert found.dtype == torch.float32
    assert 1e-5 < relative_error(found, exact) < 2e-2


def test_published_example_has_17_tokens(real_data):
    tokenizer = Tokenizer(real_data / "dnabert2/tokenizer.json", 4096)
    ids, cut = tokenizer(README_SEQUENCE)
    assert len(README_SEQUENCE) == 59 and len(ids) == 17 and not cut
    assert (ids[0], ids[-1]) == (1, 2)
    assert tokenizer("ACGTTT", None)[0] != tokenizer("acgttt", None)[0] == [1, 0, 0, 0, 0, 0, 0, 2]


def test_every_letter_but_acgt_is_an_unknown_token_of_its_own(real_data):
    ids, _ = Tokenizer(real_data / "dnabert2/tokenizer.json", 4096)("NNRYACGT")
    assert ids[:5] == [1, 0, 0, 0, 0] and 0 not in ids[5:]


def test_a_copy_saved_with_truncation_still_reads_whole_sequences(real_data):
    path = real_data / "dnabert2/tokenizer.json"
    assert json.loads(path.read_text())["truncation"]["max_length"] == 636
    ids, cut = Tokenizer(path, 4096)("ACGT" * 2000)
    assert len(ids) > 636 and not cut


def test_max_tokens_keeps_the_special_ends(real_data):
    tokenizer = Tokenizer(real_data / "dnabert2/tokenizer.json", 4096)
    whole, _ = tokenizer(README_SEQUENCE)
    assert tokenizer(README_SEQUENCE, 17) == (whole, False)
    assert tokenizer(README_SEQUENCE, 16) == ([*whole[:15], 2], True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda told: told["model"]["vocab"].pop("AATT"), "40 tokens, the weights have 41"),
        (lambda told: told.update(post_processor=None), "bases between"),
        (lambda told: told.pop("model"), "not a tokenizer.json"),
    ],
)
def test_a_wrong_tokenizer_is_refused(tmp_path, change, says):
    path = write_dnabert2(tmp_path) / "tokenizer.json"
    told = json.loads(path.read_text())
    told["model"]["merges"] = [merge for merge in told["model"]["merges"] if "".join(merge) != "AATT"]
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(BadData, match=says):
        Tokenizer(path, 41)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda told: told.pop("vocab_size"), "vocab_size"),
        (lambda told: told.update(hidden_act="gelu_new"), "not a DNABERT-2"),
        (lambda told: told.pop("alibi_starting_size"), "not a DNABERT-2"),
        (lambda told: told.update(hidden_size="wide"), "not the config.json"),
    ],
)
def test_the_config_of_another_model_is_refused(tmp_path, change, says):
    path = write_dnabert2(tmp_path) / "config.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(BadData, match=says):
        read_config(path)


def test_bin_and_safetensors_give_the_same_weights(tmp_path):
    folder = write_dnabert2(tmp_path)
    config = read_config(folder / "config.json")
    pickled = load(open_checkpoint(folder / "pytorch_model.bin"), config).state_dict()
    mapped = load(open_checkpoint(folder / "model.safetensors"), config).state_dict()
    assert pickled.keys() == mapped.keys()
    assert all(torch.equal(pickled[name], mapped[name]) for name in mapped)
    assert all(torch.equal(tensor, load_file(folder / "model.safetensors")[name]) for name, tensor in pickled.items())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("bert.encoder.layer.1.mlp.wo.bias"), "layer.1.mlp.wo.bias is missing"),
        (
            lambda t: t.update({"bert.embeddings.position_embeddings.weight": torch.zeros(4)}),
            "is not part of this model",
        ),
        (lambda t: swap(t, "attention.self.Wqkv.weight", "mlp.gated_layers.weight"), "Wqkv.weight has shape 320×128"),
        (lambda t: t["bert.encoder.layer.0.mlp.wo.weight"].view(-1)[7].fill_(torch.nan), "mlp.wo.weight holds values"),
    ],
)
def test_a_faulty_checkpoint_names_the_tensor(tmp_path, change, says):
    folder = write_dnabert2(tmp_path)
    checkpoint = open_checkpoint(folder / "pytorch_model.bin")
    checkpoint.tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    change(checkpoint.tensors)
    with pytest.raises(BadData, match=says):
        load(checkpoint, read_config(folder / "config.json"))


def swap(tensors, one, other):
    one, other = f"bert.encoder.layer.0.{one}", f"bert.encoder.layer.0.{other}"
    tensors[one], tensors[other] = tensors[other], tensors[one]
