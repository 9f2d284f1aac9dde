"""What tells of a run's checkpoints goes where they go: its record, verdict, configuration and TensorBoard's files.

Set aside, it lies in state/set-aside/told-e<epoch>/; the epoch is that of the claim by which it was done.
"""

import json
import shutil
from pathlib import Path

from td3_hpc.checkpoint.set_aside import set_aside_dir
from td3_hpc.config import CONFIG_FILE
from td3_hpc.durable import sync_directory

_RECORD, _VERDICT, _TENSORBOARD = "record.jsonl", "verdict.json", "tensorboard"


def set_told_aside(run_dir: Path, epoch: int) -> dict[str, int]:
    """Move it, but for the configuration, which stays, too. Returns names and sizes in bytes. Raises OSError."""
    folder = set_aside_dir(run_dir) / f"told-e{epoch:04}"
    events = sorted((run_dir / _TENSORBOARD).glob("events.*"))
    files = (run_dir / _RECORD, run_dir / _VERDICT, *events)
    moved = {path.name: path.stat().st_size for path in files if path.is_file()}
    if not moved:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    if (run_dir / CONFIG_FILE).is_file():
        shutil.copy2(run_dir / CONFIG_FILE, folder)
    for name in moved:
        _place(run_dir, name).rename(folder / name)
    sync_directory(folder)
    return moved


def bring_told_back(run_dir: Path, of_epoch: int, epoch: int) -> dict[str, int]:
    """Let the record tell of an attempt again, where it was set aside, and what lies with it; returns what is set
    aside for it. Raises OSError; the next call goes on."""
    if _tells_of(run_dir / _RECORD, of_epoch):
        return {}
    for folder in sorted(set_aside_dir(run_dir).glob("told-e*")):
        if _tells_of(folder / _RECORD, of_epoch):
            moved = set_told_aside(run_dir, epoch) if (run_dir / _RECORD).is_file() else {}
            for path in sorted(folder.iterdir(), key=lambda path: path.name == _RECORD):  # by which it is found, last
                _place(run_dir, path.name).parent.mkdir(exist_ok=True)
                path.replace(_place(run_dir, path.name))
            folder.rmdir()
            sync_directory(run_dir)
            return moved
    return {}


def _place(run_dir: Path, name: str) -> Path:
    return run_dir / _TENSORBOARD / name if name.startswith("events.") else run_dir / name


def _tells_of(record: Path, epoch: int) -> bool:
    """Whether a record tells of the attempt of an epoch; one that begins with an earlier stage's counts from there."""
    epochs = set[int]()
    for line in record.read_bytes().splitlines() if record.is_file() else ():
        try:
            event = json.loads(line) if b'"attempt"' in line else None
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "attempt":
            epochs = {event["epoch"], *(() if event.get("continues_stage") else epochs)}
    return epoch in epochs
