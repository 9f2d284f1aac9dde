"""Training simulators on two nodes of a real job: the place changes nothing, and a lost step is made good."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.slurm.training_job import Training, small_stage

pytestmark = [pytest.mark.slurm, pytest.mark.long]
SIMULATORS, NODES = 3, 2


def stage(total_steps: int) -> dict[str, Any]:
    return {**small_stage(total_steps=total_steps, learning_starts=20), "simulators": SIMULATORS}


def steps(training: Training) -> dict[str, str]:
    """{step of the job: its node}, for the steps with a simulator."""
    lines = training.slurm.run("squeue", "-hs", "-j", training.job, "-o", "%i %j %N").splitlines()
    return {step: node for step, name, node in map(str.split, lines) if name == "bash"}


def same_bytes(one: Training, other: Training) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "td3_hpc", "checkpoint", "diff", str(one.run), str(other.run)]
    return subprocess.run(command, capture_output=True, text=True)


def test_simulators_on_two_nodes_train_as_on_one_though_a_step_is_lost_and_the_job_preempted(
    make: Callable[..., Training],
) -> None:
    on_one, on_two = make("one", stage(90)), make("two", stage(90))
    assert on_one.submit(scheduler="local").status in (0, 3)

    on_two.submit(nodes=NODES)
    on_two.wait_for(lambda: on_two.step() >= 10)
    ((step, node),) = steps(on_two).items()
    assert node != on_two.slurm.job(on_two.job)["BatchHost"]
    on_two.slurm.run("scancel", "--signal=KILL", step)
    lost_at = on_two.step()
    on_two.wait_for(lambda: on_two.step() >= lost_at + 6)
    assert f"the step of simulator 1 on {node} ended" in on_two.log()
    on_two.slurm.run("scancel", "--signal=USR1", on_two.job)
    on_two.hurry()
    on_two.finish()

    lost = [event.get("simulator") for event in on_two.events("worker")]
    assert set(lost) == {1}, "the simulator whose step was killed, and no other"
    remote = json.loads((on_two.run / "simulators" / "simulator-training-1.json").read_text())
    assert remote["status"] == "stopped"
    result = same_bytes(on_one, on_two)
    assert result.returncode == 0, result.stdout + result.stderr
