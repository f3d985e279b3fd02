"""A target.names with the statistics of the published one, whose licence forbids to ship it."""

from itertools import count

# how often the published list has each name that the paper's rule puts with the transcription factors and that is none,
# and a few that are
IN_TF = {
    "DNase.all.peaks": 39, "DNase.fdr0.01.hot": 39, "DNase.fdr0.01.peaks": 39, "DNase.hot": 39, "FAIRE": 34,
    "BRDU": 7, "H1.0": 2, "H1.2": 2, "H1.4": 2, "Histone Lysine Acetylation": 1, "Histone Lysine Crotonylation": 1,
    "POLR2A": 1003, "POLR2AphosphoS5": 4, "POLR2B": 2, "POLR2H": 2, "POLR2M": 3, "Pol2": 52, "Pol2(b)": 4,
    "Pol2(phosphoS2)": 6, "Pol2-4H8": 12, "EZH2": 67, "EP300": 189, "p300": 12, "BRD4": 239, "CTCF": 595, "MYC": 142,
    "c-Myc": 21, "FOS": 22, "c-Fos": 8, "eGFP-FOS": 1,
}  # fmt: skip
HISTONE = {"H3K27ac": 2458, "H3K4me3": 2350, "H2AZ": 79, "H2A.Z": 23, "H2AFZ": 12, "CENPA": 8, "H4K20me1": 39}
ACCESS = {"DNase": 1408, "ATAC-seq": 964}
SIZES = {"tf": 9471, "histone": 10064, "access": 2372}


def write_target_names(path):
    """Write 21,907 lines with the published numbers of each kind, 78 of them with a fourth field; returns the path."""
    names = []
    for kind, known, filler in (("tf", IN_TF, "ZNF{}"), ("histone", HISTONE, "H3K{}me2"), ("access", ACCESS, None)):
        own = [name for name, times in known.items() for _ in range(times)]
        names += own + [filler.format(1 + k % 900) for k in range(SIZES[kind] - len(own))]
    number = count(1)
    lines = [f"K562 | {name} | ENCODE | {next(number)}" for name in names[:78]]
    lines += [f"K562_Leukemia | {name} | ID:{next(number)}" for name in names[78:]]
    path.write_text("\n".join(lines) + "\n")
    return path
