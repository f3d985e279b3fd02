"""The stub run of every engine, on this machine and on a scheduler, with and without a GPU; engines are stand-ins."""

import pytest

from test_places import Place

GPU_OPTION = {
    "docker": " --gpus all ",
    "podman": " --device nvidia.com/gpu=all ",
    "apptainer": " --nv ",
    "singularity": " --nv ",
    "conda": None,
}


@pytest.mark.parametrize("gpu", ["", ",gpu", ",gpu,arm64"])
@pytest.mark.parametrize("scheduler", ["", ",slurm"])
@pytest.mark.parametrize("engine", GPU_OPTION)
def test_stub_run(tmp_path, engine, scheduler, gpu):
    place = Place(tmp_path)
    printed = place.stub_run(f"demo,{engine}{scheduler}{gpu}")
    assert "STUDY:MAKE_REPORT" in printed
    option, jobs = GPU_OPTION[engine], place.commands("EMBED_SEI")
    assert any("#SBATCH --gres=gpu:1\n" in run for run in jobs) == bool(scheduler and gpu)
    if option:
        assert any(option in run for run in jobs) == bool(gpu)
        assert not any(option in run for run in place.commands("FIT"))
