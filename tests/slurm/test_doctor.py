"""`td3-hpc doctor` on a real Slurm, in a real container: a good node, and each fault by a real cause."""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from td3_hpc.config import StageConfig
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.doctor.examination import examine_nodes
from td3_hpc.launch.doctor.result import DoctorResult, read_result
from td3_hpc.launch.preflight import CheckResult, examine, judge
from td3_hpc.launch.preflight.plan import Plan
from tests.launch.preflight.plans import stage
from tests.slurm.cluster import SlurmCluster, cluster_environment, host_binds, wait_until

pytestmark = pytest.mark.slurm
SMALL = (
    "training.threads=1",
    "environment.town=Hamlet",
    "environment.max_decisions=15",
    "environment.traffic.vehicles=3",
    "environment.route.min_length_m=40",
    "environment.route.max_length_m=120",
    "agent.batch_size=8",
)


class Site:
    """A place to run the doctor at."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image, self.folder = image, folder
        self.runs = folder / "runs"
        self.logged: list[str] = []

    def profile(self, **changes: Any) -> ClusterConfig:
        container = {"image": self.image, "binds": host_binds(), "python": sys.executable, "code": "checkout"}
        container |= changes.pop("container", {})
        settings = {"partition": "low", "cpus": 2, "memory_gib": 2, "walltime_minutes": 10, "signal_lead_s": 60}
        settings |= {"gres": "gpu:1", "scratch": self.folder, "runs": self.runs, "container": container}
        return ClusterConfig.model_validate({**settings, **changes})

    def examine(
        self, profile: ClusterConfig, config: StageConfig | None = None, tell: Callable[[str], None] | None = None
    ) -> tuple[DoctorResult, dict[str, CheckResult]]:
        """The doctor's result, and its findings by check."""
        config = config or stage(*SMALL)
        result = examine_nodes(config, profile, "site", tell or self.logged.append)
        return result, {finding.check: finding for finding in judge(config, profile, "site", result)}

    def program(self, name: str, text: str) -> Path:
        """A script of a name, in the folder."""
        path = self.folder / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def left_behind(self) -> list[str]:
        """Command lines of the job's processes that still live."""
        lines = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
        return [line for line in lines if str(self.runs) in line]


@pytest.fixture
def site(slurm: SlurmCluster, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The test cluster; afterwards nothing of the doctor's job may be left."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    site = Site(image, tmp_path)
    yield site
    wait_until(lambda: not site.left_behind(), 20, lambda: str(site.left_behind()))


def test_a_good_node_is_measured_and_preflight_uses_it(site: Site, slurm: SlurmCluster) -> None:
    profile = site.profile()

    result, findings = site.examine(profile)

    assert {check: finding.found for check, finding in findings.items() if finding.status != "ok"} == {}
    assert result.node in [slurm.node(number) for number in (1, 2, 3)]
    assert result.usr1
    assert result.usr1.arrived
    assert result.restart
    assert result.restart.restarted
    assert result.restart.seconds
    assert result.restart.seconds > 4  # Slurm holds a requeued job back for six seconds here
    assert slurm.job(result.job)["Restarts"] == "1"
    assert "the embedded simulator needs none" in findings["Vulkan"].found
    assert findings["camera frame"].found.startswith("embedded 0.9.16, Hamlet, ready in")
    assert read_result(profile, "site") == result
    assert any(line.endswith("measuring simulation") for line in site.logged)

    before = {finding.check: finding for finding in examine(Plan("site", profile, site.runs / "run", stage(*SMALL)))}
    assert f"on {result.node}, batch 8" in before["walltime"].found
    assert "60 s for a checkpoint that takes" in before["signal lead time"].found
    assert before["SIGUSR1"].status == "ok"


def test_an_interrupted_doctor_takes_its_job_along(site: Site, slurm: SlurmCluster) -> None:
    jobs: list[str] = []

    def interrupt(line: str) -> None:
        jobs.append(line.split()[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.examine(site.profile(), tell=interrupt)

    slurm.wait_for_state(jobs[0], "CANCELLED")
    assert read_result(site.profile(), "site") is None


@pytest.mark.long
def test_carla_on_a_node_without_vulkan_is_told(site: Site) -> None:
    root = site.folder / "carla"
    binary = root / "CarlaUE4" / "Binaries" / "Linux" / "CarlaUE4-Linux-Shipping"
    binary.parent.mkdir(parents=True)
    stand_in = Path(__file__).parent / "carla_stand_in" / binary.name
    text = stand_in.read_text().replace("/opt/td3-hpc/bin/python", sys.executable)
    binary.write_text(text.replace('"$VK_ICD_FILENAMES $SDL_VIDEODRIVER"', "none"))
    binary.chmod(0o755)
    container = {"binds": [*host_binds(), str(root)], "environment": {"PYTHONPATH": str(Path.cwd())}, "gpu": "nvidia"}
    carla = stage(*SMALL, "simulator.kind=carla", f"simulator.carla_root={root}", "simulator.hang_timeout_s=30")

    result, findings = site.examine(site.profile(container=container), carla)

    assert result.vulkan
    assert not result.vulkan.devices
    assert findings["Vulkan"].status == "mistake"
    assert findings["Vulkan"].found.startswith(f"no Vulkan device on {result.node}: ")
    assert findings["GPU"].status == "mistake"  # Slurm's GPUs here are links to /dev/null
    assert findings["camera frame"].found.startswith("carla 0.9.16")


@pytest.mark.long
def test_a_signal_that_is_blocked_on_its_way_never_arrives(site: Site) -> None:
    # What a process blocks, its children inherit blocked: Python's handler is set, and never called.
    python = site.program("python", f'exec env --block-signal=USR1 {sys.executable} "$@"')
    container = {"python": str(python), "binds": [*host_binds(), str(site.folder)]}

    result, findings = site.examine(site.profile(container=container))

    assert result.usr1
    assert not result.usr1.arrived
    assert not result.usr1.killed
    assert findings["SIGUSR1"].status == "mistake"
    assert "was sent and never arrived" in findings["SIGUSR1"].found
    assert findings["SIGTERM"].status == "ok"
    assert findings["restart"].status == "ok"


@pytest.mark.long
def test_a_shell_that_dies_of_the_signal_is_told(site: Site) -> None:
    python = site.program("python", f'{sys.executable} "$@"\nexit $?')  # no exec: the shell stands in between
    container = {"python": str(python), "binds": [*host_binds(), str(site.folder)]}

    _, findings = site.examine(site.profile(container=container))

    assert findings["SIGUSR1"].status == "mistake"
    assert "ended the job's step before the trainer could save" in findings["SIGUSR1"].found
    assert findings["restart"].status == "ok"


@pytest.mark.long
def test_a_job_that_may_not_be_requeued_is_told_of_the_chain(site: Site, slurm: SlurmCluster) -> None:
    def forbid(line: str) -> None:
        if "measuring" in line:  # as a site's job_submit plugin would
            slurm.run("scontrol", "update", f"jobid={line.split()[1]}", "requeue=0")

    result, findings = site.examine(site.profile(), tell=forbid)

    assert result.restart
    assert not result.restart.restarted
    assert findings["restart"].status == "mistake"
    assert "Slurm does not requeue it" in findings["restart"].found
    assert findings["restart"].change.startswith("set requeue: chain")


@pytest.mark.long
def test_the_jobs_of_a_chain_follow_each_other(site: Site) -> None:
    result, findings = site.examine(site.profile(requeue="chain", chain_length=2))

    assert result.restart
    assert result.restart.restarted
    assert findings["SIGUSR1"].status == findings["SIGTERM"].status == "ok"


@pytest.mark.long
def test_a_step_that_gets_one_cpu_is_told(
    installable: None, image: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"NODES": "1", "CPUS": "2", "ACCOUNTING": "0", "EXTRA": "TaskPlugin=task/affinity"}
    cluster = SlurmCluster(cluster_environment(place, **settings), place)
    site = Site(image, tmp_path)
    # A site's wrapper that does not know the option, on a Slurm that gives a step no more than it asks for.
    site.program("srun", f'exec {shutil.which("srun")} --exact "${{@/--cpus-per-task=*/--quiet}}"')
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    try:
        up = cluster.manage("up")
        assert up.returncode == 0, up.stdout + up.stderr
        result, findings = site.examine(site.profile())
    finally:
        assert cluster.manage("down").returncode == 0

    assert result.step_cpus
    assert result.step_cpus.affinity == 1
    assert findings["CPUs of the step"].status == "mistake"
    assert findings["CPUs of the step"].found.startswith("1 of 2 asked for (affinity 1")
