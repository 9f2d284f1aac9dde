"""The job's script carries out what a plan says: its own bash, with Slurm's commands as a site answers them."""

import subprocess
from pathlib import Path

import pytest

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.jobs.script import render
from td3_hpc.launch.policy.verbs import Exit, GiveUp, Plan, Sbatch, Scancel, Start, Withdraw
from td3_hpc.submission_folder import SubmissionFolder
from tests.launch.site import Site

BEFORE, OWN = ("a", 1), ("b", 1)
WAIT = Plan((Withdraw(), Sbatch(BEFORE, 4), Sbatch(OWN, None, (BEFORE,)), Exit(75, "waits for the stage before")))
KEEP = Plan((Sbatch(OWN, 7, (OWN,)), Start()), {0: (Scancel(OWN),), 3: (Scancel(OWN),)})
STUBS = """set -u
job=50 task=49_1 seed=1 campaign=%s
run=$campaign/b/seed-1 history=$campaign/b/seed-1/submission/attempts scratch=$campaign/scratch
say() { echo "$*"; }
finish() { local status=$1; shift; echo "$*"; exit "$status"; }
insist() { "$@"; }
"""


class Job:
    """The job of stage b, seed 1, of a campaign whose queue a site answers."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.campaign = folder / "trial"
        self.runs = {run: SubmissionFolder(self.campaign / run[0] / f"seed-{run[1]}") for run in (BEFORE, OWN)}
        for run in self.runs.values():
            run.path.mkdir(parents=True)
        (self.campaign / "submission").mkdir()
        (self.runs[OWN].path / "attempts").write_text("50 7\n50 7\n")
        self.site = Site(folder, monkeypatch)
        self.queued()

    def queued(self, *jobs: tuple[str, int, str]) -> None:
        """The queue from now on: array, task and stage of each job, this one with them."""
        own = f"49 1 {self.campaign}/submission/b.sbatch 50"
        rows = [f"{array} {task} {self.campaign}/submission/{stage}.sbatch {array}" for array, task, stage in jobs]
        self.site.answer(squeue="\n".join([own, *rows]))

    def carry_out(self, plan: Plan | str, when: str = "first", **profile: object) -> tuple[int, list[str]]:
        """The script's exit status for a plan (100 where it goes on) and what it said."""
        text = render("b", ClusterConfig.model_validate(profile), self.campaign, None, campaign="trial")
        start, end = text.index("queue=\n"), text.index('"${python[@]}" -m td3_hpc campaign plan')
        self.runs[OWN].write_plan(str(plan))
        rest = f'mapfile -t plan <"$run/submission/plan"\ncarry_out {when}\nexit 100\n'
        program = STUBS % self.campaign + text[start:end] + rest
        result = subprocess.run(["/bin/bash", "-c", program], capture_output=True, text=True)
        assert result.stderr.replace("sbatch: error: QOSMaxSubmitJobPerUserLimit\n", "").strip() == ""
        assert not (self.campaign / "submission" / "lock").exists(), "the lock was left"
        return result.returncode, list(filter(None, result.stdout.splitlines()))

    def submitted(self) -> list[list[str]]:
        """What was given to sbatch."""
        return [
            [word.replace(f"{self.campaign}/submission/", "") for word in call] for call in self.site.calls("sbatch")
        ]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    return Job(tmp_path, monkeypatch)


def test_an_unfinished_run_without_a_job_is_submitted_again_and_this_one_behind_it(job: Job) -> None:
    before = job.runs[BEFORE]
    (before.path / "outcome").write_text("75\n4\n")

    status, said = job.carry_out(WAIT)

    assert (status, said) == (
        75,
        [
            "stage a, seed 1, is unfinished at step 4 and has no job: submitted again as 1000_1",
            "goes on as job 1001_1",
            "waits for the stage before",
        ],
    )
    assert job.submitted() == [
        ["sbatch", "--parsable", "--array=1", "a.sbatch"],
        ["sbatch", "--parsable", "--array=1", "--dependency=afterany:1000_1", "b.sbatch"],
    ]
    assert (before.queued(), before.outcome()) == ([(4, ["1000_1"])], None)
    assert (before.path / "attempts").read_text() == "submitted again\n", "its count of attempts goes on"
    assert job.runs[OWN].queued() == [(None, ["1001_1"])]
    assert (job.runs[OWN].path / "attempts").read_text() == "50 7\n", "to wait counts as an attempt"


def test_what_somebody_else_has_queued_meanwhile_is_not_queued_twice(job: Job) -> None:
    job.queued(("70", 1, "a"), ("71", 2, "a"))

    status, said = job.carry_out(WAIT)

    assert (status, said[0]) == (75, "goes on as job 1000_1")
    assert job.submitted() == [["sbatch", "--parsable", "--array=1", "--dependency=afterany:70_1", "b.sbatch"]]
    job.queued(("70", 1, "a"), ("1000", 1, "b"))
    assert job.carry_out(WAIT) == (75, ["waits for the stage before"])
    assert len(job.submitted()) == 1


def test_where_requeueing_is_forbidden_a_run_is_queued_as_a_chain(job: Job) -> None:
    job.carry_out(WAIT, requeue="chain", chain_length=2)

    assert [call[3:] for call in job.submitted()] == [
        ["a.sbatch"],
        ["--dependency=afterany:1000_1", "a.sbatch"],
        ["--dependency=afterany:1000_1:1001_1", "b.sbatch"],
        ["--dependency=afterany:1002_1", "b.sbatch"],
    ]
    assert job.runs[BEFORE].queued() == [(4, ["1000_1", "1001_1"])]


def test_a_job_waits_behind_the_one_that_runs_and_is_cancelled_when_the_stage_is_over(job: Job) -> None:
    assert job.carry_out(KEEP) == (100, ["should this job end unfinished, job 1000_1 goes on"])
    assert job.submitted() == [["sbatch", "--parsable", "--array=1", "--dependency=afterany:49_1", "b.sbatch"]]
    job.queued(("1000", 1, "b"), ("90", 2, "b"))

    assert job.carry_out(KEEP, "75") == (100, [])
    assert job.site.calls("scancel") == []
    for status in ("0", "3"):
        assert job.carry_out(KEEP, status) == (100, [])
    assert job.site.calls("scancel") == [["scancel", "--state=PENDING", "1000_1"]] * 2


def test_without_a_job_behind_it_nothing_is_cancelled(job: Job) -> None:
    """Without a job's number, scancel would end everything that its user has."""
    job.carry_out(KEEP, "0")

    assert job.site.calls("scancel") == []


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"squeue": {"stderr": ""}}, "Slurm does not answer: no job is queued"),
        ({"max_jobs": 0}, "stage b, seed 1: no job could be queued"),
    ],
)
def test_a_run_starts_where_no_job_can_be_queued_behind_it(job: Job, answers: dict[str, object], said: str) -> None:
    job.site.answer(**answers)

    assert job.carry_out(KEEP) == (100, [said])


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"squeue": {"stderr": ""}}, "Slurm does not answer: no job is queued"),
        ({"max_jobs": 0}, "stage a, seed 1: no job could be queued"),
    ],
)
def test_a_job_that_waits_ends_where_nothing_can_be_queued(job: Job, answers: dict[str, object], said: str) -> None:
    job.site.answer(**answers)

    assert job.carry_out(WAIT) == (75, [f"{said}; submit the campaign again to continue"])


@pytest.mark.parametrize(("run", "prefix"), [(OWN, ""), (BEFORE, "the stage before ended unfinished; ")])
def test_a_run_is_given_up_where_it_has_no_job(job: Job, run: tuple[str, int], prefix: str) -> None:
    plan = Plan((GiveUp(run, "3 jobs got no further than step 4"), Start()))
    job.queued(("70", 1, run[0]))
    assert job.carry_out(plan) == (100, [])
    assert job.runs[run].gave_up == ""
    job.queued()

    assert job.carry_out(plan) == (1, [f"gives up: {prefix}3 jobs got no further than step 4"])
    assert job.runs[run].gave_up == "3 jobs got no further than step 4"


def test_a_verb_that_the_script_does_not_know_ends_the_job(job: Job) -> None:
    """The container's package may be another version than the one that wrote the script."""
    assert job.carry_out("first levitate b 1\nfirst run\n") == (
        2,
        [f"{job.runs[OWN].path}/plan: levitate is not known to this script"],
    )
