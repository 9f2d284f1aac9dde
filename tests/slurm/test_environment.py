"""What a submitter's environment holds neither breaks nor steers a job: on a real Slurm, without a container."""

import json
import subprocess
from pathlib import Path

import pytest

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.jobs.submission import Route, Submission, submit
from tests.slurm.cluster import SlurmCluster
from tests.slurm.counting_stage import STAGE, STAND_IN

pytestmark = pytest.mark.slurm


@pytest.fixture
def run(slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory whose stand-in counts to 3; the cluster is known to this process."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    run = tmp_path / "run"
    run.mkdir()
    (run / "plan.json").write_text(json.dumps({"total": 3, "step_s": 0.01}))
    return run


def queue(run: Path, route: Route = "sbatch") -> Submission:
    settings = {"partition": "low", "cpus": 2, "memory_gib": 0.5, "walltime_minutes": 10, "signal_lead_s": 60}
    profile = ClusterConfig.model_validate({**settings, "scratch": run.parent})
    return submit(STAGE, profile, run, route=route, package=STAND_IN)


def log(run: Path) -> str:
    return "".join(path.read_text() for path in sorted((run / "logs").glob("slurm-*")))


@pytest.mark.parametrize(
    "left",
    [
        {"SBATCH_EXPORT": "NONE", "SLURM_EXPORT_ENV": "NONE"},
        {"SLURM_EXPORT_ENV": "NONE", "SLURM_CPU_BIND": "none", "SLURM_MEM_PER_CPU": "10", "SLURM_MEM_PER_NODE": "10"},
        {"SLURM_NTASKS": "4", "SLURM_CPUS_PER_TASK": "1", "SLURM_TRES_PER_TASK": "cpu=1", "SLURM_GPUS": "9"},
        {"SBATCH_TIMELIMIT": "1", "SBATCH_NO_REQUEUE": "1", "SBATCH_JOB_NAME": "x", "SQUEUE_PARTITION": "high"},
    ],
)
def test_the_job_runs_as_the_profile_says(
    slurm: SlurmCluster, run: Path, monkeypatch: pytest.MonkeyPatch, left: dict[str, str]
) -> None:
    for name, value in left.items():
        monkeypatch.setenv(name, value)

    (job,) = queue(run).jobs

    told = slurm.wait_for_state(job, "COMPLETED", "FAILED", "TIMEOUT")
    assert told["JobState"] == "COMPLETED", log(run)
    assert (told["TimeLimit"], told["Requeue"], told["JobName"]) == ("00:10:00", "1", "td3-1k-run")


@pytest.mark.parametrize("step", [[], ["srun", "--ntasks=1"]], ids=["in the job", "in a step of it"])
def test_a_job_that_is_submitted_from_inside_a_job(slurm: SlurmCluster, run: Path, step: list[str]) -> None:
    """As by salloc: its memory by the CPU and its binding are in the environment there, and are handed on. A step has
    more of its own: Slurm 24.11 names its memory there, which no job may be asked for beside that of the profile."""
    script = queue(run, route="hand").script
    inside = ["salloc", "-p", "low", "--mem-per-cpu=50", *step]
    inside += ["env", "SLURM_CPU_BIND=none", "SLURM_HINT=nomultithread"]
    command = [*inside, "sbatch", "--parsable", str(script)]

    result = subprocess.run(command, env=slurm.environment, capture_output=True, text=True, timeout=60)

    assert result.returncode == 0, result.stderr
    told = slurm.wait_for_state(result.stdout.split()[-1], "COMPLETED", "FAILED")
    assert told["JobState"] == "COMPLETED", log(run)


def test_by_hand_the_log_names_what_the_environment_overrides(slurm: SlurmCluster, run: Path) -> None:
    script = queue(run, route="hand").script
    environment = {**slurm.environment, "SBATCH_TIMELIMIT": "7"}

    job = subprocess.run(
        ["sbatch", "--parsable", str(script)], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()

    assert slurm.wait_for_state(job, "COMPLETED", "FAILED")["TimeLimit"] == "00:07:00"
    assert "SBATCH_TIMELIMIT=7 was in the environment of sbatch" in log(run)
