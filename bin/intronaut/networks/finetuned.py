"""A network of finetune, opened from its model folder with what it takes to read sequences as it was trained to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from intronaut.core.dna import reverse_complement
from intronaut.networks.classifiers import length_problem, predict, read_network, reader_of

if TYPE_CHECKING:
    import numpy as np
    import torch

    from intronaut.core.log import Log


class FinetunedNetwork:
    """A trained network on a device, its model.json (``notes``), and the ``strands`` that it reads (``+``, ``-``).

    Raises MissingInput and BadData as :func:`intronaut.networks.classifiers.read_network` does.
    """

    def __init__(self, folder: Path | str, device: torch.device) -> None:
        self.network, self.notes = read_network(folder)
        self.network.to(device)
        self.device = device
        self.reader = reader_of(self.notes, folder)
        self.strands = ("+",) if self.notes["settings"]["strands"] == "forward" else ("+", "-")

    def problem(self, sequence: str) -> str | None:
        """Why the network cannot judge a sequence, or None."""
        return length_problem(self.notes, len(sequence))

    def encode(self, sequence: str) -> list:
        """A window as the network reads it: one encoded sequence a strand."""
        readings = {"+": sequence, "-": reverse_complement(sequence)}
        return [self.reader.encode(readings[strand]) for strand in self.strands]

    def logits(self, windows: list, *, size: int, dtype: str = "float32", log: Log) -> np.ndarray:
        """Logits of retention, float64 ``(n,)``, of ``n`` windows as ``encode`` gives them; ``size`` at once."""
        strands = [list(strand) for strand in zip(*windows, strict=True)]
        return predict(self.network, self.reader.collate, strands, size=size, dtype=dtype, log=log)
