"""Where the pipeline runs: images, profiles, and what they ask of engines and schedulers, which are stand-ins here.

The real ones are in tests/places/.
"""

import importlib.util
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from packaging.requirements import Requirement

from conftest import ROOT
from nextflow_runs import config_of, need_engine, run_nextflow, task_env

CONTAINERS = ROOT / "containers"
IMAGES = sorted(path.parent.name for path in CONTAINERS.glob("*/Dockerfile"))

# keeps what it was called with, and runs what it was given; only its name says what it stands for
STAND_IN = """#!/usr/bin/env bash
name=$(basename "$0")
printf '%s %s\\n' "$name" "$*" >> "$(dirname "$0")/calls"
case $name in
sbatch)
    tasks=$(sed -n 's/^#SBATCH --array //p' "$1" | tr - ' ')
    for task in $(seq ${tasks:-0 0}); do
        SLURM_ARRAY_TASK_ID=$task bash "$1" >/dev/null 2>&1
    done
    echo "Submitted batch job $RANDOM" ;;
conda)
    case $1 in
    env) [ -f "${@: -1}" ] && mkdir -p "$4" ;;
    info) echo "\\"conda_prefix\\": \\"$(dirname "$0")/conda_prefix\\"," ;;
    esac ;;
docker | podman | apptainer | singularity)
    if [ "$1" = pull ]; then touch "$3"; fi
    while [ $# -gt 0 ] && [ "$1" != /bin/bash ]; do shift; done
    [ $# = 0 ] || exec "$@" ;;
sleep) case $1 in *.*) exec /bin/sleep "$1" ;; esac ;;
esac
"""


@pytest.fixture(scope="module", autouse=True)
def engine():
    need_engine()


class Place:
    """A folder with stand-ins on PATH, in which the pipeline's stubs run."""

    def __init__(self, folder):
        self.folder, self.fakes = folder, folder / "fakes"
        (self.fakes / "conda_prefix" / "bin").mkdir(parents=True)
        (self.fakes / "conda_prefix" / "bin" / "activate").touch()
        for name in ("sbatch", "squeue", "scancel", "docker", "podman", "apptainer", "singularity", "conda", "sleep"):
            (self.fakes / name).write_text(STAND_IN)
            (self.fakes / name).chmod(0o755)

    def run(self, script, *args, code=0):
        """Run Nextflow here; returns what it printed."""
        env = task_env()
        env["PATH"] = f"{self.fakes}:{env['PATH']}"
        # what a step asks for is what is tried here
        return run_nextflow(script, self.folder, *args, code=code, env=env, caps=False)

    def stub_run(self, profile, *args):
        """Run the stubs of a study of motifs and Sei with ``profile``."""
        weights, targets = self.folder / "weights", self.folder / "targets"
        weights.touch()
        targets.touch()
        params = ["--embedders", "motifs,sei", "--sei_weights", weights, "--sei_targets", targets]
        return self.run(ROOT, "-stub-run", "-profile", profile, "--outdir", self.folder / "out", *params, *args)

    def commands(self, process):
        """The .command.run of each task of a process, job arrays first."""
        wanted = re.compile(rf"^### name: '(?:\w+:)*{process}\b", re.M)
        texts = [path.read_text() for path in sorted(self.folder.glob("work/*/*/.command.run"))]
        return [text for text in texts if wanted.search(text)]

    def calls(self, name):
        lines = (self.fakes / "calls").read_text().splitlines()
        return [line for line in lines if line.split()[0] == name]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def config(folder, profile, *args):
    """The flat configuration of some profiles: {option: value as text}."""
    printed = config_of(folder, *args, "config", "-flat", "-profile", profile, ROOT)
    return dict(line.split(" = ", 1) for line in printed.splitlines() if " = " in line)


def test_cloud_profiles_keep_what_steps_ask_for_and_lend_gpus(tmp_path):
    site = tmp_path / "site.config"
    lines = (ROOT / "conf" / "site.example.config").read_text().splitlines()
    google = lines[next(i for i, line in enumerate(lines) if line.startswith("// google:")) + 1 :]
    site.write_text("\n".join(line.removeprefix("// ") for line in google[: google.index("")]))
    wanted = {
        "awsbatch,gpu": ("awsbatch", ()),
        "google,gpu": ("google-batch", ("-c", site)),
        "azure,gpu": ("azurebatch", ()),
        "k8s,gpu,arm64": ("k8s", ()),
    }
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(wanted, pool.map(lambda name: config(tmp_path, name, *wanted[name][1]), wanted), strict=True))
    for profile, (executor, _) in wanted.items():
        flat = found[profile]
        assert flat["process.executor"] == f"'{executor}'", profile
        assert flat["process.'withLabel:gpu'.memory"] == "{ 12.GB * task.attempt }", profile
        assert flat["process.'withLabel:gpu'.time"] == "{ 24.h * task.attempt }", profile
        assert flat["process.errorStrategy"].count("retry") == 1, profile
    for profile in ("awsbatch,gpu", "azure,gpu", "k8s,gpu,arm64"):
        assert found[profile]["process.'withLabel:gpu'.accelerator"] == "1", profile
    assert found["google,gpu"]["process.'withLabel:gpu'.accelerator"] == "[request:1, type:'nvidia-l4']"
    assert found["google,gpu"]["process.'withLabel:gpu'.machineType"] == "'g2-standard-8'"
    assert found["azure,gpu"]["process.queue"] == "{ task.accelerator ? 'gpu' : 'cpu' }"
    assert found["k8s,gpu,arm64"]["process.arch"] == "'linux/arm64'"
    # images have a user of their own, who may not write where these mount the work folder
    for profile in ("awsbatch,gpu", "google,gpu", "azure,gpu"):
        assert found[profile]["process.containerOptions"] == "'--user root'", profile
    assert found["k8s,gpu,arm64"]["k8s.runAsUser"] == "0"


def test_slurm_with_apptainer_asks_for_gpus_only_where_they_are_used(place):
    genome = ROOT / "assets" / "demo"
    inputs = ["--gtf", genome / "chr19_6Mb.gff3.gz", "--fasta", genome / "chr19_6Mb.fa.gz"]
    place.stub_run("slurm,apptainer,gpu", *inputs)
    arrays = [run for run in place.commands("EMBED_SEI") if "#SBATCH --array 0-1" in run]
    children = [run for run in place.commands("EMBED_SEI") if "apptainer exec" in run]
    assert (len(arrays), len(children)) == (1, 2)
    for asked in ("-c 2", "--mem 12288M", "-t 24:00:00", "--gres=gpu:1"):
        assert f"#SBATCH {asked}\n" in arrays[0], asked
    assert all(" --nv " in run for run in children)
    fits = place.commands("FIT")
    assert fits
    for run in fits:
        assert "#SBATCH -c 2\n" in run and "#SBATCH --mem 12288M\n" in run and "apptainer exec" in run
        assert "--gres" not in run and " --nv " not in run
    pulled = {call.split()[-1] for call in place.calls("apptainer") if call.split()[1] == "pull"}
    assert {image.split("/")[-1].split(":")[0] for image in pulled} == set(IMAGES)


def test_docker_on_a_workstation_lends_its_gpu_only_to_steps_of_that_label(place):
    place.stub_run("demo,docker,gpu")
    for run in place.commands("EMBED_SEI"):
        assert " --gpus all " in run and "-u $(id -u):$(id -g)" in run and "intronaut/torch:" in run
    others = place.commands("FIT") + place.commands("EMBED_MOTIFS")
    assert others and all("docker run" in run and "--gpus" not in run for run in others)


def test_conda_makes_one_environment_for_each_image(place):
    place.stub_run("demo,conda")
    files = {call.split("--file ")[1] for call in place.calls("conda") if "env create" in call}
    assert files == {str(CONTAINERS / image / "environment.yml") for image in IMAGES}
    fits = place.commands("FIT")
    assert fits and all("bin/activate" in run for run in fits)


def test_only_what_may_pass_is_tried_again_with_more_memory_and_after_a_pause(place):
    place.folder.joinpath("main.nf").write_text("""
        process TRY {
            label 'gpu'
            tag "${code}"
            input: val code
            output: val code
            script: "[ ${task.attempt} -gt ${code == 75 ? 2 : 1} ] || exit ${code}"
        }
        process STOP {
            label 'gpu'
            tag '65'
            input: val codes
            script: 'exit 65'
        }
        workflow { STOP(TRY(channel.of(75, 137)).collect()) }
    """)
    place.folder.joinpath("nextflow.config").write_text(f"""
        includeConfig '{ROOT}/conf/base.config'
        trace.enabled = true
        trace.file = 'trace.tsv'
        trace.fields = 'tag,attempt,exit,memory,time'
        process.executor = 'slurm'
    """)
    place.run(place.folder, code=1)
    rows = sorted(line.split("\t") for line in (place.folder / "trace.tsv").read_text().splitlines()[1:])
    assert rows == [
        ["137", "1", "137", "12 GB", "1d"],
        ["137", "2", "0", "24 GB", "2d"],
        ["65", "1", "65", "12 GB", "1d"],
        ["75", "1", "75", "12 GB", "1d"],
        ["75", "2", "75", "24 GB", "2d"],
        ["75", "3", "0", "36 GB", "3d"],
    ]
    pauses = [call.split()[1] for call in place.calls("sleep") if "." not in call]
    assert pauses == ["30", "60"]


def test_every_process_has_one_image_and_every_image_a_process(tmp_path):
    printed = config_of(tmp_path, "inspect", ROOT, "-profile", "demo", "-format", "json")
    listed = json.loads(printed[printed.index("{") :])["processes"]
    version = re.search(r"version = '(.+)'", (ROOT / "nextflow.config").read_text())[1]
    assert {process["container"] for process in listed} == {f"intronaut/{image}:{version}" for image in IMAGES}
    scripts = [ROOT / "main.nf", *ROOT.glob("workflows/*.nf")]
    text = "".join(path.read_text() for path in scripts)
    names = ";".join(re.findall(r"include \{([^}]*)\} from '\.{1,2}/modules/", text)).split(";")
    # a process that is included under a second name runs under it
    included = [name for name in (name.split()[-1] for name in names) if name.isupper()]
    # --check runs instead of the study
    included.remove("CHECK")
    assert sorted(process["name"].split(":")[-1] for process in listed) == sorted(included)


def lock():
    """containers/lock.py as a module."""
    found = importlib.util.spec_from_file_location("lock", CONTAINERS / "lock.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("image", IMAGES)
def test_image_pins_satisfy_every_script_that_runs_in_it(image):
    locked = lock()
    pins = [Requirement(pin) for pin in locked.pinned(CONTAINERS / image / "requirements.txt")]
    scripts = locked.scripts_of(image)
    assert scripts
    for script in scripts:
        for need in map(Requirement, locked.declared(script)):
            versions = [pin.specifier for pin in pins if pin.name.lower() == need.name.lower()]
            assert versions, f"{script.name} needs {need}; run 'make lock'"
            assert all(need.specifier.contains(str(found).removeprefix("==")) for found in versions), need


@pytest.mark.parametrize("image", IMAGES)
def test_conda_environment_has_the_pins_of_the_image(image):
    listed = re.findall(r'^ +- "(.+)"$', (CONTAINERS / image / "environment.yml").read_text(), re.M)
    assert listed == lock().pinned(CONTAINERS / image / "requirements.txt")


def test_torch_image_for_cpus_differs_by_torch_and_gpu_libraries_only():
    locked, folder = lock(), CONTAINERS / "torch"
    left_out = set(locked.pinned(folder / "requirements.txt")) - set(locked.pinned(folder / "requirements.cpu.txt"))
    assert all(re.match("(torch|cuda|nvidia)[-=]", pin) for pin in left_out) and len(left_out) > 1
    assert set(locked.pinned(folder / "requirements.cpu.txt")) < set(locked.pinned(folder / "requirements.txt"))


@pytest.mark.parametrize("image", IMAGES)
def test_image_runs_as_nobody_special_and_leaves_the_scripts_to_the_pipeline(image):
    text = (CONTAINERS / image / "Dockerfile").read_text()
    env, tool = text.split(" AS env\n")[1].split("FROM env AS tool\n")
    assert re.findall(r"^USER (.+)$", env + tool, re.M) == ["intronaut"]
    assert "COPY bin" not in env and "COPY bin /opt/intronaut/bin" in tool
    for label in ("title", "licenses", "description"):
        assert f"org.opencontainers.image.{label}=" in env
