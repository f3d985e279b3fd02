"""Labels and windows with planted leaks as files, for the tools that split and audit."""

import pytest

from planted_leaks import planted_leaks, write_planted


@pytest.fixture(scope="module")
def planted():
    return planted_leaks(1, n_unrelated=40, identities=(1.0, 0.9, 0.8), copies=1)


@pytest.fixture
def inputs(tmp_path, planted):
    return write_planted(tmp_path, planted[0])
