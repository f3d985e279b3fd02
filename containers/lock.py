#!/usr/bin/env python3
"""Pin every Python package, from the dependencies that the scripts of bin/ declare in their own headers.

Writes requirements.txt (all scripts, and the test tools of requirements.in) and, with the same versions,
containers/<image>/requirements.txt (the scripts whose process in modules/ runs in that image). Needs uv.
"""

import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# tools that no process runs
IMAGE_OF = {"fetch_weights": "torch"}


def declared(script):
    """The dependencies in a script's PEP 723 header."""
    block = re.search(r"^# /// script\n(.*?)^# ///$", script.read_text(encoding="utf-8"), re.M | re.S)[1]
    return tomllib.loads(re.sub(r"^# ?", "", block, flags=re.M))["dependencies"]


def image_of(script):
    """The image of the process of the same name."""
    module = ROOT / "modules" / script.stem / "main.nf"
    if not module.exists():
        return IMAGE_OF.get(script.stem, "core")
    return re.search(r'container "intronaut/(\w+):', module.read_text())[1]


def compile_pins(requirements, output, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("\n".join(sorted(requirements)) + "\n")
        wanted.flush()
        how = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate"]
        how += ["--no-emit-index-url", "--custom-compile-command", "make lock", *options]
        subprocess.run(["uv", "pip", "compile", *how, wanted.name, "--output-file", output], check=True)


def main():
    scripts = sorted((ROOT / "bin").glob("*.py"))
    tests = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and not line.startswith("#")]
    every = {need for script in scripts for need in declared(script)}
    compile_pins(every | set(tests), ROOT / "requirements.txt")
    for image in ("core", "torch"):
        needs = {need for script in scripts if image_of(script) == image for need in declared(script)}
        pins = ROOT / "containers" / image / "requirements.txt"
        compile_pins(needs, pins, "--constraints", ROOT / "requirements.txt")


if __name__ == "__main__":
    main()
