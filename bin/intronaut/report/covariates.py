"""What the covariates are called in prose."""

from collections.abc import Iterable

from intronaut.io import tables
from intronaut.io.covariates import covariate_of


def covariate_words(names: Iterable[str]) -> list[str]:
    """What covariates are called in prose: length, GC content, position, splice sites, and a user's by their names.

    ``gc_missing`` and ``sex=male`` are of the covariates gc and sex.
    """
    called = {name: "position" for name in tables.COVARIATE_BLOCKS["architecture"]} | {"length": "length"}
    called |= dict.fromkeys(tables.COVARIATE_BLOCKS["composition"], "GC content")
    called |= dict.fromkeys(tables.SPLICE_SITES, "splice sites")
    words = {called.get(covariate_of(name), covariate_of(name)) for name in names}
    usual = [word for word in ("length", "GC content", "position", "splice sites") if word in words]
    return usual + sorted(words.difference(usual))
