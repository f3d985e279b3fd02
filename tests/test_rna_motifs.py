"""Motifs of RNA: read from MEME, scanned on the strand of the transcript only."""

import numpy as np
import pytest

import embed_motifs
from intronaut.core.dna import base_codes, reverse_complement
from intronaut.core.errors import BadData
from intronaut.io.h5ad import open_features
from intronaut.motifs.motif_files import read_motifs
from intronaut.motifs.pwm import log_odds, strands_of
from intronaut.motifs.sites import SiteScanner, base_frequencies, survival
from intronaut.motifs.trap import Scanner

MEME = """\
MEME version 4

ALPHABET= {alphabet}

{strands}MOTIF M001 SRSF1
letter-probability matrix: alength= 4 w= 4 nsites= 20
0.1 0.1 0.7 0.1
0.7 0.1 0.1 0.1
0.7 0.1 0.1 0.1
0.1 0.1 0.7 0.1

MOTIF M002 PTBP1
letter-probability matrix: alength= 4 w= 5 nsites= 20
0.02 0.08 0.1 0.8
0.02 0.88 0.05 0.05
0.02 0.08 0.1 0.8
0.02 0.08 0.1 0.8
0.02 0.88 0.05 0.05
"""


@pytest.fixture
def motifs(tmp_path):
    (tmp_path / "rna.meme").write_text(MEME.format(alphabet="ACGU", strands=""))
    return read_motifs(tmp_path / "rna.meme")


def test_alphabets(tmp_path, motifs):
    assert [motif.rna for motif in motifs] == [True, True] and motifs[1].tf == "PTBP1"
    (tmp_path / "dna.meme").write_text(MEME.format(alphabet="ACGT", strands="strands: + -\n\n"))
    dna = read_motifs(tmp_path / "dna.meme")
    assert [motif.rna for motif in dna] == [False, False]
    assert (strands_of(motifs), strands_of(dna), strands_of(motifs, "both"), strands_of(dna, "one")) == (1, 2, 2, 1)
    (tmp_path / "protein.meme").write_text(MEME.format(alphabet="ACDEFGHIKLMNPQRSTVWY", strands=""))
    with pytest.raises(BadData, match="only DNA and RNA can"):
        read_motifs(tmp_path / "protein.meme")


def scores(motif, sequence):
    """The log-odds of every site of one strand, one by one."""
    matrix, codes = log_odds(motif, 0.8, np.full(4, 0.25)), base_codes(sequence)
    width = len(matrix)
    return [sum(matrix[at, codes[start + at]] for at in range(width)) for start in range(len(codes) - width + 1)]


def test_best_site_is_of_one_strand(motifs):
    sequence = "".join(np.random.default_rng(1).choice(list("ACGT"), 80))
    one, both = Scanner(motifs, 0.8, [0.25] * 4, 1), Scanner(motifs, 0.8, [0.25] * 4)
    for place, motif in enumerate(motifs):
        forward, reverse = scores(motif, sequence), scores(motif, reverse_complement(sequence))
        assert one.scan(sequence)[0, place] == pytest.approx(max(forward), abs=1e-4)
        assert both.scan(sequence)[0, place] == pytest.approx(max(forward + reverse), abs=1e-4)
    # what binds adds up over the strands
    total = one.scan(sequence)[1] + one.scan(reverse_complement(sequence))[1]
    assert both.scan(sequence)[1] == pytest.approx(total, rel=1e-4)


def test_sites_are_of_one_strand_with_its_own_background(motifs):
    rng = np.random.default_rng(2)
    codes = base_codes("".join(rng.choice(list("ACGT"), 400, p=[0.15, 0.2, 0.15, 0.5])))
    background = base_frequencies([codes], strands=1)
    assert background == pytest.approx(np.bincount(codes, minlength=4)[:4] / 400)
    sites, _, tested = SiteScanner(motifs, 0.8, background, 0.05, 1).scan_all([codes])
    assert not sites.minus.any() and tested.tolist() == [397, 396]
    matrix = np.rint(log_odds(motifs[1], 0.8, background) * 128).astype(int)
    lowest, p = survival(matrix, background)
    wanted = {start for start in range(396)
              if p[sum(matrix[at, codes[start + at]] for at in range(5)) - lowest] <= 0.05}  # fmt: skip
    assert set(sites.start[sites.motif == 1].tolist()) == wanted


def test_windows_must_run_as_the_transcript(tmp_path, motifs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = ">a 1:10-50({strand}) anchor=centre length=40 strand={cut} edge=pad\n" + "TCTTC" * 8 + "\n"
    (tmp_path / "w.fa").write_text(record.format(strand="+", cut="aware"))
    words = ["w.fa", "--motifs", "rna.meme", "-o", "f.h5ad", "--threads", "1", "--quiet"]
    embed_motifs.main(words)
    features = open_features("f.h5ad")
    assert features.provenance["strands"] == 1
    assert features.x[0, 2] == pytest.approx(max(scores(motifs[1], "TCTTC" * 8)), abs=1e-4)
    (tmp_path / "forward.fa").write_text(record.format(strand="+", cut="forward"))
    with pytest.raises(BadData, match="do not run in the direction of transcription"):
        embed_motifs.main(["forward.fa", *words[1:]])
    embed_motifs.main(["forward.fa", *words[1:4], "both.h5ad", *words[5:], "--strands", "both"])
    assert "strands" not in open_features("both.h5ad").provenance
