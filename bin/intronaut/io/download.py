"""Downloads over HTTP that are tried again and go on where they broke off, and archives that may hold anything."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pooch
import requests

from intronaut.core.errors import BadData, MissingInput, TryAgain, UsageError
from intronaut.core.files import digest_file

if TYPE_CHECKING:
    from intronaut.core.log import Log

TRIES = 6
CONNECT_SECONDS, READ_SECONDS = 20, 60
LONGEST_WAIT = 60
BLOCK = 1 << 20
# what a busy or throttling server answers; the same request may succeed in a moment
PASSING = {403, 408, 425, 429, 500, 502, 503, 504}
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "intronaut"}


def default_cache() -> Path:
    """The folder for downloads in the user's own cache."""
    return Path(pooch.os_cache("intronaut"))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time work on ``folder``."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f".{folder.name}.lock"), "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def require_web_address(address: str) -> None:
    """Raise UsageError for what is no address of a folder on the web."""
    parts = urlsplit(address)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise UsageError(f"{address!r} is no address on the web; it starts with https://, a local copy is for --from")


def download(base: str, name: str, folder: Path, sha256: str | None, log: Log, most: int) -> Path:
    """Fetch ``base/name``, of at most ``most`` bytes, into ``folder`` and return its path; ``sha256`` may be None.

    Pooch tries again after passing failures and gives the file its name when it is whole. Raises TryAgain when no try
    succeeded (what arrived is kept, and the next run goes on from there), MissingInput when the server has no such
    file, and BadData for a web page in its place or for other bytes than those of ``sha256``.
    """
    pooch.get_logger().setLevel("WARNING")
    store = pooch.create(folder, f"{base.rstrip('/')}/", registry={name: sha256}, retry_if_failed=TRIES - 1)
    try:
        return Path(store.fetch(name, downloader=Resuming(sha256, log, most)))
    except requests.RequestException as problem:
        reason = problem if problem.response is not None else f"no connection ({type(problem).__name__})"
        raise TryAgain(f"{base.rstrip('/')}/{name}: {reason}; run the same command again to go on") from problem


def download_package(requirement: str, folder: Path) -> None:
    """Let pip download the wheel of one Python package, as ``name==version``, into ``folder``, without what it needs.

    Raises TryAgain with pip's last line when it cannot.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TryAgain(f"pip cannot download {requirement}: {reason}; fetch the wheel elsewhere and give it by --from")


class Resuming:
    """A downloader for pooch, which has none that asks only for the bytes that are still missing."""

    def __init__(self, sha256: str | None, log: Log, most: int) -> None:
        self.sha256, self.log, self.most = sha256, log, most

    def __call__(self, url: str, output: Path | str, store: pooch.Pooch) -> None:
        part = Path(store.abspath) / f".{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
        resumed = self._receive(url, part)
        if self.sha256 and (digest := digest_file(part)) != self.sha256:
            part.unlink()
            if resumed:
                raise requests.ConnectionError("the file has changed since the first part arrived")
            raise BadData(f"{url}: sha256 is {digest}, not {self.sha256}; another version, or damaged on its way")
        part.replace(output)

    def _receive(self, url, part):
        """Bring ``part`` to its whole size; whether it held something before."""
        have = part.stat().st_size if part.exists() else 0
        wanted = {"Range": f"bytes={have}-"} if have else {}
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        with requests.get(url, headers=HEADERS | wanted, stream=True, timeout=timeout) as answer:
            if answer.status_code == 416 and answer.headers.get("Content-Range") == f"bytes */{have}":
                return True
            _require_file(answer, url, part)
            resumed = answer.status_code == 206
            if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                part.unlink()
                raise requests.ConnectionError("the server sent another part than asked for", response=answer)
            size = int(answer.headers.get("Content-Length", 0)) + (have if resumed else 0)
            self._refuse_size(size, url)
            self._store(answer, part, have if resumed else 0, size)
        return resumed

    def _refuse_size(self, size, url):
        if size > self.most:
            raise BadData(f"{url}: more than {self.most:,} bytes, which no file of this model has")

    def _store(self, answer, part, have, size):
        name = urlsplit(answer.url).path.rsplit("/", 1)[-1]
        self.log.note(f"{name}: {size / 1e6:,.1f} MB" + (f", {have / 1e6:,.1f} of them here already" if have else ""))
        with open(part, "ab" if have else "wb") as out, self.log.progress(size, "bytes") as progress:
            progress.add(have)
            for block in answer.iter_content(BLOCK):
                if not have and block.lstrip()[:1] == b"<":
                    raise BadData(f"{answer.url}: a web page instead of the file; look at it in a browser")
                have += len(block)
                self._refuse_size(have, answer.url)
                out.write(block)
                progress.add(len(block))


def _require_file(answer, url, part):
    """Raise for every answer but a file: one that may change when asked again, or MissingInput, or BadData."""
    status = f"the server answered {answer.status_code} {answer.reason}"
    if answer.status_code == 416:
        part.unlink()
        raise requests.HTTPError(status, response=answer)
    if answer.status_code in PASSING:
        wait = answer.headers.get("Retry-After", "")
        time.sleep(min(int(wait), LONGEST_WAIT) if wait.isdigit() else 0)
        raise requests.HTTPError(status, response=answer)
    if answer.status_code not in (200, 206):
        raise MissingInput(f"{url}: {status}; is the address right?")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise BadData(f"{url}: a web page instead of the file; look at it in a browser")
    hops = [answer.url, *(hop.url for hop in answer.history)]
    if url.startswith("https:") and (unsafe := [hop for hop in hops if not hop.startswith("https:")]):
        raise BadData(f"{url}: led over an unprotected address, {unsafe[0]}; not followed")


def unpack(archive: Path | str, sizes: Mapping[str, int], folder: Path) -> None:
    """Write the files of a tar archive whose base names are in ``sizes`` (name → most bytes) into ``folder``.

    Wherever in the archive a file lies, it lands under its base name; links, devices and all else are passed over.
    Raises BadData for a truncated archive, for a file that is too large and for one that is there twice.
    """
    try:
        with tarfile.open(archive, "r|*") as packed:
            for member in packed:
                name = member.name.rsplit("/", 1)[-1]
                if not member.isfile() or name not in sizes:
                    continue
                if member.size > sizes[name]:
                    raise BadData(f"{archive}: {name} has {member.size:,} bytes, more than {sizes[name]:,}")
                if (folder / name).exists():
                    raise BadData(f"{archive}: {name} is in it twice")
                with packed.extractfile(member) as source, open(folder / name, "wb") as out:
                    shutil.copyfileobj(source, out, BLOCK)
    except (tarfile.TarError, EOFError, zlib.error) as problem:
        raise BadData(f"{archive}: truncated or damaged archive ({problem}); fetch it again") from problem
