"""The one-machine test cluster is a real Slurm: it runs, preempts and requeues jobs, and leaves nothing behind."""

import re
from pathlib import Path

import pytest

from tests.slurm.cluster import SlurmCluster, cluster_environment, wait_until

pytestmark = pytest.mark.slurm
EVERYTHING_OF_A_NODE = ["--exclusive", "--mem=0"]


def processes_naming(text: str) -> list[str]:
    """Command lines of the live processes that name a text there or in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"SLURM_CONF={text}".encode() in environment and b"pytest" not in command:
            found.append(command.replace(b"\0", b" ").decode())
    return found


def test_three_nodes_run_a_job_with_a_gpu_each(slurm: SlurmCluster) -> None:
    output = slurm.run("srun", "-N3", "--gres=gpu:1", "sh", "-c", "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES")

    assert sorted(output.splitlines()) == [f"{slurm.node(number)} 0" for number in (1, 2, 3)]


def test_up_again_changes_nothing(slurm: SlurmCluster) -> None:
    before = slurm.manage("status").stdout.splitlines()[:7]

    again = slurm.manage("up")

    assert again.returncode == 0, again.stderr
    assert slurm.manage("status").stdout.splitlines()[:7] == before
    assert all("pid" in line for line in before)


def test_a_job_of_a_higher_partition_preempts_and_the_lower_one_starts_again(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    log = tmp_path / "runs"
    node = [*EVERYTHING_OF_A_NODE, f"--nodelist={slurm.node(1)}"]
    low = slurm.submit(f"echo ${{SLURM_RESTART_COUNT:-0}} >> {log}; exec sleep 300", "--requeue", *node)
    wait_until(log.exists, 30)

    high = slurm.submit("true", "--partition=high", *node)

    slurm.wait_for_state(high, "COMPLETED")
    wait_until(lambda: log.read_text() == "0\n1\n", 40, lambda: str(slurm.job(low)))
    assert slurm.job(low)["Restarts"] == "1"
    slurm.run("scancel", low)


def test_accounting_remembers_how_a_job_ended(slurm: SlurmCluster) -> None:
    job = slurm.submit("exit 7")
    slurm.wait_for_state(job, "FAILED")

    def line() -> str:
        return slurm.run("sacct", "-nXP", "-j", job, "-o", "State,ExitCode")

    wait_until(lambda: line() == "FAILED|7:0", 20, line)


@pytest.mark.long
def test_a_lost_node_is_noticed_and_comes_back(slurm: SlurmCluster) -> None:
    assert slurm.manage("kill-node", "3").returncode == 0

    wait_until(lambda: slurm.node_state(slurm.node(3)).startswith("DOWN"), 90)
    assert slurm.manage("start-node", "3").returncode == 0

    wait_until(lambda: slurm.node_state(slurm.node(3)) == "IDLE", 60)


@pytest.mark.parametrize("accounting", ["1", pytest.param("0", marks=pytest.mark.long)])
def test_down_leaves_nothing_behind(installable: None, place: Path, tmp_path: Path, accounting: str) -> None:
    cluster = SlurmCluster(cluster_environment(place, NODES="1", ACCOUNTING=accounting), place)
    try:
        up = cluster.manage("up")
        assert up.returncode == 0, up.stderr
        stubborn = tmp_path / "stubborn.sh"
        stubborn.write_text("#!/bin/bash\ntrap '' TERM USR1\necho $$ > started\nwhile :; do sleep 1; done\n")
        job = cluster.submit(stubborn, f"--chdir={tmp_path}")
        wait_until((tmp_path / "started").exists, 90, lambda: cluster.why(job))
        queued = cluster.submit("true", "--begin=now+1hour")
        assert cluster.job(queued)["JobState"] == "PENDING"

        down = cluster.manage("down")

        assert down.returncode == 0, down.stderr
        assert not place.exists()
        wait_until(lambda: not processes_naming(str(place)), 10, lambda: str(processes_naming(str(place))))
        assert not list(Path("/sys/fs/cgroup/freezer").glob(f"slurm_{cluster.node(1)}"))
        again = cluster.manage("down")
        assert again.returncode == 0, again.stderr
    finally:
        cluster.manage("down")


def test_a_taken_port_and_bad_settings_are_one_clear_line_each(
    installable: None, place: Path, slurm: SlurmCluster
) -> None:
    def up(**settings: str) -> tuple[int, str]:
        other = {f"TD3_HPC_CLUSTER_{name}": value for name, value in ({"DIR": str(place)} | settings).items()}
        done = SlurmCluster({**slurm.environment, **other}, place).manage("up")
        return done.returncode, done.stderr

    status, taken = up()
    assert status == 1
    assert taken.startswith("testcluster: port ")
    assert "set TD3_HPC_CLUSTER_PORT" in taken
    assert up(NODES="many") == (1, "testcluster: TD3_HPC_CLUSTER_NODES=many: set it to a whole number from 1 up\n")
    assert not place.exists()


def test_a_cluster_keeps_its_slurm(slurm: SlurmCluster) -> None:
    other = "22.05" if slurm.environment.get("TD3_HPC_CLUSTER_SLURM") == "24.11" else "24.11"

    refused = SlurmCluster({**slurm.environment, "TD3_HPC_CLUSTER_SLURM": other}, slurm.directory).manage("up")

    assert refused.returncode == 1
    assert f"{slurm.directory} is a cluster of Slurm" in refused.stderr
    assert f"not {other}: end it by" in refused.stderr


@pytest.mark.long
def test_a_newer_slurm_without_the_network_is_one_clear_line(installable: None, place: Path, tmp_path: Path) -> None:
    environment = cluster_environment(place) | {"TD3_HPC_CLUSTER_SLURM": "24.11", "XDG_CACHE_HOME": str(tmp_path)}
    environment |= dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")  # where nothing listens

    up = SlurmCluster(environment, place).manage("up")

    assert up.returncode == 1
    assert re.fullmatch(r"testcluster: .* could not be fetched from .*; see to the network and try again\n", up.stderr)
    assert not place.exists()
    assert not (tmp_path / "td3-hpc" / "slurm-24.11").exists(), "half of it would be taken for the whole"


def test_a_directory_whose_name_just_fits_runs_jobs_and_a_longer_one_is_refused(installable: None, place: Path) -> None:
    """A socket's name has at most 107 characters on Linux; where that is too few, Slurm holds every job."""
    environment = cluster_environment(place, NODES="1", ACCOUNTING="0", EXTRA="FirstJobId=999990")
    room = re.search(r"at most (\d+) characters", refused(environment, place / ("x" * 100)))
    assert room
    longest = place.with_name("x" * (int(room[1]) - len(str(place.parent)) - 1))
    refused(environment, Path(f"{longest}x"))
    cluster = in_directory(environment, longest)
    try:
        up = cluster.manage("up")
        assert up.returncode == 0, up.stderr
        cluster.wait_for_state(cluster.submit("true"), "COMPLETED")
    finally:
        cluster.manage("down")


def refused(environment: dict[str, str], directory: Path) -> str:
    """What is said of a directory that cannot be; fails the test when it can."""
    up = in_directory(environment, directory).manage("up")
    assert up.returncode == 1
    assert up.stderr.startswith(f"testcluster: TD3_HPC_CLUSTER_DIR={directory}: ")
    assert not directory.exists()
    return up.stderr


def in_directory(environment: dict[str, str], directory: Path) -> SlurmCluster:
    """A cluster of these settings in another directory."""
    changes = {"TD3_HPC_CLUSTER_DIR": str(directory), "SLURM_CONF": str(directory / "etc" / "slurm.conf")}
    return SlurmCluster({**environment, **changes}, directory)
