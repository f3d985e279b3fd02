"""Reading GTF and GFF3: the dialects, and what comes of introns in odd annotations."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brute_annotation
from intronaut.genome.annotation import (
    chrom_order,
    distinct_introns,
    doubtful_introns,
    read_annotation,
    transcript_introns,
)

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


@pytest.mark.slow
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


@pytest.mark.slow
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


def exon_lines(about, *spans, kind="exon", strand="+"):
    return "".join(GTF.format(kind, *span, strand, about) for span in spans)


def test_exons_of_one_transcript_name_in_two_genes_are_not_joined(tmp_path):
    """NCBI names all transcripts of tRNA genes unknown_transcript_1; gene_id may stand before it or behind."""
    lines = [f'gene_id "{gene}"; transcript_id "unknown_transcript_1";' for gene in "AB"]
    lines += [f'transcript_id "unknown_transcript_1"; gene_id "{gene}";' for gene in "CD"]
    text = "".join(
        exon_lines(about, (start, start + 9)) for about, start in zip(lines, (1, 101, 201, 301), strict=True)
    )
    assert places(read(tmp_path, text)) == []


def test_copies_of_a_transcript_at_two_loci_are_told_apart_by_their_lines(tmp_path):
    about = 'gene_id "G"; transcript_id "T";'
    lines = exon_lines(about, (1, 30), (1001, 1040), kind="transcript")
    exons = exon_lines(about, (1, 10), (21, 30), (1001, 1010), (1021, 1040))
    for text in (lines + exons, exons + lines):
        annotation = read(tmp_path, text)
        assert places(annotation) == [(10, 20, "+"), (1010, 1020, "+")]
        assert annotation.transcripts["transcript_id"].tolist() == ["T", "T"]


def test_overlapping_copies_keep_the_introns_of_both(tmp_path):
    """StringTie may write one transcript twice; merged, the exons of one hide the introns of the other."""
    about = 'gene_id "G"; transcript_id "T";'
    text = exon_lines(about, (1, 90), kind="transcript") + exon_lines(about, (1, 10), (41, 50), (81, 90))
    text += exon_lines(about, (5, 95), kind="transcript") + exon_lines(about, (5, 45), (60, 95))
    assert places(read(tmp_path, text)) == [(10, 40, "+"), (45, 59, "+"), (50, 80, "+")]


def test_copies_without_transcript_lines_are_told_apart_by_exon_number(tmp_path):
    numbered = 'gene_id "G"; transcript_id "T"; exon_number "{}";'
    text = "".join(
        exon_lines(numbered.format(i + 1), (start + 20 * i, start + 20 * i + 9)) for start in (1, 1001) for i in (0, 1)
    )
    assert places(read(tmp_path, text)) == [(10, 20, "+"), (1010, 1020, "+")]


def test_uneven_exon_numbers_put_the_gaps_into_the_ledger(tmp_path):
    numbered = 'gene_id "G"; transcript_id "T"; exon_number "{}";'
    spans = {(1, 10): 1, (21, 30): 2, (1001, 1010): 1}
    annotation = read(tmp_path, "".join(exon_lines(numbered.format(n), span) for span, n in spans.items()))
    assert places(annotation) == []
    assert doubtful_introns(annotation)["reason"].tolist() == ["repeated_exon_numbers"] * 2


def test_gap_longer_than_any_intron_is_none(tmp_path):
    about = 'gene_id "G"; transcript_id "T";'
    annotation = read(tmp_path, exon_lines(about, (1, 10), (21, 30), (3_000_001, 3_000_100)))
    assert places(annotation) == [(10, 20, "+")]
    assert doubtful_introns(annotation).to_numpy().tolist() == [["chr1", 30, 3_000_000, "+", "too_long"]]


def test_gap_that_another_transcript_splices_is_an_intron(tmp_path):
    text = exon_lines('gene_id "G"; transcript_id "T"; exception "trans-splicing";', (1, 10), (21, 30), (41, 50))
    text += exon_lines('gene_id "G"; transcript_id "U";', (1, 10), (21, 30))
    annotation = read(tmp_path, text)
    assert places(annotation) == [(10, 20, "+")]
    assert doubtful_introns(annotation).to_numpy().tolist() == [["chr1", 30, 40, "+", "trans_spliced"]]


TRANS = "chr1\ts\t{}\t{}\t{}\t.\t{}\t.\t{}\n"


def test_trans_spliced_gene_with_its_parts_keeps_the_intron_inside_a_part(tmp_path):
    """rps12 of chloroplasts: its first exon lies elsewhere, between the others is an intron."""
    rows = [
        ("gene", 1, 100, "+", "ID=g;exception=trans-splicing;part=1"),
        ("gene", 9001, 9500, "+", "ID=g;exception=trans-splicing;part=2"),
        *(
            ("CDS", *span, "+", "ID=c;Parent=g;exception=trans-splicing")
            for span in ((1, 100), (9001, 9200), (9401, 9500))
        ),
    ]
    annotation = read(tmp_path, "".join(TRANS.format(*row) for row in rows))
    assert places(annotation) == [(9200, 9400, "+")] and doubtful_introns(annotation).empty
    whole = [("gene", 1, 9500, "+", "ID=g;exception=trans-splicing"), *rows[2:]]
    annotation = read(tmp_path, "".join(TRANS.format(*row) for row in whole))
    assert places(annotation) == [] and doubtful_introns(annotation)["reason"].tolist() == ["trans_spliced"] * 2


def test_cds_and_utr_make_the_exons_of_a_transcript_that_has_none(tmp_path):
    about = 'gene_id "G"; transcript_id "T";'
    text = exon_lines(about, (11, 20), (31, 37), kind="CDS") + exon_lines(about, (1, 10), kind="five_prime_utr")
    text += exon_lines(about, (38, 40), kind="stop_codon") + exon_lines(about, (51, 60), kind="3UTR")
    annotation = read(tmp_path, text)
    assert places(annotation) == [(20, 30, "+"), (40, 50, "+")]
    assert annotation.left_out == {"transcripts_read_from_cds_and_utr": 1}


def test_cds_beside_exons_adds_no_intron(tmp_path):
    """A CDS of a gene whose mRNA has exons is no transcript of its own."""
    rows = [("gene", 1, 60, "+", "ID=G"), ("mRNA", 1, 60, "+", "ID=T;Parent=G"), ("CDS", 5, 10, "+", "Parent=G")]
    rows += [("CDS", 41, 50, "+", "Parent=G"), ("exon", 1, 10, "+", "Parent=T"), ("exon", 21, 60, "+", "Parent=T")]
    assert places(read(tmp_path, "".join(TRANS.format(*row) for row in rows))) == [(10, 20, "+")]


def test_ribosomal_slippage_is_no_intron(tmp_path):
    rows = [("gene", 1, 90, "+", "ID=G"), *(("CDS", *span, "+", "ID=c;Parent=G;exception=ribosomal slippage")
                                           for span in ((1, 10), (12, 40), (61, 90)))]  # fmt: skip
    annotation = read(tmp_path, "".join(TRANS.format(*row) for row in rows))
    assert places(annotation) == [(40, 60, "+")]
    assert doubtful_introns(annotation).to_numpy().tolist() == [["chr1", 10, 11, "+", "ribosomal_slippage"]]


@pytest.mark.parametrize("kind", ["pseudogenic_exon", "noncoding_exon", "coding_exon"])
def test_subtypes_of_exons_are_exons(tmp_path, kind):
    rows = [("pseudogene", 1, 60, "-", "ID=G"), ("pseudogenic_transcript", 1, 60, "-", "ID=T;Parent=G")]
    rows += [(kind, 1, 10, "-", "Parent=T"), (kind, 21, 60, "-", "Parent=T")]
    assert places(read(tmp_path, "".join(TRANS.format(*row) for row in rows))) == [(10, 20, "-")]


def test_what_has_no_exon_is_counted(tmp_path):
    rows = [("gene", 1, 60, "+", "ID=G"), ("mRNA", 1, 60, "+", "ID=T;Parent=G"), ("exon", 1, 10, "+", "Parent=T")]
    rows += [
        ("gene", 101, 160, "+", "ID=H"),
        ("mRNA", 101, 160, "+", "ID=U;Parent=H"),
        ("ncRNA_gene", 1, 9, "+", "ID=J"),
    ]
    assert read(tmp_path, "".join(TRANS.format(*row) for row in rows)).left_out == {
        "genes_without_exons": 2, "transcripts_without_exons": 1
    }  # fmt: skip


def test_prefixes_of_identifiers_in_any_case_are_left_away(tmp_path):
    rows = [("gene", 1, 60, "+", "ID=Gene:G1"), ("mRNA", 1, 60, "+", "ID=Transcript:T1;Parent=Gene:G1")]
    rows += [("exon", 1, 10, "+", "Parent=Transcript:T1")]
    annotation = read(tmp_path, "".join(TRANS.format(*row) for row in rows))
    assert annotation.transcripts["transcript_id"].tolist() == ["T1"] and annotation.genes["gene_id"].tolist() == ["G1"]


def test_the_format_shows_in_the_first_line_that_tells_it(tmp_path):
    rows = [("region", 1, 900, "+", "no attributes"), ("mRNA", 1, 60, "+", "ID=T"), ("exon", 1, 10, "+", "Parent=T, U")]
    rows += [("mRNA", 1, 60, "+", "ID=U"), ("exon", 21, 60, "+", "Parent=U,T")]
    text = "##gff-version 3\n" + "".join(TRANS.format(*row) for row in rows) + ">chr1\nACGT\n"
    assert places(read(tmp_path, text)) == [(10, 20, "+")]


def test_a_protein_beside_its_transcript_is_no_gene(tmp_path):
    about = "##gff-version 3\n1\tt\tgene\t1\t90\t.\t+\t.\tID=G\n1\tt\tmRNA\t1\t90\t.\t+\t.\tID=G.1;Parent=G\n"
    about += "1\tt\tprotein\t1\t90\t.\t+\t.\tID=G.1-Protein;Derives_from=G.1\n"
    for start, end in ((1, 20), (41, 90)):
        about += f"1\tt\texon\t{start}\t{end}\t.\t+\t.\tParent=G.1\n"
        about += f"1\tt\tCDS\t{start}\t{end}\t.\t+\t0\tParent=G.1,G.1-Protein;\n"
    (tmp_path / "a.gff3").write_text(about)
    introns, _ = distinct_introns(read_annotation(tmp_path / "a.gff3"))
    assert introns[["start", "end", "gene_id"]].to_numpy().tolist() == [[20, 40, "G"]]
