"""Random annotations and alignments that hold every case counting must get right, small enough for brute force."""

import pysam

CHROM, LENGTH = "chr1", 4_000


def random_genes(rng, n_genes=6):
    """Genes that overlap and nest: (gene, strand, {transcript: exons}, names of retained_intron transcripts)."""
    genes = []
    for number in range(n_genes):
        cuts = sorted(rng.choice(LENGTH // 20 - 10, size=int(rng.integers(4, 12)) & ~1, replace=False) * 20 + 100)
        exons = [(int(a), int(b)) for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
        transcripts, retained = {f"g{number}.1": exons}, set()
        if len(exons) > 2:
            transcripts[f"g{number}.2"] = [exon for exon in exons if exon != exons[1]]
        if len(exons) > 1 and rng.random() < 0.7:
            # a fragment of a model that keeps the first intron, with loose ends
            name = f"g{number}.kept"
            transcripts[name] = [(exons[0][0] + 7, exons[1][1] - int(rng.integers(0, 5)))]
            if rng.random() < 0.4:
                transcripts[name] = [(exons[0][0], exons[0][1] + 12)]
            retained.add(name)
        shift = exons[-1][0] + int(rng.integers(1, 30))
        if rng.random() < 0.5 and shift < exons[-1][1]:
            transcripts[f"g{number}.3"] = [*exons[:-1], (shift, exons[-1][1])]
        genes.append((f"g{number}", "+-"[int(rng.integers(2))], transcripts, retained))
    return genes


def write_gtf(path, genes):
    """Write the genes as an Ensembl-like GTF."""
    with open(path, "w") as out:
        for gene, strand, transcripts, retained in genes:
            for name, exons in transcripts.items():
                kind = "retained_intron" if name in retained else "protein_coding"
                about = f'gene_id "{gene}"; transcript_id "{name}"; transcript_biotype "{kind}";'
                for start, end in exons:
                    out.write(f"{CHROM}\ttest\texon\t{start + 1}\t{end}\t.\t{strand}\t.\t{about}\n")


def _cigar(rng, place, edges, length):
    """A CIGAR from ``place`` that jumps between edges of exons, with clips, insertions and deletions."""
    parts, left = [], length
    if rng.random() < 0.1:
        parts.append((4, int(rng.integers(1, 6))))
    while left > 0:
        step = int(min(left, rng.integers(1, 40)))
        at_edge = [edge - place for edge in edges if 0 < edge - place <= left]
        if at_edge and rng.random() < 0.7:
            step = int(rng.choice(at_edge))
        parts.append((int(rng.choice([0, 0, 0, 7, 8])), step))
        place, left = place + step, left - step
        if left <= 0:
            break
        kind = rng.random()
        ahead = [edge - place for edge in edges if 10 < edge - place < 900]
        if ahead and kind < 0.6:
            gap = int(rng.choice(ahead)) + int(rng.choice([0, 0, 0, 1, -2]))
            parts.append((3, gap))
            place += gap
        elif kind < 0.75:
            gap = int(rng.integers(1, 9))
            parts.append((2, gap))
            place += gap
        elif kind < 0.85:
            parts.append((1, int(rng.integers(1, 4))))
    return parts, place


def random_bam(path, rng, genes, n_fragments=150, paired=True, tags=True, sort="coordinate"):
    """Write fragments on and about the genes: single reads and pairs that overlap, agree and contradict each other."""
    edges = sorted(
        {edge for _, _, transcripts, _ in genes for exons in transcripts.values() for exon in exons for edge in exon}
    )
    header = pysam.AlignmentHeader.from_dict(
        {"HD": {"VN": "1.6", "SO": sort}, "SQ": [{"SN": "chr0", "LN": 500}, {"SN": CHROM, "LN": LENGTH + 5000}]}
    )
    records = []
    for number in range(n_fragments):
        is_pair = paired and rng.random() < 0.8
        start = int(rng.integers(60, LENGTH - 200))
        if rng.random() < 0.5:
            start = max(0, int(rng.choice(edges)) - int(rng.integers(0, 45)))
        places = [start, max(0, start + int(rng.integers(-10, 120)))] if is_pair else [start]
        reverse = bool(rng.integers(2))
        unlike = rng.random() < 0.05
        # mates whose tags contradict each other have the strand of the first, which depends on the order
        tag = _tag(rng) if tags and sort != "coordinate" else None
        about = is_pair, reverse, unlike, edges
        own = [_record(header, rng, number, place, mate, *about) for mate, place in enumerate(places)]
        for mate, record in enumerate(own):
            if tags:
                _set_tag(record, _tag(rng) if tag is None else tag)
            if is_pair:
                record.next_reference_id, record.next_reference_start = 1, own[1 - mate].reference_start
        if is_pair and rng.random() < 0.06:
            own = own[:1]
        elif rng.random() < 0.05:
            copy = pysam.AlignedSegment.from_dict(own[-1].to_dict(), header)
            own.append(copy)
        records += own
    if sort == "coordinate":
        records.sort(key=lambda record: (record.reference_id, record.reference_start))
    elif sort == "queryname":
        records.sort(key=lambda record: record.query_name)
    with pysam.AlignmentFile(str(path), "wb", header=header) as out:
        for record in records:
            out.write(record)


def _record(header, rng, number, place, mate, is_pair, reverse, unlike, edges):
    record = pysam.AlignedSegment(header)
    record.query_name = f"r{number}"
    record.reference_id, record.reference_start = 1, place
    record.cigartuples, _ = _cigar(rng, place, edges, int(rng.integers(12, 70)))
    flag = 16 * (reverse ^ bool(mate) ^ (unlike and bool(mate)))
    if is_pair:
        flag |= 1 | (64 if mate == 0 else 128)
    chance = rng.random()
    flag |= (
        1024 * (chance < 0.1)
        | 256 * (0.1 < chance < 0.13)
        | 512 * (0.13 < chance < 0.15)
        | 2048 * (0.15 < chance < 0.17)
    )
    record.flag = flag
    record.mapping_quality = int(rng.choice([255, 60, 10, 9, 0], p=[0.6, 0.2, 0.1, 0.05, 0.05]))
    if rng.random() < 0.8:
        record.set_tag("NH", 1 + (rng.random() < 0.1))
    return record


def _tag(rng):
    """A strand tag, none, or the XS of another kind."""
    if rng.random() < 0.5:
        return ("XS", 3, "i") if rng.random() < 0.1 else ()
    return "XS" if rng.random() < 0.6 else "ts", "+-"[int(rng.integers(2))], "A"


def _set_tag(record, tag):
    if tag:
        name, value, kind = tag
        if name == "ts" and record.is_reverse:
            value = "-" if value == "+" else "+"
        record.set_tag(name, value, kind)
