"""Where a network computes, and what to do when its memory runs out."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from intronaut.core.errors import NO_KERNEL, TryAgain, UsageError, is_out_of_memory
from intronaut.core.log import Log, peak_bytes

if TYPE_CHECKING:
    import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def pick_device(name: str) -> torch.device:
    """The torch device of ``--device``; ``auto`` is a CUDA GPU if there is one, else the CPU. Raises UsageError."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as problem:
        raise UsageError(f"--device {name}: not usable here ({str(problem).splitlines()[0]})") from problem
    return device


def prepare_torch(threads: int) -> None:
    """Set CPU threads, true float32 on GPUs (cuDNN would take TF32 by default), and keep freed memory for reuse."""
    import torch

    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    keep_heap()


def keep_heap() -> None:
    """Let glibc keep big freed blocks: giving each layer's memory back to the kernel can cost a tenth of the time.

    Where address space is limited (``ulimit -v``) nothing is kept, neither blocks nor the kernels that oneDNN compiles
    for each length: they would leave no room to try a smaller batch in.
    """
    limited = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    if limited:
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "0")
        # a thread would take 8 MB of it for its stack, and 64 MB for a heap of its own
        threading.stack_size(1 << 20)
        _call_glibc("mallopt", M_ARENA_MAX, 1)
    threshold = 1 << 17 if limited else 1 << 30
    _call_glibc("mallopt", M_MMAP_THRESHOLD, threshold)
    _call_glibc("mallopt", M_TRIM_THRESHOLD, threshold)


def give_back_heap() -> None:
    """Let glibc give the blocks that it keeps back to the kernel."""
    _call_glibc("malloc_trim", 0)


def _call_glibc(name, *arguments):
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library: slower, not wrong
            getattr(ctypes.CDLL(None), name)(*arguments)


def compute_halving(compute: Callable[[list[Any]], Any], batch: list[Any], log: Log) -> Any:
    """The features of a batch; out of memory, those of its halves. Raises TryAgain when one window does not fit."""
    if (values := unless_out_of_memory(compute, batch)) is not None:
        return values
    if len(batch) == 1:
        raise TryAgain(f"one window of {len(batch[0]):,} does not fit into memory; use a machine or GPU with more")
    log.warn(f"out of memory with {len(batch)} windows at once; halving")
    middle = len(batch) // 2
    return np.concatenate([compute_halving(compute, half, log) for half in (batch[:middle], batch[middle:])])


def unless_out_of_memory(compute: Callable, batch: np.ndarray | list[np.ndarray]) -> np.ndarray | torch.Tensor:
    """``compute(batch)``, or None when memory does not hold it."""
    import torch

    for attempt in (compute, partial(_in_another_thread, compute)):
        try:
            return attempt(batch)
        except (RuntimeError, MemoryError) as problem:
            if not is_out_of_memory(problem):
                raise
            lacks_kernel = NO_KERNEL in str(problem)
        # only here, outside the handler, is the failed attempt's memory no longer held by the traceback
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        give_back_heap()
        if not lacks_kernel:
            break
    return None


def _in_another_thread(compute, batch):
    """``compute(batch)``: a thread in which oneDNN once lacked the memory for a kernel builds none any more.

    Xbyak, which writes its kernels, keeps the error for each thread and never clears it.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(compute, batch).result()


def device_name(device: torch.device) -> str:
    """What a cost record calls a device: the model of a GPU, else its type."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory that this process held on a device, in bytes."""
    import torch

    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_bytes()
