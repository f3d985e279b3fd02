from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from intronaut.io.h5ad import open_features
from intronaut.models import logistic
from intronaut.models.design_matrix import Matrix, covariates, join, locus_rows
from simulated_introns import introns, write_features


def problem(n=300, d=40, seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, 5)) @ rng.normal(size=(5, d)) + rng.normal(size=(n, d)) + 3).astype(np.float32)
    labels = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0] + 3))).astype(float)
    return pd.DataFrame(x), labels


@pytest.mark.parametrize("c", [1e-3, 1.0])
def test_every_weighted_problem_equals_scikit_learn(c):
    x, labels = problem()
    row_weights = np.random.default_rng(1).integers(0, 3, size=(300, 4)).astype(float)
    matrix = Matrix(extra=x)
    found = logistic.fit(matrix, labels, row_weights, c, tolerance=1e-6)
    for k in range(4):
        reference = LogisticRegression(C=c, tol=1e-9, max_iter=10000)
        reference.fit(matrix.values().astype(float), labels, sample_weight=row_weights[:, k])
        np.testing.assert_allclose(found.weights[:, k], reference.coef_[0], atol=2e-3 * np.abs(reference.coef_).max())
        np.testing.assert_allclose(found.intercept[k], reference.intercept_[0], atol=1e-3)


def test_a_path_of_penalties_ends_where_scikit_learn_does_and_its_trail_saves_steps(monkeypatch):
    monkeypatch.setattr("intronaut.models.design_matrix.CHUNK_BYTES", 7000)  # 43 rows at a time
    x, labels = problem()
    matrix, row_weights = Matrix(extra=x), np.random.default_rng(1).integers(0, 3, size=(300, 4)).astype(float)
    solution, led, without = None, 0, 0
    for c in (1e-3, 3e-3, 1e-2, 1e-1):
        bare = solution and replace(solution, trail=None)
        without += logistic.fit(matrix, labels, row_weights, c, start=bare, tolerance=1e-6).iterations.sum()
        solution = logistic.fit(matrix, labels, row_weights, c, start=solution, tolerance=1e-6)
        led += solution.iterations.sum()
        for k in range(4):
            reference = LogisticRegression(C=c, tol=1e-9, max_iter=10000)
            reference.fit(matrix.values().astype(float), labels, sample_weight=row_weights[:, k])
            atol = 2e-3 * np.abs(reference.coef_).max()
            np.testing.assert_allclose(solution.weights[:, k], reference.coef_[0], atol=atol)
    assert led < 0.9 * without


def test_unpenalised_columns_are_those_of_a_rescaled_fit():
    x, labels = problem(d=4)
    matrix, everyone = Matrix(extra=x), np.ones((300, 1))
    ridge = np.array([1.0, 1.0, 0.01, 0.01])
    found = logistic.fit(matrix, labels, everyone, 0.05, ridge=ridge, tolerance=1e-7).weights[:, 0]
    scaled = matrix.values().astype(float) / np.sqrt(ridge)
    reference = LogisticRegression(C=0.05, tol=1e-9, max_iter=10000).fit(scaled, labels).coef_[0] / np.sqrt(ridge)
    np.testing.assert_allclose(found, reference, atol=1e-4)


def test_the_same_bytes_for_any_number_of_threads():
    x, labels = problem(3000, 400)
    fits = [logistic.fit(Matrix(extra=x, threads=threads), labels, np.ones((3000, 2)), 0.01) for threads in (1, 3)]
    assert fits[0].weights.tobytes() == fits[1].weights.tobytes()


def test_a_matrix_read_from_disk_is_the_one_kept_in_memory(tmp_path):
    x, _ = problem(700, 20)
    write_features(tmp_path / "f.h5ad", [f"i{k}" for k in range(700)], x.to_numpy(), dtype=np.float16)
    rows = np.repeat(np.random.default_rng(0).permutation(700)[:, None], 2, axis=1)
    kept, streamed = (Matrix(open_features(tmp_path / "f.h5ad"), rows, memory=memory) for memory in (1 << 30, 0))
    assert kept.kept is not None and streamed.kept is None
    assert kept.values().tobytes() == streamed.values().tobytes()
    stored = x.to_numpy().astype(np.float16).astype(float)[rows[:, 0]]
    np.testing.assert_allclose(kept.values(), (stored - stored.mean(axis=0)) / stored.std(axis=0), atol=2e-6)


def test_both_strands_of_a_locus_are_averaged(tmp_path):
    x = np.array([[0.0], [1.0], [2.0], [5.0]], np.float32)
    write_features(tmp_path / "f.h5ad", ["a", "b", "a_rc", "c_rc"], x)
    features = open_features(tmp_path / "f.h5ad")
    assert locus_rows(features.obs.index) == {"a": [0, 2], "b": [1], "c_rc": [3]}
    table, rows, counts = join(features, introns(3).assign(name=["a", "b", "z"], label=[1.0, 0.0, 1.0]))
    matrix = Matrix(features, rows)
    np.testing.assert_allclose(matrix.values() * matrix.scale.sd + matrix.scale.mean, [[1.0], [1.0]])
    assert counts["labelled_without_features"] == 1 and counts["features_without_label_row"] == 1


def test_a_missing_covariate_becomes_the_training_median_and_is_marked():
    table = introns(6).assign(rank=[1, 3, np.nan, 3, 100, 7])
    known = np.array([True, True, True, True, False, True])
    found = covariates(table, known)
    assert found["covariate:rank"][2] == pytest.approx(np.log1p(3), rel=1e-6)
    assert found["covariate:rank_missing"].tolist() == [0, 0, 1, 0, 0, 0]
    np.testing.assert_allclose(found["covariate:length"], np.log1p(table["length"]), rtol=1e-6)


@pytest.fixture(params=[400, 100], ids=["all", "sampled"])
def spectrum_rows(request, monkeypatch):
    """How many of 400 rows the spectrum is taken from."""
    monkeypatch.setattr(logistic, "SPECTRUM_ROWS", request.param)
    monkeypatch.setattr("intronaut.models.design_matrix.BLOCK_BYTES", 50 * 4 * 1100)
    return request.param


def test_a_wide_fit_led_by_its_spectrum_equals_scikit_learn(spectrum_rows):
    x, labels = problem(400, 1100)
    matrix = Matrix(extra=x)
    ridge = np.r_[np.full(2, 0.01), np.ones(1098)]
    found = logistic.fit(
        matrix, labels, np.ones((400, 1)), 1e-2, ridge=ridge, tolerance=1e-6, spectrum=logistic.spectrum(matrix)
    )
    scaled = matrix.values().astype(float) / np.sqrt(ridge)
    reference = LogisticRegression(C=1e-2, tol=1e-9, max_iter=10000).fit(scaled, labels).coef_[0] / np.sqrt(ridge)
    np.testing.assert_allclose(found.weights[:, 0], reference, atol=2e-3 * np.abs(reference).max())


def test_the_spectrum_is_that_of_the_correlation_matrix_of_evenly_spaced_rows(spectrum_rows):
    matrix = Matrix(extra=problem(400, 1100)[0])
    vectors, values = logistic.spectrum(matrix)
    rows = matrix.values().astype(float).reshape(8, 50, 1100)[:: 400 // spectrum_rows].reshape(-1, 1100)
    expected = np.linalg.eigvalsh(rows.T @ rows / spectrum_rows)[-5:]
    np.testing.assert_allclose(values[-5:], expected, rtol=1e-3)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(128), atol=1e-4)
