"""Templates of this room filled with values."""

import re
from importlib import resources

import jinja2
from markupsafe import Markup

from intronaut import __version__


def render(template: str, **values: str | dict[str, str] | None) -> str:
    """The text of a template of this room, escaped as HTML; every name that it uses must be in ``values``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("intronaut.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(version=__version__, style=_style(), script=_text("page.js"))
    return environment.get_template(template).render(**values)


def _style():
    """The style sheet without indentation and comments."""
    css = re.sub(r"/\*.*?\*/", "", _text("page.css"), flags=re.S)
    return Markup(re.sub(r"\s*\n\s*", "\n", css).strip())


def _text(name):
    return Markup((resources.files("intronaut.report") / name).read_text(encoding="utf-8"))
