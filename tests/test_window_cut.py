"""How windows were cut goes from FASTA headers into features and models, and another cut is refused."""

import json
import random

import numpy as np
import pytest

import embed_kmers
import explain
import explain_intron
import fetch_sequences
import fit
import merge_features
import predict
from intronaut.core.errors import BadData, UsageError
from intronaut.io.fasta import Window
from intronaut.io.h5ad import open_features
from intronaut.io.window_cut import CutRecord, refuse_different_cut, refuse_different_options
from random_genomes import write_fasta
from simulated_introns import write_features

N = 40
ARGS = ("--anchor", "donor", "--length", "60")
CUT = {"anchor": "donor", "length": 60, "strand": "aware", "edge": "pad"}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A genome, N introns of two strands with labels, features of donor windows of 60 bases and a model of them."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(3)
    write_fasta(tmp_path / "genome.fa", {"1": "".join(rng.choices("ACGT", k=1000 * (N + 2)))})
    rows = [
        f"1\t{1000 * (k + 1)}\t{1000 * (k + 1) + 300}\ti{k}\t0\t{'+-'[k % 2]}\t{k % 3 % 2}\tintron\tg{k}\tG\ti{k}\tg{k}"
        for k in range(N)
    ]
    header = "chrom start end name score strand label unit gene_id gene_name intron_id group".replace(" ", "\t")
    (tmp_path / "labels.tsv").write_text("\n".join([header, *rows]) + "\n")
    embedded("f.h5ad")
    fit.main(["--features", "f.h5ad", "--labels", "labels.tsv", "-o", "m", "--bootstrap", "20", "--c-values", "0.1",
              "--threads", "1", "--quiet"])  # fmt: skip
    return tmp_path


def embedded(path, *options, anchor="donor", length=60):
    cut = ["--anchor", anchor, "--length", str(length), *options]
    fetch_sequences.main(["labels.tsv", "--fasta", "genome.fa", "-o", "w.fa", *cut, "--quiet"])
    embed_kmers.main(["w.fa", "--k", "2", "-o", path, "--quiet"])


def test_features_and_models_record_the_cut(study):
    provenance = open_features("f.h5ad").provenance
    assert provenance["window"] == CUT and len(provenance["genome"]) == 12
    notes = json.loads((study / "m/model.json").read_text())
    assert notes["features"]["window"] == CUT and notes["window_lengths"] == [60, 60]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"anchor": "acceptor"}, "window anchor was 'donor', is 'acceptor'"),
        ({"length": 64}, "window length was 60, is 64"),
        ({"strand": "forward"}, "window strand was 'aware', is 'forward'"),
        ({"edge": "shift"}, "window edge was 'pad', is 'shift'"),
    ],
)
def test_windows_cut_another_way_are_refused(study, options, told):
    cut = CUT | options
    embedded("other.h5ad", "--strand", cut["strand"], "--edge", cut["edge"], anchor=cut["anchor"], length=cut["length"])
    for tool, *more in ((predict,), (explain,), (explain_intron, "--introns", "i0")):
        with pytest.raises(BadData, match=told):
            tool.main(["--model", "m", "--features", "other.h5ad", "-o", "out", "--threads", "1", "--quiet", *more])


def test_features_without_a_record_are_taken_with_a_warning(study, capsys):
    same = open_features("f.h5ad")
    values, names = same.x[:], list(same.obs.index)
    args = ["--model", "m", "--features", "mine.h5ad", "-o", "p.tsv", "--threads", "1"]
    write_features(study / "mine.h5ad", names, values, same.var, provenance={}, length=60)
    predict.main(args)
    assert "warning: mine.h5ad does not record how its windows were cut" in capsys.readouterr().err
    write_features(study / "mine.h5ad", names, values, same.var, provenance={}, length=[60] * 39 + [59])
    with pytest.raises(BadData, match="1 windows are not 60 bases long as all of the model's were: 'i39' has 59"):
        predict.main(args)


def test_merged_shards_record_the_cut_of_all(study):
    text = (study / "w.fa").read_text()
    middle = text.index(">i20")
    fetch_sequences.main(["labels.tsv", "--fasta", "genome.fa", "-o", "w.fa", "--anchor", "acceptor", "--length", "60",
                          "--quiet"])  # fmt: skip
    other = (study / "w.fa").read_text()
    other = other[other.index(">i20") :]
    for name, windows in (("first", text[:middle]), ("second", other), ("whole", text[:middle] + other)):
        (study / f"{name}.fa").write_text(windows)
        embed_kmers.main([f"{name}.fa", "--k", "2", "-o", f"{name}.h5ad", "--quiet"])
    merge_features.main(["first.h5ad", "second.h5ad", "-o", "merged.h5ad", "--quiet"])
    assert open_features("merged.h5ad").provenance["window"]["anchor"] == ["acceptor", "donor"]
    assert (study / "merged.h5ad").read_bytes() == (study / "whole.h5ad").read_bytes()


def test_a_model_of_two_anchors_takes_windows_of_one():
    record = CutRecord()
    list(record.watch([Window("a", "A", fields={"anchor": "donor", "length": "9"}), Window("b", "A", fields={})]))
    assert record.provenance() == {"window": {"anchor": "donor", "length": 9}}
    model = {"window": {"anchor": ["acceptor", "donor"], "length": 9}, "genome": "a"}
    assert refuse_different_cut(model, record.provenance() | {"genome": "a"}, "w.fa") == []
    assert "another genome" in refuse_different_cut(model, record.provenance() | {"genome": "b"}, "w.fa")[0]
    with pytest.raises(BadData, match="anchor was 'donor', is 'centre'"):
        refuse_different_cut(record.provenance(), {"window": {"anchor": "centre"}}, "w.fa")
    with pytest.raises(UsageError, match="length was 9, is 10"):
        refuse_different_options(model, {"anchor": "donor", "length": 10})


def test_features_of_several_files_are_compared_block_by_block(study):
    embedded("again.h5ad")
    names = list(open_features("f.h5ad").obs.index)
    values = random.Random(1)
    own = [[values.random() for _ in range(3)] for _ in names]
    write_features(study / "own.h5ad", names, np.array(own), provenance={"tool": "mine", "window": CUT})
    fit.main(["--features", "f.h5ad", "own=own.h5ad", "--labels", "labels.tsv", "-o", "both", "--bootstrap", "20",
              "--c-values", "0.1", "--threads", "1", "--quiet"])  # fmt: skip
    fetch_sequences.main(["labels.tsv", "--fasta", "genome.fa", "-o", "w.fa", *ARGS, "--quiet"])
    text = (study / "w.fa").read_text()
    (study / "w.fa").write_text(text[: text.index(">i30")])
    embed_kmers.main(["w.fa", "--k", "2", "-o", "fewer.h5ad", "--quiet"])
    args = ["--model", "both", "-o", "p.tsv", "--threads", "1", "--quiet", "--features"]
    predict.main([*args, "fewer.h5ad", "own=own.h5ad"])
    assert len((study / "p.tsv").read_text().splitlines()) == 31
    embedded("other.h5ad", anchor="acceptor")
    with pytest.raises(BadData, match="window anchor was 'donor', is 'acceptor'"):
        predict.main([*args, "other.h5ad", "own=own.h5ad"])
    write_features(study / "own.h5ad", names, np.array(own), provenance={"tool": "mine", "window": CUT, "k": 3})
    with pytest.raises(BadData, match="own k was None, is 3"):
        predict.main([*args, "fewer.h5ad", "own=own.h5ad"])
