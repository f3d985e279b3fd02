"""What the tests share: running tools as a user does, and data that lies outside the repository."""

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# started in the background, a shell has interrupts ignored, and so would have every tool that is started from here
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
DEMO = ROOT / "assets" / "demo"
# whole pipelines, full-size or trained models, and tools started hundreds of times; `make test-fast` leaves out these
# files, and single tests of other files that are marked slow
SLOW = {
    "test_attribute", "test_audit_split", "test_compare", "test_embed_dnabert2", "test_embed_motifs",
    "test_embed_sei", "test_embed_splice", "test_explain", "test_explain_intron", "test_fault_campaigns",
    "test_faults", "test_fetch_sequences", "test_fetch_weights", "test_find_motifs", "test_finetune", "test_fit",
    "test_full_disk", "test_galaxy", "test_galaxy_tutorial", "test_hostile_names", "test_install",
    "test_label_introns", "test_label_permutation", "test_levels", "test_make_report", "test_malformed_inputs",
    "test_manners", "test_match_introns", "test_mutagenesis", "test_networks", "test_notebooks", "test_partition",
    "test_pipeline", "test_pipeline_blocks", "test_pipeline_of_reads", "test_places", "test_progress",
    "test_quantify_introns", "test_readme", "test_real_world", "test_report_in_browser", "test_report_of_reads",
    "test_reproduce", "test_score_variants", "test_sei", "test_splice_network", "test_stability",
    "test_worked_example",
}  # fmt: skip


def pytest_ignore_collect(collection_path, config):
    """Without what is slow, the files of it are not even read."""
    return True if config.option.markexpr == "not slow" and collection_path.stem in SLOW else None


def pytest_collection_modifyitems(items):
    # files that run whole pipelines come first: the last of them would else keep one worker while the others are idle
    items.sort(key=lambda item: not hasattr(item.module, "run_nextflow"))
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)


def run_tool(name, *args, code=0, stdin=None, cwd=None, env=None):
    """Run a tool of bin/ in the folder ``cwd``; returns the CompletedProcess (text) when it exits with ``code``."""
    command = [sys.executable, ROOT / "bin" / f"{name}.py", *map(str, args)]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})}
    )
    assert done.returncode == code, f"{name} exited {done.returncode}:\n{done.stderr}"
    return done


@pytest.fixture
def tool(tmp_path):
    """``tool("fetch_sequences", arg, …, code=0)``: run_tool in the test's own folder."""
    return functools.partial(run_tool, cwd=tmp_path)


@pytest.fixture(scope="session")
def real_data():
    """Real annotations, calls and motifs that are small enough to ship."""
    return DATA / "real"


@pytest.fixture(scope="session")
def golden():
    """Numbers that the original code of Sei, DNABERT-2 and the splice networks returned."""
    return DATA / "golden"


@pytest.fixture(scope="session")
def chr19p():
    """The short arm of human chromosome 19, FASTA and GFF3, which `make test` fetches as they are too large to ship."""
    path = ROOT / ".cache" / "real" / "human_chr19p_GRCh38"
    if not path.is_dir():
        pytest.skip("chromosome 19p is not there; fetch it with `make test-data`")
    return path
