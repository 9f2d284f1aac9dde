"""Commands that take long: while one works, what it last said is shown every few seconds."""

import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SAY_EVERY_S = 5.0


def run_and_tell(
    command: Sequence[str], what: str, environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> tuple[int, str]:
    """Run a command; returns its exit status and everything that it printed. `what` names it in words."""
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    printed, begun = b"", time.monotonic()
    told = begun
    with process, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(max(0.0, told + SAY_EVERY_S - time.monotonic())):
                piece = os.read(process.stdout.fileno(), 65536)
                if not piece:
                    break
                printed += piece
            if time.monotonic() - told >= SAY_EVERY_S:
                told = time.monotonic()
                print(f"{what}, {told - begun:.0f} s: {_last_line(printed)}", flush=True)
    return process.returncode, printed.decode(errors="replace")


def _last_line(printed: bytes) -> str:
    lines = printed.decode(errors="replace").split("\n")
    return next((line.strip()[:100] for line in reversed(lines) if line.strip()), "…")
