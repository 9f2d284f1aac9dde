"""A small real run as a Slurm job, and what its record says."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.slurm.cluster import SlurmCluster, wait_until
from tests.slurm.stage_job import StageJob
from tests.small_stage import SMALL

LEARNING_STARTS = 160


def small_stage(**training: Any) -> dict[str, Any]:
    """The small stage with its training keys changed."""
    stage = copy.deepcopy(SMALL)
    stage["training"].update(training)
    return stage


def interruptible(total_steps: int) -> dict[str, Any]:
    """A stage whose exploration, learning and evaluations each last long enough to be interrupted."""
    stage = small_stage(total_steps=total_steps, learning_starts=LEARNING_STARTS)
    stage["evaluation"] = {"every_steps": total_steps // 2, "episodes": 12}
    return stage


class Training(StageJob):
    """A job with the trainer, and what its run's record says."""

    def __init__(self, slurm: SlurmCluster, image: Path, run: Path, stage: dict[str, Any]) -> None:
        config = run.with_suffix(".yaml")
        config.write_text(yaml.safe_dump(stage))
        super().__init__(slurm, image, run, config)
        self.total_steps = stage["training"]["total_steps"]

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        path = self.run / "record.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        events = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [event for event in events if kind in (None, event["event"])]

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 120) -> None:
        wait_until(condition, timeout_s, lambda: f"{self.log()}\n{self.events()[-3:]}")

    def step(self) -> int:
        """The last step that the record tells of."""
        events = self.events()
        return int(events[-1]["step"]) if events else 0

    def finish(self, timeout_s: float = 180) -> None:
        """Wait until the job has ended because all steps are done, whatever the verdict on them."""
        self.wait_for(lambda: self.slurm.job(self.job)["JobState"] in ("COMPLETED", "FAILED"), timeout_s)
        assert self.outcome() in ("0", "3"), self.log()
        assert [event["step"] for event in self.events("finished")] == [self.total_steps]
        newest = max((self.run / "state").glob("epoch-*.json"))
        assert json.loads(newest.read_text())["released"], f"{newest} still holds the run"

    def trainers(self) -> int:
        """How many processes train this run now."""
        commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        return sum(command[1:4] == ["-m", "td3_hpc", "train"] and str(self.run) in command for command in commands)

    def step_clients(self) -> list[psutil.Process]:
        """The `srun` processes of this run's attempts."""
        found = psutil.process_iter(["cmdline"])
        return [
            one for one in found if (one.info["cmdline"] or [""])[0] == "srun" and str(self.run) in one.info["cmdline"]
        ]

    def simulator(self) -> dict[str, Any]:
        """Where its training simulator says that it listens."""
        address: dict[str, Any] = json.loads((self.run / "simulators" / "simulator-training.json").read_text())
        return address
