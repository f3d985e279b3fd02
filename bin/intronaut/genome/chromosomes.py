"""One chromosome under its names of UCSC, Ensembl, RefSeq and GenBank."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from intronaut.core.errors import BadData
from intronaut.io.text import numbered_lines

SHOWN_NAMES = 8


MITOCHONDRIAL = ("chrM", "MT", "M", "chrMT")


# the words UCSC's chromAlias table uses to say which scheme a name belongs to
ALIAS_SOURCES = {"assembly", "ensembl", "flybase", "genbank", "insdc", "ncbi", "refseq", "ucsc", "wormbase"}


NOT_A_NAME = {"", "na", "n/a", ".", "-"}


@dataclass
class Aliases:
    """Names of one chromosome: ``synonyms[name]`` is the set of them all, ``lengths[name]`` its bases where known."""

    synonyms: dict = field(default_factory=dict)
    lengths: dict = field(default_factory=dict)


def read_aliases(path: Path | str) -> Aliases:
    """Read a chromosome alias table into Aliases.

    Understands an NCBI assembly report, both UCSC chromAlias styles (one line a chromosome, or alias/chrom/source)
    and any table with one naming scheme a column. Names on one line, and lines that share a name, mean one chromosome.
    Raises BadData for a table without names.
    """
    rows, lengths, columns, length_column = [], {}, None, None
    for _, line in numbered_lines(path):
        fields = [text.strip() for text in line.lstrip("# ").split("\t")]
        if line.startswith("#") and "Sequence-Length" in fields:
            schemes = ("Sequence-Name", "GenBank-Accn", "RefSeq-Accn", "UCSC-style-name")
            columns = [fields.index(scheme) for scheme in schemes if scheme in fields]
            length_column = fields.index("Sequence-Length")
        elif not line.startswith("#") and line.strip():
            kept = fields if columns is None else [fields[i] for i in columns if i < len(fields)]
            rows.append([name for name in kept if name.lower() not in NOT_A_NAME])
            if length_column is not None and length_column < len(fields) and fields[length_column].isdigit():
                lengths |= dict.fromkeys(rows[-1], int(fields[length_column]))
    if columns is None and rows and all(len(row) == 3 and set(row[2].split(",")) <= ALIAS_SOURCES for row in rows):
        rows = [row[:2] for row in rows]
    if not any(len(row) > 1 for row in rows):
        raise BadData(f"{path}: no line holds two names of a chromosome; expected one naming scheme a column, by tabs")
    return Aliases(_joined(rows), lengths)


def _joined(rows):
    synonyms = {}
    for row in rows:
        together = set(row).union(*(synonyms.get(name, ()) for name in row))
        synonyms |= dict.fromkeys(together, together)
    return synonyms


def resolve_chrom(
    chrom: str, lengths: Mapping[str, int | None], aliases: Aliases | None = None, length: int | None = None
) -> str | None:
    """The name in ``lengths`` (name → bases, or None) that means ``chrom``, or None when there is none.

    Exact first, then the alias table, then ``1``/``chr1`` and ``M``/``MT``/``chrM``. Raises BadData when several
    names fit, or when the length of the chromosome is known and differs.
    """
    name = _one_of(chrom, lengths, aliases)
    stated = length if length is not None or aliases is None else aliases.lengths.get(chrom)
    if name is not None and None not in (stated, lengths[name]) and stated != lengths[name]:
        raise BadData(
            f"chromosome {chrom} has {stated:,} bases, "
            f"but {name} of the genome has {lengths[name]:,}: another assembly?"
        )
    return name


def _one_of(chrom, lengths, aliases):
    if chrom in lengths:
        return chrom
    synonyms = () if aliases is None else aliases.synonyms.get(chrom, ())
    for names in (synonyms, _usual_synonyms(chrom)):
        fitting = sorted(set(names) & lengths.keys())
        if len(fitting) > 1:
            raise BadData(f"chromosome {chrom} could be any of {', '.join(fitting)}; name it as the genome does")
        if fitting:
            return fitting[0]
    return None


def _usual_synonyms(chrom):
    if chrom in MITOCHONDRIAL:
        return MITOCHONDRIAL
    bare = chrom[3:] if chrom[:3] in ("chr", "Chr", "CHR") else chrom
    return bare, f"chr{bare}", f"Chr{bare}", f"CHR{bare}"


def resolve_chroms(
    chroms: Iterable[str],
    lengths: Mapping[str, int | None],
    aliases: Aliases | None = None,
    *,
    source: Path | str,
    genome: Path | str,
) -> dict[str, str]:
    """A dict from each of ``chroms`` to its name in ``lengths``; ``source`` and ``genome`` say whose names they are.

    Raises BadData that shows both sets of names when any of them cannot be resolved.
    """
    chroms = list(dict.fromkeys(chroms))
    names = {chrom: resolve_chrom(chrom, lengths, aliases) for chrom in chroms}
    lacking = [chrom for chrom, name in names.items() if name is None]
    if lacking:
        raise BadData(
            f"{source}: {len(lacking)} of {len(chroms)} chromosomes are not in {genome}: {_first_names(lacking)}; "
            f"{genome} has {_first_names(lengths)}; use the genome the rows were made with, or give --chrom-aliases"
        )
    return {chrom: name for chrom, name in names.items() if name is not None}


def known_chroms(
    chroms: Iterable[str],
    lengths: Mapping[str, int | None],
    aliases: Aliases | None = None,
    *,
    source: Path | str,
    genome: Path | str,
) -> dict[str, str | None]:
    """As :func:`resolve_chroms`, with None for those that are not in ``lengths``; refuses only when none is."""
    names = {chrom: resolve_chrom(chrom, lengths, aliases) for chrom in chroms}
    if not any(names.values()):
        resolve_chroms(names, lengths, aliases, source=source, genome=genome)
    return names


def _first_names(names):
    names = list(names)
    rest = f" … ({len(names)} in all)" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + rest
