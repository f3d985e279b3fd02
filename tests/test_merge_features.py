"""merge_features: the bytes of the unsharded embedding for any number of shards; shards that do not fit are refused."""

import resource
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

import embed_kmers
import embed_motifs
import merge_features
from intronaut.core.errors import BadData
from random_genomes import random_genome

MEME = "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF M1 TF1\nletter-probability matrix: w= 2\n0.9 0.1 0 0\n0 0 0.5 0.5\n"
N = 33


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.meme").write_text(MEME)
    return tmp_path


def records(n=N, seed=1):
    sequences = random_genome(seed, {f"w{i}": 60 + i for i in range(n)})
    return [f">{name} chr1:{i}-{i + len(s)}(+) anchor=donor\n{s}\n" for i, (name, s) in enumerate(sequences.items())]


def embed(embedder, text, path, *options):
    fasta = path.with_suffix(".fa")
    fasta.write_text(text)
    options = [*options, "--motifs", "m.meme"] if embedder is embed_motifs else list(options)
    embedder.main([str(fasta), "-o", str(path), "--quiet", *map(str, options)])
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("embedder", [embed_kmers, embed_motifs])
@pytest.mark.parametrize("n_shards", [1, 2, 16])
def test_any_number_of_shards_gives_the_bytes_of_the_whole(here, embedder, n_shards):
    texts = records()
    whole = embed(embedder, "".join(texts), here / "whole.h5ad")
    size = -(-N // n_shards)
    pieces = ["".join(texts[first : first + size]) for first in range(0, N, size)]
    shards = [embed(embedder, text, here / f"shard{i}.h5ad") for i, text in enumerate(pieces)]
    merge_features.main([*shards, "-o", "merged.h5ad", "--quiet"])
    assert (here / "merged.h5ad").read_bytes() == Path(whole).read_bytes()
    assert anndata.read_h5ad("merged.h5ad").obs_names[-1] == f"w{N - 1}"


def refused(*shards, says):
    with pytest.raises(BadData) as problem:
        merge_features.main([*shards, "-o", "merged.h5ad", "--quiet"])
    assert says in str(problem.value)
    return str(problem.value)


def test_shards_that_do_not_fit_together_are_refused(here):
    one, two, three, four = ("".join(records(12)[first : first + 3]) for first in range(0, 12, 3))
    k3, k3_two = (embed(embed_kmers, text, here / name, "--k", 3) for text, name in ((one, "a.h5ad"), (two, "b.h5ad")))
    k2 = embed(embed_kmers, three, here / "c.h5ad", "--k", 2)
    motifs = embed(embed_motifs, four, here / "d.h5ad")
    said = refused(k3, k3_two, k2, motifs, says="problems")
    assert "c.h5ad" in said and "k 2 and 3" in said
    assert "tool 'embed_motifs' and 'embed_kmers'" in said
    assert "hold different features" in said
    assert "b.h5ad and" not in said
    said = refused(k3, k3, says="window 'w0' occurs in")
    assert "3 problems" in said
    assert sorted(path.name for path in here.glob("*merged*")) == []


def test_other_number_type_is_refused(here):
    one = embed(embed_kmers, "".join(records(3)), here / "a.h5ad", "--k", 2)
    two = embed(embed_kmers, "".join(records(6)[3:]), here / "b.h5ad", "--k", 2)
    other = anndata.read_h5ad(two)
    other.X = other.X.astype(np.float16)
    other.write_h5ad("c.h5ad")
    refused(one, "c.h5ad", says="hold different features")


def test_cut_shard_is_refused(here):
    one = embed(embed_kmers, "".join(records(3)), here / "a.h5ad", "--k", 2)
    whole = (here / "a.h5ad").read_bytes()
    for cut in (0, 100, len(whole) // 2, len(whole) - 1):
        (here / "cut.h5ad").write_bytes(whole[:cut])
        refused("cut.h5ad", one, says="not a whole HDF5 file")


@pytest.mark.parametrize("kept", [np.asarray, csr_matrix])
def test_a_users_own_matrix_is_no_shard(here, kept):
    one = embed(embed_kmers, "".join(records(3)), here / "a.h5ad", "--k", 2)
    obs, var = pd.DataFrame({"tissue": ["liver"]}, index=["x"]), pd.DataFrame(index=["f"])
    anndata.AnnData(kept(np.ones((1, 1), np.float32)), obs, var).write_h5ad("own.h5ad")
    refused("own.h5ad", one, says="own.h5ad is not from an embedder")


@pytest.mark.slow
def test_more_shards_than_a_process_may_open_at_once(here):
    texts = records()
    shards = [embed(embed_kmers, text, here / f"shard{i}.h5ad") for i, text in enumerate(texts)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 10, limits[1]))
    try:
        merge_features.main([*shards, "-o", "merged.h5ad", "--quiet"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(anndata.read_h5ad("merged.h5ad")) == N
