"""What Nextflow reads is ASCII: without LANG, Java 17 takes files as such and stops at any other letter."""

import pytest

from conftest import ROOT

READ_BY_NEXTFLOW = sorted(
    [
        *ROOT.glob("*.nf"),
        *ROOT.glob("*.config"),
        ROOT / "nextflow_schema.json",
        *(ROOT / "conf").rglob("*.config"),
        *(ROOT / "modules").rglob("*.nf"),
        *(ROOT / "workflows").rglob("*.nf"),
    ]
)


@pytest.mark.parametrize("path", READ_BY_NEXTFLOW, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_byte_is_ascii(path):
    wrong = [number for number, line in enumerate(path.read_bytes().splitlines(), 1) if not line.isascii()]
    assert not wrong, f"{path}: lines {wrong}"
