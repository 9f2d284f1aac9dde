"""A real run whose disk is full for a while."""

import contextlib
import subprocess
import sys

import pytest

from td3_hpc.checkpoint import diff


@pytest.fixture
def small_disk(tmp_path):
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=450m", "tmpfs", directory], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield directory
    subprocess.run(["umount", directory], check=True)


def fill_up(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while file.write(bytes(512)):
            pass


@pytest.mark.long
def test_a_full_disk_costs_checkpoints_and_not_the_run(small_disk, make_run, tmp_path):
    changes = {"training.total_steps": 200, "training.learning_starts": 150, "evaluation.every_steps": 60}
    whole, run = make_run("whole", **changes), make_run("run", **changes)
    run.directory = small_disk / "run"
    assert whole.train()[0] == 0
    output = tmp_path / "output"
    with output.open("wb") as file:
        run.process = subprocess.Popen(
            [sys.executable, "-m", "td3_hpc", "train", str(run.config), "--run-dir", str(run.directory)],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    run.wait_for(lambda run: run.events("checkpoint"))
    fill_up(small_disk / "filler")
    run.wait_for(lambda run: "could not be written (No space left on device)" in output.read_text())
    (small_disk / "filler").unlink()
    assert run.process.wait(200) == 0, output.read_text()

    failed, written = run.events("checkpoint_failed"), run.events("checkpoint")
    assert "No space left" in failed[0]["error"]
    assert max(event["at_step"] for event in written) == 200
    assert [e["last_step"] for e in run.events("interval")] == list(range(10, 201, 10)), "the record lost lines"
    assert diff(whole.directory, run.directory) == []
    verified = subprocess.run([sys.executable, "-m", "td3_hpc", "checkpoint", "verify", run.directory])
    assert verified.returncode == 0
