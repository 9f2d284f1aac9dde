"""The record of a run: an append-only file of JSON lines, from which every report is made.

Each line holds `event`, `step` (the last completed one), `time` (UTC seconds since 1970) and the event's own fields.
A line is written at once, so a killed run leaves at most one cut line, which readers skip. On a full disk lines wait in
memory until there is space.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from td3_hpc.durable import replace_file

RECORD_FILE = "record.jsonl"
CONFIG_FILE = "config.yaml"

#: Events of an attempt's own life. They stay when the record is cut back to a checkpoint: they did happen.
HISTORY_EVENTS = frozenset({"attempt", "simulator", "worker", "checkpoint", "checkpoint_failed", "stopped", "failed"})


def read_record(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a record in order; a line that is not whole JSON is skipped."""
    with path.open("rb") as file:
        for line in file:
            event = _parse(line)
            if event is not None:
                yield event


class RunRecord:
    """Writes the record of one run directory."""

    def __init__(self, run_dir: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = run_dir / RECORD_FILE
        self.step = 0
        self._clock = clock
        self._file: BinaryIO | None = None
        self._waiting = bytearray()
        self._lock = threading.Lock()  # simulators that start side by side have something to say at once

    def open(self, keep_bytes: int | None = None) -> None:
        """Open for appending. With `keep_bytes` (a checkpoint's), what stands beyond is cut, but for history events."""
        if keep_bytes is not None and self.path.exists():
            self._cut(keep_bytes)
        self._file = self.path.open("ab", buffering=0)

    def append(self, event: str, **fields: Any) -> None:
        """Write one event; numbers may be numpy's, NaN and infinities are written as NaN and Infinity."""
        if self._file is None:
            raise RuntimeError("the record is not open")
        line = {"event": event, "step": self.step, "time": round(self._clock(), 3), **fields}
        with self._lock:
            self._waiting += json.dumps(line, default=_plain).encode() + b"\n"
            self._write(self._file)

    def size(self) -> int:
        """Bytes of the record so far, on disk after this call but for what waits for space."""
        if self._file is None:
            raise RuntimeError("the record is not open")
        self._write(self._file)
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size + len(self._waiting)

    def close(self) -> None:
        if self._file is not None:
            self._write(self._file)
            self._file.close()
            self._file = None

    def _write(self, file: BinaryIO) -> None:
        """Write what waits, as far as the disk takes it."""
        with contextlib.suppress(OSError):
            while self._waiting:
                del self._waiting[: file.write(self._waiting)]

    def _cut(self, keep_bytes: int) -> None:
        content = self.path.read_bytes()
        kept, tail = content[:keep_bytes], content[keep_bytes:]
        history = [line for line in tail.splitlines(keepends=True) if _is_history(line)]
        if len(history) != len(tail.splitlines()):
            replace_file(self.path, kept + b"".join(history))


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _is_history(line: bytes) -> bool:
    event = _parse(line)
    return event is not None and line.endswith(b"\n") and event["event"] in HISTORY_EVENTS


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot stand in the record")
