"""embed_splice: every feature against whole genes read at once, on both strands, in chunks and from a cache."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

import embed_splice
from conftest import DEMO
from intronaut.core.dna import reverse_complement
from intronaut.core.errors import BadData, TryAgain
from intronaut.features import splice
from intronaut.genome.gene_spans import read_gene_spans
from intronaut.io.h5ad import open_features
from intronaut.networks.splice import ACCEPTOR, DONOR, SpliceNetworks, one_hot, open_networks
from random_genomes import write_fasta
from random_splice import write_random

pytest_plugins = ["splice_weights"]
LENGTH = 2600
# name, start, end on the plus strand, inside the gene [300, 2300)
INTRONS = [("a", 400, 700), ("b", 800, 860), ("c", 900, 2200)]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A gene of three introns on the plus strand of contig p, and the same read backwards on the minus strand of m."""
    folder, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(1)
    sequence = "".join(rng.choice(list("ACGT"), LENGTH))
    write_fasta(folder / "g.fa", {"p": sequence, "m": reverse_complement(sequence)})
    write_random(folder / "w.safetensors", nets=2)
    places = [(f"{name}_p", "p", start, end, "+") for name, start, end in INTRONS]
    places += [(f"{name}_m", "m", LENGTH - end, LENGTH - start, "-") for name, start, end in INTRONS]
    places.sort(key=lambda row: (row[1] == "m", row[2]))
    lines = [f"{chrom}\t{start}\t{end}\t{name}\t0\t{strand}\n" for name, chrom, start, end, strand in places]
    (folder / "introns.bed").write_text("".join(lines))
    exons = [(300, 400), (700, 800), (860, 900), (2200, 2300)]
    gtf = [line("p", start, end, "+") for start, end in exons]
    gtf += [line("m", LENGTH - end, LENGTH - start, "-") for start, end in reversed(exons)]
    (folder / "g.gtf").write_text("".join(gtf))
    return folder, sequence


def line(chrom, start, end, strand):
    attributes = f'gene_id "{chrom}"; transcript_id "{chrom}1";'
    return f"{chrom}\ttest\texon\t{start + 1}\t{end}\t.\t{strand}\t.\t{attributes}\n"


def run(folder, output, *options):
    words = [folder / "introns.bed", "--fasta", folder / "g.fa", "--weights", folder / "w.safetensors", "-o", output]
    embed_splice.main([str(word) for word in (*words, *options, "--threads", 1, "--quiet")])
    features = open_features(output)
    return pd.DataFrame(features.x[:], index=features.obs.index, columns=features.var.index)


def wanted(folder, sequence, reach=5000):
    """The features of the plus strand's introns, from the whole contig at once."""
    networks = open_networks(folder / "w.safetensors")
    p = networks.probabilities(one_hot(["N" * 5000 + sequence + "N" * 5000]))[:, 0].numpy()
    found = {}
    for name, start, end in INTRONS:
        values = []
        for kind, site in ((DONOR, start - 1), (ACCEPTOR, end)):
            mean = p[:, kind].mean(axis=0)
            inside = [x for x in range(start, end) if x < start + reach or x >= end - reach]
            near = [x for x in range(site - 50, site + 51) if x != site]
            values += [mean[site], p[:, kind, site].std(), max(mean[inside]), max(mean[near]), sum(mean[inside] >= 0.1)]
        found[name] = values
    return found


@pytest.mark.parametrize(("options", "masked", "reach"), [
    ((), False, 5000), (("--annotation", "g.gtf"), True, 5000), (("--annotation", "g.gtf", "--outside"), False, 5000),
    (("--annotation", "g.gtf", "--reach", "100"), True, 100),
])  # fmt: skip
def test_features_are_those_of_the_whole_gene(study, tmp_path, options, masked, reach, monkeypatch):
    folder, sequence = study
    monkeypatch.chdir(folder)
    table = run(folder, tmp_path / "f.h5ad", *options)
    if masked:
        sequence = "N" * 300 + sequence[300:2300] + "N" * (LENGTH - 2300)
    for name, values in wanted(folder, sequence, reach).items():
        for strand in "pm":
            found = table.loc[f"{name}_{strand}"].to_numpy(float)
            logits = [0, 2, 3, 5, 7, 8]
            found[logits] = expit(found[logits])
            clipped = np.clip(np.array(values)[logits], splice.SMALLEST, 1 - splice.SMALLEST)
            assert np.abs(found[logits] - clipped).max() < 1e-5
            assert np.abs(np.delete(found, logits) - np.delete(values, logits)).max() < 1e-5


def test_chunks_change_nothing(study, tmp_path, monkeypatch):
    whole = run(study[0], tmp_path / "whole.h5ad")
    monkeypatch.setattr(splice, "CHUNK", 300)
    monkeypatch.setattr(splice, "JOINED_GAP", 20)
    assert np.abs(run(study[0], tmp_path / "parts.h5ad") - whole).to_numpy().max() < 1e-4


@pytest.mark.parametrize("options", [(), ("--layer", "last")])
def test_bases_that_do_not_fit_into_memory_are_halved_to_the_same_bytes(study, tmp_path, monkeypatch, options):
    whole = run(study[0], tmp_path / "whole.h5ad", *options)
    probabilities, lengths = SpliceNetworks.probabilities, []

    def capped(networks, x, layer=False):
        lengths.append(x.shape[2] - 10_000)
        if lengths[-1] > 500:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return probabilities(networks, x, layer)

    monkeypatch.setattr(SpliceNetworks, "probabilities", capped)
    assert (run(study[0], tmp_path / "halves.h5ad", *options) == whole).all(axis=None)
    assert max(lengths) > 500 and not any(length % splice.ALIGNED for length in lengths)
    monkeypatch.setattr(SpliceNetworks, "probabilities", lambda networks, x, layer=False: torch.empty(2**60))
    with pytest.raises(TryAgain, match="10,064 bases do not fit into memory"):
        run(study[0], tmp_path / "none.h5ad", *options)


def test_last_layer_is_that_of_the_networks(study, tmp_path):
    folder, sequence = study
    table = run(folder, tmp_path / "f.h5ad", "--layer", "last", "--nets", 1)
    assert table.shape == (6, 10 + 64)
    networks = open_networks(folder / "w.safetensors", nets=1)
    _, sums = networks.probabilities(one_hot(["N" * 5000 + sequence + "N" * 5000]), layer=True)
    for name, start, end in INTRONS:
        hidden = np.concatenate([sums[0, 0, :, start - 1], sums[0, 0, :, end]])
        for strand in "pm":
            assert np.abs(table.loc[f"{name}_{strand}"].to_numpy()[10:] - hidden).max() < 1e-3


def test_a_cache_is_read_and_gives_the_same(study, tmp_path, monkeypatch):
    first = run(study[0], tmp_path / "first.h5ad", "--cache", tmp_path / "cache")
    assert list((tmp_path / "cache").glob("*.npy"))
    monkeypatch.setattr(splice.Tracks, "compute", lambda *_: pytest.fail("computed again"))
    second = run(study[0], tmp_path / "second.h5ad", "--cache", tmp_path / "cache")
    assert np.array_equal(first, second)
    assert (tmp_path / "first.h5ad").read_bytes() == (tmp_path / "second.h5ad").read_bytes()


def test_what_is_left_of_a_cache_or_of_an_earlier_version_is_made_anew(study, tmp_path, monkeypatch):
    whole = run(study[0], tmp_path / "f.h5ad", "--cache", tmp_path / "cache")
    for path in (tmp_path / "cache").glob("*.npy"):
        path.write_bytes(path.read_bytes()[:-7])
    assert np.array_equal(run(study[0], tmp_path / "again.h5ad", "--cache", tmp_path / "cache"), whole)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(splice.Tracks, "compute", killed)
        run(study[0], tmp_path / "old.h5ad")
    with h5py.File(tmp_path / ".old.h5ad.part", "r+") as part:
        del part["uns/intronaut/row_crc32"]
    assert len(run(study[0], tmp_path / "old.h5ad")) == 6


def test_a_killed_run_goes_on(study, tmp_path, monkeypatch):
    whole, calls = run(study[0], tmp_path / "whole.h5ad"), []
    compute = splice.Tracks.compute

    def killed(self, *args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compute(self, *args)

    monkeypatch.setattr(splice.Tracks, "compute", killed)
    with pytest.raises(KeyboardInterrupt):
        run(study[0], tmp_path / "f.h5ad")
    assert not (tmp_path / "f.h5ad").exists()
    again = run(study[0], tmp_path / "f.h5ad")
    assert np.array_equal(again, whole) and len(calls) == 3


def test_inputs_that_cannot_be(study, tmp_path):
    folder, _ = study
    for name in ("g.fa", "w.safetensors"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "introns.bed").write_text("p\t400\t700\ta\n")
    with pytest.raises(BadData, match="a has no strand, so neither donor nor acceptor"):
        run(tmp_path, tmp_path / "f.h5ad")
    (tmp_path / "introns.bed").write_text("p\t2400\t2500\ta\t0\t+\n")
    with pytest.raises(BadData, match="no gene holds any of the introns"):
        run(tmp_path, tmp_path / "f.h5ad", "--annotation", folder / "g.gtf")
    assert not (tmp_path / "f.h5ad").exists()


def test_gene_spans(study):
    spans = read_gene_spans(study[0] / "g.gtf")
    plus, minus = spans.genes["p"][0], spans.genes["m"][0]
    assert plus == ("p", 300, 2300, "+", "p") and minus == ("m", 300, 2300, "-", "m")
    assert spans.donors[plus].tolist() == [399, 799, 899] and spans.acceptors[plus].tolist() == [700, 860, 2200]
    assert spans.donors[minus].tolist() == [LENGTH - 900, LENGTH - 800, LENGTH - 400]
    assert spans.at("p", 2299, 2300) == [plus] and spans.at("p", 2300, 2301) == []
    assert spans.of_intron("p", 400, 700, "+") == plus and spans.of_intron("p", 400, 700, "-") is None


def test_real_weights_know_the_sites_of_real_genes(real_weights, tmp_path):
    """On annotated sites of a gene of chr19; these the networks have seen in training."""
    introns = ["19\t632938\t633197\ta\t0\t-\n", "19\t630168\t632833\tb\t0\t-\n", "19\t632000\t632500\tno\t0\t-\n"]
    (tmp_path / "introns.bed").write_text("".join(sorted(introns)))
    words = [tmp_path / "introns.bed", "--fasta", DEMO / "chr19_6Mb.fa.gz", "--weights", real_weights, "--reach", 100]
    words += ["-o", tmp_path / "f.h5ad", "--threads", 1, "--nets", 2, "--quiet"]
    embed_splice.main([str(word) for word in words])
    features = open_features(tmp_path / "f.h5ad")
    table = pd.DataFrame(features.x[:], index=features.obs.index, columns=features.var.index)
    assert table.loc["b", ["donor", "acceptor"]].min() > 2 and table.loc["no", ["donor", "acceptor"]].max() < -4
    assert features.provenance["attribution"].startswith("CI-SpliceAI, Strauch et al. 2022")
