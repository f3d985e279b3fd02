"""Start a Galaxy server with the wrappers of galaxy/ and use it as its users do; called by galaxy.sh.

Without arguments: every tool's <tests>, the example workflow on the test data, and hostile names and values; the
outcomes are printed as the table of docs/galaxy.md. With the names of tools: only their <tests>.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GALAXY = ROOT / "galaxy"
PLACE = ROOT / ".cache" / "galaxy"
RUN = PLACE / "run"
PORT = int(os.environ.get("GALAXY_PORT", "8091"))
URL = f"http://127.0.0.1:{PORT}"
BOOTSTRAP_KEY = "only-for-this-test-server"
ADMIN = "admin@example.org"
UP_WITHIN = 600
JOB_WITHIN = 3600
# galaxy-tool-test 26.1.2 uploads a folder before the end of its archive is on disk; an unbuffered file has it there
TOOL_TEST = """
import tempfile, types
from functools import partial
from galaxy.tool_util.cwl import util
util.tempfile = types.SimpleNamespace(NamedTemporaryFile=partial(tempfile.NamedTemporaryFile, buffering=0))
from galaxy.tool_util.verify.script import main
main()
"""


def wrappers():
    """Paths of all wrappers by tool name."""
    return {path.stem: path for path in sorted(GALAXY.glob("*.xml")) if path.read_text().startswith("<tool ")}


def configure():
    """Write the server's configuration into a fresh folder; returns the path of its main file."""
    shutil.rmtree(RUN, ignore_errors=True)
    RUN.mkdir(parents=True)
    tools = "".join(f'<tool file="{path}"/>' for path in wrappers().values())
    (RUN / "tools.xml").write_text(f'<toolbox><section id="intronaut" name="Intronaut">{tools}</section></toolbox>')
    settings = {
        "data_dir": str(RUN / "data"),
        "database_connection": f"sqlite:///{RUN / 'galaxy.sqlite'}?isolation_level=IMMEDIATE",
        "tool_config_file": str(RUN / "tools.xml"),
        "tool_data_table_config_path": str(GALAXY / "tool_data_table_conf.xml.test"),
        "tool_data_path": str(RUN / "tool-data"),
        "data_manager_config_file": str(GALAXY / "data_manager_conf.xml"),
        "bootstrap_admin_api_key": BOOTSTRAP_KEY,
        "single_user": ADMIN,
        "admin_users": ADMIN,
        "enable_celery_tasks": False,
        "conda_auto_init": False,
        "check_migrate_tools": False,
        "sanitize_all_html": False,
        "job_config": job_config(),
    }
    path = RUN / "galaxy.yml"
    path.write_text(json.dumps({"galaxy": settings}))
    return path


def job_config():
    """Three jobs at a time, with the tools on PATH and their own Python, as in an image."""
    commands = RUN / "commands"
    commands.mkdir()
    for script in (ROOT / "bin").glob("*.py"):
        command = commands / script.name
        command.write_text(f'#!/bin/sh\nexec "{ROOT}/.venv/bin/python" "{script}" "$@"\n')
        command.chmod(0o755)
    environment = {"runner": "local", "env": [{"name": "PATH", "value": f"{commands}:$PATH", "raw": True}]}
    return {
        "runners": {"local": {"load": "galaxy.jobs.runners.local:LocalJobRunner", "workers": 3}},
        "execution": {"default": "local", "environments": {"local": environment}},
    }


@contextlib.contextmanager
def server():
    """A running server; it is stopped at the end, its log stays in RUN/server.log."""
    config = configure()
    command = [sys.executable, "-m", "uvicorn", "--factory", "galaxy.webapps.galaxy.fast_factory:factory"]
    env = {**os.environ, "GALAXY_CONFIG_FILE": str(config), "VIRTUAL_ENV": sys.prefix}
    with open(RUN / "server.log", "w") as log:
        started = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(PORT)], cwd=RUN, env=env, stdout=log, stderr=log
        )
        try:
            wait_until_up(started)
            yield user_key()
        finally:
            started.terminate()
            try:
                started.wait(30)
            except subprocess.TimeoutExpired:
                started.kill()


def wait_until_up(started):
    for _ in range(UP_WITHIN):
        if started.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{URL}/api/version") as answer:
            print(f"Galaxy {json.load(answer)['version_major']} at {URL}", flush=True)
            return
        time.sleep(1)
    sys.exit(f"the server is not up; see {RUN}/server.log")


def user_key():
    """The API key of the server's one user, who is its administrator too."""
    from bioblend.galaxy import GalaxyInstance

    galaxy = GalaxyInstance(URL, key=BOOTSTRAP_KEY)
    users = galaxy.users.get_users()
    user = users[0] if users else galaxy.users.create_local_user("admin", ADMIN, "only for this test server")
    return galaxy.users.get_or_create_user_apikey(user["id"])


def tool_tests(name, path, key):
    """Run the <tests> of one wrapper on the server; returns (passed, all, lines that say what failed)."""
    tool = ElementTree.parse(path).getroot().get("id")
    outcome = RUN / f"{name}.json"
    command = [
        sys.executable,
        "-c",
        TOOL_TEST,
        "-u",
        URL,
        "-k",
        key,
        "-a",
        key,
        "-t",
        tool,
        "--parallel-tests",
        "3",
        "--with-reference-data",
    ]
    command += ["-j", outcome, "--test-data", GALAXY / "test-data"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=RUN)
    if not outcome.exists():
        return 0, 1, [ran.stdout + ran.stderr]
    tests = [test["data"] for test in json.loads(outcome.read_text())["tests"]]
    failed = [test for test in tests if test["status"] != "success"]
    return len(tests) - len(failed), len(tests), [problem(test) for test in failed]


def problem(test):
    jobs = test.get("job") or {}
    words = [
        test.get("execution_problem"),
        *test.get("output_problems", []),
        jobs.get("command_line"),
        jobs.get("stderr"),
    ]
    return "\n    ".join(str(word) for word in words if word)


def run_workflow(galaxy):
    """Run the example workflow on the test data; returns the report's HTML."""
    (path,) = (GALAXY / "workflows").glob("*.ga")
    workflow = galaxy.workflows.import_workflow_from_local_path(str(path))
    history = galaxy.histories.create_history("workflow")["id"]
    files = {"Gene annotation": ("annotation.gff3.gz", "gff3.gz"), "Genome": ("genome.fa.gz", "fasta.gz")}
    given = {}
    for step, entry in workflow_inputs(galaxy, workflow["id"]).items():
        name, kind = files[entry]
        given[step] = {"src": "hda", "id": upload(galaxy, history, GALAXY / "test-data" / name, kind)}
    run = galaxy.workflows.invoke_workflow(workflow["id"], inputs=given, history_id=history)
    galaxy.invocations.wait_for_invocation(run["id"], maxwait=JOB_WITHIN)
    (report,) = [
        output["id"]
        for label, output in galaxy.invocations.show_invocation(run["id"])["outputs"].items()
        if label == "Report"
    ]
    galaxy.datasets.wait_for_dataset(report, maxwait=JOB_WITHIN)
    # HTML comes as an archive, with the files beside it if there were any
    with zipfile.ZipFile(io.BytesIO(galaxy.datasets.download_dataset(report))) as packed:
        return packed.read(next(name for name in packed.namelist() if name.endswith(".html")))


def workflow_inputs(galaxy, workflow):
    inputs = galaxy.workflows.show_workflow(workflow)["inputs"]
    return {step: entry["label"] for step, entry in inputs.items()}


def upload(galaxy, history, path, kind):
    """The id of a file that is now a dataset."""
    made = galaxy.tools.upload_file(str(path), history, file_type=kind, auto_decompress=False)
    dataset = made["outputs"][0]["id"]
    galaxy.datasets.wait_for_dataset(dataset, maxwait=JOB_WITHIN)
    return dataset


HOSTILE = [
    "'; touch canary; '",
    "$(touch canary)",
    "`touch canary`",
    "-rf",
    "a,b",
    '"',
    "../up",
    "\u5185\u542b\u5b50",
    "x" * 255,
]


def hostile_names(galaxy):
    """Enrich with datasets of hostile names, which are its marks' names; returns the marks of its table."""
    history = galaxy.histories.create_history("hostile names")["id"]
    labels = upload(galaxy, history, GALAXY / "test-data" / "labels.tsv", "tabular")
    peaks = upload(galaxy, history, GALAXY / "test-data" / "peaks.bed", "bed")
    marks = []
    for name in HOSTILE:
        copy = galaxy.histories.copy_content(history, peaks)["id"]
        galaxy.histories.update_dataset(history, copy, name=name)
        marks.append({"src": "hda", "id": copy})
    inputs = {"labels": {"src": "hda", "id": labels}, "peaks": marks, "min_introns": 1}
    made = galaxy.tools.run_tool(history, "intronaut_enrich", inputs)
    table = next(output["id"] for output in made["outputs"] if output["output_name"] == "table")
    galaxy.datasets.wait_for_dataset(table, maxwait=JOB_WITHIN)
    lines = galaxy.datasets.download_dataset(table).decode().splitlines()
    return [line.split("\t")[0] for line in lines[1:]]


def hostile_values(galaxy):
    """Give free text of hostile values to tools; returns how many were refused before a job started, of how many."""
    from bioblend import ConnectionError as Refused

    history = galaxy.histories.create_history("hostile values")["id"]
    labels = upload(galaxy, history, GALAXY / "test-data" / "labels.tsv", "tabular")
    tried = refused = 0
    for text in HOSTILE[:4]:
        tried += 1
        try:
            galaxy.tools.run_tool(
                history, "intronaut_match_introns", {"labels": {"src": "hda", "id": labels}, "match": text}
            )
        except Refused:
            refused += 1
    return refused, tried


def canaries():
    """Files that a hostile name or value made, anywhere under the server's folder."""
    return list(RUN.rglob("canary"))


def whole(galaxy):
    """The workflow and the hostile names and values; returns rows of the table."""
    report = run_workflow(galaxy)
    (PLACE / "report.html").write_bytes(report)
    marks = hostile_names(galaxy)
    refused, tried = hostile_values(galaxy)
    return [
        ("the example workflow", int(b"<svg" in report), 1),
        ("hostile names of datasets", len(marks), len(HOSTILE)),
        ("hostile values, refused", refused, tried),
        ("no canary touched", int(not canaries()), 1),
    ]


def main(argv):
    from bioblend.galaxy import GalaxyInstance

    wanted = {name: path for name, path in wrappers().items() if name in argv or not argv}
    failed = 0
    with server() as key:
        print("| what | passed |\n|---|---|")
        for name, path in wanted.items():
            passed, total, problems = tool_tests(name, path, key)
            print(f"| `{name}` | {passed} of {total} |", *problems, sep="\n    ", flush=True)
            failed += total - passed
        for what, passed, total in whole(GalaxyInstance(URL, key=key)) if not argv else ():
            print(f"| {what} | {passed} of {total} |", flush=True)
            failed += total - passed
    sys.exit(f"{failed} failed" if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
