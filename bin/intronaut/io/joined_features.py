"""Several features files as one: the rows that all of them have, their columns side by side under the file's block."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, UsageError
from intronaut.io.h5ad import Features, open_features

# what kind of information the columns of each embedder are
BLOCK_OF_TOOL = {
    "embed_motifs": "motifs", "embed_kmers": "composition_of_window", "embed_sei": "chromatin",
    "embed_dnabert2": "language_model", "embed_tracks": "measured", "embed_splice": "splice_network",
}  # fmt: skip
_NAMED = re.compile(r"([A-Za-z][\w.+-]*)=(.+)")


def features_files(sources: list[str]) -> list[tuple[str | None, str]]:
    """``[(block or None, path)]`` of words like ``FILE`` or ``BLOCK=FILE``."""
    files = []
    for source in sources:
        named = None if Path(source).exists() else _NAMED.fullmatch(source)
        files.append((named[1], named[2]) if named else (None, source))
    return files


def open_joined(sources: list[str]) -> Features:
    """Open one features file, or several as one.

    Args:
        sources: words like ``FILE`` or ``BLOCK=FILE``. A file without a block takes the name of what made it (motifs,
            chromatin …), else its own.

    Returns:
        Features: of one file as it is. Of several files ``var`` names each column ``BLOCK:NAME`` and has a column
        ``block``; ``obs`` is the first file's for the rows that all have; the provenance lists those of the files.

    Raises:
        BadData: a file has no rows or no columns, or no row is in all files. UsageError: two files of one block.
    """
    files = [(block, open_features(path)) for block, path in features_files(sources)]
    for _, features in files:
        if not all(features.x.shape):
            what = "rows" if len(features.var) else "columns"
            raise BadData(f"{features.path}: a features file without {what}; make the features again")
    if len(files) == 1:
        return files[0][1]
    names = [block or block_name(features) for block, features in files]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"--features: two files of block {twice}; name them, as {twice}_1=FILE {twice}_2=FILE")
    parts = [features for _, features in files]
    common = parts[0].obs.index
    for features in parts[1:]:
        common = common[common.isin(features.obs.index)]
    if common.empty:
        raise BadData(
            f"{parts[1].path}: no row is also one of {parts[0].path}; rows are called like "
            f"{parts[1].obs.index[0]!r} and {parts[0].obs.index[0]!r}"
        )
    var = pd.concat([_prefixed(name, features.var) for name, features in zip(names, parts, strict=True)])
    rows = [features.obs.index.get_indexer(common) for features in parts]
    values = Columns([features.x for features in parts], rows)
    provenance = {"tool": "joined", "blocks": {name: one.provenance for name, one in zip(names, parts, strict=True)}}
    first = parts[0].provenance
    provenance |= {key: first[key] for key in ("window",) if key in first}
    path = Path(" + ".join(str(features.path) for features in parts))
    return Features(path, values, parts[0].obs.loc[common], var, provenance)


def block_name(features: Features) -> str:
    """What the columns of a features file are called together: by the tool that made it, else by the file's name."""
    provenance = features.provenance
    if provenance.get("tool") == "embed_motifs" and provenance.get("strands") == 1:
        return "rbp"  # motifs of the transcript's strand, which proteins that bind RNA read
    return BLOCK_OF_TOOL.get(provenance.get("tool"), features.path.name.split(".")[0])


def _prefixed(name, var):
    var = var.assign(block=name)
    var.index = pd.Index([f"{name}:{column}" for column in var.index], name="name")
    return var


@dataclass
class Columns:
    """Rows of several datasets side by side, read as from one: ``rows`` are those of each dataset."""

    datasets: list
    rows: list

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, columns)``."""
        return len(self.rows[0]), sum(dataset.shape[1] for dataset in self.datasets)

    @property
    def dtype(self) -> np.dtype:
        """The widest dtype."""
        return np.result_type(*(dataset.dtype for dataset in self.datasets))

    def __getitem__(self, wanted: np.ndarray | slice) -> np.ndarray:
        parts = []
        for dataset, rows in zip(self.datasets, self.rows, strict=True):
            # HDF5 reads increasing row numbers only
            distinct, place = np.unique(rows[wanted], return_inverse=True)
            parts.append(dataset[distinct][place] if len(distinct) else dataset[:0])
        return np.hstack(parts)
