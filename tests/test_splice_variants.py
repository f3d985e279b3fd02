"""Gains and losses of splice sites: alignment by hand, the original's numbers, what is read of a gene."""

import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from intronaut.core.dna import reverse_complement
from intronaut.core.log import Log
from intronaut.features.splice import Tracks
from intronaut.genome.gene_spans import Gene, GeneSpans
from intronaut.genome.reference import Genome
from intronaut.genome.windows import Row
from intronaut.io.vcf import read_records
from intronaut.networks.splice import one_hot, open_networks
from intronaut.variants.alleles import Introns
from intronaut.variants.scoring import Survey
from intronaut.variants.splice import SpliceScorer, effect_of, in_line, shape_of, with_effects
from random_genomes import write_fasta
from random_splice import write_random

pytest_plugins = ["splice_weights"]


@pytest.mark.parametrize(
    ("ref", "alt", "prefix", "lost", "gained"),
    [("A", "G", 0, 1, 1), ("CAC", "C", 1, 2, 0), ("C", "CAC", 1, 0, 2), ("ACGT", "ATTT", 1, 2, 2), ("AA", "A", 1, 1, 0),
     ("AC", "GTT", 0, 2, 3)],
)  # fmt: skip
def test_shapes_by_hand(ref, alt, prefix, lost, gained):
    assert shape_of(7, ref, alt) == (7, len(ref), len(alt), prefix, lost, gained)


def row(*values):
    return np.array([values, values], float)


def test_alternatives_are_brought_into_line_by_hand():
    # two bases on each side of POS
    assert in_line(row(1, 2, 3, 4, 5), shape_of(0, "A", "G"), 2).tolist() == row(1, 2, 3, 4, 5).tolist()
    # C → CAC: the anchor and both new bases become one
    assert in_line(row(1, 2, 3, 9, 4, 5, 6), shape_of(0, "C", "CAC"), 2).tolist() == row(1, 2, 9, 5, 6).tolist()
    # CAC → C: what is lost stands behind the anchor; in the original, before it
    deletion = shape_of(0, "CAC", "C")
    assert in_line(row(1, 2, 3, 4, 5), deletion, 2).tolist() == row(1, 2, 3, 0, 0, 4, 5).tolist()
    assert in_line(row(1, 2, 3, 4, 5), deletion, 2, True).tolist() == row(1, 2, 0, 0, 3, 4, 5).tolist()


def test_a_deletion_behind_an_intact_donor_is_no_loss():
    """The fault of the original: the donor's last exon base is the anchor, and nothing changes there."""
    shape = shape_of(100, "GAT", "G")
    reference, alternative = np.zeros((2, 7)), np.zeros((2, 5))
    reference[1, 2] = alternative[1, 2] = 0.9
    ours = effect_of(reference, alternative, shape, None, "+", 2).largest
    assert ours["donor_loss"] == (0.0, None) and ours["donor_gain"] == (0.0, None)
    theirs = effect_of(reference, alternative, shape, None, "+", 2, as_original=True).largest
    assert theirs["donor_loss"] == (pytest.approx(0.9), 0) and theirs["donor_gain"] == (pytest.approx(0.9), 2)


def test_largest_changes_mask_and_introns_by_hand():
    reference = np.array([[0.1, 0, 0, 0, 0.9], [0, 0.8, 0, 0, 0]])
    alternative = np.array([[0.4, 0, 0, 0, 0.2], [0, 0.1, 0, 0.6, 0]])
    shape = shape_of(100, "A", "G")
    found = effect_of(reference, alternative, shape, None, "+", 2)
    assert {kind: (round(size, 9), at) for kind, (size, at) in found.largest.items()} == {
        "acceptor_gain": (0.3, -2), "acceptor_loss": (0.7, 2), "donor_gain": (0.6, 1), "donor_loss": (0.7, -1)
    }  # fmt: skip
    known = np.array([98]), np.array([99])
    masked = effect_of(reference, alternative, shape, None, "+", 2, known=known).largest
    assert masked["acceptor_gain"][0] == 0 and masked["acceptor_loss"] == (0, None)
    assert masked["donor_loss"] == (pytest.approx(0.7), -1)
    intron = Row("c", 100, 102, "i", "0", "+")
    assert found.at_intron(intron, 2) == pytest.approx((0.7, 0.7, 0.6, 0.3))
    far = Row("c", 500, 600, "i", "0", "+")
    assert found.at_intron(far, 2) == (0, 0, 0, 0)


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("genome"), np.random.default_rng(2)
    sequence = "".join(rng.choice(list("ACGT"), 900))
    write_random(folder / "w.safetensors", nets=1)
    with Genome(write_fasta(folder / "g.fa", {"p": sequence, "m": reverse_complement(sequence)})) as opened:
        yield Tracks(open_networks(folder / "w.safetensors"), opened, Log("test", None)), sequence


def brute(networks, sequence, gene, start, ref, alt, distance):
    """Changes ``(2, n)`` of a substitution from two whole sequences, N outside the gene."""
    kept = "N" * gene.start + sequence[gene.start : gene.end] + "N" * (len(sequence) - gene.end)
    found = []
    for text in (kept, kept[:start] + alt + kept[start + len(ref) :]):
        found.append(networks.probabilities(one_hot(["N" * 5000 + text + "N" * 5000]))[:, 0].mean(0).numpy())
    return (found[1] - found[0])[[1, 2], start - distance : start + len(ref) + distance]


def test_effects_equal_whole_sequences_on_both_strands(genome):
    tracks, sequence = genome
    plus, minus = Gene("p", 100, 700, "+", "a"), Gene("m", 200, 800, "-", "a")
    spans = GeneSpans({"p": [plus], "m": [minus]})
    scorer = SpliceScorer(tracks, spans, distance=40)
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    alleles, mirrored = [], []
    for start in (150, 160, 420):
        ref, alt = sequence[start : start + 2], "".join(other[base] for base in sequence[start : start + 2])
        alleles.append(("p", start, ref, alt))
        mirrored.append(("m", 900 - start - 2, reverse_complement(ref), reverse_complement(alt)))
    found = scorer.effects(alleles + mirrored)
    for (_, start, ref, alt), (one,), (two,) in zip(alleles, found[:3], found[3:], strict=True):
        wanted = brute(tracks.networks, sequence, plus, start, ref, alt, 40)
        assert np.abs(one.changes - wanted).max() < 1e-5 and one.gene == plus
        assert np.abs(two.changes[:, ::-1] - wanted).max() < 1e-5 and two.strand == "-"


def test_alleles_outside_genes_are_read_on_both_strands(genome):
    tracks, sequence = genome
    scorer = SpliceScorer(tracks, GeneSpans({"p": [Gene("p", 100, 300, "+", "a")]}), distance=10)
    (found,) = scorer.effects([("p", 600, sequence[600], "A" if sequence[600] != "A" else "C")])
    assert [(effect.gene, effect.strand) for effect in found] == [(None, "+"), (None, "-")]
    (ends,) = scorer.effects([("p", 0, sequence[0], "A" if sequence[0] != "A" else "C")])
    assert len(ends) == 2 and ends[0].changes.shape == (2, 21)


def table_of_the_original(wheel):
    """The genes and sites that the original program comes with, as GeneSpans of chromosome 19."""
    with zipfile.ZipFile(wheel) as archive:
        table = pd.read_csv(io.BytesIO(archive.read("cispliceai/data/grch38.csv")))
    spans = GeneSpans()
    for one in table[table["chr"] == "chr19"].itertuples():
        gene = Gene("19", one.start - 1, one.end, one.strand, one.gene_id)
        left, right = (
            np.array([int(word) - 1 for word in str(text).split(",") if word.isdigit()], int)
            for text in (one.jn_start, one.jn_end)
        )
        spans.genes.setdefault("19", []).append(gene)
        spans.donors[gene], spans.acceptors[gene] = (left, right) if gene.strand == "+" else (right, left)
    return spans


COLUMNS = {"AG": "acceptor_gain", "AL": "acceptor_loss", "DG": "donor_gain", "DL": "donor_loss"}


class Remembering(Tracks):
    """Computes the same sequences once: with the mask they are those without it."""

    def __init__(self, *args):
        super().__init__(*args)
        self.known = {}

    def compute(self, sequences, minus):
        key = minus, *sequences
        if key not in self.known:
            self.known[key] = super().compute(sequences, minus)
        return self.known[key]


@pytest.fixture(scope="module")
def chr19(golden, tmp_path_factory):
    """Chromosome 19 up to the last of the original's variants, N where none of them reads."""
    folder, letters = tmp_path_factory.mktemp("chr19"), bytearray(b"N" * 11_140_000)
    with gzip.open(golden / "splice" / "chr19_regions.fa.gz", "rt") as lines:
        for name in lines:
            start, end = map(int, name.strip().split(":")[1].split("-"))
            letters[start:end] = next(lines).strip().encode()
    (folder / "intron.bed").write_text("19\t11102786\t11105219\tLDLR\t0\t+\n")
    with Genome(write_fasta(folder / "chr19.fa", {"19": letters.decode()})) as genome:
        yield Introns(
            folder / "intron.bed", genome, {"anchor": "donor", "length": 60, "edge": "drop", "strand": "aware"}
        )


def write_vcf(path, variants):
    lines = [f"19\t{one.pos}\t{number}\t{one.ref}\t{one.alt}\t.\t.\t." for number, one in enumerate(variants)]
    head = "##fileformat=VCFv4.2\n##contig=<ID=19>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    path.write_text(head + "\n".join(lines) + "\n")
    return path


@pytest.mark.slow
def test_effects_are_those_of_the_original(real_weights, wheel, golden, chr19, tmp_path):
    """All 43 variants, as score_variants reads them: with and without the mask, three distances, bases outside too."""
    types = {"ref": str, "alt": str, "error": str}
    table = pd.read_csv(golden / "splice" / "variants.tsv", sep="\t", dtype=types, keep_default_na=False)
    assert table["label"].nunique() == 43
    tracks = Remembering(open_networks(real_weights), chr19.genome, Log("test", None))
    spans, compared = table_of_the_original(wheel), 0
    for (distance, outside, mask), part in table.groupby(["dist", "keep_outside", "mask"]):
        how = {"distance": distance, "outside": bool(outside), "mask": bool(mask), "as_original": True}
        scorer = SpliceScorer(tracks, spans, **how)
        variants = list(part.drop_duplicates(["pos", "ref", "alt"]).itertuples())
        vcf = write_vcf(tmp_path / "v.vcf", variants)
        survey = Survey(vcf, chr19, skip_mismatches=True)
        scored = with_effects(((record, []) for record in read_records(vcf)), scorer, survey)
        effects = {
            (record.start + 1, record.ref, record.alts[0]): (found, record.line in survey.mismatching)
            for record, _, (found,) in scored
        }
        for one in part.itertuples():
            own, refused = effects[int(one.pos), one.ref, one.alt]
            assert refused == bool(one.error.strip()), one.label
            if refused:
                assert own == []
                continue
            (found,) = [effect for effect in own if one.area == (effect.gene.gene_id if effect.gene else effect.strand)]
            for column, kind in COLUMNS.items():
                size = float(getattr(one, f"DS_{column}"))
                assert found.largest[kind][0] == pytest.approx(size, abs=1e-5), (one.label, kind)
                # below this a position is the largest of noise
                if size > 0.001:
                    assert found.largest[kind][1] == int(getattr(one, f"DP_{column}")), (one.label, kind)
            compared += 1
    # a row for each gene or strand, but the two of the wrong REF
    assert compared == len(table) - 2 == 86
