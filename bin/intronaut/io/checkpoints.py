"""Checkpoints in: PyTorch files and safetensors, without running code from them and without reading them whole.

Tensors are memory-mapped, so that what a run never touches is never read. A checkpoint is refused when a tensor is
missing, unexpected, of the wrong shape, or holds a value that is not finite; every such tensor is named.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import math
import mmap
import pickle
import sys
import threading
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from intronaut.core.errors import BadData, Problems
from intronaut.core.files import require_file

if TYPE_CHECKING:
    import torch

WRAPPERS = ("module.", "model.")
FINITE_BLOCK = 1 << 22
# a smaller matrix may hold one value by chance
FEWEST_VALUES = 16
# of linux/mman.h: reclaims pages that no other process holds, and loses nothing
MADV_PAGEOUT = 21


@dataclass
class Checkpoint:
    """Named tensors of one file, mapped into memory, and what the file says about itself (``note``)."""

    path: Path
    tensors: dict
    note: str = ""

    def match(
        self, shapes: Mapping[str, Sequence[int]], optional: Iterable[str] = (), unused: Iterable[str] = ()
    ) -> dict[str, torch.Tensor]:
        """The tensors that ``shapes`` (name → shape) names, after checking that there are no others.

        Names in ``optional`` may be absent; names that start with one of ``unused`` are known and left aside. Raises
        BadData that lists every missing, unexpected, mis-shaped or non-float tensor.
        """
        problems = Problems(self.path)
        for name in sorted(shapes.keys() - self.tensors.keys() - set(optional)):
            problems.add(f"tensor {name} is missing")
        for name in sorted(self.tensors.keys() - shapes.keys()):
            if not name.startswith(tuple(unused)):
                problems.add(f"tensor {name} is not part of this model")
        wanted = [name for name in shapes if name in self.tensors]
        for name in wanted:
            tensor, shape = self.tensors[name], tuple(shapes[name])
            if tuple(tensor.shape) != shape:
                problems.add(f"tensor {name} has shape {_times(tensor.shape)}, not {_times(shape)}")
            elif not tensor.is_floating_point():
                problems.add(f"tensor {name} holds {str(tensor.dtype).removeprefix('torch.')}, not real numbers")
        problems.raise_if_any()
        return {name: self.tensors[name] for name in wanted}

    def require_finite(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Raise BadData that lists every one of ``tensors`` (name → tensor) that no training can have left.

        These are tensors with a NaN or infinite value, and matrices and kernels whose values are all the same.
        """
        problems = Problems(self.path)
        for name, tensor in tensors.items():
            lowest, highest = extremes(tensor)
            if not (math.isfinite(lowest) and math.isfinite(highest)):
                problems.add(f"tensor {name} holds values that are not finite")
            elif tensor.dim() > 1 and tensor.numel() >= FEWEST_VALUES and lowest == highest:
                problems.add(f"tensor {name} holds {lowest:g} only; it is not of a trained model")
        problems.raise_if_any()


def let_go(tensor: torch.Tensor) -> None:
    """Ask the system to drop the pages of a mapped tensor from memory; they are read again when needed.

    Harmless for any tensor on the CPU, and nothing at all where the system cannot.
    """
    if not sys.platform.startswith("linux"):
        return
    start, size = tensor.data_ptr(), tensor.nbytes
    first = start // mmap.PAGESIZE * mmap.PAGESIZE
    with contextlib.suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None).madvise
        madvise(ctypes.c_void_p(first), ctypes.c_size_t(start + size - first), MADV_PAGEOUT)


def _times(shape):
    return "×".join(map(str, shape)) or "scalar"


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether a tensor holds neither NaN nor infinity."""
    return all(map(math.isfinite, extremes(tensor)))


def extremes(tensor: torch.Tensor) -> tuple[float, float]:
    """The lowest and the highest value of a tensor as floats, NaN where it holds one.

    It is read block by block, without a copy of its size.
    """
    import torch

    bounds = [torch.aminmax(block) for block in tensor.detach().reshape(-1).split(FINITE_BLOCK) if block.numel()]
    if not bounds:
        return 0.0, 0.0
    lowest, highest = (torch.stack(values) for values in zip(*bounds, strict=True))
    return float(lowest.min()), float(highest.max())


def open_checkpoint(path: Path | str) -> Checkpoint:
    """Open ``.pth``/``.bin``/``.pt`` (as PyTorch writes them) or ``.safetensors``, distinguished by their first bytes.

    A top-level ``state_dict`` entry is taken; the prefixes ``module.`` and ``model.`` that wrappers leave are removed.
    Raises MissingInput, and BadData for a file that is truncated, is a web page, holds code or no tensors.
    """
    path = require_file(path)
    with open(path, "rb") as handle:
        head = handle.read(512)
    if head[:4] == b"PK\x03\x04":
        return Checkpoint(path, _plain_names(path, _read_zip(path)))
    if head[8:9] == b"{":
        tensors, note = _read_safetensors(path)
        return Checkpoint(path, _plain_names(path, tensors), note)
    if head[:1] == b"\x80":
        return Checkpoint(path, _plain_names(path, _load(path, mapped=False)))
    if head.lstrip()[:1] == b"<":
        raise BadData(f"{path}: a web page, not a checkpoint; the download went wrong, fetch it again")
    if head.startswith(b"version https://git-lfs"):
        raise BadData(f"{path}: a Git LFS pointer, not a checkpoint; fetch the file itself")
    raise BadData(f"{path}: neither a PyTorch checkpoint nor safetensors; is this the right file?")


def refuse_broken_start(path: Path | str) -> None:
    """Raise BadData for a file that does not begin as a checkpoint, or is cut off where that shows at its ends."""
    path = require_file(path)
    with open(path, "rb") as handle:
        head = handle.read(512)
    if head.lstrip()[:1] == b"<":
        raise BadData(f"{path}: a web page, not a checkpoint; the download went wrong, fetch it again")
    if head.startswith(b"version https://git-lfs"):
        raise BadData(f"{path}: a Git LFS pointer, not a checkpoint; fetch the file itself")
    if head[:4] == b"PK\x03\x04":
        if not zipfile.is_zipfile(path):
            raise BadData(f"{path}: truncated or damaged checkpoint; fetch it again")
    elif head[8:9] != b"{" and head[:1] != b"\x80":
        raise BadData(f"{path}: neither a PyTorch checkpoint nor safetensors; is this the right file?")


def _read_zip(path):
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, OSError) as problem:
        raise BadData(f"{path}: truncated or damaged checkpoint ({problem}); fetch it again") from problem
    if packed:
        raise BadData(f"{path}: entry {packed[0]!r} is compressed, which PyTorch never does; not a checkpoint")
    return _load(path, mapped=True)


def _load(path, mapped):
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as problem:
        holds_code = any(word in str(problem) for word in ("Unsupported", "Trying to", "Can only", "unrecognized"))
        why = "it holds Python objects or code besides tensors" if holds_code else "it is damaged"
        raise BadData(f"{path}: refused: {why}; nothing in it was run") from problem
    except Exception as problem:  # the bytes decide which of many: struct.error, EOFError, RuntimeError, …
        reason = (str(problem).splitlines() or ["unreadable"])[0]
        raise BadData(f"{path}: truncated or damaged checkpoint ({reason[:120]}); fetch it again") from problem


def _read_safetensors(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get("note", "")  # noqa: SIM118
    except SafetensorError as problem:
        raise BadData(f"{path}: truncated or damaged safetensors ({problem}); fetch it again") from problem


def _plain_names(path, loaded):
    import torch

    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not loaded:
        raise BadData(f"{path}: holds no named tensors; is this the right file?")
    problems = Problems(path)
    tensors = {}
    for key, value in loaded.items():
        name = plain_name(str(key))
        if not isinstance(value, torch.Tensor):
            problems.add(f"entry {key!r} is a {type(value).__name__}, not a tensor")
        elif name in tensors:
            problems.add(f"tensor {name} occurs twice, under different prefixes")
        tensors[name] = value
    problems.raise_if_any()
    return tensors


def plain_name(key: str) -> str:
    """A tensor's name without the prefixes of wrappers: ``module.model.conv1.0.weight`` → ``conv1.0.weight``."""
    while key.startswith(WRAPPERS):
        key = key.split(".", 1)[1]
    return key


class BackgroundDigest:
    """The sha256 of a file's bytes, taken on another thread while the run gets ready."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failure = None
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self):
        try:
            with open(self._path, "rb") as handle:
                self._hex = hashlib.file_digest(handle, "sha256").hexdigest()
        except OSError as problem:
            self._failure = problem

    def hex(self) -> str:
        """Wait for the digest and return it as hex."""
        self._thread.join()
        if self._failure:
            raise self._failure
        return self._hex
