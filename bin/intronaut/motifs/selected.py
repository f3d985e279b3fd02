"""The motifs behind the groups of features that explain selects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from intronaut.io.tables import read_table
from intronaut.motifs.motif_files import read_motifs
from intronaut.motifs.pwm import motifs_of_name

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from intronaut.motifs.pwm import Motif

MOST = 12


def selected_motifs(folder: Path | str, var: pd.DataFrame, group: np.ndarray) -> list[str]:
    """A motif's id for each group that holds on other introns, by groups.tsv of a ``folder`` of explain; at most MOST.

    Args:
        folder: made by explain with ``--labels``; without them nothing is known to hold.
        var: the table of features, with columns motif_id and tf where they are of motifs.
        group: the group of each feature. One that several factors share is no group of motifs.
    """
    groups = read_table(Path(folder) / "groups.tsv", ("group",))
    if "status" not in groups or not {"motif_id", "tf"} <= set(var.columns):
        return []
    selected = groups.loc[groups["status"] == "selected", "group"]
    rows = var.assign(group=group)
    parts = rows[rows["group"].isin(selected)].groupby("group", sort=False)
    return [part["motif_id"].iloc[0] for _, part in parts if part["tf"].nunique() == 1][:MOST]


def known_motifs(path: Path | str | None, provenance: dict[str, Any]) -> dict[str, Motif]:
    """Motifs by id: those of a file, or else of the release of JASPAR that features of this provenance were made with.

    Empty where the features were made with motifs of a file, and it is not given.
    """
    if path:
        return {motif.motif_id: motif for motif in read_motifs(path, [])}
    # of features side by side each file has a provenance of its own
    sources = [provenance, *provenance.get("blocks", {}).values()]
    named = next((source["motifs"] for source in sources if "motifs" in source), None)
    return {} if named is None else {motif.motif_id: motif for motif in motifs_of_name(named)}
