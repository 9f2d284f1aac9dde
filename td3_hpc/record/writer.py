"""The one writer of records.

An event's line is written at once, so a killed run leaves at most one cut line, which the reader skips. On a full disk
lines wait in memory until there is space. Where somebody has removed the file, or put another in its place, it is put
back at the next checkpoint.
"""

import contextlib
import errno
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from td3_hpc.durable import replace_file
from td3_hpc.record.base import KINDS, Event

RECORD_FILE = "record.jsonl"


class RunRecord:
    """Writes the record of one run directory."""

    def __init__(
        self, run_dir: Path, clock: Callable[[], float] = time.time, is_ours: Callable[[], bool] = lambda: True
    ) -> None:
        """`clock` gives the seconds since 1970; `is_ours` tells whether no newer attempt writes the record."""
        self.path = run_dir / RECORD_FILE
        self.step = 0
        """Last completed step, which every event notes."""
        self._clock = clock
        self._is_ours = is_ours
        self._file: BinaryIO | None = None
        self._waiting = bytearray()
        self._lacks_space = False
        self._lock = threading.Lock()  # simulators that start side by side have something to say at once

    def open(self, keep_bytes: int | None = None) -> None:
        """Open for appending. With `keep_bytes` (a checkpoint's), what stands beyond is cut, but for history events."""
        if keep_bytes is not None and self.path.exists():
            self._cut(keep_bytes)
        self._file = self.path.open("a+b", buffering=0)

    def append(self, event: Event) -> None:
        """Write one event, with the current step and time; NaN and infinities are written as NaN and Infinity."""
        if self._file is None:
            raise RuntimeError("the record is not open")
        head = {"event": event.kind, "step": self.step, "time": round(self._clock(), 3)}
        line = {**head, **{name: value for name, value in event.as_line().items() if name not in head}}
        with self._lock:
            self._waiting += json.dumps(line).encode() + b"\n"
            self._write(self._file)

    def size(self) -> int:
        """Bytes of the record so far, on disk after this call but for what waits for space."""
        if self._file is None:
            raise RuntimeError("the record is not open")
        with self._lock:
            self._write(self._file)
            if not self._is_in_place(self._file) and self._is_ours():
                self._put_back(self._file)
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size + len(self._waiting)

    def close(self) -> None:
        """Write what waits, as far as the disk takes it, and close the file."""
        if self._file is not None:
            self.size()
            if self._waiting:
                print(f"{self.path}: its last {len(self._waiting):,} bytes could not be written", file=sys.stderr)
            self._file.close()
            self._file = None

    def _write(self, file: BinaryIO) -> None:
        """Write what waits, as far as the disk takes it."""
        try:
            while self._waiting:
                del self._waiting[: file.write(self._waiting)]
            self._lacks_space = False
        except OSError as error:
            self._lacks_space = error.errno in (errno.ENOSPC, errno.EDQUOT)

    def _is_in_place(self, file: BinaryIO) -> bool:
        """Whether the file that has the record's name takes what is written, or would if the disk had space."""
        try:
            return (not self._waiting or self._lacks_space) and os.path.samestat(
                os.fstat(file.fileno()), os.stat(self.path)
            )
        except OSError:
            return False

    def _put_back(self, file: BinaryIO) -> None:
        """Write the whole record anew under its name, as far as the disk takes it."""
        with contextlib.suppress(OSError):
            file.seek(0)
            replace_file(self.path, file.read() + bytes(self._waiting))
            self._file = self.path.open("a+b", buffering=0)
            self._waiting.clear()
            file.close()

    def _cut(self, keep_bytes: int) -> None:
        content = self.path.read_bytes()
        kept, tail = content[:keep_bytes], content[keep_bytes:]
        history = [line for line in tail.splitlines(keepends=True) if _is_history(line)]
        # Always a new file: a process of a lost node that still writes has the old one open.
        replace_file(self.path, kept + b"".join(history))


def _is_history(line: bytes) -> bool:
    """Whether a line is a whole event that stays when the record is cut back."""
    try:
        event: Any = json.loads(line)
    except ValueError:
        return False
    kind = KINDS.get(str(event.get("event"))) if isinstance(event, dict) else None
    return kind is not None and kind.history and line.endswith(b"\n")
