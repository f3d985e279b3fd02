"""Mutants computed where they differ from their window give what whole predictions of them give."""

import numpy as np
import pytest
import torch
from torch import nn

from intronaut.interpret.ism import Changed, Memo, base_changes, sequence_changes
from intronaut.networks.classifiers import SHORTEST
from networks_by_hand import SPECS, drawn
from rounding import rounding


def window(length, seed=1):
    bases = np.random.default_rng(seed).integers(0, 4, length)
    return torch.eye(4, dtype=torch.float64)[bases].T.contiguous()


def brute_force(network, channels, places):
    """Every mutant as a whole window of its own, all predicted together."""
    mutants = []
    for place in places:
        for base in range(4):
            mutants.append(channels.clone())
            mutants[-1][:, place] = torch.eye(4)[base]
    with torch.no_grad():
        changes = network(torch.stack(mutants)).reshape(-1, 4) - network(channels[None])
    return changes.numpy()


def assert_same(network, channels, places, batch=7):
    true = brute_force(network, channels, places)
    assert np.isfinite(true).all()
    np.testing.assert_allclose(base_changes(network, channels, places, batch), true, atol=1e-6 * np.abs(true).max())


@pytest.mark.parametrize(
    ("name", "length"),
    [("basset", 203), ("basset", SHORTEST["basset"]), ("attentionconv", 150), ("basenji", SHORTEST["basenji"]),
     ("sei", 400), ("sei", 1100), ("sei", SHORTEST["sei"])],
)  # fmt: skip
def test_every_network_at_its_ends_and_amid(name, length):
    network = drawn(SPECS[name] | {"length": length}).double()
    places = {0, length // 2, length - 1} if name == "basenji" else {0, 1, 5, length // 3, length - 2, length - 1}
    assert_same(network, window(length), sorted(places))
    assert base_changes(network, window(length), [length // 2], 3).any()


def random_layers(rng):
    """Convolutions, pools and the like in an order that no published network has."""
    layers, channels = [], 4
    for _ in range(rng.integers(2, 7)):
        kind, width = rng.integers(6), int(rng.integers(1, 8))
        if kind <= 2:
            wider = int(rng.integers(1, 4)) * 2
            how = {"stride": int(rng.integers(1, 4)), "dilation": int(rng.integers(1, 4)), "groups": 2}
            layers.append(nn.Conv1d(channels, wider, width, padding=int(rng.integers(0, 9)), **how))
            channels = wider
        elif kind == 3:
            how = {"ceil_mode": bool(rng.integers(2)), "padding": int(rng.integers(width // 2 + 1))}
            layers.append(nn.MaxPool1d(width, int(rng.integers(1, width + 1)), **how))
        elif kind == 4:
            layers.append(nn.Conv1d(channels, channels, width // 2 * 2 + 1, padding="same"))
        else:
            layers += [nn.GELU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Softmax(1), nn.Flatten(), nn.LazyLinear(1), nn.Flatten(0))


@pytest.mark.parametrize("seed", range(25))
def test_any_order_of_layers(seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    channels = window(int(rng.integers(150, 190)), seed)
    network = random_layers(rng).double().eval()
    network(channels[None])
    length = channels.shape[1]
    assert_same(network, channels, sorted({0, 1, 2, length // 2, length - 2, length - 1}), batch=5)


def test_only_the_span_is_computed():
    channels = window(600).float()
    first = Changed(channels[None, :, None], torch.eye(4)[:3, :, None, None], torch.tensor([0, 300, 599]), Memo())
    conv = nn.Conv1d(4, 6, 13, padding=6)(first)
    assert conv.span == 13 and conv.starts.tolist() == [0, 294, 587]
    pooled = nn.MaxPool1d(6)(nn.ReLU()(conv))
    assert pooled.span == 3 and pooled.n == 100
    assert (pooled + pooled).span == 3
    assert pooled.shape == pooled.whole.shape == (3, 6, 100)


def test_batches_change_nothing_and_no_place_is_no_mutant():
    network, channels = drawn(SPECS["basset"] | {"length": 180}), window(180).float()
    places = list(range(0, 180, 9))
    apart, together = (base_changes(network, channels, places, batch) for batch in (4, 1000))
    with torch.no_grad():
        logit = network(channels[None]).numpy()
    assert np.abs(together).max() > 100 * rounding(logit)
    np.testing.assert_allclose(apart, together, rtol=0, atol=rounding(logit))
    assert base_changes(network, channels, [], 8).shape == (0, 4)
    own = channels[:, places].argmax(0).numpy()
    assert not apart[np.arange(len(places)), own].any() and np.count_nonzero(apart) == 3 * len(places)


def test_a_network_that_reads_text():
    changes = sequence_changes(lambda texts: np.array([text.count("CG") for text in texts]), "ACGTTG", [1, 4], 2)
    assert changes.tolist() == [[-1, 0, -1, -1], [0, 1, 0, 0]]
