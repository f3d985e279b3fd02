"""What Sei's outputs are: names and kinds of the 21,907 profiles, and the 40 sequence classes made of them."""

import numpy as np
import pandas as pd

from intronaut.cli import BadData, Problems, require_file
from intronaut.seqio import numbered_lines

CLASSES = 40
KINDS = ("tf", "histone", "access")


def class_scores(profiles, vectors):
    """Sequence-class scores of profiles: ``(n, profiles)`` on ``(classes, profiles)`` → ``(n, classes)``.

    Projection on every vector, divided by the vector's length (sei-framework, raw sequence-class scores).
    """
    return profiles @ vectors.T / np.linalg.norm(vectors, axis=1)


def variant_class_scores(reference, alternative, vectors, histone):
    """How a variant changes the 40 sequence-class scores: ``(n, profiles)`` twice → ``(n, 40)``.

    The columns ``histone`` of either allele are first scaled so that both sum to the mean of the two sums
    (sei-framework, nucleosome-adjusted variant scores).
    """
    sums = [profiles[:, histone].sum(axis=1, keepdims=True) for profiles in (reference, alternative)]
    scores = []
    for profiles, own in zip((reference, alternative), sums, strict=True):
        adjusted = np.array(profiles)
        adjusted[:, histone] *= (sums[0] + sums[1]) / 2 / own
        scores.append(class_scores(adjusted, vectors[:CLASSES]))
    return scores[1] - scores[0]


def read_targets(path, outputs):
    """The feature table of a ``target.names`` file: index = its lines; columns target, cell_type, source, kind.

    Raises BadData unless there are ``outputs`` different lines ``cell type | target | source``.
    """
    rows, seen, problems = [], set(), Problems(path)
    for number, line in numbered_lines(path):
        fields = [field.strip() for field in line.split("|", 2)]
        if len(fields) < 3:
            problems.add("not of the form 'cell type | target | source'", number)
        elif line.strip() in seen:
            problems.add(f"{line.strip()!r} occurs twice", number)
        seen.add(line.strip())
        rows.append((line.strip(), *fields))
    problems.raise_if_any()
    if len(rows) != outputs:
        raise BadData(f"{path}: {len(rows):,} names for the {outputs:,} outputs of the weights")
    names, cells, targets, sources = zip(*rows, strict=True)
    return pd.DataFrame(
        {"target": targets, "cell_type": cells, "source": sources, "kind": [target_kind(target) for target in targets]},
        index=pd.Index(names, name="name"),
    )


def target_kind(target):
    """tf, histone or access by the published grouping; DNase.hot and its like count as tf there."""
    if target.startswith(("CENPA", "H2A", "H2B", "H3", "H4")):
        return "histone"
    return "access" if target == "DNase" or target.startswith("ATAC") else "tf"


def read_class_vectors(path, outputs):
    """The vectors of the 40 named sequence classes in a ``projvec_targets.npy``: float64 ``(40, outputs)``.

    The file holds further rows without a name. Raises BadData.
    """
    try:
        vectors = np.load(require_file(path), allow_pickle=False)
    except (ValueError, EOFError) as problem:
        raise BadData(f"{path}: not a NumPy array: {problem}") from problem
    if vectors.ndim != 2 or vectors.shape[1] != outputs:
        raise BadData(f"{path}: vectors of shape {vectors.shape} for the {outputs:,} outputs of the weights")
    vectors = vectors[:CLASSES].astype(np.float64)
    if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
        raise BadData(f"{path}: a vector that is zero or not finite")
    return vectors


def read_class_names(path, n):
    """Names of the first ``n`` sequence classes, from a ``seqclass.names`` or, without one, class_01 …"""
    if not path:
        return [f"class_{place:02}" for place in range(1, n + 1)]
    names = [line.strip() for _, line in numbered_lines(path) if line.strip()]
    if len(names) < n or len(set(names)) < len(names):
        raise BadData(f"{path}: {len(set(names))} different names, {n} sequence classes")
    return names[:n]
