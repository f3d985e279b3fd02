"""What was measured from reads: each sample, its warnings, conditions compared, introns drawn with reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from intronaut.core.errors import BadData
from intronaut.core.json_files import read_record
from intronaut.io.tables import read_table
from intronaut.report import numbers as n

if TYPE_CHECKING:
    from intronaut.report.study import Study

DRAWN = 6
# changed introns shown of each comparison
CHANGED = 10
CHANGE_NUMBERS = ("reference", "level", "delta_psi", "delta_low", "delta_high", "shrunken_delta", "fdr")


def read_quantified(folder: Path | str, read_svg: Callable[[Path], str]) -> dict[str, Any]:
    """What quantify_introns and differential_retention left in a folder: samples, figures, comparisons.

    Args:
        read_svg: reader of one figure.
    """
    folder = Path(folder)
    together = folder / "counts.json"
    if together.exists():
        samples = list(read_record(together)["samples"].values())
    else:
        samples = [read_record(path) for path in sorted(folder.glob("*.counts.json"))]
    if not samples:
        raise BadData(f"{folder}: no counts.json of quantify_introns in it, nor one of a sample")
    figures = {}
    for path in sorted(folder.glob("*sashimi/*.svg")):
        figures.setdefault(path.stem, read_svg(path))
    differences = folder / "differences.json"
    compared = read_record(differences)["comparisons"] if differences.exists() else {}
    changed = read_changed(folder / "differences.tsv") if (folder / "differences.tsv").exists() else None
    return {"samples": samples, "figures": figures, "comparisons": compared, "changed": changed}


def read_changed(path: Path) -> pd.DataFrame:
    """The rows of differential_retention that are retained more or less, by comparison, the largest change first."""
    table = read_table(
        path, ("chrom", "start", "end", "strand", "name", "gene_id", "comparison", "caller", "change", *CHANGE_NUMBERS)
    )
    rows = table[table["change"].isin(["more", "less"])].astype(dict.fromkeys(CHANGE_NUMBERS, float))
    # other programs give no shrunken difference
    size = rows["shrunken_delta"].fillna(rows["delta_psi"]).abs()
    return rows.assign(size=size).sort_values(["comparison", "caller", "size"], ascending=[True, True, False])


def section(study: Study) -> dict[str, Any] | None:
    """Values of the section's template; None for a study without reads."""
    quantified = study.quantified
    if quantified is None:
        return None
    return {
        "gist": gist(quantified["samples"]),
        "samples": [sample_row(about) for about in quantified["samples"]],
        "warnings": [(about["sample"], text) for about in quantified["samples"] for text in about["warnings"]],
        "comparisons": [comparison_row(name, counts) for name, counts in quantified["comparisons"].items()],
        "changed": changed_tables(quantified["changed"], study.name_of_gene.set_axis(study.labels["name"])),
        "figures": list(quantified["figures"].values())[:DRAWN],
    }


def gist(samples: list[dict[str, Any]]) -> str:
    """How many samples there are, and how many introns they tell of."""
    measured = n.listed([f"{n.count(about['measured'])} in {about['sample']}" for about in samples[:4]])
    more = f", and in {len(samples) - 4} more samples" if len(samples) > 4 else ""
    of = n.count(samples[0]["introns"])
    return f"Of {of} annotated introns, these have enough fragments at their ends to be measured: {measured}{more}."


def sample_row(about: dict[str, Any]) -> dict[str, str]:
    """The cells of one sample; what a sample without alignments has not is a dash."""
    records, fragments = about.get("records"), about.get("fragments")
    calls = about["calls"]
    return {
        "name": about["sample"],
        "condition": about.get("condition") or n.MISSING,
        "fragments": n.MISSING if fragments is None else n.count(fragments),
        "dropped": n.share(1 - about["kept"] / records) if records else n.MISSING,
        "spliced": n.share(about["spliced_fragments"] / fragments) if fragments else n.MISSING,
        "library": about["library"],
        "measured": n.count(about["measured"]),
        "median": n.MISSING if n.lacks(about["median_psi"]) else n.decimal(about["median_psi"]),
        "calls": " / ".join(n.count(calls.get(key, 0)) for key in ("1", "0", "NA")),
    }


def comparison_row(name: str, counts: dict[str, int]) -> dict[str, str]:
    """The cells of one comparison of two conditions."""
    words = {word: n.count(counts[word]) for word in ("more", "less", "unchanged")}
    return {"name": name, **words, "introns": n.count(counts["introns"])}


def changed_tables(changed: pd.DataFrame | None, gene_of: pd.Series) -> list[dict[str, Any]]:
    """Of each comparison of each caller its largest changes; ``gene_of`` names the gene of each intron's name."""
    if changed is None:
        return []
    return [
        {
            "name": comparison if caller == "intronaut" else f"{comparison} ({caller})",
            "total": n.plural(len(rows), "intron"),
            "rows": [changed_row(row, gene_of) for row in rows.head(CHANGED).to_dict("records")],
        }
        for (comparison, caller), rows in changed.groupby(["comparison", "caller"], sort=False)
    ]


def changed_row(row: dict[str, Any], gene_of: pd.Series) -> dict[str, str]:
    """The cells of one changed intron."""
    estimate = {"value": row["delta_psi"], "low": row["delta_low"], "high": row["delta_high"]}
    return {
        "place": n.position(row["chrom"], int(row["start"]), int(row["end"]), row["strand"]),
        "gene": gene_of.get(row["name"], row["gene_id"]) or n.MISSING,
        "reference": n.decimal(row["reference"], 2),
        "level": n.decimal(row["level"], 2),
        "delta": n.gain(estimate, 2),
        "fdr": n.p_value(row["fdr"]),
        "css": "r" if row["change"] == "more" else "s",
        "change": row["change"],
    }
