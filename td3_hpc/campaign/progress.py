"""How far a run has come, read from its directory alone."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from td3_hpc.checkpoint_names import manifest_paths, newest_step
from td3_hpc.config import CONFIG_FILE, load_resolved
from td3_hpc.errors import BadInput
from td3_hpc.gates.history import last_word
from td3_hpc.gates.verdict import Verdict, read_verdict
from td3_hpc.record import RECORD_FILE, AlertChanged, AttemptStarted, Event, Interval, RunFailed, read_record
from td3_hpc.submission_folder import SubmissionFolder

#: The record's end that is read: enough for the last intervals and alerts of a long run.
TAIL_BYTES = 1 << 20
#: Intervals whose median speed is told.
RECENT_INTERVALS = 5


@dataclass(frozen=True)
class Progress:
    """One run."""

    run_dir: Path
    stage: str
    seed: int | None
    total_steps: int | None
    """None where the configuration cannot be read."""
    step: int
    state: str
    """`not started`, `started`, `stopped`, `failed`, `finished`, or the verdict: GO, NO-GO."""
    attempts: int
    steps_per_second: float | None
    """Median of the last intervals of the newest attempt."""
    seconds_left: float | None
    """At that speed; evaluation cycles included, waiting in a queue not."""
    checkpoint_step: int
    checkpoint_age_s: float | None
    """None where there is no checkpoint."""
    alerts: tuple[str, ...]
    """Names of the alerts that are on."""
    note: str
    """Why it failed, what its verdict says, or that its checkpoints do not reach as far; empty otherwise."""

    def as_fields(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "run_dir": str(self.run_dir)}


def read_progress(run_dir: Path, now: float | None = None) -> Progress:
    """What can be read of a run; a directory with nothing in it is a run that has not started."""
    now = time.time() if now is None else now
    path = next((path for path in (run_dir / CONFIG_FILE, SubmissionFolder(run_dir).stage) if path.is_file()), None)
    try:
        config = load_resolved(path) if path else None
        unreadable = ""
    except BadInput as error:
        config, unreadable = None, str(error).splitlines()[0]
    events = _events(run_dir / RECORD_FILE)
    step = max((event.step for event in events), default=0)
    state, note = _state(run_dir, events)
    speed = _speed(events)
    total = config.training.total_steps if config else None
    checkpoints, checkpoint_step = manifest_paths(run_dir), newest_step(run_dir)
    return Progress(
        run_dir=run_dir,
        stage=config.name if config else run_dir.name,
        seed=config.seed if config else None,
        total_steps=total,
        step=step,
        state=state,
        attempts=_attempts(run_dir, events),
        steps_per_second=speed,
        seconds_left=(total - step) / speed if total and speed and state == "started" else None,
        checkpoint_step=checkpoint_step,
        checkpoint_age_s=max(0.0, now - checkpoints[0].stat().st_mtime) if checkpoints else None,
        alerts=_alerts(events),
        note="; ".join(filter(None, (note or unreadable, _falls_short(state, step, checkpoint_step)))),
    )


def _state(run_dir: Path, events: list[Event]) -> tuple[str, str]:
    try:
        verdict = read_verdict(run_dir)
    except BadInput as error:
        return "finished", str(error)
    if verdict is not None and not _is_outdated(verdict, events):
        return verdict.verdict, verdict.reason if verdict.verdict == "NO-GO" else ""
    last = last_word(events)
    if last is None:  # or longer ago than what was read
        return ("started" if events else "not started"), ""
    if isinstance(last, AttemptStarted):
        return "started", ""
    reason = last.reason.splitlines() if isinstance(last, RunFailed) else []
    return last.kind, reason[0] if reason else ""


def _is_outdated(verdict: Verdict, events: list[Event]) -> bool:
    """Whether the run has gone on since: made longer, or past a gate that had ended it."""
    written = datetime.fromisoformat(verdict.written).timestamp() + 1.0  # it is told in whole seconds
    return any(event.time > written for event in events if isinstance(event, AttemptStarted | Interval))


def _falls_short(state: str, step: int, checkpoint_step: int) -> str:
    """Where a run counts as done and its checkpoints, which count, say otherwise; those of a done run may be gone."""
    if state not in ("finished", "GO", "NO-GO") or not 0 < checkpoint_step < step:
        return ""
    return f"its newest checkpoint is of step {checkpoint_step}, from which `train` goes on"


def _speed(events: list[Event]) -> float | None:
    """Steps per second, evaluation cycles included: from the times of the newest attempt's intervals."""
    begun = max((index for index, event in enumerate(events) if isinstance(event, AttemptStarted)), default=0)
    intervals = [event for event in events[begun:] if isinstance(event, Interval)][-RECENT_INTERVALS - 1 :]
    if len(intervals) > 1:
        steps = intervals[-1].last_step - intervals[0].last_step
        seconds = intervals[-1].time - intervals[0].time
        return steps / seconds if seconds > 0 else None
    return intervals[0].steps_per_second if intervals else None


def _alerts(events: list[Event]) -> tuple[str, ...]:
    on: dict[str, bool] = {}
    for event in events:
        if isinstance(event, Interval):  # what was raised before the part of the record that is read
            on |= dict.fromkeys(event.alerts, True)
        elif isinstance(event, AlertChanged):
            on[event.name] = event.active
    return tuple(name for name, active in on.items() if active)


def _attempts(run_dir: Path, events: list[Event]) -> int:
    """Claims of the run directory, of which every attempt makes one."""
    claims = len(list((run_dir / "state").glob("epoch-*.json")))
    return max(claims, sum(isinstance(event, AttemptStarted) for event in events))


def _events(path: Path) -> list[Event]:
    """The whole events at the end of a record; none where it cannot be read."""
    try:
        return read_record(path, TAIL_BYTES).events
    except OSError:
        return []
