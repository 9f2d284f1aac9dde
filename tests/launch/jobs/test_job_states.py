"""Slurm's words, read; tests/slurm asks the real one."""

import os
from pathlib import Path

import pytest

from td3_hpc.errors import UserError
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.job_states import Job, Queue, ended_jobs, read_queue
from td3_hpc.launch.jobs.job_states import _accounted as accounted
from td3_hpc.launch.jobs.job_states import _latest as latest
from td3_hpc.launch.jobs.job_states import _queued as queued
from td3_hpc.launch.jobs.job_states import _remembered_job as remembered
from tests.launch.site import Site


def test_a_task_of_an_array_and_a_job_of_its_own() -> None:
    """As Slurm 22.05's squeue prints them for %F|%K|%A|%T|%r|%N|%M|%o."""
    task = queued(["12", "3", "15", "RUNNING", "None", "n1", "1:02", "/runs/trial/submission/a.sbatch"])
    alone = queued(["16", "N/A", "16", "PENDING", "Resources", "", "0:00", "/runs/1k/submission/stage.sbatch"])

    assert task == Job("12_3", "RUNNING", "", "n1", "1:02", "/runs/trial/submission/a.sbatch", 3)
    assert (alone.id, alone.task, alone.reason, alone.live) == ("16", None, "Resources", True)


def test_the_jobs_of_a_script_and_a_task() -> None:
    script = Path("/runs/a.sbatch")
    jobs = [Job(f"1_{task}", "RUNNING", script=str(script), task=task) for task in (1, 2)]
    queue = Queue((*jobs, Job("9", "RUNNING", script="/other")))

    assert queue.of(script) == jobs
    assert queue.of(script, 2) == jobs[1:]


@pytest.mark.parametrize(
    "state", ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"]
)
def test_an_ended_job_is_not_live(state: str) -> None:
    assert not Job("1", state).live


def test_of_a_runs_jobs_the_latest_that_ran_tells_how_it_ended() -> None:
    """As sacct prints them for JobID,State,ExitCode,NodeList,Elapsed: 13_1 waited behind 12_1, and was not needed."""
    lines = ["12_1|COMPLETED|0:0|n1|00:10:00", "13_1|CANCELLED by 1000|0:0|None assigned|00:00:00"]
    jobs = {job.id: job for job in (accounted(line.split("|")) for line in lines)}

    assert latest(["12_1", "13_1"], jobs.get) == Job("12_1", "COMPLETED", "exit 0:0", "n1", "00:10:00")
    assert latest(["11_1", "13_1"], jobs.get) == Job("13_1", "CANCELLED", "exit 0:0", "", "00:00:00")
    assert latest(["10_1"], jobs.get) is None


def test_an_ended_job_that_the_controller_remembers() -> None:
    """As squeue -O prints them: 22.05 the exit status as wait(2) has it, 24.11 as accounting does."""
    older = remembered(["1", "2", "4", "FAILED", "n1", "0:07", "1792", ""])
    newer = remembered(["5", "N/A", "5", "FAILED", "n1", "0:07", "0:9", ""])

    assert older == Job("1_2", "FAILED", "exit 7:0", "n1", "0:07")
    assert newer == Job("5", "FAILED", "exit 0:9", "n1", "0:07")


def test_without_slurm_nothing_is_known_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert read_queue() == Queue(unknown=("no Slurm on this machine: jobs are not looked up",))
    assert ended_jobs([["1"]]) == ([None], [])


def test_the_queue_is_that_of_this_process_user_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, monkeypatch, squeue="")
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")

    read_queue()

    (asked,) = site.calls("squeue")
    assert asked[asked.index("-u") + 1] == str(os.getuid())


def test_an_answer_that_is_no_list_of_jobs_is_not_a_queue_without_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Site(tmp_path, monkeypatch, squeue="Welcome to the machine", sacct="Welcome to the machine")
    what = "answered 'Welcome to the machine', which is no line about a job"

    assert read_queue() == Queue(unknown=(f"squeue: {what}",))
    assert ended_jobs([["1"]]) == ([None], [f"sacct: {what}; how jobs ended is known for some minutes only"])
    with pytest.raises(UserError, match="answered 'Welcome to the machine', which is no job's state; try again"):
        slurm.live_jobs(["1"])
