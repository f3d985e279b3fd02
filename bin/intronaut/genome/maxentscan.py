"""MaxEntScan scores of splice sites (Yeo & Burge 2004, J Comput Biol 11:377) by tables that the user brings.

The tables' licence is unclear, so none is shipped or fetched. Two layouts are read: the original's (``me2x5`` with
``splice5sequences``, and ``me2x3acc1`` … ``me2x3acc9``) and JSON (``ss5seq_score.json``, ``ss3_score.json``).
"""

from pathlib import Path

import numpy as np

from intronaut.core.dna import OTHER, base_codes
from intronaut.core.errors import BadData, MissingInput
from intronaut.core.files import digest_file
from intronaut.core.json_files import read_json
from intronaut.io.text import numbered_lines

DONOR_JSON, ACCEPTOR_JSON = "ss5seq_score.json", "ss3_score.json"
DONOR_FILES, ACCEPTOR_FILES = ("me2x5", "splice5sequences"), tuple(f"me2x3acc{k}" for k in range(1, 10))
# sha256 of the JSON tables that agree with the published scores
KNOWN = {
    DONOR_JSON: "9d0fa49db894ce3d6f9134e95b685635c0b9462d82023a402f51233c43ac4a64",
    ACCEPTOR_JSON: "8796fdf57c97f747e1ce73b2d40bbad64f7de347403f5f9676b9ee4e782af076",
}
# base frequencies of the human genome, and of the bases at GT and AG among real sites; columns A, C, G, T
BACKGROUND = np.array([0.27, 0.23, 0.23, 0.27])
DONOR_PAIR = np.array([[0.004, 0.0032, 0.9896, 0.0032], [0.0034, 0.0039, 0.0042, 0.9884]])
ACCEPTOR_PAIR = np.array([[0.9903, 0.0032, 0.0034, 0.0030], [0.0027, 0.0037, 0.9905, 0.0030]])
# the columns of the 21 bases without AG that each table spans, and whether it multiplies or divides
WINDOWS = (
    (0, 7, 1),
    (7, 14, 1),
    (14, 21, 1),
    (4, 11, 1),
    (11, 18, 1),
    (4, 7, -1),
    (7, 11, -1),
    (11, 14, -1),
    (14, 18, -1),
)


class Tables:
    """The tables of a folder: ``donor`` ``(4 ** 7,)`` and nine of ``acceptor``; the first base of a word counts most.

    ``unknown`` names JSON files whose bytes are not those that the published scores were checked with. Raises
    MissingInput for a folder without tables, and BadData for tables of another size or with other than numbers above 0.
    """

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder)
        self.unknown = []
        if (folder / DONOR_JSON).is_file() and (folder / ACCEPTOR_JSON).is_file():
            self.unknown = [name for name, known in KNOWN.items() if digest_file(folder / name) != known]
            words = read_json(folder / DONOR_JSON)
            self.donor = _by_word(folder / DONOR_JSON, list(words), list(words.values()))
            tables = read_json(folder / ACCEPTOR_JSON)
            self.acceptor = [_numbers(folder / ACCEPTOR_JSON, tables.get(str(k), [])) for k in range(9)]
        elif all((folder / name).is_file() for name in (*DONOR_FILES, *ACCEPTOR_FILES)):
            values, words = (_lines(folder / name) for name in DONOR_FILES)
            self.donor = _by_word(folder / DONOR_FILES[0], words, values)
            self.acceptor = [_numbers(folder / name, _lines(folder / name)) for name in ACCEPTOR_FILES]
        else:
            raise MissingInput(
                f"{folder}: no MaxEntScan tables; expected {DONOR_JSON} and {ACCEPTOR_JSON}, or "
                f"{', '.join(DONOR_FILES)} and {ACCEPTOR_FILES[0]} to {ACCEPTOR_FILES[-1]}"
            )
        for table, (first, last, _) in zip(self.acceptor, WINDOWS, strict=True):
            if len(table) != 4 ** (last - first):
                raise BadData(f"{folder}: an acceptor table has {len(table):,} values, not {4 ** (last - first):,}")

    def donor_scores(self, sites: np.ndarray) -> np.ndarray:
        """log2 odds of donors ``(n, 9)``, three bases of exon and six of intron, as codes; NaN where one is unknown."""
        rest = np.delete(sites, [3, 4], axis=1)
        return _scores(sites, _pair_odds(sites[:, 3:5], DONOR_PAIR) + np.log2(self.donor[_word(rest)]))

    def acceptor_scores(self, sites: np.ndarray) -> np.ndarray:
        """log2 odds of acceptors ``(n, 23)``, twenty bases of intron and three of exon, as codes; NaN as above."""
        rest = np.delete(sites, [18, 19], axis=1)
        total = _pair_odds(sites[:, 18:20], ACCEPTOR_PAIR)
        for table, (first, last, sign) in zip(self.acceptor, WINDOWS, strict=True):
            total = total + sign * np.log2(table[_word(rest[:, first:last])])
        return _scores(sites, total)


def _scores(sites, values):
    return np.where((sites < OTHER).all(axis=1), values, np.nan)


def _pair_odds(pair, frequencies):
    pair = np.minimum(pair, 3)
    odds = np.log2(frequencies / BACKGROUND)
    return odds[0, pair[:, 0]] + odds[1, pair[:, 1]]


def _word(codes):
    codes = np.minimum(codes, 3).astype(np.int64)
    return codes @ 4 ** np.arange(codes.shape[1] - 1, -1, -1)


def _lines(path):
    return [line.strip() for _, line in numbered_lines(path) if line.strip()]


def _by_word(path, words, values):
    codes = [base_codes(word) for word in words]
    if len(codes) != 4**7 or any(len(code) != 7 or (code >= OTHER).any() for code in codes):
        raise BadData(f"{path}: {len(codes):,} words; expected all {4**7:,} of seven bases")
    table = np.full(4**7, np.nan)
    table[_word(np.stack(codes))] = _numbers(path, values)
    return _numbers(path, table)


def _numbers(path, values):
    try:
        numbers = np.asarray(values, float)
    except (TypeError, ValueError) as problem:
        raise BadData(f"{path}: {problem}") from problem
    if not (np.isfinite(numbers) & (numbers > 0)).all():
        raise BadData(f"{path}: holds values that are not numbers above 0")
    return numbers
