import html.parser
import json
import re
import shutil

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

import simulated
from conftest import run_tool
from intronaut.report_figures import GRID, curves_on_grid


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
    lines = (results / "labels.tsv").read_text().splitlines(keepends=True)
    names = [line.split("\t")[3] for line in lines[1:]]
    (results / "labels.tsv").write_text("".join(lines[:121]))
    report(tool, "--explain", "explain/sim")
    cards = set(re.findall(r"<tr><td><code>([^<]+)</code></td>", (results / "report.html").read_text()))
    shown = cards & set(names)
    assert len(shown) == 10 and shown <= set(names[:120])


def test_page_tells_how_many_groups_hold_up(tool, results):
    selection = {"units": 99, "halves": 100, "threshold": 0.75, "false_at_most": 0.99, "selected": 1}
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
