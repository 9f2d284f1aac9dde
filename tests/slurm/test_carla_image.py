"""carla.def, with its base image replaced by a stand-in of the same layout, trains in a job as it would with CARLA."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from td3_hpc.launch.images import build, build_environment, debian_image
from tests.slurm.training_job import Training, small_stage

pytestmark = [pytest.mark.slurm, pytest.mark.long]
STAND_IN = Path(__file__).parent / "carla_stand_in"


@pytest.fixture(scope="module")
def carla_image(installable: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """carla.sif, built as users build it, but from the stand-in and without the network."""
    directory = tmp_path_factory.mktemp("carla")
    base = directory / "base.sif"
    command = ["apptainer", "build", "--force", f"--build-arg=BASE={debian_image()}", f"--build-arg=HERE={STAND_IN}"]
    subprocess.run(
        [*command, str(base), str(STAND_IN / "carla.def")], env=build_environment(), check=True, capture_output=True
    )
    arguments = {"BOOTSTRAP": "localimage", "BASE": str(base), "PIP_OPTIONS": "--no-index"}
    return build("carla", directory / "carla.sif", arguments).path


def test_a_job_trains_with_the_simulator_of_the_carla_image(make: Callable[..., Training], carla_image: Path) -> None:
    stage = small_stage(total_steps=240, learning_starts=160)
    stage["simulator"].update(kind="carla", carla_root="/opt/carla")
    stage["environment"]["reset"] = "respawn"
    training = make("run", stage, carla_image)
    container = {"binds": [], "python": "/opt/td3-hpc/bin/python", "code": "image", "gpu": "nvidia"}
    training.submit(container={**container, "network": "loopback"})
    training.wait_for(lambda: training.step() >= 20)

    # What Unreal would write beside its binary is on the job's own disk, its HOME in the run directory.
    address = training.simulator()
    (scratch,) = training.scratch.iterdir()
    starts = (scratch / "tmp" / "Logs" / "CarlaUE4.log").read_text().splitlines()  # the evaluation's server, too
    (options,) = (start.split() for start in starts if start.endswith(f" -carla-rpc-port={address['port']}"))
    assert options[0] == "CarlaUE4"
    assert "-RenderOffScreen" in options
    environment = (training.run / "simulators" / "home-training" / ".config" / "Epic" / "environment").read_text()
    assert environment.split() == ["/etc/vulkan/icd.d/nvidia_icd.json", "offscreen"]

    training.preempt()
    training.wait_for(lambda: len(training.events("stopped")) == 1)
    training.hurry()
    training.finish()
    assert training.slurm.job(training.job)["Restarts"] == "1"
