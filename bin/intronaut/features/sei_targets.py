"""What Sei's outputs are: names and kinds of the 21,907 profiles, and the 40 sequence classes made of them.

Two tables beside this file say what no rule can: sei_factors.tsv the factor that a target's name stands for and its
class, sei_tissues.tsv the words of cell-type names that tell a tissue.
"""

import functools
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from intronaut.core.errors import BadData, Problems
from intronaut.core.files import require_file
from intronaut.io.text import numbered_lines

CLASSES = 40
KINDS = ("tf", "histone", "access")
CLASS_NAMES = {
    "transcription_factor": "transcription factor",
    "polymerase": "RNA polymerase, its general factors and elongation",
    "chromatin_regulator": "chromatin regulator or cofactor",
    "histone_mark": "histone mark or variant",
    "accessibility": "accessibility",
    "other": "other",
}
# the first that matches the start of a factor's name decides, where sei_factors.tsv does not
CLASS_RULES = (
    ("accessibility", "DNase|ATAC|FAIRE|MNase"),
    ("histone_mark", r"(macro)?H[1-4]([ABTKR./]|ac|$)|CENPA$|pan-(acetyl|crotonyl)"),
    ("polymerase", r"POLR\d|Pol[23]|GTF2[ABEFH]|GTF3|TAF(\d|II)|MED\d|CDK([789]|12|13)$|NELF|SUPT[56]|ELL\d?$|AFF\d"
     r"|INTS\d|BRF\d|BDP1|SNAPC|ICE[12]$|ERCC[23]$|CCNT"),
    ("chromatin_regulator", r"(HDAC|SIRT|KDM|KMT|KAT|SETD|SMARC|CHD|CBX|BRD|BRPF|DNMT|TET|MBD|PHF|PRMT|EZH|ING|EPC|DPF"
     r"|PCGF|RUVBL|MTA|JMJD|ASXL|L3MBTL|MORC|SMC|STAG|NCAP|HMGN|EHMT)(\d|[A-Z]*\d|[DGH])"),
)  # fmt: skip
TAGS = re.compile("eGFP-|HA-|FLAG-")


def class_scores(profiles: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Sequence-class scores of profiles: ``(n, profiles)`` on ``(classes, profiles)`` → ``(n, classes)``.

    Projection on every vector, divided by the vector's length (sei-framework, raw sequence-class scores).
    """
    return profiles @ vectors.T / np.linalg.norm(vectors, axis=1)


def variant_class_scores(
    reference: np.ndarray, alternative: np.ndarray, vectors: np.ndarray, histone: np.ndarray
) -> np.ndarray:
    """How a variant changes the 40 sequence-class scores: ``(n, profiles)`` twice → ``(n, 40)``.

    The columns ``histone`` of either allele are first scaled so that both sum to the mean of the two sums
    (sei-framework, nucleosome-adjusted variant scores).
    """
    sums = [profiles[:, histone].sum(axis=1, keepdims=True) for profiles in (reference, alternative)]
    scores = []
    for profiles, histone_sum in zip((reference, alternative), sums, strict=True):
        adjusted = np.array(profiles)
        adjusted[:, histone] *= (sums[0] + sums[1]) / 2 / histone_sum
        scores.append(class_scores(adjusted, vectors[:CLASSES]))
    return scores[1] - scores[0]


def read_targets(path: Path | str, outputs: int) -> pd.DataFrame:
    """The feature table of a ``target.names`` file: index = its lines; columns target, cell_type, source, kind and
    those of :func:`annotate`.

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
    table = pd.DataFrame(
        {"target": targets, "cell_type": cells, "source": sources, "kind": [target_kind(target) for target in targets]},
        index=pd.Index(names, name="name"),
    )
    return annotate(table)


def target_kind(target: str) -> str:
    """tf, histone or access by the published grouping; DNase.hot and its like count as tf there."""
    if target.startswith(("CENPA", "H2A", "H2B", "H3", "H4")):
        return "histone"
    return "access" if target == "DNase" or target.startswith("ATAC") else "tf"


def annotate(var: pd.DataFrame, grouping: str = "curated") -> pd.DataFrame:
    """A feature table with columns target and cell_type, and what they stand for: factor, class and tissue.

    With the grouping ``paper`` the factor is the target's name as it is and the class its published kind.
    """
    targets, cells = var["target"].astype(str), var["cell_type"].astype(str)
    if grouping == "paper":
        factors, classes = targets, targets.map(target_kind)
    else:
        factors, classes = targets.map(target_factor), targets.map(target_class)
    return var.assign(**{"factor": factors, "class": classes, "tissue": cells.map(cell_tissue)})


@functools.cache
def target_factor(target: str) -> str:
    """The factor or mark that a target's name stands for: synonyms, antibodies and tags merged."""
    name = TAGS.sub("", target)
    return _curated().get(name, (name,))[0]


@functools.cache
def target_class(target: str) -> str:
    """The curated class of a target, a key of CLASS_NAMES.

    What neither the table nor a rule knows is taken for a transcription factor, as most targets are.
    """
    name = TAGS.sub("", target)
    factor, kind_given = _curated().get(name, (name, None))
    if kind_given:
        return kind_given
    kinds = (kind for kind, pattern in CLASS_RULES if re.match(pattern, factor))
    return next(kinds, "transcription_factor")


@functools.cache
def cell_tissue(cell: str) -> str:
    """The tissue of a cell type, by the words of its name; ``unknown`` where none tells.

    Names run from the cell line to the organ, so that the last word that tells counts, unless a word with a digit does:
    that is a cell line (SH-SY5Y_Bone_Marrow was taken from marrow, but is of nerves).
    """
    words = [word.strip("()").lower() for word in re.split(r"[_ ]+(?![^(]*\))", cell)][::-1]
    lines = [word for word in words if any(map(str.isdigit, word)) and word not in ("h1", "h9")]
    tissues = (_tissue_of_words().get(re.sub(r"^gm\d+$", "lymphoblastoid", word)) for word in lines + words)
    return next(filter(None, tissues), "unknown")


@functools.cache
def _curated():
    rows = _packaged_table("sei_factors.tsv")
    return {name: (factor, None if kind == "NA" else kind) for name, factor, kind in rows}


@functools.cache
def _tissue_of_words():
    return {word: tissue for tissue, words in _packaged_table("sei_tissues.tsv") for word in words.split()}


def _packaged_table(name):
    lines = (resources.files("intronaut.features").joinpath(name)).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[1:]]


def read_class_vectors(path: Path | str, outputs: int) -> np.ndarray:
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


def read_class_names(path: Path | str | None, n: int) -> list[str]:
    """Names of the first ``n`` sequence classes, from a ``seqclass.names`` or, without one, class_01 …"""
    if not path:
        return [f"class_{place:02}" for place in range(1, n + 1)]
    names = [line.strip() for _, line in numbered_lines(path) if line.strip()]
    if len(names) < n or len(set(names)) < len(names):
        raise BadData(f"{path}: {len(set(names))} different names, {n} sequence classes")
    return names[:n]
