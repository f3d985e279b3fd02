"""split_introns: which rows go where, by rules that a reader can work out for every row."""

from collections import Counter
from itertools import product

import numpy as np
import pandas as pd
import pytest

import split_introns
from intronaut.core.errors import BadData
from planted_leaks import read_column
from simulated_introns import introns, write_labels

pytest_plugins = ["leaky_inputs"]
HEAD = "chrom start end name score strand label unit gene_id gene_name intron_id".replace(" ", "\t")


@pytest.fixture
def chromosomes(tmp_path):
    """Ten introns on each of twelve chromosomes, far apart, each of its own gene; every third is retained."""
    rows = []
    for chrom, at in product(range(1, 13), range(10)):
        name = f"{chrom}_{at}"
        fields = [
            chrom,
            at * 100_000,
            at * 100_000 + 500,
            name,
            0,
            "+",
            int(at % 3 == 0),
            "intron",
            f"g{name}",
            "",
            name,
        ]
        rows.append("\t".join(map(str, fields)))
    (tmp_path / "labels.tsv").write_text("\n".join([HEAD, *rows]) + "\n")
    return "labels.tsv"


def test_whole_chromosomes_go_to_test_and_valid(tool, tmp_path, chromosomes):
    tool("split_introns", chromosomes, "-o", "split.tsv")
    parts = read_column(tmp_path / "split.tsv", "split")
    expected = {"8": "test", "9": "test", "10": "valid"}
    assert parts == {name: expected.get(name.split("_")[0], "train") for name in parts} and len(parts) == 120
    tool("split_introns", chromosomes, "--test-chromosomes", "chr1", "--valid-chromosomes", "", "-o", "other.tsv")
    parts = read_column(tmp_path / "other.tsv", "split")
    assert {part: sum(1 for each in parts.values() if each == part) for part in parts.values()} == {
        "test": 10, "train": 110,
    }  # fmt: skip


def test_groups_are_split_eight_to_one_to_one_with_even_labels(tool, tmp_path, chromosomes):
    tool("split_introns", chromosomes, "--scheme", "groups", "-o", "split.tsv")
    parts, labels = (read_column(tmp_path / "split.tsv", column) for column in ("split", "label"))
    counts = Counter((parts[name], labels[name]) for name in parts)
    # 48 retained and 72 spliced introns, each a group of its own
    for part, share in (("train", 0.8), ("valid", 0.1), ("test", 0.1)):
        assert abs(counts[part, "1"] - 48 * share) <= 1 and abs(counts[part, "0"] - 72 * share) <= 1


def test_introns_whose_contexts_share_a_base_are_one_group(tool, tmp_path, chromosomes):
    """Introns of a chromosome lie 100,000 bases apart: contexts of 100,000 touch no other, of 100,001 all."""
    for context, groups in ((100_000, 120), (100_001, 12)):
        tool("split_introns", chromosomes, "--scheme", "folds", "--context", context, "-o", "split.tsv")
        assert len(set(read_column(tmp_path / "split.tsv", "group").values())) == groups


def test_windows_of_one_sequence_are_one_group_and_others_are_not(tool, tmp_path, chromosomes):
    """Of 120 introns, each a group of its own: two equal, one reverse-complemented, two unknown but for their N."""
    names = list(read_column(tmp_path / chromosomes, "label"))
    rng = np.random.default_rng(0)
    sequences = {name: "".join(rng.choice(list("ACGT"), 60)) for name in names}
    sequences[names[70]] = sequences[names[3]]
    complement = dict(zip("ACGT", "TGCA", strict=True))
    sequences[names[110]] = "".join(complement[base] for base in reversed(sequences[names[3]]))
    sequences[names[5]] = sequences[names[6]] = "N" * 60
    (tmp_path / "w.fa").write_text("".join(f">{name}\n{text}\n" for name, text in sequences.items()))
    alike = ("--windows", "w.fa", "--identity", 1, "--coverage", 1)
    tool("split_introns", chromosomes, "--scheme", "folds", *alike, "-o", "split.tsv")
    groups, folds = (read_column(tmp_path / "split.tsv", column) for column in ("group", "split"))
    assert groups[names[3]] == groups[names[70]] == groups[names[110]] and len(set(groups.values())) == 118
    assert folds[names[3]] == folds[names[70]] == folds[names[110]]


def test_earlier_groups_are_kept_together(tool, tmp_path, inputs):
    header, *lines = inputs[0].read_text().splitlines()
    odd = [int(line.split("\t")[0]) % 2 for line in lines]
    grouped = [header + "\tgroup"] + [f"{line}\t{number}" for number, line in zip(odd, lines, strict=True)]
    (tmp_path / "grouped.tsv").write_text("\n".join(grouped) + "\n")
    tool("split_introns", "grouped.tsv", "--scheme", "folds", "--folds", 2, "-o", "split.tsv")
    folds = list(read_column(tmp_path / "split.tsv", "split").values())
    assert len(set(zip(odd, folds, strict=True))) == len(set(folds)) == 2


def test_rows_keep_their_order_and_other_columns(tool, tmp_path, inputs):
    tool("split_introns", inputs[0], "-o", "split.tsv")
    before, after = (path.read_text().splitlines() for path in (inputs[0], tmp_path / "split.tsv"))
    assert [line.rsplit("\t", 2)[0] for line in after] == before


def test_a_part_without_retained_windows_is_refused_before_anything_is_embedded(tool, tmp_path, inputs):
    labels, _ = inputs
    header, *rows = (line.split("\t") for line in labels.read_text().splitlines())
    for number, row in enumerate(rows):
        row[header.index("label")] = "1" if number < 2 else "0"
    labels.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
    told = tool("split_introns", labels, "--scheme", "folds", "--folds", 4, "-o", "split.tsv", code=65).stderr
    assert "no retained window in" in told and "the 2 retained lie in" in told
    assert not (tmp_path / "split.tsv").exists()


def test_a_chromosome_that_is_not_there_and_wrong_options_are_one_line(tool, inputs):
    labels, _ = inputs
    assert "no window on Z" in tool("split_introns", labels, "--test-chromosomes", "Z", code=65).stderr
    assert "No such file" in tool("split_introns", labels, "--windows", "absent.fa", code=66).stderr
    assert "--folds must be" in tool("split_introns", labels, "--scheme", "folds", "--folds", 1, code=2).stderr


def test_levels_are_even_in_all_folds_and_folds_of_one_class_are_named(tmp_path, capsys):
    rng = np.random.default_rng(0)
    table = introns(300, per_group=5).drop(columns=["split"])
    table = table.assign(psi=rng.random(300).round(3), psi_n=20, label=np.where(np.arange(300) < 15, 1, 0))
    table.loc[:19, "psi_n"] = 5
    write_labels(tmp_path / "labels.tsv", table)
    given = [str(tmp_path / "labels.tsv"), "--scheme", "folds", "--context", "1", "-o", str(tmp_path / "split.tsv")]
    split_introns.main([*given, "--target", "level"])
    found = pd.read_csv(tmp_path / "split.tsv", sep="\t")
    above = (found["psi"] > found.loc[20:, "psi"].median())[20:]
    assert above.groupby(found["split"][20:]).mean().between(0.35, 0.65).all()
    split_introns.main(given)
    assert "no retained window in" in capsys.readouterr().err
    (tmp_path / "few.tsv").write_text((tmp_path / "labels.tsv").read_text())
    write_labels(tmp_path / "few.tsv", table.assign(label=np.where(np.arange(300) < 10, 1, 0)))
    with pytest.raises(BadData, match="the 10 retained lie in 2 leakage groups"):
        split_introns.main([str(tmp_path / "few.tsv"), *given[1:]])
