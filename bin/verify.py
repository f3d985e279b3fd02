#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["rich>=13"]
# ///
"""Check that the results of a run are still the bytes that the run wrote.

Reads the ro-crate-metadata.json that the pipeline (or record_run) left in a folder of results, and the files it names.
With --inputs, files that the run read are compared too, by name.

Prints one line a file that is not as recorded:
  PATH <tab> missing | changed | not recorded
Files that nobody recorded are listed but do no harm. The exit code is 65 when a recorded file is missing or changed.
"""

import json
import os
from pathlib import Path
from urllib.parse import unquote

from intronaut.cli import add_run_options, new_parser, run
from intronaut.core.errors import BadData
from intronaut.core.files import digest_file, require_file
from intronaut.core.log import Log

TOOL = "verify"
CRATE = "ro-crate-metadata.json"
# Nextflow writes these while and after the run is recorded
NOT_RECORDED = ("pipeline_info",)


def make_parser():
    parser = new_parser(__doc__, TOOL)
    data = parser.add_argument_group("input")
    data.add_argument("folder", metavar="FOLDER", help="folder of results")
    data.add_argument("--inputs", nargs="+", default=[], metavar="FILE", help="files that the run read")
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log(TOOL, args)
    folder = Path(args.folder)
    files = recorded(folder / CRATE)
    outputs = {name: file for name, file in files.items() if not name.startswith("#")}
    found = {name: state(folder / name, file) for name, file in outputs.items()}
    found |= dict.fromkeys(present(folder) - outputs.keys(), "not recorded")
    found |= {path: input_state(path, files) for path in args.inputs}
    for name, what in sorted(found.items()):
        if what != "as recorded":
            print(f"{name}\t{what}")
    wrong = sum(what in ("missing", "changed") for what in found.values())
    if wrong:
        raise BadData(f"{folder}: {wrong:,} of {len(outputs) + len(args.inputs):,} files are not what the run recorded")
    log.note(f"{len(outputs) + len(args.inputs):,} files are as recorded")


def recorded(path):
    """Every file that a crate knows by its name, ``#input/…`` for inputs. Raises BadData for what is no crate."""
    try:
        graph = json.loads(require_file(path).read_text(encoding="utf-8"))["@graph"]
        files = {unquote(entity["@id"]): entity for entity in graph if "sha256" in entity}
        return {name: {"sha256": file["sha256"], "size": int(file["contentSize"])} for name, file in files.items()}
    except (ValueError, KeyError, TypeError) as problem:
        raise BadData(f"{path}: not a crate of record_run ({problem!r})") from problem


def state(path, file):
    """Whether a file is missing, changed or as recorded."""
    if not path.is_file():
        return "missing"
    same = path.stat().st_size == file["size"] and digest_file(path) == file["sha256"]
    return "as recorded" if same else "changed"


def input_state(path, files):
    """The same for an input, which the crate knows by its file name."""
    named = [file for name, file in files.items() if name.startswith("#input/") and Path(name).name == Path(path).name]
    if not named:
        return "not recorded"
    return "as recorded" if any(state(require_file(path), file) == "as recorded" for file in named) else "changed"


def present(folder):
    """The names of all files below a folder but hidden ones, the crate, and what Nextflow goes on writing."""
    paths = (Path(top, name).relative_to(folder) for top, _, names in os.walk(folder) for name in names)
    return {
        path.as_posix()
        for path in paths
        if path.parts[0] not in NOT_RECORDED and path.name != CRATE and not path.name.startswith(".")
    }


if __name__ == "__main__":
    run(main, TOOL)
