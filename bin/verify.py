#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["rich>=13"]
# ///
"""Check that the results of a run are still the bytes that the run wrote.

Reads the ro-crate-metadata.json that the pipeline (or record_run) left in a folder of results, its digest beside it,
and the files it names; links are followed. With --inputs, files that the run read are compared too, by name.

Prints one line a file that is not as recorded:
  PATH <tab> missing | changed | not recorded
Files that nobody recorded are listed but do no harm. The exit code is 65 when a recorded file is missing or changed,
when the crate is not what its digest says, and when it lists no result, or one without a digest or outside the folder.
"""

import json
from pathlib import Path
from urllib.parse import unquote

from intronaut.cli import add_run_options, new_parser, run
from intronaut.core.errors import BadData
from intronaut.core.files import digest_file, require_file
from intronaut.core.log import Log
from intronaut.io.crate import CRATE, CRATE_DIGEST, NOT_RECORDED, result_files

TOOL = "verify"


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
    check_crate(folder)
    outputs, inputs = recorded(folder / CRATE)
    states = {name: state(folder / name, file) for name, file in outputs.items()}
    states |= dict.fromkeys({path.as_posix() for path in result_files(folder)} - outputs.keys(), "not recorded")
    states |= {path: input_state(path, inputs) for path in args.inputs}
    for name, what in sorted(states.items()):
        if what != "as recorded":
            print(f"{name}\t{what}")
    wrong = sum(what in ("missing", "changed") for what in states.values())
    if wrong:
        raise BadData(f"{folder}: {wrong:,} of {len(outputs) + len(args.inputs):,} files are not what the run recorded")
    log.note(f"{len(outputs) + len(args.inputs):,} files are as recorded")


def check_crate(folder):
    """Raise BadData unless the crate is what the digest beside it says."""
    crate, beside = require_file(folder / CRATE), folder / CRATE_DIGEST
    if not beside.is_file():
        raise BadData(f"{beside} is missing: nothing says that the crate is whole; record the run again")
    if beside.read_bytes() != f"{digest_file(crate)}  {CRATE}\n".encode():
        raise BadData(
            f"{crate} is not what {beside.name} says: one of them was changed, so that neither can be trusted"
        )


def recorded(path):
    """The files of a crate, results by their path and inputs by ``#input/…``: two dicts of sha256 and size.

    Raises BadData for what is no crate, for one without results, and for a file without a digest or outside its folder.
    """
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))["@graph"]
        listed = {unquote(entity["@id"]): entity for entity in graph if is_file(entity)}
        digested = {name: file for name, file in listed.items() if "sha256" in file}
        files = {name: {"sha256": file["sha256"], "size": int(file["contentSize"])} for name, file in digested.items()}
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise BadData(f"{path}: not a crate of record_run ({problem!r})") from problem
    bare = sorted(listed.keys() - digested.keys())
    if bare:
        raise BadData(f"{path}: {len(bare):,} files without sha256, such as {bare[0]}; record the run again")
    inputs = {name: file for name, file in files.items() if name.startswith("#input/")}
    outputs = {name: file for name, file in files.items() if name not in inputs}
    outside = sorted(name for name in outputs if Path(name).is_absolute() or ".." in Path(name).parts)
    if outside:
        raise BadData(f"{path}: {outside[0]} is not in the crate's folder; record_run writes no such crate")
    if all(Path(name).parts[0] in NOT_RECORDED for name in outputs):
        raise BadData(f"{path}: a crate of no results, by which nothing can be verified")
    return outputs, inputs


def is_file(entity):
    """Whether an entity of the graph is a result or an input, which has a digest."""
    kinds = entity["@type"] if isinstance(entity["@type"], list) else [entity["@type"]]
    return "File" in kinds or entity["@id"].startswith("#input/")


def state(path, file):
    """Whether a file is missing, changed or as recorded."""
    if not path.is_file():
        return "missing"
    same = path.stat().st_size == file["size"] and digest_file(path) == file["sha256"]
    return "as recorded" if same else "changed"


def input_state(path, inputs):
    """The same for an input, which the crate knows by its file name."""
    named = [file for name, file in inputs.items() if Path(name).name == Path(path).name]
    if not named:
        return "not recorded"
    return "as recorded" if any(state(require_file(path), file) == "as recorded" for file in named) else "changed"


if __name__ == "__main__":
    run(main, TOOL)
