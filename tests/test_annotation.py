"""Reading GTF and GFF3: the dialects, and what comes of introns in odd annotations."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brute_annotation
from intronaut.genome.annotation import chrom_order, distinct_introns, read_annotation, transcript_introns

GTF = "chr1\ts\t{}\t{}\t{}\t.\t{}\t.\t{}\n"


def read(tmp_path, text, name="a.gtf"):
    path = tmp_path / name
    path.write_text(text)
    return read_annotation(path)


def places(annotation):
    introns, _ = distinct_introns(annotation)
    return list(zip(introns["start"], introns["end"], introns["strand"], strict=True))


DIALECTS = {
    "ensembl": 'gene_id "G1"; gene_version "2"; transcript_id "T1"; exon_number "1"; gene_name "ABC"; '
    'transcript_biotype "retained_intron"; tag "basic";',
    "gencode": 'gene_id "G1"; transcript_id "T1"; gene_type "protein_coding"; gene_name "ABC"; '
    'transcript_type "retained_intron"; level 2;',
    "unquoted": "gene_id G1; transcript_id T1; gene_name ABC; transcript_biotype retained_intron",
    "ncbi": 'gene_id "G1"; transcript_id "T1"; db_xref "GeneID:1"; gbkey "mRNA"; gene "ABC"; '
    'transcript_biotype "retained_intron"; ',
    "other order": 'transcript_id "T1"; ref_gene_name "no"; gene_name "ABC"; transcript_type "retained_intron"; '
    'old_gene_id "X"; gene_id "G1"',
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_gtf_dialects(tmp_path, dialect):
    text = "".join(GTF.format("exon", *span, "+", DIALECTS[dialect]) for span in ((1, 10), (21, 30)))
    annotation = read(tmp_path, text)
    assert annotation.genes.iloc[0].tolist() == ["G1", "ABC", "chr1", "+", 0, 30]
    assert annotation.transcripts.iloc[0].tolist() == ["T1", 0, "chr1", "+", 0, 30, True]
    assert places(annotation) == [(10, 20, "+")]


def test_biotype_on_the_transcript_line_or_in_the_old_source_column(tmp_path):
    exon = GTF.format("exon", 1, 10, "+", 'gene_id "G"; transcript_id "T";')
    about = 'gene_id "G"; transcript_id "T"; transcript_type "retained_intron";'
    transcript = GTF.format("transcript", 1, 10, "+", about)
    for text in (exon + transcript, transcript + exon, exon.replace("\ts\t", "\tretained_intron\t")):
        assert read(tmp_path, text).transcripts["retained"].tolist() == [True]


GFF3 = "##gff-version 3\n{}###\n##FASTA\n>chr1\nACGT\n"
HIERARCHIES = {
    "ensembl": "gene gene:G1 - ID=gene:G1;Name=ABC;gene_id=G1|lnc_RNA transcript:T1 - ID=transcript:T1;Parent=gene:G1;"
    "biotype=retained_intron;transcript_id=T1|exon - - Parent=transcript:T1|exon2 - - Parent=transcript:T1",
    "gencode": "gene G1 - ID=G1;gene_id=G1;gene_name=ABC|transcript T1 - ID=T1;Parent=G1;gene_id=G1;transcript_id=T1;"
    "transcript_type=retained_intron;gene_name=ABC|exon - - ID=e1;Parent=T1;gene_id=G1|exon2 - - ID=e2;Parent=T1",
    "ncbi": "gene gene-G1 - ID=gene-G1;Name=ABC;gbkey=Gene;gene=ABC|transcript rna-T1 - ID=rna-T1;Parent=gene-G1;"
    "biotype=retained_intron|exon - - ID=e;Parent=rna-T1|exon2 - - ID=e2;Parent=rna-T1",
    "children first": "exon - - Parent=T1|exon2 - - Parent=T1|mRNA T1 - ID=T1;Parent=G1;biotype=retained_intron|"
    "gene G1 - ID=G1;Name=ABC",
    "escaped": "gene G1 - ID=G1;Name=A%42C|mRNA T1 - ID=T1;Parent=G1;biotype=retained_intron|exon - - Parent=T1|"
    "exon2 - - Parent=T1",
}  # fmt: skip


@pytest.mark.parametrize("hierarchy", HIERARCHIES)
def test_gff3_hierarchies(tmp_path, hierarchy):
    spans = {"exon": (1, 10), "exon2": (21, 30)}
    lines = []
    for feature in HIERARCHIES[hierarchy].split("|"):
        kind, _, _, attributes = feature.split(" ", 3)
        lines.append(GTF.format(kind.rstrip("2"), *spans.get(kind, (1, 30)), "-", attributes))
    annotation = read(tmp_path, GFF3.format("".join(lines)), "a.gff3")
    assert annotation.genes.iloc[0].tolist() == ["G1", "ABC", "chr1", "-", 0, 30]
    assert annotation.transcripts.iloc[0].tolist() == ["T1", 0, "chr1", "-", 0, 30, True]
    assert places(annotation) == [(10, 20, "-")]


def test_exon_of_two_transcripts_and_exon_under_a_gene(tmp_path):
    text = (
        "chr1\ts\tmRNA\t1\t30\t.\t+\t.\tID=T1;Parent=G\nchr1\ts\tmRNA\t1\t30\t.\t+\t.\tID=T2;Parent=G\n"
        "chr1\ts\tgene\t1\t30\t.\t+\t.\tID=G\nchr1\ts\texon\t1\t10\t.\t+\t.\tParent=T1,T2\n"
        "chr1\ts\texon\t21\t30\t.\t+\t.\tParent=T1\nchr1\ts\texon\t26\t30\t.\t+\t.\tParent=T2\n"
        "chr1\ts\tpseudogene\t100\t200\t.\t+\t.\tID=P\nchr1\ts\texon\t100\t120\t.\t+\t.\tParent=P\n"
        "chr1\ts\texon\t150\t200\t.\t+\t.\tParent=P\n"
    )
    assert places(read(tmp_path, text)) == [(10, 20, "+"), (10, 25, "+"), (120, 149, "+")]


def test_exons_that_overlap_or_touch_leave_no_intron(tmp_path):
    about = 'gene_id "G"; transcript_id "T";'
    spans = [(1, 10), (11, 20), (15, 40), (18, 19), (41, 50), (52, 60), (1, 10)]
    annotation = read(tmp_path, "".join(GTF.format("exon", *span, "+", about) for span in spans))
    assert places(annotation) == [(50, 51, "+")]


def test_transcript_on_two_chromosomes_is_two_transcripts(tmp_path):
    """GENCODE names a gene of the pseudo-autosomal region alike on X and Y."""
    about = 'gene_id "G"; transcript_id "T";'
    text = "".join(GTF.format("exon", *span, "+", about) for span in ((1, 10), (21, 30)))
    annotation = read(tmp_path, text + text.replace("chr1", "chrY"))
    assert len(annotation.transcripts) == len(annotation.genes) == len(distinct_introns(annotation)[0]) == 2


def test_intron_of_two_genes_names_both(tmp_path):
    lines = [
        GTF.format("exon", *span, "+", f'gene_id "{gene}"; transcript_id "{gene}T";')
        for gene in "BA"
        for span in ((1, 10), (21, 30))
    ]
    introns, genes = distinct_introns(read(tmp_path, "".join(lines)))
    assert introns["gene_id"].tolist() == ["A,B"] and len(genes) == 2


def test_chromosomes_stand_in_the_order_of_their_numbers():
    names = np.array(["chrX", "chr10", "chr2", "10", "2", "MT", "chr1", "chr1_KI1"], object)
    order = list(names[np.argsort(chrom_order(names))])
    assert order == ["2", "10", "MT", "chr1", "chr1_KI1", "chr2", "chr10", "chrX"]


EXONS = st.lists(st.tuples(st.integers(1, 80), st.integers(0, 12)), min_size=1, max_size=7)
TRANSCRIPTS = st.lists(st.tuples(st.sampled_from("ABC"), st.booleans(), EXONS), min_size=1, max_size=8)
STRANDS = {"A": "+", "B": "-", "C": "+"}


def gtf_of(transcripts):
    return [
        GTF.format(
            "exon",
            start,
            start + width,
            STRANDS[gene],
            f'gene_id "{gene}"; transcript_id "{gene}{number}"; '
            f'transcript_biotype "{"retained_intron" if retained else "protein_coding"}";',
        )  # fmt: skip
        for number, (gene, retained, exons) in enumerate(transcripts)
        for start, width in exons
    ]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(TRANSCRIPTS, st.randoms(use_true_random=False))
def test_any_annotation_agrees_with_brute_force_in_any_order_of_lines(tmp_path_factory, transcripts, random):
    from intronaut.labels.annotation import label_by_annotation

    folder = tmp_path_factory.mktemp("gtf")
    lines = gtf_of(transcripts)
    tables = []
    for _ in range(2):
        with gzip.open(folder / "a.gtf.gz", "wt") as out:
            out.writelines(lines)
        annotation = read_annotation(folder / "a.gtf.gz")
        introns, genes = distinct_introns(annotation)
        introns["label"] = label_by_annotation(annotation, introns, genes, "retained_intron")[0]
        introns["any"] = label_by_annotation(annotation, introns, genes, "any-exon")[0]
        tables.append(introns)
        random.shuffle(lines)
    pd.testing.assert_frame_equal(*tables)
    expected = brute_annotation.label_introns(brute_annotation.read_exons(folder / "a.gtf.gz"))
    assert len(tables[0]) == len(expected)
    for row in tables[0].itertuples():
        wanted = expected["chr1", row.start, row.end, row.strand]
        assert (None if np.isnan(row.label) else row.label) == wanted["label"]
        assert row.any == wanted["any"] and row.gene_id == ",".join(sorted(wanted["genes"]))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(TRANSCRIPTS)
def test_mirrored_annotation_has_the_mirrored_introns(tmp_path_factory, transcripts):
    """Seen from the other end of the chromosome, with strands swapped, every rank and distance stays the same."""
    folder, end = tmp_path_factory.mktemp("gtf"), 200
    lines = gtf_of(transcripts)
    mirrored = []
    for line in lines:
        fields = line.split("\t")
        fields[3:5] = str(end - int(fields[4])), str(end - int(fields[3]))
        fields[6] = "-" if fields[6] == "+" else "+"
        mirrored.append("\t".join(fields))
    found = []
    for text in (lines, mirrored):
        (folder / "a.gtf").write_text("".join(text))
        annotation = read_annotation(folder / "a.gtf")
        introns = transcript_introns(annotation)
        names = annotation.transcripts["transcript_id"].iloc[introns["transcript"]].to_numpy()
        found.append(introns.assign(name=names))
    found[1]["start"], found[1]["end"] = end - 1 - found[1]["end"], end - 1 - found[1]["start"]
    columns = ["name", "start", "end", "rank", "n_introns", "dist_tss", "dist_tes"]
    one, two = (table[columns].sort_values(columns, ignore_index=True) for table in found)
    pd.testing.assert_frame_equal(one, two)
