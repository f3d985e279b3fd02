"""Attributions: against hand-worked models and whole predictions, in the right place on both strands, whole outputs."""

import json
import re
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pybigtools
import pytest
import torch
from torch import nn

import attribute
import embed_sei
from intronaut.core.dna import base_codes, reverse_complement
from intronaut.core.errors import BadData, UsageError
from intronaut.features.open_model import open_model
from intronaut.interpret.attribution import BaseModel, Settings
from intronaut.interpret.attribution import attribute as attribution_of
from intronaut.interpret.sequence_models import differentiable
from intronaut.io import h5ad
from intronaut.io.bedgraph import bedgraph_rows, merged_blocks
from intronaut.io.fasta import Window
from intronaut.models.folder import LinearModel, write_linear
from intronaut.networks.classifiers import base_reader
from intronaut.plots.attributions import peaks_near
from networks_by_hand import SPECS, drawn, write_folder
from random_checkpoints import write_sei
from rounding import rounding

CPU = torch.device("cpu")
MOTIF = "TGACTCACG"


def sequence(length, seed=1):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def one_hot(text):
    return np.array([[letter == base for letter in text] for base in "ACGT"], float)


def planted_network(length):
    """A Basset whose logit grows with every match of more than six bases to MOTIF, on either strand."""
    network = drawn(SPECS["basset"] | {"length": length})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.reset_running_stats()
            module.reset_parameters()
        elif isinstance(module, (nn.Conv1d, nn.Linear)):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    convs = [module for module in network.trunk if isinstance(module, nn.Conv1d)]
    dense = [module for module in network.head if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for channel, motif in enumerate((MOTIF, reverse_complement(MOTIF))):
            convs[0].weight[channel, :, 2 : 2 + len(motif)] = torch.from_numpy(one_hot(motif))
            convs[0].bias[channel] = -6
            convs[1].weight[0, channel, 2] = 1
        convs[2].weight[0, 0, 4] = 1
        positions = dense[0].in_features // 50
        dense[0].weight[0, :positions] = 1
        dense[1].weight[0, 0] = dense[2].weight[1, 0] = 1
    return network


def write_fasta(path, windows):
    path.write_text("".join(f">{window.header()}\n{window.sequence}\n" for window in windows))


def read(folder):
    """``(windows.tsv, name → dataset of attributions.h5)``"""
    with h5py.File(folder / "attributions.h5") as file:
        arrays = {name: file[name][:] for name in ("observed", "hypothetical", "codes") if name in file}
    return pd.read_csv(folder / "windows.tsv", sep="\t"), arrays


def bedgraph(path):
    return pd.read_csv(path, sep="\t", names=["chrom", "start", "end", "value"], dtype={"chrom": str})


class Linear(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float32))

    def forward(self, x):
        return (x * self.weights).sum((1, 2)) + 3


@pytest.mark.parametrize("method", ["ig", "ism", "gradient"])
def test_a_linear_model_worked_by_hand(method):
    text, weights = sequence(30), np.random.default_rng(2).normal(size=(4, 30))
    model = BaseModel({"+": Linear(weights)}, base_reader(30).encode, CPU)
    made = attribution_of(model, text, "a", Settings(method, baseline="flat"))
    centred = weights - weights.mean(0)
    np.testing.assert_allclose(made.hypothetical, centred, atol=1e-5)
    np.testing.assert_allclose(made.observed, (centred * one_hot(text)).sum(0), atol=1e-5)
    assert made.logit == pytest.approx((weights * one_hot(text)).sum() + 3, abs=1e-4)
    if method == "ig":
        assert made.attributed == pytest.approx(made.logit - weights.mean(0).sum() - 3, abs=1e-4)


def test_shuffled_baselines_of_a_linear_model_by_hand():
    text, weights = sequence(40), np.random.default_rng(2).normal(size=(4, 40))
    model = BaseModel({"+": Linear(weights)}, base_reader(40).encode, CPU)
    settings = Settings("ig", baselines=7, seed=5)
    made = attribution_of(model, text, "a", settings)
    shuffles = {}

    class Seen(BaseModel):
        def baselines(self, *args):
            shuffles["of"] = super().baselines(*args)
            return shuffles["of"]

    attribution_of(Seen({"+": Linear(weights)}, base_reader(40).encode, CPU), text, "a", settings)
    mean = np.mean([one_hot(shuffled) for shuffled in shuffles["of"]], axis=0)
    assert len(set(shuffles["of"])) == 7 and text not in shuffles["of"]
    np.testing.assert_allclose(made.hypothetical, weights - (mean * weights).sum(0), atol=1e-5)


@pytest.fixture(params=["sei", "dnabert2", "basset", "basenji", "attentionconv"])
def folder(request, tmp_path):
    network = drawn(SPECS[request.param] | ({} if request.param == "dnabert2" else {"length": 170}))
    return write_folder(tmp_path / request.param, network)


def opened(folder):
    return differentiable(open_model(folder, "cpu"), folder, None, CPU, None)[0]


def test_integrated_gradients_add_up(folder):
    # the widest networks cost most: one baseline
    baseline = "flat" if folder.name in ("basenji", "attentionconv") else "shuffled"
    settings = Settings("ig", baseline, baselines=20, steps=8, batch=40)
    made = attribution_of(opened(folder), sequence(170), "a", settings)
    assert made.gap < 0.01 and made.attributed != 0
    assert (
        abs(made.attributed - (made.logit - made.baseline_logit)) < 0.01 * abs(made.logit - made.baseline_logit) + 1e-6
    )


def test_mutagenesis_is_the_difference_of_two_predictions(folder):
    model, text = opened(folder), sequence(170)
    made = attribution_of(model, text, "a", Settings("ism", centre=4))

    def logit(changed):
        return attribution_of(model, changed, "a", Settings("ism", centre=1)).logit

    before = logit(text)
    precision = rounding(before)
    for place in (83, 86):
        own = "ACGT".index(text[place])
        for base in range(4):
            change = logit(text[:place] + "ACGT"[base] + text[place + 1 :]) - before
            attributed = made.hypothetical[base, place] - made.hypothetical[own, place]
            assert attributed == pytest.approx(change, abs=precision)
        assert made.observed[place] == made.hypothetical[own, place]
    assert not made.observed[:83].any() and not made.observed[87:].any()
    np.testing.assert_allclose(made.hypothetical.sum(0), 0, atol=precision)


@pytest.mark.parametrize("method", ["ig", "ism", "gradient"])
@pytest.mark.parametrize("length", [120, 121, 90, 151])
def test_the_other_strand_has_the_same_attributions_turned_round(method, length):
    # windows that fit, that are padded and that are cut, evenly or not
    model = BaseModel(dict.fromkeys("+-", drawn(SPECS["basset"] | {"length": 120})), base_reader(120).encode, CPU)
    text, settings = sequence(length), Settings(method, baseline="flat")
    one, other = (attribution_of(model, given, "a", settings) for given in (text, reverse_complement(text)))
    assert one.hypothetical.any() and one.hypothetical.shape == (4, length)
    precision = rounding(one.logit)
    np.testing.assert_allclose(one.hypothetical, other.hypothetical[::-1, ::-1], atol=precision)
    np.testing.assert_allclose(one.observed, other.observed[::-1], atol=precision)
    assert one.logits["+"] == pytest.approx(other.logits["-"], abs=precision)


def test_methods_agree_on_a_planted_motif():
    model = BaseModel(dict.fromkeys("+-", planted_network(200)), base_reader(200).encode, CPU)
    agreeing = strong = 0
    for seed in range(5):
        place = 20 + 31 * seed
        motif = MOTIF if seed % 2 else reverse_complement(MOTIF)
        text = sequence(200, seed)
        text = text[:place] + motif + text[place + len(motif) :]
        by = {
            method: attribution_of(model, text, "a", Settings(method, baselines=20, steps=16, most_steps=16)).observed
            for method in ("ism", "ig", "gradient")
        }
        chosen = np.abs(by["ism"]) > 0.3 * np.abs(by["ism"]).max()
        assert chosen[place : place + len(motif)].all()
        chosen[:place], chosen[place + len(motif) :] = False, False
        strong += chosen.sum()
        agreeing += (np.sign(by["ism"]) == np.sign(by["ig"]))[chosen].sum()
        assert by["gradient"][place : place + len(motif)].min() > 0
    assert strong == 45 and agreeing >= 0.95 * strong


def test_bases_that_are_unknown_add_nothing():
    model = BaseModel(dict.fromkeys("+-", drawn(SPECS["basset"] | {"length": 120})), base_reader(120).encode, CPU)
    text = "NN" + sequence(50) + "RNN" + sequence(60) + "N" * 5
    unknown = [place for place, letter in enumerate(text) if letter not in "ACGT"]
    for method in ("ig", "ism"):
        made = attribution_of(model, text, "a", Settings(method, baselines=3, steps=8, most_steps=8))
        np.testing.assert_allclose(made.observed[unknown], 0, atol=1e-9)


def test_a_token_shares_its_attribution_among_its_bases(tmp_path):
    folder = write_folder(tmp_path / "m", drawn(SPECS["dnabert2"]), strands="forward", max_tokens=30)
    model, text = opened(folder), sequence(170)
    made = attribution_of(model, text, "a", Settings("ig", baselines=4))
    spans = model.tokenizer.reader.encode(text).offsets[1:29]
    for first, end in spans:
        assert np.ptp(made.observed[first:end]) == 0
    # what --max-tokens cut is not read
    assert not made.observed[spans[-1][1] :].any() and made.observed[: spans[-1][1]].any()
    assert made.hypothetical is None and made.gap < 0.01


@pytest.mark.parametrize(
    ("features", "strands", "context"),
    [("all", "mean", "native"), ("tf", "forward", "npad"), ("seqclass", "both", "native"), ("spline", "mean", "native"),
     ("trunk", "both", "native"), ("logits", "mean", "native")],
)  # fmt: skip
def test_linear_models_on_sei_embedded_anew(features, strands, context, tmp_path):
    sei, text, places = write_sei(tmp_path / "sei"), sequence(40), (0, 21, 39)
    mutants = {
        (place, base): text[:place] + base + text[place + 1 :]
        for place in places for base in "ACGT" if base != text[place]
    }  # fmt: skip
    windows = [Window("own", text), *(Window(f"{place}{base}", mutants[place, base]) for place, base in mutants)]
    write_fasta(tmp_path / "w.fa", windows)
    files = ["--weights", sei / "model.safetensors", "--targets", sei / "target.names"]
    files += ["--projection", sei / "projvec_targets.npy"]
    embed_sei.main([*map(str, [tmp_path / "w.fa", "-o", tmp_path / "f.h5ad", *files]), "--features", features,
                    "--strands", strands, "--context", context, "--threads", "1"])  # fmt: skip
    read_features = h5ad.open_features(tmp_path / "f.h5ad")
    values, rng = read_features.x[:].astype(float), np.random.default_rng(3)
    d = values.shape[1]
    notes = {"tool": "fit", "kind": "lr", "features": read_features.provenance, "feature_group": "all"}
    model = LinearModel(notes, rng.normal(size=d), 0.7, rng.normal(size=d), rng.uniform(0.5, 2, d))
    write_linear(tmp_path / "m", model, read_features.var)
    logits = dict(zip(["own", *mutants], model.logits(values), strict=True))
    attribute.main([*map(str, [tmp_path / "w.fa", "--model", tmp_path / "m", "-o", tmp_path / "out", *files]),
                    "--method", "ism", "--figures", "0", "--threads", "1"])  # fmt: skip
    table, arrays = read(tmp_path / "out")
    scale = max(map(abs, logits.values()))
    assert table["logit"][0] == pytest.approx(logits["own"], abs=2e-5 * scale)
    for place, base in mutants:
        column = arrays["hypothetical"][0, :, place]
        change = column["ACGT".index(base)] - column["ACGT".index(text[place])]
        assert change == pytest.approx(logits[place, base] - logits["own"], abs=2e-5 * scale)


GENOME = {"chr2": sequence(400, 1), "chr10": sequence(300, 2)}


def cut(chrom, start, end, strand):
    """A window of GENOME, N beyond its ends."""
    bases = GENOME[chrom]
    padded = "N" * max(0, -start) + bases[max(0, start) : end] + "N" * max(0, end - len(bases))
    return Window(
        f"{chrom}_{start}", padded if strand == "+" else reverse_complement(padded), chrom, start, end, strand
    )


WINDOWS = [cut("chr2", 100, 180, "+"), cut("chr10", -20, 60, "-"), cut("chr2", 150, 230, "-"),
           cut("chr2", 230, 310, "+"), cut("chr10", 250, 330, "+")]  # fmt: skip


def test_every_value_is_at_its_base_of_the_genome():
    def code_on_the_forward_strand(number):
        codes = base_codes(WINDOWS[number].sequence).astype(float)
        return codes if WINDOWS[number].strand == "+" else 3 - codes

    covered = {"chr2": [], "chr10": []}
    for chrom, start, values in merged_blocks(WINDOWS, code_on_the_forward_strand):
        assert values.tolist() == base_codes(GENOME[chrom])[start : start + len(values)].tolist()
        covered[chrom] += range(start, start + len(values))
    assert covered == {"chr2": list(range(100, 310)), "chr10": [*range(60), *range(250, 300)]}


def test_overlapping_windows_have_their_mean():
    blocks = list(merged_blocks(WINDOWS[:3], lambda number: np.full(80, float(number))))
    rows = list(bedgraph_rows(blocks))
    assert rows == [
        ("chr10", 0, 60, "1"), ("chr2", 100, 150, "0"), ("chr2", 150, 180, "1"), ("chr2", 180, 230, "2"),
    ]  # fmt: skip


@pytest.fixture
def basset(tmp_path):
    write_folder(tmp_path / "m", drawn(SPECS["basset"] | {"length": 80}), lengths=(80, 80))
    write_fasta(tmp_path / "w.fa", WINDOWS)
    (tmp_path / "sizes").write_text("".join(f"{chrom}\t{len(bases)}\n" for chrom, bases in GENOME.items()))
    return [str(tmp_path / "w.fa"), "--model", str(tmp_path / "m"), "--threads", "1"]


def test_a_run_writes_everything_and_again_the_same_bytes(basset, tmp_path, tool):
    (tmp_path / "genes.gtf").write_text(
        "".join(f'2\tx\texon\t{start}\t{end}\t.\t-\t.\tgene_id "g"; gene_name "G$1"; transcript_id "t";\n'
                for start, end in ((90, 120), (170, 260)))
    )  # fmt: skip
    (tmp_path / "peaks.bed").write_text("2\t200\t1000\tH3K4me3 $1\n2\t300\t400\telsewhere\n")
    options = ["--annotation", "genes.gtf", "--peaks", "peaks.bed", "--figure", "chr2_150", "--baselines", "3"]
    done = tool("attribute", *basset, *options, "--chrom-sizes", "sizes", "-o", "out")
    assert "5 windows by ig; the two strands' attributions correlate" in done.stderr
    out = tmp_path / "out"
    table, arrays = read(out)
    assert table["name"].tolist() == [window.name for window in WINDOWS]
    assert (table["completeness_gap"] < 0.01).all() and (table["passed"] == "yes").all()
    np.testing.assert_allclose(table["attributed"], arrays["observed"].sum(1), rtol=1e-4, atol=1e-6)
    known = arrays["codes"] < 4
    chosen = np.take_along_axis(arrays["hypothetical"], arrays["codes"].clip(max=3)[:, None].astype(int), 1)[:, 0]
    np.testing.assert_allclose(chosen[known], arrays["observed"][known], atol=1e-7)
    rows = bedgraph(out / "attributions.bedgraph")
    assert rows["start"][rows["chrom"] == "chr2"].is_monotonic_increasing and rows["chrom"].is_monotonic_increasing
    at_100 = rows[(rows["chrom"] == "chr2") & (rows["start"] == 100)]["value"].item()
    assert at_100 == pytest.approx(arrays["observed"][0, 0], rel=1e-4)
    last = rows[(rows["chrom"] == "chr2") & (rows["end"] == 230)]["value"].item()
    assert last == pytest.approx(arrays["observed"][2, 0], rel=1e-4)
    with pybigtools.open(str(out / "attributions.bw")) as bigwig:
        assert bigwig.chroms() == {chrom: len(bases) for chrom, bases in GENOME.items()}
        found = np.array(bigwig.values("chr2", 100, 230))
    places = rows[(rows["chrom"] == "chr2") & (rows["end"] <= 230)]
    expected = np.concatenate([[row.value] * (row.end - row.start) for row in places.itertuples()])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert {path.name for path in out.glob("*.*g")} == {"chr2_150.svg", "chr2_150.png"}
    drawn = (out / "chr2_150.svg").read_text()
    assert "G$1 t" in drawn and "H3K4me3 $1" in drawn and "elsewhere" not in drawn
    attribute.main([*basset, "--chrom-sizes", str(tmp_path / "sizes"), "--annotation", str(tmp_path / "genes.gtf"),
                    "--peaks", str(tmp_path / "peaks.bed"), "--figure", "chr2_150", "--baselines", "3",
                    "-o", str(tmp_path / "again")])  # fmt: skip
    for path in out.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_peaks_lie_at_their_bases_as_the_window_reads():
    rows = [("chr2", 140, 160, "a"), ("chr2", 90, 101, "b"), ("chr2", 170, 175, "a"), ("chr2", 180, 190, "beside"),
            ("chr10", 120, 130, "elsewhere"), ("chr2", 179, 300, None), ("chr2", 40, 100, "before")]  # fmt: skip
    peaks = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
    assert peaks_near(peaks, "chr2", cut("chr2", 100, 180, "+")) == [
        ("b", [[-10, 1]]), ("a", [[40, 60], [70, 75]]), ("peak", [[79, 200]]),
    ]  # fmt: skip
    assert peaks_near(peaks, "chr2", cut("chr2", 100, 180, "-")) == [
        ("peak", [[-120, 1]]), ("a", [[5, 10], [20, 40]]), ("b", [[79, 90]]),
    ]  # fmt: skip
    many = pd.DataFrame({"chrom": "chr2", "start": range(100, 107), "end": 150, "name": list("abcdefg")})
    shown = peaks_near(many, "chr2", cut("chr2", 100, 180, "+"))
    assert [name for name, _ in shown] == ["a", "b", "c", "d", "3 others"] and len(shown[-1][1]) == 3


def test_batch_size_and_other_windows_change_nothing(basset, tmp_path):
    few = ["--figures", "0", "--baselines", "4", "--steps", "8", "--max-steps", "8"]
    attribute.main([*basset, *few, "-o", str(tmp_path / "a")])
    write_fasta(tmp_path / "w.fa", WINDOWS[::-1])
    attribute.main([*basset, *few, "--batch-size", "3", "-o", str(tmp_path / "b")])
    (_, one), (_, other) = read(tmp_path / "a"), read(tmp_path / "b")
    scale = np.abs(one["hypothetical"]).max()
    np.testing.assert_allclose(one["hypothetical"], other["hypothetical"][::-1], atol=1e-3 * scale)


def test_windows_that_do_not_add_up_are_told_and_kept_out_of_the_tracks(basset, tmp_path, capsys):
    options = ["--max-gap", "1e-12", "--steps", "2", "--max-steps", "4", "--baselines", "2", "--figures", "0"]
    attribute.main([*basset, *options, "-o", str(tmp_path / "out")])
    table, _ = read(tmp_path / "out")
    assert (table["passed"] == "no").all() and (table["steps"] == 4).all()
    assert (tmp_path / "out/attributions.bedgraph").read_text() == ""
    assert "5 of 5 windows have a completeness gap above --max-gap 1e-12" in capsys.readouterr().err


def test_provenance_tells_model_and_options(basset, tmp_path):
    attribute.main([*basset, "--method", "gradient", "--figures", "0", "-o", str(tmp_path / "out")])
    with h5py.File(tmp_path / "out/attributions.h5") as file:
        made = json.loads(file.attrs["provenance"])
        assert file["name"].asstr()[:].tolist() == [window.name for window in WINDOWS]
        assert file["start"][1] == -20
    assert made["options"]["method"] == "gradient" and made["model_kind"] == "basset"
    assert re.fullmatch("[0-9a-f]{64}", made["weights_sha256"][0])


@pytest.mark.parametrize(
    ("options", "problem", "told"),
    [
        (["--figure", "nobody"], BadData, "--figure 'nobody': no such window"),
        (["--steps", "64", "--max-steps", "32"], UsageError, "--max-steps"),
        (["--chrom-sizes", "short"], BadData, "'chr10_250' reaches chr10:300; chr10 ends at 299"),
        (["--chrom-sizes", "broken"], BadData, "line 1: 'chr2 400'"),
        (["--peaks", "broken"], BadData, "broken: line 1: 1 tab-separated columns"),
    ],
)
def test_options_that_cannot_be_are_one_line(basset, options, problem, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("chr2\t400\nchr10\t299\n")
    (tmp_path / "broken").write_text("chr2 400\n")
    with pytest.raises(problem, match=told) as raised:
        attribute.main([*basset, *options, "--method", "gradient", "-o", "out"])
    assert "\n" not in str(raised.value) and not (tmp_path / "out").exists()


def test_windows_of_other_lengths_are_told_in_one_go(basset, tmp_path):
    write_fasta(tmp_path / "w.fa", [Window("a", "ACGT" * 19), WINDOWS[0], Window("b", "ACGT" * 21)])
    with pytest.raises(
        BadData, match="2 problems\n.*'a' has 76 bases; the network was trained on windows of 80\n.*'b'"
    ):
        attribute.main([*basset, "-o", str(tmp_path / "out")])


def test_models_without_a_gradient_are_refused(tmp_path):
    write_fasta(tmp_path / "w.fa", [Window("a", sequence(80))])
    args = [str(tmp_path / "w.fa"), "--model", str(tmp_path / "m"), "-o", str(tmp_path / "out")]
    write_folder(tmp_path / "m", drawn(SPECS["dnabert2"]))
    with pytest.raises(UsageError, match="use ig or ism"):
        attribute.main([*args, "--method", "gradient"])
    notes = {"tool": "fit", "kind": "lr", "features": {"tool": "embed_kmers"}}
    linear = LinearModel(notes, np.ones(1), 0.0, np.zeros(1), np.ones(1))
    write_linear(tmp_path / "m", linear, pd.DataFrame(index=["AAA"]))
    with pytest.raises(BadData, match="features of embed_kmers"):
        attribute.main(args)
    made = {"tool": "embed_sei", "features": "tf", "strands": "mean", "context": "native", "iupac": "quarter"}
    linear.notes = notes | {"features": made}
    write_linear(tmp_path / "m", linear, pd.DataFrame(index=["AAA"]))
    with pytest.raises(UsageError, match="--weights is needed"):
        attribute.main(args)


def test_figures_show_what_ranks_highest_held_out(tmp_path):
    table = pd.DataFrame({"name": ["a", "b", "c"], "logit": [3.0, 2.0, 1.0]})
    args = SimpleNamespace(model=tmp_path, figures=2)
    assert attribute.ranked_first(table, args) == ["a", "b"]
    header = "name\tlabel\tsplit\tfold\tp_retained\tlogit\n"
    (tmp_path / "predictions.tsv").write_text(header + "c\t1\t1\t1\t.9\t2\nb\t1\t1\t1\t.1\t-2\n")
    assert attribute.ranked_first(table, args) == ["c", "b"]
    # windows that the model never saw
    (tmp_path / "predictions.tsv").write_text(header + "x\t1\t1\t1\t.9\t2\n")
    assert attribute.ranked_first(table, args) == ["a", "b"]
