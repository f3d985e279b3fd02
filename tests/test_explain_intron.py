import json
import re

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

import explain
import explain_intron
import fit
from conftest import ROOT
from intronaut.models.folder import read_model
from simulated_introns import FIT, write_features, write_labels

pytest_plugins = ["fitted_models"]

GALAXY = ROOT / "galaxy" / "test-data"
CARDS = ("--model", "m", "--features", "f.h5ad", "-o", "c", "--threads", "1")
HOSTILE = '<script>alert("$x^{1}$")</script>&'


def cards(folder):
    return json.loads((folder / "c/cards.json").read_text())


def test_a_card_adds_up_to_the_logit_and_says_what_is_known(tmp_path, fitted):
    explain_intron.main([*CARDS, "--introns", "i7", "i3", "--labels", "labels.tsv", "--groups", "3"])
    model = read_model(tmp_path / "m")
    logits = model.logits(fitted.astype(float))
    parts = (fitted - model.mean) / model.sd * model.weights
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t").set_index("name")
    judged = pd.read_csv(tmp_path / "m/predictions.tsv", sep="\t").set_index("name")
    assert [card["name"] for card in cards(tmp_path)] == ["i7", "i3"]
    for card, row in zip(cards(tmp_path), (7, 3), strict=True):
        own = labels.loc[card["name"]]
        shown = [part["contribution"] for part in card["for"] + card["against"]]
        assert card["baseline"] + sum(shown) + card["other"] == pytest.approx(logits[row], abs=1e-5)
        assert card["logit_in_sample"] == pytest.approx(logits[row], abs=1e-5)
        assert card["p_retained"] == pytest.approx(judged.loc[card["name"], "p_retained"])
        assert card["prediction"] == "held-out"
        assert [part["contribution"] for part in card["for"]] == pytest.approx(np.sort(parts[row])[:-4:-1], abs=1e-5)
        assert card["region"] == f"1:{own['start'] + 1:,}-{own['end']:,}"
        assert card["label"] == ("retained" if own["label"] == 1 else "spliced") and card["n_other"] == 14


def test_a_card_says_what_happens_if_the_intron_stays(tmp_path, fitted):
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t", dtype=str, keep_default_na=False)
    of_coding = {"region": "cds", "frame": "1", "premature_stop": "1", "nmd": "0"}
    labels.assign(**of_coding).to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    explain_intron.main([*CARDS, "--introns", "i7", "--labels", "labels.tsv"])
    assert cards(tmp_path)[0]["if_retained"].startswith("the protein ends early, too late for decay")
    assert "If it stays: the protein ends early, too late for decay" in (tmp_path / "c/cards.html").read_text()


def test_the_table_holds_what_the_cards_hold(tmp_path, fitted):
    explain_intron.main([*CARDS, "--top", "2", "--group-by", "family"])
    table = pd.read_csv(tmp_path / "c/cards.tsv", sep="\t")
    judged = pd.read_csv(tmp_path / "m/predictions.tsv", sep="\t")
    by_fold = judged.groupby("fold")["logit"]
    judged["place"] = (by_fold.rank() - 0.5) / by_fold.transform("size")
    first = judged.sort_values("place", ascending=False, kind="stable")["name"][:2]
    for card, name in zip(cards(tmp_path), first, strict=True):
        own = table[table["name"] == name]
        assert card["name"] == name and card["gene"] is None and card["label"] == "unknown"
        moves = own.loc[own["kind"] != "neighbour", "value"].sum()
        assert card["baseline"] + moves == pytest.approx(card["logit_in_sample"], abs=1e-3)
        assert set(own.loc[own["kind"].isin(["for", "against"]), "item"]) == {"fam0", "fam1", "fam2", "fam3"}


def test_neighbours_are_the_nearest_by_standardised_features(tmp_path, fitted):
    explain_intron.main([*CARDS, "--introns", "i11", "--neighbours", "4"])
    z = (fitted - fitted.mean(axis=0)) / fitted.std(axis=0)
    far = cdist(z[[11]], z)[0] / np.sqrt(z.shape[1])
    found = cards(tmp_path)[0]["neighbours"]
    assert [other["name"] for other in found] == [f"i{k}" for k in np.argsort(far)[1:5]]
    assert [other["distance"] for other in found] == pytest.approx(np.sort(far)[1:5], rel=1e-4)


def test_trees_have_cards_too(tmp_path, fitted):
    fit.main([*FIT, "--model", "lightgbm"])
    explain_intron.main([*CARDS, "--introns", "i0"])
    model = read_model(tmp_path / "m")
    card = cards(tmp_path)[0]
    moves = sum(part["contribution"] for part in card["for"] + card["against"]) + card["other"]
    assert card["baseline"] + moves == pytest.approx(float(model.logits(fitted[:1].astype(float))[0]), abs=1e-5)


def test_few_retained_introns_are_said_on_the_page(tmp_path, fitted, capsys):
    path, few = tmp_path / "m/metrics.json", "49 retained introns are few: below 50"
    explain_intron.main([*CARDS, "--top", "1"])
    assert "are few" not in capsys.readouterr().err + (tmp_path / "c/cards.html").read_text()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_retained": 49}))
    explain_intron.main([*CARDS, "--top", "1"])
    assert few in capsys.readouterr().err and few in (tmp_path / "c/cards.html").read_text()


def test_hostile_names_stay_text_on_the_page(tmp_path, fitted):
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t")
    names = [HOSTILE, *labels["name"][1:]]
    var = pd.DataFrame({"family": [f"{HOSTILE} {j % 4}" for j in range(20)]})
    var.index = pd.Index([f"f{j}" for j in range(20)], name="name")
    write_features(tmp_path / "f.h5ad", names, fitted, var)
    write_labels(tmp_path / "labels.tsv", labels.assign(name=names, gene_name=HOSTILE))
    fit.main(FIT)
    explain_intron.main([*CARDS, "--introns", HOSTILE, "--group-by", "family", "--labels", "labels.tsv"])
    page = (tmp_path / "c/cards.html").read_text()
    assert "<script" not in page and page.count("&lt;script&gt;") > 5
    assert re.search(r"<text[^>]*>[^<]*&lt;script&gt;alert\([^)]*\$x\^\{1\}\$", page)
    assert not re.search(r'(src|href)="?http', re.sub(r"<svg.*?</svg>", "", page, flags=re.S))
    assert cards(tmp_path)[0]["name"] == HOSTILE


def of_motifs(folder, values, provenance):
    """Features of two JASPAR motifs and of one that two factors share, and which of their groups explain selects."""
    ids, factors = ["MA0139.2"] * 7 + ["MA0079.5"] * 13, ["CTCF"] * 7 + ["SP1"] * 7 + ["A", "B"] * 3
    var = pd.DataFrame({"motif_id": ids, "tf": factors, "kind": ["CTCF"] * 7 + ["SP1"] * 7 + ["several"] * 6})
    var.index = pd.Index([f"f{j}" for j in range(20)], name="name")
    write_features(folder / "f.h5ad", [f"i{k}" for k in range(500)], values, var, provenance=provenance)
    fit.main(FIT)
    (folder / "explained").mkdir()
    told = "group\tstatus\nCTCF\tselected\nSP1\tnot shown\nseveral\tselected\n"
    (folder / "explained/groups.tsv").write_text(told)


@pytest.mark.parametrize("given", [(), ("--motifs", GALAXY / "motifs.jaspar")], ids=["JASPAR", "file"])
def test_logos_are_those_of_selected_motifs(tmp_path, fitted, given):
    source = {"motifs_sha256": "0"} if given else {"motifs": "JASPAR2024 CORE vertebrates, newest versions"}
    of_motifs(tmp_path, fitted, {"tool": "embed_motifs", **source})
    told = ("--introns", "i7", "i3", "--group-by", "kind", "--explain", "explained", *map(str, given))
    explain_intron.main([*CARDS, *told])
    page = (tmp_path / "c/cards.html").read_text()
    assert page.count("CTCF (MA0139.2)") == 1 and "(MA0079.5)" not in page
    assert page.index("Motifs that hold") < page.index("Nearest introns")


def test_motifs_that_are_not_at_hand_or_not_selected_have_no_logo(tmp_path, fitted, capsys):
    of_motifs(tmp_path, fitted, {"tool": "embed_motifs", "motifs_sha256": "0"})
    explain_intron.main([*CARDS, "--introns", "i7", "--group-by", "kind", "--explain", "explained"])
    assert "no logo of MA0139.2: give the file that embed_motifs read with --motifs" in capsys.readouterr().err
    assert "Motifs that hold" not in (tmp_path / "c/cards.html").read_text()
    (tmp_path / "explained/groups.tsv").write_text("group\nCTCF\n")  # without --labels explain selects nothing
    explain_intron.main([*CARDS, "--introns", "i7", "--group-by", "kind", "--explain", "explained"])
    assert "Motifs that hold" not in (tmp_path / "c/cards.html").read_text()


def own_matrix(folder):
    """The features as a user would write them with anndata: names and numbers, nothing else."""
    with h5py.File(folder / "f.h5ad") as file:
        names, columns = (file[f"{part}/_index"].asstr()[:] for part in ("obs", "var"))
        x = file["X"][:]
    anndata.AnnData(x, pd.DataFrame(index=names), pd.DataFrame(index=columns)).write_h5ad(folder / "own.h5ad")
    return "own.h5ad"


def test_a_users_own_matrix_without_coordinates_has_cards(tmp_path, fitted):
    arguments = ["--model", "m", "--features", own_matrix(tmp_path), "--introns", "i7", "--threads", "1"]
    explain_intron.main([*CARDS, "--introns", "i7"])
    explain_intron.main([*arguments, "-o", "own"])
    card = json.loads((tmp_path / "own/cards.json").read_text())[0]
    assert card["region"] is None and card["strand"] == "."
    assert card["logit_in_sample"] == cards(tmp_path)[0]["logit_in_sample"]
    explain_intron.main([*arguments, "-o", "placed", "--labels", "labels.tsv"])
    assert json.loads((tmp_path / "placed/cards.json").read_text())[0]["region"].startswith("1:")
    explain.main(["--model", "m", "--features", "own.h5ad", "-o", "explained", "--full-matrix", "--threads", "1"])
    whole = anndata.read_h5ad(tmp_path / "explained/contributions.h5ad").to_df().loc["i7"]
    assert card["baseline"] + whole.sum() == pytest.approx(card["logit_in_sample"], abs=1e-3)


def test_labels_of_another_genome_are_refused(tool, tmp_path, fitted):
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t", dtype=str)
    labels.assign(name="II:" + labels["name"]).to_csv(tmp_path / "other.tsv", sep="\t", index=False)
    told = tool("explain_intron", *CARDS, "--top", "1", "--labels", "other.tsv", code=65).stderr
    assert "other.tsv: names no intron of f.h5ad; its introns are like 'i0'" in told


def test_introns_that_are_not_there_are_named(tool, tmp_path, fitted):
    told = tool("explain_intron", *CARDS, "--introns", "i1", "chr9:1-2", code=65).stderr
    assert told.splitlines()[-1] == "explain_intron: error: f.h5ad: no intron 'chr9:1-2'; names are like 'i0'"
    assert not (tmp_path / "c").exists()


def test_nothing_is_ranked_where_the_model_tells_nothing(tmp_path, fitted, capsys):
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t")
    noise = np.random.default_rng(8).normal(size=fitted.shape)
    write_features(tmp_path / "f.h5ad", list(labels["name"]), noise)
    fit.main(FIT)
    explain_intron.main([*CARDS, "--top", "3"])
    assert "no intron is ranked: the 95 % interval of the model's AUROC, 0." in capsys.readouterr().err
    assert cards(tmp_path) == [] and "No intron is ranked" in (tmp_path / "c/cards.html").read_text()
    assert pd.read_csv(tmp_path / "c/cards.tsv", sep="\t").empty
    explain_intron.main([*CARDS, "--introns", "i1"])
    assert len(cards(tmp_path)) == 1


def test_introns_that_trained_the_model_have_no_probability(tmp_path, fitted):
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t")
    labels["split"] = np.where(labels["split"] == 1, "test", np.where(labels["split"] == 2, "valid", "train"))
    write_labels(tmp_path / "labels.tsv", labels)
    fit.main(FIT)
    test, train = labels["name"][labels["split"] == "test"].iloc[0], labels["name"][labels["split"] == "train"].iloc[0]
    explain_intron.main([*CARDS, "--introns", train, test])
    seen, held_out = cards(tmp_path)
    assert (seen["p_retained"], seen["prediction"]) == (None, "seen in training") and held_out[
        "prediction"
    ] == "held-out"
    assert "No prediction: seen in training" in (tmp_path / "c/cards.html").read_text()


def test_a_locus_of_two_names_has_one_card_and_a_new_intron_a_prediction(tmp_path, fitted):
    labels = pd.read_csv(tmp_path / "labels.tsv", sep="\t")
    explain_intron.main([*CARDS, "--top", "4", "--labels", "labels.tsv"])
    first, second = (card["name"] for card in cards(tmp_path)[:2])
    place = labels.set_index("name").loc[first, ["start", "end"]]
    labels.loc[labels["name"] == second, ["start", "end"]] = place.to_numpy()
    write_labels(tmp_path / "twice.tsv", labels)
    explain_intron.main([*CARDS, "--top", "4", "--labels", "twice.tsv"])
    assert [card["name"] for card in cards(tmp_path)][:1] == [first]
    assert second not in [card["name"] for card in cards(tmp_path)] and len(cards(tmp_path)) == 4
    write_features(tmp_path / "f.h5ad", ["new"], fitted[:1])
    explain_intron.main([*CARDS, "--introns", "new"])
    card = cards(tmp_path)[0]
    assert card["prediction"] == "new intron" and card["held_out_rank"] is None
    assert card["p_retained"] == pytest.approx(1 / (1 + np.exp(-card["logit_in_sample"])))
