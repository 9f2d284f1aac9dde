"""A test cluster for the tests in this folder, gone when they end."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import SlurmCluster, cluster_environment, host_image


@pytest.fixture(scope="session")
def installable() -> None:
    """Skips where the Slurm that the cluster needs is neither there nor can be installed."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    programs = ("slurmctld", "slurmd", "slurmdbd", "mariadbd", "munged", "sbatch", "apptainer")
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


@pytest.fixture(scope="session")
def image(installable: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A container image that this machine's programs are bound into."""
    return host_image(tmp_path_factory.mktemp("image"))
