"""Public functions and methods of the library say what they take and return; mypy (make lint) checks their bodies."""

import ast

import pytest

from conftest import ROOT

MODULES = sorted((ROOT / "bin" / "intronaut").rglob("*.py"))


def public_functions(body, outer=""):
    """``(qualified name, node, whether its first parameter is self)`` of functions, and methods of public classes."""
    for node in body:
        hidden = getattr(node, "name", "").startswith("_")
        if isinstance(node, ast.ClassDef) and not hidden:
            yield from public_functions(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (not hidden or node.name.endswith("__")):
            decorators = {getattr(decorator, "id", "") for decorator in node.decorator_list}
            yield f"{outer}{node.name}", node, bool(outer) and "staticmethod" not in decorators


def lacking(source):
    """``function:parameter`` for each parameter without a hint, ``function:return`` for each such result."""
    problems = []
    for name, node, bound in public_functions(ast.parse(source).body):
        arguments = node.args
        named = [*arguments.posonlyargs, *arguments.args][bound:] + arguments.kwonlyargs
        named += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
        problems += [f"{name}:{argument.arg}" for argument in named if argument.annotation is None]
        problems += [f"{name}:return"] if node.returns is None else []
    return problems


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT / "bin").as_posix())
def test_public_functions_have_hints(path):
    assert lacking(path.read_text(encoding="utf-8")) == []


def test_a_lacking_hint_is_found():
    source = (
        "def plain(a, *b: int, c=1) -> int: ...\n"
        "def _private(a): ...\n"
        "class Public:\n"
        "    def __init__(self, a: int): ...\n"
        "    @staticmethod\n"
        "    def free(a) -> int: ...\n"
        "class _Private:\n"
        "    def method(self, a): ...\n"
    )
    assert lacking(source) == ["plain:a", "plain:c", "Public.__init__:return", "Public.free:a"]
