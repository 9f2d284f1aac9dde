"""Networks that hold what they must not."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from td3_hpc.checkpoint import CheckpointStore, open_checkpoint
from td3_hpc.config import CheckpointConfig
from td3_hpc.drills.drill import Caught, NotCaught, drill
from td3_hpc.drills.training_run import LEARNING_STARTS, TrainingRun, seconds_since, training_run
from td3_hpc.errors import ExitCode
from td3_hpc.formatting import plural
from td3_hpc.record import Interval, RunFailed
from td3_hpc.replay import ReplayBuffer
from td3_hpc.training.monitors.finite import non_finite_entries
from td3_hpc.training.seeding import generator

Change = Callable[[dict[str, Any]], None]


@drill("nan-in-training", "NaN in a network while it learns", "configuration: a critic learning rate of 1e30")
def nan_in_training(workspace: Path) -> Caught:
    """The weights overflow at the first updates."""
    with training_run(workspace) as run:
        run.start("agent.learning_rates.critic=1.0e+30", f"checkpoint.every_steps={LEARNING_STARTS - 10}")
        run.wait_for_step(LEARNING_STARTS)
        started = time.monotonic()
        code, line = run.finish()
        if code != ExitCode.FAILED or not run.events(RunFailed):
            raise NotCaught(f"exit code {code}: {line}")
        failure = run.events(RunFailed)[-1]
        updates = sum(event.updates for event in run.events(Interval))
        if failure.code != "non_finite":
            raise NotCaught(f"stopped for another reason: {failure.reason}")
        tree = open_checkpoint(run.directory).state()
        if list(non_finite_entries(tree["agent"])):
            raise NotCaught("the newest checkpoint holds the NaN")
        kept = int(tree["counters"]["step"])
    return Caught(
        f"{failure.cause}; exit code 1, the checkpoint of step {kept} is kept and finite",
        f"{plural(updates, 'update')} after the first, {seconds_since(started)}",
    )


@drill("nan-in-checkpoint", "NaN in a network that is loaded", "a checkpoint with valid checksums and one NaN weight")
def nan_in_checkpoint(workspace: Path) -> Caught:
    """Another program, or a version before this check, may have written it."""

    def poison(tree: dict[str, Any]) -> None:
        tree["agent"]["actor"]["cnn.conv1.weight"][3, 1, 4, 5] = np.nan

    return _refused(workspace, poison, "cnn.conv1.weight", ExitCode.FAILED)


@drill(
    "wrong-state-dimension",
    "wrong state dimension",
    "a checkpoint of an actor that sees 20 waypoints, not 25: a state of 10 numbers fewer",
)
def wrong_state_dimension(workspace: Path) -> Caught:
    """As a version of the package with another observation would have written it."""

    def narrow(tree: dict[str, Any]) -> None:
        actor = tree["agent"]["actor"]
        actor["head.hidden.0.weight"] = actor["head.hidden.0.weight"][:, :-10].copy()

    return _refused(workspace, narrow, "actor.head.hidden.0.weight: float32 ", ExitCode.BAD_INPUT)


def _refused(workspace: Path, change: Change, said: str, expected: ExitCode) -> Caught:
    """Change a run's newest checkpoint, continue, and expect to be refused with a message that says what it is."""
    with training_run(workspace) as run:
        run.complete("training.total_steps=32")
        _rewrite(run, change)
        steps = len(run.events(Interval))
        started = time.monotonic()
        run.start("training.total_steps=40")
        code, line = run.finish()
        if code != expected or said not in line:
            raise NotCaught(f"exit code {code}: {line}")
        if len(run.events(Interval)) > steps:
            raise NotCaught("steps were made before it was noticed")
    return Caught(f"not continued from (exit code {code}): {_shortened(line)}", f"on loading, {seconds_since(started)}")


def _rewrite(run: TrainingRun, change: Change) -> None:
    """Write the newest checkpoint again, changed, as its own store writes one: every checksum fits."""
    store = CheckpointStore(run.directory, CheckpointConfig())
    store.open_for_writing()
    try:
        checkpoint = store.latest()
        assert checkpoint is not None, "the run has saved"
        tree = checkpoint.state()
        replay = ReplayBuffer(500, generator(0, "drill"))
        replay.restore(checkpoint.first_row, checkpoint.rows())
        replay.load_state(tree["replay"])
        change(tree)
        store.save(int(tree["counters"]["step"]), tree, replay)
    finally:
        store.close()


def _shortened(line: str) -> str:
    message = line.removeprefix("td3-hpc: ").partition("; continue")[0].partition(". ")[0]
    return message.rpartition("/")[2]
