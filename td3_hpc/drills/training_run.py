"""A training process as a user starts it: `td3-hpc train` on a small stage, watched from outside."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from td3_hpc.checkpoint import diff
from td3_hpc.drills.drill import NotCaught
from td3_hpc.durable import replace_file
from td3_hpc.record import RECORD_FILE, Event, RunFinished, read_events

Value = TypeVar("Value")
EventType = TypeVar("EventType", bound=Event)

PATIENCE_S = 300.0
"""Longest wait for anything; a machine under load is no failure."""

LEARNING_STARTS, TOTAL_STEPS, EVALUATION_STEPS = 30, 60, 30
STAGE: dict[str, Any] = {
    "name": "drill",
    "seed": 3,
    "training": {"total_steps": TOTAL_STEPS, "learning_starts": LEARNING_STARTS, "threads": 1, "device": "cpu"},
    "simulator": {"ready_timeout_s": 60, "hang_timeout_s": 5},
    "environment": {
        "town": "Hamlet",
        "max_decisions": 25,
        "route": {"min_length_m": 40, "max_length_m": 120},
        "traffic": {"vehicles": 3, "port": 0, "evaluation_port": 0},
    },
    "agent": {"batch_size": 8},
    "replay": {"capacity": 500},
    "evaluation": {"every_steps": EVALUATION_STEPS, "episodes": 4},
    "checkpoint": {"every_steps": 10},
    "logging": {"interval_steps": 1, "gradient_interval_updates": 10, "tensorboard": False},
}


class TrainingRun:
    """A run directory of the small stage, and the process that works on it."""

    def __init__(self, workspace: Path, name: str) -> None:
        workspace.mkdir(parents=True, exist_ok=True)
        self.directory = workspace / name
        self.config = workspace / f"{name}.yaml"
        # JSON is YAML.
        replace_file(self.config, json.dumps(STAGE).encode())
        self._process: subprocess.Popen[str] | None = None

    def start(self, *overrides: str) -> None:
        """Start `td3-hpc train`; `overrides` are its -o KEY=VALUE."""
        options = [part for override in overrides for part in ("-o", override)]
        command = [sys.executable, "-m", "td3_hpc", "train", str(self.config), "--run-dir", str(self.directory)]
        self._process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    @property
    def process(self) -> "subprocess.Popen[str]":
        """The running process."""
        assert self._process is not None, "start() comes first"
        return self._process

    def finish(self) -> tuple[int, str]:
        """Wait until the process has ended; its exit code and its last line."""
        try:
            output, _ = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotCaught(f"the run did not end within {PATIENCE_S:.0f} s") from None
        lines = output.strip().splitlines()
        return self.process.returncode, lines[-1] if lines else ""

    def complete(self, *overrides: str) -> None:
        """Start it, and wait until all steps are done."""
        self.start(*overrides)
        self.expect_done()

    def expect_done(self) -> None:
        """Wait until all steps are done, whatever the verdict on them. Raises NotCaught."""
        code, line = self.finish()
        if not self.events(RunFinished):
            raise NotCaught(f"the run ended with exit code {code} before its last step: {line}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the learner."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it by SIGKILL; its supervisors and simulators follow by themselves."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def events(self, kind: type[EventType]) -> list[EventType]:
        """The events of a kind in the record so far."""
        return read_events(self.directory / RECORD_FILE, kind)

    def step(self) -> int:
        """The last completed step that the record tells of."""
        return max((event.step for event in self.events(Event)), default=0)

    def wait_for(self, condition: Callable[[], Value], what: str, pause_s: float = 0.02) -> Value:
        """Wait until the condition holds and return its value. Raises NotCaught."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            if self.process.poll() is not None:
                output = self.process.communicate()[0].strip().splitlines()
                raise NotCaught(f"the run ended before {what}: {output[-1] if output else 'no output'}")
            time.sleep(pause_s)
        raise NotCaught(f"not within {PATIENCE_S:.0f} s: {what}")

    def wait_for_event(self, kind: type[EventType], what: str) -> EventType:
        """Wait for the first event of a kind."""
        return self.wait_for(lambda: self.events(kind), what)[0]

    def wait_for_step(self, step: int) -> None:
        """Wait until a step is done."""
        self.wait_for(lambda: self.step() >= step, f"step {step}")

    def simulator_pid(self, purpose: str) -> int:
        """The process of one of its simulators."""
        status = json.loads((self.directory / "simulators" / f"simulator-{purpose}.json").read_text(encoding="utf-8"))
        return int(status["pid"])

    def newest_state_file(self) -> Path:
        """The HDF5 file of its newest checkpoint."""
        return max((self.directory / "state").glob("checkpoint-*.h5"))


@contextmanager
def training_run(workspace: Path, name: str = "run") -> Iterator[TrainingRun]:
    """A run whose process is gone in the end, whatever happens."""
    run = TrainingRun(workspace, name)
    try:
        yield run
    finally:
        run.kill()


def expect_same_bytes(run: TrainingRun, workspace: Path, *overrides: str, name: str = "run") -> None:
    """Compare a disturbed run with one that nothing disturbed, made at the first call of its name. Raises NotCaught."""
    with training_run(workspace.parent / "undisturbed", name) as undisturbed:
        if not undisturbed.events(RunFinished):
            undisturbed.complete(*overrides)
        differences = diff(undisturbed.directory, run.directory)
    if differences:
        raise NotCaught(
            f"the run ended with other bytes than an undisturbed one: {'; '.join(map(str, differences[:3]))}"
        )


def seconds_since(started: float) -> str:
    """For the table."""
    return f"{time.monotonic() - started:.1f} s"
