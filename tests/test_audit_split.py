"""audit_split on windows with planted leaks, split by split_introns."""

import json

import pytest

from planted_leaks import read_column

pytest_plugins = ["leaky_inputs"]
PARALOGS = ("--identity", 0.75)


def read_pairs(path):
    """The pairs of an audit as sets of names, by leak."""
    header, *lines = path.read_text().splitlines()
    rows = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    found = {leak: set() for leak in ("bases", "twin", "homology", "gene")}
    for row in rows:
        found[row["leak"]].add(frozenset((row["name_1"], row["name_2"])))
    return found


def test_random_rows_are_flagged_with_every_planted_pair(tool, tmp_path, inputs, planted):
    labels, fasta = inputs
    tool("split_introns", labels, "--scheme", "paper", "-o", "paper.tsv")
    options = ("--labels", "paper.tsv", "--windows", fasta, *PARALOGS, "--json", "audit.json")
    done = tool("audit_split", *options, code=65)
    assert "the split leaks: bases" in done.stderr and done.stderr.count("error") == 1
    split, found = read_column(tmp_path / "paper.tsv", "split"), read_pairs(tmp_path / "audit.tsv")
    for leak, pairs in planted[1].items():
        across = {pair for pair in pairs if len({split[name] for name in pair}) == 2}
        # windows that overlap are homologous too
        extra = planted[1]["bases"] if leak == "homology" else set()
        assert across and across <= found[leak] <= pairs | extra, leak
    summary = json.loads((tmp_path / "audit.json").read_text())
    assert {leak: row["pairs"] for leak, row in summary["leaks"].items()} == {k: len(v) for k, v in found.items()}
    assert summary["best_identity"] == 1.0 and summary["held_out"] == sum(part != "train" for part in split.values())


@pytest.mark.parametrize("scheme", [("chromosome",), ("groups",), ("folds", "--folds", 4)])
def test_splits_by_chromosome_and_homology_pass(tool, tmp_path, inputs, scheme):
    labels, fasta = inputs
    tool("split_introns", labels, "--windows", fasta, *PARALOGS, "--scheme", *scheme, "-o", "split.tsv")
    tool("audit_split", "--labels", "split.tsv", "--windows", fasta, *PARALOGS)
    assert (tmp_path / "audit.tsv").read_text().count("\n") == 1


def test_groups_without_sequences_part_paralogs_and_nothing_else(tool, tmp_path, inputs):
    labels, fasta = inputs
    tool("split_introns", labels, "--scheme", "folds", "-o", "split.tsv")
    tool("audit_split", "--labels", "split.tsv", "--windows", fasta, *PARALOGS, code=65)
    found = read_pairs(tmp_path / "audit.tsv")
    assert found["homology"] and not found["bases"] and not found["gene"]


def test_a_limit_lets_a_leak_pass(tool, inputs):
    labels, fasta = inputs
    tool("split_introns", labels, "--scheme", "paper", "-o", "paper.tsv")
    limits = [word for leak in ("bases", "twin", "homology", "gene") for word in (f"--max-{leak}", 1)]
    tool("audit_split", "--labels", "paper.tsv", "--windows", fasta, *limits)


def test_rows_left_out_of_the_audit_are_counted(tool, tmp_path, inputs):
    labels, fasta = inputs
    tool("split_introns", labels, "--scheme", "chromosome", "-o", "split.tsv")
    lines = [line.split("\t") for line in (tmp_path / "split.tsv").read_text().splitlines()]
    lines[1][6] = lines[2][6] = lines[2][-1] = lines[3][-1] = "NA"
    (tmp_path / "split.tsv").write_text("".join("\t".join(line) + "\n" for line in [*lines[:4], *lines[5:]]))
    records = fasta.read_text().split(">")
    fasta.write_text(">".join([*records[:-1]]))
    tool("audit_split", "--labels", "split.tsv", "--windows", fasta, "--json", "audit.json", "--quiet")
    summary = json.loads((tmp_path / "audit.json").read_text())
    assert summary["left_out"] == {"no_label": 2, "no_split": 1, "no_window": 1}
    assert summary["windows_without_row"] == 1
    assert summary["rows"] == summary["audited"] + 4 == len(lines) - 2


def test_labels_without_a_split_are_refused(tool, inputs):
    labels, fasta = inputs
    assert "no column split" in tool("audit_split", "--labels", labels, "--windows", fasta, code=65).stderr
