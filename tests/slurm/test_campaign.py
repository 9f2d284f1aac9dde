"""Campaigns on a real Slurm, in a real container: whatever becomes of a job, the chain ends with every stage decided.

The stand-in for the trainer counts steps and writes a verdict; admission, scripts and the queue are the real ones.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from td3_hpc.config import dump_yaml
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.launch.campaigns import chain
from td3_hpc.launch.campaigns.resume import resume
from td3_hpc.launch.jobs.job_states import read_queue
from td3_hpc.launch.runs.cancel import cancel
from td3_hpc.launch.runs.status import read_status
from tests.campaign_stand_in import TrialCampaign, events, make_package
from tests.paths import ROOT
from tests.slurm.cluster import SlurmCluster, host_binds, wait_until

pytestmark = pytest.mark.slurm
BAD = {"agent.tau": 0.9}
SLOW = 0.5
"""Seconds a step takes where a test has to meet a stage at work: 10 steps take 5 s."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("package"))


class Trial(TrialCampaign):
    """A campaign on the test cluster."""

    def __init__(self, slurm: SlurmCluster, image: Path, folder: Path, package: Path) -> None:
        self.slurm, self.scratch = slurm, folder / "scratch"
        self.scratch.mkdir()
        container = {"image": image, "binds": host_binds(), "python": sys.executable, "code": "checkout"}
        settings = {"partition": "low", "cpus": 1, "memory_gib": 0.5, "walltime_minutes": 10, "signal_lead_s": 60}
        settings |= {"scratch": self.scratch, "runs": folder / "runs", "container": container}
        super().__init__(folder, package, ClusterConfig.model_validate(settings))

    def jobs(self, stage: str = "", seed: int | None = None) -> list[str]:
        """Ids of the live jobs in the order of their submission, of one stage where that is given."""
        queue = read_queue()
        assert not queue.unknown, queue.unknown
        folder = self.root / "submission"
        return [
            job.id
            for job in sorted(queue.jobs, key=lambda job: int(job.id.partition("_")[0]))
            if job.script.startswith(f"{folder}/")
            and (not stage or job.script == f"{folder}/{stage}.sbatch")
            and seed in (None, job.task)
        ]

    def wait_for_end(self, timeout_s: float = 180) -> None:
        wait_until(lambda: not self.jobs(), timeout_s, self.log)

    def wait_for_steps(self, stage: str, count: int, seed: int = 1) -> None:
        wait_until(lambda: len(events(self.run(stage, seed), "interval")) >= count, 60, self.log)

    def steps(self, stage: str, seed: int = 1) -> list[int]:
        return [event["step"] for event in events(self.run(stage, seed), "interval")]

    def log(self, stage: str = "*") -> str:
        paths = sorted(self.root.glob(f"{stage}/seed-*/logs/slurm-*"), key=lambda path: path.stat().st_mtime)
        return "\n".join(f"== {path.relative_to(self.root)}\n{path.read_text()}" for path in paths)


@pytest.fixture
def trial(
    slurm: SlurmCluster, image: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Trial]:
    """A campaign to submit; afterwards nothing of it may be left on the nodes."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    monkeypatch.setattr(chain, "require_ready", lambda here: None)
    monkeypatch.setattr("td3_hpc.launch.campaigns.resume.require_ready", lambda here, anew: None)
    trial = Trial(slurm, image, tmp_path, package)
    yield trial
    print(trial.log())
    if jobs := trial.jobs():
        slurm.run("scancel", *jobs)
    wait_until(lambda: not list(trial.scratch.iterdir()), 20, lambda: f"left: {list(trial.scratch.iterdir())}")


def test_the_chain_heals_where_a_job_was_cancelled_and_runs_every_stage_once(trial: Trial) -> None:
    """Two seeds, three stages; the middle stage's job of one seed is cancelled while it waits."""
    assert trial.submit({}, {}, {}, seeds=[1, 2], plan={"step_s": 0.2}) == ExitCode.DONE
    assert len(trial.jobs()) == 8, "not all stages of all seeds, and one more of the last, were queued at once"
    assert trial.submit({}, {}, {}, seeds=[1, 2]) == ExitCode.DONE
    assert "submitted already; its jobs:" in trial.logged[-1]
    assert len(trial.jobs()) == 8, "submitting twice queued something twice"
    trial.slurm.run("scancel", *trial.jobs("b", 2))

    trial.wait_for_end()

    for seed in (1, 2):
        assert trial.verdicts("a", "b", "c", seed=seed) == ["GO", "GO", "GO"]
        for stage in "abc":
            assert trial.steps(stage, seed) == list(range(1, 11)), f"stage {stage}, seed {seed}"
    assert "stage b, seed 2, is unfinished at step 0 and has no job: submitted again" in trial.log("c")
    ends = [max(events(trial.run("b", seed), "finished")[0]["time"] for seed in (1, 2))]
    assert ends[0] <= min(events(trial.run("c", seed), "attempt")[0]["time"] for seed in (1, 2))
    assert trial.submit({}, {}, {}, seeds=[1, 2]) == ExitCode.DONE
    assert "finished already" in trial.logged[-1]
    status = read_status([trial.root])
    assert status.campaigns["trial"].startswith("GO: ")
    assert status.unknown == ()

    def states() -> set[str]:
        return {run.job.state for run in read_status([trial.root]).runs if run.job}

    wait_until(lambda: states() <= {"COMPLETED", "FAILED"}, 20, lambda: str(states()))


@pytest.mark.long
def test_a_failed_gate_ends_the_later_stages_and_after_the_correction_resume_completes(trial: Trial) -> None:
    trial.submit({}, BAD, {}, {})
    jobs = {stage: trial.jobs(stage)[0] for stage in "abcd"}
    trial.wait_for_end()

    assert trial.verdicts("a", "b", "c", "d") == ["GO", "NO-GO", None, None]
    assert [trial.outcome(stage) for stage in "abcd"] == ["0", "3", "3", "3"]
    for stage in "cd":
        assert trial.slurm.job(jobs[stage])["ExitCode"] == "3:0"
        assert "stage b, seed 1 is NO-GO: agent.tau is 0.9" in trial.log(stage)
    assert trial.submit({}, BAD, {}, {}) == ExitCode.NO_GO

    here = trial.place({}, {}, {}, {})
    assert resume(here, False, trial.logged.append, trial.package) == ExitCode.DONE
    assert trial.jobs("a") == [], "the passed stage was queued again"
    trial.wait_for_end()

    assert trial.verdicts("a", "b", "c", "d") == ["GO"] * 4
    assert [trial.starts(stage) for stage in "abcd"] == [1, 1, 1, 1]


@pytest.mark.long
def test_scancel_of_the_middle_job_at_work_loses_no_step(trial: Trial) -> None:
    trial.submit({}, {}, {}, plan={"step_s": SLOW})
    trial.wait_for_steps("b", 3)

    trial.slurm.run("scancel", *trial.jobs("b"))

    trial.wait_for_end()
    assert trial.verdicts("a", "b", "c") == ["GO", "GO", "GO"]
    assert trial.starts("b") == 2
    assert trial.steps("b") == list(range(1, 11))


@pytest.mark.long
def test_the_last_stage_has_a_job_behind_itself_until_it_is_over(trial: Trial) -> None:
    """Its job is cancelled before it begins, and twice while it runs: each time the one behind goes on.

    Seed 2 has lost the job behind it when it is over, and must not cancel what else its user has in the queue.
    """
    other = trial.slurm.submit("true", "--partition=low", "--hold")
    trial.submit({}, {}, seeds=[1, 2], plan={"step_s": SLOW})
    trial.slurm.run("scancel", trial.jobs("b", 1)[0])
    for attempt, steps in ((1, 2), (2, 5)):
        trial.wait_for_steps("b", steps)
        wait_until(lambda: len(trial.jobs("b", 1)) == 2, 30, trial.log)
        trial.slurm.run("scancel", trial.jobs("b", 1)[0])
        wait_until(lambda attempt=attempt: trial.starts("b") > attempt, 60, trial.log)

        if behind := trial.jobs("b", 2)[1:]:
            trial.slurm.run("scancel", *behind)
    assert len(trial.jobs("b", 2)) < 2

    trial.wait_for_end()

    assert trial.slurm.job(other)["JobState"] == "PENDING"
    trial.slurm.run("scancel", other)
    for seed in (1, 2):
        assert trial.verdicts("a", "b", seed=seed) == ["GO", "GO"]
        assert trial.steps("b", seed) == list(range(1, 11))
    assert (trial.starts("b", 1), trial.starts("b", 2)) == (3, 1)
    assert len(list((trial.run("b", 2) / "logs").glob("slurm-*"))) == 1, "a job started though the stage was over"


@pytest.mark.long
def test_a_last_stage_that_gets_nowhere_is_given_up(trial: Trial) -> None:
    trial.submit({}, {}, plan={"stuck": {"b": 4}})

    trial.wait_for_end()

    assert trial.starts("b") == 4, "from step 0 and then three times from step 4"
    assert "gives up: 3 jobs got no further than step 4" in trial.log("b")
    assert "stuck: stage b, seed 1: 3 jobs got no further" in read_status([trial.root]).campaigns["trial"]


@pytest.mark.long
def test_a_time_limit_without_requeue_heals(trial: Trial) -> None:
    """The middle stage hears no signal, and Slurm may not requeue it: it ends TIMEOUT."""
    trial.profile = trial.profile.model_copy(update={"walltime_minutes": 1, "signal_lead_s": 20})
    trial.submit({}, {"training.total_steps": 40}, {}, plan={"slow": {"b": 3}, "deaf": ["b"]})  # 120 s
    trial.wait_for_steps("b", 1)
    job = trial.jobs("b")[0]
    trial.slurm.run("scontrol", "update", f"jobid={job}", "requeue=0")

    trial.slurm.wait_for_state(job, "TIMEOUT", timeout_s=150)

    trial.wait_for_end(timeout_s=200)
    assert trial.verdicts("a", "b", "c") == ["GO", "GO", "GO"]
    assert trial.steps("b") == list(range(1, 41))
    assert trial.starts("b") >= 2
    assert trial.slurm.job(job)["Restarts"] == "0"


@pytest.mark.long
def test_a_stage_that_gets_nowhere_is_given_up_with_the_reason(trial: Trial) -> None:
    trial.submit({}, {}, {}, plan={"stuck": {"a": 4}})

    trial.wait_for_end()

    assert [trial.outcome(stage) for stage in "abc"] == ["1", "1", "1"]
    assert trial.starts("a") == 4, "from step 0 and then three times from step 4"
    assert "gives up: the stage before ended unfinished; 3 jobs got no further than step 4" in trial.log("b")
    assert "stage a, seed 1: 3 jobs got no further than step 4" in trial.log("c")
    (trial.root / "plan.json").write_text("{}")
    assert trial.submit({}, {}, {}) == ExitCode.DONE
    trial.wait_for_end()
    assert trial.verdicts("a", "b", "c") == ["GO", "GO", "GO"]


@pytest.mark.long
def test_a_preempted_stage_is_waited_for(trial: Trial) -> None:
    trial.submit({}, {}, plan={"step_s": SLOW})
    trial.wait_for_steps("a", 2)
    job = trial.jobs("a")[0]
    node = trial.slurm.job(job)["NodeList"]

    high = trial.slurm.submit("true", "--partition=high", "--exclusive", f"--nodelist={node}")
    trial.slurm.wait_for_state(high, "COMPLETED")

    trial.wait_for_end()
    assert trial.verdicts("a", "b") == ["GO", "GO"]
    assert trial.slurm.job(job)["Restarts"] == "1"
    assert trial.steps("a") == list(range(1, 11))


@pytest.mark.long
def test_where_requeueing_is_forbidden_each_stage_has_a_chain_of_its_own(trial: Trial) -> None:
    trial.profile = trial.profile.model_copy(update={"requeue": "chain", "chain_length": 2})
    trial.submit({}, {}, plan={"step_s": SLOW})
    assert [len(trial.jobs(stage)) for stage in "ab"] == [2, 2]
    for stage, count in (("a", 2), ("b", 2), ("b", 5)):
        trial.wait_for_steps(stage, count)
        trial.slurm.run("scancel", "--signal=USR1", trial.jobs(stage)[0])
        wait_until(lambda stage=stage, count=count: trial.starts(stage) > (1 if count == 5 else 0), 60, trial.log)

    trial.wait_for_end()
    assert trial.verdicts("a", "b") == ["GO", "GO"]
    for stage in "ab":
        assert trial.steps(stage) == list(range(1, 11))


@pytest.mark.long
def test_a_chain_that_waits_for_an_unfinished_stage_is_not_used_up(trial: Trial) -> None:
    """Its links start one after another while the stage before is submitted again, more of them than may fail."""
    trial.profile = trial.profile.model_copy(update={"requeue": "chain", "chain_length": 5})
    trial.submit({}, {}, {}, plan={"step_s": SLOW})
    trial.slurm.run("scancel", *trial.jobs("a"))

    trial.wait_for_end()

    assert trial.verdicts("a", "b", "c") == ["GO", "GO", "GO"]
    assert [trial.starts(stage) for stage in "abc"] == [1, 1, 1]


@pytest.mark.long
def test_cancel_saves_and_submitting_again_continues(trial: Trial) -> None:
    trial.submit({}, {}, {}, plan={"step_s": SLOW})
    trial.wait_for_steps("b", 2)

    cancel(trial.root, 60, trial.logged.append)

    assert trial.jobs() == []
    assert events(trial.run("b"), "stopped"), "it was not told to save"
    assert read_status([trial.root]).campaigns["trial"].startswith("cancelled")
    with pytest.raises(BadInput, match="the campaign would start it again"):
        cancel(trial.run("b"), 60, trial.logged.append)
    assert trial.submit({}, {}, {}) == ExitCode.DONE
    trial.wait_for_end()
    assert trial.verdicts("a", "b", "c") == ["GO", "GO", "GO"]
    assert trial.steps("b") == list(range(1, 11))
    assert (trial.starts("a"), trial.starts("b")) == (1, 2)


@pytest.mark.long
def test_submit_killed_at_any_moment_and_given_again_runs_every_step_once(trial: Trial) -> None:
    trial.place({}, {}, {}, plan={"step_s": SLOW}, seeds=[1, 2])
    (trial.file.parent / "cluster.yaml").write_text(dump_yaml(trial.profile))
    program = f"""
from pathlib import Path
from td3_hpc.launch.campaigns import chain
chain.require_ready = lambda here: None
here = chain.place(Path({str(trial.file)!r}), {str(trial.file.parent / "cluster.yaml")!r}, [])
print("begin", flush=True)
chain.submit(here, print, Path({str(trial.package)!r}))
"""
    for milliseconds in (20, 60, 120, 180, 240, 300, 400):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(milliseconds / 1000)  # the moment of the kill, not a wait
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if trial.jobs():
            break
    else:
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
        wait_until(lambda: bool(trial.jobs()), 30)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    # The killed one may have left its lock, which is free for a process of this machine.
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=50).returncode == 0

    trial.wait_for_end()
    for seed in (1, 2):
        assert trial.verdicts("a", "b", "c", seed=seed) == ["GO", "GO", "GO"]
        for stage in "abc":
            assert trial.steps(stage, seed) == list(range(1, 11)), f"stage {stage}, seed {seed}"


@pytest.mark.long
def test_slurm_that_refuses_a_stage_keeps_none_of_the_others(trial: Trial) -> None:
    trial.profile = trial.profile.model_copy(update={"partition": "nowhere"})

    with pytest.raises(BadInput, match="invalid partition"):
        trial.submit({}, {})

    assert trial.jobs() == []


@pytest.mark.long
def test_the_smoke_campaign_itself(trial: Trial) -> None:
    """The real trainer and the embedded simulator, all three stages; the last one continues the second."""
    profile = trial.profile.model_copy(update={"memory_gib": 4.0, "cpus": 2})
    (trial.file.parent / "cluster.yaml").write_text(dump_yaml(profile))
    here = chain.place(ROOT / "configs" / "campaigns" / "smoke.yaml", str(trial.file.parent / "cluster.yaml"), [])
    trial.root = here.directory.root

    assert chain.submit(here, trial.logged.append) == ExitCode.DONE

    trial.wait_for_end(timeout_s=500)
    assert trial.verdicts("explore", "learn", "extend") == ["GO", "GO", "GO"]
    assert "continues from its checkpoint of step 40" in trial.log("extend")
    for stage in ("explore", "learn", "extend"):
        assert (trial.run(stage) / "report.html").exists()
    assert os.environ["SLURM_CONF"] == trial.slurm.environment["SLURM_CONF"]
