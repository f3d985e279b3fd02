"""What pyproject.toml cannot say: dependencies come from the headers of bin/*.py, so that nothing is written twice.

The tools are packed as ``intronaut.tools``. What needs torch, and what only those tools need, is the extra ``torch``.
"""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from setuptools import find_packages, setup

# TF-MoDISco for find_motifs --modisco, which no header declares because nothing else needs it
OPTIONAL = ["modisco-lite>=2.2"]


def declared(script: Path) -> list[Requirement]:
    """The dependencies in a script's PEP 723 header."""
    block = re.search(r"^# /// script\n(.*?)^# ///$", script.read_text(encoding="utf-8"), re.M | re.S)[1]
    return [Requirement(text) for text in tomllib.loads(re.sub(r"^# ?", "", block, flags=re.M))["dependencies"]]


def joined(scripts: list[Path]) -> dict[str, Requirement]:
    """The dependencies of several scripts by name; all their version bounds hold."""
    needed: dict[str, Requirement] = {}
    for requirement in (one for script in scripts for one in declared(script)):
        known = needed.setdefault(requirement.name, requirement)
        known.specifier &= requirement.specifier
    return needed


scripts = sorted(Path("bin").glob("*.py"))
neural = [script for script in scripts if any(need.name == "torch" for need in declared(script))]
everything, light = joined(scripts), joined([script for script in scripts if script not in neural])
with_torch = sorted(str(everything[name]) for name in everything.keys() - light.keys())

setup(
    packages=[*find_packages("bin"), "intronaut.tools"],
    package_dir={"intronaut": "bin/intronaut", "intronaut.tools": "bin"},
    install_requires=sorted(str(everything[name]) for name in light),
    extras_require={"torch": with_torch, "all": with_torch + OPTIONAL},
)
