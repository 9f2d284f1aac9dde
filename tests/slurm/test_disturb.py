"""What disturbs the long run (benchmarks/million): every kind once, on a small one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.million import disturb
from tests.slurm.cluster import SlurmCluster
from tests.slurm.training_job import Training, interruptible


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_each_kind_of_disturbance_is_survived(
    slurm: SlurmCluster, make: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(disturb, "BETWEEN_STEPS", 40)
    training, log = make("run", interruptible(6000)), tmp_path / "log"
    training.submit(walltime_minutes=60)
    training.wait_for(lambda: training.step() > 0, 120)
    disturb.disturb(disturb.Run(training.run), log, 0.0, len(disturb.KINDS))
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [each["kind"] for each in told] == list(disturb.KINDS)
    steps = [each["step"] for each in told]
    assert steps == sorted(steps), "the run lost more than it gained"
    training.wait_for(lambda: training.step() > steps[-1], 180)
    attempts = training.events("attempt")
    assert len(attempts) >= 5, "each but the dead simulator and the controller's restart begins an attempt"
    assert all(attempt["resumed_from"] for attempt in attempts[1:])
