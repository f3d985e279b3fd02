"""enrich: overlaps as bedtools has them, tests as statsmodels and scipy have them, confounders taken away."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import enrich
import simulated_introns
from intronaut.core.errors import BadData, MissingInput, UsageError
from intronaut.io.expression import read_expression


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args, output="out"):
    enrich.main(["labels.tsv", *map(str, args), "-o", output, "--quiet"])
    return read(f"{output}/enrich.tsv"), json.loads(Path(output, "enrich.json").read_text())


def read(path):
    return pd.read_csv(path, sep="\t", na_values="NA", keep_default_na=False)


def cohort(n=400, seed=0):
    """Introns of chromosome 1, 100 kb apart, whose label follows their length and a mark; and which carry the mark."""
    table = simulated_introns.introns(n, seed)
    rng = np.random.default_rng(seed)
    log = np.log10(table["length"])
    mark = rng.random(n) < 0.3
    table["label"] = simulated_introns.draw_labels(1.2 * mark - 1.5 * (log - log.mean()) - 0.8, seed)
    simulated_introns.write_labels("labels.tsv", table)
    return table, mark


def write_bed(path, rows):
    with open(path, "w") as out:
        out.writelines("\t".join(map(str, row)) + "\n" for row in rows)


def peaks_inside(table, chosen, chrom="chr1"):
    return [(chrom, row.start + 5, row.start + 25) for row in table[chosen].itertuples()]


def test_effect_is_that_of_statsmodels_and_fisher_that_of_scipy():
    table, mark = cohort()
    write_bed("H3K36me3.bed", peaks_inside(table, mark))
    found, told = run("--peaks", "H3K36me3.bed")
    row, label = found.iloc[0], table["label"].to_numpy(float)
    log, gc = np.log10(1 + table["length"]), table["gc"]
    terms = np.column_stack([mark, np.ones(400), log, log**2, gc, gc**2]).astype(float)
    groups = table["group"].factorize()[0]
    model = sm.Logit(label, terms)
    robust, model = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": groups}), model.fit(disp=0)
    reach = stats.t.ppf(0.975, groups.max()) * max(model.bse[0], robust.bse[0])
    wanted = np.exp([model.params[0], model.params[0] - reach, model.params[0] + reach])
    np.testing.assert_allclose(row[["odds_ratio", "low", "high"]].astype(float), wanted, rtol=1e-4)
    counts = [[(mark & (label == k)).sum(), (~mark & (label == k)).sum()] for k in (1, 0)]
    assert row["fisher_p"] == pytest.approx(stats.fisher_exact(counts).pvalue, rel=1e-5)
    assert (row["retained_with"], row["spliced_with"]) == (counts[0][0], counts[1][0])
    assert row["mark"] == "H3K36me3" and row["low"] < np.exp(1.2) < row["high"]
    assert (told["n_retained"], told["n_spliced"], told["groups"]) == (label.sum(), (label == 0).sum(), 134)


def test_what_only_length_explains_is_not_found():
    """Peaks strewn at random meet long introns more often; the label follows length alone."""
    table = simulated_introns.introns(1500, 4)
    log = np.log10(table["length"])
    table["label"] = simulated_introns.draw_labels(-2 * (log - log.mean()) - 0.5, 4)
    simulated_introns.write_labels("labels.tsv", table)
    rng = np.random.default_rng(1)
    for k in range(3):
        starts = (rng.integers(0, 1500, 20_000) * 100_000) + rng.integers(0, 8000, 20_000)
        write_bed(f"m{k}.bed", sorted((1, start, start + 30) for start in starts))
    found, _ = run("--peaks", *(f"m{k}.bed" for k in range(3)))
    assert (found["fisher_q"] < 1e-6).all() and (found["fisher_odds_ratio"] < 0.6).all()
    assert (found["q"] > 0.05).all()
    np.testing.assert_allclose(found["q"], stats.false_discovery_control(found["p"]), rtol=1e-4)


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
def test_bases_covered_equal_those_of_bedtools():
    rng = np.random.default_rng(3)
    table = simulated_introns.introns(60, 3).assign(chrom=[f"chr{k % 3}" for k in range(60)], label=[0, 1] * 30)
    table["start"] = rng.integers(0, 20_000, 60)
    table["end"] = table["start"] + table["length"]
    simulated_introns.write_labels("labels.tsv", table)
    starts = rng.integers(0, 30_000, 500)
    rows = [(f"chr{k % 3}", start, start + 1 + k % 400) for k, start in enumerate(starts)]
    write_bed("a.bed", rows)
    run("--peaks", "a.bed", "--min-introns", 1)
    mine = read("out/overlaps.tsv")
    write_bed("introns.bed", table[["chrom", "start", "end", "name"]].to_numpy())
    done = subprocess.run(["bedtools", "coverage", "-a", "introns.bed", "-b", "a.bed"], capture_output=True, text=True)
    theirs = {line.split("\t")[3]: int(line.split("\t")[5]) for line in done.stdout.splitlines()}
    assert dict(zip(mine["name"], mine["a"], strict=True)) == theirs and sum(theirs.values()) > 0


@pytest.mark.parametrize(
    ("options", "with_mark"),
    [
        ([], ["i0", "i1", "i2"]),
        (["--min-bases", 6], ["i0", "i1"]),
        (["--min-fraction", 0.1], ["i0"]),
        (["--flank", 10], ["i0", "i1", "i2", "i3"]),
    ],
)
def test_what_counts_as_overlap(options, with_mark):
    """Introns of 100 bp: 12 bases under two peaks that overlap, 6 under two apart, 5, and one peak 8 bp before it."""
    table = simulated_introns.introns(40).assign(label=[0, 1] * 20)
    table["end"] = table["start"] + 100
    simulated_introns.write_labels("labels.tsv", table)
    at = table["start"].tolist()
    write_bed("a.bed", [
        (1, at[0], at[0] + 10), (1, at[0] + 5, at[0] + 12), (1, at[1], at[1] + 3), (1, at[1] + 97, at[1] + 110),
        (1, at[2] - 20, at[2] + 5), (1, at[3] - 20, at[3] - 8), (1, at[4] - 30, at[4] - 10),
    ])  # fmt: skip
    found, _ = run("--peaks", "a.bed", "--min-introns", 1, *options)
    assert found["retained_with"][0] + found["spliced_with"][0] == len(with_mark)
    bases = read("out/overlaps.tsv").set_index("name")["a"]
    if not options:
        assert bases[:4].tolist() == [12, 6, 5, 0]


def test_expression_is_adjusted_for():
    """The mark follows the expression of the gene, and so does the label: nothing else is to be found."""
    table = simulated_introns.introns(900, 6, per_group=1)
    rng = np.random.default_rng(6)
    level = rng.exponential(20, 900)
    log = np.log2(1 + level)
    table["label"] = simulated_introns.draw_labels(-1.2 * (log - log.mean()), 6)
    simulated_introns.write_labels("labels.tsv", table)
    write_bed("m.bed", peaks_inside(table, rng.random(900) < 1 / (1 + np.exp(-(log - log.mean()))), "1"))
    rows = [
        ("gene_id", "symbol", "TPM"),
        *((row.gene_id, "x", tpm) for row, tpm in zip(table.itertuples(), level, strict=True)),
    ]
    write_bed("expression.tsv", rows[:-5])
    without, _ = run("--peaks", "m.bed")
    found, told = run("--peaks", "m.bed", "--expression", "expression.tsv", output="adjusted")
    assert without["q"][0] < 1e-6 and found["q"][0] > 0.01
    assert told["adjusted_for"] == ["length", "gc", "expression"] and told["expression_column"] == "TPM"
    assert told["left_out"]["no_covariate"] == 5


@pytest.mark.parametrize(
    ("header", "row", "column"),
    [
        # pandas with its index, RSEM's genes.results, two columns of one quantifier, another name
        ("\tgene_id\ttpm", "{k}\t{gene}\t{level}", "tpm"),
        ("gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM",
         "{gene}\tt{k}\t{k}\t{k}\t3\t{level}\t7", "TPM"),
        ("gene_id,FPKM,TPM", "{gene},1,{level}", "TPM"),
        ("gene_id\tnote\tmine", "{gene}\tx\t{level}", "mine"),
    ],
)  # fmt: skip
def test_the_column_of_expression_is_taken_by_its_name(header, row, column):
    table = simulated_introns.introns(40, 6, per_group=1)
    levels = np.arange(40.0)[::-1]
    lines = [row.format(k=k, gene=gene, level=level) for k, (gene, level) in
             enumerate(zip(table["gene_id"], levels, strict=True))]  # fmt: skip
    Path("expression.tsv").write_text("\n".join([header, *lines]) + "\n")
    taken, values = read_expression("expression.tsv", table)
    assert taken == column
    np.testing.assert_allclose(values, np.log2(1 + levels))


def test_marks_by_name_and_by_file():
    table, mark = cohort()
    rows = [(*row, ("CTCF", "MYC")[k % 2]) for k, row in enumerate(peaks_inside(table, mark))]
    write_bed("many.narrowPeak", [*rows, ("chrUn", 1, 5, "CTCF")])
    found, told = run("--peaks", "many.narrowPeak", "--by-name")
    assert sorted(found["mark"]) == ["CTCF", "MYC"] and found["peaks"].sum() == mark.sum()
    assert told["peaks_left_out"] == {"many.narrowPeak": {"peaks": mark.sum() + 1, "other_chromosomes": 1}}
    write_bed("b.bed.gz.bed", rows)
    found, _ = run("--peaks", "many.narrowPeak", "b.bed.gz.bed", "--names", "one,two", output="named")
    assert sorted(found["mark"]) == ["one", "two"]
    assert enrich.mark_name("x/K562.H3K4me3.narrowPeak.gz") == "K562.H3K4me3" and enrich.mark_name("a.BED") == "a"


def test_rare_marks_are_told_but_not_tested():
    table, mark = cohort()
    few = mark & (np.cumsum(mark) <= 4)
    write_bed("few.bed", peaks_inside(table, few))
    write_bed("many.bed", peaks_inside(table, mark))
    found = run("--peaks", "few.bed", "many.bed")[0].set_index("mark")
    assert found["status"].to_dict() == {"few": "too_few", "many": "tested"}
    assert np.isnan(found.loc["few", "p"]) and found.loc["many", "q"] == found.loc["many", "p"]
    assert found.loc["few", "fisher_p"] > 0


def test_aliases_resolve_and_foreign_names_are_refused():
    table, mark = cohort()
    write_bed("nc.bed", peaks_inside(table, mark, "NC_000001.11"))
    write_bed("alias.txt", [("chr1", "1", "NC_000001.11")])
    with pytest.raises(BadData, match="1 of 1 chromosomes are not in labels.tsv"):
        run("--peaks", "nc.bed")
    found, _ = run("--peaks", "nc.bed", "--chrom-aliases", "alias.txt")
    assert found["retained_with"][0] + found["spliced_with"][0] == mark.sum()


def test_outputs_are_whole_and_the_same_every_time():
    table, mark = cohort()
    write_bed("m.bed", peaks_inside(table, mark))
    run("--peaks", "m.bed")
    run("--peaks", "m.bed", output="again")
    names = ["enrich.json", "enrich.tsv", "forest.png", "forest.svg", "overlaps.tsv"]
    assert sorted(path.name for path in Path("out").iterdir()) == names
    for name in names:
        assert Path("out", name).read_bytes() == Path("again", name).read_bytes()


@pytest.mark.parametrize(
    ("args", "refused", "says"),
    [
        (["--peaks", "none.bed"], MissingInput, "none.bed: No such file"),
        (["--peaks", "m.bed", "--adjust", "length,ph"], UsageError, "no column ph"),
        (["--peaks", "m.bed", "m.bed"], UsageError, "two marks are called m"),
        (["--peaks", "m.bed", "--names", "a,b"], UsageError, "2 names for 1 files"),
        (["--peaks", "m.bed", "--by-name"], BadData, "needs a name in column four"),
        (["--peaks", "m.bed", "--expression", "other.tsv"], BadData, "no column name, intron_id, gene_id or gene_name"),
        (["--peaks", "m.bed", "--expression", "words.tsv"], BadData, "no numbers in column"),
        (
            ["--peaks", "m.bed", "--expression", "stranger.tsv"],
            BadData,
            "no gene_id is one of the labels; it holds names like 'ENSG1'",
        ),
        (["--peaks", "m.bed", "--expression", "negative.tsv"], BadData, "TPM below 0"),
        (
            ["--peaks", "m.bed", "--expression", "commas.tsv"],
            BadData,
            "line 4: tpm is '2,5'; write decimals with a point",
        ),
        (["--peaks", "m.bed", "--expression", "broken.tsv"], BadData, "line 3: tpm is 'high'; write a number or NA"),
        (["--peaks", "m.bed", "--expression", "twice.tsv"], BadData, r"'g1' occurs 2 times.*\(lines 2 and 3\)"),
        (["--peaks", "m.bed", "--expression", "samples.tsv"], BadData, "numbers in s1, s2; name the one"),
    ],
)
def test_wrong_inputs_are_refused_in_one_line(here, args, refused, says):
    table, mark = cohort(60)
    write_bed("m.bed", peaks_inside(table, mark))
    write_bed("other.tsv", [("symbol", "TPM"), ("g1", 3)])
    write_bed("words.tsv", [("gene_id", "TPM"), ("g1", "high")])
    write_bed("stranger.tsv", [("gene_id", "TPM"), ("ENSG1", 3)])
    write_bed("negative.tsv", [("gene_id", "TPM"), ("g1", -3)])
    write_bed("commas.tsv", [("gene_id", "tpm"), ("g1", 5), ("g2", 15), ("g3", "2,5")])
    write_bed("broken.tsv", [("gene_id", "tpm"), ("g1", 5), ("g2", "high")])
    write_bed("twice.tsv", [("gene_id", "tpm"), ("g1", 5), ("g1", 0)])
    write_bed("samples.tsv", [("gene_id", "s1", "s2"), ("g1", 5, 4)])
    with pytest.raises(refused, match=says) as failed:
        run(*args)
    assert len(str(failed.value).splitlines()) == 1 and not (here / "out").exists()


def test_labels_of_one_class_are_refused():
    table, mark = cohort(60)
    simulated_introns.write_labels("labels.tsv", table.assign(label=0))
    write_bed("m.bed", peaks_inside(table, mark))
    with pytest.raises(BadData, match="0 retained and 60 spliced introns"):
        run("--peaks", "m.bed")
