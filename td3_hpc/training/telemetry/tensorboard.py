"""TensorBoard event files that are cut back on resume, so that no step stands twice."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """Scalars and text under `<run>/tensorboard`; a disabled one swallows everything."""

    def __init__(self, directory: Path, enabled: bool) -> None:
        self._directory = directory
        self._enabled = enabled
        self._writer: SummaryWriter | None = None

    def open(self, keep: Mapping[str, int] | None = None) -> None:
        """Start a new event file. With `keep` (file name -> bytes, a checkpoint's), older ones are cut back to it."""
        if keep is not None:
            with contextlib.suppress(OSError):  # another user's: its steps stand there twice, which costs no run
                cut_event_files(self._directory, keep)
        self._start_file()

    def scalar(self, name: str, value: float, step: int) -> None:
        self._write("add_scalar", name, value, step)

    def text(self, name: str, text: str, step: int) -> None:
        self._write("add_text", name, text, step)

    def sizes(self) -> dict[str, int]:
        """Bytes of each event file, after everything written so far has reached it."""
        self._write("flush")
        if self._writer is None:
            self._start_file()
        return {path.name: path.stat().st_size for path in _event_files(self._directory)}

    def close(self) -> None:
        self._write("close")
        self._writer = None

    def _start_file(self) -> None:
        if self._enabled:
            with contextlib.suppress(OSError):
                self._writer = SummaryWriter(str(self._directory), flush_secs=30)  # type: ignore[no-untyped-call]

    def _write(self, method: str, *arguments: Any) -> None:
        """A full disk ends the event file, not the run; at the next checkpoint (`sizes`) another one is tried."""
        if self._writer is not None:
            try:
                getattr(self._writer, method)(*arguments)
            except OSError:
                self._writer = None


def cut_event_files(directory: Path, keep: Mapping[str, int]) -> None:
    """Truncate each event file to its size in `keep`; remove those that it does not name."""
    for path in _event_files(directory):
        if path.name not in keep:
            path.unlink()
        elif path.stat().st_size > keep[path.name]:
            os.truncate(path, keep[path.name])


def _event_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("events.out.tfevents.*")) if directory.is_dir() else []
