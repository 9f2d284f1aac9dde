"""Which checkpoints are kept: the last ones, every n-th step's, the best by evaluation, a stage's last."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from td3_hpc.checkpoint.contents import Contents, read_contents
from td3_hpc.checkpoint.lineage import line_of
from td3_hpc.checkpoint.manifest import Manifest
from td3_hpc.checkpoint_names import DROPPED, STATE_DIR
from td3_hpc.config import CheckpointConfig
from td3_hpc.errors import BadInput


@dataclass(frozen=True)
class Pruned:
    """What pruning removes."""

    manifests: tuple[str, ...]
    files: tuple[str, ...]
    bytes: int


def prune(run_dir: Path, config: CheckpointConfig, dry_run: bool = False, own: Sequence[Manifest] = ()) -> Pruned:
    """Remove checkpoints of the line being continued that no rule keeps, and files that no manifest needs any more.

    Manifests go first, under another name, so that a kill leaves neither a damaged checkpoint nor a nameless file.

    What other lines left, what was set aside and what is damaged stays, with all that it needs. Files of a save later
    than the newest manifest's are somebody's next checkpoint, perhaps in the middle of being written, and stay, too; so
    this may run, or be held up, beside any writer. Nothing is removed on a listing that lags. `own`: the manifests that
    the caller itself has written, the newest last; a listing may not show them yet.
    """
    contents = read_contents(run_dir)
    known = {manifest.name for manifest in contents.manifests}
    contents.manifests += [one for one in own if one.name not in known and contents.path(one).exists()]
    contents.manifests.sort(key=lambda manifest: manifest.order, reverse=True)
    if not contents.manifests or contents.listing_lags:
        return Pruned((), (), 0)
    newest = own[-1] if own else contents.manifests[0]
    in_line = _in_line(contents, newest)
    kept = kept_manifests(in_line, config)
    dropped = [manifest for manifest in in_line if manifest not in kept]
    contents.manifests = [manifest for manifest in contents.manifests if manifest not in dropped]
    unneeded = contents.files_of([*dropped, *contents.dropped.values()])
    files = [
        path
        for path, save in contents.orphans()
        if save <= (newest.epoch, newest.number)
        if path in unneeded or contents.is_rubbish(path, save) or (own and save[0] == newest.epoch)
    ]
    size = sum(_bytes(path) for path in files)
    manifests = [contents.path(manifest) for manifest in dropped]
    if not dry_run:
        hidden = [path.with_name(f".{path.name}{DROPPED}") for path in manifests]
        for path, aside in zip(manifests, hidden, strict=True):
            with contextlib.suppress(FileNotFoundError):  # another pruner was faster
                path.rename(aside)
        for path in (*files, *hidden, *contents.dropped):
            path.unlink(missing_ok=True)
    return Pruned(tuple(path.name for path in manifests), tuple(str(path.relative_to(run_dir)) for path in files), size)


def _in_line(contents: Contents, newest: Manifest) -> list[Manifest]:
    """The manifests of the line that leads to one of them, the newest first."""
    run = [manifest for manifest in contents.manifests if manifest.run in ("", newest.run)]
    line = line_of(newest, run, contents.epochs.claims)
    return [manifest for manifest in run if line.holds(manifest.order)]


def line_manifests(run_dir: Path) -> list[Manifest]:
    """The readable manifests of the line that leads to the newest one, the newest first."""
    contents = read_contents(run_dir)
    return _in_line(contents, contents.manifests[0]) if contents.manifests else []


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another pruner was faster
        return 0


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
    best = best_of(line_manifests(run_dir))
    if best is None:
        raise BadInput(f"{run_dir}: no checkpoint with an evaluation; leave --best out for the newest one")
    return run_dir / STATE_DIR / best.name


def _size(manifests: list[Manifest]) -> int:
    return sum({file.path: file.bytes for manifest in manifests for file in manifest.files()}.values())
