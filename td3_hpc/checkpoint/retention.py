"""Which checkpoints are kept: the last ones, every n-th step's, the best by evaluation, a stage's last."""

import math
from dataclasses import dataclass
from pathlib import Path

from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.lineage import superseded_manifest_paths, valid_manifest_paths
from td3_hpc.checkpoint.manifest import Manifest, read_manifest
from td3_hpc.checkpoint_names import REPLAY_DIR, STATE_DIR, save_of
from td3_hpc.config import CheckpointConfig
from td3_hpc.errors import BadInput


@dataclass(frozen=True)
class Pruned:
    """What pruning removes."""

    manifests: tuple[str, ...]
    files: tuple[str, ...]
    bytes: int


def prune(run_dir: Path, config: CheckpointConfig, dry_run: bool = False) -> Pruned:
    """Remove checkpoints that no rule keeps, and files that no checkpoint needs; manifests go first.

    Files of a save later than the newest manifest's are somebody's next checkpoint, perhaps in the middle of being
    written, and stay; so this may run, or be held up, beside any writer. Damaged manifests stay, too.
    """
    manifests, unreadable = _manifests(run_dir)
    if not manifests:
        return Pruned((), (), 0)
    newest = (manifests[0].epoch, manifests[0].number)
    kept = kept_manifests(manifests, config)
    dropped = [run_dir / STATE_DIR / manifest.name for manifest in manifests if manifest not in kept]
    dropped += superseded_manifest_paths(run_dir)
    needed = {str(run_dir / file.path) for manifest in kept for file in manifest.files()}
    own_files = {save_of(path) for path in unreadable}  # of which nobody knows what else they need
    files = [
        path
        for folder in (STATE_DIR, REPLAY_DIR)
        for path in (run_dir / folder).glob("*")
        if (save := save_of(path)) and save <= newest and save not in own_files and str(path) not in needed
        if path.suffix != ".json"
    ]
    size = sum(_bytes(path) for path in files)
    if not dry_run:
        for path in (*dropped, *files):
            path.unlink(missing_ok=True)
    return Pruned(tuple(path.name for path in dropped), tuple(str(path.relative_to(run_dir)) for path in files), size)


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another pruner was faster
        return 0


def _manifests(run_dir: Path) -> tuple[list[Manifest], list[Path]]:
    """Those that count, newest first; and the unreadable ones, which are set aside when the run is opened."""
    manifests, unreadable = [], []
    for path in valid_manifest_paths(run_dir):
        try:
            manifests.append(read_manifest(path))
        except CheckpointDamaged:
            unreadable.append(path)
    return manifests, unreadable


def kept_manifests(manifests: list[Manifest], config: CheckpointConfig) -> list[Manifest]:
    """Those that a rule keeps; both lists newest first."""
    kept = set(range(min(config.keep_last, len(manifests))))
    if config.keep_best:
        best = best_of(manifests)
        if best is not None:
            kept.add(manifests.index(best))
    kept |= {i for i, manifest in enumerate(manifests) if manifest.tags.get("stage_end")}
    if config.keep_every_steps:
        reached = -1
        for index in range(len(manifests) - 1, -1, -1):
            multiple = manifests[index].step // config.keep_every_steps
            if multiple > max(reached, 0):
                kept.add(index)
            reached = max(reached, multiple)
    chosen = [manifests[index] for index in sorted(kept)]
    if config.disk_budget_gib is not None:
        while len(chosen) > 2 and _size(chosen) > config.disk_budget_gib * 2**30:
            chosen.pop()
    return chosen


def best_of(manifests: list[Manifest]) -> Manifest | None:
    """The one with the highest evaluation return, of equal ones the oldest; None where no evaluation was saved."""
    scored = [
        (value, -manifest.step, manifest)
        for manifest in manifests
        if isinstance(value := manifest.tags.get("evaluation_return"), int | float) and math.isfinite(value)
    ]
    return max(scored, key=lambda entry: entry[:2])[2] if scored else None


def best_checkpoint(run_dir: Path) -> Path:
    """The manifest of a run's best checkpoint by evaluation. Raises BadInput where there is none."""
    best = best_of(_manifests(run_dir)[0])
    if best is None:
        raise BadInput(f"{run_dir}: no checkpoint with an evaluation; leave --best out for the newest one")
    return run_dir / STATE_DIR / best.name


def _size(manifests: list[Manifest]) -> int:
    return sum({file.path: file.bytes for manifest in manifests for file in manifest.files()}.values())
