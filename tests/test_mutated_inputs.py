"""Inputs mutated at random are read or refused; tests/faults/mutated_inputs.py takes more of them."""

import pytest

from conftest import ROOT


@pytest.fixture
def campaign(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests" / "faults")
    import mutated_inputs

    return mutated_inputs


NAMES = ["GTF", "GFF3", "calls", "peaks", "windows", "labels", "VCF", "motifs", "features", "FASTA", "bedGraph",
         "bigWig", "junctions", "samples", "tracks", "SAM", "BAM"]  # fmt: skip


def test_every_format_is_attacked(campaign):
    assert list(campaign.READERS) == NAMES


@pytest.mark.slow
# pysam says so of a file that it could not open; alignments.py keeps it from users, not from pytest
@pytest.mark.filterwarnings("ignore:Exception ignored in. 'pysam:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", NAMES)
def test_mutated_inputs_are_read_or_refused(name, campaign, tmp_path):
    outcomes = campaign.attack(name, 60, tmp_path, seed=7)
    assert campaign.faults(outcomes) == {} and outcomes["read"] + outcomes["refused"] == 60
