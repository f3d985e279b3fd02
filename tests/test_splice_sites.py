"""Splice-site strengths, branch points and the like: against strings, counting, published scores and known biology."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from conftest import DEMO
from intronaut.core.dna import base_codes, reverse_complement
from intronaut.core.errors import BadData, MissingInput
from intronaut.genome import branch_points, maxentscan, splice_sites
from intronaut.genome.annotation import distinct_introns, read_annotation
from intronaut.genome.reference import Genome
from intronaut.io.tables import SPLICE_SITES, read_labels
from intronaut.stats.metrics import rank_auroc
from random_genomes import random_genome, write_fasta


def codes_of(words):
    return np.stack([base_codes(word) for word in words])


def read_real(folder, annotation, fasta):
    found = read_annotation(folder / annotation)
    introns, _ = distinct_introns(found)
    reach = branch_points.reach(range(8, 100))
    with Genome(folder / fasta) as genome:
        chroms = genome.resolve_all(introns["chrom"].unique(), annotation)
        return splice_sites.read_bases(genome, chroms, introns, found.genes, reach=reach, seed=1), introns


def bases_of(folder, sequence, introns, genes, reach=60):
    """The Bases of introns on a chromosome ``c`` of this sequence."""
    with Genome(write_fasta(folder / "g.fa", {"c": sequence})) as genome:
        return splice_sites.read_bases(genome, {"c": "c"}, introns, genes, reach=reach, seed=1)


@pytest.fixture(scope="module")
def real_sites(chr19p):
    return read_real(chr19p, "annotation.chr19p.ensembl91.gff3.gz", "genome.chr19p.fa.gz")


def test_bases_around_sites_are_those_of_the_sequence(tmp_path):
    sequence = random_genome(5, {"c": 900})["c"].upper()
    rng = np.random.default_rng(1)
    start = np.r_[0, 3, rng.integers(0, 700, 40)]
    end = np.r_[880, 900, start[2:] + rng.integers(5, 200, 40)]
    introns = pd.DataFrame({"chrom": "c", "start": start, "end": end, "strand": ["+", "-"] * 21})
    bases = bases_of(tmp_path, sequence, introns, introns)
    padded = "N" * 100 + sequence + "N" * 100
    for row, (_, left, right, strand) in enumerate(introns.itertuples(index=False)):
        text = padded[left : right + 200]
        text = text if strand == "+" else reverse_complement(text)
        intron = text[100:-100]
        assert (bases.donor[row] == base_codes(text[97:106])).all()
        assert (bases.acceptor[row] == base_codes(text[len(text) - 120 : len(text) - 97])).all()
        assert (bases.tail[row] == base_codes(intron[-60:].rjust(60, "N"))).all()
        assert (bases.head[row] == base_codes(intron[:8].ljust(8, "N"))).all()


def test_decoys_are_the_unused_dinucleotides_of_the_genes(tmp_path):
    sequence = random_genome(6, {"c": 3000})["c"].upper()
    genes = pd.DataFrame({"chrom": "c", "start": [200, 1800], "end": [1500, 2500], "strand": ["+", "-"]})
    plus = [at for at in range(200, 1500) if sequence[at : at + 2] == "GT"]
    # boundaries on the minus strand lie right of the intron's first base
    minus = [at for at in range(1801, 2501) if reverse_complement(sequence[at - 2 : at]) == "GT"]
    introns = pd.DataFrame(
        {"chrom": "c", "start": [plus[2], minus[3] - 90], "end": [plus[2] + 90, minus[3]], "strand": ["+", "-"]}
    )
    bases = bases_of(tmp_path, sequence, introns, genes)
    wanted = [sequence[at - 3 : at + 6] for at in plus if at != plus[2]]
    wanted += [reverse_complement(sequence[at - 6 : at + 3]) for at in minus if at != minus[3]]
    assert sorted(map(tuple, bases.decoy_donors)) == sorted(map(tuple, codes_of(wanted)))


def test_maximum_entropy_has_the_frequencies_of_all_pairs():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, (500, 5))
    codes[:, 3] = np.where(rng.random(500) < 0.7, codes[:, 1], codes[:, 3])
    targets = splice_sites.pair_frequencies(codes)
    words = splice_sites.maximum_entropy(targets, 5)
    for i, j in itertools.combinations(range(5), 2):
        others = tuple(set(range(5)) - {i, j})
        assert np.abs(words.sum(axis=others) - targets[i, j]).max() < 1e-6
    assert words.sum() == pytest.approx(1)


def test_maximum_entropy_of_neighbours_is_the_markov_chain():
    codes = np.random.default_rng(4).integers(0, 4, (300, 5))
    codes[:, 2] = codes[:, 1] ^ (codes[:, 2] > 2)
    targets = splice_sites.pair_frequencies(codes)
    words = splice_sites.maximum_entropy({(i, i + 1): targets[i, i + 1] for i in range(4)}, 5)
    every = np.array(list(itertools.product(range(4), repeat=5)))
    assert np.allclose(np.log2(words.ravel()), splice_sites.markov_log2(every, codes), atol=1e-5)


def test_windows_count_every_base_once():
    counted = np.zeros(21, int)
    for first, last, sign in splice_sites.WINDOWS:
        counted[first:last] += sign
    assert (counted == 1).all()
    # so that without dependencies between bases they are a matrix, up to what 20,000 sites can tell
    rng = np.random.default_rng(5)
    sites, words = (rng.choice(4, (n, 21), p=[0.4, 0.3, 0.2, 0.1]) for n in (20_000, 100))
    found = splice_sites.windows_log2(words, sites)
    assert np.corrcoef(found, splice_sites.matrix_log2(words, sites))[0, 1] > 0.98
    both = splice_sites.both_log2(words, sites)
    assert np.allclose(both, (found + splice_sites.markov_log2(words, sites)) / 2)


def test_matrix_is_the_sum_over_columns():
    codes, word = codes_of(["ACG", "ACT", "GCT"]), codes_of(["ACT"])
    wanted = math.log2(2.25 / 4) + math.log2(3.25 / 4) + math.log2(2.25 / 4)
    assert splice_sites.matrix_log2(word, codes)[0] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("n", "models"),
    [
        (29, None),
        (30, ["markov", "matrix"]),
        (300, ["markov", "markov"]),
        (1000, ["maximum entropy", splice_sites.BOTH]),
    ],
)
def test_models_follow_the_number_of_sites(n, models):
    assert splice_sites.models_for(n) == models


def test_a_gc_donor_is_weaker_than_the_same_with_gt(real_sites):
    bases, _ = real_sites
    words = codes_of(["CAGGTAAGT", "CAGGCAAGT", "CAGATAAGT"])
    sites = np.vstack([bases.donor, words])
    places = np.r_[bases.place_donor, -1, -2, -3]
    scores = splice_sites.strengths(sites, places, bases.decoy_donors, 3, 11, bases.pairs, "maximum entropy")
    assert scores[-3] > scores[-2] + 3 > scores[-1] + 3


def halves(sites, places, pair_at, pair, decoys):
    """Distinct usual sites and decoys without the dinucleotide, each dealt to two halves."""
    sites = sites[np.unique(places, return_index=True)[1]]
    sites = sites[(sites < 4).all(axis=1) & (sites[:, pair_at] * 4 + sites[:, pair_at + 1] == pair)]
    others = np.delete(np.arange(sites.shape[1]), [pair_at, pair_at + 1])
    sites = np.random.default_rng(0).permutation(sites)[:, others]
    decoys = decoys[(decoys < 4).all(axis=1)][:, others]
    return (sites[::2], sites[1::2]), (decoys[::2], decoys[1::2])


def test_sites_of_the_other_half_are_told_from_decoys(real_sites):
    bases, _ = real_sites
    cases = [
        (bases.donor, bases.place_donor, 3, 11, bases.decoy_donors, splice_sites.entropy_log2, 0.964),
        (bases.acceptor, bases.place_acceptor, 18, 2, bases.decoy_acceptors, splice_sites.both_log2, 0.943),
    ]
    for *where, decoys, log2, least in cases:
        (train, test), (train_decoys, test_decoys) = halves(*where, decoys)
        both = np.vstack([test, test_decoys])
        score = log2(both, train) - log2(both, train_decoys)
        assert rank_auroc(np.r_[np.ones(len(test)), np.zeros(len(test_decoys))], score) > least


def test_strengths_agree_with_maxentscan(real_sites, golden):
    """Against scores of the original's tables on twenty sites each; docs/splice.md tells of all."""
    bases, _ = real_sites
    table = pd.read_csv(golden / "splice" / "maxent40.tsv", sep="\t")
    for kind, sites, places, decoys, at, pair, model, least in (
        ("score5", bases.donor, bases.place_donor, bases.decoy_donors, 3, 11, "maximum entropy", 0.93),
        ("score3", bases.acceptor, bases.place_acceptor, bases.decoy_acceptors, 18, 2, splice_sites.BOTH, 0.84),
    ):
        rows = table[table["fn"] == kind]
        both = np.vstack([sites, codes_of(rows["seq"])])
        places = np.r_[places, -1 - np.arange(len(rows))]
        scores = splice_sites.strengths(both, places, decoys, at, pair, bases.pairs, model)[-len(rows) :]
        assert spearmanr(scores, rows["score"])[0] > least


def test_too_few_sites_have_no_strength(tmp_path):
    introns = pd.DataFrame({"chrom": "c", "start": [100, 300], "end": [200, 500], "strand": "+"})
    bases = bases_of(tmp_path, "ACGT" * 500, introns, introns, reach=150)
    donor, acceptor, models = splice_sites.site_strengths(bases)
    assert models is None and np.isnan(donor).all() and np.isnan(acceptor).all()


@pytest.fixture
def random_tables():
    rng = np.random.default_rng(7)
    donor = {"".join(word): float(rng.random() + 0.1) for word in itertools.product("ACGT", repeat=7)}
    acceptor = [(rng.random(4**width) + 0.1).tolist() for width in (7, 7, 7, 7, 7, 3, 4, 3, 4)]
    return donor, acceptor


def write_json_tables(folder, donor, acceptor):
    (folder / "ss5seq_score.json").write_text(json.dumps(donor))
    (folder / "ss3_score.json").write_text(json.dumps({str(k): table for k, table in enumerate(acceptor)}))


def write_original_tables(folder, donor, acceptor):
    words = list(donor)[::-1]
    (folder / "splice5sequences").write_text("\n".join(words) + "\n")
    (folder / "me2x5").write_text("\n".join(repr(donor[word]) for word in words) + "\n")
    for k, table in enumerate(acceptor, 1):
        (folder / f"me2x3acc{k}").write_text("\n".join(map(repr, table)) + "\n")


def place(word):
    return sum("ACGT".index(base) * 4**power for power, base in enumerate(reversed(word)))


@pytest.mark.parametrize("write", [write_json_tables, write_original_tables])
def test_maxentscan_formula(tmp_path, random_tables, write):
    """Yeo & Burge's products written out base by base."""
    donor, acceptor = random_tables
    write(tmp_path, donor, acceptor)
    tables = maxentscan.Tables(tmp_path)
    s = "CAGGTAAGT"
    wanted = math.log2(0.9896 * 0.9884 / (0.23 * 0.27) * donor["CAGAAGT"])
    assert tables.donor_scores(codes_of([s, "CAGGNAAGT"]))[0] == pytest.approx(wanted, abs=1e-9)
    assert np.isnan(tables.donor_scores(codes_of([s, "CAGGNAAGT"]))[1])
    t = "TTCTCTCTTCAGACTTATAGCAA"
    r = t[:18] + t[20:]
    spans = [(0, 7), (7, 14), (14, 21), (4, 11), (11, 18), (4, 7), (7, 11), (11, 14), (14, 18)]
    m = [table[place(r[a:b])] for table, (a, b) in zip(acceptor, spans, strict=True)]
    odds = 0.9903 * 0.9905 / (0.27 * 0.23) * m[0] * m[1] * m[2] * m[3] * m[4] / (m[5] * m[6] * m[7] * m[8])
    assert tables.acceptor_scores(codes_of([t]))[0] == pytest.approx(math.log2(odds), abs=1e-9)


def test_maxentscan_tables_that_cannot_be_right(tmp_path, random_tables):
    with pytest.raises(MissingInput, match="no MaxEntScan tables"):
        maxentscan.Tables(tmp_path)
    donor, acceptor = random_tables
    write_json_tables(tmp_path, dict(list(donor.items())[:-1]), acceptor)
    with pytest.raises(BadData, match="16,383 words"):
        maxentscan.Tables(tmp_path)
    write_json_tables(tmp_path, donor, [*acceptor[:-1], acceptor[-1][:-1]])
    with pytest.raises(BadData, match="255 values, not 256"):
        maxentscan.Tables(tmp_path)
    write_json_tables(tmp_path, donor | {"AAAAAAA": -1}, acceptor)
    with pytest.raises(BadData, match="not numbers above 0"):
        maxentscan.Tables(tmp_path)


def test_tract_and_exclusion_zone_by_hand():
    width = branch_points.reach()
    words = [
        "N" * (width - 60) + "C" * 20 + "AG" + "C" * 16 + "TTTTTTTTTTCCCCCCAAAAAG",
        "N" * (width - 40) + "C" * 38 + "AG",
        "N" * (width - 9) + "CCCCCCCAG",
    ]
    tail = codes_of(words)
    share = branch_points.pyrimidine_share(tail)
    # distances 6 to 25: the A five bases before the end is the only purine
    assert share[0] == pytest.approx(19 / 20 if words[0][-6] == "A" else 1.0)
    # the upstream AG ends 38 bases before the intron's last base; without one, the intron's length counts
    assert branch_points.exclusion_zone(tail)[:2].tolist() == [38, 40]
    assert np.isnan(branch_points.exclusion_zone(tail)[2])


def test_exclusion_zone_agrees_with_searching_strings(real_sites):
    bases, introns = real_sites
    width = bases.tail.shape[1]
    found = branch_points.exclusion_zone(bases.tail)
    for row in range(0, len(introns), 97):
        text = "".join("ACGTN"[code] for code in bases.tail[row]).lstrip("N")
        ends = [len(text) - 1 - (at + 1) for at in range(len(text) - 1) if text[at : at + 2] == "AG"]
        near = [d for d in ends if 13 <= d <= branch_points.EXCLUSION_UP_TO]
        wanted = min(near) if near else min(len(text), branch_points.EXCLUSION_UP_TO)
        assert width > branch_points.EXCLUSION_UP_TO and found[row] == wanted


@pytest.mark.slow
def test_yeast_introns_teach_their_branch_point(real_data):
    """TACTAAC, the branch point of nearly every intron of S. cerevisiae, from a start that only says yUnAy."""
    bases, introns = read_real(real_data / "yeast_R64", "annotation.R64.gff3.gz", "genome.R64.fna.gz")
    rows = (introns["end"] - introns["start"] > 120).to_numpy()
    distances = range(8, 100)
    motif, prior, background = branch_points.learn(bases.tail[rows], distances)
    assert "".join("ACGT"[base] for base in motif.argmax(axis=1)) == "TACTAAC"
    assert (motif.max(axis=1)[1:] > 0.8).all()
    _, distance = branch_points.best_branch_points(bases.tail[rows], motif, prior, background, distances)
    last = bases.tail.shape[1] - 1
    words = [
        row[int(last - d) - 4 : int(last - d) + 2] for row, d in zip(bases.tail[rows], distance, strict=True) if d == d
    ]
    assert np.mean([(word == base_codes("ACTAAC")).all() for word in words]) > 0.7


def test_human_branch_points_lie_where_they_were_mapped(real_sites):
    bases, _ = real_sites
    motif, prior, _ = branch_points.learn(bases.tail)
    assert "".join("ACGT"[base] for base in motif.argmax(axis=1))[3] == "T"
    assert 18 <= branch_points.DISTANCES[prior.argmax()] <= 30


def test_minor_spliceosome_introns(real_sites):
    bases, introns = real_sites
    assert branch_points.is_u12(bases.head, bases.tail).sum() == 26
    width = branch_points.reach()
    tail = codes_of(["C" * (width - 25) + "TTCCTTAAC" + "C" * 14 + "AG", "C" * (width - 2) + "AG"])
    head = codes_of(["ATATCCTT"] * 2)
    assert branch_points.is_u12(head, tail).tolist() == [1, 0]
    assert branch_points.is_u12(codes_of(["GTAAGTAT"] * 2), tail).tolist() == [0, 0]


@pytest.mark.slow
def test_labels_carry_the_splice_sites(tool, tmp_path):
    options = DEMO / "chr19_6Mb.gff3.gz", "--fasta", DEMO / "chr19_6Mb.fa.gz"
    tool("label_introns", *options)
    table = read_labels(tmp_path / "labels.tsv")
    assert table[list(SPLICE_SITES)].notna().mean().min() > 0.98
    assert table["donor_strength"].median() > 5 and table["acceptor_strength"].median() > 5
    about = json.loads((tmp_path / "counts.json").read_text())["splice_sites"]
    assert about["donor_model"] == "maximum entropy" and about["u12"] == table["u12"].sum()
    before = (tmp_path / "labels.tsv").read_bytes()
    tool("label_introns", *options)
    assert (tmp_path / "labels.tsv").read_bytes() == before


@pytest.mark.slow
def test_labels_carry_scores_of_the_users_tables(tool, tmp_path, random_tables):
    write_json_tables(tmp_path, *random_tables)
    tool("label_introns", DEMO / "chr19_6Mb.gff3.gz", "--fasta", DEMO / "chr19_6Mb.fa.gz", "--maxent-tables", tmp_path)
    table = read_labels(tmp_path / "labels.tsv")
    tables, rows = maxentscan.Tables(tmp_path), table.iloc[::400]
    with Genome(DEMO / "chr19_6Mb.fa.gz") as genome:
        texts = [genome.fetch(row.chrom, row.start - 20, row.end + 20) for row in rows.itertuples()]
    for row, text in zip(rows.itertuples(), texts, strict=True):
        text = text if row.strand == "+" else reverse_complement(text)
        assert row.donor_strength == pytest.approx(tables.donor_scores(codes_of([text[17:26]]))[0], rel=1e-5)
        acceptor = text[len(text) - 40 : len(text) - 17]
        assert row.acceptor_strength == pytest.approx(tables.acceptor_scores(codes_of([acceptor]))[0], rel=1e-5)
    done = tool("label_introns", DEMO / "chr19_6Mb.gff3.gz", "--maxent-tables", tmp_path, code=2)
    assert "--maxent-tables: without effect without --fasta" in done.stderr
