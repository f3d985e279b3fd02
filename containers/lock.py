#!/usr/bin/env python3
"""Pin every Python package, from the dependencies that the scripts of bin/ declare in their own headers.

Writes requirements.txt (all scripts, and the test tools of requirements.in) and, with the same versions, for each image
of containers/ (the scripts whose process in modules/ runs in that image):

  requirements.txt      what its Dockerfile installs, with hashes
  requirements.cpu.txt  for torch: the same without torch and the GPU libraries it brings
  environment.yml       what `-profile conda` installs

With --images only the images' files are written. Needs uv.
"""

import argparse
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ("core", "torch")
# 1 GB that only torch.compile uses, which no tool calls
UNUSED = ("triton",)
GPU_LIBRARIES = re.compile(r"(cuda|nvidia)-")
ENVIRONMENT = """\
# Made by `make lock`: the packages of the image, for -profile conda.
name: intronaut-{image}
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
{pins}
"""


def declared(script):
    """The dependencies in a script's PEP 723 header."""
    block = re.search(r"^# /// script\n(.*?)^# ///$", script.read_text(encoding="utf-8"), re.M | re.S)[1]
    return tomllib.loads(re.sub(r"^# ?", "", block, flags=re.M))["dependencies"]


def image_of(script):
    """The image of the process of the same name; of a tool that no process runs, the one with what it needs."""
    module = ROOT / "modules" / script.stem / "main.nf"
    if module.exists():
        return re.search(r'container "intronaut/(\w+):', module.read_text())[1]
    return "torch" if any(need.startswith("torch") for need in declared(script)) else "core"


def scripts_of(image):
    return [script for script in sorted((ROOT / "bin").glob("*.py")) if image_of(script) == image]


def pinned(requirements):
    """The pins of a requirements file without their hashes, ``name==version ; marker`` each."""
    return re.findall(r"^([\w.-]+==[^\\\n]+?) *\\?$", requirements.read_text(), re.M)


def compile_pins(requirements, output, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("\n".join(sorted(requirements)) + "\n")
        wanted.flush()
        how = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate"]
        how += ["--no-emit-index-url", "--custom-compile-command", "make lock", *options]
        subprocess.run(["uv", "pip", "compile", *how, wanted.name, "--output-file", output], check=True)


def lock_everything():
    tests = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and not line.startswith("#")]
    every = {need for script in (ROOT / "bin").glob("*.py") for need in declared(script)}
    compile_pins(every | set(tests), ROOT / "requirements.txt")


def lock_image(image):
    folder = ROOT / "containers" / image
    needs = {need for script in scripts_of(image) for need in declared(script)}
    how = ["--constraints", ROOT / "requirements.txt", *leave_out(UNUSED)]
    compile_pins(needs, folder / "requirements.txt", *how)
    pins = pinned(folder / "requirements.txt")
    names = [pin.split("==")[0] for pin in pins]
    if "torch" in names:
        gpu = [name for name in names if GPU_LIBRARIES.match(name)]
        compile_pins(needs, folder / "requirements.cpu.txt", *how, *leave_out(["torch", *gpu]))
    (folder / "environment.yml").write_text(
        ENVIRONMENT.format(image=image, pins="\n".join(f'      - "{pin}"' for pin in pins))
    )


def leave_out(names):
    return [option for name in names for option in ("--no-emit-package", name)]


def main():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--images", action="store_true", help="leave the requirements.txt of the whole project as it is")
    if not made.parse_args().images:
        lock_everything()
    for image in IMAGES:
        lock_image(image)


if __name__ == "__main__":
    main()
