"""What the doctor's job tells the doctor, through files in the run directory: the job has no other way out."""

import json
import time
from pathlib import Path
from typing import Any

from td3_hpc.durable import replace_file

NOTES_FILE = "doctor.json"


class Notes:
    """The job's notes, written anew at every change; the next attempt goes on with them."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / NOTES_FILE
        self.values: dict[str, Any] = read_notes(run_dir) or {"begun": {}, "errors": {}}

    def begin(self, name: str) -> int:
        """Note that something begins; returns how often it had begun before without an end."""
        before: int = self.values["begun"].get(name, 0)
        self.values["begun"][name] = before + 1
        self.write()
        return before

    def put(self, name: str, value: object) -> None:
        """Note what came of it."""
        self.values[name] = value
        self.write()

    def fail(self, name: str, reason: str) -> None:
        """Note why nothing came of it."""
        self.values["errors"][name] = reason
        self.write()

    def done(self, name: str) -> bool:
        """Whether it has ended, one way or the other."""
        return name in self.values or name in self.values["errors"]

    def write(self) -> None:
        """Write them, with the time."""
        self.values["written"] = time.time()
        replace_file(self._path, json.dumps(self.values, indent=1).encode())


def read_notes(run_dir: Path) -> dict[str, Any] | None:
    """The notes of a job; None where it has written none."""
    try:
        notes: dict[str, Any] = json.loads((run_dir / NOTES_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return notes


def sent_file(run_dir: Path, signal_name: str) -> Path:
    """The doctor's note, for the job, of when it sent a signal."""
    return run_dir / f"sent-{signal_name}"
