"""The codes and the complement of DNA."""

import numpy as np

OTHER = 4
COMPLEMENT = str.maketrans("ACGTUNRYSWKMBDHVacgtunryswkmbdhv", "TGCAANYRSWMKVHDBtgcaanyrswmkvhdb")
_CODE_OF = np.full(256, OTHER, np.uint8)
for _code, _letters in enumerate(("Aa", "Cc", "Gg", "Tt")):
    for _letter in _letters:
        _CODE_OF[ord(_letter)] = _code
_NO_BASE = str.maketrans("X*-", "NNN")
_NUCLEOTIDES = b"ACGTUNRYSWKMBDHVXacgtunryswkmbdhvx*-"


def is_nucleotides(text: str) -> bool:
    """Whether every letter is an IUPAC nucleotide code, X, * or -, in either case."""
    return not text.encode().translate(None, _NUCLEOTIDES)


def with_n(sequence: str) -> str:
    """The sequence, upper case, with N for X, * and -, the letters that stand for no base in particular."""
    return sequence.upper().translate(_NO_BASE)


def base_codes(sequence: str) -> np.ndarray:
    """The bases as uint8 of shape ``(length,)``: A, C, G, T in either case are 0–3, every other letter is 4."""
    return _CODE_OF[np.frombuffer(sequence.encode("ascii", "replace"), np.uint8)]


def reverse_complement(sequence: str) -> str:
    """The other strand, 5'→3', IUPAC letters and case kept."""
    return sequence.translate(COMPLEMENT)[::-1]
