"""Annotations as programs write them: a gene with exons 101–200, 401–500 and 801–900 has two introns."""

import pytest

from intronaut.core.errors import BadData
from intronaut.genome.annotation import distinct_introns, doubtful_introns, read_annotation

PARTS = [(101, 200), (401, 500), (801, 900)]
INTRONS = {(200, 400), (500, 800)}
GFF3 = "##gff-version 3\n"


def lines(source, rows, strand="+"):
    return "".join(
        f"chr1\t{source}\t{kind}\t{start}\t{end}\t.\t{strand}\t.\t{about}\n" for kind, start, end, about in rows
    )


def parts(kind, about):
    """The three parts; ``{}`` in the attributes is the number of the part."""
    return [(kind, *span, about.replace("{}", str(number))) for number, span in enumerate(PARTS, 1)]


def gene(kind, gene, transcript):
    """The lines of a gene and its transcript."""
    return [("gene", 101, 900, gene), (kind, 101, 900, transcript)]


TWO = {
    "TAIR": GFF3
    + lines(
        "TAIR10",
        gene("mRNA", "ID=AT1G1;Note=protein_coding_gene", "ID=AT1G1.1;Parent=AT1G1;Index=1")
        + [("protein", 150, 850, "ID=AT1G1.1-Protein;Name=AT1G1.1;Derives_from=AT1G1.1")]
        + parts("exon", "Parent=AT1G1.1")
        + parts("CDS", "Parent=AT1G1.1,AT1G1.1-Protein;"),
    ),
    "FlyBase GFF3": GFF3
    + lines(
        "FlyBase",
        gene("mRNA", "ID=FBgn1;Name=a", "ID=FBtr1;Parent=FBgn1")
        + [("mRNA", 101, 900, "ID=FBtr2;Parent=FBgn1"), ("intron", 201, 400, "Parent=FBtr1")]
        + parts("exon", "Name=a:{};Parent=FBtr1,FBtr2"),
    )
    + "##FASTA\n>chr1\nACGT\n",
    "FlyBase GTF": lines(
        "FlyBase",
        gene("mRNA", 'gene_id "FBgn1"; gene_symbol "a";', 'gene_id "FBgn1"; transcript_id "FBtr1";')
        + parts("exon", 'gene_id "FBgn1"; gene_symbol "a"; transcript_id "FBtr1"; transcript_symbol "a-RA";')
        + [("5UTR", 101, 150, 'gene_id "FBgn1"; transcript_id "FBtr1";')],
    ),
    "WormBase": GFF3
    + lines(
        "WormBase",
        gene("mRNA", "ID=Gene:WBGene1", "ID=Transcript:Y1.1;Parent=Gene:WBGene1")
        + parts("exon", "Parent=Transcript:Y1.1")
        + [("intron", 201, 400, "Parent=Transcript:Y1.1;confirmed_cDNA=x"), ("intron", 201, 300, ".")],
    ),
    "StringTie": "# stringtie -o x\n# StringTie version 2.2.1\n"
    + lines(
        "StringTie",
        [("transcript", 101, 900, 'gene_id "MSTRG.1"; transcript_id "MSTRG.1.1"; ')]
        + parts("exon", 'gene_id "MSTRG.1"; transcript_id "MSTRG.1.1"; exon_number "{}"; cov "1.5";'),
    ),
    "TALON": lines(
        "TALON",
        gene("transcript", 'gene_id "G1"; gene_status "NOVEL";', 'gene_id "G1"; transcript_id "T1"; NIC "TRUE";')
        + parts("exon", 'gene_id "G1"; transcript_id "T1"; exon_number "{}"; exon_id "E{}";'),
    ),
    "IsoQuant": "# IsoQuant\n"
    + lines(
        "IsoQuant",
        gene(
            "transcript",
            'gene_id "novel_1"; transcripts "1";',
            'gene_id "novel_1"; transcript_id "t1.nnic"; exons "3";',
        )
        + parts("exon", 'gene_id "novel_1"; transcript_id "t1.nnic"; exon "{}"; exon_id "chr1.{}";')[::-1],
        strand="-",
    ),
    "FLAIR": lines("FLAIR", parts("exon", 'gene_id "chr1:0"; transcript_id "HISEQ:1:2"; exon_number "{}";')),
    "SQANTI3": lines(
        "PacBio",
        [("transcript", 900, 101, 'transcript_id "PB.1.1"; gene_id "PB.1"')]
        + parts("exon", 'transcript_id "PB.1.1"; gene_id "PB.1";'),
    ),
    "AUGUSTUS GFF3": GFF3
    + lines(
        "AUGUSTUS",
        gene("transcript", "ID=g1", "ID=g1.t1;Parent=g1")
        + [("start_codon", 101, 103, "Parent=g1.t1"), ("intron", 201, 400, "Parent=g1.t1")]
        + parts("CDS", "ID=g1.t1.cds;Parent=g1.t1"),
    )
    + "###\n# protein sequence = [MA\n# MB]\n",
    "BRAKER GTF": lines(
        "AUGUSTUS", gene("transcript", "g1", "g1.t1") + parts("CDS", 'transcript_id "g1.t1"; gene_id "g1";')
    ),
    "MAKER": GFF3
    + lines(
        "maker",
        gene("mRNA", "ID=m-gene-0.1", "ID=m1;Parent=m-gene-0.1;_QI=0|0|1|3|0|100")
        + parts("exon", "ID=m1:exon;Parent=m1")
        + [("protein_match", 101, 900, "ID=p1"), ("match_part", 101, 200, "ID=p1:1;Parent=p1")],
    ),
    "TransDecoder": GFF3
    + "\n"
    + lines(
        "transdecoder",
        gene("mRNA", "ID=M.1^chr1^+;Name=ORF%20type%3Acomplete", "ID=M.1.1.p1;Parent=M.1^chr1^+")
        + parts("exon", "ID=M.1.1.p1.exon{};Parent=M.1.1.p1"),
    )
    + "\n\n",
    "Liftoff": "# Liftoff v1.6.3\n"
    + GFF3
    + lines(
        "Liftoff",
        gene("mRNA", "ID=gene-A;extra_copy_number=0", "ID=rna-A;Parent=gene-A;matches_ref_protein=True")
        + parts("exon", "ID=exon-A-{};Parent=rna-A"),
    ),
    "RefSeq GTF": "#gtf-version 2.2\n"
    + lines(
        "BestRefSeq",
        gene("transcript", 'gene_id "A"; transcript_id "";', 'gene_id "A"; transcript_id "NM_1.1";')
        + parts("exon", 'gene_id "A"; transcript_id "NM_1.1"; note "a; b"; exon_number "{}";'),
    ),
    "RefSeq GFF3": GFF3
    + lines(
        "BestRefSeq",
        [("region", 1, 2000, "ID=chr1:1..2000")]
        + gene("mRNA", "ID=gene-A", "ID=rna-NM_1.1;Parent=gene-A")
        + parts("exon", "ID=exon-NM_1.1-{};Parent=rna-NM_1.1")
        + [("cDNA_match", 101, 900, "ID=c1;Target=NM_1 1 2 +")],
    ),
    "JGI": GFF3
    + lines(
        "JGI",
        gene("mRNA", "ID=g", "ID=m;Parent=g;longest=1")
        + parts("CDS", "ID=m.CDS.{};Parent=m;pacid=1")
        + [("five_prime_UTR", 91, 100, "ID=u;Parent=m")],
    ),
    "Cufflinks": lines(
        "Cufflinks", parts("exon", 'gene_id "X1"; transcript_id "T1"; exon_number "{}"; class_code "u";')
    ),
    "TAMA": lines("PBRI", parts("exon", 'gene_id "G1"; transcript_id "G1.1"; gene_id "G1";')),
    "single quotes": lines("x", parts("exon", "gene_id 'A'; transcript_id 'T';")),
    "Windows, with a byte-order mark": "\ufeff"
    + lines("x", parts("exon", 'gene_id "A"; transcript_id "T";')).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("dialect", TWO)
def test_the_two_introns_of_every_dialect(dialect, tmp_path):
    path = tmp_path / "annotation"
    path.write_bytes(TWO[dialect].encode())
    annotation = read_annotation(path)
    introns, genes = distinct_introns(annotation)
    assert set(introns[["start", "end"]].itertuples(index=False, name=None)) == INTRONS
    assert len(genes) == 2 and doubtful_introns(annotation).empty


PROKKA = GFF3 + lines("Prodigal:2.6", [("CDS", 101, 900, "ID=L_1;locus_tag=L_1"), ("tRNA", 950, 990, "ID=L_2")])
REFUSED = {
    "Prokka": (PROKKA, "1 without Parent, as of bacteria, whose genes have no introns"),
    "BED12": ("chr1\t100\t900\tT\t0\t+\t100\t900\t0\t3\t100,100,100\t0,300,700\n", "bedToGenePred"),
    "genePred": ("T\tchr1\t+\t100\t900\t100\t900\t3\t100,400,800,\t200,500,900,\n", "genePredToGtf"),
}


@pytest.mark.parametrize("dialect", REFUSED)
def test_what_tells_no_introns_is_refused_with_what_to_do(dialect, tmp_path):
    text, says = REFUSED[dialect]
    (tmp_path / "annotation").write_text(text)
    with pytest.raises(BadData, match=says):
        read_annotation(tmp_path / "annotation")
