"""CI-SpliceAI: the graph reader, the conversion, and outputs against the original's and against padded layers."""

import json
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import fetch_weights
from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData, MissingInput, TryAgain, UsageError
from intronaut.io.tensorflow_graph import Graph
from intronaut.networks import splice
from random_splice import random_tensors, write_random

pytest_plugins = ["splice_weights"]


def field(number, value):
    """One field of the wire format: whole numbers and bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def node(name, op, inputs=(), tensor=None):
    content = field(1, name.encode()) + field(2, op.encode())
    content += b"".join(field(3, one.encode()) for one in inputs)
    if tensor is not None:
        content += field(5, field(1, b"dtype") + field(2, field(6, 1)))
        content += field(5, field(1, b"value") + field(2, field(8, tensor)))
    return field(1, content)


def float_tensor(shape, content=None, single=None):
    sizes = b"".join(field(2, field(1, size)) for size in shape)
    values = field(4, content) if content is not None else varint(5 << 3 | 5) + struct.pack("<f", single)
    return field(1, 1) + field(2, sizes) + values


def test_constants_of_a_graph():
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    data = node("a", "Const", tensor=float_tensor((2, 3), values.tobytes()))
    data += node("b", "Identity", ["a"]) + node("c", "Identity", ["b"])
    data += node("many", "Const", tensor=float_tensor((200,), single=0.25)) + node("x", "Placeholder")
    graph = Graph(data, "g.pb")
    assert np.array_equal(graph.constant("c"), values) and np.array_equal(graph.constant("many"), np.full(200, 0.25))
    for name in ("x", "nowhere"):
        with pytest.raises(BadData, match=f"g.pb: no constant {name}"):
            graph.constant(name)


@pytest.mark.parametrize("data", [b"\x0a\xff", b"\x0b\x00", node("a", "Const")[:-3]])
def test_what_is_no_graph(data):
    with pytest.raises(BadData, match="not a frozen TensorFlow graph"):
        Graph(data, "g.pb")


def test_shapes_of_the_checkpoint():
    found = splice.shapes()
    assert len(found) == 1030 and sum(np.prod(shape) for shape in found.values()) == 3_493_935
    assert [number for number, *_ in splice.convolutions()] == list(range(1, 40))


def padded(tensors, net, x):
    """The same network with padded layers and torch's own batch normalisation, cropped at the end."""
    from torch.nn.functional import batch_norm, conv1d, relu

    own = {name.partition(".")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"net{net}.")}
    h = conv1d(x, own["conv1.weight"], own["conv1.bias"])
    total, conv, norm = conv1d(h, own["conv2.weight"], own["conv2.bias"]), 3, 1
    for width, dilation in ((11, 1), (11, 4), (21, 10), (41, 25)):
        for _ in range(4):
            y = h
            for _ in range(2):
                mean, var, gamma, beta = (own[f"bn{norm}.{name}"] for name in ("mean", "var", "gamma", "beta"))
                y = relu(batch_norm(y, mean, var, gamma, beta, eps=1e-3))
                padding = dilation * (width - 1) // 2
                y = conv1d(y, own[f"conv{conv}.weight"], own[f"conv{conv}.bias"], padding=padding, dilation=dilation)
                conv, norm = conv + 1, norm + 1
            h = h + y
        total = total + conv1d(h, own[f"conv{conv}.weight"], own[f"conv{conv}.bias"])
        conv += 1
    hidden = total[:, :, 5000:-5000]
    return torch.softmax(conv1d(hidden, own["conv39.weight"], own["conv39.bias"]), 1), hidden


def test_unpadded_layers_equal_padded_ones():
    tensors = random_tensors()
    networks = splice.SpliceNetworks(tensors)
    rng = np.random.default_rng(1)
    x = splice.one_hot(["".join(rng.choice(list("ACGTNacgtR"), 10_030)) for _ in range(2)])
    assert x.shape == (2, 4, 10_030) and set(x.sum(1).unique().tolist()) == {0.0, 1.0}
    found, sums = networks.probabilities(x, layer=True)
    for net in range(2):
        with torch.inference_mode():
            wanted, hidden = padded(tensors, net, x)
        assert (found[net] - wanted).abs().max() < 1e-5
        assert (sums[net] - hidden).abs().max() < 2e-4


def test_files_that_are_no_weights(tmp_path):
    write_random(tmp_path / "w.safetensors")
    assert len(splice.open_networks(tmp_path / "w.safetensors").nets) == 2
    assert len(splice.open_networks(tmp_path / "w.safetensors", nets=1).nets) == 1
    from safetensors.torch import save_file

    tensors = random_tensors()
    del tensors["net1.bn3.var"]
    save_file(tensors, tmp_path / "less.safetensors")
    with pytest.raises(BadData, match="tensor net1.bn3.var is missing"):
        splice.open_networks(tmp_path / "less.safetensors")


def test_another_wheel_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr(splice.GRAPH, b"another graph")
    with pytest.raises(BadData, match="another version, or damaged"):
        splice.convert(tmp_path / "other.whl")
    (tmp_path / "text.whl").write_text("no zip")
    with pytest.raises(BadData, match="not the wheel of cispliceai"):
        splice.convert(tmp_path / "text.whl")


def test_weights_carry_their_attribution(real_weights):
    from safetensors import safe_open

    with safe_open(real_weights, framework="np") as file:
        assert "Strauch" in file.metadata()["note"] and "CC BY 4.0" in file.metadata()["note"]
    assert "doi:10.1371/journal.pone.0269159" in (real_weights.parent / "LICENCE.txt").read_text()
    tensors = {name: tensor.numpy() for name, tensor in load_file(real_weights).items()}
    assert splice.content_sha256(tensors) == splice.CONTENT_SHA256
    record = json.loads((real_weights.parent / "fetched.json").read_text())
    assert record["files"]["licence"]["name"] == "LICENCE.txt"


def test_tensors_are_those_of_the_original(real_weights, golden):
    tensors = load_file(real_weights)
    rows = [line.split("\t") for line in (golden / "splice" / "tensors.tsv").read_text().splitlines()]
    assert len(rows) == len(tensors) == 1030
    for name, shape, total in rows:
        assert "x".join(map(str, tensors[name].shape)) == shape
        assert float(tensors[name].double().sum()) == pytest.approx(float(total), rel=1e-6, abs=1e-6)


def test_outputs_are_those_of_the_original(real_weights, golden):
    """Random sequences of 1 and 400 bases, N and lower case, and both strands of real genes with their flanks."""
    notes = {row["name"]: row for row in json.loads((golden / "splice" / "nets.json").read_text())}
    lines = (golden / "splice" / "seq.fa").read_text().split(">")[1:]
    sequences = {record.split()[0]: "".join(record.splitlines()[1:]) for record in lines}
    wanted, networks = np.load(golden / "splice" / "nets.npz"), splice.open_networks(real_weights)
    for name in ("rand1", "rand400", "mixed_case_N", "chr_start", "plpp2_minus"):
        flank = "N" * splice.CONTEXT if notes[name]["padded"] else ""
        # the golden's own sequence, of which a part is enough
        sequence = (flank + sequences[name] + flank)[: 10_000 + 1500]
        found, sums = networks.probabilities(splice.one_hot([sequence]), layer=True)
        n = found.shape[3]
        assert np.abs(found[:, 0].transpose(1, 2).numpy() - wanted[f"{name}.nets"][:, :n]).max() < 1e-5
        assert np.abs(found.mean(0)[0].T.numpy() - wanted[f"{name}.mean"][:n]).max() < 1e-5
        if name.startswith("rand"):
            for net in range(5):
                assert np.abs(sums[net, 0].T.numpy() - wanted[f"{name}.feat{net}"]).max() < 1e-3


def test_letters_besides_acgt_are_unknown_in_either_strand(real_weights):
    networks = splice.open_networks(real_weights, nets=1)
    text = "N" * 5000 + "ACGTRYKMACGGTAAGTNNACGTAGGCA" + "N" * 5000
    plain = "".join(base if base in "ACGT" else "N" for base in text)
    bases = splice.one_hot([text, plain, reverse_complement(reverse_complement(plain))])
    assert torch.equal(bases[0], bases[1]) and torch.equal(bases[1], bases[2])
    # rows of a batch may differ in the last place, by where in memory they lie
    found = networks.probabilities(bases)
    torch.testing.assert_close(found[:, 0], found[:, 1], atol=1e-6, rtol=0)
    torch.testing.assert_close(found[:, 1], found[:, 2], atol=1e-6, rtol=0)


def test_bfloat16_stays_near(real_weights):
    sequence = "N" * 5000 + "ACGGTAAGTCTTTTTCTTTTCAGGC" * 12 + "N" * 5000
    pair = [splice.open_networks(real_weights, nets=1, dtype=dtype).probabilities(splice.one_hot([sequence]))
            for dtype in ("float32", "bfloat16")]  # fmt: skip
    assert 0 < (pair[0] - pair[1]).abs().max() < 0.05


def test_options_without_effect_and_without_network(tmp_path, monkeypatch):
    common = ["cispliceai", "--cache-dir", str(tmp_path), "--quiet"]
    with pytest.raises(MissingInput, match="--offline forbids a download"):
        fetch_weights.main([*common, "--offline"])
    with pytest.raises(UsageError, match="--url: without effect"):
        fetch_weights.main([*common, "--url", "https://example.org"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(TryAgain, match="pip cannot download cispliceai==1.2.2"):
        fetch_weights.main(common)
