"""What the options of label_introns say of callers' tables."""

import math
import re
from argparse import Namespace
from dataclasses import dataclass, field

from intronaut.core.errors import UsageError
from intronaut.labels.callers import FORMATS


@dataclass
class CallOptions:
    """What the user says of the calls.

    ``format`` is ``auto``, ``generic`` or one of FORMATS. ``base`` (0 or 1), ``values`` (columns; ``*`` names the
    caller), ``names`` (role → column), ``evidence`` (column → the fewest reads) and ``rows`` (column → the values to
    read) describe a generic table. ``retained`` and ``spliced`` replace every caller's thresholds; ``limits`` holds
    others as ``caller.limit`` → number. ``shift`` is added to starts and ends. ``scale`` is that of the values and
    thresholds of a generic table: ``auto``, ``percent`` or ``other``.
    """

    format: str = "auto"
    base: int | None = None
    values: tuple = ()
    names: dict = field(default_factory=dict)
    retained: float | None = None
    spliced: float | None = None
    limits: dict = field(default_factory=dict)
    shift: tuple = (0, 0)
    evidence: dict = field(default_factory=dict)
    rows: dict = field(default_factory=dict)
    scale: str = "auto"


def call_options(args: Namespace) -> CallOptions:
    """The CallOptions of the parsed options of label_introns; raises UsageError for what they cannot mean."""
    if args.calls_format not in ("auto", "generic", *FORMATS):
        raise UsageError(f"--calls-format {args.calls_format} is none of auto, generic, {', '.join(FORMATS)}")
    rows = {}
    for column, value in pairs("--calls-rows", args.calls_rows):
        rows.setdefault(column, []).append(value)
    return CallOptions(
        format=args.calls_format,
        base=args.calls_base,
        values=tuple(name for name in args.calls_value.split(",") if name),
        names=dict(pairs("--calls-columns", args.calls_columns)),
        retained=args.calls_threshold,
        spliced=args.calls_spliced,
        limits=limits("--calls-limits", args.calls_limits),
        shift=args.shift,
        evidence=evidence(args.calls_evidence),
        rows=rows,
        scale=args.calls_scale,
    )


def limits(option: str, text: str) -> dict[str, float]:
    """The words ``caller.limit=number,…`` of an option as a dict from ``caller.limit`` to its number."""
    known = [f"{kind}.{name}" for kind, known in FORMATS.items() for name in known.limits]
    limit_of = {}
    for key, value in pairs(option, text):
        if key not in known:
            raise UsageError(f"{option}: no limit {key}; there are {', '.join(known)}")
        limit_of[key] = _number(option, f"{key}={value}", value)
    return limit_of


def evidence(text: str) -> dict[str, float]:
    """``--calls-evidence`` as a dict from a column to the fewest reads in it that decide."""
    least_of = {}
    for word in filter(None, text.split(",")):
        match = re.fullmatch(r"(.+?)\s*>=\s*(.+)", word)
        if not match:
            raise UsageError(f"--calls-evidence {text}: expected COLUMN>=NUMBER, several joined by commas")
        least_of[match[1]] = _number("--calls-evidence", word, match[2])
    return least_of


def pairs(option: str, text: str) -> list[tuple[str, str]]:
    """The ``(key, value)`` pairs of ``key=value,…``."""
    words = [word.partition("=") for word in text.split(",") if word]
    if not all(key and equals and value for key, equals, value in words):
        raise UsageError(f"{option} {text}: expected KEY=VALUE, several joined by commas")
    return [(key, value) for key, _, value in words]


def _number(option, word, text):
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise UsageError(f"{option}: {word} is not a number")
    return number
