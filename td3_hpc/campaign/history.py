"""A run's record, sorted by what a report asks for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from td3_hpc.config import StageConfig, load_stage
from td3_hpc.errors import BadInput
from td3_hpc.training.record import CONFIG_FILE, RECORD_FILE, read_record

Event = dict[str, Any]


@dataclass
class RunHistory:
    """The events of one run by kind, in order."""

    config: StageConfig
    events: list[Event] = field(default_factory=list)

    def of(self, kind: str) -> list[Event]:
        """The events of a kind."""
        return [event for event in self.events if event["event"] == kind]

    def column(self, kind: str, name: str) -> list[float]:
        """A field of a kind of event, where it is present."""
        return [event[name] for event in self.of(kind) if name in event]

    @property
    def step(self) -> int:
        """The last completed step that the record knows of."""
        return max((event["step"] for event in self.events), default=0)

    def total(self, name: str) -> int:
        """Sum of a count over all intervals."""
        return int(sum(self.column("interval", name)))


def read_history(run_dir: Path) -> RunHistory:
    """The record of a run directory. Raises BadInput where there is none, naming what is missing."""
    config_path, record_path = run_dir / CONFIG_FILE, run_dir / RECORD_FILE
    for path in (config_path, record_path):
        if not path.is_file():
            raise BadInput(f"{run_dir}: no {path.name} here; is this a run directory? `td3-hpc train` makes one")
    return RunHistory(load_stage(config_path), list(read_record(record_path)))
