"""Output that may go away under a long run: a terminal hangs up, a pipe's reader ends, a log lies on a full disk."""

import io
import sys
from typing import Any


class _LastingFile(io.FileIO):
    """A file descriptor on which what cannot be written is dropped."""

    def write(self, data: Any, /) -> int:
        try:
            written: int | None = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written


def survive_lost_output() -> None:
    """From now on, standard output and error take what is written there, even where nobody does."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        raw = getattr(stream.buffer, "raw", stream.buffer)
        if not isinstance(raw, io.FileIO) or isinstance(raw, _LastingFile):
            continue
        stream.flush()
        lasting = io.BufferedWriter(_LastingFile(raw.fileno(), "wb", closefd=False))
        wrapped = io.TextIOWrapper(
            lasting,
            stream.encoding,
            stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, wrapped)
