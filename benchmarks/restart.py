"""From the start of a process to the first new step of an interrupted run, against another version of the package.

    BEFORE=/path/to/another/checkout python -m benchmarks restart

Each version trains a short run until a signal stops it within an episode. Then they resume it in turn, each time from a
copy, until the record tells of a step after the checkpoint's; that is when the time stops. Processor time is that of
the whole tree of processes. Promised: 40 % of what commit f7c596c takes.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

OURS = Path(__file__).resolve().parent.parent
ROUNDS = 15
STOP_AT = 24
CHANGES = (
    "training.learning_starts=20",
    "agent.batch_size=64",
    "environment.max_decisions=15",
    "logging.interval_steps=1",
    "evaluation.every_steps=1000",
    "environment.traffic.port=0",
    "environment.traffic.evaluation_port=0",
    "simulator.port=0",
    "simulator.evaluation_port=0",
)
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Resumed:
    """One restart, in seconds since the process was started."""

    wall: float
    processor: float
    phases: dict[str, float]
    """What happened -> when."""


class Run:
    """A process that trains, with one version's code."""

    def __init__(self, tree: Path, directory: Path) -> None:
        self._record = directory / "record.jsonl"
        self._read_from = self._record.stat().st_size if self._record.exists() else 0
        command = [sys.executable, "-m", "td3_hpc", "train", str(tree / "configs/stages/1k.yaml")]
        command += ["--run-dir", str(directory), *(word for change in CHANGES for word in ("-o", change))]
        self.started = time.time()
        self.process = psutil.Popen(
            command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, stdout=subprocess.DEVNULL
        )

    def events(self) -> list[dict[str, Any]]:
        """Those of this process so far."""
        if not self._record.exists():
            return []
        with self._record.open("rb") as file:
            file.seek(self._read_from)
            lines = file.read().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def wait_for_step(self, step: int) -> list[dict[str, Any]]:
        """Until the record tells of a completed step from `step` on."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            events = self.events()
            if any(event["event"] == "interval" and event["step"] >= step for event in events):
                return events
            time.sleep(0.01)
        raise SystemExit(f"no step {step} (exit status {self.process.poll()})")

    def processor_seconds(self) -> float:
        """Of the process, those below it, and those that have ended."""
        total = 0.0
        for process in (self.process, *self.process.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def stop(self) -> None:
        """As a preempted job is."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)


def interrupted(tree: Path, directory: Path) -> int:
    """Train until STOP_AT and stop; returns the checkpoint's step."""
    run = Run(tree, directory)
    run.wait_for_step(STOP_AT)
    run.stop()
    return int(run.events()[-1]["step"])


def resumed(tree: Path, directory: Path, step: int) -> Resumed:
    """Go on from there until a step more is done."""
    run = Run(tree, directory)
    events = run.wait_for_step(step + 1)
    processor = run.processor_seconds()
    first = next(event for event in events if event["event"] == "interval" and event["step"] > step)
    phases = {}
    for event in events:
        name = event["event"]
        if name == "attempt":
            phases["attempt noted"] = event["time"] - run.started
        elif name == "simulator" and event["purpose"] == "training":
            phases.setdefault(f"training simulator {event['state']}", event["time"] - run.started)
    run.stop()
    return Resumed(first["time"] - run.started, processor, {**phases, "first new step": first["time"] - run.started})


def main() -> None:
    """Print the table."""
    trees = {"before": Path(os.environ["BEFORE"]).resolve()} if os.environ.get("BEFORE") else {}
    trees["now"] = OURS
    found: dict[str, list[Resumed]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as folder:
        steps = {name: interrupted(tree, Path(folder) / name) for name, tree in trees.items()}
        for _ in range(ROUNDS):
            for name, tree in trees.items():
                copy = Path(folder) / "copy"
                shutil.copytree(Path(folder) / name, copy)
                found[name].append(resumed(tree, copy, steps[name]))
                shutil.rmtree(copy)
    for name, rounds in found.items():
        wall, processor = (statistics.median(getattr(one, kind) for one in rounds) for kind in ("wall", "processor"))
        print(f"  {name}: first new step after {wall:.1f} s, {processor:.1f} s of processor time")
        for phase in rounds[-1].phases:
            times = [one.phases[phase] for one in rounds if phase in one.phases]
            print(f"    {statistics.median(times):6.1f} s  {phase}")
    if "before" in found:
        for kind in ("wall", "processor"):
            ratios = [getattr(b, kind) / getattr(a, kind) for a, b in zip(found["before"], found["now"])]
            lower, middle, upper = statistics.quantiles(ratios, n=4)
            print(f"  {kind} time: {middle:.0%} of before (quartiles {lower:.0%} to {upper:.0%}; promised 40 %)")


if __name__ == "__main__":
    main()
