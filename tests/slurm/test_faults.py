"""Twenty faults, drawn at random, on a real Slurm: a call of sbatch, squeue, scontrol, sacct, srun or apptainer fails,
hangs or answers nonsense in the life of a run that is preempted once, or of a campaign one of whose jobs is cancelled.

Every call's turn comes on the stand-in (tests/launch/test_faults.py).
"""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from td3_hpc.submission_folder import SubmissionFolder
from tests.campaign_stand_in import events
from tests.launch.cluster_stand_in import COMMANDS, GOES_WRONG, FaultyCommands, Kind
from tests.launch.test_faults import Life
from tests.slurm.cluster import SlurmCluster
from tests.slurm.counting_stage import TOTAL, Stage
from tests.slurm.test_campaign import Trial, package, trial  # noqa: F401 (fixtures)

pytestmark = [pytest.mark.slurm, pytest.mark.long, pytest.mark.timeout(900)]
END_S = 420
"""By then a job that hangs has met its time limit of two minutes, and the one after it is done."""

PROGRAM = r"""#!/bin/bash
site=%(site)s name=${0##*/}
exec 9>"$site/lock"
flock 9
echo "$name $*" >>"$site/calls"
number=$(wc -l <"$site/calls")
exec 9>&-
%(goes_wrong)s
exec %(real)s "$@"
"""


class RealCluster:
    """What a life does with the queue of a real one: watches it until it is empty."""

    def __init__(self, slurm: SlurmCluster, log: Callable[[], str]) -> None:
        self.slurm, self._log = slurm, log
        self.preempts = False
        """Whether the first job that is found at work loses its node, for a moment."""

    @property
    def said(self) -> str:
        return self._log()

    def _running(self) -> list[list[str]]:
        rows = self.slurm.run("squeue", "-h", "-r", "-t", "RUNNING,COMPLETING", "-o", "%o %K %N %T")
        return [row.split() for row in rows.splitlines()]

    def work(self) -> None:
        """Wait until no job is left; fails the test where a run has two at work."""
        deadline = time.monotonic() + END_S
        while self.slurm.run("squeue", "-h"):
            assert time.monotonic() < deadline, f"jobs are left: {self.slurm.run('squeue')}\n{self.said}"
            running = [row for row in self._running() if row[3] == "RUNNING"]
            of_runs = [tuple(row[:2]) for row in running]
            assert len(of_runs) == len(set(of_runs)), f"two jobs of a run at once: {of_runs}\n{self.said}"
            if running and self.preempts:
                self.preempts = False
                time.sleep(1)
                high = self.slurm.submit("true", "--partition=high", "--exclusive", f"--nodelist={running[0][2]}")
                self.slurm.wait_for_state(high, "COMPLETED")
            time.sleep(0.5)


class RealStageLife(Life):
    """Of a single stage that is preempted."""

    def __init__(self, stage: Stage, requeue: str) -> None:
        self.stage, self.requeue, self.refusals = stage, requeue, list[str]()
        self.scratch = stage.scratch
        self.cluster = RealCluster(stage.slurm, stage.log)
        self.cluster.preempts = True

    def submit(self) -> None:
        self.stage.submit(walltime_minutes=2, requeue=self.requeue, chain_length=3)

    def runs(self) -> list[Path]:
        return [self.stage.run]

    def finished(self) -> bool:
        outcome = SubmissionFolder(self.stage.run).outcome()
        started, saved = ([event["step"] for event in self.stage.events(kind)] for kind in ("started", "saved"))
        counted = [event["step"] for event in self.stage.events("finished")] == [TOTAL] and started == [0, *saved]
        return outcome is not None and outcome.status == 0 and counted


class RealCampaignLife(Life):
    """Of a campaign of two stages, whose second one's job is cancelled while it waits."""

    def __init__(self, trial: Trial) -> None:  # noqa: F811
        self.trial, self.refusals, self.scratch = trial, list[str](), trial.scratch
        trial.profile = trial.profile.model_copy(update={"walltime_minutes": 2})
        self.cluster = RealCluster(trial.slurm, lambda: "\n".join([*trial.logged, trial.log()]))
        self.cancelled = False

    def submit(self) -> None:
        self.trial.submit({}, {}, plan={"step_s": 0.2})
        queue = self.cluster.slurm.run("squeue", "-h", "-t", "PENDING", "-o", "%i %o").splitlines()
        second = [row.split()[0] for row in queue if row.endswith("/b.sbatch")]
        if second and not self.cancelled:
            self.cancelled = True
            self.cluster.slurm.run("scancel", second[0])

    def runs(self) -> list[Path]:
        return [self.trial.run("a"), self.trial.run("b")]

    def finished(self) -> bool:
        counted = [event["step"] for run in self.runs() for event in events(run, "interval")]
        return self.trial.verdicts("a", "b") == ["GO", "GO"] and counted == [*range(1, 11)] * 2


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultyCommands:
    """The commands of Slurm and Apptainer, first in PATH, one call of which goes wrong."""
    faulty = FaultyCommands(tmp_path / "commands")
    for name in COMMANDS:
        words = {"site": faulty.folder, "goes_wrong": GOES_WRONG, "real": shutil.which(name)}
        faulty.add(name, PROGRAM % words)
    monkeypatch.setenv("PATH", f"{faulty.folder / 'bin'}:{os.environ['PATH']}")
    return faulty


def nothing_goes_wrong(life: Life, commands: FaultyCommands, calls: int) -> None:
    """A life without a fault, which has about as many calls as the faults are drawn from."""
    life.live()
    assert life.finished(), life.cluster.said
    assert calls - 4 <= len(commands.calls()) <= calls + 8


def a_call_goes_wrong(life: "RealStageLife | RealCampaignLife", commands: FaultyCommands, calls: int) -> None:
    """A life in which one of so many calls goes wrong; which, and how, is drawn."""
    draw = random.SystemRandom()
    number, kind = draw.randint(1, calls), draw.choice(get_args(Kind))
    commands.go_wrong(number, kind)
    life.live()
    called = commands.calls()
    call = called[number - 1] if number <= len(called) else "none"
    told = f"{call}: call {number} of {len(called)}, {kind}"
    print(told)
    life.check(told)
    for folder in life.scratch.iterdir():  # a killed job's, which the next one on its node would remove
        shutil.rmtree(folder)


REQUEUE = pytest.mark.parametrize("requeue", ["slurm", "chain"])
CALLS_OF_STAGE, CALLS_OF_CAMPAIGN = 12, 20


@REQUEUE
def test_a_stage_without_a_fault(stage: Stage, commands: FaultyCommands, requeue: str) -> None:
    nothing_goes_wrong(RealStageLife(stage, requeue), commands, CALLS_OF_STAGE)


@REQUEUE
@pytest.mark.parametrize("draw", range(6))
def test_a_stage(stage: Stage, commands: FaultyCommands, requeue: str, draw: int) -> None:
    a_call_goes_wrong(RealStageLife(stage, requeue), commands, CALLS_OF_STAGE)


def test_a_campaign_without_a_fault(trial: Trial, commands: FaultyCommands) -> None:  # noqa: F811
    nothing_goes_wrong(RealCampaignLife(trial), commands, CALLS_OF_CAMPAIGN)


@pytest.mark.parametrize("draw", range(8))
def test_a_campaign(trial: Trial, commands: FaultyCommands, draw: int) -> None:  # noqa: F811
    a_call_goes_wrong(RealCampaignLife(trial), commands, CALLS_OF_CAMPAIGN)
