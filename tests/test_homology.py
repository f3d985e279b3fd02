"""Homologous pairs and clusters against Biopython's aligner on every pair."""

import random
import tracemalloc

import numpy as np
import pytest
from Bio.Align import PairwiseAligner

from intronaut.core.dna import reverse_complement
from intronaut.splits import homology
from intronaut.splits.homology import homologous_pairs, homology_clusters, local_alignments
from planted_leaks import mutated, random_dna


def oracle(one, two):
    """Identity and coverage of each best local alignment by Biopython, best identity first (at most 20)."""
    aligner = PairwiseAligner(mode="local", match_score=2, mismatch_score=-3, open_gap_score=-7, extend_gap_score=-2)
    found = []
    for alignment, _ in zip(aligner.align(one, two), range(20), strict=False):
        counts = alignment.counts()
        spans = [alignment.coordinates[row, -1] - alignment.coordinates[row, 0] for row in (0, 1)]
        columns = counts.identities + counts.mismatches + counts.gaps
        found.append((counts.identities / columns, min(spans) / min(len(one), len(two))))
    return found


@pytest.mark.parametrize("identity", [1.0, 0.95, 0.9, 0.8])
def test_alignments_are_those_of_biopython(identity):
    rng = random.Random(int(identity * 100))
    for _ in range(10):
        one = random_dna(rng, 150)
        two = random_dna(rng, 30) + mutated(rng, one[20:], identity, indels=True)
        found = local_alignments(one, [two])[0]
        assert any(found == pytest.approx(wanted) for wanted in oracle(one, two))


def family(rng, length, identities):
    """A random sequence and copies of it, every second one turned round."""
    first = random_dna(rng, length)
    copies = [mutated(rng, first, identity, indels=True) for identity in identities]
    return [first, *(reverse_complement(text) if i % 2 else text for i, text in enumerate(copies))]


@pytest.mark.slow
def test_no_pair_of_all_against_all_is_missed_and_none_is_made_up():
    rng = random.Random(5)
    sequences = [random_dna(rng, 300) for _ in range(10)]
    sequences += family(rng, 300, (1, 0.95, 0.9, 0.86)) + family(rng, 300, (0.9, 0.85)) + family(rng, 300, (0.6, 0.5))
    # half of one window in the middle of another: coverage 1 of the shorter
    sequences.append(random_dna(rng, 80) + sequences[0][100:250] + random_dna(rng, 80))
    rng.shuffle(sequences)
    wanted, doubtful = set(), set()
    for i, one in enumerate(sequences):
        for j in range(i + 1, len(sequences)):
            for two in (sequences[j], reverse_complement(sequences[j])):
                hits = [same >= 0.8 and covered >= 0.4 for same, covered in oracle(one, two)]
                wanted |= {(i, j)} if any(hits) else set()
                doubtful |= {(i, j)} if any(hits) and not all(hits) else set()
    pairs = homologous_pairs(sequences, np.arange(len(sequences)), 0.8, 0.4)
    found = set(zip(pairs["first"], pairs["second"], strict=True))
    assert len(wanted) >= 10
    assert found - doubtful == wanted - doubtful


def test_strand_identity_and_coverage_of_a_pair():
    one = random_dna(random.Random(1), 400)
    pairs = homologous_pairs([one, reverse_complement(one[100:300])], [0, 1])
    assert pairs.values.tolist() == [[0, 1, "-", 1.0, 1.0]]


def test_pairs_of_one_side_are_not_looked_for():
    one = random_dna(random.Random(1), 400)
    assert homologous_pairs([one] * 4, [0, 0, 1, 1])[["first", "second"]].values.tolist() == [
        [0, 2],
        [0, 3],
        [1, 2],
        [1, 3],
    ]


def test_threads_change_nothing():
    rng = random.Random(2)
    sequences = [text for _ in range(20) for text in family(rng, 200, (0.95, 0.9))]
    one, two = (homologous_pairs(sequences, np.arange(len(sequences)), threads=threads) for threads in (1, 3))
    assert one.equals(two)


@pytest.mark.slow
def test_blocks_change_nothing(monkeypatch):
    """Seeds of 7 sequences at a time: the same pairs, of families on both sides of a block's end and strand."""
    rng = random.Random(12)
    sequences = [one for k in range(4) for one in family(rng, 300 + 100 * k, (0.95, 0.9, 0.85, 0.8))]
    rng.shuffle(sequences)

    def found():
        return homologous_pairs(sequences, np.arange(len(sequences)), 0.75, partners=3), homology_clusters(sequences)

    whole = found()
    monkeypatch.setattr("intronaut.splits.homology.BLOCK", 7)
    blocks = found()
    assert len(whole[0]) > 10 and blocks[0].equals(whole[0]) and (blocks[1] == whole[1]).all()


@pytest.mark.slow
def test_memory_does_not_grow_with_windows(monkeypatch):
    """Peak above the table of seeds, of 200 and of 800 windows, 100 at a time: before, all seeds were held at once."""
    rng = random.Random(13)
    # of one stretch of DNA, so that the table, which 4^12 seeds bound, is alike for both
    bases = random_dna(rng, 20_000)
    sequences = [bases[start : start + 600] for start in (rng.randrange(19_400) for _ in range(800))]
    monkeypatch.setattr(homology, "BLOCK", 100)
    peaks = []
    for n in (200, 800):
        index = homology._seed_index(sequences[:n])
        tracemalloc.start()
        homology._candidates(index, np.zeros(n), 0.8, 0.8, 20)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_family_larger_than_the_list_of_partners_is_one_cluster():
    rng = random.Random(3)
    sequences = family(rng, 300, [0.95] * 60) + [random_dna(rng, 300) for _ in range(20)]
    assert homology_clusters(sequences, partners=5).tolist() == [1] * 61 + list(range(2, 22))


def test_unrelated_windows_are_not_linked():
    rng = random.Random(4)
    sequences = [random_dna(rng, 600) for _ in range(500)]
    assert homology_clusters(sequences).tolist() == list(range(1, 501))


@pytest.mark.slow
@pytest.mark.parametrize("identity", [0.95, 0.9, 0.85])
@pytest.mark.parametrize("length", [200, 600, 2000])
def test_planted_pairs_are_found_at_any_length(identity, length):
    rng = random.Random(length)
    sequences = [text for _ in range(15) for text in family(rng, length, [identity, identity])]
    pairs = homologous_pairs(sequences, np.arange(len(sequences)), identity - 0.1)
    found = set(zip(pairs["first"], pairs["second"], strict=True))
    assert {(i, j) for i in range(0, 45, 3) for j in (i + 1, i + 2)} <= found


@pytest.mark.slow
@pytest.mark.parametrize("sequences", [[], ["ACGT"], ["N" * 300, "N" * 300], ["A" * 5, "A" * 5], ["", "ACGT" * 50]])
def test_sequences_without_seeds_have_no_homologs(sequences):
    assert homologous_pairs(sequences, np.arange(len(sequences))).empty
    assert homology_clusters(sequences).tolist() == list(range(1, len(sequences) + 1))
