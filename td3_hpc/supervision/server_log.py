"""A log file that the server writes by itself and that never outgrows its limit.

The server holds the file open for appending, so nothing stands between it and the disk: no pipe that could fill up and
block it, and what it said last is kept whatever happens to its supervisor.
"""

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

LIMIT_BYTES = 8 << 20
KEPT = 3  # generations of the server whose logs are kept


class ServerLog:
    """The log of one generation of a server."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.path = path
        self._limit = limit_bytes

    def begin(self) -> BinaryIO:
        """An empty file for a new generation, opened for appending; older ones become `name.1.log`, `name.2.log`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for number in range(KEPT - 1, 0, -1):
            newer = self.path if number == 1 else self._older(number - 1)
            if newer.exists():
                newer.replace(self._older(number))
        return self.path.open("ab")

    def trim(self) -> None:
        """Drop the first half of a file that has outgrown its limit (lines written in that instant may be lost)."""
        with contextlib.suppress(OSError):  # a full disk, or a log removed by hand, must not end the server
            if self.path.stat().st_size > self._limit:
                self._keep_end()

    def _keep_end(self) -> None:
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(size - self._limit // 2)
            file.readline()
            rest = file.read(self._limit // 2)
        os.truncate(self.path, 0)  # the server appends: its next line goes to the new end
        with self.path.open("ab") as file:
            file.write(b"[earlier lines dropped: the log had reached its limit]\n" + rest)

    def last_lines(self, count: int = 5) -> list[str]:
        """The last lines that are not blank, each cut at 300 characters."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - 16_384))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return []
        lines = [line.strip()[:300] for line in text.splitlines()]
        return [line for line in lines if line][-count:]

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.stem}.{number}{self.path.suffix}")
