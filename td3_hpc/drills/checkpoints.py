"""Checkpoints that are cut, damaged, or cannot be written; two writers."""

import resource
import signal
import time
from pathlib import Path

from td3_hpc.drills.drill import Caught, NotCaught, drill
from td3_hpc.drills.preemption import wait_for_half_written
from td3_hpc.drills.training_run import TrainingRun, expect_same_bytes, seconds_since, training_run
from td3_hpc.errors import ExitCode
from td3_hpc.record import AttemptStarted, CheckpointFailed, CheckpointSaved


@drill("checkpoint-cut", "a checkpoint is cut off while it is written", "SIGKILL while a state file is half written")
def cut(workspace: Path) -> Caught:
    """The half file stands under a temporary name, and no manifest names it."""
    with training_run(workspace) as run:
        run.start()
        wait_for_half_written(run)
        run.send(signal.SIGKILL)
        run.finish()
        left = [path.name for path in (run.directory / "state").glob(".*.tmp")]
        if not left:
            raise NotCaught("the kill came too late: nothing was left half written")
        return _continue(run, workspace, "the half file counts for nothing")


@drill("flipped-byte", "a byte of a checkpoint is flipped", "one bit changed in the newest state file, after SIGTERM")
def flipped_byte(workspace: Path) -> Caught:
    """Found by the checksum, whatever the byte belongs to."""
    with training_run(workspace) as run:
        run.start()
        run.wait_for(lambda: len(list((run.directory / "state").glob("checkpoint-*.json"))) >= 2, "two checkpoints")
        run.send(signal.SIGTERM)
        run.finish()
        path = run.newest_state_file()
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))
        return _continue(run, workspace, f"{path.name} is set aside by its checksum")


def _continue(run: TrainingRun, workspace: Path, by: str) -> Caught:
    """Continue from what is whole, to the same end as an undisturbed run."""
    started = time.monotonic()
    run.start()
    resumed = run.wait_for(lambda: run.events(AttemptStarted)[1:], "the second attempt")[0]
    after = seconds_since(started)
    if resumed.resumed_from is None:
        raise NotCaught("the run began anew")
    run.expect_done()
    expect_same_bytes(run, workspace)
    return Caught(
        f"{by}; continued from step {resumed.resumed_from}, it ends with the bytes of an undisturbed run",
        f"on opening, {after}",
    )


@drill(
    "disk-full",
    "the disk is full",
    "a limit of 1 MB on the running learner's files, lifted a few steps after the first failure",
)
def disk_full(workspace: Path) -> Caught:
    """The run goes on without the checkpoint, says so, and saves again once there is space."""
    with training_run(workspace) as run:
        run.start()
        run.wait_for_event(CheckpointSaved, "the first checkpoint")
        before = resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        started = time.monotonic()
        failed = run.wait_for_event(CheckpointFailed, "a checkpoint that fails")
        after = seconds_since(started)
        run.wait_for_step(failed.step + 5)
        resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, before)
        run.expect_done()
        saved = run.events(CheckpointSaved)[-1].at_step
        expect_same_bytes(run, workspace)
    return Caught(
        f"recorded (step {failed.at_step}), the previous checkpoint stays, the run goes on and saves again "
        f"(step {saved})",
        after,
    )


@drill("two-jobs", "two jobs on one run directory", "the same command started twice")
def two_jobs(workspace: Path) -> Caught:
    """The second is refused and the first goes on."""
    with training_run(workspace) as first, training_run(workspace) as second:
        first.start()
        first.wait_for_step(3)
        started = time.monotonic()
        second.start()
        code, line = second.finish()
        after = seconds_since(started)
        if code == ExitCode.DONE or len(first.events(AttemptStarted)) != 1:
            raise NotCaught(f"the second job got in, exit code {code}: {line}")
        first.expect_done()
        expect_same_bytes(first, workspace)
    words = line.removeprefix("td3-hpc: ").rpartition("/")[2]
    return Caught(f"the second is refused (exit code {code}): {words}; the first goes on undisturbed", after)
