"""A stage that continues the one before: what of its configuration may differ, and how its run directory begins."""

import os
import shutil
from pathlib import Path

from td3_hpc.config import StageConfig
from td3_hpc.config.changes import CONTINUABLE, changes


def obstacles(before: StageConfig, after: StageConfig) -> list[str]:
    """Why a stage cannot continue from the one before, in words; empty where it can."""
    found = [f"{change} may not change" for change in changes(before, after, CONTINUABLE)]
    for key, old, new in (
        ("training.total_steps", before.training.total_steps, after.training.total_steps),
        ("replay.capacity", before.replay.capacity, after.replay.capacity),
    ):
        if new < old or (new == old and key == "training.total_steps"):
            found.append(
                f"{key} ({old} -> {new}) must grow" if new == old else f"{key} ({old} -> {new}) may not shrink"
            )
    return found


def carry_over(source: Path, target: Path, reached: int = 0) -> int | None:
    """Let a run directory begin with another one's last checkpoint; returns its step, None where it has begun already.

    `reached` is the step at which the other run's verdict was earned; a checkpoint of it must be there.

    The record and the event files up to that checkpoint come along, so that the run is one from its first step to its
    last. Killed at any moment, it is done again: the manifest is written last. Raises CheckpointDamaged, BadInput,
    OSError.
    """
    from td3_hpc.checkpoint import CheckpointDamaged, adopt, has_checkpoint, open_checkpoint  # HDF5 is slow to import

    if has_checkpoint(target):
        return None
    checkpoint = open_checkpoint(source)
    if checkpoint.manifest.step < reached:
        raise CheckpointDamaged(
            f"{source}: its verdict was earned at step {reached}, but its newest checkpoint is of step "
            f"{checkpoint.manifest.step}; bring the later one back, or run this stage to its end again"
        )
    provenance = checkpoint.state()["provenance"]
    _copy_head(source / "record.jsonl", target / "record.jsonl", int(provenance["record_bytes"]))
    for name, size in provenance["tensorboard_bytes"].items():
        _copy_head(source / "tensorboard" / name, target / "tensorboard" / name, int(size))
    adopt(checkpoint, target)
    return checkpoint.manifest.step


def _copy_head(source: Path, target: Path, size: int) -> None:
    """Copy the first bytes of a file, in place of what is there; nothing where there is no such file."""
    if not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    os.truncate(target, min(size, target.stat().st_size))
