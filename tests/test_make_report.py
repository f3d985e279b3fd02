import html.parser
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

import simulated
from conftest import run_tool
from intronaut.plots.report import GRID, calibration, curves_on_grid


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Labels, a fitted model and its explanation, on simulated introns of a gene with a hostile name."""
    folder = tmp_path_factory.mktemp("fitted")
    table = simulated.introns(240)
    values = np.random.default_rng(1).normal(size=(240, 4)).astype(np.float32)
    table["label"] = simulated.draw_labels(2 * values[:, 0])
    table["gene_name"] = "<script>alert(1)</script>"
    simulated.write_labels(folder / "labels.tsv", table)
    simulated.write_features(folder / "f.h5ad", table["name"], values)
    (folder / "ledger.tsv").write_text("name\treason\nx\tno_strand\ny\tno_strand\n")
    numbers = {"1": int(table["label"].sum()), "0": int((1 - table["label"]).sum()), "NA": 0}
    counts = {"unit": "intron", "n_input": 242, "labels": numbers, "unlabelled": {}}
    (folder / "counts.json").write_text(json.dumps(counts))
    run_tool("fit", "--features", "f.h5ad", "--labels", "labels.tsv", "--bootstrap", "100", "-o", "fit/sim", cwd=folder)
    run_tool("explain", "--model", "fit/sim", "--features", "f.h5ad", "-o", "explain/sim", cwd=folder)
    return folder


@pytest.fixture
def results(fitted, tmp_path):
    """A copy of ``fitted`` that the test may change."""
    return shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)


def report(tool, *args, code=0):
    given = ["--labels", "labels.tsv", "--ledger", "ledger.tsv", "--counts", "counts.json", "--fit", "fit/sim"]
    return tool("make_report", *given, *args, code=code)


def text_of(page):
    """The words of a page without figures and styles, one space between."""
    page = re.sub(r"<(svg|style)\b.*?</\1>", " ", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_page_shows_the_numbers_of_the_metrics(tool, results):
    report(tool, "--explain", "explain/sim", "--multiqc", "multiqc")
    words = text_of((results / "report.html").read_text())
    metrics = json.loads((results / "fit/sim/metrics.json").read_text())
    for name in ("auroc", "average_precision", "brier"):
        for model in (metrics["metrics"], metrics["baseline"]["covariates"], metrics["baseline"]["combined"]):
            m = model[name]
            assert f"{m['value']:.3f} {m['low']:.3f}–{m['high']:.3f}" in words
    assert "no strand 2" in words and "all that the input held 242" in words
    assert (
        f"sim\t{metrics['metrics']['auroc']['value']:.6g}" in (results / "multiqc/intronaut_models_mqc.tsv").read_text()
    )


def test_page_needs_nothing_from_outside(tool, results):
    report(tool, "--explain", "explain/sim")

    class Sources(html.parser.HTMLParser):
        found = []

        def handle_starttag(self, tag, attrs):
            self.found += [value for key, value in attrs if key in ("src", "xlink:href") or tag == "link"]

    Sources().feed((results / "report.html").read_text())
    assert [source for source in Sources.found if not source.startswith("#")] == []


def test_links_to_files_stand_only_in_the_report_of_a_pipeline(tool, results):
    report(tool)
    assert "fit/sim/metrics.json" not in (results / "report.html").read_text()
    (results / "settings.json").write_text(json.dumps({"fasta": "genome.fa", "gtf": "genes.gtf"}))
    report(tool, "--settings", "settings.json")
    linked = re.findall(r'<a href="(fit/[^"]+)"', (results / "report.html").read_text())
    assert linked and all((results / path).is_file() for path in linked)


def test_names_from_the_data_cannot_inject_html(tool, results):
    report(tool, "--explain", "explain/sim")
    page = (results / "report.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;alert(1)" in page


def test_same_input_gives_the_same_bytes(tool, results):
    report(tool, "--explain", "explain/sim")
    first = {path.name: path.read_bytes() for path in [results / "report.html", *(results / "figures").iterdir()]}
    report(tool, "--explain", "explain/sim")
    again = {path.name: path.read_bytes() for path in [results / "report.html", *(results / "figures").iterdir()]}
    assert first == again


def test_verdict_on_the_gain_follows_its_interval(tool, results):
    path = results / "fit/sim/metrics.json"
    metrics = json.loads(path.read_text())
    for low, high, verdict in ((0.01, 0.2, "improvement that"), (-0.1, 0.1, "no difference"), (-0.3, -0.1, "a loss")):
        metrics["gain"]["combined_minus_covariates"]["auroc"] = {"value": (low + high) / 2, "low": low, "high": high}
        path.write_text(json.dumps(metrics))
        report(tool)
        assert verdict in text_of((results / "report.html").read_text())


def test_broken_counts_are_refused_in_one_line(tool, results):
    (results / "counts.json").write_text("{")
    done = report(tool, code=65)
    assert "counts.json: not JSON" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (results / "report.html").exists()


@pytest.mark.parametrize(("option", "tool_meant"), [("--counts", "label_introns"), ("--audit", "audit_split")])
def test_counts_of_another_tool_are_refused_in_one_line(tool, results, option, tool_meant):
    done = report(tool, option, "fit/sim/metrics.json", code=65)
    assert f"metrics.json: not the counts of {tool_meant}" in done.stderr and len(done.stderr.splitlines()) == 1


def test_missing_model_folder_is_named(tool, results):
    done = report(tool, "--fit", "nowhere", code=66)
    assert "nowhere" in done.stderr and len(done.stderr.splitlines()) == 1


def write_variants(folder, rows, **summary):
    """A folder of score_variants: change of the logit and intron of each row."""
    folder.mkdir()
    head = ["chrom", "pos", "ref", "alt", "name", "delta_logit", "p_ref", "p_alt", "null_p"]
    lines = ["\t".join(head), *(f"1\t7\tA\tG\t{name}\t{change}\t0.1\t0.2\tNA" for name, change in rows)]
    (folder / "scores.tsv").write_text("\n".join(lines) + "\n")
    (folder / "summary.json").write_text(
        json.dumps({"alleles": 40, "scored": 20, "left_out": {"symbolic": 20}} | summary)
    )


def test_strongest_variants_come_first_and_hostile_names_stay_text(tool, results):
    rows = [(f"i{number}", number / 100) for number in range(19)] + [("<script>alert(2)</script>", -9)]
    write_variants(results / "net", rows)
    report(tool, "--variants", "net")
    page = (results / "report.html").read_text()
    words = text_of(page)
    assert "<script>" not in page
    assert "Variants that change the prediction most: net" in words and "20 of 40 alleles" in words
    assert words.index("alert(2)") < words.index("i18") < words.index("i17")
    assert "i4 " not in words and "The first 15 of 20 lines" in words


@pytest.mark.parametrize(("low", "verdict"), [(0.45, "no longer tell"), (0.52, "still tell")])
def test_matched_covariates_are_judged_by_their_interval(tool, results, low, verdict):
    (results / "balance.tsv").write_text("covariate\tmatched\tsmd_before\tsmd_after\nlength\tyes\t-0.91\t0.02\n")
    auroc = {"before": {"value": 0.8, "low": 0.7, "high": 0.9}, "after": {"value": 0.55, "low": low, "high": 0.6}}
    (results / "matched.json").write_text(json.dumps({"covariates_auroc": auroc}))
    report(tool, "--balance", "balance.tsv", "--matched", "matched.json")
    words = text_of((results / "report.html").read_text())
    assert "-0.91 +0.02" in words and verdict in words


def test_introns_without_a_label_row_get_no_card(tool, results):
    with open(results / "explain/sim/contributions.tsv", "a") as out:
        out.write("stranger\t99\t1\tf0\tf0\t99\n")
    report(tool, "--explain", "explain/sim")
    cards = set(re.findall(r"<tr><td><code>([^<]+)</code></td>", (results / "report.html").read_text()))
    assert len(cards) == 10 and "stranger" not in cards


def words_of(results):
    return text_of((results / "report.html").read_text())


def change_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_labels(results, change):
    """Write labels.tsv anew as ``change`` makes it of its table of text."""
    path = results / "labels.tsv"
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    change(table).to_csv(path, sep="\t", index=False)


def write_enrich(folder, rows):
    """A folder of enrich; each row is a mark and its odds ratio, which is also Fisher's."""
    folder.mkdir()
    head = "mark\tretained_with\tspliced_with\todds_ratio\tlow\thigh\tq\tfisher_odds_ratio\tfisher_q"
    lines = [head, *(f"{mark}\t8\t0\t{odds}\tNA\tNA\t0.01\t{odds}\t0.01" for mark, odds in rows)]
    (folder / "enrich.tsv").write_text("\n".join(lines) + "\n")
    (folder / "enrich.json").write_text(json.dumps({"adjusted_for": ["gc"], "n_retained": 9, "n_spliced": 9}))
    (folder / "forest.svg").write_text("<svg></svg>")


def test_infinite_odds_ratios_are_shown_as_such(tool, results):
    write_enrich(results / "enrich", [("A", "inf"), ("B", "0"), ("C", "NA"), ("D", "-inf")])
    report(tool, "--enrich", "enrich")
    words = words_of(results)
    for line in ("A 8 0 ∞ – – 0.01 ∞ 0.01", "B 8 0 0 – – 0.01 0", "C 8 0 – – – 0.01 –", "D 8 0 −∞ – – 0.01 −∞"):
        assert line in words


def test_figures_of_every_section_lie_with_the_others(tool, results):
    write_enrich(results / "enrich", [("A", "2")])
    report(tool, "--enrich", "enrich")
    assert (results / "figures/enrich_forest.svg").read_text() == "<svg></svg>"


@pytest.mark.parametrize("kept", [0, 100])
def test_labels_of_another_study_are_refused_in_one_line(tool, results, kept):
    change_labels(
        results, lambda table: table.assign(name=table["name"].where(table.index < kept, "x" + table["name"]))
    )
    done = report(tool, code=65)
    assert len(done.stderr.splitlines()) == 1
    assert f"fit/sim: {240 - kept} of its 240 predictions" in done.stderr and "labels.tsv does not hold" in done.stderr


def test_labels_without_groups_promise_nothing(tool, results):
    change_labels(results, lambda table: table.drop(columns="group"))
    report(tool)
    words = words_of(results)
    assert "labels have no column group" in words and "saw neither it" not in words and "of single introns" in words


@pytest.mark.parametrize("by", ["fit", "audit"])
def test_a_split_that_leaks_is_said_to_flatter(tool, results, by):
    given = []
    if by == "fit":
        path = results / "fit/sim/metrics.json"
        rows = json.loads(path.read_text())["rows"]
        change_json(path, rows=rows | {"groups_in_several_folds": 7})
    else:
        leak = {"windows": 220, "share": 0.9167}
        audit = {"held_out": 240, "identity": 0.8, "best_identity": None}
        audit["leaks"] = dict.fromkeys(("bases", "twin", "homology"), {"windows": 0, "share": 0}) | {"gene": leak}
        (results / "audit.json").write_text(json.dumps(audit))
        given = ["--audit", "audit.json"]
    report(tool, *given)
    words = words_of(results)
    assert "saw neither it" not in words and "no base on both sides" not in words
    assert "share a gene or bases on both sides: the numbers of the models flatter them" in words


def test_a_split_without_leaks_is_said_to_have_none(tool, results):
    report(tool)
    words = words_of(results)
    assert "saw neither it nor any intron that shares a gene or bases with it (out-of-fold)" in words
    assert "a split that puts no gene and no base on both sides" in words and "flatter" not in words


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"annotation_rule": "any-exon"}, "when it lies inside an exon of any transcript of its gene;"),
        ({"annotation_rule": "strict"}, "one inside an exon of any other transcript is left out"),
        ({"annotation_rule": "retained_intron"}, "that the annotation calls retained_intron;"),
        ({"ir_calls": "a/one.tsv,b/two.txt"}, "when a caller of intron retention says so (one.tsv, two.txt);"),
        ({"ir_calls": "a/one.tsv", "ir_consensus": 2}, "when at least 2 callers of intron retention say so (one.tsv);"),
    ],
)
def test_page_tells_by_what_introns_were_labelled(tool, results, settings, told):
    (results / "settings.json").write_text(json.dumps({"fasta": "genome.fa", "gtf": "genes.gtf"} | settings))
    report(tool, "--settings", "settings.json")
    words = words_of(results)
    assert told in words and "Introns come from the annotation." in words


def test_peaks_are_not_said_to_be_introns(tool, results):
    change_json(results / "counts.json", unit="peak")
    settings = {"fasta": "genome.fa", "gtf": "genes.gtf", "peaks": "x/open.bed", "min_overlap": 0.25}
    (results / "settings.json").write_text(json.dumps(settings))
    report(tool, "--settings", "settings.json")
    words = words_of(results)
    assert "a peak is retained when at least 25% of it lies in retained introns" in words
    assert "Peaks of open.bed are labelled" in words and "Introns come from the annotation" not in words


@pytest.fixture
def second(results):
    """A model fit/trees like fit/sim, but of LightGBM, on fewer introns and with a baseline of its own."""
    shutil.copytree(results / "fit/sim", results / "fit/trees")
    (results / "fit/trees/coefficients.tsv").rename(results / "fit/trees/importance.tsv")
    path = results / "fit/trees/metrics.json"
    baseline = json.loads(path.read_text())["baseline"]
    baseline["covariates"]["auroc"] = {"value": 0.123, "low": 0.1, "high": 0.2}
    change_json(path, model="lightgbm", n=239, n_groups=79, baseline=baseline)
    change_json(results / "fit/trees/model.json", kind="lightgbm")
    return results


def test_every_kind_of_model_has_its_own_baseline(tool, second):
    report(tool, "--fit", "fit/sim", "fit/trees")
    words = words_of(second)
    own = json.loads((second / "fit/sim/metrics.json").read_text())["baseline"]["covariates"]["auroc"]["value"]
    assert f"covariates only (logistic) {own:.3f}" in words and "covariates only (lightgbm) 0.123 0.100–0.200" in words
    assert "position alone (lightgbm) reach AUROC 0.123" in words
    assert "sim : 240 introns in 80 groups" in words and "trees : 239 introns in 79 groups" in words


def test_models_alike_share_one_baseline(tool, results):
    shutil.copytree(results / "fit/sim", results / "fit/other")
    report(tool, "--fit", "fit/sim", "fit/other")
    words = words_of(results)
    assert words.count("240 introns in 80 groups") == words.count("position alone reach AUROC") == 1
    assert "covariates only (" not in words


def test_methods_are_those_of_the_models(tool, second):
    shutil.copytree(second / "fit/sim", second / "fit/net")
    (second / "fit/net/coefficients.tsv").unlink()
    change_json(second / "fit/net/metrics.json", model="basset")
    change_json(second / "fit/net/model.json", kind="basset", features={"tool": "finetune"})
    (second / "settings.json").write_text(json.dumps({"fasta": "genome.fa", "gtf": "genes.gtf"}))
    report(tool, "--fit", "fit/net", "fit/trees", "--settings", "settings.json")
    words, page = words_of(second), (second / "report.html").read_text()
    assert "trees: gradient-boosted trees" in words and "net: a network that reads the DNA itself" in words
    assert "L2-penalised" not in words
    linked = re.findall(r'<a href="((?:fit|features)/[^"]+)"', page)
    assert "fit/trees/importance.tsv" in linked and "features/finetune.h5ad" not in linked
    assert all((second / path).is_file() for path in linked if path.startswith("fit/"))


def test_matched_introns_are_told_apart_from_the_others(tool, results):
    labels = pd.read_csv(results / "labels.tsv", sep="\t")
    retained = int(labels["label"].sum())
    # as if label_introns had found 10 and 20 more, which match_introns left out
    counts = {"1": retained + 10, "0": 240 - retained + 20, "NA": 0}
    change_json(results / "counts.json", labels=counts)
    change_labels(results, lambda table: table.assign(match="1"))
    report(tool)
    words = words_of(results)
    assert f"{retained} retained and {240 - retained} spliced ones were matched; the models see these" in words
    assert "without a match, left out of every model 30" in words


def test_an_intron_without_a_gene_name_is_told_by_its_gene_id(tool, results):
    change_labels(results, lambda table: table.assign(gene_name="NA", gene_id="ENSG1"))
    report(tool, "--explain", "explain/sim")
    assert "<td>ENSG1</td>" in (results / "report.html").read_text()


def test_features_of_one_factor_are_added_up(tool, results):
    rows = [("CTCF", 0.25), ("CTCF", 0.5), ("MAZ", 1), ("CTCF", -2)]
    lines = [f"i0\t3\t{rank}\tf{rank}\t{group}\t{value}" for rank, (group, value) in enumerate(rows, 1)]
    head = "name\tlogit\trank\tfeature\tgroup\tcontribution"
    (results / "explain/sim/contributions.tsv").write_text("\n".join([head, *lines]) + "\n")
    report(tool, "--explain", "explain/sim")
    assert "MAZ (+1.00), CTCF (+0.75, 2 features) CTCF (-2.00)" in words_of(results)


def test_trees_are_not_said_to_have_a_direction(tool, results):
    path = results / "explain/sim/groups.tsv"
    table = pd.read_csv(path, sep="\t").drop(columns=["low", "high"], errors="ignore")
    table.assign(coefficient_sum="NA", effect=0.1).to_csv(path, sep="\t", index=False)
    report(tool, "--explain", "explain/sim")
    words = words_of(results)
    assert "Trees may go either way" in words and "Right of zero" not in words and "over the refits" not in words


def test_a_finding_of_several_folders_is_said_once_with_their_names(tool, results):
    for name, scored in (("one", 20), ("two", 20), ("three", 19)):
        write_variants(results / name, [("i", 1)], scored=scored)
    report(tool, "--variants", "one", "two", "three")
    findings = re.search(r'<ul class="findings">(.*?)</ul>', (results / "report.html").read_text(), re.S)[1]
    assert findings.count("one, two: 20 of 40 alleles") == findings.count("three: 19 of 40 alleles") == 1
    assert findings.count("alleles") == 2


def write_motifs(folder, factors, **summary):
    """A folder of find_motifs with one family."""
    folder.mkdir()
    head = "family\tfactors\tretained_hit\tspliced_hit\todds_ratio\tlow\thigh\tq\todds_ratio_unadjusted\tq_unadjusted"
    (folder / "families.tsv").write_text(f"{head}\nF\t{factors}" + "\t1" * 8 + "\n")
    both = {"adjusted": 1, "unadjusted": 2}
    told = {"significant_families": both, "gc_correlation": both, "attributions": False}
    (folder / "summary.json").write_text(json.dumps(told | summary))


def test_long_lists_of_factors_are_cut_and_whole_on_hover(tool, results):
    write_motifs(results / "motifs", "A;B;C;D;E;F;G")
    report(tool, "--motifs", "motifs")
    page = (results / "report.html").read_text()
    assert '<td title="A, B, C, D, E, F, G">A, B, C, D, E and 2 more</td>' in page


def test_the_papers_motifs_are_refused_with_what_to_give(tool, results):
    (results / "motifs").mkdir()
    (results / "motifs/summary.json").write_text(json.dumps({"preset": "paper", "significant": 3}))
    done = report(tool, "--motifs", "motifs", code=65)
    assert "motifs: made by find_motifs --preset paper" in done.stderr and "without --preset" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_positions_of_variants_are_said_to_count_from_1(tool, results):
    write_variants(results / "net", [("i", 1)])
    (results / "settings.json").write_text(json.dumps({"fasta": "genome.fa", "gtf": "genes.gtf"}))
    report(tool, "--settings", "settings.json")
    assert "half-open." in words_of(results)
    report(tool, "--settings", "settings.json", "--variants", "net")
    words = words_of(results)
    assert "position (from 1)" in words and "half-open, save pos of the variants" in words


def test_calibration_shows_whole_intervals():
    bins = [{"n": 10, "predicted": 0.1, "observed": 0.0}, {"n": 10, "predicted": 0.2, "observed": 0.5}]
    axes = calibration(bins).axes[0]
    ends = np.array([line.vertices[:, 1] for line in axes.collections[0].get_paths()])
    # Wilson's intervals of 0 and 5 of 10 (Brown, Cai & DasGupta 2001, Stat Sci 16:101)
    np.testing.assert_allclose(ends, [[0, 0.2775], [0.2366, 0.7634]], atol=1e-4)
    assert axes.get_ylim()[1] > 0.7634


def test_page_tells_how_many_groups_hold_up(tool, results):
    selection = {
        "units": 99,
        "selected_on_each_half": 7,
        "halves": 100,
        "threshold": 0.75,
        "false_at_most": 0.99,
        "selected": 1,
    }
    told = {"selection_of_groups": selection, "selection_of_adjusted_groups": selection | {"selected": 0}}
    (results / "explain/sim/explanation.json").write_text(json.dumps(told))
    report(tool, "--explain", "explain/sim")
    words = text_of((results / "report.html").read_text())
    assert "On at least 75% of random halves of the introns, 1 of 99 groups" in words
    assert "at most 0.99 by chance); 0 say something" in words


def test_a_folder_of_another_tool_is_refused_in_one_line(tool, results):
    write_variants(results / "net", [("i", 1)])
    done = report(tool, "--motifs", "net", code=65)
    assert "summary.json" in done.stderr and len(done.stderr.splitlines()) == 1


def test_curves_pass_through_scikit_learns_points():
    rng = np.random.default_rng(3)
    label, logit = rng.integers(0, 2, 300), rng.normal(size=300).round(1)
    ours = curves_on_grid(label, logit, np.ones(300))
    false, true, _ = roc_curve(label, logit, drop_intermediate=False)
    precision, recall, _ = precision_recall_curve(label, logit)
    np.testing.assert_allclose(ours[0], np.interp(GRID, false, true), atol=1e-12)
    np.testing.assert_allclose(ours[1], np.interp(GRID, recall[-2::-1], precision[-2::-1]), atol=1e-12)
