"""The one way to open a model folder, whichever tool wrote it. Imports torch only for the networks of finetune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from intronaut.io.joined_features import open_joined
from intronaut.models.folder import LinearModel, TreeModel, matching_columns, read_model, read_notes

if TYPE_CHECKING:
    import numpy as np

    from intronaut.core.log import Log
    from intronaut.io.h5ad import Features
    from intronaut.networks.finetuned import FinetunedNetwork


def open_model(folder: Path | str, device: str = "auto") -> LinearModel | TreeModel | FinetunedNetwork:
    """The model of a folder: a LinearModel or a TreeModel of fit, or a FinetunedNetwork of finetune on ``device``.

    ``device`` is a name as for ``--device``. Raises MissingInput for a folder that is not there, BadData for one that
    is broken or of another tool, UsageError for a device that is not there.
    """
    if read_notes(folder).get("tool") != "finetune":
        return read_model(folder)
    from intronaut.networks.device import pick_device
    from intronaut.networks.finetuned import FinetunedNetwork

    return FinetunedNetwork(folder, pick_device(device))


def open_on_features(
    folder: Path | str, paths: list[str], log: Log | None = None
) -> tuple[LinearModel | TreeModel, Features, np.ndarray]:
    """``(model, features, columns)``: a model of fit, features files as one, and the columns that the model reads.

    ``log`` warns where the features do not record how their windows were cut. Raises MissingInput; BadData for a
    network, which reads no features, and for features or windows other than the model's.
    """
    model = read_model(folder)
    features = open_joined(paths)
    return model, features, matching_columns(model.notes, features, log, folder)
