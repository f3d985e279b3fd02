"""Callers' tables as programs and people leave them: cut by awk, joined in R, with words of their own for NA."""

import numpy as np
import pandas as pd
import pytest

from intronaut.core.errors import BadData, UsageError
from intronaut.labels.call_options import CallOptions
from intronaut.labels.calls import collapse, read_calls, retention_level
from intronaut.labels.intron_callers import IRFINDER_COLUMNS

GENES = pd.DataFrame({"gene_id": ["g"], "chrom": ["chr1"], "start": [0], "end": [9000], "strand": ["+"]})
GENERIC = CallOptions(base=1, values=("PSI_A",), retained=0.1)


def levels(path, options=None):
    """Sample → values, as read, by the end of the intron."""
    rows = read_calls(path, options or CallOptions(), GENES)
    samples = rows["sample"].str.rpartition(":")[2]
    return {name: dict(zip(of["end"], of["value"], strict=True)) for name, of in rows.groupby(samples.to_numpy())}


def suppa(path, *values):
    events = (f"g;RI:chr1:1:{100 * i}-{100 * i + 51}:900:+\t{value}\n" for i, value in enumerate(values, 1))
    path.write_text("A\n" + "".join(events))
    return path


def test_minus_one_is_suppas_missing_value(tmp_path):
    assert levels(suppa(tmp_path / "a.psi", "-1.0", "0.5", "nan", "0")) == {"A": {250: 0.5, 450: 0}}


@pytest.mark.parametrize("value", ["40", "1.1", "-0.2", "1.00001"])
def test_a_level_beyond_0_and_1_is_refused_with_its_line(tmp_path, value):
    with pytest.raises(BadData, match=rf"line 3: a level of {float(value):g}"):
        read_calls(suppa(tmp_path / "a.psi", "0.5", value), CallOptions(), GENES)


def test_rounding_does_not_take_a_caller_from_the_level(tmp_path):
    # SUPPA writes sums of parts, which may be one unit in the last place above 1
    calls = read_calls(suppa(tmp_path / "a.psi", "1.0000000000000002", "0.4"), CallOptions(), GENES)
    other = calls.assign(caller="whippet", value=0.2)
    both = pd.concat([calls, other]).assign(intron=[0, 1, 0, 1])
    np.testing.assert_allclose(retention_level(collapse(both, "mean"), 2), [0.6, 0.3])


@pytest.mark.parametrize("name", ["", "event", "Event_id"])
def test_suppas_first_column_may_have_a_name(tmp_path, name):
    path = suppa(tmp_path / "a.psi", "0.5")
    path.write_text(path.read_text().replace("A\n", f"{name}\tA\n", 1))
    assert levels(path) == {"A": {150: 0.5}}


@pytest.mark.parametrize("header", [",A", "event,A", '"",A', "event,A,B", ",A,B", "A,B"])
def test_a_psi_by_commas_is_read_with_and_without_quotes(tmp_path, header):
    """A header of samples alone, as pandas writes it with index_label=False, is one cell short."""
    path = suppa(tmp_path / "a.psi", "0.5", "nan")
    _, *rows = path.read_text().replace("\t", ",").splitlines()
    rows = [f"{row},0.25" if header.endswith("B") else row for row in rows]
    path.write_text("\n".join([header, *rows]) + "\n")
    expected = {"A": {150: 0.5}} | ({"B": {150: 0.25, 250: 0.25}} if header.endswith("B") else {})
    assert levels(path) == expected


@pytest.mark.parametrize("mark", [",", "\t"])
def test_a_psi_whose_header_a_spreadsheet_filled_up_is_refused(tmp_path, mark):
    """The values of A stand below B, those of B below the empty cell."""
    event = "g;RI:chr1:1:100-151:900:+"
    (tmp_path / "a.psi").write_text("\n".join([f"A{mark}B{mark}", mark.join([event, "0.5", "0.1"])]) + "\n")
    with pytest.raises(BadData, match="the header ends in an empty cell above values"):
        levels(tmp_path / "a.psi")
    (tmp_path / "a.psi").write_text("\n".join([f"event{mark}A{mark}", mark.join([event, "0.5", ""])]) + "\n")
    assert levels(tmp_path / "a.psi")["A"] == {150: 0.5}


@pytest.mark.parametrize("cut", ["chr1\t100\t150\t{}\t0\t+\n", "chr1\t9\t150\ti\t{}\t+\n", "chr1\t9\t150\t.\t{}\t+\n"])
def test_a_bed_with_levels_or_counts_is_no_list_of_retained_introns(tmp_path, cut):
    path, numbers = tmp_path / "a.bed", ("7", "12") if "\t.\t" in cut else ("0.6", "0.001")
    path.write_text("".join(cut.format(number) for number in numbers))
    with pytest.raises(UsageError, match="no caller's table that is known"):
        read_calls(path, CallOptions(), GENES)


@pytest.mark.parametrize("names", [("i", "j"), (".", ".")])
def test_a_bed_of_names_and_scores_is(tmp_path, names):
    lines = (f"chr1\t100\t{end}\t{name}\t1000\t+\n" for end, name in zip((150, 250), names, strict=True))
    (tmp_path / "a.bed").write_text("".join(lines))
    assert list(levels(tmp_path / "a.bed").values()) == [{150: 1, 250: 1}]


def test_rows_that_end_in_a_tab_are_not_shifted(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("place\tPSI_A\tPSI_B\nchr1:101-150:+\t0.01\t0.9\t\nchr1:201-250:+\t0.02\t0.8\t\n")
    assert list(levels(path, GENERIC).values()) == [{150: 0.01, 250: 0.02}]
    path.write_text("place\tPSI_A\tPSI_B\nr1\tchr1:101-150:+\t0.01\t0.9\nr2\tchr1:201-250:+\t0.02\t\n")
    assert list(levels(path, GENERIC).values()) == [{150: 0.01, 250: 0.02}]


def irfinder(path, *rows, first=""):
    """A table of rows (sample or None, end, ratio)."""
    named = rows[0][0] is not None
    head = [*(["sample"] if named else []), *IRFINDER_COLUMNS]
    lines = ["\t".join(head)]
    for sample, end, ratio in rows:
        cells = ["chr1", 100, end, "n", 0, "+", 0, 0.9, 30, *range(1, 8), 50, 50, 50, ratio, "-"]
        lines.append("\t".join(map(str, [*([sample] if named else []), *cells])))
    path.write_text(first + "\n".join(lines) + "\n")
    return path


def test_a_column_sample_parts_the_samples_of_one_table(tmp_path):
    path = irfinder(tmp_path / "a.txt", ("S1", 150, 0), ("S1", 250, 0.5), ("S2", 150, 0.12), ("S2", 250, 0.5))
    assert levels(path) == {"S1": {150: 0, 250: 0.5}, "S2": {150: 0.12, 250: 0.5}}


def test_samples_under_each_other_without_a_name_are_refused(tmp_path):
    path = irfinder(tmp_path / "a.txt", (None, 150, 0), (None, 250, 0.5), (None, 150, 0.12), (None, 250, 0.4))
    with pytest.raises(BadData, match=r"2 of 2 introns have several rows with different values.*`sample`"):
        read_calls(path, CallOptions(), GENES)


def test_remarks_above_a_table_need_no_space_behind_their_sign(tmp_path):
    path = irfinder(tmp_path / "a.txt", ("S", 150, 0.2), first="#Condition A combined: A/IRFinder-IR-dir.txt\n#B\n")
    assert levels(path) == {"S": {150: 0.2}}
    path.write_text(path.read_text().replace("sample\t", "#sample\t"))
    assert levels(path) == {"S": {150: 0.2}}


RMATS = (
    "ID GeneID geneSymbol chr strand riExonStart_0base riExonEnd upstreamES upstreamEE downstreamES downstreamEE ID "
)
RMATS += "IJC_SAMPLE_1 SJC_SAMPLE_1 IJC_SAMPLE_2 SJC_SAMPLE_2 IncFormLen SkipFormLen PValue FDR IncLevel1 IncLevel2 "
RMATS += "IncLevelDifference"


def test_rmats_events_without_reads_in_a_group_of_one(tmp_path):
    path, place = tmp_path / "a.txt", "g g chr1 + 0 900 0"
    rows = [RMATS, f"0 {place} 100 150 900 0 50 20 60 10 398 149 NA NA 0.5 0.7 -0.2",
            f"1 {place} 200 250 900 1 0 0 40 0 398 149 NA NA NA 1.0 NA"]  # fmt: skip
    path.write_text("".join(row.replace(" ", "\t") + "\n" for row in rows))
    assert levels(path) == {"1.1": {150: 0.5}, "2.1": {150: 0.7, 250: 1.0}}
    # one group alone: the columns of the other are empty
    rows = [RMATS, f"0 {place} 100 150 900 0 50 20   398 149 NA NA 0.5  NA"]
    path.write_text("".join(row.replace(" ", "\t") + "\n" for row in rows))
    assert levels(path) == {"1.1": {150: 0.5}}
