"""Whether alignments are of the genome that the annotation and the FASTA describe."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from intronaut.core.errors import BadData
from intronaut.genome.chromosomes import Aliases, resolve_chrom, resolve_chroms

if TYPE_CHECKING:
    import pandas as pd

    from intronaut.genome.reference import Genome
    from intronaut.io.alignments import Alignments


def alignment_chroms(
    alignments: Alignments,
    introns: pd.DataFrame,
    aliases: Aliases | None,
    annotation: Path | str,
    genome: Genome | None = None,
) -> dict[str, str | None]:
    """A dict from the annotation's chromosome names to those of the alignments, None where they lack one.

    Args:
        alignments: object with ``source`` and ``lengths`` (name → bases).
        introns: DataFrame chrom, end. ``annotation``: its file, for the message.
        genome: a Genome, or None; its lengths must be those of the alignments.

    Raises:
        BadData: no chromosome in common, an intron beyond the end of its chromosome, or another length in the FASTA.
    """
    last = introns.groupby("chrom", sort=False)["end"].max()
    names = {chrom: resolve_chrom(chrom, alignments.lengths, aliases) for chrom in last.index}
    if not any(names.values()):
        resolve_chroms(names, alignments.lengths, aliases, source=annotation, genome=alignments.source)
    faults = []
    for chrom, name in names.items():
        length = None if name is None else alignments.lengths[name]
        if length is not None and last[chrom] > length:
            faults.append(f"{name} has {length:,} bases, but {annotation} has an intron that ends at {last[chrom]:,}")
        in_fasta = None if genome is None else resolve_chrom(chrom, genome.lengths, genome.aliases)
        if None not in (length, in_fasta) and genome.lengths[in_fasta] != length:
            faults.append(
                f"{name} has {length:,} bases, but {in_fasta} of {genome.path} has {genome.lengths[in_fasta]:,}"
            )
    _refuse(alignments.source, faults, ": another assembly?")
    return names


def _refuse(source, faults, advice):
    """Raise BadData for the first of the faults, in one line: a genome has hundreds of sequences."""
    if faults:
        others = f", and {len(faults) - 1:,} more are not the same" if len(faults) > 1 else ""
        raise BadData(f"{source}: {faults[0]}{others}{advice}")


def check_alignments(
    path: Path | str,
    fasta: Path | str | None,
    introns: pd.DataFrame | None,
    annotation: Path | str,
    genome: Genome | None = None,
) -> None:
    """Raise BadData, UsageError or MissingInput where a file of alignments is not whole, or of another assembly.

    ``introns``, ``annotation`` and ``genome`` are those of :func:`alignment_chroms`; what is None is not compared.
    """
    from intronaut.io.alignments import Alignments

    with Alignments(path, fasta, sort=False) as file:
        if file.is_cram and genome is not None:
            check_cram_reference(file, genome)
        if introns is not None:
            alignment_chroms(file, introns, genome.aliases if genome else None, annotation, genome)


def check_cram_reference(alignments: Alignments, genome: Genome) -> None:
    """Raise BadData where a chromosome of a CRAM has another length or checksum (M5) in the genome."""
    faults = []
    for entry in alignments.header["SQ"]:
        name, length = entry["SN"], entry["LN"]
        if name not in genome.lengths:
            continue
        if genome.lengths[name] != length:
            faults.append(f"{name} has {length:,} bases, but {genome.lengths[name]:,} in {genome.path}")
        elif "M5" in entry:
            digest = hashlib.md5(genome.fetch(name, 0, length).encode(), usedforsecurity=False).hexdigest()
            if digest != entry["M5"].lower():
                faults.append(f"{name} is another sequence in {genome.path}")
    _refuse(alignments.source, faults, "; give the FASTA that the CRAM was made with")
    if not set(genome.lengths) & set(alignments.lengths):
        raise BadData(f"{alignments.source}: {genome.path} has none of its chromosomes; give the right FASTA")
