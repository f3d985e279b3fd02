"""Checkpoints are read without running what they hold, and refused with every fault named."""

import hashlib
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from intronaut.core.errors import BadData, MissingInput
from intronaut.io.checkpoints import BackgroundDigest, is_finite, open_checkpoint, plain_name

SHAPES = {"one.weight": (3, 2), "one.bias": (3,), "two.weight": (2, 3)}


@pytest.fixture
def tensors():
    return {name: torch.randn(shape, generator=torch.Generator().manual_seed(1)) for name, shape in SHAPES.items()}


def wrapped(tensors, prefix="module.model."):
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


WAYS_TO_SAVE = {
    "as released": lambda tensors, path: torch.save(wrapped(tensors), path),
    "old format": lambda tensors, path: torch.save(tensors, path, _use_new_zipfile_serialization=False),
    "within a training state": lambda tensors, path: torch.save({"epoch": 3, "state_dict": wrapped(tensors)}, path),
    "safetensors": lambda tensors, path: save_file(tensors, path, {"note": "random weights"}),
    "in another order": lambda tensors, path: torch.save(dict(reversed(tensors.items())), path),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS_TO_SAVE)
def test_tensors_come_back_under_their_plain_names(tmp_path, tensors, way):
    WAYS_TO_SAVE[way](tensors, tmp_path / "weights")
    checkpoint = open_checkpoint(tmp_path / "weights")
    found = checkpoint.match(SHAPES)
    assert list(found) == list(SHAPES)
    assert all(torch.equal(found[name], tensors[name]) for name in SHAPES)
    assert checkpoint.note == ("random weights" if way == "safetensors" else "")


def test_only_prefixes_of_wrappers_are_removed():
    assert plain_name("module.model.conv1.0.weight") == plain_name("model.module.conv1.0.weight") == "conv1.0.weight"
    assert plain_name("bert.model.weight") == "bert.model.weight"


class Canary:
    """A pickle that writes a file when it is loaded by a reader that runs what it finds."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize(
    "hidden", [lambda canary: canary, lambda canary: {"one.weight": canary}, lambda canary: [canary]]
)
def test_code_is_never_run(tmp_path, hidden):
    content = hidden(Canary(tmp_path / "canary"))
    (tmp_path / "bare.bin").write_bytes(pickle.dumps(content, 2))
    torch.save(content, tmp_path / "zip.bin")
    torch.save(content, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    for name in ("bare.bin", "zip.bin", "old.bin"):
        with pytest.raises(BadData, match="nothing in it was run"):
            open_checkpoint(tmp_path / name)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("way", WAYS_TO_SAVE)
def test_truncated_anywhere_is_refused(tmp_path, tensors, way):
    WAYS_TO_SAVE[way](tensors, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for size in [4, 9, *range(64, len(whole), max(1, len(whole) // 25)), len(whole) - 1]:
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(BadData):
            open_checkpoint(tmp_path / "cut")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "neither"),
        (b"<!DOCTYPE html><html>429</html>", "web page"),
        (b"\n <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b">chr1\nACGT\n", "neither"),
    ],
)
def test_other_files_are_told_apart(tmp_path, content, says):
    (tmp_path / "weights").write_bytes(content)
    with pytest.raises(BadData, match=says):
        open_checkpoint(tmp_path / "weights")


def test_what_is_no_checkpoint_is_refused(tmp_path, tensors):
    torch.save([1, 2], tmp_path / "list")
    torch.save({"one.weight": "text"}, tmp_path / "text")
    torch.save(tensors | wrapped(tensors), tmp_path / "twice")
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10_000_000)
    for name, says in {"list": "no named", "text": "is a str", "twice": "occurs twice", "bomb": "compressed"}.items():
        with pytest.raises(BadData, match=says):
            open_checkpoint(tmp_path / name)
    with pytest.raises(MissingInput):
        open_checkpoint(tmp_path / "nothing")


def test_every_wrong_tensor_is_named(tmp_path, tensors):
    tensors["one.weight"], tensors["two.weight"] = tensors["two.weight"], tensors["one.weight"]
    tensors["one.bias"] = torch.zeros(3, dtype=torch.int64)
    torch.save(tensors | {"stranger": torch.zeros(1)}, tmp_path / "weights")
    with pytest.raises(BadData) as refusal:
        open_checkpoint(tmp_path / "weights").match(SHAPES | {"three.weight": (1,)})
    for fault in ("5 problems", "three.weight is missing", "stranger is not part of this model", "one.bias holds int64",
                  "one.weight has shape 2×3, not 3×2", "two.weight has shape 3×2, not 2×3"):  # fmt: skip
        assert fault in str(refusal.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_value_that_is_not_finite_is_found_anywhere(tmp_path, tensors, value):
    assert all(is_finite(tensor) for tensor in tensors.values())
    tensors["two.weight"][1, 2] = value
    torch.save(tensors, tmp_path / "weights")
    checkpoint = open_checkpoint(tmp_path / "weights")
    with pytest.raises(BadData, match="two.weight holds values that are not finite"):
        checkpoint.require_finite(checkpoint.match(SHAPES))


def test_digest_is_that_of_the_bytes(tmp_path):
    (tmp_path / "weights").write_bytes(b"abc" * 1000)
    assert BackgroundDigest(tmp_path / "weights").hex() == hashlib.sha256(b"abc" * 1000).hexdigest()
