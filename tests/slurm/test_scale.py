"""A campaign of 50 seeds and 4 stages on a real Slurm: few questions to its controller, and it heals where 20 jobs die.

The jobs are dry: the stand-in for the trainer sleeps a little, and there is no container.
"""

import re
import subprocess
import time
from collections import Counter
from typing import Any

import pytest

from td3_hpc.errors import ExitCode
from td3_hpc.launch.jobs import slurm as slurm_commands
from td3_hpc.launch.runs.status import read_status
from tests.slurm.cluster import SlurmCluster
from tests.slurm.test_campaign import Trial, package, trial  # noqa: F401 (fixtures)

pytestmark = [pytest.mark.slurm, pytest.mark.long, pytest.mark.timeout(2400)]
SEEDS, STAGES = range(1, 51), "abcd"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Slurm's commands that this process has run."""
    commands, run = list[str](), slurm_commands._run

    def counted(*command: str, **more: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command[0])
        return run(*command, **more)

    monkeypatch.setattr(slurm_commands, "_run", counted)
    return commands


def test_a_campaign_of_200_runs(slurm: SlurmCluster, trial: Trial, asked: list[str]) -> None:  # noqa: F811
    trial.profile = trial.profile.model_copy(update={"container": None, "cpus": 4})  # six jobs at a time
    nodes = ",".join(slurm.node(number) for number in (1, 2, 3))
    slurm.run("scontrol", "update", f"nodename={nodes}", "state=drain", "reason=jobs would take this machine's time")
    began = time.monotonic()

    assert trial.submit({}, {}, {}, {}, seeds=list(SEEDS), plan={"slow": {"a": 0.5}}) == ExitCode.DONE

    print(f"submit: {time.monotonic() - began:.1f} s, {Counter(asked)}")
    # An array for each stage, a job behind each run of the last one; the queue is read once, by one who has the lock.
    assert Counter(asked) == {"sbatch": len(STAGES) + len(SEEDS), "squeue": 1}
    look_at(trial, asked)

    slurm.run("scontrol", "update", f"nodename={nodes}", "state=resume")
    for _ in range(2):
        kill(slurm, trial, "a", 5, "RUNNING")
    kill(slurm, trial, "b", 10, "PENDING")
    before, began = calls(slurm), time.monotonic()
    wait_for_end(trial)

    took, after = time.monotonic() - began, calls(slurm)
    print(f"until the end: {took:.0f} s, { ({name: count - before.get(name, 0) for name, count in after.items()}) }")
    for seed in SEEDS:
        assert trial.verdicts(*STAGES, seed=seed) == ["GO"] * len(STAGES), trial.log(f"*/seed-{seed}")
        for stage in STAGES:
            assert trial.steps(stage, seed) == list(range(1, 11)), f"stage {stage}, seed {seed}"
    look_at(trial, asked)


def look_at(trial: Trial, asked: list[str]) -> None:  # noqa: F811
    """`status` asks once for all that is queued, and once for all that has ended."""
    asked.clear()
    began = time.monotonic()
    status = read_status([trial.root])
    print(f"status: {time.monotonic() - began:.1f} s, {asked}")
    assert len(status.runs) == len(STAGES) * len(SEEDS)
    assert asked in (["squeue"], ["squeue", "sacct"])


def calls(slurm: SlurmCluster) -> dict[str, int]:
    """The messages of each kind that the controller has got, from commands and nodes, as it counts them itself."""
    by_type = slurm.run("sdiag").split("statistics by message type")[1].split("statistics by user")[0]
    return {name: int(count) for name, count in re.findall(r"(\w+)\s+\( *\d+\)\s+count:(\d+)", by_type)}


def kill(slurm: SlurmCluster, trial: Trial, stage: str, count: int, state: str) -> None:  # noqa: F811
    """End jobs of a stage for good, as a user or a broken node would: those that run without a word to them."""
    deadline = time.monotonic() + 120
    while len(found := jobs_in(slurm, trial, stage, state)) < count:
        assert time.monotonic() < deadline, f"{len(found)} jobs of stage {stage} are {state}"
        time.sleep(0.5)
    signal = ["--full", "--signal=KILL"] if state == "RUNNING" else []
    slurm.run("scancel", *signal, *found[:count])


def jobs_in(slurm: SlurmCluster, trial: Trial, stage: str, state: str) -> list[str]:  # noqa: F811
    script = trial.root / "submission" / f"{stage}.sbatch"
    rows = slurm.run("squeue", "-h", "-r", "-t", state, "-o", "%F_%K %o").splitlines()
    return [row.split()[0] for row in rows if row.split()[1:] == [str(script)]]


def wait_for_end(trial: Trial) -> None:  # noqa: F811
    """Without asking all the time, which the controller would count."""
    deadline = time.monotonic() + 2000
    while trial.jobs():
        assert time.monotonic() < deadline, trial.log()[-4000:]
        time.sleep(5)
