"""score_variants: a change equals that of a changed genome, windows keep length and anchor, nothing is lost."""

import gzip
import io
import json
import math
import random
import re

import numpy as np
import pandas as pd
import pysam
import pytest
import torch
from Bio.Seq import Seq
from scipy.special import expit

import embed_dnabert2
import embed_kmers
import embed_motifs
import embed_sei
import fetch_sequences
import predict
import score_variants
from intronaut.core.errors import BadData, UsageError
from intronaut.core.log import Log
from intronaut.features.sei_targets import variant_class_scores
from intronaut.genome.reference import Genome
from intronaut.genome.windows import NoWindow, Row
from intronaut.io.h5ad import open_features
from intronaut.models.folder import LinearModel, write_linear, write_trees
from intronaut.networks import classifiers
from intronaut.variants.alleles import (
    Allele,
    Context,
    Haplotype,
    WindowIndex,
    context_of,
    cut_alternative,
    is_reference,
    random_alleles,
    trimmed,
)
from random_checkpoints import write_dnabert2, write_sei
from random_genomes import write_fasta
from random_splice import write_random
from rounding import rounding

LENGTH = 60
BED = """\
one	100	190	plus	0	+
one	150	171	minus	0	-
one	5	40	left	0	+
one	560	590	right	0	-
two	30	95	other	0	.
"""
VERSION = "##fileformat=VCFv4.2\n"
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
HEADER = VERSION + '##INFO=<ID=AC,Number=A,Type=Integer,Description="a">\n' + COLUMNS
JASPAR = (
    ">M1\tFOX\nA [9 1 4 8]\nC [1 9 1 0]\nG [1 1 4 1]\nT [1 1 1 1]\n"
    ">M2\tSP\nA [1 1 0]\nC [1 9 9]\nG [9 1 1]\nT [1 1 1]\n"
)


@pytest.fixture(scope="module")
def bases():
    rng = random.Random(3)
    return {"one": "".join(rng.choices("ACGT", k=600)), "two": "".join(rng.choices("ACGTNacgt", k=130))}


@pytest.fixture
def study(bases, tmp_path, monkeypatch):
    """A genome, five introns, and their windows as FASTA, in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    write_fasta(tmp_path / "genome.fa", bases)
    (tmp_path / "motifs.txt").write_text(JASPAR)
    (tmp_path / "introns.bed").write_text(BED)
    windows("introns.bed", "genome.fa", "w.fa")
    return tmp_path


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return write_sei(folder / "sei"), write_dnabert2(folder / "dnabert2")


@pytest.fixture
def embedders(checkpoints):
    """Name → the function that embeds a FASTA, and the options by which score_variants can do so too."""
    sei, dnabert2 = checkpoints
    sei_files = ["--weights", f"{sei}/model.safetensors", "--targets", f"{sei}/target.names"]
    classes = ["--projection", f"{sei}/projvec_targets.npy"]
    bert_files = ["--weights", f"{dnabert2}/model.safetensors", "--tokenizer", f"{dnabert2}/tokenizer.json"]
    made = {
        "kmers": (embed_kmers, ["--k", "3"], []),
        "motifs": (embed_motifs, ["--motifs", "motifs.txt"], ["--motifs", "motifs.txt"]),
        "sei": (embed_sei, ["--context", "npad", *sei_files], sei_files),
        "sei logits": (
            embed_sei,
            ["--context", "native", "--features", "logits", "--strands", "both", *sei_files],
            sei_files,
        ),
        "classes": (
            embed_sei,
            ["--context", "native", "--features", "seqclass", *sei_files, *classes],
            sei_files + classes,
        ),
        "dnabert2": (embed_dnabert2, ["--strands", "mean", *bert_files], bert_files),
    }

    def embed(name, fasta, output):
        tool, options, _ = made[name]
        tool.main(
            [fasta, *options, "-o", output, "--threads", "1", "--quiet"][: None if tool is not embed_kmers else -3]
        )
        return made[name][2]

    return embed


def windows(bed, fasta, output, *options):
    fetch_sequences.main([bed, "--fasta", fasta, "--length", str(LENGTH), "-o", output, "--quiet", *options])


def write_model(path, folder, seed=1, **more):
    """A linear model of random weights for a features file, with a calibration; ``more`` goes into its notes."""
    features = open_features(path)
    d = len(features.var)
    notes = {
        "kind": "logistic", "tool": "fit", "feature_group": "all", "prevalence_trained": 0.1,
        "calibration": {"method": "platt", "slope": 0.8, "intercept": -0.3}, "features": features.provenance,
    } | more  # fmt: skip
    values = features.x[:].astype(float)
    weights = np.random.default_rng(seed).normal(size=d)
    model = LinearModel(notes, weights, -1.0, values.mean(0), values.std(0) + 0.01)
    (features.path.parent / folder).mkdir()
    write_linear(features.path.parent / folder, model, features.var)
    return model


def write_vcf(path, *lines, header=HEADER):
    path.write_text(header + "".join("\t".join(map(str, line)) + "\n" for line in lines))


def variant(chrom, pos, ref, alt, name=".", info="AC=1"):
    return chrom, pos, name, ref, alt, ".", ".", info


def score(*options, vcf="v.vcf", introns="introns.bed", model="model"):
    """The table of scores; the summary lies in summary.json, groups in groups.tsv, the annotated VCF in out.vcf."""
    given = ["--fasta", "genome.fa", "--introns", introns, "--model", model, "--length", LENGTH]
    outputs = ["-o", "scores.tsv", "--summary", "summary.json", "--vcf", "out.vcf"]
    fast = ["--null", 0, "--threads", 1, "--device", "cpu"]
    score_variants.main([str(word) for word in (vcf, *given, *outputs, *fast, *options)])
    return pd.read_csv("scores.tsv", sep="\t", keep_default_na=False, na_values=["NA"])


def complement(bases):
    return str(Seq(bases).reverse_complement())


# substitutions of one base or more, by place and length; together in one genome, they lie in different windows
SUBSTITUTIONS = (((120, 1), (8, 2), (598, 1)), ((158, 4),))
OTHER = {"A": "C", "C": "G", "G": "T", "T": "A"}


def substitutions(bases, places):
    """VCF lines that replace bases of contig one, and the genome with all of them."""
    one = bases["one"].upper()
    alts = ["".join(OTHER[base] for base in one[at : at + n]) for at, n in places]
    lines = [variant("one", at + 1, one[at : at + n], alt) for (at, n), alt in zip(places, alts, strict=True)]
    for (at, n), alt in zip(places, alts, strict=True):
        one = one[:at] + alt + one[at + n :]
    return lines, bases | {"one": one}


@pytest.mark.parametrize("name", ["kmers", "motifs", "sei", "sei logits", "dnabert2"])
def test_a_change_is_that_of_predicting_on_a_changed_genome(study, bases, embedders, name):
    files = embedders(name, "w.fa", "f.h5ad")
    write_model("f.h5ad", "model")
    predict.main(["--model", "model", "--features", "f.h5ad", "-o", "before.tsv", "--quiet"])
    before = pd.read_csv("before.tsv", sep="\t").set_index("name")
    for places in SUBSTITUTIONS:
        lines, changed = substitutions(bases, places)
        write_vcf(study / "v.vcf", *lines)
        found = score(*files, *(["--group-by", "strand"] if name.startswith("sei") else [])).set_index("name")
        write_fasta(study / "changed.fa", changed)
        windows("introns.bed", "changed.fa", "changed_w.fa")
        embedders(name, "changed_w.fa", "changed.h5ad")
        predict.main(["--model", "model", "--features", "changed.h5ad", "-o", "after.tsv", "--quiet"])
        after = pd.read_csv("after.tsv", sep="\t").set_index("name")
        assert {row for row in before.index if before["logit"][row] != after["logit"][row]} == set(found.index)
        # predict writes calibrated logits, of six digits
        np.testing.assert_allclose(
            found["delta_logit"], (after - before)["logit"][found.index] / 0.8, atol=3e-4, rtol=1e-4
        )
        np.testing.assert_allclose(found["p_alt"], after["p_retained"][found.index], rtol=1e-4)
        np.testing.assert_allclose(found["delta_p"], (after - before)["p_retained"][found.index], atol=3e-6)


def test_a_change_is_w_times_the_difference_of_features_to_float_precision(study, bases, embedders):
    files = embedders("motifs", "w.fa", "f.h5ad")
    model = write_model("f.h5ad", "model")
    weights, _ = model.per_unit()
    for places in SUBSTITUTIONS:
        lines, changed = substitutions(bases, places)
        write_vcf(study / "v.vcf", *lines)
        found = score(*files).set_index("name")["delta_logit"]
        write_fasta(study / "changed.fa", changed)
        windows("introns.bed", "changed.fa", "changed_w.fa")
        embedders("motifs", "changed_w.fa", "changed.h5ad")
        change = (open_features("changed.h5ad").x[:].astype(float) - open_features("f.h5ad").x[:]) @ weights
        wanted = pd.Series(change, index=open_features("f.h5ad").obs.index)
        np.testing.assert_allclose(found, wanted[found.index], rtol=1e-5)


# by how much the introns of a changed chromosome lie further right, so that the anchor keeps its place
INDELS = [
    # plus: centre of 100-190 is 145; 3' of it nothing moves, 5' of it all by the change of length
    ("plus", (150, 3, ""), 0), ("plus", (150, 0, "GATTACA"), 0), ("plus", (130, 3, ""), -3),
    ("plus", (130, 0, "GATTACA"), 7), ("plus", (110, 8, "T"), -7),
    # an insertion at the anchor is 3' of it; a deletion across it joins there; a longer allele keeps the distance
    ("plus", (145, 0, "GGC"), 0), ("plus", (143, 6, ""), -2), ("plus", (143, 6, "ACGTT"), 0),
    ("plus", (143, 6, "A"), -1),
    # minus reads from the right: the centre of 150-171 is 161 (the middle base 160 is 5' of it), 5' of it is right
    ("minus", (170, 3, ""), 0), ("minus", (170, 0, "GATTACA"), 0), ("minus", (140, 3, ""), -3),
    ("minus", (140, 0, "GATTACA"), 7), ("minus", (161, 0, "GGC"), 3), ("minus", (159, 6, ""), -2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "allele", "moved"), INDELS)
def test_insertions_and_deletions_leave_the_anchor_in_place(study, bases, name, allele, moved):
    at, lost, gained = allele
    one = bases["one"].upper()
    line = next(line.split("\t") for line in BED.splitlines() if f"\t{name}\t" in line)
    start, end, strand = int(line[1]), int(line[2]), line[5]
    write_fasta(study / "changed.fa", {"one": one[:at] + gained + one[at + lost :]})
    (study / "moved.bed").write_text(f"one\t{start + moved}\t{end + moved}\t{name}\t0\t{strand}\n")
    windows("moved.bed", "changed.fa", "changed_w.fa")
    with Genome("genome.fa") as genome:
        row = Row("one", start, end, name, "0", strand)
        how = {"anchor": "centre", "length": LENGTH, "edge": "pad", "strand": "aware"}
        found = cut_alternative(genome, row, Allele("one", at, at + lost, gained), **how)
    assert found.sequence == (study / "changed_w.fa").read_text().splitlines()[1]
    assert len(found.sequence) == LENGTH


def test_windows_of_indels_worked_by_hand(tmp_path):
    write_fasta(tmp_path / "g.fa", {"c": "AAAACCCCGGGGTTTTACGTACGT"})
    plus, minus = Row("c", 8, 12, "p", "0", "+"), Row("c", 8, 12, "m", "0", "-")

    def cut(row, start, end, alt, anchor="centre", edge="pad", length=8):
        with Genome(tmp_path / "g.fa") as genome:
            how = {"anchor": anchor, "length": length, "edge": edge, "strand": "aware"}
            return cut_alternative(genome, row, Allele("c", start, end, alt), **how).sequence

    # AAAA CCCC GG|GG TTTT: the window is CCGG|GGTT in AAAACC[CCGGGGTT]TTACGT…
    assert cut(plus, 0, 0, "") == "CCGGGGTT"
    assert cut(plus, 7, 8, "") == "CCGGGGTT"  # one C less, another from the left
    assert cut(plus, 6, 8, "") == "CCGGGGTT"
    assert cut(plus, 4, 8, "") == "AAGGGGTT"
    assert cut(plus, 12, 15, "") == "CCGGGGTA"
    assert cut(plus, 8, 8, "TA") == "TAGGGGTT"
    assert cut(plus, 12, 12, "TA") == "CCGGGGTA"
    assert cut(plus, 10, 10, "TA") == "CCGGTAGG"
    assert cut(minus, 10, 10, "TA") == complement("GGTAGGTT")
    assert cut(plus, 9, 11, "") == "CCCGGTTT"
    assert cut(minus, 4, 8, "") == complement("AAGGGGTT")
    # donor: four exon bases CCCC, then the intron GGGG; on minus the donor is at 12, acceptor at 8
    assert cut(plus, 0, 0, "", "donor") == "CCCCGGGG"
    assert cut(plus, 8, 8, "T", "donor") == "CCCCTGGG"
    assert cut(plus, 7, 7, "T", "donor") == "CCTCGGGG"
    assert cut(minus, 0, 0, "", "donor") == complement("GGGGTTTT")
    assert cut(minus, 12, 12, "A", "donor") == complement("GGGATTTT")
    assert cut(minus, 13, 13, "A", "donor") == complement("GGGGTATT")
    assert cut(plus, 0, 0, "", "acceptor") == "GGGGTTTT"
    assert cut(minus, 0, 0, "", "acceptor") == complement("CCCCGGGG")
    # past the ends of the chromosome
    assert cut(plus, 0, 2, "", length=20) == "NNAACCCCGGGGTTTTACGT"
    assert cut(plus, 0, 2, "", edge="shift", length=20) == "AACCCCGGGGTTTTACGTAC"
    assert cut(plus, 20, 22, "", edge="shift", length=22) == "AAAACCCCGGGGTTTTACGTGT"
    with pytest.raises(NoWindow, match="leaves the chromosome"):
        cut(plus, 0, 2, "", edge="drop", length=20)


class Bases:
    """What cut_window needs of a Genome, over a string."""

    def __init__(self, bases):
        self.bases, self.lengths = bases, {"c": len(bases)}

    def fetch(self, chrom, start, end):
        return self.bases[start:end]


def test_the_rule_is_the_same_read_from_either_strand():
    rng = random.Random(5)
    for _ in range(300):
        forward = "".join(rng.choices("ACGT", k=80))
        start, at, lost = rng.randrange(20, 40), rng.randrange(10, 65), rng.randrange(6)
        end, gained = start + rng.randrange(1, 20), "".join(rng.choices("ACGT", k=rng.randrange(6)))
        how = {"anchor": rng.choice(["centre", "donor", "acceptor"]), "length": rng.randrange(9, 60),
               "edge": rng.choice(["pad", "shift"]), "strand": "aware"}  # fmt: skip
        plus = Row("c", start, end, "a", "0", "+"), Allele("c", at, at + lost, gained)
        minus = Row("c", 80 - end, 80 - start, "a", "0", "-"), Allele("c", 80 - at - lost, 80 - at, complement(gained))
        found = cut_alternative(Bases(forward), *plus, **how).sequence
        assert found == cut_alternative(Bases(complement(forward)), *minus, **how).sequence
        assert len(found) == how["length"]


def test_a_haplotype_is_the_chromosome_with_the_allele():
    bases = "ACGTTGCAAC"
    for start, end, alt in ((3, 5, "GGGG"), (0, 3, ""), (10, 10, "TT"), (4, 4, "A")):
        whole = bases[:start] + alt + bases[end:]
        changed = Haplotype(Bases(bases), Allele("c", start, end, alt))
        assert changed.lengths == {"c": len(whole)}
        for first in range(len(whole) + 1):
            for last in range(first, len(whole) + 1):
                assert changed.fetch("c", first, last) == whole[first:last]


def test_windows_hold_an_allele_when_it_changes_a_base_in_them():
    rng = random.Random(1)
    windows = [(rng.choice("ab"), rng.randrange(-20, 200)) for _ in range(80)]
    index = WindowIndex(windows, 15)
    for _ in range(400):
        start = rng.randrange(0, 210)
        allele = Allele(rng.choice("abc"), start, start + rng.randrange(4), "")
        touched = range(allele.start, allele.end) if allele.end > allele.start else None
        wanted = {
            number
            for number, (chrom, first) in enumerate(windows)
            if chrom == allele.chrom
            and (any(first <= base < first + 15 for base in touched) if touched else first < start < first + 15)
        }
        assert set(index.holding(allele)) == wanted


@pytest.mark.parametrize(
    ("ref", "alt", "wanted"),
    [("A", "C", (9, 10, "C")), ("GA", "G", (10, 11, "")), ("G", "GTT", (10, 10, "TT")), ("CAA", "CA", (10, 11, "")),
     ("ACG", "ATG", (10, 11, "T")), ("AC", "AC", (9, 9, "")), ("ACAC", "AC", (9, 11, "")),
     ("GAT", "CAA", (9, 12, "CAA"))],
)  # fmt: skip
def test_shared_bases_are_taken_off(ref, alt, wanted):
    assert trimmed("c", 9, ref, alt)[1:] == wanted


def test_an_ambiguous_base_of_the_genome_fits_what_it_stands_for():
    assert is_reference("ACG", "ACG") and is_reference("A", "R") and is_reference("N", "N")
    assert not is_reference("C", "R") and not is_reference("A", "N") and not is_reference("ACG", "AC")


@pytest.fixture
def kmers(study, embedders):
    embedders("kmers", "w.fa", "f.h5ad")
    write_model("f.h5ad", "model")
    return study


def test_ref_equal_to_alt_changes_nothing(kmers, bases):
    one = bases["one"].upper()
    write_vcf(
        kmers / "v.vcf",
        variant("one", 161, one[160], one[160].lower()),
        variant("one", 121, one[120:124], one[120:124]),
    )
    found = score()
    assert set(found["kind"]) == {"same"} and len(found) == 3
    assert (found["delta_logit"] == 0).all() and (found["delta_p"] == 0).all()


def test_every_allele_is_scored_or_left_out_by_reason(kmers, bases):
    one = bases["one"].upper()
    write_vcf(
        kmers / "v.vcf",
        variant("one", 161, one[160], "ACGT".replace(one[160], "")[0] + ",*,<DEL>," + one[160] + "TT"),
        variant("one", 161, one[160], "."),
        variant("one", 161, one[160], f"{one[160]}[two:5[,R"),
        variant("one", 400, one[399], "N"),
        variant("scaffold_7", 400, "A", "C"),
    )
    found, told = score(), json.loads((kmers / "summary.json").read_text())
    assert list(found["kind"]) == ["snv"] * 2 + ["insertion"] * 2
    assert list(found["name"]) == ["plus", "minus"] * 2
    assert told["left_out"] == {
        "breakend": 1, "chromosome is not in the genome": 1, "deleted by another variant (*)": 1,
        "in no window of an intron": 1, "letters other than A, C, G, T and N": 1, "no alternative allele": 1,
        "symbolic allele": 1,
    }  # fmt: skip
    assert told["alleles"] == told["scored"] + sum(told["left_out"].values()) == 9
    assert told["pairs"] == len(found) and told["records"] == 5
    assert told["windows_of_the_model"] is True
    # two references, four alternatives: each window once
    assert told["windows_computed"] == 6


def test_a_minus_intron_reads_the_complement(kmers, bases):
    one = bases["one"].upper()
    write_vcf(kmers / "v.vcf", variant("one", 161, one[160], "ACGT".replace(one[160], "")[0]))
    found = score().set_index("name")
    # the centre of 100-190 is 145, of 150-171 read from the right 161
    assert found.loc["plus", "from_anchor"] == 160 - 145
    assert found.loc["minus", "from_anchor"] == 161 - 161
    # canonical k-mers cannot tell strands; the windows of two introns differ all the same
    assert found["logit_ref"].nunique() == 2


def test_a_wrong_reference_base_is_refused_or_left_out(kmers, bases, tool):
    one = bases["one"].upper()
    wrong = "ACGT".replace(one[160], "")
    write_vcf(kmers / "v.vcf", variant("one", 161, wrong[0], wrong[1]), variant("one", 599, one[598:] + "AA", "A"),
              variant("one", 121, one[120], wrong[1] if wrong[1] != one[120] else wrong[2]))  # fmt: skip
    with pytest.raises(BadData) as refused:
        score()
    assert "2 problems" in str(refused.value) and "another assembly?" in str(refused.value)
    assert f"line 4: one:161: {one[160]}, not REF {wrong[0]}" in str(refused.value)
    assert "line 5: one:599: REF lies outside of one, which has 600 bases" in str(refused.value)
    assert not (kmers / "scores.tsv").exists()
    found = score("--ref-mismatch", "skip")
    assert set(found["pos"]) == {121}
    assert json.loads((kmers / "summary.json").read_text())["left_out"] == {"REF is not in the genome": 2}


def test_chromosomes_go_by_their_aliases(kmers, bases):
    one = bases["one"].upper()
    write_vcf(kmers / "v.vcf", variant("chrone", 161, one[160], "N"))
    first = score()
    assert list(first["chrom"]) == ["chrone"] * 2
    (kmers / "aliases.tsv").write_text("one\tNC_1\ntwo\tNC_2\n")
    write_vcf(kmers / "v.vcf", variant("NC_1", 161, one[160], "N"))
    assert score("--chrom-aliases", "aliases.tsv")["delta_logit"].equals(first["delta_logit"])
    with pytest.raises(BadData, match="1 of 1 chromosomes are not in genome.fa: NC_1; genome.fa has one, two"):
        score()


# what PLINK writes: the last position + 1; and what SpeedSeq does
@pytest.mark.parametrize("length", ["162", "2147483647"])
def test_a_wrong_contig_length_is_a_warning_while_the_records_fit(kmers, bases, capsys, length):
    one = bases["one"].upper()
    write_vcf(kmers / "v.vcf", variant("one", 161, one[160], "N"))
    alone = score()
    header = VERSION + f"##contig=<ID=two,length=1>\n##contig=<ID=one,length={length}>\n" + COLUMNS
    write_vcf(kmers / "v.vcf", variant("one", 161, one[160], "N"), header=header)
    capsys.readouterr()
    assert score().equals(alone)
    told = f"warning: v.vcf: line 3: ##contig gives one {int(length):,} bases, but one of genome.fa has 600; "
    assert told in capsys.readouterr().err
    # of the contigs that the records name, and that have their length
    write_vcf(kmers / "v.vcf", variant("one", 161, one[160], "N"), header=header.replace(length, "600"))
    score()
    assert "##contig" not in capsys.readouterr().err


def test_another_assembly_is_refused_by_its_bases_with_its_contig_lengths(kmers, bases):
    one = bases["one"].upper()
    right = [variant("one", at + 1, one[at], "N") for at in (160, 161, 162)]
    wrong = [variant("one", at + 1, "ACGT".replace(one[at], "")[0], "N") for at in (163, 164)]
    header = VERSION + "##contig=<ID=one,length=1999>\n" + COLUMNS
    told = r"another assembly\?.* \(line 2: ##contig gives one 1,999 bases, but one of genome.fa has 600\)"
    write_vcf(kmers / "v.vcf", *right, *wrong, header=header)
    with pytest.raises(BadData, match=told + ": 2 problems"):
        score()
    # 2 of 5 wrong: left out on demand; 2 of 3: those that fit do so by chance
    assert set(score("--ref-mismatch", "skip")["pos"]) == {161, 162, 163}
    write_vcf(kmers / "v.vcf", right[0], *wrong, header=header)
    with pytest.raises(BadData, match=told + ": 2 problems"):
        score("--ref-mismatch", "skip")
    write_vcf(kmers / "v.vcf", right[0], *wrong)
    assert set(score("--ref-mismatch", "skip")["pos"]) == {161}


def test_a_comment_among_the_records_is_one_fault(kmers, bases):
    one = bases["one"].upper()
    write_vcf(kmers / "v.vcf", ("# checked by Ann",), variant("one", 161, one[160], "N"))
    with pytest.raises(BadData) as refused:
        score()
    assert str(refused.value).startswith("v.vcf: line 4: a comment") and "\n" not in str(refused.value)
    # headers of files that were put one behind the other
    write_vcf(kmers / "v.vcf", variant("one", 161, one[160], "N"), (VERSION + COLUMNS.rstrip("\n"),),
              variant("one", 162, one[161], "N"))  # fmt: skip
    assert set(score()["pos"]) == {161, 162}


@pytest.mark.parametrize(("info", "kept"), [("AC=1;", ["AC=1"]), ("DB;;", ["DB"]), (";", []), (".", [])])
def test_info_that_ends_in_a_semicolon_gets_no_empty_field(kmers, bases, info, kept):
    one = bases["one"].upper()
    write_vcf(kmers / "v.vcf", variant("one", 161, one[160], "N", info=info))
    score()
    written = (kmers / "out.vcf").read_text().splitlines()[-1].split("\t")[7].split(";")
    assert written[: len(kept)] == kept
    assert [field.split("=")[0] for field in written[len(kept) :]] == [
        "INTRONAUT_N", "INTRONAUT_INTRON", "INTRONAUT_DLOGIT", "INTRONAUT_DP", "INTRONAUT_NULLP",
    ]  # fmt: skip


def test_groups_add_up_to_the_change(study, bases, embedders):
    files = embedders("motifs", "w.fa", "f.h5ad")
    write_model("f.h5ad", "model")
    lines, _ = substitutions(bases, [*SUBSTITUTIONS[0], *SUBSTITUTIONS[1]])
    write_vcf(study / "v.vcf", *lines)
    for options in ([], ["--group-by", "measure"], ["--group-by", "tf", "--top-groups", "1"]):
        scores = score(*files, *options, "--groups", "groups.tsv").set_index(["pos", "alt", "name"])["delta_logit"]
        groups = pd.read_csv("groups.tsv", sep="\t")
        sums = groups.groupby(["pos", "alt", "name"])["contribution"].sum()
        np.testing.assert_allclose(sums[scores.index], scores, atol=2e-6)
    assert groups.groupby(["pos", "alt", "name"]).size().max() == 2
    assert set(groups["group"]) == {"FOX", "SP", "(other groups)"}
    with pytest.raises(UsageError, match="--group-by family_name: .* has no such column; it has motif_id, tf"):
        score(*files, "--group-by", "family_name", "--groups", "groups.tsv")


def test_sequence_classes_are_compared_with_nucleosomes_adjusted(study, bases, embedders, checkpoints):
    files = embedders("classes", "w.fa", "f.h5ad")
    model = write_model("f.h5ad", "model")
    sei = checkpoints[0]
    at, one = 160, bases["one"].upper()
    alt = "ACGT".replace(one[at], "")[0]
    write_vcf(study / "v.vcf", variant("one", at + 1, one[at], alt))
    found = score(*files).set_index("name")
    write_fasta(study / "changed.fa", bases | {"one": one[:at] + alt + one[at + 1 :]})
    windows("introns.bed", "changed.fa", "changed_w.fa")
    for fasta, output in (("w.fa", "p.h5ad"), ("changed_w.fa", "q.h5ad")):
        embed_sei.main([fasta, "--context", "native", *files[:4], "-o", output, "--threads", "1", "--quiet"])
    before, after = open_features("p.h5ad"), open_features("q.h5ad")
    histone = (before.var["kind"] == "histone").to_numpy()
    vectors = np.load(sei / "projvec_targets.npy").astype(float)
    change = variant_class_scores(before.x[:].astype(float), after.x[:].astype(float), vectors, histone)
    wanted = pd.Series(change @ model.per_unit()[0], index=before.obs.index)
    # profiles are float32 probabilities: each class sums over what its vector weighs
    precision = rounding(before.x[:], 4) * np.abs(model.per_unit()[0]) @ np.abs(vectors).sum(1)[: change.shape[1]]
    np.testing.assert_allclose(found["delta_logit"], wanted[found.index], rtol=1e-4, atol=precision)
    # and that is not the difference of the classes
    embedders("classes", "changed_w.fa", "c.h5ad")
    plain = (open_features("c.h5ad").x[:] - open_features("f.h5ad").x[:]) @ model.per_unit()[0]
    assert not np.allclose(pd.Series(plain, index=before.obs.index)[found.index], found["delta_logit"], rtol=1e-3)
    with pytest.raises(UsageError, match="--projection is needed"):
        score(*files[:4])


def test_a_network_gives_the_difference_of_its_predictions(study, bases):
    torch.manual_seed(1)
    network = classifiers.build({"network": "basset", "head": "paper", "length": LENGTH}).eval()
    notes = {"features": {"tool": "finetune", "windows_sha256": "other"}, "settings": {"strands": "random"},
             "window_lengths": [LENGTH, LENGTH], "max_tokens": None, "prevalence_trained": 0.3}  # fmt: skip
    (study / "net").mkdir()
    classifiers.write_network(study / "net", notes, network)
    at, one = 120, bases["one"].upper()
    alt = "ACGT".replace(one[at], "")[0]
    write_vcf(study / "v.vcf", variant("one", at + 1, one[at], alt))
    found = score(model="net").iloc[0]
    assert found["name"] == "plus"
    reader = classifiers.base_reader(LENGTH)
    before = (study / "w.fa").read_text().splitlines()[1]
    after = before[:5] + alt + before[6:]  # the window of 100-190 is 115-175
    with torch.inference_mode():
        strands = [[text, complement(text)] for text in (before, after)]
        reference, alternative = (
            float(network(reader.collate([reader.encode(one) for one in pair])).mean()) for pair in strands
        )
    assert found["logit_ref"] == pytest.approx(reference, rel=1e-4)
    assert found["delta_logit"] == pytest.approx(alternative - reference, rel=1e-5, abs=rounding(reference))
    assert found["p_alt"] == pytest.approx(expit(alternative), rel=1e-5)
    with pytest.raises(UsageError, match="only linear models are split"):
        score("--groups", "groups.tsv", model="net")


def test_trees_give_the_difference_of_their_predictions(study, bases, embedders):
    import lightgbm

    embedders("kmers", "w.fa", "f.h5ad")
    features = open_features("f.h5ad")
    rng = np.random.default_rng(1)
    data = rng.uniform(0, 0.1, size=(400, len(features.var)))
    data[:, -2] = rng.uniform(0.2, 0.8, size=400)
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(data, data[:, -2] > 0.5), 30)
    notes = {
        "kind": "lightgbm",
        "tool": "fit",
        "feature_group": "all",
        "calibration": None,
        "features": features.provenance,
    }
    (study / "model").mkdir()
    write_trees(study / "model", notes, booster, 0.5, features.var)
    lines, _ = substitutions(bases, [*SUBSTITUTIONS[0], *SUBSTITUTIONS[1]])
    write_vcf(study / "v.vcf", *lines)
    found = score()
    reference = dict(
        zip(features.obs.index, booster.predict(features.x[:].astype(float), raw_score=True) + 0.5, strict=True)
    )
    for row in found.itertuples():
        assert row.logit_ref == pytest.approx(reference[row.name], rel=1e-5)
        assert row.p_alt == pytest.approx(expit(row.logit_ref + row.delta_logit), rel=1e-4)
    assert (found["delta_logit"] != 0).any()


def test_the_annotated_vcf_keeps_all_else_and_pysam_reads_it(kmers, bases):
    one = bases["one"].upper()
    info = "AC=1;NOTE=a%3Bb;X=;=1+1;<script>"
    header = HEADER.rstrip("\n") + "\tFORMAT\tsample 1\n"
    alt = "ACGT".replace(one[160], "")[0]
    lines = [(*variant("one", 161, one[160], f"{alt},*", "=cmd|'/c calc'!A0;rs1", info), "GT", "0/1"),
             (*variant("one", 161, one[160], "<DUP>", "`touch canary`", "."), "GT", "./."),
             (*variant("two", 61, bases["two"][60].upper(), "ACGTA", "内含子", "."), "GT", "1|1")]  # fmt: skip
    write_vcf(kmers / "v.vcf", *lines, header=header)
    found = score("--vcf", "out.vcf.gz", "--null", "5")
    assert list(found["id"]) == ["=cmd|'/c calc'!A0;rs1"] * 2 + ["内含子"]
    assert (kmers / "out.vcf.gz").read_bytes()[12:14] == b"BC"
    written = gzip.decompress((kmers / "out.vcf.gz").read_bytes()).decode().splitlines()
    kept = [line for line in written if "<ID=INTRONAUT_" not in line]
    assert len(written) - len(kept) == 5
    for before, after in zip((kmers / "v.vcf").read_text().splitlines(), kept, strict=True):
        was, now = before.split("\t"), after.split("\t")
        assert [*was[:7], *was[8:]] == [*now[:7], *now[8:]]
        assert now[0].startswith("#") or re.sub(r"(^|;)INTRONAUT_.*", "", now[7]) in (was[7], was[7].strip("."))
    with pysam.VariantFile(str(kmers / "out.vcf.gz")) as vcf:
        first, second, third = list(vcf)
    top = found[found["name"] == first.info["INTRONAUT_INTRON"][0]].iloc[0]
    assert abs(top["delta_logit"]) == found[found["pos"] == 161]["delta_logit"].abs().max()
    assert first.info["INTRONAUT_N"] == (2, 0)
    assert first.info["INTRONAUT_DLOGIT"] == (pytest.approx(top["delta_logit"], rel=1e-5), None)
    assert first.info["INTRONAUT_NULLP"] == (pytest.approx(top["null_p"], rel=1e-5), None)
    assert first.info["AC"] == (1,)
    assert not [key for key in second.info if key.startswith("INTRONAUT")]
    assert third.info["INTRONAUT_INTRON"] == ("other",) and third.info["INTRONAUT_NULLP"] == (None,)
    with pytest.raises(BadData, match="has INTRONAUT_ scores already"):
        score(vcf="out.vcf.gz")


def test_names_of_introns_are_encoded_in_info(kmers, bases):
    (kmers / "introns.bed").write_text("one\t100\t190\ta=b;c,d%20:e\t0\t+\n")
    write_vcf(kmers / "v.vcf", variant("one", 121, bases["one"][120].upper(), "N"))
    assert score()["name"].item() == "a=b;c,d%20:e"
    assert "INTRONAUT_INTRON=a%3Db%3Bc%2Cd%2520%3Ae;" in (kmers / "out.vcf").read_text()


def test_compressed_and_streamed_files_are_read_alike_and_cut_ones_refused(kmers, bases, monkeypatch):
    lines, _ = substitutions(bases, [*SUBSTITUTIONS[0], *SUBSTITUTIONS[1]])
    write_vcf(kmers / "v.vcf", *lines)
    plain = score()
    pysam.tabix_compress("v.vcf", "v.vcf.gz", force=True)
    (kmers / "g.vcf.gz").write_bytes(gzip.compress((kmers / "v.vcf").read_bytes()))
    assert score(vcf="v.vcf.gz").equals(plain) and score(vcf="g.vcf.gz").equals(plain)
    for name, cut in (("v.vcf.gz", 28), ("g.vcf.gz", 5)):
        whole = (kmers / name).read_bytes()
        (kmers / name).write_bytes(whole[:-cut])
        with pytest.raises(BadData, match="truncated bgzf|broken after line"):
            score(vcf=name)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((kmers / "v.vcf").read_bytes())))
    assert score(vcf="-").equals(plain)


def test_every_broken_line_is_named(kmers):
    write_vcf(kmers / "v.vcf", ("one", 5, ".", "A"), variant("one", "5x", "A", "C"), variant("one", 5, "", "C"),
              variant("one", 5, "A", "C,"), variant("o ne", 5, "A", "C"), variant("one", 5, "A-", "C"))  # fmt: skip
    with pytest.raises(BadData) as refused:
        score()
    told = str(refused.value)
    assert "6 problems" in told
    parts = ("4: 4 columns, the header has 8", "5: POS is '5x'", "6: REF is ''", "7: ALT is 'C,'", "8: CHROM 'o ne'")
    for part in (*parts, "9: REF is 'A-'"):
        assert f"line {part}" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "no line of column names"), ("chr1\t5\n", "a VCF starts with ##fileformat"), (VERSION, "no line of"),
     (f"{VERSION}#CHROM POS\n", "the columns of a VCF"), (f"{VERSION}one\t5\n", "expected ##")],
)  # fmt: skip
def test_what_is_no_vcf_is_refused(kmers, text, told):
    (kmers / "v.vcf").write_text(text)
    with pytest.raises(BadData, match=told):
        score()


def test_a_vcf_without_variants_gives_tables_without_lines(kmers):
    write_vcf(kmers / "v.vcf")
    assert score().empty
    assert json.loads((kmers / "summary.json").read_text())["alleles"] == 0


def test_the_null_depends_on_the_seed_alone_and_counts_itself(kmers, bases):
    one = bases["one"].upper()
    lines = [variant("one", at + 1, one[at], "ACGT".replace(one[at], "")[0]) for at in (118, 121, 140, 155, 160, 165)]
    write_vcf(kmers / "v.vcf", *lines)
    first = score("--null", 7)
    assert score("--null", 7).equals(first)
    few = score("--null", 2)
    assert not score("--null", 2, "--seed", 2)["null_p"].equals(few["null_p"])
    write_vcf(kmers / "v.vcf", *lines[::-1])
    turned = score("--null", 7)
    key = ["pos", "alt", "name"]
    assert turned.set_index(key)["null_p"].sort_index().equals(first.set_index(key)["null_p"].sort_index())
    assert first["null_n"].between(1, 7).all()
    assert (first["null_p"] >= 1 / (1 + first["null_n"]) - 1e-6).all() and (first["null_p"] <= 1).all()
    assert json.loads((kmers / "summary.json").read_text())["null"]["lowest_p"] == 1 / 8


def test_random_alleles_have_the_context_of_the_variant(tmp_path):
    bases = "".join(random.Random(8).choices("ACGT", k=3000))
    write_fasta(tmp_path / "g.fa", {"c": bases})
    places = [("c", start, start + 200) for start in (-50, 300, 900, 2900)]
    with Genome(tmp_path / "g.fa") as genome:
        for allele in (
            Allele("c", 500, 501, "ACGT".replace(bases[500], "")[0]),
            Allele("c", 500, 501, ""),
            Allele("c", 500, 500, "G"),
        ):
            context = context_of(genome, allele)
            forward = Context(bases[499], bases[500 : allele.end], allele.alt, bases[allele.end])
            backward = Context(*(complement(part) for part in (forward.right, forward.ref, forward.alt, forward.left)))
            assert context == min(forward, backward)
            drawn = random_alleles(genome, context, places, 12, 1)
            assert len(drawn) == len(set(drawn)) == 12
            assert (
                drawn
                == random_alleles(genome, context, places, 12, 1)
                != random_alleles(genome, context, places, 12, 2)
            )
            for place, other in drawn:
                assert context_of(genome, other) == context
                assert places[place][1] < other.start and other.end < places[place][2]
            # all there are, when more are asked for than there are
            every = random_alleles(genome, context, places[1:2], 10_000, 1)
            wanted = sum(
                Context(bases[at - 1], bases[at : at + len(forward.ref)], alt, bases[at + len(forward.ref)])
                in (forward, backward)
                for at in range(301, 500 - len(forward.ref))
                for alt in {forward.alt, backward.alt}
            )
            assert len(every) == wanted > 0


def test_long_alleles_and_those_beside_n_have_no_null(tmp_path):
    write_fasta(tmp_path / "g.fa", {"c": "ACNGTACGT"})
    with Genome(tmp_path / "g.fa") as genome:
        for allele in (Allele("c", 4, 6, "A"), Allele("c", 5, 5, "AC"), Allele("c", 1, 2, "A"), Allele("c", 0, 1, "C"),
                       Allele("c", 8, 9, "C"), Allele("c", 5, 5, "")):  # fmt: skip
            assert context_of(genome, allele) is None


def test_a_window_not_cut_as_the_models_is_said(kmers, bases, capsys):
    write_vcf(kmers / "v.vcf", variant("one", 121, bases["one"][120].upper(), "N"))
    score()
    assert "not the windows" not in capsys.readouterr().err
    for options in (["--length", "50"], ["--anchor", "donor"], ["--strand", "forward"], ["--edge", "drop"]):
        told = f"{options[0][2:]} was .*, is '?{options[1]}"
        with pytest.raises(UsageError, match=f"cut otherwise: {told}"):
            score(*options)
    # a model of before windows were recorded
    notes = json.loads((kmers / "model/model.json").read_text())
    del notes["features"]["window"]
    (kmers / "model/model.json").write_text(json.dumps(notes))
    for options in (["--length", "50"], ["--anchor", "donor"], ["--strand", "forward"], ["--edge", "drop"]):
        score(*options)
        assert "not the windows that the model learnt from" in capsys.readouterr().err
        assert json.loads((kmers / "summary.json").read_text())["windows_of_the_model"] is False


def test_features_made_otherwise_are_refused(study, bases, embedders, tmp_path):
    files = embedders("motifs", "w.fa", "f.h5ad")
    write_model("f.h5ad", "model")
    write_vcf(study / "v.vcf", variant("one", 121, bases["one"][120].upper(), "N"))
    with pytest.raises(UsageError, match="--motifs is needed: the model's features were made by embed_motifs"):
        score()
    (study / "motifs.txt").write_text(JASPAR.replace("9", "8"))
    with pytest.raises(BadData, match="not made as the features of the model: motifs_sha256 was"):
        score(*files)
    write_model("f.h5ad", "own", features={})
    with pytest.raises(BadData, match="cannot be computed from DNA"):
        score(model="own")


def test_a_model_of_a_feature_group_reads_its_columns_alone(study, bases, embedders):
    files = embedders("motifs", "w.fa", "f.h5ad")
    features = open_features("f.h5ad")
    chosen = (features.var["tf"] == "SP").to_numpy()
    notes = {
        "kind": "logistic",
        "tool": "fit",
        "feature_group": "tf=SP",
        "calibration": None,
        "features": features.provenance,
    }
    model = LinearModel(notes, np.array([1.0, -2.0]), 0.0, np.zeros(2), np.ones(2))
    (study / "model").mkdir()
    write_linear(study / "model", model, features.var[chosen])
    write_vcf(study / "v.vcf", variant("one", 121, bases["one"][120].upper(), "N"))
    found = score(*files).iloc[0]
    reference = features.x[0][chosen] @ [1.0, -2.0]
    assert found["logit_ref"] == pytest.approx(reference, rel=1e-5)
    assert math.isfinite(found["delta_logit"])


def test_splice_sites_stand_beside_the_change_of_retention(study, bases, embedders):
    """The columns are those of the Effects of the gene, and every allele has a row per gene."""
    from intronaut.features.splice import Tracks
    from intronaut.genome.gene_spans import read_gene_spans
    from intronaut.networks.splice import open_networks
    from intronaut.variants.splice import SpliceScorer

    write_random("weights.safetensors", nets=1)
    exons = [(50, 100), (190, 300)]
    attributes = 'gene_id "g"; transcript_id "t";'
    gtf = [f"one\ttest\texon\t{start + 1}\t{end}\t.\t+\t.\t{attributes}\n" for start, end in exons]
    (study / "genes.gtf").write_text("".join(gtf))
    embedders("kmers", "w.fa", "f.h5ad")
    write_model("f.h5ad", "model")
    lines, _ = substitutions(bases, [(155, 1), (598, 1)])
    write_vcf(study / "v.vcf", *lines, variant("one", 150, bases["one"][149].upper(), "<DEL>"))
    options = "--splice", "weights.safetensors", "--annotation", "genes.gtf", "--distance", 40, "--genes", "genes.tsv"
    table = score(*options).set_index("name")
    genes = pd.read_csv("genes.tsv", sep="\t", keep_default_na=False, na_values=["NA"])
    assert genes[["pos", "gene_id", "gene_strand"]].fillna("none").values.tolist() == [
        [156, "g", "+"], [599, "none", "+"], [599, "none", "-"]
    ]  # fmt: skip
    with Genome("genome.fa") as genome:
        tracks = Tracks(open_networks("weights.safetensors"), genome, Log("test", None))
        scorer = SpliceScorer(tracks, read_gene_spans("genes.gtf"), distance=40)
        ((effect,),) = scorer.effects([("one", 155, lines[0][3], lines[0][4])])
    assert genes.loc[0, "donor_loss"] == pytest.approx(effect.largest["donor_loss"][0], rel=1e-5, abs=1e-9)
    wanted = effect.at_intron(Row("one", 100, 190, "plus", "0", "+"), 40)
    found = table.loc["plus", ["donor_loss", "acceptor_loss", "donor_gain", "acceptor_gain"]].astype(float)
    assert found.tolist() == pytest.approx(list(wanted), rel=1e-4, abs=1e-7)
    assert found["donor_loss"] == 0 < found["acceptor_gain"]
    # an intron of the other strand has no effect of a gene on this one
    assert table.loc["minus", ["donor_loss", "acceptor_gain"]].isna().all()
    with pytest.raises(UsageError, match="--mask, --genes: without effect without --splice"):
        score("--mask", "--genes", "genes.tsv")
