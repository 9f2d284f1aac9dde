"""Which checkpoints count: those in the line of attempts that leads to the newest one."""

from pathlib import Path

from td3_hpc.checkpoint.ownership import newest_epoch, read_epoch
from td3_hpc.checkpoint_names import STATE_DIR, Order, manifest_paths, order_of


def valid_manifest_paths(run_dir: Path) -> list[Path]:
    """The manifests of a run, the newest first, without those of superseded attempts."""
    superseded = set(superseded_manifest_paths(run_dir))
    return [path for path in manifest_paths(run_dir) if path not in superseded]


def superseded_manifest_paths(run_dir: Path) -> list[Path]:
    """Manifests that an attempt wrote after another one had taken the run over from an earlier checkpoint.

    An attempt that was paused between its last check and its rename still leaves one; it is nobody's checkpoint.
    """
    limits = _limits(run_dir / STATE_DIR)
    return [
        path
        for path in manifest_paths(run_dir)
        if (order := order_of(path)) and any(order[0] < epoch and order > limit for epoch, limit in limits)
    ]


def _limits(state_dir: Path) -> list[tuple[int, Order]]:
    """For each epoch claimed, what it resumed from: what earlier epochs wrote beyond that does not count."""
    limits: list[tuple[int, Order]] = []
    for epoch in range(1, newest_epoch(state_dir) + 1 if state_dir.is_dir() else 0):
        holder = read_epoch(state_dir, epoch)
        if holder is not None:
            source = str(holder.get("resumed_from") or "")
            limits.append((epoch, order_of(Path(source)) or (0, 0, 0)))
    return limits
