"""The rooms of bin/intronaut/ import only whom docs/development.md lets them import."""

import ast
import graphlib

import pytest

from conftest import ROOT

LIBRARY = ROOT / "bin" / "intronaut"
# room -> the rooms it may import beside core and itself; `interpret` and `variants` take what their first word may
MAY_IMPORT = {
    "core": set(),
    "io": set(),
    "splits": set(),
    "genome": {"io"},
    "stats": {"io"},
    "labels": {"io", "genome"},
    "motifs": {"io", "stats"},
    "models": {"io", "stats", "splits"},
    "networks": {"io", "models", "stats"},
    "features": {"io", "genome", "models", "motifs", "networks"},
    "interpret": {"features", "io", "genome", "models", "motifs", "networks", "stats"},
    "variants": {"interpret", "features", "io", "genome", "models", "motifs", "networks", "stats"},
    "plots": {"motifs", "stats"},
    "report": {"io", "plots", "stats"},
    "paper": {"genome", "labels", "models", "motifs", "stats"},
}
MODULES = sorted(LIBRARY.rglob("*.py"))


def imported(path):
    """The modules of intronaut that a file imports, in functions too, as dotted names without ``intronaut.``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "intronaut":
            inside = node.module.partition(".")[2]
            yield from [inside] if inside else [name.name for name in node.names if name.name != "__version__"]
        elif isinstance(node, ast.Import):
            yield from [name.name.partition(".")[2] for name in node.names if name.name.startswith("intronaut.")]


def test_every_module_lies_in_a_room():
    rooms = {path.name for path in LIBRARY.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == set(MAY_IMPORT)
    assert {path.name for path in LIBRARY.glob("*.py")} == {"__init__.py", "cli.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_rooms_import_whom_they_may(path):
    room = path.relative_to(LIBRARY).parts[0]
    allowed = {"core"} if room == "cli.py" else MAY_IMPORT.get(room, set()) | {"core", room}
    outside = [module for module in imported(path) if module.split(".")[0] not in allowed]
    assert not outside


def modules_imported(path):
    """The modules of the library that a file imports, those that only its types name included."""
    names = {module.relative_to(LIBRARY).with_suffix("").as_posix().replace("/", ".") for module in MODULES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("intronaut."):
            inside = node.module.removeprefix("intronaut.")
            yield from {inside, *(f"{inside}.{name.name}" for name in node.names)} & names


def test_no_module_imports_itself_through_others():
    graph = {
        path.relative_to(LIBRARY).with_suffix("").as_posix().replace("/", "."): set(modules_imported(path))
        for path in MODULES
    }
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert order.index("core.errors") < order.index("io.tables") < order.index("report.page")


def test_scripts_do_not_import_each_other():
    scripts = {path.stem for path in (ROOT / "bin").glob("*.py")}
    for path in (ROOT / "bin").glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        names = {
            name
            for node in nodes
            for name in (
                [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in getattr(node, "names", [])]
            )
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert not scripts & names, path.name


def test_former_names_import_the_same_modules():
    from intronaut import claims, evaluation
    from intronaut.io import h5ad
    from intronaut.models import LAYOUT, folder
    from intronaut.paper import claims as claims_of_paper
    from intronaut.stats import metrics
    from intronaut.store import FeatureWriter

    assert evaluation is metrics and FeatureWriter is h5ad.FeatureWriter
    assert claims is claims_of_paper and claims.NAMED_GROUPS and folder.LAYOUT is LAYOUT
    assert metrics.__spec__.name == "intronaut.stats.metrics"
