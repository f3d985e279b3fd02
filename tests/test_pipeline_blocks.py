"""The pipeline with features of several kinds and anchors, on a genome of forty genes: every step really runs."""

import gzip

import pandas as pd
import pytest

from conftest import ROOT
from nextflow_runs import need_engine, run_nextflow, submitted
from random_splice import write_random
from small_study import write_study


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """``(folder of results, tasks)`` of one run."""
    need_engine()
    folder = tmp_path_factory.mktemp("blocks")
    annotation, genome = write_study(folder, {f"gene{number}": f"contig{number % 10}" for number in range(40)})
    write_random(folder / "splice.safetensors", nets=1)
    (folder / "open.bed").write_text("".join(f"contig{at}\t1150\t1250\n" for at in range(10)))
    (folder / "tracks.tsv").write_text("path\ttarget\tcell\tkind\nopen.bed\tATAC\tK562\taccess\n")
    write_variants(folder / "v.vcf", genome)
    given = {
        "gtf": annotation, "fasta": genome, "window": 60, "anchors": "donor,acceptor", "anchor": "donor",
        "embedders": "splice,tracks", "tracks": folder / "tracks.tsv",
        "splice_weights": folder / "splice.safetensors", "vcf": folder / "v.vcf", "bootstrap": 100, "cards": 2,
        "outdir": folder / "results",
    }  # fmt: skip
    words = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
    printed = run_nextflow(ROOT, folder, *words, "--join_features")
    return folder / "results", submitted(printed)


def write_variants(path, genome):
    """One substitution in the first intron of the first gene; its donor begins 1,100 bases into the contig."""
    opened = gzip.open if str(genome).endswith(".gz") else open
    with opened(genome, "rt") as lines:
        name = next(lines)[1:].split()[0]
        sequence = ""
        while len(sequence) < 1200 and (line := next(lines).strip()):
            sequence += line
    ref = sequence[1100]
    assert ref == "G"
    head = f"##fileformat=VCFv4.2\n##contig=<ID={name}>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    path.write_text(f"{head}{name}\t1101\t.\tG\tA\t.\t.\t.\n")


def test_every_kind_has_features_and_models(results):
    folder, tasks = results
    # k-mers come with the splicing network
    names = {"kmers_donor", "kmers_acceptor", "splice", "tracks"}
    assert {path.stem for path in (folder / "features").glob("*.h5ad")} == names
    assert {path.name for path in (folder / "fit").iterdir()} == {f"{name}_logistic" for name in (*names, "joined")}
    assert sum("EXPLAIN_INTRON" in task for task in tasks) == len(names) + 1


def test_partition_and_joined_model_have_a_block_a_kind_and_anchor(results):
    folder, _ = results
    blocks = {"kmers_donor", "kmers_acceptor", "splice", "tracks"}
    partition = pd.read_table(folder / "partition" / "partition.tsv")
    assert blocks <= set(partition["block"])
    for _, rows in partition.set_index("block").groupby("measure"):
        assert rows["shapley"].drop("(all)").sum() == pytest.approx(rows.loc["(all)", "shapley"], abs=1e-9)
    assert set(pd.read_table(folder / "explain" / "joined_logistic" / "groups.tsv")["group"]) == blocks
    assert "What each kind of information adds" in (folder / "report.html").read_text()


def test_variants_have_splice_sites_beside_retention(results):
    folder, _ = results
    scored = {path.name for path in (folder / "variants").iterdir()}
    assert scored == {"kmers_donor_logistic", "kmers_acceptor_logistic"}
    for name in scored:
        genes = pd.read_table(folder / "variants" / name / "genes.tsv")
        assert genes["gene_id"].tolist() == ["gene0"] and genes["donor_loss"].between(0, 1).all()
        scores = pd.read_table(folder / "variants" / name / "scores.tsv")
        assert scores["donor_loss"].notna().all() and scores["delta_logit"].notna().all()
