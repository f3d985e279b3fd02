"""The splice-site covariates of introns, the columns SPLICE_SITES of labels.tsv."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intronaut.genome import branch_points, splice_sites
from intronaut.io.tables import SPLICE_SITES

if TYPE_CHECKING:
    import pandas as pd

    from intronaut.genome.maxentscan import Tables
    from intronaut.genome.reference import Genome


def splice_site_columns(
    introns: pd.DataFrame,
    genes: pd.DataFrame,
    genome: Genome | None,
    chroms: dict[str, str] | None,
    tables: Tables | None,
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """The columns SPLICE_SITES of every intron, and what counts.json says of them.

    Args:
        introns, genes: DataFrames chrom, start, end, strand.
        genome: a Genome, or None for columns of NaN; ``chroms`` maps the tables' chromosome names to its own.
        tables: MaxEntScan's Tables, whose scores then are the strengths, or None.
        seed: of the positions drawn as decoys.

    Returns:
        ``(columns, about)``: a dict of ``(n,)`` arrays, and a dict that names the models or None.
    """
    if genome is None or introns.empty:
        return {name: np.full(len(introns), np.nan) for name in SPLICE_SITES}, None
    bases = splice_sites.read_bases(genome, chroms, introns, genes, reach=branch_points.reach(), seed=seed)
    if tables:
        donor, acceptor = tables.donor_scores(bases.donor), tables.acceptor_scores(bases.acceptor)
        models = ["MaxEntScan", "MaxEntScan"]
    else:
        donor, acceptor, models = splice_sites.site_strengths(bases)
    columns = {"donor_strength": donor, "acceptor_strength": acceptor}
    columns |= branch_points.describe(bases.tail, bases.head, seed=seed)
    if models is None:
        return columns, None
    about = {"donor_model": models[0], "acceptor_model": models[1], "u12": int(columns["u12"].sum()),
             "tables_differ": tables.unknown if tables else []}  # fmt: skip
    return columns, about
