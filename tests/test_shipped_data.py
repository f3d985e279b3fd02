"""Data that the tests ship is what its page says: every file listed, and unchanged."""

import hashlib

import pytest

from conftest import DATA


@pytest.mark.parametrize("folder", ["golden", "quantify", "real"])
def test_every_file_has_its_checksum(folder):
    listed = dict(reversed(line.split()) for line in (DATA / folder / "SHA256SUMS").read_text().splitlines())
    files = {path.relative_to(DATA / folder).as_posix(): path for path in (DATA / folder).rglob("*") if path.is_file()}
    assert files.keys() - {"README.md", "SHA256SUMS"} == listed.keys()
    assert not [
        name for name, digest in listed.items() if hashlib.sha256(files[name].read_bytes()).hexdigest() != digest
    ]
