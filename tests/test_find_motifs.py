"""find_motifs: planted motifs are found and composition is not; the paper's procedure takes it for motifs."""

import gzip
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportions_ztest

import find_motifs
import simulated_introns
from intronaut.core.errors import BadData, MissingInput, ToolError, UsageError
from intronaut.motifs.pwm import Motif, jaspar_motifs
from intronaut.motifs.seqlets import discover
from intronaut.motifs.similarity import families, nearest_known, normalised_correlations
from intronaut.motifs.windows import landmarks, read_study
from intronaut.paper.motifs import compare_as_paper
from intronaut.report.associations import gc_sentence, motif_count
from intronaut.report.read_study import read_motifs

BASES = np.array(list("ACGT"))
ADJUST = ("--adjust", "gc,length")


@pytest.fixture(scope="module")
def jaspar():
    return {motif.motif_id: motif for motif in jaspar_motifs("JASPAR2024", "vertebrates")}


def random_sequences(gc, length, rng):
    """One sequence for each GC content."""
    return ["".join(rng.choice(BASES, length, p=[(1 - g) / 2, g / 2, g / 2, (1 - g) / 2])) for g in gc]


def write_study(folder, sequences, label, seed=0):
    """windows.fa and labels.tsv of introns whose donor is mid-window; every fifth on the minus strand."""
    table = simulated_introns.introns(len(label), seed).assign(label=label.astype(int))
    table["strand"] = np.where(np.arange(len(label)) % 5, "+", "-")
    simulated_introns.write_labels(folder / "labels.tsv", table)
    half = len(sequences[0]) // 2
    with open(folder / "windows.fa", "w") as out:
        for row, sequence in zip(table.itertuples(), sequences, strict=True):
            start = row.start - half if row.strand == "+" else row.end - half
            out.write(f">{row.name} 1:{start}-{start + len(sequence)}({row.strand}) anchor=donor\n{sequence}\n")


def write_meme(path, motifs):
    parts = ["MEME version 4\n\nALPHABET= ACGT\n"]
    for motif in motifs:
        shares = motif.counts / motif.counts.sum(axis=1, keepdims=True)
        rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in shares)
        parts.append(
            f"MOTIF {motif.motif_id} {motif.tf}\n"
            f"letter-probability matrix: alength= 4 w= {len(shares)} nsites= 100\n{rows}\n"
        )
    path.write_text("\n".join(parts))


def consensus(motif):
    return "".join(BASES[motif.counts.argmax(axis=1)])


@pytest.fixture
def find(tmp_path, monkeypatch):
    def run(*args, output="found"):
        monkeypatch.chdir(tmp_path)
        args = ["windows.fa", "--labels", "labels.tsv", "-o", output, "--threads", "1", *map(str, args)]
        find_motifs.main(args)
        return json.loads((tmp_path / output / "summary.json").read_text())

    return run


@pytest.fixture(scope="module")
def planted(tmp_path_factory, jaspar):
    """300 windows; CTCF sites 30 bp after the donor in 60 % of the retained and 15 % of the spliced."""
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(2)
    label = rng.random(300) < 0.4
    sequences = random_sequences(np.full(300, 0.45), 200, rng)
    ctcf, planted = next(motif for motif in jaspar.values() if motif.tf == "CTCF"), rng.random(300)
    held = planted < np.where(label, 0.6, 0.15)
    sites = [
        s[:130] + consensus(ctcf) + s[130 + len(ctcf.counts) :] if h else s
        for s, h in zip(sequences, held, strict=True)
    ]
    write_study(folder, sites, label)
    write_meme(folder / "some.meme", [ctcf, *list(jaspar.values())[::40]])
    return folder, ctcf, held, label


@pytest.fixture
def undrawn(monkeypatch):
    """Figures take longer than all the rest; one run draws them for all tests."""
    monkeypatch.setattr("intronaut.plots.motifs.draw_tests", lambda *args: None)
    monkeypatch.setattr("intronaut.plots.svg.save_both", lambda *args: None)


def run_in(folder, output, *args):
    given = [folder / "windows.fa", "--labels", folder / "labels.tsv", "--motifs", folder / "some.meme", *args]
    find_motifs.main([*map(str, given), "-o", str(folder / output), "--threads", "1", "--quiet"])
    return folder / output


@pytest.fixture(scope="module")
def found(planted):
    return run_in(planted[0], "found")


def read(path):
    return pd.read_csv(path, sep="\t", na_values="NA", keep_default_na=False)


def test_planted_motif_is_the_one_that_is_found(planted, found):
    _, ctcf, held, label = planted
    table = read(found / "motifs.tsv").set_index("motif_id")
    assert table.index[0] == ctcf.motif_id and table["q"].iloc[0] < 1e-6 and table["q"].iloc[1] > 0.01
    row = table.loc[ctcf.motif_id]
    # chance adds a site to some 4 % of the others, at 370 places a window and p of 1e-4; it takes none away
    assert 0 <= row["retained_hit"] - held[label].sum() <= 8 and 0 <= row["spliced_hit"] - held[~label].sum() <= 16
    wanted = (0.6 / 0.4) / (0.15 / 0.85)
    assert row["low"] < wanted < row["high"]
    assert row["q_shuffled"] > 0.05 or np.isnan(row["q_shuffled"])
    summary = json.loads((found / "summary.json").read_text())
    assert summary["significant_motifs"]["shuffled"] == 0
    assert summary["n_retained"] == label.sum() and summary["n_spliced"] == (~label).sum()


def test_adjusted_effect_equals_statsmodels_on_the_written_sites(planted, found):
    import statsmodels.api as sm

    folder, ctcf, _, label = planted
    sites = read(found / "sites.tsv.gz")
    labels = read(folder / "labels.tsv").set_index("name")
    sequences = (folder / "windows.fa").read_text().split("\n")[1::2]
    gc = np.array([(s.count("G") + s.count("C")) / len(s) for s in sequences])
    length = np.log10(1 + labels["length"].to_numpy())
    hit = labels.index.isin(sites["window"][sites["name"] == ctcf.motif_id]).astype(float)
    terms = np.column_stack([hit, np.ones(300), gc, gc**2, length, length**2])
    model = sm.Logit(label.astype(float), terms)
    groups = labels["group"].factorize()[0]
    robust, model = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": groups}), model.fit(disp=0)
    row = read(found / "motifs.tsv").set_index("motif_id").loc[ctcf.motif_id]
    assert np.log(row["odds_ratio"]) == pytest.approx(model.params[0], rel=1e-4)
    assert np.log(row["high"] / row["low"]) / 2 / 1.98422 == pytest.approx(
        max(model.bse[0], robust.bse[0]), rel=1e-3
    )  # t, 99 df


def test_sites_are_bed_of_the_genome(planted, found):
    folder, ctcf, held, _ = planted
    sites = read(found / "sites.tsv.gz")
    labels = read(folder / "labels.tsv").set_index("name")
    own = sites[(sites["name"] == ctcf.motif_id) & (sites["window_start"] == 130)]
    assert set(own["window"]) == {f"i{k}" for k in np.flatnonzero(held)}
    for row in own.itertuples():
        intron = labels.loc[row.window]
        first = intron["start"] + 30 if intron["strand"] == "+" else intron["end"] - 30 - len(ctcf.counts)
        assert (row.start, row.end, row.strand) == (first, first + len(ctcf.counts), intron["strand"])
    assert ((sites["p"] <= 1e-4) & (sites["p"] > 0) & (sites["q"] <= 1)).all()


def test_positions_are_told_from_the_donor_in_the_direction_of_transcription(planted, found):
    _, ctcf, held, label = planted
    table = read(found / "positions.tsv")
    family = read(found / "motifs.tsv").set_index("motif_id").loc[ctcf.motif_id, "family"]
    own = table[(table["family"] == family) & (table["label"] == 1) & (table["landmark"] == "donor")].set_index("start")
    middle = 30 + (len(ctcf.counts) - 1) / 2
    assert own["share"].idxmax() == middle // 20 * 20
    assert own["hit"].max() == pytest.approx(held[label].sum(), abs=2) and own["windows"].max() == label.sum()


def test_figures_and_tables_are_all_there_and_the_same_every_time(planted, found):
    again = run_in(planted[0], "again")
    drawn = [f"{name}.{kind}" for name in ("volcano", "gc", "positions", "logos") for kind in ("svg", "png")]
    names = {"motifs.tsv", "families.tsv", "sites.tsv.gz", "positions.tsv", "summary.json", *drawn}
    assert {path.name for path in found.iterdir()} == names
    for name in names:
        assert (found / name).read_bytes() == (again / name).read_bytes(), name


def test_best_score_of_a_window_may_be_tested_instead(planted, undrawn):
    out = run_in(planted[0], "best", "--measure", "best", "--no-shuffle")
    table = read(out / "motifs.tsv")
    assert table["motif_id"].iloc[0] == planted[1].motif_id and table["q"].iloc[0] < 1e-6
    assert "p_shuffled" not in table and (table["status"] == "tested").all()


@pytest.fixture(scope="module")
def only_gc(tmp_path_factory):
    """Windows without any motif: retained ones are GC-richer, and that is all."""
    folder = tmp_path_factory.mktemp("gc")
    rng = np.random.default_rng(7)
    label = rng.random(400) < 0.35
    gc = np.where(label, rng.normal(0.56, 0.05, 400), rng.normal(0.44, 0.05, 400))
    write_study(folder, random_sequences(gc, 160, rng), label)
    return folder


def test_pure_gc_yields_no_motif_after_adjustment_but_hundreds_by_the_paper(only_gc, monkeypatch, undrawn):
    monkeypatch.chdir(only_gc)
    both = ["windows.fa", "--labels", "labels.tsv", "--threads", "2", "--quiet"]
    find_motifs.main([*both, "-o", "ours", "--no-shuffle"])
    ours = json.loads((only_gc / "ours" / "summary.json").read_text())
    assert ours["significant_motifs"]["adjusted"] == 0 and ours["significant_families"]["adjusted"] == 0
    assert ours["significant_motifs"]["unadjusted"] > 50
    assert ours["gc_correlation"]["unadjusted"] > 0.7 and abs(ours["gc_correlation"]["adjusted"]) < 0.25
    find_motifs.main([*both, "-o", "paper", "--preset", "paper"])
    paper = json.loads((only_gc / "paper" / "summary.json").read_text())
    assert paper["significant"] > 200 and paper["gc_correlation"] > 0.7
    assert len(paper["faults"]) == 6


def naive_paper(windows, label, motif):
    """The paper's count for one motif, spelled out: pieces of 32 bp of both strands, the motif on one of them."""
    codes = np.concatenate(windows)
    background = np.bincount(codes, minlength=4) / len(codes)
    share = motif.counts / motif.counts.sum(axis=1, keepdims=True)
    odds, least = np.log((share + 1e-20) / background)[::-1, ::-1], 0.8 * share.max()
    hits, pieces = {0: 0, 1: 0}, {0: 0, 1: 0}
    for window, own in zip(windows, label, strict=True):
        for strand in (window, 3 - window[::-1]):
            for first in range(0, len(window) - 31, 32):
                piece = strand[first : first + 32]
                scores = [odds[np.arange(len(odds)), piece[k : k + len(odds)]].sum() for k in range(33 - len(odds))]
                for kind in (0, 1) if own else (0,):
                    pieces[kind] += 1
                    hits[kind] += max(scores) > least
    return hits, pieces


def test_paper_preset_counts_as_the_paper_did(jaspar):
    rng = np.random.default_rng(9)
    windows = [rng.integers(0, 4, 100).astype(np.uint8) for _ in range(20)]
    label = np.arange(20) % 3 == 0
    motifs = list(jaspar.values())[:400:50]
    table = compare_as_paper(windows, label, motifs).set_index("motif_id")
    for motif in motifs:
        hits, pieces = naive_paper(windows, label, motif)
        row = table.loc[motif.motif_id]
        assert (row["hits_spliced"], row["n_spliced"]) == (hits[0], pieces[0])
        assert (row["hits_retained"], row["n_retained"]) == (hits[1], pieces[1])
        if 0 < hits[0] < pieces[0]:
            z, p = proportions_ztest([hits[1], hits[0]], [pieces[1], pieces[0]])
            assert (row["z"], row["p"]) == (pytest.approx(z), pytest.approx(p))
    np.testing.assert_allclose(table["p_bonferroni"], np.minimum(table["p"] * 8, 1))


def test_paper_preset_takes_confident_rows_and_hot_positions(jaspar):
    codes = np.random.default_rng(1).integers(0, 4, 100).astype(np.uint8)
    windows, label = [codes] * 4, np.array([1, 1, 0, 0])
    hypothetical = np.zeros((4, 4, 100), np.float32)
    # a base that is not there: what it would take away makes the position hot all the same
    hypothetical[:, (codes[50] + 1) % 4, 50] = -3
    hypothetical[:, codes[80], 80] = 0.8
    hypothetical[:, codes[30], 30] = -0.9  # hot toward spliced
    table = compare_as_paper(
        windows, label, [jaspar["MA0139.2"]], p_retained=[0.9, 0.7, 0.1, 0.9], hypothetical=hypothetical
    )
    # rows 0 (retained, 0.9) and 2 (spliced, 0.1) are confident and right; row 0 is counted as spliced too
    assert table["n_retained"].tolist() == [2 * 2] and table["n_spliced"].tolist() == [2 * 2 * 1]
    with pytest.raises(BadData, match=r"no retained window is predicted right with a probability above 0\.8"):
        compare_as_paper(windows, label, [jaspar["MA0139.2"]], p_retained=[0.8, 0.7, 0.1, 0.1])


def test_versions_and_look_alikes_are_one_family(jaspar):
    ctcf = next(motif for motif in jaspar.values() if motif.tf == "CTCF")
    reverse = Motif("X1.1", "rc", ctcf.counts[::-1, ::-1])
    trimmed = Motif("X2.1", "part", ctcf.counts[1:-1])
    old = Motif(ctcf.motif_id.split(".")[0] + ".99", "old", np.random.default_rng(0).dirichlet([1] * 4, 6))
    other = jaspar["MA0095.4"] if "MA0095.4" in jaspar else list(jaspar.values())[3]
    found = families([ctcf, other, reverse, trimmed, old])
    assert found[0] == found[2] == found[3] == found[4] != found[1]
    alike = normalised_correlations([ctcf, reverse, trimmed])
    n = len(ctcf.counts)
    np.testing.assert_allclose(alike[0], [1, 1, (n - 2) / n], atol=1e-5)


def test_correlation_of_matrices_equals_numpy(jaspar):
    """The best alignment by trying every offset and strand with numpy's corrcoef."""
    motifs = list(jaspar.values())[:200:25]
    alike = normalised_correlations(motifs)
    shares = [m.counts / m.counts.sum(axis=1, keepdims=True) for m in motifs]
    for a, one in enumerate(shares):
        for b, other in enumerate(shares):
            best = 0
            for turned in (other, other[::-1, ::-1]):
                for offset in range(1 - len(turned), len(one)):
                    first, last = max(offset, 0), min(len(one), offset + len(turned))
                    x, y = one[first:last], turned[first - offset : last - offset]
                    r = np.corrcoef(x.ravel(), y.ravel())[0, 1]
                    best = max(best, r * (last - first) / (len(one) + len(turned) - last + first) if r >= 0.6 else 0)
            assert alike[a, b] == pytest.approx(best, abs=1e-4)


def enumerated_tomtom(query, targets):
    """Tomtom's p-values by adding up every choice of target columns, as the paper defines its complete scores.

    The score of an offset is the sum of minus the columns' Euclidean distance, less its median over all columns of the
    targets on both strands; p is the chance that random columns score as well at any offset, on either strand.
    """
    turned = [target[::-1, ::-1] for target in targets]
    every = np.concatenate(targets + turned)
    distance = -np.linalg.norm(query[:, None] - every, axis=2)
    median = np.median(distance, axis=1)
    sums = {}
    for first in range(len(query)):
        total = np.zeros(1)
        for last in range(first, len(query)):
            total = (total[:, None] + distance[last] - median[last]).ravel()
            sums[first, last + 1] = np.sort(total)
    found = []
    for target in targets + turned:
        spans = {
            offset: (max(0, -offset), min(len(query), len(target) - offset))
            for offset in range(1 - len(query), len(target))
        }
        best = max(
            sum(-np.linalg.norm(query[i] - target[i + offset]) - median[i] for i in range(*span))
            for offset, span in spans.items()
        )
        below = [np.searchsorted(sums[span], best - 1e-9) / len(sums[span]) for span in spans.values()]
        found.append(1 - np.prod(below))
    return 1 - (1 - np.reshape(found, (2, -1)).min(axis=0)) ** 2


def test_tomtom_p_values_equal_those_of_every_choice_of_columns():
    rng = np.random.default_rng(0)
    known = [Motif(f"K{k}", f"k{k}", rng.dirichlet([0.4] * 4, 2 + k % 3)) for k in range(30)]
    shares = [motif.counts for motif in known]
    n_columns = 2 * sum(map(len, shares))
    queries = [Motif("new", "new", rng.dirichlet([0.4] * 4, 3)), Motif("turned", "turned", shares[7][::-1, ::-1])]
    table = nearest_known(queries, known, 30).set_index(["motif_id", "known_id"])
    for query in queries:
        told = table.loc[query.motif_id, "p"].loc[[motif.motif_id for motif in known]]
        apart = np.log10(told / enumerated_tomtom(query.counts, shares))
        # Tomtom rounds scores to 100 steps
        assert np.abs(apart).max() < 0.15 and np.abs(apart).median() < 0.03
    # only the same three columns score as well as a motif does against itself, on the one strand or the other
    own = table.loc["turned", "K7"]
    assert (own["rank"], own["strand"], own["overlap"]) == (1, "-", 3)
    assert own["p"] == pytest.approx(2 / n_columns**3, rel=1e-5) and own["e"] == pytest.approx(30 * own["p"])


def test_tomtom_names_planted_motifs_among_all_of_jaspar(jaspar, planted, undrawn):
    folder, ctcf, _, _ = planted
    gata = next(motif for motif in jaspar.values() if motif.tf == "GATA1")
    blurred = gata.counts + 0.1 * gata.counts.sum(axis=1, keepdims=True)
    write_meme(folder / "new.meme", [ctcf, Motif("turned", "new", blurred[::-1, ::-1])])
    out = run_in(folder, "named", "--motifs", folder / "new.meme", "--tomtom", "--no-shuffle")
    table = read(out / "tomtom.tsv")
    assert table["rank"].tolist() == [1, 2, 3] * 2 and table.groupby("motif_id")["p"].is_monotonic_increasing.all()
    own, other = table[table["rank"] == 1].set_index("motif_id").loc[[ctcf.motif_id, "turned"]].itertuples()
    assert (own.known_id, own.known_tf, own.strand, own.overlap) == (ctcf.motif_id, "CTCF", "+", len(ctcf.counts))
    assert own.p < 1e-20 and own.e == pytest.approx(own.p * len(jaspar), rel=1e-5)
    assert "GATA" in other.known_tf.upper() and other.strand == "-" and other.e < 0.05


def test_landmarks_of_both_strands_and_readings(tmp_path):
    table = simulated_introns.introns(4).assign(label=[0, 1, 0, 1], strand=["+", "-", "-", "+"], start=1000, end=1100)
    simulated_introns.write_labels(tmp_path / "l.tsv", table)
    reads = ["+", "-", "+", "-"]
    text = "".join(f">i{k} 1:950-1120({read})\n{'ACGTA' * 34}\n" for k, read in enumerate(reads))
    (tmp_path / "w.fa").write_text(text)
    places, direction = landmarks(read_study(tmp_path / "w.fa", tmp_path / "l.tsv", []))
    assert places["donor"].tolist() == [50, 20, 149, 119] and places["acceptor"].tolist() == [149, 119, 50, 20]
    assert direction.tolist() == [1, 1, -1, -1] and set(places["centre"]) == {84.5}


def write_attributions(path, names, observed, hypothetical=None):
    with h5py.File(path, "w") as file:
        file["name"] = np.array(names, dtype=h5py.string_dtype())
        file["observed"] = observed.astype(np.float32)
        if hypothetical is not None:
            file["hypothetical"] = hypothetical.astype(np.float32)


def test_only_sites_in_seqlets_count(planted, undrawn):
    folder, ctcf, held, label = planted
    rng = np.random.default_rng(4)
    observed = rng.normal(0, 0.01, (300, 200))
    observed[held & label, 130 : 130 + len(ctcf.counts)] = 1.0
    order = rng.permutation(300)
    write_attributions(folder / "a.h5", [f"i{k}" for k in order], observed[order])
    out = run_in(folder, "seqlets", "--attributions", folder / "a.h5", "--no-shuffle")
    seqlets = read(out / "seqlets.tsv")
    strong = seqlets[seqlets["score"] > 2]
    assert set(strong["name"]) == {f"i{k}" for k in np.flatnonzero(held & label)}
    assert len(strong) == (held & label).sum() and strong["window_start"].between(115, 145).all()
    sites = read(out / "sites.tsv.gz")
    own = sites[sites["name"] == ctcf.motif_id]
    assert set(own["window"]) == set(strong["name"])
    own = own[own["window_start"] == 130]
    assert set(own["window"]) == set(strong["name"])
    assert own["attribution"].to_numpy() == pytest.approx(len(ctcf.counts), abs=0.3)
    row = read(out / "motifs.tsv").set_index("motif_id").loc[ctcf.motif_id]
    assert row["attribution"] == pytest.approx(len(ctcf.counts), abs=1)
    # of the retained only: infinite odds, told as such
    assert (row["odds_ratio"], row["spliced_hit"]) == (np.inf, 0) and np.isnan(row["low"])
    # whoever has a seqlet here has this one: the number of bases in seqlets explains it as well
    assert row["q_unadjusted"] < 1e-6 and row["q"] > 0.05


def test_attributions_without_any_seqlet_make_whole_outputs(planted, undrawn):
    folder, _, _, label = planted
    write_attributions(folder / "flat.h5", [f"i{k}" for k in range(300)], np.zeros((300, 200)))
    out = run_in(folder, "flat", "--attributions", folder / "flat.h5", "--no-shuffle")
    # the standard of JSON knows no NaN
    told = json.loads((out / "summary.json").read_text(), parse_constant=pytest.fail)
    assert (told["n_sites"], told["gc_correlation"]) == (0, {"unadjusted": None, "adjusted": None})
    motifs = read_motifs(out)
    assert motif_count(0, motifs["families"].iloc[:0], told).startswith("none of 0 motif families differs")
    assert gc_sentence(told, 0) == ""
    assert read(out / "families.tsv")["p"].isna().all()


def test_noise_has_few_seqlets_and_none_reaches_past_its_window():
    from intronaut.motifs.seqlets import find_seqlets

    noise = np.random.default_rng(0).normal(size=(200, 300)).astype(np.float32)
    assert len(find_seqlets(noise, np.full(200, 300), 0.05, np.random.default_rng(1))) <= 5
    assert len(find_seqlets(noise[:, :10], np.full(200, 10), 0.05, np.random.default_rng(1))) == 0
    noise[:, 150:] = 0
    noise[:, 130:150] = 3
    found = find_seqlets(noise, np.full(200, 150), 0.05, np.random.default_rng(1))
    assert len(found) >= 200 and found["end"].max() == 150 and set(found["end"] - found["start"]) == {21}


def test_modisco_that_is_not_installed_is_one_line_at_once(find, tmp_path, monkeypatch):
    for name in ("windows.fa", "labels.tsv", "a.h5"):
        (tmp_path / name).touch()
    monkeypatch.setattr(find_motifs, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="pip install modisco"):
        find("--attributions", "a.h5", "--modisco")


def test_motifs_of_modisco_are_its_patterns_without_their_flanks(tmp_path, monkeypatch):
    sequence = np.random.default_rng(0).dirichlet([1] * 4, 6)
    contributions = np.outer([0.1, -0.4, 0.1, 1, 0.31, 0.29], [1, 0, 0, 0])
    pattern = SimpleNamespace(sequence=sequence, contrib_scores=contributions, seqlets=[None] * 25)
    seen = {}

    def patterns(one_hot, hypothetical_contribs):
        seen.update(bases=one_hot, hypothetical=hypothetical_contribs)
        return None, [pattern]

    saved = lambda path, *patterns: Path(path).touch()  # noqa: E731
    monkeypatch.setitem(sys.modules, "modiscolite.tfmodisco", SimpleNamespace(TFMoDISco=patterns))
    monkeypatch.setitem(sys.modules, "modiscolite.io", SimpleNamespace(save_hdf5=saved))
    hypothetical = np.arange(24.0).reshape(2, 4, 3)
    windows = [np.array([0, 1, 4], np.uint8), np.array([3, 2, 1], np.uint8)]
    (motif,) = discover(windows, hypothetical, tmp_path / "modisco.h5")
    assert motif.motif_id == "spliced_1" and (tmp_path / "modisco.h5").exists()
    np.testing.assert_allclose(motif.counts, 25 * sequence[1:5])
    assert seen["bases"][0].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert seen["hypothetical"][1, 2, 3] == hypothetical[1, 3, 2]
    with pytest.raises(BadData, match="windows of one length; these have 2 to 3 bases"):
        discover([windows[0], windows[1][:2]], hypothetical, tmp_path / "again.h5")


@pytest.mark.parametrize(
    ("change", "args", "refused", "says"),
    [
        ({}, ["--tomtom"], UsageError, "--tomtom needs --motifs"),
        ({}, ["--modisco"], UsageError, "--modisco needs --attributions"),
        ({}, ["--predictions", "p.tsv"], UsageError, "--predictions needs --preset"),
        ({}, ["--adjust", "gc,expression"], UsageError, "no column expression"),
        ({}, ["--background", "0.3", "0.3", "0.3", "0.3"], UsageError, "adds up to 1.2"),
        ({}, ["--p-value", "0.5"], UsageError, "nearly everything"),
        ({}, ["--motifs", "none.meme"], MissingInput, "none.meme: No such file"),
        ({"label": [1, 1, 1, 1]}, [], BadData, "4 retained and 0 spliced windows"),
        ({"label": ["NA"] * 4}, [], BadData, "0 retained and 0 spliced windows"),
        ({"h5": "text"}, ["--attributions", "a.h5"], BadData, "not a whole HDF5 file"),
        (
            {"h5": (["i0", "i1"], 2, 40)},
            ["--attributions", "a.h5"],
            BadData,
            "no attributions of 2 of 4 windows, as i2",
        ),
        (
            {"h5": (["i0", "i1", "i2", "i3"], 4, 30)},
            ["--attributions", "a.h5"],
            BadData,
            "30 bases a window at most, but i0 has 40",
        ),
        ({"h5": (["i0", "i1", "i2", "i2"], 4, 40)}, ["--attributions", "a.h5"], BadData, "a name occurs twice"),
        ({"h5": (["i0", "i1", "i2", "i3"], 3, 40)}, ["--attributions", "a.h5"], BadData, "do not fit together"),
    ],
)
def test_wrong_inputs_are_refused_in_one_line(find, tmp_path, change, args, refused, says):
    label = change.get("label", [1, 0, 1, 0])
    table = simulated_introns.introns(4).assign(label=label)
    simulated_introns.write_labels(tmp_path / "labels.tsv", table)
    (tmp_path / "windows.fa").write_text("".join(f">i{k}\n{'ACGT' * 10}\n" for k in range(4)))
    if isinstance(change.get("h5"), tuple):
        names, n, length = change["h5"]
        write_attributions(tmp_path / "a.h5", names, np.zeros((n, length)))
    elif "h5" in change:
        (tmp_path / "a.h5").write_text(change["h5"])
    if "p.tsv" in args:
        (tmp_path / "p.tsv").write_text("")
    with pytest.raises(refused, match=says) as failed:
        find(*args)
    assert len(str(failed.value).splitlines()) == 1
    assert not (tmp_path / "found").exists()


def test_windows_without_coordinates_labels_or_bases_are_counted(find, tmp_path, jaspar, undrawn):
    table = simulated_introns.introns(40).assign(label=[1, 0] * 20)
    table.loc[3, "label"] = np.nan
    simulated_introns.write_labels(tmp_path / "labels.tsv", table)
    sequences = random_sequences(np.full(40, 0.5), 60, np.random.default_rng(1))
    sequences[5] = "N" * 60
    text = "".join(f">i{k}\n{sequence}\n" for k, sequence in enumerate(sequences[:38])) + ">other\nACGT\n"
    (tmp_path / "windows.fa").write_text(text)
    write_meme(tmp_path / "m.meme", [jaspar["MA0139.2"]])
    summary = find("--motifs", "m.meme", "--no-shuffle", "--quiet")
    assert summary["left_out"] == {"not_in_labels": 1, "no_label": 1, "no_covariate": 1, "no_window": 2}
    assert summary["n_retained"] + summary["n_spliced"] == 36
    with gzip.open(tmp_path / "found" / "sites.tsv.gz", "rt") as sites:
        assert all(line.startswith("i") for line in list(sites)[1:])


def test_options_that_the_papers_procedure_lacks_are_refused(tool):
    given = ("--labels", "l.tsv", "-o", "m", "--preset", "paper", "--measure", "best", "--no-shuffle")
    told = tool("find_motifs", "w.fa", *given, code=2).stderr
    assert "--measure, --no-shuffle: without effect with --preset paper" in told
