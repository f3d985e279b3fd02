"""Help texts and pages use the field's terms: words that once stood for them stay out."""

import ast
import io
import re
import tokenize

import pytest

from conftest import ROOT

# held-out, reported, permuted, reverse-complemented … in other words
OUT = re.compile(
    r"\b(told|said|tells of|dealt|anew|alike|turned round|judged|knows of|parts into(?! which)|for want of)\b"
    r"|\ba line an? ",
    re.I,
)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [
    *sorted((ROOT / "bin").glob("*.py")),
    ROOT / "bin" / "intronaut" / "cli.py",
    *sorted((ROOT / "galaxy").glob("*.xml")),
    ROOT / "nextflow_schema.json",
]
# the calls by which tools speak: of the log, of Problems, of a parser, and print
SAYING = {"warn", "note", "detail", "add", "error", "print"}
SPEAKING = sorted((ROOT / "bin").rglob("*.py"))


def prose(page):
    """A page without its code, which may name columns and files of any name."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page, flags=re.DOTALL)


def help_texts(script):
    """The docstring of a script, and every text that its parser shows."""
    tree = ast.parse(script)
    yield ast.get_docstring(tree) or ""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        shown = [word.value for word in call.keywords if word.arg in ("help", "description")]
        shown += call.args if name == "add_argument_group" else []
        for part in (each for node in shown for each in ast.walk(node)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def messages(script):
    """Every text that a script or module raises, warns of, notes or prints."""
    for node in ast.walk(ast.parse(script)):
        shown = []
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            shown = node.exc.args
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in SAYING:
            shown = node.args
        for part in (each for argument in shown for each in ast.walk(argument)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


# what a thing is must be read from its name: `summary`, `mask`, `position`; these say only that it is there
EMPTY_NAMES = {"made", "found", "told", "said", "own", "some"}


def remarks(script):
    """The comments and docstrings of a script or module, without the names in them."""
    for token in tokenize.generate_tokens(io.StringIO(script).readline):
        if token.type == tokenize.COMMENT:
            yield prose(token.string)
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            yield re.sub(r"``[^`]*``", "", ast.get_docstring(node) or "")


def variables(script):
    """The names that a script or module binds: variables, parameters, functions, classes."""
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


def found(texts):
    return sorted({match[0] for text in texts for match in OUT.finditer(text)})


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages(page):
    assert found([prose(page.read_text(encoding="utf-8"))]) == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_help_texts(path):
    text = path.read_text(encoding="utf-8")
    assert found(help_texts(text) if path.suffix == ".py" else [text]) == []


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: path.relative_to(ROOT / "bin").as_posix())
def test_messages(path):
    assert found(messages(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: path.relative_to(ROOT / "bin").as_posix())
def test_comments_and_names(path):
    script = path.read_text(encoding="utf-8")
    assert found(remarks(script)) == []
    assert sorted({name for name in variables(script) if name.strip("_") in EMPTY_NAMES}) == []


def test_a_word_of_a_comment_and_an_empty_name_are_found():
    script = 'def made(own):\n    """Rows ``told`` anew."""\n    _found = 1  # judged by `said`\n'
    assert found(remarks(script)) == ["anew", "judged"]
    assert EMPTY_NAMES & {name.strip("_") for name in variables(script)} == {"made", "own", "found"}


def test_a_word_of_a_message_is_found():
    script = 'log.warn(f"{n} rows dealt")\nproblems.add("told", 3)\nraise BadData("judged" + x)\nmade = "alike"\n'
    assert found(messages(script)) == ["dealt", "judged", "told"]


def test_a_word_is_found_in_each_of_the_places():
    script = '"""Rows are judged."""\nadd("--x", help=f"dealt {1} " "alike")\nparser.add_argument_group("told")\n'
    assert found(help_texts(script)) == ["alike", "dealt", "judged", "told"]
    assert found([prose("`judged_fold` and `told`\n```\nsaid\n```\nmade anew")]) == ["anew"]


def test_every_page_is_in_the_table_of_contents():
    contents = (ROOT / "docs" / "index.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert sorted(page for page in pages if f"({page}" not in contents) == []
