"""Annotations as programs write them: a gene with exons 101–200, 401–500 and 801–900 has two introns."""

import pytest

from intronaut.core.errors import BadData
from intronaut.genome.annotation import distinct_introns, doubtful_introns, read_annotation
from intronaut.labels.annotation import label_by_annotation
from intronaut.labels.consequence import read_coding_spans

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


def two_transcripts(spliced, retained, of_exon="Parent={}", exons_first=False):
    """GFF3 lines of T1, that splices 201–400, and of T2 of biotype retained_intron, with these attributes."""
    text = ""
    for name, about, spans in (("T1", spliced, [(101, 200), (401, 900)]), ("T2", retained, [(151, 850)])):
        own = [("transcript", spans[0][0], spans[-1][1], about)]
        parts = [("exon", *span, of_exon.replace("{}", name)) for span in spans]
        text += lines("x", parts + own if exons_first else own + parts)
    return GFF3 + text


RETAINED = ";transcript_biotype=retained_intron"
FLAT = "gene_id=G;gene_name=a%3Bb;transcript_id={}"
# text without a line of the gene: identifier and symbol of the gene that both transcripts are of
WITHOUT_GENE_LINE = {
    # gffread 0.12.7 -F of a GTF of Ensembl, and of RefSeq's GFF3
    "gffread": (
        two_transcripts("ID=T1;geneID=G;gene_name=a", f"ID=T2;geneID=G;gene_name=a{RETAINED}"), ("G", "a"),
    ),
    "gffread of RefSeq": (
        two_transcripts(
            "ID=rna-T1;geneID=gene-A;gene_name=A;Name=T1;gene=A;transcript_id=T1",
            f"ID=rna-T2;geneID=gene-A;gene_name=A;Name=T2;gene=A;transcript_id=T2{RETAINED}",
            "Parent=rna-{}",
        ), ("A", "A"),
    ),
    "gffread, the gene on exons": (
        two_transcripts("ID=T1", f"ID=T2{RETAINED}", "Parent={};geneID=G;cov=1.5"), ("G", None),
    ),
    "the same, exons first": (
        two_transcripts("ID=T1", f"ID=T2{RETAINED}", "Parent={};gene_id=G", exons_first=True), ("G", None),
    ),
    "lines of genes left out": (
        two_transcripts("ID=T1;Parent=gene:G;Name=x", f"ID=T2;Parent=gene:G;Name=y{RETAINED}"), ("G", None),
    ),
    "locus_tag": (
        two_transcripts("ID=T1;locus_tag=L_1;gene=a", f"ID=T2;locus_tag=L_1;gene=a{RETAINED}"), ("L_1", "a"),
    ),
    "rtracklayer": (
        two_transcripts(FLAT.format("T1"), FLAT.format("T2") + RETAINED, FLAT + ";exon_number=1"), ("G", "a;b"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("program", WITHOUT_GENE_LINE)
def test_transcripts_without_a_line_of_their_gene_are_of_one_gene(program, tmp_path):
    text, gene = WITHOUT_GENE_LINE[program]
    (tmp_path / "annotation").write_text(text)
    annotation = read_annotation(tmp_path / "annotation")
    assert annotation.genes[["gene_id", "gene_name"]].to_numpy().tolist() == [list(gene)]
    assert annotation.transcripts["transcript_id"].tolist() == ["T1", "T2"] and annotation.left_out == {}
    introns, genes = distinct_introns(annotation)
    assert introns[["start", "end"]].to_numpy().tolist() == [[200, 400]]
    assert label_by_annotation(annotation, introns, genes, "retained_intron")[0].tolist() == [1]


def test_transcripts_that_all_lack_a_gene_are_counted(tmp_path):
    (tmp_path / "annotation").write_text(two_transcripts("ID=T1", f"ID=T2{RETAINED}"))
    annotation = read_annotation(tmp_path / "annotation")
    assert annotation.genes["gene_id"].tolist() == ["T1", "T2"]
    assert annotation.left_out == {"transcripts_without_gene": 2}


def test_parent_may_not_follow_exons_that_have_transcript_id_instead(tmp_path):
    flat = lines("x", [("exon", 101, 200, FLAT.format("T1"))])
    # in one block of lines the exon is the one at fault, in a later one the line with Parent
    for between, says in (("", "line 2: exon without Parent"), ("#\n" * 10**6, "line 1000003: has Parent, but")):
        (tmp_path / "annotation").write_text(GFF3 + flat + between + lines("x", [("exon", 401, 900, "Parent=T1")]))
        with pytest.raises(BadData, match=says):
            read_annotation(tmp_path / "annotation")


CODING = {
    "rtracklayer": lines("x", [("CDS", 151, 200, FLAT.format("T1")), ("CDS", 401, 450, FLAT.format("T1"))]),
    "WormBase": lines("x", [("CDS", 151, 200, "Parent=Transcript:T1"), ("CDS", 401, 450, "Parent=Transcript:T1")]),
    "AGAT": lines("x", [("mRNA", 1, 9, "ID=agat-rna-1;transcript_id=T1"), ("CDS", 151, 450, "Parent=agat-rna-1")]),
    "two loci": lines(
        "x",
        [("mRNA", 151, 450, "ID=rna-T1;transcript_id=T1"), ("CDS", 151, 450, "Parent=rna-T1")]
        + [("mRNA", 951, 990, "ID=rna-T1-2;transcript_id=T1"), ("CDS", 951, 990, "Parent=rna-T1-2")],
    ),
}


@pytest.mark.parametrize("program", CODING)
def test_coding_parts_are_of_the_transcripts_of_the_annotation(program, tmp_path):
    (tmp_path / "annotation").write_text(GFF3 + CODING[program])
    assert read_coding_spans(tmp_path / "annotation")["T1"] == (150, 450)
