"""The layout of a features file, whose every offset is fixed before the first value is written."""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# bytes of what the features took to make, as JSON
LONGEST_COST = 4096


def write_layout(
    file: h5py.File,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    dtype: np.dtype | type | str,
    provenance: dict[str, Any],
    identity: str,
) -> None:
    """Write everything but the values of ``X``, for which there is room, into a new HDF5 file."""
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
        _dict_group(file, name)
    _write_frame(file, "obs", obs)
    _write_frame(file, "var", var)
    notes = _dict_group(file["uns"], "intronaut")
    _write_text(notes, "provenance", json.dumps(provenance, sort_keys=True))
    _write_text(notes, "identity", identity)
    # early allocation fixes every offset now; rows are only ever overwritten in place
    _write_text(notes, "tables_sha256", tables_digest(obs, var, provenance))
    _early_dataset(notes, "done", (len(obs),), np.uint8)
    _early_dataset(notes, "row_crc32", (len(obs),), np.uint32)
    _early_dataset(notes, "batch_size", (), np.int64)
    _early_dataset(file, "X", (len(obs), len(var)), dtype)


def reserve_cost(notes: h5py.Group) -> None:
    """A string of fixed length, which is filled in when all is done and the disk may be full."""
    _early_dataset(notes, "cost", (), f"S{LONGEST_COST}")
    notes["cost"].attrs.update({"encoding-type": "string", "encoding-version": "0.2.0"})


def row_checksums(values: np.ndarray) -> np.ndarray:
    """The CRC-32 of the bytes of each row as they are stored, uint32."""
    values = np.ascontiguousarray(values)
    return np.array([zlib.crc32(row.data) for row in values.view(np.uint8).reshape(len(values), -1)], np.uint32)


def tables_digest(obs: pd.DataFrame, var: pd.DataFrame, provenance: dict[str, Any]) -> str:
    """One sha256 over the names and columns of both tables and the provenance."""
    digest = hashlib.sha256(json.dumps(provenance, sort_keys=True).encode())
    for frame in (obs, var):
        for name, values in [("", frame.index), *frame.items()]:
            digest.update(f"{name}\n".encode())
            digest.update("\n".join(map(str, np.asarray(values).tolist())).encode())
    return digest.hexdigest()


def _dict_group(parent, name):
    group = parent.create_group(name)
    group.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    return group


def _early_dataset(parent, name, shape, dtype):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_obj_track_times(False)  # a time of day in the file would make every run's bytes differ
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER if 0 not in shape and name == "X" else h5py.h5d.FILL_TIME_ALLOC)
    space = h5py.h5s.create_simple(shape)
    dataset = h5py.h5d.create(parent.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype), logical=True), space, plan)
    h5py.Dataset(dataset).attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def _write_text(parent, name, text):
    parent.create_dataset(name, data=text, dtype=h5py.string_dtype())
    parent[name].attrs.update({"encoding-type": "string", "encoding-version": "0.2.0"})


def _write_frame(file, name, frame):
    group = file.create_group(name)
    group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
    group.attrs["column-order"] = np.array(list(frame.columns), dtype=h5py.string_dtype())
    for column, values in [("_index", frame.index), *frame.items()]:
        values = np.asarray(values)
        text = values.dtype.kind in "OUS"
        stored, dtype = (values.astype(object), h5py.string_dtype()) if text else (values, None)
        group.create_dataset(column, data=stored, dtype=dtype)
        kind = "string-array" if text else "array"
        group[column].attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})
