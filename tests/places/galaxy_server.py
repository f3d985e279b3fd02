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
import tempfile
import time
import urllib.request
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace

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
AT_ONCE = 3


def wrappers():
    """Paths of all wrappers by tool name."""
    return {path.stem: path for path in sorted(GALAXY.glob("*.xml")) if path.read_text().startswith("<tool ")}


def configure():
    """Write the server's configuration into a fresh folder; returns the path of its main file."""
    shutil.rmtree(RUN, ignore_errors=True)
    RUN.mkdir(parents=True)
    # the data manager adds rows to its tables
    tables = RUN / "tables"
    shutil.copytree(GALAXY / "test-data", tables / "test-data")
    shutil.copy(GALAXY / "tool_data_table_conf.xml.test", tables)
    tools = "".join(f'<tool file="{path}"/>' for path in wrappers().values())
    (RUN / "tools.xml").write_text(f'<toolbox><section id="intronaut" name="Intronaut">{tools}</section></toolbox>')
    settings = {
        "data_dir": str(RUN / "data"),
        "database_connection": database("galaxy"),
        "amqp_internal_connection": f"sqlalchemy+{database('queue')}",
        "tool_config_file": str(RUN / "tools.xml"),
        "tool_data_table_config_path": str(tables / "tool_data_table_conf.xml.test"),
        "tool_data_path": str(RUN / "tool-data"),
        "data_manager_config_file": str(GALAXY / "data_manager_conf.xml"),
        "bootstrap_admin_api_key": BOOTSTRAP_KEY,
        "single_user": ADMIN,
        "admin_users": ADMIN,
        # uploads and metadata are done by a process that stays, not each by one that loads Galaxy first
        "enable_celery_tasks": True,
        "metadata_strategy": "directory_celery",
        "calculate_dataset_hash": "never",
        "conda_auto_init": False,
        "check_migrate_tools": False,
        "sanitize_all_html": False,
        "job_config": job_config(),
    }
    path = RUN / "galaxy.yml"
    path.write_text(json.dumps({"galaxy": settings}))
    return path


def database(name):
    return f"sqlite:///{RUN / name}.sqlite?isolation_level=IMMEDIATE"


def job_config():
    """Some jobs at a time, with the tools on PATH and their own Python, as in an image."""
    commands = RUN / "commands"
    commands.mkdir()
    for script in (ROOT / "bin").glob("*.py"):
        command = commands / script.name
        command.write_text(f'#!/bin/sh\nexec "{ROOT}/.venv/bin/python" "{script}" "$@"\n')
        command.chmod(0o755)
    environment = {
        "runner": "local",
        "embed_metadata_in_job": False,
        "env": [{"name": "PATH", "value": f"{commands}:$PATH", "raw": True}],
    }
    return {
        "runners": {"local": {"load": "galaxy.jobs.runners.local:LocalJobRunner", "workers": AT_ONCE}},
        "execution": {"default": "local", "environments": {"local": environment}},
    }


@contextlib.contextmanager
def server():
    """The key of a running server; it and its worker are stopped at the end, their logs stay in RUN."""
    env = {**os.environ, "GALAXY_CONFIG_FILE": str(configure()), "VIRTUAL_ENV": sys.prefix}
    web = f"uvicorn --factory galaxy.webapps.galaxy.fast_factory:factory --host 127.0.0.1 --port {PORT}"
    queues = "celery,galaxy.internal,galaxy.external"
    worker = f"celery --app galaxy.celery worker --pool threads --concurrency {AT_ONCE} --queues {queues}"
    with running("server", web, env) as started:
        wait_until_up(started)
        with running("worker", worker, env):
            yield user_key()


@contextlib.contextmanager
def running(name, module, env):
    """A Python module and its arguments, which runs until the end; its log is in RUN."""
    with open(RUN / f"{name}.log", "w") as log:
        started = subprocess.Popen([sys.executable, "-m", *module.split()], cwd=RUN, env=env, stdout=log, stderr=log)
        try:
            yield started
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
            version = json.load(answer)
            print(f"Galaxy {version['version_major']}.{version['version_minor']} at {URL}", flush=True)
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


def tool_tests(names, key):
    """Run the <tests> of these wrappers on the server, some at a time; returns {name: (passed, all)}."""
    from galaxy.tool_util.cwl import util
    from galaxy.tool_util.verify import script
    from galaxy.tool_util.verify.interactor import GalaxyInteractorApi

    # Galaxy 26.1.2 uploads a folder before the end of its archive is on disk; an unbuffered file has it there
    util.tempfile = SimpleNamespace(NamedTemporaryFile=partial(tempfile.NamedTemporaryFile, buffering=0))
    galaxy = GalaxyInteractorApi(galaxy_url=URL, master_api_key=key, api_key=key, test_data=[str(GALAXY / "test-data")])
    tests = {name: script.build_case_references(galaxy, f"intronaut_{name}") for name in names}
    outcomes = script.Results("Intronaut", str(RUN / "tests.json"))
    outcomes.register_result = partial(report, outcomes.test_results)
    every = [test for tests_of_one in tests.values() for test in tests_of_one]
    how = {"skip_with_reference_data": False, "quiet": True}
    script.test_tools(galaxy, every, outcomes, parallel_tests=AT_ONCE, verify_kwds=how)
    passed = Counter(test["data"]["tool_id"] for test in outcomes.test_results if test["data"]["status"] == "success")
    return {name: (passed[f"intronaut_{name}"], len(tests[name])) for name in names}


def report(results, result):
    """Keep the outcome of a test, and say it as soon as it is there."""
    results.append(result)
    test = result["data"]
    words = [f"{test['tool_id']}, test {test['test_index'] + 1}: {test['status']}"]
    print(*words, *([] if test["status"] == "success" else [problem(test)]), sep="\n    ", file=sys.stderr, flush=True)


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
    """Run the example workflow on the test data, in pieces; returns how many were embedded, and the report's HTML."""
    (path,) = (GALAXY / "workflows").glob("*.ga")
    workflow = galaxy.workflows.import_workflow_from_local_path(str(path))
    history = galaxy.histories.create_history("workflow")["id"]
    files = {"Gene annotation": ("annotation.gff3.gz", "gff3.gz"), "Genome": ("genome.fa.gz", "fasta.gz")}
    given = {}
    for step, entry in workflow_inputs(galaxy, workflow["id"]).items():
        name, kind = files[entry]
        given[step] = {"src": "hda", "id": upload(galaxy, history, GALAXY / "test-data" / name, kind)}
    pieces = {"intronaut_fetch_sequences": {"shard_size": "100"}}
    run = galaxy.workflows.invoke_workflow(workflow["id"], inputs=given, params=pieces, history_id=history)
    galaxy.invocations.wait_for_invocation(run["id"], maxwait=JOB_WITHIN)
    (report,) = [
        output["id"]
        for label, output in galaxy.invocations.show_invocation(run["id"])["outputs"].items()
        if label == "Report"
    ]
    galaxy.datasets.wait_for_dataset(report, maxwait=JOB_WITHIN)
    embedded = len(galaxy.jobs.get_jobs(tool_id="intronaut_embed_motifs", history_id=history, state="ok"))
    # HTML comes as an archive, with the files beside it if there were any
    with zipfile.ZipFile(io.BytesIO(galaxy.datasets.download_dataset(report))) as packed:
        return embedded, packed.read(next(name for name in packed.namelist() if name.endswith(".html")))


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
    """Give free text of hostile values to a tool; returns how many the form or the tool refused, of how many."""
    from bioblend import ConnectionError as Refused

    history = galaxy.histories.create_history("hostile values")["id"]
    labels = upload(galaxy, history, GALAXY / "test-data" / "labels.tsv", "tabular")
    refused = 0
    for text in HOSTILE:
        inputs = {"labels": {"src": "hda", "id": labels}, "match": text}
        try:
            (job,) = galaxy.tools.run_tool(history, "intronaut_match_introns", inputs)["jobs"]
        except Refused:
            refused += 1
        else:
            galaxy.jobs.wait_for_job(job["id"], maxwait=JOB_WITHIN, check=False)
            ended = galaxy.jobs.show_job(job["id"], full_details=True)
            refused += ended["exit_code"] in (2, 65) and ended["tool_stderr"].startswith("match_introns: error: ")
    return refused, len(HOSTILE)


def canaries():
    """Files that a hostile name or value made, anywhere under the server's folder."""
    return list(RUN.rglob("canary"))


def whole(galaxy):
    """The workflow and the hostile names and values; returns rows of the table."""
    pieces, report = run_workflow(galaxy)
    (PLACE / "report.html").write_bytes(report)
    told = all(words in report for words in (b"<svg", b'id="assoc"', b"of 284 labelled introns"))
    marks = hostile_names(galaxy)
    refused, tried = hostile_values(galaxy)
    return [
        ("pieces that the example workflow embedded", pieces, 3),
        ("its report with figures, explanation and all introns", int(told), 1),
        ("hostile names of datasets", len(marks), len(HOSTILE)),
        ("hostile values, refused", refused, tried),
        ("no canary touched", int(not canaries()), 1),
    ]


def main(argv):
    from bioblend.galaxy import GalaxyInstance

    if unknown := set(argv) - set(wrappers()):
        sys.exit(f"no wrapper is called {', '.join(sorted(unknown))}")
    wanted = argv or wrappers()
    failed = 0
    with server() as key:
        rows = [(f"`{name}`", *counts) for name, counts in tool_tests(wanted, key).items()]
        rows += whole(GalaxyInstance(URL, key=key)) if not argv else []
    print("| what | passed |\n|---|---|")
    for what, passed, total in rows:
        print(f"| {what} | {passed} of {total} |")
        failed += total - passed
    sys.exit(f"{failed} failed" if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
