"""A run's record, sorted by what gates and reports ask for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from td3_hpc.config import CONFIG_FILE, StageConfig, load_resolved
from td3_hpc.errors import BadInput
from td3_hpc.record import (
    FORMAT,
    RECORD_FILE,
    AttemptStarted,
    EpisodeEnded,
    EvaluationCycle,
    Event,
    Interval,
    RunFailed,
    RunFinished,
    RunStopped,
    read_record,
)

EventType = TypeVar("EventType", bound=Event)
RUN_STATES = (AttemptStarted, RunStopped, RunFailed, RunFinished)
"""The events that tell how a run itself stands."""


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


def last_word(events: Iterable[Event]) -> Event | None:
    """The last event that tells how a run itself stands, whatever its simulators reported after it."""
    return next((event for event in reversed(list(events)) if isinstance(event, RUN_STATES)), None)


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

    def of(self, kind: type[EventType]) -> list[EventType]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def intervals(self) -> list[Interval]:
        """The complete intervals."""
        return self.of(Interval)

    @property
    def learning(self) -> list[Interval]:
        """The intervals in which the policy learnt."""
        return [interval for interval in self.intervals if interval.updates]

    @property
    def learning_speeds(self) -> list[float]:
        """Steps per second of the intervals in which the policy learnt."""
        return [interval.steps_per_second for interval in self.learning if interval.steps_per_second is not None]

    @property
    def step(self) -> int:
        """The last completed step that the record knows of."""
        return max((event.step for event in self.events), default=0)

    @property
    def finished(self) -> bool:
        """All steps of the configuration are done."""
        ends = self.of(RunFinished)
        return bool(ends) and self.stage is not None and ends[-1].step >= self.stage.training.total_steps

    @property
    def can_go_on(self) -> bool:
        """Steps are left, and the run has not failed: it is under way, or was stopped or killed."""
        return not self.finished and not isinstance(self.last_word, RunFailed)

    @property
    def last_word(self) -> Event | None:
        """How the run itself stands; None where it has not begun."""
        return last_word(self.events)

    @property
    def first_step(self) -> int:
        """The step that this stage began at: 0, or that of the checkpoint of the stage that it continues.

        The record of such a stage begins with the earlier one's; epochs count from 1 in each. An attempt may have died
        before it could tell anything.
        """
        attempts = self.of(AttemptStarted)
        begun = [a for a in attempts if a.continues_stage or (a.continues_stage is None and a.epoch == 1)]
        return begun[-1].resumed_from or 0 if begun else 0

    def attempts(self) -> list[tuple[AttemptStarted, list[Event]]]:
        """Each attempt with all events up to the next one, its own start first."""
        attempts: list[tuple[AttemptStarted, list[Event]]] = []
        for event in self.events:
            if isinstance(event, AttemptStarted):
                attempts.append((event, []))
            if attempts:
                attempts[-1][1].append(event)
        return attempts

    @property
    def computes_bfloat16(self) -> bool:
        """Whether the record says that the hardware of the newest attempt computes in bfloat16."""
        starts = self.of(AttemptStarted)
        return bool(starts) and starts[-1].environment.bfloat16 == "computed"

    def active_seconds(self) -> float:
        """Wall-clock time of all attempts, from each one's first to its last event (seconds)."""
        return sum(max(event.time for event in own) - start.time for start, own in self.attempts())

    def evaluations_due(self) -> list[int]:
        """The steps of this stage at which an evaluation cycle is due."""
        return self.config.evaluations_after(self.first_step)

    def evaluations_done(self, cycles: Iterable[EvaluationCycle]) -> set[int]:
        """Of the steps at which a cycle is due, those that these cycles are of: a round of several simulators may
        overshoot one by a few, and come to the last step with the same."""
        late = self.config.simulators
        steps = {cycle.step for cycle in cycles}
        return {due for due in self.evaluations_due() if steps & set(range(due, due + late))}

    def total(self, count: Callable[[Interval], int | None]) -> int:
        """Sum of a count over all intervals."""
        return sum(count(interval) or 0 for interval in self.intervals)

    def steps_covered(self) -> tuple[int, int]:
        """How many different steps the interval events cover, and how many they hold twice."""
        covered, counted, reached = 0, 0, 0
        for first, last in sorted((interval.first_step, interval.last_step) for interval in self.intervals):
            counted += last - first + 1
            covered += max(0, last - max(first - 1, reached))
            reached = max(reached, last)
        return covered, counted - covered


def evidence(kind: type[Event], fields: str, events: Iterable[Event]) -> Evidence:
    """Evidence from these events, all of one kind."""
    found = list(events)
    if not found:
        return Evidence(kind.kind, fields, 0)
    return Evidence(kind.kind, fields, len(found), *span(found))


def span(events: Sequence[Event]) -> tuple[int, int, int, int]:
    """First and last step, first and last line of at least one event."""
    first = min(event.first_step if isinstance(event, Interval | EpisodeEnded) else event.step for event in events)
    last = max(event.last_step if isinstance(event, Interval | EpisodeEnded) else event.step for event in events)
    lines = [event.line for event in events]
    return first, last, min(lines), max(lines)


def read_history(run_dir: Path) -> RunHistory:
    """What can be read of a run directory; `problems` says what cannot. Raises BadInput where there is no directory."""
    if not run_dir.is_dir():
        raise BadInput(f"{run_dir}: no such run directory; `td3-hpc train` makes one")
    history = RunHistory(run_dir, None)
    try:
        history.stage = load_resolved(run_dir / CONFIG_FILE)
    except BadInput as error:
        history.problems.append(" ".join(str(error).split()).replace(f"{run_dir}/", ""))
    _read_events(run_dir / RECORD_FILE, history)
    return history


def _read_events(path: Path, history: RunHistory) -> None:
    try:
        recorded = read_record(path)
    except OSError as error:
        history.problems.append(f"{path.name}: {(error.strerror or str(error)).lower()}")
        return
    history.events = recorded.events
    if recorded.newer_format is not None:
        history.problems.append(
            f"{path.name}: of format {recorded.newer_format}, which a newer td3-hpc wrote; this one reads {FORMAT}"
        )
    if not recorded.lines:
        history.problems.append(f"{path.name}: empty")
    damaged = recorded.damaged
    if damaged:
        listed = ", ".join(map(str, damaged[:5])) + (", …" if len(damaged) > 5 else "")
        history.problems.append(f"{path.name}: {len(damaged)} of {recorded.lines} lines cannot be read (line {listed})")
