"""Tracks of a genome browser: BED and bigBed of features, bigWig of numbers, a session of IGV that opens them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from intronaut.core.files import whole_file
from intronaut.io.bedgraph import write_bigwig

if TYPE_CHECKING:
    import pandas as pd

# readers of the binary formats expect names without spaces and shorter than a C buffer
LONGEST_NAME = 255


def bed_rows(table: pd.DataFrame) -> Iterator[tuple[str, int, int, str]]:
    """Rows of BED9 sorted by place, of a table with chrom, start, end, name, score (0–1000), strand and colour
    (``r,g,b``): ``(chrom, start, end, the other six as one text)``."""
    ordered = table.sort_values(["chrom", "start", "end"], kind="stable")
    for row in ordered.itertuples():
        name = "_".join(str(row.name).split())[:LONGEST_NAME] or "."
        strand = row.strand if row.strand in ("+", "-") else "."
        rest = (name, row.score, strand, row.start, row.end, row.colour)
        yield row.chrom, int(row.start), int(row.end), "\t".join(map(str, rest))


def write_bed(path: Path, table: pd.DataFrame, title: str) -> None:
    """BED9 with a track line that gives the title and asks for the colours."""
    with whole_file(path) as out:
        out.write(f'track name="{title}" itemRgb="On"\n')
        out.writelines("\t".join(map(str, row)) + "\n" for row in bed_rows(table))


def write_bigbed(path: Path, table: pd.DataFrame, sizes: dict[str, int]) -> None:
    """The same rows as bigBed; ``sizes`` maps chromosome names to lengths. A table without rows is not written."""
    import pybigtools

    if len(table):
        # its write closes the file
        pybigtools.open(str(path), "w").write({chrom: sizes[chrom] for chrom in sorted(sizes)}, bed_rows(table))


def write_highest(path: Path, table: pd.DataFrame, column: str, sizes: dict[str, int]) -> None:
    """A bigWig of the highest value of ``column`` over each base; bases without a row have none."""
    rows = [row for row in highest(table, column) if row[1] < row[2]]
    if rows:
        write_bigwig(path, rows, {chrom: sizes[chrom] for chrom in sorted(sizes)})


def highest(table: pd.DataFrame, column: str) -> Iterator[tuple[str, int, int, float]]:
    """``(chrom, start, end, value)`` of the highest value over every stretch that rows of the table cover."""
    kept = table[table[column].notna()]
    for chrom, part in kept.groupby("chrom", sort=True):
        rows = sorted(zip(part["start"], part["end"], part[column], strict=True))
        edges = sorted({edge for start, end, _ in rows for edge in (start, end)})
        heap, following = [], 0
        stretch = None
        for left, right in zip(edges[:-1], edges[1:], strict=True):
            while following < len(rows) and rows[following][0] <= left:
                start, end, value = rows[following]
                heapq.heappush(heap, (-value, end))
                following += 1
            while heap and heap[0][1] <= left:
                heapq.heappop(heap)
            value = float(-heap[0][0]) if heap else None
            if stretch and stretch[1] == left and stretch[2] == value:
                stretch[1] = right
                continue
            if stretch and stretch[2] is not None:
                yield chrom, *stretch
            stretch = [left, right, value]
        if stretch and stretch[2] is not None:
            yield chrom, *stretch


def write_session(path: Path, tracks: list[tuple[str, str, str]], genome: str | None, locus: str) -> None:
    """An IGV session beside the tracks, whose paths are relative to it.

    Args:
        tracks: ``(file name, title, colour as r,g,b)`` in order.
        genome: IGV's name of the genome; without it the one that is open stays.
        locus: where to look first.
    """
    about = {"version": "8", "locus": locus} | ({"genome": genome} if genome else {})
    session = ElementTree.Element("Session", about)
    resources = ElementTree.SubElement(session, "Resources")
    panel = ElementTree.SubElement(session, "Panel", name="DataPanel")
    for name, title, colour in tracks:
        ElementTree.SubElement(resources, "Resource", path=name, name=title)
        ElementTree.SubElement(panel, "Track", id=name, name=title, color=colour, visible="true")
    ElementTree.indent(session)
    with whole_file(path) as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(session, encoding="unicode") + "\n")
