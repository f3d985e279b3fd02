"""What staying does to the protein: by translating transcripts with Biopython, and by hand."""

import pytest
from Bio.Seq import Seq

import label_introns
from conftest import DEMO
from intronaut.core.dna import reverse_complement
from intronaut.genome.reference import Genome
from intronaut.io.tables import read_table
from intronaut.labels.consequence import Coding, consequence, in_words, read_coding_spans

EXON = "GCC" * 10  # codes for alanine in every frame it is met in here


def gene(intron, exons):
    """A plus-strand transcript ATG…TAA of exons of 30 bases with copies of an intron: (sequence, exons)."""
    parts, places, at = [], [], 0
    for number in range(exons):
        text = EXON if 0 < number < exons - 1 else ("ATG" + EXON[3:] if number == 0 else EXON[3:] + "TAA")
        parts.append(text)
        places.append((at, at + 30))
        at += 30
        if number < exons - 1:
            parts.append(intron)
            at += len(intron)
    return "".join(parts), places


@pytest.mark.parametrize("minus", [False, True])
@pytest.mark.parametrize(
    ("intron", "exons", "kept", "wanted"),
    [
        ("GTC" * 10 + "CAG", 3, 0, ("cds", 0, 0, 0)),  # in frame, without a stop
        ("GTC" + "TAG" + "CCC" * 5 + "AG", 3, 0, ("cds", 2, 1, 0)),  # a stop, but the last junction is near
        ("GTC" + "TAG" + "CCC" * 8 + "CAG", 6, 0, ("cds", 0, 1, 1)),  # a stop far before the last junction
        ("GTC" + "TAG" + "CCC" * 8 + "CAG", 6, 4, ("cds", 0, 1, 0)),  # the last intron: no junction behind it
        ("GTCC" * 7, 3, 1, ("cds", 1, 0, 0)),  # shifted, no stop is met
    ],
)
def test_consequences_by_hand(minus, intron, exons, kept, wanted):
    sequence, places = gene(intron, exons)
    start, end = places[kept][1], places[kept + 1][0]
    if minus:
        n = len(sequence)
        sequence, places = reverse_complement(sequence), [(n - right, n - left) for left, right in places][::-1]
        start, end = n - end, n - start
    coding = Coding("c", minus, places, places[0][0], places[-1][1])
    assert consequence(coding, start, end, lambda left, right: sequence[left:right]) == wanted


def test_introns_of_untranslated_parts():
    coding = Coding("c", False, [(0, 10), (20, 50), (60, 90), (95, 99)], 25, 85)
    assert consequence(coding, 10, 20, None)[0] == "utr5" and consequence(coding, 90, 95, None)[0] == "utr3"
    coding.minus = True
    assert consequence(coding, 10, 20, None)[0] == "utr3" and consequence(coding, 90, 95, None)[0] == "utr5"


def test_labels_agree_with_translating_the_demo(tmp_path, monkeypatch):
    """Every tenth coding intron of the demo, put into its transcript and translated by Biopython."""
    monkeypatch.chdir(tmp_path)
    label_introns.main([str(DEMO / "chr19_6Mb.gff3.gz"), "--fasta", str(DEMO / "chr19_6Mb.fa.gz"), "--quiet"])
    table = read_table("labels.tsv")
    assert set(table["region"]) == {"utr5", "cds", "utr3", "noncoding"}
    coding = table[table["region"] == "cds"]
    assert len(coding) > 1000 and (table.loc[table["region"] != "cds", "frame"].isna()).all()
    assert 0.8 < (coding["premature_stop"] == "1").mean() < 1 and 0.4 < (coding["nmd"] == "1").mean() < 0.95
    spans, exons = read_coding_spans(DEMO / "chr19_6Mb.gff3.gz"), exons_of(DEMO / "chr19_6Mb.gff3.gz")
    checked = 0
    with Genome(DEMO / "chr19_6Mb.fa.gz") as genome:
        for row in coding.iloc[::25].itertuples():
            start, end = int(row.start), int(row.end)
            own = [name for name, places in exons.items() if spans.get(name) and splices(places, start, end)]
            name = min(own, key=lambda one: (-len(exons[one]), exons[one][0][0] - exons[one][-1][1], one))
            protein, natural = translated(genome, exons[name], spans[name], start, end, row.strand)
            assert (len(protein) < natural) == (row.premature_stop == "1"), (row.name, name)
            assert int(row.frame) == (end - start) % 3
            checked += 1
    assert checked > 40


def exons_of(path):
    import gzip
    import re

    found = {}
    with gzip.open(path, "rt") as handle:
        for line in handle:
            fields = line.rstrip("\n").split("\t")
            if len(fields) == 9 and fields[2] == "exon":
                name = re.search(r"Parent=transcript:([^;]+)", fields[8])[1]
                found.setdefault(name, []).append((int(fields[3]) - 1, int(fields[4])))
    return {name: sorted(places) for name, places in found.items()}


def splices(places, start, end):
    return any(left[1] == start and right[0] == end for left, right in zip(places, places[1:], strict=False))


def translated(genome, places, span, start, end, strand):
    """The protein with the intron kept, and how many codons it has up to the transcript's own stop."""
    kept = sorted([*places, (start, end)])
    text = "".join(genome.fetch("19", left, right) for left, right in kept)
    before = sum(max(min(right, span[0]) - left, 0) for left, right in kept)
    behind = sum(max(right - max(left, span[1]), 0) for left, right in kept)
    text = text if strand == "+" else reverse_complement(text)
    utr5 = before if strand == "+" else behind
    coding = sum(max(min(right, span[1]) - max(left, span[0]), 0) for left, right in kept)
    message = text[utr5:]
    protein = str(Seq(message[: len(message) // 3 * 3]).translate(to_stop=True))
    # GFF3 counts the stop codon in
    return protein + "*", (coding - 1) // 3 + 1


def test_gtf_and_gff3_say_the_same(tmp_path):
    (tmp_path / "a.gtf").write_text(
        'c\tx\tCDS\t11\t20\t.\t+\t0\tgene_id "g"; transcript_id "t";\nc\tx\tCDS\t31\t40\t.\t+\t0\ttranscript_id "t";\n'
    )
    lines = "c\tx\tCDS\t11\t20\t.\t+\t0\tParent=transcript:t\n", "c\tx\tCDS\t31\t40\t.\t+\t0\tID=x;Parent=rna-t\n"
    (tmp_path / "a.gff3").write_text("".join(lines))
    for name in ("a.gtf", "a.gff3"):
        assert read_coding_spans(tmp_path / name) == {"t": (10, 40)}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("utr5", "NA", "NA", "NA"), "it lies in the 5′ UTR, the coding part stays as it is"),
        (("noncoding", None, None, None), "no coding transcript splices it"),
        (("cds", "1", "1", "1"), "the protein ends early, so that the messenger is expected to decay (rule of 50 nt "
         "before the last exon junction)"),
        (("cds", 2, 1, 0), "the protein ends early, too late for decay (rule of 50 nt before the last exon junction)"),
        (("cds", 0, 0, 0), "the protein is longer, in the same frame"),
        (("cds", "2", "0", "0"), "the frame moves, without an early stop"),
        ((None, None, None, None), None),
    ],
)  # fmt: skip
def test_consequences_in_words(values, words):
    assert in_words(*(None if value == "NA" else value for value in values)) == words
