"""Sei against the numbers of its published code, and what must not change a feature."""

from pathlib import Path

import numpy as np
import pytest
import torch
from Bio.Data.IUPACData import ambiguous_dna_values

from intronaut.core.errors import BadData
from intronaut.features.sei_targets import class_scores, read_targets, target_kind, variant_class_scores
from intronaut.networks.fast_convolution import LayerConv
from intronaut.networks.sei import (
    CHANNELS,
    OUTPUTS,
    Sei,
    channel_table,
    encode,
    fit_to_window,
    spline_basis,
    tensor_shapes,
    widths,
)
from intronaut.networks.sei_inference import Head, Runner
from random_checkpoints import NARROW_SEI, fill, sei_tensors

PUBLISHED = np.load(Path(__file__).parent / "data/sei/published.npz")
SEED = 20250101
# half the width of the uniform numbers that fill a weight, by the beginning of its name; biases 0.1
TINY_BOUNDS = {
    "lconv1.0": 0.5, "lconv1.1": 0.08432, "conv1": 0.1491, "lconv2.2": 0.08432, "lconv2.3": 0.07303, "conv2": 0.1291,
    "lconv3.2": 0.07303, "lconv3.3": 0.05963, "conv3": 0.1054, "dconv": 0.08165, "classifier.0": 0.006,
    "classifier.2": 0.25,
}  # fmt: skip
FULL_BOUNDS = {
    "lconv1.0": 0.5, "lconv1.1": 0.02108, "conv1": 0.03727, "lconv2.2": 0.02108, "lconv2.3": 0.01826, "conv2": 0.03227,
    "lconv3.2": 0.01826, "lconv3.3": 0.0149, "conv3": 0.02635, "dconv": 0.02041, "classifier.0": 0.001,
    "classifier.2": 0.6,
}  # fmt: skip
FEATURE_BOUND, PROBABILITY_BOUND = 2e-6, 5e-6
COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


def filled(channels, outputs, bounds):
    def bound(name):
        return 0.1 if name.endswith("bias") else next(bounds[start] for start in bounds if name.startswith(start))

    return {
        name: torch.from_numpy(fill(name, shape, seed=SEED, bound=bound(name)))
        for name, shape in tensor_shapes(channels, outputs).items()
    }


@pytest.fixture(scope="module")
def tiny():
    return filled((30, 40, 60), 50, TINY_BOUNDS)


@pytest.fixture(scope="module", params=[True, False], ids=["tiles", "layers"])
def runner(request, tiny):
    return Runner(tiny, tiled=request.param)


@pytest.fixture(scope="module")
def tiled(tiny):
    return Runner(tiny, tiled=True)


def network(tensors, dtype=torch.float32):
    made = Sei(*widths(tensors)).eval()
    made.load_state_dict(tensors)
    return made.to(dtype)


def published_codes(case):
    return np.stack([encode(bytes(sequence).decode().upper()) for sequence in PUBLISHED[f"{case}_seqs"]])


def random_codes(n, length, seed=1, letters=5):
    return np.random.default_rng(seed).integers(0, letters, (n, length)).astype(np.uint8)


def relative_error(found, wanted):
    found, wanted = (np.asarray(array, np.float64) for array in (found, wanted))
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def expect_published(runner, head, case, every=1):
    codes = published_codes(case)
    spline = runner.spline(runner.trunk(codes))
    forward, reverse = torch.sigmoid(head.logits(spline)).numpy().reshape(2, len(codes), -1)
    assert relative_error(spline[: len(codes), ::every], PUBLISHED[f"{case}_spline_fwd"]) < FEATURE_BOUND
    for found, name in ((forward, "fwd"), (reverse, "rc"), ((forward + reverse) / 2, "mean")):
        assert np.abs(found - PUBLISHED[f"{case}_pred_{name}"]).max() < PROBABILITY_BOUND


@pytest.mark.parametrize("length", [600, 1001, 4096])
def test_features_and_probabilities_are_the_published_ones(runner, tiny, length):
    expect_published(runner, Head(tiny), f"tiny_{length}")


@pytest.mark.slow
def test_full_width_is_the_published_one():
    tensors = filled(CHANNELS, 8, FULL_BOUNDS)
    runner, head = Runner(tensors), Head(tensors)
    expect_published(runner, head, "full_600", every=16)
    expect_published(runner, head, "full_4096", every=16)


def test_every_stage_of_the_network_is_the_published_one(tiny):
    model, seen = network(tiny), {}
    for name, stage in model.named_children():
        stage.register_forward_hook(lambda _module, _inputs, out, name=name: seen.setdefault(name, out))
    codes = published_codes("tiny_600")
    with torch.no_grad():
        x = channel_table()[codes.astype(int)].transpose(1, 2)
        probabilities = model(x)
        seen["trunk"] = model.trunk(x)
    wanted = {name[14:]: PUBLISHED[name] for name in PUBLISHED if name.startswith("tiny_600_act0_")}
    assert len(wanted) == 12
    for name, numbers in wanted.items():
        assert relative_error(seen[name][0, :, ::7], numbers) < FEATURE_BOUND, name
    assert np.abs(probabilities.numpy() - PUBLISHED["tiny_600_pred_fwd"]).max() < PROBABILITY_BOUND


@pytest.mark.parametrize("length", [*range(32, 65, 4), 65, 79, 600, 1001])
def test_runner_is_the_network_at_any_length(runner, tiny, length):
    codes = random_codes(3, length)
    stacked = np.concatenate([codes, COMPLEMENT[codes[:, ::-1]]])
    with torch.no_grad():
        wanted = network(tiny, torch.float64).spline(channel_table().double()[stacked.astype(int)].transpose(1, 2))
    assert relative_error(runner.spline(runner.trunk(codes)), wanted) < FEATURE_BOUND


@pytest.mark.parametrize(("length", "padding"), [(4096, 0), (4096, 1748), (4096, 1300), (600, 0), (1001, 0)])
def test_layers_compute_multiples_of_sixteen_positions(tiny, monkeypatch, length, padding):
    # at other lengths oneDNN's bfloat16 convolutions on AMX can take four times as long
    lengths, rows = [], LayerConv.rows

    def spied(conv, x):
        y = rows(conv, x)
        lengths.extend([y.shape[1]] * (conv.dilation == 1))
        return y

    monkeypatch.setattr(LayerConv, "rows", spied)
    Runner(tiny, tiled=False).trunk(random_codes(2, length), padding=padding)
    assert len(lengths) >= 9 and not any(number % 16 for number in lengths)


@pytest.mark.parametrize("bases", [0, 1, 32, 600, 1501, 3990, 4090])
def test_bases_that_are_padding_need_not_be_computed(runner, bases):
    codes = np.stack([fit_to_window(row) for row in random_codes(2, bases, letters=4)])
    whole = runner.spline(runner.trunk(codes))
    assert relative_error(runner.spline(runner.trunk(codes, padding=(4096 - bases) // 2)), whole) < FEATURE_BOUND


@pytest.mark.parametrize("length", [33, 100, 600])
def test_a_window_does_not_feel_its_batch_mates_place_threads_or_strands(tiled, tiny, length):
    codes, head = random_codes(9, length), Head(tiny)
    batch = tiled.spline(tiled.trunk(codes))
    order = np.random.default_rng(2).permutation(9)
    before = torch.get_num_threads()
    torch.set_num_threads(3 - min(before, 2))
    with_other_threads = tiled.spline(tiled.trunk(codes))
    torch.set_num_threads(before)
    other_ways = {
        "threads": (batch, with_other_threads),
        "alone": (batch[[4, 13]], tiled.spline(tiled.trunk(codes[4:5]))),
        "forward": (batch[:9], tiled.spline(tiled.trunk(codes, "+"))),
        "order": (batch[:9][order], tiled.spline(tiled.trunk(codes[order]))[:9]),
        "head": (head.logits(batch)[:2], head.logits(batch[:2])),
    }
    for way, (first, second) in other_ways.items():
        assert relative_error(first, second) < 1e-6, way


def test_the_mean_of_both_strands_is_the_same_for_the_reverse_complement(tiled):
    codes = random_codes(4, 600)
    one, other = (
        tiled.spline(tiled.trunk(c)).unflatten(0, (2, -1)).mean(0) for c in (codes, COMPLEMENT[codes[:, ::-1]])
    )
    assert relative_error(one, other) < 1e-6


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 5e-3), (torch.float16, 1e-3)])
def test_low_precision_is_near(tiny, dtype, bound):
    runner = Runner(tiny, dtype=dtype)
    spline = runner.spline(runner.trunk(published_codes("tiny_600"), "+"))
    assert spline.dtype == torch.float32
    assert relative_error(spline, PUBLISHED["tiny_600_spline_fwd"]) < bound


def test_the_network_has_the_released_parameters():
    shapes = tensor_shapes()
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    assert len(shapes) == 38 and sum(sizes.values()) == 889_979_983
    assert sum(size for name, size in sizes.items() if not name.startswith("classifier")) == 73_528_000
    assert shapes["classifier.2.weight"] == (OUTPUTS, OUTPUTS) == (21_907, 21_907)


def test_head_computes_only_the_wanted_outputs(tiny):
    spline = torch.from_numpy(fill("spline", (3, 960), seed=1, bound=1.0))
    assert relative_error(Head(tiny, [3, 7, 40]).logits(spline), Head(tiny).logits(spline)[:, [3, 7, 40]]) < 1e-6


@pytest.mark.parametrize("n", [17, 37, 62, 255, 256])
def test_spline_basis_is_the_published_one(n):
    assert np.abs(spline_basis(n).numpy() - PUBLISHED[f"basis_{n}"]).max() < 1e-7


@pytest.mark.parametrize("case", range(8))
def test_letters_become_the_published_channels(case):
    codes, table = encode(bytes(PUBLISHED[f"encoding_in_{case}"]).decode().upper()), channel_table().numpy()
    assert np.array_equal(table[codes], PUBLISHED[f"encoding_onehot_raw_{case}"])
    assert np.array_equal(table[fit_to_window(codes, 16)], PUBLISHED[f"encoding_onehot_fixed16_{case}"])
    assert np.array_equal(table[codes][::-1, ::-1], PUBLISHED[f"encoding_rc_onehot_{case}"])


def test_expanded_letters_are_equal_parts_of_their_bases():
    table = channel_table().numpy()
    for letter, bases in (ambiguous_dna_values | {"U": "T", "-": "ACGT"}).items():
        wanted = [(base in bases) / len(bases) for base in "ACGT"]
        assert np.allclose(table[encode(letter, expand=True)[0]], wanted), letter


def test_class_scores_are_the_published_ones():
    ref, alt, vectors, histone = (PUBLISHED[f"projection_{name}"] for name in ("ref", "alt", "projvec", "histone_inds"))
    assert np.allclose(class_scores(ref, vectors), PUBLISHED["projection_raw_scores"], rtol=1e-12)
    changes = variant_class_scores(ref, alt, vectors, histone)
    assert np.allclose(changes, PUBLISHED["projection_variant_scores"], rtol=1e-10, atol=1e-13)


def test_target_lines_become_columns(tmp_path):
    names = tmp_path / "target.names"
    names.write_text("HeLa | BTAF1 | ID:1\nA549 (EtOH) | H3K27ac | ENCODE | 1\nLiver | DNase | Roadmap\n")
    table = read_targets(names, 3)
    assert table.index[1] == "A549 (EtOH) | H3K27ac | ENCODE | 1"
    assert table.iloc[1, :4].tolist() == ["H3K27ac", "A549 (EtOH)", "ENCODE | 1", "histone"]
    assert table["kind"].tolist() == ["tf", "histone", "access"]
    with pytest.raises(BadData, match="3 names for the 4 outputs"):
        read_targets(names, 4)
    names.write_text("a | b | c\na | b | c\nno bars\n")
    with pytest.raises(BadData, match="(?s)line 2: .*occurs twice.*line 3: not of the form"):
        read_targets(names, 3)


def test_kinds_follow_the_published_rule():
    kinds = {"H2AK5ac": "histone", "CENPA": "histone", "H1F0": "tf", "DNase": "access", "DNase.hot": "tf",
             "ATAC-seq": "access", "CTCF": "tf"}  # fmt: skip
    assert {target: target_kind(target) for target in kinds} == kinds


def test_random_checkpoint_keeps_its_numbers_in_range():
    tensors = sei_tensors(*NARROW_SEI)
    runner, head = Runner(tensors), Head(tensors)
    logits = head.logits(runner.spline(runner.trunk(random_codes(4, 4096, letters=4), "+")))
    assert 0.1 < logits.std() < 5
