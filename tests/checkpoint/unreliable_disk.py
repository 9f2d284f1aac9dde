"""Real files under a layer that behaves as file systems may: late listings, lost renames, processes killed anywhere."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from td3_hpc.checkpoint import listing


class Killed(BaseException):
    """The process ends here: nothing that it would have done afterwards is done."""


class UnreliableDisk:
    """One run directory's state and replay folders."""

    def __init__(self, run_dir: Path, patch: pytest.MonkeyPatch) -> None:
        self.run_dir = run_dir
        self.folders = [run_dir / "state", run_dir / "replay", run_dir / "state" / "set-aside"]
        self._inodes = run_dir.with_name(f"{run_dir.name}-inodes")
        self._inodes.mkdir()
        self._durable: dict[Path, dict[str, int]] = {}
        self._late: dict[Path, list[str]] | None = None
        self._until_kill: int | None = None
        self._list = listing.names
        patch.setattr(listing, "names", self._names)
        for owner, name in ((os, "link"), (os, "fsync"), (Path, "rename"), (Path, "replace"), (Path, "unlink")):
            patch.setattr(owner, name, self._watched(getattr(owner, name), name))

    # ---- killed at any file operation
    @contextlib.contextmanager
    def killing(self, after: int | None):
        """Raise Killed at the file operation after so many, and at every one that follows."""
        self._until_kill = after
        try:
            yield
        finally:
            self._until_kill = None

    def _watched(self, real, name):
        def operation(*arguments, **options):
            if self._until_kill is not None:
                if self._until_kill <= 0:
                    raise Killed
                self._until_kill -= 1
            if name != "fsync":
                return real(*arguments, **options)
            self._synced(Path(os.readlink(f"/proc/self/fd/{arguments[0]}")))  # a real fsync would only take time
            return None

        return operation

    # ---- a machine that crashes
    def _synced(self, path: Path) -> None:
        if path in self.folders:
            self._durable[path] = {entry.name: self._keep(entry) for entry in os.scandir(path) if entry.is_file()}

    def _keep(self, entry: os.DirEntry) -> int:
        kept = self._inodes / str(entry.inode())
        if not kept.exists():
            with contextlib.suppress(FileExistsError):
                _link(entry.path, kept)
        return entry.inode()

    def sync_all(self) -> None:
        """As after minutes of rest."""
        for folder in self.folders:
            if folder.is_dir():
                self._synced(folder)
            else:
                self._durable.pop(folder, None)

    def crash(self) -> None:
        """The machine is gone: what no fsync of its folder followed has never been."""
        for folder in self.folders:
            durable = self._durable.get(folder, {})
            for entry in list(os.scandir(folder)) if folder.is_dir() else []:
                if entry.is_file() and durable.get(entry.name) != entry.inode():
                    os.unlink(entry.path)
            for name, inode in durable.items():
                if not (folder / name).exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    _link(self._inodes / str(inode), folder / name)

    # ---- listings that lag
    def freeze_listings(self) -> None:
        """From now on, listings show what is there now."""
        self._late = {folder: self._list(folder) for folder in self.folders}

    def thaw_listings(self) -> None:
        """Listings show what is there."""
        self._late = None

    def _names(self, directory: Path) -> list[str]:
        if self._late is not None and directory in self._late:
            return list(self._late[directory])
        return self._list(directory)

    # ---- what people do
    def replace_by(self, source: Path) -> None:
        """The directory is removed, and a copy put in its place."""
        shutil.rmtree(self.run_dir)
        copy_over(source, self.run_dir)
        self.sync_all()


class InTurn:
    """In the place of a pool of threads: the same at every run."""

    def __init__(self, threads: int) -> None:
        pass

    def __enter__(self) -> "InTurn":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, work):
        result = work()
        return type("Done", (), {"result": lambda self: result})()


def copy_over(source: Path, target: Path) -> None:
    """`cp -r`: files of the same name are replaced, others stay."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            write(place, path.read_bytes())


def write(path: Path, content: bytes) -> None:
    """Put content at path in a new inode."""
    temporary = path.with_name(".being-copied")
    temporary.write_bytes(content)
    os.replace(temporary, path)


_link = os.link
