"""Dinucleotide shuffles: exact counts, every arrangement as likely, whatever the letters."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from intronaut.core.dna import base_codes
from intronaut.genome.shuffle import dinucleotide_shuffle


def dinucleotides(sequence):
    return Counter(itertools.pairwise(list(sequence)))


@pytest.mark.parametrize("alphabet", ["A", "AC", "ACGT", "ACGTN", "ACGTRYN"])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 37, 600])
def test_counts_and_ends_are_kept(alphabet, length):
    rng = np.random.default_rng(length)
    for _ in range(10):
        sequence = "".join(rng.choice(list(alphabet), length))
        shuffled = dinucleotide_shuffle(sequence, rng)
        assert dinucleotides(shuffled) == dinucleotides(sequence)
        assert (shuffled[:1], shuffled[-1:]) == (sequence[:1], sequence[-1:])


def test_a_letter_seen_only_at_the_end_and_runs_are_kept():
    rng = np.random.default_rng(0)
    for sequence in ("AAAAACCCCG", "ACACACACGT", "GAAAAAAAAG", "NNNNACGTTGCANNNN"):
        assert dinucleotides(dinucleotide_shuffle(sequence, rng)) == dinucleotides(sequence)


def test_every_arrangement_is_as_likely():
    sequence = "AACAGCATCA"
    arranged = {f"A{''.join(inner)}A" for inner in itertools.permutations(sequence[1:-1])}
    alike = {text for text in arranged if dinucleotides(text) == dinucleotides(sequence)}
    rng = np.random.default_rng(3)
    seen = Counter(dinucleotide_shuffle(sequence, rng) for _ in range(100 * len(alike)))
    assert seen.keys() == alike and len(alike) == 24
    assert chisquare([seen[text] for text in sorted(alike)]).pvalue > 1e-3


def test_codes_are_shuffled_as_their_letters_are():
    sequence = "".join(np.random.default_rng(4).choice(list("ACGT"), 200))
    codes = base_codes(sequence)
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(5))
    assert shuffled.dtype == codes.dtype and not np.array_equal(shuffled, codes)
    assert np.array_equal(shuffled, base_codes(dinucleotide_shuffle(sequence, np.random.default_rng(5))))


def test_the_input_stays_and_the_seed_decides():
    codes = np.random.default_rng(6).integers(0, 4, 100).astype(np.uint8)
    before = codes.copy()
    first, second = (dinucleotide_shuffle(codes, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(codes, before) and np.array_equal(first, second)
    assert not np.array_equal(first, dinucleotide_shuffle(codes, np.random.default_rng(8)))
