"""Interval arithmetic against brute force and bedtools, the traps of touching and 1-based ends included."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intronaut.genome.intervals import inside_any, overlapping_pairs

INTERVALS = st.lists(
    st.tuples(st.sampled_from(["1", "chr2", "X"]), st.integers(0, 40), st.integers(1, 15)), min_size=0, max_size=12
)


def table(rows):
    rows = [(chrom, start, start + width) for chrom, start, width in rows]
    return pd.DataFrame(rows, columns=["chrom", "start", "end"]).astype({"start": "int64", "end": "int64"})


def slow_pairs(left, right):
    return [
        (i, j, min(a[2], b[2]) - max(a[1], b[1]))
        for i, a in enumerate(left.itertuples(index=False))
        for j, b in enumerate(right.itertuples(index=False))
        if a[0] == b[0] and a[1] < b[2] and b[1] < a[2]
    ]


@pytest.mark.slow
@settings(max_examples=80, deadline=None, derandomize=True)
@given(INTERVALS, INTERVALS)
def test_overlapping_pairs_agree_with_brute_force(left, right):
    left, right = table(left), table(right)
    assert list(overlapping_pairs(left, right).itertuples(index=False, name=None)) == slow_pairs(left, right)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(INTERVALS, INTERVALS)
def test_inside_any_agrees_with_brute_force(inner, outer):
    inner, outer = table(inner), table(outer)
    codes = {"1": 0, "chr2": 5, "X": 2}
    found = inside_any(inner.assign(key=inner["chrom"].map(codes)), outer.assign(key=outer["chrom"].map(codes)))
    wanted = [
        any(a.chrom == b.chrom and b.start < a.start and a.end < b.end for b in outer.itertuples())
        for a in inner.itertuples()
    ]
    assert found.tolist() == wanted


def test_touching_intervals_do_not_overlap():
    left, right = table([("1", 10, 10)]), table([("1", 0, 10), ("1", 20, 5), ("1", 19, 1), ("2", 10, 10)])
    assert overlapping_pairs(left, right)["right"].tolist() == [2]


@pytest.mark.skipif(not shutil.which("bedtools"), reason="bedtools is not installed")
def test_overlapping_pairs_agree_with_bedtools(tmp_path):
    rng = np.random.default_rng(0)
    sides = []
    for side, n in (("a", 3000), ("b", 2000)):
        start = rng.integers(0, 100_000, n)
        end = start + rng.integers(1, 400, n)
        rows = pd.DataFrame({"chrom": rng.choice(["1", "2"], n), "start": start, "end": end})
        rows.assign(row=range(n)).to_csv(tmp_path / side, sep="\t", index=False, header=False)
        sides.append(rows)
    command = ["bedtools", "intersect", "-wo", "-a", tmp_path / "a", "-b", tmp_path / "b"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wanted = sorted((int(f[3]), int(f[7]), int(f[8])) for f in (line.split("\t") for line in text.splitlines()))
    assert list(overlapping_pairs(*sides).itertuples(index=False, name=None)) == wanted
    inner, outer = (rows.assign(key=rows["chrom"].astype(int)) for rows in sides)
    # bedtools knows no "with a base to spare at both ends": the inner ones are widened by a base
    wide = inner.assign(start=inner["start"] - 1, end=inner["end"] + 1, row=range(len(inner))).query("start >= 0")
    wide[["chrom", "start", "end", "row"]].to_csv(tmp_path / "wide", sep="\t", index=False, header=False)
    command = ["bedtools", "intersect", "-u", "-f", "1", "-a", tmp_path / "wide", "-b", tmp_path / "b"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wanted = [int(line.split("\t")[3]) for line in text.splitlines()]
    assert np.flatnonzero(inside_any(inner, outer)).tolist() == sorted(wanted)
