"""A real run whose disk is full for a while."""

import subprocess
import sys

import pytest

from td3_hpc.checkpoint import diff
from tests.disks import fill_up, small_disk


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", "450m") as disk:
        yield disk


@pytest.mark.long
def test_a_full_disk_costs_checkpoints_and_not_the_run(disk, make_run, tmp_path):
    changes = {"training.total_steps": 200, "training.learning_starts": 150, "evaluation.every_steps": 60}
    whole, run = make_run("whole", **changes), make_run("run", **changes)
    run.directory = disk / "run"
    assert whole.train()[0] == 0
    output = tmp_path / "output"
    with output.open("wb") as file:
        run.process = subprocess.Popen(
            [sys.executable, "-m", "td3_hpc", "train", str(run.config), "--run-dir", str(run.directory)],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    run.wait_for(lambda run: run.events("checkpoint"))
    fill_up(disk / "filler")
    run.wait_for(lambda run: "could not be written (No space left on device)" in output.read_text())
    (disk / "filler").unlink()
    assert run.process.wait(200) == 0, output.read_text()

    failed, written = run.events("checkpoint_failed"), run.events("checkpoint")
    assert "No space left" in failed[0]["error"]
    assert max(event["at_step"] for event in written) == 200
    assert [e["last_step"] for e in run.events("interval")] == list(range(10, 201, 10)), "the record lost lines"
    assert diff(whole.directory, run.directory) == []
    verified = subprocess.run([sys.executable, "-m", "td3_hpc", "checkpoint", "verify", run.directory])
    assert verified.returncode == 0
