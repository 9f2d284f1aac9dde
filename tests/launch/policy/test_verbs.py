"""The job's script carries out what a plan says: its own bash, with Slurm's commands as a site answers them."""

import subprocess
from pathlib import Path

import pytest

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.jobs.script import render
from td3_hpc.launch.policy.verbs import Exclude, Exit, GiveUp, Plan, Requeue, Sbatch, Scancel, Start, Withdraw
from td3_hpc.submission_folder import Outcome, SubmissionFolder
from tests.launch.jobs.test_script_run import part
from tests.launch.site import Site

BEFORE, OWN = ("a", 1), ("b", 1)
WAIT = Plan((Withdraw(), Sbatch(BEFORE, 4), Sbatch(OWN, None, (BEFORE,)), Exit(75, "waits for the stage before")))
KEEP = Plan((Sbatch(OWN, 7, (OWN,)), Start()), {0: (Scancel(OWN),), 3: (Scancel(OWN),)})
STUBS = """set -u
job=50 task=49_1 seed=1 campaign=%s node=n1 SLURM_JOB_PARTITION=low SLURM_JOB_NAME=td3
run=$campaign/b/seed-1 scratch=$campaign/scratch
history=$run/submission/attempts outcome=$run/submission/outcome bad_nodes=$run/submission/bad_nodes attempts=2
say() { echo "$*"; }
sleep() { :; }
"""

CIRCLE = "sbatch: error: Batch job submission failed: Circular job dependency\n"


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
        functions = part(text, "# The furthest step", "# This shell is signalled")
        of_campaigns = part(text, "# The user's jobs in the queue", 'rm -f "$run/submission/plan"')
        self.runs[OWN].write_plan(str(plan))
        rest = f'mapfile -t plan <"$run/submission/plan"\ncarry_out {when}\nexit 100\n'
        program = STUBS % self.campaign + functions + of_campaigns + rest
        result = subprocess.run(["/bin/bash", "-c", program], capture_output=True, text=True)
        assert (
            result.stderr.replace("sbatch: error: QOSMaxSubmitJobPerUserLimit\n", "").replace(CIRCLE, "").strip() == ""
        )
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


def test_a_job_whose_dependencies_slurm_takes_for_a_circle_looks_again_in_a_minute(job: Job) -> None:
    refused = {"stderr": CIRCLE, "status": 1}
    job.site.answer(**{"sbatch": "2000", "sbatch --parsable --array=1 --dependency": refused})

    status, said = job.carry_out(WAIT)

    assert (status, said[-1]) == (75, "waits for the stage before")
    assert job.submitted()[-1] == ["sbatch", "--parsable", "--array=1", "--begin=now+60", "b.sbatch"]
    assert job.carry_out(KEEP) == (100, ["stage b, seed 1: no job could be queued"]), "two jobs of one run at a time"


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


STOPPED = Plan((), {75: (Requeue("stopped"),)})
RUNNING = "JobId=50 JobName=td3 JobState=RUNNING Reason=None"
PENDING = "JobId=50 JobName=td3 JobState=PENDING Reason=BeginTime"


def test_an_unfinished_run_is_requeued_and_the_queue_is_asked_whether_it_was(job: Job) -> None:
    job.site.answer(**{"scontrol show job": RUNNING})
    asked_again = ["stopped", "to be started again", "Slurm does not requeue it (state RUNNING); a later job of the "]

    status, said = job.carry_out(STOPPED, "75")

    assert (status, said[:2]) == (75, asked_again[:2])
    assert said[2].startswith(asked_again[2]), "that Slurm answers and does nothing was not noticed"
    assert job.site.calls("scontrol").count(["scontrol", "requeue", "49_1"]) == 6
    assert job.runs[OWN].outcome() == Outcome(75, 0)


@pytest.mark.parametrize(
    ("state", "cancelled", "said", "requeued"),
    [
        pytest.param("", False, "to be started again", True, id="Slurm does not say"),
        pytest.param("COMPLETING Reason=None ", False, "stopped by Slurm", False, id="preempted, or scancel"),
        pytest.param("COMPLETING Reason=TimeLimit ", False, "to be started again", True, id="a limit of the site's"),
        pytest.param("", True, "cancelled; submit it again to continue", False, id="td3-hpc cancel"),
    ],
)
def test_a_job_that_is_cancelled_or_ended_by_slurm_is_not_requeued(
    job: Job, state: str, cancelled: bool, said: str, requeued: bool
) -> None:
    job.site.answer(**{"scontrol show job": f"JobId=50 JobState={state}"})
    if cancelled:
        job.runs[OWN].cancel()

    assert job.carry_out(STOPPED, "75") == (75, ["stopped", said])
    assert (["scontrol", "requeue", "49_1"] in job.site.calls("scontrol")) == requeued


FAULTY = Plan(
    (), {1: (Exclude("simulator", "it never came up"),), 255: (Exclude("begun", "it failed"),), **STOPPED.after}
)
NEVER_READY = '{"event": "attempt"}\n{"event": "failed", "code": "simulator_never_ready"}\n'


def test_a_node_where_no_simulator_came_up_is_kept_out_of_the_next_attempt(job: Job) -> None:
    job.site.answer(**{"scontrol show job": PENDING, "sinfo": "n1\nn2"})
    assert job.carry_out(FAULTY, "1") == (100, []), "it failed for something else"
    (job.runs[OWN].owner / "record.jsonl").write_text(NEVER_READY)

    status, said = job.carry_out(FAULTY, "1")

    assert (status, said[:2]) == (75, ["it never came up on n1; the next attempt keeps away from it", "stopped"])
    (job.runs[OWN].path / "bad_nodes").write_text("")
    job.site.answer(**{"scontrol show job": RUNNING})
    job.carry_out(FAULTY, "1")
    assert ["scontrol", "update", "jobid=49_1", "ExcNodeList=n1"] in job.site.calls("scontrol")


def test_a_node_is_blamed_only_where_the_run_has_got_somewhere_and_has_another_one(job: Job) -> None:
    job.site.answer(**{"scontrol show job": RUNNING, "sinfo": "n1"})
    assert job.carry_out(FAULTY, "255") == (100, [])
    state = job.runs[OWN].owner / "state"
    state.mkdir()
    (state / "checkpoint-e0001-s000000005-0001.json").touch()

    assert job.carry_out(FAULTY, "255") == (100, ["it failed on n1, and partition low has no other node"])
    assert ["scontrol", "requeue", "49_1"] not in job.site.calls("scontrol")


def test_in_a_chain_the_next_job_is_kept_away_from_the_node(job: Job) -> None:
    (job.runs[OWN].owner / "record.jsonl").write_text(NEVER_READY)
    job.site.answer(sinfo="n1\nn2", **{"squeue --all -h -u": "51\n52"})
    plan = Plan((), {**FAULTY.after, 75: (Exit(75, "the next one goes on"),)})

    status, said = job.carry_out(plan, "1", requeue="chain")

    assert (status, said[-1]) == (75, "the next one goes on")
    assert [call[2:] for call in job.site.calls("scontrol")] == [[f"jobid={n}", "ExcNodeList=n1"] for n in (51, 52)]


def test_the_end_of_an_attempt_that_another_one_has_superseded_is_not_the_runs(job: Job) -> None:
    """A lost node's process that still lives, while the job runs on another node."""
    outcome = job.runs[OWN].path / "outcome"
    job.carry_out(Plan((Exit(3, "NO-GO"),)))
    assert outcome.read_text() == "3\n0\n"
    (job.runs[OWN].path / "attempts").write_text("50 7\n50 7\n50 7\n")

    assert job.carry_out(Plan((Exit(0, "done"),))) == (0, ["done"])
    assert outcome.read_text() == "3\n0\n"
