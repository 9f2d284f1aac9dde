"""The one reader of records: whole ones, those cut off by a kill, damaged ones, and those of earlier formats."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from td3_hpc.record.base import FORMAT, KINDS, Event, families
from td3_hpc.record.older import upgrade
from td3_hpc.record.run_events import AttemptStarted

EventType = TypeVar("EventType", bound=Event)


@dataclass
class Recorded:
    """What could be read of a record."""

    events: list[Event] = field(default_factory=list)
    lines: int = 0
    """How many lines were read."""
    damaged: list[int] = field(default_factory=list)
    """The lines, from 1, that are no whole event."""
    newer_format: int | None = None
    """The record's format, where this version does not know it."""


def read_record(path: Path, tail_bytes: int | None = None) -> Recorded:
    """Read a record, or only the whole lines in its last `tail_bytes`, whose events have line 0. Raises OSError."""
    found = Recorded()
    with path.open("rb") as file:
        skipped = max(0, file.seek(0, 2) - tail_bytes) if tail_bytes is not None else 0
        file.seek(skipped)
        if skipped:
            file.readline()
        for number, line in enumerate(file, 1):
            found.lines = number
            event = parse(line, 0 if skipped else number)
            if event is None:
                found.damaged.append(number)
                continue
            found.events.append(event)
            if isinstance(event, AttemptStarted) and event.format > FORMAT:
                found.newer_format = event.format
    return found


def read_events(path: Path, kind: type[EventType]) -> list[EventType]:
    """The whole events of a kind in order; none where there is no record. Raises OSError."""
    events = read_record(path).events if path.exists() else ()
    return [event for event in events if isinstance(event, kind)]


def parse(line: bytes, number: int = 0) -> Event | None:
    """The event on a line; None where the line is no whole event of a known kind."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or type(fields.get("step")) is not int or not isinstance(fields.get("event"), str):
        return None
    kind = KINDS.get(fields["event"])
    if kind is None:
        return None
    try:
        return kind.model_validate({**_known(kind, upgrade(fields)), "line": number})
    except ValidationError:
        return None


def _known(kind: type[Event], fields: dict[str, Any]) -> dict[str, Any]:
    """Without what a later version may have added to this kind of event."""
    own = {info.alias or name for name, info in kind.model_fields.items()}
    prefixes = families(kind).values()
    return {
        name: value
        for name, value in fields.items()
        if name in own or any(family.member(name) is not None for family in prefixes)
    }
