"""The constants of a frozen TensorFlow graph (GraphDef), read from its bytes without TensorFlow or protobuf.

The wire format of protocol buffers is a sequence of fields, each a key (field number and wire type) and a value. Fields
used here: GraphDef.node 1; NodeDef.name 1, op 2, input 3, attr 5 (a map of key 1 to value 2); AttrValue.tensor 8;
TensorProto.dtype 1, tensor_shape 2, tensor_content 4, float_val 5.
"""

import struct
from pathlib import Path

import numpy as np

from intronaut.core.errors import BadData

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FLOAT32 = 1


class Graph:
    """The nodes of a frozen graph: ``values`` maps names of constants to arrays, ``inputs`` names to their inputs."""

    def __init__(self, data: bytes, path: Path | str) -> None:
        self.path, self.values, self.inputs = path, {}, {}
        try:
            for number, value in _fields(memoryview(data)):
                if number == 1:
                    self._add(value)
        except (IndexError, ValueError, struct.error, UnicodeDecodeError) as problem:
            raise BadData(f"{path}: not a frozen TensorFlow graph ({problem})") from problem

    def _add(self, node):
        name, inputs, value = "", [], None
        for number, field in _fields(node):
            if number == 1:
                name = bytes(field).decode()
            elif number == 3:
                inputs.append(bytes(field).decode())
            elif number == 5:
                value = _float_tensor(field) if value is None else value
        self.inputs[name] = inputs
        if value is not None:
            self.values[name] = value

    def constant(self, name: str) -> np.ndarray:
        """The float32 array of a constant, through the nodes that only pass it on. Raises BadData without one."""
        for _ in range(10):
            if name in self.values:
                return self.values[name]
            if not self.inputs.get(name):
                break
            name = self.inputs[name][0]
        raise BadData(f"{self.path}: no constant {name}")


def _fields(data):
    """Yield ``(field number, value)``; a value is a whole number or a memoryview."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
        elif kind == BYTES:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(data):
            raise ValueError("it ends in the middle of a field")
        yield number, value


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _float_tensor(attribute):
    """The float32 array of an attribute ``value`` that holds one, else None."""
    value = dict(_fields(attribute)).get(2, b"")
    tensor = dict(_fields(value)).get(8) if len(value) else None
    if tensor is None:
        return None
    dtype, shape, content, single = None, [], None, []
    for number, field in _fields(tensor):
        if number == 1:
            dtype = field
        elif number == 2:
            shape = [dict(_fields(size)).get(1, 0) for key, size in _fields(field) if key == 2]
        elif number == 4:
            content = bytes(field)
        elif number == 5:
            single.append(bytes(field))
    if dtype != FLOAT32:
        return None
    numbers = np.frombuffer(content if content is not None else b"".join(single), "<f4")
    n = int(np.prod(shape)) if shape else 1
    if len(numbers) == 1 and n > 1:
        numbers = np.repeat(numbers, n)
    return numbers.reshape(shape)
