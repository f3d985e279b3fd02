"""Leakage groups against a brute-force closure, folds and schemes against their stated rules."""

import numpy as np
import pandas as pd
import pytest

from intronaut.core.errors import BadData
from intronaut.paper.split import paper_split
from intronaut.splits import leakage
from intronaut.splits.folds import chromosome_split, group_split, grouped_folds

GENES = list("abcdefgh")


def random_case(seed):
    """Windows that name up to two genes or none, and gene spans, on two small chromosomes."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 30), rng.integers(0, 8)
    windows = pd.DataFrame({"chrom": rng.choice(["1", "2"], n), "start": rng.integers(0, 3000, n)})
    windows["end"] = windows["start"] + rng.integers(1, 50, n)
    windows["gene_id"] = [",".join(rng.choice(GENES, k, replace=False)) or None for k in rng.integers(0, 3, n)]
    genes = pd.DataFrame({"gene_id": rng.choice(GENES, m), "chrom": rng.choice(["1", "2"], m)})
    genes["start"] = rng.integers(0, 3000, m)
    genes["end"] = genes["start"] + rng.integers(1, 300, m)
    return windows, genes


def overlaps(a, b):
    return a.chrom == b.chrom and a.start < b.end and b.start < a.end


def brute_force_groups(windows, genes, context, links):
    """Spread a label over every link until nothing changes."""
    half = context // 2
    rows = []
    for row in windows.itertuples():
        middle = (row.start + row.end) // 2
        start, end = min(row.start, middle - half), max(row.end, middle - half + context)
        named = {gene for gene in genes.itertuples() if row.gene_id and gene.gene_id in row.gene_id.split(",")}
        rows.append((row._replace(start=start, end=end), set((row.gene_id or "").split(",")) - {""}, named))
    same = {name: {name} for name in GENES}
    for one in genes.itertuples():
        for two in genes.itertuples():
            if overlaps(one, two):
                same[one.gene_id].add(two.gene_id)
    group = list(range(len(rows)))
    known = {name: i + len(rows) for i, name in enumerate(GENES)}
    while True:
        before = list(group), dict(known)
        for name, others in same.items():
            for other in others:
                known[name] = known[other] = min(known[name], known[other])
        for i, (place, names, _) in enumerate(rows):
            for name in names:
                known[name] = group[i] = min(known[name], group[i])
            for j, (other, _, _) in enumerate(rows):
                if overlaps(place, other) or (i, j) in links:
                    group[i] = group[j] = min(group[i], group[j])
        if before == (group, known):
            return pd.factorize(np.array(group))[0] + 1


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_the_closure_of_all_links(seed):
    windows, genes = random_case(seed)
    links = {(0, len(windows) - 1)} if seed % 2 else set()
    found = leakage.leakage_groups(windows, genes, 40, list(links))
    assert found.tolist() == brute_force_groups(windows, genes, 40, links).tolist()


def test_genes_on_opposite_strands_and_touching_intervals():
    windows = pd.DataFrame({"chrom": "1", "start": [0, 500, 2000], "end": [100, 600, 2100], "gene_id": ["a", "b", "c"]})
    genes = pd.DataFrame({"gene_id": ["a", "b", "c"], "chrom": "1", "start": [0, 300, 700], "end": [400, 700, 3000]})
    assert leakage.leakage_groups(windows, genes, 100).tolist() == [1, 1, 2]
    assert leakage.leakage_groups(windows, None, 100).tolist() == [1, 2, 3]
    touching = windows.assign(start=[0, 100, 200], end=[100, 200, 300])
    assert leakage.leakage_groups(touching, None, 100).tolist() == [1, 2, 3]
    assert leakage.leakage_groups(touching, None, 102).tolist() == [1, 1, 1]


def test_groups_of_nothing():
    empty = pd.DataFrame({"chrom": [], "start": [], "end": [], "gene_id": []}).astype({"start": int, "end": int})
    assert len(leakage.leakage_groups(empty, None, 100)) == 0


@pytest.mark.parametrize("seed", range(20))
def test_folds_keep_groups_whole_and_none_is_empty(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, rng.integers(4, 40), 200)
    labels = rng.choice([0.0, 1.0, np.nan], 200)
    folds = grouped_folds(groups, labels, 4)
    assert set(folds) == {1, 2, 3, 4}
    assert pd.Series(folds).groupby(groups).nunique().max() == 1
    assert folds.tolist() == grouped_folds(groups, labels, 4).tolist()


def test_folds_are_as_even_as_those_of_scikit_learn():
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(0)
    groups = (rng.pareto(0.8, 3000) * 10).astype(int)
    labels = ((rng.random(3000) < 0.1) | (groups % 7 == 0)).astype(float)
    theirs = np.empty(3000, int)
    for fold, (_, held_out) in enumerate(StratifiedGroupKFold(5).split(labels, labels, groups), 1):
        theirs[held_out] = fold
    spread = [pd.Series(labels).groupby(folds).agg(["size", "sum"]).std() for folds in
              (grouped_folds(groups, labels, 5), theirs)]  # fmt: skip
    assert (spread[0] <= spread[1] * 1.05).all()


def test_too_few_groups_for_the_folds():
    with pytest.raises(BadData, match="2 leakage groups cannot fill 3 folds"):
        grouped_folds([1, 1, 2], [0, 1, 0], 3)


@pytest.mark.parametrize("prefix", ["", "chr"])
def test_default_chromosomes_are_those_sei_held_out(prefix):
    chroms = [prefix + name for name in ("1", "8", "9", "10", "X", "18", "19")]
    assert chromosome_split(chroms).tolist() == ["train", "test", "test", "valid", "train", "train", "train"]


def test_a_part_without_chromosome_is_refused():
    with pytest.raises(BadData, match="no window on 8, 9 for test; the windows lie on 19"):
        chromosome_split(["19", "19"])
    with pytest.raises(BadData, match="for train"):
        chromosome_split(["8", "10"])


def test_paper_split_is_the_published_one():
    split = paper_split(75_992)
    assert {part: int((split == part).sum()) for part in set(split)} == {"train": 60_794, "valid": 7_599, "test": 7_599}
    # first rows of the published valid_indices.txt, last rows of its test_indices.txt
    assert (split[[3163, 5393, 66691, 43654, 31921]] == "valid").all()
    assert (split[[23648, 21002, 51193, 8981, 68099]] == "test").all()


def test_group_split_is_eight_to_one_to_one():
    split = group_split(np.arange(200) // 2, np.arange(200) % 2)
    assert pd.Series(split).value_counts().to_dict() == {"train": 160, "test": 20, "valid": 20}
