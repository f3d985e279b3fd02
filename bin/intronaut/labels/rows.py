"""The rows that every reader of a caller's table makes of it, and the places of the genes that callers name."""

from collections.abc import Iterable

import pandas as pd

from intronaut.core.errors import BadData, Problems

NEVER = float("nan")


def call_rows(
    chrom: pd.Series,
    start: pd.Series,
    end: pd.Series,
    strand: pd.Series | str,
    value: float | pd.Series,
    can_retain: bool | pd.Series,
    can_splice: bool | pd.Series,
) -> pd.DataFrame:
    """The rows of a reader from its columns; single values count for every row."""
    columns = {"chrom": chrom, "start": start, "end": end, "strand": strand, "value": value}
    rows = pd.DataFrame(columns | {"can_retain": can_retain, "can_splice": can_splice}, index=start.index)
    # "*" is what R's GenomicRanges writes for a strand that is not known
    rows["strand"] = rows["strand"].fillna(".").replace("*", ".")
    return rows


def stacked(rows: Iterable[pd.DataFrame], problems: Problems) -> pd.DataFrame:
    """The rows of all samples under each other; raises BadData when there is no sample."""
    rows = list(rows)
    if not rows:
        problems.raise_if_any()
        raise BadData(f"{problems.where}: no sample with values in it; is the table whole?")
    return pd.concat(rows)


def placed_by_gene(
    gene: pd.Series, start: pd.Series, end: pd.Series, genes: pd.DataFrame, **columns: float | str
) -> pd.DataFrame:
    """Rows for a caller that names the gene but no chromosome: one for every place of the gene in the annotation."""
    names = genes["gene_id"]
    if not names.isin(gene).any():
        names, gene = names.str.split(".").str[0], gene.str.split(".").str[0]
    places = genes.assign(gene=names)[["gene", "chrom", "strand"]].drop_duplicates()
    rows = pd.DataFrame({"gene": gene, "start": start, "end": end, **columns}, index=start.index)
    rows = rows.reset_index(names="line").merge(places, how="left", on="gene").set_index("line")
    return rows.drop(columns="gene").fillna({"chrom": ".", "strand": "."})


def events_of(column: pd.Series, events: pd.Series) -> pd.Series:
    """The cells of ``column`` on the lines of ``events``."""
    return column.loc[events.index]
