"""Fetching weights from a server that misbehaves, from local copies, and without a network."""

import hashlib
import http.server
import io
import json
import socket
import tarfile
import threading
import time

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

import fetch_weights
from intronaut.core.errors import BadData, CannotWrite, MissingInput, TryAgain, UsageError
from intronaut.io.download import download, require_web_address, unpack
from random_checkpoints import fill, write_dnabert2

FILES = ("pytorch_model.bin", "tokenizer.json", "config.json")


class Server:
    """Serves a folder on 127.0.0.1; ``faults`` (path → list of steps) says what to do wrong first, in order.

    A step is a status code, or one of ``drop`` (half of what was asked for, then hang up), ``whole`` (no ranges),
    ``page`` (HTML instead of the file), ``typed`` (the same under a binary type), ``elsewhere`` (a redirect).
    """

    def __init__(self, folder):
        self.folder = folder
        self.faults = {}
        self.seen = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        name = request.path.strip("/").removeprefix("moved/")
        start = int((request.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.seen.append((name, start))
        step = self.faults[name].pop(0) if self.faults.get(name) else None
        if isinstance(step, int):
            request.send_response(step)
            request.send_header("Retry-After", "3")
            request.end_headers()
        elif step == "elsewhere":
            request.send_response(302)
            request.send_header("Location", f"{self.url}/moved/{name}")
            request.end_headers()
        elif step in ("page", "typed"):
            self._send(request, b"\n<!DOCTYPE html><title>Sign in</title>", 0, "text/html" if step == "page" else "x/y")
        else:
            self._send_file(request, name, start, step)

    def _send_file(self, request, name, start, step):
        if not (self.folder / name).is_file():
            return request.send_error(404)
        content = (self.folder / name).read_bytes()
        if start and start >= len(content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            return request.end_headers()
        start = 0 if step == "whole" else start
        self._send(request, content, start, "application/octet-stream", half=step == "drop")

    def _send(self, request, content, start, kind, half=False):
        rest = content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(rest)))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.end_headers()
        request.wfile.write(rest[: len(rest) // 2] if half else rest)


@pytest.fixture
def server(tmp_path):
    served = Server(write_dnabert2(tmp_path / "served"))
    yield served
    served.http.shutdown()
    served.http.server_close()


@pytest.fixture
def waits(monkeypatch):
    """The seconds the program wanted to wait, which it need not."""
    asked = []
    monkeypatch.setattr(time, "sleep", asked.append)
    return asked


@pytest.fixture
def no_network(monkeypatch):
    """Every attempt to look up a name or open a connection, each of which fails."""
    attempts = []

    def refuse(*args, **kwargs):
        attempts.append(args)
        raise OSError("no network in this test")

    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    return attempts


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pins(folder):
    return [word for name in FILES for word in ("--sha256", f"{name}={sha256(folder / name)}")]


class Quiet:
    """A Log that says nothing."""

    note = warn = detail = staticmethod(lambda text: None)

    class progress:  # noqa: N801
        def __init__(self, total, unit):
            self.done = 0

        def __enter__(self):
            return self

        def __exit__(self, *raised):
            pass

        def add(self, n):
            self.done += n


def fetch_file(server, folder, name="pytorch_model.bin", digest=True):
    expected = sha256(server.folder / name) if digest is True else digest
    return download(server.url, name, folder, expected, Quiet, most=10**8)


def test_a_download_is_verified_converted_and_printed(server, tmp_path, capsys):
    cache = tmp_path / "cache"
    fetch_weights.main(["dnabert2", "--url", server.url, "--cache-dir", str(cache), *pins(server.folder)])
    printed = capsys.readouterr()
    paths = dict(line.split("\t") for line in printed.out.splitlines())
    assert list(paths) == ["weights", "tokenizer", "config"]
    assert "Apache License 2.0" in printed.err
    made, served = load_file(paths["weights"]), load_file(server.folder / "model.safetensors")
    assert all(torch.equal(tensor, served[name]) for name, tensor in made.items())
    assert made.keys() == {name for name in served if name.startswith("bert.")}
    assert sorted(path.name for path in (cache / "dnabert2").iterdir()) == [
        "config.json", "fetched.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip
    assert [path.name for path in cache.iterdir() if path.is_dir()] == ["dnabert2"]


def test_the_cache_is_used_again_without_a_connection(server, tmp_path, capsys, request):
    command = ["dnabert2", "--url", server.url, "--cache-dir", str(tmp_path / "cache"), *pins(server.folder)]
    fetch_weights.main(command)
    first = capsys.readouterr().out
    attempts = request.getfixturevalue("no_network")
    fetch_weights.main(command)
    assert capsys.readouterr().out == first
    fetch_weights.main([*command, "--offline"])
    assert capsys.readouterr().out == first
    assert attempts == []


def test_a_damaged_cache_is_made_anew(server, tmp_path, capsys):
    command = ["dnabert2", "--url", server.url, "--cache-dir", str(tmp_path), *pins(server.folder)]
    fetch_weights.main(command)
    (tmp_path / "dnabert2" / "tokenizer.json").write_text("{}")
    fetch_weights.main(command)
    assert "damaged" in capsys.readouterr().err
    assert sha256(tmp_path / "dnabert2" / "tokenizer.json") == sha256(server.folder / "tokenizer.json")


def test_the_published_digests_are_demanded_by_default(server, tmp_path):
    with pytest.raises(BadData, match="7ff39ec77a484dd01070a41bfd6e95cdd7247bec80fe357ab43a4be33687aeba"):
        fetch_weights.main(["dnabert2", "--url", server.url, "--cache-dir", str(tmp_path / "cache")])
    assert not (tmp_path / "cache" / "dnabert2").exists()


@pytest.fixture
def small_blocks(monkeypatch):
    """A broken connection loses at most the block it broke in: make that small beside the tiny files here."""
    monkeypatch.setattr("intronaut.io.download.BLOCK", 1024)


def test_a_dropped_connection_goes_on_where_it_broke(server, tmp_path, waits, small_blocks):
    server.faults["pytorch_model.bin"] = ["drop", "drop"]
    path = fetch_file(server, tmp_path / "cache")
    size = path.stat().st_size
    starts = [start for _, start in server.seen]
    assert [round(start / size, 1) for start in starts] == [0, 0.5, 0.7]
    assert path.read_bytes() == (server.folder / "pytorch_model.bin").read_bytes()


def test_the_next_run_goes_on_where_the_last_one_gave_up(server, tmp_path, waits, small_blocks):
    server.faults["pytorch_model.bin"] = ["drop", *[503] * 5]
    with pytest.raises(TryAgain, match="503"):
        fetch_file(server, tmp_path / "cache")
    server.seen.clear()
    fetch_file(server, tmp_path / "cache")
    ((_, start),) = server.seen
    assert round(start / (server.folder / "pytorch_model.bin").stat().st_size, 1) == 0.5


def test_a_server_without_ranges_sends_all_again(server, tmp_path, waits):
    server.faults["pytorch_model.bin"] = ["drop", "whole"]
    assert sha256(fetch_file(server, tmp_path / "cache")) == sha256(server.folder / "pytorch_model.bin")


def test_a_part_that_was_already_whole_is_taken(server, tmp_path, waits):
    server.faults["pytorch_model.bin"] = ["drop", *[503] * 5]
    with pytest.raises(TryAgain):
        fetch_file(server, tmp_path / "cache")
    (part,) = (tmp_path / "cache").iterdir()
    part.write_bytes((server.folder / "pytorch_model.bin").read_bytes())
    assert sha256(fetch_file(server, tmp_path / "cache")) == sha256(server.folder / "pytorch_model.bin")


@pytest.mark.parametrize("stale", [b"x" * 1000, b"x" * 10_000_000])
def test_a_part_of_another_version_is_thrown_away(server, tmp_path, waits, stale):
    server.faults["pytorch_model.bin"] = ["drop", *[503] * 5]
    with pytest.raises(TryAgain):
        fetch_file(server, tmp_path / "cache")
    (part,) = (tmp_path / "cache").iterdir()
    part.write_bytes(stale)
    assert sha256(fetch_file(server, tmp_path / "cache")) == sha256(server.folder / "pytorch_model.bin")


@pytest.mark.parametrize("status", [403, 429, 500, 504])
def test_a_passing_refusal_is_tried_again_after_the_wait_asked_for(server, tmp_path, waits, status):
    server.faults["pytorch_model.bin"] = [status, status]
    fetch_file(server, tmp_path / "cache")
    assert len(server.seen) == 3 and waits.count(3) == 2


def test_a_lasting_refusal_ends_with_try_again(server, tmp_path, waits):
    server.faults["pytorch_model.bin"] = [429] * 20
    with pytest.raises(TryAgain, match="429"):
        fetch_file(server, tmp_path / "cache")
    assert len(server.seen) == 6


def test_a_wrong_address_is_not_tried_again(server, tmp_path, waits):
    with pytest.raises(MissingInput, match="404"):
        fetch_file(server, tmp_path / "cache", "nothing.bin", None)
    assert len(server.seen) == 1


@pytest.mark.parametrize("step", ["page", "typed"])
def test_a_web_page_is_refused(server, tmp_path, waits, step):
    server.faults["pytorch_model.bin"] = [step]
    with pytest.raises(BadData, match="web page"):
        fetch_file(server, tmp_path / "cache", digest=None)
    assert len(server.seen) == 1


def test_a_redirect_is_followed(server, tmp_path):
    server.faults["pytorch_model.bin"] = ["elsewhere"]
    assert sha256(fetch_file(server, tmp_path / "cache")) == sha256(server.folder / "pytorch_model.bin")


def test_wrong_bytes_are_refused_once_and_not_kept(server, tmp_path, waits):
    with pytest.raises(BadData, match="not 00000"):
        fetch_file(server, tmp_path / "cache", digest="0" * 64)
    assert len(server.seen) == 1 and not list((tmp_path / "cache").iterdir())


def test_no_server_at_all_ends_with_try_again(tmp_path, waits):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(TryAgain, match="no connection"):
            download(f"http://127.0.0.1:{taken.getsockname()[1]}", "file", tmp_path, None, Quiet, most=10**8)


def test_offline_without_a_cache_makes_no_connection(tmp_path, no_network):
    with pytest.raises(MissingInput, match="--offline forbids"):
        fetch_weights.main(["dnabert2", "--offline", "--cache-dir", str(tmp_path)])
    assert no_network == []


@pytest.mark.parametrize("given", ["", "pytorch_model.bin", "model.safetensors"])
def test_a_local_copy_needs_no_connection(tmp_path, no_network, capsys, given):
    folder = write_dnabert2(tmp_path / "copy")
    fetch_weights.main(["dnabert2", "--offline", "--from", str(folder / given), "--cache-dir", str(tmp_path / "cache")])
    printed = capsys.readouterr()
    weights = printed.out.splitlines()[0].split("\t")[1]
    made, given = load_file(weights), load_file(folder / "model.safetensors")
    assert all(torch.equal(tensor, given[name]) for name, tensor in made.items())
    assert "not the published file" in printed.err
    assert no_network == []


def test_a_local_copy_that_is_not_the_pinned_file_is_refused(tmp_path):
    folder = write_dnabert2(tmp_path / "copy")
    with pytest.raises(BadData, match="as demanded"):
        fetch_weights.main(["dnabert2", "--from", str(folder), "--cache-dir", str(tmp_path), "--sha256", "0" * 64])


def test_a_local_copy_without_its_tokenizer_is_refused(tmp_path):
    folder = write_dnabert2(tmp_path / "copy")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(MissingInput, match="no tokenizer.json"):
        fetch_weights.main(["dnabert2", "--from", str(folder), "--cache-dir", str(tmp_path / "cache")])
    assert not (tmp_path / "cache" / "dnabert2").exists()


def test_restricted_terms_must_be_accepted(tool, tmp_path):
    done = tool("fetch_weights", "sei", "--offline", "--cache-dir", tmp_path, code=2, stdin="")
    assert "academic and research use only" in done.stderr and "--accept-licence" in done.stderr
    done = tool("fetch_weights", "sei", "--offline", "--accept-licence", "--cache-dir", tmp_path, code=66)
    assert "--offline forbids" in done.stderr


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    folder = write_dnabert2(tmp_path / "copy")

    def full(*args):
        raise SafetensorError("No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(CannotWrite, match="No space left"):
        fetch_weights.main(["dnabert2", "--from", str(folder), "--cache-dir", str(tmp_path)])
    assert not (tmp_path / "dnabert2").exists()


def test_a_digest_that_is_none_is_wrong_use(tool):
    assert "--sha256" in tool("fetch_weights", "sei", "--sha256", "abc", code=2).stderr


def archive(path, members):
    with tarfile.open(path, "w:gz") as packed:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
                packed.addfile(entry)
            else:
                entry.size = len(content)
                packed.addfile(entry, io.BytesIO(content))
    return path


def test_an_archive_writes_only_what_is_wanted_and_only_here(tmp_path):
    members = [("../../sei.pth", b"weights"), ("/tmp/target.names", b"names"), ("model/evil.sh", b"x"),
               ("model/seqclass.names", None)]  # fmt: skip
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    packed = archive(tmp_path / "a.tar.gz", members)
    unpack(packed, dict.fromkeys(["sei.pth", "target.names", "seqclass.names"], 9), folder)
    assert (folder / "sei.pth").read_bytes() == b"weights" and (folder / "target.names").read_bytes() == b"names"
    everything = sorted(path.name for path in tmp_path.rglob("*"))
    assert everything == ["a.tar.gz", "deep", "folder", "sei.pth", "target.names"]


def test_an_archive_that_is_too_large_twice_filled_or_cut_is_refused(tmp_path):
    packed = archive(tmp_path / "a.tar.gz", [("sei.pth", bytes(range(256)) * 40), ("x/sei.pth", b"2")])
    with pytest.raises(BadData, match="10,240 bytes, more than 100"):
        unpack(packed, {"sei.pth": 100}, tmp_path)
    with pytest.raises(BadData, match="twice"):
        unpack(packed, {"sei.pth": 10**6}, tmp_path)
    packed.write_bytes(packed.read_bytes()[:-100])
    (tmp_path / "sei.pth").unlink()
    with pytest.raises(BadData, match="truncated or damaged"):
        unpack(packed, {"sei.pth": 10**6}, tmp_path)


def test_what_was_fetched_is_on_record(tmp_path, capsys):
    folder = write_dnabert2(tmp_path / "copy")
    fetch_weights.main(["dnabert2", "--from", str(folder), "--cache-dir", str(tmp_path)])
    record = json.loads((tmp_path / "dnabert2" / "fetched.json").read_text())
    assert record["sources"] == {name: sha256(folder / name) for name in FILES}
    assert record["files"]["weights"]["sha256"] == sha256(tmp_path / "dnabert2" / "model.safetensors")


@pytest.fixture
def sei_server(tmp_path):
    """The published archive's layout around a narrow Sei: prefixed names, target names and projection vectors."""
    from intronaut.networks.sei import tensor_shapes

    shapes = tensor_shapes((4, 6, 8), 5)
    tensors = {f"module.model.{name}": torch.from_numpy(fill(name, s, seed=1, bound=0.1)) for name, s in shapes.items()}
    folder = tmp_path / "served"
    folder.mkdir()
    torch.save(tensors, tmp_path / "sei.pth")
    np.save(tmp_path / "vectors.npy", np.ones((61, 5)))
    members = [("./model/sei.pth", (tmp_path / "sei.pth").read_bytes()), ("./model/target.names", b"a\nb\nc\nd\ne\n"),
               ("./model/projvec_targets.npy", (tmp_path / "vectors.npy").read_bytes())]  # fmt: skip
    archive(folder / "sei_model.tar.gz", members)
    served = Server(folder)
    served.tensors = {name.removeprefix("module.model."): tensor for name, tensor in tensors.items()}
    yield served
    served.http.shutdown()
    served.http.server_close()


def test_sei_is_unpacked_and_converted(sei_server, tmp_path, capsys):
    command = ["sei", "--accept-licence", "--url", sei_server.url, "--cache-dir", str(tmp_path / "cache")]
    fetch_weights.main(command)
    printed = capsys.readouterr()
    paths = dict(line.split("\t") for line in printed.out.splitlines())
    assert list(paths) == ["weights", "targets", "projection"]
    made = load_file(paths["weights"])
    assert made.keys() == sei_server.tensors.keys()
    assert all(torch.equal(tensor, sei_server.tensors[name]) for name, tensor in made.items())
    assert f"sei_model.tar.gz: sha256 {sha256(sei_server.folder / 'sei_model.tar.gz')}" in printed.err


def test_a_cut_archive_is_refused_and_fetched_anew(sei_server, tmp_path):
    command = ["sei", "--accept-licence", "--url", sei_server.url, "--cache-dir", str(tmp_path / "cache")]
    path = sei_server.folder / "sei_model.tar.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadData, match="truncated or damaged"):
        fetch_weights.main(command)
    path.write_bytes(whole)
    fetch_weights.main(command)


def test_target_names_that_do_not_fit_the_weights_are_refused(sei_server, tmp_path):
    (tmp_path / "target.names").write_text("a\nb\n")
    with pytest.raises(BadData, match="for 2 profiles, but the weights have 5"):
        fetch_weights.main(
            ["sei", "--accept-licence", "--from", str(tmp_path / "sei.pth"), "--cache-dir", str(tmp_path)]
        )


def test_a_digest_for_a_file_that_is_not_part_of_the_model_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="tokeniser.json"):
        fetch_weights.main(["dnabert2", "--sha256", f"tokeniser.json={'0' * 64}", "--cache-dir", str(tmp_path)])


@pytest.mark.parametrize("address", ["file:///etc", "ftp://host/x", "junk", "https://", "//host/x", "C:/weights"])
def test_what_is_no_web_address_is_refused_at_once(address):
    with pytest.raises(UsageError, match="no address on the web"):
        require_web_address(address)


def test_file_larger_than_any_of_the_model_is_refused(server, tmp_path):
    (server.folder / "big").write_bytes(b"x" * 5000)
    with pytest.raises(BadData, match="more than 4,000 bytes"):
        download(server.url, "big", tmp_path, None, Quiet, most=4000)
    assert not (tmp_path / "big").exists()
