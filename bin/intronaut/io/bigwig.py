"""BigWig files by pybigtools, whose Rust code panics, and prints that it does, where a file is broken."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from intronaut.core.errors import BadData

STDERR = 2
# the first bytes of a bigWig: in which order of bytes it is
ORDERS: dict[bytes, Literal["<", ">"]] = {b"\x26\xfc\x8f\x88": "<", b"\x88\x8f\xfc\x26": ">"}
# of the index, an R-tree (Kent et al. 2010, BigWig and BigBed, supplement): where the header says that it begins, its
# first bytes, the bytes before its root, and those of an item: 16 for which bases, an offset, in a leaf a block's size
_INDEX_AT, _INDEX_MAGIC, _BEFORE_ROOT = 24, 0x2468ACE0, 48
_BRANCH, _LEAF = [("bases", "V16"), ("offset", "u8")], [("bases", "V16"), ("offset", "u8"), ("size", "u8")]


def is_bigwig(path: Path | str) -> bool:
    """Whether the first bytes of a file are those of a bigWig."""
    with open(path, "rb") as file:
        return file.read(4) in ORDERS


def check_blocks(path: Path | str) -> None:
    """Raise BadData where the index names a block beyond the end of the file.

    pybigtools asks for as much memory as the index gives a block, and a process that gets none so large is ended.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        order = ORDERS[file.read(4)]
        file.seek(_INDEX_AT)
        try:
            (start,) = struct.unpack(order + "Q", file.read(8))
            file.seek(start)
            if file.read(4) != struct.pack(order + "I", _INDEX_MAGIC):
                raise ValueError("no index where its header says")
            nodes, n_read = [start + _BEFORE_ROOT], 0
            while nodes:
                n_read += 1
                is_leaf, items = _node(file, nodes.pop(), order)
                ends = items["offset"] + items["size"] if is_leaf else items["offset"]
                if n_read > size // 4 or (ends > size).any() or (is_leaf and (items["size"] > size).any()):
                    raise ValueError("its index names what lies beyond its end")
                nodes += [] if is_leaf else items["offset"].tolist()
        except (OSError, ValueError, OverflowError, struct.error) as problem:
            raise BadData(f"{path}: not a whole bigWig ({problem}); copy it again") from problem


def _node(file: BinaryIO, offset: int, order: Literal["<", ">"]) -> tuple[bool, np.ndarray]:
    file.seek(offset)
    is_leaf, _, n = struct.unpack(order + "BBH", file.read(4))
    kind = np.dtype(_LEAF if is_leaf else _BRANCH).newbyteorder(order)
    return bool(is_leaf), np.frombuffer(file.read(n * kind.itemsize), kind, n)


@contextlib.contextmanager
def broken_bigwig_refused(path: Path | str, where: str = "") -> Iterator[None]:
    """Raise BadData for whatever pybigtools raises of a broken file, panics too, and keep their text from stderr.

    ``where`` is the place that was read. Not for several threads: stderr is that of the process.
    """
    kept, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STDERR)
        yield
    except BaseException as problem:
        # pybigtools raises kinds of its own; the panics of its Rust code are no Exception, and have no name to import
        if not isinstance(problem, Exception) and type(problem).__name__ != "PanicException":
            raise
        raise BadData(f"{path}: not a whole bigWig{where} ({problem}); copy it again") from problem
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nowhere)
