#!/usr/bin/env python3
"""Run every writing tool on file systems of few KiB; a full disk must end in code 73, one line, and nothing left.

    python tests/faults/full_disk.py [TOOL …]

Needs root, to mount. A run that the disk has room for must give the files of an unbroken run. Prints a line a tool:
how many sizes were too small, how many had room, and what was wrong. Exits with 1 after a fault.
"""

import contextlib
import shutil
import subprocess
import sys

import at_work

# 0: one of 4 KiB that something else fills
KIBIBYTES = (0, 4, 8, 16, 32, 48, 64, 96, 128, 256, 384, 768, 2048)
FULL = 73
# what the same command takes up, and the lock of the cache of downloads
KEPT = (".network.part/", "cache/.")
FILLER = "filler"


@contextlib.contextmanager
def disk_of(kibibytes, folder):
    """An empty file system of this size, mounted at ``folder``."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kibibytes or 4}k", "tmpfs", folder], check=True)
    try:
        if not kibibytes:
            (folder / FILLER).write_bytes(bytes(4096))
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def unbroken(name, words, folder):
    """The digests of what a tool writes with room to spare."""
    out = folder / "room"
    out.mkdir()
    code = at_work.finish(at_work.start(name, words, out, folder / "stderr"))
    assert code == 0, (folder / "stderr").read_text()
    found = at_work.digests(out)
    shutil.rmtree(out)
    return found


def attack(name, words, kibibytes, folder, wanted):
    """``full`` or ``room``, or what was wrong when a tool wrote to a disk of this size."""
    stderr = folder / "stderr"
    with disk_of(kibibytes, folder / "disk") as disk:
        code = at_work.finish(at_work.start(name, words, disk, stderr))
        left = at_work.digests(disk)
        left.pop(FILLER, None)
    if code == 0:
        return "room" if left == wanted else f"{kibibytes} KiB: other files than with room: {sorted(left)}"
    left = {path for path in left if not path.startswith(KEPT)}
    if code != FULL or left or stderr.read_text().count("\n") != 1:
        return f"{kibibytes} KiB: code {code}, left {sorted(left)}, standard error {stderr.read_text()[-200:]!r}"
    return "full"


def main():
    names = sys.argv[1:]
    broken = 0
    with at_work.study() as folder:
        for name, words in at_work.commands().items():
            if names and name not in names:
                continue
            wanted = unbroken(name, words, folder)
            found = [attack(name, words, size, folder, wanted) for size in KIBIBYTES]
            faults = [one for one in found if one not in ("full", "room")]
            told = "; ".join(faults) or "no fault"
            print(f"{name}: {found.count('full')} full, {found.count('room')} with room; {told}", flush=True)
            broken += len(faults)
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
