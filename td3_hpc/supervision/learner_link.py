"""How a supervisor hears from its learner and tells it what happens: JSON lines, by pipe or by files.

A supervisor that the learner started has two pipes to it. One on another node, started there by Slurm, shares only the
run directory with it; two append-only files take the pipes' place.
"""

import contextlib
import errno
import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any, Protocol

PULSE_S = 0.1
_FILE_PERIOD_S = 0.5


class LearnerGone(Exception):
    """The learner closed the pipe, or died; or the job's script did, for a supervisor on another node."""


class LearnerLink(Protocol):
    """One learner."""

    def wait(self) -> list[dict[str, Any]]:
        """Wait a moment; the commands that came meanwhile. Raises LearnerGone."""
        ...

    def report(self, event: dict[str, Any]) -> None:
        """Pass an event on."""
        ...


def events_path(directory: Path, name: str) -> Path:
    """Where the supervisor of another node's simulator writes what happens."""
    return directory / f"events-{name}.jsonl"


def commands_path(directory: Path, name: str) -> Path:
    """Where that supervisor's learner writes its commands."""
    return directory / f"commands-{name}.jsonl"


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Add a line, or nothing of it, to a file that somebody on another node reads. Raises OSError (disk full)."""
    data = json.dumps(line).encode() + b"\n"
    with path.open("ab", buffering=0) as file:
        end = file.tell()
        if file.write(data) < len(data):
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_lines(path: Path, start: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The whole lines from an offset on, and the offset behind them. Opened anew each time, as network file systems
    show what others wrote only then."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            *lines, cut = file.read().split(b"\n")
            return [message for line in lines if (message := _message(line))], file.tell() - len(cut)
    except FileNotFoundError:
        return [], start


def _message(line: bytes) -> dict[str, Any] | None:
    """What a line of the file says; None for one that is damaged, as where two nodes have written at once."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


class PipeLink:
    """Commands on stdin, events on stdout, of a supervisor that is the learner's child."""

    def __init__(self) -> None:
        self._learner = os.getppid()
        self._received = b""
        self._unsent = b""
        os.set_blocking(sys.stdout.fileno(), False)

    def wait(self) -> list[dict[str, Any]]:
        received = _stdin(self._learner)
        *lines, self._received = (self._received + received).split(b"\n")
        self._send()
        return [json.loads(line) for line in lines]

    def report(self, event: dict[str, Any]) -> None:
        self._unsent += json.dumps(event).encode() + b"\n"
        self._send()

    def _send(self) -> None:
        """Write what the pipe takes; a learner that reads late must not stop the watch."""
        if not self._unsent:
            return
        try:
            written = os.write(sys.stdout.fileno(), self._unsent)
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise LearnerGone from None
        self._unsent = self._unsent[written:]


class FileLink:
    """Commands and events in files of the run directory; stdin only ends when the job's script does."""

    def __init__(self, directory: Path, name: str) -> None:
        self._parent = os.getppid()
        self._events, self._commands = events_path(directory, name), commands_path(directory, name)
        _, self._read = read_lines(self._commands)  # what was asked before this one's time is another's matter
        self._looked = time.monotonic()
        self._unsent: list[dict[str, Any]] = []

    @property
    def generation(self) -> int:
        """The newest generation that a supervisor before this one wrote of; 0 where there was none."""
        return max((int(event["generation"]) for event in read_lines(self._events)[0]), default=0)

    def wait(self) -> list[dict[str, Any]]:
        _stdin(self._parent)
        if time.monotonic() - self._looked < _FILE_PERIOD_S:
            return []
        self._looked = time.monotonic()
        self._send()
        commands, self._read = read_lines(self._commands, self._read)
        return commands

    def report(self, event: dict[str, Any]) -> None:
        self._unsent.append(event)
        self._send()

    def _send(self) -> None:
        """Write what the disk takes; a full one must not end the simulator."""
        with contextlib.suppress(OSError):
            while self._unsent:
                append_line(self._events, self._unsent[0])
                del self._unsent[0]


def _stdin(parent: int) -> bytes:
    """What stdin has within a moment. Raises LearnerGone where it has ended or the parent has."""
    ready, _, _ = select.select([sys.stdin], [], [], PULSE_S)
    received = os.read(sys.stdin.fileno(), 1 << 16) if ready else b""
    if (ready and not received) or os.getppid() != parent:
        raise LearnerGone
    return received
