"""Resumed runs: after a kill, and after an upgrade, when the tasks are repeated whose code has changed."""

import shutil
import signal
import subprocess
import time
from modulefinder import ModuleFinder

import pytest

from conftest import ROOT
from nextflow_runs import need_engine, run_command, run_nextflow, submitted, task_env
from small_study import write_study

BIN = ROOT / "bin"
PIPELINE = ("main.nf", "nextflow.config", "nextflow_schema.json", "bin", "conf", "containers", "modules", "workflows")


@pytest.fixture(scope="module", autouse=True)
def engine():
    need_engine()


def imported_by(script):
    """What Python's own module finder, which reads byte code, says that a script may import of the project."""
    finder = ModuleFinder(path=[str(BIN)])
    finder.run_script(str(script))
    paths = [module.__file__ for module in finder.modules.values() if module.__file__]
    return {path.removeprefix(f"{BIN}/") for path in paths if path.startswith(str(BIN))}


@pytest.mark.slow
def test_code_of_a_tool_is_what_python_would_import_and_the_data_beside_it(tmp_path):
    script = tmp_path / "main.nf"
    script.write_text(f"""
        include {{ codeFiles }} from '{ROOT}/modules/code'
        workflow {{
            codeFiles(file('{BIN}')).each {{ tool, paths -> println "code ${{tool}} ${{paths.join(' ')}}" }}
        }}
    """)
    printed = run_nextflow(script, tmp_path)
    rows = [line.split()[1:] for line in printed.splitlines() if line.startswith("code ")]
    files = {tool: set(paths) for tool, *paths in rows}
    assert files.keys() == {path.stem for path in BIN.glob("*.py")}
    for tool, paths in files.items():
        modules = {path for path in paths if path.endswith(".py")}
        assert modules == imported_by(BIN / f"{tool}.py"), tool
        rooms = {(BIN / path).parent for path in modules} - {BIN}
        data = {
            path for room in rooms for path in room.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")
        }
        assert paths - modules == {str(path.relative_to(BIN)) for path in data}, tool


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The params of a study of sixty genes."""
    annotation, genome = write_study(
        tmp_path_factory.mktemp("study"), {f"gene{number}": f"contig{number % 10}" for number in range(60)}
    )
    return ["--gtf", annotation, "--fasta", genome, "--window", "100", "--embedders", "kmers", "--bootstrap", "100"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, study):
    """Of an unbroken run: its folder, which has a copy of the pipeline too, its steps, and its tables."""
    folder = tmp_path_factory.mktemp("whole")
    for name in PIPELINE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (folder / "pipeline").mkdir(exist_ok=True)
        copy(ROOT / name, folder / "pipeline" / name)
    printed = run_nextflow(folder / "pipeline", folder, *study, "--outdir", folder / "results")
    tables = ("labels/labels.tsv", "fit/kmers_logistic/predictions.tsv", "features/kmers.h5ad")
    return folder, steps(printed), {table: (folder / "results" / table).read_bytes() for table in tables}


def steps(printed):
    """The processes of the submitted tasks, e.g. EMBED_KMERS."""
    return {task.split(" ")[0].split(":")[-1] for task in submitted(printed)}


@pytest.mark.slow
def test_killed_run_resumes_and_ends_with_the_tables_of_an_unbroken_one(tmp_path, study, whole):
    results = ["--outdir", tmp_path / "results"]
    command = run_command(ROOT, tmp_path, *study, *results)
    run = subprocess.Popen(command, cwd=tmp_path, env=task_env(), stdout=subprocess.PIPE, text=True)
    for line in run.stdout:
        if "EMBED_KMERS" in line:
            break
    time.sleep(2)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert not list((tmp_path / "results").glob("fit"))
    assert "LABEL_INTRONS" not in steps(run_nextflow(ROOT, tmp_path, *study, *results, "-resume"))
    for table, unbroken in whole[2].items():
        assert (tmp_path / "results" / table).read_bytes() == unbroken, table


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.slow
def test_resume_after_an_edit_repeats_what_runs_it_and_what_follows(study, whole):
    folder, first, _ = whole
    assert {"LABEL_INTRONS", "EMBED_KMERS", "RECORD_RUN"} < first
    # one constant of k-mer features, and code that no step of this study runs
    code = folder / "pipeline" / "bin" / "intronaut"
    edit(code / "features" / "kmers.py", "(c + g) / max(known.sum(), 1)", "(c + g) * 100.0")
    with open(code / "variants" / "scoring.py", "a") as module:
        module.write("FURTHER = 1\n")
    again = ["--outdir", folder / "results", "-resume"]
    repeated = steps(run_nextflow(folder / "pipeline", folder, *study, *again))
    following = {"MERGE_FEATURES", "FIT", "PARTITION", "EXPLAIN", "EXPLAIN_INTRON", "COMPARE"}
    following |= {"MAKE_TRACKS", "MAKE_REPORT", "RECORD_RUN"}
    assert repeated == {"EMBED_KMERS"} | following
    assert first - repeated == {"LABEL_INTRONS", "FETCH_SEQUENCES", "SPLIT_INTRONS", "AUDIT_SPLIT"}
