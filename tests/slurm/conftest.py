"""A test cluster for the tests in this folder, gone when they end."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.cluster import SlurmCluster, cluster_environment, commands_of_this_slurm, host_image
from tests.slurm.counting_stage import STAGE, STAND_IN, Stage
from tests.slurm.training_job import Training


@pytest.fixture(scope="session", autouse=True)
def own_commands() -> Iterator[None]:
    """The commands of the tests' Slurm are this process's and its children's, whatever else this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([*commands_of_this_slurm(), os.environ["PATH"]]))
        yield


@pytest.fixture(scope="session")
def installable() -> None:
    """Skips where the Slurm that the cluster needs is neither there nor can be installed."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    programs = ["mariadbd", "apptainer"]
    if not commands_of_this_slurm():
        programs += ["slurmctld", "slurmd", "slurmdbd", "munged", "sbatch"]
    missing = [name for name in programs if not shutil.which(name, path=path)]
    if missing and (os.getuid() != 0 or not shutil.which("apt-get")):
        pytest.skip(f"no test cluster here: {', '.join(missing)} missing, and only root on Debian can install them")


@pytest.fixture(scope="session")
def slurm(installable: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A running cluster of three nodes."""
    directory = tmp_path_factory.mktemp("slurm") / "c"
    cluster = SlurmCluster(cluster_environment(directory), directory)
    try:
        up = cluster.manage("up")
        assert up.returncode == 0, up.stdout + up.stderr
        yield cluster
    finally:
        down = cluster.manage("down")
        assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a cluster, not there yet; its name is short, since those of the sockets in it are limited."""
    return tmp_path_factory.mktemp("slurm") / "c"


@pytest.fixture(scope="session")
def image(installable: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A container image that this machine's programs are bound into."""
    return host_image(tmp_path_factory.mktemp("image"))


@pytest.fixture
def stage(slurm: SlurmCluster, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage to submit; afterwards nothing of its job may be left."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    stage = Stage(slurm, image, tmp_path / "run", STAGE, STAND_IN)
    stage.plan()
    yield stage
    stage.end()


@pytest.fixture
def make(
    slurm: SlurmCluster, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Training]]:
    """`make(name, stage)` is a run of a stage; afterwards nothing of its job may be left."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    made: list[Training] = []

    def make(name: str, stage: dict[str, Any], image: Path = image) -> Training:
        made.append(Training(slurm, image, tmp_path / name, stage))
        return made[-1]

    yield make
    for training in made:
        training.end()
