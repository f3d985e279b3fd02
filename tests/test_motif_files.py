"""Motif files of other programs: each layout gives the matrix that its source has, or is refused."""

import numpy as np
import pytest

from intronaut.core.errors import BadData
from intronaut.motifs.motif_files import read_motifs

# JASPAR 2024 matrices (CC BY 4.0) as Cluster-Buster has them; tests of Biopython, motifs/clusterbuster.pfm
CLUSTER_BUSTER = """\
>MA0004.1
4   16  0   0
19  0   1   0
0   20  0   0
0   0   20  0
0   0   0   20
0   0   20  0
>MA0006.1
# WEIGHT: 3.0
# GAP: 10.0
3   8   2   11
0   0   23  1
0   23  0   1
0   0   23  1
0   0   0   24
0   0   24  0
"""
# as JASPAR writes it; tests of Biopython, motifs/MA0056.1.transfac
TRANSFAC = """\
AC MA0056.1
XX
ID MZF1
XX
DE MA0056.1 MZF1 ; From JASPAR 2018
PO\tA\tC\tG\tT
01\t3.0\t5.0\t4.0\t8.0
02\t0.0\t0.0\t19.0\t1.0
03\t2.0\t0.0\t18.0\t0.0
04\t0.0\t0.0\t19.0\t1.0
05\t0.0\t0.0\t20.0\t0.0
06\t18.0\t0.0\t2.0\t0.0
XX
//
"""
# the first matrix of HOCOMOCO v11, core, human, mononucleotide counts; digits cut
HOCOMOCO = """\
# HOCOMOCOv11_HUMAN motif database
>AHR_HUMAN.H11MO.0.B
40.513\t18.259\t56.412\t38.773
10.877\t11.870\t34.663\t96.547
21.716\t43.883\t20.706\t67.652
2.546\t1.317\t145.863\t4.231
0.0\t150.358\t1.492\t2.107
3.441\t0.790\t149.376\t0.351
0.0\t3.441\t0.702\t149.815
0.0\t0.0\t153.958\t0.0
43.079\t66.875\t16.159\t27.844
"""
# of the example of gimmemotifs, whose AP-1 is TGAGTCA; the second matrix has the bases of GATA four positions long
GIMME = """\
>AP1
0.0020\t0.0015\t0.0017\t0.9948
0.0039\t0.0019\t0.9502\t0.0439
0.9697\t0.0220\t0.0018\t0.0065
0.0377\t0.3311\t0.6030\t0.0283
0.0033\t0.0031\t0.0043\t0.9893
0.0188\t0.9775\t0.0023\t0.0014
0.9951\t0.0021\t0.0012\t0.0015
>GATA
0.02\t0.01\t0.95\t0.02
0.97\t0.01\t0.01\t0.01
0.01\t0.01\t0.01\t0.97
0.97\t0.01\t0.01\t0.01
"""
SQUARE = ">GATA\n1 1 17 1\n17 1 1 1\n1 1 1 17\n17 1 1 1\n"
MEME = """\
MEME version 5.5.5

ALPHABET= ACGT

MOTIF 1-TGAC STREME-1
letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0
0.1 0.2 0.3 0.4
0.7 0.1 0.1 0.1
"""
# of the output of STREME 5.5, which defines its letters in a block
DNA_BLOCK = """\
ALPHABET "DNA" DNA-LIKE
A "Adenine" CC0000 ~ T "Thymine" 008000
C "Cytosine" 0000CC ~ G "Guanine" FFB300
N "Any base = any ~ none" = ACGT
V "Not T" = ACG
END ALPHABET
"""
RNA_BLOCK = "ALPHABET 'RNA' RNA-LIKE\nU \"Uracil\" 008000\nA CC0000\nC\nG\nT = U\nN = ACGU\nEND ALPHABET\n"


@pytest.fixture
def read(tmp_path):
    def motifs_of(text, left_out=None):
        path = tmp_path / "x.motifs"
        path.write_bytes(text.encode())
        return read_motifs(path, left_out)

    return motifs_of


@pytest.fixture(scope="module")
def jaspar():
    """JASPAR's counts by id, as lists of A, C, G, T a position, from its database."""
    from pyjaspar import jaspardb

    records = jaspardb(release="JASPAR2024").fetch_motifs(collection="CORE", tax_group=["vertebrates"])
    ids = {"MA0004.1", "MA0006.1", "MA0056.1"}
    records += [jaspardb(release="JASPAR2024").fetch_motif_by_id(each) for each in ids]
    counts = {one.matrix_id: list(zip(*(one.counts[base] for base in "ACGT"), strict=True)) for one in records}
    return {name: [list(map(float, row)) for row in rows] for name, rows in counts.items()}


def consensus(motif):
    return "".join("ACGT"[place] for place in motif.counts.argmax(axis=1))


def test_rows_of_positions_are_those_of_jaspar(read, jaspar):
    arnt, ahr_arnt = read(CLUSTER_BUSTER)
    assert (arnt.motif_id, consensus(arnt), consensus(ahr_arnt)) == ("MA0004.1", "CACGTG", "TGCGTG")
    assert arnt.counts.tolist() == jaspar["MA0004.1"] and ahr_arnt.counts.tolist() == jaspar["MA0006.1"]


def test_matrix_of_hocomoco(read):
    (ahr,) = read(HOCOMOCO)
    assert (ahr.motif_id, ahr.tf) == ("AHR_HUMAN.H11MO.0.B", "AHR_HUMAN.H11MO.0.B")
    rows = [list(map(float, line.split())) for line in HOCOMOCO.splitlines()[2:]]
    # the core of the response element of AHR is GCGTG
    assert ahr.counts.tolist() == rows and consensus(ahr) == "GTTGCGTGC"


def test_probabilities_of_positions_are_twenty_sites(read):
    ap1, gata = read(GIMME)
    assert (consensus(ap1), consensus(gata)) == ("TGAGTCA", "GATA")
    np.testing.assert_allclose(ap1.counts[3], [0.754, 6.622, 12.06, 0.566])
    np.testing.assert_allclose(gata.counts[0], [0.4, 0.2, 19, 0.4])
    # JASPAR's rows of probabilities have no more sites; counts are taken as they are
    np.testing.assert_allclose(read(">M\n0.5 1\n0.5 0\n0 0\n0 0\n")[0].counts, [[10, 10, 0, 0], [20, 0, 0, 0]])
    np.testing.assert_allclose(read(">M\n5 9\n5 0\n0 0\n0 1\n")[0].counts, [[5, 5, 0, 0], [9, 0, 0, 1]])


def test_transfac(read, jaspar):
    (mzf1,) = read(TRANSFAC)
    assert (mzf1.motif_id, mzf1.tf, mzf1.counts.tolist()) == ("MA0056.1", "MZF1", jaspar["MA0056.1"])
    assert consensus(mzf1) == "TGGGGA"


def test_transfac_of_other_programs(read):
    """Rows from 00, the consensus behind them, bases in another order, and an entry without a matrix."""
    text = (
        "VV  x\nXX\n//\nID  one\nNA  Factor A\nP0      T      G      C      A\n00  1 2 3 4 N\n01  0 0 0 9 A\nXX\n//\n"
    )
    text += "ID  two\n//\n"
    left_out = []
    (one,) = read(text, left_out)
    assert (one.motif_id, one.tf, one.counts.tolist()) == ("one", "Factor A", [[4, 3, 2, 1], [9, 0, 0, 0]])
    assert left_out == ["two"]


def layouts(name, rows):
    """One matrix in each way in which files have it."""
    lines = {base: " ".join(f"{row[place]:g}" for row in rows) for place, base in enumerate("ACGT")}
    positions = [" ".join(f"{value:g}" for value in row) for row in rows]
    yield f">{name}\n" + "".join(f"{base} [ {lines[base]} ]\n" for base in "ACGT")
    yield f">{name}\n" + "".join(f"{base.lower()}[{lines[base]}]\n" for base in "TGCA")
    yield f">{name} x\r\n" + "".join(f"{base} | {lines[base]}\r\n" for base in "ACGT")
    yield f">{name}\ty\n" + "".join(f"{base}:\t{lines[base]}\n" for base in "GATC")
    yield f"> {name}\n\n" + "\n".join(f"{base} {lines[base]}" for base in "ACGT")
    yield f"#\n>{name}\n # a\n" + "\n".join(lines.values())
    yield f">{name}\n" + "\n".join(positions)
    rows_of_transfac = "".join(f"{place:02d} {row} N\n" for place, row in enumerate(positions, 1))
    yield f"ID {name}\nP0 A C G T\n{rows_of_transfac}XX\n//\n"


def test_all_of_jaspar_is_the_same_in_every_layout(read, jaspar):
    chosen = [(name, rows) for name, rows in list(jaspar.items())[::20] if len(rows) != 4]
    assert len(chosen) > 40
    for name, rows in chosen:
        for text in layouts(name, rows):
            (motif,) = read(text)
            assert motif.motif_id == name
            np.testing.assert_allclose(motif.counts, rows, rtol=1e-5)


def test_four_by_four_is_as_the_rest_of_the_file(read):
    of_bases = ">WIDE\n9 1 1 1 9\n1 9 1 1 1\n1 1 9 1 1\n1 1 1 9 1\n"
    assert consensus(read(SQUARE + CLUSTER_BUSTER)[0]) == consensus(read(CLUSTER_BUSTER + SQUARE)[2]) == "GATA"
    # transposed, the columns of the matrix are the positions
    assert read(SQUARE + of_bases)[0].counts.tolist() == [[1, 17, 1, 17], [1, 1, 1, 1], [17, 1, 1, 1], [1, 1, 17, 1]]
    lettered = "".join(f"{base} {row}\n" for base, row in zip("ACGT", SQUARE.splitlines()[1:], strict=True))
    assert read(">GATA\n" + lettered)[0].counts.tolist() == read(SQUARE + of_bases)[0].counts.tolist()


def test_homer_of_four_positions_is_rows_of_positions(read):
    homer = SQUARE.replace("17", "7")
    (gata,) = read(homer.replace(">GATA", "# known\n>GATA\tGata(Zf)/x/Homer\t5.1"))
    assert gata.tf == "Gata" and consensus(gata) == "GATA"


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (">MA1.1 Arnt", ("MA1.1", "Arnt")),
        (">MA1.1\tArnt (var 2)\tbHLH", ("MA1.1", "Arnt (var 2)")),
        (">MA1.1 Arnt (var 2)", ("MA1.1", "Arnt")),
        (">T1_ATGAC\t5.5", ("T1_ATGAC", "T1_ATGAC")),
        (">MA1.1\t", ("MA1.1", "MA1.1")),
    ],
)
def test_names_of_headers(read, header, names):
    (motif,) = read(f"{header}\n9 9\n0 1\n0 0\n1 0\n")
    assert (motif.motif_id, motif.tf) == names


def test_header_without_rows_is_left_out(read):
    left_out = []
    assert [motif.motif_id for motif in read(">EMPTY\n" + CLUSTER_BUSTER, left_out)] == ["MA0004.1", "MA0006.1"]
    assert left_out == ["EMPTY"]
    with pytest.raises(BadData, match="EMPTY has no matrix"):
        read(">EMPTY\n" + CLUSTER_BUSTER)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SQUARE, r"motif GATA \(line 1\) and all others have 4 rows of 4 numbers: rows may be bases or positions"),
        (SQUARE + SQUARE.replace("GATA", "B"), "start rows of bases with A, C, G and T"),
        (CLUSTER_BUSTER + ">J\n1 2 3\n1 2 3\n1 2 3\n1 2 3\n", r"J \(line 17\) has 4 rows, one a base, motif MA0004.1"),
        (">M\n1 2 3\n1 2 3\n1 2 3\n>N\n9\n9\n9\n9\n", r"M \(line 1\) has 3 rows of 3 numbers"),
        (">M\n1 9 0 0 0\n2 0 9 0 0\n3 0 0 9 0\n4 0 0 0 9\n", "counts, or numbers of positions"),
        (">M\nA [1 2]\nC [1 2]\nG [1 2]\n>N\nA [1 2]\nC [1 2]\nG [1 2]\nT [1 2]\n", "3 rows for A C G; give"),
        (">M\nA [1 2]\nC [1 2]\nG [1 2]\n1 2\n", "4 rows for A C G; give"),
        (">M\nA [1 2\nC [1 2]\nG [1 2]\nT [1 2]\n", "line 2: not in JASPAR format"),
        (">M\nA [1 2]\nC [1 2]\nG [1 2]\nU [1 2]\n", "line 5: not in JASPAR format"),
        (">M\nA C G T\n1 2 3 4\n", "line 2: not in JASPAR format"),
        (">M\n1_0 2 3 4\n", "line 2: not in JASPAR format"),
        (">\n1 2 3 4\n", "line 1: a header without a name"),
        (">M\n1 2 3 4\n>M\n1 2 3 4\n", "motif M occurs twice"),
        (HOCOMOCO.replace("\t0.0\n", "\t-0.1\n"), "a position without a distribution"),
        (TRANSFAC.replace("03\t2.0\t0.0\t18.0\t0.0\n", ""), "line 9: expected position 3"),
        (TRANSFAC.replace("01\t3.0\t5.0\t4.0\t8.0\n", ""), "line 7: expected position 1"),
        (TRANSFAC.replace("\t0.0\t0.0\t20.0\t", "\t0.0\t20.0\t"), "line 11: expected position 5"),
        (TRANSFAC.replace("//\n", ""), "the entry from line 1 does not end with //"),
        (TRANSFAC.replace("\tT\n", "\tU\n"), "line 6: expected one line P0"),
        (TRANSFAC.replace("AC MA0056.1\n", "").replace("ID MZF1\n", ""), "a matrix without AC or ID"),
        (TRANSFAC + TRANSFAC, "motif MA0056.1 occurs twice"),
        ("# only a comment\n", "TRANSFAC motifs, the file is empty"),
        (" 2  9  0\n 1 33 45\n", "put a line >NAME before each matrix"),
        ("A | 9 1 1\n", "put a line >NAME before each matrix"),
        ("<?xml version='1.0'?>\n", "give the one in text"),
        (MEME.replace("ALPHABET= ACGT", DNA_BLOCK.replace("END ALPHABET\n", "")), "line 3: ALPHABET neither names"),
        (MEME.replace("ALPHABET= ACGT", DNA_BLOCK.replace('A "', 'm "')), "line 3: alphabet mTCG; only DNA and RNA"),
        (MEME.replace("ALPHABET= ACGT", "ALPHABET=ACDEFGHIKLMNPQRSTVWY"), "line 3: alphabet ACDEF"),
        (MEME.replace("= ACGT", "= AGCT"), "line 3: alphabet AGCT; put the columns in the order ACGT"),
        (MEME.replace("= ACGT", " ugca"), "line 3: alphabet UGCA; put the columns in the order ACGT"),
        (MEME + "0.1 0.1 0.1 0.7\n", "line 9: motif 1-TGAC has more rows than its w= 2"),
        (MEME.replace("w= 2", "w= 1"), "line 8: motif 1-TGAC has more rows than its w= 1"),
        (MEME + "0.1 0.1 0.1\n", "line 9: motif 1-TGAC has more rows than its w= 2"),
    ],
)
def test_what_may_be_read_in_two_ways_or_none_is_refused(read, text, says):
    with pytest.raises(BadData, match=says) as refused:
        read(text)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    "alphabet", ["ALPHABET=ACGT", "ALPHABET = ACGT  ", "alphabet= acgt", "ALPHABET ACGT", DNA_BLOCK]
)
def test_alphabets_of_dna(read, alphabet):
    (motif,) = read("# STREME\n\n" + MEME.replace("ALPHABET= ACGT", alphabet))
    assert (motif.motif_id, motif.tf, motif.rna) == ("1-TGAC", "STREME-1", False)
    np.testing.assert_allclose(motif.counts, [[2, 4, 6, 8], [14, 2, 2, 2]])


@pytest.mark.parametrize("alphabet", ["ALPHABET=ACGU", RNA_BLOCK])
def test_alphabets_of_rna(read, alphabet):
    (motif,) = read(MEME.replace("ALPHABET= ACGT", alphabet))
    assert motif.rna
    np.testing.assert_allclose(motif.counts, [[2, 4, 6, 8], [14, 2, 2, 2]])


def test_motif_before_an_alphabet_keeps_that_of_its_file(read):
    """Files of DNA and RNA put one after the other."""
    dna, rna = read(MEME + MEME.replace("ACGT", "ACGU").replace("1-TGAC", "2-TGAC"))
    assert (dna.rna, rna.rna) == (False, True)


def test_names_and_frame_of_the_output_of_meme(read):
    """MEME's text output has the version in a frame, and what it states of a motif behind its names."""
    stars = "*" * 80
    head = f"{stars}\nMEME - Motif discovery tool\n{stars}\n{MEME}"
    stated = "MOTIF 1-TGAC MEME-1\twidth =   2  sites =  20  llr = 140   E-value = 1.1e-022"
    (motif,) = read(head.replace("MOTIF 1-TGAC STREME-1", stated))
    assert (motif.motif_id, motif.tf) == ("1-TGAC", "MEME-1")
    (old,) = read(head.replace("MOTIF 1-TGAC STREME-1", "MOTIF  1\twidth =   2   sites =  20   E-value = 1.1e-022"))
    assert (old.motif_id, old.tf) == ("1", "1")
    assert read(MEME.replace("STREME-1", "Arnt (var 2)"))[0].tf == "Arnt (var 2)"
