"""Faults of the inputs beside annotation, genome and calls, each raised as its reader raises it.

Without introns or a genome, which may have faults themselves, a file is looked at as far as it can be.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from intronaut.core.errors import BadData
from intronaut.core.files import require_file
from intronaut.io import measured_tracks
from intronaut.io.covariates import user_covariates
from intronaut.io.peaks import read_peaks
from intronaut.io.vcf import read_header, read_records
from intronaut.labels.genome_checks import require_some_chrom

if TYPE_CHECKING:
    from intronaut.genome.reference import Genome


def check_covariates(path: str, introns: pd.DataFrame | None) -> None:
    """Key and columns of a table of covariates, and that it knows the introns or genes; without those, that it is
    there."""
    require_file(path)
    if introns is not None:
        ends = introns["start"].astype(str) + "-" + introns["end"].astype(str)
        name = introns["chrom"] + ":" + ends + ":" + introns["strand"]
        user_covariates(introns.assign(name=name, intron_id=name), [path])


def check_tracks(path: Path | str) -> None:
    """The sheet of tracks, and the files that it names."""
    measured_tracks.read_sheet(require_file(path))


def check_peaks(path: Path | str, genome: Genome | None) -> None:
    """Lines and chromosome names of a BED file."""
    peaks = read_peaks(require_file(path), unique_names=False)
    if genome is not None:
        require_some_chrom(path, list(peaks["chrom"].unique()), genome)


def check_variants(path: Path | str, genome: Genome | None) -> None:
    """Header, lines and chromosome names of a VCF."""
    read_header(require_file(path))
    chroms = dict.fromkeys(record.fields[0] for record in read_records(path))
    if not chroms:
        raise BadData(f"{path}: no variant in it")
    if genome is not None:
        require_some_chrom(path, list(chroms), genome)


def check_text(path: Path | str) -> None:
    """That a text file is there and holds something."""
    if not Path(require_file(path)).stat().st_size:
        raise BadData(f"{path}: empty")
