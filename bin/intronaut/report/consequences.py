"""What happens if an intron stays: where introns lie, and what keeping them would do to the protein."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from intronaut.io.tables import CONSEQUENCES
from intronaut.report import numbers as n

if TYPE_CHECKING:
    from intronaut.report.study import Study

PLACES = (("utr5", "in the 5′ UTR"), ("cds", "in the coding part"), ("utr3", "in the 3′ UTR"),
          ("noncoding", "in no coding transcript"))  # fmt: skip
OUTCOMES = (
    ("premature stop, decay expected", lambda rows: rows["nmd"] == 1),
    ("premature stop, no decay expected", lambda rows: (rows["premature_stop"] == 1) & (rows["nmd"] != 1)),
    ("no premature stop, same frame", lambda rows: (rows["premature_stop"] == 0) & (rows["frame"] == 0)),
    ("no premature stop, other frame", lambda rows: (rows["premature_stop"] == 0) & (rows["frame"] > 0)),
)


def section(study: Study) -> dict[str, Any] | None:
    """Values of the section's template; None where the labels do not say it of any labelled intron."""
    if not set(CONSEQUENCES) <= set(study.labels.columns):
        return None
    known = study.known[study.known["region"].notna()]
    if known.empty:
        return None
    known = known.assign(**{name: pd.to_numeric(known[name]) for name in CONSEQUENCES if name != "region"})
    classes = [known[known["label"] == label] for label in (1, 0)]
    rows = [_row(words, classes, [rows["region"] == place for rows in classes]) for place, words in PLACES]
    coding = [rows[rows["region"] == "cds"] for rows in classes]
    of_coding = [_row(words, coding, [holds(rows) for rows in coding]) for words, holds in OUTCOMES]
    return {"gist": _gist(coding[0], study.unit), "places": rows, "outcomes": of_coding}


def _row(words, classes, chosen):
    cells = [f"{n.count(flags.sum())} ({n.share(flags.mean(), 0)})" if len(rows) else n.MISSING
             for flags, rows in zip(chosen, classes, strict=True)]  # fmt: skip
    return {"name": words, "retained": cells[0], "spliced": cells[1]}


def _gist(retained, unit):
    """What keeping the retained introns of coding parts would do."""
    if retained.empty:
        return f"No retained {unit} lies in the coding part of a transcript that splices it."
    premature, decays = (int((retained[name] == 1).sum()) for name in ("premature_stop", "nmd"))
    return (
        f"Of {n.plural(len(retained), f'retained {unit}')} in the coding part, {n.count(premature)} "
        f"({n.share(premature / len(retained), 0)}) would end the protein early, {n.count(decays)} "
        f"({n.share(decays / len(retained), 0)}) so that the messenger is expected to decay."
    )
