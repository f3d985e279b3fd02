"""What record_run and verify agree on: the files of a folder of results, the crate that lists them, and its digest."""

import os
from pathlib import Path

CRATE = "ro-crate-metadata.json"
# sha256 of the crate, in the format of sha256sum: the crate cannot hold its own
CRATE_DIGEST = "ro-crate-metadata.json.sha256"
# Nextflow writes these while and after the run is recorded
NOT_RECORDED = ("pipeline_info",)


def result_files(folder: Path) -> list[Path]:
    """The paths of all files below ``folder``, relative to it, sorted; links are followed, once where they form a loop.

    Without hidden files, the crate and its digest, and what Nextflow goes on writing.
    """
    folder = Path(folder)
    paths = (top.relative_to(folder) / name for top, names in _folders(folder, set()) for name in names)
    return sorted(
        path
        for path in paths
        if path.parts[0] not in NOT_RECORDED
        and path.as_posix() not in (CRATE, CRATE_DIGEST)
        and not path.name.startswith(".")
    )


def _folders(folder, ancestors):
    """Each folder below, with the names of its files, but none that lies in itself."""
    here = folder.resolve()
    if here in ancestors:
        return
    with os.scandir(folder) as entries:
        entries = sorted(entries, key=lambda entry: entry.name)
    yield folder, [entry.name for entry in entries if not entry.is_dir()]
    for entry in entries:
        if entry.is_dir():
            yield from _folders(folder / entry.name, ancestors | {here})
