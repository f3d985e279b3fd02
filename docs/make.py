#!/usr/bin/env python3
"""Write docs/cli.md from --help, docs/params.md and the rules at the schema's end from it, docs/api.md from docstrings.

The schema says in its own terms what a param needs ("needs", "neededBy", "excludes": the check of the pipeline names
them in one line each); the rules at its end say the same in the terms that every validator of JSON Schema knows.

With --check nothing is written; the exit code is 1 when a page has drifted from its source.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SCHEMA = ROOT / "nextflow_schema.json"


def cli_page():
    page = ["# The tools\n", "Made from each tool's `--help` by `make docs`; change it there.\n"]
    for script in sorted((ROOT / "bin").glob("*.py")):
        text = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True).stdout
        page.append(f"## `{script.stem}`\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(page)


def params_page():
    page = ["# Pipeline params\n", "Made from `nextflow_schema.json` by `make docs`; change it there.\n"]
    for group in json.loads(SCHEMA.read_text())["$defs"].values():
        page.append(f"## {group['title']}\n\n| param | meaning | choices | default |\n|---|---|---|---|")
        for name, rule in group["properties"].items():
            choices = ", ".join(f"`{choice}`" for choice in rule.get("enum", []))
            default = f"`{rule['default']}`" if "default" in rule else ""
            if name in group.get("required", []):
                default = "required"
            page.append(f"| `--{name}` | {rule['description']} | {choices} | {default} |")
        page.append("")
    return "\n".join(page)


def schema_with_rules():
    """The schema's text with the rules that its own terms imply, one a line, in place of those at its end."""
    text = SCHEMA.read_text()
    schema = json.loads(text)
    rules = {name: rule for group in schema["$defs"].values() for name, rule in group["properties"].items()}
    implied = [{"$ref": f"#/$defs/{group}"} for group in schema["$defs"]]
    for name, rule in rules.items():
        implied += rules_of(name, rule)
    lines = ",\n".join(f"        {json.dumps(rule)}" for rule in implied)
    return text[: text.index('    "allOf": [')] + f'    "allOf": [\n{lines}\n    ]\n}}\n'


def rules_of(name, rule):
    """What "needs", "neededBy" and "excludes" of a param say, as dependentRequired or if and then."""
    for other, choice in rule.get("needs", {}).items():
        if choice == "any" and "default" not in rule:
            yield {"dependentRequired": {name: [other]}}
        else:
            # the default needs nothing
            wanted = {"not": {"const": rule["default"]}} if "default" in rule else {}
            yield {"if": chosen(name, wanted), "then": chosen(other, choice_schema(choice))}
    for other, choice in rule.get("neededBy", {}).items():
        yield {"if": chosen(other, choice_schema(choice)), "then": {"required": [name]}}
    for value, others in rule.get("excludes", {}).items():
        for other, choice in others.items():
            value_schema = choice_schema(value) if rule.get("commaList") or value == "any" else {"const": value}
            yield {"if": chosen(name, value_schema), "then": {"not": chosen(other, choice_schema(choice))}}


def chosen(name, value_schema):
    return {"required": [name], "properties": {name: value_schema}} if value_schema else {"required": [name]}


def choice_schema(choice):
    """A comma list that has the choice, or one of a list of choices, among its items; anything for "any"."""
    if choice == "any":
        return {}
    word = re.escape(choice) if isinstance(choice, str) else f"({'|'.join(map(re.escape, choice))})"
    return {"pattern": f"(^|,){word}(,|$)"}


def api_page():
    page = ["# The library\n", "Made from the docstrings of `bin/intronaut/` by `make docs`; change it there.\n"]
    library = ROOT / "bin" / "intronaut"
    for room in [library, *sorted(path for path in library.iterdir() if (path / "__init__.py").exists())]:
        if room != library:
            page.append(f"## {room.name}\n\n{summary(parsed(room / '__init__.py'))}\n")
        package = "intronaut" if room == library else f"intronaut.{room.name}"
        page += [module_section(path, package) for path in sorted(room.glob("*.py")) if path.stem != "__init__"]
    return "\n".join(page)


def module_section(path, package):
    """A module's summary and its public functions and classes, one line each."""
    tree = parsed(path)
    lines = [f"### `{package}.{path.stem}`\n\n{summary(tree)}\n"]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            lines.append(f"- `{signature(node)}` – {summary(node)}")
    return "\n".join([*lines, ""])


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def signature(node):
    """A function with its parameters, or a class by its name."""
    return f"{node.name}({ast.unparse(node.args)})" if isinstance(node, ast.FunctionDef) else f"class {node.name}"


def summary(node):
    """The first paragraph of a docstring, in one line of Markdown."""
    text = (ast.get_docstring(node) or "").split("\n\n")[0]
    return " ".join(text.replace("``", "`").split()).replace("<", "&lt;") or "(no description)"


def main(argv):
    pages = {DOCS / "cli.md": cli_page(), DOCS / "params.md": params_page(), SCHEMA: schema_with_rules()}
    pages |= {DOCS / "api.md": api_page()}
    if "--check" in argv:
        drifted = [path.name for path, text in pages.items() if not path.exists() or path.read_text() != text]
        sys.exit(f"drifted from their source: {', '.join(drifted)}; run 'make docs'" if drifted else 0)
    for path, text in pages.items():
        path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
