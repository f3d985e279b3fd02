"""Whatever the annotation and the calls: everything is in one output, and order and strand change nothing."""

import json

import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import label_introns
from intronaut.core.errors import BadData

GENES = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "chrX"]),
        st.sampled_from("+-."),
        st.integers(0, 300),
        st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=2, max_size=4),
    ),
    min_size=1,
    max_size=4,
)
CHROMS = st.sampled_from(["1", "chr1", "chr2", "X", "3"])
CALLS = st.lists(st.tuples(CHROMS, st.integers(0, 400), st.integers(1, 60), st.sampled_from("+-.")), max_size=6)
VALUES = st.sampled_from(["0", "0.5", "1", "NA"])
FLIP = str.maketrans("+-", "-+")


def exons_of(genes):
    """``(chrom, 1-based start, end, strand, gene)`` of every exon, and the 0-based introns between them."""
    exons, introns = [], []
    for number, (chrom, strand, at, blocks) in enumerate(genes):
        for i, (gap, width) in enumerate(blocks):
            if i:
                introns.append((chrom, at, at + gap, strand))
            exons.append((chrom, at + gap + 1, at + gap + width, strand, number))
            at += gap + width
    return exons, introns


def gtf(exons):
    return [
        f'{chrom}\tx\texon\t{start}\t{end}\t.\t{strand}\t.\tgene_id "G{gene}"; transcript_id "T{gene}";\n'
        for chrom, start, end, strand, gene in exons
    ]


def run(folder, exons, calls):
    (folder / "a.gtf").write_text("".join(exons))
    (folder / "calls.tsv").write_text("".join(["chrom\tstart\tend\tstrand\tpsi\n", *calls]))
    names = {name: folder / name for name in ("labels.tsv", "ledger.tsv", "counts.json")}
    options = ["--calls-base", 0, "--calls-value", "psi", "--calls-threshold", 0.5, "--folds", 1, "--allow-empty"]
    outputs = ["-o", names["labels.tsv"], "--ledger", names["ledger.tsv"], "--counts", names["counts.json"]]
    args = [folder / "a.gtf", "--calls", folder / "calls.tsv", "--min-length", 5, "--quiet", *options, *outputs]
    label_introns.main([str(arg) for arg in args])
    return {name: path.read_text() for name, path in names.items()}


def run_of_good(folder, exons, calls):
    """As :func:`run`; tables that are refused whole (no level, no shared chromosome, shifted) are no examples."""
    try:
        return run(folder, exons, calls)
    except BadData:
        reject()


def rows_of(text):
    lines = [line.split("\t") for line in text.splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0])


def bare(chrom):
    return chrom.removeprefix("chr")


def places(table):
    return [(bare(c), int(s), int(e), t) for c, s, e, t in table[["chrom", "start", "end", "strand"]].to_numpy()]


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(GENES, CALLS, st.data())
def test_everything_is_in_one_output_once(tmp_path_factory, genes, extra, data):
    exons, introns = exons_of(genes)
    calls = [(chrom, start, start + width, strand) for chrom, start, width, strand in extra]
    calls += [(*intron[:3], data.draw(st.sampled_from([intron[3], "."]))) for intron in introns]
    lines = ["\t".join(map(str, call)) + f"\t{data.draw(VALUES)}\n" for call in calls]
    outputs = run_of_good(tmp_path_factory.mktemp("run"), gtf(exons), lines)
    labels, ledger = (rows_of(outputs[name]) for name in ("labels.tsv", "ledger.tsv"))
    counts = json.loads(outputs["counts.json"])
    assert counts["n_input"] == len(labels) + len(ledger) == counts["n_labels"] + counts["n_ledger"]
    assert sum(counts["labels"].values()) == len(labels) and sum(counts["ledger"].values()) == len(ledger)
    assert sum(counts["unlabelled"].values()) == counts["labels"]["NA"]
    found = places(labels) + places(ledger)
    assert len(found) == len(set(found))
    annotated = {(bare(intron[0]), *intron[1:]) for intron in introns}
    assert annotated <= set(found)
    measured = {(bare(line.split("\t")[0]), *map(int, line.split("\t")[1:3]), line.split("\t")[3]) for line in lines
                if not line.endswith("NA\n")}  # fmt: skip
    unstranded = {place[:3] for place in annotated}
    for place in measured:
        assert place in found or (place[3] == "." and place[:3] in unstranded)
    assert set(found) <= annotated | measured


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(GENES, st.data())
def test_order_of_lines_changes_no_byte_and_strands_only_themselves(tmp_path_factory, genes, data):
    exons, introns = exons_of(genes)
    calls = ["\t".join(map(str, intron)) + f"\t{data.draw(VALUES)}\n" for intron in introns]
    folder = tmp_path_factory.mktemp("run")
    lines = gtf(exons)
    first = run_of_good(folder, lines, calls)
    assert run(folder, data.draw(st.permutations(lines)), data.draw(st.permutations(calls))) == first

    def flipped(line):
        fields = line.split("\t")
        return "\t".join(field.translate(FLIP) if field in ("+", "-") else field for field in fields)

    other = rows_of(run(folder, [flipped(line) for line in lines], [flipped(line) for line in calls])["labels.tsv"])
    one = rows_of(first["labels.tsv"])
    one["strand"] = one["strand"].str.translate(FLIP)
    assert sorted(zip(places(one), one["label"])) == sorted(zip(places(other), other["label"]))  # noqa: B905
