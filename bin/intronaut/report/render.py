"""Templates of this room filled with values."""

import jinja2

from intronaut import __version__


def render(template, *, filters=None, **values):
    """The text of a template of this room, escaped as HTML; every name that it uses must be in ``values``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("intronaut.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(template).render(version=__version__, **values)
