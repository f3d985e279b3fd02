"""What a frozen trunk makes of every window, computed once into files that training reads instead of the windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from intronaut.core.files import whole_file
from intronaut.networks.classifiers import Network, precision
from intronaut.networks.device import compute_halving
from intronaut.networks.training import Examples

if TYPE_CHECKING:
    from intronaut.core.log import Log

# windows whose trunk features share a file
BLOCK = 512


class Blocks:
    """Rows that lie in numbered files of BLOCK rows each, mapped into memory."""

    def __init__(self, paths: list[Path]) -> None:
        self.parts = [np.load(path, mmap_mode="r") for path in paths]

    def __getitem__(self, row: int) -> np.ndarray:
        block, place = divmod(int(row), BLOCK)
        return self.parts[block][place]


def trunk_features(network: Network, examples: Examples, folder: Path, *, size: int, dtype: str, log: Log) -> Examples:
    """The Examples whose windows are what a frozen trunk makes of them, computed once into files of ``folder``.

    Files that a killed run left are not computed again.
    """
    device, n = next(network.parameters()).device, len(examples.labels)
    network.eval()

    def compute(rows):
        with torch.inference_mode(), precision(device, dtype):
            return network.trunk(examples.collate(rows).to(device)).float().cpu().numpy()

    blocks = []
    with log.progress(len(examples.strands) * n, "windows through the frozen trunk") as progress:
        for strand, rows in enumerate(examples.strands):
            paths = []
            for first in range(0, n, BLOCK):
                block = [rows[row] for row in range(first, min(first + BLOCK, n))]
                paths.append(Path(folder) / f"trunk_{strand}_{first // BLOCK}.npy")
                if not paths[-1].exists():
                    batches = (block[at : at + size] for at in range(0, len(block), size))
                    with whole_file(paths[-1], "wb") as out:
                        np.save(out, np.concatenate([compute_halving(compute, few, log) for few in batches]))
                progress.add(len(block))
            blocks.append(Blocks(paths))
    return Examples(blocks, examples.labels, lambda rows: torch.from_numpy(np.stack(rows)), examples.weights)
