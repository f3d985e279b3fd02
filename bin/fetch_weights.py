#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["torch>=2.4", "numpy>=1.26", "pooch>=1.8", "requests>=2.31", "safetensors>=0.4.5", "tokenizers>=0.20"]
# ///
"""Fetch the weights of Sei, DNABERT-2 or CI-SpliceAI, verify them, and convert them once to safetensors.

Downloads (or takes from --from) the published files, checks their sha256, refuses what is not the model, and keeps in
CACHE_DIR/sei, CACHE_DIR/dnabert2 or CACHE_DIR/cispliceai:

  model.safetensors                            the weights; every tensor checked by name, shape and finite values
  tokenizer.json, config.json                  DNABERT-2's tokenizer and sizes
  target.names, seqclass.names                 the names of Sei's profiles and sequence classes
  projvec_targets.npy, histone_inds.npy        profiles to classes, and which profiles are histone marks
  LICENCE.txt                                  who made CI-SpliceAI, and its terms, which go with every copy
  fetched.json                                 what was fetched, made, and the sha256 of each

Standard output has one line a file: kind, a tab, its path. A download that breaks off goes on where it stopped, and
what the cache holds is not fetched again.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from intronaut.cli import add_run_options, new_parser, run
from intronaut.core.errors import BadData, CannotWrite, MissingInput, UsageError
from intronaut.core.files import digest_file, whole_folder
from intronaut.core.json_files import read_record
from intronaut.core.log import Log

# bytes; Sei's weights have 3.6e9
MOST_WEIGHTS, MOST_PART = 8 * 10**9, 10**9


@dataclass(frozen=True)
class Release:
    """A published model: its terms, its files with their sha256 (None: not known) and how they become ours.

    ``address`` is the folder the files lie in; the first of ``files`` holds the weights, which are called one of
    ``weights`` in a local copy. ``parts`` names what is kept beside the weights, by kind. ``convert`` (sources by kind,
    folder) checks everything and writes model.safetensors.
    """

    licence: str
    must_accept: bool
    address: str
    files: dict
    weights: tuple
    parts: dict
    convert: Callable
    # a package of the Python index that holds the files, in place of an address
    package: str = ""


def convert_dnabert2(sources, folder):
    """Write model.safetensors after checking that weights, config and tokenizer are those of one DNABERT-2."""
    from intronaut.io.checkpoints import open_checkpoint
    from intronaut.networks.dnabert2 import Tokenizer, load, read_config

    for kind in ("tokenizer", "config"):
        if kind not in sources:
            raise MissingInput(f"{sources['weights'].parent}: no {kind}.json; DNABERT-2 needs it beside the weights")
    config = read_config(sources["config"])
    Tokenizer(sources["tokenizer"], config.vocab_size)
    checkpoint = open_checkpoint(sources["weights"])
    write_safetensors(load(checkpoint, config).state_dict(), checkpoint.note, folder / "model.safetensors")


def convert_sei(sources, folder):
    """Write model.safetensors after checking that it is a Sei and that the names and vectors beside it fit."""
    import numpy as np

    from intronaut.networks.sei import open_sei

    checkpoint, tensors = open_sei(sources["weights"])
    checkpoint.require_finite(tensors)
    outputs, rows_of = len(tensors["classifier.2.bias"]), {}
    try:
        if "targets" in sources:
            rows_of["targets"] = len(sources["targets"].read_text().splitlines())
        if "projection" in sources:
            rows_of["projection"] = np.load(sources["projection"], mmap_mode="r", allow_pickle=False).shape[-1]
    except (ValueError, EOFError) as problem:
        raise BadData(f"{sources['weights'].parent}: names or vectors that cannot be read: {problem}") from problem
    for kind, number in rows_of.items():
        if number != outputs:
            raise BadData(f"{sources[kind]}: for {number:,} profiles, but the weights have {outputs:,}")
    write_safetensors(tensors, checkpoint.note, folder / "model.safetensors")


def convert_cispliceai(sources, folder):
    """Write model.safetensors from the wheel of the Python package, and the attribution that its licence asks for."""
    import torch

    from intronaut.networks.splice import ATTRIBUTION, convert

    tensors = {name: torch.from_numpy(values.copy()) for name, values in convert(sources["weights"]).items()}
    write_safetensors(tensors, ATTRIBUTION, folder / "model.safetensors")
    (folder / "LICENCE.txt").write_text(ATTRIBUTION + "\n", encoding="utf-8")


def write_safetensors(tensors, note, path):
    """Save tensors as safetensors, with the file mode of any other output."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"note": note})
    except SafetensorError as problem:
        raise CannotWrite(f"{path.name}: cannot write: {problem}") from problem
    path.chmod(0o644)


RELEASES = {
    "sei": Release(
        licence="Sei (Chen et al. 2022): for academic and research use only; commercial use needs a licence from "
        "Princeton University. Terms: https://github.com/FunctionLab/sei-framework",
        must_accept=True,
        address="https://zenodo.org/records/4906997/files",
        files={"sei_model.tar.gz": None},
        weights=("sei.pth", "model.safetensors", "sei_model.tar.gz"),
        parts={
            "targets": "target.names", "classes": "seqclass.names", "projection": "projvec_targets.npy",
            "histones": "histone_inds.npy",
        },
        convert=convert_sei,
    ),
    "dnabert2": Release(
        licence="DNABERT-2-117M (Zhou et al. 2024): Apache License 2.0, https://huggingface.co/zhihan1996/DNABERT-2-117M",
        must_accept=False,
        address="https://huggingface.co/zhihan1996/DNABERT-2-117M/resolve/main",
        files={
            "pytorch_model.bin": "7ff39ec77a484dd01070a41bfd6e95cdd7247bec80fe357ab43a4be33687aeba",
            "tokenizer.json": "5d178e8ce2ba55df97fff197f4b30f40133b95d7096be398c2df6b526c5d8cd3",
            "config.json": "609fb1a92a180a596f77a0c4a5d36c03562ca9ab6792c0399f8e4138854b4322",
        },
        weights=("pytorch_model.bin", "model.safetensors"),
        parts={"tokenizer": "tokenizer.json", "config": "config.json"},
        convert=convert_dnabert2,
    ),
    "cispliceai": Release(
        licence="CI-SpliceAI 1.2.2 (Strauch et al. 2022, PLoS ONE 17(6): e0269159): CC BY 4.0, "
        "https://creativecommons.org/licenses/by/4.0/; name the authors wherever you use or pass it on",
        must_accept=False,
        address="",
        files={"cispliceai-1.2.2-py3-none-any.whl": "def1db5358848a19533fd387e0620fc0df79784b9e6e1cba1a045ad6678e1da7"},
        weights=("cispliceai-1.2.2-py3-none-any.whl",),
        parts={},
        convert=convert_cispliceai,
        package="cispliceai==1.2.2",
    ),
}  # fmt: skip


def make_parser():
    parser = new_parser(__doc__, "fetch_weights")
    parser.add_argument("model", choices=RELEASES, help="which model")
    group = parser.add_argument_group("where from")
    group.add_argument("--from", "--file", dest="source", type=Path, metavar="PATH",
                       help="a local copy, not a download: weights, archive or wheel, or their folder")  # fmt: skip
    group.add_argument("--url", metavar="ADDRESS", help="another folder address that has the published files")
    group.add_argument("--sha256", action="append", type=pin, metavar="[FILE=]HEX",
                       help="demand this sha256 (or any) of the weights, or of FILE; repeatable")  # fmt: skip
    group.add_argument("--offline", action="store_true", help="make no connection; use the cache or --from")
    group = parser.add_argument_group("where to")
    group.add_argument("--cache-dir", type=Path, metavar="FOLDER", help="[intronaut in the user's cache folder]")
    group.add_argument("--accept-licence", action="store_true", help="accept the terms that are shown")
    add_run_options(parser)
    return parser


def pin(text):
    """argparse type: (file or None, hex or "any")."""
    name, _, digest = text.rpartition("=")
    if digest != "any" and (len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef")):
        raise ValueError(text)
    return name or None, digest.lower()


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log("fetch_weights", args)
    release = RELEASES[args.model]
    agree(release, args, log)
    pins = {name or next(iter(release.files)): digest for name, digest in args.sha256 or ()}
    if unknown := pins.keys() - release.files.keys() - set(release.parts.values()):
        raise UsageError(f"--sha256 for {', '.join(sorted(unknown))}, which {args.model} does not have")
    from intronaut.io.download import default_cache, locked, require_web_address

    if args.url:
        require_web_address(args.url)
    folder = (args.cache_dir or default_cache()) / args.model
    with locked(folder):
        if args.source or not kept(folder, pins, log):
            downloads = folder.with_name(f".{folder.name}.download")
            given = args.source or fetch(release, args, pins, downloads, log)
            try:
                keep(release, given, pins, folder, log)
            except BadData:
                shutil.rmtree(downloads, ignore_errors=True)
                raise
            shutil.rmtree(downloads, ignore_errors=True)
        record = read_record(folder / "fetched.json")
    for kind, file_record in record["files"].items():
        print(kind, folder / file_record["name"], sep="\t")


def agree(release, args, log):
    """Show the licence; where it restricts use, go on only when it is accepted. Raises UsageError."""
    log.note(release.licence)
    if not release.must_accept or args.accept_licence:
        return
    if sys.stdin.isatty() and input("Do you accept these terms? (yes/no) ").strip().lower() == "yes":
        return
    raise UsageError("these terms must be accepted: add --accept-licence")


def kept(folder, pins, log):
    """Whether ``folder`` holds every file of an earlier run, undamaged, made from files that fit ``pins``."""
    try:
        record = read_record(folder / "fetched.json")
    except MissingInput:
        return False
    except BadData as problem:
        log.warn(str(problem))
        return False
    for name, digest in pins.items():
        if digest not in ("any", record["sources"].get(name)):
            log.note(f"{folder}: made from another {name}")
            return False
    for file_record in record["files"].values():
        path = folder / file_record["name"]
        if not path.exists() or digest_file(path) != file_record["sha256"]:
            log.warn(f"{path}: damaged or gone")
            return False
    return True


def fetch(release, args, pins, downloads, log):
    """Download the published files; returns their folder. Raises MissingInput when --offline forbids it."""
    if args.offline:
        raise MissingInput("nothing usable in the cache, and --offline forbids a download; use --from")
    from intronaut.io.download import download, download_package

    if release.package:
        if args.url:
            raise UsageError(f"--url: without effect, {release.package} comes from the index that pip is set to")
        download_package(release.package, downloads)
        return downloads
    for name, published in release.files.items():
        digest = pins.get(name, published)
        most = MOST_WEIGHTS if name in release.weights else MOST_PART
        download(args.url or release.address, name, downloads, None if digest == "any" else digest, log, most)
    return downloads


def keep(release, given, pins, folder, log):
    """Check, convert and store the weights that ``given``, a file or folder, holds, and what belongs to them."""
    weights = weights_in(given, release)
    digests = {next(iter(release.files)): digest_file(weights)}
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.unpacked.") as scratch:
        if weights.name.endswith((".tar.gz", ".tgz", ".tar")):
            weights = unpacked(weights, release, Path(scratch))
        parts = {kind: path for kind, name in release.parts.items() if (path := weights.with_name(name)).exists()}
        digests |= {path.name: digest_file(path) for path in parts.values()}
        check_digests(digests, release.files, pins, log)
        with whole_folder(folder) as new_folder:
            release.convert(parts | {"weights": weights}, new_folder)
            for path in parts.values():
                shutil.copyfile(path, new_folder / path.name)
            names = {"weights": "model.safetensors"} | {kind: path.name for kind, path in parts.items()}
            if (new_folder / "LICENCE.txt").exists():
                names["licence"] = "LICENCE.txt"
            files = {kind: {"name": name, "sha256": digest_file(new_folder / name)} for kind, name in names.items()}
            (new_folder / "fetched.json").write_text(json.dumps({"sources": digests, "files": files}, indent=2) + "\n")
    log.note(f"{folder}: ready")


def weights_in(given, release):
    """The file with the weights: ``given`` itself, or the first in that folder that has one of the known names."""
    if not given.exists():
        raise MissingInput(f"{given}: no such file or folder")
    if given.is_file():
        return given
    for name in release.weights:
        if (given / name).exists():
            return given / name
    raise MissingInput(f"{given}: none of {', '.join(release.weights)} in this folder")


def unpacked(archive, release, folder):
    """Unpack what is needed of ``archive`` into ``folder``; returns the path of the weights."""
    from intronaut.io.download import unpack

    wanted = release.weights[0]
    unpack(archive, {wanted: MOST_WEIGHTS} | dict.fromkeys(release.parts.values(), MOST_PART), folder)
    if not (folder / wanted).exists():
        raise BadData(f"{archive}: no {wanted} in this archive")
    return folder / wanted


def check_digests(digests, published, pins, log):
    """Raise BadData for a file that is not the demanded one; warn of one that is not the published one."""
    for name, digest in digests.items():
        if pins.get(name, "any") not in ("any", digest):
            raise BadData(f"{name}: sha256 is {digest}, not {pins[name]} as demanded")
        if name not in pins and published.get(name) not in (None, digest):
            log.warn(f"{name}: not the published file (sha256 {digest})")
        log.note(f"{name}: sha256 {digest}")


if __name__ == "__main__":
    run(main, "fetch_weights")
