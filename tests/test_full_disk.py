"""A full disk: exit code 73, one line, and nothing left under a final name."""

import os
import shutil
import subprocess

import pytest

from random_checkpoints import write_dnabert2, write_sei
from random_genomes import random_genome, write_fasta


@pytest.fixture(params=[16, 100, 400])
def small_disk(tmp_path, request):
    """A file system of so many KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this system does not allow a mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.fixture
def windows(tmp_path):
    return write_fasta(tmp_path / "w.fa", random_genome(1, {f"w{i}": 500 for i in range(900)}), line=600)


def refused(tool, disk, *args):
    done = tool(*args, code=73)
    assert done.stderr.count("\n") == 1 and "No space left" in done.stderr
    assert list(disk.iterdir()) == []


def test_fetching_onto_a_full_disk(tool, tmp_path, small_disk):
    fasta = write_fasta(tmp_path / "g.fa", random_genome(2, {"a": 1_200_000}))
    bed = tmp_path / "rows.bed"
    bed.write_text("".join(f"a\t{i}\t{i + 10}\n" for i in range(1000, 1_199_000, 600)))
    refused(tool, small_disk, "fetch_sequences", bed, "--fasta", fasta, "-o", small_disk / "w.fa")
    shards = ["--shard-dir", small_disk / "shards", "--shard-size", 200]
    refused(tool, small_disk, "fetch_sequences", bed, "--fasta", fasta, "-o", small_disk / "w.fa.gz", *shards)


def test_embedding_and_merging_onto_a_full_disk(tool, tmp_path, small_disk, windows):
    refused(tool, small_disk, "embed_kmers", windows, "--k", 5, "-o", small_disk / "k.h5ad")
    tool("embed_kmers", windows, "--k", 5, "-o", tmp_path / "k.h5ad")
    refused(tool, small_disk, "merge_features", tmp_path / "k.h5ad", "-o", small_disk / "m.h5ad")


@pytest.mark.parametrize("small_disk", [100], indirect=True)
def test_embedding_with_a_model_onto_a_full_disk(tool, tmp_path, small_disk, windows):
    sei, dnabert2 = write_sei(tmp_path / "sei"), write_dnabert2(tmp_path / "dnabert2")
    options = ["--weights", sei / "model.safetensors", "--features", "spline", "--context", "npad"]
    refused(tool, small_disk, "embed_sei", windows, *options, "--quiet", "-o", small_disk / "s.h5ad")
    options = ["--weights", dnabert2 / "model.safetensors", "--tokenizer", dnabert2 / "tokenizer.json"]
    refused(tool, small_disk, "embed_dnabert2", windows, *options, "--quiet", "-o", small_disk / "d.h5ad")


def test_standard_input_that_does_not_fit_the_temporary_folder(tool, tmp_path, small_disk, windows):
    text = windows.read_text()
    done = tool("embed_kmers", "-", "-o", tmp_path / "k.h5ad", code=73, stdin=text, env={"TMPDIR": str(small_disk)})
    assert "TMPDIR" in done.stderr and list(small_disk.iterdir()) == []
