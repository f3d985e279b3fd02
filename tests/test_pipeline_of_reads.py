"""The pipeline from alignments: levels, differences between conditions and models of each, every step really run."""

import json
import re

import numpy as np
import pandas as pd
import pysam
import pytest

from conftest import ROOT
from nextflow_runs import need_engine, run_nextflow, submitted
from simulated_reads import simulated_levels, write_reads
from small_study import write_study

GENES, CONTIGS = 48, 6
GENE_BASES = 6000


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder with a genome of 96 introns and two samples of each of two conditions; a third of the introns differ."""
    need_engine()
    folder = tmp_path_factory.mktemp("reads")
    write_study(folder, {f"gene{at}": f"contig{at % CONTIGS}" for at in range(GENES)})
    places = [(f"contig{at % CONTIGS}", 1000 + GENE_BASES * (at // CONTIGS)) for at in range(GENES)]
    genome = {f"contig{at}": GENE_BASES * (1 + GENES // CONTIGS) for at in range(CONTIGS)}
    rng = np.random.default_rng(0)
    rows = ["sample\treads\tcondition"]
    for condition, levels in zip(("control", "treated"), simulated_levels(rng, GENES), strict=True):
        for sample in (f"{condition}1", f"{condition}2"):
            write_reads(folder / f"{sample}.bam", genome, places, levels, rng)
            rows.append(f"{sample}\t{stored(folder, sample)}\t{condition}")
    (folder / "sheet.tsv").write_text("\n".join(rows) + "\n")
    # the first base of the first donor
    head = "##fileformat=VCFv4.2\n##contig=<ID=contig0>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (folder / "v.vcf").write_text(f"{head}contig0\t1101\t.\tG\tA\t.\t.\t.\n")
    return folder


def stored(folder, sample):
    """The file of a sample: one of each condition not sorted by place, or a CRAM; none has an index."""
    path = str(folder / f"{sample}.bam")
    if sample == "control2":
        pysam.sort("-n", "-o", str(folder / "control2.by_name.bam"), path)
        return "control2.by_name.bam"
    if sample == "treated2":
        pysam.view("-C", "-T", str(folder / "genome.fa"), "-o", str(folder / "treated2.cram"), path, catch_stdout=False)
        return "treated2.cram"
    return f"{sample}.bam"


def run(folder, *args, code=0):
    given = ["--gtf", folder / "annotation.gtf", "--fasta", folder / "genome.fa"]
    given += ["--window", "200", "--bootstrap", "100", "--cards", "2", "-resume"]
    return run_nextflow(ROOT, folder, *given, *args, code=code)


def words_of(page):
    page = re.sub(r"<(svg|style|script)\b.*?</\1>", " ", page.read_text(), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.fixture(scope="module")
def transfer(study):
    """Folder of results and tasks: levels of one condition, and models of each tested in the other."""
    args = ["--alignments", "sheet.tsv", "--condition", "control", "--transfer", "--target", "level"]
    args += ["--embedders", "kmers", "--vcf", "v.vcf"]
    return study / "transfer", submitted(run(study, *args, "--outdir", study / "transfer"))


@pytest.fixture(scope="module")
def contrast(study, transfer):
    """The same of introns that are retained more than in the control, after what the first run counted."""
    args = ["--alignments", "sheet.tsv", "--contrast", "treated_vs_control", "--target", "difference"]
    args += ["--embedders", "rna", "--rna_motifs", ROOT / "assets" / "demo" / "rna.meme"]
    return study / "contrast", submitted(run(study, *args, "--outdir", study / "contrast"))


def test_levels_are_fitted_explained_and_shown(transfer):
    folder, tasks = transfer
    assert sum("QUANTIFY_INTRONS" in task for task in tasks) == 4
    metrics = json.loads((folder / "fit" / "kmers_logistic" / "metrics.json").read_text())
    assert metrics["target"] == "level" and {"spearman", "deviance_explained"} <= set(metrics["metrics"])
    labels = pd.read_table(folder / "labels" / "labels.tsv")
    predictions = pd.read_table(folder / "fit" / "kmers_logistic" / "predictions.tsv").set_index("name")
    measured = labels.set_index("name")["psi"].reindex(predictions.index)
    assert len(predictions) > 80 and np.allclose(predictions["psi"], measured, atol=1e-5)
    words = words_of(folder / "report.html")
    assert "rank correlation" in words and (folder / "explain" / "kmers_logistic" / "groups.tsv").exists()


def test_variants_are_scored_by_a_model_of_levels(transfer):
    scores = pd.read_table(transfer[0] / "variants" / "kmers_logistic" / "scores.tsv")
    assert len(scores) >= 1 and scores[["p_ref", "p_alt"]].stack().between(0, 1).all()
    assert "Δ logit level with the variant" in words_of(transfer[0] / "report.html")


def test_models_of_each_condition_are_tested_in_the_other(transfer):
    folder, tasks = transfer
    table = pd.read_table(folder / "cell_types" / "transfer_kmers_logistic.tsv")
    cells = ["control", "treated"]
    assert table[["trained_in", "judged_in"]].to_numpy().tolist() == [[a, b] for a in cells for b in cells]
    for cell in cells:
        own = pd.read_table(folder / "cell_types" / cell / "labels.tsv")
        (row,) = table.query("trained_in == judged_in == @cell").to_dict("records")
        assert row["retained"] == (own["label"] == 1).sum() > 20 and row["introns"] == own["label"].notna().sum()
    # two thirds of the introns are alike in both: their labels know more than k-mers of a random genome
    others = table.query("trained_in != judged_in")
    assert (others["auroc_others"] > 0.75).all() and others["auroc"].between(0.2, 0.8).all()
    words = words_of(folder / "report.html")
    assert "What holds in other cell types" in words and "tested in control tested in treated" in words
    assert all(f"{value:.3f}" in words for value in table["auroc"])


def test_differences_are_fitted_on_motifs_of_rna(contrast):
    folder, tasks = contrast
    assert "STUDY:INTERPRET:FIND_MOTIFS (motifs_rna)" in tasks and (folder / "motifs_rna" / "families.tsv").exists()
    labels = pd.read_table(folder / "labels" / "labels.tsv").set_index("name")
    predictions = pd.read_table(folder / "fit" / "rna_logistic" / "predictions.tsv").set_index("name")
    measured = (1 + labels["delta_psi"].reindex(predictions.index)) / 2
    assert len(predictions) > 80 and np.allclose(predictions["psi"], measured, atol=1e-5)
    assert set(pd.read_table(folder / "partition" / "partition.tsv")["measure"]) == {"deviance"}
    words = words_of(folder / "report.html")
    assert "measured difference of retention of introns" in words and "Motifs of RNA-binding proteins" in words


def test_contrast_labels_what_is_retained_more(study, contrast):
    folder, tasks = contrast
    assert not any("QUANTIFY_INTRONS" in task for task in tasks)
    differences = pd.read_table(folder / "quantified" / "differences.tsv").set_index("name")
    labels = pd.read_table(folder / "labels" / "labels.tsv").set_index("name")
    change = differences["change"].reindex(labels.index)
    assert (labels["label"][change == "more"] == 1).all() and (labels["label"][change == "unchanged"] == 0).all()
    assert labels["label"][change.isna()].isna().all()
    # a third of 96 introns were made to change, all upwards
    assert (change == "more").sum() > 15 and (change == "less").sum() == 0
    words = words_of(folder / "report.html")
    shown = words[words.index("The largest changes, treated_vs_control") :]
    assert f"Of {(change == 'more').sum()} introns that changed" in shown
    largest = differences.loc[differences["shrunken_delta"].abs().idxmax()]
    assert f"{largest['chrom']}:{largest['start'] + 1:,}–{largest['end']:,}" in shown[:600]


FAULTS = {
    "wrong path": (["a\tnone.bam"], "no such file"),
    "named twice": (["a\tcontrol1.bam", "a\tcontrol2.bam"], "sample a is named twice"),
    "in quotes, and tabs alone": (["\t", '"a"\t"control1.bam"', '"a"\t"control2.bam"'], "sample a is named twice"),
    "no column": (None, "no column sample"),
    "wrong name": (["a b\tcontrol1.bam"], "rename 'a b'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_sheet_stop_the_start(study, fault, tmp_path):
    rows, told = FAULTS[fault]
    head = "sample\treads" if rows else "name\treads"
    sheet = study / f"{fault.replace(' ', '_')}.tsv"
    sheet.write_text("\n".join([head, *(rows or ["a\tcontrol1.bam"])]) + "\n")
    printed = run(study, "--alignments", sheet, "--outdir", tmp_path / "out", code=1)
    assert told in printed and "Submitted" not in printed and not (tmp_path / "out").exists()


CHOICES = {
    (): "several conditions, control, treated; choose one by --condition",
    ("--condition", "liver"): "--condition liver: no condition liver in sheet.tsv, which has control, treated",
    ("--contrast", "liver_vs_control"): "no condition liver in sheet.tsv, which has control, treated",
}


@pytest.mark.parametrize("choice", CHOICES)
def test_a_condition_that_cannot_be_labelled_stops_the_start(study, choice, tmp_path):
    printed = run(study, "--alignments", "sheet.tsv", *choice, "--outdir", tmp_path / "out", code=1)
    assert CHOICES[choice] in printed and "Submitted" not in printed and not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def faulty(study):
    """A sheet of the files of REFUSED; and beside it a file whose reads are not in order."""
    whole = str(study / "control1.bam")
    (study / "cut.bam").write_bytes((study / "control1.bam").read_bytes()[:20_000])
    (study / "text.bam").write_text("hello\n")
    with pysam.AlignmentFile(whole) as file:
        records, header = list(file), file.header.to_dict()
    longer = {"HD": header["HD"], "SQ": [entry | {"LN": entry["LN"] + 1} for entry in header["SQ"]]}
    for name, chosen, head in (("longer", [], longer), ("order", [*records[500:], *records[:500]], header)):
        with pysam.AlignmentFile(str(study / f"{name}.bam"), "wb", header=head) as out:
            for record in chosen:
                out.write(record)
    head, bases = (study / "genome.fa").read_text().split("\n", 1)
    (study / "other.fa").write_text(f"{head}\n{bases[:3000].translate(str.maketrans('ACGT', 'CGTA'))}{bases[3000:]}")
    pysam.view("-C", "-T", str(study / "other.fa"), "-o", str(study / "other.cram"), whole, catch_stdout=False)
    rows = [f"{name.split('.')[0]}\t{name}\n" for name in REFUSED]
    (study / "faulty.tsv").write_text("".join(["sample\treads\n", *rows]))
    return study / "faulty.tsv"


# what is refused, and with what words
REFUSED = {
    "cut.bam": "truncated",
    "longer.bam": "contig0 has 54,001 bases, but contig0 of genome/genome.fa has 54,000, and 5 more are not the same",
    "other.cram": "contig0 is another sequence in genome/genome.fa; give the FASTA that the CRAM was made with",
    "text.bam": "not a SAM, BAM or CRAM file",
}


def test_check_lists_all_faulty_files_each_in_one_line(study, faulty, tmp_path):
    printed = run(study, "--check", "true", "--alignments", faulty, "--outdir", tmp_path / "out", code=1)
    lines = [line.strip() for line in printed.splitlines()]
    for name, words in REFUSED.items():
        assert any(line.startswith(f"check: --alignments: {study / name}: {words}") for line in lines), name
    assert "check: 4 faults; the run would stop there" in lines and "Traceback" not in printed
    assert not (tmp_path / "out").exists()


def test_a_faulty_file_stops_the_run_with_one_line(study, faulty, tmp_path):
    # seen only when its reads are counted, and the whole one beside it not before
    (study / "order.tsv").write_text("sample\treads\norder\torder.bam\nwhole\tcontrol1.bam\n")
    printed = run(study, "--alignments", study / "order.tsv", "--outdir", tmp_path / "out", code=1)
    error = printed.split("Command error:\n")[1].split("\n\n")[0]
    (line,) = error.strip().splitlines()
    assert line.strip().startswith("quantify_introns: error: reads1/order.bam: not sorted by coordinate at read r")
    assert "Command exit status:\n  65" in printed and "Traceback" not in printed
    assert not list((tmp_path / "out").rglob("order*")) and not (tmp_path / "out" / "labels").exists()
