"""Fixtures of a fitted model with a known truth, for the tools that read models."""

import shutil

import numpy as np
import pytest

import fit
from simulated_introns import FIT, draw_labels, introns, write_features, write_labels


@pytest.fixture(scope="session")
def fitted_folder(tmp_path_factory):
    """A model whose families fam0 pushes towards retention and fam1 away from it; the rest is noise."""
    folder = tmp_path_factory.mktemp("fitted")
    table, values = introns(500), np.random.default_rng(2).normal(size=(500, 20)).astype(np.float32)
    table["label"] = draw_labels(1.5 * values[:, 0] - 1.5 * values[:, 5])
    write_labels(folder / "labels.tsv", table)
    write_features(folder / "f.h5ad", list(table["name"]), values)
    paths = {"f.h5ad": folder / "f.h5ad", "labels.tsv": folder / "labels.tsv", "m": folder / "m"}
    fit.main([str(paths.get(word, word)) for word in FIT])
    return folder, values


@pytest.fixture
def fitted(fitted_folder, tmp_path, monkeypatch):
    """The model and its inputs copied to the test's own folder; returns its features."""
    shutil.copytree(fitted_folder[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return fitted_folder[1]
