"""What the report says of reads: samples, comparisons, drawn introns, and a page where no model can be fitted."""

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

import differential_retention
import explain_intron
import fit
import label_introns
import make_report
import quantify_introns
from conftest import ROOT
from intronaut.core.errors import BadData, UsageError
from intronaut.io.tables import read_labels, write_table
from simulated_introns import write_features

DATA = ROOT / "tests" / "data" / "quantify"
ANNOTATION, GENOME = DATA / "annotation.chrZ.gtf.gz", DATA / "genome.chrZ.fa"
BAMS = [DATA / "02H025.bam", DATA / "02H043.bam"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A folder with the two real samples measured, compared as two conditions, and labels of one leakage group."""
    folder = tmp_path_factory.mktemp("measured")
    with contextlib.chdir(folder):
        sheet = "".join(f"s{k}\t{path}\tc{k}\n" for k, path in enumerate(BAMS))
        (folder / "sheet.tsv").write_text("sample\treads\tcondition\n" + sheet)
        quantify_introns.main([str(ANNOTATION), "--samples", "sheet.tsv", "--sashimi-top", "1", "--quiet"])
        tables = ["quantified/s0.introns.tsv.gz", "quantified/s1.introns.tsv.gz"]
        sheet = ["--sample-sheet", "sheet.tsv", "--quiet"]
        differential_retention.main([*tables, *sheet, "-o", "d.tsv", "--summary", "quantified/differences.json"])
        calls = ["--calls", *tables, *sheet, "--condition", "c0", "--window", "100000", "--allow-empty"]
        label_introns.main([str(ANNOTATION), "--fasta", str(GENOME), *calls])
    return folder


def page_of(folder, *args):
    """The report without models, its words, and the multiqc tables."""
    with contextlib.chdir(folder):
        given = ["--labels", "labels.tsv", "--ledger", "ledger.tsv", "--counts", "counts.json", "--multiqc", "mqc"]
        make_report.main([*given, *args, "--quiet"])
        page = (folder / "report.html").read_text()
    words = re.sub(r"<(svg|style|script)\b.*?</\1>", " ", page, flags=re.S)
    return page, " ".join(re.sub(r"<[^>]+>", " ", words).split())


def test_where_no_model_can_be_fitted_the_page_says_why_and_what_was_measured(measured):
    counts = json.loads((measured / "counts.json").read_text())
    why = counts["no_study"]["label"]
    assert re.fullmatch(r"\d+ introns are retained and \d+ spliced, in 1 leakage group: 1 of the folds hold both, and "
                        "3 are needed", why)  # fmt: skip
    page, words = page_of(measured, "--quantified", "quantified")
    assert f"No model can be fitted here: {why}." in words
    assert "Measure more introns: deeper samples, several of one condition, or more of the genome." in words
    assert "#predict" not in page and "Held-out" not in words
    assert not (measured / "mqc" / "intronaut_models_mqc.tsv").exists()


def test_every_sample_stands_in_the_page_and_for_multiqc(measured):
    page, words = page_of(measured, "--quantified", "quantified")
    table = (measured / "mqc" / "intronaut_reads_mqc.tsv").read_text()
    for name in ("s0", "s1"):
        about = json.loads((measured / "quantified" / f"{name}.counts.json").read_text())
        assert f"{name} c{name[1]} {about['fragments']:,} " in words and " reverse " in words
        calls = [about["calls"][key] for key in ("1", "0", "NA")]
        assert " / ".join(map(str, calls)) in words
        (row,) = [line.split("\t") for line in table.splitlines() if line.startswith(f"{name}\t")]
        assert row[1] == f"{about['fragments']:.6g}" and row[-3:] == list(map(str, calls))
    changes = json.loads((measured / "quantified" / "differences.json").read_text())["comparisons"][
        "c1_vs_c0 intronaut"
    ]
    assert (
        f"c1_vs_c0 intronaut {changes['introns']} {changes['more']} {changes['less']} {changes['unchanged']}" in words
    )
    drawn = list((measured / "quantified" / "sashimi").glob("*.svg"))
    assert 1 <= len(drawn) <= 2 and page.count('<figure class="light-figure"') == len(drawn)


def test_cards_show_the_reads_of_their_introns(measured, tmp_path):
    labels = read_labels(measured / "labels.tsv")
    rng = np.random.default_rng(0)
    labels["label"] = rng.integers(0, 2, len(labels))
    labels["group"] = labels["split"] = np.arange(len(labels)) % 5 + 1
    with contextlib.chdir(tmp_path):
        write_table("labels.tsv", labels)
        write_features("f.h5ad", list(labels["name"]), rng.normal(size=(len(labels), 4)).astype(np.float32))
        fit.main(
            ["--features", "f.h5ad", "--labels", "labels.tsv", "-o", "m", "--c-values", "0.1", "--bootstrap", "100"]
        )
        drawn = [path.stem for path in (measured / "quantified" / "sashimi").iterdir()]
        name = next(name for name in labels["name"] if name.replace(":", "_") in drawn)
        given = ["--model", "m", "--features", "f.h5ad", "--labels", "labels.tsv", "--introns", name, "-o", "c"]
        reads = ["--sample-sheet", measured / "sheet.tsv", "--quantified", measured / "quantified"]
        explain_intron.main([*given, *map(str, reads), "--annotation", str(ANNOTATION), "--quiet"])
        page = Path("c/cards.html").read_text()
        svg = (measured / "quantified" / "sashimi" / f"{name.replace(':', '_')}.svg").read_text()
        # the same figure that quantify_introns draws; its identifiers are those of one card among several
        own_names = re.sub(r'(id="|href="#|url\(#)reads_\w+?-', r"\1", page)
        assert "Its reads" in page and svg[svg.index("<svg") :].strip() in own_names
        with pytest.raises(UsageError, match="to draw reads give --quantified and --annotation, too"):
            explain_intron.main([*given, *map(str, reads[:2])])


def test_levels_are_advised_where_only_they_can_be_fitted(measured, tmp_path):
    counts = json.loads((measured / "counts.json").read_text())
    counts["no_study"]["level"] = None
    (measured / "level.json").write_text(json.dumps(counts))
    _, words = page_of(measured, "--counts", "level.json")
    assert "Fit levels instead of labels." in words and "--target level" in words
    assert "What was measured from reads" not in words


def test_a_folder_of_another_tool_is_refused(measured):
    with pytest.raises(BadData, match=r"mqc: no counts\.json of quantify_introns in it"):
        page_of(measured, "--quantified", "mqc")
