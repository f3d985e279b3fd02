"""The report in headless Chromium: no error, no request, contrast, text for every figure, no sideways scroll.

The page is loaded in frames of several widths, with a probe at its end that tells the page around the frames what it
finds; that page leaves all of it in its own text, which the browser prints.
"""

import functools
import html
import json
import re
import shutil
import subprocess

import pytest

from conftest import run_tool
from test_make_report import fitted, report, write_motifs  # noqa: F401 (a fixture)

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
           "--no-first-run", "--disable-component-update", "--virtual-time-budget=5000")  # fmt: skip

# at the top of the page: what goes wrong while it loads
LISTENER = "<script>window.wrong = []; addEventListener('error', e => window.wrong.push(e.message));</script>"
PROBE = """<script>
addEventListener('load', () => {
  const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [[r, .2126], [g, .7152], [b, .0722]].reduce((sum, [c, w]) => {
    c /= 255;
    return sum + w * (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  }, 0);
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  for (const details of document.querySelectorAll('details')) details.open = true;
  const faint = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, holder = text.parentElement;
    if (!text.textContent.trim() || holder.closest('script, style, option, desc, title')) continue;
    if (!holder.getClientRects().length || holder.closest('.vh, .skip, :disabled')) continue;
    const style = getComputedStyle(holder), ink = parse(holder.closest('svg') ? style.fill : style.color);
    const [low, high] = [light(ink), light(behind(holder))].sort((a, b) => a - b);
    const ratio = (high + .05) / (low + .05);
    if (ratio < 4.5) faint.push(`${text.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  const seen = [...document.querySelectorAll('svg:not([aria-hidden]), img')];
  const found = {
    wrong: window.wrong, faint, asked: performance.getEntriesByType('resource').map(entry => entry.name),
    width: document.documentElement.scrollWidth, window: innerWidth,
    figures: seen.length, unnamed: seen.filter(e => !e.querySelector('title')?.textContent && !e.alt).length,
    rows: document.querySelectorAll('#all tbody tr').length, count: document.querySelector('#count').textContent,
  };
  parent.postMessage(JSON.stringify([window.name, found]), '*');
});
</script>"""


HOST = """<!DOCTYPE html><title>frames</title><pre id=found></pre><script>
const found = {};
addEventListener('message', event => {
  const [name, what] = JSON.parse(event.data);
  found[name] = what;
  document.querySelector('#found').textContent = JSON.stringify(found);
});
</script>"""
GENE = "#gene=%3Cscript%3Ealert(1)%3C/script%3E"
FRAMES = {"375": (375, ""), "768": (768, ""), "1280": (1280, ""), "gene": (1280, GENE), "nothing": (1280, "#gene=no")}


@pytest.fixture(scope="module", params=["light", "dark"])
def seen(request, fitted, tmp_path_factory):  # noqa: F811
    """What the probe found in every frame."""
    folder = shutil.copytree(fitted, tmp_path_factory.mktemp(request.param), dirs_exist_ok=True)
    write_motifs(folder / "motifs", "A;B")
    here = functools.partial(run_tool, cwd=folder)
    report(here, "--explain", "explain/sim", "--motifs", "motifs", "--assembly", "GRCh38")
    page = (folder / "report.html").read_text()
    probed = page.replace("<head>", f"<head>{LISTENER}", 1).replace("</body>", f"{PROBE}</body>")
    (folder / "probed.html").write_text(probed)
    frames = [f'<iframe name="{name}" width={width} height=900 src="probed.html{address}" style="border:0"></iframe>'
              for name, (width, address) in FRAMES.items()]  # fmt: skip
    (folder / "host.html").write_text(HOST + "".join(frames))
    options = [*OPTIONS, f"--user-data-dir={folder / 'profile'}"]
    options += ["--blink-settings=preferredColorScheme=0"] if request.param == "dark" else []
    command = [BROWSER, *options, "--dump-dom", f"file://{folder / 'host.html'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    return json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)[1]))


@pytest.mark.parametrize("width", ["375", "768", "1280"])
def test_page_in_a_browser(seen, width):
    found = seen[width]
    assert found["wrong"] == found["faint"] == found["asked"] == []
    assert found["width"] <= found["window"] == int(width)
    assert found["figures"] > 4 and found["unnamed"] == 0
    assert found["rows"] == (25 if width == "1280" else 10)


def test_a_gene_is_found_by_the_address(seen):
    assert seen["gene"]["wrong"] == [] and seen["gene"]["count"].startswith("240 of 240 introns")
    assert seen["nothing"]["count"] == "0 of 240 introns"
