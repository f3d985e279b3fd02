"""No file of the code over 400 lines, no function over 60 lines or 7 parameters, but for those named here with why."""

import ast

import pytest

from conftest import ROOT

MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 400, 60, 7
SOURCES = sorted([*(ROOT / "bin").rglob("*.py"), *(ROOT / "docs").glob("*.py"), *(ROOT / "containers").glob("*.py")])
# path:function -> why it may be larger
SETTINGS = "settings of one method, each with a meaning of its own, given by name"
LARGER = {
    "bin/find_motifs.py:test_all": "a step of the script between what was read and what is written",
    "bin/partition.py:values_of_sets": "a step of the script between what was read and what is written",
    "bin/score_variants.py:score_row": "everything that one row of the table is made of",
    "bin/intronaut/features/embed.py:embed": SETTINGS,
    "bin/intronaut/interpret/ism.py:_normalise": "the signature of torch's batch_norm, which it stands in for",
    "bin/intronaut/interpret/stability_selection.py:select_stably": SETTINGS,
    "bin/intronaut/io/fragments.py:read_fragments": "one pass over the alignments, whose state its parts share",
    "bin/intronaut/models/ambiguous.py:score_ambiguous": SETTINGS,
    "bin/intronaut/models/design_matrix.py:Matrix.__init__": SETTINGS,
    "bin/intronaut/models/elastic_net.py:fit": SETTINGS,
    "bin/intronaut/models/fitting.py:fit_to_levels": "a step of fit between what was read and what is written",
    "bin/intronaut/models/lightgbm.py:cross_fit": SETTINGS,
    "bin/intronaut/models/lightgbm.py:_Task.__init__": "what all trainings of a search share",
    "bin/intronaut/models/logistic.py:fit": SETTINGS,
    "bin/intronaut/plots/page.py:Axes.__init__": SETTINGS,
    "bin/intronaut/stats/metrics.py:_of_sums": "eight sums that every metric is computed from",
    "bin/intronaut/variants/splice.py:effect_of": SETTINGS,
}


def functions(tree, outer=""):
    """``(qualified name, node)`` of every function and method."""
    for node in ast.iter_child_nodes(tree):
        name = f"{outer}{getattr(node, 'name', '')}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, node
        yield from functions(node, f"{name}." if isinstance(node, ast.ClassDef | ast.FunctionDef) else outer)


def excess(name, node):
    """What is too large about a function: nothing, or one line."""
    lines = node.end_lineno - node.lineno + 1
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters = sum(argument.arg not in ("self", "cls") for argument in named)
    # a parser is a list of options
    if lines > MOST_FUNCTION_LINES and name != "make_parser":
        return f"{name}: {lines} lines"
    return f"{name}: {parameters} parameters" if parameters > MOST_PARAMETERS else None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_functions_are_small(path):
    text, place = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    found = [
        problem
        for name, node in functions(ast.parse(text))
        if f"{place}:{name}" not in LARGER and (problem := excess(name, node))
    ]
    if text.count("\n") > MOST_LINES and place not in LARGER:
        found.append(f"{text.count(chr(10))} lines")
    assert found == []
