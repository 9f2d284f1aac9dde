"""Mistakes in the configuration."""

import time
from pathlib import Path

from td3_hpc.drills.drill import Caught, NotCaught, drill
from td3_hpc.drills.training_run import seconds_since, training_run
from td3_hpc.errors import ExitCode
from td3_hpc.record import Event


@drill(
    "learning-never-starts",
    "learning_starts is never reached",
    "configuration: learning_starts 5000 in a run of 1000 steps",
)
def learning_never_starts(workspace: Path) -> Caught:
    """Refused before anything is started."""
    with training_run(workspace) as run:
        started = time.monotonic()
        run.start("training.learning_starts=5000", "training.total_steps=1000")
        code, line = run.finish()
        if code != ExitCode.BAD_INPUT or "learning would never start" not in line or run.events(Event):
            raise NotCaught(f"exit code {code}: {line}")
        return Caught("the configuration is refused (exit code 2): learning would never start", seconds_since(started))
