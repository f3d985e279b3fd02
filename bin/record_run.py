#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["rich>=13"]
# ///
"""Write down what a run was made from and what it made, so that verify can check it years later.

Reads a folder of results, the files that the run read, its settings, and the lock files of its images. The crate is a
Workflow Run RO-Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5): JSON-LD that lists every file of the folder with its
size and sha256, every input with its digest, every setting, the workflow and the software.

Writes into --output, or into the folder itself:
  ro-crate-metadata.json       the crate; its paths are relative to the folder of results
  ro-crate-metadata.json.sha256   its digest, by which verify sees that the crate itself is whole
  pipeline_info/versions.tsv   where, software, version: of the run, of this Python, of the lock file of each image
  pipeline_info/main.nf        with --workflow, a copy of it
"""

import hashlib
import json
import platform
import re
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

from intronaut import __version__
from intronaut.cli import add_run_options, new_parser, run
from intronaut.core.errors import MissingInput
from intronaut.core.files import digest_file, published_together, require_file, whole_file
from intronaut.core.json_files import read_record
from intronaut.core.log import Log
from intronaut.io.crate import CRATE, CRATE_DIGEST, result_files

TOOL = "record_run"
# bytes of an input up to which a digest takes seconds: genomes have one
MOST_DIGESTED = 8 * 2**30
WORKFLOW, VERSIONS = "pipeline_info/main.nf", "pipeline_info/versions.tsv"
PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"
NEXTFLOW = "https://w3id.org/workflowhub/workflow-ro-crate#nextflow"


def make_parser():
    parser = new_parser(__doc__, TOOL)
    data = parser.add_argument_group("input")
    data.add_argument("folder", metavar="FOLDER", help="folder of results, laid out as it will be kept")
    data.add_argument("--inputs", nargs="+", default=[], metavar="FILE", help="files that the run read")
    data.add_argument("--settings", metavar="JSON", help="params of the run and what ran it, one object")
    data.add_argument(
        "--locks", nargs="+", default=[], metavar="FILE", help="IMAGE/requirements.txt, its pinned packages"
    )
    data.add_argument("--workflow", metavar="FILE", help="the main.nf that was run")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", metavar="FOLDER", help="folder to write into [the folder of results]")
    add_run_options(parser)
    return parser


def main(argv):
    args = make_parser().parse_args(argv)
    log = Log(TOOL, args)
    folder = Path(args.folder)
    output = Path(args.output or folder)
    if not folder.is_dir():
        raise MissingInput(f"{folder}: no such folder")
    settings = read_settings(args.settings)
    results = [file_entity(folder / path, path.as_posix()) for path in result_files(folder)]
    inputs = [input_entity(require_file(path), place) for place, path in enumerate(args.inputs)]
    texts = {WORKFLOW: require_file(args.workflow).read_text(encoding="utf-8")} if args.workflow else {}
    rows = [("where", "software", "version"), *run_versions(settings), *here_versions(), *lock_versions(args.locks)]
    texts[VERSIONS] = "".join("\t".join(row) + "\n" for row in rows)
    written = [text_entity(name, text.encode()) for name, text in texts.items()]
    texts[CRATE] = json.dumps(crate(results, inputs, settings, written), indent=1, ensure_ascii=False) + "\n"
    texts[CRATE_DIGEST] = f"{hashlib.sha256(texts[CRATE].encode()).hexdigest()}  {CRATE}\n"
    with published_together():
        for name, text in texts.items():
            with whole_file(output / name) as out:
                out.write(text)
    log.note(f"{output / CRATE}: {len(results):,} files of results, {len(inputs):,} inputs")


def read_settings(path):
    """The settings as one flat dict of text, without those that are not set."""
    if not path:
        return {}
    return {str(key): str(value) for key, value in read_record(path).items() if value is not None}


def file_entity(path, name):
    """An RO-Crate File with size and digest; ``name`` is its place in the crate."""
    return {
        "@id": quote(str(name)),
        "@type": "File",
        "name": Path(name).name,
        "contentSize": str(path.stat().st_size),
        "sha256": digest_file(path),
    }


def text_entity(name, content):
    """The same for a file of these bytes, which is still to be written."""
    about = {"@id": quote(name), "@type": "File", "name": Path(name).name, "contentSize": str(len(content))}
    return about | {"sha256": hashlib.sha256(content).hexdigest()}


def input_entity(path, place):
    """A file that the run read: the crate knows its size and digest but does not hold it. Of a large one, as alignments
    are, the size alone."""
    if path.stat().st_size > MOST_DIGESTED:
        about = {"@type": "File", "name": path.name, "contentSize": str(path.stat().st_size)}
    else:
        about = file_entity(path, path.name)
    return about | {"@id": f"#input/{place}/{quote(path.name)}", "@type": "CreativeWork"}


def run_versions(settings):
    """Rows of the software that ran the tools: Intronaut and, by the settings, Nextflow and the commit."""
    yield "run", "intronaut", __version__
    for key in ("nextflow", "revision"):
        if key in settings:
            yield "run", key, settings[key]


def here_versions():
    """Rows of this Python and every package it can import: what the tools used when no image was."""
    yield "environment", "python", platform.python_version()
    versions = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
    yield from (("environment", name, version) for name, version in sorted(versions.items()))


def lock_versions(paths):
    """Rows of the packages pinned in the ``NAME==VERSION`` lines of each IMAGE/requirements.txt."""
    for path in paths:
        pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", require_file(path).read_text(encoding="utf-8"), re.M)
        yield from (("image " + Path(path).absolute().parent.name, name, version) for name, version in pins)


def crate(results, inputs, settings, written):
    """The whole JSON-LD document: descriptor, root, run, and everything the run read and made."""
    params = [
        {"@id": f"#setting/{quote(key)}", "@type": "PropertyValue", "name": key, "value": value}
        for key, value in settings.items()
    ]
    software = {
        "@id": "#intronaut",
        "@type": "SoftwareApplication",
        "name": "Intronaut",
        "softwareVersion": __version__,
    }
    workflow = next((entity for entity in written if entity["@id"] == WORKFLOW), None)
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": "A run of Intronaut",
        "instrument": link(workflow or software),
        "object": [link(entity) for entity in inputs + params],
        "result": [link(entity) for entity in results],
        "endTime": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": "Results of Intronaut",
        "description": "Which introns are retained, and what their DNA says about it",
        "datePublished": action["endTime"],
        "license": LICENCE,
        "conformsTo": [{"@id": profile} for profile in PROFILES[: 3 if workflow else 1]],
        "hasPart": [link(entity) for entity in results + written],
        "mentions": link(action),
    }
    about = [software, *([describe_workflow(workflow, root)] if workflow else [])]
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": link(root),
    }
    profiles = [{"@id": profile, "@type": "CreativeWork", "name": profile} for profile in PROFILES]
    graph = [descriptor, root, action, *about, *profiles, *written, *results, *inputs, *params]
    context = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}]
    return {"@context": context, "@graph": graph}


def describe_workflow(workflow, root):
    """Make a File the crate's main workflow; returns the language it is written in."""
    language = {"@id": NEXTFLOW, "@type": "ComputerLanguage", "name": "Nextflow", "url": "https://www.nextflow.io/"}
    workflow["@type"] = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    workflow |= {"name": "Intronaut", "version": __version__, "programmingLanguage": link(language)}
    root["mainEntity"] = link(workflow)
    return language


def link(entity):
    return {"@id": entity["@id"]}


if __name__ == "__main__":
    run(main, TOOL)
