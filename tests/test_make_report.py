import contextlib
import html.parser
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

import make_report
import simulated_introns
from conftest import run_tool
from intronaut import __version__
from intronaut.core.errors import BadData
from intronaut.plots import page as figures
from intronaut.report import associations, browsers, flags, introns, labelled, multiqc, next_steps, verdict
from intronaut.report import numbers as n
from intronaut.report.associations import family_row
from intronaut.report.model_files import read_metrics, read_predictions
from intronaut.report.study import AUROC, Model, Study
from intronaut.report.titles import titles


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Labels, a fitted model and its explanation, on simulated introns of a gene with a hostile name."""
    folder = tmp_path_factory.mktemp("fitted")
    table = simulated_introns.introns(240)
    values = np.random.default_rng(1).normal(size=(240, 4)).astype(np.float32)
    table["label"] = simulated_introns.draw_labels(2 * values[:, 0])
    table["gene_name"] = "<script>alert(1)</script>"
    simulated_introns.write_labels(folder / "labels.tsv", table)
    simulated_introns.write_features(folder / "f.h5ad", table["name"], values)
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
    given = ["--labels", "labels.tsv", "--ledger", "ledger.tsv", "--counts", "counts.json", "--fit", "fit/sim", *args]
    if code:
        return tool("make_report", *given, code=code)
    # in this process, which is quicker than a new one
    with contextlib.chdir(tool.keywords["cwd"]):
        return make_report.main([*given, "--quiet"])


def text_of(page):
    """The words of a page without figures and styles, one space between."""
    page = re.sub(r"<(svg|style|script)\b.*?</\1>", " ", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.parametrize(
    ("kappa", "flag", "step"),
    [
        (0.07, "kappa of 2 callers is 0.07", True),
        (0.62, "kappa of 2 callers is 0.62", False),
        (None, "Agreement of the callers No two callers labelled the same introns.", False),
    ],
)
def test_callers_that_hardly_agree_are_a_warning(tool, results, kappa, flag, step):
    (results / "agreement").mkdir()
    summary = {"callers_with_both_classes": ["a", "b"], "introns_labelled_by_all": 9, "fleiss_kappa": kappa}
    (results / "agreement/agreement.json").write_text(json.dumps(summary))
    (results / "agreement/agreement.tsv").write_text("caller_a\tcaller_b\tjaccard\na\tb\t0.1\n")
    (results / "agreement/agreement.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    report(tool, "--agreement", "agreement")
    words = text_of((results / "report.html").read_text())
    assert flag in words and ("Callers hardly agree" in words) == step
    assert ("--ir_consensus 2" in words) == step


def test_page_shows_the_numbers_of_the_metrics(tool, results):
    report(tool, "--explain", "explain/sim", "--multiqc", "multiqc")
    words = text_of((results / "report.html").read_text())
    metrics = json.loads((results / "fit/sim/metrics.json").read_text())
    for name in ("auroc", "average_precision", "brier"):
        for model in (metrics["metrics"], metrics["baseline"]["covariates"], metrics["baseline"]["combined"]):
            m = model[name]
            assert f"{m['value']:.3f} ({m['low']:.3f}–{m['high']:.3f})" in words
    assert "no strand 2" in words and "all that the input held 242" in words


def test_page_needs_nothing_from_outside(tool, results):
    report(tool, "--explain", "explain/sim")

    class Sources(html.parser.HTMLParser):
        found = []

        def handle_starttag(self, tag, attrs):
            self.found += [
                value for key, value in attrs if key in ("src", "xlink:href") or (tag, key) == ("link", "href")
            ]

    Sources().feed((results / "report.html").read_text())
    assert [source for source in Sources.found if not source.startswith(("#", "data:"))] == []


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
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert page.count("</script>") == 2  # the data, and the page's own


def test_same_input_gives_the_same_bytes(tool, results):
    report(tool, "--explain", "explain/sim")
    first = {path.name: path.read_bytes() for path in [results / "report.html", *(results / "figures").iterdir()]}
    report(tool, "--explain", "explain/sim")
    again = {path.name: path.read_bytes() for path in [results / "report.html", *(results / "figures").iterdir()]}
    assert first == again


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.2, "add information"),
        (-0.1, 0.1, "nothing measurable"),
        (-0.005, 0.006, "add nothing."),
        (-0.3, -0.1, "make the predictions worse"),
    ],
)
def test_verdict_on_the_gain_follows_its_interval(tool, results, low, high, words):
    path = results / "fit/sim/metrics.json"
    metrics = json.loads(path.read_text())
    change_json(results / "fit/sim/model.json", features={"tool": "embed_motifs"})
    metrics["gain"]["combined_minus_covariates"]["auroc"] = {"value": (low + high) / 2, "low": low, "high": high}
    path.write_text(json.dumps(metrics))
    report(tool)
    heading = re.search(r'<h2 id="v">(.*?)</h2>', (results / "report.html").read_text())[1]
    assert words in heading and "no effect" not in heading


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.45, 0.64, "not predictable"), (0.5, 0.6, "not predictable"), (0.5, 0.65, "not shown to be predictable"),
     (0.1, 0.99, "not shown to be predictable"), (None, None, "not shown to be predictable"),
     (0.51, 0.95, "weakly predictable"), (0.65, 0.95, "moderately predictable"),
     (0.79, 0.95, "moderately predictable"), (0.8, 0.95, "well predictable")],
)  # fmt: skip
def test_verdict_on_the_covariates_follows_the_interval(low, high, word):
    assert verdict.strength({"value": 0.9, "low": low, "high": high}) == word


@pytest.mark.parametrize(
    ("number", "groups", "title", "state"),
    [(17, 17, "Few retained introns", "fail"), (200, 20, "Enough retained introns", "pass"),
     (60, 20, "Few retained introns", "warn"), (200, 19, "Few retained introns", "fail")],
)  # fmt: skip
def test_titles_of_flags_say_what_is(number, groups, title, state):
    rows = pd.DataFrame({"label": [1.0] * number, "gene_id": "g", "group": np.arange(number) % groups})
    (flag,) = flags.retained(Study(rows, {"unit": "intron"}, pd.DataFrame(), []))
    assert (flag["title"], flag["state"]) == (title, state)
    assert ("fewer than 20" in flag["reason"]) == (groups < 20)


def test_a_small_sample_is_said_in_every_section_that_rests_on_it(tool, results):
    path = results / "fit/sim/metrics.json"
    report(tool, "--explain", "explain/sim")
    assert "Mind:" not in words_of(results)
    change_json(path, n_retained=49, n_groups_of_rarer_class=19)
    change_json(results / "explain/sim/explanation.json", warnings=["12 retained introns are few"])
    report(tool, "--explain", "explain/sim")
    sections = re.split(r"<section\b", (results / "report.html").read_text())
    for heading in ('id="v"', 'id="predict"', 'id="assoc"', 'id="introns"'):
        (section,) = (text_of(part) for part in sections if heading in part)
        few = ("49 retained introns are few", "19 leakage groups hold the rarer class", "12 retained introns are few")
        assert [words for words in few if f"Mind: {words}" not in section] == []


def test_the_covariates_are_named_as_they_are(tool, results):
    report(tool)
    assert "predictable from intron length, GC content and position, and sim" in words_of(results)
    change_labels(results, lambda table: table.assign(donor_strength=8.5, bp_score="NA"))
    change_json(results / "fit/sim/model.json", covariates={"tpm": "log"})
    report(tool)
    words = words_of(results)
    assert "from intron length, GC content, position, splice sites and tpm, and sim" in words
    assert "Length, GC content, position, splice sites, tpm (covariates)" in words
    assert "uses length, GC content, position, splice sites and tpm; position is the place" in words


def test_classes_that_are_balanced_are_not_said_to_differ():
    table = pd.DataFrame(
        {"label": [1.0, 0.0] * 40, "length": [100, 101] * 40, "gc": np.tile([0.5, 0.5, 0.52, 0.52], 20)}
    )
    table["length"] += np.repeat(np.arange(40) * 50, 2)
    study = Study(table, {"unit": "intron"}, pd.DataFrame(), [])
    assert labelled.differences(study).startswith("They are as long (median")
    assert "and as GC-rich (" in labelled.differences(study)
    table.loc[table["label"] == 1, "gc"] += 0.1
    table.loc[table["label"] == 1, "length"] //= 4
    assert labelled.differences(study).startswith("They are shorter (median")
    assert "and more GC-rich (" in labelled.differences(study)


def test_models_of_the_same_name_are_told_apart():
    def model(name, kind="logistic", tool="embed_kmers"):
        return Model(name, {"model": kind}, {"features": {"tool": tool}}, {}, [])

    found = titles([model("k4"), model("k6"), model("trees", "lightgbm"), model("m", tool="embed_motifs")])
    assert found == {
        "k4": "k-mers, logistic (k4)", "k6": "k-mers, logistic (k6)", "trees": "k-mers, lightgbm", "m": "motifs",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda record: record.pop("baseline"), "no 'baseline'"),
        (lambda record: record.pop("metrics"), "no 'metrics'"),
        (lambda record: record["metrics"].update(auroc=None), "auroc is no metric"),
        (lambda record: record["metrics"].update(auroc={"value": "0.7"}), "auroc is no metric"),
        (lambda record: record["baseline"].pop("combined"), "no 'combined'"),
    ],
)
def test_metrics_that_lack_something_are_refused_in_one_line(results, change, match):
    path = results / "fit" / "sim" / "metrics.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(BadData, match=f"metrics.json: {match}"):
        read_metrics(path)


@pytest.mark.parametrize(
    ("value", "match"), [("", "p_retained is ''"), ("x", "p_retained is 'x'"), ("5", "p_retained is no probability")]
)
def test_predictions_that_are_none_are_refused_in_one_line(results, value, match):
    path = results / "fit" / "sim" / "predictions.tsv"
    table = pd.read_csv(path, sep="\t", dtype=str)
    table.assign(p_retained=value).to_csv(path, sep="\t", index=False)
    with pytest.raises(BadData, match=f"predictions.tsv: {match}"):
        read_predictions(path)


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
    assert "<script>alert" not in page
    assert "Variants that change the prediction most: net" in words and "20 of 40 alleles" in words
    shown = words[words.index("Variants that change") :]
    assert shown.index("alert(2)") < shown.index("i18") < shown.index("i17")
    assert "i4 " not in shown and "The 15 largest changes of 20." in words


@pytest.mark.parametrize(("low", "words"), [(0.45, "any AUROC up to 0.600 is compatible"), (0.52, "they still tell")])
def test_what_matched_covariates_predict_follows_its_interval(tool, results, low, words):
    (results / "balance.tsv").write_text("covariate\tmatched\tsmd_before\tsmd_after\nlength\tyes\t-0.91\t0.02\n")
    auroc = {"before": {"value": 0.8, "low": 0.7, "high": 0.9}, "after": {"value": 0.55, "low": low, "high": 0.6}}
    (results / "matched.json").write_text(json.dumps({"covariates_auroc": auroc}))
    report(tool, "--balance", "balance.tsv", "--matched", "matched.json")
    page = text_of((results / "report.html").read_text())
    assert "−0.91 +0.02" in page and words in page and "no longer tell" not in page


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


def test_odds_ratios_without_an_interval_say_so(tool, results):
    write_enrich(results / "enrich", [("A", "inf"), ("B", "0"), ("C", "NA")])
    report(tool, "--enrich", "enrich")
    words = words_of(results)
    for line in ("A ∞ (no interval) 0.01 ∞ 0.01", "B 0.00 (no interval) 0.01", "C – (no interval) 0.01 –"):
        assert line in words


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
    assert "labels have no column group" in words and "saw neither it" not in words


@pytest.mark.parametrize("by", ["fit", "audit"])
def test_a_split_that_leaks_fails_the_verdict(tool, results, by):
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
    assert "What next? Split the introns again ( --split folds );" in words
    assert "These data cannot carry a firm verdict: folds share genes, bases or identical windows." in words
    assert "these numbers are too high" in words


@pytest.mark.parametrize(
    ("key", "state", "title", "first"),
    [("splice_sites", "fail", "Give annotation and genome of one assembly", True),
     ("retained", "fail", "Use more introns", True), ("calibration", "warn", "Calibrate before you take", False),
     ("calibration", "pass", None, False)],
)  # fmt: skip
def test_what_to_do_next_follows_from_the_flags(key, state, title, first):
    rows = pd.DataFrame({"label": [1.0, 0.0] * 9, "gene_id": "g", "length": 90, "gc": 0.5})
    metrics = {"model": "logistic", "metrics": {"auroc": {"value": 0.7, "low": 0.6, "high": 0.8}}}
    study = Study(rows, {"unit": "intron"}, pd.DataFrame(), [Model("m", metrics, {}, {}, [])])
    titles = [step.title for step in next_steps.steps(study, [{"key": key, "state": state, "reason": "So it is."}])]
    assert any(found.startswith(title) for found in titles) if title else titles == ["Use measured retention"]
    assert not first or titles[0].startswith(title)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (0.73, 0.06, "look enriched because retained introns are GC-rich. Adjusted for the window's GC content and the "
                     "intron's length, that slope is gone"),
        (0.7, 0.3, "effect follows its GC content"), (0.08, 0.27, "effect follows its GC content"),
        (0.3, 0.5, "effect follows its GC content"), (0.1, 0.19, "effect does not follow its GC content"),
    ],
)  # fmt: skip
def test_the_sentence_on_gc_agrees_with_the_flag(before, after, says):
    """By the same limit: below 0.2 it passes, from there on motif effects follow GC."""
    summary = {
        "gc_correlation": {"unadjusted": before, "adjusted": after},
        "significant_families": {"unadjusted": 10, "adjusted": 10},
    }
    sentence = associations.gc_sentence(summary, 10)
    assert says in sentence
    study = type("Study", (), {"motifs": [{"summary": summary}]})()
    (flag,) = flags.motif_gc(study)
    assert (flag["state"] == "pass") == ("gone" in sentence or "does not follow" in sentence)


@pytest.mark.parametrize(
    ("state", "last"),
    [
        ("pass", ("Test these associations in other data", "A.")),
        ("warn", ("Do not follow up single motifs or factors", "none holds.")),
    ],
)
def test_families_whose_effects_follow_gc_are_not_to_be_followed_up(state, last):
    rows = pd.DataFrame({"label": [1.0, 0.0] * 9, "gene_id": "g"})
    study = Study(rows, {"unit": "intron"}, pd.DataFrame(), [])
    study.motifs = [{"families": pd.DataFrame({"family": ["A", "B"], "q": [0.01, 0.5]})}]
    *_, step = next_steps.steps(study, [{"key": "motif_gc", "state": state, "reason": "So it is."}])
    assert step.what == last[0] and step.why.endswith(last[1])


def test_folds_are_those_of_the_predictions(tool, results):
    change_labels(results, lambda table: table.assign(split="of another run"))
    predictions = pd.read_csv(results / "fit/sim/predictions.tsv", sep="\t")
    report(tool)
    page = (results / "report.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    assert {fold for fold in data["folds"] if fold} == set(predictions["fold"].astype(str))


def test_a_study_that_no_check_doubts_is_to_be_repeated():
    rows = pd.DataFrame({"label": [1.0, 0.0], "gene_id": "g"})
    metrics = {"model": "logistic", "metrics": {"auroc": {"value": 0.7, "low": 0.6, "high": 0.8}}}
    study = Study(rows, {"unit": "intron", "callers": {"rmats": 1}}, pd.DataFrame(), [Model("m", metrics, {}, {}, [])])
    assert [step.title for step in next_steps.steps(study, [])] == ["Repeat it in other data"]


def test_page_tells_when_and_by_which_command_it_was_made(tool, results):
    command = "nextflow run . --gtf /data/x/genes.gtf.gz --outdir '/home/me/my results'"
    (results / "settings.json").write_text(json.dumps({"command": command}))
    report(tool, "--settings", "settings.json", "--date", "2026-11-29")
    words = words_of(results)
    assert f"Run 29 November 2026 · Intronaut {__version__}" in words
    assert "Command: nextflow run . --gtf genes.gtf.gz --outdir &#39;my results&#39;" in words and "/data" not in words


def test_a_split_without_leaks_is_said_to_have_none(tool, results):
    report(tool)
    words = words_of(results)
    assert "saw neither it nor any intron that shares a gene or bases with it (out-of-fold)" in words
    assert "a split that puts no gene and no base on both sides" in words and "too high" not in words


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
    assert f"length, GC content, position (logistic) {own:.3f}" in words
    assert "length, GC content, position (lightgbm) 0.123 (0.100–0.200)" in words
    assert "sim : 240 introns in 80 leakage groups" in words and "trees : 239 introns in 79 leakage groups" in words


def test_a_gain_stands_below_the_covariates_of_its_own_kind(tool, second):
    path = second / "fit/trees/metrics.json"
    baseline = json.loads(path.read_text())["baseline"]
    baseline["covariates"]["auroc"] = {"value": 0.7, "low": 0.6, "high": 0.8}
    change_json(path, baseline=baseline)
    report(tool, "--fit", "fit/sim", "fit/trees")
    words = words_of(second)
    ladder = words[words.index("The model knows") : words.index("Dot: estimate")]
    logistic = json.loads((second / "fit/sim/metrics.json").read_text())["baseline"]["covariates"]["auroc"]["value"]
    best, of_kind = "(covariates, lightgbm) 0.700", f"(covariates, logistic) {logistic:.3f}"
    assert ladder.index(best) < ladder.index(of_kind) < ladder.index("+ sim (logistic)")
    report(tool)
    assert "(covariates) " in words_of(second) and "covariates, logistic" not in words_of(second)


def test_models_alike_share_one_baseline(tool, results):
    shutil.copytree(results / "fit/sim", results / "fit/other")
    report(tool, "--fit", "fit/sim", "fit/other")
    words = words_of(results)
    assert words.count("240 introns in 80 leakage groups") == 1
    assert len(re.findall("length, GC content, position [0-9]", words)) == 1


def test_methods_are_those_of_the_models(tool, second):
    shutil.copytree(second / "fit/sim", second / "fit/net")
    (second / "fit/net/coefficients.tsv").unlink()
    change_json(second / "fit/net/metrics.json", model="basset")
    change_json(second / "fit/net/model.json", kind="basset", features={"tool": "finetune"})
    (second / "settings.json").write_text(json.dumps({"fasta": "genome.fa", "gtf": "genes.gtf"}))
    report(tool, "--fit", "fit/net", "fit/trees", "--settings", "settings.json")
    words, page = words_of(second), (second / "report.html").read_text()
    assert "Model of trees: gradient-boosted trees" in words
    assert "Model of the network net: a network that reads the DNA itself" in words
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
    assert f"{retained} retained and {240 - retained} spliced introns were matched; the models see these" in words
    assert "without a match, left out of every model 30" in words


def test_an_intron_without_a_gene_name_is_told_by_its_gene_id(tool, results):
    change_labels(results, lambda table: table.assign(gene_name="NA", gene_id="ENSG1"))
    report(tool, "--explain", "explain/sim")
    assert '<th scope="row">ENSG1</th>' in (results / "report.html").read_text()


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
    assert '<th scope="row" title="A, B, C, D, E, F, G">A, B, C, D and 3 more</th>' in page


def test_the_papers_motifs_are_refused_with_what_to_give(tool, results):
    (results / "motifs").mkdir()
    (results / "motifs/summary.json").write_text(json.dumps({"preset": "paper", "significant": 3}))
    done = report(tool, "--motifs", "motifs", code=65)
    assert "motifs: made by find_motifs --preset paper" in done.stderr and "without --preset" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bin_of_one_window_makes_no_peak_of_a_profile():
    bins = [(0, 20, 300, 0.02), (20, 40, 20, 0.05), (40, 60, 1, 1.0)]
    rows = [("ZNF1", "donor", *bin_[:2], label, *bin_[2:]) for label in (0, 1) for bin_ in bins]
    positions = pd.DataFrame(rows, columns=["family", "landmark", "start", "end", "label", "windows", "share"])
    families = pd.DataFrame({"family": ["ZNF1"], "q": [0.01], "retained_hit": [50]})
    ((name, svg),) = associations._profiles({"positions": positions}, families, "")
    assert name == "position_1_donor" and "5.0%" in svg and "100.0%" not in svg


def write_transfer(path, cells=("liver", "brain")):
    """A table of transfer whose AUROC is 0.8 at home, 0.6 elsewhere, and 0.9 by the label of the others."""
    head = "trained_in judged_in introns retained auroc auroc_low auroc_high shared auroc_shared auroc_others"
    rows = [f"{a} {b} 90 30 {0.8 if a == b else 0.6} 0.55 0.85 80 0.7 0.9" for a in cells for b in cells]
    path.write_text("\n".join(line.replace(" ", "\t") for line in (head, *rows)) + "\n")


def test_models_of_other_cell_types_have_a_table(tool, results):
    write_transfer(results / "transfer_motifs_logistic.tsv")
    report(tool, "--transfer", "transfer_motifs_logistic.tsv")
    words = text_of((results / "report.html").read_text())
    assert "Mean AUROC: 0.800 in the cell type that a model was fitted on, 0.600 in others." in words
    assert "it is 0.700 in others, where their mean label, without any model, has 0.900." in words
    assert "motifs_logistic: AUROC" in words and "fitted in tested in liver tested in brain" in words
    assert "liver 0.800 (0.550–0.850) 0.600 (0.550–0.850) brain 0.600" in words
    assert "mean label of the others 0.900 0.900 introns 90 90" in words
    write_transfer(results / "twice.tsv", ("liver", "liver"))
    assert "a model is tested twice" in report(tool, "--transfer", "twice.tsv", code=65).stderr


def test_positions_of_variants_are_said_to_count_from_1(tool, results):
    write_variants(results / "net", [("i", 1)])
    (results / "settings.json").write_text(json.dumps({"fasta": "genome.fa", "gtf": "genes.gtf"}))
    report(tool, "--settings", "settings.json")
    assert "half-open. The figures" in words_of(results)
    report(tool, "--settings", "settings.json", "--variants", "net")
    words = words_of(results)
    assert "Positions are those of the VCF, from 1." in words and "half-open, save pos of the variants" in words


def test_calibration_shows_whole_intervals():
    bins = [{"n": 10, "predicted": 0.1, "observed": 0.0}, {"n": 10, "predicted": 0.2, "observed": 0.5}]
    svg = figures.calibration_bins("Calibration", bins, "")
    # Wilson's intervals of 0 and 5 of 10 (Brown, Cai & DasGupta 2001, Stat Sci 16:101), on an axis up to 1
    axes = figures.Axes("", (0, 1), (0, 1), "", "", [], [])
    for x, low, high in ((0.1, 0, 0.2775), (0.2, 0.2366, 0.7634)):
        place = f'M{axes.x(x):.1f} {axes.y(low):.1f}L{axes.x(x):.1f} {axes.y(high):.1f}"'
        assert place in svg.replace("-0.0", "0.0")


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
    assert (
        "among the 7 strongest on at least 75% of 100 random halves" in words
        and "at most 0.99 of 99 by chance" in words
    )


def test_a_folder_of_another_tool_is_refused_in_one_line(tool, results):
    write_variants(results / "net", [("i", 1)])
    done = report(tool, "--motifs", "net", code=65)
    assert "summary.json" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("highest_bin", range(9))
def test_bars_stay_below_the_key_of_a_histogram(highest_bin):
    edges = np.linspace(0, 1, 10)
    values = pd.Series(np.repeat(edges[:-1] + 0.05, np.where(np.arange(9) == highest_bin, 8, 1)))
    svg = figures.two_histograms("GC content", "GC", values, values[:3], edges, [(0, "0"), (1, "1")], "two classes")
    key = float(re.search(r'class="fr" x="([0-9.]+)"', svg)[1])
    bars = [path for path in re.findall(r'class="f[rs] o" d="M([^"]+)"', svg) if path]
    corners = [tuple(map(float, point.split())) for path in bars for point in path.split("L")]
    assert len(bars) == 2 and min(y for x, y in corners if x > key) > 51


def test_curves_pass_through_scikit_learns_points():
    rng = np.random.default_rng(3)
    label, score = rng.integers(0, 2, 300).astype(float), rng.normal(size=300).round(1)
    false, true, _ = roc_curve(label, score, drop_intermediate=False)
    np.testing.assert_allclose(figures.roc_points(label, score), (false, true), atol=1e-12)
    precision, recall, _ = precision_recall_curve(label, score)
    precision, recall = precision[-2::-1], recall[-2::-1]
    # at the recalls that are reached, the precision where they are reached first
    first = np.append(True, np.diff(recall) > 0)
    ours = figures.precision_at(label, score, recall[first])
    np.testing.assert_allclose(ours, precision[first], atol=1e-12)


def test_auroc_within_folds_compares_pairs_of_one_fold():
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"fold": rng.integers(1, 4, 200), "label": rng.integers(0, 2, 200)})
    # a fold's own level says nothing on which of its introns are retained
    table["p_retained"] = (rng.normal(size=200) + table["label"] + 5 * table["fold"]).round(1)
    parts = [part for _, part in table.groupby("fold")]
    weights = [part["label"].sum() * (1 - part["label"]).sum() for part in parts]
    aurocs = [roc_auc_score(part["label"], part["p_retained"]) for part in parts]
    assert verdict.auroc_within_folds(table) == pytest.approx(np.average(aurocs, weights=weights), abs=1e-12)
    # pairs of one leakage group do not count: 1 of 3 won beside 1 of 2 in the other fold
    table = pd.DataFrame({
        "fold": [1, 1, 1, 1, 2, 2, 2], "label": [1, 0, 0, 1, 1, 0, 0], "p_retained": [3, 4, 1, 2, 6, 5, 7],
    }, index=list("abcdefg"))  # fmt: skip
    groups = pd.Series({"a": "x", "c": "x", "b": "y", "d": "z", "e": "u", "f": "v", "g": "w"})
    assert verdict.auroc_within_folds(table, groups) == pytest.approx(2 / 5)


def test_calibration_slope_is_that_of_statsmodels():
    import statsmodels.api as sm

    rng = np.random.default_rng(5)
    x = rng.normal(size=300)
    y = (rng.random(300) < 1 / (1 + np.exp(-(0.3 + 0.7 * x)))).astype(float)
    wanted = sm.Logit(y, sm.add_constant(x)).fit(disp=0).params[1]
    assert flags.logistic_slope(x, y) == pytest.approx(wanted, abs=1e-6)
    assert np.isnan(flags.logistic_slope(x, np.ones(300)))


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (n.count, 2574, "2,574"),
        (n.decimal, 0.80049, "0.800"),
        (n.signed, -0.0131, "−0.013"),
        (n.signed, -0.0004, "0.000"),
        (n.decimal, -0.0004, "0.000"),
        (n.share, -0.0004, "0.0%"),
        (n.in_prose, "a-1 is better: -0.02 (95 % -0.03 to +0.1)", "a-1 is better: −0.02 (95% −0.03 to +0.1)"),
        (multiqc._cell, -0.00049, "0"),
        (multiqc._cell, -0.00051, "-0.00051"),
        (n.share, 0.09363, "9.4%"),
        (n.odds_ratio, float("inf"), "∞"),
        (n.p_value, 0.0366719, "0.037"),
        (n.p_value, 5.62746e-05, "5.6×10<sup>−5</sup>"),
        (n.decimal, None, "–"),
        (n.gain, {"value": 0.001, "low": -0.013, "high": 0.015}, "+0.001 (−0.013 to +0.015)"),
        (n.gain, {"value": 0.001, "low": None, "high": None}, "+0.001 (no interval)"),
        (n.estimate, {"value": 0.8, "low": 0.77, "high": 0.83}, "0.800 (0.770–0.830)"),
        (n.estimate, {"value": 0.1, "low": -0.2, "high": 0.4}, "0.100 (−0.200 to 0.400)"),
    ],
)
def test_numbers_are_written_by_one_rule(write, value, text):
    assert write(value) == text


def test_rankings_are_of_held_out_predictions_only(tool, results):
    """The page's probabilities are those of predictions.tsv, and its first locus ranks highest in its fold."""
    report(tool)
    page = (results / "report.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    predictions = pd.read_csv(results / "fit/sim/combined/predictions.tsv", sep="\t").set_index("name")
    held_out, in_fold = predictions["p_retained"], predictions.groupby("fold")["p_retained"]
    labels = pd.read_csv(results / "labels.tsv", sep="\t")
    shown = next(view for view in data["views"] if view["key"].startswith("both"))["p"]
    np.testing.assert_allclose(np.array(shown) / 1000, held_out[labels["name"]], atol=5.1e-4)
    assert np.cumsum(data["start"]).tolist() == labels["start"].tolist()
    place = (in_fold.rank() - 0.5) / in_fold.transform("size")
    first = held_out[place == place.max()].idxmax()
    best = labels.set_index("name").loc[first]
    panel = re.search(r'<div class="panel".*?</table>', page.split("Length, GC content, position and sim")[1], re.S)[0]
    assert f"1:{best['start'] + 1:,}–{best['end']:,} (+)" in page and panel


def test_loci_join_overlapping_introns_behind_the_best():
    rows = pd.DataFrame(
        [("1", 0, 100, "+", 0.0, 0.5, 100), ("1", 50, 150, "+", 1.0, 0.9, 100), ("1", 50, 150, "-", 0.0, 0.8, 100),
         ("1", 150, 250, "+", 1.0, 0.7, 100), ("1", 300, 310, "+", 1.0, 0.99, 10),
         ("1", 400, 500, "+", 1.0, None, 100)],
        columns=["chrom", "start", "end", "strand", "label", "p", "length"],
    )  # fmt: skip
    found = introns.loci(rows.assign(p_place=rows["p"]), "p")
    assert [(one["row"].start, one["row"].strand, one["others"], one["others_retained"]) for one in found] == [
        (50, "+", 1, 0), (50, "-", 0, 0), (150, "+", 0, 0),
    ]  # fmt: skip


def test_nothing_is_ranked_by_a_model_that_is_not_above_chance(tool, results):
    metrics = json.loads((results / "fit/sim/metrics.json").read_text())
    chance = {"value": 0.52, "low": 0.45, "high": 0.6}
    for part in (metrics["metrics"], *metrics["baseline"].values()):
        part["auroc"] = chance
    (results / "fit/sim/metrics.json").write_text(json.dumps(metrics))
    report(tool)
    words = words_of(results)
    assert words.count("Not shown: this model is not better than chance") == 3
    assert "sorted by locus, because no model is better than chance" in words
    assert "No model ranks introns better than chance" in words
    assert "is not predictable from" in words


def test_an_auroc_that_is_not_defined_is_said_and_not_drawn(tool, results):
    metrics = json.loads((results / "fit/sim/metrics.json").read_text())
    undefined = {"value": None, "low": None, "high": None}
    for part in (metrics["metrics"], *metrics["baseline"].values(), *metrics["gain"].values()):
        part["auroc"] = undefined
    (results / "fit/sim/metrics.json").write_text(json.dumps(metrics))
    report(tool)
    words = words_of(results)
    assert "There is no AUROC: no retained and spliced window of different leakage groups share a fold." in words
    assert "is not shown to be predictable" in words and "AUROC changes by" not in words


def test_only_selected_groups_are_named_and_coloured(tool, results):
    path = results / "explain/sim/groups.tsv"
    table = pd.read_csv(path, sep="\t")
    about = json.loads((results / "explain/sim/explanation.json").read_text())
    rule = {
        "units": 4,
        "selected_on_each_half": 1,
        "halves": 100,
        "threshold": 0.75,
        "false_at_most": 0.5,
        "selected": 1,
    }
    about |= {"selection_of_groups": rule, "selection_of_adjusted_groups": rule}
    (results / "explain/sim/explanation.json").write_text(json.dumps(about))
    table["group"] = [f"group{k}" for k in range(len(table))]
    table["adjusted_selection_probability"] = np.linspace(0.9, 0.1, len(table))
    for number in (0, 1):
        table["adjusted_selected"] = (table.index < number).astype(int)
        table.to_csv(path, sep="\t", index=False, na_rep="NA")
        report(tool, "--explain", "explain/sim")
        page = (results / "report.html").read_text()
        verdict_text = re.search(r'<section class="verdict".*?</section>', page, re.S)[0]
        assert page.count('<tr class="hit">') == number
        assert ("group0" in verdict_text) == bool(number) and "group1" not in verdict_text


def test_families_are_coloured_by_q_and_direction():
    row = {"family": "F", "factors": "F", "retained_hit": 1, "spliced_hit": 2, "low": 0.1, "high": 3.0, "q": 0.04,
           "odds_ratio": 2.0}  # fmt: skip
    assert family_row(row)["css"] == "up"
    assert family_row(row | {"odds_ratio": 0.5})["css"] == "down"
    assert family_row(row | {"q": 0.06})["css"] == "grey" and not family_row(row | {"q": 0.06})["hit"]
    points = [{"family": "F", "gc": 0.5, "odds_ratio": 2.0, "hit": hit} for hit in (True, False)]
    svg = figures.effects_by_gc("t", points, "", "")
    assert svg.count('class="fr"') == svg.count('class="fn"') == 1


@pytest.mark.parametrize(("share", "state"), [(0.009, "pass"), (0.01, "warn"), (0.049, "warn"), (0.05, "fail")])
def test_flag_of_near_copies_follows_their_share(tool, results, share, state):
    leaks = dict.fromkeys(("gene", "bases", "twin"), {"windows": 0, "share": 0})
    leaks["homology"] = {"windows": 3, "share": share}
    audit = {"held_out": 240, "identity": 0.8, "coverage": 0.8, "best_identity": 0.9, "leaks": leaks}
    (results / "audit.json").write_text(json.dumps(audit))
    (results / "audit.tsv").write_text("leak\tname_1\tname_2\nhomology\ti0\ti9\nhomology\ti0\ti12\n")
    report(tool, "--audit", "audit.json", "--audit-pairs", "audit.tsv")
    page = (results / "report.html").read_text()
    flag = re.search(r'<li class="(\w+)">(?:(?!</li>).)*Near-copies across folds.*?</li>', page, re.S)
    table = pd.read_csv(results / "fit/sim/covariates/predictions.tsv", sep="\t")
    group_of = pd.read_csv(results / "labels.tsv", sep="\t").set_index("name")["group"]
    kept = table[~table["name"].isin(["i0", "i9", "i12"])].set_index("name")
    wanted = verdict.auroc_within_folds(kept, group_of)
    assert flag[1] == state and f"Without them AUROC is {wanted:.3f}." in flag[0]


def test_average_precision_by_chance_is_that_of_the_metrics_everywhere(tool, results):
    report(tool, "--multiqc", "multiqc")
    expected = json.loads((results / "fit/sim/metrics.json").read_text())["metrics"]["average_precision_by_chance"][
        "value"
    ]
    words = words_of(results)
    assert f"Chance: AUROC 0.500, average precision {expected:.3f} (mean of random orders" in words
    (table,) = (results / "multiqc").glob("*models*.tsv")
    cells = pd.read_csv(table, sep="\t", comment="#")
    np.testing.assert_allclose(cells["ap_chance"], expected, rtol=1e-5)


def test_multiqc_reads_the_sections_and_keeps_runs_apart(tool, results):
    import yaml

    for name in ("one", "two's"):
        report(tool, "--multiqc", "multiqc", "--run", name)
        metrics = json.loads((results / "fit/sim/metrics.json").read_text())
        versions = yaml.safe_load((results / "multiqc" / multiqc.VERSIONS).read_text())["Intronaut"]
        assert versions["intronaut"] == [__version__] and versions["numpy"] == [np.__version__]
        for file in sorted((results / "multiqc").glob("*.tsv")):
            lines = file.read_text().splitlines()
            head = yaml.safe_load("\n".join(line[2:] for line in lines if line.startswith("# ")))
            rows = [line.split("\t") for line in lines if not line.startswith("#")]
            assert head["parent_id"] == "intronaut" and f"{head['id']}_mqc.tsv" == file.name
            assert all(row[0].split(" | ")[0] == name for row in rows[1:])
            if head["plot_type"] == "table":
                assert set(rows[0][1:]) == set(head["headers"])
            if file.name == "intronaut_models_mqc.tsv":
                values = dict(zip(rows[0], rows[-1], strict=True))
                assert float(values["auroc_low"]) == pytest.approx(metrics["metrics"]["auroc"]["low"], rel=1e-5)
                assert head["headers"]["auroc"]["format"] == "{:.3f}" and len(rows) == 4
            if file.name == "intronaut_labels_mqc.tsv":
                assert len(rows) == 2


@pytest.mark.parametrize(
    ("assembly", "chrom", "wanted"),
    [
        (
            "GRCh38",
            "19",
            ["db=hg38&position=chr19:101-200", "/Homo_sapiens/Location/View?r=19:101-200", "chr19:101-200"],
        ),
        ("hg38", "chr19", ["position=chr19:101-200", "r=19:101-200", "locus=chr19:101-200"]),
        ("GRCh38.p14", "MT", ["position=chrM:101-200", "r=MT:101-200", "locus=chrM:101-200"]),
        ("TAIR10", "1", ["plants.ensembl.org/Arabidopsis_thaliana/Location/View?r=1:101-200"]),
        ("my_assembly", "1", []),
        (None, "1", []),
    ],
)
def test_links_to_browsers_only_for_known_assemblies(assembly, chrom, wanted):
    found = [address for _, address in browsers.links(assembly, chrom, 100, 200)]
    assert len(found) == len(wanted) and all(text in address for text, address in zip(wanted, found, strict=True))


class Checker(html.parser.HTMLParser):
    """Collects what a page must not have: unbalanced elements, ids twice, links to nowhere, figures without text."""

    VOID = ("meta", "link", "br", "input", "wbr", "path", "rect", "circle")

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.targets, self.headings, self.unnamed = [], [], [], 0, []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.targets += [attrs["href"][1:]] if attrs.get("href", "").startswith("#") else []
        self.headings += tag == "h1"
        if tag == "svg":
            self.unnamed.append(attrs.get("aria-hidden") != "true")
        if tag == "title" and self.unnamed:
            self.unnamed[-1] = False
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())


def test_page_is_well_formed_and_its_figures_have_text(tool, results):
    write_motifs(results / "motifs", "A;B")
    report(tool, "--explain", "explain/sim", "--motifs", "motifs")
    checker = Checker()
    checker.feed((results / "report.html").read_text())
    assert checker.open == [] and checker.headings == 1
    assert len(set(checker.ids)) == len(checker.ids) and set(checker.targets) <= set(checker.ids)
    assert checker.unnamed and not any(checker.unnamed)


def luminance(colour):
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def contrast(one, other):
    """WCAG 2's ratio of two colours."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_of_text_have_enough_contrast_in_both_modes(tool, results):
    report(tool)
    style = (results / "report.html").read_text().split("</style>")[0]
    blocks = re.findall(r":root[^{]*\{([^}]*--ink[^}]*)\}", style)
    assert len(blocks) == 4  # light, dark by the system, dark by the button, print
    for block in blocks:
        colour = dict(re.findall(r"--([\w-]+): (#\w+)", block))
        for ground in ("paper", "panel"):
            for ink in ("ink", "soft", "link", "retained", "spliced"):
                assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground, block)
            assert contrast(colour["none"], colour[ground]) >= 3
        for state in ("pass", "warn", "fail", "na"):
            assert contrast(colour[state], colour[f"{state}-bg"]) >= 4.5
            assert contrast(colour["ink"], colour[f"{state}-bg"]) >= 4.5


def test_page_of_sixty_thousand_introns_stays_small():
    """Its data keep all retained introns and those that rank highest, about 35 bytes each."""
    rng = np.random.default_rng(6)
    size = 60_000
    table = simulated_introns.introns(size).assign(label=(rng.random(size) < 0.1).astype(float))
    table["gene"], table["both0"], table["both0_place"] = table["gene_id"], rng.random(size), rng.random(size)
    table["fold"] = "1"
    view = introns.View("both0", "", "", None, None, None, {"value": 0.8, "low": 0.7, "high": 0.9}, "")
    study = type("Study", (), {"unit": "intron", "measure": AUROC})()
    data = introns.data(study, table, [view], "GRCh38")
    assert len(data["start"]) == introns.MOST_ROWS and len(introns.as_json(data)) < 1.5e6
    assert data["label"].count("r") == int(table["label"].sum())


def test_the_table_of_all_introns_ranks_as_the_list_of_the_highest_does():
    """In folds of 511 and 512 introns the places of the same rank differ in the sixth digit."""
    rng, sizes = np.random.default_rng(7), (511, 512, 300)
    table = simulated_introns.introns(sum(sizes)).assign(label=0.0, both0=rng.random(sum(sizes)))
    table.loc[[3, 700], "both0"] = np.nan
    in_fold = table["both0"].groupby(np.repeat(range(len(sizes)), sizes))
    table["gene"], table["both0_place"] = table["gene_id"], (in_fold.rank() - 0.5) / in_fold.transform("size")
    table["fold"] = "1"
    view = introns.View("both0", "", "", None, None, None, {"value": 0.8, "low": 0.7, "high": 0.9}, "")
    study = type("Study", (), {"unit": "intron", "measure": AUROC})()
    ranks = introns.data(study, table, [view], "GRCh38")["views"][0]["rank"]
    assert [ranks[3], ranks[700]] == [None, None]
    in_order = sorted(table.drop([3, 700]).itertuples(), key=lambda row: (-row.both0_place, -row.both0, row.Index))
    assert sorted((i for i in range(len(table)) if ranks[i] is not None), key=lambda i: -ranks[i]) == [
        row.Index for row in in_order
    ]


def test_levels_are_described_by_their_rank_correlation(tool, results):
    """As fit --target level writes them: Spearman's correlation and deviance explained, psi beside the predictions."""
    path = results / "fit/sim/metrics.json"
    metrics = json.loads(path.read_text())
    value = {"low": 0.31, "high": 0.55, "se": 0.05}
    for part in ("metrics", "covariates", "combined"):
        found = {"spearman": {"value": 0.42} | value, "deviance_explained": {"value": 0.2} | value}
        if part == "metrics":
            metrics["metrics"] = found
        else:
            metrics["baseline"][part] = found
    gain = {"spearman": {"value": 0.1, "low": 0.05, "high": 0.15}}
    metrics["gain"] = {"combined_minus_covariates": gain, "features_minus_covariates": gain}
    for key in ("prevalence", "auroc_within_strata"):
        metrics.pop(key, None)
    path.write_text(json.dumps(metrics))
    for folder in ("", "covariates/", "combined/"):
        file = results / f"fit/sim/{folder}predictions.tsv"
        table = pd.read_csv(file, sep="\t").assign(psi=np.linspace(0, 1, 240))
        table.loc[:9, "label"] = np.nan
        table.to_csv(file, sep="\t", index=False, na_rep="NA")
    report(tool, "--multiqc", "multiqc")
    words = words_of(results)
    assert "The measured level of retention of introns is moderately predictable from" in words
    assert "How sure? Held-out rank correlation 0.420 (95% CI 0.310–0.550; chance is 0). Checks:" in words
    assert "rank correlation of 0.420 within folds; 1 would be the same order." in words
    assert (
        "sim (+0.100, 95% CI +0.050 to +0.150) adds information" in words and "AUROC" not in words.split("Introns")[0]
    )
    assert (results / "figures/levels_sim.svg").read_text().count("<circle") == 240


def write_partition(folder, rows):
    """A folder of partition with ``(block, alone, last in, Shapley, adds)`` in AUROC, each ± 0.01."""
    folder.mkdir()
    columns = [name for what in ("alone", "last_in", "shapley") for name in (what, f"{what}_low", f"{what}_high")]
    lines = [
        ["auroc", block, *(f"{value + shift:.10g}" for value in values for shift in (0, -0.01, 0.01)), adds]
        for block, *values, adds in rows
    ]
    table = pd.DataFrame(lines, columns=["measure", "block", *columns, "adds"])
    table.to_csv(folder / "partition.tsv", sep="\t", index=False)


def test_kinds_of_information_stand_first_in_steps_that_add_up(tool, results):
    rows = [
        ("architecture", 0.2, 0.1, 0.15, "yes"),
        ("motifs", 0.1, -0.005, 0.05, "no"),
        ("(all)", 0.2, 0.2, 0.2, "yes"),
    ]
    write_partition(results / "partition", rows)
    report(tool, "--partition", "partition")
    page = (results / "report.html").read_text()
    words = text_of(page)
    said = "Gene architecture tells something that no other kind of information does; motifs are not shown to."
    assert said in words
    assert words.index("What each kind of information adds") < words.index("Held-out performance")
    assert "motifs +0.100 (+0.090 to +0.110) −0.005 (−0.015 to +0.005) +0.050 (+0.040 to +0.060)" in words
    figure = (results / "figures" / "partition.svg").read_text()
    bars = re.findall(r'<rect class="(f\w)" x="([\d.]+)" y="\d+" width="([\d.]+)"', figure)
    assert [css for css, _, _ in bars] == ["fi", "fn", "fi"]
    (first, second, total) = [(float(x), float(width)) for _, x, width in bars]
    assert first[0] == total[0] and second[0] == pytest.approx(sum(first), abs=0.2)
    assert sum(second) == pytest.approx(sum(total), abs=0.2)
    assert "all together: 0.700 (0.690–0.710)" in figure


def test_what_happens_if_introns_stay_is_counted(tool, results):
    report(tool)
    assert "What happens if it stays" not in (results / "report.html").read_text()

    def lie(labels):
        retained = labels["label"].astype(float) == 1
        labels["region"] = np.where(retained, "cds", "utr5")
        for name in ("frame", "premature_stop", "nmd"):
            labels[name] = np.where(retained, "1", "NA")
        return labels

    change_labels(results, lie)
    report(tool)
    words = text_of((results / "report.html").read_text())
    labels = pd.read_table(results / "labels.tsv")
    n_retained = int((labels["label"] == 1).sum())
    assert (
        f"Of {n_retained} retained introns in the coding part, {n_retained} (100%) would end the protein early" in words
    )
    assert f"in the 5′ UTR 0 (0%) {len(labels) - n_retained} (100%)" in words
    assert f"of those in the coding part: premature stop, decay expected {n_retained} (100%) –" in words


def test_predicted_chromatin_stands_beside_measured(tool, results):
    for name, embedder in (("sei_logistic", "embed_sei"), ("tracks_logistic", "embed_tracks")):
        shutil.copytree(results / "fit/sim", results / "fit" / name)
        change_json(results / "fit" / name / "model.json", features={"tool": embedder})
        shutil.copytree(results / "explain/sim", results / "explain" / name)
        groups = pd.read_table(results / "explain" / name / "groups.tsv").head(2)
        sign = -1 if embedder == "embed_sei" else 1
        effects = {"refit": [0.5, 0.2 * sign], "refit_low": [0.4, 0.1], "refit_high": [0.6, 0.3]}
        groups = groups.assign(group=["H3K36me3", "CTCF"], **{f"adjusted_{key}": own for key, own in effects.items()})
        groups.to_csv(results / "explain" / name / "groups.tsv", sep="\t", index=False, na_rep="NA")
    given = ("--fit", "fit/sei_logistic", "fit/tracks_logistic", "--explain", "explain/sei_logistic")
    report(tool, *given)
    assert "signs cannot be compared" in words_of(results)
    report(tool, *given, "explain/tracks_logistic")
    words = words_of(results)
    auroc = json.loads((results / "fit/sim/metrics.json").read_text())["metrics"]["auroc"]
    assert f"measured (measured chromatin) {n.estimate(auroc)}" in words
    assert "Their effects have the same sign for 1 of 2 factors that both have." in words
    assert "H3K36me3 +0.50 (+0.40 to +0.60) +0.50 (+0.40 to +0.60) yes CTCF −0.20" in words
