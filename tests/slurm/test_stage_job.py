"""A stage's job on a real Slurm, in a real Apptainer container: however Slurm ends it, no work is lost.

The stand-in for the trainer counts steps; what is tested is everything around it.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from td3_hpc.config import load_stage
from td3_hpc.drills.node_lost import number_of
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs.submission import Route
from td3_hpc.submission_folder import SubmissionFolder
from tests.slurm.cluster import SlurmCluster, host_image, wait_until
from tests.slurm.counting_stage import STAGE, STAND_IN, Stage

pytestmark = pytest.mark.slurm
BOTH_ROUTES = pytest.mark.parametrize("route", ["sbatch", "submitit"])
SUBMITIT_IS_LONG = pytest.mark.parametrize("route", ["sbatch", pytest.param("submitit", marks=pytest.mark.long)])


@BOTH_ROUTES
def test_a_job_runs_its_stage_in_the_container_and_nothing_of_the_users_environment_gets_in(
    stage: Stage, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    stage.submit(route, container={"environment": {"GREETING": 'a "b", c=d $HOME'}})

    stage.finish()

    (started,) = stage.events("started")
    environment = started["environment"]
    assert environment["APPTAINER_NAME"] == stage.image.name
    assert environment["GREETING"] == 'a "b", c=d $HOME'
    assert environment["CUDA_VISIBLE_DEVICES"] in ("0", "1")
    assert environment["SLURM_JOB_ID"] == stage.job
    assert environment["PYTHONPATH"] == f"{stage.run}/submission/code"
    assert not {"PYTHONSTARTUP", "SLURM_CONF", "VIRTUAL_ENV"} & environment.keys()
    assert stage.outcome() == "0"


@BOTH_ROUTES
def test_preemption_without_grace_time_loses_no_step(stage: Stage, route: Route) -> None:
    stage.plan(save_s=2)  # SIGKILL comes 5 s after SIGTERM
    stage.submit(route)
    stage.wait_for_starts(1)

    stage.preempt()

    stage.hurry()
    stage.finish()
    assert len(stage.events("started")) == 2
    assert stage.slurm.job(stage.job)["Restarts"] == "1"


@SUBMITIT_IS_LONG
def test_preemption_with_grace_time_loses_no_step_and_frees_the_node_at_once(stage: Stage, route: Route) -> None:
    stage.submit(route, partition="grace")
    stage.wait_for_starts(1)
    before = time.monotonic()

    stage.preempt()

    assert time.monotonic() - before < 9  # the grace time is 10 s
    stage.hurry()
    stage.finish()
    assert len(stage.events("started")) == 2


@pytest.mark.parametrize("name", ["USR1", *(pytest.param(name, marks=pytest.mark.long) for name in ("USR2", "TERM"))])
def test_a_signal_by_scancel_saves_and_requeues(stage: Stage, name: str) -> None:
    stage.submit()
    stage.wait_for_starts(1)

    stage.slurm.run("scancel", f"--signal={name}", stage.job)

    stage.hurry()
    stage.finish()
    assert {event["name"] for event in stage.events("signal")} == {f"SIG{name}"}
    assert len(stage.events("started")) == 2


def test_a_burst_of_signals_to_everything_is_one_stop(stage: Stage) -> None:
    stage.plan(save_s=2)
    stage.submit()
    stage.wait_for_starts(1)

    # No SIGTERM by --full: it would reach srun itself, which then kills the step.
    burst = [["scancel", "--full", f"--signal={name}", stage.job] for name in ("USR1", "USR2", "USR1", "USR2")]
    burst += [["scancel", f"--signal={name}", stage.job] for name in ("TERM", "TERM")]
    senders = [subprocess.Popen(command, env=stage.slurm.environment) for command in burst]
    assert [sender.wait(20) for sender in senders] == [0] * len(burst)

    stage.hurry()
    stage.finish()
    assert len(stage.events("saved")) == 1


def test_scontrol_requeue_loses_no_step(stage: Stage) -> None:
    stage.submit()
    stage.wait_for_starts(1)

    stage.slurm.run("scontrol", "requeue", stage.job)

    stage.hurry()
    stage.finish()


@SUBMITIT_IS_LONG
def test_a_cancelled_job_saves_and_stays_cancelled_and_submitting_again_goes_on(stage: Stage, route: Route) -> None:
    stage.submit(route)
    stage.wait_for_starts(1)

    stage.slurm.run("scancel", stage.job)

    stage.slurm.wait_for_state(stage.job, "CANCELLED")
    wait_until(lambda: (stage.run / "submission" / "outcome").exists(), 10, stage.log)
    assert stage.slurm.job(stage.job)["JobState"] == "CANCELLED"
    assert len(stage.events("saved")) == 1
    stage.submit(route)
    stage.finish()


def test_an_image_exchanged_after_submission_is_refused_and_a_copied_one_is_not(stage: Stage, tmp_path: Path) -> None:
    stage.image = host_image(tmp_path)
    with queue_stopped(stage):
        stage.submit()
        os.utime(stage.image, (1, 1))
    stage.finish()
    with queue_stopped(stage):
        stage.submit()
        stage.image.write_bytes(b"another image")

    job = stage.slurm.wait_for_state(stage.job, "FAILED")

    assert job["ExitCode"] == "2:0"
    assert f"{stage.image} is not the image that this job was submitted with" in stage.log()


def test_edits_after_submission_change_nothing_in_the_job(stage: Stage, tmp_path: Path) -> None:
    stage.package, stage.config = tmp_path / "td3_hpc", tmp_path / "stage.yaml"
    shutil.copytree(STAND_IN, stage.package)
    stage.config.write_text(STAGE.read_text())
    with queue_stopped(stage):
        stage.submit()
        (stage.package / "__main__.py").write_text("raise SystemExit(1)\n")
        stage.config.write_text("name: 1k\nseed: 99\n")

    stage.finish()

    (started,) = stage.events("started")
    assert yaml.safe_load(started["config"])["seed"] == load_stage(STAGE).seed != 99


@BOTH_ROUTES
def test_what_slurm_refuses_is_one_clear_line_with_nothing_queued(
    stage: Stage, route: Route, capfd: pytest.CaptureFixture[str]
) -> None:
    before = stage.slurm.run("squeue", "-h", "-o", "%A")

    with pytest.raises(BadInput, match="Slurm refused the job: invalid partition specified: nope") as caught:
        stage.submit(route, partition="nope")

    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")
    assert stage.slurm.run("squeue", "-h", "-o", "%A") == before


def test_a_run_with_a_job_takes_no_second_one(stage: Stage) -> None:
    with queue_stopped(stage):
        stage.submit()
        with pytest.raises(BadInput, match=rf"has job {stage.job} already \(PENDING\); `scancel {stage.job}` first"):
            stage.submit()
        jobs = stage.slurm.run("squeue", "-h", "-n", "td3-1k-run", "-o", "%A")
    assert jobs == stage.job


@contextmanager
def queue_stopped(stage: Stage) -> Iterator[None]:
    """While entered, no job starts."""
    stage.slurm.run("scontrol", "update", "partitionname=low", "state=down")
    try:
        yield
    finally:
        stage.slurm.run("scontrol", "update", "partitionname=low", "state=up")


def test_two_jobs_on_one_node_use_the_same_port_in_networks_of_their_own(
    slurm: SlurmCluster, stage: Stage, image: Path, tmp_path: Path
) -> None:
    other = Stage(slurm, image, tmp_path / "other", STAGE, STAND_IN)
    both = (stage, other)
    for item in both:
        item.plan(total=40, step_s=0.1, listen=2000)
        item.submit(container={"network": "loopback"})
    for item in both:
        slurm.wait_for_state(item.job, "COMPLETED")

    assert len({slurm.job(item.job)["NodeList"] for item in both}) == 1
    times = [(item.events("started")[0]["time"], item.events("finished")[0]["time"]) for item in both]
    assert max(begin for begin, _ in times) < min(end for _, end in times)


def test_a_chain_of_jobs_goes_on_where_requeueing_is_forbidden(stage: Stage) -> None:
    submission = stage.submit(requeue="chain", chain_length=3)
    stage.wait_for_starts(1)

    stage.slurm.run("scancel", "--signal=USR1", stage.job)

    for job, state in zip(submission.jobs, ("FAILED", "COMPLETED", "COMPLETED")):
        stage.slurm.wait_for_state(job, state)
    assert stage.slurm.job(stage.job)["ExitCode"] == "75:0"
    assert len(stage.events("started")) == 2
    assert "the stage ended already" in stage.log()


def test_the_jobs_of_a_chain_queue_what_the_site_did_not_take_at_submission(stage: Stage) -> None:
    folder = SubmissionFolder(stage.run)
    with queue_stopped(stage):
        stage.submit(requeue="chain", chain_length=2)
        folder.owe(1)  # as where its user may have two jobs in the queue
    stage.wait_for_starts(1)
    stage.jobs = folder.jobs()

    assert len(stage.jobs) == 3, stage.log()
    for job in stage.jobs:
        stage.slurm.wait_for_state(job, "COMPLETED")
    assert len(stage.events("started")) == 1


@pytest.mark.long
def test_a_chain_outlives_a_job_that_fails(stage: Stage) -> None:
    stage.plan(status=1)
    submission = stage.submit(requeue="chain", chain_length=3)
    stage.slurm.wait_for_state(submission.jobs[0], "FAILED")
    stage.plan()

    stage.slurm.wait_for_state(submission.jobs[2], "COMPLETED")
    assert len(stage.events("started")) > 1, "no later job of the chain went on"


def test_a_chain_that_gets_nowhere_stops_with_a_reason(stage: Stage) -> None:
    stage.plan(gets_nowhere=True)
    *_, fourth, fifth = stage.submit(requeue="chain", chain_length=5).jobs

    assert stage.slurm.wait_for_state(fourth, "FAILED")["ExitCode"] == "1:0"
    assert stage.slurm.wait_for_state(fifth, "FAILED")["ExitCode"] == "1:0"
    assert len(stage.events("started")) == 3
    assert "3 attempts got no further than step 0" in stage.log()


def test_what_killed_jobs_left_on_the_node_is_removed_and_what_is_others_is_not(stage: Stage) -> None:
    here, *elsewhere = (stage.slurm.node(number) for number in (1, 2, 3))
    ended = stage.slurm.submit("true")
    stage.slurm.wait_for_state(ended, "COMPLETED")
    waiting = stage.slurm.submit("true", "--begin=now+1hour")
    kept = {f"td3-hpc-{waiting}-{here}-0", f"td3-hpc-{ended}-{elsewhere[0]}-0", f"td3-hpc-local-{here}-0"}
    for name in (f"td3-hpc-{ended}-{here}-3", *kept):
        (stage.scratch / name).mkdir()

    stage.submit(exclude=elsewhere)

    stage.finish()
    assert {path.name for path in stage.scratch.iterdir()} == kept
    stage.slurm.run("scancel", waiting)
    for name in kept:
        (stage.scratch / name).rmdir()


@pytest.mark.long
@pytest.mark.parametrize("deaf_to", [[], ["SIGUSR1"]], ids=["warned", "killed at the limit"])
def test_a_time_limit_loses_no_step(stage: Stage, deaf_to: list[str]) -> None:
    stage.plan(step_s=2, deaf_to=deaf_to)
    stage.submit(walltime_minutes=1, signal_lead_s=20)

    stage.finish(timeout_s=600)

    assert len(stage.events("started")) >= 2
    assert stage.slurm.job(stage.job)["Restarts"] != "0"


@pytest.mark.long
def test_a_lost_nodes_job_goes_on_elsewhere_from_its_last_checkpoint(stage: Stage) -> None:
    stage.plan(step_s=1.5, save_every=5)
    stage.submit()
    stage.wait_for_starts(1)
    lost = stage.slurm.job(stage.job)["NodeList"]
    wait_until(lambda: (stage.run / "state" / "checkpoint-e0001-s000000005-0001.json").exists(), 20)
    number = number_of(lost)

    assert stage.slurm.manage("kill-node", number).returncode == 0

    try:
        stage.wait_for_starts(2, timeout_s=90)
        assert stage.slurm.job(stage.job)["NodeList"] != lost
        assert stage.events("started")[1]["step"] >= 5
        assert stage.outcome() == "75", "the lost attempt counts as the run's end"
        stage.slurm.wait_for_state(stage.job, "COMPLETED", timeout_s=120)
    finally:
        assert stage.slurm.manage("start-node", number).returncode == 0
        wait_until(lambda: stage.slurm.node_state(lost) == "IDLE", 60, lambda: stage.slurm.node_state(lost))
