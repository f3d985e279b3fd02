#!/usr/bin/env python3
"""Write docs/cli.md from every tool's --help and docs/params.md from nextflow_schema.json.

With --check nothing is written; the exit code is 1 when a page has drifted from its source.
"""

import json
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent


def cli_page():
    page = ["# The tools\n", "Made from each tool's `--help` by `make docs`; change it there.\n"]
    for script in sorted((ROOT / "bin").glob("*.py")):
        text = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True).stdout
        page.append(f"## `{script.stem}`\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(page)


def params_page():
    page = ["# Pipeline params\n", "Made from `nextflow_schema.json` by `make docs`; change it there.\n"]
    for group in json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values():
        page.append(f"## {group['title']}\n\n| param | meaning | choices | default |\n|---|---|---|---|")
        for name, rule in group["properties"].items():
            choices = ", ".join(f"`{choice}`" for choice in rule.get("enum", []))
            default = f"`{rule['default']}`" if "default" in rule else ""
            if name in group.get("required", []):
                default = "required"
            page.append(f"| `--{name}` | {rule['description']} | {choices} | {default} |")
        page.append("")
    return "\n".join(page)


def main(argv):
    pages = {DOCS / "cli.md": cli_page(), DOCS / "params.md": params_page()}
    if "--check" in argv:
        drifted = [path.name for path, text in pages.items() if not path.exists() or path.read_text() != text]
        sys.exit(f"drifted from their source: {', '.join(drifted)}; run 'make docs'" if drifted else 0)
    for path, text in pages.items():
        path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
