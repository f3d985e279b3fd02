"""The classifiers of finetune: sizes as published, predictions that no batch mate changes, weights whole or refused."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData
from intronaut.networks import classifiers, dnabert2, layers, sei
from random_checkpoints import dnabert2_tokenizer, write_dnabert2, write_sei

NARROW = dnabert2.Config(41, 128, 2, 2, 160)
SPECS = {
    "sei": {"network": "sei", "head": "classification", "channels": [30, 40, 60]},
    "sei-probe": {"network": "sei", "head": "linear-probe", "channels": [30, 40, 60]},
    "dnabert2": {"network": "dnabert2", "head": "classification", "config": asdict(NARROW)},
    "dnabert2-probe": {"network": "dnabert2", "head": "linear-probe", "config": asdict(NARROW)},
    "basset": {"network": "basset", "head": "classification", "length": 180},
    "basenji": {"network": "basenji", "head": "classification"},
    "attentionconv": {"network": "attentionconv", "head": "classification"},
}


def built(name):
    torch.manual_seed(1)
    network = classifiers.build(SPECS[name])
    if name.startswith("dnabert2"):
        # an untrained embedding is 0: every token would be alike
        for parameter in network.trunk.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def sequences(n, length=180, seed=1):
    bases = np.random.default_rng(seed).integers(0, 4, (n, length))
    return ["".join("ACGT"[base] for base in row) for row in bases]


def reader_of(name, tmp_path, length=180):
    if not name.startswith("dnabert2"):
        return classifiers.base_reader(length)
    dnabert2_tokenizer().save(str(tmp_path / "tokenizer.json"))
    return classifiers.token_reader(dnabert2.Tokenizer(tmp_path / "tokenizer.json", NARROW.vocab_size))


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("spec", "head", "whole"),
    [
        ({"network": "sei", "head": "classification", "channels": sei.CHANNELS}, 2_041_522, 75_569_522),
        ({"network": "sei", "head": "linear-probe", "channels": sei.CHANNELS}, 15_360 * 2 + 2, 73_558_722),
        (SPECS["dnabert2"] | {"config": asdict(dnabert2.Config())}, 768 * 769 + 768 * 2 + 2, None),
        (SPECS["basset"] | {"length": 600}, 2500 * 800 + 800 + 800 * 300 + 300 + 300 * 2 + 2, None),
        (SPECS["basenji"], 960 * 1280 * 5 + 1280 * 3 + 1280**2 + 1280 * 2048 + 2048 + 2048 * 2 + 2, None),
        (SPECS["attentionconv"], 720 * 2048 + 2048 + 2048 * 1024 + 1024 + 1024 * 2 + 2, None),
    ],
    ids=lambda value: value["network"] if isinstance(value, dict) else "",
)
def test_published_sizes(spec, head, whole):
    with torch.device("meta"):
        network = classifiers.build(spec)
    assert size(network.head) == head
    assert whole is None or size(network) == classifiers.n_parameters(network) == whole


@pytest.mark.parametrize("name", SPECS)
def test_a_prediction_does_not_depend_on_batch_size_or_order(name, tmp_path):
    network, reader = built(name), reader_of(name, tmp_path)
    lengths = (180, 120) if name.startswith("dnabert2") else (180,)
    encoded = [reader.encode(text) for length in lengths for text in sequences(4, length)]

    def logits(places):
        with torch.no_grad():
            return network(reader.collate([encoded[place] for place in places])).double()

    together = logits(range(len(encoded)))
    alone = torch.cat([logits([place]) for place in range(len(encoded))])
    order = torch.randperm(len(encoded))
    assert together.std() > 0
    assert (together - alone).abs().max() <= 1e-6 * max(1, together.abs().max())
    assert (together[order] - logits(order.tolist())).abs().max() <= 1e-6 * max(1, together.abs().max())


def test_attention_reaches_every_position_of_its_own_window_only():
    layer = layers.PositionAttention(20, 4).eval()
    x = torch.randn(3, 20, 7, requires_grad=True)
    # one channel: those of a LayerNorm sum to 0 whatever it reads
    layer(x)[1, 0, 0].backward()
    assert (x.grad[1].abs().sum(0) > 0).all()
    assert not x.grad[[0, 2]].any()


def test_attention_pool_by_hand():
    pool = layers.AttentionPool(3)
    assert torch.equal(pool.weight, torch.eye(3))
    torch.nn.init.normal_(pool.weight)
    x = torch.randn(2, 3, 5)
    for window, pooled in zip(x.numpy(), pool(x).detach().numpy(), strict=True):
        for channel in range(3):
            scores = np.exp([pool.weight[channel].detach().numpy() @ window[:, place] for place in range(5)])
            assert pooled[channel] == pytest.approx(scores @ window[channel] / scores.sum(), abs=1e-5)


def test_loss_of_the_logit_is_the_cross_entropy_of_two_outputs():
    network, codes = built("basset"), torch.randint(0, 4, (6, 180), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    outputs = network.head(network.trunk(codes))
    expected = torch.nn.functional.cross_entropy(outputs, labels)
    found = torch.nn.functional.binary_cross_entropy_with_logits(network(codes), labels.float())
    assert torch.allclose(found, expected, atol=1e-6)


def test_spline_features_are_the_published_ones(golden):
    tensors = load_file(golden / "sei_tiny.safetensors")
    arrays = np.load(golden / "sei_tiny_L600.npz")
    pretrained = classifiers.open_pretrained("sei", golden / "sei_tiny.safetensors")
    assert len(pretrained.tensors) == 34 and pretrained.tensors.keys() < tensors.keys()
    network = classifiers.build({"network": "sei", "head": "classification", **pretrained.spec}).eval()
    network.trunk.load_state_dict(pretrained.tensors)
    reader = classifiers.base_reader(600)
    # U is as unknown as N to the published encoder, whose reverse strand is the complement of what it made of it
    texts = [bytes(row).decode().upper().replace("U", "N") for row in arrays["seqs"]]
    for strand, read in (("fwd", texts), ("rc", [reverse_complement(text) for text in texts])):
        with torch.no_grad():
            spline = network.trunk(reader.collate([reader.encode(text) for text in read])).flatten(1).numpy()
        true = arrays[f"spline_{strand}_f64"]
        assert np.linalg.norm(spline - true) <= 2e-6 * np.linalg.norm(true)


@pytest.mark.parametrize(("head", "pooled"), [("linear-probe", "mean_masked_f64"), ("classification", "cls_f64")])
def test_pooled_states_are_the_published_ones(golden, head, pooled):
    config = dnabert2.read_config(golden / "dnabert2_tiny_h4_config.json")
    arrays, tensors = np.load(golden / "dnabert2_tiny_h4.npz"), load_file(golden / "dnabert2_tiny_h4.safetensors")
    network = classifiers.build({"network": "dnabert2", "head": head, "config": asdict(config)}).eval()
    network.trunk.load_state_dict({name: tensors[name] for name in network.trunk.state_dict()})
    rows = [
        ids[mask == 1].astype(np.int32) for ids, mask in zip(arrays["input_ids"], arrays["attention_mask"], strict=True)
    ]
    with torch.no_grad():
        found = network.trunk(classifiers.token_reader(None).collate(rows)).numpy()
    assert np.linalg.norm(found - arrays[pooled]) <= 2e-6 * np.linalg.norm(arrays[pooled])


def test_windows_are_padded_with_n_or_cut_to_their_centre():
    assert classifiers.base_reader(6).encode("ACGT").tolist() == [4, 0, 1, 2, 3, 4]
    assert classifiers.base_reader(2).encode("ACGT").tolist() == [1, 2]


def test_float_channels_reach_the_trunk_as_codes_do():
    network = built("basset")
    codes = torch.tensor(np.stack([classifiers.base_reader(180).encode(text) for text in sequences(2)]))
    channels = torch.nn.functional.one_hot(codes.long(), 4).float().transpose(1, 2).requires_grad_()
    assert torch.equal(network(codes), network(channels))
    network(channels).sum().backward()
    assert channels.grad.any()


@pytest.mark.parametrize(("network", "write"), [("sei", write_sei), ("dnabert2", write_dnabert2)])
@pytest.mark.parametrize("change", ["lacks", "extra", "shape", "nan"])
def test_a_published_trunk_with_a_tensor_amiss_is_refused(network, write, change, tmp_path):
    write(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    name = next(iter(sorted(tensors, reverse=True)))
    name = "dconv1.1.weight" if network == "sei" else "bert.encoder.layer.0.mlp.wo.weight"
    if change == "lacks":
        del tensors[name]
    elif change == "extra":
        name = "bert.further.weight"
        tensors[name] = torch.zeros(3)
    elif change == "shape":
        tensors[name] = tensors[name][1:].contiguous()
    else:
        tensors[name][0] = torch.nan
    save_file(tensors, tmp_path / "amiss.safetensors")
    with pytest.raises(BadData, match=name.replace(".", r"\.")):
        classifiers.open_pretrained(network, tmp_path / "amiss.safetensors")


@pytest.mark.parametrize("name", ["sei", "dnabert2-probe", "basset"])
def test_a_model_folder_gives_the_network_back(name, tmp_path):
    network, reader = built(name), reader_of(name, tmp_path)
    classifiers.write_network(tmp_path, {"kind": name}, network)
    again, notes = classifiers.read_network(tmp_path)
    assert notes["kind"] == name and notes["tool"] == "finetune"
    batch = reader.collate([reader.encode(text) for text in sequences(3)])
    assert torch.equal(network(batch), again(batch))


@pytest.mark.parametrize("change", ["lacks", "extra"])
def test_a_model_folder_with_a_tensor_amiss_is_refused(change, tmp_path):
    classifiers.write_network(tmp_path, {"kind": "basset"}, built("basset"))
    tensors = load_file(tmp_path / "weights.safetensors")
    if change == "lacks":
        del tensors["head.1.bias"]
    else:
        tensors["head.1.more"] = torch.zeros(2)
    save_file(tensors, tmp_path / "weights.safetensors")
    with pytest.raises(BadData, match="head.1"):
        classifiers.read_network(tmp_path)


@pytest.mark.parametrize("name", ["sei", "basset", "basenji", "attentionconv"])
def test_the_shortest_window_is_the_shortest_that_can_be_read(name):
    length = classifiers.SHORTEST[name]
    codes = torch.zeros((2, length), dtype=torch.uint8)
    spec = SPECS[name] | ({"length": length} if name == "basset" else {})
    assert classifiers.build(spec).eval()(codes).isfinite().all()
