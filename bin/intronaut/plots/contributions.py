"""What each kind of information adds, as steps from nothing to all kinds together: a figure of the report's page."""

from html import escape
from typing import Any

from intronaut.plots.page import LEFT, RIGHT, WIDTH

TOP, STEP, BAR, BOTTOM = 30, 38, 12, 36
MOST_TICKS = 7
X0 = LEFT - 36


def contribution_steps(
    title: str, start: float, steps: list[dict[str, Any]], total: dict[str, Any], axis_label: str
) -> str:
    """Steps that add up to the last: each bar begins where the one above ends.

    Args:
        title: what stands above.
        start: the value of nothing, such as 0.5 for AUROC.
        steps: dicts ``name value low high text adds``, ``value`` being the difference to the step before, ``low`` and
            ``high`` its interval or None, ``text`` how it is written; those that do not add are grey.
        total: a dict of the same form, of all together over nothing.
        axis_label: what is measured.

    Returns the figure as one ``<svg>`` element.
    """
    ends, at = [], start
    for step in steps:
        ends.append((at, at + step["value"]))
        at += step["value"]
    rows = [*zip(steps, ends, strict=True), (total, (start, start + total["value"]))]
    low, high, width = _axis(start, rows)
    height = TOP + STEP * len(rows) + BOTTOM

    def x(value):
        return X0 + (value - low) / (high - low) * (WIDTH - RIGHT - X0)

    drawn = [f'<text class="ti" x="{X0}" y="15">{escape(title)}</text>']
    bottom = height - BOTTOM
    for tick in range(round((high - low) / width) + 1):
        place = x(low + tick * width)
        anchor = "start" if tick == 0 else "end" if place > WIDTH - RIGHT - 5 else "middle"
        drawn.append(f'<path class="g" d="M{place:.1f} {TOP}V{bottom}"/>')
        drawn.append(f'<text class="t" x="{place:.1f}" y="{bottom + 14}" text-anchor="{anchor}">'
                     f"{low + tick * width:.2g}</text>")  # fmt: skip
    drawn.append(f'<text class="t" x="{(X0 + WIDTH - RIGHT) / 2:.0f}" y="{height - 6}" text-anchor="middle">'
                 f"{escape(axis_label)}</text>")  # fmt: skip
    for place, (step, (first, last)) in enumerate(rows):
        drawn += _row(step, x, first, last, TOP + STEP * place)
    words = "; ".join(f"{step['name']}: {step['text']}" for step, _ in rows)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(words)}</desc>{''.join(drawn)}</svg>"
    )


def _axis(start, rows):
    """``(low, high, distance of ticks)`` of an axis that holds all bars and intervals."""
    values = [start]
    for step, (first, last) in rows:
        values += [first, last, *(first + end for end in (step["low"], step["high"]) if end is not None)]
    low, high = min(values), max(values)
    width = next(width for width in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if (high - low) / width <= MOST_TICKS)
    low, high = (low + 1e-9) // width * width, -((1e-9 - high) // width) * width
    return low, max(high, low + width), width


def _row(step, x, first, last, top):
    """The elements of one bar with its name above, and the interval of its end."""
    css = "fi" if step["adds"] else "fn"
    left, right = sorted((x(first), x(last)))
    bar, below = top + 16, top + 16 + BAR + 4
    yield f'<text class="t" x="{X0}" y="{top + 12}">{escape(step["name"])}</text>'
    yield f'<text class="t" x="{WIDTH - RIGHT}" y="{top + 12}" text-anchor="end">{escape(step["text"])}</text>'
    yield f'<rect class="{css}" x="{left:.1f}" y="{bar}" width="{max(right - left, 1):.1f}" height="{BAR}"/>'
    if step["low"] is not None:
        yield f'<path class="x" d="M{x(first + step["low"]):.1f} {below}H{x(first + step["high"]):.1f}"/>'
