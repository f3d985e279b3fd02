"""A small study, and every tool that writes at work on it: what the campaigns of faults break and start again."""

import contextlib
import hashlib
import importlib
import os
import pkgutil
import random
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]

JASPAR = "".join(
    f">MA000{i}.1 TF{i}\n" + "".join(f"{base} [ {row} ]\n" for base, row in zip("ACGT", rows, strict=True))
    for i, rows in enumerate(
        [("9 0 0 0 9", "0 9 0 0 0", "0 0 9 0 0", "0 0 0 9 0"), ("1 8 0", "7 1 1", "1 0 9", "1 1 0")]
    )
)
GENERIC = ["--calls-base", "0", "--calls-value", "*_psi", "--calls-threshold", "0.1"]
# files that hold what the run took, or when it was
TIMED = ("ro-crate-metadata.json", "costs.h5ad", "model.json", "report.json")
TIMES = re.compile(rb'"(?:seconds|peak_bytes|disk_free_gb|datePublished|startTime|endTime)": ?(?:"[^"]*"|[0-9.]+)')
CRATE_DIGEST = "ro-crate-metadata.json.sha256"
CALLERS = ROOT / "tests" / "data" / "callers"


def call(name, *words):
    """Run a tool in this process."""
    importlib.import_module(name).main([*map(str, words), *([] if name == "check" else ["--quiet"])])


def write_calls(labels, path):
    """A table of two callers for the introns of a labels table."""
    draw = random.Random(3)
    lines = ["chrom\tstart\tend\tstrand\ta_psi\tb_psi\n"]
    for row in labels.itertuples():
        psi = [max(0, 0.4 * row.label + draw.uniform(-0.05, 0.09)) for _ in "ab"]
        lines.append(f"{row.chrom}\t{row.start}\t{row.end}\t{row.strand}\t{psi[0]:.3f}\t{psi[1]:.3f}\n")
    path.write_text("".join(lines))


def make_study(folder):
    """Write every input of :func:`commands` into an empty folder, and stay in it."""
    import numpy as np

    from intronaut.io.tables import read_labels
    from networks_by_hand import SPECS, drawn, write_folder
    from random_checkpoints import write_dnabert2, write_sei
    from random_reads import random_bam, random_genes, write_gtf
    from random_splice import write_random
    from small_study import write_study

    os.chdir(folder)
    write_study(folder, {f"g{i}": f"chr{i % 3}" for i in range(60)})
    (folder / "tiny.jaspar").write_text(JASPAR)
    call("label_introns", "annotation.gtf", "--fasta", "genome.fa", "--folds", 3)
    write_calls(read_labels("labels.tsv"), folder / "calls.tsv")
    call("label_introns", "annotation.gtf", "--calls", "calls.tsv", *GENERIC, "--folds", 3, "--calls-table", "both.tsv",
         "-o", "by_calls.tsv")  # fmt: skip
    call("fetch_sequences", "labels.tsv", "--fasta", "genome.fa", "--length", 120, "-o", "w.fa")
    call("embed_kmers", "w.fa", "--k", 2, "-o", "k.h5ad")
    fitted = ["--features", "k.h5ad", "--labels", "labels.tsv", "--bootstrap", 10]
    call("fit", *fitted, "-o", "model")
    call("fit", *fitted, "--seed", 2, "-o", "other")
    call("explain", "--model", "model", "--features", "k.h5ad", "-o", "explained")
    (folder / "v.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        + "".join(f"chr0\t{at}\t.\tG\tT\t.\t.\t.\n" for at in (1101, 1401, 7101))
    )
    (folder / "marks.bed").write_text("".join(f"chr{i % 3}\t{1100 + 6000 * i}\t{1250 + 6000 * i}\n" for i in range(20)))
    (folder / "sheet.tsv").write_text("path\ttarget\tcell\tkind\nmarks.bed\tM\tC\thistone\n")
    rng = np.random.default_rng(1)
    genes = random_genes(rng)
    write_gtf(folder / "reads.gtf", genes)
    random_bam("r.bam", rng, genes, n_fragments=100)
    write_sei(folder / "sei")
    write_dnabert2(folder / "dnabert2")
    write_random(folder / "splice.safetensors", nets=1)
    write_folder(folder / "network", drawn(SPECS["basset"] | {"length": 120}))
    (folder / "three.fa").write_text("".join((folder / "w.fa").read_text().splitlines(keepends=True)[:6]))
    (folder / "three.bed").write_text("".join(f"chr0\t{at}\t{at + 200}\ti{at}\t0\t+\n" for at in (1100, 7100, 13100)))


@contextlib.contextmanager
def study():
    """The folder of :func:`make_study` in a place that is deleted afterwards, with all libraries imported."""
    load_libraries()
    with tempfile.TemporaryDirectory() as place:
        make_study(Path(place))
        yield Path(place)


def commands():
    """``{name: words}`` of every tool that writes, in the folder of :func:`make_study`; OUT is where it writes.

    The first word of a name is the tool.
    """
    sei = ["--weights", "sei/model.safetensors", "--features", "spline", "--context", "npad", "--threads", "1"]
    dnabert2 = ["--weights", "dnabert2/model.safetensors", "--tokenizer", "dnabert2/tokenizer.json", "--threads", "1"]
    fitted = ["--features", "k.h5ad", "--labels", "labels.tsv", "--bootstrap", "10"]
    model = ["--model", "model", "--features", "k.h5ad"]
    score = ["--fasta", "genome.fa", "--introns", "labels.tsv", "--model", "model", "--length", "120", "--null", "2"]
    table = {
        "label_introns": "annotation.gtf --fasta genome.fa --folds 3 -o OUT/labels.tsv",
        "fetch_sequences": "labels.tsv --fasta genome.fa --length 300 -o OUT/w.fa --shard-dir OUT/shards "
                           "--shard-size 40 --dropped OUT/dropped.tsv",
        "split_introns": "labels.tsv --scheme folds --folds 3 -o OUT/split.tsv",
        "audit_split": "--labels labels.tsv --windows w.fa -o OUT/audit.tsv --json OUT/audit.json",
        "match_introns": "labels.tsv --match gc --caliper 9 -o OUT/matched.tsv",
        "compare_callers": "both.tsv -o OUT/agreement.tsv",
        "quantify_introns": "reads.gtf r.bam --novel-junctions OUT/novel.tsv -o OUT/quantified",
        "embed_kmers": "w.fa --k 3 -o OUT/k.h5ad",
        "embed_motifs": "w.fa --motifs tiny.jaspar --threads 1 -o OUT/m.h5ad",
        "embed_kmers with costs": "w.fa --k 3 --record-cost -o OUT/costs.h5ad",
        "embed_sei": ["w.fa", *sei, "-o", "OUT/s.h5ad"],
        "embed_dnabert2": ["w.fa", *dnabert2, "-o", "OUT/d.h5ad"],
        "embed_tracks": "labels.tsv --tracks sheet.tsv -o OUT/t.h5ad",
        "merge_features": "k.h5ad -o OUT/k.h5ad",
        "fit": [*fitted, "-o", "OUT/model"],
        "explain": [*model, "--full-matrix", "-o", "OUT/explained"],
        "explain_intron": [*model, "--labels", "labels.tsv", "--introns", "chr0:1100-1300:+", "-o", "OUT/cards"],
        "predict": [*model, "-o", "OUT/predictions.tsv"],
        "compare": "model other --labels labels.tsv --bootstrap 10 -o OUT/compared",
        "enrich": "labels.tsv --peaks marks.bed --adjust gc --min-introns 1 -o OUT/enriched",
        "find_motifs": "w.fa --labels labels.tsv --motifs tiny.jaspar --adjust gc --threads 1 -o OUT/motifs",
        "score_variants": ["v.vcf", *score, "-o", "OUT/s.tsv", "--vcf", "OUT/o.vcf", "--groups", "OUT/g.tsv",
                           "--summary", "OUT/s.json"],
        "finetune": "--windows w.fa --labels labels.tsv --network basset --epochs 1 --folds 3 --bootstrap 10 "
                    "--threads 1 -o OUT/network",
        "attribute": "three.fa --model network --method gradient --threads 1 -o OUT/attributed",
        "embed_splice": "three.bed --fasta genome.fa --weights splice.safetensors --nets 1 --threads 1 "
                        "-o OUT/sites.h5ad",
        "differential_retention": [str(CALLERS / "rmats.RI.MATS.JC.txt"), "-o", "OUT/differences.tsv"],
        "partition": "--features k.h5ad --labels labels.tsv --sequential --threads 1 -o OUT/shares",
        "transfer": "--models a=model b=other --labels a=labels.tsv b=labels.tsv -o OUT/transfer.tsv",
        "check": "--gtf annotation.gtf --fasta genome.fa -o OUT/report.json",
        "make_tracks": "--labels labels.tsv --fasta genome.fa --fit model -o OUT/tracks",
        "make_report": "--labels labels.tsv --ledger ledger.tsv --counts counts.json --fit model --explain explained "
                       "-o OUT/report.html --figures OUT/figures --multiqc OUT/multiqc",
        "record_run": "explained -o OUT",
        "fetch_weights": "dnabert2 --from dnabert2 --sha256 any --cache-dir OUT/cache",
    }  # fmt: skip
    return {name: words.split() if isinstance(words, str) else words for name, words in table.items()}


def start(name, words, out, stderr, *, before=None, quiet=True):
    """Run a tool as a program in a process of its own, its standard error in ``stderr``; returns its number."""
    tool = importlib.import_module(name.split()[0])
    if child := os.fork():
        return child
    try:
        with open(stderr, "w") as errors, contextlib.redirect_stderr(errors):
            os.dup2(errors.fileno(), 2)
            if before:
                before()
            from intronaut.cli import run

            sys.argv = [tool.__name__, *(word.replace("OUT", str(out)) for word in words), *["--quiet"] * quiet]
            run(tool.main, tool.__name__)
    except SystemExit as left:
        os._exit(left.code or 0)
    except BaseException:  # noqa: BLE001 - as the interpreter would
        import traceback

        Path(stderr).write_text(traceback.format_exc())
    os._exit(1)


def finish(child):
    """Wait for a process: its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def digest(path):
    """The sha256 of a file but for the times in it; of a crate's digest, whether it is that of the crate."""
    content = path.read_bytes()
    if path.name == CRATE_DIGEST:
        return hashlib.sha256(path.with_suffix("").read_bytes()).hexdigest().encode() in content
    if path.name in TIMED:
        # HDF5 pads a text that it holds with zeros, as many as its length leaves
        content = re.sub(rb"\}\0+", b"}", TIMES.sub(b"", content))
    return hashlib.sha256(content).hexdigest()


def digests(folder):
    """``{path: digest}`` of every file below a folder, hidden ones too."""
    files = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


def load_libraries():
    """Import once what every child needs: their start is not what is tried."""
    import intronaut

    names = ["torch", "pandas", "anndata", "matplotlib.pyplot", "sklearn.linear_model", "scipy.stats", "pysam"]
    names += [
        "pyranges",
        "lightgbm",
        "tokenizers",
        "safetensors.torch",
        "Bio.bgzf",
        "Bio.motifs",
        "jinja2",
        "pybigtools",
    ]
    names += [module.name for module in pkgutil.walk_packages(intronaut.__path__, "intronaut.")]
    for name in names:
        importlib.import_module(name)
