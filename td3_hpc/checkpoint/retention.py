"""Which checkpoints are kept: the last ones, every n-th step's, the best by evaluation, a stage's last."""

from dataclasses import dataclass
from pathlib import Path

from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.manifest import REPLAY_DIR, STATE_DIR, Manifest, manifest_paths, read_manifest
from td3_hpc.config import CheckpointConfig


@dataclass(frozen=True)
class Pruned:
    """What pruning removes."""

    manifests: tuple[str, ...]
    files: tuple[str, ...]
    bytes: int


def prune(run_dir: Path, config: CheckpointConfig, dry_run: bool = False) -> Pruned:
    """Remove checkpoints that no rule keeps, and files that no checkpoint needs; manifests go first.

    Files of an epoch newer than the newest manifest may be somebody's next checkpoint, and stay.
    """
    manifests = _readable(run_dir)
    if not manifests:
        return Pruned((), (), 0)
    kept = _kept(manifests, config)
    dropped = [manifest for manifest in manifests if manifest not in kept]
    needed = {file.path for manifest in kept for file in manifest.files()}
    newest = manifests[0]
    candidates = [*(run_dir / STATE_DIR).glob("checkpoint-*.h5"), *(run_dir / REPLAY_DIR).glob("rows-*.h5")]
    files = [
        path for path in candidates if str(path.relative_to(run_dir)) not in needed and _epoch_of(path) <= newest.epoch
    ]
    size = sum(path.stat().st_size for path in files)
    if not dry_run:
        for manifest in dropped:
            (run_dir / STATE_DIR / manifest.name).unlink(missing_ok=True)
        for path in files:
            path.unlink(missing_ok=True)
    return Pruned(tuple(m.name for m in dropped), tuple(str(p.relative_to(run_dir)) for p in files), size)


def _readable(run_dir: Path) -> list[Manifest]:
    manifests = []
    for path in manifest_paths(run_dir):
        try:
            manifests.append(read_manifest(path))
        except CheckpointDamaged:
            continue  # set aside when the run is opened; never deleted
    return manifests


def _kept(manifests: list[Manifest], config: CheckpointConfig) -> list[Manifest]:
    """Newest first."""
    kept = set(range(min(config.keep_last, len(manifests))))
    if config.keep_best:
        scored = [(m.tags["evaluation_return"], i) for i, m in enumerate(manifests) if "evaluation_return" in m.tags]
        if scored:
            kept.add(max(scored)[1])
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


def _size(manifests: list[Manifest]) -> int:
    return sum({file.path: file.bytes for manifest in manifests for file in manifest.files()}.values())


def _epoch_of(path: Path) -> int:
    return int(path.name.split("-e", 1)[1].split("-", 1)[0])
