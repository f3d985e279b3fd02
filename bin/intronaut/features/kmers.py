"""Canonical k-mer frequencies, GC content and CpG observed/expected of sequences."""

import itertools

import numpy as np
import pandas as pd

from intronaut.core.dna import OTHER, base_codes, reverse_complement


def canonical_kmers(k: int) -> tuple[np.ndarray, list[str]]:
    """The column of each of the 4^k k-mers (int64; the code's first base counts most), and the columns' k-mers."""
    words = ["".join(bases) for bases in itertools.product("ACGT", repeat=k)]
    kmers = [word for word in words if word <= reverse_complement(word)]
    columns = {kmer: column for column, kmer in enumerate(kmers)}
    return np.array([columns[min(word, reverse_complement(word))] for word in words]), kmers


def feature_table(kmers: list[str]) -> pd.DataFrame:
    """``var``: one row a k-mer, then GC_content and CpG_oe."""
    rows = [(kmer, "kmer", (kmer.count("C") + kmer.count("G")) / len(kmer)) for kmer in kmers]
    rows += [("GC_content", "composition", 1.0), ("CpG_oe", "composition", 1.0)]
    return pd.DataFrame(rows, columns=["name", "kind", "gc"]).set_index("name")


def features_of(sequence: str, k: int, column_of: np.ndarray, n_kmers: int) -> np.ndarray:
    """``(n_kmers + 2,)`` float64: k-mer frequencies, GC_content, CpG_oe of one window."""
    codes = base_codes(sequence)
    known = codes != OTHER
    features = np.zeros(n_kmers + 2)
    if len(codes) >= k:
        views = np.lib.stride_tricks.sliding_window_view
        words = views(codes, k)[views(known, k).all(axis=1)] @ (4 ** np.arange(k)[::-1])
        features[:n_kmers] = np.bincount(column_of[words], minlength=n_kmers) / max(len(words), 1)
    c, g = sequence.count("C"), sequence.count("G")
    features[n_kmers] = (c + g) / max(known.sum(), 1)
    features[n_kmers + 1] = sequence.count("CG") * known.sum() / max(c * g, 1)
    return features
