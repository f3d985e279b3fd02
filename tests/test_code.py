"""A resumed run after an upgrade: which code a tool can run, and that its tasks are repeated when that changes."""

import shutil
from modulefinder import ModuleFinder

import pytest

from conftest import ROOT
from nextflow_runs import need_engine, run_nextflow, submitted
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


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.slow
def test_resume_after_an_edit_repeats_what_runs_it_and_what_follows(tmp_path):
    pipeline = tmp_path / "pipeline"
    pipeline.mkdir()
    for name in PIPELINE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, pipeline / name)
    annotation, genome = write_study(tmp_path, {f"gene{number}": f"contig{number % 10}" for number in range(60)})
    given = ["--gtf", annotation, "--fasta", genome, "--window", "100", "--embedders", "kmers", "--bootstrap", "100"]
    given += ["--tax_group", "nematodes", "--outdir", tmp_path / "results", "-resume"]
    first = steps(run_nextflow(pipeline, tmp_path, *given))
    assert {"LABEL_INTRONS", "EMBED_KMERS", "RECORD_RUN"} < first
    # one constant of k-mer features, and code that no step of this study runs
    edit(pipeline / "bin" / "intronaut" / "features" / "kmers.py", "(c + g) / max(known.sum(), 1)", "(c + g) * 100.0")
    with open(pipeline / "bin" / "intronaut" / "variants" / "scoring.py", "a") as module:
        module.write("FURTHER = 1\n")
    repeated = steps(run_nextflow(pipeline, tmp_path, *given))
    following = {"MERGE_FEATURES", "FIT", "PARTITION", "EXPLAIN", "EXPLAIN_INTRON", "COMPARE"}
    following |= {"MAKE_TRACKS", "MAKE_REPORT", "RECORD_RUN"}
    assert repeated == {"EMBED_KMERS"} | following
    assert first - repeated == {"LABEL_INTRONS", "FETCH_SEQUENCES", "SPLIT_INTRONS", "AUDIT_SPLIT"}


def steps(printed):
    """The processes of the submitted tasks, e.g. EMBED_KMERS."""
    return {task.split(" ")[0].split(":")[-1] for task in submitted(printed)}
