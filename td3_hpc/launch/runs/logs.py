"""`td3-hpc logs`: what a run's newest attempt prints."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.errors import BadInput

POLL_S = 0.5


def newest_log(run: Path) -> Path | None:
    """The log of the job that wrote last; None where there is none yet."""
    return max((run / "logs").glob("slurm-*.out"), key=lambda path: path.stat().st_mtime, default=None)


def show_log(run: Path, lines: int, follow: bool, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Print the end of the newest log; `follow`: what comes, in later jobs' logs too, while `goes_on()`."""
    if CampaignDirectory(run).exists:
        runs = ", ".join(str(path) for path in sorted(run.glob("*/seed-*")))
        raise BadInput(f"{run}: a campaign; give one of its runs: {runs}")
    if not run.is_dir():
        raise BadInput(f"{run}: no such run directory")
    log = newest_log(run)
    if log is None and follow:
        _say(f"{run}: no job of it has written a log yet; waiting for one\n")
    elif log is None:
        raise BadInput(f"{run}: no job of it has written a log yet; a run without Slurm prints where it was started")
    place = 0
    if log is not None:
        _say(f"== {log}\n")
        place = _print_end(log, lines)
    while follow and goes_on():
        newest = newest_log(run)
        if newest is not None and newest != log:
            place = _print_from(log, place) if log is not None else 0
            _say(f"== {newest}\n")
            log, place = newest, 0
        if log is not None:
            place = _print_from(log, place)
        time.sleep(POLL_S)


def _print_end(log: Path, lines: int) -> int:
    content = log.read_bytes()
    _say(b"".join(content.splitlines(keepends=True)[-lines:]).decode(errors="replace"))
    return len(content)


def _print_from(log: Path, place: int) -> int:
    with log.open("rb") as file:
        if file.seek(0, 2) < place:  # a job without --open-mode=append has begun it again
            place = 0
        file.seek(place)
        content = file.read()
    _say(content.decode(errors="replace"))
    return place + len(content)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
