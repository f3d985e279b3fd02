"""Files as people have them: what each gives, from small inputs made after public reports and files of the programs."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import label_introns
from conftest import run_tool
from intronaut.core.errors import BadData, ToolError
from intronaut.io.h5ad import open_features
from intronaut.io.tables import read_labels

CASES = Path(__file__).parent / "data" / "real_world"
BACKGROUND = {f"bg{i}" for i in range(8)}
# the eight background introns of most cases, by chromosome
ENDS = {"bg0": 2300, "bg1": 2317, "bg2": 2334, "bg3": 2351, "bg4": 2368, "bg5": 2385, "bg6": 2402, "bg7": 2419}


class Case:
    """A copy of one case's inputs in ``folder``, and label_introns run there."""

    def __init__(self, name, folder):
        self.folder = folder
        for source in (CASES / "common", next(CASES.glob(f"{name}-*"), CASES / name)):
            shutil.copytree(source, folder, dirs_exist_ok=True)

    def label(self, *args, fasta=True):
        """The labels table of ``label_introns.py ARGS``."""
        genome = ["--fasta", "g.fa.gz"] if fasta else []
        label_introns.main([*map(str, args), *genome, "--allow-empty", "--quiet"])
        return read_labels(self.folder / "labels.tsv")

    def ledger(self):
        table = pd.read_csv(self.folder / "ledger.tsv", sep="\t", keep_default_na=False)
        return dict(zip(table["name"], table["reason"], strict=True))

    def counts(self):
        return json.loads((self.folder / "counts.json").read_text())


@pytest.fixture
def case(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda name: Case(name, tmp_path)


def introns(table):
    """``{(start, end): label}`` of the rows that are not background."""
    rows = table[~table["chrom"].isin(BACKGROUND)]
    return {(row.start, row.end): row.label for row in rows.itertuples()}


def calls(table):
    """``{chrom: label}`` of the background introns, None where there is none; their ends are right."""
    assert table.set_index("chrom")["end"].to_dict() == ENDS
    return {row.chrom: None if pd.isna(row.label) else row.label for row in table.itertuples()}


def test_01_braker_gtf_with_bare_transcript_lines(case):
    table = (run := case("01")).label("braker.gtf", "--annotation-rule", "any-exon")
    assert introns(table) == {(200, 400): 1, (500, 800): 0, (3200, 3400): 0}
    assert run.counts()["annotation"]["left_out"] == {"transcript_lines_without_id": 3}


def test_02_refseq_transcript_at_two_loci(case):
    table = case("02").label("refGene.gtf", "--annotation-rule", "any-exon")
    assert introns(table) == {(200, 400): 0, (50200, 50400): 0}


def test_03_ncbi_placeholder_of_several_genes(case):
    assert introns(case("03").label("GCF_genomic.gtf", "--annotation-rule", "any-exon")) == {(200, 400): 0}


def test_04_sgd_gff_without_exons(case):
    table = (run := case("04")).label("saccharomyces_cerevisiae.gff", "--annotation-rule", "any-exon")
    assert introns(table) == {(200, 400): 0, (3200, 3400): 0}
    assert run.counts()["annotation"]["left_out"] == {"transcripts_read_from_cds_and_utr": 2}


def test_05_gff3_comma_in_an_identifier(case):
    assert len(introns(case("05").label("a.gff3", "--annotation-rule", "any-exon"))) == 2


def test_07_circular_chromosome_with_a_gene_past_its_end(case):
    table = case("07").label("circ.gff3", "--annotation-rule", "any-exon")
    assert set(introns(table)) == {(200, 400), (1800, 1900)} and (table["chrom"] == "MT").sum() == 2
    assert (table["chrom"] == "chr1").sum() == 1


def test_10_suppa_events_with_variable_boundaries(case):
    found = calls(case("10").label("a.gtf", "--calls", "ri_variable.psi"))
    assert [found[f"bg{i}"] for i in range(4)] == [1, 0, 1, None]


def test_11_rmats_of_one_group(case):
    found = calls(case("11").label("a.gtf", "--calls", "RI.MATS.JC.txt"))
    assert [found[f"bg{i}"] for i in range(3)] == [1, 0, None]


def test_12_places_in_one_column(case):
    """A table with chrom:start-end in one column; 0-based starts and ends one too far want a shift, which is named."""
    options = ["--calls", "PSI_RI.txt", "--calls-format", "generic", "--calls-base", 1, "--calls-threshold", 0.1]
    options += ["--calls-value", "ref_PSI", "--calls-columns", "place=intron_a"]
    with pytest.raises(BadData, match=r"--shift=1,-1 it would be 100"):
        (run := case("12")).label("a.gtf", *options)
    found = calls(run.label("a.gtf", *options, "--shift=1,-1"))
    assert (found["bg0"], found["bg1"]) == (1, 0)


def test_13_vast_tools_rows(case):
    table = case("13").label("a.gtf", "--calls", "INCLUSION_LEVELS_FULL-hg38-2.tab")
    found = calls(table)
    assert [found[f"bg{i}"] for i in (0, 1, 2, 3, 5)] == [1, 0, None, None, None]
    reasons = table.set_index("chrom")["label_reason"]
    assert (reasons["bg2"], reasons["bg3"], reasons["bg5"]) == ("low_evidence", "unmeasured", "low_evidence")


def test_13_vast_tools_table_through_r(case):
    """R writes ``s1.Q`` for ``s1-Q``."""
    run = case("13")
    name = "INCLUSION_LEVELS_FULL-hg38-2.tab"
    header, rows = (run.folder / name).read_text().split("\n", 1)
    (run.folder / "r.tab").write_text(header.replace("-", ".") + "\n" + rows)
    assert header != header.replace("-", ".")
    pd.testing.assert_series_equal(
        run.label("a.gtf", "--calls", name)["label"], run.label("a.gtf", "--calls", "r.tab")["label"]
    )


def test_13_table_without_quality_columns_is_refused(case):
    run = case("13")
    table = pd.read_csv(run.folder / "INCLUSION_LEVELS_FULL-hg38-2.tab", sep="\t", dtype=str, keep_default_na=False)
    table[[name for name in table if not name.endswith("-Q")]].to_csv(run.folder / "x.tab", sep="\t", index=False)
    with pytest.raises(BadData, match="vast-tools that lacks SAMPLE-Q"):
        run.label("a.gtf", "--calls", "x.tab")


def test_15_irfinder_with_byte_order_mark_and_windows_line_ends(case):
    table = case("15").label("a.gtf", "--calls", "IRFinder-IR-nondir.txt")
    found = calls(table)
    assert [found[f"bg{i}"] for i in range(5)] == [1, 0, None, None, 1]
    assert table.set_index("chrom")["label_reason"]["bg3"] == "unmeasured"


def test_16_irfinder_with_shifted_starts(case):
    with pytest.raises(BadData, match=r"--shift=1,0 it would be 100"):
        (run := case("16")).label("a.gtf", "--calls", "IRFinder-IR-dir.txt")
    table = run.label("a.gtf", "--calls", "IRFinder-IR-dir.txt", "--shift=1,0")
    assert table["label"].value_counts().to_dict() == {1: 4, 0: 4}


def test_17_macs_xls_counts_from_one(case):
    run = case("17")
    table = run.label("a.gtf", "--peaks", "x_peaks.xls", "--annotation-rule", "any-exon", "--summit")
    first = table.set_index("chrom").loc["bg0"]
    assert (first["start"], first["end"], first["name"]) == (2020, 2270, "x_peak_1")
    from intronaut.io.peaks import read_peaks

    assert read_peaks(run.folder / "x_peaks.xls")["summit"].tolist() == [2050 + 10 * i for i in range(8)]


def test_19_pipes_in_fasta_headers(case):
    run = case("19")
    with pytest.raises(BadData, match=r"NC_000000\.1.*gi\|900\|ref\|NC_000000\.1\|"):
        run.label("a.gtf", "--annotation-rule", "any-exon")
    assert len(run.label("a.gtf", "--chrom-aliases", "alias.tsv", "--annotation-rule", "any-exon")) == 8
    options = ["--fasta", "g.fa.gz", "--chrom-aliases", "alias.tsv", "--anchor", "donor", "--length", 20, "-o", "w.fa"]
    run_tool("fetch_sequences", "labels.tsv", *options, cwd=run.folder)
    windows = (run.folder / "w.fa").read_text().split("\n")[1::2]
    assert len(windows) == 8 and {window[10:12] for window in windows} == {"GT"}


def test_20_annotation_of_another_assembly(case):
    with pytest.raises(BadData, match=r"only 0\.0% of 8 annotated introns"):
        case("20").label("a.gtf", "--annotation-rule", "any-exon")


def test_20_annotation_that_is_one_base_off(case):
    run = case("10")
    lines = [line.split("\t") for line in (run.folder / "a.gtf").read_text().splitlines()]
    moved = ["\t".join([*f[:3], str(int(f[3]) + 1), str(int(f[4]) + 1), *f[5:]]) for f in lines]
    (run.folder / "moved.gtf").write_text("\n".join(moved) + "\n")
    with pytest.raises(BadData, match=r"only 0\.0% of 8 .* with starts -1 and ends -1 it would be 100"):
        run.label("moved.gtf")
    assert run.label("moved.gtf", "--min-splice-sites", 0)["label"].notna().all()


def test_21_gzip_of_two_members_in_a_folder_with_spaces(case):
    run = case("10")
    folder = run.folder / "my data (1)"
    folder.mkdir()
    lines = (run.folder / "a.gtf").read_text().splitlines(keepends=True)
    members = ["".join(lines[:8]), "".join(lines[8:])]
    (folder / "a b.gtf.gz").write_bytes(b"".join(gzip.compress(member.encode()) for member in members))
    (folder / "calls.tsv").write_text(
        "chrom\tstart\tend\tpsi\n"
        + "".join(f"bg{i}\t{2001 + 10 * i}\t{ENDS[f'bg{i}']}\t{0.5 * (i % 2 == 0)}\n" for i in range(1, 7))
        + "bg0\t2.001e+03\t2300\t1\nbg7\t2071\t2419\t1e-04\n"
    )
    options = ["--calls-base", 1, "--calls-value", "psi", "--calls-threshold", 0.1, "-o", folder / "l x.tsv"]
    args = [folder / "a b.gtf.gz", "--fasta", "g.fa.gz", "--calls", folder / "calls.tsv", *options]
    label_introns.main([str(arg) for arg in args])
    table = read_labels(folder / "l x.tsv")
    assert calls(table) == {f"bg{i}": float(i % 2 == 0) for i in range(8)}
    assert table.set_index("chrom")["evidence"]["bg7"] == "psi=0.0001"
    assert (folder / "l x.ledger.tsv").exists() and (folder / "l x.counts.json").exists()


def test_22_contig_that_the_fasta_lacks(case):
    with pytest.raises(BadData, match="chr1_KI270706v1_random"):
        (run := case("22")).label("a.gtf", "--annotation-rule", "any-exon")
    assert len(run.label("a.gtf", "--skip-missing-chroms", "--annotation-rule", "any-exon")) == 7
    assert list(run.ledger().values()) == ["chrom_not_in_fasta"]


def test_36_gene_with_cds_lines_only(case):
    table = (run := case("36")).label("mix.gff3", "--annotation-rule", "any-exon")
    assert introns(table) == {(200, 400): 0, (1200, 1400): 0}
    assert run.counts()["annotation"]["left_out"] == {"transcripts_read_from_cds_and_utr": 1}


WRONG_KINDS = {
    ("--peaks", "peaks.bb"): "bigBed",
    ("--calls", "RI.MATS.JC.xlsx"): "Excel",
    ("--calls", "utf16.tsv"): "UTF-16",
    ("page.gtf",): "a web page",
    ("empty.gtf",): "no exon or CDS",
    ("a.gff3",): "no exon or CDS",
    ("--peaks", "empty.bed"): "no peak",
    ("g.fa",): "a FASTA file, not a GTF or GFF3",
}


@pytest.mark.parametrize("args", WRONG_KINDS, ids=lambda args: args[-1])
def test_38_wrong_kind_of_file(case, args):
    run = case("38")
    (run.folder / "g.fa").write_bytes(gzip.decompress((run.folder / "g.fa.gz").read_bytes()))
    with pytest.raises(ToolError, match=WRONG_KINDS[args]) as refusal:
        run.label(*(["a.gtf"] if len(args) == 2 else []), *args)
    assert str(refusal.value).startswith(args[-1]) and not (run.folder / "labels.tsv").exists()


def test_39_sqanti_transcript_lines_with_start_after_end(case):
    table = (run := case("39")).label("x.filtered.gtf", "--annotation-rule", "any-exon")
    assert introns(table) == {(200, 400): 1, (500, 800): 0}
    assert run.counts()["annotation"]["left_out"] == {"lines_not_used_with_faults": 2}


def test_43_comma_after_the_last_parent(case):
    assert introns(case("43").label("x.gff3", "--annotation-rule", "any-exon")) == {(200, 400): 0}


def test_45_intron_over_the_origin(case):
    table = (run := case("45")).label("circ.gff3", "--annotation-rule", "any-exon")
    assert len(table) == 9 and run.ledger() == {"MT:1900-2050": "outside_genome"}
    assert len(run.label("circ.gff3", "--annotation-rule", "any-exon", fasta=False)) == 10
    options = ["--fasta", "g.fa.gz", "--length", 60, "-o", "w.fa", "--dropped", "dropped.tsv"]
    run_tool("fetch_sequences", "labels.tsv", *options, cwd=run.folder)
    assert (run.folder / "w.fa").read_text().count(">") == 9
    assert "MT\t1900\t2050" in (run.folder / "dropped.tsv").read_text()


@pytest.mark.parametrize("options", [[], ["--calls-format", "suppa_ioe"]])
def test_47_suppa_ioe_as_the_program_writes_it(case, options):
    found = calls(case("47").label("a.gtf", "--calls", "RI.ioe", *options))
    assert [found[f"bg{i}"] for i in range(4)] == [1, 1, 1, None]


def test_48_sirfinder_as_a_table_of_ones_own(case):
    options = ["--calls-format", "generic", "--calls-base", 1, "--calls-value", "SIRratio", "--calls-threshold", 0.1]
    found = calls(case("48").label("a.gtf", "--calls", "ResultsByIntron.txt", *options))
    assert [found[f"bg{i}"] for i in range(8)] == [1, 0, None, 0, 1, 0, None, 0]


def test_48_ratio_without_reads_decides_nothing(case):
    run = case("48")
    path = run.folder / "ResultsByIntron.txt"
    rows = path.read_text().replace("BG1\tBG1\t10\t10\t10\t5\t0\n", "BG1\tBG1\t0\t0\t0\t0\t0\n")
    assert rows != path.read_text()
    path.write_text(rows)
    options = ["--calls-format", "generic", "--calls-base", 1, "--calls-value", "SIRratio", "--calls-threshold", 0.1]
    table = run.label("a.gtf", "--calls", path.name, *options, "--calls-evidence", "SpliceMax>=5")
    assert [calls(table)[f"bg{i}"] for i in range(4)] == [1, None, None, 0]
    assert table.set_index("chrom")["label_reason"]["bg1"] == "low_evidence"


def test_49_whippet_as_a_table_of_ones_own(case):
    place = "chrom=Coord,start=Coord,end=Coord,strand=Strand"
    options = ["--calls-format", "generic", "--calls-base", 1, "--calls-value", "Psi", "--calls-threshold", 0.1]
    table = case("49").label(
        "a.gtf", "--calls", "sample.psi", *options, "--calls-columns", place, "--calls-rows", "Type=RI"
    )
    assert calls(table) == {f"bg{i}": float(i % 2 == 0) for i in range(8)}


LACKING = sorted(path.name for path in (CASES / "54-caller-table-lacking-a-column" / "t").iterdir())
# tables that lack nothing that is used
WHOLE = {"dpsi.ok.tsv", "dpsi.R.tsv"}
UNUSED = {
    "irfinder": "Name Null ExcludedBases IntronDepth25Percentile IntronDepth50Percentile IntronDepth75Percentile "
    "ExonToIntronReadsLeft ExonToIntronReadsRight IntronDepthFirst50bp IntronDepthLast50bp SpliceLeft SpliceRight",
    "majiq": "gene_name gene_id lsv_id stdev_psi_per_lsv_junction lsv_type num_junctions num_exons de_novo_junctions "
    "junctions_coords exons_coords ucsc_lsv_link seqid",
    "rmats": "ID GeneID geneSymbol riExonEnd upstreamES downstreamEE IncFormLen SkipFormLen PValue",
    "vast": "GENE LENGTH COMPLEX s1 s1-Q s-2 s-2-Q",
}


@pytest.mark.parametrize("name", LACKING)
def test_54_table_lacking_a_column_is_refused_by_its_name(case, name):
    run = case("54")
    caller, *middle = name.removesuffix(".tsv").split(".")
    column = middle[-1] if middle else ""
    if name in WHOLE or column in UNUSED.get(caller, "").split():
        run.label("a.gtf", "--calls", f"t/{name}")
        return
    with pytest.raises(ToolError) as refusal:
        run.label("a.gtf", "--calls", f"t/{name}")
    message = str(refusal.value)
    # a table that is not known any more says which columns it has; any other which one it lacks
    assert "no caller's table that is known" in message or (column in message and "lacks" in message)


SCORES = ["--fasta", "base/g.fa.gz", "--introns", "base/labels.tsv", "--model", "base/model", "--anchor", "donor"]
SCORES += ["--length", 200, "--null", 5, "-o", "s.tsv", "--summary", "s.json"]


def score(run, vcf, *args, code=0, out="o.vcf"):
    shutil.copytree(CASES / "base", run.folder / "base", dirs_exist_ok=True)
    return run_tool("score_variants", vcf, *SCORES, "--vcf", out, *args, cwd=run.folder, code=code)


def test_23_structural_variants_with_an_unknown_reference(case):
    run = case("23")
    score(run, "sv.vcf")
    summary = json.loads((run.folder / "s.json").read_text())
    assert summary["scored"] == 1 and summary["left_out"] == {"breakend": 1, "symbolic allele": 2}


def test_26_variant_beyond_its_chromosome(case):
    run = case("26")
    refusal = score(run, "b.vcf", code=65).stderr
    assert "line 3" in refusal and "6,003 bases" in refusal and not (run.folder / "s.tsv").exists()
    score(run, "b.vcf", "--ref-mismatch", "skip")
    left_out = json.loads((run.folder / "s.json").read_text())["left_out"]
    assert left_out == {"REF is not in the genome": 1, "chromosome is not in the genome": 1}


def test_27_vcf_with_scores_of_an_earlier_run(case):
    run = case("27")
    score(run, "in.vcf", out="one.vcf")
    assert "has INTRONAUT_ scores already" in score(run, "one.vcf", code=65, out="two.vcf").stderr
    assert not (run.folder / "two.vcf").exists()


def fit_features(run, *args, code=0):
    shutil.copytree(CASES / "base", run.folder / "base", dirs_exist_ok=True)
    options = ["--features", "f.h5ad", "--labels", "base/labels.tsv", "-o", "model"]
    return run_tool("fit", *options, *args, cwd=run.folder, code=code)


def test_28_feature_names_of_any_letters_are_kept_whole(case):
    import anndata

    run = case("28b")
    fit_features(run)
    names = set(anndata.read_h5ad(run.folder / "f.h5ad").var_names)
    table = pd.read_csv(
        run.folder / "model" / "coefficients.tsv", sep="\t", dtype=str, keep_default_na=False, quoting=3
    )
    assert "" in names and max(map(len, names)) >= 200
    assert set(table["feature"]) == names


def test_29_sparse_matrix_is_read(case):
    import anndata

    run = case("29")
    values = [block for _, block in open_features(run.folder / "f.h5ad").row_blocks()]
    np.testing.assert_array_equal(np.concatenate(values), anndata.read_h5ad(run.folder / "f.h5ad").X.toarray())


def test_30_whole_numbers_and_nullable_columns_are_read(case):
    import anndata

    run = case("30")
    found, expected = open_features(run.folder / "f.h5ad"), anndata.read_h5ad(run.folder / "f.h5ad")
    np.testing.assert_array_equal(np.concatenate([block for _, block in found.row_blocks()]), expected.X)
    assert list(found.obs.index) == list(expected.obs_names) and list(found.obs) == list(expected.obs)


def test_31_names_that_occur_twice_are_refused(case):
    with pytest.raises(BadData, match=r"more than one row is named 'bg0:2000-2300:\+'"):
        open_features(case("31").folder / "f.h5ad")


def test_37_contig_names_with_colons_stars_and_pipes(case):
    run = case("37")
    options = ["--calls-base", 0, "--calls-value", "psi", "--calls-threshold", 0.1, "--window", 600, "--folds", 2]
    table = run.label("a.gtf", "--calls", "calls.tsv", *options)
    assert table["label"].value_counts().to_dict() == {1: 4, 0: 4}
    assert {"HLA-A*01:01:01:01", "ScY_1;HRSCAF=2", "c|1", "contig=7,x"} <= set(table["chrom"])
    windows = ["--fasta", "g.fa.gz", "--anchor", "donor", "--length", 100, "-o", "w.fa.gz"]
    run_tool("fetch_sequences", "labels.tsv", *windows, cwd=run.folder)
    run_tool("embed_kmers", "w.fa.gz", "--k", 2, "-o", "k.h5ad", cwd=run.folder)
    fitted = ["--features", "k.h5ad", "--labels", "labels.tsv", "--folds", 2, "-o", "model"]
    run_tool("fit", *fitted, cwd=run.folder)
    (run.folder / "v.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"HLA-A*01:01:01:01\t2005\t.\t{_base(run, 2004)}\t{'C' if _base(run, 2004) != 'C' else 'A'}\t.\t.\t.\n"
    )
    scored = ["--fasta", "g.fa.gz", "--introns", "labels.tsv", "--model", "model", "--anchor", "donor", "--length", 100]
    run_tool("score_variants", "v.vcf", *scored, "--null", 3, "-o", "s.tsv", cwd=run.folder)
    assert pd.read_csv(run.folder / "s.tsv", sep="\t")["name"].tolist() == ["HLA-A*01:01:01:01:2000-2300:+"]


def _base(run, at):
    """The base at ``at``, from 0, of the first contig."""
    return "".join(gzip.open(run.folder / "g.fa.gz", "rt").read().split(">")[1].splitlines()[1:])[at]
