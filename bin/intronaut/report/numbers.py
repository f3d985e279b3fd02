"""How numbers are written in the report, its cards and MultiQC: the one place for it.

AUROC, average precision, Brier score, calibration error and probabilities have three decimals, shares one decimal in
per cent, odds ratios two, p and q two significant digits, counts a comma at every thousand. A minus is U+2212, an
interval an en dash. What rounds to zero has no sign; what is missing (None or NaN) is a dash.
"""

import math
import re

from markupsafe import Markup

MISSING = "–"
SMALL_P = 1e-3
# sentences that differ in a name and a number alone; more of them become one
MOST_LISTED = 3


def lacks(value: float | None) -> bool:
    """Whether a number is missing: None, NaN or infinite."""
    return value is None or not math.isfinite(value)


def count(value: float) -> str:
    """``2,574``."""
    return MISSING if lacks(value) else minus(f"{value:z,.0f}")


def plural(number: int, noun: str, several: str | None = None) -> str:
    """``1 motif``, ``2 motifs``."""
    return f"{count(number)} {noun if number == 1 else several or noun + 's'}"


def decimal(value: float, digits: int = 3) -> str:
    """``0.801``."""
    return MISSING if lacks(value) else minus(f"{value:z.{digits}f}")


def signed(value: float, digits: int = 3) -> str:
    """``+0.001`` or ``−0.013``; what rounds to zero has no sign."""
    if lacks(value):
        return MISSING
    text = f"{value:+.{digits}f}"
    return minus(text if text.strip("+-0.") else text[1:])


def share(value: float, digits: int = 1) -> str:
    """``9.4%``."""
    return MISSING if lacks(value) else minus(f"{100 * value:z.{digits}f}%")


def interval(metric: dict[str, float | None], digits: int = 3) -> str:
    """``0.771–0.830`` of a dict with low and high; ``no interval`` where they are missing, empty without such keys."""
    if "low" not in metric:
        return ""
    low, high = metric["low"], metric["high"]
    if lacks(low) or lacks(high):
        return "no interval"
    return f"{decimal(low, digits)}–{decimal(high, digits)}" if low >= 0 else _to(low, high, decimal, digits)


def estimate(metric: dict[str, float], digits: int = 3) -> str:
    """``0.801 (0.771–0.830)``; a metric that has no interval by its nature is a number alone."""
    value, about = decimal(metric["value"], digits), interval(metric, digits)
    return f"{value} ({about})" if about else value


def gain(metric: dict[str, float], digits: int = 3) -> str:
    """``+0.001 (−0.013 to +0.015)``."""
    return f"{signed(metric['value'], digits)} ({gain_interval(metric, digits)})"


def gain_interval(metric: dict[str, float], digits: int = 3) -> str:
    """``−0.013 to +0.015``."""
    low, high = metric.get("low"), metric.get("high")
    return "no interval" if lacks(low) or lacks(high) else _to(low, high, signed, digits)


def odds_ratio(value: float | None) -> str:
    """``0.17``; ``∞`` where no spliced intron has it."""
    return "∞" if value == math.inf else decimal(value, 2)


def odds_interval(low: float, high: float) -> str:
    """``0.04–0.71``; ``no interval`` where a class has none."""
    return "no interval" if lacks(low) or lacks(high) else f"{decimal(low, 2)}–{decimal(high, 2)}"


def p_value(value: float | None) -> Markup:
    """``0.037``, ``1.6×10⁻⁵`` below 0.001, as HTML."""
    if lacks(value):
        return Markup(MISSING)
    if value >= SMALL_P or value == 0:
        return Markup(f"{value:.2g}" if value < 0.995 else "1.0")
    mantissa, exponent = f"{value:.1e}".split("e")
    return Markup(f"{mantissa}×10<sup>{minus(str(int(exponent)))}</sup>")


def minus(text: str) -> str:
    """The text with real minus signs."""
    return text.replace("-", "−")


def in_prose(text: str) -> str:
    """A tool's sentence by the page's rule: minus signs before numbers, and ``95%``."""
    return re.sub(r"(?<=[\s(])-(?=\d)", "−", text).replace(" %", "%")


def position(chrom: str, start: int, end: int, strand: str) -> str:
    """A 0-based half-open place as genome browsers count: ``19:1,440,254–1,440,348 (+)``."""
    return f"{chrom}:{start + 1:,}–{end:,} ({'−' if strand == '-' else strand})"


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def cut(names: list[str], shown: int) -> tuple[str, str]:
    """``(text, all of it)`` of a list of names; the second is empty where the first leaves nothing out."""
    if len(names) <= shown:
        return ", ".join(names), ""
    return f"{', '.join(names[:shown])} and {len(names) - shown} more", ", ".join(names)


def _to(low, high, write, digits):
    return f"{write(low, digits)} to {write(high, digits)}"
