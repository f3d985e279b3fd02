"""CI-SpliceAI's published weights for tests, by pip, once."""

import subprocess
import sys

import pytest

from conftest import ROOT

WHEEL = "cispliceai-1.2.2-py3-none-any.whl"


@pytest.fixture(scope="session")
def wheel():
    """The published wheel of 17 MB, in the folder .cache/ of the repository."""
    path = ROOT / ".cache" / WHEEL
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", path.parent]
        done = subprocess.run([*command, "cispliceai==1.2.2"], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no network and no {WHEEL} in .cache/")
    return path


@pytest.fixture(scope="session")
def real_weights(wheel, tmp_path_factory):
    """The safetensors file of the published weights."""
    import fetch_weights

    cache = tmp_path_factory.mktemp("weights")
    fetch_weights.main(["cispliceai", "--from", str(wheel), "--offline", "--cache-dir", str(cache), "--quiet"])
    return cache / "cispliceai" / "model.safetensors"
