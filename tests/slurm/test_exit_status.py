"""What follows each exit status of a stage's step, on a real Slurm: td3_hpc/launch/policy/end.py, carried out."""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.slurm.cluster import host_image, wait_until
from tests.slurm.counting_stage import Stage

pytestmark = pytest.mark.slurm


def test_a_killed_container_is_started_again_from_its_last_checkpoint(stage: Stage) -> None:
    stage.plan(step_s=0.1, save_every=5)
    stage.submit()
    wait_until(lambda: (stage.run / "state" / "checkpoint-e0001-s000000005-0001.json").exists(), 40, stage.log)

    stage.slurm.run("scancel", "--signal=KILL", f"{stage.job}.0")

    stage.hurry()
    stage.slurm.wait_for_state(stage.job, "COMPLETED")
    assert stage.events("started")[1]["step"] >= 5
    assert "killed, out of memory perhaps" in stage.log()


@pytest.mark.parametrize("status", [1, 3])
def test_the_stages_exit_status_is_the_jobs(stage: Stage, status: int) -> None:
    stage.plan(total=2, status=status)
    stage.submit()

    job = stage.slurm.wait_for_state(stage.job, "FAILED")

    assert job["ExitCode"] == f"{status}:0"
    assert job["Restarts"] == "0"


@pytest.mark.long
def test_a_run_that_gets_nowhere_stops_with_a_reason(stage: Stage) -> None:
    stage.plan(gets_nowhere=True)
    stage.submit()

    for count in (1, 2, 3):
        stage.wait_for_starts(count)
        stage.hurry()
    job = stage.slurm.wait_for_state(stage.job, "FAILED")

    assert job["ExitCode"] == "1:0"
    assert len(stage.events("started")) == 3
    assert "3 attempts got no further than step 0" in stage.log()


def test_a_node_whose_simulator_never_came_up_is_kept_out_of_the_next_attempt(stage: Stage) -> None:
    stage.plan(simulator_from=1)
    stage.submit()
    stage.wait_for_starts(1)

    stage.hurry()

    job = stage.slurm.wait_for_state(stage.job, "COMPLETED")
    bad, good = re.findall(r"on (\S+): start, from step", stage.log())
    assert (job["ExcNodeList"], job["NodeList"]) == (bad, good)
    assert f"the simulator never came up on {bad}; the next attempt" in stage.log()


@pytest.mark.long
def test_a_node_that_lacks_what_another_one_had_is_kept_out_of_the_next_attempt(stage: Stage, tmp_path: Path) -> None:
    stage.image = host_image(tmp_path)
    stage.plan(step_s=0.2)
    stage.submit()
    stage.wait_for_starts(1)
    stage.image.rename(tmp_path / "away.sif")
    stage.slurm.run("scancel", "--signal=USR1", stage.job)
    stage.hurry()
    wait_until(lambda: "no such image on this node" in stage.log(), 40, stage.log)
    (tmp_path / "away.sif").rename(stage.image)

    stage.hurry()

    stage.finish()
    bad = re.findall(r"attempt 1 on (\S+): \S+: no such image", stage.log())
    job = stage.slurm.job(stage.job)
    assert [job["ExcNodeList"]] == bad != [job["NodeList"]]


@pytest.mark.long
def test_a_step_that_ends_as_where_apptainer_fails_goes_on_on_another_node(stage: Stage) -> None:
    stage.plan(save_every=5, status=255)
    stage.submit()
    stage.wait_for_starts(1)
    bad = stage.node

    wait_until(lambda: stage.outcome() == "75", 40, stage.log)
    stage.plan(save_every=5)
    stage.hurry()

    job = stage.slurm.wait_for_state(stage.job, "COMPLETED")
    assert (job["ExcNodeList"], job["Restarts"]) == (bad, "1")
    assert "exit status 255, as where something is missing, on" in stage.log()


@pytest.mark.long
def test_a_step_that_slurm_does_not_begin_is_tried_again(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """srun fails once, as it does while the controller is away."""
    program = f'#!/bin/bash\nmkdir {tmp_path}/once 2>/dev/null && exit 1\nexec {shutil.which("srun")} "$@"\n'
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text(program)
    (tmp_path / "bin" / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    stage.submit()

    stage.finish()

    assert "the step never began" in stage.log()
    assert len(stage.events("started")) == 1


def test_where_there_is_no_other_node_a_simulator_that_never_comes_up_fails_the_job(stage: Stage) -> None:
    stage.plan(simulator_from=1)
    others = [stage.slurm.node(number) for number in (1, 2)]
    stage.submit(exclude=others)

    job = stage.slurm.wait_for_state(stage.job, "FAILED")

    assert (job["ExitCode"], job["Restarts"]) == ("1:0", "0")
    assert f"never came up on {stage.slurm.node(3)}, and partition low has no other node" in stage.log()
