"""embed_kmers: frequencies agree with counting by hand; windows that count nothing are defined."""

import collections

import anndata
import numpy as np
import pytest
from Bio.Seq import Seq

from intronaut.features.kmers import canonical_kmers, features_of
from random_genomes import random_genome


def by_hand(sequence, k):
    """Canonical k-mer frequencies, GC and CpG observed/expected, one base after the other."""
    words = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    words = [word for word in words if set(word) <= set("ACGT")]
    counts = collections.Counter(min(word, str(Seq(word).reverse_complement())) for word in words)
    bases = collections.Counter(sequence)
    known = sum(bases[base] for base in "ACGT")
    shares = {word: count / len(words) for word, count in counts.items()}
    cpg = sum(sequence[i : i + 2] == "CG" for i in range(len(sequence)))
    shares["GC_content"] = (bases["G"] + bases["C"]) / known if known else 0
    shares["CpG_oe"] = cpg * known / (bases["C"] * bases["G"]) if bases["C"] * bases["G"] else 0
    return shares


@pytest.mark.slow
@pytest.mark.parametrize(("k", "columns"), [(1, 2), (2, 10), (3, 32), (6, 2080)])
def test_every_feature_agrees_with_counting_by_hand(tool, tmp_path, k, columns):
    sequences = random_genome(k, {f"w{i}": 40 * i + 1 for i in range(12)})
    (tmp_path / "w.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
    tool("embed_kmers", "w.fa", "--k", k, "-o", "k.h5ad")
    found = anndata.read_h5ad(tmp_path / "k.h5ad")
    assert found.shape == (12, columns + 2)
    assert list(found.var["kind"]) == ["kmer"] * columns + ["composition"] * 2
    for name, sequence in sequences.items():
        wanted = by_hand(sequence.upper(), k)
        row = dict(zip(found.var_names, found[name].X.ravel(), strict=True))
        assert {feature for feature, value in row.items() if value} == {f for f, value in wanted.items() if value}
        for feature, value in wanted.items():
            assert row[feature] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("sequence", ["N", "NNNNNNNNNN", "ACGTA", "NACGNTAGNR"])
def test_windows_without_a_whole_kmer_have_no_frequencies(sequence):
    column_of, kmers = canonical_kmers(6)
    features = features_of(sequence, 6, column_of, len(kmers))
    assert not features[:-2].any()
    assert np.isfinite(features).all()


def test_both_strands_have_the_same_features():
    column_of, kmers = canonical_kmers(4)
    sequence = random_genome(1, {"a": 500})["a"].upper()
    other = str(Seq(sequence).reverse_complement())
    one, two = (features_of(strand, 4, column_of, len(kmers)) for strand in (sequence, other))
    np.testing.assert_array_equal(one, two)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "options", "code", "says"),
    [
        ("", [], 65, "no FASTA record"),
        (">a\nACGT\n>a\nACGT\n", [], 65, "record 'a' occurs twice"),
        (">a\nACGT\n>b\n", [], 65, "record 'b' is empty"),
        (">a\nAC GT\n", [], 65, "letters that no nucleotide code has"),
        ("ACGT\n", [], 65, "starts with '>'"),
        (">a\nACGT\n", ["--k", "9"], 2, "9 is more than 8"),
        (">a\nACGT\n", ["--k", "zero"], 2, "'zero' is not a whole number"),
    ],
)
def test_wrong_input_leaves_nothing(tool, tmp_path, text, options, code, says):
    (tmp_path / "w.fa").write_text(text)
    said = tool("embed_kmers", "w.fa", "-o", "k.h5ad", *options, code=code).stderr
    assert says in said and len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["w.fa"]
