"""split_introns and audit_split on windows with planted leaks."""

import json

import pytest

from planted_leaks import planted_leaks, write_planted

PARALOGS = ("--identity", 0.75)


@pytest.fixture(scope="module")
def planted():
    return planted_leaks(1, n_unrelated=40, identities=(1.0, 0.9, 0.8), copies=1)


@pytest.fixture
def inputs(tmp_path, planted):
    return write_planted(tmp_path, planted[0])


def read_pairs(path):
    """The pairs of an audit as sets of names, by leak."""
    header, *lines = path.read_text().splitlines()
    rows = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    found = {leak: set() for leak in ("bases", "twin", "homology", "gene")}
    for row in rows:
        found[row["leak"]].add(frozenset((row["name_1"], row["name_2"])))
    return found


def read_column(path, column):
    header, *lines = (line.split("\t") for line in path.read_text().splitlines())
    return {row[header.index("name")]: row[header.index(column)] for row in lines}


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


def test_a_part_without_retained_windows_is_refused_before_anything_is_embedded(tool, tmp_path, inputs):
    labels, _ = inputs
    header, *rows = (line.split("\t") for line in labels.read_text().splitlines())
    for number, row in enumerate(rows):
        row[header.index("label")] = "1" if number < 2 else "0"
    labels.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
    told = tool("split_introns", labels, "--scheme", "folds", "--folds", 4, "-o", "split.tsv", code=65).stderr
    assert "no retained window in" in told and "the 2 retained lie in" in told
    assert not (tmp_path / "split.tsv").exists()


def test_labels_without_split_or_chromosomes_are_refused(tool, inputs):
    labels, fasta = inputs
    assert "no column split" in tool("audit_split", "--labels", labels, "--windows", fasta, code=65).stderr
    assert "no window on Z" in tool("split_introns", labels, "--test-chromosomes", "Z", code=65).stderr
    assert "No such file" in tool("split_introns", labels, "--windows", "absent.fa", code=66).stderr
