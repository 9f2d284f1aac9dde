"""Files that do not count are moved to state/set-aside/, never deleted but on request."""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from td3_hpc.checkpoint import listing
from td3_hpc.checkpoint.contents import Contents, read_contents
from td3_hpc.checkpoint.manifest import Manifest
from td3_hpc.checkpoint_names import REPLAY_DIR, SET_ASIDE_DIR, STATE_DIR, save_of
from td3_hpc.durable import sync_directory


def set_aside_dir(run_dir: Path) -> Path:
    """Where they go."""
    return run_dir / STATE_DIR / SET_ASIDE_DIR


def move_aside(contents: Contents, broken: Iterable[Path], others: Iterable[Manifest]) -> dict[str, int]:
    """Move manifests, and the files that were written for them and none other needs, out of the way.

    Files of earlier saves that no manifest needs go as well, but for what killed saves left; retention removes that.
    Returns the names moved with their sizes in bytes. Raises OSError.
    """
    broken, others = list(broken), list(others)
    gone = {contents.path(other).name for other in others} | {path.name for path in broken}
    staying = contents.files_of(manifest for manifest in contents.manifests if manifest.name not in gone)
    saves = {save_of(path) for path in broken}
    own = {path for path in contents.files if save_of(path) in saves} | contents.files_of(others)
    orphans = [] if contents.listing_lags else contents.orphans()
    unneeded = {path for path, save in orphans if not contents.is_rubbish(path, save)}
    rubbish = {path for path, save in orphans if contents.is_rubbish(path, save)}
    files = (own | unneeded) - staying - rubbish
    manifests = [*broken, *(contents.path(other) for other in others)]
    return move(contents.run_dir, [*manifests, *sorted(files)])


def move(run_dir: Path, paths: Iterable[Path]) -> dict[str, int]:
    """Move files to the folder, under another name where there is one of this; names and sizes of what was there."""
    moved: dict[str, int] = {}
    target_dir = set_aside_dir(run_dir)
    for path in paths:
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue
        target_dir.mkdir(exist_ok=True)
        target, copies = target_dir / path.name, 0
        while target.exists():
            copies += 1
            target = target_dir / f"{path.name}.{copies}"
        _rename(path, target)
        moved[path.name] = size
    if moved:
        for folder in (target_dir, run_dir / STATE_DIR, run_dir / REPLAY_DIR):
            if folder.is_dir():
                sync_directory(folder)
    return moved


def bring_back(run_dir: Path, manifest: Manifest) -> None:
    """Put the files of a checkpoint that was set aside back into their places, its manifest last. Raises OSError."""
    aside = set_aside_dir(run_dir)
    for target in (*(run_dir / file.path for file in manifest.files()), run_dir / STATE_DIR / manifest.name):
        source = aside / target.name
        if not target.exists() and source.exists():
            _rename(source, target)
    sync_directory(run_dir / REPLAY_DIR)
    sync_directory(run_dir / STATE_DIR)


def _rename(source: Path, target: Path) -> None:
    """Rename a file, or copy it where replay/ is a link to another file system. Raises OSError."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = target.with_name(f".{target.name}.tmp")
        shutil.copy2(source, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(target)
        source.unlink()


def set_aside_files(run_dir: Path) -> dict[str, int]:
    """What lies there, and the files in other places that only it needs: path in the run directory -> bytes."""
    contents = read_contents(run_dir)
    needed = contents.files_of([*contents.manifests, *contents.renamed.values()])
    only = set() if contents.listing_lags else contents.files_of(contents.aside) - needed
    there = listing.paths(set_aside_dir(run_dir))
    told = listing.paths(*(path for path in there if path.is_dir()))
    paths = [*there, *told, *sorted(only)]
    return {str(path.relative_to(run_dir)): path.stat().st_size for path in paths if path.is_file()}


def remove_set_aside(run_dir: Path, names: Iterable[str]) -> None:
    """Delete what `set_aside_files` told. Raises OSError."""
    for name in names:
        (run_dir / name).unlink(missing_ok=True)
    for folder in listing.paths(set_aside_dir(run_dir)):
        if folder.is_dir() and not listing.names(folder):
            folder.rmdir()
