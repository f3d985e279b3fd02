"""Genome browsers of a place: only for an assembly whose names are known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Assembly:
    """An assembly: the name in UCSC's and Ensembl's addresses (empty where it is not there), and its species."""

    ucsc: str
    species: str
    ensembl: str = "www.ensembl.org"
    # what stands before a bare chromosome name in UCSC's names
    prefix: str = "chr"


_PLANTS, _FUNGI, _METAZOA = "plants.ensembl.org", "fungi.ensembl.org", "metazoa.ensembl.org"
# names as users write them, in lower case
ASSEMBLIES = {
    "hg38": Assembly("hg38", "Homo sapiens"),
    "grch38": Assembly("hg38", "Homo sapiens"),
    "hg19": Assembly("hg19", "Homo sapiens", "grch37.ensembl.org"),
    "grch37": Assembly("hg19", "Homo sapiens", "grch37.ensembl.org"),
    "t2t-chm13v2.0": Assembly("hs1", "Homo sapiens", ""),
    "hs1": Assembly("hs1", "Homo sapiens", ""),
    "mm39": Assembly("mm39", "Mus musculus"),
    "grcm39": Assembly("mm39", "Mus musculus"),
    "mm10": Assembly("mm10", "Mus musculus", ""),
    "grcm38": Assembly("mm10", "Mus musculus", ""),
    "rn7": Assembly("rn7", "Rattus norvegicus"),
    "mratbn7.2": Assembly("rn7", "Rattus norvegicus"),
    "danrer11": Assembly("danRer11", "Danio rerio"),
    "grcz11": Assembly("danRer11", "Danio rerio"),
    "dm6": Assembly("dm6", "Drosophila melanogaster"),
    "bdgp6": Assembly("dm6", "Drosophila melanogaster"),
    "ce11": Assembly("ce11", "Caenorhabditis elegans"),
    "wbcel235": Assembly("ce11", "Caenorhabditis elegans"),
    "saccer3": Assembly("sacCer3", "Saccharomyces cerevisiae"),
    "r64-1-1": Assembly("sacCer3", "Saccharomyces cerevisiae"),
    "tair10": Assembly("", "Arabidopsis thaliana", _PLANTS, ""),
    "irgsp-1.0": Assembly("", "Oryza sativa", _PLANTS, ""),
    "asm294v2": Assembly("", "Schizosaccharomyces pombe", _FUNGI, ""),
}


def find_assembly(name: str | None) -> Assembly | None:
    """The Assembly of a name such as ``GRCh38`` or ``GRCh38.p14``; None for one that is not known."""
    if not name:
        return None
    name = str(name).lower()
    return ASSEMBLIES.get(name) or ASSEMBLIES.get(name.split(".p")[0])


def for_script(name: str | None) -> dict[str, Any]:
    """What the page's script needs for links: ``{ucsc, ensembl, chr}``, empty texts for an unknown assembly."""
    assembly = find_assembly(name)
    if assembly is None:
        return {"ucsc": "", "ensembl": "", "chr": ""}
    site = f"https://{assembly.ensembl}/{assembly.species.replace(' ', '_')}" if assembly.ensembl else ""
    return {"ucsc": assembly.ucsc, "ensembl": site, "chr": assembly.prefix}


def links(name: str | None, chrom: str, start: int, end: int) -> Iterator[tuple[str, str]]:
    """``(browser, address)`` of a 0-based half-open place, for an assembly that is known."""
    about = for_script(name)
    ucsc_name = chrom if chrom.startswith(about["chr"]) else about["chr"] + chrom
    if ucsc_name == "chrMT":
        ucsc_name = "chrM"
    if about["ucsc"]:
        yield (
            "UCSC",
            f"https://genome.ucsc.edu/cgi-bin/hgTracks?db={about['ucsc']}&position={ucsc_name}:{start + 1}-{end}",
        )
    if about["ensembl"]:
        bare = chrom.removeprefix("chr")
        yield "Ensembl", f"{about['ensembl']}/Location/View?r={bare}:{start + 1}-{end}"
    if about["ucsc"]:
        yield "IGV", f"http://localhost:60151/goto?locus={ucsc_name}:{start + 1}-{end}"
