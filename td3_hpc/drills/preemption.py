"""Preempted at the four moments that differ, with the signals that Slurm sends."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from td3_hpc.drills.drill import Caught, NotCaught, drill
from td3_hpc.drills.training_run import (
    EVALUATION_STEPS,
    LEARNING_STARTS,
    TrainingRun,
    expect_same_bytes,
    seconds_since,
    training_run,
)
from td3_hpc.errors import ExitCode
from td3_hpc.record import EvaluationCycle, RunStopped


def _preempt(workspace: Path, number: signal.Signals, wait: Callable[[TrainingRun], None]) -> Caught:
    """Send the signal at the moment that `wait` waits for; continue, and compare with an undisturbed run."""
    with training_run(workspace) as run:
        run.start()
        wait(run)
        run.send(number)
        signalled = time.monotonic()
        code, line = run.finish()
        after = seconds_since(signalled)
        if code != ExitCode.PREEMPTED:
            raise NotCaught(f"exit code {code} after {number.name}: {line}")
        step = run.events(RunStopped)[-1].step
        run.complete()
        expect_same_bytes(run, workspace)
    return Caught(
        f"{number.name}: saved at step {step}, exit code 75; continued, it ends with the bytes of an undisturbed run",
        after,
    )


@drill("preempted-exploring", "preempted during exploration", "SIGTERM while the actions are still random")
def exploring(workspace: Path) -> Caught:
    """Before the first update."""
    return _preempt(workspace, signal.SIGTERM, lambda run: run.wait_for_step(5))


@drill("preempted-learning", "preempted during learning", "SIGUSR1 after some updates")
def learning(workspace: Path) -> Caught:
    """Between two updates, or in one."""
    return _preempt(workspace, signal.SIGUSR1, lambda run: run.wait_for_step(LEARNING_STARTS + 8))


@drill("preempted-evaluating", "preempted during evaluation", "SIGUSR2 while an evaluation cycle is going on")
def evaluating(workspace: Path) -> Caught:
    """The cycle is repeated from its start."""

    def wait(run: TrainingRun) -> None:
        run.wait_for_step(EVALUATION_STEPS)
        if run.events(EvaluationCycle):
            raise NotCaught("the evaluation was over before the signal could be sent")

    return _preempt(workspace, signal.SIGUSR2, wait)


@drill("preempted-saving", "preempted during a checkpoint", "SIGTERM while a state file is half written")
def saving(workspace: Path) -> Caught:
    """What is being written is finished, and one more is written."""
    return _preempt(workspace, signal.SIGTERM, wait_for_half_written)


def wait_for_half_written(run: TrainingRun) -> None:
    """Wait until a state file stands under its temporary name, and a whole checkpoint is there already."""
    state = run.directory / "state"
    run.wait_for(
        lambda: any(state.glob("checkpoint-*.json")) and any(state.glob(".checkpoint-*.h5.tmp")),
        "a checkpoint being written",
        pause_s=0.0005,
    )
