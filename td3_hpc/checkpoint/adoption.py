"""A new run that begins with another run's checkpoint: its sealed files, linked or copied, under epoch 0."""

import os
import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from td3_hpc.checkpoint.epochs import read_epochs
from td3_hpc.checkpoint.manifest import StoredFile
from td3_hpc.checkpoint.store import Checkpoint
from td3_hpc.checkpoint_names import REPLAY_DIR, STATE_DIR, manifest_name, manifest_paths
from td3_hpc.durable import replace_file, sync_directory

File = TypeVar("File", bound=StoredFile)


def has_checkpoint(run_dir: Path) -> bool:
    """Whether a run directory holds any checkpoint, whole or not."""
    return bool(manifest_paths(run_dir))


def adopt(checkpoint: Checkpoint, run_dir: Path) -> Path:
    """Make a checkpoint of another run the first one of `run_dir`; returns its manifest's path.

    A run's own epochs count from 1, so every checkpoint of its own is newer. Files are hard links where the file
    system has them: they are never written again, and pruning either run leaves the other's. Raises OSError.
    """
    for folder in (STATE_DIR, REPLAY_DIR):
        (run_dir / folder).mkdir(parents=True, exist_ok=True)
    source = checkpoint.manifest
    order = (0, source.step, 1)
    state_name = f"{STATE_DIR}/{Path(manifest_name(order)).with_suffix('.h5')}"
    state = _take(checkpoint.run_dir, source.state, run_dir, state_name)
    segments = []
    for segment in source.segments:
        name = f"{REPLAY_DIR}/rows-e0000-{segment.first_row:012}-{segment.next_row:012}-0001.h5"
        segments.append(_take(checkpoint.run_dir, segment, run_dir, name))
    for folder in (STATE_DIR, REPLAY_DIR):
        sync_directory(run_dir / folder)
    tags = {**source.tags, "adopted_from": str(checkpoint.run_dir / STATE_DIR / source.name)}
    tags.pop("stage_end", None)  # of the other run
    manifest = replace(source, epoch=0, number=1, state=state, segments=tuple(segments), tags=tags)
    manifest = replace(manifest, run=_identity_of(run_dir), line=())
    path = run_dir / STATE_DIR / manifest.name
    replace_file(path, manifest.to_json())
    return path


def _identity_of(run_dir: Path) -> str:
    claim = read_epochs(run_dir / STATE_DIR).newest
    return claim.run if claim is not None and claim.run else secrets.token_hex(16)


def _take(source_dir: Path, file: File, target_dir: Path, name: str) -> File:
    source, target = source_dir / file.path, target_dir / name
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return replace(file, path=name)
