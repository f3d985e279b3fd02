"""An independent, slow reading of gene annotations and the labelling rules, to test the fast one against."""

import gzip
import re
from collections import defaultdict


def read_exons(path):
    """``{transcript: (gene, biotype, strand, chrom, [(start, end), …])}`` of a GTF or GFF3, 0-based, half-open."""
    biotype, gene, exons = {}, {}, defaultdict(set)
    with gzip.open(path, "rt") as lines:
        for line in lines:
            if line.startswith("#"):
                continue
            chrom, _, kind, start, end, _, strand, _, text = line.rstrip("\n").split("\t")
            span = chrom, strand, int(start) - 1, int(end)
            if "=" in text.split(";")[0]:
                about = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
                if kind == "exon":
                    for parent in about["Parent"].split(","):
                        exons[parent].add(span)
                elif "ID" in about:
                    biotype[about["ID"]], gene[about["ID"]] = about.get("biotype"), about.get("Parent", about["ID"])
            elif kind == "exon":
                about = dict(re.findall(r'(\w+) "([^"]*)"', text))
                name = about["transcript_id"]
                exons[name].add(span)
                gene[name] = about["gene_id"]
                biotype[name] = about.get("transcript_biotype", about.get("transcript_type"))
    return {
        name: (gene[name], biotype[name], next(iter(spans))[1], next(iter(spans))[0], sorted(s[2:] for s in spans))
        for name, spans in exons.items()
    }


def introns_of(spans):
    """The runs of bases between the first and the last exon that no exon covers."""
    introns, reach = [], spans[0][1]
    for start, end in spans:
        if start > reach:
            introns.append((reach, start))
        reach = max(reach, end)
    return introns


def label_introns(transcripts):
    """``{(chrom, start, end, strand): {"label", "any", "genes", "ranks"}}``: every intron against every exon."""
    exons, introns = defaultdict(list), {}
    for gene, biotype, strand, _, spans in transcripts.values():
        exons[gene, strand] += [(start, end, biotype == "retained_intron") for start, end in spans]
    for gene, biotype, strand, chrom, spans in transcripts.values():
        gaps = introns_of(spans)
        for i, (start, end) in enumerate(gaps):
            unknown = {"any": False, "in_ri": False, "others": False, "genes": set(), "ranks": []}
            found = introns.setdefault((chrom, start, end, strand), unknown)
            around = [ri for first, last, ri in exons[gene, strand] if first < start and end < last]
            found["any"] |= bool(around)
            found["in_ri"] |= any(around)
            found["others"] |= biotype != "retained_intron"
            found["genes"].add(gene)
            found["ranks"].append((-len(gaps), i + 1 if strand == "+" else len(gaps) - i))
    for found in introns.values():
        found["label"] = (1 if found["in_ri"] else 0) if found["others"] else None
    return introns
