"""What only the user decides: which checkpoint a run goes on from, or that it begins anew."""

import secrets
from pathlib import Path

from td3_hpc.checkpoint.contents import Contents, read_contents
from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.lineage import line_of
from td3_hpc.checkpoint.manifest import Manifest, problems, read_manifest_of_any_name
from td3_hpc.checkpoint.ownership import Ownership
from td3_hpc.checkpoint.set_aside import bring_back, move, move_aside, set_aside_dir
from td3_hpc.checkpoint.survey import Verified
from td3_hpc.checkpoint.told import bring_told_back, set_told_aside
from td3_hpc.checkpoint_names import REPLAY_DIR, STATE_DIR
from td3_hpc.durable import sync_directory
from td3_hpc.errors import BadInput


def continue_from(run_dir: Path, chosen: Path | None) -> tuple[Manifest, dict[str, int]]:
    """Let the run go on from a checkpoint, by default the newest whole one, and set aside what is not of its line.

    `chosen` may be a manifest that was set aside, or one that somebody has renamed; the record that tells of it comes
    back with it. Returns it, and the names set aside
    with their sizes in bytes. Raises RunDirectoryTaken, BadInput and CheckpointDamaged, with nothing lost.
    """
    owner = Ownership(run_dir / STATE_DIR)
    owner.refuse_live_holder()
    _settled_contents(run_dir)
    manifest = _newest_whole(run_dir) if chosen is None else _bring_into_place(run_dir, chosen)
    contents = read_contents(run_dir)
    owner.claim(manifest.name, manifest.run or _new_run(contents), above=contents.highest_epoch)
    try:
        moved = _keep_only(contents, manifest) | bring_told_back(run_dir, manifest.epoch, owner.epoch)
    finally:
        owner.release()
    return manifest, moved


def set_all_aside(run_dir: Path) -> dict[str, int]:
    """Let the run begin anew: all of its checkpoints are set aside, with the files that tell of them.

    Returns the names with sizes in bytes. Raises RunDirectoryTaken, and BadInput where there is none.
    """
    owner = Ownership(run_dir / STATE_DIR)
    owner.refuse_live_holder()
    contents = _settled_contents(run_dir)
    if not (contents.manifests or contents.unreadable or contents.renamed or contents.files or contents.epochs.highest):
        raise BadInput(f"{run_dir}: no checkpoint here; give a run directory")
    owner.claim(None, _new_run(contents), above=contents.highest_epoch, anew=True)
    try:
        moved = move_aside(contents, contents.unreadable, contents.manifests)
        moved |= move(run_dir, [*contents.renamed, *contents.files, *_false_epoch_files(contents)])
        return moved | set_told_aside(run_dir, owner.epoch)
    finally:
        owner.release()


def _settled_contents(run_dir: Path) -> Contents:
    """What lies there. Raises BadInput where the listing does not show it all: a decision must be about everything."""
    contents = read_contents(run_dir)
    if contents.listing_lags:
        raise BadInput(f"{run_dir}: the file system does not list all files of state/ yet; try again in a minute")
    return contents


def _newest_whole(run_dir: Path) -> Manifest:
    contents = read_contents(run_dir)
    runs = {manifest.run for manifest in contents.manifests if manifest.run}
    if len(runs) > 1:
        raise BadInput(
            f"{run_dir}: holds checkpoints of several runs; name the one to go on from, state/checkpoint-*.json"
        )
    newest = Verified(run_dir).newest(contents.manifests)
    if newest is None:
        raise BadInput(f"{run_dir}: no whole checkpoint here; restore its files from a backup")
    return newest


def _bring_into_place(run_dir: Path, chosen: Path) -> Manifest:
    """The manifest in a file, which is then in its place under its own name, and whole."""
    if not chosen.is_file():
        raise BadInput(f"{chosen}: no such checkpoint; give a state/checkpoint-*.json file of {run_dir}")
    folder = chosen.absolute().parent
    if folder not in (path.absolute() for path in (run_dir / STATE_DIR, set_aside_dir(run_dir))):
        raise BadInput(f"{chosen}: not a checkpoint of {run_dir}; it must lie in its state folder")
    manifest = read_manifest_of_any_name(chosen)
    place = run_dir / STATE_DIR / manifest.name
    (run_dir / REPLAY_DIR).mkdir(exist_ok=True)
    bring_back(run_dir, manifest)
    if not place.exists():
        chosen.rename(place)
        sync_directory(place.parent)
    if read_manifest_of_any_name(place) != manifest:
        raise BadInput(f"{chosen}: another checkpoint has its name, {place}; move that away first")
    faults = list(problems(run_dir, manifest))
    if faults:
        raise CheckpointDamaged("\n".join(faults))
    return manifest


def _keep_only(contents: Contents, manifest: Manifest) -> dict[str, int]:
    """Set aside all that is not of a checkpoint's line."""
    own = [one for one in contents.manifests if one.run in ("", manifest.run)]
    line = line_of(manifest, own, contents.epochs.claims)
    others = [one for one in contents.manifests if one not in own or not line.holds(one.order)]
    moved = move_aside(contents, contents.unreadable, others)
    contents.epochs.disown(manifest.run)
    renamed = [path for path, one in contents.renamed.items() if one.order > manifest.order]
    return {**moved, **move(contents.run_dir, [*renamed, *_false_epoch_files(contents)])}


def _false_epoch_files(contents: Contents) -> list[Path]:
    epochs = contents.epochs
    return [
        contents.run_dir / STATE_DIR / f"epoch-{epoch:04}.json" for epoch in (*epochs.not_claims, *epochs.unreadable)
    ]


def _new_run(contents: Contents) -> str:
    """The run's identity, a new one where it has none yet."""
    runs = [manifest.run for manifest in contents.manifests] + [claim.run for claim in contents.epochs.claims.values()]
    return next((run for run in runs if run), secrets.token_hex(16))
