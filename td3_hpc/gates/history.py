"""A run's record, sorted by what gates and reports ask for."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from td3_hpc.config import StageConfig, load_stage
from td3_hpc.errors import BadInput
from td3_hpc.training.record import CONFIG_FILE, RECORD_FILE

Event = dict[str, Any]
"""An event's own fields, with `event`, `step`, `time` and its `line` in the record."""


@dataclass(frozen=True)
class Evidence:
    """Where in the record a number comes from."""

    event: str
    """Kind of the events."""
    fields: str
    """The fields that were read."""
    count: int
    """How many events."""
    first_step: int | None = None
    last_step: int | None = None
    first_line: int | None = None
    last_line: int | None = None
    """The events' steps and lines in record.jsonl; None where there are none."""

    def __str__(self) -> str:
        if not self.count:
            return f"no `{self.event}` event"
        lines = f"line {self.first_line}" if self.count == 1 else f"lines {self.first_line}–{self.last_line}"
        steps = f"step {self.last_step:,}" if self.count == 1 else f"steps {self.first_step:,}–{self.last_step:,}"
        return f"{self.count:,} × `{self.event}` ({self.fields}), {steps}, {lines}"


def last_word(events: Iterable[Event]) -> Event:
    """The last event that tells how a run itself stands; empty where there is none."""
    words = [event for event in events if event["event"] in ("attempt", "stopped", "failed", "finished")]
    return words[-1] if words else {}


@dataclass
class RunHistory:
    """The events of one run by kind, in order, as far as they can be read."""

    run_dir: Path
    stage: StageConfig | None
    """None where config.yaml is missing or damaged."""
    events: list[Event] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What of the run directory is missing or damaged, in words."""

    @property
    def config(self) -> StageConfig:
        """The configuration; raises BadInput where there is none."""
        if self.stage is None:
            raise BadInput(f"{self.run_dir}: {'; '.join(self.problems)}")
        return self.stage

    def of(self, kind: str) -> list[Event]:
        """The events of a kind."""
        return [event for event in self.events if event["event"] == kind]

    def having(self, kind: str, name: str) -> list[Event]:
        """The events of a kind that have a field."""
        return [event for event in self.of(kind) if event.get(name) is not None]

    def column(self, kind: str, name: str) -> list[float]:
        """A field of a kind of event, where it is present."""
        return [event[name] for event in self.having(kind, name)]

    @property
    def step(self) -> int:
        """The last completed step that the record knows of."""
        return max((event["step"] for event in self.events), default=0)

    @property
    def finished(self) -> bool:
        """All steps of the configuration are done."""
        ends = self.of("finished")
        return bool(ends) and self.stage is not None and ends[-1]["step"] >= self.stage.training.total_steps

    @property
    def can_go_on(self) -> bool:
        """Steps are left, and the run has not failed: it is under way, or was stopped or killed."""
        return not self.finished and self.last_word.get("event") != "failed"

    @property
    def last_word(self) -> Event:
        """How the run itself stands, whatever its simulators said after that; empty where it has not begun."""
        return last_word(self.events)

    @property
    def first_step(self) -> int:
        """The step that this stage began at: 0, or that of the checkpoint of the stage that it continues.

        The record of such a stage begins with the earlier one's; epochs count from 1 in each.
        """
        begun = [event for event in self.of("attempt") if event.get("epoch") == 1]
        return int(begun[-1].get("resumed_from") or 0) if begun else 0

    def evaluations_due(self) -> list[int]:
        """The steps of this stage at which an evaluation cycle is due."""
        every, total = self.config.evaluation.every_steps, self.config.training.total_steps
        return list(range((self.first_step // every + 1) * every, total + 1, every))

    def total(self, name: str) -> int:
        """Sum of a count over all intervals."""
        return int(sum(self.column("interval", name)))

    def steps_covered(self) -> tuple[int, int]:
        """How many different steps the interval events cover, and how many they hold twice."""
        covered, counted, reached = 0, 0, 0
        for first, last in sorted((event["first_step"], event["last_step"]) for event in self.of("interval")):
            counted += last - first + 1
            covered += max(0, last - max(first - 1, reached))
            reached = max(reached, last)
        return covered, counted - covered


def evidence(kind: str, fields: str, events: Iterable[Event]) -> Evidence:
    """Evidence from these events, all of one kind."""
    found = list(events)
    if not found:
        return Evidence(kind, fields, 0)
    first = min(event["first_step" if "first_step" in event else "step"] for event in found)
    last = max(event["last_step" if "last_step" in event else "step"] for event in found)
    lines = [event["line"] for event in found]
    return Evidence(kind, fields, len(found), first, last, min(lines), max(lines))


def read_history(run_dir: Path) -> RunHistory:
    """What can be read of a run directory; `problems` says what cannot. Raises BadInput where there is no directory."""
    if not run_dir.is_dir():
        raise BadInput(f"{run_dir}: no such run directory; `td3-hpc train` makes one")
    history = RunHistory(run_dir, None)
    try:
        history.stage = load_stage(run_dir / CONFIG_FILE)
    except BadInput as error:
        history.problems.append(" ".join(str(error).split()).replace(f"{run_dir}/", ""))
    _read_events(run_dir / RECORD_FILE, history)
    return history


def _read_events(path: Path, history: RunHistory) -> None:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        history.problems.append(f"{path.name}: {(error.strerror or str(error)).lower()}")
        return
    damaged = []
    for number, line in enumerate(lines, 1):
        event = _event(line)
        if event is None:
            damaged.append(number)
        else:
            history.events.append({**event, "line": number})
    if not lines:
        history.problems.append(f"{path.name}: empty")
    if damaged:
        listed = ", ".join(map(str, damaged[:5])) + (", …" if len(damaged) > 5 else "")
        history.problems.append(f"{path.name}: {len(damaged)} of {len(lines)} lines cannot be read (line {listed})")


def _event(line: bytes) -> Event | None:
    """The event on a line; None where it is not a whole one."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(event, dict) and isinstance(event.get("event"), str) and isinstance(event.get("step"), int)
    return event if whole else None
