#!/usr/bin/env python3
"""Make galaxy/test-data anew: a cut of the demo's genome, and what the tools make of it.

1.1 MB and a splicing network: 300,000 bases with their 290 introns, windows, features, fitted models, and a Sei
and a DNABERT-2 of random weights with hardly any neurons. Needs the environment of ``make``.
"""

import gzip
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from Bio.bgzf import BgzfWriter
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = HERE / "test-data"
DEMO = ROOT / "assets" / "demo"
CALLERS, QUANTIFY = ROOT / "tests" / "data" / "callers", ROOT / "tests" / "data" / "quantify"
START, END, CONTIG = 1_000_000, 1_300_000, "19cut"
LINE = 60

sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]
import random_checkpoints  # noqa: E402
import random_splice  # noqa: E402


def cut_genome():
    with gzip.open(DEMO / "chr19_6Mb.fa.gz", "rt") as lines:
        next(lines)
        bases = "".join(line.strip() for line in lines)[START:END]
    with BgzfWriter(DATA / "genome.fa.gz", "w") as out:
        out.write(f">{CONTIG}\n")
        for start in range(0, len(bases), LINE):
            out.write(bases[start : start + LINE] + "\n")


def cut_annotation():
    """Keep each gene that lies wholly inside, and every feature below it."""
    kept = set()
    lines = gzip.decompress((DEMO / "chr19_6Mb.gff3.gz").read_bytes()).decode().splitlines()
    with BgzfWriter(DATA / "annotation.gff3.gz", "w") as out:
        out.write(f"##gff-version 3\n##sequence-region {CONTIG} 1 {END - START}\n")
        for fields in (line.split("\t") for line in lines if not line.startswith("#")):
            tags = dict(tag.split("=", 1) for tag in fields[8].split(";") if "=" in tag)
            first, last = (int(place) - START for place in fields[3:5])
            if tags["Parent"] in kept if "Parent" in tags else first > 0 and last <= END - START:
                kept.add(tags.get("ID"))
                out.write("\t".join([CONTIG, *fields[1:3], str(first), str(last), *fields[5:]]) + "\n")


def tool(name, *args):
    subprocess.run([sys.executable, ROOT / "bin" / f"{name}.py", *map(str, args)], cwd=DATA, check=True)


def label():
    tool("label_introns", "annotation.gff3.gz", "--fasta", "genome.fa.gz", "--window", 600, "--folds", 3)
    callers = ("rmats.RI.MATS.JC.txt", "irfinder.IRFinder-IR-dir.txt", "generic_1based.tsv")
    for name in ("annotation.gtf", "genome.fa", *callers):
        shutil.copyfile(CALLERS / name, DATA / f"callers.{name}")
    calls = (
        "--calls",
        "callers.rmats.RI.MATS.JC.txt",
        "callers.irfinder.IRFinder-IR-dir.txt",
        "--calls-table",
        "calls.tsv",
        "--folds",
        1,
    )
    scratch = [word for name in ("output", "ledger", "counts") for word in (f"--{name}", f"scratch.{name}")]
    tool("label_introns", "callers.annotation.gtf", "--fasta", "callers.genome.fa", *calls, *scratch)
    for path in DATA.glob("scratch.*"):
        path.unlink()
    lines = [line.split("\t") for line in (DATA / "labels.tsv").read_text().splitlines()]
    # every tenth intron as a peak of 100 bases around its middle
    middles = [(row[0], (int(row[1]) + int(row[2])) // 2) for row in lines[1::10]]
    (DATA / "peaks.bed").write_text("".join(f"{chrom}\t{at - 50}\t{at + 50}\n" for chrom, at in middles))
    split = lines[0].index("split")
    # neighbours in other folds, which leaks
    leaky = [lines[0], *([*row[:split], str(place % 2), *row[split + 1 :]] for place, row in enumerate(lines[1:100]))]
    (DATA / "leaky.tsv").write_text("".join("\t".join(row) + "\n" for row in leaky))


def embed():
    window = ("labels.tsv", "--fasta", "genome.fa.gz", "--anchor", "donor", "--length", 200)
    tool("fetch_sequences", *window, "-o", "windows.fa.gz", "--shard-dir", ".", "--shard-size", 150)
    for shard in ("windows.00001", "windows.00002", "windows"):
        tool("embed_kmers", f"{shard}.fa.gz", "--k", 2, "-o", f"{shard}.h5ad")
    tool("embed_kmers", "windows.fa.gz", "--k", 1, "-o", "bases.h5ad")


def fit_and_explain():
    for model, features in (("dinucleotides", "windows.h5ad"), ("bases", "bases.h5ad")):
        folder = f"models_{model}/{model}"
        tool("fit", "--features", features, "--labels", "labels.tsv", "--bootstrap", 100, "-o", folder)
    for part in ("combined", "covariates"):
        shutil.rmtree(DATA / "models_bases" / "bases" / part)
    folder = "explained_dinucleotides/dinucleotides"
    model = ("--model", "models_dinucleotides/dinucleotides", "--features", "windows.h5ad")
    tool("explain", *model, "--per-intron", 1, "-o", folder)
    for path in [*(DATA / folder).glob("*.[sp][vn]g"), *(DATA / folder).glob("*.h5ad")]:
        path.unlink()


def few_windows_and_motifs():
    """Two windows for the neural embedders, and three motifs of JASPAR."""
    records = gzip.decompress((DATA / "windows.fa.gz").read_bytes()).decode().split(">")[1:3]
    (DATA / "few.fa").write_text("".join(f">{record}" for record in records))
    from pyjaspar import jaspardb

    motifs = jaspardb(release="JASPAR2024").fetch_motifs(matrix_id=["MA0139", "MA0079", "MA0002"])
    (DATA / "motifs.jaspar").write_text("".join(motif.format("jaspar") for motif in motifs))


def tables():
    """The data tables' rows for the tests, with paths beside them."""
    (DATA / "all_fasta.loc").write_text("demo\tdemo\tDemo genome\t${__HERE__}/genome.fa.gz\n")
    row = ("random", "random weights", "feature-extraction", "sequence", "dnabert2", "1", "${__HERE__}/random_dnabert2")
    (DATA / "huggingface.loc").write_text("\t".join(row) + "\n")
    (DATA / "intronaut_sei_weights.loc").write_text("random\trandom weights\t${__HERE__}/random_sei\n")
    (DATA / "intronaut_splice_weights.loc").write_text("random\trandom weights\t${__HERE__}/random_splice\n")


def network():
    """The DNABERT-2 of random weights with a head that was trained."""
    weights = ("--weights", "random_dnabert2/model.safetensors", "--tokenizer", "random_dnabert2/tokenizer.json")
    how = ("--network", "dnabert2", *weights, "--head", "linear-probe", "--epochs", 1, "--bootstrap", 100)
    tool("finetune", "--windows", "windows.fa.gz", "--labels", "labels.tsv", *how, "-o", "models_network/network")
    for part in ("combined", "covariates"):
        shutil.rmtree(DATA / "models_network" / "network" / part)


def variants():
    """One base changed near the first donor, and the same with a reference that the genome does not have."""
    bases = "".join(gzip.decompress((DATA / "genome.fa.gz").read_bytes()).decode().splitlines()[1:]).upper()
    place = 870
    ref = bases[place - 1]
    alt, other = [base for base in "ACGT" if base != ref][:2]
    header = f"##fileformat=VCFv4.3\n##contig=<ID={CONTIG}>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    for name, wrong in (("variants", ref), ("wrong_ref", other)):
        line = "\t".join([CONTIG, str(place), "rs_demo", wrong, alt, ".", ".", "."])
        (DATA / f"{name}.vcf").write_text(f"{header}{line}\n")


def splice():
    """One network of CI-SpliceAI's shape, random and of few different values, and two introns for it."""
    tensors = {name: tensor.half() for name, tensor in random_splice.random_tensors(nets=1).items()}
    for name, tensor in tensors.items():
        if name.endswith("weight"):
            tensors[name] = tensor.sign() * tensor.abs().mean()
    (DATA / "random_splice").mkdir()
    save_file(tensors, DATA / "random_splice" / "model.safetensors", {"note": random_checkpoints.NOTE})
    lines = (DATA / "labels.tsv").read_text().splitlines()[1:3]
    (DATA / "introns_few.bed").write_text("".join("\t".join(line.split("\t")[:6]) + "\n" for line in lines))


def reads():
    """A few alignments of a gene, and what quantify_introns says of them."""
    for name, source in {"reads.sam": "7_alternative_acceptor.sam", "reads.genes.gtf": "genes.gtf"}.items():
        shutil.copyfile(QUANTIFY / source, DATA / name)
    tool("quantify_introns", "reads.genes.gtf", "reads.sam", "-o", "quantified")
    (DATA / "quantified" / "counts.json").rename(DATA / "quantified.json")
    shutil.rmtree(DATA / "quantified")


def weights():
    random_checkpoints.write_sei(DATA / "random_sei", channels=(4, 4, 4), outputs=6)
    (DATA / "random_sei" / "sei.pth").unlink()
    from intronaut.networks.dnabert2 import Config

    folder = DATA / "random_dnabert2"
    folder.mkdir()
    tokenizer = random_checkpoints.dnabert2_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = Config(vocab_size=tokenizer.get_vocab_size(), hidden_size=64, num_hidden_layers=1, num_attention_heads=1,
                    intermediate_size=32)  # fmt: skip
    tensors = random_checkpoints.dnabert2_tensors(config)
    del tensors["cls.predictions.decoder.weight"]
    save_file(tensors, folder / "model.safetensors", {"note": random_checkpoints.NOTE})
    (folder / "config.json").write_text(
        json.dumps(asdict(config) | {"hidden_act": "gelu", "alibi_starting_size": 512}, indent=2)
    )


def main():
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    cut_genome()
    cut_annotation()
    label()
    embed()
    fit_and_explain()
    few_windows_and_motifs()
    variants()
    weights()
    splice()
    reads()
    network()
    tables()


if __name__ == "__main__":
    main()
