"""The published split into training, validation and test rows."""

import numpy as np


def paper_split(n: int) -> np.ndarray:
    """Random rows, as Daoud & Ben-Hur 2025 split theirs: of the shuffled rows the first tenth is ``valid``, the next
    tenth ``test``, the rest ``train``. Leaks; for comparison only.
    """
    tenth = n // 10
    split = np.full(n, "train", object)
    # their numpy.random.seed(100); numpy.random.shuffle(rows)
    shuffled = np.random.RandomState(100).permutation(n)
    split[shuffled[:tenth]] = "valid"
    split[shuffled[tenth : 2 * tenth]] = "test"
    return split
