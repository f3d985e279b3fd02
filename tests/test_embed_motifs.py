"""embed_motifs: scores agree with Biopython's on both strands and do not depend on how the work is cut."""

import gzip
import io
import math
import random
import re

import anndata
import numpy as np
import pytest
from Bio import motifs as bio_motifs
from Bio.Seq import Seq

import embed_motifs
from intronaut.core.errors import BadData, ToolError, UsageError
from intronaut.motifs.motif_files import read_motifs
from intronaut.motifs.pwm import Motif, jaspar_motifs, log_odds
from intronaut.motifs.trap import Scanner
from random_genomes import random_genome

UNIFORM = [0.25] * 4
SKEWED = [0.3, 0.2, 0.2, 0.3]
MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

MOTIF M1.1 M1.1.FOX
letter-probability matrix: alength= 4 w= 3 nsites= 100 E= 0
 0.97 0.01 0.01 0.01
 0.01 0.97 0.01 0.01
 0.40 0.10 0.40 0.10

URL http://example.org

MOTIF M2.1 Second
letter-probability matrix: alength= 4 w= 2
0 0 1 0
0.5\t0.5\t0 0
"""
JASPAR = ">M1.1\tFOX\nA [97 1 40]\nC [1 97 10]\nG [1 1 40]\nT [1 1 10]\n"


@pytest.fixture(scope="module")
def jaspar():
    return jaspar_motifs("JASPAR2024", "vertebrates")


@pytest.fixture
def meme(tmp_path):
    path = tmp_path / "two.meme"
    path.write_text(MEME)
    return path


def random_bases(seed, length):
    return "".join(random.Random(seed).choices("ACGT", k=length))


def biopython_scores(motif, sequence, pseudocount, background):
    """Log2 odds of every site, plus strand then minus strand, by Bio.motifs; a window of at least the motif's width."""
    counts = {base: list(motif.counts[:, i]) for i, base in enumerate("ACGT")}
    background = dict(zip("ACGT", background, strict=True))
    pseudocounts = {base: pseudocount * share for base, share in background.items()}
    pssm = bio_motifs.Motif(counts=counts).counts.normalize(pseudocounts).log_odds(background)
    sites = [np.atleast_1d(one.calculate(sequence)) for one in (pssm, pssm.reverse_complement())]
    return np.concatenate(sites).astype(float), sum(max(pssm[base][i] for base in "ACGT") for i in range(pssm.length))


def trap_occupancy(scores, highest, width):
    """Expected number of bound sites: R0·e^-E / (1 + R0·e^-E) over all sites, E the mismatch energy over lambda 0.7."""
    log_r0 = 0.584 * width - 5.66
    energies = (highest - scores) * math.log(2) / 0.7
    return sum(1 / (1 + math.exp(energy - log_r0)) for energy in energies)


@pytest.mark.parametrize(("pseudocount", "background"), [(0.8, UNIFORM), (0.01, SKEWED), (5.0, SKEWED)])
def test_all_jaspar_motifs_agree_with_biopython_on_both_strands(jaspar, pseudocount, background):
    scanner = Scanner(jaspar, pseudocount, background)
    sequence = random_bases(1, 150)
    best, occupancy = scanner.scan(sequence)
    for place, motif in enumerate(jaspar):
        scores, highest = biopython_scores(motif, sequence, pseudocount, background)
        assert best[place] == pytest.approx(scores.max(), abs=1e-3), motif.motif_id
        wanted = trap_occupancy(scores, highest, len(motif.counts))
        assert occupancy[place] == pytest.approx(wanted, rel=2e-3, abs=1e-30), motif.motif_id


def test_minus_strand_site_is_found(meme):
    scanner = Scanner(read_motifs(meme), 0.8, UNIFORM)
    plus, minus = scanner.scan("TTTTACATTTT"), scanner.scan("AAAATGTAAAA")
    np.testing.assert_allclose(plus, minus, rtol=1e-6)
    assert plus[0, 0] > scanner.scan("TTTTACTTTTT")[0, 0]


def test_reverse_complement_scores_the_same(jaspar):
    scanner = Scanner(jaspar[:200], 0.8, SKEWED[::-1])
    sequence = random_bases(2, 300)
    one, other = scanner.scan(sequence), scanner.scan(str(Seq(sequence).reverse_complement()))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_allclose(one[1], other[1], rtol=1e-6)


def naive_scan(motif, sequence, pseudocount, background):
    """Best and occupancy in float64, one site after the other; an unknown base adds nothing."""
    matrix = log_odds(motif, pseudocount, np.array(background))
    width = len(matrix)
    sequence = sequence.ljust(width, "N")
    scores = []
    for strand in (sequence, str(Seq(sequence).reverse_complement())):
        for first in range(len(sequence) - width + 1):
            site = strand[first : first + width]
            known = [(base, row) for base, row in zip(site, matrix, strict=True) if base in "ACGT"]
            scores.append(sum(row["ACGT".index(base)] for base, row in known))
    return max(scores), trap_occupancy(np.array(scores), matrix.max(axis=1).sum(), width)


@pytest.mark.parametrize("sequence", ["", "N", "ACG", "ACGTNNNNACGRYT", "N" * 50, "A" * 34, "AN" * 19])
def test_unknown_bases_and_windows_shorter_than_the_motif(jaspar, sequence):
    chosen = jaspar[::40] + [max(jaspar, key=lambda motif: len(motif.counts))]
    best, occupancy = Scanner(chosen, 0.8, SKEWED).scan(sequence)
    for place, motif in enumerate(chosen):
        # on the minus strand of a short window the N come first: both are the plus strand of the padded window
        wanted = naive_scan(motif, sequence, 0.8, SKEWED)
        assert best[place] == pytest.approx(wanted[0], abs=1e-3)
        assert occupancy[place] == pytest.approx(wanted[1], rel=2e-3)


def test_unknown_bases_alone_score_zero(jaspar):
    best, occupancy = Scanner(jaspar, 0.8, UNIFORM).scan("N" * 60)
    np.testing.assert_array_equal(best, 0)
    assert (occupancy > 0).all()


def test_scores_are_exact_sums(jaspar):
    """Summed in float64 in another order, the rounded terms give the same number to the bit."""
    scanner = Scanner(jaspar, 0.8, UNIFORM)
    for width, _, terms, constant in scanner.groups:
        site = np.zeros((width, 4), np.float32)
        site[np.arange(width), np.random.default_rng(width).integers(0, 4, width)] = 1
        wanted = constant[:, 0].astype(float) + terms.astype(float)[:, ::-1] @ site.ravel()[::-1]
        x = constant[:, 0].copy()
        for position in np.random.default_rng(1).permutation(4 * width):
            x += site.ravel()[position] * terms[:, position]
        np.testing.assert_array_equal(x.astype(float), wanted)


def test_pyjaspar_agrees_with_the_exported_meme_file(jaspar, real_data):
    exported = read_motifs(real_data / "motifs" / "JASPAR2024_CORE_vertebrates_latest.meme.gz")
    assert len(jaspar) == 879
    assert [(one.motif_id, one.tf) for one in exported] == [(one.motif_id, one.tf) for one in jaspar]
    for one, other in zip(exported, jaspar, strict=True):
        shares = other.counts / other.counts.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(one.counts / one.counts.sum(axis=1, keepdims=True), shares, atol=2e-6)


def test_paper_motif_file_is_read(real_data):
    found = read_motifs(real_data / "motifs" / "jaspar_paper_repo.meme.txt.gz")
    assert len(found) == 949
    assert (found[0].motif_id, found[0].tf, found[0].counts.shape) == ("MA0002.1", "RUNX1", (11, 4))


def test_jaspar_motifs_carry_family_and_class(jaspar):
    by_id = {motif.motif_id: motif for motif in jaspar}
    ctcf = by_id[next(name for name in by_id if name.startswith("MA0139"))]
    assert (ctcf.tf, ctcf.tf_class) == ("CTCF", "C2H2 zinc finger factors")
    assert ctcf.family


def test_unknown_release_and_group_are_refused():
    with pytest.raises(UsageError, match="JASPAR2022"):
        jaspar_motifs("JASPAR1999", "vertebrates")
    with pytest.raises(UsageError, match="no motif of 'martians'"):
        jaspar_motifs("JASPAR2024", "martians")


def test_meme_and_jaspar_formats_are_read_alike(tmp_path, meme):
    path = tmp_path / "one.jaspar.gz"
    path.write_bytes(gzip.compress(JASPAR.encode()))
    one, (first, second) = read_motifs(path)[0], read_motifs(meme)
    assert (one.motif_id, one.tf) == (first.motif_id, first.tf) == ("M1.1", "FOX")
    np.testing.assert_allclose(one.counts, first.counts)
    assert (second.motif_id, second.tf, second.counts.tolist()) == ("M2.1", "Second", [[0, 0, 20, 0], [10, 10, 0, 0]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither MEME nor JASPAR"),
        ("MA0001\nA 1 2\n", "neither MEME nor JASPAR"),
        ("MEME version 4\n", "no motif"),
        (MEME.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY", 1), "line 3: alphabet"),
        (MEME.replace(" 0.01 0.97 0.01 0.01", " 0.01 0.97 0.01"), "line 10: expected four probabilities"),
        (MEME.replace("0.40 0.10", "0.40 x"), "line 11: expected four probabilities"),
        (MEME.replace("w= 2", "w= 3"), "ends within motif M2.1"),
        (MEME.replace("w= 3", "w= 0"), "line 8: a matrix needs"),
        (">M1 X\nA [1 2]\nC [1 2]\nG [1]\nT [1 2]\n", "not in JASPAR format"),
        (">ACG\tX\t5.1\n0.1\t0.2\t0.3\n", "line 2: expected four probabilities"),
        (MEME.replace("MOTIF M1.1 M1.1.FOX\n", ""), "line 7: a matrix needs"),
        (MEME.replace("M2.1", "M1.1"), "motif M1.1 occurs twice"),
        (MEME.replace("0 0 1 0", "0 0 0 0"), "M2.1 has a position without a distribution"),
        (MEME.replace("0 0 1 0", "0 0 -1 0"), "M2.1 has a position without a distribution"),
        (MEME.replace("0 0 1 0", "0 0 nan 0"), "M2.1 has a position without a distribution"),
        (">M1 X\nA 1 2\n", "not in JASPAR format"),
        (">M1\nACGT\n", "not in JASPAR format"),
    ],
)
def test_broken_motif_files_are_refused(tmp_path, text, says):
    path = tmp_path / "motifs"
    path.write_text(text)
    with pytest.raises(BadData) as refused:
        read_motifs(path)
    assert says in str(refused.value)


@pytest.mark.parametrize("cut", range(20, len(MEME) - 20, 7))
def test_cut_motif_file_is_refused_or_lacks_motifs(tmp_path, cut):
    path = tmp_path / "motifs"
    path.write_text(MEME[:cut])
    try:
        assert len(read_motifs(path)) == 1
    except ToolError as refused:
        assert str(path) in str(refused)


def write_windows(path, count, seed=1, length=80):
    sequences = random_genome(seed, {f"w{i}": length + i % 3 for i in range(count)})
    path.write_text("".join(f">{name} c:{i}-{i + len(s)}(+)\n{s}\n" for i, (name, s) in enumerate(sequences.items())))
    return {name: sequence.upper() for name, sequence in sequences.items()}


@pytest.fixture
def embed(tmp_path, monkeypatch):
    """Run ``main`` in this process, in the test's folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: embed_motifs.main([*map(str, args)])


def test_features_file(embed, tmp_path, meme):
    windows = write_windows(tmp_path / "w.fa", 30)
    embed("w.fa", "--motifs", meme, "-o", "m.h5ad", "--background", *SKEWED, "--pseudocount", 2)
    found = anndata.read_h5ad(tmp_path / "m.h5ad")
    assert list(found.obs_names) == list(windows)
    assert list(found.var_names) == ["M1.1_FOX_best", "M1.1_FOX_occupancy", "M2.1_Second_best", "M2.1_Second_occupancy"]
    assert list(found.var.columns) == ["motif_id", "tf", "family", "class", "measure"]
    motifs = read_motifs(meme)
    wanted = [[value for motif in motifs for value in naive_scan(motif, s, 2, SKEWED)] for s in windows.values()]
    np.testing.assert_allclose(found.X, wanted, rtol=1e-4, atol=1e-4)
    assert found.X.dtype == np.float32


def test_same_bytes_for_any_number_of_threads_and_from_a_pipe(embed, tmp_path, meme, monkeypatch):
    write_windows(tmp_path / "w.fa", 300)
    outputs = [tmp_path / f"{name}.h5ad" for name in ("one", "three", "pipe")]
    embed("w.fa", "--motifs", meme, "-o", outputs[0], "--threads", 1)
    embed("w.fa", "--motifs", meme, "-o", outputs[1], "--threads", 3)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "w.fa").read_bytes())))
    embed("-", "--motifs", meme, "-o", outputs[2])
    assert len({path.read_bytes() for path in outputs}) == 1


def test_default_is_jaspar_core_vertebrates(tool, tmp_path):
    write_windows(tmp_path / "w.fa", 2)
    said = tool("embed_motifs", "w.fa", "-o", "m.h5ad").stderr
    assert "2 windows, 879 motifs, 1,758 features" in said


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--background", "0.3", "0.3", "0.3", "0.3"], 2, "adds up to 1.2, not 1"),
        (["--background", "0", "0.5", "0.25", "0.25"], 2, "is not above 0"),
        (["--pseudocount", "0"], 2, "is not above 0"),
        (["--pseudocount", "few"], 2, "is not a number"),
        (["--motifs", "missing.meme"], 66, "missing.meme: No such file"),
    ],
)
def test_wrong_options_leave_nothing(tool, tmp_path, options, code, says):
    write_windows(tmp_path / "w.fa", 2)
    said = tool("embed_motifs", "w.fa", "-o", "m.h5ad", *options, code=code).stderr
    assert says in said and len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["w.fa"]


def test_motif_of_one_position():
    motif = Motif("M", "M", np.array([[3.0, 1, 0, 0]]))
    best, _ = Scanner([motif], 1.0, UNIFORM).scan("CC")
    assert best[0] == pytest.approx(math.log2(1.25 / 5 / 0.25), abs=1e-5)


HOMER = ">ACGT\tAP-1(bZIP)/ThioMac-PU.1-ChIP-Seq(GSE21512)/Homer\t6.049537\t-1782.9\t0\n"
HOMER += "0.419\t0.275\t0.277\t0.028\n0.001\t0.001\t0.001\t0.997\n"
HOMER += ">GT\tAR-halfsite(NR)/x/Homer\t5.1\n0.25\t0.25\t0.25\t0.25\n"


def test_homer_motifs_are_read(tmp_path):
    (tmp_path / "known.motifs").write_text(HOMER)
    first, second = read_motifs(tmp_path / "known.motifs")
    assert (first.tf, second.tf) == ("AP-1", "AR-halfsite")
    assert first.motif_id == "AP-1(bZIP)/ThioMac-PU.1-ChIP-Seq(GSE21512)/Homer"
    shares = first.counts / first.counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, [[0.419, 0.275, 0.277, 0.028], [0.001, 0.001, 0.001, 0.997]], atol=1e-3)


def test_meme_without_widths_reads_the_rows_that_are_there(tmp_path):
    (tmp_path / "with.meme").write_text(MEME)
    (tmp_path / "without.meme").write_text(re.sub(r"w= \d+", "", MEME))
    pairs = zip(*(read_motifs(tmp_path / name) for name in ("with.meme", "without.meme")), strict=True)
    assert all((one.counts == other.counts).all() and one.motif_id == other.motif_id for one, other in pairs)


def test_motif_of_rna_is_read_as_dna(tmp_path):
    (tmp_path / "rna.meme").write_text(MEME.replace("ALPHABET= ACGT", "ALPHABET= ACGU"))
    (tmp_path / "dna.meme").write_text(MEME)
    rna, dna = (read_motifs(tmp_path / f"{kind}.meme") for kind in ("rna", "dna"))
    assert [motif.counts.tolist() for motif in rna] == [motif.counts.tolist() for motif in dna]


def test_motif_without_a_matrix_is_counted(tmp_path):
    (tmp_path / "x.meme").write_text(MEME + "\nMOTIF M9 nothing\n")
    left_out = []
    assert len(read_motifs(tmp_path / "x.meme", left_out)) == 2 and left_out == ["M9"]
    with pytest.raises(BadData, match="M9 has no matrix"):
        read_motifs(tmp_path / "x.meme")
