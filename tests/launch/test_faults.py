"""Whole lives of runs in which one call of sbatch, squeue, scontrol, sacct, srun or apptainer fails, hangs or answers
nonsense: each call, one at a time. The run ends as without, or with a line that says what to do; it never has two jobs
at once, is never left without one unsaid, and no node is blamed that is not to blame."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import UserError
from td3_hpc.launch.campaigns import chain
from td3_hpc.launch.jobs.submission import submit
from td3_hpc.launch.runs.status import read_status
from td3_hpc.submission_folder import SubmissionFolder
from tests.campaign_stand_in import TrialCampaign, events, make_package
from tests.launch.cluster_stand_in import Cluster, Kind
from tests.paths import ROOT

STAGE = ROOT / "configs" / "stages" / "1k.yaml"
STAND_IN = ROOT / "tests" / "slurm" / "stand_in" / "td3_hpc"
KINDS = pytest.mark.parametrize("kind", get_args(Kind))
ADVICE = re.compile(
    r"submit the (stage|campaign) again|submit again|submit it again|see above|[tT]ry again|with squeue before|"
    r"correct the profile. Nothing was queued|`scancel \d+` first"
)

#: Counts five steps an attempt: the first is stopped, the second killed, the third gets to the end.
TRAINER = """#!/bin/bash
run=${@: -1}
if [ "$2" != td3_hpc ]; then exit 9; fi
mkdir "$run/working" 2>/dev/null || echo "two at once" >>"$run/wrong"
mkdir -p "$run/state"
step=$(ls "$run/state" | sed -n 's/.*-s0*\\([0-9]*\\)-.*/\\1/p' | sort -n | tail -n 1)
echo "$((${step:-0} + 5))" >>"$run/steps"
touch "$run/state/checkpoint-e0001-s$(printf %09d $((${step:-0} + 5)))-0001.json"
rmdir "$run/working"
case ${step:-0} in
  0) exit 75 ;;
  5) exit 137 ;;
esac
echo '{}' >"$run/verdict.json"
"""


class Life:
    """A run, or a campaign, from its submission to its end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, limit_s: float = 10, most: int = 99) -> None:
        self.folder, self.refusals = folder, list[str]()
        self.cluster = Cluster(folder / "cluster", monkeypatch, limit_s, most)
        monkeypatch.setattr(subprocess, "run", _impatient(subprocess.run))

    def submit(self) -> None:
        raise NotImplementedError

    def runs(self) -> list[Path]:
        raise NotImplementedError

    def finished(self) -> bool:
        raise NotImplementedError

    def live(self) -> None:
        """Submitted, and again where that says no; then every job until none is left; and looked at."""
        for _ in range(2):
            try:
                self.submit()
                break
            except UserError as error:
                self.refusals.append(str(error))
        self.cluster.work()
        read_status(self.runs())

    def check(self, call: str) -> None:
        """Fails the test where anything became of the run that must not, for the call that went wrong."""
        told = f"{call}\n{self.refusals}\n{self.cluster.said}"
        for run in self.runs():
            assert not (run / "wrong").exists(), f"two jobs at once: {told}"
            blamed = (run / "submission" / "bad_nodes").exists()
            assert not blamed or call.startswith("apptainer"), f"a node was blamed: {told}"
        for refusal in self.refusals:
            assert "\n" not in refusal, told
            assert ADVICE.search(refusal), f"it does not say what to do: {told}"
        if not self.finished():
            assert ADVICE.search(self.cluster.said), f"lost without a word of what to do: {told}"
            self.submit()
            self.cluster.work()
            assert self.finished(), f"it was submitted again, which did not help: {told}\nthen:\n{self.cluster.said}"


def _impatient(run: Callable[..., Any]) -> Callable[..., Any]:
    """Commands of Slurm's are waited for two seconds, not for a minute."""

    def wrapped(*command: Any, **options: Any) -> Any:
        if options.get("timeout") is not None:
            options["timeout"] = min(options["timeout"], 2)
        return run(*command, **options)

    return wrapped


class StageLife(Life):
    """Of a single stage that is stopped, killed, and comes to its end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, requeue: str) -> None:
        super().__init__(folder, monkeypatch, most=2 if requeue == "chain" else 99)
        self.cluster.most_of_a_run = 2 if requeue == "chain" else 1
        trainer = self.cluster.add("trainer", TRAINER)
        container = {"image": self.cluster.image, "python": str(trainer)}
        settings = {"container": container, "scratch": folder, "requeue": requeue, "chain_length": 5}
        self.profile, self.run = ClusterConfig.model_validate(settings), folder / "run"

    def submit(self) -> None:
        submit(STAGE, self.profile, self.run, package=STAND_IN)

    def runs(self) -> list[Path]:
        return [self.run]

    def finished(self) -> bool:
        outcome = SubmissionFolder(self.run).outcome()
        return outcome is not None and (outcome.status, outcome.step) == (0, 15)


class CampaignLife(Life):
    """Of a campaign of two stages, whose first one's job is lost before it begins."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, package: Path) -> None:
        super().__init__(folder, monkeypatch, limit_s=20)
        monkeypatch.setattr(chain, "require_ready", lambda here: None)
        container = {"image": self.cluster.image, "python": sys.executable, "code": "checkout"}
        settings = {"container": container, "scratch": folder, "runs": folder / "runs"}
        self.lost = False
        self.trial = TrialCampaign(folder, package, ClusterConfig.model_validate(settings))

    def submit(self) -> None:
        self.trial.submit({}, {})
        first = self.cluster.queue()[0]
        if first.script.endswith("/a.sbatch") and not self.lost:
            self.cluster.lose(first.id)
            self.lost = True

    def runs(self) -> list[Path]:
        return [self.trial.run("a"), self.trial.run("b")]

    def finished(self) -> bool:
        counted = [event["step"] for run in self.runs() for event in events(run, "interval")]
        return self.trial.verdicts("a", "b") == ["GO", "GO"] and counted == [*range(1, 11)] * 2


def every_call_goes_wrong(make: Callable[[Path], Life], folder: Path, kind: Kind, step: int = 1) -> None:
    """A life without a fault, and then one for each call of that (or for each `step`th)."""
    whole = make(folder / "whole")
    whole.live()
    assert whole.finished(), whole.cluster.said
    calls = whole.cluster.calls()
    for number in range(1, len(calls) + 1, step):
        life = make(folder / f"{number}")
        life.cluster.go_wrong(number, kind)
        life.live()
        life.check(f"{calls[number - 1]}: call {number} of {len(calls)}, {kind}")


@pytest.mark.long
@KINDS
@pytest.mark.parametrize("requeue", ["slurm", "chain"])
def test_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, requeue: str) -> None:
    every_call_goes_wrong(lambda folder: StageLife(folder, monkeypatch, requeue), tmp_path, kind)


def test_some_calls_of_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every_call_goes_wrong(lambda folder: StageLife(folder, monkeypatch, "slurm"), tmp_path, "nonsense", step=3)


@pytest.mark.long
@pytest.mark.timeout(1800)
@KINDS
def test_a_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    package = make_package(tmp_path / "package")
    every_call_goes_wrong(lambda folder: CampaignLife(folder, monkeypatch, package), tmp_path, kind)
