"""How windows were cut out of the genome: read from their FASTA headers, kept with features and models, compared.

A cut is a dict with the keys of CUT_KEYS that the headers hold; a key has one value, or a sorted list where the windows
differ. The ``genome`` that they come from is a digest of its chromosome lengths: another assembly or species is no
other cut, but worth a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intronaut.core.errors import BadData, UsageError
from intronaut.io.h5ad import window_obs

if TYPE_CHECKING:
    import pandas as pd

    from intronaut.io.fasta import Window

CUT_KEYS = ("anchor", "length", "strand", "edge")
NOT_RECORDED = "does not record how its windows were cut (anchor, length, strand, edge): make sure that they are alike"


class CutRecord:
    """How windows were cut, noted while others read them."""

    def __init__(self) -> None:
        self.values = {key: set() for key in (*CUT_KEYS, "genome")}

    def watch(self, windows: Iterable[Window]) -> Iterator[Window]:
        """Yield the windows and note the fields of their headers."""
        for window in windows:
            for key in self.values.keys() & window.fields.keys():
                self.values[key].add(_number_or_text(window.fields[key]))
            yield window

    def add(self, provenance: dict[str, Any]) -> None:
        """Note what the provenance of other windows records."""
        recorded = provenance.get("window", {}) | {"genome": provenance.get("genome")}
        for key, values in self.values.items():
            values |= _as_set(recorded.get(key))

    def provenance(self) -> dict[str, Any]:
        """``{"window": cut, "genome": digest}``, less what no header holds."""
        cut = {key: _one_or_list(values) for key, values in self.values.items() if values}
        genome = {"genome": cut.pop("genome")} if "genome" in cut else {}
        return ({"window": cut} if cut else {}) | genome


def obs_and_cut(windows: Iterable[Window]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """``obs`` of :func:`intronaut.io.h5ad.window_obs` of an iterable of Windows, and its CutRecord's provenance."""
    record = CutRecord()
    obs = window_obs(record.watch(windows))
    return obs, record.provenance()


def joined_cut(provenances: list[dict[str, Any]]) -> dict[str, Any]:
    """The provenance of a CutRecord of all windows from those of the parts of an input."""
    record = CutRecord()
    for provenance in provenances:
        record.add(provenance)
    return record.provenance()


def different_cut(model: dict[str, Any], windows: dict[str, Any]) -> list[str]:
    """``KEY was …, is …`` for every key that both cuts have, but the windows otherwise than those of the model."""
    return [
        f"window {key} was {model[key]!r}, is {windows[key]!r}"
        for key in model.keys() & windows.keys()
        if not _as_set(windows[key]) <= _as_set(model[key])
    ]


def refuse_different_cut(features: dict[str, Any], windows: dict[str, Any], path: Path | str) -> list[str]:
    """Refuse windows that were cut otherwise than those that a model learnt from.

    Args:
        features: the provenance of the model's features.
        windows: ``window`` and ``genome`` of the windows at hand, as :func:`obs_and_cut` gives them.
        path: their file, for messages.

    Returns:
        Warnings: where one of both records nothing, or the genome is another.

    Raises:
        BadData: another anchor, length, strand policy or edge policy.
    """
    model, cut = features.get("window"), windows.get("window")
    if not model or not cut:
        which = path if model else "the model"
        return [f"{which} {NOT_RECORDED}"]
    if differing := different_cut(model, cut):
        raise BadData(f"{path}: not cut as the windows of the model: {'; '.join(sorted(differing))}")
    genomes = features.get("genome"), windows.get("genome")
    if None not in genomes and genomes[0] != genomes[1]:
        return [f"{path}: windows of another genome than the model's: it knows nothing of another assembly or species"]
    return []


def refuse_different_options(features: dict[str, Any], options: dict[str, Any]) -> None:
    """Raise UsageError where options that cut windows differ from the cut that a model's features record.

    ``options`` is a dict with some of CUT_KEYS; a list in the model's cut allows each of its values.
    """
    differing = different_cut(features.get("window") or {}, options)
    if differing:
        differences = "; ".join(sorted(text.removeprefix("window ") for text in differing))
        raise UsageError(f"the model learnt from windows that were cut otherwise: {differences}")


def _number_or_text(value):
    text = str(value)
    return int(text) if text.isdecimal() else text


def _as_set(value):
    return set() if value is None else set(value) if isinstance(value, list) else {value}


def _one_or_list(values):
    ordered = sorted(values, key=str)
    return ordered[0] if len(ordered) == 1 else ordered
