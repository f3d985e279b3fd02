"""Faults that any tool may meet: cut files, stale indexes, signals, empty inputs, folders that cannot be written."""

import gzip
import os
import random
import shutil
import signal
import subprocess
import sys

import pysam
import pytest

import audit_split
import embed_kmers
import embed_motifs
import fetch_sequences
import fit
import label_introns
import merge_features
import split_introns
from conftest import ROOT
from intronaut.core.errors import BadData, CannotWrite, ToolError
from intronaut.io.h5ad import open_features
from intronaut.io.tables import LABEL_COLUMNS
from random_genomes import block_offsets
from small_study import write_study

TINY_JASPAR = ">MA0001.1 TEST\nA [ 9 0 0 0 9 ]\nC [ 0 9 0 0 0 ]\nG [ 0 0 9 0 0 ]\nT [ 0 0 0 9 0 ]\n"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One whole run: annotation (bgzf), genome (bgzf), labels, windows and features."""
    folder = tmp_path_factory.mktemp("study")
    annotation, _ = write_study(folder, {f"g{i}": f"chr{i % 3}" for i in range(300)}, ".gz")
    pysam.tabix_compress(str(annotation), str(folder / "annotation.gtf.gz"))
    os.chdir(folder)
    label_introns.main(["annotation.gtf.gz", "--fasta", "genome.fa.gz", "--quiet"])
    fetch_sequences.main(["labels.tsv", "--fasta", "genome.fa.gz", "-o", "w.fa.gz", "--quiet"])
    embed_kmers.main(["w.fa.gz", "--k", "2", "-o", "k.h5ad", "--quiet"])
    return folder


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cuts(path, n=12):
    """Where to cut: at every bgzf block (at most 40), and at random places."""
    size = path.stat().st_size
    blocks = [at for at in block_offsets(path) if 0 < at < size] if path.suffix == ".gz" else []
    rng = random.Random(path.name)
    return sorted({*rng.sample(blocks, min(len(blocks), 40)), *(rng.randrange(1, size) for _ in range(n)), size - 1})


@pytest.mark.parametrize(
    ("name", "tool", "args"),
    [
        ("annotation.gtf.gz", label_introns, ["CUT", "--folds", "2", "-o", "out"]),
        ("genome.fa.gz", fetch_sequences, ["labels.tsv", "--fasta", "CUT", "-o", "out"]),
        ("w.fa.gz", embed_kmers, ["CUT", "-o", "out"]),
        ("w.fa.gz", audit_split, ["--labels", "labels.tsv", "--windows", "CUT", "-o", "out"]),
        ("k.h5ad", merge_features, ["CUT", "-o", "out"]),
        ("k.h5ad", fit, ["--features", "CUT", "--labels", "labels.tsv", "-o", "out"]),
    ],
)
def test_a_cut_file_is_refused_wherever_it_is_cut(study, tmp_path, name, tool, args):
    shutil.copy(study / "labels.tsv", tmp_path)
    whole, cut = (study / name).read_bytes(), tmp_path / f"cut.{name}"
    for at in cuts(study / name):
        cut.write_bytes(whole[:at])
        with pytest.raises(BadData) as refusal:
            tool.main([*(cut.name if word == "CUT" else word for word in args), "--quiet"])
        assert cut.name in str(refusal.value), at
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([cut.name, "labels.tsv"])


def test_a_cut_gzip_is_refused_wherever_it_is_cut(study, tmp_path):
    packed = gzip.compress(gzip.decompress((study / "w.fa.gz").read_bytes()), mtime=0)
    for at in random.Random(1).sample(range(1, len(packed)), 15):
        (tmp_path / "cut.fa.gz").write_bytes(packed[:at])
        with pytest.raises(BadData, match="cut.fa.gz"):
            embed_kmers.main(["cut.fa.gz", "-o", "out", "--quiet"])
    assert [path.name for path in tmp_path.iterdir()] == ["cut.fa.gz"]


def test_a_stale_index_gives_the_right_bases_or_none(study, tmp_path):
    genome = tmp_path / "genome.fa"
    genome.write_text(">chr1\n" + "A" * 5000 + "\n")
    pysam.faidx(str(genome))
    genome.write_text(">new\n" + "C" * 700 + "\n>chr1\n" + "G" * 5000 + "\n")
    os.utime(genome, (1, 1))
    (tmp_path / "rows.bed").write_text("chr1\t1000\t1100\n")
    try:
        fetch_sequences.main(["rows.bed", "--fasta", str(genome), "--length", "100", "-o", "out.fa", "--quiet"])
    except BadData:
        return
    assert (tmp_path / "out.fa").read_text().split("\n", 1)[1].replace("\n", "") == "G" * 100


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("label_introns", ["PIPE"]),
        ("fetch_sequences", ["labels.tsv", "--fasta", "PIPE", "-o", "out.fa.gz"]),
        ("embed_kmers", ["PIPE", "-o", "out.h5ad"]),
        ("split_introns", ["PIPE", "-o", "out.tsv"]),
        ("fit", ["--features", "k.h5ad", "--labels", "PIPE", "-o", "model"]),
    ],
)
def test_a_stopped_tool_leaves_nothing(study, tmp_path, tool, args, sent, code):
    for name in ("labels.tsv", "k.h5ad"):
        shutil.copy(study / name, tmp_path)
    # the tool waits for more of its input when the signal comes, however fast the machine is
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, ROOT / "bin" / f"{tool}.py", *("pipe" if word == "PIPE" else word for word in args)]
    # a test run in the background would hand down an ignored SIGINT
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, restore_signals=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    with open(pipe, "w") as source:
        source.write("\t".join(LABEL_COLUMNS))
        source.flush()
        running.send_signal(sent)
        _, said = running.communicate(timeout=60)
    assert running.returncode == code and "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.h5ad", "labels.tsv", "pipe"]


HEADER = "\t".join([*LABEL_COLUMNS, "group", "split"]) + "\n"
EMPTY = {
    "empty file": "",
    "blank lines": "\n\n",
    "comment": "# nothing\n",
    "header": HEADER,
}


@pytest.mark.parametrize("text", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize(
    ("tool", "args"),
    [
        (label_introns, ["in", "-o", "out"]),
        (fetch_sequences, ["in", "--fasta", "genome.fa.gz", "-o", "out"]),
        (embed_kmers, ["in", "-o", "out"]),
        (embed_motifs, ["in", "--motifs", "tiny.jaspar", "-o", "out"]),
        (embed_motifs, ["w.fa.gz", "--motifs", "in", "-o", "out"]),
        (split_introns, ["in", "-o", "out"]),
        (split_introns, ["in", "--scheme", "folds", "-o", "out"]),
        (audit_split, ["--labels", "in", "--windows", "w.fa.gz", "-o", "out"]),
        (audit_split, ["--labels", "labels.tsv", "--windows", "in", "-o", "out"]),
        (fit, ["--features", "k.h5ad", "--labels", "in", "-o", "out"]),
        (merge_features, ["in", "-o", "out"]),
    ],
)
def test_an_empty_input_is_refused_by_name(study, tmp_path, tool, args, text):
    for name in ("genome.fa.gz", "w.fa.gz", "labels.tsv", "k.h5ad"):
        (tmp_path / name).symlink_to(study / name)
    (tmp_path / "in").write_text(text)
    (tmp_path / "tiny.jaspar").write_text(TINY_JASPAR)
    with pytest.raises(BadData, match=r"^in\b|no row is a labelled window"):
        tool.main([*args, "--quiet"])
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


def labels_of(names, labels, folder):
    rows = [
        f"chr1\t{1000 * i}\t{1000 * i + 9}\t{name}\t0\t+\t{label}\tintron\tg{i}\tg\t{name}\t{i}\t{1 + i % 2}\n"
        for i, (name, label) in enumerate(zip(names, labels, strict=True))
    ]
    (folder / "labels.tsv").write_text(HEADER + "".join(rows))


@pytest.mark.parametrize("label", ["0", "1", "NA"])
@pytest.mark.parametrize("n", [1, 6])
def test_one_class_cannot_be_fitted(tmp_path, n, label):
    (tmp_path / "w.fa").write_text("".join(f">w{i}\nACGTACGTTTGACA\n" for i in range(n)))
    embed_kmers.main(["w.fa", "--k", "1", "-o", "k.h5ad", "--quiet"])
    labels_of([f"w{i}" for i in range(n)], [label] * n, tmp_path)
    with pytest.raises(BadData):
        fit.main(["--features", "k.h5ad", "--labels", "labels.tsv", "-o", "model", "--quiet"])
    assert not (tmp_path / "model").exists()


def test_windows_of_n_alone_become_zeros_and_match_nothing(tmp_path):
    (tmp_path / "w.fa").write_text(
        "".join(f">w{i} chr1:{9000 * i}-{9000 * i + 600}(+)\n{'N' * 600}\n" for i in range(4))
    )
    (tmp_path / "tiny.jaspar").write_text(TINY_JASPAR)
    embed_kmers.main(["w.fa", "-o", "k.h5ad", "--quiet"])
    assert (open_features("k.h5ad").x[:] == 0).all()
    embed_motifs.main(["w.fa", "--motifs", "tiny.jaspar", "-o", "m.h5ad", "--quiet"])
    assert abs(open_features("m.h5ad").x[:, 0]).max() < 1e-6
    labels_of([f"w{i}" for i in range(4)], "0101", tmp_path)
    audit_split.main(["--labels", "labels.tsv", "--windows", "w.fa", "--quiet"])
    assert (tmp_path / "audit.tsv").read_text().count("\n") == 1


@pytest.fixture
def read_only(study, tmp_path):
    """A folder with the study's files that nobody may write to, root included."""
    folder = tmp_path / "ro"
    folder.mkdir()
    root = os.geteuid() == 0
    if root and subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this system does not allow a mount")
    for name in ("annotation.gtf.gz", "genome.fa.gz", "labels.tsv", "w.fa.gz", "k.h5ad"):
        shutil.copy(study / name, folder)
    if root:
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    else:
        folder.chmod(0o555)
    yield folder
    if root:
        subprocess.run(["umount", folder], check=True)
    else:
        folder.chmod(0o755)


def test_read_only_inputs_are_read_and_read_only_outputs_refused(read_only, tmp_path):
    before = sorted(os.listdir(read_only))
    work = {
        label_introns: ["ro/annotation.gtf.gz", "--fasta", "ro/genome.fa.gz"],
        fetch_sequences: ["ro/labels.tsv", "--fasta", "ro/genome.fa.gz"],
        split_introns: ["ro/labels.tsv", "--scheme", "folds"],
        embed_kmers: ["ro/w.fa.gz", "--k", "1"],
        merge_features: ["ro/k.h5ad"],
    }
    for tool, args in work.items():
        with pytest.raises(CannotWrite, match="^ro/out"):
            tool.main([*args, "--quiet", "-o", "ro/out"])
        tool.main([*args, "--quiet", "-o", "out"])
        assert (tmp_path / "out").stat().st_size
    with pytest.raises(CannotWrite, match="^ro/out"):
        fit.main(
            ["--features", "ro/k.h5ad", "--labels", "ro/labels.tsv", "--bootstrap", "10", "-o", "ro/out", "--quiet"]
        )
    assert sorted(os.listdir(read_only)) == before


@pytest.mark.parametrize("home", [{"HOME": "/nonexistent"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_no_home_and_no_utf8_locale(tool, tmp_path, home):
    annotation, genome = write_study(tmp_path, {"内含子": "chr1", "b": "chr1"})
    tool("label_introns", annotation, "--fasta", genome, "--folds", 2, env=home)
    assert "内含子" in (tmp_path / "labels.tsv").read_text(encoding="utf-8")


def test_links_in_a_loop_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises((ToolError, OSError)):
        embed_kmers.main(["a", "-o", "out"])
    assert not (tmp_path / "out").exists()
