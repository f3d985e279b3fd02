"""Looks at pages in headless Chromium as Lighthouse does, at three widths, light and dark.

A page is loaded in frames of several widths, with a probe at its end that tells the page around the frames what it
finds; that page leaves all of it in its own text, which the browser prints.

    python tests/helpers/page_checks.py PAGE.html …    prints what is wrong with each, and exits with 1 if anything is
"""

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
           "--no-first-run", "--disable-component-update", "--enable-logging=stderr",
           "--virtual-time-budget=5000")  # fmt: skip
# of a phone, a tablet and a laptop: what a reader sees before scrolling
SCREENS = {"375": (375, 812), "768": (768, 1024), "1280": (1280, 800)}

# at the top of the page: what goes wrong while it loads
LISTENER = "<script>window.wrong = []; addEventListener('error', e => window.wrong.push(e.message));</script>"
PROBE = """<script>
addEventListener('load', () => {
  const all = selector => [...document.querySelectorAll(selector)];
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
  // where the answers end, before anything is opened
  const answers = document.querySelector('.brief')?.getBoundingClientRect().bottom ?? null;
  for (const details of all('details')) details.open = true;
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
  // a figure has text of its own, or stands in one that has
  const untold = e => !e.querySelector('title')?.textContent && !e.alt && !e.closest('[role=img][aria-label]');
  const ids = all('[id]').map(e => e.id), levels = all('h1, h2, h3, h4').map(e => Number(e.tagName[1]));
  const silent = e => !e.textContent.trim() && !e.ariaLabel && !e.querySelector('[aria-label], .vh');
  const found = {
    wrong: window.wrong, faint, asked: performance.getEntriesByType('resource').map(entry => entry.name),
    width: document.documentElement.scrollWidth, window: innerWidth, height: innerHeight, answers,
    figures: all('svg:not([aria-hidden]), img').length,
    untold: all('svg:not([aria-hidden]), img').filter(untold).length,
    twice: ids.filter((id, at) => ids.indexOf(id) !== at),
    dead: all('a[href^="#"]').map(e => e.getAttribute('href').slice(1)).filter(id => !document.getElementById(id)),
    silent: all('a, button').filter(silent).map(e => e.outerHTML.slice(0, 80)),
    unlabelled: all('input, select').filter(e => !e.labels.length && !e.ariaLabel).map(e => e.id),
    headings: levels.filter(level => level === 1).length,
    jumps: levels.filter((level, at) => level > levels[at - 1] + 1).length,
    language: document.documentElement.lang, title: document.title,
    rows: all('#all tbody tr').length, count: document.querySelector('#count')?.textContent,
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


def look(page, dark=False, addresses=()):
    """What the probe finds in each frame, by its name: those of SCREENS, and one as wide as a laptop for each of the
    ``(name, fragment)`` of ``addresses``; and under ``console`` what the browser itself complains of."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        text = Path(page).read_text(encoding="utf-8")
        probed = text.replace("<head>", f"<head>{LISTENER}", 1).replace("</body>", f"{PROBE}</body>")
        (folder / "probed.html").write_text(probed, encoding="utf-8")
        frames = [(name, size, "") for name, size in SCREENS.items()]
        frames += [(name, SCREENS["1280"], address) for name, address in addresses]
        drawn = [f'<iframe name="{name}" width={width} height={height} src="probed.html{address}" style="border:0">'
                 "</iframe>" for name, (width, height), address in frames]  # fmt: skip
        (folder / "host.html").write_text(HOST + "".join(drawn))
        options = [*OPTIONS, f"--user-data-dir={folder / 'profile'}"]
        options += ["--blink-settings=preferredColorScheme=0"] if dark else []
        command = [BROWSER, *options, "--dump-dom", f"file://{folder / 'host.html'}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)[1]))
    assert found.keys() == {name for name, *_ in frames}, f"{page}: not every frame was loaded"
    return found | {"console": re.findall(r":CONSOLE.*\] (.*)", done.stderr)}


def faults(found, needs_answers):
    """What is wrong in one frame of :func:`look`, a sentence each; ``needs_answers``: its first screen must hold the
    report's answers."""
    listed = {"wrong": "script error", "faint": "contrast below 4.5", "asked": "asks a host", "twice": "id twice",
              "dead": "link to nowhere in the page", "silent": "link or button without words",
              "unlabelled": "field without a label"}  # fmt: skip
    told = [f"{words}: {what}" for key, words in listed.items() for what in found[key]]
    if found["width"] > found["window"]:
        told.append(f"scrolls sideways: {found['width']} px in {found['window']}")
    if found["untold"]:
        told.append(f"{found['untold']} of {found['figures']} figures without text")
    if found["headings"] != 1 or found["jumps"]:
        told.append(f"{found['headings']} headings of the first level, {found['jumps']} jumps of levels")
    if not found["language"] or not found["title"]:
        told.append("no language or no title")
    if needs_answers and not found["answers"] <= found["height"]:
        told.append(f"the answers end at {found['answers']:.0f} px of a screen of {found['height']}")
    return told


def all_faults(page):
    """What is wrong with a page at every width, light and dark, with where it is."""
    told = []
    for dark in (False, True):
        found = look(page, dark)
        told += [f"console: {line}" for line in found.pop("console")]
        for width, what in found.items():
            needs_answers = what["answers"] is not None
            told += [f"{width} px, {'dark' if dark else 'light'}: {fault}" for fault in faults(what, needs_answers)]
    return told


if __name__ == "__main__":
    wrong = {page: all_faults(page) for page in sys.argv[1:]}
    for page, told in wrong.items():
        print(f"{page}: {len(told)} faults")
        for fault in told:
            print(f"  {fault}")
    sys.exit(any(wrong.values()))
