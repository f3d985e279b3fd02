"""The report and the cards in headless Chromium: no error, no request, contrast, text for every figure, no sideways
scroll, and the answers on the first screen."""

import functools
import shutil

import pytest

from conftest import run_tool
from page_checks import BROWSER, SCREENS, all_faults, faults, look
from test_make_report import fitted, report, write_motifs  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")
GENE = "#gene=%3Cscript%3Ealert(1)%3C/script%3E"


@pytest.fixture(scope="module", params=["light", "dark"])
def seen(request, fitted, tmp_path_factory):  # noqa: F811
    """What the probe found in every frame of the report."""
    folder = shutil.copytree(fitted, tmp_path_factory.mktemp(request.param), dirs_exist_ok=True)
    write_motifs(folder / "motifs", "A;B")
    here = functools.partial(run_tool, cwd=folder)
    (folder / "calls.tsv").write_text(
        "name\tcaller\tlabel\n" + "".join(f"i{at}\t{caller}\t{at % 2}\n" for at in range(9) for caller in "ab")
    )
    here("compare_callers", "calls.tsv", "-o", "agreement/agreement.tsv")
    report(here, "--explain", "explain/sim", "--motifs", "motifs", "--agreement", "agreement", "--assembly", "GRCh38")
    addresses = (("gene", GENE), ("nothing", "#gene=no"))
    return look(folder / "report.html", request.param == "dark", addresses)


@pytest.mark.parametrize("width", SCREENS)
def test_report_in_a_browser(seen, width):
    assert faults(seen[width], needs_answers=True) == seen["console"] == []
    assert seen[width]["window"] == int(width) and seen[width]["figures"] > 4
    assert seen[width]["rows"] == (25 if width == "1280" else 10)


def test_a_gene_is_found_by_the_address(seen):
    assert seen["gene"]["wrong"] == [] and seen["gene"]["count"].startswith("240 of 240 introns")
    assert seen["nothing"]["count"] == "0 of 240 introns"


def test_cards_in_a_browser(fitted, tmp_path):  # noqa: F811
    given = ("--model", "fit/sim", "--features", "f.h5ad", "--labels", "labels.tsv", "--top", "2")
    run_tool("explain_intron", *given, "-o", tmp_path / "cards", cwd=fitted)
    page = tmp_path / "cards" / "cards.html"
    assert all_faults(page) == []
    assert look(page)["1280"]["figures"] == 2


def test_what_is_wrong_with_a_page_is_found(tmp_path):
    """So that the tests above cannot pass by finding nothing."""
    page = tmp_path / "page.html"
    page.write_text(
        '<!DOCTYPE html><html><head></head><body><h1>A</h1><h3 id="x">B</h3><p id="x" style="color:#aaa">faint</p>'
        '<p style="width:900px">wide</p><svg></svg><img src="http://127.0.0.1:9/none.png"><a href="#no"></a>'
        '<input id="field"><dl class="brief" style="margin-top:2000px">late</dl>'
        '<script>throw Error("own")</script></body></html>'
    )
    found = look(page)
    told = " ".join(faults(found["375"], needs_answers=True))
    for words in ("own", "faint: 2.32", "none.png", "id twice: x", "nowhere in the page: no", "without words",
                  "without a label: field", "sideways", "2 of 2 figures", "1 jumps", "no language",
                  "answers end"):  # fmt: skip
        assert words in told, words
    assert any("own" in line for line in found["console"])
