"""Retention by brute force: every fragment as sets of bases, compared with every intron. Follows docs/quantify.md."""

from collections import defaultdict
from statistics import fmean

import pysam

ALIGNED, DELETED, SKIPPED = {0, 7, 8}, 2, 3


def walk(record):
    """Blocks as lists of (base, whether aligned), and the gaps between them."""
    place, blocks, gaps = record.reference_start, [[]], []
    for operation, size in record.cigartuples:
        bases = range(place, place + size)
        if operation in ALIGNED or operation == DELETED:
            blocks[-1] += [(base, operation in ALIGNED) for base in bases]
            place += size
        elif operation == SKIPPED:
            gaps.append((place, place + size))
            blocks.append([])
            place += size
    return blocks, gaps


def crosses(record, place, overhang):
    """Whether one block of the record has enough aligned bases on either side of ``place``."""
    for block in walk(record)[0]:
        before = [base for base, aligned in block if aligned and base < place]
        after = [base for base, aligned in block if aligned and base >= place]
        if len(before) >= overhang and len(after) >= overhang:
            return True
    return False


def junctions(record, overhang):
    """The gaps of the record with enough aligned bases before and behind them, over all its blocks."""
    blocks, gaps = walk(record)
    aligned = [base for block in blocks for base, is_aligned in block if is_aligned]
    return {
        (a, b) for a, b in gaps if sum(x < a for x in aligned) >= overhang and sum(x >= b for x in aligned) >= overhang
    }


def kept_fragments(path, library):
    """Lists of records with the strand of their fragment; ``library`` is forward, reverse or unstranded."""
    groups = defaultdict(list)
    with pysam.AlignmentFile(path) as file:
        for number, record in enumerate(file.fetch(until_eof=True)):
            left_out = record.is_unmapped or record.is_secondary or record.is_supplementary or record.is_qcfail
            many = record.has_tag("NH") and record.get_tag("NH") > 1
            if not left_out and not many and record.mapping_quality >= 10:
                groups[record.query_name if record.is_paired else number].append(record)
    return [(records, strand_of(records, library)) for records in groups.values()]


def strand_of(records, library):
    if library != "unstranded":
        first = [record for record in records if not record.is_paired or record.is_read1]
        minus = first[0].is_reverse if first else not records[0].is_reverse
        return "-" if minus == (library == "forward") else "+"
    for record in records:
        tags = dict(record.get_tags())
        if tags.get("XS") in ("+", "-"):
            return tags["XS"]
        if tags.get("ts") in ("+", "-"):
            return tags["ts"] if not record.is_reverse else "+-"["-+".index(tags["ts"])]
    return "."


def brute_introns(genes, path, library, overhang=5):
    """A dict from (start, end, strand) to the counts, depth and measured bases of every intron of ``random_genes``."""
    fragments, introns, exons = kept_fragments(path, library), defaultdict(set), []
    for gene, strand, transcripts, retained in genes:
        for name, parts in transcripts.items():
            for number, (a, b) in enumerate(parts):
                loose = name in retained and number == 0, name in retained and number == len(parts) - 1
                exons.append((a, b, strand, gene, *loose))
                if number and a > parts[number - 1][1]:
                    introns[parts[number - 1][1], a, strand].add(gene)
    return {place: _counted(place, owners, exons, fragments, library, overhang) for place, owners in introns.items()}


def _counted(place, owners, exons, fragments, library, overhang):
    start, end, strand = place
    body, masked = set(range(start, end)), set()
    for a, b, other, gene, loose_left, loose_right in exons:
        left, right = a < start or (loose_left and a < end), b > end or (loose_right and b > start)
        if other == strand and gene in owners and left and right:
            continue
        if other == strand or library == "unstranded":
            body -= set(range(a - 5, b + 5))
            masked |= {at for at in (start, end) if set(range(at - overhang, at + overhang)) <= set(range(a, b))}
    row = dict.fromkeys(("ei_left", "ei_right", "sj_left", "sj_right", "sj_exact", "sj_skip", "sj_inside"), 0)
    depth = dict.fromkeys(body, 0)
    for records, of in fragments:
        if of not in (".", strand):
            continue
        cut = set().union(*(junctions(record, overhang) for record in records))
        left, right = any(a == start for a, _ in cut), any(b == end for _, b in cut)
        row["sj_left"] += left
        row["sj_right"] += right
        row["sj_exact"] += (start, end) in cut
        row["sj_skip"] += any(a < start and b > end for a, b in cut)
        row["sj_inside"] += any(a > start and b < end for a, b in cut)
        row["ei_left"] += not left and any(crosses(record, start, overhang) for record in records)
        row["ei_right"] += not right and any(crosses(record, end, overhang) for record in records)
        for base in {base for record in records for block in walk(record)[0] for base, _ in block} & body:
            depth[base] += 1
    values = sorted(depth.values())
    skip = int(0.3 * len(values) + 1e-9)
    row["measured"] = len(body)
    row["depth"] = fmean(values[skip : len(values) - skip]) if body else None
    row["depth_mean"] = fmean(values) if body else None
    row["coverage"] = fmean(value > 0 for value in values) if body else None
    used = [side for side, at in (("left", start), ("right", end)) if at not in masked]
    row["ends"] = {2: "both", 0: "none"}.get(len(used), used[0] if used else "")
    if used:
        kept, gone = (sum(row[f"{what}_{side}"] for side in used) for what in ("ei", "sj"))
        row["psi"] = kept / (kept + gone) if kept + gone else None
    return row
